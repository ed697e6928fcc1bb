/* SPDX-License-Identifier: MIT */
/*
 * What the targets share whose input damages a segment. An input is a list of changes to a sound
 * segment that the target has made when it began:
 *
 *   byte 0     which segment: enum fuzz_base, modulo FUZZ_BASES
 *   byte 1     the target's own
 *   12 each    u32 which word of 8 bytes, u64 what it becomes; FUZZ_CUT: where the file ends
 *
 * So an input is some dozen bytes long and an execution costs what the library does with it; with
 * whole segments as inputs half of the time went into keeping them. A whole segment file is an
 * input too: it begins with the magic.
 */
#ifndef FUZZ_IMAGE_H
#define FUZZ_IMAGE_H

#include "base/base.h"

enum fuzz_base {
	FUZZ_DEAD =
		1, /* in each verb that gives something out or holds it a process died; else nobody is attached */
	FUZZ_TYPED =
		2, /* of numbers where texts are usual, and of structs; else of the kinds' own types */
	FUZZ_BASES = 4,
};

#define FUZZ_CUT UINT32_MAX

/* The segment that the input says; it stays as it is until the next call. Also written to the file
 * $FUZZ_IMAGE, if there is one. */
const u8 *fuzz_image(const u8 *data, size_t size, u64 *ret_len);

/* Byte 1, 0 for whole files. */
u8 fuzz_own(const u8 *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
