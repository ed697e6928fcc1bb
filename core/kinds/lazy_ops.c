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

static int give(struct ipk_call *call, ipk_word_reader *read)
{
	int error = 0, r = ipk_word_give(call, read, &error);

	return error && (error == -EREMOTEIO || !call->err.text[0]) ? explain(call, error) : r;
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

/* As the library does it, with the reason why it cannot be known yet. */
static int force_expr(struct ipk_call *call, void *buf, size_t size, size_t *ret_len)
{
	struct ipk_lazy_call lazy = {.l = call->handle};
	int r = ipk_lazy_force(call->handle, ipk_lazy_evaluate, &lazy, buf, size, ret_len,
			       ipk_call_deadline(call));

	if (r < 0 && lazy.err.text[0])
		ipk_error_set(&call->err, r, "%s", lazy.err.text);
	return r;
}

static int force(struct ipk_call *call, void *buf, size_t size, size_t *ret_len)
{
	enum ipk_lazy_thunk thunk = ipk_lazy_thunk(call->handle, NULL, NULL);
	bool command = thunk == IPK_LAZY_COMMAND;
	int r;

	if (thunk == IPK_LAZY_EXPR)
		return force_expr(call, buf, size, ret_len);
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
	struct ipk_buf value = {0};
	int r = ipk_call_one_value(call, &value);

	if (r > 0) { /* 0: what was loaded had none */
		r = explain(call, ipk_lazy_set(call->handle, value.data, value.len));
		call->done = !r;
	}
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
	 .example = "ipcctl new S/n lazy --type i64 --expr '6 * 7'; ipcctl force S/n; "
		    "ipcctl new S/day lazy --command 'date +%F'; ipcctl force S/day",
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
	{.name = "expr",
	 .type = IPK_ARG_TEXT,
	 .help = "an expression over other objects of the segment: price * qty[3] + 1"},
	{.type = IPK_ARG_END},
};

/* The one that was given, or NULL. */
static const struct ipk_argval *given(const struct ipk_new *n, enum ipk_lazy_thunk *ret_thunk)
{
	*ret_thunk = n->param[0].set   ? IPK_LAZY_COMMAND
		     : n->param[1].set ? IPK_LAZY_EXPR
				       : IPK_LAZY_CALLER;
	return *ret_thunk == IPK_LAZY_CALLER ? NULL : &n->param[*ret_thunk - 1];
}

static int lazy_size(const struct ipk_new *n, uint64_t *ret_size, struct ipk_error *err)
{
	enum ipk_lazy_thunk thunk;
	const struct ipk_argval *text = given(n, &thunk);
	struct ipk_error why = {0};
	int r = 0;

	*ret_size = sizeof(struct ipk_lazy_body) + (text ? text->len : 0);
	if (n->param[0].set && n->param[1].set)
		return ipk_error_set(err, -EINVAL, "--command or --expr, not both");
	if (text && !text->len)
		return ipk_error_set(err, -EINVAL, "--%s is empty", params[thunk - 1].name);
	if (text && text->len > IPK_LAZY_TEXT_MAX)
		return ipk_error_set(err, -EMSGSIZE, "--%s: longer than %u bytes",
				     params[thunk - 1].name, IPK_LAZY_TEXT_MAX);
	if (thunk == IPK_LAZY_EXPR)
		r = ipk_lazy_expr_check(n->seg, text->text, text->len, &why);
	return r < 0 ? ipk_error_set(err, r, "--expr: %s", why.text) : 0;
}

static int lazy_create(struct ipk_tx *tx, void *body, uint64_t body_off, const struct ipk_new *n)
{
	enum ipk_lazy_thunk thunk;
	const struct ipk_argval *text = given(n, &thunk);
	struct ipk_lazy_body *b = body;

	(void)tx;
	(void)body_off;
	b->size = n->type->size;
	b->thunk = thunk;
	if (!text)
		return 0;
	b->text_len = text->len;
	memcpy(b->text, text->text, text->len);
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

static const struct ipk_next next[] = {
	{"state", "ready", "get REF"},
	{"state", "failed", "reset REF"},
	{NULL, NULL, "force REF"},
};

const struct ipk_kind ipk_kind_lazy = {
	.id = 16,
	.version = 1,
	.name = "lazy",
	.summary = "a value that is computed when it is first wanted, once, and kept",
	.text = "A lazy value is empty until somebody forces it: one process computes it, all"
		" who force it meanwhile wait, and from then on it is read at once. An"
		" expression, a command, or a function of the program that forces it"
		" (ipk_lazy_force in C) says how. A failure is kept as well: force says why,"
		" and exits with 1, until reset. When the process that computes it dies, the"
		" next one does, one of those who wait at once. reset makes it empty, also"
		" while it is computed: what comes of that is dropped, and computed anew. An"
		" expression has numbers, texts in quotes, + - * / % == != < <= > >= && || !,"
		" if(CONDITION, A, B), and the functions min max sum mean len abs floor ceil"
		" round sqrt contains starts_with ends_with lower upper i64 u64 f64 str; whole"
		" numbers are exact. It names objects of the same segment: of a future or a"
		" lazy value the value, which is computed first where an expression gives that"
		" too; of an array all elements, as in sum(prices) and prices[3]; of all"
		" others what they hold, as in jobs.used < jobs.cap. `OBJECT/KEY` in backticks"
		" is an item, and any name that is no word. map(OBJECT, EXPRESSION) gives a"
		" list, json or an array: what the expression makes of each item, which it"
		" calls $. What it names is read one after the other. What does not exist yet"
		" is no failure, and is looked for again. A command is run by ipcctl alone, by"
		" sh -c, with the rights of the user who forces it, and only from a segment"
		" that nobody else can write to, unless -y says to run it all the same. Its"
		" output, without the newline at its end, is the value. It has failed when it"
		" ends with another status than 0 or prints no value of the type, and not when"
		" it was interrupted. One whose ipcctl was killed goes on, and prints to"
		" nobody.",
	.type = "str",
	.flags = IPK_KIND_VALUE,
	.params = params,
	.ops = ipk_lazy_ops,
	.stats = ipk_lazy_stat_names,
	.next = next,
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
