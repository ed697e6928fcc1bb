/* SPDX-License-Identifier: MIT */
/* What must hold in a channel. Reads without trust. */
#include "kinds/channel.h"
#include "kinds/hooks.h"
#include "object_type.h"

struct check {
	const struct ipk_object_view *o;
	struct ipk_checker *c;
	u64 n, last; /* of a list */
	bool broken; /* it leads nowhere */
};

static void check_messages(struct check *k, const struct ipk_channel_body *b)
{
	u64 off = b->first, before = 0, most = b->count;
	struct ipk_channel_message m;

	k->n = k->last = 0;
	k->broken = false;
	/* As many as there is room for: a list that bites its tail ends too. */
	if (most > ipk_view_size(k->o->view) / IPK_LINE)
		most = ipk_view_size(k->o->view) / IPK_LINE;
	for (; off && k->n <= most; off = m.next) {
		if (off % IPK_LINE || ipk_view_read(k->o->view, off, &m, sizeof(m)) < 0 ||
		    m.len > IPK_CHANNEL_VALUE_MAX) {
			k->broken = true;
			return;
		}
		k->c->block(k->c, off, sizeof(m) + m.len);
		if (b->size && m.len != b->size)
			k->c->finding(k->c, "value %llu has %llu bytes, an element %llu",
				      (unsigned long long)m.pos, (unsigned long long)m.len,
				      (unsigned long long)b->size);
		if (k->n && m.pos <= before)
			k->c->finding(k->c, "value %llu comes behind value %llu",
				      (unsigned long long)m.pos, (unsigned long long)before);
		before = m.pos;
		k->n++;
		k->last = off;
	}
}

/* Does the circle that the offer is in lead back to it, through offers of one owner? */
static bool ring_closes(struct check *k, u64 off, const struct ipk_channel_offer *offer)
{
	struct ipk_channel_offer at = *offer;

	for (u32 left = IPK_CHANNEL_CASES; left; left--) {
		if (at.ring == off)
			return true;
		if (at.ring % IPK_LINE || ipk_view_read(k->o->view, at.ring, &at, sizeof(at)) < 0 ||
		    ipk_chan_owner(at.w) != ipk_chan_owner(offer->w))
			return false;
	}
	return false;
}

static int check_offer(void *arg, u64 off, const struct ipk_channel_offer *offer)
{
	unsigned state = ipk_chan_state(offer->w);
	bool sends = offer->w & IPK_CHAN_SENDS, has = offer->msg != 0;
	struct ipk_channel_message m;
	struct check *k = arg;
	u64 owner = ipk_chan_owner(offer->w);
	int r;

	k->n++;
	k->last = off;
	k->c->block(k->c, off, sizeof(*offer));
	if (!state || (state == IPK_CHAN_WAITING && sends != has) ||
	    (state == IPK_CHAN_DONE && sends == has))
		k->c->finding(k->c, "an offer at %llu is in no state that there is",
			      (unsigned long long)off);
	if (!ring_closes(k, off, offer))
		k->c->finding(k->c, "the offers of the select at %llu are no circle",
			      (unsigned long long)off);
	if (has) {
		r = offer->msg % IPK_LINE ? -EBADMSG
					  : ipk_view_read(k->o->view, offer->msg, &m, sizeof(m));
		if (r < 0)
			k->c->finding(k->c, "the value of the offer at %llu lies nowhere",
				      (unsigned long long)off);
		else
			k->c->block(k->c, offer->msg, sizeof(m) + m.len);
	}
	return ipk_check_user(k->o, off + offsetof(struct ipk_channel_offer, w), offer->w,
			      owner ? owner : IPK_CHAN_OWNER, "an offer is made by", k->c);
}

int ipk_channel_check(const struct ipk_object_view *o, struct ipk_checker *c)
{
	struct check messages = {.o = o, .c = c}, offers = {.o = o, .c = c};
	struct ipk_channel_body b, again;
	int r = ipk_channel_look(o, &b);
	u32 size;

	if (r == -EBADMSG) {
		c->finding(c, "the channel is cut short, or its cap cannot be");
		return 0;
	}
	if (r < 0)
		return r;
	if (ipk_text_size(o->type, &size) == 0 && size != b.size)
		c->finding(c, "it says that an element has %llu bytes, its type %u",
			   (unsigned long long)b.size, size);
	check_messages(&messages, &b);
	r = ipk_channel_each_offer(o, &b, check_offer, &offers);
	offers.broken = r == -EBADMSG;
	if (r < 0 && r != -EBADMSG)
		return r;
	if (ipk_channel_look(o, &again) < 0 ||
	    memcmp(&again, &b, offsetof(struct ipk_channel_body, items)))
		return 0; /* it changed meanwhile */
	if (messages.broken || messages.n != b.count || messages.last != b.last)
		c->finding(c, "it says that it has %llu values, and its list does not",
			   (unsigned long long)b.count);
	if (offers.broken || offers.last != b.last_offer)
		c->finding(c, "its list of offers leads nowhere");
	if (b.received > b.sent || b.sent - b.received != b.count)
		c->finding(c, "%llu values were sent and %llu received, and %llu are there",
			   (unsigned long long)b.sent, (unsigned long long)b.received,
			   (unsigned long long)b.count);
	if (b.closed > 1)
		c->finding(c, "it is neither open nor closed");
	return 0;
}
