/* SPDX-License-Identifier: MIT */
/* Places in the program where an order other than relaxed is given, as they were met. */
#ifndef EXPLORE_PLACES_H
#define EXPLORE_PLACES_H

#include <stddef.h>

void places_note(void *pc, int order);
unsigned places_count(void);
const char *places_order(unsigned i);
/* "function at file:line", without the callers into which it was inlined. */
const char *places_name(unsigned i);
/* All that were made of the same line of the same function as place i, which is the first: how
 * many. */
unsigned places_like(unsigned i, void **ret_pc, size_t max);
/*
 * "FUNCTION ORDER" or "FUNCTION ORDER N/M": the places in the function that have this order; of
 * those on M lines, that on the Nth. How many; 0 also when there are not M (1) lines of them.
 */
unsigned places_find(const char *which, void **ret_pc, size_t max);

#endif
