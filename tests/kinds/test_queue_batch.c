/* SPDX-License-Identifier: MIT */
/* Traces that broke earlier designs of the queue: batches (B8), and who mends what (B7). */
#include "kinds/queue_test.h"

/* Three values into room for two: what was counted was acknowledged, though the pusher dies at
 * once. */
static void push_three_into_two(struct ipk_queue *q)
{
	u64 val[3] = {1, 2, 3};
	struct iovec v[3] = {{&val[0], 8}, {&val[1], 8}, {&val[2], 8}};

	must(ipk_queue_push_many(q, v, 3, IPK_NOWAIT) == 2);
}

/* Two of three are acknowledged. */
static void acknowledge_two_of_three(struct ipk_queue *q)
{
	struct ipk_queue_lease lease[3];

	must(ipk_queue_lease_many(q, lease, 3, IPK_NOWAIT) == 3);
	must(ipk_queue_ack_many(q, lease, 2) == 2);
}

static void what_a_batch_has_counted_outlives_its_maker(void **state)
{
	struct ipk_queue *q = make_queue("u64", 2);

	(void)state;
	die_in(push_three_into_two);
	assert_int_equal(pop_u64(q), 1);
	assert_int_equal(pop_u64(q), 2);
	assert_int_equal(pop_u64(q), -EAGAIN);
	assert_sound();
	drop_queue(q);
}

static void what_a_batch_has_acknowledged_never_comes_back(void **state)
{
	struct ipk_queue *q = make_queue("u64", 4);
	struct ipk_queue_item item;
	u64 val;

	(void)state;
	for (u64 i = 1; i <= 4; i++)
		assert_int_equal(push_u64(q, i), 0);
	die_in(acknowledge_two_of_three);
	assert_true(ipk_segment_sweep(q->obj.seg) >= 1);
	assert_int_equal(ipk_queue_pop(q, &val, 8, &item, IPK_NOWAIT), 0);
	assert_int_equal(val, 3);
	assert_int_equal(item.redelivered, 1);
	assert_int_equal(pop_u64(q), 4);
	assert_int_equal(pop_u64(q), -EAGAIN);
	assert_sound();
	drop_queue(q);
}

static void lease_one(struct ipk_queue *q)
{
	struct ipk_queue_lease lease;

	must(ipk_queue_lease(q, &lease, IPK_NOWAIT) == 0);
}

/* B7: a sweeper that inherits what it mends can die with it; here it makes it nobody's. */
static void what_is_mended_belongs_to_nobody(void **state)
{
	struct ipk_queue *q = make_queue("u64", 4);

	(void)state;
	for (u64 i = 0; i < 3; i++)
		assert_int_equal(push_u64(q, i), 0);
	die_in(lease_one);
	die_in(lease_one);
	assert_true(ipk_segment_sweep(q->obj.seg) >= 1);
	for (u64 i = 0; i < 3; i++)
		assert_int_equal(qw_own(slot_word(q, i)), 0);
	for (u64 i = 0; i < 3; i++)
		assert_int_equal(pop_u64(q), i);
	drop_queue(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TRACE(B7, what_is_mended_belongs_to_nobody),
		TRACE(B8, what_a_batch_has_counted_outlives_its_maker),
		TRACE(B8, what_a_batch_has_acknowledged_never_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
