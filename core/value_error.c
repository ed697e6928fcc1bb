/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "value_parser.h"

static void spell_path(const struct ipk_value_path *path, char *buf, size_t size)
{
	const struct ipk_value_path *chain[64];
	size_t n = 0, len = 0;

	for (; path && n < IPK_ARRAY_LEN(chain); path = path->up)
		chain[n++] = path;
	buf[0] = '\0';
	while (n-- > 0 && len < size) {
		/* cppcheck-suppress uninitvar ; n counts what was filled */
		const struct ipk_value_path *at = chain[n];
		int k;

		if (at->name)
			k = snprintf(buf + len, size - len, "%s%.40s", len ? "." : "", at->name);
		else
			k = snprintf(buf + len, size - len, "[%u]", at->index);
		len += (size_t)k;
	}
}

const char *ipk_value_subject(const struct ipk_value_parser *ps, char *buf, size_t size)
{
	char path[96];

	if (!ps->path)
		return "";
	if (!ps->path->up && !ps->path->name) {
		snprintf(buf, size, "item %u ", ps->path->index);
		return buf;
	}
	spell_path(ps->path, path, sizeof(path));
	snprintf(buf, size, "field \"%s\" ", path);
	return buf;
}

/* The token at the cursor as the user wrote it. */
static const char *token(const struct ipk_value_parser *ps, char *buf, size_t size)
{
	struct ipk_json j = ps->j;
	const char *raw;
	size_t len;
	bool plain;

	ipk_json_blank(&j);
	if (j.p == j.end)
		return "nothing";
	raw = j.p;
	if (*raw == '{')
		return "an object";
	if (*raw == '[')
		return "an array";
	if (*raw == '"' && ipk_json_string_scan(&j, &raw, &len, &plain) == 0)
		return ipk_quote(raw - 1, len + 2, buf, size);
	for (len = 0; len < (size_t)(j.end - raw) && !strchr(",]} \t\r\n", raw[len]); len++)
		;
	return ipk_quote(raw, len ? len : 1, buf, size);
}

int ipk_value_wants(struct ipk_value_parser *ps, const struct ipk_type *type)
{
	char where[128], type_words[64], got[48];

	return ipk_error_set(
		ps->err, -EINVAL, "%swants %s, got %s", ipk_value_subject(ps, where, sizeof(where)),
		ipk_type_words(type, type_words, sizeof(type_words)), token(ps, got, sizeof(got)));
}

int ipk_value_malformed(struct ipk_value_parser *ps, const char *what)
{
	char where[128], got[48];

	return ipk_error_set(ps->err, -EINVAL, "%s%s, got %s",
			     ipk_value_subject(ps, where, sizeof(where)), what,
			     token(ps, got, sizeof(got)));
}

int ipk_value_unfit(struct ipk_value_parser *ps, const struct ipk_type *type, const char *num,
		    size_t len)
{
	char buf[128], type_words[64], shown[48];
	const char *where = ipk_value_subject(ps, buf, sizeof(buf));

	return ipk_error_set(ps->err, -ERANGE, "%s%s%s does not fit %s", where,
			     *where ? "is out of range: " : "",
			     ipk_quote(num, len, shown, sizeof(shown)),
			     ipk_type_words(type, type_words, sizeof(type_words)));
}

int ipk_value_too_long(struct ipk_value_parser *ps, const struct ipk_type *type, size_t len)
{
	char where[128], type_words[64];

	return ipk_error_set(ps->err, -EMSGSIZE, "%s%zu bytes do not fit %s",
			     ipk_value_subject(ps, where, sizeof(where)), len,
			     ipk_type_words(type, type_words, sizeof(type_words)));
}
