/* SPDX-License-Identifier: MIT */
/* Waiting for room or a message, and the end of a ring. Why no wake is lost: ring.h, WAITING. */
#include <time.h>

#include "kinds/ring.h"
#include "segment/registry.h"

#define SLICE INT64_C(1000000) /* ns: longer than any store takes to be seen */
#define LOOK INT64_C(1000)     /* ns: longer than nearly all of them */
#define NAP INT64_C(10000000)  /* ns: beyond the next tick: a nearer timer makes a wake dearer */

/* 0: look again. */
static int sleep_once(struct ipk_ring_handle *h, struct ipk_self *me, struct ipk_waiter *w,
		      i64 until, i64 deadline)
{
	int r;

	if (ipk_stale(&h->obj))
		return -ESTALE;
	r = ipk_event_sleep(me, w, until < deadline ? until : deadline);
	return r == -ETIMEDOUT && until < deadline ? 0 : r;
}

static int wait_armed(struct ipk_ring_handle *h, struct ipk_self *me, u32 *ev, i64 deadline,
		      ring_attempt *attempt, void *arg)
{
	struct ipk_waiter w;
	i64 said = 0; /* when W was as it is now for the first time */
	u32 last = 0; /* with W: never 0 */

	for (;;) {
		int r, woken = 0;

		ipk_event_arm(me, &w, &ev, 1);
		if (w.val[0] != last)
			said = ipk_now();
		last = w.val[0];
		do
			r = attempt(h, me, arg);
		while (r == -EAGAIN && ipk_now() < said + LOOK);
		if (r == -EAGAIN)
			woken = sleep_once(h, me, &w,
					   ipk_now() < said + NAP ? said + NAP : IPK_FOREVER,
					   deadline);
		ipk_event_disarm(me, &w);
		if (r != -EAGAIN)
			return r;
		/*
		 * What we were woken for, or came with the signal or the deadline: looked for
		 * before W is set anew, which would cost time here and the other side a wake in
		 * vain.
		 */
		r = attempt(h, me, arg);
		if (r != -EAGAIN || woken != 0)
			return r == -EAGAIN ? woken : r;
	}
}

int ipk_ring_wait(struct ipk_ring_handle *h, u32 *ev, i64 deadline, ring_attempt *attempt,
		  void *arg)
{
	struct ipk_spin spin = {0};
	int r = 0;
	struct ipk_self *me = ipk_use(&h->obj, &r);

	if (!me)
		return r;
	do {
		r = attempt(h, me, arg);
		if (r != -EAGAIN)
			return r;
		if (deadline == IPK_NOWAIT)
			return ipk_stale(&h->obj) ? -ESTALE : -EAGAIN;
	} while (ipk_spin(&spin));
	return wait_armed(h, me, ev, deadline, attempt, arg);
}

void ipk_ring_wake_producer(struct ipk_ring *ring)
{
	ipk_event_notify_slow(&ring_handle(ring)->b->space, INT32_MAX);
}

/* ---- the end --------------------------------------------------------------------------------- */

void ipk_ring_settle(struct ipk_ring_handle *h)
{
	const struct timespec piece = {.tv_nsec = SLICE / 4};
	i64 until = ipk_deadline(SLICE);
	u32 one = 1;

	if (ipk_ld(&h->b->shut, acquire) != 1)
		return;
	while (ipk_now() < until)
		nanosleep(&piece, NULL);
	ipk_cas(&h->b->shut, &one, 2u, seq_cst);
}

int ipk_ring_shutdown(struct ipk_ring *ring)
{
	struct ipk_ring_handle *h = ring_handle(ring);
	int r = 0;
	struct ipk_self *me = ipk_use(&h->obj, &r);
	u32 zero = 0;

	if (!me)
		return r;
	ipk_cas(&h->b->shut, &zero, 1u, seq_cst);
	ipk_ring_settle(h);
	ipk_ring_wake(&h->obj);
	return 0;
}
