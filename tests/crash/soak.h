/* SPDX-License-Identifier: MIT */
/* What the soak's main loop (soak.c) and its roles (roles.c) share. */
#ifndef SOAK_H
#define SOAK_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipk/kind.h"
#include "ipk/segment.h"
#include "ipk/view.h"

#define SOAK_SEGMENT "soak"
#define PUSHERS 3
#define PER_PUSHER (1u << 22)
#define PUTTERS 2
#define KEYS 64
#define STACKED (1u << 22)
#define MESSAGES (1u << 24)
#define READERS 2
#define OBJECTS 2
#define BURST 8u /* items, one bit each */
#define BURSTS (1u << 22)
#define BURST_POPPERS 2
#define BURST_INBOX 20u
#define SOAK_WAIT ipk_deadline(20 * 1000 * 1000)
#define SOAK_OBJECTS 32
#define SOAK_LAPSES (1u << 16)

/* Numbered messages: which were acknowledged, and what became of them. */
struct post {
	uint64_t next;
	uint8_t sent[MESSAGES], got[MESSAGES];
};

/* What one at a time may change; begun and ended differ while somebody is inside, or died there. */
struct guarded {
	uint64_t begun, ended, inside;
};

/* Lives outside the segment, in memory that the parent shares with its children. */
struct ledger {
	int stop;
	unsigned violations;
	char text[300];
	/*
	 * By object: when somebody who used it was killed, in ns, until an operation on it succeeds;
	 * odd: an instant at which nobody was; 0: none. And how long that took: after the deaths, and
	 * after the other instants, which says what of it is the waiting for a processor.
	 */
	uint64_t since[SOAK_OBJECTS];
	uint64_t lapse[2][SOAK_LAPSES], lapses[2];
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
	/* roles_locks.c */
	uint64_t tokens;
	struct guarded mutex, rwlock, once;
	uint64_t object[OBJECTS], borrowed;
	uint64_t computed, forced;
	/* roles_messages.c */
	struct post ring, stream, channel;
	uint64_t ring_seen, ring_released;
	struct place {
		uint64_t seen, acked; /* the position behind it */
	} place[READERS];
	uint64_t record[MESSAGES];    /* by position: number */
	uint64_t record_at[MESSAGES]; /* by number: position + 1 */
	unsigned receivers;           /* that ever were */
	uint64_t promised, awaited, awaits;
	/* roles_bursts.c: which bursts were acknowledged; of each, the items that came out; what is
	 * being taken out, by each popper */
	uint64_t next_burst, bursts_again;
	uint8_t burst_in[BURSTS], burst_out[BURSTS];
	uint64_t inbox[BURST_POPPERS][BURST_INBOX];
};
extern struct ledger *ledger;

struct role {
	const char *name;
	unsigned workers;
	int (*create)(struct ipk_segment *seg); /* once, before anybody works */
	void (*work)(unsigned number);          /* until ledger->stop */
	bool (*check)(char *text, size_t size); /* after the end; text: figures, or what is wrong */
	void (*remove)(struct ipk_segment *seg);
};
/* They end with name NULL. */
extern const struct role roles[], lock_roles[], message_roles[], burst_roles[];

extern unsigned soak_object; /* that this worker is at */

void soak_violation(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
struct ipk_segment *soak_attach(void);
/* -EAGAIN, -ETIMEDOUT and -EINTR are no answer; whatever else is negative is unexpected. */
bool soak_answered(const char *what, int64_t r);
/* For who holds something: stays there now and then, so that many are killed while they do. */
void soak_linger(void);

static inline bool soak_stop(void)
{
	return __atomic_load_n(&ledger->stop, __ATOMIC_ACQUIRE);
}

#endif
