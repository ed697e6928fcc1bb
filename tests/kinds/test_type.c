/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/base.h"
#include "ipk/type.h"

static struct ipk_type *parse(const char *text)
{
	struct ipk_type *type = NULL;
	struct ipk_error err = {0};

	if (ipk_type_parse(text, strlen(text), &type, &err) != 0)
		fail_msg("%s: %s", text, err.text);
	return type;
}

static void refused(const char *text, int code, const char *message)
{
	struct ipk_type *type = (void *)0x1;
	struct ipk_error err = {0};

	assert_int_equal(ipk_type_parse(text, strlen(text), &type, &err), code);
	assert_ptr_equal(type, (void *)0x1);
	assert_int_equal(err.code, code);
	if (!strstr(err.text, message))
		fail_msg("%s: \"%s\" does not say \"%s\"", text, err.text, message);
}

static void each_scalar_has_the_size_and_alignment_of_c(void **state)
{
	static const struct {
		const char *text;
		enum ipk_base base;
		u32 size, align;
	} t[] = {
		{"i8", IPK_I8, 1, 1},         {"i16", IPK_I16, 2, 2},     {"i32", IPK_I32, 4, 4},
		{"i64", IPK_I64, 8, 8},       {"u8", IPK_U8, 1, 1},       {"u16", IPK_U16, 2, 2},
		{"u32", IPK_U32, 4, 4},       {"u64", IPK_U64, 8, 8},     {"f32", IPK_F32, 4, 4},
		{"f64", IPK_F64, 8, 8},       {"bool", IPK_BOOL, 1, 1},   {"str", IPK_STR, 0, 1},
		{"json", IPK_JSON, 0, 1},     {"bytes", IPK_BYTES, 0, 1}, {"str:8", IPK_STR, 8, 1},
		{"bytes:3", IPK_BYTES, 3, 1},
	};

	(void)state;
	for (size_t i = 0; i < IPK_ARRAY_LEN(t); i++) {
		struct ipk_type *type = parse(t[i].text);

		assert_int_equal(type->base, t[i].base);
		assert_int_equal(type->size, t[i].size);
		assert_int_equal(type->unit, t[i].size);
		assert_int_equal(type->align, t[i].align);
		assert_int_equal(type->count, 0);
		assert_string_equal(type->text, t[i].text);
		ipk_type_free(type);
	}
}

static void a_struct_is_laid_out_as_c_lays_it_out(void **state)
{
	struct inner {
		u8 a;
		u16 b;
	};
	struct outer {
		u32 id;
		double px;
		char sym[5];
		struct inner in[3];
		bool on;
		float v[3];
		u8 end;
	};
	static const size_t offsets[] = {offsetof(struct outer, id),  offsetof(struct outer, px),
					 offsetof(struct outer, sym), offsetof(struct outer, in),
					 offsetof(struct outer, on),  offsetof(struct outer, v),
					 offsetof(struct outer, end)};
	struct ipk_type *type = parse("{u32 id;f64 px;str:5 sym;{u8 a;u16 b}[3] in;bool on;"
				      "f32[3] v;u8 end;}");

	(void)state;
	assert_int_equal(type->nfields, IPK_ARRAY_LEN(offsets));
	for (u32 i = 0; i < type->nfields; i++)
		assert_int_equal(type->fields[i].offset, offsets[i]);
	assert_int_equal(type->size, sizeof(struct outer));
	assert_int_equal(type->align, _Alignof(struct outer));
	assert_int_equal(type->fields[3].type.unit, sizeof(struct inner));
	assert_int_equal(type->fields[3].type.count, 3);
	assert_null(type->fields[3].type.text);
	assert_string_equal(type->text, "{u32 id; f64 px; str:5 sym; {u8 a; u16 b}[3] in; bool on; "
					"f32[3] v; u8 end}");
	ipk_type_free(type);
}

static void spelling_does_not_matter_but_meaning_does(void **state)
{
	struct ipk_type *a = parse(" { u32  id ;\n\tf64[ 03 ] px ; } "),
			*b = parse("{u32 id; f64[3] px}");
	struct ipk_type *c = parse("{u32 id; f64[4] px}");

	(void)state;
	assert_true(ipk_type_equal(a, b));
	assert_false(ipk_type_equal(a, c));
	ipk_type_free(a);
	ipk_type_free(b);
	ipk_type_free(c);
}

static void a_mistake_is_named_with_its_column(void **state)
{
	(void)state;
	refused("", -EINVAL, "column 1: a type is missing");
	refused("quux", -EINVAL, "column 1: no such type");
	refused("u32 x", -EINVAL, "column 5: the type ends before this");
	refused("{u32 id; f65 px}", -EINVAL, "column 10: no such type");
	refused("{u32 id f64 px}", -EINVAL, "column 9: \";\" or \"}\" is missing");
	refused("{u32 id", -EINVAL, "column 8: \";\" or \"}\" is missing");
	refused("{}", -EINVAL, "column 2: a type is missing");
	refused("{;}", -EINVAL, "column 2: a type is missing");
	refused("{u32}", -EINVAL, "column 5: a field needs a name");
	refused("{u32 7x}", -EINVAL, "column 6: a field needs a name");
	refused("{u32 a; str b}", -EINVAL, "column 9: inside a struct str and bytes need a length");
	refused("{json a}", -EINVAL, "column 2:");
	refused("{u32 a; f32 a}", -EINVAL, "two fields are called \"a\"");
	refused("{f32 pos[3]}", -EINVAL, "column 9: the count belongs to the type");
	refused("str[3]", -EINVAL, "column 4: an array needs items of fixed size");
	refused("f32[3][4]", -EINVAL, "column 7: an array of arrays");
	refused("f32[3", -EINVAL, "column 6: \"]\" is missing");
	refused("f32[]", -EINVAL, "column 5: an array's count goes from 1");
	refused("f32[x]", -EINVAL, "column 5:");
	refused("f32[-1]", -EINVAL, "column 5:");
	refused("str:", -EINVAL, "column 5: a length goes from 1");
	refused("u32:4", -EINVAL, "column 4: only str and bytes take a length");
	refused("json:4", -EINVAL, "only str and bytes");
	refused("U32", -EINVAL, "no such type");
}

static void every_limit_holds_exactly(void **state)
{
	struct ipk_buf text = {0};
	struct ipk_type *type;

	(void)state;
	ipk_type_free(parse("u8[1048576]"));
	refused("u8[1048577]", -EMSGSIZE, "goes from 1 to 1048576");
	refused("u8[0]", -EINVAL, "goes from 1");
	refused("u8[18446744073709551617]", -EMSGSIZE, "goes from 1");
	refused("u8[99999999999999999999999999999999]", -EMSGSIZE, "goes from 1");
	ipk_type_free(parse("str:16777216"));
	refused("str:16777217", -EMSGSIZE, "goes from 1 to 16777216");
	refused("str:0", -EINVAL, "goes from 1");
	ipk_type_free(parse("str:16[1048576]"));
	refused("str:17[1048576]", -EMSGSIZE, "16 MiB");
	refused("bytes:16777216[2]", -EMSGSIZE, "16 MiB");
	ipk_type_free(parse("{str:16777215 a; u8 b}"));
	refused("{str:16777216 a; u8 b}", -EMSGSIZE, "column 18: an element may have 16 MiB");
	/* the padding at the end counts */
	refused("{str:16777208 a; u64 b; u8 c}", -EMSGSIZE, "16 MiB");

	for (int levels = 16; levels <= 17; levels++) {
		text.len = 0;
		for (int i = 0; i < levels; i++)
			ipk_buf_str(&text, "{");
		ipk_buf_str(&text, "u8 x");
		for (int i = 0; i < levels; i++)
			ipk_buf_str(&text, i + 1 < levels ? "} x" : "}");
		ipk_buf_add(&text, "", 1);
		if (levels == 16)
			ipk_type_free(parse(text.data));
		else
			refused(text.data, -EMSGSIZE, "column 17: more than 16 levels");
	}

	for (size_t len = 65535; len <= 65536; len++) {
		text.len = 0;
		ipk_buf_str(&text, "{u8 ");
		while (text.len < len - 1)
			ipk_buf_str(&text, "x");
		ipk_buf_str(&text, "}");
		assert_int_equal(text.len, len);
		assert_int_equal(ipk_type_parse(text.data, text.len, &type, NULL),
				 len == 65535 ? 0 : -EMSGSIZE);
		if (len == 65535)
			ipk_type_free(type);
	}
	ipk_buf_free(&text);
}

static void thousands_of_fields_are_checked_quickly(void **state)
{
	struct ipk_buf text = {0};
	struct ipk_type *type;

	(void)state;
	ipk_buf_str(&text, "{");
	for (int i = 0; text.len < 65000; i++)
		ipk_buf_printf(&text, "u8 f%x; ", i);
	ipk_buf_str(&text, "}");
	assert_int_equal(ipk_type_parse(text.data, text.len, &type, NULL), 0);
	assert_true(type->nfields > 6000);
	assert_int_equal(type->size, type->nfields);
	ipk_type_free(type);
	text.len--;
	ipk_buf_add(&text, "u8 f7}", 7);
	refused(text.data, -EINVAL, "two fields are called \"f7\"");
	ipk_buf_free(&text);
}

static u64 rng = 88172645463325252u;

static u32 rnd(u32 n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (u32)(rng >> 32) % n;
}

/* Random bytes and mutated schemas: no crash, and what is accepted has a stable canonical form. */
static void any_text_is_parsed_or_refused(void **state)
{
	static const char *const words[] = {"u8",   "i16", "f64", "str",     "str:", "{",      "}",
					    "[",    "]",   ";",   " ",       "a",    "b",      "c",
					    "json", "7",   "99",  "bytes:3", "\xff", "bool x;"};
	int accepted = 0;

	(void)state;
	for (int round = 0; round < 200000; round++) {
		struct ipk_type *type, *again;
		char text[64] = "";
		u32 n = 1 + rnd(8);

		if (rnd(2))
			strcpy(text, "{u8 z;");
		while (n-- > 0)
			strcat(text, words[rnd(IPK_ARRAY_LEN(words))]);
		if (ipk_type_parse(text, strlen(text), &type, NULL) != 0)
			continue;
		accepted++;
		again = parse(type->text);
		assert_string_equal(type->text, again->text);
		assert_int_equal(type->size, again->size);
		ipk_type_free(type);
		ipk_type_free(again);
	}
	assert_true(accepted > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_scalar_has_the_size_and_alignment_of_c),
		cmocka_unit_test(a_struct_is_laid_out_as_c_lays_it_out),
		cmocka_unit_test(spelling_does_not_matter_but_meaning_does),
		cmocka_unit_test(a_mistake_is_named_with_its_column),
		cmocka_unit_test(every_limit_holds_exactly),
		cmocka_unit_test(thousands_of_fields_are_checked_quickly),
		cmocka_unit_test(any_text_is_parsed_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
