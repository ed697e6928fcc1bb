/* SPDX-License-Identifier: MIT */
/* Between object.c, open.c and reap.c. */
#ifndef IPK_OBJECT_H
#define IPK_OBJECT_H

#include "segment/dir.h"

/*
 * A walk of header.zombies, which a stray write may have made a circle. True at the end: the
 * list's, or where the walk has been before (R. P. Brent, 1980: the mark moves at powers of two).
 */
struct ipk_zombie_walk {
	u64 mark;
	u32 n;
};
static inline bool ipk_zombies_end(struct ipk_zombie_walk *w, u64 at)
{
	if (at == 0 || (w->n && at == w->mark))
		return true;
	if ((w->n & (w->n + 1)) == 0)
		w->mark = at;
	w->n++;
	return false;
}

/* The calling thread's participant, or NULL and an error that says why it may not write. */
struct ipk_self *ipk_writer(struct ipk_segment *seg, int *ret_error, struct ipk_error *err);

struct ipk_locate {
	struct ipk_dir_name name;
	u64 off;
};
/* Finds an object; what a dead writer has left half-applied is finished first when me is given. */
int ipk_obj_locate(struct ipk_segment *seg, struct ipk_self *me, struct ipk_locate *l);

/* me or another participant of the process has just dropped off from uses[]: frees it if it was
 * removed and this was the last. */
void ipk_obj_unlisted(struct ipk_self *me, u64 off);

#endif
