/* SPDX-License-Identifier: MIT */
/* Is this ring what a ring can be? Each finding holds also while others push and pop. */
#include "kinds/hooks.h"
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

int ipk_ring_check(const struct ipk_object_view *o, struct ipk_checker *c)
{
	struct ipk_ring_view rv;
	const struct {
		const u64 *word;
		size_t field;
		u64 mask;
		const char *what;
	} owned[] = {
		{&rv.body.producer, offsetof(struct ipk_ring_body, producer), RING_OWN,
		 "its producer is"},
		{&rv.body.consumer, offsetof(struct ipk_ring_body, consumer), RING_OWN,
		 "its consumer is"},
		{&rv.body.lock, offsetof(struct ipk_ring_body, lock), IPK_LOCK_OWNER,
		 "its producer is"},
	};
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
	for (unsigned i = 0; r == 0 && i < IPK_ARRAY_LEN(owned); i++)
		r = ipk_check_user(o, o->body + owned[i].field, *owned[i].word,
				   *owned[i].word & owned[i].mask, owned[i].what, c);
	return r;
}
