/* SPDX-License-Identifier: MIT */
/*
 * The input is a segment file that somebody with permission to write has damaged, and somebody
 * else attaches and runs every verb of every kind on it. Seeds come from tests/fill.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "drive.h"
#include "fuzz_segment.h"

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

	if (fd < 0)
		fd = begin();
	/* Emptied first: what the last input left behind its end is gone. */
	if (fd < 0 || ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	drive_segment(fd, true);
	return 0;
}
