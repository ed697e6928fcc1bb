/* SPDX-License-Identifier: MIT */
/*
 * Printing floats with the fewest digits that read back the same; of several, the nearest.
 *
 * After Raffaello Giulietti, "The Schubfach way to render doubles" (2020): scale the value and the
 * middles to its two neighbours by one power of ten such that at most a few whole numbers lie
 * between the middles, and take the one that ends in most zeros, else the nearest. The scaled
 * numbers are rounded to odd, so that 64 bits of each decide every comparison rightly.
 *
 * The powers of ten, 128 bits each, are computed when they are first needed: a table of 617 of them
 * would be 10 KiB of numbers nobody can check, and a process that prints one value uses one.
 */
#include <stdio.h>

#include "number.h"

#define POW_MIN (-292)
#define POW_MAX 324
#define LIMBS 13

struct decimal {
	u64 m;
	int k; /* m * 10^k */
};

struct pow10 {
	u64 lo, hi; /* hi is 0 until both are there */
};

static struct pow10 powers[POW_MAX - POW_MIN + 1];

/* floor(log2(10^e)), |e| <= 1233; floor(log10(2^e)) and floor(log10(3/4 * 2^e)), |e| <= 1500. */
static int log2_pow10(int e)
{
	return (e * 1741647) >> 19;
}

static int log10_pow2(int e, bool three_quarters)
{
	return (e * 1262611 - (three_quarters ? 524031 : 0)) >> 22;
}

static void multiply(u64 x[LIMBS], u64 by)
{
	unsigned __int128 carry = 0;

	for (int i = 0; i < LIMBS; i++) {
		carry += (unsigned __int128)x[i] * by;
		x[i] = (u64)carry;
		carry >>= 64;
	}
}

static void divide(u64 x[LIMBS], u64 by)
{
	u64 rest = 0;

	for (int i = LIMBS - 1; i >= 0; i--) {
		unsigned __int128 v = (unsigned __int128)rest << 64 | x[i];

		x[i] = (u64)(v / by);
		rest = (u64)(v % by);
	}
}

/* The 128 highest bits of x from its first one, rounded up where something was cut off. */
static struct pow10 highest_bits(const u64 x[LIMBS], bool inexact)
{
	unsigned __int128 v;
	int top = LIMBS - 1, shift;

	while (x[top] == 0)
		top--;
	shift = __builtin_clzll(x[top]);
	v = (unsigned __int128)x[top] << 64 | (top > 0 ? x[top - 1] : 0);
	if (shift) {
		v <<= shift;
		v |= top > 1 ? x[top - 2] >> (64 - shift) : 0;
		inexact |= top > 1 && x[top - 2] << shift;
	} else {
		inexact |= top > 1 && x[top - 2];
	}
	for (int i = top - 3; i >= 0; i--)
		inexact |= x[i] != 0;
	v += inexact;
	return (struct pow10){.lo = (u64)v, .hi = (u64)(v >> 64)};
}

/* 10^e as 128 bits from the first one, rounded up: 5^e has the same. */
static struct pow10 compute_pow10(int e)
{
	const u64 five27 = UINT64_C(7450580596923828125);
	u64 x[LIMBS] = {1}, rest = 1;
	int n = e < 0 ? -e : e;

	for (int i = 0; i < n % 27; i++)
		rest *= 5;
	if (e >= 0) {
		for (int i = 0; i < n / 27; i++)
			multiply(x, five27);
		multiply(x, rest);
		return highest_bits(x, false);
	}
	/* 2^831 / 5^n leaves at least 153 bits; cutting off after each division changes nothing. */
	x[0] = 0;
	x[LIMBS - 1] = UINT64_C(1) << 63;
	for (int i = 0; i < n / 27; i++)
		divide(x, five27);
	divide(x, rest);
	return highest_bits(x, true);
}

static struct pow10 pow10_of(int e)
{
	struct pow10 *at = &powers[e - POW_MIN], p;

	/* Acquire pairs with the release below. Two threads may both compute it: it is the same. */
	p.hi = __atomic_load_n(&at->hi, __ATOMIC_ACQUIRE);
	if (ipk_likely(p.hi)) {
		p.lo = __atomic_load_n(&at->lo, __ATOMIC_RELAXED);
		return p;
	}
	p = compute_pow10(e);
	__atomic_store_n(&at->lo, p.lo, __ATOMIC_RELAXED);
	__atomic_store_n(&at->hi, p.hi, __ATOMIC_RELEASE);
	return p;
}

/* The highest 64 bits of p * c; the last is set also where the rest is not zero. */
static u64 round_to_odd(struct pow10 p, u64 c)
{
	u64 low = (u64)((unsigned __int128)p.lo * c >> 64);
	unsigned __int128 v = (unsigned __int128)p.hi * c + low;

	/* Up to 1 may come from p having been rounded up. */
	return (u64)(v >> 64) | ((u64)v > 1);
}

/* c * 2^q, c > 0. closer: the neighbour below lies at half the distance. */
static struct decimal shortest(u64 c, int q, bool closer)
{
	int k = log10_pow2(q, closer), h = q + log2_pow10(-k) + 1;
	struct pow10 p = pow10_of(-k);
	u64 odd = c & 1; /* the middles themselves read as the even neighbour */
	u64 lower = round_to_odd(p, (4 * c - 2 + closer) << h) + odd;
	u64 v = round_to_odd(p, (4 * c) << h);
	u64 upper = round_to_odd(p, (4 * c + 2) << h) - odd;
	u64 s = v / 4, tens = s / 10;
	bool below, above;

	if (s >= 10) {
		below = lower <= 40 * tens;
		above = 40 * tens + 40 <= upper;
		if (below != above)
			return (struct decimal){.m = tens + above, .k = k + 1};
	}
	below = lower <= 4 * s;
	above = 4 * s + 4 <= upper;
	if (below == above)
		above = v > 4 * s + 2 || (v == 4 * s + 2 && (s & 1));
	return (struct decimal){.m = s + above, .k = k};
}

static size_t spell(char *dst, struct decimal d)
{
	char digits[20], *p = dst;
	int n, exp, point;

	n = (int)ipk_u64_print(digits, d.m);
	exp = d.k + n - 1; /* of the first digit */
	while (n > 1 && digits[n - 1] == '0')
		n--;
	point = exp + 1; /* digits before the point */
	if (exp < -4 || exp >= 16) {
		*p++ = digits[0];
		if (n > 1) {
			*p++ = '.';
			p = mempcpy(p, digits + 1, (size_t)n - 1);
		}
		*p++ = 'e';
		p += ipk_i64_print(p, exp);
	} else if (point <= 0) {
		*p++ = '0';
		*p++ = '.';
		for (int i = point; i < 0; i++)
			*p++ = '0';
		p = mempcpy(p, digits, (size_t)n);
	} else {
		for (int i = 0; i < n || i < point; i++) {
			if (i == point)
				*p++ = '.';
			*p++ = i < n ? digits[i] : '0';
		}
	}
	return (size_t)(p - dst);
}

/* Zero, infinities, NaN, behind the sign. */
static size_t spell_special(char *dst, u64 exp, u64 mant, u64 quiet, bool neg)
{
	const char *word;

	if (exp && mant && mant != quiet)
		return (size_t)sprintf(dst, "nan(0x%llx)", (unsigned long long)mant);
	word = exp ? (mant ? "nan" : "inf") : neg ? "0.0" : "0";
	/* "-0" would be an integer to many a reader, and lose the sign. */
	memcpy(dst, word, strlen(word));
	return strlen(word);
}

/* A float of bits: sign, exponent of ebits bits, mantissa of mbits bits. */
static size_t print(char *dst, u64 bits, int ebits, int mbits)
{
	const u64 hidden = UINT64_C(1) << mbits, emax = (UINT64_C(1) << ebits) - 1;
	u64 mant = bits & (hidden - 1), exp = bits >> mbits & emax;
	bool neg = bits >> mbits >> ebits;
	int q = (int)(exp ? exp : 1) - (int)(emax / 2) - mbits;
	u64 c = exp ? mant | hidden : mant;

	if (neg)
		*dst = '-';
	if (exp == emax || c == 0)
		return neg + spell_special(dst + neg, exp, mant, hidden / 2, neg);
	/* Whole numbers that have all their digits: also the quickest, and the most usual. */
	if (q <= 0 && q >= -mbits && (c & ((UINT64_C(1) << -q) - 1)) == 0)
		return neg + spell(dst + neg, (struct decimal){.m = c >> -q});
	return neg + spell(dst + neg, shortest(c, q, mant == 0 && exp > 1));
}

size_t ipk_f64_print(char *dst, double val)
{
	u64 bits;

	memcpy(&bits, &val, sizeof(bits));
	return print(dst, bits, 11, 52);
}

size_t ipk_f32_print(char *dst, float val)
{
	u32 bits;

	memcpy(&bits, &val, sizeof(bits));
	return print(dst, bits, 8, 23);
}
