/* SPDX-License-Identifier: MIT */
/*
 * A map's operations beside a plain private hash probe in the same run: the same hash, the same
 * table of words that name entries, linear probing, keys compared, values copied; no versions, no
 * locks, no segment. Keys of 16 and values of 8 and 32 bytes. Ratios count, nanoseconds are the
 * machine's own.
 *
 *	bench_map [ENTRIES [THOUSANDS of operations a round]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ipk/map.h"

#define ROUNDS 15

struct key {
	uint64_t w[2];
};

struct plain_entry {
	uint64_t hash;
	struct key key;
	uint64_t value[4];
};

static uint64_t entries = 10000, ops = 200000;
static struct key *keys, *missing;
static uint32_t *order;
static struct ipk_map *map, *wide;
static struct plain_entry **table;
static unsigned table_log2;
static volatile uint64_t sink;

/* Of this thread: time in which others had the CPU does not count. */
static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static uint64_t random64(void)
{
	static uint64_t x = 88172645463325252u;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

/* ---- the private table ---------------------------------------------------------------------- */

static struct plain_entry **plain_find(const struct key *key, uint64_t hash)
{
	uint64_t mask = (UINT64_C(1) << table_log2) - 1, i = hash >> (64 - table_log2);

	while (table[i] &&
	       (table[i]->hash != hash || memcmp(&table[i]->key, key, sizeof(*key)) != 0))
		i = (i + 1) & mask;
	return &table[i];
}

static void plain_put(const struct key *key, uint64_t value)
{
	uint64_t hash = XXH3_64bits(key, sizeof(*key));
	struct plain_entry **at = plain_find(key, hash);

	if (!*at) {
		*at = aligned_alloc(64, 64);
		if (!*at)
			exit(1);
		(*at)->hash = hash;
		(*at)->key = *key;
	}
	(*at)->value[0] = value;
}

/* ---- what is measured ----------------------------------------------------------------------- */

static void get_plain(const struct key *from)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < ops; i++) {
		const struct key *key = &from[order[i % entries]];
		struct plain_entry *e = *plain_find(key, XXH3_64bits(key, sizeof(*key)));

		sum += e ? e->value[0] : 1;
	}
	sink = sum;
}

static void get_map(const struct key *from)
{
	uint64_t sum = 0, val = 0;

	for (uint64_t i = 0; i < ops; i++) {
		const struct key *key = &from[order[i % entries]];

		if (ipk_map_get(map, key, sizeof(*key), &val, sizeof(val), NULL) != 0)
			val = 1;
		sum += val;
	}
	sink = sum;
}

static void plain_hit(void)
{
	get_plain(keys);
}

static void plain_miss(void)
{
	get_plain(missing);
}

static void map_hit(void)
{
	get_map(keys);
}

static void map_miss(void)
{
	get_map(missing);
}

static void plain_put_again(void)
{
	for (uint64_t i = 0; i < ops; i++)
		plain_put(&keys[order[i % entries]], i);
}

static void map_put_in_place(void)
{
	for (uint64_t i = 0; i < ops; i++)
		ipk_map_put(map, &keys[order[i % entries]], sizeof(struct key), &i, sizeof(i),
			    IPK_FOREVER);
}

static void map_add(void)
{
	uint64_t one = 1;

	for (uint64_t i = 0; i < ops; i++)
		ipk_map_add(map, &keys[order[i % entries]], sizeof(struct key), &one, NULL,
			    IPK_FOREVER);
}

static void map_put_block(void)
{
	uint64_t val[4] = {0};

	for (val[0] = 0; val[0] < ops; val[0]++)
		ipk_map_put(wide, &keys[order[val[0] % entries]], sizeof(struct key), val,
			    sizeof(val), IPK_FOREVER);
}

static void map_put_and_del(void)
{
	uint64_t val = 7;

	for (uint64_t i = 0; i < ops; i += 2) {
		const struct key *key = &missing[order[i % entries]];

		ipk_map_put(map, key, sizeof(*key), &val, sizeof(val), IPK_FOREVER);
		ipk_map_del(map, key, sizeof(*key), IPK_FOREVER);
	}
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Median of rounds in which both take turns, so that what disturbs disturbs both. */
static void compare(const char *name, void (*ours)(void), const char *other, void (*theirs)(void))
{
	double a[ROUNDS], b[ROUNDS], t;

	ours();
	theirs();
	for (int i = 0; i < ROUNDS; i++) {
		t = now();
		theirs();
		b[i] = (now() - t) * 1e9 / (double)ops;
		t = now();
		ours();
		a[i] = (now() - t) * 1e9 / (double)ops;
	}
	qsort(a, ROUNDS, sizeof(*a), by_size);
	qsort(b, ROUNDS, sizeof(*b), by_size);
	printf("%-28s %7.1f ns   %-22s %7.1f ns   ratio %.2f\n", name, a[ROUNDS / 2], other,
	       b[ROUNDS / 2], a[ROUNDS / 2] / b[ROUNDS / 2]);
}

static void prepare_keys(void)
{
	keys = calloc(entries, sizeof(*keys));
	missing = calloc(entries, sizeof(*missing));
	order = calloc(entries, sizeof(*order));
	for (table_log2 = 3; UINT64_C(3) << (table_log2 - 2) < entries; table_log2++)
		;
	table = calloc(UINT64_C(1) << table_log2, sizeof(*table));
	if (!keys || !missing || !order || !table)
		exit(1);
	for (uint64_t i = 0; i < entries; i++) {
		keys[i] = (struct key){{random64(), i}};
		missing[i] = (struct key){{random64(), ~i}};
		order[i] = (uint32_t)i;
	}
	for (uint64_t i = entries - 1; i > 0; i--) {
		uint64_t k = random64() % (i + 1);
		uint32_t was = order[i];

		order[i] = order[k];
		order[k] = was;
	}
}

static int prepare_maps(struct ipk_segment *seg, struct ipk_error *err)
{
	int r = ipk_map_create(seg, "map", "u64", "bytes:16", entries, err);

	if (!r)
		r = ipk_map_create(seg, "wide", "u64[4]", "bytes:16", entries, err);
	if (!r)
		r = ipk_map_open(seg, "map", NULL, NULL, &map, err);
	if (!r)
		r = ipk_map_open(seg, "wide", NULL, NULL, &wide, err);
	for (uint64_t i = 0; !r && i < entries; i++) {
		uint64_t val[4] = {i};

		plain_put(&keys[i], i);
		r = ipk_map_put(map, &keys[i], sizeof(*keys), val, 8, IPK_FOREVER);
		if (!r)
			r = ipk_map_put(wide, &keys[i], sizeof(*keys), val, sizeof(val),
					IPK_FOREVER);
	}
	return r;
}

static void measure(void)
{
	printf("%llu entries, keys of 16 bytes\n", (unsigned long long)entries);
	compare("get, there", map_hit, "plain probe", plain_hit);
	compare("get, not there", map_miss, "plain probe", plain_miss);
	compare("put, 8 bytes, in place", map_put_in_place, "plain store", plain_put_again);
	compare("add", map_add, "plain store", plain_put_again);
	compare("put, 32 bytes, a new block", map_put_block, "plain store", plain_put_again);
	compare("put or del of a new key", map_put_and_del, "plain store", plain_put_again);
}

int main(int argc, char **argv)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_segment *seg;
	struct ipk_error err = {0};
	char name[64];

	if (argc > 1)
		entries = strtoull(argv[1], NULL, 0);
	if (argc > 2)
		ops = strtoull(argv[2], NULL, 0) * 1000;
	if (entries < 1 || entries > 10000000 || ops < 2)
		return 2;
	snprintf(name, sizeof(name), "bench-map-%d", (int)getpid());
	options.max = UINT64_C(4) << 30;
	options.sparse = true;
	if (ipk_segment_create(name, &options, &seg, &err) < 0) {
		fprintf(stderr, "bench_map: %s\n", err.text);
		return 1;
	}
	ipk_segment_remove(name, NULL);
	prepare_keys();
	if (prepare_maps(seg, &err) < 0)
		fprintf(stderr, "bench_map: %s\n", err.text);
	else
		measure();
	ipk_map_close(map);
	ipk_map_close(wide);
	ipk_segment_close(seg);
	return err.code ? 1 : 0;
}
