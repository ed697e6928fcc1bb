/* SPDX-License-Identifier: MIT */
/* Lazy values that an expression over other objects gives. */
#include "lazy_test.h"

static void new_object(const char *name, const char *kind, const char *type, const char *option,
		       const char *text)
{
	struct ipk_param params[2];
	struct ipk_error err = {0};
	unsigned n = 0;

	if (type)
		params[n++] = (struct ipk_param){"type", type};
	if (option)
		params[n++] = (struct ipk_param){option, text};
	if (ipk_object_new(seg, name, kind, params, n, &err) < 0)
		fail_msg("%s: %s", name, err.text);
}

static void new_expr(const char *name, const char *type, const char *text)
{
	new_object(name, "lazy", type, "expr", text);
}

static struct ipk_lazy *open_named(struct ipk_segment *in, const char *name)
{
	struct ipk_lazy *l = NULL;

	return ipk_lazy_open(in, name, NULL, &l, NULL) == 0 ? l : NULL;
}

/* Forces it in the library; its value as text is in text. */
static int force_named(const char *name, char *text, size_t size)
{
	struct ipk_lazy *l = open_named(seg, name);
	struct ipk_buf buf = {0};
	struct look k;
	int r;

	assert_non_null(l);
	r = ipk_lazy_force(l, NULL, NULL, NULL, 0, NULL, IPK_NOWAIT);
	if (r == -EMSGSIZE)
		r = 0;
	look(&k, "s", name);
	assert_int_equal(k.kind->value(&k.o, &buf), 0);
	look_end(&k);
	snprintf(text, size, "%.*s", (int)buf.len, buf.data ? buf.data : "");
	if (r == -EREMOTEIO) {
		size_t len = 0;

		assert_int_equal(ipk_lazy_error(l, text, size - 1, &len), 0);
		text[len] = '\0';
	}
	ipk_buf_free(&buf);
	ipk_lazy_close(l);
	return r;
}

static void assert_gives(const char *type, const char *expr, const char *want)
{
	char text[200];
	int r;

	new_expr("t", type, expr);
	r = force_named("t", text, sizeof(text));
	if (r != 0 || strcmp(text, want) != 0)
		fail_msg("%s: %d \"%s\", not \"%s\"", expr, r, text, want);
	assert_int_equal(ipk_object_remove(seg, "t", NULL), 0);
}

static void assert_fails(const char *type, const char *expr, int want, const char *why)
{
	char text[200];
	int r;

	new_expr("t", type, expr);
	r = force_named("t", text, sizeof(text));
	if (r != want || !strstr(text, why))
		fail_msg("%s: %d \"%s\", not \"%s\"", expr, r, text, why);
	assert_int_equal(ipk_object_remove(seg, "t", NULL), 0);
}

static void run_verb(const char *object, const char *kind, const char *verb, const char *key,
		     const char *value)
{
	const char *words[] = {value, NULL};
	struct verb v = {0};

	if (verb_run(&v, seg, object, kind, verb, key, NULL, words) != 0)
		fail_msg("%s %s: %s", verb, object, v.call.err.text);
	verb_end(&v);
}

static void what_it_names_goes_in(void **state)
{
	(void)state;
	new_object("price", "future", "f64", NULL, NULL);
	run_verb("price", "future", "set", NULL, "2.5");
	new_object("qty", "array", "u32", "cap", "4");
	run_verb("qty", "array", "set", "2", "7");
	new_object("at", "map", "{u32 id; f64 px}", NULL, NULL);
	run_verb("at", "map", "set", "a/b", "{\"id\":3,\"px\":0.5}");
	new_object("jobs", "queue", "i32", "cap", "8");
	run_verb("jobs", "queue", "push", NULL, "-3");
	run_verb("jobs", "queue", "push", NULL, "4");
	new_object("9-lives", "semaphore", NULL, "cap", "9");
	assert_gives("f64", "price * qty[2] + 1", "18.5\n");
	assert_gives("i64", "sum(qty) + len(qty)", "11\n");
	assert_gives("u8", "`qty/2` % 4", "3\n");
	assert_gives("f64", "`at/a/b`.px + `at/a/b`.id", "3.5\n");
	assert_gives("u64", "jobs.used * 100 + jobs.cap", "208\n");
	assert_gives("i32", "`jobs/0` + `jobs/1`", "1\n");
	assert_gives("bool", "`9-lives`.cap == 9 && price > 2", "true\n");
	assert_gives("str", "if(price > 2, 'high', 'low')", "high\n");
	assert_gives("json", "map(qty, $ * price)", "[0,0,17.5,0]\n");
	assert_gives("f64[4]", "map(qty, $ * price)", "[0,0,17.5,0]\n");
	assert_gives("json", " map ( jobs , abs($) + jobs.used ) ", "[5,6]\n");
	assert_gives("json", "map(`at`, $.id)", "[3]\n");
}

static void what_has_no_value_fails_and_stays_failed(void **state)
{
	char text[200];

	(void)state;
	new_object("jobs", "queue", "i32", "cap", "8");
	new_object("qty", "array", "u32", "cap", "4");
	assert_fails("i64", "1 / jobs.used", -EREMOTEIO, "division by zero");
	assert_fails("i64", "qty[jobs.used + 4]", -EREMOTEIO, "column");
	assert_fails("i8", "jobs.cap * 100", -EREMOTEIO, "i8");
	assert_fails("i64", "1.5", -EREMOTEIO, "i64");
	assert_fails("f64[3]", "map(qty, $)", -EREMOTEIO, "3");
	assert_fails("i64", "`qty/9`", -EREMOTEIO, "has nothing at \"9\"");
	new_expr("l", "i64", "10 / jobs.used");
	assert_int_equal(force_named("l", text, sizeof(text)), -EREMOTEIO);
	run_verb("jobs", "queue", "push", NULL, "5");
	assert_int_equal(force_named("l", text, sizeof(text)), -EREMOTEIO);
	run_verb("l", "lazy", "reset", NULL, NULL);
	assert_int_equal(force_named("l", text, sizeof(text)), 0);
	assert_string_equal(text, "10\n");
}

static void what_cannot_be_known_yet_is_no_failure(void **state)
{
	char text[200];

	(void)state;
	new_expr("l", "i64", "f + 1");
	assert_int_equal(force_named("l", text, sizeof(text)), -ENOENT);
	new_object("f", "future", "i64", NULL, NULL);
	assert_int_equal(force_named("l", text, sizeof(text)), -EAGAIN);
	run_verb("f", "future", "set", NULL, "41");
	assert_int_equal(force_named("l", text, sizeof(text)), 0);
	assert_string_equal(text, "42\n");
	/* Nor what a command computes, which the library does not run. */
	new_object("c", "lazy", "i64", "command", "echo 1");
	new_expr("m", "i64", "c + `map/k`");
	assert_int_equal(force_named("m", text, sizeof(text)), -ENOENT);
	new_object("map", "map", "i64", NULL, NULL);
	assert_int_equal(force_named("m", text, sizeof(text)), -EAGAIN);
	run_verb("c", "lazy", "set", NULL, "1");
	assert_int_equal(force_named("m", text, sizeof(text)), -ENOENT);
	run_verb("map", "map", "set", "k", "2");
	assert_int_equal(force_named("m", text, sizeof(text)), 0);
	assert_string_equal(text, "3\n");
}

static void mistakes_are_told_at_creation(void **state)
{
	static const struct {
		const char *expr, *why;
	} bad[] = {
		{"1 +", "column 4"},       {"'a' + 1", "column 5"}, {"$ + 1", "column 1"},
		{"map(q)", "map"},         {"map(q, $", "ends"},    {"map(q, $) + 1", "ends"},
		{"map(l, $)", "no items"}, {"map(, 1)", "map"},     {"q.use", "use"},
		{"`s/1`", "no keys"},
	};
	struct ipk_error err;

	(void)state;
	new_object("q", "queue", "i32", "cap", "8");
	new_object("s", "semaphore", NULL, NULL, NULL);
	new_object("l", "lazy", "i32", NULL, NULL);
	for (size_t i = 0; i < IPK_ARRAY_LEN(bad); i++) {
		int r = ipk_lazy_create(seg, "t", "i32", IPK_LAZY_EXPR, bad[i].expr, &err);

		if (r >= 0 || !strstr(err.text, bad[i].why))
			fail_msg("%s: %d \"%s\"", bad[i].expr, r, err.text);
	}
	assert_int_equal(ipk_object_new(seg, "t", "lazy",
					(struct ipk_param[]){{"command", "a"}, {"expr", "1"}}, 2,
					&err),
			 -EINVAL);
}

/* ---- lazy values that want each other ------------------------------------------------ */

static void each_is_computed_once_for_all(void **state)
{
	struct ipk_lazy *base;
	char text[200];

	(void)state;
	new_expr("base", "i64", "6");
	new_expr("left", "i64", "base + 1");
	new_expr("right", "i64", "base + 2");
	new_expr("top", "str", "str(left * right) + '!'");
	assert_int_equal(force_named("top", text, sizeof(text)), 0);
	assert_string_equal(text, "56!\n");
	base = open_named(seg, "base");
	assert_int_equal(base->b->runs, 1);
	ipk_lazy_close(base);
	assert_int_equal(force_named("left", text, sizeof(text)), 0);
	assert_string_equal(text, "7\n");
}

static void a_circle_is_told(void **state)
{
	char text[200];

	(void)state;
	new_expr("a", "i64", "b + 1");
	new_expr("b", "i64", "c + 1");
	new_expr("c", "i64", "a + 1");
	assert_int_equal(force_named("a", text, sizeof(text)), -EREMOTEIO);
	assert_non_null(strstr(text, "depends on itself"));
	new_expr("d", "i64", "d");
	assert_int_equal(force_named("d", text, sizeof(text)), -EREMOTEIO);
	assert_non_null(strstr(text, "depends on itself"));
}

static void begin_both(void *arg)
{
	struct ipk_segment *mine;
	struct ipk_lazy_run run;
	u32 *stage = arg;

	must(ipk_segment_open("s", IPK_WRITE, &mine, NULL) == 0);
	must(ipk_lazy_begin(open_named(mine, "a"), &run, IPK_NOWAIT) == 1);
	must(ipk_lazy_begin(open_named(mine, "b"), &run, IPK_NOWAIT) == 1);
	ipk_st(&stage[0], 1, seq_cst);
	nap_until(&stage[1]);
}

/* What another computes is not waited for, so that two who want each other's go on. */
static void nobody_waits_for_what_another_computes(void **state)
{
	u32 *stage = shared(2 * sizeof(*stage));
	struct ipk_lazy *b;
	char text[200];
	pid_t pid;

	(void)state;
	new_expr("a", "i64", "1");
	new_expr("b", "i64", "a + 1");
	new_expr("top", "i64", "b + 1");
	pid = spawn(begin_both, stage);
	await(ipk_ld(&stage[0], seq_cst));
	assert_int_equal(force_named("top", text, sizeof(text)), 0);
	assert_string_equal(text, "3\n");
	b = open_named(seg, "b");
	assert_int_equal(ipk_lazy_state(b), IPK_LAZY_RUNNING);
	kill_child(pid);
	assert_int_equal(ipk_lazy_state(b), IPK_LAZY_EMPTY);
	ipk_lazy_close(b);
	munmap(stage, 2 * sizeof(*stage));
}

static void a_circle_of_what_others_compute_ends(void **state)
{
	u32 *stage = shared(2 * sizeof(*stage));
	char text[200];
	pid_t pid;

	(void)state;
	new_expr("a", "i64", "b");
	new_expr("b", "i64", "a");
	new_expr("top", "i64", "a");
	pid = spawn(begin_both, stage);
	await(ipk_ld(&stage[0], seq_cst));
	assert_int_equal(force_named("top", text, sizeof(text)), -EREMOTEIO);
	assert_non_null(strstr(text, "want each other"));
	kill_child(pid);
	munmap(stage, 2 * sizeof(*stage));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_it_names_goes_in),
		TEST(what_has_no_value_fails_and_stays_failed),
		TEST(what_cannot_be_known_yet_is_no_failure),
		TEST(mistakes_are_told_at_creation),
		TEST(each_is_computed_once_for_all),
		TEST(a_circle_is_told),
		TEST(nobody_waits_for_what_another_computes),
		TEST(a_circle_of_what_others_compute_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
