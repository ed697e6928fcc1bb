/* SPDX-License-Identifier: MIT */
/*
 * The reader-writer lock beside glibc's pthread_rwlock_t and a robust pthread mutex, all in shared
 * memory, in the same run. pthread_rwlock_t is never given back by the dead; the mutex is. Ratios
 *count, nanoseconds are the machine's own.
 *
 *	bench_rwlock [THOUSANDS of rounds]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "ipk/rwlock.h"

#define ROUNDS 20

static uint64_t pairs = 500000;

struct peers {
	pthread_rwlock_t lock;
	pthread_mutex_t mutex;
};

static struct peers *peers;
static struct ipk_segment *seg;
static struct ipk_rwlock *ours;

static void read_peer(void)
{
	pthread_rwlock_rdlock(&peers->lock);
	pthread_rwlock_unlock(&peers->lock);
}

static void write_peer(void)
{
	pthread_rwlock_wrlock(&peers->lock);
	pthread_rwlock_unlock(&peers->lock);
}

static void pair_mutex(void)
{
	pthread_mutex_lock(&peers->mutex);
	pthread_mutex_unlock(&peers->mutex);
}

static void read_ours(void)
{
	ipk_rwlock_lock_shared(ours, IPK_FOREVER);
	ipk_rwlock_unlock(ours);
}

static void write_ours(void)
{
	ipk_rwlock_lock(ours, IPK_FOREVER);
	ipk_rwlock_unlock(ours);
}

static double loop(void (*fn)(void), uint64_t n)
{
	double start = now_s();

	for (uint64_t i = 0; i < n; i++)
		fn();
	return (now_s() - start) * 1e9 / (double)n;
}

/* One process alone: the best of many short rounds. */
static double alone(void (*fn)(void))
{
	double least = 1e9;

	for (int i = 0; i < ROUNDS; i++) {
		double t = loop(fn, pairs);

		least = t < least ? t : least;
	}
	return least;
}

static int reopen(void)
{
	return ipk_segment_open("bench-rwlock", IPK_READ | IPK_WRITE, &seg, NULL) < 0 ||
	       ipk_rwlock_open(seg, "lock", &ours, NULL) < 0;
}

/* Two processes at once, nanoseconds of one pair while both run. */
static double together(void (*fn)(void))
{
	double start = now_s();
	pid_t pid[2];

	for (int i = 0; i < 2; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			if (reopen())
				_exit(1);
			loop(fn, pairs * 4);
			_exit(0);
		}
	}
	for (int i = 0; i < 2; i++)
		if (pid[i] > 0)
			waitpid(pid[i], NULL, 0);
	return (now_s() - start) * 1e9 / (double)(pairs * 4) / 2;
}

static int make_peers(void)
{
	pthread_rwlockattr_t lock;
	pthread_mutexattr_t mutex;

	peers = mmap(NULL, sizeof(*peers), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	if (peers == MAP_FAILED)
		return -1;
	pthread_rwlockattr_init(&lock);
	pthread_rwlockattr_setpshared(&lock, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_init(&mutex);
	pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&mutex, PTHREAD_MUTEX_ROBUST);
	return pthread_rwlock_init(&peers->lock, &lock) ||
	       pthread_mutex_init(&peers->mutex, &mutex);
}

static void row(const char *what, double val, double peer, double mutex)
{
	printf("%-34s %8.2f ns %8.2f x pthread_rwlock_t %8.2f x robust mutex\n", what, val,
	       val / peer, val / mutex);
	fflush(stdout);
}

static void run(double (*how)(void (*fn)(void)))
{
	double read = how(read_peer), write = how(write_peer), mutex = how(pair_mutex);

	row("  robust pthread mutex", mutex, read, mutex);
	row("  pthread_rwlock_t, to read", read, read, mutex);
	row("  ipk_rwlock, to read", how(read_ours), read, mutex);
	row("  pthread_rwlock_t, to write", write, write, mutex);
	row("  ipk_rwlock, to write", how(write_ours), write, mutex);
}

int main(int argc, char **argv)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_error err = {0};
	int r;

	if (argc > 1)
		pairs = strtoull(argv[1], NULL, 10) * 1000;
	r = ipk_segment_create("bench-rwlock", &options, &seg, &err);
	if (!r)
		r = ipk_rwlock_create(seg, "lock", 0, &err);
	if (!r)
		ipk_segment_close(seg);
	if (!r && !reopen() && make_peers() == 0) {
		printf("lock and unlock, one process\n");
		run(alone);
		printf("lock and unlock, two processes\n");
		run(together);
	} else {
		fprintf(stderr, "bench_rwlock: %s\n", err.text);
	}
	ipk_segment_remove("bench-rwlock", NULL);
	return r ? 1 : 0;
}
