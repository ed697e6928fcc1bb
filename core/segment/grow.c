/* SPDX-License-Identifier: MIT */
/*
 * Growth under the lock. The file is extended, a copy of the page table with what is new is written
 * to the new end, and one transaction over the header's words makes it the page table; the old one
 * becomes free memory.
 *
 *	killed before COMMIT    the file is longer than header.size says; the next grower uses that
 *	killed after it         as any transaction
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "segment/heap.h"

int ipk_refresh_size(struct ipk_segment *seg)
{
	/* Acquire, and before the header's: another thread may raise it meanwhile, and never
	 * beyond. */
	u64 old = ipk_ld(&seg->size, acquire);
	u64 size = ipk_ld(&ipk_header(seg)->size, acquire); /* pairs with COMMIT */
	struct stat st;

	if (size == old)
		return 0;
	if (size < old || size > seg->max || size % IPK_PAGE || fstat(seg->fd, &st) != 0 ||
	    (u64)st.st_size < size)
		return -EBADMSG;
	while (old < size && !ipk_cas(&seg->size, &old, size, acq_rel))
		;
	return 0;
}

static int fill(int fd, u64 off, u64 len)
{
	static const u8 zeros[16 * IPK_PAGE];

	while (len) {
		ssize_t n =
			pwrite(fd, zeros, len < sizeof(zeros) ? len : sizeof(zeros), (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		off += (u64)n;
		len -= (u64)n;
	}
	return 0;
}

int ipk_reserve(int fd, u64 off, u64 len)
{
	int r;

	do
		r = fallocate(fd, 0, (off_t)off, (off_t)len);
	while (r != 0 && errno == EINTR);
	if (r == 0)
		return 0;
	/* glibc's emulation would rewrite what others have stored; here nobody uses the range. */
	if (errno == EOPNOTSUPP || errno == ENOSYS)
		return fill(fd, off, len);
	return errno == EDQUOT ? -ENOSPC : -errno;
}

/* Extends the file to to bytes, with memory behind it from from on. */
static int extend(struct ipk_segment *seg, u64 from, u64 to)
{
	u64 table;

	if (!(seg->flags & IPK_SEG_SPARSE))
		return ipk_reserve(seg->fd, from, to - from);
	/* The table is written at once, so its memory is reserved; that moves the end as well. */
	table = ipk_table_pages(to / IPK_PAGE) * IPK_PAGE;
	return ipk_reserve(seg->fd, to - table, table);
}

/*
 * How large: at least what is needed, else twice as large as it is, and whatever a grower that died
 * has left behind its end.
 */
static int choose(struct ipk_tx *tx, u64 start, u64 pages, u64 at_least, u64 *ret_needed,
		  u64 *ret_wanted)
{
	u64 max = tx->seg->max / IPK_PAGE, needed, wanted = 2 * tx->npages;
	struct stat st;

	if (pages > max)
		return -ENOSPC;
	/* The new table must lie behind the old one, which is in force until the COMMIT. */
	needed = start + pages > tx->npages ? start + pages : tx->npages;
	needed += (needed + 126) / 127; /* a page of table describes itself and 127 others */
	if (needed < at_least)
		needed = at_least;
	if (needed > max)
		return -ENOSPC;
	if (at_least)
		wanted = needed;
	if (fstat(tx->seg->fd, &st) != 0)
		return -errno;
	if (wanted < (u64)st.st_size / IPK_PAGE)
		wanted = (u64)st.st_size / IPK_PAGE;
	if (wanted > max)
		wanted = max;
	*ret_needed = needed;
	*ret_wanted = wanted < needed ? needed : wanted;
	return 0;
}

/* Writes the new page table and collects the header's words. */
static int rebuild(struct ipk_tx *tx, u64 npages)
{
	struct ipk_header *h = ipk_header(tx->seg);
	u64 old_table = ipk_ld(&h->table, relaxed), old_len = tx->npages - old_table;
	u64 table = npages - ipk_table_pages(npages), first;
	struct ipk_page *new = (void *)(tx->seg->base + table * IPK_PAGE);
	u64 old = tx->npages;
	u32 flags = 0;

	/* Free memory until the COMMIT; a grower that died may have left something there. */
	memcpy(new, tx->table, old * sizeof(*new));
	memset(new + old, 0, (npages - table) * IPK_PAGE - old * sizeof(*new));
	tx->table = new;
	tx->npages = npages;
	tx->direct = true;
	ipk_pg_set_w(tx, old_table, 0);
	ipk_pg_set_w(tx, old - 1, 0);
	first = ipk_pages_unlink_before(tx, old_table, &flags);
	ipk_pages_insert(tx, first, table - first, flags);
	ipk_pg_set_w(tx, table, ipk_pg_word(IPK_PG_META, 0, 0, npages - table));
	if (npages - table > 1)
		ipk_pg_set_w(tx, npages - 1, ipk_pg_word(IPK_PG_TAIL, 0, 0, npages - table));
	tx->direct = false;
	ipk_tx_set(tx, &h->size, npages * IPK_PAGE);
	ipk_tx_set(tx, &h->table, table);
	if (IPK_BUG(grow_size_first))
		ipk_st(&h->size, npages * IPK_PAGE, release);
	ipk_tx_set(tx, &h->meta_pages, ipk_tx_get(tx, &h->meta_pages) - old_len + (npages - table));
	return ipk_tx_commit(tx);
}

static int full(struct ipk_segment *seg, int r, struct ipk_error *err)
{
	if (r == -ENOSPC)
		return ipk_error_set(err, r, "segment %s: the file system is full", seg->name);
	if (r == -EFBIG)
		return ipk_error_set(
			err, -ENOSPC,
			"segment %s: the file system or ulimit -f allows no larger file",
			seg->name);
	return ipk_error_set(err, r, "segment %s: cannot grow: %s", seg->name, ipk_strerror(r));
}

int ipk_grow_locked(struct ipk_self *me, u64 pages, u64 at_least, struct ipk_error *err)
{
	struct ipk_segment *seg = me->seg;
	struct ipk_tx tx;
	u64 start, w, needed = 0, wanted = 0;
	int r = ipk_tx_begin(&tx, me);

	if (r < 0)
		return ipk_error_set(err, r, "segment %s: the page table is damaged", seg->name);
	if (at_least && at_least <= tx.npages)
		return 0;
	start = ipk_ld(&ipk_header(seg)->table, relaxed);
	w = start ? ipk_pg_w(&tx, start - 1) : 0;
	if (ipk_pg_type(w) == IPK_PG_FREE)
		start--;
	else if (ipk_pg_type(w) == IPK_PG_FREE_TAIL && ipk_pg_len(w) < start)
		start -= ipk_pg_len(w);
	if (seg->flags & IPK_SEG_HUGE)
		return ipk_error_set(err, -ENOSPC,
				     "segment %s is full; on huge pages it cannot grow", seg->name);
	r = choose(&tx, start, pages, at_least, &needed, &wanted);
	if (r == -ENOSPC)
		return ipk_error_set(err, r,
				     "segment %s has %llu bytes and cannot grow within its maximum "
				     "of %llu (--max)",
				     seg->name, (unsigned long long)tx.npages * IPK_PAGE,
				     (unsigned long long)seg->max);
	if (r < 0)
		return full(seg, r, err);
	r = extend(seg, tx.npages * IPK_PAGE, wanted * IPK_PAGE);
	if ((r == -ENOSPC || r == -EFBIG) && wanted > needed) {
		wanted = needed;
		r = extend(seg, tx.npages * IPK_PAGE, wanted * IPK_PAGE);
	}
	if (r < 0)
		return full(seg, r, err);
	r = rebuild(&tx, wanted);
	if (r == 0)
		r = ipk_refresh_size(seg);
	if (r < 0)
		return ipk_error_set(err, r, "segment %s: the page table is damaged", seg->name);
	return 0;
}

int ipk_segment_grow(struct ipk_segment *seg, uint64_t size, struct ipk_error *err)
{
	u64 *lock = &ipk_header(seg)->lock;
	struct ipk_self *me;
	int r = 0;

	if (size > seg->max)
		return ipk_error_set(
			err, -ENOSPC, "segment %s may grow to %llu bytes (--max), not to %llu",
			seg->name, (unsigned long long)seg->max, (unsigned long long)size);
	if (!seg->writable)
		return ipk_error_set(err, -EACCES, "segment %s is open for reading only",
				     seg->name);
	me = ipk_self(seg, &r);
	if (!me)
		return ipk_error_set(err, r, "segment %s: %s", seg->name, ipk_strerror(r));
	r = ipk_lock(me, lock, IPK_FOREVER);
	if (r < 0)
		return ipk_error_set(err, r, "segment %s: its lock: %s", seg->name,
				     ipk_strerror(r));
	r = ipk_journal_replay(seg);
	if (r == 0)
		/* 0 would be: as far as it sees fit. */
		r = ipk_grow_locked(me, 0, size ? ipk_align_up(size, IPK_PAGE) / IPK_PAGE : 1, err);
	else
		ipk_error_set(err, r, "segment %s: the journal is damaged", seg->name);
	ipk_unlock(me, lock);
	return r;
}
