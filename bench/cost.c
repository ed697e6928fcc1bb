/* SPDX-License-Identifier: MIT */
/*
 * What the protection costs: queue and map with it, and without what is done only in case that
 * somebody dies (core/base/base.h, IPK_PROTECTED: who owns what, the journal, a look whether an
 * owner lives). Two programs of the same source, one for each library, are worked in turn, round by
 * round.
 *
 *	bench_cost [ROUNDS]
 */
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "ipk/map.h"
#include "ipk/queue.h"

#define ROUNDS_MAX 1000
#define ITEMS 50000
#define KEYS 1000

static struct ipk_queue *queue;
static struct ipk_map *map, *wide;

/* ---- what is done ---------------------------------------------------------------------------- */

static int push_and_pop(void)
{
	struct ipk_queue *q = queue;
	uint64_t got;
	int r = 0;

	for (uint64_t i = 0; i < ITEMS && r == 0; i++) {
		r = ipk_queue_push(q, &i, sizeof(i), IPK_NOWAIT);
		if (r == 0)
			r = ipk_queue_pop(q, &got, sizeof(got), NULL, IPK_NOWAIT);
	}
	return r;
}

static int consume(void)
{
	uint64_t got;
	int r = 0;

	pin(1);
	for (uint64_t i = 0; i < ITEMS && r == 0; i++) {
		r = ipk_queue_pop(queue, &got, sizeof(got), NULL, IPK_FOREVER);
		if (r == 0 && got != i)
			r = -EBADMSG;
	}
	return r;
}

static int push_to_another(void)
{
	int r = 0, status;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0)
		_exit(consume() != 0);
	for (uint64_t i = 0; i < ITEMS && r == 0; i++)
		r = ipk_queue_push(queue, &i, sizeof(i), IPK_FOREVER);
	return waitpid(pid, &status, 0) == pid && status == 0 ? r : -EBADMSG;
}

static int get(void)
{
	uint64_t val, key;
	int r = 0;

	for (uint64_t i = 0; i < ITEMS && r >= 0; i++) {
		key = i % KEYS;
		r = ipk_map_get(map, &key, sizeof(key), &val, sizeof(val), NULL);
	}
	return r;
}

static int put_word(void)
{
	uint64_t key;
	int r = 0;

	for (uint64_t i = 0; i < ITEMS && r >= 0; i++) {
		key = i % KEYS;
		r = ipk_map_put(map, &key, sizeof(key), &i, sizeof(i), IPK_FOREVER);
	}
	return r;
}

static int put_block(void)
{
	uint64_t key, val[4] = {0};
	int r = 0;

	for (; val[0] < ITEMS && r >= 0; val[0]++) {
		key = val[0] % KEYS;
		r = ipk_map_put(wide, &key, sizeof(key), val, sizeof(val), IPK_FOREVER);
	}
	return r;
}

static const struct work {
	const char *name;
	int (*run)(void);
} works[] = {
	{"queue, push and pop", push_and_pop},
	{"queue, 1+1", push_to_another},
	{"map, get", get},
	{"map, put 8 bytes", put_word},
	{"map, put 32 bytes", put_block},
};
#define WORKS (sizeof(works) / sizeof(*works))

/* ---- the worker ------------------------------------------------------------------------------ */

static void prepare(void)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_error err = {0};
	struct ipk_segment *seg;
	int fd, r;

	options.max = 64 << 20;
	r = ipk_segment_memfd("bench-cost", &options, &fd, &err);
	if (r == 0)
		r = ipk_segment_open_fd(fd, IPK_READ | IPK_WRITE, &seg, &err);
	if (r == 0)
		r = ipk_queue_create(seg, "queue", "u64", 1024, &err);
	if (r == 0)
		r = ipk_queue_open(seg, "queue", NULL, &queue, &err);
	if (r == 0)
		r = ipk_map_create(seg, "map", "u64", "u64", KEYS, &err);
	if (r == 0)
		r = ipk_map_open(seg, "map", NULL, NULL, &map, &err);
	if (r == 0)
		r = ipk_map_create(seg, "wide", "u64[4]", "u64", KEYS, &err);
	if (r == 0)
		r = ipk_map_open(seg, "wide", NULL, NULL, &wide, &err);
	if (r < 0)
		fail(err.text, r);
	r = put_word();
	if (r < 0)
		fail("put", r);
}

/* Reads the number of a work, does it, writes ns for one item; until there is none. */
static int worker(void)
{
	unsigned char i;

	pin(0);
	prepare();
	while (read(0, &i, 1) == 1) {
		double start = now(), ns;
		int r = works[i].run();

		if (r < 0)
			fail(works[i].name, r);
		ns = (now() - start) / ITEMS;
		if (write(1, &ns, sizeof(ns)) != sizeof(ns))
			return 1;
	}
	return 0;
}

/* ---- comparing ------------------------------------------------------------------------------- */

struct program {
	int in, out;
};

static struct program start(const char *path)
{
	int to[2], from[2];
	pid_t pid = -1;

	if (pipe(to) < 0 || pipe(from) < 0 || (pid = fork()) < 0)
		fail("fork", -errno);
	if (pid == 0) {
		dup2(to[0], 0);
		dup2(from[1], 1);
		close(to[1]);
		close(from[0]);
		execl(path, path, "work", (char *)NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	return (struct program){to[1], from[0]};
}

static double ask(struct program *p, unsigned char work)
{
	double ns = 0;

	if (write(p->in, &work, 1) != 1 || read(p->out, &ns, sizeof(ns)) != sizeof(ns))
		fail("a worker is gone", -EPIPE);
	return ns;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void compare(struct program *with, struct program *without, unsigned char work,
		    unsigned rounds)
{
	double a[ROUNDS_MAX], b[ROUNDS_MAX], ratio[ROUNDS_MAX];

	for (unsigned i = 0; i < rounds; i++) {
		a[i] = ask(with, work);
		b[i] = ask(without, work);
		ratio[i] = a[i] / b[i];
	}
	qsort(a, rounds, sizeof(*a), by_size);
	qsort(b, rounds, sizeof(*b), by_size);
	qsort(ratio, rounds, sizeof(*ratio), by_size);
	printf("%-22s %8.2f %8.2f %8.2f %8.2f %8.2f %7.2f-%.2f\n", works[work].name, a[0],
	       a[rounds / 2], b[0], b[rounds / 2], ratio[rounds / 2], ratio[rounds / 10],
	       ratio[rounds - 1 - rounds / 10]);
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 100;
	struct program with, without;
	char path[4096], *dir;

	if (argc > 1 && strcmp(argv[1], "work") == 0)
		return worker();
	if (rounds == 0 || rounds > ROUNDS_MAX)
		fail("usage: bench_cost [ROUNDS]", -EINVAL);
	dir = strdup(argv[0]);
	snprintf(path, sizeof(path), "%s/bench_cost_unprotected", dirname(dir));
	with = start(argv[0]);
	without = start(path);
	free(dir);
	printf("%u rounds of %d; ns each\n%-22s %17s %17s %8s\n", rounds, ITEMS, "", "protected",
	       "unprotected", "ratio");
	printf("%-22s %8s %8s %8s %8s %8s %12s\n", "", "best", "median", "best", "median", "median",
	       "10%-90%");
	for (unsigned char i = 0; i < WORKS; i++)
		if (works[i].run != push_to_another || sysconf(_SC_NPROCESSORS_ONLN) > 1)
			compare(&with, &without, i, rounds);
	return 0;
}
