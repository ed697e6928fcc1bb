/* SPDX-License-Identifier: MIT */
#include "future_test.h"

static void continuations_come_in_order_when_it_is_completed(void **state)
{
	struct ipk_future *f = make("u32");
	struct ipk_future_next a, b, c;

	(void)state;
	assert_int_equal(ipk_future_then(f, "one", 3), 0);
	assert_int_equal(ipk_future_then(f, "", 0), 0);
	assert_int_equal(ipk_future_then(f, "", IPK_FUTURE_TEXT_MAX + 1), -EMSGSIZE);
	assert_int_equal(ipk_future_next(f, &a, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_future_fail(f, "no", 2), 0);
	assert_int_equal(ipk_future_next(f, &a, IPK_NOWAIT), 0);
	assert_string_equal(a.text, "one");
	assert_int_equal(a.state, IPK_FUTURE_FAILED);
	assert_int_equal(a.redelivered, 0);
	assert_int_equal(ipk_future_next(f, &b, IPK_NOWAIT), 0);
	assert_int_equal(b.len, 0);
	assert_int_equal(ipk_future_next(f, &c, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_future_next(f, &c, ipk_deadline(MS)), -ETIMEDOUT);
	assert_int_equal(findings_of("s", "x").n, 0);
	assert_int_equal(ipk_future_again(f, &a), 0);
	assert_int_equal(ipk_future_next(f, &a, IPK_FOREVER), 0);
	assert_string_equal(a.text, "one");
	assert_int_equal(a.redelivered, 1);
	/* The last first, then one that is left after completion. */
	assert_int_equal(ipk_future_done(f, &b), 0);
	assert_int_equal(ipk_future_done(f, &b), -ENOENT);
	assert_int_equal(ipk_future_then(f, "three", 5), 0);
	assert_int_equal(ipk_future_done(f, &a), 0);
	assert_int_equal(ipk_future_reset(f), 0);
	assert_int_equal(ipk_future_next(f, &a, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_future_set(f, "1234", 4), 0);
	assert_int_equal(ipk_future_next(f, &a, IPK_NOWAIT), 0);
	assert_string_equal(a.text, "three");
	assert_int_equal(a.state, IPK_FUTURE_SET);
	assert_int_equal(ipk_future_done(f, &a), 0);
	assert_int_equal(f->b->last, 0);
	assert_int_equal(f->b->thens, 0);
	assert_int_equal(findings_of("s", "x").n, 0);
	ipk_future_close(f);
}

static void more_continuations_than_a_transaction_frees_go_with_the_object(void **state)
{
	struct ipk_future *f = make(NULL);
	char text[3000] = "x";

	(void)state;
	for (size_t i = 0; i < 150; i++)
		assert_int_equal(ipk_future_then(f, text, i * 20), 0);
	assert_int_equal(findings_of("s", "x").n, 0);
	ipk_future_close(f);
	assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
	assert_int_equal(info_of("s").used, 0);
}

struct work {
	u32 taken, go;
	u32 done[200], times[200];
};

static void work_and_die(void *arg)
{
	struct work *w = arg;
	struct ipk_future *f = open_again(IPK_WRITE);

	for (;;) {
		struct ipk_future_next next;
		u32 i;

		must(ipk_future_next(f, &next, IPK_FOREVER) == 0);
		i = (u32)strtoul(next.text, NULL, 10);
		must(i < 200);
		/* Done means gone: it is not given out again. */
		must(!ipk_ld(&w->done[i], seq_cst));
		must(next.redelivered == ipk_add(&w->times[i], 1, seq_cst));
		if (next.redelivered == 0 && i % 5 == 0)
			raise(SIGKILL);
		must(ipk_future_done(f, &next) == 0);
		ipk_st(&w->done[i], 1, seq_cst);
		ipk_add(&w->taken, 1, seq_cst);
	}
}

static void what_a_dead_worker_had_goes_to_another(void **state)
{
	struct work *w = shared(sizeof(*w));
	struct ipk_future *f = make(NULL);
	char text[8];
	pid_t pid[3] = {0};

	(void)state;
	for (u32 i = 0; i < 200; i++) {
		int len = snprintf(text, sizeof(text), "%u", i);

		assert_int_equal(ipk_future_then(f, text, (size_t)len), 0);
	}
	for (int i = 0; i < 3; i++)
		pid[i] = spawn(work_and_die, w);
	assert_int_equal(ipk_future_set(f, "v", 1), 0);
	for (u32 deaths = 0; deaths < 40; deaths++) {
		int status;
		pid_t gone = waitpid(-1, &status, 0);

		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		for (int i = 0; i < 3; i++)
			if (pid[i] == gone)
				pid[i] = spawn(work_and_die, w);
	}
	await(ipk_ld(&w->taken, seq_cst) == 200);
	for (u32 i = 0; i < 200; i++)
		assert_int_equal(w->times[i], i % 5 ? 1 : 2);
	for (int i = 0; i < 3; i++)
		kill_child(pid[i]);
	assert_int_equal(f->b->thens, 0);
	ipk_future_close(f);
	munmap(w, sizeof(*w));
}

static void *take_in_thread(void *arg)
{
	struct ipk_future_next *next = arg;
	struct ipk_future *f = open_future(seg);
	int r = ipk_future_next(f, next, IPK_NOWAIT);

	ipk_future_close(f);
	return (void *)(intptr_t)r;
}

static void what_a_thread_had_taken_its_process_has_when_it_ends(void **state)
{
	struct ipk_future *f = make(NULL);
	struct ipk_future_next next, other;

	(void)state;
	assert_int_equal(ipk_future_then(f, "one", 3), 0);
	assert_int_equal(ipk_future_set(f, "v", 1), 0);
	assert_int_equal(in_thread(take_in_thread, &next), 0);
	ipk_segment_sweep(seg);
	assert_int_equal(ipk_future_next(f, &other, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_future_again(f, &next), 0);
	assert_int_equal(in_thread(take_in_thread, &next), 0);
	assert_int_equal(next.redelivered, 1);
	assert_int_equal(ipk_future_done(f, &next), 0);
	assert_int_equal(findings_of("s", "x").n, 0);
	ipk_future_close(f);
	assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
	assert_int_equal(info_of("s").used, 0);
}

struct inherited {
	struct ipk_future *f;
	struct ipk_future_next next;
};

static void end_inherited(void *arg)
{
	struct inherited *i = arg;
	struct ipk_future_next next = i->next;

	must(ipk_future_done(i->f, &i->next) == -ENOENT);
	next.text = NULL;
	must(ipk_future_again(i->f, &next) == -ENOENT);
}

static void a_child_does_not_inherit_what_was_taken(void **state)
{
	struct inherited i = {.f = make(NULL)};

	(void)state;
	assert_int_equal(ipk_future_then(i.f, "one", 3), 0);
	assert_int_equal(ipk_future_set(i.f, "v", 1), 0);
	assert_int_equal(ipk_future_next(i.f, &i.next, IPK_NOWAIT), 0);
	assert_ended_well(join_child(spawn(end_inherited, &i)));
	assert_int_equal(ipk_future_done(i.f, &i.next), 0);
	ipk_future_close(i.f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(continuations_come_in_order_when_it_is_completed),
		TEST(more_continuations_than_a_transaction_frees_go_with_the_object),
		TEST(what_a_dead_worker_had_goes_to_another),
		TEST(what_a_thread_had_taken_its_process_has_when_it_ends),
		TEST(a_child_does_not_inherit_what_was_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
