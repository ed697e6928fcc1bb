/* SPDX-License-Identifier: MIT */
/*
 * The first byte picks flags, what precedes the first newline is a schema, the rest a value in
 * text. What is accepted prints, and what is printed reads back to the same bytes.
 */
#include <stdlib.h>

#include "base/base.h"
#include "ipk/type.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const struct ipk_type *type, const char *text, size_t len, unsigned flags)
{
	struct ipk_buf value = {0}, out = {0}, again = {0};
	struct ipk_error err;

	if (ipk_value_parse(type, text, len, flags, &value, &err) == 0) {
		if (type->size && value.len != type->size)
			abort();
		if (ipk_value_print(type, value.data, value.len, flags, &out) != 0 ||
		    ipk_value_parse(type, out.data, out.len, flags, &again, &err) != 0 ||
		    again.len != value.len ||
		    (value.len && memcmp(again.data, value.data, value.len) != 0))
			abort();
	}
	ipk_buf_free(&value);
	ipk_buf_free(&out);
	ipk_buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *line = size > 1 ? memchr(data + 1, '\n', size - 1) : NULL;
	struct ipk_type *type;
	struct ipk_buf out = {0};

	if (!line ||
	    ipk_type_parse((const char *)data + 1, (size_t)(line - data - 1), &type, NULL) != 0)
		return 0;
	if (type->size <= 1u << 20) {
		size_t len = size - (size_t)(line + 1 - data);

		round_trip(type, (const char *)line + 1, len, data[0] & IPK_VALUE_JSON);
		/* And the bytes as a value that somebody else stored. */
		ipk_value_print(type, line + 1, len, data[0] & IPK_VALUE_JSON, &out);
		ipk_buf_free(&out);
	}
	ipk_type_free(type);
	return 0;
}
