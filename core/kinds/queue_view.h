/* SPDX-License-Identifier: MIT */
/* Reading queues without trust: what the descriptor names. queue_view.c, queue_check.c. */
#ifndef IPK_KINDS_QUEUE_VIEW_H
#define IPK_KINDS_QUEUE_VIEW_H

#include "kinds/queue.h"

extern const char *const ipk_queue_stat_names[];

int ipk_queue_inspect(const struct ipk_object_view *o, uint64_t *ret_used, uint64_t *ret_cap);
int ipk_queue_stats(const struct ipk_object_view *o, struct ipk_visitor *v);
int ipk_queue_items(const struct ipk_object_view *o, uint64_t from, uint64_t to, ipk_item_fn *fn,
		    void *arg);
int ipk_queue_item(const struct ipk_object_view *o, const char *key, size_t len, ipk_item_fn *fn,
		   void *arg);
int ipk_queue_holders(const struct ipk_object_view *o, ipk_holder_fn *fn, void *arg);
int ipk_queue_check(const struct ipk_object_view *o, struct ipk_checker *c);
int ipk_queue_repair(const struct ipk_object_view *o, struct ipk_repairer *r);

/* A queue that is being looked at. */
struct ipk_queue_view {
	const struct ipk_object_view *o;
	struct ipk_queue_geometry g;
	u64 tail, head; /* hints as they were before the first look at a slot */
	u64 next;       /* after a census: code of T, the next position to be given out */
	bool all;       /* also look at slots that seem never used */
	struct qw_apart apart;
	u64 raw; /* the word as it is there, when a function is called with it */
};

/* Reads the constant part and the hints. -EBADMSG. */
int ipk_queue_look(const struct ipk_object_view *o, struct ipk_queue_view *ret);

/*
 * Calls fn with the word of each slot, n of them from slot i on and around, until it returns
 * non-zero, which is returned. Bursts are taken apart, see ipk_queue_apart(). The first word that is 0
 * means that no later slot was ever used: they are skipped.
 */
typedef int queue_word_fn(struct ipk_queue_view *qv, void *arg, u64 i, u64 w);
int ipk_queue_words(struct ipk_queue_view *qv, u64 i, u64 n, queue_word_fn *fn, void *arg);

static inline u64 qv_slot(const struct ipk_queue_view *qv, u64 i)
{
	return qv->g.slots + i * qv->g.stride;
}

/* Can w be the word of slot i? Bursts are of elements of a fixed size, and end with the array. */
static inline bool qv_legal(const struct ipk_queue_view *qv, u64 i, u64 w)
{
	return ipk_queue_legal(w) && (!(w & QW_BURST) || (qv->g.size && qw_span(w) <= qv->g.cap - i));
}

static inline bool qw_item(u64 w)
{
	return qw_st(w) >= IPK_QUEUE_FULL;
}

/* What is wrong with the value of variable size in slot i, in words: see ipk_slot_fault(). */
static inline const char *qv_value_fault(const struct ipk_queue_view *qv, u64 i, u64 w,
					 u64 *ret_buf, u64 *ret_size)
{
	const char *fault =
		ipk_slot_fault(qv->o->view, qv_slot(qv, i) + offsetof(struct ipk_queue_slot, var),
			       qw_item(w), ret_buf, ret_size);

	/* Who destroys the queue stops at the first slot that was never used. */
	return !fault && w == 0 && *ret_buf ? "a buffer, though it was never used" : fault;
}

/* What all words say together. Exact while nobody pushes or pops. */
struct ipk_queue_census {
	u64 slots; /* that were ever used */
	u64 used, leased, writing;
	u64 first; /* code of the oldest item never taken; next where there is none */
};
int ipk_queue_count_view(struct ipk_queue_view *qv, struct ipk_queue_census *ret);

/* The code of the last position given out of slot i; may be one lap before the first. */
static inline u64 qv_given(const struct ipk_queue_view *qv, u64 i, u64 w)
{
	return qc_of(&qv->g, qw_st(w) == IPK_QUEUE_FREE ? w - QW_LAP : w, i, qv->tail);
}

#endif
