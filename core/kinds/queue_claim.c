/* SPDX-License-Identifier: MIT */
/*
 * Where to push. These are the paths that are right from any hint; the fast path in queue_fast.h tries one
 * position and comes here when it is not the one. Transitions and the reasons (1) to (3): queue.h.
 */
#include "kinds/queue.h"

/* Has the position been given out? By (1) then so have all before it. */
static bool given_out(struct ipk_queue *q, u64 code)
{
	u64 w = ipk_ld(&q_slot(q, qc_index(&q->g, code))->w, acquire);
	i64 ahead = qw_ahead(w, qc_base(&q->g, code));

	return ahead > 0 || (ahead == 0 && qw_st(w) != IPK_QUEUE_FREE);
}

/* From a position that was given out, to one that was not or is near to it. */
static u64 gallop(struct ipk_queue *q, u64 code)
{
	u64 step = 1;

	for (int i = 0; i < 64; i++) {
		u64 next = qc_add(&q->g, code, step);

		if (given_out(q, next)) {
			code = next;
			step = step * 2 < q->g.cap ? step * 2 : q->g.cap;
		} else if (step == 1) {
			return next;
		} else {
			step = 1;
		}
	}
	return qc_next(&q->g, code);
}

/* Slot i of code has a word ahead of it: the first position that may not have been given out. */
static u64 jump_tail(struct ipk_queue *q, u64 code, u64 w)
{
	u64 done = qw_st(w) == IPK_QUEUE_FREE ? w - QW_LAP : w;
	u64 last = qc_of(&q->g, done, qc_index(&q->g, code), code);

	/* w - 1 lap may be the lap of code itself, which is then given out. */
	return qc_next(&q->g, (i64)(last - code) > 0 ? last : code);
}

u64 ipk_queue_tail(struct ipk_queue *q)
{
	u64 code = qc_hint(&q->g, ipk_ld(&q->b->tail, acquire));

	for (u64 n = ipk_queue_walk(&q->g); n && given_out(q, code); n--) {
		u64 w = ipk_ld(&q_slot(q, qc_index(&q->g, code))->w, acquire);

		if (qw_ahead(w, qc_base(&q->g, code)) > 0)
			code = jump_tail(q, code, w);
		else
			code = gallop(q, code);
	}
	return code;
}

/* Once taken and not in use by a pop: may move up a lap. */
static bool movable(u64 w)
{
	return qw_st(w) == IPK_QUEUE_FULL && (qw_own(w) || qw_rdc(w));
}

/* Makes the n positions from code on void: their slots' items move up. */
static void move_up(struct ipk_queue *q, u64 code, u64 n)
{
	for (; n; n--, code = qc_next(&q->g, code)) {
		struct ipk_queue_slot *s = q_slot(q, qc_index(&q->g, code));
		u64 w = ipk_ld(&s->w, acquire);

		if (qw_ahead(w, qc_base(&q->g, code)) != -1 || !movable(w))
			return;
		/* seq_cst: as a claim, for those who wait. */
		if (!ipk_cas(&s->w, &w, w + QW_LAP, seq_cst))
			return;
		ipk_add(&q->b->skipped, 1, relaxed);
	}
}

bool ipk_queue_room(struct ipk_queue *q)
{
	u64 code = ipk_queue_tail(q);

	for (u64 n = 0; n < q->g.cap; n++, code = qc_next(&q->g, code)) {
		u64 w = ipk_ld(&q_slot(q, qc_index(&q->g, code))->w, acquire);

		if (w == qc_base(&q->g, code))
			return true;
		if (!movable(w))
			return false;
	}
	return false;
}

/*
 * The slot of code, the next position, holds something of the lap before. QUEUE_RETRY: no longer.
 * The first look at the first slot is the instant at which the queue was full, if it was: whatever is
 * found occupied later was so already then.
 */
static int make_room(struct ipk_queue *q, u64 code)
{
	u64 at = code;

	for (u64 n = 0; n < q->g.cap; n++, at = qc_next(&q->g, at)) {
		struct ipk_queue_slot *s = q_slot(q, qc_index(&q->g, at));
		u64 w = ipk_ld(&s->w, acquire);
		i64 ahead = qw_ahead(w, qc_base(&q->g, at));

		if (ahead == 0 && w == qc_base(&q->g, at))
			move_up(q, code, n);
		if (ahead >= 0)
			return QUEUE_RETRY;
		if (ahead < -1 || !qw_legal(w) || qw_st(w) == IPK_QUEUE_FREE)
			return -EBADMSG;
		if (ipk_queue_orphan(q, w)) {
			ipk_queue_mend(q, s, w);
			return QUEUE_RETRY;
		}
		if (qw_st(w) == IPK_QUEUE_TAKEN)
			return QUEUE_BUSY;
		if (!movable(w))
			return -EAGAIN;
	}
	return -EAGAIN;
}

int ipk_queue_claim(struct ipk_queue *q, struct ipk_self *me, u64 *ret_code)
{
	/* Acquire: pairs with the store of who claimed the position before. */
	u64 code = qc_hint(&q->g, ipk_ld(&q->b->tail, acquire));
	u64 own = IPK_BUG(queue_owner_later) ? 0 : me->slot;
	int r;

	if (ipk_ld(&q->b->shut, acquire))
		return -EPIPE;
	for (u64 n = ipk_queue_walk(&q->g); n; n--) {
		struct ipk_queue_slot *s = q_slot(q, qc_index(&q->g, code));
		u64 base = qc_base(&q->g, code);
		u64 w = ipk_ld(&s->w, acquire);
		i64 ahead = qw_ahead(w, base);

		if (w == base) {
			/* seq_cst: the fence of our later look at items, see ipk_queue_put(). */
			if (!ipk_cas(&s->w, &w, base | QW_ST(IPK_QUEUE_WR) | own, seq_cst))
				continue;
			ipk_st(&q->b->tail, qc_next(&q->g, code), release);
			if (IPK_BUG(queue_owner_later))
				ipk_st(&s->w, base | QW_ST(IPK_QUEUE_WR) | me->slot, release);
			if (IPK_BUG(queue_publish_first))
				ipk_st(&s->w, base | QW_ST(IPK_QUEUE_FULL), release);
			*ret_code = code;
			return 0;
		}
		if (ahead > 0) {
			code = jump_tail(q, code, w);
		} else if (ahead < 0) {
			r = make_room(q, code);
			if (r != QUEUE_RETRY)
				return r;
		} else if (qw_st(w) == IPK_QUEUE_FREE) {
			return w == (base | QW_SEAL) ? -EPIPE : -EBADMSG;
		} else {
			code = gallop(q, code);
		}
	}
	return -EBADMSG;
}
