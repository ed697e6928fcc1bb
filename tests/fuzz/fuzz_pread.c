/* SPDX-License-Identifier: MIT */
/*
 * Where the library reads files: from the input of the fuzzer, if there is one, without a system
 * call. The linker puts these functions in the place of pread (--wrap in meson.build).
 */
#include <string.h>

#include "fuzz_pread.h"

ssize_t __real_pread64(int fd, void *dst, size_t len, off_t off);
ssize_t __wrap_pread64(int fd, void *dst, size_t len, off_t off);
ssize_t __wrap_pread(int fd, void *dst, size_t len, off_t off);

static const uint8_t *input;
static size_t input_size;

void fuzz_input(const uint8_t *data, size_t size)
{
	input = data;
	input_size = size;
}

ssize_t __wrap_pread64(int fd, void *dst, size_t len, off_t off)
{
	size_t left;

	if (!input)
		return __real_pread64(fd, dst, len, off);
	if (off < 0 || (size_t)off >= input_size)
		return 0;
	left = input_size - (size_t)off;
	if (len > left)
		len = left;
	memcpy(dst, input + off, len);
	return (ssize_t)len;
}

ssize_t __wrap_pread(int fd, void *dst, size_t len, off_t off)
{
	return __wrap_pread64(fd, dst, len, off);
}
