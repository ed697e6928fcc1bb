/* SPDX-License-Identifier: MIT */
/*
 * A stack made right, in a copy where nobody is at work. What order says of the items is kept, as
 * far as each entry names a slot that no other names; what was leased comes back on top, latest
 * lease first; all other slots are free.
 */
#include <stdlib.h>

#include "kinds/stack_view.h"
#include "type.h"
#include "object_type.h"

struct fix {
	struct ipk_checker checker; /* first */
	const struct ipk_object_view *o;
	struct ipk_repairer *r;
	struct ipk_stack_body *b;
	u32 *order; /* in the copy */
	u8 *state;  /* of each slot: flags */
	u64 findings, lost, back;
	struct ipk_stack_view sv; /* geometry */
};

#define HAS 1u   /* holds a value */
#define LOST 2u  /* which cannot be read */
#define TAKEN 4u /* has its place on the stack */

static struct ipk_stack_slot *slot(const struct fix *f, u32 id)
{
	return f->r->at(f->r, sv_slot(&f->sv, id),
			f->sv.g.size ? 8 : sizeof(struct ipk_stack_slot));
}

/* What the object was created with tells them. */
static int mend_constants(struct fix *f)
{
	struct ipk_stack_body want;
	u64 bytes;
	u32 size;
	int r = ipk_stack_look(f->o, &f->sv);

	if (r != -EBADMSG)
		return r;
	r = ipk_text_size(f->o->type, &size);
	if (r < 0)
		return r;
	bytes = ipk_stack_layout(f->o->opts[0], size, &want);
	if (!bytes || bytes > f->o->body_size)
		return -EBADMSG;
	f->b->cap = want.cap;
	f->b->stride = want.stride;
	f->b->size = want.size;
	f->r->did(f->r, "it has %llu slots of %llu bytes, as when it was made",
		  (unsigned long long)want.cap, (unsigned long long)want.stride);
	return ipk_stack_look(f->o, &f->sv);
}

/* ---- is there anything to do? --------------------------------------------------------------- */

static void on_finding(struct ipk_checker *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void on_finding(struct ipk_checker *c, const char *fmt, ...)
{
	(void)fmt;
	((struct fix *)(void *)c)->findings++;
}

static void on_block(struct ipk_checker *c, uint64_t off, uint64_t size)
{
	(void)c, (void)off, (void)size;
}

/* ---- slots ---------------------------------------------------------------------------------- */

/* The change that was decided on, if it can be. */
static void finish_change(struct fix *f)
{
	struct ipk_stack_change *c = &f->b->redo.change;
	u64 cap = f->sv.g.cap;

	if (f->b->redo.todo && c->slot < cap && c->at[0] < cap && c->at[1] < cap &&
	    c->id[0] < cap && c->id[1] < cap && st_used(c->top) <= cap) {
		slot(f, c->slot)->w = c->w;
		f->order[c->at[0]] = c->id[0];
		f->order[c->at[1]] = c->id[1];
		f->b->top = c->top;
	}
	f->b->redo.todo = 0;
}

/* Which slots hold something, as far as that can be told. */
static void mark(struct fix *f)
{
	u64 cap = f->sv.g.cap, n = st_n(f->b->top);

	for (u64 i = 0; i < n && i < cap; i++)
		if (f->order[i] < cap)
			f->state[f->order[i]] |= HAS;
	for (u32 id = 0; id < cap; id++)
		if (sw_own(slot(f, id)->w))
			f->state[id] |= HAS;
}

/* A value of variable size has a block of its own that fits, or none. */
static void mend_value(struct fix *f, u32 id)
{
	struct ipk_stack_slot *s = slot(f, id);
	bool has = f->state[id] & HAS;
	u64 buf, size;
	const char *fault = ipk_slot_fault(f->o->view, sv_slot(&f->sv, id) + 8, has, &buf, &size);

	if (!fault && (!buf || f->r->claim(f->r, buf, size) == 0))
		return;
	f->r->did(f->r, "slot %u has no buffer", id);
	s->var.buf = 0;
	if (s->var.len <= IPK_SLOT_INLINE)
		return;
	s->var.len = 0;
	if (has) {
		f->state[id] |= LOST;
		f->lost++;
	}
}

/* Slot id is the next item of n, if its value can be read. */
static u32 put(struct fix *f, u32 *to, u32 n, u32 id)
{
	if (f->state[id] & LOST)
		return n;
	f->state[id] |= TAKEN;
	to[n] = id;
	return n + 1;
}

static u32 put_leased(struct fix *f, u32 *to, u32 n)
{
	struct ipk_stack_leased l;

	/* Whatever top says of their number. */
	f->sv.b.lock = IPK_LOCK_OWNER;
	if (ipk_stack_find_leased(&f->sv, &l) == 0)
		for (u64 i = 0; i < l.n; i++) {
			u32 rdc = sw_rdc(l.v[i].w) == 63 ? 32 : sw_rdc(l.v[i].w) + 1, at = n;

			slot(f, l.v[i].id)->w = sw_word(++f->b->turn, rdc, 0);
			n = put(f, to, n, l.v[i].id);
			f->back += n > at;
		}
	free(l.v);
	return n;
}

/* Writes order and top anew. */
static int rebuild(struct fix *f)
{
	u64 cap = f->sv.g.cap, had = st_n(f->b->top);
	u32 *to = malloc(cap * sizeof(*to)), n = 0, at;

	if (!to)
		return -ENOMEM;
	for (u64 i = 0; i < had && i < cap; i++) {
		u32 id = f->order[i];

		if (id < cap && !(f->state[id] & TAKEN) && !sw_own(slot(f, id)->w))
			n = put(f, to, n, id);
	}
	n = put_leased(f, to, n);
	at = n;
	for (u32 id = 0; id < cap; id++)
		if (!(f->state[id] & TAKEN))
			to[at++] = id;
	memcpy(f->order, to, cap * sizeof(*to));
	f->b->top = st_top(n, 0);
	free(to);
	return 0;
}

int ipk_stack_repair(const struct ipk_object_view *o, struct ipk_repairer *r)
{
	struct fix f = {.checker = {.finding = on_finding, .block = on_block}, .o = o, .r = r};
	int error;

	if (o->body_size < sizeof(*f.b))
		return -EBADMSG;
	f.b = r->at(r, o->body, sizeof(*f.b));
	error = f.b ? mend_constants(&f) : -EBADMSG;
	if (error == 0)
		error = ipk_stack_check(o, &f.checker);
	if (error < 0)
		return error;
	f.order = r->at(r, f.sv.g.order, f.sv.g.cap * sizeof(u32));
	f.state = calloc(f.sv.g.cap, 1);
	if (!f.state)
		return -ENOMEM;
	if (!f.order || !r->at(r, f.sv.g.slots, f.sv.g.cap * f.sv.g.stride)) {
		free(f.state);
		return -EBADMSG;
	}
	if (f.findings)
		finish_change(&f);
	mark(&f);
	for (u32 id = 0; f.sv.g.size == 0 && id < f.sv.g.cap; id++)
		mend_value(&f, id);
	if (f.findings || f.lost) {
		if (!f.findings)
			finish_change(&f);
		error = rebuild(&f);
		if (error == 0)
			r->did(r, "it has %u items; %llu were leased, %llu are lost",
			       st_n(f.b->top), (unsigned long long)f.back,
			       (unsigned long long)f.lost);
	}
	free(f.state);
	return error;
}
