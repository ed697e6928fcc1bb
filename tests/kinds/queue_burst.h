/* SPDX-License-Identifier: MIT */
/* What tests of the queue's bursts share: bursts planted as words. */
#ifndef TEST_QUEUE_BURST_H
#define TEST_QUEUE_BURST_H

#include "kinds/queue_dead.h"

#define CAP 8

static inline u64 burst(u64 lap, enum ipk_queue_state st, u32 n, u32 own)
{
	return word(lap, st, n - 1, own) | QW_BURST;
}

static inline int push_many(struct ipk_queue *q, u64 first, u32 n)
{
	struct iovec v[200];
	u64 val[200];

	for (u32 i = 0; i < n; i++) {
		val[i] = first + i;
		v[i] = (struct iovec){&val[i], 8};
	}
	return ipk_queue_push_many(q, v, n, IPK_NOWAIT);
}

/* Takes n as one call does, and they are first and what comes after it, taken that often before. */
static inline void expect_many(struct ipk_queue *q, u64 first, int n, u32 redelivered)
{
	struct ipk_queue_item item[200];
	u64 val[200];

	assert_int_equal(ipk_queue_pop_many(q, val, sizeof(val), item, (unsigned)n, IPK_NOWAIT), n);
	for (int i = 0; i < n; i++) {
		assert_int_equal(val[i], first + (u64)i);
		assert_ptr_equal(item[i].data, &val[i]);
		assert_int_equal(item[i].len, 8);
		assert_int_equal(item[i].redelivered, redelivered);
	}
}

/* Brings the queue of CAP to position at, empty. */
static inline struct ipk_queue *queue_at(u64 at)
{
	struct ipk_queue *q = make_queue("u64", CAP);

	for (u64 i = 0; i < at; i++) {
		assert_int_equal(push_u64(q, i), 0);
		assert_int_equal(pop_u64(q), i);
	}
	return q;
}

/*
 * A burst of n as its owner leaves it: position at in lap 1, the last k of its members being other.
 */
static inline void plant(struct ipk_queue *q, u64 at, u64 head, u32 n, u64 member, u32 k, u64 other)
{
	for (u32 i = 1; i < n; i++) {
		memcpy(q_slot(q, at + i)->fixed, &(u64){100 + i}, 8);
		set_word(q, at + i, i >= n - k ? other : member);
	}
	memcpy(q_slot(q, at)->fixed, &(u64){100}, 8);
	set_word(q, at, head);
}

/* Empty, and the room of a capacity once T has gone around. */
static inline void expect_as_new(struct ipk_queue *q)
{
	assert_int_equal(ipk_queue_recover(&q->obj), 0);
	assert_int_equal(ipk_queue_count(q, NULL), 0);
	assert_int_equal(pop_u64(q), -EAGAIN);
	for (u64 i = 0; i < CAP; i++)
		assert_int_equal(push_u64(q, i), 0);
	assert_int_equal(push_u64(q, 0), -EAGAIN);
	for (u64 i = 0; i < CAP; i++)
		assert_int_equal(pop_u64(q), i);
	for (u64 i = 0; i < CAP; i++)
		assert_int_equal(qw_own(slot_word(q, i)), 0);
}

#endif
