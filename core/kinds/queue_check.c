/* SPDX-License-Identifier: MIT */
/*
 * Is this queue what a queue can be? Each finding holds also while others push and pop: the hints are
 * read before the slots, and a word that seems wrong is read again after what it contradicts.
 */
#include "kinds/queue_view.h"

#define FINDINGS_MAX 20u /* of one kind: more of them say nothing new */

struct check {
	struct ipk_checker *c;
	u32 illegal, behind, hidden, values;
};

static int check_word(struct ipk_queue_view *qv, void *arg, u64 i, u64 w)
{
	struct check *k = arg;

	(void)qv;
	if (!qw_legal(w) && k->illegal++ < FINDINGS_MAX)
		k->c->finding(k->c, "slot %llu: its word %#llx is none that a queue writes",
			      (unsigned long long)i, (unsigned long long)w);
	return 0;
}

/* Each slot's last position lies in the lap before the next one to be given out. */
static int check_lap(struct ipk_queue_view *qv, void *arg, u64 i, u64 w)
{
	struct check *k = arg;
	u64 given = qv_given(qv, i, w), now;
	int r;

	if ((i64)(given + qv->g.mask + 1 - qv->next) < 0) {
		r = ipk_view_u64(qv->o->view, qv_slot(qv, i), &now);
		if (r < 0)
			return r;
		if (now == w && k->behind++ < FINDINGS_MAX)
			k->c->finding(k->c, "slot %llu is behind: position %lld while %llu is the next",
				      (unsigned long long)i, (long long)qc_pos(&qv->g, given),
				      (unsigned long long)qc_pos(&qv->g, qv->next));
	}
	if (qw_st(w) == IPK_QUEUE_FULL && !qw_own(w) && !qw_rdc(w) && (i64)(given - qv->head) < 0 &&
	    k->hidden++ < FINDINGS_MAX)
		k->c->finding(k->c, "the item at position %llu lies before the head and is never delivered",
			      (unsigned long long)qc_pos(&qv->g, given));
	return 0;
}

static int check_value(struct ipk_queue_view *qv, void *arg, u64 i, u64 w)
{
	struct check *k = arg;
	u64 off = qv_slot(qv, i), buf, size, now;
	const char *fault = qv_value_fault(qv, i, w, &buf, &size);
	int r = ipk_view_u64(qv->o->view, off, &now);

	if (r < 0)
		return r;
	if (fault && now == w && k->values++ < FINDINGS_MAX)
		k->c->finding(k->c, "slot %llu: %s", (unsigned long long)i, fault);
	if (!fault && buf)
		k->c->block(k->c, buf, size);
	return 0;
}

/* A hint that no process stored. */
static bool ahead(const struct ipk_queue_view *qv, u64 code)
{
	return (i64)(code - qv->next) > 0 || qc_index(&qv->g, code) >= qv->g.cap;
}

int ipk_queue_check(const struct ipk_object_view *o, struct ipk_checker *c)
{
	struct check k = {.c = c};
	struct ipk_queue_census census;
	struct ipk_queue_view qv;
	int r = ipk_queue_look(o, &qv);

	if (r == -EBADMSG) {
		c->finding(c, "capacity, element size and length of its memory do not agree");
		return 0;
	}
	qv.all = true;
	if (r == 0)
		r = ipk_queue_words(&qv, 0, qv.g.cap, check_word, &k);
	/* With words that mean nothing, positions mean nothing either. */
	if (r < 0 || k.illegal)
		return r;
	r = ipk_queue_count_view(&qv, &census);
	if (r < 0)
		return r;
	if (ahead(&qv, qv.head) || ahead(&qv, qv.tail))
		c->finding(c, "the %s is ahead of all positions", ahead(&qv, qv.head) ? "head" : "tail");
	else
		r = ipk_queue_words(&qv, 0, qv.g.cap, check_lap, &k);
	if (r == 0 && qv.g.size == 0)
		r = ipk_queue_words(&qv, 0, qv.g.cap, check_value, &k);
	return r;
}
