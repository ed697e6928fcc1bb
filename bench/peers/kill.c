/* SPDX-License-Identifier: MIT */
/*
 * What a kill -9 of a producer or a consumer does to the others. All items that are pushed after a
 * death has been seen carry a new number; things go on when a consumer gets one of those. Where one
 * process is at each end a new one takes the dead one's place, made before, and its joining counts;
 * where many may be, two are at each end and the other one has to go on by itself.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "crew.h"
#include "kill.h"
#include "table.h"

#define CAP 256
#define PATIENCE 2.0          /* s: a busy machine may keep a process waiting as well */
#define PATIENCE_MESSAGES 4.0 /* s: they have time-outs of their own */

struct kill_board {
	_Alignas(128) uint64_t epoch; /* what is pushed now */
	_Alignas(128) uint64_t seen;  /* the latest that came out */
	double seen_at;
	uint32_t go[2]; /* of a side: the replacement may join */
	int64_t fits;
};

struct trial {
	const struct peer *peer;
	struct queue q;
	struct kill_board *board;
	pid_t pid[2][2]; /* of each side */
	unsigned each;   /* processes at each end */
};

static void work(struct trial *t, enum side side)
{
	void *end = t->peer->join ? t->peer->join(&t->q, side) : t->q.at;
	const struct loops *l = t->q.loops;
	struct kill_board *b = t->board;
	unsigned k = 0;
	uint64_t val;

	for (;;) {
		if (side == PRODUCER) {
			while (!l->put(end, __atomic_load_n(&b->epoch, __ATOMIC_ACQUIRE)))
				(void)(++k % 64 || sched_yield());
			continue;
		}
		while (!l->get(end, &val))
			(void)(++k % 64 || sched_yield());
		if (val > __atomic_load_n(&b->seen, __ATOMIC_RELAXED)) {
			b->seen_at = now();
			__atomic_store_n(&b->seen, val, __ATOMIC_RELEASE);
		}
	}
}

/* wait: until the one whose place it takes is dead. */
static pid_t hire(struct trial *t, enum side side, unsigned nth, bool wait)
{
	pid_t pid;

	t->board->go[side] = !wait;
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		fail("fork", -errno);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pin(conduct.cpu[(nth + side) % 2]);
	while (!__atomic_load_n(&t->board->go[side], __ATOMIC_ACQUIRE))
		usleep(20);
	work(t, side);
	_exit(0);
}

static double patience(const struct trial *t)
{
	return t->peer->flags & PEER_MESSAGES ? PATIENCE_MESSAGES : PATIENCE;
}

/* Until something of this epoch came out. */
static bool flows(struct trial *t, uint64_t epoch)
{
	double until = now_s() + patience(t);

	while (__atomic_load_n(&t->board->seen, __ATOMIC_ACQUIRE) < epoch) {
		if (now_s() > until)
			return false;
		usleep(20);
	}
	return true;
}

static void dismiss(pid_t *pid)
{
	if (*pid <= 0)
		return;
	kill(*pid, SIGKILL);
	waitpid(*pid, NULL, 0);
	*pid = 0;
}

static void close_down(struct trial *t)
{
	for (unsigned i = 0; i < 4; i++)
		dismiss(&t->pid[i / 2][i % 2]);
	t->peer->drop(&t->q);
	peer_memory_end(t->board);
}

static bool open_up(struct trial *t)
{
	t->each = t->peer->flags & PEER_MANY ? 2 : 1;
	if (!t->peer->make(&t->q, 8, CAP))
		return false;
	if (!t->q.loops) {
		t->peer->drop(&t->q);
		return false;
	}
	t->board = peer_memory(sizeof(*t->board));
	t->board->epoch = 1;
	for (unsigned i = 0; i < 2 * t->each; i++)
		t->pid[i % 2][i / 2] = hire(t, (enum side)(i % 2), i / 2, false);
	if (flows(t, 1))
		return true;
	close_down(t);
	return false;
}

/* How long until things went on, in ms; < 0: they did not. */
static double kill_one(struct trial *t, enum side side, unsigned *seed)
{
	struct kill_board *b = t->board;
	unsigned nth = (unsigned)rand_r(seed) % t->each;
	pid_t spare = t->each == 1 ? hire(t, side, nth, true) : 0;
	uint64_t epoch = b->epoch + 1;
	double start;

	usleep(200 + (unsigned)rand_r(seed) % 2000);
	dismiss(&t->pid[side][nth]);
	start = now();
	__atomic_store_n(&b->epoch, epoch, __ATOMIC_SEQ_CST);
	__atomic_store_n(&b->go[side], 1, __ATOMIC_SEQ_CST);
	t->pid[side][nth] = spare;
	if (!flows(t, epoch))
		return -1;
	if (!spare)
		t->pid[side][nth] = hire(t, side, nth, false);
	return 1e-6 * (b->seen_at - start);
}

/* How many items the queue takes after all that; -1: it hangs. */
static int64_t fits(struct trial *t)
{
	struct kill_board *b = t->board;
	const struct loops *l = t->q.loops;
	pid_t pid;

	for (unsigned i = 0; i < 4; i++)
		dismiss(&t->pid[i / 2][i % 2]);
	b->fits = -1;
	pid = fork();
	if (pid == 0) {
		void *in = t->peer->join ? t->peer->join(&t->q, PRODUCER) : t->q.at;
		void *out = t->peer->join ? t->peer->join(&t->q, CONSUMER) : t->q.at;
		int64_t n = 0;
		uint64_t val;

		alarm(2);
		while (l->get(out, &val))
			;
		while (n < 2 * CAP && l->put(in, 1))
			n++;
		b->fits = n;
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	return b->fits;
}

static void row(const struct peer *peer, enum side side, unsigned kills)
{
	static const char *const who[] = {"producer", "consumer"};
	struct trial t = {.peer = peer};
	double ms[ROUNDS_MAX], most = 0;
	unsigned n = 0, stuck = 0, seed = 1;
	int64_t before = -1, after = -1;

	if (peer->flags & PEER_MESSAGES)
		kills = kills < 5 ? kills : 5;
	if (!(peer->flags & PEER_MESSAGES) && open_up(&t)) {
		before = fits(&t);
		close_down(&t);
	}
	if (!open_up(&t))
		return;
	fprintf(stderr, "kills: %s of %s\n", who[side], peer->name);
	for (unsigned i = 0; i < kills; i++) {
		double v = kill_one(&t, side, &seed);

		if (v >= 0) {
			ms[n++] = v;
			most = v > most ? v : most;
			continue;
		}
		stuck++;
		close_down(&t);
		if (peer->restart)
			peer->restart();
		if (!open_up(&t))
			fail(peer->name, -EIO);
	}
	if (!(peer->flags & PEER_MESSAGES))
		after = fits(&t);
	close_down(&t);
	printf("| %s | %s | %u of %u | ", peer->name, who[side], stuck, kills);
	if (n)
		printf("%.3f | %.3f | ", table_median(ms, n), most);
	else
		printf("— | — | ");
	if (before < 0)
		printf("|\n");
	else if (after < 0)
		printf("%lld, then hangs |\n", (long long)before);
	else
		printf("%lld, then %lld |\n", (long long)before, (long long)after);
	fflush(stdout);
	if (table_plot)
		fprintf(table_plot, "kill\t%s, %s\t%g\t%g\t%g\n", peer->name, who[side],
			100.0 * stuck / kills, n ? table_median(ms, n) : -1, most);
}

void kill_all(unsigned kills)
{
	printf("\n### A kill -9 in the middle\n\n| | killed | unusable after it | goes on after, "
	       "ms "
	       "(median) | at most | items it holds |\n|---|---|---|---|---|---|\n");
	for (unsigned i = 0; peers[i]; i++) {
		if (peers[i] == &peer_line || (peers_only && !strstr(peers[i]->name, peers_only)))
			continue;
		row(peers[i], PRODUCER, kills);
		row(peers[i], CONSUMER, kills);
	}
}
