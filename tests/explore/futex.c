/* SPDX-License-Identifier: MIT */
/* In place of core/base/futex.c: who sleeps is not chosen until it is woken, and time is told. */
#include "base/futex.h"

#include <errno.h>

#include "explore.h"

i64 ipk_now(void)
{
	return sched_now();
}

u64 ipk_now_real(void)
{
	return (u64)sched_now();
}

void ipk_futex_waitv_disable(bool off)
{
	(void)off;
}

/* A word of the segment, in whatever mapping the caller has it. */
static u64 off_of(const u32 *word)
{
	return (u64)((const u8 *)word - memory_map[sched_active() ? sched_self() : OBSERVER].base);
}

int ipk_futex_waitv(const struct ipk_futex_word *words, u32 n, i64 deadline)
{
	struct sched_wait w[IPK_FUTEX_MANY];

	for (u32 i = 0; i < n; i++)
		w[i] = (struct sched_wait){off_of(words[i].word), words[i].val};
	return sched_sleep(w, n, deadline);
}

int ipk_futex_wait(u32 *word, u32 val, i64 deadline)
{
	const struct sched_wait w = {off_of(word), val};

	return sched_sleep(&w, 1, deadline);
}

int ipk_futex_wake(u32 *word, int n)
{
	return world_recording ? sched_wake(off_of(word), n) : 0;
}
