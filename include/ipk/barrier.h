/* SPDX-License-Identifier: MIT */
/*
 * Barrier: lets its parties go on when all have arrived, again and again.
 *
 *	generation 7   party A: arrived   party B: arrived   place free      B and A wait
 *	               party A: arrived   party B: arrived   C: arrived      all go on; generation 8
 *
 * A place belongs to the thread that waited in it first, until it leaves, so that the barrier knows
 * whom it waits for. arrive() takes a place for one generation in nobody's name.
 *
 * WHICH MAY RUN BESIDE WHICH. Everything, from any thread of any process; ipk_barrier_close() and
 * ipk_barrier_leave() not beside a wait of the same thread.
 *
 * LEFT BEHIND BY A DEATH. An arrival is one compare-exchange. The barrier opens by another, made by
 * whoever sees that all have arrived: if the last one dies before, those who wait see it
 * themselves. A party that dies anywhere, also between two waits, breaks the barrier: all get
 * -EOWNERDEAD until somebody says reset. Or, if it was made so, the dead leave it: it goes on with
 * fewer, until somebody new takes the place. A stopped party is waited for. A thread that ends in
 * order without leaving stays a party until its process ends.
 */
#ifndef IPK_BARRIER_H
#define IPK_BARRIER_H

#include <stdbool.h>
#include <stdint.h>

#include "ipk/error.h"
#include "ipk/segment.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct ipk_barrier;

/*
 * For parties (1 to 65535). leave: the dead leave it, instead of breaking it. -EEXIST -EINVAL
 * -ENOSPC.
 */
int ipk_barrier_create(struct ipk_segment *seg, const char *name, uint64_t parties, bool leave,
		       struct ipk_error *err);

/* Opens for all threads of this process. -ENOENT -EMEDIUMTYPE -EPROTO -EBADMSG. */
int ipk_barrier_open(struct ipk_segment *seg, const char *name, struct ipk_barrier **ret_barrier,
		     struct ipk_error *err);
/* Leaves with all threads of this process, and ends the handle. */
void ipk_barrier_close(struct ipk_barrier *barrier);

/*
 * Arrives as a party and waits for the others. 0; -EOWNERDEAD the barrier is broken; -EDQUOT all
 * places are other parties'. -EAGAIN (IPK_NOWAIT) -ETIMEDOUT -EINTR -ECANCELED -ESTALE: the arrival
 * was taken back. -EACCES attached with IPK_READ.
 */
int ipk_barrier_wait(struct ipk_barrier *barrier, int64_t deadline);

/* Arrives in nobody's name and does not wait; cannot be taken back. Errors as above. */
int ipk_barrier_arrive(struct ipk_barrier *barrier);

/* The calling thread is no party any more. -ENOENT: it was none. */
int ipk_barrier_leave(struct ipk_barrier *barrier);

/*
 * Mends a broken barrier, and wants all parties again where the dead have left. -EBUSY: parties
 * have arrived, and it is not broken.
 */
int ipk_barrier_reset(struct ipk_barrier *barrier);

/*
 * Generations ended so far, and, if not NULL, how many places have arrived in this one: those that
 * the dead have left count.
 */
uint64_t ipk_barrier_generation(struct ipk_barrier *barrier, uint64_t *ret_arrived);

/*
 * Waits, without arriving, until the present generation has ended. Errors as wait. With IPK_READ:
 * looks every 10 ms.
 */
int ipk_barrier_watch(struct ipk_barrier *barrier, int64_t deadline);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
