/* SPDX-License-Identifier: MIT */
#ifndef FUZZ_BASE_H
#define FUZZ_BASE_H

#include "fuzz_image.h"

/* The bytes of a sound segment file, to be freed. */
u8 *fuzz_base_make(enum fuzz_base which, u64 *ret_len);

#endif
