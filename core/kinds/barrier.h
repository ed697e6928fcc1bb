/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a barrier, and why nobody goes on too early or waits for the dead.
 *
 *	body  0    parties leave                            constant
 *	      64   gen | ev
 *	      128  place 0, place 1, ...                    8 bytes each
 *
 *	gen   = {generation:37 | withdrawals:18 | history:8 | BROKEN}
 *	place = {mark:17 | seq:32 | LEFT | owner:14}        all changed by compare-exchange only
 *
 * mark is the generation in which the place was last arrived in, plus 1 (modulo 2^17). A place has
 * arrived if its mark is this generation's, or if it is LEFT. owner 0: nobody's; 0x3fff: was
 * arrived in in nobody's name; else a party's slot + 1. seq counts changes: no value ever returns.
 *
 *	arrive    place {old mark} --> {mark of g, me}
 *	open      all places have arrived, and not all are LEFT:
 *	          gen {g,w} --> {g+1,0}                                  by anybody who sees it
 *	withdraw  place {mark of g, me} --> {older mark, me}, then gen {g,w} --> {g,w+1}
 *	death     break: gen |= BROKEN, then the place is freed          leave: place --> LEFT
 *	reset     the dead buried, then gen {g,BROKEN} --> {g+1}, noted in history
 *	          not BROKEN and none arrived: place LEFT --> free
 *
 * Arriving and the counting that follows are sequentially consistent: of two who arrive last at
 * least one sees the other, and opens. Opening needs no lock because arrivals do not go away
 * unseen: who withdraws or breaks changes gen as well, so that an opener who looked before fails.
 * If the opener was faster, he who withdraws finds the next generation and was let through after
 * all. Every opening needs an arrival in every place that is not LEFT, so a mark is at most one
 * opening old, and 17 bits are plenty.
 * history tells, for each of the last 8 generations, the latest in bit 0, that it ended by reset,
 * not by opening: for who waited and looks late.
 */
#ifndef IPK_KINDS_BARRIER_H
#define IPK_KINDS_BARRIER_H

#include "ipk/barrier.h"
#include "ipk/kind.h"
#include "segment/segment.h"

#define IPK_BAR_PARTIES_MAX 65535u

#define IPK_BAR_BROKEN UINT64_C(1)
#define IPK_BAR_HISTORY_SHIFT 1
#define IPK_BAR_HISTORY UINT64_C(0xff)
#define IPK_BAR_WITHDRAWN_ONE (UINT64_C(1) << 9)
#define IPK_BAR_WITHDRAWN (UINT64_C(0x3ffff) << 9)
#define IPK_BAR_GEN_SHIFT 27

#define IPK_PLACE_OWNER UINT64_C(0x3fff)
#define IPK_PLACE_NOBODY UINT64_C(0x3fff)
#define IPK_PLACE_LEFT UINT64_C(0x4000)
#define IPK_PLACE_SEQ_SHIFT 15
#define IPK_PLACE_MARK_SHIFT 47
#define IPK_PLACE_MARK UINT64_C(0x1ffff)

struct ipk_barrier_body {
	u64 parties;
	u32 leave; /* 1: the dead leave; 0: they break it */
	u32 spare0;
	u64 spare1[6];
	/* 64 */
	u64 gen;
	u32 ev; /* event word of those who wait */
	u32 spare2[13];
	/* 128: places */
};

_Static_assert(sizeof(struct ipk_barrier_body) == 128, "");
_Static_assert(offsetof(struct ipk_barrier_body, gen) == 64, "own line");

struct ipk_bar_shape {
	struct ipk_barrier_body *body;
	u64 *place;
	u32 parties;
	bool leave;
};

struct ipk_barrier {
	struct ipk_obj obj;
	struct ipk_bar_shape s;
	u32 where[64]; /* by tix: the place it had last; a hint */
};

extern const struct ipk_kind ipk_kind_barrier;
extern const struct ipk_op ipk_barrier_ops[];

static inline u64 ipk_bar_gen(u64 gen)
{
	return gen >> IPK_BAR_GEN_SHIFT;
}

static inline u64 ipk_place_owner(u64 place)
{
	return place & IPK_PLACE_OWNER;
}

/* Has the place arrived in generation g? */
static inline bool ipk_place_arrived(u64 place, u64 g)
{
	return place & IPK_PLACE_LEFT ||
	       (ipk_place_owner(place) &&
		place >> IPK_PLACE_MARK_SHIFT == ((g + 1) & IPK_PLACE_MARK));
}

/* What follows old in a place: mark says generation g has arrived, or with g - 1, has not. */
static inline u64 ipk_place_next(u64 old, u64 g, u64 owner)
{
	u64 seq = (old >> IPK_PLACE_SEQ_SHIFT) + 1;

	return ((g + 1) & IPK_PLACE_MARK) << IPK_PLACE_MARK_SHIFT |
	       (seq & UINT64_C(0xffffffff)) << IPK_PLACE_SEQ_SHIFT | owner;
}

/*
 * Arrives in place i with owner if nobody else has it in generation g, and g has not ended: who was
 * stopped since it read gen finds either that, or that the place is no longer what it was then.
 * left: only if the dead left it, else only if not: who thinks that it is free may be late.
 */
bool ipk_bar_take(const struct ipk_bar_shape *s, u32 i, u64 owner, u64 g, bool left);

bool ipk_barrier_attachable(struct ipk_obj *obj);
int ipk_barrier_recover(struct ipk_obj *obj);
void ipk_barrier_wake(struct ipk_obj *obj);

#endif
