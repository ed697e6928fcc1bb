/* SPDX-License-Identifier: MIT */
/* What the tests of values share: one reading or refusal in a line, and random numbers. */
#ifndef TEST_VALUE_H
#define TEST_VALUE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/base.h"
#include "ipk/type.h"

#define J IPK_VALUE_JSON

static inline struct ipk_type *type_of(const char *text)
{
	struct ipk_type *type = NULL;
	struct ipk_error err = {0};

	if (ipk_type_parse(text, strlen(text), &type, &err) != 0)
		fail_msg("%s: %s", text, err.text);
	return type;
}

/* text is read as schema says, and printed as printed says (NULL: the same). */
static inline void reads(const char *schema, unsigned flags, const char *text, const char *printed)
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

static inline void refuses(const char *schema, unsigned flags, const char *text, int code,
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

static u64 rng = 88172645463325252u;

static inline u64 rnd64(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng * UINT64_C(2685821657736338717);
}

static inline u32 rnd(u32 n)
{
	return (u32)((rnd64() >> 32) % n);
}

#endif
