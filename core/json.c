/* SPDX-License-Identifier: MIT */
#include "buf.h"
#include "json.h"

size_t ipk_utf8_sequence(const unsigned char *p, const unsigned char *end)
{
	size_t left = (size_t)(end - p), n;
	unsigned lo = 0x80, hi = 0xbf;

	if (left == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (left < n)
		return 0;
	/* The second byte alone decides about overlong forms, surrogates and the end of Unicode. */
	if (p[0] == 0xe0)
		lo = 0xa0;
	else if (p[0] == 0xed)
		hi = 0x9f;
	else if (p[0] == 0xf0)
		lo = 0x90;
	else if (p[0] == 0xf4)
		hi = 0x8f;
	if (p[1] < lo || p[1] > hi)
		return 0;
	for (size_t i = 2; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}

bool ipk_utf8_ok(const void *data, size_t len)
{
	const unsigned char *p = data, *end = p + len;

	while (p < end) {
		size_t n;
		u64 w;

		if (end - p >= 8) {
			memcpy(&w, p, 8);
			if (!(w & UINT64_C(0x8080808080808080))) {
				p += 8;
				continue;
			}
		}
		n = ipk_utf8_sequence(p, end);
		if (n == 0)
			return false;
		p += n;
	}
	return true;
}

/* Four hexadecimal digits, or -1. */
static int hex4(const char *p, const char *end)
{
	int v = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		char c = p[i], l = (char)(c | 32);

		if (c >= '0' && c <= '9')
			v = v << 4 | (c - '0');
		else if (l >= 'a' && l <= 'f')
			v = v << 4 | (l - 'a' + 10);
		else
			return -1;
	}
	return v;
}

/* At the character behind a backslash: how many bytes the escape has from there, 0: none. */
static size_t escape_length(const char *p, const char *end)
{
	int u;

	if (p == end)
		return 0;
	if (*p != 'u')
		return *p && strchr("\"\\/bfnrt", *p) ? 1 : 0;
	u = hex4(p + 1, end);
	if (u < 0 || (u >= 0xdc00 && u <= 0xdfff))
		return 0;
	if (u < 0xd800 || u > 0xdbff)
		return 5;
	if (end - p < 11 || p[5] != '\\' || p[6] != 'u')
		return 0;
	u = hex4(p + 7, end);
	return u >= 0xdc00 && u <= 0xdfff ? 11 : 0;
}

int ipk_json_string_scan(struct ipk_json *j, const char **ret_raw, size_t *ret_len, bool *ret_plain)
{
	const char *start;
	bool plain = true;

	if (j->p == j->end || *j->p != '"')
		return -EINVAL;
	start = ++j->p;
	while (j->p < j->end) {
		unsigned char c = (unsigned char)*j->p;
		size_t n = 1;

		if (c == '"') {
			*ret_raw = start;
			*ret_len = (size_t)(j->p++ - start);
			*ret_plain = plain;
			return 0;
		}
		if (c == '\\') {
			n = escape_length(j->p + 1, j->end);
			if (n == 0)
				return -EINVAL;
			n++;
			plain = false;
		} else if (c < 0x20) {
			return -EINVAL;
		} else if (c >= 0x80) {
			n = ipk_utf8_sequence((const unsigned char *)j->p,
					      (const unsigned char *)j->end);
			if (n == 0)
				return -EINVAL;
		}
		j->p += n;
	}
	return -EINVAL;
}

static size_t utf8_encode(char *dst, unsigned c)
{
	if (c < 0x80) {
		dst[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		dst[0] = (char)(0xc0 | c >> 6);
		dst[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		dst[0] = (char)(0xe0 | c >> 12);
		dst[1] = (char)(0x80 | (c >> 6 & 0x3f));
		dst[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	dst[0] = (char)(0xf0 | c >> 18);
	dst[1] = (char)(0x80 | (c >> 12 & 0x3f));
	dst[2] = (char)(0x80 | (c >> 6 & 0x3f));
	dst[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

size_t ipk_json_unescape(char *dst, const char *raw, size_t len)
{
	static const char names[] = "bfnrt", bytes[] = "\b\f\n\r\t";
	const char *p = raw, *end = raw + len;
	char *q = dst;

	while (p < end) {
		const char *name;
		unsigned u;

		if (*p != '\\') {
			*q++ = *p++;
			continue;
		}
		p++;
		if (*p != 'u') {
			name = strchr(names, *p);
			*q++ = name ? bytes[name - names] : *p;
			p++;
			continue;
		}
		u = (unsigned)hex4(p + 1, end);
		p += 5;
		if (u >= 0xd800 && u <= 0xdbff) {
			u = 0x10000 + ((u - 0xd800) << 10) + (unsigned)hex4(p + 2, end) - 0xdc00;
			p += 6;
		}
		q += utf8_encode(q, u);
	}
	return (size_t)(q - dst);
}

static bool digits(struct ipk_json *j)
{
	const char *start = j->p;

	while (j->p < j->end && *j->p >= '0' && *j->p <= '9')
		j->p++;
	return j->p > start;
}

int ipk_json_number_scan(struct ipk_json *j, const char **ret_num, size_t *ret_len, bool *ret_whole)
{
	const char *start = j->p;
	bool whole = true;

	if (j->p < j->end && *j->p == '-')
		j->p++;
	if (j->p < j->end && *j->p == '0')
		j->p++;
	else if (!digits(j))
		return -EINVAL;
	if (j->p < j->end && *j->p == '.') {
		j->p++;
		whole = false;
		if (!digits(j))
			return -EINVAL;
	}
	if (j->p < j->end && (*j->p | 32) == 'e') {
		j->p++;
		whole = false;
		if (j->p < j->end && (*j->p == '+' || *j->p == '-'))
			j->p++;
		if (!digits(j))
			return -EINVAL;
	}
	*ret_num = start;
	*ret_len = (size_t)(j->p - start);
	*ret_whole = whole;
	return 0;
}

/* A string, number, true, false or null. */
static int scalar(struct ipk_json *j)
{
	static const char *const words[] = {"true", "false", "null"};
	const char *raw;
	size_t len;
	bool flag;

	if (j->p == j->end)
		return -EINVAL;
	if (*j->p == '"')
		return ipk_json_string_scan(j, &raw, &len, &flag);
	for (size_t i = 0; i < IPK_ARRAY_LEN(words); i++) {
		len = strlen(words[i]);
		if ((size_t)(j->end - j->p) >= len && memcmp(j->p, words[i], len) == 0) {
			j->p += len;
			return 0;
		}
	}
	return ipk_json_number_scan(j, &raw, &len, &flag);
}

/* What value_copy() knows: one bit for each open bracket, set for an object. */
struct nest {
	u64 object[IPK_JSON_DEPTH / 64];
	unsigned depth;
};

static bool in_object(const struct nest *n)
{
	return n->object[(n->depth - 1) / 64] >> (n->depth - 1) % 64 & 1;
}

static int copy(struct ipk_buf *out, const char *from, const char *to)
{
	return out ? ipk_buf_add(out, from, (size_t)(to - from)) : 0;
}

static int open_bracket(struct ipk_json *j, struct nest *n, struct ipk_buf *out)
{
	u64 bit = UINT64_C(1) << n->depth % 64;

	if (n->depth == IPK_JSON_DEPTH)
		return -EMSGSIZE;
	if (*j->p == '{')
		n->object[n->depth / 64] |= bit;
	else
		n->object[n->depth / 64] &= ~bit;
	n->depth++;
	j->p++;
	return copy(out, j->p - 1, j->p);
}

/* A member's name and colon. */
static int member(struct ipk_json *j, struct ipk_buf *out)
{
	const char *start, *raw;
	size_t len;
	bool plain;
	int r;

	ipk_json_blank(j);
	start = j->p;
	r = ipk_json_string_scan(j, &raw, &len, &plain);
	if (r == 0)
		r = copy(out, start, j->p);
	if (r < 0)
		return r;
	return ipk_json_take(j, ':') ? copy(out, j->p - 1, j->p) : -EINVAL;
}

/* Behind a value: closes what closes here. 1: all is closed; 0: another value follows. */
static int after_value(struct ipk_json *j, struct nest *n, struct ipk_buf *out)
{
	int r;

	while (n->depth > 0) {
		bool object = in_object(n);

		if (ipk_json_take(j, ',')) {
			r = copy(out, j->p - 1, j->p);
			return r == 0 && object ? member(j, out) : r;
		}
		if (!ipk_json_take(j, object ? '}' : ']'))
			return -EINVAL;
		r = copy(out, j->p - 1, j->p);
		if (r < 0)
			return r;
		n->depth--;
	}
	return 1;
}

int ipk_json_value_copy(struct ipk_json *j, struct ipk_buf *out)
{
	struct nest n = {.depth = 0};
	const char *start;
	int r;

	for (;;) {
		ipk_json_blank(j);
		start = j->p;
		if (j->p < j->end && (*j->p == '{' || *j->p == '[')) {
			r = open_bracket(j, &n, out);
			if (r < 0)
				return r;
			ipk_json_blank(j);
			if (j->p == j->end || *j->p != (in_object(&n) ? '}' : ']')) {
				r = in_object(&n) ? member(j, out) : 0;
				if (r < 0)
					return r;
				continue;
			}
			/* Empty: the bracket closes as it would behind a value. */
		} else {
			r = scalar(j);
			if (r == 0)
				r = copy(out, start, j->p);
			if (r < 0)
				return r;
		}
		r = after_value(j, &n, out);
		if (r != 0)
			return r < 0 ? r : 0;
	}
}
