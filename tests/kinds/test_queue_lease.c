/* SPDX-License-Identifier: MIT */
/* Queues: what is leased, given back, inherited, handed on. */
#include "kinds/queue_test.h"

/* ---- leases ---------------------------------------------------------------------------------- */

static void a_leased_item_is_gone_when_acknowledged(void **state)
{
	struct ipk_queue *q = make_queue("u64", 2);
	struct ipk_queue_lease lease, again;
	u64 held;

	(void)state;
	assert_int_equal(push_u64(q, 7), 0);
	assert_int_equal(ipk_queue_lease(q, &lease, IPK_NOWAIT), 0);
	assert_int_equal(*(const u64 *)lease.data, 7);
	assert_int_equal(lease.len, 8);
	assert_int_equal(lease.pos, 0);
	assert_int_equal(ipk_queue_count(q, &held), 1);
	assert_int_equal(held, 1);
	assert_int_equal(pop_u64(q), -EAGAIN);
	again = lease;
	assert_int_equal(ipk_queue_ack(q, &lease), 0);
	assert_int_equal(ipk_queue_ack(q, &lease), -EINVAL);
	assert_int_equal(ipk_queue_ack(q, &again), -EINVAL);
	assert_int_equal(ipk_queue_nack(q, &again), -EINVAL);
	assert_int_equal(ipk_queue_count(q, NULL), 0);
	assert_sound();
	drop_queue(q);
}

static void what_is_given_back_comes_first_and_is_marked(void **state)
{
	struct ipk_queue *q = make_queue("u64", 8);
	struct ipk_queue_lease lease[3];
	struct ipk_queue_item item;
	u64 val;

	(void)state;
	for (u64 i = 0; i < 6; i++)
		assert_int_equal(push_u64(q, i), 0);
	assert_int_equal(ipk_queue_lease_many(q, lease, 3, IPK_NOWAIT), 3);
	assert_int_equal(ipk_queue_nack(q, &lease[2]), 0);
	assert_int_equal(ipk_queue_nack(q, &lease[0]), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ipk_queue_pop(q, &val, 8, &item, IPK_NOWAIT), 0);
		assert_int_equal(val, 2 * i);
		assert_int_equal(item.pos, 2 * i);
		assert_int_equal(item.redelivered, 1);
	}
	assert_int_equal(ipk_queue_pop(q, &val, 8, &item, IPK_NOWAIT), 0);
	assert_int_equal(val, 3);
	assert_int_equal(item.redelivered, 0);
	assert_int_equal(ipk_queue_ack(q, &lease[1]), 0);
	assert_int_equal(pop_u64(q), 4);
	assert_int_equal(pop_u64(q), 5);
	assert_int_equal(pop_u64(q), -EAGAIN);
	drop_queue(q);
}

static void an_item_may_come_back_any_number_of_times(void **state)
{
	struct ipk_queue *q = make_queue("u64", 4);
	struct ipk_queue_lease lease;

	(void)state;
	assert_int_equal(push_u64(q, 1), 0);
	for (u32 i = 0; i < 200; i++) {
		assert_int_equal(ipk_queue_lease(q, &lease, IPK_NOWAIT), 0);
		if (i <= 32)
			assert_int_equal(lease.redelivered, i);
		else
			assert_in_range(lease.redelivered, 32, 63);
		assert_int_equal(ipk_queue_nack(q, &lease), 0);
	}
	assert_sound();
	assert_int_equal(pop_u64(q), 1);
	drop_queue(q);
}

static void *lease_in_thread(void *arg)
{
	struct ipk_queue_lease *lease = arg;

	return (void *)(intptr_t)ipk_queue_lease(lease->holder_, lease, IPK_NOWAIT);
}

/* Trace B10: the lease belongs to the process and outlives its thread. */
static void a_lease_handed_to_another_thread_stays(void **state)
{
	struct ipk_queue *q = make_queue("u64", 4);
	struct ipk_queue_lease lease = {.holder_ = q};
	pthread_t thread;
	void *ret;

	(void)state;
	assert_int_equal(push_u64(q, 1), 0);
	assert_int_equal(pthread_create(&thread, NULL, lease_in_thread, &lease), 0);
	assert_int_equal(pthread_join(thread, &ret), 0);
	assert_null(ret);
	ipk_segment_sweep(q->obj.seg);
	assert_int_equal(pop_u64(q), -EAGAIN);
	assert_int_equal(*(const u64 *)lease.data, 1);
	assert_int_equal(ipk_queue_ack(q, &lease), 0);
	assert_int_equal(ipk_queue_count(q, NULL), 0);
	drop_queue(q);
}

static void a_child_does_not_inherit_a_lease(void **state)
{
	struct ipk_queue *q = make_queue("u64", 4);
	struct ipk_queue_lease lease;
	pid_t pid;

	(void)state;
	assert_int_equal(push_u64(q, 1), 0);
	assert_int_equal(ipk_queue_lease(q, &lease, IPK_NOWAIT), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(ipk_queue_ack(q, &lease) == -EINVAL && push_u64(q, 2) == 0 ? 0 : 1);
	assert_ended_well(join_child(pid));
	assert_int_equal(ipk_queue_ack(q, &lease), 0);
	assert_int_equal(pop_u64(q), 2);
	drop_queue(q);
}

/* Trace B3: the others flow for many laps, in every capacity and from every offset. */
static void a_long_lease_does_not_hold_up_the_others(void **state)
{
	static const u64 caps[] = {2, 3, 4, 7, 64};

	(void)state;
	for (unsigned c = 0; c < IPK_ARRAY_LEN(caps); c++) {
		for (u64 laps = 9 * caps[c]; laps < 10 * caps[c]; laps++) {
			struct ipk_queue *q = make_queue("u64", caps[c]);
			struct ipk_queue_lease lease;
			u64 val = 0, n;

			assert_int_equal(push_u64(q, 1000000), 0);
			assert_int_equal(ipk_queue_lease(q, &lease, IPK_NOWAIT), 0);
			for (u64 i = 0; i < laps; i++) {
				assert_int_equal(push_u64(q, i), 0);
				assert_int_equal(pop_u64(q), i);
			}
			/* Full means: capacity reached, the leased one included. */
			for (n = 1; n < caps[c]; n++)
				assert_int_equal(push_u64(q, n), 0);
			assert_int_equal(push_u64(q, 0), -EAGAIN);
			assert_sound();
			if (laps % 2) {
				assert_int_equal(ipk_queue_ack(q, &lease), 0);
			} else {
				assert_int_equal(ipk_queue_nack(q, &lease), 0);
				assert_int_equal(ipk_queue_lease(q, &lease, IPK_NOWAIT), 0);
				assert_int_equal(lease.redelivered, 1);
				assert_int_equal(*(const u64 *)lease.data, 1000000);
				assert_int_equal(ipk_queue_ack(q, &lease), 0);
			}
			/* Its place is free when the queue has come around to it. */
			for (u64 i = 1; i < n; i++) {
				assert_int_equal(pop_u64(q), i);
				if (i % 2 == 0)
					assert_int_equal(push_u64(q, n++), 0);
			}
			assert_int_equal(pop_u64(q), -EAGAIN);
			for (u64 i = 0; i < caps[c]; i++)
				assert_int_equal(push_u64(q, i), 0);
			assert_int_equal(ipk_queue_pop(q, &val, 8, NULL, IPK_NOWAIT), 0);
			assert_sound();
			drop_queue(q);
		}
	}
}

static void all_items_may_be_leased(void **state)
{
	struct ipk_queue *q = make_queue("u64", 5);
	struct ipk_queue_lease lease[5];

	(void)state;
	for (int round = 0; round < 4; round++) {
		for (u64 i = 0; i < 5; i++)
			assert_int_equal(push_u64(q, i), 0);
		assert_int_equal(ipk_queue_lease_many(q, lease, 5, IPK_NOWAIT), 5);
		assert_int_equal(push_u64(q, 9), -EAGAIN);
		assert_int_equal(ipk_queue_ack(q, &lease[3]), 0);
		assert_int_equal(push_u64(q, 9), 0);
		assert_int_equal(push_u64(q, 9), -EAGAIN);
		assert_int_equal(pop_u64(q), 9);
		assert_int_equal(ipk_queue_nack(q, &lease[1]), 0);
		assert_int_equal(push_u64(q, 10), 0);
		assert_int_equal(push_u64(q, 10), -EAGAIN);
		assert_int_equal(pop_u64(q), 1);
		assert_int_equal(pop_u64(q), 10);
		assert_int_equal(ipk_queue_ack_many(q, &lease[4], 1), 1);
		assert_int_equal(ipk_queue_ack(q, &lease[0]), 0);
		assert_int_equal(ipk_queue_ack(q, &lease[2]), 0);
		assert_int_equal(ipk_queue_count(q, NULL), 0);
		assert_sound();
	}
	drop_queue(q);
}

static void lease_and_die(struct ipk_queue *q)
{
	struct ipk_queue_lease lease;

	if (ipk_queue_lease(q, &lease, IPK_NOWAIT) == 0)
		raise(SIGKILL);
}

/* Nobody sleeps, attaches or leaves meanwhile: there is no other who would look for the dead. */
static void who_only_polls_gets_what_a_dead_one_had_leased(void **state)
{
	static const char *const types[] = {"u64", "str"};

	(void)state;
	for (u32 i = 0; i < 2; i++) {
		struct ipk_queue *q = make_queue(types[i], 4);
		char buf[8];
		int r;

		assert_int_equal(ipk_queue_push(q, "abcdefgh", 8, IPK_NOWAIT), 0);
		assert_int_equal(ipk_queue_pop(q, buf, 8, NULL, IPK_NOWAIT), 0);
		assert_int_equal(ipk_queue_push(q, "abcdefgh", 8, IPK_NOWAIT), 0);
		die_in(lease_and_die);
		do
			r = ipk_queue_pop(q, buf, 8, NULL, IPK_NOWAIT);
		while (r == -EAGAIN);
		assert_int_equal(r, 0);
		assert_memory_equal(buf, "abcdefgh", 8);
		drop_queue(q);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_leased_item_is_gone_when_acknowledged),
		T(what_is_given_back_comes_first_and_is_marked),
		T(an_item_may_come_back_any_number_of_times),
		TRACE(B10, a_lease_handed_to_another_thread_stays),
		T(a_child_does_not_inherit_a_lease),
		TRACE(B3, a_long_lease_does_not_hold_up_the_others),
		T(all_items_may_be_leased),
		T(who_only_polls_gets_what_a_dead_one_had_leased),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
