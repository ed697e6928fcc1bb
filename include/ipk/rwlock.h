/* SPDX-License-Identifier: MIT */
/*
 * Reader-writer lock: held by many readers or by one writer; says by whom, and tells the next
 * writer when one died.
 *
 *	          +------------------+
 *	writer    | nobody, or one   |   4711
 *	          +------------------+
 *	readers   |  0  |  1  | ...  |   4712  4713  free     one place each, cap of them
 *	          +------------------+
 *
 *	free --lock_shared--> shared --unlock--> free
 *	free --lock--> exclusive --unlock--> free
 *	               exclusive, who dies --lock--> exclusive, -EOWNERDEAD: suspect
 *	                                   --lock_shared--> -EOWNERDEAD, and not locked
 *	               suspect --consistent--> exclusive as before
 *	               suspect --unlock--> lost: -ENOTRECOVERABLE to all until somebody says reset
 *
 * WHICH MAY RUN BESIDE WHICH. Everything, from any thread of any process.
 *
 * FAIRNESS. A writer who waits turns readers away, and waits only for those who are in: readers do
 * not starve writers. Who comes next after a writer is decided by who is faster, so writers that
 * follow each other without a pause may make readers wait long. A thread that reads may lock for
 * reading again even while a writer waits.
 *
 * LEFT BEHIND BY A DEATH. A reader's place, and the writer's, are taken and given back by one
 * compare-exchange each. The place of a dead reader is freed at once if somebody waits for it, else
 * by who comes next; it has changed nothing, so nobody is told. A writer who died before he was let
 * in has changed nothing either. One who died after it leaves the lock suspect: the next writer has
 * it with -EOWNERDEAD, readers are refused with the same until he says consistent, since they could
 * not mend what it protects. A descriptor is let go in order when its last copy is closed, whoever
 * of those that inherited it was killed: as flock(1) has it. The stopped keep what they have. A
 * thread that ends in order and still holds it leaves it locked in the name of its process, whose
 * end is then the owner's death.
 *
 * COST. Without contention one compare-exchange to lock and one to unlock, of whichever kind; where
 * reading and writing take turns, one more for the first reader after a writer, and one, with a
 * look at all places, for the first writer after readers.
 *
 * Readers announce themselves in places of their own and then look for a writer, a writer announces
 * himself and then looks at all places: after Hsieh and Weihl, Scalable Reader-Writer Locks for
 * Parallel Systems (IPPS 1992), with owners in the places instead of marks. That he need not look
 * when nobody has read since the last writer is the reader bias of BRAVO (Dice and Kogan, USENIX
 * ATC 2019), the other way round.
 */
#ifndef IPK_RWLOCK_H
#define IPK_RWLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "ipk/error.h"
#include "ipk/segment.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct ipk_rwlock;

/* Creates a free lock for cap readers at once (1 to 2^14; 0: 64). -EEXIST -EINVAL -ENOSPC. */
int ipk_rwlock_create(struct ipk_segment *seg, const char *name, uint64_t cap,
		      struct ipk_error *err);

/* Opens for all threads of this process. -ENOENT -EMEDIUMTYPE -EPROTO -EBADMSG. */
int ipk_rwlock_open(struct ipk_segment *seg, const char *name, struct ipk_rwlock **ret_lock,
		    struct ipk_error *err);
/* Ends the handle. The calling process holds the lock no longer, or the handle stays: -EBUSY. */
int ipk_rwlock_close(struct ipk_rwlock *lock);

/*
 * Locks for the calling thread, to write. 0; -EOWNERDEAD locked, but the last writer died with it:
 * mend what it protects, then call ipk_rwlock_consistent(). -EAGAIN held (IPK_NOWAIT); -EDEADLK
 * held by this thread already, in either way; -ENOTRECOVERABLE; -ETIMEDOUT -EINTR -ECANCELED;
 * -ESTALE removed while waiting; -EACCES attached with IPK_READ.
 */
int ipk_rwlock_lock(struct ipk_rwlock *lock, int64_t deadline);

/*
 * Locks for the calling thread, to read; again as often as it likes, and to be unlocked as often.
 * Waits for writers, those who wait included, and for one of cap places. -EOWNERDEAD not locked: a
 * writer died with it. -EDEADLK this thread writes. Else as above.
 */
int ipk_rwlock_lock_shared(struct ipk_rwlock *lock, int64_t deadline);

/* Gives back what the calling thread has. -EPERM: nothing. */
int ipk_rwlock_unlock(struct ipk_rwlock *lock);

/* What the lock protects is whole again. -EPERM not held by this thread to write; -EINVAL not
 * suspect. */
int ipk_rwlock_consistent(struct ipk_rwlock *lock);

/* Locks for a descriptor, as flock(1) does; *ret_fd is inherited by children. Errors as the two
 * above, but -EOWNERDEAD leaves the lock as it was. */
int ipk_rwlock_hold(struct ipk_rwlock *lock, bool shared, int64_t deadline, int *ret_fd);

/*
 * Declares what the lock protects to be whole, whatever happened: a lock that no living writer
 * holds is no longer suspect. -EBUSY: one does.
 */
int ipk_rwlock_reset(struct ipk_rwlock *lock);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
