/* SPDX-License-Identifier: MIT */
#include "words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace.h"

#define WORDS 8192u
#define ARENA (64u << 20)
#define SEGMENT_MAX (1u << 20)
#define LOOKS_MAX 4000000u

struct mapping memory_map[ACTORS + 1];
u16 view[ACTORS][VIEW], pending[ACTORS][VIEW], seq_cst_view[VIEW];
const struct message *fenced[ACTORS];
u32 nview;

static u16 index_of[SEGMENT_MAX / 8]; /* + 1 */
static struct word words[WORDS];
static u32 nwords;
static u32 dirty[WORDS], ndirty;
static bool learned;
static u64 run;
static u32 looks; /* by the observer in this run */
static u8 *arena;
static size_t arena_at;

/* ---- views ---------------------------------------------------------------------------------- */

void join(u16 *into, const u16 *from, u32 begin, u32 end)
{
	for (u32 i = begin; i < end; i++)
		into[i] = into[i] > from[i] ? into[i] : from[i];
}

const struct message *message(unsigned t)
{
	size_t size = (sizeof(struct message) + nview * sizeof(u16) + 7) & ~(size_t)7;
	struct message *m = (struct message *)(void *)(arena + arena_at);

	if (arena_at + size > ARENA)
		abort();
	arena_at += size;
	m->n = nview;
	memcpy(m->v, view[t], nview * sizeof(u16));
	view[t][t]++; /* what comes next is not in it */
	return m;
}

/* Of two that the same actor left: the later. */
const struct message *later(const struct message *a, const struct message *b, unsigned t)
{
	return !a || (b && b->v[t] > a->v[t]) ? b : a;
}

void take_over(unsigned t, const struct store *s, bool acquire)
{
	for (unsigned u = 0; u < ACTORS; u++)
		if (s->seq[u])
			join(acquire ? view[t] : pending[t], s->seq[u]->v, 0, s->seq[u]->n);
}

/* ---- words ---------------------------------------------------------------------------------- */

void memory_reset_case(void)
{
	for (u32 i = 0; i < nwords; i++) {
		index_of[words[i].off / 8] = 0;
		free(words[i].store);
	}
	memset(words, 0, sizeof(words[0]) * nwords);
	nwords = ndirty = 0;
	nview = ACTORS;
	learned = false;
	if (!arena)
		arena = real_alloc(ARENA);
}

void memory_begin(void)
{
	run++;
	looks = 0;
	ndirty = 0;
	arena_at = 0;
	memset(view, 0, sizeof(view));
	memset(pending, 0, sizeof(pending));
	memset(seq_cst_view, 0, sizeof(seq_cst_view));
	memset(fenced, 0, sizeof(fenced));
	for (unsigned t = 0; t < ACTORS; t++)
		view[t][t] = 1;
}

void memory_end(void)
{
	for (u32 i = 0; i < ndirty; i++)
		memcpy(memory_map[OBSERVER].base + words[dirty[i]].off, &words[dirty[i]].start, 8);
	ndirty = 0;
}

bool memory_learned(void)
{
	bool news = false;

	for (u32 i = 0; learned && i < nwords; i++) {
		struct word *w = &words[i];

		if (w->hot || !w->writers || !(w->actors & (w->actors - 1)))
			continue;
		news = w->hot = true;
	}
	learned = false;
	return news;
}

static u64 mix(u64 a, u64 b)
{
	a = (a ^ b) * UINT64_C(0x9e3779b97f4a7c15);
	return (a ^ a >> 31) * UINT64_C(0xbf58476d1ce4e5b9);
}

u64 memory_hash(void)
{
	u64 h = 0;

	for (u32 i = 0; i < ndirty; i++) {
		const struct word *w = &words[dirty[i]];
		u64 now;

		memcpy(&now, memory_map[OBSERVER].base + w->off, 8);
		if (now != w->start)
			h += mix(mix(7, w->off), now);
	}
	return h;
}

struct word *word_at(u64 off)
{
	struct word *w;

	off &= ~UINT64_C(7);
	if (!index_of[off / 8]) {
		if (nwords == WORDS)
			abort();
		words[nwords].off = off;
		index_of[off / 8] = (u16)++nwords;
	}
	w = &words[index_of[off / 8] - 1];
	if (w->run != run) {
		w->run = run;
		w->dirty = false;
		w->n = 1;
		if (!w->cap) {
			w->cap = 8;
			w->store = malloc(w->cap * sizeof(*w->store));
		}
		memset(&w->store[0], 0, sizeof(w->store[0]));
		memset(w->half, 0, sizeof(w->half));
		memcpy(&w->start, memory_map[OBSERVER].base + off, 8);
		w->store[0].val = w->start;
	}
	/* The instrumentation speaks before the access: what a plain store stored is there now. */
	if (w->store[w->n - 1].plain)
		memcpy(&w->store[w->n - 1].val, memory_map[OBSERVER].base + off, 8);
	return w;
}

void soil(struct word *w)
{
	if (w->dirty)
		return;
	w->dirty = true;
	dirty[ndirty++] = (u32)(w - words);
}

const struct mapping *mapping(void)
{
	return &memory_map[sched_active() ? sched_self() : OBSERVER];
}

bool memory_inside(const void *p)
{
	const struct mapping *m = mapping();

	return world_recording && (u64)((const u8 *)p - m->base) < m->size;
}

/* False: nothing that is looked at. */
bool find(void *p, unsigned size, struct span *ret)
{
	u64 off = (u64)((u8 *)p - mapping()->base);

	if (!memory_inside(p))
		return false;
	ret->at = (u8 *)p - (off & 7);
	ret->shift = (u8)(off & 7);
	ret->size = (u8)(size < 8 - (off & 7) ? size : 8 - (off & 7));
	ret->word = word_at(off);
	return true;
}

void know(struct word *w, unsigned t, bool store)
{
	u8 bit = (u8)(1u << t);

	if (!(w->actors & bit) || (store && !(w->writers & bit)))
		learned = true;
	w->actors |= bit;
	if (!store)
		return;
	w->writers |= bit;
	if (!w->view) {
		if (nview + 2 > VIEW)
			abort();
		w->view = nview;
		nview += 2;
	}
}

void look_count(void)
{
	if (world_recording && ++looks > LOOKS_MAX) {
		printf("not ok - who comes afterwards does not come to an end\n");
		exit(1);
	}
}

void memory_settle(void)
{
	for (u32 i = 0; i < ndirty; i++) {
		struct word *w = &words[dirty[i]];

		for (unsigned t = 0; t < ACTORS; t++)
			for (unsigned h = 0; h < 2; h++)
				view[t][w->view + h] = (u16)writer(w, w->n - 1, h ? 0xf0 : 0x0f);
	}
}

/* ---- races ---------------------------------------------------------------------------------- */

static const char *const access_name[ACCESSES] = {"plain store", "plain load", "store", "load"};

static bool conflict(enum access a, enum access b)
{
	if (a > PLAIN_LOAD && b > PLAIN_LOAD)
		return false; /* both atomic */
	return a == PLAIN_STORE || a == ATOMIC_STORE || b == PLAIN_STORE || b == ATOMIC_STORE;
}

void race(const struct span *s, unsigned t, enum access a, void *pc)
{
	for (unsigned i = first_half(s); i <= last_half(s); i++) {
		struct half *h = &s->word->half[i];

		for (unsigned b = 0; b < ACCESSES; b++)
			for (unsigned u = 0; u < ACTORS && conflict(a, b); u++)
				if (u != t && h->clock[b][u] > view[t][u])
					sched_fail("data race at %#llx: %s by %u at %s, %s by %u "
						   "at %s",
						   (unsigned long long)s->word->off, access_name[a],
						   t, trace_place(pc), access_name[b], u,
						   trace_place(h->pc[b][u]));
		h->clock[a][t] = view[t][t];
		h->pc[a][t] = pc;
	}
}
