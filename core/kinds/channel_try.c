/* SPDX-License-Identifier: MIT */
/* Channels: what a select does under the segment's lock. See channel.h. */
#include "base/copy.h"
#include "kinds/cells.h"
#include "kinds/channel.h"

static void wake_later(struct ipk_channel_choice *s, u32 *ev, int n)
{
	s->wake = ev;
	s->wake_n = n;
}

/* The first offer to send, or to receive, of a living process that is not us. 1, 0 or -EBADMSG. */
static int find_offer(struct ipk_tx *tx, struct ipk_channel_body *b, u64 dir, u64 *ret_off)
{
	u64 off = ipk_tx_get(tx, &b->first_offer), w;
	u32 left = IPK_CHAN_OFFERS_MAX;
	struct ipk_channel_offer *o;

	for (; off; off = ipk_tx_get(tx, &o->next)) {
		o = left-- ? ipk_channel_offer(tx->seg, off) : NULL;
		if (!o)
			return -EBADMSG;
		w = ipk_tx_get(tx, &o->w);
		if (ipk_chan_state(w) == IPK_CHAN_WAITING && (w & IPK_CHAN_SENDS) == dir &&
		    ipk_chan_owner(w) != (u64)tx->me->slot + 1 &&
		    !ipk_owner_gone(tx->seg, ipk_chan_owner(w))) {
			*ret_off = off;
			return 1;
		}
	}
	return 0;
}

/* Copies a message to the case's buffer. 0, -EMSGSIZE with ret_len, -EBADMSG. */
static int read_message(struct ipk_tx *tx, struct ipk_channel_case *c, u64 off)
{
	struct ipk_channel_message *m = ipk_channel_message(tx->seg, off);
	u64 len;

	if (!m)
		return -EBADMSG;
	len = ipk_ld(&m->len, relaxed);
	if (c->channel->size && len != c->channel->size)
		return -EBADMSG;
	c->ret_len = len;
	c->ret_pos = ipk_ld(&m->pos, relaxed);
	if (len > c->size)
		return -EMSGSIZE;
	ipk_copy_out(c->buf, m->bytes, len);
	return 0;
}

/* ---- one case ------------------------------------------------------------------------ */

static int hand_over(struct ipk_tx *tx, struct ipk_channel_choice *s, struct ipk_channel_case *c,
		     u64 to)
{
	struct ipk_channel_body *b = c->channel->b;
	struct ipk_channel_offer *o = ipk_channel_offer(tx->seg, to);
	u64 sent = ipk_tx_get(tx, &b->sent);
	u64 msg = ipk_channel_new_message(tx, c->value, c->len, sent);

	if (!msg)
		return tx->error;
	ipk_tx_set(tx, &o->msg, msg);
	ipk_tx_set(tx, &b->sent, sent + 1);
	ipk_tx_set(tx, &b->received, ipk_tx_get(tx, &b->received) + 1);
	wake_later(s, &b->items, INT32_MAX);
	return ipk_channel_match(tx, to);
}

static int try_send(struct ipk_tx *tx, struct ipk_channel_choice *s, struct ipk_channel_case *c)
{
	struct ipk_channel_body *b = c->channel->b;
	u64 sent = ipk_tx_get(tx, &b->sent), off;
	int r;

	if (ipk_tx_get(tx, &b->closed))
		return -EPIPE;
	if (!c->channel->cap) {
		r = find_offer(tx, b, 0, &off);
		return r > 0 ? hand_over(tx, s, c, off) : r < 0 ? r : -EAGAIN;
	}
	if (ipk_tx_get(tx, &b->count) >= c->channel->cap)
		return -EAGAIN;
	off = ipk_channel_new_message(tx, c->value, c->len, sent);
	if (!off)
		return tx->error;
	ipk_channel_append(tx, b, off);
	ipk_tx_set(tx, &b->sent, sent + 1);
	wake_later(s, &b->items, 1);
	return 0;
}

static int take_first(struct ipk_tx *tx, struct ipk_channel_choice *s, struct ipk_channel_case *c)
{
	struct ipk_channel_body *b = c->channel->b;
	u64 off = ipk_tx_get(tx, &b->first);
	int r = read_message(tx, c, off);

	if (!r)
		r = ipk_channel_unlink_first(tx, b);
	if (r < 0)
		return r;
	ipk_tx_free(tx, off);
	wake_later(s, &b->space, 1);
	return 0;
}

static int take_offered(struct ipk_tx *tx, struct ipk_channel_choice *s, struct ipk_channel_case *c,
			u64 from)
{
	struct ipk_channel_body *b = c->channel->b;
	struct ipk_channel_offer *o = ipk_channel_offer(tx->seg, from);
	u64 msg = ipk_tx_get(tx, &o->msg), sent = ipk_tx_get(tx, &b->sent);
	int r = read_message(tx, c, msg);

	if (r < 0)
		return r;
	c->ret_pos = sent;
	ipk_tx_free(tx, msg);
	ipk_tx_set(tx, &o->msg, 0);
	ipk_tx_set(tx, &b->sent, sent + 1);
	ipk_tx_set(tx, &b->received, ipk_tx_get(tx, &b->received) + 1);
	wake_later(s, &b->space, INT32_MAX);
	return ipk_channel_match(tx, from);
}

/*
 * Closed and empty; but what was handed to a sleeper is received when he has it, and may come back:
 * of a dead one now. 1: it has; -EAGAIN: it still can; 0: there is none; -EBADMSG.
 */
static int handed_over(struct ipk_tx *tx, struct ipk_channel_body *b)
{
	u64 off = ipk_tx_get(tx, &b->first_offer), w;
	u32 left = IPK_CHAN_OFFERS_MAX;
	struct ipk_channel_offer *o;
	int r = 0;

	for (; off; off = ipk_tx_get(tx, &o->next)) {
		o = left-- ? ipk_channel_offer(tx->seg, off) : NULL;
		if (!o)
			return -EBADMSG;
		w = ipk_tx_get(tx, &o->w);
		if (ipk_chan_state(w) != IPK_CHAN_DONE || w & IPK_CHAN_SENDS)
			continue;
		if (ipk_owner_gone(tx->seg, ipk_chan_owner(w))) {
			r = ipk_channel_clear_offer(tx, b, off);
			return r < 0 ? r : 1;
		}
		r = -EAGAIN;
	}
	return r;
}

static int try_recv(struct ipk_tx *tx, struct ipk_channel_choice *s, struct ipk_channel_case *c)
{
	struct ipk_channel_body *b = c->channel->b;
	u64 off;
	int r;

	if (ipk_tx_get(tx, &b->first))
		return take_first(tx, s, c);
	if (ipk_tx_get(tx, &b->closed)) {
		r = handed_over(tx, b);
		return r > 0 ? take_first(tx, s, c) : r < 0 ? r : -EPIPE;
	}
	if (c->channel->cap)
		return -EAGAIN;
	r = find_offer(tx, b, IPK_CHAN_SENDS, &off);
	return r > 0 ? take_offered(tx, s, c, off) : r < 0 ? r : -EAGAIN;
}

/* ---- all of them --------------------------------------------------------------------- */

/* Has somebody taken one of our offers? */
static bool taken(struct ipk_tx *tx, struct ipk_channel_choice *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		struct ipk_channel_offer *o = ipk_channel_offer(tx->seg, s->offer[i]);

		if (o && ipk_chan_state(ipk_tx_get(tx, &o->w)) == IPK_CHAN_DONE) {
			s->which = i;
			s->result = 0;
			return true;
		}
	}
	return false;
}

static void withdraw(struct ipk_tx *tx, struct ipk_channel_choice *s)
{
	for (unsigned i = 0; i < s->n; i++) {
		struct ipk_channel_offer *o = ipk_channel_offer(tx->seg, s->offer[i]);

		if (o)
			ipk_tx_set(tx, &o->w,
				   ipk_chan_with_state(ipk_tx_get(tx, &o->w), IPK_CHAN_WITHDRAWN));
	}
}

/* 1: done; -EAGAIN; an error. */
static int try_case(struct ipk_tx *tx, struct ipk_channel_choice *s, unsigned i)
{
	struct ipk_channel_case *c = &s->cases[i];
	int r = c->send ? try_send(tx, s, c) : try_recv(tx, s, c);

	if (r != 0 && r != -EPIPE && (r != -EMSGSIZE || tx->error))
		return r;
	s->which = i;
	s->result = r;
	withdraw(tx, s);
	return 1;
}

int ipk_channel_decide_tx(struct ipk_tx *tx, void *arg)
{
	struct ipk_channel_choice *s = arg;
	int r = -EAGAIN;

	s->wake = NULL;
	if (taken(tx, s))
		return 1;
	for (unsigned i = 0; r == -EAGAIN && i < s->n; i++)
		r = try_case(tx, s, (s->start + i) % s->n);
	return r;
}

int ipk_channel_offer_tx(struct ipk_tx *tx, void *arg)
{
	struct ipk_channel_choice *s = arg;
	struct ipk_channel_case *c = &s->cases[s->at];
	u64 msg = 0, ring = 0, w = (u64)tx->me->slot + 1;
	int r;

	s->wake = NULL;
	if (taken(tx, s))
		return 1;
	r = try_case(tx, s, s->at);
	if (r != -EAGAIN)
		return r;
	if (c->send) {
		msg = ipk_channel_new_message(tx, c->value, c->len, 0);
		if (!msg)
			return tx->error;
		w |= IPK_CHAN_SENDS;
	}
	for (unsigned i = 0; i < s->n; i++)
		if (s->offer[i])
			ring = s->offer[i];
	w = ipk_chan_with_state(w, IPK_CHAN_WAITING);
	s->made = ipk_channel_new_offer(tx, c->channel->b, w, msg, ring);
	return s->made ? 0 : tx->error;
}

int ipk_channel_give_up_tx(struct ipk_tx *tx, void *arg)
{
	struct ipk_channel_choice *s = arg;

	if (taken(tx, s))
		return 1;
	withdraw(tx, s);
	return 0;
}

int ipk_channel_settle_tx(struct ipk_tx *tx, void *arg)
{
	struct ipk_channel_choice *s = arg;
	struct ipk_channel_case *c = &s->cases[s->at];
	struct ipk_channel_body *b = c->channel->b;
	struct ipk_channel_offer *o = ipk_channel_offer(tx->seg, s->offer[s->at]);
	u64 msg, w;
	int r, result = 0;

	s->wake = NULL;
	if (!o)
		return -EBADMSG;
	msg = ipk_tx_get(tx, &o->msg);
	w = ipk_tx_get(tx, &o->w);
	r = ipk_channel_drop_offer(tx, b, s->offer[s->at]);
	if (r < 0)
		return r;
	if (!c->send && ipk_chan_state(w) == IPK_CHAN_DONE) {
		result = read_message(tx, c, msg);
		if (result == -EMSGSIZE) {
			s->result = result;
			wake_later(s, &b->items, INT32_MAX);
			return ipk_channel_put_back(tx, b, msg);
		}
		if (result < 0)
			return result;
		if (ipk_tx_get(tx, &b->closed))
			wake_later(s, &b->items, INT32_MAX); /* now that is the end */
	}
	if (msg)
		ipk_tx_free(tx, msg);
	return 0;
}
