/* SPDX-License-Identifier: MIT */
/* Is this ring what a ring can be? Each finding holds also while others push and pop. */
#include "kinds/ring_view.h"

#define FINDINGS_MAX 20u /* of one kind: more of them say nothing new */

struct check {
	struct ipk_checker *c;
	u32 sums;
};

static int check_record(struct ipk_ring_view *rv, void *arg, const struct ipk_ring_record *rec)
{
	struct check *k = arg;

	if (rv->g.flags & IPK_RING_SUM && ipk_ring_sum(rec->data, rec->len, rec->pos) != rec->sum &&
	    k->sums++ < FINDINGS_MAX)
		k->c->finding(k->c, "the checksum of the message at position %llu is wrong",
			      (unsigned long long)rec->pos);
	if (rv->g.flags & IPK_RING_FIXED && rec->len != rv->g.most)
		k->c->finding(k->c, "the message at position %llu has %llu bytes, not %llu",
			      (unsigned long long)rec->pos, (unsigned long long)rec->len,
			      (unsigned long long)rv->g.most);
	return 0;
}

static int check_records(struct ipk_ring_view *rv, struct ipk_checker *c)
{
	struct check k = {.c = c};
	u64 pos, head;
	int r = ipk_ring_records(rv, check_record, &k, &pos);

	if (r == -EBADMSG) {
		r = rv_head(rv, &head);
		if (r == 0 && (i64)(head - pos) <= 0)
			c->finding(c,
				   "there is no message at position %llu, where one should begin",
				   (unsigned long long)pos);
	}
	return r;
}

/* owner: slot + 1, from the word at field of the body under mask. */
static int check_owner(struct ipk_ring_view *rv, struct ipk_checker *c, const char *what,
		       size_t field, u64 word, u64 mask)
{
	struct ipk_participant_info p;
	u64 now;
	int r;

	if (!(word & mask))
		return 0;
	r = (word & mask) > IPK_SLOTS_MAX
		    ? -ENOENT
		    : ipk_view_participant(rv->o->view, (u32)(word & mask) - 1, &p);
	if (r != -ENOENT)
		return r;
	/* A finding only if it stayed so: else its owner left meanwhile. */
	r = ipk_view_u64(rv->o->view, rv->o->body + field, &now);
	if (r == 0 && now == word)
		c->finding(c, "its %s is participant %llu, who does not exist", what,
			   (unsigned long long)(word & mask) - 1);
	return r;
}

int ipk_ring_check(const struct ipk_object_view *o, struct ipk_checker *c)
{
	struct ipk_ring_view rv;
	int r = ipk_ring_look(o, &rv);

	if (r == -EBADMSG) {
		c->finding(
			c,
			rv.g.cap ? "its positions, or the lengths between them, cannot be"
				 : "capacity, element size and length of its memory do not agree");
		return 0;
	}
	if (r < 0)
		return r == -EAGAIN ? 0 : r;
	if (rv.body.shut > 2)
		c->finding(c, "it is neither open nor shut");
	if ((i64)(rv.body.shown - rv.tail) > 0)
		c->finding(c, "messages were given out that are not there");
	if (rv.body.end && (i64)(rv.head - (rv.body.end - 1)) > 0)
		c->finding(c, "messages were read behind its end");
	if (!rv.g.unit)
		r = check_records(&rv, c);
	if (r == 0)
		r = check_owner(&rv, c, "producer", offsetof(struct ipk_ring_body, producer),
				rv.body.producer, RING_OWN);
	if (r == 0)
		r = check_owner(&rv, c, "consumer", offsetof(struct ipk_ring_body, consumer),
				rv.body.consumer, RING_OWN);
	if (r == 0)
		r = check_owner(&rv, c, "producer", offsetof(struct ipk_ring_body, lock),
				rv.body.lock, IPK_LOCK_OWNER);
	return r;
}
