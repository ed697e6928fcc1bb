/* SPDX-License-Identifier: MIT */
/* What becomes of a lock's words when somebody dies, and what else the segment asks for. */
#include "kinds/hooks.h"
#include "kinds/rwlock.h"

int ipk_rw_bind(struct ipk_obj *obj, struct ipk_rw_shape *ret)
{
	u64 room, cap, bytes;
	struct ipk_rwlock_body *body = ipk_body(obj, sizeof(*body), &room);

	if (!body)
		return -EBADMSG;
	cap = ipk_ld(&body->cap, relaxed);
	bytes = ipk_rw_bytes(cap);
	if (!bytes || bytes > room)
		return -EBADMSG;
	*ret = (struct ipk_rw_shape){body, {(u8 *)(body + 1), cap, IPK_RW_SHIFT}};
	return 0;
}

void ipk_rw_mend_word(struct ipk_segment *seg, const struct ipk_rw_shape *s)
{
	if (ipk_mtx_mend(seg, &s->body->word))
		ipk_rw_word_freed(s->body);
}

bool ipk_rw_mend_places(struct ipk_segment *seg, const struct ipk_rw_shape *s)
{
	int n = ipk_cells_mend(seg, &s->cells);

	if (n)
		ipk_rw_places_freed(s->body, n);
	return n > 0;
}

/* ---- what the segment asks ------------------------------------------------------------------ */

bool ipk_rwlock_attachable(struct ipk_obj *obj)
{
	struct ipk_rw_shape s;

	return ipk_rw_bind(obj, &s) == 0;
}

int ipk_rwlock_recover(struct ipk_obj *obj)
{
	struct ipk_rw_shape s;
	int r = ipk_rw_bind(obj, &s);

	if (r < 0)
		return r;
	ipk_rw_mend_word(obj->seg, &s);
	ipk_rw_mend_places(obj->seg, &s);
	return 0;
}

void ipk_rwlock_wake(struct ipk_obj *obj)
{
	struct ipk_rw_shape s;

	if (ipk_rw_bind(obj, &s) < 0)
		return;
	ipk_event_notify(&s.body->ev_read, INT32_MAX);
	ipk_event_notify(&s.body->ev_write, INT32_MAX);
	ipk_event_notify(&s.body->ev_drain, INT32_MAX);
}
