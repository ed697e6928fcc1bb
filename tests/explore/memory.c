/* SPDX-License-Identifier: MIT */
/*
 * The segment's words as C11 has them. Each has the stores made to it, in order; each actor a view:
 * for each half of a word the store that it has to have seen, and for each actor how much of what
 * that one did happens before what comes next. A release leaves its view with the store, an acquire
 * takes it over. A load may return any store from the actor's view on.
 *
 * Plain accesses read and write the memory itself, which always has the last store: right for all
 * that do not race, and who races is reported.
 */
#include <stdlib.h>
#include <string.h>

#include "trace.h"
#include "words.h"

#define CANDIDATES 8u

void *memory_weak[WEAK_MAX];
int memory_weak_order = __ATOMIC_RELAXED;
void (*memory_place)(void *pc, int order);

/* ---- stores and loads ----------------------------------------------------------------------- */

static struct store *append(const struct span *s, unsigned t, bool rmw, int order)
{
	struct word *w = s->word;
	struct store *now, *before;

	if (w->n == w->cap) {
		w->cap *= 2;
		w->store = realloc(w->store, w->cap * sizeof(*w->store));
	}
	if (w->n >= UINT16_MAX)
		abort();
	soil(w);
	before = &w->store[w->n - 1];
	now = &w->store[w->n];
	memset(now, 0, sizeof(*now));
	now->val = before->val;
	now->mask = bytes_of(s);
	for (unsigned u = 0; u < ACTORS; u++)
		if (rmw || u == t)
			now->seq[u] = before->seq[u];
	for (unsigned i = first_half(s); i <= last_half(s); i++) {
		view[t][w->view + i] = (u16)w->n;
		if (order == __ATOMIC_SEQ_CST)
			seq_cst_view[w->view + i] = (u16)w->n;
	}
	w->n++;
	if (releases(order))
		now->seq[t] = message(t);
	else
		now->seq[t] = later(now->seq[t], fenced[t], t);
	return now;
}

static void store_value(const struct span *s, struct store *now, u64 val)
{
	u64 word;

	memcpy(s->at + s->shift, &val, s->size);
	memcpy(&word, s->at, 8);
	now->val = word;
}

/* The oldest store that t may still return. */
static u32 oldest(const struct span *s, unsigned t, int order)
{
	u32 floor = 0;

	for (unsigned i = first_half(s); s->word->view && i <= last_half(s); i++) {
		u32 at = s->word->view + i;

		if (view[t][at] > floor)
			floor = view[t][at];
		if (order == __ATOMIC_SEQ_CST && seq_cst_view[at] > floor)
			floor = seq_cst_view[at];
	}
	return floor;
}

/* The stores at which a load may see the word, the last first. but: none with this value. */
static unsigned visible(const struct span *s, unsigned t, int order, const u64 *but,
			u32 at[CANDIDATES])
{
	const struct word *w = s->word;
	u32 floor = oldest(s, t, order), i = w->n - 1;
	unsigned n = 0;

	at[n++] = i;
	while (n < CANDIDATES) {
		u32 k = writer(w, i, bytes_of(s));

		if (k <= floor)
			break;
		i = k - 1;
		if (!but || cut(w->store[i].val, s) != *but)
			at[n++] = i;
	}
	return n;
}

/* t has seen the word as it was after store i. */
static void seen(const struct span *s, unsigned t, u32 i, bool acquire)
{
	const struct word *w = s->word;

	for (unsigned h = first_half(s); w->view && h <= last_half(s); h++) {
		u32 k = writer(w, i, h ? 0xf0 : 0x0f);
		u32 from = writer(w, i, bytes_of(s) & (h ? 0xf0 : 0x0f));

		if (view[t][w->view + h] < k)
			view[t][w->view + h] = (u16)k;
		take_over(t, &w->store[from], acquire);
	}
}

static int order_at(void *pc, int order)
{
	if (memory_place)
		memory_place(pc, order);
	for (unsigned i = 0; i < WEAK_MAX && memory_weak[i]; i++)
		if (memory_weak[i] == pc)
			return memory_weak_order;
	return order;
}

/* By the observer, who is not to go on for ever either. */
static u64 native_load(const void *p, unsigned size)
{
	u64 val = 0;

	look_count();
	memcpy(&val, p, size);
	return val;
}

static void native_store(void *p, unsigned size, u64 val)
{
	struct span s;

	if (find(p, size, &s))
		soil(s.word);
	memcpy(p, &val, size);
}

u64 memory_load(void *p, unsigned size, int order, void *pc)
{
	struct span s;
	u32 at[CANDIDATES];
	unsigned t, n, i;
	u64 val;

	if (!sched_active() || !find(p, size, &s))
		return native_load(p, size);
	order = order_at(pc, order);
	t = sched_self();
	sched_point(LOOK_LOAD, s.word->hot);
	find(p, size, &s);
	know(s.word, t, false);
	race(&s, t, ATOMIC_LOAD, pc);
	n = visible(&s, t, order, NULL, at);
	i = n > 1 ? sched_pick_value(n) : 0;
	seen(&s, t, at[i], acquires(order));
	val = cut(s.word->store[at[i]].val, &s);
	trace_add(t, "load", s.word->off + s.shift, val, i, order, pc);
	return val;
}

void memory_store(void *p, unsigned size, u64 val, int order, void *pc)
{
	struct span s;
	unsigned t;

	if (!sched_active() || !find(p, size, &s)) {
		native_store(p, size, val);
		return;
	}
	order = order_at(pc, order);
	t = sched_self();
	sched_point(LOOK_STORE, s.word->hot);
	find(p, size, &s);
	know(s.word, t, true);
	race(&s, t, ATOMIC_STORE, pc);
	store_value(&s, append(&s, t, false, order), val);
	trace_add(t, "store", s.word->off + s.shift, val, 0, order, pc);
}

static u64 combine(enum rmw op, u64 old, u64 val)
{
	switch (op) {
	case RMW_SET:
		return val;
	case RMW_ADD:
		return old + val;
	case RMW_SUB:
		return old - val;
	case RMW_AND:
		return old & val;
	case RMW_OR:
		return old | val;
	default:
		return old ^ val;
	}
}

/* The running actor reads the last store, and its own comes right behind it. */
static void replace(struct span *s, unsigned t, u64 val, int order, void *pc)
{
	know(s->word, t, true);
	race(s, t, ATOMIC_STORE, pc);
	seen(s, t, s->word->n - 1, acquires(order));
	store_value(s, append(s, t, true, order), val);
}

u64 memory_rmw(enum rmw op, void *p, unsigned size, u64 val, int order, void *pc)
{
	struct span s;
	unsigned t;
	u64 old;

	if (!sched_active() || !find(p, size, &s)) {
		old = native_load(p, size);
		native_store(p, size, combine(op, old, val));
		return old;
	}
	order = order_at(pc, order);
	t = sched_self();
	sched_point(LOOK_STORE, s.word->hot);
	find(p, size, &s);
	old = cut(s.word->store[s.word->n - 1].val, &s);
	replace(&s, t, combine(op, old, val), order, pc);
	trace_add(t, "rmw", s.word->off + s.shift, combine(op, old, val), 0, order, pc);
	return old;
}

bool memory_cas(void *p, unsigned size, u64 *expected, u64 val, int order, int failure, void *pc)
{
	struct span s;
	u32 at[CANDIDATES];
	unsigned t, n, i;
	u64 old;

	if (!sched_active() || !find(p, size, &s)) {
		old = native_load(p, size);
		if (old == *expected)
			native_store(p, size, val);
		*expected = old == *expected ? *expected : old;
		return old == *expected;
	}
	order = order_at(pc, order);
	if (order == __ATOMIC_RELAXED)
		failure = __ATOMIC_RELAXED;
	t = sched_self();
	sched_point(LOOK_STORE, s.word->hot);
	find(p, size, &s);
	/* It may fail by what a load might return, and succeed by the last store alone. */
	n = visible(&s, t, failure, expected, at);
	i = n > 1 ? sched_pick_value(n) : 0;
	old = cut(s.word->store[at[i]].val, &s);
	if (old == *expected) {
		replace(&s, t, val, order, pc);
		trace_add(t, "cas", s.word->off + s.shift, val, i, order, pc);
		return true;
	}
	know(s.word, t, false);
	race(&s, t, ATOMIC_LOAD, pc);
	seen(&s, t, at[i], acquires(failure));
	trace_add(t, "cas fails", s.word->off + s.shift, old, i, order, pc);
	*expected = old;
	return false;
}

static void fence(unsigned t, int order)
{
	if (acquires(order))
		join(view[t], pending[t], 0, nview);
	if (order == __ATOMIC_SEQ_CST) {
		/* What was seen, not what was done: such fences order, and do not synchronize. */
		join(view[t], seq_cst_view, ACTORS, nview);
		join(seq_cst_view, view[t], ACTORS, nview);
	}
	if (releases(order))
		fenced[t] = message(t);
}

void memory_fence(int order, void *pc)
{
	unsigned t;

	if (!sched_active())
		return;
	t = sched_self();
	order = order_at(pc, order);
	if (order == __ATOMIC_RELAXED)
		return;
	trace_add(t, "fence", 0, 0, 0, order, pc);
	fence(t, order);
}

/* ---- plain accesses ------------------------------------------------------------------------- */

static void plain_word(const struct span *s, unsigned t, bool store, void *pc)
{
	know(s->word, t, store);
	race(s, t, store ? PLAIN_STORE : PLAIN_LOAD, pc);
	if (store)
		append(s, t, false, __ATOMIC_RELAXED)->plain = true;
}

void memory_plain(void *p, size_t len, bool store, void *pc)
{
	struct span s;
	u8 *at = p;

	if (!memory_inside(p))
		return;
	if (sched_active() && store)
		sched_point(LOOK_STORE, false);
	for (; len && find(at, len < 8 ? (unsigned)len : 8, &s); len -= s.size, at += s.size) {
		if (sched_active())
			plain_word(&s, sched_self(), store, pc);
		else if (store)
			soil(s.word);
	}
	if (sched_active())
		trace_add(sched_self(), store ? "plain store" : "plain load",
			  (u64)((u8 *)p - mapping()->base), len, 0, 0, pc);
}

/* ---- the system, and clocks ----------------------------------------------------------------- */

static bool find_off(u64 off, struct span *ret)
{
	*ret = (struct span){.word = word_at(off), .shift = (u8)(off & 7), .size = 4};
	ret->at = memory_map[OBSERVER].base + (off & ~UINT64_C(7));
	return true;
}

u32 memory_system_load(u64 off)
{
	struct span s;
	unsigned t = sched_self();

	find_off(off, &s);
	know(s.word, t, false);
	seen(&s, t, s.word->n - 1, false);
	return (u32)cut(s.word->store[s.word->n - 1].val, &s);
}

void memory_system_store(unsigned t, u64 off, u32 val)
{
	struct span s;

	find_off(off, &s);
	know(s.word, t, true);
	store_value(&s, append(&s, t, true, __ATOMIC_SEQ_CST), val);
	trace_add(t, "death", off, val, 0, __ATOMIC_SEQ_CST, NULL);
}

/*
 * The system takes a lock to tell that another's is gone, and took it when that one died: what the
 * dead did comes before what follows.
 */
void memory_witness(unsigned dead)
{
	if (sched_active())
		join(view[sched_self()], view[dead], 0, nview);
}

void memory_clock(u16 ret[ACTORS])
{
	unsigned t = sched_self();

	memcpy(ret, view[t], ACTORS * sizeof(u16));
	view[t][t]++;
}
