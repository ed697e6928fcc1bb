/* SPDX-License-Identifier: MIT */
#include "value_test.h"

#include <math.h>

#include "expr.h"

/* Names: n is 5 as an i64, t a text. */
static struct ipk_type *name_types[2];

static int find(void *arg, const char *name, size_t len, u32 *ret_id,
		const struct ipk_type **ret_type, struct ipk_error *err)
{
	(void)arg;
	if (len == 6 && memcmp(name, "broken", 6) == 0)
		return ipk_error_set(err, -EACCES, "broken is not to be read");
	if (len == 1 && *name == 'n')
		*ret_id = 0;
	else if (len == 5 && memcmp(name, "a-b/7", 5) == 0)
		*ret_id = 1;
	else
		return -ENOENT;
	*ret_type = name_types[*ret_id];
	return 0;
}

static int load(void *arg, u32 id, const void **ret_val, size_t *ret_len, struct ipk_error *err)
{
	static const i64 five = 5;

	(void)arg, (void)err;
	*ret_val = id ? (const void *)"Text" : &five;
	*ret_len = id ? 4 : sizeof(five);
	return 0;
}

/* What expr over the element gives: "type value", or with an error "! message". */
static void compute(const char *schema, const char *elem, const char *expr, size_t len,
		    struct ipk_buf *out)
{
	struct ipk_type *type = schema ? type_of(schema) : NULL;
	struct ipk_expr_env env = {.elem = type, .find = find};
	struct ipk_expr_input in = {.load = load};
	struct ipk_buf value = {0}, result = {0};
	struct ipk_error err = {0};
	struct ipk_expr *e = NULL;
	int r;

	name_types[0] = type_of("i64");
	name_types[1] = type_of("str");
	if (type && ipk_value_parse(type, elem, strlen(elem), 0, &value, &err) != 0)
		fail_msg("%s: %s", elem, err.text);
	in.elem = value.data;
	in.len = value.len;
	out->len = 0;
	r = ipk_expr_parse(expr, len, &env, &e, &err);
	if (r == 0)
		r = ipk_expr_eval(e, &in, &result, &err);
	if (r == 0) {
		const struct ipk_type *t = ipk_expr_type(e);

		ipk_buf_printf(out, "%s ", t->text);
		assert_int_equal(
			ipk_value_print(t, result.data ? result.data : "", result.len, 0, out), 0);
	} else {
		assert_int_equal(err.code, r);
		assert_true(err.text[0]);
		ipk_buf_printf(out, "! %s", err.text);
	}
	ipk_buf_add(out, "", 1);
	ipk_expr_free(e);
	ipk_buf_free(&result);
	ipk_buf_free(&value);
	ipk_type_free(type);
	ipk_type_free(name_types[0]);
	ipk_type_free(name_types[1]);
}

struct row {
	const char *schema, *elem, *expr, *gives;
};

static void check(const struct row *rows, size_t n)
{
	struct ipk_buf out = {0};

	for (size_t i = 0; i < n; i++) {
		compute(rows[i].schema, rows[i].elem, rows[i].expr, strlen(rows[i].expr), &out);
		if (strcmp(out.data, rows[i].gives) != 0)
			fail_msg("%s over %s: \"%s\" and not \"%s\"", rows[i].expr, rows[i].elem,
				 out.data, rows[i].gives);
	}
	ipk_buf_free(&out);
}

static void expressions_have_the_values_of_the_table(void **state)
{
	static const char point[] = "{u32 id; f64 px; str:4 sym; i8[3] v; {u8 x; f32 y} in}";
	static const char at[] =
		"{\"id\":7,\"px\":1.5,\"sym\":\"ab\",\"v\":[3,-4,5],\"in\":{\"x\":9,\"y\":0.1}}";
	static const struct row rows[] = {
		{NULL, "", "1 + 2 * 3 - -4", "i64 11"},
		{NULL, "", "(1 + 2) * 3 % 5", "i64 4"},
		{NULL, "", "-7 / 2", "i64 -3"},
		{NULL, "", "-7 % 3", "i64 -1"},
		{NULL, "", "10 - 4 - 3", "i64 3"},
		{NULL, "", "7 / 2.0", "f64 3.5"},
		{NULL, "", "0x1f", "i64 31"},
		{NULL, "", "2e3 + .5", "f64 2000.5"},
		{NULL, "", "-7.5 % 2", "f64 -1.5"},
		{NULL, "", "1.0 / 0", "f64 inf"},
		{NULL, "", "nan == nan || nan < 1 || 1 <= nan", "bool false"},
		{NULL, "", "nan != nan", "bool true"},
		{NULL, "", "min(nan, 1) != 1.0 && max(1, nan) != 1.0", "bool true"},
		{NULL, "", "-inf < -9223372036854775808 && 18446744073709551615 < inf",
		 "bool true"},
		{NULL, "", "9007199254740993 == 9007199254740992.0", "bool false"},
		{NULL, "", "9007199254740993 > 9007199254740992.0", "bool true"},
		{NULL, "", "-1.5 < -1 && -1 > -1.5 && 1 < 1.5", "bool true"},
		{NULL, "", "18446744073709551615 - 1", "u64 18446744073709551614"},
		{NULL, "", "-9223372036854775808", "i64 -9223372036854775808"},
		{NULL, "", "i64(9223372036854775808 - 1)", "i64 9223372036854775807"},
		{NULL, "", "!true || false == (1 > 2)", "bool true"},
		{NULL, "", "true && true != false", "bool true"},
		{NULL, "", "false && 1 / 0 == 1", "bool false"},
		{NULL, "", "true || 1 / 0 == 1", "bool true"},
		{NULL, "", "if(2 > 1, 1, 1 / 0)", "i64 1"},
		{NULL, "", "if(false, 1, 2.5) + if(true, 1, 2.5)", "f64 3.5"},
		{NULL, "", "abs(-3) + abs(2)", "i64 5"},
		{NULL, "", "abs(-2.5)", "f64 2.5"},
		{NULL, "", "floor(-1.5) * 100 + ceil(-1.5) * 10 + round(2.5)", "f64 -207"},
		{NULL, "", "round(7)", "i64 7"},
		{NULL, "", "sqrt(16)", "f64 4"},
		{NULL, "", "sqrt(-1) == sqrt(-1)", "bool false"},
		{NULL, "", "min(3, 2) * 10 + max(3, 2)", "i64 23"},
		{NULL, "", "max(1, 0.5)", "f64 1"},
		{NULL, "", "min('b', \"a\")", "str a"},
		{NULL, "", "'a\\x62\\n\\'' + \"\\\"\"", "str ab\n'\""},
		{NULL, "", "len('') + len('abc')", "i64 3"},
		{NULL, "",
		 "contains('temperature', 'rat') && !contains('a', 'ab') && contains('', '')",
		 "bool true"},
		{NULL, "",
		 "starts_with('abc', 'ab') && !ends_with('abc', 'ab') && ends_with('abc', 'bc')",
		 "bool true"},
		{NULL, "", "lower('AzZ@[') + upper('azA`{')", "str azz@[AZA`{"},
		{NULL, "", "'ab' < 'abc' && 'b' > 'abc' && 'a' == 'a'", "bool true"},
		{NULL, "", "i64(-2.9) + i64('-12') + i64(true)", "i64 -13"},
		{NULL, "", "u64('0xff') + 1", "u64 256"},
		{NULL, "", "f64('1.5') + f64(true) + f64(1)", "f64 3.5"},
		{NULL, "", "str(1) + str(-2.5) + str(true) + str('x')", "str 1-2.5truex"},
		{NULL, "", "n * 2 + n", "i64 15"},
		{NULL, "", "upper(`a-b/7`)", "str TEXT"},
		{NULL, "", "`a-b/7`", "str Text"},
		{"i8", "-128", "$ * $", "i64 16384"},
		{"i8", "-128", "$", "i8 -128"},
		{"u64", "18446744073709551615", "$ - 1", "u64 18446744073709551614"},
		{"u64", "18446744073709551615", "$ > 18446744073709551614.0", "bool false"},
		{"u64", "3", "$ - 5 < 0", "bool true"},
		{"u64", "3", "i64($) - 5", "i64 -2"},
		{"u64", "3", "i64($ - 5)", "i64 -2"},
		{"u64", "3", "-$", "i64 -3"},
		{"bool", "true", "!$", "bool false"},
		{"f32", "0.1", "$", "f32 0.1"},
		{"f32", "0.5", "$ * 3", "f64 1.5"},
		{"str", "35.5", "f64($) > 30", "bool true"},
		{"str", "", "$ + $ == '' && len($) == 0", "bool true"},
		{"json", "[1]", "$", "json [1]"},
		{point, at, "$.id * $.px", "f64 10.5"},
		{point, at, "$.sym", "str:4 ab"},
		{point, at, "$.sym + '!'", "str ab!"},
		{point, at, "$.in", "{u8 x; f32 y} {\"x\":9,\"y\":0.1}"},
		{point, at, "$.in.y", "f32 0.1"},
		{point, at, "$ . v [ 1 + 1 ]", "i8 5"},
		{point, at, "$.v[$.id - 6]", "i8 -4"},
		{point, at, "sum($.v) + len($.v)", "i64 7"},
		{point, at, "mean($.v) * 3", "f64 4"},
		{point, at, "max($.v) - min($.v)", "i64 9"},
		{point, at, "$.v", "i8[3] [3,-4,5]"},
		{point, at, "$ == $ && $.v == $.v && !($.in != $.in)", "bool true"},
		{"{f32 a}[2]", "[{\"a\":1},{\"a\":2.5}]", "$[1].a + $[0].a", "f64 3.5"},
		{"str:3[2]", "[\"b\",\"a\"]", "min($) + max($)", "str ab"},
	};

	(void)state;
	check(rows, IPK_ARRAY_LEN(rows));
}

static void what_has_no_value_says_where_and_why(void **state)
{
	static const struct row rows[] = {
		{"u64", "3", "$ - 5", "! column 3: -2 does not fit u64"},
		{NULL, "", "9223372036854775807 + 1",
		 "! column 21: 9223372036854775808 does not fit i64"},
		{NULL, "", "18446744073709551615 + 1", "! column 22: the number is beyond 64 bits"},
		{NULL, "", "18446744073709551615 * -18446744073709551615",
		 "! column 24: the number is beyond 64 bits"},
		{NULL, "", "9223372036854775808 * 2", "! column 21: the number is beyond 64 bits"},
		{"i32", "0", "10 / $", "! column 4: division by zero"},
		{"i32", "0", "1 + 10 % $", "! column 8: division by zero"},
		{"i8[3]", "[1,2,3]", "$[3]", "! column 2: index 3 of a list of 3"},
		{"i8[3]", "[1,2,3]", "$[-1]", "! column 2: index -1 of a list of 3"},
		{NULL, "", "i64(nan)", "! column 1: the float does not fit"},
		{NULL, "", "i64(1e19)", "! column 1: 10000000000000000000 does not fit i64"},
		{NULL, "", "u64(1.9e19)", "! column 1: the float does not fit"},
		{NULL, "", "u64(-1.5)", "! column 1: -1 does not fit u64"},
		{"str", "cold", "1 + i64($)", "! column 5: \"cold\" is no whole number"},
		{"str", "1e999", "f64($)", "! column 1: \"1e999\" is too large a number"},
	};

	(void)state;
	check(rows, IPK_ARRAY_LEN(rows));
}

static void what_means_nothing_is_refused_with_its_column(void **state)
{
	static const struct row rows[] = {
		{"f64", "1", "", "! column 1: wants a value, got the end"},
		{"f64", "1", "$ >", "! column 4: wants a value, got the end"},
		{"f64", "1", "$ > > 3", "! column 5: wants a value, got \">\""},
		{"f64", "1", "$ 3", "! column 3: wants an operator or the end, got \"3\""},
		{"f64", "1", "$ = 3", "! column 3: \"=\" is no operator; equality is \"==\""},
		{"f64", "1", "($ + 1", "! column 7: wants \")\", got the end"},
		{"f64", "1", "temp > 3",
		 "! column 1: nothing is called \"temp\"; the element is $"},
		{NULL, "", "1 + $", "! column 5: there is no element here that $ could be"},
		{NULL, "", "broken + 1", "! broken is not to be read"},
		{"f64", "1", "$.px", "! column 2: no field \"px\": this is f64"},
		{"{u8 a}", "{\"a\":1}", "$.px", "! column 2: there is no field \"px\""},
		{"{u8 a}", "{\"a\":1}", "$ + 1",
		 "! column 3: + wants two numbers or two texts, got an object and a whole number"},
		{"f64", "1", "$ && true", "! column 3: && wants two bools, got f64 and a bool"},
		{"f64", "1", "!$", "! column 1: ! wants a bool, got f64"},
		{"f64", "1", "$ == 'x'", "! column 3: == wants two of a kind, got f64 and a text"},
		{"f64", "1", "true < false",
		 "! column 6: < wants two numbers or two texts, got a bool and a bool"},
		{"f64", "1", "1 < 2 < 3",
		 "! column 7: < wants two numbers or two texts, got a bool and a whole number"},
		{"f64", "1", "mean($)",
		 "! column 1: mean wants a list of numbers, as window and batch make it, got f64"},
		{"f64", "1", "$[0]", "! column 2: [ ] wants a list, got f64"},
		{"f64[2]", "[1,2]", "$[0.5]",
		 "! column 2: an index is a whole number, got a float"},
		{"f64", "1", "sinus($)", "! column 1: there is no function \"sinus\""},
		{"f64", "1", "abs()", "! column 1: abs takes 1 value, got 0"},
		{"f64", "1", "abs(1, 2)", "! column 7: abs takes 1 value"},
		{"f64", "1", "1.2.3", "! column 1: \"1.2.3\" is no number"},
		{"f64", "1", "99999999999999999999",
		 "! column 1: \"99999999999999999999\" is too large a number"},
		{"f64", "1", "'abc", "! column 1: a text without its end"},
		{"f64", "1", "'\\q'",
		 "! column 2: unknown escape; there are \\\\ \\\" \\' \\n \\t \\r \\xHH"},
		{"f64", "1", "`abc", "! column 1: a name without its end"},
	};

	(void)state;
	check(rows, IPK_ARRAY_LEN(rows));
}

static void what_is_too_long_or_too_deep_is_refused(void **state)
{
	static const struct {
		const char *before, *middle, *after, *gives;
		unsigned times;
	} t[] = {
		{"(", "1", ")", "i64 1", 120},
		{"(", "1", ")", "! column 129: nested more than 128 deep", 200},
		{"-", "1", "", "! column 128: nested more than 128 deep", 200},
		{"", "1", "+1", "i64 101", 100},
		{"", "1", "+1", "! column 256: nested more than 128 deep", 2000},
		{"abs(", "1", ")", "! column 513: nested more than 128 deep", 800},
		{"", "1", "                  ", "! more than 4096 characters", 300},
	};
	struct ipk_buf text = {0}, out = {0};

	(void)state;
	for (size_t i = 0; i < IPK_ARRAY_LEN(t); i++) {
		text.len = 0;
		for (unsigned k = 0; k < t[i].times; k++)
			ipk_buf_str(&text, t[i].before);
		ipk_buf_str(&text, t[i].middle);
		for (unsigned k = 0; k < t[i].times; k++)
			ipk_buf_str(&text, t[i].after);
		compute(NULL, "", text.data, text.len, &out);
		assert_string_equal(out.data, t[i].gives);
	}
	/* a tree as wide as it may be, and one wider */
	for (unsigned pairs = 256; pairs <= 512; pairs += 256) {
		text.len = 0;
		for (unsigned k = 0; k < 64; k++) {
			ipk_buf_str(&text, k ? "+(1" : "(1");
			for (unsigned j = 0; j < pairs / 64; j++)
				ipk_buf_str(&text, "+1");
			ipk_buf_str(&text, ")");
		}
		compute(NULL, "", text.data, text.len, &out);
		if (pairs == 256)
			assert_string_equal(out.data, "i64 320");
		else
			assert_non_null(strstr(out.data, "more than 1024 operators and values"));
	}
	/* text that becomes longer */
	text.len = 0;
	for (unsigned k = 0; k < 20000; k++)
		ipk_buf_str(&text, "abcdefghij");
	ipk_buf_add(&text, "", 1);
	compute("str", text.data, "len($ + $)", 10, &out);
	assert_string_equal(out.data, "i64 400000");
	compute("str", text.data, "len($ + $ + $ + $)", 18, &out);
	assert_string_equal(out.data, "! column 15: more than 1048576 bytes of text");
	ipk_buf_free(&text);
	ipk_buf_free(&out);
}

/* ---- random expressions against C ------------------------------------------------------- */

struct number {
	__int128 val;
	int error; /* the first one from the left */
};

static const __int128 least = INT64_MIN, most = UINT64_MAX;

static struct number random_whole(struct ipk_buf *text, int depth, i64 elem)
{
	static const char ops[] = "+-*/%";
	struct number a, b, c;
	u32 op;

	if (depth == 0 || rnd(6) == 0) {
		u64 literal = rnd(3) ? rnd(100) : rnd64() >> rnd(64);

		if (rnd(4) == 0) {
			ipk_buf_str(text, "$");
			return (struct number){elem, 0};
		}
		ipk_buf_printf(text, rnd(2) ? "%llu" : "0x%llx", (unsigned long long)literal);
		return (struct number){literal, 0};
	}
	ipk_buf_str(text, "(");
	op = rnd(7);
	if (op == 5) {
		ipk_buf_str(text, "- ");
		a = random_whole(text, depth - 1, elem);
		a.val = -a.val;
	} else if (op == 6) {
		static const char *const relations[] = {"<", "<=", ">", ">=", "==", "!="};
		u32 k = rnd(6);
		bool yes, failed;

		ipk_buf_str(text, "if (");
		a = random_whole(text, depth - 1, elem);
		ipk_buf_str(text, relations[k]);
		b = random_whole(text, depth - 1, elem);
		yes = k == 0   ? a.val < b.val
		      : k == 1 ? a.val <= b.val
		      : k == 2 ? a.val > b.val
		      : k == 3 ? a.val >= b.val
		      : k == 4 ? a.val == b.val
			       : a.val != b.val;
		ipk_buf_str(text, ",");
		c = random_whole(text, depth - 1, elem);
		if (!a.error && b.error)
			a = b;
		failed = a.error;
		if (!failed && yes)
			a = c;
		ipk_buf_str(text, ",");
		c = random_whole(text, depth - 1, elem);
		if (!failed && !yes)
			a = c;
		ipk_buf_str(text, ")");
	} else {
		a = random_whole(text, depth - 1, elem);
		ipk_buf_printf(text, " %c", ops[op]);
		b = random_whole(text, depth - 1, elem);
		if (!a.error && b.error) {
			a.error = b.error;
		} else if (!a.error && op >= 3 && b.val == 0) {
			a.error = -EDOM;
		} else if (!a.error) {
			/* magnitudes below 2^64: a product's has below 2^128, the sign apart */
			unsigned __int128 p = (unsigned __int128)(a.val < 0 ? -a.val : a.val) *
					      (unsigned __int128)(b.val < 0 ? -b.val : b.val);

			if (op == 2 && p > (unsigned __int128)most + 1)
				a.error = -ERANGE;
			else
				a.val = op == 0   ? a.val + b.val
					: op == 1 ? a.val - b.val
					: op == 2 ? a.val * b.val
					: op == 3 ? a.val / b.val
						  : a.val % b.val;
		}
	}
	ipk_buf_str(text, ")");
	if (!a.error && (a.val < least || a.val > most))
		a.error = -ERANGE;
	return a;
}

static void random_whole_expressions_agree_with_c(void **state)
{
	struct ipk_type *type = type_of("i64");
	const struct ipk_expr_env env = {.elem = type};
	unsigned computed = 0, failed = 0;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		i64 elem = rnd(2) ? (i64)rnd(10) - 5 : (i64)rnd64() >> rnd(64), got;
		struct ipk_expr_input in = {.elem = &elem, .len = sizeof(elem)};
		struct ipk_buf text = {0}, out = {0};
		struct number want = random_whole(&text, 1 + (int)rnd(3), elem);
		struct ipk_error err = {0};
		struct ipk_expr *e;
		bool wide;
		int r = ipk_expr_parse(text.data, text.len, &env, &e, &err);

		if (r != 0)
			fail_msg("%.*s: %s", (int)text.len, text.data, err.text);
		wide = ipk_expr_type(e)->base == IPK_U64;
		if (!want.error && (wide ? want.val < 0 : want.val > INT64_MAX))
			want.error = -ERANGE;
		r = ipk_expr_eval(e, &in, &out, &err);
		if (r != want.error)
			fail_msg("%.*s over %lld: %d and not %d, %s", (int)text.len, text.data,
				 (long long)elem, r, want.error, err.text);
		if (r == 0) {
			assert_int_equal(out.len, 8);
			memcpy(&got, out.data, 8);
			if ((u64)got != (u64)want.val)
				fail_msg("%.*s over %lld", (int)text.len, text.data,
					 (long long)elem);
		}
		*(r ? &failed : &computed) += 1;
		ipk_expr_free(e);
		ipk_buf_free(&text);
		ipk_buf_free(&out);
	}
	assert_true(computed > 5000 && failed > 500);
	ipk_type_free(type);
}

/* Without parentheses: precedence and associativity are C's. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wparentheses"
static void operators_bind_as_in_c(void **state)
{
	struct ipk_buf out = {0};
	char want[2][64];

#define AGREES(expr)                                                                               \
	do {                                                                                       \
		compute(NULL, "", #expr, strlen(#expr), &out);                                     \
		snprintf(want[0], sizeof(want[0]), "bool %s", (expr) ? "true" : "false");          \
		snprintf(want[1], sizeof(want[1]), "i64 %lld", (long long)(expr));                 \
		assert_true(strcmp(out.data, want[0]) == 0 || strcmp(out.data, want[1]) == 0);     \
	} while (0)
	(void)state;
	AGREES(100 - 10 - 1 * 2 % 3);
	AGREES(100 / 10 / 5 * 7 % 4);
	AGREES(-3 - -2 * -1);
	AGREES(1 + 2 < 4 == 3 > 1);
	AGREES(1 > 2 || 3 > 2 && 5 != 5 || 2 * 3 == 6);
	AGREES(1 > 2 && 3 > 2 || 5 >= 5 && 2 <= 1 + 1);
	AGREES(!(1 > 2) && 1 < 2);
	AGREES(2 - 3 + 4 * 5 - 6 / 4);
	ipk_buf_free(&out);
}
#pragma GCC diagnostic pop

static void random_floats_agree_with_c(void **state)
{
	struct ipk_type *type = type_of("f64[3]");
	const struct ipk_expr_env env = {.elem = type};
	static const char text[] =
		"if($[0] < $[1], $[0] * $[1] - $[2] / $[1], $[0] % $[2] + floor($[1]))";
	struct ipk_buf out = {0};
	struct ipk_error err;
	struct ipk_expr *e;

	(void)state;
	assert_int_equal(ipk_expr_parse(text, sizeof(text) - 1, &env, &e, &err), 0);
	for (int i = 0; i < 20000; i++) {
		double v[3], got, want;
		struct ipk_expr_input in = {.elem = v, .len = sizeof(v)};
		u64 bits;

		for (int k = 0; k < 3; k++) {
			bits = rnd64();
			memcpy(&v[k], &bits, 8);
			if (rnd(2))
				v[k] = (double)rnd(100) / 8 - 5;
		}
		want = v[0] < v[1] ? v[0] * v[1] - v[2] / v[1] : fmod(v[0], v[2]) + floor(v[1]);
		out.len = 0;
		assert_int_equal(ipk_expr_eval(e, &in, &out, &err), 0);
		memcpy(&got, out.data, 8);
		assert_true(got == want || (got != got && want != want));
	}
	ipk_expr_free(e);
	ipk_buf_free(&out);
	ipk_type_free(type);
}

/* ---- lists and hostile text ------------------------------------------------------------- */

static void lists_of_items_are_reduced_and_printed(void **state)
{
	static const double reals[] = {1.5, -2, 4};
	static const u64 ends[] = {2, 2, 5};
	const struct ipk_expr_list fixed = {(const u8 *)reals, NULL, 3},
				   variable = {(const u8 *)"abxyz", ends, 3},
				   none = {(const u8 *)"", NULL, 0};
	static const struct {
		const char *type, *expr, *gives;
	} t[] = {
		{"f64", "$", "json [1.5,-2,4]"},
		{"f64", "mean($) * 2 + len($)", "f64 5.333333333333334"},
		{"f64", "sum($)", "f64 3.5"},
		{"f64", "max($) - min($)", "f64 6"},
		{"f64", "$[2]", "f64 4"},
		{"str", "$", "json [\"ab\",\"\",\"xyz\"]"},
		{"str", "$[0] + $[2] + min($)", "str abxyz"},
		{"str", "max($)", "str xyz"},
	};
	struct ipk_buf out = {0}, text = {0};
	struct ipk_error err = {0};

	(void)state;
	for (size_t i = 0; i < IPK_ARRAY_LEN(t); i++) {
		struct ipk_type *type = type_of(t[i].type);
		const struct ipk_expr_env env = {.elem = type, .list = true};
		const struct ipk_expr_input in = {.list = type->size ? &fixed : &variable},
					    empty = {.list = &none};
		struct ipk_expr *e;

		if (ipk_expr_parse(t[i].expr, strlen(t[i].expr), &env, &e, &err) != 0 ||
		    ipk_expr_eval(e, &in, &out, &err) != 0)
			fail_msg("%s: %s", t[i].expr, err.text);
		ipk_buf_printf(&text, "%s ", ipk_expr_type(e)->text);
		assert_int_equal(ipk_value_print(ipk_expr_type(e), out.data, out.len, 0, &text), 0);
		ipk_buf_add(&text, "", 1);
		assert_string_equal(text.data, t[i].gives);
		out.len = text.len = 0;
		if (strstr(t[i].expr, "max"))
			assert_int_equal(ipk_expr_eval(e, &empty, &out, &err), -ERANGE);
		assert_int_equal(out.len, 0);
		ipk_expr_free(e);
		ipk_type_free(type);
	}
	ipk_buf_free(&out);
	ipk_buf_free(&text);
}

static void any_text_is_computed_or_refused(void **state)
{
	static const char *const seeds[] = {
		"if($.id % 2 == 0, upper($.s + 'x\\x41'), str(mean($.v[0])))",
		"min(sum($.v), -2.5e3) * ($.v[1] || !true) && `a-b/7` <= n",
		"((1 + 0x7f) / -$.id) - len($.s) >= abs(round(sqrt(inf)))"};
	static const char alphabet[] = "$.()[],'\"`\\+-*/%<>=!&|0x9eazn \n\xff";
	struct ipk_buf out = {0};
	unsigned refused = 0, kept = 0;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		char text[128];
		const char *seed = seeds[rnd(IPK_ARRAY_LEN(seeds))];
		size_t len = strlen(seed);

		memcpy(text, seed, len);
		for (u32 k = rnd(4); k--;) {
			size_t at = rnd((u32)len);

			if (rnd(3) == 0)
				len = at ? at : 1;
			else
				text[at] = rnd(8) ? alphabet[rnd(sizeof(alphabet))]
						  : seed[rnd((u32)len)];
		}
		compute("{u32 id; str:6 s; i16[3] v}", "{\"id\":3,\"s\":\"abc\",\"v\":[1,2,3]}",
			text, len, &out);
		*(out.data[0] == '!' ? &refused : &kept) += 1;
	}
	assert_true(refused > 1000);
	(void)kept;
	ipk_buf_free(&out);
}

static void an_input_that_is_not_of_its_type_is_refused(void **state)
{
	struct ipk_type *type = type_of("f64");
	const struct ipk_expr_env env = {.elem = type}, lists = {.elem = type, .list = true};
	const struct ipk_expr_input in = {.elem = "1234", .len = 4};
	struct ipk_buf out = {0};
	struct ipk_error err;
	struct ipk_expr *e;

	(void)state;
	assert_int_equal(ipk_expr_parse("$ + 1", 5, &env, &e, NULL), 0);
	assert_int_equal(ipk_expr_eval(e, &in, &out, &err), -EBADMSG);
	ipk_expr_free(e);
	assert_int_equal(ipk_expr_parse("$[0]", 4, &lists, &e, NULL), 0);
	assert_int_equal(ipk_expr_eval(e, &in, &out, &err), -EBADMSG);
	ipk_expr_free(e);
	ipk_type_free(type);
}

static void a_part_ends_where_the_rest_begins(void **state)
{
	static const char text[] = "map($ * 2) | filter($ > max(1, 2))";
	struct ipk_type *type = type_of("i32");
	const struct ipk_expr_env env = {.elem = type};
	struct ipk_error err;
	struct ipk_expr *e;
	size_t pos = 4;

	(void)state;
	assert_int_equal(ipk_expr_parse_part(text, sizeof(text) - 1, &pos, &env, &e, &err), 0);
	assert_int_equal(pos, 9);
	ipk_expr_free(e);
	pos = 20;
	assert_int_equal(ipk_expr_parse_part(text, sizeof(text) - 1, &pos, &env, &e, &err), 0);
	assert_int_equal(pos, sizeof(text) - 2);
	ipk_expr_free(e);
	pos = 10;
	assert_int_equal(ipk_expr_parse_part(text, sizeof(text) - 1, &pos, &env, &e, &err),
			 -EINVAL);
	assert_string_equal(err.text, "column 12: wants a value, got \"|\"");
	ipk_type_free(type);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(expressions_have_the_values_of_the_table),
		cmocka_unit_test(what_has_no_value_says_where_and_why),
		cmocka_unit_test(what_means_nothing_is_refused_with_its_column),
		cmocka_unit_test(what_is_too_long_or_too_deep_is_refused),
		cmocka_unit_test(random_whole_expressions_agree_with_c),
		cmocka_unit_test(operators_bind_as_in_c),
		cmocka_unit_test(random_floats_agree_with_c),
		cmocka_unit_test(lists_of_items_are_reduced_and_printed),
		cmocka_unit_test(any_text_is_computed_or_refused),
		cmocka_unit_test(an_input_that_is_not_of_its_type_is_refused),
		cmocka_unit_test(a_part_ends_where_the_rest_begins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
