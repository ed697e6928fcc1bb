/* SPDX-License-Identifier: MIT */
/*
 * Is this stack what a stack can be? Reads without trust. What a stack in use shows may be a
 * mixture of two moments: whoever asks compares several looks. What a dead process had decided on
 * and not done is done here, on the copy.
 */
#include <stdlib.h>

#include "kinds/stack_view.h"

#define FINDINGS_MAX 20u /* of one kind: more of them say nothing new */

struct pass {
	struct ipk_checker *c;
	u64 top;
	u32 *order;
	u8 *state; /* of each slot: enum */
	u64 leased;
	u32 twice, beyond, stray, owned, values;
	struct ipk_stack_view sv;
};

enum { UNSEEN, ON_STACK, FREE, LEASED };

#define TELL(p, ...) (p)->c->finding((p)->c, __VA_ARGS__)

static int note_word(struct ipk_stack_view *sv, void *arg, u32 id, u64 w)
{
	struct pass *p = arg;
	const struct ipk_stack_change *c = &sv->b.redo.change;

	if (sv->b.redo.todo && c->slot == id)
		w = c->w;
	if (!sw_own(w))
		return 0;
	if (sw_own(w) > IPK_SLOTS_MAX && p->owned++ < FINDINGS_MAX)
		TELL(p, "slot %u: its word %#llx names no participant", id, (unsigned long long)w);
	p->state[id] = LEASED;
	p->leased++;
	return 0;
}

static bool redo_fits(const struct pass *p)
{
	const struct ipk_stack_change *c = &p->sv.b.redo.change;
	u64 cap = p->sv.g.cap;

	return c->slot < cap && c->at[0] < cap && c->at[1] < cap && c->id[0] < cap &&
	       c->id[1] < cap && st_used(c->top) <= cap;
}

static int load(struct pass *p)
{
	const struct ipk_stack_change *c = &p->sv.b.redo.change;
	int r;

	p->top = p->sv.b.top;
	r = ipk_view_read(p->sv.o->view, p->sv.g.order, p->order, p->sv.g.cap * sizeof(u32));
	if (r == 0 && p->sv.b.redo.todo) {
		p->top = c->top;
		p->order[c->at[0]] = c->id[0];
		p->order[c->at[1]] = c->id[1];
	}
	return r ? r : ipk_stack_words(&p->sv, note_word, p);
}

static void check_entry(struct pass *p, u64 i, int state)
{
	u32 id = p->order[i];

	if (id >= p->sv.g.cap) {
		if (p->beyond++ < FINDINGS_MAX)
			TELL(p, "entry %llu names slot %u of %llu", (unsigned long long)i, id,
			     (unsigned long long)p->sv.g.cap);
	} else if (p->state[id] == LEASED) {
		if (p->stray++ < FINDINGS_MAX)
			TELL(p, "slot %u is leased, and entry %llu names it", id,
			     (unsigned long long)i);
	} else if (p->state[id] != UNSEEN) {
		if (p->twice++ < FINDINGS_MAX)
			TELL(p, "slot %u is named twice", id);
	} else {
		p->state[id] = (u8)state;
	}
}

static void check_value(struct pass *p, u32 id)
{
	u64 buf, size;
	bool has = p->state[id] == ON_STACK || p->state[id] == LEASED;
	const char *fault =
		ipk_slot_fault(p->sv.o->view, sv_slot(&p->sv, id) + 8, has, &buf, &size);

	if (fault && p->values++ < FINDINGS_MAX)
		TELL(p, "slot %u: %s", id, fault);
	if (!fault && buf)
		p->c->block(p->c, buf, size);
}

static void check_all(struct pass *p)
{
	u64 cap = p->sv.g.cap, n = st_n(p->top), leased = st_leased(p->top), i;

	for (i = 0; i < n; i++)
		check_entry(p, i, ON_STACK);
	for (; i < cap - leased; i++)
		check_entry(p, i, FREE);
	if (p->leased != leased)
		TELL(p, "%llu slots are leased, and %llu should be", (unsigned long long)p->leased,
		     (unsigned long long)leased);
	for (i = 0; p->sv.g.size == 0 && i < cap; i++)
		check_value(p, (u32)i);
}

int ipk_stack_check(const struct ipk_object_view *o, struct ipk_checker *c)
{
	struct pass p = {.c = c};
	int r = ipk_stack_look(o, &p.sv);

	if (r == -EBADMSG) {
		TELL(&p, "capacity, element size and length of its memory do not agree");
		return 0;
	}
	if (r < 0)
		return r;
	if (p.sv.b.redo.todo && !redo_fits(&p)) {
		TELL(&p, "the change that waits to be carried out cannot be");
		return 0;
	}
	if (st_used(p.sv.b.redo.todo ? p.sv.b.redo.change.top : p.sv.b.top) > p.sv.g.cap) {
		TELL(&p, "it says that it holds %llu items of %llu",
		     (unsigned long long)st_used(p.sv.b.top), (unsigned long long)p.sv.g.cap);
		return 0;
	}
	p.order = calloc(p.sv.g.cap, sizeof(*p.order));
	p.state = calloc(p.sv.g.cap, 1);
	r = p.order && p.state ? load(&p) : -ENOMEM;
	if (r == 0)
		check_all(&p);
	free(p.order);
	free(p.state);
	return r;
}
