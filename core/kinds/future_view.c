/* SPDX-License-Identifier: MIT */
/*
 * What a future holds, read without trust. A value belongs to a word when that is the same before
 * and after: no word comes twice.
 */
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
	return ipk_fut_state(ret->word) <= IPK_FUT_BROKEN ? 0 : -EBADMSG;
}

/* Is the future's word still that one? */
static int still(const struct ipk_object_view *o, u64 word)
{
	u64 again;
	int r = ipk_view_u64(o->view, o->body + offsetof(struct ipk_future_body, word), &again);

	return r < 0 ? r : again == word;
}

int ipk_future_inspect(const struct ipk_object_view *o, uint64_t *ret_used, uint64_t *ret_cap)
{
	struct ipk_future_body b;
	int r = read_body(o, &b);

	if (r < 0)
		return r;
	*ret_used = ipk_fut_state(b.word) == IPK_FUT_SET;
	*ret_cap = 1;
	return 0;
}

/* ---- the value ----------------------------------------------------------------------- */

/* The bytes that belong to b.word, in private memory. 1: that has changed. */
static int read_data(const struct ipk_object_view *o, const struct ipk_future_body *b,
		     void **ret_data)
{
	void *data = NULL;
	int r = b->len > ipk_view_size(o->view) ? -EBADMSG : 0, same;

	if (!r) {
		data = malloc(b->len ? b->len : 1);
		r = data ? 0 : -ENOMEM;
	}
	if (!r && b->len)
		r = b->value % IPK_LINE ? -EBADMSG : ipk_view_read(o->view, b->value, data, b->len);
	if (r != -ENOMEM) {
		same = still(o, b->word);
		if (same <= 0)
			r = same < 0 ? same : 1;
	}
	if (r)
		free(data);
	else
		*ret_data = data;
	return r;
}

/* The value, if there is one: 1, 0 when there is none. */
static int read_value(const struct ipk_object_view *o, struct ipk_future_body *b, void **ret_data)
{
	int r = -EAGAIN;

	for (int tries = TRIES; tries; tries--) {
		r = read_body(o, b);
		if (r < 0 || ipk_fut_state(b->word) != IPK_FUT_SET)
			return r;
		r = read_data(o, b, ret_data);
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
	item.len = b.len;
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
	t->taken += (n->own & IPK_FUT_OWNER) != 0;
	t->last = off;
	return 0;
}

static const char *state_name(u64 word)
{
	static const char *const names[] = {"pending", "set", "failed", "broken"};

	return names[ipk_fut_state(word)];
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
		r = v->str(v, ipk_future_stat_names[0], state_name(b.word));
	if (!r)
		r = v->boolean(v, ipk_future_stat_names[1], ipk_fut_owner(b.word) != 0);
	if (!r)
		r = v->u64(v, ipk_future_stat_names[2], t.n);
	if (!r)
		r = v->u64(v, ipk_future_stat_names[3], t.taken);
	if (!r)
		r = v->u64(v, ipk_future_stat_names[4], b.word / IPK_FUT_ONE);
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
	if (!(n->own & IPK_FUT_OWNER))
		return 0;
	return h->fn(h->arg, (u32)(n->own & IPK_FUT_OWNER) - 1, "worker", 1);
}

int ipk_future_holders(const struct ipk_object_view *o, ipk_holder_fn *fn, void *arg)
{
	struct holding h = {.fn = fn, .arg = arg};
	struct ipk_future_body b;
	int r = read_body(o, &b);

	if (r < 0)
		return r;
	if (ipk_fut_owner(b.word))
		r = fn(arg, (u32)ipk_fut_owner(b.word) - 1,
		       b.word & IPK_FUT_FD ? "holder" : "setter", 1);
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
	return check_owner(k, n->own & IPK_FUT_OWNER, "a continuation is taken");
}

static void check_value(struct check *k, const struct ipk_future_body *b)
{
	unsigned state = ipk_fut_state(b->word);
	bool has = state == IPK_FUT_SET || state == IPK_FUT_FAILED;

	if ((b->len != 0) != (b->value != 0) || (b->len && !has))
		k->c->finding(k->c, "it is %s, and has a value of %llu bytes at %llu",
			      state_name(b->word), (unsigned long long)b->len,
			      (unsigned long long)b->value);
	else if (state == IPK_FUT_SET && b->size && b->len != b->size)
		k->c->finding(k->c, "its value has %llu bytes, an element %llu",
			      (unsigned long long)b->len, (unsigned long long)b->size);
	if (b->value)
		k->c->block(k->c, b->value, b->len);
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
	if (ipk_fut_owner(b.word) && ipk_fut_state(b.word) != IPK_FUT_PENDING)
		c->finding(c, "it is %s, and claimed", state_name(b.word));
	r = check_owner(&k, ipk_fut_owner(b.word), "it is claimed");
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
