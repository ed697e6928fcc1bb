/* SPDX-License-Identifier: MIT */
/* A stack's lock, what is changed with it in more than one word, and what the dead leave. See
 * stack.h. */
#include <stdlib.h>

#include "kinds/stack.h"

#define PATIENCE                                                                                   \
	INT64_C(1000000000) /* ns: longer than anybody has the lock who was not stopped            \
			     */

/* ---- changes of several words --------------------------------------------------------------- */

static void store_order(struct ipk_stack *s, const struct ipk_stack_change *c)
{
	for (int i = 0; i < 2; i++)
		/* Release: a reader who finds it has the top that came before it. */
		ipk_st(&s->b->order[c->at[i]], c->id[i], release);
}

/* Stores what was decided on; as often as owners die in it. */
static void apply(struct ipk_stack *s, const struct ipk_stack_change *c)
{
	u64 *w = &s_slot(s, c->slot)->w;

	/* Release, all of them: in this order for readers, too. */
	switch (c->kind) {
	case IPK_STACK_LEASE:
		ipk_st(w, c->w, release);
		ipk_st(&s->b->top, c->top, release);
		store_order(s, c);
		break;
	case IPK_STACK_ACK:
		ipk_st(w, c->w, release);
		store_order(s, c);
		ipk_st(&s->b->top, c->top, release);
		break;
	default:
		store_order(s, c);
		ipk_st(&s->b->top, c->top, release);
		ipk_st(w, c->w, release);
	}
}

void ipk_stack_carry_out(struct ipk_stack *s, const struct ipk_stack_change *c)
{
	struct ipk_stack_change *to = &s->b->redo.change;

	/* The last change's todo = 0 before this one's words: pairs with the acquire in redo(). */
	ipk_fence(release);
	ipk_st(&to->w, c->w, relaxed);
	ipk_st(&to->top, c->top, relaxed);
	ipk_st(&to->slot, c->slot, relaxed);
	ipk_st(&to->kind, c->kind, relaxed);
	for (int i = 0; i < 2; i++) {
		ipk_st(&to->at[i], c->at[i], relaxed);
		ipk_st(&to->id[i], c->id[i], relaxed);
	}
	/* COMMIT. Pairs with the acquire in redo(): the words come before it. */
	ipk_st(&s->b->redo.todo, UINT64_C(1), release);
	/* And what follows must not be seen before it, or a death would leave half of it for ever.
	 */
	ipk_fence(release);
	apply(s, c);
	ipk_st(&s->b->redo.todo, UINT64_C(0), release);
}

/* What a dead owner had decided on. */
static int redo(struct ipk_stack *s)
{
	const struct ipk_stack_change *from = &s->b->redo.change;
	struct ipk_stack_change c;

	if (ipk_ld(&s->b->redo.todo, acquire) == 0) /* pairs with COMMIT */
		return 0;
	ipk_copy_out(&c, from, sizeof(c));
	if (c.slot >= s->g.cap || c.at[0] >= s->g.cap || c.at[1] >= s->g.cap ||
	    c.id[0] >= s->g.cap || c.id[1] >= s->g.cap || st_used(c.top) > s->g.cap)
		return -EBADMSG;
	ipk_fence(release); /* as in ipk_stack_carry_out(): todo is seen before the words */
	apply(s, &c);
	ipk_st(&s->b->redo.todo, UINT64_C(0), release);
	return 0;
}

/* ---- the lock ------------------------------------------------------------------------------- */

static i64 stretched(i64 deadline, i64 patience)
{
	i64 least = ipk_deadline(patience);

	return deadline > least ? deadline : least;
}

/* Lock held. Makes good what a dead owner left; a transaction of its own first. */
static int settle(struct ipk_stack *s, struct ipk_self *me, i64 deadline)
{
	int r = 0;

	if (ipk_ld(&s->b->suspect, relaxed)) {
		if (s->g.size == 0)
			r = ipk_slot_settle(me, deadline);
		if (r < 0)
			return r;
		ipk_st(&s->b->suspect, 0u, relaxed);
	}
	return redo(s);
}

static int enter(struct ipk_stack *s, struct ipk_self *me, i64 deadline)
{
	int r = ipk_lock(me, &s->b->lock, deadline);

	/* Killed before this store, we are a dead owner ourselves. */
	if (r > 0)
		ipk_st(&s->b->suspect, 1u, relaxed);
	if (r < 0)
		return r;
	r = settle(s, me, deadline);
	if (r < 0)
		ipk_unlock(me, &s->b->lock);
	return r;
}

int ipk_stack_lock_slow(struct ipk_stack *s, struct ipk_self *me, i64 deadline)
{
	int r = enter(s, me, stretched(deadline, PATIENCE));

	return r == -ETIMEDOUT && deadline == IPK_NOWAIT ? -EAGAIN : r;
}

/* ---- leases --------------------------------------------------------------------------------- */

int ipk_stack_give_back(struct ipk_stack *s, u32 id)
{
	u64 top = ipk_ld(&s->b->top, relaxed), w = ipk_ld(&s_slot(s, id)->w, relaxed);
	u32 n = st_n(top), leased = st_leased(top), edge, rdc;
	struct ipk_stack_change c = {.kind = IPK_STACK_NACK, .slot = id};

	if (!leased || st_used(top) > s->g.cap)
		return -EBADMSG;
	edge = (u32)(s->g.cap - leased); /* the first entry behind the free ones */
	rdc = sw_rdc(w) == 63 ? 32 : sw_rdc(w) + 1;
	c.w = sw_word(s_turn(s), rdc, 0);
	c.top = st_top(n + 1, leased - 1);
	c.at[0] = edge;
	c.id[0] = n < edge ? ipk_ld(&s->b->order[n], relaxed) : id;
	c.at[1] = n;
	c.id[1] = id;
	if (c.id[0] >= s->g.cap)
		return -EBADMSG;
	ipk_st(&s->b->redelivered, ipk_ld(&s->b->redelivered, relaxed) + 1, relaxed);
	ipk_stack_carry_out(s, &c);
	return 0;
}

struct orphan {
	u64 w;
	u32 id;
};

static int latest_first(const void *a, const void *b)
{
	const struct orphan *x = a, *y = b;

	return sw_later(x->w, y->w) ? -1 : sw_later(y->w, x->w);
}

/* Which slots the dead have leased: *ret_v, to be freed. How many. */
static int find_orphans(struct ipk_stack *s, bool ask, struct orphan **ret_v)
{
	u32 left = st_leased(ipk_ld(&s->b->top, relaxed)), alive = 0;
	struct orphan *v = NULL;
	int n = 0;

	for (u32 id = 0; left && id < s->g.cap; id++) {
		/* Acquire: the word before the liveness of its owner. */
		u64 w = ipk_ld(&s_slot(s, id)->w, acquire);
		u32 own = sw_own(w);

		if (!own)
			continue;
		left--;
		if (own == alive)
			continue;
		if (!ipk_dead(s->obj.seg, own - 1, ask)) {
			alive = own;
			continue;
		}
		if ((n & (n - 1)) == 0) {
			struct orphan *more = reallocarray(v, n ? 2 * (size_t)n : 1, sizeof(*more));

			if (!more) {
				free(v);
				return -ENOMEM;
			}
			v = more;
		}
		v[n++] = (struct orphan){.w = w, .id = id};
	}
	*ret_v = v;
	return n;
}

int ipk_stack_mend(struct ipk_stack *s, bool ask)
{
	struct orphan *v = NULL;
	int n = find_orphans(s, ask, &v), i, r = 0;

	/* The latest lay lowest. */
	if (n > 1)
		qsort(v, (size_t)n, sizeof(*v), latest_first);
	for (i = 0; !r && i < n; i++)
		r = ipk_stack_give_back(s, v[i].id);
	free(v);
	return r < 0 ? r : n;
}

/* ---- what the segment asks ------------------------------------------------------------------ */

void ipk_stack_wake(struct ipk_obj *obj)
{
	struct ipk_stack_body *b = ipk_at(obj->seg, obj->body, sizeof(*b), IPK_LINE);

	if (!b)
		return;
	ipk_event_notify(&b->items, INT32_MAX);
	ipk_event_notify(&b->space, INT32_MAX);
}

/*
 * The lock of a dead one must not name its number once that is another's, nor may a lease: so the
 * lock is taken, which supersedes the dead.
 */
int ipk_stack_recover(struct ipk_obj *obj)
{
	struct ipk_stack s = {.obj = *obj};
	int r = ipk_stack_bind(&s);
	struct ipk_self *me = r ? NULL : ipk_self(obj->seg, &r);

	if (!me)
		return r;
	r = enter(&s, me, IPK_FOREVER);
	if (r == 0) {
		r = ipk_stack_mend(&s, true);
		ipk_unlock(me, &s.b->lock);
	}
	ipk_stack_wake(&s.obj);
	/* Held by somebody who was stopped: another time. */
	return r == -EBADMSG ? r : r < 0 ? -EAGAIN : 0;
}

#define FREES 64u

int ipk_stack_destroy(struct ipk_obj *obj)
{
	struct ipk_stack s = {.obj = *obj};
	u64 *buf[FREES];
	int r = ipk_stack_bind(&s);
	struct ipk_self *me = r ? NULL : ipk_use(&s.obj, &r);
	u32 n = 0;

	if (!me)
		return r;
	for (u64 id = 0; !r && s.g.size == 0 && id < s.g.cap; id++) {
		struct ipk_stack_slot *slot = s_slot(&s, (u32)id);

		if (ipk_ld(&slot->var.buf, relaxed))
			buf[n++] = &slot->var.buf;
		if (n == FREES) {
			r = ipk_slot_release_all(me, buf, n);
			n = 0;
		}
	}
	return r ? r : ipk_slot_release_all(me, buf, n);
}
