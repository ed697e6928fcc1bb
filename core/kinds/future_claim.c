/* SPDX-License-Identifier: MIT */
/* Futures: the right to complete one, and what becomes of it with its owner's death. */
#include <unistd.h>

#include "kinds/cells.h"
#include "kinds/future.h"
#include "segment/registry.h"

struct ipk_self *ipk_future_mine(struct ipk_future *f, u64 word)
{
	if (!ipk_word_owner(word) || word & IPK_WORD_FD)
		return NULL;
	return ipk_owner_of_process(f->obj.seg, ipk_word_owner(word));
}

/* ---- claiming ------------------------------------------------------------------------ */

struct claim {
	struct ipk_future *f;
	u64 owner; /* with FD where a descriptor is to have it */
	u64 word;  /* out: the claiming one */
};

static int claim_tx(struct ipk_tx *tx, void *arg)
{
	struct claim *c = arg;
	struct ipk_future_body *b = c->f->b;
	u64 word = ipk_tx_get(tx, &b->v.word);

	switch (ipk_word_state(word)) {
	case IPK_FUT_PENDING:
		break;
	case IPK_FUT_BROKEN:
		return -EOWNERDEAD;
	default:
		return -EEXIST;
	}
	if (ipk_word_owner(word) && !ipk_owner_gone(tx->seg, ipk_word_owner(word)))
		return -EBUSY;
	if (ipk_word_owner(word)) {
		ipk_tx_set(tx, &b->v.word, ipk_word_next(word, IPK_FUT_BROKEN, 0));
		return 1;
	}
	c->word = ipk_word_next(word, IPK_FUT_PENDING, c->owner);
	ipk_tx_set(tx, &b->v.word, c->word);
	return 0;
}

static int claim(struct claim *c)
{
	int r = ipk_future_tx(c->f, claim_tx, c, NULL);

	return r > 0 ? -EOWNERDEAD : r;
}

int ipk_future_claim(struct ipk_future *f)
{
	struct claim c = {.f = f};
	struct ipk_self *me;
	int r;

	if (!f->obj.seg->writable)
		return -EACCES;
	me = ipk_use(&f->obj, &r);
	if (!me)
		return r;
	c.owner = (u64)me->slot + 1;
	r = claim(&c);
	if (r < 0)
		return r;
	ipk_hold_get(me);
	ipk_st(&f->claimed, c.word, relaxed);
	return 0;
}

int ipk_future_hold(struct ipk_future *f, int *ret_fd)
{
	struct claim c = {.f = f};
	u32 slot;
	int r, fd;

	if (!f->obj.seg->writable)
		return -EACCES;
	if (!ipk_use(&f->obj, &r))
		return r;
	r = ipk_holder_new(f->obj.seg, &fd, &slot);
	if (r < 0)
		return r;
	r = ipk_holder_use(&f->obj, slot);
	c.owner = ((u64)slot + 1) | IPK_WORD_FD;
	if (!r)
		r = claim(&c);
	if (r < 0)
		close(fd);
	else
		*ret_fd = fd;
	return r;
}

struct giving_up {
	struct ipk_future *f;
	u64 word; /* the one that is given up */
};

static int give_up_tx(struct ipk_tx *tx, void *arg)
{
	struct giving_up *g = arg;

	if (ipk_tx_get(tx, &g->f->b->v.word) != g->word)
		return -EPERM;
	ipk_tx_set(tx, &g->f->b->v.word, ipk_word_next(g->word, IPK_FUT_BROKEN, 0));
	return 0;
}

static int give_up(struct ipk_future *f, u64 word)
{
	struct giving_up g = {.f = f, .word = word};
	struct ipk_self *claimant = ipk_future_mine(f, word);
	int r;

	if (!claimant)
		return -EPERM;
	r = ipk_future_tx(f, give_up_tx, &g, NULL);
	if (!r)
		ipk_hold_put(claimant);
	return r;
}

int ipk_future_abandon(struct ipk_future *f)
{
	if (!f->obj.seg->writable)
		return -EACCES;
	return give_up(f, ipk_ld(&f->b->v.word, acquire));
}

void ipk_future_close(struct ipk_future *f)
{
	u64 word;
	int r = 0;

	if (!f)
		return;
	word = ipk_ld(&f->claimed, relaxed);
	/* A child of fork() has its parent's record, and not its claim: give_up() sees that. */
	if (word && ipk_ld(&f->b->v.word, acquire) == word)
		do
			r = give_up(f, word);
		while (r == -EINTR || r == -ECANCELED);
	ipk_obj_close(&f->obj);
}

/* ---- what the segment asks ----------------------------------------------------------- */

bool ipk_future_attachable(struct ipk_obj *obj)
{
	return ipk_future_body(obj) != NULL;
}

struct mending {
	struct ipk_future_body *b;
	int thens;   /* out: continuations that were given back */
	bool broken; /* out */
};

static int mend_tx(struct ipk_tx *tx, void *arg)
{
	struct mending *m = arg;
	u64 word = ipk_tx_get(tx, &m->b->v.word);

	m->broken = ipk_word_owner(word) && ipk_owner_gone(tx->seg, ipk_word_owner(word));
	if (m->broken && !IPK_BUG(future_dead_keep_it))
		ipk_tx_set(tx, &m->b->v.word, ipk_word_next(word, IPK_FUT_BROKEN, 0));
	m->thens = ipk_future_free_thens(tx, m->b);
	return m->thens < 0 ? m->thens : 0;
}

int ipk_future_recover(struct ipk_obj *obj)
{
	struct mending m = {.b = ipk_future_body(obj)};
	struct ipk_self *me;
	int r;

	if (!m.b)
		return -EBADMSG;
	me = ipk_self(obj->seg, &r);
	if (!me)
		return r;
	/* In a transaction even to look: the dead one's own may still be in the journal. */
	do {
		r = ipk_tx_run(me, mend_tx, &m, IPK_FOREVER, NULL);
		if (!r && (m.broken || m.thens))
			ipk_event_notify(&m.b->ev, INT32_MAX);
	} while (!r && m.thens);
	return r;
}

void ipk_future_wake(struct ipk_obj *obj)
{
	struct ipk_future_body *b = ipk_future_body(obj);

	if (b)
		ipk_event_notify(&b->ev, INT32_MAX);
}
