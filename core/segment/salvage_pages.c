/* SPDX-License-Identifier: MIT */
/* The page table, the free lists and the totals, made from what was claimed. */
#include "segment/heap.h"
#include "segment/salvage.h"

typedef unsigned long long ull;

struct rebuild {
	struct ipk_salvage *s;
	u64 used, meta;
	u64 freed; /* bytes that were in use and belong to nobody */
};

/* Marks the pages whose memory was perhaps given back to the file system. */
static void note_holes(struct ipk_salvage *s)
{
	u64 len;

	for (u64 page = 0; page < s->npages; page += len) {
		u64 w = s->table[page].w;
		bool hole = ipk_pg_type(w) == IPK_PG_FREE && (ipk_pg_flags(w) & IPK_PGF_HOLE);

		len = s->whole && ipk_pg_len(w) ? ipk_pg_len(w) : 1;
		for (u64 i = page; i < page + len && i < s->npages; i++)
			s->page[i].hole = hole || !s->whole;
	}
}

static void put(struct ipk_salvage *s, u64 page, u64 w, u64 link, u64 map)
{
	s->table[page] = (struct ipk_page){.w = w, .link = link, .map = map};
}

/* In front of its list, whose links are page numbers. */
static u64 push(struct ipk_salvage *s, u64 *list, u64 page)
{
	u64 next = *list;

	if (next)
		s->table[next].link = ipk_pg_link(ipk_pg_next(s->table[next].link), page);
	*list = page;
	return ipk_pg_link(next, 0);
}

static void put_run(struct rebuild *rb, u64 page, u64 len, u32 type, u32 flags)
{
	struct ipk_salvage *s = rb->s;
	u32 tail = type == IPK_PG_FREE ? IPK_PG_FREE_TAIL : IPK_PG_TAIL;
	u64 link = 0;

	for (u64 i = page + 1; i < page + len; i++)
		put(s, i, 0, 0, 0);
	if (len > 1)
		put(s, page + len - 1, ipk_pg_word(tail, 0, 0, len), 0, 0);
	if (type == IPK_PG_FREE) {
		link = push(s, &s->h->bins[ipk_log2(len)], page);
		s->h->bin_map |= UINT64_C(1) << ipk_log2(len);
	}
	put(s, page, ipk_pg_word(type, 0, flags, len), link, 0);
	rb->used += type == IPK_PG_RUN ? len * IPK_PAGE : 0;
	rb->meta += type == IPK_PG_META ? len : 0;
}

static void put_slab(struct rebuild *rb, u64 page)
{
	struct ipk_salvage *s = rb->s;
	const struct ipk_salvage_page *p = &s->page[page];
	u64 w = s->table[page].w, starts = p->starts, map = 0, link = 0;
	u32 cls = ipk_pg_type(w) == IPK_PG_SLAB ? ipk_pg_class(w) : IPK_CLASSES, flags = 0;

	if (cls >= IPK_CLASSES || !(p->fits >> cls & 1))
		cls = (u32)__builtin_ctz(p->fits);
	for (; starts; starts &= starts - 1)
		map |= UINT64_C(1) << (u32)__builtin_ctzll(starts) * IPK_LINE / ipk_class_size[cls];
	if (map != ipk_class_full(cls)) {
		flags = IPK_PGF_LISTED;
		link = push(s, &s->h->partial[cls], page);
	}
	put(s, page, ipk_pg_word(IPK_PG_SLAB, cls, flags, 1), link, map);
	rb->used += (u64)__builtin_popcountll(map) * ipk_class_size[cls];
}

/* What was in use and has no owner now; and with strangers about, keeps it. */
static void unowned(struct rebuild *rb)
{
	struct ipk_salvage *s = rb->s;

	for (u64 page = 0; page < s->npages; page++) {
		u64 off = page * IPK_PAGE, w = s->table[page].w, size;
		u32 step = IPK_PAGE;

		if (ipk_pg_type(w) == IPK_PG_SLAB && ipk_pg_class(w) < IPK_CLASSES)
			step = ipk_class_size[ipk_pg_class(w)];
		for (u32 at = 0; at < IPK_PAGE; at += step) {
			size = ipk_salvage_block(s, off + at);
			if (!size || ipk_salvage_claimed(s, off + at))
				continue;
			if (!s->strangers)
				rb->freed += size;
			else
				(void)ipk_salvage_claim(s, off + at, size);
		}
	}
}

static u64 put_free(struct rebuild *rb, u64 page)
{
	struct ipk_salvage *s = rb->s;
	u64 len = 0;
	bool hole = false;

	while (page + len < s->npages && s->page[page + len].use == IPK_USE_NONE)
		hole |= s->page[page + len++].hole;
	put_run(rb, page, len, IPK_PG_FREE, hole ? IPK_PGF_HOLE : 0);
	return len;
}

void ipk_salvage_pages(struct ipk_salvage *s)
{
	struct rebuild rb = {.s = s};
	struct ipk_header *h = s->h;
	u64 len, used = h->used;

	unowned(&rb);
	note_holes(s);
	memset(h->bins, 0, sizeof(h->bins));
	memset(h->partial, 0, sizeof(h->partial));
	h->bin_map = 0;
	for (u64 page = 0; page < s->npages; page += len) {
		const struct ipk_salvage_page *p = &s->page[page];

		len = p->len ? p->len : 1;
		switch (p->use) {
		case IPK_USE_META:
			put_run(&rb, page, len, IPK_PG_META, 0);
			break;
		case IPK_USE_RUN:
			put_run(&rb, page, len, IPK_PG_RUN, 0);
			break;
		case IPK_USE_SLAB:
			put_slab(&rb, page);
			break;
		default:
			len = put_free(&rb, page);
			break;
		}
	}
	h->used = rb.used;
	h->meta_pages = rb.meta;
	if (rb.freed)
		ipk_salvage_did(s, "pages", "%llu bytes that belonged to nothing are free again",
				(ull)rb.freed);
	ipk_salvage_did(s, "pages",
			"page table and free lists are made anew: %llu bytes in use, %llu before",
			(ull)rb.used, (ull)used);
}
