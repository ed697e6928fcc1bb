/* SPDX-License-Identifier: MIT */
/* The verbs of channels, and the descriptor. */
#include <stdlib.h>

#include "kinds/await.h"
#include "kinds/channel.h"
#include "kinds/hooks.h"

#define BATCH 64   /* values asked for at once */
#define ROOM 4096u /* bytes of a buffer at first */

/* ---- sending ------------------------------------------------------------------------- */

static int refused(struct ipk_call *call, struct ipk_channel *ch, int r)
{
	if (r == -EAGAIN)
		return ipk_error_set(&call->err, r, ch->cap ? "full" : "nobody waits to receive");
	return r;
}

static int run_send(struct ipk_call *call)
{
	struct ipk_channel *ch = call->handle;
	struct ipk_item items[BATCH];
	int n, i, r;

	while ((n = call->next(call, items, BATCH)) > 0) {
		for (i = 0; i < n; i++) {
			r = ipk_channel_send(ch, items[i].data, items[i].len,
					     ipk_call_deadline(call));
			if (r < 0)
				return refused(call, ch, r);
			call->done++;
		}
	}
	return n;
}

/* ---- receiving ----------------------------------------------------------------------- */

/* A buffer that has grown to the longest value so far. */
struct room {
	char *data;
	size_t size;
};

static int grow(struct room *room, size_t size)
{
	char *more = realloc(room->data, size ? size : 1);

	if (!more)
		return -ENOMEM;
	room->data = more;
	room->size = size;
	return 0;
}

/* One select, again where a value did not fit: it is still there, or somebody else's by now. */
static int receive(struct ipk_channel_case *cases, struct room *rooms, unsigned n,
		   unsigned *ret_which, i64 deadline)
{
	int r;

	do {
		for (unsigned i = 0; i < n; i++) {
			if (cases[i].send)
				continue;
			r = rooms[i].data
				    ? 0
				    : grow(&rooms[i],
					   cases[i].channel->size ? cases[i].channel->size : ROOM);
			if (r < 0)
				return r;
			cases[i].buf = rooms[i].data;
			cases[i].size = rooms[i].size;
		}
		r = ipk_channel_select(cases, n, ret_which, deadline);
		if (r == -EMSGSIZE && !cases[*ret_which].send)
			r = grow(&rooms[*ret_which], cases[*ret_which].ret_len) < 0 ? -ENOMEM : 1;
	} while (r == 1);
	return r;
}

/* Gives out what was received; what cannot be delivered goes back. */
static int deliver(struct ipk_call *call, const struct ipk_channel_case *c, const char *ref)
{
	struct ipk_item item = {.ref = ref};
	int r;

	item.data = c->send ? c->value : c->buf;
	item.len = c->send ? c->len : c->ret_len;
	item.pos = c->ret_pos;
	r = call->emit(call, &item);
	if (!r)
		r = call->flush(call);
	if (r < 0 && !c->send)
		ipk_channel_unrecv(c->channel, c->buf, c->ret_len, c->ret_pos);
	else if (!r)
		call->done++;
	return r;
}

static int run_recv(struct ipk_call *call)
{
	struct ipk_channel_case c = {.channel = call->handle};
	u64 want = call->count ? call->count : 1;
	struct room room = {0};
	unsigned which;
	int r = 0;

	while (!r && call->done < want) {
		r = receive(&c, &room, 1, &which, ipk_call_deadline(call));
		if (r == -EAGAIN)
			ipk_error_set(&call->err, r,
				      c.channel->cap ? "empty" : "nobody waits to send");
		if (!r)
			r = deliver(call, &c, NULL);
	}
	free(room.data);
	return r;
}

static int run_close(struct ipk_call *call)
{
	return ipk_channel_shutdown(call->handle);
}

/* ---- choosing ------------------------------------------------------------------------ */

static const char *ref_of(const struct ipk_call *call, unsigned i)
{
	return call->choice ? call->choice[i].ref : NULL;
}

static int chosen(struct ipk_call *call, struct ipk_channel_case *cases, unsigned which, int r)
{
	switch (r) {
	case 0:
		return deliver(call, &cases[which], ref_of(call, which));
	case -EPIPE:
		return call->choice
			       ? ipk_error_set(&call->err, r, "%s is closed", ref_of(call, which))
			       : r;
	case -EAGAIN:
		return ipk_error_set(&call->err, r, "none of them can go on");
	case -EXDEV:
		return ipk_error_set(&call->err, -EINVAL, "all have to be in one segment");
	default:
		return r;
	}
}

static int run_select(struct ipk_call *call)
{
	struct ipk_channel_case cases[IPK_CHANNEL_CASES] = {{.channel = call->handle}};
	struct room rooms[IPK_CHANNEL_CASES] = {{0}};
	unsigned n = call->choice ? call->nchoices : 1, which = 0, i;
	int r;

	if (n > IPK_CHANNEL_CASES)
		return ipk_error_set(&call->err, -EINVAL, "at most %u can be chosen from",
				     IPK_CHANNEL_CASES);
	for (i = 0; call->choice && i < n; i++) {
		const struct ipk_choice *c = &call->choice[i];

		cases[i] = (struct ipk_channel_case){.channel = c->handle, .send = c->given};
		cases[i].value = c->value.data;
		cases[i].len = c->value.len;
	}
	r = receive(cases, rooms, n, &which, ipk_call_deadline(call));
	r = chosen(call, cases, which, r);
	for (i = 0; i < n; i++)
		free(rooms[i].data);
	return r;
}

const struct ipk_op ipk_channel_ops[] = {
	{.name = "send",
	 .summary = "send values, waiting for room or, without a buffer, for a receiver",
	 .example = "ipcctl send S/x one two three",
	 .flags = IPK_OP_WRITE | IPK_OP_BLOCK | IPK_OP_IN,
	 .run = run_send},
	{.name = "recv",
	 .summary = "receive values and print them, waiting for them",
	 .example = "ipcctl send S/x one two; ipcctl recv S/x -n 2",
	 .flags = IPK_OP_WRITE | IPK_OP_CONSUME | IPK_OP_BLOCK | IPK_OP_OUT | IPK_OP_COUNT,
	 .run = run_recv},
	{.name = "select",
	 .summary = "receive from one of several channels, or send where =VALUE follows, "
		    "whichever can go on, and print which",
	 .example = "ipcctl new S/y channel; ipcctl send S/y hello; ipcctl select S/x S/y",
	 .flags = IPK_OP_WRITE | IPK_OP_CONSUME | IPK_OP_BLOCK | IPK_OP_OUT | IPK_OP_MANY,
	 .run = run_select},
	{.name = "close",
	 .summary = "let nothing more in; what is there can still be received",
	 .example = "ipcctl close S/x",
	 .flags = IPK_OP_WRITE,
	 .run = run_close},
	{.name = NULL},
};

/* ---- the descriptor ------------------------------------------------------------------ */

static const struct ipk_arg params[] = {
	{.name = "cap",
	 .type = IPK_ARG_U64,
	 .max = IPK_CHANNEL_CAP_MAX,
	 .value = "1024",
	 .help = "values in the buffer; 0: none, sender and receiver meet"},
	{.type = IPK_ARG_END},
};

static int channel_size(const struct ipk_new *n, uint64_t *ret_size, struct ipk_error *err)
{
	(void)n;
	(void)err;
	*ret_size = sizeof(struct ipk_channel_body);
	return 0;
}

static int channel_create(struct ipk_tx *tx, void *body, uint64_t body_off, const struct ipk_new *n)
{
	struct ipk_channel_body *b = body;

	(void)tx;
	(void)body_off;
	b->cap = n->param[0].u64;
	b->size = n->type->size;
	return 0;
}

IPK_ATTACH_DETACH(channel, ipk_channel_open(seg, name, NULL, &handle, err))

static int bench_rounds(void *handle, uint64_t n)
{
	u64 val = 0;
	int r = 0;

	while (n-- && !r) {
		r = ipk_channel_send(handle, &val, sizeof(val), IPK_NOWAIT);
		if (!r)
			r = ipk_channel_recv(handle, &val, sizeof(val), NULL, IPK_NOWAIT);
	}
	return r;
}

static int bench_send(void *handle, const void *data, size_t len, int64_t deadline)
{
	return ipk_channel_send(handle, data, len, deadline);
}

static int bench_recv(void *handle, void *buf, size_t size, int64_t deadline)
{
	return ipk_channel_recv(handle, buf, size, NULL, deadline);
}

static const struct ipk_bench bench = {
	.round = "send + recv",
	.rounds = bench_rounds,
	.elements = true,
	.capacity = true,
	.send = bench_send,
	.recv = bench_recv,
};

const struct ipk_kind ipk_kind_channel = {
	.id = 18,
	.version = 1,
	.name = "channel",
	.summary = "values from senders to receivers, with a buffer or hand to hand, and select",
	.text = "A channel passes values from any number of senders to any number of receivers. "
		"With --cap N it holds up to N of them; with --cap 0 sender and receiver meet: "
		"send returns when its value was received. select waits for several channels and "
		"does one thing on one of them: receives, or sends where the REF is followed by "
		"=VALUE. What a dead process had offered is withdrawn; each value is received "
		"once, and what a receiver had when it died is gone with it. close lets nothing "
		"more in: receivers get what is there, and then the end, which a select takes "
		"for something that can go on. A channel takes memory for what is in it, "
		"whatever its cap.",
	.type = "str",
	.flags = IPK_KIND_INDEXED | IPK_KIND_PUSH,
	.params = params,
	.ops = ipk_channel_ops,
	.stats = ipk_channel_stat_names,
	.size = channel_size,
	.create = channel_create,
	.attach = channel_attach,
	.detach = channel_detach,
	.attachable = ipk_channel_attachable,
	.destroy = ipk_channel_destroy,
	.recover = ipk_channel_recover,
	.wake = ipk_channel_wake,
	.inspect = ipk_channel_inspect,
	.stats_visit = ipk_channel_stats,
	.items = ipk_channel_items,
	.item = ipk_channel_item,
	.holders = ipk_channel_holders,
	.check = ipk_channel_check,
	.repair = ipk_channel_repair,
	.bench = &bench,
};
