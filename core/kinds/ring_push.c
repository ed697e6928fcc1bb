/* SPDX-License-Identifier: MIT */
/*
 * Pushing where the inline functions cannot: no room is known, somebody has to be told, a checksum,
 * many producers, streams. Words and reasons are in ring.h.
 */
#include "kinds/ring.h"
#include "segment/registry.h"

#define GRACE INT64_C(2000000) /* ns: longer than a push that does not stop has the lock */

/* ---- where a producer stands ----------------------------------------------------------------- */

int ipk_ring_find_tail(struct ipk_ring_handle *h, u64 *ret_tail, u64 *ret_count)
{
	u64 tail = ipk_ld(&h->b->tail, acquire), count = ipk_ld(&h->b->pushed, relaxed), steps;

	for (steps = h->g.unit ? 0 : h->g.cap / 8; steps; steps--) {
		u64 len;

		if (tail & 7)
			return -EBADMSG;
		len = ring_word_len(ipk_ld((u64 *)ring_addr(h, tail), acquire));
		if ((u32)len == UINT32_MAX)
			break;
		if (len > h->g.most)
			return -EBADMSG;
		tail += ipk_ring_need(len);
		count++;
	}
	if (!h->g.unit && !steps)
		return -EBADMSG;
	*ret_tail = tail;
	*ret_count = count;
	return 0;
}

int ipk_ring_start_tx(struct ipk_ring_handle *h, struct ipk_ring_tx *t)
{
	int r = ipk_ring_find_tail(h, &t->pos, &t->count);

	if (r < 0)
		return r;
	t->at = ring_addr(h, t->pos);
	t->end = (uintptr_t)h->data + h->g.cap;
	t->cap = h->g.cap;
	t->tail = &h->b->tail;
	t->head = &h->b->head;
	t->bell = (u64 *)(void *)&h->b->items;
	t->unit = h->g.unit && !ring_stream(h) ? h->g.unit : SIZE_MAX;
	t->below = h->g.unit || h->g.flags & IPK_RING_SUM ? 0 : h->g.most + 1;
	t->stop = h->g.unit ? t->at : 0;
	t->free = h->g.unit ? 0 : t->at;
	return 0;
}

/* What is free if the consumer has come to head. */
static int set_room(struct ipk_ring_handle *h, struct ipk_ring_tx *t, u64 head)
{
	u64 used = t->pos - head, n, left;

	if (used > h->g.lap)
		return -EBADMSG;
	if (!h->g.unit) {
		t->free = t->at + (h->g.cap - used);
		return 0;
	}
	if (t->at == t->end)
		t->at = t->stop = (uintptr_t)h->data;
	n = (h->g.lap - used) * h->g.unit;
	left = t->end - t->at;
	t->stop = t->at + (n < left ? n : left);
	return 0;
}

static bool has_room(struct ipk_ring_handle *h, const struct ipk_ring_tx *t, u64 len)
{
	if (h->g.unit)
		return t->at != t->stop;
	return (i64)(t->free - t->at) >= (i64)ipk_ring_need(len) + 8;
}

/* Room for a record of len bytes, or for a cell. */
static int find_room(struct ipk_ring_handle *h, struct ipk_ring_tx *t, u64 len)
{
	u64 head;
	int r;

	if (has_room(h, t, len))
		return 0;
	/* Acquire: what we overwrite has been read. Pairs with ipk_ring_pass(). */
	head = ipk_ld(&h->b->head, acquire);
	r = set_room(h, t, head);
	if (r == 0 && ring_many(h))
		ipk_st(&h->b->seen, head, relaxed);
	return r < 0 ? r : has_room(h, t, len) ? 0 : -EAGAIN;
}

/* ---- turns: with the role, or with the lock -------------------------------------------------- */

struct turn {
	struct ipk_ring_tx *t;
	struct ipk_ring_tx own; /* where many produce */
};

/* Its last holder's death leaves nothing to be mended: ring.h, (2). */
static int lock(struct ipk_ring_handle *h, struct ipk_self *me, i64 deadline)
{
	u64 own = ipk_ld(&h->b->lock, relaxed) & IPK_LOCK_OWNER;
	i64 grace;
	int r;

	if (own == me->slot + 1)
		return -EBUSY; /* our own reservation */
	if (!own && ipk_lock(me, &h->b->lock, IPK_NOWAIT) >= 0)
		return 0;
	grace = ipk_deadline(GRACE);
	r = ipk_lock(me, &h->b->lock, deadline > grace ? deadline : grace);
	return r == -ETIMEDOUT && deadline == IPK_NOWAIT ? -EAGAIN : r < 0 ? r : 0;
}

static void end_turn(struct ipk_ring_handle *h, struct ipk_self *me)
{
	if (ring_many(h))
		ipk_unlock(me, &h->b->lock);
}

static int begin_turn(struct ipk_ring_handle *h, struct ipk_self *me, i64 deadline,
		      struct turn *turn)
{
	int r;

	if (!ring_many(h)) {
		r = ipk_ring_take_role(h, me, IPK_RING_PRODUCER);
		turn->t = h->pub.tx;
		return r < 0 ? r : ipk_ld(&h->b->shut, acquire) ? -EPIPE : 0;
	}
	r = lock(h, me, deadline);
	if (r < 0)
		return r;
	turn->t = &turn->own;
	r = ipk_ring_start_tx(h, &turn->own);
	if (r == 0)
		set_room(h, &turn->own, ipk_ld(&h->b->seen, relaxed));
	if (r == 0 && ipk_ld(&h->b->shut, acquire))
		r = -EPIPE;
	if (r < 0)
		end_turn(h, me);
	return r;
}

/* What we published last does not count: the ring ends before it. */
static void take_back(struct ipk_ring_handle *h, struct ipk_ring_tx *t, u64 units)
{
	t->pos -= units;
	t->at = ring_addr(h, t->pos);
	if (!h->g.unit) {
		ipk_st((u64 *)t->at, UINT64_C(0), relaxed);
		t->count--;
		ipk_st(&t->tail[1], t->count, relaxed);
	}
	ipk_st(&t->tail[0], t->pos, release);
}

/* Shut while we published units: do they count? Here and by the consumer it is decided once. */
static int decide(struct ipk_ring_handle *h, struct ipk_ring_tx *t, u64 units)
{
	u64 end = 0;
	bool counts;

	ipk_fence(seq_cst);
	counts = ipk_cas(&h->b->end, &end, t->pos + 1, seq_cst) || end - 1 >= t->pos;
	if (!counts)
		take_back(h, t, units);
	/* Nothing more is to be published, see ring.h, SHUT. */
	t->below = 0;
	t->stop = h->g.unit ? t->at : 0;
	t->unit = SIZE_MAX;
	return counts ? 0 : -EPIPE;
}

static int after_publishing(struct ipk_ring_handle *h, struct ipk_ring_tx *t, u64 units)
{
	ipk_fence(acq_rel); /* for the compiler: the look comes after the stores */
	return ipk_unlikely(ipk_ld(&h->b->shut, seq_cst)) ? decide(h, t, units) : 0;
}

static void wake_consumer(struct ipk_ring_handle *h)
{
	if (ipk_unlikely(ipk_ld(&h->b->items, seq_cst) & IPK_EV_W))
		ipk_event_notify_slow(&h->b->items, INT32_MAX);
}

int ipk_ring_rang(struct ipk_ring *ring, uint64_t units)
{
	struct ipk_ring_handle *h = ring_handle(ring);

	wake_consumer(h);
	return after_publishing(h, ring->tx, units);
}

/* ---- messages -------------------------------------------------------------------------------- */

struct put {
	const void *data;
	u64 len;
	i64 deadline;
};

/* Room is there. Returns the units that were published. */
static u64 put_one(struct ipk_ring_handle *h, struct ipk_ring_tx *t, const void *data, u64 len)
{
	u32 sum = 0;

	if (h->g.unit) {
		memcpy((void *)t->at, data, len);
		ipk_ring_publish_cells(t, len, 1);
		return 1;
	}
	if (len)
		memcpy((void *)(t->at + 8), data, len);
	if (h->g.flags & IPK_RING_SUM)
		sum = ipk_ring_sum((void *)(t->at + 8), len, t->pos);
	ipk_ring_publish(t, len, sum);
	return ipk_ring_need(len);
}

static int put_attempt(struct ipk_ring_handle *h, struct ipk_self *me, void *arg)
{
	const struct put *p = arg;
	struct turn turn;
	int r = begin_turn(h, me, p->deadline, &turn);

	if (r < 0)
		return r;
	r = find_room(h, turn.t, p->len);
	if (r == 0)
		r = after_publishing(h, turn.t, put_one(h, turn.t, p->data, p->len));
	end_turn(h, me);
	if (r == 0)
		wake_consumer(h);
	return r;
}

/* Could a message of that length ever be pushed? */
static int check_len(const struct ipk_ring_handle *h, u64 len)
{
	if (h->g.unit && !ring_stream(h))
		return len == h->g.unit ? 0 : -EMSGSIZE;
	if (h->g.flags & IPK_RING_FIXED)
		return len == h->g.most ? 0 : -EMSGSIZE;
	return len <= h->g.most ? 0 : -EMSGSIZE;
}

int ipk_ring_push_slow(struct ipk_ring *ring, const void *data, size_t len, int64_t deadline)
{
	struct ipk_ring_handle *h = ring_handle(ring);
	struct put p = {data, len, deadline};
	int r = ring_stream(h) ? -EOPNOTSUPP : check_len(h, len);

	return r < 0 ? r : ipk_ring_wait(h, &h->b->space, deadline, put_attempt, &p);
}

int ipk_ring_push_many(struct ipk_ring *ring, const struct iovec *messages, unsigned n,
		       int64_t deadline)
{
	unsigned i;
	int r = 0;

	for (i = 0; i < n && i < INT32_MAX; i++) {
		r = ipk_ring_push(ring, messages[i].iov_base, messages[i].iov_len,
				  i ? IPK_NOWAIT : deadline);
		if (r < 0)
			break;
	}
	return i ? (int)i : r;
}

/* ---- many cells, and streams ----------------------------------------------------------------- */

struct puts {
	const u8 *data;
	u64 left; /* bytes */
	i64 deadline;
	u64 done;
};

/* As much as there is room for now. */
static int puts_attempt(struct ipk_ring_handle *h, struct ipk_self *me, void *arg)
{
	struct puts *p = arg;
	struct turn turn;
	int r = begin_turn(h, me, p->deadline, &turn);

	if (r < 0)
		return r;
	while (p->left && (r = find_room(h, turn.t, 0)) == 0) {
		u64 n = turn.t->stop - turn.t->at;

		n = n < p->left ? n : p->left;
		memcpy((void *)turn.t->at, p->data, n);
		ipk_ring_publish_cells(turn.t, n, n / h->g.unit);
		r = after_publishing(h, turn.t, n / h->g.unit);
		if (r < 0)
			break;
		p->data += n;
		p->left -= n;
		p->done += n;
		if (ipk_ld(&h->b->shut, relaxed))
			break;
	}
	end_turn(h, me);
	if (p->done)
		wake_consumer(h);
	return p->done ? 0 : r;
}

int ipk_ring_push_array_slow(struct ipk_ring *ring, const void *values, unsigned n,
			     int64_t deadline)
{
	struct ipk_ring_handle *h = ring_handle(ring);
	struct puts p = {.data = values, .left = (u64)n * h->g.unit, .deadline = deadline};
	int r;

	if (!h->g.unit || ring_stream(h))
		return -EOPNOTSUPP;
	if (n == 0 || n > INT32_MAX)
		return n ? -EINVAL : 0;
	r = ipk_ring_wait(h, &h->b->space, deadline, puts_attempt, &p);
	return r < 0 ? r : (int)(p.done / h->g.unit);
}

int64_t ipk_ring_write(struct ipk_ring *ring, const void *data, size_t len, int64_t deadline)
{
	struct ipk_ring_handle *h = ring_handle(ring);
	struct puts p = {.data = data, .left = len, .deadline = deadline};
	int r;

	if (!ring_stream(h))
		return -EOPNOTSUPP;
	if (!len)
		return 0;
	r = ipk_ring_wait(h, &h->b->space, deadline, puts_attempt, &p);
	return r < 0 ? r : (int64_t)p.done;
}

/* ---- in place -------------------------------------------------------------------------------- */

struct reserve {
	u64 len;
	i64 deadline;
	struct ipk_ring_room *room;
};

static int reserve_attempt(struct ipk_ring_handle *h, struct ipk_self *me, void *arg)
{
	struct reserve *v = arg;
	struct ipk_ring_room *room = v->room;
	struct turn turn;
	int r = begin_turn(h, me, v->deadline, &turn);

	if (r < 0)
		return r;
	r = find_room(h, turn.t, v->len);
	if (r < 0) {
		end_turn(h, me);
		return r;
	}
	*room = (struct ipk_ring_room){.data = (void *)(turn.t->at + 8), .len = v->len, .slow_ = 1};
	if (h->g.unit) {
		u64 n = turn.t->stop - turn.t->at;

		room->data = (void *)turn.t->at;
		room->len = n < v->len ? n : v->len / h->g.unit * h->g.unit;
	}
	if (ring_many(h)) {
		room->owner_ = me; /* and has the lock from here, also when its thread ends */
		ipk_hold_get(me);
	}
	return 0;
}

int ipk_ring_reserve_slow(struct ipk_ring *ring, size_t len, struct ipk_ring_room *ret_room,
			  int64_t deadline)
{
	struct ipk_ring_handle *h = ring_handle(ring);
	struct ipk_ring_room room;
	struct reserve v = {len, deadline, &room};
	int r = 0;

	if (h->g.unit)
		r = len < h->g.unit ? -EMSGSIZE : 0;
	else
		r = check_len(h, len);
	if (r == 0)
		r = ipk_ring_wait(h, &h->b->space, deadline, reserve_attempt, &v);
	if (r == 0)
		*ret_room = room;
	return r;
}

static int commit(struct ipk_ring_handle *h, struct ipk_ring_tx *t, u64 len)
{
	u64 units = h->g.unit ? len / h->g.unit : ipk_ring_need(len);

	if (h->g.unit)
		ipk_ring_publish_cells(t, len, units);
	else
		ipk_ring_publish(t, len,
				 h->g.flags & IPK_RING_SUM
					 ? ipk_ring_sum((void *)(t->at + 8), len, t->pos)
					 : 0);
	return after_publishing(h, t, units);
}

int ipk_ring_commit_slow(struct ipk_ring *ring, struct ipk_ring_room *room, size_t len)
{
	struct ipk_ring_handle *h = ring_handle(ring);
	struct ipk_ring_tx own, *t = ring->tx;
	int r = 0;

	if (len > room->len || !room->slow_ || (ring_many(h) ? !room->owner_ : !t->owner_))
		return -EINVAL;
	if (h->g.unit ? len % h->g.unit != 0 : check_len(h, len) < 0)
		return -EMSGSIZE;
	if (ring_many(h)) {
		t = &own;
		r = ipk_ring_start_tx(h, t);
	}
	/* Something was pushed since: there is nothing left of what was reserved. */
	if (r == 0 && (uintptr_t)room->data != t->at + (h->g.unit ? 0 : 8))
		r = -EINVAL;
	if (r == 0 && (len || !h->g.unit))
		r = commit(h, t, len);
	ipk_ring_abort_slow(ring, room);
	wake_consumer(h);
	return r;
}

void ipk_ring_abort_slow(struct ipk_ring *ring, struct ipk_ring_room *room)
{
	struct ipk_ring_handle *h = ring_handle(ring);
	struct ipk_self *owner = room->owner_;

	if (owner) {
		ipk_unlock(owner, &h->b->lock);
		ipk_hold_put(owner);
	}
	*room = (struct ipk_ring_room){.data = NULL};
}
