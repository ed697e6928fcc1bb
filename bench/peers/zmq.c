/* SPDX-License-Identifier: MIT */
/* ZeroMQ's PUSH and PULL over ipc. Its calls sleep; each process has an I/O thread besides. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "bench.h"
#include "loops.h"

struct end {
	void *context, *socket;
};

static bool sent(struct end *e, const void *it, size_t bytes)
{
	return zmq_send(e->socket, it, bytes, 0) == (int)bytes;
}

static bool received(struct end *e, void *it, size_t bytes)
{
	return zmq_recv(e->socket, it, bytes, 0) == (int)bytes;
}

#define ZMQ(bytes)                                                                                 \
	LOOPS(zmq##bytes, struct item##bytes, struct end, sent(q, it, bytes),                      \
	      received(q, it, bytes))
ZMQ(8)
ZMQ(16)
ZMQ(64)
ZMQ(256)

static bool make(struct queue *ret, size_t bytes, uint64_t cap)
{
	static const struct loops loops[] = {LOOPS_TABLE(zmq8), LOOPS_TABLE(zmq16),
					     LOOPS_TABLE(zmq64), LOOPS_TABLE(zmq256)};
	static unsigned n;
	char *url = peer_memory(256);

	(void)cap; /* a thousand messages at each side, as it comes */
	snprintf(url, 256, "ipc://%s/zmq-%u", peer_directory(), n++);
	*ret = (struct queue){&loops[loops_index(bytes)], url};
	return true;
}

static void drop(struct queue *q)
{
	peer_memory_end(q->at);
}

static void *join(struct queue *q, enum side side)
{
	struct end *e = calloc(1, sizeof(*e));
	const int zero = 0;
	int r;

	if (!e)
		fail("zmq", -ENOMEM);
	e->context = zmq_ctx_new();
	e->socket = zmq_socket(e->context, side == PRODUCER ? ZMQ_PUSH : ZMQ_PULL);
	zmq_setsockopt(e->socket, ZMQ_LINGER, &zero, sizeof(zero));
	r = side == PRODUCER ? zmq_connect(e->socket, q->at) : zmq_bind(e->socket, q->at);
	if (r != 0)
		fail("zmq", -errno);
	return e;
}

static void leave(void *end, enum side side)
{
	struct end *e = end;

	(void)side;
	zmq_close(e->socket);
	zmq_ctx_term(e->context);
	free(e);
}

static int send_one(void *end, uint64_t val)
{
	return sent(end, &val, sizeof(val)) ? 0 : -EIO;
}

static int recv_one(void *end, uint64_t *ret_val)
{
	return received(end, ret_val, sizeof(*ret_val)) ? 0 : -EIO;
}

const struct peer peer_zmq = {.name = "ZeroMQ ipc",
			      .flags = PEER_THREADS,
			      .make = make,
			      .drop = drop,
			      .join = join,
			      .leave = leave,
			      .send = send_one,
			      .recv = recv_one};
