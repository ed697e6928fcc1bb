/* SPDX-License-Identifier: MIT */
/* Rings by one process: lengths, laps, batches, in place, checksums, streams, the end. */
#include "kinds/ring_test.h"

/* ---- what goes in comes out ------------------------------------------------------------------ */

static void messages_come_out_in_order_and_whole(void **state)
{
	struct ipk_ring *ring = make_plain(NULL, 0);

	(void)state;
	assert_int_equal(ipk_ring_capacity(ring), 65536);
	assert_int_equal(push_text(ring, "one"), 0);
	assert_int_equal(push_text(ring, ""), 0);
	assert_int_equal(push_text(ring, "three"), 0);
	assert_int_equal(ipk_ring_used(ring), 16 + 8 + 16);
	assert_sound();
	assert_pops(ring, "one");
	assert_pops(ring, "");
	assert_pops(ring, "three");
	assert_int_equal(ipk_ring_pop(ring, NULL, 0, NULL, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_ring_used(ring), 0);
	drop_ring(ring);
}

static void a_message_of_any_length_fits_wherever_the_ring_stands(void **state)
{
	struct ipk_ring *ring = make_plain("bytes", 256);
	u8 in[256], out[256];
	size_t most = ipk_ring_max_message(ring);

	(void)state;
	assert_int_equal(most, 240);
	for (size_t len = 0; len <= most; len++) {
		size_t got = 1000;

		/* Each of them from wherever the last ones have left the ring. */
		memset(in, (int)len, sizeof(in));
		assert_int_equal(ipk_ring_push(ring, in, len, IPK_NOWAIT), 0);
		assert_sound();
		assert_int_equal(ipk_ring_pop(ring, out, sizeof(out), &got, IPK_NOWAIT), 0);
		assert_int_equal(got, len);
		assert_memory_equal(in, out, len);
	}
	assert_int_equal(ipk_ring_push(ring, in, most + 1, IPK_NOWAIT), -EMSGSIZE);
	assert_int_equal(ipk_ring_push(ring, in, most + 1, IPK_FOREVER), -EMSGSIZE);
	drop_ring(ring);
}

/* A ring beside a list of what should be in it. */
static void any_history_is_that_of_a_list(struct ipk_ring *ring, u64 seed)
{
	static u8 in[4096], out[4096];
	u32 seq_in = 0, seq_out = 0, lens[1024];
	u64 cap = ipk_ring_capacity(ring), used = 0;

	for (int n = 0; n < 20000; n++) {
		u32 len = seeded(&seed) %
			  (seeded(&seed) % 8 ? 40 : (u32)ipk_ring_max_message(ring) + 1);
		size_t got = 0;
		int r;

		if (seeded(&seed) % 2) {
			memset(in, (int)(seq_in & 0xff), len);
			r = ipk_ring_push(ring, in, len, IPK_NOWAIT);
			if (used + ipk_ring_need(len) + 8 <= cap) {
				assert_int_equal(r, 0);
				lens[seq_in++ % 1024] = len;
				used += ipk_ring_need(len);
			} else {
				assert_int_equal(r, -EAGAIN);
			}
		} else {
			r = ipk_ring_pop(ring, out, sizeof(out), &got, IPK_NOWAIT);
			if (seq_in == seq_out) {
				assert_int_equal(r, -EAGAIN);
				continue;
			}
			assert_int_equal(r, 0);
			assert_int_equal(got, lens[seq_out % 1024]);
			memset(in, (int)(seq_out & 0xff), got);
			assert_memory_equal(in, out, got);
			seq_out++;
			used -= ipk_ring_need(got);
		}
		assert_int_equal(ipk_ring_used(ring), used);
	}
	assert_sound();
}

static void a_ring_is_full_exactly_when_its_bytes_are(void **state)
{
	const struct ipk_ring_options kinds[] = {
		{.type = "bytes", .cap = 64},
		{.type = "bytes", .cap = 1024},
		{.type = "bytes", .cap = 4096, .max_message = 100},
		{.type = "bytes", .cap = 1024, .checksum = true},
		{.type = "bytes", .cap = 1024, .many = true},
	};

	(void)state;
	for (u32 i = 0; i < IPK_ARRAY_LEN(kinds); i++) {
		struct ipk_ring *ring = make_ring(&kinds[i]);

		any_history_is_that_of_a_list(ring, i);
		drop_ring(ring);
	}
}

static void elements_of_a_fixed_size_lie_side_by_side(void **state)
{
	static const char *const types[] = {"u8", "u16[3]", "u32", "u64", "bytes:24", "bytes:100"};

	(void)state;
	for (u32 i = 0; i < IPK_ARRAY_LEN(types); i++) {
		struct ipk_ring *ring = make_plain(types[i], 100);
		size_t size = ipk_ring_max_message(ring), n = ipk_ring_capacity(ring) / size, got;
		u8 in[100], out[100];

		assert_true(ipk_ring_capacity(ring) >= 100 && ipk_ring_capacity(ring) < 100 + size);
		for (u32 lap = 0; lap < 5; lap++) {
			for (u32 k = 0; k < n; k++) {
				memset(in, (int)(lap + k), size);
				assert_int_equal(ipk_ring_push(ring, in, size, IPK_NOWAIT), 0);
			}
			assert_int_equal(ipk_ring_push(ring, in, size, IPK_NOWAIT), -EAGAIN);
			assert_sound();
			for (u32 k = 0; k < n; k++) {
				memset(in, (int)(lap + k), size);
				assert_int_equal(
					ipk_ring_pop(ring, out, sizeof(out), &got, IPK_NOWAIT), 0);
				assert_int_equal(got, size);
				assert_memory_equal(in, out, size);
			}
			assert_int_equal(ipk_ring_pop(ring, out, sizeof(out), &got, IPK_NOWAIT),
					 -EAGAIN);
			/* From another place next time. */
			assert_int_equal(ipk_ring_push(ring, in, size, IPK_NOWAIT), 0);
			assert_int_equal(ipk_ring_pop(ring, out, size, NULL, IPK_NOWAIT), 0);
		}
		assert_int_equal(ipk_ring_push(ring, in, size + 1, IPK_NOWAIT), -EMSGSIZE);
		assert_int_equal(ipk_ring_push(ring, in, size - 1, IPK_NOWAIT), -EMSGSIZE);
		drop_ring(ring);
	}
}

static void a_message_longer_than_the_buffer_stays(void **state)
{
	struct ipk_ring *ring = make_plain("str", 0);
	char buf[3];
	size_t len;

	(void)state;
	assert_int_equal(push_text(ring, "four"), 0);
	assert_int_equal(ipk_ring_pop(ring, buf, sizeof(buf), &len, IPK_NOWAIT), -EMSGSIZE);
	assert_int_equal(ipk_ring_pop(ring, buf, sizeof(buf), &len, IPK_FOREVER), -EMSGSIZE);
	assert_pops(ring, "four");
	drop_ring(ring);
	ring = make_plain("u32", 0);
	assert_int_equal(ipk_ring_push(ring, "abcd", 4, IPK_NOWAIT), 0);
	assert_int_equal(ipk_ring_pop(ring, buf, sizeof(buf), &len, IPK_NOWAIT), -EMSGSIZE);
	assert_pops(ring, "abcd");
	drop_ring(ring);
}

/* ---- several at once ------------------------------------------------------------------------- */

static void sixty_four_messages_are_popped_at_once(void **state)
{
	struct ipk_ring *ring = make_plain("bytes", 4096);
	struct ipk_ring_message m[64];
	struct iovec v[100];
	u32 val[100];
	u64 buf[64];

	(void)state;
	for (u32 i = 0; i < 100; i++) {
		val[i] = i;
		v[i] = (struct iovec){&val[i], sizeof(val[i])};
	}
	assert_int_equal(ipk_ring_push_many(ring, v, 100, IPK_NOWAIT), 100);
	assert_int_equal(ipk_ring_pop_many(ring, buf, sizeof(buf), m, 64, IPK_NOWAIT), 64);
	for (u32 i = 0; i < 64; i++) {
		assert_int_equal(m[i].len, 4);
		assert_ptr_equal(m[i].data, &buf[i]);
		assert_memory_equal(m[i].data, &val[i], 4);
		assert_int_equal(m[i].pos, 16 * i);
	}
	/* What does not fit stays. */
	assert_int_equal(ipk_ring_pop_many(ring, buf, 20, m, 64, IPK_NOWAIT), 3);
	assert_int_equal(ipk_ring_pop_many(ring, buf, 3, m, 64, IPK_NOWAIT), -EMSGSIZE);
	assert_int_equal(ipk_ring_pop_many(ring, buf, sizeof(buf), m, 64, IPK_NOWAIT), 33);
	assert_memory_equal(m[32].data, &val[99], 4);
	assert_int_equal(ipk_ring_pop_many(ring, buf, sizeof(buf), m, 64, IPK_NOWAIT), -EAGAIN);
	/* A batch that is cut short says how far it got. */
	assert_int_equal(ipk_ring_push_many(ring, v, 100, IPK_NOWAIT), 100);
	assert_int_equal(ipk_ring_push_many(ring, v, 100, IPK_NOWAIT), 100);
	assert_int_equal(ipk_ring_push_many(ring, v, 100, IPK_NOWAIT), 55);
	assert_int_equal(ipk_ring_push_many(ring, v, 100, IPK_NOWAIT), -EAGAIN);
	drop_ring(ring);
}

static void arrays_of_elements_go_around_the_end(void **state)
{
	struct ipk_ring *ring = make_plain("u64", 80); /* ten */
	u64 in[10], out[10], next_in = 0, next_out = 0, seed = 7;

	(void)state;
	for (int n = 0; n < 3000; n++) {
		u32 want = 1 + seeded(&seed) % 10, free = 10 - (u32)(next_in - next_out);
		int r;

		for (u32 i = 0; i < want; i++)
			in[i] = next_in + i;
		r = ipk_ring_push_array(ring, in, want, IPK_NOWAIT);
		assert_int_equal(r, free == 0 ? -EAGAIN : (int)(want < free ? want : free));
		next_in += r > 0 ? (u64)r : 0;
		want = 1 + seeded(&seed) % 10;
		r = ipk_ring_pop_array(ring, out, want, IPK_NOWAIT);
		assert_int_equal(r,
				 next_in - next_out < want ? (int)(next_in - next_out) : (int)want);
		for (int i = 0; i < r; i++)
			assert_int_equal(out[i], next_out + (u64)i);
		next_out += (u64)r;
		if (next_in == next_out)
			assert_int_equal(ipk_ring_pop_array(ring, out, 1, IPK_NOWAIT), -EAGAIN);
	}
	assert_sound();
	drop_ring(ring);
	ring = make_plain("bytes", 0);
	assert_int_equal(ipk_ring_push_array(ring, in, 1, IPK_NOWAIT), -EOPNOTSUPP);
	assert_int_equal(ipk_ring_pop_array(ring, out, 1, IPK_NOWAIT), -EOPNOTSUPP);
	drop_ring(ring);
}

/* ---- checksums ------------------------------------------------------------------------------- */

static void a_changed_message_is_reported_and_dropped(void **state)
{
	struct ipk_ring *ring =
		make_ring(&(struct ipk_ring_options){.type = "str", .checksum = true});
	struct ipk_ring_handle *h = ring_handle(ring);
	struct ipk_ring_message m[4];
	struct findings f;
	char buf[64];
	size_t len = 0;

	(void)state;
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(push_text(ring, "first"), 0);
		assert_int_equal(push_text(ring, "second"), 0);
		assert_int_equal(push_text(ring, "third"), 0);
		assert_sound();
		h->data[ring_at(&h->g, h->b->head) + 16 + 8] ^= 1; /* of the second */
		f = findings_of(SEG, "r");
		assert_int_equal(f.n, 1);
		assert_non_null(strstr(f.last, "checksum"));
		if (i == 0) {
			assert_pops(ring, "first");
			assert_int_equal(ipk_ring_pop(ring, buf, sizeof(buf), &len, IPK_NOWAIT),
					 -EBADMSG);
			assert_int_equal(len, 6);
		} else if (i == 1) {
			assert_int_equal(ipk_ring_peek_many(ring, m, 4, IPK_NOWAIT), 1);
			assert_int_equal(ipk_ring_release(ring, &m[0]), 0);
			assert_int_equal(ipk_ring_peek(ring, &m[0], IPK_NOWAIT), -EBADMSG);
			assert_int_equal(m[0].len, 6);
			assert_int_equal(ipk_ring_release(ring, &m[0]), 0);
		} else {
			assert_int_equal(
				ipk_ring_pop_many(ring, buf, sizeof(buf), m, 4, IPK_NOWAIT), 1);
			assert_int_equal(
				ipk_ring_pop_many(ring, buf, sizeof(buf), m, 4, IPK_NOWAIT),
				-EBADMSG);
			assert_ptr_equal(m[0].data, buf);
		}
		assert_pops(ring, "third");
		assert_int_equal(h->b->corrupt, i + 1);
	}
	drop_ring(ring);
	ring = make_ring(&(struct ipk_ring_options){.type = "u64", .checksum = true});
	assert_int_equal(push_u64(ring, 5), 0);
	assert_int_equal(ipk_ring_push(ring, "abc", 3, IPK_NOWAIT), -EMSGSIZE);
	assert_int_equal(pop_u64(ring), 5);
	drop_ring(ring);
}

/* Whatever bit of it: 2^61 elements of 8 bytes are 0 bytes in 64 bits. */
static void a_tail_that_cannot_be_is_told(void **state)
{
	struct ipk_ring *ring = make_plain("u64", 1024);
	struct ipk_ring_handle *h = ring_handle(ring);

	(void)state;
	assert_int_equal(push_u64(ring, 1), 0);
	assert_int_equal(pop_u64(ring), 1);
	for (u32 bit = 8; bit < 64; bit++) {
		ipk_st(&h->b->tail, UINT64_C(1) | UINT64_C(1) << bit, relaxed);
		assert_int_equal(pop_u64(ring), -EBADMSG);
	}
	ipk_st(&h->b->tail, UINT64_C(1), relaxed);
	assert_int_equal(pop_u64(ring), -EAGAIN);
	assert_sound();
	drop_ring(ring);
}

static void a_damaged_ring_is_told_and_can_be_emptied(void **state)
{
	struct ipk_ring *ring = make_plain("str", 1024);
	struct ipk_ring_handle *h = ring_handle(ring);
	struct ipk_ring_message m;
	char buf[8];

	(void)state;
	assert_int_equal(push_text(ring, "one"), 0);
	assert_int_equal(push_text(ring, "two"), 0);
	ipk_st((u64 *)(void *)h->data, UINT64_C(100000), relaxed);
	assert_int_equal(findings_of(SEG, "r").n, 1);
	assert_int_equal(ipk_ring_pop(ring, buf, sizeof(buf), NULL, IPK_FOREVER), -EBADMSG);
	assert_int_equal(ipk_ring_peek(ring, &m, IPK_NOWAIT), -EBADMSG);
	assert_null(m.data);
	assert_int_equal(ipk_ring_reset(ring), 32);
	assert_sound();
	assert_int_equal(push_text(ring, "three"), 0);
	assert_pops(ring, "three");
	drop_ring(ring);
}

/* ---- creation -------------------------------------------------------------------------------- */

static void what_makes_no_sense_is_refused(void **state)
{
	static const struct ipk_ring_options bad[] = {
		{.type = "u64", .stream = true},
		{.type = "bytes", .stream = true, .checksum = true},
		{.type = "bytes", .stream = true, .max_message = 10},
		{.type = "u64", .max_message = 8},
		{.type = "bytes", .cap = 64, .max_message = 49},
		{.type = "bytes", .cap = UINT64_C(1) << 41},
		{.type = "u9"},
	};
	struct ipk_segment *seg = make_segment(1 << 20);
	struct ipk_ring *ring;
	struct ipk_error err;

	(void)state;
	for (u32 i = 0; i < IPK_ARRAY_LEN(bad); i++) {
		err = (struct ipk_error){0};
		assert_int_equal(ipk_ring_create(seg, "r", &bad[i], &err), -EINVAL);
		assert_true(err.text[0] != '\0');
	}
	assert_int_equal(
		ipk_ring_create(seg, "r", &(struct ipk_ring_options){.cap = 1 << 20}, &err),
		-ENOSPC);
	assert_int_equal(ipk_ring_create(seg, "r", NULL, &err), 0);
	assert_int_equal(ipk_ring_create(seg, "r", NULL, &err), -EEXIST);
	assert_int_equal(ipk_ring_open(seg, "r", "u64", &ring, &err), -EMEDIUMTYPE);
	assert_int_equal(ipk_ring_open(seg, "q", NULL, &ring, &err), -ENOENT);
	assert_int_equal(ipk_ring_open_abi(seg, "r", NULL, IPK_RING_ABI + 1, &ring, &err), -EPROTO);
	ipk_segment_close(seg);
	assert_int_equal(ipk_segment_remove(SEG, NULL), 0);
}

static void memory_besides_the_capacity_is_that_of_a_message(void **state)
{
	struct ipk_segment *seg = make_segment(4 << 20);
	struct ipk_error err = {0};
	struct ipk_ring_options options = {.type = "bytes", .cap = 2 << 20};

	(void)state;
	assert_int_equal(ipk_ring_create(seg, "r", &options, &err), -ENOSPC);
	options.max_message = 65536;
	assert_int_equal(ipk_ring_create(seg, "r", &options, &err), 0);
	ipk_segment_close(seg);
	assert_int_equal(ipk_segment_remove(SEG, NULL), 0);
}

static void who_may_only_read_can_look_and_no_more(void **state)
{
	struct ipk_ring *ring = make_plain("str", 0), *reader;
	struct ipk_segment *seg;
	char buf[8];

	(void)state;
	assert_int_equal(push_text(ring, "one"), 0);
	assert_int_equal(ipk_segment_open(SEG, IPK_READ, &seg, NULL), 0);
	reader = open_ring(seg, "r");
	assert_non_null(reader);
	assert_int_equal(ipk_ring_used(reader), 16);
	assert_false(ipk_ring_is_shut(reader));
	assert_int_equal(ipk_ring_pop(reader, buf, sizeof(buf), NULL, IPK_NOWAIT), -EACCES);
	assert_int_equal(push_text(reader, "two"), -EACCES);
	assert_int_equal(ipk_ring_claim(reader, IPK_RING_CONSUMER, NULL), -EACCES);
	assert_int_equal(ipk_ring_shutdown(reader), -EACCES);
	ipk_ring_close(reader);
	ipk_segment_close(seg);
	assert_pops(ring, "one");
	drop_ring(ring);
}

#define T(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(messages_come_out_in_order_and_whole),
		T(a_message_of_any_length_fits_wherever_the_ring_stands),
		T(a_ring_is_full_exactly_when_its_bytes_are),
		T(elements_of_a_fixed_size_lie_side_by_side),
		T(a_message_longer_than_the_buffer_stays),
		T(sixty_four_messages_are_popped_at_once),
		T(arrays_of_elements_go_around_the_end),
		T(a_changed_message_is_reported_and_dropped),
		T(a_tail_that_cannot_be_is_told),
		T(a_damaged_ring_is_told_and_can_be_emptied),
		T(what_makes_no_sense_is_refused),
		T(memory_besides_the_capacity_is_that_of_a_message),
		T(who_may_only_read_can_look_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
