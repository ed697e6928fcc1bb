/* SPDX-License-Identifier: MIT */
/*
 * A pool of worker processes: jobs come through a channel without a buffer, a semaphore lets two
 * work at a time, results go into a queue. Closing the channel sends the workers home.
 *   workers [HOW MANY] [JOBS]
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ipk/channel.h>
#include <ipk/queue.h>
#include <ipk/semaphore.h>

static char name[64];
static pid_t host;
static struct ipk_segment *seg;
static struct ipk_channel *jobs;
static struct ipk_queue *results;
static struct ipk_semaphore *slots;

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

static void set_up(uint64_t count)
{
	check(ipk_segment_create(name, NULL, &seg, NULL), "segment");
	check(ipk_channel_create(seg, "jobs", "u64", 0, NULL), "jobs");
	check(ipk_channel_open(seg, "jobs", "u64", &jobs, NULL), "jobs");
	check(ipk_queue_create(seg, "results", "u64", count, NULL), "results");
	check(ipk_queue_open(seg, "results", "u64", &results, NULL), "results");
	check(ipk_semaphore_create(seg, "slots", 2, 2, NULL), "slots");
	check(ipk_semaphore_open(seg, "slots", &slots, NULL), "slots");
}

static void worker(void)
{
	uint64_t job;
	int r;

	while ((r = ipk_channel_recv(jobs, &job, sizeof(job), NULL, IPK_FOREVER)) == 0) {
		check(ipk_semaphore_acquire(slots, 1, IPK_FOREVER), "acquire");
		job *= job;
		check(ipk_queue_push(results, &job, sizeof(job), IPK_FOREVER), "push");
		check(ipk_semaphore_release(slots, 1), "release");
	}
	check(r == -EPIPE ? 0 : r, "recv"); /* -EPIPE: closed, and all was received */
	_exit(0);
}

static int ascending(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void print_sorted(uint64_t count)
{
	uint64_t *val = calloc(count, sizeof(*val)), n = 0;

	if (!val)
		check(-ENOMEM, "results");
	while (n < count && ipk_queue_pop(results, &val[n], sizeof(*val), NULL, IPK_NOWAIT) == 0)
		n++;
	qsort(val, n, sizeof(*val), ascending);
	for (uint64_t i = 0; i < n; i++)
		printf("%" PRIu64 "\n", val[i]);
	free(val);
}

int main(int argc, char **argv)
{
	int n = argc > 1 ? atoi(argv[1]) : 4, status, failed = 0;
	uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 20;

	if (n < 1 || count < 1)
		check(-EINVAL, "workers and jobs");
	host = getpid();
	snprintf(name, sizeof(name), "workers.%d", host);
	atexit(clean);
	set_up(count);
	for (int i = 0; i < n; i++) {
		pid_t pid = fork();

		check(pid, "fork");
		if (pid == 0)
			worker();
	}
	/* Each send returns when a worker has received it. */
	for (uint64_t job = 1; job <= count; job++)
		check(ipk_channel_send(jobs, &job, sizeof(job), IPK_FOREVER), "send");
	check(ipk_channel_shutdown(jobs), "close");
	while (wait(&status) > 0)
		failed |= status != 0;
	print_sorted(count);
	return failed;
}
