/* SPDX-License-Identifier: MIT */
/* Which objects there are: headers set right where it can be told how, and a directory made of
 * them. */
#include <stdio.h>
#include <stdlib.h>

#include "segment/dir.h"
#include "segment/heap.h"
#include "segment/object.h"
#include "segment/salvage.h"

typedef unsigned long long ull;

#define ID_SANE (UINT64_C(1) << 48)
#define WHERE "directory"
#define TWIN_ROUNDS 16

static int add(struct ipk_salvage_objects *l, u64 off)
{
	u64 *more;

	if (l->n == l->cap) {
		more = reallocarray(l->off, l->cap ? 2 * l->cap : 64, sizeof(*more));
		if (!more)
			return -ENOMEM;
		l->off = more;
		l->cap = l->cap ? 2 * l->cap : 64;
	}
	l->off[l->n++] = off;
	return 0;
}

void ipk_salvage_objects_free(struct ipk_salvage_objects *l)
{
	free(l->off);
	memset(l, 0, sizeof(*l));
}

static struct ipk_object *object(struct ipk_salvage *s, u64 off)
{
	return off ? ipk_salvage_at(s, off, sizeof(struct ipk_object), IPK_LINE) : NULL;
}

/* ---- names ---------------------------------------------------------------------------------- */

static bool name_ok(const struct ipk_object *o)
{
	struct ipk_dir_name n;

	if (!memchr(o->name, '\0', sizeof(o->name)) || !ipk_object_name_ok(o->name))
		return false;
	ipk_dir_name(&n, o->name);
	return o->hash == n.hash && memcmp(o->name, n.word, sizeof(o->name)) == 0;
}

static void set_name(struct ipk_object *o, const char *name)
{
	struct ipk_dir_name n;

	ipk_dir_name(&n, name);
	memcpy(o->name, n.word, sizeof(o->name));
	o->hash = n.hash;
}

/* The hash tells the name where one byte of it is wrong. */
static bool guess_name(struct ipk_object *o)
{
	static const char legal[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	char name[sizeof(o->name)];

	for (size_t i = 0; i < sizeof(name) - 1; i++) {
		memcpy(name, o->name, sizeof(name));
		name[sizeof(name) - 1] = '\0';
		for (const char *c = legal; c < legal + sizeof(legal); c++) {
			name[i] = *c;
			if (ipk_object_name_ok(name) &&
			    ipk_name_hash(name, strlen(name)) == o->hash) {
				set_name(o, name);
				return true;
			}
			if (*c == '\0')
				break;
		}
	}
	return false;
}

static void mend_name(struct ipk_salvage *s, struct ipk_object *o, u64 entry)
{
	char name[sizeof(o->name)];
	struct ipk_dir_name n;

	if (name_ok(o))
		return;
	memcpy(name, o->name, sizeof(name));
	name[sizeof(name) - 1] = '\0';
	if (ipk_object_name_ok(name)) {
		ipk_dir_name(&n, name);
		/* What lies behind its end does not matter; nor a hash that the entry contradicts.
		 */
		if (n.hash == o->hash ||
		    (n.hash >> 40 == entry >> 40 && o->hash >> 40 != entry >> 40)) {
			set_name(o, name);
			ipk_salvage_did(s, WHERE, "the name of %s is set right", o->name);
			return;
		}
	}
	if (!guess_name(o)) {
		if (!ipk_object_name_ok(name))
			snprintf(name, sizeof(name), "lost-%llu", (ull)o->id);
		set_name(o, name);
	}
	ipk_salvage_did(s, WHERE, "an object whose name was damaged is called %s", o->name);
}

/* ---- headers -------------------------------------------------------------------------------- */

static bool shape_ok(const struct ipk_object *o, u64 have)
{
	return o->size <= have && o->body % 128 == 0 && o->body >= sizeof(*o) &&
	       o->body <= o->size && o->type >= sizeof(*o) && o->type <= o->body &&
	       (u64)o->type_len + o->key_len + 2 <= o->body - o->type;
}

/* The texts tell their own length, and what follows from it. False: there are none. */
static bool mend_shape(struct ipk_object *o, u64 have)
{
	const char *text = (const char *)(o + 1);
	u64 room = have - sizeof(*o), type, key;

	if (have < sizeof(*o) + 64)
		return false;
	if (o->size > have || o->size < sizeof(*o))
		o->size = have;
	if (shape_ok(o, have))
		return true;
	type = strnlen(text, room);
	key = type < room ? strnlen(text + type + 1, room - type - 1) : room;
	if (!o->key_len)
		key = 0;
	if (type == 0 || type + key + 2 > room || type > UINT16_MAX || key > UINT16_MAX)
		return false;
	o->type = sizeof(*o);
	o->type_len = (u16)type;
	o->key_len = (u16)key;
	o->body = (u32)ipk_align_up(sizeof(*o) + type + key + 2, 128);
	if (o->size < o->body)
		o->size = have;
	return shape_ok(o, have);
}

/* Bytes that an object at off may have at most. */
static u64 room_at(const struct ipk_salvage *s, u64 off)
{
	u64 have = ipk_salvage_block(s, off);

	return have ? have : s->size - off;
}

/* Sets right what can be in the header at off, which entry of the directory names; claims its
 * block. */
static bool adopt(struct ipk_salvage *s, u64 off, u64 entry)
{
	struct ipk_object *o = object(s, off), before;
	u64 room;

	if (!o || ipk_salvage_claimed(s, off))
		return false;
	before = *o;
	room = room_at(s, off);
	if (room < sizeof(*o) || (o->magic != IPK_OBJ_MAGIC && !(name_ok(o) && shape_ok(o, room))))
		return false;
	if (!mend_shape(o, room) || ipk_salvage_claim(s, off, o->size) != 0) {
		*o = before;
		return false;
	}
	o->magic = IPK_OBJ_MAGIC;
	mend_name(s, o, entry);
	if (IPK_OBJ_STATE(o->state) != IPK_OBJ_LIVE) {
		o->state = IPK_OBJ_LIVE;
		ipk_salvage_did(s, WHERE, "%s, which has a name, is not removed", o->name);
	}
	if (before.magic != o->magic || before.size != o->size || before.body != o->body ||
	    before.type != o->type || before.type_len != o->type_len ||
	    before.key_len != o->key_len)
		ipk_salvage_did(s, WHERE, "the header of %s is set right", o->name);
	return true;
}

/* ---- what the directory names --------------------------------------------------------------- */

/* The slots, if there is a directory; claimed. */
static u64 *slots_of(struct ipk_salvage *s, u64 *ret_n)
{
	u32 log2 = ipk_dir_log2(s->h->dir);
	u64 page = ipk_dir_page(s->h->dir), len, w;

	if (log2 < IPK_DIR_LOG2_MIN || log2 > IPK_DIR_LOG2_MAX || page >= s->npages)
		return NULL;
	len = (UINT64_C(8) << log2) / IPK_PAGE;
	w = s->table[page].w;
	if (s->whole && w != ipk_pg_word(IPK_PG_META, 0, 0, len))
		return NULL;
	if (ipk_salvage_claim_meta(s, page, len) != 0)
		return NULL;
	*ret_n = UINT64_C(1) << log2;
	return ipk_salvage_at(s, page * IPK_PAGE, 8 * *ret_n, IPK_PAGE);
}

static bool is_zombie(struct ipk_salvage *s, u64 off)
{
	struct ipk_zombie_walk walk = {0};
	u64 at = s->h->zombies;
	struct ipk_object *o;

	while (!ipk_zombies_end(&walk, at)) {
		if (at == off)
			return true;
		o = object(s, at);
		at = o ? o->zombie : 0;
	}
	return false;
}

int ipk_salvage_named(struct ipk_salvage *s, struct ipk_salvage_objects *ret)
{
	u64 n = 0, *slots = slots_of(s, &n);
	int r = 0;

	if (!slots)
		ipk_salvage_did(s, WHERE, "it is lost: what it named is looked for");
	for (u64 i = 0; i < n && r == 0; i++) {
		u64 off = ipk_dir_off(slots[i]);
		struct ipk_object *o = object(s, off);

		if (slots[i] <= IPK_DIR_TOMB)
			continue;
		if (o && IPK_OBJ_STATE(o->state) == IPK_OBJ_REMOVED && is_zombie(s, off))
			ipk_salvage_did(s, WHERE, "slot %llu named a removed object", (ull)i);
		else if (adopt(s, off, slots[i]))
			r = add(ret, off);
		else
			ipk_salvage_did(s, WHERE, "slot %llu named no object at %llu", (ull)i,
					(ull)off);
	}
	return r;
}

/* ---- removed objects, lost objects ---------------------------------------------------------- */

int ipk_salvage_zombies(struct ipk_salvage *s, struct ipk_salvage_objects *ret)
{
	u64 *link = &s->h->zombies;
	int r = 0;

	while (*link && r == 0) { /* ends: each step claims a block */
		struct ipk_object *o = object(s, *link);

		if (!o || ipk_salvage_claimed(s, *link) || o->magic != IPK_OBJ_MAGIC ||
		    IPK_OBJ_STATE(o->state) != IPK_OBJ_REMOVED || !name_ok(o) ||
		    !shape_ok(o, room_at(s, *link)) || o->id == 0 || o->id >= s->h->next_id ||
		    ipk_salvage_claim(s, *link, o->size) != 0) {
			ipk_salvage_did(s, WHERE, "the list of removed objects ends before %llu",
					(ull)*link);
			*link = 0;
			break;
		}
		r = add(ret, *link);
		link = &o->zombie;
	}
	return r;
}

/* A block in use that nobody has claimed: is there an object in it from head to foot? */
static int look_at(struct ipk_salvage *s, u64 off, struct ipk_salvage_objects *ret)
{
	u64 have = ipk_salvage_block(s, off);
	struct ipk_object *o = have >= sizeof(*o) ? object(s, off) : NULL;

	if (!o || off % 128 || o->magic != IPK_OBJ_MAGIC || o->state != IPK_OBJ_LIVE ||
	    o->id == 0 || o->id >= ID_SANE || !name_ok(o) || !shape_ok(o, have) ||
	    ipk_salvage_claimed(s, off) || ipk_salvage_claim(s, off, o->size) != 0)
		return 0;
	ipk_salvage_did(s, WHERE, "%s is in it again", o->name);
	return add(ret, off);
}

int ipk_salvage_lost(struct ipk_salvage *s, struct ipk_salvage_objects *ret)
{
	int r = 0;

	for (u64 page = 0; page < s->npages && r == 0; page++) {
		u64 w = s->table[page].w;
		u32 cls = ipk_pg_class(w), n = 1, step = 0;

		if (ipk_pg_type(w) == IPK_PG_SLAB && cls < IPK_CLASSES) {
			n = ipk_class_count(cls);
			step = ipk_class_size[cls];
		} else if (ipk_pg_type(w) != IPK_PG_RUN) {
			continue;
		}
		for (u32 i = 0; i < n && r == 0; i++)
			r = look_at(s, page * IPK_PAGE + i * step, ret);
	}
	return r;
}

/* ---- the new directory ---------------------------------------------------------------------- */

struct named {
	u64 hash, off;
};

static int by_hash(const void *a, const void *b)
{
	const struct named *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->off < y->off ? -1 : x->off > y->off;
}

static void mend_ids(struct ipk_salvage *s, const struct ipk_salvage_objects *all)
{
	u64 next = s->h->next_id < ID_SANE && s->h->next_id ? s->h->next_id : 1;

	for (u64 i = 0; i < all->n; i++) {
		u64 id = object(s, all->off[i])->id;

		if (id < ID_SANE && id >= next)
			next = id + 1;
	}
	for (u64 i = 0; i < all->n; i++) {
		struct ipk_object *o = object(s, all->off[i]);

		if (o->id && o->id < ID_SANE)
			continue;
		o->id = next++;
		ipk_salvage_did(s, WHERE, "%s has the number %llu", o->name, (ull)o->id);
	}
	if (s->h->next_id != next)
		ipk_salvage_did(s, WHERE, "the next object gets the number %llu", (ull)next);
	s->h->next_id = next;
}

/* Of two of one name the second gets another. True: something was changed. */
static bool part_twins(struct ipk_salvage *s, struct named *v, u64 n, int round)
{
	bool any = false;

	qsort(v, n, sizeof(*v), by_hash);
	for (u64 i = 1; i < n; i++) {
		struct ipk_object *o = object(s, v[i].off);
		char name[sizeof(o->name)];

		if (v[i].hash != v[i - 1].hash)
			continue;
		if (round == 0)
			snprintf(name, sizeof(name), "%.30s.lost-%llu", o->name, (ull)o->id);
		else
			snprintf(name, sizeof(name), "lost-%llx-%d", (ull)v[i].off, round);
		ipk_salvage_did(s, WHERE, "a second %s is called %s", o->name, name);
		set_name(o, name);
		v[i].hash = o->hash;
		any = true;
	}
	return any;
}

static u32 log2_for(u64 n)
{
	u32 log2 = IPK_DIR_LOG2_MIN;

	while (log2 < IPK_DIR_LOG2_MAX && n * 2 >= UINT64_C(1) << log2)
		log2++;
	return log2;
}

/* Room for n names: the directory that there is, or a new one. */
static u64 *table_for(struct ipk_salvage *s, u64 n, u64 *ret_mask)
{
	u32 log2 = ipk_dir_log2(s->h->dir);
	u64 page = ipk_dir_page(s->h->dir), len;

	if (log2 >= IPK_DIR_LOG2_MIN && log2 <= IPK_DIR_LOG2_MAX && page < s->npages &&
	    s->page[page].use == IPK_USE_META &&
	    s->page[page].len == (UINT64_C(8) << log2) / IPK_PAGE && page >= 2 + IPK_FIRST_SLOTS &&
	    n < (UINT64_C(3) << log2) / 4) {
		*ret_mask = (UINT64_C(1) << log2) - 1;
		return ipk_salvage_at(s, page * IPK_PAGE, 8 * (*ret_mask + 1), IPK_PAGE);
	}
	log2 = log2_for(n);
	len = (UINT64_C(8) << log2) / IPK_PAGE;
	page = ipk_salvage_take(s, len);
	if (!page)
		return NULL;
	s->h->dir = ipk_dir_word(page, log2, (s->h->dir >> 48) + 1);
	*ret_mask = (UINT64_C(1) << log2) - 1;
	return ipk_salvage_at(s, page * IPK_PAGE, 8 * (*ret_mask + 1), IPK_PAGE);
}

/* Where it is right it stays as it is, so that nothing is changed without need. */
static bool in_order(struct ipk_salvage *s, const u64 *slots, u64 mask, const struct named *v,
		     u64 n)
{
	const struct ipk_header *h = s->h;
	u64 tombs = 0, live = 0, k;

	for (u64 i = 0; i <= mask; i++) {
		tombs += slots[i] == IPK_DIR_TOMB;
		live += slots[i] > IPK_DIR_TOMB;
	}
	if (live != n || h->dir_live != n || h->objects != n || h->dir_tombs != tombs ||
	    live + tombs > mask)
		return false;
	for (u64 i = 0; i < n; i++) {
		for (k = v[i].hash & mask; slots[k]; k = (k + 1) & mask)
			if (slots[k] == ipk_dir_entry(v[i].hash, v[i].off))
				break;
		if (!slots[k])
			return false;
	}
	return true;
}

static void fill(struct ipk_salvage *s, u64 *slots, u64 mask, const struct named *v, u64 n)
{
	memset(slots, 0, 8 * (mask + 1));
	for (u64 i = 0; i < n; i++) {
		u64 k = v[i].hash & mask;

		while (slots[k])
			k = (k + 1) & mask;
		slots[k] = ipk_dir_entry(v[i].hash, v[i].off);
	}
	s->h->dir_live = s->h->objects = n;
	s->h->dir_tombs = 0;
}

int ipk_salvage_directory(struct ipk_salvage *s, struct ipk_salvage_objects *all)
{
	struct named *v = calloc(all->n + 1, sizeof(*v));
	u64 *slots, mask;
	int r = 0;

	if (!v)
		return -ENOMEM;
	mend_ids(s, all);
	for (u64 i = 0; i < all->n; i++)
		v[i] = (struct named){.hash = object(s, all->off[i])->hash, .off = all->off[i]};
	for (int i = 0; i < TWIN_ROUNDS && part_twins(s, v, all->n, i); i++)
		;
	slots = table_for(s, all->n, &mask);
	if (!slots) {
		r = -ENOSPC;
	} else if (!in_order(s, slots, mask, v, all->n)) {
		fill(s, slots, mask, v, all->n);
		ipk_salvage_did(s, WHERE, "it is made anew, of %llu objects", (ull)all->n);
	}
	free(v);
	return r;
}
