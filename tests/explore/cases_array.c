/* SPDX-License-Identifier: MIT */
/* Wide values are pairs of equal numbers: who reads half of one and half of another sees that. */
#include "cases.h"
#include "ipk/array.h"
#include "kinds/array.h"

#define TORN (-1000)
#define MANY 66u /* writes: two more than the log of a pair has entries */

static int create_pairs(struct ipk_segment *seg)
{
	return ipk_array_create(seg, "x", "bytes:16", MANY, NULL);
}

static int create_numbers(struct ipk_segment *seg)
{
	return ipk_array_create(seg, "x", "u64", 2, NULL);
}

static int create_floats(struct ipk_segment *seg)
{
	return ipk_array_create(seg, "x", "f64", 2, NULL);
}

static int open_array(struct actor *a)
{
	return ipk_array_open(a->seg, "x", NULL, (struct ipk_array **)&a->handle, NULL);
}

/* ---- pairs ---------------------------------------------------------------------------------- */

static i64 value_of(const u64 pair[2])
{
	return pair[0] == pair[1] ? (i64)pair[0] : TORN;
}

static i64 get(struct actor *a, u64 index)
{
	u64 pair[2] = {0};
	int r = ipk_array_get(a->handle, index, pair);

	return r < 0 ? r : value_of(pair);
}

static i64 set(struct actor *a, u64 val)
{
	const u64 pair[2] = {val, val};

	return ipk_array_set(a->handle, 0, pair, IPK_FOREVER);
}

static i64 set_other(struct actor *a, u64 val)
{
	const u64 pair[2] = {val, val};

	return ipk_array_set(a->handle, 1, pair, IPK_FOREVER);
}

/*
 * Once around the log, so that an entry that is being read is filled anew. A slice is a row of
 * single elements: only the first is looked at.
 */
static i64 set_many(struct actor *a, u64 val)
{
	u64 pairs[MANY][2];

	for (u64 i = 0; i < MANY; i++)
		pairs[i][0] = pairs[i][1] = val + i;
	return ipk_array_set_slice(a->handle, 0, MANY, pairs, IPK_FOREVER);
}

/* From 1, or what it was instead. */
static i64 change(struct actor *a, u64 val)
{
	u64 from[2] = {1, 1};
	const u64 to[2] = {val, val};
	int r = ipk_array_cas(a->handle, 0, from, to, IPK_FOREVER);

	return r == -EEXIST ? value_of(from) : r;
}

static void fill(struct actor *a)
{
	get(a, 0);
	if (a->number == OBSERVER) {
		set(a, 1);
		set_other(a, 2);
	}
}

/* Somebody died when his write to 0 counted, and was nowhere but in the log. */
static void half_done(struct actor *a)
{
	struct ipk_array *x = a->handle;
	u64 *seq = &x->body->seq, *entry;

	fill(a);
	if (a->number != OBSERVER)
		return;
	entry = (u64 *)(void *)(a->seg->base + ipk_array_entry(&x->g, ipk_array_done(*seq)));
	entry[0] = 0;
	entry[1] = entry[2] = 5;
	*seq += 1;
}

static void contents(struct actor *a, char *buf, size_t size)
{
	snprintf(buf, size, "%lld %lld", (long long)get(a, 0), (long long)get(a, 1));
}

static void contents_first(struct actor *a, char *buf, size_t size)
{
	snprintf(buf, size, "%lld", (long long)get(a, 0));
}

/* ---- numbers -------------------------------------------------------------------------------- */

static i64 load(struct actor *a, u64 index)
{
	u64 val = 0;
	int r = ipk_array_get(a->handle, index, &val);

	return r < 0 ? r : (i64)val;
}

static i64 store(struct actor *a, u64 val)
{
	return ipk_array_set(a->handle, 0, &val, IPK_FOREVER);
}

static i64 add(struct actor *a, u64 val)
{
	u64 sum = 0;
	int r = ipk_array_add(a->handle, 0, &val, &sum);

	return r < 0 ? r : (i64)sum;
}

static i64 add_float(struct actor *a, u64 val)
{
	double d = (double)val, sum = 0;
	int r = ipk_array_add(a->handle, 0, &d, &sum);

	return r < 0 ? r : (i64)sum;
}

/* Who comes second reads what the first had written before it. */
static i64 add_read(struct actor *a, u64 val)
{
	i64 sum = add(a, val);

	return sum == (i64)val ? sum : 1000 * sum + read_data(a, 0);
}

/* From 0: to take something that is there once. */
static i64 swap(struct actor *a, u64 val)
{
	u64 from = 0;
	int r = ipk_array_cas(a->handle, 0, &from, &val, IPK_FOREVER);

	a->last = r;
	return r == -EEXIST ? (i64)from : r;
}

/* Who has it may write; who gives it back by a store lets the other see what he wrote. */
static i64 add_if_mine(struct actor *a, u64 val)
{
	return a->last == 0 ? add_data(a, val) : 0;
}

static i64 give_if_mine(struct actor *a, u64 unused)
{
	(void)unused;
	return a->last == 0 ? store(a, 0) : 0;
}

/* What was written before the number was stored is there for who loads it. */
static i64 read_if(struct actor *a, u64 val)
{
	return load(a, 0) == (i64)val ? read_data(a, 0) : -1;
}

static void numbers(struct actor *a, char *buf, size_t size)
{
	size_t n = data_text(a, buf, size);

	snprintf(buf + n, size - n, "%lld", (long long)load(a, 0));
}

static void floats(struct actor *a, char *buf, size_t size)
{
	snprintf(buf, size, "%lld", (long long)add_float(a, 0));
}

#define PAIRS                                                                                      \
	.kind = "array", .create = create_pairs, .open = open_array, .fill = fill,                 \
	.contents = contents
#define NUMBERS .kind = "array", .create = create_numbers, .open = open_array, .contents = numbers
#define SWAPPED(n)                                                                                 \
	{"cas", swap, 9}, {"add", add_if_mine, n},                                                 \
	{                                                                                          \
		"set", give_if_mine                                                                \
	}

const struct scenario cases_array[] = {
	{PAIRS, .name = "set|get", .program = {{{"set", set, 11}}, {{"get", get}}}},
	{PAIRS, .name = "set,set|get",
	 .program = {{{"set", set, 11}, {"set", set, 12}}, {{"get", get}}}},
	{PAIRS, .name = "set,other|get,get",
	 .program = {{{"set", set, 11}, {"set 1", set_other, 12}},
		     {{"get 1", get, 1}, {"get", get}}}},
	{PAIRS, .name = "set|set", .program = {{{"set", set, 11}}, {{"set", set, 21}}}},
	{.kind = "array",
	 .create = create_pairs,
	 .open = open_array,
	 .fill = half_done,
	 .contents = contents,
	 .name = "finish|get",
	 .program = {{{"set 1", set_other, 12}}, {{"get", get}}}},
	{PAIRS, .name = "cas|cas", .program = {{{"cas", change, 11}}, {{"cas", change, 21}}}},
	{PAIRS, .name = "set|set,other|get", .slow = true, .preempt = 1,
	 .program = {{{"set", set, 11}}, {{"set 1", set_other, 12}}, {{"get", get}}}},
	{PAIRS, .name = "set|cas|get", .slow = true,
	 .program = {{{"set", set, 11}}, {{"cas", change, 21}}, {{"get", get}}}},
	{.kind = "array",
	 .create = create_pairs,
	 .open = open_array,
	 .fill = half_done,
	 .contents = contents_first,
	 .name = "many|get",
	 .slow = true,
	 .program = {{{"set many", set_many, 11}}, {{"get", get}}}},
	{NUMBERS, .name = "store|load",
	 .program = {{{"write", write_data, 7}, {"set", store, 1}}, {{"get", read_if, 1}}}},
	{NUMBERS, .name = "swap|swap", .program = {{SWAPPED(1)}, {SWAPPED(2)}}},
	{NUMBERS, .name = "add|add",
	 .program = {{{"write", write_data, 7}, {"add", add, 1}}, {{"add", add_read, 2}}}},
	{.kind = "array",
	 .create = create_floats,
	 .open = open_array,
	 .contents = floats,
	 .name = "add|add,float",
	 .program = {{{"add", add_float, 1}}, {{"add", add_float, 2}}}},
	{.name = NULL},
};
