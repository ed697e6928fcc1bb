/* SPDX-License-Identifier: MIT */
/*
 * Queues for C programs: the handle, the fast paths, waiting, leases. The algorithm is in queue.h.
 */
#include "base/copy.h"
#include "kinds/hooks.h"
#include "kinds/queue.h"
#include "object_type.h"

#define BODY_MAX (UINT64_C(1) << 48)

/* ---- geometry -------------------------------------------------------------------------------- */

u64 ipk_queue_layout(u64 cap, u32 size, struct ipk_queue_body *ret_body)
{
	u64 stride = size ? 8 + ipk_align_up(size, 8) : sizeof(struct ipk_queue_slot);

	if (!cap || cap > IPK_QUEUE_CAP_MAX || stride > BODY_MAX / cap)
		return 0;
	*ret_body = (struct ipk_queue_body){.cap = cap, .stride = stride, .size = size};
	return sizeof(*ret_body) + cap * stride;
}

int ipk_queue_measure(const struct ipk_queue_body *body, u64 off, u64 len,
		      struct ipk_queue_geometry *ret)
{
	struct ipk_queue_body want;
	u64 bytes = ipk_queue_layout(body->cap, body->size, &want);
	u32 bits = 0;

	if (!bytes || bytes > len || body->stride != want.stride)
		return -EBADMSG;
	while ((UINT64_C(1) << bits) < want.cap)
		bits++;
	*ret = (struct ipk_queue_geometry){
		.cap = want.cap,
		.mask = (UINT64_C(1) << bits) - 1,
		.stride = want.stride,
		.slots = off + sizeof(want),
		.bits = bits,
		.size = want.size,
		.small = want.size == 4 || want.size == 8 || want.size == 16 ? want.size
									     : UINT32_MAX,
	};
	return 0;
}

int ipk_queue_bind(struct ipk_queue *q)
{
	struct ipk_obj *obj = &q->obj;
	struct ipk_queue_body copy;
	u64 room;
	int r;

	q->b = ipk_body(obj, sizeof(*q->b), &room);
	if (!q->b)
		return -EBADMSG;
	ipk_copy_out(&copy, q->b, sizeof(copy));
	r = ipk_queue_measure(&copy, obj->body, room, &q->g);
	if (r < 0)
		return r;
	q->slots = ipk_at(obj->seg, q->g.slots, q->g.cap * q->g.stride, 8);
	if (!q->slots)
		return -EBADMSG;
	*q_fast(q) = (struct ipk_queue_fast){
		.who = obj->fast,
		.body = q->b,
		.slots = q->slots,
		.cap = q->g.cap,
		.mask = q->g.mask,
		.stride = q->g.stride,
		.bits = q->g.bits,
		.size = q->g.size ? q->g.size : UINT32_MAX,
		.state = &obj->o->state,
		.removed = &ipk_header(obj->seg)->removed,
	};
	return 0;
}

bool ipk_queue_attachable(struct ipk_obj *obj)
{
	struct ipk_queue q = {.obj = *obj};

	return ipk_queue_bind(&q) == 0;
}

/* ---- handle ---------------------------------------------------------------------------------- */

int ipk_queue_create(struct ipk_segment *seg, const char *name, const char *type, uint64_t cap,
		     struct ipk_error *err)
{
	return ipk_object_new_typed(seg, name, "queue", type, NULL, cap, err);
}

int ipk_queue_open(struct ipk_segment *seg, const char *name, const char *type,
		   struct ipk_queue **ret_queue, struct ipk_error *err)
{
	struct ipk_type *own;
	struct ipk_queue *q;
	void *handle;
	int r = ipk_obj_open(seg, name, ipk_kind_queue.id, IPK_QUEUE_VERSION, sizeof(*q->b),
			     sizeof(*q), &handle, err);

	if (r < 0)
		return r;
	q = handle;
	r = ipk_queue_bind(q);
	if (r < 0)
		ipk_error_set(err, r, "%s: the queue is damaged", name);
	else
		r = ipk_obj_type(&q->obj, name, IPK_TYPE_OF_VALUES, q->g.size, type, &own, err);
	if (r < 0) {
		ipk_obj_close(&q->obj);
		return r;
	}
	ipk_type_free(own);
	*ret_queue = q;
	return 0;
}

void ipk_queue_close(struct ipk_queue *q)
{
	if (q)
		ipk_obj_close(&q->obj);
}

uint64_t ipk_queue_capacity(const struct ipk_queue *q)
{
	return q->g.cap;
}

uint32_t ipk_queue_element_size(const struct ipk_queue *q)
{
	return q->g.size;
}

bool ipk_queue_is_shut(const struct ipk_queue *q)
{
	return ipk_ld(&q->b->shut, acquire) != 0;
}

uint64_t ipk_queue_count(struct ipk_queue *q, uint64_t *ret_leased)
{
	struct qw_apart apart = {0};
	u64 n = 0, held = 0;

	for (u64 i = 0; i < q->g.cap; i++) {
		u64 w = ipk_queue_apart(&apart, ipk_ld(&q_slot(q, i)->w, relaxed));

		if (w == 0)
			break; /* never used, nor is any behind it */
		n += qw_st(w) >= IPK_QUEUE_FULL;
		held += qw_held(w);
	}
	if (ret_leased)
		*ret_leased = held;
	return n;
}

/* ---- push ------------------------------------------------------------------------------------ */

struct push {
	const struct iovec *values;
	u32 n; /* that may go in at once; then how many did */
	i64 deadline;
};

static int push_attempt(struct ipk_queue *q, struct ipk_self *me, void *arg)
{
	struct push *p = arg;
	struct ipk_queue_slot *s;
	u64 base, code;
	u32 n = p->n;
	int r = ipk_queue_claim(q, me, &code, &n);

	if (r < 0)
		return r;
	p->n = n;
	if (q->g.size) {
		ipk_queue_put_run(q, code, p->values, n);
		return 0;
	}
	s = q_slot(q, qc_index(&q->g, code));
	base = qc_base(&q->g, code);
	r = ipk_queue_store(q, me, s, p->values->iov_base, p->values->iov_len, p->deadline);
	if (r < 0) {
		ipk_queue_give_up(q, s, base);
		return r;
	}
	/* Acknowledged. Release: the value comes before its word; pairs with who takes it. */
	ipk_st(&s->w, base | QW_ST(IPK_QUEUE_FULL), release);
	return 0;
}

/*
 * n items went in. The claims were the fence, see ipk_queue_put(). Another producer may sleep while
 * there is room, which it could not reach: queue.h, MOVING UP.
 */
static inline void push_tell(struct ipk_queue *q, int n)
{
	if (!IPK_BUG(queue_push_silent))
		ipk_event_notify_fenced(&q->b->items, n);
	queue_tell_room(q);
}

/* How many of the n values can go in at once; 0: the first never can. */
static u32 run_of(const struct ipk_queue *q, const struct iovec *values, unsigned n)
{
	u32 k = 0;

	if (!q->g.size)
		return values->iov_len <= q->obj.seg->max;
	while (k < n && k < QUEUE_BURST_MAX && values[k].iov_len == q->g.size)
		k++;
	return k;
}

/* At least one value, waiting for room if that is asked. */
static int push_wait(struct ipk_queue *q, struct ipk_self *me, struct push *p)
{
	int r;

	if (!p->n)
		return -EMSGSIZE;
	r = push_attempt(q, me, p);
	if (!queue_again(r))
		return r;
	if (p->deadline == IPK_NOWAIT)
		return ipk_stale(&q->obj) ? -ESTALE : -EAGAIN;
	return ipk_queue_wait(q, me, &q->b->space, p->deadline, push_attempt, p);
}

int ipk_queue_push_many(struct ipk_queue *q, const struct iovec *values, unsigned n,
			int64_t deadline)
{
	int r = 0;
	struct ipk_self *me = ipk_use(&q->obj, &r);
	unsigned i = 0;

	if (!me)
		return r;
	if (n > INT32_MAX)
		n = INT32_MAX;
	ipk_fast_note(&q->obj, me);
	while (i < n) {
		struct push p = {.values = &values[i], .deadline = i ? IPK_NOWAIT : deadline};

		if (n - i == 1 && q->g.size && p.values->iov_len == q->g.small &&
		    ipk_queue_put(q_fast(q), p.values->iov_base, q->g.small)) {
			i++;
			break;
		}
		p.n = run_of(q, p.values, n - i);
		r = push_wait(q, me, &p);
		if (r < 0)
			break;
		i += p.n;
	}
	if (i)
		push_tell(q, (int)i);
	return i ? (int)i : r;
}

__attribute__((noinline)) int ipk_queue_push_slow(struct ipk_queue *q, const void *data, size_t len,
						  int64_t deadline)
{
	int r = ipk_queue_push_many(q, &(struct iovec){(void *)data, len}, 1, deadline);

	return r < 0 ? r : 0;
}

__attribute__((noinline)) int ipk_queue_put_tell(struct ipk_queue *q)
{
	push_tell(q, 1);
	return 0;
}

/* All calls are the last thing done: nothing has to be kept across one, and no register saved. */
int ipk_queue_push(struct ipk_queue *q, const void *data, size_t len, int64_t deadline)
{
	const struct ipk_queue_fast *f = q_fast(q);
	const struct ipk_queue_body *b = f->body;

	if (ipk_unlikely(len != 8 || !ipk_queue_put(f, data, 8)))
		return ipk_queue_push_slow(q, data, len, deadline);
	return ipk_fast_likely(ipk_queue_put_told(b)) ? 0 : ipk_queue_put_tell(q);
}
