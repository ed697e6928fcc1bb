/* SPDX-License-Identifier: MIT */
/* Mappings that survive the shortening of their file; see ipk_segment_guard(). */
#ifndef IPK_GUARD_H
#define IPK_GUARD_H

#include "base/base.h"

/* head: a struct ipk_header lies at its beginning. Without memory for the note it is unguarded. */
void ipk_guard_add(void *from, u64 len, bool head);
void ipk_guard_drop(void *from); /* before it is unmapped */
bool ipk_guard_lost(void *from); /* whether it was replaced */

#endif
