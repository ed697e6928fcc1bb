/* SPDX-License-Identifier: MIT */
/* Taking from stacks for C programs: pop, peek, leases, shutdown. The algorithm is in stack.h. */
#include "kinds/stack.h"
#include "kinds/await.h"

#define TURN 64u /* items that are taken with one taking of the lock */
#define PEEK_TRIES 1000u

/* Where the value of a slot lies; NULL: damaged. */
static inline const void *value_of(struct ipk_stack *s, struct ipk_stack_slot *slot, u64 *ret_len)
{
	if (ipk_likely(s->g.size)) {
		*ret_len = s->g.size;
		return slot->fixed;
	}
	return ipk_slot_value(s->obj.seg, &slot->var, ret_len);
}

/* One attempt to take items. */
struct take {
	struct ipk_stack *s;
	struct ipk_self *me;
	i64 deadline;
	unsigned n; /* at most */
	/* pop */
	u8 *buf;
	size_t size;
	struct ipk_stack_item *items; /* NULL: nobody wants to know */
	/* lease */
	struct ipk_stack_lease *leases;
};

/* ---- the top -------------------------------------------------------------------------------- */

/* Lock held, nothing on the stack. What the dead have leased may come back: 1. Else why there is
 * nothing. */
static int empty(struct ipk_stack *s, u64 top, i64 deadline)
{
	/* Who waits sweeps before it sleeps; who does not has to ask here. */
	int r = st_leased(top) ? ipk_stack_mend(s, deadline == IPK_NOWAIT) : 0;

	if (r)
		return r < 0 ? r : 1;
	return !st_leased(top) && ipk_ld(&s->b->shut, acquire) ? -EPIPE : -EAGAIN;
}

/* Lock held. The slot on top; NULL: *ret_error says why there is none. */
static inline struct ipk_stack_slot *newest(struct ipk_stack *s, i64 deadline, u64 *ret_top,
					    u32 *ret_id, int *ret_error)
{
	u64 top = ipk_ld(&s->b->top, relaxed);
	struct ipk_stack_slot *slot = NULL;
	int r = 0;

	while (ipk_unlikely(st_n(top) == 0) && (r = empty(s, top, deadline)) > 0)
		top = ipk_ld(&s->b->top, relaxed);
	if (ipk_likely(r >= 0)) {
		if (st_used(top) <= s->g.cap)
			slot = s_at(s, st_n(top) - 1, ret_id);
		r = -EBADMSG;
	}
	*ret_top = top;
	*ret_error = r;
	return slot;
}

/* Nothing at all, as far as one look tells: for those who poll. */
static inline bool nothing_there(struct ipk_stack *s)
{
	return ipk_ld(&s->b->top, acquire) == 0 && !ipk_ld(&s->b->shut, acquire);
}

/* There was nothing a moment ago. */
static __attribute__((noinline)) int wait_for(struct take *t, int (*try)(void *arg))
{
	struct ipk_stack *s = t->s;

	if (t->deadline == IPK_NOWAIT)
		return s_nothing(s);
	return ipk_await(&s->obj, t->me, &s->b->items, try, t, t->deadline);
}

/* Gives the lock back and tells of n places that are free now; of the end, where it may be that. */
static inline void leave(struct ipk_stack *s, struct ipk_self *me, int n)
{
	bool room = s_sleeps(&s->b->space);
	bool end = ipk_unlikely(ipk_ld(&s->b->shut, relaxed)) && s_sleeps(&s->b->items);

	ipk_unlock(me, &s->b->lock);
	if (n && room)
		ipk_event_notify_slow(&s->b->space, n);
	if (n && end)
		ipk_event_notify_slow(&s->b->items, INT32_MAX);
}

/* ---- pop ------------------------------------------------------------------------------------- */

/* Lock held. A value that cannot be is dropped: -EBADMSG. */
static inline int pop_one(struct take *t, struct ipk_stack_item *ret)
{
	struct ipk_stack *s = t->s;
	u64 top, len = 0;
	u32 id;
	int r;
	struct ipk_stack_slot *slot = newest(s, t->deadline, &top, &id, &r);
	const void *data;

	if (ipk_unlikely(!slot))
		return r;
	data = value_of(s, slot, &len);
	if (data && ipk_unlikely(len > t->size))
		return -EMSGSIZE;
	if (ipk_likely(data)) {
		s_copy(t->buf, data, len);
		ret->data = t->buf;
		ret->len = len;
		ret->pos = st_n(top) - 1;
		ret->redelivered = sw_rdc(ipk_ld(&slot->w, relaxed));
	}
	/* COMMIT. Release: the copy was made before, so who fills the slot does not change it. */
	ipk_st(&s->b->top, top - 1, release);
	return ipk_likely(data) ? 0 : -EBADMSG;
}

static inline __attribute__((always_inline)) int pop_turn(struct take *t)
{
	struct ipk_stack *s = t->s;
	int r = ipk_stack_lock(s, t->me, t->deadline);
	unsigned n = t->n < TURN ? t->n : TURN, i;

	if (r < 0)
		return r;
	for (i = 0; i < n; i++) {
		struct ipk_stack_item unseen;
		/* cppcheck-suppress uninitvar ; pop_one() fills it */
		struct ipk_stack_item *item = t->items ? &t->items[i] : &unseen;
		u64 step;

		r = pop_one(t, item);
		if (r < 0)
			break;
		step = ipk_align_up(item->len, 8);
		if (step > t->size)
			step = t->size;
		t->buf += step;
		t->size -= step;
	}
	leave(s, t->me, (int)i + (r == -EBADMSG));
	return i ? (int)i : r;
}

static int try_pop(void *arg)
{
	return pop_turn(arg);
}

/* Takes n turn by turn, waiting for the first alone. Returns how many, or why not one. */
static int take_many(struct take *t, unsigned n, int (*turn)(void *arg))
{
	unsigned done = 0;
	int r = 0;

	if (n > INT32_MAX)
		n = INT32_MAX;
	while (done < n) {
		t->n = n - done;
		r = nothing_there(t->s) ? -EAGAIN : turn(t);
		if (r == -EAGAIN)
			r = wait_for(t, turn);
		if (r < 0)
			break;
		done += (unsigned)r;
		if (t->items)
			t->items += r;
		if (t->leases)
			t->leases += r;
		t->deadline = IPK_NOWAIT;
	}
	return done ? (int)done : r;
}

int ipk_stack_pop_many(struct ipk_stack *s, void *buf, size_t size,
		       struct ipk_stack_item *ret_items, unsigned n, int64_t deadline)
{
	int r = 0;
	struct ipk_self *me = ipk_use(&s->obj, &r);
	struct take t = {.s = s,
			 .me = me,
			 .deadline = deadline,
			 .buf = buf,
			 .size = size,
			 .items = ret_items};

	return me ? take_many(&t, n, try_pop) : r;
}

int ipk_stack_pop(struct ipk_stack *s, void *buf, size_t size, struct ipk_stack_item *ret_item,
		  int64_t deadline)
{
	int r = 0;
	struct ipk_self *me = ipk_use(&s->obj, &r);
	struct ipk_stack_item item;
	struct take t = {.s = s,
			 .me = me,
			 .deadline = deadline,
			 .n = 1,
			 .buf = buf,
			 .size = size,
			 .items = &item};

	if (!me)
		return r;
	r = nothing_there(s) ? -EAGAIN : pop_turn(&t);
	if (ipk_unlikely(r == -EAGAIN))
		r = wait_for(&t, try_pop);
	if (ipk_unlikely(r < 0))
		return r;
	if (ret_item)
		*ret_item = item;
	return 0;
}

int64_t ipk_stack_drain(struct ipk_stack *s)
{
	int r = 0;
	struct ipk_self *me = ipk_use(&s->obj, &r);
	u64 top;
	u32 id, n = 0;

	if (!me)
		return r;
	r = ipk_stack_lock(s, me, IPK_NOWAIT);
	if (r < 0)
		return r;
	if (newest(s, IPK_NOWAIT, &top, &id, &r)) {
		n = st_n(top);
		ipk_st(&s->b->top, st_top(0, st_leased(top)), release); /* COMMIT, of all of them */
	}
	leave(s, me, n > INT32_MAX ? INT32_MAX : (int)n);
	return n ? (int64_t)n : r == -EAGAIN ? s_nothing(s) : r;
}

/* ---- peek ------------------------------------------------------------------------------------ */

#define CHANGED 1

/* The order of the loads is argued in stack.h. */
static int peek_once(struct ipk_stack *s, void *buf, size_t size, struct ipk_stack_item *ret)
{
	u64 turn = ipk_ld(&s->b->turn, acquire), top = ipk_ld(&s->b->top, acquire), w, len;
	u32 n = st_n(top), id;
	struct ipk_stack_slot *slot;
	const void *data;

	if (n == 0)
		return !st_leased(top) && ipk_stack_is_shut(s) ? -EPIPE : -EAGAIN;
	if (st_used(top) > s->g.cap)
		return -EBADMSG;
	id = ipk_ld(&s->b->order[n - 1], acquire);
	if (id >= s->g.cap)
		return -EBADMSG;
	slot = s_slot(s, id);
	w = ipk_ld(&slot->w, acquire); /* pairs with its release: the value comes before it */
	if (sw_own(w))
		return CHANGED; /* on its way from or to a lease */
	data = value_of(s, slot, &len);
	if (data)
		ipk_copy_out(buf, data, len < size ? len : size);
	/* Pairs with the fence in push_one(). */
	ipk_fence(acquire);
	if (st_n(ipk_ld(&s->b->top, acquire)) != n || ipk_ld(&s->b->order[n - 1], acquire) != id ||
	    ipk_ld(&slot->w, acquire) != w || ipk_ld(&s->b->turn, relaxed) != turn)
		return CHANGED;
	*ret = (struct ipk_stack_item){buf, len, n - 1, sw_rdc(w)};
	return data ? 0 : -EBADMSG;
}

/* It changes all the time, or who changed it has died: the lock ends both. */
static int peek_locked(struct ipk_stack *s, void *buf, size_t size, struct ipk_stack_item *ret)
{
	struct ipk_self *me;
	int r = 0;

	if (!s->obj.seg->writable)
		return -EAGAIN;
	me = ipk_use(&s->obj, &r);
	if (me)
		r = ipk_stack_lock(s, me, IPK_NOWAIT);
	if (!me || r < 0)
		return r;
	r = peek_once(s, buf, size, ret);
	ipk_unlock(me, &s->b->lock);
	return r == CHANGED ? -EBADMSG : r;
}

int ipk_stack_peek(struct ipk_stack *s, void *buf, size_t size, struct ipk_stack_item *ret_item)
{
	struct ipk_stack_item item;
	int r = CHANGED, stale;

	for (u32 i = 0; r == CHANGED && i < PEEK_TRIES; i++)
		r = peek_once(s, buf, size, &item);
	if (r == CHANGED)
		r = peek_locked(s, buf, size, &item);
	stale = ipk_after_read(&s->obj);
	if (stale)
		return stale;
	if (r == 0 && ret_item)
		*ret_item = item;
	return r;
}

/* ---- leases --------------------------------------------------------------------------------- */

/* Lock held. */
static int lease_one(struct take *t, struct ipk_stack_lease *ret)
{
	struct ipk_stack *s = t->s;
	u64 top, len, w;
	u32 id, n, leased, rdc;
	int r;
	struct ipk_stack_slot *slot = newest(s, t->deadline, &top, &id, &r);
	struct ipk_stack_change c = {.kind = IPK_STACK_LEASE};
	const void *data;

	if (!slot)
		return r;
	data = value_of(s, slot, &len);
	if (!data) { /* cannot be: dropped */
		ipk_st(&s->b->top, top - 1, release);
		return -EBADMSG;
	}
	n = st_n(top);
	leased = st_leased(top);
	rdc = sw_rdc(ipk_ld(&slot->w, relaxed));
	w = sw_word(s_turn(s), rdc, t->me->slot + 1);
	c.slot = id;
	c.w = w;
	c.top = st_top(n - 1, leased + 1);
	/* The last free slot closes the gap; where none is, it is this one, and nobody looks there.
	 */
	c.at[0] = c.at[1] = n - 1;
	c.id[0] = c.id[1] = ipk_ld(&s->b->order[s->g.cap - leased - 1], relaxed);
	if (c.id[0] >= s->g.cap)
		return -EBADMSG;
	ipk_stack_carry_out(s, &c);
	ipk_hold_get(t->me);
	*ret = (struct ipk_stack_lease){
		.data = data,
		.len = len,
		.pos = n - 1,
		.redelivered = rdc,
		.slot_ = id,
		.word_ = w,
		.fork_ = s->obj.seg->fork_gen,
		.holder_ = t->me,
	};
	return 0;
}

static int try_lease(void *arg)
{
	struct take *t = arg;
	int r = ipk_stack_lock(t->s, t->me, t->deadline);
	unsigned n = t->n < TURN ? t->n : TURN, i;

	if (r < 0)
		return r;
	for (i = 0; i < n; i++) {
		r = lease_one(t, &t->leases[i]);
		if (r < 0)
			break;
	}
	leave(t->s, t->me, r == -EBADMSG);
	return i ? (int)i : r;
}

int ipk_stack_lease_many(struct ipk_stack *s, struct ipk_stack_lease *ret_leases, unsigned n,
			 int64_t deadline)
{
	int r = 0;
	struct ipk_self *me = ipk_use(&s->obj, &r);
	struct take t = {.s = s, .me = me, .deadline = deadline, .leases = ret_leases};

	return me ? take_many(&t, n, try_lease) : r;
}

int ipk_stack_lease(struct ipk_stack *s, struct ipk_stack_lease *ret_lease, int64_t deadline)
{
	int r = ipk_stack_lease_many(s, ret_lease, 1, deadline);

	return r < 0 ? r : 0;
}

/* Lock held. The item is gone, and its slot the last of the free ones. */
static int ack_one(struct ipk_stack *s, u32 id)
{
	u64 top = ipk_ld(&s->b->top, relaxed), w = ipk_ld(&s_slot(s, id)->w, relaxed);
	u32 leased = st_leased(top), edge;
	struct ipk_stack_change c = {.kind = IPK_STACK_ACK, .slot = id, .w = w & ~SW_OWN};

	if (!leased || st_used(top) > s->g.cap)
		return -EBADMSG;
	edge = (u32)(s->g.cap - leased);
	c.top = st_top(st_n(top), leased - 1);
	c.at[0] = c.at[1] = edge;
	c.id[0] = c.id[1] = id;
	ipk_stack_carry_out(s, &c);
	return 0;
}

/* Lock held. */
static int end_lease(struct ipk_stack *s, struct ipk_stack_lease *l, bool back)
{
	int r;

	if (!l->holder_ || l->slot_ >= s->g.cap || l->fork_ != s->obj.seg->fork_gen ||
	    ipk_ld(&s_slot(s, l->slot_)->w, relaxed) != l->word_)
		return -EINVAL;
	r = back ? ipk_stack_give_back(s, l->slot_) : ack_one(s, l->slot_);
	if (r < 0)
		return r;
	ipk_hold_put(l->holder_);
	l->holder_ = NULL;
	return 0;
}

int ipk_stack_ack_many(struct ipk_stack *s, struct ipk_stack_lease *leases, unsigned n)
{
	int r = 0;
	struct ipk_self *me = ipk_use(&s->obj, &r);
	unsigned done = 0;

	if (!me)
		return r;
	while (done < n && done < INT32_MAX && r == 0) {
		unsigned i;

		r = ipk_stack_lock(s, me, IPK_FOREVER);
		if (r < 0)
			break;
		for (i = 0; done < n && i < TURN && r == 0; i++) {
			r = end_lease(s, &leases[done], false);
			done += r == 0;
		}
		leave(s, me, (int)i);
	}
	return done ? (int)done : r;
}

int ipk_stack_ack(struct ipk_stack *s, struct ipk_stack_lease *lease)
{
	int r = ipk_stack_ack_many(s, lease, 1);

	return r < 0 ? r : 0;
}

int ipk_stack_nack(struct ipk_stack *s, struct ipk_stack_lease *lease)
{
	int r = 0;
	struct ipk_self *me = ipk_use(&s->obj, &r);
	bool sleeps;

	if (!me)
		return r;
	r = ipk_stack_lock(s, me, IPK_FOREVER);
	if (r < 0)
		return r;
	r = end_lease(s, lease, true);
	sleeps = s_sleeps(&s->b->items);
	ipk_unlock(me, &s->b->lock);
	if (r == 0 && sleeps)
		ipk_event_notify_slow(&s->b->items, 1);
	return r;
}

/* ---- the end -------------------------------------------------------------------------------- */

int ipk_stack_shutdown(struct ipk_stack *s)
{
	int r = 0;
	struct ipk_self *me = ipk_use(&s->obj, &r);

	if (!me)
		return r;
	/*
	 * seq_cst: a waiter sees it, or we see the waiter. Pushers look at it with the lock: who
	 * had that before us has pushed before us.
	 */
	ipk_xchg(&s->b->shut, 1u, seq_cst);
	ipk_stack_wake(&s->obj);
	return 0;
}
