/* SPDX-License-Identifier: MIT */
/* Inside of the memory: words with their stores, views, races. For words.c and memory.c. */
#ifndef EXPLORE_WORDS_H
#define EXPLORE_WORDS_H

#include "explore.h"

#define VIEW 2048u /* entries: actors, then two for each word that was ever stored to */

struct message {
	u32 n;
	u16 v[];
};

struct store {
	u64 val; /* of the whole word, as it then was */
	u8 mask; /* bytes that were stored */
	bool plain;
	/* What an acquire takes over: the release sequences that go through it, by who heads them.
	 */
	const struct message *seq[ACTORS];
};

enum access { PLAIN_STORE, PLAIN_LOAD, ATOMIC_STORE, ATOMIC_LOAD, ACCESSES };

struct half {
	u16 clock[ACCESSES][ACTORS];
	void *pc[ACCESSES][ACTORS];
};

struct word {
	u64 off;
	u32 view;           /* index of the first half; 0: never stored to */
	u8 actors, writers; /* ever */
	bool hot;           /* somebody else may care */
	u64 run;            /* in which what follows was set up */
	u64 start;
	bool dirty;
	u32 n, cap;
	struct store *store;
	struct half half[2];
};

/* Of an access: the bytes of one word that it touches, and where that is for the actor. */
struct span {
	struct word *word;
	u8 *at;   /* of the word in the running actor's mapping */
	u8 shift; /* first byte */
	u8 size;
};

extern u16 view[ACTORS][VIEW];    /* what each has seen, and how much of each happens before */
extern u16 pending[ACTORS][VIEW]; /* what an acquire fence would add */
extern u16 seq_cst_view[VIEW];
extern const struct message *fenced[ACTORS]; /* what a release fence left for later stores */
extern u32 nview;                            /* entries in use */

void join(u16 *into, const u16 *from, u32 begin, u32 end);
/* t's view as it is now, for others; what t does next is not in it. */
const struct message *message(unsigned t);
/* Of two that t left: the later. */
const struct message *later(const struct message *a, const struct message *b, unsigned t);
/* t takes over what came with the store: at once, or for its next acquire fence. */
void take_over(unsigned t, const struct store *s, bool acquire);

struct word *word_at(u64 off);
/* Its start is to be put back. */
void soil(struct word *w);
/* The first word of an access. False: nothing that is looked at. */
bool find(void *p, unsigned size, struct span *ret);
/* t touches the word. */
void know(struct word *w, unsigned t, bool store);
/* The observer looks, and is not to do so for ever. */
void look_count(void);
const struct mapping *mapping(void); /* of who runs */

/* Fails the run when the access, by the actor t, races with one before; notes it. */
void race(const struct span *s, unsigned t, enum access a, void *pc);

static inline bool acquires(int order)
{
	return order != __ATOMIC_RELAXED && order != __ATOMIC_RELEASE;
}

static inline bool releases(int order)
{
	return order >= __ATOMIC_RELEASE;
}

static inline u8 bytes_of(const struct span *s)
{
	return (u8)(((1u << s->size) - 1) << s->shift);
}

static inline u64 cut(u64 val, const struct span *s)
{
	val >>= s->shift * 8;
	return s->size == 8 ? val : val & ((UINT64_C(1) << s->size * 8) - 1);
}

#define first_half(s) ((s)->shift / 4u)
#define last_half(s) (((s)->shift + (s)->size - 1u) / 4u)

/* The last store to some of the bytes that is not later than at. */
static inline u32 writer(const struct word *w, u32 at, u8 mask)
{
	while (at && !(w->store[at].mask & mask))
		at--;
	return at;
}

#endif
