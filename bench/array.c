/* SPDX-License-Identifier: MIT */
/*
 * Array elements through the view, through the functions, and through a raw pointer to private
 * memory in the same run. Ratios count, nanoseconds are the machine's own.
 *
 *	bench_array [THOUSANDS of accesses a round]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "ipk/array.h"

#define CAP 4096 /* of 8 bytes: in the first cache */
#define ROUNDS 200

struct wide {
	uint64_t w[8];
};

static uint64_t accesses = 100000;
static struct ipk_array *array, *wide;
static uint64_t *raw, *view;
static struct wide *raw_wide;
static volatile uint64_t sink;

/* Keeps the compiler from turning a loop of loads into vectors, for all alike. */
static inline void one(void *p)
{
	__asm__ volatile("" : : "r"(p) : "memory");
}

static void read_raw(void)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < accesses; i++) {
		sum += raw[i % CAP];
		one(&sum);
	}
	sink = sum;
}

static void read_view(void)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < accesses; i++) {
		sum += view[i % CAP];
		one(&sum);
	}
	sink = sum;
}

static void read_get(void)
{
	uint64_t sum = 0, val;

	for (uint64_t i = 0; i < accesses; i++) {
		ipk_array_get(array, i % CAP, &val);
		sum += val;
	}
	sink = sum;
}

static void write_set(void)
{
	for (uint64_t i = 0; i < accesses; i++)
		ipk_array_set(array, i % CAP, &i, IPK_FOREVER);
}

static void raw_add(void)
{
	for (uint64_t i = 0; i < accesses; i++)
		__atomic_fetch_add(&raw[i % CAP], 1, __ATOMIC_ACQ_REL);
}

static void write_add(void)
{
	const uint64_t n = 1;

	for (uint64_t i = 0; i < accesses; i++)
		ipk_array_add(array, i % CAP, &n, NULL);
}

static void copy_raw(void)
{
	struct wide val;

	for (uint64_t i = 0; i < accesses; i++) {
		memcpy(&val, &raw_wide[i % CAP], sizeof(val));
		one(&val);
	}
	sink = val.w[7];
}

static void copy_get(void)
{
	struct wide val;

	for (uint64_t i = 0; i < accesses; i++)
		ipk_array_get(wide, i % CAP, &val);
	sink = val.w[7];
}

static void copy_set(void)
{
	struct wide val = { { 0 } };

	for (uint64_t i = 0; i < accesses; i++) {
		val.w[0] = i;
		ipk_array_set(wide, i % CAP, &val, IPK_FOREVER);
	}
}

/* The best of many short rounds, in nanoseconds an access. */
static double best(void (*fn)(void))
{
	double least = 1e9;

	for (int i = 0; i < ROUNDS; i++) {
		double start = now_s(), t;

		fn();
		t = (now_s() - start) * 1e9 / (double)accesses;
		least = t < least ? t : least;
	}
	return least;
}

static void row(const char *what, double ns, double base, const char *beside)
{
	printf("%-34s %8.2f ns %8.2f x %s\n", what, ns, ns / base, beside);
	fflush(stdout);
}

static void run(void)
{
	double load = best(read_raw), add = best(raw_add), copy = best(copy_raw);

	row("raw pointer, 8 bytes", load, load, "itself");
	row("through ipk_array_view()", best(read_view), load, "raw pointer");
	row("ipk_array_get(), 8 bytes", best(read_get), load, "raw pointer");
	row("ipk_array_set(), 8 bytes", best(write_set), load, "raw pointer");
	row("atomic fetch-add, raw pointer", add, add, "itself");
	row("ipk_array_add()", best(write_add), add, "raw fetch-add");
	row("memcpy(), 64 bytes", copy, copy, "itself");
	row("ipk_array_get(), 64 bytes", best(copy_get), copy, "memcpy");
	row("ipk_array_set(), 64 bytes", best(copy_set), copy, "memcpy");
}

int main(int argc, char **argv)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_segment *seg = NULL;
	struct ipk_error err = { 0 };
	int r;

	if (argc > 1)
		accesses = strtoull(argv[1], NULL, 10) * 1000;
	r = ipk_segment_create("bench-array", &options, &seg, &err);
	if (!r)
		r = ipk_array_create(seg, "a", "u64", CAP, &err);
	if (!r)
		r = ipk_array_create(seg, "w", "u64[8]", CAP, &err);
	if (!r)
		r = ipk_array_open(seg, "a", "u64", &array, &err);
	if (!r)
		r = ipk_array_open(seg, "w", "u64[8]", &wide, &err);
	raw = calloc(CAP, sizeof(*raw));
	raw_wide = calloc(CAP, sizeof(*raw_wide));
	if (!r && raw && raw_wide) {
		view = ipk_array_view(array);
		run();
	} else {
		fprintf(stderr, "bench_array: %s\n", err.text);
	}
	ipk_array_close(array);
	ipk_array_close(wide);
	if (seg) {
		ipk_segment_close(seg);
		ipk_segment_remove("bench-array", NULL);
	}
	free(raw);
	free(raw_wide);
	return r ? 1 : 0;
}
