/* SPDX-License-Identifier: MIT */
/*
 * A ring made right, in a copy where nobody is at work: nobody has a role, and the messages that
 * are sound, up to the first word that is none's, follow one another from the head on.
 */
#include <stdlib.h>

#include "kinds/hooks.h"
#include "kinds/ring_view.h"
#include "object_type.h"

struct fix {
	const struct ipk_object_view *o;
	struct ipk_repairer *r;
	struct ipk_ring_body *b;
	struct ipk_ring_shape g;
};

/* ---- constants ------------------------------------------------------------------------------- */

static int measure(struct fix *f)
{
	return ipk_ring_measure(f->b, f->o->body, f->o->body_size, &f->g);
}

/* What the object was created with tells them. */
static int mend_constants(struct fix *f)
{
	struct ipk_ring_body want;
	u64 bytes;
	u32 size;
	int r = ipk_text_size(f->o->type, &size);

	if (r < 0)
		return r;
	bytes = ipk_ring_plan(f->o->opts, size, &want);
	r = measure(f);
	if (r == 0 && !ipk_ring_fits(&f->g, size))
		r = -EBADMSG;
	if (r == 0)
		return 0;
	if (!bytes || bytes > f->o->body_size)
		return -EBADMSG;
	f->b->cap = want.cap;
	f->b->most = want.most;
	f->b->unit = want.unit;
	f->b->flags = want.flags;
	f->r->did(f->r, "it has %llu bytes, as when it was made", (unsigned long long)want.cap);
	return measure(f);
}

/* ---- records --------------------------------------------------------------------------------- */

/* The record at pos; NULL: there is none. */
static u64 *record(struct fix *f, u64 pos, u64 *ret_len)
{
	u64 *word = f->r->at(f->r, f->g.data + ring_at(&f->g, pos), 8);
	u64 len = word ? ring_word_len(*word) : UINT64_MAX;

	if (len > f->g.most || (f->g.flags & IPK_RING_FIXED && len != f->g.most))
		return NULL;
	*ret_len = len;
	return f->r->at(f->r, f->g.data + ring_at(&f->g, pos), 8 + len);
}

struct kept {
	u64 n, dropped;
	u64 tail;
	bool met; /* the tail that there was */
};

/* Moves the sound ones together. */
static int mend_records(struct fix *f, struct kept *k)
{
	u64 from = f->b->head, to = from, len, *word;
	u8 *copy = malloc(f->g.most ? f->g.most : 1);

	if (!copy)
		return -ENOMEM;
	k->met = from == f->b->tail;
	while (from - f->b->head < f->g.cap - 8 && (word = record(f, from, &len)) != NULL) {
		u64 need = ipk_ring_need(len), *there;
		bool sound = !(f->g.flags & IPK_RING_SUM) ||
			     ipk_ring_sum(word + 1, len, from) == *word >> 32;

		if (need > f->g.cap - 8 - (from - f->b->head))
			break;
		from += need;
		k->met |= from == f->b->tail;
		if (!sound) {
			k->dropped++;
			continue;
		}
		memcpy(copy, word + 1, len);
		there = f->r->at(f->r, f->g.data + ring_at(&f->g, to), 8 + len);
		if (!there)
			break;
		memcpy(there + 1, copy, len);
		*there = len + 1;
		if (f->g.flags & IPK_RING_SUM)
			*there |= (u64)ipk_ring_sum(copy, len, to) << 32;
		to += need;
		k->n++;
	}
	free(copy);
	word = f->r->at(f->r, f->g.data + ring_at(&f->g, to), 8);
	if (!word)
		return -EBADMSG;
	*word = 0;
	k->tail = to;
	return 0;
}

/* ---- positions ------------------------------------------------------------------------------- */

static int mend_positions(struct fix *f)
{
	struct ipk_ring_body *b = f->b;
	struct kept k = {.n = 0};
	int r;

	if (f->g.unit) {
		if (b->tail - b->head <= f->g.lap)
			return 0;
		b->head = b->tail;
		f->r->did(f->r, "it is empty: where it stood could not be told");
		return 0;
	}
	if (b->head & 7) {
		b->head &= ~UINT64_C(7);
		f->r->did(f->r, "it is read from position %llu on", (unsigned long long)b->head);
	}
	r = mend_records(f, &k);
	if (r < 0 || (k.met && !k.dropped))
		return r; /* it was right, or short as it may be */
	if (k.dropped)
		f->r->did(f->r, "%llu messages with wrong checksums were dropped",
			  (unsigned long long)k.dropped);
	else
		f->r->did(f->r, "%llu messages are kept, up to position %llu",
			  (unsigned long long)k.n, (unsigned long long)k.tail);
	b->tail = k.tail;
	b->pushed = b->popped + k.n;
	return 0;
}

/* ---- the rest -------------------------------------------------------------------------------- */

/* An owner who does not exist, or does not use the ring, gives nothing back. */
static int mend_owner(struct fix *f, const char *what, u64 *word, u64 mask)
{
	int gone = ipk_no_user(f->o, *word & mask);

	if (gone <= 0)
		return gone;
	*word &= ~mask;
	f->r->did(f->r, "its %s, who does not %s, is not any more", what,
		  gone == 1 ? "exist" : "use it");
	return 0;
}

static int mend_rest(struct fix *f)
{
	struct ipk_ring_body *b = f->b;
	int r = mend_owner(f, "producer", &b->producer, RING_OWN);

	if (r == 0)
		r = mend_owner(f, "consumer", &b->consumer, RING_OWN);
	if (r == 0)
		r = mend_owner(f, "producer", &b->lock, IPK_LOCK_OWNER);
	if ((i64)(b->shown - b->tail) > 0) {
		b->shown = b->tail;
		f->r->did(f->r, "what was given out ends with what is there");
	}
	if (b->shut > 2) {
		b->shut = 2;
		f->r->did(f->r, "it is shut");
	}
	if (b->end && (i64)(b->head - (b->end - 1)) > 0) {
		b->end = b->tail + 1;
		f->r->did(f->r, "it ends at position %llu", (unsigned long long)b->tail);
	}
	return r;
}

int ipk_ring_repair(const struct ipk_object_view *o, struct ipk_repairer *r)
{
	struct fix f = {.o = o, .r = r};
	int err;

	f.b = o->body_size < sizeof(*f.b) ? NULL : r->at(r, o->body, sizeof(*f.b));
	if (!f.b)
		return -EBADMSG;
	err = mend_constants(&f);
	if (err == 0)
		err = mend_positions(&f);
	return err ? err : mend_rest(&f);
}
