/* SPDX-License-Identifier: MIT */
/*
 * Reading rings without trust: what the descriptor names. ring_view.c, ring_items.c, ring_check.c.
 */
#ifndef IPK_KINDS_RING_VIEW_H
#define IPK_KINDS_RING_VIEW_H

#include "kinds/ring.h"

extern const char *const ipk_ring_stat_names[];

int ipk_ring_inspect(const struct ipk_object_view *o, uint64_t *ret_used, uint64_t *ret_cap);
int ipk_ring_stats(const struct ipk_object_view *o, struct ipk_visitor *v);
int ipk_ring_items(const struct ipk_object_view *o, uint64_t from, uint64_t to, ipk_item_fn *fn,
		   void *arg);
int ipk_ring_item(const struct ipk_object_view *o, const char *key, size_t len, ipk_item_fn *fn,
		  void *arg);
int ipk_ring_holders(const struct ipk_object_view *o, ipk_holder_fn *fn, void *arg);
int ipk_ring_check(const struct ipk_object_view *o, struct ipk_checker *c);
int ipk_ring_repair(const struct ipk_object_view *o, struct ipk_repairer *r);

/* As ipk_ring_layout(), from the options of creation as an object's opts[] has them. */
u64 ipk_ring_plan(const u64 *opts, u32 size, struct ipk_ring_body *ret_body);

/* A ring that is being looked at. What lies in [head, tail) was there when tail was read. */
struct ipk_ring_view {
	const struct ipk_object_view *o;
	struct ipk_ring_shape g;
	struct ipk_ring_body body; /* as it was */
	u64 head, tail;
	u64 later; /* records found behind the hint */
};

/* -EBADMSG: the constant part; or, with head and tail set, they are not a ring's. */
int ipk_ring_look(const struct ipk_object_view *o, struct ipk_ring_view *ret);

static inline u64 rv_at(const struct ipk_ring_view *rv, u64 pos)
{
	return rv->g.data + ring_at(&rv->g, pos);
}

/* The head as it is now. */
static inline int rv_head(const struct ipk_ring_view *rv, u64 *ret_head)
{
	return ipk_view_u64(rv->o->view, rv->o->body + offsetof(struct ipk_ring_body, head),
			    ret_head);
}

/*
 * Calls fn with each unread record from head to tail, oldest first, whole and as it was while it
 * was unread, until it returns non-zero, which is returned. -EBADMSG where a word is no record's.
 * *ret_pos (may be NULL): where it ended.
 */
struct ipk_ring_record {
	const u8 *data;
	u64 pos, len;
	u32 sum;
};
typedef int ring_record_fn(struct ipk_ring_view *rv, void *arg, const struct ipk_ring_record *rec);
int ipk_ring_records(struct ipk_ring_view *rv, ring_record_fn *fn, void *arg, u64 *ret_pos);

#endif
