/* SPDX-License-Identifier: MIT */
/*
 * In these tests the backstop of a sleep is switched off: whoever depends on it hangs, and the test
 * fails at its limit.
 */
#include "fixture.h"

#include <linux/futex.h>
#include <sys/syscall.h>

#define WAITERS 3
#define KILLS 200

struct counter {
	u32 ev[8];
	u64 items;
	u64 other;
};

const struct ipk_obj_hooks *ipk_obj_hooks(u16 kind)
{
	static const struct ipk_obj_hooks hooks;

	return kind == TEST_KIND ? &hooks : NULL;
}

static struct counter *attach(struct ipk_segment **ret_seg, struct ipk_self **ret_me)
{
	struct ipk_obj *obj;

	ipk_wait_backstop = IPK_FOREVER;
	*ret_seg = open_segment("s");
	must(*ret_seg);
	obj = open_object(*ret_seg, "o");
	must(obj);
	*ret_me = self_of(*ret_seg);
	must(*ret_me);
	return body_of(obj);
}

static struct counter *prepare(struct ipk_segment **ret_seg, struct ipk_self **ret_me)
{
	struct ipk_segment *seg;

	create_segment("s");
	seg = open_segment("s");
	assert_non_null(seg);
	create_object(seg, "o", sizeof(struct counter));
	ipk_segment_close(seg);
	return attach(ret_seg, ret_me);
}

static int take(u64 *items)
{
	u64 n = ipk_ld(items, acquire);

	while (n)
		if (ipk_cas(items, &n, n - 1, acq_rel))
			return 0;
	return -EAGAIN;
}

/* The loop of segment.h. */
static int take_wait(struct ipk_self *me, u64 *items, u32 *ev, i64 deadline)
{
	struct ipk_waiter wait;

	for (;;) {
		int r = take(items), r2 = 0;

		if (r != -EAGAIN || deadline == IPK_NOWAIT)
			return r;
		ipk_event_arm(me, &wait, &ev, 1);
		r = take(items);
		if (r == -EAGAIN)
			r2 = ipk_event_sleep(me, &wait, deadline);
		ipk_event_disarm(me, &wait);
		if (r != -EAGAIN)
			return r;
		if (r2 < 0)
			return r2;
	}
}

static void give(u64 *items, u32 *ev)
{
	ipk_add(items, 1, release);
	ipk_event_notify(ev, 1);
}

struct game {
	u64 taken[WAITERS];
	u64 given;
	u32 stop, ready;
	int id, result;
	u32 cancel;
	bool fallback;
};

/* ---- ping-pong ------------------------------------------------------------------------------ */

static void pong(void *arg)
{
	struct game *g = arg;
	struct ipk_segment *seg;
	struct ipk_self *me;
	struct counter *c = attach(&seg, &me);

	ipk_futex_waitv_disable(g->fallback);
	for (u64 i = 0; i < g->given; i++) {
		must(take_wait(me, &c->items, &c->ev[0], IPK_FOREVER) == 0);
		give(&c->other, &c->ev[1]);
	}
	ipk_segment_close(seg);
}

static void ping_pong(bool fallback, u64 rounds)
{
	struct game *g = shared(sizeof(*g));
	struct ipk_segment *seg;
	struct ipk_self *me;
	struct counter *c = prepare(&seg, &me);
	i64 began;
	pid_t pid;

	g->given = rounds;
	g->fallback = fallback;
	pid = spawn(pong, g);
	began = ipk_now();
	for (u64 i = 0; i < rounds; i++) {
		give(&c->items, &c->ev[0]);
		assert_int_equal(take_wait(me, &c->other, &c->ev[1], IPK_FOREVER), 0);
	}
	print_message("%lld ns a round\n", (long long)(ipk_now() - began) / (long long)rounds);
	assert_ended_well(join_child(pid));
	ipk_segment_close(seg);
}

static void two_processes_wake_each_other(void **state)
{
	(void)state;
	ping_pong(false, 10000);
}

static void they_do_without_futex_waitv_too(void **state)
{
	(void)state;
	ping_pong(true, 300);
}

/* ---- kills ---------------------------------------------------------------------------------- */

static void take_all(void *arg)
{
	struct game *g = arg;
	int id = (int)ipk_add(&g->ready, 1, relaxed) % WAITERS;
	struct ipk_segment *seg;
	struct ipk_self *me;
	struct counter *c = attach(&seg, &me);

	for (;;) {
		int r = take_wait(me, &c->items, &c->ev[0], IPK_FOREVER);

		must(r == 0);
		ipk_add(&g->taken[id], 1, relaxed);
	}
}

/* Gives one at a time, when nothing is left: so that takers sleep again and again. */
static void give_slowly(void *arg)
{
	struct game *g = arg;
	struct ipk_segment *seg;
	struct ipk_self *me;
	struct counter *c = attach(&seg, &me);

	for (;;) {
		give(&c->items, &c->ev[0]);
		ipk_add(&g->given, 1, relaxed);
		while (ipk_ld(&c->items, acquire) && !ipk_ld(&g->stop, relaxed))
			ipk_pause();
		/* Long enough for some of them to fall asleep. */
		for (int i = 0; i < 3000; i++)
			ipk_pause();
	}
}

static void no_wake_is_lost_when_wakers_are_killed(void **state)
{
	struct game *g = shared(sizeof(*g));
	struct ipk_segment *seg;
	struct ipk_self *me;
	struct counter *c = prepare(&seg, &me);
	pid_t taker[WAITERS], giver;
	u64 seed = (u64)getpid();

	(void)state;
	for (int i = 0; i < WAITERS; i++)
		taker[i] = spawn(take_all, g);
	await(ipk_ld(&g->ready, relaxed) == WAITERS);
	for (int k = 0; k < KILLS; k++) {
		u64 before = ipk_ld(&g->given, relaxed);

		giver = spawn(give_slowly, g);
		await(ipk_ld(&g->given, relaxed) > before);
		for (u32 n = seeded(&seed) % 5000; n; n--)
			ipk_pause();
		kill_child(giver);
		/* Whatever the dead one gave, somebody takes: nobody else is there to wake them. */
		await(ipk_ld(&c->items, acquire) == 0);
	}
	for (int i = 0; i < WAITERS; i++)
		kill_child(taker[i]);
	ipk_segment_close(seg);
}

static void give_and_die_before_waking(void *arg)
{
	struct game *g = arg;
	struct ipk_segment *seg;
	struct ipk_self *me;
	struct counter *c = attach(&seg, &me);

	ipk_st(&g->ready, 1u, release);
	while (!ipk_ld(&g->stop, acquire))
		nap();
	ipk_add(&c->items, 1, release);
	kill(getpid(), SIGKILL);
}

static u32 sleepers(struct ipk_segment *seg)
{
	u32 n = 0;

	for (u32 slot = 0; slot < ipk_slot_count(seg); slot++)
		n += ipk_ld(&ipk_slot_page(seg, slot)->nwait, acquire) != 0;
	return n;
}

static void a_change_whose_maker_died_before_waking_is_noticed(void **state)
{
	struct game *g = shared(sizeof(*g));
	struct ipk_segment *seg;
	struct ipk_self *me;
	struct counter *c = prepare(&seg, &me);
	pid_t taker[WAITERS];

	(void)state;
	for (int i = 0; i < WAITERS; i++)
		taker[i] = spawn(take_all, g);
	await(ipk_ld(&g->ready, relaxed) == WAITERS);
	for (int k = 0; k < 20; k++) {
		struct game *last = shared(sizeof(*last));
		pid_t giver = spawn(give_and_die_before_waking, last);

		await(ipk_ld(&last->ready, acquire));
		await(sleepers(seg) == WAITERS);
		ipk_st(&last->stop, 1u, release);
		await(ipk_ld(&c->items, acquire) == 0 &&
		      ipk_ld(&g->taken[0], relaxed) + ipk_ld(&g->taken[1], relaxed) +
				      ipk_ld(&g->taken[2], relaxed) >
			      (u64)k);
		join_child(giver);
	}
	for (int i = 0; i < WAITERS; i++)
		kill_child(taker[i]);
	ipk_segment_close(seg);
}

static void no_wake_is_lost_when_sleepers_are_killed(void **state)
{
	struct game *g = shared(sizeof(*g));
	struct ipk_segment *seg;
	struct ipk_self *me;
	struct counter *c = prepare(&seg, &me);
	pid_t taker[WAITERS];
	u64 seed = (u64)getpid();

	(void)state;
	for (int i = 0; i < WAITERS; i++)
		taker[i] = spawn(take_all, g);
	for (int k = 0; k < KILLS; k++) {
		u32 i = seeded(&seed) % WAITERS;

		give(&c->items, &c->ev[0]);
		for (u32 n = seeded(&seed) % 5000; n; n--)
			ipk_pause();
		/* Perhaps the one who was woken, on its way to the item. */
		kill_child(taker[i]);
		await(ipk_ld(&c->items, acquire) == 0);
		taker[i] = spawn(take_all, g);
	}
	for (int i = 0; i < WAITERS; i++)
		kill_child(taker[i]);
	ipk_segment_close(seg);
}

/* ---- ends of a wait ------------------------------------------------------------------------- */

static void a_deadline_ends_the_wait(void **state)
{
	struct ipk_segment *seg;
	struct ipk_self *me;
	struct counter *c = prepare(&seg, &me);
	i64 deadline = ipk_deadline(50000000);

	(void)state;
	assert_int_equal(take_wait(me, &c->items, &c->ev[0], deadline), -ETIMEDOUT);
	assert_true(ipk_now() >= deadline);
	assert_int_equal(ipk_ld(&me->page->nwait, relaxed), 0);
	assert_int_equal(take_wait(me, &c->items, &c->ev[0], ipk_deadline(-5)), -ETIMEDOUT);
	assert_int_equal(take_wait(me, &c->items, &c->ev[0], IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_deadline(INT64_MAX), IPK_FOREVER);
	ipk_segment_close(seg);
}

static void wait_until_cancelled(void *arg)
{
	struct game *g = arg;
	struct ipk_segment *seg;
	struct ipk_self *me;
	struct counter *c = attach(&seg, &me);

	ipk_thread_cancel_word(&g->cancel);
	g->result = take_wait(me, &c->items, &c->ev[0], IPK_FOREVER);
	ipk_thread_cancel_word(NULL);
	ipk_segment_close(seg);
}

static void *cancel_target(void *arg)
{
	wait_until_cancelled(arg);
	return NULL;
}

static bool somebody_waits(struct ipk_segment *seg, struct ipk_self *but)
{
	for (u32 slot = 0; slot < ipk_slot_count(seg); slot++)
		if (slot != but->slot && ipk_ld(&ipk_slot_page(seg, slot)->nwait, acquire))
			return true;
	return false;
}

static void a_cancel_word_ends_the_wait(void **state)
{
	struct game g = {0};
	struct ipk_segment *seg;
	struct ipk_self *me;
	pthread_t thread;

	(void)state;
	prepare(&seg, &me);
	assert_int_equal(pthread_create(&thread, NULL, cancel_target, &g), 0);
	await(somebody_waits(seg, me));
	ipk_st(&g.cancel, 1u, release);
	syscall(SYS_futex, &g.cancel, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
	pthread_join(thread, NULL);
	assert_int_equal(g.result, -ECANCELED);
	ipk_segment_close(seg);
}

static void wait_in_removed(void *arg)
{
	struct game *g = arg;
	struct ipk_segment *seg;
	struct ipk_self *me;
	struct counter *c = attach(&seg, &me);

	g->result = take_wait(me, &c->items, &c->ev[0], IPK_FOREVER);
	ipk_segment_close(seg);
}

static void removal_of_the_segment_ends_the_wait(void **state)
{
	struct game *g = shared(sizeof(*g));
	struct ipk_segment *seg;
	struct ipk_self *me;
	pid_t pid;

	(void)state;
	prepare(&seg, &me);
	pid = spawn(wait_in_removed, g);
	await(somebody_waits(seg, me));
	assert_int_equal(ipk_segment_remove("s", NULL), 0);
	assert_ended_well(join_child(pid));
	assert_int_equal(g->result, -ESTALE);
	ipk_segment_close(seg);
}

static void signalled(int sig)
{
	(void)sig;
}

static void wait_to_be_interrupted(void *arg)
{
	struct sigaction sa = {.sa_handler = signalled}; /* without SA_RESTART */

	sigaction(SIGUSR1, &sa, NULL);
	wait_in_removed(arg);
}

static void a_signal_ends_the_wait(void **state)
{
	struct game *g = shared(sizeof(*g));
	struct ipk_segment *seg;
	struct ipk_self *me;
	pid_t pid;

	(void)state;
	prepare(&seg, &me);
	pid = spawn(wait_to_be_interrupted, g);
	await(somebody_waits(seg, me));
	/* It is about to sleep: signals that come too early are sent again. */
	await(kill(pid, SIGUSR1) == 0 && ipk_ld(&g->result, relaxed) != 0);
	assert_int_equal(g->result, -EINTR);
	assert_ended_well(join_child(pid));
	ipk_segment_close(seg);
}

/* ---- many ----------------------------------------------------------------------------------- */

static void take_one(void *arg)
{
	struct game *g = arg;
	struct ipk_segment *seg;
	struct ipk_self *me;
	struct counter *c = attach(&seg, &me);

	ipk_add(&g->ready, 1, relaxed);
	must(take_wait(me, &c->items, &c->ev[0], IPK_FOREVER) == 0);
	ipk_segment_close(seg);
}

/* More than one futex_waitv can watch: some of the deaths are noticed by asking. */
static void more_sleepers_than_can_be_watched_get_what_they_wait_for(void **state)
{
	enum { N = 150 };
	struct game *g = shared(sizeof(*g));
	struct ipk_segment *seg;
	struct ipk_self *me;
	struct counter *c = prepare(&seg, &me);
	pid_t pid[N];

	(void)state;
	for (int i = 0; i < N; i++)
		pid[i] = spawn(take_one, g);
	await(ipk_ld(&g->ready, relaxed) == N);
	for (int i = 0; i < N; i++)
		give(&c->items, &c->ev[0]);
	for (int i = 0; i < N; i++)
		assert_ended_well(join_child(pid[i]));
	assert_int_equal(c->items, 0);
	ipk_segment_close(seg);
}

static void wait_for_either(void *arg)
{
	struct game *g = arg;
	struct ipk_segment *seg;
	struct ipk_self *me;
	struct counter *c = attach(&seg, &me);
	u32 *const ev[] = {&c->ev[0], &c->ev[1]};
	struct ipk_waiter wait;
	int r = -EAGAIN;

	while (r == -EAGAIN) {
		ipk_event_arm(me, &wait, ev, 2);
		if ((r = take(&c->items)) == -EAGAIN && (r = take(&c->other)) == -EAGAIN)
			must(ipk_event_sleep(me, &wait, IPK_FOREVER) == 0);
		ipk_event_disarm(me, &wait);
	}
	g->result = r;
	ipk_segment_close(seg);
}

static void one_of_several_events_wakes(void **state)
{
	struct game *g = shared(sizeof(*g));
	struct ipk_segment *seg;
	struct ipk_self *me;
	struct counter *c = prepare(&seg, &me);

	(void)state;
	for (int i = 0; i < 20; i++) {
		pid_t pid = spawn(wait_for_either, g);

		await(somebody_waits(seg, me));
		if (i % 2)
			give(&c->other, &c->ev[1]);
		else
			give(&c->items, &c->ev[0]);
		assert_ended_well(join_child(pid));
	}
	ipk_segment_close(seg);
}

/* ---- whom a sleeper watches ----------------------------------------------------------------- */

static void *hold_and_end(void *arg)
{
	struct ipk_self *me = self_of(arg);

	if (me)
		ipk_hold_get(me);
	return me;
}

static void leave_an_orphan(void *arg)
{
	struct game *g = arg;
	struct ipk_segment *seg = open_segment("s");
	pthread_t thread;
	void *held;

	must(seg);
	must(pthread_create(&thread, NULL, hold_and_end, seg) == 0);
	must(pthread_join(thread, &held) == 0 && held);
	ipk_st(&g->ready, 1u, release);
	while (ipk_ld(&g->stop, acquire) < 1)
		nap();
	must(self_of(seg));
	ipk_st(&g->ready, 2u, release);
	while (ipk_ld(&g->stop, acquire) < 2)
		nap();
	ipk_segment_close(seg);
}

static void what_a_thread_left_behind_is_watched_through_its_process(void **state)
{
	struct game *g = shared(sizeof(*g));
	struct ipk_waiter wait;
	struct ipk_segment *seg;
	struct ipk_self *me;
	pid_t pid;

	(void)state;
	prepare(&seg, &me);
	pid = spawn(leave_an_orphan, g);
	await(ipk_ld(&g->ready, acquire) == 1);
	ipk_wait_watch(me, &wait);
	assert_int_equal(wait.nlive, 0);
	assert_true(wait.slices); /* nothing but its byte tells */
	ipk_st(&g->stop, 1u, release);
	await(ipk_ld(&g->ready, acquire) == 2);
	ipk_wait_watch(me, &wait);
	assert_int_equal(wait.nlive, 1);
	assert_false(wait.slices);
	ipk_st(&g->stop, 2u, release);
	assert_ended_well(join_child(pid));
	ipk_wait_watch(me, &wait);
	assert_int_equal(wait.nlive, 0);
	assert_false(wait.slices);
	assert_false(wait.dead);
	ipk_segment_close(seg);
}

/* Goes through a whole spin: false where there is none. */
static bool spin_in_vain(void)
{
	struct ipk_spin spin = {0};
	bool any = ipk_spin(&spin);

	while (ipk_spin(&spin))
		;
	return any;
}

static void spin_well(void)
{
	struct ipk_spin spin = {0};

	assert_true(ipk_spin(&spin));
}

#define LESSONS 10000

static void who_spins_in_vain_stops_and_a_short_sleep_begins_it_anew(void **state)
{
	unsigned spins = 0, n;

	(void)state;
	/* Long sleeps teach nothing, and there is always a little to be had. */
	for (n = 0; n < 100; n++) {
		assert_true(spin_in_vain());
		ipk_spin_learn(1000000);
	}
	/* As of two on one processor: each sleep is short, and no spin ends well. */
	for (n = 0; n < LESSONS; n++) {
		ipk_spin_learn(3000);
		spins += spin_in_vain();
	}
	assert_true(spins > 0 && spins < LESSONS / 50);
	assert_false(spin_in_vain());
	/* One of them moves to another. */
	for (n = 0; n < LESSONS; n++) {
		struct ipk_spin spin = {0};

		ipk_spin_learn(3000);
		if (ipk_spin(&spin))
			break;
	}
	assert_true(n < LESSONS);
	for (n = 0; n < 100; n++)
		spin_well();
	assert_true(spin_in_vain());
}

static void tests_can_forbid_spinning(void **state)
{
	struct ipk_spin spin = {0};

	(void)state;
	ipk_wait_spins = false;
	assert_false(ipk_spin(&spin));
	ipk_wait_spins = true;
	assert_true(ipk_spin(&spin));
}

#define T(name) cmocka_unit_test_setup_teardown(name, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(two_processes_wake_each_other),
		T(they_do_without_futex_waitv_too),
		T(no_wake_is_lost_when_wakers_are_killed),
		TRACE(S2, a_change_whose_maker_died_before_waking_is_noticed),
		TRACE(S5, no_wake_is_lost_when_sleepers_are_killed),
		T(a_deadline_ends_the_wait),
		T(a_cancel_word_ends_the_wait),
		T(removal_of_the_segment_ends_the_wait),
		T(a_signal_ends_the_wait),
		T(more_sleepers_than_can_be_watched_get_what_they_wait_for),
		T(one_of_several_events_wakes),
		T(what_a_thread_left_behind_is_watched_through_its_process),
		T(who_spins_in_vain_stops_and_a_short_sleep_begins_it_anew),
		T(tests_can_forbid_spinning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
