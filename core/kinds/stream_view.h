/* SPDX-License-Identifier: MIT */
/* What a stream holds, read without trust: what the files of the view share. */
#ifndef IPK_KINDS_STREAM_VIEW_H
#define IPK_KINDS_STREAM_VIEW_H

#include "kinds/stream.h"

struct ipk_stream_look {
	const struct ipk_object_view *o;
	struct ipk_stream_shape s;
	u64 first, next, shut;
	void *buf; /* of the record read last */
	u64 room;
};

/* Fills all but buf and room. -EBADMSG. */
int ipk_stream_look(const struct ipk_object_view *o, struct ipk_stream_look *l);

/*
 * The constants that a stream of such elements begins with; opts as the object keeps them. -ERANGE:
 * more than anything can hold.
 */
int ipk_stream_plan(const u64 opts[5], u32 size, struct ipk_stream_body *ret);

/* ---- stream_repair.c ---------------------------------------------------------------------- */

int ipk_stream_repair(const struct ipk_object_view *o, struct ipk_repairer *r);

/* ---- stream_show.c ------------------------------------------------------------------------ */

/* Visits what a derived stream has besides, under these names: its pipeline, how many records of
 * its sources are still to be read, missed, failed. Nothing for one that is not derived. */
int ipk_stream_show_derived(struct ipk_stream_look *l, struct ipk_visitor *v,
			    const char *const names[4]);

#endif
