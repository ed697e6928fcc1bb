/* SPDX-License-Identifier: MIT */
/* Mutexes for C programs; see mutex.h for the word. */
#include <stdlib.h>
#include <unistd.h>

#include "kinds/await.h"
#include "kinds/mutex.h"

/* ---- handle ------------------------------------------------------------------------------------ */

static struct ipk_mutex_body *body_of(struct ipk_obj *obj)
{
	struct ipk_mutex_body *body = ipk_at(obj->seg, obj->body, sizeof(*body), IPK_LINE);
	u64 before = obj->body - obj->off;

	if (!body || before > obj->size || obj->size - before < sizeof(*body) ||
	    ipk_ld(&body->recursive, relaxed) > 1)
		return NULL;
	return body;
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

/* Is it held by a thread of this process, or by one that left it to this process? */
static bool held_by_process(struct ipk_mutex *m)
{
	struct ipk_segment *seg = m->obj.seg;
	u64 word = ipk_ld(&m->body->word, relaxed);
	struct ipk_self *self;

	if (!ipk_mutex_owner(word) || word & IPK_MTX_FD)
		return false;
	pthread_mutex_lock(&seg->mutex);
	for (self = seg->selves; self; self = self->next)
		if ((u64)self->slot + 1 == ipk_mutex_owner(word))
			break;
	pthread_mutex_unlock(&seg->mutex);
	return self != NULL;
}

int ipk_mutex_close(struct ipk_mutex *mutex)
{
	if (!mutex)
		return 0;
	/* Without the handle nobody would list the object, and our death with it would go unseen. */
	if (held_by_process(mutex))
		return -EBUSY;
	ipk_obj_close(&mutex->obj);
	return 0;
}

int ipk_mutex_create(struct ipk_segment *seg, const char *name, bool recursive,
		     struct ipk_error *err)
{
	const struct ipk_param param = { "recursive", NULL };

	return ipk_object_new(seg, name, "mutex", &param, recursive, err);
}

/* ---- locking ------------------------------------------------------------------------------------- */

struct want {
	struct ipk_mutex *m;
	struct ipk_self *me;
	u64 owner; /* with FD where a descriptor is to have it */
};

static bool owner_gone(struct ipk_segment *seg, u64 word)
{
	u32 slot = (u32)ipk_mutex_owner(word) - 1;
	struct ipk_participant *p = ipk_slot_page(seg, slot);
	bool ask = true;

	/* A thread's live word tells of its death; who has none has only his byte. */
	if (p && IPK_CLAIM_STATE(ipk_ld(&p->claim, acquire)) == IPK_CLAIM_LIVE)
		ask = ipk_ld(&p->live, relaxed) == 0;
	return ipk_dead(seg, slot, ask);
}

/* The word without its owner, who is gone. */
static u64 without_owner(u64 word)
{
	if (word & IPK_MTX_FD)
		return word & ~(IPK_MTX_FD | IPK_MTX_OWNER);
	return (word & ~IPK_MTX_OWNER) | IPK_MTX_DIED;
}

static int try_lock(void *arg)
{
	const struct want *w = arg;
	u64 *word = &w->m->body->word;
	u64 v = ipk_ld(word, acquire); /* the word before the liveness of its owner */

	for (;;) {
		u64 from = v;

		if (v & IPK_MTX_LOST)
			return -ENOTRECOVERABLE;
		if (ipk_mutex_owner(v)) {
			if (!owner_gone(w->m->obj.seg, v))
				return -EAGAIN;
			from = without_owner(v);
		}
		/* A descriptor's holder could not say consistent. */
		if (from & IPK_MTX_DIED && w->owner & IPK_MTX_FD)
			return -EOWNERDEAD;
		/* Acquire: what the last holder did comes before what this one does. */
		if (ipk_cas(word, &v, from + IPK_MTX_SEQ_ONE + w->owner, acq_rel))
			return from & IPK_MTX_DIED ? -EOWNERDEAD : 0;
	}
}

static bool mine(struct ipk_mutex *m, const struct ipk_self *me, u64 *ret_word)
{
	*ret_word = ipk_ld(&m->body->word, relaxed);
	return ipk_mutex_owner(*ret_word) == (u64)me->slot + 1 && !(*ret_word & IPK_MTX_FD);
}

int ipk_mutex_lock(struct ipk_mutex *mutex, int64_t deadline)
{
	struct want w = { .m = mutex };
	u64 word;
	u32 depth;
	int r;

	w.me = ipk_use(&mutex->obj, &r);
	if (ipk_unlikely(!w.me))
		return r;
	if (mine(mutex, w.me, &word)) {
		depth = ipk_ld(&mutex->body->depth, relaxed);
		if (!mutex->recursive || depth == UINT32_MAX)
			return -EDEADLK;
		ipk_st(&mutex->body->depth, depth + 1, relaxed);
		return 0;
	}
	w.owner = (u64)w.me->slot + 1;
	r = try_lock(&w);
	if (r == -EAGAIN && deadline != IPK_NOWAIT)
		r = ipk_await(&mutex->obj, w.me, &mutex->body->ev, try_lock, &w, deadline);
	if (r == 0 || r == -EOWNERDEAD) {
		ipk_st(&mutex->body->depth, 1u, relaxed);
		ipk_hold_get(w.me);
	}
	return r;
}

int ipk_mutex_hold(struct ipk_mutex *mutex, int64_t deadline, int *ret_fd)
{
	struct want w = { .m = mutex };
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
	u64 word;
	int r;

	me = ipk_use(&mutex->obj, &r);
	if (!me)
		return r;
	if (!mine(mutex, me, &word))
		return -EPERM;
	if (!(word & IPK_MTX_DIED))
		return -EINVAL;
	/* Nobody else changes the word of a living owner. Release: what was mended comes before. */
	return ipk_cas(&mutex->body->word, &word, word & ~IPK_MTX_DIED, acq_rel) ? 0 : -EBADMSG;
}

int ipk_mutex_unlock(struct ipk_mutex *mutex)
{
	struct ipk_self *me;
	u64 word, next;
	u32 depth;
	int r;

	me = ipk_use(&mutex->obj, &r);
	if (ipk_unlikely(!me))
		return r;
	if (!mine(mutex, me, &word))
		return -EPERM;
	depth = ipk_ld(&mutex->body->depth, relaxed);
	if (mutex->recursive && depth > 1) {
		ipk_st(&mutex->body->depth, depth - 1, relaxed);
		return 0;
	}
	next = word & IPK_MTX_SEQ;
	if (word & IPK_MTX_DIED)
		next |= IPK_MTX_LOST;
	/* seq_cst: pairs with the fence in ipk_event_arm(); release for the next holder. */
	if (!ipk_cas(&mutex->body->word, &word, next, seq_cst))
		return -EBADMSG;
	ipk_hold_put(me);
	ipk_event_notify_fenced(&mutex->body->ev, next & IPK_MTX_LOST ? INT32_MAX : 1);
	return 0;
}

int ipk_mutex_reset(struct ipk_mutex *mutex)
{
	u64 v;
	int r;

	if (!ipk_use(&mutex->obj, &r))
		return r;
	v = ipk_ld(&mutex->body->word, acquire); /* the word before the liveness of its owner */
	do {
		if (ipk_mutex_owner(v) && !owner_gone(mutex->obj.seg, v))
			return -EBUSY;
	} while (!ipk_cas(&mutex->body->word, &v, v & IPK_MTX_SEQ, seq_cst));
	ipk_event_notify_fenced(&mutex->body->ev, 1);
	return 0;
}

/* ---- what the segment asks ------------------------------------------------------------------------- */

bool ipk_mutex_attachable(struct ipk_obj *obj)
{
	return body_of(obj) != NULL;
}

/* The word must not name a slot that becomes another's. The next locker is told all the same. */
int ipk_mutex_recover(struct ipk_obj *obj)
{
	struct ipk_mutex_body *body = body_of(obj);
	u64 v;

	if (!body)
		return -EBADMSG;
	v = ipk_ld(&body->word, acquire); /* the word before the liveness of its owner */
	while (ipk_mutex_owner(v) && owner_gone(obj->seg, v)) {
		if (ipk_cas(&body->word, &v, without_owner(v), seq_cst)) {
			ipk_event_notify_fenced(&body->ev, 1);
			break;
		}
	}
	return 0;
}

void ipk_mutex_wake(struct ipk_obj *obj)
{
	struct ipk_mutex_body *body = body_of(obj);

	if (body)
		ipk_event_notify(&body->ev, INT32_MAX);
}
