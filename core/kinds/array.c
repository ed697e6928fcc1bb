/* SPDX-License-Identifier: MIT */
/* Arrays for C programs; see array.h for the algorithm of wide elements. */
#include "kinds/array.h"
#include "kinds/hooks.h"
#include "object_type.h"

#define ARRAY_SIZE_MAX (UINT64_C(16) << 20)
#define ARRAY_BYTES_MAX (UINT64_C(1) << 48)

static bool atomic_size(u64 size)
{
	return size == 1 || size == 2 || size == 4 || size == 8;
}

/*
 * How many writes may pass while a reader copies one element: enough for the slowest reader, who
 * makes four system calls for it, and little enough that the log stays in the writers' cache.
 */
static u32 log_slots(u64 size)
{
	if (atomic_size(size))
		return 0;
	if (size <= 256)
		return 64;
	if (size <= 1024)
		return 16;
	if (size <= 4096)
		return 8;
	return size <= 1u << 20 ? 4 : 2;
}

static u64 entry_size(u64 size)
{
	return 8 + ipk_align_up(size, 8);
}

u64 ipk_array_layout(u64 cap, u64 size, struct ipk_array_body *ret_body)
{
	u64 at = sizeof(*ret_body);

	if (!cap || !size || size > ARRAY_SIZE_MAX || cap > ARRAY_BYTES_MAX / size)
		return 0;
	*ret_body = (struct ipk_array_body){ .cap = cap, .size = (u32)size };
	ret_body->slots = log_slots(size);
	if (ret_body->slots) {
		ret_body->log = at;
		at += ret_body->slots * entry_size(size);
	}
	ret_body->data = ipk_align_up(at, IPK_LINE);
	return ret_body->data + cap * size;
}

int ipk_array_measure(const struct ipk_array_body *body, u64 off, u64 len,
		      struct ipk_array_geometry *ret)
{
	struct ipk_array_body want;
	u64 bytes = ipk_array_layout(body->cap, body->size, &want);

	if (!bytes || bytes > len || body->slots != want.slots || body->log != want.log ||
	    body->data != want.data)
		return -EBADMSG;
	*ret = (struct ipk_array_geometry){
		.cap = want.cap,
		.size = want.size,
		.slots = want.slots,
		.entry = entry_size(want.size),
		.seq = off + offsetof(struct ipk_array_body, seq),
		.log = off + want.log,
		.data = off + want.data,
	};
	return 0;
}

/* ---- handle --------------------------------------------------------------------------------- */

/* Measures the body of obj once, into private memory. */
static int bind_body(struct ipk_obj *obj, struct ipk_array_geometry *ret_g,
		     struct ipk_array_body **ret_body)
{
	u64 room;
	struct ipk_array_body *body = ipk_body(obj, sizeof(*body), &room), copy;
	int r;

	if (!body)
		return -EBADMSG;
	ipk_copy_out(&copy, body, sizeof(copy));
	r = ipk_array_measure(&copy, obj->body, room, ret_g);
	if (r < 0)
		return r;
	*ret_body = body;
	return 0;
}

int ipk_array_open(struct ipk_segment *seg, const char *name, const char *type,
		   struct ipk_array **ret_array, struct ipk_error *err)
{
	struct ipk_array *a;
	void *handle;
	int r;

	r = ipk_obj_open(seg, name, ipk_kind_array.id, ipk_kind_array.version,
			 sizeof(struct ipk_array_body), sizeof(*a), &handle, err);
	if (r < 0)
		return r;
	a = handle;
	r = bind_body(&a->obj, &a->g, &a->body);
	if (r < 0)
		r = ipk_error_set(err, r, "array \"%s\" is damaged", name);
	else
		r = ipk_obj_type(&a->obj, name, IPK_TYPE_OF_VALUES, a->g.size, type, &a->type, err);
	if (r < 0) {
		ipk_array_close(a);
		return r;
	}
	a->data = seg->base + a->g.data;
	a->read_only = !seg->writable;
	*ret_array = a;
	return 0;
}

void ipk_array_close(struct ipk_array *array)
{
	if (!array)
		return;
	ipk_type_free(array->type);
	ipk_obj_close(&array->obj);
}

int ipk_array_create(struct ipk_segment *seg, const char *name, const char *type, uint64_t cap,
		     struct ipk_error *err)
{
	return ipk_object_new_typed(seg, name, "array", type, NULL, cap, err);
}

uint64_t ipk_array_count(const struct ipk_array *array)
{
	return array->g.cap;
}

uint32_t ipk_array_size(const struct ipk_array *array)
{
	return array->g.size;
}

void *ipk_array_view(struct ipk_array *array)
{
	return array->data;
}

/* ---- atomic elements ------------------------------------------------------------------------- */

/* Loads and stores of one element. Acquire and release pair with each other: who sees an element's
 * value sees what its writer had stored before. */
static void load_atomic(const struct ipk_array *a, u64 index, void *dst)
{
	u8 *p = a->data + index * a->g.size;
	u64 v8;
	u32 v4;
	u16 v2;

	switch (a->g.size) {
	case 8:
		v8 = ipk_ld((u64 *)(void *)p, acquire);
		memcpy(dst, &v8, 8);
		break;
	case 4:
		v4 = ipk_ld((u32 *)(void *)p, acquire);
		memcpy(dst, &v4, 4);
		break;
	case 2:
		v2 = ipk_ld((u16 *)(void *)p, acquire);
		memcpy(dst, &v2, 2);
		break;
	default:
		*(u8 *)dst = ipk_ld(p, acquire);
	}
}

static void store_atomic(struct ipk_array *a, u64 index, const void *src)
{
	u8 *p = a->data + index * a->g.size;
	u64 v8;
	u32 v4;
	u16 v2;

	switch (a->g.size) {
	case 8:
		memcpy(&v8, src, 8);
		ipk_st((u64 *)(void *)p, v8, release);
		break;
	case 4:
		memcpy(&v4, src, 4);
		ipk_st((u32 *)(void *)p, v4, release);
		break;
	case 2:
		memcpy(&v2, src, 2);
		ipk_st((u16 *)(void *)p, v2, release);
		break;
	default:
		ipk_st(p, *(const u8 *)src, release);
	}
}

/* One strong compare-exchange of the element's bytes; refreshes expected on failure. */
static bool swap_atomic(struct ipk_array *a, u64 index, void *expected, const void *desired)
{
	u8 *p = a->data + index * a->g.size;
	u64 e8, d8;
	u32 e4, d4;
	u16 e2, d2;
	bool ok;

	switch (a->g.size) {
	case 8:
		memcpy(&e8, expected, 8);
		memcpy(&d8, desired, 8);
		ok = ipk_cas((u64 *)(void *)p, &e8, d8, acq_rel);
		memcpy(expected, &e8, 8);
		return ok;
	case 4:
		memcpy(&e4, expected, 4);
		memcpy(&d4, desired, 4);
		ok = ipk_cas((u32 *)(void *)p, &e4, d4, acq_rel);
		memcpy(expected, &e4, 4);
		return ok;
	case 2:
		memcpy(&e2, expected, 2);
		memcpy(&d2, desired, 2);
		ok = ipk_cas((u16 *)(void *)p, &e2, d2, acq_rel);
		memcpy(expected, &e2, 2);
		return ok;
	default:
		return ipk_cas(p, (u8 *)expected, *(const u8 *)desired, acq_rel);
	}
}

/* ---- writers of wide elements ---------------------------------------------------------------- */

/* Copies a committed entry to its place: what its writer did not live to do. Lock held. */
static int finish_write(struct ipk_segment *seg, const struct ipk_array_geometry *g, u64 *word)
{
	u64 seq = ipk_ld(word, relaxed); /* the lock has brought it, and the entry */
	u64 index, done, n;
	u8 chunk[512];
	u8 *entry;

	if (ipk_likely(!(seq & 1)))
		return 0;
	entry = seg->base + ipk_array_entry(g, ipk_array_done(seq));
	index = ipk_ld((u64 *)(void *)entry, relaxed);
	if (index >= g->cap)
		return -EBADMSG;
	/* Pairs with the readers' fence: bytes of this write in the place bring seq. */
	ipk_fence(release);
	for (done = 0; done < g->size; done += n) {
		n = g->size - done < sizeof(chunk) ? g->size - done : sizeof(chunk);
		ipk_copy_out(chunk, entry + 8 + done, n);
		ipk_copy_in(seg->base + g->data + index * g->size + done, chunk, n);
	}
	ipk_st(word, seq + 1, release); /* the place before the word that says so */
	return 0;
}

/* Takes the turn; what the last writer left is finished. */
static int begin_writes(struct ipk_array *a, i64 deadline, struct ipk_self **ret_me)
{
	struct ipk_self *me;
	int r;

	if (a->read_only)
		return -EACCES;
	me = ipk_use(&a->obj, &r);
	if (!me)
		return r;
	r = ipk_lock(me, &a->body->lock, deadline);
	if (r < 0)
		return r;
	r = finish_write(a->obj.seg, &a->g, &a->body->seq);
	if (r < 0)
		ipk_unlock(me, &a->body->lock);
	else
		*ret_me = me;
	return r;
}

static void write_wide(struct ipk_array *a, u64 index, const void *val)
{
	u64 seq = ipk_ld(&a->body->seq, relaxed);
	u8 *entry = a->obj.seg->base + ipk_array_entry(&a->g, ipk_array_done(seq));

	/* Pairs with the readers' fence: who sees the new contents of the entry sees that seq
	 * allowed it to be filled again. */
	ipk_fence(release);
	if (IPK_BUG(array_commit_first))
		ipk_st(&a->body->seq, seq + 1, release);
	ipk_st((u64 *)(void *)entry, index, relaxed);
	ipk_copy_in(entry + 8, val, a->g.size);
	if (!IPK_BUG(array_in_place))
		/* COMMIT; pairs with the readers' acquire of seq */
		ipk_st(&a->body->seq, seq + 1, release);
	/* Pairs with the readers' fence: who sees bytes of it in the place sees the commit. */
	ipk_fence(release);
	ipk_copy_in(a->data + index * a->g.size, val, a->g.size);
	ipk_st(&a->body->seq, seq + 2, release); /* the place before the word that says so */
}

/* ---- operations ------------------------------------------------------------------------------ */

static bool outside(const struct ipk_array *a, u64 index, u64 n)
{
	return index > a->g.cap || n > a->g.cap - index;
}

int ipk_array_slice(struct ipk_array *array, uint64_t index, uint64_t n, void *ret_vals)
{
	const struct ipk_array_source src = { .base = array->obj.seg->base };
	u8 *dst = ret_vals;
	int r = 0;

	if (outside(array, index, n))
		return -ERANGE;
	if (array->g.slots) {
		r = ipk_array_read_range(&array->g, &src, index, n, dst, UINT64_MAX);
	} else {
		for (; n; n--, index++, dst += array->g.size)
			load_atomic(array, index, dst);
	}
	return r < 0 ? r : ipk_after_read(&array->obj);
}

int ipk_array_get(struct ipk_array *array, uint64_t index, void *ret_val)
{
	struct ipk_array_source src;
	int r;

	if (ipk_unlikely(index >= array->g.cap))
		return -ERANGE;
	if (ipk_likely(!array->g.slots)) {
		load_atomic(array, index, ret_val);
		return ipk_after_read(&array->obj);
	}
	src = (struct ipk_array_source){ .base = array->obj.seg->base };
	r = ipk_array_read_wide(&array->g, &src, index, ret_val, UINT64_MAX);
	return r < 0 ? r : ipk_after_read(&array->obj);
}

/* Stores n values that lie step bytes apart: 0 for one that fills. */
static int store(struct ipk_array *a, u64 index, u64 n, const u8 *vals, u64 step, i64 deadline)
{
	struct ipk_self *me;
	int r = 0;

	if (outside(a, index, n))
		return -ERANGE;
	if (!a->g.slots) {
		if (a->read_only)
			return -EACCES;
		if (!ipk_use(&a->obj, &r))
			return r;
		for (; n; n--, index++, vals += step)
			store_atomic(a, index, vals);
		return 0;
	}
	r = begin_writes(a, deadline, &me);
	if (r < 0)
		return r;
	for (; n; n--, index++, vals += step)
		write_wide(a, index, vals);
	ipk_unlock(me, &a->body->lock);
	return 0;
}

int ipk_array_set(struct ipk_array *array, uint64_t index, const void *val, int64_t deadline)
{
	int r;

	if (ipk_unlikely(array->g.slots || index >= array->g.cap))
		return store(array, index, 1, val, 0, deadline);
	if (ipk_unlikely(!ipk_use(&array->obj, &r)))
		return r;
	store_atomic(array, index, val);
	return 0;
}

int ipk_array_set_slice(struct ipk_array *array, uint64_t index, uint64_t n, const void *vals,
			int64_t deadline)
{
	return store(array, index, n, vals, array->g.size, deadline);
}

int ipk_array_fill(struct ipk_array *array, uint64_t index, uint64_t n, const void *val,
		   int64_t deadline)
{
	return store(array, index, n, val, 0, deadline);
}

/* Under the lock places change by our hand only. */
static bool place_equals(const struct ipk_array *a, u64 index, const u8 *val)
{
	u8 chunk[512];
	u64 done, n;

	for (done = 0; done < a->g.size; done += n) {
		n = a->g.size - done < sizeof(chunk) ? a->g.size - done : sizeof(chunk);
		ipk_copy_out(chunk, a->data + index * a->g.size + done, n);
		if (memcmp(chunk, val + done, n) != 0)
			return false;
	}
	return true;
}

int ipk_array_cas(struct ipk_array *array, uint64_t index, void *expected, const void *desired,
		  int64_t deadline)
{
	struct ipk_self *me;
	int r;

	if (index >= array->g.cap)
		return -ERANGE;
	if (!array->g.slots) {
		if (array->read_only)
			return -EACCES;
		if (!ipk_use(&array->obj, &r))
			return r;
		return swap_atomic(array, index, expected, desired) ? 0 : -EEXIST;
	}
	r = begin_writes(array, deadline, &me);
	if (r < 0)
		return r;
	if (place_equals(array, index, expected)) {
		write_wide(array, index, desired);
	} else {
		ipk_copy_out(expected, array->data + index * array->g.size, array->g.size);
		r = -EEXIST;
	}
	ipk_unlock(me, &array->body->lock);
	return r;
}

static void add_integer(struct ipk_array *a, u64 index, const void *delta, void *ret_new)
{
	u8 *p = a->data + index * a->g.size;
	u64 d8;
	u32 d4;
	u16 d2;

	switch (a->g.size) {
	case 8:
		memcpy(&d8, delta, 8);
		d8 += ipk_add((u64 *)(void *)p, d8, acq_rel);
		memcpy(ret_new, &d8, 8);
		break;
	case 4:
		memcpy(&d4, delta, 4);
		d4 += ipk_add((u32 *)(void *)p, d4, acq_rel);
		memcpy(ret_new, &d4, 4);
		break;
	case 2:
		memcpy(&d2, delta, 2);
		d2 = (u16)(d2 + ipk_add((u16 *)(void *)p, d2, acq_rel));
		memcpy(ret_new, &d2, 2);
		break;
	default:
		*(u8 *)ret_new = (u8)(*(const u8 *)delta + ipk_add(p, *(const u8 *)delta, acq_rel));
	}
}

static void add_float(struct ipk_array *a, u64 index, const void *delta, void *ret_new)
{
	u8 old[8];
	double d, x;
	float f, y;

	load_atomic(a, index, old);
	do {
		if (a->g.size == 8) {
			memcpy(&d, delta, 8);
			memcpy(&x, old, 8);
			x += d;
			memcpy(ret_new, &x, 8);
		} else {
			memcpy(&f, delta, 4);
			memcpy(&y, old, 4);
			y += f;
			memcpy(ret_new, &y, 4);
		}
	} while (!swap_atomic(a, index, old, ret_new));
}

int ipk_array_add(struct ipk_array *array, uint64_t index, const void *delta, void *ret_new)
{
	u8 sum[8];
	int r;

	if (index >= array->g.cap)
		return -ERANGE;
	if (array->type->count || array->type->base > IPK_F64)
		return -EMEDIUMTYPE;
	if (array->read_only)
		return -EACCES;
	if (!ipk_use(&array->obj, &r))
		return r;
	if (array->type->base >= IPK_F32)
		add_float(array, index, delta, sum);
	else
		add_integer(array, index, delta, sum);
	if (ret_new)
		memcpy(ret_new, sum, array->g.size);
	return 0;
}

/* ---- what the segment asks ------------------------------------------------------------------- */

bool ipk_array_attachable(struct ipk_obj *obj)
{
	struct ipk_array_geometry g;
	struct ipk_array_body *body;

	return bind_body(obj, &g, &body) == 0;
}

struct unfinished {
	struct ipk_array_geometry g;
	struct ipk_array_body *body;
};

static int mend(struct ipk_self *me, void *arg, bool died)
{
	struct unfinished *u = arg;

	(void)died; /* or whoever was told was killed as well */
	return finish_write(me->seg, &u->g, &u->body->seq);
}

int ipk_array_recover(struct ipk_obj *obj)
{
	struct unfinished u;
	int r = bind_body(obj, &u.g, &u.body);

	if (r < 0 || !u.g.slots)
		return r;
	return ipk_take_over(obj, &u.body->lock, mend, &u);
}
