/* SPDX-License-Identifier: MIT */
/*
 * What the files of "ipcctl bench" share. A lane carries values one way, through a transport: an
 * object of some kind, or one of the peers that the kernel or the bare cache line offers. The
 * parent makes lanes, children join them and go round until they are killed: their counts lie in
 * memory that the parent sees, so nobody has to be asked to stop and nothing is left when ipcctl
 * itself is killed.
 */
#ifndef IPK_CLI_BENCH_H
#define IPK_CLI_BENCH_H

#include "cli.h"

#define BENCH_BUCKETS 2048
#define BENCH_PROCESSES 16
#define BENCH_PAYLOAD_MAX (64u << 10)

struct bench_lane;

struct bench_transport {
	const char *name;
	size_t max; /* bytes of a value; 0: carries none */
	bool spin;  /* can be polled */
	bool block; /* can wait */
	bool many;  /* for more than one process at each end, and as many values as it likes */
	/* in the parent; depth: how many values should fit. 0 or -errno */
	int (*make)(struct bench_lane *lane, unsigned depth);
	/* in each child that uses it */
	int (*join)(struct bench_lane *lane);
	/* wait: sleep until it can; else -EAGAIN when it cannot */
	int (*send)(struct bench_lane *lane, const void *data, bool wait);
	int (*recv)(struct bench_lane *lane, void *buf, bool wait);
	void (*drop)(struct bench_lane *lane); /* in the parent */
};

struct bench_lane {
	const struct bench_transport *t;
	const struct ipk_kind *kind; /* of an object, else NULL */
	size_t size;                 /* bytes of a value */
	int fd[2];                   /* descriptors: the segment's, or a pipe's ends */
	void *shared;                /* memory between the children */
	uint64_t turn;               /* of this process: how often it sent or received */
	struct ipk_segment *seg;
	void *handle;
};

/* Ends with name NULL. */
extern const struct bench_transport bench_peers[];
/* An object of lane->kind, in a segment of its own (lane->fd[0]). */
extern const struct bench_transport bench_object;

/* ---- one measurement (bench_run.c) --------------------------------------------------------- */

enum bench_test { BENCH_COST, BENCH_LATENCY, BENCH_THROUGHPUT, BENCH_COPY };

struct bench_row {
	enum bench_test test;
	const struct bench_transport *t;
	const struct ipk_kind *kind; /* or NULL */
	size_t size;
	bool wait;                     /* sleeps; else polls */
	unsigned producers, consumers; /* throughput */
	unsigned batch;                /* values a call; 1: one by one */
	/* out */
	bool measured;
	double p50, p90, p99, p999; /* ns, one way: half of the round trip */
	double value;  /* COST: ns a round; THROUGHPUT: values a second; COPY: bytes a second */
	double spread; /* of value over the runs: (largest - smallest) / median */
};

/* The processors that this process may use: at most max of them. How many. */
unsigned bench_cpus(int *cpu, unsigned max);
/* Takes ns altogether. 0, or an exit status (said). */
int bench_run(struct cli *c, struct bench_row *row, int64_t ns);

const char *bench_name(const struct bench_row *row);
/* 0, or an exit status where the name says neither .svg nor .png. */
int bench_plot_check(struct cli *c, const char *file);
/* Writes a picture of the rows to a file that ends in .svg or .png. 0 or an exit status. */
int bench_plot(struct cli *c, const struct bench_row *rows, size_t n, const char *file);

#endif
