/* SPDX-License-Identifier: MIT */
/* Concurrency Kit's rings, items by value. */
#include <stdlib.h>
#include <string.h>

#include <ck_ring.h>

#include "loops.h"

struct ck {
	ck_ring_t ring;
	_Alignas(128) unsigned char cell[];
};

/* clang-format off */
CK_RING_PROTOTYPE(8, item8)
CK_RING_PROTOTYPE(16, item16)
CK_RING_PROTOTYPE(64, item64)
CK_RING_PROTOTYPE(256, item256)
/* clang-format on */

#define CELLS(bytes) ((struct item##bytes *)(void *)q->cell)
#define CK(mode, bytes)                                                                            \
	LOOPS(mode##bytes, struct item##bytes, struct ck,                                          \
	      ck_ring_enqueue_##mode##_##bytes(&q->ring, CELLS(bytes), it),                        \
	      ck_ring_dequeue_##mode##_##bytes(&q->ring, CELLS(bytes), it))
CK(spsc, 8)
CK(spsc, 16)
CK(spsc, 64)
CK(spsc, 256)
CK(mpmc, 8)
CK(mpmc, 16)
CK(mpmc, 64)
CK(mpmc, 256)

static bool make(struct queue *ret, size_t bytes, uint64_t cap, const struct loops *loops)
{
	struct ck *c = peer_memory(sizeof(*c) + cap * bytes);

	ck_ring_init(&c->ring, (unsigned)cap);
	*ret = (struct queue){&loops[loops_index(bytes)], c};
	return true;
}

static bool make_spsc(struct queue *ret, size_t bytes, uint64_t cap)
{
	static const struct loops loops[] = {LOOPS_TABLE(spsc8), LOOPS_TABLE(spsc16),
					     LOOPS_TABLE(spsc64), LOOPS_TABLE(spsc256)};

	return make(ret, bytes, cap, loops);
}

static bool make_mpmc(struct queue *ret, size_t bytes, uint64_t cap)
{
	static const struct loops loops[] = {LOOPS_TABLE(mpmc8), LOOPS_TABLE(mpmc16),
					     LOOPS_TABLE(mpmc64), LOOPS_TABLE(mpmc256)};

	return make(ret, bytes, cap, loops);
}

static void drop(struct queue *q)
{
	peer_memory_end(q->at);
}

const struct peer peer_ck_spsc = {.name = "ck_ring spsc", .make = make_spsc, .drop = drop};
const struct peer peer_ck_mpmc = {
	.name = "ck_ring mpmc", .flags = PEER_MANY, .make = make_mpmc, .drop = drop};
