/* SPDX-License-Identifier: MIT */
/* Barriers for C programs; see barrier.h for the words. */
#include <stdio.h>

#include "kinds/await.h"
#include "kinds/barrier.h"
#include "kinds/cells.h"
#include "kinds/hooks.h"

/* ---- handle ---------------------------------------------------------------------------------- */

static int bind_body(struct ipk_obj *obj, struct ipk_bar_shape *ret)
{
	u64 room, parties;
	struct ipk_barrier_body *body = ipk_body(obj, sizeof(*body), &room);

	if (!body)
		return -EBADMSG;
	parties = ipk_ld(&body->parties, relaxed);
	if (parties == 0 || parties > IPK_BAR_PARTIES_MAX || room - sizeof(*body) < parties * 8 ||
	    ipk_ld(&body->leave, relaxed) > 1)
		return -EBADMSG;
	*ret = (struct ipk_bar_shape){
		.body = body,
		.place = (u64 *)(void *)(body + 1),
		.parties = (u32)parties,
		.leave = ipk_ld(&body->leave, relaxed),
	};
	return 0;
}

int ipk_barrier_open(struct ipk_segment *seg, const char *name, struct ipk_barrier **ret_barrier,
		     struct ipk_error *err)
{
	struct ipk_barrier *b;
	void *handle;
	int r;

	r = ipk_obj_open(seg, name, ipk_kind_barrier.id, ipk_kind_barrier.version,
			 sizeof(struct ipk_barrier_body), sizeof(*b), &handle, err);
	if (r < 0)
		return r;
	b = handle;
	r = bind_body(&b->obj, &b->s);
	if (r < 0) {
		ipk_obj_close(&b->obj);
		return ipk_error_set(err, r, "barrier \"%s\" is damaged", name);
	}
	*ret_barrier = b;
	return 0;
}

int ipk_barrier_create(struct ipk_segment *seg, const char *name, uint64_t parties, bool leave,
		       struct ipk_error *err)
{
	char text[24];
	const struct ipk_param params[] = {{"cap", text}, {"dead", leave ? "leave" : "break"}};

	snprintf(text, sizeof(text), "%llu", (unsigned long long)parties);
	return ipk_object_new(seg, name, "barrier", params, IPK_ARRAY_LEN(params), err);
}

/* ---- opening --------------------------------------------------------------------------------- */

/* Places that somebody has arrived in, and beside them those that are LEFT. */
static u64 count_arrived(const struct ipk_bar_shape *s, u64 g, u64 *ret_left)
{
	u64 n = 0, left = 0;

	for (u32 i = 0; i < s->parties; i++) {
		/*
		 * Acquire: what the parties did before they arrived. seq_cst: pairs with arrivals.
		 */
		u64 v = ipk_ld(&s->place[i], seq_cst);

		if (v & IPK_PLACE_LEFT)
			left++;
		else
			n += ipk_place_arrived(v, g);
	}
	*ret_left = left;
	return n;
}

static u64 next_gen(u64 gen, u64 by_reset)
{
	u64 history = (gen >> IPK_BAR_HISTORY_SHIFT & IPK_BAR_HISTORY) << 1 | by_reset;

	return (ipk_bar_gen(gen) + 1) << IPK_BAR_GEN_SHIFT | (history & IPK_BAR_HISTORY)
								     << IPK_BAR_HISTORY_SHIFT;
}

/* Opens the barrier if all have arrived in the generation of gen, a moment ago. True: we did. */
static bool try_open(const struct ipk_bar_shape *s, u64 gen)
{
	u64 left, n = count_arrived(s, ipk_bar_gen(gen), &left);

	if (gen & IPK_BAR_BROKEN || n == 0 || n + left < s->parties)
		return false;
	/* seq_cst: pairs with the fence in ipk_event_arm(); release for who goes on. */
	if (!ipk_cas(&s->body->gen, &gen, next_gen(gen, 0), seq_cst))
		return false;
	if (!IPK_BUG(barrier_opens_silently))
		ipk_event_notify_fenced(&s->body->ev, INT32_MAX);
	return true;
}

struct pass {
	const struct ipk_bar_shape *s;
	u64 g;     /* the generation that is to end */
	bool look; /* without write permission: leaves the opening to the others */
};

static int try_pass(void *arg)
{
	const struct pass *p = arg;
	u64 gen = ipk_ld(&p->s->body->gen, acquire), ago; /* pairs with who opened */

	if (ipk_bar_gen(gen) == p->g) {
		if (gen & IPK_BAR_BROKEN)
			return -EOWNERDEAD;
		if (p->look)
			return -EAGAIN;
		try_open(p->s, gen);
		gen = ipk_ld(&p->s->body->gen, acquire);
		if (ipk_bar_gen(gen) == p->g)
			return gen & IPK_BAR_BROKEN ? -EOWNERDEAD : -EAGAIN;
	}
	ago = ipk_bar_gen(gen) - p->g - 1;
	return ago < 8 && gen >> (IPK_BAR_HISTORY_SHIFT + ago) & 1 ? -EOWNERDEAD : 0;
}

/* ---- arriving -------------------------------------------------------------------------------- */

/* The place of owner, or parties. */
static u32 place_of(struct ipk_barrier *b, const struct ipk_self *me)
{
	u64 owner = (u64)me->slot + 1;
	u32 i = me->tix < IPK_ARRAY_LEN(b->where) ? b->where[me->tix] : 0;

	if (i < b->s.parties && ipk_place_owner(ipk_ld(&b->s.place[i], relaxed)) == owner)
		return i;
	for (i = 0; i < b->s.parties; i++)
		if (ipk_place_owner(ipk_ld(&b->s.place[i], relaxed)) == owner)
			break;
	return i;
}

bool ipk_bar_take(const struct ipk_bar_shape *s, u32 i, u64 owner, u64 g, bool left)
{
	u64 v = ipk_ld(&s->place[i], acquire);
	u64 has = ipk_place_owner(v);

	if (!!(v & IPK_PLACE_LEFT) != left)
		return false;
	if (!left && has != owner && has != 0 && has != IPK_PLACE_NOBODY)
		return false;
	if (!left && ipk_place_arrived(v, g))
		return has == owner && owner != IPK_PLACE_NOBODY;
	/* What the place says may be an arrival in a later generation, which must not be lost. */
	if (ipk_bar_gen(ipk_ld(&s->body->gen, acquire)) != g)
		return false;
	/*
	 * Release: pairs with who counts. seq_cst, as the counting that follows: of two who arrive
	 * last at least one sees both, and opens.
	 */
	return ipk_cas(&s->place[i], &v, ipk_place_next(v, g, owner), seq_cst);
}

/* Arrives somewhere; *ret_g is the generation in which. New parties are counted as holding. */
static int arrive(struct ipk_barrier *b, struct ipk_self *me, u64 owner, u64 *ret_g, u32 *ret_i)
{
	u64 gen = ipk_ld(&b->s.body->gen, acquire), g = ipk_bar_gen(gen);
	bool party = owner != IPK_PLACE_NOBODY;
	u32 i = party ? place_of(b, me) : b->s.parties;
	bool fresh = i == b->s.parties, left = false;

	if (gen & IPK_BAR_BROKEN)
		return -EOWNERDEAD;
	*ret_g = g;
	if (!fresh) {
		*ret_i = i;
		if (ipk_bar_take(&b->s, i, owner, g, false))
			return 0;
		/* Ours to change alone; but who reset it ended the generation without us. */
		return ipk_bar_gen(ipk_ld(&b->s.body->gen, acquire)) != g ? -EAGAIN : -EBADMSG;
	}
	/* Free places first: those of the dead would not be missed. */
	for (int pass = 0; pass < 2; pass++, left = true) {
		for (i = 0; i < b->s.parties; i++) {
			if (!ipk_bar_take(&b->s, i, owner, g, left))
				continue;
			if (party && me->tix < IPK_ARRAY_LEN(b->where))
				b->where[me->tix] = i;
			if (party)
				ipk_hold_get(me);
			*ret_i = i;
			return 0;
		}
	}
	/* Full: of others, or because it is just being opened. */
	if (ipk_bar_gen(ipk_ld(&b->s.body->gen, acquire)) != g)
		return -EAGAIN;
	try_open(&b->s, gen);
	return ipk_bar_gen(ipk_ld(&b->s.body->gen, acquire)) != g ? -EAGAIN : -EDQUOT;
}

/*
 * Takes back what place i says, which becomes owner's without an arrival. 0: done; else generation
 * g has ended, and the arrival may have counted.
 */
static int withdraw(const struct ipk_bar_shape *s, u32 i, u64 g, u64 owner)
{
	u64 v = ipk_ld(&s->place[i], relaxed), gen;

	while (!ipk_cas(&s->place[i], &v, ipk_place_next(v, g - 1, owner), acq_rel))
		;
	/* Who saw us arrived must not open any more. */
	gen = ipk_ld(&s->body->gen, acquire);
	while (ipk_bar_gen(gen) == g) {
		u64 next = (gen & ~IPK_BAR_WITHDRAWN) |
			   ((gen + IPK_BAR_WITHDRAWN_ONE) & IPK_BAR_WITHDRAWN);

		if (ipk_cas(&s->body->gen, &gen, next, seq_cst))
			return 0;
	}
	return 1;
}

int ipk_barrier_wait(struct ipk_barrier *barrier, int64_t deadline)
{
	struct pass p = {.s = &barrier->s};
	struct ipk_self *me;
	u64 gen;
	u32 i;
	int r, last;

	me = ipk_use(&barrier->obj, &r);
	if (!me)
		return r;
	do {
		r = arrive(barrier, me, (u64)me->slot + 1, &p.g, &i);
	} while (r == -EAGAIN);
	if (r < 0)
		return r;
	/*
	 * Is it the last that arrives? As gen is now: withdrawals before the arrival do not matter.
	 */
	gen = ipk_ld(&barrier->s.body->gen, acquire);
	if (ipk_bar_gen(gen) == p.g && try_open(&barrier->s, gen))
		return 0;
	r = ipk_await(&barrier->obj, me, &barrier->s.body->ev, try_pass, &p, deadline);
	if (r == 0 || r == -EOWNERDEAD)
		return r;
	if (withdraw(&barrier->s, i, p.g, (u64)me->slot + 1) == 0)
		return r;
	last = try_pass(&p);
	return last == -EAGAIN ? r : last;
}

int ipk_barrier_arrive(struct ipk_barrier *barrier)
{
	struct ipk_self *me;
	u64 g;
	u32 i;
	int r;

	me = ipk_use(&barrier->obj, &r);
	if (!me)
		return r;
	do {
		r = arrive(barrier, me, IPK_PLACE_NOBODY, &g, &i);
	} while (r == -EAGAIN);
	if (!r)
		try_open(&barrier->s, ipk_ld(&barrier->s.body->gen, acquire));
	return r;
}

int ipk_barrier_watch(struct ipk_barrier *barrier, int64_t deadline)
{
	struct pass p = {.s = &barrier->s};
	struct ipk_self *me;
	int r;

	p.g = ipk_bar_gen(ipk_ld(&barrier->s.body->gen, acquire));
	p.look = !barrier->obj.seg->writable;
	if (p.look)
		return ipk_await_poll(&barrier->obj, try_pass, &p, deadline);
	me = ipk_use(&barrier->obj, &r);
	return me ? ipk_await(&barrier->obj, me, &barrier->s.body->ev, try_pass, &p, deadline) : r;
}

/* ---- leaving --------------------------------------------------------------------------------- */

int ipk_barrier_leave(struct ipk_barrier *barrier)
{
	struct ipk_self *me;
	u32 i;
	int r;

	me = ipk_use(&barrier->obj, &r);
	if (!me)
		return r;
	i = place_of(barrier, me);
	if (i == barrier->s.parties)
		return -ENOENT;
	withdraw(&barrier->s, i, ipk_bar_gen(ipk_ld(&barrier->s.body->gen, acquire)), 0);
	ipk_hold_put(me);
	return 0;
}

/* The participant of this process that has place i, or NULL. */
static struct ipk_self *self_at(struct ipk_barrier *b, u32 i)
{
	u64 owner = ipk_place_owner(ipk_ld(&b->s.place[i], relaxed));

	return owner && owner != IPK_PLACE_NOBODY ? ipk_owner_of_process(b->obj.seg, owner) : NULL;
}

void ipk_barrier_close(struct ipk_barrier *barrier)
{
	if (!barrier)
		return;
	for (u32 i = 0; barrier->obj.seg->writable && i < barrier->s.parties; i++) {
		struct ipk_self *self = self_at(barrier, i);

		if (!self)
			continue;
		withdraw(&barrier->s, i, ipk_bar_gen(ipk_ld(&barrier->s.body->gen, acquire)), 0);
		ipk_hold_put(self);
	}
	ipk_obj_close(&barrier->obj);
}

/*
 * What the death of place i's party means. Killed between its two steps: the place still names the
 * dead, and all is done again.
 */
static void bury(struct ipk_segment *seg, const struct ipk_bar_shape *s, u32 i)
{
	u64 v = ipk_ld(&s->place[i], acquire); /* the word before the liveness of its owner */
	u64 owner = ipk_place_owner(v), gen;

	if (!owner || owner == IPK_PLACE_NOBODY || !ipk_dead(seg, (u32)owner - 1, true))
		return;
	gen = ipk_ld(&s->body->gen, acquire);
	if (s->leave) {
		ipk_cas(&s->place[i], &v,
			ipk_place_next(v, ipk_bar_gen(gen) - 1, 0) | IPK_PLACE_LEFT, seq_cst);
		return;
	}
	do {
		/* Somebody else may have done this, and the barrier be whole again since. */
		if (ipk_ld(&s->place[i], acquire) != v)
			return;
	} while (!(gen & IPK_BAR_BROKEN) && !IPK_BUG(barrier_forgets_the_dead) &&
		 !ipk_cas(&s->body->gen, &gen, gen | IPK_BAR_BROKEN, seq_cst));
	ipk_cas(&s->place[i], &v, ipk_place_next(v, ipk_bar_gen(gen) - 1, 0), seq_cst);
}

static void free_left(const struct ipk_bar_shape *s, u64 g)
{
	for (u32 i = 0; i < s->parties; i++) {
		u64 v = ipk_ld(&s->place[i], acquire);

		if (v & IPK_PLACE_LEFT)
			ipk_cas(&s->place[i], &v, ipk_place_next(v, g - 1, 0), acq_rel);
	}
}

int ipk_barrier_reset(struct ipk_barrier *barrier)
{
	struct ipk_bar_shape *s = &barrier->s;
	u64 gen, left;
	int r;

	if (!ipk_use(&barrier->obj, &r))
		return r;
	gen = ipk_ld(&s->body->gen, acquire);
	do {
		if (!(gen & IPK_BAR_BROKEN)) {
			if (count_arrived(s, ipk_bar_gen(gen), &left) > 0)
				return -EBUSY;
			free_left(s, ipk_bar_gen(gen));
			break;
		}
		/* Whose death this mends must not be found in a place and break it again. */
		for (u32 i = 0; i < s->parties; i++)
			bury(barrier->obj.seg, s, i);
	} while (!ipk_cas(&s->body->gen, &gen, next_gen(gen, 1), seq_cst));
	ipk_event_notify_fenced(&s->body->ev, INT32_MAX);
	return 0;
}

uint64_t ipk_barrier_generation(struct ipk_barrier *barrier, uint64_t *ret_arrived)
{
	u64 g = ipk_bar_gen(ipk_ld(&barrier->s.body->gen, acquire)), n, left;

	n = count_arrived(&barrier->s, g, &left);
	if (ret_arrived)
		*ret_arrived = n + left;
	return g;
}

/* ---- what the segment asks ------------------------------------------------------------------- */

bool ipk_barrier_attachable(struct ipk_obj *obj)
{
	struct ipk_bar_shape s;

	return bind_body(obj, &s) == 0;
}

int ipk_barrier_recover(struct ipk_obj *obj)
{
	struct ipk_bar_shape s;
	int r = bind_body(obj, &s);

	if (r < 0)
		return r;
	for (u32 i = 0; i < s.parties; i++)
		bury(obj->seg, &s, i);
	try_open(&s, ipk_ld(&s.body->gen, acquire));
	ipk_event_notify(&s.body->ev, INT32_MAX);
	return 0;
}

void ipk_barrier_wake(struct ipk_obj *obj)
{
	struct ipk_bar_shape s;

	if (bind_body(obj, &s) == 0)
		ipk_event_notify(&s.body->ev, INT32_MAX);
}
