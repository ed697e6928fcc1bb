/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a reader-writer lock, and why nobody reads beside a writer.
 *
 *	body  0    cap                                      constant
 *	      64   word | ev_read | ev_write | ev_drain | high
 *	      128  place 0, place 1, ...                    64 bytes each: cell | depth
 *
 * word is a mutex's (mutex.h), the writer's. A place's cell names a reader (cells.h); depth belongs
 * to the reader alone, who sets it after having locked, so it needs no mending. Places from high on
 * have never been taken; high only rises, and before.
 *
 *	read    high; cell --CAS--> me; look at word:
 *	          {SHARED,0}   in
 *	          {0}          --CAS--> {SHARED,0}: in
 *	          else         cell --CAS--> free, and wait
 *	write   {0}        --CAS--> {me}: in
 *	        {SHARED,0} --CAS--> {SHARED,me}, a claim; look at all cells below high: free?
 *	                   --CAS--> {me}: in
 *	                   else wait, or give up: --CAS--> {SHARED,0}
 *
 * SHARED says that readers may be in. It is there before the first of them is, stays when they have
 * left, and only a writer who has claimed the word and then found all places free takes it away. So
 * who writes again and again does it as with a mutex, and so do readers who follow each other touch
 * nothing but their own places.
 *
 * The first step of readers and of who claims, and the look that follows, are sequentially
 * consistent: of a reader and a writer at least one sees the other. What the writer's look has
 * found free can be taken afterwards only by a reader who then sees him. Without SHARED nobody is
 * in: who has a place then has not looked at the word since, and does. Its setting fails where the
 * word has been taken and given back meanwhile, since that counts in seq. A thread that reads
 * already takes no second place while a writer looks at them: it counts in the depth of the one it
 * has.
 *
 * A claim turns readers away, and is no more than that: when its owner dies, or gives up, nothing
 * has happened. Only without SHARED has the owner been let in, and its death makes the lock
 * suspect. Suspect or lost it is never SHARED: readers are refused.
 *
 * WAITING. On ev_read readers who were turned away or found no place: all are woken by who frees
 * the word, one by who frees a place. On ev_write who wants the word: one is woken by who frees it.
 * On ev_drain whose claim stands: woken by who frees a place.
 */
#ifndef IPK_KINDS_RWLOCK_H
#define IPK_KINDS_RWLOCK_H

#include "ipk/kind.h"
#include "ipk/rwlock.h"
#include "kinds/cells.h"
#include "kinds/mutex.h"
#include "segment/segment.h"

#define IPK_RW_CAP_MAX (UINT64_C(1) << 14)
#define IPK_RW_SHIFT 6

struct ipk_rwlock_body {
	u64 cap;
	u64 spare1[7];
	/* 64 */
	u64 word;
	u32 ev_read, ev_write, ev_drain; /* event words */
	u32 high;                        /* places below it may be taken */
	u64 spare2[5];
	/* 128: places */
};

struct ipk_rwlock_place {
	u64 cell;
	u32 depth; /* how often its owner has locked it */
	u32 spare0;
	u64 spare1[6];
};

_Static_assert(sizeof(struct ipk_rwlock_body) == 128, "");
_Static_assert(offsetof(struct ipk_rwlock_body, word) == 64, "own line");
_Static_assert(sizeof(struct ipk_rwlock_place) == 1 << IPK_RW_SHIFT, "own line");

/* A body measured once, in private memory. */
struct ipk_rw_shape {
	struct ipk_rwlock_body *body;
	struct ipk_cells cells;
};

struct ipk_rwlock {
	struct ipk_obj obj;
	struct ipk_rw_shape s;
};

extern const struct ipk_kind ipk_kind_rwlock;
extern const struct ipk_op ipk_rwlock_ops[];

/* The bytes of the body, or 0 for a cap that cannot be. */
static inline u64 ipk_rw_bytes(u64 cap)
{
	if (cap == 0 || cap > IPK_RW_CAP_MAX)
		return 0;
	return sizeof(struct ipk_rwlock_body) + (cap << IPK_RW_SHIFT);
}

/* ---- what changes and whom it concerns ------------------------------------------------------ */

static inline void ipk_rw_word_freed(struct ipk_rwlock_body *body)
{
	if (IPK_BUG(rwlock_unlock_silent))
		return;
	ipk_event_notify_fenced(&body->ev_read, INT32_MAX);
	ipk_event_notify_fenced(&body->ev_write, 1);
}

static inline void ipk_rw_places_freed(struct ipk_rwlock_body *body, int n)
{
	ipk_event_notify_fenced(&body->ev_drain, INT32_MAX);
	ipk_event_notify_fenced(&body->ev_read, n);
}

/* ---- rwlock_recover.c ----------------------------------------------------------------------- */

/* -EBADMSG when the body is none. */
int ipk_rw_bind(struct ipk_obj *obj, struct ipk_rw_shape *ret);
/* Frees what the dead have; places: true when there was one. */
void ipk_rw_mend_word(struct ipk_segment *seg, const struct ipk_rw_shape *s);
bool ipk_rw_mend_places(struct ipk_segment *seg, const struct ipk_rw_shape *s);

bool ipk_rwlock_attachable(struct ipk_obj *obj);
int ipk_rwlock_recover(struct ipk_obj *obj);
void ipk_rwlock_wake(struct ipk_obj *obj);

#endif
