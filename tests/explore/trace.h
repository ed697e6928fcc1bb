/* SPDX-License-Identifier: MIT */
/* What happened in the last run, to be printed when it failed; and places in the program. */
#ifndef EXPLORE_TRACE_H
#define EXPLORE_TRACE_H

#include <stdint.h>
#include <stdio.h>

void trace_begin(void);
/* stale: how many later stores there were. */
void trace_add(unsigned actor, const char *what, uint64_t off, uint64_t val, unsigned stale,
	       int order, void *pc);
void trace_print(FILE *out, unsigned last);

/* "function at file:line < its caller ..." of a return address, by addr2line: not for each run. */
const char *trace_place(void *pc);
/* The same for many: a single look. */
void trace_look_up(void *const *pc, unsigned count);

#endif
