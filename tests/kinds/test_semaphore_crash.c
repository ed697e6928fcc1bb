/* SPDX-License-Identifier: MIT */
/* Semaphores under many processes, killed and stopped ones. */
#include "fixture_kind.h"

#include "ipk/semaphore.h"
#include "kinds/semaphore.h"

#define MS INT64_C(1000000)
#define WORKERS 4u

static void make_semaphore(u64 cap, u64 value)
{
	struct ipk_segment *seg;
	struct ipk_error err = { 0 };

	create_segment("s");
	seg = open_segment("s");
	if (ipk_semaphore_create(seg, "x", cap, value, &err) < 0)
		fail_msg("%s", err.text);
	ipk_segment_close(seg);
}

static struct ipk_semaphore *open_sem(struct ipk_segment **ret_seg)
{
	struct ipk_semaphore *sem = NULL;

	*ret_seg = open_segment("s");
	if (*ret_seg && ipk_semaphore_open(*ret_seg, "x", &sem, NULL) < 0)
		fprintf(stderr, "open failed\n");
	return sem;
}

static void close_sem(struct ipk_semaphore *sem, struct ipk_segment *seg)
{
	ipk_semaphore_close(sem);
	ipk_segment_close(seg);
}

/*
 * The oracle lies outside the segment: byte w of inside is how many permits worker w has, stored
 * after it acquired and taken away before it releases, by one instruction that also tells about the
 * others.
 */
struct oracle {
	u64 inside;
	u64 cap;
	u64 rounds[WORKERS];
	u64 limit; /* rounds, or 0: until killed */
};

struct worker {
	struct oracle *oracle;
	u32 number;
	u64 n; /* permits it wants each time; 0: varies */
};

static void enter(struct oracle *o, u32 number, u64 n)
{
	u64 all = ipk_add(&o->inside, n << 8 * number, seq_cst) + (n << 8 * number), sum = 0;

	must((all >> 8 * number & 0xff) == n);
	for (u32 i = 0; i < WORKERS; i++)
		sum += all >> 8 * i & 0xff;
	must(sum <= o->cap);
}

static void leave(struct oracle *o, u32 number)
{
	ipk_and(&o->inside, ~(UINT64_C(0xff) << 8 * number), seq_cst);
}

static void work(void *arg)
{
	const struct worker *w = arg;
	struct oracle *o = w->oracle;
	struct ipk_segment *seg;
	struct ipk_semaphore *sem = open_sem(&seg);
	u64 seed = (u64)getpid(), n;
	int r;

	must(sem);
	for (u64 round = 0; !o->limit || round < o->limit; round++) {
		n = w->n ? w->n : 1 + seeded(&seed) % o->cap;
		switch (seeded(&seed) % 4) {
		case 0: /* gives up at times: its wake must go to another */
			r = ipk_semaphore_acquire(sem, n, ipk_deadline(seeded(&seed) % 50000));
			must(r == 0 || r == -ETIMEDOUT);
			break;
		case 1:
			r = ipk_semaphore_acquire(sem, n, IPK_NOWAIT);
			must(r == 0 || r == -EAGAIN);
			break;
		default:
			r = ipk_semaphore_acquire(sem, n, IPK_FOREVER);
			must(r == 0);
		}
		if (r == 0) {
			enter(o, w->number, n);
			for (u32 spin = seeded(&seed) % 200; spin; spin--)
				ipk_pause();
			leave(o, w->number);
			must(ipk_semaphore_release(sem, n) == 0);
		}
		ipk_add(&o->rounds[w->number], 1, seq_cst);
	}
	close_sem(sem, seg);
}

static void expect_all_free(u64 cap)
{
	struct ipk_segment *seg;
	struct ipk_semaphore *sem = open_sem(&seg);

	assert_non_null(sem);
	await(ipk_segment_sweep(seg) >= 0 && ipk_semaphore_value(sem) == cap);
	assert_int_equal(ipk_semaphore_acquire(sem, cap, IPK_NOWAIT), 0);
	assert_int_equal(ipk_semaphore_release(sem, cap), 0);
	assert_int_equal(findings_of("s", "x").n, 0);
	close_sem(sem, seg);
}

static void contend(u64 cap, u64 n, u64 rounds)
{
	struct oracle *o = shared(sizeof(*o));
	struct worker w[WORKERS];
	pid_t pid[WORKERS];

	make_semaphore(cap, cap);
	o->cap = cap;
	o->limit = rounds;
	for (u32 i = 0; i < WORKERS; i++) {
		w[i] = (struct worker){ o, i, n };
		pid[i] = spawn(work, &w[i]);
	}
	for (u32 i = 0; i < WORKERS; i++)
		assert_ended_well(join_child(pid[i]));
	expect_all_free(cap);
	munmap(o, sizeof(*o));
}

static void four_processes_share_one_permit(void **state)
{
	(void)state;
	contend(1, 1, 5000);
}

static void four_processes_share_three_permits(void **state)
{
	(void)state;
	contend(3, 1, 5000);
}

static void four_processes_want_several_of_five(void **state)
{
	(void)state;
	contend(5, 0, 3000);
}

/* ---- kills ----------------------------------------------------------------------------------- */

/* Stopped first, so that the oracle forgets it before anybody can have its permits. */
static void kill_worker(struct oracle *o, u32 number, pid_t pid)
{
	stop_child(pid);
	leave(o, number);
	kill_child(pid);
}

static void kill_at_random(u64 cap, u64 n, int kills)
{
	struct oracle *o = shared(sizeof(*o));
	struct worker w[WORKERS];
	pid_t pid[WORKERS];
	u64 seed = 11;

	make_semaphore(cap, cap);
	o->cap = cap;
	for (u32 i = 0; i < WORKERS; i++) {
		w[i] = (struct worker){ o, i, n };
		pid[i] = spawn(work, &w[i]);
	}
	for (int k = 0; k < kills; k++) {
		u32 i = seeded(&seed) % WORKERS;
		u64 before = ipk_ld(&o->rounds[i], seq_cst);

		await(ipk_ld(&o->rounds[i], seq_cst) > before);
		for (u32 spin = seeded(&seed) % 3000; spin; spin--)
			ipk_pause();
		kill_worker(o, i, pid[i]);
		pid[i] = spawn(work, &w[i]);
	}
	/* All go on, whatever the dead had. */
	for (u32 i = 0; i < WORKERS; i++) {
		u64 before = ipk_ld(&o->rounds[i], seq_cst);

		await(ipk_ld(&o->rounds[i], seq_cst) > before + 10);
	}
	for (u32 i = 0; i < WORKERS; i++)
		kill_worker(o, i, pid[i]);
	expect_all_free(cap);
	munmap(o, sizeof(*o));
}

static void the_one_permit_survives_200_kills(void **state)
{
	(void)state;
	kill_at_random(1, 1, 200);
}

static void three_permits_survive_200_kills(void **state)
{
	(void)state;
	kill_at_random(3, 1, 200);
}

static void five_permits_wanted_together_survive_200_kills(void **state)
{
	(void)state;
	kill_at_random(5, 0, 200);
}

/* ---- one victim ------------------------------------------------------------------------------ */

struct stage {
	u32 there;
	u64 n;
	bool commit;
	int r;
	u32 done;
};

static void hold_and_stop(void *arg)
{
	struct stage *s = arg;
	struct ipk_segment *seg;
	struct ipk_semaphore *sem = open_sem(&seg);

	must(sem);
	must(ipk_semaphore_acquire(sem, s->n, IPK_FOREVER) == 0);
	ipk_st(&s->there, 1, seq_cst);
	raise(SIGSTOP);
}

static void wait_for_one(void *arg)
{
	struct stage *s = arg;
	struct ipk_segment *seg;
	struct ipk_semaphore *sem = open_sem(&seg);

	must(sem);
	ipk_st(&s->there, 1, seq_cst);
	s->r = ipk_semaphore_acquire(sem, s->n, IPK_FOREVER);
	ipk_st(&s->done, 1, seq_cst);
	if (s->r == 0)
		must(ipk_semaphore_release(sem, s->n) == 0);
	close_sem(sem, seg);
}

/* Somebody sleeps on the semaphore, as anybody sees from outside. */
static int one_more(void *arg, const struct ipk_participant_info *p)
{
	(void)p;
	(*(u32 *)arg)++;
	return 0;
}

static u32 sleepers(void)
{
	struct look l;
	u32 n = 0;

	look(&l, "s", "x");
	assert_true(ipk_object_waiters(&l.o, one_more, &n) >= 0);
	look_end(&l);
	return n;
}

static void a_stopped_owner_keeps_its_permit_and_a_dead_one_does_not(void **state)
{
	struct stage *victim = shared(sizeof(*victim)), *waiter = shared(sizeof(*waiter));
	struct ipk_segment *seg;
	struct ipk_semaphore *sem;
	pid_t v, w;

	(void)state;
	make_semaphore(1, 1);
	sem = open_sem(&seg);
	victim->n = waiter->n = 1;
	v = spawn(hold_and_stop, victim);
	await(ipk_ld(&victim->there, seq_cst));
	w = spawn(wait_for_one, waiter);
	await(sleepers() == 1);
	assert_int_equal(ipk_segment_sweep(seg), 0);
	assert_int_equal(ipk_semaphore_acquire(sem, 1, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_semaphore_acquire(sem, 1, ipk_deadline(MS)), -ETIMEDOUT);
	assert_int_equal(ipk_ld(&waiter->done, seq_cst), 0);
	kill_child(v);
	assert_ended_well(join_child(w)); /* nobody else looks: it woke by the death */
	assert_int_equal(waiter->r, 0);
	assert_int_equal(ipk_semaphore_value(sem), 1);
	close_sem(sem, seg);
	munmap(victim, sizeof(*victim));
	munmap(waiter, sizeof(*waiter));
}

static void several_permits_of_the_dead_wake_who_wants_several(void **state)
{
	struct stage *victim = shared(sizeof(*victim)), *waiter = shared(sizeof(*waiter));
	pid_t v, w;

	(void)state;
	make_semaphore(5, 5);
	victim->n = 3;
	waiter->n = 4;
	v = spawn(hold_and_stop, victim);
	await(ipk_ld(&victim->there, seq_cst));
	w = spawn(wait_for_one, waiter);
	await(sleepers() == 1);
	kill_child(v);
	assert_ended_well(join_child(w));
	assert_int_equal(waiter->r, 0);
	expect_all_free(5);
	munmap(victim, sizeof(*victim));
	munmap(waiter, sizeof(*waiter));
}

static void a_stopped_sleeper_does_not_swallow_a_wake_for_ever(void **state)
{
	struct stage *stopped = shared(sizeof(*stopped)), *waiter = shared(sizeof(*waiter));
	struct ipk_segment *seg;
	struct ipk_semaphore *sem;
	int status;
	pid_t s, w;

	(void)state;
	make_semaphore(1, 1);
	sem = open_sem(&seg);
	assert_int_equal(ipk_semaphore_acquire(sem, 1, IPK_NOWAIT), 0);
	stopped->n = waiter->n = 1;
	s = spawn(wait_for_one, stopped);
	await(sleepers() == 1);
	assert_int_equal(kill(s, SIGSTOP), 0);
	assert_int_equal(waitpid(s, &status, WUNTRACED), s);
	w = spawn(wait_for_one, waiter);
	await(sleepers() == 2);
	assert_int_equal(ipk_semaphore_release(sem, 1), 0); /* wakes the first, if it can */
	assert_ended_well(join_child(w));
	assert_int_equal(waiter->r, 0);
	assert_int_equal(kill(s, SIGCONT), 0);
	assert_ended_well(join_child(s));
	assert_int_equal(stopped->r, 0);
	close_sem(sem, seg);
	munmap(stopped, sizeof(*stopped));
	munmap(waiter, sizeof(*waiter));
}

static void removal_wakes_who_waits(void **state)
{
	struct stage *waiter[2] = { shared(sizeof(**waiter)), shared(sizeof(**waiter)) };
	struct ipk_segment *seg;
	struct ipk_semaphore *sem;
	pid_t pid[2];

	(void)state;
	make_semaphore(3, 0);
	sem = open_sem(&seg);
	for (int i = 0; i < 2; i++) {
		waiter[i]->n = i ? 2 : 1;
		pid[i] = spawn(wait_for_one, waiter[i]);
	}
	await(sleepers() == 2);
	assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
	for (int i = 0; i < 2; i++) {
		assert_ended_well(join_child(pid[i]));
		assert_int_equal(waiter[i]->r, -ESTALE);
		munmap(waiter[i], sizeof(*waiter[i]));
	}
	assert_int_equal(ipk_semaphore_acquire(sem, 1, IPK_FOREVER), -ESTALE);
	close_sem(sem, seg);
}

/* The steps of an acquisition of several by nobody, ended after the commit or before it. */
static void die_between_several(void *arg)
{
	struct stage *s = arg;
	struct ipk_segment *seg;
	struct ipk_semaphore *sem = open_sem(&seg);
	struct ipk_self *me;
	u64 val, owner;
	int r;

	must(sem);
	me = ipk_use(&sem->obj, &r);
	must(me && ipk_lock(me, &sem->s.body->lock, IPK_FOREVER) == 0);
	owner = IPK_CELL_P | (u64)(me->slot + 1);
	for (u64 i = 0; i < s->n; i++)
		must(ipk_cell_take(ipk_cell(&sem->s.cells, i), owner, &val));
	if (s->commit) {
		ipk_st(&sem->s.body->pend, UINT64_C(1), seq_cst);
		val = ipk_ld(ipk_cell(&sem->s.cells, 1), seq_cst);
		ipk_st(ipk_cell(&sem->s.cells, 1),
		       (val & ~(IPK_CELL_OWNER | IPK_CELL_P)) | IPK_CELL_NOBODY, seq_cst);
	}
	raise(SIGKILL);
}

static void several_cut_short_are_undone_or_completed(void **state)
{
	struct stage *s = shared(sizeof(*s));

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct ipk_segment *seg;
		struct ipk_semaphore *sem;

		make_semaphore(5, 5);
		sem = open_sem(&seg);
		s->n = 3;
		s->commit = i & 1;
		assert_true(WIFSIGNALED(join_child(spawn(die_between_several, s))));
		if (i & 2) /* the next who wants several */
			await(ipk_semaphore_acquire(sem, 2, IPK_FOREVER) == 0 &&
			      ipk_semaphore_release(sem, 2) == 0);
		else
			await(ipk_segment_sweep(seg) >= 0 &&
			      (sem->s.body->lock & IPK_LOCK_OWNER) == 0);
		assert_int_equal(ipk_semaphore_value(sem), s->commit ? 2 : 5);
		assert_int_equal(ipk_semaphore_post(sem, 3), s->commit ? 0 : -EOVERFLOW);
		assert_int_equal(findings_of("s", "x").n, 0);
		close_sem(sem, seg);
		assert_int_equal(ipk_segment_remove("s", NULL), 0);
	}
	munmap(s, sizeof(*s));
}

/* ---- descriptors ----------------------------------------------------------------------------- */

/* Takes a permit for its own child, which inherits it, and is killed. */
static void hold_for_a_child(void *arg)
{
	struct stage *s = arg;
	struct ipk_segment *seg;
	struct ipk_semaphore *sem = open_sem(&seg);
	pid_t pid;
	int fd;

	must(sem && ipk_semaphore_hold(sem, 1, IPK_FOREVER, &fd) == 0);
	pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		/* As a command that inherited it, until the test says so. */
		i64 end = ipk_now() + LIMIT_NS;

		while (!ipk_ld(&s->done, seq_cst) && ipk_now() < end)
			nap();
		_exit(0);
	}
	ipk_st(&s->there, 1, seq_cst);
	raise(SIGKILL);
}

static void a_permit_held_for_a_command_outlives_its_starter(void **state)
{
	struct stage *s = shared(sizeof(*s));
	struct ipk_segment *seg;
	struct ipk_semaphore *sem;

	(void)state;
	make_semaphore(1, 1);
	sem = open_sem(&seg);
	assert_true(WIFSIGNALED(join_child(spawn(hold_for_a_child, s))));
	ipk_segment_sweep(seg);
	assert_int_equal(ipk_semaphore_acquire(sem, 1, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_semaphore_acquire(sem, 1, ipk_deadline(MS)), -ETIMEDOUT);
	ipk_st(&s->done, 1, seq_cst);
	assert_int_equal(ipk_semaphore_acquire(sem, 1, IPK_FOREVER), 0);
	assert_int_equal(ipk_semaphore_release(sem, 1), 0);
	close_sem(sem, seg);
	munmap(s, sizeof(*s));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(four_processes_share_one_permit),
		TEST(four_processes_share_three_permits),
		TEST(four_processes_want_several_of_five),
		TEST(the_one_permit_survives_200_kills),
		TEST(three_permits_survive_200_kills),
		TEST(five_permits_wanted_together_survive_200_kills),
		TEST(a_stopped_owner_keeps_its_permit_and_a_dead_one_does_not),
		TEST(several_permits_of_the_dead_wake_who_wants_several),
		TEST(a_stopped_sleeper_does_not_swallow_a_wake_for_ever),
		TEST(removal_wakes_who_waits),
		TEST(several_cut_short_are_undone_or_completed),
		TEST(a_permit_held_for_a_command_outlives_its_starter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
