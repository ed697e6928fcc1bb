/* SPDX-License-Identifier: MIT */
#include "lazy_test.h"

static void it_is_computed_once(void **state)
{
	struct ipk_lazy *l = make(NULL);
	size_t len = 77;
	char buf[32];

	(void)state;
	computed = 0;
	assert_int_equal(ipk_lazy_state(l), IPK_LAZY_EMPTY);
	assert_int_equal(ipk_lazy_peek(l, buf, sizeof(buf), &len), -EAGAIN);
	assert_int_equal(ipk_lazy_error(l, buf, sizeof(buf), &len), -ENOENT);
	assert_int_equal(ipk_lazy_wait(l, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_lazy_wait(l, ipk_deadline(MS)), -ETIMEDOUT);
	assert_int_equal(len, 77);
	assert_int_equal(force_text(l, "one", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "one");
	assert_int_equal(force_text(l, "two", buf, sizeof(buf)), 0);
	assert_string_equal(buf, "one");
	assert_int_equal(computed, 1);
	assert_int_equal(ipk_lazy_state(l), IPK_LAZY_READY);
	assert_int_equal(ipk_lazy_wait(l, IPK_NOWAIT), 0);
	assert_int_equal(ipk_lazy_force(l, NULL, NULL, buf, 2, &len, IPK_NOWAIT), -EMSGSIZE);
	assert_int_equal(len, 3);
	assert_value(l, "one");
	assert_sound();
	assert_int_equal(ipk_lazy_reset(l), 0);
	assert_int_equal(ipk_lazy_reset(l), 0);
	assert_int_equal(ipk_lazy_state(l), IPK_LAZY_EMPTY);
	assert_int_equal(force_text(l, "", buf, sizeof(buf)), 0);
	assert_value(l, "");
	assert_int_equal(computed, 2);
	assert_sound();
	ipk_lazy_close(l);
}

static void a_failure_is_kept_until_reset(void **state)
{
	struct ipk_lazy *l = make("u64");
	char buf[32];
	size_t len;

	(void)state;
	computed = 0;
	assert_int_equal(ipk_lazy_force(l, fail_with, "no such host", buf, 8, NULL, IPK_NOWAIT),
			 -EREMOTEIO);
	assert_int_equal(ipk_lazy_state(l), IPK_LAZY_FAILED);
	assert_int_equal(ipk_lazy_force(l, text_of, "12345678", buf, 8, NULL, IPK_NOWAIT),
			 -EREMOTEIO);
	assert_int_equal(computed, 1);
	assert_int_equal(ipk_lazy_peek(l, buf, 8, NULL), -EREMOTEIO);
	assert_int_equal(ipk_lazy_wait(l, IPK_FOREVER), -EREMOTEIO);
	assert_int_equal(ipk_lazy_set(l, "12345678", 8), -EEXIST);
	assert_int_equal(ipk_lazy_error(l, buf, 5, &len), -EMSGSIZE);
	assert_int_equal(len, 12);
	assert_int_equal(ipk_lazy_error(l, buf, sizeof(buf), &len), 0);
	assert_memory_equal(buf, "no such host", 12);
	assert_sound();
	assert_int_equal(ipk_lazy_reset(l), 0);
	assert_int_equal(ipk_lazy_error(l, buf, sizeof(buf), &len), -ENOENT);
	assert_int_equal(ipk_lazy_force(l, text_of, "12345678", buf, 8, &len, IPK_NOWAIT), 0);
	assert_int_equal(computed, 2);
	ipk_lazy_close(l);
}

/* Any error of the function's but what it gave a reason for leaves it to the next. */
static void who_cannot_compute_it_leaves_it_to_others(void **state)
{
	static const int errors[] = {-EPERM, -EAGAIN, -ENOMEM, -EREMOTEIO};
	struct ipk_lazy *l = make(NULL);
	char buf[32];

	(void)state;
	computed = 0;
	for (size_t i = 0; i < IPK_ARRAY_LEN(errors); i++) {
		assert_int_equal(ipk_lazy_force(l, give_up, (int *)&errors[i], buf, sizeof(buf),
						NULL, IPK_FOREVER),
				 errors[i]);
		assert_int_equal(computed, i + 1);
		assert_int_equal(ipk_lazy_state(l), IPK_LAZY_EMPTY);
	}
	assert_int_equal(ipk_lazy_force(l, NULL, NULL, buf, sizeof(buf), NULL, IPK_FOREVER),
			 -EOPNOTSUPP);
	assert_int_equal(force_text(l, "one", buf, sizeof(buf)), 0);
	assert_int_equal(ipk_lazy_force(l, NULL, NULL, buf, sizeof(buf), NULL, IPK_NOWAIT), 0);
	ipk_lazy_close(l);
}

static void a_value_that_cannot_be_kept_leaves_it_empty(void **state)
{
	struct ipk_lazy *l = make("u32");
	struct ipk_lazy_run run;
	char *big = calloc(1, 80 << 20);

	(void)state;
	assert_non_null(big);
	assert_int_equal(ipk_lazy_force(l, text_of, "12345", big, 8, NULL, IPK_NOWAIT), -EINVAL);
	assert_int_equal(ipk_lazy_set(l, "12345", 5), -EINVAL);
	assert_int_equal(ipk_lazy_state(l), IPK_LAZY_EMPTY);
	assert_int_equal(ipk_lazy_begin(l, &run, IPK_NOWAIT), 1);
	assert_int_equal(ipk_lazy_done(l, &run, "12345", 5), -EINVAL);
	assert_int_equal(ipk_lazy_fail(l, &run, big, IPK_LAZY_TEXT_MAX + 1), -EMSGSIZE);
	assert_int_equal(ipk_lazy_state(l), IPK_LAZY_RUNNING);
	assert_int_equal(ipk_lazy_done(l, &run, "1234", 4), 0);
	assert_value(l, "1234");
	ipk_lazy_close(l);
	assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
	/* More than the segment may ever have. */
	l = make("bytes");
	assert_int_equal(ipk_lazy_begin(l, &run, IPK_NOWAIT), 1);
	assert_int_equal(ipk_lazy_done(l, &run, big, 80 << 20), -ENOSPC);
	assert_int_equal(ipk_lazy_state(l), IPK_LAZY_RUNNING);
	assert_int_equal(ipk_lazy_fail(l, &run, "too long", 8), 0);
	assert_int_equal(ipk_lazy_state(l), IPK_LAZY_FAILED);
	assert_sound();
	ipk_lazy_close(l);
	free(big);
}

static void a_value_may_be_long_and_its_space_comes_back(void **state)
{
	struct ipk_lazy *l = make("bytes");
	u64 before = info_of("s").used;
	size_t size = 1 << 20, len;
	u8 *out = malloc(size), *in = malloc(size);

	(void)state;
	assert_true(out && in);
	for (size_t i = 0; i < size; i++)
		in[i] = (u8)(i * 7 + i / 251);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(ipk_lazy_set(l, in, size), 0);
		assert_int_equal(ipk_lazy_set(l, in, size), -EEXIST);
		assert_int_equal(ipk_lazy_peek(l, out, size, &len), 0);
		assert_int_equal(len, size);
		assert_memory_equal(in, out, size);
		assert_int_equal(ipk_lazy_reset(l), 0);
		assert_int_equal(info_of("s").used, before);
	}
	assert_int_equal(ipk_lazy_set(l, in, size), 0);
	ipk_lazy_close(l);
	assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
	assert_int_equal(info_of("s").used, 0);
	free(out);
	free(in);
}

static void the_library_runs_no_command(void **state)
{
	struct ipk_lazy *l;
	const char *text;
	char buf[32];
	size_t len;

	(void)state;
	assert_int_equal(ipk_lazy_create(seg, "x", NULL, IPK_LAZY_COMMAND, "", NULL), -EINVAL);
	assert_int_equal(ipk_lazy_create(seg, "x", NULL, IPK_LAZY_CALLER, "1", NULL), -EINVAL);
	assert_int_equal(ipk_lazy_create(seg, "x", NULL, (enum ipk_lazy_thunk)3, "1", NULL), -EINVAL);
	assert_int_equal(ipk_lazy_create(seg, "x", NULL, IPK_LAZY_COMMAND, "echo 1", NULL), 0);
	l = open_lazy(seg);
	assert_int_equal(ipk_lazy_thunk(l, &text, &len), IPK_LAZY_COMMAND);
	assert_int_equal(len, 6);
	assert_string_equal(text, "echo 1");
	assert_int_equal(ipk_lazy_force(l, NULL, NULL, buf, sizeof(buf), NULL, IPK_FOREVER),
			 -EOPNOTSUPP);
	assert_int_equal(ipk_lazy_state(l), IPK_LAZY_EMPTY);
	assert_int_equal(force_text(l, "one", buf, sizeof(buf)), 0);
	assert_sound();
	ipk_lazy_close(l);
}

static void types_and_damage_are_refused(void **state)
{
	struct ipk_lazy *l = make("u32"), *other;

	(void)state;
	assert_int_equal(ipk_lazy_open(seg, "x", "u64", &other, NULL), -EMEDIUMTYPE);
	assert_int_equal(ipk_lazy_open(seg, "x", "u32", &other, NULL), 0);
	ipk_lazy_close(other);
	assert_int_equal(ipk_lazy_set(l, "1234", 4), 0);
	l->b->v.len = 5;
	assert_int_equal(ipk_lazy_peek(l, NULL, 0, NULL), -EBADMSG);
	assert_int_equal(ipk_lazy_force(l, NULL, NULL, NULL, 0, NULL, IPK_FOREVER), -EBADMSG);
	assert_int_equal(findings_of("s", "x").n, 1);
	l->b->v.len = 4;
	l->b->v.value = UINT64_MAX - 63;
	assert_int_equal(ipk_lazy_peek(l, NULL, 0, NULL), -EBADMSG);
	l->b->v.value = 0;
	assert_int_equal(findings_of("s", "x").n, 1);
	l->b->v.len = 0;
	l->b->v.word = 0x3ffe;
	assert_int_equal(findings_of("s", "x").n, 1);
	l->b->v.word = 0;
	assert_sound();
	l->b->text_len = 1;
	assert_int_equal(findings_of("s", "x").n, 1);
	l->b->text_len = UINT64_MAX;
	assert_int_equal(findings_of("s", "x").n, 1);
	assert_int_equal(ipk_lazy_open(seg, "x", NULL, &other, NULL), -EBADMSG);
	l->b->text_len = 0;
	l->b->thunk = 77;
	assert_int_equal(findings_of("s", "x").n, 1);
	assert_int_equal(ipk_lazy_open(seg, "x", NULL, &other, NULL), -EBADMSG);
	l->b->thunk = 0;
	l->b->size = 8;
	assert_int_equal(findings_of("s", "x").n, 1);
	assert_int_equal(ipk_lazy_open(seg, "x", NULL, &other, NULL), -EBADMSG);
	l->b->size = 4;
	ipk_lazy_close(l);
}

static int run(const char *verb, const char *const *words, const char *out)
{
	struct verb v = {0};
	int r = verb_run(&v, seg, "x", "lazy", verb, NULL, NULL, words);

	if (out)
		assert_string_equal(r ? v.call.err.text : v.out.data, out);
	verb_end(&v);
	return r;
}

static void the_verbs_say_how_it_stands(void **state)
{
	static const char *const one[] = {"7", NULL}, *const two[] = {"7", "8", NULL};
	struct ipk_lazy *l = make("i16");
	char longer[400];

	(void)state;
	assert_int_equal(run("peek", NULL, "it is not computed yet; to do that: ipcctl force"),
			 -EAGAIN);
	assert_int_equal(run("wait", NULL, NULL), -EAGAIN);
	assert_int_equal(run("force", NULL, "programs alone know how to compute it"), -EOPNOTSUPP);
	assert_int_equal(run("set", two, NULL), -E2BIG);
	assert_int_equal(run("set", one, NULL), 0);
	assert_int_equal(run("set", one, NULL), -EEXIST);
	assert_int_equal(run("peek", NULL, "7\n"), 0);
	assert_int_equal(run("get", NULL, "7\n"), 0);
	assert_int_equal(run("force", NULL, "7\n"), 0);
	assert_int_equal(run("wait", NULL, ""), 0);
	assert_string_equal(value(), "7");
	assert_int_equal(run("reset", NULL, NULL), 0);
	assert_int_equal(ipk_lazy_force(l, fail_with, "why", longer, 8, NULL, IPK_NOWAIT),
			 -EREMOTEIO);
	assert_int_equal(run("peek", NULL, "why"), -EREMOTEIO);
	assert_int_equal(run("force", NULL, "why"), -EREMOTEIO);
	assert_int_equal(run("wait", NULL, "why"), -EREMOTEIO);
	assert_int_equal(run("reset", NULL, NULL), 0);
	/* A reason longer than an error's text is cut. */
	memset(longer, 'y', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(ipk_lazy_force(l, fail_with, longer, longer, 8, NULL, IPK_NOWAIT),
			 -EREMOTEIO);
	assert_int_equal(run("peek", NULL, longer + sizeof(longer) - 244), -EREMOTEIO);
	ipk_lazy_close(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_computed_once),
		TEST(a_failure_is_kept_until_reset),
		TEST(who_cannot_compute_it_leaves_it_to_others),
		TEST(a_value_that_cannot_be_kept_leaves_it_empty),
		TEST(a_value_may_be_long_and_its_space_comes_back),
		TEST(the_library_runs_no_command),
		TEST(types_and_damage_are_refused),
		TEST(the_verbs_say_how_it_stands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
