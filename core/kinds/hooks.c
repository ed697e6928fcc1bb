/* SPDX-License-Identifier: MIT */
/* What kinds do alike in the functions that their descriptors name. */
#include "kinds/hooks.h"
#include "segment/registry.h"
#include "segment/view.h"

void *ipk_body(struct ipk_obj *obj, u64 size, u64 *ret_room)
{
	u64 before = obj->body - obj->off;

	if (before > obj->size || obj->size - before < size)
		return NULL;
	if (ret_room)
		*ret_room = obj->size - before;
	return ipk_at(obj->seg, obj->body, size, IPK_LINE);
}

int ipk_take_over(struct ipk_obj *obj, u64 *lock, ipk_mend_fn *mend, void *arg)
{
	struct ipk_self *me = obj->opener;
	/* Acquire: the word before the liveness of its owner. */
	u32 own = (u32)(ipk_ld(lock, acquire) & IPK_LOCK_OWNER);
	int r = 0, died;

	if (!own)
		return 0;
	if (!me)
		me = ipk_self(obj->seg, &r);
	if (!me)
		return r;
	/*
	 * Our own: we hold it and sweep. Or our number's former owner's, whom the next one to lock
	 * notices.
	 */
	if (own - 1 == me->slot || !ipk_dead(obj->seg, own - 1, true))
		return 0;
	died = ipk_lock(me, lock, IPK_NOWAIT);
	if (died < 0)
		return 0;
	if (mend)
		r = mend(me, arg, died);
	ipk_unlock(me, lock);
	return r;
}

int ipk_call_one_value(struct ipk_call *call, struct ipk_buf *ret)
{
	struct ipk_item items[2];
	int n = call->next(call, items, 2), r;

	if (n <= 0)
		return n;
	r = n > 1 ? 1 : ipk_buf_add(ret, items[0].data, items[0].len);
	if (!r)
		r = call->next(call, items, 1);
	if (r > 0)
		r = ipk_error_set(&call->err, -E2BIG, "one value is wanted, there are more");
	return r < 0 ? r : 1;
}

int ipk_no_participant(const struct ipk_object_view *o, u64 owner)
{
	struct ipk_participant_info p;
	int r;

	if (!owner)
		return 0;
	r = owner > IPK_SLOTS_MAX ? -ENOENT : ipk_view_participant(o->view, (u32)owner - 1, &p);
	return r == -ENOENT ? 1 : r;
}

int ipk_no_user(const struct ipk_object_view *o, u64 owner)
{
	int r;

	if (!owner)
		return 0;
	r = owner > IPK_SLOTS_MAX ? -ENOENT
				  : ipk_view_uses_object(o->view, (u32)owner - 1, o->off);
	return r == -ENOENT ? 1 : r == 0 ? 2 : r < 0 ? r : 0;
}

int ipk_check_user(const struct ipk_object_view *o, u64 off, u64 word, u64 owner, const char *what,
		   struct ipk_checker *c)
{
	int gone = ipk_no_user(o, owner), r;
	u64 again;

	if (gone <= 0)
		return gone;
	r = ipk_view_u64(o->view, off, &again);
	if (!r && again == word)
		c->finding(c, "%s participant %llu, who does not %s", what,
			   (unsigned long long)owner - 1, gone == 1 ? "exist" : "use it");
	return r;
}
