/* SPDX-License-Identifier: MIT */
/* Who computes a lazy value, who waits, who dies at it, and what a reset makes of that. */
#include "lazy_test.h"

#define FORCERS 4

struct stage {
	u32 ready, go, waiting, ended;
	u32 computing, computed, killed;
};

static struct stage *stage;

static int stage_setup(void **state)
{
	stage = shared(sizeof(*stage));
	return setup(state);
}

static int stage_teardown(void **state)
{
	munmap(stage, sizeof(*stage));
	return teardown(state);
}

#undef TEST
#define TEST(f) cmocka_unit_test_setup_teardown(f, stage_setup, stage_teardown)

/* Waits in the middle of computing. */
static int slowly(void *arg, struct ipk_buf *out)
{
	ipk_add(&stage->computing, 1, seq_cst);
	ipk_add(&stage->ready, 1, seq_cst);
	nap_until(&stage->go);
	ipk_add(&stage->computed, 1, seq_cst);
	return ipk_buf_str(out, arg);
}

static void force_slowly(void *arg)
{
	struct ipk_lazy *l = open_again(IPK_WRITE);
	char buf[8];
	size_t len;

	(void)arg;
	ipk_add(&stage->waiting, 1, seq_cst);
	must(ipk_lazy_force(l, slowly, "slow", buf, sizeof(buf), &len, IPK_FOREVER) == 0);
	must(len == 4 && memcmp(buf, "slow", 4) == 0);
	ipk_add(&stage->ended, 1, seq_cst);
}

/* Who sleeps in the segment at this moment. */
static u32 sleepers(void)
{
	u32 n = 0;

	for (u32 slot = 0; slot < ipk_slot_count(seg); slot++) {
		struct ipk_participant *p = ipk_slot_page(seg, slot);

		n += p && ipk_ld(&p->nwait, acquire) > 0;
	}
	return n;
}

static void one_computes_and_the_others_wait(void **state)
{
	struct ipk_lazy *l = make(NULL);
	pid_t pid[FORCERS];

	(void)state;
	for (int i = 0; i < FORCERS; i++)
		pid[i] = spawn(force_slowly, NULL);
	await(sleepers() == FORCERS - 1);
	assert_int_equal(ipk_ld(&stage->computing, seq_cst), 1);
	assert_int_equal(ipk_ld(&stage->ended, seq_cst), 0);
	assert_int_equal(ipk_lazy_state(l), IPK_LAZY_RUNNING);
	assert_int_equal(ipk_lazy_set(l, "x", 1), -EBUSY);
	assert_int_equal(ipk_lazy_force(l, text_of, "x", NULL, 0, NULL, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_lazy_force(l, text_of, "x", NULL, 0, NULL, ipk_deadline(MS)),
			 -ETIMEDOUT);
	/* Whoever cannot compute it can wait for who does. */
	assert_int_equal(ipk_lazy_force(l, NULL, NULL, NULL, 0, NULL, ipk_deadline(MS)),
			 -ETIMEDOUT);
	ipk_st(&stage->go, 1, seq_cst);
	for (int i = 0; i < FORCERS; i++)
		assert_ended_well(join_child(pid[i]));
	assert_int_equal(stage->computed, 1);
	assert_value(l, "slow");
	assert_sound();
	ipk_lazy_close(l);
}

/* The first FORCERS - 1 of those who compute it die at it, the last one does not. */
static int fatally(void *arg, struct ipk_buf *out)
{
	if (ipk_add(&stage->killed, 1, seq_cst) < FORCERS - 1)
		raise(SIGKILL);
	return ipk_buf_str(out, arg);
}

static void force_fatally(void *arg)
{
	struct ipk_lazy *l = open_again(IPK_WRITE);
	char buf[8];

	(void)arg;
	ipk_add(&stage->waiting, 1, seq_cst);
	nap_until(&stage->go);
	must(ipk_lazy_force(l, fatally, "late", buf, sizeof(buf), NULL, IPK_FOREVER) == 0);
	must(memcmp(buf, "late", 4) == 0);
}

static void wait_for_it(void *arg)
{
	struct ipk_lazy *l = open_again(*(unsigned *)arg);

	ipk_add(&stage->waiting, 1, seq_cst);
	must(ipk_lazy_wait(l, IPK_FOREVER) == 0);
}

static void a_dead_one_is_replaced_by_one_who_waits(void **state)
{
	unsigned may[] = {IPK_READ, IPK_WRITE};
	struct ipk_lazy *l = make(NULL);
	pid_t pid[FORCERS], waiter[2];
	int killed = 0;

	(void)state;
	for (int i = 0; i < 2; i++)
		waiter[i] = spawn(wait_for_it, &may[i]);
	for (int i = 0; i < FORCERS; i++)
		pid[i] = spawn(force_fatally, NULL);
	await(ipk_ld(&stage->waiting, seq_cst) == FORCERS + 2);
	ipk_st(&stage->go, 1, seq_cst);
	for (int i = 0; i < FORCERS; i++) {
		int status = join_child(pid[i]);

		killed += WIFSIGNALED(status);
		if (!WIFSIGNALED(status))
			assert_ended_well(status);
	}
	assert_int_equal(killed, FORCERS - 1);
	for (int i = 0; i < 2; i++)
		assert_ended_well(join_child(waiter[i]));
	assert_value(l, "late");
	ipk_segment_sweep(seg);
	assert_int_equal(l->b->deaths, FORCERS - 1);
	assert_int_equal(l->b->runs, 1);
	assert_sound();
	ipk_lazy_close(l);
}

static void begin_and_die(void *arg)
{
	struct ipk_lazy *l = open_again(IPK_WRITE);
	struct ipk_lazy_run run;

	(void)arg;
	must(ipk_lazy_begin(l, &run, IPK_NOWAIT) == 1);
	raise(SIGKILL);
}

static void a_dead_one_is_replaced_by_who_comes_next(void **state)
{
	struct ipk_lazy *l = make(NULL);
	char buf[8];

	(void)state;
	assert_true(WIFSIGNALED(join_child(spawn(begin_and_die, NULL))));
	assert_int_equal(ipk_lazy_state(l), IPK_LAZY_EMPTY);
	assert_int_equal(ipk_lazy_peek(l, buf, sizeof(buf), NULL), -EAGAIN);
	assert_int_equal(force_text(l, "next", buf, sizeof(buf)), 0);
	assert_value(l, "next");
	assert_int_equal(ipk_lazy_reset(l), 0);
	assert_true(WIFSIGNALED(join_child(spawn(begin_and_die, NULL))));
	assert_int_equal(ipk_lazy_set(l, "given", 5), 0);
	assert_value(l, "given");
	assert_int_equal(ipk_lazy_reset(l), 0);
	assert_true(WIFSIGNALED(join_child(spawn(begin_and_die, NULL))));
	ipk_segment_sweep(seg);
	assert_int_equal(l->b->deaths, 3);
	assert_int_equal(ipk_word_owner(l->b->v.word), 0);
	assert_sound();
	ipk_lazy_close(l);
}

static void a_stopped_one_is_waited_for(void **state)
{
	struct ipk_lazy *l = make(NULL);
	pid_t pid = spawn(force_slowly, NULL);
	int status;

	(void)state;
	await(ipk_ld(&stage->ready, seq_cst) == 1);
	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	ipk_segment_sweep(seg);
	assert_int_equal(ipk_lazy_force(l, text_of, "x", NULL, 0, NULL, ipk_deadline(20 * MS)),
			 -ETIMEDOUT);
	ipk_st(&stage->go, 1, seq_cst);
	assert_int_equal(kill(pid, SIGCONT), 0);
	assert_ended_well(join_child(pid));
	assert_value(l, "slow");
	ipk_lazy_close(l);
}

/* ---- reset --------------------------------------------------------------------------- */

static int reset_at_first(void *arg, struct ipk_buf *out)
{
	if (++computed == 1)
		assert_int_equal(ipk_lazy_reset(arg), 0);
	return ipk_buf_printf(out, "%u", computed);
}

static int reset_and_fail(void *arg, struct ipk_buf *out)
{
	assert_int_equal(ipk_lazy_reset(arg), 0);
	if (++computed == 1) {
		ipk_buf_str(out, "why");
		return -EDOM;
	}
	return -ENOENT;
}

static void what_comes_after_a_reset_is_not_kept(void **state)
{
	struct ipk_lazy *l = make(NULL);
	struct ipk_lazy_run old, new;
	char buf[8];

	(void)state;
	assert_int_equal(ipk_lazy_begin(l, &old, IPK_NOWAIT), 1);
	assert_int_equal(ipk_lazy_begin(l, &new, IPK_NOWAIT), -EDEADLK);
	assert_int_equal(ipk_lazy_reset(l), 0);
	assert_int_equal(ipk_lazy_begin(l, &new, IPK_NOWAIT), 1);
	assert_int_equal(ipk_lazy_done(l, &old, "old", 3), -EPERM);
	assert_int_equal(ipk_lazy_state(l), IPK_LAZY_RUNNING);
	assert_int_equal(ipk_lazy_done(l, &new, "new", 3), 0);
	assert_int_equal(ipk_lazy_abandon(l, &old), -EPERM);
	assert_int_equal(ipk_lazy_fail(l, &new, "new", 3), -EPERM);
	assert_value(l, "new");
	assert_int_equal(l->b->runs, 1);

	assert_int_equal(ipk_lazy_reset(l), 0);
	computed = 0;
	assert_int_equal(ipk_lazy_force(l, reset_at_first, l, buf, sizeof(buf), NULL, IPK_FOREVER),
			 0);
	assert_value(l, "2");
	assert_int_equal(ipk_lazy_reset(l), 0);
	computed = 0;
	assert_int_equal(ipk_lazy_force(l, reset_at_first, l, buf, sizeof(buf), NULL, IPK_NOWAIT),
			 -EAGAIN);
	assert_int_equal(ipk_lazy_state(l), IPK_LAZY_EMPTY);
	computed = 0;
	assert_int_equal(ipk_lazy_force(l, reset_and_fail, l, buf, sizeof(buf), NULL, IPK_FOREVER),
			 -ENOENT);
	assert_int_equal(ipk_lazy_state(l), IPK_LAZY_EMPTY);
	assert_sound();
	ipk_lazy_close(l);
}

static void who_waits_computes_it_after_a_reset(void **state)
{
	struct ipk_lazy *l = make(NULL);
	struct ipk_lazy_run run;
	pid_t pid;

	(void)state;
	ipk_st(&stage->go, 1, seq_cst);
	assert_int_equal(ipk_lazy_begin(l, &run, IPK_NOWAIT), 1);
	pid = spawn(force_slowly, NULL);
	await(sleepers() == 1);
	assert_int_equal(ipk_lazy_reset(l), 0);
	assert_ended_well(join_child(pid));
	assert_int_equal(ipk_lazy_done(l, &run, "mine", 4), -EPERM);
	assert_value(l, "slow");
	assert_int_equal(ipk_lazy_reset(l), 0);

	assert_int_equal(ipk_lazy_begin(l, &run, IPK_NOWAIT), 1);
	pid = spawn(force_slowly, NULL);
	await(sleepers() == 1);
	assert_int_equal(ipk_lazy_abandon(l, &run), 0);
	assert_ended_well(join_child(pid));
	assert_value(l, "slow");
	ipk_lazy_close(l);
}

/* ---- whose it is --------------------------------------------------------------------- */

static void *begin_in_thread(void *arg)
{
	static struct ipk_lazy_run run;

	return ipk_lazy_begin(arg, &run, IPK_NOWAIT) == 1 ? &run : NULL;
}

static void end_as_child(void *arg)
{
	struct ipk_lazy_run run = {.word = ((struct ipk_lazy *)arg)->b->v.word};

	must(ipk_lazy_done(arg, &run, "child", 5) == -EPERM);
	ipk_lazy_close(arg);
}

static void what_a_thread_began_is_its_processs(void **state)
{
	struct ipk_lazy *l = make(NULL), *other;
	struct ipk_lazy_run *run;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, begin_in_thread, l), 0);
	assert_int_equal(pthread_join(thread, (void **)&run), 0);
	assert_non_null(run);
	ipk_segment_sweep(seg);
	assert_int_equal(ipk_lazy_state(l), IPK_LAZY_RUNNING);
	assert_ended_well(join_child(spawn(end_as_child, l)));
	assert_int_equal(ipk_lazy_state(l), IPK_LAZY_RUNNING);
	assert_int_equal(ipk_lazy_done(l, run, "thread", 6), 0);
	assert_value(l, "thread");
	/* With its handle it goes. */
	assert_int_equal(ipk_lazy_reset(l), 0);
	other = open_lazy(seg);
	assert_non_null(begin_in_thread(other));
	ipk_lazy_close(other);
	assert_int_equal(ipk_lazy_state(l), IPK_LAZY_EMPTY);
	/* Another handle's does not. */
	other = open_lazy(seg);
	run = begin_in_thread(l);
	ipk_lazy_close(other);
	assert_int_equal(ipk_lazy_state(l), IPK_LAZY_RUNNING);
	assert_int_equal(ipk_lazy_abandon(l, run), 0);
	assert_sound();
	ipk_lazy_close(l);
}

static void force_read_only(void *arg)
{
	struct ipk_lazy *l = open_again(IPK_READ);
	struct ipk_lazy_run run = {.word = 1};
	char buf[8];

	(void)arg;
	must(ipk_lazy_force(l, text_of, "x", buf, sizeof(buf), NULL, IPK_FOREVER) == -EACCES);
	must(ipk_lazy_begin(l, &run, IPK_FOREVER) == -EACCES);
	must(ipk_lazy_set(l, "x", 1) == -EACCES);
	must(ipk_lazy_reset(l) == -EACCES);
	must(ipk_lazy_done(l, &run, "x", 1) == -EPERM);
	ipk_add(&stage->waiting, 1, seq_cst);
	must(ipk_lazy_wait(l, IPK_FOREVER) == 0);
	must(ipk_lazy_force(l, NULL, NULL, buf, sizeof(buf), NULL, IPK_FOREVER) == 0);
}

static void who_may_only_read_waits_and_reads(void **state)
{
	struct ipk_lazy *l = make(NULL);
	pid_t pid = spawn(force_read_only, NULL);

	(void)state;
	await(ipk_ld(&stage->waiting, seq_cst) == 1);
	assert_int_equal(ipk_lazy_set(l, "x", 1), 0);
	assert_ended_well(join_child(pid));
	ipk_lazy_close(l);
}

static void force_what_is_removed(void *arg)
{
	struct ipk_lazy *l = open_again(IPK_WRITE);

	(void)arg;
	must(ipk_lazy_force(l, text_of, "x", NULL, 0, NULL, IPK_FOREVER) == -ESTALE);
}

static void who_waits_for_what_is_removed_is_told(void **state)
{
	struct ipk_lazy *l = make(NULL);
	struct ipk_lazy_run run;
	pid_t pid;

	(void)state;
	assert_int_equal(ipk_lazy_begin(l, &run, IPK_NOWAIT), 1);
	pid = spawn(force_what_is_removed, NULL);
	await(sleepers() == 1);
	assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
	assert_ended_well(join_child(pid));
	/* It goes on for who has it, and its space comes back when he closes it. */
	assert_int_equal(ipk_lazy_done(l, &run, "late", 4), 0);
	assert_value(l, "late");
	ipk_lazy_close(l);
	ipk_segment_sweep(seg); /* the child has closed nothing */
	assert_int_equal(info_of("s").used, 0);
}

/* ---- all at once --------------------------------------------------------------------- */

struct epoch {
	u64 begun, half;
};

static int number(void *arg, struct ipk_buf *out)
{
	u64 n = ipk_add(&stage->computed, 1, seq_cst);
	struct epoch e = {n, ~n};

	(void)arg;
	if (n % 7 == 3)
		sched_yield();
	return ipk_buf_add(out, &e, sizeof(e));
}

static void force_and_reset(void *arg)
{
	struct ipk_lazy *l = open_again(IPK_WRITE);
	u64 seed = (u64)(intptr_t)arg, seen = 0;

	for (int i = 0; i < 400; i++) {
		u32 before = ipk_ld(&stage->computed, seq_cst);
		struct epoch e;

		if (seeded(&seed) % 4 == 0) {
			must(ipk_lazy_reset(l) == 0);
			/* What is read now has begun after this. */
			must(ipk_lazy_force(l, number, NULL, &e, sizeof(e), NULL, IPK_FOREVER) ==
			     0);
			must(e.begun >= before);
		} else {
			must(ipk_lazy_force(l, number, NULL, &e, sizeof(e), NULL, IPK_FOREVER) ==
			     0);
		}
		must(e.half == ~e.begun);
		must(e.begun >= seen || i == 0);
		seen = e.begun;
	}
}

static void nothing_from_before_a_reset_is_seen_after_it(void **state)
{
	struct ipk_lazy *l = make("{u64 begun; u64 half}");
	pid_t pid[FORCERS];
	int killed;

	(void)state;
	for (int i = 0; i < FORCERS; i++)
		pid[i] = spawn(force_and_reset, (void *)(intptr_t)(i + 1));
	/* One of them is killed somewhere. */
	await(ipk_ld(&stage->computed, seq_cst) > 20);
	killed = kill(pid[0], SIGKILL);
	assert_int_equal(killed, 0);
	join_child(pid[0]);
	for (int i = 1; i < FORCERS; i++)
		assert_ended_well(join_child(pid[i]));
	ipk_segment_sweep(seg);
	assert_sound();
	ipk_lazy_close(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_computes_and_the_others_wait),
		TEST(a_dead_one_is_replaced_by_one_who_waits),
		TEST(a_dead_one_is_replaced_by_who_comes_next),
		TEST(a_stopped_one_is_waited_for),
		TEST(what_comes_after_a_reset_is_not_kept),
		TEST(who_waits_computes_it_after_a_reset),
		TEST(what_a_thread_began_is_its_processs),
		TEST(who_may_only_read_waits_and_reads),
		TEST(who_waits_for_what_is_removed_is_told),
		TEST(nothing_from_before_a_reset_is_seen_after_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
