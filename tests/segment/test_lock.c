/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#define WORKERS 4
#define KILLS 200

/* What the lock protects: a and b are equal whenever nobody is inside. */
struct guarded {
	u64 lock;
	u64 a, b;
};

/* Outside of the segment: what the workers know they did. */
struct oracle {
	u64 acks[WORKERS];
	u64 repairs;
	u32 stop;
	u32 ready;
	i64 when;
	u32 torn;
	int result;
	bool fallback;
};

const struct ipk_obj_hooks *ipk_obj_hooks(u16 kind)
{
	static const struct ipk_obj_hooks hooks;

	return kind == TEST_KIND ? &hooks : NULL;
}

struct task {
	struct oracle *o;
	int id;
};

static struct guarded *attach(struct ipk_self **ret_me)
{
	struct ipk_segment *seg = open_segment("s");
	struct ipk_obj *obj = seg ? open_object(seg, "g") : NULL;

	must(obj);
	*ret_me = self_of(seg);
	must(*ret_me);
	return body_of(obj);
}

static void increment(struct ipk_self *me, struct guarded *g, struct oracle *o)
{
	int r = ipk_lock(me, &g->lock, IPK_FOREVER);

	must(r == 0 || r == 1);
	if (r == 1) {
		ipk_add(&o->repairs, 1, relaxed);
		ipk_st(&g->b, ipk_ld(&g->a, relaxed), relaxed);
	}
	if (ipk_ld(&g->a, relaxed) != ipk_ld(&g->b, relaxed))
		ipk_st(&o->torn, 1u, relaxed);
	ipk_st(&g->a, ipk_ld(&g->a, relaxed) + 1, relaxed);
	ipk_st(&g->b, ipk_ld(&g->b, relaxed) + 1, relaxed);
	ipk_unlock(me, &g->lock);
}

static void worker(void *arg)
{
	struct task *t = arg;
	struct ipk_self *me;
	struct guarded *g = attach(&me);

	while (!ipk_ld(&t->o->stop, relaxed)) {
		increment(me, g, t->o);
		ipk_add(&t->o->acks[t->id], 1, relaxed);
	}
}

static u64 total(struct oracle *o)
{
	u64 sum = 0;

	for (int i = 0; i < WORKERS; i++)
		sum += ipk_ld(&o->acks[i], relaxed);
	return sum;
}

static void prepare(struct ipk_segment **ret_seg, struct guarded **ret_g)
{
	create_segment("s");
	*ret_seg = open_segment("s");
	assert_non_null(*ret_seg);
	create_object(*ret_seg, "g", sizeof(struct guarded));
	*ret_g = body_of(open_object(*ret_seg, "g"));
}

static void killed_workers_never_lose_the_lock(void **state)
{
	struct oracle *o = shared(sizeof(*o));
	struct ipk_segment *seg;
	struct guarded *g;
	struct task task[WORKERS];
	pid_t pid[WORKERS];
	u64 seed = (u64)getpid();

	(void)state;
	prepare(&seg, &g);
	for (int i = 0; i < WORKERS; i++) {
		task[i] = (struct task){o, i};
		pid[i] = spawn(worker, &task[i]);
	}
	for (int k = 0; k < KILLS; k++) {
		u64 before = total(o);
		u32 i = seeded(&seed) % WORKERS;

		/* Somewhere in its work: after some progress, and a few instructions more. */
		await(total(o) > before + 3);
		for (u32 n = seeded(&seed) % 3000; n; n--)
			ipk_pause();
		kill_child(pid[i]);
		pid[i] = spawn(worker, &task[i]);
	}
	ipk_st(&o->stop, 1u, relaxed);
	for (int i = 0; i < WORKERS; i++)
		assert_ended_well(join_child(pid[i]));
	assert_int_equal(o->torn, 0);
	/* All that was acknowledged, and at most one more for each who was killed. */
	assert_true(g->a >= total(o) && g->a <= total(o) + KILLS);
	assert_int_equal(ipk_lock(self_of(seg), &g->lock, IPK_NOWAIT) < 0, 0);
	ipk_unlock(self_of(seg), &g->lock);
	print_message("%llu increments, %llu taken over from the dead\n", (unsigned long long)g->a,
		      (unsigned long long)o->repairs);
	ipk_segment_sweep(seg);
	assert_int_equal(info_of("s").attached, 1);
	assert_int_equal(info_of("s").dead, 0);
	ipk_segment_close(seg);
}

static void hold(void *arg)
{
	struct oracle *o = arg;
	struct ipk_self *me;
	struct guarded *g = attach(&me);

	must(ipk_lock(me, &g->lock, IPK_FOREVER) >= 0);
	ipk_st(&o->ready, 1u, release);
	while (!ipk_ld(&o->stop, acquire))
		nap();
	ipk_unlock(me, &g->lock);
}

static void block(void *arg)
{
	struct oracle *o = arg;
	struct ipk_self *me;
	struct guarded *g = attach(&me);

	ipk_futex_waitv_disable(o->fallback);
	o->result = ipk_lock(me, &g->lock, IPK_FOREVER);
	o->when = ipk_now();
	must(o->result >= 0);
	ipk_unlock(me, &g->lock);
}

/* Somebody announced that he sleeps on the lock. */
static bool somebody_waits(struct ipk_segment *seg)
{
	for (u32 slot = 0; slot < ipk_slot_count(seg); slot++)
		if (ipk_ld(&ipk_slot_page(seg, slot)->nwait, acquire))
			return true;
	return false;
}

static int by_value(const void *a, const void *b)
{
	i64 x = *(const i64 *)a, y = *(const i64 *)b;

	return (x > y) - (x < y);
}

static void survivor_gets_the_lock(bool fallback, int rounds)
{
	struct oracle *o = shared(sizeof(*o));
	struct ipk_segment *seg;
	struct guarded *g;
	i64 took[64];

	prepare(&seg, &g);
	for (int i = 0; i < rounds; i++) {
		pid_t holder, waiter;
		i64 killed;

		memset(o, 0, sizeof(*o));
		o->fallback = fallback;
		holder = spawn(hold, o);
		await(ipk_ld(&o->ready, acquire));
		waiter = spawn(block, o);
		await(somebody_waits(seg));
		killed = ipk_now();
		kill_child(holder);
		assert_ended_well(join_child(waiter));
		assert_int_equal(o->result, 1);
		took[i] = o->when - killed;
	}
	qsort(took, (size_t)rounds, sizeof(took[0]), by_value);
	print_message("from SIGKILL to the survivor's lock: median %lld us\n",
		      (long long)took[rounds / 2] / 1000);
	ipk_segment_close(seg);
}

static void a_survivor_gets_a_killed_holders_lock(void **state)
{
	(void)state;
	survivor_gets_the_lock(false, 21);
}

static void a_survivor_gets_it_without_futex_waitv_too(void **state)
{
	(void)state;
	survivor_gets_the_lock(true, 5);
}

static void a_stopped_holder_is_not_dead(void **state)
{
	struct oracle *o = shared(sizeof(*o));
	struct ipk_segment *seg;
	struct guarded *g;
	pid_t holder;
	int status;

	(void)state;
	prepare(&seg, &g);
	holder = spawn(hold, o);
	await(ipk_ld(&o->ready, acquire));
	assert_int_equal(kill(holder, SIGSTOP), 0);
	assert_int_equal(waitpid(holder, &status, WUNTRACED), holder);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(ipk_lock(self_of(seg), &g->lock, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_lock(self_of(seg), &g->lock, ipk_deadline(300000000)), -ETIMEDOUT);
	assert_int_equal(kill(holder, SIGCONT), 0);
	ipk_st(&o->stop, 1u, release);
	assert_int_equal(ipk_lock(self_of(seg), &g->lock, IPK_FOREVER), 0);
	ipk_unlock(self_of(seg), &g->lock);
	assert_ended_well(join_child(holder));
	ipk_segment_close(seg);
}

static void a_dead_holders_lock_is_had_without_waiting(void **state)
{
	struct oracle *o = shared(sizeof(*o));
	struct ipk_segment *seg;
	struct guarded *g;
	pid_t holder;

	(void)state;
	prepare(&seg, &g);
	holder = spawn(hold, o);
	await(ipk_ld(&o->ready, acquire));
	kill_child(holder);
	assert_int_equal(ipk_lock(self_of(seg), &g->lock, IPK_NOWAIT), 1);
	ipk_unlock(self_of(seg), &g->lock);
	assert_int_equal(ipk_lock(self_of(seg), &g->lock, IPK_NOWAIT), 0);
	ipk_unlock(self_of(seg), &g->lock);
	ipk_segment_close(seg);
}

/* Releases the lock and dies before it wakes anybody: the first trace that broke this lock. */
static void release_and_die(void *arg)
{
	struct oracle *o = arg;
	struct ipk_self *me;
	struct guarded *g = attach(&me);

	must(ipk_lock(me, &g->lock, IPK_FOREVER) == 0);
	ipk_st(&o->ready, 1u, release);
	while (!ipk_ld(&o->stop, acquire))
		nap();
	ipk_and(&g->lock, ~(IPK_LOCK_OWNER | IPK_LOCK_W), release);
	kill(getpid(), SIGKILL);
}

static void a_wake_that_died_with_its_waker_is_not_missed(void **state)
{
	struct ipk_segment *seg;
	struct guarded *g;

	(void)state;
	ipk_wait_backstop = IPK_FOREVER;
	prepare(&seg, &g);
	for (int i = 0; i < 20; i++) {
		struct oracle *o = shared(sizeof(*o));
		pid_t waker = spawn(release_and_die, o), waiter;

		await(ipk_ld(&o->ready, acquire));
		waiter = spawn(block, o);
		await(ipk_ld(&g->lock, acquire) & IPK_LOCK_W);
		await(somebody_waits(seg));
		ipk_st(&o->stop, 1u, release);
		assert_ended_well(join_child(waiter));
		assert_int_equal(o->result, 0);
		join_child(waker);
	}
	ipk_segment_close(seg);
}

static void signalled(int sig)
{
	(void)sig;
}

static void wait_to_be_interrupted(void *arg)
{
	struct oracle *o = arg;
	struct sigaction sa = {.sa_handler = signalled}; /* without SA_RESTART */
	struct ipk_self *me;
	struct guarded *g = attach(&me);

	sigaction(SIGUSR1, &sa, NULL);
	o->result = ipk_lock(me, &g->lock, IPK_FOREVER);
}

static void a_signal_ends_the_wait(void **state)
{
	struct oracle *o = shared(sizeof(*o));
	struct ipk_segment *seg;
	struct guarded *g;
	pid_t waiter;

	(void)state;
	prepare(&seg, &g);
	assert_int_equal(ipk_lock(self_of(seg), &g->lock, IPK_NOWAIT), 0);
	waiter = spawn(wait_to_be_interrupted, o);
	await(somebody_waits(seg));
	/* It announced itself, and is about to sleep: signals that come too early are sent again.
	 */
	await(kill(waiter, SIGUSR1) == 0 && ipk_ld(&o->result, relaxed) != 0);
	assert_int_equal(o->result, -EINTR);
	ipk_unlock(self_of(seg), &g->lock);
	assert_ended_well(join_child(waiter));
	ipk_segment_close(seg);
}

struct crowd {
	struct ipk_segment *seg;
	struct guarded *g;
};

static void *thread_increments(void *arg)
{
	struct crowd *c = arg;
	struct ipk_self *me = self_of(c->seg);

	for (int i = 0; me && i < 20000; i++) {
		if (ipk_lock(me, &c->g->lock, IPK_FOREVER) != 0)
			break;
		ipk_st(&c->g->a, ipk_ld(&c->g->a, relaxed) + 1, relaxed);
		ipk_unlock(me, &c->g->lock);
	}
	return NULL;
}

static void threads_exclude_each_other(void **state)
{
	struct crowd c;
	pthread_t thread[4];

	(void)state;
	prepare(&c.seg, &c.g);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, thread_increments, &c), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(c.g->a, 80000);
	assert_int_equal(info_of("s").attached, 1);
	ipk_segment_close(c.seg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(killed_workers_never_lose_the_lock, dir_setup,
						dir_teardown),
		cmocka_unit_test_setup_teardown(a_survivor_gets_a_killed_holders_lock, dir_setup,
						dir_teardown),
		cmocka_unit_test_setup_teardown(a_survivor_gets_it_without_futex_waitv_too,
						dir_setup, dir_teardown),
		cmocka_unit_test_setup_teardown(a_stopped_holder_is_not_dead, dir_setup,
						dir_teardown),
		cmocka_unit_test_setup_teardown(a_dead_holders_lock_is_had_without_waiting,
						dir_setup, dir_teardown),
		TRACE(E1, a_wake_that_died_with_its_waker_is_not_missed),
		cmocka_unit_test_setup_teardown(a_signal_ends_the_wait, dir_setup, dir_teardown),
		cmocka_unit_test_setup_teardown(threads_exclude_each_other, dir_setup,
						dir_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
