/* SPDX-License-Identifier: MIT */
/*
 * The input is a segment file: everything that reads segments reads it. Seeds come from fuzz_seed.
 *
 * What made this slow was not the reading: fsck looks several times and sleeps in between, since
 * others may be at work, and each word read was a system call. Here nobody is at work, so one look
 * does, and pread() is that of fuzz_pread.c, which copies from the input.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz_pread.h"
#include "repair.h"
#define WALK_FSCK ipk_fsck_copy
#include "segment/dir.h"
#include "segment/heap.h"
#include "walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *names[64];
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("fuzz", MFD_CLOEXEC);
		for (size_t i = 0; ipk_kinds[i] && i + 1 < IPK_ARRAY_LEN(names); i++)
			names[i] = ipk_kinds[i]->name;
	}
	/* Its length is asked for, its bytes are not. */
	if (fd < 0 || ftruncate(fd, (off_t)size) != 0)
		abort();
	fuzz_input(data, size);
	walk_segment(fd, names);
	return 0;
}

/* ---- mutations that know the format -------------------------------------------------------------
 */

struct random {
	u64 state;
};

static u64 draw(struct random *r, u64 below)
{
	r->state = r->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return below ? (r->state >> 16) % below : 0;
}

/* Some word of the objects that the directory names: of a header, its body's head, or anywhere. */
static u64 object_word(const u8 *data, u64 size, struct random *r)
{
	const struct ipk_header *h = (const void *)data;
	u64 dir = ipk_dir_page(h->dir) * IPK_PAGE, off, have = 0, pick = 0;
	const struct ipk_object *o;

	for (u64 i = 0; i < 512 && dir < size && size - dir >= IPK_PAGE; i++) {
		u64 entry = ((const u64 *)(const void *)(data + dir))[i];

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
		off = o->body + draw(r, 192);
		break;
	default:
		off = o->body +
		      draw(r, o->size < size && o->size > o->body ? o->size - o->body : 64);
		break;
	}
	return (pick + off) & ~UINT64_C(7);
}

/* The offset of a word that means something. */
static u64 pick_word(const u8 *data, u64 size, struct random *r)
{
	const struct ipk_header *h = (const void *)data;
	u64 npages = size / IPK_PAGE;

	switch (draw(r, 10)) {
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
	default:
		return object_word(data, size, r);
	}
}

/* What a word becomes: a neighbour of what it was, one of its fields changed, or what another one
 * is. */
static u64 other_value(const u8 *data, u64 size, struct random *r, u64 word)
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
		if (at > size - 8)
			return word;
		memcpy(&word, data + at, 8);
		return word;
	}
}

/* A segment is mostly zeros, and shifting its bytes makes it none: words are changed in their
 * place. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	struct random r = {.state = seed};

	if (size < 9 * IPK_PAGE)
		return LLVMFuzzerMutate(data, size, max);
	if (draw(&r, 64) == 0) /* cut short */
		return size - draw(&r, size / 8);
	for (u64 n = 1 + draw(&r, 3); n; n--) {
		u64 at = pick_word(data, size, &r), word;

		if (at > size - 8 || at < 24)
			continue;
		memcpy(&word, data + at, 8);
		word = other_value(data, size, &r, word);
		memcpy(data + at, &word, 8);
	}
	return size;
}
