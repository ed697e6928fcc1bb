/* SPDX-License-Identifier: MIT */
/* Taking from queues for C programs: pop, peek, leases, shutdown. The algorithm is in queue.h. */
#define IPK_NO_INLINE /* here are the functions themselves */

#include "base/copy.h"
#include "kinds/queue.h"
#include "segment/registry.h"

#define MARK_TAKEN QW_ST(IPK_QUEUE_TAKEN - IPK_QUEUE_FULL) /* FULL -> TAKEN; FULL -> LEASED is 0 */
#define PEEK_TRIES 1000000u

/*
 * Tells of n slots that are free again. In a shut queue it may be the end that consumers wait for.
 */
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
	u64 rd = ipk_ld(&q->b->rd, acquire);
	u64 code = qc_hint(&q->g, ipk_ld(&q->b->head, acquire));
	u64 *w = &q_slot(q, qc_index(&q->g, code))->w;

	return ipk_ld(w, acquire) == qc_base(&q->g, code) &&
	       ipk_queue_none(q_fast(q), w, q->g.size, rd);
}

/* ---- pop ------------------------------------------------------------------------------------- */

struct pop {
	void *buf;
	size_t size;
	struct ipk_queue_item *items; /* NULL: nobody wants to know */
	u32 n;                        /* that may be taken at once; then how many were */
	size_t used; /* bytes of buf, up to where the next one belongs; may be more than size */
};

/*
 * What is ours as TAKEN has been copied: gone. Release: who pushes here next overwrites it; pairs
 * with the acquire of its claim.
 */
static inline void taken(struct ipk_queue_slot *s, const struct ipk_queue_taken *t)
{
	ipk_st(&s->w, qw_lap(t->w) + QW_LAP, release);
}

static inline void describe(struct ipk_queue *q, const struct ipk_queue_taken *t,
			    const struct pop *p, u64 len)
{
	u64 pos = qc_pos(&q->g, t->code);

	for (u32 k = 0; p->items && k < p->n; k++)
		p->items[k] = (struct ipk_queue_item){
			.data = (u8 *)p->buf + k * ipk_align_up(len, 8),
			.len = len,
			.pos = pos + k,
			.redelivered = qw_rdc(t->w),
		};
}

/* Elements of a fixed size. */
static int pop_run(struct ipk_queue *q, struct ipk_self *me, struct pop *p)
{
	u64 size = q->g.size, step = ipk_align_up(size, 8);
	u32 n = p->n < QUEUE_BURST_MAX ? p->n : QUEUE_BURST_MAX;
	struct ipk_queue_taken t;
	int r;

	if (p->size < size)
		return -EMSGSIZE;
	if (p->size - size < (n - 1) * step)
		n = (u32)((p->size - size) / step) + 1;
	r = ipk_queue_take(q, MARK_TAKEN | me->slot, UINT64_MAX, &t, &n);
	if (r < 0)
		return r;
	ipk_queue_get_run(q, me, t.code, p->buf, n);
	p->n = n;
	p->used = n * step;
	describe(q, &t, p, size);
	return 0;
}

/* One value. One that cannot be is dropped: -EBADMSG. */
static int pop_value(struct ipk_queue *q, struct ipk_self *me, struct pop *p)
{
	struct ipk_queue_taken t;
	struct ipk_queue_slot *s;
	const void *data;
	u32 n = 1;
	u64 len;
	int r = ipk_queue_take(q, MARK_TAKEN | me->slot, p->size, &t, &n);

	if (r < 0)
		return r;
	s = q_slot(q, qc_index(&q->g, t.code));
	data = ipk_queue_value(q, s, &len);
	if (len > p->size)
		data = NULL; /* somebody stored another length: it is not to be trusted */
	if (data && len)
		memcpy(p->buf, data, len);
	taken(s, &t);
	if (!data)
		return -EBADMSG;
	p->n = 1;
	p->used = ipk_align_up(len, 8);
	describe(q, &t, p, len);
	return 0;
}

static int pop_attempt(struct ipk_queue *q, struct ipk_self *me, void *arg)
{
	return q->g.size ? pop_run(q, me, arg) : pop_value(q, me, arg);
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
	if (deadline != IPK_NOWAIT)
		return ipk_queue_wait(q, me, &q->b->items, deadline, attempt, arg);
	if (ipk_poll_sweep(me)) /* who had taken something may be dead */
		r = attempt(q, me, arg);
	return queue_again(r) ? take_nothing(q) : r;
}

int ipk_queue_pop_many(struct ipk_queue *q, void *buf, size_t size,
		       struct ipk_queue_item *ret_items, unsigned n, int64_t deadline)
{
	int r = 0;
	struct ipk_self *me = ipk_use(&q->obj, &r);
	struct pop p = {.buf = buf, .size = size, .items = ret_items};
	struct ipk_queue_taken t;
	unsigned i = 0;

	if (!me)
		return r;
	if (n > INT32_MAX)
		n = INT32_MAX;
	ipk_fast_note(&q->obj, me);
	while (i < n) {
		p.n = n - i;
		if (p.n == 1 && q->g.size && p.size >= q->g.small &&
		    ipk_queue_get(q_fast(q), p.buf, q->g.small, &t) > 0) {
			describe(q, &t, &p, q->g.small);
			i++;
			break;
		}
		r = take_wait(q, me, pop_attempt, &p, i ? IPK_NOWAIT : deadline);
		if (r < 0)
			break;
		i += p.n;
		if (p.used > p.size)
			p.used = p.size;
		p.buf = (u8 *)p.buf + p.used;
		p.size -= p.used;
		if (p.items)
			p.items += p.n;
	}
	if (i)
		tell_space(q, (int)i);
	return i ? (int)i : r;
}

__attribute__((noinline)) int ipk_queue_pop_slow(struct ipk_queue *q, void *buf, size_t size,
						 struct ipk_queue_item *ret_item, int64_t deadline)
{
	int r;

	if (deadline == IPK_NOWAIT && ipk_fast_self(&q->obj.fast) <= IPK_QUEUE_OWN && empty(q) &&
	    ++ipk_fast_3[IPK_FAST_WAYS] % IPK_FAST_POLLS)
		return -EAGAIN;
	r = ipk_queue_pop_many(q, buf, size, ret_item, 1, deadline);
	return r < 0 ? r : 0;
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

	if (ipk_unlikely(ret_item || size < 8 || ipk_queue_get(f, buf, 8, &t) <= 0))
		return ipk_queue_pop_slow(q, buf, size, ret_item, deadline);
	return ipk_fast_likely(ipk_queue_get_told(b)) ? 0 : ipk_queue_get_tell(q);
}

int64_t ipk_queue_drain(struct ipk_queue *q)
{
	int r = 0;
	struct ipk_self *me = ipk_use(&q->obj, &r);
	struct ipk_queue_taken t;
	u32 one = 1;
	u64 n = 0;

	if (!me)
		return r;
	/* No more than can be there: others may push as fast as we drop. */
	for (; n < q->g.cap; n++) {
		r = ipk_queue_take(q, MARK_TAKEN | me->slot, UINT64_MAX, &t, &one);
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

/* ---- leases ---------------------------------------------------------------------------------- */

static int lease_one(struct ipk_queue *q, struct ipk_self *me, struct ipk_queue_lease *l)
{
	struct ipk_queue_taken t;
	struct ipk_queue_slot *s;
	const void *data;
	u32 one = 1;
	u64 len;
	int r = ipk_queue_take(q, me->slot, UINT64_MAX, &t, &one);

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
	} while (!ipk_cas(&s->w, &w, back ? ipk_queue_given_back(w) : qw_lap(w) + QW_LAP, seq_cst));
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

/* ---- the end --------------------------------------------------------------------------------- */

int ipk_queue_shutdown(struct ipk_queue *q)
{
	int r = 0;
	struct ipk_self *me = ipk_use(&q->obj, &r);

	if (!me)
		return r;
	/*
	 * Release: who gets -EPIPE sees what we did before. Pairs with the acquire of push and pop.
	 */
	ipk_xchg(&q->b->shut, 1u, seq_cst);
	ipk_queue_wake(&q->obj);
	return 0;
}
