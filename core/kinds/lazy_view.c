/* SPDX-License-Identifier: MIT */
/* What a lazy value holds, read without trust; checked, and mended. */
#include <stdlib.h>

#include "buf.h"
#include "kinds/hooks.h"
#include "kinds/lazy.h"
#include "kinds/mutex.h"
#include "object_type.h"
#include "segment/view.h"

#define VALUE_AT offsetof(struct ipk_lazy_body, v)

static int read_body(const struct ipk_object_view *o, struct ipk_lazy_body *ret)
{
	int r = ipk_view_body(o, ret, sizeof(*ret));

	if (r < 0)
		return r;
	return ipk_word_state(ret->v.word) <= IPK_LZY_FAILED ? 0 : -EBADMSG;
}

int ipk_lazy_inspect(const struct ipk_object_view *o, uint64_t *ret_used, uint64_t *ret_cap)
{
	struct ipk_lazy_body b;
	int r = read_body(o, &b);

	if (r < 0)
		return r;
	*ret_used = ipk_word_state(b.v.word) == IPK_LZY_READY;
	*ret_cap = 1;
	return 0;
}

int ipk_lazy_items(const struct ipk_object_view *o, uint64_t from, uint64_t to, ipk_item_fn *fn,
		   void *arg)
{
	return from == 0 && to > 0 ? ipk_word_item(o, VALUE_AT, IPK_LZY_READY, fn, arg) : 0;
}

int ipk_lazy_value(const struct ipk_object_view *o, struct ipk_buf *text)
{
	return ipk_word_line(o, VALUE_AT, IPK_LZY_READY, text);
}

int ipk_lazy_holders(const struct ipk_object_view *o, ipk_holder_fn *fn, void *arg)
{
	struct ipk_lazy_body b;
	int r = read_body(o, &b);

	if (r < 0 || !ipk_word_owner(b.v.word))
		return r;
	return fn(arg, (u32)ipk_word_owner(b.v.word) - 1, "evaluator", 1);
}

/* ---- the thunk ----------------------------------------------------------------------- */

/* Appends the thunk's text, and a NUL. */
static int read_text(const struct ipk_object_view *o, const struct ipk_lazy_body *b,
		     struct ipk_buf *text)
{
	u64 len = b->text_len;
	size_t at = text->len;
	int r;

	if (len > IPK_LAZY_TEXT_MAX || len > o->body_size - sizeof(*b))
		return -EBADMSG;
	r = ipk_buf_room(text, len + 1) ? 0 : -ENOMEM;
	if (!r)
		r = ipk_view_read(o->view, o->body + offsetof(struct ipk_lazy_body, text),
				  text->data + at, len);
	if (!r) {
		text->data[at + len] = '\0';
		text->len = at + len + 1;
	}
	return r;
}

/* In the order of the descriptor's params. */
int ipk_lazy_param(const struct ipk_object_view *o, unsigned i, struct ipk_buf *text)
{
	struct ipk_lazy_body b;
	int r = read_body(o, &b);

	if (r < 0 || b.thunk != (u64)i + 1)
		return r;
	r = read_text(o, &b, text);
	if (r < 0)
		return r;
	text->len--; /* the NUL */
	return 1;
}

/* ---- statistics ---------------------------------------------------------------------- */

static const char *state_name(u64 word)
{
	static const char *const names[] = {"empty", "ready", "failed"};

	return ipk_word_owner(word) ? "running" : names[ipk_word_state(word)];
}

const char *const ipk_lazy_stat_names[] = {"state",       "command", "expression", "reason",
					   "evaluations", "deaths",  "changes",    NULL};

static int add_item(void *arg, const struct ipk_item *item)
{
	return ipk_buf_add(arg, item->data, item->len);
}

static int visit_texts(const struct ipk_object_view *o, const struct ipk_lazy_body *b,
		       struct ipk_visitor *v)
{
	struct ipk_buf text = {0}, reason = {0};
	int r = 0;

	if (b->thunk == IPK_LAZY_COMMAND || b->thunk == IPK_LAZY_EXPR)
		r = read_text(o, b, &text);
	if (!r && text.len)
		r = v->str(v, ipk_lazy_stat_names[b->thunk], text.data);
	if (!r)
		r = ipk_word_item(o, VALUE_AT, IPK_LZY_FAILED, add_item, &reason);
	if (!r)
		r = ipk_buf_add(&reason, "", 1);
	if (!r && reason.len > 1)
		r = v->str(v, ipk_lazy_stat_names[3], reason.data);
	ipk_buf_free(&text);
	ipk_buf_free(&reason);
	return r;
}

int ipk_lazy_stats(const struct ipk_object_view *o, struct ipk_visitor *v)
{
	struct ipk_lazy_body b;
	int r = read_body(o, &b);

	if (!r)
		r = v->str(v, ipk_lazy_stat_names[0], state_name(b.v.word));
	if (!r)
		r = visit_texts(o, &b, v);
	if (!r)
		r = v->u64(v, ipk_lazy_stat_names[4], b.runs);
	if (!r)
		r = v->u64(v, ipk_lazy_stat_names[5], b.deaths);
	if (!r)
		r = v->u64(v, ipk_lazy_stat_names[6], b.v.word / IPK_WORD_ONE);
	return r;
}

/* ---- check --------------------------------------------------------------------------- */

static bool text_fits(const struct ipk_object_view *o, const struct ipk_lazy_body *b)
{
	if (b->text_len > IPK_LAZY_TEXT_MAX || b->text_len > o->body_size - sizeof(*b))
		return false;
	return b->thunk == IPK_LAZY_CALLER ? !b->text_len : b->thunk <= IPK_LAZY_EXPR;
}

int ipk_lazy_check(const struct ipk_object_view *o, struct ipk_checker *c)
{
	struct ipk_lazy_body b, again;
	unsigned state;
	u32 size;
	int r = read_body(o, &b);

	if (r == -EBADMSG) {
		c->finding(c, "the lazy value is cut short, or its state is none");
		return 0;
	}
	if (r < 0 || (r = ipk_view_body(o, &again, sizeof(again))) < 0)
		return r;
	if (ipk_text_size(o->type, &size) == 0 && size != b.size)
		c->finding(c, "elements of %llu bytes, and not of %u", (unsigned long long)b.size,
			   size);
	if (!text_fits(o, &b))
		c->finding(c, "what it is to be computed by cannot be read");
	if (memcmp(&again, &b, offsetof(struct ipk_lazy_body, ev)))
		return 0; /* it changes as we look */
	state = ipk_word_state(b.v.word);
	ipk_word_check(c, &b.v, state_name(b.v.word), state != IPK_LZY_EMPTY,
		       state == IPK_LZY_READY ? b.size : 0);
	if (b.v.word & IPK_WORD_FD || (ipk_word_owner(b.v.word) && state != IPK_LZY_EMPTY))
		c->finding(c, "it is computed by somebody, and there already");
	return ipk_mtx_check(o, o->body + VALUE_AT + offsetof(struct ipk_word_value, word), c);
}

/* ---- repair -------------------------------------------------------------------------- */

/* What it was can be computed again, so what is doubtful is dropped. */
static void drop(struct ipk_lazy_body *b, struct ipk_repairer *r, const char *why)
{
	b->v.word = ipk_word_next(b->v.word, IPK_LZY_EMPTY, 0);
	b->v.value = b->v.len = 0;
	r->did(r, "it is empty again: %s", why);
}

static void repair_value(struct ipk_lazy_body *b, struct ipk_repairer *r)
{
	unsigned state = ipk_word_state(b->v.word);
	const char *why;

	if (state > IPK_LZY_FAILED || b->v.word & IPK_WORD_FD)
		why = "its state was none";
	else if (state != IPK_LZY_EMPTY && ipk_word_owner(b->v.word))
		why = "it was computed, and somebody computed it";
	else
		why = ipk_word_fault(r, &b->v, state != IPK_LZY_EMPTY,
				     state == IPK_LZY_READY ? b->size : 0);
	if (why)
		drop(b, r, why);
}

static int repair_owner(const struct ipk_object_view *o, struct ipk_lazy_body *b,
			struct ipk_repairer *r)
{
	int gone = ipk_no_user(o, ipk_word_owner(b->v.word));

	if (gone > 0)
		drop(b, r, "nobody is at it any more");
	return gone < 0 ? gone : 0;
}

static void repair_thunk(const struct ipk_object_view *o, struct ipk_lazy_body *b,
			 struct ipk_repairer *r)
{
	if (text_fits(o, b))
		return;
	b->thunk = IPK_LAZY_CALLER;
	b->text_len = 0;
	r->did(r, "what it was to be computed by is lost: programs have to know");
}

int ipk_lazy_repair(const struct ipk_object_view *o, struct ipk_repairer *r)
{
	struct ipk_lazy_body *b =
		o->body_size < sizeof(*b) ? NULL : r->at(r, o->body, o->body_size);
	u32 size;

	if (!b)
		return -EBADMSG;
	if (ipk_text_size(o->type, &size) == 0 && size != b->size) {
		b->size = size;
		r->did(r, "elements of %u bytes, as their type says", size);
	}
	repair_thunk(o, b, r);
	repair_value(b, r);
	return repair_owner(o, b, r);
}
