/* SPDX-License-Identifier: MIT */
/*
 * The queue beside an unprotected one of the same algorithm family (Vyukov's bounded MPMC queue, as
 * published on 1024cores.net, in shared memory as well), in the same run: what does it cost that
 * any process may be killed at any instruction? Ratios count, nanoseconds are the machine's own.
 *
 * Where Concurrency Kit's headers are installed, its ring for many producers and consumers is there
 * too.
 *
 *	bench_queue [ROUNDS]
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#if __has_include(<ck_ring.h>)
#include <ck_ring.h>
#define HAVE_CK 1
#endif

#include "bench.h"
#include "ipk/queue.h"

#define CAP 1024
#define BURST 32

static uint64_t items = 32000; /* of a round: short ones, some of which a busy machine leaves alone */
static unsigned rounds = 100;

/* ---- the peer -------------------------------------------------------------------------------- */

struct cell {
	_Atomic uint64_t seq;
	uint64_t val;
};

struct vyukov {
	uint64_t mask;
	_Alignas(128) _Atomic uint64_t tail;
	_Alignas(128) _Atomic uint64_t head;
	_Alignas(128) struct cell cell[CAP];
};

static inline __attribute__((always_inline)) int vyukov_push(struct vyukov *v, uint64_t val)
{
	uint64_t pos = atomic_load_explicit(&v->tail, memory_order_relaxed);

	for (;;) {
		struct cell *c = &v->cell[pos & v->mask];
		int64_t diff = (int64_t)(atomic_load_explicit(&c->seq, memory_order_acquire) - pos);

		if (diff < 0)
			return -EAGAIN;
		if (diff > 0) {
			pos = atomic_load_explicit(&v->tail, memory_order_relaxed);
		} else if (atomic_compare_exchange_weak_explicit(&v->tail, &pos, pos + 1,
								 memory_order_relaxed,
								 memory_order_relaxed)) {
			c->val = val;
			atomic_store_explicit(&c->seq, pos + 1, memory_order_release);
			return 0;
		}
	}
}

static inline __attribute__((always_inline)) int vyukov_pop(struct vyukov *v, uint64_t *ret_val)
{
	uint64_t pos = atomic_load_explicit(&v->head, memory_order_relaxed);

	for (;;) {
		struct cell *c = &v->cell[pos & v->mask];
		int64_t diff =
			(int64_t)(atomic_load_explicit(&c->seq, memory_order_acquire) - pos - 1);

		if (diff < 0)
			return -EAGAIN;
		if (diff > 0) {
			pos = atomic_load_explicit(&v->head, memory_order_relaxed);
		} else if (atomic_compare_exchange_weak_explicit(&v->head, &pos, pos + 1,
								 memory_order_relaxed,
								 memory_order_relaxed)) {
			*ret_val = c->val;
			atomic_store_explicit(&c->seq, pos + v->mask + 1, memory_order_release);
			return 0;
		}
	}
}

#ifdef HAVE_CK
struct ck {
	ck_ring_t ring;
	_Alignas(128) ck_ring_buffer_t cell[CAP];
};

static inline int ck_push(struct ck *c, uint64_t val)
{
	return ck_ring_enqueue_mpmc(&c->ring, c->cell, (void *)(uintptr_t)val) ? 0 : -EAGAIN;
}

static inline int ck_pop(struct ck *c, uint64_t *ret_val)
{
	void *val;

	if (!ck_ring_dequeue_mpmc(&c->ring, c->cell, &val))
		return -EAGAIN;
	*ret_val = (uintptr_t)val;
	return 0;
}
#endif

/* ---- measuring ------------------------------------------------------------------------------- */

/* What one thread does with a queue: batch times push, batch times pop; or one of both for ever. */
struct loops {
	int (*pairs)(void *at, unsigned batch);
	int (*produce)(void *at);
	int (*consume)(void *at);
};

/*
 * Loops of their own for each peer, so that all are called the same way: inlined, or all by a call.
 * PUSH and POP see at, in and got.
 */
#define LOOPS(name, PUSH, POP)                                                                     \
	static int name##_pairs(void *at, unsigned batch)                                          \
	{                                                                                          \
		for (uint64_t i = 0; i < items; i += batch) {                                      \
			for (uint64_t val = i; val < i + batch; val++) {                           \
				uint64_t in = val;                                                 \
				int r = PUSH;                                                      \
				if (r != 0)                                                        \
					return r;                                                  \
			}                                                                          \
			for (uint64_t val = i; val < i + batch; val++) {                           \
				uint64_t got = 0;                                                  \
				int r = POP;                                                       \
				if (r != 0 || got != val)                                          \
					return r != 0 ? r : -EBADMSG;                              \
			}                                                                          \
		}                                                                                  \
		return 0;                                                                          \
	}                                                                                          \
	static int name##_produce(void *at)                                                        \
	{                                                                                          \
		for (uint64_t val = 0; val < items; val++) {                                       \
			uint64_t in = val;                                                         \
			int r;                                                                     \
			while ((r = PUSH) == -EAGAIN)                                              \
				__asm__ volatile("" ::: "memory");                                 \
			if (r != 0)                                                                \
				return r;                                                          \
		}                                                                                  \
		return 0;                                                                          \
	}                                                                                          \
	static int name##_consume(void *at)                                                        \
	{                                                                                          \
		for (uint64_t val = 0; val < items; val++) {                                       \
			uint64_t got = 0;                                                          \
			int r;                                                                     \
			while ((r = POP) == -EAGAIN)                                               \
				__asm__ volatile("" ::: "memory");                                 \
			if (r != 0 || got != val)                                                  \
				return r != 0 ? r : -EBADMSG;                                      \
		}                                                                                  \
		return 0;                                                                          \
	}                                                                                          \
	static const struct loops name = {name##_pairs, name##_produce, name##_consume};

static __attribute__((noinline)) int vyukov_push_call(struct vyukov *v, uint64_t val)
{
	return vyukov_push(v, val);
}

static __attribute__((noinline)) int vyukov_pop_call(struct vyukov *v, uint64_t *ret_val)
{
	return vyukov_pop(v, ret_val);
}

/* What is not inlined is the library's. */
static int (*volatile push_call)(struct ipk_queue *, const void *, size_t,
				 int64_t) = ipk_queue_push;
static int (*volatile pop_call)(struct ipk_queue *, void *, size_t, struct ipk_queue_item *,
				int64_t) = ipk_queue_pop;

LOOPS(vyukov, vyukov_push(at, in), vyukov_pop(at, &got))
LOOPS(vyukov_call, vyukov_push_call(at, in), vyukov_pop_call(at, &got))
LOOPS(ipk, ipk_queue_push(at, &in, 8, IPK_NOWAIT), ipk_queue_pop(at, &got, 8, NULL, IPK_NOWAIT))
LOOPS(ipk_call, push_call(at, &in, 8, IPK_NOWAIT), pop_call(at, &got, 8, NULL, IPK_NOWAIT))
LOOPS(ipk_wait, ipk_queue_push(at, &in, 8, IPK_FOREVER),
      ipk_queue_pop(at, &got, 8, NULL, IPK_FOREVER))

#ifdef HAVE_CK
LOOPS(ck, ck_push(at, in), ck_pop(at, &got))
#endif

static int burst_push(struct ipk_queue *q, uint64_t first, unsigned n)
{
	uint64_t vals[BURST];
	struct iovec v[BURST];
	int r;

	for (unsigned i = 0; i < n; i++) {
		vals[i] = first + i;
		v[i] = (struct iovec){&vals[i], sizeof(vals[i])};
	}
	for (unsigned done = 0; done < n; done += (unsigned)r) {
		r = ipk_queue_push_many(q, v + done, n - done, IPK_FOREVER);
		if (r < 0)
			return r;
	}
	return 0;
}

/* At least one, at most n. */
static int burst_pop(struct ipk_queue *q, uint64_t first, unsigned n)
{
	uint64_t vals[BURST];
	struct ipk_queue_item got[BURST];
	int r = ipk_queue_pop_many(q, vals, sizeof(vals), got, n, IPK_FOREVER);

	for (int i = 0; i < r; i++)
		if (vals[i] != first + (unsigned)i)
			return -EBADMSG;
	return r;
}

static int burst_pairs(void *at, unsigned batch)
{
	for (uint64_t i = 0; i < items; i += batch) {
		int r = burst_push(at, i, batch);

		if (r == 0)
			r = burst_pop(at, i, batch);
		if (r != (int)batch)
			return r < 0 ? r : -EBADMSG;
	}
	return 0;
}

static int burst_produce(void *at)
{
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < items; i += BURST)
		r = burst_push(at, i, BURST);
	return r;
}

static int burst_consume(void *at)
{
	for (uint64_t i = 0; i < items;) {
		int r = burst_pop(at, i, BURST);

		if (r < 0)
			return r;
		i += (unsigned)r;
	}
	return 0;
}

static const struct loops bursts = {burst_pairs, burst_produce, burst_consume};

static double alone(const struct loops *l, void *at, unsigned batch)
{
	double start = now();
	int r = l->pairs(at, batch);

	if (r != 0)
		fail("pairs", r);
	return (now() - start) / (double)items;
}

/* ns for one item from one process to another */
static double stream(const struct loops *l, void *at)
{
	double start = now();
	pid_t pid = fork();
	int status, r;

	if (pid < 0)
		fail("fork", -errno);
	if (pid == 0) {
		pin(1);
		_exit(l->consume(at) != 0);
	}
	r = l->produce(at);
	if (r != 0)
		fail("produce", r);
	if (waitpid(pid, &status, 0) != pid || status != 0)
		fail("consume", -EBADMSG);
	return (now() - start) / (double)items;
}

/* ---- comparing ------------------------------------------------------------------------------ */

#define ROUNDS_MAX 1000

struct line {
	const char *what;
	const struct loops *loops;
	enum { VYUKOV, IPK, CK } whose;
	unsigned batch; /* 0: from process to process */
	double ns[ROUNDS_MAX];
};

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), by_size);
	return v[n / 2];
}

/* base: the line that this one is compared with, round by round. */
static void print(const struct line *l, const struct line *base)
{
	double ns[ROUNDS_MAX], ratio[ROUNDS_MAX];
	double m;

	for (unsigned i = 0; i < rounds; i++) {
		ns[i] = l->ns[i];
		ratio[i] = l->ns[i] / base->ns[i];
	}
	m = median(ns, rounds);
	printf("%-26s %8.2f %8.2f %8.2f %8.2f M/s", l->what, ns[0], ns[rounds / 10], m, 1e3 / m);
	m = median(ratio, rounds);
	printf(" %7.2f %7.2f-%.2f\n", m, ratio[rounds / 10], ratio[rounds - 1 - rounds / 10]);
}

static struct ipk_queue *open_queue(void)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_error err = {0};
	struct ipk_segment *seg;
	struct ipk_queue *q;
	int fd, r;

	options.max = 16 << 20;
	r = ipk_segment_memfd("bench-queue", &options, &fd, &err);
	if (r == 0)
		r = ipk_segment_open_fd(fd, IPK_READ | IPK_WRITE, &seg, &err);
	if (r == 0)
		r = ipk_queue_create(seg, "q", "u64", CAP, &err);
	if (r == 0)
		r = ipk_queue_open(seg, "q", NULL, &q, &err);
	if (r != 0) {
		fprintf(stderr, "bench_queue: %s\n", err.text);
		exit(1);
	}
	return q;
}

int main(int argc, char **argv)
{
	int cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
	struct vyukov *v =
		mmap(NULL, sizeof(*v), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct ipk_queue *q;

	if (argc > 1)
		rounds = (unsigned)strtoul(argv[1], NULL, 10);
	if (v == MAP_FAILED || rounds == 0 || rounds > ROUNDS_MAX)
		fail("usage: bench_queue [ROUNDS]", -EINVAL);
	v->mask = CAP - 1;
	for (uint64_t i = 0; i < CAP; i++)
		atomic_store(&v->cell[i].seq, i);
	q = open_queue();

	static struct line lines[] = {
		{"vyukov", &vyukov, VYUKOV, 1, {0}},
		{"ipk", &ipk, IPK, 1, {0}},
#ifdef HAVE_CK
		{"ck", &ck, CK, 1, {0}},
#endif
		{"vyukov, by call", &vyukov_call, VYUKOV, 1, {0}},
		{"ipk, by call", &ipk_call, IPK, 1, {0}},
		{"vyukov, 32 in, 32 out", &vyukov, VYUKOV, BURST, {0}},
		{"ipk, 32 in, 32 out", &ipk, IPK, BURST, {0}},
		{"ipk, 32 by one call", &bursts, IPK, BURST, {0}},
		{"vyukov, 1+1", &vyukov, VYUKOV, 0, {0}},
		{"ipk, 1+1", &ipk, IPK, 0, {0}},
#ifdef HAVE_CK
		{"ck, 1+1", &ck, CK, 0, {0}},
#endif
		{"ipk, 1+1, waiting", &ipk_wait, IPK, 0, {0}},
		{"ipk, 1+1, 32 by one call", &bursts, IPK, 0, {0}},
	};
	const struct line *base = lines;

	void *ats[] = {v, q, NULL};

#ifdef HAVE_CK
	struct ck *c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (c == MAP_FAILED)
		fail("ck", -ENOMEM);
	ck_ring_init(&c->ring, CAP);
	ats[CK] = c;
#endif
	pin(0);
	/* In turn, so that a slow spell of the machine meets all of them. */
	for (unsigned round = 0; round < rounds; round++) {
		for (struct line *l = lines; l < lines + sizeof(lines) / sizeof(*lines); l++) {
			void *at = ats[l->whose];

			if (l->batch)
				l->ns[round] = alone(l->loops, at, l->batch);
			else if (cpus > 1)
				l->ns[round] = stream(l->loops, at);
		}
	}
	printf("8 bytes, capacity %d, %u rounds of %llu items; ns for an item in and out\n", CAP,
	       rounds, (unsigned long long)items);
	printf("%-26s %8s %8s %8s %12s %7s %12s\n", "", "best", "10%", "median", "", "ratio",
	       "10%-90%");
	for (struct line *l = lines; l < lines + sizeof(lines) / sizeof(*lines); l++) {
		if (l->whose == VYUKOV)
			base = l;
		if (l->batch || cpus > 1)
			print(l, base);
	}
	return 0;
}
