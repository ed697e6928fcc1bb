/* SPDX-License-Identifier: MIT */
/*
 * Waiting and waking. The protocol is drawn in segment.h; tests/models/event.pml is its model.
 *
 * WHY NO WAKE IS LOST. A waiter looks at the live words first, then sets W, then looks at the
 * condition, then sleeps. Whoever changes the condition does so before looking at W. So either it
 * sees W and wakes, or the waiter sees the change. If it dies between its change and its wake, its
 * live word differs from what the waiter noted, and that is a wake too: no process has to survive
 * for another to be woken. Somebody whose live word was already dead when it was noted changed
 * nothing afterwards, and what it changed before is seen by the look at the condition.
 * Whoever joins later bumps reg_ev, on which every waiter sleeps, so nobody is left unwatched.
 *
 * A death wakes one sleeper of the kernel's choice. Its first act is to wake the others; if it is
 * killed before that, its own live word wakes them. If it is stopped before that, they find out
 * when their slice ends: that is what the long slice is for.
 */
#include <linux/futex.h>

#include "base/futex.h"
#include "segment/registry_own.h"

#define MSEC INT64_C(1000000)
#define SLICE (10 * MSEC) /* somebody could die unseen */
#define BACKSTOP (250 * MSEC)
#define LIVE_MAX (IPK_FUTEX_MANY - IPK_WAIT_EVENTS - 2)

#define SPIN_MAX INT64_C(20000) /* ns: less than one sleep and wake-up costs */
#define SPIN_MIN INT64_C(1000)
#define SPIN_SHORT (3 * SPIN_MAX) /* a sleep as short as this was not worth its while: two wakes */
#define SPIN_VAIN 4		  /* lessons in vain: whom we wait for does not run while we do */
#define SPIN_SKIP_LOG2 8	  /* of the short sleeps between two lessons, at most */
#define SPIN_OVER UINT32_MAX

_Static_assert(LIVE_MAX <= IPK_ARRAY_LEN(((struct ipk_waiter *)0)->live),
	       "all that is watched fits");

/* Only a stopped sleeper or a held-up exit makes it count; tests set it to never. */
i64 ipk_wait_backstop = BACKSTOP;

bool ipk_wait_spins = true;

static IPK_TLS u32 *cancel_word;

static IPK_TLS struct {
	i64 budget; /* 0: not yet known */
	bool open;  /* the last spin has not been found too short */
	bool taught;
	u32 vain; /* lessons, one after another */
	u32 skip; /* short sleeps until the next lesson */
} spin_state;

static i64 later(i64 now, i64 ns)
{
	return ns > IPK_FOREVER - now ? IPK_FOREVER : now + ns;
}

int64_t ipk_deadline(int64_t ns)
{
	return later(ipk_now(), ns > 0 ? ns : 0);
}

void ipk_thread_cancel_word(uint32_t *word)
{
	cancel_word = word;
}

/* Sets W, so that the next change is told, and returns the word as it then stands. */
static u32 event_flag(u32 *ev)
{
	u32 v = ipk_ld(ev, acquire);

	while (!(v & IPK_EV_W) && !ipk_cas(ev, &v, v | IPK_EV_W, seq_cst))
		;
	return v | IPK_EV_W;
}

/* Does a living thread of the same process have a live word? Then that tells of the process's end.
 */
static bool has_mate(struct ipk_segment *seg, struct ipk_participant *p)
{
	u32 nslots = ipk_slot_count(seg);

	for (u32 slot = 0; slot < nslots; slot++) {
		struct ipk_participant *m = ipk_slot_page(seg, slot);
		u32 live;

		if (!m || IPK_CLAIM_STATE(ipk_ld(&m->claim, acquire)) != IPK_CLAIM_LIVE ||
		    ipk_ld(&m->pid, relaxed) != ipk_ld(&p->pid, relaxed) ||
		    ipk_ld(&m->start, relaxed) != ipk_ld(&p->start, relaxed) ||
		    ipk_ld(&m->pidns, relaxed) != ipk_ld(&p->pidns, relaxed))
			continue;
		live = ipk_ld(&m->live, acquire);
		if (live && !(live & FUTEX_OWNER_DIED))
			return true;
	}
	return false;
}

/* No live word tells of its death. */
static void watch_unseen(struct ipk_segment *seg, struct ipk_waiter *w, u32 slot,
			 struct ipk_participant *p)
{
	if (ipk_own_byte(seg, slot))
		return; /* dies with us */
	if (ipk_dead(seg, slot, true))
		w->dead = true;
	else if (ipk_ld(&p->role, relaxed) != IPK_ROLE_USER || !has_mate(seg, p))
		w->slices = true;
}

static void watch_slot(struct ipk_segment *seg, struct ipk_waiter *w, u32 slot,
		       struct ipk_participant *p)
{
	/* Acquire: pairs with the release of join, so that LIVE comes with its live word. */
	unsigned state = IPK_CLAIM_STATE(ipk_ld(&p->claim, acquire));
	u32 live;

	if (state == IPK_CLAIM_FREE || state == IPK_CLAIM_JOINING)
		return; /* changes nothing that anyone waits for until reg_ev tells of it */
	if (state == IPK_CLAIM_DEAD) {
		w->dead = true;
		return;
	}
	/* Acquire: what the dead wrote is seen by whoever sees that it is dead. */
	live = ipk_ld(&p->live, acquire);
	if (live & FUTEX_OWNER_DIED) {
		w->dead = true;
	} else if (state == IPK_CLAIM_HELD || live == 0) {
		watch_unseen(seg, w, slot, p);
	} else if (IPK_BUG(wait_watches_nobody)) {
		return;
	} else if (w->nlive == LIVE_MAX) {
		w->slices = true;
	} else {
		w->live[w->nlive].word = &p->live;
		w->live[w->nlive++].val = live;
	}
}

void ipk_wait_watch(struct ipk_self *me, struct ipk_waiter *w)
{
	u32 nslots;

	w->nlive = 0;
	w->slices = w->dead = false;
	w->reg_val = event_flag(&ipk_header(me->seg)->reg_ev);
	/* Pairs with the fence in join: it sees W in reg_ev, or we see its slot. */
	ipk_fence(seq_cst);
	nslots = ipk_slot_count(me->seg);
	for (u32 slot = 0; slot < nslots; slot++) {
		struct ipk_participant *p = slot == me->slot ? NULL : ipk_slot_page(me->seg, slot);

		if (p)
			watch_slot(me->seg, w, slot, p);
	}
}

u32 ipk_wait_announce(struct ipk_self *me, u64 off)
{
	u32 n = ipk_ld(&me->page->nwait, relaxed);

	if (n < IPK_ARRAY_LEN(me->page->waits)) {
		ipk_st(&me->page->waits[n], off, relaxed);
		/* Release: whoever reads the count finds the entries. */
		ipk_st(&me->page->nwait, n + 1, release);
	}
	return n;
}

void ipk_wait_withdraw(struct ipk_self *me, u32 mark)
{
	ipk_st(&me->page->nwait, mark, release);
}

/* Tells all others who sleep on a dead one's word: the kernel woke one of us. */
static bool chain_wake(struct ipk_waiter *w)
{
	bool death = false;

	for (u32 i = 0; i < w->nlive; i++) {
		if (!(ipk_ld(w->live[i].word, acquire) & FUTEX_OWNER_DIED))
			continue;
		ipk_futex_wake(w->live[i].word, INT32_MAX);
		death = true;
	}
	return death;
}

/* Without FUTEX_WAITV: sleeps on one word and looks at the others when the slice is over. */
static int wait_first(struct ipk_self *me, struct ipk_waiter *w, i64 now, i64 deadline)
{
	u32 *word = w->n ? w->ev[0] : &ipk_header(me->seg)->reg_ev;
	u32 val = w->n ? w->val[0] : (u32)w->reg_val;
	i64 end = now + SLICE;

	for (u32 i = 1; i < w->n; i++)
		if (ipk_ld(w->ev[i], acquire) != w->val[i])
			return 0;
	return ipk_futex_wait(word, val, end < deadline ? end : deadline);
}

static int wait_all(struct ipk_self *me, struct ipk_waiter *w, i64 now, i64 deadline)
{
	struct ipk_futex_word words[IPK_FUTEX_MANY];
	i64 end = later(now, w->slices ? SLICE : ipk_wait_backstop);
	u32 n = 0;

	for (u32 i = 0; i < w->n; i++)
		words[n++] = (struct ipk_futex_word){w->ev[i], w->val[i], false};
	words[n++] = (struct ipk_futex_word){&ipk_header(me->seg)->reg_ev, (u32)w->reg_val, false};
	if (cancel_word)
		words[n++] = (struct ipk_futex_word){cancel_word, 0, true};
	for (u32 i = 0; i < w->nlive; i++)
		words[n++] = (struct ipk_futex_word){w->live[i].word, w->live[i].val, false};
	return ipk_futex_waitv(words, n, end < deadline ? end : deadline);
}

int ipk_wait_once(struct ipk_self *me, struct ipk_waiter *w, i64 deadline, bool *ret_death)
{
	i64 began;
	int r;

	if (cancel_word && ipk_ld(cancel_word, acquire))
		return -ECANCELED;
	began = ipk_now();
	r = wait_all(me, w, began, deadline);
	if (r == -ENOSYS)
		r = wait_first(me, w, began, deadline);
	if (r >= 0 || r == -EAGAIN)
		ipk_spin_learn(ipk_now() - began);
	*ret_death = chain_wake(w);
	if (cancel_word && ipk_ld(cancel_word, acquire))
		return -ECANCELED;
	if (r == -ETIMEDOUT)
		return ipk_now() >= deadline ? -ETIMEDOUT : 1;
	return r >= 0 || r == -EAGAIN ? 0 : r;
}

void ipk_event_arm(struct ipk_self *me, struct ipk_waiter *w, u32 *const ev[], u32 n)
{
	ipk_wait_watch(me, w);
	w->n = n;
	for (u32 i = 0; i < n; i++) {
		w->ev[i] = ev[i];
		w->val[i] = event_flag(ev[i]);
		ipk_wait_announce(me, ipk_off(me->seg, ev[i]));
	}
	/* Pairs with the fence in ipk_event_notify(): it sees W, or the caller's next try sees the
	 * change. */
	ipk_fence(seq_cst);
}

void ipk_event_disarm(struct ipk_self *me, struct ipk_waiter *w)
{
	u32 n = ipk_ld(&me->page->nwait, relaxed);

	ipk_wait_withdraw(me, n > w->n ? n - w->n : 0);
}

/* Asleep in a lock we do not see our own events: a slice at most. */
static int sweep(struct ipk_self *me, i64 deadline)
{
	i64 end = ipk_deadline(SLICE);

	return ipk_sweep(me, end < deadline ? end : deadline);
}

int ipk_event_sleep(struct ipk_self *me, struct ipk_waiter *w, i64 deadline)
{
	bool death = false;
	int r;

	if (ipk_ld(&ipk_header(me->seg)->removed, acquire))
		return -ESTALE;
	if (w->dead) {
		if (sweep(me, deadline) > 0)
			return 0;
		/* Nothing that we can mend, or another is at it: look again soon. */
		w->slices = true;
	}
	r = ipk_wait_once(me, w, deadline, &death);
	/* We may have been woken as well as cancelled: somebody else can use that wake. */
	if (r == -ECANCELED)
		for (u32 i = 0; i < w->n; i++)
			ipk_event_notify(w->ev[i], 1);
	if (death || r == 1)
		sweep(me, deadline);
	return r == 1 ? 0 : r;
}

void ipk_event_notify_slow(u32 *ev, int n)
{
	u32 v = ipk_ld(ev, acquire);
	u32 next;

	/* Bump, so that who is about to sleep does not. W stays: n may be fewer than sleep. */
	do {
		if (!(v & IPK_EV_W))
			return;
		next = ((v + !IPK_BUG(wait_no_bump)) & ~IPK_EV_W) | (n == INT32_MAX ? 0 : IPK_EV_W);
	} while (!ipk_cas(ev, &v, next, seq_cst));
	if (ipk_futex_wake(ev, n) >= n || n == INT32_MAX)
		return;
	/*
	 * Fewer slept than we would wake: nobody is left, or they are just about to. Clear W, and
	 * bump again so that those come back and set it anew (v2 of the model loses a wake here).
	 */
	if (ipk_cas(ev, &next, (next + 1) & ~IPK_EV_W, seq_cst))
		ipk_futex_wake(ev, INT32_MAX);
}

/* ---- spinning ------------------------------------------------------------------------------ */

/*
 * How long: twice as long as last time where that was worth it, half as long where it was not. And
 * a sleep that turns out short is a lesson: had we spun for as long, we would not have slept. Two
 * who answer each other at once learn in this way not to sleep. Where they share a processor they
 * cannot, for neither runs while the other spins: lessons come to nothing, so they become rare, and
 * there is no spinning in between.
 */
void ipk_spin_learn(i64 slept)
{
	if (slept > SPIN_SHORT)
		return;
	if (spin_state.skip) {
		spin_state.skip--;
		return;
	}
	if (spin_state.budget < slept)
		spin_state.budget = slept;
	spin_state.taught = true;
}

static i64 spin_begin(void)
{
	if (spin_state.budget == 0) {
		spin_state.budget = SPIN_MAX;
	} else if (spin_state.open) {
		spin_state.vain = 0;
		spin_state.taught = false;
		if (spin_state.budget < SPIN_MAX)
			spin_state.budget *= 2;
	}
	if (spin_state.vain >= SPIN_VAIN && !spin_state.taught)
		return 0;
	spin_state.open = true;
	return ipk_now() + spin_state.budget;
}

static void spin_in_vain(void)
{
	spin_state.open = false;
	if (spin_state.taught) {
		if (spin_state.vain < SPIN_SKIP_LOG2)
			spin_state.vain++;
		spin_state.skip = 1u << spin_state.vain;
		spin_state.taught = false;
	}
	if (spin_state.budget > SPIN_MIN)
		spin_state.budget /= 2;
}

bool ipk_spin(struct ipk_spin *s)
{
	u32 pauses = 1u << (s->n < 6 ? s->n : 6);

	if (s->n == SPIN_OVER || !ipk_wait_spins)
		return false;
	if (s->n == 0) {
		s->until = spin_begin();
	} else if (ipk_now() >= s->until) {
		spin_in_vain();
		s->until = 0;
	}
	if (s->until == 0) {
		s->n = SPIN_OVER;
		return false;
	}
	s->n++;
	for (u32 i = 0; i < pauses; i++)
		ipk_pause();
	return true;
}
