/* SPDX-License-Identifier: MIT */
/* What the parts of the type and value code share. */
#ifndef IPK_CORE_TYPE_H
#define IPK_CORE_TYPE_H

#include "base/base.h"
#include "ipk/type.h"

#define IPK_TYPE_TEXT_MAX 65535u /* fits the 16-bit length in an object header */
#define IPK_TYPE_LEVELS 16u
#define IPK_TYPE_SIZE_MAX (16u << 20)
#define IPK_TYPE_COUNT_MAX (1u << 20)

/* The name of a base type ("u32"), "struct" for IPK_STRUCT. */
const char *ipk_base_name(enum ipk_base base);
/* Appends the canonical schema of any type, also of one inside another. */
int ipk_type_print(const struct ipk_type *type, struct ipk_buf *out);

/*
 * A few words for an error message, such as u32, str:8, an object, an array of 3 f32.
 * Returns buf, which is cut to size.
 */
const char *ipk_type_words(const struct ipk_type *type, char *buf, size_t size);
/*
 * What is to be added to a value of a number type, of type->size bytes in *ret_delta; negative
 * numbers too where the type has none. -EMEDIUMTYPE not a number type; errors as ipk_value_parse().
 */
int ipk_delta_parse(const struct ipk_type *type, const char *text, size_t len, void *ret_delta,
		    struct ipk_error *err);
/* Text of a user as it may stand in an error message: short, printable, on one line. */
const char *ipk_quote(const char *text, size_t len, char *buf, size_t size);

#endif
