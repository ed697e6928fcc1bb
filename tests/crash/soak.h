/* SPDX-License-Identifier: MIT */
/* What the soak's main loop (soak.c) and its roles (roles.c) share. */
#ifndef SOAK_H
#define SOAK_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "ipk/kind.h"
#include "ipk/segment.h"
#include "ipk/view.h"

#define SOAK_SEGMENT "soak"
#define PUSHERS 3
#define PER_PUSHER (1u << 22)
#define PUTTERS 2
#define KEYS 64
#define STACKED (1u << 22)

/* Lives outside the segment, in memory that the parent shares with its children. */
struct ledger {
	int stop;
	unsigned violations;
	char text[300];
	/* queue: what each pusher had acknowledged, and what became of it */
	uint64_t next[PUSHERS];
	uint8_t pushed[PUSHERS][PER_PUSHER];
	uint8_t seen[PUSHERS][PER_PUSHER]; /* 1 seen, 2 acknowledged */
	uint64_t delivered, redelivered;
	/* map: per key the value that was acknowledged and the one that was under way; 0: none */
	uint64_t sure[PUTTERS][KEYS], maybe[PUTTERS][KEYS];
	uint64_t puts;
	/* set: the same, 1 and 0: there and not */
	uint8_t in[PUTTERS][KEYS], maybe_in[PUTTERS][KEYS];
	uint64_t changes;
	/* stack: what was acknowledged, and what became of it, as of the queue */
	uint64_t stacked;
	uint8_t on[STACKED], off[STACKED];
	uint64_t unstacked;
	uint64_t acquired;
	uint64_t created;
};
extern struct ledger *ledger;

struct role {
	const char *name;
	unsigned workers;
	int (*create)(struct ipk_segment *seg); /* once, before anybody works */
	void (*work)(unsigned number); /* until ledger->stop */
	bool (*check)(char *text, size_t size); /* after the end; text: figures, or what is wrong */
	void (*remove)(struct ipk_segment *seg);
};
extern const struct role roles[]; /* ends with name NULL */

void soak_violation(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static inline bool soak_stop(void)
{
	return __atomic_load_n(&ledger->stop, __ATOMIC_ACQUIRE);
}

#endif
