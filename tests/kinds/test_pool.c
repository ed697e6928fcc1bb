/* SPDX-License-Identifier: MIT */
#include "fixture_one.h"

#include "ipk/pool.h"
#include "kinds/pool.h"

#define WORKERS 4u
#define OBJECTS 3u

struct stage {
	u32 there;
	u64 index;
	u32 number;
	u64 owner[OBJECTS]; /* number + 1 of who has it, as he says himself */
	u64 rounds[WORKERS];
};

#include "fixture_workers.h"

static struct ipk_pool *open_pool(struct ipk_segment *in)
{
	struct ipk_pool *pool = NULL;
	struct ipk_error err = {0};

	if (ipk_pool_open(in, "x", NULL, &pool, &err) < 0)
		fprintf(stderr, "open: %s\n", err.text);
	return pool;
}

static struct ipk_pool *make(const char *type, u64 cap)
{
	struct ipk_error err = {0};
	struct ipk_pool *pool;

	if (ipk_pool_create(seg, "x", type, cap, &err) < 0)
		fail_msg("create: %s", err.text);
	pool = open_pool(seg);
	assert_non_null(pool);
	return pool;
}

static void an_object_is_had_by_one_and_released_once(void **state)
{
	static const u64 caps[] = {1, 2, 7, 64, 1000};
	uint64_t index;

	(void)state;
	for (size_t c = 0; c < IPK_ARRAY_LEN(caps); c++) {
		struct ipk_pool *pool = make("u64", caps[c]);

		for (int round = 0; round < 2; round++) {
			for (u64 i = 0; i < caps[c]; i++) {
				assert_int_equal(ipk_pool_acquire(pool, IPK_NOWAIT, &index), 0);
				*(u64 *)ipk_pool_view(pool, index) += 1;
			}
			assert_int_equal(ipk_pool_free(pool), 0);
			assert_int_equal(ipk_pool_acquire(pool, IPK_NOWAIT, &index), -EAGAIN);
			assert_int_equal(ipk_pool_take(pool, ipk_deadline(MS), &index), -ETIMEDOUT);
			for (u64 i = 0; i < caps[c]; i++) {
				assert_int_equal(*(u64 *)ipk_pool_view(pool, i), round + 1);
				assert_int_equal(ipk_pool_release(pool, i), 0);
				assert_int_equal(ipk_pool_release(pool, i), -ENOENT);
			}
		}
		assert_int_equal(ipk_pool_release(pool, caps[c]), -ERANGE);
		assert_int_equal(ipk_pool_release(pool, UINT64_MAX), -ERANGE);
		assert_null(ipk_pool_view(pool, caps[c]));
		ipk_pool_close(pool);
		assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
	}
}

static void a_pointer_is_as_good_as_an_index(void **state)
{
	struct ipk_pool *pool = make("{u32 a; u64 b; u8 c}", 5);
	uint64_t index;
	char *p[5];

	(void)state;
	assert_int_equal(ipk_pool_size(pool), 24);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(ipk_pool_acquire_view(pool, IPK_NOWAIT, (void **)&p[i]), 0);
		assert_int_equal((uintptr_t)p[i] % 8, 0);
	}
	for (int i = 0; i < 5; i++) {
		assert_int_equal(ipk_pool_index(pool, p[i], &index), 0);
		assert_ptr_equal(ipk_pool_view(pool, index), p[i]);
		assert_int_equal(ipk_pool_index(pool, p[i] + 1, &index), -EINVAL);
		assert_int_equal(ipk_pool_release_view(pool, p[i] + 8), -EINVAL);
	}
	assert_int_equal(ipk_pool_index(pool, pool->s.data - 24, &index), -EINVAL);
	assert_int_equal(ipk_pool_index(pool, pool->s.data + 5 * 24, &index), -EINVAL);
	assert_int_equal(ipk_pool_index(pool, NULL, &index), -EINVAL);
	for (int i = 0; i < 5; i++)
		assert_int_equal(ipk_pool_release_view(pool, p[i]), 0);
	assert_int_equal(ipk_pool_release_view(pool, p[0]), -ENOENT);
	ipk_pool_close(pool);
}

static void *acquire_in_thread(void *arg)
{
	uint64_t index;

	return (void *)(intptr_t)(ipk_pool_acquire(arg, IPK_NOWAIT, &index) ?: (int)index);
}

static void a_process_releases_what_its_threads_have(void **state)
{
	struct ipk_pool *pool = make(NULL, 2), *again;
	uint64_t index;

	(void)state;
	assert_int_equal(in_thread(acquire_in_thread, pool), 0);
	assert_int_equal(ipk_pool_release(pool, 0), 0);
	assert_int_equal(ipk_pool_release(pool, 0), -ENOENT);
	/* A handle gives back what was acquired through it, and no more. */
	again = open_pool(seg);
	assert_int_equal(ipk_pool_acquire(again, IPK_NOWAIT, &index), 0);
	assert_int_equal(ipk_pool_acquire(pool, IPK_NOWAIT, &index), 0);
	ipk_pool_close(again);
	assert_int_equal(ipk_pool_free(pool), 1);
	assert_int_equal(ipk_pool_release(pool, index), 0);
	ipk_pool_close(pool);
}

static void what_is_given_can_be_claimed(void **state)
{
	struct ipk_pool *pool = make(NULL, 1);
	uint64_t index;
	int fd;

	(void)state;
	assert_int_equal(ipk_pool_give(pool, 0), -ENOENT);
	assert_int_equal(ipk_pool_claim(pool, 0), -ENOENT);
	assert_int_equal(ipk_pool_acquire(pool, IPK_NOWAIT, &index), 0);
	assert_int_equal(ipk_pool_claim(pool, index), -EPERM);
	assert_int_equal(ipk_pool_give(pool, index), 0);
	assert_int_equal(ipk_pool_give(pool, index), -EPERM);
	assert_int_equal(ipk_pool_claim(pool, index), 0);
	assert_int_equal(ipk_pool_release(pool, index), 0);
	assert_int_equal(ipk_pool_take(pool, IPK_NOWAIT, &index), 0);
	assert_int_equal(ipk_pool_release(pool, index), 0);
	assert_int_equal(ipk_pool_hold(pool, IPK_NOWAIT, &index, &fd), 0);
	assert_int_equal(ipk_pool_release(pool, index), -EBUSY);
	assert_int_equal(ipk_pool_give(pool, index), -EPERM);
	close(fd);
	assert_int_equal(ipk_pool_acquire(pool, IPK_FOREVER, &index), 0);
	ipk_pool_close(pool);
}

static void absurd_numbers_and_damage_are_refused(void **state)
{
	struct ipk_pool *pool, *other;

	(void)state;
	assert_true(ipk_pool_create(seg, "x", "str", 4, NULL) < 0);
	assert_true(ipk_pool_create(seg, "x", NULL, IPK_POOL_CAP_MAX + 1, NULL) < 0);
	assert_true(ipk_pool_create(seg, "x", NULL, UINT64_MAX, NULL) < 0);
	assert_int_equal(ipk_pool_create(seg, "x", NULL, IPK_POOL_CAP_MAX, NULL), -ENOSPC);
	pool = make("u64", 4);
	assert_int_equal(ipk_pool_open(seg, "x", "f64", &other, NULL), -EMEDIUMTYPE);
	pool->s.body->cap = 0;
	assert_int_equal(ipk_pool_open(seg, "x", NULL, &other, NULL), -EBADMSG);
	assert_int_equal(findings_of("s", "x").n, 1);
	pool->s.body->cap = 4;
	pool->s.body->size = 16;
	assert_int_equal(ipk_pool_open(seg, "x", NULL, &other, NULL), -EBADMSG);
	pool->s.body->size = 8;
	*ipk_cell(&pool->s.cells, 2) = 0x3ffe;
	assert_int_equal(findings_of("s", "x").n, 1);
	*ipk_cell(&pool->s.cells, 2) = 0;
	assert_int_equal(findings_of("s", "x").n, 0);
	ipk_pool_close(pool);
}

/* ---- verbs and views ------------------------------------------------------------------------ */

static int run(const char *verb, const char *key, const char *const *words, char out[64])
{
	struct verb v = {.call = {.timeout = 0}};
	int r = verb_run(&v, seg, "x", "pool", verb, key, NULL, words);

	if (r < 0)
		assert_true(v.call.err.text[0]);
	if (out)
		snprintf(out, 64, "%s", v.out.data);
	verb_end(&v);
	return r;
}

static int see_item(void *arg, const struct ipk_item *item)
{
	char *text = arg;
	size_t at = strlen(text);

	snprintf(text + at, 64 - at, "%llu=%s ", (unsigned long long)item->pos,
		 (const char *)item->data);
	return 0;
}

static const char *items(const char *key)
{
	static char text[64];
	struct look l;
	int r;

	text[0] = '\0';
	look(&l, "s", "x");
	r = key ? l.kind->item(&l.o, key, strlen(key), see_item, text)
		: l.kind->items(&l.o, 0, UINT64_MAX, see_item, text);
	look_end(&l);
	return r < 0 ? ipk_strerror(r) : text;
}

static void the_verbs_take_for_nobody(void **state)
{
	static const char *const two[] = {"a", "b", NULL}, *const one[] = {"c", NULL};
	struct ipk_pool *pool = make("str:8", 3);
	struct ipk_buf raw = {0};
	struct look l;
	char out[64];

	(void)state;
	assert_int_equal(run("add", NULL, two, out), 0);
	assert_string_equal(out, "0\n1\n");
	assert_int_equal(run("acquire", NULL, NULL, out), 0);
	assert_string_equal(out, "2\n");
	assert_int_equal(run("add", NULL, one, NULL), -EAGAIN);
	assert_string_equal(items(NULL), "0=a 1=b 2= ");
	assert_int_equal(run("release", "0", NULL, NULL), 0);
	assert_int_equal(run("release", "0", NULL, NULL), -ENOENT);
	assert_int_equal(run("release", "3", NULL, NULL), -ERANGE);
	assert_int_equal(run("release", "0..2", NULL, NULL), -EINVAL);
	assert_string_equal(items(NULL), "1=b 2= ");
	assert_string_equal(items("1"), "1=b ");
	assert_string_equal(items("0..2"), "1=b ");
	assert_string_equal(items("0"), ipk_strerror(-ENOENT));
	assert_string_equal(items("3"), ipk_strerror(-ERANGE));
	look(&l, "s", "x");
	assert_int_equal(l.kind->raw(&l.o, &raw), 0);
	assert_int_equal(raw.len, 24);
	assert_string_equal(raw.data + 8, "b");
	ipk_buf_free(&raw);
	look_end(&l);
	ipk_pool_close(pool);
}

/* ---- deaths --------------------------------------------------------------------------------- */

static void acquire_and_stop(void *arg)
{
	struct ipk_pool *pool = open_pool(open_segment("s"));

	(void)arg;
	must(pool && ipk_pool_acquire(pool, IPK_FOREVER, &stage->index) == 0);
	ipk_st(&stage->there, 1u, seq_cst);
	raise(SIGSTOP);
}

static void *acquire_waiting(void *arg)
{
	uint64_t index;

	return (void *)(intptr_t)ipk_pool_acquire(arg, IPK_FOREVER, &index);
}

static void what_the_dead_had_comes_back_and_wakes(void **state)
{
	struct ipk_pool *pool = make(NULL, 1);
	pid_t pid = spawn(acquire_and_stop, NULL);
	pthread_t thread;
	uint64_t index;
	void *r;

	(void)state;
	await(ipk_ld(&stage->there, seq_cst));
	assert_int_equal(ipk_pool_release(pool, stage->index), -EBUSY);
	assert_int_equal(ipk_pool_acquire(pool, IPK_NOWAIT, &index), -EAGAIN);
	assert_int_equal(pthread_create(&thread, NULL, acquire_waiting, pool), 0);
	await(ipk_ld(&pool->s.body->ev, seq_cst) & IPK_EV_W);
	kill_child(pid);
	assert_int_equal(pthread_join(thread, &r), 0);
	assert_null(r);
	ipk_pool_close(pool);
}

static void work(void *arg)
{
	u32 number = stage->number;
	struct ipk_pool *pool = open_pool(open_segment("s"));
	u64 seed = (u64)getpid(), none, index;

	(void)arg;
	must(pool);
	ipk_st(&stage->there, 1u, seq_cst);
	for (;;) {
		int r = ipk_pool_acquire(
			pool, seeded(&seed) % 4 ? IPK_FOREVER : ipk_deadline(20000), &index);

		if (r == -ETIMEDOUT)
			continue;
		none = 0;
		must(r == 0 && ipk_cas(&stage->owner[index], &none, number + 1, seq_cst));
		none = number + 1;
		must(ipk_cas(&stage->owner[index], &none, 0, seq_cst));
		must(ipk_pool_release(pool, index) == 0);
		ipk_add(&stage->rounds[number], 1, seq_cst);
	}
}

static void forget(u32 number)
{
	for (u32 i = 0; i < OBJECTS; i++) {
		u64 in = number + 1;

		ipk_cas(&stage->owner[i], &in, 0, seq_cst);
	}
}

static void three_objects_survive_100_kills(void **state)
{
	struct workers w = {.work = work, .forget = forget};
	struct ipk_pool *pool = make(NULL, OBJECTS);

	(void)state;
	kill_workers(&w, 100);
	await(ipk_segment_sweep(seg) >= 0 && ipk_pool_free(pool) == OBJECTS);
	assert_int_equal(findings_of("s", "x").n, 0);
	ipk_pool_close(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_object_is_had_by_one_and_released_once),
		TEST(a_pointer_is_as_good_as_an_index),
		TEST(a_process_releases_what_its_threads_have),
		TEST(what_is_given_can_be_claimed),
		TEST(absurd_numbers_and_damage_are_refused),
		TEST(the_verbs_take_for_nobody),
		STAGED(what_the_dead_had_comes_back_and_wakes),
		STAGED(three_objects_survive_100_kills),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
