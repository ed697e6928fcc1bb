/* SPDX-License-Identifier: MIT */
/* What the files of a view share. */
#ifndef IPK_VIEW_INTERNAL_H
#define IPK_VIEW_INTERNAL_H

#include "ipk/view.h"
#include "segment/format.h"

/* A fresh copy of the header up to the journal, which stays zero. */
int ipk_view_header(struct ipk_view *view, struct ipk_header *ret_h);
/*
 * The first len bytes of the object's body. -EBADMSG: it has not so many; else as ipk_view_read().
 */
int ipk_view_body(const struct ipk_object_view *o, void *dst, u64 len);
/* True while a committed change waits in the journal; sees one that came since the last read. */
bool ipk_view_in_flux(struct ipk_view *view);
/* Does the participant list the object at off among what it uses? 1, 0; -ENOENT: there is none. */
int ipk_view_uses_object(struct ipk_view *view, u32 slot, u64 off);
/*
 * The object whose header lies at off, live or removed: for checking. -EBADMSG: its header is not.
 */
int ipk_view_object_at(struct ipk_view *view, u64 off, struct ipk_object_view *ret_object);

#endif
