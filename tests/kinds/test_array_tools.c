/* SPDX-License-Identifier: MIT */
/* Arrays as tools see them: views and verbs. */
#include "array_test.h"

/* ---- views ----------------------------------------------------------------------------------- */

struct seen {
	u64 n, first, last;
	u64 sum;
};

static int see(void *arg, const struct ipk_item *item)
{
	struct seen *s = arg;
	u32 v;

	memcpy(&v, item->data, 4);
	if (s->n++ == 0)
		s->first = item->pos;
	s->last = item->pos;
	s->sum += v;
	return 0;
}

static struct seen items(struct look *l, u64 from, u64 to)
{
	struct seen s = {0};

	assert_int_equal(l->kind->items(&l->o, from, to, see, &s), 0);
	return s;
}

static int by_key(struct look *l, const char *key, struct seen *ret)
{
	*ret = (struct seen){0};
	return l->kind->item(&l->o, key, strlen(key), see, ret);
}

static void check_views(const char *name, u64 cap)
{
	struct seen s;
	struct look l;
	u64 used, got;

	look(&l, "s", name);
	assert_int_equal(l.kind->inspect(&l.o, &used, &got), 0);
	assert_int_equal(used, cap);
	assert_int_equal(got, cap);
	s = items(&l, 0, UINT64_MAX);
	assert_int_equal(s.n, cap);
	assert_int_equal(s.last, cap - 1);
	assert_int_equal(s.sum, cap * (cap - 1) / 2);
	s = items(&l, 10, 13);
	assert_int_equal(s.n, 3);
	assert_int_equal(s.first, 10);
	assert_int_equal(s.sum, 33);
	assert_int_equal(by_key(&l, "7", &s), 0);
	assert_int_equal(s.sum, 7);
	assert_int_equal(by_key(&l, "..5", &s), 0);
	assert_int_equal(s.sum, 10);
	assert_int_equal(by_key(&l, "3..5", &s), 0);
	assert_int_equal(s.n, 2);
	assert_int_equal(by_key(&l, "5..5", &s), 0);
	assert_int_equal(s.n, 0);
	assert_int_equal(by_key(&l, "0..", &s), 0);
	assert_int_equal(s.n, cap);
	assert_int_equal(by_key(&l, "99999999", &s), -ERANGE);
	assert_int_equal(by_key(&l, "0..99999999", &s), -ERANGE);
	assert_int_equal(by_key(&l, "x", &s), -EINVAL);
	assert_int_equal(by_key(&l, "", &s), -EINVAL);
	look_end(&l);
}

static void views_show_every_element_where_it_is(void **state)
{
	const u64 cap = 50000; /* more than is read at once */
	struct ipk_array *a = make("a", "u32", cap), *w = make("w", "u32[3]", cap);
	struct ipk_buf raw = {0};
	struct look l;
	u32 v[3] = {0};

	(void)state;
	for (v[0] = 0; v[0] < cap; v[0]++) {
		assert_int_equal(ipk_array_set(a, v[0], v, IPK_FOREVER), 0);
		assert_int_equal(ipk_array_set(w, v[0], v, IPK_FOREVER), 0);
	}
	check_views("a", cap);
	check_views("w", cap);
	for (int i = 0; i < 2; i++) {
		struct ipk_array *x = i ? w : a;

		look(&l, "s", i ? "w" : "a");
		assert_int_equal(l.kind->raw(&l.o, &raw), 0);
		assert_int_equal(raw.len, cap * ipk_array_size(x));
		assert_memory_equal(raw.data, ipk_array_view(x), raw.len);
		raw.len = 0;
		look_end(&l);
	}
	ipk_buf_free(&raw);
	assert_int_equal(findings_of("s", "a").n, 0);
	assert_int_equal(findings_of("s", "w").n, 0);
	ipk_array_close(a);
	ipk_array_close(w);
}

/* A body whose numbers do not fit together is refused by all who look, and found by the check. */
static void a_damaged_array_is_refused_and_found(void **state)
{
	struct ipk_array *a = make("a", "u32[3]", 100), *b;
	struct ipk_array_body good, *body = a->body;
	struct seen s = {0};
	struct look l;
	u64 n;

	(void)state;
	memcpy(&good, body, sizeof(good));
	for (int i = 0; i < 7; i++) {
		switch (i) {
		case 0:
			body->cap = UINT64_MAX;
			break;
		case 1:
			body->cap = 0;
			break;
		case 2:
			body->cap = UINT64_MAX / 12 + 2;
			break;
		case 3:
			body->size = 8;
			body->slots = 0;
			body->log = 0;
			body->data = 128;
			break;
		case 4:
			body->slots = 1000000;
			break;
		case 5:
			body->data = UINT64_MAX - 63;
			break;
		case 6:
			body->log = 64;
			break;
		}
		look(&l, "s", "a");
		assert_int_equal(l.kind->inspect(&l.o, &n, &n), -EBADMSG);
		assert_int_equal(l.kind->items(&l.o, 0, UINT64_MAX, see, &s), -EBADMSG);
		look_end(&l);
		assert_int_equal(findings_of("s", "a").n, 1);
		assert_int_equal(ipk_array_open(seg, "a", NULL, &b, NULL), -EBADMSG);
		memcpy(body, &good, sizeof(good));
	}
	assert_int_equal(findings_of("s", "a").n, 0);
	/* A staged write that names no element. */
	*(u64 *)(void *)((u8 *)body + body->log) = 100;
	body->seq = 1;
	assert_int_equal(findings_of("s", "a").n, 1);
	assert_int_equal(ipk_array_set(a, 0, "............", IPK_FOREVER), -EBADMSG);
	body->seq = 0;
	ipk_array_close(a);
}

/* ---- verbs ----------------------------------------------------------------------------------- */

#define WORDS(...)                                                                                 \
	(const char *const[])                                                                      \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}

static int run(const char *object, const char *verb, const char *key, const char *arg,
	       const char *const *words, const char *out)
{
	struct verb v = {0};
	int r = verb_run(&v, seg, object, "array", verb, key, arg, words);

	if (r < 0 && !v.call.err.text[0] && r != -ERANGE)
		fail_msg("%s gives %d and no reason", verb, r);
	if (out)
		assert_string_equal(v.out.data, out);
	verb_end(&v);
	return r;
}

static void set_wants_as_many_values_as_the_range_has(void **state)
{
	(void)state;
	ipk_array_close(make("a", "i32", 8));
	assert_int_equal(run("a", "set", "0..3", NULL, WORDS("1", "2", "3"), NULL), 0);
	assert_int_equal(run("a", "set", "7", NULL, WORDS("-9"), NULL), 0);
	assert_int_equal(run("a", "get", NULL, NULL, NULL, "1\n2\n3\n0\n0\n0\n0\n-9\n"), 0);
	assert_int_equal(run("a", "set", "0..3", NULL, WORDS("4", "5"), NULL), -E2BIG);
	assert_int_equal(run("a", "set", "0..3", NULL, WORDS("4", "5", "6", "7"), NULL), -E2BIG);
	assert_int_equal(run("a", "set", "0", NULL, WORDS("4", "5"), NULL), -E2BIG);
	assert_int_equal(run("a", "set", "8", NULL, WORDS("4"), NULL), -ERANGE);
	assert_int_equal(run("a", "set", "7..9", NULL, WORDS("4", "5"), NULL), -ERANGE);
	assert_int_equal(run("a", "set", "3..1", NULL, WORDS("4", "5"), NULL), -EINVAL);
	assert_int_equal(run("a", "get", "..3", NULL, NULL, "1\n2\n3\n"), 0);
	assert_int_equal(run("a", "get", "8", NULL, NULL, ""), -ERANGE);
	assert_int_equal(run("a", "load", NULL, NULL, WORDS("5", "6"), NULL), 0);
	assert_int_equal(run("a", "get", "..3", NULL, NULL, "5\n6\n3\n"), 0);
}

static void set_if_equal_compares_values(void **state)
{
	(void)state;
	ipk_array_close(make("a", "f64", 4));
	ipk_array_close(make("w", "{u32 id; str:6 s}", 4));
	assert_int_equal(run("a", "set", "1", "0", WORDS("2.5"), NULL), 0);
	assert_int_equal(run("a", "set", "1", "2.50", WORDS("-0"), NULL), 0);
	assert_int_equal(run("a", "set", "1", "2.5", WORDS("3"), NULL), -EEXIST);
	assert_int_equal(run("a", "set", "1", "0", WORDS("7"), NULL), 0);
	assert_int_equal(run("a", "get", "1", NULL, NULL, "7\n"), 0);
	assert_int_equal(run("a", "set", "0..2", "0", WORDS("7", "8"), NULL), -EINVAL);
	assert_int_equal(run("w", "set", "3", "{\"id\":0,\"s\":\"\"}",
			     WORDS("{\"s\":\"abc\",\"id\":9}"), NULL),
			 0);
	assert_int_equal(run("w", "set", "3", "{\"id\":0,\"s\":\"\"}",
			     WORDS("{\"s\":\"x\",\"id\":1}"), NULL),
			 -EEXIST);
	assert_int_equal(run("w", "get", "3", NULL, NULL, "{\"id\":9,\"s\":\"abc\"}\n"), 0);
}

static void incr_prints_the_sum_and_takes_negative_numbers(void **state)
{
	(void)state;
	ipk_array_close(make("u", "u16", 3));
	ipk_array_close(make("f", "f32", 3));
	ipk_array_close(make("s", "str:3", 3));
	ipk_array_close(make("q", "u64", 3));
	assert_int_equal(run("u", "incr", "2", NULL, NULL, "1\n"), 0);
	assert_int_equal(run("u", "incr", "2", "41", NULL, "42\n"), 0);
	assert_int_equal(run("u", "incr", "2", "-43", NULL, "65535\n"), 0);
	assert_int_equal(run("u", "incr", "0..2", "5", NULL, "5\n5\n"), 0);
	assert_int_equal(run("u", "incr", "2", "1.5", NULL, ""), -EINVAL);
	assert_int_equal(run("f", "incr", "0", "1.5", NULL, "1.5\n"), 0);
	assert_int_equal(run("f", "incr", "0", "-2", NULL, "-0.5\n"), 0);
	assert_int_equal(run("s", "incr", "0", NULL, NULL, ""), -EMEDIUMTYPE);
	assert_int_equal(
		run("q", "incr", "0", "18446744073709551615", NULL, "18446744073709551615\n"), 0);
	assert_int_equal(run("q", "incr", "0", "18446744073709551616", NULL, ""), -ERANGE);
}

static void fill_takes_one_value(void **state)
{
	(void)state;
	ipk_array_close(make("a", "u8", 4));
	assert_int_equal(run("a", "fill", NULL, NULL, WORDS("7"), NULL), 0);
	assert_int_equal(run("a", "fill", "1..3", NULL, WORDS("9"), NULL), 0);
	assert_int_equal(run("a", "get", NULL, NULL, NULL, "7\n9\n9\n7\n"), 0);
	assert_int_equal(run("a", "fill", NULL, NULL, WORDS("1", "2"), NULL), -E2BIG);
	assert_int_equal(run("a", "fill", NULL, NULL, NULL, NULL), -E2BIG);
	assert_int_equal(run("a", "fill", "2..9", NULL, WORDS("1"), NULL), -ERANGE);
	assert_int_equal(run("a", "get", NULL, NULL, NULL, "7\n9\n9\n7\n"), 0);
}

/* What does not fit the room for counting is stored as it comes, and what is missing is told. */
static void long_input_is_stored_as_it_comes(void **state)
{
	const u64 cap = 300000; /* of 8 bytes: more than may wait to be counted */
	struct ipk_array *a = make("a", "u64", cap);
	const char **words = calloc(cap + 2, sizeof(*words));
	struct verb v = {.most = 33};
	u64 got;

	(void)state;
	for (u64 i = 0; i < cap; i++)
		words[i] = i % 2 ? "1" : "2";
	assert_int_equal(verb_run(&v, seg, "a", "array", "set", "0..", NULL, words), 0);
	assert_int_equal(v.call.done, cap);
	verb_end(&v);
	assert_int_equal(ipk_array_get(a, cap - 1, &got), 0);
	assert_int_equal(got, 1);
	words[cap] = "1";
	assert_int_equal(verb_run(&v, seg, "a", "array", "set", "0..", NULL, words), -E2BIG);
	verb_end(&v);
	words[cap - 1] = NULL;
	assert_int_equal(verb_run(&v, seg, "a", "array", "set", "0..", NULL, words), -E2BIG);
	assert_true(v.call.done > 0 && v.call.done < cap);
	verb_end(&v);
	free(words);
	ipk_array_close(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(views_show_every_element_where_it_is),
		TEST(a_damaged_array_is_refused_and_found),
		TEST(set_wants_as_many_values_as_the_range_has),
		TEST(set_if_equal_compares_values),
		TEST(incr_prints_the_sum_and_takes_negative_numbers),
		TEST(fill_takes_one_value),
		TEST(long_input_is_stored_as_it_comes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
