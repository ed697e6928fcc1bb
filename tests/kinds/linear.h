/* SPDX-License-Identifier: MIT */
/*
 * Could what several processes did and were answered have happened one after the other? A search
 * for such an order (J. Wing and C. Gong, "Testing and verifying concurrent objects", 1993) that
 * forgets no configuration it has been in (G. Lowe, "Testing for linearizability", 2017). It knows
 * nothing of segments: the object is a plain one in private memory, of the test's own making.
 */
#ifndef TEST_KINDS_LINEAR_H
#define TEST_KINDS_LINEAR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#define LIN_NEVER INT64_MAX
#define LIN_RUNS 16

/* Written by who runs it: begin before the call, end and result after it. */
struct lin_op {
	int64_t begin, end; /* LIN_NEVER: killed in it: it may have happened, with any result */
	uint32_t what;
	int32_t result;
	uint64_t value;
	uint64_t undo; /* the model's own */
};

/* Operations one after the other, of one process. */
struct lin_run {
	struct lin_op *op;
	uint32_t n;
	uint32_t at;
};

struct lin_model {
	/* Does the object answer op like that? Then it does it. */
	bool (*step)(void *object, struct lin_op *op);
	void (*undo)(void *object, struct lin_op *op);
	uint64_t (*hash)(const void *object);
	void *object;
};

/* ---- configurations that led nowhere -------------------------------------------------------- */

struct lin_seen {
	uint64_t *v, n, cap;
};

static inline uint64_t lin_mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

/* True when h is new. */
static inline bool lin_note(struct lin_seen *s, uint64_t h)
{
	uint64_t i;

	h |= 1;
	if (2 * s->n >= s->cap) {
		struct lin_seen more = {.cap = s->cap ? 2 * s->cap : 1024};

		more.v = calloc(more.cap, sizeof(*more.v));
		for (i = 0; i < s->cap; i++)
			if (s->v[i])
				lin_note(&more, s->v[i]);
		free(s->v);
		*s = more;
	}
	for (i = h & (s->cap - 1); s->v[i]; i = (i + 1) & (s->cap - 1))
		if (s->v[i] == h)
			return false;
	s->v[i] = h;
	s->n++;
	return true;
}

/* ---- the search ----------------------------------------------------------------------------- */

static inline bool lin_done(const struct lin_run *run, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (run[i].at < run[i].n && run[i].op[run[i].at].end != LIN_NEVER)
			return false;
	return true;
}

/* May run c's next operation be the next of all: does none that is left end before it begins? */
static inline bool lin_may(const struct lin_run *run, uint32_t n, uint32_t c)
{
	if (run[c].at == run[c].n)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (i != c && run[i].at < run[i].n &&
		    run[i].op[run[i].at].end < run[c].op[run[c].at].begin)
			return false;
	return true;
}

static inline uint64_t lin_configuration(const struct lin_run *run, uint32_t n,
					 const struct lin_model *m)
{
	uint64_t h = lin_mix(7, m->hash(m->object));

	for (uint32_t i = 0; i < n; i++)
		h = lin_mix(h, run[i].at);
	return h;
}

/* Is there an order? The model's object is as at the beginning; how it is left is open. */
static inline bool lin_check(struct lin_run *run, uint32_t n, const struct lin_model *m)
{
	struct lin_seen seen = {0};
	uint64_t total = 0, depth = 0;
	uint8_t *taken, *choice;
	bool found = false, stuck = false;

	for (uint32_t i = 0; i < n; i++) {
		run[i].at = 0;
		total += run[i].n;
	}
	taken = calloc(total + 1, 1);
	choice = calloc(total + 1, 1);
	while (!stuck && !(found = lin_done(run, n))) {
		uint32_t c = choice[depth];
		struct lin_op *op = c < n && lin_may(run, n, c) ? &run[c].op[run[c].at] : NULL;

		if (c >= n) {
			stuck = depth == 0;
			if (!stuck) {
				c = taken[--depth];
				m->undo(m->object, &run[c].op[--run[c].at]);
			}
		} else if (op && m->step(m->object, op)) {
			run[c].at++;
			choice[depth]++;
			if (lin_note(&seen, lin_configuration(run, n, m))) {
				taken[depth++] = (uint8_t)c;
				choice[depth] = 0;
			} else {
				run[c].at--;
				m->undo(m->object, op);
			}
		} else {
			choice[depth]++;
		}
	}
	free(seen.v);
	free(taken);
	free(choice);
	return found;
}

#endif
