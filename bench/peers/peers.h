/* SPDX-License-Identifier: MIT */
/*
 * What bench_peers knows of a peer. Each has a file of its own here, in C or behind this interface
 * in C++, and is left out where it is not installed. The loops are a peer's own, made by loops.h,
 * so that what can be inlined is: no call through a pointer is counted.
 */
#ifndef PEERS_H
#define PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PEER_BURST 32u
#define PEER_HOLDERS 16u /* processes at one queue at most */

/* What one process does with its end of a queue in one round. */
struct work {
	void *end;
	uint64_t first;    /* producer: its items are first .. first + n - 1 */
	uint64_t n;        /* consumer: how many all consumers take together */
	uint64_t *taken;   /* by all of them; NULL: there is one */
	uint64_t sum, bad; /* out: of what was consumed */
	bool yield;        /* more processes than processors: who finds nothing to do gives way */
};

struct loops {
	void (*produce)(struct work *w);
	void (*consume)(struct work *w);
	void (*produce_burst)(struct work *w); /* by PEER_BURST items; NULL: it has none */
	void (*consume_burst)(struct work *w);
	void (*ping)(void *there, void *back, uint64_t n);
	void (*echo)(void *there, void *back, uint64_t n);
	int (*put)(void *end, uint64_t val);      /* 0: full */
	int (*get)(void *end, uint64_t *ret_val); /* 0: empty */
};

enum side { PRODUCER, CONSUMER };

struct queue {
	const struct loops *loops;
	void *at;
};

#define PEER_MANY 1u     /* any number of processes at each end; else one */
#define PEER_MESSAGES 2u /* a system for messages, with threads or a daemon */
#define PEER_WAITS 4u    /* its calls sleep: there is nothing to spin on */
#define PEER_THREADS (PEER_MESSAGES | PEER_WAITS) /* its threads do the work */
#define PEER_KERNEL 8u                            /* a measure for the others */
#define PEER_LINE 16u /* carries a word, and no rate of it says anything */

struct peer {
	const char *name;
	unsigned flags;
	/* Before the processes are made. false: it does not come with such items, or so many. */
	bool (*make)(struct queue *ret, size_t bytes, uint64_t cap);
	void (*drop)(struct queue *q);
	void *(*join)(struct queue *q, enum side side); /* in each process; NULL: q->at will do */
	void (*leave)(void *end, enum side side);
	int (*send)(void *end, uint64_t val); /* sleeps until there is room; NULL: it cannot */
	int (*recv)(void *end, uint64_t *ret_val);
	void (*restart)(void); /* after it hung: whatever outlives a queue; or NULL */
};

/* Zeroed memory that the processes share. */
void *peer_memory(size_t size);
void peer_memory_end(void *p);
/* Where sockets go: a directory that is removed at the end. */
const char *peer_directory(void);

extern const struct peer peer_line, peer_futex, peer_pipe, peer_unix;
extern const struct peer peer_ipk_ring, peer_ipk_records, peer_ipk_queue;
extern const struct peer peer_plain, peer_vyukov;
extern const struct peer peer_boost_spsc, peer_boost_queue;
extern const struct peer peer_ck_spsc, peer_ck_mpmc;
extern const struct peer peer_dpdk_single, peer_dpdk_multi;
extern const struct peer peer_zmq, peer_nng, peer_iceoryx;

/* In the order of the tables; ends with NULL. */
extern const struct peer *const peers[];
extern const char *peers_only; /* in the name of those that take part; NULL: all */
/* Those left out, and what would have to be installed; ends with NULL. */
extern const char *const peers_absent[];

/* Objects besides the measured one in the segments of ours that are made from now on. */
extern unsigned ipk_crowd;

#ifdef __cplusplus
}
#endif
#endif
