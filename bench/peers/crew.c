/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "crew.h"

#define ASLEEP 100e3 /* ns: by then who waits has gone to sleep */
#define PATIENCE 20  /* s */

struct conduct conduct = {.cpu = {0, 1}};

struct board {
	uint32_t go;   /* rounds that were begun; futex */
	uint32_t done; /* processes that are through with it, or have joined; futex */
	uint32_t ready;
	uint32_t quit;
	uint64_t n, taken;
	struct {
		_Alignas(128) double start, stop, mean;
		uint64_t sum, bad;
	} member[PEER_HOLDERS];
};

static uint32_t load(const uint32_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void futex_wait(uint32_t *p, uint32_t seen, int seconds)
{
	const struct timespec ts = {seconds, 0};

	syscall(SYS_futex, p, FUTEX_WAIT, seen, &ts, NULL, 0);
}

static void bump(uint32_t *p)
{
	__atomic_fetch_add(p, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, p, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

/* ---- in the processes ----------------------------------------------------------------------- */

struct member {
	struct crew *c;
	unsigned nth;
	bool first; /* a producer, or who begins to and fro */
	void *end[2];
};

static bool both_ways(const struct crew *c)
{
	return c->job == JOB_SPIN || c->job == JOB_SLEEP;
}

static void *join(struct crew *c, unsigned which, enum side side)
{
	struct queue *q = &c->q[which];

	return c->peer->join ? c->peer->join(q, side) : q->at;
}

static void settle(struct member *m)
{
	struct crew *c = m->c;
	unsigned k = m->first ? m->nth : m->nth - c->producers + 1;

	pin(conduct.cpu[k % 2]);
	/* Where other threads of the process do the work they would not come to run. */
	if (conduct.fifo && c->producers + c->consumers <= 2 &&
	    (c->peer->flags & PEER_THREADS) != PEER_THREADS)
		sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){.sched_priority = 10});
	m->end[0] = join(c, 0, m->first ? PRODUCER : CONSUMER);
	if (both_ways(c))
		m->end[1] = join(c, 1, m->first ? CONSUMER : PRODUCER);
	if (!(c->peer->flags & PEER_MESSAGES))
		mlockall(MCL_CURRENT); /* all pages are in this process's tables, if it may */
}

static void leave(struct member *m)
{
	struct crew *c = m->c;

	if (!c->peer->leave)
		return;
	c->peer->leave(m->end[0], m->first ? PRODUCER : CONSUMER);
	if (both_ways(c))
		c->peer->leave(m->end[1], m->first ? CONSUMER : PRODUCER);
}

static void stream(struct member *m)
{
	struct crew *c = m->c;
	const struct loops *l = c->q[0].loops;
	struct board *b = c->board;
	struct work w = {.end = m->end[0], .n = b->n};

	w.yield = c->producers + c->consumers > 2;
	if (m->first) {
		w.first = m->nth * b->n;
		(c->job == JOB_BURST ? l->produce_burst : l->produce)(&w);
		return;
	}
	w.n = b->n * c->producers;
	w.taken = c->consumers > 1 ? &b->taken : NULL;
	(c->job == JOB_BURST ? l->consume_burst : l->consume)(&w);
	b->member[m->nth].sum = w.sum;
	b->member[m->nth].bad = w.bad;
}

static void must(int r)
{
	if (r != 0)
		fail("send and receive", r);
}

static void to_and_fro(struct member *m)
{
	const struct peer *p = m->c->peer;
	uint64_t n = m->c->board->n, val = 0;

	for (uint64_t i = 1; i <= n; i++) {
		if (m->first)
			must(p->send(m->end[0], i));
		must(p->recv(m->end[m->first], &val));
		if (!m->first)
			must(p->send(m->end[1], val));
		if (val != i)
			fail("another value came back", -EBADMSG);
	}
}

static void wake(struct member *m)
{
	struct board *b = m->c->board;
	double sum = 0;

	for (uint64_t i = 0; i < b->n; i++) {
		double start = now();
		uint64_t val;

		if (m->first) {
			while (now() < start + ASLEEP)
				;
			must(m->c->peer->send(m->end[0], (uint64_t)now()));
		} else {
			must(m->c->peer->recv(m->end[0], &val));
			sum += now() - (double)val;
		}
	}
	b->member[m->nth].mean = sum / (double)b->n;
}

static void run(struct member *m)
{
	const struct loops *l = m->c->q[0].loops;

	switch (m->c->job) {
	case JOB_STREAM:
	case JOB_BURST:
		stream(m);
		break;
	case JOB_SPIN:
		(m->first ? l->ping : l->echo)(m->end[0], m->end[1], m->c->board->n);
		break;
	case JOB_SLEEP:
		to_and_fro(m);
		break;
	case JOB_WAKE:
		wake(m);
		break;
	}
}

static _Noreturn void live(struct crew *c, unsigned nth)
{
	struct member m = {.c = c, .nth = nth, .first = nth < c->producers};
	unsigned all = c->producers + c->consumers;
	struct board *b = c->board;

	settle(&m);
	bump(&b->done);
	for (uint32_t round = 0;; round++) {
		while (load(&b->go) == round)
			futex_wait(&b->go, round, PATIENCE);
		if (load(&b->quit))
			break;
		__atomic_fetch_add(&b->ready, 1, __ATOMIC_SEQ_CST);
		while (load(&b->ready) < all)
			if (all > 2)
				sched_yield();
		b->member[nth].start = now();
		run(&m);
		b->member[nth].stop = now();
		bump(&b->done);
	}
	leave(&m);
	_exit(0);
}

/* ---- the one who measures ------------------------------------------------------------------- */

static void dismiss(struct crew *c)
{
	for (unsigned i = 0; i < c->producers + c->consumers; i++) {
		if (c->pid[i] <= 0)
			continue;
		kill(c->pid[i], SIGKILL);
		waitpid(c->pid[i], NULL, 0);
		c->pid[i] = 0;
	}
}

/* It is in nobody's way any more. */
static void lose(struct crew *c, const char *why)
{
	fprintf(stderr, "%s: %s\n", c->peer->name, why);
	c->lost = why;
	dismiss(c);
}

static bool all_done(struct crew *c)
{
	struct board *b = c->board;
	double until = now_s() + PATIENCE;
	uint32_t seen;

	while ((seen = load(&b->done)) < c->producers + c->consumers) {
		for (unsigned i = 0; i < c->producers + c->consumers; i++)
			if (waitpid(c->pid[i], NULL, WNOHANG) == c->pid[i]) {
				c->pid[i] = 0;
				lose(c, "a process ended");
				return false;
			}
		if (now_s() > until) {
			lose(c, "not done after 20 s");
			return false;
		}
		futex_wait(&b->done, seen, 1);
	}
	return true;
}

static bool able(const struct crew *c)
{
	const struct loops *l = c->q[0].loops;

	switch (c->job) {
	case JOB_STREAM:
	case JOB_SPIN:
		return l;
	case JOB_BURST:
		return l && l->produce_burst;
	default:
		return c->peer->send;
	}
}

bool crew_start(struct crew *c, const struct peer *peer, enum crew_job job, size_t bytes,
		uint64_t cap, unsigned producers, unsigned consumers)
{
	*c = (struct crew){
		.peer = peer, .job = job, .producers = producers, .consumers = consumers};
	if (!peer->make(&c->q[0], bytes, cap))
		return false;
	if (!able(c) || (both_ways(c) && !peer->make(&c->q[1], bytes, cap))) {
		peer->drop(&c->q[0]);
		return false;
	}
	c->board = peer_memory(sizeof(*c->board));
	fflush(NULL);
	for (unsigned i = 0; i < producers + consumers; i++) {
		c->pid[i] = fork();
		if (c->pid[i] < 0)
			fail("fork", -errno);
		if (c->pid[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			live(c, i);
		}
	}
	all_done(c);
	return true;
}

static bool right(const struct crew *c, uint64_t n)
{
	uint64_t all = n * c->producers, sum = 0, bad = 0;

	for (unsigned i = c->producers; i < c->producers + c->consumers; i++) {
		sum += c->board->member[i].sum;
		bad |= c->board->member[i].bad;
	}
	return !bad && sum == all * (all - 1) / 2;
}

double crew_round(struct crew *c, uint64_t n)
{
	struct board *b = c->board;
	double start = 1e30, stop = 0;

	if (c->lost)
		return -1;
	b->n = n;
	b->taken = 0;
	b->ready = 0;
	b->done = 0;
	bump(&b->go);
	if (!all_done(c))
		return -1;
	for (unsigned i = 0; i < c->producers + c->consumers; i++) {
		start = b->member[i].start < start ? b->member[i].start : start;
		stop = b->member[i].stop > stop ? b->member[i].stop : stop;
	}
	if ((c->job == JOB_STREAM || c->job == JOB_BURST) && !right(c, n)) {
		lose(c, "items are wrong");
		return -1;
	}
	return 1e-9 * (c->job == JOB_WAKE ? b->member[1].mean : stop - start);
}

void crew_end(struct crew *c)
{
	c->board->quit = 1;
	bump(&c->board->go);
	for (double until = now_s() + 2; now_s() < until; usleep(1000)) {
		bool left = false;

		for (unsigned i = 0; i < c->producers + c->consumers; i++) {
			if (c->pid[i] > 0 && waitpid(c->pid[i], NULL, WNOHANG) == c->pid[i])
				c->pid[i] = 0;
			left |= c->pid[i] > 0;
		}
		if (!left || c->lost)
			break;
	}
	dismiss(c);
	c->peer->drop(&c->q[0]);
	if (both_ways(c))
		c->peer->drop(&c->q[1]);
	peer_memory_end(c->board);
}

bool crew_fit(struct crew *c, double seconds, uint64_t *n)
{
	for (*n = 64;;) {
		double s = crew_round(c, *n), more;

		if (s < 0)
			return false;
		if (s > seconds / 2)
			return true;
		more = seconds / (s > 1e-7 ? s : 1e-7);
		*n = (uint64_t)((double)*n * (more > 8 ? 8 : more)) / PEER_BURST * PEER_BURST +
		     PEER_BURST;
	}
}
