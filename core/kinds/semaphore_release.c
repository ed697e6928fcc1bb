/* SPDX-License-Identifier: MIT */
/* Giving permits back: those of a thread, of its process, of nobody; and at the end of a handle. */
#include <stdlib.h>

#include "kinds/semaphore.h"
#include "segment/registry.h"

/* Cell i was freed by ipk_cell_free(). */
static inline __attribute__((always_inline)) void give_back(struct ipk_semaphore *sem, u64 i)
{
	ipk_st(&sem->mine[i].val, UINT64_C(0), relaxed);
	if (sem->s.cells.cap > IPK_SEM_APART)
		ipk_st(&sem->s.body->hint, (u32)i, relaxed);
	ipk_sem_notify(sem->s.body, 1);
}

static bool free_of_process(struct ipk_semaphore *sem, u64 i, u64 val, struct ipk_self **ret_self)
{
	return ipk_cell_free_of_process(sem->obj.seg, ipk_cell(&sem->s.cells, i), val, ret_self);
}

void ipk_semaphore_close(struct ipk_semaphore *sem)
{
	struct ipk_self *self;

	if (!sem)
		return;
	for (u64 i = 0; sem->mine && i < sem->s.cells.cap; i++) {
		u64 val = ipk_ld(&sem->mine[i].val, relaxed);

		/* A child of fork() has its parent's record, and none of its permits. */
		if (val && free_of_process(sem, i, val, &self)) {
			give_back(sem, i);
			ipk_hold_put(self);
		}
	}
	free(sem->mine);
	ipk_obj_close(&sem->obj);
}

/* The newest of its permits that thread t of this process remembers. */
static inline bool release_top(struct ipk_semaphore *sem, struct ipk_self *me,
			       struct ipk_sem_thread *t)
{
	u64 i = t->top - 1;
	struct ipk_sem_mine *mine = &sem->mine[i];
	u64 val = ipk_ld(&mine->val, relaxed), below = ipk_ld(&mine->below, relaxed);

	/* Below itself: it was given back by another thread and acquired once more. */
	t->top = below == i + 1 ? 0 : (u32)below;
	if (ipk_unlikely(ipk_cell_owner(val) != (u64)me->slot + 1) ||
	    !ipk_cell_free(ipk_cell(&sem->s.cells, i), val))
		return false;
	t->home = (u32)i;
	give_back(sem, i);
	return true;
}

static bool release_own(struct ipk_semaphore *sem, struct ipk_self *me)
{
	struct ipk_sem_thread *t = ipk_sem_thread_of(sem, me);
	u64 i;

	for (i = 0; t && t->top && i < sem->s.cells.cap; i++)
		if (release_top(sem, me, t))
			return true;
	/* Acquired through another handle, or by a thread beyond those that are remembered. */
	for (i = 0; i < sem->s.cells.cap; i++) {
		u64 val = ipk_ld(ipk_cell(&sem->s.cells, i), relaxed);

		if (ipk_cell_owner(val) == (u64)me->slot + 1 &&
		    ipk_cell_free(ipk_cell(&sem->s.cells, i), val)) {
			give_back(sem, i);
			return true;
		}
	}
	return false;
}

/* Of another thread of this process. */
static bool release_of_process(struct ipk_semaphore *sem)
{
	struct ipk_self *self;

	for (u64 i = 0; i < sem->s.cells.cap; i++) {
		u64 val = ipk_ld(ipk_cell(&sem->s.cells, i), relaxed);
		u64 owner = ipk_cell_owner(val);

		if (owner && owner != IPK_CELL_NOBODY && !(val & IPK_CELL_P) &&
		    free_of_process(sem, i, val, &self)) {
			give_back(sem, i);
			ipk_hold_put(self);
			return true;
		}
	}
	return false;
}

static bool release_of_nobody(struct ipk_semaphore *sem)
{
	for (u64 i = 0; i < sem->s.cells.cap; i++) {
		u64 val = ipk_ld(ipk_cell(&sem->s.cells, i), relaxed);

		if (ipk_cell_owner(val) == IPK_CELL_NOBODY &&
		    ipk_cell_free(ipk_cell(&sem->s.cells, i), val)) {
			give_back(sem, i);
			return true;
		}
	}
	return false;
}

static __attribute__((noinline)) int release_slow(struct ipk_semaphore *sem, struct ipk_self *me,
						  u64 n)
{
	for (; n; n--) {
		if (release_own(sem, me))
			ipk_hold_put(me);
		else if (!release_of_process(sem) && !release_of_nobody(sem))
			return -EOVERFLOW;
	}
	return 0;
}

int ipk_semaphore_release(struct ipk_semaphore *sem, uint64_t n)
{
	struct ipk_sem_thread *t;
	struct ipk_self *me;
	int r;

	me = ipk_use(&sem->obj, &r);
	if (ipk_unlikely(!me))
		return r;
	t = ipk_sem_thread_of(sem, me);
	if (ipk_unlikely(n != 1 || !t || !t->top || !release_top(sem, me, t)))
		return release_slow(sem, me, n);
	ipk_hold_put(me);
	return 0;
}

int ipk_semaphore_post(struct ipk_semaphore *sem, uint64_t n)
{
	int r;

	if (!ipk_use(&sem->obj, &r))
		return r;
	for (; n; n--)
		if (!release_of_nobody(sem))
			return -EOVERFLOW;
	return 0;
}
