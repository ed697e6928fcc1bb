/* SPDX-License-Identifier: MIT */
/* What the verbs of maps and sets share. */
#ifndef IPK_KINDS_MAP_OPS_H
#define IPK_KINDS_MAP_OPS_H

#include "kinds/map.h"

/*
 * No verb waits for anything but locks, which are held for microseconds unless their owner was
 * stopped. So who does not want to wait at all still gives a living owner time to finish.
 */
static inline i64 call_deadline(const struct ipk_call *call)
{
	if (call->timeout < 0)
		return IPK_FOREVER;
	return ipk_deadline(call->timeout ? call->timeout : IPK_MAP_PATIENCE);
}

static inline int answer(const struct ipk_call *call, int r)
{
	return r == -ETIMEDOUT && call->timeout == 0 ? -EAGAIN : r;
}

/* The bytes of the REF's key, appended to ret. */
static inline int call_key(struct ipk_call *call, struct ipk_buf *ret)
{
	struct ipk_map *map = call->handle;

	if (!call->key)
		return ipk_error_set(&call->err, -EINVAL, "a key is wanted: SEGMENT/OBJECT/KEY");
	return ipk_value_parse(map->key_type, call->key, call->key_len, 0, ret, &call->err);
}

static inline const void *bytes(const struct ipk_buf *buf)
{
	return buf->data ? buf->data : "";
}

/* del: the REF's key. */
int ipk_map_run_del(struct ipk_call *call);

#endif
