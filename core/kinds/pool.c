/* SPDX-License-Identifier: MIT */
/* Pools for C programs; see pool.h for the bytes. */
#include <stdlib.h>
#include <unistd.h>

#include "kinds/await.h"
#include "kinds/hooks.h"
#include "kinds/pool.h"
#include "object_type.h"

/* ---- handle --------------------------------------------------------------------------------- */

static int bind_body(struct ipk_obj *obj, struct ipk_pool_shape *ret)
{
	u64 room, cap, bytes;
	struct ipk_pool_body *body = ipk_body(obj, sizeof(*body), &room);
	u32 size;

	if (!body)
		return -EBADMSG;
	cap = ipk_ld(&body->cap, relaxed);
	size = ipk_ld(&body->size, relaxed);
	bytes = ipk_pool_bytes(cap, size);
	if (!bytes || bytes > room)
		return -EBADMSG;
	*ret = (struct ipk_pool_shape){
		.body = body,
		.cells = {(u8 *)(body + 1), cap, 3},
		.data = (u8 *)body + ipk_pool_data(cap),
		.size = size,
	};
	return 0;
}

int ipk_pool_open(struct ipk_segment *seg, const char *name, const char *type,
		  struct ipk_pool **ret_pool, struct ipk_error *err)
{
	struct ipk_type *own = NULL;
	struct ipk_pool *pool;
	void *handle;
	int r;

	r = ipk_obj_open(seg, name, ipk_kind_pool.id, ipk_kind_pool.version,
			 sizeof(struct ipk_pool_body), sizeof(*pool), &handle, err);
	if (r < 0)
		return r;
	pool = handle;
	r = bind_body(&pool->obj, &pool->s);
	if (r < 0)
		r = ipk_error_set(err, r, "pool \"%s\" is damaged", name);
	else
		r = ipk_obj_type(&pool->obj, name, IPK_TYPE_OF_VALUES, pool->s.size, type, &own,
				 err);
	ipk_type_free(own);
	if (!r && seg->writable) {
		pool->mine = calloc(pool->s.cells.cap, sizeof(*pool->mine));
		if (!pool->mine)
			r = ipk_error_set(err, -ENOMEM, "out of memory");
	}
	if (r < 0) {
		ipk_obj_close(&pool->obj);
		return r;
	}
	*ret_pool = pool;
	return 0;
}

int ipk_pool_create(struct ipk_segment *seg, const char *name, const char *type, uint64_t cap,
		    struct ipk_error *err)
{
	return ipk_object_new_typed(seg, name, "pool", type, NULL, cap, err);
}

uint64_t ipk_pool_free(struct ipk_pool *pool)
{
	return ipk_cells_free(&pool->s.cells);
}

uint64_t ipk_pool_cap(const struct ipk_pool *pool)
{
	return pool->s.cells.cap;
}

uint32_t ipk_pool_size(const struct ipk_pool *pool)
{
	return pool->s.size;
}

/* ---- acquiring ------------------------------------------------------------------------------ */

struct want {
	struct ipk_pool *pool;
	u64 owner;
	bool first;     /* from the beginning on, not from the hint */
	u64 index, val; /* found, and what its cell holds */
};

static int try_acquire(void *arg)
{
	struct want *w = arg;
	struct ipk_pool_shape *s = &w->pool->s;
	u64 from;
	int n;

	do {
		from = w->first ? 0 : ipk_ld(&s->body->hint, relaxed) % s->cells.cap;
		w->index = ipk_cells_take(&s->cells, from, w->owner, &w->val);
		if (w->index < s->cells.cap) {
			ipk_st(&s->body->hint, (u32)w->index + 1, relaxed);
			return 0;
		}
		n = ipk_cells_mend(w->pool->obj.seg, &s->cells);
		if (n)
			ipk_event_notify_fenced(&s->body->ev, n);
	} while (n);
	return -EAGAIN;
}

static int acquire(struct want *w, struct ipk_self *me, i64 deadline, uint64_t *ret_index)
{
	struct ipk_pool *pool = w->pool;
	int r = ipk_await(&pool->obj, me, &pool->s.body->ev, try_acquire, w, deadline);

	if (r < 0)
		return r;
	if (w->owner == (u64)me->slot + 1) {
		ipk_st(&pool->mine[w->index], w->val, relaxed);
		ipk_hold_get(me);
	}
	*ret_index = w->index;
	return 0;
}

static int acquire_mine(struct ipk_pool *pool, bool first, i64 deadline, uint64_t *ret_index)
{
	struct want w = {.pool = pool, .first = first};
	struct ipk_self *me;
	int r;

	me = ipk_use(&pool->obj, &r);
	if (ipk_unlikely(!me))
		return r;
	w.owner = (u64)me->slot + 1;
	return acquire(&w, me, deadline, ret_index);
}

int ipk_pool_acquire(struct ipk_pool *pool, int64_t deadline, uint64_t *ret_index)
{
	return acquire_mine(pool, false, deadline, ret_index);
}

int ipk_pool_acquire_first(struct ipk_pool *pool, int64_t deadline, uint64_t *ret_index)
{
	return acquire_mine(pool, true, deadline, ret_index);
}

int ipk_pool_take(struct ipk_pool *pool, int64_t deadline, uint64_t *ret_index)
{
	struct want w = {.pool = pool, .owner = IPK_CELL_NOBODY, .first = true};
	struct ipk_self *me;
	int r;

	me = ipk_use(&pool->obj, &r);
	return me ? acquire(&w, me, deadline, ret_index) : r;
}

int ipk_pool_hold(struct ipk_pool *pool, int64_t deadline, uint64_t *ret_index, int *ret_fd)
{
	struct want w = {.pool = pool, .first = true};
	struct ipk_self *me;
	u32 slot;
	int r, fd;

	me = ipk_use(&pool->obj, &r);
	if (!me)
		return r;
	r = ipk_holder_new(pool->obj.seg, &fd, &slot);
	if (r < 0)
		return r;
	r = ipk_holder_use(&pool->obj, slot);
	w.owner = (u64)slot + 1;
	if (!r)
		r = acquire(&w, me, deadline, ret_index);
	if (r < 0)
		close(fd);
	else
		*ret_fd = fd;
	return r;
}

/* ---- giving back ---------------------------------------------------------------------------- */

static void was_freed(struct ipk_pool *pool, u64 index)
{
	ipk_st(&pool->mine[index], UINT64_C(0), relaxed);
	ipk_st(&pool->s.body->hint, (u32)index, relaxed);
	if (!IPK_BUG(pool_release_silent))
		ipk_event_notify_fenced(&pool->s.body->ev, 1);
}

/* -ENOENT -ERANGE; what its cell holds, which a compare-exchange has to find there still. */
static int look_up(struct ipk_pool *pool, u64 index, u64 *ret_val)
{
	if (index >= pool->s.cells.cap)
		return -ERANGE;
	*ret_val = ipk_ld(ipk_cell(&pool->s.cells, index), relaxed);
	return ipk_cell_is_free(*ret_val) ? -ENOENT : 0;
}

int ipk_pool_release(struct ipk_pool *pool, uint64_t index)
{
	u64 val, *cell = ipk_cell(&pool->s.cells, index);
	struct ipk_self *me, *self = NULL;
	bool freed;
	int r;

	me = ipk_use(&pool->obj, &r);
	if (ipk_unlikely(!me))
		return r;
	do {
		r = look_up(pool, index, &val);
		if (r < 0)
			return r;
		if (ipk_likely(ipk_cell_owner(val) == (u64)me->slot + 1)) {
			self = me;
			freed = ipk_cell_free(cell, val);
		} else if (ipk_cell_owner(val) == IPK_CELL_NOBODY) {
			freed = ipk_cell_free(cell, val);
		} else {
			freed = ipk_cell_free_of_process(pool->obj.seg, cell, val, &self);
			if (!self)
				return -EBUSY;
		}
	} while (!freed); /* it became another's meanwhile */
	was_freed(pool, index);
	if (self)
		ipk_hold_put(self);
	return 0;
}

int ipk_pool_give(struct ipk_pool *pool, uint64_t index)
{
	struct ipk_self *me, *self;
	u64 val;
	int r;

	me = ipk_use(&pool->obj, &r);
	if (!me)
		return r;
	r = look_up(pool, index, &val);
	if (r < 0)
		return r;
	self = ipk_cell_owner(val) == IPK_CELL_NOBODY
		       ? NULL
		       : ipk_owner_of_process(pool->obj.seg, ipk_cell_owner(val));
	/* Release: what is in it goes with it. */
	if (!self ||
	    !ipk_cas(ipk_cell(&pool->s.cells, index), &val, val | IPK_CELL_NOBODY, acq_rel))
		return -EPERM;
	ipk_st(&pool->mine[index], UINT64_C(0), relaxed);
	ipk_hold_put(self);
	return 0;
}

int ipk_pool_claim(struct ipk_pool *pool, uint64_t index)
{
	struct ipk_self *me;
	u64 val, mine;
	int r;

	me = ipk_use(&pool->obj, &r);
	if (!me)
		return r;
	r = look_up(pool, index, &val);
	if (r < 0)
		return r;
	/* A new number: what the one before it remembers of it is no longer so. */
	mine = (val & ~IPK_CELL_OWNER) + (UINT64_C(1) << IPK_CELL_SEQ_SHIFT) + me->slot + 1;
	if (ipk_cell_owner(val) != IPK_CELL_NOBODY ||
	    !ipk_cas(ipk_cell(&pool->s.cells, index), &val, mine, acq_rel))
		return -EPERM;
	ipk_st(&pool->mine[index], mine, relaxed);
	ipk_hold_get(me);
	return 0;
}

void ipk_pool_close(struct ipk_pool *pool)
{
	struct ipk_self *self;

	if (!pool)
		return;
	for (u64 i = 0; pool->mine && i < pool->s.cells.cap; i++) {
		u64 val = ipk_ld(&pool->mine[i], relaxed);

		/* A child of fork() has its parent's record, and none of its objects. */
		if (val && ipk_cell_free_of_process(pool->obj.seg, ipk_cell(&pool->s.cells, i), val,
						    &self)) {
			was_freed(pool, i);
			ipk_hold_put(self);
		}
	}
	free(pool->mine);
	ipk_obj_close(&pool->obj);
}

/* ---- pointers ------------------------------------------------------------------------------- */

void *ipk_pool_view(struct ipk_pool *pool, uint64_t index)
{
	return index < pool->s.cells.cap ? pool->s.data + index * pool->s.size : NULL;
}

int ipk_pool_index(struct ipk_pool *pool, const void *p, uint64_t *ret_index)
{
	u64 off = (u64)((uintptr_t)p - (uintptr_t)pool->s.data);

	if (off % pool->s.size || off / pool->s.size >= pool->s.cells.cap)
		return -EINVAL;
	*ret_index = off / pool->s.size;
	return 0;
}

int ipk_pool_acquire_view(struct ipk_pool *pool, int64_t deadline, void **ret_object)
{
	uint64_t index;
	int r = ipk_pool_acquire(pool, deadline, &index);

	if (!r)
		*ret_object = ipk_pool_view(pool, index);
	return r;
}

int ipk_pool_release_view(struct ipk_pool *pool, void *object)
{
	uint64_t index;
	int r = ipk_pool_index(pool, object, &index);

	return r < 0 ? r : ipk_pool_release(pool, index);
}

/* ---- what the segment asks ------------------------------------------------------------------ */

bool ipk_pool_attachable(struct ipk_obj *obj)
{
	struct ipk_pool_shape s;

	return bind_body(obj, &s) == 0;
}

int ipk_pool_recover(struct ipk_obj *obj)
{
	struct ipk_pool_shape s;
	int n, r = bind_body(obj, &s);

	if (r < 0)
		return r;
	n = ipk_cells_mend(obj->seg, &s.cells);
	if (n)
		ipk_event_notify_fenced(&s.body->ev, n);
	return 0;
}

void ipk_pool_wake(struct ipk_obj *obj)
{
	struct ipk_pool_shape s;

	if (bind_body(obj, &s) == 0)
		ipk_event_notify(&s.body->ev, INT32_MAX);
}
