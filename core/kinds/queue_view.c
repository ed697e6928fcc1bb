/* SPDX-License-Identifier: MIT */
/*
 * What a queue holds, read without trust. A value belongs to a word when that is the same before
 * and after: nobody writes to a slot, or to its buffer, but as WR, and no word comes twice
 * (queue.h).
 */
#include <stdlib.h>

#include "kinds/queue_view.h"
#include "segment/view.h"
#include "object_type.h"

#define CHUNK 65536u
#define CHUNK_STRIDE 1024u /* slots further apart are read one by one */
#define TRIES 100          /* looks at a slot that changes under them */

int ipk_queue_look(const struct ipk_object_view *o, struct ipk_queue_view *ret)
{
	struct ipk_queue_body body;
	u32 size;
	int r;

	r = ipk_view_body(o, &body, sizeof(body));
	if (r == 0)
		r = ipk_queue_measure(&body, o->body, o->body_size, &ret->g);
	if (r < 0)
		return r;
	r = ipk_text_size(o->type, &size);
	if (r < 0)
		return r;
	ret->o = o;
	ret->tail = qc_hint(&ret->g, body.tail);
	ret->head = qc_hint(&ret->g, body.head);
	ret->next = 0;
	ret->all = false;
	ret->apart = (struct qw_apart){0};
	return size == ret->g.size ? 0 : -EBADMSG;
}

/* Slots [i, i + n) in one read. *ret_end: one was never used. */
static int words_chunk(struct ipk_queue_view *qv, u8 *chunk, u64 i, u64 n, queue_word_fn *fn,
		       void *arg, bool *ret_end)
{
	u64 off = qv_slot(qv, i);
	u8 *at = chunk + off % IPK_LINE; /* as aligned as there: words stay whole */
	int r = ipk_view_read(qv->o->view, off, at, (n - 1) * qv->g.stride + 8);

	for (u64 k = 0; r == 0 && k < n; k++) {
		u64 w;

		memcpy(&qv->raw, at + k * qv->g.stride, sizeof(w));
		w = ipk_queue_apart(&qv->apart, qv->raw);
		if (w == 0 && !qv->all) {
			*ret_end = true;
			return 0;
		}
		r = fn(qv, arg, i + k, w);
	}
	return r;
}

/* Slots [i, end). */
static int words_range(struct ipk_queue_view *qv, u8 *chunk, u64 i, u64 end, queue_word_fn *fn,
		       void *arg)
{
	u64 most = qv->g.stride <= CHUNK_STRIDE ? CHUNK / qv->g.stride : 1;
	bool unused = false;
	int r = 0;

	qv->apart = (struct qw_apart){0};
	while (r == 0 && !unused && i < end) {
		u64 n = end - i < most ? end - i : most;

		r = words_chunk(qv, chunk, i, n, fn, arg, &unused);
		i += n;
	}
	return r;
}

int ipk_queue_words(struct ipk_queue_view *qv, u64 i, u64 n, queue_word_fn *fn, void *arg)
{
	u8 *chunk = aligned_alloc(IPK_LINE, CHUNK + IPK_LINE);
	u64 end = n < qv->g.cap - i ? i + n : qv->g.cap;
	int r;

	if (!chunk)
		return -ENOMEM;
	r = words_range(qv, chunk, i, end, fn, arg);
	if (r == 0)
		r = words_range(qv, chunk, 0, n - (end - i), fn, arg);
	free(chunk);
	return r;
}

/* ---- counting -------------------------------------------------------------------------------- */

static int count_word(struct ipk_queue_view *qv, void *arg, u64 i, u64 w)
{
	struct ipk_queue_census *c = arg;
	u64 given = qv_given(qv, i, w), after = qc_next(&qv->g, given);

	c->used += qw_item(w);
	c->leased += qw_held(w);
	c->writing += qw_st(w) == IPK_QUEUE_WR;
	if (!c->slots++ || (i64)(after - qv->next) > 0)
		qv->next = after;
	if (qw_st(w) == IPK_QUEUE_FULL && !qw_own(w) && (i64)(given - c->first) < 0)
		c->first = given;
	return 0;
}

int ipk_queue_count_view(struct ipk_queue_view *qv, struct ipk_queue_census *ret)
{
	u64 none = qv->tail + (UINT64_C(1) << 62); /* later than any */
	int r;

	*ret = (struct ipk_queue_census){.first = none};
	qv->next = 0;
	r = ipk_queue_words(qv, 0, qv->g.cap, count_word, ret);
	if (ret->first == none)
		ret->first = qv->next;
	return r;
}

int ipk_queue_inspect(const struct ipk_object_view *o, uint64_t *ret_used, uint64_t *ret_cap)
{
	struct ipk_queue_view qv;
	struct ipk_queue_census c;
	int r = ipk_queue_look(o, &qv);

	if (r == 0)
		r = ipk_queue_count_view(&qv, &c);
	if (r < 0)
		return r;
	*ret_used = c.used;
	*ret_cap = qv.g.cap;
	return 0;
}

const char *const ipk_queue_stat_names[] = {"pushed", "popped", "leased", "redelivered", "skipped",
					    "head",   "tail",   "closed", NULL};

int ipk_queue_stats(const struct ipk_object_view *o, struct ipk_visitor *v)
{
	struct ipk_queue_view qv;
	struct ipk_queue_census c;
	struct ipk_queue_body body;
	u64 val[IPK_ARRAY_LEN(ipk_queue_stat_names) - 1], none;
	int r = ipk_queue_look(o, &qv);

	if (r == 0)
		r = ipk_queue_count_view(&qv, &c);
	if (r == 0)
		r = ipk_view_read(o->view, o->body, &body, sizeof(body));
	if (r < 0)
		return r;
	val[6] = qc_pos(&qv.g, qv.next);
	/* Positions given out, but for those that never held an item or do not yet. */
	none = body.skipped + c.writing;
	val[0] = val[6] > none ? val[6] - none : 0;
	val[1] = val[0] > c.used ? val[0] - c.used : 0;
	val[2] = c.leased;
	val[3] = body.redelivered;
	val[4] = body.skipped;
	val[5] = qc_pos(&qv.g, c.first);
	val[7] = body.shut != 0;
	for (unsigned i = 0; r == 0 && ipk_queue_stat_names[i]; i++)
		r = v->u64(v, ipk_queue_stat_names[i], val[i]);
	return r;
}

/* ---- items ----------------------------------------------------------------------------------- */

struct walk {
	u64 from, to; /* positions */
	u64 last;     /* code last given out, or of T minus a lap: they come in ascending order */
	ipk_item_fn *fn;
	void *arg;
	struct ipk_buf value;
	u64 seen;
};

/*
 * Gives out what slot i holds while its word is one; w is what it was a moment ago. A member's word
 * stays while it is taken, and while its value does.
 */
static int walk_slot(struct ipk_queue_view *qv, void *arg, u64 i, u64 w)
{
	struct walk *wk = arg;
	u64 raw = qv->raw;

	for (int tries = TRIES; tries && qw_item(w); tries--) {
		u64 code = qv_given(qv, i, w), pos = qc_pos(&qv->g, code), after;
		struct ipk_item item;
		int r, again;

		if ((i64)(code - wk->last) <= 0 || pos < wk->from || pos >= wk->to)
			return 0;
		r = ipk_slot_read(qv->o->view, qv_slot(qv, i) + 8, qv->g.size, &wk->value);
		if (r < 0 && r != -EBADMSG)
			return r;
		again = ipk_view_u64(qv->o->view, qv_slot(qv, i), &after);
		if (again < 0)
			return again;
		if (after == raw && r < 0)
			return r;
		if (after != raw) {
			raw = after;
			w = ipk_queue_apart(&(struct qw_apart){0}, raw);
			continue;
		}
		wk->last = code;
		wk->seen++;
		item = (struct ipk_item){
			.data = wk->value.data,
			.len = wk->value.len,
			.pos = pos,
			.redelivered = qw_rdc(w),
			.leased = qw_held(w),
		};
		return wk->fn(wk->arg, &item);
	}
	return 0;
}

int ipk_queue_items(const struct ipk_object_view *o, uint64_t from, uint64_t to, ipk_item_fn *fn,
		    void *arg)
{
	struct walk wk = {.from = from, .to = to, .fn = fn, .arg = arg};
	struct ipk_queue_view qv;
	struct ipk_queue_census c;
	int r = ipk_queue_look(o, &qv);

	if (r == 0)
		r = ipk_queue_count_view(&qv, &c);
	if (r < 0)
		return r;
	/* What is there lies in the cap positions before T: from T's slot around, oldest first. */
	wk.last = qv.next - qv.g.mask - 2;
	r = ipk_queue_words(&qv, qc_index(&qv.g, qv.next), qv.g.cap, walk_slot, &wk);
	ipk_buf_free(&wk.value);
	return r;
}

static int last_word(struct ipk_queue_view *qv, void *arg, u64 i, u64 w)
{
	(void)qv, (void)i;
	*(u64 *)arg = w;
	return 0;
}

/* One position: its slot is known. It may be in a burst that begins before it. */
static int one_item(const struct ipk_object_view *o, u64 pos, ipk_item_fn *fn, void *arg)
{
	struct walk wk = {.from = pos, .to = pos + 1, .fn = fn, .arg = arg};
	struct ipk_queue_view qv;
	u64 w = 0, i, before;
	int r = ipk_queue_look(o, &qv);

	if (r < 0)
		return r;
	i = pos % qv.g.cap;
	before = i < QUEUE_BURST_MAX - 1 ? i : QUEUE_BURST_MAX - 1;
	qv.all = true;
	r = ipk_queue_words(&qv, i - before, before + 1, last_word, &w);
	if (r < 0)
		return r;
	wk.last = qv_given(&qv, i, w) - qv.g.mask - 2;
	r = walk_slot(&qv, &wk, i, w);
	ipk_buf_free(&wk.value);
	return r == 0 && !wk.seen ? -ENOENT : r;
}

int ipk_queue_item(const struct ipk_object_view *o, const char *key, size_t len, ipk_item_fn *fn,
		   void *arg)
{
	u64 from, to;
	bool one;
	int r = ipk_range_parse(key, len, &from, &to, &one);

	if (r < 0)
		return r;
	return one ? one_item(o, from, fn, arg) : ipk_queue_items(o, from, to, fn, arg);
}

/* ---- holders --------------------------------------------------------------------------------- */

struct holds {
	u32 *v; /* owner << 2 | state, one for each held slot */
	u64 n, size;
};

static int note_holder(struct ipk_queue_view *qv, void *arg, u64 i, u64 w)
{
	struct holds *h = arg;

	(void)qv, (void)i;
	if (!qw_own(w) || qw_own(w) == QW_SEAL)
		return 0;
	if (h->n == h->size) {
		u64 size = h->size ? 2 * h->size : 64;
		u32 *v = realloc(h->v, size * sizeof(*v));

		if (!v)
			return -ENOMEM;
		h->v = v;
		h->size = size;
	}
	h->v[h->n++] = qw_own(w) << 2 | qw_st(w);
	return 0;
}

static int compare_holds(const void *a, const void *b)
{
	u32 x = *(const u32 *)a, y = *(const u32 *)b;

	return x < y ? -1 : x > y;
}

int ipk_queue_holders(const struct ipk_object_view *o, ipk_holder_fn *fn, void *arg)
{
	static const char *const role[] = {"none", "producer", "lease", "consumer"};
	struct ipk_queue_view qv;
	struct holds h = {0};
	int r = ipk_queue_look(o, &qv);

	if (r == 0)
		r = ipk_queue_words(&qv, 0, qv.g.cap, note_holder, &h);
	if (h.n)
		qsort(h.v, h.n, sizeof(*h.v), compare_holds);
	for (u64 i = 0, end; r == 0 && i < h.n; i = end) {
		for (end = i; end < h.n && h.v[end] == h.v[i]; end++)
			;
		r = fn(arg, h.v[i] >> 2, role[h.v[i] & 3], end - i);
	}
	free(h.v);
	return r;
}
