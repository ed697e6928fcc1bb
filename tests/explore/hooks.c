/* SPDX-License-Identifier: MIT */
/*
 * What gcc and clang call before each access with -fsanitize=thread, without their runtime: each
 * access of the library that may concern another comes through here, the plain ones too. And the
 * functions that copy memory: meson.build gives them these names.
 */
#include <string.h>

#include "explore.h"

#define PC __builtin_extract_return_addr(__builtin_return_address(0))

#pragma GCC diagnostic ignored "-Wmissing-prototypes"

void __tsan_init(void)
{
}

void __tsan_func_entry(void *pc)
{
	(void)pc;
}

void __tsan_func_exit(void)
{
}

#define PLAIN(n)                                                                                   \
	void __tsan_read##n(void *p)                                                               \
	{                                                                                          \
		memory_plain(p, n, false, PC);                                                     \
	}                                                                                          \
	void __tsan_write##n(void *p)                                                              \
	{                                                                                          \
		memory_plain(p, n, true, PC);                                                      \
	}                                                                                          \
	void __tsan_unaligned_read##n(void *p)                                                     \
	{                                                                                          \
		memory_plain(p, n, false, PC);                                                     \
	}                                                                                          \
	void __tsan_unaligned_write##n(void *p)                                                    \
	{                                                                                          \
		memory_plain(p, n, true, PC);                                                      \
	}
PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

void __tsan_read_range(void *p, size_t n)
{
	memory_plain(p, n, false, PC);
}

void __tsan_write_range(void *p, size_t n)
{
	memory_plain(p, n, true, PC);
}

#define FETCH(bits, name, op)                                                                      \
	u##bits __tsan_atomic##bits##_##name(u##bits *p, u##bits v, int order)                     \
	{                                                                                          \
		return (u##bits)memory_rmw(op, p, bits / 8, v, order, PC);                         \
	}

#define ATOMIC(bits)                                                                               \
	u##bits __tsan_atomic##bits##_load(u##bits *p, int order)                                  \
	{                                                                                          \
		return (u##bits)memory_load(p, bits / 8, order, PC);                               \
	}                                                                                          \
	void __tsan_atomic##bits##_store(u##bits *p, u##bits v, int order)                         \
	{                                                                                          \
		memory_store(p, bits / 8, v, order, PC);                                           \
	}                                                                                          \
	FETCH(bits, exchange, RMW_SET)                                                             \
	FETCH(bits, fetch_add, RMW_ADD)                                                            \
	FETCH(bits, fetch_sub, RMW_SUB)                                                            \
	FETCH(bits, fetch_and, RMW_AND)                                                            \
	FETCH(bits, fetch_or, RMW_OR)                                                              \
	FETCH(bits, fetch_xor, RMW_XOR)                                                            \
	int __tsan_atomic##bits##_compare_exchange_strong(u##bits *p, u##bits *e, u##bits v,       \
							  int order, int failure)                  \
	{                                                                                          \
		u64 expected = *e;                                                                 \
		bool done = memory_cas(p, bits / 8, &expected, v, order, failure, PC);             \
                                                                                                   \
		*e = (u##bits)expected;                                                            \
		return done;                                                                       \
	}
ATOMIC(8)
ATOMIC(16)
ATOMIC(32)
ATOMIC(64)

void __tsan_atomic_thread_fence(int order)
{
	memory_fence(order, PC);
}

void __tsan_atomic_signal_fence(int order)
{
	(void)order;
}

/* ---- copies --------------------------------------------------------------------------------- */

void *explore_memcpy(void *dst, const void *src, size_t n)
{
	memory_plain((void *)src, n, false, PC);
	memory_plain(dst, n, true, PC);
	return memcpy(dst, src, n);
}

void *explore_memmove(void *dst, const void *src, size_t n)
{
	memory_plain((void *)src, n, false, PC);
	memory_plain(dst, n, true, PC);
	return memmove(dst, src, n);
}

void *explore_memset(void *dst, int c, size_t n)
{
	memory_plain(dst, n, true, PC);
	return memset(dst, c, n);
}

int explore_memcmp(const void *a, const void *b, size_t n)
{
	memory_plain((void *)a, n, false, PC);
	memory_plain((void *)b, n, false, PC);
	return memcmp(a, b, n);
}
