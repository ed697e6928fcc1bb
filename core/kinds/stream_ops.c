/* SPDX-License-Identifier: MIT */
/* The verbs of streams. */
#include <stdlib.h>

#include "kinds/await.h"
#include "kinds/stream.h"

#define BATCH 256

static int refused(struct ipk_call *call, int r, const char *state)
{
	struct ipk_stream *st = call->handle;

	if (r == -EMSGSIZE)
		return ipk_error_set(&call->err, r,
				     "a record is longer than all that the stream retains, %llu bytes",
				     (unsigned long long)st->s.spare);
	return ipk_call_refused(call, r, state);
}

static int run_emit(struct ipk_call *call)
{
	struct ipk_item items[BATCH];
	struct iovec values[BATCH];
	int n, i, r;

	while ((n = call->next(call, items, BATCH)) > 0) {
		for (i = 0; i < n; i++)
			values[i] = (struct iovec){(void *)items[i].data, items[i].len};
		for (i = 0; i < n; i += r) {
			r = ipk_stream_emit_many(call->handle, values + i, (unsigned)(n - i),
						 ipk_call_deadline(call));
			if (r < 0)
				return refused(call, r, "a named subscriber has not read what would be dropped");
			call->done += (u64)r;
		}
	}
	return n;
}

struct reader {
	struct ipk_stream_sub *sub;
	u8 *buf;
	size_t room;
	u64 lost;
};

/* The next record; the buffer grows to what it needs. */
static int read_next(struct reader *rd, struct ipk_stream_item *item, i64 deadline)
{
	int r;

	while ((r = ipk_stream_next(rd->sub, rd->buf, rd->room, item, deadline)) == -EMSGSIZE) {
		u8 *more = realloc(rd->buf, item->len);

		if (!more)
			return -ENOMEM;
		rd->buf = more;
		rd->room = item->len;
	}
	return r;
}

/* Prints what is there, waiting for the first; acknowledges it once it was written. */
static int print_some(struct ipk_call *call, struct reader *rd, u64 want)
{
	struct ipk_stream_item item;
	int r = read_next(rd, &item, ipk_call_deadline(call)), n = 0;

	if (r < 0)
		return refused(call, r, "nothing new");
	do {
		const struct ipk_item out = {.data = rd->buf, .len = item.len, .pos = item.pos, .time = item.time};

		rd->lost += item.lost;
		r = call->emit(call, &out);
		n++;
	} while (r >= 0 && n < BATCH && (u64)n < want && read_next(rd, &item, IPK_NOWAIT) == 0);
	if (r >= 0)
		r = call->flush(call);
	if (r < 0)
		return r;
	call->done += (u64)n;
	return ipk_stream_ack(rd->sub);
}

static int run_sub(struct ipk_call *call)
{
	const char *name = call->arg[0].set ? call->arg[0].text : NULL;
	u64 want = call->count ? call->count : UINT64_MAX;
	u64 back = call->arg[1].set ? IPK_STREAM_FROM_START : call->arg[3].set ? call->arg[3].u64 : 0;
	struct reader rd = {.room = 4096};
	int r;

	rd.buf = malloc(rd.room);
	if (!rd.buf)
		return -ENOMEM;
	r = ipk_stream_subscribe(call->handle, name, back, &rd.sub, &call->err);
	if (r == 0) {
		if (call->place && *call->place != UINT64_MAX)
			ipk_stream_seek(rd.sub, *call->place);
		while (r == 0 && call->done < want) {
			if (call->place)
				*call->place = ipk_stream_position(rd.sub);
			r = print_some(call, &rd, want - call->done);
		}
		if (r == 0 && call->place)
			*call->place = ipk_stream_position(rd.sub);
		ipk_stream_unsubscribe(rd.sub);
	}
	free(rd.buf);
	/* Who did not say how many wanted all there is. */
	return !call->count && (r == -EPIPE || (r == -EAGAIN && call->done)) ? 0 : r;
}

static int run_forget(struct ipk_call *call)
{
	int r = ipk_stream_forget(call->handle, call->arg[0].text);

	if (r == -ENOENT)
		return ipk_error_set(&call->err, r, "no subscriber is called \"%s\"", call->arg[0].text);
	return r == -EBUSY ? ipk_error_set(&call->err, r, "a living process is subscribed as \"%s\"",
					   call->arg[0].text)
			   : r;
}

static int run_close(struct ipk_call *call)
{
	return ipk_stream_shutdown(call->handle);
}

static const struct ipk_arg sub_args[] = {
	{.name = "name", .type = IPK_ARG_TEXT, .help = "go on where this subscriber was, and keep its place"},
	{.name = "from-start", .type = IPK_ARG_FLAG, .help = "begin with the oldest record"},
	{.name = "timestamps", .type = IPK_ARG_FLAG, .help = "each with the time when it came in"},
	{.name = "history", .type = IPK_ARG_U64, .help = "begin with the last N records"},
	{.type = IPK_ARG_END},
};

static const struct ipk_arg forget_args[] = {
	{.name = "name", .type = IPK_ARG_TEXT, .positional = true, .help = "a subscriber"},
	{.type = IPK_ARG_END},
};

const struct ipk_op ipk_stream_ops[] = {
	{.name = "emit",
	 .summary = "append records",
	 .example = "ipcctl emit S/x one two",
	 .flags = IPK_OP_WRITE | IPK_OP_BLOCK | IPK_OP_IN,
	 .run = run_emit},
	{.name = "push",
	 .summary = "append records",
	 .example = "ipcctl push S/x one two",
	 .flags = IPK_OP_WRITE | IPK_OP_BLOCK | IPK_OP_IN,
	 .run = run_emit},
	{.name = "sub",
	 .summary = "print records as they come, until the stream is closed",
	 .example = "ipcctl emit S/x one two; ipcctl sub S/x --from-start -n 2",
	 .flags = IPK_OP_BLOCK | IPK_OP_OUT | IPK_OP_COUNT | IPK_OP_TRY_WRITE | IPK_OP_PLACE,
	 .args = sub_args,
	 .run = run_sub},
	{.name = "forget",
	 .summary = "forget a named subscriber and its place",
	 .example = "ipcctl emit S/x one; ipcctl sub S/x --name me --from-start -n 1; ipcctl forget S/x me",
	 .flags = IPK_OP_WRITE,
	 .args = forget_args,
	 .run = run_forget},
	{.name = "close",
	 .summary = "let nothing more in; what is there can still be read",
	 .example = "ipcctl close S/x",
	 .flags = IPK_OP_WRITE,
	 .run = run_close},
	{.name = NULL},
};
