/* SPDX-License-Identifier: MIT */
/* What scenarios of several kinds do with data that a lock, a latch or a value guards. */
#ifndef EXPLORE_CASES_H
#define EXPLORE_CASES_H

#include <stdio.h>

#include "explore.h"

/* Plain memory that programs share, made visible by nothing but what is tried here. */
static inline u64 *data(struct actor *a)
{
	return spare_word(a, 0);
}

static inline i64 write_data(struct actor *a, u64 val)
{
	*data(a) = val;
	return 0;
}

static inline i64 read_data(struct actor *a, u64 unused)
{
	(void)unused;
	return (i64)*data(a);
}

static inline i64 add_data(struct actor *a, u64 val)
{
	u64 old = *data(a);

	*data(a) = old + val;
	return (i64)(old + val);
}

static inline size_t data_text(struct actor *a, char *buf, size_t size)
{
	return (size_t)snprintf(buf, size, "data %llu ", (unsigned long long)*data(a));
}

#endif
