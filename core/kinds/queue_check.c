/* SPDX-License-Identifier: MIT */
/*
 * Is this queue what a queue can be? Each finding holds also while others push and pop: the hints
 * are read before the slots, and a word that seems wrong is read again after what it contradicts.
 */
#include "kinds/queue_view.h"

#define FINDINGS_MAX 20u /* of one kind: more of them say nothing new */
#define LOOKS 5

struct check {
	struct ipk_checker *c;
	u32 illegal, behind, hidden, values;
	u64 head, at; /* the burst met last, and its slot */
};

/*
 * A member is read once more, and then the head: it was what it was in between, or nothing can be
 * said.
 */
static int check_member(struct ipk_queue_view *qv, struct check *k, u64 i)
{
	u64 w, head;
	int r = 0;

	if (ipk_queue_member(k->head, qv->raw))
		return 0;
	r = ipk_view_u64(qv->o->view, qv_slot(qv, i), &w);
	if (r == 0)
		r = ipk_view_u64(qv->o->view, qv_slot(qv, k->at), &head);
	if (r == 0 && !ipk_queue_member(k->head, w) && head == k->head && k->illegal++ < FINDINGS_MAX)
		k->c->finding(
			k->c,
			"slot %llu: its word %#llx is none of the burst that begins at slot %llu",
			(unsigned long long)i, (unsigned long long)w, (unsigned long long)k->at);
	return r;
}

static int check_word(struct ipk_queue_view *qv, void *arg, u64 i, u64 w)
{
	struct check *k = arg;

	(void)w;
	if (!qv_legal(qv, i, qv->raw)) {
		if (k->illegal++ < FINDINGS_MAX)
			k->c->finding(k->c, "slot %llu: its word %#llx is none that a queue writes",
				      (unsigned long long)i, (unsigned long long)qv->raw);
		return 0;
	}
	if (qv->raw & QW_BURST) {
		k->head = qv->raw;
		k->at = i;
	}
	return k->head && i - k->at < qw_span(k->head) && i != k->at ? check_member(qv, k, i) : 0;
}

/* Each slot's last position lies in the lap before the next one to be given out. */
static int check_lap(struct ipk_queue_view *qv, void *arg, u64 i, u64 w)
{
	struct check *k = arg;
	u64 given = qv_given(qv, i, w), now;
	bool behind = (i64)(given + qv->g.mask + 1 - qv->next) < 0;
	bool hidden = qw_st(w) == IPK_QUEUE_FULL && !qw_own(w) && !qw_rdc(w) &&
		      (i64)(given - qv->head) < 0;
	int r;

	if (!behind && !hidden)
		return 0;
	r = ipk_view_u64(qv->o->view, qv_slot(qv, i), &now);
	if (r < 0 || now != qv->raw)
		return r;
	if (behind && k->behind++ < FINDINGS_MAX)
		k->c->finding(k->c, "slot %llu is behind: position %lld while %llu is the next",
			      (unsigned long long)i, (long long)qc_pos(&qv->g, given),
			      (unsigned long long)qc_pos(&qv->g, qv->next));
	if (hidden && k->hidden++ < FINDINGS_MAX)
		k->c->finding(
			k->c,
			"the item at position %llu lies before the head and is never delivered",
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

/*
 * The hints, and then what all words say. They are read many at once: a burst's members maybe
 * before it was claimed, and its head after it was published. So what is ahead is looked at again.
 */
static int census(const struct ipk_object_view *o, struct ipk_queue_view *qv)
{
	struct ipk_queue_census c;
	int r = 0;

	for (int n = 0; r == 0 && n < LOOKS; n++) {
		r = ipk_queue_look(o, qv);
		qv->all = true;
		if (r == 0)
			r = ipk_queue_count_view(qv, &c);
		if (r == 0 && !ahead(qv, qv->head) && !ahead(qv, qv->tail))
			break;
	}
	return r;
}

int ipk_queue_check(const struct ipk_object_view *o, struct ipk_checker *c)
{
	struct check k = {.c = c};
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
	r = census(o, &qv);
	if (r < 0)
		return r;
	if (ahead(&qv, qv.head) || ahead(&qv, qv.tail))
		c->finding(c, "the %s is ahead of all positions",
			   ahead(&qv, qv.head) ? "head" : "tail");
	else
		r = ipk_queue_words(&qv, 0, qv.g.cap, check_lap, &k);
	if (r == 0 && qv.g.size == 0)
		r = ipk_queue_words(&qv, 0, qv.g.cap, check_value, &k);
	return r;
}
