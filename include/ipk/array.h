/* SPDX-License-Identifier: MIT */
/*
 * Array: elements of one fixed-size type side by side, as in a plain C array.
 *
 *	element   0     1     2     3         cap-1
 *	       +-----+-----+-----+-----+ ... +-----+
 *	       |     |     |     |     |     |     |      at a multiple of 64 bytes, natural alignment
 *	       +-----+-----+-----+-----+ ... +-----+
 *
 * Elements of 1, 2, 4 and 8 bytes are ATOMIC: get, set, add and compare-exchange are one access
 * each, loads acquire and stores release. All others (structs, f32[3], str:N, any odd size) are
 * WIDE: never torn through these functions; a writer is one of several that take turns, a reader
 * never waits.
 *
 * WHICH MAY RUN BESIDE WHICH
 *	                  get, slice     set, fill, cas (atomic), add    set, fill, cas (wide)
 *	get, slice        yes            yes                             yes, never waits
 *	set, fill, ...    yes            yes, wait-free (add of floats   one after the other, until the
 *	                                 and cas: lock-free)             deadline
 * A slice is a row of single elements, not one moment of the whole range. The pointer of
 * ipk_array_view() goes around all this: what is read and written through it is the user's own
 * affair, except that an aligned access to an atomic element agrees with the functions here.
 *
 * LEFT BEHIND BY A DEATH. Atomic elements: the old or the new value. Wide elements: the same; a
 * value that was committed and only half copied to its place is read from where it was prepared,
 * and the next writer or sweep finishes the copy. Slices and fills are cut short between two
 * elements. A stopped writer of wide elements holds up other writers (until their deadlines), never
 * a reader.
 *
 * The algorithm for wide elements (a redo log of the last few writes behind a sequence number) is
 * drawn and argued in core/kinds/array.h. Its sequence number is that of Boehm, "Can seqlocks get
 * along with programming language memory models?", MSPC 2012.
 */
#ifndef IPK_ARRAY_H
#define IPK_ARRAY_H

#include <stddef.h>
#include <stdint.h>

#include "ipk/error.h"
#include "ipk/segment.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct ipk_array;

/*
 * Creates an array of cap elements of the given type (NULL: "f64"), all zero. cap 0: 1024.
 * -EEXIST; -EINVAL bad name, schema or cap; -EMEDIUMTYPE a variable type (str, bytes, json: use
 * str:N or bytes:N); -ENOSPC it does not fit.
 */
int ipk_array_create(struct ipk_segment *seg, const char *name, const char *type, uint64_t cap,
		     struct ipk_error *err);

/*
 * Opens for all threads of this process. type: a claim to be checked, or NULL. -ENOENT;
 * -EMEDIUMTYPE another kind or type; -EPROTO -EBADMSG.
 */
int ipk_array_open(struct ipk_segment *seg, const char *name, const char *type,
		   struct ipk_array **ret_array, struct ipk_error *err);
void ipk_array_close(struct ipk_array *array);

uint64_t ipk_array_count(const struct ipk_array *array); /* elements; never changes */
uint32_t ipk_array_size(const struct ipk_array *array); /* bytes of one element */

/*
 * The elements, as a plain array of count * size bytes: valid until close. Read-only memory where
 * the segment was attached with IPK_READ.
 */
void *ipk_array_view(struct ipk_array *array);

/* Copies one element, or n from index on, to ret_val. -ERANGE; -ESTALE removed (IPK_READ,
 * or a child that has not written yet). */
int ipk_array_get(struct ipk_array *array, uint64_t index, void *ret_val);
int ipk_array_slice(struct ipk_array *array, uint64_t index, uint64_t n, void *ret_vals);

/*
 * Stores one element, n from index on, or one value to n elements. The deadline (see segment.h) is
 * for the turn among writers of wide elements; atomic ones never wait.
 * -ERANGE; -EACCES attached with IPK_READ; -EAGAIN -ETIMEDOUT -EINTR -ECANCELED nothing was stored.
 */
int ipk_array_set(struct ipk_array *array, uint64_t index, const void *val, int64_t deadline);
int ipk_array_set_slice(struct ipk_array *array, uint64_t index, uint64_t n, const void *vals,
			int64_t deadline);
int ipk_array_fill(struct ipk_array *array, uint64_t index, uint64_t n, const void *val,
		   int64_t deadline);

/*
 * Adds *delta to an element of a number type, both of the element's type. Integers wrap around.
 * ret_new, if not NULL, receives the sum. -ERANGE; -EMEDIUMTYPE not a number; -EACCES.
 */
int ipk_array_add(struct ipk_array *array, uint64_t index, const void *delta, void *ret_new);

/*
 * Stores desired if the element has the bytes at expected; else -EEXIST, and expected receives what
 * it has. Padding inside structs counts. Errors as set.
 */
int ipk_array_cas(struct ipk_array *array, uint64_t index, void *expected, const void *desired,
		  int64_t deadline);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
