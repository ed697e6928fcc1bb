/* SPDX-License-Identifier: MIT */
/* Calls on a queue that are one burst each, wherever in the array it begins. */
#include "crash.h"
#include "kinds/queue.h"

#define BURST 3u

/* Of values of a fixed size, as many as are one burst from a slot on: all of it or nothing. */
static unsigned burst_from(const struct ipk_queue *q, u64 index)
{
	u64 room = q->g.cap - index;

	return q->g.size == 0 ? 1 : room < BURST ? (unsigned)room : BURST;
}

int queue_push_many(void *handle, unsigned from, unsigned to)
{
	struct ipk_queue *q = handle;
	u32 size = ipk_queue_element_size(q);
	struct iovec v[BURST];
	char bytes[BURST][256];

	for (unsigned i = 0; i < BURST; i++) {
		memset(bytes[i], 'a' + (int)i, sizeof(bytes[i]));
		v[i] = (struct iovec){bytes[i], size ? size : 8};
	}
	return from || !to ? 0
			   : ipk_queue_push_many(q, v,
						 burst_from(q, qc_index(&q->g, ipk_queue_tail(q))),
						 IPK_NOWAIT);
}

/* The slot of the oldest item, whoever has it: what is asked for depends on nobody's death. */
static u64 oldest(struct ipk_queue *q)
{
	u64 tail = qc_index(&q->g, ipk_queue_tail(q)), ret = tail, n = 0;
	struct qw_apart apart = {0};
	bool holds[64] = {false};

	for (; n < q->g.cap && n < IPK_ARRAY_LEN(holds); n++)
		holds[n] = qw_st(ipk_queue_apart(&apart, ipk_ld(&q_slot(q, n)->w, relaxed))) >=
			   IPK_QUEUE_FULL;
	/* Backwards, a lap at most; there may be holes that the dead left. */
	for (u64 i = tail, left = n; left; left--) {
		i = (i + n - 1) % n;
		if (holds[i])
			ret = i;
	}
	return ret;
}

int queue_pop_many(void *q, unsigned from, unsigned to)
{
	unsigned n = burst_from(q, oldest(q));
	char buf[4096];

	return from || !to ? 0 : ipk_queue_pop_many(q, buf, sizeof(buf), NULL, n, IPK_NOWAIT);
}
