/* SPDX-License-Identifier: MIT */
/*
 * Reading maps through a mapping or a view: one entry, one key, all entries. What is argued in
 * map.h holds here as well, with system calls in the place of loads. Bounded, whatever is read.
 */
#include <stdlib.h>

#include "kinds/map.h"

#define WINDOW 64u /* slots that are read at once */
#define FIRST 256u /* bytes of an entry that are read at once: most are not longer */

/* A batch ends at the first EMPTY slot after so many entries, bytes or slots. */
#define BATCH_ENTRIES 64u
#define BATCH_BYTES (1u << 20)
#define BATCH_SLOTS 4096u

int ipk_map_word(struct ipk_map_source *s, u64 off, u64 *ret)
{
	u64 *p;

	if (!s->seg)
		return ipk_view_u64(s->view, off, ret);
	p = ipk_at(s->seg, off, 8, 8);
	if (!p)
		return -EBADMSG;
	*ret = ipk_ld(p, acquire); /* pairs with the release stores of writers and with COMMIT */
	return 0;
}

int ipk_map_bytes(struct ipk_map_source *s, u64 off, void *dst, u64 len)
{
	void *p;

	if (!s->seg)
		return ipk_view_read(s->view, off, dst, len);
	p = ipk_at(s->seg, off, len, 8);
	if (!p)
		return -EBADMSG;
	ipk_copy_out(dst, p, len);
	ipk_fence(acquire); /* what is loaded next is not older than these bytes */
	return 0;
}

static bool inside(struct ipk_map_source *s, u64 off, u64 len)
{
	if (s->seg)
		return ipk_at(s->seg, off, len, 8);
	if (off > s->size || len > s->size - off)
		s->size = ipk_view_size(s->view);
	return off <= s->size && len <= s->size - off;
}

/* ---- the table ------------------------------------------------------------------------------- */

int ipk_map_geometry(struct ipk_map_source *s, struct ipk_map_geometry *ret)
{
	u64 tables, table = 0, off;
	int r;

	r = ipk_map_word(s, s->body + offsetof(struct ipk_map_body, tables), &tables);
	if (!r)
		r = ipk_map_word(s, s->body + offsetof(struct ipk_map_body, table), &table);
	if (r < 0)
		return r;
	off = ipk_map_table_off(table);
	*ret = (struct ipk_map_geometry){
		.table = table, .tables = tables, .log2 = ipk_map_log2(table), .off = off};
	if (!ipk_map_table_ok(table) || !inside(s, off, UINT64_C(8) << ipk_map_log2(table)))
		return -EBADMSG;
	return 0;
}

bool ipk_map_current(struct ipk_map_source *s, const struct ipk_map_geometry *g)
{
	u64 tables, table;

	return ipk_map_word(s, s->body + offsetof(struct ipk_map_body, table), &table) == 0 &&
	       ipk_map_word(s, s->body + offsetof(struct ipk_map_body, tables), &tables) == 0 &&
	       table == g->table && tables == g->tables;
}

/* Slots of one table, read as they are needed. */
struct window {
	struct ipk_map_source *s;
	const struct ipk_map_geometry *g;
	u64 from, n;
	u64 slot[WINDOW];
};

static int window_slot(struct window *w, u64 i, u64 *ret)
{
	u64 all = UINT64_C(1) << w->g->log2;
	int r;

	if (i < w->from || i >= w->from + w->n) {
		w->from = i & ~(u64)(WINDOW - 1);
		w->n = all - w->from < WINDOW ? all - w->from : WINDOW;
		r = ipk_map_bytes(w->s, w->g->off + 8 * w->from, w->slot, 8 * w->n);
		if (r < 0) {
			w->n = 0;
			return r;
		}
	}
	*ret = w->slot[i - w->from];
	return 0;
}

/* ---- one entry ------------------------------------------------------------------------------- */

static int buf_room(struct ipk_buf *buf, u64 more)
{
	size_t cap = buf->cap ? buf->cap : 1024;
	char *data;

	if (more <= buf->cap - buf->len)
		return 0;
	while (cap - buf->len < more)
		cap *= 2;
	data = realloc(buf->data, cap);
	if (!data)
		return -ENOMEM;
	buf->data = data;
	buf->cap = cap;
	return 0;
}

/*
 * Copies the bytes at off, which may be an entry, behind buf, and fills in *ret what they would
 * be. The version comes first: what is copied after it is that entry's or a later one's.
 */
static int copy_entry(struct ipk_map_source *s, u64 off, struct ipk_buf *buf,
		      struct ipk_map_copy *ret)
{
	u64 first = s->seg || !inside(s, off, FIRST) ? sizeof(struct ipk_map_entry) : FIRST, total;
	struct ipk_map_entry e;
	int r = ipk_map_word(s, off, &ret->ver);

	if (!r)
		r = buf_room(buf, FIRST);
	if (!r)
		r = ipk_map_bytes(s, off, buf->data + buf->len, first);
	if (r < 0)
		return r;
	memcpy(&e, buf->data + buf->len, sizeof(e));
	ret->hash = e.hash;
	ret->klen = (u32)e.lens;
	ret->vlen = (u32)(e.lens >> 32);
	ret->key = buf->len + sizeof(e);
	ret->value = ret->key + ipk_map_pad(ret->klen);
	total = ipk_map_entry_size(ret->klen, ret->vlen);
	if (!inside(s, off, total))
		return -EBADMSG;
	r = buf_room(buf, total);
	if (!r && total > first)
		r = ipk_map_bytes(s, off + first, buf->data + buf->len + first, total - first);
	return r;
}

int ipk_map_read_entry(struct ipk_map_source *s, u64 slot_off, u64 slot, struct ipk_buf *buf,
		       struct ipk_map_copy *ret)
{
	u64 off, now = 0, ver = 0;
	unsigned i;
	int r, r2;

	for (i = 0; slot > IPK_MAP_TOMB && i < IPK_MAP_TRIES; i++, slot = now) {
		off = ipk_map_off(slot);
		r = copy_entry(s, off, buf, ret);
		if (r < 0 && r != -EBADMSG)
			return r;
		r2 = ipk_map_word(s, slot_off, &now);
		if (r2 < 0 || (r < 0 && now == slot))
			return r2 < 0 ? r2 : r;
		if (now != slot)
			continue;
		r2 = ipk_map_word(s, off, &ver);
		if (r2 < 0)
			return r2;
		if (ver == ret->ver) {
			buf->len += ipk_map_entry_size(ret->klen, ret->vlen);
			return 1;
		}
	}
	return slot > IPK_MAP_TOMB ? -EAGAIN : 0;
}

/* ---- one key --------------------------------------------------------------------------------- */

#define CHANGED 1

static bool has_key(const struct ipk_buf *buf, const struct ipk_map_copy *c, u64 hash,
		    const void *key, size_t klen)
{
	return c->hash == hash && c->klen == klen && memcmp(buf->data + c->key, key, klen) == 0;
}

static int lookup_in(struct ipk_map_source *s, const struct ipk_map_geometry *g, u64 hash,
		     const void *key, size_t klen, struct ipk_buf *buf, struct ipk_map_copy *ret)
{
	struct window w = {.s = s, .g = g};
	u64 n = UINT64_C(1) << g->log2, i = ipk_map_home(hash, g->log2), left, slot = 0;
	size_t len = buf->len;
	int r;

	for (left = n; left; left--, i = (i + 1) & (n - 1)) {
		r = window_slot(&w, i, &slot);
		if (r < 0)
			return r;
		if (slot == IPK_MAP_EMPTY)
			break;
		if (!ipk_map_alike(slot, hash))
			continue;
		r = ipk_map_read_entry(s, g->off + 8 * i, slot, buf, ret);
		if (r < 0)
			return r;
		if (r > 0 && has_key(buf, ret, hash, key, klen))
			return 0;
		buf->len = len;
	}
	return -ENOENT;
}

int ipk_map_lookup(struct ipk_map_source *s, u64 seed, const void *key, size_t klen,
		   struct ipk_buf *buf, struct ipk_map_copy *ret)
{
	u64 hash = ipk_map_hash(seed, key, klen);
	struct ipk_map_geometry g;
	size_t len = buf->len;
	unsigned i;
	int r;

	for (i = 0; i < IPK_MAP_TRIES; i++) {
		r = ipk_map_geometry(s, &g);
		if (!r)
			r = lookup_in(s, &g, hash, key, klen, buf, ret);
		if (r == -ENOMEM || ipk_map_current(s, &g))
			return r;
		buf->len = len;
	}
	return -EAGAIN;
}

/* ---- all entries ----------------------------------------------------------------------------- */

static int keep(struct ipk_map_scan *sc, const struct ipk_map_copy *c)
{
	struct ipk_map_copy *v;

	if (sc->n == sc->cap) {
		v = realloc(sc->v, (sc->cap ? 2 * sc->cap : 128) * sizeof(*v));
		if (!v)
			return -ENOMEM;
		sc->v = v;
		sc->cap = sc->cap ? 2 * sc->cap : 128;
	}
	sc->v[sc->n++] = *c;
	return 0;
}

/* A slot of the walk; pos counts on behind the last slot, where entries that did not fit lie. */
static int scan_slot(struct ipk_map_scan *sc, const struct ipk_map_geometry *g, u64 pos, u64 slot)
{
	u64 n = UINT64_C(1) << g->log2, home;
	struct ipk_map_copy c;
	size_t len = sc->buf.len;
	bool behind;
	int r = ipk_map_read_entry(&sc->src, g->off + 8 * (pos & (n - 1)), slot, &sc->buf, &c);

	if (r <= 0)
		return r;
	home = ipk_map_home(c.hash, g->log2);
	behind = home > (pos & (n - 1));
	if (c.hash >= sc->next && behind == (pos >= n))
		return keep(sc, &c);
	sc->buf.len = len;
	return 0;
}

static bool batch_full(const struct ipk_map_scan *sc, u64 slots)
{
	return sc->n >= BATCH_ENTRIES || sc->buf.len >= BATCH_BYTES || slots >= BATCH_SLOTS;
}

/* From sc->next to the next good place to stop. *ret_next: all entries before it are in v; 0: all.
 */
static int scan_part(struct ipk_map_scan *sc, const struct ipk_map_geometry *g, u64 *ret_next)
{
	struct window w = {.s = &sc->src, .g = g};
	u64 n = UINT64_C(1) << g->log2, from = ipk_map_home(sc->next, g->log2), pos, slot = 0;
	int r;

	*ret_next = 0;
	for (pos = from; pos < 2 * n; pos++) {
		r = window_slot(&w, pos & (n - 1), &slot);
		if (!r && slot > IPK_MAP_TOMB)
			r = scan_slot(sc, g, pos, slot);
		if (r < 0)
			return r;
		if (slot != IPK_MAP_EMPTY)
			continue;
		if (pos >= n)
			break;
		/* Nothing of what comes before lies behind. */
		if (pos + 1 < n && batch_full(sc, pos - from + 1)) {
			*ret_next = (pos + 1) << (64 - g->log2);
			break;
		}
	}
	return 0;
}

static int by_hash(const void *a, const void *b, void *base)
{
	const struct ipk_map_copy *x = a, *y = b;
	const char *data = base;
	u32 len = x->klen < y->klen ? x->klen : y->klen;
	int r;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	r = memcmp(data + x->key, data + y->key, len);
	return r ? r : x->klen < y->klen ? -1 : x->klen > y->klen;
}

/* Sorts the batch; a key that was deleted and put again while we passed is there twice. */
static void settle(struct ipk_map_scan *sc, u64 next)
{
	u32 i, n = 0;

	if (sc->n)
		qsort_r(sc->v, sc->n, sizeof(*sc->v), by_hash, sc->buf.data);
	for (i = 0; i < sc->n && (!next || sc->v[i].hash < next); i++) {
		if (!n || by_hash(&sc->v[n - 1], &sc->v[i], sc->buf.data) != 0)
			sc->v[n++] = sc->v[i];
	}
	sc->n = n;
}

int ipk_map_scan(struct ipk_map_scan *sc)
{
	struct ipk_map_geometry g;
	u64 next = 0;
	unsigned i;
	int r = 0;

	for (i = 0; !sc->end && i < IPK_MAP_TRIES; i++) {
		sc->n = 0;
		sc->buf.len = 0;
		r = ipk_map_geometry(&sc->src, &g);
		if (!r)
			r = scan_part(sc, &g, &next);
		if (r == -ENOMEM || r == -EAGAIN)
			return r;
		if (!ipk_map_current(&sc->src, &g))
			continue;
		if (r < 0)
			return r;
		settle(sc, next);
		sc->next = next;
		sc->end = next == 0;
		if (sc->n)
			return (int)sc->n;
		i = 0; /* a part without entries is progress, too */
	}
	return sc->end ? 0 : -EAGAIN;
}

void ipk_map_scan_free(struct ipk_map_scan *sc)
{
	free(sc->v);
	ipk_buf_free(&sc->buf);
}
