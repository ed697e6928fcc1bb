/* SPDX-License-Identifier: MIT */
/* Who produces and who consumes, and what becomes of that when somebody dies. */
#include "kinds/hooks.h"
#include "kinds/ring.h"
#include "segment/registry.h"

static u64 *role_word(struct ipk_ring_handle *h, enum ipk_ring_role role)
{
	return role == IPK_RING_PRODUCER ? &h->b->producer : &h->b->consumer;
}

/* Takes the word from nobody, or from a dead owner. */
static int take_word(struct ipk_ring_handle *h, struct ipk_self *me, u64 *word, u64 *ret_role)
{
	/* Acquire: the word before the liveness of its owner; pairs with who left it. */
	u64 v = ipk_ld(word, acquire), mine;

	do {
		u32 own = ring_owner(v);

		if (own && !ipk_dead(h->obj.seg, own - 1, true))
			return -EBUSY;
		mine = (((v >> RING_SEQ_SHIFT) + 1) << RING_SEQ_SHIFT) | (me->slot + 1);
	} while (!ipk_cas(word, &v, mine, acq_rel));
	*ret_role = mine;
	return 0;
}

static void give_word(u64 *word, u64 role)
{
	/* Release: what we did in it comes before what the next one does. */
	ipk_cas(word, &role, role & ~RING_OWN, release);
}

int ipk_ring_take_role(struct ipk_ring_handle *h, struct ipk_self *me, enum ipk_ring_role role)
{
	struct ipk_ring_tx *t = h->pub.tx;
	struct ipk_ring_rx *c = h->pub.rx;
	bool produces = role == IPK_RING_PRODUCER;
	u64 *word = role_word(h, role), mine;
	int r;

	if (produces ? t->owner_ != NULL : c->owner_ != NULL)
		return 0;
	r = take_word(h, me, word, &mine);
	if (r < 0)
		return r;
	r = produces ? ipk_ring_start_tx(h, t) : ipk_ring_start_rx(h, c);
	if (r < 0) {
		if (produces)
			memset(t, 0, sizeof(*t));
		else
			memset(c, 0, sizeof(*c));
		give_word(word, mine);
		return r;
	}
	ipk_hold_get(me); /* the role stays with the process when this thread ends */
	if (produces) {
		t->owner_ = me;
		t->role_ = mine;
	} else {
		c->owner_ = me;
		c->role_ = mine;
	}
	return 0;
}

/* Who has the role, in words. */
static int refused(struct ipk_ring_handle *h, enum ipk_ring_role role, struct ipk_error *err)
{
	const char *what = role == IPK_RING_PRODUCER ? "producer" : "consumer";
	u32 own = ring_owner(ipk_ld(role_word(h, role), acquire));
	struct ipk_participant *p = own ? ipk_slot_page(h->obj.seg, own - 1) : NULL;
	char comm[sizeof(p->comm) + 1] = "";

	if (!p)
		return ipk_error_set(err, -EBUSY, "it has another %s", what);
	for (size_t i = 0; i < sizeof(p->comm); i++)
		comm[i] = ipk_ld(&p->comm[i], relaxed);
	return ipk_error_set(err, -EBUSY, "it has a %s: pid %u (%s)", what,
			     ipk_ld(&p->pid, relaxed), comm);
}

int ipk_ring_claim(struct ipk_ring *ring, enum ipk_ring_role role, struct ipk_error *err)
{
	struct ipk_ring_handle *h = ring_handle(ring);
	int r = 0;
	struct ipk_self *me = ipk_use(&h->obj, &r);

	if (me && role == IPK_RING_PRODUCER && ring_many(h))
		return 0;
	if (me)
		r = ipk_ring_take_role(h, me, role);
	if (r == -EBUSY)
		return refused(h, role, err);
	return r < 0 ? ipk_error_set(err, r, "%s", ipk_strerror(r)) : 0;
}

void ipk_ring_leave(struct ipk_ring *ring, enum ipk_ring_role role)
{
	struct ipk_ring_handle *h = ring_handle(ring);
	struct ipk_ring_tx *t = ring->tx;
	struct ipk_ring_rx *c = ring->rx;

	if (role == IPK_RING_PRODUCER && t->owner_) {
		struct ipk_self *owner = t->owner_;
		u64 mine = t->role_;

		memset(t, 0, sizeof(*t));
		give_word(&h->b->producer, mine);
		ipk_hold_put(owner);
	} else if (role == IPK_RING_CONSUMER && c->owner_) {
		struct ipk_self *owner = c->owner_;
		u64 mine = c->role_;

		memset(c, 0, sizeof(*c));
		give_word(&h->b->consumer, mine);
		ipk_hold_put(owner);
	}
}

/* ---- what the segment asks ------------------------------------------------------------------- */

bool ipk_ring_attachable(struct ipk_obj *obj)
{
	struct ipk_ring_handle h = {.obj = *obj};

	return ipk_ring_bind(&h) == 0;
}

/* A role of a dead one is nobody's: its number is about to become another's. */
static void mend_word(struct ipk_ring_handle *h, u64 *word)
{
	u64 v = ipk_ld(word, acquire);

	while (!IPK_BUG(ring_role_kept) && ring_owner(v) && ipk_dead(h->obj.seg, ring_owner(v) - 1, true))
		if (ipk_cas(word, &v, v & ~RING_OWN, acq_rel))
			return;
}

int ipk_ring_recover(struct ipk_obj *obj)
{
	struct ipk_ring_handle h = {.obj = *obj};
	int r = ipk_ring_bind(&h);

	if (r < 0)
		return r;
	mend_word(&h, &h.b->producer);
	mend_word(&h, &h.b->consumer);
	/* Nothing was half-done under the lock that the next one to lock does not see to. */
	r = ipk_take_over(obj, &h.b->lock, NULL, NULL);
	ipk_ring_wake(&h.obj);
	return r;
}

void ipk_ring_wake(struct ipk_obj *obj)
{
	struct ipk_ring_body *b = ipk_at(obj->seg, obj->body, sizeof(*b), IPK_LINE);

	if (!b)
		return;
	ipk_event_notify(&b->items, INT32_MAX);
	ipk_event_notify(&b->space, INT32_MAX);
}
