/* SPDX-License-Identifier: MIT */
/*
 * Semaphore: a fixed number of permits, each of which says who has it.
 *
 *	permit    0        1        2        3     cap-1
 *	       +--------+--------+--------+--------+   free
 *	       |  free  |  4711  | nobody |  free  |   taken by a thread: comes back when that dies
 *	       +--------+--------+--------+--------+   taken by a descriptor: when its last copy is closed
 *	                                               taken by nobody: when somebody gives it back
 *
 * A binary semaphore has one permit. To signal: create it with all permits taken (value 0), let the
 * waiter take() and the signaller post(); a signal that nobody has waited for stays, up to cap.
 *
 * WHICH MAY RUN BESIDE WHICH. Everything, from any thread of any process. An acquisition of several
 * permits gets all of them or none; such acquisitions take turns, single ones never wait for them.
 *
 * LEFT BEHIND BY A DEATH. A permit is taken and its owner recorded by one compare-exchange, and
 * given back by another, so a thread killed anywhere has a permit or has none, and what it has
 * comes back as soon as somebody notices: at once while anybody waits. A permit that was given back
 * by somebody who died before the wake is found by those who wait, because they also wait for
 * deaths. An acquisition of several by nobody or by a descriptor that was cut short is either
 * completed or undone. A stopped owner keeps its permits.
 *
 * FAIRNESS. A permit that is given back wakes one waiter, but a thread that comes by may be faster.
 */
#ifndef IPK_SEMAPHORE_H
#define IPK_SEMAPHORE_H

#include <stdint.h>

#include "ipk/error.h"
#include "ipk/segment.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct ipk_semaphore;

/*
 * Creates a semaphore of cap permits (1 to 2^24), of which value are free; the others are taken by
 * nobody. -EEXIST; -EINVAL bad name, cap, or value above cap; -ENOSPC.
 */
int ipk_semaphore_create(struct ipk_segment *seg, const char *name, uint64_t cap, uint64_t value,
			 struct ipk_error *err);

/* Opens for all threads of this process. -ENOENT -EMEDIUMTYPE -EPROTO -EBADMSG -ENOMEM. */
int ipk_semaphore_open(struct ipk_segment *seg, const char *name, struct ipk_semaphore **ret_sem,
		       struct ipk_error *err);

/* Gives back what threads of this process acquired through this handle, and ends it. */
void ipk_semaphore_close(struct ipk_semaphore *sem);

/*
 * Takes n permits for the calling thread. They come back by release, by close, with the process, or
 * by the thread's death if it is killed; a thread that merely ends leaves them to its process.
 * 0; -EAGAIN not free now (IPK_NOWAIT); -ETIMEDOUT -EINTR -ECANCELED; -EINVAL n is 0 or above cap;
 * -ESTALE removed while waiting; -EACCES attached with IPK_READ.
 */
int ipk_semaphore_acquire(struct ipk_semaphore *sem, uint64_t n, int64_t deadline);

/* The same for nobody: what is taken stays taken until somebody gives it back. */
int ipk_semaphore_take(struct ipk_semaphore *sem, uint64_t n, int64_t deadline);

/*
 * The same for a descriptor, as flock(1) does: *ret_fd is inherited by children, and the permits
 * come back when its last copy anywhere is closed. Close-on-exec is off.
 */
int ipk_semaphore_hold(struct ipk_semaphore *sem, uint64_t n, int64_t deadline, int *ret_fd);

/*
 * Gives n permits back, each the first that there is of: one that the calling thread acquired, one
 * that another thread of this process acquired, one that nobody has. Never another process's: those
 * come back by themselves. -EOVERFLOW when fewer than n could be given back; those were.
 */
int ipk_semaphore_release(struct ipk_semaphore *sem, uint64_t n);

/* Gives back n permits that nobody has: the counterpart of take. -EOVERFLOW as above. */
int ipk_semaphore_post(struct ipk_semaphore *sem, uint64_t n);

/* Permits that are free, at some moment during the call. */
uint64_t ipk_semaphore_value(struct ipk_semaphore *sem);
uint64_t ipk_semaphore_cap(const struct ipk_semaphore *sem);

/* Waits until a permit is free, without taking it. 0, -EAGAIN, and errors as acquire. */
int ipk_semaphore_wait(struct ipk_semaphore *sem, int64_t deadline);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
