/* SPDX-License-Identifier: MIT */
/* What the tests of futures share. */
#ifndef TEST_FUTURE_TEST_H
#define TEST_FUTURE_TEST_H

#include "fixture_one.h"

#include <pthread.h>

#include "ipk/future.h"
#include "kinds/future.h"

static inline struct ipk_future *open_future(struct ipk_segment *in)
{
	struct ipk_future *f = NULL;
	struct ipk_error err = {0};

	if (ipk_future_open(in, "x", NULL, &f, &err) < 0)
		fprintf(stderr, "open: %s\n", err.text);
	return f;
}

static inline struct ipk_future *make(const char *type)
{
	struct ipk_future *f;
	struct ipk_error err = {0};

	if (ipk_future_create(seg, "x", type, &err) < 0)
		fail_msg("create: %s", err.text);
	f = open_future(seg);
	assert_non_null(f);
	return f;
}

/* A child's own attachment. */
static inline struct ipk_future *open_again(unsigned mode)
{
	struct ipk_segment *mine = NULL;

	must(ipk_segment_open("s", mode, &mine, NULL) == 0);
	return open_future(mine);
}

static inline void assert_value(struct ipk_future *f, const char *want)
{
	char buf[256];
	size_t len = SIZE_MAX;

	assert_int_equal(ipk_future_get(f, buf, sizeof(buf), &len), 0);
	assert_int_equal(len, strlen(want));
	assert_memory_equal(buf, want, len);
}

#endif
