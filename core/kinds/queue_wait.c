/* SPDX-License-Identifier: MIT */
/* Waiting for room or an item. Why no wake is lost: queue.h, WAITING, and core/segment/wait.c. */
#include "kinds/queue.h"
#include "segment/registry.h"

/* How long a waiter sleeps that found somebody in the middle of a push or pop: see QUEUE_BUSY. */
#define BUSY_SLICE INT64_C(1000000)

static int sleep_once(struct ipk_queue *q, struct ipk_self *me, struct ipk_waiter *w, bool busy,
		      i64 deadline)
{
	i64 until = busy ? ipk_deadline(BUSY_SLICE) : deadline;
	int r;

	if (ipk_stale(&q->obj))
		return -ESTALE;
	r = ipk_event_sleep(me, w, until < deadline ? until : deadline);
	return r == -ETIMEDOUT && until < deadline ? 0 : r;
}

/* Is there something to do for another who sleeps on ev? */
static bool more(struct ipk_queue *q, u32 *ev)
{
	u64 code, w;

	if (ev == &q->b->space)
		return ipk_queue_room(q);
	code = qc_hint(&q->g, ipk_ld(&q->b->head, acquire));
	w = ipk_ld(&q_slot(q, qc_index(&q->g, code))->w, relaxed);
	return (w & ~QW_RDC) == (qc_base(&q->g, code) | QW_ST(IPK_QUEUE_FULL)) ||
	       (ipk_ld(&q->b->rd, relaxed) & 1);
}

/*
 * A wake may come to a waiter who finds nothing because somebody is in the middle of the position
 * before; when that one is done it wakes one for its own item, and there are two. And one who was
 * woken for an item that is too long for him leaves it to others. So who has slept and is done
 * looks whether there is more, and passes the wake on.
 */
int ipk_queue_wait(struct ipk_queue *q, struct ipk_self *me, u32 *ev, i64 deadline,
		   queue_attempt *attempt, void *arg)
{
	struct ipk_spin spin = {0};
	struct ipk_waiter w;
	bool slept = false;
	int r, woken = 0;

	while (ipk_spin(&spin)) {
		r = attempt(q, me, arg);
		if (!queue_again(r))
			return r;
	}
	for (;;) {
		ipk_event_arm(me, &w, &ev, 1);
		r = attempt(q, me, arg);
		if (queue_again(r)) {
			woken = sleep_once(q, me, &w, r == QUEUE_BUSY, deadline);
			slept = true;
		}
		ipk_event_disarm(me, &w);
		if (queue_again(r) && woken == 0)
			continue;
		if (queue_again(r))
			r = attempt(q, me, arg); /* what came with the signal or the deadline */
		if (!queue_again(r) && slept && more(q, ev))
			ipk_event_notify(ev, 1);
		return queue_again(r) ? woken : r;
	}
}
