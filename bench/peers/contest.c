/* SPDX-License-Identifier: MIT */
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "contest.h"
#include "table.h"

#define ROUND 6e-3    /* s */
#define CROWDED 20e-3 /* s, where processes share a processor: several of its turns */

#define PUT_OFF 8 /* s that a table may wait for slow modes to pass */

unsigned contest_rounds = 21;

void contest_add(struct contest *c, struct entry e)
{
	if (c->n == ENTRIES_MAX)
		fail("too many peers for one table", -E2BIG);
	c->entry[c->n++] = e;
}

void contest_peers(struct contest *c, unsigned with, unsigned without, size_t bytes, uint64_t cap,
		   enum crew_job job)
{
	for (unsigned i = 0; peers[i]; i++)
		if ((peers[i]->flags & with) == with && !(peers[i]->flags & without) &&
		    (!peers_only || strstr(peers[i]->name, peers_only)))
			contest_add(c, (struct entry){.peer = peers[i],
						      .bytes = bytes,
						      .cap = cap,
						      .job = job});
}

struct runner {
	struct crew crew;
	uint64_t n;
	struct row *row;
};

/* Items in M/s, or ns, or us. */
static double value(const struct contest *c, const struct runner *r, double seconds)
{
	double n = (double)r->n;

	switch (c->unit) {
	case RATE:
		return 1e-6 * n * c->producers / seconds;
	case ONE_WAY:
		return 1e9 * seconds / n / 2;
	default:
		return r->crew.job == JOB_WAKE ? 1e6 * seconds : 1e6 * seconds / n;
	}
}

static unsigned start(const struct contest *c, struct runner *r, struct row *row)
{
	double s = c->producers + c->consumers > 2 ? CROWDED : ROUND;
	unsigned n = 0;

	for (unsigned i = 0; i < c->n; i++) {
		const struct entry *e = &c->entry[i];

		ipk_crowd = e->crowd;
		if (!crew_start(&r[n].crew, e->peer, e->job, e->bytes, e->cap, c->producers,
				c->consumers))
			continue;
		r[n].row = &row[n];
		row[n].name = e->name ? e->name : e->peer->name;
		row[n].n = 0;
		if (e->job == JOB_WAKE)
			r[n].n = 50;
		else
			crew_fit(&r[n].crew, s, &r[n].n);
		n++;
	}
	return n;
}

void contest_run(struct contest *c)
{
	static const char *const unit[] = {"M/s", "ns", "µs"};
	static struct runner r[ENTRIES_MAX];
	static struct row row[ENTRIES_MAX];
	double until;
	unsigned n;

	fprintf(stderr, "%s\n", c->title);
	n = start(c, r, row);
	until = now_s() + PUT_OFF;
	for (unsigned round = 0; round < contest_rounds;) {
		if (!line_quiet(now_s() > until)) {
			usleep(20000);
			continue;
		}
		for (unsigned i = 0; i < n; i++) {
			double s = crew_round(&r[i].crew, r[i].n);

			if (s > 0)
				row[i].v[row[i].n++] = value(c, &r[i], s);
			row[i].lost = r[i].crew.lost;
		}
		round++;
	}
	for (unsigned i = 0; i < n; i++)
		crew_end(&r[i].crew);
	table_print(c->section, c->title, unit[c->unit], row, n);
	c->n = 0;
}
