/* SPDX-License-Identifier: MIT */
/* The messages that a ring holds, copied without trust: see ring_view.c. */
#include <stdlib.h>

#include "kinds/ring_view.h"

#define WINDOW 65536u

/* A copy of some bytes of the ring, of which those from head on can be relied on. */
struct window {
	u8 *buf;
	u64 size;
	u64 pos, len; /* what it holds */
};

/* Copies len bytes from pos on: in one piece. */
static int copy(struct ipk_ring_view *rv, struct window *w, u64 pos, u64 len)
{
	u64 off = rv_at(rv, pos);
	u64 end = rv->g.data + rv->g.bytes;

	if (len > end - off)
		len = end - off;
	if (len > w->size || !w->buf) {
		u8 *more = realloc(w->buf, len ? len : 1);

		if (!more)
			return -ENOMEM;
		w->buf = more;
		w->size = len;
	}
	w->pos = pos;
	w->len = len;
	return ipk_view_read(rv->o->view, off, w->buf, len);
}

/* The record at *pos in the window. 1: it is not all there. */
static int parse(struct ipk_ring_view *rv, const struct window *w, u64 pos,
		 struct ipk_ring_record *ret)
{
	u64 at = pos - w->pos, word, len;

	/* Of the next lap nothing follows in memory. */
	if ((pos ^ w->pos) & ~(rv->g.cap - 1) || at > w->len || w->len - at < 8)
		return 1;
	memcpy(&word, w->buf + at, sizeof(word));
	len = ring_word_len(word);
	if (len > rv->g.most || ipk_ring_need(len) > rv->tail - pos)
		return -EBADMSG;
	*ret = (struct ipk_ring_record){w->buf + at + 8, pos, len, (u32)(word >> 32)};
	return w->len - at - 8 < len;
}

/*
 * The record at *pos, or a later one when the consumer has passed it: *pos goes along. 1: none
 * before the tail.
 */
static int next_record(struct ipk_ring_view *rv, struct window *w, u64 *pos,
		       struct ipk_ring_record *ret)
{
	u64 want = WINDOW, head;
	int r;

	for (;;) {
		if ((i64)(rv->tail - *pos) <= 0)
			return 1;
		r = parse(rv, w, *pos, ret);
		if (r <= 0 && w->len)
			return r;
		/* Again with all of it, when its length is known and there was too little. */
		if (w->pos == *pos && w->len >= 8)
			want = 8 + ret->len;
		r = copy(rv, w, *pos, want);
		if (r == 0)
			r = rv_head(rv, &head);
		if (r < 0)
			return r;
		if ((i64)(head - *pos) > 0) {
			*pos = head;
			if (head & 7)
				return -EBADMSG;
		}
	}
}

int ipk_ring_records(struct ipk_ring_view *rv, ring_record_fn *fn, void *arg, u64 *ret_pos)
{
	struct window w = {.buf = NULL};
	u64 pos = rv->head;
	int r;

	for (;;) {
		struct ipk_ring_record rec;

		r = next_record(rv, &w, &pos, &rec);
		if (r == 0)
			r = fn(rv, arg, &rec);
		else if (r == 1) {
			r = 0;
			break;
		}
		if (r != 0)
			break;
		pos += ipk_ring_need(rec.len);
	}
	if (ret_pos)
		*ret_pos = pos;
	free(w.buf);
	return r;
}

/* ---- items ----------------------------------------------------------------------------------- */

struct walk {
	u64 from, to; /* positions */
	bool one; /* of them was asked for by name */
	ipk_item_fn *fn;
	void *arg;
	u64 seen;
	bool over; /* nothing more to see */
};

static int give(struct ipk_ring_view *rv, struct walk *wk, u64 pos, const void *data, u64 len)
{
	bool shown = pos < rv->body.shown, owned = ring_owner(rv->body.consumer);
	struct ipk_item item = {
		.data = data,
		.len = len,
		.pos = pos,
		.redelivered = shown && !owned,
		.leased = shown && owned,
	};

	wk->seen++;
	return wk->fn(wk->arg, &item);
}

static int give_record(struct ipk_ring_view *rv, void *arg, const struct ipk_ring_record *rec)
{
	struct walk *wk = arg;

	if (rec->pos < wk->from)
		return 0;
	if (rec->pos >= wk->to) {
		wk->over = true;
		return 1;
	}
	return give(rv, wk, rec->pos, rec->data, rec->len);
}

/* Cells [pos, pos + n) in one piece. */
static int give_piece(struct ipk_ring_view *rv, struct walk *wk, struct window *w, u64 pos, u64 n)
{
	u64 head;
	int r = copy(rv, w, pos, n * rv->g.unit);

	if (r == 0)
		r = rv_head(rv, &head);
	for (u64 i = 0; r == 0 && i < n; i++)
		if ((i64)(head - (pos + i)) <= 0)
			r = give(rv, wk, pos + i, w->buf + i * rv->g.unit, rv->g.unit);
	return r;
}

static int give_cells(struct ipk_ring_view *rv, struct walk *wk)
{
	u64 pos = wk->from > rv->head ? wk->from : rv->head;
	u64 end = wk->to < rv->tail ? wk->to : rv->tail;
	u64 most = WINDOW / rv->g.unit ? WINDOW / rv->g.unit : 1;
	struct window w = {.buf = NULL};
	int r = 0;

	while (r == 0 && pos < end) {
		u64 n = end - pos < most ? end - pos : most, lap = rv->g.lap - pos % rv->g.lap;

		n = n < lap ? n : lap;
		r = give_piece(rv, wk, &w, pos, n);
		pos += n;
	}
	free(w.buf);
	return r;
}

/* What a stream holds is one item, named by the position of its last byte. */
static int give_stream(struct ipk_ring_view *rv, struct walk *wk)
{
	u64 pos = wk->from > rv->head && !wk->one ? wk->from : rv->head, n, first, head;
	u8 *buf;
	int r;

	if (pos >= rv->tail || rv->tail - 1 < wk->from || rv->tail - 1 >= wk->to)
		return 0;
	n = rv->tail - pos;
	first = rv->g.lap - pos % rv->g.lap;
	first = first < n ? first : n;
	buf = malloc(n);
	if (!buf)
		return -ENOMEM;
	r = ipk_view_read(rv->o->view, rv_at(rv, pos), buf, first);
	if (r == 0 && first < n)
		r = ipk_view_read(rv->o->view, rv->g.data, buf + first, n - first);
	if (r == 0)
		r = rv_head(rv, &head);
	if (r == 0) {
		u64 gone = (i64)(head - pos) <= 0 ? 0 : head - pos < n ? head - pos : n;

		if (gone < n)
			r = give(rv, wk, rv->tail - 1, buf + gone, n - gone);
	}
	free(buf);
	return r;
}

static int walk(const struct ipk_object_view *o, struct walk *wk)
{
	struct ipk_ring_view rv;
	int r = ipk_ring_look(o, &rv);

	if (r < 0)
		return r;
	if (rv.g.flags & IPK_RING_STREAM)
		return give_stream(&rv, wk);
	if (rv.g.unit)
		return give_cells(&rv, wk);
	r = ipk_ring_records(&rv, give_record, wk, NULL);
	return wk->over ? 0 : r;
}

int ipk_ring_items(const struct ipk_object_view *o, uint64_t from, uint64_t to, ipk_item_fn *fn,
		   void *arg)
{
	struct walk wk = {.from = from, .to = to, .fn = fn, .arg = arg};

	return walk(o, &wk);
}

int ipk_ring_item(const struct ipk_object_view *o, const char *key, size_t len, ipk_item_fn *fn,
		  void *arg)
{
	struct walk wk = {.fn = fn, .arg = arg};
	int r = ipk_range_parse(key, len, &wk.from, &wk.to, &wk.one);

	if (r < 0)
		return r;
	r = walk(o, &wk);
	return r == 0 && wk.one && !wk.seen ? -ENOENT : r;
}
