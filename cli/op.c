/* SPDX-License-Identifier: MIT */
/*
 * Verbs that kinds bring: push, pop, set, acquire … Everything about them comes from the
 * descriptor; here is what a run of one needs from the command line: arguments, values in, items
 * out, and what its result means.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

/* ---- items out -------------------------------------------------------------------------- */

static int emit(struct ipk_call *call, const struct ipk_item *item)
{
	struct cli_tool *t = call->tool;
	const struct cli_object *ob = t->ob;

	for (unsigned i = 0; item->ref && i < call->nchoices; i++)
		if (item->ref == call->choice[i].ref)
			ob = &t->ob[i];
	cli_item(t->c, ob, item);
	return t->c->out->error;
}

static int flush(struct ipk_call *call)
{
	struct cli_tool *t = call->tool;
	struct cli_out *out = t->c->out;

	if (!t->command)
		return cli_flush(t->c);
	t->status =
		cli_run_command(t->c, t->c->tail, out->buf.len ? out->buf.data : "", out->buf.len);
	t->ran = true;
	out->buf.len = 0;
	return t->status == 0 ? 0 : -ECANCELED;
}

static int next(struct ipk_call *call, struct ipk_item *item, int max)
{
	struct cli_tool *t = call->tool;

	return t->in ? cli_input_next(t->in, item, max, &call->err) : 0;
}

/* ---- arguments -------------------------------------------------------------------------- */

static int bad_arg(struct cli *c, const struct ipk_arg *spec, int r, const struct ipk_error *err)
{
	int status = spec->type == IPK_ARG_VALUE ? CLI_WRONG : CLI_USAGE;
	const char *text = err->text + (strncmp(err->text, "--", 2) ? 0 : 2);
	size_t len = strlen(spec->name);

	/* What is wrong with a number names it already. */
	if (!strncmp(text, spec->name, len) && text[len] == ' ')
		return cli_fail(c, status, r, "%s", err->text);
	return cli_fail(c, status, r, "%s%s: %s", spec->positional ? "" : "--", spec->name,
			err->text[0] ? err->text : ipk_strerror(r));
}

static int parse_args(struct cli *c, const struct ipk_op *op, char **word, int n,
		      struct ipk_argval *val, int *ret_used)
{
	const struct ipk_arg *spec = op->args;
	int i, r, used = 0;
	char name[32];

	for (i = 0; spec && spec[i].type != IPK_ARG_END; i++) {
		struct ipk_error err = {0};
		const char *text = spec[i].positional ? (used < n ? word[used++] : NULL)
						      : cli_given(c, spec[i].name);

		if (!text)
			text = spec[i].value;
		if (!text && spec[i].positional) {
			cli_arg_shown(&spec[i], name);
			return cli_usage(c, "wants %s: %s", name, spec[i].help);
		}
		if (!text)
			continue;
		if (spec[i].type == IPK_ARG_FLAG)
			r = ipk_arg_parse(&spec[i], NULL, 0, &val[i], &err);
		else
			r = ipk_arg_parse(&spec[i], text, strlen(text), &val[i], &err);
		if (r < 0)
			return bad_arg(c, &spec[i], r, &err);
	}
	*ret_used = used;
	return 0;
}

/* An option that this verb takes on some kinds must be one that it takes on this kind. */
static int check_options(struct cli_tool *t, const struct ipk_op *op)
{
	const struct ipk_arg *spec;
	char kind[40];
	unsigned i;

	for (i = 0; i < t->c->ngiven; i++) {
		const char *name = t->c->given[i].name;
		const struct cli_option *o = cli_options;

		while (o->name && strcmp(o->name, name))
			o++;
		if (o->name && (o->common || cli_listed(t->c->cmd->options, name)) &&
		    cli_op_takes(op->flags, name))
			continue;
		for (spec = op->args; spec && spec->type != IPK_ARG_END; spec++)
			if (!spec->positional && !strcmp(spec->name, name))
				break;
		if (!spec || spec->type == IPK_ARG_END)
			return cli_usage(t->c, "--%s is nothing for %s", name,
					 cli_a_kind(t->ob, kind));
	}
	if (t->c->tail && !(op->flags & IPK_OP_CMD))
		return cli_usage(t->c, "takes no command on %s", cli_a_kind(t->ob, kind));
	return 0;
}

int cli_call(struct cli_tool *t, const struct ipk_op *op, char **word, int n, struct ipk_call *call,
	     int *ret_used)
{
	const struct ipk_arg *spec = op->args;
	struct cli_object *ob = t->ob;
	struct ipk_argval *val;
	size_t nargs = 0;
	int r;

	while (spec && spec[nargs].type != IPK_ARG_END)
		nargs++;
	val = calloc(nargs + 1, sizeof(*val));
	if (!val)
		return cli_fail_code(t->c, -ENOMEM, NULL);
	*call = (struct ipk_call){
		.seg = ob->seg,
		.handle = ob->handle,
		.type = ob->type,
		.key_type = ob->key_type,
		.key = ob->ref.key,
		.key_len = ob->ref.key_len,
		.arg = val,
		.count = t->c->opt.follow && !t->c->opt.count_given ? UINT64_MAX : t->c->opt.count,
		.timeout = t->c->opt.timeout,
		.next = next,
		.emit = emit,
		.flush = flush,
		.command = cli_run_shell,
		.hold_fd = -1,
		.tool = t,
	};
	r = parse_args(t->c, op, word, n, val, ret_used);
	if (r) {
		free(val);
		call->arg = NULL;
	}
	return r;
}

/* The verb's operation; of drain and of rm, the one that they stand for. */
static const struct ipk_op *op_of(struct cli *c, const struct ipk_kind *kind, const char *verb)
{
	const struct ipk_op *op;

	if (c->drain) {
		op = ipk_kind_op(kind, "pop");
		return op ? op : ipk_kind_op(kind, "recv");
	}
	return ipk_kind_op(kind, strcmp(verb, "rm") ? verb : "del");
}

int cli_needs_op(struct cli *c, const struct cli_object *ob, const char *verb,
		 const struct ipk_op **ret_op)
{
	char kind[40], list[256] = "";
	const struct ipk_op *op;
	size_t at = 0;

	if (cli_known_kind(c, ob))
		return CLI_CORRUPT;
	*ret_op = op_of(c, ob->kind, verb);
	if (*ret_op)
		return 0;
	for (op = ob->kind->ops; op && op->name; op++)
		at += (size_t)snprintf(list + at, at < sizeof(list) ? sizeof(list) - at : 0, " %s",
				       op->name);
	return cli_fail(c, CLI_WRONG, -EMEDIUMTYPE, "%s has no %s; it has:%s", cli_a_kind(ob, kind),
			verb, list);
}

/* ---- results ---------------------------------------------------------------------------- */

static int value_status(int r)
{
	if (r == -EINVAL || r == -ERANGE || r == -EMSGSIZE || r == -EBADMSG)
		return CLI_WRONG;
	return cli_exit_of(r);
}

int cli_call_status(struct cli_tool *t, const struct ipk_op *op, struct ipk_call *call, int r,
		    uint64_t asked)
{
	struct cli *c = t->c;
	const char *text = call->err.text[0] ? call->err.text : ipk_strerror(r);
	unsigned long long done = call->done;
	int status;

	if (t->ran && t->status)
		return t->status;
	if (r >= 0)
		return r;
	if (c->out->error)
		return cli_flush_status(c);
	/* The end that was asked for. */
	if (r == -EPIPE && (c->opt.follow || c->drain) && !(op->flags & IPK_OP_IN))
		return 0;
	if (r == -EAGAIN && c->drain)
		return 0;
	status = (t->in && t->in->error) || r == -EINVAL ? value_status(r) : cli_exit_of(r);
	if (status == CLI_INTERRUPTED)
		text = "interrupted";
	if (r == -E2BIG && !done) /* the values are right, their number is not */
		return cli_fail(c, CLI_USAGE, -EINVAL, "%s", text);
	if (op->flags & IPK_OP_IN && asked > 1)
		return cli_fail(c, status, r, "%s; %llu of %llu went in", text, done,
				(unsigned long long)asked);
	if (op->flags & IPK_OP_IN && !asked)
		return cli_fail(c, status, r, "%s; %llu went in", text, done);
	if (op->flags & IPK_OP_CONSUME && done)
		return cli_fail(c, status, r, "%s after %llu", text, done);
	if (status == CLI_BUG)
		return cli_fail_code(c, r, &call->err);
	if (r == -ENOENT && !call->err.text[0] && t->ob->ref.key)
		return cli_no_key(c, t->ob);
	return cli_fail(c, status, r, "%s", text);
}

/* ---- the verb --------------------------------------------------------------------------- */

/* Where the values come from: words, "-", or --value-file. */
static int open_input(struct cli_tool *t, const struct ipk_op *op, char **word, int n,
		      struct cli_input *in)
{
	struct cli *c = t->c;
	const char *file = cli_given(c, "value-file");
	int r;

	if (!(op->flags & IPK_OP_IN)) {
		if (n > 0)
			return cli_usage(c, "one word too many: \"%s\"", word[0]);
		return file ? cli_usage(c, "--value-file is nothing here") : 0;
	}
	if (file && n > 0)
		return cli_usage(c, "a value and --value-file exclude each other");
	if (!file && n == 0)
		return cli_usage(c, "wants a VALUE, or - for standard input");
	t->in = in;
	if (file)
		r = cli_input_file(in, c, t->ob->type, file);
	else if (n == 1 && !strcmp(word[0], "-"))
		r = cli_input_stream(in, c, t->ob->type, STDIN_FILENO);
	else
		r = cli_input_words(in, c, t->ob->type, word, n);
	return r;
}

/* Runs CMD while what was taken is held by a descriptor that it inherits. */
static int hold(struct cli_tool *t, const struct ipk_op *op, struct ipk_call *call)
{
	char index[24];
	int status, r;

	if (t->ob->kind->flags & IPK_KIND_INDEXED) {
		snprintf(index, sizeof(index), "%llu", (unsigned long long)call->hold_index);
		setenv("IPK_INDEX", index, 1);
	}
	if (call->hold_fd >= 0)
		fcntl(call->hold_fd, F_SETFD, 0);
	status = cli_run_command(t->c, t->c->tail, NULL, 0);
	r = op->ended ? op->ended(call, status) : 0;
	if (r < 0 && status == 0)
		status = cli_call_status(t, op, call, r, 0);
	if (call->hold_fd >= 0) {
		close(call->hold_fd);
		/* Nobody inherited it: given back now, and not when somebody looks for the dead. */
		ipk_segment_sweep(t->ob->seg);
	}
	return status;
}

static int run(struct cli_tool *t, const struct ipk_op *op, struct ipk_call *call, uint64_t asked)
{
	bool each = t->command;
	uint64_t left = call->count ? call->count : 1;
	int r, status;

	if (!each) {
		call->hold = t->c->tail != NULL;
		r = ipk_op_run(op, call);
		if (r == 0 && call->hold && !call->idle)
			return hold(t, op, call);
		return cli_call_status(t, op, call, r, asked);
	}
	/* One item, one CMD. */
	for (status = 0; left > 0 && status == 0; left -= left != UINT64_MAX) {
		call->count = 1;
		call->done = 0;
		t->ran = false;
		status = cli_call_status(t, op, call, r = ipk_op_run(op, call), 0);
		if (r < 0)
			break;
	}
	return status;
}

static int run_op(struct cli_tool *t, const struct ipk_op *op)
{
	bool stream = op->flags & IPK_OP_OUT && op->flags & IPK_OP_CONSUME;
	struct cli *c = t->c;
	struct cli_input in = {.fd = -1};
	struct ipk_call call = {0};
	int r, used = 0;
	char **word = c->word + 1;
	int n = c->nwords - 1;

	r = cli_call(t, op, word, n, &call, &used);
	if (r == 0)
		r = open_input(t, op, word + used, n - used, &in);
	if (r == 0 && !(c->opt.count_given && c->opt.count == 0)) {
		t->command = op->flags & IPK_OP_CMD && op->flags & IPK_OP_OUT;
		cli_flush(c);
		c->out->hold = stream;
		r = run(t, op, &call, t->in && in.fd < 0 ? in.nitems : 0);
		c->out->hold = false;
	}
	if (r == 0 && c->opt.verbose && (op->flags & (IPK_OP_WRITE | IPK_OP_CONSUME)))
		cli_note(c, "%s %s: %llu", c->verb, c->ref, (unsigned long long)call.done);
	cli_input_free(&in);
	free((void *)call.arg);
	return r;
}

/* Where an index or key means something, an operation may take one though it needs none (fill). */
static bool takes_key(const struct cli_object *ob, const struct ipk_op *op)
{
	unsigned flags = ob->kind->flags;

	return op->flags & IPK_OP_KEY ||
	       (flags & (IPK_KIND_INDEXED | IPK_KIND_KEYED) && !(flags & IPK_KIND_PUSH));
}

/* Who waits announces it where he may write: he is woken then, and others see that he waits. */
static int attach(struct cli *c, struct cli_object *ob, const struct ipk_op *op)
{
	if (op->flags & (IPK_OP_WRITE | IPK_OP_CONSUME))
		return cli_attach(c, ob, IPK_READ | IPK_WRITE);
	if (op->flags & IPK_OP_TRY_WRITE || (op->flags & IPK_OP_BLOCK && c->opt.timeout != 0))
		(void)ipk_segment_open(ob->ref.segment, IPK_READ | IPK_WRITE, &ob->seg, NULL);
	return cli_attach(c, ob, IPK_READ);
}

int cli_op(struct cli *c)
{
	struct cli_object ob;
	struct cli_tool t = {.c = c, .ob = &ob};
	const struct ipk_op *op = NULL;
	int r = cli_open(c, c->word[0], CLI_REF_OBJECT | CLI_REF_KEY, &ob);

	if (r)
		return r;
	r = cli_needs_op(c, &ob, c->verb, &op);
	if (r == 0)
		r = check_options(&t, op);
	if (r == 0 && op->flags & IPK_OP_KEY && !ob.ref.key)
		r = cli_usage(c, "wants SEGMENT/OBJECT/KEY");
	if (r == 0 && ob.ref.key && !takes_key(&ob, op))
		r = cli_usage(c, "wants SEGMENT/OBJECT");
	if (r == 0 && cli_op_needs_cmd(op) && !c->tail)
		r = cli_usage(c, "wants a command: ipcctl %s %s -- CMD", c->verb, c->ref);
	if (r == 0)
		r = attach(c, &ob, op);
	if (r == 0)
		r = run_op(&t, op);
	cli_close(&ob);
	return r;
}

/* pop or recv, of all that is there now. */
int cli_drain(struct cli *c)
{
	c->opt.timeout = 0;
	if (!c->opt.count_given)
		c->opt.count = UINT64_MAX - 1;
	c->drain = true;
	return cli_op(c);
}
