/* SPDX-License-Identifier: MIT */
/* What a future holds, read without trust. */
#include <stdlib.h>

#include "kinds/future.h"
#include "segment/view.h"

#define TRIES 100 /* looks at what changes under them */

static int read_body(const struct ipk_object_view *o, struct ipk_future_body *ret)
{
	int r;

	r = ipk_view_body(o, ret, sizeof(*ret));
	if (r < 0)
		return r;
	return ipk_word_state(ret->v.word) <= IPK_FUT_BROKEN ? 0 : -EBADMSG;
}

int ipk_future_inspect(const struct ipk_object_view *o, uint64_t *ret_used, uint64_t *ret_cap)
{
	struct ipk_future_body b;
	int r = read_body(o, &b);

	if (r < 0)
		return r;
	*ret_used = ipk_word_state(b.v.word) == IPK_FUT_SET;
	*ret_cap = 1;
	return 0;
}

/* ---- the value ----------------------------------------------------------------------- */

/* The value, if there is one: 1, 0 when there is none. */
static int read_value(const struct ipk_object_view *o, struct ipk_future_body *b, void **ret_data)
{
	int r = -EAGAIN;

	for (int tries = TRIES; tries; tries--) {
		r = read_body(o, b);
		if (r < 0 || ipk_word_state(b->v.word) != IPK_FUT_SET)
			return r;
		r = ipk_word_view(o, offsetof(struct ipk_future_body, v), &b->v, ret_data);
		if (r <= 0)
			return r < 0 ? r : 1;
	}
	return -EAGAIN;
}

int ipk_future_items(const struct ipk_object_view *o, uint64_t from, uint64_t to, ipk_item_fn *fn,
		     void *arg)
{
	struct ipk_future_body b;
	struct ipk_item item = {0};
	void *data;
	int r = from == 0 && to > 0 ? read_value(o, &b, &data) : 0;

	if (r <= 0)
		return r;
	item.data = data;
	item.len = b.v.len;
	r = fn(arg, &item);
	free(data);
	return r;
}

struct printing {
	const struct ipk_object_view *o;
	struct ipk_buf *text;
};

static int print(void *arg, const struct ipk_item *item)
{
	struct printing *p = arg;
	struct ipk_type *type;
	int r = ipk_type_parse(p->o->type, strlen(p->o->type), &type, NULL);

	if (r < 0)
		return r == -ENOMEM ? r : -EBADMSG;
	r = ipk_value_print(type, item->data, item->len, 0, p->text);
	ipk_type_free(type);
	return r < 0 ? r : ipk_buf_str(p->text, "\n");
}

int ipk_future_value(const struct ipk_object_view *o, struct ipk_buf *text)
{
	struct printing p = {.o = o, .text = text};

	return ipk_future_items(o, 0, 1, print, &p);
}

/* ---- continuations ------------------------------------------------------------------- */

/* Calls fn for each; -EBADMSG also where they are just being changed. */
static int each_then(const struct ipk_object_view *o, const struct ipk_future_body *b,
		     int (*fn)(void *arg, u64 off, const struct ipk_future_node *n), void *arg)
{
	u64 off = b->first;
	int r = 0;

	for (u32 left = IPK_FUTURE_THENS_MAX + 1; !r && off; left--) {
		struct ipk_future_node n;

		if (!left || off % IPK_LINE)
			return -EBADMSG;
		r = ipk_view_read(o->view, off, &n, sizeof(n));
		if (!r && n.len > IPK_FUTURE_TEXT_MAX)
			r = -EBADMSG;
		if (!r)
			r = fn(arg, off, &n);
		off = n.next;
	}
	return r;
}

struct thens {
	u64 n, taken, last;
};

static int count_then(void *arg, u64 off, const struct ipk_future_node *n)
{
	struct thens *t = arg;

	t->n++;
	t->taken += (n->own & IPK_WORD_OWNER) != 0;
	t->last = off;
	return 0;
}

static const char *state_name(u64 word)
{
	static const char *const names[] = {"pending", "set", "failed", "broken"};

	return names[ipk_word_state(word)];
}

const char *const ipk_future_stat_names[] = {"state", "claimed", "continuations",
					     "taken", "changes", NULL};

int ipk_future_stats(const struct ipk_object_view *o, struct ipk_visitor *v)
{
	struct ipk_future_body b;
	struct thens t = {0};
	int r = read_body(o, &b);

	if (r < 0)
		return r;
	r = each_then(o, &b, count_then, &t);
	if (r == -EBADMSG) {
		t.n = b.thens; /* they change as we look */
		r = 0;
	}
	if (!r)
		r = v->str(v, ipk_future_stat_names[0], state_name(b.v.word));
	if (!r)
		r = v->boolean(v, ipk_future_stat_names[1], ipk_word_owner(b.v.word) != 0);
	if (!r)
		r = v->u64(v, ipk_future_stat_names[2], t.n);
	if (!r)
		r = v->u64(v, ipk_future_stat_names[3], t.taken);
	if (!r)
		r = v->u64(v, ipk_future_stat_names[4], b.v.word / IPK_WORD_ONE);
	return r;
}

struct holding {
	ipk_holder_fn *fn;
	void *arg;
};

static int hold_then(void *arg, u64 off, const struct ipk_future_node *n)
{
	struct holding *h = arg;

	(void)off;
	if (!(n->own & IPK_WORD_OWNER))
		return 0;
	return h->fn(h->arg, (u32)(n->own & IPK_WORD_OWNER) - 1, "worker", 1);
}

int ipk_future_holders(const struct ipk_object_view *o, ipk_holder_fn *fn, void *arg)
{
	struct holding h = {.fn = fn, .arg = arg};
	struct ipk_future_body b;
	int r = read_body(o, &b);

	if (r < 0)
		return r;
	if (ipk_word_owner(b.v.word))
		r = fn(arg, (u32)ipk_word_owner(b.v.word) - 1,
		       b.v.word & IPK_WORD_FD ? "holder" : "setter", 1);
	if (!r)
		r = each_then(o, &b, hold_then, &h);
	return r == -EBADMSG ? 0 : r; /* they change as we look */
}

/* ---- check --------------------------------------------------------------------------- */

struct check {
	const struct ipk_object_view *o;
	struct ipk_checker *c;
	struct thens t;
};

static int check_owner(struct check *k, u64 owner, const char *what)
{
	struct ipk_participant_info p;
	int r = -ENOENT;

	if (!owner)
		return 0;
	if (owner <= IPK_SLOTS_MAX)
		r = ipk_view_participant(k->o->view, (u32)owner - 1, &p);
	if (r != -ENOENT)
		return r;
	k->c->finding(k->c, "%s by participant %llu, who does not exist", what,
		      (unsigned long long)owner - 1);
	return 0;
}

static int check_then(void *arg, u64 off, const struct ipk_future_node *n)
{
	struct check *k = arg;

	count_then(&k->t, off, n);
	k->c->block(k->c, off, sizeof(*n) + n->len);
	return check_owner(k, n->own & IPK_WORD_OWNER, "a continuation is taken");
}

static void check_value(struct check *k, const struct ipk_future_body *b)
{
	unsigned state = ipk_word_state(b->v.word);
	bool has = state == IPK_FUT_SET || state == IPK_FUT_FAILED;

	if ((b->v.len != 0) != (b->v.value != 0) || (b->v.len && !has))
		k->c->finding(k->c, "it is %s, and has a value of %llu bytes at %llu",
			      state_name(b->v.word), (unsigned long long)b->v.len,
			      (unsigned long long)b->v.value);
	else if (state == IPK_FUT_SET && b->size && b->v.len != b->size)
		k->c->finding(k->c, "its value has %llu bytes, an element %llu",
			      (unsigned long long)b->v.len, (unsigned long long)b->size);
	if (b->v.value)
		k->c->block(k->c, b->v.value, b->v.len);
}

int ipk_future_check(const struct ipk_object_view *o, struct ipk_checker *c)
{
	struct check k = {.o = o, .c = c};
	struct ipk_future_body b, again;
	int r = read_body(o, &b);

	if (r == -EBADMSG) {
		c->finding(c, "the future is cut short, or its state is none");
		return 0;
	}
	if (r < 0)
		return r;
	check_value(&k, &b);
	if (ipk_word_owner(b.v.word) && ipk_word_state(b.v.word) != IPK_FUT_PENDING)
		c->finding(c, "it is %s, and claimed", state_name(b.v.word));
	r = check_owner(&k, ipk_word_owner(b.v.word), "it is claimed");
	if (!r)
		r = each_then(o, &b, check_then, &k);
	if (r < 0 && r != -EBADMSG)
		return r;
	if (read_body(o, &again) < 0 || memcmp(&again, &b, offsetof(struct ipk_future_body, ev)))
		return 0; /* it changed meanwhile */
	if (r == -EBADMSG)
		c->finding(c, "its list of continuations leads nowhere");
	else if (k.t.n != b.thens || k.t.last != b.last)
		c->finding(c, "it says that it has %llu continuations, and there are %llu",
			   (unsigned long long)b.thens, (unsigned long long)k.t.n);
	return 0;
}
