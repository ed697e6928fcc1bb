/* SPDX-License-Identifier: MIT */
/*
 * Participants: who is attached, who is dead, what the dead left. Internal to core/segment.
 *
 * A slot's life, by compare-exchange on claim from its exact value {generation, state}:
 *
 *   FREE --join--> JOINING --> LIVE --thread ends, holds nothing--> LEAVING --> {g+1, FREE}
 *                                   --thread ends, holds something--> HELD --> LEAVING ...
 *   LIVE HELD LEAVING --seen dead, by any sweeper--> DEAD --swept--> {g+1, FREE}
 *   JOINING --seen dead--> {g+1, FREE}: it had nothing yet, and what its page says is not its own
 *
 * LEFT BEHIND BY A DEATH, after
 *   the byte lock and before JOINING   nothing: the byte goes with the process
 *   JOINING                            a slot that the next sweep frees
 *   LIVE                               the robust word says so within microseconds; the sweep of
 *                                      whoever notices mends the rest
 *   HELD, LEAVING                      the free byte says so to those who ask
 *
 * A sweeper writes into a slot's page nothing but claim: the page may belong to a new owner by the
 * time that a stopped sweeper goes on. Whoever joins clears it.
 */
#ifndef IPK_REGISTRY_H
#define IPK_REGISTRY_H

#include "segment/segment.h"

#define IPK_CLAIM_STATE(c) ((unsigned)((c) & 0xff))
#define IPK_CLAIM(gen, state) ((u64)(gen) << 8 | (u64)(state))

/* Called by map.c at the end of each open for writing, before the handle is given out. */
void ipk_registry_attach(struct ipk_segment *seg);
/*
 * Called by close first: ends all participants of this process in seg, those of other threads too,
 * gives back what they held, and forgets seg. No thread may be inside a call on seg.
 */
void ipk_leave_all(struct ipk_segment *seg);

/* Slots that exist; never more than IPK_SLOTS_MAX, whatever the header says. */
u32 ipk_slot_count(struct ipk_segment *seg);
/* A slot's page, or NULL where the registry names none. */
struct ipk_participant *ipk_slot_page(struct ipk_segment *seg, u32 slot);
/* The same for memory that is no mapping's: true when state counts what its uses[] lists. */
static inline bool ipk_claim_uses(u64 claim)
{
	unsigned state = IPK_CLAIM_STATE(claim);

	return state >= IPK_CLAIM_LIVE && state <= IPK_CLAIM_DEAD;
}

/*
 * Lists the object at off in me's uses[], or drops it. By me's own thread, or under seg->mutex for
 * an orphan. add: false when it was there already. After add the caller makes a full fence and
 * looks whether the object still is what it meant: from then on its memory cannot go.
 */
bool ipk_uses_add(struct ipk_self *me, u64 off);
void ipk_uses_drop(struct ipk_self *me, u64 off);

/*
 * Is the object at off listed by anybody but except (may be NULL)? For the reaper of removed
 * objects, which made a full fence after the object's removal.
 */
bool ipk_uses_any(struct ipk_segment *seg, u64 off, const struct ipk_self *except);

/*
 * Counts what binds a participant to the process beyond its thread's end. get: by its own thread.
 * put: by any, and may end an orphan. Its own thread counts for itself, without locked
 * instructions: both are in the fast paths of kinds. The count is the sum, which others look at
 * only when the thread has ended or may not be inside a call.
 */
static inline u64 ipk_holds(const struct ipk_self *me)
{
	return ipk_ld((u64 *)&me->own_holds, relaxed) + ipk_ld((u64 *)&me->other_holds, relaxed);
}

static inline void ipk_hold_get(struct ipk_self *me)
{
	ipk_st(&me->own_holds, ipk_ld(&me->own_holds, relaxed) + 1, relaxed);
}

void ipk_hold_put_other(struct ipk_self *me);

static inline void ipk_hold_put(struct ipk_self *me)
{
	if (ipk_likely(me == ipk_self_cache)) /* its thread is here: not ending */
		ipk_st(&me->own_holds, ipk_ld(&me->own_holds, relaxed) - 1, relaxed);
	else
		ipk_hold_put_other(me);
}

/*
 * A participant without a thread: lives until every process that inherited *ret_fd has closed it or
 * ended. The descriptor is inheritable. What it holds comes back by the sweep, so the object is
 * listed by ipk_holder_use() before anything is acquired in its name.
 */
int ipk_holder_new(struct ipk_segment *seg, int *ret_fd, u32 *ret_slot);
int ipk_holder_use(struct ipk_obj *obj, u32 slot);
void ipk_holder_set_pid(struct ipk_segment *seg, u32 slot, u32 pid);

/*
 * Who makes good what others left waits for no lock longer than this, in all: whoever has it may be
 * stopped, and the caller has affairs of his own. It stays as it was for the next to come by.
 */
#define IPK_PATIENCE INT64_C(100000000) /* ns */

/*
 * Until ipk_lock_limit_end() the thread waits for locks until deadline at most: then -ETIMEDOUT.
 * Returns the limit before, which counts where it is nearer, and is what ends this one.
 */
i64 ipk_lock_limit(i64 deadline);
void ipk_lock_limit_end(i64 before);

/* A lock was not had, which is no fault of what it protects: another time. */
static inline bool ipk_lock_missed(int r)
{
	return r == -ETIMEDOUT || r == -EAGAIN || r == -EINTR || r == -ECANCELED;
}

/* ---- wait.c, for lock.c and registry.c ------------------------------------------------------ */

extern i64 ipk_wait_backstop; /* ns that a sleep lasts at most; for tests */
extern bool ipk_wait_spins;   /* false: nobody spins, and steps can be counted; for tests */

/* Notes whom to watch: reg_ev, live words. Before anything else of a sleep. */
void ipk_wait_watch(struct ipk_self *me, struct ipk_waiter *w);
/*
 * One sleep on w's events and what ipk_wait_watch() noted, at most until deadline. 0: something
 * happened; 1: a slice is over, ask who is dead; -ETIMEDOUT -EINTR -ECANCELED. *ret_death: a live
 * word says that somebody died; all others who sleep on that word have been woken.
 */
int ipk_wait_once(struct ipk_self *me, struct ipk_waiter *w, i64 deadline, bool *ret_death);
/* Announces words for who and for the sweeper's wake; returns what withdraw wants. */
u32 ipk_wait_announce(struct ipk_self *me, u64 off);
void ipk_wait_withdraw(struct ipk_self *me, u32 mark);

/* Spinning before a sleep: true while it is worth another look. Zero-initialise; one per wait. */
struct ipk_spin {
	u32 n;
	i64 until;
};
bool ipk_spin(struct ipk_spin *s);
void ipk_spin_learn(i64 slept); /* how long a sleep took that somebody ended, ns */

/* ---- of object.c, dir.c, tx.c --------------------------------------------------------------- */

/* Frees removed objects that nobody lists any more. */
void ipk_reap_zombies(struct ipk_self *me);
/* Fills a handle over the object at off, header checked; -EBADMSG. Lists nothing. */
int ipk_obj_bind(struct ipk_segment *seg, u64 off, struct ipk_obj *ret_obj);
/* Calls fn with the header offset of each object, removed ones that still exist included. */
int ipk_obj_each(struct ipk_segment *seg, int (*fn)(void *arg, u64 off), void *arg);

#endif
