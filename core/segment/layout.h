/* SPDX-License-Identifier: MIT */
/* Is this a segment, and one that we can read? One answer for those who map and those who read. */
#ifndef IPK_LAYOUT_H
#define IPK_LAYOUT_H

#include "ipk/error.h"
#include "segment/format.h"

/* Sizes and offsets of all format structs, byte order included: other builds refuse each other. */
u32 ipk_layout_signature(void);

/*
 * Checks a private copy of a header. name is for the sentence. file_size was asked for after the
 * copy was made, since the file grows before the header says so. What changes by transactions is
 * only checked for what holds at any instant.
 *   -EPROTO  not a segment, or another format: err says what to do      -EBADMSG  damaged
 */
int ipk_header_check(const struct ipk_header *h, u64 file_size, const char *name,
		     struct ipk_error *err);

#endif
