/* SPDX-License-Identifier: MIT */
/*
 * What must hold in a map. Reads without trust. What a map in use shows may be a mixture of two
 * moments: whoever asks compares several looks, here it only counts that nothing is told twice.
 */
#include <stdlib.h>

#include "kinds/map.h"

struct found {
	u64 hash, off, size, pos;
};

struct pass {
	const struct ipk_object_view *o;
	const char *word; /* what it is */
	struct ipk_map_source src;
	struct ipk_map_body b;
	struct ipk_map_geometry g;
	u64 *slots, n;
	struct found *v;
	u64 nv, cap, tombs;
	struct ipk_checker *c;
};

#define TELL(p, ...) (p)->c->finding((p)->c, __VA_ARGS__)

static int add_found(struct pass *p, const struct found *f)
{
	struct found *v;

	if (p->nv == p->cap) {
		v = realloc(p->v, (p->cap ? 2 * p->cap : 256) * sizeof(*v));
		if (!v)
			return -ENOMEM;
		p->v = v;
		p->cap = p->cap ? 2 * p->cap : 256;
	}
	p->v[p->nv++] = *f;
	return 0;
}

/* Looks at the entry in slot pos; -EBADMSG is a finding and not an error. */
static int check_entry(struct pass *p, u64 pos, struct ipk_buf *buf)
{
	u64 slot = p->slots[pos];
	struct found f = {.off = ipk_map_off(slot), .pos = pos};
	struct ipk_map_copy c;
	int r;

	buf->len = 0;
	r = ipk_map_read_entry(&p->src, p->g.off + 8 * pos, slot, buf, &c);
	if (r == -EBADMSG)
		TELL(p, "slot %llu names no entry inside the segment (offset %llu)",
		     (unsigned long long)pos, (unsigned long long)f.off);
	if (r <= 0)
		return r == -EBADMSG ? 0 : r;
	f.hash = c.hash;
	f.size = ipk_map_entry_size(c.klen, c.vlen);
	if ((p->b.key_size && c.klen != p->b.key_size) || c.klen > IPK_MAP_KEY_MAX ||
	    ((p->b.value_size || !p->o->key_type) && c.vlen != p->b.value_size))
		TELL(p,
		     "the entry at %llu has a key of %u and a value of %u bytes, not of their "
		     "types",
		     (unsigned long long)f.off, c.klen, c.vlen);
	if (c.hash != ipk_map_hash(p->b.seed, buf->data + c.key, c.klen))
		TELL(p, "the entry at %llu does not have its key's hash",
		     (unsigned long long)f.off);
	else if (!ipk_map_alike(slot, c.hash))
		TELL(p, "slot %llu has another fingerprint than its entry",
		     (unsigned long long)pos);
	return add_found(p, &f);
}

/* Can a reader who starts at the entry's home come to it, without meeting an EMPTY slot? */
static void check_reach(struct pass *p, const struct found *f)
{
	u64 i = ipk_map_home(f->hash, p->g.log2), left;

	for (left = p->n; left && i != f->pos; left--, i = (i + 1) & (p->n - 1)) {
		if (p->slots[i] != IPK_MAP_EMPTY)
			continue;
		TELL(p, "the entry in slot %llu cannot be found: slot %llu before it is empty",
		     (unsigned long long)f->pos, (unsigned long long)i);
		return;
	}
}

static int by_hash(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return x->hash < y->hash ? -1 : x->hash > y->hash;
}

static int key_of(struct pass *p, const struct found *f, struct ipk_buf *buf,
		  struct ipk_map_copy *ret)
{
	buf->len = 0;
	return ipk_map_read_entry(&p->src, p->g.off + 8 * f->pos, p->slots[f->pos], buf, ret);
}

/* f and the next have one hash, which nearly always means one key. */
static int check_twin(struct pass *p, const struct found *f, struct ipk_buf *a, struct ipk_buf *b)
{
	struct ipk_map_copy x, y;
	int r = key_of(p, f, a, &x);

	if (r > 0)
		r = key_of(p, f + 1, b, &y);
	if (r <= 0)
		return r == -EBADMSG ? 0 : r;
	if (x.klen == y.klen && memcmp(a->data + x.key, b->data + y.key, x.klen) == 0)
		TELL(p, "slots %llu and %llu have entries of the same key",
		     (unsigned long long)f[0].pos, (unsigned long long)f[1].pos);
	return 0;
}

static int check_all(struct pass *p)
{
	struct ipk_buf a = {0}, b = {0};
	u64 i;
	int r = 0;

	for (i = 0; !r && i < p->n; i++) {
		if (p->slots[i] > IPK_MAP_TOMB)
			r = check_entry(p, i, &a);
		else
			p->tombs += p->slots[i] == IPK_MAP_TOMB;
	}
	for (i = 0; !r && i < p->nv; i++)
		check_reach(p, &p->v[i]);
	if (!r && p->nv)
		qsort(p->v, p->nv, sizeof(*p->v), by_hash);
	for (i = 1; !r && i < p->nv; i++)
		if (p->v[i].hash == p->v[i - 1].hash)
			r = check_twin(p, &p->v[i - 1], &a, &b);
	ipk_buf_free(&a);
	ipk_buf_free(&b);
	return r;
}

static void check_sums(struct pass *p)
{
	if (p->b.count != p->nv)
		TELL(p, "the %s says that it has %llu entries, and there are %llu", p->word,
		     (unsigned long long)p->b.count, (unsigned long long)p->nv);
	if (p->b.tombs != p->tombs)
		TELL(p, "the %s says that it has %llu tombstones, and there are %llu", p->word,
		     (unsigned long long)p->b.tombs, (unsigned long long)p->tombs);
	if (p->b.min_log2 < IPK_MAP_LOG2_MIN || p->b.min_log2 > p->g.log2)
		TELL(p, "its smallest table has 2^%u slots, this one has 2^%u", p->b.min_log2,
		     p->g.log2);
}

static void claim_blocks(struct pass *p)
{
	u64 i;

	p->c->block(p->c, p->g.off, 8 * p->n);
	for (i = 0; i < p->nv; i++)
		p->c->block(p->c, p->v[i].off, p->v[i].size);
	for (i = 0; i < 2; i++) /* in the making, or left by a dead writer for the next */
		if (p->b.building[i])
			p->c->block(p->c, p->b.building[i], 1);
}

static bool unchanged(struct pass *p)
{
	u64 changes;

	return ipk_map_word(&p->src, p->o->body + offsetof(struct ipk_map_body, changes),
			    &changes) == 0 &&
	       changes == p->b.changes && ipk_map_current(&p->src, &p->g);
}

static int check_table(struct pass *p)
{
	int r;

	p->n = UINT64_C(1) << p->g.log2;
	p->slots = malloc(8 * p->n);
	if (!p->slots)
		return -ENOMEM;
	r = ipk_map_bytes(&p->src, p->g.off, p->slots, 8 * p->n);
	if (!r)
		r = check_all(p);
	if (r < 0)
		return r == -EAGAIN ? 0 : r;
	claim_blocks(p);
	if (unchanged(p))
		check_sums(p);
	return 0;
}

int ipk_map_check(const struct ipk_object_view *o, struct ipk_checker *c)
{
	struct pass p = {.o = o,
			 .word = o->key_type ? "map" : "set",
			 .src = {.view = o->view, .body = o->body},
			 .c = c};
	int r;

	if (o->body_size < sizeof(p.b)) {
		TELL(&p, "the %s is cut short", p.word);
		return 0;
	}
	r = ipk_view_read(o->view, o->body, &p.b, sizeof(p.b));
	if (!r)
		r = ipk_map_geometry(&p.src, &p.g);
	if (!r)
		r = check_table(&p);
	else if (r == -EBADMSG && (p.g.table || ipk_object_view_current(o))) /* 0: is being freed */
		TELL(&p, "the %s's table lies outside the segment", p.word);
	free(p.slots);
	free(p.v);
	return r == -EBADMSG ? 0 : r;
}
