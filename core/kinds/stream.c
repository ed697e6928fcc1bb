/* SPDX-License-Identifier: MIT */
/*
 * Streams for C programs: the handle and producers. Subscribers are in stream_sub.c, the layout in
 * stream.h.
 */
#include <stdio.h>
#include <time.h>

#include "base/copy.h"
#include "base/futex.h"
#include "kinds/await.h"
#include "kinds/hooks.h"
#include "kinds/stream.h"
#include "object_type.h"

#define BYTES_MAX (UINT64_C(1) << 44)
/* Of who would not wait: longer than anybody holds it who has not stopped */
#define LOCK_NS INT64_C(1000000000)

/* ---- geometry -------------------------------------------------------------------------------- */

int ipk_stream_measure(const struct ipk_stream_body *body, u64 len, struct ipk_stream_shape *ret)
{
	struct ipk_stream_shape s = {
		.cap = body->cap,
		.bytes = body->bytes,
		.spare = body->spare,
		.room = body->room,
		.size = body->size,
		.policy = body->policy,
		.subs = body->subs,
		.names = sizeof(*body),
	};

	if (!s.cap || s.cap > IPK_STREAM_CAP_MAX || !s.bytes || s.bytes > BYTES_MAX ||
	    s.bytes % 8 || s.room > BYTES_MAX || s.room % 8 || !s.subs ||
	    s.subs > IPK_STREAM_SUBS_MAX || s.policy > IPK_STREAM_REJECT || s.size > s.bytes ||
	    s.spare > s.bytes || s.spare % 8 || s.spare < s.size || !s.spare)
		return -EBADMSG;
	s.entries = s.names + s.subs * sizeof(struct ipk_stream_name);
	s.states = s.entries + (s.cap + IPK_STREAM_BATCH) * sizeof(struct ipk_stream_entry);
	s.data = s.states + (s.room ? 2 * (8 + s.room) : 0);
	s.data = ipk_align_up(s.data, IPK_LINE);
	s.end = s.data + s.bytes + s.spare;
	if (s.end > len)
		return -EBADMSG;
	*ret = s;
	return 0;
}

static int bind_body(struct ipk_obj *obj, struct ipk_stream_body **ret_body,
		     struct ipk_stream_shape *ret)
{
	u64 room;
	struct ipk_stream_body *b = ipk_body(obj, sizeof(*b), &room), copy;
	int r;

	if (!b)
		return -EBADMSG;
	ipk_copy_out(&copy, b, sizeof(copy));
	r = ipk_stream_measure(&copy, room, ret);
	if (r == 0 && !ipk_at(obj->seg, obj->body, ret->end, IPK_LINE))
		r = -EBADMSG;
	*ret_body = b;
	return r;
}

/* ---- handle ---------------------------------------------------------------------------------- */

int ipk_stream_create_derived(struct ipk_segment *seg, const char *name,
			      const struct ipk_stream_options *options, const char *pipeline,
			      struct ipk_error *err)
{
	static const char *const policies[] = {"drop", "block", "reject"};
	const struct ipk_stream_options none = {0}, *o = options ? options : &none;
	const struct {
		const char *name;
		u64 val;
	} numbers[] = {
		{"cap", o->cap}, {"max-bytes", o->bytes}, {"subs", o->subs}, {"state", o->state}};
	struct ipk_param params[7];
	char text[4][24];
	unsigned n = 0;

	if ((unsigned)o->policy >= IPK_ARRAY_LEN(policies))
		return ipk_error_set(err, -EINVAL, "no such policy");
	params[n++] = (struct ipk_param){"policy", policies[o->policy]};
	if (o->type)
		params[n++] = (struct ipk_param){"type", o->type};
	for (unsigned i = 0; i < IPK_ARRAY_LEN(numbers); i++) {
		if (!numbers[i].val)
			continue;
		snprintf(text[i], sizeof(text[i]), "%llu", (unsigned long long)numbers[i].val);
		params[n++] = (struct ipk_param){numbers[i].name, text[i]};
	}
	if (pipeline)
		params[n++] = (struct ipk_param){"derive", pipeline};
	return ipk_object_new(seg, name, "stream", params, n, err);
}

int ipk_stream_create(struct ipk_segment *seg, const char *name,
		      const struct ipk_stream_options *options, struct ipk_error *err)
{
	return ipk_stream_create_derived(seg, name, options, NULL, err);
}

int ipk_stream_open(struct ipk_segment *seg, const char *name, const char *type,
		    struct ipk_stream **ret_stream, struct ipk_error *err)
{
	struct ipk_type *own;
	struct ipk_stream *st;
	void *handle;
	int r = ipk_obj_open(seg, name, ipk_kind_stream.id, ipk_kind_stream.version,
			     sizeof(struct ipk_stream_body), sizeof(*st), &handle, err);

	if (r < 0)
		return r;
	st = handle;
	r = bind_body(&st->obj, &st->b, &st->s);
	if (r < 0)
		ipk_error_set(err, r, "stream \"%s\" is damaged", name);
	else
		r = ipk_obj_type(&st->obj, name, IPK_TYPE_OF_VALUES, st->s.size, type, &own, err);
	if (r < 0) {
		ipk_obj_close(&st->obj);
		return r;
	}
	ipk_type_free(own);
	*ret_stream = st;
	return 0;
}

void ipk_stream_close(struct ipk_stream *st)
{
	if (st)
		ipk_obj_close(&st->obj);
}

uint64_t ipk_stream_capacity(const struct ipk_stream *st)
{
	return st->s.cap;
}

uint32_t ipk_stream_element_size(const struct ipk_stream *st)
{
	return st->s.size;
}

void ipk_stream_range(struct ipk_stream *st, uint64_t *ret_first, uint64_t *ret_next)
{
	u64 head = ipk_ld(&st->b->head, acquire); /* before the tail, which is never less */

	*ret_next = ipk_ld(&st->b->word, acquire) / 2;
	*ret_first = head < *ret_next ? head : *ret_next;
}

bool ipk_stream_is_shut(const struct ipk_stream *st)
{
	return ipk_ld(&st->b->shut, acquire) != 0;
}

/* ---- producers: the lock is held ------------------------------------------------------------- */

/* The byte position behind the last record. */
static u64 data_end(struct ipk_stream *st, u64 tail)
{
	struct ipk_stream_entry *e;

	if (tail == 0)
		return 0;
	e = ipk_stream_entry_of(st, tail - 1);
	return ipk_ld(&e->at, relaxed) + ipk_ld(&e->len, relaxed);
}

/* How far records may be dropped: to the named subscriber that is furthest behind. */
static u64 may_drop_to(struct ipk_stream *st, u64 tail)
{
	u64 least = tail;

	if (st->s.policy == IPK_STREAM_DROP)
		return tail;
	for (u32 i = 0; i < st->s.subs; i++) {
		struct ipk_stream_name *n = ipk_stream_name_at(st->b, &st->s, i);
		u64 cursor;

		if (!ipk_ld(&n->used, acquire))
			continue;
		/* Acquire: pairs with the release of who has read that far. */
		cursor = ipk_ld(&n->cursor, acquire);
		if (cursor < least)
			least = cursor;
	}
	return least;
}

/* Drops what is retained beyond measure: somebody died behind his COMMIT. Returns where head is. */
static u64 trim(struct ipk_stream *st)
{
	u64 tail = ipk_ld(&st->b->word, relaxed) / 2, end = data_end(st, tail);
	u64 head = ipk_ld(&st->b->head, relaxed);

	/* No producer leaves more behind, but damage may. */
	if (head < tail && tail - head > st->s.cap + IPK_STREAM_BATCH)
		head = tail - st->s.cap;
	while (head + 1 < tail &&
	       ipk_stream_too_much(&st->s, head, tail,
				   ipk_ld(&ipk_stream_entry_of(st, head)->at, relaxed), end))
		head++;
	if (head != ipk_ld(&st->b->head, relaxed))
		ipk_st(&st->b->head, head, release);
	return head;
}

struct ipk_self *ipk_stream_lock(struct ipk_stream *st, int *ret_error)
{
	struct ipk_self *me = ipk_use(&st->obj, ret_error);

	if (me) {
		*ret_error = ipk_lock(me, &st->b->lock, IPK_FOREVER);
		if (*ret_error < 0)
			me = NULL;
		else if (*ret_error > 0) /* its holder died, and may not have come to store head */
			trim(st);
	}
	return me;
}

struct plan {
	u64 tail, head; /* head: where it will be */
	u64 first, end; /* byte positions: of the first record taken up, behind the last */
	unsigned n;
};

/*
 * Takes up one more record. -EAGAIN: it would drop what somebody has not read; -EMSGSIZE: it does
 * not fit beside those that were taken up before.
 */
static int plan_add(struct ipk_stream *st, struct plan *p, u64 len, u64 limit)
{
	u64 at = ipk_align_up(p->end, 8), next = p->tail + p->n + 1, head = p->head;

	if (st->s.size ? len != st->s.size : len > st->s.spare)
		return -EMSGSIZE;
	if (p->n &&
	    (p->n == st->s.cap || p->n == IPK_STREAM_BATCH || at + len - p->first > st->s.spare))
		return -EMSGSIZE;
	while (head < p->tail &&
	       ipk_stream_too_much(&st->s, head, next,
				   ipk_ld(&ipk_stream_entry_of(st, head)->at, relaxed), at + len))
		head++;
	if (head > p->head && head > limit)
		return -EAGAIN;
	if (p->n == 0)
		p->first = at;
	p->head = head;
	p->end = at + len;
	p->n++;
	return 0;
}

static void write_data(struct ipk_stream *st, u64 at, const void *data, u64 len)
{
	u64 ring = st->s.bytes + st->s.spare, left = ring - at % ring, n = len < left ? len : left;
	u8 *base = (u8 *)st->b + st->s.data;

	ipk_copy_in(base + at % ring, data, n);
	ipk_copy_in(base, (const u8 *)data + n, len - n);
}

static void write_records(struct ipk_stream *st, const struct plan *p, const struct iovec *values)
{
	u64 time = ipk_now_real(), at = p->first;

	/* Pairs with copy_record(): who copies what is written from here on will see head beyond
	 * what he wanted. */
	ipk_fence(release);
	for (unsigned i = 0; i < p->n; i++) {
		struct ipk_stream_entry *e = ipk_stream_entry_of(st, p->tail + i);

		write_data(st, at, values[i].iov_base, values[i].iov_len);
		ipk_st(&e->at, at, relaxed);
		ipk_st(&e->len, (u64)values[i].iov_len, relaxed);
		ipk_st(&e->time, time, relaxed);
		at = ipk_align_up(at + values[i].iov_len, 8);
	}
}

static u8 *state_at(struct ipk_stream *st, u64 which)
{
	return (u8 *)st->b + st->s.states + which * (8 + st->s.room);
}

/* ---- producers ------------------------------------------------------------------------------- */

struct emission {
	struct ipk_stream *st;
	struct ipk_self *me;
	const struct iovec *values;
	unsigned n;
	bool all;          /* or none */
	const void *state; /* or NULL */
	size_t state_len;
	i64 deadline;
};

static int emit_locked(struct emission *e)
{
	struct ipk_stream *st = e->st;
	u64 word = ipk_ld(&st->b->word, relaxed), which = word & 1, limit;
	struct plan p = {.tail = word / 2, .head = trim(st)};
	int r = 0;

	if (ipk_ld(&st->b->shut, relaxed))
		return -EPIPE;
	p.end = data_end(st, p.tail);
	limit = may_drop_to(st, p.tail);
	while (p.n < e->n && r == 0)
		r = plan_add(st, &p, e->values[p.n].iov_len, limit);
	/* What can never go in is not waited for. */
	if (r == -EAGAIN && e->all) {
		while (p.n < e->n && r != -EMSGSIZE)
			r = plan_add(st, &p, e->values[p.n].iov_len, UINT64_MAX);
		return r ? r : -EAGAIN;
	}
	if (r && (e->all || p.n == 0))
		return r;
	if (IPK_BUG(stream_tail_first))
		ipk_st(&st->b->word, (p.tail + p.n) * 2 + which, release);
	if (p.n)
		write_records(st, &p, e->values);
	if (e->state) {
		which ^= 1;
		ipk_st((u64 *)(void *)state_at(st, which), (u64)e->state_len, relaxed);
		ipk_copy_in(state_at(st, which) + 8, e->state, e->state_len);
	}
	/* COMMIT. Release: all that was written comes before. */
	ipk_st(&st->b->word, (p.tail + p.n) * 2 + which, release);
	if (p.n)
		ipk_st(&st->b->head, p.head, release);
	return (int)p.n;
}

static int try_emit(void *arg)
{
	struct emission *e = arg;
	i64 deadline = e->deadline == IPK_NOWAIT ? ipk_deadline(LOCK_NS) : e->deadline;
	int r = ipk_lock(e->me, &e->st->b->lock, deadline);

	if (r == -ETIMEDOUT && e->deadline == IPK_NOWAIT)
		return -EAGAIN;
	if (r < 0)
		return r;
	r = emit_locked(e);
	ipk_unlock(e->me, &e->st->b->lock);
	return r;
}

static int emit(struct emission *e)
{
	struct ipk_stream *st = e->st;
	int r;

	e->me = ipk_use(&st->obj, &r);
	if (!e->me)
		return r;
	if (ipk_stale(&st->obj))
		return -ESTALE;
	if (st->s.policy == IPK_STREAM_BLOCK)
		r = ipk_await(&st->obj, e->me, &st->b->ev_room, try_emit, e, e->deadline);
	else
		r = try_emit(e);
	if (r >= 0 && (e->n || e->state) && !IPK_BUG(stream_emit_silent))
		ipk_event_notify(&st->b->ev, INT32_MAX);
	return r;
}

int ipk_stream_emit(struct ipk_stream *st, const void *data, size_t len, int64_t deadline)
{
	const struct iovec value = {(void *)data, len};
	struct emission e = {.st = st, .values = &value, .n = 1, .deadline = deadline};
	int r = emit(&e);

	return r < 0 ? r : 0;
}

int ipk_stream_emit_many(struct ipk_stream *st, const struct iovec *values, unsigned n,
			 int64_t deadline)
{
	struct emission e = {.st = st, .values = values, .n = n, .deadline = deadline};

	return n ? emit(&e) : 0;
}

int ipk_stream_commit(struct ipk_stream *st, const struct iovec *values, unsigned n,
		      const void *state, size_t len, int64_t deadline)
{
	struct emission e = {.st = st,
			     .values = values,
			     .n = n,
			     .all = true,
			     .state = state,
			     .state_len = len,
			     .deadline = deadline};
	int r;

	if (state && (len > st->s.room || !st->s.room))
		return -EMSGSIZE;
	r = emit(&e);
	return r < 0 ? r : 0;
}

int ipk_stream_state(struct ipk_stream *st, void *buf, size_t size, size_t *ret_len)
{
	struct ipk_self *me;
	u8 *state;
	u64 len;
	int r;

	if (!st->s.room) {
		*ret_len = 0;
		return 0;
	}
	me = ipk_stream_lock(st, &r);
	if (!me)
		return r;
	state = state_at(st, ipk_ld(&st->b->word, relaxed) & 1);
	len = ipk_ld((u64 *)(void *)state, relaxed);
	r = len > st->s.room ? -EBADMSG : len > size ? -EMSGSIZE : 0;
	if (r == 0)
		ipk_copy_out(buf, state + 8, len);
	ipk_unlock(me, &st->b->lock);
	*ret_len = len;
	return r;
}

int ipk_stream_shutdown(struct ipk_stream *st)
{
	struct ipk_self *me;
	int r;

	me = ipk_stream_lock(st, &r);
	if (!me)
		return r;
	ipk_st(&st->b->shut, 1u, release);
	ipk_unlock(me, &st->b->lock);
	ipk_stream_wake(&st->obj);
	return 0;
}

/* ---- what the segment asks ------------------------------------------------------------------- */

bool ipk_stream_attachable(struct ipk_obj *obj)
{
	struct ipk_stream_shape s;
	struct ipk_stream_body *b;

	return bind_body(obj, &b, &s) == 0;
}

static int mend(struct ipk_self *me, void *arg, bool died)
{
	(void)me, (void)died;
	trim(arg);
	return 0;
}

/* Names of the dead are free again. Their cursors stay. */
int ipk_stream_recover(struct ipk_obj *obj)
{
	struct ipk_stream st = {.obj = *obj};
	int r = bind_body(obj, &st.b, &st.s);

	if (r == 0)
		r = ipk_take_over(obj, &st.b->lock, mend, &st);
	for (u32 i = 0; r == 0 && i < st.s.subs; i++) {
		struct ipk_stream_name *n = ipk_stream_name_at(st.b, &st.s, i);
		/* The word before the liveness of its owner. */
		u64 owner = ipk_ld(&n->owner, acquire), slot = owner & IPK_STREAM_OWNER;

		if (slot && ipk_dead(obj->seg, (u32)slot - 1, true))
			ipk_cas(&n->owner, &owner, owner & ~IPK_STREAM_OWNER, acq_rel);
	}
	return r;
}

void ipk_stream_wake(struct ipk_obj *obj)
{
	struct ipk_stream_shape s;
	struct ipk_stream_body *b;

	if (bind_body(obj, &b, &s) < 0)
		return;
	ipk_event_notify(&b->ev, INT32_MAX);
	ipk_event_notify(&b->ev_room, INT32_MAX);
}
