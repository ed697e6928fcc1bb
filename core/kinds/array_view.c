/* SPDX-License-Identifier: MIT */
/* Arrays for tools: the descriptor, and reading without trust. The verbs are in array_ops.c. */
#include <stdlib.h>

#include "kinds/array.h"
#include "kinds/hooks.h"
#include "segment/view.h"
#include "object_type.h"

/* What a view reads at once. Its start is congruent with the segment's so that words stay whole. */
#define CHUNK 65536u
/* A view gives up when it was overtaken by a whole log that often in a row. */
#define VIEW_TRIES 10000u

#define ARRAY_CAP_MAX (UINT64_C(1) << 48)

static const struct ipk_arg params[] = {
	{ .name = "cap",
	  .type = IPK_ARG_U64,
	  .min = 1,
	  .max = ARRAY_CAP_MAX,
	  .value = "1024",
	  .help = "number of elements" },
	{ .type = IPK_ARG_END },
};

static int array_body_size(const struct ipk_new *n, uint64_t *ret_size, struct ipk_error *err)
{
	struct ipk_array_body body;
	u64 bytes;

	if (!n->type->size)
		return ipk_error_set(err, -EMEDIUMTYPE,
				     "elements of an array have a fixed size, and %s has none: use %s:N "
				     "with the longest length, such as %s:64",
				     n->type->text, n->type->base == IPK_BYTES ? "bytes" : "str",
				     n->type->base == IPK_BYTES ? "bytes" : "str");
	bytes = ipk_array_layout(n->param[0].u64, n->type->size, &body);
	if (!bytes)
		return ipk_error_set(err, -ENOSPC,
				     "%llu elements of %u bytes are more than any segment can hold",
				     (unsigned long long)n->param[0].u64, n->type->size);
	*ret_size = bytes;
	return 0;
}

static int array_create(struct ipk_tx *tx, void *body, uint64_t body_off, const struct ipk_new *n)
{
	(void)tx;
	(void)body_off;
	ipk_array_layout(n->param[0].u64, n->type->size, body);
	return 0;
}

IPK_ATTACH_DETACH(array, ipk_array_open(seg, name, NULL, &handle, err))

/* ---- views ----------------------------------------------------------------------------------- */

static int measure(const struct ipk_object_view *o, struct ipk_array_geometry *ret_g)
{
	struct ipk_array_body body;
	u32 size;
	int r;

	r = ipk_view_body(o, &body, sizeof(body));
	if (!r)
		r = ipk_array_measure(&body, o->body, o->body_size, ret_g);
	if (r < 0)
		return r;
	r = ipk_text_size(o->type, &size);
	if (r < 0)
		return r;
	return size == ret_g->size ? 0 : -EBADMSG;
}

static int array_inspect(const struct ipk_object_view *o, uint64_t *ret_used, uint64_t *ret_cap)
{
	struct ipk_array_geometry g;
	int r = measure(o, &g);

	if (r < 0)
		return r;
	*ret_used = g.cap;
	*ret_cap = g.cap;
	return 0;
}

static const char *const stat_names[] = { "element_bytes", "data_offset", "wide_writes", NULL };

static int array_stats(const struct ipk_object_view *o, struct ipk_visitor *v)
{
	struct ipk_array_geometry g;
	u64 seq = 0;
	int r = measure(o, &g);

	if (!r && g.slots)
		r = ipk_view_u64(o->view, g.seq, &seq);
	if (!r)
		r = v->u64(v, stat_names[0], g.size);
	if (!r)
		r = v->u64(v, stat_names[1], g.data);
	if (!r && g.slots)
		r = v->u64(v, stat_names[2], ipk_array_committed(seq));
	return r;
}

/* Calls fn with runs of whole elements of [from, to). */
static int each_chunk(const struct ipk_object_view *o, const struct ipk_array_geometry *g, u64 from,
		      u64 to, int (*fn)(void *arg, const u8 *data, u64 index, u64 n), void *arg)
{
	const struct ipk_array_source src = { .view = o->view };
	u64 n, step = g->size < CHUNK ? CHUNK / g->size : 1;
	u8 *buf, *data;
	int r = 0;

	if (posix_memalign((void **)&buf, IPK_LINE, IPK_LINE + step * g->size) != 0)
		return -ENOMEM;
	for (; !r && from < to; from += n) {
		u64 off = g->data + from * g->size;

		n = to - from < step ? to - from : step;
		data = buf + off % IPK_LINE;
		if (g->slots)
			r = ipk_array_read_range(g, &src, from, n, data, VIEW_TRIES);
		else
			r = ipk_view_read(o->view, off, data, n * g->size);
		if (!r)
			r = fn(arg, data, from, n);
	}
	free(buf);
	return r;
}

struct item_arg {
	ipk_item_fn *fn;
	void *arg;
	u32 size;
};

static int give_items(void *arg, const u8 *data, u64 index, u64 n)
{
	const struct item_arg *a = arg;
	int r = 0;

	for (; !r && n; n--, index++, data += a->size) {
		struct ipk_item item = { .data = data, .len = a->size, .pos = index };

		r = a->fn(a->arg, &item);
	}
	return r;
}

static int array_items(const struct ipk_object_view *o, uint64_t from, uint64_t to, ipk_item_fn *fn,
		       void *arg)
{
	struct ipk_array_geometry g;
	struct item_arg a = { .fn = fn, .arg = arg };
	int r = measure(o, &g);

	if (r < 0)
		return r;
	a.size = g.size;
	return each_chunk(o, &g, from, to < g.cap ? to : g.cap, give_items, &a);
}

static int array_item(const struct ipk_object_view *o, const char *key, size_t len, ipk_item_fn *fn,
		      void *arg)
{
	struct ipk_array_geometry g;
	struct item_arg a = { .fn = fn, .arg = arg };
	uint64_t from, to;
	int r = measure(o, &g);

	if (!r)
		r = ipk_array_key(key, len, g.cap, &from, &to, NULL);
	if (r < 0)
		return r;
	a.size = g.size;
	return each_chunk(o, &g, from, to, give_items, &a);
}

struct raw_arg {
	struct ipk_buf *bytes;
	u32 size;
};

static int give_bytes(void *arg, const u8 *data, u64 index, u64 n)
{
	const struct raw_arg *a = arg;

	(void)index;
	return ipk_buf_add(a->bytes, data, n * a->size);
}

static int array_raw(const struct ipk_object_view *o, struct ipk_buf *bytes)
{
	struct ipk_array_geometry g;
	struct raw_arg a = { .bytes = bytes };
	int r = measure(o, &g);

	if (r < 0)
		return r;
	a.size = g.size;
	return each_chunk(o, &g, 0, g.cap, give_bytes, &a);
}

static int lock_word(const struct ipk_object_view *o, u64 *ret_word)
{
	return ipk_view_u64(o->view, o->body + offsetof(struct ipk_array_body, lock), ret_word);
}

static int array_holders(const struct ipk_object_view *o, ipk_holder_fn *fn, void *arg)
{
	struct ipk_array_geometry g;
	u64 word = 0;
	int r = measure(o, &g);

	if (!r)
		r = lock_word(o, &word);
	if (r < 0 || !(word & IPK_LOCK_OWNER))
		return r;
	return fn(arg, (u32)(word & IPK_LOCK_OWNER) - 1, "writer", 1);
}

static int array_check(const struct ipk_object_view *o, struct ipk_checker *c)
{
	struct ipk_array_geometry g;
	u64 seq, index;
	int r = measure(o, &g);

	if (r == -EBADMSG) {
		c->finding(c, "size, capacity and element type of the array do not fit together");
		return 0;
	}
	if (r < 0 || !g.slots)
		return r;
	r = ipk_view_u64(o->view, g.seq, &seq);
	if (r < 0 || !(seq & 1))
		return r;
	r = ipk_view_u64(o->view, ipk_array_entry(&g, ipk_array_done(seq)), &index);
	if (!r && index >= g.cap) {
		u64 again;

		/* Of a writer that went on meanwhile we know nothing. */
		r = ipk_view_u64(o->view, g.seq, &again);
		if (!r && again == seq)
			c->finding(c, "a write to element %llu of %llu is under way",
				   (unsigned long long)index, (unsigned long long)g.cap);
	}
	return r;
}

/* The constants follow from type and capacity; a write to nowhere is dropped. */
static int array_repair(const struct ipk_object_view *o, struct ipk_repairer *r)
{
	struct ipk_array_body *b = r->at(r, o->body, sizeof(*b)), want;
	struct ipk_array_geometry g;
	u64 bytes, *index;
	u32 size;
	int error = b ? measure(o, &g) : -EBADMSG;

	if (error == -EBADMSG && b) {
		error = ipk_text_size(o->type, &size);
		if (error < 0)
			return error;
		bytes = ipk_array_layout(o->opts[0], size, &want);
		if (!bytes || bytes > o->body_size)
			return -EBADMSG;
		want.lock = b->lock;
		want.seq = b->seq;
		*b = want;
		r->did(r, "it has %llu elements of %u bytes, as when it was made",
		       (unsigned long long)want.cap, want.size);
		error = measure(o, &g);
	}
	if (error < 0 || !g.slots || !(b->seq & 1))
		return error;
	index = r->at(r, ipk_array_entry(&g, ipk_array_done(b->seq)), sizeof(*index));
	if (!index)
		return -EBADMSG;
	if (*index >= g.cap) {
		r->did(r, "a write to element %llu, which it does not have, is dropped",
		       (unsigned long long)*index);
		b->seq++;
	}
	return 0;
}

static int bench_rounds(void *handle, uint64_t n)
{
	u64 val[512] = {0}, i = 0, cap = ipk_array_count(handle);
	int r = 0;

	if (ipk_array_size(handle) > sizeof(val))
		return -EMSGSIZE;
	while (n-- && !r) {
		r = ipk_array_set(handle, i, val, IPK_NOWAIT);
		if (!r)
			r = ipk_array_get(handle, i, val);
		i = i + 1 < cap ? i + 1 : 0;
	}
	return r;
}

static const struct ipk_bench bench = {.round = "set + get", .rounds = bench_rounds, .elements = true, .capacity = true};

const struct ipk_kind ipk_kind_array = {
	.id = 1,
	.version = 1,
	.name = "array",
	.summary = "elements of one fixed-size type side by side, read and written in place",
	.text = "An array holds --cap elements of a fixed-size type, all zero at first, laid out as a C "
		"array: programs may work on them through a plain pointer, and the raw file is what "
		"numpy.fromfile() reads. Elements of 1, 2, 4 and 8 bytes are read and written by "
		"single machine accesses; larger ones are never torn: a reader gets the old or the "
		"new value and never waits, writers take turns. A process killed in the middle of a "
		"write leaves the old value or the new one. A slice is read and written element by "
		"element.",
	.type = "f64",
	.flags = IPK_KIND_INDEXED | IPK_KIND_RAW | IPK_KIND_WRITE_ITEM,
	.params = params,
	.ops = ipk_array_ops,
	.stats = stat_names,
	.size = array_body_size,
	.create = array_create,
	.attach = array_attach,
	.detach = array_detach,
	.attachable = ipk_array_attachable,
	.recover = ipk_array_recover,
	.inspect = array_inspect,
	.stats_visit = array_stats,
	.items = array_items,
	.item = array_item,
	.raw = array_raw,
	.holders = array_holders,
	.check = array_check,
	.repair = array_repair,
	.bench = &bench,
};
