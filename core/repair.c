/* SPDX-License-Identifier: MIT */
/*
 * Repair: a private copy (segment/salvage.h) is made right in rounds, until a check of it is silent
 * or nothing more can be done; what then differs is saved and written (segment/undo.h).
 */
#include "ipk/repair.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ipk/kind.h"
#include "repair.h"
#include "segment/image.h"

#define ROUNDS 3
#define LINES_MAX 200u

struct line {
	char where[64];
	char what[200];
};

struct lines {
	struct line *l;
	u32 n, more;
	bool nomem;
};

/* Each once: a later round may come by the same thing again. */
static void note(void *arg, const char *where, const char *what)
{
	struct lines *l = arg;
	struct line *more;

	for (u32 i = 0; i < l->n; i++)
		if (strcmp(l->l[i].where, where) == 0 && strcmp(l->l[i].what, what) == 0)
			return;
	if (l->n == LINES_MAX) {
		l->more++;
		return;
	}
	more = reallocarray(l->l, l->n + 1, sizeof(*more));
	if (!more) {
		l->nomem = true;
		return;
	}
	l->l = more;
	snprintf(l->l[l->n].where, sizeof(l->l->where), "%s", where);
	snprintf(l->l[l->n++].what, sizeof(l->l->what), "%s", what);
}

static void tell(const struct lines *l, void (*fn)(void *arg, const char *where, const char *what),
		 void *arg)
{
	char text[64];

	for (u32 i = 0; i < l->n; i++)
		fn(arg, l->l[i].where, l->l[i].what);
	if (l->more) {
		snprintf(text, sizeof(text), "and %u more", l->more);
		fn(arg, "fsck", text);
	}
}

/* ---- one object ----------------------------------------------------------------------------- */

struct one {
	struct ipk_repairer repairer;
	struct ipk_checker checker;
	struct ipk_salvage *s;
	const struct ipk_object_view *o;
	u32 findings; /* of a kind that repairs nothing */
};

static void *on_at(struct ipk_repairer *r, uint64_t off, uint64_t len)
{
	struct one *one = (struct one *)((char *)r - offsetof(struct one, repairer));

	return ipk_salvage_at(one->s, off, len, 1);
}

static int on_claim(struct ipk_repairer *r, uint64_t off, uint64_t size)
{
	struct one *one = (struct one *)((char *)r - offsetof(struct one, repairer));

	return ipk_salvage_claim(one->s, off, size);
}

static void on_did(struct ipk_repairer *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void on_did(struct ipk_repairer *r, const char *fmt, ...)
{
	struct one *one = (struct one *)((char *)r - offsetof(struct one, repairer));
	char what[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	ipk_salvage_did(one->s, one->o->name, "%s", what);
}

static void on_finding(struct ipk_checker *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void on_finding(struct ipk_checker *c, const char *fmt, ...)
{
	struct one *one = (struct one *)((char *)c - offsetof(struct one, checker));

	(void)fmt;
	one->findings++;
}

static void on_block(struct ipk_checker *c, uint64_t off, uint64_t size)
{
	struct one *one = (struct one *)((char *)c - offsetof(struct one, checker));

	(void)ipk_salvage_claim(one->s, off, size);
}

static int repair_object(struct ipk_salvage *s, struct ipk_view *view, u64 off, bool zombie)
{
	struct ipk_object_view o;
	struct one one = {
		.repairer = {.at = on_at, .claim = on_claim, .did = on_did},
		.checker = {.finding = on_finding, .block = on_block},
		.s = s,
		.o = &o,
	};
	const struct ipk_kind *kind;
	int r = ipk_view_object_at(view, off, &o);

	if (r < 0)
		return r == -EBADMSG ? 0 : r;
	kind = ipk_kind_by_id(o.kind);
	if (!kind || kind->version != o.version)
		s->strangers = true;
	else if (kind->repair && !zombie)
		r = kind->repair(&o, &one.repairer);
	else
		r = kind->check(&o, &one.checker);
	/* Of one that is beyond repair nobody can tell what it owns. */
	if (!zombie && (r < 0 || one.findings))
		s->strangers = true;
	ipk_object_view_free(&o);
	return r == -ENOMEM ? r : 0;
}

static int repair_objects(struct ipk_salvage *s, struct ipk_view *view,
			  const struct ipk_salvage_objects *l, u64 from, bool zombies)
{
	int r = 0;

	for (u64 i = from; i < l->n && r == 0; i++)
		r = repair_object(s, view, l->off[i], zombies);
	return r;
}

/* ---- rounds --------------------------------------------------------------------------------- */

static void ignore(void *arg, const char *where, const char *what)
{
	(void)arg;
	(void)where;
	(void)what;
}

static int repair_all(struct ipk_salvage *s, struct ipk_view *view)
{
	struct ipk_salvage_objects live = {0}, zombies = {0};
	u64 named;
	int r = ipk_salvage_named(s, &live);

	if (r == 0)
		r = ipk_salvage_zombies(s, &zombies);
	if (r == 0)
		r = repair_objects(s, view, &live, 0, false);
	if (r == 0)
		r = repair_objects(s, view, &zombies, 0, true);
	named = live.n;
	if (r == 0)
		r = ipk_salvage_lost(s, &live);
	if (r == 0)
		r = repair_objects(s, view, &live, named, false);
	if (r == 0) {
		ipk_salvage_registry_end(s);
		r = ipk_salvage_directory(s, &live);
	}
	ipk_salvage_objects_free(&live);
	ipk_salvage_objects_free(&zombies);
	return r;
}

static int one_round(struct ipk_salvage *s, struct ipk_view *view, struct ipk_error *err)
{
	struct ipk_image im;
	bool whole = false;
	int r = ipk_image_glance(view, &im, ignore, NULL);

	if (r == 0) {
		whole = im.whole;
		ipk_image_free(&im);
	}
	ipk_salvage_begin(s, whole);
	r = repair_all(s, view);
	if (r == -ENOSPC)
		return ipk_error_set(err, r, "segment %s: no room for a directory: grow the file",
				     ipk_view_name(view));
	if (r < 0)
		return ipk_error_set(err, r, "segment %s: %s", ipk_view_name(view),
				     ipk_strerror(r));
	/* Where all memory is accounted for, page table and lists stay as they are. */
	r = ipk_fsck_copy(view, ignore, NULL, err);
	if (r > 0)
		ipk_salvage_pages(s);
	return r < 0 ? r : 0;
}

static int check_copy(struct ipk_view *view, struct lines *left, struct ipk_error *err)
{
	free(left->l);
	memset(left, 0, sizeof(*left));
	return ipk_fsck_copy(view, note, left, err);
}

/* Makes the copy right. Returns how many findings are left. */
static int make_right(struct ipk_salvage *s, struct lines *left, struct ipk_error *err)
{
	struct lines *did = s->arg;
	struct ipk_view *view;
	u32 before;
	int r;

	ipk_salvage_registry(s);
	r = ipk_view_open_fd(s->fd, &view, err);
	if (r < 0)
		return r;
	for (int i = 0; i < ROUNDS; i++) {
		r = check_copy(view, left, err);
		if (r == 0 || (r < 0 && r != -EBADMSG))
			break;
		before = did->n;
		r = one_round(s, view, err);
		if (r < 0)
			break;
		r = check_copy(view, left, err);
		if (r <= 0 || did->n == before)
			break;
	}
	ipk_view_close(view);
	return left->nomem ? ipk_error_set(err, -ENOMEM, "out of memory") : r;
}

/* ---- the segment ---------------------------------------------------------------------------- */

static int apply(struct ipk_repair *rp, const struct ipk_salvage *s, struct ipk_error *err)
{
	struct ipk_undo u = {0};
	int r = ipk_undo_collect(rp->fd, s, &u);

	if (r < 0)
		return ipk_error_set(err, r, "segment %s: %s", rp->name, ipk_strerror(r));
	if (ipk_undo_header(&u)->npieces || ipk_undo_header(&u)->new_len != s->file_size) {
		r = ipk_undo_save(&u, rp->undo, err);
		if (r == 0) {
			r = ipk_undo_write(&u, rp->fd, false);
			if (r < 0) {
				if (ipk_undo_write(&u, rp->fd, true) == 0)
					(void)ipk_undo_remove(rp->undo);
				ipk_error_set(err, r, "segment %s: writing to it: %s", rp->name,
					      ipk_strerror(r));
			} else {
				r = ipk_undo_mark(&u, rp->undo, IPK_UNDO_APPLIED, err);
			}
		}
	}
	ipk_undo_free(&u);
	return r;
}

static int repair(struct ipk_repair *rp, unsigned flags, struct lines *did, struct lines *left,
		  struct ipk_error *err)
{
	struct ipk_salvage s = {.did = note, .arg = did};
	int r = ipk_salvage_load(rp->fd, rp->name, &s, err), n;

	if (r < 0)
		return r;
	if (s.h->flags & IPK_SEG_HUGE)
		r = ipk_error_set(
			err, -EOPNOTSUPP,
			"segment %s is on huge pages, where nothing can be written but by "
			"its participants: repair a copy of it",
			rp->name);
	if (r == 0)
		r = make_right(&s, left, err);
	n = r;
	if (r >= 0 && did->nomem)
		r = ipk_error_set(err, -ENOMEM, "out of memory");
	if (r >= 0 && !(flags & IPK_REPAIR_DRY))
		r = apply(rp, &s, err);
	ipk_salvage_free(&s);
	return r < 0 ? r : n;
}

/* Is there anything to find? Then, and when it cannot be read at all, more than 0. */
static int look(struct ipk_repair *rp, struct ipk_error *err)
{
	struct ipk_view *view;
	int r = ipk_view_open_fd(rp->fd, &view, err);

	if (r < 0)
		return r == -EBADMSG || r == -EPROTO ? 1 : r;
	r = ipk_fsck_copy(view, ignore, NULL, err); /* nobody is attached */
	ipk_view_close(view);
	return r == -EBADMSG ? 1 : r;
}

int ipk_repair(const char *name, unsigned flags,
	       void (*did)(void *arg, const char *where, const char *what),
	       void (*left)(void *arg, const char *where, const char *what), void *arg,
	       struct ipk_error *err)
{
	struct lines done = {0}, rest = {0};
	struct ipk_repair rp;
	int r = ipk_repair_begin(name, &rp, err);

	if (r < 0)
		return r;
	r = ipk_repair_resume(&rp, flags, note, &done, err);
	if (r == 0)
		r = look(&rp, err);
	if (r > 0)
		r = repair(&rp, flags, &done, &rest, err);
	ipk_repair_end(&rp);
	if (r >= 0) {
		tell(&done, did, arg);
		tell(&rest, left, arg);
	}
	free(done.l);
	free(rest.l);
	return r;
}
