/* SPDX-License-Identifier: MIT */
/* What becomes of a semaphore's permits when somebody dies, and what else the segment asks for. */
#include "kinds/semaphore.h"
#include "segment/registry.h"

int ipk_sem_bind(struct ipk_obj *obj, struct ipk_sem_shape *ret)
{
	struct ipk_semaphore_body *body = ipk_at(obj->seg, obj->body, sizeof(*body), IPK_LINE);
	u64 before = obj->body - obj->off, bytes;

	if (!body || before > obj->size)
		return -EBADMSG;
	ret->body = body;
	ret->cap = ipk_ld(&body->cap, relaxed);
	bytes = ipk_sem_bytes(ret->cap);
	if (!bytes || bytes > obj->size - before ||
	    ipk_ld(&body->stride, relaxed) != ipk_sem_stride(ret->cap))
		return -EBADMSG;
	ret->shift = ipk_sem_shift(ret->cap);
	ret->cells = (u8 *)body + sizeof(*body);
	return 0;
}

/* ---- after a death ----------------------------------------------------------------------------- */

/* Who was found alive a moment ago is not asked about again; who is dead is, for each cell. */
struct known_alive {
	u64 map[(IPK_SLOTS_MAX + 63) / 64];
};

static bool owner_gone(struct ipk_segment *seg, u32 slot, struct known_alive *known)
{
	struct ipk_participant *p;
	bool ask = true;

	if (slot < IPK_SLOTS_MAX && (known->map[slot / 64] >> slot % 64 & 1))
		return false;
	p = ipk_slot_page(seg, slot);
	/* A thread's live word tells of its death; who has none has only his byte. */
	if (p && IPK_CLAIM_STATE(ipk_ld(&p->claim, acquire)) == IPK_CLAIM_LIVE)
		ask = ipk_ld(&p->live, relaxed) == 0;
	if (ipk_dead(seg, slot, ask))
		return true;
	if (slot < IPK_SLOTS_MAX)
		known->map[slot / 64] |= UINT64_C(1) << slot % 64;
	return false;
}

int ipk_sem_mend(struct ipk_segment *seg, const struct ipk_sem_shape *s)
{
	struct known_alive known = { { 0 } };
	int n = 0;

	for (u64 i = 0; i < s->cap; i++) {
		u64 *cell = ipk_sem_cell(s, i);
		u64 v = ipk_ld(cell, acquire); /* the word before the liveness of its owner */
		u64 owner = ipk_sem_owner(v);

		if (!owner || owner == IPK_SEM_NOBODY || v & IPK_SEM_P)
			continue;
		if (owner_gone(seg, (u32)owner - 1, &known))
			n += ipk_sem_free(cell, v);
	}
	return n;
}

int ipk_sem_settle(const struct ipk_sem_shape *s)
{
	u64 pend = ipk_ld(&s->body->pend, acquire); /* pairs with its release: then all cells were there */
	int n = 0;

	for (u64 i = 0; i < s->cap; i++) {
		u64 *cell = ipk_sem_cell(s, i);
		u64 v = ipk_ld(cell, relaxed);

		if (!(v & IPK_SEM_P))
			continue;
		if (pend)
			ipk_cas(cell, &v, (v & ~IPK_SEM_P) | IPK_SEM_NOBODY, acq_rel);
		else
			n += ipk_sem_free(cell, v);
	}
	ipk_st(&s->body->pend, UINT64_C(0), release);
	return n;
}

/* ---- what the segment asks -------------------------------------------------------------- */

bool ipk_semaphore_attachable(struct ipk_obj *obj)
{
	struct ipk_sem_shape shape;

	return ipk_sem_bind(obj, &shape) == 0;
}

int ipk_semaphore_recover(struct ipk_obj *obj)
{
	struct ipk_self *me = obj->opener;
	struct ipk_sem_shape s;
	int n = 0, r;

	r = ipk_sem_bind(obj, &s);
	if (r < 0)
		return r;
	if (!me)
		me = ipk_self(obj->seg, &r);
	if (!me)
		return r;
	if (ipk_ld(&s.body->lock, acquire) & IPK_LOCK_OWNER) {
		r = ipk_lock(me, &s.body->lock, IPK_NOWAIT);
		if (r > 0)
			n = ipk_sem_settle(&s);
		if (r >= 0)
			ipk_unlock(me, &s.body->lock);
	}
	n += ipk_sem_mend(obj->seg, &s);
	if (n)
		ipk_sem_notify(s.body, n);
	return 0;
}

void ipk_semaphore_wake(struct ipk_obj *obj)
{
	struct ipk_sem_shape s;

	if (ipk_sem_bind(obj, &s) < 0)
		return;
	ipk_event_notify(&s.body->ev, INT32_MAX);
	ipk_event_notify(&s.body->ev_many, INT32_MAX);
}
