/* SPDX-License-Identifier: MIT */
/*
 * Looking at a stack while it is changed between two of the looker's own reads, which are counted.
 */
#include <sys/syscall.h>

#include "fixture_stack.h"
#include "segment/view.h"

static struct ipk_stack *stack;
static struct ipk_stack_lease lease;
static u64 top_off; /* 0: nothing is counted */
static int looks;   /* at top */

static void before(int look)
{
	if (look == 2)
		must(ipk_stack_nack(stack, &lease) == 0);
}

static void after(int look)
{
	if (look == 1 || look == 2)
		must(ipk_stack_lease(stack, &lease, IPK_NOWAIT) == 0);
}

/* In the place of the C library's. */
ssize_t pread(int fd, void *dst, size_t len, off_t off)
{
	const bool look = top_off && (u64)off == top_off && len == 8;
	ssize_t n;

	if (look)
		before(++looks);
	n = (ssize_t)syscall(SYS_pread64, fd, dst, len, off);
	if (look)
		after(looks);
	return n;
}

static int must_not_be_two(void *arg, const struct ipk_item *item)
{
	(void)arg;
	assert_int_equal(item->len, 8);
	assert_int_equal(*(const u64 *)item->data, 1);
	return 0;
}

static void what_was_popped_long_ago_is_not_shown(void **state)
{
	struct ipk_object_view o;
	struct ipk_view *view;
	struct ipk_stack *s = make("u64", 2);

	(void)state;
	stack = s;
	push(s, 1);
	push(s, 2);
	assert_int_equal(pop(s, NULL), 2);
	assert_int_equal(ipk_view_open("s", &view, NULL), 0);
	assert_int_equal(ipk_view_object(view, "x", &o, NULL), 0);
	top_off = o.body + offsetof(struct ipk_stack_body, top);
	assert_int_equal(ipk_kind_stack.items(&o, 0, UINT64_MAX, must_not_be_two, NULL), 0);
	top_off = 0;
	assert_true(looks > 2);
	assert_int_equal(ipk_stack_ack(s, &lease), 0);
	ipk_object_view_free(&o);
	ipk_view_close(view);
	end(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_popped_long_ago_is_not_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
