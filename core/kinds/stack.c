/* SPDX-License-Identifier: MIT */
/* Stacks for C programs: the handle, and push. The algorithm is in stack.h. */
#include "kinds/hooks.h"
#include "kinds/stack.h"
#include "kinds/await.h"
#include "object_type.h"

#define BODY_MAX (UINT64_C(1) << 48)
#define TURN 64u /* values that are pushed with one taking of the lock */

/* ---- geometry -------------------------------------------------------------------------------- */

static u64 order_bytes(u64 cap)
{
	return ipk_align_up(cap * sizeof(u32), IPK_LINE);
}

u64 ipk_stack_layout(u64 cap, u32 size, struct ipk_stack_body *ret_body)
{
	u64 stride = size ? 8 + ipk_align_up(size, 8) : sizeof(struct ipk_stack_slot);

	if (!cap || cap > IPK_STACK_CAP_MAX || stride > BODY_MAX / cap)
		return 0;
	ret_body->cap = cap;
	ret_body->stride = stride;
	ret_body->size = size;
	return sizeof(*ret_body) + order_bytes(cap) + cap * stride;
}

int ipk_stack_measure(const struct ipk_stack_body *body, u64 off, u64 len,
		      struct ipk_stack_geometry *ret)
{
	struct ipk_stack_body want;
	u64 bytes = ipk_stack_layout(body->cap, body->size, &want);

	if (!bytes || bytes > len || body->stride != want.stride)
		return -EBADMSG;
	*ret = (struct ipk_stack_geometry){
		.cap = want.cap,
		.stride = want.stride,
		.order = off + sizeof(want),
		.slots = off + sizeof(want) + order_bytes(want.cap),
		.size = want.size,
	};
	return 0;
}

int ipk_stack_bind(struct ipk_stack *s)
{
	struct ipk_obj *obj = &s->obj;
	struct ipk_stack_body copy;
	u64 room;
	int r;

	s->b = ipk_body(obj, sizeof(*s->b), &room);
	if (!s->b)
		return -EBADMSG;
	ipk_copy_out(&copy, s->b, sizeof(copy));
	r = ipk_stack_measure(&copy, obj->body, room, &s->g);
	if (r < 0)
		return r;
	s->slots = ipk_at(obj->seg, s->g.slots, s->g.cap * s->g.stride, 8);
	return s->slots ? 0 : -EBADMSG;
}

bool ipk_stack_attachable(struct ipk_obj *obj)
{
	struct ipk_stack s = {.obj = *obj};

	return ipk_stack_bind(&s) == 0;
}

/* ---- handle ---------------------------------------------------------------------------------- */

int ipk_stack_create(struct ipk_segment *seg, const char *name, const char *type, uint64_t cap,
		     struct ipk_error *err)
{
	return ipk_object_new_typed(seg, name, "stack", type, NULL, cap, err);
}

int ipk_stack_open(struct ipk_segment *seg, const char *name, const char *type,
		   struct ipk_stack **ret_stack, struct ipk_error *err)
{
	struct ipk_type *own = NULL;
	struct ipk_stack *s;
	void *handle;
	int r = ipk_obj_open(seg, name, ipk_kind_stack.id, IPK_STACK_VERSION, sizeof(*s->b),
			     sizeof(*s), &handle, err);

	if (r < 0)
		return r;
	s = handle;
	r = ipk_stack_bind(s);
	if (r < 0)
		ipk_error_set(err, r, "stack \"%s\" is damaged", name);
	else
		r = ipk_obj_type(&s->obj, name, IPK_TYPE_OF_VALUES, s->g.size, type, &own, err);
	ipk_type_free(own);
	if (r < 0) {
		ipk_obj_close(&s->obj);
		return r;
	}
	*ret_stack = s;
	return 0;
}

void ipk_stack_close(struct ipk_stack *s)
{
	if (s)
		ipk_obj_close(&s->obj);
}

uint64_t ipk_stack_capacity(const struct ipk_stack *s)
{
	return s->g.cap;
}

uint32_t ipk_stack_element_size(const struct ipk_stack *s)
{
	return s->g.size;
}

bool ipk_stack_is_shut(const struct ipk_stack *s)
{
	return ipk_ld(&s->b->shut, acquire) != 0;
}

uint64_t ipk_stack_count(const struct ipk_stack *s, uint64_t *ret_leased)
{
	u64 top = ipk_ld(&s->b->top, acquire);

	if (ret_leased)
		*ret_leased = st_leased(top);
	return st_used(top);
}

/* ---- push ------------------------------------------------------------------------------------ */

struct push {
	struct ipk_stack *s;
	struct ipk_self *me;
	const struct iovec *v;
	unsigned n;
	i64 deadline;
};

/* Gives back the block of a free slot but the next one; lock held. */
static int reclaim(void *arg)
{
	struct push *p = arg;
	struct ipk_stack *s = p->s;
	u64 top = ipk_ld(&s->b->top, relaxed), i;

	for (i = (u64)st_n(top) + 1; i < s->g.cap - st_leased(top); i++) {
		u32 id;
		struct ipk_stack_slot *slot = s_at(s, (u32)i, &id);

		if (!slot)
			return -EBADMSG;
		if (ipk_ld(&slot->var.buf, relaxed))
			return ipk_slot_release(p->me, &slot->var);
	}
	return -ENOSPC;
}

static int store(struct push *p, struct ipk_stack_slot *slot, const struct iovec *v)
{
	const struct ipk_slot_store how = {
		.me = p->me, .deadline = p->deadline, .reclaim = reclaim, .arg = p};

	return ipk_slot_store(&how, &slot->var, v->iov_base, v->iov_len);
}

/* Lock held. */
static inline int push_one(struct ipk_stack *s, struct push *p, const struct iovec *v)
{
	u64 top = ipk_ld(&s->b->top, relaxed);
	struct ipk_stack_slot *slot;
	int r = 0;
	u32 id;

	if (ipk_unlikely(ipk_ld(&s->b->shut, acquire)))
		return -EPIPE;
	if (ipk_unlikely(st_used(top) >= s->g.cap))
		return -EAGAIN;
	slot = s_at(s, st_n(top), &id);
	if (ipk_unlikely(!slot))
		return -EBADMSG;
	if (IPK_BUG(stack_top_first))
		ipk_st(&s->b->top, top + 1, release);
	/* Pairs with the readers' fence: who copies a byte of this sees that the slot was free. */
	ipk_fence(release);
	if (ipk_likely(s->g.size))
		s_fill(slot, v->iov_base, v->iov_len);
	else
		r = store(p, slot, v);
	if (r < 0)
		return r;
	/* Release: after the value, for who reads it; and before COMMIT. */
	ipk_st(&slot->w, sw_word(s_turn(s), 0, 0), release);
	/* COMMIT: acknowledged. */
	ipk_st(&s->b->top, top + 1, release);
	ipk_st(&s->b->pushed, ipk_ld(&s->b->pushed, relaxed) + 1, relaxed);
	return 0;
}

/* As many as one turn allows; how many, or why not one. */
static inline __attribute__((always_inline)) int push_turn(struct push *p)
{
	struct ipk_stack *s = p->s;
	int r = ipk_stack_lock(s, p->me, p->deadline);
	unsigned n = p->n < TURN ? p->n : TURN, i;
	bool sleeps;

	if (r < 0)
		return r;
	for (i = 0; i < n; i++) {
		r = push_one(s, p, &p->v[i]);
		if (r < 0)
			break;
	}
	sleeps = s_sleeps(&s->b->items);
	ipk_unlock(p->me, &s->b->lock);
	if (i && sleeps && !IPK_BUG(stack_push_silent))
		ipk_event_notify_slow(&s->b->items, (int)i);
	return i ? (int)i : r;
}

static int try_push(void *arg)
{
	return push_turn(arg);
}

static inline bool fits(const struct ipk_stack *s, size_t len)
{
	return s->g.size ? len == s->g.size : len <= s->obj.seg->max;
}

/* It was full a moment ago. */
static __attribute__((noinline)) int push_wait(struct push *p)
{
	struct ipk_stack *s = p->s;

	if (p->deadline == IPK_NOWAIT)
		return s_nothing(s);
	return ipk_await(&s->obj, p->me, &s->b->space, try_push, p, p->deadline);
}

int ipk_stack_push_many(struct ipk_stack *s, const struct iovec *values, unsigned n,
			int64_t deadline)
{
	int r = 0;
	struct ipk_self *me = ipk_use(&s->obj, &r);
	unsigned done = 0, ok = 0;

	if (!me)
		return r;
	if (n > INT32_MAX)
		n = INT32_MAX;
	while (ok < n && fits(s, values[ok].iov_len))
		ok++;
	if (n && !ok)
		return -EMSGSIZE;
	while (done < ok) {
		struct push p = {s, me, values + done, ok - done, done ? IPK_NOWAIT : deadline};

		r = push_turn(&p);
		if (r == -EAGAIN)
			r = push_wait(&p);
		if (r < 0)
			break;
		done += (unsigned)r;
	}
	return done ? (int)done : r;
}

int ipk_stack_push(struct ipk_stack *s, const void *data, size_t len, int64_t deadline)
{
	int r = 0;
	struct ipk_self *me = ipk_use(&s->obj, &r);
	const struct iovec v = {(void *)data, len};
	struct push p = {s, me, &v, 1, deadline};

	if (!me)
		return r;
	if (ipk_unlikely(!fits(s, len)))
		return -EMSGSIZE;
	r = push_turn(&p);
	if (ipk_unlikely(r == -EAGAIN))
		r = push_wait(&p);
	return ipk_likely(r > 0) ? 0 : r;
}
