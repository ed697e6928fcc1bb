/* SPDX-License-Identifier: MIT */
/* Mutexes for C programs; see mutex.h for the word. */
#include <stdlib.h>
#include <unistd.h>

#include "kinds/await.h"
#include "kinds/hooks.h"
#include "kinds/mutex.h"

/* ---- handle --------------------------------------------------------------------------------- */

static struct ipk_mutex_body *body_of(struct ipk_obj *obj)
{
	struct ipk_mutex_body *body = ipk_body(obj, sizeof(*body), NULL);

	return body && ipk_ld(&body->recursive, relaxed) <= 1 ? body : NULL;
}

int ipk_mutex_open(struct ipk_segment *seg, const char *name, struct ipk_mutex **ret_mutex,
		   struct ipk_error *err)
{
	struct ipk_mutex *m;
	void *handle;
	int r;

	r = ipk_obj_open(seg, name, ipk_kind_mutex.id, ipk_kind_mutex.version,
			 sizeof(struct ipk_mutex_body), sizeof(*m), &handle, err);
	if (r < 0)
		return r;
	m = handle;
	m->body = body_of(&m->obj);
	if (!m->body) {
		ipk_obj_close(&m->obj);
		return ipk_error_set(err, -EBADMSG, "mutex \"%s\" is damaged", name);
	}
	m->recursive = ipk_ld(&m->body->recursive, relaxed);
	*ret_mutex = m;
	return 0;
}

int ipk_mutex_close(struct ipk_mutex *mutex)
{
	if (!mutex)
		return 0;
	/* Without the handle nobody would list the object, and our death with it would go unseen.
	 */
	if (ipk_mtx_of_process(mutex->obj.seg, &mutex->body->word))
		return -EBUSY;
	ipk_obj_close(&mutex->obj);
	return 0;
}

int ipk_mutex_create(struct ipk_segment *seg, const char *name, bool recursive,
		     struct ipk_error *err)
{
	const struct ipk_param param = {"recursive", NULL};

	return ipk_object_new(seg, name, "mutex", &param, recursive, err);
}

/* ---- locking -------------------------------------------------------------------------------- */

struct want {
	struct ipk_mutex *m;
	struct ipk_self *me;
	u64 owner; /* with FD where a descriptor is to have it */
};

static int try_lock(void *arg)
{
	const struct want *w = arg;

	return ipk_mtx_take(w->m->obj.seg, &w->m->body->word, w->owner);
}

static void note_locked(struct ipk_mutex *mutex, struct ipk_self *me)
{
	ipk_st(&mutex->body->depth, 1u, relaxed);
	ipk_hold_get(me);
}

/* It is held, or there is news of it. */
static __attribute__((noinline)) int lock_slow(struct ipk_mutex *mutex, struct ipk_self *me,
					       i64 deadline)
{
	struct want w = {.m = mutex, .me = me, .owner = (u64)me->slot + 1};
	u64 word;
	u32 depth;
	int r;

	if (ipk_mtx_mine(&mutex->body->word, me, &word)) {
		depth = ipk_ld(&mutex->body->depth, relaxed);
		if (!mutex->recursive || depth == UINT32_MAX)
			return -EDEADLK;
		ipk_st(&mutex->body->depth, depth + 1, relaxed);
		return 0;
	}
	r = try_lock(&w);
	if (r == -EAGAIN && deadline != IPK_NOWAIT)
		r = ipk_await(&mutex->obj, me, &mutex->body->ev, try_lock, &w, deadline);
	if (r == 0 || r == -EOWNERDEAD)
		note_locked(mutex, me);
	return r;
}

int ipk_mutex_lock(struct ipk_mutex *mutex, int64_t deadline)
{
	struct ipk_self *me;
	int r;

	me = ipk_use(&mutex->obj, &r);
	if (ipk_unlikely(!me))
		return r;
	if (ipk_unlikely(!ipk_mtx_take_free(&mutex->body->word, me)))
		return lock_slow(mutex, me, deadline);
	note_locked(mutex, me);
	return 0;
}

int ipk_mutex_hold(struct ipk_mutex *mutex, int64_t deadline, int *ret_fd)
{
	struct want w = {.m = mutex};
	u32 slot;
	int r, fd;

	w.me = ipk_use(&mutex->obj, &r);
	if (!w.me)
		return r;
	r = ipk_holder_new(mutex->obj.seg, &fd, &slot);
	if (r < 0)
		return r;
	r = ipk_holder_use(&mutex->obj, slot);
	w.owner = ((u64)slot + 1) | IPK_MTX_FD;
	if (!r)
		r = ipk_await(&mutex->obj, w.me, &mutex->body->ev, try_lock, &w, deadline);
	if (r < 0)
		close(fd);
	else
		*ret_fd = fd;
	return r;
}

int ipk_mutex_consistent(struct ipk_mutex *mutex)
{
	struct ipk_self *me;
	int r;

	me = ipk_use(&mutex->obj, &r);
	return me ? ipk_mtx_consistent(&mutex->body->word, me) : r;
}

int ipk_mutex_unlock(struct ipk_mutex *mutex)
{
	struct ipk_mutex_body *body = mutex->body;
	struct ipk_self *me;
	u64 word;
	u32 depth;
	int r;

	me = ipk_use(&mutex->obj, &r);
	if (ipk_unlikely(!me))
		return r;
	if (ipk_unlikely(!ipk_mtx_mine(&body->word, me, &word)))
		return -EPERM;
	depth = ipk_ld(&body->depth, relaxed);
	if (mutex->recursive && depth > 1) {
		ipk_st(&body->depth, depth - 1, relaxed);
		return 0;
	}
	if (ipk_unlikely(!ipk_mtx_give(&body->word, word)))
		return -EBADMSG;
	ipk_hold_put(me);
	if (!IPK_BUG(mutex_unlock_silent))
		ipk_event_notify_fenced(&body->ev, word & IPK_MTX_DIED ? INT32_MAX : 1);
	return 0;
}

int ipk_mutex_reset(struct ipk_mutex *mutex)
{
	int r;

	if (!ipk_use(&mutex->obj, &r))
		return r;
	r = ipk_mtx_reset(mutex->obj.seg, &mutex->body->word);
	if (!r)
		ipk_event_notify_fenced(&mutex->body->ev, 1);
	return r;
}

/* ---- what the segment asks ------------------------------------------------------------------ */

bool ipk_mutex_attachable(struct ipk_obj *obj)
{
	return body_of(obj) != NULL;
}

/* The word must not name a slot that becomes another's. The next locker is told all the same. */
int ipk_mutex_recover(struct ipk_obj *obj)
{
	struct ipk_mutex_body *body = body_of(obj);

	if (!body)
		return -EBADMSG;
	if (ipk_mtx_mend(obj->seg, &body->word))
		ipk_event_notify_fenced(&body->ev, 1);
	return 0;
}

void ipk_mutex_wake(struct ipk_obj *obj)
{
	struct ipk_mutex_body *body = body_of(obj);

	if (body)
		ipk_event_notify(&body->ev, INT32_MAX);
}
