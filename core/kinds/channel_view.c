/* SPDX-License-Identifier: MIT */
/*
 * What a channel holds, read without trust. Messages leave the list at its beginning alone, and
 * each that does changes received, as does each that comes back: while that stays, what was read of
 * the list belongs to it.
 */
#include <stdlib.h>

#include "kinds/channel.h"
#include "segment/view.h"

#define TRIES 100 /* looks at what changes under them */

int ipk_channel_look(const struct ipk_object_view *o, struct ipk_channel_body *ret)
{
	int r;

	r = ipk_view_body(o, ret, sizeof(*ret));
	if (r < 0)
		return r;
	return ret->cap <= IPK_CHANNEL_CAP_MAX ? 0 : -EBADMSG;
}

int ipk_channel_inspect(const struct ipk_object_view *o, uint64_t *ret_used, uint64_t *ret_cap)
{
	struct ipk_channel_body b;
	int r = ipk_channel_look(o, &b);

	if (r < 0)
		return r;
	*ret_used = b.count;
	*ret_cap = b.cap;
	return 0;
}

/* ---- items --------------------------------------------------------------------------- */

struct walk {
	const struct ipk_object_view *o;
	u64 from, to; /* positions */
	u64 next;     /* those before it have been given */
	ipk_item_fn *fn;
	void *arg;
	void *buf;
	u64 size, seen;
};

static int same_received(const struct walk *w, const struct ipk_channel_body *b)
{
	u64 now;
	int r = ipk_view_u64(w->o->view, w->o->body + offsetof(struct ipk_channel_body, received),
			     &now);

	return r < 0 ? r : now == b->received;
}

/* Header and value of the message at off. -EBADMSG also where it is just going. */
static int read_message(struct walk *w, u64 off, struct ipk_channel_message *ret)
{
	int r = off % IPK_LINE ? -EBADMSG : ipk_view_read(w->o->view, off, ret, sizeof(*ret));
	void *more;

	if (!r && (ret->len > IPK_CHANNEL_VALUE_MAX || ret->len > ipk_view_size(w->o->view)))
		r = -EBADMSG;
	if (!r && (ret->len > w->size || !w->buf)) {
		more = realloc(w->buf, ret->len ? ret->len : 1);
		if (!more)
			return -ENOMEM;
		w->buf = more;
		w->size = ret->len;
	}
	return r ? r : ipk_view_read(w->o->view, off + sizeof(*ret), w->buf, ret->len);
}

static int give(struct walk *w, const struct ipk_channel_message *m)
{
	struct ipk_item item = {.data = w->buf, .len = m->len, .pos = m->pos};

	if (m->pos < w->from || m->pos >= w->to || m->pos < w->next)
		return 0;
	w->next = m->pos + 1;
	w->seen++;
	return w->fn(w->arg, &item);
}

/* -EAGAIN: the list has changed. */
static int walk_once(struct walk *w)
{
	struct ipk_channel_message m = {0};
	struct ipk_channel_body b;
	int r = ipk_channel_look(w->o, &b), same;
	u64 off = b.first, left = b.count, most = ipk_view_size(w->o->view) / IPK_LINE;

	if (left > most) /* a list that bites its tail ends too */
		left = most;
	for (; !r && off && left; off = m.next, left--) {
		r = read_message(w, off, &m);
		same = same_received(w, &b);
		if (same < 0)
			return same;
		if (!same)
			return -EAGAIN;
		if (!r)
			r = give(w, &m);
	}
	return r;
}

static int walk_list(struct walk *w)
{
	int r = -EAGAIN;

	for (int tries = TRIES; r == -EAGAIN && tries; tries--)
		r = walk_once(w);
	free(w->buf);
	return r == -EAGAIN ? 0 : r;
}

int ipk_channel_items(const struct ipk_object_view *o, uint64_t from, uint64_t to, ipk_item_fn *fn,
		      void *arg)
{
	struct walk w = {.o = o, .from = from, .to = to, .fn = fn, .arg = arg};

	return walk_list(&w);
}

int ipk_channel_item(const struct ipk_object_view *o, const char *key, size_t len, ipk_item_fn *fn,
		     void *arg)
{
	struct walk w = {.o = o, .fn = fn, .arg = arg};
	bool one;
	int r = ipk_range_parse(key, len, &w.from, &w.to, &one);

	if (r < 0)
		return r;
	r = walk_list(&w);
	return !r && one && !w.seen ? -ENOENT : r;
}

/* ---- offers -------------------------------------------------------------------------- */

int ipk_channel_each_offer(const struct ipk_object_view *o, const struct ipk_channel_body *b,
			   int (*fn)(void *arg, u64 off, const struct ipk_channel_offer *offer),
			   void *arg)
{
	u64 off = b->first_offer;
	int r = 0;

	for (u32 left = IPK_CHAN_OFFERS_MAX; !r && off; left--) {
		struct ipk_channel_offer offer;

		if (!left || off % IPK_LINE)
			return -EBADMSG;
		r = ipk_view_read(o->view, off, &offer, sizeof(offer));
		if (!r)
			r = fn(arg, off, &offer);
		off = offer.next;
	}
	return r;
}

struct waiting {
	u64 senders, receivers;
};

static int count_offer(void *arg, u64 off, const struct ipk_channel_offer *offer)
{
	struct waiting *w = arg;

	(void)off;
	if (ipk_chan_state(offer->w) != IPK_CHAN_WAITING)
		return 0;
	w->senders += (offer->w & IPK_CHAN_SENDS) != 0;
	w->receivers += !(offer->w & IPK_CHAN_SENDS);
	return 0;
}

const char *const ipk_channel_stat_names[] = {"sent",      "received", "senders",
					      "receivers", "closed",   NULL};

int ipk_channel_stats(const struct ipk_object_view *o, struct ipk_visitor *v)
{
	struct ipk_channel_body b;
	struct waiting w = {0};
	int r = ipk_channel_look(o, &b);

	if (r < 0)
		return r;
	r = ipk_channel_each_offer(o, &b, count_offer, &w);
	if (r == -EBADMSG)
		r = 0; /* they change as we look */
	if (!r)
		r = v->u64(v, ipk_channel_stat_names[0], b.sent);
	if (!r)
		r = v->u64(v, ipk_channel_stat_names[1], b.received);
	if (!r)
		r = v->u64(v, ipk_channel_stat_names[2], w.senders);
	if (!r)
		r = v->u64(v, ipk_channel_stat_names[3], w.receivers);
	if (!r)
		r = v->boolean(v, ipk_channel_stat_names[4], b.closed != 0);
	return r;
}

struct holding {
	ipk_holder_fn *fn;
	void *arg;
};

static int hold_offer(void *arg, u64 off, const struct ipk_channel_offer *offer)
{
	struct holding *h = arg;

	(void)off;
	if (!ipk_chan_owner(offer->w))
		return 0;
	return h->fn(h->arg, (u32)ipk_chan_owner(offer->w) - 1,
		     offer->w & IPK_CHAN_SENDS ? "sender" : "receiver", 1);
}

int ipk_channel_holders(const struct ipk_object_view *o, ipk_holder_fn *fn, void *arg)
{
	struct holding h = {.fn = fn, .arg = arg};
	struct ipk_channel_body b;
	int r = ipk_channel_look(o, &b);

	if (r < 0)
		return r;
	r = ipk_channel_each_offer(o, &b, hold_offer, &h);
	return r == -EBADMSG ? 0 : r; /* they change as we look */
}
