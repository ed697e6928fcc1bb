/* SPDX-License-Identifier: MIT */
/*
 * The processes that use one queue, or one there and one back, for as long as it is measured. They
 * join once, sleep between their rounds, and begin each together. A crew that hangs or errs is
 * lost.
 */
#ifndef CREW_H
#define CREW_H

#include <sys/types.h>

#include "peers.h"

enum crew_job {
	JOB_STREAM, /* items from producers to consumers */
	JOB_BURST,  /* the same by PEER_BURST */
	JOB_SPIN,   /* to and fro, spinning */
	JOB_SLEEP,  /* to and fro, by send and recv */
	JOB_WAKE,   /* one way by send and recv, to one that sleeps by then; the time is in mean */
};

struct crew {
	const struct peer *peer;
	struct queue q[2]; /* there; and back */
	struct board *board;
	enum crew_job job;
	unsigned producers, consumers; /* to and fro: 1 and 1 */
	pid_t pid[PEER_HOLDERS];
	const char *lost; /* why; NULL: it is there */
};

struct conduct {
	int cpu[2];
	bool fifo; /* SCHED_FIFO where a processor is for one thread */
};
extern struct conduct conduct;

/* false: the peer does not do that; nothing to be ended. */
bool crew_start(struct crew *c, const struct peer *peer, enum crew_job job, size_t bytes,
		uint64_t cap, unsigned producers, unsigned consumers);
/* n items of each producer, or trips. Seconds from the first one's begin to the last one's end;
 * JOB_WAKE: seconds one way. < 0: lost. */
double crew_round(struct crew *c, uint64_t n);
void crew_end(struct crew *c);

/* Grows *n until a round takes seconds. false: lost. */
bool crew_fit(struct crew *c, double seconds, uint64_t *n);

#endif
