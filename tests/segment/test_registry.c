/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include <linux/futex.h>

#include "segment/registry_own.h"

#define PROCESSES 10
#define THREADS 20

const struct ipk_obj_hooks *ipk_obj_hooks(u16 kind)
{
	static const struct ipk_obj_hooks hooks;

	return kind == TEST_KIND ? &hooks : NULL;
}

struct crowd {
	u32 attached, go, failed;
	u32 slot[PROCESSES * THREADS];
	int process;
};

struct member {
	struct crowd *c;
	struct ipk_segment *seg;
	int number;
};

static void *attach_and_stay(void *arg)
{
	struct member *m = arg;
	int error = 0;
	struct ipk_self *me = ipk_self(m->seg, &error);

	if (!me) {
		fprintf(stderr, "attach: %s\n", ipk_strerror(error));
		ipk_add(&m->c->failed, 1, relaxed);
		return NULL;
	}
	m->c->slot[m->number] = me->slot;
	ipk_add(&m->c->attached, 1, release);
	while (!ipk_ld(&m->c->go, acquire))
		nap();
	return NULL;
}

static void process_of_threads(void *arg)
{
	struct crowd *c = arg;
	int process = ipk_add(&c->process, 1, relaxed);
	struct ipk_segment *seg = open_segment("s");
	struct member member[THREADS];
	pthread_t thread[THREADS];

	must(seg);
	for (int i = 0; i < THREADS; i++) {
		member[i] = (struct member){c, seg, process * THREADS + i};
		must(pthread_create(&thread[i], NULL, attach_and_stay, &member[i]) == 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	ipk_segment_close(seg);
}

static void two_hundred_attach_at_once_and_leave_nothing(void **state)
{
	struct crowd *c = shared(sizeof(*c));
	struct ipk_segment *seg;
	u32 grown = 0;

	(void)state;
	create_segment("s");
	for (int round = 0; round < 3; round++) {
		static u8 taken[IPK_SLOTS_MAX];
		pid_t pid[PROCESSES];

		memset(c, 0, sizeof(*c));
		memset(taken, 0, sizeof(taken));
		for (int i = 0; i < PROCESSES; i++)
			pid[i] = spawn(process_of_threads, c);
		await(ipk_ld(&c->attached, acquire) + ipk_ld(&c->failed, relaxed) ==
		      PROCESSES * THREADS);
		assert_int_equal(c->failed, 0);
		assert_int_equal(info_of("s").attached, PROCESSES * THREADS);
		for (int i = 0; i < PROCESSES * THREADS; i++) {
			assert_int_equal(taken[c->slot[i]], 0);
			assert_true(c->slot[i] != IPK_SLOT_REGISTRAR);
			taken[c->slot[i]] = 1;
		}
		ipk_st(&c->go, 1u, release);
		for (int i = 0; i < PROCESSES; i++)
			assert_ended_well(join_child(pid[i]));
		assert_int_equal(info_of("s").attached, 0);
		assert_int_equal(info_of("s").dead, 0);
		seg = open_segment("s");
		if (round == 0)
			grown = ipk_slot_count(seg);
		/* Slots are used again: a crowd of the same size needs no more of them. */
		assert_int_equal(ipk_slot_count(seg), grown);
		ipk_segment_close(seg);
	}
}

/* ---- threads -------------------------------------------------------------------------------- */

struct thread_task {
	struct ipk_segment *seg;
	struct ipk_self *self;
	bool hold;
	u32 joined, leave;
};

static void *attach_for_a_while(void *arg)
{
	struct thread_task *t = arg;

	t->self = self_of(t->seg);
	if (t->self && t->hold)
		ipk_hold_get(t->self);
	ipk_st(&t->joined, 1u, release);
	while (!ipk_ld(&t->leave, acquire))
		nap();
	return NULL;
}

static void start(struct thread_task *t, pthread_t *thread)
{
	assert_int_equal(pthread_create(thread, NULL, attach_for_a_while, t), 0);
	await(ipk_ld(&t->joined, acquire));
	assert_non_null(t->self);
}

static void a_thread_leaves_when_it_ends(void **state)
{
	struct thread_task t = {0};
	struct ipk_participant *p;
	pthread_t thread;
	u64 claim;

	(void)state;
	create_segment("s");
	t.seg = open_segment("s");
	start(&t, &thread);
	p = t.self->page;
	claim = ipk_ld(&p->claim, acquire);
	assert_int_equal(IPK_CLAIM_STATE(claim), IPK_CLAIM_LIVE);
	assert_true(ipk_ld(&p->live, acquire) & FUTEX_WAITERS);
	assert_int_equal(info_of("s").attached, 1);
	ipk_st(&t.leave, 1u, release);
	pthread_join(thread, NULL);
	assert_int_equal(ipk_ld(&p->claim, acquire), IPK_CLAIM((claim >> 8) + 1, IPK_CLAIM_FREE));
	assert_int_equal(ipk_ld(&p->live, acquire), 0);
	assert_int_equal(info_of("s").attached, 0);
	ipk_segment_close(t.seg);
}

static void what_a_thread_holds_outlives_it_in_the_process(void **state)
{
	struct thread_task t = {.hold = true};
	pthread_t thread;
	u32 slot;

	(void)state;
	create_segment("s");
	t.seg = open_segment("s");
	start(&t, &thread);
	slot = t.self->slot;
	ipk_st(&t.leave, 1u, release);
	pthread_join(thread, NULL);
	assert_int_equal(IPK_CLAIM_STATE(ipk_slot_page(t.seg, slot)->claim), IPK_CLAIM_HELD);
	assert_int_equal(info_of("s").attached, 1);
	assert_int_equal(ipk_segment_sweep(t.seg), 0);
	assert_false(ipk_dead(t.seg, slot, true));
	ipk_hold_put(t.self);
	assert_int_equal(IPK_CLAIM_STATE(ipk_slot_page(t.seg, slot)->claim), IPK_CLAIM_FREE);
	ipk_segment_close(t.seg);
	assert_int_equal(info_of("s").attached, 0);
	assert_int_equal(info_of("s").dead, 0);
}

static void closing_ends_other_threads_participants(void **state)
{
	struct thread_task t = {.hold = true}, other = {0};
	pthread_mutexattr_t attr;
	pthread_mutex_t robust;
	pthread_t thread, second;

	(void)state;
	create_segment("s");
	create_segment("other");
	t.seg = open_segment("s");
	other.seg = open_segment("other");
	start(&t, &thread);
	ipk_segment_close(t.seg);
	assert_int_equal(info_of("s").attached, 0);
	assert_int_equal(info_of("s").dead, 0);
	/* The thread's robust list still is a list: it ends well, and so does a user of its own. */
	start(&other, &second);
	ipk_st(&t.leave, 1u, release);
	pthread_join(thread, NULL);
	ipk_st(&other.leave, 1u, release);
	pthread_join(second, NULL);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&robust, &attr);
	assert_int_equal(pthread_mutex_lock(&robust), 0);
	assert_int_equal(pthread_mutex_unlock(&robust), 0);
	assert_int_equal(info_of("other").attached, 0);
	ipk_segment_close(other.seg);
}

/* Our nodes among the program's own robust mutexes, taken and given back in any order. */
static void the_programs_robust_mutexes_work_beside_ours(void **state)
{
	struct ipk_segment *a, *b;
	pthread_mutexattr_t attr;
	pthread_mutex_t m[4];
	struct ipk_self *self;

	(void)state;
	create_segment("a");
	create_segment("b");
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	for (int i = 0; i < 4; i++)
		pthread_mutex_init(&m[i], &attr);
	a = open_segment("a");
	b = open_segment("b");
	assert_int_equal(pthread_mutex_lock(&m[0]), 0);
	assert_non_null(self_of(a));
	assert_int_equal(pthread_mutex_lock(&m[1]), 0);
	self = self_of(b);
	assert_non_null(self);
	assert_int_equal(pthread_mutex_lock(&m[2]), 0);
	assert_int_equal(pthread_mutex_unlock(&m[1]), 0);
	ipk_segment_close(a);
	assert_int_equal(pthread_mutex_unlock(&m[0]), 0);
	assert_int_equal(pthread_mutex_lock(&m[3]), 0);
	assert_int_equal(pthread_mutex_unlock(&m[2]), 0);
	ipk_segment_close(b);
	assert_int_equal(pthread_mutex_unlock(&m[3]), 0);
}

/* ---- the registrar -------------------------------------------------------------------------- */

static void die_as_registrar(void *arg)
{
	u32 *ready = arg;
	struct ipk_segment *seg = open_segment("s");
	struct ipk_self me = {0};

	must(seg);
	me.seg = seg;
	me.slot = IPK_SLOT_REGISTRAR;
	me.page = ipk_slot_page(seg, IPK_SLOT_REGISTRAR);
	must(ipk_byte_lock(seg, IPK_SLOT_REGISTRAR, F_OFD_SETLKW) == 0);
	ipk_st(&me.page->claim, IPK_CLAIM(me.page->claim >> 8, IPK_CLAIM_HELD), release);
	must(ipk_lock(&me, &ipk_header(seg)->lock, IPK_NOWAIT) == 0);
	ipk_st(ready, 1u, release);
	for (;;)
		pause();
}

static void a_killed_registrar_is_succeeded(void **state)
{
	u32 *ready = shared(sizeof(*ready));
	struct crowd *c = shared(sizeof(*c));
	pid_t pid, crowd;

	(void)state;
	create_segment("s");
	pid = spawn(die_as_registrar, ready);
	await(ipk_ld(ready, acquire));
	/* Twenty find three slots: the registry has to grow, by a registrar who waits for this one.
	 */
	crowd = spawn(process_of_threads, c);
	kill_child(pid);
	await(ipk_ld(&c->attached, acquire) == THREADS);
	ipk_st(&c->go, 1u, release);
	assert_ended_well(join_child(crowd));
	assert_int_equal(info_of("s").attached, 0);
	assert_int_equal(info_of("s").dead, 0);
}

static void a_reader_is_no_participant(void **state)
{
	struct ipk_segment *seg;
	int error = 0;

	(void)state;
	create_segment("s");
	assert_int_equal(ipk_segment_open("s", IPK_READ, &seg, NULL), 0);
	assert_null(ipk_self(seg, &error));
	assert_int_equal(error, -EACCES);
	ipk_segment_close(seg);
	assert_int_equal(info_of("s").attached, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(two_hundred_attach_at_once_and_leave_nothing),
		T(a_thread_leaves_when_it_ends),
		T(what_a_thread_holds_outlives_it_in_the_process),
		T(closing_ends_other_threads_participants),
		TRACE(S9, the_programs_robust_mutexes_work_beside_ours),
		T(a_killed_registrar_is_succeeded),
		T(a_reader_is_no_participant),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
