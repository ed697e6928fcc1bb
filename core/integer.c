/* SPDX-License-Identifier: MIT */
#include "number.h"

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 32;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int hex_parse(const char *p, const char *end, u64 *ret_mag)
{
	u64 mag = 0;
	int r = 0;

	if (p == end)
		return -EINVAL;
	for (; p < end; p++) {
		int d = hex_digit(*p);

		if (d < 0)
			return -EINVAL;
		if (mag >> 60)
			r = -ERANGE;
		mag = mag << 4 | (u64)d;
	}
	*ret_mag = mag;
	return r;
}

int ipk_integer_parse(const char *text, size_t len, bool *ret_neg, u64 *ret_mag)
{
	const char *p = text, *end = text + len;
	bool neg = false;
	u64 mag = 0;
	int r = 0;

	if (p < end && (*p == '-' || *p == '+'))
		neg = *p++ == '-';
	if (p == end)
		return -EINVAL;
	if (end - p >= 2 && p[0] == '0' && (p[1] | 32) == 'x') {
		r = hex_parse(p + 2, end, &mag);
		if (r < 0)
			return r;
		goto done;
	}
	for (; p < end; p++) {
		unsigned d = (unsigned)(unsigned char)*p - '0';

		if (d > 9)
			return -EINVAL;
		/* Goes on reading, so that "99999999999999999999x" is no number rather than a large
		 * one. */
		if (ipk_unlikely(mag >= UINT64_MAX / 10) && mag > (UINT64_MAX - d) / 10)
			r = -ERANGE;
		mag = mag * 10 + d;
	}
	if (r < 0)
		return r;
done:
	*ret_neg = neg;
	*ret_mag = mag;
	return 0;
}

static const char pairs[] = "0001020304050607080910111213141516171819"
			    "2021222324252627282930313233343536373839"
			    "4041424344454647484950515253545556575859"
			    "6061626364656667686970717273747576777879"
			    "8081828384858687888990919293949596979899";

size_t ipk_u64_print(char *dst, u64 val)
{
	char tmp[20];
	char *p = tmp + sizeof(tmp);
	size_t n;

	while (val >= 100) {
		p -= 2;
		memcpy(p, pairs + val % 100 * 2, 2);
		val /= 100;
	}
	if (val >= 10) {
		p -= 2;
		memcpy(p, pairs + val * 2, 2);
	} else {
		*--p = (char)('0' + val);
	}
	n = (size_t)(tmp + sizeof(tmp) - p);
	memcpy(dst, p, n);
	return n;
}

size_t ipk_i64_print(char *dst, i64 val)
{
	if (val >= 0)
		return ipk_u64_print(dst, (u64)val);
	*dst = '-';
	return 1 + ipk_u64_print(dst + 1, 0 - (u64)val);
}
