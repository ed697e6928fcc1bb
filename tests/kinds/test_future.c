/* SPDX-License-Identifier: MIT */
#include "future_test.h"

static void it_is_set_once(void **state)
{
	struct ipk_future *f = make(NULL);
	size_t len = 77;
	char c;

	(void)state;
	assert_int_equal(ipk_future_state(f), IPK_FUTURE_PENDING);
	assert_int_equal(ipk_future_get(f, &c, 1, &len), -EAGAIN);
	assert_int_equal(ipk_future_await(f, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_future_await(f, ipk_deadline(MS)), -ETIMEDOUT);
	assert_int_equal(ipk_future_error(f, &c, 1, &len), -ENOENT);
	assert_int_equal(len, 77);
	assert_int_equal(ipk_future_set(f, "hello", 5), 0);
	assert_int_equal(ipk_future_state(f), IPK_FUTURE_SET);
	assert_int_equal(ipk_future_set(f, "other", 5), -EEXIST);
	assert_int_equal(ipk_future_fail(f, "other", 5), -EEXIST);
	assert_int_equal(ipk_future_claim(f), -EEXIST);
	assert_value(f, "hello");
	assert_int_equal(ipk_future_get(f, &c, 1, &len), -EMSGSIZE);
	assert_int_equal(len, 5);
	assert_int_equal(ipk_future_await(f, IPK_FOREVER), 0);
	assert_int_equal(findings_of("s", "x").n, 0);
	assert_int_equal(ipk_future_reset(f), 0);
	assert_int_equal(ipk_future_get(f, &c, 1, NULL), -EAGAIN);
	assert_int_equal(ipk_future_set(f, NULL, 0), 0);
	assert_value(f, "");
	assert_int_equal(findings_of("s", "x").n, 0);
	ipk_future_close(f);
}

static void a_failure_has_a_reason(void **state)
{
	struct ipk_future *f = make("u64");
	char text[32];
	size_t len;

	(void)state;
	assert_int_equal(ipk_future_set(f, "1234567", 7), -EINVAL);
	assert_int_equal(ipk_future_fail(f, "", IPK_FUTURE_TEXT_MAX + 1), -EMSGSIZE);
	assert_int_equal(ipk_future_fail(f, "no such host", 12), 0);
	assert_int_equal(ipk_future_state(f), IPK_FUTURE_FAILED);
	assert_int_equal(ipk_future_get(f, text, 8, NULL), -EREMOTEIO);
	assert_int_equal(ipk_future_await(f, IPK_NOWAIT), -EREMOTEIO);
	assert_int_equal(ipk_future_set(f, "12345678", 8), -EEXIST);
	assert_int_equal(ipk_future_error(f, text, 5, &len), -EMSGSIZE);
	assert_int_equal(len, 12);
	assert_int_equal(ipk_future_error(f, text, sizeof(text), &len), 0);
	assert_memory_equal(text, "no such host", 12);
	assert_int_equal(findings_of("s", "x").n, 0);
	assert_int_equal(ipk_future_reset(f), 0);
	assert_int_equal(ipk_future_error(f, text, sizeof(text), &len), -ENOENT);
	assert_int_equal(ipk_future_set(f, "12345678", 8), 0);
	ipk_future_close(f);
}

static void a_value_may_be_long_and_its_space_comes_back(void **state)
{
	struct ipk_future *f = make("bytes");
	u64 before = info_of("s").used;
	size_t size = 3 << 20, len;
	u8 *out = malloc(size), *in = malloc(size);

	(void)state;
	assert_true(out && in);
	for (size_t i = 0; i < size; i++)
		in[i] = (u8)(i * 7 + i / 251);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(ipk_future_set(f, in, size), 0);
		assert_int_equal(ipk_future_get(f, out, size, &len), 0);
		assert_int_equal(len, size);
		assert_memory_equal(in, out, size);
		assert_int_equal(ipk_future_reset(f), 0);
		assert_int_equal(info_of("s").used, before);
	}
	assert_int_equal(ipk_future_set(f, in, size), 0);
	ipk_future_close(f);
	assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
	assert_int_equal(info_of("s").used, 0);
	free(out);
	free(in);
}

static void types_and_damage_are_refused(void **state)
{
	struct ipk_future *f = make("u32"), *other;

	(void)state;
	assert_int_equal(ipk_future_open(seg, "x", "u64", &other, NULL), -EMEDIUMTYPE);
	assert_int_equal(ipk_future_open(seg, "x", "u32", &other, NULL), 0);
	ipk_future_close(other);
	assert_int_equal(ipk_future_set(f, "1234", 4), 0);
	f->b->v.len = 5;
	assert_int_equal(ipk_future_get(f, NULL, 0, NULL), -EBADMSG);
	assert_true(findings_of("s", "x").n > 0);
	f->b->v.len = 4;
	f->b->v.value = UINT64_MAX - 63;
	assert_int_equal(ipk_future_get(f, NULL, 0, NULL), -EBADMSG);
	f->b->v.value = 0;
	assert_true(findings_of("s", "x").n > 0);
	f->b->v.len = 0;
	f->b->size = 8;
	assert_int_equal(ipk_future_open(seg, "x", NULL, &other, NULL), -EBADMSG);
	ipk_future_close(f);
}

static void text_of_value(char *text, size_t size)
{
	struct ipk_buf buf = {0};
	struct look l;

	look(&l, "s", "x");
	assert_int_equal(l.kind->value(&l.o, &buf), 0);
	snprintf(text, size, "%.*s", (int)buf.len, buf.data ? buf.data : "");
	ipk_buf_free(&buf);
	look_end(&l);
}

static void the_value_file_is_empty_until_it_is_set(void **state)
{
	struct ipk_future *f = make("{u32 id; str:4 sym}");
	char text[64];

	(void)state;
	text_of_value(text, sizeof(text));
	assert_string_equal(text, "");
	assert_int_equal(ipk_future_set(f, "\1\0\0\0abc", 8), 0);
	text_of_value(text, sizeof(text));
	assert_string_equal(text, "{\"id\":1,\"sym\":\"abc\"}\n");
	assert_int_equal(ipk_future_reset(f), 0);
	assert_int_equal(ipk_future_fail(f, "abc", 3), 0);
	text_of_value(text, sizeof(text));
	assert_string_equal(text, "");
	ipk_future_close(f);
}

static int run(const char *verb, const char *arg, const char *const *words, const char *out)
{
	struct verb v = {0};
	int r = verb_run(&v, seg, "x", "future", verb, NULL, arg, words);

	if (out)
		assert_string_equal(r == -EREMOTEIO ? v.call.err.text : v.out.data, out);
	verb_end(&v);
	return r;
}

static void the_verbs_set_fail_and_wait(void **state)
{
	static const char *const one[] = {"7", NULL}, *const two[] = {"7", "8", NULL};
	char longer[400];

	(void)state;
	ipk_future_close(make("i16"));
	assert_int_equal(run("get", NULL, NULL, ""), -EAGAIN);
	assert_int_equal(run("await", NULL, NULL, ""), -EAGAIN);
	assert_int_equal(run("set", NULL, two, NULL), -E2BIG);
	assert_int_equal(run("set", NULL, one, NULL), 0);
	assert_int_equal(run("set", NULL, one, NULL), -EEXIST);
	assert_int_equal(run("get", NULL, NULL, "7\n"), 0);
	assert_int_equal(run("await", NULL, NULL, "7\n"), 0);
	assert_int_equal(run("wait", NULL, NULL, ""), 0);
	assert_int_equal(run("reset", NULL, NULL, NULL), 0);
	assert_int_equal(run("then", "later", NULL, NULL), 0);
	assert_int_equal(run("fail", "why", NULL, NULL), 0);
	assert_int_equal(run("get", NULL, NULL, "why"), -EREMOTEIO);
	assert_int_equal(run("reset", NULL, NULL, NULL), 0);
	/* A reason longer than an error's text is cut. */
	memset(longer, 'y', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(run("fail", longer, NULL, NULL), 0);
	assert_int_equal(run("get", NULL, NULL, longer + sizeof(longer) - 244), -EREMOTEIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_set_once),
		TEST(a_failure_has_a_reason),
		TEST(a_value_may_be_long_and_its_space_comes_back),
		TEST(types_and_damage_are_refused),
		TEST(the_value_file_is_empty_until_it_is_set),
		TEST(the_verbs_set_fail_and_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
