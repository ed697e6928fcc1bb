/* SPDX-License-Identifier: MIT */
/* What the dead leave in a queue, and the end of the queue itself. The words are in queue.h. */
#include "kinds/queue.h"

bool ipk_queue_legal(u64 w)
{
	u32 own = qw_own(w), rdc = qw_rdc(w);

	if (own >= IPK_SLOTS_MAX && w != (qw_lap(w) | QW_SEAL))
		return false;
	if (w & QW_BURST)
		return rdc != 0 && own != 0;
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

u64 ipk_queue_given_back(u64 w)
{
	u64 rdc = qw_rdc(w) == 63 ? 32 : qw_rdc(w) + 1;

	return qw_lap(w) | QW_ST(IPK_QUEUE_FULL) | rdc << QW_RDC_SHIFT;
}

/* ---- bursts ---------------------------------------------------------------------------------- */

/* What a position of the burst would be by itself. */
static u64 part_of(u64 head)
{
	u64 lap = qw_lap(head);

	switch (qw_st(head)) {
	case IPK_QUEUE_FREE:
		return lap + QW_LAP;
	case IPK_QUEUE_FULL:
		return ipk_queue_given_back(lap);
	default:
		return lap | QW_ST(qw_st(head)) | qw_own(head);
	}
}

u64 ipk_queue_apart(struct qw_apart *a, u64 w)
{
	if (w & QW_BURST) {
		*a = (struct qw_apart){w, qw_span(w) - 1};
		return part_of(w);
	}
	if (!a->left)
		return w;
	a->left--;
	if (w == (qw_lap(a->head) | QW_ST(IPK_QUEUE_FULL)) ||
	    (w == qw_lap(a->head) && qw_st(a->head) < IPK_QUEUE_FULL))
		return part_of(a->head);
	return w;
}

bool ipk_queue_member(u64 head, u64 w)
{
	u64 lap = qw_lap(head), full = lap | QW_ST(IPK_QUEUE_FULL);

	switch (qw_st(head)) {
	case IPK_QUEUE_WR:
		return w == lap || w == full;
	case IPK_QUEUE_TAKEN:
		return w == full;
	case IPK_QUEUE_FREE:
		return w == lap || w == full || w == lap + QW_LAP;
	default: /* given back already, and maybe taken, leased and done with again */
		return w == full || w == lap + QW_LAP ||
		       (qw_lap(w) == lap && qw_st(w) >= IPK_QUEUE_FULL && !(w & QW_BURST) &&
			qw_rdc(w));
	}
}

/* Gives the members of the burst, from the last to the first, the word that its part is to have. */
static void mend_members(struct ipk_queue *q, struct ipk_queue_slot *s, u64 head)
{
	u64 i = (u64)((u8 *)s - q->slots) / q->g.stride, n = qw_span(head);
	u64 full = qw_lap(head) | QW_ST(IPK_QUEUE_FULL);
	u64 unwritten = qw_st(head) == IPK_QUEUE_FREE ? qw_lap(head) : full;

	if (n > q->g.cap - i)
		n = q->g.cap - i;
	while (--n) {
		u64 *word = &q_slot(q, i + n)->w, w = ipk_ld(word, acquire);

		while (w == full || w == unwritten)
			if (ipk_cas(word, &w, part_of(head), acq_rel))
				break;
	}
}

/* As ipk_queue_mend(): queue.h, BURSTS. */
static void mend_burst(struct ipk_queue *q, struct ipk_queue_slot *s, u64 w)
{
	bool back = qw_st(w) >= IPK_QUEUE_FULL;
	u64 decided = (w & ~QW_ST(3)) | QW_ST(back ? IPK_QUEUE_FULL : IPK_QUEUE_FREE);

	if (w != decided) {
		if (!ipk_cas(&s->w, &w, decided, acq_rel))
			return;
		ipk_add(back ? &q->b->redelivered : &q->b->skipped, qw_span(w), relaxed);
	}
	if (!IPK_BUG(queue_burst_head_alone))
		mend_members(q, s, decided);
	if (!ipk_cas(&s->w, &decided, part_of(decided), acq_rel))
		return;
	if (back)
		ipk_queue_pend(q);
	ipk_queue_wake(&q->obj);
}

/* ---- giving back and mending ----------------------------------------------------------------- */

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
	if (w & QW_BURST) {
		mend_burst(q, s, w);
		return;
	}
	if (qw_st(w) == IPK_QUEUE_WR) {
		if (IPK_BUG(queue_no_mend_wr) || !ipk_cas(&s->w, &w, qw_lap(w) + QW_LAP, acq_rel))
			return;
		ipk_add(&q->b->skipped, 1, relaxed);
	} else if (IPK_BUG(queue_taken_is_gone)) {
		ipk_cas(&s->w, &w, qw_lap(w) + QW_LAP, acq_rel);
	} else {
		if (!ipk_cas(&s->w, &w, ipk_queue_given_back(w), acq_rel))
			return;
		ipk_add(&q->b->redelivered, 1, relaxed);
		ipk_queue_pend(q);
	}
	ipk_queue_wake(&q->obj);
}

bool ipk_queue_orphan(struct ipk_queue *q, u64 w)
{
	return !qw_free(w) && qw_own(w) && ipk_dead(q->obj.seg, qw_own(w), false);
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
	while (!qw_free(w) && qw_own(w) && qw_own(w) != *alive) {
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
	u64 burst = 0; /* where the last one ends that was met: its members may be 0 */
	u32 alive = 0;

	if (r < 0)
		return r;
	for (u64 i = 0; i < q.g.cap; i++) {
		struct ipk_queue_slot *s = q_slot(&q, i);
		u64 w = ipk_ld(&s->w, acquire);

		if (w == 0 && i >= burst)
			break; /* never used, nor is any behind it */
		if (w & QW_BURST)
			burst = i + qw_span(w);
		recover_slot(&q, s, w, &alive);
	}
	/* Whoever gave something back and died before it said so, maybe in mending: we say it. */
	ipk_queue_pend(&q);
	ipk_queue_wake(&q.obj);
	return 0;
}

/* ---- the end of the object ------------------------------------------------------------------- */

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
