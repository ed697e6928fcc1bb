/* SPDX-License-Identifier: MIT */
/* Tables in Markdown on stdout, and the same as lines for the plot: section, row, median, low,
 * high. */
#ifndef TABLE_H
#define TABLE_H

#include <stdbool.h>
#include <stdio.h>

#define ROUNDS_MAX 200

extern FILE *table_plot; /* or NULL */

struct row {
	const char *name;
	const char *lost; /* why there is nothing */
	double v[ROUNDS_MAX];
	unsigned n;
};

/* Median, 10th and 90th percentile of all, how many times the first row's median; and the raw line.
 */
void table_print(const char *section, const char *title, const char *unit, struct row *rows,
		 unsigned n);
double table_median(const double *v, unsigned n);

/*
 * The raw line is looked at before each round: may it begin? Not while the machine is in slow mode,
 * unless there were too many such looks (force): then it is counted as one that ran nevertheless.
 * limit: ns one way above which it is slow; where it is hardly ever below, half as much again as
 * the best tenth of some hundred looks.
 */
void line_start(double limit);
bool line_quiet(bool force);
void line_end(void);

#endif
