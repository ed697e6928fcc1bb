/* SPDX-License-Identifier: MIT */
#include "fixture_one.h"

#include "ipk/latch.h"
#include "kinds/latch.h"

static struct ipk_latch *make(u64 count)
{
	struct ipk_error err = { 0 };
	struct ipk_latch *l = NULL;

	if (ipk_latch_create(seg, "x", count, &err) < 0 || ipk_latch_open(seg, "x", &l, &err) < 0)
		fail_msg("%s", err.text);
	return l;
}

static void it_opens_at_0_and_stays_open(void **state)
{
	struct ipk_latch *l = make(3);

	(void)state;
	assert_int_equal(ipk_latch_wait(l, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_latch_wait(l, ipk_deadline(MS)), -ETIMEDOUT);
	assert_int_equal(ipk_latch_count_down(l, 4), -EOVERFLOW);
	assert_int_equal(ipk_latch_count_down(l, 2), 0);
	assert_int_equal(ipk_latch_value(l), 1);
	assert_int_equal(ipk_latch_count_down(l, 1), 0);
	assert_int_equal(ipk_latch_count_down(l, 1), -EOVERFLOW);
	assert_int_equal(ipk_latch_wait(l, IPK_NOWAIT), 0);
	assert_int_equal(ipk_latch_wait(l, IPK_FOREVER), 0);
	assert_int_equal(ipk_latch_reset(l), 0);
	assert_int_equal(ipk_latch_value(l), 3);
	assert_int_equal(ipk_latch_wait(l, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(findings_of("s", "x").n, 0);
	ipk_latch_close(l);
}

static void absurd_counts_and_damage_are_refused(void **state)
{
	struct ipk_latch *l, *other;

	(void)state;
	assert_true(ipk_latch_create(seg, "x", 0, NULL) < 0);
	assert_true(ipk_latch_create(seg, "x", UINT64_C(1) << 32, NULL) < 0);
	assert_true(ipk_latch_create(seg, "x", UINT64_MAX, NULL) < 0);
	l = make(UINT32_MAX);
	assert_int_equal(ipk_latch_count_down(l, UINT64_C(1) << 33), -EOVERFLOW);
	assert_int_equal(ipk_latch_count_down(l, UINT32_MAX), 0);
	l->body->count = 0;
	assert_int_equal(ipk_latch_open(seg, "x", &other, NULL), -EBADMSG);
	assert_int_equal(findings_of("s", "x").n, 1);
	ipk_latch_close(l);
}

struct stage {
	u32 waiting, passed;
};

static struct ipk_latch *open_again(unsigned mode, struct ipk_segment **ret_seg)
{
	struct ipk_latch *l = NULL;

	if (ipk_segment_open("s", mode, ret_seg, NULL) == 0)
		ipk_latch_open(*ret_seg, "x", &l, NULL);
	return l;
}

static void pass(void *arg)
{
	struct stage *s = arg;
	struct ipk_segment *mine;
	struct ipk_latch *l = open_again(IPK_WRITE, &mine);

	must(l);
	ipk_add(&s->waiting, 1, seq_cst);
	must(ipk_latch_wait(l, IPK_FOREVER) == 0);
	ipk_add(&s->passed, 1, seq_cst);
}

static void pass_read_only(void *arg)
{
	struct stage *s = arg;
	struct ipk_segment *mine;
	struct ipk_latch *l = open_again(IPK_READ, &mine);

	must(l);
	must(ipk_latch_count_down(l, 1) == -EACCES);
	must(ipk_latch_reset(l) == -EACCES);
	ipk_add(&s->waiting, 1, seq_cst);
	must(ipk_latch_wait(l, IPK_FOREVER) == 0);
	ipk_add(&s->passed, 1, seq_cst);
}

static void count_and_die(void *arg)
{
	struct ipk_segment *mine;
	struct ipk_latch *l = open_again(IPK_WRITE, &mine);

	(void)arg;
	must(l && ipk_latch_count_down(l, 1) == 0);
	raise(SIGKILL);
}

static void the_last_count_down_lets_all_through_though_its_author_dies(void **state)
{
	struct stage *s = shared(sizeof(*s));
	struct ipk_latch *l = make(20);
	pid_t pid[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		pid[i] = spawn(i ? pass : pass_read_only, s);
	await(ipk_ld(&s->waiting, seq_cst) == 4);
	for (u64 left = 20; left; left--) {
		assert_int_equal(ipk_latch_value(l), left);
		assert_int_equal(ipk_ld(&s->passed, seq_cst), 0);
		assert_true(WIFSIGNALED(join_child(spawn(count_and_die, NULL))));
	}
	for (int i = 0; i < 4; i++)
		assert_ended_well(join_child(pid[i]));
	assert_int_equal(s->passed, 4);
	ipk_latch_close(l);
	munmap(s, sizeof(*s));
}

/* Opened and closed again at once: who waited is let through, however late it looks. */
static void nobody_misses_an_opening(void **state)
{
	struct stage *s = shared(sizeof(*s));
	struct ipk_latch *l = make(1);
	pid_t pid;

	(void)state;
	for (u32 i = 0; i < 50; i++) {
		pid = spawn(pass, s);
		await(ipk_ld(&s->waiting, seq_cst) == i + 1);
		/* It may not have begun to look: then the next opening is its own. */
		while (ipk_ld(&s->passed, seq_cst) == i) {
			assert_int_equal(ipk_latch_count_down(l, 1), 0);
			assert_int_equal(ipk_latch_reset(l), 0);
			nap();
		}
		assert_ended_well(join_child(pid));
	}
	ipk_latch_close(l);
	munmap(s, sizeof(*s));
}

static void the_verbs_count_and_wait(void **state)
{
	(void)state;
	ipk_latch_close(make(3));
	verb_does("latch", "await", NULL, -EAGAIN, NULL);
	verb_does("latch", "countdown", "4", -EOVERFLOW, "3 is left");
	verb_does("latch", "countdown", "2", 0, NULL);
	verb_does("latch", "countdown", NULL, 0, NULL);
	verb_does("latch", "await", NULL, 0, NULL);
	verb_does("latch", "get", NULL, 0, "0\n");
	verb_does("latch", "reset", NULL, 0, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_opens_at_0_and_stays_open),
		TEST(absurd_counts_and_damage_are_refused),
		TEST(the_last_count_down_lets_all_through_though_its_author_dies),
		TEST(nobody_misses_an_opening),
		TEST(the_verbs_count_and_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
