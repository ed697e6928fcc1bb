/* SPDX-License-Identifier: MIT */
/*
 * The common case of push and pop, for the inline functions of queue.h and for the library, which
 * does no more when nothing is in the way. Not for programs. Why each step is as it is, and all
 * that is left out here: core/kinds/queue.h.
 */
#ifndef IPK_QUEUE_FAST_H
#define IPK_QUEUE_FAST_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ipk/fast.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ipk_queue_body {
	uint64_t cap;    /* slots */
	uint64_t stride; /* bytes from slot to slot */
	uint32_t size;   /* bytes of an element; 0: variable */
	uint32_t spare0[11];
	/* 64 */
	uint32_t shut;
	uint32_t spare1;
	uint64_t skipped; /* positions that never held an item; may lack a claim for each death */
	uint64_t redelivered; /* items given back; the same */
	uint64_t spare2[5];
	/* 128 */
	uint64_t tail; /* hint: code of the next position to give out */
	uint64_t spare3[15];
	/* 256 */
	uint64_t head; /* hint: code of the next position to take from */
	uint64_t rd;   /* {count:63, pend:1} */
	uint64_t spare4[14];
	/* 384 */
	uint32_t items;
	uint32_t spare5[31];
	/* 512 */
	uint32_t space;
	uint32_t spare6[31];
	/* 640: slots */
};

/* w, the word of a slot, is {lap:41, burst:1, st:2, rdc:6, own:14}. */
#define IPK_QUEUE_OWN UINT64_C(0x3fff)
#define IPK_QUEUE_RDC (UINT64_C(63) << 14)
#define IPK_QUEUE_ST_SHIFT 20
#define IPK_QUEUE_BURST (UINT64_C(1) << 22)
#define IPK_QUEUE_LAP_SHIFT 23
enum ipk_queue_state { IPK_QUEUE_FREE, IPK_QUEUE_WR, IPK_QUEUE_FULL, IPK_QUEUE_TAKEN };
#define IPK_QUEUE_ST(st) ((uint64_t)(st) << IPK_QUEUE_ST_SHIFT)

#define IPK_QUEUE_SLEEPER UINT32_C(0x80000000) /* in items and space: somebody waits */

/* The beginning of a handle. Constant; private to the process. */
struct ipk_queue_fast {
	struct ipk_fast who;
	struct ipk_queue_body *body;
	unsigned char *slots;
	uint64_t cap;
	uint64_t mask; /* of a code's slot index */
	uint64_t stride;
	uint32_t bits; /* of a code's slot index */
	uint32_t size; /* bytes of an element; UINT32_MAX: variable */
	const uint64_t *state;	 /* shared: has the object been removed? */
	const uint32_t *removed; /* shared: has the segment? */
};

/* What was taken. */
struct ipk_queue_taken {
	uint64_t code;
	uint64_t w; /* as it was before */
};

#define IPK_QUEUE_COPY_MAX 64 /* bytes of an element that is copied inline */

/* An element in registers. */
struct ipk_queue_small {
	uint64_t word[2];
};

/* By moves where len is constant; the library comes here with 4, 8 and 16 alone. */
ipk_inline void ipk_queue_copy(void *dst, const void *src, size_t len)
{
	if (__builtin_constant_p(len))
		memcpy(dst, src, len);
	else if (ipk_fast_likely(len == 8))
		memcpy(dst, src, 8);
	else if (len == 16)
		memcpy(dst, src, 16);
	else
		memcpy(dst, src, 4);
}

/*
 * Puts an element of len bytes where the tail hint says, if that is the next position. 0: it is
 * not, or something else is in the way, and nothing was done.
 */
ipk_inline int ipk_queue_put(const struct ipk_queue_fast *f, const void *data, size_t len)
{
	struct ipk_queue_body *b = f->body;
	uint64_t me = ipk_fast_self(&f->who);
	/* Acquire: pairs with the store of who claimed the position before. */
	uint64_t code = __atomic_load_n(&b->tail, __ATOMIC_ACQUIRE);
	uint64_t i = code & f->mask, base = code >> f->bits << IPK_QUEUE_LAP_SHIFT, w, *s;

	if (!ipk_fast_likely(me <= IPK_QUEUE_OWN && len == f->size && i < f->cap) ||
	    !ipk_fast_likely(__atomic_load_n(&b->shut, __ATOMIC_ACQUIRE) == 0))
		return 0;
	s = (uint64_t *)(void *)(f->slots + i * f->stride);
	w = __atomic_load_n(s, __ATOMIC_ACQUIRE); /* pairs with who freed it */
	/*
	 * FREE -> WR. seq_cst: the fence between this claim and our look at items after the push. A
	 * consumer that set W and then found the slot FREE did both before it, so we shall see W.
	 * One that finds it WR sleeps in slices. That saves the fence between publishing and
	 * looking.
	 */
	if (!ipk_fast_likely(w == base) || !ipk_fast_likely(__atomic_compare_exchange_n(
						   s, &w, base | IPK_QUEUE_ST(IPK_QUEUE_WR) | me, 0,
						   __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE)))
		return 0;
	__atomic_store_n(&b->tail, code + 1, __ATOMIC_RELEASE);
	ipk_queue_copy(s + 1, data, len);
	/*
	 * WR -> FULL, acknowledged. Release: the element comes before its word; pairs with takers.
	 */
	__atomic_store_n(s, base | IPK_QUEUE_ST(IPK_QUEUE_FULL), __ATOMIC_RELEASE);
	return 1;
}

/*
 * The slot whose word is s, for len bytes, is free: is there nothing at all, and nothing to be said
 * but that? None was given back since rd was read. Nothing is stored, and the end of the slot is
 * fetched while its word is polled: an item comes as fast as its lines do.
 */
ipk_inline int ipk_queue_none(const struct ipk_queue_fast *f, const uint64_t *s, size_t len,
			      uint64_t rd)
{
	const struct ipk_queue_body *b = f->body;

	__builtin_prefetch((const char *)s + len);
	return !(rd & 1) && __atomic_load_n(&b->rd, __ATOMIC_ACQUIRE) == rd &&
	       __atomic_load_n(&b->shut, __ATOMIC_ACQUIRE) == 0 &&
	       ipk_fast_there(f->state, f->removed);
}

/*
 * Takes the element that the head hint names, of len bytes, if one is there and none has been given
 * back. Otherwise nothing was done; -1: there is none.
 */
ipk_inline int ipk_queue_get(const struct ipk_queue_fast *f, void *buf, size_t len,
			     struct ipk_queue_taken *ret)
{
	struct ipk_queue_body *b = f->body;
	uint64_t me = ipk_fast_self(&f->who);
	/* Acquire: pairs with who gave something back, and who took the position before. */
	uint64_t rd = __atomic_load_n(&b->rd, __ATOMIC_ACQUIRE);
	uint64_t code = __atomic_load_n(&b->head, __ATOMIC_ACQUIRE);
	uint64_t i = code & f->mask, base = code >> f->bits << IPK_QUEUE_LAP_SHIFT, w, *s;

	if (!ipk_fast_likely(me <= IPK_QUEUE_OWN && len == f->size && i < f->cap) ||
	    !ipk_fast_likely(!(rd & 1)))
		return 0;
	s = (uint64_t *)(void *)(f->slots + i * f->stride);
	w = __atomic_load_n(s, __ATOMIC_ACQUIRE); /* pairs with ipk_queue_put() */
	/* FULL -> TAKEN. seq_cst: as there, for our look at space. */
	if (!ipk_fast_likely((w & ~IPK_QUEUE_RDC) == (base | IPK_QUEUE_ST(IPK_QUEUE_FULL))) ||
	    !ipk_fast_likely(__atomic_compare_exchange_n(
		    s, &w, w | IPK_QUEUE_ST(IPK_QUEUE_TAKEN - IPK_QUEUE_FULL) | me, 0,
		    __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE)))
		return w == base && ipk_queue_none(f, s, len, rd) ? -1 : 0;
	__atomic_store_n(&b->head, code + 1, __ATOMIC_RELEASE);
	ipk_queue_copy(buf, s + 1, len);
	/*
	 * TAKEN -> {lap+1,FREE}. Release: who pushes here next overwrites it; pairs with its claim.
	 */
	__atomic_store_n(s, base + (UINT64_C(1) << IPK_QUEUE_LAP_SHIFT), __ATOMIC_RELEASE);
	ret->code = code;
	ret->w = w;
	return 1;
}

/* Does nobody wait for what was put? space: what moves up may have made room for a producer. */
ipk_inline int ipk_queue_put_told(const struct ipk_queue_body *b)
{
	return !((__atomic_load_n(&b->items, __ATOMIC_SEQ_CST) |
		  __atomic_load_n(&b->space, __ATOMIC_SEQ_CST)) &
		 IPK_QUEUE_SLEEPER);
}

ipk_inline int ipk_queue_get_told(const struct ipk_queue_body *b)
{
	return !(__atomic_load_n(&b->space, __ATOMIC_SEQ_CST) & IPK_QUEUE_SLEEPER);
}

#ifdef __cplusplus
}
#endif
#endif
