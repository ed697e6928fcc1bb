/* SPDX-License-Identifier: MIT */
/* One table: peers that do the same work in turn, round by round. */
#ifndef CONTEST_H
#define CONTEST_H

#include "crew.h"

#define ENTRIES_MAX 24u

struct entry {
	const char *name; /* NULL: the peer's */
	const struct peer *peer;
	size_t bytes;
	uint64_t cap;
	unsigned crowd; /* ipk_crowd */
	enum crew_job job;
};

struct contest {
	const char *section; /* in the plot's data */
	const char *title;
	enum { RATE, ONE_WAY, ROUND_TRIP } unit;
	unsigned producers, consumers;
	struct entry entry[ENTRIES_MAX];
	unsigned n;
};

extern unsigned contest_rounds;

/* Adds all peers that have all flags of with, and none of without. */
void contest_peers(struct contest *c, unsigned with, unsigned without, size_t bytes, uint64_t cap,
		   enum crew_job job);
void contest_add(struct contest *c, struct entry e);
void contest_run(struct contest *c);

#endif
