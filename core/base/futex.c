/* SPDX-License-Identifier: MIT */
#include "base/futex.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#ifndef FUTEX_32
#define FUTEX_32 2
#endif

#define NSEC INT64_C(1000000000)

/* As the kernel has it since 5.16; named apart because older headers lack it. */
struct waitv_entry {
	u64 val;
	u64 uaddr;
	u32 flags;
	u32 reserved;
};

static u32 waitv_refused;

i64 ipk_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC + ts.tv_nsec;
}

u64 ipk_now_real(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (u64)ts.tv_sec * NSEC + (u64)ts.tv_nsec;
}

static struct timespec *deadline_ts(i64 deadline, struct timespec *ts)
{
	if (deadline == INT64_MAX)
		return NULL;
	if (deadline < 0)
		deadline = 0;
	ts->tv_sec = deadline / NSEC;
	ts->tv_nsec = deadline % NSEC;
	return ts;
}

void ipk_futex_waitv_disable(bool off)
{
	ipk_st(&waitv_refused, off, relaxed);
}

int ipk_futex_waitv(const struct ipk_futex_word *words, u32 n, i64 deadline)
{
	struct waitv_entry v[IPK_FUTEX_MANY];
	struct timespec ts;
	long r;

	if (ipk_ld(&waitv_refused, relaxed))
		return -ENOSYS;
	for (u32 i = 0; i < n; i++) {
		v[i].val = words[i].val;
		v[i].uaddr = (u64)(uintptr_t)words[i].word;
		v[i].flags = FUTEX_32 | (words[i].private ? FUTEX_PRIVATE_FLAG : 0);
		v[i].reserved = 0;
	}
	r = syscall(SYS_futex_waitv, v, n, 0, deadline_ts(deadline, &ts), CLOCK_MONOTONIC);
	if (r >= 0)
		return (int)r;
	if (errno == ENOSYS || errno == EPERM) {
		/* Old kernel or a seccomp filter: that will not change while we run. */
		ipk_st(&waitv_refused, 1u, relaxed);
		return -ENOSYS;
	}
	return -errno;
}

int ipk_futex_wait(u32 *word, u32 val, i64 deadline)
{
	struct timespec ts;

	if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET, val, deadline_ts(deadline, &ts), NULL,
		    FUTEX_BITSET_MATCH_ANY) == 0)
		return 0;
	return -errno;
}

int ipk_futex_wake(u32 *word, int n)
{
	long r = syscall(SYS_futex, word, FUTEX_WAKE, n, NULL, NULL, 0);

	return r < 0 ? -errno : (int)r;
}
