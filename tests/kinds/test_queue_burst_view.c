/* SPDX-License-Identifier: MIT */
/* Bursts of any length and size; what is seen of one, and of one that cannot be. */
#include "ipk/repair.h"
#include "kinds/queue_burst.h"

/* ---- sizes ----------------------------------------------------------------------------------- */

static void bursts_of_any_length_in_any_capacity(void **state)
{
	static const u64 caps[] = {1, 2, 3, 5, 64, 65, 100, 128, 199};

	(void)state;
	for (unsigned c = 0; c < IPK_ARRAY_LEN(caps); c++) {
		struct ipk_queue *q = make_queue("u64", caps[c]);
		u64 in = 0, out = 0, seed = c;

		for (int i = 0; i < 400; i++) {
			u32 n = 1 + seeded(&seed) % 180;
			u64 room = caps[c] - (in - out), want = n < room ? n : room;

			assert_int_equal(push_many(q, in, n), want ? (i64)want : -EAGAIN);
			in += want;
			n = 1 + seeded(&seed) % 180;
			want = n < in - out ? n : in - out;
			if (want)
				expect_many(q, out, (int)want, 0);
			out += want;
			if (i % 50 == 0)
				assert_sound();
		}
		drop_queue(q);
	}
}

static void elements_of_any_size(void **state)
{
	static const u32 sizes[] = {1, 2, 3, 4, 5, 7, 8, 12, 16, 20, 24, 32, 40, 64, 100};

	(void)state;
	for (unsigned s = 0; s < IPK_ARRAY_LEN(sizes); s++) {
		u8 in[10][104], out[10 * 104];
		struct ipk_queue_item item[10];
		struct ipk_queue *q;
		struct iovec v[10];
		char type[16];
		u64 step = ipk_align_up(sizes[s], 8);

		snprintf(type, sizeof(type), "bytes:%u", sizes[s]);
		q = make_queue(type, CAP);
		for (u32 i = 0; i < 10; i++) {
			memset(in[i], (int)(16 * s + i), sizeof(in[i]));
			v[i] = (struct iovec){in[i], sizes[s]};
		}
		for (int lap = 0; lap < 3; lap++) {
			memset(out, 0xee, sizeof(out));
			assert_int_equal(ipk_queue_push_many(q, v, 10, IPK_NOWAIT), CAP);
			/* As many as fit; what is not theirs stays. */
			assert_int_equal(ipk_queue_pop_many(q, out, 2 * step + sizes[s], item, 10,
							    IPK_NOWAIT),
					 3);
			assert_int_equal(out[2 * step + sizes[s]], 0xee);
			for (int i = 0; i < 3; i++) {
				assert_ptr_equal(item[i].data, out + (u64)i * step);
				assert_memory_equal(item[i].data, in[i], sizes[s]);
			}
			/* Who does not want to know is not told. */
			assert_int_equal(
				ipk_queue_pop_many(q, out, sizeof(out), NULL, 10, IPK_NOWAIT),
				CAP - 3);
			for (u64 i = 0; i < CAP - 3; i++)
				assert_memory_equal(out + i * step, in[i + 3], sizes[s]);
		}
		assert_int_equal(ipk_queue_pop_many(q, out, sizes[s] - 1, NULL, 1, IPK_NOWAIT),
				 -EMSGSIZE);
		v[2].iov_len++;
		assert_int_equal(ipk_queue_push_many(q, v, 10, IPK_NOWAIT), 2);
		assert_int_equal(ipk_queue_push_many(q, v + 2, 1, IPK_NOWAIT), -EMSGSIZE);
		assert_sound();
		drop_queue(q);
	}
}

/* ---- what is seen of it ---------------------------------------------------------------------- */

struct seen {
	u64 n, leased, redelivered, held;
	u64 pos[CAP];
	const char *role;
};

static int note_item(void *arg, const struct ipk_item *item)
{
	struct seen *s = arg;

	s->pos[s->n++] = item->pos;
	s->leased += item->leased;
	s->redelivered += item->redelivered;
	return 0;
}

static int note_holder(void *arg, uint32_t slot, const char *role, uint64_t n)
{
	struct seen *s = arg;

	(void)slot;
	s->role = role;
	s->held += n;
	return 0;
}

static struct seen seen_of(void)
{
	struct seen s = {0};
	uint64_t used = 0, cap = 0;
	struct look l;

	look(&l, SEG, "q");
	assert_int_equal(l.kind->items(&l.o, 0, UINT64_MAX, note_item, &s), 0);
	assert_int_equal(l.kind->holders(&l.o, note_holder, &s), 0);
	assert_int_equal(l.kind->inspect(&l.o, &used, &cap), 0);
	assert_int_equal(used, s.n);
	look_end(&l);
	return s;
}

static int one_item(const char *key)
{
	struct seen s = {0};
	struct look l;
	int r;

	look(&l, SEG, "q");
	r = l.kind->item(&l.o, key, strlen(key), note_item, &s);
	look_end(&l);
	return r;
}

static void inspectors_take_a_burst_apart(void **state)
{
	struct ipk_queue *q = queue_at(0);
	u32 me = own_slot(q);
	struct seen s;

	(void)state;
	assert_int_equal(push_u64(q, 9), 0);
	plant(q, 1, burst(0, IPK_QUEUE_WR, 3, me), 3, word(0, IPK_QUEUE_FREE, 0, 0), 1,
	      word(0, IPK_QUEUE_FULL, 0, 0));
	s = seen_of();
	assert_int_equal(s.n, 1);
	assert_int_equal(s.held, 3);
	assert_string_equal(s.role, "producer");
	assert_int_equal(one_item("3"), -ENOENT);
	assert_sound();

	set_word(q, 2, word(0, IPK_QUEUE_FULL, 0, 0));
	set_word(q, 1, burst(0, IPK_QUEUE_TAKEN, 3, me));
	s = seen_of();
	assert_int_equal(s.n, 4);
	assert_int_equal(s.leased, 3);
	assert_int_equal(s.held, 3);
	assert_string_equal(s.role, "consumer");
	for (u64 i = 0; i < 4; i++)
		assert_int_equal(s.pos[i], i);
	assert_int_equal(one_item("3"), 0);
	assert_sound();

	set_word(q, 1, burst(0, IPK_QUEUE_FREE, 3, me));
	set_word(q, 3, word(1, IPK_QUEUE_FREE, 0, 0));
	s = seen_of();
	assert_int_equal(s.n, 1);
	assert_int_equal(s.held, 0);
	assert_int_equal(one_item("2"), -ENOENT);
	assert_sound();

	kill_somebody(q);
	set_word(q, 3, word(0, IPK_QUEUE_FULL, 1, 0));
	set_word(q, 1, burst(0, IPK_QUEUE_FULL, 3, dead_slot));
	s = seen_of();
	assert_int_equal(s.n, 4);
	assert_int_equal(s.leased, 0);
	assert_int_equal(s.redelivered, 3);
	assert_sound();
	drop_queue(q);
}

static void ignore(void *arg, const char *where, const char *what)
{
	(void)arg, (void)where, (void)what;
}

/* Damage is found, mended, and what were items are items still. */
static void a_burst_that_cannot_be_is_mended(void **state)
{
	static const struct {
		u64 slot, w; /* in a burst at 1 of 3 that is taken */
		unsigned items;
	} bad[] = {
		{1, 6, 4}, {1, 63, 4}, {2, 1, 3}, {3, 2, 4}, {3, 3, 4},
	};

	(void)state;
	for (unsigned i = 0; i < IPK_ARRAY_LEN(bad); i++) {
		struct ipk_queue *q = queue_at(0);
		struct ipk_segment *seg = q->obj.seg;
		struct ipk_error err = {0};
		struct ipk_queue_item item;
		unsigned n = 0;
		u64 val, w[] = {0, word(0, IPK_QUEUE_FREE, 0, 0), word(4, IPK_QUEUE_FULL, 0, 0),
				burst(0, IPK_QUEUE_TAKEN, 2, 1)};

		assert_int_equal(push_many(q, 0, 4), 4);
		kill_somebody(q);
		set_word(q, 1, burst(0, IPK_QUEUE_TAKEN, 3, dead_slot));
		assert_sound();
		set_word(q, bad[i].slot,
			 bad[i].slot == 1 ? burst(0, IPK_QUEUE_TAKEN, (u32)bad[i].w + 1, dead_slot)
					  : w[bad[i].w]);
		assert_int_not_equal(findings_of(SEG, "q").n, 0);
		ipk_queue_close(q);
		ipk_segment_close(seg);
		if (ipk_repair(SEG, 0, ignore, ignore, NULL, &err) < 0)
			fail_msg("repair: %s", err.text);
		assert_sound();
		seg = open_segment(SEG);
		q = open_queue(seg, "q");
		ipk_segment_sweep(seg);
		assert_sound();
		while (ipk_queue_pop(q, &val, 8, &item, IPK_NOWAIT) == 0)
			n++;
		assert_int_equal(n, bad[i].items);
		expect_as_new(q);
		drop_queue(q);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(bursts_of_any_length_in_any_capacity),
		T(elements_of_any_size),
		T(inspectors_take_a_burst_apart),
		T(a_burst_that_cannot_be_is_mended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
