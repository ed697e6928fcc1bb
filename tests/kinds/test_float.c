/* SPDX-License-Identifier: MIT */
/* Floats as text, both ways: the C library's strtod() and strtof() are the judges. */
#include "value_test.h"

#include <locale.h>
#include <math.h>

static void floats_read_and_print_as_people_write_them(void **state)
{
	static const char *const same[] = {"0",       "-0.0", "1",        "-1",     "1.5",
					   "0.1",     "100",  "123456",   "0.0001", "1e-5",
					   "1.25e-7", "1e16", "-2.5e-10", "3.25",   "0.3"};
	static const char *const special[] = {"inf",  "-inf",     "nan",
					      "-nan", "nan(0x1)", "-nan(0x7)"};
	static const char *const bad[] = {"",      "-",    ".",       "e5",       "1e",     "1e+",
					  "1.5.2", "1,5",  "0x",      "1x",       "in",     "infi",
					  "nano",  "nan(", "nan(0x)", "nan(0x0)", "nan(1)", " 1",
					  "1 ",    "--1",  "1e5e5",   "1_0"};
	char quoted[32];

	(void)state;
	for (int f = 0; f < 2; f++) {
		const char *schema = f ? "f32" : "f64";

		for (size_t i = 0; i < IPK_ARRAY_LEN(same); i++) {
			reads(schema, 0, same[i], NULL);
			reads(schema, J, same[i], NULL);
		}
		for (size_t i = 0; i < IPK_ARRAY_LEN(special); i++) {
			reads(schema, 0, special[i], NULL);
			snprintf(quoted, sizeof(quoted), "\"%s\"", special[i]);
			reads(schema, J, quoted, NULL);
			refuses(schema, J, special[i], -EINVAL, "wants f");
		}
		for (size_t i = 0; i < IPK_ARRAY_LEN(bad); i++)
			refuses(schema, 0, bad[i], -EINVAL, "wants f");
		reads(schema, 0, "+1.0", "1");
		reads(schema, 0, ".5", "0.5");
		reads(schema, 0, "5.", "5");
		reads(schema, 0, "1E3", "1000");
		reads(schema, 0, "0x10", "16");
		reads(schema, 0, "Infinity", "inf");
		reads(schema, 0, "NaN", "nan");
		reads(schema, J, "\"-Infinity\"", "\"-inf\"");
		reads(schema, 0, "-0", "-0.0");
		reads(schema, J, "-0", "-0.0");
		reads(schema, 0, "1e-999999999999999999999999", "0");
		reads(schema, 0, "0e999999999999999999999999", "0");
		refuses(schema, 0, "1e999999999999999999999999", -ERANGE, "does not fit f");
		refuses(schema, J, "\"1.5\"", -EINVAL, "got \"1.5\"");
		refuses(schema, J, "\"\"", -EINVAL, "got \"\"");
		refuses(schema, J, "\"-\"", -EINVAL, "got \"-\"");
		refuses(schema, J, ".5", -EINVAL, "got .5");
		refuses(schema, J, "5.", -EINVAL, "got 5.");
	}
	reads("f64", 0, "1.7976931348623157e308", NULL);
	refuses("f64", 0, "1.7976931348623159e308", -ERANGE,
		"1.7976931348623159e308 does not fit f64");
	reads("f64", 0, "2.2250738585072014e-308", NULL);
	reads("f64", 0, "5e-324", NULL);
	reads("f64", 0, "2e-324", "0");
	reads("f64", 0, "3e-324", "5e-324");
	reads("f64", 0, "9007199254740993", "9007199254740992");
	reads("f64", 0, "5.684341886080802e-14", NULL); /* 2^-44: the nearest 16 digits do not do */
	reads("f64", 0, "1234567890123456", NULL);
	reads("f64", 0, "12345678901234567000", "1.2345678901234567e19");
	reads("f32", 0, "3.4028235e38", NULL);
	refuses("f32", 0, "3.4028236e38", -ERANGE, "does not fit f32");
	reads("f32", 0, "1e-45", NULL);
	reads("f32", 0, "16777217", "16777216");
	reads("f32", 0, "0.1", NULL);
	reads("f64", 0, "0.1", NULL);
	reads("f64", 0, "nan(0xfffffffffffff)", NULL);
	refuses("f64", 0, "nan(0x10000000000000)", -EINVAL, "wants f64");
	refuses("f32", 0, "nan(0x800000)", -EINVAL, "wants f32");
}

/* Fewest digits: one digit less, rounded down or up, does not read back. */
static void check_shortest(const char *text, size_t len, double val, bool single)
{
	char digits[40], shorter[64];
	size_t n = 0, first = 0;
	int exp = 0;
	const char *e = memchr(text, 'e', len);
	size_t mant = e ? (size_t)(e - text) : len;
	bool point = false;

	for (size_t i = 0; i < mant; i++) {
		if (text[i] == '.')
			point = true;
		if (text[i] >= '0' && text[i] <= '9') {
			digits[n++] = text[i];
			exp -= point;
		}
	}
	if (e)
		exp += atoi(e + 1);
	while (first < n && digits[first] == '0')
		first++;
	while (n > first && digits[n - 1] == '0') {
		n--;
		exp++;
	}
	if (n - first < 2)
		return;
	for (int up = 0; up < 2; up++) {
		u64 m = 0;

		for (size_t i = first; i < n - 1; i++)
			m = m * 10 + (u64)(digits[i] - '0');
		snprintf(shorter, sizeof(shorter), "%llue%d", (unsigned long long)m + (u64)up,
			 exp + 1);
		if (single ? (double)strtof(shorter, NULL) == val : strtod(shorter, NULL) == val)
			fail_msg("%.*s is longer than %s", (int)len, text, shorter);
	}
}

static void check_f64(struct ipk_type *type, double val)
{
	struct ipk_buf out = {0}, back = {0};
	char text[64];

	assert_int_equal(ipk_value_print(type, &val, 8, 0, &out), 0);
	assert_int_equal(ipk_value_parse(type, out.data, out.len, 0, &back, NULL), 0);
	if (memcmp(back.data, &val, 8) != 0)
		fail_msg("%a printed as %.*s", val, (int)out.len, out.data);
	if (isfinite(val) && val != 0) {
		memcpy(text, out.data, out.len);
		text[out.len] = '\0';
		if (strtod(text, NULL) != val)
			fail_msg("%a printed as %s, which strtod does not read back", val, text);
		check_shortest(text, out.len, fabs(val), false);
	}
	ipk_buf_free(&out);
	ipk_buf_free(&back);
}

static void check_f32(struct ipk_type *type, float val)
{
	struct ipk_buf out = {0}, back = {0};
	char text[64];

	assert_int_equal(ipk_value_print(type, &val, 4, 0, &out), 0);
	assert_int_equal(ipk_value_parse(type, out.data, out.len, 0, &back, NULL), 0);
	if (memcmp(back.data, &val, 4) != 0)
		fail_msg("%a printed as %.*s", (double)val, (int)out.len, out.data);
	if (isfinite(val) && val != 0) {
		memcpy(text, out.data, out.len);
		text[out.len] = '\0';
		if (strtof(text, NULL) != val)
			fail_msg("%a printed as %s, which strtof does not read back", (double)val,
				 text);
		check_shortest(text, out.len, (double)fabsf(val), true);
	}
	ipk_buf_free(&out);
	ipk_buf_free(&back);
}

static void every_float_has_the_fewest_digits_that_read_back_the_same(void **state)
{
	struct ipk_type *f64 = type_of("f64"), *f32 = type_of("f32");
	double d;
	float f;
	u64 bits;
	u32 half;

	(void)state;
	for (int i = 0; i < 60000; i++) {
		bits = rnd64();
		if (i % 8 == 0)
			bits &= ~(UINT64_C(0x7ff) << 52); /* subnormal */
		memcpy(&d, &bits, 8);
		check_f64(f64, d);
		check_f64(f64, (double)(i64)(rnd64() >> rnd(64)) / pow(10, rnd(20)));
		half = (u32)rnd64();
		if (i % 8 == 0)
			half &= ~(0xffu << 23);
		memcpy(&f, &half, 4);
		check_f32(f32, f);
		check_f32(f32, (float)rnd(1000000) / (float)pow(10, rnd(10)));
	}
	for (int e = -1074; e <= 1023; e++) {
		/* powers of two and their neighbours, where the gaps differ */
		d = ldexp(1, e);
		check_f64(f64, d);
		check_f64(f64, nextafter(d, 0));
		check_f64(f64, nextafter(d, INFINITY));
		f = ldexpf(1, e);
		check_f32(f32, f);
		check_f32(f32, nextafterf(f, 0));
	}
	for (int e = -323; e <= 308; e++) {
		d = pow(10, e);
		check_f64(f64, d);
		check_f64(f64, -nextafter(d, 0));
		check_f64(f64, nextafter(d, INFINITY));
	}
	ipk_type_free(f64);
	ipk_type_free(f32);
}

static void long_decimals_are_rounded_to_nearest(void **state)
{
	struct ipk_type *f64 = type_of("f64"), *f32 = type_of("f32");
	struct ipk_buf text = {0}, out = {0};
	char digits[1200];

	(void)state;
	for (int i = 0; i < 3000; i++) {
		u64 bits = rnd64() & ~(UINT64_C(1) << 63);
		double d, want;
		float fwant;

		/* the exact middle between two neighbours, a little less, a little more, and
		 * nonsense */
		if (i % 2)
			bits &= ~(UINT64_C(0x7ff) << 52);
		memcpy(&d, &bits, 8);
		if (!isfinite(d) || d == 0 || d > 1e300)
			continue;
		text.len = out.len = 0;
		snprintf(digits, sizeof(digits), "%.1080f", d > 1e60 ? 1 / d : d);
		ipk_buf_str(&text, digits);
		for (int z = (int)rnd(900); z > 0; z--)
			ipk_buf_str(&text, "0");
		if (i % 3)
			ipk_buf_str(&text, i % 3 == 1 ? "1" : "7e-3");
		ipk_buf_add(&text, "", 1);
		want = strtod(text.data, NULL);
		fwant = strtof(text.data, NULL);
		assert_int_equal(ipk_value_parse(f64, text.data, text.len - 1, 0, &out, NULL), 0);
		assert_memory_equal(out.data, &want, 8);
		out.len = 0;
		if (isinf(fwant))
			continue;
		assert_int_equal(ipk_value_parse(f32, text.data, text.len - 1, 0, &out, NULL), 0);
		assert_memory_equal(out.data, &fwant, 4);
	}
	/* A million zeros and an exponent that makes them good. */
	text.len = out.len = 0;
	ipk_buf_str(&text, "0.");
	for (int i = 0; i < 1000000; i++)
		ipk_buf_add(&text, "0", 1);
	ipk_buf_str(&text, "25e1000001");
	assert_int_equal(ipk_value_parse(f64, text.data, text.len, 0, &out, NULL), 0);
	assert_true(*(double *)out.data == 2.5);
	ipk_buf_free(&text);
	ipk_buf_free(&out);
	ipk_type_free(f64);
	ipk_type_free(f32);
}

static void the_locale_has_no_say(void **state)
{
	(void)state;
	if (!setlocale(LC_NUMERIC, "de_DE.UTF-8") && !setlocale(LC_NUMERIC, "fr_FR.UTF-8"))
		setlocale(LC_ALL, "");
	reads("f64", 0, "1.5", NULL);
	reads("f64", 0, "0.1234567890123456", NULL);
	reads("f64", 0, "5e-324", NULL);
	reads("f32", 0, "1.2345678e-30", NULL);
	refuses("f64", 0, "1,5", -EINVAL, "wants f64");
	setlocale(LC_NUMERIC, "C");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(floats_read_and_print_as_people_write_them),
		cmocka_unit_test(every_float_has_the_fewest_digits_that_read_back_the_same),
		cmocka_unit_test(long_decimals_are_rounded_to_nearest),
		cmocka_unit_test(the_locale_has_no_say),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
