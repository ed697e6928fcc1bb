/* SPDX-License-Identifier: MIT */
/* For tests of one kind: a segment "s", open as seg, in which they create an object "x". */
#ifndef TEST_FIXTURE_ONE_H
#define TEST_FIXTURE_ONE_H

#include "fixture_kind.h"

#define MS INT64_C(1000000)

static struct ipk_segment *seg;

static inline int setup(void **state)
{
	if (dir_setup(state) != 0)
		return -1;
	create_segment("s");
	seg = open_segment("s");
	return seg ? 0 : -1;
}

static inline int teardown(void **state)
{
	ipk_segment_close(seg);
	return dir_teardown(state);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
