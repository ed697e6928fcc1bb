/* SPDX-License-Identifier: MIT */
/* Channels: sending, receiving, and choosing. See channel.h for what is decided under the lock. */
#include "base/futex.h"
#include "kinds/channel.h"
#include "segment/registry.h"

/* Who does not want to wait still gives a living owner of the segment's lock time to finish. */
#define PATIENCE INT64_C(1000000000)

static struct ipk_segment *seg_of(const struct ipk_channel_choice *s)
{
	return s->cases[0].channel->obj.seg;
}

static u32 *event_of(const struct ipk_channel_case *c)
{
	return c->send ? &c->channel->b->space : &c->channel->b->items;
}

/* ---- transactions -------------------------------------------------------------------- */

static int run(struct ipk_channel_choice *s, int (*fn)(struct ipk_tx *tx, void *arg), i64 deadline)
{
	int r;

	s->wake = NULL;
	r = ipk_tx_run(s->me, fn, s, deadline, NULL);
	if (r >= 0 && s->wake && !IPK_BUG(channel_silent))
		ipk_event_notify(s->wake, s->wake_n);
	return r;
}

/* What was begun is ended: neither a signal nor the cancel word stops it. */
static int run_through(struct ipk_channel_choice *s, int (*fn)(struct ipk_tx *tx, void *arg))
{
	int r;

	do
		r = run(s, fn, IPK_FOREVER);
	while (r == -EINTR || r == -ECANCELED);
	return r;
}

/* Offers all cases on rendezvous channels. -EAGAIN: nobody has come yet. */
static int offer_all(struct ipk_channel_choice *s, i64 deadline)
{
	int r = 0;

	for (s->at = 0; !r && s->at < s->n; s->at++) {
		if (s->cases[s->at].channel->cap)
			continue;
		r = run(s, ipk_channel_offer_tx, deadline);
		if (!r)
			s->offer[s->at] = s->made;
	}
	return r ? r : -EAGAIN;
}

/* Frees our offers, and receives what came with one. */
static void settle(struct ipk_channel_choice *s)
{
	int r;

	for (s->at = 0; s->at < s->n; s->at++) {
		if (!s->offer[s->at])
			continue;
		r = run_through(s, ipk_channel_settle_tx);
		if (r < 0 && s->at == s->which && !s->result)
			s->result = r;
		s->offer[s->at] = 0;
	}
}

/* ---- waiting ------------------------------------------------------------------------- */

/* Is it worth to ask for the lock? A hint: whoever says no looks again after it has announced
 * itself. */
static bool looks_ready(const struct ipk_channel_choice *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		const struct ipk_channel *ch = s->cases[i].channel;
		struct ipk_channel_body *b = ch->b;

		if (ipk_ld(&b->closed, relaxed))
			return true;
		if (!ch->cap && ipk_ld(&b->first_offer, relaxed))
			return true;
		if (s->cases[i].send ? ipk_ld(&b->count, relaxed) < ch->cap
				     : ipk_ld(&b->first, relaxed) != 0)
			return true;
	}
	return false;
}

static bool any_stale(const struct ipk_channel_choice *s)
{
	for (unsigned i = 0; i < s->n; i++)
		if (ipk_stale(&s->cases[i].channel->obj))
			return true;
	return false;
}

static bool has_offers(const struct ipk_channel_choice *s)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->offer[i])
			return true;
	return false;
}

static unsigned events_of(const struct ipk_channel_choice *s, u32 *ev[IPK_WAIT_EVENTS])
{
	unsigned n = 0, k;

	for (unsigned i = 0; i < s->n; i++) {
		for (k = 0; k < n && ev[k] != event_of(&s->cases[i]); k++)
			;
		if (k == n)
			ev[n++] = event_of(&s->cases[i]);
	}
	return n;
}

/* 1: decided; an error. */
static int wait_choice(struct ipk_channel_choice *s, i64 deadline)
{
	struct ipk_spin spin = {0};
	u32 *ev[IPK_WAIT_EVENTS];
	unsigned nev = events_of(s, ev);
	bool offered = false, slept = false;
	struct ipk_waiter waiter;
	int r = -EAGAIN, woken;

	while (r == -EAGAIN) {
		if (!offered && ipk_spin(&spin)) {
			if (looks_ready(s))
				r = run(s, ipk_channel_decide_tx, deadline);
			continue;
		}
		ipk_event_arm(s->me, &waiter, ev, nev);
		if (!offered)
			r = offer_all(s, deadline);
		offered = true;
		if (r == -EAGAIN)
			r = run(s, ipk_channel_decide_tx, deadline);
		if (r == -EAGAIN && any_stale(s)) {
			r = -ESTALE; /* whoever removed it has woken us, or saw nobody to wake */
		} else if (r == -EAGAIN) {
			woken = ipk_event_sleep(s->me, &waiter, deadline);
			slept = true;
			r = woken < 0 ? woken : r;
		}
		ipk_event_disarm(s->me, &waiter);
	}
	if (r < 0 && has_offers(s) && run_through(s, ipk_channel_give_up_tx) > 0)
		r = 1;
	settle(s);
	/* A wake that we had may have been meant for somebody who wants what we did not take. */
	for (unsigned i = 0; slept && i < nev; i++)
		if (r < 0 || s->result < 0 || ev[i] != event_of(&s->cases[s->which]))
			ipk_event_notify(ev[i], 1);
	return r;
}

/* ---- selecting ----------------------------------------------------------------------- */

static int check_case(const struct ipk_channel_choice *s, const struct ipk_channel_case *c)
{
	const struct ipk_channel *ch = c->channel;

	if (ch->obj.seg != seg_of(s))
		return -EXDEV;
	if (c->send && ch->size ? c->len != ch->size : c->send && c->len > IPK_CHANNEL_VALUE_MAX)
		return ch->size ? -EINVAL : -EMSGSIZE;
	/* A segment without a name is used on; a removed channel nobody else will ever find. */
	if (IPK_OBJ_STATE(ipk_ld(&ch->obj.o->state, relaxed)) != IPK_OBJ_LIVE)
		return -ESTALE;
	return 0;
}

static int prepare(struct ipk_channel_choice *s)
{
	int r = seg_of(s)->writable ? 0 : -EACCES;

	for (unsigned i = 0; !r && i < s->n; i++) {
		s->which = i;
		r = check_case(s, &s->cases[i]);
		if (!r) {
			s->me = ipk_use(&s->cases[i].channel->obj, &r);
			if (s->me)
				r = 0;
		}
	}
	/* Where to begin: by chance, so that no case starves. */
	s->start = s->n > 1 ? (unsigned)((u64)ipk_now() * UINT64_C(0x9e3779b97f4a7c15) >> 33) % s->n
			    : 0;
	return r;
}

int ipk_channel_select(struct ipk_channel_case *cases, unsigned n, unsigned *ret_which,
		       int64_t deadline)
{
	struct ipk_channel_choice s = {.cases = cases, .n = n};
	i64 patience;
	int r;

	if (n == 0 || n > IPK_CHANNEL_CASES)
		return -EINVAL;
	r = prepare(&s);
	if (r == -EMSGSIZE && ret_which)
		*ret_which = s.which;
	if (r < 0)
		return r;
	patience = deadline == IPK_NOWAIT ? ipk_deadline(PATIENCE) : deadline;
	r = run(&s, ipk_channel_decide_tx, patience);
	if (r == -ETIMEDOUT && deadline == IPK_NOWAIT)
		r = -EAGAIN;
	if (r == -EAGAIN && deadline != IPK_NOWAIT)
		r = wait_choice(&s, deadline);
	if (r < 0)
		return r;
	if (ret_which)
		*ret_which = s.which;
	return s.result;
}

int ipk_channel_send(struct ipk_channel *ch, const void *value, size_t len, int64_t deadline)
{
	struct ipk_channel_case c = {.channel = ch, .send = true, .value = value, .len = len};

	return ipk_channel_select(&c, 1, NULL, deadline);
}

int ipk_channel_recv(struct ipk_channel *ch, void *buf, size_t size, size_t *ret_len,
		     int64_t deadline)
{
	struct ipk_channel_case c = {.channel = ch, .buf = buf, .size = size};
	int r = ipk_channel_select(&c, 1, NULL, deadline);

	if ((r == 0 || r == -EMSGSIZE) && ret_len)
		*ret_len = c.ret_len;
	return r;
}
