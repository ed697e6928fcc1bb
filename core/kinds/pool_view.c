/* SPDX-License-Identifier: MIT */
/* Pools for tools: the descriptor, the verbs, and reading without trust. */
#include <stdio.h>
#include <stdlib.h>

#include "base/copy.h"
#include "kinds/await.h"
#include "kinds/hooks.h"
#include "kinds/pool.h"
#include "segment/view.h"
#include "object_type.h"

static const struct ipk_arg params[] = {
	{.name = "cap",
	 .type = IPK_ARG_U64,
	 .min = 1,
	 .max = IPK_POOL_CAP_MAX,
	 .value = "1024",
	 .help = "number of objects"},
	{.type = IPK_ARG_END},
};

static int pool_size(const struct ipk_new *n, uint64_t *ret_size, struct ipk_error *err)
{
	if (!n->type->size)
		return ipk_error_set(err, -EMEDIUMTYPE,
				     "objects of a pool have a fixed size, and %s has none: use "
				     "%s:N with the longest length, such as %s:64",
				     n->type->text, n->type->base == IPK_BYTES ? "bytes" : "str",
				     n->type->base == IPK_BYTES ? "bytes" : "str");
	*ret_size = ipk_pool_bytes(n->param[0].u64, n->type->size);
	return *ret_size ? 0 : -EINVAL;
}

static int pool_create(struct ipk_tx *tx, void *body, uint64_t body_off, const struct ipk_new *n)
{
	struct ipk_pool_body *b = body;

	(void)tx;
	(void)body_off;
	b->cap = n->param[0].u64;
	b->size = n->type->size;
	return 0;
}

IPK_ATTACH_DETACH(pool, ipk_pool_open(seg, name, NULL, &handle, err))

/* ---- views ---------------------------------------------------------------------------------- */

struct found {
	struct ipk_cells_at at;
	u64 data; /* offset of object 0 */
	u32 size;
};

static int measure(const struct ipk_object_view *o, struct found *ret)
{
	struct ipk_pool_body body;
	u32 size;
	u64 bytes;
	int r;

	r = ipk_view_body(o, &body, sizeof(body));
	if (r < 0)
		return r;
	bytes = ipk_pool_bytes(body.cap, body.size);
	if (!bytes || bytes > o->body_size)
		return -EBADMSG;
	r = ipk_text_size(o->type, &size);
	if (r < 0)
		return r;
	ret->at = (struct ipk_cells_at){o->body + sizeof(body), body.cap, 8};
	ret->data = o->body + ipk_pool_data(body.cap);
	ret->size = body.size;
	return size == body.size ? 0 : -EBADMSG;
}

static int count(const struct ipk_object_view *o, struct found *ret, struct ipk_cells_count *ret_c)
{
	int r = measure(o, ret);

	return r < 0 ? r : ipk_cells_count(o, &ret->at, ret_c);
}

static int pool_inspect(const struct ipk_object_view *o, uint64_t *ret_used, uint64_t *ret_cap)
{
	struct ipk_cells_count c;
	struct found f;
	int r = count(o, &f, &c);

	if (r < 0)
		return r;
	*ret_used = f.at.cap - c.free;
	*ret_cap = f.at.cap;
	return 0;
}

static const char *const stat_names[] = {"free",     "held",          "held_by_nobody",
					 "acquired", "element_bytes", NULL};

static int pool_stats(const struct ipk_object_view *o, struct ipk_visitor *v)
{
	struct ipk_cells_count c;
	struct found f;
	int r = count(o, &f, &c);

	if (!r)
		r = v->u64(v, stat_names[0], c.free);
	if (!r)
		r = v->u64(v, stat_names[1], f.at.cap - c.free);
	if (!r)
		r = v->u64(v, stat_names[2], c.nobody);
	if (!r)
		r = v->u64(v, stat_names[3], c.taken);
	if (!r)
		r = v->u64(v, stat_names[4], f.size);
	return r;
}

struct walk {
	const struct ipk_object_view *o;
	struct found f;
	uint64_t from, to;
	ipk_item_fn *fn;
	void *arg;
	u8 *buf;
	u64 seen;
};

/* Only what somebody has is an item. */
static int walk_cell(void *arg, u64 i, u64 cell)
{
	struct walk *w = arg;
	struct ipk_item item = {.data = w->buf, .len = w->f.size, .pos = i};
	int r;

	if (i < w->from || i >= w->to || ipk_cell_is_free(cell))
		return 0;
	r = ipk_view_read(w->o->view, w->f.data + i * w->f.size, w->buf, w->f.size);
	w->seen++;
	return r < 0 ? r : w->fn(w->arg, &item);
}

static int walk(struct walk *w)
{
	struct ipk_cells_at at = w->f.at;
	int r;

	w->buf = malloc(w->f.size);
	if (!w->buf)
		return -ENOMEM;
	if (w->to < at.cap)
		at.cap = w->to;
	r = ipk_cells_each(w->o, &at, walk_cell, w);
	free(w->buf);
	return r;
}

static int pool_items(const struct ipk_object_view *o, uint64_t from, uint64_t to, ipk_item_fn *fn,
		      void *arg)
{
	struct walk w = {.o = o, .from = from, .to = to, .fn = fn, .arg = arg};
	int r = measure(o, &w.f);

	return r < 0 ? r : walk(&w);
}

static int pool_item(const struct ipk_object_view *o, const char *key, size_t len, ipk_item_fn *fn,
		     void *arg)
{
	struct walk w = {.o = o, .fn = fn, .arg = arg};
	bool one;
	int r = measure(o, &w.f);

	if (!r)
		r = ipk_range_parse(key, len, &w.from, &w.to, &one);
	if (r < 0)
		return r;
	if (one)
		w.to = w.from < w.f.at.cap ? w.from + 1 : w.from;
	else if (w.to == UINT64_MAX)
		w.to = w.f.at.cap;
	if (w.from > w.f.at.cap || w.to > w.f.at.cap || (one && w.from == w.f.at.cap))
		return -ERANGE;
	r = walk(&w);
	return !r && one && !w.seen ? -ENOENT : r;
}

/* All of them, so that an index finds its object. */
static int pool_raw(const struct ipk_object_view *o, struct ipk_buf *bytes)
{
	struct found f;
	u8 buf[4096];
	u64 off, end, n;
	int r = measure(o, &f);

	if (r < 0)
		return r;
	for (off = f.data, end = f.data + f.at.cap * f.size; !r && off < end; off += n) {
		n = end - off < sizeof(buf) ? end - off : sizeof(buf);
		r = ipk_view_read(o->view, off, buf, n);
		if (!r)
			r = ipk_buf_add(bytes, buf, n);
	}
	return r;
}

static int pool_holders(const struct ipk_object_view *o, ipk_holder_fn *fn, void *arg)
{
	struct found f;
	int r = measure(o, &f);

	return r < 0 ? r : ipk_cells_holders(o, &f.at, NULL, fn, arg);
}

static int pool_check(const struct ipk_object_view *o, struct ipk_checker *c)
{
	struct found f;
	int r = measure(o, &f);

	if (r == -EBADMSG) {
		c->finding(c, "size, capacity and element type of the pool do not fit together");
		return 0;
	}
	return r < 0 ? r : ipk_cells_check(o, &f.at, "object", c);
}

static int pool_repair(const struct ipk_object_view *o, struct ipk_repairer *r)
{
	struct ipk_pool_body *b = o->body_size < sizeof(*b) ? NULL : r->at(r, o->body, sizeof(*b));
	struct found f;
	u64 bytes;
	u32 size;
	int error = b ? measure(o, &f) : -EBADMSG;

	if (error == -EBADMSG && b) {
		error = ipk_text_size(o->type, &size);
		if (error < 0)
			return error;
		bytes = ipk_pool_bytes(o->opts[0], size);
		if (bytes && bytes <= o->body_size) {
			b->cap = o->opts[0];
			b->size = size;
			r->did(r, "it has %llu objects of %u bytes, as when it was made",
			       (unsigned long long)b->cap, b->size);
		}
		error = measure(o, &f);
	}
	return error < 0 ? error : ipk_cells_repair(o, &f.at, "objects", r);
}

/* ---- verbs ---------------------------------------------------------------------------------- */

static int tell_index(struct ipk_call *call, u64 index)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)index);
	struct ipk_item item = {.data = text, .len = (u64)n, .text = true};

	return call->emit(call, &item);
}

static int none_free(struct ipk_call *call, int r)
{
	return r == -EAGAIN ? ipk_error_set(&call->err, r, "no object is free") : r;
}

/*
 * Takes an object for nobody, with this in it, or zeros. It is nobody's only then: killed before,
 * it is as if it had never been acquired.
 */
static int take_with(struct ipk_call *call, const void *data)
{
	struct ipk_pool *pool = call->handle;
	uint64_t index;
	int r = ipk_pool_acquire_first(pool, ipk_call_deadline(call), &index);

	if (r < 0)
		return none_free(call, r);
	if (data)
		ipk_copy_in(ipk_pool_view(pool, index), data, pool->s.size);
	else
		memset(ipk_pool_view(pool, index), 0, pool->s.size);
	r = ipk_pool_give(pool, index);
	call->done += !r;
	return r < 0 ? r : tell_index(call, index);
}

static int run_acquire(struct ipk_call *call)
{
	struct ipk_pool *pool = call->handle;
	int r;

	if (!call->hold) {
		r = take_with(call, NULL);
		return r < 0 ? r : call->flush(call);
	}
	r = ipk_pool_hold(pool, ipk_call_deadline(call), &call->hold_index, &call->hold_fd);
	if (r < 0)
		return none_free(call, r);
	memset(ipk_pool_view(pool, call->hold_index), 0, pool->s.size);
	call->done = 1;
	return 0;
}

static int add_one(struct ipk_call *call, const struct ipk_item *item)
{
	const struct ipk_pool *pool = call->handle;

	if (item->len != pool->s.size)
		return ipk_error_set(&call->err, -EINVAL, "an object has %u bytes, not %llu",
				     pool->s.size, (unsigned long long)item->len);
	return take_with(call, item->data);
}

static int run_add(struct ipk_call *call)
{
	struct ipk_item item;
	int n, r = 0;

	while (!r && (n = call->next(call, &item, 1)) != 0)
		r = n < 0 ? n : add_one(call, &item);
	if (call->done) {
		n = call->flush(call);
		r = r ? r : n;
	}
	return r;
}

static int run_release(struct ipk_call *call)
{
	struct ipk_pool *pool = call->handle;
	uint64_t from, to;
	bool one;
	int r = ipk_range_parse(call->key, call->key_len, &from, &to, &one);

	if (r < 0 || !one)
		return ipk_error_set(&call->err, -EINVAL, "\"%.*s\" is no index",
				     call->key_len < 64 ? (int)call->key_len : 64, call->key);
	r = ipk_pool_release(pool, from);
	call->done = !r;
	switch (r) {
	case -ERANGE:
		return ipk_error_set(&call->err, r, "the pool has %llu objects",
				     (unsigned long long)pool->s.cells.cap);
	case -ENOENT:
		return ipk_error_set(&call->err, r, "nobody has object %llu",
				     (unsigned long long)from);
	case -EBUSY:
		return ipk_error_set(
			&call->err, r,
			"another process has object %llu; it comes back when that ends",
			(unsigned long long)from);
	default:
		return r;
	}
}

const struct ipk_op ipk_pool_ops[] = {
	{.name = "acquire",
	 .summary = "take an object, zeroed, for a command's life or until somebody releases it",
	 .example = "ipcctl acquire S/x; ipcctl acquire S/x -- sh -c 'echo object $IPK_INDEX'",
	 .flags = IPK_OP_WRITE | IPK_OP_BLOCK | IPK_OP_CMD | IPK_OP_CMD_OPTIONAL,
	 .run = run_acquire},
	{.name = "add",
	 .summary = "take an object, put a value in, and print its index",
	 .example = "ipcctl add S/x hello; ipcctl get S/x/0",
	 .flags = IPK_OP_WRITE | IPK_OP_BLOCK | IPK_OP_IN,
	 .run = run_add},
	{.name = "release",
	 .summary = "give back an object that was taken without a command",
	 .example = "ipcctl acquire S/x; ipcctl release S/x/0",
	 .flags = IPK_OP_WRITE | IPK_OP_KEY,
	 .run = run_release},
	{.name = NULL},
};

static int bench_rounds(void *handle, uint64_t n)
{
	uint64_t index;
	int r = 0;

	while (n-- && !r) {
		r = ipk_pool_acquire(handle, IPK_NOWAIT, &index);
		if (!r)
			r = ipk_pool_release(handle, index);
	}
	return r;
}
static const struct ipk_bench bench = {.round = "acquire + release", .rounds = bench_rounds};

static const struct ipk_next next[] = {
	{"free", "0", "who REF"},
	{NULL, NULL, "acquire REF -- CMD"},
};

const struct ipk_kind ipk_kind_pool = {
	.id = 13,
	.version = 1,
	.name = "pool",
	.summary = "objects of one size that processes take, use in place, and give back",
	.text = "A pool has --cap objects of the element type, side by side. Each says "
		"who has it: a thread, the processes that inherited a descriptor (acquire"
		" REF -- CMD; CMD finds the index in $IPK_INDEX), or nobody (acquire "
		"without a command, and add, print the index; release REF/INDEX gives it "
		"back). The objects of a process that dies come back by themselves and "
		"wake who waits. Releasing one that is free is an error. get and items/ "
		"show what is taken, raw all; what an owner is just writing may look half"
		" written.",
	.type = "str:64",
	.flags = IPK_KIND_INDEXED | IPK_KIND_RAW,
	.params = params,
	.ops = ipk_pool_ops,
	.stats = stat_names,
	.next = next,
	.size = pool_size,
	.create = pool_create,
	.attach = pool_attach,
	.detach = pool_detach,
	.attachable = ipk_pool_attachable,
	.recover = ipk_pool_recover,
	.wake = ipk_pool_wake,
	.inspect = pool_inspect,
	.stats_visit = pool_stats,
	.items = pool_items,
	.item = pool_item,
	.raw = pool_raw,
	.holders = pool_holders,
	.check = pool_check,
	.repair = pool_repair,
	.bench = &bench,
};
