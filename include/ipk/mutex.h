/* SPDX-License-Identifier: MIT */
/*
 * Mutex: held by one thread or one descriptor; says by whom, and tells the next holder when it
 * died.
 *
 *	free --lock--> held by T --unlock--> free
 *	               held by T, who dies --lock--> held by the next, -EOWNERDEAD: suspect
 *	                                              suspect --consistent--> held as before
 *	                                              suspect --unlock--> lost: -ENOTRECOVERABLE to all
 *	                                              until somebody says reset
 *
 * WHICH MAY RUN BESIDE WHICH. Everything, from any thread of any process.
 *
 * LEFT BEHIND BY A DEATH. The mutex is taken and its holder recorded by one compare-exchange, and
 * given back by another: who is killed anywhere has it or has it not. A dead thread's mutex goes to
 * the next locker with -EOWNERDEAD, at once if somebody waits. A descriptor is let go in order when
 * its last copy is closed, whoever of those that inherited it was killed: as flock(1) has it. A
 * stopped holder keeps it. A thread that ends in order and still holds it leaves it locked in the
 * name of its process, whose end is then the owner's death.
 */
#ifndef IPK_MUTEX_H
#define IPK_MUTEX_H

#include <stdbool.h>
#include <stdint.h>

#include "ipk/error.h"
#include "ipk/segment.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct ipk_mutex;

/* Creates a free mutex; recursive: its holder may lock it again. -EEXIST -EINVAL -ENOSPC. */
int ipk_mutex_create(struct ipk_segment *seg, const char *name, bool recursive,
		     struct ipk_error *err);

/* Opens for all threads of this process. -ENOENT -EMEDIUMTYPE -EPROTO -EBADMSG. */
int ipk_mutex_open(struct ipk_segment *seg, const char *name, struct ipk_mutex **ret_mutex,
		   struct ipk_error *err);
/* Ends the handle. The calling process holds the mutex no longer, or the handle stays: -EBUSY. */
int ipk_mutex_close(struct ipk_mutex *mutex);

/*
 * Locks for the calling thread. 0; -EOWNERDEAD locked, but the last holder died with it: mend what
 * it protects, then call ipk_mutex_consistent(). -EAGAIN held (IPK_NOWAIT); -EDEADLK by this thread
 * already, and not recursive; -ENOTRECOVERABLE; -ETIMEDOUT -EINTR -ECANCELED; -ESTALE removed while
 * waiting; -EACCES attached with IPK_READ.
 */
int ipk_mutex_lock(struct ipk_mutex *mutex, int64_t deadline);

/* What the mutex protects is whole again. -EPERM not held by this thread; -EINVAL not suspect. */
int ipk_mutex_consistent(struct ipk_mutex *mutex);

/* -EPERM: not held by this thread. */
int ipk_mutex_unlock(struct ipk_mutex *mutex);

/* Locks for a descriptor, as flock(1) does; *ret_fd is inherited by children. Errors as lock, but
 * -EOWNERDEAD leaves the mutex as it was. */
int ipk_mutex_hold(struct ipk_mutex *mutex, int64_t deadline, int *ret_fd);

/*
 * Declares what the mutex protects to be whole, whatever happened: a mutex that nobody living holds
 * is free and no longer suspect. -EBUSY: somebody holds it.
 */
int ipk_mutex_reset(struct ipk_mutex *mutex);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
