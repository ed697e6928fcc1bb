/* SPDX-License-Identifier: MIT */
/*
 * A future made right, in a copy where nobody is at work. Whose value cannot be told is broken, as
 * one is whose claimant has died; the continuations are kept up to the first that leads nowhere.
 */
#include "kinds/future.h"
#include "kinds/hooks.h"
#include "object_type.h"

static void mend_value(struct ipk_future_body *b, struct ipk_repairer *r)
{
	unsigned state = ipk_word_state(b->v.word);
	const char *why;

	if (state > IPK_FUT_BROKEN)
		why = "its state was none";
	else
		why = ipk_word_fault(r, &b->v, state == IPK_FUT_SET || state == IPK_FUT_FAILED,
				     state == IPK_FUT_SET ? b->size : 0);
	if (!why)
		return;
	b->v.value = b->v.len = 0;
	/* What was not there yet can still come, and what was broken stays so. */
	if (state == IPK_FUT_PENDING || state == IPK_FUT_BROKEN) {
		r->did(r, "it has no value: %s", why);
		return;
	}
	b->v.word = ipk_word_next(b->v.word, IPK_FUT_BROKEN, 0);
	r->did(r, "it is broken: %s", why);
}

static int mend_claim(const struct ipk_object_view *o, struct ipk_future_body *b,
		      struct ipk_repairer *r)
{
	u64 owner = ipk_word_owner(b->v.word);
	int gone = ipk_no_user(o, owner);

	if (gone < 0 || !owner)
		return gone;
	if (ipk_word_state(b->v.word) != IPK_FUT_PENDING) {
		b->v.word &= ~(IPK_WORD_OWNER | IPK_WORD_FD);
		r->did(r, "nobody claims it any more: it is complete");
	} else if (gone) {
		b->v.word = ipk_word_next(b->v.word, IPK_FUT_BROKEN, 0);
		r->did(r, "it is broken: nobody has claimed it any more");
	}
	return 0;
}

/* The continuation at off, which is nobody else's; NULL: there is none. */
static struct ipk_future_node *node(struct ipk_repairer *r, u64 off)
{
	struct ipk_future_node *n = off % IPK_LINE ? NULL : r->at(r, off, sizeof(*n));

	if (!n || n->len > IPK_FUTURE_TEXT_MAX || r->claim(r, off, sizeof(*n) + n->len) != 0)
		return NULL;
	return n;
}

static int mend_thens(const struct ipk_object_view *o, struct ipk_future_body *b,
		      struct ipk_repairer *r)
{
	u64 *link = &b->first, last = 0, n = 0;
	struct ipk_future_node *at;
	int gone;

	for (; *link; link = &at->next) {
		/* As many as there may be, and each once: claimed a second time it is refused. */
		at = n < IPK_FUTURE_THENS_MAX ? node(r, *link) : NULL;
		if (!at) {
			*link = 0;
			break;
		}
		gone = ipk_no_participant(o, at->own & IPK_WORD_OWNER);
		if (gone < 0)
			return gone;
		if (gone) {
			at->own &= ~IPK_WORD_OWNER;
			r->did(r, "continuation %llu is nobody's any more",
			       (unsigned long long)at->id);
		}
		last = *link;
		n++;
	}
	if (b->thens != n || b->last != last)
		r->did(r, "it has %llu continuations", (unsigned long long)n);
	b->thens = n;
	b->last = last;
	return 0;
}

int ipk_future_repair(const struct ipk_object_view *o, struct ipk_repairer *r)
{
	struct ipk_future_body *b =
		o->body_size < sizeof(*b) ? NULL : r->at(r, o->body, sizeof(*b));
	u32 size;
	int error;

	if (!b)
		return -EBADMSG;
	if (ipk_text_size(o->type, &size) == 0 && size != b->size) {
		b->size = size;
		r->did(r, "elements of %u bytes, as their type says", size);
	}
	mend_value(b, r);
	error = mend_claim(o, b, r);
	return error ? error : mend_thens(o, b, r);
}
