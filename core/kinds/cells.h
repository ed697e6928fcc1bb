/* SPDX-License-Identifier: MIT */
/*
 * Cells that say who has something: the permits of a semaphore, the readers of a lock.
 *
 * A cell is {seq:49 | P | owner:14}, changed by compare-exchange from its exact value only.
 *
 *	owner 0            free
 *	owner slot + 1     taken by that participant, a thread or a descriptor
 *	owner 0x3fff       taken by nobody
 *	P                  the kind's own: on its way to its owner
 *
 *	free {s,0} --take--> {s+1,owner} --free, or found dead--> {s+1,0}
 *
 * seq counts acquisitions, so every acquisition makes a value that the cell never had: a sweeper
 * who was stopped with {s,x} in hand cannot free what x's successor in that slot has taken since.
 * The sum of all seq is the number of acquisitions ever.
 *
 * LEFT BEHIND BY A DEATH. A cell that names the dead, or none: there is nothing in between. Any
 * number of others may free it.
 */
#ifndef IPK_KINDS_CELLS_H
#define IPK_KINDS_CELLS_H

#include "ipk/kind.h"
#include "segment/segment.h"

#define IPK_CELL_OWNER UINT64_C(0x3fff)
#define IPK_CELL_NOBODY UINT64_C(0x3fff)
#define IPK_CELL_P UINT64_C(0x4000)
#define IPK_CELL_SEQ_SHIFT 15

/* In the mapping; measured once, in private memory. */
struct ipk_cells {
	u8 *base;
	u64 cap;
	u32 shift; /* log2 of the bytes from one to the next */
};

static inline u64 ipk_cell_owner(u64 cell)
{
	return cell & IPK_CELL_OWNER;
}

static inline u64 ipk_cell_taken(u64 cell)
{
	return cell >> IPK_CELL_SEQ_SHIFT;
}

static inline bool ipk_cell_is_free(u64 cell)
{
	return !(cell & (IPK_CELL_OWNER | IPK_CELL_P));
}

static inline u64 *ipk_cell(const struct ipk_cells *c, u64 i)
{
	return (u64 *)(void *)(c->base + (i << c->shift));
}

/* Takes the cell for owner (with or without P) if it is free; *ret_val is what it then holds. */
static inline bool ipk_cell_take(u64 *cell, u64 owner, u64 *ret_val)
{
	u64 v = ipk_ld(cell, relaxed);

	while (ipk_cell_is_free(v)) {
		u64 val = v + (UINT64_C(1) << IPK_CELL_SEQ_SHIFT) +
			  (IPK_BUG(cell_unowned) ? IPK_CELL_NOBODY : owner);

		/*
		 * Acquire: what the last owner did comes before what this one does. seq_cst for who
		 * then looks whether he may keep it.
		 */
		if (ipk_cas(cell, &v, val, seq_cst)) {
			*ret_val = val;
			return true;
		}
	}
	return false;
}

/*
 * Frees the cell if it still holds val. seq_cst: pairs with the fence in ipk_event_arm(); either we
 * see that somebody waits, or he sees the free cell. Release for the next owner.
 */
static inline bool ipk_cell_free(u64 *cell, u64 val)
{
	return ipk_cas(cell, &val, val & ~(IPK_CELL_OWNER | IPK_CELL_P), seq_cst);
}

/* Takes the first that is free from cell i on, around the end. Its index, or cap. */
u64 ipk_cells_take(const struct ipk_cells *c, u64 i, u64 owner, u64 *ret_val);

/* How many are free, at some moment during the call. */
u64 ipk_cells_free(const struct ipk_cells *c);

/*
 * Frees what the dead own; what is on its way (P) is left to the kind. Returns how many; any number
 * may do it at once.
 */
int ipk_cells_mend(struct ipk_segment *seg, const struct ipk_cells *c);

/*
 * Is the owner that a word names dead? His live word tells, or where he has none, his byte, which
 * costs a system call. Load the word before.
 */
bool ipk_owner_gone(struct ipk_segment *seg, u64 owner);

/*
 * The participant of this process that owner is: a thread, or one that ended and left what it had
 * to the process. NULL: none of it. It may end as soon as it holds nothing.
 */
struct ipk_self *ipk_owner_of_process(struct ipk_segment *seg, u64 owner);

/*
 * Frees the cell if it holds val, which names a participant of this process; *ret_self is which, or
 * NULL, and what it holds keeps it from going until ipk_hold_put().
 */
bool ipk_cell_free_of_process(struct ipk_segment *seg, u64 *cell, u64 val,
			      struct ipk_self **ret_self);

/* ---- cells_view.c: reading without trust ---------------------------------------------------- */

struct ipk_cells_at {
	u64 off;
	u64 cap;
	u32 stride; /* a power of two, 8 to 64 */
};

struct ipk_cells_count {
	u64 free, nobody;
	u64 taken; /* ever */
};

/* Calls fn with each cell; non-zero ends it and is returned. */
int ipk_cells_each(const struct ipk_object_view *o, const struct ipk_cells_at *at,
		   int (*fn)(void *arg, u64 i, u64 cell), void *arg);
int ipk_cells_count(const struct ipk_object_view *o, const struct ipk_cells_at *at,
		    struct ipk_cells_count *ret);
/* role NULL: "owner", or "holder" for descriptors. */
int ipk_cells_holders(const struct ipk_object_view *o, const struct ipk_cells_at *at,
		      const char *role, ipk_holder_fn *fn, void *arg);
/* Finds cells whose owner cannot be: what is what one of them is called. */
int ipk_cells_check(const struct ipk_object_view *o, const struct ipk_cells_at *at,
		    const char *what, struct ipk_checker *c);
/* Frees them, in a repair. */
int ipk_cells_repair(const struct ipk_object_view *o, const struct ipk_cells_at *at,
		     const char *what, struct ipk_repairer *r);

#endif
