/* SPDX-License-Identifier: MIT */
/* Who holds, who waits, and how objects and segments are: as anybody sees it from outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "base/futex.h"
#include "ipk/kind.h"
#include "ipk/semaphore.h"
#include "private_dir.h"

#define LIMIT_NS INT64_C(60000000000)

struct people {
	u32 n;
	u32 pid, slot;
	bool alive;
	u64 count;
	char role[32], state[32];
};

static int see(void *arg, const struct ipk_participant_info *p, const char *role, uint64_t count)
{
	struct people *s = arg;

	s->n++;
	s->pid = p->pid;
	s->slot = p->slot;
	s->alive = p->alive;
	s->count = count;
	snprintf(s->role, sizeof(s->role), "%s", role);
	snprintf(s->state, sizeof(s->state), "%s", p->state);
	return 0;
}

static int see_waiter(void *arg, const struct ipk_participant_info *p)
{
	return see(arg, p, "waiter", 0);
}

static const char *segment; /* one for each test, so that one that fails disturbs no other */

/* What is to be seen of the semaphore now. */
static void look(struct people *holders, struct people *waiters, char health[64],
		 char seg_health[64])
{
	struct ipk_object_view o;
	struct ipk_view *view;
	char buf[64];

	memset(holders, 0, sizeof(*holders));
	memset(waiters, 0, sizeof(*waiters));
	assert_int_equal(ipk_view_open(segment, &view, NULL), 0);
	assert_int_equal(ipk_view_object(view, "sem", &o, NULL), 0);
	assert_int_equal(ipk_object_holders(&o, see, holders), 0);
	assert_int_equal(ipk_object_waiters(&o, see_waiter, waiters), 0);
	snprintf(health, 64, "%s", ipk_object_health(&o, buf, sizeof(buf)));
	snprintf(seg_health, 64, "%s", ipk_segment_health(view, buf, sizeof(buf)));
	ipk_object_view_free(&o);
	ipk_view_close(view);
}

/* A child that takes a permit and sleeps, or waits for one. */
static pid_t child(void)
{
	pid_t parent = getpid(), pid = fork();
	struct ipk_semaphore *sem;
	struct ipk_segment *seg;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || ipk_segment_open(segment, IPK_WRITE, &seg, NULL) != 0 ||
	    ipk_semaphore_open(seg, "sem", &sem, NULL) != 0 ||
	    ipk_semaphore_acquire(sem, 1, IPK_FOREVER) != 0)
		_exit(1);
	for (;;)
		pause();
}

static void end(pid_t pid)
{
	assert_true(pid > 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Looks until n hold and m wait. */
static void await(u32 n, u32 m, struct people *holders, struct people *waiters, char health[64],
		  char seg_health[64])
{
	i64 limit = ipk_now() + LIMIT_NS;

	do {
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
		look(holders, waiters, health, seg_health);
	} while ((holders->n != n || waiters->n != m) && ipk_now() < limit);
	assert_int_equal(holders->n, n);
	assert_int_equal(waiters->n, m);
}

static void who_holds_and_who_waits_is_seen_and_who_died_too(void **state)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	char health[64], seg_health[64], want[64];
	struct people holders, waiters;
	struct ipk_segment *seg;
	pid_t first, second;

	(void)state;
	segment = "died";
	options.max = 64 << 20;
	assert_int_equal(ipk_segment_create(segment, &options, &seg, NULL), 0);
	assert_int_equal(ipk_semaphore_create(seg, "sem", 1, 1, NULL), 0);
	ipk_segment_close(seg);
	look(&holders, &waiters, health, seg_health);
	assert_int_equal(holders.n + waiters.n, 0);
	assert_string_equal(health, "ok");
	assert_string_equal(seg_health, "ok");

	first = child();
	await(1, 0, &holders, &waiters, health, seg_health);
	assert_int_equal(holders.pid, first);
	assert_int_equal(holders.count, 1);
	assert_true(holders.alive);
	assert_string_equal(health, "ok");

	second = child();
	await(1, 1, &holders, &waiters, health, seg_health);
	assert_int_equal(holders.pid, first);
	assert_int_equal(waiters.pid, second);
	assert_string_equal(health, "ok");

	/* The waiter's death leaves nothing to the object; the segment still names the dead. */
	end(second);
	look(&holders, &waiters, health, seg_health);
	assert_string_equal(health, "ok");
	snprintf(want, sizeof(want), "dead participant: pid %d", (int)second);
	assert_string_equal(seg_health, want);

	/* Nobody is left to sweep, so the permit is still the dead one's. */
	end(first);
	look(&holders, &waiters, health, seg_health);
	assert_int_equal(holders.n, 1);
	assert_false(holders.alive);
	snprintf(want, sizeof(want), "dead owner: pid %d", (int)first);
	assert_string_equal(health, want);
	assert_non_null(strstr(seg_health, "dead participant: pid "));
	assert_non_null(strstr(seg_health, " and 1 more"));

	/* Whoever attaches next makes it good. */
	assert_int_equal(ipk_segment_open(segment, IPK_WRITE, &seg, NULL), 0);
	ipk_segment_sweep(seg);
	look(&holders, &waiters, health, seg_health);
	assert_int_equal(holders.n, 0);
	assert_string_equal(health, "ok");
	assert_string_equal(seg_health, "ok");
	ipk_segment_close(seg);
	assert_int_equal(ipk_segment_remove(segment, NULL), 0);
}

static void what_nobody_owns_is_held_by_nobody_and_not_dead(void **state)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	char health[64], seg_health[64];
	struct people holders, waiters;
	struct ipk_semaphore *sem;
	struct ipk_segment *seg;

	(void)state;
	segment = "nobody";
	options.max = 64 << 20;
	assert_int_equal(ipk_segment_create(segment, &options, &seg, NULL), 0);
	assert_int_equal(ipk_semaphore_create(seg, "sem", 3, 3, NULL), 0);
	assert_int_equal(ipk_semaphore_open(seg, "sem", &sem, NULL), 0);
	assert_int_equal(ipk_semaphore_take(sem, 2, IPK_NOWAIT), 0);
	ipk_semaphore_close(sem);
	ipk_segment_close(seg);
	look(&holders, &waiters, health, seg_health);
	assert_int_equal(holders.n, 1);
	assert_int_equal(holders.pid, 0);
	assert_int_equal(holders.count, 2);
	assert_string_equal(holders.state, "nobody");
	assert_string_equal(health, "ok");
	assert_int_equal(ipk_segment_remove(segment, NULL), 0);
}

static void a_removed_object_and_segment_say_so(void **state)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_object_view o;
	struct ipk_segment *seg;
	struct ipk_view *view;
	char buf[64];

	(void)state;
	segment = "removed";
	options.max = 64 << 20;
	assert_int_equal(ipk_segment_create(segment, &options, &seg, NULL), 0);
	assert_int_equal(ipk_semaphore_create(seg, "sem", 1, 1, NULL), 0);
	assert_int_equal(ipk_view_open(segment, &view, NULL), 0);
	assert_int_equal(ipk_view_object(view, "sem", &o, NULL), 0);
	assert_int_equal(ipk_object_remove(seg, "sem", NULL), 0);
	assert_string_equal(ipk_object_health(&o, buf, sizeof(buf)), "removed");
	ipk_object_view_free(&o);
	assert_int_equal(ipk_segment_remove(segment, NULL), 0);
	assert_string_equal(ipk_segment_health(view, buf, sizeof(buf)), "removed");
	ipk_view_close(view);
	ipk_segment_close(seg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_holds_and_who_waits_is_seen_and_who_died_too),
		cmocka_unit_test(what_nobody_owns_is_held_by_nobody_and_not_dead),
		cmocka_unit_test(a_removed_object_and_segment_say_so),
	};

	return cmocka_run_group_tests(tests, dir_setup, dir_teardown);
}
