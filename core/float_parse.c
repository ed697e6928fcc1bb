/* SPDX-License-Identifier: MIT */
/*
 * Reading floats. What fits (at most 2^53 as a whole number, times or divided by a power of ten
 * that is itself exact) takes one correctly rounded operation, after Clinger, "How to Read Floating
 * Point Numbers Accurately" (PLDI 1990). The rest goes to strtod() with the digits written without
 * a point, so that the program's locale has no say.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "number.h"

/* No double or float needs more than 767 digits to be told from its neighbours' middle. */
#define DIGITS_MAX 780

struct decimal {
	bool neg;
	u64 mant;       /* the first 19 significant digits */
	i64 exp;        /* of ten, for all digits in buf, or for mant when !more */
	bool more;      /* digits did not fit in mant */
	size_t ndigits; /* significant digits read, saturating at DIGITS_MAX + 1 */
	bool sticky;    /* something besides zeros was cut off behind DIGITS_MAX digits */
	char digits[DIGITS_MAX];
};

static void take_digit(struct decimal *d, char c, bool fraction)
{
	if (d->ndigits == 0 && c == '0') {
		d->exp -= fraction;
		return;
	}
	if (d->ndigits < DIGITS_MAX) {
		if (d->ndigits < 19)
			d->mant = d->mant * 10 + (u64)(c - '0');
		else
			d->more = true;
		d->digits[d->ndigits++] = c;
		d->exp -= fraction;
		return;
	}
	d->sticky |= c != '0';
	d->exp += !fraction;
}

/* [eE][+-]digits at p; saturates far beyond what any number of digits in memory can make good. */
static int take_exponent(struct decimal *d, const char *p, const char *end)
{
	bool neg = false;
	i64 exp = 0;

	if (p < end && (*p == '-' || *p == '+'))
		neg = *p++ == '-';
	if (p == end)
		return -EINVAL;
	for (; p < end; p++) {
		if (*p < '0' || *p > '9')
			return -EINVAL;
		if (exp < INT64_C(1) << 58)
			exp = exp * 10 + (*p - '0');
	}
	d->exp += neg ? -exp : exp;
	return 0;
}

static int scan(struct decimal *d, const char *p, const char *end)
{
	bool any = false, fraction = false;

	for (; p < end; p++) {
		if (*p == '.' && !fraction) {
			fraction = true;
		} else if (*p >= '0' && *p <= '9') {
			any = true;
			take_digit(d, *p, fraction);
		} else {
			break;
		}
	}
	if (!any)
		return -EINVAL;
	if (p == end)
		return 0;
	return (*p | 32) == 'e' ? take_exponent(d, p + 1, end) : -EINVAL;
}

static bool word(const char *p, const char *end, const char *lower)
{
	for (; *lower; p++, lower++) {
		if (p == end || (*p | 32) != *lower)
			return false;
	}
	return p == end;
}

/*
 * inf, infinity, nan, nan(0xPAYLOAD): the bits without the sign, for a mantissa of mbits bits.
 */
static int special(const char *p, const char *end, unsigned mbits, u64 expmask, u64 *ret_bits)
{
	u64 quiet = UINT64_C(1) << (mbits - 1), mag;
	bool neg;

	if (word(p, end, "inf") || word(p, end, "infinity")) {
		*ret_bits = expmask;
		return 0;
	}
	if (word(p, end, "nan")) {
		*ret_bits = expmask | quiet;
		return 0;
	}
	if (end - p < 8 || !word(p, p + 3, "nan") || memcmp(p + 3, "(0x", 3) != 0 || end[-1] != ')')
		return -EINVAL;
	if (ipk_integer_parse(p + 4, (size_t)(end - p - 5), &neg, &mag) != 0 || mag == 0 ||
	    mag >> mbits)
		return -EINVAL;
	*ret_bits = expmask | mag;
	return 0;
}

/* The digits without a point: sign, digits, exponent. */
static void respell(const struct decimal *d, char *buf, size_t size)
{
	i64 exp = d->exp;
	size_t n = 0;

	if (d->neg)
		buf[n++] = '-';
	memcpy(buf + n, d->digits, d->ndigits);
	n += d->ndigits;
	if (d->sticky) {
		/* Any digit but zero tells strtod() on which side of a middle the rest lies. */
		buf[n++] = '1';
		exp--;
	}
	if (exp > 100000)
		exp = 100000;
	if (exp < -100000)
		exp = -100000;
	snprintf(buf + n, size - n, "e%d", (int)exp);
}

/* -EINVAL: not a number; 1: *bits holds a special value; 0: d is filled. */
static int read_decimal(struct decimal *d, const char *text, size_t len, unsigned mbits,
			u64 expmask, u64 *bits)
{
	const char *p = text, *end = text + len;

	d->neg = false;
	d->mant = 0;
	d->exp = 0;
	d->more = d->sticky = false;
	d->ndigits = 0;
	if (p < end && (*p == '-' || *p == '+'))
		d->neg = *p++ == '-';
	if (p < end && ((*p | 32) == 'i' || (*p | 32) == 'n'))
		return special(p, end, mbits, expmask, bits) == 0 ? 1 : -EINVAL;
	return scan(d, p, end);
}

static bool is_hex(const char *text, size_t len)
{
	size_t sign = len > 0 && (text[0] == '-' || text[0] == '+');

	return len - sign > 2 && text[sign] == '0' && (text[sign + 1] | 32) == 'x';
}

int ipk_f64_parse(const char *text, size_t len, double *ret_val)
{
	static const double ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
				     1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
				     1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
	struct decimal d;
	char buf[DIGITS_MAX + 32];
	double val;
	u64 bits;
	bool neg;
	int r;

	if (is_hex(text, len)) {
		r = ipk_integer_parse(text, len, &neg, &bits);
		if (r == 0)
			*ret_val = neg ? -(double)bits : (double)bits;
		return r;
	}
	r = read_decimal(&d, text, len, 52, UINT64_C(0x7ff) << 52, &bits);
	if (r < 0)
		return r;
	if (r == 1) {
		bits |= (u64)d.neg << 63;
		memcpy(ret_val, &bits, sizeof(bits));
		return 0;
	}
	if (d.mant == 0) {
		*ret_val = d.neg ? -0.0 : 0.0;
		return 0;
	}
	if (!d.more && d.mant <= UINT64_C(1) << 53 && d.exp >= -22 && d.exp <= 22) {
		val = d.exp < 0 ? (double)d.mant / ten[-d.exp] : (double)d.mant * ten[d.exp];
		*ret_val = d.neg ? -val : val;
		return 0;
	}
	respell(&d, buf, sizeof(buf));
	val = strtod(buf, NULL);
	if (isinf(val))
		return -ERANGE;
	*ret_val = val;
	return 0;
}

int ipk_f32_parse(const char *text, size_t len, float *ret_val)
{
	static const float ten[] = {1e0f, 1e1f, 1e2f, 1e3f, 1e4f, 1e5f,
				    1e6f, 1e7f, 1e8f, 1e9f, 1e10f};
	struct decimal d;
	char buf[DIGITS_MAX + 32];
	float val;
	u32 half;
	u64 bits;
	bool neg;
	int r;

	if (is_hex(text, len)) {
		r = ipk_integer_parse(text, len, &neg, &bits);
		if (r == 0)
			*ret_val = neg ? -(float)bits : (float)bits;
		return r;
	}
	r = read_decimal(&d, text, len, 23, UINT64_C(0xff) << 23, &bits);
	if (r < 0)
		return r;
	if (r == 1) {
		half = (u32)bits | (u32)d.neg << 31;
		memcpy(ret_val, &half, sizeof(half));
		return 0;
	}
	if (d.mant == 0) {
		*ret_val = d.neg ? -0.0f : 0.0f;
		return 0;
	}
	if (!d.more && d.mant <= 1u << 24 && d.exp >= -10 && d.exp <= 10) {
		val = d.exp < 0 ? (float)d.mant / ten[-d.exp] : (float)d.mant * ten[d.exp];
		*ret_val = d.neg ? -val : val;
		return 0;
	}
	respell(&d, buf, sizeof(buf));
	val = strtof(buf, NULL);
	if (isinf(val))
		return -ERANGE;
	*ret_val = val;
	return 0;
}
