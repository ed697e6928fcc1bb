/* SPDX-License-Identifier: MIT */
/* Between repair.c and undo.c: a segment whose participants' locks are all held. */
#ifndef IPK_REPAIR_INTERNAL_H
#define IPK_REPAIR_INTERNAL_H

#include <limits.h>

#include "ipk/repair.h"
#include "segment/undo.h"

struct ipk_repair {
	int fd;
	const char *name;
	char undo[PATH_MAX]; /* where the saved bytes lie */
};

/* -EBUSY: somebody is attached or repairs. Release with ipk_repair_end(). */
int ipk_repair_begin(const char *name, struct ipk_repair *rp, struct ipk_error *err);
void ipk_repair_end(struct ipk_repair *rp);

/* Puts back what a repair that was killed half-way had changed. 0, also where there is none. */
int ipk_repair_resume(struct ipk_repair *rp, unsigned flags,
		      void (*did)(void *arg, const char *where, const char *what), void *arg,
		      struct ipk_error *err);

/* fsck.c: as ipk_fsck(), of a segment that nobody else can change: one look says it all. */
int ipk_fsck_copy(struct ipk_view *view, void (*fn)(void *arg, const char *where, const char *what),
		  void *arg, struct ipk_error *err);

#endif
