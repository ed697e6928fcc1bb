/* SPDX-License-Identifier: MIT */
/* Stacks: any operations with values of any length, against a simple model. */
#include "stack_test.h"

/* ---- against a model ------------------------------------------------------------------------ */

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(random_operations_do_what_a_simple_model_does),
		TEST(a_full_segment_refuses_long_values_and_uses_idle_buffers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
