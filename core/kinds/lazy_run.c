/* SPDX-License-Identifier: MIT */
/* Lazy values: who computes one, and what becomes of that. */
#include <stdlib.h>

#include "kinds/await.h"
#include "kinds/cells.h"
#include "kinds/lazy.h"

/* Runs fn as a transaction; who waits looks again when it changed something. */
static int change(struct ipk_lazy *l, int (*fn)(struct ipk_tx *tx, void *arg), void *arg)
{
	struct ipk_self *me;
	int r;

	if (!l->obj.seg->writable)
		return -EACCES;
	me = ipk_use(&l->obj, &r);
	if (!me)
		return r;
	r = ipk_tx_run(me, fn, arg, IPK_FOREVER, NULL);
	if (r >= 0 && !IPK_BUG(lazy_change_silent))
		ipk_event_notify(&l->b->ev, INT32_MAX);
	return r;
}

static void count(struct ipk_tx *tx, u64 *counter)
{
	ipk_tx_set(tx, counter, ipk_tx_get(tx, counter) + 1);
}

/* ---- beginning ----------------------------------------------------------------------- */

struct wish {
	struct ipk_lazy *l;
	struct ipk_self *me;
	bool able;
	u64 word; /* out: with which it began */
};

static int begin_tx(struct ipk_tx *tx, void *arg)
{
	struct wish *w = arg;
	struct ipk_lazy_body *b = w->l->b;
	u64 word = ipk_tx_get(tx, &b->v.word);
	int r = ipk_lazy_outcome(w->l, word);

	if (r <= 0)
		return r;
	if (ipk_word_owner(word))
		count(tx, &b->deaths);
	w->word = ipk_word_next(word, IPK_LZY_EMPTY, (u64)w->me->slot + 1);
	ipk_tx_set(tx, &b->v.word, w->word);
	return 1;
}

static int try_begin(void *arg)
{
	struct wish *w = arg;
	/* Acquire: the word before the liveness of its owner, and a value before its reading. */
	u64 word = ipk_ld(&w->l->b->v.word, acquire);
	int r = ipk_lazy_outcome(w->l, word);

	if (r <= 0)
		return r;
	return w->able ? ipk_tx_run(w->me, begin_tx, w, IPK_FOREVER, NULL) : -EOPNOTSUPP;
}

int ipk_lazy_begin_able(struct ipk_lazy *l, struct ipk_lazy_run *ret_run, i64 deadline, bool able)
{
	struct wish w = {.l = l, .able = able};
	u64 word = ipk_ld(&l->b->v.word, acquire);
	int r;

	if (ipk_likely(ipk_word_state(word) == IPK_LZY_READY))
		return 0;
	if (ipk_word_state(word) == IPK_LZY_FAILED)
		return -EREMOTEIO;
	if (!l->obj.seg->writable)
		return -EACCES;
	w.me = ipk_use(&l->obj, &r);
	if (!w.me)
		return r;
	if (ipk_word_owner(word) == (u64)w.me->slot + 1)
		return -EDEADLK;
	r = ipk_await(&l->obj, w.me, &l->b->ev, try_begin, &w, deadline);
	if (r <= 0)
		return r;
	ipk_hold_get(w.me);
	ipk_st(&l->began, w.word, relaxed);
	ret_run->word = w.word;
	return 1;
}

int ipk_lazy_begin(struct ipk_lazy *l, struct ipk_lazy_run *ret_run, int64_t deadline)
{
	return ipk_lazy_begin_able(l, ret_run, deadline, true);
}

/* ---- ending -------------------------------------------------------------------------- */

struct ending {
	struct ipk_lazy *l;
	u64 word; /* with which it began */
	unsigned state;
	const void *data;
	size_t len;
};

static int end_tx(struct ipk_tx *tx, void *arg)
{
	struct ending *e = arg;
	struct ipk_lazy_body *b = e->l->b;
	u64 next = ipk_word_next(e->word, e->state, 0);

	if (ipk_tx_get(tx, &b->v.word) != e->word)
		return -EPERM;
	if (e->state == IPK_LZY_EMPTY) {
		ipk_tx_set(tx, &b->v.word, next);
		return 0;
	}
	count(tx, &b->runs);
	return ipk_word_put(tx, &b->v, next, e->data, e->len);
}

static int end(struct ipk_lazy *l, struct ipk_lazy_run *run, unsigned state, const void *data,
	       size_t len)
{
	struct ending e = {.l = l, .word = run->word, .state = state, .data = data, .len = len};
	/* NULL in a child of fork(), too, which has its parent's words. */
	struct ipk_self *self = ipk_owner_of_process(l->obj.seg, ipk_word_owner(e.word));
	int r;

	if (!e.word || !self)
		return -EPERM;
	do
		r = change(l, end_tx, &e);
	while (r == -EINTR || r == -ECANCELED); /* what was begun is ended */
	if (r == 0 || r == -EPERM) {
		ipk_hold_put(self);
		run->word = 0;
	}
	return r;
}

int ipk_lazy_done(struct ipk_lazy *l, struct ipk_lazy_run *run, const void *value, size_t len)
{
	if (l->size && len != l->size)
		return -EINVAL;
	return end(l, run, IPK_LZY_READY, value, len);
}

int ipk_lazy_fail(struct ipk_lazy *l, struct ipk_lazy_run *run, const char *text, size_t len)
{
	if (len > IPK_LAZY_TEXT_MAX)
		return -EMSGSIZE;
	return end(l, run, IPK_LZY_FAILED, text, len);
}

int ipk_lazy_abandon(struct ipk_lazy *l, struct ipk_lazy_run *run)
{
	return end(l, run, IPK_LZY_EMPTY, NULL, 0);
}

void ipk_lazy_close(struct ipk_lazy *l)
{
	struct ipk_lazy_run run;

	if (!l)
		return;
	/* Without the handle nobody would list the object, and our death at it would go unseen. */
	run.word = ipk_ld(&l->began, relaxed);
	if (run.word && run.word == ipk_ld(&l->b->v.word, acquire))
		ipk_lazy_abandon(l, &run);
	free(l->text);
	ipk_type_free(l->type);
	ipk_obj_close(&l->obj);
}

/* ---- all of it ----------------------------------------------------------------------- */

/* Computes it and stores what comes of it. 1: in vain, it was reset meanwhile. */
static int compute(struct ipk_lazy *l, struct ipk_lazy_run *run, ipk_lazy_fn *fn, void *arg)
{
	struct ipk_buf out = {0};
	int r = fn(arg, &out), stored = 0;

	if (r >= 0) {
		stored = ipk_lazy_done(l, run, out.data, out.len);
		r = stored;
	} else if (out.len) {
		stored = ipk_lazy_fail(l, run, out.data,
				       out.len < IPK_LAZY_TEXT_MAX ? out.len : IPK_LAZY_TEXT_MAX);
		r = stored < 0 ? stored : -EREMOTEIO;
	}
	ipk_buf_free(&out);
	if (stored == -EPERM)
		return 1;
	if (run->word)
		ipk_lazy_abandon(l, run);
	return r;
}

int ipk_lazy_force(struct ipk_lazy *l, ipk_lazy_fn *fn, void *arg, void *buf, size_t size,
		   size_t *ret_len, int64_t deadline)
{
	struct ipk_lazy_call own = {.l = l};
	struct ipk_lazy_run run = {0};
	int r;

	if (!fn && l->thunk == IPK_LAZY_EXPR) {
		fn = ipk_lazy_evaluate;
		arg = &own;
	}
	for (;;) {
		r = ipk_lazy_begin_able(l, &run, deadline, fn != NULL);
		if (r > 0)
			r = compute(l, &run, fn, arg);
		if (r < 0)
			return r;
		if (r == 0)
			r = ipk_lazy_peek(l, buf, size, ret_len);
		if (r <= 0 && r != -EAGAIN)
			return r;
		/* It was reset since. */
		if (deadline == IPK_NOWAIT)
			return -EAGAIN;
		if (deadline != IPK_FOREVER && ipk_now() >= deadline)
			return -ETIMEDOUT;
	}
}

/* ---- besides ------------------------------------------------------------------------- */

static int reset_tx(struct ipk_tx *tx, void *arg)
{
	struct ipk_word_value *v = &((struct ipk_lazy *)arg)->b->v;
	u64 word = ipk_tx_get(tx, &v->word);

	if (ipk_word_state(word) != IPK_LZY_EMPTY || ipk_word_owner(word))
		ipk_word_drop(tx, v, ipk_word_next(word, IPK_LZY_EMPTY, 0));
	return 0;
}

int ipk_lazy_reset(struct ipk_lazy *l)
{
	return change(l, reset_tx, l);
}

struct gift {
	struct ipk_lazy *l;
	const void *data;
	size_t len;
};

static int set_tx(struct ipk_tx *tx, void *arg)
{
	struct gift *g = arg;
	struct ipk_word_value *v = &g->l->b->v;
	u64 word = ipk_tx_get(tx, &v->word);
	int r = ipk_lazy_outcome(g->l, word);

	if (r <= 0)
		return r == -EAGAIN ? -EBUSY : -EEXIST;
	if (ipk_word_owner(word))
		count(tx, &g->l->b->deaths);
	return ipk_word_put(tx, v, ipk_word_next(word, IPK_LZY_READY, 0), g->data, g->len);
}

int ipk_lazy_set(struct ipk_lazy *l, const void *value, size_t len)
{
	struct gift g = {.l = l, .data = value, .len = len};

	if (l->size && len != l->size)
		return -EINVAL;
	return change(l, set_tx, &g);
}
