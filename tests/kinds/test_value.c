/* SPDX-License-Identifier: MIT */
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/base.h"
#include "ipk/type.h"
#include "json.h"

#define J IPK_VALUE_JSON

static struct ipk_type *type_of(const char *text)
{
	struct ipk_type *type = NULL;
	struct ipk_error err = {0};

	if (ipk_type_parse(text, strlen(text), &type, &err) != 0)
		fail_msg("%s: %s", text, err.text);
	return type;
}

/* text is read as schema says, and printed as printed says (NULL: the same). */
static void reads(const char *schema, unsigned flags, const char *text, const char *printed)
{
	struct ipk_type *type = type_of(schema);
	struct ipk_buf value = {0}, out = {0}, again = {0};
	struct ipk_error err = {0};

	if (ipk_value_parse(type, text, strlen(text), flags, &value, &err) != 0)
		fail_msg("%s, %s: %s", schema, text, err.text);
	assert_int_equal(ipk_value_print(type, value.data, value.len, flags, &out), 0);
	ipk_buf_add(&out, "", 1);
	assert_string_equal(out.data, printed ? printed : text);
	assert_int_equal(ipk_value_parse(type, out.data, out.len - 1, flags, &again, &err), 0);
	assert_int_equal(value.len, again.len);
	assert_true(value.len == 0 || memcmp(value.data, again.data, value.len) == 0);
	ipk_buf_free(&value);
	ipk_buf_free(&out);
	ipk_buf_free(&again);
	ipk_type_free(type);
}

static void refuses(const char *schema, unsigned flags, const char *text, int code,
		    const char *message)
{
	struct ipk_type *type = type_of(schema);
	struct ipk_buf value = {0};
	struct ipk_error err = {0};

	ipk_buf_str(&value, "before");
	assert_int_equal(ipk_value_parse(type, text, strlen(text), flags, &value, &err), code);
	assert_int_equal(value.len, 6);
	assert_memory_equal(value.data, "before", 6);
	assert_int_equal(err.code, code);
	if (!strstr(err.text, message))
		fail_msg("%s, %s: \"%s\" does not say \"%s\"", schema, text, err.text, message);
	ipk_buf_free(&value);
	ipk_type_free(type);
}

static void integers_are_exact_at_every_bound(void **state)
{
	static const struct {
		const char *schema, *min, *max, *below, *above;
	} t[] = {
		{"i8", "-128", "127", "-129", "128"},
		{"i16", "-32768", "32767", "-32769", "32768"},
		{"i32", "-2147483648", "2147483647", "-2147483649", "2147483648"},
		{"i64", "-9223372036854775808", "9223372036854775807", "-9223372036854775809",
		 "9223372036854775808"},
		{"u8", "0", "255", "-1", "256"},
		{"u16", "0", "65535", "-1", "65536"},
		{"u32", "0", "4294967295", "-1", "4294967296"},
		{"u64", "0", "18446744073709551615", "-1", "18446744073709551616"},
	};
	char message[128];

	(void)state;
	for (size_t i = 0; i < IPK_ARRAY_LEN(t); i++) {
		for (unsigned flags = 0; flags <= J; flags++) {
			reads(t[i].schema, flags, t[i].min, NULL);
			reads(t[i].schema, flags, t[i].max, NULL);
			reads(t[i].schema, flags, "-0", "0");
			reads(t[i].schema, flags, "100", NULL);
			snprintf(message, sizeof(message), "%s does not fit %s", t[i].below,
				 t[i].schema);
			refuses(t[i].schema, flags, t[i].below, -ERANGE, message);
			snprintf(message, sizeof(message), "%s does not fit %s", t[i].above,
				 t[i].schema);
			refuses(t[i].schema, flags, t[i].above, -ERANGE, message);
			refuses(t[i].schema, flags, "99999999999999999999999999999", -ERANGE,
				"does not fit");
			refuses(t[i].schema, flags, "1.5", -EINVAL, "wants ");
			refuses(t[i].schema, flags, "1e3", -EINVAL, "wants ");
			refuses(t[i].schema, flags, "", -EINVAL, "wants ");
			refuses(t[i].schema, flags, "abc", -EINVAL, "wants ");
		}
	}
	reads("u8", 0, "0xff", "255");
	reads("i8", 0, "-0x80", "-128");
	reads("u64", 0, "0xFFFFffffFFFFffff", "18446744073709551615");
	reads("i32", 0, "+7", "7");
	reads("i32", 0, "007", "7");
	refuses("u64", 0, "0x10000000000000000", -ERANGE, "does not fit u64");
	refuses("i64", 0, "0xffffffffffffffff", -ERANGE, "does not fit i64");
	refuses("u8", 0, "0x", -EINVAL, "wants u8, got \"0x\"");
	refuses("u8", 0, "0x1g", -EINVAL, "wants u8");
	refuses("u8", 0, " 1", -EINVAL, "wants u8, got \" 1\"");
	refuses("u8", 0, "1 ", -EINVAL, "wants u8, got \"1 \"");
	refuses("u8", 0, "-", -EINVAL, "wants u8");
	refuses("u8", 0, "--1", -EINVAL, "wants u8");
	refuses("u8", 0, "1\n", -EINVAL, "got \"1?\"");
	refuses("u8", J, "0x1f", -EINVAL, "");
	refuses("u8", J, "007", -EINVAL, "");
	refuses("u8", J, "\"7\"", -EINVAL, "wants u8, got \"7\"");
	refuses("u8", J, "7 8", -EINVAL, "wants nothing behind the value, got 8");
	reads("u8", J, " 7\r\n", "7");
	reads("bool", 0, "true", NULL);
	reads("bool", J, "false", NULL);
	refuses("bool", 0, "1", -EINVAL, "wants bool, got \"1\"");
	refuses("bool", J, "truer", -EINVAL, "wants bool, got truer");
	refuses("bool", J, "null", -EINVAL, "wants bool, got null");
	refuses("bool", 0, "TRUE", -EINVAL, "wants bool");
}

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

static u64 rng = 88172645463325252u;

static u64 rnd64(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng * UINT64_C(2685821657736338717);
}

static u32 rnd(u32 n)
{
	return (u32)((rnd64() >> 32) % n);
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
		check_shortest(out.data, out.len, fabs(val), false);
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
		check_shortest(out.data, out.len, (double)fabsf(val), true);
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

static void strings_are_any_bytes(void **state)
{
	struct ipk_type *str = type_of("str"), *bytes = type_of("bytes"), *fixed = type_of("str:4");
	struct ipk_buf v = {0}, out = {0};

	(void)state;
	reads("str", 0, "", NULL);
	reads("str", 0, " blanks \"stay\" {\"$hex\":\"00\"}", NULL);
	reads("bytes", 0, "{\"$hex\":\"00\"}", NULL);
	reads("str", J, "\"\"", NULL);
	reads("str", J, "\"a\\\"b\\\\c\\n\\t\\u0001\\u0000 \xc3\xa4\"", NULL);
	reads("str", J, "\"\\u00e4\\ud83d\\ude00\\/\"", "\"\xc3\xa4\xf0\x9f\x98\x80/\"");
	reads("str", J, "{ \"$hex\" : \"ff00Ab\" }", "{\"$hex\":\"ff00ab\"}");
	reads("str", J, "{\"$hex\":\"6162\"}", "\"ab\"");
	reads("bytes", J, "{\"$hex\":\"\"}", NULL);
	reads("bytes", J, "\"ab\"", "{\"$hex\":\"6162\"}");
	refuses("str", J, "abc", -EINVAL, "wants str, got abc");
	refuses("str", J, "7", -EINVAL, "wants str, got 7");
	refuses("str", J, "\"abc", -EINVAL, "wants str");
	refuses("str", J, "\"a\nb\"", -EINVAL, "wants str");
	refuses("str", J, "\"\\q\"", -EINVAL, "wants str");
	refuses("str", J, "\"\\u12g4\"", -EINVAL, "wants str");
	refuses("str", J, "\"\\ud800\"", -EINVAL, "wants str");
	refuses("str", J, "\"\\udc00\\ud800\"", -EINVAL, "wants str");
	refuses("str", J, "\"\\ud800\\u0041\"", -EINVAL, "wants str");
	refuses("str", J, "\"\xff\"", -EINVAL, "wants str");
	refuses("str", J, "{\"$hex\":\"abc\"}", -EINVAL, "even number of digits");
	refuses("str", J, "{\"$hex\":\"zz\"}", -EINVAL, "hexadecimal digits");
	refuses("str", J, "{\"hex\":\"00\"}", -EINVAL, "wants str, got an object");
	refuses("str", J, "{\"$hex\":\"00\",\"x\":1}", -EINVAL, "wants str, got an object");
	refuses("str", J, "{\"$hex\":\"\\u0030\\u0030\"}", -EINVAL, "hexadecimal digits");

	reads("str:4", 0, "", NULL);
	reads("str:4", 0, "abcd", NULL);
	reads("str:4", J, "\"ab\\u0000d\"", NULL);
	reads("str:4", J, "\"\\u0061\\u0062\"", "\"ab\"");
	reads("bytes:4", J, "{\"$hex\":\"01020300\"}", NULL);
	reads("bytes:4", J, "{\"$hex\":\"0102\"}", "{\"$hex\":\"01020000\"}");
	refuses("str:4", 0, "abcde", -EMSGSIZE, "5 bytes do not fit str:4");
	refuses("str:4", J, "\"abcde\"", -EMSGSIZE, "5 bytes do not fit str:4");
	refuses("str:4", J, "\"abcd\\u0065\"", -EMSGSIZE, "5 bytes do not fit str:4");
	refuses("bytes:4", J, "{\"$hex\":\"0102030405\"}", -EMSGSIZE, "5 bytes do not fit bytes:4");

	/* text with NUL and bytes that are not UTF-8 */
	assert_int_equal(ipk_value_parse(str, "a\0\xff", 3, 0, &v, NULL), 0);
	assert_int_equal(v.len, 3);
	assert_int_equal(ipk_value_print(str, v.data, v.len, 0, &out), 0);
	assert_int_equal(out.len, 3);
	assert_memory_equal(out.data, "a\0\xff", 3);
	out.len = 0;
	assert_int_equal(ipk_value_print(str, v.data, v.len, J, &out), 0);
	assert_int_equal(out.len, 17);
	assert_memory_equal(out.data, "{\"$hex\":\"6100ff\"}", 17);
	out.len = 0;
	assert_int_equal(ipk_value_print(fixed, "a\0b\0", 4, 0, &out), 0);
	assert_int_equal(out.len, 3);
	assert_int_equal(ipk_value_print(fixed, "abc", 3, 0, &out), -EBADMSG);
	assert_int_equal(out.len, 3);
	ipk_buf_free(&v);
	ipk_buf_free(&out);
	ipk_type_free(str);
	ipk_type_free(bytes);
	ipk_type_free(fixed);
}

static void utf8_means_utf8(void **state)
{
	static const struct {
		const char *bytes;
		bool ok;
	} t[] = {
		{"\x7f", true},
		{"\xc2\x80", true},
		{"\xdf\xbf", true},
		{"\xe0\xa0\x80", true},
		{"\xed\x9f\xbf", true},
		{"\xee\x80\x80", true},
		{"\xef\xbf\xbf", true},
		{"\xf0\x90\x80\x80", true},
		{"\xf4\x8f\xbf\xbf", true},
		{"\x80", false},
		{"\xbf", false},
		{"\xc0\x80", false},
		{"\xc1\xbf", false},
		{"\xe0\x9f\xbf", false},
		{"\xed\xa0\x80", false},
		{"\xed\xbf\xbf", false},
		{"\xf0\x8f\xbf\xbf", false},
		{"\xf4\x90\x80\x80", false},
		{"\xf5\x80\x80\x80", false},
		{"\xff", false},
		{"\xc2", false},
		{"\xe2\x82", false},
		{"\xf0\x9f\x98", false},
		{"\xc2\x41", false},
		{"\xe2\x82\x41", false},
		{"\xf0\x9f\x98\x41", false},
	};
	char text[64];

	(void)state;
	for (size_t i = 0; i < IPK_ARRAY_LEN(t); i++) {
		for (int pad = 0; pad < 10; pad++) {
			struct ipk_buf out = {0};

			snprintf(text, sizeof(text), "%.*s%s%.*s", pad, "abcdefghij", t[i].bytes,
				 10 - pad, "abcdefghij");
			assert_int_equal(ipk_utf8_ok(text, strlen(text)), t[i].ok);
			assert_int_equal(ipk_json_string(&out, text, strlen(text)), 0);
			assert_int_equal(out.data[0] == '"', t[i].ok);
			ipk_buf_free(&out);
		}
	}
}

static void structs_are_read_in_any_order_of_keys(void **state)
{
	const char *tick = "{u32 id; f64 px; str:8 sym}";

	(void)state;
	reads(tick, 0, "{\"id\":7,\"px\":1.5,\"sym\":\"EUR\"}", NULL);
	reads(tick, J, " { \"sym\" : \"EUR\" , \"px\" : 1.50 , \"id\" : 7 } ",
	      "{\"id\":7,\"px\":1.5,\"sym\":\"EUR\"}");
	reads(tick, 0, "{\"px\":\"nan\",\"sym\":{\"$hex\":\"ff\"},\"id\":0}",
	      "{\"id\":0,\"px\":\"nan\",\"sym\":{\"$hex\":\"ff\"}}");
	reads("f32[3]", 0, "[1,-0.0,\"inf\"]", NULL);
	reads("{bool on; {i8 x; u64 y}[2] in; bytes:2 b; u16[2] v}", 0,
	      "{\"on\":true,\"in\":[{\"x\":-1,\"y\":18446744073709551615},{\"x\":0,\"y\":1}],"
	      "\"b\":{\"$hex\":\"0a0b\"},\"v\":[1,2]}",
	      NULL);
	refuses(tick, 0, "{\"id\":7,\"px\":\"abc\",\"sym\":\"\"}", -EINVAL,
		"field \"px\" wants f64, got \"abc\"");
	refuses(tick, 0, "{\"id\":300000000000,\"px\":1,\"sym\":\"\"}", -ERANGE,
		"field \"id\" is out of range: 300000000000 does not fit u32");
	refuses(tick, 0, "{\"id\":7,\"px\":1.5,\"sym\":\"123456789\"}", -EMSGSIZE,
		"field \"sym\" 9 bytes do not fit str:8");
	refuses(tick, 0, "{\"id\":7,\"px\":1.5}", -EINVAL, "lacks field \"sym\"");
	refuses(tick, 0, "{}", -EINVAL, "lacks field \"id\"");
	refuses(tick, 0, "{\"id\":7,\"px\":1.5,\"sym\":\"\",\"qty\":1}", -EINVAL,
		"has no field \"qty\"");
	refuses(tick, 0, "{\"id\":7,\"id\":7,\"px\":1.5,\"sym\":\"\"}", -EINVAL,
		"has twice the field \"id\"");
	refuses(tick, 0, "{\"id\":7,\"px\":1.5,\"sym\":\"\"} x", -EINVAL,
		"wants nothing behind the value, got x");
	refuses(tick, 0, "{\"id\":7,\"px\":1.5,\"sym\":\"\",}", -EINVAL, "wants a field's name");
	refuses(tick, 0, "{\"id\":7,\"px\":1.5,\"sym\":\"\"", -EINVAL,
		"wants \",\" or \"}\", got nothing");
	refuses(tick, 0, "{\"id\":7 \"px\":1.5}", -EINVAL, "wants \",\" or \"}\", got \"px\"");
	refuses(tick, 0, "{\"id\" 7}", -EINVAL, "field \"id\" wants \":\"");
	refuses(tick, 0, "{\"id\":}", -EINVAL, "field \"id\" wants u32, got }");
	refuses(tick, 0, "{id:7}", -EINVAL, "wants a field's name in quotes, got id:7");
	refuses(tick, 0, "7", -EINVAL, "wants an object, got 7");
	refuses(tick, 0, "", -EINVAL, "wants an object, got nothing");
	refuses(tick, 0, "[]", -EINVAL, "wants an object, got an array");
	refuses("f32[3]", 0, "[1,2]", -EINVAL, "wants an array of 3 f32, got 2");
	refuses("f32[3]", 0, "[]", -EINVAL, "wants an array of 3 f32, got 0");
	refuses("f32[3]", 0, "[1,2,3,4]", -EINVAL, "wants an array of 3 f32, got more than 3");
	refuses("f32[3]", 0, "[1,2,3", -EINVAL, "got nothing");
	refuses("f32[3]", 0, "[1,2,]", -EINVAL, "wants a value behind \",\"");
	refuses("f32[3]", 0, "[1,true,3]", -EINVAL, "item 1 wants f32, got true");
	refuses("f32[3]", 0, "{}", -EINVAL, "wants an array of 3 f32, got an object");
	refuses("{{u8 x}[3] p; u8 q}", 0, "{\"p\":[{\"x\":1},{\"x\":null},{\"x\":3}],\"q\":1}",
		-EINVAL, "field \"p[1].x\" wants u8, got null");
	refuses("{{u8 x} p}", 0, "{\"p\":{\"y\":1}}", -EINVAL, "field \"p\" has no field \"y\"");
}

static void json_is_kept_as_it_is_spelled_without_blanks(void **state)
{
	struct ipk_type *type = type_of("json");
	struct ipk_buf text = {0}, out = {0};

	(void)state;
	reads("json", 0, "{\"a\":[1,2.50,1E400,-0,true,null,\"\\u00e4\"],\"b\":{}}", NULL);
	reads("json", J, " { \"a\" : [ ] , \"a\" : { } } ", "{\"a\":[],\"a\":{}}");
	reads("json", 0, "18446744073709551616123", NULL);
	reads("json", 0, "\"x y\"", NULL);
	reads("json", 0, "[[],[[]],{\"\":[{}]}]", NULL);
	static const char *const bad[] = {
		"",        "{",         "[",         "]",           "[1,]",     "[,1]",
		"{\"a\"}", "{\"a\":}",  "{a:1}",     "{\"a\":1,}",  "01",       "+1",
		"1.",      ".5",        "1e",        "tru",         "nul",      "NaN",
		"[1}",     "{\"a\":1]", "[1 2]",     "\"\\ud800\"", "\"\x01\"", "\"\xff\"",
		"'a'",     "[1] 2",     "{\"a\" 1}", "-",           "{1:2}"};
	for (size_t i = 0; i < IPK_ARRAY_LEN(bad); i++) {
		refuses("json", 0, bad[i], -EINVAL, "wants");
		refuses("json", J, bad[i], -EINVAL, "wants");
	}

	for (size_t depth = IPK_JSON_DEPTH; depth <= IPK_JSON_DEPTH + 1; depth++) {
		text.len = 0;
		for (size_t i = 0; i < depth; i++)
			ipk_buf_str(&text, i % 3 ? "[" : "{\"k\":");
		ipk_buf_str(&text, "1");
		for (size_t i = depth; i-- > 0;)
			ipk_buf_str(&text, i % 3 ? "]" : "}");
		ipk_buf_add(&text, "", 1);
		if (depth == IPK_JSON_DEPTH)
			reads("json", 0, text.data, NULL);
		else
			refuses("json", 0, text.data, -EMSGSIZE, "deeper than 512");
	}
	text.len = 0;
	for (int i = 0; i < 1000000; i++)
		ipk_buf_add(&text, "[", 1);
	assert_int_equal(ipk_value_parse(type, text.data, text.len, 0, &out, NULL), -EMSGSIZE);

	/* What another program stored is not believed to be JSON. */
	assert_int_equal(ipk_value_print(type, "{", 1, J, &out), -EBADMSG);
	assert_int_equal(out.len, 13);
	assert_memory_equal(out.data, "{\"$hex\":\"7b\"}", 13);
	out.len = 0;
	assert_int_equal(ipk_value_print(type, "[1,\n2]", 6, 0, &out), 0);
	assert_int_equal(out.len, 5);
	assert_memory_equal(out.data, "[1,2]", 5);
	ipk_buf_free(&text);
	ipk_buf_free(&out);
	ipk_type_free(type);
}

/* ---- random types, random values
 * ------------------------------------------------------------------ */

static void random_scalar(struct ipk_buf *schema)
{
	static const char *const names[] = {"i8",  "i16", "i32", "i64",  "u8",     "u16",     "u32",
					    "u64", "f32", "f64", "bool", "str:%u", "bytes:%u"};
	u32 k = rnd(IPK_ARRAY_LEN(names));

	if (k < 11)
		ipk_buf_str(schema, names[k]);
	else
		ipk_buf_printf(schema, k == 11 ? "str:%u" : "bytes:%u", 1 + rnd(9));
}

static void random_type(struct ipk_buf *schema, u32 depth)
{
	if (depth < 4 && rnd(3) == 0) {
		u32 n = 1 + rnd(5);

		ipk_buf_str(schema, "{");
		for (u32 i = 0; i < n; i++) {
			ipk_buf_str(schema, i ? "; " : "");
			random_type(schema, depth + 1);
			ipk_buf_printf(schema, " f%u", i);
		}
		ipk_buf_str(schema, "}");
	} else {
		random_scalar(schema);
	}
	if (rnd(3) == 0)
		ipk_buf_printf(schema, "[%u]", 1 + rnd(4));
}

/* Random bytes in the fields alone: padding stays zero, bools are 0 or 1. */
static void random_value(const struct ipk_type *type, u8 *dst)
{
	for (u32 k = 0; k < (type->count ? type->count : 1); k++, dst += type->unit) {
		if (type->base == IPK_STRUCT) {
			for (u32 i = 0; i < type->nfields; i++)
				random_value(&type->fields[i].type, dst + type->fields[i].offset);
			continue;
		}
		for (u32 i = 0; i < type->unit; i++)
			dst[i] = type->base == IPK_BOOL ? (u8)rnd(2)
				 : rnd(4)               ? (u8)rnd(256)
							: (u8)(rnd(2) ? 0 : 'a' + rnd(26));
	}
}

static void whatever_is_printed_reads_back_to_the_same_bytes(void **state)
{
	struct ipk_buf schema = {0}, out = {0}, back = {0};
	struct ipk_type *type;
	struct ipk_error err = {0};

	(void)state;
	for (int round = 0; round < 30000; round++) {
		u8 *value;

		schema.len = 0;
		random_type(&schema, 0);
		if (ipk_type_parse(schema.data, schema.len, &type, &err) != 0)
			fail_msg("%.*s: %s", (int)schema.len, schema.data, err.text);
		value = calloc(1, type->size);
		random_value(type, value);
		for (unsigned flags = 0; flags <= J; flags++) {
			out.len = back.len = 0;
			assert_int_equal(ipk_value_print(type, value, type->size, flags, &out), 0);
			if (ipk_value_parse(type, out.data, out.len, flags, &back, &err) != 0)
				fail_msg("%s: %.*s: %s", type->text, (int)out.len, out.data,
					 err.text);
			assert_int_equal(back.len, type->size);
			if (memcmp(back.data, value, type->size) != 0)
				fail_msg("%s: %.*s", type->text, (int)out.len, out.data);
			assert_int_equal(
				ipk_value_compare(type, back.data, back.len, value, type->size), 0);
		}
		free(value);
		ipk_type_free(type);
	}
	for (int round = 0; round < 20000; round++) {
		char bytes[24];
		size_t len = rnd(sizeof(bytes));
		bool ascii = rnd(2);

		type = type_of(rnd(2) ? "str" : "bytes");
		for (size_t i = 0; i < len; i++)
			bytes[i] = (char)rnd(ascii ? 128 : 256);
		for (unsigned flags = 0; flags <= J; flags++) {
			out.len = back.len = 0;
			assert_int_equal(ipk_value_print(type, bytes, len, flags, &out), 0);
			assert_int_equal(
				ipk_value_parse(type, out.data, out.len, flags, &back, &err), 0);
			assert_int_equal(back.len, len);
			assert_true(len == 0 || memcmp(back.data, bytes, len) == 0);
		}
		ipk_type_free(type);
	}
	ipk_buf_free(&schema);
	ipk_buf_free(&out);
	ipk_buf_free(&back);
}

/* Valid texts with bytes changed, dropped and doubled: accepted or refused, never more. */
static void mutated_text_is_read_or_refused(void **state)
{
	struct ipk_buf schema = {0}, text = {0}, back = {0};
	struct ipk_error err;
	struct ipk_type *type;

	(void)state;
	for (int round = 0; round < 40000; round++) {
		u8 *value;
		char *exact;

		schema.len = text.len = back.len = 0;
		random_type(&schema, 1);
		assert_int_equal(ipk_type_parse(schema.data, schema.len, &type, NULL), 0);
		value = calloc(1, type->size);
		random_value(type, value);
		assert_int_equal(ipk_value_print(type, value, type->size, J, &text), 0);
		for (u32 n = 1 + rnd(3); n > 0 && text.len > 0; n--) {
			size_t at = rnd((u32)text.len);

			if (rnd(3) == 0)
				text.len = at;
			else
				text.data[at] = "{}[]\",:0-e\\u\xff"[rnd(13)];
		}
		/* An allocation of its own, so that a read behind the end is seen. */
		exact = malloc(text.len ? text.len : 1);
		memcpy(exact, text.data, text.len);
		if (ipk_value_parse(type, exact, text.len, J, &back, &err) == 0)
			assert_int_equal(back.len, type->size);
		else
			assert_int_equal(back.len, 0);
		free(exact);
		free(value);
		ipk_type_free(type);
	}
	ipk_buf_free(&schema);
	ipk_buf_free(&text);
	ipk_buf_free(&back);
}

static void compares(const char *schema, const char *a, const char *b, int want)
{
	struct ipk_type *type = type_of(schema);
	struct ipk_buf x = {0}, y = {0};
	int r;

	assert_int_equal(ipk_value_parse(type, a, strlen(a), 0, &x, NULL), 0);
	assert_int_equal(ipk_value_parse(type, b, strlen(b), 0, &y, NULL), 0);
	r = ipk_value_compare(type, x.data, x.len, y.data, y.len);
	assert_int_equal((r > 0) - (r < 0), want);
	r = ipk_value_compare(type, y.data, y.len, x.data, x.len);
	assert_int_equal((r > 0) - (r < 0), -want);
	ipk_buf_free(&x);
	ipk_buf_free(&y);
	ipk_type_free(type);
}

static void numbers_are_ordered_by_number_and_the_rest_by_bytes(void **state)
{
	static const char *const ints[] = {"i8", "i16", "i32", "i64"}, *const uints[] = {
									       "u8", "u16", "u32",
									       "u64"};

	(void)state;
	for (int i = 0; i < 4; i++) {
		compares(ints[i], "-1", "1", -1);
		compares(ints[i], "5", "5", 0);
		compares(uints[i], "200", "100", 1);
	}
	compares("u64", "18446744073709551615", "1", 1);
	compares("f64", "-1.5", "1", -1);
	compares("f64", "-0.0", "0", 0);
	compares("f64", "nan", "inf", 1);
	compares("f64", "nan", "-nan", 0);
	compares("f32", "2", "10", -1);
	compares("bool", "false", "true", -1);
	compares("str", "abc", "abcd", -1);
	compares("str", "b", "abcd", 1);
	compares("str", "", "", 0);
	compares("str", "\xff", "a", 1);
	compares("str:4", "ab", "abc", -1);
	compares("i32[2]", "[1,-2]", "[1,3]", -1);
	compares("{u8 a; i64 b}", "{\"a\":1,\"b\":-5}", "{\"a\":1,\"b\":4}", -1);
	compares("{u8 a; i64 b}", "{\"a\":2,\"b\":-5}", "{\"a\":1,\"b\":4}", 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_are_exact_at_every_bound),
		cmocka_unit_test(floats_read_and_print_as_people_write_them),
		cmocka_unit_test(every_float_has_the_fewest_digits_that_read_back_the_same),
		cmocka_unit_test(long_decimals_are_rounded_to_nearest),
		cmocka_unit_test(the_locale_has_no_say),
		cmocka_unit_test(strings_are_any_bytes),
		cmocka_unit_test(utf8_means_utf8),
		cmocka_unit_test(structs_are_read_in_any_order_of_keys),
		cmocka_unit_test(json_is_kept_as_it_is_spelled_without_blanks),
		cmocka_unit_test(whatever_is_printed_reads_back_to_the_same_bytes),
		cmocka_unit_test(mutated_text_is_read_or_refused),
		cmocka_unit_test(numbers_are_ordered_by_number_and_the_rest_by_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
