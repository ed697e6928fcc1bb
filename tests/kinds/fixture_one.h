/* SPDX-License-Identifier: MIT */
/* For tests of one kind: a segment "s", open as seg, in which they create an object "x". */
#ifndef TEST_FIXTURE_ONE_H
#define TEST_FIXTURE_ONE_H

#include <pthread.h>

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

/* What the object's value file says. */
static inline const char *value(void)
{
	static char text[32];
	struct ipk_buf buf = {0};
	struct look l;

	look(&l, "s", "x");
	assert_int_equal(l.kind->value(&l.o, &buf), 0);
	assert_int_equal(buf.data[buf.len - 1], '\n');
	snprintf(text, sizeof(text), "%.*s", (int)buf.len - 1, buf.data);
	ipk_buf_free(&buf);
	look_end(&l);
	return text;
}

/*
 * A verb of the object ends with r, and, where says is given, prints that or, refused, has it in
 * its message.
 */
static inline void verb_does(const char *kind, const char *verb, const char *arg, int r,
			     const char *says)
{
	struct verb v = {0};

	assert_int_equal(verb_run(&v, seg, "x", kind, verb, NULL, arg, NULL), r);
	if (says && r < 0)
		assert_non_null(strstr(v.call.err.text, says));
	else if (says)
		assert_string_equal(v.out.data, says);
	verb_end(&v);
}

static inline int in_thread(void *(*fn)(void *arg), void *arg)
{
	pthread_t thread;
	void *ret = NULL;

	assert_int_equal(pthread_create(&thread, NULL, fn, arg), 0);
	assert_int_equal(pthread_join(thread, &ret), 0);
	return (int)(intptr_t)ret;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
