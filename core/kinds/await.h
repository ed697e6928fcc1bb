/* SPDX-License-Identifier: MIT */
/*
 * Waiting as kinds do it: try, spin as long as that pays, announce, try again, sleep. And what
 * verbs make of --timeout.
 */
#ifndef IPK_KINDS_AWAIT_H
#define IPK_KINDS_AWAIT_H

#include <time.h>

#include "ipk/kind.h"
#include "segment/registry.h"

#define IPK_AWAIT_POLL 10000000L /* ns, of a waiter who may not announce itself */

/*
 * Returns what try() does as soon as that is not -EAGAIN; else -ETIMEDOUT -EINTR -ECANCELED
 * -ESTALE. Who fails after having slept passes its wake on.
 */
static inline int ipk_await(struct ipk_obj *obj, struct ipk_self *me, u32 *ev,
			    int (*try)(void *arg), void *arg, i64 deadline)
{
	struct ipk_spin spin = { 0 };
	struct ipk_waiter waiter;
	bool slept = false;
	int r, woken;

	for (;;) {
		r = try(arg);
		if (r != -EAGAIN || deadline == IPK_NOWAIT)
			break;
		if (ipk_spin(&spin))
			continue;
		ipk_event_arm(me, &waiter, &ev, 1);
		r = try(arg);
		if (r == -EAGAIN && ipk_stale(obj)) {
			r = -ESTALE; /* whoever removed it has woken us, or saw nobody to wake */
		} else if (r == -EAGAIN) {
			woken = ipk_event_sleep(me, &waiter, deadline);
			slept = true;
			r = woken < 0 ? woken : r;
		}
		ipk_event_disarm(me, &waiter);
		if (r != -EAGAIN)
			break;
	}
	if (slept && r < 0)
		ipk_event_notify(ev, 1);
	return r;
}

/* The same for who has read permission alone: looks now and then. */
static inline int ipk_await_poll(struct ipk_obj *obj, int (*try)(void *arg), void *arg, i64 deadline)
{
	const struct timespec pause = { .tv_nsec = IPK_AWAIT_POLL };
	int r;

	while ((r = try(arg)) == -EAGAIN) {
		if (deadline == IPK_NOWAIT)
			return r;
		if (ipk_stale(obj))
			return -ESTALE;
		if (ipk_now() >= deadline)
			return -ETIMEDOUT;
		if (nanosleep(&pause, NULL) < 0)
			return -EINTR;
	}
	return r;
}

/* -t bounds each wait, so each gets a deadline of its own. */
static inline i64 ipk_call_deadline(const struct ipk_call *call)
{
	if (call->timeout < 0)
		return IPK_FOREVER;
	return call->timeout ? ipk_deadline(call->timeout) : IPK_NOWAIT;
}

/* What a verb says that puts values in or takes them out; state: "full", "empty". Returns r. */
static inline int ipk_call_refused(struct ipk_call *call, int r, const char *state)
{
	switch (r) {
	case -EAGAIN:
		return ipk_error_set(&call->err, r, "%s", state);
	case -ETIMEDOUT:
		return ipk_error_set(&call->err, r, "timed out, %s", state);
	case -EPIPE:
		return ipk_error_set(&call->err, r, "closed");
	case -EMSGSIZE:
		return ipk_error_set(&call->err, r,
				     "a value is longer than the segment's maximum of %llu bytes",
				     (unsigned long long)call->seg->max);
	case -ENOSPC:
		return ipk_error_set(&call->err, r, "no room in the segment for the value");
	default:
		return r;
	}
}

#endif
