/* SPDX-License-Identifier: MIT */
/* Many processes at one queue: each item exactly once, in each producer's order. */
#include "kinds/queue_test.h"

#define ITEMS 200000u
#define SIDES 2u

struct tally {
	u32 seen[SIDES * ITEMS];
	u64 popped;
	u32 batch; /* 0: one by one */
};

static struct tally *tally;

struct worker {
	u32 id;
};

static void produce_batches(struct ipk_queue *q, u32 id)
{
	u64 val[64];
	struct iovec v[64];

	for (u32 i = 0; i < ITEMS;) {
		unsigned n = i % 64 + 1, done = 0;

		if (n > ITEMS - i)
			n = ITEMS - i;
		for (unsigned k = 0; k < n; k++) {
			val[k] = (u64)id * ITEMS + i + k;
			v[k] = (struct iovec){&val[k], 8};
		}
		while (done < n) {
			int r = ipk_queue_push_many(q, v + done, n - done, IPK_FOREVER);

			must(r > 0);
			done += (unsigned)r;
		}
		i += n;
	}
}

static void produce(void *arg)
{
	struct ipk_queue *q = child_queue();
	u32 id = ((struct worker *)arg)->id;

	if (tally->batch) {
		produce_batches(q, id);
		return;
	}
	for (u32 i = 0; i < ITEMS; i++) {
		u64 val = (u64)id * ITEMS + i;

		must(ipk_queue_push(q, &val, 8, IPK_FOREVER) == 0);
	}
}

/* What one consumer gets of one producer is in order. */
static void note(u64 val, u64 last[SIDES])
{
	u32 id = (u32)(val / ITEMS);

	must(val < SIDES * ITEMS);
	must(val % ITEMS + 1 > last[id]);
	last[id] = val % ITEMS + 1;
	ipk_add(&tally->seen[val], 1u, relaxed);
	ipk_add(&tally->popped, 1, relaxed);
}

static void consume(void *arg)
{
	struct ipk_queue *q = child_queue();
	u64 last[SIDES] = {0}, val[64];
	struct ipk_queue_item items[64];
	int r;

	(void)arg;
	for (;;) {
		if (tally->batch)
			r = ipk_queue_pop_many(q, val, sizeof(val), items, 64, IPK_FOREVER);
		else
			r = ipk_queue_pop(q, val, 8, &items[0], IPK_FOREVER);
		if (r == -EPIPE)
			return;
		must(r >= 0);
		for (int i = 0; i < (tally->batch ? r : 1); i++) {
			must(items[i].redelivered == 0);
			note(val[i], last);
		}
	}
}

static void run(u64 cap, bool batch)
{
	struct ipk_queue *q = make_queue("u64", cap);
	struct worker w[SIDES];
	pid_t in[SIDES], out[SIDES];

	tally = shared(sizeof(*tally));
	tally->batch = batch;
	for (u32 i = 0; i < SIDES; i++) {
		w[i].id = i;
		in[i] = spawn(produce, &w[i]);
		out[i] = spawn(consume, NULL);
	}
	for (u32 i = 0; i < SIDES; i++)
		assert_ended_well(join_child(in[i]));
	assert_int_equal(ipk_queue_shutdown(q), 0);
	for (u32 i = 0; i < SIDES; i++)
		assert_ended_well(join_child(out[i]));
	assert_int_equal(tally->popped, SIDES * ITEMS);
	for (u32 i = 0; i < SIDES * ITEMS; i++)
		assert_int_equal(tally->seen[i], 1);
	assert_sound();
	drop_queue(q);
	munmap(tally, sizeof(*tally));
}

static void two_and_two_one_by_one(void **state)
{
	(void)state;
	run(1024, false);
}

static void two_and_two_in_batches(void **state)
{
	(void)state;
	run(1000, true);
}

static void two_and_two_through_a_narrow_queue(void **state)
{
	(void)state;
	run(3, true);
}

#define T(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(two_and_two_one_by_one),
		T(two_and_two_in_batches),
		T(two_and_two_through_a_narrow_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
