/* SPDX-License-Identifier: MIT */
/*
 * A map or a set made right, in a copy where nobody is at work. An entry proves itself: it has its
 * key's hash. So each slot's entry is looked at, and what proves itself and is nobody else's goes
 * into the table anew. Where most do not, the seed has changed and not they: then they get new
 * hashes.
 */
#include <stdlib.h>

#include "kinds/map.h"
#include "type.h"
#include "object_type.h"

struct entry {
	u64 hash, off, pos;
	struct ipk_map_entry *e;
	bool proven;
};

struct fix {
	const struct ipk_object_view *o;
	struct ipk_repairer *r;
	struct ipk_map_body *b;
	struct ipk_map_geometry g;
	u64 *slots, n;
	struct entry *v;
	u64 nv, used, tombs, proven;
};

static u32 key_len(const struct ipk_map_entry *e)
{
	return (u32)e->lens;
}

static u32 value_len(const struct ipk_map_entry *e)
{
	return (u32)(e->lens >> 32);
}

/* ---- constants ------------------------------------------------------------------------------ */

static int mend_constants(struct fix *f)
{
	u32 key, value = 0; /* a set has keys alone, of the element type */
	int r = ipk_text_size(f->o->key_type ? f->o->key_type : f->o->type, &key);

	if (r == 0 && f->o->key_type)
		r = ipk_text_size(f->o->type, &value);
	if (r < 0)
		return r;
	if (f->b->key_size != key || f->b->value_size != value) {
		f->b->key_size = key;
		f->b->value_size = value;
		f->r->did(f->r, "keys have %u bytes and values %u, as their types say", key, value);
	}
	if (f->b->min_log2 < IPK_MAP_LOG2_MIN || f->b->min_log2 > f->g.log2) {
		f->b->min_log2 = f->g.log2;
		f->r->did(f->r, "its smallest table has 2^%u slots", f->g.log2);
	}
	return 0;
}

/* ---- entries -------------------------------------------------------------------------------- */

/* The entry that a slot names, if it is one as far as its lengths go. */
static struct ipk_map_entry *entry_at(struct fix *f, u64 off)
{
	struct ipk_map_entry *e = f->r->at(f->r, off, sizeof(*e));
	u32 klen, vlen;

	if (!e || off % IPK_LINE)
		return NULL;
	klen = key_len(e);
	vlen = value_len(e);
	if (klen > IPK_MAP_KEY_MAX || (f->b->key_size && klen != f->b->key_size) ||
	    ((f->b->value_size || !f->o->key_type) && vlen != f->b->value_size) ||
	    !f->r->at(f->r, off, ipk_map_entry_size(klen, vlen)))
		return NULL;
	return e;
}

static void collect(struct fix *f)
{
	for (u64 i = 0; i < f->n; i++) {
		struct entry *v = &f->v[f->nv];

		f->tombs += f->slots[i] == IPK_MAP_TOMB;
		f->used += f->slots[i] > IPK_MAP_TOMB;
		if (f->slots[i] <= IPK_MAP_TOMB)
			continue;
		v->off = ipk_map_off(f->slots[i]);
		v->pos = i;
		v->e = entry_at(f, v->off);
		if (!v->e)
			continue;
		v->hash = ipk_map_hash(f->b->seed, v->e->data, key_len(v->e));
		v->proven = v->hash == v->e->hash;
		f->proven += v->proven;
		f->nv++;
	}
}

/* Which entries stay: the proven ones, or, where those are few, all that their slot agrees with. */
static void choose(struct fix *f)
{
	bool reseeded = f->nv && f->proven <= f->nv / 2;
	u64 n = 0, again = 0;

	for (u64 i = 0; i < f->nv; i++) {
		struct entry *v = &f->v[i];

		if (!v->proven && (!reseeded || !ipk_map_alike(f->slots[v->pos], v->e->hash)))
			continue;
		if (f->r->claim(f->r, v->off, ipk_map_entry_size(key_len(v->e), value_len(v->e))))
			continue;
		again += v->e->hash != v->hash;
		v->e->hash = v->hash;
		f->v[n++] = *v;
	}
	f->nv = n;
	if (again)
		f->r->did(f->r, "%llu entries have new hashes", (unsigned long long)again);
}

static int by_hash(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->pos < y->pos ? -1 : x->pos > y->pos;
}

static bool same_key(const struct entry *x, const struct entry *y)
{
	return key_len(x->e) == key_len(y->e) && memcmp(x->e->data, y->e->data, key_len(x->e)) == 0;
}

/* Of two entries of one key the later one stays. */
static void drop_twins(struct fix *f)
{
	u64 n = 0;

	qsort(f->v, f->nv, sizeof(*f->v), by_hash);
	for (u64 i = 0; i < f->nv; i++) {
		if (n && f->v[n - 1].hash == f->v[i].hash && same_key(&f->v[n - 1], &f->v[i])) {
			u64 a = f->v[n - 1].e->ver - f->b->salt, b = f->v[i].e->ver - f->b->salt;

			if (b > a)
				f->v[n - 1] = f->v[i];
		} else {
			f->v[n++] = f->v[i];
		}
	}
	f->nv = n;
}

/* ---- the table ------------------------------------------------------------------------------ */

static bool in_order(const struct fix *f)
{
	if (f->nv != f->used || f->b->count != f->nv || f->b->tombs != f->tombs)
		return false;
	for (u64 i = 0; i < f->nv; i++) {
		u64 k = ipk_map_home(f->v[i].hash, f->g.log2), left = f->n;

		if (!ipk_map_alike(f->slots[f->v[i].pos], f->v[i].hash))
			return false;
		for (; k != f->v[i].pos && left; k = (k + 1) & (f->n - 1), left--)
			if (f->slots[k] == IPK_MAP_EMPTY)
				return false;
	}
	return true;
}

static void fill(struct fix *f)
{
	memset(f->slots, 0, 8 * f->n);
	for (u64 i = 0; i < f->nv; i++) {
		u64 k = ipk_map_home(f->v[i].hash, f->g.log2);

		while (f->slots[k] != IPK_MAP_EMPTY)
			k = (k + 1) & (f->n - 1);
		f->slots[k] = ipk_map_slot(f->v[i].hash, f->v[i].off);
	}
	if (f->used > f->nv)
		f->r->did(f->r, "%llu entries are lost", (unsigned long long)(f->used - f->nv));
	f->r->did(f->r, "its table is made anew, of %llu entries", (unsigned long long)f->nv);
	f->b->count = f->nv;
	f->b->tombs = 0;
	f->b->changes++;
}

static int repair(struct fix *f)
{
	int r = mend_constants(f);

	if (r < 0)
		return r;
	f->n = UINT64_C(1) << f->g.log2;
	f->slots = f->r->at(f->r, f->g.off, 8 * f->n);
	if (!f->slots || f->g.off % 8 || f->r->claim(f->r, f->g.off, 8 * f->n) != 0)
		return -EBADMSG;
	f->v = malloc((f->n + 1) * sizeof(*f->v));
	if (!f->v)
		return -ENOMEM;
	collect(f);
	choose(f);
	drop_twins(f);
	if (f->nv == f->n) /* a look-up ends at an empty slot */
		f->nv--;
	if (!in_order(f))
		fill(f);
	/* What a dead writer was making: nobody finishes it, so it is free. */
	if (f->b->building[0] || f->b->building[1])
		f->r->did(f->r, "a change that a dead process had begun is dropped");
	f->b->building[0] = f->b->building[1] = 0;
	return 0;
}

int ipk_map_repair(const struct ipk_object_view *o, struct ipk_repairer *r)
{
	struct ipk_map_source src = {.view = o->view, .body = o->body};
	struct fix f = {.o = o, .r = r};
	int error;

	if (o->body_size < sizeof(*f.b))
		return -EBADMSG;
	f.b = r->at(r, o->body, sizeof(*f.b));
	error = f.b ? ipk_map_geometry(&src, &f.g) : -EBADMSG;
	if (error == 0)
		error = repair(&f);
	free(f.v);
	return error;
}
