/* SPDX-License-Identifier: MIT */
/*
 * A private copy of a whole segment that is made right: what repair works on. Nobody else sees it,
 * nothing in it is believed before it was checked, and the segment itself stays as it is until
 * undo.c has saved what is going to change.
 *
 * Who owns which memory is found out anew: the segment's own pages first, then each object's
 * header, then what its kind claims. From these claims salvage_pages.c makes the page table, the
 * free lists and the totals, so lost blocks, broken lists, wrong sums and a torn page table are
 * mended by one thing. What the page table says counts as long as it makes sense from end to end
 * (whole): then a claim to what it does not hold in use is refused. Where it is torn, claims
 * decide, and its entries help only where they fit a claim.
 *
 *	salvage.c	the copy: journal, header, size; claims
 *	salvage_reg.c	the list of participants
 *	salvage_dir.c	objects' headers, the directory, removed objects
 *	salvage_pages.c	the page table from the claims
 */
#ifndef IPK_SALVAGE_H
#define IPK_SALVAGE_H

#include "segment/format.h"
#include "segment/view.h"

enum ipk_salvage_use {
	IPK_USE_NONE = 0,
	IPK_USE_SLAB,
	IPK_USE_RUN,
	IPK_USE_META,
	IPK_USE_INSIDE, /* of a RUN or META that began before */
};

/* One page of the copy, as far as somebody has claimed it. */
struct ipk_salvage_page {
	u64 starts; /* SLAB: bit i: a block begins at byte 64 * i */
	u32 len;    /* RUN, META: pages */
	u16 fits;   /* SLAB: bit c: all its blocks can be of class c */
	u8 use;
	bool hole; /* unclaimed: its memory may have to be reserved anew */
};

struct ipk_salvage {
	int fd;   /* the copy, an anonymous file */
	u8 *base; /* the same, mapped: size bytes */
	u64 size, npages;
	u64 file_size; /* of the segment's file */
	struct ipk_header *h;
	/* In the copy: where it belongs by the size, whatever the header says. */
	struct ipk_page *table;
	struct ipk_salvage_page *page;
	bool whole; /* the page table makes sense */
	/* What objects of unknown kinds own cannot be told: all that is in use stays. */
	bool strangers;
	/* Each thing that was done, in words */
	void (*did)(void *arg, const char *where, const char *what);
	void *arg;
};

/*
 * Copies the segment behind fd; a change in the journal is carried out in the copy, or dropped
 * where it makes no sense; sizes that can be told are set right. -EPROTO: what is gone cannot be
 * guessed (magic, version, layout); -EBADMSG -ENOMEM -EIO -ENOSPC. Release with ipk_salvage_free().
 */
int ipk_salvage_load(int fd, const char *name, struct ipk_salvage *s, struct ipk_error *err);
void ipk_salvage_free(struct ipk_salvage *s);

void ipk_salvage_did(const struct ipk_salvage *s, const char *where, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- claims ---------------------------------------------------------------------------------- */

/* Forgets all claims but those of the header, the first participants and the page table. */
void ipk_salvage_begin(struct ipk_salvage *s, bool whole);
/* Size of the block that the page table says is in use at off, or 0. One entry is looked at. */
u64 ipk_salvage_block(const struct ipk_salvage *s, u64 off);
/* Entry of the run that *page lies in, *page becoming its first; 0 where none can be told. */
u64 ipk_salvage_run(const struct ipk_salvage *s, u64 *page);
bool ipk_salvage_claimed(const struct ipk_salvage *s, u64 off);
/*
 * The block at off, of which size bytes are used, has an owner. 0; -ENOENT no block is there,
 * -EMSGSIZE it is smaller, -EEXIST it is somebody else's.
 */
int ipk_salvage_claim(struct ipk_salvage *s, u64 off, u64 size);
/* Pages of the segment's own. 0; -ENOENT outside, -EEXIST somebody else's. */
int ipk_salvage_claim_meta(struct ipk_salvage *s, u64 page, u64 len);
/* Unclaimed pages, zeroed and claimed as the segment's own: the first, or 0. */
u64 ipk_salvage_take(struct ipk_salvage *s, u64 len);

static inline void *ipk_salvage_at(const struct ipk_salvage *s, u64 off, u64 len, u64 align)
{
	if (off > s->size || len > s->size - off || (off & (align - 1)))
		return NULL;
	return s->base + off;
}

/* ---- what is mended -------------------------------------------------------------------------- */

/*
 * salvage_reg.c: before the objects, and what only then can be: new pages for those that are gone.
 */
void ipk_salvage_registry(struct ipk_salvage *s);
void ipk_salvage_registry_end(struct ipk_salvage *s);

/* Objects found, by the offset of their headers, each claimed. */
struct ipk_salvage_objects {
	u64 *off;
	u64 n, cap;
};

/*
 * salvage_dir.c. Finds what the directory names and sets right what can be in its headers; one
 * beyond that is left out of *ret, and so falls out of the directory. 0 or -ENOMEM.
 */
int ipk_salvage_named(struct ipk_salvage *s, struct ipk_salvage_objects *ret);
/* Removed objects that are waiting to be freed. The list is cut where it is damaged. */
int ipk_salvage_zombies(struct ipk_salvage *s, struct ipk_salvage_objects *ret);
/* Whole objects that nothing names; after all others have claimed what they own. */
int ipk_salvage_lost(struct ipk_salvage *s, struct ipk_salvage_objects *ret);
/* Makes a directory of these. -ENOSPC -ENOMEM. */
int ipk_salvage_directory(struct ipk_salvage *s, struct ipk_salvage_objects *all);
void ipk_salvage_objects_free(struct ipk_salvage_objects *l);

/* salvage_pages.c: page table, free lists and totals from the claims. */
void ipk_salvage_pages(struct ipk_salvage *s);

#endif
