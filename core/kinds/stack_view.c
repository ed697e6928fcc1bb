/* SPDX-License-Identifier: MIT */
/*
 * What a stack holds, read without trust and without the lock; why the values are whole is in
 * stack.h. The positions of what is leased continue those of what is on the stack: there it would
 * come back to.
 */
#include <stdlib.h>

#include "kinds/stack_view.h"
#include "segment/view.h"
#include "object_type.h"

#define CHUNK 65536u
#define CHUNK_STRIDE 1024u /* slots further apart are read one by one */
#define TRIES 100          /* looks at an item that changes under them */

int ipk_stack_look(const struct ipk_object_view *o, struct ipk_stack_view *ret)
{
	u32 size;
	int r;

	r = ipk_view_body(o, &ret->b, sizeof(ret->b));
	if (r == 0)
		r = ipk_stack_measure(&ret->b, o->body, o->body_size, &ret->g);
	if (r < 0)
		return r;
	r = ipk_text_size(o->type, &size);
	if (r < 0)
		return r;
	ret->o = o;
	return size == ret->g.size ? 0 : -EBADMSG;
}

/* Slots [id, id + n) in one read. */
static int words_chunk(struct ipk_stack_view *sv, u8 *chunk, u32 id, u64 n, ipk_stack_word_fn *fn,
		       void *arg)
{
	u64 off = sv_slot(sv, id);
	u8 *at = chunk + off % IPK_LINE; /* as aligned as there: words stay whole */
	int r = ipk_view_read(sv->o->view, off, at, (n - 1) * sv->g.stride + 8);

	for (u64 k = 0; r == 0 && k < n; k++) {
		u64 w;

		memcpy(&w, at + k * sv->g.stride, sizeof(w));
		r = fn(sv, arg, id + (u32)k, w);
	}
	return r;
}

int ipk_stack_words(struct ipk_stack_view *sv, ipk_stack_word_fn *fn, void *arg)
{
	u64 most = sv->g.stride <= CHUNK_STRIDE ? CHUNK / sv->g.stride : 1;
	u8 *chunk = aligned_alloc(IPK_LINE, CHUNK + IPK_LINE);
	int r = chunk ? 0 : -ENOMEM;

	for (u64 id = 0; r == 0 && id < sv->g.cap; id += most) {
		u64 n = sv->g.cap - id < most ? sv->g.cap - id : most;

		r = words_chunk(sv, chunk, (u32)id, n, fn, arg);
	}
	free(chunk);
	return r;
}

/* ---- leases --------------------------------------------------------------------------------- */

static int note_leased(struct ipk_stack_view *sv, void *arg, u32 id, u64 w)
{
	struct ipk_stack_leased *l = arg;
	void *more;

	(void)sv;
	if (!sw_own(w))
		return 0;
	if (l->n == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 64;
		more = reallocarray(l->v, l->cap, sizeof(*l->v));
		if (!more)
			return -ENOMEM;
		l->v = more;
	}
	l->v[l->n].w = w;
	l->v[l->n++].id = id;
	return 0;
}

static int latest_first(const void *a, const void *b)
{
	u64 x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return sw_later(x, y) ? -1 : sw_later(y, x);
}

int ipk_stack_find_leased(struct ipk_stack_view *sv, struct ipk_stack_leased *ret)
{
	int r;

	*ret = (struct ipk_stack_leased){0};
	if (!st_leased(sv->b.top) && !(sv->b.lock & IPK_LOCK_OWNER))
		return 0;
	r = ipk_stack_words(sv, note_leased, ret);
	if (r == 0 && ret->n > 1)
		qsort(ret->v, ret->n, sizeof(*ret->v), latest_first);
	return r;
}

/* ---- numbers -------------------------------------------------------------------------------- */

int ipk_stack_inspect(const struct ipk_object_view *o, uint64_t *ret_used, uint64_t *ret_cap)
{
	struct ipk_stack_view sv;
	int r = ipk_stack_look(o, &sv);

	if (r < 0)
		return r;
	if (st_used(sv.b.top) > sv.g.cap)
		return -EBADMSG;
	*ret_used = st_used(sv.b.top);
	*ret_cap = sv.g.cap;
	return 0;
}

const char *const ipk_stack_stat_names[] = {"pushed",      "popped", "leased",
					    "redelivered", "closed", NULL};

int ipk_stack_stats(const struct ipk_object_view *o, struct ipk_visitor *v)
{
	struct ipk_stack_view sv;
	int r = ipk_stack_look(o, &sv);
	u64 used = st_used(sv.b.top);
	u64 val[] = {sv.b.pushed, sv.b.pushed > used ? sv.b.pushed - used : 0, st_leased(sv.b.top),
		     sv.b.redelivered, sv.b.shut != 0};

	for (unsigned i = 0; r == 0 && ipk_stack_stat_names[i]; i++)
		r = v->u64(v, ipk_stack_stat_names[i], val[i]);
	return r;
}

/* ---- items ---------------------------------------------------------------------------------- */

struct walk {
	ipk_item_fn *fn;
	void *arg;
	struct ipk_buf value;
	u64 seen;
};

static int read_value(struct ipk_stack_view *sv, struct walk *wk, u32 id)
{
	return ipk_slot_read(sv->o->view, sv_slot(sv, id) + 8, sv->g.size, &wk->value);
}

static int give(struct walk *wk, u64 w, u64 pos)
{
	struct ipk_item item = {
		.data = wk->value.data,
		.len = wk->value.len,
		.pos = pos,
		.redelivered = sw_rdc(w),
		.leased = sw_own(w) != 0,
	};

	wk->seen++;
	return wk->fn(wk->arg, &item);
}

/* What of position i can be said by one word each: 0: *ret_id and *ret_w are its; 1: it is not
 * there. */
static int find_at(struct ipk_stack_view *sv, u64 i, u32 *ret_id, u64 *ret_w)
{
	struct ipk_view *view = sv->o->view;
	u64 top, body = sv->o->body;
	int r = ipk_view_u64(view, body + offsetof(struct ipk_stack_body, top), &top);

	if (r < 0 || i >= st_n(top) || i >= sv->g.cap)
		return r < 0 ? r : 1;
	r = ipk_view_u32(view, sv->g.order + i * sizeof(u32), ret_id);
	if (r == 0 && *ret_id >= sv->g.cap)
		r = -EBADMSG;
	return r < 0 ? r : ipk_view_u64(view, sv_slot(sv, *ret_id), ret_w);
}

/* Gives out the item at position i, if there is one that is not leased. */
static int walk_position(struct ipk_stack_view *sv, struct walk *wk, u64 i)
{
	const u64 turn_at = sv->o->body + offsetof(struct ipk_stack_body, turn);

	for (int tries = TRIES; tries; tries--) {
		u64 w, now, turn, last;
		u32 id, same;
		int r = ipk_view_u64(sv->o->view, turn_at, &turn), again;

		r = r < 0 ? r : find_at(sv, i, &id, &w);
		if (r || sw_own(w))
			return r < 0 ? r : 0;
		r = read_value(sv, wk, id);
		if (r < 0 && r != -EBADMSG)
			return r;
		again = find_at(sv, i, &same, &now);
		if (again == 0)
			again = ipk_view_u64(sv->o->view, turn_at, &last);
		if (again < 0)
			return again;
		/* A stack that never rests is shown all the same. */
		if (again || same != id || now != w || (last != turn && tries > 1))
			continue;
		return r < 0 ? r : give(wk, w, i);
	}
	return 0;
}

/* The one that was leased as w, if it still is. */
static int walk_leased(struct ipk_stack_view *sv, struct walk *wk, u32 id, u64 w, u64 pos)
{
	int r = read_value(sv, wk, id), again;
	u64 now;

	again = ipk_view_u64(sv->o->view, sv_slot(sv, id), &now);
	if (again < 0 || now != w)
		return again;
	return r < 0 ? r : give(wk, w, pos);
}

int ipk_stack_items(const struct ipk_object_view *o, uint64_t from, uint64_t to, ipk_item_fn *fn,
		    void *arg)
{
	struct walk wk = {.fn = fn, .arg = arg};
	struct ipk_stack_view sv;
	struct ipk_stack_leased l = {0};
	int r = ipk_stack_look(o, &sv);
	u64 n = st_n(sv.b.top);

	if (r == 0 && st_used(sv.b.top) > sv.g.cap)
		r = -EBADMSG;
	if (r < 0)
		return r;
	for (u64 i = from; r == 0 && i < n && i < to; i++)
		r = walk_position(&sv, &wk, i);
	if (r == 0 && to > n)
		r = ipk_stack_find_leased(&sv, &l);
	for (u64 k = 0; r == 0 && k < l.n; k++)
		if (n + k >= from && n + k < to)
			r = walk_leased(&sv, &wk, l.v[k].id, l.v[k].w, n + k);
	free(l.v);
	ipk_buf_free(&wk.value);
	return r;
}

struct counted {
	ipk_item_fn *fn;
	void *arg;
	u64 n;
};

static int count(void *arg, const struct ipk_item *item)
{
	struct counted *c = arg;

	c->n++;
	return c->fn(c->arg, item);
}

int ipk_stack_item(const struct ipk_object_view *o, const char *key, size_t len, ipk_item_fn *fn,
		   void *arg)
{
	struct counted c = {.fn = fn, .arg = arg};
	u64 from, to;
	bool one;
	int r = ipk_range_parse(key, len, &from, &to, &one);

	if (r < 0)
		return r;
	r = ipk_stack_items(o, from, one ? from + 1 : to, count, &c);
	return r == 0 && one && !c.n ? -ENOENT : r;
}

int ipk_stack_peek_view(const struct ipk_object_view *o, ipk_item_fn *fn, void *arg)
{
	struct walk wk = {.fn = fn, .arg = arg};
	struct ipk_stack_view sv;
	int r = ipk_stack_look(o, &sv);

	if (r == 0 && st_used(sv.b.top) > sv.g.cap)
		r = -EBADMSG;
	for (u64 i = r ? 0 : st_n(sv.b.top); r == 0 && i > 0; i--)
		r = walk_position(&sv, &wk, i - 1);
	ipk_buf_free(&wk.value);
	return r;
}

/* ---- holders -------------------------------------------------------------------------------- */

static int by_owner(const void *a, const void *b)
{
	u64 x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (sw_own(x) > sw_own(y)) - (sw_own(x) < sw_own(y));
}

int ipk_stack_holders(const struct ipk_object_view *o, ipk_holder_fn *fn, void *arg)
{
	struct ipk_stack_leased l = {0};
	struct ipk_stack_view sv;
	int r = ipk_stack_look(o, &sv);

	if (r == 0)
		r = ipk_stack_find_leased(&sv, &l);
	if (r == 0 && sv.b.lock & IPK_LOCK_OWNER)
		r = fn(arg, (u32)(sv.b.lock & IPK_LOCK_OWNER) - 1, "writer", 1);
	if (l.n)
		qsort(l.v, l.n, sizeof(*l.v), by_owner);
	for (u64 i = 0, end; r == 0 && i < l.n; i = end) {
		for (end = i; end < l.n && sw_own(l.v[end].w) == sw_own(l.v[i].w); end++)
			;
		r = fn(arg, sw_own(l.v[i].w) - 1, "lease", end - i);
	}
	free(l.v);
	return r;
}
