/* SPDX-License-Identifier: MIT */
/* Reader-writer locks: what the functions, the verbs and the views say. */
#include "fixture_rwlock.h"

static void *lock_in_thread(void *arg)
{
	struct ipk_rwlock *l = arg;
	int r = ipk_rwlock_lock(l, IPK_NOWAIT);

	if (r == 0)
		assert_int_equal(ipk_rwlock_unlock(l), 0);
	return (void *)(intptr_t)r;
}

static void *share_in_thread(void *arg)
{
	struct ipk_rwlock *l = arg;
	int r = ipk_rwlock_lock_shared(l, IPK_NOWAIT);

	if (r == 0)
		assert_int_equal(ipk_rwlock_unlock(l), 0);
	return (void *)(intptr_t)r;
}

static void *unlock_in_thread(void *arg)
{
	return (void *)(intptr_t)ipk_rwlock_unlock(arg);
}

static void many_read_or_one_writes(void **state)
{
	struct ipk_rwlock *l = make(4);

	(void)state;
	assert_string_equal(value(), "free");
	assert_int_equal(ipk_rwlock_unlock(l), -EPERM);
	assert_int_equal(ipk_rwlock_lock_shared(l, IPK_NOWAIT), 0);
	assert_string_equal(value(), "shared");
	assert_int_equal(in_thread(share_in_thread, l), 0);
	assert_int_equal(in_thread(lock_in_thread, l), -EAGAIN);
	assert_int_equal(in_thread(unlock_in_thread, l), -EPERM);
	assert_int_equal(ipk_rwlock_lock(l, IPK_NOWAIT), -EDEADLK);
	assert_int_equal(ipk_rwlock_lock(l, IPK_FOREVER), -EDEADLK);
	assert_int_equal(ipk_rwlock_consistent(l), -EPERM);
	assert_int_equal(ipk_rwlock_close(l), -EBUSY);
	assert_int_equal(findings_of("s", "x").n, 0);
	assert_int_equal(ipk_rwlock_unlock(l), 0);
	assert_int_equal(ipk_rwlock_unlock(l), -EPERM);

	assert_int_equal(ipk_rwlock_lock(l, IPK_NOWAIT), 0);
	assert_string_equal(value(), "exclusive");
	assert_int_equal(in_thread(share_in_thread, l), -EAGAIN);
	assert_int_equal(in_thread(lock_in_thread, l), -EAGAIN);
	assert_int_equal(ipk_rwlock_lock(l, IPK_FOREVER), -EDEADLK);
	assert_int_equal(ipk_rwlock_lock_shared(l, IPK_FOREVER), -EDEADLK);
	assert_int_equal(ipk_rwlock_consistent(l), -EINVAL);
	assert_int_equal(ipk_rwlock_reset(l), -EBUSY);
	assert_int_equal(ipk_rwlock_close(l), -EBUSY);
	assert_int_equal(ipk_rwlock_unlock(l), 0);
	assert_string_equal(value(), "free");
	assert_int_equal(ipk_rwlock_close(l), 0);
}

static void a_reader_may_read_again(void **state)
{
	struct ipk_rwlock *l = make(4);

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(ipk_rwlock_lock_shared(l, IPK_FOREVER), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(in_thread(lock_in_thread, l), -EAGAIN);
		assert_int_equal(ipk_rwlock_unlock(l), 0);
	}
	assert_int_equal(ipk_rwlock_unlock(l), -EPERM);
	assert_int_equal(in_thread(lock_in_thread, l), 0);
	assert_int_equal(ipk_rwlock_close(l), 0);
}

struct waiter {
	struct ipk_rwlock *l;
	int r;
};

static void *write_waiting(void *arg)
{
	struct waiter *w = arg;

	w->r = ipk_rwlock_lock(w->l, IPK_FOREVER);
	if (!w->r)
		w->r = ipk_rwlock_unlock(w->l);
	return NULL;
}

static void a_waiting_writer_turns_away_all_but_who_reads_already(void **state)
{
	struct ipk_rwlock *l = make(4);
	struct waiter w = {.l = l, .r = 1};
	pthread_t thread;

	(void)state;
	assert_int_equal(ipk_rwlock_lock_shared(l, IPK_FOREVER), 0);
	assert_int_equal(pthread_create(&thread, NULL, write_waiting, &w), 0);
	await(is_claimed(l));
	assert_int_equal(in_thread(share_in_thread, l), -EAGAIN);
	assert_string_equal(value(), "shared");
	assert_int_equal(ipk_rwlock_lock_shared(l, IPK_FOREVER), 0);
	assert_int_equal(ipk_rwlock_unlock(l), 0);
	assert_int_equal(is_claimed(l), true);
	assert_int_equal(ipk_rwlock_unlock(l), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(w.r, 0);
	assert_int_equal(in_thread(share_in_thread, l), 0);
	assert_int_equal(ipk_rwlock_close(l), 0);
}

static bool taken(struct ipk_rwlock *l, u64 i)
{
	ipk_segment_sweep(seg);
	return !ipk_cell_is_free(ipk_ld(ipk_cell(&l->s.cells, i), acquire));
}

static void a_reader_in_another_place_may_read_again_too(void **state)
{
	struct ipk_rwlock *l = make(2);
	struct waiter w = {.l = l, .r = 1};
	u64 home = self_of(seg)->slot % 2;
	pthread_t thread;
	int fd, other;

	(void)state;
	/* Of two places taken by others, that which is not this thread's usual one comes back. */
	assert_int_equal(ipk_rwlock_hold(l, true, IPK_NOWAIT, &fd), 0);
	assert_int_equal(ipk_rwlock_hold(l, true, IPK_NOWAIT, &other), 0);
	assert_int_equal(ipk_rwlock_lock_shared(l, IPK_NOWAIT), -EAGAIN);
	close(other);
	if (!taken(l, home)) {
		assert_int_equal(ipk_rwlock_hold(l, true, IPK_NOWAIT, &other), 0);
		close(fd);
		fd = other;
	}
	assert_true(taken(l, home) && !taken(l, !home));
	assert_int_equal(ipk_rwlock_lock_shared(l, IPK_NOWAIT), 0);
	assert_int_equal(ipk_rwlock_lock(l, IPK_NOWAIT), -EDEADLK);
	assert_int_equal(pthread_create(&thread, NULL, write_waiting, &w), 0);
	await(is_claimed(l));
	assert_int_equal(ipk_rwlock_lock_shared(l, IPK_FOREVER), 0);
	assert_int_equal(ipk_rwlock_lock(l, IPK_FOREVER), -EDEADLK);
	assert_int_equal(ipk_rwlock_unlock(l), 0);
	assert_int_equal(ipk_rwlock_unlock(l), 0);
	assert_int_equal(ipk_rwlock_unlock(l), -EPERM);
	close(fd);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(w.r, 0);
	assert_int_equal(ipk_rwlock_close(l), 0);
}

static void *read_waiting(void *arg)
{
	struct waiter *w = arg;

	w->r = ipk_rwlock_lock_shared(w->l, IPK_FOREVER);
	if (!w->r)
		w->r = ipk_rwlock_unlock(w->l);
	return NULL;
}

static void a_reader_waits_for_a_place(void **state)
{
	struct ipk_rwlock *l = make(1);
	struct waiter w = {.l = l, .r = 1};
	pthread_t thread;

	(void)state;
	assert_int_equal(ipk_rwlock_lock_shared(l, IPK_FOREVER), 0);
	assert_int_equal(in_thread(share_in_thread, l), -EAGAIN);
	assert_int_equal(pthread_create(&thread, NULL, read_waiting, &w), 0);
	await(ipk_ld(&l->s.body->ev_read, acquire) & IPK_EV_W);
	assert_int_equal(ipk_rwlock_unlock(l), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(w.r, 0);
	assert_int_equal(ipk_rwlock_close(l), 0);
}

static void who_gives_up_leaves_it_as_it_was(void **state)
{
	struct ipk_rwlock *l = make(4);
	int fd;

	(void)state;
	assert_int_equal(ipk_rwlock_hold(l, true, IPK_NOWAIT, &fd), 0);
	assert_int_equal(ipk_rwlock_lock(l, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_rwlock_lock(l, ipk_deadline(MS)), -ETIMEDOUT);
	assert_int_equal(ipk_mutex_owner(l->s.body->word), 0);
	assert_int_equal(ipk_rwlock_lock(l, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_rwlock_lock_shared(l, IPK_NOWAIT), 0);
	assert_int_equal(ipk_rwlock_unlock(l), 0);
	close(fd);
	assert_int_equal(ipk_rwlock_hold(l, false, IPK_FOREVER, &fd), 0);
	assert_int_equal(ipk_rwlock_lock_shared(l, ipk_deadline(MS)), -ETIMEDOUT);
	assert_int_equal(ipk_rwlock_lock(l, ipk_deadline(MS)), -ETIMEDOUT);
	close(fd);
	assert_int_equal(ipk_rwlock_lock(l, IPK_FOREVER), 0);
	assert_int_equal(ipk_rwlock_unlock(l), 0);
	assert_int_equal(ipk_rwlock_close(l), 0);
}

static bool says_shared(struct ipk_rwlock *l)
{
	return ipk_ld(&l->s.body->word, acquire) & IPK_MTX_SHARED;
}

static void the_word_says_that_readers_may_be_in_until_a_writer_found_none(void **state)
{
	struct ipk_rwlock *l = make(4);
	int fd;

	(void)state;
	assert_false(says_shared(l));
	assert_int_equal(ipk_rwlock_lock(l, IPK_NOWAIT), 0);
	assert_int_equal(ipk_rwlock_unlock(l), 0);
	assert_false(says_shared(l));
	assert_int_equal(ipk_rwlock_hold(l, true, IPK_NOWAIT, &fd), 0);
	assert_true(says_shared(l));
	/* Who declares it whole turns nobody out. */
	assert_int_equal(ipk_rwlock_reset(l), 0);
	assert_int_equal(ipk_rwlock_lock(l, IPK_NOWAIT), -EAGAIN);
	close(fd);
	assert_true(says_shared(l));
	assert_int_equal(ipk_rwlock_lock(l, IPK_NOWAIT), 0);
	assert_false(says_shared(l));
	assert_int_equal(in_thread(share_in_thread, l), -EAGAIN);
	assert_int_equal(ipk_rwlock_unlock(l), 0);
	assert_int_equal(ipk_rwlock_lock_shared(l, IPK_NOWAIT), 0);
	assert_true(says_shared(l));
	assert_int_equal(in_thread(lock_in_thread, l), -EAGAIN);
	assert_int_equal(ipk_rwlock_unlock(l), 0);
	assert_int_equal(ipk_rwlock_close(l), 0);
}

static void absurd_numbers_and_damage_are_refused(void **state)
{
	struct ipk_rwlock *l, *other;

	(void)state;
	assert_true(ipk_rwlock_create(seg, "x", IPK_RW_CAP_MAX + 1, NULL) < 0);
	assert_true(ipk_rwlock_create(seg, "x", UINT64_MAX, NULL) < 0);
	l = make(0);
	assert_int_equal(l->s.cells.cap, 64);
	l->s.body->cap = 0;
	assert_int_equal(ipk_rwlock_open(seg, "x", &other, NULL), -EBADMSG);
	assert_int_equal(findings_of("s", "x").n, 1);
	l->s.body->cap = 65;
	assert_int_equal(ipk_rwlock_open(seg, "x", &other, NULL), -EBADMSG);
	l->s.body->cap = 64;
	l->s.body->word = 0x3ffe;
	assert_int_equal(findings_of("s", "x").n, 1);
	l->s.body->word = 0;
	*ipk_cell(&l->s.cells, 40) = 0x3ffe;
	assert_int_equal(findings_of("s", "x").n, 2);
	/* Whoever comes past it takes it for dead. */
	l->s.body->word = IPK_MTX_SHARED;
	l->s.body->high = UINT32_MAX;
	assert_int_equal(ipk_rwlock_lock(l, IPK_NOWAIT), 0);
	assert_int_equal(ipk_rwlock_unlock(l), 0);
	l->s.body->high = 64;
	assert_int_equal(findings_of("s", "x").n, 0);
	assert_int_equal(ipk_rwlock_close(l), 0);
}

static void who_may_only_read_the_segment_locks_nothing(void **state)
{
	struct ipk_rwlock *l = make(4), *theirs;
	struct ipk_segment *read_only;
	int fd;

	(void)state;
	assert_int_equal(ipk_segment_open("s", IPK_READ, &read_only, NULL), 0);
	assert_int_equal(ipk_rwlock_open(read_only, "x", &theirs, NULL), 0);
	assert_int_equal(ipk_rwlock_lock(theirs, IPK_NOWAIT), -EACCES);
	assert_int_equal(ipk_rwlock_lock_shared(theirs, IPK_NOWAIT), -EACCES);
	assert_int_equal(ipk_rwlock_hold(theirs, true, IPK_NOWAIT, &fd), -EACCES);
	assert_int_equal(ipk_rwlock_reset(theirs), -EACCES);
	assert_int_equal(ipk_rwlock_close(theirs), 0);
	ipk_segment_close(read_only);
	assert_int_equal(ipk_rwlock_close(l), 0);
}

struct seen {
	unsigned n;
	char text[256];
};

static int see(void *arg, const struct ipk_participant_info *p, const char *role, uint64_t count)
{
	struct seen *s = arg;
	size_t at = strlen(s->text);

	s->n++;
	snprintf(s->text + at, sizeof(s->text) - at, "%s%s %s %llu", at ? ", " : "", role,
		 p->alive ? "lives" : "dead", (unsigned long long)count);
	return 0;
}

static const char *holders(void)
{
	static struct seen s;
	struct look l;

	memset(&s, 0, sizeof(s));
	look(&l, "s", "x");
	assert_int_equal(ipk_object_holders(&l.o, see, &s), 0);
	look_end(&l);
	return s.text;
}

static void views_say_who_has_it(void **state)
{
	struct ipk_rwlock *l = make(4);
	struct waiter w = {.l = l, .r = 1};
	pthread_t thread;
	uint64_t used, cap;
	struct look lo;
	int fd;

	(void)state;
	assert_string_equal(holders(), "");
	assert_int_equal(ipk_rwlock_lock_shared(l, IPK_FOREVER), 0);
	assert_int_equal(ipk_rwlock_hold(l, true, IPK_NOWAIT, &fd), 0);
	assert_string_equal(holders(), "reader lives 1, reader lives 1");
	look(&lo, "s", "x");
	assert_int_equal(lo.kind->inspect(&lo.o, &used, &cap), 0);
	look_end(&lo);
	assert_int_equal(used, 2);
	assert_int_equal(cap, 4);
	close(fd);
	assert_int_equal(pthread_create(&thread, NULL, write_waiting, &w), 0);
	await(is_claimed(l));
	await(ipk_segment_sweep(seg) == 0 &&
	      strcmp(holders(), "claimant lives 1, reader lives 1") == 0);
	assert_int_equal(ipk_rwlock_unlock(l), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(ipk_rwlock_lock(l, IPK_FOREVER), 0);
	assert_string_equal(holders(), "writer lives 1");
	assert_int_equal(ipk_rwlock_unlock(l), 0);
	assert_int_equal(ipk_rwlock_close(l), 0);
}

static int run(const char *verb, bool hold, bool shared, int *ret_fd)
{
	struct verb v = {.call = {.hold = hold}};
	int r = verb_run(&v, seg, "x", "rwlock", verb, NULL, shared ? "" : NULL, NULL);

	if (r < 0)
		assert_true(v.call.err.text[0]);
	*ret_fd = v.call.hold_fd;
	verb_end(&v);
	return r;
}

static void the_verbs_hold_it(void **state)
{
	struct ipk_rwlock *l = make(4);
	int fd[3];

	(void)state;
	assert_int_equal(run("lock", true, true, &fd[0]), 0);
	assert_int_equal(run("lock", true, true, &fd[1]), 0);
	assert_int_equal(run("lock", true, false, &fd[2]), -EAGAIN);
	close(fd[0]);
	close(fd[1]);
	assert_int_equal(run("lock", true, false, &fd[2]), 0);
	assert_int_equal(run("lock", true, true, &fd[0]), -EAGAIN);
	assert_int_equal(run("reset", false, false, &fd[0]), -EBUSY);
	close(fd[2]);
	assert_int_equal(run("reset", false, false, &fd[0]), 0);
	assert_string_equal(value(), "free");
	assert_int_equal(ipk_rwlock_close(l), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(many_read_or_one_writes),
		TEST(a_reader_may_read_again),
		TEST(a_waiting_writer_turns_away_all_but_who_reads_already),
		TEST(a_reader_in_another_place_may_read_again_too),
		TEST(a_reader_waits_for_a_place),
		TEST(who_gives_up_leaves_it_as_it_was),
		TEST(the_word_says_that_readers_may_be_in_until_a_writer_found_none),
		TEST(absurd_numbers_and_damage_are_refused),
		TEST(who_may_only_read_the_segment_locks_nothing),
		TEST(views_say_who_has_it),
		TEST(the_verbs_hold_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
