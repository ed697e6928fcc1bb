/* SPDX-License-Identifier: MIT */
#include "segment/heap.h"

const u16 ipk_class_size[IPK_CLASSES] = {64, 128, 192, 256, 384, 512, 768, 1024, 1344, 2048};

u32 ipk_class_of(u64 size)
{
	u32 cls = 0;

	while (ipk_class_size[cls] < size)
		cls++;
	return cls;
}

static void list(struct ipk_tx *tx, u64 page, u32 cls)
{
	u64 *first = &ipk_header(tx->seg)->partial[cls];
	u64 next = ipk_tx_get(tx, first);

	ipk_pg_set_w(tx, page, ipk_pg_word(IPK_PG_SLAB, cls, IPK_PGF_LISTED, 1));
	ipk_pg_set_links(tx, page, ipk_pg_link(next, 0));
	if (next)
		ipk_pg_set_links(tx, next, ipk_pg_link(ipk_pg_next(ipk_pg_links(tx, next)), page));
	ipk_tx_set(tx, first, page);
}

static void unlist(struct ipk_tx *tx, u64 page, u32 cls)
{
	u64 *first = &ipk_header(tx->seg)->partial[cls];
	u64 link = ipk_pg_links(tx, page), near;
	u32 next = ipk_pg_next(link), prev = ipk_pg_prev(link);

	if (next) {
		near = ipk_pg_links(tx, next);
		if (ipk_pg_prev(near) != page)
			ipk_tx_fail(tx, -EBADMSG);
		ipk_pg_set_links(tx, next, ipk_pg_link(ipk_pg_next(near), prev));
	}
	if (prev) {
		near = ipk_pg_links(tx, prev);
		if (ipk_pg_next(near) != page)
			ipk_tx_fail(tx, -EBADMSG);
		ipk_pg_set_links(tx, prev, ipk_pg_link(next, ipk_pg_prev(near)));
	} else {
		if (ipk_tx_get(tx, first) != page)
			ipk_tx_fail(tx, -EBADMSG);
		ipk_tx_set(tx, first, next);
	}
	ipk_pg_set_w(tx, page, ipk_pg_word(IPK_PG_SLAB, cls, 0, 1));
}

u64 ipk_slab_take(struct ipk_tx *tx, u32 cls)
{
	u64 page = ipk_tx_get(tx, &ipk_header(tx->seg)->partial[cls]);
	u64 full = ipk_class_full(cls), map = 0;
	u32 i;

	if (page) {
		map = ipk_pg_map(tx, page);
		if (ipk_pg_w(tx, page) != ipk_pg_word(IPK_PG_SLAB, cls, IPK_PGF_LISTED, 1) ||
		    map == full || (map & ~full)) {
			ipk_tx_fail(tx, -EBADMSG);
			return 0;
		}
	} else {
		page = ipk_pages_take(tx, 1, IPK_PG_SLAB, false);
		if (!page)
			return 0;
		list(tx, page, cls);
	}
	i = (u32)__builtin_ctzll(~map);
	map |= UINT64_C(1) << i;
	ipk_pg_set_map(tx, page, map);
	if (IPK_BUG(slab_taken_first) && !tx->direct)
		ipk_st(&tx->table[page].map, map, relaxed);
	if (map == full)
		unlist(tx, page, cls);
	return page * IPK_PAGE + (u64)i * ipk_class_size[cls];
}

void ipk_slab_give(struct ipk_tx *tx, u64 page, u64 w, u64 off)
{
	struct ipk_header *h = ipk_header(tx->seg);
	u32 cls = ipk_pg_class(w), i;
	u64 map = ipk_pg_map(tx, page), full, used;
	bool listed = ipk_pg_flags(w) & IPK_PGF_LISTED;

	if (cls >= IPK_CLASSES || off % IPK_PAGE % ipk_class_size[cls]) {
		ipk_tx_fail(tx, -EBADMSG);
		return;
	}
	full = ipk_class_full(cls);
	i = (u32)(off % IPK_PAGE) / ipk_class_size[cls];
	used = ipk_tx_get(tx, &h->used);
	if (i >= ipk_class_count(cls) || !(map >> i & 1) || listed != (map != full) ||
	    used < ipk_class_size[cls]) {
		ipk_tx_fail(tx, -EBADMSG);
		return;
	}
	ipk_tx_set(tx, &h->used, used - ipk_class_size[cls]);
	map &= ~(UINT64_C(1) << i);
	ipk_pg_set_map(tx, page, map);
	if (IPK_BUG(slab_given_first))
		ipk_st(&tx->table[page].map, map, relaxed);
	if (!listed)
		list(tx, page, cls);
	if (map == 0) {
		unlist(tx, page, cls);
		ipk_pages_give(tx, page, 1, 0);
	}
}
