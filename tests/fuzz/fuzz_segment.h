/* SPDX-License-Identifier: MIT */
/* The mutator of the targets whose input is a segment file. Included once by each. */
#ifndef FUZZ_SEGMENT_H
#define FUZZ_SEGMENT_H

#include "mutate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

/* A segment is mostly zeros, and shifting its bytes makes it none: words are changed in their
 * place. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	struct draw r = {.state = seed};

	if (size < 9 * IPK_PAGE)
		return LLVMFuzzerMutate(data, size, max);
	if (draw(&r, 64) == 0) /* cut short */
		return size - draw(&r, size / 8);
	for (u64 n = 1 + draw(&r, 3); n; n--) {
		u64 at, word;

		if (mutate(data, size, &r, &at, &word))
			memcpy(data + at, &word, 8);
	}
	return size;
}

#endif
