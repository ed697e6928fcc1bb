/* SPDX-License-Identifier: MIT */
/* What outlives the handle that it was taken through: leases, and continuations of a future. */
#include "fixture_one.h"

#include <signal.h>
#include <sys/wait.h>

#include "ipk/future.h"
#include "ipk/latch.h"
#include "ipk/queue.h"
#include "ipk/stack.h"

static void fill_queue(void)
{
	struct ipk_queue *q;
	u64 v = 7;

	assert_int_equal(ipk_queue_create(seg, "x", "u64", 4, NULL), 0);
	assert_int_equal(ipk_queue_open(seg, "x", NULL, &q, NULL), 0);
	assert_int_equal(ipk_queue_push(q, &v, sizeof(v), IPK_NOWAIT), 0);
	ipk_queue_close(q);
}

static int take_from_queue(struct ipk_segment *mine)
{
	struct ipk_queue_lease lease;
	struct ipk_queue *q;
	int r = ipk_queue_open(mine, "x", NULL, &q, NULL);

	if (r == 0) {
		r = ipk_queue_lease(q, &lease, IPK_NOWAIT);
		ipk_queue_close(q);
	}
	return r;
}

static void fill_stack(void)
{
	struct ipk_stack *s;
	u64 v = 7;

	assert_int_equal(ipk_stack_create(seg, "x", "u64", 4, NULL), 0);
	assert_int_equal(ipk_stack_open(seg, "x", NULL, &s, NULL), 0);
	assert_int_equal(ipk_stack_push(s, &v, sizeof(v), IPK_NOWAIT), 0);
	ipk_stack_close(s);
}

static int take_from_stack(struct ipk_segment *mine)
{
	struct ipk_stack_lease lease;
	struct ipk_stack *s;
	int r = ipk_stack_open(mine, "x", NULL, &s, NULL);

	if (r == 0) {
		r = ipk_stack_lease(s, &lease, IPK_NOWAIT);
		ipk_stack_close(s);
	}
	return r;
}

static void fill_future(void)
{
	struct ipk_future *f;
	u64 v = 7;

	assert_int_equal(ipk_future_create(seg, "x", "u64", NULL), 0);
	assert_int_equal(ipk_future_open(seg, "x", NULL, &f, NULL), 0);
	assert_int_equal(ipk_future_then(f, "go on", 5), 0);
	assert_int_equal(ipk_future_set(f, &v, sizeof(v)), 0);
	ipk_future_close(f);
}

static int take_from_future(struct ipk_segment *mine)
{
	struct ipk_future_next next;
	struct ipk_future *f;
	int r = ipk_future_open(mine, "x", NULL, &f, NULL);

	if (r == 0) {
		r = ipk_future_next(f, &next, IPK_NOWAIT);
		if (r == 0)
			free(next.text);
		ipk_future_close(f);
	}
	return r;
}

static const struct {
	void (*fill)(void);
	int (*take)(struct ipk_segment *mine);
} kinds[] = {
	{fill_queue, take_from_queue},
	{fill_stack, take_from_stack},
	{fill_future, take_from_future},
};

static int count_holder(void *arg, uint32_t slot, const char *role, uint64_t count)
{
	(void)slot;
	(void)role;
	*(u64 *)arg += count;
	return 0;
}

static u64 held(void)
{
	struct look l;
	u64 n = 0;

	look(&l, "s", "x");
	assert_int_equal(l.kind->holders(&l.o, count_holder, &n), 0);
	look_end(&l);
	return n;
}

static void remove_it(void)
{
	assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
	assert_int_equal(ipk_header(seg)->zombies, 0);
}

/* And not later: another gets the dead one's number, and would seem to have it. */
static void what_a_dead_process_had_comes_back_in_the_sweep(void **state)
{
	(void)state;
	for (size_t i = 0; i < IPK_ARRAY_LEN(kinds); i++) {
		pid_t pid;
		int status;

		kinds[i].fill();
		pid = fork();
		if (pid == 0) {
			if (kinds[i].take(seg) == 0)
				raise(SIGKILL);
			_exit(1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(held(), 1);
		assert_int_equal(ipk_segment_sweep(seg), 1);
		assert_int_equal(held(), 0);
		remove_it();
	}
}

/* The last one does not fit into the list of a process that uses so many. */
static void what_a_dead_process_had_beside_many_objects_comes_back(void **state)
{
	enum { LISTED = IPK_ARRAY_LEN(((struct ipk_participant *)0)->uses) };
	struct ipk_latch *latch;
	char name[16];
	pid_t pid;
	int status;

	(void)state;
	for (int i = 0; i < LISTED; i++) {
		snprintf(name, sizeof(name), "latch%d", i);
		assert_int_equal(ipk_latch_create(seg, name, 1, NULL), 0);
	}
	fill_queue();
	pid = fork();
	if (pid == 0) {
		for (int i = 0; i < LISTED; i++) {
			snprintf(name, sizeof(name), "latch%d", i);
			if (ipk_latch_open(seg, name, &latch, NULL) < 0)
				_exit(1);
		}
		if (take_from_queue(seg) == 0)
			raise(SIGKILL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(held(), 1);
	assert_int_equal(ipk_segment_sweep(seg), 1);
	assert_int_equal(held(), 0);
}

static void what_an_attachment_had_comes_back_when_it_is_closed(void **state)
{
	(void)state;
	for (size_t i = 0; i < IPK_ARRAY_LEN(kinds); i++) {
		struct ipk_segment *mine = open_segment("s");

		kinds[i].fill();
		assert_int_equal(kinds[i].take(mine), 0);
		assert_int_equal(held(), 1);
		ipk_segment_close(mine);
		assert_int_equal(held(), 0);
		remove_it();
	}
}

/* What was leased lies in place, and is to be read until it is acknowledged. */
static void the_memory_of_what_was_removed_stays_for_who_holds_something(void **state)
{
	(void)state;
	for (size_t i = 0; i < IPK_ARRAY_LEN(kinds); i++) {
		struct ipk_segment *mine = open_segment("s");

		kinds[i].fill();
		assert_int_equal(kinds[i].take(mine), 0);
		assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
		assert_int_not_equal(ipk_header(seg)->zombies, 0);
		ipk_segment_close(mine);
		ipk_segment_sweep(seg);
		assert_int_equal(ipk_header(seg)->zombies, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_a_dead_process_had_comes_back_in_the_sweep),
		TEST(what_a_dead_process_had_beside_many_objects_comes_back),
		TEST(what_an_attachment_had_comes_back_when_it_is_closed),
		TEST(the_memory_of_what_was_removed_stays_for_who_holds_something),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
