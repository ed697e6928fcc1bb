/* SPDX-License-Identifier: MIT */
/* What the dead leave in a queue, and the end of the queue itself. The words are in queue.h. */
#include "kinds/queue.h"

bool qw_legal(u64 w)
{
	u32 own = qw_own(w), rdc = qw_rdc(w);

	if (own >= IPK_SLOTS_MAX && w != (qw_lap(w) | QW_SEAL))
		return false;
	switch (qw_st(w)) {
	case IPK_QUEUE_FREE:
		return rdc == 0 && (own == 0 || own == QW_SEAL);
	case IPK_QUEUE_WR:
		return rdc == 0 && own != 0;
	case IPK_QUEUE_TAKEN:
		return own != 0;
	default:
		return true;
	}
}

u64 qw_given_back(u64 w)
{
	u64 rdc = qw_rdc(w) == 63 ? 32 : qw_rdc(w) + 1;

	return qw_lap(w) | QW_ST(IPK_QUEUE_FULL) | rdc << QW_RDC_SHIFT;
}

/* ---- giving back and mending ------------------------------------------------------------------ */

void ipk_queue_pend(struct ipk_queue *q)
{
	u64 rd = ipk_ld(&q->b->rd, relaxed);

	if (IPK_BUG(queue_no_pend))
		return;
	/* Release: who sees pend finds the item. Pairs with the acquire in ipk_queue_take(). */
	while (!ipk_cas(&q->b->rd, &rd, qrd_pend(rd), acq_rel))
		;
}

void ipk_queue_wake(struct ipk_obj *obj)
{
	struct ipk_queue_body *b = ipk_at(obj->seg, obj->body, sizeof(*b), IPK_LINE);

	if (!b)
		return;
	ipk_event_notify(&b->items, INT32_MAX);
	ipk_event_notify(&b->space, INT32_MAX);
}

void ipk_queue_mend(struct ipk_queue *q, struct ipk_queue_slot *s, u64 w)
{
	if (qw_st(w) == IPK_QUEUE_WR) {
		if (IPK_BUG(queue_no_mend_wr) || !ipk_cas(&s->w, &w, qw_lap(w) + QW_LAP, acq_rel))
			return;
		ipk_add(&q->b->skipped, 1, relaxed);
	} else if (IPK_BUG(queue_taken_is_gone)) {
		ipk_cas(&s->w, &w, qw_lap(w) + QW_LAP, acq_rel);
	} else {
		if (!ipk_cas(&s->w, &w, qw_given_back(w), acq_rel))
			return;
		ipk_add(&q->b->redelivered, 1, relaxed);
		ipk_queue_pend(q);
	}
	ipk_queue_wake(&q->obj);
}

bool ipk_queue_orphan(struct ipk_queue *q, u64 w)
{
	return qw_st(w) != IPK_QUEUE_FREE && qw_own(w) && ipk_dead(q->obj.seg, qw_own(w), false);
}

void ipk_queue_give_up(struct ipk_queue *q, struct ipk_queue_slot *s, u64 base)
{
	ipk_add(&q->b->skipped, 1, relaxed);
	/* Release: what the next owner reads in the slot is ours. */
	ipk_st(&s->w, base + QW_LAP, release);
	ipk_queue_wake(&q->obj);
}

/*
 * Mends s until it names no dead owner: a producer may move the word up while we look, and once the
 * sweep has ended the owner's number is somebody else's.
 */
static void recover_slot(struct ipk_queue *q, struct ipk_queue_slot *s, u64 w, u32 *alive)
{
	while (qw_st(w) != IPK_QUEUE_FREE && qw_own(w) && qw_own(w) != *alive) {
		if (!ipk_dead(q->obj.seg, qw_own(w), true)) {
			*alive = qw_own(w);
			return;
		}
		ipk_queue_mend(q, s, w);
		w = ipk_ld(&s->w, acquire);
	}
}

int ipk_queue_recover(struct ipk_obj *obj)
{
	struct ipk_queue q = {.obj = *obj};
	int r = ipk_queue_bind(&q);
	u32 alive = 0;

	if (r < 0)
		return r;
	for (u64 i = 0; i < q.g.cap; i++) {
		struct ipk_queue_slot *s = q_slot(&q, i);
		u64 w = ipk_ld(&s->w, acquire);

		if (w == 0)
			break; /* never used, nor is any behind it */
		recover_slot(&q, s, w, &alive);
	}
	/* Whoever gave something back and died before it said so, maybe in mending: we say it. */
	ipk_queue_pend(&q);
	ipk_queue_wake(&q.obj);
	return 0;
}

/* ---- the end of the object --------------------------------------------------------------------- */

#define FREES 64u

int ipk_queue_destroy(struct ipk_obj *obj)
{
	struct ipk_queue q = {.obj = *obj};
	u64 *buf[FREES];
	int r = ipk_queue_bind(&q);
	struct ipk_self *me = r ? NULL : ipk_use(&q.obj, &r);
	u32 n = 0;

	if (!me)
		return r;
	for (u64 i = 0; !r && q.g.size == 0 && i < q.g.cap; i++) {
		struct ipk_queue_slot *s = q_slot(&q, i);

		if (ipk_ld(&s->w, relaxed) == 0)
			break;
		if (ipk_ld(&s->var.buf, relaxed))
			buf[n++] = &s->var.buf;
		if (n == FREES) {
			r = ipk_slot_release_all(me, buf, n);
			n = 0;
		}
	}
	return r ? r : ipk_slot_release_all(me, buf, n);
}
