/* SPDX-License-Identifier: MIT */
/*
 * Pages and blocks inside transactions. A free run hangs in the list of floor(log2(its pages));
 * runs are joined with their neighbours as soon as they are freed, which their first and last
 * entries in the page table make possible in constant time. Blocks up to 2048 bytes share a page
 * with others of their class; the page's bitmap says which are in use.
 *
 * All of it runs with the lock held and changes words through the transaction alone, so a death
 * leaves nothing. What cannot be right makes tx->error -EBADMSG; no loop depends on it being right.
 */
#ifndef IPK_HEAP_H
#define IPK_HEAP_H

#include "segment/segment.h"

#define IPK_SLAB_MAX 2048u
#define IPK_PUNCH_PAGES 64u                /* smaller runs are not worth a system call */
#define IPK_PAGES_MAX UINT64_C(0xffffffff) /* page numbers are 32 bits */

extern const u16 ipk_class_size[IPK_CLASSES];

/* The smallest class that holds size bytes, size <= IPK_SLAB_MAX. */
u32 ipk_class_of(u64 size);
static inline u32 ipk_class_count(u32 cls)
{
	return IPK_PAGE / ipk_class_size[cls];
}
static inline u64 ipk_class_full(u32 cls)
{
	u32 n = ipk_class_count(cls);

	return n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

static inline u64 ipk_pg_word(u32 type, u32 cls, u32 flags, u64 len)
{
	return type | (u64)cls << 8 | (u64)flags << 16 | len << 32;
}
static inline u32 ipk_pg_type(u64 w)
{
	return w & 0xff;
}
static inline u32 ipk_pg_class(u64 w)
{
	return w >> 8 & 0xff;
}
static inline u32 ipk_pg_flags(u64 w)
{
	return w >> 16 & 0xffff;
}
static inline u64 ipk_pg_len(u64 w)
{
	return w >> 32;
}
static inline u64 ipk_pg_link(u64 next, u64 prev)
{
	return next | prev << 32;
}
static inline u32 ipk_pg_next(u64 link)
{
	return (u32)link;
}
static inline u32 ipk_pg_prev(u64 link)
{
	return (u32)(link >> 32);
}
static inline u32 ipk_log2(u64 n) /* n > 0 */
{
	return 63u - (u32)__builtin_clzll(n);
}
/* Pages of a page table for n pages, itself included. */
static inline u64 ipk_table_pages(u64 n)
{
	return (n * sizeof(struct ipk_page) + IPK_PAGE - 1) / IPK_PAGE;
}

/* Makes a transaction out of tx, which then sees the segment as it is. 0 or -EBADMSG. */
int ipk_tx_begin(struct ipk_tx *tx, struct ipk_self *me);
/* Carries out what ipk_tx_free() noted. */
int ipk_tx_settle(struct ipk_tx *tx);
/* COMMIT, and stores the values. */
int ipk_tx_commit(struct ipk_tx *tx);
/* Finishes a transaction whose owner died behind its COMMIT. Lock held. 0 or -EBADMSG. */
int ipk_journal_replay(struct ipk_segment *seg);

/* heap.c: runs of pages. n pages of that type, or 0; taking does not count in any total. */
/* holes: as IPK_ALLOC_HOLES */
u64 ipk_pages_take(struct ipk_tx *tx, u64 n, u32 type, bool holes);
void ipk_pages_give(struct ipk_tx *tx, u64 page, u64 len, u32 flags);
/* Takes the free run that ends right before page out of its list; returns its first page, or page.
 */
u64 ipk_pages_unlink_before(struct ipk_tx *tx, u64 page, u32 *flags);
void ipk_pages_insert(struct ipk_tx *tx, u64 page, u64 len, u32 flags);
/* A field of a page's entry; 0 and an error beyond the table. */
u64 ipk_pg_w(struct ipk_tx *tx, u64 page);
u64 ipk_pg_links(struct ipk_tx *tx, u64 page);
u64 ipk_pg_map(struct ipk_tx *tx, u64 page);
void ipk_pg_set_w(struct ipk_tx *tx, u64 page, u64 w);
void ipk_pg_set_links(struct ipk_tx *tx, u64 page, u64 link);
void ipk_pg_set_map(struct ipk_tx *tx, u64 page, u64 map);
void ipk_tx_fail(struct ipk_tx *tx, int error); /* the first error stays */

/* slab.c: the address of a block of cls, or 0; and back. */
u64 ipk_slab_take(struct ipk_tx *tx, u32 cls);
void ipk_slab_give(struct ipk_tx *tx, u64 page, u64 w, u64 off);

/* grow.c, lock held: makes a free run of at least pages pages; at_least: new size in pages, or 0.
 */
int ipk_grow_locked(struct ipk_self *me, u64 pages, u64 at_least, struct ipk_error *err);
/* Makes the file have memory for a range; what is there keeps its contents. Range not in use. */
int ipk_reserve(int fd, u64 off, u64 len);

#endif
