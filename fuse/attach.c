/* SPDX-License-Identifier: MIT */
/* Attached for writing: running the descriptor's verbs on an object. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipcfs.h"

int attach_open(const struct place *place, struct attach **ret_attach)
{
	struct attach *a = calloc(1, sizeof(*a));
	struct place p = *place; /* the key stays the caller's */
	struct subject s;
	int r;

	if (!a)
		return -ENOMEM;
	r = subject_open(&s, &p);
	if (r == 0)
		r = s.kind && s.kind->attach ? subject_types(&s) : -EOPNOTSUPP;
	if (r == 0)
		r = ipk_segment_open(p.seg, IPK_READ | IPK_WRITE, &a->seg, NULL);
	if (r == 0)
		r = s.kind->attach(a->seg, p.obj, &a->object, NULL);
	/* The name was looked up twice: both times it meant the same object if it still does. */
	if (r == 0) {
		a->kind = s.kind;
		if (!ipk_object_view_current(&s.obj) || !subject_exists(&p))
			r = -ENOENT;
	}
	a->type = s.type;
	a->key_type = s.key_type;
	s.type = s.key_type = NULL;
	subject_close(&s, &p);
	if (r < 0) {
		attach_close(a);
		return r;
	}
	*ret_attach = a;
	return 0;
}

void attach_close(struct attach *a)
{
	if (!a)
		return;
	if (a->object)
		a->kind->detach(a->object);
	if (a->seg)
		ipk_segment_close(a->seg);
	ipk_type_free(a->type);
	ipk_type_free(a->key_type);
	free(a);
}

/* The defaults of a verb's arguments: the mount gives none. */
static int default_args(const struct ipk_op *op, struct ipk_argval **ret_args)
{
	struct ipk_argval *args;
	size_t n = 0;
	int r = 0;

	while (op->args && op->args[n].type != IPK_ARG_END)
		n++;
	args = calloc(n + 1, sizeof(*args));
	if (!args)
		return -ENOMEM;
	for (size_t i = 0; i < n && r == 0; i++)
		if (op->args[i].value)
			r = ipk_arg_parse(&op->args[i], op->args[i].value,
					  strlen(op->args[i].value), &args[i], NULL);
	if (r < 0) {
		free(args);
		return r;
	}
	*ret_args = args;
	return 0;
}

static int no_values(struct ipk_call *call, struct ipk_item *item, int max)
{
	(void)call, (void)item, (void)max;
	return 0;
}

static int drop_item(struct ipk_call *call, const struct ipk_item *item)
{
	(void)call, (void)item;
	return 0;
}

static int nothing_to_flush(struct ipk_call *call)
{
	(void)call;
	return 0;
}

int attach_run(struct attach *a, const struct ipk_op *op, struct ipk_call *call, struct job *j)
{
	struct ipk_argval *args;
	int r;

	if (!op)
		return -EOPNOTSUPP;
	r = default_args(op, &args);
	if (r < 0)
		return r;
	call->seg = a->seg;
	call->handle = a->object;
	call->type = a->type;
	call->key_type = a->key_type;
	call->arg = args;
	call->hold_fd = -1;
	if (!call->next)
		call->next = no_values;
	if (!call->emit)
		call->emit = drop_item;
	if (!call->flush)
		call->flush = nothing_to_flush;
	ipk_thread_cancel_word(j ? &j->cancel : NULL);
	r = ipk_op_run(op, call);
	ipk_thread_cancel_word(NULL);
	if (call->hold_fd >= 0)
		close(call->hold_fd);
	free(args);
	return r;
}

/* ---- one value -------------------------------------------------------------------------- */

struct one {
	struct ipk_buf value;
	bool given;
};

static int next_one(struct ipk_call *call, struct ipk_item *item, int max)
{
	struct one *one = call->tool;

	if (one->given || max < 1)
		return 0;
	one->given = true;
	*item = (struct ipk_item){.data = one->value.data, .len = one->value.len};
	return 1;
}

/* Closing a file must not wait for a stopped process for ever: a dying process closes, too. */
#define CLOSE_NS INT64_C(10000000000)

static int attach_put(struct attach *a, const char *verb, const char *key, size_t key_len,
		      const char *text, size_t len, struct job *j)
{
	struct one one = {.given = false};
	struct ipk_call call = {
		.key = key,
		.key_len = key_len,
		.timeout = CLOSE_NS,
		.next = next_one,
		.tool = &one,
	};
	int r = ipk_value_parse(a->type, text, len, 0, &one.value, NULL);

	if (r == 0)
		r = attach_run(a, ipk_kind_op(a->kind, verb), &call, j);
	ipk_buf_free(&one.value);
	return r > 0 ? 0 : r;
}

int attach_set(const struct place *p, const char *text, size_t len, struct job *j)
{
	struct attach *a;
	int r = attach_open(p, &a);

	if (r < 0)
		return r;
	if (p->file == F_VALUE)
		r = attach_put(a, "set", NULL, 0, text, len, j);
	else if (ipk_kind_op(a->kind, "set"))
		r = attach_put(a, "set", p->key, p->key_len, text, len, j);
	else /* a set: its members are names */
		r = len ? -EINVAL : attach_put(a, "add", NULL, 0, p->key, p->key_len, j);
	attach_close(a);
	return r;
}

int attach_delete(const struct place *p, struct job *j)
{
	struct ipk_call call = {.key = p->key, .key_len = p->key_len, .timeout = CLOSE_NS};
	struct attach *a;
	int r = attach_open(p, &a);

	if (r < 0)
		return r;
	r = attach_run(a, ipk_kind_op(a->kind, "del"), &call, j);
	attach_close(a);
	return r > 0 ? -ENOENT : r;
}
