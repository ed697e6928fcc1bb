/* SPDX-License-Identifier: MIT */
/*
 * Changes to a segment's bytes that know the format: which words mean something, and what a word
 * may become that looks like what belongs there. For the fuzzer and for the scribbler.
 */
#ifndef TEST_MUTATE_H
#define TEST_MUTATE_H

#include "segment/dir.h"
#include "segment/format.h"
#include "segment/heap.h"

struct draw {
	u64 state;
};

static inline u64 draw(struct draw *r, u64 below)
{
	r->state = r->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return below ? (r->state >> 16) % below : 0;
}

static inline u64 word_at(const u8 *data, u64 off)
{
	u64 word;

	memcpy(&word, data + off, 8);
	return word;
}

/* A word that is not 0, near some place in some block: of a table, a chunk, an item, wherever it
 * lies. */
static inline u64 used_word(const u8 *data, u64 size, struct draw *r)
{
	const u64 n = size / 8, at = draw(r, n);

	for (u64 i = 0; i < 4096; i++)
		if (word_at(data, (at + i) % n * 8))
			return (at + i) % n * 8;
	return at * 8;
}

/* Some word of the objects that the directory names: of a header, its body's head, or anywhere. */
static inline u64 object_word(const u8 *data, u64 size, struct draw *r)
{
	const struct ipk_header *h = (const void *)data;
	u64 dir = ipk_dir_page(h->dir) * IPK_PAGE, off, have = 0, pick = 0;
	const struct ipk_object *o;

	for (u64 i = 0; i < 512 && dir < size && size - dir >= IPK_PAGE; i++) {
		u64 entry = word_at(data, dir + 8 * i);

		/* Of all entries each as likely as the others. */
		if (entry > IPK_DIR_TOMB && draw(r, ++have) == 0)
			pick = ipk_dir_off(entry);
	}
	if (pick == 0 || pick > size || size - pick < sizeof(*o))
		return draw(r, size / 8) * 8;
	o = (const void *)(data + pick);
	switch (draw(r, 4)) {
	case 0:
		off = draw(r, sizeof(*o));
		break;
	case 1:
		off = o->body + draw(r, 256);
		break;
	default:
		off = o->body +
		      draw(r, o->size < size && o->size > o->body ? o->size - o->body : 64);
		break;
	}
	return (pick + off) & ~UINT64_C(7);
}

/* The offset of a word that means something; it may lie behind the end. */
static inline u64 pick_word(const u8 *data, u64 size, struct draw *r)
{
	const struct ipk_header *h = (const void *)data;
	u64 npages = size / IPK_PAGE;

	switch (draw(r, 12)) {
	case 0: /* behind magic, version and layout, which end it at the door */
		return 24 + draw(r, 157) * 8;
	case 1: /* the journal: that there is something, and what */
		return offsetof(struct ipk_header, journal) + draw(r, 8) * 8;
	case 2: /* a page's entry; word 3 is spare */
		return h->table * IPK_PAGE + draw(r, npages) * sizeof(struct ipk_page) +
		       draw(r, 3) * 8;
	case 3:
		return ipk_dir_page(h->dir) * IPK_PAGE + draw(r, 512) * 8;
	case 4: /* a participant: claim, whom it waits for, what it uses, live */
		return (2 + draw(r, 4)) * IPK_PAGE + (draw(r, 2)   ? draw(r, 9) * 8
						      : draw(r, 2) ? 1152 + draw(r, 8) * 8
								   : 4072);
	case 5:
		return h->reg[0] * IPK_PAGE + draw(r, 8) * 8;
	case 6:
	case 7:
		return used_word(data, size, r);
	default:
		return object_word(data, size, r);
	}
}

/* What a word becomes: a neighbour of what it was, one of its fields changed, or what another one
 * is. */
static inline u64 other_value(const u8 *data, u64 size, struct draw *r, u64 word)
{
	static const u64 edges[] = {0,       1,          2,          0x3fff,    0xffff,
				    1 << 20, UINT32_MAX, UINT64_MAX, INT64_MAX, UINT64_C(1) << 40};
	u64 at, shift;

	switch (draw(r, 7)) {
	case 0:
		return edges[draw(r, IPK_ARRAY_LEN(edges))];
	case 1:
		return word + draw(r, 17) - 8;
	case 2:
		return word ^ UINT64_C(1) << draw(r, 64);
	case 3: /* one field: bytes of it */
		shift = draw(r, 8) * 8;
		return (word & ~(UINT64_C(0xff) << shift)) | draw(r, 256) << shift;
	case 4: /* an offset or a page that is there */
		return draw(r, 2) ? draw(r, size) & ~UINT64_C(63) : draw(r, size / IPK_PAGE);
	case 5: /* half of it */
		return draw(r, 2) ? (word & UINT32_MAX) | draw(r, UINT32_MAX) << 32
				  : (word & ~(u64)UINT32_MAX) | draw(r, UINT32_MAX);
	default:
		at = pick_word(data, size, r);
		return at <= size - 8 ? word_at(data, at) : word;
	}
}

/* One change: where (a multiple of 8) and what. False: nothing this time. Size: 9 pages at least.
 */
static inline bool mutate(const u8 *data, u64 size, struct draw *r, u64 *ret_at, u64 *ret_word)
{
	u64 at = pick_word(data, size, r) & ~UINT64_C(7);

	if (at > size - 8 || at < 24)
		return false;
	*ret_at = at;
	*ret_word = other_value(data, size, r, word_at(data, at));
	return true;
}

#endif
