/* SPDX-License-Identifier: MIT */
/* Semaphores for C programs; see semaphore.h for the cells and how several are taken at once. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "kinds/semaphore.h"
#include "segment/registry.h"

#define POLL_NS INT64_C(10000000) /* of a waiter who may not announce itself */

/* ---- handle --------------------------------------------------------------------------------- */

int ipk_semaphore_open(struct ipk_segment *seg, const char *name, struct ipk_semaphore **ret_sem,
		       struct ipk_error *err)
{
	struct ipk_semaphore *sem;
	struct ipk_sem_shape shape;
	void *handle;
	int r;

	r = ipk_obj_open(seg, name, ipk_kind_semaphore.id, ipk_kind_semaphore.version,
			 sizeof(struct ipk_semaphore_body), sizeof(*sem), &handle, err);
	if (r < 0)
		return r;
	sem = handle;
	r = ipk_sem_bind(&sem->obj, &shape);
	if (r < 0) {
		ipk_semaphore_close(sem);
		return ipk_error_set(err, r, "semaphore \"%s\" is damaged", name);
	}
	sem->s = shape;
	if (seg->writable) {
		sem->mine = calloc(sem->s.cells.cap, sizeof(*sem->mine));
		if (!sem->mine) {
			ipk_semaphore_close(sem);
			return ipk_error_set(err, -ENOMEM, "out of memory");
		}
	}
	*ret_sem = sem;
	return 0;
}

int ipk_semaphore_create(struct ipk_segment *seg, const char *name, uint64_t cap, uint64_t value,
			 struct ipk_error *err)
{
	char cap_text[24], value_text[24];
	const struct ipk_param params[] = {{"cap", cap_text}, {"value", value_text}};

	snprintf(cap_text, sizeof(cap_text), "%llu", (unsigned long long)cap);
	snprintf(value_text, sizeof(value_text), "%llu", (unsigned long long)value);
	return ipk_object_new(seg, name, "semaphore", params, IPK_ARRAY_LEN(params), err);
}

uint64_t ipk_semaphore_cap(const struct ipk_semaphore *sem)
{
	return sem->s.cells.cap;
}

uint64_t ipk_semaphore_value(struct ipk_semaphore *sem)
{
	return ipk_cells_free(&sem->s.cells);
}

/* ---- taking one ----------------------------------------------------------------------------- */

/* Who wants how many: owner is what a cell will name. */
struct want {
	struct ipk_self *me;
	u64 owner;
	u64 n;
};

/*
 * Where this thread found one last, its own line if there is one for each; then from the hint on.
 * Returns the index, or cap.
 */
static u64 find_free(struct ipk_semaphore *sem, const struct ipk_self *me, u64 owner, u64 *ret_val)
{
	struct ipk_sem_thread *t = ipk_sem_thread_of(sem, me);
	u64 i = t ? t->home : 0;

	if (ipk_cell_take(ipk_cell(&sem->s.cells, i), owner, ret_val))
		return i;
	if (sem->s.cells.cap > IPK_SEM_APART)
		i = ipk_ld(&sem->s.body->hint, relaxed) % sem->s.cells.cap;
	i = ipk_cells_take(&sem->s.cells, i, owner, ret_val);
	if (i == sem->s.cells.cap)
		return i;
	if (t)
		t->home = (u32)i;
	if (sem->s.cells.cap > IPK_SEM_APART)
		ipk_st(&sem->s.body->hint, (u32)i + 1, relaxed);
	return i;
}

/* Notes that the calling thread has permit i, for release and close. */
static inline __attribute__((always_inline)) void record(struct ipk_semaphore *sem,
							 struct ipk_self *me, u64 i, u64 val)
{
	struct ipk_sem_thread *t = ipk_sem_thread_of(sem, me);

	ipk_st(&sem->mine[i].val, val, relaxed);
	if (t) {
		ipk_st(&sem->mine[i].below, (u64)t->top, relaxed);
		t->top = (u32)i + 1;
	}
	ipk_hold_get(me);
}

static int mend(struct ipk_semaphore *sem)
{
	int n = ipk_cells_mend(sem->obj.seg, &sem->s.cells);

	if (n)
		ipk_sem_notify(sem->s.body, n);
	return n;
}

static int try_one(struct ipk_semaphore *sem, const struct want *w)
{
	u64 i, val;

	do {
		i = find_free(sem, w->me, w->owner, &val);
		if (ipk_likely(i < sem->s.cells.cap)) {
			if (w->owner == (u64)w->me->slot + 1)
				record(sem, w->me, i, val);
			return 0;
		}
	} while (mend(sem) > 0);
	return -EAGAIN;
}

/* ---- taking several ------------------------------------------------------------------------- */

struct taken {
	u64 i, val;
};

/* Lock held. Marks n cells as on their way; fewer are let go again. */
static int gather(struct ipk_semaphore *sem, const struct want *w, struct taken *list)
{
	u64 mark = IPK_CELL_P | ((u64)w->me->slot + 1), n;

	for (n = 0; n < w->n; n++) {
		list[n].i = find_free(sem, w->me, mark, &list[n].val);
		if (list[n].i == sem->s.cells.cap)
			break;
	}
	if (n == w->n)
		return 0;
	while (n) {
		n--;
		ipk_cell_free(ipk_cell(&sem->s.cells, list[n].i), list[n].val);
		/* Somebody may have found too few because of ours. */
		ipk_sem_notify(sem->s.body, 1);
	}
	return -EAGAIN;
}

/* Lock held. Hands n marked cells to their owner. */
static void hand_over(struct ipk_semaphore *sem, const struct want *w, struct taken *list)
{
	bool mine = w->owner == (u64)w->me->slot + 1;

	/* COMMIT, where the owner will not die with us. Release: the cells come before. */
	if (w->owner == IPK_CELL_NOBODY)
		ipk_st(&sem->s.body->pend, UINT64_C(1), release);
	for (u64 n = 0; n < w->n; n++) {
		u64 v = list[n].val;
		u64 val = (v & ~(IPK_CELL_OWNER | IPK_CELL_P)) | w->owner;

		ipk_cas(ipk_cell(&sem->s.cells, list[n].i), &v, val, acq_rel);
		if (mine)
			record(sem, w->me, list[n].i, val);
	}
	ipk_st(&sem->s.body->pend, UINT64_C(0), release);
}

static int try_many(struct ipk_semaphore *sem, const struct want *w, struct taken *list,
		    i64 deadline)
{
	int r;

	/* A look first: who cannot have enough need not keep others from it. */
	if (ipk_semaphore_value(sem) < w->n && (!mend(sem) || ipk_semaphore_value(sem) < w->n))
		return -EAGAIN;
	r = ipk_lock(w->me, &sem->s.body->lock, deadline);
	if (r < 0)
		return r;
	if (r > 0)
		ipk_sem_notify(sem->s.body, ipk_sem_settle(&sem->s));
	r = gather(sem, w, list);
	if (!r)
		hand_over(sem, w, list);
	ipk_unlock(w->me, &sem->s.body->lock);
	return r;
}

/* ---- waiting -------------------------------------------------------------------------------- */

static int try_want(struct ipk_semaphore *sem, const struct want *w, struct taken *list,
		    i64 deadline)
{
	if (w->n == 0) /* only to look */
		return ipk_semaphore_value(sem) || mend(sem) ? 0 : -EAGAIN;
	return w->n == 1 ? try_one(sem, w) : try_many(sem, w, list, deadline);
}

static int wait_want(struct ipk_semaphore *sem, const struct want *w, struct taken *list,
		     i64 deadline)
{
	u32 *ev = w->n > 1 ? &sem->s.body->ev_many : &sem->s.body->ev;
	struct ipk_spin spin = {0};
	struct ipk_waiter waiter;
	bool slept = false;
	int r, woken = 0;

	for (;;) {
		r = try_want(sem, w, list, deadline);
		if (r != -EAGAIN || deadline == IPK_NOWAIT)
			break;
		if (ipk_spin(&spin))
			continue;
		ipk_event_arm(w->me, &waiter, &ev, 1);
		r = try_want(sem, w, list, deadline);
		if (r == -EAGAIN && ipk_stale(&sem->obj)) {
			r = -ESTALE; /* whoever removed it has woken us, or saw nobody to wake */
		} else if (r == -EAGAIN) {
			woken = ipk_event_sleep(w->me, &waiter, deadline);
			slept = true;
			r = woken < 0 ? woken : r;
		}
		ipk_event_disarm(w->me, &waiter);
		if (r != -EAGAIN)
			break;
	}
	/* The wake that we had may have been meant for somebody who wants what we did not take. */
	if (slept && (r < 0 || w->n == 0))
		ipk_event_notify(ev, 1);
	return r;
}

static int acquire(struct ipk_semaphore *sem, struct want *w, i64 deadline)
{
	struct taken *list = NULL;
	int r;

	if (w->n == 0 || w->n > sem->s.cells.cap)
		return -EINVAL;
	if (w->n > 1) {
		list = calloc(w->n, sizeof(*list));
		if (!list)
			return -ENOMEM;
	}
	r = wait_want(sem, w, list, deadline);
	free(list);
	return r;
}

static __attribute__((noinline)) int acquire_slow(struct ipk_semaphore *sem, struct ipk_self *me,
						  u64 owner, u64 n, i64 deadline)
{
	struct want w = {.me = me, .owner = owner, .n = n};

	return acquire(sem, &w, deadline);
}

/* One, where this thread found one last: the common case. *ret_i is its index. */
static inline bool take_home(struct ipk_semaphore *sem, const struct ipk_self *me, u64 owner,
			     u64 *ret_i, u64 *ret_val)
{
	struct ipk_sem_thread *t = ipk_sem_thread_of(sem, me);

	if (!t)
		return false;
	*ret_i = t->home;
	return ipk_cell_take(ipk_cell(&sem->s.cells, t->home), owner, ret_val);
}

int ipk_semaphore_acquire(struct ipk_semaphore *sem, uint64_t n, int64_t deadline)
{
	struct ipk_self *me;
	u64 i, val;
	int r;

	me = ipk_use(&sem->obj, &r);
	if (ipk_unlikely(!me))
		return r;
	if (ipk_unlikely(n != 1 || !take_home(sem, me, (u64)me->slot + 1, &i, &val)))
		return acquire_slow(sem, me, (u64)me->slot + 1, n, deadline);
	record(sem, me, i, val);
	return 0;
}

int ipk_semaphore_take(struct ipk_semaphore *sem, uint64_t n, int64_t deadline)
{
	struct ipk_self *me;
	u64 i, val;
	int r;

	me = ipk_use(&sem->obj, &r);
	if (ipk_unlikely(!me))
		return r;
	if (ipk_likely(n == 1 && take_home(sem, me, IPK_CELL_NOBODY, &i, &val)))
		return 0;
	return acquire_slow(sem, me, IPK_CELL_NOBODY, n, deadline);
}

int ipk_semaphore_hold(struct ipk_semaphore *sem, uint64_t n, int64_t deadline, int *ret_fd)
{
	struct want w = {.n = n};
	u32 slot;
	int r, fd;

	w.me = ipk_use(&sem->obj, &r);
	if (!w.me)
		return r;
	r = ipk_holder_new(sem->obj.seg, &fd, &slot);
	if (r < 0)
		return r;
	r = ipk_holder_use(&sem->obj, slot);
	w.owner = (u64)slot + 1;
	if (!r)
		r = acquire(sem, &w, deadline);
	if (r < 0)
		close(fd);
	else
		*ret_fd = fd;
	return r;
}

static int poll_value(struct ipk_semaphore *sem, i64 deadline)
{
	const struct timespec pause = {.tv_nsec = POLL_NS};

	while (ipk_semaphore_value(sem) == 0) {
		if (deadline == IPK_NOWAIT)
			return -EAGAIN;
		if (ipk_stale(&sem->obj))
			return -ESTALE;
		if (ipk_now() >= deadline)
			return -ETIMEDOUT;
		if (nanosleep(&pause, NULL) < 0)
			return -EINTR;
	}
	return 0;
}

int ipk_semaphore_wait(struct ipk_semaphore *sem, int64_t deadline)
{
	struct want w = {.n = 0};
	int r;

	if (!sem->obj.seg->writable)
		return poll_value(sem, deadline);
	w.me = ipk_use(&sem->obj, &r);
	return w.me ? wait_want(sem, &w, NULL, deadline) : r;
}
