/* SPDX-License-Identifier: MIT */
/* Values are pairs of equal numbers: who reads half of one and half of another sees that. */
#include <stdio.h>
#include <string.h>

#include "explore.h"
#include "ipk/map.h"

#define TORN (-1000)

static const char *const keys[] = {"a", "b", "c"};

static int create(struct ipk_segment *seg)
{
	return ipk_map_create(seg, "x", "bytes:16", "str", 8, NULL);
}

static int open_map(struct actor *a)
{
	return ipk_map_open(a->seg, "x", NULL, NULL, (struct ipk_map **)&a->handle, NULL);
}

static i64 get_key(struct actor *a, const char *key)
{
	u64 pair[2] = {0};
	int r = ipk_map_get(a->handle, key, strlen(key), pair, sizeof(pair), NULL);

	return r < 0 ? r : pair[0] == pair[1] ? (i64)pair[0] : TORN;
}

static i64 put_key(struct actor *a, const char *key, u64 val)
{
	const u64 pair[2] = {val, val};

	return ipk_map_put(a->handle, key, strlen(key), pair, sizeof(pair), IPK_FOREVER);
}

static i64 get(struct actor *a, u64 key)
{
	return get_key(a, keys[key]);
}

static i64 put(struct actor *a, u64 val)
{
	return put_key(a, "a", val);
}

static i64 put_b(struct actor *a, u64 val)
{
	return put_key(a, "b", val);
}

static i64 put_new(struct actor *a, u64 val)
{
	return put_key(a, "c", val);
}

static i64 del(struct actor *a, u64 key)
{
	return ipk_map_del(a->handle, keys[key], strlen(keys[key]), IPK_FOREVER);
}

static void fill(struct actor *a)
{
	get(a, 0);
	if (a->number != OBSERVER)
		return;
	put(a, 1);
	put_b(a, 2);
}

static void contents(struct actor *a, char *buf, size_t size)
{
	size_t n = 0;

	for (u64 i = 0; i < IPK_ARRAY_LEN(keys); i++)
		n += (size_t)snprintf(buf + n, size - n, "%s=%lld ", keys[i], (long long)get(a, i));
}

#define MAP .kind = "map", .create = create, .open = open_map, .fill = fill, .contents = contents

const struct scenario cases_map[] = {
	{MAP, .name = "put|get", .program = {{{"put", put, 11}}, {{"get", get}}}},
	{MAP, .name = "put,put|get",
	 .program = {{{"put", put, 11}, {"put", put, 12}}, {{"get", get}}}},
	{MAP, .name = "del,put|get",
	 .program = {{{"del", del}, {"put b", put_b, 11}}, {{"get", get}}}},
	{MAP, .name = "new|get,get",
	 .program = {{{"put c", put_new, 11}}, {{"get c", get, 2}, {"get", get}}}},
	{MAP, .name = "put|del", .program = {{{"put", put, 11}}, {{"del", del}}}},
	{MAP, .name = "put|del|get", .slow = true,
	 .program = {{{"put", put, 11}}, {{"del", del}}, {{"get", get}}}},
	{.name = NULL},
};
