/* SPDX-License-Identifier: MIT */
/* What tests of maps with many processes share. */
#ifndef TEST_FIXTURE_MAP_H
#define TEST_FIXTURE_MAP_H

#include "fixture_kind.h"

#include "ipk/map.h"
#include "kinds/map_write.h"

static inline void make_map(const char *type, const char *key, u64 cap)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_segment *seg;
	struct ipk_error err = {0};

	options.max = UINT64_C(128) << 20;
	if (ipk_segment_create("s", &options, &seg, &err) < 0 ||
	    ipk_map_create(seg, "m", type, key, cap, &err) < 0)
		fail_msg("%s", err.text);
	ipk_segment_close(seg);
}

static inline struct ipk_map *open_map(unsigned mode, struct ipk_segment **ret_seg)
{
	struct ipk_map *m = NULL;
	struct ipk_error err = {0};

	if (ipk_segment_open("s", mode, ret_seg, &err) < 0 ||
	    ipk_map_open(*ret_seg, "m", NULL, NULL, &m, &err) < 0)
		fprintf(stderr, "open: %s\n", err.text);
	return m;
}

static inline void close_map(struct ipk_map *m, struct ipk_segment *seg)
{
	ipk_map_close(m);
	ipk_segment_close(seg);
}

static inline void print_finding(void *arg, const char *where, const char *what)
{
	++*(int *)arg;
	print_message("fsck: %s: %s\n", where, what);
}

static inline void fsck_is_silent(void)
{
	struct ipk_view *view;
	struct ipk_error err = {0};
	int n = 0;

	assert_int_equal(ipk_view_open("s", &view, &err), 0);
	assert_int_equal(ipk_fsck(view, print_finding, &n, &err), 0);
	assert_int_equal(n, 0);
	ipk_view_close(view);
}

/*
 * A value is {key, number, length, bytes that follow from the number}: torn, mixed or another
 * key's, it would not fit. Keys below KEPT are always there, with ever larger numbers; others
 * come and go.
 */
#define KEPT 8u
#define COMING 400u
#define VALUE_MAX 3000u

struct value {
	u64 key, number;
	u32 len, pad;
	u8 bytes[VALUE_MAX];
};

static inline size_t make_value(struct value *v, u64 key, u64 number)
{
	u64 seed = key * 31 + number;

	v->key = key;
	v->number = number;
	v->len = number % 3 ? (u32)(number % 40) : (u32)(seeded(&seed) % VALUE_MAX);
	v->pad = 0;
	for (u32 i = 0; i < v->len; i++)
		v->bytes[i] = (u8)(key * 7 + number * 13 + i);
	return offsetof(struct value, bytes) + v->len;
}

static inline void must_be_whole(const void *data, size_t len, u64 key)
{
	struct value v;

	must(len >= offsetof(struct value, bytes) && len <= sizeof(v));
	memcpy(&v, data, len);
	must(v.key == key && len == offsetof(struct value, bytes) + v.len);
	for (u32 i = 0; i < v.len; i++)
		must(v.bytes[i] == (u8)(v.key * 7 + v.number * 13 + i));
}

#endif
