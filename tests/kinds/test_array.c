/* SPDX-License-Identifier: MIT */
/* Arrays: what the functions, the verbs and the views say, in one process. */
#include "array_test.h"

#include <float.h>
#include <math.h>

static void an_element_is_what_was_set(void **state)
{
	(void)state;
	for (size_t t = 0; t < IPK_ARRAY_LEN(all_types); t++) {
		struct ipk_array *a = make("x", all_types[t], 5);
		u32 size = ipk_array_size(a);
		u8 *val = malloc(5 * size), *got = calloc(5, size);

		for (u32 i = 0; i < 5 * size; i++)
			val[i] = (u8)(i * 7 + i / 251 + 1);
		for (u64 i = 0; i < 5; i++)
			assert_int_equal(ipk_array_set(a, i, val + i * size, IPK_FOREVER), 0);
		for (u64 i = 0; i < 5; i++)
			assert_int_equal(ipk_array_get(a, i, got + i * size), 0);
		assert_memory_equal(got, val, 5 * size);
		memset(got, 0, 5 * size);
		assert_int_equal(ipk_array_slice(a, 0, 5, got), 0);
		assert_memory_equal(got, val, 5 * size);
		assert_memory_equal(ipk_array_view(a), val, 5 * size);
		free(val);
		free(got);
		ipk_array_close(a);
		assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
	}
}

static void elements_are_zero_at_first_and_1024_by_default(void **state)
{
	struct ipk_error err = { 0 };
	struct ipk_array *a;
	double d[1024];

	(void)state;
	assert_int_equal(ipk_array_create(seg, "a", NULL, 0, &err), 0);
	assert_int_equal(ipk_array_open(seg, "a", "f64", &a, &err), 0);
	assert_int_equal(ipk_array_count(a), 1024);
	assert_int_equal(ipk_array_slice(a, 0, 1024, d), 0);
	for (int i = 0; i < 1024; i++)
		assert_true(d[i] == 0.0);
	ipk_array_close(a);
}

static void the_view_is_a_plain_array_at_a_multiple_of_64(void **state)
{
	struct ipk_array *a = make("a", "u32", 100), *w = make("w", "f32[3]", 9);
	u32 *p = ipk_array_view(a), v = 0;

	(void)state;
	assert_int_equal((uintptr_t)p % 64, 0);
	assert_int_equal((uintptr_t)ipk_array_view(w) % 64, 0);
	for (u32 i = 0; i < 100; i++)
		p[i] = i * i;
	for (u32 i = 0; i < 100; i++) {
		assert_int_equal(ipk_array_get(a, i, &v), 0);
		assert_int_equal(v, i * i);
	}
	ipk_array_close(a);
	ipk_array_close(w);
}

static void variable_types_are_refused_by_name(void **state)
{
	struct ipk_error err = { 0 };

	(void)state;
	assert_int_equal(ipk_array_create(seg, "a", "str", 4, &err), -EMEDIUMTYPE);
	assert_non_null(strstr(err.text, "str:N"));
	assert_int_equal(ipk_array_create(seg, "a", "bytes", 4, &err), -EMEDIUMTYPE);
	assert_non_null(strstr(err.text, "bytes:N"));
	assert_int_equal(ipk_array_create(seg, "a", "json", 4, &err), -EMEDIUMTYPE);
	assert_int_equal(ipk_array_create(seg, "a", "f65", 4, &err), -EINVAL);
}

static int new_cap(const char *type, const char *cap)
{
	struct ipk_param params[] = { { "type", type }, { "cap", cap } };
	struct ipk_error err = { 0 };
	int r = ipk_object_new(seg, "a", "array", params, 2, &err);

	if (r < 0)
		assert_true(err.text[0]);
	return r;
}

static void absurd_sizes_are_refused(void **state)
{
	struct ipk_segment_info info = info_of("s");

	(void)state;
	assert_true(new_cap("u8", "0") < 0);
	assert_true(new_cap("u8", "-1") < 0);
	assert_true(new_cap("u8", "x") < 0);
	assert_true(new_cap("u8", "9223372036854775808") < 0);
	assert_true(new_cap("u8", "18446744073709551615") < 0);
	assert_true(new_cap("u64", "2305843009213693953") < 0); /* times 8: 8 */
	assert_true(new_cap("bytes:16777216", "1099511627776") < 0);
	assert_int_equal(new_cap("f64", "1TiB"), -ENOSPC);
	assert_int_equal(new_cap("f64", "64MiB"), -ENOSPC);
	assert_true(ipk_array_create(seg, "a", "u8", UINT64_MAX, NULL) < 0);
	assert_int_equal(info_of("s").used, info.used);
	assert_int_equal(info_of("s").objects, info.objects);
}

static void out_of_bounds_is_told(void **state)
{
	struct ipk_array *a = make("a", "u64", 10), *w = make("w", "u64[2]", 10);
	u64 v[24] = { 0 };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct ipk_array *x = i ? w : a;

		assert_int_equal(ipk_array_get(x, 10, v), -ERANGE);
		assert_int_equal(ipk_array_get(x, UINT64_MAX, v), -ERANGE);
		assert_int_equal(ipk_array_set(x, 10, v, IPK_FOREVER), -ERANGE);
		assert_int_equal(ipk_array_slice(x, 3, 8, v), -ERANGE);
		assert_int_equal(ipk_array_slice(x, 11, 0, v), -ERANGE);
		assert_int_equal(ipk_array_slice(x, 3, UINT64_MAX - 1, v), -ERANGE);
		assert_int_equal(ipk_array_set_slice(x, 9, 2, v, IPK_FOREVER), -ERANGE);
		assert_int_equal(ipk_array_fill(x, 0, 11, v, IPK_FOREVER), -ERANGE);
		assert_int_equal(ipk_array_cas(x, 10, v, v, IPK_FOREVER), -ERANGE);
		assert_int_equal(ipk_array_slice(x, 10, 0, v), 0);
		assert_int_equal(ipk_array_slice(x, 0, 10, v), 0);
	}
	assert_int_equal(ipk_array_add(a, 10, v, v), -ERANGE);
	ipk_array_close(a);
	ipk_array_close(w);
}

static void another_type_than_claimed_is_refused_by_name(void **state)
{
	struct ipk_error err = { 0 };
	struct ipk_array *a = make("a", "{u32 id; f64 px}", 3), *b = NULL;

	(void)state;
	ipk_array_close(a);
	assert_int_equal(ipk_array_open(seg, "a", "f64", &b, &err), -EMEDIUMTYPE);
	assert_non_null(strstr(err.text, "{u32 id; f64 px}"));
	assert_null(b);
	assert_int_equal(ipk_array_open(seg, "a", "{u32 id ;f64 px;}", &b, &err), 0);
	ipk_array_close(b);
	assert_int_equal(ipk_array_open(seg, "nothing", NULL, &b, &err), -ENOENT);
}

static void a_fill_reaches_its_range_and_no_further(void **state)
{
	struct ipk_array *a = make("a", "u16", 10), *w = make("w", "str:9", 10);
	const u16 v = 77;
	u16 got[10];
	char text[10][9];

	(void)state;
	assert_int_equal(ipk_array_fill(a, 2, 5, &v, IPK_FOREVER), 0);
	assert_int_equal(ipk_array_slice(a, 0, 10, got), 0);
	assert_int_equal(ipk_array_fill(w, 2, 5, "abcdefgh", IPK_FOREVER), 0);
	assert_int_equal(ipk_array_slice(w, 0, 10, text), 0);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(got[i], i >= 2 && i < 7 ? 77 : 0);
		assert_string_equal(text[i], i >= 2 && i < 7 ? "abcdefgh" : "");
	}
	ipk_array_close(a);
	ipk_array_close(w);
}

static void integers_wrap_around(void **state)
{
	struct ipk_array *a = make("a", "u8", 1), *b = make("b", "i64", 1), *c = make("c", "i16", 1);
	u8 d8 = 200, n8 = 0;
	i64 d64 = INT64_MAX, n64 = 0;
	int16_t d16 = -1, n16 = 0;
	u32 d32 = UINT32_MAX, n32 = 0;
	struct ipk_array *d = make("d", "u32", 1);

	(void)state;
	assert_int_equal(ipk_array_add(a, 0, &d8, NULL), 0);
	assert_int_equal(ipk_array_add(a, 0, &d8, &n8), 0);
	assert_int_equal(n8, 144);
	assert_int_equal(ipk_array_add(b, 0, &d64, NULL), 0);
	assert_int_equal(ipk_array_add(b, 0, &d64, &n64), 0);
	assert_int_equal(n64, -2);
	assert_int_equal(ipk_array_add(c, 0, &d16, &n16), 0);
	assert_int_equal(n16, -1);
	assert_int_equal(ipk_array_add(d, 0, &d32, &n32), 0);
	assert_int_equal(ipk_array_add(d, 0, &d32, &n32), 0);
	assert_int_equal(n32, UINT32_MAX - 1);
	ipk_array_close(a);
	ipk_array_close(b);
	ipk_array_close(c);
	ipk_array_close(d);
}

static void floats_can_be_added_to_and_others_cannot(void **state)
{
	static const char *const refused[] = { "bool", "str:8", "f64[1]", "{u64 a}", "u32[2]" };
	struct ipk_array *a = make("a", "f64", 1), *b = make("b", "f32", 1);
	double d = 0.1, sum = 0;
	float f = 1.5f, fsum = 0;
	u64 v = 1;

	(void)state;
	assert_int_equal(ipk_array_add(a, 0, &d, &sum), 0);
	assert_int_equal(ipk_array_add(a, 0, &d, &sum), 0);
	assert_true(sum == 0.1 + 0.1);
	assert_int_equal(ipk_array_add(b, 0, &f, &fsum), 0);
	assert_true(fsum == 1.5f);
	ipk_array_close(a);
	ipk_array_close(b);
	for (size_t i = 0; i < IPK_ARRAY_LEN(refused); i++) {
		struct ipk_array *x = make("x", refused[i], 1);

		assert_int_equal(ipk_array_add(x, 0, &v, NULL), -EMEDIUMTYPE);
		ipk_array_close(x);
		assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
	}
}

static void a_compare_exchange_tells_what_was_there(void **state)
{
	static const char *const types[] = { "u8", "u16", "u32", "u64", "bytes:3", "bytes:1000" };

	(void)state;
	for (size_t t = 0; t < IPK_ARRAY_LEN(types); t++) {
		struct ipk_array *a = make("x", types[t], 4);
		u8 zero[1000] = { 0 }, val[1000], got[1000] = { 0 };
		u32 size = ipk_array_size(a);

		memset(val, 0x5a, sizeof(val));
		assert_int_equal(ipk_array_cas(a, 2, zero, val, IPK_FOREVER), 0);
		assert_int_equal(ipk_array_get(a, 2, got), 0);
		assert_memory_equal(got, val, size);
		memset(zero, 0, sizeof(zero));
		assert_int_equal(ipk_array_cas(a, 2, zero, got, IPK_FOREVER), -EEXIST);
		assert_memory_equal(zero, val, size);
		memset(zero, 0, sizeof(zero));
		assert_int_equal(ipk_array_get(a, 1, got), 0);
		assert_memory_equal(got, zero, size);
		ipk_array_close(a);
		assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
	}
}

static void who_may_only_read_reads_and_changes_nothing(void **state)
{
	struct ipk_array *a = make("a", "u64", 4), *w = make("w", "u64[3]", 4), *ra, *rw;
	u64 v[3] = { 1, 2, 3 }, got[3];
	struct ipk_segment *ro;

	(void)state;
	assert_int_equal(ipk_array_set(a, 1, v, IPK_FOREVER), 0);
	assert_int_equal(ipk_array_set(w, 1, v, IPK_FOREVER), 0);
	assert_int_equal(ipk_segment_open("s", IPK_READ, &ro, NULL), 0);
	assert_int_equal(ipk_array_open(ro, "a", NULL, &ra, NULL), 0);
	assert_int_equal(ipk_array_open(ro, "w", NULL, &rw, NULL), 0);
	assert_int_equal(ipk_array_get(ra, 1, got), 0);
	assert_int_equal(got[0], 1);
	assert_int_equal(ipk_array_get(rw, 1, got), 0);
	assert_int_equal(got[2], 3);
	assert_int_equal(ipk_array_set(ra, 1, v, IPK_FOREVER), -EACCES);
	assert_int_equal(ipk_array_set(rw, 1, v, IPK_FOREVER), -EACCES);
	assert_int_equal(ipk_array_add(ra, 1, v, NULL), -EACCES);
	assert_int_equal(ipk_array_cas(ra, 1, got, v, IPK_FOREVER), -EACCES);
	assert_int_equal(ipk_array_cas(rw, 1, got, v, IPK_FOREVER), -EACCES);
	ipk_array_close(a);
	ipk_array_close(w);
	assert_int_equal(ipk_object_remove(seg, "a", NULL), 0);
	assert_int_equal(ipk_array_get(ra, 1, got), -ESTALE);
	ipk_array_close(ra);
	ipk_array_close(rw);
	ipk_segment_close(ro);
}

static void read_when_told(void *arg)
{
	struct ipk_array *a = ((void **)arg)[0];
	u32 *told = ((void **)arg)[1];
	u64 got = 0;

	nap_until(told);
	must(ipk_array_get(a, 1, &got) == -ESTALE);
}

/* Neither who may only read nor a child that has not written keeps a removed array's memory. */
static void what_was_removed_is_not_taken_for_what_came_after(void **state)
{
	struct ipk_array *a = make("a", "u64", 4), *ra, *b;
	u32 *told = shared(4096);
	void *arg[2] = { a, told };
	struct ipk_segment *ro;
	u64 v = 7, got = 0, off = a->obj.off;
	pid_t pid;

	(void)state;
	assert_int_equal(ipk_segment_open("s", IPK_READ, &ro, NULL), 0);
	assert_int_equal(ipk_array_open(ro, "a", NULL, &ra, NULL), 0);
	pid = spawn(read_when_told, arg);
	ipk_array_close(a);
	assert_int_equal(ipk_object_remove(seg, "a", NULL), 0);
	b = make("b", "u64", 4);
	assert_int_equal(b->obj.off, off);
	assert_int_equal(ipk_array_set(b, 1, &v, IPK_FOREVER), 0);
	assert_int_equal(ipk_array_get(ra, 1, &got), -ESTALE);
	ipk_st(told, 1u, release);
	assert_ended_well(join_child(pid));
	munmap(told, 4096);
	ipk_array_close(ra);
	ipk_array_close(b);
	ipk_segment_close(ro);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_element_is_what_was_set),
		TEST(elements_are_zero_at_first_and_1024_by_default),
		TEST(the_view_is_a_plain_array_at_a_multiple_of_64),
		TEST(variable_types_are_refused_by_name),
		TEST(absurd_sizes_are_refused),
		TEST(out_of_bounds_is_told),
		TEST(another_type_than_claimed_is_refused_by_name),
		TEST(a_fill_reaches_its_range_and_no_further),
		TEST(integers_wrap_around),
		TEST(floats_can_be_added_to_and_others_cannot),
		TEST(a_compare_exchange_tells_what_was_there),
		TEST(who_may_only_read_reads_and_changes_nothing),
		TEST(what_was_removed_is_not_taken_for_what_came_after),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
