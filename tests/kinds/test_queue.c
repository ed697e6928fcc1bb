/* SPDX-License-Identifier: MIT */
#include "kinds/queue_test.h"

static void what_goes_in_first_comes_out_first(void **state)
{
	struct ipk_queue *q = make_queue("u64", 8);

	(void)state;
	for (u64 round = 0; round < 100; round++) {
		for (u64 i = 0; i < 5; i++)
			assert_int_equal(push_u64(q, round * 5 + i), 0);
		for (u64 i = 0; i < 5; i++)
			assert_int_equal(pop_u64(q), round * 5 + i);
	}
	assert_int_equal(pop_u64(q), -EAGAIN);
	assert_sound();
	drop_queue(q);
}

/* Powers of two, their neighbours and 1: exactly that many, at any offset. */
static void every_capacity_is_exact(void **state)
{
	static const u64 caps[] = {1, 2, 3, 4, 5, 7, 8, 9, 63, 64, 65, 1000};

	(void)state;
	for (unsigned c = 0; c < IPK_ARRAY_LEN(caps); c++) {
		struct ipk_queue *q = make_queue("u64", caps[c]);
		u64 in = 0, out = 0;

		assert_int_equal(ipk_queue_capacity(q), caps[c]);
		for (int round = 0; round < 5; round++) {
			while (in - out < caps[c])
				assert_int_equal(push_u64(q, in++), 0);
			assert_int_equal(push_u64(q, 999), -EAGAIN);
			assert_int_equal(ipk_queue_count(q, NULL), caps[c]);
			for (u64 n = caps[c] / 2 + 1; n; n--)
				assert_int_equal(pop_u64(q), out++);
		}
		while (out < in)
			assert_int_equal(pop_u64(q), out++);
		assert_int_equal(pop_u64(q), -EAGAIN);
		assert_sound();
		drop_queue(q);
	}
}

static void sizes_of_all_kinds_of_elements(void **state)
{
	static const struct {
		const char *type;
		u32 size;
	} types[] = {{"u8", 1}, {"u32", 4}, {"u64", 8}, {"f32[3]", 12}, {"{u64 a; u64 b}", 16},
		     {"bytes:17", 17}, {"bytes:4096", 4096}};

	(void)state;
	for (unsigned t = 0; t < IPK_ARRAY_LEN(types); t++) {
		struct ipk_queue *q = make_queue(types[t].type, 5);
		u8 in[4096], out[4097];

		assert_int_equal(ipk_queue_element_size(q), types[t].size);
		for (unsigned round = 0; round < 12; round++) {
			memset(in, (int)round + 1, sizeof(in));
			memset(out, 0, sizeof(out));
			assert_int_equal(ipk_queue_push(q, in, types[t].size, IPK_NOWAIT), 0);
			assert_int_equal(ipk_queue_pop(q, out, types[t].size, NULL, IPK_NOWAIT), 0);
			assert_memory_equal(in, out, types[t].size);
			assert_int_equal(out[types[t].size], 0);
		}
		assert_int_equal(ipk_queue_push(q, in, types[t].size + 1, IPK_NOWAIT), -EMSGSIZE);
		assert_int_equal(ipk_queue_push(q, in, 0, IPK_NOWAIT), -EMSGSIZE);
		assert_int_equal(ipk_queue_push(q, in, types[t].size, IPK_NOWAIT), 0);
		assert_int_equal(ipk_queue_pop(q, out, types[t].size - 1, NULL, IPK_NOWAIT), -EMSGSIZE);
		assert_int_equal(ipk_queue_count(q, NULL), 1);
		drop_queue(q);
	}
}

/* Lengths around what fits the slot, around pages, and large; each in turn in each slot. */
static void values_of_any_length_come_out_whole(void **state)
{
	static const u64 lens[] = {0, 1, 8, 39, 40, 41, 100, 127, 128, 2000, 2048, 4088, 4096, 5000,
				   70000, 1 << 20, 3, 0, 300000, 20000, 41};
	struct ipk_queue *q = make_queue("bytes", 4);
	u8 *in = malloc(1 << 20), *out = malloc(1 << 20);
	u64 used;

	(void)state;
	for (unsigned round = 0; round < 2 * IPK_ARRAY_LEN(lens); round++) {
		u64 len = lens[round % IPK_ARRAY_LEN(lens)];
		struct ipk_queue_item item;

		for (u64 i = 0; i < len; i++)
			in[i] = (u8)(i * 7 + round);
		assert_int_equal(ipk_queue_push(q, in, len, IPK_NOWAIT), 0);
		if (len)
			assert_int_equal(ipk_queue_pop(q, out, len - 1, NULL, IPK_NOWAIT), -EMSGSIZE);
		assert_int_equal(ipk_queue_pop(q, out, len, &item, IPK_NOWAIT), 0);
		assert_int_equal(item.len, len);
		assert_int_equal(item.pos, round);
		assert_int_equal(item.redelivered, 0);
		assert_memory_equal(in, out, len);
		assert_sound();
	}
	/* A slot does not keep a megabyte for its short values. */
	for (int i = 0; i < 4; i++)
		assert_int_equal(push_text(q, "short"), 0);
	used = info_of(SEG).used;
	assert_true(used < 64 << 10);
	free(in);
	free(out);
	drop_queue(q);
}

static void a_value_longer_than_the_segment_is_refused(void **state)
{
	struct ipk_queue *q = make_queue("bytes", 4);

	(void)state;
	assert_int_equal(ipk_queue_push(q, "", UINT64_C(1) << 40, IPK_NOWAIT), -EMSGSIZE);
	assert_int_equal(ipk_queue_push(q, "", SIZE_MAX, IPK_NOWAIT), -EMSGSIZE);
	assert_int_equal(ipk_queue_count(q, NULL), 0);
	drop_queue(q);
}

static void a_full_segment_refuses_a_value_and_loses_none(void **state)
{
	struct ipk_segment *seg = make_segment(UINT64_C(1) << 20);
	struct ipk_queue *q;
	u64 in = 0, out = 0;
	u8 *val = calloc(1, 40000), *got = malloc(40000);
	int r = 0;

	(void)state;
	assert_int_equal(ipk_queue_create(seg, "q", "bytes", 64, NULL), 0);
	q = open_queue(seg, "q");
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 64; i++) {
			memcpy(val, &in, sizeof(in));
			r = ipk_queue_push(q, val, 40000, IPK_NOWAIT);
			if (r != 0)
				break;
			in++;
		}
		assert_int_equal(r, -ENOSPC);
		assert_true(in > out);
		/* Short ones still go in, and nothing is stuck behind what did not. */
		assert_int_equal(ipk_queue_push(q, &in, sizeof(in), IPK_NOWAIT), 0);
		in++;
		assert_sound();
		while (out < in) {
			u64 first;

			assert_int_equal(ipk_queue_pop(q, got, 40000, NULL, IPK_NOWAIT), 0);
			memcpy(&first, got, sizeof(first));
			assert_int_equal(first, out);
			out++;
		}
		assert_int_equal(pop_u64(q), -EAGAIN);
	}
	free(val);
	free(got);
	drop_queue(q);
}

static void removing_a_queue_gives_back_its_buffers(void **state)
{
	struct ipk_segment *seg = make_segment(UINT64_C(64) << 20);
	u64 before = info_of(SEG).used;
	u8 *val = calloc(1, 5000);

	(void)state;
	for (int round = 0; round < 3; round++) {
		struct ipk_queue *q;

		assert_int_equal(ipk_queue_create(seg, "q", NULL, 100, NULL), 0);
		q = open_queue(seg, "q");
		for (u64 i = 0; i < 100; i++)
			assert_int_equal(ipk_queue_push(q, val, 50 * i, IPK_NOWAIT), 0);
		assert_true(info_of(SEG).used > before + (100 * 99 / 2 * 50));
		assert_sound();
		ipk_queue_close(q);
		assert_int_equal(ipk_object_remove(seg, "q", NULL), 0);
		assert_int_equal(info_of(SEG).used, before);
	}
	free(val);
	ipk_segment_close(seg);
	ipk_segment_remove(SEG, NULL);
}

static void absurd_capacities_are_refused(void **state)
{
	struct ipk_segment *seg = make_segment(UINT64_C(1) << 20);
	struct ipk_error err;

	(void)state;
	assert_int_equal(ipk_queue_create(seg, "q", "u64", (UINT64_C(1) << 30) + 1, &err), -EINVAL);
	assert_int_equal(ipk_queue_create(seg, "q", "u64", UINT64_MAX, &err), -EINVAL);
	assert_int_equal(ipk_queue_create(seg, "q", "u64", UINT64_C(1) << 30, &err), -ENOSPC);
	assert_int_equal(ipk_queue_create(seg, "q", "bytes:16777216", UINT64_C(1) << 30, &err), -ENOSPC);
	assert_true(strlen(err.text) > 10);
	assert_int_equal(ipk_object_new(seg, "q", "queue", &(struct ipk_param){"cap", "0"}, 1, &err),
			 -EINVAL);
	assert_int_equal(ipk_queue_create(seg, "q", "u64", 0, &err), 0);
	assert_int_equal(ipk_queue_create(seg, "q", "u64", 0, &err), -EEXIST);
	ipk_segment_close(seg);
	ipk_segment_remove(SEG, NULL);
}

static void a_wrong_type_is_refused_by_name(void **state)
{
	struct ipk_queue *q = make_queue("{u32 id; f64 px}", 4), *other;
	struct ipk_error err = {0};

	(void)state;
	assert_int_equal(ipk_queue_open(q->obj.seg, "q", "u64", &other, &err), -EMEDIUMTYPE);
	assert_non_null(strstr(err.text, "u64"));
	assert_int_equal(ipk_queue_open(q->obj.seg, "q", "{ u32 id;f64 px; }", &other, &err), 0);
	ipk_queue_close(other);
	assert_int_equal(ipk_queue_open(q->obj.seg, "none", NULL, &other, &err), -ENOENT);
	drop_queue(q);
}

static void batches_go_in_and_out_in_order(void **state)
{
	struct ipk_queue *q = make_queue("str", 10);
	struct ipk_queue_item items[20];
	struct iovec v[20];
	char text[20][50], buf[1000];
	int n;

	(void)state;
	for (int i = 0; i < 20; i++) {
		snprintf(text[i], sizeof(text[i]), "%0*d", i + 1, i);
		v[i] = (struct iovec){text[i], strlen(text[i])};
	}
	assert_int_equal(ipk_queue_push_many(q, v, 0, IPK_NOWAIT), 0);
	assert_int_equal(ipk_queue_push_many(q, v, 20, IPK_FOREVER), 10);
	assert_int_equal(ipk_queue_push_many(q, v, 1, IPK_NOWAIT), -EAGAIN);
	/* Room for the first three: 1, 2, 3 bytes at multiples of 8. */
	n = ipk_queue_pop_many(q, buf, 20, items, 20, IPK_NOWAIT);
	assert_int_equal(n, 3);
	for (int i = 0; i < n; i++) {
		assert_ptr_equal(items[i].data, buf + 8 * i);
		assert_int_equal(items[i].len, i + 1);
		assert_memory_equal(items[i].data, text[i], items[i].len);
	}
	assert_int_equal(ipk_queue_pop_many(q, buf, 3, items, 20, IPK_NOWAIT), -EMSGSIZE);
	assert_int_equal(ipk_queue_pop_many(q, buf, sizeof(buf), items, 20, IPK_NOWAIT), 7);
	assert_memory_equal(items[6].data, text[9], items[6].len);
	assert_int_equal(ipk_queue_pop_many(q, buf, sizeof(buf), items, 20, IPK_NOWAIT), -EAGAIN);
	v[3].iov_len = SIZE_MAX; /* the first that cannot go in ends it */
	assert_int_equal(ipk_queue_push_many(q, v, 10, IPK_NOWAIT), 3);
	assert_int_equal(ipk_queue_push_many(q, v + 3, 10, IPK_NOWAIT), -EMSGSIZE);
	drop_queue(q);
}

static void peek_shows_what_pop_gives(void **state)
{
	static const char longer[] = "a value of more than forty bytes, so in a buffer";
	struct ipk_queue *q = make_queue("str", 4);
	struct ipk_queue_item item;
	struct ipk_queue_lease lease;
	char buf[100];

	(void)state;
	assert_int_equal(ipk_queue_peek(q, buf, sizeof(buf), &item), -EAGAIN);
	assert_int_equal(push_text(q, "a"), 0);
	assert_int_equal(push_text(q, "bb"), 0);
	assert_int_equal(push_text(q, longer), 0);
	assert_int_equal(ipk_queue_peek(q, buf, sizeof(buf), &item), 0);
	assert_int_equal(item.len, 1);
	assert_int_equal(item.pos, 0);
	assert_int_equal(ipk_queue_lease(q, &lease, IPK_NOWAIT), 0);
	assert_int_equal(ipk_queue_peek(q, buf, sizeof(buf), &item), 0);
	assert_int_equal(item.pos, 1);
	assert_int_equal(ipk_queue_pop(q, buf, sizeof(buf), NULL, IPK_NOWAIT), 0);
	memset(buf, 'x', sizeof(buf));
	assert_int_equal(ipk_queue_peek(q, buf, 7, &item), 0);
	assert_int_equal(item.len, strlen(longer));
	assert_memory_equal(buf, "a valuex", 8);
	assert_int_equal(ipk_queue_nack(q, &lease), 0);
	assert_int_equal(ipk_queue_peek(q, buf, sizeof(buf), &item), 0);
	assert_int_equal(item.pos, 0);
	assert_int_equal(item.redelivered, 1);
	assert_int_equal(ipk_queue_count(q, NULL), 2);
	drop_queue(q);
}

static void drain_takes_what_is_there(void **state)
{
	struct ipk_queue *q = make_queue("str", 4);

	(void)state;
	assert_int_equal(ipk_queue_drain(q), -EAGAIN);
	assert_int_equal(push_text(q, "a"), 0);
	assert_int_equal(push_text(q, "b"), 0);
	assert_int_equal(ipk_queue_drain(q), 2);
	assert_int_equal(ipk_queue_shutdown(q), 0);
	assert_int_equal(ipk_queue_drain(q), -EPIPE);
	drop_queue(q);
}

static void who_may_only_read_can_look_and_no_more(void **state)
{
	struct ipk_queue *q = make_queue("u64", 4), *reader = NULL;
	struct ipk_segment *seg = NULL;
	u64 val = 0;

	(void)state;
	assert_int_equal(push_u64(q, 5), 0);
	assert_int_equal(ipk_segment_open(SEG, IPK_READ, &seg, NULL), 0);
	assert_int_equal(ipk_queue_open(seg, "q", NULL, &reader, NULL), 0);
	assert_int_equal(ipk_queue_peek(reader, &val, 8, NULL), 0);
	assert_int_equal(val, 5);
	assert_int_equal(ipk_queue_count(reader, NULL), 1);
	assert_int_equal(push_u64(reader, 6), -EACCES);
	assert_int_equal(pop_u64(reader), -EACCES);
	assert_int_equal(ipk_queue_shutdown(reader), -EACCES);
	assert_int_equal(ipk_queue_drain(reader), -EACCES);
	ipk_queue_close(reader);
	ipk_segment_close(seg);
	drop_queue(q);
}

/* Another queue lies where the removed one was, which its reader did not keep from going. */
static void what_was_removed_is_not_taken_for_what_came_after(void **state)
{
	struct ipk_queue *q = make_queue("u64", 4), *reader = NULL;
	struct ipk_segment *seg = q->obj.seg, *ro = NULL;
	u64 val = 0;

	(void)state;
	assert_int_equal(push_u64(q, 5), 0);
	assert_int_equal(ipk_segment_open(SEG, IPK_READ, &ro, NULL), 0);
	assert_int_equal(ipk_queue_open(ro, "q", NULL, &reader, NULL), 0);
	ipk_queue_close(q);
	assert_int_equal(ipk_object_remove(seg, "q", NULL), 0);
	assert_int_equal(ipk_queue_create(seg, "other", "u64", 4, NULL), 0);
	q = open_queue(seg, "other");
	assert_int_equal(q->obj.off, reader->obj.off);
	assert_int_equal(push_u64(q, 6), 0);
	assert_int_equal(ipk_queue_peek(reader, &val, 8, NULL), -ESTALE);
	assert_true(ipk_stale(&reader->obj));
	ipk_queue_close(reader);
	ipk_segment_close(ro);
	drop_queue(q);
}

#define T(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_goes_in_first_comes_out_first),
		T(every_capacity_is_exact),
		T(sizes_of_all_kinds_of_elements),
		T(values_of_any_length_come_out_whole),
		T(a_value_longer_than_the_segment_is_refused),
		T(a_full_segment_refuses_a_value_and_loses_none),
		T(removing_a_queue_gives_back_its_buffers),
		T(absurd_capacities_are_refused),
		T(a_wrong_type_is_refused_by_name),
		T(batches_go_in_and_out_in_order),
		T(peek_shows_what_pop_gives),
		T(drain_takes_what_is_there),
		T(who_may_only_read_can_look_and_no_more),
		T(what_was_removed_is_not_taken_for_what_came_after),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
