/* SPDX-License-Identifier: MIT */
/*
 * Streams, inside. The body:
 *
 *	struct ipk_stream_body
 *	struct ipk_stream_name[subs]
 *	struct ipk_stream_entry[cap + BATCH]   of position p: [p % (cap + BATCH)]
 *	state 0, state 1                       room bytes each, behind a length
 *	data                                   bytes + spare
 *
 * A record lies in data at byte position entry.at % (bytes + spare), and goes on at 0 where that
 * ends. Byte positions only grow; each is the end of the record before, rounded up to 8. What is
 * retained spans at most bytes and cap records; what is appended at once at most spare and BATCH:
 * so it never lies on what is retained, and nothing has to be dropped before it counts.
 *
 *	word      tail * 2 + which state counts. One store of it publishes records and state: COMMIT
 *	head      the oldest retained position; only grows. Moved behind the COMMIT: until then, or until the
 *	          next holder of the lock does it for a dead one, more is retained than wanted
 *	entry, data   who   the lock's holder, for positions from tail on
 *	state     who   the lock's holder, the one that does not count
 *	name      lock's holder: name, then cursor, then used; cursor: its owner alone, once it is used
 *	owner     {takings:50, slot + 1:14}; taken by the lock's holder; given back by the owner, or
 *	          when he is dead by anybody, by CAS from that word, which never comes again
 *	shut      0 -> 1, lock's holder
 *
 * READERS take no lock: they load word, copy the entry and the data, and then look whether head is
 * still not beyond (a fence on each side, as in a sequence lock); if it is, the copy is thrown
 * away, and what was missed is counted. A producer begins with a fence behind the last move of
 * head, and then writes.
 *
 * DEATH. Before COMMIT nothing has happened, after it all has. The lock is robust; whoever gets it
 * from a dead one moves head. Who sleeps, sleeps on live words too.
 */
#ifndef IPK_KINDS_STREAM_H
#define IPK_KINDS_STREAM_H

#include "ipk/kind.h"
#include "ipk/stream.h"
#include "segment/segment.h"

extern const struct ipk_kind ipk_kind_stream;
extern const struct ipk_op ipk_stream_ops[];

#define IPK_STREAM_OWNER UINT64_C(0x3fff) /* in a name's owner: slot + 1 */

struct ipk_stream_name {
	u64 used;   /* 0 or 1 */
	u64 owner;  /* {takings, slot + 1 or 0} */
	u64 cursor; /* next position that was not acknowledged */
	char name[IPK_STREAM_NAME_MAX + 1];
	u8 pad_[2 * IPK_LINE - 24 - IPK_STREAM_NAME_MAX - 1];
};
_Static_assert(sizeof(struct ipk_stream_name) == 2 * IPK_LINE, "a line of its own");

struct ipk_stream_entry {
	u64 at, len, time;
};

struct ipk_stream_body {
	/* constant */
	u64 cap, bytes, spare, room;
	u32 size, policy, subs, pad_;
	/* read by all, written by producers */
	_Alignas(IPK_LINE) u64 word;
	u64 head;
	u32 ev;      /* records, shut */
	u32 ev_room; /* cursors */
	u32 shut;
	_Alignas(IPK_LINE) u64 lock;
};

/* Where things lie, from constants that were checked. Offsets count from the body. */
struct ipk_stream_shape {
	u64 cap, bytes, spare, room;
	u32 size, policy, subs;
	u64 names, entries, states, data, end;
};
/* -EBADMSG when the constants do not fit len bytes of body. */
int ipk_stream_measure(const struct ipk_stream_body *body, u64 len, struct ipk_stream_shape *ret);

struct ipk_stream {
	struct ipk_obj obj;
	struct ipk_stream_body *b;
	struct ipk_stream_shape s;
};

static inline struct ipk_stream_name *ipk_stream_name_at(struct ipk_stream_body *b,
							 const struct ipk_stream_shape *s, u32 i)
{
	return (struct ipk_stream_name *)(void *)((u8 *)b + s->names) + i;
}

static inline struct ipk_stream_entry *ipk_stream_entry_of(struct ipk_stream *st, u64 pos)
{
	return (struct ipk_stream_entry *)(void *)((u8 *)st->b + st->s.entries) +
	       pos % (st->s.cap + IPK_STREAM_BATCH);
}

/*
 * Does what begins at byte position at and ends at end, in records from first to next, span too
 * much?
 */
static inline bool ipk_stream_too_much(const struct ipk_stream_shape *s, u64 first, u64 next,
				       u64 at, u64 end)
{
	return next - first > s->cap || end - at > s->bytes;
}

static inline bool ipk_stream_name_ok(const char *name)
{
	size_t n = strlen(name);

	return n && n <= IPK_STREAM_NAME_MAX &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
		       n;
}

/* The name of a subscription that has one, in the room of such a name. */
void ipk_stream_sub_name(const struct ipk_stream_sub *sub, char *ret_name);

/*
 * The calling thread's participant with the lock, for as long as it takes; to be given back by
 * ipk_unlock(). NULL: *ret_error.
 */
struct ipk_self *ipk_stream_lock(struct ipk_stream *st, int *ret_error);

/* As ipk_stream_create(), with the pipeline as its first state: see stream_pipe.h. */
int ipk_stream_create_derived(struct ipk_segment *seg, const char *name,
			      const struct ipk_stream_options *options, const char *pipeline,
			      struct ipk_error *err);

bool ipk_stream_attachable(struct ipk_obj *obj);
int ipk_stream_recover(struct ipk_obj *obj);
void ipk_stream_wake(struct ipk_obj *obj);

#endif
