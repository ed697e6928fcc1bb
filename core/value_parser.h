/* SPDX-License-Identifier: MIT */
/* Reading a value: where the reader stands, and what it says when it cannot go on. */
#ifndef IPK_VALUE_PARSER_H
#define IPK_VALUE_PARSER_H

#include "json.h"
#include "type.h"

/* Where in the value we are, for messages: the chain from the innermost place outwards. */
struct ipk_value_path {
	const struct ipk_value_path *up;
	const char *name; /* a field, or NULL: item index */
	u32 index;
};

struct ipk_value_parser {
	struct ipk_json j;
	struct ipk_error *err;
	const struct ipk_value_path *path;
};

/* What every message begins with: `field "pos.x[2]" `, `item 3 `, or nothing for the whole value.
 */
const char *ipk_value_subject(const struct ipk_value_parser *ps, char *buf, size_t size);

/* Each fills ps->err and returns its code. `wants f64, got "abc"`: the token at the cursor. */
int ipk_value_wants(struct ipk_value_parser *ps, const struct ipk_type *type);
int ipk_value_malformed(struct ipk_value_parser *ps, const char *what);
int ipk_value_unfit(struct ipk_value_parser *ps, const struct ipk_type *type, const char *num,
		    size_t len);
int ipk_value_too_long(struct ipk_value_parser *ps, const struct ipk_type *type, size_t len);

#endif
