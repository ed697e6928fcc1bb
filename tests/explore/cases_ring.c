/* SPDX-License-Identifier: MIT */
/* Actor 0 and 2 produce, actor 1 consumes: those are the roles that they have taken before. */
#include "explore.h"
#include "ipk/ring.h"

static int create(struct ipk_segment *seg, const char *type, bool many, u64 cap)
{
	struct ipk_ring_options options = IPK_RING_OPTIONS_INIT;

	options.type = type;
	options.many = many;
	options.cap = cap;
	return ipk_ring_create(seg, "x", &options, NULL);
}

static int create_cells(struct ipk_segment *seg)
{
	return create(seg, "u64", false, 32);
}

static int create_records(struct ipk_segment *seg)
{
	return create(seg, "str", false, 64);
}

static int create_many(struct ipk_segment *seg)
{
	return create(seg, "u64", true, 32);
}

static int create_many_records(struct ipk_segment *seg)
{
	return create(seg, "str", true, 64);
}

static int open_ring(struct actor *a)
{
	return ipk_ring_open(a->seg, "x", NULL, (struct ipk_ring **)&a->handle, NULL);
}

static i64 push(struct actor *a, u64 val)
{
	return ipk_ring_push(a->handle, &val, sizeof(val), IPK_NOWAIT);
}

static i64 push_wait(struct actor *a, u64 val)
{
	return ipk_ring_push(a->handle, &val, sizeof(val), IPK_FOREVER);
}

static i64 take(struct actor *a, i64 deadline)
{
	u64 val = 0;
	size_t len;
	int r = ipk_ring_pop(a->handle, &val, sizeof(val), &len, deadline);

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

/* The consumer is actor 1 from here on, and the producer of a ring that has one, actor 0. */
static void claim(struct actor *a)
{
	if (a->number == 0)
		ipk_ring_claim(a->handle, IPK_RING_PRODUCER, NULL);
	if (a->number == 1)
		ipk_ring_claim(a->handle, IPK_RING_CONSUMER, NULL);
}

/* The roles are taken, the fast paths too, and nothing is there. */
static void used(struct actor *a)
{
	claim(a);
	if (a->number == 0 && push(a, 91) == 0)
		push(a, 92);
	if (a->number == 1 && pop(a, 0) > 0)
		pop(a, 0);
}

static void some(struct actor *a)
{
	claim(a);
	if (a->number == 0) {
		push(a, 1);
		push(a, 2);
	}
}

static void full(struct actor *a)
{
	claim(a);
	for (u64 i = 1; a->number == 0 && push(a, i) == 0;)
		i++;
}

#define RING .kind = "ring", .indirect = true, .open = open_ring, .contents = world_items
#define PUSH(v)                                                                                    \
	{                                                                                          \
		"push", push, v                                                                    \
	}
#define PUSH_WAIT(v)                                                                               \
	{                                                                                          \
		"push", push_wait, v                                                               \
	}
/* Another producer may have been at it for too long. */
#define PUSH_MANY(v)                                                                               \
	{                                                                                          \
		"push", push, v, .may_refuse = true                                                \
	}
#define POP                                                                                        \
	{                                                                                          \
		"pop", pop                                                                         \
	}
#define POP_WAIT                                                                                   \
	{                                                                                          \
		"pop", pop_wait                                                                    \
	}

const struct scenario cases_ring[] = {
	{RING, .name = "push|pop,cells", .create = create_cells, .fill = some,
	 .program = {{PUSH(11)}, {POP, POP}}},
	{RING, .name = "push|pop,cells,empty", .create = create_cells, .fill = used,
	 .program = {{PUSH(11), PUSH(12)}, {POP, POP}}},
	{RING, .name = "push|pop,cells,full", .create = create_cells, .fill = full,
	 .program = {{PUSH(11), PUSH(12)}, {POP, POP}}},
	{RING, .name = "push|pop,records", .create = create_records, .fill = used,
	 .program = {{PUSH(11), PUSH(12)}, {POP, POP}}},
	{RING, .name = "push|pop,records,full", .create = create_records, .fill = full,
	 .program = {{PUSH(11), PUSH(12)}, {POP, POP}}},
	{RING, .name = "push|pop,wait", .create = create_cells, .fill = used,
	 .program = {{PUSH(11)}, {POP_WAIT}}},
	{RING, .name = "push,wait|pop", .create = create_cells, .fill = full,
	 .program = {{PUSH_WAIT(11)}, {POP}}},
	{RING, .name = "push|pop|push,many", .create = create_many, .fill = used,
	 .program = {{PUSH_MANY(11)}, {POP}, {PUSH_MANY(21)}}},
	{RING, .name = "push|pop|push,many,records", .create = create_many_records, .fill = used,
	 .program = {{PUSH_MANY(11)}, {POP, POP}, {PUSH_MANY(21)}}, .slow = true},
	{RING, .name = "push|pop,wait|push,many", .create = create_many, .fill = used, .slow = true,
	 .program = {{PUSH_WAIT(11)}, {POP_WAIT, POP_WAIT}, {PUSH_WAIT(21)}}},
	{.name = NULL},
};
