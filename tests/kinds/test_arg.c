/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/base.h"
#include "ipk/kind.h"

#define BAD UINT64_C(0x5a5a5a5a)

static void size_is(const char *text, int code, u64 want)
{
	uint64_t got = BAD;
	int r = ipk_parse_size(text, strlen(text), &got);

	if (r != code || got != (code ? BAD : want))
		fail_msg("%s: %d, %llu", text, r, (unsigned long long)got);
}

static void sizes_have_binary_and_decimal_units(void **state)
{
	static const char *const bad[] = {
		"",     "K",  "-1",    "+1",   " 1",  "1 ",   "1 K", "1.",   ".5K", "1b",  "1Kb",
		"1KIB", "1X", "1Ki B", "0x10", "1.5", "0.1K", "1e3", "1,5K", "1KK", "1iB", "1\xc2"};

	(void)state;
	size_is("0", 0, 0);
	size_is("4096", 0, 4096);
	size_is("7B", 0, 7);
	size_is("64K", 0, 65536);
	size_is("64k", 0, 65536);
	size_is("64Ki", 0, 65536);
	size_is("64KiB", 0, 65536);
	size_is("64kiB", 0, 65536);
	size_is("64kB", 0, 64000);
	size_is("64KB", 0, 64000);
	size_is("10MB", 0, 10000000);
	size_is("2M", 0, 2 << 20);
	size_is("1GiB", 0, 1 << 30);
	size_is("1TB", 0, UINT64_C(1000000000000));
	size_is("3P", 0, UINT64_C(3) << 50);
	size_is("1.5GiB", 0, UINT64_C(3) << 29);
	size_is("0.5K", 0, 512);
	size_is("1.0", 0, 1);
	size_is("0001", 0, 1);
	size_is("0.0000000000000000000000000000K", 0, 0);
	size_is("15.99999904632568359375E", -EINVAL, 0); /* more digits than a byte count needs */
	size_is("18446744073709551615", 0, UINT64_MAX);
	size_is("18446744073709551616", -ERANGE, 0);
	size_is("15E", 0, UINT64_C(15) << 60);
	size_is("16E", -ERANGE, 0);
	size_is("18446744073709551615K", -ERANGE, 0);
	size_is("99999999999999999999999999K", -ERANGE, 0);
	for (size_t i = 0; i < IPK_ARRAY_LEN(bad); i++)
		size_is(bad[i], -EINVAL, 0);
}

static void duration_is(const char *text, int code, i64 want)
{
	int64_t got = (i64)BAD;
	int r = ipk_parse_duration(text, strlen(text), &got);

	if (r != code || got != (code ? (i64)BAD : want))
		fail_msg("%s: %d, %lld", text, r, (long long)got);
}

static void durations_need_a_unit_unless_they_are_zero(void **state)
{
	static const char *const bad[] = {"",    "5",    "0.5",   "s",   "-1s",  "+1s",
					  "1 s", " 1s",  "1s ",   "1S",  "1sec", "1.s",
					  ".5s", "1e3s", "1m30s", "inf", "0x1s"};

	(void)state;
	duration_is("0", 0, 0);
	duration_is("0.0", 0, 0);
	duration_is("0s", 0, 0);
	duration_is("7ns", 0, 7);
	duration_is("250us", 0, 250000);
	duration_is("250\xc2\xb5s", 0, 250000);
	duration_is("20ms", 0, 20000000);
	duration_is("2s", 0, 2000000000);
	duration_is("0.5s", 0, 500000000);
	duration_is("1.25ms", 0, 1250000);
	duration_is("1m", 0, INT64_C(60000000000));
	duration_is("1.5h", 0, INT64_C(5400000000000));
	duration_is("1d", 0, INT64_C(86400000000000));
	duration_is("0.1ns", 0, 1); /* never to 0, which would mean not to wait */
	duration_is("1.0000000001s", 0, 1000000001);
	duration_is("9223372036854775807ns", 0, INT64_MAX);
	duration_is("9223372036854775808ns", -ERANGE, 0);
	duration_is("106752d", -ERANGE, 0);
	duration_is("99999999999999999999999h", -ERANGE, 0);
	for (size_t i = 0; i < IPK_ARRAY_LEN(bad); i++)
		duration_is(bad[i], -EINVAL, 0);
}

static void range_is(const char *text, int code, u64 from, u64 to, bool one)
{
	uint64_t f = BAD, t = BAD;
	bool o = !one;
	int r = ipk_range_parse(text, strlen(text), &f, &t, &o);

	if (r != code)
		fail_msg("%s: %d", text, r);
	assert_true(f == (code ? BAD : from) && t == (code ? BAD : to) && o == (code ? !one : one));
}

static void ranges_are_half_open(void **state)
{
	static const char *const bad[] = {"",     ".",   "x",       "-1",    "+1",
					  " 1",   "1 ",  "1.5",     "1...3", "1..-3",
					  "3..2", "0x1", "1..2..3", "..x",   "a.."};

	(void)state;
	range_is("7", 0, 7, 8, true);
	range_is("0007", 0, 7, 8, true);
	range_is("0..10", 0, 0, 10, false);
	range_is("3..3", 0, 3, 3, false);
	range_is("3..", 0, 3, UINT64_MAX, false);
	range_is("..5", 0, 0, 5, false);
	range_is("..", 0, 0, UINT64_MAX, false);
	range_is("18446744073709551614", 0, UINT64_MAX - 1, UINT64_MAX, true);
	range_is("18446744073709551615", -ERANGE, 0, 0, true);
	range_is("..18446744073709551615", -ERANGE, 0, 0, true);
	range_is("99999999999999999999", -ERANGE, 0, 0, true);
	range_is("5..99999999999999999999", -ERANGE, 0, 0, true);
	for (size_t i = 0; i < IPK_ARRAY_LEN(bad); i++)
		range_is(bad[i], -EINVAL, 0, 0, true);
}

static int parse(const struct ipk_arg *spec, const char *text, struct ipk_argval *val,
		 struct ipk_error *err)
{
	*err = (struct ipk_error){0};
	return ipk_arg_parse(spec, text, text ? strlen(text) : 0, val, err);
}

static void refused(const struct ipk_arg *spec, const char *text, const char *message)
{
	struct ipk_argval val = {.u64 = BAD};
	struct ipk_error err;

	assert_int_equal(parse(spec, text, &val, &err), -EINVAL);
	assert_string_equal(err.text, message);
	assert_true(val.u64 == BAD && !val.set);
}

static void an_argument_outside_its_specification_is_named(void **state)
{
	struct ipk_arg cap = {.name = "cap", .type = IPK_ARG_U64, .min = 1, .max = 1000};
	struct ipk_arg n = {.name = "n", .type = IPK_ARG_U64, .min = 2, .positional = true};
	struct ipk_arg by = {.name = "by", .type = IPK_ARG_I64, .positional = true};
	struct ipk_arg full = {
		.name = "full", .type = IPK_ARG_WORD, .words = "block|drop-oldest|reject"};
	struct ipk_arg once = {.name = "once", .type = IPK_ARG_FLAG};
	struct ipk_arg schema = {.name = "of", .type = IPK_ARG_TYPE};
	struct ipk_arg text = {.name = "why", .type = IPK_ARG_TEXT};
	struct ipk_argval val;
	struct ipk_error err;

	(void)state;
	assert_int_equal(parse(&cap, "1", &val, &err), 0);
	assert_true(val.set && val.u64 == 1);
	assert_int_equal(parse(&cap, "1kB", &val, &err), 0);
	assert_int_equal(val.u64, 1000);
	refused(&cap, "0", "--cap goes from 1 to 1000, got 0");
	refused(&cap, "1K", "--cap goes from 1 to 1000, got 1K");
	refused(&cap, "-1", "--cap goes from 1 to 1000, got -1");
	refused(&cap, "99999999999999999999999",
		"--cap goes from 1 to 1000, got 99999999999999999999999");
	refused(&cap, "ten", "--cap wants a number such as 1024 or 64K, got \"ten\"");
	refused(&cap, "", "--cap wants a number such as 1024 or 64K, got \"\"");
	refused(&cap, NULL, "--cap wants a value");
	refused(&n, "1", "n goes from 2 to 2^64-1, got 1");
	assert_int_equal(parse(&n, "18446744073709551615", &val, &err), 0);
	assert_true(val.u64 == UINT64_MAX);

	assert_int_equal(parse(&by, "-9223372036854775808", &val, &err), 0);
	assert_true(val.i64 == INT64_MIN);
	assert_int_equal(parse(&by, "+9223372036854775807", &val, &err), 0);
	assert_true(val.i64 == INT64_MAX);
	refused(&by, "9223372036854775808",
		"by wants a number of 64 bits, got \"9223372036854775808\"");
	refused(&by, "1.5", "by wants a whole number, got \"1.5\"");

	assert_int_equal(parse(&full, "drop-oldest", &val, &err), 0);
	assert_string_equal(val.text, "drop-oldest");
	refused(&full, "drop", "--full wants block|drop-oldest|reject, got \"drop\"");
	refused(&full, "block|drop-oldest",
		"--full wants block|drop-oldest|reject, got \"block|drop-oldest\"");
	refused(&full, "", "--full wants block|drop-oldest|reject, got \"\"");

	assert_int_equal(parse(&once, NULL, &val, &err), 0);
	assert_true(val.set && val.u64 == 1);
	refused(&once, "yes", "--once takes no value");

	assert_int_equal(parse(&schema, "{u8 a}", &val, &err), 0);
	refused(&schema, "u9",
		"--of: type: column 1: no such type; there are i8 to i64, u8 to u64, f32, f64, "
		"bool, "
		"str, bytes, json, str:N, bytes:N, type[N] and {type name; ...}");
	assert_int_equal(parse(&text, "", &val, &err), 0);
	assert_true(val.set && val.len == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_have_binary_and_decimal_units),
		cmocka_unit_test(durations_need_a_unit_unless_they_are_zero),
		cmocka_unit_test(ranges_are_half_open),
		cmocka_unit_test(an_argument_outside_its_specification_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
