/* SPDX-License-Identifier: MIT */
/* The input is a segment file: everything that reads segments reads it. Seeds come from fuzz_seed.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"array", "queue", "map", "semaphore", NULL};
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	walk_segment(fd, names);
	close(fd);
	return 0;
}
