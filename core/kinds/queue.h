/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a queue, who may change each word, and what a death leaves in it.
 *
 *	body  0    cap stride size                constant
 *	      64   shut                           0, then 1 for ever
 *	      72   skipped redelivered            counters for people, added to on slow paths
 *	      128  tail                           hint
 *	      256  head                           hint
 *	      264  rd                             {count:63, pend:1}
 *	      384  items                          event word: something to take, or shut
 *	      512  space                          event word: room to push, or shut
 *	      640  slot 0, slot 1, ...            cap times stride bytes
 *
 *	slot  0    w                              {lap:41, burst:1, st:2, rdc:6, own:14}
 *	      8    the element, or                fixed size
 *	      8    buf len bytes[40]              variable size, see slot_value.h; stride 64
 *
 * WORDS. Position p lies in slot p % cap and belongs to lap p / cap. w says what became of it:
 *
 *	FREE    {lap,FREE,0,0}        position lap * cap + i has not been given out; all earlier ones
 *	                              of this slot are done with
 *	SEAL    {lap,FREE,0,NONE}     as FREE, and it never will be
 *	WR      {lap,WR,0,own}        own is writing the item of this position
 *	FULL    {lap,FULL,rdc,0}      an item waits; taken rdc times before
 *	LEASED  {lap,FULL,rdc,own}    own has it and will acknowledge it or give it back
 *	TAKEN   {lap,TAKEN,rdc,own}   own is copying it and will acknowledge it
 *	BURST   {lap,1,st,n-1,own}    own has claimed n positions at once, see BURSTS
 *
 *	transition                by            how, and what for
 *	FREE -> WR                producer      CAS: the claim of the position
 *	WR -> FULL                owner         store, release: the push is acknowledged
 *	WR -> {lap+1,FREE}        owner         store: gives up (no space); or, owner dead, anybody: CAS
 *	FULL -> TAKEN, LEASED     consumer      CAS
 *	TAKEN -> {lap+1,FREE}     owner         store, release: acknowledged
 *	LEASED -> {lap+1,FREE}    owner         CAS: acknowledged
 *	LEASED -> {lap,FULL,+1}   owner         CAS: given back, then rd
 *	TAKEN, LEASED -> FULL,+1  owner dead: anybody, CAS, then rd
 *	lap -> lap+1 of LEASED or FULL with rdc > 0
 *	                          producer      CAS: moves up, see below
 *	FREE -> SEAL              consumer      CAS: shut, and everything before was taken
 *
 * So every claim names its owner in the same compare-exchange, and w never returns to a value it
 * had: within a lap each of FREE, WR, FULL, TAKEN is passed once, but for giving back, which
 * changes rdc. (A burst's words lie between those, each once.)
 * rdc goes 0..63 and then 32..63 again and again: a consumer would have to stop between its load
 * and its compare-exchange while the same item is taken 32 times to be fooled, and by the same
 * owner id. Laps wrap after 2^41; they are compared by the sign of their difference, so it takes a
 * process that stops for 2^40 laps in the middle of an operation (with cap 1 and 20 M items/s: half
 * a day).
 *
 * tail and head are plain hints, stored by who claimed or took; a stopped process may store an old
 * one at any time. They are never ahead of the truth. After the last slot they may name one more,
 * which stands for the first of the next lap. T, the next position to be given out, and the truth
 * about each position are in the slots alone. What makes walking from an old hint right:
 *
 *	(1) Positions are given out without a gap: p is claimed, or made void by moving an item up,
 *	    only when p-1 has been. For a producer reads p only after it has seen that in p-1's
 *	    slot.
 *	(2) If q has been given out, all positions up to q - cap have been taken once or are void:
 *	    q's slot had to be done with q - cap, or to hold a once taken item; by (1) the same goes
 *	    for q-1.
 *	(3) A consumer passes a position only when it has been taken or is void; none is passed that
 *	    holds an item never taken. So an item not yet taken lies at or after every head hint.
 *
 * A word {lap,FREE} tells a producer that T > (lap-1) * cap + i, any other word that T > lap * cap
 * + i: it goes on from there, or behind all n of a burst. A consumer may skip less: FREE's last
 * position may be void without those before it having been taken (its producer died), so by (2) all
 * up to (lap-2) * cap + i are passed; other words: all up to (lap-1) * cap + i.
 *
 * MOVING UP. A producer at T finds the slot occupied by the lap before. FULL with rdc 0 or WR: the
 * queue is full. LEASED, or FULL with rdc > 0: the item may stay for minutes and must not be in the
 * way. The producer looks further until it finds a slot {lap,FREE}; if there is one, it adds one
 * lap to each of the words in between: those positions become void, and their items count as items
 * of the new lap (2 holds, since each of them had been taken once). If there is none, every slot
 * holds something: full, and no position is spent on it. The owner's acknowledgement accepts any
 * lap. After it the slot is free for a position that may lie behind occupied ones: until T has come
 * there, at most one lap, the queue is full with one item less. So taking a lease, and a push that
 * brings T on, can make room for a producer that sleeps: they look at space as well.
 *
 * GIVEN BACK items lie behind head. rd.pend tells consumers to look at all slots for FULL with rdc
 * > 0 before they go on at head. rd = {count+1, pend 1} after each giving back; a consumer that
 * found none clears pend by CAS from the exact value. If the giver dies in between: whoever is
 * swept has rd set at the end of its sweep, always; and consumers and producers that meet such an
 * item set it as well.
 *
 * SHUT. A consumer that finds {lap,FREE} at head in a shut queue seals it. By (1) nothing can be
 * pushed any more; what a slow producer claimed before lies before the seal. The end is reported at
 * the seal only, and only when no slot is TAKEN or LEASED.
 *
 * BURSTS. Elements of a fixed size can be claimed up to 64 at once, by one compare-exchange. The
 * first position p, the HEAD of the burst, gets a word that stands for all n; the words of the
 * others, its MEMBERS, stay as they are meanwhile. They lie side by side in the array: n <= cap -
 * i, one lap.
 *
 *	WR burst       own is writing n items                members FREE, then FULL
 *	TAKEN burst    own is copying n items                members FULL with rdc 0
 *	FREE burst     acknowledged, or void: all are done   members FREE or FULL, then {lap+1,FREE}
 *	FULL burst     own died as TAKEN: all come again     members FULL with rdc 0, then FULL with 1
 *
 *	FREE -> WR burst          producer      CAS of p; its members were FREE after p was loaded
 *	WR burst -> FULL          owner         stores, release: the members from the last to the first, then p
 *	FULL, rdc 0 -> TAKEN burst  consumer    CAS of p; its members were FULL, rdc 0, after p was loaded
 *	TAKEN -> FREE burst       owner         store of p, release: all n are acknowledged
 *	FREE burst -> {lap+1,FREE}  owner       stores: the members from the last to the first, then p, release
 *	owner dead: anybody       WR -> FREE burst, TAKEN -> FULL burst: CAS of p, which decides; then each
 *				  member from the last to the first, then p, to {lap+1,FREE} or FULL
 *				  with rdc 1: CAS
 *
 * Between the look at the members and the compare-exchange of p nothing happens to them: while p is
 * FREE nobody can be given p+1 by (1), nor seal it; while p is an item never taken nobody has
 * passed it by (3), and what was never taken does not move up. And p's word never comes back.
 *
 * Nobody is ever in the middle of a burst: who meets p as a burst goes on at p+n, or waits at p.
 * Who sees p when it is none any more has to see its members done as well, for p+1 is where he goes
 * next: a FREE member behind a FULL p would be claimed again, a FULL one behind a freed p taken
 * again. Hence p last. The same for a producer who comes upon a member from an older position:
 * behind one that is given out lie only such, hence from the last to the first. Who comes upon one
 * that still looks FREE goes back and walks (gallop). Hints lie between claims, so never within
 * one.
 *
 * The first compare-exchange of mending fails when the owner has got further before he died. From
 * then on the outcome is fixed, and any number of menders, also late ones, do the same: a member
 * that is FREE or FULL with rdc 0 in this lap belongs to that burst, and once it is neither it
 * never is again.
 *
 * BUFFERS. buf is changed by transactions alone, of the WR owner. If that dies after the commit,
 * the word may still be on its way from the journal when the slot has its next owner: so who is
 * about to use buf makes sure that the journal is empty, or was emptied since.
 *
 * WAITING. push and pop store no fence between what they change and their look at the event word:
 * the claiming compare-exchange is one. A consumer that sleeps saw, after it had set W, FREE: then
 * every claim of that slot comes later and its owner sees W; or WR: then it sleeps in short slices,
 * because the owner may have looked already. The same holds for producers with FULL and TAKEN.
 *
 * LEFT BEHIND BY A DEATH, after
 *	FREE -> WR         WR: mended to {lap+1,FREE}, an empty position; the tail hint is one short
 *	the payload        the same
 *	WR -> FULL         the item; a waiter was not woken: its sleep watches our live word
 *	FULL -> TAKEN      mended to FULL, rdc + 1; the head hint is one short
 *	the copy           the same: delivered again
 *	TAKEN -> FREE      nothing; space not told of, as above
 *	WR burst           as WR, all n: no member of it was ever seen by a consumer, who waits at p
 *	TAKEN burst        as TAKEN, all n
 *	FREE burst         mended to {lap+1,FREE}, all n
 *	giving back        rd not set: by the sweep
 *	moving up          fewer positions void; nothing to mend
 *	shut = 1           nobody woken: as above
 */
#ifndef IPK_KINDS_QUEUE_H
#define IPK_KINDS_QUEUE_H

#include "ipk/kind.h"
#include "ipk/queue.h"
#include "ipk/queue_fast.h"
#include "kinds/slot_value.h"
#include "segment/segment.h"

/* struct ipk_queue_body: ipk/queue_fast.h */
#define IPK_QUEUE_VERSION 2u /* of this layout */

struct ipk_queue_slot {
	u64 w;
	union {
		u8 fixed[1]; /* size bytes */
		struct ipk_slot_value var;
	};
};

_Static_assert(offsetof(struct ipk_queue_body, shut) == 64, "own line");
_Static_assert(offsetof(struct ipk_queue_body, tail) == 128, "own line");
_Static_assert(offsetof(struct ipk_queue_body, head) == 256, "own line");
_Static_assert(offsetof(struct ipk_queue_body, items) == 384, "own line");
_Static_assert(offsetof(struct ipk_queue_body, space) == 512, "own line");
_Static_assert(sizeof(struct ipk_queue_body) == 640, "");
_Static_assert(sizeof(struct ipk_queue_slot) == 64, "one line");
_Static_assert(offsetof(struct ipk_queue_slot, var.bytes) == 24, "");
_Static_assert(offsetof(struct ipk_queue_slot, fixed) == 8, "right behind the word");
_Static_assert(IPK_QUEUE_SLEEPER == IPK_EV_W, "");
_Static_assert(IPK_SLOTS_MAX <= IPK_QUEUE_OWN, "");

/* ---- words ----------------------------------------------------------------------------------- */

#define QW_OWN IPK_QUEUE_OWN
#define QW_RDC_SHIFT 14
#define QW_RDC IPK_QUEUE_RDC
#define QW_ST_SHIFT IPK_QUEUE_ST_SHIFT
#define QW_ST(st) IPK_QUEUE_ST(st)
#define QW_LAP_SHIFT IPK_QUEUE_LAP_SHIFT
#define QW_LAP (UINT64_C(1) << QW_LAP_SHIFT) /* one lap */
#define QW_SEAL QW_OWN                       /* in FREE */
#define QW_BURST IPK_QUEUE_BURST
#define QUEUE_BURST_MAX 64u

static inline enum ipk_queue_state qw_st(u64 w)
{
	return (enum ipk_queue_state)(w >> QW_ST_SHIFT & 3);
}

static inline u32 qw_rdc(u64 w)
{
	return (u32)(w >> QW_RDC_SHIFT & 63);
}

static inline u32 qw_own(u64 w)
{
	return (u32)(w & QW_OWN);
}

/* FREE or SEAL: the position has not been given out. */
static inline bool qw_free(u64 w)
{
	return !(w & (QW_BURST | QW_ST(3)));
}

/* All of a burst is done with, but not yet free. */
static inline bool qw_freeing(u64 w)
{
	return (w & (QW_BURST | QW_ST(3))) == QW_BURST;
}

/* The positions that w stands for, from its own on. */
static inline u32 qw_span(u64 w)
{
	return w & QW_BURST ? qw_rdc(w) + 1 : 1;
}

/* Makes of what w is marked with a claim of n positions. */
static inline u64 qw_burst(u64 w, u32 n)
{
	return n > 1 ? w | QW_BURST | (u64)(n - 1) << QW_RDC_SHIFT : w;
}

/* {lap,FREE} of the same lap. */
static inline u64 qw_lap(u64 w)
{
	return w & ~(QW_LAP - 1);
}

/* How many laps w is ahead of base, a {lap,FREE}; modulo 2^41, signed. */
static inline i64 qw_ahead(u64 w, u64 base)
{
	return (i64)(w - base) >> QW_LAP_SHIFT;
}

/* LEASED or TAKEN */
static inline bool qw_held(u64 w)
{
	return qw_st(w) >= IPK_QUEUE_FULL && qw_own(w);
}

/* FULL, and was taken before */
static inline bool qw_back(u64 w)
{
	return qw_st(w) == IPK_QUEUE_FULL && !(w & QW_BURST) && !qw_own(w) && qw_rdc(w);
}

/*
 * The words of slots one after the other with the bursts taken apart: each as it would be if its
 * position had been claimed by itself, and what a mender has decided as if it were done.
 */
struct qw_apart {
	u64 head;
	u32 left; /* members that are still to come */
};
u64 ipk_queue_apart(struct qw_apart *a, u64 w);

/* One of the words of the table above; and rd as it is after an item was given back. */
bool ipk_queue_legal(u64 w);
u64 ipk_queue_given_back(u64 w);
/* Can w be a member of the burst that head stands for? See BURSTS. */
bool ipk_queue_member(u64 head, u64 w);

static inline u64 qrd_pend(u64 rd)
{
	return ((rd >> 1) + 1) << 1 | 1;
}

/* ---- geometry and positions ------------------------------------------------------------------ */

/*
 * A position's CODE is {lap, slot index} with as many low bits for the index as cap needs: with a
 * power of two it is the position itself. Codes are ordered as positions are, and lap and slot come
 * out of them without a division.
 */
struct ipk_queue_geometry {
	u64 cap;
	u64 mask; /* of a code's index */
	u64 stride;
	u64 slots; /* offset in the segment */
	u32 bits;  /* of a code's index */
	u32 size;
	u32 small; /* size, where the fast paths copy it by a move or two; else UINT32_MAX */
};

/* Fills the constant part for cap elements of size bytes; bytes of the body, or 0: too large. */
u64 ipk_queue_layout(u64 cap, u32 size, struct ipk_queue_body *ret_body);
/* -EBADMSG when body (a private copy) is not what ipk_queue_layout() makes, or is cut short. */
int ipk_queue_measure(const struct ipk_queue_body *body, u64 off, u64 len,
		      struct ipk_queue_geometry *ret);

static inline u64 qc_index(const struct ipk_queue_geometry *g, u64 code)
{
	return code & g->mask;
}

/* {lap,FREE} of the code's lap */
static inline u64 qc_base(const struct ipk_queue_geometry *g, u64 code)
{
	return code >> g->bits << QW_LAP_SHIFT;
}

static inline u64 qc_next(const struct ipk_queue_geometry *g, u64 code)
{
	code++;
	if (ipk_unlikely((code & g->mask) == g->cap)) /* never where cap is a power of two */
		code = (code | g->mask) + 1;
	return code;
}

/* What a hint says: it may name the slot behind the last, or any when it is damaged. */
static inline u64 qc_hint(const struct ipk_queue_geometry *g, u64 code)
{
	return ipk_likely((code & g->mask) < g->cap) ? code : (code | g->mask) + 1;
}

/* n positions further; n <= cap */
static inline u64 qc_add(const struct ipk_queue_geometry *g, u64 code, u64 n)
{
	u64 index = qc_index(g, code) + n;

	code &= ~g->mask;
	return index < g->cap ? code | index : (code | (index - g->cap)) + g->mask + 1;
}

/* Behind the positions that w, the word of code's slot, stands for. */
static inline u64 qc_after(const struct ipk_queue_geometry *g, u64 code, u64 w)
{
	u64 n = qw_span(w), most = g->cap - qc_index(g, code);

	return ipk_likely(n == 1) ? qc_next(g, code) : qc_add(g, code, n < most ? n : most);
}

static inline u64 qc_pos(const struct ipk_queue_geometry *g, u64 code)
{
	return (code >> g->bits) * g->cap + qc_index(g, code);
}

/* The code of word w of slot i, where near is the code of a position that is not far. */
static inline u64 qc_of(const struct ipk_queue_geometry *g, u64 w, u64 i, u64 near)
{
	u64 lap = (near >> g->bits) + (u64)qw_ahead(w, qc_base(g, near));

	return lap << g->bits | i;
}

/* ---- the handle ------------------------------------------------------------------------------ */

struct ipk_queue {
	struct ipk_obj obj;
	struct ipk_queue_geometry g;
	struct ipk_queue_body *b;
	u8 *slots;
	/*
	 * How far this process has looked for given back items under the same value of rd: a memory
	 * of the slow path alone. One thread at a time uses it, the others look at everything.
	 */
	struct {
		u32 busy;
		u64 rd, at, left;
	} scan;
};

static inline struct ipk_queue_slot *q_slot(const struct ipk_queue *q, u64 i)
{
	return (struct ipk_queue_slot *)(void *)(q->slots + i * q->g.stride);
}

_Static_assert(sizeof(struct ipk_queue_fast) <= offsetof(struct ipk_obj, seg), "they overlay");

/* What the fast paths read of the handle. */
static inline struct ipk_queue_fast *q_fast(struct ipk_queue *q)
{
	return (struct ipk_queue_fast *)(void *)q;
}

extern const struct ipk_kind ipk_kind_queue;
extern const struct ipk_op ipk_queue_ops[];

/* Measures the body of obj, which is the start of q. */
int ipk_queue_bind(struct ipk_queue *q);
bool ipk_queue_attachable(struct ipk_obj *obj);
int ipk_queue_recover(struct ipk_obj *obj);
int ipk_queue_destroy(struct ipk_obj *obj);
void ipk_queue_wake(struct ipk_obj *obj);

/* ---- slow paths ------------------------------------------------------------------------------ */

/*
 * As -EAGAIN, but a living process is in the middle of a push or pop there, and may have looked at
 * the event word before we set W in it.
 */
#define QUEUE_BUSY (-EBUSY)
#define QUEUE_RETRY 1 /* among the slow paths: something changed, look again */

/*
 * The steps after which a walk says that what it sees cannot be: each either sees a change by
 * somebody else or goes on by one position of a lap that is behind.
 */
static inline u64 ipk_queue_walk(const struct ipk_queue_geometry *g)
{
	return 8 * g->cap + (UINT64_C(1) << 20);
}

/*
 * queue_claim.c. Claims the next position: *ret_code is ours as WR. *n: at most so many positions,
 * up to QUEUE_BURST_MAX and with elements of a fixed size alone; then how many. -EAGAIN QUEUE_BUSY
 * -EPIPE -EBADMSG.
 */
int ipk_queue_claim(struct ipk_queue *q, struct ipk_self *me, u64 *ret_code, u32 *n);
/* T: the tail hint, carried forward. */
u64 ipk_queue_tail(struct ipk_queue *q);
/* Would a claim succeed, maybe by moving items up? */
bool ipk_queue_room(struct ipk_queue *q);

/*
 * queue_take.c. Takes the oldest item: adds mark to its word. limit: its longest length (variable
 * size), else UINT64_MAX. *n: at most so many, as in ipk_queue_claim(); only to be TAKEN. -EAGAIN
 * QUEUE_BUSY -EPIPE
 * -EMSGSIZE -EBADMSG.
 */
int ipk_queue_take(struct ipk_queue *q, u64 mark, u64 limit, struct ipk_queue_taken *ret, u32 *n);

/* The item that would be taken next. -EAGAIN -EPIPE -EBADMSG. */
int ipk_queue_find(struct ipk_queue *q, struct ipk_queue_taken *ret);

/* queue_mend.c. Does w name an owner that is dead? */
bool ipk_queue_orphan(struct ipk_queue *q, u64 w);
/* Then makes it good, if it still is w. */
void ipk_queue_mend(struct ipk_queue *q, struct ipk_queue_slot *s, u64 w);
/* WR of our own becomes an empty position. */
void ipk_queue_give_up(struct ipk_queue *q, struct ipk_queue_slot *s, u64 base);
/* After an item was given back. */
void ipk_queue_pend(struct ipk_queue *q);

/* ---- waiting (queue_wait.c) ------------------------------------------------------------------ */

static inline bool queue_again(int r)
{
	return r == -EAGAIN || r == QUEUE_BUSY;
}

/* One attempt without waiting; >= 0: done. */
typedef int queue_attempt(struct ipk_queue *q, struct ipk_self *me, void *arg);

/*
 * Wakes a producer that sleeps although there is room, if there is: see MOVING UP. After a seq_cst
 * read-modify-write of a slot.
 */
static inline void queue_tell_room(struct ipk_queue *q)
{
	if (ipk_unlikely(ipk_ld(&q->b->space, seq_cst) & IPK_EV_W) && ipk_queue_room(q))
		ipk_event_notify_slow(&q->b->space, 1);
}

/*
 * Repeats attempt until it is done, fails for good, or the deadline has passed. ev: items or space.
 */
int ipk_queue_wait(struct ipk_queue *q, struct ipk_self *me, u32 *ev, i64 deadline,
		   queue_attempt *attempt, void *arg);

/* ---- values (queue_value.c) ------------------------------------------------------------------ */

/* Where the value of a FULL or held slot lies; NULL: damaged. */
const void *ipk_queue_value(struct ipk_queue *q, struct ipk_queue_slot *s, u64 *ret_len);
/*
 * queue_burst.c. Copies the elements of n positions that are ours as WR, and publishes them; of n
 * that are ours as TAKEN, side by side to buf, and acknowledges them.
 */
void ipk_queue_put_run(struct ipk_queue *q, u64 code, const struct iovec *values, u32 n);
void ipk_queue_get_run(struct ipk_queue *q, struct ipk_self *me, u64 code, void *buf, u32 n);
/* Stores a value of variable size in a slot that is ours as WR. -ENOSPC -EBADMSG -ETIMEDOUT ... */
int ipk_queue_store(struct ipk_queue *q, struct ipk_self *me, struct ipk_queue_slot *s,
		    const void *data, u64 len, i64 deadline);

#endif
