/* SPDX-License-Identifier: MIT */
#include "fixture_one.h"

#include "ipk/once.h"
#include "kinds/once.h"

#define WORKERS 4u

struct stage {
	u32 there;
	u32 runners; /* at it at this moment */
	u32 begun, done;
	u32 again; /* who were told that somebody died */
	u32 ready; /* what it makes */
};

#include "fixture_stage.h"

static struct ipk_once *open_once(unsigned mode)
{
	struct ipk_segment *mine;
	struct ipk_once *once = NULL;

	if (ipk_segment_open("s", mode, &mine, NULL) == 0)
		ipk_once_open(mine, "x", &once, NULL);
	return once;
}

static struct ipk_once *make(void)
{
	struct ipk_error err = {0};
	struct ipk_once *once = NULL;

	if (ipk_once_create(seg, "x", &err) < 0 || ipk_once_open(seg, "x", &once, &err) < 0)
		fail_msg("%s", err.text);
	return once;
}

static void *begin_in_thread(void *arg)
{
	return (void *)(intptr_t)ipk_once_begin(arg, IPK_NOWAIT);
}

static void *done_in_thread(void *arg)
{
	return (void *)(intptr_t)ipk_once_done(arg);
}

static void it_is_done_by_one(void **state)
{
	struct ipk_once *once = make();

	(void)state;
	assert_string_equal(value(), "pending");
	assert_int_equal(ipk_once_done(once), -EPERM);
	assert_int_equal(ipk_once_abandon(once), -EPERM);
	assert_int_equal(ipk_once_wait(once, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_once_wait(once, ipk_deadline(MS)), -ETIMEDOUT);
	assert_int_equal(ipk_once_begin(once, IPK_NOWAIT), 1);
	assert_string_equal(value(), "running");
	assert_int_equal(ipk_once_begin(once, IPK_FOREVER), -EDEADLK);
	assert_int_equal(in_thread(begin_in_thread, once), -EAGAIN);
	assert_int_equal(in_thread(done_in_thread, once), -EPERM);
	assert_int_equal(ipk_once_reset(once), -EBUSY);
	assert_int_equal(ipk_once_close(once), -EBUSY);
	assert_int_equal(ipk_once_abandon(once), 0);
	assert_string_equal(value(), "pending");
	assert_int_equal(ipk_once_begin(once, IPK_FOREVER), 1);
	assert_int_equal(ipk_once_done(once), 0);
	assert_int_equal(ipk_once_done(once), -EPERM);
	assert_string_equal(value(), "done");
	assert_true(ipk_once_is_done(once));
	assert_int_equal(ipk_once_begin(once, IPK_NOWAIT), 0);
	assert_int_equal(ipk_once_wait(once, IPK_NOWAIT), 0);
	assert_int_equal(ipk_once_reset(once), 0);
	assert_false(ipk_once_is_done(once));
	assert_int_equal(findings_of("s", "x").n, 0);
	assert_int_equal(ipk_once_close(once), 0);
}

static int count(void *arg, bool again)
{
	u32 *n = arg;

	assert_false(again);
	return ++*n < 3 ? -ENOENT : 0;
}

static void what_fails_is_done_by_the_next(void **state)
{
	struct ipk_once *once = make();
	u32 n = 0;

	(void)state;
	assert_int_equal(ipk_once_run(once, count, &n, IPK_FOREVER), -ENOENT);
	assert_int_equal(ipk_once_run(once, count, &n, IPK_FOREVER), -ENOENT);
	assert_int_equal(ipk_once_run(once, count, &n, IPK_FOREVER), 0);
	assert_int_equal(ipk_once_run(once, count, &n, IPK_FOREVER), 0);
	assert_int_equal(n, 3);
	assert_int_equal(ipk_once_close(once), 0);
}

static void damage_is_refused_and_found(void **state)
{
	struct ipk_once *once = make();

	(void)state;
	once->body->word = IPK_ONCE_DONE | IPK_ONCE_DIED;
	assert_int_equal(findings_of("s", "x").n, 1);
	once->body->word = 0x3ffe;
	assert_int_equal(findings_of("s", "x").n, 1);
	/* Who does not exist is dead. */
	assert_int_equal(ipk_once_begin(once, IPK_NOWAIT), 2);
	assert_int_equal(ipk_once_done(once), 0);
	assert_int_equal(findings_of("s", "x").n, 0);
	assert_int_equal(ipk_once_close(once), 0);
}

static void a_descriptor_does_it(void **state)
{
	struct ipk_once *once = make();
	int fd, other;

	(void)state;
	assert_int_equal(ipk_once_let_go(once, true), -EPERM);
	assert_int_equal(ipk_once_hold(once, IPK_NOWAIT, &fd), 1);
	assert_int_equal(ipk_once_hold(once, IPK_NOWAIT, &other), -EBUSY);
	assert_int_equal(ipk_once_begin(once, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_once_let_go(once, false), 0);
	close(fd);
	assert_string_equal(value(), "pending");
	/* Closed without a word: as if it had died. */
	assert_int_equal(ipk_once_hold(once, IPK_NOWAIT, &fd), 1);
	close(fd);
	assert_int_equal(ipk_once_begin(once, IPK_FOREVER), 2);
	assert_int_equal(ipk_once_abandon(once), 0);
	assert_int_equal(ipk_once_let_go(once, true), -EPERM);
	assert_int_equal(ipk_once_hold(once, IPK_NOWAIT, &fd), 2);
	close(fd);
	assert_int_equal(ipk_once_hold(once, IPK_NOWAIT, &fd), 2);
	assert_int_equal(ipk_once_let_go(once, true), 0);
	close(fd);
	assert_string_equal(value(), "done");
	assert_int_equal(ipk_once_hold(once, IPK_NOWAIT, &fd), 0);
	assert_int_equal(fd, -1);
	assert_int_equal(ipk_once_close(once), 0);
}

/* The other's descriptor may well have the number that ours had. */
static void a_descriptor_that_was_closed_says_nothing_of_anothers(void **state)
{
	struct ipk_once *once = make(), *second;
	int fd;

	(void)state;
	assert_int_equal(ipk_once_open(once->obj.seg, "x", &second, NULL), 0);
	assert_int_equal(ipk_once_hold(once, IPK_NOWAIT, &fd), 1);
	close(fd);
	assert_int_equal(ipk_once_let_go(once, true), -EPERM);
	assert_int_equal(ipk_once_hold(once, IPK_NOWAIT, &fd), 2);
	close(fd);
	assert_int_equal(ipk_once_hold(second, IPK_NOWAIT, &fd), 2);
	assert_int_equal(ipk_once_let_go(once, true), -EPERM);
	assert_string_equal(value(), "running");
	assert_int_equal(ipk_once_let_go(second, true), 0);
	close(fd);
	assert_int_equal(ipk_once_close(second), 0);
	assert_int_equal(ipk_once_close(once), 0);
}

static int run(const char *verb, bool hold, bool *ret_idle)
{
	struct verb v = {.call = {.hold = hold}};
	int r = verb_run(&v, seg, "x", "once", verb, NULL, NULL, NULL);

	if (r < 0)
		assert_true(v.call.err.text[0]);
	if (ret_idle)
		*ret_idle = v.call.idle;
	if (v.call.hold_fd >= 0)
		close(v.call.hold_fd);
	verb_end(&v);
	return r;
}

static void the_verbs_do_it(void **state)
{
	struct ipk_once *once = make();
	bool idle = true;
	int fd;

	(void)state;
	assert_int_equal(run("lock", true, &idle), 0);
	assert_false(idle);
	assert_int_equal(run("wait", false, NULL), -EAGAIN);
	assert_int_equal(ipk_once_hold(once, IPK_NOWAIT, &fd), 2);
	assert_int_equal(run("lock", true, NULL), -EAGAIN);
	assert_int_equal(run("reset", false, NULL), -EBUSY);
	assert_int_equal(ipk_once_let_go(once, true), 0);
	close(fd);
	assert_int_equal(run("lock", true, &idle), 0);
	assert_true(idle);
	assert_int_equal(run("wait", false, NULL), 0);
	assert_int_equal(run("reset", false, NULL), 0);
	assert_string_equal(value(), "pending");
	assert_int_equal(ipk_once_close(once), 0);
}

/* ---- deaths --------------------------------------------------------------------------------- */

static void begin_and_stop(void *arg)
{
	struct ipk_once *once = open_once(IPK_WRITE);

	(void)arg;
	must(once && ipk_once_begin(once, IPK_FOREVER) > 0);
	ipk_st(&stage->there, 1u, seq_cst);
	raise(SIGSTOP);
}

static pid_t running(void)
{
	return spawn_ready(begin_and_stop, NULL, &stage->there);
}

static void a_stopped_runner_is_waited_for_and_a_dead_one_replaced(void **state)
{
	struct ipk_once *once = make();
	pid_t pid = running();

	(void)state;
	assert_int_equal(ipk_once_begin(once, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_once_begin(once, ipk_deadline(MS)), -ETIMEDOUT);
	assert_int_equal(ipk_once_reset(once), -EBUSY);
	kill_child(pid);
	assert_int_equal(ipk_once_begin(once, IPK_FOREVER), 2);
	/* Still told, since it is not done. */
	assert_int_equal(ipk_once_abandon(once), 0);
	kill_child(running());
	await(ipk_segment_sweep(seg) >= 0 && ipk_once_owner(once->body->word) == 0);
	assert_string_equal(value(), "pending");
	assert_int_equal(ipk_once_begin(once, IPK_FOREVER), 2);
	assert_int_equal(ipk_once_done(once), 0);
	assert_int_equal(ipk_once_reset(once), 0);
	assert_int_equal(ipk_once_begin(once, IPK_FOREVER), 1);
	assert_int_equal(ipk_once_done(once), 0);
	assert_int_equal(ipk_once_close(once), 0);
}

static void *begin_waiting(void *arg)
{
	int r = ipk_once_begin(arg, IPK_FOREVER);

	if (r > 0 && ipk_once_done(arg) < 0)
		r = -EINVAL;
	return (void *)(intptr_t)r;
}

static void a_death_wakes_who_waits(void **state)
{
	struct ipk_once *once = make();
	pid_t pid = running();
	pthread_t thread;
	void *r;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, begin_waiting, once), 0);
	await(ipk_ld(&once->body->ev, seq_cst) & IPK_EV_W);
	kill_child(pid);
	assert_int_equal(pthread_join(thread, &r), 0);
	assert_int_equal((intptr_t)r, 2);
	assert_string_equal(value(), "done");
	assert_int_equal(ipk_once_close(once), 0);
}

static void wait_read_only(void *arg)
{
	struct ipk_once *once = open_once(IPK_READ);

	(void)arg;
	must(once && ipk_once_begin(once, IPK_NOWAIT) == -EACCES);
	must(ipk_once_reset(once) == -EACCES);
	ipk_st(&stage->there, 1u, seq_cst);
	must(ipk_once_wait(once, IPK_FOREVER) == 0);
	must(ipk_once_begin(once, IPK_NOWAIT) == 0);
}

static void who_may_only_read_waits(void **state)
{
	struct ipk_once *once = make();
	pid_t pid = spawn(wait_read_only, NULL);

	(void)state;
	await(ipk_ld(&stage->there, seq_cst));
	assert_int_equal(ipk_once_begin(once, IPK_NOWAIT), 1);
	assert_int_equal(ipk_once_done(once), 0);
	assert_ended_well(join_child(pid));
	assert_int_equal(ipk_once_close(once), 0);
}

/* Each dies in the middle of it until enough have. */
static int initialise(void *arg, bool again)
{
	(void)arg;
	must(ipk_add(&stage->runners, 1, seq_cst) == 0);
	ipk_add(&stage->again, again, seq_cst);
	if (ipk_add(&stage->begun, 1, seq_cst) < 30) {
		ipk_st(&stage->runners, 0u, seq_cst);
		raise(SIGKILL);
	}
	stage->ready = 7;
	ipk_add(&stage->done, 1, seq_cst);
	ipk_add(&stage->runners, (u32)-1, seq_cst);
	return 0;
}

static void want(void *arg)
{
	struct ipk_once *once = open_once(IPK_WRITE);

	(void)arg;
	must(once && ipk_once_run(once, initialise, NULL, IPK_FOREVER) == 0);
	must(stage->ready == 7);
}

static void thirty_die_at_it_and_it_is_done_once(void **state)
{
	struct ipk_once *once = make();
	pid_t pid[WORKERS];
	u32 alive = WORKERS, deaths = 0;

	(void)state;
	for (u32 i = 0; i < WORKERS; i++)
		pid[i] = spawn(want, NULL);
	while (alive) {
		u32 i = 0;
		int status;
		pid_t ended = wait(&status);

		while (i < WORKERS && pid[i] != ended)
			i++;
		assert_true(i < WORKERS);
		if (WIFSIGNALED(status)) {
			assert_int_equal(WTERMSIG(status), SIGKILL);
			deaths++;
			pid[i] = spawn(want, NULL);
		} else {
			assert_int_equal(WEXITSTATUS(status), 0);
			alive--;
		}
	}
	assert_int_equal(deaths, 30);
	assert_int_equal(stage->begun, 31);
	assert_int_equal(stage->again, 30);
	assert_int_equal(stage->done, 1);
	assert_int_equal(findings_of("s", "x").n, 0);
	assert_int_equal(ipk_once_close(once), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_done_by_one),
		TEST(what_fails_is_done_by_the_next),
		TEST(damage_is_refused_and_found),
		TEST(a_descriptor_does_it),
		TEST(a_descriptor_that_was_closed_says_nothing_of_anothers),
		TEST(the_verbs_do_it),
		STAGED(a_stopped_runner_is_waited_for_and_a_dead_one_replaced),
		STAGED(a_death_wakes_who_waits),
		STAGED(who_may_only_read_waits),
		STAGED(thirty_die_at_it_and_it_is_done_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
