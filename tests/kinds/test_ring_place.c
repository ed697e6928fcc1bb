/* SPDX-License-Identifier: MIT */
/* Rings: messages and bytes that are made and read in place. */
#include "kinds/ring_test.h"

/* ---- in place -------------------------------------------------------------------------------- */

static void a_reservation_is_a_message_when_committed(const struct ipk_ring_options *options)
{
	struct ipk_ring *ring = make_ring(options);
	struct ipk_ring_message m;
	struct ipk_ring_room room;

	for (u32 i = 0; i < 200; i++) {
		u32 len = i % 90;

		assert_int_equal(ipk_ring_reserve(ring, 90, &room, IPK_NOWAIT), 0);
		assert_true(room.len >= 90 && ((uintptr_t)room.data & 7) == 0);
		assert_int_equal(ipk_ring_peek(ring, &m, IPK_NOWAIT), -EAGAIN);
		memset(room.data, (int)i, 90);
		if (i % 5 == 0) {
			ipk_ring_abort(ring, &room);
			assert_int_equal(ipk_ring_peek(ring, &m, IPK_NOWAIT), -EAGAIN);
			continue;
		}
		assert_int_equal(ipk_ring_commit(ring, &room, 91), -EINVAL);
		assert_int_equal(ipk_ring_commit(ring, &room, len), 0);
		assert_int_equal(ipk_ring_commit(ring, &room, 0), -EINVAL);
		assert_int_equal(ipk_ring_peek(ring, &m, IPK_NOWAIT), 0);
		assert_int_equal(m.len, len);
		for (u32 k = 0; k < len; k++)
			assert_int_equal(((const u8 *)m.data)[k], i);
		/* Until it is released it is the oldest. */
		assert_int_equal(ipk_ring_peek(ring, &m, IPK_NOWAIT), 0);
		assert_int_equal(m.len, len);
		assert_int_equal(ipk_ring_release(ring, &m), 0);
		assert_int_equal(ipk_ring_release(ring, &m), -EINVAL);
		assert_int_equal(ipk_ring_used(ring), 0);
	}
	assert_int_equal(ipk_ring_reserve(ring, ipk_ring_max_message(ring) + 1, &room, IPK_NOWAIT),
			 -EMSGSIZE);
	assert_sound();
	drop_ring(ring);
}

static void messages_are_made_and_read_in_place(void **state)
{
	(void)state;
	a_reservation_is_a_message_when_committed(
		&(struct ipk_ring_options){.type = "bytes", .cap = 512});
	a_reservation_is_a_message_when_committed(
		&(struct ipk_ring_options){.type = "bytes", .cap = 512, .checksum = true});
	a_reservation_is_a_message_when_committed(
		&(struct ipk_ring_options){.type = "bytes", .cap = 512, .many = true});
}

static void many_are_peeked_and_released_at_once(void **state)
{
	static const char *const types[] = {"bytes", "bytes:4"};

	(void)state;
	for (u32 t = 0; t < 2; t++) {
		struct ipk_ring *ring = make_plain(types[t], 1024);
		struct ipk_ring_message m[64];
		u32 next = 0;

		for (u32 round = 0; round < 40; round++) {
			for (u32 i = 0; i < 30; i++)
				assert_int_equal(
					ipk_ring_push(ring, &(u32){round * 30 + i}, 4, IPK_NOWAIT),
					0);
			assert_int_equal(ipk_ring_peek_many(ring, m, 64, IPK_NOWAIT), 30);
			for (u32 i = 0; i < 30; i++)
				assert_memory_equal(m[i].data, &(u32){next + i}, 4);
			assert_int_equal(ipk_ring_release(ring, &m[9]), 0);
			assert_int_equal(ipk_ring_release(ring, &m[9]), -EINVAL);
			assert_int_equal(ipk_ring_release(ring, &m[3]), -EINVAL);
			assert_int_equal(ipk_ring_peek_many(ring, m, 8, IPK_NOWAIT), 8);
			assert_memory_equal(m[0].data, &(u32){next + 10}, 4);
			assert_int_equal(ipk_ring_peek_many(ring, m, 64, IPK_NOWAIT), 20);
			assert_int_equal(ipk_ring_release(ring, &m[19]), 0);
			assert_int_equal(ipk_ring_used(ring), 0);
			next += 30;
		}
		drop_ring(ring);
	}
}

/* ---- streams --------------------------------------------------------------------------------- */

static void a_stream_keeps_bytes_and_no_boundaries(void **state)
{
	struct ipk_ring *ring =
		make_ring(&(struct ipk_ring_options){.type = "bytes", .cap = 100, .stream = true});
	u8 in[300], out[300], next_in = 0, next_out = 0;
	u64 used = 0, seed = 3;

	(void)state;
	assert_int_equal(ipk_ring_capacity(ring), 128);
	for (int n = 0; n < 5000; n++) {
		u32 len = seeded(&seed) % 200;
		i64 want = len < 128 - used ? len : (i64)(128 - used), r;

		for (u32 i = 0; i < len; i++)
			in[i] = (u8)(next_in + i);
		r = ipk_ring_write(ring, in, len, IPK_NOWAIT);
		assert_int_equal(r, want || !len ? want : -EAGAIN);
		if (r > 0) {
			next_in = (u8)(next_in + r);
			used += (u64)r;
		}
		len = seeded(&seed) % 200;
		want = len < used ? len : (i64)used;
		r = ipk_ring_read(ring, out, len, IPK_NOWAIT);
		assert_int_equal(r, want || !len ? want : -EAGAIN);
		for (i64 i = 0; i < r; i++)
			assert_int_equal(out[i], next_out++);
		used -= r > 0 ? (u64)r : 0;
		assert_int_equal(ipk_ring_used(ring), used);
	}
	assert_sound();
	assert_int_equal(ipk_ring_push(ring, "x", 1, IPK_NOWAIT), -EOPNOTSUPP);
	assert_int_equal(ipk_ring_pop(ring, out, 1, NULL, IPK_NOWAIT), -EOPNOTSUPP);
	drop_ring(ring);
	ring = make_plain("bytes", 0);
	assert_int_equal(ipk_ring_write(ring, "x", 1, IPK_NOWAIT), -EOPNOTSUPP);
	assert_int_equal(ipk_ring_read(ring, out, 1, IPK_NOWAIT), -EOPNOTSUPP);
	drop_ring(ring);
}

static void a_stream_is_written_and_read_in_place(void **state)
{
	struct ipk_ring *ring =
		make_ring(&(struct ipk_ring_options){.type = "str", .cap = 64, .stream = true});
	struct ipk_ring_room room;
	struct ipk_ring_message m;

	(void)state;
	assert_int_equal(ipk_ring_reserve(ring, 40, &room, IPK_NOWAIT), 0);
	assert_int_equal(room.len, 40);
	memset(room.data, 'a', 40);
	assert_int_equal(ipk_ring_commit(ring, &room, 30), 0);
	assert_int_equal(ipk_ring_peek(ring, &m, IPK_NOWAIT), 0);
	assert_int_equal(m.len, 30);
	m.len = 25;
	assert_int_equal(ipk_ring_release(ring, &m), 0);
	assert_int_equal(ipk_ring_peek(ring, &m, IPK_NOWAIT), 0);
	assert_int_equal(m.len, 5);
	/* In one piece only up to the end. */
	assert_int_equal(ipk_ring_reserve(ring, 60, &room, IPK_NOWAIT), 0);
	assert_int_equal(room.len, 34);
	memset(room.data, 'b', 34);
	assert_int_equal(ipk_ring_commit(ring, &room, 34), 0);
	assert_int_equal(ipk_ring_reserve(ring, 60, &room, IPK_NOWAIT), 0);
	assert_int_equal(room.len, 25);
	ipk_ring_abort(ring, &room);
	assert_int_equal(ipk_ring_peek(ring, &m, IPK_NOWAIT), 0);
	assert_int_equal(m.len, 39);
	assert_memory_equal((const char *)m.data + 4, "abb", 3);
	drop_ring(ring);
}

#define T(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(messages_are_made_and_read_in_place),
		T(many_are_peeked_and_released_at_once),
		T(a_stream_keeps_bytes_and_no_boundaries),
		T(a_stream_is_written_and_read_in_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
