/* SPDX-License-Identifier: MIT */
/*
 * A private picture of a segment's memory: which runs and blocks there are and to whom they belong.
 * For checking. Made through a view, so nothing in the segment can crash or hang who makes it; its
 * cost is bounded by the bytes that are really there.
 *
 *	load, check          header, page table, free lists, directory, registry; claims their memory
 *	claim ...            the kinds' blocks, by whoever walks the objects
 *	leaks                what nobody claimed
 */
#ifndef IPK_IMAGE_H
#define IPK_IMAGE_H

#include "segment/format.h"
#include "segment/view.h"

struct ipk_image_run {
	u32 page, len;
	u8 type; /* enum ipk_page_type of the head */
	u8 cls;
	u16 flags;
	bool seen; /* in a list; META: claimed */
	u64 link;
	u64 map;     /* SLAB: blocks in use */
	u64 claimed; /* SLAB: by block; RUN: bit 0 */
};

struct ipk_image {
	struct ipk_view *view;
	struct ipk_header h; /* up to the journal */
	u64 npages;
	struct ipk_image_run *run; /* by page */
	u64 nruns;
	bool whole; /* the page table made sense to its end */
	/* where findings go */
	void (*fn)(void *arg, const char *where, const char *what);
	void *arg;
	int findings;
};

/*
 * The picture of one instant. -EAGAIN: the segment changes faster than it can be read; -EBADMSG,
 * -ENOMEM. What is wrong in the page table is told through fn at once. Release with
 * ipk_image_free().
 */
int ipk_image_load(struct ipk_view *view, struct ipk_image *ret_image,
		   void (*fn)(void *arg, const char *where, const char *what), void *arg);
/* Has the segment changed since? Then what was found meanwhile may be a mixture of two instants. */
bool ipk_image_changed(const struct ipk_image *image);
/* The same of no one instant: one look, whatever changes meanwhile; its findings may be mistaken.
 */
int ipk_image_glance(struct ipk_view *view, struct ipk_image *ret_image,
		     void (*fn)(void *arg, const char *where, const char *what), void *arg);
void ipk_image_free(struct ipk_image *image);

/* Checks all but objects' contents; returns the number of findings so far, or -errno. */
int ipk_image_check(struct ipk_image *image);

/* Size of the live block at off, or 0. */
u64 ipk_image_block(const struct ipk_image *image, u64 off);
/* off's block belongs to the caller, who uses size bytes of it. 0, -ENOENT no such block, -EMSGSIZE
 * it is smaller, -EEXIST it belongs to somebody already. */
int ipk_image_claim(struct ipk_image *image, u64 off, u64 size);
/* Reports what is in use and was not claimed. Returns the number of findings so far. */
int ipk_image_leaks(struct ipk_image *image);

void ipk_image_finding(struct ipk_image *image, const char *where, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The run that page lies in, or NULL. */
struct ipk_image_run *ipk_image_run(const struct ipk_image *image, u64 page);

#endif
