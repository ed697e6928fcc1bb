/* SPDX-License-Identifier: MIT */
/*
 * The elements of positions that were claimed, one or a burst of them, in and out. The order of the
 * stores to the words is what queue.h, BURSTS, is about.
 */
#include "kinds/queue.h"
#include "segment/registry.h"

/*
 * Members from the last to the first, then the head. Each element right before its word: one way.
 */
static inline __attribute__((always_inline)) void put(u8 *s, u64 stride, u64 base,
						      const struct iovec *values, u32 n, size_t len)
{
	if (IPK_BUG(queue_burst_forward)) {
		for (u32 k = 0; k < n; k++) {
			memcpy(s + k * stride + 8, values[k].iov_base, len);
			ipk_st((u64 *)(void *)(s + k * stride), base | QW_ST(IPK_QUEUE_FULL),
			       release);
		}
		return;
	}
	while (n--) {
		u8 *at = s + n * stride;

		memcpy(at + 8, values[n].iov_base, len);
		/*
		 * Acknowledged, with the head's. Release: the element comes before its word, and
		 * the words behind it; pairs with takers, and with producers who go on from here.
		 */
		ipk_st((u64 *)(void *)at, base | QW_ST(IPK_QUEUE_FULL), release);
	}
}

void ipk_queue_put_run(struct ipk_queue *q, u64 code, const struct iovec *values, u32 n)
{
	u8 *s = (u8 *)q_slot(q, qc_index(&q->g, code));
	u64 base = qc_base(&q->g, code);

	switch (q->g.size) {
	case 4:
		put(s, 16, base, values, n, 4);
		break;
	case 8:
		put(s, 16, base, values, n, 8);
		break;
	case 16:
		put(s, 24, base, values, n, 16);
		break;
	case 32:
		put(s, 40, base, values, n, 32);
		break;
	default:
		put(s, q->g.stride, base, values, n, q->g.size);
	}
}

static inline __attribute__((always_inline)) void get(const u8 *s, u64 stride, u8 *buf, u32 n,
						      size_t len)
{
	for (u32 k = 0; k < n; k++)
		memcpy(buf + k * ipk_align_up(len, 8), s + k * stride + 8, len);
}

static void copy_out(struct ipk_queue *q, const u8 *s, u8 *buf, u32 n)
{
	switch (q->g.size) {
	case 4:
		get(s, 16, buf, n, 4);
		break;
	case 8:
		get(s, 16, buf, n, 8);
		break;
	case 16:
		get(s, 24, buf, n, 16);
		break;
	case 32:
		get(s, 40, buf, n, 32);
		break;
	default:
		get(s, q->g.stride, buf, n, q->g.size);
	}
}

void ipk_queue_get_run(struct ipk_queue *q, struct ipk_self *me, u64 code, void *buf, u32 n)
{
	u64 i = qc_index(&q->g, code), base = qc_base(&q->g, code);
	struct ipk_queue_slot *s = q_slot(q, i);

	copy_out(q, (const u8 *)s, buf, n);
	if (n > 1) {
		/* Acknowledged. Release: what was copied before; pairs with who mends it. */
		if (!IPK_BUG(queue_burst_freed_singly))
			ipk_st(&s->w, qw_burst(base | me->slot, n), release);
		/* Relaxed: nobody comes here but by way of the head. */
		while (--n)
			ipk_st(&q_slot(q, i + n)->w, base + QW_LAP, relaxed);
	}
	/*
	 * Free. Release: who pushes here next overwrites it, and must not see a member that is not;
	 * pairs with his claim, and with consumers who go on from here.
	 */
	ipk_st(&s->w, base + QW_LAP, release);
}
