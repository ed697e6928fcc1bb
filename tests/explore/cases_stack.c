/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "explore.h"
#include "ipk/stack.h"

static int create_1(struct ipk_segment *seg)
{
	return ipk_stack_create(seg, "x", "u64", 1, NULL);
}

static int create_3(struct ipk_segment *seg)
{
	return ipk_stack_create(seg, "x", "u64", 3, NULL);
}

static int open_stack(struct actor *a)
{
	return ipk_stack_open(a->seg, "x", NULL, (struct ipk_stack **)&a->handle, NULL);
}

static i64 push(struct actor *a, u64 val)
{
	return ipk_stack_push(a->handle, &val, sizeof(val), IPK_NOWAIT);
}

static i64 push_wait(struct actor *a, u64 val)
{
	return ipk_stack_push(a->handle, &val, sizeof(val), IPK_FOREVER);
}

static i64 take(struct actor *a, i64 deadline)
{
	u64 val = 0;
	int r = ipk_stack_pop(a->handle, &val, sizeof(val), NULL, deadline);

	return r < 0 ? r : (i64)val;
}

static i64 pop(struct actor *a, u64 unused)
{
	(void)unused;
	return take(a, IPK_NOWAIT);
}

static i64 pop_wait(struct actor *a, u64 unused)
{
	(void)unused;
	return take(a, IPK_FOREVER);
}

static i64 peek(struct actor *a, u64 unused)
{
	struct ipk_stack_item item;
	u64 val = 0;
	int r = ipk_stack_peek(a->handle, &val, sizeof(val), &item);

	(void)unused;
	return r < 0 ? r : (i64)val;
}

static struct ipk_stack_lease leases[ACTORS];

static i64 lease(struct actor *a, u64 unused)
{
	int r = ipk_stack_lease(a->handle, &leases[a->number], IPK_NOWAIT);

	(void)unused;
	a->last = r;
	return r < 0 ? r : (i64) * (const u64 *)leases[a->number].data;
}

static i64 end_lease(struct actor *a, u64 back)
{
	if (a->last < 0)
		return 0;
	return back ? ipk_stack_nack(a->handle, &leases[a->number])
		    : ipk_stack_ack(a->handle, &leases[a->number]);
}

static void warm(struct actor *a)
{
	push(a, 99);
	pop(a, 0);
}

static void with_items(struct actor *a, u64 n)
{
	warm(a);
	for (u64 i = 1; a->number == OBSERVER && i <= n; i++)
		push(a, i);
}

static void with_1(struct actor *a)
{
	with_items(a, 1);
}

static void with_2(struct actor *a)
{
	with_items(a, 2);
}

static void contents(struct actor *a, char *buf, size_t size)
{
	size_t n = 0;
	i64 val = 0;

	while ((val = pop(a, 0)) >= 0 && n < size)
		n += (size_t)snprintf(buf + n, size - n, "%lld ", (long long)val);
	if (n < size)
		snprintf(buf + n, size - n, "%s", ipk_strerror((int)val));
}

#define STACK .kind = "stack", .open = open_stack, .contents = contents
/* Who does not want to wait may be told that somebody is at it. */
#define PUSH(v)                                                                                    \
	{                                                                                          \
		"push", push, v, .may_refuse = true                                                \
	}
#define POP                                                                                        \
	{                                                                                          \
		"pop", pop, .may_refuse = true                                                     \
	}
#define PEEK                                                                                       \
	{                                                                                          \
		"peek", peek, .may_refuse = true                                                   \
	}

const struct scenario cases_stack[] = {
	{STACK, .name = "push|pop", .create = create_3, .fill = with_1,
	 .program = {{PUSH(11)}, {POP}}},
	{STACK, .name = "push|peek", .create = create_3, .fill = with_1,
	 .program = {{POP, PUSH(11)}, {PEEK}}},
	{STACK, .name = "lease,nack|pop", .create = create_3, .fill = with_2,
	 .program = {{{"lease", lease, .may_refuse = true}, {"nack", end_lease, 1}}, {POP}}},
	{STACK, .name = "lease,ack|push", .create = create_3, .fill = with_2,
	 .program = {{{"lease", lease, .may_refuse = true}, {"ack", end_lease, 0}}, {PUSH(11)}}},
	{STACK, .name = "push|pop,wait", .create = create_1, .fill = warm,
	 .program = {{{"push", push_wait, 11}}, {{"pop", pop_wait}}}},
	{STACK, .name = "push,wait|pop", .create = create_1, .fill = with_1,
	 .program = {{{"push", push_wait, 11}}, {{"pop", pop_wait}}}},
	{STACK, .name = "push|pop|pop", .create = create_3, .fill = with_2, .slow = true,
	 .program = {{PUSH(11)}, {POP}, {POP}}},
	{.name = NULL},
};
