/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a channel, and why a select does one thing.
 *
 *	body  0    cap size                                 constant
 *	      64   first last count first_offer last_offer  by transactions of the segment
 *	           closed sent received
 *	      128  items | space                            event words: of receivers, of senders
 *
 *	message  {next, pos, len, bytes}                    a value: in the buffer, or an offer's
 *	offer    {next, ring, w, msg}                       a case of somebody who waits
 *
 *	w = {state | dir | owner slot + 1:14}
 *
 * THE BUFFER is the list of messages from first to last, count of them, by ascending pos. sent
 * and received count values; a message's pos is what sent was when it went in.
 *
 * OFFERS are made on rendezvous channels only (cap 0), by who waits there to send (msg is the
 * value) or to receive (msg is 0 until there is one). The offers of one select, on whichever
 * channels, are linked by ring into a circle. All is decided under the segment's lock: who comes
 * with the other half of an offer that is WAITING sets it DONE and all others of the circle
 * WITHDRAWN, in the same transaction that makes his own case, and withdraws what he offers himself.
 * So two selects that could meet in several ways meet in one. Then the owner frees his offers, one
 * by one, each transaction leaving circle and list whole. With a DONE offer to receive he copies
 * the value in the transaction that frees it.
 *
 *	WAITING --its other half comes--> DONE
 *	        --another of the circle, or the owner does something else--> WITHDRAWN
 *	DONE, WITHDRAWN --owner--> freed
 *
 * LEFT BEHIND BY A DEATH. Offers, which name the dead: nobody takes one of a dead owner, and
 * recovery frees them. A value in a DONE offer to receive goes back into the buffer, even of a
 * rendezvous channel, in its place by pos: it was sent and nobody has received it. All else is done
 * by whoever runs the next transaction, or has not happened.
 *
 * WAITING. Receivers sleep on items, senders on space, a select on those of all its cases. On a
 * buffered channel each value wakes one receiver and each value gone one sender; who was woken and
 * did something else passes it on. On a rendezvous channel all wake, since it is about one of them.
 */
#ifndef IPK_KINDS_CHANNEL_H
#define IPK_KINDS_CHANNEL_H

#include "ipk/channel.h"
#include "ipk/kind.h"
#include "segment/segment.h"

#define IPK_CHAN_OFFERS_MAX (UINT32_C(1) << 18) /* every participant in a full select */

#define IPK_CHAN_OWNER UINT64_C(0x3fff)
#define IPK_CHAN_SENDS UINT64_C(0x4000) /* else it receives */
#define IPK_CHAN_STATE_SHIFT 15

enum ipk_chan_state { IPK_CHAN_WAITING = 1, IPK_CHAN_DONE = 2, IPK_CHAN_WITHDRAWN = 3 };

struct ipk_channel_body {
	u64 cap;
	u64 size; /* bytes of an element; 0: variable */
	u64 spare1[6];
	/* 64 */
	u64 first, last; /* messages */
	u64 count;
	u64 first_offer, last_offer;
	u64 closed;
	u64 sent, received;
	/* 128 */
	u32 items;
	u32 space;
	u32 spare2[14];
};

struct ipk_channel_message {
	u64 next;
	u64 pos;
	u64 len;
	u8 bytes[];
};

struct ipk_channel_offer {
	u64 next;
	u64 ring;
	u64 w;
	u64 msg;
};

_Static_assert(sizeof(struct ipk_channel_body) == 192, "");
_Static_assert(offsetof(struct ipk_channel_body, first) == 64, "own line");
_Static_assert(offsetof(struct ipk_channel_body, items) == 128, "own line");
_Static_assert(sizeof(struct ipk_channel_message) == 24, "");
_Static_assert(sizeof(struct ipk_channel_offer) == 32, "");

struct ipk_channel {
	struct ipk_obj obj;
	struct ipk_channel_body *b;
	u64 cap, size;
};

extern const struct ipk_kind ipk_kind_channel;
extern const struct ipk_op ipk_channel_ops[];

static inline unsigned ipk_chan_state(u64 w)
{
	return (unsigned)(w >> IPK_CHAN_STATE_SHIFT & 3);
}

static inline u64 ipk_chan_owner(u64 w)
{
	return w & IPK_CHAN_OWNER;
}

static inline u64 ipk_chan_with_state(u64 w, enum ipk_chan_state state)
{
	return (w & (IPK_CHAN_OWNER | IPK_CHAN_SENDS)) | (u64)state << IPK_CHAN_STATE_SHIFT;
}

/* ---- channel.c ----------------------------------------------------------------------- */

/* The body, or NULL when it is none. */
struct ipk_channel_body *ipk_channel_body(struct ipk_obj *obj);

/* ---- channel_list.c: messages and offers, in a transaction --------------------------- */

struct ipk_channel_message *ipk_channel_message(struct ipk_segment *seg, u64 off);
struct ipk_channel_offer *ipk_channel_offer(struct ipk_segment *seg, u64 off);

/* A new message in no list. Its offset, or 0: tx->error. */
u64 ipk_channel_new_message(struct ipk_tx *tx, const void *value, size_t len, u64 pos);
void ipk_channel_append(struct ipk_tx *tx, struct ipk_channel_body *b, u64 off);
/* Puts a message that was out back into its place. 0 or -EBADMSG. */
int ipk_channel_put_back(struct ipk_tx *tx, struct ipk_channel_body *b, u64 off);
/* Takes the first message out of the list; it stays a block. 0 or -EBADMSG. */
int ipk_channel_unlink_first(struct ipk_tx *tx, struct ipk_channel_body *b);

/* Makes an offer with word w, in the circle of the offer at ring (0: none). Its offset, or 0:
 * tx->error. */
u64 ipk_channel_new_offer(struct ipk_tx *tx, struct ipk_channel_body *b, u64 w, u64 msg, u64 ring);
/* Sets it DONE, and the others of its circle WITHDRAWN. 0 or -EBADMSG. */
int ipk_channel_match(struct ipk_tx *tx, u64 off);
/* Takes it out of its list and its circle, and frees it; not its message. 0 or -EBADMSG. */
int ipk_channel_drop_offer(struct ipk_tx *tx, struct ipk_channel_body *b, u64 off);

/* ---- channel_try.c: one case, in a transaction --------------------------------------- */

struct ipk_channel_choice {
	struct ipk_self *me;
	struct ipk_channel_case *cases;
	unsigned n;
	unsigned start;               /* which case is tried first */
	u64 offer[IPK_CHANNEL_CASES]; /* ours, 0: none */
	/* out */
	unsigned which; /* the case that was done */
	int result;     /* 0, -EPIPE, -EMSGSIZE */
	u32 *wake;      /* event word to be notified after the commit, or NULL */
	int wake_n;
	/* between a transaction and its caller */
	unsigned at;
	u64 made;
};

/*
 * Transactions; arg is the choice. 1: it is decided, see which and result; -EAGAIN not; or an error
 * that ends the select.
 */
int ipk_channel_decide_tx(struct ipk_tx *tx, void *arg);
/* Tries case at alone and else offers it: 0, *made is the offer. */
int ipk_channel_offer_tx(struct ipk_tx *tx, void *arg);
/* 1: it is decided, in our favour; 0: nothing of what we offer will be taken any more. */
int ipk_channel_give_up_tx(struct ipk_tx *tx, void *arg);
/* Frees the offer of case at; receives its value if that is what was decided. */
int ipk_channel_settle_tx(struct ipk_tx *tx, void *arg);

/* ---- channel_mend.c ------------------------------------------------------------------ */

/* A value that was received and could not be delivered goes back. May leave one more than cap in
 * it. */
int ipk_channel_unrecv(struct ipk_channel *ch, const void *value, size_t len, u64 pos);

/* Frees an offer whose owner is no more; what was handed to him goes back. 0 or -EBADMSG. */
int ipk_channel_clear_offer(struct ipk_tx *tx, struct ipk_channel_body *b, u64 off);

bool ipk_channel_attachable(struct ipk_obj *obj);
int ipk_channel_destroy(struct ipk_obj *obj);
int ipk_channel_recover(struct ipk_obj *obj);
void ipk_channel_wake(struct ipk_obj *obj);

/* ---- channel_view.c, channel_check.c, channel_repair.c ------------------------------- */

extern const char *const ipk_channel_stat_names[];
int ipk_channel_look(const struct ipk_object_view *o, struct ipk_channel_body *ret);
/* Calls fn for each offer; -EBADMSG also where they are just being changed. */
int ipk_channel_each_offer(const struct ipk_object_view *o, const struct ipk_channel_body *b,
			   int (*fn)(void *arg, u64 off, const struct ipk_channel_offer *offer),
			   void *arg);
int ipk_channel_inspect(const struct ipk_object_view *o, uint64_t *ret_used, uint64_t *ret_cap);
int ipk_channel_stats(const struct ipk_object_view *o, struct ipk_visitor *v);
int ipk_channel_items(const struct ipk_object_view *o, uint64_t from, uint64_t to, ipk_item_fn *fn,
		      void *arg);
int ipk_channel_item(const struct ipk_object_view *o, const char *key, size_t len, ipk_item_fn *fn,
		     void *arg);
int ipk_channel_holders(const struct ipk_object_view *o, ipk_holder_fn *fn, void *arg);
int ipk_channel_check(const struct ipk_object_view *o, struct ipk_checker *c);
int ipk_channel_repair(const struct ipk_object_view *o, struct ipk_repairer *r);

#endif
