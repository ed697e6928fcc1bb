/* SPDX-License-Identifier: MIT */
/*
 * The ring beside unprotected ones in shared memory, in the same run, from one process to another
 * on two pinned cores: an index ring with cached indices ("plain"), one without ("bursts as
 * DPDK's", which reads the other side's index for each burst), and Boost.Lockfree's where it is
 * installed. Rounds are short and go in turn, so that a slow spell of the machine meets all; the
 * median counts, and the best round is what a quiet machine gives. Ratios count, nanoseconds are
 * the machine's own.
 *
 *	bench_ring [ROUNDS [alone|one-way|rates]]
 *
 * On a busy machine: chrt -f 5 bench_ring, it takes some seconds.
 */
#include <stdalign.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "ipk/ring.h"
#include "ring_boost.h"

#define BURST 32u
#define ROUNDS_MAX 1000

static unsigned rounds = 101;

static void *shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		fail("memory", -ENOMEM);
	return p;
}

/* A child on the second processor. 0 in the child. */
static pid_t fork_beside(void)
{
	_Atomic int *there = shared(sizeof(*there));
	pid_t pid;

	pin(1);
	pid = fork();
	if (pid < 0)
		fail("fork", -errno);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		atomic_store(there, 1);
		return 0;
	}
	pin(0);
	while (!atomic_load(there))
		usleep(100);
	return pid;
}

/* ---- plain rings ----------------------------------------------------------------------------- */

struct plain {
	alignas(128) _Atomic uint64_t tail;
	alignas(128) _Atomic uint64_t head;
	alignas(128) uint64_t put, put_limit; /* the producer's own */
	alignas(128) uint64_t get, get_limit; /* the consumer's own */
	alignas(128) uint64_t cap;
	alignas(128) uint64_t cell[];
};

static struct plain *new_plain(uint64_t cap)
{
	struct plain *p = shared(sizeof(*p) + 8 * cap);

	p->cap = p->put_limit = cap;
	return p;
}

static inline bool plain_push(struct plain *p, uint64_t val)
{
	if (p->put == p->put_limit) {
		p->put_limit = atomic_load_explicit(&p->head, memory_order_acquire) + p->cap;
		if (p->put == p->put_limit)
			return false;
	}
	p->cell[p->put++ & (p->cap - 1)] = val;
	atomic_store_explicit(&p->tail, p->put, memory_order_release);
	return true;
}

static inline bool plain_pop(struct plain *p, uint64_t *ret)
{
	if (p->get == p->get_limit) {
		p->get_limit = atomic_load_explicit(&p->tail, memory_order_acquire);
		if (p->get == p->get_limit)
			return false;
	}
	*ret = p->cell[p->get++ & (p->cap - 1)];
	atomic_store_explicit(&p->head, p->get, memory_order_release);
	return true;
}

/* Up to n; the other side's index is read each time. */
static inline unsigned plain_push_burst(struct plain *p, const uint64_t *val, unsigned n)
{
	uint64_t at = p->put,
		 room = p->cap + atomic_load_explicit(&p->head, memory_order_acquire) - at;

	n = room < n ? (unsigned)room : n;
	for (unsigned i = 0; i < n; i++)
		p->cell[(at + i) & (p->cap - 1)] = val[i];
	p->put = at + n;
	atomic_store_explicit(&p->tail, p->put, memory_order_release);
	return n;
}

static inline unsigned plain_pop_burst(struct plain *p, uint64_t *ret, unsigned n)
{
	uint64_t at = p->get, have = atomic_load_explicit(&p->tail, memory_order_acquire) - at;

	n = have < n ? (unsigned)have : n;
	for (unsigned i = 0; i < n; i++)
		ret[i] = p->cell[(at + i) & (p->cap - 1)];
	p->get = at + n;
	atomic_store_explicit(&p->head, p->get, memory_order_release);
	return n;
}

/* ---- peers: what one side does for n items --------------------------------------------------- */

struct peer {
	const char *name;
	void *at;
	void (*produce)(void *at, uint64_t n);
	void (*consume)(void *at, uint64_t n);
	double rate[ROUNDS_MAX];
};

static void check(uint64_t got, uint64_t want)
{
	if (got != want)
		fail("an item is wrong", -EBADMSG);
}

static void plain_produce(void *at, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		while (!plain_push(at, i))
			;
}

static void plain_consume(void *at, uint64_t n)
{
	uint64_t val = 0;

	for (uint64_t i = 0; i < n; i++) {
		while (!plain_pop(at, &val))
			;
		check(val, i);
	}
}

static void plain_produce_bursts(void *at, uint64_t n)
{
	uint64_t val[BURST];

	for (uint64_t i = 0; i < n; i += BURST) {
		for (unsigned k = 0; k < BURST; k++)
			val[k] = i + k;
		for (unsigned k = 0; k < BURST;)
			k += plain_push_burst(at, val + k, BURST - k);
	}
}

static void plain_consume_bursts(void *at, uint64_t n)
{
	uint64_t val[BURST];

	for (uint64_t i = 0; i < n;) {
		unsigned got = plain_pop_burst(at, val, BURST);

		if (got)
			check(val[got - 1], i + got - 1);
		i += got;
	}
}

static void ipk_produce(void *at, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		while (ipk_ring_push(at, &i, sizeof(i), IPK_NOWAIT) != 0)
			;
}

static void ipk_consume(void *at, uint64_t n)
{
	uint64_t val = 0;

	for (uint64_t i = 0; i < n; i++) {
		while (ipk_ring_pop(at, &val, sizeof(val), NULL, IPK_NOWAIT) != 0)
			;
		check(val, i);
	}
}

static void ipk_produce_waiting(void *at, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		if (ipk_ring_push(at, &i, sizeof(i), IPK_FOREVER) != 0)
			fail("push", -EBADMSG);
}

static void ipk_consume_waiting(void *at, uint64_t n)
{
	uint64_t val = 0;

	for (uint64_t i = 0; i < n; i++) {
		if (ipk_ring_pop(at, &val, sizeof(val), NULL, IPK_FOREVER) != 0)
			fail("pop", -EBADMSG);
		check(val, i);
	}
}

static void ipk_produce_bursts(void *at, uint64_t n)
{
	uint64_t val[BURST];

	for (uint64_t i = 0; i < n; i += BURST) {
		for (unsigned k = 0; k < BURST; k++)
			val[k] = i + k;
		for (unsigned k = 0; k < BURST;) {
			int r = ipk_ring_push_array(at, val + k, BURST - k, IPK_NOWAIT);

			k += r > 0 ? (unsigned)r : 0;
		}
	}
}

static void ipk_consume_bursts(void *at, uint64_t n)
{
	uint64_t val[BURST];

	for (uint64_t i = 0; i < n;) {
		int got = ipk_ring_pop_array(at, val, BURST, IPK_NOWAIT);

		if (got <= 0)
			continue;
		check(val[got - 1], i + (unsigned)got - 1);
		i += (unsigned)got;
	}
}

struct block {
	uint64_t word[32];
};

static void ipk_produce_256(void *at, uint64_t n)
{
	struct block b = {{0}};

	for (uint64_t i = 0; i < n; i++) {
		b.word[0] = b.word[31] = i;
		while (ipk_ring_push(at, &b, sizeof(b), IPK_NOWAIT) != 0)
			;
	}
}

static void ipk_consume_256(void *at, uint64_t n)
{
	struct block b;

	for (uint64_t i = 0; i < n; i++) {
		while (ipk_ring_pop(at, &b, sizeof(b), NULL, IPK_NOWAIT) != 0)
			;
		check(b.word[0] + b.word[31], 2 * i);
	}
}

static void ipk_produce_256_inplace(void *at, uint64_t n)
{
	struct ipk_ring_room room;
	struct block *b;

	for (uint64_t i = 0; i < n; i++) {
		while (ipk_ring_reserve(at, sizeof(*b), &room, IPK_NOWAIT) != 0)
			;
		b = room.data;
		for (unsigned k = 0; k < 32; k++)
			b->word[k] = i;
		ipk_ring_commit(at, &room, sizeof(*b));
	}
}

static void ipk_consume_256_inplace(void *at, uint64_t n)
{
	struct ipk_ring_message m;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t sum = 0;

		while (ipk_ring_peek(at, &m, IPK_NOWAIT) != 0)
			;
		for (unsigned k = 0; k < 32; k++)
			sum += ((const struct block *)m.data)->word[k];
		check(sum, 32 * i);
		ipk_ring_release(at, &m);
	}
}

/* ---- rates ----------------------------------------------------------------------------------- */

struct board {
	alignas(128) _Atomic unsigned go; /* the round that may begin */
	alignas(128) _Atomic unsigned ready,
		done; /* the last round that the consumer was ready for, ended */
};

static struct board *board;

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void consumer(struct peer *peers, unsigned n, uint64_t items)
{
	for (unsigned i = 0; i < rounds * n; i++) {
		atomic_store(&board->ready, i + 1);
		while (atomic_load(&board->go) != i + 1)
			;
		peers[i % n].consume(peers[i % n].at, items);
		atomic_store(&board->done, i + 1);
	}
	_exit(0);
}

static void report(const char *what, struct peer *peers, unsigned n)
{
	double first = 0, best = 0;

	printf("%s\n", what);
	for (unsigned i = 0; i < n; i++) {
		qsort(peers[i].rate, rounds, sizeof(double), by_value);
		if (i == 0) {
			first = peers[i].rate[rounds / 2];
			best = peers[i].rate[rounds - 1];
		}
		printf("  %-26s %8.2f M/s %6.2f    best %8.2f M/s %6.2f\n", peers[i].name,
		       peers[i].rate[rounds / 2], peers[i].rate[rounds / 2] / first,
		       peers[i].rate[rounds - 1], peers[i].rate[rounds - 1] / best);
	}
	fflush(stdout);
}

/* The first peer is what the others are compared to. */
static void race(const char *what, struct peer *peers, unsigned n, uint64_t items)
{
	int status;
	pid_t pid;

	board = shared(sizeof(*board));
	pid = fork_beside();
	if (pid == 0)
		consumer(peers, n, items);
	for (unsigned i = 0; i < rounds * n; i++) {
		double start;

		while (atomic_load(&board->ready) != i + 1)
			;
		start = now();
		atomic_store(&board->go, i + 1);
		peers[i % n].produce(peers[i % n].at, items);
		while (atomic_load(&board->done) != i + 1)
			;
		peers[i % n].rate[i / n] = (double)items * 1e3 / (now() - start);
	}
	if (waitpid(pid, &status, 0) != pid || status != 0)
		fail(what, -EBADMSG);
	munmap(board, sizeof(*board));
	report(what, peers, n);
}

/* ---- one way --------------------------------------------------------------------------------- */

struct way {
	const char *name;
	void *there, *back;
	void (*send)(void *at, uint64_t val);
	uint64_t (*receive)(void *at);
	double ns[ROUNDS_MAX];
};

static void raw_send(void *at, uint64_t val)
{
	atomic_store_explicit((_Atomic uint64_t *)at, val, memory_order_release);
}

static uint64_t raw_receive(void *at)
{
	uint64_t val;

	while (!(val = atomic_load_explicit((_Atomic uint64_t *)at, memory_order_acquire)))
		;
	atomic_store_explicit((_Atomic uint64_t *)at, 0, memory_order_relaxed);
	return val;
}

struct sixteen {
	uint64_t a, b;
};

static void ring_send_16(void *at, uint64_t val)
{
	struct sixteen s = {val, ~val};

	while (ipk_ring_push(at, &s, sizeof(s), IPK_NOWAIT) != 0)
		;
}

static uint64_t ring_receive_16(void *at)
{
	struct sixteen s = {0, 0};

	while (ipk_ring_pop(at, &s, sizeof(s), NULL, IPK_NOWAIT) != 0)
		;
	check(s.b, ~s.a);
	return s.a;
}

static void ring_send_room(void *at, uint64_t val, size_t len)
{
	struct ipk_ring_room room;

	while (ipk_ring_reserve(at, len, &room, IPK_NOWAIT) != 0)
		;
	*(uint64_t *)room.data = val;
	ipk_ring_commit(at, &room, len);
}

static uint64_t ring_receive_room(void *at)
{
	struct ipk_ring_message m;
	uint64_t val;

	while (ipk_ring_peek(at, &m, IPK_NOWAIT) != 0)
		;
	val = *(const uint64_t *)m.data;
	ipk_ring_release(at, &m);
	return val;
}

static void ring_send_64(void *at, uint64_t val)
{
	ring_send_room(at, val, 64);
}

static void ring_send_64k(void *at, uint64_t val)
{
	ring_send_room(at, val, 65536);
}

static void echo(struct way *ways, unsigned n, uint64_t items)
{
	for (unsigned i = 0; i < rounds * n; i++) {
		struct way *w = &ways[i % n];

		for (uint64_t k = 0; k < items; k++)
			w->send(w->back, w->receive(w->there));
	}
	_exit(0);
}

static void ping(struct way *ways, unsigned n, uint64_t items)
{
	double first = 0, best = 0;
	pid_t pid = fork_beside();

	if (pid == 0)
		echo(ways, n, items);
	for (unsigned i = 0; i < rounds * n; i++) {
		struct way *w = &ways[i % n];
		double start = now();

		for (uint64_t k = 1; k <= items; k++) {
			w->send(w->there, k);
			check(w->receive(w->back), k);
		}
		w->ns[i / n] = (now() - start) / (double)items / 2;
	}
	waitpid(pid, NULL, 0);
	printf("one way, spinning\n");
	for (unsigned i = 0; i < n; i++) {
		qsort(ways[i].ns, rounds, sizeof(double), by_value);
		if (i == 0) {
			first = ways[i].ns[rounds / 2];
			best = ways[i].ns[0];
		}
		printf("  %-26s %8.1f ns  %6.2f    best %8.1f ns  %6.2f\n", ways[i].name,
		       ways[i].ns[rounds / 2], ways[i].ns[rounds / 2] / first, ways[i].ns[0],
		       ways[i].ns[0] / best);
	}
	fflush(stdout);
}

/* ---- rings ----------------------------------------------------------------------------------- */

static struct ipk_segment *seg;

static struct ipk_ring *new_ring(const char *name, const char *type, uint64_t cap, uint64_t most,
				 bool many)
{
	const struct ipk_ring_options options = {type, cap, most, many, false, false};
	struct ipk_error err = {0};
	struct ipk_ring *ring;
	int r = ipk_ring_create(seg, name, &options, &err);

	if (r == 0)
		r = ipk_ring_open(seg, name, NULL, &ring, &err);
	if (r != 0) {
		fprintf(stderr, "bench_ring: %s\n", err.text);
		exit(1);
	}
	return ring;
}

static void open_segment(void)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_error err = {0};
	int fd, r;

	options.max = UINT64_C(512) << 20;
	options.prefault = true;
	r = ipk_segment_memfd("bench-ring", &options, &fd, &err);
	if (r == 0)
		r = ipk_segment_open_fd(fd, IPK_READ | IPK_WRITE, &seg, &err);
	if (r != 0) {
		fprintf(stderr, "bench_ring: %s\n", err.text);
		exit(1);
	}
}

/* ---- by one process -------------------------------------------------------------------------- */

static void alone(void)
{
	static const char *const name[] = {"empty pop", "empty peek", "push and pop, 8 B"};
	struct ipk_ring *kind[2] = {new_ring("a", "u64", 65536, 0, false),
				    new_ring("b", "bytes", 65536, 0, false)};
	double ns[3][2];
	uint64_t val = 0, n = 200000;

	for (unsigned k = 0; k < 2; k++) {
		struct ipk_ring_message m;

		for (unsigned what = 0; what < 3; what++)
			ns[what][k] = 1e9;
		for (unsigned i = 0; i < 3 * rounds; i++) {
			double start = now(), t;

			for (uint64_t j = 0; j < n / 10; j++) {
				if (i % 3 == 0)
					ipk_ring_pop(kind[k], &val, sizeof(val), NULL, IPK_NOWAIT);
				else if (i % 3 == 1)
					ipk_ring_peek(kind[k], &m, IPK_NOWAIT);
				else if (ipk_ring_push(kind[k], &j, sizeof(j), IPK_NOWAIT) != 0 ||
					 ipk_ring_pop(kind[k], &val, sizeof(val), NULL,
						      IPK_NOWAIT) != 0)
					fail("push and pop", -EBADMSG);
			}
			t = (now() - start) / (double)(n / 10);
			if (t < ns[i % 3][k])
				ns[i % 3][k] = t;
		}
	}
	printf("by one process, best\n  %-26s %8s %10s\n", "", "u64", "bytes");
	for (unsigned what = 0; what < 3; what++)
		printf("  %-26s %8.2f %10.2f ns\n", name[what], ns[what][0], ns[what][1]);
	ipk_ring_close(kind[0]);
	ipk_ring_close(kind[1]);
	fflush(stdout);
}

static void races(void)
{
	struct peer one[] = {
		{"boost spsc_queue",
		 ring_boost_new(RING_BOOST_8),
		 ring_boost_produce,
		 ring_boost_consume,
		 {0}},
		{"plain", new_plain(8192), plain_produce, plain_consume, {0}},
		{"ipk u64", new_ring("u64", "u64", 65536, 0, false), ipk_produce, ipk_consume, {0}},
		{"ipk u64, waiting",
		 new_ring("u64w", "u64", 65536, 0, false),
		 ipk_produce_waiting,
		 ipk_consume_waiting,
		 {0}},
		{"ipk bytes",
		 new_ring("b8", "bytes", 131072, 0, false),
		 ipk_produce,
		 ipk_consume,
		 {0}},
		{"ipk u64, many producers",
		 new_ring("m8", "u64", 65536, 0, true),
		 ipk_produce,
		 ipk_consume,
		 {0}},
	};
	struct peer burst[] = {
		{"plain, as DPDK's",
		 new_plain(8192),
		 plain_produce_bursts,
		 plain_consume_bursts,
		 {0}},
		{"boost spsc_queue",
		 ring_boost_new(RING_BOOST_8),
		 ring_boost_produce_bursts,
		 ring_boost_consume_bursts,
		 {0}},
		{"ipk u64",
		 new_ring("bu64", "u64", 65536, 0, false),
		 ipk_produce_bursts,
		 ipk_consume_bursts,
		 {0}},
	};
	struct peer mib[] = {
		{"boost spsc_queue",
		 ring_boost_new(RING_BOOST_256_1M),
		 ring_boost_produce_256,
		 ring_boost_consume_256,
		 {0}},
		{"ipk bytes",
		 new_ring("1m", "bytes", 1 << 20, 4096, false),
		 ipk_produce_256,
		 ipk_consume_256,
		 {0}},
		{"ipk bytes:256",
		 new_ring("1mf", "bytes:256", 1 << 20, 0, false),
		 ipk_produce_256,
		 ipk_consume_256,
		 {0}},
		{"ipk bytes, in place",
		 new_ring("1mi", "bytes", 1 << 20, 4096, false),
		 ipk_produce_256_inplace,
		 ipk_consume_256_inplace,
		 {0}},
	};
	struct peer mib64[] = {
		{"boost spsc_queue",
		 ring_boost_new(RING_BOOST_256_64M),
		 ring_boost_produce_256,
		 ring_boost_consume_256,
		 {0}},
		{"ipk bytes",
		 new_ring("64m", "bytes", 64 << 20, 4096, false),
		 ipk_produce_256,
		 ipk_consume_256,
		 {0}},
		{"ipk bytes, in place",
		 new_ring("64mi", "bytes", 64 << 20, 4096, false),
		 ipk_produce_256_inplace,
		 ipk_consume_256_inplace,
		 {0}},
	};
	/* Without Boost the one behind it is the measure. */
	unsigned skip = one[0].at == NULL;

	race("8 bytes one by one", one + skip, 6 - skip, 100000);
	if (skip)
		burst[1] = burst[2];
	race("8 bytes in bursts of 32", burst, 3 - skip, 320000);
	race("256 bytes, 1 MiB", mib + skip, 4 - skip, 20000);
	race("256 bytes, 64 MiB", mib64 + skip, 3 - skip, 20000);
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[2] : "";

	if (argc > 1)
		rounds = (unsigned)strtoul(argv[1], NULL, 10);
	if (rounds == 0 || rounds > ROUNDS_MAX)
		fail("usage: bench_ring [ROUNDS [alone|one-way|rates]], 1 to 1000 rounds", -EINVAL);
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		fail("it takes two processors", -EINVAL);
	pin(0);
	open_segment();
	if (!*what || *what == 'a')
		alone();
	struct way ways[] = {
		{"a cache line", shared(4096), shared(4096), raw_send, raw_receive, {0}},
		{"ipk bytes, 16 B",
		 new_ring("w16", "bytes", 65536, 0, false),
		 new_ring("v16", "bytes", 65536, 0, false),
		 ring_send_16,
		 ring_receive_16,
		 {0}},
		{"ipk bytes:16",
		 new_ring("c16", "bytes:16", 65536, 0, false),
		 new_ring("d16", "bytes:16", 65536, 0, false),
		 ring_send_16,
		 ring_receive_16,
		 {0}},
		{"ipk in place, 64 B",
		 new_ring("w64", "bytes", 1 << 20, 65536, false),
		 new_ring("v64", "bytes", 1 << 20, 65536, false),
		 ring_send_64,
		 ring_receive_room,
		 {0}},
		{"ipk in place, 64 KiB",
		 new_ring("wk", "bytes", 1 << 20, 65536, false),
		 new_ring("vk", "bytes", 1 << 20, 65536, false),
		 ring_send_64k,
		 ring_receive_room,
		 {0}},
	};

	if (!*what || *what == 'o')
		ping(ways, 5, 1000);
	if (!*what || *what == 'r')
		races();
	return 0;
}
