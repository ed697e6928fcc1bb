/* SPDX-License-Identifier: MIT */
#include "future_test.h"

struct race {
	u32 round, arrived, winners[64];
};

static void race_to_set(void *arg)
{
	struct race *race = arg;
	struct ipk_future *f = open_again(IPK_WRITE);
	char mine[16], got[16];

	for (u32 i = 0; i < 64; i++) {
		size_t len = 0;
		int r;

		snprintf(mine, sizeof(mine), "%08d", getpid());
		r = i % 2 ? ipk_future_claim(f) : ipk_future_set(f, mine, 8);
		if (r == 0 && i % 2)
			r = ipk_future_set(f, mine, 8);
		must(r == 0 || r == -EEXIST || r == -EBUSY);
		if (r == 0)
			ipk_add(&race->winners[i], 1, seq_cst);
		must(ipk_future_await(f, IPK_FOREVER) == 0);
		must(ipk_future_get(f, got, sizeof(got), &len) == 0 && len == 8);
		must((r == 0) == (memcmp(got, mine, 8) == 0));
		ipk_add(&race->arrived, 1, seq_cst);
		while (ipk_ld(&race->round, seq_cst) == i)
			nap();
	}
}

static void of_many_who_set_it_one_wins_and_all_see_his_value(void **state)
{
	struct race *race = shared(sizeof(*race));
	struct ipk_future *f = make(NULL);
	pid_t pid[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		pid[i] = spawn(race_to_set, race);
	for (u32 i = 0; i < 64; i++) {
		await(ipk_ld(&race->arrived, seq_cst) == 4 * (i + 1));
		assert_int_equal(race->winners[i], 1);
		assert_int_equal(ipk_future_reset(f), 0);
		ipk_st(&race->round, i + 1, seq_cst);
	}
	for (int i = 0; i < 4; i++)
		assert_ended_well(join_child(pid[i]));
	ipk_future_close(f);
	munmap(race, sizeof(*race));
}

struct reading {
	u32 stop, read;
};

static void read_whole(void *arg)
{
	struct reading *rd = arg;
	struct ipk_future *f = open_again(IPK_READ);
	u8 buf[4096];

	while (!ipk_ld(&rd->stop, seq_cst)) {
		size_t len = 0;

		if (ipk_future_get(f, buf, sizeof(buf), &len) != 0)
			continue;
		must(len >= 1 && len == (size_t)buf[0] * 16 + 1);
		for (size_t i = 1; i < len; i++)
			must(buf[i] == buf[0]);
		ipk_add(&rd->read, 1, seq_cst);
	}
}

static void a_value_is_never_read_torn(void **state)
{
	struct reading *rd = shared(sizeof(*rd));
	struct ipk_future *f = make("bytes");
	u8 buf[4096];
	pid_t pid;

	(void)state;
	pid = spawn(read_whole, rd);
	for (unsigned i = 1; i < 2000 || ipk_ld(&rd->read, seq_cst) < 50; i++) {
		u8 c = (u8)(1 + i % 200);

		memset(buf, c, sizeof(buf));
		assert_int_equal(ipk_future_set(f, buf, (size_t)c * 16 + 1), 0);
		assert_int_equal(ipk_future_reset(f), 0);
	}
	ipk_st(&rd->stop, 1, seq_cst);
	assert_ended_well(join_child(pid));
	ipk_future_close(f);
	munmap(rd, sizeof(*rd));
}

/* Setters that are killed anywhere: whole values or none, and the future goes on. */
static void set_and_reset(void *arg)
{
	struct ipk_future *f = open_again(IPK_WRITE);
	u8 buf[300];

	(void)arg;
	for (unsigned i = 0;; i++) {
		memset(buf, (int)i, sizeof(buf));
		ipk_future_then(f, "text", 4);
		if (i % 2 && ipk_future_claim(f) != 0)
			ipk_future_reset(f);
		if (ipk_future_set(f, buf, 1 + i % sizeof(buf)) == -EOWNERDEAD)
			ipk_future_reset(f);
		if (i % 3 == 0) {
			struct ipk_future_next next;

			if (ipk_future_next(f, &next, IPK_NOWAIT) == 0)
				ipk_future_done(f, &next);
		}
		ipk_future_reset(f);
	}
}

static void a_setter_may_be_killed_anywhere(void **state)
{
	struct ipk_future *f = make("bytes");
	struct ipk_future_next next;
	u64 seed = 42;

	(void)state;
	for (int i = 0; i < 60; i++) {
		pid_t a = spawn(set_and_reset, NULL), b = spawn(set_and_reset, NULL);
		u8 buf[300];
		size_t len = 0;
		int r;

		for (u32 n = seeded(&seed) % 8; n; n--)
			nap();
		kill_child(a);
		for (u32 n = seeded(&seed) % 3; n; n--)
			nap();
		kill_child(b);
		ipk_segment_sweep(seg);
		assert_int_equal(findings_of("s", "x").n, 0);
		r = ipk_future_get(f, buf, sizeof(buf), &len);
		assert_true(r == 0 || r == -EAGAIN || r == -EOWNERDEAD);
		for (size_t k = 1; r == 0 && k < len; k++)
			assert_int_equal(buf[k], buf[0]);
		assert_int_equal(ipk_future_reset(f), 0);
		assert_int_equal(ipk_future_set(f, "ok", 2), 0);
		assert_value(f, "ok");
		/* What the dead had taken is there to be taken. */
		while (ipk_future_next(f, &next, IPK_NOWAIT) == 0) {
			assert_string_equal(next.text, "text");
			assert_int_equal(ipk_future_done(f, &next), 0);
		}
		assert_int_equal(f->b->thens, 0);
		assert_int_equal(f->b->first, 0);
		assert_int_equal(ipk_future_reset(f), 0);
	}
	ipk_future_close(f);
	assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
	assert_int_equal(info_of("s").used, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(of_many_who_set_it_one_wins_and_all_see_his_value),
		TEST(a_value_is_never_read_torn),
		TEST(a_setter_may_be_killed_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
