/* SPDX-License-Identifier: MIT */
/*
 * Printing floats with the fewest digits that read back the same.
 *
 * A decimal of at most 15 (float: 6) digits survives the way into a normal double and back, so at
 * most one such decimal reads as the given value: where a short one exists, multiplying by powers
 * of ten finds it without any library call. Otherwise the C library rounds to 15, 16 and 17 digits
 * (float: 6 to 9) and the first that reads back is taken. At powers of two the gap below is half
 * the gap above: there the decimal next above the nearest can be the only one that reads back.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "number.h"

struct digits {
	char d[24];
	int n;   /* how many */
	int exp; /* of the first, scientific */
};

static const double ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
			     1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static void from_whole(struct digits *g, u64 m, int shift)
{
	g->n = (int)ipk_u64_print(g->d, m);
	g->exp = g->n - 1 - shift;
	while (g->n > 1 && g->d[g->n - 1] == '0')
		g->n--;
}

/* val > 0. True when val is a whole number below 2^53, or m / 10^k with at most 15 digits in m. */
static bool short_f64(struct digits *g, double val)
{
	if (val < 9007199254740992.0 && val == (double)(u64)val) {
		from_whole(g, (u64)val, 0);
		return true;
	}
	if (val >= 1e15 || val < 1e-7)
		return false;
	for (int k = 0; k <= 22; k++) {
		double scaled = val * ten[k];
		u64 m;

		if (scaled >= 1e15)
			return false;
		m = (u64)(scaled + 0.5);
		/* m < 2^53 and 10^k are exact, so this quotient is what reading the decimal gives.
		 */
		if ((double)m / ten[k] == val) {
			from_whole(g, m, k);
			return true;
		}
	}
	return false;
}

/* As above with 6 digits and float arithmetic. */
static bool short_f32(struct digits *g, float val)
{
	if (val < 16777216.0f && val == (float)(u32)val) {
		from_whole(g, (u32)val, 0);
		return true;
	}
	if (val >= 1e6f || val < 1e-4f)
		return false;
	for (int k = 0; k <= 10; k++) {
		double scaled = (double)val * ten[k];
		u32 m;

		if (scaled >= 1e6)
			return false;
		m = (u32)(scaled + 0.5);
		if ((float)m / (float)ten[k] == val) {
			from_whole(g, m, k);
			return true;
		}
	}
	return false;
}

/* n significant digits, correctly rounded. Skips the point, whatever the locale calls it. */
static void rounded(struct digits *g, double val, int n)
{
	char buf[64];
	const char *p = buf;

	snprintf(buf, sizeof(buf), "%.*e", n - 1, val);
	g->n = 0;
	for (; *p != 'e'; p++) {
		if (*p >= '0' && *p <= '9')
			g->d[g->n++] = *p;
	}
	g->exp = atoi(p + 1);
}

static void increment(struct digits *g)
{
	int i = g->n - 1;

	while (i >= 0 && g->d[i] == '9')
		g->d[i--] = '0';
	if (i >= 0) {
		g->d[i]++;
		return;
	}
	g->d[0] = '1';
	g->exp++;
}

static bool reads_back(const struct digits *g, double val, bool single)
{
	char buf[48];

	snprintf(buf, sizeof(buf), "%.*se%d", g->n, g->d, g->exp - (g->n - 1));
	return single ? (double)strtof(buf, NULL) == val : strtod(buf, NULL) == val;
}

static void shortest(struct digits *g, double val, bool single, int from, int to, bool lopsided)
{
	for (int n = from; n < to; n++) {
		rounded(g, val, n);
		if (reads_back(g, val, single))
			goto strip;
		if (lopsided) {
			increment(g);
			if (reads_back(g, val, single))
				goto strip;
		}
	}
	rounded(g, val, to);
strip:
	while (g->n > 1 && g->d[g->n - 1] == '0')
		g->n--;
}

static size_t spell(char *dst, const struct digits *g)
{
	char *p = dst;
	int point = g->exp + 1; /* digits before the point */

	if (g->exp < -4 || g->exp >= 16) {
		*p++ = g->d[0];
		if (g->n > 1) {
			*p++ = '.';
			memcpy(p, g->d + 1, (size_t)g->n - 1);
			p += g->n - 1;
		}
		*p++ = 'e';
		p += ipk_i64_print(p, g->exp);
	} else if (point <= 0) {
		*p++ = '0';
		*p++ = '.';
		for (int i = point; i < 0; i++)
			*p++ = '0';
		memcpy(p, g->d, (size_t)g->n);
		p += g->n;
	} else {
		for (int i = 0; i < g->n || i < point; i++) {
			if (i == point)
				*p++ = '.';
			*p++ = i < g->n ? g->d[i] : '0';
		}
	}
	return (size_t)(p - dst);
}

/* Zero, infinities, NaN. 0: it is none of these. */
static size_t special(char *dst, u64 mant, bool zero, bool inf, bool nan, u64 quiet)
{
	const char *word = zero ? "0" : inf ? "inf" : "nan";

	if (!zero && !inf && !nan)
		return 0;
	if (nan && mant != quiet)
		return (size_t)sprintf(dst, "nan(0x%llx)", (unsigned long long)mant);
	memcpy(dst, word, strlen(word));
	return strlen(word);
}

size_t ipk_f64_print(char *dst, double val)
{
	struct digits g;
	u64 bits, mant;
	char *p = dst;
	size_t n;

	memcpy(&bits, &val, sizeof(bits));
	mant = bits & ((UINT64_C(1) << 52) - 1);
	if (bits >> 63) {
		*p++ = '-';
		val = -val;
	}
	n = special(p, mant, val == 0, isinf(val), isnan(val), UINT64_C(1) << 51);
	if (n) {
		if (p > dst && val == 0) {
			/* A reader that takes "-0" for an integer would lose the sign. */
			memcpy(p, "0.0", 3);
			n = 3;
		}
		return (size_t)(p - dst) + n;
	}
	if (!short_f64(&g, val))
		shortest(&g, val, false, fpclassify(val) == FP_SUBNORMAL ? 1 : 15, 17, mant == 0);
	return (size_t)(p - dst) + spell(p, &g);
}

size_t ipk_f32_print(char *dst, float val)
{
	struct digits g;
	u32 bits, mant;
	char *p = dst;
	size_t n;

	memcpy(&bits, &val, sizeof(bits));
	mant = bits & ((1u << 23) - 1);
	if (bits >> 31) {
		*p++ = '-';
		val = -val;
	}
	n = special(p, mant, val == 0, isinf(val), isnan(val), 1u << 22);
	if (n) {
		if (p > dst && val == 0) {
			memcpy(p, "0.0", 3);
			n = 3;
		}
		return (size_t)(p - dst) + n;
	}
	if (!short_f32(&g, val))
		shortest(&g, (double)val, true, fpclassify(val) == FP_SUBNORMAL ? 1 : 6, 9,
			 mant == 0);
	return (size_t)(p - dst) + spell(p, &g);
}
