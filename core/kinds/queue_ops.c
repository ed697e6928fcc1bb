/* SPDX-License-Identifier: MIT */
/* Queues for tools: the descriptor and the verbs. Reading without trust is in queue_view.c. */
#include "kinds/hooks.h"
#include "kinds/queue.h"
#include "kinds/queue_view.h"

/* ---- creation -------------------------------------------------------------------------------- */

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

/* ---- verbs ----------------------------------------------------------------------------------- */

/* The oldest first: a consumer that waits gets it. */
static void put_back(struct ipk_queue *q, struct ipk_queue_lease *leases, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		ipk_queue_nack(q, &leases[i]);
}

#define IPK_LEASED queue
#include "kinds/lease_verbs.h"

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

/* ---- how it is measured ---------------------------------------------------------------------- */

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

/* ---- the descriptor -------------------------------------------------------------------------- */

const struct ipk_kind ipk_kind_queue = {
	.id = 2,
	.version = IPK_QUEUE_VERSION,
	.name = "queue",
	.summary = "first in, first out, for any number of producers and consumers",
	.text = "A bounded queue of values. push appends and waits while it is full; pop takes "
		"the oldest value, prints it and then acknowledges it; lease hands it to a "
		"command and acknowledges it when that succeeds. What was taken and not "
		"acknowledged when its consumer died, or was given back, is delivered again "
		"before younger values, marked as redelivered. A producer that dies leaves its "
		"value wholly or not at all. A leased value counts as used and does not hold up "
		"the others. close lets nothing more in: consumers get what is there, what is "
		"leased and comes back included, and then the end. Values of a variable type "
		"(str, bytes, json) may have any length that fits the segment.",
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
