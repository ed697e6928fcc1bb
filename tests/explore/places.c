/* SPDX-License-Identifier: MIT */
#include "places.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace.h"

#define MAX 1024u

static struct {
	void *pc;
	int order;
} place[MAX];
static unsigned n;

void places_note(void *pc, int order)
{
	if (order == __ATOMIC_RELAXED || !pc)
		return;
	for (unsigned i = 0; i < n; i++)
		if (place[i].pc == pc)
			return;
	if (n == MAX)
		abort();
	place[n].pc = pc;
	place[n++].order = order;
}

static void places_look_up(void)
{
	static void *pc[MAX];

	for (unsigned i = 0; i < n; i++)
		pc[i] = place[i].pc;
	trace_look_up(pc, n);
}

unsigned places_count(void)
{
	return n;
}

const char *places_name(unsigned i)
{
	static char name[200];

	snprintf(name, sizeof(name), "%s", trace_place(place[i].pc));
	name[strcspn(name, "<(")] = '\0';
	return name;
}

unsigned places_like(unsigned i, void **ret_pc, size_t max)
{
	unsigned found = 0;
	char name[200];

	if (i == 0)
		places_look_up();

	snprintf(name, sizeof(name), "%s", places_name(i));
	for (unsigned k = 0; k < n && found < max; k++) {
		if (place[k].order != place[i].order || strcmp(places_name(k), name) != 0)
			continue;
		if (k < i)
			return 0;
		ret_pc[found++] = place[k].pc;
	}
	return found;
}

const char *places_order(unsigned i)
{
	static const char *const name[] = {"relaxed", "consume", "acquire",
					   "release", "acq_rel", "seq_cst"};

	return name[place[i].order];
}

static unsigned line_of(unsigned i)
{
	const char *colon = strrchr(places_name(i), ':');

	return colon ? (unsigned)strtoul(colon + 1, NULL, 10) : 0;
}

static bool is_in(unsigned i, const char *function, const char *order)
{
	size_t len = strlen(function);

	return strcmp(places_order(i), order) == 0 && strncmp(places_name(i), function, len) == 0 &&
	       places_name(i)[len] == ' ';
}

/* How many lines before line i's have such places. */
static unsigned rank(unsigned i, const char *function, const char *order)
{
	unsigned before = 0;

	for (unsigned k = 0; k < n; k++) {
		bool first = is_in(k, function, order) && line_of(k) < line_of(i);

		for (unsigned j = 0; first && j < k; j++)
			first = !is_in(j, function, order) || line_of(j) != line_of(k);
		before += first;
	}
	return before;
}

unsigned places_find(const char *which, void **ret_pc, size_t max)
{
	unsigned nth = 1, of = 1, lines = 0, found = 0;
	char function[64], order[16];

	if (sscanf(which, "%63s %15s %u/%u", function, order, &nth, &of) < 2)
		return 0;
	places_look_up();
	for (unsigned i = 0; i < n; i++) {
		unsigned r = is_in(i, function, order) ? rank(i, function, order) : n;

		if (r < n && r + 1 > lines)
			lines = r + 1;
		if (r + 1 == nth && found < max)
			ret_pc[found++] = place[i].pc;
	}
	return lines == of ? found : 0;
}
