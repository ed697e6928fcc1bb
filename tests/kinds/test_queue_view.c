/* SPDX-License-Identifier: MIT */
/* What inspectors see of a queue: items, numbers, holders, damage. */
#include "kinds/queue_test.h"

struct seen {
	unsigned n;
	u64 pos[64];
	char text[64][100];
	u32 redelivered[64];
	bool leased[64];
};

static int note_item(void *arg, const struct ipk_item *item)
{
	struct seen *s = arg;

	assert_true(s->n < 64);
	s->pos[s->n] = item->pos;
	snprintf(s->text[s->n], sizeof(s->text[0]), "%.*s", (int)item->len, (const char *)item->data);
	s->redelivered[s->n] = item->redelivered;
	s->leased[s->n] = item->leased;
	s->n++;
	return 0;
}

static struct seen items(u64 from, u64 to)
{
	struct seen s = {0};
	struct look l;

	look(&l, SEG, "q");
	assert_int_equal(l.kind->items(&l.o, from, to, note_item, &s), 0);
	look_end(&l);
	return s;
}

static int item(const char *key, struct seen *ret)
{
	struct look l;
	int r;

	memset(ret, 0, sizeof(*ret));
	look(&l, SEG, "q");
	r = l.kind->item(&l.o, key, strlen(key), note_item, ret);
	look_end(&l);
	return r;
}

static u64 used_of(void)
{
	uint64_t used = 0, cap = 0;
	struct look l;

	look(&l, SEG, "q");
	assert_int_equal(l.kind->inspect(&l.o, &used, &cap), 0);
	look_end(&l);
	return used;
}

struct stats {
	struct ipk_visitor v;
	u64 val[16];
	unsigned n;
};

static int note_stat(struct ipk_visitor *v, const char *name, uint64_t val)
{
	struct stats *s = (struct stats *)v;

	assert_string_equal(name, ipk_kind_queue.stats[s->n]);
	s->val[s->n++] = val;
	return 0;
}

static u64 stat_of(const char *name)
{
	struct stats s = {.v = {.u64 = note_stat}};
	struct look l;

	look(&l, SEG, "q");
	assert_int_equal(l.kind->stats_visit(&l.o, &s.v), 0);
	look_end(&l);
	assert_null(ipk_kind_queue.stats[s.n]);
	for (unsigned i = 0; i < s.n; i++)
		if (!strcmp(name, ipk_kind_queue.stats[i]))
			return s.val[i];
	fail_msg("no %s", name);
	return 0;
}

static const char long_value[] = "this value does not fit into forty bytes of a slot";

static void items_are_shown_oldest_first(void **state)
{
	struct ipk_queue *q = make_queue("str", 4);
	struct ipk_queue_lease lease;
	struct seen s;
	char text[8], buf[100];

	(void)state;
	assert_int_equal(items(0, UINT64_MAX).n, 0);
	for (int i = 0; i < 6; i++) {
		snprintf(text, sizeof(text), "%d", i);
		assert_int_equal(push_text(q, text), 0);
		if (i < 3)
			assert_int_equal(ipk_queue_pop(q, buf, sizeof(buf), NULL, IPK_NOWAIT), 0);
	}
	assert_int_equal(push_text(q, long_value), 0);
	assert_int_equal(ipk_queue_lease(q, &lease, IPK_NOWAIT), 0);
	s = items(0, UINT64_MAX);
	assert_int_equal(s.n, 4);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(s.pos[i], 3 + i);
		assert_int_equal(s.leased[i], i == 0);
	}
	assert_string_equal(s.text[0], "3");
	assert_string_equal(s.text[3], long_value);
	assert_int_equal(ipk_queue_nack(q, &lease), 0);
	s = items(0, 5);
	assert_int_equal(s.n, 2);
	assert_int_equal(s.redelivered[0], 1);
	assert_false(s.leased[0]);
	assert_int_equal(s.redelivered[1], 0);
	assert_int_equal(items(5, 6).n, 1);
	assert_int_equal(items(7, UINT64_MAX).n, 0);
	drop_queue(q);
}

static void an_item_is_found_by_its_position(void **state)
{
	struct ipk_queue *q = make_queue("u32", 3);
	u32 val = 0;
	struct seen s;

	(void)state;
	for (u32 i = 0; i < 10; i++) {
		memcpy(&val, i == 9 ? "nine" : "some", 4);
		assert_int_equal(ipk_queue_push(q, &val, 4, IPK_NOWAIT), 0);
		if (i < 8)
			assert_int_equal(ipk_queue_pop(q, &val, 4, NULL, IPK_NOWAIT), 0);
	}
	assert_int_equal(item("9", &s), 0);
	assert_string_equal(s.text[0], "nine");
	assert_int_equal(s.pos[0], 9);
	assert_int_equal(item("0008", &s), 0);
	assert_int_equal(s.pos[0], 8);
	assert_int_equal(item("7", &s), -ENOENT);
	assert_int_equal(item("10", &s), -ENOENT);
	assert_int_equal(item("12", &s), -ENOENT);
	assert_int_equal(item("x", &s), -EINVAL);
	assert_int_equal(item("8..10", &s), 0);
	assert_int_equal(s.n, 2);
	drop_queue(q);
}

static void numbers_add_up(void **state)
{
	struct ipk_queue *q = make_queue("u64", 4);
	struct ipk_queue_lease lease;

	(void)state;
	for (u64 i = 0; i < 10; i++) {
		assert_int_equal(push_u64(q, i), 0);
		if (i < 8)
			assert_int_equal(pop_u64(q), i);
	}
	assert_int_equal(ipk_queue_lease(q, &lease, IPK_NOWAIT), 0);
	assert_int_equal(used_of(), 2);
	assert_int_equal(stat_of("pushed"), 10);
	assert_int_equal(stat_of("popped"), 8);
	assert_int_equal(stat_of("leased"), 1);
	assert_int_equal(stat_of("head"), 9);
	assert_int_equal(stat_of("tail"), 10);
	assert_int_equal(stat_of("redelivered"), 0);
	assert_int_equal(ipk_queue_nack(q, &lease), 0);
	assert_int_equal(stat_of("redelivered"), 1);
	assert_int_equal(pop_u64(q), 8);
	assert_int_equal(pop_u64(q), 9);
	assert_int_equal(stat_of("popped"), 10);
	assert_int_equal(stat_of("closed"), 0);
	assert_int_equal(ipk_queue_shutdown(q), 0);
	assert_int_equal(stat_of("closed"), 1);
	/* Positions that never held an item do not count. */
	assert_int_equal(stat_of("skipped"), 0);
	drop_queue(q);
	q = make_queue("u64", 4);
	set_word(q, 0, word(0, IPK_QUEUE_WR, 0, own_slot(q)));
	ipk_queue_give_up(q, q_slot(q, 0), 0);
	assert_int_equal(push_u64(q, 1), 0);
	assert_int_equal(stat_of("skipped"), 1);
	assert_int_equal(stat_of("pushed"), 1);
	assert_int_equal(stat_of("tail"), 2);
	drop_queue(q);
}

struct held {
	unsigned n;
	char text[8][40];
};

static int note_holder(void *arg, uint32_t slot, const char *role, uint64_t count)
{
	struct held *h = arg;

	(void)slot;
	assert_true(h->n < 8);
	snprintf(h->text[h->n++], sizeof(h->text[0]), "%s %llu", role, (unsigned long long)count);
	return 0;
}

static void holders_are_named_with_what_they_do(void **state)
{
	struct ipk_queue *q = make_queue("u64", 8);
	struct ipk_queue_lease lease[3];
	struct held h = {0};
	struct look l;

	(void)state;
	for (u64 i = 0; i < 5; i++)
		assert_int_equal(push_u64(q, i), 0);
	assert_int_equal(ipk_queue_lease_many(q, lease, 3, IPK_NOWAIT), 3);
	set_word(q, 3, word(0, IPK_QUEUE_TAKEN, 0, own_slot(q)));
	set_word(q, 5, word(0, IPK_QUEUE_WR, 0, own_slot(q)));
	look(&l, SEG, "q");
	assert_int_equal(l.kind->holders(&l.o, note_holder, &h), 0);
	look_end(&l);
	assert_int_equal(h.n, 3);
	assert_string_equal(h.text[0], "producer 1");
	assert_string_equal(h.text[1], "lease 3");
	assert_string_equal(h.text[2], "consumer 1");
	drop_queue(q);
}

/* ---- damage ---------------------------------------------------------------------------------- */

static void assert_found(const char *what)
{
	struct findings f = findings_of(SEG, "q");

	if (!f.n)
		fail_msg("not found: %s", what);
	if (!strstr(f.last, what))
		fail_msg("found: %s, not: %s", f.last, what);
}

static void damaged_words_are_found(void **state)
{
	static const u64 bad[] = {
		UINT64_C(5) << QW_RDC_SHIFT, /* FREE that was delivered */
		7, /* FREE with an owner */
		UINT64_C(1) << QW_ST_SHIFT, /* WR without */
		UINT64_C(3) << QW_ST_SHIFT, /* TAKEN without */
		UINT64_C(2) << QW_ST_SHIFT | IPK_SLOTS_MAX, /* an owner that cannot be */
	};
	struct ipk_queue *q = make_queue("u64", 4);

	(void)state;
	for (unsigned i = 0; i < IPK_ARRAY_LEN(bad); i++) {
		set_word(q, 2, bad[i]);
		assert_found("none that a queue writes");
		set_word(q, 2, 0);
		assert_sound();
	}
	drop_queue(q);
}

static void laps_that_do_not_follow_are_found(void **state)
{
	struct ipk_queue *q = make_queue("u64", 4);

	(void)state;
	for (u64 i = 0; i < 9; i++) {
		assert_int_equal(push_u64(q, i), 0);
		assert_int_equal(pop_u64(q), i);
	}
	assert_sound();
	set_word(q, 2, word(1, IPK_QUEUE_FREE, 0, 0));
	assert_found("slot 2 is behind");
	set_word(q, 2, word(0, IPK_QUEUE_FREE, 0, 0));
	assert_found("slot 2 is behind");
	set_word(q, 2, word(2, IPK_QUEUE_FREE, 0, 0));
	assert_sound();
	ipk_st(&q->b->tail, UINT64_C(10), release);
	assert_found("tail is ahead");
	ipk_st(&q->b->tail, UINT64_C(3), release);
	ipk_st(&q->b->head, UINT64_C(1) << 50, release);
	assert_found("head is ahead");
	ipk_st(&q->b->head, UINT64_C(9), release);
	assert_sound();
	set_word(q, 3, word(1, IPK_QUEUE_FULL, 0, 0));
	assert_found("never delivered");
	drop_queue(q);
}

static void damaged_buffers_are_found(void **state)
{
	struct ipk_queue *q = make_queue("str", 4);
	struct ipk_queue_slot *s = q_slot(q, 0);
	struct ipk_slot_buffer *buf;
	u64 good;
	struct seen seen;
	struct look l;

	(void)state;
	assert_int_equal(push_text(q, long_value), 0);
	assert_sound();
	good = s->var.buf;
	buf = (struct ipk_slot_buffer *)(void *)(q->obj.seg->base + good);
	s->var.buf = 0;
	assert_found("without a buffer");
	s->var.buf = good + 8;
	assert_found("at no block");
	s->var.buf = UINT64_C(1) << 40;
	assert_found("outside");
	s->var.buf = good;
	s->var.len = buf->cap + 1;
	assert_found("longer than its buffer");
	memset(&seen, 0, sizeof(seen));
	look(&l, SEG, "q");
	assert_int_equal(l.kind->items(&l.o, 0, UINT64_MAX, note_item, &seen), -EBADMSG);
	look_end(&l);
	buf->cap = UINT64_MAX - 3;
	assert_found("beyond the segment");
	drop_queue(q);
}

static void a_damaged_head_is_refused(void **state)
{
	struct ipk_queue *q = make_queue("u64", 4), *again;
	struct ipk_error err;

	(void)state;
	q->b->cap = 5;
	assert_int_equal(ipk_queue_open(q->obj.seg, "q", NULL, &again, &err), -EBADMSG);
	assert_found("do not agree");
	q->b->cap = UINT64_MAX;
	assert_int_equal(ipk_queue_open(q->obj.seg, "q", NULL, &again, &err), -EBADMSG);
	assert_found("do not agree");
	q->b->cap = 4;
	q->b->size = 4;
	assert_int_equal(ipk_queue_open(q->obj.seg, "q", NULL, &again, &err), -EBADMSG);
	assert_found("do not agree");
	drop_queue(q);
}

/* Any bytes at all in the slots: errors, no hang, no crash, nothing outside. */
static void noise_in_the_slots_hangs_nobody(void **state)
{
	u64 seed = 99;

	(void)state;
	for (int round = 0; round < 300; round++) {
		struct ipk_queue *q = make_queue(round % 2 ? "u64" : "str", 1 + round % 9);
		char buf[100];
		struct ipk_queue_lease lease;
		struct look l;
		struct seen s = {0};

		for (u64 i = 0; i < q->g.cap * q->g.stride; i++)
			q->slots[i] = seeded(&seed) % 4 ? 0 : (u8)seeded(&seed);
		if (round % 3 == 0)
			q->b->tail = (u64)seeded(&seed) << 32 | seeded(&seed);
		if (round % 3 == 1)
			q->b->head = (u64)seeded(&seed) << 32 | seeded(&seed);
		for (int i = 0; i < 4; i++) {
			ipk_queue_push(q, "abcdefgh", 8, IPK_NOWAIT);
			ipk_queue_pop(q, buf, sizeof(buf), NULL, IPK_NOWAIT);
			ipk_queue_peek(q, buf, sizeof(buf), NULL);
			if (ipk_queue_lease(q, &lease, IPK_NOWAIT) == 0)
				ipk_queue_ack(q, &lease);
		}
		ipk_queue_recover(&q->obj);
		ipk_queue_shutdown(q);
		ipk_queue_drain(q);
		findings_of(SEG, "q");
		look(&l, SEG, "q");
		l.kind->items(&l.o, 0, UINT64_MAX, note_item, &s);
		look_end(&l);
		drop_queue(q);
	}
}

/* ---- beside others --------------------------------------------------------------------------- */

static u32 *stop;

static void churn(void *arg)
{
	struct ipk_queue *q = child_queue();
	u8 val[3000], got[3000];

	(void)arg;
	for (u32 i = 0; !ipk_ld(stop, relaxed); i++) {
		u32 len = i * 7919 % 3000;

		memset(val, (int)(len % 251), len);
		must(ipk_queue_push(q, val, len, IPK_NOWAIT) == 0);
		if (i >= 5)
			must(ipk_queue_pop(q, got, sizeof(got), NULL, IPK_NOWAIT) == 0);
	}
}

struct order {
	u64 next;
	unsigned n;
};

static int whole(void *arg, const struct ipk_item *item)
{
	struct order *o = arg;
	const u8 *b = item->data;

	for (u64 i = 0; i < item->len; i++)
		if (b[i] != (u8)(item->len % 251))
			fail_msg("torn at %llu of %llu", (unsigned long long)i,
				 (unsigned long long)item->len);
	assert_true(item->pos >= o->next);
	o->next = item->pos + 1;
	o->n++;
	return 0;
}

static void what_is_shown_is_whole_while_others_push_and_pop(void **state)
{
	struct ipk_queue *q = make_queue("bytes", 7);
	unsigned n = 0;
	pid_t pid;

	(void)state;
	stop = shared(sizeof(*stop));
	pid = spawn(churn, NULL);
	await(stat_of("pushed") > 100);
	for (int round = 0; round < 300 || n < 500; round++) {
		struct order o = {0};
		struct look l;

		look(&l, SEG, "q");
		assert_int_equal(l.kind->items(&l.o, 0, UINT64_MAX, whole, &o), 0);
		look_end(&l);
		n += o.n;
		assert_true(used_of() <= 7);
		assert_sound();
	}
	ipk_st(stop, 1u, relaxed);
	assert_ended_well(join_child(pid));
	drop_queue(q);
}

#define T(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(items_are_shown_oldest_first),
		T(an_item_is_found_by_its_position),
		T(numbers_add_up),
		T(holders_are_named_with_what_they_do),
		T(damaged_words_are_found),
		T(laps_that_do_not_follow_are_found),
		T(damaged_buffers_are_found),
		T(a_damaged_head_is_refused),
		T(noise_in_the_slots_hangs_nobody),
		T(what_is_shown_is_whole_while_others_push_and_pop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
