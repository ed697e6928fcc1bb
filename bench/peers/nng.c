/* SPDX-License-Identifier: MIT */
/* nng's push and pull over ipc. Its calls sleep; each process has a number of threads besides. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <nng/nng.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>

#include "bench.h"
#include "loops.h"

static bool sent(nng_socket *s, const void *it, size_t bytes)
{
	return nng_send(*s, (void *)it, bytes, 0) == 0;
}

static bool received(nng_socket *s, void *it, size_t bytes)
{
	size_t len = bytes;

	return nng_recv(*s, it, &len, 0) == 0 && len == bytes;
}

#define NNG(bytes)                                                                                 \
	LOOPS(nng##bytes, struct item##bytes, nng_socket, sent(q, it, bytes),                      \
	      received(q, it, bytes))
NNG(8)
NNG(16)
NNG(64)
NNG(256)

static bool make(struct queue *ret, size_t bytes, uint64_t cap)
{
	static const struct loops loops[] = {LOOPS_TABLE(nng8), LOOPS_TABLE(nng16),
					     LOOPS_TABLE(nng64), LOOPS_TABLE(nng256)};
	static unsigned n;
	char *url = peer_memory(256);

	(void)cap;
	snprintf(url, 256, "ipc://%s/nng-%u", peer_directory(), n++);
	*ret = (struct queue){&loops[loops_index(bytes)], url};
	return true;
}

static void drop(struct queue *q)
{
	peer_memory_end(q->at);
}

static void *join(struct queue *q, enum side side)
{
	nng_socket *s = malloc(sizeof(*s));
	int r = s ? 0 : NNG_ENOMEM;

	if (r == 0)
		r = side == PRODUCER ? nng_push0_open(s) : nng_pull0_open(s);
	if (r == 0) {
		nng_socket_set_ms(*s, NNG_OPT_RECONNMINT, 1);
		nng_socket_set_ms(*s, NNG_OPT_RECONNMAXT, 10);
		r = side == PRODUCER ? nng_dial(*s, q->at, NULL, NNG_FLAG_NONBLOCK)
				     : nng_listen(*s, q->at, NULL, 0);
	}
	if (r != 0) {
		fprintf(stderr, "nng: %s\n", nng_strerror(r));
		exit(1);
	}
	return s;
}

static void leave(void *end, enum side side)
{
	(void)side;
	nng_close(*(nng_socket *)end);
	free(end);
}

static int send_one(void *end, uint64_t val)
{
	return sent(end, &val, sizeof(val)) ? 0 : -EIO;
}

static int recv_one(void *end, uint64_t *ret_val)
{
	return received(end, ret_val, sizeof(*ret_val)) ? 0 : -EIO;
}

const struct peer peer_nng = {.name = "nng ipc",
			      .flags = PEER_THREADS,
			      .make = make,
			      .drop = drop,
			      .join = join,
			      .leave = leave,
			      .send = send_one,
			      .recv = recv_one};
