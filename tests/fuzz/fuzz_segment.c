/* SPDX-License-Identifier: MIT */
/* The input is a segment file: everything that reads segments reads it. Seeds come from fuzz_seed.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *names[64];
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	for (size_t i = 0; ipk_kinds[i] && i + 1 < IPK_ARRAY_LEN(names); i++)
		names[i] = ipk_kinds[i]->name;
	if (fd < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	walk_segment(fd, names);
	close(fd);
	return 0;
}

/*
 * A segment is mostly zeros that nobody reads, and shifting its bytes makes it no segment. So one
 * or a few words that hold something are changed in their place.
 */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	size_t at = 0, len;

	if (size < 4096)
		return LLVMFuzzerMutate(data, size, max);
	for (int tries = 0; tries < 1000; tries++) {
		uint64_t word;

		seed = seed * 1664525u + 1013904223u;
		at = (size_t)(seed >> 8) % (size / 8) * 8;
		memcpy(&word, data + at, sizeof(word));
		if (word && at >= 24) /* magic, version and layout end it at the door */
			break;
	}
	len = seed % 5 ? 8 : 64;
	if (len > size - at)
		len = size - at;
	LLVMFuzzerMutate(data + at, len, len);
	return size;
}
