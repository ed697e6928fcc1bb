/* SPDX-License-Identifier: MIT */
/*
 * Dining philosophers, each a process: forks are mutexes, and the room is a semaphore that lets all
 * but one in, so nobody starves. One more takes a place and a fork and is killed with both; the
 *   others go on. philosophers [HOW MANY] [MEALS EACH]
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ipk/array.h>
#include <ipk/mutex.h>
#include <ipk/semaphore.h>

#define MOST 64

static char name[64];
static pid_t host;
static struct ipk_segment *seg;
static struct ipk_semaphore *room;
static struct ipk_array *meals;
static struct ipk_mutex *forks[MOST];

static void clean(void)
{
	if (getpid() == host)
		ipk_segment_remove(name, NULL);
}

static void check(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, ipk_strerror(r));
	exit(1);
}

static void set_the_table(int n)
{
	char fork_name[16];

	check(ipk_segment_create(name, NULL, &seg, NULL), "segment");
	check(ipk_semaphore_create(seg, "room", (uint64_t)n - 1, (uint64_t)n - 1, NULL), "room");
	check(ipk_semaphore_open(seg, "room", &room, NULL), "room");
	check(ipk_array_create(seg, "meals", "u64", (uint64_t)n, NULL), "meals");
	check(ipk_array_open(seg, "meals", "u64", &meals, NULL), "meals");
	for (int i = 0; i < n; i++) {
		snprintf(fork_name, sizeof(fork_name), "fork%d", i);
		check(ipk_mutex_create(seg, fork_name, false, NULL), fork_name);
		check(ipk_mutex_open(seg, fork_name, &forks[i], NULL), fork_name);
	}
}

/* Its last owner may have died with it: a fork is none the worse for that. */
static void take(struct ipk_mutex *fork)
{
	int r = ipk_mutex_lock(fork, IPK_FOREVER);

	if (r == -EOWNERDEAD)
		r = ipk_mutex_consistent(fork);
	check(r, "lock");
}

static void philosopher(int number, int n, int count)
{
	struct ipk_mutex *left = forks[number], *right = forks[(number + 1) % n];
	const uint64_t one = 1;

	while (count--) {
		check(ipk_semaphore_acquire(room, 1, IPK_FOREVER), "acquire");
		take(left);
		take(right);
		check(ipk_array_add(meals, (uint64_t)number, &one, NULL), "eat");
		check(ipk_mutex_unlock(right), "unlock");
		check(ipk_mutex_unlock(left), "unlock");
		check(ipk_semaphore_release(room, 1), "release");
	}
	_exit(0);
}

/* Returns when it has both; it keeps them until it is killed. */
static pid_t victim(void)
{
	int ready[2];
	pid_t pid;
	char c = 0;

	check(pipe(ready), "pipe");
	pid = fork();
	check(pid, "fork");
	if (pid == 0) {
		check(ipk_semaphore_acquire(room, 1, IPK_FOREVER), "acquire");
		take(forks[0]);
		check((int)write(ready[1], &c, 1), "write");
		for (;;)
			pause();
	}
	close(ready[1]); /* so that a victim that failed ends the read as well */
	check(read(ready[0], &c, 1) == 1 ? 0 : -EPIPE, "victim");
	close(ready[0]);
	return pid;
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 5, count = argc > 2 ? atoi(argv[2]) : 3;
	int status, failed = 0;
	uint64_t eaten;
	pid_t dead;

	if (n < 2 || n > MOST)
		check(-EINVAL, "2 to 64 philosophers");
	host = getpid();
	snprintf(name, sizeof(name), "philosophers.%d", host);
	atexit(clean);
	set_the_table(n);
	dead = victim();
	for (int i = 0; i < n; i++) {
		pid_t pid = fork();

		check(pid, "fork");
		if (pid == 0)
			philosopher(i, n, count);
	}
	kill(dead, SIGKILL);
	for (pid_t pid; (pid = wait(&status)) > 0;)
		failed |= pid != dead && status != 0;
	for (int i = 0; i < n; i++) {
		check(ipk_array_get(meals, (uint64_t)i, &eaten), "meals");
		printf("meals: %llu\n", (unsigned long long)eaten);
	}
	return failed;
}
