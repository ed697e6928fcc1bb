/* SPDX-License-Identifier: MIT */
/* Channels: what a death leaves, and the end. */
#include "kinds/cells.h"
#include "kinds/channel.h"
#include "segment/registry.h"

#define FREE_MAX 4 /* blocks of one transaction */

/* ---- recovery ------------------------------------------------------------------------ */

int ipk_channel_clear_offer(struct ipk_tx *tx, struct ipk_channel_body *b, u64 off)
{
	struct ipk_channel_offer *o = ipk_channel_offer(tx->seg, off);
	u64 w = ipk_tx_get(tx, &o->w), msg = ipk_tx_get(tx, &o->msg);
	int r = ipk_channel_drop_offer(tx, b, off);

	if (r < 0 || !msg)
		return r;
	/* Sent to it, and not received: it is another's. */
	if (ipk_chan_state(w) == IPK_CHAN_DONE && !(w & IPK_CHAN_SENDS))
		return ipk_channel_put_back(tx, b, msg);
	ipk_tx_free(tx, msg);
	return 0;
}

/* 1: one was cleared, look again. */
static int mend_tx(struct ipk_tx *tx, void *arg)
{
	struct ipk_channel_body *b = arg;
	u64 off = ipk_tx_get(tx, &b->first_offer);
	u32 left = IPK_CHAN_OFFERS_MAX;
	struct ipk_channel_offer *o;
	int r;

	for (; off; off = ipk_tx_get(tx, &o->next)) {
		o = left-- ? ipk_channel_offer(tx->seg, off) : NULL;
		if (!o)
			return -EBADMSG;
		if (!ipk_owner_gone(tx->seg, ipk_chan_owner(ipk_tx_get(tx, &o->w))))
			continue;
		r = ipk_channel_clear_offer(tx, b, off);
		return r < 0 ? r : 1;
	}
	return 0;
}

int ipk_channel_recover(struct ipk_obj *obj)
{
	struct ipk_channel_body *b = ipk_channel_body(obj);
	struct ipk_self *me;
	int r;

	if (!b)
		return -EBADMSG;
	me = ipk_self(obj->seg, &r);
	if (!me)
		return r;
	/* In a transaction even to look: the dead one's own may still be in the journal. */
	while ((r = ipk_tx_run(me, mend_tx, b, IPK_FOREVER, NULL)) > 0)
		ipk_event_notify(&b->items, INT32_MAX);
	return r;
}

void ipk_channel_wake(struct ipk_obj *obj)
{
	struct ipk_channel_body *b = ipk_channel_body(obj);

	if (!b)
		return;
	ipk_event_notify(&b->items, INT32_MAX);
	ipk_event_notify(&b->space, INT32_MAX);
}

bool ipk_channel_attachable(struct ipk_obj *obj)
{
	return ipk_channel_body(obj) != NULL;
}

/* ---- giving back --------------------------------------------------------------------- */

struct giving_back {
	struct ipk_channel_body *b;
	const void *value;
	size_t len;
	u64 pos;
};

static int give_back_tx(struct ipk_tx *tx, void *arg)
{
	struct giving_back *g = arg;
	u64 off = ipk_channel_new_message(tx, g->value, g->len, g->pos);

	return off ? ipk_channel_put_back(tx, g->b, off) : tx->error;
}

int ipk_channel_unrecv(struct ipk_channel *ch, const void *value, size_t len, u64 pos)
{
	struct giving_back g = {.b = ch->b, .value = value, .len = len, .pos = pos};
	struct ipk_self *me;
	int r;

	me = ipk_use(&ch->obj, &r);
	if (!me)
		return r;
	do
		r = ipk_tx_run(me, give_back_tx, &g, IPK_FOREVER, NULL);
	while (r == -EINTR || r == -ECANCELED);
	if (!r)
		ipk_event_notify(&ch->b->items, INT32_MAX);
	return r;
}

/* ---- the end ------------------------------------------------------------------------- */

/* 1: there is more. */
static int destroy_tx(struct ipk_tx *tx, void *arg)
{
	struct ipk_channel_body *b = arg;
	u64 off = ipk_tx_get(tx, &b->first_offer);
	int i, r;

	/* Nobody uses the channel, so they are of the dead, who could not be mended. */
	if (off) {
		r = ipk_channel_offer(tx->seg, off) ? ipk_channel_clear_offer(tx, b, off)
						    : -EBADMSG;
		return r < 0 ? r : 1;
	}
	for (i = 0; i < FREE_MAX; i++) {
		off = ipk_tx_get(tx, &b->first);
		if (!off)
			return 0;
		if (!ipk_block_size(tx->seg, off) || ipk_channel_unlink_first(tx, b) < 0)
			return -EBADMSG;
		ipk_tx_free(tx, off);
	}
	return 1;
}

int ipk_channel_destroy(struct ipk_obj *obj)
{
	struct ipk_channel_body *b = ipk_channel_body(obj);

	return b ? ipk_tx_repeat(obj->seg, destroy_tx, b) : -EBADMSG;
}
