/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a ring, who may change each word, and what a death leaves in it.
 *
 *	body  0    cap most unit flags            constant
 *	      64   producer consumer              role words
 *	           end                            where the ring ends, once that is decided
 *	           corrupt                        counter for people
 *	      128  tail                           position up to which it is written
 *	           pushed                         counter for people
 *	           lock seen                      where many produce
 *	      256  head                           position up to which it is read
 *	           shown                          position up to which messages were given out
 *	           popped                         counter for people
 *	      384  items shut                     event word of the consumer, and 0, 1 or 2
 *	      512  space                          event word of producers
 *	      640  cap bytes, then the overflow
 *
 * Two formats. CELLS (unit > 0): elements of unit bytes, or a stream's bytes (unit 1); positions
 * count units, position p lies at (p % (cap / unit)) * unit. RECORDS (unit 0): positions count
 * bytes, cap is a power of two; the record at position p begins at p % cap with its word {sum:32,
 * len + 1:32} and reaches on in one piece, beyond cap if need be: the overflow is as long as the
 * longest record. Records do not overlap, since all that is unread spans less than cap and so at
 * most one reaches beyond.
 *
 *	word              who writes it                      when
 *	producer,consumer who takes the role: CAS            {seq:50, slot + 1:14}; seq counts takings
 *	                  its owner, or a sweep when that    CAS to {seq, 0}
 *	                  is dead
 *	record's word     the producer                       0 before the record in front of it is
 *	                                                     published; then, release: PUSHED
 *	cells             the producer                       before the tail
 *	tail              the producer                       cells: release, PUSHED; records: a hint
 *	pushed            the producer                       before tail
 *	lock, seen        where many produce, who has lock
 *	head              the consumer                       release: POPPED
 *	shown             the consumer                       when it gives out what lies beyond
 *	popped            the consumer                       before head
 *	end               producer or consumer: CAS 0 -> p+1 once, see SHUT
 *	items, space      who sleeps or wakes                segment.h, events
 *	shut              anybody                            0 -> 1 -> 2
 *
 * Where many produce, "the producer" is who has lock, a robust lock of the segment's kind (lock.c);
 * its role word stays 0, and what the inline functions keep is made of the shared words for each
 * call.
 *
 * INVARIANTS. Let T be the position behind the last published record, or the tail of cells, and H
 * head.
 *	(1) Records: the word at T is 0. It lies in what is free: a record is written only where 8
 *	    bytes more than it takes are.
 *	(2) Records: from H to T they lie end to end, and from the hint tail to T too: tail is never
 *	    ahead of T, and stored when each record is.
 *	(3) T - H <= cap, for records cap - 8. The producer's idea of H is never ahead of H.
 * So whoever takes the producer's role over finds T from the tail by going on while the word is not
 * 0.
 *
 * LEFT BEHIND BY A DEATH, of the producer after
 *	taking the role       a word that names the dead: the next one takes it from exactly that word
 *	payload, zero         nothing: beyond T nothing counts
 *	the record's word     the message; tail is one record short, the successor sees to it (2);
 *	                      pushed may lack one
 *	tail of cells         the elements; who sleeps was not woken: it watches our live word
 *	lock                  the next one to lock is told; there is nothing to be mended, see (2)
 *	and of the consumer
 *	shown                 messages that may have been used: the next one marks them
 *	head                  nothing; a producer was not woken: as above
 *
 * A ROLE is a process's: its thread may end before (ipk_hold_get()). What the owner keeps in
 * private memory lies in a page that a child finds zeroed (MADV_WIPEONFORK): its calls go to the
 * slow functions, and those find that the parent has the role.
 *
 * WAITING. The producer publishes, then looks at items, without a fence between: on x86 its look
 * may be carried out before its store is seen. So who sleeps says so (W), looks again for a
 * microsecond, which is enough unless that store waits unusually long for its line, and sleeps for
 * 10 ms first; then looks again, and only if W stood all the time sleeps for good (a timer of a
 * millisecond would be the processor's next event, to be set and taken back at each wait). Whoever
 * looked at items before W was there has long stored what it was to store: a store waits in its CPU
 * for nothing but the line. The same the other way round, for producers. (And all sleeps end by
 * themselves after ipk_wait_backstop.)
 *
 * SPEED (bench/ring.c). Each side keeps what it knows of the other's position and looks again only
 * when that is used up. What a store costs is the line that has to come from the other side: the
 * producer fetches lines for writing 1 KiB ahead, and the consumer of a stream of messages does not
 * ask for the line of the tail, or of the next word, at each of them (ipk_ring_gather()). A ring of
 * records makes a message visible in its own line: one transfer where an index takes two.
 *
 * SHUT. Anybody stores shut = 1, waits for SLICE, stores 2. A producer looks at shut before it
 * begins and after it has published. What it published while it was being shut counts
 * if it decides where the ring ends before the consumer does: both compare-exchange end, 0 -> the
 * position, the producer behind its message, the consumer where it found nothing more. A producer
 * who loses takes its message back: the consumer reads on no more. It decides only once shut is 2:
 * then what was published by who did not see shut afterwards is there to be seen (membarrier(2)
 * would say so with more right, but takes 4 to 270 ms). A producer that saw shut publishes no more;
 * one who died before deciding leaves a message that counts.
 */
#ifndef IPK_KINDS_RING_H
#define IPK_KINDS_RING_H

#include "ipk/kind.h"
#include "ipk/ring.h"
#include "segment/segment.h"

struct ipk_ring_body {
	u64 cap; /* bytes of a lap */
	u64 most; /* bytes of the longest message */
	u32 unit; /* bytes of a cell; 0: records */
	u32 flags;
	u64 spare0[5];
	/* 64 */
	u64 producer;
	u64 consumer;
	u64 end; /* position + 1; 0: not decided */
	u64 corrupt; /* messages with a wrong checksum that were taken */
	u64 spare1[4];
	/* 128 */
	u64 tail;
	u64 pushed; /* records: messages; may be off by one for each death */
	u64 lock;
	u64 seen; /* a head that was seen */
	u64 spare2[12];
	/* 256 */
	u64 head;
	u64 shown;
	u64 popped; /* as pushed */
	u64 spare3[13];
	/* 384 */
	u32 items;
	u32 shut;
	u64 spare4[15];
	/* 512 */
	u32 space;
	u32 spare5[31];
	/* 640: data */
};

#define IPK_RING_VERSION 1u /* of this layout */
#define IPK_RING_MANY (1u << 0)
#define IPK_RING_STREAM (1u << 1)
#define IPK_RING_SUM (1u << 2)
#define IPK_RING_FIXED (1u << 3) /* records that are all as long as the longest */
#define IPK_RING_FLAGS 15u

#define IPK_RING_CAP_MIN UINT64_C(64)
#define IPK_RING_CAP_MAX (UINT64_C(1) << 40)
#define IPK_RING_LEN_MAX UINT64_C(0xfffffff0)

_Static_assert(offsetof(struct ipk_ring_body, producer) == 64, "own line");
_Static_assert(offsetof(struct ipk_ring_body, tail) == 128, "own line");
_Static_assert(offsetof(struct ipk_ring_body, pushed) == 136, "ipk_ring_tx.tail[1]");
_Static_assert(offsetof(struct ipk_ring_body, head) == 256, "own line");
_Static_assert(offsetof(struct ipk_ring_body, shown) == 264, "ipk_ring_rx.head[1]");
_Static_assert(offsetof(struct ipk_ring_body, popped) == 272, "ipk_ring_rx.head[2]");
_Static_assert(offsetof(struct ipk_ring_body, items) == 384, "own line");
_Static_assert(offsetof(struct ipk_ring_body, shut) == 388,
	       "one word with items: ipk_ring_tx.bell");
_Static_assert(offsetof(struct ipk_ring_body, space) == 512, "own line");
_Static_assert(sizeof(struct ipk_ring_body) == 640, "");

/* ---- geometry -------------------------------------------------------------------------------- */

struct ipk_ring_shape {
	u64 cap;
	u64 most;
	u64 lap; /* cap in positions */
	u32 unit;
	u32 flags;
	u64 data; /* offset in the segment */
	u64 bytes; /* of cap and overflow */
};

/* Bytes of a record of the longest message that fits next to the word of the one behind it. */
static inline u64 ring_overflow(u64 most)
{
	return ipk_align_up(most + 8, 8);
}

/*
 * Fills the constant part. size: of an element, 0: variable; most 0: all that fits. Bytes of the
 * body, or 0: too large.
 */
u64 ipk_ring_layout(u64 cap, u32 size, u64 most, u32 flags, struct ipk_ring_body *ret_body);
/* -EBADMSG when body (a private copy) is not what ipk_ring_layout() makes, or is cut short. */
int ipk_ring_measure(const struct ipk_ring_body *body, u64 off, u64 len,
		     struct ipk_ring_shape *ret);

/* Does an element type of size bytes (0: variable) go with it? */
bool ipk_ring_fits(const struct ipk_ring_shape *g, u32 size);

static inline u64 ring_word_len(u64 word)
{
	return (u32)word - 1; /* 0: none; beyond any */
}

/* Bytes from the start of the data at which position pos lies. */
static inline u64 ring_at(const struct ipk_ring_shape *g, u64 pos)
{
	return g->unit ? pos % g->lap * g->unit : pos & (g->cap - 1);
}

/* ---- roles ----------------------------------------------------------------------------------- */

#define RING_OWN UINT64_C(0x3fff) /* slot + 1 */
#define RING_SEQ_SHIFT 14

static inline u32 ring_owner(u64 role)
{
	return (u32)(role & RING_OWN);
}

/* ---- the handle ------------------------------------------------------------------------------ */

struct ipk_ring_handle {
	struct ipk_obj obj;
	struct ipk_ring pub; /* what programs have */
	struct ipk_ring_shape g;
	struct ipk_ring_body *b;
	u8 *data;
};

static inline struct ipk_ring_handle *ring_handle(const struct ipk_ring *ring)
{
	return (struct ipk_ring_handle *)(void *)((u8 *)(uintptr_t)ring -
						  offsetof(struct ipk_ring_handle, pub));
}

static inline bool ring_many(const struct ipk_ring_handle *h)
{
	return h->g.flags & IPK_RING_MANY;
}

static inline bool ring_stream(const struct ipk_ring_handle *h)
{
	return h->g.flags & IPK_RING_STREAM;
}

static inline uintptr_t ring_addr(const struct ipk_ring_handle *h, u64 pos)
{
	return (uintptr_t)h->data + ring_at(&h->g, pos);
}

extern const struct ipk_kind ipk_kind_ring;
extern const struct ipk_op ipk_ring_ops[];

/* Measures the body of obj, which is the start of h. */
int ipk_ring_bind(struct ipk_ring_handle *h);

/* ring_role.c. */
int ipk_ring_take_role(struct ipk_ring_handle *h, struct ipk_self *me, enum ipk_ring_role role);
bool ipk_ring_attachable(struct ipk_obj *obj);
int ipk_ring_recover(struct ipk_obj *obj);
void ipk_ring_wake(struct ipk_obj *obj);

/* The low half of the checksum of a message at pos. */
u32 ipk_ring_sum(const void *data, u64 len, u64 pos);

/* ---- waiting (ring_wait.c) ------------------------------------------------------------------- */

/* One attempt without waiting; -EAGAIN: nothing yet. */
typedef int ring_attempt(struct ipk_ring_handle *h, struct ipk_self *me, void *arg);

/*
 * Repeats attempt until it answers something else than -EAGAIN, or the deadline has passed. With
 * IPK_NOWAIT: once.
 */
int ipk_ring_wait(struct ipk_ring_handle *h, u32 *ev, i64 deadline, ring_attempt *attempt,
		  void *arg);

/* Makes shut 2 where it is 1. */
void ipk_ring_settle(struct ipk_ring_handle *h);

/* ---- producing (ring_push.c) ----------------------------------------------------------------- */

/* T and the messages ever pushed, from the hint. -EBADMSG. */
int ipk_ring_find_tail(struct ipk_ring_handle *h, u64 *ret_tail, u64 *ret_count);
/* Fills t for a producer that goes on at T; no room in it yet. -EBADMSG. */
int ipk_ring_start_tx(struct ipk_ring_handle *h, struct ipk_ring_tx *t);

/* ---- consuming (ring_pop.c) ------------------------------------------------------------------ */

int ipk_ring_start_rx(struct ipk_ring_handle *h, struct ipk_ring_rx *c);

#endif
