/* SPDX-License-Identifier: MIT */
/*
 * Values of variable size: in the slot, or in the block that belongs to it. See queue.h, BUFFERS.
 */
#include "kinds/queue.h"
#include "segment/registry.h"

const void *ipk_queue_value(struct ipk_queue *q, struct ipk_queue_slot *s, u64 *ret_len)
{
	if (!q->g.size)
		return ipk_slot_value(q->obj.seg, &s->var, ret_len);
	*ret_len = q->g.size;
	return s->fixed;
}

/*
 * Before buf of our slot is used: a former owner may have died between its commit and the store to
 * buf. What the journal holds may be anybody's, and mostly of somebody who lives and is done in no
 * time.
 */
static int settle(struct ipk_queue *q, struct ipk_self *me, i64 deadline)
{
	struct ipk_spin spin = {0};

	/* Acquire: pairs with the store that emptied it, after all the values. */
	while (ipk_ld(&ipk_header(q->obj.seg)->journal.n, acquire) != 0)
		if (!ipk_spin(&spin))
			return ipk_slot_settle(me, ipk_slot_deadline(deadline));
	return 0;
}

struct store {
	struct ipk_queue *q;
	struct ipk_self *me;
};

/*
 * How many positions from the next one on to the first free slot with a buffer; 0: there is none.
 */
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
static int reclaim(void *arg)
{
	struct ipk_queue *q = ((struct store *)arg)->q;
	struct ipk_self *me = ((struct store *)arg)->me;

	for (u64 n = find_idle(q); n; n--) {
		struct ipk_queue_slot *s;
		int r = -ENOSPC;
		u32 one = 1;
		u64 code;

		if (ipk_queue_claim(q, me, &code, &one) < 0)
			return -ENOSPC;
		s = q_slot(q, qc_index(&q->g, code));
		if (ipk_ld(&s->var.buf, relaxed))
			r = ipk_slot_release(me, &s->var);
		ipk_queue_give_up(q, s, qc_base(&q->g, code));
		if (r == 0)
			return 0;
	}
	return -ENOSPC;
}

int ipk_queue_store(struct ipk_queue *q, struct ipk_self *me, struct ipk_queue_slot *s,
		    const void *data, u64 len, i64 deadline)
{
	struct store st = {q, me};
	const struct ipk_slot_store how = {
		.me = me, .deadline = deadline, .reclaim = reclaim, .arg = &st};
	int r = len > IPK_SLOT_INLINE ? settle(q, me, deadline) : 0;
	u8 *bytes;

	if (r == 0)
		r = ipk_slot_room(&how, &s->var, len, &bytes);
	if (r < 0)
		return r == -ETIMEDOUT && deadline == IPK_NOWAIT ? -EAGAIN : r;
	/* The slot is ours as WR: nobody reads what was there before. */
	if (len)
		memcpy(bytes, data, len);
	ipk_st(&s->var.len, len, relaxed);
	return 0;
}
