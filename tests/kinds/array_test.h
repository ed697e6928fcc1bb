/* SPDX-License-Identifier: MIT */
/* What the tests of arrays in one process share. */
#ifndef TEST_ARRAY_TEST_H
#define TEST_ARRAY_TEST_H

#include "fixture_one.h"

#include "ipk/array.h"
#include "kinds/array.h"

static inline struct ipk_array *make(const char *name, const char *type, u64 cap)
{
	struct ipk_error err = {0};
	struct ipk_array *a = NULL;

	if (ipk_array_create(seg, name, type, cap, &err) < 0 ||
	    ipk_array_open(seg, name, type, &a, &err) < 0)
		fail_msg("array %s of %s: %s", name, type, err.text);
	return a;
}

static const char *const all_types[] = {
	"i8",
	"i16",
	"i32",
	"i64",
	"u8",
	"u16",
	"u32",
	"u64",
	"f32",
	"f64",
	"bool",
	"str:4",
	"str:5",
	"bytes:3",
	"str:100",
	"bytes:2000",
	"str:5000",
	"bytes:70001",
	"f32[2]",
	"f32[3]",
	"u8[7]",
	"f64[1000]",
	"{u32 id; f64 px; str:8 sym}",
	"{u16 a; u16 b}",
};

#endif
