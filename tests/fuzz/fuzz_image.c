/* SPDX-License-Identifier: MIT */
/* Segments out of lists of changes, and the mutator of such lists. */
#include "fuzz_image.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fuzz_base.h"
#include "mutate.h"

#define HEAD 2u
#define CHANGES_MAX 64u

struct change {
	u32 word;
	u64 value;
} __attribute__((packed));
_Static_assert(sizeof(struct change) == 12, "");

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len,
				 uint8_t *out, size_t max, unsigned seed);

static struct {
	u8 *sound;
	u64 len;
} base[FUZZ_BASES];
static u8 *image; /* room for the largest */
static const char *save_as;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	u64 room = 0;

	(void)argc, (void)argv;
	for (int i = 0; i < FUZZ_BASES; i++) {
		base[i].sound = fuzz_base_make((enum fuzz_base)i, &base[i].len);
		room = base[i].len > room ? base[i].len : room;
	}
	image = malloc(room);
	if (!image)
		abort();
	save_as = getenv("FUZZ_IMAGE");
	return 0;
}

static bool whole_file(const u8 *data, size_t size)
{
	const u64 magic = IPK_MAGIC;

	return size >= 9 * IPK_PAGE && memcmp(data, &magic, sizeof(magic)) == 0;
}

static unsigned changes_in(size_t size)
{
	const size_t n = size > HEAD ? (size - HEAD) / sizeof(struct change) : 0;

	return n < CHANGES_MAX ? (unsigned)n : CHANGES_MAX;
}

static unsigned base_of(const u8 *data, size_t size)
{
	return size ? data[0] % FUZZ_BASES : 0;
}

/*
 * Makes the changes; returns the length. Magic, version and layout end it at the door: they stay.
 */
static u64 apply(const u8 *data, size_t size)
{
	const unsigned b = base_of(data, size), n = changes_in(size);
	u64 len = base[b].len;
	struct change c;

	memcpy(image, base[b].sound, len);
	for (unsigned i = 0; i < n; i++) {
		memcpy(&c, data + HEAD + i * sizeof(c), sizeof(c));
		if (c.word == FUZZ_CUT)
			len = c.value % base[b].len;
		else if (c.word >= 3 && c.word < base[b].len / 8)
			memcpy(image + 8 * (u64)c.word, &c.value, 8);
	}
	return len;
}

static void save(const u8 *bytes, u64 len)
{
	int fd = open(save_as, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, bytes, len) != (ssize_t)len)
		abort();
	close(fd);
}

const u8 *fuzz_image(const u8 *data, size_t size, u64 *ret_len)
{
	const u8 *bytes = whole_file(data, size) ? data : image;

	*ret_len = bytes == data ? size : apply(data, size);
	if (save_as)
		save(bytes, *ret_len);
	return bytes;
}

u8 fuzz_own(const u8 *data, size_t size)
{
	return size > 1 && !whole_file(data, size) ? data[1] : 0;
}

/* ---- mutation -------------------------------------------------------------------------------- */

/* A change that knows the format, of the segment as the others leave it. */
static bool draw_change(const u8 *data, size_t size, struct draw *r, struct change *ret)
{
	const u64 len = base[base_of(data, size)].len;
	u64 at, word;

	if (draw(r, 64) == 0) {
		*ret = (struct change){FUZZ_CUT,
				       draw(r, 4) ? len - 1 - draw(r, len / 8) : draw(r, len)};
		return true;
	}
	apply(data, size);
	if (!mutate(image, len, r, &at, &word))
		return false;
	*ret = (struct change){(u32)(at / 8), word};
	return true;
}

static size_t drop(u8 *data, unsigned n, unsigned i)
{
	u8 *at = data + HEAD + i * sizeof(struct change);

	memmove(at, at + sizeof(struct change), (n - 1 - i) * sizeof(struct change));
	return HEAD + (n - 1) * sizeof(struct change);
}

/* What one change writes becomes something else. */
static void alter(u8 *data, size_t size, struct draw *r, unsigned i)
{
	u8 *at = data + HEAD + i * sizeof(struct change);
	struct change c;

	memcpy(&c, at, sizeof(c));
	apply(data, size);
	c.value = other_value(image, base[base_of(data, size)].len, r, c.value);
	memcpy(at, &c, sizeof(c));
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	struct draw r = {.state = seed};
	struct change c;
	unsigned n;

	if (max < HEAD)
		return size;
	if (size < HEAD || whole_file(data, size)) {
		data[0] = (u8)draw(&r, FUZZ_BASES);
		data[1] = (u8)draw(&r, 256);
		size = HEAD;
	}
	for (u64 turns = 1 + draw(&r, 3); turns; turns--) {
		const u64 what = draw(&r, 16);

		n = changes_in(size);
		size = HEAD + n * sizeof(c);
		if (what == 0)
			data[draw(&r, HEAD)] = (u8)draw(&r, 256);
		else if (n > 0 && what < 3)
			size = drop(data, n, (unsigned)draw(&r, n));
		else if (n > 0 && what < 7)
			alter(data, size, &r, (unsigned)draw(&r, n));
		else if (n < CHANGES_MAX && size + sizeof(c) <= max &&
			 draw_change(data, size, &r, &c)) {
			memcpy(data + size, &c, sizeof(c));
			size += sizeof(c);
		}
	}
	return size;
}

/* Some changes of each, in the first one's segment. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len,
				 uint8_t *out, size_t max, unsigned seed)
{
	const unsigned n = changes_in(a_len), m = changes_in(b_len);
	struct draw r = {.state = seed};
	size_t len = HEAD;

	if (a_len < HEAD || max < HEAD || whole_file(a, a_len) || whole_file(b, b_len))
		return 0;
	memcpy(out, a, HEAD);
	for (unsigned i = 0; i < n + m; i++) {
		if (len + sizeof(struct change) > max || draw(&r, 2))
			continue;
		memcpy(out + len,
		       (i < n ? a + i * sizeof(struct change)
			      : b + (i - n) * sizeof(struct change)) +
			       HEAD,
		       sizeof(struct change));
		len += sizeof(struct change);
	}
	return len;
}
