/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a future.
 *
 *	body  0    size        constant: bytes of an element; 0: variable
 *	      64   word value len (word_value.h) | first last thens next_id    by transactions
 *	      128  ev          event word: something was changed
 *
 *	{n,PENDING,0} --claim--> {n+1,PENDING,me} --set, fail--> {n+2,SET or FAILED,0}
 *	                         {n+1,PENDING,x}, x dead or gives up --> {n+2,BROKEN,0}
 *	{n,SET or FAILED or BROKEN,0} --reset--> {n+1,PENDING,0}
 *
 * first leads to the continuations, oldest first: blocks {next, id, own, len, text}, where
 * own = {times taken:50 | worker slot + 1:14}. last is the youngest.
 *
 * Nothing is changed but by transactions of the segment, so there is nothing to be finished after a
 * death but what names the dead: an owner's word becomes BROKEN, a worker's continuation nobody's.
 */
#ifndef IPK_KINDS_FUTURE_H
#define IPK_KINDS_FUTURE_H

#include "ipk/future.h"
#include "ipk/kind.h"
#include "kinds/word_value.h"
#include "segment/segment.h"

#define IPK_FUT_OWN_ONE UINT64_C(0x4000) /* in a continuation's own */

enum ipk_fut_state { IPK_FUT_PENDING, IPK_FUT_SET, IPK_FUT_FAILED, IPK_FUT_BROKEN };

struct ipk_future_body {
	u64 size;
	u64 spare1[7];
	/* 64 */
	struct ipk_word_value v;
	u64 first, last;
	u64 thens; /* how many there are */
	u64 next_id;
	u64 spare2;
	/* 128 */
	u32 ev;
	u32 spare3[15];
};

struct ipk_future_node {
	u64 next;
	u64 id;
	u64 own;
	u64 len;
	u8 text[];
};

_Static_assert(sizeof(struct ipk_future_body) == 192, "");
_Static_assert(offsetof(struct ipk_future_body, v) == 64, "own line");
_Static_assert(offsetof(struct ipk_future_body, ev) == 128, "own line");
_Static_assert(sizeof(struct ipk_future_node) == 32, "");

struct ipk_future {
	struct ipk_obj obj;
	struct ipk_future_body *b;
	u64 size;
	u64 claimed; /* the word with which this process claimed it, or 0; atomic */
};

extern const struct ipk_kind ipk_kind_future;
extern const struct ipk_op ipk_future_ops[];

/* ---- future.c ------------------------------------------------------------------------ */

/* The body, or NULL when it is none. */
struct ipk_future_body *ipk_future_body(struct ipk_obj *obj);
/* Runs fn as a transaction of the segment. -EACCES, or what fn says; wakes all when it changed
 * something. */
int ipk_future_tx(struct ipk_future *f, int (*fn)(struct ipk_tx *tx, void *arg), void *arg,
		  struct ipk_error *err);
/* As ipk_future_set() or ipk_future_fail(); err may be NULL. */
int ipk_future_complete(struct ipk_future *f, unsigned state, const void *data, size_t len,
			struct ipk_error *err);

/* ---- future_claim.c ------------------------------------------------------------------ */

/* The participant of this process that a word names as claimant, or NULL. It stays while it is. */
struct ipk_self *ipk_future_mine(struct ipk_future *f, u64 word);

bool ipk_future_attachable(struct ipk_obj *obj);
int ipk_future_recover(struct ipk_obj *obj);
void ipk_future_wake(struct ipk_obj *obj);

/* ---- future_then.c ------------------------------------------------------------------- */

/* The continuation at off, all of it inside the segment, or NULL. */
struct ipk_future_node *ipk_future_node(struct ipk_segment *seg, u64 off);
/* Makes continuations of dead workers nobody's, in tx. How many, or -EBADMSG. */
int ipk_future_free_thens(struct ipk_tx *tx, struct ipk_future_body *b);
int ipk_future_destroy(struct ipk_obj *obj);

/* ---- future_view.c ------------------------------------------------------------------- */

extern const char *const ipk_future_stat_names[];
int ipk_future_inspect(const struct ipk_object_view *o, uint64_t *ret_used, uint64_t *ret_cap);
int ipk_future_stats(const struct ipk_object_view *o, struct ipk_visitor *v);
int ipk_future_items(const struct ipk_object_view *o, uint64_t from, uint64_t to, ipk_item_fn *fn,
		     void *arg);
int ipk_future_value(const struct ipk_object_view *o, struct ipk_buf *text);
int ipk_future_holders(const struct ipk_object_view *o, ipk_holder_fn *fn, void *arg);
int ipk_future_check(const struct ipk_object_view *o, struct ipk_checker *c);

/* ---- future_repair.c ----------------------------------------------------------------- */

int ipk_future_repair(const struct ipk_object_view *o, struct ipk_repairer *r);

#endif
