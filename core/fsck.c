/* SPDX-License-Identifier: MIT */
/*
 * Checking a whole segment. One pass takes a picture of the memory (segment/image.h), has the
 * segment layer check what is its own, then lets each object's kind check its inside and claim its
 * blocks; what is in use and claimed by nobody is lost.
 *
 * Others may be at work meanwhile, and no lock is taken. So a pass that finds something is
 * repeated: only what several passes agree on, the last of them undisturbed by transactions, is
 * reported. On a segment that never rests the last of many passes decides.
 *
 * Hostile contents: a kind's check runs only on an object whose header lies in a block of its own,
 * so that all bodies together are no larger than the segment; and the walk ends after FINDINGS_MAX.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ipk/kind.h"
#include "repair.h"
#include "segment/image.h"
#include "segment/view.h"
#include "type.h"

#define FINDINGS_MAX 256u
#define PASSES_AGREE 3
#define PASSES_MAX 50

struct finding {
	char where[64];
	char what[200];
};

struct findings {
	struct finding *f;
	u32 n;
	bool nomem;
};

struct pass {
	struct ipk_view *view;
	struct ipk_image image;
	struct findings found;
	bool strangers; /* objects of kinds that we do not know: what they own cannot be told */
};

/* The kinds' checker, for one object. */
struct object_check {
	struct ipk_checker checker;
	struct pass *pass;
	const struct ipk_object_view *o;
	bool zombie; /* half destroyed perhaps: its blocks count, its inside does not matter */
};

static void note(void *arg, const char *where, const char *what)
{
	struct findings *l = arg;
	struct finding *f;

	if (l->n == FINDINGS_MAX || l->nomem)
		return;
	if ((l->n & (l->n - 1)) == 0) {
		f = reallocarray(l->f, l->n ? 2 * (size_t)l->n : 1, sizeof(*f));
		if (!f) {
			l->nomem = true;
			return;
		}
		l->f = f;
	}
	f = &l->f[l->n++];
	snprintf(f->where, sizeof(f->where), "%s", where);
	snprintf(f->what, sizeof(f->what), "%s", what);
}

static void on_finding(struct ipk_checker *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void on_finding(struct ipk_checker *c, const char *fmt, ...)
{
	struct object_check *oc =
		(struct object_check *)((char *)c - offsetof(struct object_check, checker));
	char what[200];
	va_list ap;

	if (oc->zombie)
		return;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	note(&oc->pass->found, oc->o->name, what);
}

static void on_block(struct ipk_checker *c, uint64_t off, uint64_t size)
{
	struct object_check *oc =
		(struct object_check *)((char *)c - offsetof(struct object_check, checker));
	struct ipk_image *im = &oc->pass->image;

	switch (ipk_image_claim(im, off, size)) {
	case -ENOENT:
		/* Where the page table is broken nothing can be said of what comes behind. */
		if (im->whole)
			on_finding(c, "it uses memory at %llu that is not allocated",
				   (unsigned long long)off);
		break;
	case -EMSGSIZE:
		on_finding(c, "it uses %llu bytes at %llu, where %llu are allocated",
			   (unsigned long long)size, (unsigned long long)off,
			   (unsigned long long)ipk_image_block(im, off));
		break;
	case -EEXIST:
		on_finding(c, "its memory at %llu is also another's", (unsigned long long)off);
		break;
	default:
		break;
	}
}

static void check_type(struct ipk_checker *c, const char *what, const char *text)
{
	struct ipk_error err = {0};
	struct ipk_type *type;

	if (!text)
		return;
	if (ipk_type_parse(text, strlen(text), &type, &err) == 0)
		ipk_type_free(type);
	else
		c->finding(c, "its %s is not readable: %s", what, err.text);
}

static void check_object(struct pass *p, const struct ipk_object_view *o, bool zombie)
{
	const struct ipk_kind *kind = ipk_kind_by_id(o->kind);
	struct object_check oc = {
		.checker = {.finding = on_finding, .block = on_block},
		.pass = p,
		.o = o,
		.zombie = zombie,
	};
	int r;

	if (ipk_image_block(&p->image, o->off) < o->size)
		return; /* told already */
	if (!kind || kind->version != o->version) {
		p->strangers = true;
		on_finding(&oc.checker,
			   "it is of kind %u, version %u, which this program cannot check", o->kind,
			   o->version);
		return;
	}
	check_type(&oc.checker, "element type", o->type);
	check_type(&oc.checker, "key type", o->key_type);
	if (!o->key_type != !kind->key)
		on_finding(&oc.checker, "it has %s key type, which does not go with its kind",
			   o->key_type ? "a" : "no");
	r = kind->check(o, &oc.checker);
	if (r < 0)
		on_finding(&oc.checker, "it cannot be checked: %s", ipk_strerror(r));
}

/* ---- walking the objects --------------------------------------------------------------------- */

struct offsets {
	u64 *off;
	u64 n, cap;
};

static int add_offset(struct offsets *l, u64 off)
{
	u64 *more;

	if (l->n == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 64;
		more = reallocarray(l->off, l->cap, sizeof(*more));
		if (!more)
			return -ENOMEM;
		l->off = more;
	}
	l->off[l->n++] = off;
	return 0;
}

static int collect_object(void *arg, const struct ipk_object_view *o)
{
	return add_offset(arg, o->off);
}

static int by_value(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return (x > y) - (x < y);
}

/* Removed objects that somebody still uses. The list may run in a circle (Brent's way to tell). */
static int collect_zombies(struct pass *p, struct offsets *l)
{
	u64 off = p->image.h.zombies, mark = 0, steps = 0, limit = 1;
	int r = 0;

	while (r == 0 && off && off != mark) {
		if (++steps == limit) {
			limit *= 2;
			mark = off;
		}
		r = add_offset(l, off);
		if (r == 0)
			r = ipk_view_u64(p->view, off + offsetof(struct ipk_object, zombie), &off);
	}
	return r == -EBADMSG ? 0 : r;
}

/* Each object once, however often a damaged directory or list names it. */
static int check_each(struct pass *p, struct offsets *l, bool zombies)
{
	struct ipk_object_view o;
	int r = 0;

	if (l->n)
		qsort(l->off, l->n, sizeof(*l->off), by_value);
	for (u64 i = 0; r == 0 && i < l->n && p->found.n < FINDINGS_MAX; i++) {
		if (i && l->off[i] == l->off[i - 1])
			continue;
		r = ipk_view_object_at(p->view, l->off[i], &o);
		if (r == 0) {
			check_object(p, &o, zombies);
			ipk_object_view_free(&o);
		} else if (r == -EBADMSG) {
			r = 0; /* gone since, or told already */
		}
	}
	return r;
}

static int check_objects(struct pass *p)
{
	struct offsets live = {0}, zombies = {0};
	int r;

	r = ipk_view_objects(p->view, collect_object, &live);
	if (r == -EBADMSG)
		r = 0; /* the directory is damaged, which was told */
	if (r == 0)
		r = check_each(p, &live, false);
	if (r == 0)
		r = collect_zombies(p, &zombies);
	if (r == 0)
		r = check_each(p, &zombies, true);
	free(live.off);
	free(zombies.off);
	return r;
}

/* ---- passes --------------------------------------------------------------------------------- */

/*
 * 0: ret_found holds what one pass found, and *ret_quiet tells that nobody changed the segment's
 * own words meanwhile. -EAGAIN: it came to nothing.
 */
static int run_pass(struct ipk_view *view, struct findings *ret_found, bool *ret_quiet)
{
	struct pass p = {.view = view};
	int r;

	r = ipk_image_load(view, &p.image, note, &p.found);
	if (r == -EAGAIN) {
		/* Never at rest: what glance after glance sees alike is there all the same. */
		r = ipk_image_glance(view, &p.image, note, &p.found);
		if (r == -EBADMSG)
			r = -EAGAIN;
	}
	if (r < 0)
		goto done;
	r = ipk_image_check(&p.image);
	if (r >= 0)
		r = check_objects(&p);
	if (r == 0 && !p.strangers && p.found.n < FINDINGS_MAX)
		ipk_image_leaks(&p.image);
	*ret_quiet = !ipk_image_changed(&p.image);
	ipk_image_free(&p.image);
	if (r == 0 && p.found.nomem)
		r = -ENOMEM;
done:
	if (r < 0)
		free(p.found.f);
	else
		*ret_found = p.found;
	return r;
}

/* Keeps of a what b has too. */
static void intersect(struct findings *a, const struct findings *b)
{
	u32 n = 0;

	for (u32 i = 0; i < a->n; i++) {
		for (u32 k = 0; k < b->n; k++) {
			if (strcmp(a->f[i].where, b->f[k].where) == 0 &&
			    strcmp(a->f[i].what, b->f[k].what) == 0) {
				a->f[n++] = a->f[i];
				break;
			}
		}
	}
	a->n = n;
}

/* What passes agree on; ret_found may be empty. */
static int agree(struct ipk_view *view, struct findings *ret_found)
{
	struct findings all = {0}, found = {0};
	int r = -EAGAIN, runs = 0;

	for (int i = 0; i < PASSES_MAX; i++) {
		bool quiet = false;

		if (i)
			usleep(1000); /* lets who is in the midst of something get on */
		r = run_pass(view, &found, &quiet);
		if (r == -EAGAIN)
			continue;
		if (r < 0)
			break;
		if (runs++ == 0) {
			all = found;
		} else {
			intersect(&all, &found);
			free(found.f);
		}
		if (all.n == 0 || (quiet && runs >= PASSES_AGREE))
			break;
	}
	if (r == -EAGAIN && runs)
		r = 0; /* the last pass came to nothing, others did not */
	if (r < 0)
		free(all.f);
	else
		*ret_found = all;
	return r;
}

/* found is what r says. */
static int tell(struct ipk_view *view, int r, struct findings *found,
		void (*fn)(void *arg, const char *where, const char *what), void *arg,
		struct ipk_error *err)
{
	if (r == -EAGAIN)
		return ipk_error_set(err, r,
				     "segment %s changes faster than it can be read; try again",
				     ipk_view_name(view));
	if (r == -EBADMSG)
		return ipk_error_set(err, r, "segment %s: the page table cannot be read",
				     ipk_view_name(view));
	if (r < 0)
		return ipk_error_set(err, r, "segment %s: %s", ipk_view_name(view),
				     ipk_strerror(r));
	for (u32 i = 0; i < found->n; i++)
		fn(arg, found->f[i].where, found->f[i].what);
	if (found->n == FINDINGS_MAX)
		fn(arg, "fsck", "there is more; nothing further was looked at");
	free(found->f);
	return (int)found->n;
}

int ipk_fsck(struct ipk_view *view, void (*fn)(void *arg, const char *where, const char *what),
	     void *arg, struct ipk_error *err)
{
	struct findings found = {0};
	int r = agree(view, &found);

	return tell(view, r, &found, fn, arg, err);
}

int ipk_fsck_copy(struct ipk_view *view,
		  void (*fn)(void *arg, const char *where, const char *what), void *arg,
		  struct ipk_error *err)
{
	struct findings found = {0};
	bool quiet;
	int r = run_pass(view, &found, &quiet);

	return tell(view, r, &found, fn, arg, err);
}
