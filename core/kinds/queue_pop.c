/* SPDX-License-Identifier: MIT */
/* Taking from queues for C programs: pop, peek, leases, shutdown. The algorithm is in queue.h. */
#define IPK_NO_INLINE /* here are the functions themselves */

#include "base/copy.h"
#include "kinds/queue.h"
#include "segment/registry.h"

#define MARK_TAKEN QW_ST(IPK_QUEUE_TAKEN - IPK_QUEUE_FULL) /* FULL -> TAKEN; FULL -> LEASED is 0 */
#define PEEK_TRIES 1000000u

/* Tells of n slots that are free again. In a shut queue it may be the end that consumers wait for. */
static inline void tell_space(struct ipk_queue *q, int n)
{
	if (!IPK_BUG(queue_pop_silent))
		ipk_event_notify_fenced(&q->b->space, n);
	if (ipk_unlikely(ipk_ld(&q->b->shut, acquire)))
		ipk_event_notify(&q->b->items, INT32_MAX);
}

/* Nothing at all to take, as far as one look tells: for those who poll. */
static bool empty(struct ipk_queue *q)
{
	u64 code = qc_hint(&q->g, ipk_ld(&q->b->head, acquire));

	return ipk_ld(&q_slot(q, qc_index(&q->g, code))->w, acquire) == qc_base(&q->g, code) &&
	       !(ipk_ld(&q->b->rd, acquire) & 1) && !ipk_ld(&q->b->shut, acquire);
}

/* ---- pop -------------------------------------------------------------------------------------- */

struct pop {
	void *buf;
	size_t size;
	struct ipk_queue_item item;
};

/*
 * What is ours as TAKEN has been copied: gone. Release: who pushes here next overwrites it; pairs with
 * the acquire of its claim.
 */
static inline void taken(struct ipk_queue_slot *s, const struct ipk_queue_taken *t)
{
	ipk_st(&s->w, qw_lap(t->w) + QW_LAP, release);
}

static inline void describe(struct ipk_queue *q, const struct ipk_queue_taken *t, void *buf, u64 len,
			    struct ipk_queue_item *ret)
{
	ret->data = buf;
	ret->len = len;
	ret->pos = qc_pos(&q->g, t->code);
	ret->redelivered = qw_rdc(t->w);
}

/* A value that cannot be is dropped: -EBADMSG. */
static int pop_one(struct ipk_queue *q, struct ipk_self *me, struct pop *p)
{
	struct ipk_queue_taken t;
	struct ipk_queue_slot *s;
	const void *data;
	u64 len;
	int r;

	if (p->size < q->g.size)
		return -EMSGSIZE;
	r = ipk_queue_take(q, MARK_TAKEN | me->slot, q->g.size ? UINT64_MAX : p->size, &t);
	if (r < 0)
		return r;
	s = q_slot(q, qc_index(&q->g, t.code));
	data = ipk_queue_value(q, s, &len);
	if (len > p->size)
		data = NULL; /* somebody stored another length: it is not to be trusted */
	if (data && len)
		memcpy(p->buf, data, len);
	taken(s, &t);
	describe(q, &t, p->buf, len, &p->item);
	return data ? 0 : -EBADMSG;
}

static int pop_attempt(struct ipk_queue *q, struct ipk_self *me, void *arg)
{
	return pop_one(q, me, arg);
}

static int take_nothing(struct ipk_queue *q)
{
	return ipk_stale(&q->obj) ? -ESTALE : -EAGAIN;
}

static int take_wait(struct ipk_queue *q, struct ipk_self *me, queue_attempt *attempt, void *arg,
		     i64 deadline)
{
	int r = attempt(q, me, arg);

	if (!queue_again(r))
		return r;
	if (deadline == IPK_NOWAIT)
		return take_nothing(q);
	return ipk_queue_wait(q, me, &q->b->items, deadline, attempt, arg);
}

/* One item, by all means. */
static int pop_wait(struct ipk_queue *q, struct ipk_self *me, void *buf, size_t size, i64 deadline,
		    struct ipk_queue_item *ret)
{
	struct pop p = {.buf = buf, .size = size};
	int r = take_wait(q, me, pop_attempt, &p, deadline);

	if (r == 0)
		*ret = p.item;
	return r;
}

int ipk_queue_pop_many(struct ipk_queue *q, void *buf, size_t size,
		       struct ipk_queue_item *ret_items, unsigned n, int64_t deadline)
{
	int r = 0;
	struct ipk_self *me = ipk_use(&q->obj, &r);
	unsigned i;

	if (!me)
		return r;
	ipk_fast_note(&q->obj, me);
	for (i = 0; i < n && i < INT32_MAX; i++) {
		struct ipk_queue_taken t;
		u64 step;

		if (size >= q->g.small && ipk_queue_get(q_fast(q), buf, q->g.small, &t)) {
			describe(q, &t, buf, q->g.small, &ret_items[i]);
			step = ipk_align_up(q->g.small, 8);
		} else {
			r = pop_wait(q, me, buf, size, i ? IPK_NOWAIT : deadline, &ret_items[i]);
			if (r < 0)
				break;
			step = ipk_align_up(ret_items[i].len, 8);
		}
		if (step > size)
			step = size;
		buf = (u8 *)buf + step;
		size -= step;
	}
	if (i)
		tell_space(q, (int)i);
	return i ? (int)i : r;
}

__attribute__((noinline)) int ipk_queue_pop_slow(struct ipk_queue *q, void *buf, size_t size,
						 struct ipk_queue_item *ret_item, int64_t deadline)
{
	struct ipk_queue_item item;
	int r;

	if (deadline == IPK_NOWAIT && ipk_fast_self(&q->obj.fast) <= IPK_QUEUE_OWN && empty(q))
		return take_nothing(q);
	r = ipk_queue_pop_many(q, buf, size, &item, 1, deadline);
	if (r < 0)
		return r;
	if (ret_item)
		*ret_item = item;
	return 0;
}

/* Who waits for the end while it saw us at work here looks again by itself. */
__attribute__((noinline)) int ipk_queue_get_tell(struct ipk_queue *q)
{
	tell_space(q, 1);
	return 0;
}

/* As in ipk_queue_push(): all calls come last. */
int ipk_queue_pop(struct ipk_queue *q, void *buf, size_t size, struct ipk_queue_item *ret_item,
		  int64_t deadline)
{
	const struct ipk_queue_fast *f = q_fast(q);
	const struct ipk_queue_body *b = f->body;
	struct ipk_queue_taken t;

	if (ipk_unlikely(ret_item || size < 8 || !ipk_queue_get(f, buf, 8, &t)))
		return ipk_queue_pop_slow(q, buf, size, ret_item, deadline);
	return ipk_fast_likely(ipk_queue_get_told(b)) ? 0 : ipk_queue_get_tell(q);
}

int64_t ipk_queue_drain(struct ipk_queue *q)
{
	int r = 0;
	struct ipk_self *me = ipk_use(&q->obj, &r);
	struct ipk_queue_taken t;
	u64 n = 0;

	if (!me)
		return r;
	/* No more than can be there: others may push as fast as we drop. */
	for (; n < q->g.cap; n++) {
		r = ipk_queue_take(q, MARK_TAKEN | me->slot, UINT64_MAX, &t);
		if (r < 0)
			break;
		taken(q_slot(q, qc_index(&q->g, t.code)), &t);
		tell_space(q, 1);
	}
	return n ? (int64_t)n : r == QUEUE_BUSY ? -EAGAIN : r;
}

static int peek(struct ipk_queue *q, void *buf, size_t size, struct ipk_queue_item *ret_item)
{
	for (u32 n = PEEK_TRIES; n; n--) {
		struct ipk_queue_taken t;
		struct ipk_queue_slot *s;
		const void *data;
		u64 len;
		int r = ipk_queue_find(q, &t);

		if (r < 0)
			return r;
		s = q_slot(q, qc_index(&q->g, t.code));
		data = ipk_queue_value(q, s, &len);
		if (data)
			ipk_copy_out(buf, data, len < size ? len : size);
		ipk_fence(acquire); /* what was copied belongs to t.w if that is still there */
		if (ipk_ld(&s->w, relaxed) != t.w)
			continue;
		if (!data)
			return -EBADMSG;
		*ret_item = (struct ipk_queue_item){buf, len, qc_pos(&q->g, t.code), qw_rdc(t.w)};
		return 0;
	}
	return -EAGAIN;
}

int ipk_queue_peek(struct ipk_queue *q, void *buf, size_t size, struct ipk_queue_item *ret_item)
{
	struct ipk_queue_item item;
	int r = peek(q, buf, size, &item), stale = ipk_after_read(&q->obj);

	if (stale)
		return stale;
	if (r == 0 && ret_item)
		*ret_item = item;
	return r;
}

/* ---- leases ------------------------------------------------------------------------------------ */

static int lease_one(struct ipk_queue *q, struct ipk_self *me, struct ipk_queue_lease *l)
{
	struct ipk_queue_taken t;
	struct ipk_queue_slot *s;
	const void *data;
	u64 len;
	int r = ipk_queue_take(q, me->slot, UINT64_MAX, &t);

	if (r < 0)
		return r;
	s = q_slot(q, qc_index(&q->g, t.code));
	data = ipk_queue_value(q, s, &len);
	*l = (struct ipk_queue_lease){
		.data = data,
		.len = len,
		.pos = qc_pos(&q->g, t.code),
		.redelivered = qw_rdc(t.w),
		.slot_ = (u32)qc_index(&q->g, t.code),
		.word_ = t.w | me->slot,
		.fork_ = q->obj.seg->fork_gen,
		.holder_ = me,
	};
	ipk_hold_get(me);
	if (!data) { /* cannot be: dropped */
		ipk_queue_ack(q, l);
		return -EBADMSG;
	}
	return 0;
}

static int lease_attempt(struct ipk_queue *q, struct ipk_self *me, void *arg)
{
	return lease_one(q, me, arg);
}

int ipk_queue_lease_many(struct ipk_queue *q, struct ipk_queue_lease *ret_leases, unsigned n,
			 int64_t deadline)
{
	int r = 0;
	struct ipk_self *me = ipk_use(&q->obj, &r);
	struct ipk_queue_lease lease;
	unsigned i;

	if (!me)
		return r;
	for (i = 0; i < n && i < INT32_MAX; i++) {
		r = take_wait(q, me, lease_attempt, &lease, i ? IPK_NOWAIT : deadline);
		if (r < 0)
			break;
		ret_leases[i] = lease;
	}
	/* What is leased can move out of a producer's way. */
	if (i)
		queue_tell_room(q);
	return i ? (int)i : r;
}

int ipk_queue_lease(struct ipk_queue *q, struct ipk_queue_lease *ret_lease, int64_t deadline)
{
	int r = ipk_queue_lease_many(q, ret_lease, 1, deadline);

	return r < 0 ? r : 0;
}

/*
 * Ends a lease: the item is gone, or waits again. Its word may have moved up by any number of laps.
 * seq_cst: the fence of the caller's look at the event words.
 */
static int end_lease(struct ipk_queue *q, struct ipk_queue_lease *l, bool back)
{
	struct ipk_queue_slot *s;
	u64 w;

	if (!l->holder_ || l->slot_ >= q->g.cap || l->fork_ != q->obj.seg->fork_gen)
		return -EINVAL;
	s = q_slot(q, l->slot_);
	w = ipk_ld(&s->w, relaxed);
	do {
		if ((w ^ l->word_) & (QW_LAP - 1) || qw_ahead(w, qw_lap(l->word_)) < 0)
			return -EINVAL;
	} while (!ipk_cas(&s->w, &w, back ? qw_given_back(w) : qw_lap(w) + QW_LAP, seq_cst));
	if (back) {
		ipk_add(&q->b->redelivered, 1, relaxed);
		ipk_queue_pend(q);
	}
	ipk_hold_put(l->holder_);
	l->holder_ = NULL;
	return 0;
}

int ipk_queue_ack_many(struct ipk_queue *q, struct ipk_queue_lease *leases, unsigned n)
{
	unsigned i;

	for (i = 0; i < n && i < INT32_MAX && end_lease(q, &leases[i], false) == 0; i++)
		;
	if (i)
		tell_space(q, (int)i);
	return i || !n ? (int)i : -EINVAL;
}

int ipk_queue_ack(struct ipk_queue *q, struct ipk_queue_lease *lease)
{
	int r = ipk_queue_ack_many(q, lease, 1);

	return r < 0 ? r : 0;
}

int ipk_queue_nack(struct ipk_queue *q, struct ipk_queue_lease *lease)
{
	int r = end_lease(q, lease, true);

	if (r == 0)
		ipk_event_notify(&q->b->items, 1);
	return r;
}

/* ---- the end ----------------------------------------------------------------------------------- */

int ipk_queue_shutdown(struct ipk_queue *q)
{
	int r = 0;
	struct ipk_self *me = ipk_use(&q->obj, &r);

	if (!me)
		return r;
	/* Release: who gets -EPIPE sees what we did before. Pairs with the acquire of push and pop. */
	ipk_xchg(&q->b->shut, 1u, seq_cst);
	ipk_queue_wake(&q->obj);
	return 0;
}
