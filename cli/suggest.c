/* SPDX-License-Identifier: MIT */
/* The nearest name to a mistyped one: edits are insert, drop, change and swap of neighbours. */
#include <stdio.h>
#include <string.h>

#include "cli.h"

#define LONGEST 63

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Optimal string alignment distance; both at most LONGEST bytes. */
static unsigned distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b), i, j;
	unsigned row[3][LONGEST + 2];

	for (j = 0; j <= lb; j++)
		row[0][j] = (unsigned)j;
	for (i = 1; i <= la; i++) {
		unsigned *now = row[i % 3], *up = row[(i - 1) % 3], *up2 = row[(i + 1) % 3];

		now[0] = (unsigned)i;
		for (j = 1; j <= lb; j++) {
			now[j] = least(least(up[j] + 1, now[j - 1] + 1),
				       up[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				now[j] = least(now[j], up2[j - 2] + 1);
		}
	}
	return row[la % 3][lb];
}

void cli_suggest_init(struct cli_suggest *s, const char *wanted)
{
	size_t len = strlen(wanted);

	s->wanted = wanted;
	s->prefix = "";
	s->best[0] = '\0';
	/* One typing mistake in short words, two in longer ones. */
	s->distance = len > LONGEST || len < 2 ? 0 : len < 5 ? 2 : 3;
}

void cli_suggest_try(struct cli_suggest *s, const char *name)
{
	unsigned d;

	if (!s->distance || strlen(name) > LONGEST || !strcmp(name, s->wanted))
		return;
	d = distance(s->wanted, name);
	/* A beginning is as good as one mistake. */
	if (d > 1 && strlen(s->wanted) >= 3 && !strncmp(name, s->wanted, strlen(s->wanted)))
		d = 1;
	if (d < s->distance) {
		s->distance = d;
		snprintf(s->best, sizeof(s->best), "%s", name);
	}
}

const char *cli_suggest_text(const struct cli_suggest *s, char buf[96])
{
	buf[0] = '\0';
	if (s->best[0])
		snprintf(buf, 96, "; did you mean \"%s%s\"?", s->prefix, s->best);
	return buf;
}
