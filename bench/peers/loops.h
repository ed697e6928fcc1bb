/* SPDX-License-Identifier: MIT */
/*
 * The loops of a peer for one size of items. PUSH and POP are expressions that see q and it (a
 * pointer to an item) and are true when it was done; those of bursts see n as well, and say how
 * many.
 */
#ifndef LOOPS_H
#define LOOPS_H

#include <sched.h>
#include <stdint.h>

#include "peers.h"

#define ITEM(bytes)                                                                                \
	struct item##bytes {                                                                       \
		uint64_t word[(bytes) / 8];                                                        \
	}

ITEM(8);
ITEM(16);
ITEM(64);
ITEM(256);

/* An item's first and last word say which it is: both its ends travel. */
#define ITEM_LAST(it) (sizeof(*(it)) / 8 - 1)
#define ITEM_SET(it, val) ((it)->word[0] = (val), (it)->word[ITEM_LAST(it)] = (val))

static inline void loops_idle(const struct work *w, unsigned *k)
{
	__asm__ volatile("" ::: "memory");
	if (w->yield && ++*k == 64) {
		*k = 0;
		sched_yield();
	}
}

/* Consumers that share: how many are taken now, with mine? */
static inline bool loops_over(struct work *w, uint64_t *mine)
{
	uint64_t all = __atomic_add_fetch(w->taken, *mine, __ATOMIC_RELAXED);

	*mine = 0;
	return all >= w->n;
}

#define LOOPS(name, item, Q, PUSH, POP)                                                            \
	static void name##_produce(struct work *w)                                                 \
	{                                                                                          \
		Q *q = (Q *)w->end;                                                                \
		item mem = {{0}}, *it = &mem;                                                      \
		unsigned k = 0;                                                                    \
		for (uint64_t i = w->first; i < w->first + w->n; i++) {                            \
			ITEM_SET(it, i);                                                           \
			while (!(PUSH))                                                            \
				loops_idle(w, &k);                                                 \
		}                                                                                  \
	}                                                                                          \
	static void name##_consume(struct work *w)                                                 \
	{                                                                                          \
		Q *q = (Q *)w->end;                                                                \
		item mem = {{0}}, *it = &mem;                                                      \
		uint64_t mine = 0, sum = 0, bad = 0;                                               \
		unsigned k = 0;                                                                    \
		for (uint64_t i = 0; w->taken || i < w->n;) {                                      \
			if (!(POP)) {                                                              \
				if (w->taken && loops_over(w, &mine))                              \
					break;                                                     \
				loops_idle(w, &k);                                                 \
				continue;                                                          \
			}                                                                          \
			i++;                                                                       \
			mine++;                                                                    \
			sum += it->word[0];                                                        \
			bad |= it->word[0] ^ it->word[ITEM_LAST(it)];                              \
		}                                                                                  \
		w->sum = sum;                                                                      \
		w->bad = bad;                                                                      \
	}                                                                                          \
	static void name##_ping(void *there, void *back, uint64_t n)                               \
	{                                                                                          \
		item mem = {{0}}, *it = &mem;                                                      \
		for (uint64_t i = 1; i <= n; i++) {                                                \
			Q *q = (Q *)there;                                                         \
			ITEM_SET(it, i);                                                           \
			while (!(PUSH))                                                            \
				;                                                                  \
			q = (Q *)back;                                                             \
			while (!(POP))                                                             \
				;                                                                  \
			if (it->word[ITEM_LAST(it)] != i)                                          \
				__builtin_trap();                                                  \
		}                                                                                  \
	}                                                                                          \
	static void name##_echo(void *there, void *back, uint64_t n)                               \
	{                                                                                          \
		item mem = {{0}}, *it = &mem;                                                      \
		for (uint64_t i = 1; i <= n; i++) {                                                \
			Q *q = (Q *)there;                                                         \
			while (!(POP))                                                             \
				;                                                                  \
			q = (Q *)back;                                                             \
			while (!(PUSH))                                                            \
				;                                                                  \
		}                                                                                  \
	}                                                                                          \
	static int name##_put(void *end, uint64_t val)                                             \
	{                                                                                          \
		Q *q = (Q *)end;                                                                   \
		item mem = {{0}}, *it = &mem;                                                      \
		ITEM_SET(it, val);                                                                 \
		return (PUSH) ? 1 : 0;                                                             \
	}                                                                                          \
	static int name##_get(void *end, uint64_t *ret_val)                                        \
	{                                                                                          \
		Q *q = (Q *)end;                                                                   \
		item mem = {{0}}, *it = &mem;                                                      \
		if (!(POP))                                                                        \
			return 0;                                                                  \
		*ret_val = it->word[0];                                                            \
		return 1;                                                                          \
	}

/* n of a producer is a multiple of PEER_BURST. */
#define LOOPS_BURST(name, item, Q, PUSH, POP)                                                      \
	static void name##_produce_burst(struct work *w)                                           \
	{                                                                                          \
		Q *q = (Q *)w->end;                                                                \
		item mem[PEER_BURST];                                                              \
		unsigned k = 0;                                                                    \
		for (uint64_t i = w->first; i < w->first + w->n; i += PEER_BURST) {                \
			for (unsigned j = 0; j < PEER_BURST; j++)                                  \
				ITEM_SET(&mem[j], i + j);                                          \
			for (unsigned done = 0; done < PEER_BURST;) {                              \
				const item *it = mem + done;                                       \
				unsigned n = PEER_BURST - done, got = (unsigned)(PUSH);            \
				if (got == 0)                                                      \
					loops_idle(w, &k);                                         \
				done += got;                                                       \
			}                                                                          \
		}                                                                                  \
	}                                                                                          \
	static void name##_consume_burst(struct work *w)                                           \
	{                                                                                          \
		Q *q = (Q *)w->end;                                                                \
		item it[PEER_BURST];                                                               \
		uint64_t mine = 0, sum = 0, bad = 0;                                               \
		unsigned k = 0;                                                                    \
		for (uint64_t i = 0; w->taken || i < w->n;) {                                      \
			const unsigned n = PEER_BURST;                                             \
			unsigned got = (unsigned)(POP);                                            \
			if (got == 0) {                                                            \
				if (w->taken && loops_over(w, &mine))                              \
					break;                                                     \
				loops_idle(w, &k);                                                 \
				continue;                                                          \
			}                                                                          \
			for (unsigned j = 0; j < got; j++) {                                       \
				sum += it[j].word[0];                                              \
				bad |= it[j].word[0] ^ it[j].word[ITEM_LAST(it)];                  \
			}                                                                          \
			i += got;                                                                  \
			mine += got;                                                               \
		}                                                                                  \
		w->sum = sum;                                                                      \
		w->bad = bad;                                                                      \
	}

#define LOOPS_TABLE(name)                                                                          \
	{                                                                                          \
		name##_produce, name##_consume, NULL, NULL, name##_ping, name##_echo, name##_put,  \
			name##_get                                                                 \
	}
#define LOOPS_TABLE_BURST(name)                                                                    \
	{                                                                                          \
		name##_produce, name##_consume, name##_produce_burst, name##_consume_burst,        \
			name##_ping, name##_echo, name##_put, name##_get                           \
	}

/* Which of four sizes. */
static inline int loops_index(size_t bytes)
{
	return bytes == 8 ? 0 : bytes == 16 ? 1 : bytes == 64 ? 2 : bytes == 256 ? 3 : -1;
}

#endif
