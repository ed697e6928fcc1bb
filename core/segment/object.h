/* SPDX-License-Identifier: MIT */
/* Between object.c, open.c and reap.c. */
#ifndef IPK_OBJECT_H
#define IPK_OBJECT_H

#include "segment/dir.h"

#define IPK_ZOMBIES_MAX (1u << 20) /* bounds walks of a list that may be a circle */

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
