/* SPDX-License-Identifier: MIT */
#ifndef FUZZ_PREAD_H
#define FUZZ_PREAD_H

#include <stdint.h>
#include <sys/types.h>

/* What every descriptor reads from now on. */
void fuzz_input(const uint8_t *data, size_t size);

#endif
