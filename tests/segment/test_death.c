/* SPDX-License-Identifier: MIT */
#include "fixture.h"

/* Permits: a word holds slot + 1 of its owner. What our kind makes good after a death. */
struct permits {
	u64 owner[8];
	u64 recoveries;
	u32 event;
	u32 in_vain; /* 1: what is to be mended cannot be now */
};

static void (*while_mending)(struct ipk_segment *seg); /* called once */

static int recover(struct ipk_obj *obj)
{
	void (*fn)(struct ipk_segment * seg) = while_mending;
	struct permits *p = body_of(obj);

	while_mending = NULL;
	if (fn)
		fn(obj->seg);
	ipk_add(&p->recoveries, 1, relaxed);
	if (ipk_ld(&p->in_vain, relaxed))
		return -ETIMEDOUT;
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

/* ---- processes ------------------------------------------------------------------------------ */

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

static void *sweep_in_a_thread(void *seg)
{
	return (void *)(intptr_t)ipk_segment_sweep(seg);
}

static void somebody_is_faster(struct ipk_segment *seg)
{
	pthread_t thread;
	void *swept;

	assert_int_equal(pthread_create(&thread, NULL, sweep_in_a_thread, seg), 0);
	assert_int_equal(pthread_join(thread, &swept), 0);
	assert_int_equal((intptr_t)swept, 1);
}

static void an_object_of_the_dead_is_freed_by_the_slower_of_two_sweepers(void **state)
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
	kill_child(pid);
	/* The faster one finds the object in use by the slower, who lists what he mends. */
	while_mending = somebody_is_faster;
	assert_int_equal(ipk_segment_sweep(seg), 0);
	assert_null(while_mending);
	assert_int_equal(info_of("s").used, used);
	assert_int_equal(info_of("s").zombies, 0);
	ipk_segment_close(seg);
}

/* ---- holders -------------------------------------------------------------------------------- */

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

/* ---- files ---------------------------------------------------------------------------------- */

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

/* ---- kills ---------------------------------------------------------------------------------- */

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

struct wordless {
	u32 there, go;
};

static void hold_without_a_word(void *arg)
{
	struct wordless *w = arg;
	struct ipk_segment *seg = open_segment("s");
	struct permits *p;

	must(seg);
	seg->robust = false; /* as on huge pages */
	p = body_of(open_object(seg, "o"));
	must(self_of(seg));
	ipk_st(&p->owner[1], (u64)self_of(seg)->slot + 1, release);
	ipk_st(&w->there, 1u, release);
	nap_until(&w->go);
}

/* A word that the kernel marks needs a private page behind it: on huge pages there is none. */
static void who_has_no_robust_word_is_known_to_live_and_to_be_dead(void **state)
{
	struct wordless *w = shared(sizeof(*w));
	struct ipk_segment *seg;
	struct permits *p;
	pid_t pid;

	(void)state;
	create_segment("s");
	seg = open_segment("s");
	create_object(seg, "o", sizeof(*p));
	p = body_of(open_object(seg, "o"));
	pid = spawn(hold_without_a_word, w);
	await(ipk_ld(&w->there, acquire));
	assert_int_equal(ipk_ld(&ipk_slot_page(seg, (u32)p->owner[1] - 1)->live, relaxed), 0);
	ipk_segment_sweep(seg);
	assert_int_not_equal(p->owner[1], 0);
	kill_child(pid);
	ipk_segment_sweep(seg);
	assert_int_equal(p->owner[1], 0);
	assert_int_equal(info_of("s").dead, 0);
	ipk_segment_close(seg);
	munmap(w, sizeof(*w));
}

#define T(name) cmocka_unit_test_setup_teardown(name, dir_setup, dir_teardown)

/* ---- sweeps in vain ------------------------------------------------------------------------- */

static void count_wakes(void *arg)
{
	struct ipk_segment *seg = open_segment("s");
	struct ipk_obj *obj = open_object(seg, "o");
	struct permits *p = body_of(obj);
	u32 *wakes = arg;

	ipk_wait_announce(self_of(seg), ipk_off(seg, &p->event));
	for (;;) {
		int r = ipk_futex_wait(&p->event, 0, IPK_FOREVER);

		must_be(r, r == 0 || r == -EINTR);
		ipk_add(wakes, r == 0, seq_cst);
	}
}

static bool sleeps(pid_t pid)
{
	char path[32], text[256] = "";
	char *state;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f || !fgets(text, sizeof(text), f))
		fail_msg("%s cannot be read", path);
	fclose(f);
	state = strrchr(text, ')');
	return state && state[2] == 'S';
}

/* Sleepers who swept would wake each other for ever. */
static void sweeps_in_vain_wake_the_sleepers_once(void **state)
{
	struct victim *v = shared(sizeof(*v));
	u32 *wakes = shared(sizeof(*wakes));
	struct ipk_segment *seg;
	struct permits *p;
	pid_t dead, sleeper;

	(void)state;
	create_segment("s");
	seg = open_segment("s");
	create_object(seg, "o", sizeof(*p));
	p = body_of(open_object(seg, "o"));
	ipk_st(&p->in_vain, 1u, relaxed);
	dead = spawn_ready(take_two_permits, v, &v->ready);
	sleeper = spawn(count_wakes, wakes);
	await(info_of("s").attached == 3);
	await(sleeps(sleeper) && ipk_futex_wake(&p->event, 1) == 1);
	await(ipk_ld(wakes, seq_cst) == 1 && sleeps(sleeper));
	kill_child(dead);
	assert_int_equal(ipk_segment_sweep(seg), 0);
	await(ipk_ld(wakes, seq_cst) == 2 && sleeps(sleeper));
	for (int i = 0; i < 10; i++) {
		assert_int_equal(ipk_segment_sweep(seg), 0);
		await(sleeps(sleeper));
	}
	assert_int_equal(ipk_ld(wakes, seq_cst), 2);
	assert_int_equal(info_of("s").dead, 1);
	ipk_st(&p->in_vain, 0u, relaxed);
	assert_int_equal(ipk_segment_sweep(seg), 1);
	await(ipk_ld(wakes, seq_cst) == 3);
	assert_int_equal(p->owner[2], 0);
	kill_child(sleeper);
	ipk_segment_close(seg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_child_is_a_participant_of_its_own),
		T(what_the_dead_held_comes_back),
		T(closing_gives_back_what_is_still_held),
		T(an_object_of_the_dead_is_freed_after_its_removal),
		T(an_object_of_the_dead_is_freed_by_the_slower_of_two_sweepers),
		T(sweeps_in_vain_wake_the_sleepers_once),
		T(a_holder_lives_as_long_as_an_inheritor),
		T(nobody_lives_in_a_copy),
		TRACE(S10, who_has_no_robust_word_is_known_to_live_and_to_be_dead),
		TRACE(S7, killed_at_any_point_of_attach_and_detach_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
