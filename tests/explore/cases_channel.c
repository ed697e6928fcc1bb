/* SPDX-License-Identifier: MIT */
/* Channels x and y of numbers: buffered, or where sender and receiver meet. */
#include "cases.h"
#include "ipk/channel.h"
#include "kinds/channel.h"

static struct ipk_channel *other[ACTORS + 1]; /* y */

static int create_both(struct ipk_segment *seg, u64 cap)
{
	int r = ipk_channel_create(seg, "x", "u64", cap, NULL);

	return r < 0 ? r : ipk_channel_create(seg, "y", "u64", cap, NULL);
}

static int create_1(struct ipk_segment *seg)
{
	return create_both(seg, 1);
}

static int create_2(struct ipk_segment *seg)
{
	return create_both(seg, 2);
}

static int create_0(struct ipk_segment *seg)
{
	return create_both(seg, 0);
}

static int open_both(struct actor *a)
{
	int r = ipk_channel_open(a->seg, "y", NULL, &other[a->number], NULL);

	return r < 0 ? r
		     : ipk_channel_open(a->seg, "x", NULL, (struct ipk_channel **)&a->handle, NULL);
}

/* ---- one ------------------------------------------------------------------------------------ */

static i64 send(struct actor *a, u64 val)
{
	return ipk_channel_send(a->handle, &val, sizeof(val), IPK_FOREVER);
}

static i64 try_send(struct actor *a, u64 val)
{
	return ipk_channel_send(a->handle, &val, sizeof(val), IPK_NOWAIT);
}

static i64 send_y(struct actor *a, u64 val)
{
	return ipk_channel_send(other[a->number], &val, sizeof(val), IPK_FOREVER);
}

static i64 recv_from(struct ipk_channel *ch, i64 deadline)
{
	u64 val = 0;
	int r = ipk_channel_recv(ch, &val, sizeof(val), NULL, deadline);

	return r < 0 ? r : (i64)val;
}

static i64 recv(struct actor *a, u64 unused)
{
	(void)unused;
	return recv_from(a->handle, IPK_FOREVER);
}

static i64 try_recv(struct actor *a, u64 unused)
{
	(void)unused;
	return recv_from(a->handle, IPK_NOWAIT);
}

static i64 recv_soon(struct actor *a, u64 unused)
{
	(void)unused;
	return recv_from(a->handle, sched_now() + 5000000);
}

static i64 shut(struct actor *a, u64 unused)
{
	(void)unused;
	return ipk_channel_shutdown(a->handle);
}

/* Who was asleep when the value was handed to him, and died, has not received it: it was sent. */
static void handed(struct actor *a, u64 unused, u32 way)
{
	u64 val = 0;
	struct ipk_channel_case c = {.channel = a->handle, .buf = &val, .size = sizeof(val)};

	(void)unused, (void)way;
	if (ipk_channel_select(&c, 1, NULL, IPK_FOREVER) == 0)
		ipk_channel_unrecv(a->handle, &val, sizeof(val), c.ret_pos);
}

/* ---- two ------------------------------------------------------------------------------------ */

/* 100 for x or 200 for y, and what was received. */
static i64 choose(struct actor *a, u64 sent, bool back)
{
	u64 in[2] = {0}, out[2] = {10 * a->number + 1, 10 * a->number + 2};
	struct ipk_channel_case c[2];
	unsigned which = 0;
	int r;

	for (unsigned i = 0; i < 2; i++)
		c[i] = (struct ipk_channel_case){
			.channel = i ? other[a->number] : a->handle,
			.send = sent >> i & 1,
			.value = &out[i],
			.len = 8,
			.buf = &in[i],
			.size = 8,
		};
	r = ipk_channel_select(c, 2, &which, IPK_FOREVER);
	if (r == 0 && back && !c[which].send)
		ipk_channel_unrecv(c[which].channel, &in[which], 8, c[which].ret_pos);
	return r < 0 ? r : (i64)(100 * (which + 1) + in[which]);
}

static i64 choose_of(struct actor *a, u64 sent)
{
	return choose(a, sent, false);
}

/* By chance it begins with either: chance is the clock. */
static i64 choose_either(struct actor *a, u64 sent)
{
	sched_tick(1000 * sched_either(4));
	return choose(a, sent, false);
}

static void handed_either(struct actor *a, u64 sent, u32 way)
{
	(void)way;
	sched_tick(1000 * sched_either(4));
	choose(a, sent, true);
}

/* ---- before and after ----------------------------------------------------------------------- */

static void warm(struct actor *a)
{
	if (a->number == OBSERVER)
		try_send(a, 99);
	if (a->number == OBSERVER)
		try_recv(a, 0);
}

static void with_1(struct actor *a)
{
	warm(a);
	if (a->number == OBSERVER)
		try_send(a, 1);
}

static size_t drain(struct ipk_channel *ch, char *buf, size_t size)
{
	size_t n = 0;
	i64 val;

	while ((val = recv_from(ch, IPK_NOWAIT)) >= 0 && n < size)
		n += (size_t)snprintf(buf + n, size - n, "%lld ", (long long)val);
	if (n < size)
		n += (size_t)snprintf(buf + n, size - n, "%s ", ipk_strerror((int)val));
	return n;
}

static void contents(struct actor *a, char *buf, size_t size)
{
	size_t n = drain(a->handle, buf, size);

	if (n < size)
		drain(other[a->number], buf + n, size - n);
}

#define CHANNEL .kind = "channel", .open = open_both, .contents = contents

/* clang-format off */
#define SEND(v) {"send", send, v}
#define TRY_SEND(v) {"send", try_send, v, .may_refuse = true}
#define RECV {"recv", recv}
#define MEET {"recv", recv, 0, handed, 1}
#define TRY_RECV {"recv", try_recv, .may_refuse = true}
#define SELECT(sent) {"select", choose_of, sent, handed_either, 1, choose_either}
/* clang-format on */

/* select: which are sent to. */
enum { NEITHER, X, Y, BOTH };

const struct scenario cases_channel[] = {
	{CHANNEL, .name = "send|recv,try", .slow = true, .create = create_2, .fill = with_1,
	 .program = {{TRY_SEND(11)}, {TRY_RECV, TRY_RECV}}},
	{CHANNEL, .name = "send|send", .slow = true, .create = create_1, .fill = warm,
	 .program = {{TRY_SEND(11)}, {TRY_SEND(21)}}},
	{CHANNEL, .name = "send|recv,wait", .create = create_1, .fill = warm,
	 .program = {{SEND(11)}, {RECV}}},
	{CHANNEL, .name = "send,wait|recv", .create = create_1, .fill = with_1,
	 .program = {{SEND(11)}, {RECV}}},
	{CHANNEL, .name = "shut|recv,wait", .create = create_1, .fill = warm,
	 .program = {{{"shut", shut}}, {RECV}}},
	{CHANNEL, .name = "shut|send,wait", .slow = true, .create = create_1, .fill = with_1,
	 .program = {{{"shut", shut}}, {SEND(11)}}},
	{CHANNEL, .name = "meet", .create = create_0, .program = {{SEND(11)}, {MEET}}},
	{CHANNEL, .name = "meet,try", .slow = true, .create = create_0,
	 .program = {{SEND(11)}, {TRY_RECV}}},
	{CHANNEL, .name = "shut|meet", .slow = true, .create = create_0,
	 .program = {{{"shut", shut}}, {SEND(11)}}},
	{CHANNEL, .name = "select|select", .create = create_0,
	 .program = {{SELECT(X)}, {SELECT(Y)}}},
	{CHANNEL, .name = "select|send,buffered", .slow = true, .create = create_1, .fill = warm,
	 .program = {{SELECT(NEITHER)}, {{"send y", send_y, 12}}}},
	{CHANNEL, .name = "send|recv,timed|recv", .create = create_1, .fill = warm, .slow = true,
	 .program = {{SEND(11)}, {{"recv", recv_soon}}, {RECV}}},
	{CHANNEL, .name = "select|send|send", .create = create_0, .slow = true,
	 .program = {{SELECT(NEITHER)}, {SEND(11)}, {{"send y", send_y, 12}}}},
	{CHANNEL, .name = "meet|meet", .create = create_0, .slow = true,
	 .program = {{SEND(11)}, {MEET}, {MEET}}},
	{.name = NULL},
};
