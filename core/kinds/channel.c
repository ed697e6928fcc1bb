/* SPDX-License-Identifier: MIT */
/* Channels for C programs: handles. Sending and receiving are in channel_select.c. */
#include <stdio.h>

#include "kinds/channel.h"
#include "kinds/hooks.h"
#include "object_type.h"

struct ipk_channel_body *ipk_channel_body(struct ipk_obj *obj)
{
	struct ipk_channel_body *b = ipk_body(obj, sizeof(*b), NULL);

	return b && ipk_ld(&b->cap, relaxed) <= IPK_CHANNEL_CAP_MAX ? b : NULL;
}

int ipk_channel_open(struct ipk_segment *seg, const char *name, const char *type,
		     struct ipk_channel **ret_channel, struct ipk_error *err)
{
	struct ipk_type *own = NULL;
	struct ipk_channel *ch;
	void *handle;
	int r;

	r = ipk_obj_open(seg, name, ipk_kind_channel.id, ipk_kind_channel.version,
			 sizeof(struct ipk_channel_body), sizeof(*ch), &handle, err);
	if (r < 0)
		return r;
	ch = handle;
	ch->b = ipk_channel_body(&ch->obj);
	if (ch->b) {
		ch->cap = ipk_ld(&ch->b->cap, relaxed);
		ch->size = ipk_ld(&ch->b->size, relaxed);
		r = ipk_obj_type(&ch->obj, name, IPK_TYPE_OF_VALUES, ch->size, type, &own, err);
	} else {
		r = ipk_error_set(err, -EBADMSG, "%s: the channel is damaged", name);
	}
	if (r < 0) {
		ipk_obj_close(&ch->obj);
		return r;
	}
	ipk_type_free(own);
	*ret_channel = ch;
	return 0;
}

void ipk_channel_close(struct ipk_channel *ch)
{
	if (ch)
		ipk_obj_close(&ch->obj);
}

int ipk_channel_create(struct ipk_segment *seg, const char *name, const char *type, uint64_t cap,
		       struct ipk_error *err)
{
	char text[24];
	struct ipk_param params[2] = {{"cap", text}, {"type", type}};

	/* Not ipk_object_new_typed(): 0 is a cap. */
	snprintf(text, sizeof(text), "%llu", (unsigned long long)cap);
	return ipk_object_new(seg, name, "channel", params, type ? 2 : 1, err);
}

uint64_t ipk_channel_cap(const struct ipk_channel *ch)
{
	return ch->cap;
}

uint64_t ipk_channel_count(const struct ipk_channel *ch)
{
	return ipk_ld(&ch->b->count, acquire);
}

bool ipk_channel_is_shut(const struct ipk_channel *ch)
{
	return ipk_ld(&ch->b->closed, acquire) != 0;
}

static int shut_tx(struct ipk_tx *tx, void *arg)
{
	struct ipk_channel_body *b = arg;

	ipk_tx_set(tx, &b->closed, 1);
	return 0;
}

int ipk_channel_shutdown(struct ipk_channel *ch)
{
	struct ipk_self *me;
	int r;

	if (!ch->obj.seg->writable)
		return -EACCES;
	me = ipk_use(&ch->obj, &r);
	if (!me)
		return r;
	r = ipk_tx_run(me, shut_tx, ch->b, IPK_FOREVER, NULL);
	if (!r) {
		ipk_event_notify(&ch->b->items, INT32_MAX);
		ipk_event_notify(&ch->b->space, INT32_MAX);
	}
	return r;
}
