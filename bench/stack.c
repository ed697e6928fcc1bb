/* SPDX-License-Identifier: MIT */
/*
 * The stack beside an unprotected lock-free one (R. Treiber's, with a counter in its head against
 * ABA, in shared memory as well), in the same run: what does it cost that any process may be killed
 * at any instruction, and that an item knows who has it? Ratios count, nanoseconds are the
 * machine's own.
 *
 *	bench_stack [THOUSANDS of items a round]
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "ipk/stack.h"

#define CAP 1024
#define ROUNDS 60 /* short ones: on a busy machine some of them are left alone */
#define BURST 32

static uint64_t items = 100000;

/* ---- the peer -------------------------------------------------------------------------------- */

/* {count:32, node + 1:32}; a node is on the stack or on the list of free ones. */
struct treiber {
	_Alignas(128) _Atomic uint64_t top;
	_Alignas(128) _Atomic uint64_t free;
	_Alignas(128) struct {
		_Atomic uint32_t next;
		uint64_t val;
	} node[CAP];
};

static uint32_t treiber_take(struct treiber *t, _Atomic uint64_t *head)
{
	uint64_t old = atomic_load_explicit(head, memory_order_acquire), new;
	uint32_t node;

	do {
		node = (uint32_t)old;
		if (!node)
			return 0;
		new = (old >> 32) + 1;
		new = new << 32 |
		      atomic_load_explicit(&t->node[node - 1].next, memory_order_relaxed);
	} while (!atomic_compare_exchange_weak_explicit(head, &old, new, memory_order_acquire,
							memory_order_acquire));
	return node;
}

static void treiber_put(struct treiber *t, _Atomic uint64_t *head, uint32_t node)
{
	uint64_t old = atomic_load_explicit(head, memory_order_relaxed), new;

	do {
		atomic_store_explicit(&t->node[node - 1].next, (uint32_t)old, memory_order_relaxed);
		new = ((old >> 32) + 1) << 32 | node;
	} while (!atomic_compare_exchange_weak_explicit(head, &old, new, memory_order_release,
							memory_order_relaxed));
}

static __attribute__((noinline)) int treiber_push(void *at, uint64_t val)
{
	struct treiber *t = at;
	uint32_t node = treiber_take(t, &t->free);

	if (!node)
		return -EAGAIN;
	t->node[node - 1].val = val;
	treiber_put(t, &t->top, node);
	return 0;
}

static __attribute__((noinline)) int treiber_pop(void *at, uint64_t *ret_val)
{
	struct treiber *t = at;
	uint32_t node = treiber_take(t, &t->top);

	if (!node)
		return -EAGAIN;
	*ret_val = t->node[node - 1].val;
	treiber_put(t, &t->free, node);
	return 0;
}

/* ---- what is compared ------------------------------------------------------------------------ */

static int ipk_push(void *at, uint64_t val)
{
	return ipk_stack_push(at, &val, sizeof(val), IPK_NOWAIT);
}

static int ipk_pop(void *at, uint64_t *ret_val)
{
	return ipk_stack_pop(at, ret_val, sizeof(*ret_val), NULL, IPK_NOWAIT);
}

static int ipk_lease(void *at, uint64_t *ret_val)
{
	struct ipk_stack_lease l;
	int r = ipk_stack_lease(at, &l, IPK_NOWAIT);

	if (r < 0)
		return r;
	memcpy(ret_val, l.data, sizeof(*ret_val));
	return ipk_stack_ack(at, &l);
}

struct peer {
	const char *name;
	int (*push)(void *at, uint64_t val);
	int (*pop)(void *at, uint64_t *ret_val);
	void *at;
	double pair;         /* ns for one push and one pop by one thread */
	double both[ROUNDS]; /* ns for such a pair, while another process does the same */
};

static double pairs(const struct peer *p, uint64_t n)
{
	double start = now();
	uint64_t val;

	for (uint64_t i = 0; i < n; i++) {
		while (p->push(p->at, i) < 0)
			;
		while (p->pop(p->at, &val) < 0)
			;
	}
	return (now() - start) / (double)n;
}

static double beside_another(const struct peer *p, uint64_t n, _Atomic int *flag)
{
	double ns;
	pid_t pid;

	atomic_store(flag, 0);
	pid = fork();
	if (pid == 0) {
		uint64_t val;

		atomic_store(flag, 1);
		while (atomic_load_explicit(flag, memory_order_relaxed) == 1) {
			while (p->push(p->at, 1) < 0)
				;
			while (p->pop(p->at, &val) < 0)
				;
		}
		_exit(0);
	}
	if (pid < 0)
		abort();
	while (!atomic_load(flag))
		;
	ns = pairs(p, n);
	atomic_store(flag, 2);
	waitpid(pid, NULL, 0);
	return ns;
}

/* Batches: one push_many and one pop_many of BURST, per item. */
static double bursts(struct ipk_stack *s, uint64_t n)
{
	struct ipk_stack_item item[BURST];
	struct iovec v[BURST];
	uint64_t val[BURST], out[BURST];
	double start;

	for (int i = 0; i < BURST; i++) {
		val[i] = (uint64_t)i;
		v[i] = (struct iovec){&val[i], sizeof(val[i])};
	}
	start = now();
	for (uint64_t i = 0; i < n; i += BURST) {
		if (ipk_stack_push_many(s, v, BURST, IPK_NOWAIT) != BURST ||
		    ipk_stack_pop_many(s, out, sizeof(out), item, BURST, IPK_NOWAIT) != BURST)
			abort();
	}
	return (now() - start) / (double)n;
}

static void best(double *what, double ns)
{
	if (*what == 0 || ns < *what)
		*what = ns;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct treiber *t = mmap(NULL, sizeof(*t) + 128, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	_Atomic int *flag = (_Atomic int *)(t + 1);
	struct ipk_segment *seg;
	struct ipk_stack *s;
	struct ipk_error err = {0};
	struct peer peer[] = {
		{"Treiber, unprotected", treiber_push, treiber_pop, t, 0, {0}},
		{"ipk stack, pop", ipk_push, ipk_pop, NULL, 0, {0}},
		{"ipk stack, lease + ack", ipk_push, ipk_lease, NULL, 0, {0}},
	};
	double burst = 0;
	char name[40];

	if (argc > 1)
		items = strtoull(argv[1], NULL, 10) * 1000;
	snprintf(name, sizeof(name), "bench-stack-%d", (int)getpid());
	if (t == MAP_FAILED || items == 0)
		return 1;
	for (uint32_t i = CAP; i > 0; i--)
		treiber_put(t, &t->free, i);
	if (ipk_segment_create(name, &options, &seg, &err) < 0 ||
	    ipk_stack_create(seg, "s", "u64", CAP, &err) < 0 ||
	    ipk_stack_open(seg, "s", NULL, &s, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	peer[1].at = peer[2].at = s;
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < 3; i++) {
			best(&peer[i].pair, pairs(&peer[i], items / 10));
			peer[i].both[round] = beside_another(&peer[i], items / 20, flag);
		}
		best(&burst, bursts(s, items / 10));
	}
	ipk_segment_remove(name, NULL);
	printf("push + pop of 8 bytes, ns: best of %d rounds alone, median beside another "
	       "process\n",
	       ROUNDS);
	printf("%-24s %10s %10s\n", "", "alone", "beside 1");
	for (int i = 0; i < 3; i++) {
		qsort(peer[i].both, ROUNDS, sizeof(double), ascending);
		printf("%-24s %10.1f %10.1f\n", peer[i].name, peer[i].pair,
		       peer[i].both[ROUNDS / 2]);
	}
	printf("%-24s %10.1f\n", "ipk stack, 32 at once", burst);
	return 0;
}
