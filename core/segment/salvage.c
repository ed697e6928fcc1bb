/* SPDX-License-Identifier: MIT */
/* The copy that repair works on, and who claims what in it. */
#include "segment/salvage.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "segment/heap.h"
#include "segment/layout.h"
#include "segment/map.h"

#define PAGES_MIN (IPK_FIRST_FREE + 1u)
#define CHUNK (UINT64_C(1) << 20)

typedef unsigned long long ull;

void ipk_salvage_did(const struct ipk_salvage *s, const char *where, const char *fmt, ...)
{
	char what[200];
	va_list ap;

	if (!s->did)
		return;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	s->did(s->arg, where, what);
}

/* ---- reading the file ----------------------------------------------------------------------- */

/* What is not there reads as zeros. */
static int read_some(int fd, u64 off, u8 *p, u64 len)
{
	while (len) {
		ssize_t n = pread(fd, p, len < CHUNK ? len : CHUNK, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		p += n;
		off += (u64)n;
		len -= (u64)n;
	}
	return 0;
}

/* Holes stay holes. */
static int copy_data(int fd, struct ipk_salvage *s)
{
	u64 end = s->size < s->file_size ? s->size : s->file_size, off = 0, next;

	while (off < end) {
		off_t data = lseek(fd, (off_t)off, SEEK_DATA), hole;
		int r;

		if (data < 0 && errno == ENXIO)
			return 0;
		if (data < 0) { /* a file system that does not tell */
			data = (off_t)off;
			hole = (off_t)end;
		} else {
			hole = lseek(fd, data, SEEK_HOLE);
		}
		next = hole <= data || (u64)hole > end ? end : (u64)hole;
		if ((u64)data >= end)
			return 0;
		r = read_some(fd, (u64)data, s->base + data, next - (u64)data);
		if (r < 0)
			return r;
		off = next;
	}
	return 0;
}

/* ---- the journal ---------------------------------------------------------------------------- */

/* The words that a transaction may change. */
static bool changeable(u64 off, u64 size)
{
	return off % 8 == 0 && off >= offsetof(struct ipk_header, size) && off <= size - 8 &&
	       (off < offsetof(struct ipk_header, journal) || off >= sizeof(struct ipk_header));
}

/* A change is committed only by who has the lock, and is gone from the journal before he lets go.
 */
static bool journal_stands(const struct ipk_header *h, u64 file_size)
{
	if (h->journal.n == 0 || h->journal.n > IPK_JOURNAL_MAX || !(h->lock & IPK_LOCK_OWNER))
		return false;
	for (u64 i = 0; i < h->journal.n; i++)
		if (!changeable(h->journal.e[i].off, file_size))
			return false;
	return true;
}

static void replay(u8 *base, u64 size, const struct ipk_journal *j)
{
	for (u64 i = 0; i < j->n && i < IPK_JOURNAL_MAX; i++)
		if (j->e[i].off <= size - 8)
			memcpy(base + j->e[i].off, &j->e[i].val, 8);
}

static void mend_journal(struct ipk_salvage *s)
{
	struct ipk_header *h = s->h;
	u64 n = h->journal.n;

	if (n == 0)
		return;
	if (journal_stands(h, s->size)) {
		replay(s->base, s->size, &h->journal);
		ipk_salvage_did(s, "journal",
				"a change that a dead process had begun is carried out");
	} else {
		ipk_salvage_did(s, "journal", "a change that nobody can have left is dropped");
	}
	h->journal.n = 0;
}

/* Nobody lives: whoever is named has died. */
static void free_lock(struct ipk_salvage *s)
{
	u64 lock = s->h->lock;

	if (lock & ((UINT64_C(1) << IPK_LOCK_SEQ_SHIFT) - 1))
		s->h->lock = ((lock >> IPK_LOCK_SEQ_SHIFT) + 1) << IPK_LOCK_SEQ_SHIFT;
}

/* ---- sizes ---------------------------------------------------------------------------------- */

static bool plausible(u64 size, u64 file_size)
{
	return size % IPK_PAGE == 0 && size >= PAGES_MIN * IPK_PAGE && size <= file_size &&
	       size / IPK_PAGE <= IPK_PAGES_MAX;
}

/* Is there a page table that ends at size? It begins with the header's pages and has itself in it.
 */
static bool table_ends_at(int fd, u64 size)
{
	u64 npages = size / IPK_PAGE, tp = ipk_table_pages(npages), table = npages - tp;
	struct ipk_page first = {0}, own = {0};

	return read_some(fd, table * IPK_PAGE, (u8 *)&first, sizeof(first)) == 0 &&
	       read_some(fd, table * IPK_PAGE + table * sizeof(own), (u8 *)&own, sizeof(own)) ==
		       0 &&
	       (first.w == ipk_pg_word(IPK_PG_META, 0, 0, 2) ||
		own.w == ipk_pg_word(IPK_PG_META, 0, 0, tp));
}

/*
 * The size that the copy gets: the header's, or that of the file, whichever has a page table at its
 * end; else the header's, if it can be; else what there is of the file, with room for a table
 * behind.
 */
static u64 tell_size(int fd, u64 size, u64 file_size)
{
	u64 whole = file_size & ~(u64)(IPK_PAGE - 1), n = whole / IPK_PAGE, t;

	if (plausible(size, file_size) && table_ends_at(fd, size))
		return size;
	if (plausible(whole, file_size) && table_ends_at(fd, whole))
		return whole;
	if (plausible(size, file_size))
		return size;
	for (t = ipk_table_pages(n); ipk_table_pages(n + t) > t; t++)
		;
	return n < PAGES_MIN || n + t > IPK_PAGES_MAX ? 0 : (n + t) * IPK_PAGE;
}

static void mend_header(struct ipk_salvage *s)
{
	struct ipk_header *h = s->h;
	u64 max = h->max;

	if (h->size != s->size) {
		ipk_salvage_did(s, "header", "size is %llu, was %llu", (ull)s->size, (ull)h->size);
		h->size = s->size;
	}
	if (h->table != s->npages - ipk_table_pages(s->npages)) {
		h->table = s->npages - ipk_table_pages(s->npages);
		ipk_salvage_did(s, "header", "the page table is at page %llu", (ull)h->table);
	}
	if (max % IPK_PAGE || max < s->size || max > IPK_MAX_LIMIT) {
		h->max = s->size;
		ipk_salvage_did(s, "header", "the maximum is %llu, was %llu", (ull)h->max,
				(ull)max);
	}
	if (h->huge_shift && h->huge_shift != 21 && h->huge_shift != 30) {
		h->huge_shift = 0;
		ipk_salvage_did(s, "header", "pages are ordinary ones");
	}
}

/* ---- the copy ------------------------------------------------------------------------------- */

static int make_copy(int fd, struct ipk_salvage *s)
{
	void *base;

	s->fd = memfd_create("ipk-repair", MFD_CLOEXEC);
	if (s->fd < 0 || ftruncate(s->fd, (off_t)s->size) != 0)
		return -errno;
	base = mmap(NULL, s->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, s->fd, 0);
	if (base == MAP_FAILED)
		return -ENOMEM;
	s->base = base;
	s->page = calloc(s->npages, sizeof(*s->page));
	if (!s->page)
		return -ENOMEM;
	s->h = base;
	s->table = (struct ipk_page *)(void *)(s->base +
					       (s->npages - ipk_table_pages(s->npages)) * IPK_PAGE);
	return copy_data(fd, s);
}

static int load(int fd, const char *name, struct ipk_salvage *s, struct ipk_error *err)
{
	union {
		struct ipk_header h;
		u8 bytes[sizeof(struct ipk_header)];
	} start;
	struct stat st;
	int r;

	memset(&start, 0, sizeof(start));
	if (fstat(fd, &st) != 0)
		return ipk_error_set(err, -errno, "segment %s: %s", name, ipk_strerror(-errno));
	s->file_size = (u64)st.st_size;
	r = read_some(fd, 0, start.bytes, sizeof(start));
	if (r < 0)
		return ipk_error_set(err, r, "segment %s: %s", name, ipk_strerror(r));
	r = ipk_header_check(&start.h, s->file_size, name, err);
	if (r == -EPROTO) /* whoever guesses here destroys what may be sound */
		return r;
	if (journal_stands(&start.h, s->file_size))
		replay(start.bytes, sizeof(start), &start.h.journal);
	s->size = tell_size(fd, start.h.size, s->file_size);
	if (!s->size)
		return ipk_error_set(err, -EBADMSG,
				     "segment %s: %llu bytes are no segment any more", name,
				     (ull)s->file_size);
	s->npages = s->size / IPK_PAGE;
	r = make_copy(fd, s);
	if (r < 0)
		return ipk_error_set(err, r, "segment %s: no private copy of its %llu bytes: %s",
				     name, (ull)s->size, ipk_strerror(r));
	return 0;
}

int ipk_salvage_load(int fd, const char *name, struct ipk_salvage *s, struct ipk_error *err)
{
	int r;

	s->fd = -1;
	r = load(fd, name, s, err);
	if (r < 0) {
		ipk_salvage_free(s);
		return r;
	}
	mend_journal(s);
	free_lock(s);
	mend_header(s);
	return 0;
}

void ipk_salvage_free(struct ipk_salvage *s)
{
	if (s->base)
		munmap(s->base, s->size);
	if (s->fd >= 0)
		close(s->fd);
	free(s->page);
	s->base = NULL;
	s->page = NULL;
	s->fd = -1;
}

/* ---- claims --------------------------------------------------------------------------------- */

static bool unclaimed(const struct ipk_salvage *s, u64 page, u64 len)
{
	for (u64 i = 0; i < len; i++)
		if (s->page[page + i].use != IPK_USE_NONE)
			return false;
	return true;
}

static void take_pages(struct ipk_salvage *s, u64 page, u64 len, enum ipk_salvage_use use)
{
	for (u64 i = 0; i < len; i++)
		s->page[page + i] = (struct ipk_salvage_page){.use = IPK_USE_INSIDE};
	s->page[page].use = (u8)use;
	s->page[page].len = (u32)len;
}

int ipk_salvage_claim_meta(struct ipk_salvage *s, u64 page, u64 len)
{
	if (page > s->npages || len > s->npages - page || len == 0)
		return -ENOENT;
	if (!unclaimed(s, page, len))
		return -EEXIST;
	take_pages(s, page, len, IPK_USE_META);
	return 0;
}

u64 ipk_salvage_take(struct ipk_salvage *s, u64 len)
{
	u64 first = 0, have = 0;

	for (u64 i = 0; i < s->npages; i++) {
		have = s->page[i].use == IPK_USE_NONE ? have + 1 : 0;
		if (have < len)
			continue;
		first = i + 1 - len;
		take_pages(s, first, len, IPK_USE_META);
		memset(s->base + first * IPK_PAGE, 0, len * IPK_PAGE);
		return first;
	}
	return 0;
}

void ipk_salvage_begin(struct ipk_salvage *s, bool whole)
{
	u64 tp = ipk_table_pages(s->npages);

	s->whole = whole;
	s->strangers = false;
	memset(s->page, 0, s->npages * sizeof(*s->page));
	take_pages(s, 0, 2, IPK_USE_META);
	take_pages(s, 2, IPK_FIRST_SLOTS, IPK_USE_META);
	take_pages(s, s->npages - tp, tp, IPK_USE_META);
}

u64 ipk_salvage_block(const struct ipk_salvage *s, u64 off)
{
	u64 page = off / IPK_PAGE, w, len;
	u32 size, cls, i;

	if (page >= s->npages)
		return 0;
	w = s->table[page].w;
	len = ipk_pg_len(w);
	if (ipk_pg_type(w) == IPK_PG_RUN) {
		if (off % IPK_PAGE || len == 0 || len > s->npages - page)
			return 0;
		if (len > 1 && s->table[page + len - 1].w != ipk_pg_word(IPK_PG_TAIL, 0, 0, len))
			return 0;
		return len * IPK_PAGE;
	}
	cls = ipk_pg_class(w);
	if (ipk_pg_type(w) != IPK_PG_SLAB || len != 1 || cls >= IPK_CLASSES)
		return 0;
	size = ipk_class_size[cls];
	i = (u32)(off % IPK_PAGE) / size;
	if (off % IPK_PAGE % size || i >= ipk_class_count(cls) || !(s->table[page].map >> i & 1))
		return 0;
	return size;
}

u64 ipk_salvage_run(const struct ipk_salvage *s, u64 *page)
{
	u64 at = *page, w = at < s->npages ? s->table[at].w : 0, len = ipk_pg_len(w);

	if (ipk_pg_type(w) == IPK_PG_TAIL || ipk_pg_type(w) == IPK_PG_FREE_TAIL) {
		if (len == 0 || len > at + 1)
			return 0;
		at = at + 1 - len;
	} else {
		while (at && at < s->npages && s->table[at].w == 0)
			at--;
	}
	w = at < s->npages ? s->table[at].w : 0;
	len = ipk_pg_len(w);
	if (ipk_pg_type(w) == IPK_PG_NONE || ipk_pg_type(w) > IPK_PG_META ||
	    ipk_pg_type(w) == IPK_PG_FREE_TAIL || *page - at >= len)
		return 0;
	*page = at;
	return w;
}

bool ipk_salvage_claimed(const struct ipk_salvage *s, u64 off)
{
	const struct ipk_salvage_page *p = &s->page[off / IPK_PAGE];

	if (p->use == IPK_USE_SLAB)
		return p->starts >> (off % IPK_PAGE / IPK_LINE) & 1;
	return p->use != IPK_USE_NONE;
}

/* The classes of which a block of size bytes can begin there. */
static u16 classes_at(u64 off, u64 size)
{
	u32 at = (u32)(off % IPK_PAGE);
	u16 fits = 0;

	for (u32 c = 0; c < IPK_CLASSES; c++)
		if (size <= ipk_class_size[c] && at % ipk_class_size[c] == 0 &&
		    at / ipk_class_size[c] < ipk_class_count(c))
			fits |= (u16)(1u << c);
	return fits;
}

static int claim_small(struct ipk_salvage *s, u64 off, u16 fits)
{
	struct ipk_salvage_page *p = &s->page[off / IPK_PAGE];
	u64 bit = UINT64_C(1) << (off % IPK_PAGE / IPK_LINE);

	if (p->use == IPK_USE_NONE)
		*p = (struct ipk_salvage_page){.use = IPK_USE_SLAB, .fits = fits};
	if (p->use != IPK_USE_SLAB || (p->starts & bit))
		return -EEXIST;
	if (!(p->fits & fits))
		return -ENOENT;
	p->fits &= fits;
	p->starts |= bit;
	return 0;
}

/* Does the page table, which makes sense, say that nobody uses the block at off? */
static bool is_free(const struct ipk_salvage *s, u64 off)
{
	u64 page = off / IPK_PAGE, w = ipk_salvage_run(s, &page);

	return ipk_pg_type(w) == IPK_PG_FREE || ipk_pg_type(w) == IPK_PG_SLAB;
}

/* Where the page table is torn, or says that the block is free: what size alone tells. */
static int claim_by_size(struct ipk_salvage *s, u64 off, u64 size)
{
	u64 page = off / IPK_PAGE, len = ipk_align_up(size, IPK_PAGE) / IPK_PAGE;
	u16 fits = classes_at(off, size);

	if (s->whole && ipk_pg_type(s->table[page].w) == IPK_PG_SLAB)
		fits &= (u16)(1u << ipk_pg_class(s->table[page].w));
	if (fits)
		return claim_small(s, off, fits);
	if (off % IPK_PAGE || len > s->npages - page)
		return -ENOENT;
	if (!unclaimed(s, page, len))
		return -EEXIST;
	take_pages(s, page, len, IPK_USE_RUN);
	return 0;
}

int ipk_salvage_claim(struct ipk_salvage *s, u64 off, u64 size)
{
	u64 page = off / IPK_PAGE, have;

	if (off == 0 || off > s->size || size > s->size - off || size == 0 || off % IPK_LINE)
		return -ENOENT;
	have = ipk_salvage_block(s, off);
	if (s->whole && have && size > have)
		return -EMSGSIZE;
	if (s->whole && !have && !is_free(s, off))
		return -ENOENT;
	if (have >= size && have <= IPK_SLAB_MAX)
		return claim_small(s, off, (u16)(1u << ipk_pg_class(s->table[page].w)));
	if (have >= size && unclaimed(s, page, have / IPK_PAGE)) {
		take_pages(s, page, have / IPK_PAGE, IPK_USE_RUN);
		return 0;
	}
	if (s->whole && have)
		return -EEXIST;
	return claim_by_size(s, off, size);
}
