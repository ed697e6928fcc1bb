/* SPDX-License-Identifier: MIT */
/* The verbs of lazy values, and the descriptor. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kinds/await.h"
#include "kinds/hooks.h"
#include "kinds/lazy.h"

/* ---- out ----------------------------------------------------------------------------- */

/* The reason of a failure is the error's text. */
static int failed(struct ipk_call *call)
{
	char *text = NULL, *more;
	size_t size = 0, len = 0;
	int r;

	while ((r = ipk_lazy_error(call->handle, text, size, &len)) == -EMSGSIZE) {
		more = realloc(text, len);
		if (!more) {
			r = -ENOMEM;
			break;
		}
		text = more;
		size = len;
	}
	if (!r)
		r = ipk_error_set(&call->err, -EREMOTEIO, "%.*s", (int)len, text ? text : "");
	free(text);
	return r == -ENOENT ? -EAGAIN : r; /* it was reset since */
}

static int explain(struct ipk_call *call, int r)
{
	switch (r) {
	case -EREMOTEIO:
		return failed(call);
	case -EAGAIN:
		return ipk_error_set(&call->err, r, "%s",
				     ipk_lazy_state(call->handle) == IPK_LAZY_RUNNING
					     ? "it is being computed"
					     : "it is not computed yet; to do that: ipcctl force");
	case -EEXIST:
		return ipk_error_set(&call->err, r,
				     "it is computed already; to begin anew: ipcctl reset");
	case -EBUSY:
		return ipk_error_set(&call->err, r, "it is being computed");
	default:
		return r;
	}
}

/* Gives the value that read() copies, whose length is not known before. */
static int give(struct ipk_call *call,
		int (*read)(struct ipk_call *call, void *buf, size_t size, size_t *ret_len))
{
	struct ipk_item item = {.data = ""};
	char *buf = NULL, *more;
	size_t size = 0, len = 0;
	int r;

	while ((r = read(call, buf, size, &len)) == -EMSGSIZE && len > size) {
		more = realloc(buf, len);
		if (!more) {
			r = -ENOMEM;
			break;
		}
		buf = more;
		size = len;
	}
	if (!r) {
		if (len)
			item.data = buf;
		item.len = len;
		r = call->emit(call, &item);
		call->done = !r;
		if (!r)
			r = call->flush(call);
	} else {
		r = explain(call, r);
	}
	free(buf);
	return r;
}

static int peek(struct ipk_call *call, void *buf, size_t size, size_t *ret_len)
{
	return ipk_lazy_peek(call->handle, buf, size, ret_len);
}

static int run_peek(struct ipk_call *call)
{
	return give(call, peek);
}

/* ---- forcing ------------------------------------------------------------------------- */

/* Could anybody but this process's user, and root, have written what the segment holds? */
static bool is_foreign(struct ipk_segment *seg)
{
	struct stat st;

	if (fstat(seg->fd, &st) < 0 || st.st_mode & (S_IWGRP | S_IWOTH))
		return true;
	return st.st_uid != geteuid() && st.st_uid != 0;
}

/* What the command printed is the value, in the words of its type. */
static int compute(void *arg, struct ipk_buf *out)
{
	struct ipk_call *call = arg;
	struct ipk_buf text = {0};
	struct ipk_error err = {0};
	const char *command;
	int r;

	ipk_lazy_thunk(call->handle, &command, NULL);
	r = call->command(call, command, is_foreign(call->seg), &text);
	if (r < 0) {
		if (text.len)
			ipk_buf_add(out, text.data, text.len);
	} else {
		if (text.len && text.data[text.len - 1] == '\n')
			text.len--;
		r = ipk_value_parse(call->type, text.data ? text.data : "", text.len, 0, out, &err);
		if (r < 0 && r != -ENOMEM)
			ipk_buf_printf(out, "what the command printed: %s", err.text);
	}
	ipk_buf_free(&text);
	return r;
}

static int force(struct ipk_call *call, void *buf, size_t size, size_t *ret_len)
{
	bool command = ipk_lazy_thunk(call->handle, NULL, NULL) == IPK_LAZY_COMMAND;
	int r;

	r = ipk_lazy_force(call->handle, command && call->command ? compute : NULL, call, buf, size,
			   ret_len, ipk_call_deadline(call));
	if (r == -EOPNOTSUPP)
		ipk_error_set(&call->err, r, "%s",
			      command ? "a command computes it, which ipcctl alone runs"
				      : "programs alone know how to compute it");
	return r;
}

static int run_force(struct ipk_call *call)
{
	return give(call, force);
}

static int run_wait(struct ipk_call *call)
{
	int r = ipk_lazy_wait(call->handle, ipk_call_deadline(call));

	return r ? explain(call, r) : 0;
}

/* ---- in ------------------------------------------------------------------------------ */

static int run_set(struct ipk_call *call)
{
	struct ipk_item items[2];
	struct ipk_buf value = {0};
	int n = call->next(call, items, 2), r;

	if (n <= 0)
		return n; /* what was loaded had none */
	r = n > 1 ? 1 : ipk_buf_add(&value, items[0].data, items[0].len);
	if (!r)
		r = call->next(call, items, 1);
	if (r > 0)
		r = ipk_error_set(&call->err, -EINVAL, "one value is wanted, there are more");
	if (!r)
		r = explain(call, ipk_lazy_set(call->handle, value.data, value.len));
	call->done = !r;
	ipk_buf_free(&value);
	return r;
}

static int run_reset(struct ipk_call *call)
{
	int r = ipk_lazy_reset(call->handle);

	call->done = !r;
	return r;
}

/* ---- tables -------------------------------------------------------------------------- */

const struct ipk_op ipk_lazy_ops[] = {
	{.name = "force",
	 .summary = "print the value, computed now unless it is there; exit 1 when that fails",
	 .example = "ipcctl new S/day lazy --command 'date +%F'; ipcctl force S/day",
	 .flags = IPK_OP_WRITE | IPK_OP_BLOCK | IPK_OP_OUT,
	 .run = run_force},
	{.name = "peek",
	 .summary = "print the value if it is there; exit 5 when it is not, 1 when it failed",
	 .example = "ipcctl set S/x known; ipcctl peek S/x",
	 .flags = IPK_OP_OUT,
	 .run = run_peek},
	{.name = "get",
	 .summary = "the same as peek",
	 .example = "ipcctl set S/x known; ipcctl get S/x",
	 .flags = IPK_OP_OUT,
	 .run = run_peek},
	{.name = "wait",
	 .summary = "wait until somebody has computed it, and print nothing",
	 .example = "ipcctl set S/x known; ipcctl wait S/x",
	 .flags = IPK_OP_BLOCK,
	 .run = run_wait},
	{.name = "set",
	 .summary = "give it a value that is known already",
	 .example = "ipcctl set S/x known",
	 .flags = IPK_OP_WRITE | IPK_OP_IN,
	 .run = run_set},
	{.name = "reset",
	 .summary = "forget the value or the failure: the next who forces it computes it",
	 .example = "ipcctl set S/x known; ipcctl reset S/x",
	 .flags = IPK_OP_WRITE,
	 .run = run_reset},
	{.name = NULL},
};

/* In the order of enum ipk_lazy_thunk, less the first. */
static const struct ipk_arg params[] = {
	{.name = "command",
	 .type = IPK_ARG_TEXT,
	 .help = "sh -c runs it, with the rights of who forces it; what it prints is the value"},
	{.type = IPK_ARG_END},
};

static int lazy_size(const struct ipk_new *n, uint64_t *ret_size, struct ipk_error *err)
{
	const struct ipk_argval *command = &n->param[0];

	if (command->set && !command->len)
		return ipk_error_set(err, -EINVAL, "--command wants a command");
	if (command->set && command->len > IPK_LAZY_TEXT_MAX)
		return ipk_error_set(err, -EMSGSIZE, "--command: longer than %u bytes",
				     IPK_LAZY_TEXT_MAX);
	*ret_size = sizeof(struct ipk_lazy_body) + (command->set ? command->len : 0);
	return 0;
}

static int lazy_create(struct ipk_tx *tx, void *body, uint64_t body_off, const struct ipk_new *n)
{
	const struct ipk_argval *command = &n->param[0];
	struct ipk_lazy_body *b = body;

	(void)tx;
	(void)body_off;
	b->size = n->type->size;
	if (!command->set)
		return 0;
	b->thunk = IPK_LAZY_COMMAND;
	b->text_len = command->len;
	memcpy(b->text, command->text, command->len);
	return 0;
}

IPK_ATTACH_DETACH(lazy, ipk_lazy_open(seg, name, NULL, &handle, err))

/* ---- benchmark ----------------------------------------------------------------------- */

static int zeros(void *arg, struct ipk_buf *out)
{
	static const char zero[64];
	u64 left = ((struct ipk_lazy *)arg)->size;
	int r = 0;

	for (; left && !r; left -= left < sizeof(zero) ? left : sizeof(zero))
		r = ipk_buf_add(out, zero, left < sizeof(zero) ? left : sizeof(zero));
	return r;
}

/* Computed once; what is measured is how cheap it is from then on. */
static int bench_rounds(void *handle, uint64_t n)
{
	char buf[64];
	int r = 0;

	while (n-- && (r == 0 || r == -EMSGSIZE))
		r = ipk_lazy_force(handle, zeros, handle, buf, sizeof(buf), NULL, IPK_NOWAIT);
	return r == -EMSGSIZE ? 0 : r;
}

static const struct ipk_bench bench = {.round = "force", .rounds = bench_rounds};

/* ---- the descriptor ------------------------------------------------------------------ */

const struct ipk_kind ipk_kind_lazy = {
	.id = 16,
	.version = 1,
	.name = "lazy",
	.summary = "a value that is computed when it is first wanted, once, and kept",
	.text = "A lazy value is empty until somebody forces it: one process computes it, all"
		" who force it meanwhile wait, and from then on it is read at once. It is"
		" computed by a command, or by a function of the program that forces it"
		" (ipk_lazy_force in C). ipcctl alone runs commands, by sh -c, with the rights of"
		" the user who forces it, and only from a segment that nobody else can write to,"
		" unless -y says to run it all the same; its output, without the newline at its"
		" end, is the value. A command that fails, or prints what is no value of the type,"
		" is not tried again either: force says why, and exits with 1, until reset. A"
		" command that is interrupted has not failed. When the process that computes it"
		" dies, the next one does, one of those who wait at once; a command that was left"
		" behind prints to nobody. reset makes it empty, also while it is computed: what"
		" comes of that is dropped, and computed anew.",
	.type = "str",
	.flags = IPK_KIND_VALUE,
	.params = params,
	.ops = ipk_lazy_ops,
	.stats = ipk_lazy_stat_names,
	.size = lazy_size,
	.create = lazy_create,
	.attach = lazy_attach,
	.detach = lazy_detach,
	.attachable = ipk_lazy_attachable,
	.destroy = ipk_lazy_destroy,
	.recover = ipk_lazy_recover,
	.wake = ipk_lazy_wake,
	.inspect = ipk_lazy_inspect,
	.stats_visit = ipk_lazy_stats,
	.items = ipk_lazy_items,
	.value = ipk_lazy_value,
	.holders = ipk_lazy_holders,
	.param = ipk_lazy_param,
	.check = ipk_lazy_check,
	.repair = ipk_lazy_repair,
	.bench = &bench,
};
