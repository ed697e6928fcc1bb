/* SPDX-License-Identifier: MIT */
/* For tests of queues that store words by hand: the number of somebody who is dead. */
#ifndef TEST_QUEUE_DEAD_H
#define TEST_QUEUE_DEAD_H

#include "kinds/queue_test.h"

static u32 dead_slot; /* of a process that has died and has not been swept */

static inline void note_slot(struct ipk_queue *q)
{
	/* Through the queue itself: the capacity's worth of nothing is all that is shared. */
	ipk_st(&q->b->spare5[0], own_slot(q), release);
}

/* A participant that is dead: its slot, to be named in words. */
static inline void kill_somebody(struct ipk_queue *q)
{
	die_in(note_slot);
	dead_slot = ipk_ld(&q->b->spare5[0], acquire);
	ipk_st(&q->b->spare5[0], 0u, release);
	assert_int_not_equal(dead_slot, own_slot(q));
}

#endif
