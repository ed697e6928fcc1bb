/* SPDX-License-Identifier: MIT */
/* What the tests of stacks with several processes share: one stack "x". */
#ifndef TEST_FIXTURE_STACK_H
#define TEST_FIXTURE_STACK_H

#include "fixture_one.h"

#include "ipk/stack.h"
#include "kinds/stack.h"

static inline struct ipk_stack *make(const char *type, u64 cap)
{
	struct ipk_stack *s = NULL;

	assert_int_equal(ipk_stack_create(seg, "x", type, cap, NULL), 0);
	assert_int_equal(ipk_stack_open(seg, "x", NULL, &s, NULL), 0);
	return s;
}

/* In a child: the segment has been opened by the parent, and is this process's own from here. */
static inline struct ipk_stack *open_stack(struct ipk_segment **ret_seg)
{
	struct ipk_stack *s = NULL;

	*ret_seg = open_segment("s");
	must(*ret_seg && ipk_stack_open(*ret_seg, "x", NULL, &s, NULL) == 0);
	return s;
}

static inline void note_finding(void *arg, const char *where, const char *what)
{
	(void)arg;
	print_message("fsck: %s: %s\n", where, what);
}

static inline void fsck_is_silent(void)
{
	struct ipk_view *view;
	struct ipk_error err = {0};

	assert_int_equal(ipk_view_open("s", &view, &err), 0);
	assert_int_equal(ipk_fsck(view, note_finding, NULL, &err), 0);
	ipk_view_close(view);
}

static inline void end(struct ipk_stack *s)
{
	ipk_segment_sweep(seg);
	fsck_is_silent();
	ipk_stack_close(s);
}

static inline void push(struct ipk_stack *s, u64 val)
{
	assert_int_equal(ipk_stack_push(s, &val, sizeof(val), ipk_deadline(LIMIT_NS)), 0);
}

static inline u64 pop(struct ipk_stack *s, u32 *ret_redelivered)
{
	struct ipk_stack_item item;
	u64 val = 0;

	assert_int_equal(ipk_stack_pop(s, &val, sizeof(val), &item, ipk_deadline(LIMIT_NS)), 0);
	if (ret_redelivered)
		*ret_redelivered = item.redelivered;
	return val;
}

#endif
