/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <sys/mman.h>

#include "crash.h"

/* Shared with survivors. Open addressing; emptied before it is half full. */
#define PLACES (1u << 20)

static struct memo {
	unsigned n;
	uint64_t key[PLACES];
} * memo;

void memo_open(void)
{
	memo = mmap(NULL, sizeof(*memo), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memo == MAP_FAILED)
		abort();
}

static uint64_t *place(uint64_t key)
{
	uint64_t i = key;

	while (memo->key[i % PLACES] && memo->key[i % PLACES] != key)
		i++;
	return &memo->key[i % PLACES];
}

bool memo_has(uint64_t key)
{
	return *place(key) == key;
}

void memo_put(uint64_t key)
{
	if (memo_has(key))
		return;
	if (memo->n >= PLACES / 2)
		memset(memo, 0, sizeof(*memo));
	memo->n++;
	*place(key) = key;
}
