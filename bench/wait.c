/* SPDX-License-Identifier: MIT */
/*
 * What it costs to wait, beside the bare system call: looks that find nothing, and an item that comes
 * back from a second process which slept until it came. Each round trip is two wakes and two sleeps,
 * with futex(2) alone as with two queues; the rounds alternate, and both processes have a core of
 * their own. The pause before each lets the other fall asleep.
 *
 *	bench_wait [ROUNDS]
 */
#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "ipk/queue.h"

#define ROUNDS_MAX 100000
#define PAUSE 150000 /* ns */
#define LOOKS 200000

struct words {
	_Alignas(128) _Atomic uint32_t there;
	_Alignas(128) _Atomic uint32_t back;
};

static unsigned rounds = 4000;

/* ---- the bare futex ---------------------------------------------------------------------------- */

static void bump(_Atomic uint32_t *w)
{
	atomic_fetch_add(w, 1);
	syscall(SYS_futex, w, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void await(_Atomic uint32_t *w, uint32_t val)
{
	uint32_t seen;

	while ((seen = atomic_load(w)) != val)
		syscall(SYS_futex, w, FUTEX_WAIT, seen, NULL, NULL, 0);
}

/* ---- the queues -------------------------------------------------------------------------------- */

static struct ipk_queue *open_queue(struct ipk_segment *seg, const char *name)
{
	struct ipk_error err = {0};
	struct ipk_queue *q = NULL;
	int r = ipk_queue_create(seg, name, "u64", 64, &err);

	if (r == 0)
		r = ipk_queue_open(seg, name, NULL, &q, &err);
	if (r != 0)
		fail(err.text, r);
	return q;
}

static uint64_t take(struct ipk_queue *q)
{
	uint64_t val;
	int r = ipk_queue_pop(q, &val, sizeof(val), NULL, IPK_FOREVER);

	if (r != 0)
		fail("pop", r);
	return val;
}

static void give(struct ipk_queue *q, uint64_t val)
{
	int r = ipk_queue_push(q, &val, sizeof(val), IPK_FOREVER);

	if (r != 0)
		fail("push", r);
}

/* ---- measuring --------------------------------------------------------------------------------- */

static void echo(struct words *w, struct ipk_queue *there, struct ipk_queue *back)
{
	pin(1);
	for (uint32_t i = 1; i <= rounds; i++) {
		await(&w->there, i);
		bump(&w->back);
		give(back, take(there));
	}
	_exit(0);
}

static void rest(void)
{
	double end = now() + PAUSE;

	while (now() < end)
		;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print(const char *what, double *ns)
{
	qsort(ns, rounds, sizeof(*ns), by_size);
	printf("%-8s %8.2f %8.2f %8.2f us\n", what, ns[rounds / 10] / 1e3, ns[rounds / 2] / 1e3,
	       ns[rounds - 1 - rounds / 10] / 1e3);
}

static void round_trips(struct words *w, struct ipk_queue *there, struct ipk_queue *back)
{
	static double bare[ROUNDS_MAX], queue[ROUNDS_MAX];
	int status;
	pid_t pid = fork();

	if (pid < 0)
		fail("fork", -errno);
	if (pid == 0)
		echo(w, there, back);
	for (uint32_t i = 1; i <= rounds; i++) {
		double start;

		rest();
		start = now();
		bump(&w->there);
		await(&w->back, i);
		bare[i - 1] = now() - start;
		rest();
		start = now();
		give(there, i);
		if (take(back) != i)
			fail("echo", -EBADMSG);
		queue[i - 1] = now() - start;
	}
	if (waitpid(pid, &status, 0) != pid || status != 0)
		fail("echo", -EBADMSG);
	printf("there and back, both asleep, %u rounds\n%-8s %8s %8s %8s\n", rounds, "", "10%", "median",
	       "90%");
	print("futex", bare);
	print("queue", queue);
	printf("ratio of the medians %.2f\n", queue[rounds / 2] / bare[rounds / 2]);
}

/* The best of a hundred goes of LOOKS / 100. */
static double look(struct ipk_queue *q, bool push, int expected)
{
	double best = 1e9;

	for (unsigned go = 0; go < 100; go++) {
		double start = now(), ns;
		uint64_t val = 0;
		int r = expected;

		for (unsigned i = 0; r == expected && i < LOOKS / 100; i++)
			r = push ? ipk_queue_push(q, &val, sizeof(val), IPK_NOWAIT) :
				   ipk_queue_pop(q, &val, sizeof(val), NULL, IPK_NOWAIT);
		if (r != expected)
			fail("look", r);
		ns = (now() - start) / (LOOKS / 100);
		best = ns < best ? ns : best;
	}
	return best;
}

int main(int argc, char **argv)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct words *w = mmap(NULL, sizeof(*w), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			       -1, 0);
	struct ipk_error err = {0};
	struct ipk_segment *seg = NULL;
	struct ipk_queue *there, *back, *full;
	int fd, r;

	if (argc > 1)
		rounds = (unsigned)strtoul(argv[1], NULL, 10);
	if (w == MAP_FAILED || rounds == 0 || rounds > ROUNDS_MAX)
		fail("usage: bench_wait [ROUNDS]", -EINVAL);
	options.max = 16 << 20;
	r = ipk_segment_memfd("bench-wait", &options, &fd, &err);
	if (r == 0)
		r = ipk_segment_open_fd(fd, IPK_READ | IPK_WRITE, &seg, &err);
	if (r != 0)
		fail(err.text, r);
	there = open_queue(seg, "there");
	back = open_queue(seg, "back");
	full = open_queue(seg, "full");
	for (uint64_t i = 0; i < 64; i++)
		give(full, i);
	give(there, 0);
	take(there);

	pin(0);
	printf("empty pop  %.2f ns\n", look(there, false, -EAGAIN));
	printf("full push  %.2f ns\n", look(full, true, -EAGAIN));
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1)
		round_trips(w, there, back);
	return 0;
}
