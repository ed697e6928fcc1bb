/* SPDX-License-Identifier: MIT */
/*
 * Text to value. A scalar line goes straight to its bytes; structs, arrays and everything under
 * IPK_VALUE_JSON are read from JSON by the schema, into their place in the output, without a tree.
 */
#include <stdio.h>
#include <stdlib.h>

#include "buf.h"
#include "number.h"
#include "value_parser.h"

/* ---- scalars of fixed size ------------------------------------------------------------------- */

/* Stores an integer; -ERANGE when the type cannot hold it. dst need not be aligned. */
static int store_integer(enum ipk_base base, bool neg, u64 mag, void *dst)
{
	static const u8 bytes[] = {[IPK_I8] = 1, [IPK_I16] = 2, [IPK_I32] = 4, [IPK_I64] = 8,
				   [IPK_U8] = 1, [IPK_U16] = 2, [IPK_U32] = 4, [IPK_U64] = 8};
	unsigned bits = bytes[base] * 8u;
	u64 limit, val = neg ? 0 - mag : mag;
	u32 v32 = (u32)val;
	u16 v16 = (u16)val;
	u8 v8 = (u8)val;

	if (base <= IPK_I64)
		limit = (UINT64_C(1) << (bits - 1)) - !neg;
	else
		limit = neg ? 0 : UINT64_MAX >> (64 - bits);
	if (mag > limit)
		return -ERANGE;
	switch (bytes[base]) {
	case 1:
		memcpy(dst, &v8, 1);
		break;
	case 2:
		memcpy(dst, &v16, 2);
		break;
	case 4:
		memcpy(dst, &v32, 4);
		break;
	default:
		memcpy(dst, &val, 8);
	}
	return 0;
}

/* A number from exactly these characters. -EINVAL, -ERANGE; no message. */
static int store_number(enum ipk_base base, const char *text, size_t len, void *dst)
{
	double f64;
	float f32;
	bool neg;
	u64 mag;
	int r;

	if (base == IPK_F64) {
		r = ipk_f64_parse(text, len, &f64);
		if (r == 0)
			memcpy(dst, &f64, sizeof(f64));
		return r;
	}
	if (base == IPK_F32) {
		r = ipk_f32_parse(text, len, &f32);
		if (r == 0)
			memcpy(dst, &f32, sizeof(f32));
		return r;
	}
	r = ipk_integer_parse(text, len, &neg, &mag);
	return r == 0 ? store_integer(base, neg, mag, dst) : r;
}

/* true or false from exactly these characters. */
static int store_bool(const char *text, size_t len, void *dst)
{
	bool yes = len == 4 && memcmp(text, "true", 4) == 0;

	if (!yes && !(len == 5 && memcmp(text, "false", 5) == 0))
		return -EINVAL;
	*(u8 *)dst = yes;
	return 0;
}

/* NaN and infinities, which JSON has no numbers for; never 1.5 as a string. */
static bool special_word(const char *text, size_t len)
{
	size_t sign = len > 0 && (text[0] == '-' || text[0] == '+');

	return len > sign && ((text[sign] | 32) == 'i' || (text[sign] | 32) == 'n');
}

static int json_number(struct ipk_value_parser *ps, const struct ipk_type *type, void *dst)
{
	bool is_float = type->base == IPK_F32 || type->base == IPK_F64;
	struct ipk_json j = ps->j;
	const char *num;
	size_t len;
	bool flag;
	int r;

	if (is_float && ps->j.p < ps->j.end && *ps->j.p == '"') {
		r = ipk_json_string_scan(&j, &num, &len, &flag);
		if (r == 0 && !special_word(num, len))
			r = -EINVAL;
	} else {
		r = ipk_json_number_scan(&j, &num, &len, &flag);
		if (r == 0 && !is_float && !flag)
			r = -EINVAL;
	}
	if (r == 0)
		r = store_number(type->base, num, len, dst);
	if (r == -ERANGE)
		return ipk_value_unfit(ps, type, num, len);
	if (r < 0)
		return ipk_value_wants(ps, type);
	ps->j = j;
	return 0;
}

static int json_bool(struct ipk_value_parser *ps, const struct ipk_type *type, void *dst)
{
	size_t len = 0, left = (size_t)(ps->j.end - ps->j.p);

	while (len < left && len < 6 && ps->j.p[len] >= 'a' && ps->j.p[len] <= 'z')
		len++;
	if (store_bool(ps->j.p, len, dst) < 0)
		return ipk_value_wants(ps, type);
	ps->j.p += len;
	return 0;
}

/* ---- strings --------------------------------------------------------------------------------- */

static int nibble(char c)
{
	char l = (char)(c | 32);

	if (c >= '0' && c <= '9')
		return c - '0';
	return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

/* Bytes of a JSON string or of {"$hex":"6162"}, still spelled: raw, len, and how. */
struct spelled {
	const char *raw;
	size_t len;
	bool plain, hex;
};

static int scan_bytes(struct ipk_value_parser *ps, const struct ipk_type *type, struct spelled *s)
{
	struct ipk_json j = ps->j;
	const char *name;
	size_t n;
	bool plain;

	s->hex = ipk_json_take(&j, '{');
	if (s->hex) {
		ipk_json_blank(&j);
		if (ipk_json_string_scan(&j, &name, &n, &plain) < 0 || n != 4 ||
		    memcmp(name, "$hex", 4) != 0 || !ipk_json_take(&j, ':'))
			return ipk_value_wants(ps, type);
		ipk_json_blank(&j);
	}
	if (ipk_json_string_scan(&j, &s->raw, &s->len, &s->plain) < 0)
		return ipk_value_wants(ps, type);
	if (s->hex) {
		if (!ipk_json_take(&j, '}'))
			return ipk_value_wants(ps, type);
		if (s->len % 2)
			return ipk_value_malformed(ps, "wants an even number of digits in $hex");
		for (size_t i = 0; i < s->len; i++) {
			if (nibble(s->raw[i]) < 0)
				return ipk_value_malformed(ps, "wants hexadecimal digits in $hex");
		}
	}
	ps->j = j;
	return 0;
}

/* dst has room for s->len bytes. */
static size_t resolve(const struct spelled *s, char *dst)
{
	if (s->hex) {
		for (size_t i = 0; i < s->len; i += 2)
			dst[i / 2] = (char)(nibble(s->raw[i]) << 4 | nibble(s->raw[i + 1]));
		return s->len / 2;
	}
	if (!s->plain)
		return ipk_json_unescape(dst, s->raw, s->len);
	memcpy(dst, s->raw, s->len);
	return s->len;
}

/* str:N and bytes:N; dst is zeroed. */
static int json_in_place(struct ipk_value_parser *ps, const struct ipk_type *type, char *dst)
{
	struct spelled s;
	char *tmp;
	size_t len;
	int r;

	r = scan_bytes(ps, type, &s);
	if (r < 0)
		return r;
	if (s.plain && !s.hex) {
		if (s.len > type->unit)
			return ipk_value_too_long(ps, type, s.len);
		memcpy(dst, s.raw, s.len);
		return 0;
	}
	/* How long it is shows only when it is resolved. */
	tmp = malloc(s.len + 1);
	if (!tmp)
		return ipk_error_set(ps->err, -ENOMEM, "out of memory");
	len = resolve(&s, tmp);
	if (len <= type->unit)
		memcpy(dst, tmp, len);
	free(tmp);
	return len <= type->unit ? 0 : ipk_value_too_long(ps, type, len);
}

/* ---- structs and arrays --------------------------------------------------------------------- */

static int json_value(struct ipk_value_parser *ps, const struct ipk_type *type, char *dst);

/*
 * Finds a field by name, starting where the last one was found: in the order of the schema or in
 * reverse, each is found at once.
 */
static i64 find_field(const struct ipk_type *type, i64 last, const char *name, size_t len)
{
	i64 n = type->nfields;

	for (i64 up = last + 1, down = last; up < n || down >= 0; up++, down--) {
		if (up < n && strncmp(type->fields[up].name, name, len) == 0 &&
		    type->fields[up].name[len] == '\0')
			return up;
		if (down >= 0 && strncmp(type->fields[down].name, name, len) == 0 &&
		    type->fields[down].name[len] == '\0')
			return down;
	}
	return -1;
}

static int bad_field(struct ipk_value_parser *ps, const char *what, const char *name, size_t len)
{
	char where[128], shown[80];

	return ipk_error_set(ps->err, -EINVAL, "%s%s field \"%s\"",
			     ipk_value_subject(ps, where, sizeof(where)), what,
			     ipk_quote(name, len, shown, sizeof(shown)));
}

static int missing_field(struct ipk_value_parser *ps, const struct ipk_type *type, const u64 *seen)
{
	for (u32 i = 0; i < type->nfields; i++) {
		if (!(seen[i / 64] >> i % 64 & 1))
			return bad_field(ps, "lacks", type->fields[i].name,
					 strlen(type->fields[i].name));
	}
	return 0;
}

static int json_member(struct ipk_value_parser *ps, const struct ipk_type *type, char *dst,
		       u64 *seen, i64 *last)
{
	struct ipk_value_path at = {.up = ps->path};
	const struct ipk_field *f;
	const char *name;
	size_t len;
	bool plain;
	i64 i;
	int r;

	ipk_json_blank(&ps->j);
	if (ps->j.p == ps->j.end || *ps->j.p != '"')
		return ipk_value_malformed(ps, "wants a field's name in quotes");
	r = ipk_json_string_scan(&ps->j, &name, &len, &plain);
	if (r < 0)
		return ipk_value_malformed(ps, "has a broken field name");
	/* Names are plain letters; who spells one with escapes gets "unknown". */
	i = find_field(type, *last, name, len);
	if (i < 0)
		return bad_field(ps, "has no", name, len);
	if (seen[i / 64] >> i % 64 & 1)
		return bad_field(ps, "has twice the", name, len);
	seen[i / 64] |= UINT64_C(1) << i % 64;
	*last = i;
	f = &type->fields[i];
	at.name = f->name;
	ps->path = &at;
	if (!ipk_json_take(&ps->j, ':'))
		return ipk_value_malformed(ps, "wants \":\" behind its name");
	r = json_value(ps, &f->type, dst + f->offset);
	if (r == 0)
		ps->path = at.up;
	return r;
}

static int json_struct(struct ipk_value_parser *ps, const struct ipk_type *type, char *dst)
{
	u64 few[4] = {0}, *seen = few;
	i64 last = -1;
	int r;

	if (!ipk_json_take(&ps->j, '{'))
		return ipk_value_wants(ps, type);
	if (type->nfields > 64 * IPK_ARRAY_LEN(few)) {
		seen = calloc((type->nfields + 63) / 64, sizeof(*seen));
		if (!seen)
			return ipk_error_set(ps->err, -ENOMEM, "out of memory");
	}
	r = 0;
	if (!ipk_json_take(&ps->j, '}')) {
		do
			r = json_member(ps, type, dst, seen, &last);
		while (r == 0 && ipk_json_take(&ps->j, ','));
		if (r == 0 && !ipk_json_take(&ps->j, '}'))
			r = ipk_value_malformed(ps, "wants \",\" or \"}\"");
	}
	if (r == 0)
		r = missing_field(ps, type, seen);
	if (seen != few)
		free(seen);
	return r;
}

static int wrong_count(struct ipk_value_parser *ps, const struct ipk_type *type, u32 got, bool more)
{
	char where[128], type_words[64];

	return ipk_error_set(ps->err, -EINVAL, "%swants %s, got %s%u",
			     ipk_value_subject(ps, where, sizeof(where)),
			     ipk_type_words(type, type_words, sizeof(type_words)),
			     more ? "more than " : "", got);
}

static int json_array(struct ipk_value_parser *ps, const struct ipk_type *type, char *dst)
{
	struct ipk_type item = *type;
	struct ipk_value_path at = {.up = ps->path};
	int r;

	if (!ipk_json_take(&ps->j, '['))
		return ipk_value_wants(ps, type);
	item.count = 0;
	item.size = item.unit;
	for (u32 i = 0; i < type->count; i++) {
		ipk_json_blank(&ps->j);
		if (ps->j.p < ps->j.end && *ps->j.p == ']')
			return i ? ipk_value_malformed(ps, "wants a value behind \",\"")
				 : wrong_count(ps, type, 0, false);
		at.index = i;
		ps->path = &at;
		r = json_value(ps, &item, dst + (size_t)i * item.size);
		if (r < 0)
			return r;
		ps->path = at.up;
		if (i + 1 < type->count && !ipk_json_take(&ps->j, ',')) {
			if (ipk_json_take(&ps->j, ']'))
				return wrong_count(ps, type, i + 1, false);
			return ipk_value_malformed(ps, "wants \",\" or \"]\"");
		}
	}
	if (ipk_json_take(&ps->j, ','))
		return wrong_count(ps, type, type->count, true);
	return ipk_json_take(&ps->j, ']') ? 0 : ipk_value_malformed(ps, "wants \",\" or \"]\"");
}

/* A value of fixed type into its zeroed place. */
static int json_value(struct ipk_value_parser *ps, const struct ipk_type *type, char *dst)
{
	ipk_json_blank(&ps->j);
	if (type->count)
		return json_array(ps, type, dst);
	switch (type->base) {
	case IPK_STRUCT:
		return json_struct(ps, type, dst);
	case IPK_STR:
	case IPK_BYTES:
		return json_in_place(ps, type, dst);
	case IPK_BOOL:
		return json_bool(ps, type, dst);
	default:
		return json_number(ps, type, dst);
	}
}

/* ---- the whole value ------------------------------------------------------------------------ */

static int whole_json(struct ipk_value_parser *ps, const struct ipk_type *type, struct ipk_buf *out)
{
	struct spelled s;
	char *dst;
	int r;

	if (type->base == IPK_JSON) {
		ipk_json_blank(&ps->j);
		r = ipk_json_value_copy(&ps->j, out);
		if (r == -EINVAL)
			return ipk_value_malformed(ps, "wants json");
		if (r == -EMSGSIZE)
			return ipk_error_set(ps->err, -EMSGSIZE,
					     "json nested deeper than %d levels", IPK_JSON_DEPTH);
		return r == -ENOMEM ? ipk_error_set(ps->err, r, "out of memory") : r;
	}
	if (type->size == 0) {
		ipk_json_blank(&ps->j);
		r = scan_bytes(ps, type, &s);
		if (r < 0)
			return r;
		dst = ipk_buf_room(out, s.len);
		if (!dst)
			return ipk_error_set(ps->err, -ENOMEM, "out of memory");
		out->len += resolve(&s, dst);
		return 0;
	}
	dst = ipk_buf_room(out, type->size);
	if (!dst)
		return ipk_error_set(ps->err, -ENOMEM, "out of memory");
	memset(dst, 0, type->size);
	out->len += type->size;
	return json_value(ps, type, dst);
}

static int parse_json(const struct ipk_type *type, const char *text, size_t len,
		      struct ipk_buf *out, struct ipk_error *err)
{
	struct ipk_value_parser ps = {.j = {text, text + len}, .err = err};
	size_t before = out->len;
	int r;

	r = whole_json(&ps, type, out);
	if (r == 0) {
		ipk_json_blank(&ps.j);
		if (ps.j.p < ps.j.end)
			r = ipk_value_malformed(&ps, "wants nothing behind the value");
	}
	if (r < 0)
		out->len = before;
	return r;
}

static int parse_bytes(const struct ipk_type *type, const char *text, size_t len,
		       struct ipk_buf *out, struct ipk_error *err)
{
	struct ipk_value_parser ps = {.err = err};
	size_t size = type->size ? type->size : len;
	char *dst;

	if (len > size)
		return ipk_value_too_long(&ps, type, len);
	dst = ipk_buf_room(out, size);
	if (!dst)
		return ipk_error_set(err, -ENOMEM, "out of memory");
	if (len)
		memcpy(dst, text, len);
	if (size > len)
		memset(dst + len, 0, size - len);
	out->len += size;
	return 0;
}

int ipk_value_parse(const struct ipk_type *type, const char *text, size_t len, unsigned flags,
		    struct ipk_buf *out, struct ipk_error *err)
{
	struct ipk_value_parser ps = {.err = err};
	char type_words[64], shown[48];
	char *dst;
	int r;

	if ((flags & IPK_VALUE_JSON) || type->count || type->base >= IPK_JSON)
		return parse_json(type, text, len, out, err);
	if (type->base == IPK_STR || type->base == IPK_BYTES)
		return parse_bytes(type, text, len, out, err);
	dst = ipk_buf_room(out, type->size);
	if (!dst)
		return ipk_error_set(err, -ENOMEM, "out of memory");
	if (type->base == IPK_BOOL)
		r = store_bool(text, len, dst);
	else
		r = store_number(type->base, text, len, dst);
	if (ipk_likely(r == 0)) {
		out->len += type->size;
		return 0;
	}
	if (r == -ERANGE)
		return ipk_value_unfit(&ps, type, text, len);
	return ipk_error_set(err, -EINVAL, "wants %s, got \"%s\"",
			     ipk_type_words(type, type_words, sizeof(type_words)),
			     ipk_quote(text, len, shown, sizeof(shown)));
}
