/* SPDX-License-Identifier: MIT */
/*
 * explore [-l] [-k KIND] [-c CASE] [-n RUNS] [-r RUNS] [-w PLACE] [-p] [-f FILE] [-a] [-v]
 *
 *	-l  larger bounds, all cases      -n  runs of a walk, after which it is cut; -r: drawn
 *	-w  the accesses there are relaxed: "FUNCTION ORDER" or, the Nth of M, "FUNCTION ORDER N/M"
 *	-p  weakens each place in turn, and says whether that was noticed; -f: those in this file
 *	-a  with -w and -p: what is seq_cst becomes acq_rel, and all else stays
 *	-v  prints the last accesses of a run that failed
 *
 * Prints TAP, a line for each scenario.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "explore.h"
#include "places.h"
#include "segment/registry.h"
#include "trace.h"

static const struct scenario *const all[] = {cases_queue,   cases_ring,   cases_stack, cases_map,
					     cases_set,     cases_array,  cases_sync,  cases_lock,
					     cases_channel, cases_stream, cases_lazy};

static struct {
	bool large, verbose, each;
	const char *kind, *name, *weak, *file;
	u64 runs, drawn;
} option;

/* What walks are tried, the small one first: it finds most. */
static const struct bounds quick[] = {{2, 1, 0}, {1, 1, 1}, {0}};
static const struct bounds large[] = {{1, 1, 0}, {2, 2, 0}, {2, 1, 1}, {3, 1, 0}, {0}};
static const struct bounds random_bounds = {8, 6, 1};
static const struct bounds serial_bounds = {0, 0, 1};

struct tally {
	u64 walked, cut, random;
};

/* The orders of whole operations. */
static bool refer(const struct scenario *s)
{
	struct outcome o;

	sched_restart();
	do {
		memset(&o, 0, sizeof(o));
		if (!sched_run(s, MODE_SERIAL, &serial_bounds, 1, &o))
			return false;
		oracle_learn(&o);
	} while (sched_next());
	return true;
}

static bool judged(const struct scenario *s, const struct outcome *o)
{
	const char *why = oracle_judge(s, o);

	if (why)
		snprintf(sched_why, sizeof(sched_why), "no order of whole operations gives: %s",
			 why);
	return !why;
}

static bool wander(const struct scenario *s, u64 n, struct tally *t)
{
	struct outcome o;

	for (u64 i = 0; i < n; i++, t->random++) {
		memset(&o, 0, sizeof(o));
		if (!sched_run(s, MODE_RANDOM, &random_bounds, i + 1, &o) || !judged(s, &o))
			return false;
	}
	return true;
}

/* All trails within the bounds. What turns out to be shared on the way makes it start again. */
static bool walk(const struct scenario *s, const struct bounds *b, struct tally *t)
{
	struct outcome o;
	struct bounds own = *b;
	bool again;
	u64 n = 0;

	own.preempt += b->preempt ? s->preempt : 0;
	own.stale += b->stale ? s->stale : 0;
	sched_restart();
	do {
		memset(&o, 0, sizeof(o));
		if (!sched_run(s, MODE_WALK, &own, 1, &o) || !judged(s, &o))
			return false;
		t->walked++;
		if (++n % 4096 == 0)
			world_verify();
		if (n == option.runs) {
			t->cut++;
			return true;
		}
		again = memory_learned();
		if (again)
			sched_restart();
	} while (again || sched_next());
	return true;
}

static bool explore(const struct scenario *s, struct tally *t)
{
	const struct bounds *b = option.large ? large : quick;

	if (!refer(s))
		return false;
	/* A few first, which tell what is shared. */
	if (!wander(s, 50, t))
		return false;
	memory_learned();
	for (; b->preempt || b->stale; b++)
		if (!walk(s, b, t))
			return false;
	return wander(s, option.drawn, t);
}

static bool run_case(const struct scenario *s, struct tally *t)
{
	bool ok;

	memset(t, 0, sizeof(*t));
	memset(&sched_stats, 0, sizeof(sched_stats));
	memory_reset_case();
	oracle_reset();
	world_make(s);
	ok = explore(s, t);
	if (ok)
		world_verify();
	world_unmake();
	return ok;
}

static bool wanted(const struct scenario *s)
{
	if (option.name)
		return strcmp(option.name, s->name) == 0 &&
		       (!option.kind || strcmp(option.kind, s->kind) == 0);
	return (option.large || !s->slow) && (!option.kind || strcmp(option.kind, s->kind) == 0);
}

static bool report(const struct scenario *s, unsigned n)
{
	struct tally t;
	bool ok = run_case(s, &t);

	printf("%sok %u - %s %s: %u orders; %llu runs%s, %llu drawn; %llu deaths, %llu older "
	       "values, "
	       "longest %llu accesses%s%s\n",
	       ok ? "" : "not ", n, s->kind, s->name, oracle_size(), (unsigned long long)t.walked,
	       t.cut ? " (cut)" : "", (unsigned long long)t.random,
	       (unsigned long long)sched_stats.deaths, (unsigned long long)sched_stats.stale,
	       (unsigned long long)sched_stats.longest, ok ? "" : ": ", ok ? "" : sched_why);
	if (!ok && option.verbose)
		trace_print(stdout, 120);
	fflush(stdout);
	return ok;
}

/* ---- weakening ------------------------------------------------------------------------------ */

static bool survives(const struct scenario **ret_by)
{
	struct tally t;

	for (unsigned i = 0; i < IPK_ARRAY_LEN(all); i++)
		for (const struct scenario *s = all[i]; s->name; s++)
			if (wanted(s) && !run_case(s, &t)) {
				*ret_by = s;
				return false;
			}
	return true;
}

/* Runs some of what is wanted, to see where orders are given. */
static void find_places(u64 runs)
{
	u64 all_runs = option.runs, all_drawn = option.drawn;
	const struct scenario *by;

	option.runs = runs < all_runs ? runs : all_runs;
	option.drawn = runs < all_drawn ? runs : all_drawn;
	memory_place = places_note;
	survives(&by);
	memory_place = NULL;
	option.runs = all_runs;
	option.drawn = all_drawn;
}

static int weaken_each(void)
{
	unsigned caught = 0, n = 0;

	find_places(UINT64_MAX);
	for (unsigned i = 0; i < places_count(); i++) {
		const struct scenario *by = NULL;

		memset(memory_weak, 0, sizeof(memory_weak));
		if (!places_like(i, memory_weak, WEAK_MAX) ||
		    (option.file && !strstr(places_name(i), option.file)) ||
		    (memory_weak_order != __ATOMIC_RELAXED &&
		     strcmp(places_order(i), "seq_cst") != 0))
			continue;
		n++;
		if (survives(&by)) {
			printf("# %s %s: not noticed\n", places_order(i), places_name(i));
		} else {
			printf("# %s %s: noticed by %s %s: %s\n", places_order(i), places_name(i),
			       by->kind, by->name, sched_why);
			caught++;
		}
		fflush(stdout);
	}
	printf("# %u places with an order, %u of which it is noticed\n", n, caught);
	return 0;
}

static void weaken_line(void)
{
	find_places(300);
	if (!places_find(option.weak, memory_weak, WEAK_MAX)) {
		fprintf(stderr, "explore: no such place, or not so many: %s\n", option.weak);
		exit(2);
	}
}

static void options(int argc, char **argv)
{
	int c;

	option.runs = 5000;
	option.drawn = 1000;
	while ((c = getopt(argc, argv, "lpvak:c:n:r:w:f:")) != -1) {
		switch (c) {
		case 'l':
			option.large = true;
			option.runs = 30000;
			option.drawn = 60000;
			break;
		case 'p':
			option.each = true;
			break;
		case 'v':
			option.verbose = true;
			break;
		case 'k':
			option.kind = optarg;
			break;
		case 'c':
			option.name = optarg;
			break;
		case 'a':
			memory_weak_order = __ATOMIC_ACQ_REL;
			break;
		case 'f':
			option.file = optarg;
			break;
		case 'n':
			option.runs = strtoull(optarg, NULL, 10);
			break;
		case 'r':
			option.drawn = strtoull(optarg, NULL, 10);
			break;
		case 'w':
			option.weak = optarg;
			break;
		default:
			exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	unsigned n = 0, bad = 0;

	options(argc, argv);
	ipk_wait_spins = false;
	ipk_poll_interval = IPK_FOREVER;
	if (option.each)
		return weaken_each();
	if (option.weak)
		weaken_line();
	for (unsigned i = 0; i < IPK_ARRAY_LEN(all); i++)
		for (const struct scenario *s = all[i]; s->name; s++)
			if (wanted(s))
				bad += !report(s, ++n);
	printf("1..%u\n", n);
	return bad != 0 || n == 0;
}
