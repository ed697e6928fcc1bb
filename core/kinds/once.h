/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a once.
 *
 *	body  0    word | ev
 *
 *	word = {seq:48 | DONE | DIED | owner slot + 1:14}, changed by compare-exchange only
 *
 *	{s,0} --begin--> {s+1,me} --done--> {s+1,DONE}
 *	                          --abandon--> {s+1,0}
 *	{s,x}, x dead --begin--> {s+1,DIED,me}   or by the sweep: {s,DIED,0}
 *
 * seq counts how often it was begun, so whoever was stopped with an old word in hand changes
 * nothing. DIED stays until it is done: who begins is told.
 */
#ifndef IPK_KINDS_ONCE_H
#define IPK_KINDS_ONCE_H

#include "ipk/kind.h"
#include "ipk/once.h"
#include "segment/segment.h"

#define IPK_ONCE_OWNER UINT64_C(0x3fff)
#define IPK_ONCE_DIED UINT64_C(0x4000)
#define IPK_ONCE_DONE UINT64_C(0x8000)
#define IPK_ONCE_SEQ_ONE UINT64_C(0x10000)
#define IPK_ONCE_SEQ (~(IPK_ONCE_SEQ_ONE - 1))

struct ipk_once_body {
	u64 word;
	u32 ev; /* event word of those who wait */
	u32 spare0;
	u64 spare1[6];
};

_Static_assert(sizeof(struct ipk_once_body) == 64, "");

struct ipk_once {
	struct ipk_obj obj;
	struct ipk_once_body *body;
	u64 held; /* the word as a descriptor has made it through this handle, or 0; atomic */
};

extern const struct ipk_kind ipk_kind_once;
extern const struct ipk_op ipk_once_ops[];

static inline u64 ipk_once_owner(u64 word)
{
	return word & IPK_ONCE_OWNER;
}

bool ipk_once_attachable(struct ipk_obj *obj);
int ipk_once_recover(struct ipk_obj *obj);
void ipk_once_wake(struct ipk_obj *obj);

#endif
