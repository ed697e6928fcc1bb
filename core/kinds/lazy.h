/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a lazy value.
 *
 *	body  0    size thunk text_len   constant: bytes of an element (0: variable), what
 *	                                 computes it, and how long its text is
 *	      64   word value len (word_value.h) | runs deaths               by transactions
 *	      128  ev                    event word of those who wait
 *	      192  text                  constant: the thunk's
 *
 *	{n,EMPTY,0} --begin--> {n+1,EMPTY,me} --done, fail--> {n+2,READY or FAILED,0}
 *	                                      --abandon--> {n+2,EMPTY,0}
 *	{n,EMPTY,x}, x dead --begin--> {n+1,EMPTY,me}    or by the sweep: {n+1,EMPTY,0}
 *	{n,EMPTY,x} or {n,READY or FAILED,0} --reset--> {n+1,EMPTY,0}
 *
 * Since no word comes twice, the word with which somebody began is the ticket with which he ends:
 * after a reset, or after another has taken his place, it is not there any more, and his result is
 * dropped. The owner is a thread, or what it left to its process at its end.
 *
 * Nothing is changed but by transactions, so there is nothing to be finished after a death but the
 * name of the dead.
 */
#ifndef IPK_KINDS_LAZY_H
#define IPK_KINDS_LAZY_H

#include "ipk/kind.h"
#include "ipk/lazy.h"
#include "kinds/word_value.h"
#include "segment/segment.h"

enum ipk_lzy_state { IPK_LZY_EMPTY, IPK_LZY_READY, IPK_LZY_FAILED };

struct ipk_lazy_body {
	u64 size;
	u64 thunk; /* enum ipk_lazy_thunk */
	u64 text_len;
	u64 spare1[5];
	/* 64 */
	struct ipk_word_value v;
	u64 runs;   /* that ended with a value or a failure */
	u64 deaths; /* of those who computed it */
	u64 spare2[3];
	/* 128 */
	u32 ev;
	u32 spare3[15];
	/* 192 */
	u8 text[];
};

_Static_assert(sizeof(struct ipk_lazy_body) == 192, "");
_Static_assert(offsetof(struct ipk_lazy_body, v) == 64, "own line");
_Static_assert(offsetof(struct ipk_lazy_body, ev) == 128, "own line");

struct ipk_lazy {
	struct ipk_obj obj;
	struct ipk_lazy_body *b;
	u64 size;
	enum ipk_lazy_thunk thunk;
	char *text; /* a private copy */
	u64 text_len;
	struct ipk_type *type;
	u64 began; /* the word with which this process began last, or 0; atomic */
};

extern const struct ipk_kind ipk_kind_lazy;
extern const struct ipk_op ipk_lazy_ops[];

/* ---- lazy.c -------------------------------------------------------------------------- */

/* The body, or NULL when it is none. */
struct ipk_lazy_body *ipk_lazy_body(struct ipk_obj *obj);
/* How it stands: 0 ready, -EREMOTEIO failed, -EAGAIN somebody computes it, 1 nobody does. */
int ipk_lazy_outcome(struct ipk_lazy *l, u64 word);

bool ipk_lazy_attachable(struct ipk_obj *obj);
int ipk_lazy_recover(struct ipk_obj *obj);
void ipk_lazy_wake(struct ipk_obj *obj);
int ipk_lazy_destroy(struct ipk_obj *obj);

/* ---- lazy_run.c ---------------------------------------------------------------------- */

/* As ipk_lazy_begin(); able: can the caller compute it? -EOPNOTSUPP: he would have to. */
int ipk_lazy_begin_able(struct ipk_lazy *l, struct ipk_lazy_run *ret_run, i64 deadline, bool able);

/* ---- lazy_expr.c --------------------------------------------------------------------- */

struct ipk_lazy_call {
	struct ipk_lazy *l;
	struct ipk_error err;
};
/* Computes the expression of a struct ipk_lazy_call's l, as ipk_lazy_fn. */
int ipk_lazy_evaluate(void *arg, struct ipk_buf *out);
/* Is it one, as far as can be told before the objects that it names exist? */
int ipk_lazy_expr_check(struct ipk_segment *seg, const char *text, size_t len,
			struct ipk_error *err);

/* ---- lazy_view.c --------------------------------------------------------------------- */

extern const char *const ipk_lazy_stat_names[];
int ipk_lazy_inspect(const struct ipk_object_view *o, uint64_t *ret_used, uint64_t *ret_cap);
int ipk_lazy_stats(const struct ipk_object_view *o, struct ipk_visitor *v);
int ipk_lazy_items(const struct ipk_object_view *o, uint64_t from, uint64_t to, ipk_item_fn *fn,
		   void *arg);
int ipk_lazy_value(const struct ipk_object_view *o, struct ipk_buf *text);
int ipk_lazy_holders(const struct ipk_object_view *o, ipk_holder_fn *fn, void *arg);
int ipk_lazy_param(const struct ipk_object_view *o, unsigned i, struct ipk_buf *text);
int ipk_lazy_check(const struct ipk_object_view *o, struct ipk_checker *c);
int ipk_lazy_repair(const struct ipk_object_view *o, struct ipk_repairer *r);

#endif
