/* SPDX-License-Identifier: MIT */
/*
 * What it costs to wait, beside the bare system call: looks that find nothing, and an item that
 * comes back from a second process which slept until it came. Each round trip is two wakes and two
 * sleeps, with futex(2) alone as with two queues or two rings; the rounds alternate, and both
 * processes have a core of their own. The pause before each lets the other fall asleep. Ratios are
 * made round by round.
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
#include "ipk/ring.h"

#define ROUNDS_MAX 100000
#define PAUSE 150000 /* ns */
#define LOOKS 200000

static unsigned rounds = 4000;

/* ---- the bare futex -------------------------------------------------------------------------- */

static struct words {
	struct {
		_Alignas(128) _Atomic uint32_t seq;
		uint64_t val;
	} way[2];
} * words;

static void futex_give(unsigned way, uint64_t val)
{
	words->way[way].val = val;
	atomic_fetch_add(&words->way[way].seq, 1);
	syscall(SYS_futex, &words->way[way].seq, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static uint64_t futex_take(unsigned way)
{
	static uint32_t seen[2];

	while (atomic_load(&words->way[way].seq) == seen[way])
		syscall(SYS_futex, &words->way[way].seq, FUTEX_WAIT, seen[way], NULL, NULL, 0);
	seen[way]++;
	return words->way[way].val;
}

/* ---- ours ------------------------------------------------------------------------------------ */

static struct ipk_segment *seg;
static struct ipk_queue *queue[2];
static struct ipk_ring *cells[2], *records[2];

static void must(const char *what, int r)
{
	if (r != 0)
		fail(what, r);
}

static struct ipk_queue *open_queue(const char *name)
{
	struct ipk_queue *q = NULL;

	must(name, ipk_queue_create(seg, name, "u64", 64, NULL));
	must(name, ipk_queue_open(seg, name, NULL, &q, NULL));
	return q;
}

static struct ipk_ring *open_ring(const char *name, const char *type)
{
	const struct ipk_ring_options options = {.type = type, .cap = 4096};
	struct ipk_ring *r = NULL;

	must(name, ipk_ring_create(seg, name, &options, NULL));
	must(name, ipk_ring_open(seg, name, NULL, &r, NULL));
	return r;
}

static void queue_give(unsigned way, uint64_t val)
{
	must("push", ipk_queue_push(queue[way], &val, sizeof(val), IPK_FOREVER));
}

static uint64_t queue_take(unsigned way)
{
	uint64_t val = 0;

	must("pop", ipk_queue_pop(queue[way], &val, sizeof(val), NULL, IPK_FOREVER));
	return val;
}

static void ring_give(struct ipk_ring *r, uint64_t val)
{
	must("push", ipk_ring_push(r, &val, sizeof(val), IPK_FOREVER));
}

static uint64_t ring_take(struct ipk_ring *r)
{
	uint64_t val = 0;

	must("pop", ipk_ring_pop(r, &val, sizeof(val), NULL, IPK_FOREVER));
	return val;
}

static void cells_give(unsigned way, uint64_t val)
{
	ring_give(cells[way], val);
}

static uint64_t cells_take(unsigned way)
{
	return ring_take(cells[way]);
}

static void records_give(unsigned way, uint64_t val)
{
	ring_give(records[way], val);
}

static uint64_t records_take(unsigned way)
{
	return ring_take(records[way]);
}

/* ---- measuring ------------------------------------------------------------------------------- */

static const struct row {
	const char *name;
	void (*give)(unsigned way, uint64_t val);
	uint64_t (*take)(unsigned way);
} rows[] = {
	{"futex", futex_give, futex_take},
	{"queue", queue_give, queue_take},
	{"ring", cells_give, cells_take},
	{"ring, any length", records_give, records_take},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static void echo(void)
{
	pin(1);
	for (uint32_t i = 1; i <= rounds; i++)
		for (unsigned k = 0; k < ROWS; k++)
			rows[k].give(1, rows[k].take(0));
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

static void print(const char *name, double *ns, const double *bare)
{
	static double ratio[ROUNDS_MAX];

	for (unsigned i = 0; i < rounds; i++)
		ratio[i] = ns[i] / bare[i];
	qsort(ratio, rounds, sizeof(*ratio), by_size);
	if (ns != bare)
		qsort(ns, rounds, sizeof(*ns), by_size);
	printf("%-18s %8.2f %8.2f %8.2f us   %5.2f (%.2f-%.2f)\n", name, ns[rounds / 10] / 1e3,
	       ns[rounds / 2] / 1e3, ns[rounds - 1 - rounds / 10] / 1e3, ratio[rounds / 2],
	       ratio[rounds / 4], ratio[rounds - 1 - rounds / 4]);
}

static void round_trips(void)
{
	static double ns[ROWS][ROUNDS_MAX];
	int status;
	pid_t pid = fork();

	if (pid < 0)
		fail("fork", -errno);
	if (pid == 0)
		echo();
	for (uint32_t i = 1; i <= rounds; i++) {
		for (unsigned k = 0; k < ROWS; k++) {
			double start;

			rest();
			start = now();
			rows[k].give(0, i);
			if (rows[k].take(1) != i)
				fail("echo", -EBADMSG);
			ns[k][i - 1] = now() - start;
		}
	}
	if (waitpid(pid, &status, 0) != pid || status != 0)
		fail("echo", -EBADMSG);
	printf("there and back, both asleep, %u rounds\n%-18s %8s %8s %8s      %s\n", rounds, "",
	       "10%", "median", "90%", "to the futex (quartiles)");
	for (unsigned k = ROWS; k-- > 1;)
		print(rows[k].name, ns[k], ns[0]);
	qsort(ns[0], rounds, sizeof(*ns[0]), by_size);
	print(rows[0].name, ns[0], ns[0]);
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
			r = push ? ipk_queue_push(q, &val, sizeof(val), IPK_NOWAIT)
				 : ipk_queue_pop(q, &val, sizeof(val), NULL, IPK_NOWAIT);
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
	struct ipk_error err = {0};
	struct ipk_queue *full;
	int fd, r;

	words = mmap(NULL, sizeof(*words), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (argc > 1)
		rounds = (unsigned)strtoul(argv[1], NULL, 10);
	if (words == MAP_FAILED || rounds == 0 || rounds > ROUNDS_MAX)
		fail("usage: bench_wait [ROUNDS]", -EINVAL);
	options.max = 16 << 20;
	r = ipk_segment_memfd("bench-wait", &options, &fd, &err);
	if (r == 0)
		r = ipk_segment_open_fd(fd, IPK_READ | IPK_WRITE, &seg, &err);
	if (r != 0)
		fail(err.text, r);
	for (unsigned way = 0; way < 2; way++) {
		queue[way] = open_queue(way ? "queue-back" : "queue");
		cells[way] = open_ring(way ? "cells-back" : "cells", "u64");
		records[way] = open_ring(way ? "records-back" : "records", "bytes");
	}
	full = open_queue("full");
	for (uint64_t i = 0; i < 64; i++)
		must("push", ipk_queue_push(full, &i, sizeof(i), IPK_NOWAIT));

	pin(0);
	printf("empty pop  %.2f ns\n", look(queue[0], false, -EAGAIN));
	printf("full push  %.2f ns\n", look(full, true, -EAGAIN));
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1)
		round_trips();
	return 0;
}
