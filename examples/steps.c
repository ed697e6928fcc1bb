/* SPDX-License-Identifier: MIT */
/*
 * A simulation in steps: each worker process computes its cells of rule 90 from what all had in the
 * step before, and a barrier lets nobody go on before all have.
 *   steps [CELLS] [STEPS]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ipk/array.h>
#include <ipk/barrier.h>

#define WORKERS 2

static char name[64];
static pid_t host;
static struct ipk_segment *seg;
static struct ipk_array *rows[2]; /* of this step and of the next, in turn */
static struct ipk_barrier *barrier;

static void clean(void)
{
	if (getpid() == host)
		ipk_segment_remove(name, NULL);
}

static void check(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, ipk_strerror(r));
	exit(1);
}

static void set_up(uint64_t cells)
{
	static const char *const names[] = {"row0", "row1"};
	const uint64_t one = 1;

	check(ipk_segment_create(name, NULL, &seg, NULL), "segment");
	for (int i = 0; i < 2; i++) {
		check(ipk_array_create(seg, names[i], "u64", cells, NULL), names[i]);
		check(ipk_array_open(seg, names[i], "u64", &rows[i], NULL), names[i]);
	}
	check(ipk_array_set(rows[0], cells / 2, &one, IPK_FOREVER), "set");
	/* Parties that die break it: the others are told, instead of waiting for ever. */
	check(ipk_barrier_create(seg, "step", WORKERS, false, NULL), "barrier");
	check(ipk_barrier_open(seg, "step", &barrier, NULL), "barrier");
}

static uint64_t get(struct ipk_array *row, uint64_t i)
{
	uint64_t val = 0;

	check(ipk_array_get(row, i, &val), "get");
	return val;
}

static void print(struct ipk_array *row, uint64_t cells)
{
	for (uint64_t i = 0; i < cells; i++)
		printf("%s%d", i ? " " : "", (int)get(row, i));
	printf("\n");
	fflush(stdout);
}

static void worker(uint64_t number, uint64_t cells, int steps)
{
	for (int step = 0; step < steps; step++) {
		struct ipk_array *now = rows[step % 2], *next = rows[(step + 1) % 2];

		for (uint64_t i = number; i < cells; i += WORKERS) {
			uint64_t val =
				get(now, (i + cells - 1) % cells) ^ get(now, (i + 1) % cells);

			check(ipk_array_set(next, i, &val, IPK_FOREVER), "set");
		}
		check(ipk_barrier_wait(barrier, IPK_FOREVER), "barrier");
		/* Nobody writes to it before the next time that all have arrived. */
		if (number == 0)
			print(next, cells);
	}
	check(ipk_barrier_leave(barrier), "leave");
	_exit(0);
}

int main(int argc, char **argv)
{
	uint64_t cells = argc > 1 ? strtoull(argv[1], NULL, 10) : 16;
	int steps = argc > 2 ? atoi(argv[2]) : 4, status, failed = 0;

	if (cells < 1 || steps < 1)
		check(-EINVAL, "cells and steps");
	host = getpid();
	snprintf(name, sizeof(name), "steps.%d", host);
	atexit(clean);
	set_up(cells);
	print(rows[0], cells);
	for (uint64_t i = 0; i < WORKERS; i++) {
		pid_t pid = fork();

		check(pid, "fork");
		if (pid == 0)
			worker(i, cells, steps);
	}
	while (wait(&status) > 0)
		failed |= status != 0;
	return failed;
}
