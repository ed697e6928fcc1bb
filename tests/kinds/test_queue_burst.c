/* SPDX-License-Identifier: MIT */
/*
 * Bursts: deaths at every step of one, by words as they are then, and who meets it. The words and
 * the reasons: core/kinds/queue.h, BURSTS.
 */
#include "kinds/queue_burst.h"

static void old_hints(struct ipk_queue *q, bool old)
{
	ipk_st(&q->b->tail, old ? 0 : ipk_queue_tail(q), release);
	if (old)
		ipk_st(&q->b->head, UINT64_C(0), release);
}

/* ---- deaths ---------------------------------------------------------------------------------- */

/*
 * For every place, length, progress, and with hints of long ago: act() finds the burst of a dead
 * owner.
 */
static void each(void (*act)(struct ipk_queue *q, u64 at, u32 n, u32 k))
{
	for (u64 at = 0; at < CAP - 1; at++)
		for (u32 n = 2; n <= CAP - at; n++)
			for (u32 k = 0; k < n; k++)
				for (int old = 0; old < 2; old++) {
					struct ipk_queue *q = queue_at(CAP + at);

					kill_somebody(q);
					ipk_st(&q->b->redelivered, UINT64_C(0), relaxed);
					act(q, at, n, k);
					old_hints(q, old);
					assert_sound();
					drop_queue(q);
				}
}

static void killed_while_writing(struct ipk_queue *q, u64 at, u32 n, u32 k)
{
	plant(q, at, burst(1, IPK_QUEUE_WR, n, dead_slot), n, word(1, IPK_QUEUE_FREE, 0, 0), k,
	      word(1, IPK_QUEUE_FULL, 0, 0));
	assert_sound();
	assert_int_equal(ipk_queue_count(q, NULL), 0);
	assert_int_equal(push_u64(q, 7), 0); /* behind it */
	assert_int_equal(ipk_queue_count(q, NULL), 1);
	assert_int_equal(pop_u64(q), 7);
	assert_int_equal(ipk_ld(&q->b->skipped, relaxed), n);
	expect_as_new(q);
}

static void a_burst_of_a_killed_producer_is_not_there(void **state)
{
	(void)state;
	each(killed_while_writing);
}

/* Its positions were made void by a mender, which died. */
static void mended_while_writing(struct ipk_queue *q, u64 at, u32 n, u32 k)
{
	plant(q, at, burst(1, IPK_QUEUE_FREE, n, dead_slot), n,
	      word(1, n % 2 ? IPK_QUEUE_FULL : IPK_QUEUE_FREE, 0, 0), k,
	      word(2, IPK_QUEUE_FREE, 0, 0));
	assert_sound();
	assert_int_equal(ipk_queue_count(q, NULL), 0);
	assert_int_equal(push_u64(q, 7), 0);
	assert_int_equal(pop_u64(q), 7);
	expect_as_new(q);
}

static void what_was_decided_is_finished_by_the_next(void **state)
{
	(void)state;
	each(mended_while_writing);
}

static void killed_while_copying(struct ipk_queue *q, u64 at, u32 n, u32 k)
{
	u64 leased;

	(void)k;
	plant(q, at, burst(1, IPK_QUEUE_TAKEN, n, dead_slot), n, word(1, IPK_QUEUE_FULL, 0, 0), 0,
	      0);
	assert_sound();
	assert_int_equal(ipk_queue_count(q, &leased), n);
	assert_int_equal(leased, n);
	if (at + n < CAP)
		assert_int_equal(push_u64(q, 100 + n), 0);
	assert_int_equal(ipk_queue_recover(&q->obj), 0);
	assert_int_equal(ipk_ld(&q->b->redelivered, relaxed), n);
	for (u32 i = 0; i < n; i++)
		expect_many(q, 100 + i, 1, 1);
	if (at + n < CAP)
		assert_int_equal(pop_u64(q), 100 + n);
	expect_as_new(q);
}

static void a_burst_of_a_killed_consumer_comes_again(void **state)
{
	(void)state;
	each(killed_while_copying);
}

/* By a mender, which died; a consumer may have got some already. */
static void returned_in_part(struct ipk_queue *q, u64 at, u32 n, u32 k)
{
	plant(q, at, burst(1, IPK_QUEUE_FULL, n, dead_slot), n, word(1, IPK_QUEUE_FULL, 0, 0), k,
	      word(1, IPK_QUEUE_FULL, 1, 0));
	assert_sound();
	assert_int_equal(ipk_queue_count(q, NULL), n);
	if (k) {
		ipk_queue_pend(q);
		expect_many(q, 100 + n - k, 1, 1);
		assert_sound();
	}
	assert_int_equal(ipk_queue_recover(&q->obj), 0);
	for (u32 i = 0; i < n; i++)
		if (!k || i != n - k)
			expect_many(q, 100 + i, 1, 1);
	expect_as_new(q);
}

static void what_was_to_come_again_comes_again(void **state)
{
	(void)state;
	each(returned_in_part);
}

static void killed_while_freeing(struct ipk_queue *q, u64 at, u32 n, u32 k)
{
	plant(q, at, burst(1, IPK_QUEUE_FREE, n, dead_slot), n, word(1, IPK_QUEUE_FULL, 0, 0), k,
	      word(2, IPK_QUEUE_FREE, 0, 0));
	ipk_st(&q->b->tail, at + n < CAP ? CAP + at + n : 2 * CAP, release);
	ipk_st(&q->b->head, at + n < CAP ? CAP + at + n : 2 * CAP, release);
	assert_sound();
	assert_int_equal(ipk_queue_count(q, NULL), 0);
	assert_int_equal(push_u64(q, 7), 0);
	assert_int_equal(pop_u64(q), 7);
	assert_int_equal(pop_u64(q), -EAGAIN);
	expect_as_new(q);
}

static void an_acknowledged_burst_never_comes_back(void **state)
{
	(void)state;
	each(killed_while_freeing);
}

/* ---- menders that stop ----------------------------------------------------------------------- */

/*
 * It saw a producer die and stops before it does anything about it; but the burst had been
 * published.
 */
static void a_late_mender_takes_nothing_that_was_published(void **state)
{
	struct ipk_queue *q = queue_at(0);
	u64 seen;

	(void)state;
	kill_somebody(q);
	seen = burst(0, IPK_QUEUE_WR, 3, dead_slot);
	assert_int_equal(push_many(q, 5, 3), 3);
	ipk_queue_mend(q, q_slot(q, 0), seen);
	expect_many(q, 5, 3, 0);
	drop_queue(q);
}

static void a_late_mender_returns_nothing_that_was_acknowledged(void **state)
{
	struct ipk_queue *q = queue_at(0);
	u64 seen;

	(void)state;
	kill_somebody(q);
	seen = burst(0, IPK_QUEUE_TAKEN, 3, dead_slot);
	plant(q, 0, burst(0, IPK_QUEUE_FREE, 3, dead_slot), 3, word(0, IPK_QUEUE_FULL, 0, 0), 0, 0);
	ipk_queue_mend(q, q_slot(q, 0), seen);
	assert_int_equal(slot_word(q, 1), word(0, IPK_QUEUE_FULL, 0, 0));
	assert_int_equal(slot_word(q, 2), word(0, IPK_QUEUE_FULL, 0, 0));
	assert_int_equal(ipk_queue_recover(&q->obj), 0);
	assert_int_equal(pop_u64(q), -EAGAIN);
	assert_sound();
	drop_queue(q);
}

/* The first compare-exchange was its own; the next one it tries when all is long over. */
static void a_mender_that_was_overtaken_changes_nothing(void **state)
{
	static const enum ipk_queue_state st[] = {IPK_QUEUE_FREE, IPK_QUEUE_FULL};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct ipk_queue *q = queue_at(0);
		u64 seen, after[3];

		kill_somebody(q);
		seen = burst(0, st[i], 3, dead_slot);
		plant(q, 0, seen, 3, word(0, IPK_QUEUE_FULL, 0, 0), 0, 0);
		assert_int_equal(ipk_queue_recover(&q->obj), 0);
		if (i == 0) {
			assert_int_equal(push_many(q, 1, CAP), CAP); /* the last three of lap 1 */
		} else {
			expect_many(q, 100, 1, 1);
		}
		for (u64 k = 0; k < 3; k++)
			after[k] = slot_word(q, k);
		ipk_queue_mend(q, q_slot(q, 0), seen);
		for (u64 k = 0; k < 3; k++)
			assert_int_equal(slot_word(q, k), after[k]);
		drop_queue(q);
	}
}

/* ---- who meets it ---------------------------------------------------------------------------- */

/* The claim of a burst gives out all of its positions: nobody may claim a member. */
static void nobody_is_given_a_position_within_a_burst(void **state)
{
	(void)state;
	for (u32 before = 0; before < 4; before++)
		for (u32 n = 2; n + before < CAP; n++)
			for (u32 k = 0; k < n; k++)
				for (u64 hint = 0; hint <= before; hint++) {
					struct ipk_queue *q = queue_at(0);

					for (u32 i = 0; i < before; i++)
						assert_int_equal(push_u64(q, i), 0);
					plant(q, before, burst(0, IPK_QUEUE_WR, n, own_slot(q)), n,
					      word(0, IPK_QUEUE_FREE, 0, 0), k,
					      word(0, IPK_QUEUE_FULL, 0, 0));
					ipk_st(&q->b->tail, hint, release);
					assert_int_equal(ipk_queue_tail(q), before + n);
					assert_int_equal(push_u64(q, 7), 0);
					assert_int_equal(slot_word(q, before + n),
							 word(0, IPK_QUEUE_FULL, 0, 0));
					assert_sound();
					/* Consumers wait at its head. */
					for (u32 i = 0; i < before; i++)
						assert_int_equal(pop_u64(q), i);
					assert_int_equal(pop_u64(q), -EAGAIN);
					assert_int_equal(ipk_queue_count(q, NULL), 1);
					drop_queue(q);
				}
}

/* While it is taken the others go on behind it, and a producer that has gone around waits. */
static void what_is_taken_is_passed(void **state)
{
	static const enum ipk_queue_state st[] = {IPK_QUEUE_TAKEN, IPK_QUEUE_FREE};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct ipk_queue *q = queue_at(0);
		struct ipk_queue_item item;
		u64 val;

		assert_int_equal(push_many(q, 100, 5), 5);
		set_word(q, 1, burst(0, st[i], 3, own_slot(q)));
		assert_sound();
		assert_int_equal(pop_u64(q), 100);
		assert_int_equal(ipk_queue_peek(q, &val, 8, &item), 0);
		assert_int_equal(val, 104);
		assert_int_equal(pop_u64(q), 104);
		assert_int_equal(pop_u64(q), -EAGAIN);
		assert_int_equal(push_many(q, 200, CAP), 4); /* the last three, and the first */
		assert_int_equal(push_u64(q, 0), -EAGAIN);
		ipk_st(&q->b->head, UINT64_C(0), release);
		expect_many(q, 200, 4, 0);
		assert_int_equal(pop_u64(q), -EAGAIN);
		assert_int_equal(ipk_queue_peek(q, &val, 8, &item), -EAGAIN);
		drop_queue(q);
	}
}

static void the_end_waits_for_a_burst(void **state)
{
	struct ipk_queue *q = queue_at(0);
	u64 val;

	(void)state;
	plant(q, 0, burst(0, IPK_QUEUE_WR, 3, own_slot(q)), 3, word(0, IPK_QUEUE_FREE, 0, 0), 1,
	      word(0, IPK_QUEUE_FULL, 0, 0));
	assert_int_equal(ipk_queue_shutdown(q), 0);
	assert_int_equal(pop_u64(q), -EAGAIN);
	set_word(q, 1, word(0, IPK_QUEUE_FULL, 0, 0));
	set_word(q, 0, word(0, IPK_QUEUE_FULL, 0, 0));
	set_word(q, 0, burst(0, IPK_QUEUE_TAKEN, 3, own_slot(q)));
	assert_int_equal(pop_u64(q), -EAGAIN); /* it may come again */
	assert_int_equal(push_u64(q, 1), -EPIPE);
	set_word(q, 0, burst(0, IPK_QUEUE_FREE, 3, own_slot(q)));
	assert_int_equal(pop_u64(q), -EPIPE);
	assert_int_equal(ipk_queue_peek(q, &val, 8, NULL), -EPIPE);
	assert_sound();
	drop_queue(q);
}

/*
 * A mender has decided that a burst is void and goes no further: what lies behind it still counts.
 */
static void the_end_waits_for_what_lies_behind_a_void_burst(void **state)
{
	struct ipk_queue *q = queue_at(0);
	struct ipk_queue_lease lease;

	(void)state;
	plant(q, 0, burst(0, IPK_QUEUE_FREE, 3, own_slot(q)), 3, 0, 0, 0);
	ipk_st(&q->b->tail, UINT64_C(3), release);
	assert_int_equal(push_u64(q, 7), 0);
	assert_int_equal(ipk_queue_lease(q, &lease, IPK_NOWAIT), 0);
	assert_int_equal(ipk_queue_shutdown(q), 0);
	assert_int_equal(pop_u64(q), -EAGAIN);
	assert_int_equal(ipk_queue_ack(q, &lease), 0);
	assert_int_equal(pop_u64(q), -EPIPE);
	drop_queue(q);
}

/* What was given back comes first and by itself; behind it a burst. */
static void given_back_items_end_a_burst(void **state)
{
	struct ipk_queue *q = queue_at(0);
	struct ipk_queue_lease lease;

	(void)state;
	assert_int_equal(push_many(q, 0, 6), 6);
	assert_int_equal(ipk_queue_lease(q, &lease, IPK_NOWAIT), 0);
	assert_int_equal(ipk_queue_nack(q, &lease), 0);
	expect_many(q, 0, 1, 1);
	expect_many(q, 1, 5, 0);
	drop_queue(q);
}

#define T(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_burst_of_a_killed_producer_is_not_there),
		T(what_was_decided_is_finished_by_the_next),
		T(a_burst_of_a_killed_consumer_comes_again),
		T(what_was_to_come_again_comes_again),
		T(an_acknowledged_burst_never_comes_back),
		T(a_late_mender_takes_nothing_that_was_published),
		T(a_late_mender_returns_nothing_that_was_acknowledged),
		T(a_mender_that_was_overtaken_changes_nothing),
		T(nobody_is_given_a_position_within_a_burst),
		T(what_is_taken_is_passed),
		T(the_end_waits_for_a_burst),
		T(the_end_waits_for_what_lies_behind_a_void_burst),
		T(given_back_items_end_a_burst),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
