/* SPDX-License-Identifier: MIT */
/*
 * The words everything else is written in: fixed-width integers, sizes, shared-memory atomics.
 *
 * Every access to memory that another process may change goes through the ipk_ld/ipk_st/ipk_cas
 * macros below and nothing else, but for inline functions of public headers and for bytes that a
 * word of their own makes somebody's; tests/explore sees to these, as to all others. An access that
 * is not relaxed says with whom it pairs.
 */
#ifndef IPK_BASE_H
#define IPK_BASE_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t i64;

#define IPK_PAGE 4096u
#define IPK_LINE 64u

#define ipk_likely(x) __builtin_expect(!!(x), 1)
#define ipk_unlikely(x) __builtin_expect(!!(x), 0)
#define IPK_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Rounds n up to a power of two a. Wraps to below n on overflow: check where n is not trusted. */
static inline u64 ipk_align_up(u64 n, u64 a)
{
	return (n + a - 1) & ~(a - 1);
}

/* Loads and stores of shared words; o is relaxed, acquire, release or seq_cst. */
#define ipk_ld(p, o) \
	__extension__({ \
		__typeof__(*(p)) ipk_v_; \
		__atomic_load(p, &ipk_v_, IPK_ORDER_##o); \
		ipk_v_; \
	})
#define ipk_st(p, v, o) __atomic_store_n(p, v, IPK_ORDER_##o)
#define ipk_xchg(p, v, o) __atomic_exchange_n(p, v, IPK_ORDER_##o)
#define ipk_add(p, v, o) __atomic_fetch_add(p, v, IPK_ORDER_##o)
#define ipk_or(p, v, o) __atomic_fetch_or(p, v, IPK_ORDER_##o)
#define ipk_and(p, v, o) __atomic_fetch_and(p, v, IPK_ORDER_##o)
/* One strong compare-exchange; *e is refreshed on failure (acquire). True when it took place. */
#define ipk_cas(p, e, v, o) \
	__atomic_compare_exchange_n(p, e, v, 0, IPK_ORDER_##o, __ATOMIC_ACQUIRE)
#define ipk_fence(o) __atomic_thread_fence(IPK_ORDER_##o)

#define IPK_ORDER_relaxed __ATOMIC_RELAXED
#define IPK_ORDER_acquire __ATOMIC_ACQUIRE
#define IPK_ORDER_release __ATOMIC_RELEASE
#define IPK_ORDER_acq_rel __ATOMIC_ACQ_REL
#define IPK_ORDER_seq_cst __ATOMIC_SEQ_CST

/*
 * 0 in a library that is made for bench/cost.c alone, to be compared with: it does not do what is
 * done only in case that somebody dies, and must not be killed.
 */
#ifdef IPK_UNPROTECTED
#define IPK_PROTECTED 0
#else
#define IPK_PROTECTED 1
#endif

/*
 * A planted bug, one of bugs.def: tests/crash/bugs shows that the tests catch each. Constantly
 * false unless built with -Dbugs=true; then the environment's IPK_BUG names the one that is there.
 */
enum ipk_bug {
	IPK_BUG_none,
#define IPK_BUG_IS(name, what) IPK_BUG_##name,
#include "base/bugs.def"
#undef IPK_BUG_IS
};

#ifdef IPK_BUGS
extern enum ipk_bug ipk_bug;
#define IPK_BUG(name) (ipk_bug == IPK_BUG_##name)
#else
#define IPK_BUG(name) ((void)IPK_BUG_##name, 0)
#endif

static inline void ipk_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

#endif
