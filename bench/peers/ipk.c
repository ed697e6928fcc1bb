/* SPDX-License-Identifier: MIT */
/* Ours: the ring with elements of a fixed size, with messages of any length, and the queue. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "ipk/latch.h"
#include "ipk/queue.h"
#include "ipk/ring.h"
#include "loops.h"

unsigned ipk_crowd;

struct ours {
	int fd;
	struct ipk_segment *seg; /* of the process that made it */
};

/* One end, in one process. */
struct end {
	struct ipk_segment *seg;
	struct ipk_ring *ring;
	struct ipk_queue *queue;
};

#define RING(name, bytes)                                                                          \
	LOOPS(name##bytes, struct item##bytes, struct end,                                         \
	      ipk_ring_push(q->ring, it, sizeof(*it), IPK_NOWAIT) == 0,                            \
	      ipk_ring_pop(q->ring, it, sizeof(*it), NULL, IPK_NOWAIT) == 0)
#define QUEUE(bytes)                                                                               \
	LOOPS(queue##bytes, struct item##bytes, struct end,                                        \
	      ipk_queue_push(q->queue, it, sizeof(*it), IPK_NOWAIT) == 0,                          \
	      ipk_queue_pop(q->queue, it, sizeof(*it), NULL, IPK_NOWAIT) == 0)
RING(cells, 8)
RING(cells, 16)
RING(cells, 64)
RING(cells, 256)
QUEUE(8)
QUEUE(16)
QUEUE(64)

static inline unsigned some(int r)
{
	return r > 0 ? (unsigned)r : 0;
}

LOOPS_BURST(cells8, struct item8, struct end, some(ipk_ring_push_array(q->ring, it, n, IPK_NOWAIT)),
	    some(ipk_ring_pop_array(q->ring, it, n, IPK_NOWAIT)))

static unsigned queue_push_many(struct end *e, const struct item8 *it, unsigned n)
{
	struct iovec v[PEER_BURST];

	for (unsigned i = 0; i < n; i++)
		v[i] = (struct iovec){(void *)&it[i], sizeof(*it)};
	return some(ipk_queue_push_many(e->queue, v, n, IPK_NOWAIT));
}

static unsigned queue_pop_many(struct end *e, struct item8 *it, unsigned n)
{
	return some(ipk_queue_pop_many(e->queue, it, n * sizeof(*it), NULL, n, IPK_NOWAIT));
}

LOOPS_BURST(queue8, struct item8, struct end, queue_push_many(q, it, n), queue_pop_many(q, it, n))

/* ---- making --------------------------------------------------------------------------------- */

static void add_crowd(struct ipk_segment *seg)
{
	for (unsigned i = 1; i < ipk_crowd; i++) {
		char name[32];
		int r;

		snprintf(name, sizeof(name), "latch-%u", i);
		r = ipk_latch_create(seg, name, 1, NULL);
		if (r != 0)
			fail(name, r);
	}
}

static struct ours *make_segment(uint64_t bytes)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct ours *o = malloc(sizeof(*o));
	struct ipk_error err = {0};
	int r;

	options.size = bytes + (UINT64_C(1) << 20) + ipk_crowd * UINT64_C(1024);
	options.max = 2 * options.size;
	options.prefault = true;
	r = o ? ipk_segment_memfd("bench-peers", &options, &o->fd, &err) : -ENOMEM;
	if (r == 0)
		r = ipk_segment_open_fd(o->fd, IPK_READ | IPK_WRITE, &o->seg, &err);
	if (r != 0)
		fail(err.text, r);
	add_crowd(o->seg);
	return o;
}

static const char *type_of(size_t bytes, char *text)
{
	if (bytes == 8)
		return "u64";
	snprintf(text, 16, "bytes:%zu", bytes);
	return text;
}

static bool make_ring(struct queue *ret, const char *type, size_t bytes, uint64_t cap)
{
	static const struct loops cells[] = {LOOPS_TABLE_BURST(cells8), LOOPS_TABLE(cells16),
					     LOOPS_TABLE(cells64), LOOPS_TABLE(cells256)};
	static const struct loops records = LOOPS_TABLE(cells8);
	const struct loops *l = &cells[loops_index(bytes)];
	struct ipk_ring_options options = {.type = type, .cap = bytes * cap, .max_message = 0};
	struct ipk_error err = {0};
	struct ours *o;
	int r;

	if (strcmp(type, "bytes") == 0) {
		options.max_message = options.cap < 8192 ? options.cap / 2 : 4096;
		l = bytes == 8 ? &records : l; /* it takes no arrays */
	}
	o = make_segment(2 * bytes * cap);
	r = ipk_ring_create(o->seg, "it", &options, &err);
	if (r != 0)
		fail(err.text, r);
	*ret = (struct queue){l, o};
	return true;
}

static bool make_cells(struct queue *ret, size_t bytes, uint64_t cap)
{
	char text[16];

	return make_ring(ret, type_of(bytes, text), bytes, cap);
}

/* A message has its length before it: such a ring holds fewer of them. */
static bool make_records(struct queue *ret, size_t bytes, uint64_t cap)
{
	return make_ring(ret, "bytes", bytes, cap);
}

static bool make_queue(struct queue *ret, size_t bytes, uint64_t cap)
{
	static const struct loops loops[] = {LOOPS_TABLE_BURST(queue8), LOOPS_TABLE(queue16),
					     LOOPS_TABLE(queue64)};
	struct ipk_error err = {0};
	char text[16];
	struct ours *o;
	int r;

	if (bytes > 64)
		return false;
	o = make_segment(4 * (bytes + 64) * cap);
	r = ipk_queue_create(o->seg, "it", type_of(bytes, text), cap, &err);
	if (r != 0)
		fail(err.text, r);
	*ret = (struct queue){&loops[loops_index(bytes)], o};
	return true;
}

static void drop(struct queue *q)
{
	struct ours *o = q->at;

	ipk_segment_close(o->seg);
	close(o->fd);
	free(o);
}

/* ---- in each process ------------------------------------------------------------------------ */

static struct end *attach(struct queue *q)
{
	struct ours *o = q->at;
	struct end *e = calloc(1, sizeof(*e));
	int r = e ? ipk_segment_open_fd(o->fd, IPK_READ | IPK_WRITE, &e->seg, NULL) : -ENOMEM;

	if (r != 0)
		fail("attach", r);
	return e;
}

static void *join_ring(struct queue *q, enum side side)
{
	struct end *e = attach(q);
	int r = ipk_ring_open(e->seg, "it", NULL, &e->ring, NULL);

	(void)side; /* the role comes with the first call */
	if (r != 0)
		fail("open the ring", r);
	return e;
}

static void *join_queue(struct queue *q, enum side side)
{
	struct end *e = attach(q);
	int r = ipk_queue_open(e->seg, "it", NULL, &e->queue, NULL);

	(void)side;
	if (r != 0)
		fail("open the queue", r);
	return e;
}

static void leave(void *end, enum side side)
{
	struct end *e = end;

	(void)side;
	if (e->ring)
		ipk_ring_close(e->ring);
	if (e->queue)
		ipk_queue_close(e->queue);
	ipk_segment_close(e->seg);
	free(e);
}

static int send_ring(void *end, uint64_t val)
{
	return ipk_ring_push(((struct end *)end)->ring, &val, sizeof(val), IPK_FOREVER);
}

static int recv_ring(void *end, uint64_t *ret_val)
{
	return ipk_ring_pop(((struct end *)end)->ring, ret_val, sizeof(*ret_val), NULL,
			    IPK_FOREVER);
}

static int send_queue(void *end, uint64_t val)
{
	return ipk_queue_push(((struct end *)end)->queue, &val, sizeof(val), IPK_FOREVER);
}

static int recv_queue(void *end, uint64_t *ret_val)
{
	return ipk_queue_pop(((struct end *)end)->queue, ret_val, sizeof(*ret_val), NULL,
			     IPK_FOREVER);
}

const struct peer peer_ipk_ring = {.name = "**ipk ring**",
				   .make = make_cells,
				   .drop = drop,
				   .join = join_ring,
				   .leave = leave,
				   .send = send_ring,
				   .recv = recv_ring};
const struct peer peer_ipk_records = {.name = "**ipk ring**, any length",
				      .make = make_records,
				      .drop = drop,
				      .join = join_ring,
				      .leave = leave};
const struct peer peer_ipk_queue = {.name = "**ipk queue**",
				    .flags = PEER_MANY,
				    .make = make_queue,
				    .drop = drop,
				    .join = join_queue,
				    .leave = leave,
				    .send = send_queue,
				    .recv = recv_queue};
