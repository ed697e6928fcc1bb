/* SPDX-License-Identifier: MIT */
/* Values of variable size in slots: see slot_value.h. */
#include "kinds/slot_value.h"
#include "base/copy.h"
#include "buf.h"

#define GRACE INT64_C(1000000000) /* ns: see struct ipk_slot_store */

static struct ipk_slot_buffer *buffer_of(struct ipk_segment *seg, u64 off, u64 len)
{
	struct ipk_slot_buffer *buf;

	if (off == 0 || len > UINT64_MAX - sizeof(*buf))
		return NULL;
	buf = ipk_at(seg, off, sizeof(*buf) + len, IPK_LINE);
	return buf && ipk_ld(&buf->cap, relaxed) >= len ? buf : NULL;
}

const void *ipk_slot_value(struct ipk_segment *seg, struct ipk_slot_value *v, u64 *ret_len)
{
	struct ipk_slot_buffer *buf;
	u64 len = ipk_ld(&v->len, relaxed);

	*ret_len = len;
	if (len <= IPK_SLOT_INLINE)
		return v->bytes;
	buf = buffer_of(seg, ipk_ld(&v->buf, relaxed), len);
	return buf ? buf->bytes : NULL;
}

/* ---- blocks --------------------------------------------------------------------------------- */

struct swap {
	u64 *buf;
	u64 size; /* of the new block; 0: none */
};

static int swap_tx(struct ipk_tx *tx, void *arg)
{
	struct swap *swap = arg;
	u64 old = ipk_tx_get(tx, swap->buf), off = 0;

	if (swap->size) {
		struct ipk_slot_buffer *buf;

		off = ipk_tx_alloc(tx, swap->size, 0);
		if (!off)
			return tx->error;
		buf = ipk_at(tx->seg, off, swap->size, IPK_LINE);
		if (!buf)
			return -EBADMSG;
		ipk_st(&buf->cap, swap->size - sizeof(*buf), relaxed);
	}
	ipk_tx_set(tx, swap->buf, off);
	if (old)
		ipk_tx_free(tx, old);
	return 0;
}

i64 ipk_slot_deadline(i64 deadline)
{
	i64 grace = ipk_deadline(GRACE);

	return deadline > grace ? deadline : grace;
}

static int nothing(struct ipk_tx *tx, void *arg)
{
	(void)tx, (void)arg;
	return 0;
}

int ipk_slot_settle(struct ipk_self *me, i64 deadline)
{
	return ipk_tx_run(me, nothing, NULL, deadline, NULL);
}

int ipk_slot_release(struct ipk_self *me, struct ipk_slot_value *v)
{
	struct swap swap = {.buf = &v->buf};

	return ipk_tx_run(me, swap_tx, &swap, ipk_deadline(GRACE), NULL);
}

#define FREES 6u /* blocks of one transaction: what its journal holds */

struct frees {
	u64 *const *buf;
	u32 n;
};

static int frees_tx(struct ipk_tx *tx, void *arg)
{
	struct frees *f = arg;

	for (u32 i = 0; i < f->n; i++) {
		u64 off = ipk_tx_get(tx, f->buf[i]);

		if (off)
			ipk_tx_free(tx, off);
		ipk_tx_set(tx, f->buf[i], 0);
	}
	return 0;
}

int ipk_slot_release_all(struct ipk_self *me, u64 *const buf[], u32 n)
{
	int r = 0;

	for (u32 i = 0; !r && i < n; i += FREES) {
		struct frees f = {.buf = buf + i, .n = n - i < FREES ? n - i : FREES};

		r = ipk_tx_run(me, frees_tx, &f, IPK_FOREVER, NULL);
	}
	return r;
}

/* ---- storing -------------------------------------------------------------------------------- */

/* Kept for the slot's next values, unless this is so much more than they seem to need. */
static bool oversized(struct ipk_segment *seg, u64 off, u64 len)
{
	struct ipk_slot_buffer *buf = buffer_of(seg, off, 0); /* NULL where off is 0 */
	u64 cap = buf ? ipk_ld(&buf->cap, relaxed) : 0;

	return cap > (16u << 10) && cap / 4 > len;
}

/* Gives v a block for len bytes instead of what it has; none where it needs none. */
static int resize(const struct ipk_slot_store *how, struct ipk_slot_value *v, u64 len)
{
	struct swap swap = {.buf = &v->buf};
	int r;

	if (len > IPK_SLOT_INLINE)
		swap.size = ipk_align_up(sizeof(struct ipk_slot_buffer) + len, 2 * IPK_LINE);
	do
		r = ipk_tx_run(how->me, swap_tx, &swap, ipk_slot_deadline(how->deadline), NULL);
	while (r == -ENOSPC && how->reclaim(how->arg) == 0);
	return r;
}

/* The block of v for len bytes; a new one where there is none that fits. */
static int long_value(const struct ipk_slot_store *how, struct ipk_slot_value *v, u64 len,
		      struct ipk_slot_buffer **ret_buf)
{
	struct ipk_segment *seg = how->me->seg;
	u64 off = ipk_ld(&v->buf, relaxed);
	int r;

	*ret_buf = buffer_of(seg, off, len);
	if (*ret_buf && !oversized(seg, off, len))
		return 0;
	r = resize(how, v, len);
	if (r < 0)
		return *ret_buf ? 0 : r;
	*ret_buf = buffer_of(seg, ipk_ld(&v->buf, relaxed), len);
	return *ret_buf ? 0 : -EBADMSG;
}

int ipk_slot_room(const struct ipk_slot_store *how, struct ipk_slot_value *v, u64 len,
		  u8 **ret_bytes)
{
	struct ipk_slot_buffer *buf = NULL;
	int r = 0;

	if (len > IPK_SLOT_INLINE)
		r = long_value(how, v, len, &buf);
	else if (oversized(how->me->seg, ipk_ld(&v->buf, relaxed), len))
		resize(how, v, len); /* it need not succeed */
	if (r < 0)
		return r == -ETIMEDOUT && how->deadline == IPK_NOWAIT ? -EAGAIN : r;
	*ret_bytes = buf ? buf->bytes : v->bytes;
	return 0;
}

int ipk_slot_store(const struct ipk_slot_store *how, struct ipk_slot_value *v, const void *data,
		   u64 len)
{
	u8 *bytes;
	int r = ipk_slot_room(how, v, len, &bytes);

	if (r < 0)
		return r;
	ipk_copy_in(bytes, data, len);
	ipk_st(&v->len, len, relaxed);
	return 0;
}

/* ---- without trust -------------------------------------------------------------------------- */

static int read_words(struct ipk_view *view, u64 off, u64 *ret_buf, u64 *ret_len)
{
	int r = ipk_view_u64(view, off + offsetof(struct ipk_slot_value, len), ret_len);

	return r ? r : ipk_view_u64(view, off + offsetof(struct ipk_slot_value, buf), ret_buf);
}

/* Where the slot_value at off has its bytes, and how many. */
static int find_bytes(struct ipk_view *view, u64 off, u64 *ret_at, u64 *ret_len)
{
	u64 buf, cap;
	int r = read_words(view, off, &buf, ret_len);

	*ret_at = off + offsetof(struct ipk_slot_value, bytes);
	if (r < 0 || *ret_len <= IPK_SLOT_INLINE)
		return r;
	*ret_at = buf + sizeof(struct ipk_slot_buffer);
	r = buf % IPK_LINE || !buf ? -EBADMSG : ipk_view_u64(view, buf, &cap);
	return r == 0 && (cap < *ret_len || *ret_len > ipk_view_size(view)) ? -EBADMSG : r;
}

int ipk_slot_read(struct ipk_view *view, u64 off, u64 size, struct ipk_buf *out)
{
	u64 at = off, len = size;
	int r = size ? 0 : find_bytes(view, off, &at, &len);

	if (r < 0)
		return r;
	out->len = 0;
	if (!ipk_buf_room(out, len + 1))
		return -ENOMEM;
	r = ipk_view_read(view, at, out->data, len);
	out->len = r ? 0 : len;
	return r;
}

const char *ipk_slot_fault(struct ipk_view *view, u64 off, bool has, u64 *ret_buf, u64 *ret_size)
{
	u64 buf, len, cap = 0;

	*ret_buf = *ret_size = 0;
	if (read_words(view, off, &buf, &len) < 0)
		return NULL; /* told already: the slot itself lies outside */
	if (buf % IPK_LINE)
		return "its buffer lies at no block";
	if (buf && ipk_view_u64(view, buf, &cap) < 0)
		return "its buffer lies outside of the segment";
	if (buf && cap > ipk_view_size(view) - buf)
		return "its buffer reaches beyond the segment";
	*ret_buf = buf;
	*ret_size = sizeof(struct ipk_slot_buffer) + cap;
	if (!has || len <= IPK_SLOT_INLINE)
		return NULL;
	return !buf ? "a long value without a buffer" : cap < len ? "longer than its buffer" : NULL;
}
