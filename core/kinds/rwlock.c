/* SPDX-License-Identifier: MIT */
/* Reader-writer locks for C programs; see rwlock.h for the words. */
#include <unistd.h>

#include "kinds/await.h"
#include "kinds/rwlock.h"
#include "object_type.h"

/* ---- handle --------------------------------------------------------------------------------- */

int ipk_rwlock_open(struct ipk_segment *seg, const char *name, struct ipk_rwlock **ret_lock,
		    struct ipk_error *err)
{
	struct ipk_rwlock *l;
	void *handle;
	int r;

	r = ipk_obj_open(seg, name, ipk_kind_rwlock.id, ipk_kind_rwlock.version,
			 sizeof(struct ipk_rwlock_body), sizeof(*l), &handle, err);
	if (r < 0)
		return r;
	l = handle;
	r = ipk_rw_bind(&l->obj, &l->s);
	if (r < 0) {
		ipk_obj_close(&l->obj);
		return ipk_error_set(err, r, "rwlock \"%s\" is damaged", name);
	}
	*ret_lock = l;
	return 0;
}

int ipk_rwlock_create(struct ipk_segment *seg, const char *name, uint64_t cap,
		      struct ipk_error *err)
{
	return ipk_object_new_typed(seg, name, "rwlock", NULL, NULL, cap, err);
}

static bool held_by_process(struct ipk_rwlock *l)
{
	struct ipk_segment *seg = l->obj.seg;

	if (ipk_mtx_of_process(seg, &l->s.body->word))
		return true;
	for (u64 i = 0; i < l->s.cells.cap; i++) {
		u64 owner = ipk_cell_owner(ipk_ld(ipk_cell(&l->s.cells, i), relaxed));

		if (owner && ipk_owner_of_process(seg, owner))
			return true;
	}
	return false;
}

int ipk_rwlock_close(struct ipk_rwlock *lock)
{
	if (!lock)
		return 0;
	/* Without the handle nobody would list the object, and our death with it would go unseen.
	 */
	if (lock->obj.seg->writable && held_by_process(lock))
		return -EBUSY;
	ipk_obj_close(&lock->obj);
	return 0;
}

/* ---- reading -------------------------------------------------------------------------------- */

/* owner has FD where a descriptor is to have it; as in a mutex's word. */
struct want {
	struct ipk_rwlock *l;
	struct ipk_self *me;
	u64 owner;
};

static u32 *depth_of(struct ipk_rwlock *l, u64 i)
{
	return &((struct ipk_rwlock_place *)(void *)ipk_cell(&l->s.cells, i))->depth;
}

/* Where an owner looks first: nobody else does, unless there are more of them than places. */
static u64 home_of(const struct ipk_rwlock *l, u64 owner)
{
	u64 slot = ipk_mutex_owner(owner) - 1;

	return ipk_likely(slot < l->s.cells.cap) ? slot : slot % l->s.cells.cap;
}

static bool has_place(const struct ipk_rwlock *l, u64 i, const struct ipk_self *me)
{
	u64 cell = ipk_ld(ipk_cell(&l->s.cells, i), relaxed);

	return ipk_cell_owner(cell) == (u64)me->slot + 1;
}

/* The place of the calling thread, or cap. */
static u64 find_place(const struct ipk_rwlock *l, const struct ipk_self *me)
{
	u64 cap = l->s.cells.cap, i = home_of(l, (u64)me->slot + 1);

	for (u64 left = cap; left; left--) {
		if (has_place(l, i, me))
			return i;
		i = i + 1 < cap ? i + 1 : 0;
	}
	return cap;
}

static int read_again(struct ipk_rwlock *l, u64 i)
{
	u32 *depth = depth_of(l, i), n = ipk_ld(depth, relaxed);

	if (n == UINT32_MAX)
		return -EDEADLK;
	ipk_st(depth, n + 1, relaxed);
	return 0;
}

/* May a reader be in, as the word stands? *ret_word is that. seq_cst: see rwlock.h. */
static int look_for_writer(struct ipk_rwlock *l, u64 *ret_word)
{
	u64 v, owner;

	while ((owner = ipk_mutex_owner(v = ipk_ld(&l->s.body->word, seq_cst)))) {
		if (!ipk_owner_gone(l->obj.seg, owner))
			return -EAGAIN;
		ipk_rw_mend_word(l->obj.seg, &l->s);
	}
	*ret_word = v;
	if (v & IPK_MTX_LOST)
		return -ENOTRECOVERABLE;
	return v & IPK_MTX_DIED ? -EOWNERDEAD : 0;
}

/*
 * Nobody has the word, as v says: it is SHARED from here on, if it still is v. Acquire: what the
 * last writer did comes before what this reader reads.
 */
static inline bool share(struct ipk_rwlock_body *body, u64 v)
{
	return ipk_likely(v & IPK_MTX_SHARED) ||
	       ipk_cas(&body->word, &v, v | IPK_MTX_SHARED, seq_cst);
}

/* The calling reader has a place: is it in? */
static int look_and_share(struct ipk_rwlock *l)
{
	u64 v;
	int r;

	do {
		r = look_for_writer(l, &v);
	} while (r == 0 && !share(l->s.body, v));
	return r;
}

/* Places below n may be taken from now on. */
static void raise_high(struct ipk_rwlock_body *body, u64 n)
{
	u32 high =
		ipk_ld(&body->high, acquire); /* pairs with who raised it: then the look at word */

	while (high < n && !ipk_cas(&body->high, &high, (u32)n, seq_cst))
		;
}

/* A place for w->owner; its index, or cap when all are taken. */
static u64 take_place(const struct want *w, u64 *ret_val)
{
	struct ipk_rwlock *l = w->l;
	u64 owner = ipk_mutex_owner(w->owner), i = home_of(l, owner);

	raise_high(l->s.body, i + 1);
	if (ipk_likely(ipk_cell_take(ipk_cell(&l->s.cells, i), owner, ret_val)))
		return i;
	raise_high(l->s.body, l->s.cells.cap);
	return ipk_cells_take(&l->s.cells, i, owner, ret_val);
}

static int try_read(void *arg)
{
	const struct want *w = arg;
	struct ipk_rwlock *l = w->l;
	u64 i, val;
	int r;

	while ((r = look_for_writer(l, &val)) == 0) {
		i = take_place(w, &val);
		if (i == l->s.cells.cap) {
			if (ipk_rw_mend_places(l->obj.seg, &l->s))
				continue;
			r = -EAGAIN;
			break;
		}
		if (look_and_share(l) == 0) {
			ipk_st(depth_of(l, i), 1u, relaxed);
			return 0;
		}
		ipk_cell_free(ipk_cell(&l->s.cells, i), val);
		ipk_rw_places_freed(l->s.body, 1);
	}
	return r;
}

/* As try_read, of a thread that may be reading already: it does not wait for who waits for it. */
static int try_read_again(void *arg)
{
	const struct want *w = arg;
	int r = try_read(arg);
	u64 i;

	if (r != -EAGAIN)
		return r;
	i = find_place(w->l, w->me);
	r = i < w->l->s.cells.cap ? read_again(w->l, i) : -EAGAIN;
	return r ? r : 1;
}

/* Nobody has it as v says, and there is no news of it. */
static inline bool is_free(u64 v)
{
	return !(v & ~(IPK_MTX_SEQ | IPK_MTX_SHARED));
}

/* No writer, and the thread's own place is free: the common case. */
static inline bool read_home(struct ipk_rwlock *l, const struct ipk_self *me)
{
	struct ipk_rwlock_body *body = l->s.body;
	u64 i = home_of(l, (u64)me->slot + 1), val, v;

	/* Acquire: pairs with who raised it, as in raise_high(). */
	if (!is_free(ipk_ld(&body->word, relaxed)) || ipk_ld(&body->high, acquire) <= i ||
	    !ipk_cell_take(ipk_cell(&l->s.cells, i), (u64)me->slot + 1, &val))
		return false;
	v = ipk_ld(&body->word, seq_cst); /* see rwlock.h */
	if (ipk_likely(is_free(v) && share(body, v))) {
		ipk_st(depth_of(l, i), 1u, relaxed);
		return true;
	}
	ipk_cell_free(ipk_cell(&l->s.cells, i), val);
	ipk_rw_places_freed(body, 1);
	return false;
}

static __attribute__((noinline)) int read_slow(struct ipk_rwlock *lock, struct ipk_self *me,
					       i64 deadline)
{
	struct want w = {.l = lock, .me = me, .owner = (u64)me->slot + 1};
	u64 home = home_of(lock, w.owner), word;
	int r;

	if (has_place(lock, home, me))
		return read_again(lock, home);
	if (ipk_mtx_mine(&lock->s.body->word, me, &word))
		return -EDEADLK;
	r = try_read_again(&w);
	if (r == -EAGAIN && deadline != IPK_NOWAIT)
		r = ipk_await(&lock->obj, w.me, &lock->s.body->ev_read, try_read_again, &w,
			      deadline);
	if (r == 0)
		ipk_hold_get(me);
	return r > 0 ? 0 : r;
}

int ipk_rwlock_lock_shared(struct ipk_rwlock *lock, int64_t deadline)
{
	struct ipk_self *me;
	int r;

	me = ipk_use(&lock->obj, &r);
	if (ipk_unlikely(!me))
		return r;
	if (ipk_unlikely(!read_home(lock, me)))
		return read_slow(lock, me, deadline);
	ipk_hold_get(me);
	return 0;
}

/* ---- writing -------------------------------------------------------------------------------- */

/* Is anybody in? -EAGAIN; -EDEADLK: the calling thread. */
static int look_for_readers(const struct want *w)
{
	struct ipk_rwlock *l = w->l;
	u64 high = ipk_ld(&l->s.body->high, seq_cst), i = 0; /* seq_cst: see rwlock.h */
	int r = 0;

	if (IPK_BUG(rwlock_beside_readers))
		return 0;
	while (i < high && i < l->s.cells.cap) {
		u64 *cell = ipk_cell(&l->s.cells, i);
		u64 v = ipk_ld(cell, seq_cst); /* pairs also with who freed it: he read before */
		u64 owner = ipk_cell_owner(v);

		if (owner == w->owner)
			return -EDEADLK;
		if (owner && ipk_owner_gone(l->obj.seg, owner)) {
			if (ipk_cell_free(cell, v))
				ipk_rw_places_freed(l->s.body, 1);
			continue;
		}
		if (owner)
			r = -EAGAIN;
		i++;
	}
	return r;
}

static int try_claim(void *arg)
{
	const struct want *w = arg;

	return ipk_mtx_take(w->l->obj.seg, &w->l->s.body->word, w->owner);
}

/* The word is ours. 0: and nobody reads any more. */
static int try_enter(void *arg)
{
	const struct want *w = arg;
	u64 *word = &w->l->s.body->word;
	u64 v = ipk_ld(word, relaxed); /* nobody else changes the word of a living owner */
	int r;

	if (!(v & IPK_MTX_SHARED))
		return 0;
	r = look_for_readers(w);
	if (r < 0)
		return r;
	return ipk_cas(word, &v, v & ~IPK_MTX_SHARED, acq_rel) ? 0 : -EBADMSG;
}

/* Gives back a word that was claimed in vain. */
static void retreat(const struct want *w)
{
	u64 *word = &w->l->s.body->word, v = ipk_ld(word, relaxed);

	ipk_cas(word, &v, v & ~(IPK_MTX_FD | IPK_MTX_OWNER), seq_cst);
	ipk_rw_word_freed(w->l->s.body);
}

static int write_lock(struct want *w, i64 deadline)
{
	struct ipk_rwlock *l = w->l;
	int r, entered;

	/* Who only tries, and cannot, need not turn anybody away. */
	r = look_for_readers(w);
	if (r == -EDEADLK || (r == -EAGAIN && deadline == IPK_NOWAIT))
		return r;
	r = try_claim(w);
	if (r == -EAGAIN && deadline != IPK_NOWAIT)
		r = ipk_await(&l->obj, w->me, &l->s.body->ev_write, try_claim, w, deadline);
	if (r < 0 && (r != -EOWNERDEAD || w->owner & IPK_MTX_FD))
		return r;
	entered = try_enter(w);
	if (entered == -EAGAIN && deadline != IPK_NOWAIT)
		entered = ipk_await(&l->obj, w->me, &l->s.body->ev_drain, try_enter, w, deadline);
	if (entered < 0)
		retreat(w);
	return entered < 0 ? entered : r;
}

/* It is held, or readers may be in, or there is news of it. */
static __attribute__((noinline)) int lock_slow(struct ipk_rwlock *lock, struct ipk_self *me,
					       i64 deadline)
{
	struct want w = {.l = lock, .me = me, .owner = (u64)me->slot + 1};
	u64 word;
	int r;

	if (ipk_mtx_mine(&lock->s.body->word, me, &word))
		return -EDEADLK;
	r = write_lock(&w, deadline);
	if (r == 0 || r == -EOWNERDEAD)
		ipk_hold_get(me);
	return r;
}

int ipk_rwlock_lock(struct ipk_rwlock *lock, int64_t deadline)
{
	struct ipk_self *me;
	int r;

	me = ipk_use(&lock->obj, &r);
	if (ipk_unlikely(!me))
		return r;
	if (ipk_unlikely(!ipk_mtx_take_free(&lock->s.body->word, me)))
		return lock_slow(lock, me, deadline);
	ipk_hold_get(me);
	return 0;
}

/* ---- both ----------------------------------------------------------------------------------- */

int ipk_rwlock_hold(struct ipk_rwlock *lock, bool shared, int64_t deadline, int *ret_fd)
{
	struct want w = {.l = lock};
	u32 slot;
	int r, fd;

	w.me = ipk_use(&lock->obj, &r);
	if (!w.me)
		return r;
	r = ipk_holder_new(lock->obj.seg, &fd, &slot);
	if (r < 0)
		return r;
	r = ipk_holder_use(&lock->obj, slot);
	w.owner = ((u64)slot + 1) | IPK_MTX_FD;
	if (!r && shared)
		r = ipk_await(&lock->obj, w.me, &lock->s.body->ev_read, try_read, &w, deadline);
	else if (!r)
		r = write_lock(&w, deadline);
	if (r < 0)
		close(fd);
	else
		*ret_fd = fd;
	return r;
}

int ipk_rwlock_consistent(struct ipk_rwlock *lock)
{
	struct ipk_self *me;
	int r;

	me = ipk_use(&lock->obj, &r);
	return me ? ipk_mtx_consistent(&lock->s.body->word, me) : r;
}

static inline int read_unlock(struct ipk_rwlock *l, struct ipk_self *me, u64 i)
{
	u64 *cell = ipk_cell(&l->s.cells, i), val = ipk_ld(cell, relaxed);
	u32 *depth = depth_of(l, i), n = ipk_ld(depth, relaxed);

	if (n > 1) {
		ipk_st(depth, n - 1, relaxed);
		return 0;
	}
	if (!ipk_cell_free(cell, val))
		return -EBADMSG;
	ipk_hold_put(me);
	ipk_rw_places_freed(l->s.body, 1);
	return 0;
}

int ipk_rwlock_unlock(struct ipk_rwlock *lock)
{
	struct ipk_self *me;
	u64 i, word;
	int r;

	me = ipk_use(&lock->obj, &r);
	if (ipk_unlikely(!me))
		return r;
	i = home_of(lock, (u64)me->slot + 1);
	if (has_place(lock, i, me))
		return read_unlock(lock, me, i);
	if (ipk_mtx_mine(&lock->s.body->word, me, &word)) {
		if (!ipk_mtx_give(&lock->s.body->word, word))
			return -EBADMSG;
		ipk_hold_put(me);
		ipk_rw_word_freed(lock->s.body);
		if (word & IPK_MTX_DIED) /* lost, of which all want to know */
			ipk_event_notify(&lock->s.body->ev_write, INT32_MAX);
		return 0;
	}
	i = find_place(lock, me);
	return i < lock->s.cells.cap ? read_unlock(lock, me, i) : -EPERM;
}

int ipk_rwlock_reset(struct ipk_rwlock *lock)
{
	int r;

	if (!ipk_use(&lock->obj, &r))
		return r;
	r = ipk_mtx_reset(lock->obj.seg, &lock->s.body->word);
	if (!r)
		ipk_rw_word_freed(lock->s.body);
	return r;
}
