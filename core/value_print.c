/* SPDX-License-Identifier: MIT */
/* Value to text, as JSON or as the line that ipk_value_parse() reads back. */
#include "buf.h"
#include "json.h"
#include "number.h"
#include "type.h"

static int add_hex(struct ipk_buf *out, const u8 *data, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	char *p;

	if (len > (SIZE_MAX - 16) / 2)
		return -ENOMEM;
	p = ipk_buf_room(out, 2 * len + 11);
	if (!p)
		return -ENOMEM;
	p = mempcpy(p, "{\"$hex\":\"", 9);
	for (size_t i = 0; i < len; i++) {
		*p++ = digits[data[i] >> 4];
		*p++ = digits[data[i] & 15];
	}
	memcpy(p, "\"}", 2);
	out->len += 2 * len + 11;
	return 0;
}

static int add_escape(struct ipk_buf *out, unsigned char c)
{
	static const char short_forms[][2] = {{'"', '"'},  {'\\', '\\'}, {'\n', 'n'}, {'\t', 't'},
					      {'\r', 'r'}, {'\b', 'b'},  {'\f', 'f'}};
	char esc[7] = "\\u00";

	for (size_t i = 0; i < IPK_ARRAY_LEN(short_forms); i++) {
		if ((unsigned char)short_forms[i][0] == c) {
			esc[1] = short_forms[i][1];
			return ipk_buf_add(out, esc, 2);
		}
	}
	esc[4] = (char)('0' + (c >> 4));
	esc[5] = "0123456789abcdef"[c & 15];
	return ipk_buf_add(out, esc, 6);
}

int ipk_json_string(struct ipk_buf *out, const void *data, size_t len)
{
	const unsigned char *p = data, *end = p + len;
	size_t before = out->len;
	int r;

	if (!ipk_utf8_ok(data, len))
		return add_hex(out, data, len);
	r = ipk_buf_add(out, "\"", 1);
	while (p < end && r == 0) {
		const unsigned char *start = p;

		while (p < end && *p >= 0x20 && *p != '"' && *p != '\\')
			p++;
		r = ipk_buf_add(out, start, (size_t)(p - start));
		if (r == 0 && p < end)
			r = add_escape(out, *p++);
	}
	if (r == 0)
		r = ipk_buf_add(out, "\"", 1);
	if (r < 0)
		out->len = before;
	return r;
}

static u64 load_unsigned(const void *src, u32 size)
{
	u64 v64;
	u32 v32;
	u16 v16;

	switch (size) {
	case 1:
		return *(const u8 *)src;
	case 2:
		memcpy(&v16, src, 2);
		return v16;
	case 4:
		memcpy(&v32, src, 4);
		return v32;
	default:
		memcpy(&v64, src, 8);
		return v64;
	}
}

static i64 load_signed(const void *src, u32 size)
{
	unsigned unused = 64 - 8 * size;

	return (i64)(load_unsigned(src, size) << unused) >> unused;
}

/* A number or bool of unit bytes; json: what JSON has no number for goes in quotes. */
static int add_scalar(const struct ipk_type *type, const void *src, bool json, struct ipk_buf *out)
{
	char *p = ipk_buf_room(out, IPK_NUMBER_MAX + 2), *num;
	double f64;
	float f32;
	size_t n;

	if (!p)
		return -ENOMEM;
	num = p + json; /* leaves room for a quote */
	switch (type->base) {
	case IPK_BOOL:
		return ipk_buf_str(out, *(const u8 *)src ? "true" : "false");
	case IPK_I8:
	case IPK_I16:
	case IPK_I32:
	case IPK_I64:
		out->len += ipk_i64_print(p, load_signed(src, type->unit));
		return 0;
	case IPK_F64:
		memcpy(&f64, src, 8);
		n = ipk_f64_print(num, f64);
		break;
	case IPK_F32:
		memcpy(&f32, src, 4);
		n = ipk_f32_print(num, f32);
		break;
	default:
		out->len += ipk_u64_print(p, load_unsigned(src, type->unit));
		return 0;
	}
	if (json && num[n - 1] >= '0' && num[n - 1] <= '9') {
		memmove(p, num, n);
	} else if (json) {
		p[0] = '"';
		p[n + 1] = '"';
		n += 2;
	}
	out->len += n;
	return 0;
}

/* str:N is as long as its last byte that is not NUL. */
static size_t str_length(const u8 *src, size_t size)
{
	while (size > 0 && src[size - 1] == 0)
		size--;
	return size;
}

static int add_value(const struct ipk_type *type, const u8 *src, struct ipk_buf *out);

static int add_struct(const struct ipk_type *type, const u8 *src, struct ipk_buf *out)
{
	int r = ipk_buf_add(out, "{", 1);

	for (u32 i = 0; i < type->nfields && r == 0; i++) {
		const struct ipk_field *f = &type->fields[i];
		size_t len = strlen(f->name);
		char *p = ipk_buf_room(out, len + 4), *start = p;

		if (!p)
			return -ENOMEM;
		if (i)
			*p++ = ',';
		*p++ = '"';
		p = mempcpy(p, f->name, len);
		*p++ = '"';
		*p++ = ':';
		out->len += (size_t)(p - start);
		r = add_value(&f->type, src + f->offset, out);
	}
	return r == 0 ? ipk_buf_add(out, "}", 1) : r;
}

static int add_array(const struct ipk_type *type, const u8 *src, struct ipk_buf *out)
{
	struct ipk_type item = *type;
	int r = ipk_buf_add(out, "[", 1);

	item.count = 0;
	item.size = item.unit;
	for (u32 i = 0; i < type->count && r == 0; i++) {
		r = i ? ipk_buf_add(out, ",", 1) : 0;
		if (r == 0)
			r = add_value(&item, src + (size_t)i * item.size, out);
	}
	return r == 0 ? ipk_buf_add(out, "]", 1) : r;
}

/* Fixed types, as JSON. */
static int add_value(const struct ipk_type *type, const u8 *src, struct ipk_buf *out)
{
	if (type->count)
		return add_array(type, src, out);
	switch (type->base) {
	case IPK_STRUCT:
		return add_struct(type, src, out);
	case IPK_STR:
		return ipk_json_string(out, src, str_length(src, type->unit));
	case IPK_BYTES:
		return add_hex(out, src, type->unit);
	default:
		return add_scalar(type, src, true, out);
	}
}

static int add_json(const u8 *src, size_t len, struct ipk_buf *out)
{
	struct ipk_json j = {(const char *)src, (const char *)src + len};
	size_t before = out->len;
	int r;

	/* Copied anew and not as it lies there: who wrote it may not have been us. */
	r = ipk_json_value_copy(&j, out);
	if (r == -ENOMEM)
		return r;
	if (r == 0) {
		ipk_json_blank(&j);
		if (j.p == j.end)
			return 0;
	}
	out->len = before;
	r = add_hex(out, src, len);
	return r < 0 ? r : -EBADMSG;
}

static int add_variable(const struct ipk_type *type, const u8 *src, size_t len, bool json,
			struct ipk_buf *out)
{
	if (type->base == IPK_JSON)
		return add_json(src, len, out);
	if (!json)
		return ipk_buf_add(out, src, len);
	return type->base == IPK_STR ? ipk_json_string(out, src, len) : add_hex(out, src, len);
}

int ipk_value_print(const struct ipk_type *type, const void *value, size_t len, unsigned flags,
		    struct ipk_buf *out)
{
	bool json = flags & IPK_VALUE_JSON;
	size_t before = out->len;
	int r;

	if (type->size == 0)
		return add_variable(type, value, len, json, out);
	if (len != type->size)
		return -EBADMSG;
	if (json || type->count || type->base == IPK_STRUCT)
		r = add_value(type, value, out);
	else if (type->base == IPK_STR)
		r = ipk_buf_add(out, value, str_length(value, len));
	else if (type->base == IPK_BYTES)
		r = ipk_buf_add(out, value, len);
	else
		r = add_scalar(type, value, false, out);
	if (r < 0)
		out->len = before;
	return r;
}
