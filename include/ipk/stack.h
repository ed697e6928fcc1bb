/* SPDX-License-Identifier: MIT */
/*
 * Stack: bounded, last in first out, any number of producers and consumers, elements of a fixed or
 * a variable size, leases, and a shutdown after which nothing that was accepted is lost.
 *
 *	position   0       1       2       3
 *	       +-------+-------+-------+-------+
 *	       | oldest|       |       | top   |      leased: [ ] [ ]
 *	       +-------+-------+-------+-------+
 *
 * An item's POSITION is the number of items below it: 0 at the bottom. It stays the same while the
 * item is on the stack. An item that is leased is not on the stack; it counts as used, and comes
 * back on top.
 *
 * WHICH MAY RUN BESIDE WHICH: everything, from any thread of any process, on one handle or on many.
 * One at a time changes the stack, for some nanoseconds; a long value is copied in that time. peek
 * waits for nobody. A process that was stopped in that instant holds up the others: those that do
 * not want to wait give up after a second (-EAGAIN), others at their deadline.
 *
 * DELIVERY. A push is acknowledged when its item became visible. pop copies the newest item, and
 * takes it off the stack in the same step; whoever must not lose one takes a lease, and
 * acknowledges it when the work is done. An item that was leased and not acknowledged when its
 * consumer died, or that was given back, comes back on top, with the number of times that this has
 * happened (redelivered: exact up to 32, then some number from 32 to 63). What one dead process had
 * leased comes back in the order that it had on the stack. Leases end with their process, never by
 * time.
 *
 * LEFT BEHIND BY A DEATH
 *	push                    the item or nothing; who waits notices the death and looks
 *	pop                     the item on the stack, or gone as if pop had returned
 *	lease                   the item, back on top and marked
 *	shutdown, ack, nack     done, or as if it had not begun
 * Whoever comes next finishes what a dead process had begun; the sweep finds the rest.
 *
 * There is no ABA: a lock, which the dead lose, orders all changes. R. Treiber's lock-free stack
 * (IBM RJ 5118, 1986) was considered: it cannot say who has taken an item and not yet acknowledged
 * it. The layout and the reasons are in core/kinds/stack.h.
 */
#ifndef IPK_STACK_H
#define IPK_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "ipk/error.h"
#include "ipk/segment.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define IPK_STACK_CAP_MAX (UINT64_C(1) << 30)

struct ipk_stack;

/*
 * Creates a stack for exactly cap items of the given type (NULL: "str"). cap 0: 1024.
 * -EEXIST; -EINVAL bad name, schema or capacity; -ENOSPC it does not fit the segment.
 */
int ipk_stack_create(struct ipk_segment *seg, const char *name, const char *type, uint64_t cap,
		     struct ipk_error *err);

/*
 * Opens for all threads of this process. type: a claim to be checked, or NULL. -ENOENT;
 * -EMEDIUMTYPE another kind or type; -EPROTO -EBADMSG. Where the segment was attached with
 * IPK_READ, peek and what merely tells can be used, everything else is -EACCES.
 */
int ipk_stack_open(struct ipk_segment *seg, const char *name, const char *type,
		   struct ipk_stack **ret_stack, struct ipk_error *err);

/*
 * Ends the handle; the stack stays (ipk_stack_shutdown() is what ends a stack). Leases taken
 * through it that were not acknowledged stay with the process.
 */
void ipk_stack_close(struct ipk_stack *stack);

uint64_t ipk_stack_capacity(const struct ipk_stack *stack);     /* items; never changes */
uint32_t ipk_stack_element_size(const struct ipk_stack *stack); /* bytes; 0: variable */
bool ipk_stack_is_shut(const struct ipk_stack *stack);

/* Items at this moment, leased ones included, and of those the leased ones (may be NULL). */
uint64_t ipk_stack_count(const struct ipk_stack *stack, uint64_t *ret_leased);

/*
 * Every function below that takes a deadline (see segment.h) waits for room or for an item at most
 * until then, and returns
 *	-EAGAIN with IPK_NOWAIT: full or empty, or a stopped process is in the middle of a change
 *	-ETIMEDOUT; -EINTR a signal came; -ECANCELED
 *	-ESTALE the stack or its segment was removed: for who would wait, or finds nothing. What can be
 *		done is done, as in a file that was unlinked
 *	-EPIPE the stack was shut; for consumers: and nothing can come any more, not even again
 *	-EACCES the segment was attached with IPK_READ; -EDQUOT -ENOMEM the thread cannot register
 *	-EBADMSG the stack is damaged
 * In all these cases nothing was pushed or taken. Waiting for the turn counts only beyond a second.
 */

/*
 * Puts a value on top. len is the element's size, or of a variable type anything: up to 40 bytes
 * lie in the stack itself, longer ones in buffers that it keeps for its next values. -EMSGSIZE len
 * is not the element's size, or more than the segment can ever hold; -ENOSPC no room for the
 * buffer.
 */
int ipk_stack_push(struct ipk_stack *stack, const void *data, size_t len, int64_t deadline);

/*
 * Puts up to n values on top, each acknowledged by itself, the last one topmost; waits for room for
 * the first alone. Returns how many went in, 1..n, or why the first did not.
 */
int ipk_stack_push_many(struct ipk_stack *stack, const struct iovec *values, unsigned n,
			int64_t deadline);

struct ipk_stack_item {
	const void *data; /* where the value was copied to */
	uint64_t len;
	uint64_t pos;         /* its position */
	uint32_t redelivered; /* how often it had been leased before */
};

/*
 * Takes the newest item and copies it to buf. ret_item may be NULL. -EMSGSIZE it is longer than
 * size; it stays (ipk_stack_peek() tells how long it is, a lease needs no buffer).
 */
int ipk_stack_pop(struct ipk_stack *stack, void *buf, size_t size, struct ipk_stack_item *ret_item,
		  int64_t deadline);

/*
 * Takes up to n items, newest first, side by side in buf at multiples of 8 bytes; waits for the
 * first alone and takes what else is there and fits. Returns how many, 1..n, or why not one.
 * ret_items, of n, may be NULL.
 */
int ipk_stack_pop_many(struct ipk_stack *stack, void *buf, size_t size,
		       struct ipk_stack_item *ret_items, unsigned n, int64_t deadline);

/*
 * Looks at the newest item and leaves it: copies its first size bytes at most, ret_item (may be
 * NULL) has its whole length. Waits for nobody, unless the top changes all the time. -EAGAIN
 * nothing there now; -EPIPE; -EBADMSG; -ESTALE removed (IPK_READ, or a child that has not written
 * yet).
 */
int ipk_stack_peek(struct ipk_stack *stack, void *buf, size_t size,
		   struct ipk_stack_item *ret_item);

/*
 * A taken item, in place. data is valid until ack or nack. It belongs to the process, not to the
 * thread: any thread may acknowledge it, also after the one that took it has ended. A child does
 * not inherit it. To be acknowledged or given back once.
 */
struct ipk_stack_lease {
	const void *data;
	uint64_t len;
	uint64_t pos; /* that it had */
	uint32_t redelivered;
	/* private */
	uint32_t slot_;
	uint64_t word_;
	uint64_t fork_;
	void *holder_;
};

/* Takes the newest item without copying it. */
int ipk_stack_lease(struct ipk_stack *stack, struct ipk_stack_lease *ret_lease, int64_t deadline);

/* Takes up to n, newest first, waiting for the first alone. Returns how many, or why not one. */
int ipk_stack_lease_many(struct ipk_stack *stack, struct ipk_stack_lease *ret_leases, unsigned n,
			 int64_t deadline);

/*
 * The work is done: the item is gone. Waits for its turn as long as it takes. -EINVAL it is not
 * leased by this process (any more); -EINTR -ECANCELED: it still is.
 */
int ipk_stack_ack(struct ipk_stack *stack, struct ipk_stack_lease *lease);
/* The same for n leases in order. Returns how many; or why not the first. */
int ipk_stack_ack_many(struct ipk_stack *stack, struct ipk_stack_lease *leases, unsigned n);
/* Gives the item back: it is on top again. Errors as ack. */
int ipk_stack_nack(struct ipk_stack *stack, struct ipk_stack_lease *lease);

/* Drops all that is on the stack, in one step. Returns how many items, or why not one was. */
int64_t ipk_stack_drain(struct ipk_stack *stack);

/*
 * Shuts the stack for ever and for everybody: pushes that begin later fail with -EPIPE, consumers
 * get what was accepted, including what is leased and comes back, and then -EPIPE. Wakes all who
 * wait.
 */
int ipk_stack_shutdown(struct ipk_stack *stack);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
