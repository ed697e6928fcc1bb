/* SPDX-License-Identifier: MIT */
/* Futures: what is to be done when one is completed, and who does it. */
#include <stdlib.h>

#include "base/copy.h"
#include "kinds/await.h"
#include "kinds/cells.h"
#include "kinds/future.h"

#define MEND_MAX 32 /* words of one transaction */
#define FREE_MAX 4  /* blocks */

struct ipk_future_node *ipk_future_node(struct ipk_segment *seg, u64 off)
{
	struct ipk_future_node *n = ipk_at(seg, off, sizeof(*n), IPK_LINE);
	u64 len;

	if (!n || !off)
		return NULL;
	len = ipk_ld(&n->len, relaxed);
	return len <= IPK_FUTURE_TEXT_MAX ? ipk_at(seg, off, sizeof(*n) + len, IPK_LINE) : NULL;
}

/* A walk in tx: each continuation with the word that leads to it. */
struct walk {
	struct ipk_tx *tx;
	u64 *link;
	u64 off;
	u32 left;
};

static struct walk walk(struct ipk_tx *tx, struct ipk_future_body *b)
{
	return (struct walk){.tx = tx, .link = &b->first, .left = IPK_FUTURE_THENS_MAX + 1};
}

/* 1 with *ret_node; 0 at the end; -EBADMSG. */
static int here(struct walk *w, struct ipk_future_node **ret_node)
{
	w->off = ipk_tx_get(w->tx, w->link);
	if (!w->off)
		return 0;
	*ret_node = w->left-- ? ipk_future_node(w->tx->seg, w->off) : NULL;
	return *ret_node ? 1 : -EBADMSG;
}

/* ---- leaving one --------------------------------------------------------------------- */

struct leaving {
	struct ipk_future_body *b;
	const char *text;
	size_t len;
};

static int then_tx(struct ipk_tx *tx, void *arg)
{
	struct leaving *l = arg;
	struct ipk_future_body *b = l->b;
	u64 thens = ipk_tx_get(tx, &b->thens), last = ipk_tx_get(tx, &b->last);
	u64 id = ipk_tx_get(tx, &b->next_id) + 1, off;
	struct ipk_future_node *n;

	if (thens >= IPK_FUTURE_THENS_MAX)
		return -EDQUOT;
	off = ipk_tx_alloc(tx, sizeof(*n) + l->len, 0);
	if (!off)
		return tx->error;
	n = (void *)(tx->seg->base + off);
	ipk_st(&n->next, 0, relaxed);
	ipk_st(&n->id, id, relaxed);
	ipk_st(&n->own, 0, relaxed);
	ipk_st(&n->len, l->len, relaxed);
	ipk_copy_in(n->text, l->text, l->len);
	if (last) {
		n = ipk_future_node(tx->seg, last);
		if (!n)
			return -EBADMSG;
		ipk_tx_set(tx, &n->next, off);
	} else {
		ipk_tx_set(tx, &b->first, off);
	}
	ipk_tx_set(tx, &b->last, off);
	ipk_tx_set(tx, &b->thens, thens + 1);
	ipk_tx_set(tx, &b->next_id, id);
	return 0;
}

int ipk_future_then(struct ipk_future *f, const char *text, size_t len)
{
	struct leaving l = {.b = f->b, .text = text, .len = len};

	if (len > IPK_FUTURE_TEXT_MAX)
		return -EMSGSIZE;
	return ipk_future_tx(f, then_tx, &l, NULL);
}

/* ---- taking one ---------------------------------------------------------------------- */

struct taking {
	struct ipk_future *f;
	struct ipk_self *me;
	struct ipk_future_next *next;
};

static bool is_free(struct ipk_segment *seg, u64 own)
{
	return !(own & IPK_WORD_OWNER) || ipk_dead(seg, (u32)(own & IPK_WORD_OWNER) - 1, false);
}

/* The text goes to private memory before the commit, so that none is taken for nothing. */
static int take(struct taking *t, struct ipk_tx *tx, struct ipk_future_node *n)
{
	u64 own = ipk_tx_get(tx, &n->own), len = ipk_ld(&n->len, relaxed);
	char *text = realloc(t->next->text, len + 1);

	if (!text)
		return -ENOMEM;
	ipk_copy_out(text, n->text, len);
	text[len] = '\0';
	t->next->text = text;
	t->next->len = len;
	t->next->id = ipk_ld(&n->id, relaxed);
	t->next->redelivered = own / IPK_FUT_OWN_ONE;
	t->next->own = (own & ~IPK_WORD_OWNER) + IPK_FUT_OWN_ONE + t->me->slot + 1;
	ipk_tx_set(tx, &n->own, t->next->own);
	return 0;
}

static int take_tx(struct ipk_tx *tx, void *arg)
{
	struct taking *t = arg;
	struct walk w = walk(tx, t->f->b);
	unsigned state = ipk_word_state(ipk_tx_get(tx, &t->f->b->v.word));
	struct ipk_future_node *n;
	int r;

	if (state == IPK_FUT_PENDING)
		return -EAGAIN;
	t->next->state = state == IPK_FUT_SET      ? IPK_FUTURE_SET
			 : state == IPK_FUT_FAILED ? IPK_FUTURE_FAILED
						   : IPK_FUTURE_BROKEN;
	while ((r = here(&w, &n)) > 0) {
		if (is_free(tx->seg, ipk_tx_get(tx, &n->own)))
			return take(t, tx, n);
		w.link = &n->next;
	}
	return r < 0 ? r : -EAGAIN;
}

static int try_take(void *arg)
{
	struct taking *t = arg;
	struct ipk_future_body *b = t->f->b;
	u64 word = ipk_ld(&b->v.word, acquire); /* the word before the liveness of its owner */
	int r;

	/* A look first: who finds nothing need not hold up the segment. */
	if (!ipk_ld(&b->thens, acquire))
		return -EAGAIN;
	if (ipk_word_state(word) == IPK_FUT_PENDING) {
		if (!ipk_word_owner(word) || !ipk_owner_gone(t->f->obj.seg, ipk_word_owner(word)))
			return -EAGAIN;
		r = ipk_future_recover(&t->f->obj);
		if (r < 0)
			return r;
	}
	return ipk_tx_run(t->me, take_tx, t, IPK_FOREVER, NULL);
}

int ipk_future_next(struct ipk_future *f, struct ipk_future_next *ret_next, int64_t deadline)
{
	struct ipk_future_next next = {.text = NULL};
	struct taking t = {.f = f, .next = &next};
	int r;

	if (!f->obj.seg->writable)
		return -EACCES;
	t.me = ipk_use(&f->obj, &r);
	if (!t.me)
		return r;
	r = ipk_await(&f->obj, t.me, &f->b->ev, try_take, &t, deadline);
	if (r < 0) {
		free(next.text);
		return r;
	}
	ipk_hold_get(t.me); /* it stays with the process when this thread ends */
	*ret_next = next;
	return r;
}

/* ---- dropping it, giving it back ----------------------------------------------------- */

struct ending {
	struct ipk_future_body *b;
	const struct ipk_future_next *next;
	bool done;
};

static void unlink_node(struct ipk_tx *tx, struct ipk_future_body *b, u64 *link, u64 off,
			struct ipk_future_node *n)
{
	u64 next = ipk_tx_get(tx, &n->next);

	ipk_tx_set(tx, link, next);
	if (!next) /* link lies at the start of the one before, or in the body */
		ipk_tx_set(tx, &b->last, link == &b->first ? 0 : ipk_off(tx->seg, link));
	ipk_tx_set(tx, &b->thens, ipk_tx_get(tx, &b->thens) - 1);
	ipk_tx_free(tx, off);
}

static int end_tx(struct ipk_tx *tx, void *arg)
{
	struct ending *e = arg;
	struct walk w = walk(tx, e->b);
	struct ipk_future_node *n;
	int r;

	while ((r = here(&w, &n)) > 0) {
		if (ipk_ld(&n->id, relaxed) != e->next->id) {
			w.link = &n->next;
			continue;
		}
		if (ipk_tx_get(tx, &n->own) != e->next->own)
			return -ENOENT;
		if (e->done)
			unlink_node(tx, e->b, w.link, w.off, n);
		else
			ipk_tx_set(tx, &n->own, e->next->own & ~IPK_WORD_OWNER);
		return 0;
	}
	return r < 0 ? r : -ENOENT;
}

static int end(struct ipk_future *f, struct ipk_future_next *next, bool done)
{
	struct ending e = {.b = f->b, .next = next, .done = done};
	/* NULL in a child of fork(), which has its parent's record and not what was taken. */
	struct ipk_self *taker = ipk_owner_of_process(f->obj.seg, next->own & IPK_WORD_OWNER);
	int r = -ENOENT;

	if (taker)
		do
			r = ipk_future_tx(f, end_tx, &e, NULL);
		while (r == -EINTR || r == -ECANCELED); /* what was begun is ended */
	if (r == 0)
		ipk_hold_put(taker);
	free(next->text);
	next->text = NULL;
	return r;
}

int ipk_future_done(struct ipk_future *f, struct ipk_future_next *next)
{
	return end(f, next, true);
}

int ipk_future_again(struct ipk_future *f, struct ipk_future_next *next)
{
	return end(f, next, false);
}

/* ---- after a death, and at the end --------------------------------------------------- */

int ipk_future_free_thens(struct ipk_tx *tx, struct ipk_future_body *b)
{
	struct walk w = walk(tx, b);
	struct ipk_future_node *n;
	int r, freed = 0;

	while (freed < MEND_MAX && (r = here(&w, &n)) > 0) {
		u64 own = ipk_tx_get(tx, &n->own);

		if (own & IPK_WORD_OWNER &&
		    ipk_dead(tx->seg, (u32)(own & IPK_WORD_OWNER) - 1, true)) {
			ipk_tx_set(tx, &n->own, own & ~IPK_WORD_OWNER);
			freed++;
		}
		w.link = &n->next;
	}
	return freed < MEND_MAX && r < 0 ? r : freed;
}

static int destroy_tx(struct ipk_tx *tx, void *arg)
{
	struct ipk_future_body *b = arg;
	struct walk w = walk(tx, b);
	u64 value = ipk_tx_get(tx, &b->v.value);
	struct ipk_future_node *n;
	int r = 0, i;

	if (value && ipk_block_size(tx->seg, value))
		ipk_tx_free(tx, value);
	ipk_tx_set(tx, &b->v.value, 0);
	for (i = 0; i < FREE_MAX && (r = here(&w, &n)) > 0; i++) {
		u64 next = ipk_tx_get(tx, &n->next);

		if (!ipk_block_size(tx->seg, w.off))
			return -EBADMSG;
		ipk_tx_free(tx, w.off);
		ipk_tx_set(tx, &b->first, next);
	}
	return r; /* 1: there is more */
}

int ipk_future_destroy(struct ipk_obj *obj)
{
	struct ipk_future_body *b = ipk_future_body(obj);

	return b ? ipk_tx_repeat(obj->seg, destroy_tx, b) : -EBADMSG;
}
