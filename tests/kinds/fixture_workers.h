/* SPDX-License-Identifier: MIT */
/*
 * WORKERS processes that do rounds and are killed and replaced: included behind the struct stage,
 * which has the members there, number and rounds[WORKERS] for them.
 */
#ifndef TEST_FIXTURE_WORKERS_H
#define TEST_FIXTURE_WORKERS_H

#include "fixture_stage.h"

struct workers {
	void (*work)(void *arg); /* as worker stage->number; says when it is there */
	/* It is stopped, and about to be killed: what only it has is nobody's. */
	void (*forget)(u32 number);
	pid_t pid[WORKERS];
};

static inline void start_worker(struct workers *w, u32 number)
{
	stage->number = number;
	w->pid[number] = spawn_ready(w->work, NULL, &stage->there);
}

static inline void kill_worker(struct workers *w, u32 number)
{
	stop_child(w->pid[number]);
	w->forget(number);
	kill_child(w->pid[number]);
}

/* Each of them has done n more rounds. */
static inline void await_rounds(u32 number, u64 n)
{
	u64 before = ipk_ld(&stage->rounds[number], seq_cst);

	await(ipk_ld(&stage->rounds[number], seq_cst) > before + n - 1);
}

/* All are at work; as many are killed, and replaced; in the end all are. */
static inline void kill_workers(struct workers *w, int kills)
{
	u64 seed = 5;

	for (u32 i = 0; i < WORKERS; i++)
		start_worker(w, i);
	while (kills--) {
		u32 i = seeded(&seed) % WORKERS;

		await_rounds(i, 1);
		for (u32 spin = seeded(&seed) % 2000; spin; spin--)
			ipk_pause();
		kill_worker(w, i);
		start_worker(w, i);
	}
	for (u32 i = 0; i < WORKERS; i++)
		await_rounds(i, 6);
	for (u32 i = 0; i < WORKERS; i++)
		kill_worker(w, i);
}

#endif
