/* SPDX-License-Identifier: MIT */
#include "segment/heap.h"

/* How many runs of the list that may hold a fit are looked at; and once more before growing. */
#define SEARCH_FEW 4u
#define SEARCH_MANY 64u
#define TABLE_MOVES 64 /* a segment cannot double more often than that */

static struct ipk_page *entry(struct ipk_tx *tx, u64 page)
{
	if (ipk_likely(page < tx->npages))
		return &tx->table[page];
	ipk_tx_fail(tx, -EBADMSG);
	return NULL;
}

static u64 word_get(struct ipk_tx *tx, u64 *p)
{
	return tx->direct ? ipk_ld(p, relaxed) : ipk_tx_get(tx, p);
}

static void word_set(struct ipk_tx *tx, u64 *p, u64 val)
{
	if (tx->direct)
		ipk_st(p, val, relaxed); /* the COMMIT that makes it the page table orders it */
	else
		ipk_tx_set(tx, p, val);
}

u64 ipk_pg_w(struct ipk_tx *tx, u64 page)
{
	struct ipk_page *e = entry(tx, page);

	return e ? word_get(tx, &e->w) : 0;
}

u64 ipk_pg_links(struct ipk_tx *tx, u64 page)
{
	struct ipk_page *e = entry(tx, page);

	return e ? word_get(tx, &e->link) : 0;
}

u64 ipk_pg_map(struct ipk_tx *tx, u64 page)
{
	struct ipk_page *e = entry(tx, page);

	return e ? word_get(tx, &e->map) : 0;
}

void ipk_pg_set_w(struct ipk_tx *tx, u64 page, u64 w)
{
	struct ipk_page *e = entry(tx, page);

	if (e)
		word_set(tx, &e->w, w);
}

void ipk_pg_set_links(struct ipk_tx *tx, u64 page, u64 link)
{
	struct ipk_page *e = entry(tx, page);

	if (e)
		word_set(tx, &e->link, link);
}

void ipk_pg_set_map(struct ipk_tx *tx, u64 page, u64 map)
{
	struct ipk_page *e = entry(tx, page);

	if (e)
		word_set(tx, &e->map, map);
}

/* ---- lists of free runs ----------------------------------------------------------------- */

/* The run whose head is page, if it is free and whole: *len and *flags. */
static bool free_run(struct ipk_tx *tx, u64 page, u64 *len, u32 *flags)
{
	u64 w = ipk_pg_w(tx, page);

	*len = ipk_pg_len(w);
	*flags = ipk_pg_flags(w);
	if (ipk_pg_type(w) == IPK_PG_FREE && *len > 0 && *len <= tx->npages - page &&
	    (*len == 1 ||
	     ipk_pg_w(tx, page + *len - 1) == ipk_pg_word(IPK_PG_FREE_TAIL, 0, 0, *len)))
		return true;
	ipk_tx_fail(tx, -EBADMSG);
	return false;
}

void ipk_pages_insert(struct ipk_tx *tx, u64 page, u64 len, u32 flags)
{
	struct ipk_header *h = ipk_header(tx->seg);
	u32 bin = ipk_log2(len);
	u64 head = ipk_tx_get(tx, &h->bins[bin]);

	ipk_pg_set_w(tx, page, ipk_pg_word(IPK_PG_FREE, 0, flags & IPK_PGF_HOLE, len));
	ipk_pg_set_links(tx, page, ipk_pg_link(head, 0));
	if (len > 1)
		ipk_pg_set_w(tx, page + len - 1, ipk_pg_word(IPK_PG_FREE_TAIL, 0, 0, len));
	if (head) {
		if (ipk_pg_type(ipk_pg_w(tx, head)) != IPK_PG_FREE)
			ipk_tx_fail(tx, -EBADMSG);
		ipk_pg_set_links(tx, head, ipk_pg_link(ipk_pg_next(ipk_pg_links(tx, head)), page));
	}
	ipk_tx_set(tx, &h->bins[bin], page);
	ipk_tx_set(tx, &h->bin_map, ipk_tx_get(tx, &h->bin_map) | UINT64_C(1) << bin);
}

static void unlink_run(struct ipk_tx *tx, u64 page, u64 len)
{
	struct ipk_header *h = ipk_header(tx->seg);
	u32 bin = ipk_log2(len);
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
		return;
	}
	if (ipk_tx_get(tx, &h->bins[bin]) != page)
		ipk_tx_fail(tx, -EBADMSG);
	ipk_tx_set(tx, &h->bins[bin], next);
	if (!next)
		ipk_tx_set(tx, &h->bin_map, ipk_tx_get(tx, &h->bin_map) & ~(UINT64_C(1) << bin));
}

/* Looks at the first most runs of a list for one of n pages without a flag in avoid. 0: none. */
static u64 search(struct ipk_tx *tx, u32 bin, u64 n, u32 most, u32 avoid)
{
	u64 page = ipk_tx_get(tx, &ipk_header(tx->seg)->bins[bin]), len;
	u32 flags;

	while (page && most--) {
		if (!free_run(tx, page, &len, &flags))
			return 0;
		if (len >= n && !(flags & avoid))
			return page;
		page = ipk_pg_next(ipk_pg_links(tx, page));
	}
	return 0;
}

static u64 find_fit(struct ipk_tx *tx, u64 n)
{
	struct ipk_header *h = ipk_header(tx->seg);
	u32 bin = ipk_log2(n);
	u64 page = search(tx, bin, n, SEARCH_FEW, 0), larger;

	if (page || tx->error)
		return page;
	larger = ipk_tx_get(tx, &h->bin_map) >> bin >> 1;
	if (larger) {
		bin += 1 + (u32)__builtin_ctzll(larger);
		page = bin < IPK_BINS ? search(tx, bin, n, 1, 0) : 0;
		if (!page)
			ipk_tx_fail(tx, -EBADMSG);
		return page;
	}
	return search(tx, bin, n, SEARCH_MANY, 0);
}

/* The same where the file system has no page left for a hole. */
static u64 find_solid(struct ipk_tx *tx, u64 n)
{
	u64 page = 0;
	u32 bin;

	for (bin = ipk_log2(n); bin < IPK_BINS && !page && !tx->error; bin++)
		page = search(tx, bin, n, SEARCH_MANY, IPK_PGF_HOLE);
	return page;
}

/* Whether n pages may have no memory behind them and have to get it. */
static bool to_reserve(const struct ipk_tx *tx, u32 flags, bool holes)
{
	if (tx->seg->flags & IPK_SEG_HUGE)
		return false;
	/* What is free there is not known to have any. */
	return tx->seg->flags & IPK_SEG_SPARSE ? !holes : flags & IPK_PGF_HOLE;
}

u64 ipk_pages_take(struct ipk_tx *tx, u64 n, u32 type, bool holes)
{
	bool sparse = tx->seg->flags & IPK_SEG_SPARSE;
	u64 page, len;
	u32 flags;

	if (n == 0 || n > IPK_PAGES_MAX) {
		ipk_tx_fail(tx, -ENOSPC);
		return 0;
	}
	page = find_fit(tx, n);
	if (!page && !tx->error) {
		tx->need = n * IPK_PAGE;
		ipk_tx_fail(tx, -ENOSPC);
	}
	if (!page || !free_run(tx, page, &len, &flags))
		return 0;
	if (to_reserve(tx, flags, holes)) {
		int r = ipk_reserve(tx->seg->fd, page * IPK_PAGE, n * IPK_PAGE);

		if (r == -ENOSPC)
			page = sparse ? 0 : find_solid(tx, n);
		if (r < 0 && (r != -ENOSPC || !page || !free_run(tx, page, &len, &flags))) {
			tx->fs_full = r == -ENOSPC;
			ipk_tx_fail(tx, r);
			return 0;
		}
	}
	unlink_run(tx, page, len);
	if (len > n)
		ipk_pages_insert(tx, page + n, len - n, flags);
	ipk_pg_set_w(tx, page, ipk_pg_word(type, 0, 0, n));
	if (n > 1)
		ipk_pg_set_w(tx, page + n - 1, ipk_pg_word(IPK_PG_TAIL, 0, 0, n));
	return tx->error ? 0 : page;
}

u64 ipk_pages_unlink_before(struct ipk_tx *tx, u64 page, u32 *flags)
{
	u64 w = ipk_pg_w(tx, page - 1), first, len;
	u32 more;

	if (ipk_pg_type(w) == IPK_PG_FREE)
		first = page - 1;
	else if (ipk_pg_type(w) == IPK_PG_FREE_TAIL && ipk_pg_len(w) <= page)
		first = page - ipk_pg_len(w);
	else
		return page;
	if (!free_run(tx, first, &len, &more) || len != page - first) {
		ipk_tx_fail(tx, -EBADMSG);
		return page;
	}
	unlink_run(tx, first, len);
	*flags |= more;
	ipk_pg_set_w(tx, page - 1, 0);
	return first;
}

/* page > 0, len > 0, page + len <= npages */
void ipk_pages_give(struct ipk_tx *tx, u64 page, u64 len, u32 flags)
{
	u64 end = page + len, first, more;
	u32 f;

	ipk_pg_set_w(tx, page, 0);
	ipk_pg_set_w(tx, end - 1, 0);
	first = ipk_pages_unlink_before(tx, page, &flags);
	if (end < tx->npages && ipk_pg_type(ipk_pg_w(tx, end)) == IPK_PG_FREE) {
		if (!free_run(tx, end, &more, &f))
			return;
		unlink_run(tx, end, more);
		ipk_pg_set_w(tx, end, 0);
		flags |= f;
		end += more;
	}
	ipk_pages_insert(tx, first, end - first, flags);
}

/* ---- blocks ----------------------------------------------------------------------------- */

static void count(struct ipk_tx *tx, u64 *total, u64 n, bool more)
{
	u64 v = ipk_tx_get(tx, total);

	if (!more && v < n)
		ipk_tx_fail(tx, -EBADMSG);
	ipk_tx_set(tx, total, more ? v + n : v - n);
}

u64 ipk_tx_alloc(struct ipk_tx *tx, u64 size, u32 flags)
{
	struct ipk_header *h = ipk_header(tx->seg);
	bool meta = flags & IPK_ALLOC_META;
	u64 off, n;

	if (tx->error)
		return 0;
	if (size > IPK_PAGES_MAX * IPK_PAGE) {
		ipk_tx_fail(tx, -ENOSPC);
		return 0;
	}
	n = size ? ipk_align_up(size, IPK_PAGE) / IPK_PAGE : 1;
	if (meta) {
		off = ipk_pages_take(tx, n, IPK_PG_META, false) * IPK_PAGE;
		count(tx, &h->meta_pages, n, true);
	} else if (size <= IPK_SLAB_MAX) {
		u32 cls = ipk_class_of(size);

		off = ipk_slab_take(tx, cls);
		count(tx, &h->used, ipk_class_size[cls], true);
	} else {
		off = ipk_pages_take(tx, n, IPK_PG_RUN, flags & IPK_ALLOC_HOLES) * IPK_PAGE;
		count(tx, &h->used, n * IPK_PAGE, true);
	}
	/*
	 * The word that named this block before was changed before it is filled now: pairs with the
	 * acquire fence of a reader that copies without the lock and then looks at that word again.
	 */
	ipk_fence(release);
	return tx->error ? 0 : off;
}

void ipk_tx_free(struct ipk_tx *tx, u64 off)
{
	if (tx->nfrees == IPK_TX_FREES)
		ipk_tx_fail(tx, -EOVERFLOW);
	else
		tx->frees[tx->nfrees++] = off;
}

static void give_run(struct ipk_tx *tx, u64 page, u64 w)
{
	struct ipk_header *h = ipk_header(tx->seg);
	u64 len = ipk_pg_len(w);
	u32 flags = 0;

	if (len == 0 || len > tx->npages - page ||
	    (len > 1 && ipk_pg_w(tx, page + len - 1) != ipk_pg_word(IPK_PG_TAIL, 0, 0, len))) {
		ipk_tx_fail(tx, -EBADMSG);
		return;
	}
	if (ipk_pg_type(w) == IPK_PG_META)
		count(tx, &h->meta_pages, len, false);
	else
		count(tx, &h->used, len * IPK_PAGE, false);
	if (tx->me->giving_back && len >= IPK_PUNCH_PAGES && tx->npunch < IPK_TX_PUNCH &&
	    !(tx->seg->flags & IPK_SEG_HUGE)) {
		tx->punch[tx->npunch].page = page;
		tx->punch[tx->npunch++].len = len;
		flags = IPK_PGF_HOLE;
	}
	ipk_pages_give(tx, page, len, flags);
}

int ipk_tx_settle(struct ipk_tx *tx)
{
	u32 i;

	for (i = 0; i < tx->nfrees && !tx->error; i++) {
		u64 off = tx->frees[i], page = off / IPK_PAGE, w = ipk_pg_w(tx, page);
		u32 type = ipk_pg_type(w);

		if (type == IPK_PG_SLAB)
			ipk_slab_give(tx, page, w, off);
		else if ((type == IPK_PG_RUN || type == IPK_PG_META) && off % IPK_PAGE == 0 && page)
			give_run(tx, page, w);
		else
			ipk_tx_fail(tx, -EBADMSG);
	}
	return tx->error;
}

/* Of a copy of the entry of off's page. */
static u64 size_by_entry(u64 off, u64 w, u64 map, u64 pages_behind)
{
	u32 size, i;

	if (ipk_pg_type(w) == IPK_PG_RUN && off % IPK_PAGE == 0)
		return ipk_pg_len(w) <= pages_behind ? ipk_pg_len(w) * IPK_PAGE : 0;
	if (ipk_pg_type(w) != IPK_PG_SLAB || ipk_pg_class(w) >= IPK_CLASSES)
		return 0;
	size = ipk_class_size[ipk_pg_class(w)];
	i = (u32)(off % IPK_PAGE) / size;
	if (off % IPK_PAGE % size || i >= ipk_class_count(ipk_pg_class(w)) || !(map >> i & 1))
		return 0;
	return size;
}

u64 ipk_block_size(struct ipk_segment *seg, u64 off)
{
	struct ipk_header *h = ipk_header(seg);
	u64 table, page = off / IPK_PAGE, w, map;
	struct ipk_page *e;
	int i;

	for (i = 0; i < TABLE_MOVES; i++) {
		table = ipk_ld(&h->table, acquire); /* pairs with COMMIT */
		if (table > IPK_PAGES_MAX || page >= table)
			return 0;
		e = ipk_at(seg, table * IPK_PAGE + page * sizeof(*e), sizeof(*e), 8);
		if (!e)
			return 0;
		w = ipk_ld(&e->w, relaxed);
		map = ipk_ld(&e->map, relaxed);
		/* A growth may have moved the table and somebody else have got its memory. */
		ipk_fence(acquire);
		if (ipk_ld(&h->table, relaxed) == table)
			return size_by_entry(off, w, map, table - page);
	}
	return 0;
}
