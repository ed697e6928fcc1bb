/* SPDX-License-Identifier: MIT */
/* Queues for tools: the descriptor and the verbs. Reading without trust is in queue_view.c. */
#include "kinds/await.h"
#include "kinds/hooks.h"
#include "kinds/queue.h"
#include "kinds/queue_view.h"

#define BATCH 256
#define BATCH_BYTES (UINT64_C(1) << 18)

/* ---- creation --------------------------------------------------------------------------------- */

static const struct ipk_arg params[] = {
	{.name = "cap",
	 .type = IPK_ARG_U64,
	 .min = 1,
	 .max = IPK_QUEUE_CAP_MAX,
	 .value = "1024",
	 .help = "number of items it holds"},
	{.type = IPK_ARG_END},
};

static int queue_size(const struct ipk_new *n, uint64_t *ret_size, struct ipk_error *err)
{
	struct ipk_queue_body body;
	u64 bytes = ipk_queue_layout(n->param[0].u64, n->type->size, &body);

	if (!bytes)
		return ipk_error_set(err, -ENOSPC,
				     "%llu items of %u bytes are more than any segment can hold",
				     (unsigned long long)n->param[0].u64, n->type->size);
	*ret_size = bytes;
	return 0;
}

static int queue_create(struct ipk_tx *tx, void *body, uint64_t body_off, const struct ipk_new *n)
{
	(void)tx, (void)body_off;
	/* The rest is zero: all slots {0,FREE}. */
	ipk_queue_layout(n->param[0].u64, n->type->size, body);
	return 0;
}

IPK_ATTACH_DETACH(queue, ipk_queue_open(seg, name, NULL, &handle, err))

/* ---- verbs ------------------------------------------------------------------------------------ */

static int run_push(struct ipk_call *call)
{
	struct ipk_queue *q = call->handle;
	struct ipk_item items[BATCH];
	struct iovec values[BATCH];
	int n, i, r;

	while ((n = call->next(call, items, BATCH)) > 0) {
		for (i = 0; i < n; i++)
			values[i] = (struct iovec){(void *)items[i].data, items[i].len};
		for (i = 0; i < n; i += r) {
			r = ipk_queue_push_many(q, values + i, (unsigned)(n - i), ipk_call_deadline(call));
			if (r < 0)
				return ipk_call_refused(call, r, "full");
			call->done += (u64)r;
		}
	}
	return n;
}

/* Waits for one item, then takes what else is there, within reason. */
static int gather(struct ipk_call *call, struct ipk_queue_lease *leases, unsigned max)
{
	struct ipk_queue *q = call->handle;
	int r = ipk_queue_lease(q, leases, ipk_call_deadline(call));
	u64 bytes;
	unsigned n;

	if (r < 0)
		return r;
	bytes = leases[0].len;
	for (n = 1; n < max && bytes < BATCH_BYTES; n++) {
		if (ipk_queue_lease(q, &leases[n], IPK_NOWAIT) < 0)
			break;
		bytes += leases[n].len;
	}
	return (int)n;
}

/* Gives the items out; what was not delivered goes back, marked. */
static int deliver(struct ipk_call *call, struct ipk_queue_lease *leases, unsigned n)
{
	struct ipk_queue *q = call->handle;
	int r = 0;

	for (unsigned i = 0; i < n && r >= 0; i++) {
		struct ipk_item item = {
			.data = leases[i].data,
			.len = leases[i].len,
			.pos = leases[i].pos,
			.redelivered = leases[i].redelivered,
		};

		r = call->emit(call, &item);
	}
	if (r >= 0)
		r = call->flush(call);
	if (r < 0) {
		for (unsigned i = 0; i < n; i++)
			ipk_queue_nack(q, &leases[i]);
		return r;
	}
	ipk_queue_ack_many(q, leases, n);
	call->done += n;
	return 0;
}

static int run_pop(struct ipk_call *call)
{
	struct ipk_queue_lease leases[BATCH];
	u64 want = call->count ? call->count : 1, left;

	while (call->done < want) {
		int r;

		left = want - call->done;
		r = gather(call, leases, left < BATCH ? (unsigned)left : BATCH);
		if (r < 0)
			return ipk_call_refused(call, r, "empty");
		r = deliver(call, leases, (unsigned)r);
		if (r < 0)
			return r;
	}
	return 0;
}

/* One at a time: what flush does with it, running a command, decides about each. */
static int run_lease(struct ipk_call *call)
{
	u64 want = call->count ? call->count : 1;

	while (call->done < want) {
		struct ipk_queue_lease lease;
		int r = ipk_queue_lease(call->handle, &lease, ipk_call_deadline(call));

		if (r < 0)
			return ipk_call_refused(call, r, "empty");
		r = deliver(call, &lease, 1);
		if (r < 0)
			return r;
	}
	return 0;
}

static int run_close(struct ipk_call *call)
{
	return ipk_queue_shutdown(call->handle);
}

const struct ipk_op ipk_queue_ops[] = {
	{.name = "push",
	 .summary = "append values, waiting for room",
	 .example = "ipcctl push S/x one two three",
	 .flags = IPK_OP_WRITE | IPK_OP_BLOCK | IPK_OP_IN,
	 .run = run_push},
	{.name = "pop",
	 .summary = "take the oldest items and print them, waiting for them",
	 .example = "ipcctl push S/x one two; ipcctl pop S/x -n 2",
	 .flags = IPK_OP_WRITE | IPK_OP_CONSUME | IPK_OP_BLOCK | IPK_OP_OUT | IPK_OP_COUNT,
	 .run = run_pop},
	{.name = "lease",
	 .summary = "run a command on the oldest item; it is gone when the command succeeds",
	 .example = "ipcctl push S/x one; ipcctl lease S/x -- cat",
	 .flags = IPK_OP_CONSUME | IPK_OP_BLOCK | IPK_OP_OUT | IPK_OP_COUNT | IPK_OP_CMD,
	 .run = run_lease},
	{.name = "close",
	 .summary = "let nothing more in; what is there can still be taken",
	 .example = "ipcctl close S/x",
	 .flags = IPK_OP_WRITE,
	 .run = run_close},
	{.name = NULL},
};

/* ---- how it is measured -------------------------------------------------------------------------- */

static int bench_rounds(void *handle, uint64_t n)
{
	u64 val[8] = {0};
	size_t size = ipk_queue_element_size(handle);
	int r = 0;

	if (size > sizeof(val))
		return -EMSGSIZE;
	while (n-- && !r) {
		r = ipk_queue_push(handle, val, size, IPK_NOWAIT);
		if (!r)
			r = ipk_queue_pop(handle, val, sizeof(val), NULL, IPK_NOWAIT);
	}
	return r;
}

static int bench_send(void *handle, const void *data, size_t len, int64_t deadline)
{
	return ipk_queue_push(handle, data, len, deadline);
}

static int bench_recv(void *handle, void *buf, size_t size, int64_t deadline)
{
	return ipk_queue_pop(handle, buf, size, NULL, deadline);
}

static int bench_send_many(void *handle, const void *data, size_t len, unsigned n, int64_t deadline)
{
	struct iovec values[BATCH];

	if (n > BATCH)
		n = BATCH;
	for (unsigned i = 0; i < n; i++)
		values[i] = (struct iovec){(u8 *)data + i * ipk_align_up(len, 8), len};
	return ipk_queue_push_many(handle, values, n, deadline);
}

static int bench_recv_many(void *handle, void *buf, size_t len, unsigned n, int64_t deadline)
{
	struct ipk_queue_item items[BATCH];

	if (n > BATCH)
		n = BATCH;
	return ipk_queue_pop_many(handle, buf, n * ipk_align_up(len, 8), items, n, deadline);
}

static const struct ipk_bench bench = {
	.round = "push + pop",
	.rounds = bench_rounds,
	.elements = true,
	.capacity = true,
	.send = bench_send,
	.recv = bench_recv,
	.send_many = bench_send_many,
	.recv_many = bench_recv_many,
};

/* ---- the descriptor ---------------------------------------------------------------------------- */

const struct ipk_kind ipk_kind_queue = {
	.id = 2,
	.version = IPK_QUEUE_VERSION,
	.name = "queue",
	.summary = "first in, first out, for any number of producers and consumers",
	.text = "A bounded queue of values. push appends and waits while it is full; pop takes the "
		"oldest value, prints it and then acknowledges it; lease hands it to a command and "
		"acknowledges it when that succeeds. What was taken and not acknowledged when its "
		"consumer died, or was given back, is delivered again before younger values, marked as "
		"redelivered. A producer that dies leaves its value wholly or not at all. A leased value "
		"counts as used and does not hold up the others. close lets nothing more in: consumers "
		"get what is there, what is leased and comes back included, and then the end. Values of "
		"a variable type (str, bytes, json) may have any length that fits the segment.",
	.type = "str",
	.flags = IPK_KIND_INDEXED | IPK_KIND_PUSH,
	.params = params,
	.ops = ipk_queue_ops,
	.stats = ipk_queue_stat_names,
	.size = queue_size,
	.create = queue_create,
	.attach = queue_attach,
	.detach = queue_detach,
	.attachable = ipk_queue_attachable,
	.destroy = ipk_queue_destroy,
	.recover = ipk_queue_recover,
	.wake = ipk_queue_wake,
	.inspect = ipk_queue_inspect,
	.stats_visit = ipk_queue_stats,
	.items = ipk_queue_items,
	.item = ipk_queue_item,
	.holders = ipk_queue_holders,
	.check = ipk_queue_check,
	.repair = ipk_queue_repair,
	.bench = &bench,
};
