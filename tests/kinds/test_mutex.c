/* SPDX-License-Identifier: MIT */
#include "fixture_one.h"

#include "ipk/mutex.h"
#include "kinds/mutex.h"

static struct ipk_mutex *open_mutex(struct ipk_segment *in)
{
	struct ipk_mutex *m = NULL;
	struct ipk_error err = { 0 };

	if (ipk_mutex_open(in, "x", &m, &err) < 0)
		fprintf(stderr, "open: %s\n", err.text);
	return m;
}

static struct ipk_mutex *make(bool recursive)
{
	struct ipk_mutex *m;
	struct ipk_error err = { 0 };

	if (ipk_mutex_create(seg, "x", recursive, &err) < 0)
		fail_msg("create: %s", err.text);
	m = open_mutex(seg);
	assert_non_null(m);
	return m;
}

static int run(const char *verb, bool hold, int *ret_fd)
{
	struct verb v = { .call = { .hold = hold } };
	int r = verb_run(&v, seg, "x", "mutex", verb, NULL, NULL, NULL);

	if (r < 0)
		assert_true(v.call.err.text[0]);
	if (ret_fd)
		*ret_fd = v.call.hold_fd;
	verb_end(&v);
	return r;
}

static void *lock_in_thread(void *arg)
{
	return (void *)(intptr_t)ipk_mutex_lock(arg, IPK_NOWAIT);
}

static void *unlock_in_thread(void *arg)
{
	return (void *)(intptr_t)ipk_mutex_unlock(arg);
}

static void one_thread_holds_it(void **state)
{
	struct ipk_mutex *m = make(false);

	(void)state;
	assert_string_equal(value(), "free");
	assert_int_equal(ipk_mutex_unlock(m), -EPERM);
	assert_int_equal(ipk_mutex_lock(m, IPK_NOWAIT), 0);
	assert_string_equal(value(), "held");
	assert_int_equal(ipk_mutex_lock(m, IPK_FOREVER), -EDEADLK);
	assert_int_equal(in_thread(lock_in_thread, m), -EAGAIN);
	assert_int_equal(in_thread(unlock_in_thread, m), -EPERM);
	assert_int_equal(ipk_mutex_consistent(m), -EINVAL);
	assert_int_equal(ipk_mutex_reset(m), -EBUSY);
	assert_int_equal(ipk_mutex_close(m), -EBUSY);
	assert_int_equal(findings_of("s", "x").n, 0);
	assert_int_equal(ipk_mutex_unlock(m), 0);
	assert_int_equal(ipk_mutex_unlock(m), -EPERM);
	assert_int_equal(ipk_mutex_close(m), 0);
}

static void a_recursive_one_is_unlocked_as_often_as_locked(void **state)
{
	struct ipk_mutex *m = make(true);

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(ipk_mutex_lock(m, IPK_FOREVER), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(in_thread(lock_in_thread, m), -EAGAIN);
		assert_int_equal(ipk_mutex_unlock(m), 0);
	}
	assert_int_equal(ipk_mutex_unlock(m), -EPERM);
	assert_string_equal(value(), "free");
	assert_int_equal(ipk_mutex_close(m), 0);
}

static void a_damaged_mutex_is_refused_and_found(void **state)
{
	struct ipk_mutex *m = make(false), *other;

	(void)state;
	m->body->recursive = 7;
	assert_int_equal(ipk_mutex_open(seg, "x", &other, NULL), -EBADMSG);
	assert_int_equal(findings_of("s", "x").n, 1);
	m->body->recursive = 0;
	m->body->word = 0x3ffe;
	assert_int_equal(findings_of("s", "x").n, 1);
	m->body->word = 0;
	assert_int_equal(ipk_mutex_close(m), 0);
}

/* ---- deaths ---------------------------------------------------------------------------------- */

#define WORKERS 4u

struct stage {
	u32 there;
	u64 counter, inside;
	u64 rounds[WORKERS];
	u32 number;
};

#include "fixture_workers.h"

static void lock_and_stop(void *arg)
{
	struct ipk_segment *mine = open_segment("s");
	struct ipk_mutex *m = open_mutex(mine);

	(void)arg;
	must(m && ipk_mutex_lock(m, IPK_FOREVER) == 0);
	ipk_st(&stage->there, 1u, seq_cst);
	raise(SIGSTOP);
}

static void die_with_it(void)
{
	kill_child(spawn_ready(lock_and_stop, NULL, &stage->there));
}

static void the_next_locker_is_told_of_the_owners_death(void **state)
{
	struct ipk_mutex *m = make(false);
	int fd = -1;

	(void)state;
	die_with_it();
	assert_int_equal(ipk_mutex_lock(m, IPK_FOREVER), -EOWNERDEAD);
	assert_string_equal(value(), "suspect");
	assert_int_equal(ipk_mutex_consistent(m), 0);
	assert_int_equal(ipk_mutex_unlock(m), 0);
	assert_int_equal(ipk_mutex_lock(m, IPK_NOWAIT), 0);
	assert_int_equal(ipk_mutex_unlock(m), 0);
	/* The news is not lost by a sweep, nor by a second death. */
	die_with_it();
	await(ipk_segment_sweep(seg) >= 0 && ipk_mutex_owner(m->body->word) == 0);
	assert_int_equal(run("lock", true, &fd), -EOWNERDEAD);
	assert_int_equal(fd, -1);
	assert_int_equal(ipk_mutex_lock(m, IPK_FOREVER), -EOWNERDEAD);
	/* Unlocked without a word: lost to all. */
	assert_int_equal(ipk_mutex_unlock(m), 0);
	assert_int_equal(ipk_mutex_lock(m, IPK_FOREVER), -ENOTRECOVERABLE);
	assert_int_equal(run("lock", true, &fd), -EOWNERDEAD);
	assert_string_equal(value(), "lost");
	assert_int_equal(run("reset", false, NULL), 0);
	assert_string_equal(value(), "free");
	assert_int_equal(ipk_mutex_lock(m, IPK_NOWAIT), 0);
	assert_int_equal(ipk_mutex_unlock(m), 0);
	assert_int_equal(ipk_mutex_close(m), 0);
}

static void a_stopped_owner_keeps_it(void **state)
{
	struct ipk_mutex *m = make(false);
	pid_t pid;

	(void)state;
	pid = spawn_ready(lock_and_stop, NULL, &stage->there);
	assert_int_equal(ipk_mutex_lock(m, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_mutex_lock(m, ipk_deadline(MS)), -ETIMEDOUT);
	assert_int_equal(ipk_mutex_reset(m), -EBUSY);
	kill_child(pid);
	assert_int_equal(ipk_mutex_lock(m, IPK_FOREVER), -EOWNERDEAD);
	assert_int_equal(ipk_mutex_consistent(m), 0);
	assert_int_equal(ipk_mutex_unlock(m), 0);
	assert_int_equal(ipk_mutex_close(m), 0);
}

static void a_descriptor_lets_go_in_order(void **state)
{
	struct ipk_mutex *m = make(false);
	int fd = -1;

	(void)state;
	assert_int_equal(run("lock", true, &fd), 0);
	assert_string_equal(value(), "held");
	assert_int_equal(ipk_mutex_lock(m, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_mutex_unlock(m), -EPERM);
	close(fd);
	assert_int_equal(ipk_mutex_lock(m, IPK_FOREVER), 0);
	assert_int_equal(ipk_mutex_unlock(m), 0);
	assert_int_equal(ipk_mutex_close(m), 0);
}

/* inside is who is in it; only one may be, and what it protects is whole unless the owner died. */
static void work(void *arg)
{
	u32 number = stage->number;
	struct ipk_segment *mine = open_segment("s");
	struct ipk_mutex *m = open_mutex(mine);
	u64 seed = (u64)getpid(), none;
	int r;

	(void)arg;
	must(m);
	ipk_st(&stage->there, 1u, seq_cst);
	for (;;) {
		r = ipk_mutex_lock(m, seeded(&seed) % 4 ? IPK_FOREVER : ipk_deadline(20000));
		if (r == -ETIMEDOUT)
			continue;
		must(r == 0 || r == -EOWNERDEAD);
		none = 0;
		must(ipk_cas(&stage->inside, &none, number + 1, seq_cst));
		stage->counter++;
		none = number + 1;
		must(ipk_cas(&stage->inside, &none, 0, seq_cst));
		if (r == -EOWNERDEAD)
			must(ipk_mutex_consistent(m) == 0);
		must(ipk_mutex_unlock(m) == 0);
		ipk_add(&stage->rounds[number], 1, seq_cst);
	}
}

static void forget(u32 number)
{
	u64 in = number + 1;

	ipk_cas(&stage->inside, &in, 0, seq_cst);
}

static void it_excludes_through_200_kills(void **state)
{
	struct workers w = {.work = work, .forget = forget};

	(void)state;
	ipk_mutex_close(make(false));
	kill_workers(&w, 200);
	await(ipk_segment_sweep(seg) >= 0 && strcmp(value(), "held") != 0);
	assert_int_equal(findings_of("s", "x").n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_thread_holds_it),
		TEST(a_recursive_one_is_unlocked_as_often_as_locked),
		TEST(a_damaged_mutex_is_refused_and_found),
		TRACE_IN(E3, the_next_locker_is_told_of_the_owners_death, stage_setup,
			 stage_teardown),
		STAGED(a_stopped_owner_keeps_it),
		TEST(a_descriptor_lets_go_in_order),
		STAGED(it_excludes_through_200_kills),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
