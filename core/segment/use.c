/* SPDX-License-Identifier: MIT */
/* A thread's first use of an object that another thread of the process has opened. */
#include "segment/registry.h"

/*
 * After a fork nobody of this process lists the object: is it still the one that was opened? Listed
 * by me already; so what is found now stays.
 */
static bool same_object(const struct ipk_obj *obj)
{
	if (ipk_ld(&obj->o->magic, acquire) != IPK_OBJ_MAGIC ||
	    ipk_ld(&obj->o->id, acquire) != obj->id)
		return false;
	/*
	 * One that was removed does not do: its reaper may have looked for users before we listed
	 * it and not yet have said so. One that is not, will be looked for after its removal.
	 */
	return ipk_ld(&obj->o->state, acquire) == IPK_OBJ_LIVE;
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
	/* The mutex: the close of another handle of the object takes away what no handle claims. */
	pthread_mutex_lock(&obj->seg->mutex);
	added = ipk_uses_add(me, obj->off);
	if (me->tix < 64)
		ipk_or(&obj->listed, UINT64_C(1) << me->tix, relaxed);
	pthread_mutex_unlock(&obj->seg->mutex);
	if (!ipk_ld(&obj->opener, relaxed)) {
		r = adopt(obj, me);
		if (r < 0) {
			pthread_mutex_lock(&obj->seg->mutex);
			if (me->tix < 64)
				ipk_and(&obj->listed, ~(UINT64_C(1) << me->tix), relaxed);
			if (added)
				ipk_uses_drop(me, obj->off);
			pthread_mutex_unlock(&obj->seg->mutex);
			*ret_error = r;
			return NULL;
		}
	}
	return me;
}
