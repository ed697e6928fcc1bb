/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a pool.
 *
 *	body  0    cap size                                 constant
 *	      64   ev | hint
 *	      128  cell 0, cell 1, ...                      8 bytes each (cells.h); padded to a line
 *	           object 0, object 1, ...                  size bytes each
 *
 * hint is where a free cell may be; a search goes once around from it.
 */
#ifndef IPK_KINDS_POOL_H
#define IPK_KINDS_POOL_H

#include "ipk/pool.h"
#include "kinds/cells.h"

#define IPK_POOL_CAP_MAX (UINT64_C(1) << 24)

struct ipk_pool_body {
	u64 cap;
	u32 size;
	u32 spare0;
	u64 spare1[6];
	/* 64 */
	u32 ev;   /* event word of those who wait */
	u32 hint; /* where a free cell may be */
	u64 spare2[7];
	/* 128: cells, then objects */
};

_Static_assert(sizeof(struct ipk_pool_body) == 128, "");
_Static_assert(offsetof(struct ipk_pool_body, ev) == 64, "own line");

/* A body measured once, in private memory. */
struct ipk_pool_shape {
	struct ipk_pool_body *body;
	struct ipk_cells cells;
	u8 *data;
	u32 size;
};

struct ipk_pool {
	struct ipk_obj obj;
	struct ipk_pool_shape s;
	u64 *mine; /* for each cell what it held when it was acquired through this handle, or 0;
		      atomic */
};

extern const struct ipk_kind ipk_kind_pool;
extern const struct ipk_op ipk_pool_ops[];

/* From the body to its first object. */
static inline u64 ipk_pool_data(u64 cap)
{
	return ipk_align_up(sizeof(struct ipk_pool_body) + cap * 8, IPK_LINE);
}

/* The bytes of the body, or 0 for what cannot be. */
static inline u64 ipk_pool_bytes(u64 cap, u64 size)
{
	if (cap == 0 || cap > IPK_POOL_CAP_MAX || size == 0 || size > UINT32_MAX)
		return 0;
	return ipk_pool_data(cap) + cap * size;
}

/* As acquire, and always the first that is free. */
int ipk_pool_acquire_first(struct ipk_pool *pool, int64_t deadline, uint64_t *ret_index);

bool ipk_pool_attachable(struct ipk_obj *obj);
int ipk_pool_recover(struct ipk_obj *obj);
void ipk_pool_wake(struct ipk_obj *obj);

#endif
