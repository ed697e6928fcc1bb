/* SPDX-License-Identifier: MIT */
#include "value_test.h"

#include "json.h"

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

/* ---- random types, random values ------------------------------------------------------------ */

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
