/* SPDX-License-Identifier: MIT */
/* Channels: the lists of messages and of offers, changed by transactions. See channel.h. */
#include "base/copy.h"
#include "kinds/channel.h"

struct ipk_channel_message *ipk_channel_message(struct ipk_segment *seg, u64 off)
{
	struct ipk_channel_message *m = ipk_at(seg, off, sizeof(*m), IPK_LINE);
	u64 len;

	if (!m || !off)
		return NULL;
	len = ipk_ld(&m->len, relaxed);
	return len <= IPK_CHANNEL_VALUE_MAX ? ipk_at(seg, off, sizeof(*m) + len, IPK_LINE) : NULL;
}

struct ipk_channel_offer *ipk_channel_offer(struct ipk_segment *seg, u64 off)
{
	return off ? ipk_at(seg, off, sizeof(struct ipk_channel_offer), IPK_LINE) : NULL;
}

/* ---- messages ------------------------------------------------------------------------ */

u64 ipk_channel_new_message(struct ipk_tx *tx, const void *value, size_t len, u64 pos)
{
	u64 off = ipk_tx_alloc(tx, sizeof(struct ipk_channel_message) + len, 0);
	struct ipk_channel_message *m = (void *)(tx->seg->base + off);

	if (!off)
		return 0;
	ipk_st(&m->next, 0, relaxed);
	ipk_st(&m->pos, pos, relaxed);
	ipk_st(&m->len, len, relaxed);
	ipk_copy_in(m->bytes, value, len);
	return off;
}

void ipk_channel_append(struct ipk_tx *tx, struct ipk_channel_body *b, u64 off)
{
	struct ipk_channel_message *last = ipk_channel_message(tx->seg, ipk_tx_get(tx, &b->last));

	ipk_tx_set(tx, last ? &last->next : &b->first, off);
	ipk_tx_set(tx, &b->last, off);
	ipk_tx_set(tx, &b->count, ipk_tx_get(tx, &b->count) + 1);
}

int ipk_channel_put_back(struct ipk_tx *tx, struct ipk_channel_body *b, u64 off)
{
	struct ipk_channel_message *m = ipk_channel_message(tx->seg, off), *at;
	u64 *link = &b->first, next, left = ipk_tx_get(tx, &b->count) + 1;

	if (!m)
		return -EBADMSG;
	while ((next = ipk_tx_get(tx, link)) != 0) {
		at = left-- ? ipk_channel_message(tx->seg, next) : NULL;
		if (!at)
			return -EBADMSG;
		if (ipk_tx_get(tx, &at->pos) > ipk_tx_get(tx, &m->pos))
			break;
		link = &at->next;
	}
	ipk_tx_set(tx, &m->next, next);
	ipk_tx_set(tx, link, off);
	if (!next)
		ipk_tx_set(tx, &b->last, off);
	ipk_tx_set(tx, &b->count, ipk_tx_get(tx, &b->count) + 1);
	ipk_tx_set(tx, &b->received, ipk_tx_get(tx, &b->received) - 1);
	return 0;
}

int ipk_channel_unlink_first(struct ipk_tx *tx, struct ipk_channel_body *b)
{
	struct ipk_channel_message *m = ipk_channel_message(tx->seg, ipk_tx_get(tx, &b->first));
	u64 next;

	if (!m)
		return -EBADMSG;
	next = ipk_tx_get(tx, &m->next);
	if (IPK_BUG(channel_taken_first))
		ipk_st(&b->first, next, release);
	ipk_tx_set(tx, &b->first, next);
	if (!next)
		ipk_tx_set(tx, &b->last, 0);
	ipk_tx_set(tx, &b->count, ipk_tx_get(tx, &b->count) - 1);
	ipk_tx_set(tx, &b->received, ipk_tx_get(tx, &b->received) + 1);
	return 0;
}

/* ---- offers -------------------------------------------------------------------------- */

u64 ipk_channel_new_offer(struct ipk_tx *tx, struct ipk_channel_body *b, u64 w, u64 msg, u64 ring)
{
	struct ipk_channel_offer *last = ipk_channel_offer(tx->seg, ipk_tx_get(tx, &b->last_offer));
	struct ipk_channel_offer *sister = ipk_channel_offer(tx->seg, ring);
	u64 off = ipk_tx_alloc(tx, sizeof(struct ipk_channel_offer), 0);
	struct ipk_channel_offer *o = (void *)(tx->seg->base + off);

	if (!off)
		return 0;
	ipk_st(&o->next, 0, relaxed);
	ipk_st(&o->ring, sister ? ipk_tx_get(tx, &sister->ring) : off, relaxed);
	ipk_st(&o->w, w, relaxed);
	ipk_st(&o->msg, msg, relaxed);
	if (sister)
		ipk_tx_set(tx, &sister->ring, off);
	ipk_tx_set(tx, last ? &last->next : &b->first_offer, off);
	ipk_tx_set(tx, &b->last_offer, off);
	return off;
}

int ipk_channel_match(struct ipk_tx *tx, u64 off)
{
	struct ipk_channel_offer *o = ipk_channel_offer(tx->seg, off);
	u32 left = IPK_CHANNEL_CASES;
	u64 at;

	if (!o)
		return -EBADMSG;
	ipk_tx_set(tx, &o->w, ipk_chan_with_state(ipk_tx_get(tx, &o->w), IPK_CHAN_DONE));
	while ((at = ipk_tx_get(tx, &o->ring)) != off) {
		o = left-- ? ipk_channel_offer(tx->seg, at) : NULL;
		if (!o)
			return -EBADMSG;
		ipk_tx_set(tx, &o->w,
			   ipk_chan_with_state(ipk_tx_get(tx, &o->w), IPK_CHAN_WITHDRAWN));
	}
	return 0;
}

/* The circle without the offer at off. */
static int leave_ring(struct ipk_tx *tx, struct ipk_channel_offer *o, u64 off)
{
	struct ipk_channel_offer *before = o;
	u32 left = IPK_CHANNEL_CASES;
	u64 at;

	while ((at = ipk_tx_get(tx, &before->ring)) != off) {
		before = left-- ? ipk_channel_offer(tx->seg, at) : NULL;
		if (!before)
			return -EBADMSG;
	}
	if (before != o)
		ipk_tx_set(tx, &before->ring, ipk_tx_get(tx, &o->ring));
	return 0;
}

int ipk_channel_drop_offer(struct ipk_tx *tx, struct ipk_channel_body *b, u64 off)
{
	struct ipk_channel_offer *o = ipk_channel_offer(tx->seg, off), *before = NULL;
	u32 left = IPK_CHAN_OFFERS_MAX;
	u64 *link = &b->first_offer, at;
	int r;

	if (!o)
		return -EBADMSG;
	while ((at = ipk_tx_get(tx, link)) != off) {
		before = left-- ? ipk_channel_offer(tx->seg, at) : NULL;
		if (!before)
			return -EBADMSG;
		link = &before->next;
	}
	r = leave_ring(tx, o, off);
	if (r < 0)
		return r;
	ipk_tx_set(tx, link, ipk_tx_get(tx, &o->next));
	if (ipk_tx_get(tx, &b->last_offer) == off)
		ipk_tx_set(tx, &b->last_offer, before ? ipk_off(tx->seg, before) : 0);
	ipk_tx_free(tx, off);
	return 0;
}
