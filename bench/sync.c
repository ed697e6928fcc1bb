/* SPDX-License-Identifier: MIT */
/*
 * Mutex, rwlock, semaphore, barrier, once and latch beside glibc's, all in shared memory and in the
 * same run: the rows of a table take turns, round for round, so that what disturbs one disturbs its
 * neighbours too. The ratios are of the same round: to the first row of the table, and to the
 * robust mutex, which is the only one of glibc's that a death does not leave locked for ever. They
 * count; nanoseconds are the machine's own.
 *
 *	bench_sync [ROUNDS [TABLE]]
 */
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "ipk/barrier.h"
#include "ipk/latch.h"
#include "ipk/mutex.h"
#include "ipk/once.h"
#include "ipk/rwlock.h"
#include "ipk/semaphore.h"

#define SEGMENT "bench-sync"
#define ROWS 6
#define ROUNDS_MAX 1000

struct peers {
	pthread_mutex_t plain, robust, robust_recursive;
	pthread_rwlock_t rwlock;
	sem_t one, two, ping, pong;
	pthread_barrier_t alone, both;
	unsigned there; /* processes that are ready to begin */
};

static struct peers *peers;
static pthread_once_t peer_once = PTHREAD_ONCE_INIT;

static struct ipk_segment *seg;
static struct ipk_mutex *mutex, *recursive;
static struct ipk_rwlock *rwlock;
static struct ipk_semaphore *one, *two, *ping, *pong;
static struct ipk_barrier *alone, *both;
static struct ipk_once *once;
static struct ipk_latch *latch;

/* ---- what is measured: n times, by process who ----------------------------------------------- */

#define REPEAT(name, body)                                                                         \
	static void name(uint64_t n, int who)                                                      \
	{                                                                                          \
		(void)who;                                                                         \
		while (n--) {                                                                      \
			body;                                                                      \
		}                                                                                  \
	}

static void nothing(void)
{
}

REPEAT(peer_plain, pthread_mutex_lock(&peers->plain); pthread_mutex_unlock(&peers->plain))
REPEAT(peer_robust, pthread_mutex_lock(&peers->robust); pthread_mutex_unlock(&peers->robust))
REPEAT(peer_recursive, pthread_mutex_lock(&peers->robust_recursive);
       pthread_mutex_unlock(&peers->robust_recursive))
REPEAT(our_mutex, ipk_mutex_lock(mutex, IPK_FOREVER); ipk_mutex_unlock(mutex))
REPEAT(our_recursive, ipk_mutex_lock(recursive, IPK_FOREVER); ipk_mutex_unlock(recursive))

REPEAT(peer_read, pthread_rwlock_rdlock(&peers->rwlock); pthread_rwlock_unlock(&peers->rwlock))
REPEAT(peer_write, pthread_rwlock_wrlock(&peers->rwlock); pthread_rwlock_unlock(&peers->rwlock))
REPEAT(our_read, ipk_rwlock_lock_shared(rwlock, IPK_FOREVER); ipk_rwlock_unlock(rwlock))
REPEAT(our_write, ipk_rwlock_lock(rwlock, IPK_FOREVER); ipk_rwlock_unlock(rwlock))

REPEAT(peer_one, sem_wait(&peers->one); sem_post(&peers->one))
REPEAT(peer_two, sem_wait(&peers->two); sem_post(&peers->two))
REPEAT(our_one, ipk_semaphore_acquire(one, 1, IPK_FOREVER); ipk_semaphore_release(one, 1))
REPEAT(our_two, ipk_semaphore_acquire(two, 1, IPK_FOREVER); ipk_semaphore_release(two, 1))
REPEAT(our_nobody, ipk_semaphore_take(one, 1, IPK_FOREVER); ipk_semaphore_post(one, 1))

REPEAT(peer_alone, pthread_barrier_wait(&peers->alone))
REPEAT(peer_both, pthread_barrier_wait(&peers->both))
REPEAT(our_alone, ipk_barrier_wait(alone, IPK_FOREVER))
REPEAT(our_both, ipk_barrier_wait(both, IPK_FOREVER))

REPEAT(peer_done, pthread_once(&peer_once, nothing))
REPEAT(our_done, ipk_once_begin(once, IPK_FOREVER))
REPEAT(our_open, ipk_latch_wait(latch, IPK_FOREVER))

/* There and back: two ways. */
static void peer_signal(uint64_t n, int who)
{
	for (; n; n--) {
		if (!who)
			sem_post(&peers->ping);
		sem_wait(who ? &peers->ping : &peers->pong);
		if (who)
			sem_post(&peers->pong);
	}
}

static void our_signal(uint64_t n, int who)
{
	for (; n; n--) {
		if (!who)
			ipk_semaphore_post(ping, 1);
		ipk_semaphore_take(who ? ping : pong, 1, IPK_FOREVER);
		if (who)
			ipk_semaphore_post(pong, 1);
	}
}

struct row {
	const char *name;
	void (*repeat)(uint64_t n, int who);
};

struct table {
	const char *name, *title;
	int processes;
	uint64_t n;
	double each; /* operations in one repetition, of all processes */
	struct row row[ROWS];
};

static const struct table tables[] = {
	{"mutex",
	 "lock and unlock a mutex",
	 1,
	 100000,
	 1,
	 {{"pthread_mutex_t", peer_plain},
	  {"robust pthread_mutex_t", peer_robust},
	  {"robust and recursive", peer_recursive},
	  {"ipk_mutex", our_mutex},
	  {"ipk_mutex, recursive", our_recursive}}},
	{"read",
	 "lock a reader-writer lock to read, and unlock it",
	 1,
	 100000,
	 1,
	 {{"pthread_rwlock_t", peer_read},
	  {"robust pthread_mutex_t", peer_robust},
	  {"ipk_rwlock", our_read}}},
	{"write",
	 "lock a reader-writer lock to write, and unlock it",
	 1,
	 100000,
	 1,
	 {{"pthread_rwlock_t", peer_write},
	  {"robust pthread_mutex_t", peer_robust},
	  {"ipk_rwlock", our_write}}},
	{"semaphore",
	 "take a permit and give it back",
	 1,
	 100000,
	 1,
	 {{"sem_t", peer_one},
	  {"robust pthread_mutex_t", peer_robust},
	  {"ipk_semaphore of 1", our_one},
	  {"ipk_semaphore of 2", our_two},
	  {"ipk_semaphore, for nobody", our_nobody}}},
	{"barrier",
	 "a barrier of one party",
	 1,
	 100000,
	 1,
	 {{"pthread_barrier_t", peer_alone},
	  {"robust pthread_mutex_t", peer_robust},
	  {"ipk_barrier", our_alone}}},
	{"once",
	 "what is done, or open",
	 1,
	 100000,
	 1,
	 {{"pthread_once_t", peer_done},
	  {"robust pthread_mutex_t", peer_robust},
	  {"ipk_once", our_done},
	  {"ipk_latch", our_open}}},
	{"mutex2",
	 "two processes, one mutex",
	 2,
	 20000,
	 2,
	 {{"pthread_mutex_t", peer_plain},
	  {"robust pthread_mutex_t", peer_robust},
	  {"ipk_mutex", our_mutex}}},
	{"read2",
	 "two processes read",
	 2,
	 20000,
	 2,
	 {{"pthread_rwlock_t", peer_read},
	  {"robust pthread_mutex_t", peer_robust},
	  {"ipk_rwlock", our_read}}},
	{"semaphore1",
	 "two processes, one permit",
	 2,
	 20000,
	 2,
	 {{"sem_t", peer_one},
	  {"robust pthread_mutex_t", peer_robust},
	  {"ipk_semaphore of 1", our_one}}},
	{"semaphore2",
	 "two processes, two permits",
	 2,
	 20000,
	 2,
	 {{"sem_t", peer_two},
	  {"robust pthread_mutex_t", peer_robust},
	  {"ipk_semaphore of 2", our_two}}},
	{"barrier2",
	 "a barrier of two processes",
	 2,
	 1000,
	 1,
	 {{"pthread_barrier_t", peer_both}, {"ipk_barrier", our_both}}},
	{"signal",
	 "one process signals another that waits",
	 2,
	 1000,
	 2,
	 {{"sem_t", peer_signal}, {"ipk_semaphore", our_signal}}},
};

/* ---- measuring ------------------------------------------------------------------------------- */

/* All of them begin at once. */
static void meet(void)
{
	__atomic_add_fetch(&peers->there, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&peers->there, __ATOMIC_SEQ_CST) < 2)
		sched_yield();
}

/* ns of one operation */
static double measure(const struct table *t, const struct row *row)
{
	pid_t pid = 1;
	double start;

	if (t->processes == 2) {
		peers->there = 0;
		pid = fork();
	}
	if (pid < 0)
		fail("fork", -errno);
	row->repeat(1, pid == 0); /* each registers at its first call */
	if (t->processes == 2)
		meet();
	start = now();
	row->repeat(t->n, pid == 0);
	if (pid == 0) {
		ipk_barrier_leave(both); /* each round has another second party */
		_exit(0);
	}
	if (t->processes == 2)
		waitpid(pid, NULL, 0);
	return (now() - start) / (double)t->n / t->each;
}

static int ascending(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void print_ratio(const double *val, const double *base, int rounds)
{
	double ratio[ROUNDS_MAX] = {0};

	for (int i = 0; i < rounds; i++)
		ratio[i] = val[i] / base[i];
	qsort(ratio, (size_t)rounds, sizeof(*ratio), ascending);
	printf("   %6.2f %5.2f-%-5.2f", ratio[rounds / 2], ratio[rounds / 10],
	       ratio[rounds - 1 - rounds / 10]);
}

static void print_row(const char *name, const double *val, const double *first,
		      const double *robust, int rounds)
{
	double sorted[ROUNDS_MAX];

	memcpy(sorted, val, (size_t)rounds * sizeof(*sorted));
	qsort(sorted, (size_t)rounds, sizeof(*sorted), ascending);
	printf("  %-26s %9.2f %9.2f %9.2f", name, sorted[0], sorted[rounds / 2],
	       sorted[rounds - 1 - rounds / 10]);
	print_ratio(val, first, rounds);
	if (robust)
		print_ratio(val, robust, rounds);
	printf("\n");
}

static void run(const struct table *t, int rounds)
{
	static double val[ROWS][ROUNDS_MAX];
	const double *robust = NULL;
	int n = 0;

	while (n < ROWS && t->row[n].name)
		n++;
	for (int i = 0; i < rounds; i++)
		for (int k = 0; k < n; k++)
			val[k][i] = measure(t, &t->row[k]);
	printf("%s\n  %-26s %9s %9s %9s   %18s   %18s\n", t->title, "ns of one", "best", "median",
	       "90 %", "to the first", "to robust");
	for (int k = 0; k < n; k++)
		if (t->row[k].repeat == peer_robust)
			robust = val[k];
	for (int k = 0; k < n; k++)
		print_row(t->row[k].name, val[k], val[0], robust, rounds);
	fflush(stdout);
}

/* ---- what is there --------------------------------------------------------------------------- */

static void make_mutex(pthread_mutex_t *m, int robust, int type)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, robust);
	pthread_mutexattr_settype(&attr, type);
	pthread_mutex_init(m, &attr);
}

static void make_peers(void)
{
	pthread_rwlockattr_t rw;
	pthread_barrierattr_t bar;

	peers = mmap(NULL, sizeof(*peers), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (peers == MAP_FAILED)
		fail("mmap", -errno);
	make_mutex(&peers->plain, PTHREAD_MUTEX_STALLED, PTHREAD_MUTEX_NORMAL);
	make_mutex(&peers->robust, PTHREAD_MUTEX_ROBUST, PTHREAD_MUTEX_NORMAL);
	make_mutex(&peers->robust_recursive, PTHREAD_MUTEX_ROBUST, PTHREAD_MUTEX_RECURSIVE);
	pthread_rwlockattr_init(&rw);
	pthread_rwlockattr_setpshared(&rw, PTHREAD_PROCESS_SHARED);
	pthread_rwlock_init(&peers->rwlock, &rw);
	pthread_barrierattr_init(&bar);
	pthread_barrierattr_setpshared(&bar, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&peers->alone, &bar, 1);
	pthread_barrier_init(&peers->both, &bar, 2);
	sem_init(&peers->one, 1, 1);
	sem_init(&peers->two, 1, 2);
	sem_init(&peers->ping, 1, 0);
	sem_init(&peers->pong, 1, 0);
	pthread_once(&peer_once, nothing);
}

static void must(int r)
{
	if (r < 0)
		fail("an object", r);
}

static struct ipk_semaphore *make_semaphore(const char *name, uint64_t cap, uint64_t val)
{
	struct ipk_semaphore *sem = NULL;

	must(ipk_semaphore_create(seg, name, cap, val, NULL));
	must(ipk_semaphore_open(seg, name, &sem, NULL));
	return sem;
}

static struct ipk_mutex *make_our_mutex(const char *name, bool rec)
{
	struct ipk_mutex *m = NULL;

	must(ipk_mutex_create(seg, name, rec, NULL));
	must(ipk_mutex_open(seg, name, &m, NULL));
	return m;
}

static struct ipk_barrier *make_barrier(const char *name, uint64_t parties)
{
	struct ipk_barrier *b = NULL;

	must(ipk_barrier_create(seg, name, parties, false, NULL));
	must(ipk_barrier_open(seg, name, &b, NULL));
	return b;
}

static void make_ours(void)
{
	must(ipk_segment_create(SEGMENT, NULL, &seg, NULL));
	mutex = make_our_mutex("mutex", false);
	recursive = make_our_mutex("recursive", true);
	must(ipk_rwlock_create(seg, "rwlock", 0, NULL));
	must(ipk_rwlock_open(seg, "rwlock", &rwlock, NULL));
	one = make_semaphore("one", 1, 1);
	two = make_semaphore("two", 2, 2);
	ping = make_semaphore("ping", 1, 0);
	pong = make_semaphore("pong", 1, 0);
	alone = make_barrier("alone", 1);
	both = make_barrier("both", 2);
	must(ipk_once_create(seg, "once", NULL));
	must(ipk_once_open(seg, "once", &once, NULL));
	must(ipk_once_begin(once, IPK_NOWAIT));
	must(ipk_once_done(once));
	must(ipk_latch_create(seg, "latch", 1, NULL));
	must(ipk_latch_open(seg, "latch", &latch, NULL));
	must(ipk_latch_count_down(latch, 1));
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 300;

	if (rounds < 1 || rounds > ROUNDS_MAX)
		rounds = 300;
	ipk_segment_remove(SEGMENT, NULL);
	make_peers();
	make_ours();
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		if (argc < 3 || strcmp(argv[2], tables[i].name) == 0)
			run(&tables[i], rounds);
	ipk_segment_remove(SEGMENT, NULL);
	return 0;
}
