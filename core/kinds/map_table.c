/* SPDX-License-Identifier: MIT */
/*
 * Tables of maps: when there is a new one, how it is filled, and how all of a map goes.
 *
 * A table is replaced when a new key would fill it to more than 3/4, tombstones included, and
 * when fewer than 1/8 of its slots would have an entry after a deletion; the new one has the
 * smallest size of which at most half is used. So between two of them there are changes in
 * proportion to the size, and each change costs a constant number of steps on average.
 */
#include "kinds/map_write.h"

/* How far ahead of the copying the entries are fetched, whose hashes it needs. */
#define AHEAD 16u

void ipk_map_clear(struct ipk_segment *seg, u64 off, u32 log2)
{
	u64 *slots = (void *)(seg->base + off), n = UINT64_C(1) << log2, i;

	/* Atomic, for readers of what that memory was before. */
	for (i = 0; i < n; i++)
		ipk_st(&slots[i], IPK_MAP_EMPTY, relaxed);
}

/* 0: what the map says about its smallest table is damaged. */
static u32 fitting_log2(const struct ipk_map_write *w, u64 count)
{
	u32 log2 = ipk_ld(&w->b->min_log2, relaxed);

	if (log2 < IPK_MAP_LOG2_MIN || log2 > w->log2)
		return 0;
	while (log2 < IPK_MAP_LOG2_MAX && count > UINT64_C(1) << (log2 - 1))
		log2++;
	return log2;
}

/* The first free place for hash in a table without tombstones that is not full. */
static u64 free_place(u64 *slots, u32 log2, u64 hash)
{
	u64 mask = (UINT64_C(1) << log2) - 1, i = ipk_map_home(hash, log2), left;

	for (left = mask; left && ipk_ld(&slots[i], relaxed) != IPK_MAP_EMPTY; left--)
		i = (i + 1) & mask;
	return i;
}

static void fetch(struct ipk_map_write *w, u64 i, u64 n)
{
	u64 slot = i < n ? ipk_ld(&w->slots[i], relaxed) : IPK_MAP_EMPTY;

	if (slot > IPK_MAP_TOMB && ipk_at(w->seg, ipk_map_off(slot), IPK_LINE, IPK_LINE))
		__builtin_prefetch(w->seg->base + ipk_map_off(slot));
}

/* Enters all entries but the one at skip into the new table. */
static int copy_slots(struct ipk_map_write *w, u64 skip)
{
	u64 n = UINT64_C(1) << w->log2, room = (UINT64_C(1) << w->new_log2) - 1, i, slot, hash;
	struct ipk_map_entry *e;

	for (i = 0; i < n; i++) {
		fetch(w, i + AHEAD, n);
		slot = ipk_ld(&w->slots[i], relaxed);
		if (slot <= IPK_MAP_TOMB || i == skip)
			continue;
		e = ipk_at(w->seg, ipk_map_off(slot), sizeof(*e), IPK_LINE);
		hash = e ? ipk_ld(&e->hash, relaxed) : 0;
		if (!e || !ipk_map_alike(slot, hash) || room-- == 0)
			return -EBADMSG;
		ipk_st(&w->new_slots[free_place(w->new_slots, w->new_log2, hash)], slot, relaxed);
	}
	return 0;
}

static int build_table(struct ipk_map_write *w, u32 log2, u64 skip)
{
	u64 size = UINT64_C(8) << log2;
	int r;

	if (log2 == 0)
		return -EBADMSG;
	r = ipk_map_build(w, 0, size, &w->new_table);
	if (r < 0)
		return r;
	w->new_log2 = log2;
	w->new_slots = ipk_at(w->seg, w->new_table, size, IPK_LINE);
	if (!w->new_slots)
		return -EBADMSG;
	ipk_map_clear(w->seg, w->new_table, log2);
	return copy_slots(w, skip);
}

int ipk_map_make_room(struct ipk_map_write *w)
{
	u64 count = ipk_ld(&w->b->count, relaxed), used = count + ipk_ld(&w->b->tombs, relaxed);
	u64 n = UINT64_C(1) << w->log2;
	int r;

	if (w->at != UINT64_MAX && (w->slot == IPK_MAP_TOMB || used < ipk_map_room(w->log2)))
		return 0;
	if (count >= ipk_map_room(IPK_MAP_LOG2_MAX))
		return -ENOSPC;
	r = build_table(w, fitting_log2(w, count + 1), UINT64_MAX);
	/* In a segment without space for that it may become fuller; a get ends at an EMPTY slot. */
	if (r == -ENOSPC && w->at != UINT64_MAX && used < n - n / 16 - 1)
		return 0;
	if (!r)
		w->at = free_place(w->new_slots, w->new_log2, w->hash);
	return r;
}

int ipk_map_give_room(struct ipk_map_write *w)
{
	u64 count = ipk_ld(&w->b->count, relaxed);
	u32 log2;
	int r;

	if (count == 0)
		return -EBADMSG;
	log2 = fitting_log2(w, count - 1);
	if (log2 >= w->log2 || count - 1 >= UINT64_C(1) << (w->log2 - 3))
		return 0;
	r = build_table(w, log2, w->at);
	return r == -ENOSPC ? 0 : r;
}

/* ---- the end of a map ----------------------------------------------------------------------- */

/* One transaction's share. Whoever comes after a dead one goes on where it was. */
struct destruction {
	struct ipk_map_body *b;
	u64 at; /* slots before it name nothing */
	bool end;
};

static u64 drop_entry(struct ipk_tx *tx, u64 *slot)
{
	u64 val = ipk_tx_get(tx, slot);

	if (val <= IPK_MAP_TOMB)
		return 0;
	if (ipk_block_size(tx->seg, ipk_map_off(val)))
		ipk_tx_free(tx, ipk_map_off(val));
	ipk_tx_set(tx, slot, IPK_MAP_TOMB);
	return 1;
}

static int destroy_tx(struct ipk_tx *tx, void *arg)
{
	struct destruction *d = arg;
	u64 table = ipk_tx_get(tx, &d->b->table), n = UINT64_C(1) << ipk_map_log2(table), gone = 0;
	u64 *slots, i;

	d->end = true;
	if (!ipk_map_table_ok(table))
		return 0; /* freed already */
	slots = ipk_at(tx->seg, ipk_map_table_off(table), 8 * n, IPK_LINE);
	if (!slots)
		return -EBADMSG;
	/* As many as fit into the journal, where giving one back costs up to 18 words. */
	for (i = d->at; i < n && gone < 6; i++)
		gone += drop_entry(tx, &slots[i]);
	ipk_tx_set(tx, &d->b->count, ipk_tx_get(tx, &d->b->count) - gone);
	ipk_tx_set(tx, &d->b->tombs, ipk_tx_get(tx, &d->b->tombs) + gone);
	if (gone == 0) {
		if (ipk_block_size(tx->seg, ipk_map_table_off(table)))
			ipk_tx_free(tx, ipk_map_table_off(table));
		ipk_tx_set(tx, &d->b->table, 0);
		return 0;
	}
	d->at = i;
	d->end = false;
	return 0;
}

int ipk_map_destroy(struct ipk_obj *obj)
{
	struct destruction d = {.b = ipk_map_body(obj)};
	struct ipk_self *me;
	int r;

	if (!d.b)
		return -EBADMSG;
	me = ipk_self(obj->seg, &r);
	if (!me)
		return r;
	r = ipk_map_mend(me, d.b, IPK_FOREVER); /* nobody has the lock any more, or ever will */
	while (!r && !d.end)
		r = ipk_tx_run(me, destroy_tx, &d, IPK_FOREVER, NULL);
	return r;
}
