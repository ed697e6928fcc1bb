/* SPDX-License-Identifier: MIT */
/*
 * Just enough JSON to take an object apart into the texts of its members; what a text means is for
 * ipk_value_parse(), which knows the type and keeps 64-bit integers exact.
 */
#include <errno.h>
#include <string.h>

#include "cli.h"

#define DEPTH_MAX 64

static const char *blanks(const char *p, const char *end)
{
	while (p < end && strchr(" \t\r\n", *p) && *p)
		p++;
	return p;
}

static const char *string(const char *p, const char *end)
{
	if (p == end || *p != '"')
		return NULL;
	for (p++; p < end && *p != '"'; p++)
		if (*p == '\\' && ++p == end)
			return NULL;
	return p < end ? p + 1 : NULL;
}

/* Behind the value at p. Brackets are matched; what is between them is left to the parser. */
static const char *value(const char *p, const char *end)
{
	char open[DEPTH_MAX];
	int depth = 0;

	do {
		p = blanks(p, end);
		if (p == end)
			return NULL;
		if (*p == '"') {
			p = string(p, end);
			if (!p)
				return NULL;
		} else if (*p == '{' || *p == '[') {
			if (depth == DEPTH_MAX)
				return NULL;
			open[depth++] = *p++;
		} else if (*p == '}' || *p == ']') {
			if (!depth || open[--depth] != (*p == '}' ? '{' : '['))
				return NULL;
			p++;
		} else if (*p == ',' || *p == ':') {
			if (!depth)
				return NULL;
			p++;
		} else {
			const char *from = p;

			while (p < end && *p && !strchr(" \t\r\n,:{}[]\"", *p))
				p++;
			if (p == from)
				return NULL;
		}
	} while (depth > 0);
	return p;
}

int cli_members(const char *text, size_t len,
		int (*fn)(void *arg, const char *key, size_t klen, const char *val, size_t vlen),
		void *arg)
{
	const char *end = text + len, *p = blanks(text, end);
	int r;

	if (p == end || *p++ != '{')
		return -EINVAL;
	p = blanks(p, end);
	if (p < end && *p == '}')
		return blanks(p + 1, end) == end ? 0 : -EINVAL;
	for (;;) {
		const char *key = blanks(p, end), *key_end = string(key, end), *val;

		if (!key_end)
			return -EINVAL;
		p = blanks(key_end, end);
		if (p == end || *p++ != ':')
			return -EINVAL;
		val = blanks(p, end);
		p = value(val, end);
		if (!p)
			return -EINVAL;
		r = fn(arg, key, (size_t)(key_end - key), val, (size_t)(p - val));
		if (r)
			return r;
		p = blanks(p, end);
		if (p == end || (*p != ',' && *p != '}'))
			return -EINVAL;
		if (*p++ == '}')
			return blanks(p, end) == end ? 0 : -EINVAL;
	}
}

struct pair {
	const char **key, **value;
	size_t *klen, *vlen;
};

static int pair_member(void *arg, const char *key, size_t klen, const char *val, size_t vlen)
{
	struct pair *p = arg;

	if (klen == 5 && !memcmp(key, "\"key\"", 5)) {
		*p->key = val;
		*p->klen = vlen;
	} else if (klen == 7 && !memcmp(key, "\"value\"", 7)) {
		*p->value = val;
		*p->vlen = vlen;
	} else {
		return -EINVAL;
	}
	return 0;
}

int cli_split_pair(const char *text, size_t len, const char **ret_key, size_t *ret_klen,
		   const char **ret_value, size_t *ret_vlen)
{
	struct pair p = {ret_key, ret_value, ret_klen, ret_vlen};
	int r;

	*ret_key = *ret_value = NULL;
	r = cli_members(text, len, pair_member, &p);
	return r ? r : *ret_key && *ret_value ? 0 : -EINVAL;
}
