/* SPDX-License-Identifier: MIT */
/* Removal of objects, and what frees the removed. */
#include "segment/heap.h"
#include "segment/object.h"
#include "segment/registry.h"

#define REAP_MAX (1u << 20) /* each is freed or stays in our hands, unless somebody scribbles */
#define DAMAGED_MAX 16u /* one that stays in our hands should not come again, but it may */
#define GEN_MASK ((UINT64_C(1) << 42) - 1)

static u64 claim_word(const struct ipk_self *me)
{
	return IPK_OBJ_REMOVED | (u64)(me->slot + 1) << 8 | (me->gen & GEN_MASK) << 22;
}

/* Is somebody who lives about to free the object with this state? */
static bool in_hands(struct ipk_segment *seg, u64 state)
{
	u32 slot = (u32)(state >> 8 & IPK_LOCK_OWNER);
	struct ipk_participant *p;
	u64 claim;

	if (!slot)
		return false;
	p = ipk_slot_page(seg, slot - 1);
	if (!p)
		return false;
	claim = ipk_ld(&p->claim,
		       acquire); /* pairs with the release that made it somebody else's */
	return (claim >> 8 & GEN_MASK) == state >> 22 && ipk_claim_uses(claim) &&
	       IPK_CLAIM_STATE(claim) != IPK_CLAIM_DEAD && !ipk_dead(seg, slot - 1, true);
}

/* ---- freeing ---------------------------------------------------------------------------- */

struct reaping {
	u64 off; /* 0: any */
	u64 claim;
};

/* Takes one zombie that nobody uses into our hands. -ENOENT: none. */
static int claim(struct ipk_tx *tx, void *arg)
{
	struct reaping *z = arg;
	u64 off = ipk_tx_get(tx, &ipk_header(tx->seg)->zombies), state;
	struct ipk_zombie_walk walk = {0};
	struct ipk_object *o;

	/* Nobody can begin to use one: it is in no directory. Nobody else decides: we hold the
	 * lock. */
	ipk_fence(seq_cst); /* pairs with the fence behind ipk_uses_drop() */
	while (!ipk_zombies_end(&walk, off)) {
		o = ipk_at(tx->seg, off, sizeof(*o), IPK_LINE);
		if (!o)
			return -EBADMSG;
		state = ipk_tx_get(tx, &o->state);
		/* A kind that we do not know: somebody who does will free it. */
		if (ipk_obj_hooks(ipk_ld(&o->kind, relaxed)) && (!z->off || z->off == off) &&
		    IPK_OBJ_STATE(state) == IPK_OBJ_REMOVED && !ipk_uses_any(tx->seg, off, NULL) &&
		    !in_hands(tx->seg, state)) {
			ipk_tx_set(tx, &o->state, z->claim);
			z->off = off;
			return 0;
		}
		if (z->off == off)
			break;
		off = ipk_tx_get(tx, &o->zombie);
	}
	return -ENOENT;
}

static int finish(struct ipk_tx *tx, void *arg)
{
	struct reaping *z = arg;
	u64 *link = &ipk_header(tx->seg)->zombies, off;
	struct ipk_zombie_walk walk = {0};
	struct ipk_object *o;

	while (!ipk_zombies_end(&walk, off = ipk_tx_get(tx, link))) {
		o = ipk_at(tx->seg, off, sizeof(*o), IPK_LINE);
		if (!o)
			return -EBADMSG;
		if (off == z->off) {
			if (ipk_tx_get(tx, &o->state) != z->claim)
				return 0;
			ipk_tx_set(tx, link, ipk_tx_get(tx, &o->zombie));
			ipk_tx_free(tx, off);
			return 0;
		}
		link = &o->zombie;
	}
	return 0;
}

/* An object that is nobody's handle: for the hooks. */
static int borrow(struct ipk_self *me, u64 off, struct ipk_obj *obj,
		  const struct ipk_obj_hooks **ret_hooks)
{
	int r = ipk_obj_bind(me->seg, off, obj);

	if (r < 0)
		return r;
	obj->opener = me;
	obj->listed = me->tix < 64 ? UINT64_C(1) << me->tix : 0;
	*ret_hooks = ipk_obj_hooks(ipk_ld(&obj->o->kind, relaxed));
	return *ret_hooks ? 0 : -EPROTO;
}

/* Puts it back: anybody may free it. While the word is our claim nobody else changes it. */
static void let_go(struct ipk_self *me, const struct reaping *z)
{
	struct ipk_object *o = ipk_at(me->seg, z->off, sizeof(*o), IPK_LINE);
	u64 state = z->claim;

	if (o)
		ipk_cas(&o->state, &state, IPK_OBJ_REMOVED, acq_rel);
}

/* A signal does not stop it. */
static int run(struct ipk_self *me, int (*fn)(struct ipk_tx *tx, void *arg), void *arg)
{
	int r;

	do
		r = ipk_tx_run(me, fn, arg, IPK_FOREVER, NULL);
	while (r == -EINTR);
	return r;
}

/*
 * Frees one: 0; -ETIMEDOUT or -ECANCELED: another time, by whoever comes first. What cannot be
 * freed, because it is damaged, stays in our hands, so that no one else runs into it again while we
 * live: 1.
 */
static int reap_now(struct ipk_self *me, u64 off)
{
	struct reaping z = {.off = off, .claim = claim_word(me)};
	const struct ipk_obj_hooks *hooks;
	struct ipk_obj obj;
	int r;

	r = run(me, claim, &z);
	if (r < 0)
		return r;
	me->giving_back = true;
	r = borrow(me, z.off, &obj, &hooks);
	if (r == 0 && hooks->destroy) {
		do
			r = hooks->destroy(&obj);
		while (r == -EINTR);
	}
	if (r >= 0)
		r = run(me, finish, &z);
	if (ipk_lock_missed(r))
		let_go(me, &z);
	me->giving_back = false;
	/* Nobody listed it; what its hooks listed in passing must not outlive it. */
	pthread_mutex_lock(&me->seg->mutex);
	ipk_uses_drop(me, z.off);
	pthread_mutex_unlock(&me->seg->mutex);
	return ipk_lock_missed(r) ? r : r < 0;
}

static int reap(struct ipk_self *me, u64 off)
{
	i64 before = ipk_lock_limit(ipk_deadline(IPK_PATIENCE));
	int r = reap_now(me, off);

	ipk_lock_limit_end(before);
	return r;
}

void ipk_reap_zombies(struct ipk_self *me)
{
	u32 left, damaged = 0;
	int r;

	if (me->giving_back) /* a hook's own transaction met a death: the outer one goes on */
		return;
	for (left = REAP_MAX; left; left--) {
		if (!ipk_ld(&ipk_header(me->seg)->zombies, relaxed))
			return;
		r = reap(me, 0);
		if (r < 0 || (damaged += (u32)r) > DAMAGED_MAX)
			return;
	}
}

void ipk_obj_unlisted(struct ipk_self *me, u64 off)
{
	/* Pairs with the fence in claim(): of two who drop it, the later to look sees no one. */
	ipk_fence(seq_cst);
	if (!me->giving_back && ipk_ld(&ipk_header(me->seg)->zombies, relaxed))
		(void)reap(me, off);
}

/* ---- removal ---------------------------------------------------------------------------- */

struct removal {
	struct ipk_dir_name name;
	u64 off;
	bool listed;
};

static int remove_tx(struct ipk_tx *tx, void *arg)
{
	struct removal *m = arg;
	struct ipk_header *h = ipk_header(tx->seg);
	u64 *slot, objects = ipk_tx_get(tx, &h->objects);
	struct ipk_obj obj;
	int r = ipk_dir_find(tx->seg, &m->name, &m->off, &slot, NULL);

	if (r < 0)
		return r;
	r = ipk_obj_bind(tx->seg, m->off, &obj);
	if (r < 0 || !objects)
		return -EBADMSG;
	if (!ipk_obj_hooks(ipk_ld(&obj.o->kind, relaxed)))
		return -EPROTO;
	/* It is ours until the hooks ran. Whoever frees needs the lock, so this is early enough. */
	m->listed = ipk_uses_add(tx->me, m->off) || m->listed;
	ipk_tx_set(tx, &obj.o->zombie, ipk_tx_get(tx, &h->zombies));
	ipk_tx_set(tx, &h->zombies, m->off);
	ipk_tx_set(tx, &obj.o->state, IPK_OBJ_REMOVED);
	ipk_tx_set(tx, &h->objects, objects - 1);
	ipk_dir_drop(tx, slot);
	return 0;
}

static void removed(struct ipk_self *me, const struct removal *m)
{
	const struct ipk_obj_hooks *hooks;
	struct ipk_obj obj;

	if (borrow(me, m->off, &obj, &hooks) == 0 && hooks->wake)
		hooks->wake(&obj);
	if (m->listed)
		ipk_uses_drop(me, m->off);
	ipk_fence(seq_cst); /* pairs with find_and_list(): we see its entry, or it the removal */
	/* The dead use nothing; the sweep frees the object where they were the last. */
	if (ipk_uses_any(me->seg, m->off, me))
		ipk_sweep(me, IPK_FOREVER);
	ipk_obj_unlisted(me, m->off);
	if (ipk_dir_sparse(me->seg))
		(void)ipk_dir_rebuild(me, NULL); /* a full segment can do without */
}

int ipk_object_remove(struct ipk_segment *seg, const char *name, struct ipk_error *err)
{
	struct removal m = {.listed = false};
	struct ipk_self *me;
	int r = 0;

	me = ipk_writer(seg, &r, err);
	if (!me)
		return r;
	ipk_dir_name(&m.name, name);
	r = ipk_object_name_ok(name) ? ipk_tx_run(me, remove_tx, &m, IPK_FOREVER, err) : -ENOENT;
	if (r == 0) {
		removed(me, &m);
		return 0;
	}
	if (m.listed)
		ipk_uses_drop(me, m.off);
	if (r == -ENOENT)
		return ipk_error_set(err, r, "no object %s/%.80s", seg->name, name);
	if (r == -EPROTO)
		return ipk_error_set(
			err, r,
			"%s/%s is of a kind that this library does not know: remove it "
			"with the program that made it",
			seg->name, name);
	return r;
}
