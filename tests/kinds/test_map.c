/* SPDX-License-Identifier: MIT */
/* Maps: what the functions say, in one process. */
#include "fixture_map_one.h"

static int put(struct ipk_map *m, const char *key, const char *val)
{
	return ipk_map_put(m, key, strlen(key), val, strlen(val), IPK_FOREVER);
}

static void expect(struct ipk_map *m, const char *key, const char *val)
{
	char buf[256];
	size_t len = 0;
	int r = ipk_map_get(m, key, strlen(key), buf, sizeof(buf), &len);

	assert_int_equal(ipk_map_has(m, key, strlen(key)), val != NULL);
	if (!val) {
		assert_int_equal(r, -ENOENT);
		return;
	}
	assert_int_equal(r, 0);
	assert_int_equal(len, strlen(val));
	assert_memory_equal(buf, val, len);
}

/* ---- one operation after the other ---------------------------------------------------------- */

static void a_value_is_what_was_put_last(void **state)
{
	struct ipk_map *m = make("m", NULL, NULL, 0);

	(void)state;
	expect(m, "a", NULL);
	assert_int_equal(put(m, "a", "one"), 0);
	assert_int_equal(put(m, "b", "two"), 0);
	assert_int_equal(put(m, "", "empty key"), 0);
	assert_int_equal(put(m, "c", ""), 0);
	expect(m, "a", "one");
	expect(m, "b", "two");
	expect(m, "", "empty key");
	expect(m, "c", "");
	expect(m, "d", NULL);
	assert_int_equal(ipk_map_count(m), 4);
	assert_int_equal(put(m, "a", "1"), 0);
	assert_int_equal(put(m, "b", "a value that is much longer than before"), 0);
	assert_int_equal(put(m, "c", "c"), 0);
	assert_int_equal(put(m, "", ""), 0);
	expect(m, "a", "1");
	expect(m, "b", "a value that is much longer than before");
	expect(m, "c", "c");
	expect(m, "", "");
	assert_int_equal(ipk_map_count(m), 4);
	end(m, "m");
}

static void what_is_deleted_is_gone_and_nothing_else(void **state)
{
	struct ipk_map *m = make("m", NULL, NULL, 0);

	(void)state;
	assert_int_equal(ipk_map_del(m, "a", 1, IPK_FOREVER), -ENOENT);
	assert_int_equal(put(m, "a", "one"), 0);
	assert_int_equal(put(m, "b", "two"), 0);
	assert_int_equal(ipk_map_del(m, "a", 1, IPK_FOREVER), 0);
	expect(m, "a", NULL);
	expect(m, "b", "two");
	assert_int_equal(ipk_map_count(m), 1);
	assert_int_equal(ipk_map_del(m, "a", 1, IPK_FOREVER), -ENOENT);
	assert_int_equal(put(m, "a", "again"), 0);
	expect(m, "a", "again");
	end(m, "m");
}

static void put_if_absent_changes_nothing_that_is_there(void **state)
{
	struct ipk_map *m = make("m", NULL, NULL, 0);

	(void)state;
	assert_int_equal(ipk_map_put_if_absent(m, "k", 1, "one", 3, IPK_FOREVER), 0);
	assert_int_equal(ipk_map_put_if_absent(m, "k", 1, "two", 3, IPK_FOREVER), -EEXIST);
	expect(m, "k", "one");
	assert_int_equal(ipk_map_del(m, "k", 1, IPK_FOREVER), 0);
	assert_int_equal(ipk_map_put_if_absent(m, "k", 1, "two", 3, IPK_FOREVER), 0);
	expect(m, "k", "two");
	end(m, "m");
}

static void compare_exchange_stores_only_over_what_is_expected(void **state)
{
	struct ipk_map *m = make("m", NULL, NULL, 0);

	(void)state;
	assert_int_equal(ipk_map_cas(m, "k", 1, "", 0, "x", 1, IPK_FOREVER), -ENOENT);
	assert_int_equal(put(m, "k", "one"), 0);
	assert_int_equal(ipk_map_cas(m, "k", 1, "on", 2, "x", 1, IPK_FOREVER), -EEXIST);
	assert_int_equal(ipk_map_cas(m, "k", 1, "oneone", 6, "x", 1, IPK_FOREVER), -EEXIST);
	assert_int_equal(ipk_map_cas(m, "k", 1, "two", 3, "x", 1, IPK_FOREVER), -EEXIST);
	expect(m, "k", "one");
	assert_int_equal(ipk_map_cas(m, "k", 1, "one", 3, "three", 5, IPK_FOREVER), 0);
	expect(m, "k", "three");
	assert_int_equal(ipk_map_cas(m, "k", 1, "three", 5, "seven", 5, IPK_FOREVER), 0);
	expect(m, "k", "seven");
	end(m, "m");
}

static void a_buffer_that_is_too_small_is_told_how_much_is_needed(void **state)
{
	struct ipk_map *m = make("m", NULL, NULL, 0);
	char buf[8] = "??????";
	size_t len = 99;

	(void)state;
	assert_int_equal(put(m, "k", "hello"), 0);
	assert_int_equal(ipk_map_get(m, "k", 1, buf, 4, &len), -EMSGSIZE);
	assert_int_equal(len, 5);
	assert_int_equal(ipk_map_get(m, "k", 1, NULL, 0, NULL), -EMSGSIZE);
	assert_int_equal(ipk_map_get(m, "k", 1, buf, 5, &len), 0);
	assert_memory_equal(buf, "hello?", 6);
	len = 99;
	assert_int_equal(ipk_map_get(m, "nothing", 7, buf, 5, &len), -ENOENT);
	assert_int_equal(len, 99);
	end(m, "m");
}

static void keys_and_values_have_any_bytes_and_length(void **state)
{
	static const u32 klen[] = {0, 1, 7, 8, 9, 16, 17, 255, 256, 4095, 4096, 4097, 65536};
	static const u32 vlen[] = {0,    1,    4,    8,    9,     63,    64,    65,
				   2000, 2024, 2048, 4096, 65511, 65536, 70001, 1 << 20};
	struct ipk_map *m = make("m", "bytes", "bytes", 4);
	u8 *key = malloc(65536), *val = malloc(1 << 20), *got = malloc(1 << 20);
	size_t len;

	(void)state;
	for (size_t k = 0; k < IPK_ARRAY_LEN(klen); k++) {
		fill(key, klen[k], k);
		for (size_t v = 0; v < IPK_ARRAY_LEN(vlen); v++) {
			fill(val, vlen[v], k * 100 + v);
			assert_int_equal(ipk_map_put(m, key, klen[k], val, vlen[v], IPK_FOREVER),
					 0);
			assert_int_equal(ipk_map_get(m, key, klen[k], got, 1 << 20, &len), 0);
			assert_int_equal(len, vlen[v]);
			assert_int_equal(memcmp(got, val, len), 0);
		}
	}
	for (size_t k = 0; k < IPK_ARRAY_LEN(klen); k++) {
		fill(key, klen[k], k);
		fill(val, 1 << 20, k * 100 + IPK_ARRAY_LEN(vlen) - 1);
		assert_int_equal(ipk_map_get(m, key, klen[k], got, 1 << 20, &len), 0);
		assert_int_equal(memcmp(got, val, 1 << 20), 0);
	}
	assert_int_equal(ipk_map_count(m), IPK_ARRAY_LEN(klen));
	free(key);
	free(val);
	free(got);
	end(m, "m");
}

static void lengths_that_the_types_do_not_have_are_refused(void **state)
{
	struct ipk_map *m = make("m", "u32", "str:4", 0);
	struct ipk_map *any = make("any", NULL, NULL, 0);
	u32 v = 7;

	(void)state;
	assert_int_equal(ipk_map_put(m, "abc", 3, &v, 4, IPK_FOREVER), -EINVAL);
	assert_int_equal(ipk_map_put(m, "abcd", 4, &v, 3, IPK_FOREVER), -EINVAL);
	assert_int_equal(ipk_map_put(m, "abcd", 4, &v, 4, IPK_FOREVER), 0);
	assert_int_equal(ipk_map_get(m, "abc", 3, &v, 4, NULL), -EINVAL);
	assert_int_equal(ipk_map_del(m, "abc", 3, IPK_FOREVER), -EINVAL);
	assert_int_equal(ipk_map_cas(m, "abcd", 4, &v, 4, &v, 8, IPK_FOREVER), -EINVAL);
	assert_int_equal(ipk_map_put(any, "k", IPK_MAP_KEY_MAX + 1, "", 0, IPK_FOREVER), -EMSGSIZE);
	assert_int_equal(ipk_map_put(any, "k", 1, "", IPK_MAP_VALUE_MAX + 1ul, IPK_FOREVER),
			 -EMSGSIZE);
	assert_int_equal(ipk_map_count(any), 0);
	assert_int_equal(ipk_map_create(seg, "x", "u32", "bytes:2000000", 0, NULL), -EMSGSIZE);
	assert_int_equal(ipk_map_create(seg, "x", "nonsense", NULL, 0, NULL), -EINVAL);
	assert_int_equal(ipk_map_create(seg, "any", NULL, NULL, 0, NULL), -EEXIST);
	assert_int_equal(ipk_map_create(seg, "x", NULL, NULL, UINT64_C(1) << 30, NULL), -ENOSPC);
	end(m, "m");
	end(any, "any");
}

static void a_claim_of_another_type_is_refused(void **state)
{
	struct ipk_map *m = make("m", "u32", "str", 0), *other;
	struct ipk_error err;

	(void)state;
	assert_int_equal(ipk_map_open(seg, "m", "u32", "str", &other, NULL), 0);
	ipk_map_close(other);
	assert_int_equal(ipk_map_open(seg, "m", "u64", NULL, &other, &err), -EMEDIUMTYPE);
	assert_non_null(strstr(err.text, "u64"));
	assert_int_equal(ipk_map_open(seg, "m", NULL, "bytes", &other, &err), -EMEDIUMTYPE);
	assert_int_equal(ipk_map_open(seg, "n", NULL, NULL, &other, &err), -ENOENT);
	end(m, "m");
}

/* ---- add ------------------------------------------------------------------------------------ */

#define CHECK_ADD(type_text, type, a, b, sum)                                                      \
	do {                                                                                       \
		struct ipk_map *m_ = make("add", type_text, "u8", 0);                              \
		type x_ = (type)(a), y_ = (type)(b), s_ = 0;                                       \
		u8 k_ = 5;                                                                         \
		assert_int_equal(ipk_map_add(m_, &k_, 1, &x_, &s_, IPK_FOREVER), 0);               \
		assert_true(s_ == (type)(a));                                                      \
		assert_int_equal(ipk_map_add(m_, &k_, 1, &y_, &s_, IPK_FOREVER), 0);               \
		assert_true(s_ == (type)(sum));                                                    \
		assert_int_equal(ipk_map_get(m_, &k_, 1, &x_, sizeof(x_), NULL), 0);               \
		assert_true(x_ == (type)(sum));                                                    \
		assert_int_equal(ipk_map_add(m_, &k_, 1, &y_, NULL, IPK_FOREVER), 0);              \
		end(m_, "add");                                                                    \
	} while (0)

static void add_counts_in_every_number_type_from_zero(void **state)
{
	struct ipk_map *m = make("m", "str", "str", 0);

	(void)state;
	CHECK_ADD("i8", int8_t, 100, -101, -1);
	CHECK_ADD("i8", int8_t, 127, 1, -128);
	CHECK_ADD("u8", u8, 255, 2, 1);
	CHECK_ADD("i16", int16_t, -32768, -1, 32767);
	CHECK_ADD("u16", u16, 65535, 1, 0);
	CHECK_ADD("i32", int32_t, 2147483647, 1, INT32_MIN);
	CHECK_ADD("u32", u32, 4294967295, 11, 10);
	CHECK_ADD("i64", i64, INT64_MAX, 1, INT64_MIN);
	CHECK_ADD("u64", u64, UINT64_MAX, 3, 2);
	CHECK_ADD("f32", float, 1.5, 0.25, 1.75);
	CHECK_ADD("f64", double, 1e300, -1e300, 0);
	assert_int_equal(ipk_map_add(m, "k", 1, "x", NULL, IPK_FOREVER), -EMEDIUMTYPE);
	assert_int_equal(ipk_map_count(m), 0);
	end(m, "m");
}

/* ---- attaching, removal --------------------------------------------------------------------- */

static void a_reader_without_permission_to_write_reads(void **state)
{
	struct ipk_map *m = make("m", NULL, NULL, 0), *ro;
	struct ipk_segment *rseg;
	uint64_t changes = 0;
	int n = 0;

	(void)state;
	assert_int_equal(put(m, "a", "one"), 0);
	assert_int_equal(ipk_segment_open("s", IPK_READ, &rseg, NULL), 0);
	assert_int_equal(ipk_map_open(rseg, "m", NULL, NULL, &ro, NULL), 0);
	expect(ro, "a", "one");
	expect(ro, "b", NULL);
	assert_int_equal(put(m, "b", "two"), 0);
	expect(ro, "b", "two");
	assert_int_equal(ipk_map_count(ro), 2);
	assert_int_equal(ipk_map_foreach(ro, stop_at_three, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(put(ro, "c", "three"), -EACCES);
	assert_int_equal(ipk_map_del(ro, "a", 1, IPK_FOREVER), -EACCES);
	assert_int_equal(ipk_map_wait(ro, &changes, IPK_FOREVER), -EACCES);
	assert_true(ipk_map_changes(ro) > 0);
	ipk_map_close(m);
	assert_int_equal(ipk_object_remove(seg, "m", NULL), 0);
	assert_int_equal(ipk_map_get(ro, "a", 1, NULL, 0, NULL), -ESTALE);
	assert_int_equal(ipk_map_foreach(ro, stop_at_three, &n), -ESTALE);
	ipk_map_close(ro);
	ipk_segment_close(rseg);
}

static void a_removed_map_is_read_on_and_not_written(void **state)
{
	u64 before = used();
	struct ipk_map *m = make("m", NULL, NULL, 0);
	u64 changes = 0;

	(void)state;
	assert_int_equal(put(m, "a", "one"), 0);
	assert_int_equal(ipk_map_wait(m, &changes, IPK_NOWAIT), 0);
	assert_int_equal(ipk_object_remove(seg, "m", NULL), 0);
	expect(m, "a", "one");
	assert_int_equal(put(m, "b", "two"), -ESTALE);
	assert_int_equal(ipk_map_del(m, "a", 1, IPK_FOREVER), -ESTALE);
	assert_int_equal(ipk_map_wait(m, &changes, IPK_FOREVER), -ESTALE);
	assert_true(used() > before);
	ipk_map_close(m);
	assert_int_equal(used(), before);
}

/* ---- threads -------------------------------------------------------------------------------- */

#define THREAD_KEYS 64u

struct shared_handle {
	struct ipk_map *m;
	u32 id;      /* numbers the writers */
	u32 writers; /* that have not ended */
};

/* All words of a value are the same; every 8th key has one that is stored in place. */
static size_t thread_value(u64 val[40], u64 key, u64 number)
{
	size_t n = key % 8 ? 1 + (key * number) % 39 : 1;

	for (size_t i = 0; i < n; i++)
		val[i] = number;
	return 8 * n;
}

static void *write_as_thread(void *arg)
{
	struct shared_handle *s = arg;
	u64 id = ipk_add(&s->id, 1, relaxed), seed = id, val[40];

	for (u64 i = 1; i <= 10000; i++) {
		u64 key = seeded(&seed) % THREAD_KEYS;

		if (seeded(&seed) % 4)
			(void)ipk_map_put(s->m, &key, 8, val, thread_value(val, key, i),
					  IPK_FOREVER);
		else
			(void)ipk_map_del(s->m, &key, 8, IPK_FOREVER);
	}
	ipk_add(&s->writers, UINT32_MAX, release);
	return NULL;
}

static bool thread_value_ok(const u64 *val, size_t len)
{
	for (size_t i = 1; i < len / 8; i++)
		if (val[i] != val[0])
			return false;
	return len % 8 == 0 && len > 0;
}

static int check_as_thread(void *arg, const struct ipk_map_item *item)
{
	(void)arg;
	return thread_value_ok(item->value, item->vlen) ? 0 : -EBADMSG;
}

/* Returns NULL when all was well. */
static void *read_as_thread(void *arg)
{
	struct shared_handle *s = arg;
	u64 seed = 77, val[40];
	size_t len = 0;
	int r;

	while (ipk_ld(&s->writers, acquire)) {
		u64 key = seeded(&seed) % THREAD_KEYS;

		r = ipk_map_get(s->m, &key, 8, val, sizeof(val), &len);
		if (r != -ENOENT && (r != 0 || !thread_value_ok(val, len)))
			return "a value";
		if (seeded(&seed) % 64 == 0 && ipk_map_foreach(s->m, check_as_thread, NULL) != 0)
			return "a walk";
	}
	return NULL;
}

static void threads_share_a_handle(void **state)
{
	struct shared_handle s = {.m = make("m", "bytes", "u64", 4), .writers = 2};
	pthread_t thread[4];
	void *complaint;

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&thread[i], NULL,
						i < 2 ? write_as_thread : read_as_thread, &s),
				 0);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(thread[i], &complaint), 0);
		assert_null(complaint);
	}
	end(s.m, "m");
}

static void a_segment_without_a_name_is_used_on(void **state)
{
	struct ipk_map *m = make("m", NULL, NULL, 0);
	u64 changes = 0;

	(void)state;
	assert_int_equal(ipk_segment_remove("s", NULL), 0);
	assert_int_equal(put(m, "a", "one"), 0);
	expect(m, "a", "one");
	assert_int_equal(ipk_map_wait(m, &changes, IPK_FOREVER), 0);
	assert_int_equal(ipk_map_wait(m, &changes, IPK_FOREVER), -ESTALE);
	ipk_map_close(m);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_value_is_what_was_put_last),
		TEST(what_is_deleted_is_gone_and_nothing_else),
		TEST(put_if_absent_changes_nothing_that_is_there),
		TEST(compare_exchange_stores_only_over_what_is_expected),
		TEST(a_buffer_that_is_too_small_is_told_how_much_is_needed),
		TEST(keys_and_values_have_any_bytes_and_length),
		TEST(lengths_that_the_types_do_not_have_are_refused),
		TEST(a_claim_of_another_type_is_refused),
		TEST(add_counts_in_every_number_type_from_zero),
		TEST(a_reader_without_permission_to_write_reads),
		TEST(a_removed_map_is_read_on_and_not_written),
		TEST(a_segment_without_a_name_is_used_on),
		TEST(threads_share_a_handle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
