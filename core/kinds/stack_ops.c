/* SPDX-License-Identifier: MIT */
/* Stacks for tools: the descriptor and the verbs. Reading without trust is in stack_view.c. */
#include "kinds/hooks.h"
#include "kinds/stack_view.h"

/* ---- creation ------------------------------------------------------------------------------- */

static const struct ipk_arg params[] = {
	{.name = "cap",
	 .type = IPK_ARG_U64,
	 .min = 1,
	 .max = IPK_STACK_CAP_MAX,
	 .value = "1024",
	 .help = "number of items it holds"},
	{.type = IPK_ARG_END},
};

static int stack_size(const struct ipk_new *n, uint64_t *ret_size, struct ipk_error *err)
{
	struct ipk_stack_body body;
	u64 bytes = ipk_stack_layout(n->param[0].u64, n->type->size, &body);

	if (!bytes)
		return ipk_error_set(err, -ENOSPC,
				     "%llu items of %u bytes are more than any segment can hold",
				     (unsigned long long)n->param[0].u64, n->type->size);
	*ret_size = bytes;
	return 0;
}

static int stack_create(struct ipk_tx *tx, void *body, uint64_t body_off, const struct ipk_new *n)
{
	struct ipk_stack_body *b = body;

	(void)tx, (void)body_off;
	ipk_stack_layout(n->param[0].u64, n->type->size, b);
	for (u64 i = 0; i < b->cap; i++)
		b->order[i] = (u32)i;
	return 0;
}

IPK_ATTACH_DETACH(stack, ipk_stack_open(seg, name, NULL, &handle, err))

/* ---- verbs ---------------------------------------------------------------------------------- */

/* The last that was taken first: they lie as before. */
static void put_back(struct ipk_stack *s, struct ipk_stack_lease *leases, unsigned n)
{
	while (n--)
		ipk_stack_nack(s, &leases[n]);
}

#define IPK_LEASED stack
#include "kinds/lease_verbs.h"

const struct ipk_op ipk_stack_ops[] = {
	{.name = "push",
	 .summary = "put values on top, waiting for room",
	 .example = "ipcctl push S/x one two three",
	 .flags = IPK_OP_WRITE | IPK_OP_BLOCK | IPK_OP_IN,
	 .run = run_push},
	{.name = "pop",
	 .summary = "take the newest items and print them, waiting for them",
	 .example = "ipcctl push S/x one two; ipcctl pop S/x -n 2",
	 .flags = IPK_OP_WRITE | IPK_OP_CONSUME | IPK_OP_BLOCK | IPK_OP_OUT | IPK_OP_COUNT,
	 .run = run_pop},
	{.name = "lease",
	 .summary = "run a command on the newest item; it is gone when the command succeeds",
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

/* ---- measuring ------------------------------------------------------------------------------ */

static const struct ipk_bench bench = {
	.round = "push + pop",
	.rounds = bench_rounds,
	.elements = true,
	.capacity = true,
	.send = bench_send,
	.recv = bench_recv,
};

/* ---- the descriptor ------------------------------------------------------------------------- */

const struct ipk_kind ipk_kind_stack = {
	.id = 10,
	.version = IPK_STACK_VERSION,
	.name = "stack",
	.summary = "last in, first out, for any number of producers and consumers",
	.text = "A bounded stack of values. push puts a value on top and waits while it is full; "
		"pop takes the newest value, prints it and then acknowledges it; lease hands it "
		"to a command and acknowledges it when that succeeds. What was taken and not "
		"acknowledged when its consumer died, or was given back, is on top again, marked "
		"as redelivered. A producer that dies leaves its value wholly or not at all. "
		"Positions count from the bottom; a leased value counts as used, and is listed "
		"above the top, where it would come back to. close lets nothing more in: "
		"consumers get what is there, what is leased and comes back included, and then "
		"the end. Values of a variable type (str, bytes, json) may have any length that "
		"fits the segment.",
	.type = "str",
	.flags = IPK_KIND_INDEXED | IPK_KIND_PUSH,
	.params = params,
	.ops = ipk_stack_ops,
	.stats = ipk_stack_stat_names,
	.size = stack_size,
	.create = stack_create,
	.attach = stack_attach,
	.detach = stack_detach,
	.attachable = ipk_stack_attachable,
	.destroy = ipk_stack_destroy,
	.recover = ipk_stack_recover,
	.wake = ipk_stack_wake,
	.inspect = ipk_stack_inspect,
	.stats_visit = ipk_stack_stats,
	.items = ipk_stack_items,
	.item = ipk_stack_item,
	.peek = ipk_stack_peek_view,
	.holders = ipk_stack_holders,
	.check = ipk_stack_check,
	.repair = ipk_stack_repair,
	.bench = &bench,
};
