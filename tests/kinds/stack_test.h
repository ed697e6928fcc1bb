/* SPDX-License-Identifier: MIT */
/* What the tests of stacks in one process share. */
#ifndef TEST_STACK_TEST_H
#define TEST_STACK_TEST_H

#include "fixture_one.h"

#include "ipk/stack.h"
#include "kinds/stack.h"

static inline struct ipk_stack *open_stack(const char *name)
{
	struct ipk_error err = {0};
	struct ipk_stack *s = NULL;

	if (ipk_stack_open(seg, name, NULL, &s, &err) < 0)
		fail_msg("stack %s: %s", name, err.text);
	return s;
}

static inline struct ipk_stack *make(const char *name, const char *type, u64 cap)
{
	struct ipk_error err = {0};

	if (ipk_stack_create(seg, name, type, cap, &err) < 0)
		fail_msg("stack %s of %s: %s", name, type, err.text);
	return open_stack(name);
}

static inline void end(struct ipk_stack *s, const char *name)
{
	struct findings f = findings_of("s", name);

	if (f.n)
		fail_msg("%s: %s", name, f.last);
	ipk_stack_close(s);
	assert_int_equal(ipk_object_remove(seg, name, NULL), 0);
}

static inline void push(struct ipk_stack *s, u64 val)
{
	assert_int_equal(ipk_stack_push(s, &val, sizeof(val), IPK_NOWAIT), 0);
}

static inline u64 pop(struct ipk_stack *s)
{
	u64 val = 0;

	assert_int_equal(ipk_stack_pop(s, &val, sizeof(val), NULL, IPK_NOWAIT), 0);
	return val;
}

#endif
