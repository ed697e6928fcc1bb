/* SPDX-License-Identifier: MIT */
/*
 * Runners are killed, each after a few moments or at a chosen instruction, while records come. What
 * is derived in the end is what one runner would have derived that nobody killed.
 */
#include "derive_test.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define RECORDS 3000

static struct list want;

static _Noreturn void runner(bool traced)
{
	struct ipk_error err = {0};
	struct ipk_segment *own = NULL;
	struct ipk_derive *d;
	u64 emitted = 0;
	int r;

	r = ipk_segment_open("s", IPK_READ | IPK_WRITE, &own, &err);
	if (r == 0)
		r = ipk_derive_open(own, "to", NULL, 0, &d, &err);
	if (traced) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP); /* from here on instruction by instruction */
	}
	while (r == 0)
		r = ipk_derive_run(d, traced ? 2 : 1 + rnd(50), &emitted,
				   traced ? IPK_NOWAIT : IPK_FOREVER, &err);
	if (r != -EPIPE && r != -EAGAIN)
		fprintf(stderr, "runner: %s\n", err.text);
	_exit(r == -EPIPE || r == -EAGAIN ? 0 : 99);
}

static pid_t begin_runner(bool traced)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		runner(traced);
	return pid;
}

/* True when it had ended by itself, well. */
static bool kill_runner(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status))
		assert_int_equal(WEXITSTATUS(status), 0);
	return WIFEXITED(status);
}

static void killed_runners_lose_nothing_and_repeat_nothing(void **state)
{
	static const char *const pipelines[] = {
		"filter($ % 7 != 0) | window(5, 2) | sum | scan(1, acc % 1000 + $)",
		"distinct(3) | batch(4) | map(max($) * 10 + len($)) | skip(2)",
	};
	int kills = getenv("IPK_TEST_LONG") && *getenv("IPK_TEST_LONG") == '1' ? 400 : 40;

	(void)state;
	for (unsigned p = 0; p < IPK_ARRAY_LEN(pipelines); p++) {
		struct ipk_stream *from = stream(
			"from", &(struct ipk_stream_options){.type = "i64", .cap = LIST_MAX});
		struct ipk_derive *d;
		u32 n = 0;

		make_derived("to", "from", pipelines[p]);
		for (int i = 0; i < kills; i++) {
			pid_t pid = begin_runner(false);
			u32 more = RECORDS / (u32)kills;

			while (more--) {
				emit_val(from, (i64)rnd(50));
				n++;
				if (rnd(8) == 0)
					usleep(rnd(200));
			}
			usleep(rnd(3000));
			assert_false(kill_runner(pid));
		}
		assert_int_equal(ipk_stream_shutdown(from), 0);
		d = derive("to");
		assert_int_equal(run_all(d), -EPIPE);
		ipk_derive_close(d);
		read_list("from", &want);
		assert_int_equal(want.n, n);
		if (p == 0) {
			over_list(&(struct random_op){&list_ops[1], 6, 1}, 1, &want);
			over_list(&(struct random_op){&list_ops[7], 5, 2}, 1, &want);
			for (i64 i = 0, acc = 1; i < want.n; i++)
				want.val[i] = acc = acc % 1000 + want.val[i];
		} else {
			static struct list next;

			over_list(&(struct random_op){&list_ops[9], 3, 1}, 1, &want);
			next.n = 0;
			for (u32 i = 0; i < want.n; i += 4) {
				i64 most = want.val[i];
				u32 k = 1;

				for (; k < 4 && i + k < want.n; k++)
					most = want.val[i + k] > most ? want.val[i + k] : most;
				append(&next, most * 10 + k, 0);
			}
			want.n = 0;
			for (u32 i = 2; i < next.n; i++)
				append(&want, next.val[i], 0);
		}
		same_list("to", &want, pipelines[p]);
		assert_int_equal(findings_of("s", "to").n, 0);
		assert_int_equal(findings_of("s", "from").n, 0);
		ipk_stream_close(from);
		ipk_object_remove(seg, "from", NULL);
		ipk_object_remove(seg, "to", NULL);
	}
}

/* Goes on for n instructions; returns how many there were before it ended. */
static u64 step(pid_t pid, u64 n)
{
	u64 done = 0;
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	while (done < n) {
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status)) {
			assert_int_equal(WEXITSTATUS(status), 0);
			break;
		}
		done++;
	}
	return done;
}

#define ROUND 3 /* records of one life: of two commits */

/* One life of n instructions, and what the next runner, which nobody kills, makes of it. */
static u64 live_and_die(struct ipk_stream *from, u64 n)
{
	struct ipk_derive *d;
	pid_t pid;
	u64 lived;

	for (int i = 0; i < ROUND; i++)
		emit_val(from, (i64)rnd(100));
	pid = begin_runner(true);
	lived = step(pid, n);
	if (lived == n)
		kill_runner(pid);
	d = derive("to");
	run_all(d);
	ipk_derive_close(d);
	read_list("from", &want);
	over_list(&(struct random_op){&list_ops[5], 1, 1}, 1, &want);
	over_list(&(struct random_op){&list_ops[7], 2, 1}, 1, &want);
	same_list("to", &want, "a life cut short");
	return lived;
}

/* At some instructions from opening to the end, at more with IPK_TEST_LONG. */
static void a_runner_may_be_killed_at_any_instruction(void **state)
{
	u64 parts = getenv("IPK_TEST_LONG") && *getenv("IPK_TEST_LONG") == '1' ? 200 : 5;
	struct ipk_stream *from = NULL;
	u64 end = 0, lives = 0;

	(void)state;
	for (u64 n = 0; n <= end; n += 1 + end / parts + rnd((u32)(end / parts))) {
		if (lives++ % (LIST_MAX / ROUND - 2) == 0) {
			ipk_stream_close(from);
			ipk_object_remove(seg, "from", NULL);
			ipk_object_remove(seg, "to", NULL);
			from = stream("from",
				      &(struct ipk_stream_options){.type = "i64", .cap = LIST_MAX});
			make_derived("to", "from", "scan(1, acc / 2 + $) | window(2) | sum");
			end = live_and_die(from, UINT64_MAX);
			assert_true(end > 1000);
		}
		live_and_die(from, n);
	}
	ipk_stream_close(from);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(killed_runners_lose_nothing_and_repeat_nothing),
		TEST(a_runner_may_be_killed_at_any_instruction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
