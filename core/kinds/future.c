/* SPDX-License-Identifier: MIT */
/* Futures for C programs: completing and reading. See future.h for the words. */
#include "kinds/await.h"
#include "kinds/cells.h"
#include "kinds/future.h"
#include "kinds/hooks.h"
#include "object_type.h"

#define BROKEN_NOW 1 /* among the transactions: commit, and say that it is broken */

/* ---- handle -------------------------------------------------------------------------- */

struct ipk_future_body *ipk_future_body(struct ipk_obj *obj)
{
	return ipk_body(obj, sizeof(struct ipk_future_body), NULL);
}

int ipk_future_open(struct ipk_segment *seg, const char *name, const char *type,
		    struct ipk_future **ret_future, struct ipk_error *err)
{
	struct ipk_type *own = NULL;
	struct ipk_future *f;
	void *handle;
	int r;

	r = ipk_obj_open(seg, name, ipk_kind_future.id, ipk_kind_future.version,
			 sizeof(struct ipk_future_body), sizeof(*f), &handle, err);
	if (r < 0)
		return r;
	f = handle;
	f->b = ipk_future_body(&f->obj);
	if (f->b) {
		f->size = ipk_ld(&f->b->size, relaxed);
		r = ipk_obj_type(&f->obj, name, IPK_TYPE_OF_VALUES, f->size, type, &own, err);
	} else {
		r = ipk_error_set(err, -EBADMSG, "%s: the future is damaged", name);
	}
	if (r < 0) {
		ipk_obj_close(&f->obj);
		return r;
	}
	ipk_type_free(own);
	*ret_future = f;
	return 0;
}

int ipk_future_create(struct ipk_segment *seg, const char *name, const char *type,
		      struct ipk_error *err)
{
	return ipk_object_new_typed(seg, name, "future", type, NULL, 0, err);
}

int ipk_future_tx(struct ipk_future *f, int (*fn)(struct ipk_tx *tx, void *arg), void *arg,
		  struct ipk_error *err)
{
	struct ipk_self *me;
	int r;

	if (!f->obj.seg->writable)
		return -EACCES;
	me = ipk_use(&f->obj, &r);
	if (!me)
		return r;
	r = ipk_tx_run(me, fn, arg, IPK_FOREVER, err);
	if (r >= 0 && !IPK_BUG(future_set_silent))
		ipk_event_notify(&f->b->ev, INT32_MAX);
	return r;
}

/* ---- completing ---------------------------------------------------------------------- */

struct completion {
	struct ipk_future *f;
	unsigned state;
	const void *data;
	size_t len;
	u64 mine; /* the word in which this process is the claimant, or 0 */
	u64 seen; /* the word as it was found */
};

/* May it be completed? 0, BROKEN_NOW, or why not. */
static int permitted(struct completion *c)
{
	u64 word = c->seen;

	switch (ipk_word_state(word)) {
	case IPK_FUT_PENDING:
		break;
	case IPK_FUT_BROKEN:
		return -EOWNERDEAD;
	default:
		return -EEXIST;
	}
	if (!ipk_word_owner(word) || word == c->mine)
		return 0;
	if (ipk_owner_gone(c->f->obj.seg, ipk_word_owner(word)))
		return BROKEN_NOW;
	return word & IPK_WORD_FD ? 0 : -EBUSY;
}

static int complete_tx(struct ipk_tx *tx, void *arg)
{
	struct completion *c = arg;
	struct ipk_future_body *b = c->f->b;
	int r;

	c->seen = ipk_tx_get(tx, &b->v.word);
	r = permitted(c);
	if (r < 0)
		return r;
	if (r == BROKEN_NOW) {
		ipk_tx_set(tx, &b->v.word, ipk_word_next(c->seen, IPK_FUT_BROKEN, 0));
		return r;
	}
	return ipk_word_put(tx, &b->v, ipk_word_next(c->seen, c->state, 0), c->data, c->len);
}

int ipk_future_complete(struct ipk_future *f, unsigned state, const void *data, size_t len,
			struct ipk_error *err)
{
	struct completion c = {.f = f, .state = state, .data = data, .len = len};
	struct ipk_self *claimant;
	u64 before;
	int r;

	do {
		before = ipk_ld(&f->b->v.word, acquire);
		claimant = ipk_future_mine(f, before);
		c.mine = claimant ? before : 0;
		r = ipk_future_tx(f, complete_tx, &c, err);
		/* Claimed just now, and perhaps by this process. */
	} while (r == -EBUSY && c.seen != before);
	if (r == 0 && c.mine && c.seen == c.mine)
		ipk_hold_put(claimant);
	return r == BROKEN_NOW ? -EOWNERDEAD : r;
}

int ipk_future_set(struct ipk_future *f, const void *value, size_t len)
{
	if (f->size && len != f->size)
		return -EINVAL;
	return ipk_future_complete(f, IPK_FUT_SET, value, len, NULL);
}

int ipk_future_fail(struct ipk_future *f, const char *text, size_t len)
{
	if (len > IPK_FUTURE_TEXT_MAX)
		return -EMSGSIZE;
	return ipk_future_complete(f, IPK_FUT_FAILED, text, len, NULL);
}

static int reset_tx(struct ipk_tx *tx, void *arg)
{
	struct ipk_future *f = arg;
	u64 word = ipk_tx_get(tx, &f->b->v.word);

	if (ipk_word_owner(word) && !ipk_owner_gone(tx->seg, ipk_word_owner(word)))
		return -EBUSY;
	ipk_word_drop(tx, &f->b->v, ipk_word_next(word, IPK_FUT_PENDING, 0));
	return 0;
}

int ipk_future_reset(struct ipk_future *f)
{
	return ipk_future_tx(f, reset_tx, f, NULL);
}

/* ---- reading ------------------------------------------------------------------------- */

static enum ipk_future_state public_state(struct ipk_future *f, u64 word);

/*
 * What the dead have decided is stored: 0. It may lie in the journal until somebody who gets the
 * segment's lock has stored it, and he may die as well. One who lives does so in a moment.
 */
static int settle_journal(struct ipk_future *f)
{
	struct ipk_segment *seg = f->obj.seg;
	u64 owner;

	/* Acquire: pairs with the store of 0 behind all that was in it. */
	if (!ipk_ld(&ipk_header(seg)->journal.n, acquire))
		return 0;
	owner = ipk_ld(&ipk_header(seg)->lock, acquire) & IPK_LOCK_OWNER;
	if (!seg->writable || (owner && !ipk_owner_gone(seg, owner)))
		return -EAGAIN;
	return ipk_future_recover(&f->obj);
}

/*
 * The claimant in word is dead. It may have completed it after we had loaded the word, and that may
 * not be stored yet.
 */
static enum ipk_future_state claimant_died(struct ipk_future *f, u64 word)
{
	u64 now;

	if (settle_journal(f) < 0)
		return IPK_FUTURE_CLAIMED;
	now = ipk_ld(&f->b->v.word, acquire);
	return now == word ? IPK_FUTURE_BROKEN : public_state(f, now);
}

static enum ipk_future_state public_state(struct ipk_future *f, u64 word)
{
	switch (ipk_word_state(word)) {
	case IPK_FUT_SET:
		return IPK_FUTURE_SET;
	case IPK_FUT_FAILED:
		return IPK_FUTURE_FAILED;
	case IPK_FUT_BROKEN:
		return IPK_FUTURE_BROKEN;
	default:
		break;
	}
	if (!ipk_word_owner(word))
		return IPK_FUTURE_PENDING;
	return ipk_owner_gone(f->obj.seg, ipk_word_owner(word)) ? claimant_died(f, word)
								: IPK_FUTURE_CLAIMED;
}

/* What it was completed with, as an error; -EAGAIN: not yet. */
static int outcome(struct ipk_future *f, u64 word)
{
	switch (public_state(f, word)) {
	case IPK_FUTURE_SET:
		return 0;
	case IPK_FUTURE_FAILED:
		return -EREMOTEIO;
	case IPK_FUTURE_BROKEN:
		return -EOWNERDEAD;
	default:
		return -EAGAIN;
	}
}

enum ipk_future_state ipk_future_state(struct ipk_future *f)
{
	/* The word before the liveness of its owner. */
	return public_state(f, ipk_ld(&f->b->v.word, acquire));
}

/* state: what is wanted. */
static int read_as(struct ipk_future *f, unsigned state, void *buf, size_t size, size_t *ret_len)
{
	u64 word, must = state == IPK_FUT_SET ? f->size : 0;
	int r;

	do {
		/* Acquire: value and len come with the word behind which they were stored. */
		word = ipk_ld(&f->b->v.word, acquire);
		if (ipk_word_state(word) == state) {
			r = ipk_word_read(&f->obj, &f->b->v, word, must, buf, size, ret_len);
		} else {
			r = state == IPK_FUT_SET ? outcome(f, word) : -ENOENT;
			r = r ? r : 1; /* set meanwhile */
		}
	} while (r == 1);
	return r;
}

int ipk_future_get(struct ipk_future *f, void *buf, size_t size, size_t *ret_len)
{
	int r = read_as(f, IPK_FUT_SET, buf, size, ret_len);
	int after = ipk_after_read(&f->obj);

	return after < 0 ? after : r;
}

int ipk_future_error(struct ipk_future *f, char *buf, size_t size, size_t *ret_len)
{
	int r = read_as(f, IPK_FUT_FAILED, buf, size, ret_len);
	int after = ipk_after_read(&f->obj);

	return after < 0 ? after : r;
}

static int try_outcome(void *arg)
{
	struct ipk_future *f = arg;

	return outcome(f, ipk_ld(&f->b->v.word, acquire));
}

int ipk_future_await(struct ipk_future *f, int64_t deadline)
{
	struct ipk_self *me;
	int r = try_outcome(f);

	if (r != -EAGAIN || deadline == IPK_NOWAIT)
		return r;
	if (!f->obj.seg->writable)
		return ipk_await_poll(&f->obj, try_outcome, f, deadline);
	me = ipk_use(&f->obj, &r);
	return me ? ipk_await(&f->obj, me, &f->b->ev, try_outcome, f, deadline) : r;
}
