/* SPDX-License-Identifier: MIT */
/* Lazy values for C programs: handles, reading, and what the segment asks. See lazy.h. */
#include <stdlib.h>

#include "base/copy.h"
#include "kinds/await.h"
#include "kinds/cells.h"
#include "kinds/hooks.h"
#include "kinds/lazy.h"
#include "object_type.h"

/* ---- handle -------------------------------------------------------------------------- */

struct ipk_lazy_body *ipk_lazy_body(struct ipk_obj *obj)
{
	return ipk_body(obj, sizeof(struct ipk_lazy_body), NULL);
}

static int read_constants(struct ipk_lazy *l)
{
	u64 thunk = ipk_ld(&l->b->thunk, relaxed), len = ipk_ld(&l->b->text_len, relaxed);

	l->size = ipk_ld(&l->b->size, relaxed);
	l->text_len = len;
	if (thunk > IPK_LAZY_EXPR || len > IPK_LAZY_TEXT_MAX ||
	    !ipk_body(&l->obj, sizeof(*l->b) + len, NULL))
		return -EBADMSG;
	l->thunk = (enum ipk_lazy_thunk)thunk;
	l->text = malloc(len + 1);
	if (!l->text)
		return -ENOMEM;
	ipk_copy_out(l->text, l->b->text, len);
	l->text[len] = '\0';
	return 0;
}

int ipk_lazy_open(struct ipk_segment *seg, const char *name, const char *type,
		  struct ipk_lazy **ret_lazy, struct ipk_error *err)
{
	struct ipk_lazy *l;
	void *handle;
	int r;

	r = ipk_obj_open(seg, name, ipk_kind_lazy.id, ipk_kind_lazy.version,
			 sizeof(struct ipk_lazy_body), sizeof(*l), &handle, err);
	if (r < 0)
		return r;
	l = handle;
	l->b = ipk_lazy_body(&l->obj);
	r = l->b ? read_constants(l) : -EBADMSG;
	if (r < 0)
		ipk_error_set(err, r, "%s: %s", name,
			      r == -EBADMSG ? "the lazy value is damaged" : ipk_strerror(r));
	else
		r = ipk_obj_type(&l->obj, name, IPK_TYPE_OF_VALUES, l->size, type, &l->type, err);
	if (r < 0) {
		free(l->text);
		ipk_obj_close(&l->obj);
		return r;
	}
	*ret_lazy = l;
	return 0;
}

int ipk_lazy_create(struct ipk_segment *seg, const char *name, const char *type,
		    enum ipk_lazy_thunk thunk, const char *text, struct ipk_error *err)
{
	static const char *const names[] = {
		[IPK_LAZY_COMMAND] = "command", [IPK_LAZY_EXPR] = "expr"};
	struct ipk_param params[2];
	unsigned n = 0;

	if ((unsigned)thunk >= IPK_ARRAY_LEN(names) || (thunk == IPK_LAZY_CALLER && text))
		return ipk_error_set(err, -EINVAL, "no such thunk");
	if (type)
		params[n++] = (struct ipk_param){"type", type};
	if (names[thunk])
		params[n++] = (struct ipk_param){names[thunk], text};
	return ipk_object_new(seg, name, "lazy", params, n, err);
}

enum ipk_lazy_thunk ipk_lazy_thunk(struct ipk_lazy *l, const char **ret_text, size_t *ret_len)
{
	if (ret_text)
		*ret_text = l->text;
	if (ret_len)
		*ret_len = l->text_len;
	return l->thunk;
}

/* ---- reading ------------------------------------------------------------------------- */

int ipk_lazy_outcome(struct ipk_lazy *l, u64 word)
{
	switch (ipk_word_state(word)) {
	case IPK_LZY_READY:
		return 0;
	case IPK_LZY_FAILED:
		return -EREMOTEIO;
	default:
		break;
	}
	if (!ipk_word_owner(word) || ipk_owner_gone(l->obj.seg, ipk_word_owner(word)))
		return 1;
	return -EAGAIN;
}

enum ipk_lazy_state ipk_lazy_state(struct ipk_lazy *l)
{
	/* The word before the liveness of its owner. */
	switch (ipk_lazy_outcome(l, ipk_ld(&l->b->v.word, acquire))) {
	case 0:
		return IPK_LAZY_READY;
	case -EREMOTEIO:
		return IPK_LAZY_FAILED;
	case -EAGAIN:
		return IPK_LAZY_RUNNING;
	default:
		return IPK_LAZY_EMPTY;
	}
}

/* state: what is wanted. */
static int read_as(struct ipk_lazy *l, unsigned state, void *buf, size_t size, size_t *ret_len)
{
	u64 word, must = state == IPK_LZY_READY ? l->size : 0;
	int r;

	do {
		/* Acquire: value and len come with the word behind which they were stored. */
		word = ipk_ld(&l->b->v.word, acquire);
		if (ipk_word_state(word) != state) {
			r = state == IPK_LZY_READY ? ipk_lazy_outcome(l, word) : -ENOENT;
			return r > 0 ? -EAGAIN : r;
		}
		r = ipk_word_read(&l->obj, &l->b->v, word, must, buf, size, ret_len);
	} while (r == 1);
	return r;
}

int ipk_lazy_peek(struct ipk_lazy *l, void *buf, size_t size, size_t *ret_len)
{
	int r = read_as(l, IPK_LZY_READY, buf, size, ret_len);
	int after = ipk_after_read(&l->obj);

	return after < 0 ? after : r;
}

int ipk_lazy_error(struct ipk_lazy *l, char *buf, size_t size, size_t *ret_len)
{
	int r = read_as(l, IPK_LZY_FAILED, buf, size, ret_len);
	int after = ipk_after_read(&l->obj);

	return after < 0 ? after : r;
}

static int try_outcome(void *arg)
{
	struct ipk_lazy *l = arg;
	int r = ipk_lazy_outcome(l, ipk_ld(&l->b->v.word, acquire));

	return r > 0 ? -EAGAIN : r;
}

int ipk_lazy_wait(struct ipk_lazy *l, int64_t deadline)
{
	struct ipk_self *me;
	int r = try_outcome(l);

	if (r != -EAGAIN || deadline == IPK_NOWAIT)
		return r;
	if (!l->obj.seg->writable)
		return ipk_await_poll(&l->obj, try_outcome, l, deadline);
	me = ipk_use(&l->obj, &r);
	return me ? ipk_await(&l->obj, me, &l->b->ev, try_outcome, l, deadline) : r;
}

/* ---- what the segment asks ----------------------------------------------------------- */

bool ipk_lazy_attachable(struct ipk_obj *obj)
{
	return ipk_lazy_body(obj) != NULL;
}

struct mending {
	struct ipk_lazy_body *b;
	bool mended; /* out */
};

static int mend_tx(struct ipk_tx *tx, void *arg)
{
	struct mending *m = arg;
	u64 word = ipk_tx_get(tx, &m->b->v.word);

	m->mended = ipk_word_owner(word) && ipk_owner_gone(tx->seg, ipk_word_owner(word));
	if (!m->mended)
		return 0;
	ipk_tx_set(tx, &m->b->deaths, ipk_tx_get(tx, &m->b->deaths) + 1);
	ipk_tx_set(tx, &m->b->v.word, ipk_word_next(word, IPK_LZY_EMPTY, 0));
	return 0;
}

/* Who waits is to compute it now, one of them. */
int ipk_lazy_recover(struct ipk_obj *obj)
{
	struct mending m = {.b = ipk_lazy_body(obj)};
	struct ipk_self *me;
	int r;

	if (!m.b)
		return -EBADMSG;
	me = ipk_self(obj->seg, &r);
	if (!me)
		return r;
	/* In a transaction even to look: the dead one's own may still be in the journal. */
	r = IPK_BUG(lazy_dead_keep_it) ? 0 : ipk_tx_run(me, mend_tx, &m, IPK_FOREVER, NULL);
	if (!r && m.mended)
		ipk_event_notify(&m.b->ev, INT32_MAX);
	return r;
}

void ipk_lazy_wake(struct ipk_obj *obj)
{
	struct ipk_lazy_body *b = ipk_lazy_body(obj);

	if (b)
		ipk_event_notify(&b->ev, INT32_MAX);
}

static int destroy_tx(struct ipk_tx *tx, void *arg)
{
	struct ipk_lazy_body *b = arg;
	u64 word = ipk_tx_get(tx, &b->v.word);

	ipk_word_drop(tx, &b->v, ipk_word_next(word, IPK_LZY_EMPTY, 0));
	return 0;
}

int ipk_lazy_destroy(struct ipk_obj *obj)
{
	struct ipk_lazy_body *b = ipk_lazy_body(obj);

	return b ? ipk_tx_repeat(obj->seg, destroy_tx, b) : -EBADMSG;
}
