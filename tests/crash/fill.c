/* SPDX-License-Identifier: MIT */
/* The states in which operations begin: empty, some, full, and one that has been fuller. */
#include <stdio.h>
#include <stdlib.h>

#include "crash.h"

const char *const fill_name[FILLS] = {"empty", "some", "full", "wrapped"};

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
	bool keyed = op->flags & IPK_OP_KEY || w->kind->key;
	const struct trial t = {.op = op, .key = keyed ? fill_key(w, i, buf) : NULL};
	struct world other = *w;
	struct answer a = {0};
	int r;

	if (own_keys(w->kind))
		other.value[0] = fill_key(w, i, buf);
	/* Different values, so that storing the first again changes something. */
	else if (keyed && w->value[(i + 1) % 3])
		other.value[0] = w->value[(i + 1) % 3];
	r = world_run(&other, &t, 1, seg, handle, 0, &a);
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
