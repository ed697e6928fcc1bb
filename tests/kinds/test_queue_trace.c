/* SPDX-License-Identifier: MIT */
/*
 * Traces that broke earlier designs of the queue, each forced by hand: words and hints are stored
 * as a process leaves them that was stopped or killed at the worst instant.
 */
#include "kinds/queue_dead.h"

static void take_and_die(struct ipk_queue *q)
{
	struct ipk_queue_lease lease;

	must(ipk_queue_lease(q, &lease, IPK_NOWAIT) == 0);
}

/* B1: the item goes back to where head has passed: it must be found, and pushes must go on. */
static void an_item_given_back_behind_head_is_found(void **state)
{
	struct ipk_queue *q = make_queue("u64", 2);

	(void)state;
	assert_int_equal(push_u64(q, 1), 0);
	die_in(take_and_die);
	assert_int_equal(ipk_ld(&q->b->head, acquire), 1);
	ipk_segment_sweep(q->obj.seg);
	assert_int_equal(slot_word(q, 0), word(0, IPK_QUEUE_FULL, 1, 0));
	assert_int_equal(pop_u64(q), 1);
	assert_int_equal(push_u64(q, 2), 0);
	assert_int_equal(push_u64(q, 3), 0);
	assert_int_equal(pop_u64(q), 2);
	assert_int_equal(pop_u64(q), 3);
	assert_sound();
	drop_queue(q);
}

/* B1b: a consumer that was stopped before it stored its head hint stores it now. */
static void a_late_head_hint_loses_nothing(void **state)
{
	struct ipk_queue *q = make_queue("u64", 2);
	struct ipk_queue_lease lease;

	(void)state;
	assert_int_equal(push_u64(q, 1), 0);
	die_in(take_and_die);
	assert_int_equal(push_u64(q, 2), 0);
	assert_int_equal(ipk_queue_lease(q, &lease, IPK_NOWAIT), 0);
	ipk_segment_sweep(q->obj.seg);
	ipk_st(&q->b->head, UINT64_C(2), release);
	assert_int_equal(pop_u64(q), 1);
	assert_int_equal(ipk_queue_ack(q, &lease), 0);
	assert_int_equal(push_u64(q, 3), 0);
	assert_int_equal(pop_u64(q), 3);
	drop_queue(q);
}

/* B2: a sweeper stopped before its compare-exchange; the same slot number takes the item again. */
static void a_late_sweeper_robs_nobody(void **state)
{
	struct ipk_queue *q = make_queue("u64", 4);
	u64 seen, again;

	(void)state;
	kill_somebody(q);
	assert_int_equal(push_u64(q, 1), 0);
	seen = word(0, IPK_QUEUE_TAKEN, 0, dead_slot);
	set_word(q, 0, seen);
	assert_int_equal(ipk_queue_recover(&q->obj), 0);
	assert_int_equal(slot_word(q, 0), word(0, IPK_QUEUE_FULL, 1, 0));
	again = word(0, IPK_QUEUE_TAKEN, 1, dead_slot);
	set_word(q, 0, again);
	assert_false(ipk_cas(&q_slot(q, 0)->w, &seen, ipk_queue_given_back(seen), acq_rel));
	assert_int_equal(slot_word(q, 0), again);
	drop_queue(q);
}

/* The same when the count of redeliveries has come to its end: it goes on changing. */
static void the_count_never_stands_still(void **state)
{
	u64 w = word(7, IPK_QUEUE_TAKEN, 0, 9);

	(void)state;
	for (int i = 0; i < 300; i++) {
		u64 back = ipk_queue_given_back(w),
		    next = qw_lap(back) | (back & QW_RDC) | QW_ST(IPK_QUEUE_TAKEN) | 9;

		assert_true(qw_back(back));
		assert_true(ipk_queue_legal(back) && ipk_queue_legal(next));
		assert_int_not_equal(next, w);
		w = next;
	}
}

/* B4: the mark of an item stays when it is taken again. */
static void the_mark_outlives_the_next_take(void **state)
{
	struct ipk_queue *q = make_queue("u64", 4);
	struct ipk_queue_item item;
	u64 val;

	(void)state;
	assert_int_equal(push_u64(q, 1), 0);
	die_in(take_and_die);
	ipk_segment_sweep(q->obj.seg);
	die_in(take_and_die);
	ipk_segment_sweep(q->obj.seg);
	assert_int_equal(ipk_queue_pop(q, &val, 8, &item, IPK_NOWAIT), 0);
	assert_int_equal(item.redelivered, 2);
	drop_queue(q);
}

/* B5: a producer saw the queue open and stopped; it is shut and a consumer has seen the end. */
static void what_is_claimed_after_the_end_is_refused(void **state)
{
	struct ipk_queue *q = make_queue("u64", 4);
	u64 w = 0;

	(void)state;
	assert_int_equal(ipk_queue_shutdown(q), 0);
	assert_int_equal(pop_u64(q), -EPIPE);
	assert_false(ipk_cas(&q_slot(q, 0)->w, &w, word(0, IPK_QUEUE_WR, 0, own_slot(q)), seq_cst));
	ipk_st(&q->b->shut, 0u, release); /* as it saw it */
	assert_int_equal(push_u64(q, 1), -EPIPE);
	drop_queue(q);
}

/* B5, the other way: it claimed first. Then the end has to wait for it. */
static void what_is_claimed_before_the_end_is_delivered(void **state)
{
	struct ipk_queue *q = make_queue("u64", 4);
	u64 w = 0;

	(void)state;
	assert_true(ipk_cas(&q_slot(q, 0)->w, &w, word(0, IPK_QUEUE_WR, 0, own_slot(q)), seq_cst));
	assert_int_equal(ipk_queue_shutdown(q), 0);
	assert_int_equal(pop_u64(q), -EAGAIN);
	memcpy(q_slot(q, 0)->fixed, &(u64){42}, 8);
	set_word(q, 0, word(0, IPK_QUEUE_FULL, 0, 0));
	assert_int_equal(pop_u64(q), 42);
	assert_int_equal(pop_u64(q), -EPIPE);
	drop_queue(q);
}

/* B5, the end while an item is leased whose holder then dies. */
static void the_end_waits_for_what_may_come_back(void **state)
{
	struct ipk_queue *q = make_queue("u64", 4);
	struct ipk_queue_lease lease;
	struct ipk_queue_item item;
	u64 val;

	(void)state;
	assert_int_equal(push_u64(q, 1), 0);
	assert_int_equal(ipk_queue_lease(q, &lease, IPK_NOWAIT), 0);
	assert_int_equal(ipk_queue_shutdown(q), 0);
	assert_int_equal(pop_u64(q), -EAGAIN);
	kill_somebody(q);
	set_word(q, 0, word(0, IPK_QUEUE_FULL, 0, dead_slot));
	assert_int_equal(ipk_queue_pop(q, &val, 8, &item, IPK_FOREVER), 0);
	assert_int_equal(item.redelivered, 1);
	assert_int_equal(pop_u64(q), -EPIPE);
	drop_queue(q);
}

/* B6: hints from long ago are made good at once, not by walking through all that came since. */
static void hints_of_long_ago_cost_nothing(void **state)
{
	static const u64 caps[] = {1, 3, 64, 1000};

	(void)state;
	for (unsigned c = 0; c < IPK_ARRAY_LEN(caps); c++) {
		struct ipk_queue *q = make_queue("u64", caps[c]);
		struct ipk_queue_item item;
		u64 lap = UINT64_C(1) << 39, val;

		for (u64 i = 0; i < caps[c]; i++)
			set_word(q, i, word(lap + (i < caps[c] / 2), IPK_QUEUE_FREE, 0, 0));
		assert_int_equal(push_u64(q, 5), 0);
		ipk_st(&q->b->tail, UINT64_C(0), release);
		if (caps[c] > 1)
			assert_int_equal(push_u64(q, 6), 0);
		ipk_st(&q->b->head, UINT64_C(0), release);
		assert_int_equal(ipk_queue_pop(q, &val, 8, &item, IPK_NOWAIT), 0);
		assert_int_equal(val, 5);
		assert_int_equal(item.pos, lap * caps[c] + caps[c] / 2);
		ipk_st(&q->b->head, UINT64_C(0), release);
		assert_int_equal(pop_u64(q), caps[c] > 1 ? 6 : -EAGAIN);
		assert_sound();
		drop_queue(q);
	}
}

/* Laps end after 2^41; nothing notices. */
static void laps_may_wrap(void **state)
{
	static const u64 caps[] = {1, 3, 4};

	(void)state;
	for (unsigned c = 0; c < IPK_ARRAY_LEN(caps); c++) {
		struct ipk_queue *q = make_queue("u64", caps[c]);
		u64 lap = (UINT64_C(1) << 41) - 2, in = 0, out = 0;

		for (u64 i = 0; i < caps[c]; i++)
			set_word(q, i, word(lap, IPK_QUEUE_FREE, 0, 0));
		ipk_st(&q->b->tail, lap << q->g.bits, release);
		ipk_st(&q->b->head, lap << q->g.bits, release);
		for (int n = 0; n < 40; n++) {
			while (in - out < caps[c])
				assert_int_equal(push_u64(q, in++), 0);
			assert_int_equal(push_u64(q, in), -EAGAIN);
			assert_sound();
			assert_int_equal(pop_u64(q), out++);
			if (n % 3 == 0)
				ipk_st(&q->b->head, (lap << q->g.bits) + 1, release);
			if (n % 5 == 0)
				ipk_st(&q->b->tail, lap << q->g.bits, release);
		}
		while (out < in)
			assert_int_equal(pop_u64(q), out++);
		drop_queue(q);
	}
}

/*
 * A dead producer's position was mended before head came there: a consumer with an old hint must
 * not take it for passed together with the items before it.
 */
static void an_empty_position_hides_no_item_from_an_old_hint(void **state)
{
	(void)state;
	for (u64 back = 0; back < 24; back++) {
		struct ipk_queue *q = make_queue("u64", 8);

		kill_somebody(q);
		for (u64 i = 0; i < 20; i++) {
			assert_int_equal(push_u64(q, i), 0);
			assert_int_equal(pop_u64(q), i);
		}
		assert_int_equal(push_u64(q, 20), 0);
		assert_int_equal(push_u64(q, 21), 0);
		set_word(q, 22 % 8, word(22 / 8, IPK_QUEUE_WR, 0, dead_slot));
		assert_int_equal(ipk_queue_recover(&q->obj), 0);
		assert_int_equal(slot_word(q, 22 % 8), word(22 / 8 + 1, IPK_QUEUE_FREE, 0, 0));
		assert_int_equal(push_u64(q, 23), 0);
		if (back > 20)
			ipk_st(&q->b->tail, UINT64_C(44) - back, release);
		ipk_st(&q->b->head, back < 20 ? 20 - back : 0, release);
		assert_int_equal(pop_u64(q), 20);
		ipk_st(&q->b->head, back < 20 ? 20 - back : 0, release);
		assert_int_equal(pop_u64(q), 21);
		ipk_st(&q->b->head, back < 20 ? 20 - back : 0, release);
		assert_int_equal(pop_u64(q), 23);
		assert_int_equal(pop_u64(q), -EAGAIN);
		assert_sound();
		drop_queue(q);
	}
}

/* ---- what the dead leave, one state after the other ------------------------------------------ */

static void a_dead_producers_position_is_passed(void **state)
{
	struct ipk_queue *q = make_queue("u64", 4);

	(void)state;
	kill_somebody(q);
	/* Killed before it stored its hint, in the first and in the last place. */
	set_word(q, 0, word(0, IPK_QUEUE_WR, 0, dead_slot));
	assert_int_equal(pop_u64(q), -EAGAIN);
	for (u64 i = 0; i < 4; i++)
		assert_int_equal(push_u64(q, i), 0);
	assert_int_equal(push_u64(q, 4), -EAGAIN);
	for (u64 i = 0; i < 4; i++)
		assert_int_equal(pop_u64(q), i);
	assert_sound();
	/* A whole queue of them. */
	for (u64 i = 0; i < 4; i++)
		set_word(q, (5 + i) % 4, word((5 + i) / 4, IPK_QUEUE_WR, 0, dead_slot));
	assert_int_equal(push_u64(q, 7), 0);
	assert_int_equal(pop_u64(q), 7);
	assert_sound();
	drop_queue(q);
}

static void a_dead_consumers_item_comes_first(void **state)
{
	static const enum ipk_queue_state states[] = {IPK_QUEUE_TAKEN, IPK_QUEUE_FULL};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct ipk_queue *q = make_queue("u64", 4);
		struct ipk_queue_item item;
		u64 val;

		kill_somebody(q);
		for (u64 n = 0; n < 4; n++)
			assert_int_equal(push_u64(q, n), 0);
		/* Killed before it stored its hint: who comes next meets it and mends it. */
		set_word(q, 0, word(0, states[i], 0, dead_slot));
		assert_int_equal(ipk_queue_pop(q, &val, 8, &item, IPK_NOWAIT), 0);
		assert_int_equal(val, 0);
		assert_int_equal(item.redelivered, 1);
		assert_int_equal(item.pos, 0);
		for (u64 n = 1; n < 4; n++)
			assert_int_equal(pop_u64(q), n);
		assert_sound();
		drop_queue(q);
	}
}

/* Killed between giving an item back and saying so: the sweep says it. */
static void an_item_given_back_in_silence_is_found(void **state)
{
	struct ipk_queue *q = make_queue("u64", 4);

	(void)state;
	for (u64 n = 0; n < 2; n++)
		assert_int_equal(push_u64(q, n), 0);
	assert_int_equal(pop_u64(q), 0);
	assert_int_equal(pop_u64(q), 1);
	/* As if 1 had been given back at this instant. */
	set_word(q, 1, word(0, IPK_QUEUE_FULL, 1, 0));
	assert_int_equal(ipk_ld(&q->b->rd, acquire) & 1, 0);
	assert_int_equal(ipk_queue_recover(&q->obj), 0);
	assert_int_equal(pop_u64(q), 1);
	/* Without a sweep, producers that come around meet it, and so do consumers. */
	for (u64 n = 2; n < 5; n++) {
		assert_int_equal(push_u64(q, n), 0);
		assert_int_equal(pop_u64(q), n);
	}
	set_word(q, 0, word(1, IPK_QUEUE_FULL, 1, 0));
	for (u64 n = 5; n < 8; n++)
		assert_int_equal(push_u64(q, n), 0);
	assert_int_equal(push_u64(q, 8), -EAGAIN);
	for (u64 n = 5; n < 8; n++)
		assert_int_equal(pop_u64(q), n);
	assert_int_equal(pop_u64(q), 4);
	assert_int_equal(pop_u64(q), -EAGAIN);
	drop_queue(q);
}

/*
 * A consumer cleared rd.pend after its look while another item came back: the exact value differs.
 */
static void a_late_clearing_of_pend_hides_nothing(void **state)
{
	struct ipk_queue *q = make_queue("u64", 4);
	struct ipk_queue_lease lease;
	u64 seen;

	(void)state;
	assert_int_equal(push_u64(q, 1), 0);
	ipk_queue_pend(q);
	seen = ipk_ld(&q->b->rd, acquire); /* looked, found none, was stopped */
	assert_int_equal(ipk_queue_lease(q, &lease, IPK_NOWAIT), 0);
	assert_int_equal(ipk_queue_nack(q, &lease), 0);
	assert_false(ipk_cas(&q->b->rd, &seen, seen & ~UINT64_C(1), acq_rel));
	assert_int_equal(pop_u64(q), 1);
	drop_queue(q);
}

/*
 * B9, with buffers: a producer gave its slot another buffer and died between the commit and the
 * store. Its position is passed at once; the slot's next owner must not fill the buffer that the
 * journal is about to take away.
 */
static u64 texts_of(struct ipk_queue *q, u64 i)
{
	return ipk_ld(&q_slot(q, i)->var.buf, acquire);
}

/* Claims slot 0 of lap 1, and commits that it exchanges its buffer with slot 1's. */
static void commit_and_die(struct ipk_queue *q)
{
	struct ipk_header *h = ipk_header(q->obj.seg);
	int error = 0;
	struct ipk_self *me = ipk_use(&q->obj, &error);
	u32 n = 1;
	u64 code;

	must(me && ipk_queue_claim(q, me, &code, &n) == 0 && code == 2);
	must(ipk_lock(me, &h->lock, IPK_FOREVER) == 0);
	for (u64 i = 0; i < 2; i++) {
		h->journal.e[i].off = ipk_off(q->obj.seg, &q_slot(q, i)->var.buf);
		h->journal.e[i].val = texts_of(q, 1 - i);
	}
	ipk_st(&h->journal.n, UINT64_C(2), release);
}

static void a_buffer_still_in_the_journal_is_not_filled(void **state)
{
	static const char *const text[] = {
		"zero, of more than forty bytes so that it lies in a buffer",
		"one, of more than forty bytes so that it lies in a buffer",
		"two, of more than forty bytes so that it lies in a buffer",
		"three, of more than forty bytes so that it lies in a buffer",
	};
	struct ipk_queue *q = make_queue("str", 2);
	struct ipk_queue_item item;
	char buf[100];
	u64 first, second;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(push_text(q, text[i]), 0);
		assert_int_equal(ipk_queue_pop(q, buf, sizeof(buf), NULL, IPK_NOWAIT), 0);
	}
	first = texts_of(q, 0);
	second = texts_of(q, 1);
	die_in(commit_and_die);
	assert_int_equal(texts_of(q, 0), first);
	/* One goes to slot 1, the other to slot 0, both of lap 1 or 2. */
	for (int i = 2; i < 4; i++)
		assert_int_equal(push_text(q, text[i]), 0);
	assert_int_equal(texts_of(q, 0), second);
	assert_int_equal(texts_of(q, 1), first);
	for (int i = 2; i < 4; i++) {
		assert_int_equal(ipk_queue_pop(q, buf, sizeof(buf), &item, IPK_NOWAIT), 0);
		assert_int_equal(item.len, strlen(text[i]));
		assert_memory_equal(buf, text[i], item.len);
	}
	assert_sound();
	drop_queue(q);
}

/* A lease of a dead process is moved up while its sweeper looks: the sweeper has to look again. */
static void a_word_that_moved_up_under_the_sweep_is_mended(void **state)
{
	struct ipk_queue *q = make_queue("u64", 3);
	u64 seen;

	(void)state;
	kill_somebody(q);
	for (u64 i = 0; i < 3; i++)
		assert_int_equal(push_u64(q, i), 0);
	set_word(q, 0, word(0, IPK_QUEUE_FULL, 0, dead_slot));
	seen = slot_word(q, 0);
	set_word(q, 0, seen + QW_LAP); /* the producer was first */
	ipk_queue_mend(q, q_slot(q, 0), seen);
	assert_int_equal(slot_word(q, 0), seen + QW_LAP);
	assert_int_equal(ipk_queue_recover(&q->obj), 0);
	assert_int_equal(slot_word(q, 0), word(1, IPK_QUEUE_FULL, 1, 0));
	drop_queue(q);
}

#define T(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TRACE(B1, an_item_given_back_behind_head_is_found),
		TRACE(B1b, a_late_head_hint_loses_nothing),
		TRACE(B2, a_late_sweeper_robs_nobody),
		TRACE(B2, the_count_never_stands_still),
		TRACE(B4, the_mark_outlives_the_next_take),
		TRACE(B5, what_is_claimed_after_the_end_is_refused),
		TRACE(B5, what_is_claimed_before_the_end_is_delivered),
		TRACE(B5, the_end_waits_for_what_may_come_back),
		TRACE(B6, hints_of_long_ago_cost_nothing),
		T(laps_may_wrap),
		T(an_empty_position_hides_no_item_from_an_old_hint),
		T(a_dead_producers_position_is_passed),
		T(a_dead_consumers_item_comes_first),
		T(an_item_given_back_in_silence_is_found),
		T(a_late_clearing_of_pend_hides_nothing),
		TRACE(B9, a_buffer_still_in_the_journal_is_not_filled),
		T(a_word_that_moved_up_under_the_sweep_is_mended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
