/* SPDX-License-Identifier: MIT */
/* What must hold between the segment's own words. The kinds check the insides of their objects. */
#include <stdlib.h>

#include "segment/dir.h"
#include "segment/heap.h"
#include "segment/image.h"
#include "segment/map.h"

typedef unsigned long long ull;

/* ---- totals and free lists -------------------------------------------------------------- */

static void check_totals(struct ipk_image *im)
{
	u64 used = 0, meta = 0, i;
	struct ipk_image_run *run;

	for (i = 0; i < im->nruns; i++) {
		run = &im->run[i];
		if (run->type == IPK_PG_RUN)
			used += (u64)run->len * IPK_PAGE;
		else if (run->type == IPK_PG_META)
			meta += run->len;
		else if (run->type == IPK_PG_SLAB)
			used += (u64)__builtin_popcountll(run->map) * ipk_class_size[run->cls];
		else if (i && im->run[i - 1].type == IPK_PG_FREE)
			ipk_image_finding(im, "pages", "free runs at %u and %u are not joined",
					  im->run[i - 1].page, run->page);
	}
	if (used != im->h.used)
		ipk_image_finding(im, "header", "used is %llu, in use are %llu bytes",
				  (ull)im->h.used, (ull)used);
	if (meta != im->h.meta_pages)
		ipk_image_finding(im, "header", "meta pages are %llu, there are %llu",
				  (ull)im->h.meta_pages, (ull)meta);
}

/* Is run at home in that list? */
static bool belongs(const struct ipk_image_run *run, bool slab, u32 list)
{
	if (slab)
		return run->type == IPK_PG_SLAB && run->cls == list &&
		       (run->flags & IPK_PGF_LISTED);
	return run->type == IPK_PG_FREE && ipk_log2(run->len) == list;
}

static void check_list(struct ipk_image *im, u64 first, bool slab, u32 list)
{
	const char *what = slab ? "small blocks" : "free runs";
	struct ipk_image_run *run;
	u64 page = first, prev = 0;

	while (page) {
		run = ipk_image_run(im, page);
		if (!run || run->page != page || !belongs(run, slab, list)) {
			ipk_image_finding(im, "lists",
					  "list %u of %s holds page %llu, which is not", list, what,
					  (ull)page);
			return;
		}
		if (run->seen) {
			ipk_image_finding(im, "lists", "list %u of %s comes twice to page %llu",
					  list, what, (ull)page);
			return;
		}
		run->seen = true;
		if (ipk_pg_prev(run->link) != prev)
			ipk_image_finding(im, "lists",
					  "list %u of %s: page %llu has the wrong predecessor",
					  list, what, (ull)page);
		prev = page;
		page = ipk_pg_next(run->link);
	}
}

static void check_lists(struct ipk_image *im)
{
	struct ipk_image_run *run;
	u64 i;
	u32 k;

	for (k = 0; k < IPK_BINS; k++) {
		check_list(im, im->h.bins[k], false, k);
		if ((im->h.bin_map >> k & 1) != (im->h.bins[k] != 0))
			ipk_image_finding(im, "lists", "the map of lists is wrong about list %u",
					  k);
	}
	if (im->h.bin_map >> IPK_BINS)
		ipk_image_finding(im, "lists", "the map of lists names lists that do not exist");
	for (k = 0; k < IPK_CLASSES; k++)
		check_list(im, im->h.partial[k], true, k);
	for (i = 0; i < im->nruns; i++) {
		run = &im->run[i];
		if (run->type == IPK_PG_FREE && !run->seen)
			ipk_image_finding(im, "lists", "the free run at page %u is in no list",
					  run->page);
		if (run->type != IPK_PG_SLAB)
			continue;
		if ((run->map != ipk_class_full(run->cls)) != !!(run->flags & IPK_PGF_LISTED))
			ipk_image_finding(im, "lists", "page %u of small blocks is wrongly listed",
					  run->page);
		else if ((run->flags & IPK_PGF_LISTED) && !run->seen)
			ipk_image_finding(im, "lists", "page %u of small blocks is in no list",
					  run->page);
	}
}

/* ---- the segment's own pages ------------------------------------------------------------ */

static struct ipk_image_run *meta(struct ipk_image *im, u64 page, const char *where)
{
	struct ipk_image_run *run = ipk_image_run(im, page);

	if (run && run->type == IPK_PG_META)
		return run;
	ipk_image_finding(im, where, "page %llu is not the segment's own", (ull)page);
	return NULL;
}

static void twice(struct ipk_image *im, u64 page, const char *where)
{
	ipk_image_finding(im, where, "page %llu is two things at once", (ull)page);
}

static void whole_meta(struct ipk_image *im, u64 page, u64 len, const char *where)
{
	struct ipk_image_run *run = meta(im, page, where);

	if (run && (run->page != page || run->len != len))
		ipk_image_finding(im, where, "pages %llu to %llu are a run of %u at %u", (ull)page,
				  (ull)(page + len - 1), run->len, run->page);
	else if (run && run->seen)
		twice(im, page, where);
	if (run)
		run->seen = true;
}

static int compare(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

/* The registry's pages: several of one run, and who attaches writes to them: none is another's. */
struct reg_pages {
	u64 n, page[IPK_SLOTS_MAX + IPK_REG_PAGES];
};

static void reg_page(struct ipk_image *im, struct reg_pages *all, u64 page)
{
	struct ipk_image_run *run = meta(im, page, "registry");

	/* The first ones are a run that was found already. */
	if (run && run->seen && !run->claimed && page - 2 >= IPK_FIRST_SLOTS)
		twice(im, page, "registry");
	if (run) {
		run->seen = true;
		run->claimed = 1; /* by the registry */
	}
	all->page[all->n++] = page;
}

static void read_registry(struct ipk_image *im, struct reg_pages *all)
{
	u64 slots[IPK_REG_PER_PAGE], n = im->h.nslots, k, i;

	for (k = 0; k * IPK_REG_PER_PAGE < n; k++) {
		if (im->h.reg[k] >= im->npages ||
		    ipk_view_read(im->view, im->h.reg[k] * IPK_PAGE, slots, sizeof(slots)) < 0) {
			ipk_image_finding(im, "registry", "page %llu of it cannot be", (ull)k);
			return;
		}
		reg_page(im, all, im->h.reg[k]);
		for (i = 0; i < IPK_REG_PER_PAGE && k * IPK_REG_PER_PAGE + i < n; i++)
			reg_page(im, all, slots[i]);
	}
}

static int check_registry(struct ipk_image *im)
{
	struct reg_pages *all;

	whole_meta(im, 2, IPK_FIRST_SLOTS, "registry");
	if (im->h.nslots < IPK_FIRST_SLOTS || im->h.nslots > IPK_SLOTS_MAX) {
		ipk_image_finding(im, "registry", "it has %llu slots", (ull)im->h.nslots);
		return 0;
	}
	all = malloc(sizeof(*all));
	if (!all)
		return -ENOMEM;
	all->n = 0;
	read_registry(im, all);
	qsort(all->page, all->n, sizeof(*all->page), compare);
	for (u64 i = 1; i < all->n; i++)
		if (all->page[i] == all->page[i - 1])
			twice(im, all->page[i], "registry");
	free(all);
	return 0;
}

/* ---- directory and objects -------------------------------------------------------------- */

/* The header of an object at off; its block is claimed. False: nothing can be said of it. */
static bool check_object(struct ipk_image *im, u64 off, u32 state, struct ipk_object *o)
{
	struct ipk_object_view whole;
	struct ipk_dir_name n;
	int r = ipk_view_read(im->view, off, o, sizeof(*o));

	if (r < 0 || o->magic != IPK_OBJ_MAGIC) {
		ipk_image_finding(im, "directory", "no object at %llu", (ull)off);
		return false;
	}
	o->name[sizeof(o->name) - 1] = '\0';
	ipk_dir_name(&n, o->name);
	r = ipk_image_claim(im, off, o->size);
	if (r < 0)
		ipk_image_finding(im, "directory", "object at %llu: its block %s", (ull)off,
				  r == -EEXIST   ? "belongs to two"
				  : r == -ENOENT ? "is not in use"
						 : "is too small");
	/* Padding included: a look-up compares all 64 bytes. */
	if (!ipk_object_name_ok(o->name) || o->hash != n.hash ||
	    memcmp(o->name, n.word, sizeof(o->name)) != 0)
		ipk_image_finding(im, "directory", "object at %llu: its name is damaged", (ull)off);
	else if (r == 0 && ipk_view_object_at(im->view, off, &whole) < 0)
		ipk_image_finding(im, "directory", "object at %llu: its header is damaged",
				  (ull)off);
	else if (r == 0)
		ipk_object_view_free(&whole);
	if (IPK_OBJ_STATE(o->state) != state)
		ipk_image_finding(im, "directory", "object at %llu is in state %llu", (ull)off,
				  (ull)o->state);
	if (o->id == 0 || o->id >= im->h.next_id)
		ipk_image_finding(im, "directory", "object at %llu has number %llu of %llu",
				  (ull)off, (ull)o->id, (ull)im->h.next_id);
	return r == 0;
}

/* The directory, read a page at a time: of a hostile one no more is kept than was really there. */
struct table {
	struct ipk_image *im;
	u64 off, cap, live, tombs;
	u64 at; /* slot of chunk[0]; UINT64_MAX: none */
	u64 chunk[IPK_PAGE / 8];
	u64 *hash, hash_cap; /* of the live ones, for finding two of one name */
	int error;
};

static u64 slot(struct table *t, u64 i)
{
	const u64 n = IPK_ARRAY_LEN(t->chunk);

	if (t->at != i / n * n) {
		t->at = i / n * n;
		t->error =
			ipk_view_read(t->im->view, t->off + 8 * t->at, t->chunk, sizeof(t->chunk));
		if (t->error < 0)
			memset(t->chunk, 0, sizeof(t->chunk));
	}
	return t->chunk[i % n];
}

static int note_hash(struct table *t, u64 hash)
{
	u64 *more;

	if (t->live == t->hash_cap) {
		t->hash_cap = t->hash_cap ? 2 * t->hash_cap : 256;
		more = reallocarray(t->hash, t->hash_cap, sizeof(*more));
		if (!more)
			return -ENOMEM;
		t->hash = more;
	}
	t->hash[t->live++] = hash;
	return 0;
}

/* empty: the last empty slot before at. A look-up must not meet one on its way. */
static void check_slot(struct table *t, u64 at, u64 empty)
{
	u64 e = slot(t, at), mask = t->cap - 1, since = (at - empty) & mask;
	struct ipk_object o;

	t->tombs += e == IPK_DIR_TOMB;
	if (e <= IPK_DIR_TOMB || !check_object(t->im, ipk_dir_off(e), IPK_OBJ_LIVE, &o))
		return;
	t->error = note_hash(t, o.hash);
	if (e >> 40 != o.hash >> 40 || (since && ((at - o.hash) & mask) >= since))
		ipk_image_finding(t->im, "directory", "%.63s cannot be found at slot %llu", o.name,
				  (ull)at);
}

static void check_slots(struct table *t)
{
	u64 mask = t->cap - 1, start = 0, empty, i;

	while (start < mask && slot(t, start) && t->error == 0)
		start++;
	empty = start;
	if (slot(t, start))
		ipk_image_finding(t->im, "directory", "no slot is empty");
	for (i = 1; i <= t->cap && t->error == 0; i++) {
		if (slot(t, (start + i) & mask) == 0)
			empty = (start + i) & mask;
		else
			check_slot(t, (start + i) & mask, empty);
	}
	if (t->live)
		qsort(t->hash, t->live, sizeof(*t->hash), compare);
	for (i = 1; i < t->live; i++) {
		if (t->hash[i] == t->hash[i - 1])
			ipk_image_finding(t->im, "directory", "two objects have one name");
	}
}

static int check_directory(struct ipk_image *im)
{
	u32 log2 = ipk_dir_log2(im->h.dir);
	struct table t = {.im = im,
			  .off = ipk_dir_page(im->h.dir) * IPK_PAGE,
			  .cap = UINT64_C(1) << (log2 & 63),
			  .at = UINT64_MAX};

	if (log2 < IPK_DIR_LOG2_MIN || log2 > IPK_DIR_LOG2_MAX ||
	    ipk_dir_page(im->h.dir) >= im->npages ||
	    8 * t.cap > (im->npages - ipk_dir_page(im->h.dir)) * IPK_PAGE) {
		ipk_image_finding(im, "directory", "2^%u slots at page %llu cannot be", log2,
				  (ull)ipk_dir_page(im->h.dir));
		return 0;
	}
	whole_meta(im, ipk_dir_page(im->h.dir), 8 * t.cap / IPK_PAGE, "directory");
	check_slots(&t);
	free(t.hash);
	if (t.error == -ENOMEM)
		return t.error;
	if (t.error < 0)
		ipk_image_finding(im, "directory", "it cannot be read");
	if (t.live != im->h.dir_live || t.live != im->h.objects)
		ipk_image_finding(im, "directory",
				  "%llu names; the header counts %llu, and %llu objects",
				  (ull)t.live, (ull)im->h.dir_live, (ull)im->h.objects);
	if (t.tombs != im->h.dir_tombs)
		ipk_image_finding(im, "directory", "%llu tombstones; the header counts %llu",
				  (ull)t.tombs, (ull)im->h.dir_tombs);
	return 0;
}

static void check_zombies(struct ipk_image *im)
{
	u64 off = im->h.zombies;
	struct ipk_object o;

	while (off) { /* ends: each step claims a block */
		if (!check_object(im, off, IPK_OBJ_REMOVED, &o))
			return;
		off = o.zombie;
	}
}

/* Who commits holds the lock until the journal is empty: while the word is the same, nobody did. */
static void check_journal(struct ipk_image *im)
{
	u64 before, n, after;

	if (ipk_view_u64(im->view, offsetof(struct ipk_header, lock), &before) == 0 &&
	    ipk_view_u64(im->view, offsetof(struct ipk_header, journal.n), &n) == 0 &&
	    ipk_view_u64(im->view, offsetof(struct ipk_header, lock), &after) == 0 && n &&
	    before == after && !(before & IPK_LOCK_OWNER))
		ipk_image_finding(im, "journal",
				  "%llu changes wait in it, which nobody can have left", (ull)n);
}

int ipk_image_check(struct ipk_image *im)
{
	int r;

	check_journal(im);
	if (im->whole) {
		check_totals(im);
		check_lists(im);
	}
	whole_meta(im, 0, 2, "header");
	whole_meta(im, im->h.table, im->npages - im->h.table, "pages");
	r = check_registry(im);
	if (r == 0)
		r = check_directory(im);
	if (r < 0)
		return r;
	check_zombies(im);
	return im->findings;
}
