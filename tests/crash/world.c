/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "crash.h"

const char *const fill_name[FILLS] = {"empty", "some", "full", "wrapped"};

/* What a verb gets and gives while the harness runs it: struct ipk_call.tool points here. */
struct feed {
	const struct world *w;
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

	if (f->type && ipk_value_print(f->type, item->data, item->len, IPK_VALUE_JSON, f->out) != 0)
		ipk_buf_str(f->out, "?");
	return ipk_buf_str(f->out, "\n");
}

static int feed_flush(struct ipk_call *call)
{
	(void)call;
	return 0;
}

static const struct ipk_op *find_flags(const struct ipk_kind *kind, unsigned with, unsigned without)
{
	for (const struct ipk_op *op = kind->ops; op->name; op++)
		if ((op->flags & with) == with && !(op->flags & without))
			return op;
	return NULL;
}

/* The verbs that fill and empty a kind; NULL where it has none. */
static const struct ipk_op *filler(const struct ipk_kind *kind)
{
	return find_flags(kind, IPK_OP_IN | IPK_OP_WRITE, IPK_OP_CMD);
}

static const struct ipk_op *drainer(const struct ipk_kind *kind)
{
	return find_flags(kind, IPK_OP_CONSUME | IPK_OP_OUT, IPK_OP_CMD);
}

/* Values for the arguments of op: each has its own default, else something of the right type. */
static void fill_args(const struct world *w, const struct ipk_op *op, struct ipk_argval *val,
		      unsigned max)
{
	unsigned i = 0;

	memset(val, 0, max * sizeof(*val));
	for (const struct ipk_arg *a = op->args; a && a->type != IPK_ARG_END && i < max; a++, i++) {
		struct ipk_error err;
		const char *text = a->value;

		if (!text && !a->positional)
			continue;
		if (!text)
			text = a->type == IPK_ARG_VALUE ? w->value[0] :
			       a->type == IPK_ARG_TEXT ? "text" : "1";
		if (ipk_arg_parse(a, text, strlen(text), &val[i], &err) != 0)
			val[i].set = false;
	}
}

static const char *key_text(const struct world *w, const struct ipk_op *op)
{
	if (!(op->flags & IPK_OP_KEY) && !(w->kind->flags & IPK_KIND_KEYED))
		return NULL;
	return (w->kind->flags & IPK_KIND_KEYED) ? "k1" : "1";
}

static int run_op(const struct world *w, const struct ipk_op *op, const char *key, unsigned n,
		  struct ipk_segment *seg, void *handle, struct answer *ret)
{
	struct ipk_type *type = NULL, *key_type = NULL;
	struct ipk_argval val[16];
	struct ipk_call call = {0};
	struct feed feed = {.w = w, .out = &ret->out};
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
	if (text && ipk_type_parse(text, strlen(text), &type, &err) != 0)
		return -EINVAL;
	if (w->kind->key)
		ipk_type_parse(w->kind->key, strlen(w->kind->key), &key_type, &err);
	for (unsigned i = 0; in && i < n && i < MAX_INPUTS; i++) {
		const char *v = w->value[i];

		if (ipk_value_parse(type, v, strlen(v), 0, &feed.value[i], &err) != 0)
			return -EINVAL;
		feed.n++;
	}
	if (key_type && key)
		ipk_value_parse(key_type, key, strlen(key), 0, &feed.key, &err);
	fill_args(w, op, val, IPK_ARRAY_LEN(val));
	feed.type = type;
	call.seg = seg;
	call.handle = handle;
	call.type = type;
	call.key_type = key_type;
	call.key = key;
	call.key_len = key ? strlen(key) : 0;
	call.arg = val;
	call.count = (op->flags & IPK_OP_COUNT) ? n : 0;
	call.timeout = 0;
	call.next = feed_next;
	call.emit = feed_emit;
	call.flush = feed_flush;
	call.tool = &feed;
	ret->r = n ? op->run(&call) : 0;
	for (unsigned i = 0; i < MAX_INPUTS; i++)
		ipk_buf_free(&feed.value[i]);
	ipk_buf_free(&feed.key);
	ipk_type_free(type);
	ipk_type_free(key_type);
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

static int new_object(struct ipk_segment *seg, const struct world *w, const char *name)
{
	struct ipk_param param[2];
	unsigned n = 0;
	struct ipk_error err;
	const char *kind = w->kind ? w->kind->name : "queue";

	if (w->type)
		param[n++] = (struct ipk_param){"type", w->type};
	if (w->cap && (!w->kind || world_has_param(w->kind, "cap")))
		param[n++] = (struct ipk_param){"cap", w->cap};
	return ipk_object_new(seg, name, kind, param, n, &err);
}

static int own_create(const struct world *w, struct ipk_segment *seg, void *handle)
{
	(void)handle;
	return new_object(seg, w, "y");
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

static void add_trial(struct trial trials[], unsigned *n, const char *name, const struct ipk_op *op,
		      int (*own)(const struct world *, struct ipk_segment *, void *), unsigned inputs)
{
	struct trial *t = &trials[*n];

	if (*n == MAX_OPS)
		return;
	memset(t, 0, sizeof(*t));
	if (inputs > 1)
		snprintf(t->name, sizeof(t->name), "%s x%u", name, inputs);
	else
		snprintf(t->name, sizeof(t->name), "%s", name);
	t->op = op;
	t->own = own;
	t->inputs = inputs;
	(*n)++;
}

unsigned world_trials(const struct world *w, struct trial trials[MAX_OPS])
{
	unsigned n = 0;

	if (!w->kind) {
		add_trial(trials, &n, "create", NULL, own_create, 1);
		add_trial(trials, &n, "remove", NULL, own_remove, 1);
		add_trial(trials, &n, "rename", NULL, own_rename, 1);
		add_trial(trials, &n, "grow", NULL, own_grow, 1);
		add_trial(trials, &n, "sweep", NULL, own_sweep, 1);
		add_trial(trials, &n, "attach", NULL, own_attach, 1);
		return n;
	}
	for (const struct ipk_op *op = w->kind->ops; op->name; op++) {
		if ((op->flags & IPK_OP_CMD) && !(op->flags & IPK_OP_WRITE))
			continue;
		add_trial(trials, &n, op->name, op, NULL, 1);
		if ((op->flags & IPK_OP_IN) || ((op->flags & IPK_OP_COUNT)))
			add_trial(trials, &n, op->name, op, NULL, 3);
	}
	add_trial(trials, &n, "create", NULL, own_create, 1);
	add_trial(trials, &n, "remove", NULL, own_remove, 1);
	add_trial(trials, &n, "attach", NULL, own_attach, 1);
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
	      void *handle, struct answer *ret)
{
	if (t->op)
		return run_op(w, t->op, key_text(w, t->op), n, seg, handle, ret);
	ret->r = n ? t->own(w, seg, handle) : 0;
	return 0;
}

/* One run of a filling or draining verb with one input; keyed kinds get a key of their own each. */
static int feed_one(const struct world *w, const struct ipk_op *op, unsigned i,
		    struct ipk_segment *seg, void *handle)
{
	char key[16];
	struct world other = *w;
	const char *k = key_text(w, op);
	struct answer a = {0};
	int r;

	if (k && (w->kind->flags & IPK_KIND_KEYED)) {
		snprintf(key, sizeof(key), "k%u", i);
		k = key;
	} else if (k) {
		snprintf(key, sizeof(key), "%u", i);
		k = key;
	}
	/* Different values, so that storing the first again changes something. */
	if (k && w->value[(i + 1) % 3])
		other.value[0] = w->value[(i + 1) % 3];
	r = run_op(&other, op, k, 1, seg, handle, &a);
	ipk_buf_free(&a.out);
	return r != 0 ? r : a.r;
}

static int apply_fill(const struct world *w, enum fill fill, struct ipk_segment *seg, void *handle)
{
	const struct ipk_op *in = w->kind ? filler(w->kind) : NULL;
	const struct ipk_op *out = w->kind ? drainer(w->kind) : NULL;
	unsigned n = fill == FILL_SOME ? 2 : 12;

	if (fill == FILL_EMPTY)
		return 0;
	if (!in)
		return 1;
	for (unsigned i = 0; i < n; i++)
		if (feed_one(w, in, i, seg, handle) != 0)
			break;
	if (fill != FILL_WRAPPED)
		return 0;
	if (!out)
		return 1;
	/*
	 * Room for what follows: the position of a producer that died stays empty, and counts as
	 * taken until consumers have passed it.
	 */
	for (unsigned i = 0; i < 7; i++)
		feed_one(w, out, i, seg, handle);
	feed_one(w, in, 0, seg, handle);
	return 0;
}

int world_create(const struct world *w, enum fill fill, const char *name)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_segment *seg;
	struct ipk_error err = {0};
	void *handle;
	int r;

	if (!w->kind && fill > FILL_SOME)
		return 1;
	options.size = 128 << 10;
	options.max = 1 << 20;
	ipk_segment_remove(name, NULL);
	r = ipk_segment_create(name, &options, &seg, &err);
	if (r == 0)
		r = new_object(seg, w, "x");
	if (r == 0 && (!w->kind || fill == FILL_SOME))
		r = new_object(seg, w, "z");
	if (r != 0) {
		fprintf(stderr, "world %s: %s: %s\n", w->label, ipk_strerror(r), err.text);
		exit(1);
	}
	if (world_attach(w, seg, &handle) != 0) {
		fprintf(stderr, "world %s: cannot attach\n", w->label);
		exit(1);
	}
	r = apply_fill(w, fill, seg, handle);
	world_detach(w, handle);
	ipk_segment_close(seg);
	return r;
}

/* ---- contents as text -------------------------------------------------------------------------- */

struct dump {
	struct ipk_buf *out;
	struct ipk_type *type, *key;
	bool keyed;
};

static int dump_item(void *arg, const struct ipk_item *item)
{
	struct dump *d = arg;

	if (d->keyed && d->key) {
		ipk_value_print(d->key, item->key, item->key_len, IPK_VALUE_JSON, d->out);
		ipk_buf_str(d->out, "=");
	}
	if (ipk_value_print(d->type, item->data, item->len, IPK_VALUE_JSON, d->out) != 0)
		ipk_buf_str(d->out, "?");
	if (item->leased)
		ipk_buf_str(d->out, " leased");
	return ipk_buf_str(d->out, "\n");
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorts the lines of text: the order of a map's items is nobody's business. */
static void sort_lines(struct ipk_buf *out, size_t from)
{
	char *lines[512], *text = strndup(out->data + from, out->len - from), *save = NULL;
	size_t n = 0;

	for (char *l = strtok_r(text, "\n", &save); l && n < 512; l = strtok_r(NULL, "\n", &save))
		lines[n++] = l;
	qsort(lines, n, sizeof(*lines), compare_lines);
	out->len = from;
	for (size_t i = 0; i < n; i++)
		ipk_buf_printf(out, "%s\n", lines[i]);
	free(text);
}

static int dump_object(void *arg, const struct ipk_object_view *o)
{
	struct ipk_buf *out = arg;
	const struct ipk_kind *kind = ipk_kind_by_id(o->kind);
	struct dump d = {.out = out};
	uint64_t used = 0, cap = 0;
	size_t from;
	int r;

	if (!kind)
		return -EPROTO;
	r = kind->inspect(o, &used, &cap);
	ipk_buf_printf(out, "[%s %s used %llu cap %llu]\n", o->name, kind->name,
		       (unsigned long long)used, (unsigned long long)cap);
	if (r != 0)
		return ipk_buf_printf(out, "inspect: %s\n", ipk_strerror(r));
	if (kind->value)
		kind->value(o, out);
	if (kind->items && ipk_type_parse(o->type, strlen(o->type), &d.type, NULL) == 0) {
		if (o->key_type)
			ipk_type_parse(o->key_type, strlen(o->key_type), &d.key, NULL);
		d.keyed = kind->flags & IPK_KIND_KEYED;
		from = out->len;
		r = kind->items(o, 0, UINT64_MAX, dump_item, &d);
		if (r != 0)
			ipk_buf_printf(out, "items: %s\n", ipk_strerror(r));
		else if (d.keyed && out->data)
			sort_lines(out, from);
		ipk_type_free(d.type);
		ipk_type_free(d.key);
	}
	return ipk_buf_str(out, "\n");
}

struct named {
	char name[64];
	char *text;
};

struct objects {
	struct named v[32];
	unsigned n;
};

static int collect(void *arg, const struct ipk_object_view *o)
{
	struct objects *all = arg;
	struct ipk_buf one = {0};

	if (all->n == 32)
		return 0;
	dump_object(&one, o);
	ipk_buf_add(&one, "", 1);
	memcpy(all->v[all->n].name, o->name, sizeof(o->name));
	all->v[all->n++].text = one.data;
	return 0;
}

static int compare_named(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

int world_dump(const char *name, struct ipk_buf *out)
{
	struct objects all = {0};
	struct ipk_view *view;
	int r = ipk_view_open(name, &view, NULL);

	if (r != 0)
		return r;
	r = ipk_view_objects(view, collect, &all);
	qsort(all.v, all.n, sizeof(all.v[0]), compare_named);
	for (unsigned i = 0; i < all.n; i++) {
		ipk_buf_str(out, all.v[i].text);
		free(all.v[i].text);
	}
	ipk_buf_add(out, "", 1);
	ipk_view_close(view);
	return r;
}
