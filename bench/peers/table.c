/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "crew.h"
#include "table.h"

FILE *table_plot;

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double table_median(const double *v, unsigned n)
{
	double sorted[ROUNDS_MAX];

	memcpy(sorted, v, n * sizeof(*v));
	qsort(sorted, n, sizeof(*sorted), by_value);
	return sorted[n / 2];
}

/* ---- slow mode ------------------------------------------------------------------------------ */

static struct crew line;
static double line_limit; /* ns */
static double line_seen[ROUNDS_MAX];
static unsigned line_put_off, line_slow, line_rounds; /* since the last table */

static double line_ns(void)
{
	double s = crew_round(&line, 200);

	if (s < 0)
		fail("the raw line", -EIO);
	return 1e9 * s / 400;
}

/* How many of some looks are within the limit? *ret_low: their best tenth. */
static unsigned line_look(double limit, double *ret_low)
{
	double v[ROUNDS_MAX];
	unsigned below = 0;

	for (unsigned i = 0; i < ROUNDS_MAX; i++) {
		v[i] = line_ns();
		below += v[i] <= limit;
	}
	qsort(v, ROUNDS_MAX, sizeof(*v), by_value);
	*ret_low = v[ROUNDS_MAX / 10];
	return below;
}

void line_start(double limit)
{
	double low, until = now_s() + 15;

	if (!crew_start(&line, &peer_line, JOB_SPIN, 8, 1, 1, 1))
		fail("the raw line", -EIO);
	line_limit = limit;
	while (line_look(limit, &low) < ROUNDS_MAX / 10) {
		if (now_s() > until) {
			line_limit = 1.5 * low;
			printf("**The raw line takes %.0f ns one way, and was never below %.0f: "
			       "all of this may "
			       "be in slow mode.** ",
			       low, limit);
			break;
		}
		usleep(500000);
	}
	printf("Rounds are put off while the raw line takes more than %.0f ns one way.\n",
	       line_limit);
}

bool line_quiet(bool force)
{
	double ns = line_ns();
	bool slow = ns > line_limit;

	if (slow && !force) {
		line_put_off++;
		return false;
	}
	line_seen[line_rounds++ % ROUNDS_MAX] = ns;
	line_slow += slow;
	return true;
}

static void line_print(void)
{
	printf("\nRaw line: %.0f ns one way. %u rounds", table_median(line_seen, line_rounds),
	       line_rounds);
	if (line_slow)
		printf(", **%u of them in slow mode** (more than %.0f ns)", line_slow, line_limit);
	printf("; %u were put off.\n", line_put_off);
	line_put_off = line_slow = line_rounds = 0;
}

void line_end(void)
{
	crew_end(&line);
}

/* ---- tables --------------------------------------------------------------------------------- */

void table_print(const char *section, const char *title, const char *unit, struct row *rows,
		 unsigned n)
{
	double first = 0;

	printf("\n### %s\n\n| | median, %s | 10–90 %% | × |\n|---|---|---|---|\n", title, unit);
	for (unsigned i = 0; i < n; i++) {
		struct row *r = &rows[i];
		double median, low, high;

		if (r->lost) {
			printf("| %s | %s | | |\n", r->name, r->lost);
			continue;
		}
		qsort(r->v, r->n, sizeof(double), by_value);
		median = r->v[r->n / 2];
		low = r->v[r->n / 10];
		high = r->v[r->n - 1 - r->n / 10];
		if (first == 0)
			first = median;
		printf("| %s | %.4g | %.4g–%.4g | %.3g |\n", r->name, median, low, high,
		       median / first);
		if (table_plot)
			fprintf(table_plot, "%s\t%s\t%g\t%g\t%g\n", section, r->name, median, low,
				high);
	}
	line_print();
	fflush(stdout);
}
