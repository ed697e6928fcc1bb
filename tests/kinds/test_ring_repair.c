/* SPDX-License-Identifier: MIT */
/* Damaged rings are made right: what is sound is kept, in order, and nothing else is changed. */
#include "ipk/repair.h"
#include "kinds/ring_test.h"

static void count_line(void *arg, const char *where, const char *what)
{
	(void)where, (void)what;
	++*(u32 *)arg;
}

/*
 * Closes the ring, lets damage() at its bytes, repairs, and opens it again. Returns what was said.
 */
static u32 repaired(struct ipk_ring **ring, void (*damage)(struct ipk_ring_handle *h))
{
	struct ipk_segment *seg = ring_handle(*ring)->obj.seg;
	struct ipk_error err = {0};
	u32 lines = 0;
	int r;

	ipk_ring_leave(*ring, IPK_RING_PRODUCER);
	ipk_ring_leave(*ring, IPK_RING_CONSUMER);
	damage(ring_handle(*ring));
	ipk_ring_close(*ring);
	ipk_segment_close(seg);
	r = ipk_repair(SEG, 0, count_line, count_line, &lines, &err);
	if (r < 0)
		fail_msg("repair: %s", err.text);
	seg = open_segment(SEG);
	*ring = open_ring(seg, "r");
	assert_non_null(*ring);
	assert_sound();
	return lines;
}

static void nothing_at_all(struct ipk_ring_handle *h)
{
	(void)h;
}

static void tail_one_short(struct ipk_ring_handle *h)
{
	h->b->tail -= 16;
}

static void cut_in_the_middle(struct ipk_ring_handle *h)
{
	*(u64 *)ring_addr(h, h->b->head + 32) = 0;
}

static void no_length(struct ipk_ring_handle *h)
{
	*(u64 *)ring_addr(h, h->b->head + 16) = UINT64_C(0xfffff);
}

static void flip_second(struct ipk_ring_handle *h)
{
	*(u64 *)ring_addr(h, h->b->head + 16 + 8) ^= 1;
}

static void constants(struct ipk_ring_handle *h)
{
	h->b->cap = 12345;
	h->b->flags = 77;
}

static void owners(struct ipk_ring_handle *h)
{
	h->b->producer = 9999;
	h->b->consumer |= 8888;
	h->b->shown = h->b->tail + 4096;
	h->b->shut = 9;
}

static struct ipk_ring *with_messages(bool checksum)
{
	struct ipk_ring *ring = make_ring(
		&(struct ipk_ring_options){.type = "str", .cap = 256, .checksum = checksum});

	/* Around the end. */
	for (int i = 0; i < 13; i++) {
		assert_int_equal(push_text(ring, "x"), 0);
		assert_pops(ring, "x");
	}
	assert_int_equal(push_text(ring, "one"), 0);
	assert_int_equal(push_text(ring, "two"), 0);
	assert_int_equal(push_text(ring, "three"), 0);
	assert_int_equal(push_text(ring, "four"), 0);
	return ring;
}

static void assert_empty(struct ipk_ring *ring)
{
	assert_int_equal(ipk_ring_pop(ring, NULL, 0, NULL, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(push_text(ring, "again"), 0);
	assert_pops(ring, "again");
	drop_ring(ring);
}

static void a_sound_ring_is_left_alone(void **state)
{
	struct ipk_ring *ring = with_messages(false);

	(void)state;
	assert_int_equal(repaired(&ring, nothing_at_all), 0);
	assert_int_equal(repaired(&ring, tail_one_short), 0);
	assert_pops(ring, "one");
	assert_pops(ring, "two");
	assert_pops(ring, "three");
	assert_pops(ring, "four");
	assert_empty(ring);
}

static void what_lies_before_the_damage_is_kept(void **state)
{
	struct ipk_ring *ring = with_messages(false);

	(void)state;
	assert_true(repaired(&ring, cut_in_the_middle) > 0);
	assert_pops(ring, "one");
	assert_pops(ring, "two");
	assert_empty(ring);
	ring = with_messages(true);
	assert_true(repaired(&ring, no_length) > 0);
	assert_pops(ring, "one");
	assert_empty(ring);
}

static void a_message_with_a_wrong_checksum_is_dropped(void **state)
{
	struct ipk_ring *ring = with_messages(true);

	(void)state;
	assert_int_equal(repaired(&ring, flip_second), 1);
	assert_pops(ring, "one");
	assert_pops(ring, "three");
	assert_pops(ring, "four");
	assert_empty(ring);
}

static void geometry_and_owners_are_made_right(void **state)
{
	struct ipk_ring *ring = with_messages(true);

	(void)state;
	assert_true(repaired(&ring, constants) > 0);
	assert_int_equal(ipk_ring_capacity(ring), 256);
	assert_true(repaired(&ring, owners) > 0);
	assert_pops(ring, "one");
	assert_pops(ring, "two");
	assert_pops(ring, "three");
	assert_pops(ring, "four");
	assert_int_equal(ipk_ring_pop(ring, NULL, 0, NULL, IPK_NOWAIT), -EPIPE);
	drop_ring(ring);
}

static void far_apart(struct ipk_ring_handle *h)
{
	h->b->head = 1000;
}

static void cells_that_cannot_be_told_are_none(void **state)
{
	struct ipk_ring *ring = make_plain("u64", 64);

	(void)state;
	assert_int_equal(push_u64(ring, 1), 0);
	assert_true(repaired(&ring, far_apart) > 0);
	assert_int_equal(pop_u64(ring), -EAGAIN);
	assert_int_equal(push_u64(ring, 2), 0);
	assert_int_equal(pop_u64(ring), 2);
	drop_ring(ring);
}

#define T(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_sound_ring_is_left_alone),
		T(what_lies_before_the_damage_is_kept),
		T(a_message_with_a_wrong_checksum_is_dropped),
		T(geometry_and_owners_are_made_right),
		T(cells_that_cannot_be_told_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
