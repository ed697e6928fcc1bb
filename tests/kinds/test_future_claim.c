/* SPDX-License-Identifier: MIT */
#include "future_test.h"

#include <sys/ptrace.h>

static void *set_in_thread(void *arg)
{
	return (void *)(intptr_t)ipk_future_set(arg, "v", 1);
}

static void *claim_in_thread(void *arg)
{
	return (void *)(intptr_t)ipk_future_claim(arg);
}

static void set_refused(void *arg)
{
	struct ipk_future *f = open_again(IPK_WRITE);

	(void)arg;
	must(ipk_future_state(f) == IPK_FUTURE_CLAIMED);
	must(ipk_future_set(f, "w", 1) == -EBUSY);
	must(ipk_future_fail(f, "w", 1) == -EBUSY);
	must(ipk_future_claim(f) == -EBUSY);
	must(ipk_future_reset(f) == -EBUSY);
	must(ipk_future_abandon(f) == -EPERM);
}

static void what_is_claimed_its_process_alone_sets(void **state)
{
	struct ipk_future *f = make(NULL);

	(void)state;
	assert_int_equal(ipk_future_abandon(f), -EPERM);
	assert_int_equal(ipk_future_claim(f), 0);
	assert_int_equal(ipk_future_claim(f), -EBUSY);
	assert_int_equal(ipk_future_state(f), IPK_FUTURE_CLAIMED);
	assert_int_equal(ipk_future_await(f, IPK_NOWAIT), -EAGAIN);
	assert_ended_well(join_child(spawn(set_refused, NULL)));
	assert_int_equal(in_thread(set_in_thread, f), 0);
	assert_value(f, "v");
	assert_int_equal(ipk_future_reset(f), 0);
	/* The thread ends, the process stays. */
	assert_int_equal(in_thread(claim_in_thread, f), 0);
	ipk_segment_sweep(seg);
	assert_int_equal(ipk_future_state(f), IPK_FUTURE_CLAIMED);
	assert_int_equal(ipk_future_set(f, "w", 1), 0);
	assert_value(f, "w");
	assert_int_equal(findings_of("s", "x").n, 0);
	ipk_future_close(f);
}

static void who_gives_up_breaks_it(void **state)
{
	struct ipk_future *f = make(NULL), *g;

	(void)state;
	assert_int_equal(ipk_future_claim(f), 0);
	assert_int_equal(ipk_future_abandon(f), 0);
	assert_int_equal(ipk_future_state(f), IPK_FUTURE_BROKEN);
	assert_int_equal(ipk_future_set(f, "w", 1), -EOWNERDEAD);
	assert_int_equal(ipk_future_claim(f), -EOWNERDEAD);
	assert_int_equal(ipk_future_await(f, IPK_FOREVER), -EOWNERDEAD);
	assert_int_equal(ipk_future_reset(f), 0);
	g = open_future(seg);
	assert_int_equal(ipk_future_claim(g), 0);
	ipk_future_close(g);
	assert_int_equal(ipk_future_state(f), IPK_FUTURE_BROKEN);
	assert_int_equal(ipk_future_reset(f), 0);
	/* Another handle's claim is not given up with this one. */
	g = open_future(seg);
	assert_int_equal(ipk_future_claim(f), 0);
	ipk_future_close(g);
	assert_int_equal(ipk_future_state(f), IPK_FUTURE_CLAIMED);
	assert_int_equal(ipk_future_set(f, "w", 1), 0);
	ipk_future_close(f);
}

static void close_inherited(void *arg)
{
	ipk_future_close(arg);
}

static void a_forked_child_does_not_give_up_its_parents_claim(void **state)
{
	struct ipk_future *f = make(NULL);

	(void)state;
	assert_int_equal(ipk_future_claim(f), 0);
	assert_ended_well(join_child(spawn(close_inherited, f)));
	assert_int_equal(ipk_future_state(f), IPK_FUTURE_CLAIMED);
	assert_int_equal(ipk_future_set(f, "w", 1), 0);
	ipk_future_close(f);
}

struct stage {
	u32 ready, go, waiting, ended;
	int result;
};

static void claim_and_die(void *arg)
{
	struct stage *s = arg;
	struct ipk_future *f = open_again(IPK_WRITE);

	must(ipk_future_claim(f) == 0);
	ipk_st(&s->ready, 1, seq_cst);
	nap_until(&s->go);
	raise(SIGKILL);
}

static void await_broken(void *arg)
{
	struct stage *s = arg;
	struct ipk_future *f = open_again(IPK_WRITE);

	ipk_add(&s->waiting, 1, seq_cst);
	must(ipk_future_await(f, IPK_FOREVER) == -EOWNERDEAD);
	ipk_add(&s->ended, 1, seq_cst);
}

static void await_broken_read_only(void *arg)
{
	struct stage *s = arg;
	struct ipk_future *f = open_again(IPK_READ);

	must(ipk_future_set(f, "v", 1) == -EACCES);
	must(ipk_future_claim(f) == -EACCES);
	must(ipk_future_reset(f) == -EACCES);
	must(ipk_future_then(f, "v", 1) == -EACCES);
	ipk_add(&s->waiting, 1, seq_cst);
	must(ipk_future_await(f, IPK_FOREVER) == -EOWNERDEAD);
	ipk_add(&s->ended, 1, seq_cst);
}

static void a_dead_claimant_breaks_it_and_hangs_nobody(void **state)
{
	struct stage *s = shared(sizeof(*s));
	struct ipk_future *f = make(NULL);
	pid_t claimant, waiter[3];

	(void)state;
	claimant = spawn(claim_and_die, s);
	await(ipk_ld(&s->ready, seq_cst));
	for (int i = 0; i < 3; i++)
		waiter[i] = spawn(i ? await_broken : await_broken_read_only, s);
	await(ipk_ld(&s->waiting, seq_cst) == 3);
	assert_int_equal(ipk_ld(&s->ended, seq_cst), 0);
	ipk_st(&s->go, 1, seq_cst);
	assert_true(WIFSIGNALED(join_child(claimant)));
	for (int i = 0; i < 3; i++)
		assert_ended_well(join_child(waiter[i]));
	assert_int_equal(ipk_future_set(f, "v", 1), -EOWNERDEAD);
	assert_int_equal(ipk_future_state(f), IPK_FUTURE_BROKEN);
	ipk_segment_sweep(seg);
	assert_int_equal(findings_of("s", "x").n, 0);
	assert_int_equal(ipk_future_reset(f), 0);
	assert_int_equal(ipk_future_set(f, "v", 1), 0);
	ipk_future_close(f);
	munmap(s, sizeof(*s));
}

static void set_inherited(void *arg)
{
	struct ipk_future *f = open_again(IPK_WRITE);

	(void)arg;
	must(ipk_future_set(f, "child", 5) == 0);
}

static void hold_until(void *arg)
{
	struct stage *s = arg;

	ipk_st(&s->ready, 1, seq_cst);
	nap_until(&s->go);
}

static void a_descriptors_claim_ends_with_its_last_copy(void **state)
{
	struct stage *s = shared(sizeof(*s));
	struct ipk_future *f = make(NULL);
	pid_t pid;
	int fd;

	(void)state;
	assert_int_equal(ipk_future_hold(f, &fd), 0);
	assert_int_equal(ipk_future_hold(f, &fd), -EBUSY);
	assert_ended_well(join_child(spawn(set_inherited, NULL)));
	assert_value(f, "child");
	close(fd);
	ipk_segment_sweep(seg);
	assert_value(f, "child");
	assert_int_equal(ipk_future_reset(f), 0);

	assert_int_equal(ipk_future_hold(f, &fd), 0);
	pid = spawn(hold_until, s);
	await(ipk_ld(&s->ready, seq_cst));
	close(fd);
	ipk_segment_sweep(seg);
	assert_int_equal(ipk_future_state(f), IPK_FUTURE_CLAIMED);
	kill_child(pid);
	assert_int_equal(ipk_future_await(f, IPK_FOREVER), -EOWNERDEAD);
	ipk_future_close(f);
	munmap(s, sizeof(*s));
}

/* ---- what was decided before the death, and is not yet stored ------------------------ */

static void set_traced(void *arg)
{
	struct ipk_future *f = open_again(IPK_WRITE);

	(void)arg;
	must(f && ipk_future_claim(f) == 0);
	must(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
	raise(SIGSTOP);
	ipk_future_set(f, "kept", 4);
}

static void leave_traced(void *arg)
{
	struct ipk_future *f = open_again(IPK_WRITE);

	(void)arg;
	must(f && ipk_future_state(f) == IPK_FUTURE_CLAIMED);
	must(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
	raise(SIGSTOP);
	ipk_future_then(f, "x", 1);
}

static pid_t begin_traced(void (*fn)(void *arg))
{
	pid_t pid = spawn(fn, NULL);
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	return pid;
}

/* Instruction by instruction until *word is not what it was. */
static void step_to_change(pid_t pid, u64 *word)
{
	u64 before = ipk_ld(word, acquire);
	int status;

	while (ipk_ld(word, acquire) == before) {
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, 0, 0), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
	}
}

/*
 * The claimant dies between commit and storing, and so does the next holder of the segment's lock,
 * who had not come to do it for him. It is set; nobody is to see it broken first.
 */
static void what_a_dead_claimant_had_set_is_set(void **state)
{
	struct ipk_future *f = make("str"), *reader;
	struct ipk_header *h = ipk_header(seg);
	pid_t setter, helper;
	struct ipk_segment *ro;
	int seen[2];

	(void)state;
	assert_int_equal(ipk_segment_open("s", IPK_READ, &ro, NULL), 0);
	reader = open_future(ro);
	setter = begin_traced(set_traced);
	helper = begin_traced(leave_traced);
	step_to_change(setter, &h->journal.n);
	assert_int_equal(ipk_word_state(f->b->v.word), IPK_FUT_PENDING);
	kill_child(setter);
	step_to_change(helper, &h->lock);
	assert_int_not_equal(h->journal.n, 0);
	seen[0] = ipk_future_await(reader, IPK_NOWAIT);
	seen[1] = ipk_future_await(f, IPK_NOWAIT);
	kill_child(helper); /* before anything fails: who ends the test would wait for it */
	assert_int_equal(seen[0], -EAGAIN);
	assert_int_equal(seen[1], -EAGAIN);
	assert_int_equal(ipk_future_await(reader, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_future_await(f, IPK_NOWAIT), 0);
	assert_value(f, "kept");
	assert_value(reader, "kept");
	assert_int_equal(ipk_future_state(f), IPK_FUTURE_SET);
	ipk_future_close(reader);
	ipk_segment_close(ro);
	ipk_future_close(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_claimed_its_process_alone_sets),
		TEST(who_gives_up_breaks_it),
		TEST(a_forked_child_does_not_give_up_its_parents_claim),
		TEST(a_dead_claimant_breaks_it_and_hangs_nobody),
		TEST(a_descriptors_claim_ends_with_its_last_copy),
		TEST(what_a_dead_claimant_had_set_is_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
