/* SPDX-License-Identifier: MIT */
/* Objects as lanes of "ipcctl bench": each in a segment of its own without a name, gone with its
 * last user. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define OBJECT "x"

static int object_make(struct bench_lane *lane, unsigned depth)
{
	const struct ipk_segment_options options = {.size = 1u << 20, .max = 1u << 30};
	const struct ipk_bench *b = lane->kind->bench;
	struct ipk_param params[8];
	char type[32], cap[32];
	struct ipk_segment *seg;
	unsigned n = 0;
	int r = ipk_segment_memfd("bench", &options, &lane->fd[0], NULL);

	lane->fd[1] = -1;
	if (r < 0)
		return r;
	snprintf(type, sizeof(type), lane->size == 8 ? "u64" : "bytes:%zu", lane->size);
	snprintf(cap, sizeof(cap), "%u", depth);
	if (b->elements)
		params[n++] = (struct ipk_param){"type", type};
	if (b->capacity)
		params[n++] = (struct ipk_param){"cap", cap};
	for (const struct ipk_param *p = b->options; p && p->name && n < CLI_ARRAY_LEN(params); p++)
		params[n++] = *p;
	r = ipk_segment_open_fd(lane->fd[0], IPK_READ | IPK_WRITE, &seg, NULL);
	if (r == 0) {
		r = ipk_object_new(seg, OBJECT, lane->kind->name, params, n, NULL);
		ipk_segment_close(seg);
	}
	if (r < 0)
		close(lane->fd[0]);
	return r;
}

static int object_join(struct bench_lane *lane)
{
	int r = ipk_segment_open_fd(lane->fd[0], IPK_READ | IPK_WRITE, &lane->seg, NULL);

	return r < 0 ? r : lane->kind->attach(lane->seg, OBJECT, &lane->handle, NULL);
}

static void object_drop(struct bench_lane *lane)
{
	close(lane->fd[0]);
}

static int object_send(struct bench_lane *lane, const void *data, bool wait)
{
	return lane->kind->bench->send(lane->handle, data, lane->size,
				       wait ? IPK_FOREVER : IPK_NOWAIT);
}

static int object_recv(struct bench_lane *lane, void *buf, bool wait)
{
	return lane->kind->bench->recv(lane->handle, buf, lane->size,
				       wait ? IPK_FOREVER : IPK_NOWAIT);
}

const struct bench_transport bench_object = {
	.max = BENCH_PAYLOAD_MAX,
	.spin = true,
	.block = true,
	.many = true,
	.make = object_make,
	.join = object_join,
	.send = object_send,
	.recv = object_recv,
	.drop = object_drop,
};
