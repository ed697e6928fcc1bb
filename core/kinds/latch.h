/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a latch.
 *
 *	body  0    count                                    constant: what reset restores
 *	      64   word | ev
 *
 *	word = {resets:31 | OPENED | left:32}, changed by compare-exchange only
 *
 *	{g,left} --count down--> {g,left-1} --> ... {g,0} --reset--> {g+1,OPENED,count}
 *	                                        {g,left>0} --reset--> {g+1,count}
 *
 * OPENED says of the run before that it ended open: who waited in it and looks only now is let
 * through.
 */
#ifndef IPK_KINDS_LATCH_H
#define IPK_KINDS_LATCH_H

#include "ipk/kind.h"
#include "ipk/latch.h"
#include "segment/segment.h"

#define IPK_LATCH_LEFT UINT64_C(0xffffffff)
#define IPK_LATCH_OPENED (UINT64_C(1) << 32)
#define IPK_LATCH_RESET_ONE (UINT64_C(1) << 33)

struct ipk_latch_body {
	u64 count;
	u64 spare1[7];
	/* 64 */
	u64 word;
	u32 ev; /* event word of those who wait */
	u32 spare2[13];
};

_Static_assert(sizeof(struct ipk_latch_body) == 128, "");
_Static_assert(offsetof(struct ipk_latch_body, word) == 64, "own line");

struct ipk_latch {
	struct ipk_obj obj;
	u64 count;
	struct ipk_latch_body *body;
};

extern const struct ipk_kind ipk_kind_latch;

#endif
