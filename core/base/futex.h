/* SPDX-License-Identifier: MIT */
/*
 * Sleeping on shared words. Deadlines are absolute CLOCK_MONOTONIC nanoseconds, as in
 * include/ipk/segment.h. Nothing here knows what the words mean.
 */
#ifndef IPK_FUTEX_H
#define IPK_FUTEX_H

#include "base/base.h"

#define IPK_FUTEX_MANY 128u /* words of one ipk_futex_waitv() */

i64 ipk_now(void);
u64 ipk_now_real(void); /* CLOCK_REALTIME, ns */

/* One word to sleep on while it holds val; private: no other process wakes it. */
struct ipk_futex_word {
	u32 *word;
	u32 val;
	bool private;
};

/*
 * Sleeps while every word holds its value. Returns the index of a word that was woken; -EAGAIN when
 * one differs; -ETIMEDOUT; -EINTR; -ENOSYS where the kernel or a filter refuses FUTEX_WAITV (and
 * then ever after, without a system call).
 */
int ipk_futex_waitv(const struct ipk_futex_word *words, u32 n, i64 deadline);

/* The same for one shared word, by FUTEX_WAIT_BITSET: 0, -EAGAIN, -ETIMEDOUT, -EINTR. */
int ipk_futex_wait(u32 *word, u32 val, i64 deadline);

/* Wakes up to n of those who sleep on the shared word; returns how many. */
int ipk_futex_wake(u32 *word, int n);

/* Tests: behave as a kernel without FUTEX_WAITV. */
void ipk_futex_waitv_disable(bool off);

#endif
