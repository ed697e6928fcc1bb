/* SPDX-License-Identifier: MIT */
/* Room at the end of a struct ipk_buf, for code that formats in place. */
#ifndef IPK_BUF_H
#define IPK_BUF_H

#include "base/base.h"
#include "ipk/type.h"

/* Makes room for n more bytes. 0 or -ENOMEM; the buffer is as it was on failure. */
int ipk_buf_grow(struct ipk_buf *buf, size_t n);

/* Where the next n bytes go, also when n is 0; the caller adds what it wrote to buf->len. NULL: no
 * memory. */
static inline char *ipk_buf_room(struct ipk_buf *buf, size_t n)
{
	if (ipk_unlikely(!buf->data || buf->cap - buf->len < n) && ipk_buf_grow(buf, n) != 0)
		return NULL;
	return buf->data + buf->len;
}

#endif
