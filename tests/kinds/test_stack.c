/* SPDX-License-Identifier: MIT */
/* Stacks in one process: order, limits, leases, values of any length, what tools see. */
#include "stack_test.h"

#include "ipk/repair.h"

/* ---- order and limits ----------------------------------------------------------------------- */

static void the_newest_comes_first(void **state)
{
	struct ipk_stack *s = make("x", "u64", 4);
	struct ipk_stack_item item;
	u64 val = 0;

	(void)state;
	assert_int_equal(ipk_stack_pop(s, &val, 8, NULL, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_stack_peek(s, &val, 8, &item), -EAGAIN);
	for (u64 i = 1; i <= 4; i++)
		push(s, i);
	assert_int_equal(ipk_stack_push(s, &val, 8, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_stack_push(s, &val, 8, ipk_deadline(MS)), -ETIMEDOUT);
	assert_int_equal(ipk_stack_count(s, NULL), 4);
	assert_int_equal(ipk_stack_peek(s, &val, 8, &item), 0);
	assert_int_equal(val, 4);
	assert_int_equal(item.pos, 3);
	assert_int_equal(item.redelivered, 0);
	assert_int_equal(pop(s), 4);
	assert_int_equal(pop(s), 3);
	push(s, 5);
	assert_int_equal(pop(s), 5);
	assert_int_equal(pop(s), 2);
	assert_int_equal(pop(s), 1);
	assert_int_equal(ipk_stack_pop(s, &val, 8, NULL, ipk_deadline(MS)), -ETIMEDOUT);
	end(s, "x");
}

static void what_does_not_fit_is_refused(void **state)
{
	struct ipk_stack *s = make("x", "u32", 4), *v = make("v", "bytes", 4), *other;
	struct ipk_error err = {0};
	u8 buf[100] = {1};

	(void)state;
	assert_int_equal(ipk_stack_push(s, buf, 8, IPK_NOWAIT), -EMSGSIZE);
	assert_int_equal(ipk_stack_push(s, buf, 4, IPK_NOWAIT), 0);
	assert_int_equal(ipk_stack_pop(s, buf, 3, NULL, IPK_NOWAIT), -EMSGSIZE);
	assert_int_equal(ipk_stack_count(s, NULL), 1);
	assert_int_equal(ipk_stack_pop(s, buf, 4, NULL, IPK_NOWAIT), 0);
	assert_int_equal(ipk_stack_push(v, buf, 90, IPK_NOWAIT), 0);
	assert_int_equal(ipk_stack_pop(v, buf, 89, NULL, IPK_NOWAIT), -EMSGSIZE);
	assert_int_equal(ipk_stack_pop(v, buf, 90, NULL, IPK_NOWAIT), 0);
	assert_int_equal(ipk_stack_push(v, buf, UINT64_C(1) << 40, IPK_NOWAIT), -EMSGSIZE);
	assert_int_equal(ipk_stack_open(seg, "x", "u64", &other, &err), -EMEDIUMTYPE);
	assert_int_equal(ipk_stack_create(seg, "x", NULL, 1, &err), -EEXIST);
	assert_int_equal(ipk_stack_create(seg, "y", "u64", UINT64_C(1) << 31, &err), -EINVAL);
	assert_int_equal(ipk_stack_create(seg, "y", "bytes:100000", UINT64_C(1) << 30, &err),
			 -ENOSPC);
	end(s, "x");
	end(v, "v");
}

static void batches_keep_the_order(void **state)
{
	struct ipk_stack *s = make("x", "u64", 150);
	struct ipk_stack_item items[200];
	struct iovec v[200];
	u64 val[200], out[200];

	(void)state;
	for (u64 i = 0; i < 200; i++) {
		val[i] = i;
		v[i] = (struct iovec){&val[i], 8};
	}
	assert_int_equal(ipk_stack_push_many(s, v, 0, IPK_NOWAIT), 0);
	assert_int_equal(ipk_stack_push_many(s, v, 200, IPK_NOWAIT), 150);
	assert_int_equal(ipk_stack_push_many(s, v, 1, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_stack_pop_many(s, out, 100 * 8, items, 200, IPK_NOWAIT), 100);
	for (u64 i = 0; i < 100; i++) {
		assert_int_equal(out[i], 149 - i);
		assert_ptr_equal(items[i].data, &out[i]);
		assert_int_equal(items[i].pos, 149 - i);
	}
	assert_int_equal(ipk_stack_pop_many(s, out, sizeof(out), NULL, 20, IPK_NOWAIT), 20);
	assert_int_equal(out[19], 30);
	assert_int_equal(ipk_stack_pop_many(s, out, sizeof(out), items, 200, IPK_NOWAIT), 30);
	assert_int_equal(out[29], 0);
	v[1].iov_len = 7;
	assert_int_equal(ipk_stack_push_many(s, v, 3, IPK_NOWAIT), 1);
	assert_int_equal(ipk_stack_push_many(s, v + 1, 2, IPK_NOWAIT), -EMSGSIZE);
	assert_int_equal(ipk_stack_drain(s), 1);
	assert_int_equal(ipk_stack_drain(s), -EAGAIN);
	end(s, "x");
}

/* ---- leases --------------------------------------------------------------------------------- */

static void what_is_given_back_lies_on_top_and_is_marked(void **state)
{
	struct ipk_stack *s = make("x", "u64", 4);
	struct ipk_stack_lease l[3], copy;
	struct ipk_stack_item item;
	uint64_t leased;
	u64 val;

	(void)state;
	for (u64 i = 1; i <= 4; i++)
		push(s, i);
	assert_int_equal(ipk_stack_lease_many(s, l, 3, IPK_NOWAIT), 3);
	assert_int_equal(*(const u64 *)l[0].data, 4);
	assert_int_equal(*(const u64 *)l[2].data, 2);
	assert_int_equal(l[2].pos, 1);
	assert_int_equal(ipk_stack_count(s, &leased), 4);
	assert_int_equal(leased, 3);
	/* It is full: what is leased may come back. */
	assert_int_equal(ipk_stack_push(s, &val, 8, IPK_NOWAIT), -EAGAIN);
	copy = l[1];
	assert_int_equal(ipk_stack_ack(s, &l[1]), 0);
	assert_int_equal(ipk_stack_ack(s, &l[1]), -EINVAL);
	assert_int_equal(ipk_stack_ack(s, &copy), -EINVAL);
	push(s, 5);
	assert_int_equal(ipk_stack_nack(s, &l[0]), 0);
	assert_int_equal(ipk_stack_nack(s, &l[0]), -EINVAL);
	assert_int_equal(findings_of("s", "x").n, 0);
	assert_int_equal(ipk_stack_pop(s, &val, 8, &item, IPK_NOWAIT), 0);
	assert_int_equal(val, 4);
	assert_int_equal(item.redelivered, 1);
	assert_int_equal(pop(s), 5);
	assert_int_equal(pop(s), 1);
	assert_int_equal(ipk_stack_pop(s, &val, 8, NULL, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_stack_nack(s, &l[2]), 0);
	assert_int_equal(ipk_stack_pop(s, &val, 8, &item, IPK_NOWAIT), 0);
	assert_int_equal(val, 2);
	assert_int_equal(ipk_stack_count(s, &leased), 0);
	end(s, "x");
}

static void the_mark_counts_and_stays_a_mark(void **state)
{
	struct ipk_stack *s = make("x", "u64", 1);
	struct ipk_stack_lease l;

	(void)state;
	push(s, 1);
	for (u32 i = 0; i < 200; i++) {
		assert_int_equal(ipk_stack_lease(s, &l, IPK_NOWAIT), 0);
		if (i <= 32)
			assert_int_equal(l.redelivered, i);
		else
			assert_in_range(l.redelivered, 32, 63);
		assert_int_equal(ipk_stack_nack(s, &l), 0);
	}
	assert_int_equal(ipk_stack_lease(s, &l, IPK_NOWAIT), 0);
	assert_int_equal(ipk_stack_ack(s, &l), 0);
	push(s, 2);
	assert_int_equal(ipk_stack_lease(s, &l, IPK_NOWAIT), 0);
	assert_int_equal(l.redelivered, 0);
	assert_int_equal(ipk_stack_ack(s, &l), 0);
	end(s, "x");
}

/* ---- the end -------------------------------------------------------------------------------- */

static void a_shut_stack_lets_nothing_in_and_everything_out(void **state)
{
	struct ipk_stack *s = make("x", "u64", 4);
	struct ipk_stack_lease l;
	u64 val;

	(void)state;
	push(s, 1);
	push(s, 2);
	assert_int_equal(ipk_stack_lease(s, &l, IPK_NOWAIT), 0);
	assert_false(ipk_stack_is_shut(s));
	assert_int_equal(ipk_stack_shutdown(s), 0);
	assert_true(ipk_stack_is_shut(s));
	assert_int_equal(ipk_stack_push(s, &val, 8, IPK_NOWAIT), -EPIPE);
	assert_int_equal(ipk_stack_push(s, &val, 8, IPK_FOREVER), -EPIPE);
	assert_int_equal(pop(s), 1);
	/* What is leased may come back. */
	assert_int_equal(ipk_stack_pop(s, &val, 8, NULL, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_stack_peek(s, &val, 8, NULL), -EAGAIN);
	assert_int_equal(ipk_stack_nack(s, &l), 0);
	assert_int_equal(ipk_stack_lease(s, &l, IPK_NOWAIT), 0);
	assert_int_equal(ipk_stack_ack(s, &l), 0);
	assert_int_equal(ipk_stack_pop(s, &val, 8, NULL, IPK_FOREVER), -EPIPE);
	assert_int_equal(ipk_stack_lease(s, &l, IPK_FOREVER), -EPIPE);
	assert_int_equal(ipk_stack_peek(s, &val, 8, NULL), -EPIPE);
	assert_int_equal(ipk_stack_drain(s), -EPIPE);
	end(s, "x");
}

static void who_may_only_read_looks_and_takes_nothing(void **state)
{
	struct ipk_stack *s = make("x", "u64", 4), *r;
	struct ipk_segment *reader;
	struct ipk_stack_lease l;
	u64 val = 0;

	(void)state;
	push(s, 7);
	assert_int_equal(ipk_segment_open("s", IPK_READ, &reader, NULL), 0);
	assert_int_equal(ipk_stack_open(reader, "x", "u64", &r, NULL), 0);
	assert_int_equal(ipk_stack_peek(r, &val, 8, NULL), 0);
	assert_int_equal(val, 7);
	assert_int_equal(ipk_stack_count(r, NULL), 1);
	assert_int_equal(ipk_stack_push(r, &val, 8, IPK_NOWAIT), -EACCES);
	assert_int_equal(ipk_stack_pop(r, &val, 8, NULL, IPK_NOWAIT), -EACCES);
	assert_int_equal(ipk_stack_lease(r, &l, IPK_NOWAIT), -EACCES);
	assert_int_equal(ipk_stack_drain(r), -EACCES);
	assert_int_equal(ipk_stack_shutdown(r), -EACCES);
	ipk_stack_close(r);
	ipk_segment_close(reader);
	end(s, "x");
}

/* ---- damage --------------------------------------------------------------------------------- */

static void found(const char *what)
{
	struct findings f = findings_of("s", "x");

	if (!f.n || !strstr(f.last, what))
		fail_msg("\"%s\" was not found, but \"%s\"", what, f.last);
}

static void damage_is_found(void **state)
{
	struct ipk_stack *s = make("x", "bytes", 4);
	struct ipk_stack_body *b = s->b;
	struct ipk_stack_lease l;
	u8 val[100] = {0};
	u64 top, word;

	(void)state;
	assert_int_equal(ipk_stack_push(s, val, 100, IPK_NOWAIT), 0);
	assert_int_equal(ipk_stack_push(s, val, 10, IPK_NOWAIT), 0);
	assert_int_equal(ipk_stack_lease(s, &l, IPK_NOWAIT), 0);
	assert_int_equal(findings_of("s", "x").n, 0);
	b->order[2] = b->order[0];
	found("named twice");
	b->order[2] = 77;
	found("names slot 77 of 4");
	b->order[2] = l.slot_;
	found("is leased");
	b->order[0] = 9;
	assert_int_equal(ipk_stack_pop(s, val, 100, NULL, IPK_NOWAIT), -EBADMSG);
	assert_int_equal(ipk_stack_peek(s, val, 100, NULL), -EBADMSG);
	b->order[0] = 0;
	b->order[2] = 2;
	top = b->top;
	b->top = st_top(4, 4);
	found("8 items of 4");
	assert_int_equal(ipk_stack_pop(s, val, 100, NULL, IPK_NOWAIT), -EBADMSG);
	b->top = top;
	word = s_slot(s, l.slot_)->w;
	s_slot(s, l.slot_)->w &= ~SW_OWN;
	found("0 slots are leased, and 1 should be");
	s_slot(s, l.slot_)->w = word;
	s_slot(s, 0)->var.len = 200;
	found("longer than its buffer");
	s_slot(s, 0)->var.len = 100;
	b->redo.todo = 1;
	b->redo.change.slot = 4;
	found("cannot be");
	b->redo.todo = 0;
	b->redo.change.slot = 0;
	assert_int_equal(ipk_stack_ack(s, &l), 0);
	end(s, "x");
}

/* ---- repair --------------------------------------------------------------------------------- */

static void remark(void *arg, const char *where, const char *what)
{
	(void)where, (void)what;
	++*(int *)arg;
}

static int repair(void)
{
	struct ipk_error err = {0};
	int did = 0, r = ipk_repair("s", 0, remark, remark, &did, &err);

	if (r != 0)
		fail_msg("repair: %d %s", r, err.text);
	return did;
}

static void a_repair_keeps_the_order_and_gives_back_what_was_leased(void **state)
{
	struct ipk_stack *s = make("x", "bytes", 5);
	struct ipk_stack_item item;
	struct ipk_stack_lease l;
	u8 val[100] = {0};

	(void)state;
	for (u8 i = 1; i <= 4; i++) {
		val[0] = i;
		assert_int_equal(ipk_stack_push(s, val, i == 2 ? 90 : 10, IPK_NOWAIT), 0);
	}
	assert_int_equal(ipk_stack_lease(s, &l, IPK_NOWAIT), 0);
	s->b->order[1] = 0; /* the second entry names the first's slot: the second is lost */
	s->b->top = st_top(3, 0);
	ipk_stack_close(s);
	ipk_segment_close(seg);
	seg = NULL;
	assert_true(repair() > 0);
	seg = open_segment("s");
	s = open_stack("x");
	assert_int_equal(ipk_stack_count(s, NULL), 3);
	assert_int_equal(ipk_stack_pop(s, val, 100, &item, IPK_NOWAIT), 0);
	assert_int_equal(val[0], 4);
	assert_int_equal(item.redelivered, 1);
	assert_int_equal(ipk_stack_pop(s, val, 100, NULL, IPK_NOWAIT), 0);
	assert_int_equal(val[0], 3);
	assert_int_equal(ipk_stack_pop(s, val, 100, NULL, IPK_NOWAIT), 0);
	assert_int_equal(val[0], 1);
	for (u8 i = 0; i < 5; i++)
		assert_int_equal(ipk_stack_push(s, val, 100, IPK_NOWAIT), 0);
	end(s, "x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_newest_comes_first),
		TEST(what_does_not_fit_is_refused),
		TEST(batches_keep_the_order),
		TEST(what_is_given_back_lies_on_top_and_is_marked),
		TEST(the_mark_counts_and_stays_a_mark),
		TEST(a_shut_stack_lets_nothing_in_and_everything_out),
		TEST(who_may_only_read_looks_and_takes_nothing),
		TEST(damage_is_found),
		TEST(a_repair_keeps_the_order_and_gives_back_what_was_leased),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
