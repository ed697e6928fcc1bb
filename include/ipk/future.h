/* SPDX-License-Identifier: MIT */
/*
 * Future: one value that will be there some day, or the reason why it will not.
 *
 *	pending --set--> set            pending --claim--> claimed --set, fail--> set, failed
 *	pending --fail--> failed        claimed, and the claimant dies or gives up --> broken
 *	set, failed, broken --reset--> pending
 *
 * Anybody may set a future that nobody has claimed. Who claims it has the right to set it to
 * himself, and owes it: when he dies without having done so, the future is broken, and who waits
 * for it is told at once instead of waiting for ever.
 *
 * CONTINUATIONS. A process that does not want to wait leaves a text with ipk_future_then(): the
 * name of what is to be done, or a command. When the future is completed, in whichever way, any
 * process takes the texts one by one with ipk_future_next(), does what they say, and drops them
 * with ipk_future_done(). What a worker has taken and not dropped when it dies is given to another,
 * marked. So each is done at least once, in the order in which they were left, each in the hands of
 * one worker at a time.
 *
 * WHICH MAY RUN BESIDE WHICH. Everything, from any thread of any process. Reading takes no lock.
 *
 * LEFT BEHIND BY A DEATH. Each change is one transaction of the segment: it has happened or it has
 * not. A claim goes with its process, or, with ipk_future_hold(), with the last copy of a
 * descriptor. (A thread that ends in order leaves to its process what it has claimed, and the
 * continuations that it has taken.) A stopped claimant is not dead.
 *
 * The states are those of promises since Friedman and Wise (1976) and Liskov and Shrira (PLDI'88);
 * the broken promise is that of C++11. Nothing is taken from any implementation.
 */
#ifndef IPK_FUTURE_H
#define IPK_FUTURE_H

#include <stddef.h>
#include <stdint.h>

#include "ipk/error.h"
#include "ipk/segment.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Bytes of a text at most: the reason of a failure, a continuation. */
#define IPK_FUTURE_TEXT_MAX 65536u
/* Continuations at most. */
#define IPK_FUTURE_THENS_MAX 65536u

struct ipk_future;

enum ipk_future_state {
	IPK_FUTURE_PENDING,
	IPK_FUTURE_CLAIMED,
	IPK_FUTURE_SET,
	IPK_FUTURE_FAILED,
	IPK_FUTURE_BROKEN,
};

/* Creates a pending future of any type; type NULL: str. -EEXIST -EINVAL -ENOSPC. */
int ipk_future_create(struct ipk_segment *seg, const char *name, const char *type,
		      struct ipk_error *err);

/*
 * Opens for all threads of this process; type NULL: whatever it is, else a claim to be checked.
 * -ENOENT -EMEDIUMTYPE -EPROTO -EBADMSG.
 */
int ipk_future_open(struct ipk_segment *seg, const char *name, const char *type,
		    struct ipk_future **ret_future, struct ipk_error *err);
/*
 * Ends the handle. What this process claimed through it and has not completed is broken;
 * continuations that it has taken stay with it, and end by another handle.
 */
void ipk_future_close(struct ipk_future *future);

/* How it stands. A claimant that is dead counts: IPK_FUTURE_BROKEN. */
enum ipk_future_state ipk_future_state(struct ipk_future *future);

/*
 * Makes this process the only one that may complete it. -EBUSY somebody else has claimed it, or
 * this process has already; -EEXIST it is completed; -EACCES attached with IPK_READ; -EINTR
 * -ECANCELED.
 */
int ipk_future_claim(struct ipk_future *future);

/*
 * Claims in the name of a descriptor, which children inherit: until the last copy of *ret_fd is
 * closed, anybody may complete it, since there is no telling who has inherited it; then it is
 * broken unless it was completed. Errors as ipk_future_claim(), and those of opening a file.
 */
int ipk_future_hold(struct ipk_future *future, int *ret_fd);

/* Gives up what this process has claimed: it is broken. -EPERM nothing is claimed by it. */
int ipk_future_abandon(struct ipk_future *future);

/*
 * Completes it with a value: len bytes, the element's size where that is fixed. value may be NULL
 * when len is 0. -EEXIST it is set or failed already; -EOWNERDEAD it is broken; -EBUSY another
 * process has claimed it; -EINVAL not the element's size; -ENOSPC no space in the segment; -EACCES
 * -EINTR -ECANCELED. Copies under the segment's lock: a value of 100 MB holds up others for as long
 * as that takes.
 */
int ipk_future_set(struct ipk_future *future, const void *value, size_t len);

/* Completes it with a reason instead: len bytes of text. Errors as ipk_future_set(), -EMSGSIZE. */
int ipk_future_fail(struct ipk_future *future, const char *text, size_t len);

/*
 * Copies the value to buf, size bytes long, and its length to *ret_len (may be NULL). -EAGAIN it is
 * not completed; -EREMOTEIO it failed, see ipk_future_error(); -EOWNERDEAD it is broken; -EMSGSIZE
 * size is too small: *ret_len tells what it takes; -ESTALE removed (IPK_READ, or a child that has
 * not written yet); -EBADMSG.
 */
int ipk_future_get(struct ipk_future *future, void *buf, size_t size, size_t *ret_len);

/* Copies the reason of a failure, without a NUL, likewise. -ENOENT it has not failed. */
int ipk_future_error(struct ipk_future *future, char *buf, size_t size, size_t *ret_len);

/*
 * Waits until it is completed: 0 set, -EREMOTEIO failed, -EOWNERDEAD broken. -EAGAIN (IPK_NOWAIT)
 * -ETIMEDOUT -EINTR -ECANCELED; -ESTALE removed while waiting. Who has not looked yet when it is
 * reset waits for the next completion. With IPK_READ: looks every 10 ms.
 */
int ipk_future_await(struct ipk_future *future, int64_t deadline);

/*
 * Makes it pending again and drops the value; 0 also where it is pending. Continuations stay and
 * wait for the next completion. -EBUSY a living process has claimed it. -EACCES -EINTR -ECANCELED.
 */
int ipk_future_reset(struct ipk_future *future);

/* ---- continuations ------------------------------------------------------------------- */

/* Leaves a text. -EDQUOT there are IPK_FUTURE_THENS_MAX; -EMSGSIZE -ENOSPC -EACCES -EINTR
 * -ECANCELED. */
int ipk_future_then(struct ipk_future *future, const char *text, size_t len);

struct ipk_future_next {
	char *text; /* private, with a NUL behind it; freed by done and again */
	size_t len;
	enum ipk_future_state state; /* what the future was when it was taken */
	uint64_t redelivered;        /* how often it was taken before */
	uint64_t id, own;            /* the library's */
};

/*
 * Waits until the future is completed and has a continuation that nobody has taken; takes the
 * oldest. Errors as ipk_future_await(), but for what the future was completed with.
 */
int ipk_future_next(struct ipk_future *future, struct ipk_future_next *ret_next, int64_t deadline);

/*
 * Drops what was taken, by any thread of the process. -ENOENT it was done already, or taken from
 * the process, or is another's: a child of fork() has its parent's. Frees next's text.
 */
int ipk_future_done(struct ipk_future *future, struct ipk_future_next *next);
/* Gives it back instead: the next worker gets it. Likewise. */
int ipk_future_again(struct ipk_future *future, struct ipk_future_next *next);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
