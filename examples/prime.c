/* SPDX-License-Identifier: MIT */
/*
 * Lazy values: three processes want the Nth prime, which one of them computes, though the first who
 * was at it is killed; its square is an expression, which the library computes. prime [N]
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ipk/lazy.h>

static char name[64];
static pid_t host;
static uint64_t nth;

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

static int is_prime(uint64_t n)
{
	for (uint64_t d = 2; d <= n / d; d++)
		if (n % d == 0)
			return 0;
	return 1;
}

/* What it gives is kept. With a text and an error it would have failed, for all who want it. */
static int compute(void *arg, struct ipk_buf *out)
{
	const uint64_t *n = arg;
	uint64_t prime = 1;

	for (uint64_t left = *n; left; left--)
		do
			prime++;
		while (!is_prime(prime));
	return ipk_buf_add(out, &prime, sizeof(prime));
}

/* Prints it. fn NULL: the library computes it. */
static void want(const char *which, ipk_lazy_fn *fn)
{
	struct ipk_segment *seg;
	struct ipk_lazy *lazy;
	uint64_t value;

	check(ipk_segment_open(name, IPK_READ | IPK_WRITE, &seg, NULL), name);
	check(ipk_lazy_open(seg, which, "u64", &lazy, NULL), which);
	check(ipk_lazy_force(lazy, fn, &nth, &value, sizeof(value), NULL, IPK_FOREVER), which);
	printf("%" PRIu64 "\n", value);
	fflush(stdout);
	ipk_lazy_close(lazy);
	ipk_segment_close(seg);
}

static pid_t start(int quiet)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (quiet && !freopen("/dev/null", "w", stdout))
			_exit(1);
		want("prime", compute);
		_exit(0);
	}
	check(pid < 0 ? -errno : 0, "fork");
	return pid;
}

int main(int argc, char **argv)
{
	const struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_segment *seg;
	pid_t pid;
	int status;

	nth = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000;
	if (!nth) {
		fprintf(stderr, "prime [N]: N is 1 or more\n");
		return 1;
	}
	snprintf(name, sizeof(name), "prime.%d", (int)getpid());
	host = getpid();
	check(ipk_segment_create(name, &options, &seg, NULL), name);
	atexit(clean);
	check(ipk_lazy_create(seg, "prime", "u64", IPK_LAZY_CALLER, NULL, NULL), "prime");
	check(ipk_lazy_create(seg, "square", "u64", IPK_LAZY_EXPR, "prime * prime", NULL),
	      "square");
	ipk_segment_close(seg);

	pid = start(1);
	kill(pid, SIGKILL); /* at it, done with it, or not there yet: nobody has to know */
	waitpid(pid, NULL, 0);
	for (int i = 0; i < 3; i++)
		start(0);
	while (wait(&status) > 0)
		check(status ? -ECHILD : 0, "a process that wants it");
	want("square", NULL);
	return 0;
}
