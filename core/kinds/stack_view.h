/* SPDX-License-Identifier: MIT */
/* Reading stacks without trust: stack_view.c, stack_check.c. */
#ifndef IPK_KINDS_STACK_VIEW_H
#define IPK_KINDS_STACK_VIEW_H

#include "kinds/stack.h"

extern const char *const ipk_stack_stat_names[];

int ipk_stack_inspect(const struct ipk_object_view *o, uint64_t *ret_used, uint64_t *ret_cap);
int ipk_stack_stats(const struct ipk_object_view *o, struct ipk_visitor *v);
int ipk_stack_items(const struct ipk_object_view *o, uint64_t from, uint64_t to, ipk_item_fn *fn,
		    void *arg);
int ipk_stack_item(const struct ipk_object_view *o, const char *key, size_t len, ipk_item_fn *fn,
		   void *arg);
int ipk_stack_peek_view(const struct ipk_object_view *o, ipk_item_fn *fn, void *arg);
int ipk_stack_holders(const struct ipk_object_view *o, ipk_holder_fn *fn, void *arg);
int ipk_stack_check(const struct ipk_object_view *o, struct ipk_checker *c);
int ipk_stack_repair(const struct ipk_object_view *o, struct ipk_repairer *r);

/* A stack that is being looked at. */
struct ipk_stack_view {
	const struct ipk_object_view *o;
	struct ipk_stack_geometry g;
	struct ipk_stack_body b; /* as it was */
};

/* -EBADMSG: not even its size can be right. */
int ipk_stack_look(const struct ipk_object_view *o, struct ipk_stack_view *ret);

static inline u64 sv_slot(const struct ipk_stack_view *sv, u32 id)
{
	return sv->g.slots + id * sv->g.stride;
}

/* Calls fn with the word of each slot until it returns non-zero, which is returned. */
typedef int ipk_stack_word_fn(struct ipk_stack_view *sv, void *arg, u32 id, u64 w);
int ipk_stack_words(struct ipk_stack_view *sv, ipk_stack_word_fn *fn, void *arg);

/* The leased slots, the latest lease first, as they lay on the stack. */
struct ipk_stack_leased {
	struct {
		u64 w;
		u32 id;
	} * v;
	u64 n, cap;
};
int ipk_stack_find_leased(struct ipk_stack_view *sv, struct ipk_stack_leased *ret); /* free(v) */

#endif
