/* SPDX-License-Identifier: MIT */
/*
 * Popping where the inline functions cannot: nothing is known to be there, checksums, several at
 * once, streams, the end. Words and reasons are in ring.h.
 */
#include "base/copy.h"
#include "kinds/ring.h"
#include "segment/registry.h"

#define TRIES 1000 /* looks at an end that is decided and not there */

#define FLOW 16 /* times that one alone has to come until we take it to be no stream */
#define PAUSES 8 /* a hundred nanoseconds or two */
#define LOOKS 4 /* for more of a stream, at once */

/* ---- where the consumer stands --------------------------------------------------------------- */

int ipk_ring_start_rx(struct ipk_ring_handle *h, struct ipk_ring_rx *c)
{
	u64 end;

	c->pos = ipk_ld(&h->b->head, acquire);
	c->count = ipk_ld(&h->b->popped, relaxed);
	c->again = c->shown = ipk_ld(&h->b->shown, relaxed);
	if (!h->g.unit && c->pos & 7)
		return -EBADMSG;
	if (c->shown - c->pos > h->g.lap)
		c->again = c->shown = c->pos;
	end = ipk_ld(&h->b->end, acquire);
	c->done_ = end && (i64)(c->pos - (end - 1)) >= 0;
	c->unit = h->g.unit && !ring_stream(h) ? h->g.unit : SIZE_MAX;
	c->most = h->g.most;
	c->cap = h->g.cap;
	c->end = (uintptr_t)h->data + h->g.cap;
	c->head = &h->b->head;
	c->tail = &h->b->tail;
	c->bell = &h->b->space;
	c->bell_items = (u64 *)(void *)&h->b->items;
	c->state = &h->obj.o->state;
	c->removed = &ipk_header(h->obj.seg)->removed;
	c->last = h->g.unit ? c->pos : c->count;
	c->cell = c->stop = h->g.unit && !c->done_ ? ring_addr(h, c->pos) : 0;
	c->rec = h->g.unit || h->g.flags & IPK_RING_SUM || c->done_ ? 0 : ring_addr(h, c->pos);
	return 0;
}

/*
 * Nothing at c->pos. -EAGAIN: yet. -EPIPE: nothing will come, ever: decided here or by the
 * producer. 0: look again.
 */
static int finished(struct ipk_ring_handle *h, struct ipk_ring_rx *c, u32 shut)
{
	u64 end = 0;

	if (shut == 0)
		return -EAGAIN;
	if (shut != 2) {
		ipk_ring_settle(h);
		return 0;
	}
	/* Acquire: what the producer published before it decided is there. */
	if (!ipk_cas(&h->b->end, &end, c->pos + 1, seq_cst) && (i64)(end - 1 - c->pos) > 0)
		return 0;
	c->done_ = 1;
	c->rec = c->cell = c->stop = 0;
	return -EPIPE;
}

/* How many cells are there from c->pos on, all told. */
static int count_cells(struct ipk_ring_handle *h, struct ipk_ring_rx *c, u64 *ret_n)
{
	/* Acquire: pairs with ipk_ring_publish_cells(). */
	u64 n = ipk_ld(&h->b->tail, acquire) - c->pos;

	*ret_n = n;
	return n > h->g.lap ? -EBADMSG : 0;
}

/* The record at pos: its length. -EAGAIN -EBADMSG. */
static int look_record(struct ipk_ring_handle *h, u64 pos, u64 *ret_word)
{
	/* Acquire: pairs with ipk_ring_publish(). */
	u64 word = ipk_ld((u64 *)ring_addr(h, pos), acquire);

	*ret_word = word;
	if ((u32)word == 0)
		return -EAGAIN;
	return ring_word_len(word) > h->g.most ? -EBADMSG : 0;
}

/* Is there anything at c->pos? 0, -EAGAIN -EPIPE -EBADMSG. Cells: c->cell to c->stop then. */
static int look(struct ipk_ring_handle *h, struct ipk_ring_rx *c)
{
	for (int n = TRIES; n; n--) {
		u32 shut = ipk_ld(&h->b->shut, acquire); /* before the look: see ring.h, SHUT */
		u64 have, left;
		int r;

		if (c->done_)
			return -EPIPE;
		if (!h->g.unit) {
			r = look_record(h, c->pos, &have);
		} else {
			r = count_cells(h, c, &have);
			if (r == 0 && !have)
				r = -EAGAIN;
			if (c->cell == c->end)
				c->cell = c->stop = (uintptr_t)h->data;
			left = (c->end - c->cell) / h->g.unit;
			if (r == 0)
				c->stop = c->cell + (have < left ? have : left) * h->g.unit;
		}
		if (r != -EAGAIN)
			return r;
		r = finished(h, c, shut);
		if (r < 0)
			return r;
	}
	return -EBADMSG;
}

static int consume(struct ipk_ring_handle *h, struct ipk_self *me, struct ipk_ring_rx **ret)
{
	int r = ipk_ring_take_role(h, me, IPK_RING_CONSUMER);

	*ret = h->pub.rx;
	return r;
}

/* Frees all up to pos. count: messages ever popped then. */
static void pass(struct ipk_ring_handle *h, struct ipk_ring_rx *c, u64 pos, u64 count)
{
	if (h->g.unit) {
		u64 bytes = (pos - c->pos) * h->g.unit;

		if (bytes <= c->stop - c->cell)
			c->cell += bytes;
		else
			c->cell = c->stop = ring_addr(h, pos);
	} else {
		c->count = count;
		ipk_st(&c->head[2], count, relaxed);
		if (c->rec)
			c->rec = ring_addr(h, pos);
	}
	ipk_ring_pass(&h->pub, c, pos);
}

static void show(struct ipk_ring_rx *c, u64 end)
{
	if ((i64)(end - c->shown) <= 0)
		return;
	c->shown = end;
	ipk_st(&c->head[1], end, relaxed);
}

/* ---- copying --------------------------------------------------------------------------------- */

struct take {
	void *buf;
	size_t size;
	size_t len;
	bool set; /* len is */
};

static int take_record(struct ipk_ring_handle *h, struct ipk_ring_rx *c, struct take *k)
{
	u64 word = ipk_ld((u64 *)ring_addr(h, c->pos), acquire), len = ring_word_len(word);
	const u8 *data = (const u8 *)ring_addr(h, c->pos) + 8;
	bool sound = true;

	if (len > h->g.most)
		return -EBADMSG;
	if (h->g.flags & IPK_RING_SUM)
		sound = ipk_ring_sum(data, len, c->pos) == word >> 32;
	if (sound && len > k->size)
		return -EMSGSIZE;
	if (len)
		memcpy(k->buf, data, len < k->size ? len : k->size);
	k->len = len;
	k->set = true;
	if (!sound)
		ipk_add(&h->b->corrupt, 1, relaxed);
	pass(h, c, c->pos + ipk_ring_need(len), c->count + 1);
	return sound ? 0 : -EBADMSG;
}

static int take_attempt(struct ipk_ring_handle *h, struct ipk_self *me, void *arg)
{
	struct take *k = arg;
	struct ipk_ring_rx *c;
	int r = consume(h, me, &c);

	if (r == 0)
		r = look(h, c);
	if (r < 0)
		return r;
	if (!h->g.unit)
		return take_record(h, c, k);
	memcpy(k->buf, (const void *)c->cell, h->g.unit);
	k->len = h->g.unit;
	k->set = true;
	pass(h, c, c->pos + 1, 0);
	return 0;
}

/* Did several come since we last found little? n: how many. */
static void note_flow(struct ipk_ring_rx *c, u64 n)
{
	if (n > 1)
		c->flow = FLOW;
	else if (n && c->flow)
		c->flow--;
}

static void pause_a_little(void)
{
	for (int i = 0; i < PAUSES; i++)
		ipk_pause();
}

uint64_t ipk_ring_gather(struct ipk_ring_rx *c, uint64_t bytes)
{
	note_flow(c, bytes / c->unit);
	for (int n = c->flow ? LOOKS : 0; n && bytes < IPK_RING_ENOUGH; n--) {
		u64 now;

		pause_a_little();
		now = (ipk_ld(c->tail, acquire) - c->pos) * c->unit;
		if (now <= bytes || now > c->cap)
			break;
		bytes = now;
	}
	return bytes;
}

/* Empty, as far as one look tells: for those who poll. */
static bool nothing(struct ipk_ring_handle *h, struct ipk_ring_rx *c)
{
	u64 now = h->g.unit ? c->pos : c->count;

	note_flow(c, now - c->last);
	if (c->last != now)
		c->last = now;
	if (c->flow)
		pause_a_little();
	if (c->rec ? (u32)ipk_ld((u64 *)c->rec, relaxed) != 0
		   : !c->cell || c->cell != c->stop || ipk_ld(&h->b->tail, relaxed) != c->pos)
		return false;
	return !ipk_ld(&h->b->shut, relaxed) && !ipk_stale(&h->obj);
}

int ipk_ring_pop_slow(struct ipk_ring *ring, void *buf, size_t size, size_t *ret_len,
		      int64_t deadline)
{
	struct ipk_ring_handle *h = ring_handle(ring);
	struct take k = {.buf = buf, .size = size};
	int r;

	if (ring_stream(h))
		return -EOPNOTSUPP;
	if (deadline == IPK_NOWAIT && nothing(h, ring->rx))
		return -EAGAIN;
	if (size < h->g.unit)
		return -EMSGSIZE;
	r = ipk_ring_wait(h, &h->b->items, deadline, take_attempt, &k);
	if (k.set && ret_len)
		*ret_len = k.len;
	return r;
}

/* Cells, as many as there are and fit. */
static int takes_attempt(struct ipk_ring_handle *h, struct ipk_self *me, void *arg)
{
	struct take *k = arg;
	struct ipk_ring_rx *c;
	int r = consume(h, me, &c);

	while (r == 0 && k->len < k->size) {
		u64 n;

		if (c->cell == c->stop)
			r = look(h, c);
		if (r < 0)
			break;
		n = c->stop - c->cell;
		n = n < k->size - k->len ? n : k->size - k->len;
		memcpy((u8 *)k->buf + k->len, (const void *)c->cell, n);
		k->len += n;
		pass(h, c, c->pos + n / h->g.unit, 0);
	}
	return k->len ? 0 : r;
}

int ipk_ring_pop_array_slow(struct ipk_ring *ring, void *values, unsigned n, int64_t deadline)
{
	struct ipk_ring_handle *h = ring_handle(ring);
	struct take k = {.buf = values, .size = (size_t)n * h->g.unit};
	int r;

	if (!h->g.unit || ring_stream(h))
		return -EOPNOTSUPP;
	if (n == 0 || n > INT32_MAX)
		return n ? -EINVAL : 0;
	r = ipk_ring_wait(h, &h->b->items, deadline, takes_attempt, &k);
	return r < 0 ? r : (int)(k.len / h->g.unit);
}

int64_t ipk_ring_read(struct ipk_ring *ring, void *buf, size_t size, int64_t deadline)
{
	struct ipk_ring_handle *h = ring_handle(ring);
	struct take k = {.buf = buf, .size = size};
	int r;

	if (!ring_stream(h))
		return -EOPNOTSUPP;
	if (!size)
		return 0;
	r = ipk_ring_wait(h, &h->b->items, deadline, takes_attempt, &k);
	return r < 0 ? r : (int64_t)k.len;
}

/* ---- in place -------------------------------------------------------------------------------- */

struct peek {
	struct ipk_ring_message *m;
	unsigned max, n;
};

/* The record at pos, the i-th that is shown. -EAGAIN -EBADMSG; 1: its checksum is wrong. */
static int show_record(struct ipk_ring_handle *h, struct ipk_ring_rx *c, u64 pos, unsigned i,
		       struct ipk_ring_message *m)
{
	u64 word;
	int r = look_record(h, pos, &word);

	if (r < 0)
		return r;
	*m = (struct ipk_ring_message){
		.data = (const u8 *)ring_addr(h, pos) + 8,
		.len = ring_word_len(word),
		.pos = pos,
		.redelivered = pos < c->again,
		.end_ = pos + ipk_ring_need(ring_word_len(word)),
		.count_ = c->count + i + 1,
	};
	if (h->g.flags & IPK_RING_SUM)
		m->spare_ = ipk_ring_sum(m->data, m->len, pos) != word >> 32;
	return (int)m->spare_;
}

static void show_cell(struct ipk_ring_handle *h, struct ipk_ring_rx *c, u64 pos,
		      struct ipk_ring_message *m)
{
	*m = (struct ipk_ring_message){
		.data = (const void *)ring_addr(h, pos),
		.len = h->g.unit,
		.pos = pos,
		.redelivered = pos < c->again,
		.end_ = pos + 1,
	};
	if (ring_stream(h)) {
		m->len = c->stop - c->cell;
		m->end_ = pos + m->len;
	}
}

static int peek_attempt(struct ipk_ring_handle *h, struct ipk_self *me, void *arg)
{
	struct peek *k = arg;
	struct ipk_ring_rx *c;
	u64 pos, have = 0;
	int r = consume(h, me, &c);

	if (r == 0)
		r = look(h, c);
	if (r == 0 && h->g.unit)
		r = count_cells(h, c, &have);
	if (r < 0)
		return r;
	pos = c->pos;
	for (k->n = 0; k->n < k->max; k->n++) {
		struct ipk_ring_message m;

		if (!h->g.unit)
			r = show_record(h, c, pos, k->n, &m);
		else if (k->n == have)
			break;
		else
			show_cell(h, c, pos, &m);
		if (r < 0 || (r > 0 && k->n))
			break;
		k->m[k->n] = m;
		pos = m.end_;
		if (r > 0)
			break;
	}
	show(c, pos);
	return r > 0 && !k->n ? -EBADMSG : k->n ? 0 : r;
}

static int peek(struct ipk_ring_handle *h, struct peek *k, i64 deadline)
{
	int r;

	if (deadline == IPK_NOWAIT && nothing(h, h->pub.rx))
		return -EAGAIN;
	k->m[0].data = NULL;
	r = ipk_ring_wait(h, &h->b->items, deadline, peek_attempt, k);
	return r < 0 ? r : (int)k->n;
}

int ipk_ring_peek_slow(struct ipk_ring *ring, struct ipk_ring_message *ret_message,
		       int64_t deadline)
{
	struct peek k = {.m = ret_message, .max = 1};
	int r = peek(ring_handle(ring), &k, deadline);

	return r < 0 ? r : 0;
}

int ipk_ring_peek_many(struct ipk_ring *ring, struct ipk_ring_message *ret_messages, unsigned n,
		       int64_t deadline)
{
	struct peek k = {.m = ret_messages, .max = n < INT32_MAX ? n : INT32_MAX};

	if (ring_stream(ring_handle(ring)))
		return -EOPNOTSUPP;
	return n ? peek(ring_handle(ring), &k, deadline) : 0;
}

int ipk_ring_release_slow(struct ipk_ring *ring, const struct ipk_ring_message *message)
{
	struct ipk_ring_handle *h = ring_handle(ring);
	struct ipk_ring_rx *c = ring->rx;
	u64 end = ring_stream(h) ? message->pos + message->len : message->end_;

	if (!c->owner_ || end - c->pos > h->g.lap || (i64)(message->pos - c->pos) < 0 ||
	    (i64)(end - c->shown) > 0)
		return -EINVAL;
	if (message->spare_)
		ipk_add(&h->b->corrupt, 1, relaxed);
	pass(h, c, end, message->count_);
	return 0;
}

static void drop_corrupt(struct ipk_ring *ring, void *buf, size_t size, struct ipk_ring_message *m)
{
	if (m->len)
		memcpy(buf, m->data, m->len < size ? m->len : size);
	ipk_ring_release_slow(ring, m);
	m->data = buf;
}

int ipk_ring_pop_many(struct ipk_ring *ring, void *buf, size_t size,
		      struct ipk_ring_message *ret_messages, unsigned n, int64_t deadline)
{
	int r = ipk_ring_peek_many(ring, ret_messages, n, deadline), i;
	size_t used = 0;

	if (r == -EBADMSG && ret_messages[0].data)
		drop_corrupt(ring, buf, size, ret_messages);
	for (i = 0; i < r; i++) {
		struct ipk_ring_message *m = &ret_messages[i];

		if (m->len > size - used)
			break;
		if (m->len)
			memcpy((u8 *)buf + used, m->data, m->len);
		m->data = (u8 *)buf + used;
		used = ipk_align_up(used + m->len, 8) < size ? ipk_align_up(used + m->len, 8)
							     : size;
	}
	if (r <= 0)
		return r;
	if (!i)
		return -EMSGSIZE;
	ipk_ring_release_slow(ring, &ret_messages[i - 1]);
	return i;
}

int64_t ipk_ring_reset(struct ipk_ring *ring)
{
	struct ipk_ring_handle *h = ring_handle(ring);
	int r = 0;
	struct ipk_self *me = ipk_use(&h->obj, &r);
	struct ipk_ring_rx *c;
	u64 tail, count, was, end;

	if (!me)
		return r;
	r = consume(h, me, &c);
	if (r < 0)
		return r;
	if (ipk_ring_find_tail(h, &tail, &count) < 0) {
		tail = ipk_ld(&h->b->tail, acquire);
		count = ipk_ld(&h->b->pushed, relaxed);
	}
	was = c->pos;
	end = ipk_ld(&h->b->end, acquire);
	if (end && (i64)(tail - (end - 1)) > 0)
		tail = end - 1; /* what lies behind does not count */
	if (tail - was > h->g.lap)
		return -EBADMSG;
	pass(h, c, tail, count);
	show(c, tail);
	return (int64_t)((tail - was) * (h->g.unit ? h->g.unit : 1));
}
