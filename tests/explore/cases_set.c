/* SPDX-License-Identifier: MIT */
/* Values of sets, and the new table that one value too many makes. */
#include <stdio.h>

#include "explore.h"
#include "ipk/set.h"

#define ROOM 6u /* of the smallest table: one more makes a new one */

/* No cap: the smallest table, which grows. */
static int create(struct ipk_segment *seg)
{
	return ipk_set_create(seg, "x", "u64", 1, NULL);
}

static int open_set(struct actor *a)
{
	return ipk_set_open(a->seg, "x", NULL, (struct ipk_set **)&a->handle, NULL);
}

static i64 add(struct actor *a, u64 val)
{
	return ipk_set_add(a->handle, &val, sizeof(val), IPK_FOREVER);
}

static i64 del(struct actor *a, u64 val)
{
	return ipk_set_remove(a->handle, &val, sizeof(val), IPK_FOREVER);
}

static i64 has(struct actor *a, u64 val)
{
	return ipk_set_has(a->handle, &val, sizeof(val));
}

static void with(struct actor *a, u64 n)
{
	has(a, 1);
	for (u64 i = 1; a->number == OBSERVER && i <= n; i++)
		add(a, i);
}

static void with_1(struct actor *a)
{
	with(a, 1);
}

static void full(struct actor *a)
{
	with(a, ROOM);
}

static void contents(struct actor *a, char *buf, size_t size)
{
	size_t n =
		(size_t)snprintf(buf, size, "%llu:", (unsigned long long)ipk_set_count(a->handle));

	for (u64 i = 1; i <= ROOM + 2; i++)
		if (has(a, i) && n < size)
			n += (size_t)snprintf(buf + n, size - n, " %llu", (unsigned long long)i);
}

#define SET .kind = "set", .create = create, .open = open_set, .contents = contents

const struct scenario cases_set[] = {
	{SET, .name = "add|has", .fill = with_1,
	 .program = {{{"add", add, 2}}, {{"has", has, 2}, {"has", has, 1}}}},
	{SET, .name = "add|add", .fill = with_1, .program = {{{"add", add, 2}}, {{"add", add, 2}}}},
	{SET, .name = "add|del", .fill = with_1, .program = {{{"add", add, 1}}, {{"del", del, 1}}}},
	{SET, .name = "del,add|has", .fill = with_1,
	 .program = {{{"del", del, 1}, {"add", add, 2}}, {{"has", has, 1}, {"has", has, 2}}}},
	{SET, .name = "grow|has", .fill = full,
	 .program = {{{"add", add, 7}}, {{"has", has, 7}, {"has", has, 1}}}},
	{SET, .name = "grow|add", .fill = full, .slow = true,
	 .program = {{{"add", add, 7}}, {{"add", add, 8}}}},
	{SET, .name = "add|del|has", .fill = with_1, .slow = true,
	 .program = {{{"add", add, 2}}, {{"del", del, 2}}, {{"has", has, 2}}}},
	{.name = NULL},
};
