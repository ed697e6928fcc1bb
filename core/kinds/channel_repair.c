/* SPDX-License-Identifier: MIT */
/*
 * A channel made right, in a copy where nobody is at work. Its values are kept, in their order, up
 * to the first that leads nowhere. Offers that are sound are left to whoever recovers their dead
 * owners; where one is not, all go, and what had been sent to one and not received comes back.
 */
#include "kinds/channel.h"
#include "object_type.h"

#define POS_MAX (UINT64_C(1) << 62) /* nobody has sent so many */

struct fix {
	struct ipk_checker checker; /* first */
	struct ipk_repairer *r;
	struct ipk_channel_body *b;
	u64 findings, offers, back;
};

static void on_finding(struct ipk_checker *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void on_finding(struct ipk_checker *c, const char *fmt, ...)
{
	(void)fmt;
	((struct fix *)(void *)c)->findings++;
}

static void on_block(struct ipk_checker *c, uint64_t off, uint64_t size)
{
	(void)c, (void)off, (void)size;
}

/* ---- values ---------------------------------------------------------------------------------- */

/* The message at off, which is nobody else's; NULL: there is none. */
static struct ipk_channel_message *message(struct fix *f, u64 off)
{
	struct ipk_channel_message *m = off % IPK_LINE ? NULL : f->r->at(f->r, off, sizeof(*m));
	u64 len = !m ? UINT64_MAX : f->b->size ? f->b->size : m->len;

	if (len > IPK_CHANNEL_VALUE_MAX || f->r->claim(f->r, off, sizeof(*m) + len) != 0)
		return NULL;
	if (m->len != len) {
		m->len = len;
		f->r->did(f->r, "value %llu has the length of an element",
			  (unsigned long long)m->pos);
	}
	return m;
}

/* Ends the list before the first that is none: claimed a second time one is refused. */
static void cut_messages(struct fix *f)
{
	struct ipk_channel_message *m;

	for (u64 *link = &f->b->first; *link; link = &m->next) {
		m = message(f, *link);
		if (!m) {
			*link = 0;
			f->r->did(f->r, "its values end where they lead nowhere");
			return;
		}
	}
}

/* Positions ascend, and the numbers are those of the list. */
static void count_messages(struct fix *f)
{
	u64 n = 0, last = 0, next = 0, moved = 0; /* next: the least position that can follow */
	struct ipk_channel_body *b = f->b;
	struct ipk_channel_message *m;

	for (u64 off = b->first; off; off = m->next) {
		m = f->r->at(f->r, off, sizeof(*m));
		if (m->pos < next || m->pos > POS_MAX + n) {
			m->pos = next;
			moved++;
		}
		next = m->pos + 1;
		last = off;
		n++;
	}
	if (moved)
		f->r->did(f->r, "%llu values have other positions", (unsigned long long)moved);
	if (b->count != n || b->last != last || b->sent < next || b->sent > 2 * POS_MAX ||
	    b->sent - b->received != n) {
		if (b->sent < next || b->sent > 2 * POS_MAX)
			b->sent = next;
		b->received = b->sent - n;
		b->count = n;
		b->last = last;
		f->r->did(f->r, "it has %llu values of %llu sent", (unsigned long long)n,
			  (unsigned long long)b->sent);
	}
}

/* ---- offers ---------------------------------------------------------------------------------- */

static int claim_offer(void *arg, u64 off, const struct ipk_channel_offer *offer)
{
	struct fix *f = arg;

	if (f->r->claim(f->r, off, sizeof(*offer)) != 0)
		return -EBADMSG;
	return offer->msg && !message(f, offer->msg) ? -EBADMSG : 0;
}

/* Into its place by position, as ipk_channel_put_back() does. */
static void put_back(struct fix *f, u64 off)
{
	struct ipk_channel_message *m = message(f, off), *at;
	u64 *link = &f->b->first;

	if (!m)
		return;
	for (; *link; link = &at->next) {
		at = f->r->at(f->r, *link, sizeof(*at));
		if (at->pos > m->pos)
			break;
	}
	m->next = *link;
	*link = off;
	f->back++;
}

static int drop_offer(void *arg, u64 off, const struct ipk_channel_offer *offer)
{
	struct fix *f = arg;

	(void)off;
	f->offers++;
	if (offer->msg && ipk_chan_state(offer->w) == IPK_CHAN_DONE && !(offer->w & IPK_CHAN_SENDS))
		put_back(f, offer->msg);
	return 0;
}

static int mend_offers(struct fix *f, const struct ipk_object_view *o)
{
	int r = ipk_channel_check(o, &f->checker);

	if (r == 0 && !f->findings)
		r = ipk_channel_each_offer(o, f->b, claim_offer, f);
	if (r != -EBADMSG && (r < 0 || !f->findings))
		return r;
	/* Up to where they lead nowhere. */
	r = ipk_channel_each_offer(o, f->b, drop_offer, f);
	if (r < 0 && r != -EBADMSG)
		return r;
	f->b->first_offer = f->b->last_offer = 0;
	f->r->did(f->r, "%llu offers of the dead are withdrawn; %llu values come back",
		  (unsigned long long)f->offers, (unsigned long long)f->back);
	count_messages(f);
	return 0;
}

/* ---- the rest -------------------------------------------------------------------------------- */

int ipk_channel_repair(const struct ipk_object_view *o, struct ipk_repairer *r)
{
	struct fix f = {.checker = {.finding = on_finding, .block = on_block}, .r = r};
	u32 size;

	f.b = o->body_size < sizeof(*f.b) ? NULL : r->at(r, o->body, sizeof(*f.b));
	if (!f.b)
		return -EBADMSG;
	if (f.b->cap > IPK_CHANNEL_CAP_MAX && o->opts[0] <= IPK_CHANNEL_CAP_MAX) {
		f.b->cap = o->opts[0];
		r->did(r, "it has room for %llu values, as when it was made",
		       (unsigned long long)f.b->cap);
	}
	if (ipk_text_size(o->type, &size) == 0 && size != f.b->size) {
		f.b->size = size;
		r->did(r, "elements of %u bytes, as their type says", size);
	}
	if (f.b->closed > 1) {
		f.b->closed = 1;
		r->did(r, "it is closed");
	}
	cut_messages(&f);
	count_messages(&f);
	return mend_offers(&f, o);
}
