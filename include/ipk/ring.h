/* SPDX-License-Identifier: MIT */
/*
 * Ring: messages in order from one producer, or several, to one consumer, by copying or in place,
 * as fast as the memory lets them pass. Also a stream of bytes without message boundaries.
 *
 *	records    +--+-------+--+---+--+------------+--+ - - - - - - - - +-----------+
 *	           |8 | bytes |8 |   |8 | bytes      |0 |      free       |  overflow  |
 *	           +--+-------+--+---+--+------------+--+ - - - - - - - - +-----------+
 *	            ^ head                            ^ tail              ^ cap
 *	cells      [ 8 ][ 8 ][ 8 ][ 8 ] ...    elements of a fixed size, or bytes of a stream, side by side
 *
 * A message of a variable type, or of any type with a checksum, is a record: a word with its
 * length, then its bytes, rounded up to 8. Its word, stored last, is what makes it visible: whoever
 * spins on it gets the first bytes with the same cache line. A record may reach beyond the end of
 * the ring into the overflow, so that it always lies in one piece. Elements of a fixed type, and
 * the bytes of a stream, lie side by side, and the tail makes them visible.
 *
 * ROLES. A ring has one consumer and, unless it was made for many, one producer. A process takes a
 * role with its first push or pop through a handle and keeps it until ipk_ring_leave() or
 * ipk_ring_close(); a second one is refused (-EBUSY) and ipk_ring_claim() says who has it. The role
 * of a process that died passes to the next who asks. Where many produce, each call has the ring's
 * lock while it runs, and a reservation has it until it is committed or aborted.
 *
 * WHICH MAY RUN BESIDE WHICH. The producer beside the consumer, in one process or two, on one
 * handle or two. Calls of one role through one handle are for one thread at a time, as are those of
 * a handle that is being closed; where many produce, any number of threads may push at once, and
 * reserve. shutdown, used and what merely tells may be called by anybody at any time.
 *
 * COST. push and pop are inline: a copy, a few plain stores, and no system call unless the other
 * side sleeps. Nothing is locked, and no fence is needed: who is about to sleep looks again a
 * little later. A consumer that gets several elements at a time and has read them waits some
 * hundred nanoseconds for more to come, so that the cache line that says so is not asked for at
 * each; one alone is read at once.
 *
 * DELIVERY. A push is acknowledged when its message became visible; a pop takes a message for good
 * when it returns. What was peeked and not released when its consumer died, or left, is delivered
 * again to the next one, marked (redelivered).
 *
 * LEFT BEHIND BY A DEATH
 *	push, reserve before the message is visible    nothing
 *	push after that                                the message; who waits notices the death and looks
 *	pop before it returns                          the message
 *	peek before release                            the message, delivered again, marked
 *	shutdown                                       done, or as if it had not begun
 *	any of these with the lock of many producers   the next one takes the lock over
 *
 * A child does not inherit its parent's roles. A stopped process is not dead: it keeps them.
 *
 * SOURCES. Indices that each side keeps to itself are from Lamport's ring (1977) by way of
 * MCRingBuffer (Lee, Bu, Chandranmenon, 2010); lengths that make a record visible, and a zero
 * before the next, are Aeron's (Thompson, Montgomery). The layout and the reasons are in
 * core/kinds/ring.h.
 */
#ifndef IPK_RING_H
#define IPK_RING_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

#include "ipk/error.h"
#include "ipk/fast.h"
#include "ipk/segment.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define IPK_RING_ABI 2u /* of the inline functions: what the library that is linked has to match */

struct ipk_ring;

struct ipk_ring_options {
	const char *type; /* element type; NULL: "str" */
	uint64_t cap; /* bytes; rounded up, see ipk_ring_capacity(); 0: 64 KiB */
	uint64_t max_message; /* bytes; 0: all that fits. It takes as much memory besides cap */
	bool many; /* any number of producers */
	bool stream; /* bytes without boundaries, of type str or bytes */
	bool checksum; /* xxHash (XXH3) of each message, verified when it is read */
};
#define IPK_RING_OPTIONS_INIT { NULL, 0, 0, false, false, false }

/*
 * Creates a ring. options NULL: IPK_RING_OPTIONS_INIT. -EEXIST; -EINVAL bad name, schema or option;
 * -ENOSPC it does not fit the segment.
 */
int ipk_ring_create(struct ipk_segment *seg, const char *name,
		    const struct ipk_ring_options *options, struct ipk_error *err);

/* Not to be called: see ipk_ring_open(). */
int ipk_ring_open_abi(struct ipk_segment *seg, const char *name, const char *type, uint32_t abi,
		      struct ipk_ring **ret_ring, struct ipk_error *err);

/*
 * Opens for this process. type: a claim to be checked, or NULL. -ENOENT; -EMEDIUMTYPE another kind
 * or type; -EPROTO another layout, or the library is not of this header's version; -EBADMSG.
 */
static inline int ipk_ring_open(struct ipk_segment *seg, const char *name, const char *type,
				struct ipk_ring **ret_ring, struct ipk_error *err)
{
	return ipk_ring_open_abi(seg, name, type, IPK_RING_ABI, ret_ring, err);
}

/*
 * Leaves both roles and ends the handle; the ring stays (ipk_ring_shutdown() is what ends a ring).
 */
void ipk_ring_close(struct ipk_ring *ring);

/*
 * Bytes that records and elements take together at most: a power of two, or, of a fixed type
 * without checksum, a multiple of its size. A record takes 8 bytes more than its message, rounded
 * up to 8 (and not 24 but 32), and the last 8 bytes stay free.
 */
uint64_t ipk_ring_capacity(const struct ipk_ring *ring);
/* The longest message: the element's size, or max_message, or capacity - 16. */
size_t ipk_ring_max_message(const struct ipk_ring *ring);
/* Bytes taken now, by what was not yet released. */
uint64_t ipk_ring_used(struct ipk_ring *ring);
bool ipk_ring_is_shut(const struct ipk_ring *ring);

enum ipk_ring_role { IPK_RING_PRODUCER, IPK_RING_CONSUMER };

/*
 * Takes a role now. Nothing to do where it is this handle's already, or where many produce. -EBUSY
 * another process or handle has it, err says who; -EACCES the segment was attached with IPK_READ.
 */
int ipk_ring_claim(struct ipk_ring *ring, enum ipk_ring_role role, struct ipk_error *err);
/*
 * Gives a role back: what was reserved is aborted, what was peeked is delivered again. Where many
 * produce, what was reserved is to be aborted first.
 */
void ipk_ring_leave(struct ipk_ring *ring, enum ipk_ring_role role);

/*
 * Shuts the ring for ever and for everybody: pushes and reservations that begin later fail with
 * -EPIPE, the consumer gets what was accepted and then -EPIPE. Wakes all who wait. Takes a
 * millisecond.
 */
int ipk_ring_shutdown(struct ipk_ring *ring);

/*
 * Takes the consumer's role and drops what is there, damaged or not. Returns how many bytes.
 */
int64_t ipk_ring_reset(struct ipk_ring *ring);

/*
 * Every function below that takes a deadline (see segment.h) waits for room or for a message at
 * most until then, and returns
 *	-EAGAIN with IPK_NOWAIT: full, empty, or another producer has been at it for too long
 *	-ETIMEDOUT; -EINTR a signal came; -ECANCELED
 *	-ESTALE the ring or its segment was removed: for who would wait, or finds nothing. What can be
 *		done is done, as in a file that was unlinked
 *	-EBUSY another has the role
 *	-EPIPE the ring was shut; for the consumer: and all of it was read
 *	-EMSGSIZE the message is longer than any can be, or is not of the element's size; for pop:
 *		longer than the buffer, and stays
 *	-EBADMSG the ring is damaged (ipcctl fsck says how, ipk_ring_reset() empties it); or, with a
 *		checksum, the message is
 *	-EOPNOTSUPP messages of a stream, or parts of what is none
 *	-EACCES the segment was attached with IPK_READ; -EDQUOT -ENOMEM the thread cannot register
 * Unless said otherwise nothing was pushed or taken then. The slow parts, in the library: */
int ipk_ring_push_slow(struct ipk_ring *ring, const void *data, size_t len, int64_t deadline);
int ipk_ring_push_array_slow(struct ipk_ring *ring, const void *values, unsigned n,
			     int64_t deadline);
int ipk_ring_pop_slow(struct ipk_ring *ring, void *buf, size_t size, size_t *ret_len,
		      int64_t deadline);
int ipk_ring_pop_array_slow(struct ipk_ring *ring, void *values, unsigned n, int64_t deadline);
/* Somebody waits, or the ring was shut while we published units. */
int ipk_ring_rang(struct ipk_ring *ring, uint64_t units);
void ipk_ring_wake_producer(struct ipk_ring *ring);

/* ---- what the inline functions work on ------------------------------------------------------- */

/*
 * Both ends, each as far as this process has the role: private memory that a child finds zeroed.
 * Zero throughout, or no room, sends every call to the library.
 */
struct ipk_ring_tx {
	uintptr_t at; /* where the next message goes */
	uintptr_t stop; /* cells: end of what is free in one piece; else 0 */
	uintptr_t free; /* records: end of what is free, in one piece with the overflow; else 0 */
	uintptr_t end; /* of a lap */
	uint64_t pos; /* position of at; bytes, or elements of a fixed size */
	uint64_t count; /* records: messages ever pushed */
	size_t unit; /* cells: bytes of an element; else SIZE_MAX */
	size_t below; /* records: 1 more than the longest message; 0: not to be done inline */
	size_t cap; /* bytes of a lap */
	uint64_t *tail; /* shared: pos, count */
	uint64_t *head; /* shared: of the consumer */
	uint64_t *bell; /* shared: does the consumer sleep, is it shut? */
	void *owner_;
	uint64_t role_;
};

struct ipk_ring_rx {
	uintptr_t cell; /* cells: the next element; else 0 */
	uintptr_t stop; /* end of those that are known to be there in one piece */
	uintptr_t rec; /* records: the next one; else 0 */
	uintptr_t end;
	uint64_t pos;
	uint64_t count; /* records: messages ever popped */
	uint64_t shown; /* all before this position has been given out */
	uint64_t again; /* all before this one, to a former consumer */
	size_t unit;
	size_t most;
	size_t cap;
	uint64_t *head; /* shared: pos, shown, count */
	uint64_t *tail; /* shared: of the producer */
	uint32_t *bell; /* shared: does a producer sleep? */
	uint64_t *bell_items; /* shared: is it shut? */
	uint64_t flow; /* several came at once lately: see ipk_ring_gather() */
	uint64_t last; /* count, or position of cells, when there was nothing */
	const uint64_t *state; /* shared: has the object been removed? */
	const uint32_t *removed; /* shared: has the segment? */
	void *owner_;
	uint64_t role_;
	uint64_t done_;
};

/*
 * A consumer that takes each element as soon as it comes makes the producer wait for the line at
 * each. When they come in numbers it waits a moment for more, at most half a microsecond or so.
 */
uint64_t ipk_ring_gather(struct ipk_ring_rx *c, uint64_t bytes);

struct ipk_ring {
	struct ipk_ring_tx *tx;
	struct ipk_ring_rx *rx;
};

#define IPK_RING_LIKELY(x) __builtin_expect(!!(x), 1)
#define IPK_RING_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Where the length is known the copy is a move or two: only when it is inlined. */
#define IPK_RING_INLINE static inline __attribute__((always_inline))

#define IPK_RING_AHEAD 1024 /* bytes that lines are fetched for writing before they are needed */
#define IPK_RING_ENOUGH 2048 /* bytes that a consumer reads without looking for more */

/* W of the event word in the first half, anything in the second. */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define IPK_RING_RINGS UINT64_C(0x80000000ffffffff)
#define IPK_RING_SHUT UINT64_C(0xffffffff)
#else
#define IPK_RING_RINGS UINT64_C(0xffffffff80000000)
#define IPK_RING_SHUT UINT64_C(0xffffffff00000000)
#endif

IPK_RING_INLINE void ipk_ring_want(uintptr_t at)
{
#if defined(__x86_64__)
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *)at));
#else
	__builtin_prefetch((const void *)at, 1);
#endif
}

/*
 * Fetches for writing, while there is time, as many lines as the next bytes will fill, some way
 * ahead: stores are carried out in order, and each would wait for its line to come from the
 * consumer.
 */
IPK_RING_INLINE void ipk_ring_ahead(uintptr_t at, uintptr_t end, size_t bytes)
{
	if ((at & 63) >= bytes || (intptr_t)(end - at) < (intptr_t)(IPK_RING_AHEAD + bytes))
		return; /* not the first in its line */
	ipk_ring_want(at + IPK_RING_AHEAD);
	if (bytes > 64 && bytes <= 1024)
		for (size_t i = 64; i < bytes; i += 64)
			ipk_ring_want(at + IPK_RING_AHEAD + i);
}

/* Most messages are short. */
IPK_RING_INLINE void ipk_ring_copy(void *dst, const void *src, size_t len)
{
	if (len - 8 <= 8) {
		uint64_t first, last;

		memcpy(&first, src, 8);
		memcpy(&last, (const char *)src + len - 8, 8);
		memcpy(dst, &first, 8);
		memcpy((char *)dst + len - 8, &last, 8);
	} else if (len) {
		memcpy(dst, src, len);
	}
}

/* Bytes of a record. 32 instead of 24: none lies in two cache lines where all have 16 bytes. */
IPK_RING_INLINE size_t ipk_ring_need(size_t len)
{
	size_t need = (len + 15) & ~(size_t)7;

	return need + (need == 24) * 8u;
}

/*
 * Publishes the record at t->at, whose bytes are in place. The word of the next record is zeroed
 * before this one becomes visible, by a release: pairs with the acquire of the consumer's look at
 * it.
 */
IPK_RING_INLINE void ipk_ring_publish(struct ipk_ring_tx *t, size_t len, uint32_t sum)
{
	size_t need = ipk_ring_need(len);
	uintptr_t at = t->at, next = at + need;

	if (next >= t->end) {
		next -= t->cap;
		t->free -= t->cap;
	}
	__atomic_store_n((uint64_t *)next, 0, __ATOMIC_RELAXED);
	t->at = next;
	t->pos += need;
	t->count++;
	__atomic_store_n((uint64_t *)at, (uint64_t)sum << 32 | (len + 1), __ATOMIC_RELEASE);
	__atomic_store_n(&t->tail[1], t->count, __ATOMIC_RELAXED);
	__atomic_store_n(&t->tail[0], t->pos, __ATOMIC_RELEASE);
}

/*
 * Publishes n elements at t->at. Release: pairs with the acquire of the consumer's look at the
 * tail.
 */
IPK_RING_INLINE void ipk_ring_publish_cells(struct ipk_ring_tx *t, size_t bytes, uint64_t n)
{
	t->at += bytes;
	t->pos += n;
	__atomic_store_n(&t->tail[0], t->pos, __ATOMIC_RELEASE);
}

/*
 * After publishing: is there anybody to be told? Why no fence is needed: core/kinds/ring.h,
 * WAITING.
 */
IPK_RING_INLINE int ipk_ring_after_push(struct ipk_ring *ring, const struct ipk_ring_tx *t,
					uint64_t units)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (IPK_RING_UNLIKELY(__atomic_load_n(t->bell, __ATOMIC_SEQ_CST) & IPK_RING_RINGS))
		return ipk_ring_rang(ring, units);
	return 0;
}

/*
 * Frees all up to the position pos. Release: pairs with the acquire of the producer's look at it.
 */
IPK_RING_INLINE void ipk_ring_pass(struct ipk_ring *ring, struct ipk_ring_rx *c, uint64_t pos)
{
	c->pos = pos;
	__atomic_store_n(&c->head[0], pos, __ATOMIC_RELEASE);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (IPK_RING_UNLIKELY(__atomic_load_n(c->bell, __ATOMIC_SEQ_CST) & UINT32_C(0x80000000)))
		ipk_ring_wake_producer(ring);
}

/* c->rec goes on to the end of its record. */
IPK_RING_INLINE void ipk_ring_pass_record(struct ipk_ring *ring, struct ipk_ring_rx *c, size_t need)
{
	c->rec += need;
	if (c->rec >= c->end)
		c->rec -= c->cap;
	c->count++;
	__atomic_store_n(&c->head[2], c->count, __ATOMIC_RELAXED);
	ipk_ring_pass(ring, c, c->pos + need);
}

/* The length of the next record where that can be read without further ado, else beyond any. */
IPK_RING_INLINE size_t ipk_ring_next_record(const struct ipk_ring_rx *c)
{
	if (IPK_RING_UNLIKELY(!c->rec))
		return SIZE_MAX;
	return (uint32_t)__atomic_load_n((const uint64_t *)c->rec, __ATOMIC_ACQUIRE) - (size_t)1;
}

/*
 * now: how much was ever taken. Whoever polls stores nothing: the message that comes would have to
 * wait, as it seems, until those stores are done, half as long again as a line takes to come.
 */
IPK_RING_INLINE bool ipk_ring_idle_at(struct ipk_ring_rx *c, uint64_t now)
{
	if (c->flow || now - c->last > 1 ||
	    __atomic_load_n(c->bell_items, __ATOMIC_RELAXED) & IPK_RING_SHUT ||
	    !ipk_fast_there(c->state, c->removed))
		return false;
	if (IPK_RING_UNLIKELY(c->last != now))
		c->last = now;
	return true;
}

/*
 * The length was that of no record: may we say so at once? When it is shut or removed, and when what
 * came before came in numbers, the library has a look.
 */
IPK_RING_INLINE bool ipk_ring_idle(struct ipk_ring_rx *c, size_t len)
{
	/*
	 * One way for each format: who polls is to be through soon, and to take the same each time.
	 * And the line behind the one that it polls is fetched while that one is: with a single
	 * message under way its line comes at the same time, not afterwards.
	 */
	if (IPK_RING_LIKELY(c->rec)) {
		__builtin_prefetch((const void *)(c->rec + 64));
		return len == SIZE_MAX && ipk_ring_idle_at(c, c->count);
	}
	return c->cell && c->cell == c->stop && c->unit != SIZE_MAX &&
	       __atomic_load_n(c->tail, __ATOMIC_RELAXED) == c->pos && ipk_ring_idle_at(c, c->pos);
}

/*
 * Have elements come since we looked? -1: the library has to see to it. Acquire: pairs with
 * ipk_ring_publish_cells().
 */
IPK_RING_INLINE int ipk_ring_look_again(struct ipk_ring_rx *c)
{
	uint64_t bytes;

	if (IPK_RING_UNLIKELY(!c->cell))
		return -1;
	__builtin_prefetch((const void *)c->cell);
	bytes = __atomic_load_n(c->tail, __ATOMIC_ACQUIRE) - c->pos; /* elements, that is */
	if (!bytes)
		return 0;
	if (IPK_RING_UNLIKELY(bytes > c->cap))
		return -1;
	bytes *= c->unit;
	if (IPK_RING_UNLIKELY(bytes > c->cap))
		return -1;
	if (bytes < IPK_RING_ENOUGH)
		bytes = ipk_ring_gather(c, bytes);
	if (c->cell == c->end)
		c->cell -= c->cap;
	c->stop = bytes < c->end - c->cell ? c->cell + bytes : c->end;
	return 1;
}

/* Room that the consumer has made since we looked. Acquire: pairs with ipk_ring_pass(). */
IPK_RING_INLINE bool ipk_ring_room_again(struct ipk_ring_tx *t)
{
	uint64_t bytes;

	if (IPK_RING_UNLIKELY(!t->stop))
		return false;
	bytes = t->pos - __atomic_load_n(t->head, __ATOMIC_ACQUIRE); /* elements */
	if (IPK_RING_UNLIKELY(bytes >= t->cap))
		return false;
	bytes *= t->unit;
	if (IPK_RING_UNLIKELY(bytes >= t->cap))
		return false;
	bytes = t->cap - bytes;
	if (t->at == t->end)
		t->at -= t->cap;
	t->stop = bytes < t->end - t->at ? t->at + bytes : t->end;
	return true;
}

/*
 * Was the ring shut before we began? Then the library says so. While we publish, it may be:
 * ipk_ring_after_push().
 */
IPK_RING_INLINE bool ipk_ring_shut_before(const struct ipk_ring_tx *t)
{
	return IPK_RING_UNLIKELY(__atomic_load_n(t->bell, __ATOMIC_RELAXED) & IPK_RING_SHUT);
}

/* ---- copying --------------------------------------------------------------------------------- */

/* Appends a message. */
IPK_RING_INLINE int ipk_ring_push(struct ipk_ring *ring, const void *data, size_t len,
				  int64_t deadline)
{
	struct ipk_ring_tx *t = ring->tx;

	if (len == t->unit && len != SIZE_MAX &&
	    (IPK_RING_LIKELY(t->at != t->stop) || ipk_ring_room_again(t)) &&
	    !ipk_ring_shut_before(t)) {
		ipk_ring_ahead(t->at, t->stop, len);
		memcpy((void *)t->at, data, len);
		ipk_ring_publish_cells(t, len, 1);
		return ipk_ring_after_push(ring, t, 1);
	}
	if (IPK_RING_LIKELY(len < t->below &&
			    (intptr_t)(t->free - t->at) >= (intptr_t)ipk_ring_need(len) + 8) &&
	    !ipk_ring_shut_before(t)) {
		ipk_ring_ahead(t->at, t->free, ipk_ring_need(len));
		ipk_ring_copy((void *)(t->at + 8), data, len);
		ipk_ring_publish(t, len, 0);
		return ipk_ring_after_push(ring, t, ipk_ring_need(len));
	}
	return ipk_ring_push_slow(ring, data, len, deadline);
}

/*
 * Takes the oldest message and copies it to buf; ret_len may be NULL. A message whose checksum is
 * wrong is taken as well, and copied as far as it fits: -EBADMSG, and *ret_len is set.
 */
IPK_RING_INLINE int ipk_ring_pop(struct ipk_ring *ring, void *buf, size_t size, size_t *ret_len,
				 int64_t deadline)
{
	struct ipk_ring_rx *c = ring->rx;
	size_t len;

	if (size == c->unit && size != SIZE_MAX) {
		int more = IPK_RING_LIKELY(c->cell != c->stop) ? 1 : ipk_ring_look_again(c);

		if (IPK_RING_LIKELY(more > 0)) {
			memcpy(buf, (const void *)c->cell, size);
			c->cell += size;
			ipk_ring_pass(ring, c, c->pos + 1);
			if (ret_len)
				*ret_len = size;
			return 0;
		}
		if (more == 0 && deadline == IPK_NOWAIT && ipk_ring_idle_at(c, c->pos))
			return -EAGAIN;
		return ipk_ring_pop_slow(ring, buf, size, ret_len, deadline);
	}
	len = ipk_ring_next_record(c);
	if (IPK_RING_LIKELY(len <= c->most) && len <= size) {
		ipk_ring_copy(buf, (const void *)(c->rec + 8), len);
		ipk_ring_pass_record(ring, c, ipk_ring_need(len));
		if (ret_len)
			*ret_len = len;
		return 0;
	}
	if (deadline == IPK_NOWAIT && ipk_ring_idle(c, len))
		return -EAGAIN;
	return ipk_ring_pop_slow(ring, buf, size, ret_len, deadline);
}

/*
 * Appends n elements of a fixed type, side by side at values; waits for room for the first alone.
 * Returns how many went in, 1..n, or why the first did not.
 */
IPK_RING_INLINE int ipk_ring_push_array(struct ipk_ring *ring, const void *values, unsigned n,
					int64_t deadline)
{
	struct ipk_ring_tx *t = ring->tx;
	size_t bytes = n * t->unit;
	int r;

	if (IPK_RING_UNLIKELY(n == 0 || n > INT32_MAX || t->unit > UINT32_MAX))
		return ipk_ring_push_array_slow(ring, values, n, deadline);
	if (t->stop - t->at < bytes)
		ipk_ring_room_again(t);
	if (t->stop - t->at < bytes || t->at == t->stop || ipk_ring_shut_before(t))
		return ipk_ring_push_array_slow(ring, values, n, deadline);
	ipk_ring_ahead(t->at, t->stop, bytes);
	memcpy((void *)t->at, values, bytes);
	ipk_ring_publish_cells(t, bytes, n);
	r = ipk_ring_after_push(ring, t, n);
	return r < 0 ? r : (int)n;
}

/*
 * Takes up to n elements of a fixed type; waits for the first alone. Returns how many, or why not
 * one.
 */
IPK_RING_INLINE int ipk_ring_pop_array(struct ipk_ring *ring, void *values, unsigned n,
				       int64_t deadline)
{
	struct ipk_ring_rx *c = ring->rx;
	size_t bytes = n * c->unit;

	if (IPK_RING_UNLIKELY(n == 0 || n > INT32_MAX || c->unit > UINT32_MAX))
		return ipk_ring_pop_array_slow(ring, values, n, deadline);
	if (c->stop - c->cell < bytes)
		ipk_ring_look_again(c);
	if (c->stop - c->cell < bytes || c->cell == c->stop)
		return ipk_ring_pop_array_slow(ring, values, n, deadline);
	memcpy(values, (const void *)c->cell, bytes);
	c->cell += bytes;
	ipk_ring_pass(ring, c, c->pos + n);
	return (int)n;
}

/*
 * Appends up to n messages in order, each acknowledged by itself; waits for room for the first
 * alone. Returns how many went in, 1..n, or why the first did not.
 */
int ipk_ring_push_many(struct ipk_ring *ring, const struct iovec *messages, unsigned n,
		       int64_t deadline);

/* ---- in place -------------------------------------------------------------------------------- */

struct ipk_ring_room {
	void *data; /* to be written to; aligned to 8, in streams and for smaller elements to nothing */
	size_t len;
	void *owner_;
	int slow_;
};

int ipk_ring_reserve_slow(struct ipk_ring *ring, size_t len, struct ipk_ring_room *ret_room,
			  int64_t deadline);
int ipk_ring_commit_slow(struct ipk_ring *ring, struct ipk_ring_room *room, size_t len);
void ipk_ring_abort_slow(struct ipk_ring *ring, struct ipk_ring_room *room);

/*
 * Room for a message of up to len bytes, to be filled in place and committed or aborted before the
 * next call of this role. Of a fixed type and in streams: as many elements or bytes of len as there
 * is room for in one piece, 1 at least. Where many produce, no other can push meanwhile.
 */
IPK_RING_INLINE int ipk_ring_reserve(struct ipk_ring *ring, size_t len,
				     struct ipk_ring_room *ret_room, int64_t deadline)
{
	struct ipk_ring_tx *t = ring->tx;

	if (IPK_RING_UNLIKELY(len >= t->below ||
			      (intptr_t)(t->free - t->at) < (intptr_t)ipk_ring_need(len) + 8) ||
	    ipk_ring_shut_before(t))
		return ipk_ring_reserve_slow(ring, len, ret_room, deadline);
	ipk_ring_ahead(t->at, t->free, ipk_ring_need(len));
	ret_room->data = (void *)(t->at + 8);
	ret_room->len = len;
	ret_room->owner_ = NULL;
	ret_room->slow_ = 0;
	return 0;
}

/*
 * Publishes the first len bytes of what was reserved. -EINVAL more than that, -EMSGSIZE not of the
 * element's size: then it is still reserved; -EPIPE shut meanwhile.
 */
IPK_RING_INLINE int ipk_ring_commit(struct ipk_ring *ring, struct ipk_ring_room *room, size_t len)
{
	struct ipk_ring_tx *t = ring->tx;

	/* Not where we are: it was committed, or something else was pushed, or we are a child. */
	if (IPK_RING_UNLIKELY(room->slow_ || len > room->len || (uintptr_t)room->data != t->at + 8))
		return ipk_ring_commit_slow(ring, room, len);
	ipk_ring_publish(t, len, 0);
	return ipk_ring_after_push(ring, t, ipk_ring_need(len));
}

IPK_RING_INLINE void ipk_ring_abort(struct ipk_ring *ring, struct ipk_ring_room *room)
{
	if (room->slow_)
		ipk_ring_abort_slow(ring, room);
	room->len = 0;
}

struct ipk_ring_message {
	const void *data;
	size_t len;
	uint64_t
		pos; /* position of its first byte, or which element it is: 0 for the first ever pushed */
	uint32_t
		redelivered; /* 1: may have been given to a consumer before who did not release it */
	uint32_t spare_;
	uint64_t end_;
	uint64_t count_;
};

int ipk_ring_peek_slow(struct ipk_ring *ring, struct ipk_ring_message *ret_message,
		       int64_t deadline);
int ipk_ring_release_slow(struct ipk_ring *ring, const struct ipk_ring_message *message);

/*
 * The oldest message, in place: data is valid until it is released, and the next peek gives the
 * same again. In a stream: all bytes that lie in one piece. -EBADMSG: its checksum is wrong, and
 * *ret_message is set, so that it can be released; or its data is NULL, and the ring is damaged.
 */
IPK_RING_INLINE int ipk_ring_peek(struct ipk_ring *ring, struct ipk_ring_message *ret_message,
				  int64_t deadline)
{
	struct ipk_ring_rx *c = ring->rx;
	size_t len = ipk_ring_next_record(c);

	if (IPK_RING_UNLIKELY(len > c->most)) {
		if (deadline == IPK_NOWAIT && ipk_ring_idle(c, len))
			return -EAGAIN;
		return ipk_ring_peek_slow(ring, ret_message, deadline);
	}
	ret_message->data = (const void *)(c->rec + 8);
	ret_message->len = len;
	ret_message->pos = c->pos;
	ret_message->redelivered = c->pos < c->again;
	ret_message->end_ = c->pos + ipk_ring_need(ret_message->len);
	ret_message->count_ = c->count + 1;
	if (ret_message->end_ > c->shown) {
		c->shown = ret_message->end_;
		__atomic_store_n(&c->head[1], c->shown, __ATOMIC_RELAXED);
	}
	return 0;
}

/*
 * The oldest up to n messages, in place, waiting for the first alone; one with a wrong checksum
 * only as the first. Returns how many, 1..n, or why not one. Not for streams.
 */
int ipk_ring_peek_many(struct ipk_ring *ring, struct ipk_ring_message *ret_messages, unsigned n,
		       int64_t deadline);

/*
 * The message and all before it are taken for good, and their room is free. In a stream: the first
 * message->len bytes, which may be lowered before. -EINVAL it is none that was peeked and not
 * released.
 */
IPK_RING_INLINE int ipk_ring_release(struct ipk_ring *ring, const struct ipk_ring_message *message)
{
	struct ipk_ring_rx *c = ring->rx;

	if (IPK_RING_UNLIKELY(!c->rec || message->pos != c->pos))
		return ipk_ring_release_slow(ring, message);
	ipk_ring_pass_record(ring, c, (size_t)(message->end_ - message->pos));
	return 0;
}

/*
 * Takes up to n messages, side by side in buf at multiples of 8 bytes; waits for the first alone
 * and takes what else is there and fits. Returns how many, 1..n, or why not one. One with a wrong
 * checksum only as the first: it is taken, copied as far as it fits, and the answer is -EBADMSG
 * (with the data of ret_messages[0] NULL: the ring is damaged).
 */
int ipk_ring_pop_many(struct ipk_ring *ring, void *buf, size_t size,
		      struct ipk_ring_message *ret_messages, unsigned n, int64_t deadline);

/* ---- streams --------------------------------------------------------------------------------- */

/*
 * Appends bytes; waits for room for the first alone. Returns how many went in, 1..len (0 for len
 * 0), or why none did.
 */
int64_t ipk_ring_write(struct ipk_ring *ring, const void *data, size_t len, int64_t deadline);
/* Takes up to size bytes; waits for the first alone. Returns how many, or why none. */
int64_t ipk_ring_read(struct ipk_ring *ring, void *buf, size_t size, int64_t deadline);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
