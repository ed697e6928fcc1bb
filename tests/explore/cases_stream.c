/* SPDX-License-Identifier: MIT */
#include "cases.h"
#include "ipk/stream.h"

static struct ipk_stream_sub *subs[ACTORS + 1];

static int create(struct ipk_segment *seg, u64 cap, enum ipk_stream_policy policy)
{
	const struct ipk_stream_options options = {
		.type = "u64", .cap = cap, .policy = policy, .subs = 2, .state = 16};

	return ipk_stream_create(seg, "x", &options, NULL);
}

static int create_1(struct ipk_segment *seg)
{
	return create(seg, 1, IPK_STREAM_DROP);
}

static int create_4(struct ipk_segment *seg)
{
	return create(seg, 4, IPK_STREAM_DROP);
}

static int create_block(struct ipk_segment *seg)
{
	return create(seg, 1, IPK_STREAM_BLOCK);
}

static int create_reject(struct ipk_segment *seg)
{
	return create(seg, 1, IPK_STREAM_REJECT);
}

static int open_stream(struct actor *a)
{
	return ipk_stream_open(a->seg, "x", NULL, (struct ipk_stream **)&a->handle, NULL);
}

/* ---- operations ----------------------------------------------------------------------------- */

static i64 emit(struct actor *a, u64 val)
{
	return ipk_stream_emit(a->handle, &val, sizeof(val), IPK_FOREVER);
}

static i64 emit_many(struct actor *a, u64 val)
{
	u64 vals[2] = {val, val + 1};
	const struct iovec v[2] = {{&vals[0], 8}, {&vals[1], 8}};

	return ipk_stream_emit_many(a->handle, v, 2, IPK_FOREVER);
}

/* A record and a state of two numbers, which belong together. */
static i64 commit(struct actor *a, u64 val)
{
	const struct iovec v = {&val, 8};
	const u64 state[2] = {val, val};

	return ipk_stream_commit(a->handle, &v, 1, state, sizeof(state), IPK_FOREVER);
}

static i64 state(struct actor *a, u64 unused)
{
	u64 pair[2] = {0};
	size_t len = 0;
	int r = ipk_stream_state(a->handle, pair, sizeof(pair), &len);

	(void)unused;
	return r < 0 ? r : pair[0] == pair[1] ? (i64)pair[0] : -EBADMSG;
}

static i64 next_until(struct actor *a, i64 deadline)
{
	struct ipk_stream_item item = {0};
	u64 val = 0;
	int r = ipk_stream_next(subs[a->number], &val, sizeof(val), &item, deadline);

	return a->last = r < 0 ? r : (i64)(val + 1000 * item.lost);
}

static i64 next(struct actor *a, u64 unused)
{
	(void)unused;
	return next_until(a, IPK_NOWAIT);
}

static i64 next_wait(struct actor *a, u64 unused)
{
	(void)unused;
	return next_until(a, IPK_FOREVER);
}

static i64 ack(struct actor *a, u64 unused)
{
	(void)unused;
	return a->last >= 0 ? ipk_stream_ack(subs[a->number]) : 0;
}

static i64 shut(struct actor *a, u64 unused)
{
	(void)unused;
	return ipk_stream_shutdown(a->handle);
}

static i64 subscribe_as(struct actor *a, const char *name)
{
	subs[a->number] = NULL;
	return ipk_stream_subscribe(a->handle, name, IPK_STREAM_FROM_START, &subs[a->number], NULL);
}

static i64 take_name(struct actor *a, u64 unused)
{
	(void)unused;
	return a->last = subscribe_as(a, "n");
}

static i64 leave_name(struct actor *a, u64 unused)
{
	(void)unused;
	if (a->last == 0)
		ipk_stream_unsubscribe(subs[a->number]);
	return 0;
}

/* The name of actor 1, which it has from the beginning. */
static i64 end_named(struct actor *a, u64 unused)
{
	(void)unused;
	ipk_stream_unsubscribe(subs[a->number]);
	return 0;
}

/* Where the one before was. */
static i64 follow(struct actor *a, u64 unused)
{
	i64 r = take_name(a, unused);

	return r < 0 ? r : (i64)ipk_stream_position(subs[a->number]);
}

static i64 forget(struct actor *a, u64 unused)
{
	(void)unused;
	return ipk_stream_forget(a->handle, "n");
}

/* ---- before and after ----------------------------------------------------------------------- */

/* Actor 1 reads from the beginning, and there is one record. */
static void with_1(struct actor *a)
{
	if (a->number == 0)
		emit(a, 1);
	if (a->number == 1)
		subscribe_as(a, NULL);
}

static void empty(struct actor *a)
{
	if (a->number == 1)
		subscribe_as(a, NULL);
}

static void named(struct actor *a)
{
	if (a->number == 0)
		emit(a, 1);
	if (a->number == 1)
		subscribe_as(a, "n");
}

static void contents(struct actor *a, char *buf, size_t size)
{
	u64 first, end;
	size_t n;
	i64 val;

	ipk_stream_range(a->handle, &first, &end);
	n = (size_t)snprintf(buf, size, "%llu-%llu state %lld:", (unsigned long long)first,
			     (unsigned long long)end, (long long)state(a, 0));
	if (subscribe_as(a, NULL) < 0)
		return;
	while ((val = next(a, 0)) >= 0 && n < size)
		n += (size_t)snprintf(buf + n, size - n, " %lld", (long long)val);
	if (n < size)
		n += (size_t)snprintf(buf + n, size - n, " %lld", (long long)val);
	val = take_name(a, 0);
	if (n < size)
		snprintf(buf + n, size - n, ", name %lld at %llu", (long long)val,
			 (unsigned long long)(val < 0 ? 0 : ipk_stream_position(subs[a->number])));
}

#define STREAM .kind = "stream", .open = open_stream, .contents = contents

/* clang-format off */
#define EMIT(v) {"emit", emit, v}
#define NEXT {"next", next}
#define NEXT_WAIT {"next", next_wait}
/* clang-format on */

const struct scenario cases_stream[] = {
	{STREAM, .name = "emit|next", .create = create_4, .fill = empty,
	 .program = {{EMIT(11)}, {NEXT, NEXT}}},
	{STREAM, .name = "emit,emit|next,overtaken", .create = create_1, .fill = with_1,
	 .program = {{EMIT(11), EMIT(12)}, {NEXT, NEXT}}},
	{STREAM, .name = "emit|emit", .create = create_4, .fill = empty,
	 .program = {{EMIT(11)}, {EMIT(21)}}},
	{STREAM, .name = "many|next", .create = create_4, .fill = empty,
	 .program = {{{"emit many", emit_many, 11}}, {NEXT, NEXT}}},
	{STREAM, .name = "emit|next,wait", .create = create_4, .fill = empty,
	 .program = {{EMIT(11)}, {NEXT_WAIT}}},
	{STREAM, .name = "shut|next,wait", .create = create_4, .fill = empty,
	 .program = {{{"shut", shut}}, {NEXT_WAIT}}},
	{STREAM, .name = "emit,shut|next,next", .create = create_4, .fill = empty,
	 .program = {{EMIT(11), {"shut", shut}}, {NEXT, NEXT}}},
	{STREAM, .name = "emit,wait|next,ack", .create = create_block, .fill = named,
	 .program = {{EMIT(11)}, {NEXT, {"ack", ack}, NEXT}}},
	{STREAM, .name = "emit|next,ack,reject", .create = create_reject, .fill = named,
	 .program = {{EMIT(11), EMIT(12)}, {NEXT, {"ack", ack}, NEXT}}},
	{STREAM, .name = "commit|state", .create = create_4, .fill = empty,
	 .program = {{{"commit", commit, 11}}, {{"state", state}, NEXT}}},
	{STREAM, .name = "name|name", .create = create_4,
	 .program = {{{"subscribe", take_name}, {"unsubscribe", leave_name}},
		     {{"subscribe", take_name}}}},
	{STREAM, .name = "follow|next,ack,end", .create = create_4, .fill = named,
	 .program = {{{"subscribe", follow}}, {NEXT, {"ack", ack}, {"unsubscribe", end_named}}}},
	{STREAM, .name = "emit|next|shut", .create = create_4, .fill = empty,
	 .program = {{EMIT(11)}, {NEXT, NEXT}, {{"shut", shut}}}},
	{STREAM, .name = "emit|next|emit,overtaken", .create = create_1, .fill = with_1,
	 .slow = true, .preempt = 1, .program = {{EMIT(11)}, {NEXT}, {EMIT(21)}}},
	{STREAM, .name = "emit,wait|forget", .create = create_block, .fill = named, .slow = true,
	 .program = {{EMIT(11)}, {{"forget", forget}}}},
	{STREAM, .name = "emit|emit|next,wait", .create = create_1, .fill = empty, .slow = true,
	 .program = {{EMIT(11)}, {NEXT_WAIT, NEXT_WAIT}, {EMIT(21)}}},
	{.name = NULL},
};
