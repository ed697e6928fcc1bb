/* SPDX-License-Identifier: MIT */
/*
 * JSON text, RFC 8259, without a tree: a cursor over the bytes. Our own because values must come
 * through exactly (64-bit integers, every bit of a double, embedded NUL), and because a struct is
 * read straight into its bytes, several million a second, which no library's tree allows.
 *
 * Strings must be UTF-8 and escapes must not name half a surrogate pair, so that every string has
 * one meaning as bytes. Nesting is bounded by IPK_JSON_DEPTH and never by the stack.
 */
#ifndef IPK_JSON_H
#define IPK_JSON_H

#include "base/base.h"
#include "ipk/type.h"

#define IPK_JSON_DEPTH 512

struct ipk_json {
	const char *p;
	const char *end;
};

static inline void ipk_json_blank(struct ipk_json *j)
{
	while (j->p < j->end && (*j->p == ' ' || *j->p == '\t' || *j->p == '\n' || *j->p == '\r'))
		j->p++;
}

/* Skips blanks, then takes c if it comes next. */
static inline bool ipk_json_take(struct ipk_json *j, char c)
{
	ipk_json_blank(j);
	if (j->p == j->end || *j->p != c)
		return false;
	j->p++;
	return true;
}

/* Number of bytes of the UTF-8 sequence at p, or 0: not UTF-8 (overlong, surrogate, cut short). */
size_t ipk_utf8_sequence(const unsigned char *p, const unsigned char *end);
bool ipk_utf8_ok(const void *data, size_t len);

/*
 * At a string: moves behind it. *ret_raw are the bytes between the quotes, *ret_plain is true when
 * they hold no escapes. -EINVAL when it is none; the cursor is then anywhere inside.
 */
int ipk_json_string_scan(struct ipk_json *j, const char **ret_raw, size_t *ret_len,
			 bool *ret_plain);
/* Resolves the escapes of a scanned string; dst has room for len bytes. Returns the length. */
size_t ipk_json_unescape(char *dst, const char *raw, size_t len);

/* At a number: moves behind it. -EINVAL. *ret_whole: it has neither fraction nor exponent. */
int ipk_json_number_scan(struct ipk_json *j, const char **ret_num, size_t *ret_len,
			 bool *ret_whole);

/*
 * Moves behind one value of any kind and appends it to out (may be NULL) without blanks, numbers
 * and strings as they are spelled. -EINVAL malformed (the cursor is where), -EMSGSIZE nested too
 * deep.
 */
int ipk_json_value_copy(struct ipk_json *j, struct ipk_buf *out);

#endif
