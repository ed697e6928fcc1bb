/* SPDX-License-Identifier: MIT */
/*
 * A queue made right, in a copy where nobody is at work. Let T = m * cap + k be the next position
 * to be given out. Then the last position of each slot before k is of lap m, that of the others of
 * lap m - 1. m and k are chosen so that as few words as possible contradict them. An item whose
 * word does is kept, as one that was given back; a word that means nothing becomes an empty
 * position. Of a burst that cannot be each word is made one of its own.
 */
#include <stdlib.h>

#include "kinds/queue_view.h"
#include "type.h"
#include "object_type.h"

#define QW_LAP_MAX (UINT64_MAX >> QW_LAP_SHIFT)

struct fix {
	const struct ipk_object_view *o;
	struct ipk_repairer *r;
	struct ipk_queue_view qv; /* geometry */
	struct ipk_queue_body *b;
	i64 m; /* of T, see above */
	u64 k;
	u64 empty, kept, values, apart;
};

static struct ipk_queue_slot *slot(const struct fix *f, u64 i)
{
	return f->r->at(f->r, qv_slot(&f->qv, i), f->qv.g.size ? 8 : sizeof(struct ipk_queue_slot));
}

/* ---- constants ------------------------------------------------------------------------------ */

/* What the object was created with tells them. */
static int mend_constants(struct fix *f)
{
	struct ipk_queue_body want;
	u64 bytes;
	u32 size;
	int r = ipk_queue_look(f->o, &f->qv);

	if (r != -EBADMSG)
		return r;
	r = ipk_text_size(f->o->type, &size);
	if (r < 0)
		return r;
	bytes = ipk_queue_layout(f->o->opts[0], size, &want);
	if (!bytes || bytes > f->o->body_size)
		return -EBADMSG;
	f->b->cap = want.cap;
	f->b->stride = want.stride;
	f->b->size = want.size;
	f->r->did(f->r, "it has %llu slots of %llu bytes, as when it was made",
		  (unsigned long long)want.cap, (unsigned long long)want.stride);
	return ipk_queue_look(f->o, &f->qv);
}

/* ---- bursts --------------------------------------------------------------------------------- */

static u64 end_of(const struct fix *f, u64 i, u64 head)
{
	return qw_span(head) < f->qv.g.cap - i ? i + qw_span(head) : f->qv.g.cap;
}

static void take_apart(struct fix *f, u64 i)
{
	struct qw_apart apart = {0};

	for (u64 end = end_of(f, i, slot(f, i)->w); i < end; i++)
		slot(f, i)->w = ipk_queue_apart(&apart, slot(f, i)->w);
	f->apart++;
}

/* Bursts that begin at a legal word and are none; a word that is not legal is none's. */
static void mend_bursts(struct fix *f)
{
	for (u64 i = 0; i < f->qv.g.cap; i++) {
		u64 head = slot(f, i)->w, end = end_of(f, i, head);
		bool good = qv_legal(&f->qv, i, head);

		if (!(head & QW_BURST) || !ipk_queue_legal(head))
			continue;
		for (u64 k = i + 1; k < end; k++)
			good &= ipk_queue_member(head, slot(f, k)->w);
		if (!good)
			take_apart(f, i);
	}
}

/* The word of slot i, of the slots in order, as it is in no burst. apart: of the caller's walk. */
static u64 word(const struct fix *f, struct qw_apart *apart, u64 i)
{
	return ipk_queue_apart(apart, slot(f, i)->w);
}

/* ---- positions ------------------------------------------------------------------------------ */

/* The lap of the last position of a slot. */
static i64 lap_of(u64 w)
{
	return (i64)(qw_st(w) == IPK_QUEUE_FREE ? w - QW_LAP : w) >> QW_LAP_SHIFT;
}

static int by_value(const void *a, const void *b)
{
	i64 x = *(const i64 *)a, y = *(const i64 *)b;

	return (x > y) - (x < y);
}

/* The lap that most slots are in. */
static i64 usual_lap(i64 *lap, u64 n)
{
	u64 best = 0, run = 0;
	i64 usual = -1;

	qsort(lap, n, sizeof(*lap), by_value);
	for (u64 i = 0; i < n; i++) {
		run = i && lap[i] == lap[i - 1] ? run + 1 : 1;
		if (run >= best) {
			best = run;
			usual = lap[i];
		}
	}
	return usual;
}

/* With m: the k that the fewest words contradict; how many do. */
static u64 best_k(const struct fix *f, i64 m, u64 *ret_k)
{
	struct qw_apart apart = {0};
	u64 wrong = 0, best, i;

	for (i = 0; i < f->qv.g.cap; i++) { /* k = 0: all should be in lap m - 1 */
		u64 w = word(f, &apart, i);

		wrong += ipk_queue_legal(w) && lap_of(w) != m - 1;
	}
	best = wrong;
	*ret_k = 0;
	apart = (struct qw_apart){0};
	for (i = 0; i < f->qv.g.cap; i++) {
		u64 w = word(f, &apart, i);

		if (!ipk_queue_legal(w))
			continue;
		wrong += (u64)(lap_of(w) != m) - (u64)(lap_of(w) != m - 1);
		if (wrong < best) {
			best = wrong;
			*ret_k = i + 1;
		}
	}
	return best;
}

static int find_next(struct fix *f)
{
	i64 *lap = malloc(f->qv.g.cap * sizeof(*lap)), usual;
	struct qw_apart apart = {0};
	u64 n = 0, k, wrong;

	if (!lap)
		return -ENOMEM;
	for (u64 i = 0; i < f->qv.g.cap; i++) {
		u64 w = word(f, &apart, i);

		if (ipk_queue_legal(w))
			lap[n++] = lap_of(w);
	}
	usual = usual_lap(lap, n);
	free(lap);
	if (!n) { /* the hint is all there is */
		f->m = (i64)(f->b->tail >> f->qv.g.bits);
		f->k = qc_index(&f->qv.g, f->b->tail);
		if (f->k >= f->qv.g.cap || f->m >= (i64)QW_LAP_MAX)
			f->m = f->k = 0;
		return 0;
	}
	wrong = best_k(f, usual, &f->k);
	f->m = usual;
	if (best_k(f, usual + 1, &k) < wrong) {
		f->m = usual + 1;
		f->k = k;
	}
	if (f->k == f->qv.g.cap) {
		f->m++;
		f->k = 0;
	}
	return 0;
}

/* ---- words ---------------------------------------------------------------------------------- */

static i64 lap_at(const struct fix *f, u64 i)
{
	return i < f->k ? f->m : f->m - 1;
}

/* Does a burst begin here that no word contradicts? */
static bool mend_burst(struct fix *f, u64 i)
{
	u64 head = slot(f, i)->w, end = end_of(f, i, head);
	struct qw_apart apart = {0};
	bool good = true;

	if (!(head & QW_BURST) || !ipk_queue_legal(head))
		return false;
	for (u64 k = i; k < end; k++)
		good &= lap_of(word(f, &apart, k)) == lap_at(f, k);
	if (!good)
		take_apart(f, i);
	return good;
}

static void mend_word(struct fix *f, u64 i)
{
	u64 *word = &slot(f, i)->w, w = *word;
	i64 lap = lap_at(f, i);
	u64 base = (u64)lap << QW_LAP_SHIFT;

	if (!ipk_queue_legal(w) || (lap_of(w) != lap && !qw_item(w))) {
		*word = base + QW_LAP;
		f->empty++;
	} else if (lap_of(w) != lap) {
		*word = base | (ipk_queue_given_back(w) & (QW_LAP - 1));
		f->kept++;
	}
}

/* Values of variable size: each in a block of its own that fits. */
static void mend_value(struct fix *f, u64 i)
{
	struct ipk_queue_slot *s = slot(f, i);
	u64 buf, size;
	bool bad = qv_value_fault(&f->qv, i, s->w, &buf, &size) != NULL;

	if (!bad && buf) {
		bad = f->r->claim(f->r, buf, size) != 0;
		/* A value that lies in the slot needs none. */
		if (bad && (!qw_item(s->w) || s->var.len <= IPK_SLOT_INLINE)) {
			s->var.buf = 0;
			f->r->did(f->r, "slot %llu has no buffer", (unsigned long long)i);
			return;
		}
	}
	if (!bad)
		return;
	s->var.buf = s->var.len = 0;
	f->values++;
	if (qw_item(s->w))
		s->w = qw_lap(s->w) + QW_LAP;
}

/* ---- hints ---------------------------------------------------------------------------------- */

static u64 code(const struct fix *f, i64 lap, u64 i)
{
	return (u64)lap << f->qv.g.bits | i;
}

static bool ahead(const struct fix *f, u64 hint)
{
	return (i64)(hint - code(f, f->m, f->k)) > 0 || qc_index(&f->qv.g, hint) >= f->qv.g.cap;
}

static void mend_hints(struct fix *f)
{
	u64 first = f->m > 0 ? code(f, f->m - 1, f->k) : 0;
	struct qw_apart apart = {0};
	bool hidden = false;

	for (u64 i = 0; i < f->qv.g.cap; i++) {
		u64 w = word(f, &apart, i);

		hidden |= qw_st(w) == IPK_QUEUE_FULL && !qw_own(w) && !qw_rdc(w) &&
			  (i64)(code(f, lap_of(w), i) - f->b->head) < 0;
	}
	if (hidden || ahead(f, f->b->head)) {
		f->b->head = first;
		f->r->did(f->r, "the head is at position %llu",
			  (unsigned long long)qc_pos(&f->qv.g, first));
	}
	if (ahead(f, f->b->tail)) {
		f->b->tail = code(f, f->m, f->k);
		f->r->did(f->r, "the tail is at position %llu",
			  (unsigned long long)qc_pos(&f->qv.g, f->b->tail));
	}
	if (f->kept || f->apart)
		f->b->rd = qrd_pend(f->b->rd);
}

int ipk_queue_repair(const struct ipk_object_view *o, struct ipk_repairer *r)
{
	struct fix f = {.o = o, .r = r};
	int error;

	if (o->body_size < sizeof(*f.b))
		return -EBADMSG;
	f.b = r->at(r, o->body, sizeof(*f.b));
	error = f.b ? mend_constants(&f) : -EBADMSG;
	if (error < 0)
		return error;
	mend_bursts(&f);
	error = find_next(&f);
	if (error < 0)
		return error;
	for (u64 i = 0, end = 0; i < f.qv.g.cap; i++) {
		if (i >= end && mend_burst(&f, i))
			end = end_of(&f, i, slot(&f, i)->w);
		if (i >= end)
			mend_word(&f, i);
		if (f.qv.g.size == 0)
			mend_value(&f, i);
	}
	mend_hints(&f);
	if (f.apart)
		r->did(r, "%llu bursts that could not be are single words",
		       (unsigned long long)f.apart);
	if (f.empty)
		r->did(r, "%llu slots whose words meant nothing are empty",
		       (unsigned long long)f.empty);
	if (f.kept)
		r->did(r, "%llu items whose positions were wrong are delivered again",
		       (unsigned long long)f.kept);
	if (f.values)
		r->did(r, "%llu slots whose values were lost are empty",
		       (unsigned long long)f.values);
	return 0;
}
