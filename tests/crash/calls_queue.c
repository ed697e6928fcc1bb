/* SPDX-License-Identifier: MIT */
/* Calls on a queue that are one burst each, wherever in the array it begins. */
#include "crash.h"
#include "kinds/queue.h"

#define BURST 3u

/* Of values of a fixed size, as many as are one burst from code on: all of it or nothing. */
static unsigned burst_from(const struct ipk_queue *q, u64 code)
{
	u64 room = q->g.cap - qc_index(&q->g, code);

	return q->g.size == 0 ? 1 : room < BURST ? (unsigned)room : BURST;
}

int queue_push_many(void *q, unsigned from, unsigned to)
{
	u32 size = ipk_queue_element_size(q);
	struct iovec v[BURST];
	char bytes[BURST][256];

	for (unsigned i = 0; i < BURST; i++) {
		memset(bytes[i], 'a' + (int)i, sizeof(bytes[i]));
		v[i] = (struct iovec){bytes[i], size ? size : 8};
	}
	return from || !to
		       ? 0
		       : ipk_queue_push_many(q, v, burst_from(q, ipk_queue_tail(q)), IPK_NOWAIT);
}

int queue_pop_many(void *q, unsigned from, unsigned to)
{
	struct ipk_queue_taken t;
	unsigned n = ipk_queue_find(q, &t) == 0 ? burst_from(q, t.code) : 1;
	char buf[4096];

	return from || !to ? 0 : ipk_queue_pop_many(q, buf, sizeof(buf), NULL, n, IPK_NOWAIT);
}
