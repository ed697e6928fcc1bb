/* SPDX-License-Identifier: MIT */
/*
 * What to take. These are the paths that are right from any hint; the fast path in queue_fast.h
 * tries one position and comes here when it is not the one. Transitions and the reasons (1) to (3):
 * queue.h.
 */
#include "kinds/queue.h"

/* From slot i's word, ahead of code: the next position that may not have been passed. */
static u64 jump_head(struct ipk_queue *q, u64 code, u64 w)
{
	u64 done = w - (qw_free(w) ? 2 : 1) * QW_LAP;
	u64 last = qc_of(&q->g, done, qc_index(&q->g, code), code);

	return qc_next(&q->g, (i64)(last - code) > 0 ? last : code);
}

/* A FULL item that is longer than the caller takes? False also when it has just gone. */
static bool too_long(struct ipk_queue *q, struct ipk_queue_slot *s, u64 w, u64 limit)
{
	if (ipk_likely(limit == UINT64_MAX) || q->g.size)
		return false;
	if (ipk_ld(&s->var.len, relaxed) <= limit)
		return false;
	ipk_fence(acquire); /* the length belongs to w if w is still there */
	return ipk_ld(&s->w, relaxed) == w;
}

/* Takes the item of s if it was given back. QUEUE_RETRY: it was not. */
static int take_if_back(struct ipk_queue *q, struct ipk_queue_slot *s, u64 mark, u64 limit,
			u64 *ret_w)
{
	u64 w = ipk_ld(&s->w, acquire);

	while (qw_back(w)) {
		if (too_long(q, s, w, limit))
			return -EMSGSIZE;
		if (ipk_cas(&s->w, &w, w | mark, seq_cst)) {
			*ret_w = w;
			return 0;
		}
	}
	return QUEUE_RETRY;
}

/*
 * Takes the first given back item, oldest position first. QUEUE_RETRY: there was none under this
 * value of rd, which then is cleared. Where this process found one under the same rd last time, all
 * before it need not be looked at again: whatever is given back later changes rd.
 */
static int take_back(struct ipk_queue *q, u64 mark, u64 limit, u64 rd, struct ipk_queue_taken *ret)
{
	/* Acquire and release of busy hand scan from thread to thread. */
	bool mine = ipk_xchg(&q->scan.busy, 1u, acquire) == 0;
	bool known = mine && q->scan.rd == rd;
	u64 tail = ipk_queue_tail(q);
	u64 i = known ? q->scan.at : qc_index(&q->g, tail);
	u64 left = known ? q->scan.left : q->g.cap;
	int r = QUEUE_RETRY;

	while (left) {
		r = take_if_back(q, q_slot(q, i), mark, limit, &ret->w);
		if (r != QUEUE_RETRY)
			break;
		i = i + 1 == q->g.cap ? 0 : i + 1;
		left--;
	}
	ret->code = qc_of(&q->g, ret->w, i, tail);
	if (mine) {
		q->scan.rd = rd;
		q->scan.at = i;
		q->scan.left = left;
		ipk_st(&q->scan.busy, 0u, release);
	}
	if (r == QUEUE_RETRY)
		ipk_cas(&q->b->rd, &rd, rd & ~UINT64_C(1), acq_rel);
	return r;
}

/* The seal was met: the end, unless something can still come back. */
static int at_end(struct ipk_queue *q)
{
	struct qw_apart apart = {0};
	int r = -EPIPE;

	for (u64 i = 0; i < q->g.cap; i++) {
		struct ipk_queue_slot *s = q_slot(q, i);
		u64 w = ipk_ld(&s->w, acquire);

		/* Never used, nor is any behind it; but a member that a mender has not come to. */
		if (ipk_queue_apart(&apart, w) == 0)
			break;
		if (qw_back(w)) {
			ipk_queue_pend(q);
			return QUEUE_RETRY;
		}
		if (!qw_held(w))
			continue;
		if (ipk_queue_orphan(q, w)) {
			ipk_queue_mend(q, s, w);
			return QUEUE_RETRY;
		}
		if (qw_st(w) == IPK_QUEUE_TAKEN)
			r = QUEUE_BUSY;
		else if (r == -EPIPE)
			r = -EAGAIN;
	}
	return r;
}

/* The slot of code holds something of the lap before: nothing was pushed at code. */
static int behind_head(struct ipk_queue *q, struct ipk_queue_slot *s, u64 w, i64 ahead)
{
	if (ahead < -1)
		return -EBADMSG;
	if (qw_back(w)) {
		ipk_queue_pend(q); /* who gave it back is about to, or died */
		return QUEUE_RETRY;
	}
	if (!qw_held(w) && !qw_freeing(w))
		return -EBADMSG;
	if (ipk_queue_orphan(q, w)) {
		ipk_queue_mend(q, s, w);
		return QUEUE_RETRY;
	}
	return qw_st(w) == IPK_QUEUE_TAKEN || w & QW_BURST ? QUEUE_BUSY : -EAGAIN;
}

/*
 * What a consumer does about a word of code's own lap other than a waiting item. QUEUE_RETRY: look
 * again; 2: pass it.
 */
#define PASS 2
static int meet(struct ipk_queue *q, struct ipk_queue_slot *s, u64 w)
{
	if (!ipk_queue_legal(w))
		return -EBADMSG;
	if (ipk_queue_orphan(q, w)) {
		ipk_queue_mend(q, s, w);
		return QUEUE_RETRY;
	}
	if (qw_st(w) == IPK_QUEUE_WR)
		return QUEUE_BUSY;
	if (!qw_free(w))
		return PASS;
	if (qw_own(w) == QW_SEAL)
		return at_end(q);
	if (!ipk_ld(&q->b->shut, acquire))
		return -EAGAIN;
	ipk_cas(&s->w, &w, w | QW_SEAL, acq_rel);
	return QUEUE_RETRY;
}

/* How many items from code on, which holds one never taken, can be taken at once; at most n. */
static u32 full_run(struct ipk_queue *q, u64 code, u32 n)
{
	u64 i = qc_index(&q->g, code), full = qc_base(&q->g, code) | QW_ST(IPK_QUEUE_FULL);
	u32 k = 1;

	if (n > q->g.cap - i)
		n = (u32)(q->g.cap - i);
	/* Acquire: pairs with who pushed it. */
	while (k < n && ipk_ld(&q_slot(q, i + k)->w, acquire) == full)
		k++;
	return k;
}

static int take_head(struct ipk_queue *q, u64 mark, u64 limit, struct ipk_queue_taken *ret, u32 *n)
{
	u64 code = qc_hint(&q->g, ipk_ld(&q->b->head, acquire)); /* as in ipk_queue_claim() */

	for (u64 steps = ipk_queue_walk(&q->g); steps; steps--) {
		struct ipk_queue_slot *s = q_slot(q, qc_index(&q->g, code));
		u64 base = qc_base(&q->g, code);
		u64 w = ipk_ld(&s->w, acquire);
		i64 ahead = qw_ahead(w, base);
		u32 run = 1;
		int r;

		if ((w & ~QW_RDC) == (base | QW_ST(IPK_QUEUE_FULL))) {
			if (too_long(q, s, w, limit))
				return -EMSGSIZE;
			if (*n > 1 && !qw_rdc(w))
				run = full_run(q, code, *n);
			/* seq_cst: the fence of our later look at space, see ipk_queue_put(). */
			if (!ipk_cas(&s->w, &w, qw_burst(w | mark, run), seq_cst))
				continue;
			ipk_st(&q->b->head, qc_add(&q->g, code, run), release);
			*ret = (struct ipk_queue_taken){code, w};
			*n = run;
			return 0;
		}
		if (ahead > 0) {
			code = jump_head(q, code, w);
			continue;
		}
		if (ahead < 0)
			return behind_head(q, s, w, ahead);
		r = meet(q, s, w);
		if (r != PASS)
			return r;
		code = qc_after(&q->g, code, w);
	}
	return -EBADMSG;
}

int ipk_queue_take(struct ipk_queue *q, u64 mark, u64 limit, struct ipk_queue_taken *ret, u32 *n)
{
	/* Each round follows a change by somebody else. */
	for (u64 steps = ipk_queue_walk(&q->g); steps; steps--) {
		u64 rd = ipk_ld(&q->b->rd, acquire); /* pairs with ipk_queue_pend() */
		int r = QUEUE_RETRY;

		if (rd & 1) {
			r = take_back(q, mark, limit, rd, ret);
			if (r == 0)
				*n = 1;
		}
		if (r == QUEUE_RETRY)
			r = take_head(q, mark, limit, ret, n);
		if (r != QUEUE_RETRY)
			return r;
	}
	return -EBADMSG;
}

int ipk_queue_find(struct ipk_queue *q, struct ipk_queue_taken *ret)
{
	u64 tail = ipk_queue_tail(q), code = qc_hint(&q->g, ipk_ld(&q->b->head, acquire));

	for (u64 i = 0, at = qc_index(&q->g, tail);
	     i < q->g.cap && (ipk_ld(&q->b->rd, acquire) & 1); i++, at = (at + 1) % q->g.cap) {
		u64 w = ipk_ld(&q_slot(q, at)->w, acquire);

		if (qw_back(w)) {
			*ret = (struct ipk_queue_taken){qc_of(&q->g, w, at, tail), w};
			return 0;
		}
	}
	for (u64 n = ipk_queue_walk(&q->g); n; n--) {
		u64 base = qc_base(&q->g, code);
		u64 w = ipk_ld(&q_slot(q, qc_index(&q->g, code))->w, acquire);
		i64 ahead = qw_ahead(w, base);

		if ((w & ~QW_RDC) == (base | QW_ST(IPK_QUEUE_FULL))) {
			*ret = (struct ipk_queue_taken){code, w};
			return 0;
		}
		if (ahead < 0 || (ahead == 0 && !qw_held(w) && !qw_freeing(w)))
			return w == (base | QW_SEAL) ? -EPIPE : -EAGAIN;
		code = ahead ? jump_head(q, code, w) : qc_after(&q->g, code, w);
	}
	return -EBADMSG;
}
