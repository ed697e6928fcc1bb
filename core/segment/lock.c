/* SPDX-License-Identifier: MIT */
/*
 * Robust locks: one 64-bit word {owner, W, sequence} in shared memory, see format.h. The model is
 * tests/models/lock.pml.
 *
 * WHAT A DEATH LEAVES. Killed before the acquiring compare-exchange: nothing. Killed as the owner:
 * the word names a dead slot; the next locker supersedes it from exactly that word and is told (1).
 * Killed between the release and the wake: a free lock with sleepers, who all watch the live word
 * of the dead and come back. Killed asleep: the wake meant for it is repeated by whoever notices.
 * The sequence makes every acquisition's word another one, so that a locker who was stopped with
 * an old word in hand cannot rob a living owner.
 */
#include "base/futex.h"
#include "segment/registry.h"

/* The half with owner and W: a change of hands always changes it, or W would have been met. */
static u32 *lock_half(u64 *w)
{
	return (u32 *)w + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
}

static IPK_TLS i64 limit = IPK_FOREVER;

i64 ipk_lock_limit(i64 deadline)
{
	i64 before = limit;

	if (deadline < limit)
		limit = deadline;
	return before;
}

void ipk_lock_limit_end(i64 before)
{
	limit = before;
}

static bool owner_gone(struct ipk_self *me, u64 v, bool ask)
{
	u32 slot = (u32)(v & IPK_LOCK_OWNER) - 1;

	/* Nobody locks twice: that was the slot's previous owner. */
	return IPK_PROTECTED && (slot == me->slot || ipk_dead(me->seg, slot, ask));
}

/* v holds W. 0: look again. */
static int lock_sleep(struct ipk_self *me, u64 *w, u64 v, i64 deadline)
{
	struct ipk_waiter wait;
	bool death;
	u32 mark;
	int r = 0;

	wait.n = 1;
	wait.ev[0] = lock_half(w);
	wait.val[0] = (u32)v;
	ipk_wait_watch(me, &wait);
	mark = ipk_wait_announce(me, ipk_off(me->seg, wait.ev[0]) | 1);
	/*
	 * Only now: an owner that died before we watched it would not wake us. The dead are left to
	 * the sweep of who waits for an event; here it is enough not to wait for them.
	 */
	if (ipk_ld(w, acquire) == v && !owner_gone(me, v, true))
		r = ipk_wait_once(me, &wait, deadline, &death);
	ipk_wait_withdraw(me, mark);
	return r < 0 ? r : 0;
}

int ipk_lock(struct ipk_self *me, u64 *w, i64 deadline)
{
	struct ipk_spin spin = {0};
	/* W once we slept: others may sleep still, and our unlock has to wake them. */
	u64 slept = 0;
	/* Acquire: the word before the liveness of its owner. */
	u64 v = ipk_ld(w, acquire);
	int r;

	for (;;) {
		if ((v & IPK_LOCK_OWNER) == 0) {
			/* Acquire: pairs with the release in ipk_unlock(). */
			if (ipk_cas(w, &v, ipk_lock_word(v, me, v | slept), acquire))
				return 0;
			continue;
		}
		if (owner_gone(me, v, false)) {
			/* Acquire: the death was seen with acquire; what the dead wrote is there.
			 */
			if (ipk_cas(w, &v, ipk_lock_word(v, me, IPK_LOCK_W), acquire))
				return !IPK_BUG(lock_death_untold);
			continue;
		}
		if (deadline == IPK_NOWAIT) {
			if (owner_gone(me, v, true) &&
			    ipk_cas(w, &v, ipk_lock_word(v, me, IPK_LOCK_W), acquire))
				return !IPK_BUG(lock_death_untold);
			return -EAGAIN;
		}
		if (ipk_spin(&spin)) {
			v = ipk_ld(w, acquire);
			continue;
		}
		if (!(v & IPK_LOCK_W)) {
			if (!ipk_cas(w, &v, v | IPK_LOCK_W, acquire))
				continue;
			v |= IPK_LOCK_W;
		}
		if (owner_gone(me, v, true)) {
			if (ipk_cas(w, &v, ipk_lock_word(v, me, IPK_LOCK_W), acquire))
				return 1;
			continue;
		}
		r = lock_sleep(me, w, v, deadline < limit ? deadline : limit);
		if (r < 0) {
			/* The wake that came with our failure belongs to somebody else. */
			ipk_futex_wake(lock_half(w), 1);
			return r;
		}
		slept = IPK_LOCK_W;
		v = ipk_ld(w, acquire);
	}
}

void ipk_unlock(struct ipk_self *me, u64 *w)
{
	u64 v = ipk_ld(w, relaxed);

	do {
		if ((v & IPK_LOCK_OWNER) != (u64)(me->slot + 1))
			return; /* damaged by somebody: it is not ours to free */
				/* Release: pairs with the acquire of the next owner. */
	} while (!ipk_cas(w, &v, v & ~(IPK_LOCK_OWNER | IPK_LOCK_W), release));
	if (v & IPK_LOCK_W)
		ipk_futex_wake(lock_half(w), 1);
}
