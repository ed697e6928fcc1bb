/* SPDX-License-Identifier: MIT */
/*
 * What may come out of a scenario: what the same operations come to when each runs whole, in any
 * order that keeps each actor's own; and each actor may die before, between and after them. A run
 * is right when one of these has its answers and its contents, and the order too, where one
 * operation happened before another by C11's rules. Of the operation in which an actor died its
 * answer is not known: it has happened, or not, or as far as the scenario says that it may be torn.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "explore.h"

#define TEXTS 4096u
#define TABLE (1u << 16)

static struct outcome *known;
static u32 nknown, cap;
static char *texts[TEXTS];
static u32 ntexts;
/* Ends that have been looked at, and outcomes that have been found right: by hash. */
static struct {
	u64 hash;
	u32 text;
} ends[TABLE];
static u64 right[TABLE];

void oracle_reset(void)
{
	nknown = 0;
	for (u32 i = 0; i < ntexts; i++)
		free(texts[i]);
	ntexts = 0;
	memset(ends, 0, sizeof(ends));
	memset(right, 0, sizeof(right));
}

u32 oracle_size(void)
{
	return nknown;
}

void oracle_learn(const struct outcome *o)
{
	for (u32 i = 0; i < nknown; i++)
		if (memcmp(&known[i], o, sizeof(*o)) == 0)
			return;
	if (nknown == cap) {
		cap = cap ? 2 * cap : 256;
		known = realloc(known, cap * sizeof(*known));
		if (!known)
			abort();
	}
	known[nknown++] = *o;
}

/* ---- contents ------------------------------------------------------------------------------- */

static u32 number_of(const char *text)
{
	for (u32 i = 0; i < ntexts; i++)
		if (strcmp(texts[i], text) == 0)
			return i;
	if (ntexts == TEXTS)
		abort();
	texts[ntexts] = strdup(text);
	return ntexts++;
}

static u32 look(const struct scenario *s)
{
	char text[512] = "";
	const char *found;

	ipk_segment_sweep(world_actor[OBSERVER].seg);
	found = world_check(s);
	if (found)
		sched_fail("afterwards check says: %s", found);
	s->contents(&world_actor[OBSERVER], text, sizeof(text));
	found = world_check(s);
	if (found)
		sched_fail("when all was taken out, check says: %s", found);
	return number_of(text);
}

u32 oracle_contents(const struct scenario *s)
{
	u64 hash = memory_hash() | 1;
	u32 i = (u32)hash >> 1 & (TABLE - 1), n = 0;

	while (ends[i].hash && ends[i].hash != hash && n++ < TABLE)
		i = (i + 1) & (TABLE - 1);
	if (ends[i].hash != hash) {
		if (n > TABLE / 2)
			memset(ends, 0, sizeof(ends));
		ends[i].text = look(s);
		ends[i].hash = hash;
	}
	return ends[i].text;
}

/* ---- outcomes ------------------------------------------------------------------------------- */

static bool before(const struct outcome *o, unsigned t, u32 i, unsigned u, u32 j)
{
	return o->actor[u].began[j][t] >= o->actor[t].ended[i][t];
}

/* Ran another's operation beside it? */
static bool beside(const struct outcome *o, unsigned t, u32 i)
{
	for (unsigned u = 0; u < ACTORS; u++) {
		u32 n = o->actor[u].n;

		if (u == t)
			continue;
		if (o->actor[u].fate == FATE_DEAD || o->actor[u].fate == FATE_ASLEEP)
			return true;
		for (u32 j = 0; j < n; j++)
			if (!before(o, t, i, u, j) && !before(o, u, j, t, i))
				return true;
	}
	return false;
}

static bool same_answers(const struct outcome *r, const struct outcome *o, unsigned t)
{
	if (r->actor[t].fate != o->actor[t].fate)
		return false;
	if (o->actor[t].fate == FATE_DEAD) {
		if (r->actor[t].n != o->actor[t].n &&
		    (r->actor[t].torn || r->actor[t].n != o->actor[t].n + 1))
			return false;
	} else if (r->actor[t].n != o->actor[t].n) {
		return false;
	}
	for (u32 i = 0; i < o->actor[t].n; i++) {
		if (r->actor[t].result[i] != o->actor[t].result[i])
			return false;
		if (r->actor[t].refused[i] && !beside(o, t, i))
			return false;
	}
	return true;
}

static bool same_order(const struct outcome *r, const struct outcome *o)
{
	for (unsigned t = 0; t < ACTORS; t++)
		for (unsigned u = 0; u < ACTORS; u++)
			for (u32 i = 0; t != u && i < o->actor[t].n; i++)
				for (u32 j = 0; j < o->actor[u].n; j++)
					if (before(o, t, i, u, j) && !r->actor[t].refused[i] &&
					    !r->actor[u].refused[j] &&
					    r->actor[t].ended[i][0] > r->actor[u].ended[j][0])
						return false;
	return true;
}

static bool matches(const struct outcome *r, const struct outcome *o)
{
	if (r->contents != o->contents)
		return false;
	for (unsigned t = 0; t < ACTORS; t++)
		if (!same_answers(r, o, t))
			return false;
	return same_order(r, o);
}

static u64 mix(u64 h, u64 v)
{
	h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

static u64 hash_of(const struct outcome *o)
{
	u64 h = mix(1, o->contents);

	for (unsigned t = 0; t < ACTORS; t++) {
		h = mix(h, o->actor[t].fate * 16 + o->actor[t].n);
		for (u32 i = 0; i < o->actor[t].n; i++)
			h = mix(h, (u64)o->actor[t].result[i]);
		for (unsigned u = 0; u < ACTORS; u++)
			for (u32 i = 0; t != u && i < o->actor[t].n; i++)
				for (u32 j = 0; j < o->actor[u].n; j++)
					h = mix(h, before(o, t, i, u, j));
	}
	return h | 1;
}

static const char *in_words(const struct scenario *s, const struct outcome *o)
{
	static const char *const fate[] = {"new", "stopped", "sleeps", "done", "dead"};
	static char text[900];
	size_t n = 0;

	for (unsigned t = 0; t < ACTORS && n < sizeof(text); t++) {
		if (!s->program[t][0].run)
			continue;
		for (u32 i = 0; i < o->actor[t].n && n < sizeof(text); i++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s = %lld, ",
					      s->program[t][i].name,
					      (long long)o->actor[t].result[i]);
		if (n < sizeof(text))
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s | ",
					      fate[o->actor[t].fate]);
	}
	if (n < sizeof(text))
		snprintf(text + n, sizeof(text) - n, "left: %s",
			 o->contents < ntexts ? texts[o->contents] : "?");
	return text;
}

const char *oracle_judge(const struct scenario *s, const struct outcome *o)
{
	u64 hash = hash_of(o);
	u32 i = (u32)(hash >> 1) & (TABLE - 1);

	if (right[i] == hash)
		return NULL;
	for (u32 k = 0; k < nknown; k++) {
		if (matches(&known[k], o)) {
			right[i] = hash;
			return NULL;
		}
	}
	return in_words(s, o);
}
