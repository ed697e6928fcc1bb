/* SPDX-License-Identifier: MIT */
/*
 * The sweep: makes good what the dead left. Any number of sweepers at once, each may be killed or
 * stopped anywhere; who comes later does all of it again, and nothing of it harms when it has been
 * done already:
 *
 *   1 claim {g,LIVE..} -> {g,DEAD}       from the exact word: only this owner, never the next
 *   2 wake all who sleep on the live word
 *   3 the segment's lock, if the dead one had it: taken once, which replays its journal
 *   4 each object it used: listed as ours first, then looked whether the slot still is {g,DEAD}; if
 *     so the dead one's own listing kept the memory until ours did, so the kind may mend in it
 *   5 wake all sleepers
 *   6 claim {g,DEAD} -> {g+1,FREE}       only now may the slot's number appear with a new owner; a
 *                                        kind that could not mend all leaves this to the next sweep
 *
 * No lock is waited for longer than a moment: its holder may be stopped, and the sweeper has come
 * for something else. Then 4 is not finished, and not followed by 6: the slot stays {g,DEAD}, which
 * tells whoever waits to look again every slice, and each who attaches, until somebody gets the lock.
 *
 * Sleepers' words are woken and not bumped: a bump would be a write to memory that a stopped
 * sweeper knows from a list that may be old. None is needed, since a sleeper also watches the live
 * words (wait.c). The page of the dead is not written to for the same reason.
 */
#include "base/futex.h"
#include "segment/registry_own.h"

static IPK_TLS bool sweeping;

/*
 * unfinished: words may still name the dead one, so the slot is not free: of a kind that we do not
 * know, or of one that could not mend all of them now.
 */
struct job {
	struct ipk_self *me;
	struct ipk_participant *dead;
	u64 claim; /* {g,DEAD} */
	bool first; /* to see that it is dead */
	bool unfinished;
};

static bool still(const struct job *job)
{
	return ipk_ld(&job->dead->claim, acquire) == job->claim;
}

/*
 * Somebody took it to be freed while nobody listed it, so the dead one had nothing in it. (It comes
 * up when the dead one's list overflowed, which stands for all objects.)
 */
static bool being_freed(const struct ipk_obj *obj)
{
	return ipk_ld(&obj->o->state, acquire) >> 8 != 0;
}

/* Step 4 for one object. Non-zero ends the walk: somebody else finished the sweep. */
static int mend_object(void *arg, u64 off)
{
	struct job *job = arg;
	bool added = ipk_uses_add(job->me, off);
	const struct ipk_obj_hooks *hooks;
	struct ipk_obj obj;
	int r = 0;

	/* Pairs with the reaper's fence: it sees our listing, or we see that the slot was freed. */
	ipk_fence(seq_cst);
	if (!still(job)) {
		r = 1;
	} else if (ipk_obj_bind(job->me->seg, off, &obj) == 0 && !being_freed(&obj)) {
		obj.listed = UINT64_MAX; /* it is, as far as memory goes */
		obj.opener = job->me;
		hooks = ipk_obj_hooks(obj.o->kind);
		if (!hooks)
			job->unfinished = true;
		else if (hooks->recover && ipk_lock_missed(hooks->recover(&obj)))
			job->unfinished = true;
	}
	if (added)
		ipk_uses_drop(job->me, off);
	return r;
}

static void mend_objects(struct job *job)
{
	struct ipk_participant *p = job->dead;
	u32 n = ipk_ld(&p->nuses, acquire);

	if (IPK_BUG(sweep_mends_nothing))
		return;
	if (ipk_ld(&p->overflow, acquire)) {
		ipk_obj_each(job->me->seg, mend_object, job);
		return;
	}
	for (u32 i = 0; i < n && i < IPK_ARRAY_LEN(p->uses); i++) {
		u64 off = ipk_ld(&p->uses[i], acquire);

		if (off && mend_object(job, off) != 0)
			return;
	}
}

static void wake_sleepers(struct ipk_segment *seg)
{
	u32 nslots = ipk_slot_count(seg);

	for (u32 slot = 0; slot < nslots; slot++) {
		struct ipk_participant *p = ipk_slot_page(seg, slot);
		u32 n = p ? ipk_ld(&p->nwait, acquire) : 0;

		for (u32 i = 0; i < n && i < IPK_ARRAY_LEN(p->waits); i++) {
			u32 *word = ipk_at(seg, ipk_ld(&p->waits[i], relaxed) & ~UINT64_C(3), 4, 4);

			if (word)
				ipk_futex_wake(word, INT32_MAX);
		}
	}
}

static int nothing(struct ipk_tx *tx, void *arg)
{
	(void)tx;
	(void)arg;
	return 0;
}

static void mend_lock(struct ipk_self *me, u32 slot)
{
	u64 *lock = &ipk_header(me->seg)->lock;

	/* Acquire: pairs with whoever superseded it; then the journal is his. */
	while ((ipk_ld(lock, acquire) & IPK_LOCK_OWNER) == slot + 1)
		if (ipk_tx_run(me, nothing, NULL, IPK_FOREVER, NULL) != -EINTR)
			break;
}

/* Was it us who freed it, or could anybody? */
static bool sweep_slot(struct job *job, u32 slot)
{
	struct ipk_participant *p = job->dead;
	u64 claim = job->claim;

	ipk_futex_wake(&p->live, INT32_MAX);
	if (IPK_BUG(sweep_frees_first)) {
		ipk_cas(&p->claim, &claim, IPK_CLAIM((claim >> 8) + 1, IPK_CLAIM_FREE), acq_rel);
		job->claim = ipk_ld(&p->claim, acquire);
	}
	mend_lock(job->me, slot);
	mend_objects(job);
	/* Not by each try: they would wake each other for ever, and all see that it is dead. */
	if (job->first || !job->unfinished)
		wake_sleepers(job->me->seg);
	if (job->unfinished)
		return false;
	/* Release: all mending comes before the number's next use. */
	return ipk_cas(&p->claim, &claim, IPK_CLAIM((claim >> 8) + 1, IPK_CLAIM_FREE), acq_rel);
}

/* Is somebody dead in the slot? Then that is the job. */
static bool find_dead(struct job *job, u32 slot)
{
	struct ipk_participant *p = ipk_slot_page(job->me->seg, slot);
	u64 claim = p ? ipk_ld(&p->claim, acquire) : 0;
	u64 gen = claim >> 8;

	job->dead = p;
	job->claim = IPK_CLAIM(gen, IPK_CLAIM_DEAD);
	job->first = job->unfinished = false;
	switch (IPK_CLAIM_STATE(claim)) {
	case IPK_CLAIM_FREE:
		return false;
	case IPK_CLAIM_DEAD:
		return true;
	case IPK_CLAIM_JOINING:
		/* It has nothing yet, and its page may still list what a former owner used. */
		if (ipk_dead(job->me->seg, slot, true))
			ipk_cas(&p->claim, &claim, IPK_CLAIM(gen + 1, IPK_CLAIM_FREE), acq_rel);
		return false;
	default:
		job->first = ipk_dead(job->me->seg, slot, true) &&
			     ipk_cas(&p->claim, &claim, job->claim, acq_rel);
		return job->first;
	}
}

int ipk_sweep(struct ipk_self *me, i64 deadline)
{
	u32 nslots = ipk_slot_count(me->seg);
	i64 end = ipk_deadline(IPK_PATIENCE), before;
	struct job job = {.me = me};
	bool any = false;
	int n = 0;

	if (sweeping)
		return 0; /* a kind that mends may wait; what it meets it mends on the spot */
	sweeping = true;
	before = ipk_lock_limit(end < deadline ? end : deadline);
	for (u32 slot = 0; slot < nslots; slot++) {
		if (slot == me->slot || !find_dead(&job, slot))
			continue;
		any = true;
		n += sweep_slot(&job, slot);
	}
	/*
	 * Also where others freed the slots: while we mended we listed what the dead had used, and
	 * who was faster found it in use.
	 */
	if (any)
		ipk_reap_zombies(me);
	ipk_lock_limit_end(before);
	sweeping = false;
	return n;
}

i64 ipk_poll_interval = 1000000;

bool ipk_poll_sweep(struct ipk_self *me)
{
	static IPK_TLS i64 last;
	i64 now = ipk_now();

	if (now - last < ipk_poll_interval)
		return false;
	last = now;
	return ipk_sweep(me, IPK_NOWAIT) > 0;
}

int ipk_segment_sweep(struct ipk_segment *seg)
{
	int error = 0;
	struct ipk_self *me = ipk_self(seg, &error);

	return me ? ipk_sweep(me, IPK_FOREVER) : error;
}
