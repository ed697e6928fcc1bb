/* SPDX-License-Identifier: MIT */
/* DPDK's rte_ring in plain shared memory, items by value, without its environment. */
#include <rte_ring.h>
#include <rte_ring_elem.h>

#include "loops.h"

#define ONE(bytes)                                                                                 \
	LOOPS(single##bytes, struct item##bytes, struct rte_ring,                                  \
	      rte_ring_sp_enqueue_elem(q, it, bytes) == 0,                                         \
	      rte_ring_sc_dequeue_elem(q, it, bytes) == 0)
#define MULTI(bytes)                                                                               \
	LOOPS(multi##bytes, struct item##bytes, struct rte_ring,                                   \
	      rte_ring_mp_enqueue_elem(q, it, bytes) == 0,                                         \
	      rte_ring_mc_dequeue_elem(q, it, bytes) == 0)
ONE(8)
ONE(16)
ONE(64)
ONE(256)
MULTI(8)
MULTI(16)
MULTI(64)
LOOPS_BURST(single8, struct item8, struct rte_ring,
	    rte_ring_sp_enqueue_burst_elem(q, it, 8, n, NULL),
	    rte_ring_sc_dequeue_burst_elem(q, it, 8, n, NULL))
LOOPS_BURST(multi8, struct item8, struct rte_ring,
	    rte_ring_mp_enqueue_burst_elem(q, it, 8, n, NULL),
	    rte_ring_mc_dequeue_burst_elem(q, it, 8, n, NULL))

/* It holds one fewer than it has cells. */
static bool make(struct queue *ret, size_t bytes, uint64_t cap, unsigned flags,
		 const struct loops *loops)
{
	ssize_t size = rte_ring_get_memsize_elem((unsigned)bytes, (unsigned)cap);
	struct rte_ring *r;

	if (size < 0)
		return false;
	r = peer_memory((size_t)size);
	if (rte_ring_init(r, "peer", (unsigned)cap, flags) != 0)
		return false;
	*ret = (struct queue){loops, r};
	return true;
}

static bool make_single(struct queue *ret, size_t bytes, uint64_t cap)
{
	static const struct loops loops[] = {LOOPS_TABLE_BURST(single8), LOOPS_TABLE(single16),
					     LOOPS_TABLE(single64), LOOPS_TABLE(single256)};

	return make(ret, bytes, cap, RING_F_SP_ENQ | RING_F_SC_DEQ, &loops[loops_index(bytes)]);
}

static bool make_multi(struct queue *ret, size_t bytes, uint64_t cap)
{
	static const struct loops loops[] = {LOOPS_TABLE_BURST(multi8), LOOPS_TABLE(multi16),
					     LOOPS_TABLE(multi64)};

	return bytes <= 64 && make(ret, bytes, cap, 0, &loops[loops_index(bytes)]);
}

static void drop(struct queue *q)
{
	peer_memory_end(q->at);
}

const struct peer peer_dpdk_single = {
	.name = "DPDK rte_ring sp/sc", .make = make_single, .drop = drop};
const struct peer peer_dpdk_multi = {
	.name = "DPDK rte_ring mp/mc", .flags = PEER_MANY, .make = make_multi, .drop = drop};
