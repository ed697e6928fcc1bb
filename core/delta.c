/* SPDX-License-Identifier: MIT */
/* What verbs like incr add to a number. */
#include "type.h"

/* The lower size bytes of val as an integer of that size. */
static void narrow(void *dst, uint64_t val, uint32_t size)
{
	uint32_t v4 = (uint32_t)val;
	uint16_t v2 = (uint16_t)val;
	uint8_t v1 = (uint8_t)val;

	memcpy(dst,
	       size == 8   ? (void *)&val
	       : size == 4 ? (void *)&v4
	       : size == 2 ? (void *)&v2
			   : &v1,
	       size);
}

int ipk_delta_parse(const struct ipk_type *type, const char *text, size_t len, void *ret_delta,
		    struct ipk_error *err)
{
	static const struct ipk_type i64_type = {.base = IPK_I64, .size = 8, .align = 8, .unit = 8};
	static const struct ipk_type u64_type = {.base = IPK_U64, .size = 8, .align = 8, .unit = 8};
	struct ipk_buf buf = {0};
	uint64_t wide;
	int r;

	if (type->count || type->base > IPK_F64)
		return ipk_error_set(err, -EMEDIUMTYPE,
				     "the values are %s; numbers can be added to", type->text);
	if (type->base >= IPK_F32) {
		r = ipk_value_parse(type, text, len, 0, &buf, err);
		if (!r)
			memcpy(ret_delta, buf.data, type->size);
	} else {
		r = ipk_value_parse(&i64_type, text, len, 0, &buf, err);
		if (r == -ERANGE)
			r = ipk_value_parse(&u64_type, text, len, 0, &buf, err);
		if (!r) {
			memcpy(&wide, buf.data, 8);
			narrow(ret_delta, wide, type->size);
		}
	}
	ipk_buf_free(&buf);
	return r;
}
