/* SPDX-License-Identifier: MIT */
/*
 * Latch: opens for all when it has been counted down to 0, and stays open.
 *
 *	count 3 --count down--> 2 --> 1 --> 0: open --reset--> 3
 *
 * WHICH MAY RUN BESIDE WHICH. Everything, from any thread of any process.
 *
 * LEFT BEHIND BY A DEATH. A count-down is one compare-exchange: it has happened or not, and one
 * that has happened stays, since it says that something is done, not that somebody is there. (For
 * parties whose death matters see barrier.h.) Who dies between the last count-down and the wake has
 * woken all, because who waits also waits for deaths.
 */
#ifndef IPK_LATCH_H
#define IPK_LATCH_H

#include <stdint.h>

#include "ipk/error.h"
#include "ipk/segment.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct ipk_latch;

/* Creates a latch that opens after count (1 to 2^32-1) count-downs. -EEXIST -EINVAL -ENOSPC. */
int ipk_latch_create(struct ipk_segment *seg, const char *name, uint64_t count,
		     struct ipk_error *err);

/* Opens the object for all threads of this process. -ENOENT -EMEDIUMTYPE -EPROTO -EBADMSG. */
int ipk_latch_open(struct ipk_segment *seg, const char *name, struct ipk_latch **ret_latch,
		   struct ipk_error *err);
void ipk_latch_close(struct ipk_latch *latch);

/* Counts n down. -EOVERFLOW: less than n is left, and nothing was changed. -EACCES. */
int ipk_latch_count_down(struct ipk_latch *latch, uint64_t n);

/* What is left; 0: open. */
uint64_t ipk_latch_value(struct ipk_latch *latch);

/*
 * Waits until it is open, or was opened since the call began. -EAGAIN (IPK_NOWAIT) -ETIMEDOUT
 * -EINTR
 * -ECANCELED; -ESTALE removed while waiting. With IPK_READ: looks every 10 ms.
 */
int ipk_latch_wait(struct ipk_latch *latch, int64_t deadline);

/* Begins anew with the full count. Who waits and was not let through goes on waiting. -EACCES. */
int ipk_latch_reset(struct ipk_latch *latch);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
