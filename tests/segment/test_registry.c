/* SPDX-License-Identifier: MIT */
#include "fixture.h"

#include <linux/futex.h>

#include "segment/registry_own.h"

#define PROCESSES 10
#define THREADS 20

/* Permits: a word holds slot + 1 of its owner. What our kind makes good after a death. */
struct permits {
	u64 owner[8];
	u64 recoveries;
};

static int recover(struct ipk_obj *obj)
{
	struct permits *p = body_of(obj);

	ipk_add(&p->recoveries, 1, relaxed);
	for (u32 i = 0; i < IPK_ARRAY_LEN(p->owner); i++) {
		u64 owner = ipk_ld(&p->owner[i], acquire);

		if (owner && ipk_dead(obj->seg, (u32)owner - 1, true))
			ipk_cas(&p->owner[i], &owner, UINT64_C(0), acq_rel);
	}
	return 0;
}

const struct ipk_obj_hooks *ipk_obj_hooks(u16 kind)
{
	static const struct ipk_obj_hooks hooks = {.recover = recover};

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

/* ---- threads ---------------------------------------------------------------------------------- */

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

/* ---- processes --------------------------------------------------------------------------------- */

struct family {
	struct ipk_segment *seg;
	u32 slot, child_slot;
	u32 ready, child_ready, stop;
	pid_t child;
};

static struct family *family;

static void grandchild_of_a_user(void)
{
	struct ipk_self *me;

	prctl(PR_SET_PDEATHSIG, 0); /* it outlives its parent, and is ended by the test */
	me = self_of(family->seg);
	must(me);
	must(me->slot != family->slot);
	family->child_slot = me->slot;
	ipk_st(&family->child_ready, 1u, release);
	nap_until(&family->stop);
	ipk_segment_close(family->seg);
	_exit(0);
}

static void user_who_forks(void *unused)
{
	struct ipk_self *me;
	pid_t pid;

	(void)unused;
	family->seg = open_segment("s");
	must(family->seg);
	me = self_of(family->seg);
	must(me);
	family->slot = me->slot;
	pid = fork();
	if (pid == 0)
		grandchild_of_a_user();
	family->child = pid;
	ipk_st(&family->ready, 1u, release);
	for (;;)
		pause();
}

static void a_child_is_a_participant_of_its_own(void **state)
{
	struct ipk_participant_info p;
	struct ipk_view *view;
	pid_t pid;

	(void)state;
	create_segment("s");
	family = shared(sizeof(*family));
	/* So that the grandchild can be waited for. */
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	pid = spawn(user_who_forks, NULL);
	await(ipk_ld(&family->ready, acquire) && ipk_ld(&family->child_ready, acquire));
	assert_int_equal(info_of("s").attached, 2);
	kill_child(pid);
	/* Its byte is free, though its child lives on and had inherited the descriptor. */
	assert_int_equal(ipk_view_open("s", &view, NULL), 0);
	assert_int_equal(ipk_view_participant(view, family->slot, &p), 0);
	assert_false(p.alive);
	assert_int_equal(p.pid, pid);
	assert_int_equal(ipk_view_participant(view, family->child_slot, &p), 0);
	assert_true(p.alive);
	assert_int_equal(p.pid, family->child);
	ipk_view_close(view);
	ipk_st(&family->stop, 1u, release);
	assert_ended_well(join_child(family->child));
	assert_int_equal(info_of("s").attached, 0);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

struct victim {
	u32 ready;
	u32 slot;
};

static void take_two_permits(void *arg)
{
	struct victim *v = arg;
	struct ipk_segment *seg = open_segment("s");
	struct ipk_obj *obj = seg ? open_object(seg, "o") : NULL;
	struct permits *p;

	must(obj);
	p = body_of(obj);
	v->slot = self_of(seg)->slot;
	ipk_st(&p->owner[2], v->slot + 1, release);
	ipk_st(&p->owner[5], v->slot + 1, release);
	ipk_st(&v->ready, 1u, release);
	for (;;)
		pause();
}

static void what_the_dead_held_comes_back(void **state)
{
	struct victim *v = shared(sizeof(*v));
	struct ipk_segment *seg;
	struct permits *p;
	struct ipk_obj *obj;
	pid_t pid;

	(void)state;
	create_segment("s");
	seg = open_segment("s");
	create_object(seg, "o", sizeof(*p));
	obj = open_object(seg, "o");
	p = body_of(obj);
	pid = spawn(take_two_permits, v);
	await(ipk_ld(&v->ready, acquire));
	p->owner[0] = self_of(seg)->slot + 1;
	assert_int_equal(ipk_segment_sweep(seg), 0);
	kill_child(pid);
	assert_int_equal(info_of("s").dead, 1);
	assert_true(ipk_dead(seg, v->slot, false));
	assert_int_equal(ipk_segment_sweep(seg), 1);
	assert_int_equal(p->owner[2], 0);
	assert_int_equal(p->owner[5], 0);
	assert_int_equal(p->owner[0], self_of(seg)->slot + 1);
	assert_int_equal(info_of("s").dead, 0);
	ipk_obj_close(obj);
	ipk_segment_close(seg);
}

static void closing_gives_back_what_is_still_held(void **state)
{
	struct ipk_segment *seg, *other;
	struct permits *p;

	(void)state;
	create_segment("s");
	other = open_segment("s");
	create_object(other, "o", sizeof(*p));
	p = body_of(open_object(other, "o"));
	seg = open_segment("s");
	assert_non_null(open_object(seg, "o"));
	p->owner[1] = self_of(seg)->slot + 1;
	ipk_segment_close(seg);
	assert_int_equal(p->owner[1], 0);
	assert_int_equal(info_of("s").attached, 1);
	assert_int_equal(info_of("s").dead, 0);
	ipk_segment_close(other);
}

static void removed_while_the_dead_used_it(void *arg)
{
	take_two_permits(arg);
}

static void an_object_of_the_dead_is_freed_after_its_removal(void **state)
{
	struct victim *v = shared(sizeof(*v));
	struct ipk_segment *seg;
	u64 used;
	pid_t pid;

	(void)state;
	create_segment("s");
	seg = open_segment("s");
	used = info_of("s").used;
	create_object(seg, "o", 100000);
	pid = spawn(removed_while_the_dead_used_it, v);
	await(ipk_ld(&v->ready, acquire));
	assert_int_equal(ipk_object_remove(seg, "o", NULL), 0);
	assert_true(info_of("s").used > used); /* somebody uses it */
	kill_child(pid);
	assert_int_equal(ipk_segment_sweep(seg), 1);
	assert_int_equal(info_of("s").used, used);
	assert_int_equal(info_of("s").zombies, 0);
	ipk_segment_close(seg);
}

/* ---- the registrar ------------------------------------------------------------------------------ */

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
	/* Twenty find three slots: the registry has to grow, by a registrar who waits for this one. */
	crowd = spawn(process_of_threads, c);
	kill_child(pid);
	await(ipk_ld(&c->attached, acquire) == THREADS);
	ipk_st(&c->go, 1u, release);
	assert_ended_well(join_child(crowd));
	assert_int_equal(info_of("s").attached, 0);
	assert_int_equal(info_of("s").dead, 0);
}

/* ---- holders ------------------------------------------------------------------------------------ */

struct lease {
	u32 ready, slot, stop;
	pid_t inheritor;
};

static void acquire_for_a_command(void *arg)
{
	struct lease *l = arg;
	struct ipk_segment *seg = open_segment("s");
	struct ipk_obj *obj = seg ? open_object(seg, "o") : NULL;
	struct permits *p;
	pid_t pid;
	int fd;

	must(obj);
	p = body_of(obj);
	must(ipk_holder_new(seg, &fd, &l->slot) == 0);
	must(ipk_holder_use(obj, l->slot) == 0);
	ipk_st(&p->owner[3], l->slot + 1, release);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, 0);
		nap_until(&l->stop);
		_exit(0);
	}
	l->inheritor = pid;
	ipk_holder_set_pid(seg, l->slot, (u32)l->inheritor);
	close(fd);
	ipk_st(&l->ready, 1u, release);
	for (;;)
		pause();
}

static void a_holder_lives_as_long_as_an_inheritor(void **state)
{
	struct lease *l = shared(sizeof(*l));
	struct ipk_participant_info info;
	struct ipk_segment *seg;
	struct ipk_view *view;
	struct permits *p;
	pid_t pid;

	(void)state;
	create_segment("s");
	seg = open_segment("s");
	create_object(seg, "o", sizeof(*p));
	p = body_of(open_object(seg, "o"));
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	pid = spawn(acquire_for_a_command, l);
	await(ipk_ld(&l->ready, acquire));
	kill_child(pid);
	assert_int_equal(ipk_segment_sweep(seg), 1); /* the process; the holder lives */
	assert_int_equal(p->owner[3], l->slot + 1);
	assert_int_equal(ipk_view_open("s", &view, NULL), 0);
	assert_int_equal(ipk_view_participant(view, l->slot, &info), 0);
	assert_true(info.alive);
	assert_string_equal(info.role, "holder");
	assert_string_equal(info.state, "held");
	assert_int_equal(info.pid, l->inheritor);
	ipk_st(&l->stop, 1u, release);
	assert_ended_well(join_child(l->inheritor));
	assert_int_equal(ipk_segment_sweep(seg), 1);
	assert_int_equal(p->owner[3], 0);
	assert_int_equal(ipk_view_participant(view, l->slot, &info), -ENOENT);
	ipk_view_close(view);
	ipk_segment_close(seg);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

/* ---- files ---------------------------------------------------------------------------------------- */

static void copy_file(const char *from, const char *to)
{
	char a[128], b[128], buf[65536];
	int in, out;
	ssize_t n;

	snprintf(a, sizeof(a), "%s/%s.ipk", test_dir, from);
	snprintf(b, sizeof(b), "%s/%s.ipk", test_dir, to);
	in = open(a, O_RDONLY);
	out = open(b, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_true(in >= 0 && out >= 0);
	while ((n = read(in, buf, sizeof(buf))) > 0)
		assert_int_equal(write(out, buf, (size_t)n), n);
	close(in);
	close(out);
}

static void nobody_lives_in_a_copy(void **state)
{
	struct ipk_segment *seg, *copy;
	struct permits *p;

	(void)state;
	create_segment("s");
	seg = open_segment("s");
	create_object(seg, "o", sizeof(*p));
	p = body_of(open_object(seg, "o"));
	p->owner[4] = self_of(seg)->slot + 1;
	copy_file("s", "copy");
	assert_int_equal(info_of("copy").attached, 0);
	assert_int_equal(info_of("copy").dead, 1);
	copy = open_segment("copy");
	assert_non_null(self_of(copy)); /* the first to attach sweeps */
	assert_int_equal(info_of("copy").attached, 1);
	assert_int_equal(info_of("copy").dead, 0);
	assert_int_equal(((struct permits *)body_of(open_object(copy, "o")))->owner[4], 0);
	assert_int_equal(p->owner[4], self_of(seg)->slot + 1);
	ipk_segment_close(copy);
	ipk_segment_close(seg);
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

/* ---- kills ----------------------------------------------------------------------------------------- */

struct churn {
	u64 rounds;
	u32 stop;
};

static void attach_and_detach(void *arg)
{
	struct churn *c = arg;

	while (!ipk_ld(&c->stop, relaxed)) {
		struct ipk_segment *seg = open_segment("s");
		struct ipk_obj *obj;
		struct permits *p;
		struct ipk_self *me;
		u64 none = 0;

		must(seg);
		obj = open_object(seg, "o");
		must(obj);
		p = body_of(obj);
		me = self_of(seg);
		if (ipk_cas(&p->owner[me->slot % 8], &none, (u64)me->slot + 1, acq_rel))
			ipk_st(&p->owner[me->slot % 8], UINT64_C(0), release);
		ipk_obj_close(obj);
		ipk_segment_close(seg);
		ipk_add(&c->rounds, 1, relaxed);
	}
}

static void killed_at_any_point_of_attach_and_detach_leaves_nothing(void **state)
{
	struct churn *c = shared(sizeof(*c));
	struct ipk_segment *seg;
	struct permits *p;
	pid_t pid[4];
	u64 seed = (u64)getpid();

	(void)state;
	create_segment("s");
	seg = open_segment("s");
	create_object(seg, "o", sizeof(*p));
	p = body_of(open_object(seg, "o"));
	for (int i = 0; i < 4; i++)
		pid[i] = spawn(attach_and_detach, c);
	for (int k = 0; k < 300; k++) {
		u64 before = ipk_ld(&c->rounds, relaxed);
		u32 i = seeded(&seed) % 4;

		await(ipk_ld(&c->rounds, relaxed) > before);
		for (u32 n = seeded(&seed) % 20000; n; n--)
			ipk_pause();
		kill_child(pid[i]);
		pid[i] = spawn(attach_and_detach, c);
	}
	ipk_st(&c->stop, 1u, relaxed);
	for (int i = 0; i < 4; i++)
		assert_ended_well(join_child(pid[i]));
	ipk_segment_sweep(seg);
	assert_int_equal(info_of("s").attached, 1);
	assert_int_equal(info_of("s").dead, 0);
	for (int i = 0; i < 8; i++)
		assert_int_equal(p->owner[i], 0);
	assert_true(ipk_slot_count(seg) < 200);
	ipk_segment_close(seg);
}

#define T(name) cmocka_unit_test_setup_teardown(name, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(two_hundred_attach_at_once_and_leave_nothing),
		T(a_thread_leaves_when_it_ends),
		T(what_a_thread_holds_outlives_it_in_the_process),
		T(closing_ends_other_threads_participants),
		T(the_programs_robust_mutexes_work_beside_ours),
		T(a_child_is_a_participant_of_its_own),
		T(what_the_dead_held_comes_back),
		T(closing_gives_back_what_is_still_held),
		T(an_object_of_the_dead_is_freed_after_its_removal),
		T(a_killed_registrar_is_succeeded),
		T(a_holder_lives_as_long_as_an_inheritor),
		T(nobody_lives_in_a_copy),
		T(a_reader_is_no_participant),
		T(killed_at_any_point_of_attach_and_detach_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
