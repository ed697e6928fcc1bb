/* SPDX-License-Identifier: MIT */
/* The verbs of futures, and the descriptor. */
#include <stdlib.h>

#include "kinds/await.h"
#include "kinds/future.h"
#include "kinds/hooks.h"

/* ---- in ------------------------------------------------------------------------------ */

static int explain(struct ipk_call *call, int r)
{
	switch (r) {
	case -EEXIST:
		return ipk_error_set(&call->err, r,
				     "it is completed already; to begin anew: ipcctl reset");
	case -EBUSY:
		return ipk_error_set(&call->err, r, "another process has claimed it");
	case -EOWNERDEAD:
		return ipk_error_set(
			&call->err, r,
			"it is broken: who had claimed it ended without setting it; to "
			"begin anew: ipcctl reset");
	default:
		return r;
	}
}

static int run_set(struct ipk_call *call)
{
	struct ipk_future *f = call->handle;
	struct ipk_buf value = {0};
	int r = ipk_call_one_value(call, &value);

	if (r > 0) { /* 0: what was loaded had none */
		r = explain(call,
			    ipk_future_complete(f, IPK_FUT_SET, value.data, value.len, &call->err));
		call->done = !r;
	}
	ipk_buf_free(&value);
	return r;
}

static int run_fail(struct ipk_call *call)
{
	int r;

	if (call->arg[0].len > IPK_FUTURE_TEXT_MAX)
		return -EMSGSIZE;
	r = explain(call, ipk_future_complete(call->handle, IPK_FUT_FAILED, call->arg[0].text,
					      call->arg[0].len, &call->err));
	call->done = !r;
	return r;
}

static int run_claim(struct ipk_call *call)
{
	int r = explain(call, ipk_future_hold(call->handle, &call->hold_fd));

	call->done = !r;
	return r;
}

static int run_reset(struct ipk_call *call)
{
	int r = explain(call, ipk_future_reset(call->handle));

	call->done = !r;
	return r;
}

/* ---- out ----------------------------------------------------------------------------- */

/* The reason of a failure is the error's text. */
static int failed(struct ipk_call *call)
{
	char text[sizeof(call->err.text)];
	size_t len = 0;
	int r = ipk_future_error(call->handle, text, sizeof(text), &len);
	char *all = NULL;

	if (r == -EMSGSIZE) {
		all = malloc(len);
		if (!all)
			return -ENOMEM;
		r = ipk_future_error(call->handle, all, len, &len);
	}
	if (!r)
		r = ipk_error_set(&call->err, -EREMOTEIO, "%.*s",
				  (int)(len < sizeof(text) ? len : sizeof(text)), all ? all : text);
	free(all);
	return r == -ENOENT || r == -EMSGSIZE ? -EAGAIN : r; /* it was reset since */
}

static int not_set(struct ipk_call *call, int r)
{
	if (r == -EAGAIN)
		return ipk_error_set(&call->err, r, "it is not set yet");
	if (r == -EREMOTEIO)
		return failed(call);
	return explain(call, r);
}

static int get(struct ipk_call *call, void *buf, size_t size, size_t *ret_len)
{
	return ipk_future_get(call->handle, buf, size, ret_len);
}

static int run_get(struct ipk_call *call)
{
	int error = 0, r = ipk_word_give(call, get, &error);

	return error ? not_set(call, error) : r;
}

static int run_wait(struct ipk_call *call)
{
	int r = ipk_future_await(call->handle, ipk_call_deadline(call));

	return r ? not_set(call, r) : 0;
}

static int run_await(struct ipk_call *call)
{
	i64 deadline = ipk_call_deadline(call);
	int r;

	do {
		r = ipk_future_await(call->handle, deadline);
		if (r)
			return not_set(call, r);
		r = run_get(call);
	} while (r == -EAGAIN && deadline != IPK_NOWAIT); /* it was reset since */
	return r;
}

/* ---- continuations -------------------------------------------------------------------------- */

static int run_then(struct ipk_call *call)
{
	int r = ipk_future_then(call->handle, call->arg[0].text, call->arg[0].len);

	call->done = !r;
	if (r == -EDQUOT)
		ipk_error_set(&call->err, r, "it has as many continuations as it can have");
	return r;
}

/* What flush does with it, running a command, decides whether it is done. */
static int run_lease(struct ipk_call *call)
{
	u64 want = call->count ? call->count : 1;
	struct ipk_future_next next;
	int r;

	while (call->done < want) {
		struct ipk_item item = {.text = true};

		r = ipk_future_next(call->handle, &next, ipk_call_deadline(call));
		if (r == -EAGAIN)
			ipk_error_set(&call->err, r, "there is nothing to be done");
		if (r < 0)
			return r;
		item.data = next.text;
		item.len = next.len;
		item.redelivered =
			next.redelivered > UINT32_MAX ? UINT32_MAX : (u32)next.redelivered;
		r = call->emit(call, &item);
		if (!r)
			r = call->flush(call);
		if (r < 0) {
			ipk_future_again(call->handle, &next);
			return r;
		}
		r = ipk_future_done(call->handle, &next);
		if (r < 0)
			return r;
		call->done++;
	}
	return 0;
}

/* ---- tables --------------------------------------------------------------------------------- */

static const struct ipk_arg fail_args[] = {
	{.name = "text", .type = IPK_ARG_TEXT, .help = "the reason", .positional = true},
	{.type = IPK_ARG_END},
};

static const struct ipk_arg then_args[] = {
	{.name = "text",
	 .type = IPK_ARG_TEXT,
	 .help = "what is to be done: a name, or a command",
	 .positional = true},
	{.type = IPK_ARG_END},
};

const struct ipk_op ipk_future_ops[] = {
	{.name = "set",
	 .summary = "complete it with a value",
	 .example = "ipcctl set S/x done",
	 .flags = IPK_OP_WRITE | IPK_OP_IN,
	 .run = run_set},
	{.name = "fail",
	 .summary = "complete it with a reason why there will be no value",
	 .example = "ipcctl fail S/x 'no such host'",
	 .flags = IPK_OP_WRITE,
	 .args = fail_args,
	 .run = run_fail},
	{.name = "get",
	 .summary =
		 "print the value; exit 5 when it is not set yet, 1 when it failed, 9 when broken",
	 .example = "ipcctl set S/x done; ipcctl get S/x",
	 .flags = IPK_OP_OUT,
	 .run = run_get},
	{.name = "await",
	 .summary = "wait until it is completed, and print the value as get does",
	 .example = "ipcctl set S/x done; ipcctl await S/x -t 1s",
	 .flags = IPK_OP_BLOCK | IPK_OP_OUT,
	 .run = run_await},
	{.name = "wait",
	 .summary = "wait until it is completed, and print nothing",
	 .example = "ipcctl set S/x done; ipcctl wait S/x",
	 .flags = IPK_OP_BLOCK,
	 .run = run_wait},
	{.name = "claim",
	 .summary =
		 "promise it for a command; when that and what it started end, it is set or broken",
	 .example = "ipcctl claim S/x -- ipcctl set S/x done",
	 .flags = IPK_OP_WRITE | IPK_OP_CMD,
	 .run = run_claim},
	{.name = "then",
	 .summary = "leave a text that says what is to be done when it is completed",
	 .example = "ipcctl then S/x 'echo it is there'",
	 .flags = IPK_OP_WRITE,
	 .args = then_args,
	 .run = run_then},
	{.name = "lease",
	 .summary =
		 "when it is completed, run a command on the oldest text that was left; it is gone "
		 "when the command succeeds",
	 .example = "ipcctl then S/x 'ipcctl get S/x'; ipcctl set S/x done; ipcctl lease S/x -- sh",
	 .flags = IPK_OP_WRITE | IPK_OP_CONSUME | IPK_OP_BLOCK | IPK_OP_OUT | IPK_OP_COUNT |
		  IPK_OP_CMD,
	 .run = run_lease},
	{.name = "reset",
	 .summary = "make it pending again, without its value",
	 .example = "ipcctl set S/x done; ipcctl reset S/x",
	 .flags = IPK_OP_WRITE,
	 .run = run_reset},
	{.name = NULL},
};

/* ---- the descriptor ------------------------------------------------------------------------- */

static const struct ipk_arg params[] = {{.type = IPK_ARG_END}};

static int future_size(const struct ipk_new *n, uint64_t *ret_size, struct ipk_error *err)
{
	(void)n;
	(void)err;
	*ret_size = sizeof(struct ipk_future_body);
	return 0;
}

static int future_create(struct ipk_tx *tx, void *body, uint64_t body_off, const struct ipk_new *n)
{
	(void)tx;
	(void)body_off;
	((struct ipk_future_body *)body)->size = n->type->size;
	return 0;
}

IPK_ATTACH_DETACH(future, ipk_future_open(seg, name, NULL, &handle, err))

/* ---- how it is measured -------------------------------------------------------------- */

static int bench_rounds(void *handle, uint64_t n)
{
	size_t size = ((struct ipk_future *)handle)->size;
	u64 val[8] = {0};
	int r = 0;

	if (size > sizeof(val))
		return -EMSGSIZE;
	while (n-- && !r) {
		r = ipk_future_set(handle, val, size);
		if (!r)
			r = ipk_future_get(handle, val, sizeof(val), NULL);
		if (!r)
			r = ipk_future_reset(handle);
	}
	return r;
}

static const struct ipk_bench bench = {
	.round = "set + get + reset", .rounds = bench_rounds, .elements = true};

static const struct ipk_next next[] = {
	{"state", "set", "get REF"},
	{"state", "failed", "reset REF"},
	{"state", "broken", "reset REF"},
	{NULL, NULL, "set REF VALUE"},
};

const struct ipk_kind ipk_kind_future = {
	.id = 15,
	.version = 1,
	.name = "future",
	.summary = "one value that will be there some day, or the reason why not",
	.text = "A future is pending until somebody sets it, once, to a value of any type, or "
		"fails it with a reason; all who wait for it are told. A process, or a command "
		"(claim REF -- CMD), may claim it: then it alone completes it, and when it ends "
		"or dies without having done so, the future is broken, and nobody waits for "
		"ever. Texts that were left with then are given to workers (lease REF -- CMD) "
		"when it is completed, each to one at a time, oldest first; what a worker had "
		"when it died goes to another. reset begins anew; texts that are not done stay "
		"for the next time.",
	.type = "str",
	.flags = IPK_KIND_VALUE,
	.params = params,
	.ops = ipk_future_ops,
	.stats = ipk_future_stat_names,
	.next = next,
	.size = future_size,
	.create = future_create,
	.attach = future_attach,
	.detach = future_detach,
	.attachable = ipk_future_attachable,
	.destroy = ipk_future_destroy,
	.recover = ipk_future_recover,
	.wake = ipk_future_wake,
	.inspect = ipk_future_inspect,
	.stats_visit = ipk_future_stats,
	.items = ipk_future_items,
	.value = ipk_future_value,
	.holders = ipk_future_holders,
	.check = ipk_future_check,
	.repair = ipk_future_repair,
	.bench = &bench,
};
