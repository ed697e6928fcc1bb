/* SPDX-License-Identifier: MIT */
/* Maps for C programs: handles and reading. Writers are in map_write.c, the algorithm in map.h. */
#include <sched.h>

#include "kinds/hooks.h"
#include "kinds/map.h"
#include "object_type.h"

/* Rounds of so many tries; before each but the first a short wait for the lock. */
#define TRIES 64u
#define ROUNDS 100u
#define ROUND_NS INT64_C(10000000)

/* ---- handle ---------------------------------------------------------------------------------- */

struct ipk_map_body *ipk_map_body(struct ipk_obj *obj)
{
	return ipk_body(obj, sizeof(struct ipk_map_body), NULL);
}

bool ipk_map_attachable(struct ipk_obj *obj)
{
	struct ipk_map_body *b = ipk_map_body(obj);
	u64 table = b ? ipk_ld(&b->table, acquire) : 0;

	return b && ipk_map_table_ok(table) &&
	       ipk_at(obj->seg, ipk_map_table_off(table), UINT64_C(8) << ipk_map_log2(table),
		      IPK_LINE);
}

static int read_types(struct ipk_map *map, const struct ipk_kind *kind, const char *name,
		      const char *type, const char *key, struct ipk_error *err)
{
	int r;

	if (!kind->key)
		return ipk_obj_type(&map->obj, name, IPK_TYPE_OF_VALUES, map->key_size, type,
				    &map->key_type, err);
	r = ipk_obj_type(&map->obj, name, IPK_TYPE_OF_VALUES, map->value_size, type, &map->type,
			 err);
	if (!r)
		r = ipk_obj_type(&map->obj, name, IPK_TYPE_OF_KEYS, map->key_size, key,
				 &map->key_type, err);
	return r;
}

int ipk_map_open_as(struct ipk_segment *seg, const char *name, const struct ipk_kind *kind,
		    const char *type, const char *key, struct ipk_map **ret_map,
		    struct ipk_error *err)
{
	struct ipk_map *map;
	void *handle;
	int r;

	r = ipk_obj_open(seg, name, kind->id, kind->version, sizeof(struct ipk_map_body),
			 sizeof(*map), &handle, err);
	if (r < 0)
		return r;
	map = handle;
	map->b = ipk_map_body(&map->obj);
	if (map->b) {
		map->seed = ipk_ld(&map->b->seed, relaxed);
		map->key_size = ipk_ld(&map->b->key_size, relaxed);
		map->value_size = ipk_ld(&map->b->value_size, relaxed);
		r = read_types(map, kind, name, type, key, err);
	} else {
		r = ipk_error_set(err, -EBADMSG, "%s \"%s\" is damaged", kind->name, name);
	}
	if (r < 0)
		ipk_map_close(map);
	else
		*ret_map = map;
	return r;
}

int ipk_map_open(struct ipk_segment *seg, const char *name, const char *type, const char *key,
		 struct ipk_map **ret_map, struct ipk_error *err)
{
	return ipk_map_open_as(seg, name, &ipk_kind_map, type, key, ret_map, err);
}

void ipk_map_close(struct ipk_map *map)
{
	if (!map)
		return;
	ipk_type_free(map->type);
	ipk_type_free(map->key_type);
	ipk_obj_close(&map->obj);
}

int ipk_map_create(struct ipk_segment *seg, const char *name, const char *type, const char *key,
		   uint64_t cap, struct ipk_error *err)
{
	return ipk_object_new_typed(seg, name, "map", type, key, cap, err);
}

uint64_t ipk_map_count(const struct ipk_map *map)
{
	return ipk_ld(&map->b->count, acquire);
}

/* ---- get ------------------------------------------------------------------------------------- */

#define CHANGED 1
#define OTHER 2

struct query {
	struct ipk_segment *seg;
	struct ipk_map_body *b;
	const void *key;
	size_t klen;
	u64 hash;
	void *buf;
	size_t size;
	size_t vlen;       /* out */
	u64 tables, table; /* as they were found */
};

/* Is the table still that one? What was loaded before came from it then. */
static bool same_table(const struct query *q)
{
	/* Table and tables pair with COMMIT; they are stored in either order, and both count. */
	return ipk_ld(&q->b->table, acquire) == q->table &&
	       ipk_ld(&q->b->tables, acquire) == q->tables;
}

/* The last look; the order of the loads is argued in map.h. */
static bool same_entry(const struct query *q, u64 *at, u64 slot, struct ipk_map_entry *e, u64 ver)
{
	/* Pairs with the fence in fill_entry(): bytes of a later entry bring the slot's change. */
	ipk_fence(acquire);
	return ipk_ld(at, acquire) == slot && same_table(q) && ipk_ld(&e->ver, relaxed) == ver;
}

static inline __attribute__((always_inline)) int read_entry(struct query *q, u64 *at, u64 slot)
{
	u64 off = ipk_map_off(slot), ver, hash, lens, klen, vlen;
	struct ipk_map_entry *e = ipk_at(q->seg, off, sizeof(*e), IPK_LINE);
	int r;

	if (ipk_unlikely(!e)) {
		ipk_fence(acquire);
		return ipk_ld(at, acquire) == slot && same_table(q) ? -EBADMSG : CHANGED;
	}
	ver = ipk_ld(&e->ver, acquire); /* pairs with its release: the contents come before it */
	hash = ipk_ld(&e->hash, relaxed);
	lens = ipk_ld(&e->lens, relaxed);
	klen = (u32)lens;
	vlen = lens >> 32;
	if (hash != q->hash || klen != q->klen) {
		r = OTHER;
	} else if (!ipk_at(q->seg, off, ipk_map_entry_size(klen, vlen), IPK_LINE)) {
		r = -EBADMSG;
	} else if (!ipk_copy_same(e->data, q->key, klen)) {
		r = OTHER;
	} else {
		r = vlen <= q->size ? 0 : -EMSGSIZE;
		if (!r)
			ipk_copy_out(q->buf, (u8 *)e->data + ipk_map_pad(klen), vlen);
		q->vlen = vlen;
	}
	return same_entry(q, at, slot, e, ver) ? r : CHANGED;
}

static inline __attribute__((always_inline)) int get_once(struct query *q)
{
	u64 n, i, left, slot, *slots;
	u32 log2;
	int r;

	q->tables =
		ipk_ld(&q->b->tables, acquire); /* pairs with COMMIT, as do table and the slots */
	q->table = ipk_ld(&q->b->table, acquire);
	log2 = ipk_map_log2(q->table);
	if (ipk_unlikely(!ipk_map_table_ok(q->table)))
		return -EBADMSG;
	n = UINT64_C(1) << log2;
	slots = ipk_at(q->seg, ipk_map_table_off(q->table), 8 * n, IPK_LINE);
	if (ipk_unlikely(!slots))
		return -EBADMSG;
	i = ipk_map_home(q->hash, log2);
	for (left = n; left; left--, i = (i + 1) & (n - 1)) {
		slot = ipk_ld(&slots[i], acquire);
		if (slot == IPK_MAP_EMPTY)
			break;
		if (!ipk_map_alike(slot, q->hash))
			continue;
		r = read_entry(q, &slots[i], slot);
		if (r != OTHER)
			return r;
	}
	ipk_fence(acquire); /* the slots were loaded before the last look at the table */
	return same_table(q) ? -ENOENT : CHANGED;
}

/*
 * It changed while we looked. If it does so time and again, the lock ends that: with it nobody
 * changes anything (but for a dead owner's journal, once). And a stopped owner of the lock
 * changes nothing, so then the next look succeeds without it.
 */
static __attribute__((noinline)) int get_slow(struct ipk_map *map, struct query *q)
{
	struct ipk_self *me = NULL;
	unsigned round, i;
	int r = CHANGED, locked = -EAGAIN;

	for (round = 0; r == CHANGED && round < ROUNDS; round++) {
		if (round && map->obj.seg->writable) {
			me = ipk_use(&map->obj, &r);
			if (!me)
				return r;
			locked = ipk_map_lock(me, map->b, ipk_deadline(ROUND_NS));
		}
		r = CHANGED;
		for (i = 0; r == CHANGED && i < TRIES; i++)
			r = get_once(q);
		if (locked == 0)
			ipk_unlock(me, &map->b->lock);
		if (r == CHANGED)
			sched_yield();
	}
	return r == CHANGED ? -EAGAIN : r;
}

int ipk_map_get(struct ipk_map *map, const void *key, size_t klen, void *buf, size_t size,
		size_t *ret_len)
{
	struct query q = {.seg = map->obj.seg,
			  .b = map->b,
			  .key = key,
			  .klen = klen,
			  .buf = buf,
			  .size = size};
	int r, stale;

	if (ipk_unlikely(map->key_size ? klen != map->key_size : klen > IPK_MAP_KEY_MAX))
		return map->key_size ? -EINVAL : -ENOENT;
	q.hash = ipk_map_hash(map->seed, key, klen);
	r = get_once(&q);
	if (ipk_unlikely(r == CHANGED)) {
		struct query again = q; /* q itself stays in registers */

		r = get_slow(map, &again);
		q.vlen = again.vlen;
	}
	stale = ipk_after_read(&map->obj);
	if (ipk_unlikely(stale))
		return stale;
	if (ret_len && (r == 0 || r == -EMSGSIZE))
		*ret_len = q.vlen;
	return r;
}

int ipk_map_has(struct ipk_map *map, const void *key, size_t klen)
{
	int r = ipk_map_get(map, key, klen, NULL, 0, NULL);

	if (r == 0 || r == -EMSGSIZE)
		return 1;
	return r == -ENOENT ? 0 : r;
}

/* ---- foreach --------------------------------------------------------------------------------- */

/* The next batch; with the lock where everything changes all the time. */
static int next_batch(struct ipk_map *map, struct ipk_map_scan *sc)
{
	struct ipk_self *me;
	int r = ipk_map_scan(sc), err;

	if (r == -EAGAIN && map->obj.seg->writable) {
		me = ipk_use(&map->obj, &err);
		if (!me)
			return err;
		r = ipk_map_lock(me, map->b, ipk_deadline(IPK_MAP_PATIENCE));
		if (r < 0)
			return r;
		r = ipk_map_scan(sc);
		ipk_unlock(me, &map->b->lock);
	}
	return ipk_after_read(&map->obj) < 0 ? -ESTALE : r;
}

int ipk_map_foreach(struct ipk_map *map, int (*fn)(void *arg, const struct ipk_map_item *item),
		    void *arg)
{
	struct ipk_map_scan sc = {.src = {.seg = map->obj.seg, .body = map->obj.body}};
	int n, i, r = 0;

	while (!r) {
		n = next_batch(map, &sc);
		if (n <= 0) {
			r = n;
			break;
		}
		for (i = 0; !r && i < n; i++) {
			struct ipk_map_item item = {.key = sc.buf.data + sc.v[i].key,
						    .klen = sc.v[i].klen,
						    .value = sc.buf.data + sc.v[i].value,
						    .vlen = sc.v[i].vlen};

			r = fn(arg, &item);
		}
	}
	ipk_map_scan_free(&sc);
	return r;
}

/* ---- waiting --------------------------------------------------------------------------------- */

uint64_t ipk_map_changes(const struct ipk_map *map)
{
	return ipk_ld(&map->b->changes, acquire); /* what was changed before is seen */
}

/* 0: something has changed since *changes. */
static int try_wait(struct ipk_map *map, uint64_t *changes)
{
	u64 now = ipk_map_changes(map);

	if (now != *changes) {
		*changes = now;
		return 0;
	}
	return ipk_stale(&map->obj) ? -ESTALE : -EAGAIN;
}

int ipk_map_wait(struct ipk_map *map, uint64_t *changes, int64_t deadline)
{
	struct ipk_waiter wait;
	struct ipk_self *me;
	u32 *event = &map->b->event;
	int r, slept = 0;

	if (!map->obj.seg->writable)
		return -EACCES;
	me = ipk_use(&map->obj, &r);
	if (!me)
		return r;
	for (;;) {
		r = try_wait(map, changes);
		if (r != -EAGAIN || deadline == IPK_NOWAIT)
			return r;
		ipk_event_arm(me, &wait, &event, 1);
		r = try_wait(map, changes);
		if (r == -EAGAIN)
			slept = ipk_event_sleep(me, &wait, deadline);
		ipk_event_disarm(me, &wait);
		if (r != -EAGAIN)
			return r;
		if (slept < 0)
			return slept;
	}
}
