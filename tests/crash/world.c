/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "crash.h"

/* What a verb gets and gives while the harness runs it: struct ipk_call.tool points here. */
struct feed {
	const struct trial *t;
	struct ipk_buf value[MAX_INPUTS];
	struct ipk_buf key;
	unsigned n, given;
	struct ipk_buf *out;
	const struct ipk_type *type;
};

static int feed_next(struct ipk_call *call, struct ipk_item *item, int max)
{
	struct feed *f = call->tool;
	int n = 0;

	for (; n < max && f->given < f->n; n++, f->given++) {
		memset(&item[n], 0, sizeof(item[n]));
		item[n].data = f->value[f->given].data;
		item[n].len = f->value[f->given].len;
		if (call->key_type) {
			item[n].key = f->key.data;
			item[n].key_len = f->key.len;
		}
	}
	return n;
}

static int feed_emit(struct ipk_call *call, const struct ipk_item *item)
{
	struct feed *f = call->tool;

	if (item->text)
		ipk_buf_add(f->out, item->data, item->len);
	else if (f->type &&
		 ipk_value_print(f->type, item->data, item->len, IPK_VALUE_JSON, f->out) != 0)
		ipk_buf_str(f->out, "?");
	return ipk_buf_str(f->out, "\n");
}

static int feed_flush(struct ipk_call *call)
{
	if (((const struct feed *)call->tool)->t->stops)
		raise(SIGSTOP);
	return 0;
}

/* Values for the arguments of op: each has its own default, else something of the right type. */
static void fill_args(const struct world *w, const struct trial *t, struct ipk_argval *val,
		      unsigned max)
{
	const struct ipk_op *op = t->op;
	unsigned i = 0;

	memset(val, 0, max * sizeof(*val));
	for (const struct ipk_arg *a = op->args; a && a->type != IPK_ARG_END && i < max; a++, i++) {
		struct ipk_error err;
		const char *text = a->value;

		if (a->type == IPK_ARG_FLAG)
			val[i].set = t->flags;
		if (!text && !a->positional)
			continue;
		if (!text)
			text = a->type == IPK_ARG_VALUE  ? w->value[0]
			       : a->type == IPK_ARG_TEXT ? "text"
							 : "1";
		if (ipk_arg_parse(a, text, strlen(text), &val[i], &err) != 0)
			val[i].set = false;
	}
}

/* A key that no state has before. */
#define NEW_KEY "n1"

/* Kinds whose items are their own keys (sets) take a key where a verb needs one, and no other. */
static const char *key_text(const struct world *w, const struct ipk_op *op)
{
	if (!(op->flags & IPK_OP_KEY) && !w->kind->key)
		return NULL;
	if (!(w->kind->flags & IPK_KIND_KEYED))
		return "1";
	return w->kind->key ? "k1" : w->value[0];
}

static int run_op(const struct world *w, const struct trial *t, const char *key, unsigned n,
		  struct ipk_segment *seg, void *handle, i64 timeout, struct answer *ret)
{
	const struct ipk_op *op = t->op;
	const struct ipk_type *type = NULL, *key_type = NULL;
	struct ipk_argval val[16];
	struct ipk_call call = {0};
	struct feed feed = {.t = t, .out = &ret->out};
	struct ipk_error err;
	const char *text = w->type ? w->type : w->kind->type;
	bool in = op->flags & IPK_OP_IN;
	char range[16];

	/* One value for many elements: each counts as an input, and a part of them is a prefix. */
	if (n && strcmp(op->name, "fill") == 0) {
		snprintf(range, sizeof(range), "..%u", n);
		key = range;
		n = 1;
	}
	if (text && !(type = type_of(text)))
		return -EINVAL;
	if (w->kind->key)
		key_type = type_of(w->kind->key);
	for (unsigned i = 0; in && i < n && i < MAX_INPUTS; i++) {
		const char *v = w->value[i];

		if (ipk_value_parse(type, v, strlen(v), 0, &feed.value[i], &err) != 0)
			return -EINVAL;
		feed.n++;
	}
	if (key_type && key)
		ipk_value_parse(key_type, key, strlen(key), 0, &feed.key, &err);
	fill_args(w, t, val, IPK_ARRAY_LEN(val));
	feed.type = type;
	call.seg = seg;
	call.handle = handle;
	call.type = type;
	call.key_type = key_type;
	call.key = key;
	call.key_len = key ? strlen(key) : 0;
	call.arg = val;
	call.count = (op->flags & IPK_OP_COUNT) ? n : 0;
	call.timeout = timeout;
	/* What would run a command holds for as long as the call. */
	call.hold = (op->flags & IPK_OP_CMD) && !(op->flags & IPK_OP_OUT) && t->hold;
	call.hold_fd = -1;
	call.next = feed_next;
	call.emit = feed_emit;
	call.flush = feed_flush;
	call.tool = &feed;
	ret->r = n ? op->run(&call) : 0;
	if (call.hold_fd >= 0 && t->stops)
		raise(SIGSTOP);
	if (call.hold_fd >= 0 && op->ended)
		ret->r = op->ended(&call, 0);
	if (call.hold_fd >= 0)
		close(call.hold_fd);
	for (unsigned i = 0; i < MAX_INPUTS; i++)
		ipk_buf_free(&feed.value[i]);
	ipk_buf_free(&feed.key);
	return 0;
}

/* ---- the segment's own operations ------------------------------------------------------------ */

bool world_has_param(const struct ipk_kind *kind, const char *name)
{
	const struct ipk_arg *a = kind->params;

	while (a && a->type != IPK_ARG_END && strcmp(a->name, name) != 0)
		a++;
	return a && a->type != IPK_ARG_END;
}

int world_new_object(struct ipk_segment *seg, const struct world *w, const char *name)
{
	static const struct ipk_param more[] = {
		{"max-bytes", "4096"}, {"state", "16"}, {"expr", "'some' + 'thing'"}};
	struct ipk_param param[5];
	unsigned n = 0;

	if (w->type)
		param[n++] = (struct ipk_param){"type", w->type};
	if (w->cap && (!w->kind || world_has_param(w->kind, "cap")))
		param[n++] = (struct ipk_param){"cap", w->cap};
	for (unsigned i = 0; w->kind && i < IPK_ARRAY_LEN(more); i++)
		if (world_has_param(w->kind, more[i].name))
			param[n++] = more[i];
	return ipk_object_new(seg, name, w->kind ? w->kind->name : "queue", param, n, NULL);
}

static int own_create(const struct world *w, struct ipk_segment *seg, void *handle)
{
	(void)handle;
	return world_new_object(seg, w, "y");
}

static int own_remove(const struct world *w, struct ipk_segment *seg, void *handle)
{
	(void)w, (void)handle;
	return ipk_object_remove(seg, "z", NULL);
}

static int own_rename(const struct world *w, struct ipk_segment *seg, void *handle)
{
	(void)w, (void)handle;
	return ipk_object_rename(seg, "z", "zz", NULL);
}

static int own_grow(const struct world *w, struct ipk_segment *seg, void *handle)
{
	(void)w, (void)handle;
	return ipk_segment_grow(seg, 512 << 10, NULL);
}

static int own_sweep(const struct world *w, struct ipk_segment *seg, void *handle)
{
	(void)w, (void)handle;
	ipk_segment_sweep(seg);
	return 0;
}

static int own_attach(const struct world *w, struct ipk_segment *seg, void *handle)
{
	struct ipk_segment *again;
	void *h;
	int r;

	(void)seg, (void)handle;
	r = ipk_segment_open("s", IPK_READ | IPK_WRITE, &again, NULL);
	if (r != 0)
		return r;
	if (w->kind) {
		r = world_attach(w, again, &h);
		if (r == 0)
			world_detach(w, h);
	} else {
		ipk_self(again, &r);
	}
	ipk_segment_close(again);
	return r;
}

static struct trial *add_trial(struct trial trials[], unsigned *n, const char *name,
			       unsigned inputs)
{
	struct trial *t = &trials[*n < MAX_OPS ? (*n)++ : MAX_OPS - 1];

	memset(t, 0, sizeof(*t));
	if (inputs > 1)
		snprintf(t->name, sizeof(t->name), "%s x%u", name, inputs);
	else
		snprintf(t->name, sizeof(t->name), "%s", name);
	t->inputs = inputs;
	return t;
}

static void add_own(struct trial trials[], unsigned *n, const char *name,
		    int (*own)(const struct world *, struct ipk_segment *, void *))
{
	add_trial(trials, n, name, 1)->own = own;
}

static bool has_flags(const struct ipk_op *op)
{
	const struct ipk_arg *a = op->args;

	while (a && a->type != IPK_ARG_END && a->type != IPK_ARG_FLAG)
		a++;
	return a && a->type == IPK_ARG_FLAG;
}

static void add_verb(const struct world *w, struct trial trials[], unsigned *n,
		     const struct ipk_op *op)
{
	char name[40];
	struct trial *t;

	/* Without a command a verb that can do without takes for nobody. */
	if (!(op->flags & IPK_OP_CMD) ||
	    (op->flags & IPK_OP_WRITE && op->flags & (IPK_OP_OUT | IPK_OP_CMD_OPTIONAL))) {
		add_trial(trials, n, op->name, 1)->op = op;
		if (op->flags & (IPK_OP_IN | IPK_OP_COUNT))
			add_trial(trials, n, op->name, MAX_INPUTS)->op = op;
	}
	for (int flags = 0; op->flags & IPK_OP_CMD && flags <= has_flags(op); flags++) {
		snprintf(name, sizeof(name), flags ? "%s --flags --" : "%s --", op->name);
		t = add_trial(trials, n, name, 1);
		t->op = op;
		t->hold = true;
		t->flags = flags;
	}
	if (w->kind->key && (op->flags & IPK_OP_IN)) {
		snprintf(name, sizeof(name), "%s new", op->name);
		t = add_trial(trials, n, name, 1);
		t->op = op;
		t->key = NEW_KEY;
	}
}

unsigned world_trials(const struct world *w, struct trial trials[MAX_OPS])
{
	unsigned n = 0;

	/* Whoever is forked off has them parsed: it is no part of an operation. */
	if (w->kind && (w->type || w->kind->type))
		type_of(w->type ? w->type : w->kind->type);
	if (w->kind && w->kind->key)
		type_of(w->kind->key);

	if (!w->kind) {
		add_own(trials, &n, "create", own_create);
		add_own(trials, &n, "remove", own_remove);
		add_own(trials, &n, "rename", own_rename);
		add_own(trials, &n, "grow", own_grow);
		add_own(trials, &n, "sweep", own_sweep);
		add_own(trials, &n, "attach", own_attach);
		return n;
	}
	for (const struct ipk_op *op = w->kind->ops; op->name; op++)
		add_verb(w, trials, &n, op);
	for (const struct calls *c = calls; c->kind; c++)
		if (strcmp(c->kind, w->kind->name) == 0) {
			add_trial(trials, &n, c->name, 1)->calls = c;
			trials[n - 1].inputs = c->n;
		}
	add_own(trials, &n, "create", own_create);
	add_own(trials, &n, "remove", own_remove);
	add_own(trials, &n, "attach", own_attach);
	return n;
}

int world_attach(const struct world *w, struct ipk_segment *seg, void **ret_handle)
{
	struct ipk_error err;
	int r;

	*ret_handle = NULL;
	if (!w->kind)
		return ipk_self(seg, &r) ? 0 : r;
	r = w->kind->attach(seg, "x", ret_handle, &err);
	if (r == 0 && !ipk_use((struct ipk_obj *)*ret_handle, &r))
		return r;
	return r;
}

void world_detach(const struct world *w, void *handle)
{
	if (w->kind && handle)
		w->kind->detach(handle);
}

int world_run(const struct world *w, const struct trial *t, unsigned n, struct ipk_segment *seg,
	      void *handle, i64 timeout, struct answer *ret)
{
	const char *key = t->op && !t->key ? key_text(w, t->op) : t->key;

	if (t->op)
		return run_op(w, t, key, n, seg, handle, timeout, ret);
	if (t->calls)
		ret->r = t->calls->run(handle, 0, n);
	else
		ret->r = n ? t->own(w, seg, handle) : 0;
	return 0;
}
