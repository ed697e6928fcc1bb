/* SPDX-License-Identifier: MIT */
/*
 * The bytes of an array, and why a wide element is never torn.
 *
 *	body  0    cap size slots log data                    constant
 *	      64   lock | seq                                 writers of wide elements
 *	      128  log: slots entries of {index, bytes}       wide elements only
 *	      data element 0, element 1, ...                  multiple of 64
 *
 * Elements of 1, 2, 4 or 8 bytes lie at multiples of their size, so one load or store is the whole
 * element; they need no lock and no log.
 *
 * WIDE ELEMENTS. seq = 2k: k writes were made, numbers 0..k-1; seq = 2k+1: write k is committed and
 * is being copied to its place. Entry n % slots of the log holds write n.
 *
 *	write            lock; (seq odd: finish the dead writer's copy)
 *	                 log[k % slots] = {index, bytes}
 *	                 seq = 2k+1                    COMMIT, release
 *	                 place[index] = bytes
 *	                 seq = 2k+2                    release
 *	                 unlock
 *
 *	read(i)          s = seq (acquire); n = writes committed = (s + 1) / 2
 *	                 s odd and log[n-1].index == i: copy it from the log
 *	                 else copy place[i]
 *	                 m = writes committed by now; the newest of n..m-1 with index i, if there
 *	                 is one: copy it from the log instead
 *	                 as long as none of the entries looked at can have been reused: done
 *
 * Killed before COMMIT: the entry that was being filled is the oldest; a reader that looked at it
 * finds that seq says its turn to be reused has come, and starts again. Killed after COMMIT: seq
 * stays odd; readers of that element take the entry, which stays as it is, readers of others never
 * notice; the next holder of the lock copies the entry to its place before anything else, as often
 * as holders die.
 *
 * Why a reader's copy is whole. Entry of write w is refilled by write w + slots, after seq has
 * become 2(w + slots). A copy of it after which seq < 2(w + slots) is therefore of write w alone:
 * the writer's release fence before filling pairs with the reader's acquire fence after copying. In
 * the same way a copy of place[i] is whole if no write committed between s and the second look had
 * index i: the writer's fence after COMMIT, before it touches the place, pairs with that same
 * reader's fence. What is returned was the newest committed value at the first look (no such write)
 * or at the second (the newest one): linearizable. The reader starts again only when slots - 1
 * writes were made while it copied; slots is chosen so that this means it was interrupted.
 */
#ifndef IPK_KINDS_ARRAY_H
#define IPK_KINDS_ARRAY_H

#include "base/copy.h"
#include "ipk/array.h"
#include "ipk/kind.h"
#include "segment/segment.h"

struct ipk_array_body {
	u64 cap;
	u32 size; /* bytes of an element */
	u32 slots; /* entries of the log; 0: atomic elements */
	u64 log; /* offset from the body; 0 without one */
	u64 data; /* offset from the body */
	u64 spare[4];
	/* 64 */
	u64 lock; /* lock word */
	u64 seq;
	u64 spare2[6];
	/* 128: log, each entry {u64 index; u8 bytes[size rounded up to 8]} */
};

_Static_assert(sizeof(struct ipk_array_body) == 128, "");
_Static_assert(offsetof(struct ipk_array_body, lock) == 64, "own line");

/*
 * The constant part of a body, computed anew from cap and size and compared; offsets in the
 * segment.
 */
struct ipk_array_geometry {
	u64 cap;
	u32 size;
	u32 slots;
	u64 entry; /* bytes of a log entry */
	u64 seq, log, data;
};

/*
 * Fills the constant part for cap elements of size bytes; the bytes of the body, or 0: too large.
 */
u64 ipk_array_layout(u64 cap, u64 size, struct ipk_array_body *ret_body);
/* -EBADMSG when body (a private copy) is not what ipk_array_layout() makes or is cut short. */
int ipk_array_measure(const struct ipk_array_body *body, u64 off, u64 len,
		      struct ipk_array_geometry *ret);

struct ipk_array {
	struct ipk_obj obj;
	struct ipk_array_geometry g;
	struct ipk_array_body *body;
	u8 *data;
	bool read_only;
	struct ipk_type *type;
};

extern const struct ipk_kind ipk_kind_array;
extern const struct ipk_op ipk_array_ops[];

/* Elements [from, to) that KEY means, all without one. -EINVAL -ERANGE; err may be NULL. */
int ipk_array_key(const char *key, size_t len, u64 cap, u64 *ret_from, u64 *ret_to,
		  struct ipk_error *err);

bool ipk_array_attachable(struct ipk_obj *obj);
int ipk_array_recover(struct ipk_obj *obj);

/* ---- reading wide elements, from a mapping or by a view ------------------------------------ */

/* Where the bytes come from: base, or view where that is NULL. */
struct ipk_array_source {
	u8 *base;
	struct ipk_view *view;
};

static inline int ipk_array_word(const struct ipk_array_source *s, u64 off, u64 *ret)
{
	if (!s->base)
		return ipk_view_u64(s->view, off, ret);
	/* Pairs with the release stores of seq; what is read after it belongs to that write. */
	*ret = ipk_ld((u64 *)(void *)(s->base + off), acquire);
	return 0;
}

static inline int ipk_array_bytes(const struct ipk_array_source *s, u64 off, void *dst, u64 len)
{
	if (!s->base)
		return ipk_view_read(s->view, off, dst, len);
	ipk_copy_out(dst, s->base + off, len);
	return 0;
}

static inline u64 ipk_array_entry(const struct ipk_array_geometry *g, u64 write)
{
	return g->log + write % g->slots * g->entry;
}

/* Writes committed and writes done, as seq says. */
static inline u64 ipk_array_committed(u64 seq)
{
	return (seq >> 1) + (seq & 1);
}

static inline u64 ipk_array_done(u64 seq)
{
	return seq >> 1;
}

#define IPK_ARRAY_NO_WRITE UINT64_MAX

/* The newest of the writes [from, to) that went to index, or IPK_ARRAY_NO_WRITE. */
static inline int ipk_array_newest(const struct ipk_array_geometry *g,
				   const struct ipk_array_source *s, u64 index, u64 from, u64 to,
				   u64 *ret)
{
	while (to != from) {
		u64 found;
		int r = ipk_array_word(s, ipk_array_entry(g, --to), &found);

		if (r < 0)
			return r;
		if (found == index) {
			*ret = to;
			return 0;
		}
	}
	*ret = IPK_ARRAY_NO_WRITE;
	return 0;
}

/* Copies element index from its place, or from the log entry of write; then what seq is. */
static inline int ipk_array_copy(const struct ipk_array_geometry *g,
				 const struct ipk_array_source *s, u64 index, u64 write, void *dst,
				 u64 *ret_seq)
{
	int r;

	if (write == IPK_ARRAY_NO_WRITE)
		r = ipk_array_bytes(s, g->data + index * g->size, dst, g->size);
	else
		r = ipk_array_bytes(s, ipk_array_entry(g, write) + 8, dst, g->size);
	/* Pairs with the writer's release fences: bytes of a later write bring its seq. */
	ipk_fence(acquire);
	return r < 0 ? r : ipk_array_word(s, g->seq, ret_seq);
}

/*
 * Copies element index to dst, whole. -EAGAIN when it took more than tries; a mapping's reader, who
 * is starved only by being interrupted each time, tries for ever.
 */
static inline int ipk_array_read_wide(const struct ipk_array_geometry *g,
				      const struct ipk_array_source *s, u64 index, void *dst,
				      u64 tries)
{
	for (; tries; tries--) {
		u64 seq = 0, now = 0, write = IPK_ARRAY_NO_WRITE, n, m, oldest;
		int r = ipk_array_word(s, g->seq, &seq);

		n = ipk_array_committed(seq);
		oldest = ipk_array_done(seq);
		if (!r)
			r = ipk_array_newest(g, s, index, oldest, n, &write);
		if (!r)
			r = ipk_array_copy(g, s, index, write, dst, &now);
		m = ipk_array_committed(now);
		if (!r && write == IPK_ARRAY_NO_WRITE && m != n) {
			if (m - n >= g->slots)
				continue;
			r = ipk_array_newest(g, s, index, n, m, &write);
			if (!r && write != IPK_ARRAY_NO_WRITE)
				r = ipk_array_copy(g, s, index, write, dst, &now);
			else if (!r)
				r = ipk_array_word(s, g->seq, &now);
		}
		if (r < 0 || ipk_array_done(now) - oldest < g->slots)
			return r;
	}
	return -EAGAIN;
}

/* Copies n elements; all at once where nobody writes, else one by one. */
static inline int ipk_array_read_range(const struct ipk_array_geometry *g,
				       const struct ipk_array_source *s, u64 index, u64 n, u8 *dst,
				       u64 tries)
{
	u64 seq, now;
	int r;

	r = ipk_array_word(s, g->seq, &seq);
	if (!r && !(seq & 1)) {
		r = ipk_array_bytes(s, g->data + index * g->size, dst, n * g->size);
		ipk_fence(acquire); /* as above */
		if (!r)
			r = ipk_array_word(s, g->seq, &now);
		if (!r && now == seq)
			return 0;
	}
	for (; !r && n; n--, index++, dst += g->size)
		r = ipk_array_read_wide(g, s, index, dst, tries);
	return r;
}

#endif
