/* SPDX-License-Identifier: MIT */
#include "trace.h"

#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EVENTS 8192u
#define PLACES 2048u

struct event {
	const char *what;
	uint64_t off, val;
	void *pc;
	unsigned actor, stale;
	int order;
};

static struct event events[EVENTS];
static unsigned long n;

static struct {
	void *pc;
	char text[200];
} places[PLACES];
static unsigned nplaces;

void trace_begin(void)
{
	n = 0;
}

void trace_add(unsigned actor, const char *what, uint64_t off, uint64_t val, unsigned stale,
	       int order, void *pc)
{
	events[n++ % EVENTS] = (struct event){what, off, val, pc, actor, stale, order};
}

static int main_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	*(uintptr_t *)arg = info->dlpi_addr;
	return 1; /* the program comes first */
}

/* Appends what one line says to the place that it belongs to. */
static void add_line(char *text, size_t size, char *line)
{
	char *inlined = strstr(line, " (inlined by) ");

	line[strcspn(line, "\n")] = '\0';
	snprintf(text + strlen(text), size - strlen(text), "%s%s", text[0] ? " < " : "",
		 inlined ? inlined + 14 : line);
}

void trace_look_up(void *const *pc, unsigned count)
{
	static char command[64 + 24 * PLACES], line[400];
	unsigned first = nplaces, at = nplaces, len;
	uintptr_t base = 0;
	FILE *f;

	dl_iterate_phdr(main_object, &base);
	len = (unsigned)snprintf(command, sizeof(command), "addr2line -pfis -e /proc/%d/exe",
				 (int)getpid());
	for (unsigned i = 0; i < count && nplaces < PLACES; i++) {
		places[nplaces].text[0] = '\0';
		places[nplaces++].pc = pc[i];
		len += (unsigned)snprintf(command + len, sizeof(command) - len, " %#lx",
					  (unsigned long)((uintptr_t)pc[i] - base - 1));
	}
	f = popen(command, "r");
	while (f && at <= nplaces && fgets(line, sizeof(line), f)) {
		/* A line that tells of a caller goes on with the one before. */
		if (!strstr(line, " (inlined by) "))
			at++;
		if (at > first && at <= nplaces)
			add_line(places[at - 1].text, sizeof(places[0].text), line);
	}
	if (f)
		pclose(f);
}

const char *trace_place(void *pc)
{
	unsigned i = 0;

	while (i < nplaces && places[i].pc != pc)
		i++;
	if (i == nplaces)
		trace_look_up(&pc, 1);
	return i < PLACES ? places[i].text : "?";
}

void trace_print(FILE *out, unsigned last)
{
	static const char *const order[] = {"relaxed", "consume", "acquire",
					    "release", "acq_rel", "seq_cst"};

	for (unsigned long i = n > last ? n - last : 0; i < n; i++) {
		const struct event *e = &events[i % EVENTS];

		fprintf(out, "#   %u %-11s %6llx %16llx %-7s%s%s %s\n", e->actor, e->what,
			(unsigned long long)e->off, (unsigned long long)e->val,
			order[e->order < 0 || e->order > 5 ? 0 : e->order],
			e->stale ? " OLDER" : "", e->pc ? "" : "", e->pc ? trace_place(e->pc) : "");
	}
}
