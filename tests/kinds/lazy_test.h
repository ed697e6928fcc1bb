/* SPDX-License-Identifier: MIT */
/* What the tests of lazy values share. */
#ifndef TEST_LAZY_TEST_H
#define TEST_LAZY_TEST_H

#include "fixture_one.h"

#include "ipk/lazy.h"
#include "kinds/lazy.h"

static inline struct ipk_lazy *open_lazy(struct ipk_segment *in)
{
	struct ipk_lazy *l = NULL;
	struct ipk_error err = {0};

	if (ipk_lazy_open(in, "x", NULL, &l, &err) < 0)
		fprintf(stderr, "open: %s\n", err.text);
	return l;
}

static inline struct ipk_lazy *make(const char *type)
{
	struct ipk_lazy *l;
	struct ipk_error err = {0};

	if (ipk_lazy_create(seg, "x", type, IPK_LAZY_CALLER, NULL, &err) < 0)
		fail_msg("create: %s", err.text);
	l = open_lazy(seg);
	assert_non_null(l);
	return l;
}

/* A child's own attachment. */
static inline struct ipk_lazy *open_again(unsigned mode)
{
	struct ipk_segment *mine = NULL;
	struct ipk_lazy *l;

	must(ipk_segment_open("s", mode, &mine, NULL) == 0);
	l = open_lazy(mine);
	must(l != NULL);
	return l;
}

/* Computes arg, a text, and counts. */
static u32 computed;

static inline int text_of(void *arg, struct ipk_buf *out)
{
	computed++;
	return ipk_buf_str(out, arg);
}

static inline int fail_with(void *arg, struct ipk_buf *out)
{
	computed++;
	ipk_buf_str(out, arg);
	return -EDOM;
}

static inline int give_up(void *arg, struct ipk_buf *out)
{
	(void)out;
	computed++;
	return *(int *)arg;
}

static inline int force_text(struct ipk_lazy *l, const char *text, char *buf, size_t size)
{
	size_t len = 0;
	int r = ipk_lazy_force(l, text_of, (char *)text, buf, size - 1, &len, IPK_NOWAIT);

	buf[r ? 0 : len] = '\0';
	return r;
}

static inline void assert_value(struct ipk_lazy *l, const char *want)
{
	char buf[256];
	size_t len = SIZE_MAX;

	assert_int_equal(ipk_lazy_peek(l, buf, sizeof(buf), &len), 0);
	assert_int_equal(len, strlen(want));
	assert_memory_equal(buf, want, len);
}

static inline void assert_sound(void)
{
	struct findings f = findings_of("s", "x");

	if (f.n)
		fail_msg("%s", f.last);
}

#endif
