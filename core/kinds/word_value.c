/* SPDX-License-Identifier: MIT */
/* Values that belong to a word: see word_value.h. */
#include <stdlib.h>

#include "base/copy.h"
#include "kinds/word_value.h"
#include "segment/view.h"

#define TRIES 100 /* looks at what changes under them */

int ipk_word_put(struct ipk_tx *tx, struct ipk_word_value *v, u64 next, const void *data, u64 len)
{
	u64 off = 0;

	if (len) {
		off = ipk_tx_alloc(tx, len, 0);
		if (!off)
			return tx->error;
		/* Behind a fence in ipk_tx_alloc(), which pairs with that in ipk_word_read(): who
		 * reads this from a block that word named before sees that word was changed. */
		ipk_copy_in(tx->seg->base + off, data, len);
	}
	ipk_tx_set(tx, &v->value, off);
	ipk_tx_set(tx, &v->len, len);
	/* Behind them: the values are stored in this order. */
	ipk_tx_set(tx, &v->word, next);
	return 0;
}

void ipk_word_drop(struct ipk_tx *tx, struct ipk_word_value *v, u64 next)
{
	u64 off = ipk_tx_get(tx, &v->value);

	/* First: a reader who finds the block gone finds the word changed. */
	ipk_tx_set(tx, &v->word, next);
	ipk_tx_set(tx, &v->value, 0);
	ipk_tx_set(tx, &v->len, 0);
	if (off && ipk_block_size(tx->seg, off))
		ipk_tx_free(tx, off);
}

int ipk_word_read(struct ipk_obj *obj, struct ipk_word_value *v, u64 word, u64 must, void *buf,
		  size_t size, size_t *ret_len)
{
	u64 len = ipk_ld(&v->len, relaxed), off = ipk_ld(&v->value, relaxed);
	const void *data = len ? ipk_at(obj->seg, off, len, IPK_LINE) : "";
	int r = 0;

	if (!data || (must && len != must))
		r = -EBADMSG;
	else if (len > size)
		r = -EMSGSIZE;
	else if (len)
		ipk_copy_out(buf, data, len);
	/*
	 * Pairs with the fence in ipk_tx_alloc(), and with the release of what replaced the word.
	 */
	ipk_fence(acquire);
	if (ipk_ld(&v->word, relaxed) != word)
		return 1;
	if (r != -EBADMSG && ret_len)
		*ret_len = len;
	return r;
}

int ipk_word_give(struct ipk_call *call, ipk_word_reader *read, int *ret_error)
{
	struct ipk_item item = {.data = ""};
	char *buf = NULL, *more;
	size_t size = 0, len = 0;
	int r;

	while ((r = read(call, buf, size, &len)) == -EMSGSIZE && len > size) {
		more = realloc(buf, len);
		if (!more) {
			r = -ENOMEM;
			break;
		}
		buf = more;
		size = len;
	}
	*ret_error = r;
	if (!r) {
		if (len)
			item.data = buf;
		item.len = len;
		r = call->emit(call, &item);
		call->done = !r;
		if (!r)
			r = call->flush(call);
	}
	free(buf);
	return r;
}

/* Is the word still that one? */
static int still(const struct ipk_object_view *o, u64 off, u64 word)
{
	u64 again;
	int r;

	off += o->body + offsetof(struct ipk_word_value, word);
	r = ipk_view_u64(o->view, off, &again);
	return r < 0 ? r : again == word;
}

int ipk_word_view(const struct ipk_object_view *o, u64 off, const struct ipk_word_value *v,
		  void **ret_data)
{
	void *data = NULL;
	int r = v->len > ipk_view_size(o->view) ? -EBADMSG : 0, same;

	if (!r) {
		data = malloc(v->len ? v->len : 1);
		r = data ? 0 : -ENOMEM;
	}
	if (!r && v->len)
		r = v->value % IPK_LINE ? -EBADMSG : ipk_view_read(o->view, v->value, data, v->len);
	if (r != -ENOMEM) {
		same = still(o, off, v->word);
		if (same <= 0)
			r = same < 0 ? same : 1;
	}
	if (r)
		free(data);
	else
		*ret_data = data;
	return r;
}

int ipk_word_item(const struct ipk_object_view *o, u64 off, unsigned state, ipk_item_fn *fn,
		  void *arg)
{
	struct ipk_item item = {0};
	struct ipk_word_value v;
	void *data = NULL;
	int r = off + sizeof(v) > o->body_size ? -EBADMSG : 1;

	for (int tries = TRIES; tries && r == 1; tries--) {
		r = ipk_view_read(o->view, o->body + off, &v, sizeof(v));
		if (r < 0 || ipk_word_state(v.word) != state)
			return r;
		r = ipk_word_view(o, off, &v, &data);
	}
	if (r)
		return r < 0 ? r : -EAGAIN;
	item.data = data;
	item.len = v.len;
	r = fn(arg, &item);
	free(data);
	return r;
}

struct line {
	const struct ipk_object_view *o;
	struct ipk_buf *text;
};

static int print(void *arg, const struct ipk_item *item)
{
	struct line *l = arg;
	struct ipk_type *type;
	int r = ipk_type_parse(l->o->type, strlen(l->o->type), &type, NULL);

	if (r < 0)
		return r == -ENOMEM ? r : -EBADMSG;
	r = ipk_value_print(type, item->data, item->len, 0, l->text);
	ipk_type_free(type);
	return r < 0 ? r : ipk_buf_str(l->text, "\n");
}

int ipk_word_line(const struct ipk_object_view *o, u64 off, unsigned state, struct ipk_buf *text)
{
	struct line l = {.o = o, .text = text};

	return ipk_word_item(o, off, state, print, &l);
}

void ipk_word_check(struct ipk_checker *c, const struct ipk_word_value *v, const char *state,
		    bool has, u64 must)
{
	if ((v->len != 0) != (v->value != 0) || (v->len && !has))
		c->finding(c, "it is %s, and has a value of %llu bytes at %llu", state,
			   (unsigned long long)v->len, (unsigned long long)v->value);
	else if (has && must && v->len != must)
		c->finding(c, "its value has %llu bytes, an element %llu",
			   (unsigned long long)v->len, (unsigned long long)must);
	if (v->value)
		c->block(c, v->value, v->len);
}

const char *ipk_word_fault(struct ipk_repairer *r, const struct ipk_word_value *v, bool has,
			   u64 must)
{
	if ((v->len != 0) != (v->value != 0) || (v->len && !has))
		return "its value was none";
	if (has && must && v->len != must)
		return "its value had the wrong length";
	if (v->value && r->claim(r, v->value, v->len) != 0)
		return "its value was not where it should be";
	return NULL;
}
