/* SPDX-License-Identifier: MIT */
/*
 * The queue beside an unprotected one of the same algorithm family (Vyukov's bounded MPMC queue, as
 * published on 1024cores.net, in shared memory as well), in the same run: what does it cost that any
 * process may be killed at any instruction? Ratios count, nanoseconds are the machine's own.
 *
 *	bench_queue [THOUSANDS of items a round]
 */
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ipk/queue.h"

#define CAP 1024
#define ROUNDS 200 /* short ones: on a busy machine some of them are left alone */
#define BURST 32

static uint64_t items = 100000;

/* ---- the peer ---------------------------------------------------------------------------------- */

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

static __attribute__((noinline)) int vyukov_push(struct vyukov *v, uint64_t val)
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

static __attribute__((noinline)) int vyukov_pop(struct vyukov *v, uint64_t *ret_val)
{
	uint64_t pos = atomic_load_explicit(&v->head, memory_order_relaxed);

	for (;;) {
		struct cell *c = &v->cell[pos & v->mask];
		int64_t diff = (int64_t)(atomic_load_explicit(&c->seq, memory_order_acquire) - pos - 1);

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

/* ---- what is compared --------------------------------------------------------------------------- */

struct peer {
	const char *name;
	void *at;
	int (*push)(void *at, uint64_t val);
	int (*pop)(void *at, uint64_t *ret_val);
	double pair_ns; /* one push and one pop by one thread */
	double rate; /* million items a second from one process to another */
};

static int peer_vyukov_push(void *at, uint64_t val)
{
	return vyukov_push(at, val);
}

static int peer_vyukov_pop(void *at, uint64_t *ret_val)
{
	return vyukov_pop(at, ret_val);
}

static int peer_ipk_push(void *at, uint64_t val)
{
	return ipk_queue_push(at, &val, sizeof(val), IPK_NOWAIT);
}

static int peer_ipk_pop(void *at, uint64_t *ret_val)
{
	return ipk_queue_pop(at, ret_val, sizeof(*ret_val), NULL, IPK_NOWAIT);
}

static int peer_ipk_push_wait(void *at, uint64_t val)
{
	return ipk_queue_push(at, &val, sizeof(val), IPK_FOREVER);
}

static int peer_ipk_pop_wait(void *at, uint64_t *ret_val)
{
	return ipk_queue_pop(at, ret_val, sizeof(*ret_val), NULL, IPK_FOREVER);
}

/* As many of BURST as there is room for; the rest of the burst one by one. */
static int peer_ipk_push_burst(void *at, uint64_t val)
{
	static uint64_t vals[BURST];
	static struct iovec v[BURST];
	static unsigned n;
	int r;

	vals[n] = val;
	v[n] = (struct iovec){&vals[n], sizeof(val)};
	if (++n < BURST && val + 1 != items)
		return 0;
	for (unsigned done = 0; done < n; done += (unsigned)r) {
		r = ipk_queue_push_many(at, v + done, n - done, IPK_FOREVER);
		if (r < 0)
			return r;
	}
	n = 0;
	return 0;
}

static int peer_ipk_pop_burst(void *at, uint64_t *ret_val)
{
	static uint64_t vals[BURST];
	static struct ipk_queue_item got[BURST];
	static int n, next;

	if (next == n) {
		next = 0;
		n = ipk_queue_pop_many(at, vals, sizeof(vals), got, BURST, IPK_FOREVER);
		if (n < 0)
			return n;
	}
	*ret_val = vals[next++];
	return 0;
}

/* ---- measuring ---------------------------------------------------------------------------------- */

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void fail(const char *what, int r)
{
	fprintf(stderr, "bench_queue: %s: %s\n", what, ipk_strerror(r));
	exit(1);
}

static double pairs(struct peer *p)
{
	double start = now();
	uint64_t val;

	for (uint64_t i = 0; i < items; i++) {
		int r = p->push(p->at, i);

		if (r == 0)
			r = p->pop(p->at, &val);
		if (r != 0)
			fail(p->name, r);
	}
	return (now() - start) / (double)items;
}

static void consume(struct peer *p)
{
	uint64_t val = 0;

	pin(1);
	for (uint64_t i = 0; i < items; i++) {
		int r;

		while ((r = p->pop(p->at, &val)) == -EAGAIN)
			__asm__ volatile("" ::: "memory");
		if (r != 0 || val != i)
			fail(p->name, r != 0 ? r : -EBADMSG);
	}
	_exit(0);
}

static double stream(struct peer *p)
{
	double start = now();
	int status;
	pid_t pid = fork();

	if (pid < 0)
		fail("fork", -errno);
	if (pid == 0)
		consume(p);
	for (uint64_t i = 0; i < items; i++) {
		int r;

		while ((r = p->push(p->at, i)) == -EAGAIN)
			__asm__ volatile("" ::: "memory");
		if (r != 0)
			fail(p->name, r);
	}
	if (waitpid(pid, &status, 0) != pid || status != 0)
		fail(p->name, -EBADMSG);
	return (double)items * 1e3 / (now() - start);
}

/* In turn, so that a slow spell of the machine meets all of them; the best round counts. */
static void measure(struct peer *peers, unsigned n, bool alone, bool pair)
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		for (unsigned i = 0; i < n; i++) {
			double ns = alone ? pairs(&peers[i]) : 0;
			double rate = pair ? stream(&peers[i]) : 0;

			if (alone && (peers[i].pair_ns == 0 || ns < peers[i].pair_ns))
				peers[i].pair_ns = ns;
			if (rate > peers[i].rate)
				peers[i].rate = rate;
		}
	}
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
	struct vyukov *v = mmap(NULL, sizeof(*v), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
				-1, 0);
	struct ipk_queue *q;

	if (argc > 1)
		items = strtoull(argv[1], NULL, 10) * 1000;
	if (v == MAP_FAILED || items == 0)
		fail("usage: bench_queue [THOUSANDS]", -EINVAL);
	v->mask = CAP - 1;
	for (uint64_t i = 0; i < CAP; i++)
		atomic_store(&v->cell[i].seq, i);
	q = open_queue();

	struct peer peers[] = {
		{"vyukov", v, peer_vyukov_push, peer_vyukov_pop, 0, 0},
		{"ipk", q, peer_ipk_push, peer_ipk_pop, 0, 0},
		{"ipk, waiting", q, peer_ipk_push_wait, peer_ipk_pop_wait, 0, 0},
		{"ipk, bursts", q, peer_ipk_push_burst, peer_ipk_pop_burst, 0, 0},
	};

	pin(0);
	measure(peers, 3, true, false);
	if (cpus > 1)
		measure(peers, 4, false, true);
	printf("8 bytes, capacity %d, best of %d rounds of %llu items\n", CAP, ROUNDS,
	       (unsigned long long)items);
	printf("%-14s %10s %8s %12s %8s\n", "", "push+pop", "ratio", "1+1", "ratio");
	for (unsigned i = 0; i < 4; i++) {
		printf("%-14s", peers[i].name);
		if (peers[i].pair_ns > 0)
			printf(" %7.2f ns %8.2f", peers[i].pair_ns, peers[i].pair_ns / peers[0].pair_ns);
		else
			printf(" %10s %8s", "-", "-");
		if (cpus > 1)
			printf(" %8.2f M/s %8.2f", peers[i].rate, peers[i].rate / peers[0].rate);
		printf("\n");
	}
	return 0;
}
