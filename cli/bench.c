/* SPDX-License-Identifier: MIT */
/*
 * ipcctl bench: what this machine can do and how close the structures come to it. What is measured
 * follows from the descriptor table; the peers beside it are in bench_peer.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define ROW_NS INT64_C(250000000)
#define ROW_NS_MIN INT64_C(10000000)
#define BAR 20

struct plan {
	struct cli *c;
	const char *only; /* a test, a kind or a peer; NULL: all */
	bool spin;        /* two processors at least */
	struct bench_row *row;
	size_t n, cap;
	int error;
};

static const char *const tests[] = {
	[BENCH_COST] = "cost",
	[BENCH_LATENCY] = "latency",
	[BENCH_THROUGHPUT] = "throughput",
	[BENCH_COPY] = "copy",
};

const char *bench_name(const struct bench_row *row)
{
	return row->kind ? row->kind->name : row->t ? row->t->name : "memcpy";
}

/* ---- what is to be measured ----------------------------------------------------------------- */

/* Against what a row of the test is held: it is measured whichever kind was asked for. */
static bool is_floor(const struct bench_row *row)
{
	const char *name = bench_name(row);

	return row->test == BENCH_COPY || !strcmp(name, "line") || !strcmp(name, "futex");
}

static void plan_row(struct plan *p, struct bench_row row)
{
	size_t cap;

	if (p->only && strcmp(p->only, tests[row.test]) && strcmp(p->only, bench_name(&row)) &&
	    !is_floor(&row))
		return;
	if (row.test == BENCH_LATENCY && !row.wait && !p->spin)
		return;
	if (p->n == p->cap) {
		struct bench_row *more;

		cap = p->cap ? 2 * p->cap : 64;
		more = reallocarray(p->row, cap, sizeof(*more));
		if (!more) {
			p->error = -ENOMEM;
			return;
		}
		p->row = more;
		p->cap = cap;
	}
	if (!row.batch)
		row.batch = 1;
	p->row[p->n++] = row;
}

/* The row for each size that the transport carries; one row for what carries none. */
static void plan_sizes(struct plan *p, struct bench_row row, const size_t *sizes)
{
	if (row.kind && row.kind->bench->signal) {
		if (row.test == BENCH_LATENCY) /* signals do not queue up */
			plan_row(p, row);
		return;
	}
	for (; *sizes; sizes++) {
		row.size = *sizes;
		if (!row.t || row.size <= row.t->max)
			plan_row(p, row);
	}
}

static void plan_each(struct plan *p, struct bench_row row, const size_t *sizes,
		      bool (*can)(const struct bench_transport *t, bool wait))
{
	for (const struct bench_transport *t = bench_peers; t->name; t++) {
		row.t = t;
		if (can(t, row.wait))
			plan_sizes(p, row, sizes);
	}
	row.t = &bench_object;
	for (const struct ipk_kind *const *k = ipk_kinds; *k; k++) {
		row.kind = *k;
		if ((*k)->bench && (*k)->bench->send)
			plan_sizes(p, row, sizes);
	}
}

static bool can_latency(const struct bench_transport *t, bool wait)
{
	return wait ? t->block : t->spin;
}

static bool can_throughput(const struct bench_transport *t, bool wait)
{
	(void)wait;
	return t->many;
}

static void plan_cost(struct plan *p)
{
	for (const struct ipk_kind *const *k = ipk_kinds; *k; k++)
		if ((*k)->bench && (*k)->bench->rounds)
			plan_row(p, (struct bench_row){.test = BENCH_COST,
						       .t = &bench_object,
						       .kind = *k,
						       .size = 8});
}

static void plan_throughput(struct plan *p, unsigned most)
{
	static const size_t sizes[] = {8, 256, 4096, BENCH_PAYLOAD_MAX, 0};
	static const size_t small[] = {8, 0};
	struct bench_row row = {
		.test = BENCH_THROUGHPUT, .wait = true, .producers = 1, .consumers = 1};

	plan_sizes(p, (struct bench_row){.test = BENCH_COPY}, sizes);
	plan_each(p, row, sizes, can_throughput);
	row.t = &bench_object;
	for (const struct ipk_kind *const *k = ipk_kinds; *k; k++) {
		row.kind = *k;
		if (!(*k)->bench || !(*k)->bench->send_many)
			continue;
		row.batch = 32;
		row.producers = row.consumers = 1;
		plan_sizes(p, row, small);
		row.batch = 1;
		for (unsigned n = 2; n <= most && !(*k)->bench->single; n *= 2) {
			row.producers = row.consumers = n;
			plan_sizes(p, row, small);
		}
	}
}

static void plan_all(struct plan *p, unsigned most)
{
	static const size_t spun[] = {8, 64, 4096, BENCH_PAYLOAD_MAX, 0};
	static const size_t slept[] = {64, BENCH_PAYLOAD_MAX, 0};

	plan_cost(p);
	plan_each(p, (struct bench_row){.test = BENCH_LATENCY}, spun, can_latency);
	plan_each(p, (struct bench_row){.test = BENCH_LATENCY, .wait = true}, slept, can_latency);
	plan_throughput(p, most);
}

static int check_name(struct cli *c, const char *name)
{
	struct cli_suggest s;
	char text[96];
	bool found = false;

	cli_suggest_init(&s, name);
	for (unsigned i = 0; i < CLI_ARRAY_LEN(tests); i++) {
		cli_suggest_try(&s, tests[i]);
		found |= !strcmp(name, tests[i]);
	}
	for (const struct bench_transport *t = bench_peers; t->name; t++) {
		cli_suggest_try(&s, t->name);
		found |= !strcmp(name, t->name);
	}
	for (const struct ipk_kind *const *k = ipk_kinds; *k; k++) {
		if (!(*k)->bench)
			continue;
		cli_suggest_try(&s, (*k)->name);
		found |= !strcmp(name, (*k)->name);
	}
	if (found)
		return 0;
	return cli_usage(c, "nothing to measure is called \"%.40s\"%s", name,
			 cli_suggest_text(&s, text));
}

/* ---- what comes out ------------------------------------------------------------------------- */

/* The row that this one is held against; NULL: none was measured. */
static const struct bench_row *floor_of(const struct plan *p, const struct bench_row *row)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct bench_row *f = &p->row[i];
		size_t size = row->size ? row->size : row->wait ? 64 : 8;

		if (!f->measured || f == row || !is_floor(f) || f->size != size)
			continue;
		if (row->test == BENCH_LATENCY && f->test == BENCH_LATENCY && f->wait == row->wait)
			return f;
		if (row->test == BENCH_THROUGHPUT && f->test == BENCH_COPY && row->size)
			return f;
	}
	return NULL;
}

/* How close it comes, 1: as fast. */
static double part_of(const struct bench_row *row, const struct bench_row *f)
{
	if (row->test == BENCH_LATENCY)
		return row->p50 > 0 ? f->p50 / row->p50 : 0;
	return f->value > 0 ? row->value * (double)row->size / f->value : 0;
}

static const char *ns_text(double ns, char buf[24])
{
	if (ns < 1000)
		snprintf(buf, 24, "%.1f ns", ns);
	else if (ns < 1e6)
		snprintf(buf, 24, "%.2f us", ns / 1e3);
	else
		snprintf(buf, 24, "%.2f ms", ns / 1e6);
	return buf;
}

static const char *rate_text(double rate, const char *unit, char buf[32])
{
	static const char prefix[] = " kMGT";
	unsigned i = 0;

	for (; rate >= 1000 && i < sizeof(prefix) - 2; i++)
		rate /= 1000;
	snprintf(buf, 32, "%.1f %.1s%s", rate, i ? &prefix[i] : "", unit);
	return buf;
}

static void put_part(struct cli *c, const struct plan *p, const struct bench_row *row)
{
	const struct bench_row *f = floor_of(p, row);
	double part = f ? part_of(row, f) : 0;
	int bar = (int)(part * BAR + 0.5);

	if (f)
		cli_printf(c, " %5.1f %% %.*s", 100 * part, bar > BAR ? BAR : bar,
			   "####################");
}

static const char *mode_text(const struct bench_row *row, char buf[32])
{
	if (row->test == BENCH_LATENCY)
		return row->wait ? "sleeps" : "spins";
	if (row->batch > 1)
		snprintf(buf, 32, "%u+%u by %u", row->producers, row->consumers, row->batch);
	else
		snprintf(buf, 32, "%u+%u", row->producers, row->consumers);
	return buf;
}

static void heading(struct cli *c, const struct bench_row *row)
{
	if (row->test == BENCH_COST)
		cli_printf(c, "%-10s %-22s %12s\n", "COST", "ROUND", "EACH");
	else if (row->test == BENCH_LATENCY)
		cli_printf(c, "\n%-10s %-10s %6s %11s %11s %11s %11s %s\n", "ONE WAY", "MODE",
			   "BYTES", "P50", "P90", "P99", "P99.9",
			   row->wait ? "OF THE FUTEX" : "OF THE LINE");
	else
		cli_printf(c, "\n%-10s %-10s %6s %14s %14s %s\n", "THROUGHPUT", "PROCESSES",
			   "BYTES", "VALUES", "BYTES", "OF MEMCPY");
}

static bool same_table(const struct bench_row *a, const struct bench_row *b)
{
	bool a_rate = a->test == BENCH_COPY || a->test == BENCH_THROUGHPUT;
	bool b_rate = b->test == BENCH_COPY || b->test == BENCH_THROUGHPUT;

	return a_rate || b_rate ? a_rate && b_rate : a->test == b->test && a->wait == b->wait;
}

static void put_text(struct cli *c, const struct plan *p, const struct bench_row *row)
{
	char a[24], b[24], d[24], e[24], rate[32], bytes[32], mode[32];
	const char *name = bench_name(row);

	switch (row->test) {
	case BENCH_COST:
		cli_printf(c, "%-10s %-22s %12s", name, row->kind->bench->round,
			   ns_text(row->value, a));
		break;
	case BENCH_LATENCY:
		cli_printf(c, "%-10s %-10s %6zu %11s %11s %11s %11s", name, mode_text(row, mode),
			   row->size, ns_text(row->p50, a), ns_text(row->p90, b),
			   ns_text(row->p99, d), ns_text(row->p999, e));
		break;
	case BENCH_COPY:
		cli_printf(c, "%-10s %-10s %6zu %14s %14s", name, "1", row->size,
			   rate_text(row->value / (double)row->size, "/s", rate),
			   rate_text(row->value, "B/s", bytes));
		break;
	case BENCH_THROUGHPUT:
		cli_printf(c, "%-10s %-10s %6zu %14s %14s", name, mode_text(row, mode), row->size,
			   rate_text(row->value, "/s", rate),
			   rate_text(row->value * (double)row->size, "B/s", bytes));
		break;
	}
	put_part(c, p, row);
	cli_puts(c, "\n");
}

static void json_number(struct ipk_buf *b, const char *name, double val)
{
	char text[64];

	snprintf(text, sizeof(text), ",\"%s\":%.3f", name, val);
	ipk_buf_add(b, text, strlen(text));
}

static void put_json(struct cli *c, const struct plan *p, const struct bench_row *row)
{
	const struct bench_row *f = floor_of(p, row);
	struct ipk_buf b = {0};

	ipk_buf_add(&b, "{\"v\":1", 6);
	cli_json_str(&b, "test", tests[row->test]);
	cli_json_str(&b, "name", bench_name(row));
	if (row->test == BENCH_COST)
		cli_json_str(&b, "round", row->kind->bench->round);
	else
		cli_json_u64(&b, "bytes", row->size);
	if (row->test == BENCH_LATENCY) {
		cli_json_str(&b, "mode", row->wait ? "sleeps" : "spins");
		json_number(&b, "p50_ns", row->p50);
		json_number(&b, "p90_ns", row->p90);
		json_number(&b, "p99_ns", row->p99);
		json_number(&b, "p999_ns", row->p999);
	}
	if (row->test == BENCH_THROUGHPUT) {
		cli_json_u64(&b, "producers", row->producers);
		cli_json_u64(&b, "consumers", row->consumers);
		cli_json_u64(&b, "batch", row->batch);
		json_number(&b, "values_per_second", row->value);
	}
	if (row->test == BENCH_COST)
		json_number(&b, "ns", row->value);
	else if (row->test != BENCH_LATENCY)
		json_number(&b, "bytes_per_second",
			    row->value * (row->test == BENCH_COPY ? 1 : (double)row->size));
	if (f) {
		cli_json_str(&b, "floor", bench_name(f));
		json_number(&b, "of_floor", part_of(row, f));
	}
	if (row->test != BENCH_LATENCY)
		json_number(&b, "spread", row->spread);
	ipk_buf_add(&b, "}", 1);
	cli_json(c, b.data, b.len);
	ipk_buf_free(&b);
}

static void progress(const struct plan *p, size_t done)
{
	char bar[31];
	size_t full = p->n ? done * 30 / p->n : 30;

	if (p->c->opt.quiet || !isatty(STDERR_FILENO))
		return;
	memset(bar, ' ', 30);
	memset(bar, '#', full);
	bar[30] = 0;
	if (done < p->n)
		fprintf(stderr, "\r[%s] %zu/%zu %-10s", bar, done, p->n, bench_name(&p->row[done]));
	else
		fprintf(stderr, "\r%60s\r", "");
}

static int measure(struct plan *p, int64_t ns)
{
	const struct bench_row *last = NULL;
	struct cli *c = p->c;
	int status = 0;

	for (size_t i = 0; i < p->n && !status; i++) {
		struct bench_row *row = &p->row[i];

		progress(p, i);
		status = bench_run(c, row, ns);
		if (status || !row->measured)
			continue;
		progress(p, p->n);
		if (!c->opt.json && !c->opt.noheadings && (!last || !same_table(last, row)))
			heading(c, row);
		last = row;
		if (c->opt.json)
			put_json(c, p, row);
		else
			put_text(c, p, row);
		status = cli_flush_status(c);
	}
	progress(p, p->n);
	return status;
}

int cli_bench(struct cli *c)
{
	const char *picture = cli_given(c, "plot");
	int64_t ns = c->opt.interval ? c->opt.interval : ROW_NS;
	struct plan p = {.c = c, .only = c->nwords ? c->word[0] : NULL};
	int cpu[2], status = 0;

	if (p.only)
		status = check_name(c, p.only);
	if (!status && picture)
		status = bench_plot_check(c, picture);
	if (!status && ns < ROW_NS_MIN)
		status = cli_usage(c, "-i: a row takes 10ms at least");
	if (!status && c->opt.count_given && (!c->opt.count || c->opt.count > BENCH_PROCESSES / 2))
		status = cli_usage(c, "-n: 1 to %d producers, and as many consumers",
				   BENCH_PROCESSES / 2);
	if (status)
		return status;
	p.spin = bench_cpus(cpu, 2) == 2;
	if (!p.spin)
		cli_note(c, "one processor only: nothing can be measured that spins");
	plan_all(&p, c->opt.count_given ? (unsigned)c->opt.count : 2);
	status = p.error ? cli_fail_code(c, p.error, NULL) : measure(&p, ns);
	if (!status && picture)
		status = bench_plot(c, p.row, p.n, picture);
	free(p.row);
	return status;
}
