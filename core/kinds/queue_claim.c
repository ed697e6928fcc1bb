/* SPDX-License-Identifier: MIT */
/*
 * Where to push. These are the paths that are right from any hint; the fast path in queue_fast.h
 * tries one position and comes here when it is not the one. Transitions and the reasons (1) to (3):
 * queue.h.
 */
#include "kinds/queue.h"

/*
 * Has the position been given out? By (1) then so have all before it. Behind what its word tells
 * of, or 0.
 */
static u64 given_out(struct ipk_queue *q, u64 code)
{
	u64 w = ipk_ld(&q_slot(q, qc_index(&q->g, code))->w, acquire);
	i64 ahead = qw_ahead(w, qc_base(&q->g, code));

	if (ahead > 0)
		return qc_next(&q->g, code);
	return ahead == 0 && !qw_free(w) ? qc_after(&q->g, code, w) : 0;
}

/*
 * From code, before which all were given out, to one that was not or is near to it. What is met
 * beyond code and looks FREE may be a member of a burst: so the result is reached word by word.
 */
static u64 gallop(struct ipk_queue *q, u64 code)
{
	u64 step = 0;

	for (int i = 0; i < 64; i++) {
		u64 after = given_out(q, qc_add(&q->g, code, step));

		if (after) {
			code = after;
			step = !step ? 1 : step * 2 < q->g.cap ? step * 2 : q->g.cap;
		} else if (!step) {
			break;
		} else {
			step = 0;
		}
	}
	return code;
}

/* Slot i of code has a word ahead of it: the first position that may not have been given out. */
static u64 jump_tail(struct ipk_queue *q, u64 code, u64 w)
{
	u64 done = qw_free(w) ? w - QW_LAP : w;
	u64 last = qc_of(&q->g, done, qc_index(&q->g, code), code);

	/* w - 1 lap may be the lap of code itself, which is then given out. */
	return (i64)(last - code) > 0 ? qc_after(&q->g, last, w) : qc_next(&q->g, code);
}

u64 ipk_queue_tail(struct ipk_queue *q)
{
	u64 code = qc_hint(&q->g, ipk_ld(&q->b->tail, acquire)), after;

	for (u64 n = ipk_queue_walk(&q->g); n && (after = given_out(q, code)); n--) {
		u64 w = ipk_ld(&q_slot(q, qc_index(&q->g, code))->w, acquire);

		if (qw_ahead(w, qc_base(&q->g, code)) > 0)
			code = jump_tail(q, code, w);
		else
			code = gallop(q, after);
	}
	return code;
}

/* Once taken and not in use by a pop: may move up a lap. */
static bool movable(u64 w)
{
	return qw_st(w) == IPK_QUEUE_FULL && !(w & QW_BURST) && (qw_own(w) || qw_rdc(w));
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
 * The first look at the first slot is the instant at which the queue was full, if it was: whatever
 * is found occupied later was so already then.
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
		if (ahead < -1 || !ipk_queue_legal(w) || qw_free(w))
			return -EBADMSG;
		if (ipk_queue_orphan(q, w)) {
			ipk_queue_mend(q, s, w);
			return QUEUE_RETRY;
		}
		if (qw_st(w) == IPK_QUEUE_TAKEN || qw_st(w) == IPK_QUEUE_FREE)
			return QUEUE_BUSY;
		if (!movable(w))
			return -EAGAIN;
	}
	return -EAGAIN;
}

/* How many positions from code on, which is FREE, can be claimed at once; at most n. */
static u32 free_run(struct ipk_queue *q, u64 code, u32 n)
{
	u64 i = qc_index(&q->g, code), base = qc_base(&q->g, code);
	u32 k = 1;

	if (n > q->g.cap - i)
		n = (u32)(q->g.cap - i);
	/* Acquire: pairs with who freed it, whose reads come before our writing. */
	while (k < n && ipk_ld(&q_slot(q, i + k)->w, acquire) == base)
		k++;
	return k;
}

int ipk_queue_claim(struct ipk_queue *q, struct ipk_self *me, u64 *ret_code, u32 *n)
{
	/* Acquire: pairs with the store of who claimed the position before. */
	u64 code = qc_hint(&q->g, ipk_ld(&q->b->tail, acquire));
	u64 own = IPK_BUG(queue_owner_later) ? 0 : me->slot;
	int r;

	if (ipk_ld(&q->b->shut, acquire))
		return -EPIPE;
	for (u64 steps = ipk_queue_walk(&q->g); steps; steps--) {
		struct ipk_queue_slot *s = q_slot(q, qc_index(&q->g, code));
		u64 base = qc_base(&q->g, code);
		u64 w = ipk_ld(&s->w, acquire);
		i64 ahead = qw_ahead(w, base);

		if (w == base) {
			u32 run = *n > 1 ? free_run(q, code, *n) : 1;

			/* seq_cst: the fence of our later look at items, see ipk_queue_put(). */
			if (!ipk_cas(&s->w, &w, qw_burst(base | QW_ST(IPK_QUEUE_WR) | own, run),
				     seq_cst))
				continue;
			ipk_st(&q->b->tail, qc_add(&q->g, code, run), release);
			*n = run;
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
		} else if (qw_free(w)) {
			return w == (base | QW_SEAL) ? -EPIPE : -EBADMSG;
		} else {
			code = gallop(q, qc_after(&q->g, code, w));
		}
	}
	return -EBADMSG;
}
