/* SPDX-License-Identifier: MIT */
/*
 * Derived streams: of what two sensors say, how hot it was on average in each three readings above
 * 20 degrees. The operators of the first are functions of this program, the second's are text; the
 * first one's runner is killed on the way and followed by the next. temperatures [READINGS]
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ipk/derive.h>

struct reading {
	uint32_t id;
	double celsius;
};

static char name[64];
static pid_t host;
static struct ipk_segment *seg;
static struct ipk_stream *attic, *cellar;
static struct ipk_error err;

static void clean(void)
{
	if (getpid() == host)
		ipk_segment_remove(name, NULL);
}

static void check(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, err.code == r ? err.text : ipk_strerror(r));
	exit(1);
}

static int celsius(void *arg, const struct ipk_derive_in *in, struct ipk_buf *out,
		   struct ipk_error *why)
{
	const struct reading *r = in->data;

	(void)arg, (void)why;
	return ipk_buf_add(out, &r->celsius, sizeof(r->celsius));
}

static int above(void *arg, const struct ipk_derive_in *in, struct ipk_buf *out,
		 struct ipk_error *why)
{
	const double *degrees = in->data;

	(void)out, (void)why;
	return *degrees > *(const double *)arg;
}

static double limit = 20;
static const struct ipk_derive_op warm[] = {
	{.kind = IPK_DERIVE_MERGE, .stream = "cellar"},
	{.kind = IPK_DERIVE_MAP, .type = "f64", .run = celsius},
	{.kind = IPK_DERIVE_FILTER, .run = above, .arg = &limit},
};
#define OPS (sizeof(warm) / sizeof(warm[0]))

static struct ipk_stream *make_sensor(const char *sensor)
{
	const struct ipk_stream_options options = {.type = "{u32 id; f64 celsius}",
						   .policy = IPK_STREAM_BLOCK};
	struct ipk_stream *st = NULL;

	check(ipk_stream_create(seg, sensor, &options, &err), sensor);
	check(ipk_stream_open(seg, sensor, NULL, &st, &err), sensor);
	return st;
}

/* Until the sources have ended. */
static void run(const char *stream, const struct ipk_derive_op *ops, unsigned n)
{
	struct ipk_derive *derive = NULL;
	uint64_t emitted = 0;
	int r = ipk_derive_open(seg, stream, ops, n, &derive, &err);

	while (r == 0)
		r = ipk_derive_run(derive, UINT64_MAX, &emitted, IPK_FOREVER, &err);
	check(r == -EPIPE ? 0 : r, stream);
	ipk_derive_close(derive);
}

static void read_sensors(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct reading up = {.id = i, .celsius = 16.5 + i % 10};
		const struct reading down = {.id = i, .celsius = 12};

		check(ipk_stream_emit(attic, &up, sizeof(up), IPK_FOREVER), "attic");
		check(ipk_stream_emit(cellar, &down, sizeof(down), IPK_FOREVER), "cellar");
	}
}

static void print(const char *stream)
{
	struct ipk_stream_sub *sub = NULL;
	struct ipk_stream *st = NULL;
	double degrees;

	check(ipk_stream_open(seg, stream, "f64", &st, &err), stream);
	check(ipk_stream_subscribe(st, NULL, IPK_STREAM_FROM_START, &sub, &err), stream);
	while (ipk_stream_next(sub, &degrees, sizeof(degrees), NULL, IPK_NOWAIT) == 0)
		printf("%g\n", degrees);
	ipk_stream_unsubscribe(sub);
	ipk_stream_close(st);
}

int main(int argc, char **argv)
{
	uint32_t n = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 40;
	pid_t runner;

	if (n < 1)
		check(-EINVAL, "readings");
	host = getpid();
	snprintf(name, sizeof(name), "temperatures.%d", host);
	atexit(clean);
	check(ipk_segment_create(name, NULL, &seg, &err), "segment");
	attic = make_sensor("attic");
	cellar = make_sensor("cellar");
	check(ipk_derive_create_ops(seg, "warm", "attic", warm, OPS, NULL, &err), "warm");
	check(ipk_derive_create(seg, "trend", "warm", "batch(3) | mean", NULL, &err), "trend");
	runner = fork();
	check(runner, "fork");
	if (runner == 0) {
		run("warm", warm, OPS);
		_exit(0);
	}
	read_sensors(n);
	kill(runner, SIGKILL);
	waitpid(runner, NULL, 0);
	check(ipk_stream_shutdown(attic), "attic");
	check(ipk_stream_shutdown(cellar), "cellar");
	run("warm", warm, OPS); /* what the other one had not done */
	run("trend", NULL, 0);
	print("trend");
	return 0;
}
