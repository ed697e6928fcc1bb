/* SPDX-License-Identifier: MIT */
/* Rings: who waits, and the end. */
#include "kinds/ring_test.h"

/* ---- waiting --------------------------------------------------------------------------------- */

static void a_deadline_ends_the_wait(void **state)
{
	struct ipk_ring *ring = make_plain("u64", 64);
	i64 start = ipk_now();
	u64 val = 0;

	(void)state;
	assert_int_equal(ipk_ring_pop(ring, &val, 8, NULL, ipk_deadline(3000000)), -ETIMEDOUT);
	for (int i = 0; i < 8; i++)
		assert_int_equal(push_u64(ring, 1), 0);
	assert_int_equal(ipk_ring_push(ring, &val, 8, ipk_deadline(3000000)), -ETIMEDOUT);
	assert_true(ipk_now() - start >= 6000000);
	drop_ring(ring);
}

struct pong {
	struct ipk_ring_options options;
	u32 rounds;
};

/* Reads from "r" what it writes to "back". */
static void echoes(void *arg)
{
	struct pong *p = arg;
	struct ipk_ring *ring = child_ring(), *back;
	u64 val;

	back = open_ring(ring_handle(ring)->obj.seg, "back");
	must(back);
	for (u32 i = 0; i < p->rounds; i++) {
		size_t len;

		must(ipk_ring_pop(ring, &val, sizeof(val), &len, IPK_FOREVER) == 0 && len == 8);
		must(ipk_ring_push(back, &val, sizeof(val), IPK_FOREVER) == 0);
	}
}

static void who_waits_is_woken(void **state)
{
	struct pong p[] = {
		{{.type = "u64", .cap = 64}, 1000},
		{{.type = "bytes", .cap = 64}, 1000},
		{{.type = "bytes", .cap = 64, .many = true, .checksum = true}, 500},
	};

	(void)state;
	for (u32 k = 0; k < IPK_ARRAY_LEN(p); k++) {
		struct ipk_ring *ring = make_ring(&p[k].options), *back;
		struct ipk_segment *seg = ring_handle(ring)->obj.seg;
		pid_t pid;

		assert_int_equal(ipk_ring_create(seg, "back", &p[k].options, NULL), 0);
		back = open_ring(seg, "back");
		pid = spawn(echoes, &p[k]);
		for (u32 i = 0; i < p[k].rounds; i++) {
			u64 val = i;

			if (i % 100 == 0)
				await(waiters() > 0);
			assert_int_equal(ipk_ring_push(ring, &val, sizeof(val), IPK_FOREVER), 0);
			assert_int_equal(ipk_ring_pop(back, &val, sizeof(val), NULL, IPK_FOREVER),
					 0);
			assert_int_equal(val, i);
		}
		assert_ended_well(join_child(pid));
		ipk_ring_close(back);
		drop_ring(ring);
	}
}

static void fills(void *arg)
{
	struct ipk_ring *ring = child_ring();

	(void)arg;
	for (u64 i = 0; i < 3000; i++)
		must(ipk_ring_push(ring, &i, sizeof(i), IPK_FOREVER) == 0);
}

static void a_full_ring_makes_its_producer_wait(void **state)
{
	static const char *const types[] = {"u64", "bytes"};

	(void)state;
	for (u32 t = 0; t < 2; t++) {
		struct ipk_ring *ring = make_plain(types[t], 64);
		pid_t pid = spawn(fills, NULL);

		for (u64 i = 0; i < 3000; i++) {
			u64 val = 0;

			if (i % 500 == 0)
				await(waiters() > 0);
			assert_int_equal(ipk_ring_pop(ring, &val, sizeof(val), NULL, IPK_FOREVER),
					 0);
			assert_int_equal(val, i);
		}
		assert_ended_well(join_child(pid));
		drop_ring(ring);
	}
}

static void waits_for_a_message(void *arg)
{
	u32 *answer = arg;
	struct ipk_ring *ring = child_ring();
	u64 val;

	ipk_st(answer, (u32)-ipk_ring_pop(ring, &val, sizeof(val), NULL, IPK_FOREVER), release);
}

static void removal_wakes_who_waits(void **state)
{
	struct ipk_ring *ring = make_plain("u64", 0);
	u32 *answer = shared(sizeof(*answer));
	pid_t pid = spawn(waits_for_a_message, answer);

	(void)state;
	await(waiters() > 0);
	assert_int_equal(ipk_object_remove(ring_handle(ring)->obj.seg, "r", NULL), 0);
	assert_ended_well(join_child(pid));
	assert_int_equal(*answer, ESTALE);
	assert_int_equal(pop_u64(ring), -ESTALE);
	ipk_ring_close(ring);
	assert_int_equal(ipk_segment_remove(SEG, NULL), 0);
	munmap(answer, sizeof(*answer));
}

static void who_polls_is_told_of_a_removal(void **state)
{
	static const char *const types[] = {"u64", "bytes"};

	(void)state;
	for (u32 t = 0; t < 2; t++) {
		struct ipk_ring *ring = make_plain(types[t], 0);
		u64 val;
		int polls = 0, r;

		for (int i = 0; i < 2; i++) {
			assert_int_equal(push_u64(ring, 1), 0);
			assert_int_equal(ipk_ring_pop(ring, &val, 8, NULL, IPK_NOWAIT), 0);
			for (int n = 0; n < 100; n++)
				assert_int_equal(ipk_ring_pop(ring, &val, 8, NULL, IPK_NOWAIT),
						 -EAGAIN);
		}
		assert_int_equal(ipk_object_remove(ring_handle(ring)->obj.seg, "r", NULL), 0);
		do
			r = ipk_ring_pop(ring, &val, 8, NULL, IPK_NOWAIT);
		while (r == -EAGAIN && ++polls < 100);
		assert_int_equal(r, -ESTALE);
		ipk_ring_close(ring);
		assert_int_equal(ipk_segment_remove(SEG, NULL), 0);
	}
}

static void who_was_woken_and_got_something_waits_no_more(void **state)
{
	struct ipk_ring *ring = make_plain("u64", 0);
	u32 *answer = shared(sizeof(*answer));
	u32 *items = &ring_handle(ring)->b->items;

	(void)state;
	for (int i = 0; i < 10; i++) {
		pid_t pid;

		ipk_st(answer, 1u, release);
		pid = spawn(waits_for_a_message, answer);
		await(waiters() > 0 && ipk_ld(items, acquire) & IPK_EV_W);
		usleep(20000); /* now it sleeps, and has slept once already */
		assert_int_equal(push_u64(ring, 1), 0);
		assert_ended_well(join_child(pid));
		assert_int_equal(*answer, 0);
		/* The next push need not wake anybody. */
		assert_false(ipk_ld(items, acquire) & IPK_EV_W);
	}
	drop_ring(ring);
	munmap(answer, sizeof(*answer));
}

/* ---- the end --------------------------------------------------------------------------------- */

static void a_shut_ring_gives_what_it_has_and_then_the_end(void **state)
{
	static const struct ipk_ring_options kinds[] = {
		{.type = "u64"},
		{.type = "bytes"},
		{.type = "bytes", .checksum = true},
		{.type = "bytes", .many = true},
		{.type = "u64", .many = true},
	};

	(void)state;
	for (u32 i = 0; i < IPK_ARRAY_LEN(kinds); i++) {
		struct ipk_ring *ring = make_ring(&kinds[i]);
		struct ipk_ring_message m;
		struct ipk_ring_room room;
		u64 val = 4;

		assert_int_equal(push_u64(ring, 1), 0);
		assert_int_equal(push_u64(ring, 2), 0);
		assert_false(ipk_ring_is_shut(ring));
		assert_int_equal(ipk_ring_shutdown(ring), 0);
		assert_true(ipk_ring_is_shut(ring));
		assert_int_equal(push_u64(ring, 3), -EPIPE);
		assert_int_equal(ipk_ring_reserve(ring, 8, &room, IPK_NOWAIT), -EPIPE);
		if (strcmp(kinds[i].type, "u64") == 0)
			assert_int_equal(ipk_ring_push_array(ring, &val, 1, IPK_NOWAIT), -EPIPE);
		assert_int_equal(pop_u64(ring), 1);
		assert_int_equal(pop_u64(ring), 2);
		assert_int_equal(pop_u64(ring), -EPIPE);
		assert_int_equal(ipk_ring_peek(ring, &m, IPK_FOREVER), -EPIPE);
		assert_int_equal(push_u64(ring, 5), -EPIPE);
		assert_sound();
		/* For whoever comes later as well. */
		ipk_ring_leave(ring, IPK_RING_PRODUCER);
		ipk_ring_leave(ring, IPK_RING_CONSUMER);
		assert_int_equal(push_u64(ring, 5), -EPIPE);
		assert_int_equal(pop_u64(ring), -EPIPE);
		assert_int_equal(ipk_ring_shutdown(ring), 0);
		drop_ring(ring);
	}
}

/* Where read() failed, say. */
static void a_length_of_minus_one_is_too_long(void **state)
{
	static const char *const types[] = {"u64", "bytes"};

	(void)state;
	for (u32 i = 0; i < 2; i++) {
		struct ipk_ring *ring = make_plain(types[i], 0);
		u64 val = 1;

		assert_int_equal(push_u64(ring, 1), 0);
		assert_int_equal(ipk_ring_push(ring, &val, (size_t)-1, IPK_NOWAIT), -EMSGSIZE);
		assert_int_equal(push_u64(ring, 2), 0);
		assert_int_equal(pop_u64(ring), 1);
		assert_int_equal(pop_u64(ring), 2);
		assert_int_equal(ipk_ring_shutdown(ring), 0);
		assert_int_equal(ipk_ring_push(ring, &val, (size_t)-1, IPK_NOWAIT), -EMSGSIZE);
		assert_sound();
		drop_ring(ring);
	}
}

static void what_is_pushed_behind_the_end_does_not_count(void **state)
{
	static const char *const types[] = {"u64", "bytes"};

	(void)state;
	for (u32 i = 0; i < 2; i++) {
		struct ipk_ring *ring = make_plain(types[i], 0);
		struct ipk_ring *other = open_ring(ring_handle(ring)->obj.seg, "r");
		struct ipk_ring_room room;
		u64 two = 2;

		assert_int_equal(push_u64(ring, 1), 0);
		assert_int_equal(ipk_ring_reserve(ring, 8, &room, IPK_NOWAIT), 0);
		memcpy(room.data, &two, 8);
		assert_int_equal(ipk_ring_shutdown(other), 0);
		assert_int_equal(pop_u64(other), 1);
		assert_int_equal(pop_u64(other), -EPIPE);
		/* The producer finds the end decided, and takes its message back. */
		assert_int_equal(ipk_ring_commit(ring, &room, 8), -EPIPE);
		assert_int_equal(push_u64(ring, 2), -EPIPE);
		assert_int_equal(push_u64(ring, 3), -EPIPE);
		assert_int_equal(ipk_ring_used(ring), 0);
		assert_int_equal(pop_u64(other), -EPIPE);
		assert_sound();
		ipk_ring_close(other);
		drop_ring(ring);
	}
}

static void shutting_wakes_who_waits(void **state)
{
	struct ipk_ring *ring = make_plain("u64", 0);
	u32 *answer = shared(sizeof(*answer));
	pid_t pid = spawn(waits_for_a_message, answer);

	(void)state;
	await(waiters() > 0);
	assert_int_equal(ipk_ring_shutdown(ring), 0);
	assert_ended_well(join_child(pid));
	assert_int_equal(*answer, EPIPE);
	drop_ring(ring);
	munmap(answer, sizeof(*answer));
}

struct race {
	u32 many, shut;
	u64 accepted;
};

static void pushes_until_shut(void *arg)
{
	struct race *race = arg;
	struct ipk_ring *ring = child_ring();
	u64 n = 0;
	int r;

	while ((r = ipk_ring_push(ring, &n, sizeof(n), IPK_FOREVER)) == 0)
		n++;
	must(r == -EPIPE);
	ipk_st(&race->accepted, n, release);
}

/* However the producer is caught: what was accepted is delivered, and nothing else. */
static void nothing_accepted_is_lost_by_shutting(void **state)
{
	struct race *race = shared(sizeof(*race));

	(void)state;
	for (u32 i = 0; i < 60; i++) {
		struct ipk_ring *ring = make_ring(&(struct ipk_ring_options){
			.type = i % 2 ? "u64" : "bytes", .cap = 4096, .many = i % 4 >= 2});
		u64 n = 0, when = (i * 7919) % 3000;
		int64_t val;
		pid_t pid;
		int r = 0;

		race->accepted = UINT64_MAX;
		pid = spawn(pushes_until_shut, race);
		for (;;) {
			u64 v = 0;

			if (n == when)
				assert_int_equal(ipk_ring_shutdown(ring), 0);
			r = ipk_ring_pop(ring, &v, sizeof(v), NULL, IPK_FOREVER);
			if (r < 0)
				break;
			val = (int64_t)v;
			assert_int_equal(val, n++);
		}
		assert_int_equal(r, -EPIPE);
		assert_ended_well(join_child(pid));
		assert_int_equal(race->accepted, n);
		assert_sound();
		drop_ring(ring);
	}
	munmap(race, sizeof(*race));
}

#define T(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_deadline_ends_the_wait),
		T(who_waits_is_woken),
		T(a_full_ring_makes_its_producer_wait),
		T(removal_wakes_who_waits),
		T(who_polls_is_told_of_a_removal),
		T(who_was_woken_and_got_something_waits_no_more),
		T(a_length_of_minus_one_is_too_long),
		T(a_shut_ring_gives_what_it_has_and_then_the_end),
		T(what_is_pushed_behind_the_end_does_not_count),
		T(shutting_wakes_who_waits),
		T(nothing_accepted_is_lost_by_shutting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
