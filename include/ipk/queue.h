/* SPDX-License-Identifier: MIT */
/*
 * Queue: bounded, first in first out, any number of producers and consumers, elements of a fixed or
 * a variable size, leases, and a shutdown after which nothing that was accepted is lost.
 *
 *	slot      0       1       2       3       4      cap-1
 *	       +-------+-------+-------+-------+-------+-------+
 *	       | free  | leased| free  | full  | full  | free  |
 *	       +-------+-------+-------+-------+-------+-------+
 *	                           head ^               ^ tail
 *
 * Each item gets a POSITION: 0 for the first ever pushed, and so on; slot = position modulo
 * capacity. Positions are never used twice. One that was given out to a producer that died or ran
 * out of space before its item was complete stays without an item. An item that is leased, or was
 * given back, while the queue goes once around moves up by one capacity, so that it is in nobody's
 * way.
 *
 * WHICH MAY RUN BESIDE WHICH: everything, from any thread of any process, on one handle or on many.
 * push, pop, lease and ack are lock-free: they wait for no other process, except that
 *	a pop waits for the producer of the next item in order while that is writing it, or its
 *	burst, and a push waits for a pop that is still copying its item, or burst, when the queue
 *	has gone once around.
 * A value that needs a larger buffer than its slot has (see push) also takes the segment's lock.
 *
 * DELIVERY. A push is acknowledged when its item became visible. pop copies an item and then
 * acknowledges it; whoever must not lose one takes a lease, and acknowledges it when the work is
 * done. An item that was taken and not acknowledged when its consumer died, or that was given back,
 * is delivered again, before younger items and with the number of times that this has happened
 * (redelivered: exact up to 32, then some number from 32 to 63). There is no limit after which it
 * is dropped: that is for the consumer to decide. Leases end with their process, never by time.
 *
 * LEFT BEHIND BY A DEATH
 *	push before its item is visible    an empty position, which consumers pass
 *	push after that, before its wake   the item; who waits notices the death and looks
 *	pop, lease before the ack          the item, delivered again
 *	push_many, pop_many                the same for all items of a burst together, see there
 *	shutdown, ack, nack                done, or as if it had not begun
 * Whoever meets what a dead process holds mends it; the sweep finds the rest.
 *
 * A stopped process is not dead: items behind one that it is writing wait for it.
 *
 * COST. push and pop of elements whose size is a constant of at most 64 bytes are inline: one
 * compare-exchange, no call; of push_many and pop_many it is one for a burst. They make no system
 * call while nobody sleeps, nor does a pop that finds the queue empty, or a push that finds it
 * full, with IPK_NOWAIT.
 *
 * SOURCES. The slots with sequence numbers are Dmitry Vyukov's bounded MPMC queue (1024cores.net,
 * 2010). Here the claim is made in the slot's own word, together with the owner's name, and head
 * and tail are hints: that is what lets survivors finish the work of the dead. The layout and the
 * reasons are in core/kinds/queue.h, the models in tests/models.
 */
#ifndef IPK_QUEUE_H
#define IPK_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "ipk/error.h"
#include "ipk/queue_fast.h"
#include "ipk/segment.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define IPK_QUEUE_CAP_MAX (UINT64_C(1) << 30)

struct ipk_queue;

/*
 * Creates a queue for exactly cap items of the given type (NULL: "str"). cap 0: 1024.
 * -EEXIST; -EINVAL bad name, schema or capacity; -ENOSPC it does not fit the segment.
 */
int ipk_queue_create(struct ipk_segment *seg, const char *name, const char *type, uint64_t cap,
		     struct ipk_error *err);

/*
 * Opens for all threads of this process. type: a claim to be checked, or NULL. -ENOENT;
 * -EMEDIUMTYPE another kind or type; -EPROTO -EBADMSG. Where the segment was attached with
 * IPK_READ, peek and what merely tells can be used, everything else is -EACCES.
 */
int ipk_queue_open(struct ipk_segment *seg, const char *name, const char *type,
		   struct ipk_queue **ret_queue, struct ipk_error *err);

/*
 * Ends the handle; the queue stays (ipk_queue_shutdown() is what ends a queue). Leases taken
 * through it that were not acknowledged stay with the process.
 */
void ipk_queue_close(struct ipk_queue *queue);

uint64_t ipk_queue_capacity(const struct ipk_queue *queue); /* items; never changes */
uint32_t ipk_queue_element_size(const struct ipk_queue *queue); /* bytes; 0: variable */
bool ipk_queue_is_shut(const struct ipk_queue *queue);

/*
 * Items in the queue, leased ones included, and of those the leased or just being popped ones
 * (may be NULL). Looks at each slot, about a nanosecond each; exact while nobody pushes or pops.
 */
uint64_t ipk_queue_count(struct ipk_queue *queue, uint64_t *ret_leased);

/*
 * Every function below that takes a deadline (see segment.h) waits for room or for an item at most
 * until then, and returns
 *	-EAGAIN with IPK_NOWAIT: full, empty, or the next item is just being written. Full means
 *		that capacity items are in it; one less for each that moved up and was acknowledged
 *		since, or whose producer died, until the queue has gone once around
 *		Who polls looks for the dead himself, at each 32nd poll that finds nothing, and once
 *		a millisecond at most: what they had taken comes back
 *	-ETIMEDOUT; -EINTR a signal came; -ECANCELED
 *	-ESTALE the queue or its segment was removed: for who would wait, or finds nothing. What can be
 *		done is done, as in a file that was unlinked
 *	-EPIPE the queue was shut; for consumers: and nothing can come any more, not even again
 *	-EACCES the segment was attached with IPK_READ; -EDQUOT -ENOMEM the thread cannot register
 *	-EBADMSG the queue is damaged
 * In all these cases nothing was pushed or taken.
 */

/*
 * Appends a value. len is the element's size, or of a variable type anything: up to 40 bytes lie in
 * the slot, longer ones in a buffer that the slot keeps for its next values. -EMSGSIZE len is not
 * the element's size, or more than the segment can ever hold; -ENOSPC no room for the buffer.
 * Waiting for the segment's lock counts only beyond a second.
 */
int ipk_queue_push(struct ipk_queue *queue, const void *data, size_t len, int64_t deadline);

/*
 * Appends up to n values in order; waits for room for the first alone. Returns how many went in,
 * 1..n, or why the first did not. Elements of a fixed size go in in bursts: as many of up to 64 as
 * have room side by side in the array become visible, and are acknowledged, at one instant; of a
 * producer that is killed before, none of them is there. Where the array ends another burst begins:
 * if every push is of n, at most 64, and the capacity is a multiple of n, then each that returns n
 * was one burst. Between the items of a burst lies nothing of another producer; between two bursts
 * may. Values of variable size are each acknowledged by itself. -EMSGSIZE ends it where it is met.
 */
int ipk_queue_push_many(struct ipk_queue *queue, const struct iovec *values, unsigned n,
			int64_t deadline);

struct ipk_queue_item {
	const void *data; /* where the value was copied to */
	uint64_t len;
	uint64_t pos; /* its position; the same when it comes again, unless it moved up */
	uint32_t redelivered; /* how often it had been taken before */
};

/*
 * Takes the oldest item, copies it to buf, acknowledges it. What of buf the value does not fill may
 * have changed. ret_item may be NULL. -EMSGSIZE it is longer than size; it stays (ipk_queue_peek()
 * tells how long it is, a lease needs no buffer).
 */
int ipk_queue_pop(struct ipk_queue *queue, void *buf, size_t size, struct ipk_queue_item *ret_item,
		  int64_t deadline);

/*
 * Takes up to n items, side by side in buf at multiples of 8 bytes; waits for the first alone and
 * takes what else is there and fits. Returns how many, 1..n, or why not one. ret_items, of n, may
 * be NULL. Elements of a fixed size are taken in bursts, whatever bursts they came in: up to 64
 * that lie side by side in the array and were never taken before are acknowledged at one instant,
 * once they have been copied; of a consumer that is killed before, all of them come again. Of
 * several bursts of one call the first may be acknowledged and the next not. Others are
 * acknowledged one by one.
 */
int ipk_queue_pop_many(struct ipk_queue *queue, void *buf, size_t size,
		       struct ipk_queue_item *ret_items, unsigned n, int64_t deadline);

/*
 * Looks at the item that would be popped next and leaves it: copies its first size bytes at most,
 * ret_item (may be NULL) has its whole length. Never waits. -EAGAIN nothing there now; -EPIPE;
 * -EBADMSG; -ESTALE removed (IPK_READ, or a child that has not written yet).
 */
int ipk_queue_peek(struct ipk_queue *queue, void *buf, size_t size,
		   struct ipk_queue_item *ret_item);

/*
 * A taken item, in place. data is valid until ack or nack. It belongs to the process, not to the
 * thread: any thread may acknowledge it, also after the one that took it has ended. A child does
 * not inherit it. To be acknowledged or given back once.
 */
struct ipk_queue_lease {
	const void *data;
	uint64_t len;
	uint64_t pos;
	uint32_t redelivered;
	/* private */
	uint32_t slot_;
	uint64_t word_;
	uint64_t fork_;
	void *holder_;
};

/* Takes the oldest item without copying it. */
int ipk_queue_lease(struct ipk_queue *queue, struct ipk_queue_lease *ret_lease, int64_t deadline);

/* Takes up to n, waiting for the first alone. Returns how many, 1..n, or why not one. */
int ipk_queue_lease_many(struct ipk_queue *queue, struct ipk_queue_lease *ret_leases, unsigned n,
			 int64_t deadline);

/* The work is done: the item is gone. -EINVAL it is not leased by this process (any more). */
int ipk_queue_ack(struct ipk_queue *queue, struct ipk_queue_lease *lease);
/* The same for n leases in order, with one wake. Returns how many; -EINVAL the first is none. */
int ipk_queue_ack_many(struct ipk_queue *queue, struct ipk_queue_lease *leases, unsigned n);
/* Gives the item back: it is delivered again, before younger ones. */
int ipk_queue_nack(struct ipk_queue *queue, struct ipk_queue_lease *lease);

/* Takes and drops what is there. Returns how many items, or why not one was (-EAGAIN -EPIPE …). */
int64_t ipk_queue_drain(struct ipk_queue *queue);

/*
 * Shuts the queue for ever and for everybody: pushes that begin later fail with -EPIPE, consumers
 * get what was accepted, including what is leased and comes back, and then -EPIPE. Wakes all who
 * wait.
 */
int ipk_queue_shutdown(struct ipk_queue *queue);

/* ---- inline (ipk/fast.h) --------------------------------------------------------------------- */

/* What the inline functions leave to the library: the whole call, or to wake who waits. */
int ipk_queue_push_slow(struct ipk_queue *queue, const void *data, size_t len, int64_t deadline);
int ipk_queue_pop_slow(struct ipk_queue *queue, void *buf, size_t size,
		       struct ipk_queue_item *ret_item, int64_t deadline);
int ipk_queue_put_tell(struct ipk_queue *queue);
int ipk_queue_get_tell(struct ipk_queue *queue);

#if IPK_INLINE
/*
 * Small elements pass through a variable of their own, and when the library is called through
 * another one: so the address of the program's is never given away, and it may live in a register.
 * A store to memory would be waited for by the compare-exchange.
 */
ipk_inline int ipk_queue_push(struct ipk_queue *queue, const void *data, size_t len,
			      int64_t deadline)
{
	const struct ipk_queue_fast *f = (const struct ipk_queue_fast *)(const void *)queue;
	const struct ipk_queue_body *b = f->body;
	struct ipk_queue_small in, passed;

	if (__builtin_constant_p(len) && len <= sizeof(in)) {
		memcpy(&in, data, len);
		if (ipk_fast_likely(ipk_queue_put(f, &in, len)))
			return ipk_fast_likely(ipk_queue_put_told(b)) ? 0 : ipk_queue_put_tell(queue);
		memcpy(&passed, &in, len);
		return ipk_queue_push_slow(queue, &passed, len, deadline);
	}
	if (__builtin_constant_p(len) && len <= IPK_QUEUE_COPY_MAX && ipk_queue_put(f, data, len))
		return ipk_fast_likely(ipk_queue_put_told(b)) ? 0 : ipk_queue_put_tell(queue);
	return ipk_queue_push_slow(queue, data, len, deadline);
}

ipk_inline int ipk_queue_pop(struct ipk_queue *queue, void *buf, size_t size,
			     struct ipk_queue_item *ret_item, int64_t deadline)
{
	const struct ipk_queue_fast *f = (const struct ipk_queue_fast *)(const void *)queue;
	const struct ipk_queue_body *b = f->body;
	struct ipk_queue_small out, passed;
	struct ipk_queue_taken t;
	int r;

	if (__builtin_constant_p(size) && size <= sizeof(out) && !ret_item) {
		r = ipk_queue_get(f, &out, size, &t);
		if (ipk_fast_likely(r > 0)) {
			memcpy(buf, &out, size);
			return ipk_fast_likely(ipk_queue_get_told(b)) ? 0 : ipk_queue_get_tell(queue);
		}
		if (r < 0 && deadline == IPK_NOWAIT && ipk_fast_poll())
			return -EAGAIN;
		memset(&passed, 0, sizeof(passed));
		r = ipk_queue_pop_slow(queue, &passed, size, NULL, deadline);
		if (r == 0)
			memcpy(buf, &passed, size);
		return r;
	}
	if (__builtin_constant_p(size) && size <= IPK_QUEUE_COPY_MAX && !ret_item) {
		r = ipk_queue_get(f, buf, size, &t);
		if (ipk_fast_likely(r > 0))
			return ipk_fast_likely(ipk_queue_get_told(b)) ? 0 : ipk_queue_get_tell(queue);
		if (r < 0 && deadline == IPK_NOWAIT && ipk_fast_poll())
			return -EAGAIN;
	}
	return ipk_queue_pop_slow(queue, buf, size, ret_item, deadline);
}
#endif

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
