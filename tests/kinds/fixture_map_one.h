/* SPDX-License-Identifier: MIT */
/* What tests of maps in one process share. */
#ifndef TEST_FIXTURE_MAP_ONE_H
#define TEST_FIXTURE_MAP_ONE_H

#include "fixture_kind.h"

#include "ipk/map.h"
#include "kinds/map.h"

static struct ipk_segment *seg;

static inline int setup(void **state)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;

	if (dir_setup(state) != 0)
		return -1;
	options.max = UINT64_C(64) << 20;
	if (ipk_segment_create("s", &options, NULL, NULL) != 0)
		return -1;
	seg = open_segment("s");
	return seg ? 0 : -1;
}

static inline int teardown(void **state)
{
	ipk_segment_close(seg);
	return dir_teardown(state);
}

static inline struct ipk_map *open_map(const char *name)
{
	struct ipk_error err = {0};
	struct ipk_map *m = NULL;

	if (ipk_map_open(seg, name, NULL, NULL, &m, &err) < 0)
		fail_msg("map %s: %s", name, err.text);
	return m;
}

static inline struct ipk_map *make(const char *name, const char *type, const char *key, u64 cap)
{
	struct ipk_error err = {0};

	if (ipk_map_create(seg, name, type, key, cap, &err) < 0)
		fail_msg("map %s of %s by %s: %s", name, type, key, err.text);
	return open_map(name);
}

static inline void end(struct ipk_map *m, const char *name)
{
	assert_int_equal(findings_of("s", name).n, 0);
	ipk_map_close(m);
	assert_int_equal(ipk_object_remove(seg, name, NULL), 0);
}

static inline void fill(u8 *to, size_t len, u64 seed)
{
	for (size_t i = 0; i < len; i++)
		to[i] = (u8)(seeded(&seed) >> 7);
}

/* Ends a walk with 42 at the third entry. */
static inline int stop_at_three(void *arg, const struct ipk_map_item *item)
{
	(void)item;
	return ++*(int *)arg == 3 ? 42 : 0;
}

static inline u64 used(void)
{
	return info_of("s").used;
}

#endif
