/* SPDX-License-Identifier: MIT */
/* What a future holds, read without trust. */
#include "kinds/future.h"
#include "kinds/hooks.h"
#include "object_type.h"
#include "segment/view.h"

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

#define VALUE_AT offsetof(struct ipk_future_body, v)

int ipk_future_items(const struct ipk_object_view *o, uint64_t from, uint64_t to, ipk_item_fn *fn,
		     void *arg)
{
	return from == 0 && to > 0 ? ipk_word_item(o, VALUE_AT, IPK_FUT_SET, fn, arg) : 0;
}

int ipk_future_value(const struct ipk_object_view *o, struct ipk_buf *text)
{
	return ipk_word_line(o, VALUE_AT, IPK_FUT_SET, text);
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

/* Who has taken one may close the future before he drops it: workers look who lives, not who uses. */
static int check_then(void *arg, u64 off, const struct ipk_future_node *n)
{
	struct check *k = arg;
	u64 owner = n->own & IPK_WORD_OWNER;
	int gone = ipk_no_participant(k->o, owner);

	count_then(&k->t, off, n);
	k->c->block(k->c, off, sizeof(*n) + n->len);
	if (gone > 0)
		k->c->finding(k->c, "a continuation is taken by participant %llu, who does not exist",
			      (unsigned long long)owner - 1);
	return gone < 0 ? gone : 0;
}

static void check_value(struct check *k, const struct ipk_future_body *b)
{
	unsigned state = ipk_word_state(b->v.word);
	bool set = state == IPK_FUT_SET;
	u32 size;

	if (ipk_text_size(k->o->type, &size) == 0 && size != b->size)
		k->c->finding(k->c, "it says that an element has %llu bytes, its type %u",
			      (unsigned long long)b->size, size);
	ipk_word_check(k->c, &b->v, state_name(b->v.word), set || state == IPK_FUT_FAILED,
		       set ? b->size : 0);
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
	r = ipk_check_user(o, o->body + offsetof(struct ipk_future_body, v.word), b.v.word,
			   ipk_word_owner(b.v.word), "it is claimed by", c);
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
