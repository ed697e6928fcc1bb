/* SPDX-License-Identifier: MIT */
/*
 * A thread's death, told by the kernel: a futex word at the end of a shared page, linked into the
 * thread's own robust list.
 *
 *      shared page of the segment         private page
 *   | ...              | live | (20) || prev | next | ...
 *                        4072          0      8
 *
 * The list is glibc's: entries are linked by their next field, which lies 32 bytes behind the word,
 * and glibc keeps prev 8 bytes before next. Only the thread itself may change its list, so a node
 * that another thread has to give up stays mapped, with its word made private.
 */
#ifndef IPK_ROBUST_H
#define IPK_ROBUST_H

#include "base/base.h"

/* Can the calling thread have one? 64-bit, pages of 4 KiB, a list laid out as above. */
bool ipk_robust_usable(void);

/* Maps the page at off of fd once more, with a private page behind it; not inherited by fork.
 * Returns the word, or NULL. */
u32 *ipk_robust_map(int fd, u64 off);
void ipk_robust_unmap(u32 *word);

/* By the thread itself. The kernel sees a whole list at each instruction. */
void ipk_robust_link(u32 *word);
void ipk_robust_unlink(u32 *word);

/* By any thread: from now on the kernel finds a private word in place of the shared one. */
void ipk_robust_abandon(u32 *word);

#endif
