/* SPDX-License-Identifier: MIT */
/*
 * The input damages a segment (fuzz_image.h), as somebody with permission to write might, and
 * somebody else attaches and runs every verb of every kind on it; each fourth time with permission
 * to read alone.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "drive.h"
#include "fuzz_image.h"

#define FILE_MAX (UINT64_C(64) << 20) /* what a growth to a damaged size may cost */

static int begin(void)
{
	struct rlimit limit = {.rlim_cur = FILE_MAX, .rlim_max = FILE_MAX};

	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	return memfd_create("fuzz", MFD_CLOEXEC);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	u64 len;
	const u8 *bytes = fuzz_image(data, size, &len);

	if (fd < 0)
		fd = begin();
	/* Emptied first: what the last input left behind its end is gone. */
	if (fd < 0 || ftruncate(fd, 0) != 0 || pwrite(fd, bytes, len, 0) != (ssize_t)len)
		abort();
	drive_segment(fd, fuzz_own(data, size) % 4 != 3);
	return 0;
}
