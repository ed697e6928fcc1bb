/* SPDX-License-Identifier: MIT */
/*
 * A value of variable size that a slot holds: in the slot itself, or in a block that belongs to the
 * slot and stays with it for its next values. buf is changed by transactions alone. What is done
 * here is done by whoever has the slot for itself, and has made sure that no dead one's transaction
 * still waits to be stored in buf.
 */
#ifndef IPK_KINDS_SLOT_VALUE_H
#define IPK_KINDS_SLOT_VALUE_H

#include "ipk/kind.h"
#include "segment/segment.h"

#define IPK_SLOT_INLINE 40u

struct ipk_slot_value {
	u64 buf;                   /* offset of the slot's block, or 0 */
	u64 len;                   /* of the value */
	u8 bytes[IPK_SLOT_INLINE]; /* the value when len <= IPK_SLOT_INLINE */
};

/* At the start of a slot's block. */
struct ipk_slot_buffer {
	u64 cap; /* bytes that fit; constant */
	u8 bytes[];
};

_Static_assert(sizeof(struct ipk_slot_value) == 56, "with a word before it, a line");

/* Where the value lies; NULL: damaged. */
const void *ipk_slot_value(struct ipk_segment *seg, struct ipk_slot_value *v, u64 *ret_len);

/*
 * A transaction waits for the segment's lock until the deadline, though never less than a second:
 * that is longer than anybody holds it who has not stopped.
 */
struct ipk_slot_store {
	struct ipk_self *me;
	i64 deadline;
	/* Memory is short: 0 when some block was given back, and it may be tried again. */
	int (*reclaim)(void *arg);
	void *arg;
};
/*
 * Where len bytes are to be put, after which v->len says so. -ENOSPC -EBADMSG -ETIMEDOUT, -EAGAIN
 * instead where the deadline is IPK_NOWAIT: the value of the slot is then not to be used.
 */
int ipk_slot_room(const struct ipk_slot_store *how, struct ipk_slot_value *v, u64 len,
		  u8 **ret_bytes);
/* And puts them there, while somebody may still read what was there before. */
int ipk_slot_store(const struct ipk_slot_store *how, struct ipk_slot_value *v, const void *data,
		   u64 len);
/* What has been committed by anybody, dead or alive, is stored when this returns 0. */
int ipk_slot_settle(struct ipk_self *me, i64 deadline);
/* Such a deadline. */
i64 ipk_slot_deadline(i64 deadline);
/* Gives the slot's block back. */
int ipk_slot_release(struct ipk_self *me, struct ipk_slot_value *v);
/* The same for n of them, as the object goes. */
int ipk_slot_release_all(struct ipk_self *me, u64 *const buf[], u32 n);

/* ---- without trust -------------------------------------------------------------------------- */

/*
 * Puts the size bytes at off into *out, or where size is 0 the value of the slot_value there.
 * -EBADMSG: none that can be, or it is changing.
 */
int ipk_slot_read(struct ipk_view *view, u64 off, u64 size, struct ipk_buf *out);
/*
 * What is wrong with the slot_value at off, in words, or NULL. has: it holds a value. *ret_buf,
 * *ret_size: its block where it has one, and how much of it is in use.
 */
const char *ipk_slot_fault(struct ipk_view *view, u64 off, bool has, u64 *ret_buf, u64 *ret_size);

#endif
