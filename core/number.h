/* SPDX-License-Identifier: MIT */
/*
 * Numbers as text, both ways, exactly, and the same in every locale.
 *
 * A float is printed with the fewest decimal digits that read back as the same bits; of several
 * such, the nearest. 1 and not 1.0, but -0.0; 1e16 and above, and below 1e-4, with an exponent.
 * NaNs keep their bits: "nan" and "-nan" are the quiet NaNs, others are nan(0xPAYLOAD).
 */
#ifndef IPK_NUMBER_H
#define IPK_NUMBER_H

#include "base/base.h"

#define IPK_NUMBER_MAX 40 /* bytes that a printed number fits in */

/*
 * [+-] decimal or 0x hexadecimal digits, nothing else around. -EINVAL when it is no integer,
 * -ERANGE when the magnitude needs more than 64 bits.
 */
int ipk_integer_parse(const char *text, size_t len, bool *ret_neg, u64 *ret_mag);

/*
 * [+-] decimal digits with point and exponent, inf, nan, or a hexadecimal integer. Rounds to
 * nearest. -EINVAL when it is no number, -ERANGE when it is too large.
 */
int ipk_f64_parse(const char *text, size_t len, double *ret_val);
int ipk_f32_parse(const char *text, size_t len, float *ret_val);

/* Print without NUL; return the length, at most IPK_NUMBER_MAX. */
size_t ipk_u64_print(char *dst, u64 val);
size_t ipk_i64_print(char *dst, i64 val);
size_t ipk_f64_print(char *dst, double val);
size_t ipk_f32_print(char *dst, float val);

#endif
