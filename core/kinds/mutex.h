/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a mutex.
 *
 *	body  0    recursive                                constant
 *	      64   word | ev | depth
 *
 *	word = {seq:47 | LOST | DIED | FD | owner slot + 1:14}, changed by compare-exchange only
 *
 *	{s,0} --lock--> {s+1,me} --unlock--> {s+1,0}
 *	{s,x}, x dead --lock--> {s+1,DIED,me}    or by the sweep: {s,DIED,0}
 *	{s,FD,x}, x closed --> {s,0}
 *	{s,DIED,0} --lock--> {s+1,DIED,me} --consistent--> {s+1,me}
 *	{s,DIED,me} --unlock--> {s,LOST,0} --reset--> {s,0}
 *
 * seq counts acquisitions, so whoever was stopped with an old word in hand changes nothing. DIED stays
 * until consistent or LOST: a second death cannot hide the first. depth belongs to the owner alone, who
 * sets it after having locked, so it needs no mending.
 */
#ifndef IPK_KINDS_MUTEX_H
#define IPK_KINDS_MUTEX_H

#include "ipk/kind.h"
#include "ipk/mutex.h"
#include "segment/segment.h"

#define IPK_MTX_OWNER UINT64_C(0x3fff)
#define IPK_MTX_FD UINT64_C(0x4000)
#define IPK_MTX_DIED UINT64_C(0x8000)
#define IPK_MTX_LOST UINT64_C(0x10000)
#define IPK_MTX_SEQ_ONE UINT64_C(0x20000)
#define IPK_MTX_SEQ (~(IPK_MTX_SEQ_ONE - 1))

struct ipk_mutex_body {
	u32 recursive;
	u32 spare0;
	u64 spare1[7];
	/* 64 */
	u64 word;
	u32 ev; /* event word of those who wait */
	u32 depth; /* how often its owner has locked it */
	u64 spare2[6];
};

_Static_assert(sizeof(struct ipk_mutex_body) == 128, "");
_Static_assert(offsetof(struct ipk_mutex_body, word) == 64, "own line");

struct ipk_mutex {
	struct ipk_obj obj;
	bool recursive;
	struct ipk_mutex_body *body;
};

extern const struct ipk_kind ipk_kind_mutex;
extern const struct ipk_op ipk_mutex_ops[];

static inline u64 ipk_mutex_owner(u64 word)
{
	return word & IPK_MTX_OWNER;
}

bool ipk_mutex_attachable(struct ipk_obj *obj);
int ipk_mutex_recover(struct ipk_obj *obj);
void ipk_mutex_wake(struct ipk_obj *obj);

#endif
