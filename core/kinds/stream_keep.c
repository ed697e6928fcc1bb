/* SPDX-License-Identifier: MIT */
/* Values that an operator keeps: see stream_pipe.h. */
#include <stdlib.h>

#include "buf.h"
#include "kinds/stream_pipe.h"

static void *grow(void *old, u64 *room, u64 want, size_t each)
{
	u64 n = *room ? *room : 64;
	void *more;

	while (n < want)
		n *= 2;
	more = realloc(old, n * each);
	if (more)
		*room = n;
	return more;
}

/* Room for len more bytes and one more value; what was dropped is used again first. */
static int reserve(struct ipk_pipe_values *v, size_t len)
{
	void *more;

	if (v->to + len > v->room && v->from > v->to - v->from) {
		memmove(v->data, v->data + v->from, v->to - v->from);
		v->to -= v->from;
		v->from = 0;
	}
	if (v->to + len > v->room || !v->data) {
		more = grow(v->data, &v->room, v->to + len, 1);
		if (!more)
			return -ENOMEM;
		v->data = more;
	}
	if (v->n == v->ends_room) {
		more = grow(v->ends, &v->ends_room, v->n + 1, sizeof(*v->ends));
		if (!more)
			return -ENOMEM;
		v->ends = more;
	}
	return 0;
}

int ipk_values_push(struct ipk_pipe_values *v, const void *data, size_t len, u32 size)
{
	int r = reserve(v, len);

	if (r < 0)
		return r;
	if (len)
		memcpy(v->data + v->to, data, len);
	v->to += len;
	if (!size)
		v->ends[v->n] = v->to; /* from is 0 */
	v->n++;
	return 0;
}

void ipk_values_drop(struct ipk_pipe_values *v, u64 n, u32 size)
{
	u64 gone;

	if (n >= v->n) {
		v->n = v->from = v->to = 0;
	} else if (n && size) {
		v->from += n * size;
		v->n -= n;
	} else if (n) {
		gone = v->ends[n - 1];
		memmove(v->data, v->data + gone, v->to - gone);
		v->to -= gone;
		v->n -= n;
		for (u64 i = 0; i < v->n; i++)
			v->ends[i] = v->ends[i + n] - gone;
	}
}

const u8 *ipk_values_at(const struct ipk_pipe_values *v, u64 i, u32 size, size_t *ret_len)
{
	u64 from = size ? v->from + i * size : i ? v->ends[i - 1] : 0;

	*ret_len = size ? size : v->ends[i] - from;
	return v->data + from;
}

int ipk_values_save(const struct ipk_pipe_values *v, u32 size, struct ipk_buf *out)
{
	static const u8 zero[8];
	u64 len = v->to - v->from;
	int r = 0;

	if (!size && v->n)
		r = ipk_buf_add(out, v->ends, v->n * sizeof(*v->ends));
	if (r == 0 && len)
		r = ipk_buf_add(out, v->data + v->from, len);
	return r == 0 ? ipk_buf_add(out, zero, -len & 7) : r;
}

i64 ipk_values_load(struct ipk_pipe_values *v, u64 n, u32 size, const u8 *saved, size_t len)
{
	u64 at = size ? 0 : n * 8, from, to = 0, bytes;
	int r = 0;

	v->n = v->from = v->to = 0;
	if (n > len || at > len || n * size > len)
		return -EBADMSG;
	for (u64 i = 0; r == 0 && i < n; i++) {
		from = to;
		if (size)
			to += size;
		else
			memcpy(&to, saved + 8 * i, 8);
		if (to < from || to > len - at)
			return -EBADMSG;
		r = ipk_values_push(v, saved + at + from, to - from, size);
	}
	bytes = ipk_align_up(to, 8);
	if (r < 0)
		return r;
	return bytes > len - at ? -EBADMSG : (i64)(at + bytes);
}

void ipk_values_free(struct ipk_pipe_values *v)
{
	free(v->data);
	free(v->ends);
}
