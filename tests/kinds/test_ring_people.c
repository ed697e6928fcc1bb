/* SPDX-License-Identifier: MIT */
/* Rings between processes: roles, deaths, waiting, the end. */
#include <pthread.h>

#include "kinds/ring_test.h"

/* ---- roles ----------------------------------------------------------------------------------- */

struct flags {
	u32 ready, go, answer;
};

static void wait_for(u32 *flag)
{
	nap_until(flag);
	must(ipk_ld(flag, acquire));
}

static void produces_until_told(void *arg)
{
	struct flags *f = arg;
	struct ipk_ring *ring = child_ring();

	must(push_text(ring, "mine") == 0);
	ipk_st(&f->ready, 1u, release);
	wait_for(&f->go);
	ipk_ring_leave(ring, IPK_RING_PRODUCER);
	ipk_st(&f->answer, 1u, release);
	nap_until(&(u32){0});
}

static void a_second_producer_is_refused_by_name(void **state)
{
	struct flags *f = shared(sizeof(*f));
	struct ipk_ring *ring = make_plain("str", 0);
	struct ipk_error err = {0};
	char name[32];
	pid_t pid;

	(void)state;
	pid = spawn(produces_until_told, f);
	await(ipk_ld(&f->ready, acquire));
	assert_int_equal(push_text(ring, "x"), -EBUSY);
	assert_int_equal(ipk_ring_push(ring, "x", 1, IPK_FOREVER), -EBUSY);
	assert_int_equal(ipk_ring_claim(ring, IPK_RING_PRODUCER, &err), -EBUSY);
	snprintf(name, sizeof(name), "pid %d", pid);
	assert_non_null(strstr(err.text, name));
	/* Consuming is another matter. */
	assert_pops(ring, "mine");
	ipk_st(&f->go, 1u, release);
	await(ipk_ld(&f->answer, acquire));
	assert_int_equal(push_text(ring, "x"), 0);
	kill_child(pid);
	assert_pops(ring, "x");
	drop_ring(ring);
	munmap(f, sizeof(*f));
}

static void consumes_until_told(void *arg)
{
	struct flags *f = arg;
	struct ipk_ring *ring = child_ring();

	must(ipk_ring_claim(ring, IPK_RING_CONSUMER, NULL) == 0);
	ipk_st(&f->ready, 1u, release);
	nap_until(&f->go);
}

static void the_role_of_a_dead_one_goes_to_the_next(void **state)
{
	struct flags *f = shared(2 * sizeof(*f));
	struct ipk_ring *ring = make_plain("str", 0);
	struct ipk_error err = {0};
	pid_t producer = spawn(produces_until_told, &f[0]),
	      consumer = spawn(consumes_until_told, &f[1]);

	(void)state;
	await(ipk_ld(&f[0].ready, acquire) && ipk_ld(&f[1].ready, acquire));
	assert_int_equal(ipk_ring_claim(ring, IPK_RING_CONSUMER, &err), -EBUSY);
	kill_child(producer);
	kill_child(consumer);
	assert_int_equal(push_text(ring, "next"), 0);
	assert_pops(ring, "mine");
	assert_pops(ring, "next");
	drop_ring(ring);
	munmap(f, 2 * sizeof(*f));
}

static void two_handles_of_a_process_are_two(void **state)
{
	struct ipk_ring *ring = make_plain("str", 0);
	struct ipk_ring *other = open_ring(ring_handle(ring)->obj.seg, "r");

	(void)state;
	assert_int_equal(push_text(ring, "x"), 0);
	assert_int_equal(push_text(other, "y"), -EBUSY);
	assert_pops(other, "x");
	assert_int_equal(pop_u64(ring), -EBUSY);
	ipk_ring_close(other);
	assert_int_equal(push_text(ring, "z"), 0);
	assert_pops(ring, "z");
	drop_ring(ring);
}

static void a_child_inherits_no_role(void **state)
{
	struct ipk_ring *ring = make_plain("str", 0);
	pid_t pid;

	(void)state;
	assert_int_equal(push_text(ring, "one"), 0);
	assert_pops(ring, "one");
	assert_int_equal(push_text(ring, "two"), 0);
	pid = fork();
	if (pid == 0) {
		char buf[8];

		must(push_text(ring, "three") == -EBUSY);
		must(ipk_ring_pop(ring, buf, sizeof(buf), NULL, IPK_NOWAIT) == -EBUSY);
		ipk_ring_close(ring);
		_exit(0);
	}
	assert_ended_well(join_child(pid));
	assert_pops(ring, "two");
	assert_int_equal(push_text(ring, "four"), 0);
	assert_pops(ring, "four");
	/* And takes what its parent has left. */
	ipk_ring_leave(ring, IPK_RING_PRODUCER);
	pid = fork();
	if (pid == 0) {
		must(push_text(ring, "five") == 0);
		_exit(0);
	}
	assert_ended_well(join_child(pid));
	assert_pops(ring, "five");
	drop_ring(ring);
}

static void *claims(void *arg)
{
	assert_int_equal(push_text(arg, "of a thread"), 0);
	return NULL;
}

static void a_role_outlives_its_thread(void **state)
{
	struct ipk_ring *ring = make_plain("str", 0);
	struct ipk_segment *seg = ring_handle(ring)->obj.seg;
	struct ipk_ring *other;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, claims, ring), 0);
	pthread_join(thread, NULL);
	ipk_segment_sweep(seg);
	other = open_ring(seg, "r");
	assert_int_equal(push_text(other, "x"), -EBUSY);
	assert_int_equal(push_text(ring, "of another"), 0);
	assert_pops(ring, "of a thread");
	assert_pops(ring, "of another");
	ipk_ring_close(ring);
	assert_int_equal(push_text(other, "x"), 0);
	drop_ring(other);
}

/* ---- deaths ---------------------------------------------------------------------------------- */

static void reserves_and_writes(struct ipk_ring *ring)
{
	struct ipk_ring_room room;

	must(push_text(ring, "whole") == 0);
	must(ipk_ring_reserve(ring, 100, &room, IPK_NOWAIT) == 0);
	memset(room.data, 'x', 100);
}

static void half_a_message_of_a_dead_one_is_none(void **state)
{
	(void)state;
	for (int many = 0; many < 2; many++) {
		struct ipk_ring *ring = make_ring(
			&(struct ipk_ring_options){.type = "str", .cap = 256, .many = many});

		for (int i = 0; i < 10; i++) {
			die_in(reserves_and_writes);
			assert_sound();
			assert_int_equal(push_text(ring, "next"), 0);
			assert_pops(ring, "whole");
			assert_pops(ring, "next");
			assert_int_equal(ipk_ring_pop(ring, NULL, 0, NULL, IPK_NOWAIT), -EAGAIN);
			ipk_ring_leave(ring, IPK_RING_PRODUCER);
		}
		drop_ring(ring);
	}
}

static void a_message_that_was_pushed_before_its_tail_counts(void **state)
{
	struct ipk_ring *ring = make_plain("str", 256);
	struct ipk_ring_handle *h = ring_handle(ring);

	(void)state;
	for (int i = 0; i < 20; i++) {
		u64 tail = h->b->tail, count = h->b->pushed;

		assert_int_equal(push_text(ring, "a"), 0);
		assert_int_equal(push_text(ring, "bcdefghijklmnop"), 0);
		/* As if it had died behind the words of both. */
		ipk_ring_leave(ring, IPK_RING_PRODUCER);
		ipk_st(&h->b->tail, tail, relaxed);
		ipk_st(&h->b->pushed, count, relaxed);
		assert_sound();
		assert_int_equal(push_text(ring, "c"), 0);
		assert_int_equal(h->b->pushed, count + 3);
		assert_pops(ring, "a");
		assert_pops(ring, "bcdefghijklmnop");
		assert_pops(ring, "c");
	}
	drop_ring(ring);
}

static void peeks_two_and_releases_one(struct ipk_ring *ring)
{
	struct ipk_ring_message m[2];

	must(ipk_ring_peek_many(ring, m, 2, IPK_NOWAIT) == 2);
	must(!m[0].redelivered && !m[1].redelivered);
	must(ipk_ring_release(ring, &m[0]) == 0);
}

static int note_item(void *arg, const struct ipk_item *item)
{
	struct ipk_item *out = arg;

	*out = *item;
	return 0;
}

static void what_was_looked_at_is_delivered_again_marked(void **state)
{
	(void)state;
	for (int fixed = 0; fixed < 2; fixed++) {
		struct ipk_ring *ring = make_plain(fixed ? "bytes:3" : "str", 0);
		struct ipk_ring_message m;
		struct ipk_item item;
		struct look l;

		assert_int_equal(push_text(ring, "one"), 0);
		assert_int_equal(push_text(ring, "two"), 0);
		assert_int_equal(push_text(ring, "tri"), 0);
		die_in(peeks_two_and_releases_one);
		ipk_segment_sweep(ring_handle(ring)->obj.seg);
		look(&l, SEG, "r");
		assert_int_equal(
			l.kind->item(&l.o, fixed ? "1" : "16", fixed ? 1 : 2, note_item, &item), 0);
		assert_true(item.redelivered && !item.leased);
		look_end(&l);
		assert_int_equal(ipk_ring_peek(ring, &m, IPK_NOWAIT), 0);
		assert_memory_equal(m.data, "two", 3);
		assert_int_equal(m.redelivered, 1);
		look(&l, SEG, "r");
		assert_int_equal(
			l.kind->item(&l.o, fixed ? "1" : "16", fixed ? 1 : 2, note_item, &item), 0);
		assert_true(!item.redelivered && item.leased);
		look_end(&l);
		/* Left, and looked at by the next: again. */
		ipk_ring_leave(ring, IPK_RING_CONSUMER);
		assert_int_equal(ipk_ring_peek(ring, &m, IPK_NOWAIT), 0);
		assert_int_equal(m.redelivered, 1);
		assert_int_equal(ipk_ring_release(ring, &m), 0);
		assert_int_equal(ipk_ring_peek(ring, &m, IPK_NOWAIT), 0);
		assert_memory_equal(m.data, "tri", 3);
		assert_int_equal(m.redelivered, 0);
		assert_int_equal(ipk_ring_release(ring, &m), 0);
		assert_sound();
		drop_ring(ring);
	}
}

static void holds_the_lock(struct ipk_ring *ring)
{
	struct ipk_ring_room room;

	must(ipk_ring_reserve(ring, 8, &room, IPK_NOWAIT) == 0);
}

static void a_dead_one_of_many_holds_up_nobody(void **state)
{
	struct ipk_ring *ring =
		make_ring(&(struct ipk_ring_options){.type = "u64", .cap = 64, .many = true});
	struct ipk_ring_room room;
	pid_t pid;

	(void)state;
	for (u64 i = 0; i < 10; i++) {
		die_in(holds_the_lock);
		if (i % 2)
			ipk_segment_sweep(ring_handle(ring)->obj.seg);
		assert_int_equal(push_u64(ring, i), 0);
		assert_int_equal(pop_u64(ring), i);
	}
	/* Who lives does, until he is done. */
	assert_int_equal(ipk_ring_reserve(ring, 8, &room, IPK_NOWAIT), 0);
	pid = fork();
	if (pid == 0) {
		must(push_u64(child_ring(), 1) == -EAGAIN);
		_exit(0);
	}
	assert_ended_well(join_child(pid));
	ipk_ring_abort(ring, &room);
	assert_int_equal(push_u64(ring, 1), 0);
	drop_ring(ring);
}

static void uses_and_dies(struct ipk_ring *ring)
{
	must(push_u64(ring, 7) == -EAGAIN);
}

static void a_sweep_takes_no_reservation_away(void **state)
{
	struct ipk_ring *ring =
		make_ring(&(struct ipk_ring_options){.type = "u64", .cap = 64, .many = true});
	struct ipk_ring_room room;
	pid_t pid;

	(void)state;
	assert_int_equal(ipk_ring_reserve(ring, 8, &room, IPK_NOWAIT), 0);
	assert_int_equal(push_u64(ring, 6), -EBUSY);
	die_in(uses_and_dies);
	assert_int_equal(ipk_segment_sweep(ring_handle(ring)->obj.seg), 1);
	pid = fork();
	if (pid == 0) {
		must(push_u64(child_ring(), 8) == -EAGAIN);
		_exit(0);
	}
	assert_ended_well(join_child(pid));
	*(u64 *)room.data = 5;
	assert_int_equal(ipk_ring_commit(ring, &room, 8), 0);
	assert_int_equal(ipk_ring_commit(ring, &room, 8), -EINVAL);
	assert_int_equal(pop_u64(ring), 5);
	assert_int_equal(pop_u64(ring), -EAGAIN);
	drop_ring(ring);
}

static void what_is_not_reserved_any_more_is_not_committed(void **state)
{
	struct ipk_ring *ring = make_plain("bytes", 0);
	struct ipk_ring_room room, stale;
	struct ipk_ring_message m;
	pid_t pid;

	(void)state;
	assert_int_equal(push_text(ring, "one"), 0);
	assert_int_equal(ipk_ring_peek(ring, &m, IPK_NOWAIT), 0);
	assert_int_equal(ipk_ring_reserve(ring, 100, &room, IPK_NOWAIT), 0);
	pid = fork();
	if (pid == 0) {
		must(ipk_ring_commit(ring, &room, 100) == -EINVAL);
		must(ipk_ring_release(ring, &m) == -EINVAL);
		_exit(0);
	}
	assert_ended_well(join_child(pid));
	stale = room;
	memcpy(room.data, "two", 3);
	assert_int_equal(ipk_ring_commit(ring, &room, 3), 0);
	assert_int_equal(ipk_ring_commit(ring, &stale, 3), -EINVAL);
	assert_pops(ring, "one");
	assert_pops(ring, "two");
	assert_int_equal(ipk_ring_reserve(ring, 100, &room, IPK_NOWAIT), 0);
	ipk_ring_leave(ring, IPK_RING_PRODUCER);
	assert_int_equal(ipk_ring_commit(ring, &room, 3), -EINVAL);
	drop_ring(ring);
}

#define T(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_second_producer_is_refused_by_name),
		T(the_role_of_a_dead_one_goes_to_the_next),
		T(two_handles_of_a_process_are_two),
		T(a_child_inherits_no_role),
		T(a_role_outlives_its_thread),
		T(half_a_message_of_a_dead_one_is_none),
		T(a_message_that_was_pushed_before_its_tail_counts),
		T(what_was_looked_at_is_delivered_again_marked),
		T(a_dead_one_of_many_holds_up_nobody),
		T(a_sweep_takes_no_reservation_away),
		T(what_is_not_reserved_any_more_is_not_committed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
