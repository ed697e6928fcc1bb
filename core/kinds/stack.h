/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a stack, who may change each word, and what a death leaves in it.
 *
 *	body  0    cap stride size            constant
 *	      64   lock                       lock word: all that follows is its owner's to change
 *	      72   top                        {leased:32, n:32}
 *	      80   turn pushed redelivered
 *	      104  items space                event words
 *	      112  shut                       0, then 1 for ever; by anybody
 *	      116  suspect                    1: a dead owner's transaction may wait in the journal
 *	      128  redo                       one change that was decided on, see below
 *	      192  order[cap]                 u32: slot numbers
 *	      ...  slot 0, slot 1, ...        cap times stride bytes, from a multiple of 64 on
 *
 *	slot  0    w                          {turn:44, rdc:6, own:14}
 *	      8    the element, or            fixed size
 *	      8    buf len bytes[40]          variable size, see slot_value.h; stride 64
 *
 *	order[0, n)               the items, bottom first
 *	order[n, cap - leased)    free slots; the next push takes the first of them
 *	order[cap - leased, cap)  means nothing: as many slots have w.own,
 *	                          which says who leased them
 *
 * w is drawn anew, with the next turn, by each push, lease and giving back, so it never returns to
 * a value it had (a slot would have to be used 2^44 times while somebody sleeps over one word of
 * it). own is the participant's slot + 1; who has one there is not on the stack, whatever order
 * says.
 *
 * PUSH fills the slot order[n], stores its w, and then top with n + 1: COMMIT. POP copies and
 * stores top with n - 1: COMMIT. What is done before such a store concerns a free slot alone, so
 * whoever dies before it has done nothing, and nothing is to be mended.
 *
 * LEASE, ACK AND NACK change several words. They are written down in redo first; redo.todo = 1 is
 * COMMIT; then they are stored, and todo becomes 0. Whoever takes the lock from the dead stores
 * them again.
 *
 *	lease   order[n-1] = the last free slot    w = {turn, rdc, me}      top = {leased+1, n-1}
 *	ack     order[cap-leased] = s, free now    w = {turn, rdc, 0}       top = {leased-1, n}
 *	nack    order[cap-leased] = order[n]
 *	        order[n] = s                       w = {turn, rdc+1, 0}     top = {leased-1, n+1}
 *
 * in an order in which an item is on the stack, or leased, or both (then it counts as leased), and
 * never neither: w first, but for nack, where it is last; order of a lease after top, of others
 * before it.
 *
 * BUFFERS are changed by transactions of the segment, within the lock. A dead owner's may have been
 * committed and not stored: suspect says so until a transaction has been run.
 *
 * READERS hold nothing:
 *
 *	turn (acquire); top (acquire): i < n; s = order[i] (acquire); w of s (acquire), own 0; copy
 *	fence (acquire); top: i < n still; order[i] == s; w the same; turn the same
 *
 * Then the copy is of the item w, which was at position i. For no push, lease or giving back drew
 * its turn meanwhile, so that what changed was stored by one that had drawn it before, or was a pop
 * or an ack. If a byte of a later value was copied, the fence makes us see all that its pusher saw
 * before it began to fill the slot (its fence comes first): there the slot was free, and n <= i.
 * Without the turn each look is right at its own time only: over a lease, a giving back and a
 * lease, one of n and one of order agree on a slot that is free.
 *
 * WAITING. Whoever changes something looks at the event word before it gives the lock back, and
 * wakes after that. A waiter sets W first and then tries with the lock: if its turn came before the
 * change, the lock brings W along; if after, it sees the change. No fence is needed. The death of a
 * waker between change and wake is itself a wake (core/segment/wait.c).
 *
 * LEFT BEHIND BY A DEATH, after
 *	the lock        nothing, but that the next one learns of it
 *	COMMIT          of push and pop: nothing. Of others: redo, for the next owner
 *	a lease         w.own: the sweep gives it back, as does who finds the stack empty
 *	shut = 1        nobody woken: as above
 */
#ifndef IPK_KINDS_STACK_H
#define IPK_KINDS_STACK_H

#include "base/copy.h"
#include "ipk/kind.h"
#include "ipk/stack.h"
#include "kinds/slot_value.h"
#include "segment/segment.h"

#define IPK_STACK_VERSION 1u /* of this layout */

/* What slot w and top become, and up to two entries of order. */
struct ipk_stack_change {
	u64 w;
	u64 top;
	u32 slot;
	u32 kind; /* enum ipk_stack_step */
	u32 at[2];
	u32 id[2];
};

enum ipk_stack_step { IPK_STACK_LEASE = 1, IPK_STACK_ACK, IPK_STACK_NACK };

struct ipk_stack_body {
	u64 cap;
	u64 stride; /* bytes from slot to slot */
	u32 size;   /* bytes of an element; 0: variable */
	u32 spare0[11];
	/* 64 */
	u64 lock;
	u64 top;
	u64 turn;        /* the last one drawn */
	u64 pushed;      /* statistics: a death may count one twice or not */
	u64 redelivered; /* the same */
	u32 items;
	u32 space;
	u32 shut;
	u32 suspect;
	u64 spare1;
	/* 128 */
	struct {
		u64 todo; /* 1: change is to be stored */
		struct ipk_stack_change change;
		u64 spare[2];
	} redo;
	/* 192 */
	u32 order[];
};

struct ipk_stack_slot {
	u64 w;
	union {
		u8 fixed[8]; /* size bytes */
		struct ipk_slot_value var;
	};
};

_Static_assert(sizeof(struct ipk_stack_change) == 40, "");
_Static_assert(offsetof(struct ipk_stack_body, lock) == 64, "own line");
_Static_assert(offsetof(struct ipk_stack_body, redo) == 128, "own line");
_Static_assert(sizeof(struct ipk_stack_body) == 192, "");
_Static_assert(sizeof(struct ipk_stack_slot) == 64, "one line");

/* ---- words ----------------------------------------------------------------------------------- */

#define SW_OWN UINT64_C(0x3fff)
#define SW_RDC_SHIFT 14
#define SW_TURN_SHIFT 20

static inline u32 sw_own(u64 w)
{
	return (u32)(w & SW_OWN);
}

static inline u32 sw_rdc(u64 w)
{
	return (u32)(w >> SW_RDC_SHIFT & 63);
}

static inline u64 sw_word(u64 turn, u32 rdc, u32 own)
{
	return turn << SW_TURN_SHIFT | (u64)rdc << SW_RDC_SHIFT | own;
}

/* Is a's turn later than b's? */
static inline bool sw_later(u64 a, u64 b)
{
	return (i64)((a >> SW_TURN_SHIFT << SW_TURN_SHIFT) -
		     (b >> SW_TURN_SHIFT << SW_TURN_SHIFT)) > 0;
}

static inline u32 st_n(u64 top)
{
	return (u32)top;
}

static inline u32 st_leased(u64 top)
{
	return (u32)(top >> 32);
}

static inline u64 st_top(u32 n, u32 leased)
{
	return (u64)leased << 32 | n;
}

/* Items in all, which a damaged word may put above cap. */
static inline u64 st_used(u64 top)
{
	return (u64)st_n(top) + st_leased(top);
}

/* ---- geometry -------------------------------------------------------------------------------- */

struct ipk_stack_geometry {
	u64 cap;
	u64 stride;
	u64 order, slots; /* offsets in the segment */
	u32 size;
};

/* Fills the constant part for cap elements of size bytes; bytes of the body, or 0: too large. */
u64 ipk_stack_layout(u64 cap, u32 size, struct ipk_stack_body *ret_body);
/* -EBADMSG when body (a private copy) is not what ipk_stack_layout() makes, or is cut short. */
int ipk_stack_measure(const struct ipk_stack_body *body, u64 off, u64 len,
		      struct ipk_stack_geometry *ret);

struct ipk_stack {
	struct ipk_obj obj;
	struct ipk_stack_geometry g;
	struct ipk_stack_body *b;
	u8 *slots;
};

static inline struct ipk_stack_slot *s_slot(const struct ipk_stack *s, u32 id)
{
	return (struct ipk_stack_slot *)(void *)(s->slots + id * s->g.stride);
}

/* A value of fixed size into or out of a slot. */
static inline void s_fill(struct ipk_stack_slot *slot, const void *data, size_t len)
{
	u64 word;

	if (ipk_likely(len == 8)) {
		memcpy(&word, data, 8);
		ipk_st((u64 *)(void *)slot->fixed, word, relaxed);
	} else {
		ipk_copy_in(slot->fixed, data, len);
	}
}

static inline void s_copy(void *dst, const void *data, size_t len)
{
	u64 word;

	if (ipk_likely(len == 8)) {
		word = ipk_ld((u64 *)data, relaxed);
		memcpy(dst, &word, 8);
	} else {
		ipk_copy_out(dst, data, len);
	}
}

/* The slot of order[i], i < cap; NULL: damaged. */
static inline struct ipk_stack_slot *s_at(const struct ipk_stack *s, u32 i, u32 *ret_id)
{
	u32 id = ipk_ld(&s->b->order[i], relaxed);

	*ret_id = id;
	return ipk_likely(id < s->g.cap) ? s_slot(s, id) : NULL;
}

extern const struct ipk_kind ipk_kind_stack;
extern const struct ipk_op ipk_stack_ops[];

int ipk_stack_bind(struct ipk_stack *s); /* measures the body of s->obj */
bool ipk_stack_attachable(struct ipk_obj *obj);
int ipk_stack_recover(struct ipk_obj *obj);
int ipk_stack_destroy(struct ipk_obj *obj);
void ipk_stack_wake(struct ipk_obj *obj);

/* ---- stack_lock.c ---------------------------------------------------------------------------- */

/*
 * Takes the lock and finishes what a dead owner left. The deadline is stretched to a second from
 * now. 0; -EAGAIN (IPK_NOWAIT) -ETIMEDOUT -EINTR -ECANCELED -EBADMSG.
 */
int ipk_stack_lock_slow(struct ipk_stack *s, struct ipk_self *me, i64 deadline);

static inline int ipk_stack_lock(struct ipk_stack *s, struct ipk_self *me, i64 deadline)
{
	if (ipk_unlikely(!ipk_lock_free(me, &s->b->lock)))
		return ipk_stack_lock_slow(s, me, deadline);
	if (ipk_likely(!ipk_ld(&s->b->suspect, relaxed) && !ipk_ld(&s->b->redo.todo, relaxed)))
		return 0;
	ipk_unlock(me, &s->b->lock);
	return ipk_stack_lock_slow(s, me, deadline);
}

/* Lock held, as for all that follows. Carries c out, whoever dies when. */
void ipk_stack_carry_out(struct ipk_stack *s, const struct ipk_stack_change *c);

/* The next turn; nobody else gets it, even if we die. */
static inline u64 s_turn(struct ipk_stack *s)
{
	u64 turn = ipk_ld(&s->b->turn, relaxed) + 1;

	ipk_st(&s->b->turn, turn, relaxed);
	return turn;
}

/* Puts leased slot id back on top. */
int ipk_stack_give_back(struct ipk_stack *s, u32 id);
/*
 * Gives back what the dead have leased, the newest lease first. ask: as ipk_dead(). Returns how
 * many; -ENOMEM -EBADMSG.
 */
int ipk_stack_mend(struct ipk_stack *s, bool ask);

/* An answer for who did not want to wait. */
static inline int s_nothing(struct ipk_stack *s)
{
	return ipk_stale(&s->obj) ? -ESTALE : -EAGAIN;
}

/* Looked at with the lock, told of without: see WAITING. */
static inline bool s_sleeps(u32 *ev)
{
	return ipk_unlikely(ipk_ld(ev, relaxed) & IPK_EV_W);
}

#endif
