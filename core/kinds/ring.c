/* SPDX-License-Identifier: MIT */
/* Rings for C programs: geometry, creation, the handle. The algorithm is in ring.h. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <stdio.h>
#include <sys/mman.h>

#include "base/copy.h"
#include "kinds/hooks.h"
#include "kinds/ring.h"
#include "object_type.h"

/* ---- geometry -------------------------------------------------------------------------------- */

static u64 round_up(u64 cap)
{
	u64 n = IPK_RING_CAP_MIN;

	while (n < cap)
		n *= 2;
	return n;
}

u64 ipk_ring_layout(u64 cap, u32 size, u64 most, u32 flags, struct ipk_ring_body *ret_body)
{
	u64 over = 0;

	if (cap > IPK_RING_CAP_MAX || most > IPK_RING_LEN_MAX)
		return 0;
	if (size && !(flags & IPK_RING_STREAM)) {
		cap = cap < IPK_RING_CAP_MIN ? IPK_RING_CAP_MIN : cap;
		cap = (cap + size - 1) / size * size;
		most = size;
	} else if (flags & IPK_RING_STREAM) {
		cap = round_up(cap);
		most = cap;
		size = 1;
	} else {
		cap = round_up(cap);
		if (!most)
			most = cap - 16 < IPK_RING_LEN_MAX ? cap - 16 : IPK_RING_LEN_MAX;
		if (most > cap - 16)
			return 0;
		over = ring_overflow(most);
	}
	*ret_body = (struct ipk_ring_body){.cap = cap, .most = most, .unit = size, .flags = flags};
	return sizeof(*ret_body) + ipk_align_up(cap + over, 8);
}

int ipk_ring_measure(const struct ipk_ring_body *body, u64 off, u64 len, struct ipk_ring_shape *ret)
{
	struct ipk_ring_body want;
	u64 bytes;

	if (!body->cap || !body->most || body->flags & ~IPK_RING_FLAGS)
		return -EBADMSG;
	/* What a stream's most is follows from its cap. */
	bytes = ipk_ring_layout(body->cap, body->unit,
				body->flags & IPK_RING_STREAM ? 0 : body->most, body->flags, &want);
	if (!bytes || bytes > len || want.cap != body->cap || want.most != body->most ||
	    want.unit != body->unit)
		return -EBADMSG;
	*ret = (struct ipk_ring_shape){
		.cap = want.cap,
		.most = want.most,
		.lap = want.unit ? want.cap / want.unit : want.cap,
		.unit = want.unit,
		.flags = want.flags,
		.data = off + sizeof(want),
		.bytes = bytes - sizeof(want),
	};
	return 0;
}

u32 ipk_ring_sum(const void *data, u64 len, u64 pos)
{
	return (u32)XXH3_64bits_withSeed(data, len, pos);
}

int ipk_ring_bind(struct ipk_ring_handle *h)
{
	struct ipk_obj *obj = &h->obj;
	struct ipk_ring_body copy;
	u64 room;
	int r;

	h->b = ipk_body(obj, sizeof(*h->b), &room);
	if (!h->b)
		return -EBADMSG;
	ipk_copy_out(&copy, h->b, sizeof(copy));
	r = ipk_ring_measure(&copy, obj->body, room, &h->g);
	if (r < 0)
		return r;
	h->data = ipk_at(obj->seg, h->g.data, h->g.bytes, 8);
	return h->data ? 0 : -EBADMSG;
}

/* ---- handle ---------------------------------------------------------------------------------- */

int ipk_ring_create(struct ipk_segment *seg, const char *name,
		    const struct ipk_ring_options *options, struct ipk_error *err)
{
	const struct ipk_ring_options none = IPK_RING_OPTIONS_INIT;
	struct ipk_param params[6];
	char cap[24], most[24];
	unsigned n = 0;

	if (!options)
		options = &none;
	if (options->type)
		params[n++] = (struct ipk_param){"type", options->type};
	if (options->cap) {
		snprintf(cap, sizeof(cap), "%llu", (unsigned long long)options->cap);
		params[n++] = (struct ipk_param){"cap", cap};
	}
	if (options->max_message) {
		snprintf(most, sizeof(most), "%llu", (unsigned long long)options->max_message);
		params[n++] = (struct ipk_param){"max-message", most};
	}
	if (options->many)
		params[n++] = (struct ipk_param){"producers", "many"};
	if (options->stream)
		params[n++] = (struct ipk_param){"stream", NULL};
	if (options->checksum)
		params[n++] = (struct ipk_param){"checksum", "xxh3"};
	return ipk_object_new(seg, name, "ring", params, n, err);
}

/* Does an element of size bytes (0: variable) go with the shape? */
bool ipk_ring_fits(const struct ipk_ring_shape *g, u32 size)
{
	if (g->flags & IPK_RING_STREAM)
		return size == 0;
	if (g->flags & IPK_RING_FIXED)
		return g->unit == 0 && g->most == size;
	return g->unit == size;
}

/* The element type in the object's header is what the ring is made for; type claims it. */
static int check_type(struct ipk_ring_handle *h, const char *name, const char *type,
		      struct ipk_error *err)
{
	u64 size = h->g.flags & IPK_RING_STREAM  ? 0
		   : h->g.flags & IPK_RING_FIXED ? h->g.most
						 : h->g.unit;
	struct ipk_type *own;
	int r;

	if (!ipk_ring_fits(&h->g, (u32)size))
		return ipk_error_set(err, -EBADMSG, "%s: the element type does not fit the ring", name);
	r = ipk_obj_type(&h->obj, name, IPK_TYPE_OF_VALUES, size, type, &own, err);
	if (r == 0)
		ipk_type_free(own);
	return r;
}

/* What a role's owner keeps: gone in a child. The ends lie apart, for two threads. */
static int make_ends(struct ipk_ring_handle *h)
{
	u8 *page = mmap(NULL, IPK_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return -ENOMEM;
	if (madvise(page, IPK_PAGE, MADV_WIPEONFORK) != 0) {
		munmap(page, IPK_PAGE);
		return -ENOTSUP;
	}
	h->pub.tx = (void *)page;
	h->pub.rx = (void *)(page + IPK_PAGE / 2);
	return 0;
}

int ipk_ring_open_abi(struct ipk_segment *seg, const char *name, const char *type, uint32_t abi,
		      struct ipk_ring **ret_ring, struct ipk_error *err)
{
	struct ipk_ring_handle *h;
	void *handle;
	int r;

	if (abi != IPK_RING_ABI)
		return ipk_error_set(
			err, -EPROTO,
			"ipk/ring.h is of version %u and the library of %u: compile again", abi,
			IPK_RING_ABI);
	r = ipk_obj_open(seg, name, ipk_kind_ring.id, IPK_RING_VERSION, sizeof(*h->b), sizeof(*h),
			 &handle, err);
	if (r < 0)
		return r;
	h = handle;
	r = ipk_ring_bind(h);
	if (r < 0)
		ipk_error_set(err, r, "%s: the ring is damaged", name);
	else
		r = check_type(h, name, type, err);
	if (r == 0) {
		r = make_ends(h);
		if (r < 0)
			ipk_error_set(err, r, "%s: %s", name, ipk_strerror(r));
	}
	if (r < 0) {
		ipk_obj_close(&h->obj);
		return r;
	}
	*ret_ring = &h->pub;
	return 0;
}

void ipk_ring_close(struct ipk_ring *ring)
{
	struct ipk_ring_handle *h;

	if (!ring)
		return;
	h = ring_handle(ring);
	ipk_ring_leave(ring, IPK_RING_PRODUCER);
	ipk_ring_leave(ring, IPK_RING_CONSUMER);
	munmap(ring->tx, IPK_PAGE);
	ipk_obj_close(&h->obj);
}

/* ---- what merely tells ----------------------------------------------------------------------- */

uint64_t ipk_ring_capacity(const struct ipk_ring *ring)
{
	return ring_handle(ring)->g.cap;
}

size_t ipk_ring_max_message(const struct ipk_ring *ring)
{
	return ring_handle(ring)->g.most;
}

uint64_t ipk_ring_used(struct ipk_ring *ring)
{
	struct ipk_ring_handle *h = ring_handle(ring);
	u64 head = ipk_ld(&h->b->head, acquire); /* first: it is never ahead of the other */
	u64 used = ipk_ld(&h->b->tail, acquire) - head;

	if (used > h->g.lap) /* the hint is one behind, or the consumer went on meanwhile */
		return (i64)used < 0 ? 0 : h->g.cap;
	return h->g.unit ? used * h->g.unit : used;
}

bool ipk_ring_is_shut(const struct ipk_ring *ring)
{
	return ipk_ld(&ring_handle(ring)->b->shut, acquire) != 0;
}
