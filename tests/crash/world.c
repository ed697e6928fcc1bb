/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "crash.h"

const char *const fill_name[FILLS] = {"empty", "some", "full", "wrapped"};

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

/* Of a keyed kind. */
static const struct ipk_op *remover(const struct ipk_kind *kind)
{
	if (!(kind->flags & IPK_KIND_KEYED))
		return NULL;
	return find_flags(kind, IPK_OP_WRITE | IPK_OP_KEY, IPK_OP_IN | IPK_OP_OUT);
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
	struct ipk_type *type = NULL, *key_type = NULL;
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
	if (call.hold_fd >= 0 && op->ended)
		ret->r = op->ended(&call, 0);
	if (call.hold_fd >= 0)
		close(call.hold_fd);
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

	/* Without a command a verb that wants one takes for nobody, or refuses. */
	if (!(op->flags & IPK_OP_CMD) || (op->flags & IPK_OP_WRITE)) {
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

/* A kind whose items are their own keys. */
static bool own_keys(const struct ipk_kind *kind)
{
	return kind->flags & IPK_KIND_KEYED && !kind->key;
}

/* The key or position of a fill's item i; the first own key is the one that trials use. */
static const char *fill_key(const struct world *w, unsigned i, char buf[64])
{
	const char *form = !(w->kind->flags & IPK_KIND_KEYED) ? "%u"
			   : w->kind->key                     ? "k%u"
			   : w->type && *w->type == '{'       ? "{\"id\":%u,\"px\":0,\"sym\":\"\"}"
							      : "%u";

	if (own_keys(w->kind) && i == 0)
		return w->value[0];
	snprintf(buf, 64, form, own_keys(w->kind) ? 100 + i : i);
	return buf;
}

/* One run of a filling or draining verb with one input; keyed kinds get a key of their own each. */
static int feed_one(const struct world *w, const struct ipk_op *op, unsigned i,
		    struct ipk_segment *seg, void *handle)
{
	char buf[64];
	const struct trial t = {.op = op};
	struct world other = *w;
	const char *k = key_text(w, op) ? fill_key(w, i, buf) : NULL;
	struct answer a = {0};
	int r;

	if (own_keys(w->kind))
		other.value[0] = fill_key(w, i, buf);
	/* Different values, so that storing the first again changes something. */
	else if (k && w->value[(i + 1) % 3])
		other.value[0] = w->value[(i + 1) % 3];
	r = run_op(&other, &t, k, 1, seg, handle, 0, &a);
	ipk_buf_free(&a.out);
	return r != 0 ? r : a.r;
}

/*
 * A keyed kind that has shrunk: many keys, of which the first few are left. The numbers are those
 * of a map, whose table then is one deletion larger than it has to be; FILL_FULL's fill one to the
 * brim.
 */
static int shrink(const struct world *w, struct ipk_segment *seg, void *handle)
{
	const struct ipk_op *in = filler(w->kind), *del = remover(w->kind);

	for (unsigned i = 0; i < 40; i++)
		feed_one(w, in, i, seg, handle);
	for (unsigned i = 39; i >= 8; i--)
		feed_one(w, del, i, seg, handle);
	return 0;
}

static int apply_fill(const struct world *w, enum fill fill, struct ipk_segment *seg, void *handle)
{
	const struct ipk_op *in = w->kind ? filler(w->kind) : NULL;
	const struct ipk_op *out = w->kind ? drainer(w->kind) : NULL;
	unsigned n = fill == FILL_SOME ? 2 : 12;

	if (fill == FILL_EMPTY || !w->kind)
		return 0;
	if (fill == FILL_WRAPPED && remover(w->kind))
		return shrink(w, seg, handle);
	for (unsigned i = 0; i < n; i++)
		if (feed_one(w, in, i, seg, handle) != 0)
			break;
	if (fill != FILL_WRAPPED)
		return 0;
	/*
	 * Room for what follows: the position of a producer that died stays empty, and counts as
	 * taken until consumers have passed it.
	 */
	for (unsigned i = 0; i < 7; i++)
		feed_one(w, out, i, seg, handle);
	feed_one(w, in, 0, seg, handle);
	return 0;
}

unsigned world_states(const struct world *w)
{
	if (!w->kind)
		return 2;
	if (!filler(w->kind))
		return 1;
	return drainer(w->kind) || remover(w->kind) ? FILLS : FILL_FULL + 1;
}

int world_create(const struct world *w, enum fill fill, const char *name)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_segment *seg;
	struct ipk_error err = {0};
	void *handle;
	int r;

	if (fill >= world_states(w))
		return 1;
	options.size = 128 << 10;
	options.max = 1 << 20;
	ipk_segment_remove(name, NULL);
	r = ipk_segment_create(name, &options, &seg, &err);
	if (r == 0)
		r = world_new_object(seg, w, "x");
	if (r == 0)
		r = world_new_object(seg, w, "z");
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
