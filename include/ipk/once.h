/* SPDX-License-Identifier: MIT */
/*
 * Once: something that one process does and the others wait for, an initialisation.
 *
 *	pending --begin--> running by T --done--> done
 *	                                --abandon--> pending
 *	                   running by T, who dies --begin--> running by the next
 *	done --reset--> pending
 *
 * WHICH MAY RUN BESIDE WHICH. Everything, from any thread of any process.
 *
 * LEFT BEHIND BY A DEATH. Who does it is recorded by the compare-exchange that makes it his, and
 * taken out by the one that says that it is done. Killed before the first, he has not begun; killed
 * between the two, the next who asks is to do it, at once if somebody waits, and hears that it was
 * begun before; killed after the second, it is done. A stopped one is waited for. A thread that
 * ends in order while it is at it leaves it to its process, whose end is then the death. A
 * descriptor (hold) that is closed before the end counts as a death.
 */
#ifndef IPK_ONCE_H
#define IPK_ONCE_H

#include <stdbool.h>
#include <stdint.h>

#include "ipk/error.h"
#include "ipk/segment.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct ipk_once;

/* Creates one that is pending. -EEXIST -EINVAL -ENOSPC. */
int ipk_once_create(struct ipk_segment *seg, const char *name, struct ipk_error *err);

/* Opens for all threads of this process. -ENOENT -EMEDIUMTYPE -EPROTO -EBADMSG. */
int ipk_once_open(struct ipk_segment *seg, const char *name, struct ipk_once **ret_once,
		  struct ipk_error *err);
/* Ends the handle. The calling process is not at it, or the handle stays: -EBUSY. */
int ipk_once_close(struct ipk_once *once);

/*
 * Is the calling thread to do it? 0: no, it is done, and all that was done before is seen; 1: yes,
 * and then to call ipk_once_done() or ipk_once_abandon(); 2: the same, and somebody died at it:
 * what he made may be half-made. Waits while another is at it. -EAGAIN another is (IPK_NOWAIT);
 * -EDEADLK this thread is already; -ETIMEDOUT -EINTR -ECANCELED; -ESTALE removed while waiting;
 * -EACCES not done, and attached with IPK_READ.
 */
int ipk_once_begin(struct ipk_once *once, int64_t deadline);

/* The calling thread has done it. -EPERM: it was not at it. */
int ipk_once_done(struct ipk_once *once);
/* The calling thread has not: the next who asks is to do it. -EPERM. */
int ipk_once_abandon(struct ipk_once *once);

/*
 * The three together: calls fn where it is to be done. What fn returns below 0 is returned, and it
 * is not done. again: somebody died at it.
 */
int ipk_once_run(struct ipk_once *once, int (*fn)(void *arg, bool again), void *arg,
		 int64_t deadline);

/* Is it done? All that was done before is then seen. */
bool ipk_once_is_done(struct ipk_once *once);
/*
 * Waits until it is done, and does nothing for it. 0, -EAGAIN, and errors as begin; IPK_READ does.
 */
int ipk_once_wait(struct ipk_once *once, int64_t deadline);

/*
 * As begin, for a descriptor that children inherit, as flock(1) does: where the answer is 1 or 2,
 * *ret_fd is it; else -1. One at a time through a handle: -EBUSY. ipk_once_let_go() says whether it
 * was done, and leaves the descriptor to be closed: -EPERM, it is no longer held.
 */
int ipk_once_hold(struct ipk_once *once, int64_t deadline, int *ret_fd);
int ipk_once_let_go(struct ipk_once *once, bool done);

/* Pending again. -EBUSY: somebody is at it. Who waits without having seen that it was done waits
 * on. */
int ipk_once_reset(struct ipk_once *once);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
