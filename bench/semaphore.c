/* SPDX-License-Identifier: MIT */
/*
 * The semaphore beside glibc's sem_t and a robust pthread mutex, all in shared memory, in the same run.
 * sem_t loses the permits of the dead; the mutex survives them and is what can be compared. Ratios
 * count, nanoseconds are the machine's own.
 *
 *	bench_semaphore [THOUSANDS of rounds]
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "ipk/semaphore.h"

#define ROUNDS 30
#define WAKES 20000

static uint64_t pairs = 1000000;

struct peers {
	sem_t sem, ping, pong;
	pthread_mutex_t mutex;
};

static struct peers *peers;
static struct ipk_segment *seg;
static struct ipk_semaphore *ours, *many, *ping, *pong;

static void pair_sem(void)
{
	sem_wait(&peers->sem);
	sem_post(&peers->sem);
}

static void pair_mutex(void)
{
	pthread_mutex_lock(&peers->mutex);
	pthread_mutex_unlock(&peers->mutex);
}

static void pair_ours(void)
{
	ipk_semaphore_acquire(ours, 1, IPK_FOREVER);
	ipk_semaphore_release(ours, 1);
}

static void pair_many(void)
{
	ipk_semaphore_acquire(many, 1, IPK_FOREVER);
	ipk_semaphore_release(many, 1);
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
	return ipk_segment_open("bench-semaphore", IPK_READ | IPK_WRITE, &seg, NULL) < 0 ||
	       ipk_semaphore_open(seg, "one", &ours, NULL) < 0 ||
	       ipk_semaphore_open(seg, "two", &many, NULL) < 0 ||
	       ipk_semaphore_open(seg, "ping", &ping, NULL) < 0 ||
	       ipk_semaphore_open(seg, "pong", &pong, NULL) < 0;
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
			loop(fn, pairs);
			_exit(0);
		}
	}
	for (int i = 0; i < 2; i++)
		if (pid[i] > 0)
			waitpid(pid[i], NULL, 0);
	return (now_s() - start) * 1e9 / (double)pairs / 2;
}

static void ping_sem(int mine)
{
	sem_wait(mine ? &peers->pong : &peers->ping);
	sem_post(mine ? &peers->ping : &peers->pong);
}

static void ping_ours(int mine)
{
	ipk_semaphore_take(mine ? pong : ping, 1, IPK_FOREVER);
	ipk_semaphore_post(mine ? ping : pong, 1);
}

/* A signal to another process that sleeps, and back: microseconds one way. */
static double there_and_back(void (*fn)(int mine), void (*first)(void))
{
	double start;
	pid_t pid = fork();

	if (pid == 0) {
		if (reopen())
			_exit(1);
		for (int i = 0; i < WAKES; i++)
			fn(0);
		_exit(0);
	}
	start = now_s();
	first();
	for (int i = 0; i < WAKES; i++)
		fn(1);
	start = now_s() - start;
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return start * 1e6 / WAKES / 2;
}

static void first_sem(void)
{
	sem_post(&peers->ping);
}

static void first_ours(void)
{
	ipk_semaphore_post(ping, 1);
}

static int make_peers(void)
{
	pthread_mutexattr_t attr;

	peers = mmap(NULL, sizeof(*peers), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (peers == MAP_FAILED)
		return -1;
	sem_init(&peers->sem, 1, 1);
	sem_init(&peers->ping, 1, 0);
	sem_init(&peers->pong, 1, 0);
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	return pthread_mutex_init(&peers->mutex, &attr);
}

static void row(const char *what, double val, const char *unit, double sem, double mutex)
{
	printf("%-34s %8.2f %s %8.2f x sem_t", what, val, unit, val / sem);
	if (mutex > 0)
		printf(" %8.2f x robust mutex", val / mutex);
	printf("\n");
	fflush(stdout);
}

static void run(void)
{
	double sem = alone(pair_sem), mutex = alone(pair_mutex);

	printf("acquire and release, one process\n");
	row("  sem_t", sem, "ns", sem, mutex);
	row("  robust pthread mutex", mutex, "ns", sem, mutex);
	row("  ipk_semaphore of 1", alone(pair_ours), "ns", sem, mutex);
	row("  ipk_semaphore of 2", alone(pair_many), "ns", sem, mutex);
	printf("two processes, one permit\n");
	sem = together(pair_sem);
	mutex = together(pair_mutex);
	row("  sem_t", sem, "ns", sem, mutex);
	row("  robust pthread mutex", mutex, "ns", sem, mutex);
	row("  ipk_semaphore of 1", together(pair_ours), "ns", sem, mutex);
	printf("two processes, two permits\n");
	sem_post(&peers->sem);
	sem = together(pair_sem);
	row("  sem_t", sem, "ns", sem, 0);
	row("  ipk_semaphore of 2", together(pair_many), "ns", sem, 0);
	printf("one signals another that waits, one way\n");
	sem = there_and_back(ping_sem, first_sem);
	row("  sem_t", sem, "us", sem, 0);
	row("  ipk_semaphore", there_and_back(ping_ours, first_ours), "us", sem, 0);
}

int main(int argc, char **argv)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_error err = { 0 };
	int r;

	if (argc > 1)
		pairs = strtoull(argv[1], NULL, 10) * 1000;
	r = ipk_segment_create("bench-semaphore", &options, &seg, &err);
	if (!r)
		r = ipk_semaphore_create(seg, "one", 1, 1, &err);
	if (!r)
		r = ipk_semaphore_create(seg, "two", 2, 2, &err);
	if (!r)
		r = ipk_semaphore_create(seg, "ping", 1, 0, &err);
	if (!r)
		r = ipk_semaphore_create(seg, "pong", 1, 0, &err);
	if (!r && seg)
		ipk_segment_close(seg);
	if (!r && !reopen() && make_peers() == 0)
		run();
	else
		fprintf(stderr, "bench_semaphore: %s\n", err.text);
	ipk_segment_remove("bench-semaphore", NULL);
	return r ? 1 : 0;
}
