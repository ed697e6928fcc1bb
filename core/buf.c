/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "buf.h"

int ipk_buf_grow(struct ipk_buf *buf, size_t n)
{
	size_t cap = buf->cap ? buf->cap : 64;
	char *data;

	if (n > (size_t)PTRDIFF_MAX - buf->len)
		return -ENOMEM;
	/* Both below PTRDIFF_MAX, so that doubling cannot wrap. */
	while (cap < buf->len + n)
		cap *= 2;
	data = realloc(buf->data, cap);
	if (!data)
		return -ENOMEM;
	buf->data = data;
	buf->cap = cap;
	return 0;
}

int ipk_buf_add(struct ipk_buf *buf, const void *data, size_t len)
{
	char *p;

	if (len == 0)
		return 0;
	p = ipk_buf_room(buf, len);
	if (!p)
		return -ENOMEM;
	memcpy(p, data, len);
	buf->len += len;
	return 0;
}

int ipk_buf_str(struct ipk_buf *buf, const char *str)
{
	return ipk_buf_add(buf, str, strlen(str));
}

int ipk_buf_printf(struct ipk_buf *buf, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -EINVAL;
	p = ipk_buf_room(buf, (size_t)n + 1);
	if (!p)
		return -ENOMEM;
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	buf->len += (size_t)n;
	return 0;
}

void ipk_buf_free(struct ipk_buf *buf)
{
	free(buf->data);
	*buf = (struct ipk_buf){0};
}
