/* SPDX-License-Identifier: MIT */
/*
 * Fan-out and fan-in by streams: three subscribers, each a process with a place of its own, read
 * the same numbers; what they make of them comes together in a second stream.
 *   fan [NUMBERS]
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ipk/stream.h>

static const uint64_t factors[] = {1, 10, 100};
#define FACTORS (sizeof(factors) / sizeof(factors[0]))

static char name[64];
static pid_t host;
static struct ipk_segment *seg;
static struct ipk_stream *in, *out;

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

static struct ipk_stream_sub *subscribe(unsigned i)
{
	struct ipk_stream_sub *sub = NULL;
	char place[16];

	snprintf(place, sizeof(place), "times%u", (unsigned)factors[i]);
	check(ipk_stream_subscribe(in, place, IPK_STREAM_FROM_START, &sub, NULL), place);
	return sub;
}

static void set_up(uint64_t n)
{
	const struct ipk_stream_options whole = {.type = "u64", .policy = IPK_STREAM_BLOCK};
	const struct ipk_stream_options all = {.type = "u64", .cap = FACTORS * n};

	check(ipk_segment_create(name, NULL, &seg, NULL), "segment");
	check(ipk_stream_create(seg, "in", &whole, NULL), "in");
	check(ipk_stream_open(seg, "in", "u64", &in, NULL), "in");
	check(ipk_stream_create(seg, "out", &all, NULL), "out");
	check(ipk_stream_open(seg, "out", "u64", &out, NULL), "out");
	/*
	 * A name keeps its place: from now on nothing is dropped that it has not read, whoever
	 * reads it when.
	 */
	for (unsigned i = 0; i < FACTORS; i++)
		ipk_stream_unsubscribe(subscribe(i));
}

static void multiply(unsigned i)
{
	struct ipk_stream_sub *sub = subscribe(i);
	uint64_t val;
	int r;

	while ((r = ipk_stream_next(sub, &val, sizeof(val), NULL, IPK_FOREVER)) == 0) {
		val *= factors[i];
		check(ipk_stream_emit(out, &val, sizeof(val), IPK_FOREVER), "emit");
		check(ipk_stream_ack(sub), "ack");
	}
	check(r == -EPIPE ? 0 : r, "next"); /* -EPIPE: closed, and all was read */
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
	struct ipk_stream_sub *sub = NULL;

	if (!val)
		check(-ENOMEM, "results");
	check(ipk_stream_subscribe(out, NULL, IPK_STREAM_FROM_START, &sub, NULL), "out");
	while (n < count && ipk_stream_next(sub, &val[n], sizeof(*val), NULL, IPK_NOWAIT) == 0)
		n++;
	ipk_stream_unsubscribe(sub);
	qsort(val, n, sizeof(*val), ascending);
	for (uint64_t i = 0; i < n; i++)
		printf("%" PRIu64 "\n", val[i]);
	free(val);
}

int main(int argc, char **argv)
{
	uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 10;
	int status, failed = 0;

	if (n < 1)
		check(-EINVAL, "numbers");
	host = getpid();
	snprintf(name, sizeof(name), "fan.%d", host);
	atexit(clean);
	set_up(n);
	for (unsigned i = 0; i < FACTORS; i++) {
		pid_t pid = fork();

		check(pid, "fork");
		if (pid == 0)
			multiply(i);
	}
	for (uint64_t val = 1; val <= n; val++)
		check(ipk_stream_emit(in, &val, sizeof(val), IPK_FOREVER), "emit");
	check(ipk_stream_shutdown(in), "close");
	while (wait(&status) > 0)
		failed |= status != 0;
	print_sorted(FACTORS * n);
	return failed;
}
