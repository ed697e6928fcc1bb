/* SPDX-License-Identifier: MIT */
/* Reader-writer locks: what deaths leave, and that nobody reads beside a writer. */
#include "fixture_rwlock.h"

#define WORKERS 4u

struct stage {
	u32 there;
	u32 number;
	u32 stop;
	u64 writer; /* number + 1 of who writes */
	u32 reading[WORKERS];
	u64 rounds[WORKERS];
	u64 a, b; /* what the lock protects: equal, unless a writer died */
};

#include "fixture_workers.h"

enum hold { READ, WRITE, CLAIM };

static void hold_and_stop(void *arg)
{
	enum hold how = (enum hold)(intptr_t)arg;
	struct ipk_rwlock *l = open_lock(open_segment("s"));

	must(l);
	if (how == READ)
		must(ipk_rwlock_lock_shared(l, IPK_FOREVER) == 0);
	else if (how == WRITE)
		must(ipk_rwlock_lock(l, IPK_FOREVER) == 0);
	else
		ipk_rwlock_lock(l, IPK_FOREVER);
	ipk_st(&stage->there, 1u, seq_cst);
	raise(SIGSTOP);
}

/* A child that has the lock, or waits with its claim. */
static pid_t held(struct ipk_rwlock *l, enum hold how)
{
	pid_t pid;

	ipk_st(&stage->there, 0u, seq_cst);
	pid = spawn(hold_and_stop, (void *)(intptr_t)how);
	await(ipk_ld(&stage->there, seq_cst) || (how == CLAIM && is_claimed(l)));
	return pid;
}

static void dead_readers_are_in_nobodys_way(void **state)
{
	struct ipk_rwlock *l = make(4);
	pid_t pid[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		pid[i] = held(l, READ);
	assert_int_equal(ipk_rwlock_lock(l, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_rwlock_lock(l, ipk_deadline(MS)), -ETIMEDOUT);
	for (int i = 0; i < 3; i++)
		kill_child(pid[i]);
	assert_int_equal(ipk_rwlock_lock(l, IPK_FOREVER), 0);
	assert_int_equal(ipk_rwlock_unlock(l), 0);
	/* Nor in that of who wants their place. */
	for (int i = 0; i < 4; i++)
		kill_child(held(l, READ));
	assert_int_equal(ipk_rwlock_lock_shared(l, IPK_FOREVER), 0);
	assert_int_equal(ipk_rwlock_unlock(l), 0);
	assert_int_equal(findings_of("s", "x").n, 0);
	assert_int_equal(ipk_rwlock_close(l), 0);
}

static void *write_waiting(void *arg)
{
	struct ipk_rwlock *l = arg;
	int r = ipk_rwlock_lock(l, IPK_FOREVER);

	if (r == 0)
		r = ipk_rwlock_unlock(l);
	return (void *)(intptr_t)r;
}

static void *write_if_free(void *arg)
{
	struct ipk_rwlock *l = arg;
	int r = ipk_rwlock_lock(l, IPK_NOWAIT);

	if (r == 0)
		r = ipk_rwlock_unlock(l);
	return (void *)(intptr_t)r;
}

static void a_dead_reader_wakes_the_writer(void **state)
{
	struct ipk_rwlock *l = make(4);
	pid_t pid = held(l, READ);
	pthread_t thread;
	void *r;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, write_waiting, l), 0);
	await(ipk_ld(&l->s.body->ev_drain, seq_cst) & IPK_EV_W);
	kill_child(pid);
	assert_int_equal(pthread_join(thread, &r), 0);
	assert_null(r);
	assert_int_equal(ipk_rwlock_close(l), 0);
}

static void the_next_writer_is_told_of_a_writers_death_and_readers_are_refused(void **state)
{
	struct ipk_rwlock *l = make(4);
	int fd = -1;

	(void)state;
	kill_child(held(l, WRITE));
	assert_int_equal(ipk_rwlock_lock_shared(l, IPK_FOREVER), -EOWNERDEAD);
	assert_int_equal(ipk_rwlock_unlock(l), -EPERM);
	assert_int_equal(ipk_rwlock_hold(l, false, IPK_FOREVER, &fd), -EOWNERDEAD);
	assert_int_equal(ipk_rwlock_hold(l, true, IPK_FOREVER, &fd), -EOWNERDEAD);
	assert_string_equal(value(), "suspect");
	assert_int_equal(ipk_rwlock_lock(l, IPK_FOREVER), -EOWNERDEAD);
	assert_int_equal(ipk_rwlock_consistent(l), 0);
	assert_int_equal(ipk_rwlock_consistent(l), -EINVAL);
	assert_int_equal(ipk_rwlock_unlock(l), 0);
	assert_int_equal(ipk_rwlock_lock_shared(l, IPK_FOREVER), 0);
	assert_int_equal(ipk_rwlock_unlock(l), 0);
	/* The news is not lost by a sweep; unlocked without a word: lost to all. */
	kill_child(held(l, WRITE));
	await(ipk_segment_sweep(seg) >= 0 && ipk_mutex_owner(l->s.body->word) == 0);
	assert_int_equal(ipk_rwlock_lock(l, IPK_FOREVER), -EOWNERDEAD);
	assert_int_equal(ipk_rwlock_unlock(l), 0);
	assert_string_equal(value(), "lost");
	assert_int_equal(ipk_rwlock_lock(l, IPK_FOREVER), -ENOTRECOVERABLE);
	assert_int_equal(ipk_rwlock_lock_shared(l, IPK_FOREVER), -ENOTRECOVERABLE);
	assert_int_equal(ipk_rwlock_reset(l), 0);
	assert_int_equal(ipk_rwlock_lock_shared(l, IPK_FOREVER), 0);
	assert_int_equal(ipk_rwlock_unlock(l), 0);
	assert_int_equal(ipk_rwlock_close(l), 0);
}

static void a_writer_who_dies_before_he_is_let_in_has_done_nothing(void **state)
{
	struct ipk_rwlock *l = make(4);
	pthread_t thread;
	pid_t pid;
	void *r;

	(void)state;
	assert_int_equal(ipk_rwlock_lock_shared(l, IPK_FOREVER), 0);
	pid = held(l, CLAIM);
	assert_int_equal(ipk_rwlock_reset(l), -EBUSY);
	kill_child(pid);
	/* Who reads is still in, for whoever comes next. */
	assert_int_equal(pthread_create(&thread, NULL, write_if_free, l), 0);
	assert_int_equal(pthread_join(thread, &r), 0);
	assert_int_equal((intptr_t)r, -EAGAIN);
	assert_int_equal(ipk_rwlock_unlock(l), 0);
	assert_int_equal(ipk_rwlock_lock_shared(l, IPK_FOREVER), 0);
	assert_int_equal(ipk_rwlock_unlock(l), 0);
	assert_int_equal(ipk_rwlock_lock(l, IPK_FOREVER), 0);
	assert_int_equal(ipk_rwlock_unlock(l), 0);
	assert_string_equal(value(), "free");
	assert_int_equal(ipk_rwlock_close(l), 0);
}

static void the_stopped_keep_what_they_have(void **state)
{
	struct ipk_rwlock *l = make(4);
	pid_t pid;

	(void)state;
	pid = held(l, WRITE);
	assert_int_equal(ipk_rwlock_lock_shared(l, ipk_deadline(MS)), -ETIMEDOUT);
	assert_int_equal(ipk_rwlock_lock(l, ipk_deadline(MS)), -ETIMEDOUT);
	assert_int_equal(ipk_rwlock_reset(l), -EBUSY);
	kill_child(pid);
	assert_int_equal(ipk_rwlock_reset(l), 0);
	assert_string_equal(value(), "free");
	assert_int_equal(ipk_rwlock_close(l), 0);
}

/* ---- many at once --------------------------------------------------------------------------- */

static void write_once(struct ipk_rwlock *l, u32 number, i64 deadline)
{
	u64 none = 0;
	int r = ipk_rwlock_lock(l, deadline);

	if (r == -ETIMEDOUT)
		return;
	must(r == 0 || r == -EOWNERDEAD);
	must(ipk_cas(&stage->writer, &none, number + 1, seq_cst));
	for (u32 i = 0; i < WORKERS; i++)
		must(ipk_ld(&stage->reading[i], seq_cst) == 0);
	must(r == -EOWNERDEAD || stage->a == stage->b);
	stage->a++;
	ipk_pause();
	stage->b = stage->a;
	none = number + 1;
	must(ipk_cas(&stage->writer, &none, 0, seq_cst));
	if (r == -EOWNERDEAD)
		must(ipk_rwlock_consistent(l) == 0);
	must(ipk_rwlock_unlock(l) == 0);
}

static void read_once(struct ipk_rwlock *l, u32 number, i64 deadline)
{
	int r = ipk_rwlock_lock_shared(l, deadline);

	if (r == -ETIMEDOUT || r == -EOWNERDEAD)
		return;
	must(r == 0);
	ipk_st(&stage->reading[number], 1u, seq_cst);
	must(ipk_ld(&stage->writer, seq_cst) == 0);
	must(stage->a == stage->b);
	ipk_st(&stage->reading[number], 0u, seq_cst);
	must(ipk_rwlock_unlock(l) == 0);
}

static void work(void *arg)
{
	u32 number = stage->number;
	struct ipk_rwlock *l = open_lock(open_segment("s"));
	u64 seed = (u64)getpid();

	(void)arg;
	must(l);
	ipk_st(&stage->there, 1u, seq_cst);
	for (;;) {
		i64 deadline = seeded(&seed) % 4 ? IPK_FOREVER : ipk_deadline(20000);

		if (seeded(&seed) % 3 == 0)
			write_once(l, number, deadline);
		else
			read_once(l, number, deadline);
		ipk_add(&stage->rounds[number], 1, seq_cst);
	}
}

static void forget(u32 number)
{
	u64 in = number + 1;

	ipk_cas(&stage->writer, &in, 0, seq_cst);
	ipk_st(&stage->reading[number], 0u, seq_cst);
}

static void nobody_reads_beside_a_writer_through_100_kills(void **state)
{
	struct workers w = {.work = work, .forget = forget};

	(void)state;
	ipk_rwlock_close(make(3));
	kill_workers(&w, 100);
	await(ipk_segment_sweep(seg) >= 0 && strcmp(value(), "exclusive") != 0 &&
	      strcmp(value(), "shared") != 0);
	assert_int_equal(findings_of("s", "x").n, 0);
}

/* Each overlaps the next, so that without a claim there never were a moment without readers. */
static void read_on(void *arg)
{
	u32 number = stage->number, next = (number + 1) % 2;
	struct ipk_rwlock *l = open_lock(open_segment("s"));
	u64 seen;

	(void)arg;
	must(l && ipk_rwlock_lock_shared(l, IPK_FOREVER) == 0);
	ipk_st(&stage->there, 1u, seq_cst);
	while (!ipk_ld(&stage->stop, seq_cst)) {
		ipk_add(&stage->rounds[number], 1, seq_cst);
		seen = ipk_ld(&stage->rounds[next], seq_cst);
		/* Until the other has come in again, or a writer keeps it out. */
		while (ipk_ld(&stage->rounds[next], seq_cst) == seen &&
		       !ipk_ld(&stage->stop, seq_cst) &&
		       !(ipk_ld(&l->s.body->word, seq_cst) & IPK_MTX_OWNER))
			nap();
		must(ipk_rwlock_unlock(l) == 0);
		must(ipk_rwlock_lock_shared(l, IPK_FOREVER) == 0);
	}
	must(ipk_rwlock_unlock(l) == 0);
}

static void readers_do_not_starve_a_writer(void **state)
{
	struct ipk_rwlock *l = make(4);
	pid_t pid[2];

	(void)state;
	for (u32 i = 0; i < 2; i++) {
		stage->number = i;
		pid[i] = spawn_ready(read_on, NULL, &stage->there);
	}
	for (int i = 0; i < 20; i++) {
		assert_int_equal(ipk_rwlock_lock(l, ipk_deadline(LIMIT_NS)), 0);
		assert_int_equal(ipk_rwlock_unlock(l), 0);
	}
	ipk_st(&stage->stop, 1u, seq_cst);
	for (u32 i = 0; i < 2; i++)
		assert_ended_well(join_child(pid[i]));
	assert_int_equal(ipk_rwlock_close(l), 0);
}

static void read_removed(void *arg)
{
	struct ipk_rwlock *l = open_lock(open_segment("s"));

	(void)arg;
	must(l);
	must(ipk_rwlock_lock_shared(l, IPK_FOREVER) == -ESTALE);
}

static void removal_wakes_who_waits(void **state)
{
	struct ipk_rwlock *l = make(4);
	pid_t pid;

	(void)state;
	assert_int_equal(ipk_rwlock_lock(l, IPK_FOREVER), 0);
	pid = spawn(read_removed, NULL);
	await(ipk_ld(&l->s.body->ev_read, seq_cst) & IPK_EV_W);
	assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
	assert_ended_well(join_child(pid));
	assert_int_equal(ipk_rwlock_unlock(l), 0);
	assert_int_equal(ipk_rwlock_close(l), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STAGED(dead_readers_are_in_nobodys_way),
		STAGED(a_dead_reader_wakes_the_writer),
		STAGED(the_next_writer_is_told_of_a_writers_death_and_readers_are_refused),
		STAGED(a_writer_who_dies_before_he_is_let_in_has_done_nothing),
		STAGED(the_stopped_keep_what_they_have),
		STAGED(nobody_reads_beside_a_writer_through_100_kills),
		STAGED(readers_do_not_starve_a_writer),
		STAGED(removal_wakes_who_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
