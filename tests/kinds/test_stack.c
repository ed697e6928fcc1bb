/* SPDX-License-Identifier: MIT */
/* Stacks in one process: order, limits, leases, values of any length, what tools see. */
#include "fixture_one.h"

#include "ipk/repair.h"
#include "ipk/stack.h"
#include "kinds/stack.h"

static struct ipk_stack *open_stack(const char *name)
{
	struct ipk_error err = {0};
	struct ipk_stack *s = NULL;

	if (ipk_stack_open(seg, name, NULL, &s, &err) < 0)
		fail_msg("stack %s: %s", name, err.text);
	return s;
}

static struct ipk_stack *make(const char *name, const char *type, u64 cap)
{
	struct ipk_error err = {0};

	if (ipk_stack_create(seg, name, type, cap, &err) < 0)
		fail_msg("stack %s of %s: %s", name, type, err.text);
	return open_stack(name);
}

static void end(struct ipk_stack *s, const char *name)
{
	struct findings f = findings_of("s", name);

	if (f.n)
		fail_msg("%s: %s", name, f.last);
	ipk_stack_close(s);
	assert_int_equal(ipk_object_remove(seg, name, NULL), 0);
}

static void push(struct ipk_stack *s, u64 val)
{
	assert_int_equal(ipk_stack_push(s, &val, sizeof(val), IPK_NOWAIT), 0);
}

static u64 pop(struct ipk_stack *s)
{
	u64 val = 0;

	assert_int_equal(ipk_stack_pop(s, &val, sizeof(val), NULL, IPK_NOWAIT), 0);
	return val;
}

/* ---- order and limits --------------------------------------------------------------------------
 */

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
	assert_int_equal(ipk_stack_pop_many(s, out, sizeof(out), items, 200, IPK_NOWAIT), 50);
	assert_int_equal(out[49], 0);
	v[1].iov_len = 7;
	assert_int_equal(ipk_stack_push_many(s, v, 3, IPK_NOWAIT), 1);
	assert_int_equal(ipk_stack_push_many(s, v + 1, 2, IPK_NOWAIT), -EMSGSIZE);
	assert_int_equal(ipk_stack_drain(s), 1);
	assert_int_equal(ipk_stack_drain(s), -EAGAIN);
	end(s, "x");
}

/* ---- leases ------------------------------------------------------------------------------------
 */

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

/* ---- against a model ---------------------------------------------------------------------------
 */

#define CAP 24u
#define HELD 5u
#define LONGEST 3000u

struct model {
	u32 stack[CAP], n; /* numbers of values */
	struct ipk_stack_lease lease[HELD];
	u32 held[HELD], nheld;
	u32 next;
};

static u32 value_of(u8 *to, u32 k)
{
	u32 len = k % 7 == 0 ? 41 + k % (LONGEST - 41) : 4 + k % 37;

	memset(to, (int)(k % 251), len);
	memcpy(to, &k, 4);
	return len;
}

static void check_value(const void *data, u64 len, u32 k)
{
	u8 want[LONGEST];

	assert_int_equal(len, value_of(want, k));
	assert_memory_equal(data, want, len);
}

static void one_random_op(struct model *md, struct ipk_stack *s, u64 *seed, u32 pushes)
{
	u32 what = seeded(seed) % 100, i;
	u8 buf[LONGEST];
	struct ipk_stack_item item;
	int r;

	if (what < pushes) {
		r = ipk_stack_push(s, buf, value_of(buf, ++md->next), IPK_NOWAIT);
		assert_int_equal(r, md->n + md->nheld < CAP ? 0 : -EAGAIN);
		if (r == 0)
			md->stack[md->n++] = md->next;
	} else if (what < 75) {
		r = ipk_stack_pop(s, buf, sizeof(buf), &item, IPK_NOWAIT);
		assert_int_equal(r, md->n ? 0 : -EAGAIN);
		if (r == 0)
			check_value(buf, item.len, md->stack[--md->n]);
	} else if (what < 85 && md->nheld < HELD) {
		r = ipk_stack_lease(s, &md->lease[md->nheld], IPK_NOWAIT);
		assert_int_equal(r, md->n ? 0 : -EAGAIN);
		if (r == 0)
			md->held[md->nheld++] = md->stack[--md->n];
	} else if (md->nheld) {
		i = seeded(seed) % md->nheld;
		check_value(md->lease[i].data, md->lease[i].len, md->held[i]);
		if (what % 2) {
			assert_int_equal(ipk_stack_ack(s, &md->lease[i]), 0);
		} else {
			assert_int_equal(ipk_stack_nack(s, &md->lease[i]), 0);
			md->stack[md->n++] = md->held[i];
		}
		md->lease[i] = md->lease[--md->nheld];
		md->held[i] = md->held[md->nheld];
	}
	r = ipk_stack_peek(s, buf, sizeof(buf), &item);
	assert_int_equal(r, md->n ? 0 : -EAGAIN);
	if (r == 0)
		check_value(buf, item.len, md->stack[md->n - 1]);
	assert_int_equal(ipk_stack_count(s, NULL), md->n + md->nheld);
}

struct seen {
	struct model *md;
	u32 n;
	bool down;
};

static int see(void *arg, const struct ipk_item *item)
{
	struct seen *seen = arg;
	struct model *md = seen->md;
	u32 i = seen->n++, k;

	if (seen->down) {
		assert_int_equal(item->pos, md->n - 1 - i);
		check_value(item->data, item->len, md->stack[md->n - 1 - i]);
		return 0;
	}
	assert_int_equal(item->pos, i);
	assert_int_equal(item->leased, i >= md->n);
	if (i < md->n) {
		check_value(item->data, item->len, md->stack[i]);
		return 0;
	}
	memcpy(&k, item->data, 4);
	for (i = 0; i < md->nheld && md->held[i] != k; i++)
		;
	assert_true(i < md->nheld);
	return 0;
}

static void check_views(struct model *md)
{
	struct seen up = {.md = md}, down = {.md = md, .down = true};
	struct look l;
	uint64_t used, cap;

	look(&l, "s", "x");
	assert_int_equal(l.kind->items(&l.o, 0, UINT64_MAX, see, &up), 0);
	assert_int_equal(up.n, md->n + md->nheld);
	assert_int_equal(l.kind->peek(&l.o, see, &down), 0);
	assert_int_equal(down.n, md->n);
	assert_int_equal(l.kind->inspect(&l.o, &used, &cap), 0);
	assert_int_equal(used, md->n + md->nheld);
	assert_int_equal(cap, CAP);
	assert_int_equal(l.kind->item(&l.o, "24", 2, see, &up), -ENOENT);
	look_end(&l);
	assert_int_equal(findings_of("s", "x").n, 0);
}

static void random_operations_do_what_a_simple_model_does(void **state)
{
	struct model *md = calloc(1, sizeof(*md));
	u64 nothing = info_of("s").used, seed = 9;
	struct ipk_stack *s = make("x", "bytes", CAP);

	(void)state;
	for (u32 round = 0; round < 40; round++) {
		for (u32 i = 0; i < 500; i++)
			one_random_op(md, s, &seed, round % 2 ? 30 : 50);
		check_views(md);
	}
	free(md);
	end(s, "x");
	assert_int_equal(info_of("s").used, nothing);
}

static void a_full_segment_refuses_long_values_and_uses_idle_buffers(void **state)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_segment *small;
	struct ipk_stack *s;
	u8 *val = calloc(1, 200000);
	u32 n = 0;
	int r;

	(void)state;
	options.size = options.max = 512 << 10;
	assert_int_equal(ipk_segment_create("small", &options, &small, NULL), 0);
	assert_int_equal(ipk_stack_create(small, "x", "bytes", 100, NULL), 0);
	assert_int_equal(ipk_stack_open(small, "x", NULL, &s, NULL), 0);
	do
		r = ipk_stack_push(s, val, 30000, IPK_NOWAIT);
	while (r == 0 && ++n);
	assert_int_equal(r, -ENOSPC);
	assert_true(n > 3);
	assert_int_equal(ipk_stack_count(s, NULL), n);
	assert_int_equal(ipk_stack_push(s, val, 40, IPK_NOWAIT), 0);
	assert_int_equal(ipk_stack_drain(s), n + 1);
	/* The buffers of all free slots but the first go for one that is longer. */
	assert_int_equal(ipk_stack_push(s, val, 200000, IPK_NOWAIT), 0);
	assert_int_equal(findings_of("small", "x").n, 0);
	ipk_stack_close(s);
	ipk_segment_close(small);
	free(val);
}

/* ---- the end -----------------------------------------------------------------------------------
 */

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

/* ---- damage ------------------------------------------------------------------------------------
 */

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

/* ---- repair ------------------------------------------------------------------------------------
 */

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
		TEST(random_operations_do_what_a_simple_model_does),
		TEST(a_full_segment_refuses_long_values_and_uses_idle_buffers),
		TEST(a_shut_stack_lets_nothing_in_and_everything_out),
		TEST(who_may_only_read_looks_and_takes_nothing),
		TEST(damage_is_found),
		TEST(a_repair_keeps_the_order_and_gives_back_what_was_leased),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
