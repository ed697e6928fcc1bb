/* SPDX-License-Identifier: MIT */
/* What the queue's tests share: a segment with one queue, victims, words made by hand. */
#ifndef TEST_KINDS_QUEUE_TEST_H
#define TEST_KINDS_QUEUE_TEST_H

#include "kinds/fixture_values.h"

#include "kinds/queue.h"

static inline struct ipk_queue *open_queue(struct ipk_segment *seg, const char *name)
{
	struct ipk_queue *q = NULL;
	struct ipk_error err = {0};
	int r = ipk_queue_open(seg, name, NULL, &q, &err);

	if (r != 0)
		fprintf(stderr, "open %s: %s: %s\n", name, ipk_strerror(r), err.text);
	return q;
}

/* A queue "q" in a new segment. */
static inline struct ipk_queue *make_queue(const char *type, uint64_t cap)
{
	struct ipk_segment *seg = make_segment(UINT64_C(64) << 20);
	struct ipk_error err = {0};

	if (ipk_queue_create(seg, "q", type, cap, &err) != 0)
		fail_msg("create q: %s", err.text);
	return open_queue(seg, "q");
}

static inline void drop_queue(struct ipk_queue *q)
{
	struct ipk_segment *seg = q->obj.seg;

	ipk_queue_close(q);
	ipk_segment_close(seg);
	assert_int_equal(ipk_segment_remove(SEG, NULL), 0);
}

/* In a child: the same queue by an attach of its own. */
static inline struct ipk_queue *child_queue(void)
{
	struct ipk_segment *seg = open_segment(SEG);
	struct ipk_queue *q;

	must(seg);
	q = open_queue(seg, "q");
	must(q);
	return q;
}

static inline int push_u64(struct ipk_queue *q, uint64_t val)
{
	return ipk_queue_push(q, &val, sizeof(val), IPK_NOWAIT);
}

/* The value, or the error. */
static inline int64_t pop_u64(struct ipk_queue *q)
{
	uint64_t val = 0;
	int r = ipk_queue_pop(q, &val, sizeof(val), NULL, IPK_NOWAIT);

	return r < 0 ? r : (int64_t)val;
}

static inline int push_text(struct ipk_queue *q, const char *text)
{
	return ipk_queue_push(q, text, strlen(text), IPK_NOWAIT);
}

static inline u32 own_slot(struct ipk_queue *q)
{
	int error = 0;
	struct ipk_self *me = ipk_use(&q->obj, &error);

	must(me);
	return me->slot;
}

static inline u64 slot_word(struct ipk_queue *q, u64 i)
{
	return ipk_ld(&q_slot(q, i)->w, acquire);
}

static inline void set_word(struct ipk_queue *q, u64 i, u64 w)
{
	ipk_st(&q_slot(q, i)->w, w, release);
}

static inline u64 word(u64 lap, enum ipk_queue_state st, u32 rdc, u32 own)
{
	return lap << QW_LAP_SHIFT | QW_ST(st) | (u64)rdc << QW_RDC_SHIFT | own;
}

/* Runs fn in a process of its own that is then killed, with everything it holds. */
static inline void die_in(void (*fn)(struct ipk_queue *q))
{
	pid_t pid = fork();

	if (pid == 0) {
		fn(child_queue());
		kill_self();
	}
	assert_killed(pid);
}

static inline void assert_sound(void)
{
	assert_object_sound("q");
}

#endif
