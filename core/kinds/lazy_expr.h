/* SPDX-License-Identifier: MIT */
/*
 * What the expression of a lazy value names: other objects of its segment, read without trust and
 * without a lock, each for itself, when the value is computed.
 *
 *	NAME             future, lazy: its value. Arrays: all elements, NAME[3], sum(NAME).
 *	                 All others: what they hold, NAME.used of NAME.cap
 *	`NAME/KEY`       an item as a reference has it: an index, a position, a map's key
 *
 * A name that is no word of letters, digits and _ stands in backticks, too.
 */
#ifndef IPK_KINDS_LAZY_EXPR_H
#define IPK_KINDS_LAZY_EXPR_H

#include "expr.h"
#include "kinds/lazy.h"

#define IPK_LZY_NAMES 64u /* of one expression */

enum ipk_lzy_how { IPK_LZY_VALUE, IPK_LZY_ELEMENTS, IPK_LZY_ITEM, IPK_LZY_COUNTS };

struct ipk_lzy_name {
	char *text; /* the object's name, with a NUL; behind that the key */
	size_t len; /* of all */
	const char *key;
	size_t key_len;
	const struct ipk_kind *kind;
	struct ipk_object_view o;
	enum ipk_lzy_how how;
	struct ipk_type *type;
	struct ipk_buf value;
	bool loaded;
};

/* Of one force: how deep in others' expressions it is, and how many it has computed for itself. */
struct ipk_lzy_nest {
	unsigned depth, aside;
};

struct ipk_lzy_names {
	struct ipk_segment *seg;
	struct ipk_view *view;
	struct ipk_lzy_nest *nest;
	bool missing; /* out: an object that does not exist was named */
	bool early;   /* out: of what was named something is not there yet */
	u32 n;
	struct ipk_lzy_name v[IPK_LZY_NAMES];
};

int ipk_lzy_names_open(struct ipk_lzy_names *names, struct ipk_segment *seg, struct ipk_error *err);
void ipk_lzy_names_close(struct ipk_lzy_names *names);
/* Finds a name, or why it means nothing. */
int ipk_lzy_name(struct ipk_lzy_names *names, const char *text, size_t len, u32 *ret_id,
		 struct ipk_error *err);
/* As struct ipk_expr_env and struct ipk_expr_input want them; arg: struct ipk_lzy_names. */
int ipk_lzy_find(void *arg, const char *text, size_t len, u32 *ret_id,
		 const struct ipk_type **ret_type, struct ipk_error *err);
int ipk_lzy_load(void *arg, u32 id, const void **ret_val, size_t *ret_len, struct ipk_error *err);

/* Computes l. Below 0: *ret_early says whether it may be otherwise without a reset. */
int ipk_lazy_compute(struct ipk_lazy *l, struct ipk_lzy_nest *nest, struct ipk_buf *out,
		     bool *ret_early, struct ipk_error *err);

#endif
