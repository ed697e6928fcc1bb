/* SPDX-License-Identifier: MIT */
/* Maps: what changes them. The algorithm is drawn in map.h. */
#include <sys/random.h>

#include "kinds/hooks.h"
#include "kinds/map_write.h"

/* Entries of at least so many bytes are filled outside the segment's lock. */
#define LARGE 65536u

/* How many tombstones a deletion turns back into EMPTY slots, for the journal's sake. */
#define CLEAN_MAX 16u

/* ---- filling --------------------------------------------------------------------------------- */

/* Copies len bytes and pads them with NULs to the next word. */
static u64 *fill_padded(u64 *to, const void *from, u64 len)
{
	u64 whole = len & ~UINT64_C(7), last = 0;

	ipk_copy_in(to, from, whole);
	if (len == whole)
		return to + whole / 8;
	memcpy(&last, (const u8 *)from + whole, len - whole);
	ipk_st(to + whole / 8, last, relaxed);
	return to + whole / 8 + 1;
}

static void fill_entry(struct ipk_map_write *w, u64 off)
{
	struct ipk_map_entry *e = (void *)(w->seg->base + off);

	/* Pairs with the fence in same_entry(): a reader who copies bytes of this from a block that
	 * a slot named before sees that the slot was changed. */
	ipk_fence(release);
	ipk_st(&e->hash, w->hash, relaxed);
	ipk_st(&e->lens, (u64)w->vlen << 32 | w->klen, relaxed);
	fill_padded(fill_padded(e->data, w->key, w->klen), w->value, w->vlen);
	ipk_st(&e->ver, w->ver, release); /* pairs with the acquire in read_entry() */
}

/* ---- the map's lock ------------------------------------------------------------------------- */

/* Killed before this store, we are a dead owner ourselves. */
static void suspect(struct ipk_map_body *b)
{
	ipk_st(&b->suspect, 1, relaxed);
}

int ipk_map_lock(struct ipk_self *me, struct ipk_map_body *b, i64 deadline)
{
	int r = ipk_lock(me, &b->lock, deadline);

	if (r > 0)
		suspect(b);
	return r < 0 ? r : 0;
}

static int mend_tx(struct ipk_tx *tx, void *arg)
{
	struct ipk_map_body *b = arg;
	u64 off;
	int i;

	for (i = 0; i < 2; i++) {
		off = ipk_tx_get(tx, &b->building[i]);
		if (!off)
			continue;
		if (ipk_block_size(tx->seg, off))
			ipk_tx_free(tx, off);
		ipk_tx_set(tx, &b->building[i], 0);
	}
	/* A value that was stored in place may not have been counted yet. */
	if (ipk_tx_get(tx, &b->suspect))
		ipk_tx_set(tx, &b->changes, ipk_tx_get(tx, &b->changes) + 1);
	ipk_tx_set(tx, &b->suspect, 0);
	return 0;
}

int ipk_map_mend(struct ipk_self *me, struct ipk_map_body *b, i64 deadline)
{
	bool suspect = ipk_ld(&b->suspect, relaxed);
	int r;

	if (ipk_likely(!suspect && !ipk_ld(&b->building[0], relaxed) &&
		       !ipk_ld(&b->building[1], relaxed)))
		return 0;
	r = ipk_tx_run(me, mend_tx, b, deadline, NULL);
	if (r == 0 && suspect)
		ipk_event_notify(&b->event, INT32_MAX);
	return r;
}

int ipk_map_begin(struct ipk_map_write *w, struct ipk_map *map, const void *key, size_t klen,
		  i64 deadline)
{
	int r;

	*w = (struct ipk_map_write){
		.seg = map->obj.seg, .b = map->b, .key = key, .deadline = deadline};
	if (map->key_size ? klen != map->key_size : klen > IPK_MAP_KEY_MAX)
		return map->key_size ? -EINVAL : -EMSGSIZE;
	w->klen = (u32)klen;
	w->hash = ipk_map_hash(map->seed, key, klen);
	if (!w->seg->writable)
		return -EACCES;
	w->me = ipk_use(&map->obj, &r);
	if (!w->me)
		return r;
	/* A segment without a name is used on; what goes into a removed map nobody would ever see.
	 */
	if (IPK_OBJ_STATE(ipk_ld(&map->obj.o->state, relaxed)) != IPK_OBJ_LIVE)
		return -ESTALE;
	r = ipk_map_lock(w->me, w->b, deadline);
	if (r < 0)
		return r;
	r = ipk_map_mend(w->me, w->b, deadline);
	if (!r)
		r = ipk_map_find(w);
	if (r < 0)
		ipk_unlock(w->me, &w->b->lock);
	return r;
}

int ipk_map_end(struct ipk_map_write *w, int r)
{
	ipk_unlock(w->me, &w->b->lock);
	if (w->changed)
		ipk_event_notify(&w->b->event, INT32_MAX);
	return r;
}

static void count_up(u64 *counter)
{
	ipk_st(counter, ipk_ld(counter, relaxed) + 1, relaxed);
}

/* ---- finding --------------------------------------------------------------------------------- */

struct ipk_map_entry *ipk_map_entry_at(struct ipk_segment *seg, u64 slot)
{
	u64 off = ipk_map_off(slot), lens;
	struct ipk_map_entry *e = ipk_at(seg, off, sizeof(*e), IPK_LINE);

	if (!e)
		return NULL;
	lens = ipk_ld(&e->lens, relaxed);
	return ipk_at(seg, off, ipk_map_entry_size((u32)lens, lens >> 32), IPK_LINE);
}

static bool same_key(const struct ipk_map_write *w, struct ipk_map_entry *e)
{
	return ipk_ld(&e->hash, relaxed) == w->hash && (u32)ipk_ld(&e->lens, relaxed) == w->klen &&
	       ipk_copy_same(e->data, w->key, w->klen);
}

int ipk_map_find(struct ipk_map_write *w)
{
	u64 table = ipk_ld(&w->b->table, relaxed), n, i, left, slot;
	u64 free_at = UINT64_MAX;

	if (!ipk_map_table_ok(table))
		return -EBADMSG;
	w->log2 = ipk_map_log2(table);
	w->table = ipk_map_table_off(table);
	n = UINT64_C(1) << w->log2;
	w->slots = ipk_at(w->seg, w->table, 8 * n, IPK_LINE);
	if (!w->slots)
		return -EBADMSG;
	i = ipk_map_home(w->hash, w->log2);
	for (left = n; left; left--, i = (i + 1) & (n - 1)) {
		slot = ipk_ld(&w->slots[i], relaxed);
		if (slot <= IPK_MAP_TOMB && free_at == UINT64_MAX)
			free_at = i;
		if (slot == IPK_MAP_EMPTY)
			break;
		if (!ipk_map_alike(slot, w->hash))
			continue;
		w->e = ipk_map_entry_at(w->seg, slot);
		if (!w->e)
			return -EBADMSG;
		if (same_key(w, w->e)) {
			w->at = i;
			w->slot = slot;
			return 0;
		}
	}
	w->e = NULL;
	w->at = free_at;
	w->slot = free_at == UINT64_MAX ? IPK_MAP_EMPTY : ipk_ld(&w->slots[free_at], relaxed);
	return 0;
}

/* ---- put ------------------------------------------------------------------------------------- */

/* Gives a block under construction back after a failure; if that fails too, it is the next owner's.
 */
static int drop_building(struct ipk_map_write *w, int r)
{
	if (w->new_table || w->new_entry)
		(void)ipk_tx_run(w->me, mend_tx, w->b, w->deadline, NULL);
	return r;
}

struct build {
	struct ipk_map_body *b;
	int which;
	u64 size;
	u64 off; /* out */
};

static int build_tx(struct ipk_tx *tx, void *arg)
{
	struct build *c = arg;

	c->off = ipk_tx_alloc(tx, c->size, 0);
	if (!c->off)
		return tx->error;
	if (!IPK_BUG(map_building_untold))
		ipk_tx_set(tx, &c->b->building[c->which], c->off);
	return 0;
}

int ipk_map_build(struct ipk_map_write *w, int which, u64 size, u64 *ret_off)
{
	struct build c = {.b = w->b, .which = which, .size = size};
	int r = ipk_tx_run(w->me, build_tx, &c, w->deadline, w->err);

	if (!r)
		*ret_off = c.off;
	return r;
}

/* The table that was filled takes the place of the old one, within tx. */
static void switch_tables(struct ipk_tx *tx, struct ipk_map_write *w)
{
	struct ipk_map_body *b = w->b;
	u64 tables = ipk_tx_get(tx, &b->tables) + 1;

	ipk_tx_set(tx, &b->table, ipk_map_table(w->new_table, tables, w->new_log2));
	ipk_tx_set(tx, &b->tables, tables);
	ipk_tx_set(tx, &b->tombs, 0);
	ipk_tx_set(tx, &b->building[0], 0);
	if (IPK_BUG(map_table_first))
		ipk_st(&b->table, ipk_map_table(w->new_table, tables, w->new_log2), release);
	ipk_tx_free(tx, w->table);
}

static void set_slot(struct ipk_tx *tx, struct ipk_map_write *w, u64 slot)
{
	if (w->new_table) {
		ipk_st(&w->new_slots[w->at], slot, relaxed); /* nobody sees it yet */
		switch_tables(tx, w);
		return;
	}
	ipk_tx_set(tx, &w->slots[w->at], slot);
	if (w->slot == IPK_MAP_TOMB)
		ipk_tx_set(tx, &w->b->tombs, ipk_tx_get(tx, &w->b->tombs) - 1);
}

static int put_tx(struct ipk_tx *tx, void *arg)
{
	struct ipk_map_write *w = arg;
	struct ipk_map_body *b = w->b;
	u64 off = w->new_entry;

	if (off) {
		ipk_tx_set(tx, &b->building[1], 0);
	} else {
		off = ipk_tx_alloc(tx, ipk_map_entry_size(w->klen, w->vlen), 0);
		if (!off)
			return tx->error;
		if (IPK_BUG(map_slot_first) && !w->new_table)
			ipk_st(&w->slots[w->at], ipk_map_slot(w->hash, off), release);
		fill_entry(w, off);
	}
	set_slot(tx, w, ipk_map_slot(w->hash, off));
	if (w->e)
		ipk_tx_free(tx, ipk_map_off(w->slot));
	else
		ipk_tx_set(tx, &b->count, ipk_tx_get(tx, &b->count) + 1);
	ipk_tx_set(tx, &b->changes, ipk_tx_get(tx, &b->changes) + 1);
	return 0;
}

/* A new block for the value, and where a new key needs it a new table. */
static int put_block(struct ipk_map_write *w)
{
	u64 size = ipk_map_entry_size(w->klen, w->vlen);
	int r = 0;

	/* Before the block is written: no two entries have the same, not even of a put that fails.
	 */
	count_up(&w->b->version);
	w->ver = ipk_map_salt_of(w->b) + ipk_ld(&w->b->version, relaxed);
	if (!w->e)
		r = ipk_map_make_room(w);
	if (!r && size >= LARGE) {
		r = ipk_map_build(w, 1, size, &w->new_entry);
		if (!r)
			fill_entry(w, w->new_entry);
	}
	if (!r)
		r = ipk_tx_run(w->me, put_tx, w, w->deadline, w->err);
	return r < 0 ? drop_building(w, r) : 0;
}

/* One word: a reader has the old or the new value, a death leaves one of them. */
static void put_in_place(struct ipk_map_write *w)
{
	u64 *value = w->e->data + ipk_map_pad(w->klen) / 8, word = 0;

	memcpy(&word, w->value, w->vlen);
	ipk_st(value, word,
	       release); /* pairs with the readers' fence: what was stored before is seen */
	/* Release: who sees the number sees the value. */
	ipk_st(&w->b->changes, ipk_ld(&w->b->changes, relaxed) + 1, release);
}

const void *ipk_map_value(const struct ipk_map_write *w, u32 *ret_len)
{
	*ret_len = (u32)(ipk_ld(&w->e->lens, relaxed) >> 32);
	return (const u8 *)w->e->data + ipk_map_pad(w->klen);
}

int ipk_map_store(struct ipk_map_write *w, const void *value, size_t vlen)
{
	const void *old;
	u32 len;
	int r = 0;

	w->value = value;
	w->vlen = (u32)vlen;
	if (w->e) {
		old = ipk_map_value(w, &len);
		if (len == vlen && ipk_copy_same(old, value, vlen))
			return 0;
		w->in_place = len == vlen && vlen <= 8;
	}
	if (w->in_place)
		put_in_place(w);
	else
		r = put_block(w);
	if (r < 0)
		return r;
	count_up(&w->b->puts);
	w->changed = true;
	return 0;
}

/* ---- del ------------------------------------------------------------------------------------- */

/*
 * The slot becomes a tombstone; in front of an EMPTY one it becomes EMPTY, as do the tombstones
 * in front of it. No key lies behind, so a reader who stops there has missed nothing.
 */
static void clear_slot(struct ipk_tx *tx, struct ipk_map_write *w)
{
	u64 mask = (UINT64_C(1) << w->log2) - 1, i = w->at, tombs = ipk_tx_get(tx, &w->b->tombs);
	unsigned left;

	if (ipk_ld(&w->slots[(i + 1) & mask], relaxed) != IPK_MAP_EMPTY) {
		ipk_tx_set(tx, &w->slots[i], IPK_MAP_TOMB);
		ipk_tx_set(tx, &w->b->tombs, tombs + 1);
		return;
	}
	ipk_tx_set(tx, &w->slots[i], IPK_MAP_EMPTY);
	for (left = CLEAN_MAX; left && tombs; left--, tombs--) {
		i = (i - 1) & mask;
		if (ipk_ld(&w->slots[i], relaxed) != IPK_MAP_TOMB)
			break;
		ipk_tx_set(tx, &w->slots[i], IPK_MAP_EMPTY);
	}
	ipk_tx_set(tx, &w->b->tombs, tombs);
}

static int del_tx(struct ipk_tx *tx, void *arg)
{
	struct ipk_map_write *w = arg;
	struct ipk_map_body *b = w->b;

	if (IPK_BUG(map_slot_cleared_first) && !w->new_table)
		ipk_st(&w->slots[w->at], IPK_MAP_TOMB, release);
	if (w->new_table)
		switch_tables(tx, w);
	else
		clear_slot(tx, w);
	ipk_tx_free(tx, ipk_map_off(w->slot));
	ipk_tx_set(tx, &b->count, ipk_tx_get(tx, &b->count) - 1);
	ipk_tx_set(tx, &b->changes, ipk_tx_get(tx, &b->changes) + 1);
	return 0;
}

int ipk_map_drop(struct ipk_map_write *w)
{
	int r = ipk_map_give_room(w);

	if (!r)
		r = ipk_tx_run(w->me, del_tx, w, w->deadline, w->err);
	if (r < 0)
		return drop_building(w, r);
	count_up(&w->b->deletes);
	w->changed = true;
	return 0;
}

/* ---- what the segment asks ------------------------------------------------------------------- */

int ipk_map_init(struct ipk_tx *tx, struct ipk_map_body *b, u64 cap)
{
	u64 off, salt;

	b->min_log2 = IPK_MAP_LOG2_MIN;
	while (ipk_map_room(b->min_log2) < cap)
		b->min_log2++;
	if (getrandom(&salt, sizeof(salt), 0) != (ssize_t)sizeof(salt))
		return -EIO;
	b->salt = salt;
	off = ipk_tx_alloc(tx, UINT64_C(8) << b->min_log2, 0);
	if (!off)
		return tx->error;
	ipk_map_clear(tx->seg, off, b->min_log2);
	b->tables = 1;
	b->table = ipk_map_table(off, 1, b->min_log2);
	return 0;
}

int ipk_map_recover(struct ipk_obj *obj)
{
	struct ipk_map_body *b = ipk_map_body(obj);
	struct ipk_self *me;
	int r;

	if (!b)
		return -EBADMSG;
	me = ipk_self(obj->seg, &r);
	if (!me)
		return r;
	/* Our own: we hold it and sweep. */
	if ((ipk_ld(&b->lock, relaxed) & IPK_LOCK_OWNER) == me->slot + 1)
		return 0;
	/*
	 * Whoever took it over from the dead may not have got the segment's lock in time, and then
	 * the dead one's number is all that reminds of who waits.
	 */
	r = ipk_map_lock(me, b, IPK_FOREVER);
	if (r < 0)
		return r;
	r = ipk_map_mend(me, b, IPK_FOREVER);
	ipk_unlock(me, &b->lock);
	return r;
}

void ipk_map_wake(struct ipk_obj *obj)
{
	struct ipk_map_body *b = ipk_map_body(obj);

	if (b)
		ipk_event_notify_slow(&b->event, INT32_MAX);
}
