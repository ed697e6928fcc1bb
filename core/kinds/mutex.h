/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a mutex.
 *
 *	body  0    recursive                                constant
 *	      64   word | ev | depth
 *
 *	word = {seq:46 | SHARED | LOST | DIED | FD | owner slot + 1:14},
 *	       changed by compare-exchange only
 *
 *	{s,0} --lock--> {s+1,me} --unlock--> {s+1,0}
 *	{s,x}, x dead --lock--> {s+1,DIED,me}    or by the sweep: {s,DIED,0}
 *	{s,FD,x}, x closed --> {s,0}
 *	{s,DIED,0} --lock--> {s+1,DIED,me} --consistent--> {s+1,me}
 *	{s,DIED,me} --unlock--> {s,LOST,0} --reset--> {s,0}
 *
 * seq counts acquisitions, so whoever was stopped with an old word in hand changes nothing. DIED
 * stays until consistent or LOST: a second death cannot hide the first. depth belongs to the owner
 * alone, who sets it after having locked, so it needs no mending.
 *
 * The word is also that of a lock's writer (rwlock.h). There SHARED says that readers may be in:
 * its owner has not begun yet, so that his death leaves nothing to be told of.
 */
#ifndef IPK_KINDS_MUTEX_H
#define IPK_KINDS_MUTEX_H

#include "ipk/kind.h"
#include "ipk/mutex.h"
#include "segment/segment.h"

#define IPK_MTX_OWNER UINT64_C(0x3fff)
#define IPK_MTX_FD UINT64_C(0x4000)
#define IPK_MTX_DIED UINT64_C(0x8000)
#define IPK_MTX_LOST UINT64_C(0x10000)
#define IPK_MTX_SHARED UINT64_C(0x20000)
#define IPK_MTX_SEQ_ONE UINT64_C(0x40000)
#define IPK_MTX_SEQ (~(IPK_MTX_SEQ_ONE - 1))

struct ipk_mutex_body {
	u32 recursive;
	u32 spare0;
	u64 spare1[7];
	/* 64 */
	u64 word;
	u32 ev;    /* event word of those who wait */
	u32 depth; /* how often its owner has locked it */
	u64 spare2[6];
};

_Static_assert(sizeof(struct ipk_mutex_body) == 128, "");
_Static_assert(offsetof(struct ipk_mutex_body, word) == 64, "own line");

struct ipk_mutex {
	struct ipk_obj obj;
	bool recursive;
	struct ipk_mutex_body *body;
};

extern const struct ipk_kind ipk_kind_mutex;
extern const struct ipk_op ipk_mutex_ops[];

static inline u64 ipk_mutex_owner(u64 word)
{
	return word & IPK_MTX_OWNER;
}

bool ipk_mutex_attachable(struct ipk_obj *obj);
int ipk_mutex_recover(struct ipk_obj *obj);
void ipk_mutex_wake(struct ipk_obj *obj);

/* The word without its owner, who is gone. */
static inline u64 ipk_mtx_without_owner(u64 word)
{
	u64 rest = word & ~(IPK_MTX_FD | IPK_MTX_OWNER);

	if (word & (IPK_MTX_FD | IPK_MTX_SHARED) || IPK_BUG(mutex_death_untold))
		return rest;
	return rest | IPK_MTX_DIED;
}

/* ---- mutex_word.c: the word ----------------------------------------------------------------- */

/*
 * Takes it for owner, who may have FD, if it is free or its owner is gone; SHARED stays as it is.
 * 0;
 * -EOWNERDEAD taken, and suspect (FD: not taken, since a descriptor could not say consistent);
 * -EAGAIN held; -ENOTRECOVERABLE.
 */
int ipk_mtx_take(struct ipk_segment *seg, u64 *word, u64 owner);

/* Does the calling thread have it? *ret_word is what it holds. */
static inline bool ipk_mtx_mine(u64 *word, const struct ipk_self *me, u64 *ret_word)
{
	*ret_word = ipk_ld(word, relaxed);
	return ipk_mutex_owner(*ret_word) == (u64)me->slot + 1 && !(*ret_word & IPK_MTX_FD);
}

/* Does a thread of this process have it, or one that left it to the process? */
bool ipk_mtx_of_process(struct ipk_segment *seg, u64 *word);

/* Its owner says that all is whole again. -EPERM -EINVAL -EBADMSG. */
int ipk_mtx_consistent(u64 *word, const struct ipk_self *me);

/* Takes it for the calling thread if it is free and there is no news of it: for fast paths. */
static inline bool ipk_mtx_take_free(u64 *word, const struct ipk_self *me)
{
	u64 v = ipk_ld(word, relaxed);

	/* Acquire and seq_cst as in ipk_mtx_take(). */
	return ipk_likely(!(v & ~IPK_MTX_SEQ)) &&
	       ipk_cas(word, &v, v + IPK_MTX_SEQ_ONE + me->slot + 1, seq_cst);
}

/* Its owner gives it back from val, what it holds; a suspect one is LOST. False: it is damaged. */
static inline bool ipk_mtx_give(u64 *word, u64 val)
{
	u64 next = val & IPK_MTX_SEQ;

	if (ipk_unlikely(val & IPK_MTX_DIED))
		next |= IPK_MTX_LOST;
	/* seq_cst: pairs with the fence in ipk_event_arm(); release for the next holder. */
	return ipk_cas(word, &val, next, seq_cst);
}

/* Free and no longer suspect, SHARED as it is. -EBUSY: somebody has it. */
int ipk_mtx_reset(struct ipk_segment *seg, u64 *word);

/* Takes it from an owner who is gone. True: something changed, which who waits wants to know. */
bool ipk_mtx_mend(struct ipk_segment *seg, u64 *word);

/* ---- mutex_view.c, for other locks ---------------------------------------------------------- */

/* A finding where the word at off in the segment names an owner who cannot be. */
int ipk_mtx_check(const struct ipk_object_view *o, u64 off, struct ipk_checker *c);
/* Takes it from him, in a repair. */
int ipk_mtx_repair(const struct ipk_object_view *o, u64 off, struct ipk_repairer *r);
/* Says what the result of a verb means. */
int ipk_mtx_explain(struct ipk_call *call, int r);

#endif
