/* SPDX-License-Identifier: MIT */
/*
 * Copies between private memory and shared memory that somebody else may change meanwhile. Every
 * access to the shared side is a relaxed atomic one, of eight bytes where the address allows it, so
 * that a copy which must be thrown away afterwards is at least defined, and an aligned word in it
 * is never torn. Order is the caller's affair: fences before and after.
 */
#ifndef IPK_COPY_H
#define IPK_COPY_H

#include "base/base.h"

/* shared -> private */
static inline void ipk_copy_out(void *dst, const void *shared, size_t len)
{
	u8 *s = (u8 *)shared; /* read only */
	u8 *d = dst;

	for (; len && ((uintptr_t)s & 7); len--)
		*d++ = ipk_ld(s++, relaxed);
	for (; len >= 8; len -= 8, d += 8, s += 8) {
		u64 word = ipk_ld((u64 *)(void *)s, relaxed);

		memcpy(d, &word, sizeof(word));
	}
	for (; len; len--)
		*d++ = ipk_ld(s++, relaxed);
}

/* Are the bytes at shared those of a private copy? */
static inline bool ipk_copy_same(const void *shared, const void *src, size_t len)
{
	u8 *s = (u8 *)shared; /* read only */
	const u8 *p = src;

	for (; len && ((uintptr_t)s & 7); len--)
		if (ipk_ld(s++, relaxed) != *p++)
			return false;
	for (; len >= 8; len -= 8, p += 8, s += 8) {
		u64 word;

		memcpy(&word, p, sizeof(word));
		if (ipk_ld((u64 *)(void *)s, relaxed) != word)
			return false;
	}
	for (; len; len--)
		if (ipk_ld(s++, relaxed) != *p++)
			return false;
	return true;
}

/* private -> shared */
static inline void ipk_copy_in(void *shared, const void *src, size_t len)
{
	const u8 *s = src;
	u8 *d = shared;

	for (; len && ((uintptr_t)d & 7); len--, d++, s++)
		ipk_st(d, *s, relaxed);
	for (; len >= 8; len -= 8, d += 8, s += 8) {
		u64 word;

		memcpy(&word, s, sizeof(word));
		ipk_st((u64 *)(void *)d, word, relaxed);
	}
	for (; len; len--, d++, s++)
		ipk_st(d, *s, relaxed);
}

#endif
