/* SPDX-License-Identifier: MIT */
/*
 * A stream made right, in a copy where nobody is at work: of the records between head and tail
 * those are kept that are sound and follow one another, the longest such run; of subscribers those
 * whose name can be read.
 */
#include "kinds/hooks.h"
#include "kinds/stream.h"
#include "kinds/stream_view.h"
#include "object_type.h"

#define AT_MAX (UINT64_C(1) << 62) /* nobody has written so many bytes */

struct fix {
	const struct ipk_object_view *o;
	struct ipk_repairer *r;
	struct ipk_stream_body *b;
	struct ipk_stream_shape s;
};

/* ---- constants ------------------------------------------------------------------------------- */

static int measure(struct fix *f, const struct ipk_stream_body *b)
{
	return ipk_stream_measure(b, f->o->body_size, &f->s);
}

/* What the object was created with tells them. */
static int mend_constants(struct fix *f)
{
	struct ipk_stream_body *b = f->b, want;
	u32 size;
	int r = ipk_text_size(f->o->type, &size);

	if (r < 0 || (measure(f, b) == 0 && f->s.size == size))
		return r;
	if (ipk_stream_plan(f->o->opts, size, &want) < 0)
		return -EBADMSG;
	/* A derived one has room for its pipeline besides, which no option tells. */
	if (measure(f, &want) < 0 || f->s.end != f->o->body_size)
		want.room = b->room;
	if (measure(f, &want) < 0 || f->s.end != f->o->body_size)
		return -EBADMSG;
	b->cap = want.cap;
	b->bytes = want.bytes;
	b->spare = want.spare;
	b->room = want.room;
	b->size = want.size;
	b->policy = want.policy;
	b->subs = want.subs;
	f->r->did(f->r, "it retains %llu records in %llu bytes, as when it was made",
		  (unsigned long long)want.cap, (unsigned long long)want.bytes);
	return 0;
}

/* ---- records --------------------------------------------------------------------------------- */

static struct ipk_stream_entry *entry(struct fix *f, u64 pos)
{
	u64 i = pos % (f->s.cap + IPK_STREAM_BATCH);

	return f->r->at(f->r, f->o->body + f->s.entries + i * sizeof(struct ipk_stream_entry),
			sizeof(struct ipk_stream_entry));
}

/* Those that were never written have no time. */
static bool sound(struct fix *f, const struct ipk_stream_entry *e)
{
	return e->time && e->at % 8 == 0 && e->at <= AT_MAX &&
	       (f->s.size ? e->len == f->s.size : e->len <= f->s.spare);
}

struct run {
	u64 from, to;
};

/*
 * Records that follow one another, and that the stream may retain at once: the longest run of those
 * from from to to, and of two the later; first: the one that begins at from.
 */
static struct run find_run(struct fix *f, u64 from, u64 to, bool first)
{
	struct run best = {to, to}, at = {from, from};
	u64 end = 0; /* of the record before */

	for (u64 pos = from; pos < to; pos++) {
		struct ipk_stream_entry *e = entry(f, pos);
		bool ok = sound(f, e);

		if (first && pos > from && (!ok || e->at != ipk_align_up(end, 8)))
			break;
		if (!ok || (pos > at.from && e->at != ipk_align_up(end, 8)))
			at.from = ok ? pos : pos + 1;
		end = e->at + e->len;
		at.to = pos + 1;
		while (at.from < pos &&
		       ipk_stream_too_much(&f->s, at.from, at.to, entry(f, at.from)->at, end))
			at.from++;
		if (at.to > at.from && at.to - at.from >= best.to - best.from)
			best = at;
	}
	return best;
}

/* Between an impossible head and tail, one of which may be right. */
static struct run guess(struct fix *f, u64 head, u64 tail)
{
	struct run run = find_run(f, tail > f->s.cap ? tail - f->s.cap : 0, tail, false);

	if (run.from < run.to && run.to == tail)
		return run;
	if (head <= AT_MAX)
		run = find_run(f, head, head + f->s.cap, true);
	return run.from < run.to ? run : (struct run){tail, tail};
}

static int mend_records(struct fix *f)
{
	u64 head = f->b->head, tail = f->b->word / 2;
	struct ipk_stream_look l;
	bool possible = head <= tail && tail - head <= f->s.cap + IPK_STREAM_BATCH;
	int r = ipk_stream_look(f->o, &l);
	struct run run;

	if (r < 0 && (r != -EBADMSG || possible))
		return r;
	/* What is to be dropped as it is makes no difference. */
	run = possible ? find_run(f, l.first, tail, false) : guess(f, head, tail);
	if (possible && run.from == l.first && run.to == tail)
		return 0;
	f->b->head = run.from;
	f->b->word = run.to * 2 | (f->b->word & 1);
	/* The next one goes where the last one ends. */
	if (run.from == run.to && run.to && !sound(f, entry(f, run.to - 1)))
		*entry(f, run.to - 1) = (struct ipk_stream_entry){0};
	f->r->did(f->r, "records %llu to %llu are kept, of %llu to %llu",
		  (unsigned long long)run.from, (unsigned long long)run.to,
		  (unsigned long long)head, (unsigned long long)tail);
	return 0;
}

/* ---- the rest -------------------------------------------------------------------------------- */

static int mend_name(struct fix *f, u32 i)
{
	struct ipk_stream_name *n = f->r->at(
		f->r, f->o->body + f->s.names + i * sizeof(struct ipk_stream_name), sizeof(*n));
	u64 tail = f->b->word / 2;
	int gone;

	if (!n || !n->used)
		return n ? 0 : -EBADMSG;
	if (!memchr(n->name, 0, sizeof(n->name)) || !ipk_stream_name_ok(n->name)) {
		memset(n, 0, sizeof(*n));
		f->r->did(f->r, "subscriber %u is forgotten: its name cannot be read", i);
		return 0;
	}
	if (n->used != 1) {
		n->used = 1;
		f->r->did(f->r, "subscriber \"%s\" is one", n->name);
	}
	if (n->cursor > tail) {
		n->cursor = tail;
		f->r->did(f->r, "subscriber \"%s\" is at the end", n->name);
	}
	gone = ipk_no_user(f->o, n->owner & IPK_STREAM_OWNER);
	if (gone > 0) {
		n->owner &= ~IPK_STREAM_OWNER;
		f->r->did(f->r, "nobody is subscribed as \"%s\"", n->name);
	}
	return gone < 0 ? gone : 0;
}

static int mend_states(struct fix *f)
{
	for (u64 i = 0; f->s.room && i < 2; i++) {
		u64 *len = f->r->at(f->r, f->o->body + f->s.states + i * (8 + f->s.room), 8);

		if (!len)
			return -EBADMSG;
		if (*len > f->s.room) {
			*len = 0;
			f->r->did(f->r, "state %llu is empty: it was longer than its room",
				  (unsigned long long)i);
		}
	}
	return 0;
}

int ipk_stream_repair(const struct ipk_object_view *o, struct ipk_repairer *r)
{
	struct fix f = {.o = o, .r = r};
	int err;

	f.b = o->body_size < sizeof(*f.b) ? NULL : r->at(r, o->body, o->body_size);
	if (!f.b)
		return -EBADMSG;
	err = mend_constants(&f);
	if (err == 0)
		err = mend_records(&f);
	for (u32 i = 0; err == 0 && i < f.s.subs; i++)
		err = mend_name(&f, i);
	return err ? err : mend_states(&f);
}
