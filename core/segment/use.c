/* SPDX-License-Identifier: MIT */
/* A thread's first use of an object that another thread of the process has opened. */
#include "segment/registry.h"

/*
 * After a fork nobody of this process lists the object: is it still the one that was opened? Listed by
 * me already; so what is found now stays.
 */
static bool same_object(const struct ipk_obj *obj)
{
	u64 state;

	if (ipk_ld(&obj->o->magic, acquire) != IPK_OBJ_MAGIC || ipk_ld(&obj->o->id, acquire) != obj->id)
		return false;
	/* Its upper part names who is freeing it, or has. */
	state = ipk_ld(&obj->o->state, acquire);
	return state == IPK_OBJ_LIVE || state == IPK_OBJ_REMOVED;
}

/* The handle of a child is its own from here: somebody has to list the object while it is open. */
static int adopt(struct ipk_obj *obj, struct ipk_self *me)
{
	int r = 0;

	/* Pairs with the fence before a reaper looks who lists the object. */
	ipk_fence(seq_cst);
	pthread_mutex_lock(&obj->seg->mutex);
	if (!obj->opener && same_object(obj)) {
		obj->opener = me;
		ipk_hold_get(me);
	} else if (!obj->opener) {
		r = -ESTALE;
	}
	pthread_mutex_unlock(&obj->seg->mutex);
	return r;
}

struct ipk_self *ipk_use_slow(struct ipk_obj *obj, int *ret_error)
{
	struct ipk_self *me = ipk_self(obj->seg, ret_error);
	bool added;
	int r;

	if (!me)
		return NULL;
	if (me->tix < 64 && ipk_ld(&obj->listed, relaxed) >> me->tix & 1)
		return me;
	added = ipk_uses_add(me, obj->off);
	if (!ipk_ld(&obj->opener, relaxed)) {
		r = adopt(obj, me);
		if (r < 0) {
			if (added)
				ipk_uses_drop(me, obj->off);
			*ret_error = r;
			return NULL;
		}
	}
	if (me->tix < 64)
		ipk_or(&obj->listed, UINT64_C(1) << me->tix, relaxed);
	return me;
}
