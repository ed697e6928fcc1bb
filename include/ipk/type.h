/* SPDX-License-Identifier: MIT */
/*
 * Element types and values.
 *
 *	type   = scalar | array | struct
 *	scalar = i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 bool          fixed size
 *	       | str:N | bytes:N                                       N bytes in place, NUL-padded
 *	       | str | bytes | json                                    variable; only as the whole type
 *	array  = scalar[N] | struct[N]                                 1 <= N <= 2^20
 *	struct = "{" type name { ";" type name } [";"] "}"             laid out as C lays it out
 *
 * e.g. "f64", "f32[3]", "{u32 id; f64 px; str:8 sym}". A struct may hold structs and arrays, not
 * variable types. Names are [A-Za-z_][A-Za-z0-9_]*, unique in their struct. At most 65,535
 * bytes of text, 16 levels of structs, 16 MiB an element.
 *
 * A value is the bytes of one element: for fixed types exactly type->size of them, in native byte
 * order at natural alignment; for variable types any number.
 *
 * Threads: types are immutable after parsing and may be shared. Nothing here touches shared memory.
 */
#ifndef IPK_TYPE_H
#define IPK_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipk/error.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

enum ipk_base {
	IPK_I8 = 1, IPK_I16, IPK_I32, IPK_I64,
	IPK_U8, IPK_U16, IPK_U32, IPK_U64,
	IPK_F32, IPK_F64, IPK_BOOL,
	IPK_STR, IPK_BYTES, IPK_JSON, /* with size 0: variable; STR and BYTES with size N: str:N, bytes:N */
	IPK_STRUCT,
};

struct ipk_field;

struct ipk_type {
	enum ipk_base base;
	uint32_t size; /* bytes of one element, arrays included; 0: variable */
	uint32_t align; /* 1, 2, 4 or 8 */
	uint32_t unit; /* bytes of one array item; == size when count is 0 */
	uint32_t count; /* array length; 0: not an array */
	uint32_t nfields; /* STRUCT */
	struct ipk_field *fields;
	char *text; /* canonical schema, e.g. "{u32 id; f64 px}"; set on the root only */
};

struct ipk_field {
	char *name;
	uint32_t offset;
	struct ipk_type type;
};

/* Parses a schema. -EINVAL with the column of the mistake in err; -EMSGSIZE over the limits. */
int ipk_type_parse(const char *text, size_t len, struct ipk_type **ret_type, struct ipk_error *err);
void ipk_type_free(struct ipk_type *type);
/* True when both mean the same bytes: canonical texts are equal. */
bool ipk_type_equal(const struct ipk_type *a, const struct ipk_type *b);

/* A growing buffer in private memory; zero-initialise, free with ipk_buf_free(). */
struct ipk_buf {
	char *data;
	size_t len;
	size_t cap;
};
int ipk_buf_add(struct ipk_buf *buf, const void *data, size_t len); /* 0 or -ENOMEM */
int ipk_buf_str(struct ipk_buf *buf, const char *str);
int ipk_buf_printf(struct ipk_buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void ipk_buf_free(struct ipk_buf *buf);

/*
 * Text to value, appended to out. Numbers in decimal (integers in 0x.. too), true/false, str and
 * bytes as they are, structs and arrays as JSON with keys in any order, all of them present, none
 * unknown. With json set, the whole text is JSON also for scalars and str ("\"abc\""); str and
 * bytes are then taken from {"$hex":".."} too. No blanks around a value that is not JSON.
 * -EINVAL (err: `field "px" wants f64, got "abc"`), -ERANGE number does not fit, -EMSGSIZE str:N
 * too long, json nested deeper than 512 levels. out is unchanged on failure.
 */
#define IPK_VALUE_JSON 1u
int ipk_value_parse(const struct ipk_type *type, const char *text, size_t len, unsigned flags,
		    struct ipk_buf *out, struct ipk_error *err);

/*
 * Value to text, appended to out, without a newline. Text: as parse reads it; str and bytes raw,
 * str:N without the NULs at its end. JSON (IPK_VALUE_JSON): 64-bit integers exact, NaN and
 * infinities as strings ("nan", "-inf"), str that is not UTF-8 and bytes as {"$hex":".."}. Floats
 * have the shortest digits that read back the same, NaNs keep their bits ("-nan", "nan(0x1)"). What
 * is printed parses back to the same bytes (padding in structs excepted: it is zero).
 * -EBADMSG when len is not the type's size (out is unchanged), or when a json element is not JSON:
 * then out has it as $hex all the same.
 */
int ipk_value_print(const struct ipk_type *type, const void *value, size_t len, unsigned flags,
		    struct ipk_buf *out);

/*
 * Orders two values of one type: <0, 0, >0; numbers by number, else by bytes. For --if-eq, ranges.
 */
int ipk_value_compare(const struct ipk_type *type, const void *a, size_t alen, const void *b,
		      size_t blen);

/* JSON string with quotes, or {"$hex":".."} where the bytes are not UTF-8. */
int ipk_json_string(struct ipk_buf *out, const void *data, size_t len);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
