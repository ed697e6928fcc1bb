/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a semaphore, and why no permit is lost or lent twice.
 *
 *	body  0    cap stride               constant
 *	      64   ev | ev_many | hint | lock | pend
 *	      128  cell 0, cell 1, ...      stride bytes apart: 64 up to 64 permits, else 8
 *
 * A cell is a permit (cells.h); P says that it is on its way to its owner, together with others.
 *
 * SEVERAL AT ONCE, under lock, one acquirer at a time:
 *
 *	cells --CAS--> {me,P} each      too few: all --CAS--> free
 *	pend = {me, owner}              COMMIT
 *	cells {me,P} --CAS--> owner
 *	pend = 0
 *
 * Only the holder of lock has cells with P. Who takes the lock from a dead holder settles them
 * before anything else: with pend set they go to the owner that it names, without they are freed.
 * Recovery after a death leaves cells with P to that, and takes the lock over if nobody else did.
 *
 * WAITING. Those who want one permit wait on ev; each permit given back wakes one of them. Those
 * who want several wait on ev_many, and all of them wake, since only they know whether there are
 * enough.
 */
#ifndef IPK_KINDS_SEMAPHORE_H
#define IPK_KINDS_SEMAPHORE_H

#include "ipk/kind.h"
#include "ipk/semaphore.h"
#include "kinds/cells.h"
#include "segment/segment.h"

#define IPK_SEM_CAP_MAX (UINT64_C(1) << 24)
#define IPK_SEM_APART 64u /* up to that many permits have a cache line each */

struct ipk_semaphore_body {
	u64 cap;
	u32 stride; /* bytes from one cell to the next */
	u32 spare0;
	u64 spare1[6];
	/* 64 */
	u32 ev;      /* event word of those who want one */
	u32 ev_many; /* of those who want several */
	u32 hint;    /* where a free cell may be */
	u32 spare2;
	u64 lock; /* lock word of those who want several */
	u64 pend; /* {owner:14, slot + 1:14} or 0 */
	u64 spare3[4];
	/* 128: cells */
};

_Static_assert(sizeof(struct ipk_semaphore_body) == 128, "");
_Static_assert(offsetof(struct ipk_semaphore_body, ev) == 64, "own line");

#define IPK_SEM_PEND(slot, owner) ((u64)(slot) + 1 | (u64)(owner) << 14)

static inline u32 ipk_sem_shift(u64 cap)
{
	return cap <= IPK_SEM_APART ? 6 : 3;
}

static inline u32 ipk_sem_stride(u64 cap)
{
	return 1u << ipk_sem_shift(cap);
}

/* The bytes of the body, or 0 for a cap that cannot be. */
static inline u64 ipk_sem_bytes(u64 cap)
{
	if (cap == 0 || cap > IPK_SEM_CAP_MAX)
		return 0;
	return sizeof(struct ipk_semaphore_body) + cap * ipk_sem_stride(cap);
}

/* What the thread with number tix acquired last and gave back last, in this process. */
struct ipk_sem_thread {
	u32 top;  /* index + 1 of the newest permit that it has; the older ones follow by below */
	u32 home; /* index of the permit it will look at first */
};

/* A permit as it was acquired through this handle. Private, relaxed atomics. */
struct ipk_sem_mine {
	u64 val;   /* what the cell held then, or 0 */
	u64 below; /* what top was then */
};

/* A body measured once, in private memory. */
struct ipk_sem_shape {
	struct ipk_semaphore_body *body;
	struct ipk_cells cells;
};

struct ipk_semaphore {
	struct ipk_obj obj;
	struct ipk_sem_shape s;
	/* Private, and hints all: a permit is mine if the cell still holds what mine says. */
	struct ipk_sem_mine *mine; /* for each cell; NULL where the segment is not writable */
	struct ipk_sem_thread thread[64];
};

static inline struct ipk_sem_thread *ipk_sem_thread_of(struct ipk_semaphore *sem,
						       const struct ipk_self *me)
{
	return me->tix < IPK_ARRAY_LEN(sem->thread) ? &sem->thread[me->tix] : NULL;
}

extern const struct ipk_kind ipk_kind_semaphore;
extern const struct ipk_op ipk_semaphore_ops[];

/* n permits were freed by ipk_cell_free(). */
static inline void ipk_sem_notify(struct ipk_semaphore_body *body, int n)
{
	if (IPK_BUG(semaphore_release_silent))
		return;
	ipk_event_notify_fenced(&body->ev, n);
	ipk_event_notify_fenced(&body->ev_many, INT32_MAX);
}

/* ---- semaphore_recover.c --------------------------------------------------------------------- */

/* -EBADMSG when the body is none. */
int ipk_sem_bind(struct ipk_obj *obj, struct ipk_sem_shape *ret);
/*
 * Lock held, its last holder died: his cells with P go where he had committed them to, or are
 * freed. Returns how many were freed.
 */
int ipk_sem_settle(const struct ipk_sem_shape *s);

bool ipk_semaphore_attachable(struct ipk_obj *obj);
int ipk_semaphore_recover(struct ipk_obj *obj);
void ipk_semaphore_wake(struct ipk_obj *obj);

#endif
