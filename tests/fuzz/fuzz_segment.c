/* SPDX-License-Identifier: MIT */
/*
 * The input damages a segment (fuzz_image.h): everything that reads segments reads it, snapshots
 * and copied files alike.
 *
 * What made this slow was not the reading: fsck looks several times and sleeps in between, since
 * others may be at work, and each word read was a system call. Here nobody is at work, so one look
 * does, and pread() is that of fuzz_pread.c, which copies from memory.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz_image.h"
#include "fuzz_pread.h"
#include "repair.h"
#define WALK_FSCK ipk_fsck_copy
#include "walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *names[64];
	static int fd = -1;
	u64 len;
	const u8 *bytes = fuzz_image(data, size, &len);

	if (fd < 0) {
		fd = memfd_create("fuzz", MFD_CLOEXEC);
		for (size_t i = 0; ipk_kinds[i] && i + 1 < IPK_ARRAY_LEN(names); i++)
			names[i] = ipk_kinds[i]->name;
	}
	/* Its length is asked for, its bytes are not. */
	if (fd < 0 || ftruncate(fd, (off_t)len) != 0)
		abort();
	fuzz_input(bytes, len);
	walk_segment(fd, names);
	return 0;
}
