/* SPDX-License-Identifier: MIT */
/* Once for C programs; see once.h for the word. */
#include <unistd.h>

#include "kinds/await.h"
#include "kinds/cells.h"
#include "kinds/hooks.h"
#include "kinds/once.h"

/* ---- handle --------------------------------------------------------------------------------- */

static struct ipk_once_body *body_of(struct ipk_obj *obj)
{
	return ipk_body(obj, sizeof(struct ipk_once_body), NULL);
}

int ipk_once_open(struct ipk_segment *seg, const char *name, struct ipk_once **ret_once,
		  struct ipk_error *err)
{
	struct ipk_once *once;
	void *handle;
	int r;

	r = ipk_obj_open(seg, name, ipk_kind_once.id, ipk_kind_once.version,
			 sizeof(struct ipk_once_body), sizeof(*once), &handle, err);
	if (r < 0)
		return r;
	once = handle;
	once->body = body_of(&once->obj);
	if (!once->body) {
		ipk_obj_close(&once->obj);
		return ipk_error_set(err, -EBADMSG, "once \"%s\" is damaged", name);
	}
	*ret_once = once;
	return 0;
}

int ipk_once_close(struct ipk_once *once)
{
	u64 owner;

	if (!once)
		return 0;
	owner = ipk_once_owner(ipk_ld(&once->body->word, relaxed));
	/* Without the handle nobody would list the object, and our death at it would go unseen. */
	if (owner && ipk_owner_of_process(once->obj.seg, owner))
		return -EBUSY;
	ipk_obj_close(&once->obj);
	return 0;
}

int ipk_once_create(struct ipk_segment *seg, const char *name, struct ipk_error *err)
{
	return ipk_object_new(seg, name, "once", NULL, 0, err);
}

/* ---- beginning ------------------------------------------------------------------------------ */

/* The word without its owner, who is gone. */
static u64 without_owner(u64 word)
{
	return (word & ~IPK_ONCE_OWNER) | IPK_ONCE_DIED;
}

struct want {
	struct ipk_once *once;
	u64 owner;
	u64 word; /* out: as it is from then on, until it ends */
};

static int try_begin(void *arg)
{
	struct want *w = arg;
	u64 *word = &w->once->body->word;
	u64 v = ipk_ld(word,
		       acquire); /* pairs with done; the word before the liveness of its owner */

	for (;;) {
		u64 from = v;

		if (v & IPK_ONCE_DONE)
			return 0;
		if (ipk_once_owner(v)) {
			if (!ipk_owner_gone(w->once->obj.seg, ipk_once_owner(v)))
				return -EAGAIN;
			from = without_owner(v);
		}
		w->word = from + IPK_ONCE_SEQ_ONE + w->owner;
		/* Acquire: what an earlier one did comes before what this one does. */
		if (ipk_cas(word, &v, w->word, acq_rel))
			return from & IPK_ONCE_DIED ? 2 : 1;
	}
}

int ipk_once_begin(struct ipk_once *once, int64_t deadline)
{
	struct want w = {.once = once};
	struct ipk_self *me;
	int r;

	if (ipk_likely(ipk_once_is_done(once)))
		return 0;
	me = ipk_use(&once->obj, &r);
	if (!me)
		return r;
	w.owner = (u64)me->slot + 1;
	if (ipk_once_owner(ipk_ld(&once->body->word, relaxed)) == w.owner)
		return -EDEADLK;
	r = ipk_await(&once->obj, me, &once->body->ev, try_begin, &w, deadline);
	if (r > 0)
		ipk_hold_get(me);
	return r;
}

/* Owner's alone: what he leaves in the word, which is v. False: it is another, he has it not. */
static bool end(struct ipk_once *once, u64 v, bool done)
{
	u64 next = done ? (v & IPK_ONCE_SEQ) | IPK_ONCE_DONE : v & ~IPK_ONCE_OWNER;
	/* seq_cst: pairs with the fence in ipk_event_arm(); release for who finds it done. */
	if (!ipk_cas(&once->body->word, &v, next, seq_cst))
		return false;
	/* All, though one will do it: some wait for no more than its end. */
	if (!IPK_BUG(once_done_silent))
		ipk_event_notify_fenced(&once->body->ev, INT32_MAX);
	return true;
}

static int end_of_thread(struct ipk_once *once, bool done)
{
	struct ipk_self *me;
	int r;
	u64 v;

	me = ipk_use(&once->obj, &r);
	if (!me)
		return r;
	v = ipk_ld(&once->body->word, relaxed);
	if (ipk_once_owner(v) != (u64)me->slot + 1 || !end(once, v, done))
		return -EPERM;
	ipk_hold_put(me);
	return 0;
}

int ipk_once_done(struct ipk_once *once)
{
	return end_of_thread(once, true);
}

int ipk_once_abandon(struct ipk_once *once)
{
	return end_of_thread(once, false);
}

int ipk_once_run(struct ipk_once *once, int (*fn)(void *arg, bool again), void *arg,
		 int64_t deadline)
{
	int r = ipk_once_begin(once, deadline), r2;

	if (r <= 0)
		return r;
	r = fn(arg, r == 2);
	r2 = r < 0 ? ipk_once_abandon(once) : ipk_once_done(once);
	return r < 0 ? r : r2;
}

/* ---- waiting -------------------------------------------------------------------------------- */

bool ipk_once_is_done(struct ipk_once *once)
{
	return ipk_ld(&once->body->word, acquire) & IPK_ONCE_DONE; /* pairs with done */
}

static int try_done(void *arg)
{
	return ipk_once_is_done(arg) ? 0 : -EAGAIN;
}

int ipk_once_wait(struct ipk_once *once, int64_t deadline)
{
	struct ipk_self *me;
	int r;

	if (try_done(once) == 0)
		return 0;
	if (!once->obj.seg->writable)
		return ipk_await_poll(&once->obj, try_done, once, deadline);
	me = ipk_use(&once->obj, &r);
	return me ? ipk_await(&once->obj, me, &once->body->ev, try_done, once, deadline) : r;
}

/* ---- descriptors ---------------------------------------------------------------------------- */

/* Through this handle, and the descriptor is open. */
static bool is_held(struct ipk_once *once)
{
	u64 held = ipk_ld(&once->held, relaxed);

	return held && held == ipk_ld(&once->body->word, acquire) &&
	       !ipk_owner_gone(once->obj.seg, ipk_once_owner(held));
}

int ipk_once_hold(struct ipk_once *once, int64_t deadline, int *ret_fd)
{
	struct want w = {.once = once};
	struct ipk_self *me;
	u32 slot;
	int r, fd;

	*ret_fd = -1;
	if (ipk_once_is_done(once))
		return 0;
	me = ipk_use(&once->obj, &r);
	if (!me)
		return r;
	if (is_held(once))
		return -EBUSY;
	r = ipk_holder_new(once->obj.seg, &fd, &slot);
	if (r < 0)
		return r;
	r = ipk_holder_use(&once->obj, slot);
	w.owner = (u64)slot + 1;
	if (!r)
		r = ipk_await(&once->obj, me, &once->body->ev, try_begin, &w, deadline);
	if (r <= 0) {
		close(fd);
		return r;
	}
	ipk_st(&once->held, w.word, relaxed);
	*ret_fd = fd;
	return r;
}

int ipk_once_let_go(struct ipk_once *once, bool done)
{
	bool open = is_held(once);
	u64 held = ipk_xchg(&once->held, UINT64_C(0), relaxed);

	return open && end(once, held, done) ? 0 : -EPERM;
}

int ipk_once_reset(struct ipk_once *once)
{
	u64 v, owner;
	int r;

	if (!ipk_use(&once->obj, &r))
		return r;
	v = ipk_ld(&once->body->word, acquire); /* the word before the liveness of its owner */
	do {
		owner = ipk_once_owner(v);
		if (owner && !ipk_owner_gone(once->obj.seg, owner))
			return -EBUSY;
	} while (!ipk_cas(&once->body->word, &v, v & IPK_ONCE_SEQ, seq_cst));
	ipk_event_notify_fenced(&once->body->ev, INT32_MAX);
	return 0;
}

/* ---- what the segment asks ------------------------------------------------------------------ */

bool ipk_once_attachable(struct ipk_obj *obj)
{
	return body_of(obj) != NULL;
}

/* The word must not name a slot that becomes another's. Who waits is to do it now. */
int ipk_once_recover(struct ipk_obj *obj)
{
	struct ipk_once_body *body = body_of(obj);
	u64 v;

	if (!body)
		return -EBADMSG;
	v = ipk_ld(&body->word, acquire); /* the word before the liveness of its owner */
	while (!IPK_BUG(once_dead_keep_it) && ipk_once_owner(v) &&
	       ipk_owner_gone(obj->seg, ipk_once_owner(v))) {
		if (ipk_cas(&body->word, &v, without_owner(v), seq_cst)) {
			ipk_event_notify_fenced(&body->ev, INT32_MAX);
			break;
		}
	}
	return 0;
}

void ipk_once_wake(struct ipk_obj *obj)
{
	struct ipk_once_body *body = body_of(obj);

	if (body)
		ipk_event_notify(&body->ev, INT32_MAX);
}
