/* SPDX-License-Identifier: MIT */
/* Values of variable size: in the slot, or in the block that belongs to it. See queue.h, BUFFERS. */
#include "kinds/queue.h"
#include "segment/registry.h"

#define GRACE INT64_C(1000000000) /* ns: longer than anybody holds the lock who has not stopped */

static struct ipk_queue_buffer *buffer_of(struct ipk_queue *q, u64 off, u64 len)
{
	struct ipk_queue_buffer *buf;

	if (off == 0 || len > UINT64_MAX - sizeof(*buf))
		return NULL;
	buf = ipk_at(q->obj.seg, off, sizeof(*buf) + len, IPK_LINE);
	return buf && ipk_ld(&buf->cap, relaxed) >= len ? buf : NULL;
}

const void *ipk_queue_value(struct ipk_queue *q, struct ipk_queue_slot *s, u64 *ret_len)
{
	struct ipk_queue_buffer *buf;
	u64 len;

	if (q->g.size) {
		*ret_len = q->g.size;
		return s->fixed;
	}
	len = ipk_ld(&s->var.len, relaxed);
	*ret_len = len;
	if (len <= IPK_QUEUE_INLINE)
		return s->var.bytes;
	buf = buffer_of(q, ipk_ld(&s->var.buf, relaxed), len);
	return buf ? buf->bytes : NULL;
}

struct swap {
	struct ipk_queue_slot *s;
	u64 size; /* of the new block; 0: none */
};

static int swap_buffer(struct ipk_tx *tx, void *arg)
{
	struct swap *swap = arg;
	u64 old = ipk_tx_get(tx, &swap->s->var.buf), off = 0;

	if (swap->size) {
		struct ipk_queue_buffer *buf;

		off = ipk_tx_alloc(tx, swap->size, 0);
		if (!off)
			return tx->error;
		buf = ipk_at(tx->seg, off, swap->size, IPK_LINE);
		if (!buf)
			return -EBADMSG;
		ipk_st(&buf->cap, swap->size - sizeof(*buf), relaxed);
	}
	ipk_tx_set(tx, &swap->s->var.buf, off);
	if (old)
		ipk_tx_free(tx, old);
	return 0;
}

/* Kept for the slot's next values, unless this is so much more than they seem to need. */
static bool oversized(struct ipk_queue *q, u64 off, u64 len)
{
	struct ipk_queue_buffer *buf = buffer_of(q, off, 0); /* NULL where off is 0 */
	u64 cap = buf ? ipk_ld(&buf->cap, relaxed) : 0;

	return cap > (16u << 10) && cap / 4 > len;
}

static i64 at_least_grace(i64 deadline)
{
	i64 grace = ipk_deadline(GRACE);

	return deadline > grace ? deadline : grace;
}

static int nothing(struct ipk_tx *tx, void *arg)
{
	(void)tx, (void)arg;
	return 0;
}

/*
 * Before buf of our slot is used: a former owner may have died between its commit and the store to buf.
 * What the journal holds may be anybody's, and mostly of somebody who lives and is done in no time.
 */
static int settle(struct ipk_queue *q, struct ipk_self *me, i64 deadline)
{
	struct ipk_spin spin = {0};

	/* Acquire: pairs with the store that emptied it, after all the values. */
	while (ipk_ld(&ipk_header(q->obj.seg)->journal.n, acquire) != 0)
		if (!ipk_spin(&spin))
			return ipk_tx_run(me, nothing, NULL, at_least_grace(deadline), NULL);
	return 0;
}

static int free_buffer(struct ipk_self *me, struct ipk_queue_slot *s)
{
	struct swap swap = {.s = s};

	return ipk_tx_run(me, swap_buffer, &swap, ipk_deadline(GRACE), NULL);
}

/* How many positions from the next one on to the first free slot with a buffer; 0: there is none. */
static u64 find_idle(struct ipk_queue *q)
{
	u64 code = ipk_queue_tail(q);

	for (u64 n = 1; n <= q->g.cap; n++, code = qc_next(&q->g, code)) {
		struct ipk_queue_slot *s = q_slot(q, qc_index(&q->g, code));

		if (ipk_ld(&s->w, acquire) != qc_base(&q->g, code))
			return 0;
		if (ipk_ld(&s->var.buf, relaxed))
			return n;
	}
	return 0;
}

/*
 * The segment is full: frees the buffer of a slot that is free. That takes to own the slot, so all
 * positions up to it are claimed and given up. 0: some memory was freed. -ENOSPC: there is none.
 */
static int reclaim(struct ipk_queue *q, struct ipk_self *me)
{
	for (u64 n = find_idle(q); n; n--) {
		struct ipk_queue_slot *s;
		int r = -ENOSPC;
		u64 code;

		if (ipk_queue_claim(q, me, &code) < 0)
			return -ENOSPC;
		s = q_slot(q, qc_index(&q->g, code));
		if (ipk_ld(&s->var.buf, relaxed))
			r = free_buffer(me, s);
		ipk_queue_give_up(q, s, qc_base(&q->g, code));
		if (r == 0)
			return 0;
	}
	return -ENOSPC;
}

/* Gives s a buffer for len bytes instead of what it has; 0: none. */
static int resize(struct ipk_queue *q, struct ipk_self *me, struct ipk_queue_slot *s, u64 len,
		  i64 deadline)
{
	struct swap swap = {.s = s};
	int r;

	if (len > IPK_QUEUE_INLINE)
		swap.size = ipk_align_up(sizeof(struct ipk_queue_buffer) + len, 2 * IPK_LINE);
	do
		r = ipk_tx_run(me, swap_buffer, &swap, at_least_grace(deadline), NULL);
	while (r == -ENOSPC && reclaim(q, me) == 0);
	return r;
}

/* The buffer of our slot, for len bytes; a new one where there is none that fits. */
static int long_value(struct ipk_queue *q, struct ipk_self *me, struct ipk_queue_slot *s, u64 len,
		      i64 deadline, struct ipk_queue_buffer **ret_buf)
{
	int r = settle(q, me, deadline);
	u64 off;

	if (r < 0)
		return r;
	off = ipk_ld(&s->var.buf, relaxed);
	*ret_buf = buffer_of(q, off, len);
	if (*ret_buf && !oversized(q, off, len))
		return 0;
	r = resize(q, me, s, len, deadline);
	if (r < 0 && *ret_buf)
		return 0;
	if (r == 0)
		*ret_buf = buffer_of(q, ipk_ld(&s->var.buf, relaxed), len);
	return r < 0 || *ret_buf ? r : -EBADMSG;
}

int ipk_queue_store(struct ipk_queue *q, struct ipk_self *me, struct ipk_queue_slot *s,
		    const void *data, u64 len, i64 deadline)
{
	struct ipk_queue_buffer *buf = NULL;
	int r = 0;

	if (len > IPK_QUEUE_INLINE)
		r = long_value(q, me, s, len, deadline, &buf);
	else if (oversized(q, ipk_ld(&s->var.buf, relaxed), len))
		resize(q, me, s, len, deadline); /* it need not succeed */
	if (r < 0)
		return r == -ETIMEDOUT && deadline == IPK_NOWAIT ? -EAGAIN : r;
	if (len)
		memcpy(buf ? buf->bytes : s->var.bytes, data, len);
	ipk_st(&s->var.len, len, relaxed);
	return 0;
}
