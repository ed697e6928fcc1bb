/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "explore.h"
#include "ipk/queue.h"

static int create_1(struct ipk_segment *seg)
{
	return ipk_queue_create(seg, "x", "u64", 1, NULL);
}

static int create_2(struct ipk_segment *seg)
{
	return ipk_queue_create(seg, "x", "u64", 2, NULL);
}

static int create_4(struct ipk_segment *seg)
{
	return ipk_queue_create(seg, "x", "u64", 4, NULL);
}

static int create_text(struct ipk_segment *seg)
{
	return ipk_queue_create(seg, "x", "str", 2, NULL);
}

static int open_queue(struct actor *a)
{
	return ipk_queue_open(a->seg, "x", NULL, (struct ipk_queue **)&a->handle, NULL);
}

/* ---- operations ----------------------------------------------------------------------------- */

static i64 push(struct actor *a, u64 val)
{
	return ipk_queue_push(a->handle, &val, sizeof(val), IPK_NOWAIT);
}

static i64 push_wait(struct actor *a, u64 val)
{
	return ipk_queue_push(a->handle, &val, sizeof(val), IPK_FOREVER);
}

static i64 take(struct actor *a, i64 deadline)
{
	u64 val = 0;
	int r = ipk_queue_pop(a->handle, &val, sizeof(val), NULL, deadline);

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

/* Who dies while he copies had taken it, and not acknowledged. */
static void taken(struct actor *a, u64 unused, u32 way)
{
	struct ipk_queue_lease l;

	(void)unused, (void)way;
	ipk_queue_lease(a->handle, &l, IPK_NOWAIT);
}

static i64 push_many(struct actor *a, u64 val)
{
	u64 vals[2] = {val, val + 1};
	struct iovec v[2] = {{&vals[0], 8}, {&vals[1], 8}};

	return ipk_queue_push_many(a->handle, v, 2, IPK_NOWAIT);
}

/* As many operations, one after the other. */
static i64 push_parts(struct actor *a, u64 val)
{
	i64 r = push(a, val);

	if (r < 0)
		return r;
	sched_between(NULL, 0);
	return push(a, val + 1) < 0 ? 1 : 2;
}

static i64 both(i64 first, i64 second)
{
	return second < 0 ? first : first + 1000 * second;
}

static i64 pop_many(struct actor *a, u64 unused)
{
	struct ipk_queue_item item[2];
	u64 vals[2] = {0};
	int n = ipk_queue_pop_many(a->handle, vals, sizeof(vals), item, 2, IPK_NOWAIT);

	(void)unused;
	return n < 0 ? n : both((i64)vals[0], n < 2 ? -1 : (i64)vals[1]);
}

/* The same of a burst: both, or one by one. */
static void taken_both(struct actor *a, u64 unused, u32 way)
{
	struct ipk_queue_lease l[2];

	(void)unused;
	ipk_queue_lease_many(a->handle, l, way ? 1 : 2, IPK_NOWAIT);
}

static i64 pop_parts(struct actor *a, u64 unused)
{
	i64 first = pop(a, unused);

	if (first < 0)
		return first;
	sched_between(taken, unused);
	return both(first, pop(a, unused));
}

static struct ipk_queue_lease leases[ACTORS];

static i64 lease(struct actor *a, u64 unused)
{
	int r = ipk_queue_lease(a->handle, &leases[a->number], IPK_NOWAIT);

	(void)unused;
	a->last = r;
	return r < 0 ? r : (i64) * (const u64 *)leases[a->number].data;
}

static i64 end_lease(struct actor *a, u64 back)
{
	if (a->last < 0)
		return 0;
	return back ? ipk_queue_nack(a->handle, &leases[a->number])
		    : ipk_queue_ack(a->handle, &leases[a->number]);
}

static i64 close_it(struct actor *a, u64 unused)
{
	(void)unused;
	return ipk_queue_shutdown(a->handle);
}

static i64 push_text(struct actor *a, u64 len)
{
	return ipk_queue_push(a->handle,
			      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", len,
			      IPK_NOWAIT);
}

static i64 pop_text(struct actor *a, u64 unused)
{
	struct ipk_queue_item item;
	char buf[64] = "";
	int r = ipk_queue_pop(a->handle, buf, sizeof(buf), &item, IPK_NOWAIT);

	(void)unused;
	return r < 0 ? r
	       : item.len && buf[item.len - 1] != buf[0] + (char)item.len - 1 && item.len <= 26
		       ? -EBADMSG
		       : (i64)item.len;
}

/* ---- before and after ----------------------------------------------------------------------- */

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

static void with_3(struct actor *a)
{
	with_items(a, 3);
}

/* n items, and the next push is of position 0, 4 or so: where bursts of two begin. */
static void aligned(struct actor *a, u64 n)
{
	struct ipk_queue_item item = {.pos = 0};
	u64 val = 99;

	warm(a);
	while (a->number == OBSERVER && item.pos % 4 != 3) {
		push(a, val);
		ipk_queue_pop(a->handle, &val, sizeof(val), &item, IPK_NOWAIT);
	}
	for (u64 i = 1; a->number == OBSERVER && i <= n; i++)
		push(a, i);
}

static void aligned_0(struct actor *a)
{
	aligned(a, 0);
}

static void aligned_2(struct actor *a)
{
	aligned(a, 2);
}

static void aligned_3(struct actor *a)
{
	aligned(a, 3);
}

static void aligned_4(struct actor *a)
{
	aligned(a, 4);
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

static void contents_text(struct actor *a, char *buf, size_t size)
{
	size_t n = 0;
	i64 val;

	while ((val = pop_text(a, 0)) >= 0 && n < size)
		n += (size_t)snprintf(buf + n, size - n, "%lld ", (long long)val);
}

#define QUEUE .kind = "queue", .open = open_queue, .contents = contents
#define PUSH(v)                                                                                    \
	{                                                                                          \
		"push", push, v, .may_refuse = true                                                \
	}
#define PUSH_WAIT(v)                                                                               \
	{                                                                                          \
		"push", push_wait, v                                                               \
	}
#define POP                                                                                        \
	{                                                                                          \
		"pop", pop, 0, taken, 1, .may_refuse = true                                        \
	}
#define POP_WAIT                                                                                   \
	{                                                                                          \
		"pop", pop_wait, 0, taken, 1                                                       \
	}
#define PUSH_MANY(v)                                                                               \
	{                                                                                          \
		"push_many", push_many, v, NULL, 0, push_parts, true                               \
	}
#define PUSH_BURST(v)                                                                              \
	{                                                                                          \
		"push_burst", push_many, v, .may_refuse = true                                     \
	}
#define POP_BURST                                                                                  \
	{                                                                                          \
		"pop_burst", pop_many, 0, taken_both, 1, .may_refuse = true                        \
	}
#define POP_MANY                                                                                   \
	{                                                                                          \
		"pop_many", pop_many, 0, taken_both, 2, pop_parts, true                            \
	}
#define LEASE                                                                                      \
	{                                                                                          \
		"lease", lease, .may_refuse = true                                                 \
	}
#define ACK                                                                                        \
	{                                                                                          \
		"ack", end_lease, 0                                                                \
	}
#define NACK                                                                                       \
	{                                                                                          \
		"nack", end_lease, 1                                                               \
	}
#define CLOSE                                                                                      \
	{                                                                                          \
		"close", close_it                                                                  \
	}

const struct scenario cases_queue[] = {
	{QUEUE, .name = "push|push", .create = create_4, .fill = warm,
	 .program = {{PUSH(11)}, {PUSH(21)}}},
	{QUEUE, .name = "push|pop", .create = create_4, .fill = with_1,
	 .program = {{PUSH(11)}, {POP}}},
	{QUEUE, .name = "push|pop,empty", .create = create_2, .fill = warm,
	 .program = {{PUSH(11)}, {POP, POP}}},
	{QUEUE, .name = "push|pop,full", .create = create_2, .fill = with_2,
	 .program = {{PUSH(11)}, {POP}}},
	{QUEUE, .name = "pop|pop", .create = create_4, .fill = with_3, .program = {{POP}, {POP}}},
	{QUEUE, .name = "pop|pop,one", .create = create_1, .fill = with_1,
	 .program = {{POP}, {POP}}},
	{QUEUE, .name = "push|close", .create = create_2, .fill = warm,
	 .program = {{PUSH(11)}, {CLOSE}}},
	{QUEUE, .name = "push|pop,wait", .create = create_1, .fill = warm,
	 .program = {{PUSH(11)}, {POP_WAIT}}},
	{QUEUE, .name = "push,wait|pop", .create = create_1, .fill = with_1,
	 .program = {{PUSH_WAIT(11)}, {POP}}},
	{QUEUE, .name = "close|pop,wait", .create = create_1, .fill = warm,
	 .program = {{CLOSE}, {POP_WAIT}}},
	{QUEUE, .name = "many|many", .create = create_2, .fill = warm,
	 .program = {{PUSH_MANY(11)}, {POP_MANY}}},
	{QUEUE, .name = "burst|burst", .create = create_4, .fill = aligned_0,
	 .program = {{PUSH_BURST(11)}, {POP_BURST}}},
	{QUEUE, .name = "burst|push", .create = create_4, .fill = aligned_0,
	 .program = {{PUSH_BURST(11)}, {PUSH(21)}}},
	{QUEUE, .name = "burst,push|push,push", .create = create_4, .fill = aligned_0,
	 .program = {{PUSH_BURST(11), PUSH(13)}, {PUSH(21)}}},
	{QUEUE, .name = "burst|pop,pop", .create = create_4, .fill = aligned_0,
	 .program = {{PUSH_BURST(11)}, {POP, POP}}},
	{QUEUE, .name = "pop_burst|pop", .create = create_4, .fill = aligned_4,
	 .program = {{POP_BURST}, {POP}}},
	{QUEUE, .name = "pop_burst|pop,three", .create = create_4, .fill = aligned_3,
	 .program = {{POP_BURST}, {POP}}},
	{QUEUE, .name = "pop_burst|burst,full", .create = create_4, .fill = aligned_4,
	 .program = {{POP_BURST}, {PUSH_MANY(11)}}},
	{QUEUE, .name = "pop_burst|push,push,full", .create = create_4, .fill = aligned_4,
	 .program = {{POP_BURST}, {PUSH(11), PUSH(12)}}},
	{QUEUE, .name = "burst|close,pop", .create = create_4, .fill = aligned_0,
	 .program = {{PUSH_BURST(11)}, {CLOSE, POP}}},
	{QUEUE, .name = "pop_burst,pop|close", .create = create_4, .fill = aligned_2,
	 .program = {{POP_BURST, POP}, {CLOSE}}},
	{QUEUE, .name = "lease,ack|push,full", .create = create_2, .fill = with_2,
	 .program = {{LEASE, ACK}, {PUSH(11)}}},
	{QUEUE, .name = "lease,nack|pop", .create = create_2, .fill = with_2,
	 .program = {{LEASE, NACK}, {POP}}},
	{.kind = "queue",
	 .open = open_queue,
	 .contents = contents_text,
	 .name = "push|pop,text",
	 .create = create_text,
	 .program = {{{"push", push_text, 9}},
		     {{"pop", pop_text, 0, taken, 1, .may_refuse = true}}}},
	{QUEUE, .name = "push|push|pop", .create = create_2, .fill = warm, .slow = true,
	 .program = {{PUSH(11)}, {PUSH(21)}, {POP}}},
	{QUEUE, .name = "burst|burst|pop_burst", .create = create_4, .fill = aligned_0,
	 .slow = true, .program = {{PUSH_BURST(11)}, {PUSH_BURST(21)}, {POP_BURST}}},
	{QUEUE, .name = "pop_many|pop_many|burst", .create = create_4, .fill = aligned_4,
	 .slow = true, .program = {{POP_MANY}, {POP_MANY}, {PUSH_MANY(11)}}},
	{QUEUE, .name = "pop|pop|burst,full", .create = create_4, .fill = aligned_4, .slow = true,
	 .program = {{POP}, {POP}, {PUSH_MANY(11)}}},
	{QUEUE, .name = "push|push|pop_many", .create = create_4, .fill = aligned_0, .slow = true,
	 .program = {{PUSH(11)}, {PUSH(21)}, {POP_MANY}}},
	{QUEUE, .name = "push|pop|pop", .create = create_2, .fill = with_1, .slow = true,
	 .program = {{PUSH(11)}, {POP}, {POP}}},
	{QUEUE, .name = "push,push|pop,wait|pop,wait", .create = create_1, .fill = warm,
	 .slow = true, .program = {{PUSH_WAIT(11), PUSH_WAIT(12)}, {POP_WAIT}, {POP_WAIT}}},
	{.name = NULL},
};
