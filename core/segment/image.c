/* SPDX-License-Identifier: MIT */
#include "segment/image.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "segment/heap.h"

#define RETRIES 100
#define CHUNK 256u /* entries read at a time */
#define FINDINGS_MAX 1000

void ipk_image_finding(struct ipk_image *image, const char *where, const char *fmt, ...)
{
	char what[200];
	va_list ap;

	if (image->findings++ >= FINDINGS_MAX || !image->fn)
		return;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	image->fn(image->arg, where, what);
}

/* ---- the page table --------------------------------------------------------------------- */

struct reader {
	struct ipk_image *image;
	u64 first; /* page that chunk[0] describes */
	u64 n;
	struct ipk_page chunk[CHUNK];
};

static int entry(struct reader *rd, u64 page, struct ipk_page *ret)
{
	struct ipk_image *im = rd->image;
	int r;

	if (page < rd->first || page - rd->first >= rd->n) {
		rd->first = page & ~(u64)(CHUNK - 1);
		rd->n = im->npages - rd->first < CHUNK ? im->npages - rd->first : CHUNK;
		r = ipk_view_read(im->view, im->h.table * IPK_PAGE + rd->first * sizeof(*ret),
				  rd->chunk, rd->n * sizeof(*ret));
		if (r < 0) {
			rd->n = 0;
			return r;
		}
	}
	*ret = rd->chunk[page - rd->first];
	return 0;
}

static int append(struct ipk_image *im, u64 *cap, const struct ipk_image_run *run)
{
	struct ipk_image_run *more;

	if (im->nruns == *cap) {
		*cap = *cap ? 2 * *cap : 64;
		more = reallocarray(im->run, *cap, sizeof(*run));
		if (!more)
			return -ENOMEM;
		im->run = more;
	}
	im->run[im->nruns++] = *run;
	return 0;
}

/* What is wrong with the entry that should be the head of a run, or NULL. */
static const char *bad_head(const struct ipk_image *im, u64 page, const struct ipk_page *e)
{
	u64 len = ipk_pg_len(e->w);
	u32 type = ipk_pg_type(e->w);

	if (type != IPK_PG_FREE && type != IPK_PG_RUN && type != IPK_PG_SLAB && type != IPK_PG_META)
		return "is no head of a run";
	if (len == 0 || len > im->npages - page)
		return "has an impossible length";
	if (type == IPK_PG_SLAB) {
		if (len != 1 || ipk_pg_class(e->w) >= IPK_CLASSES)
			return "is a page of small blocks of no class";
		if (e->map == 0 || (e->map & ~ipk_class_full(ipk_pg_class(e->w))))
			return "has an impossible map of small blocks";
	}
	return NULL;
}

/* The entries behind a run's head. *ret_inside: pages between first and last that are not 0. */
static int check_tail(struct reader *rd, const struct ipk_image_run *run, u64 *budget)
{
	u32 type = run->type == IPK_PG_FREE ? IPK_PG_FREE_TAIL : IPK_PG_TAIL;
	struct ipk_page e;
	u64 i;
	int r;

	/* Holes in a hostile file cost nothing to make: what lies between is not read for ever. */
	for (i = run->page + 1; i + 1 < (u64)run->page + run->len && *budget; i++, --*budget) {
		r = entry(rd, i, &e);
		if (r < 0)
			return r;
		if (e.w) {
			ipk_image_finding(rd->image, "pages", "page %llu inside a run is not empty",
					  (unsigned long long)i);
			break;
		}
	}
	if (run->len == 1)
		return 0;
	r = entry(rd, (u64)run->page + run->len - 1, &e);
	if (r == 0 && e.w != ipk_pg_word(type, 0, 0, run->len))
		ipk_image_finding(rd->image, "pages", "the run of %u pages at %u has no end",
				  run->len, run->page);
	return r;
}

static int walk(struct ipk_image *im)
{
	struct reader rd = {.image = im};
	u64 page = 0, cap = 0, budget = UINT64_C(1) << 24;
	struct ipk_image_run run;
	struct ipk_page e;
	const char *bad;
	int r = 0;

	while (r == 0 && page < im->npages) {
		r = entry(&rd, page, &e);
		if (r < 0)
			return r;
		bad = bad_head(im, page, &e);
		if (bad) {
			ipk_image_finding(im, "pages", "page %llu %s", (unsigned long long)page,
					  bad);
			return 0;
		}
		run = (struct ipk_image_run){.page = (u32)page,
					     .len = (u32)ipk_pg_len(e.w),
					     .type = (u8)ipk_pg_type(e.w),
					     .cls = (u8)ipk_pg_class(e.w),
					     .flags = (u16)ipk_pg_flags(e.w),
					     .link = e.link,
					     .map = e.map};
		r = append(im, &cap, &run);
		if (r == 0)
			r = check_tail(&rd, &run, &budget);
		page += run.len;
	}
	im->whole = r == 0;
	return r;
}

static int load_once(struct ipk_image *im)
{
	int r = ipk_view_header(im->view, &im->h);

	if (r < 0)
		return r;
	im->npages = im->h.size / IPK_PAGE;
	if (im->h.size > ipk_view_size(im->view) || im->npages > IPK_PAGES_MAX ||
	    im->h.table >= im->npages || ipk_table_pages(im->npages) != im->npages - im->h.table) {
		ipk_image_finding(im, "header", "size and page table do not fit");
		return -EBADMSG;
	}
	return walk(im);
}

bool ipk_image_changed(const struct ipk_image *im)
{
	struct ipk_header now;

	if (ipk_view_in_flux(im->view) || ipk_view_header(im->view, &now) < 0)
		return true;
	return now.lock >> IPK_LOCK_SEQ_SHIFT != im->h.lock >> IPK_LOCK_SEQ_SHIFT ||
	       memcmp(&now.size, &im->h.size,
		      offsetof(struct ipk_header, lock) - offsetof(struct ipk_header, size)) != 0;
}

int ipk_image_load(struct ipk_view *view, struct ipk_image *ret_image,
		   void (*fn)(void *arg, const char *where, const char *what), void *arg)
{
	struct ipk_image im;
	int r = -EAGAIN, i;

	for (i = 0; i < RETRIES && r == -EAGAIN; i++) {
		memset(&im, 0, sizeof(im));
		im.view = view;
		(void)ipk_view_in_flux(view); /* a change that a dead one left is seen through */
		r = load_once(&im);
		if (ipk_image_changed(&im)) {
			ipk_image_free(&im);
			r = -EAGAIN;
		} else if (im.findings) { /* once more, now for those who listen */
			ipk_image_free(&im);
			memset(&im, 0, sizeof(im));
			im.view = view;
			im.fn = fn;
			im.arg = arg;
			r = load_once(&im);
		}
	}
	im.fn = fn;
	im.arg = arg;
	if (r < 0)
		ipk_image_free(&im);
	else
		*ret_image = im;
	return r;
}

int ipk_image_glance(struct ipk_view *view, struct ipk_image *ret_image,
		     void (*fn)(void *arg, const char *where, const char *what), void *arg)
{
	struct ipk_image im = {.view = view, .fn = fn, .arg = arg};
	int r = load_once(&im);

	if (r < 0)
		ipk_image_free(&im);
	else
		*ret_image = im;
	return r;
}

void ipk_image_free(struct ipk_image *image)
{
	free(image->run);
	image->run = NULL;
	image->nruns = 0;
}

/* ---- blocks ----------------------------------------------------------------------------- */

struct ipk_image_run *ipk_image_run(const struct ipk_image *image, u64 page)
{
	u64 lo = 0, hi = image->nruns;

	while (lo < hi) {
		u64 mid = lo + (hi - lo) / 2;
		struct ipk_image_run *run = &image->run[mid];

		if (page < run->page)
			hi = mid;
		else if (page - run->page >= run->len)
			lo = mid + 1;
		else
			return run;
	}
	return NULL;
}

/* The block at off: its run, and which bit of claimed is its. */
static struct ipk_image_run *block(const struct ipk_image *image, u64 off, u32 *ret_bit,
				   u64 *ret_size)
{
	struct ipk_image_run *run = ipk_image_run(image, off / IPK_PAGE);
	u32 size, i;

	if (!run)
		return NULL;
	if (run->type == IPK_PG_RUN && off == (u64)run->page * IPK_PAGE) {
		*ret_bit = 0;
		*ret_size = (u64)run->len * IPK_PAGE;
		return run;
	}
	if (run->type != IPK_PG_SLAB)
		return NULL;
	size = ipk_class_size[run->cls];
	i = (u32)(off % IPK_PAGE) / size;
	if (off % IPK_PAGE % size || i >= ipk_class_count(run->cls) || !(run->map >> i & 1))
		return NULL;
	*ret_bit = i;
	*ret_size = size;
	return run;
}

u64 ipk_image_block(const struct ipk_image *image, u64 off)
{
	u64 size;
	u32 bit;

	return block(image, off, &bit, &size) ? size : 0;
}

int ipk_image_claim(struct ipk_image *image, u64 off, u64 size)
{
	u64 have;
	u32 bit;
	struct ipk_image_run *run = block(image, off, &bit, &have);

	if (!run)
		return -ENOENT;
	if (size > have)
		return -EMSGSIZE;
	if (run->claimed >> bit & 1)
		return -EEXIST;
	run->claimed |= UINT64_C(1) << bit;
	return 0;
}

int ipk_image_leaks(struct ipk_image *image)
{
	u64 i, lost;

	for (i = 0; i < image->nruns && image->whole; i++) {
		struct ipk_image_run *run = &image->run[i];

		if (run->type == IPK_PG_META && !run->seen)
			ipk_image_finding(image, "pages", "%u pages at %u serve nothing", run->len,
					  run->page);
		if (run->type == IPK_PG_RUN && !run->claimed)
			ipk_image_finding(image, "pages",
					  "the block of %u pages at %u belongs to nothing",
					  run->len, run->page);
		lost = run->type == IPK_PG_SLAB ? run->map & ~run->claimed : 0;
		for (; lost; lost &= lost - 1)
			ipk_image_finding(
				image, "pages", "the block of %u bytes at %llu belongs to nothing",
				ipk_class_size[run->cls],
				(unsigned long long)run->page * IPK_PAGE +
					(u64)__builtin_ctzll(lost) * ipk_class_size[run->cls]);
	}
	return image->findings;
}
