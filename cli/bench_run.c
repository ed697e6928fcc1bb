/* SPDX-License-Identifier: MIT */
/* One measurement of "ipcctl bench": pinned children that go round, a parent that reads their
 * counts and ends them. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define RUNS 5
#define RUN_NS_MAX INT64_C(2000000000)
#define LINE 128

/* What a child tells; a line of its own each. */
struct told {
	_Alignas(LINE) _Atomic uint64_t count;
	_Atomic int error;
};

struct board {
	struct told told[BENCH_PROCESSES];
	_Atomic unsigned ready, go;
	_Alignas(LINE) _Atomic uint64_t bucket[BENCH_BUCKETS];
};

struct child {
	const struct bench_row *row;
	struct bench_lane lane[2]; /* latency: there and back; else the first */
	struct board *board;
	struct told *told;
	unsigned number;
};

typedef int round_fn(struct child *ch);

/* ---- time ----------------------------------------------------------------------------------- */

static int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* ---- the histogram: 32 steps to each power of two ------------------------------------------- */

static unsigned bucket_of(uint64_t ns)
{
	unsigned shift;

	if (ns < 64)
		return (unsigned)ns;
	shift = 58 - (unsigned)__builtin_clzll(ns);
	return shift >= 61 ? BENCH_BUCKETS - 1 : 32 * shift + (unsigned)(ns >> shift);
}

static double bucket_middle(unsigned bucket)
{
	unsigned shift = bucket < 64 ? 0 : bucket / 32 - 1;

	return bucket < 64 ? bucket
			   : ((double)(bucket - 32 * shift) + 0.5) * (double)(1ull << shift);
}

static double percentile(struct board *board, double part)
{
	uint64_t total = 0, seen = 0;

	for (unsigned i = 0; i < BENCH_BUCKETS; i++)
		total += atomic_load_explicit(&board->bucket[i], memory_order_relaxed);
	for (unsigned i = 0; i < BENCH_BUCKETS; i++) {
		seen += atomic_load_explicit(&board->bucket[i], memory_order_relaxed);
		if (seen && (double)seen >= part * (double)total)
			return bucket_middle(i) / 2; /* a round trip is two ways */
	}
	return 0;
}

/* ---- what children do ----------------------------------------------------------------------- */

static int send_one(struct child *ch, struct bench_lane *lane, const void *data)
{
	int r;

	while ((r = lane->t->send(lane, data, ch->row->wait)) == -EAGAIN)
		pause_cpu();
	return r;
}

static int recv_one(struct child *ch, struct bench_lane *lane, void *buf)
{
	int r;

	while ((r = lane->t->recv(lane, buf, ch->row->wait)) == -EAGAIN)
		pause_cpu();
	return r;
}

static void told(struct child *ch, uint64_t more)
{
	uint64_t n = atomic_load_explicit(&ch->told->count, memory_order_relaxed);

	atomic_store_explicit(&ch->told->count, n + more, memory_order_relaxed);
}

static unsigned char payload[BENCH_PAYLOAD_MAX];

static int ping(struct child *ch)
{
	int64_t before = now();

	for (;;) {
		int r = send_one(ch, &ch->lane[0], payload);
		int64_t after;
		_Atomic uint64_t *bucket;

		if (!r)
			r = recv_one(ch, &ch->lane[1], payload);
		if (r)
			return r;
		after = now();
		bucket = &ch->board->bucket[bucket_of((uint64_t)(after - before))];
		atomic_store_explicit(bucket,
				      atomic_load_explicit(bucket, memory_order_relaxed) + 1,
				      memory_order_relaxed);
		told(ch, 1);
		before = after;
	}
}

static int pong(struct child *ch)
{
	for (;;) {
		int r = recv_one(ch, &ch->lane[0], payload);

		if (!r)
			r = send_one(ch, &ch->lane[1], payload);
		if (r)
			return r;
	}
}

static int produce(struct child *ch)
{
	for (;;) {
		int r = send_one(ch, &ch->lane[0], payload);

		if (r)
			return r;
	}
}

static int consume(struct child *ch)
{
	for (;;) {
		int r = recv_one(ch, &ch->lane[0], payload);

		if (r)
			return r;
		told(ch, 1);
	}
}

static int produce_many(struct child *ch)
{
	const struct ipk_bench *b = ch->row->kind->bench;

	for (;;) {
		int r = b->send_many(ch->lane[0].handle, payload, ch->row->size, ch->row->batch,
				     IPK_FOREVER);

		if (r < 0)
			return r;
	}
}

static int consume_many(struct child *ch)
{
	const struct ipk_bench *b = ch->row->kind->bench;

	for (;;) {
		int r = b->recv_many(ch->lane[0].handle, payload, ch->row->size, ch->row->batch,
				     IPK_FOREVER);

		if (r < 0)
			return r;
		told(ch, (uint64_t)r);
	}
}

static int cost(struct child *ch)
{
	for (;;) {
		int r = ch->row->kind->bench->rounds(ch->lane[0].handle, 64);

		if (r < 0)
			return r;
		told(ch, 64);
	}
}

static int copy(struct child *ch)
{
	static unsigned char to[BENCH_PAYLOAD_MAX];

	for (;;) {
		for (unsigned i = 0; i < 64; i++) {
			memcpy(to, payload, ch->row->size);
			__asm__ volatile("" : : "r"(to) : "memory");
		}
		told(ch, 64);
	}
	return 0;
}

/* ---- processes ------------------------------------------------------------------------------ */

unsigned bench_cpus(int *cpu, unsigned max)
{
	cpu_set_t set;
	unsigned n = 0;

	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 0;
	for (int i = 0; i < CPU_SETSIZE && n < max; i++)
		if (CPU_ISSET(i, &set))
			cpu[n++] = i;
	return n;
}

static void pin(unsigned number)
{
	int cpu[BENCH_PROCESSES];
	unsigned n = bench_cpus(cpu, BENCH_PROCESSES);
	cpu_set_t set;

	if (!n)
		return;
	CPU_ZERO(&set);
	CPU_SET(cpu[number % n], &set);
	sched_setaffinity(0, sizeof(set), &set);
}

__attribute__((noreturn)) static void be_child(struct child *ch, round_fn *round, pid_t parent)
{
	unsigned lanes = ch->row->test == BENCH_LATENCY ? 2 : ch->lane[0].t ? 1 : 0;
	int r = 0;

	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	pin(ch->number);
	for (unsigned i = 0; i < lanes && !r; i++)
		r = ch->lane[i].t->join(&ch->lane[i]);
	memset(payload, (int)ch->number + 1, sizeof(payload));
	atomic_fetch_add(&ch->board->ready, 1);
	while (!r && !atomic_load(&ch->board->go))
		sched_yield();
	if (!r)
		r = round(ch);
	atomic_store(&ch->told->error, r);
	_exit(1);
}

struct crew {
	struct board *board;
	pid_t pid[BENCH_PROCESSES];
	unsigned n;
};

static int add(struct crew *crew, const struct child *like, round_fn *round)
{
	struct child ch = *like;
	pid_t parent = getpid(), pid;

	ch.number = crew->n;
	ch.board = crew->board;
	ch.told = &crew->board->told[crew->n];
	pid = fork();
	if (pid == 0)
		be_child(&ch, round, parent);
	if (pid < 0)
		return -errno;
	crew->pid[crew->n++] = pid;
	return 0;
}

static void end(struct crew *crew)
{
	for (unsigned i = 0; i < crew->n; i++)
		kill(crew->pid[i], SIGKILL);
	for (unsigned i = 0; i < crew->n; i++)
		while (waitpid(crew->pid[i], NULL, 0) < 0 && errno == EINTR)
			;
	crew->n = 0;
}

static int hire(struct crew *crew, const struct child *ch)
{
	const struct bench_row *row = ch->row;
	bool many = row->batch > 1;
	int r = 0;

	switch (row->test) {
	case BENCH_LATENCY:
		r = add(crew, ch, ping);
		return r ? r : add(crew, ch, pong);
	case BENCH_COST:
		return add(crew, ch, cost);
	case BENCH_COPY:
		return add(crew, ch, copy);
	case BENCH_THROUGHPUT:
		break;
	}
	/* In turn, so that a producer and a consumer are on different processors. */
	for (unsigned i = 0; i < row->producers || i < row->consumers; i++) {
		if (!r && i < row->producers)
			r = add(crew, ch, many ? produce_many : produce);
		if (!r && i < row->consumers)
			r = add(crew, ch, many ? consume_many : consume);
	}
	return r;
}

static int failed(const struct crew *crew)
{
	for (unsigned i = 0; i < crew->n; i++) {
		int r = atomic_load(&crew->board->told[i].error);

		if (r)
			return r;
	}
	return 0;
}

static uint64_t total(const struct crew *crew)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < crew->n; i++)
		sum += atomic_load_explicit(&crew->board->told[i].count, memory_order_relaxed);
	return sum;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Lets the crew work: a fifth of the time to get warm, then so many runs of equal length. */
static int watch(struct cli *c, struct crew *crew, struct bench_row *row, int64_t ns)
{
	double rate[RUNS];
	int r = 0;

	while (atomic_load(&crew->board->ready) < crew->n && !failed(crew))
		if (cli_sleep(c, 200000))
			return CLI_INTERRUPTED;
	atomic_store(&crew->board->go, 1);
	r = cli_sleep(c, ns / 5);
	for (unsigned i = 0; i < BENCH_BUCKETS; i++)
		atomic_store_explicit(&crew->board->bucket[i], 0, memory_order_relaxed);
	for (unsigned i = 0; i < RUNS && !r; i++) {
		uint64_t before = total(crew);
		int64_t start = now();

		/* On a busy machine it may be a while before they get to run at all. */
		do
			r = cli_sleep(c, ns * 4 / 5 / RUNS);
		while (!r && total(crew) == before && now() - start < RUN_NS_MAX && !failed(crew));
		rate[i] = (double)(total(crew) - before) * 1e9 / (double)(now() - start);
	}
	if (r)
		return r;
	r = failed(crew);
	if (r)
		return cli_fail(c, CLI_BUG, r, "%s: %s", bench_name(row), ipk_strerror(r));
	qsort(rate, RUNS, sizeof(rate[0]), compare);
	row->value = rate[RUNS / 2];
	row->spread = row->value > 0 ? (rate[RUNS - 1] - rate[0]) / row->value : 0;
	return 0;
}

static void conclude(struct bench_row *row, struct board *board)
{
	row->measured = row->value > 0;
	switch (row->test) {
	case BENCH_COST:
		row->value = row->value > 0 ? 1e9 / row->value : 0;
		break;
	case BENCH_COPY:
		row->value *= (double)row->size;
		break;
	case BENCH_LATENCY:
		row->p50 = percentile(board, 0.5);
		row->p90 = percentile(board, 0.9);
		row->p99 = percentile(board, 0.99);
		row->p999 = percentile(board, 0.999);
		break;
	case BENCH_THROUGHPUT:
		break;
	}
}

/* Room for so many values, but not for more than some MiB. */
static unsigned depth_of(const struct bench_row *row)
{
	size_t fit = row->size ? (4u << 20) / row->size : 1024;

	return row->test == BENCH_LATENCY ? 16 : fit > 1024 ? 1024 : (unsigned)fit;
}

int bench_run(struct cli *c, struct bench_row *row, int64_t ns)
{
	unsigned lanes = row->test == BENCH_COPY ? 0 : row->test == BENCH_LATENCY ? 2 : 1, made;
	struct child ch = {.row = row};
	struct crew crew = {0};
	int r = 0;

	crew.board = mmap(NULL, sizeof(*crew.board), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (crew.board == MAP_FAILED)
		return cli_fail_code(c, -errno, NULL);
	for (made = 0; made < lanes; made++) {
		ch.lane[made] =
			(struct bench_lane){.t = row->t, .kind = row->kind, .size = row->size};
		r = row->t->make(&ch.lane[made], depth_of(row));
		if (r < 0)
			break;
	}
	/* A peer that this machine does not have, or not of this size, has no row. */
	if (r < 0 && row->kind)
		r = cli_fail(c, cli_exit_of(r), r, "%s: %s", bench_name(row), ipk_strerror(r));
	else if (r == 0)
		r = hire(&crew, &ch);
	if (r < 0 && made == lanes)
		r = cli_fail_code(c, r, NULL);
	else if (r == 0)
		r = watch(c, &crew, row, ns);
	end(&crew);
	if (r == 0)
		conclude(row, crew.board);
	while (made-- > 0)
		ch.lane[made].t->drop(&ch.lane[made]);
	munmap(crew.board, sizeof(*crew.board));
	return r < 0 ? 0 : r;
}
