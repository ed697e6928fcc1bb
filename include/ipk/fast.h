/* SPDX-License-Identifier: MIT */
/*
 * What inline functions know of the library. Not for programs: those include the header of a kind.
 *
 * An inline function does the common case of a call in a few instructions and leaves everything
 * else to the library, which begins from the beginning. It relies on three things, which together
 * are version 3:
 *
 *	ipk_fast_3	who the calling thread is
 *	struct ipk_fast	how a handle begins; a kind's own fields follow (queue_fast.h)
 *	the kind's layout in shared memory; a handle is given out for that layout alone
 *
 * A library that changes one of them names its table ipk_fast_4: a program compiled with this
 * header finds no ipk_fast_3 there and does not start.
 *
 * WHO AM I. Each open handle of the process has a key, never given twice. When a thread has
 * registered as a user of the object (by its first call, in the library) its number is noted with
 * the key in the thread's own table: only then may it name itself as an owner in the object's
 * words, for only then does a sweep of its remains come there. The child of a fork, and a thread at
 * its end, find an empty table. Handles that share a place in it push each other out, which costs a
 * call.
 */
#ifndef IPK_FAST_H
#define IPK_FAST_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * Inline functions exist when the compiler optimizes, and not with -DIPK_NO_INLINE. What is not
 * inlined, as when its address is taken, is the library's.
 */
#if defined(__OPTIMIZE__) && !defined(IPK_NO_INLINE)
#define IPK_INLINE 1
#define ipk_inline extern __inline __attribute__((gnu_inline, always_inline))
#else
#define IPK_INLINE 0
#define ipk_inline static __inline __attribute__((always_inline, unused))
#endif

#define IPK_FAST_WAYS 16
#define IPK_FAST_POLLS 32
#define IPK_FAST_SELF_BITS 16 /* of a word, below the key */

/* The last one counts polls that found nothing. */
extern __thread uint64_t ipk_fast_3[IPK_FAST_WAYS + 1] __attribute__((tls_model("initial-exec")));

struct ipk_fast {
	uint64_t key;
	uint32_t way; /* index in the table */
	uint32_t spare;
};

/* The calling thread's number, less than 1 << IPK_FAST_SELF_BITS; or more, when it is not noted. */
ipk_inline uint64_t ipk_fast_self(const struct ipk_fast *f)
{
#ifdef IPK_UNPROTECTED /* bench/cost.c */
	return f->key ? 1 : 0;
#else
	return ipk_fast_3[f->way] ^ f->key;
#endif
}

#define ipk_fast_likely(x) __builtin_expect(!!(x), 1)

/*
 * Is an object with that state in the directory of its segment, and the segment not removed? Of its
 * header and the segment's, for who lists the object.
 */
#define IPK_FAST_LIVE 1
ipk_inline int ipk_fast_there(const uint64_t *state, const uint32_t *removed)
{
	return __atomic_load_n(state, __ATOMIC_RELAXED) == IPK_FAST_LIVE &&
	       !__atomic_load_n(removed, __ATOMIC_RELAXED);
}

/*
 * A poll that found nothing: is that all there is to it? 0, once in 32 times: the library, which
 * counts this one, looks whether somebody died who had taken something.
 */
ipk_inline int ipk_fast_poll(void)
{
	uint64_t n = ipk_fast_3[IPK_FAST_WAYS] + 1;

	if (n % IPK_FAST_POLLS == 0)
		return 0;
	ipk_fast_3[IPK_FAST_WAYS] = n;
	return 1;
}

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
