/* SPDX-License-Identifier: MIT */
/*
 * What ours is measured by, written for this purpose, and without any protection: a ring for one
 * producer and one consumer with indices that each side keeps to itself, and Dmitry Vyukov's
 * bounded queue for many (1024cores.net) in shared memory.
 */
#include <stdatomic.h>
#include <string.h>

#include "loops.h"

/* ---- ring ----------------------------------------------------------------------------------- */

struct plain {
	_Alignas(128) _Atomic uint64_t tail;
	_Alignas(128) _Atomic uint64_t head;
	_Alignas(128) uint64_t put, put_limit; /* the producer's own */
	_Alignas(128) uint64_t get, get_limit; /* the consumer's own */
	_Alignas(128) uint64_t cap;
	_Alignas(128) unsigned char cell[];
};

#define INLINE static inline __attribute__((always_inline))

INLINE unsigned plain_push(struct plain *p, const void *it, size_t bytes, unsigned n)
{
	if (p->put_limit - p->put < n)
		p->put_limit = atomic_load_explicit(&p->head, memory_order_acquire) + p->cap;
	if (p->put_limit - p->put < n)
		n = (unsigned)(p->put_limit - p->put);
	for (unsigned i = 0; i < n; i++)
		memcpy(p->cell + ((p->put + i) & (p->cap - 1)) * bytes,
		       (const unsigned char *)it + i * bytes, bytes);
	if (n) {
		p->put += n;
		atomic_store_explicit(&p->tail, p->put, memory_order_release);
	}
	return n;
}

INLINE unsigned plain_pop(struct plain *p, void *it, size_t bytes, unsigned n)
{
	if (p->get_limit - p->get < n) {
		uint64_t limit = atomic_load_explicit(&p->tail, memory_order_acquire);

		if (limit != p->get_limit) /* stores in a polling loop hold up what comes */
			p->get_limit = limit;
	}
	if (p->get_limit - p->get < n)
		n = (unsigned)(p->get_limit - p->get);
	for (unsigned i = 0; i < n; i++)
		memcpy((unsigned char *)it + i * bytes,
		       p->cell + ((p->get + i) & (p->cap - 1)) * bytes, bytes);
	if (n) {
		p->get += n;
		atomic_store_explicit(&p->head, p->get, memory_order_release);
	}
	return n;
}

#define PLAIN(bytes)                                                                               \
	LOOPS(plain##bytes, struct item##bytes, struct plain, plain_push(q, it, bytes, 1),         \
	      plain_pop(q, it, bytes, 1))
PLAIN(8)
PLAIN(16)
PLAIN(64)
PLAIN(256)
LOOPS_BURST(plain8, struct item8, struct plain, plain_push(q, it, 8, n), plain_pop(q, it, 8, n))

static bool plain_make(struct queue *ret, size_t bytes, uint64_t cap)
{
	static const struct loops loops[] = {LOOPS_TABLE_BURST(plain8), LOOPS_TABLE(plain16),
					     LOOPS_TABLE(plain64), LOOPS_TABLE(plain256)};
	struct plain *p = peer_memory(sizeof(*p) + bytes * cap);

	p->cap = p->put_limit = cap;
	*ret = (struct queue){&loops[loops_index(bytes)], p};
	return true;
}

static void plain_drop(struct queue *q)
{
	peer_memory_end(q->at);
}

const struct peer peer_plain = {.name = "a plain ring, unprotected",
				.flags = PEER_KERNEL,
				.make = plain_make,
				.drop = plain_drop};

/* ---- Vyukov's ------------------------------------------------------------------------------- */

struct cell {
	_Atomic uint64_t seq;
	struct item8 val;
};

struct vyukov {
	uint64_t mask;
	_Alignas(128) _Atomic uint64_t tail;
	_Alignas(128) _Atomic uint64_t head;
	_Alignas(128) struct cell cell[];
};

/* The cell whose turn it is, claimed; NULL: full, or empty. ahead: 0 to push, 1 to pop. */
INLINE struct cell *claim(struct vyukov *v, _Atomic uint64_t *at, uint64_t ahead, uint64_t *ret_pos)
{
	uint64_t pos = atomic_load_explicit(at, memory_order_relaxed);

	for (;;) {
		struct cell *c = &v->cell[pos & v->mask];
		uint64_t seq = atomic_load_explicit(&c->seq, memory_order_acquire);
		int64_t diff = (int64_t)(seq - pos - ahead);

		if (diff < 0)
			return NULL;
		if (diff > 0) {
			pos = atomic_load_explicit(at, memory_order_relaxed);
		} else if (atomic_compare_exchange_weak_explicit(
				   at, &pos, pos + 1, memory_order_relaxed, memory_order_relaxed)) {
			*ret_pos = pos;
			return c;
		}
	}
}

INLINE bool vyukov_push(struct vyukov *v, const struct item8 *it)
{
	uint64_t pos;
	struct cell *c = claim(v, &v->tail, 0, &pos);

	if (!c)
		return false;
	c->val = *it;
	atomic_store_explicit(&c->seq, pos + 1, memory_order_release);
	return true;
}

INLINE bool vyukov_pop(struct vyukov *v, struct item8 *it)
{
	uint64_t pos;
	struct cell *c = claim(v, &v->head, 1, &pos);

	if (!c)
		return false;
	*it = c->val;
	atomic_store_explicit(&c->seq, pos + v->mask + 1, memory_order_release);
	return true;
}

LOOPS(vyukov, struct item8, struct vyukov, vyukov_push(q, it), vyukov_pop(q, it))

static bool vyukov_make(struct queue *ret, size_t bytes, uint64_t cap)
{
	static const struct loops loops = LOOPS_TABLE(vyukov);
	struct vyukov *v;

	if (bytes != 8)
		return false;
	v = peer_memory(sizeof(*v) + cap * sizeof(v->cell[0]));
	v->mask = cap - 1;
	for (uint64_t i = 0; i < cap; i++)
		atomic_store_explicit(&v->cell[i].seq, i, memory_order_relaxed);
	*ret = (struct queue){&loops, v};
	return true;
}

const struct peer peer_vyukov = {.name = "Vyukov's queue, unprotected",
				 .flags = PEER_MANY | PEER_KERNEL,
				 .make = vyukov_make,
				 .drop = plain_drop};
