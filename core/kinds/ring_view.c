/* SPDX-License-Identifier: MIT */
/*
 * What a ring holds, read without trust. What was unread after it was copied had not been
 * overwritten before: nobody writes to what the consumer has not passed.
 */
#include "kinds/ring_view.h"
#include "segment/view.h"
#include "object_type.h"

#define TRIES 100 /* looks at a ring that changes under them */

static int read_word(const struct ipk_object_view *o, size_t field, u64 *ret)
{
	return ipk_view_u64(o->view, o->body + field, ret);
}

/* T, from the hint on: as ipk_ring_find_tail(). -EAGAIN: others went around meanwhile. */
static int find_tail(struct ipk_ring_view *rv)
{
	u64 tail = rv->tail, steps, head, word;
	int r;

	rv->later = 0;
	for (steps = rv->g.cap / 8; steps; steps--) {
		r = ipk_view_u64(rv->o->view, rv_at(rv, tail), &word);
		if (r < 0)
			return r;
		if ((u32)word == 0 || ring_word_len(word) > rv->g.most)
			break;
		tail += ipk_ring_need(ring_word_len(word));
		rv->later++;
	}
	r = rv_head(rv, &head);
	if (r < 0)
		return r;
	/* What was walked over still is what it was. */
	if ((i64)(head - rv->tail) > 0)
		return -EAGAIN;
	rv->tail = tail;
	return !steps || (u32)word ? -EBADMSG : 0;
}

static int look(struct ipk_ring_view *rv)
{
	const struct ipk_object_view *o = rv->o;
	int r = read_word(o, offsetof(struct ipk_ring_body, head), &rv->head);

	if (r == 0) /* after head: it is never behind it, but as a hint */
		r = read_word(o, offsetof(struct ipk_ring_body, tail), &rv->tail);
	if (r < 0)
		return r;
	if (!rv->g.unit) {
		if ((i64)(rv->tail - rv->head) < 0)
			rv->tail = rv->head;
		if ((rv->head | rv->tail) & 7)
			return -EBADMSG;
		r = find_tail(rv);
		if (r < 0)
			return r;
	}
	if (rv->body.end && (i64)(rv->tail - (rv->body.end - 1)) > 0 &&
	    (i64)(rv->body.end - 1 - rv->head) >= 0)
		rv->tail = rv->body.end - 1; /* what lies behind does not count */
	if (rv->tail - rv->head <= rv->g.lap)
		return 0;
	/* The consumer may have gone on between the two. */
	r = rv_head(rv, &rv->head);
	return r < 0 ? r : rv->tail - rv->head <= rv->g.lap ? -EAGAIN : -EBADMSG;
}

static int check_type(const struct ipk_object_view *o, const struct ipk_ring_shape *g)
{
	u32 size;
	int r = ipk_text_size(o->type, &size);

	if (r < 0)
		return r;
	return ipk_ring_fits(g, size) ? 0 : -EBADMSG;
}

int ipk_ring_look(const struct ipk_object_view *o, struct ipk_ring_view *ret)
{
	int r = 0;

	*ret = (struct ipk_ring_view){.o = o};
	if (o->body_size < sizeof(ret->body))
		return -EBADMSG;
	for (int n = TRIES; n; n--) {
		r = ipk_view_read(o->view, o->body, &ret->body, sizeof(ret->body));
		if (r == 0)
			r = ipk_ring_measure(&ret->body, o->body, o->body_size, &ret->g);
		if (r == 0)
			r = check_type(o, &ret->g);
		if (r == 0)
			r = look(ret);
		if (r != -EAGAIN)
			return r;
	}
	return r;
}

/* ---- what is told ---------------------------------------------------------------------------- */

static u64 bytes_of(const struct ipk_ring_view *rv, u64 units)
{
	return rv->g.unit ? units * rv->g.unit : units;
}

int ipk_ring_inspect(const struct ipk_object_view *o, uint64_t *ret_used, uint64_t *ret_cap)
{
	struct ipk_ring_view rv;
	int r = ipk_ring_look(o, &rv);

	if (r < 0)
		return r;
	*ret_used = bytes_of(&rv, rv.tail - rv.head);
	*ret_cap = rv.g.cap;
	return 0;
}

const char *const ipk_ring_stat_names[] = {"pushed", "popped",  "written", "read",
					   "peeked", "corrupt", "closed",  NULL};

int ipk_ring_stats(const struct ipk_object_view *o, struct ipk_visitor *v)
{
	struct ipk_ring_view rv;
	u64 val[IPK_ARRAY_LEN(ipk_ring_stat_names) - 1], peeked;
	int r = ipk_ring_look(o, &rv);

	if (r < 0)
		return r;
	peeked = rv.body.shown - rv.head;
	val[0] = rv.g.unit ? rv.tail : rv.body.pushed + rv.later;
	val[1] = rv.g.unit ? rv.head : rv.body.popped;
	val[2] = bytes_of(&rv, rv.tail);
	val[3] = bytes_of(&rv, rv.head);
	val[4] = peeked <= rv.g.lap ? bytes_of(&rv, peeked) : 0;
	val[5] = rv.body.corrupt;
	val[6] = rv.body.shut != 0;
	for (unsigned i = 0; r == 0 && ipk_ring_stat_names[i]; i++)
		r = v->u64(v, ipk_ring_stat_names[i], val[i]);
	return r;
}

int ipk_ring_holders(const struct ipk_object_view *o, ipk_holder_fn *fn, void *arg)
{
	struct ipk_ring_body body = {0};
	int r = ipk_view_body(o, &body, sizeof(body));

	if (r == 0 && ring_owner(body.producer))
		r = fn(arg, ring_owner(body.producer) - 1, "producer", 1);
	if (r == 0 && body.lock & IPK_LOCK_OWNER)
		r = fn(arg, (u32)(body.lock & IPK_LOCK_OWNER) - 1, "producer", 1);
	if (r == 0 && ring_owner(body.consumer))
		r = fn(arg, ring_owner(body.consumer) - 1, "consumer", 1);
	return r;
}
