/* SPDX-License-Identifier: MIT */
#include "type.h"

#define COMPARE(type, a, b)                                                                        \
	do {                                                                                       \
		type x_, y_;                                                                       \
		memcpy(&x_, a, sizeof(x_));                                                        \
		memcpy(&y_, b, sizeof(y_));                                                        \
		return (x_ > y_) - (x_ < y_);                                                      \
	} while (0)

/* NaN is equal to itself and above all else, so that there is one order. */
static int compare_floats(double x, double y)
{
	if (x != x || y != y)
		return (x != x) - (y != y);
	return (x > y) - (x < y);
}

static int compare_number(enum ipk_base base, const void *a, const void *b)
{
	double x, y;
	float s, t;

	switch (base) {
	case IPK_I8:
		COMPARE(int8_t, a, b);
	case IPK_I16:
		COMPARE(int16_t, a, b);
	case IPK_I32:
		COMPARE(int32_t, a, b);
	case IPK_I64:
		COMPARE(int64_t, a, b);
	case IPK_U16:
		COMPARE(u16, a, b);
	case IPK_U32:
		COMPARE(u32, a, b);
	case IPK_U64:
		COMPARE(u64, a, b);
	case IPK_F32:
		memcpy(&s, a, sizeof(s));
		memcpy(&t, b, sizeof(t));
		return compare_floats((double)s, (double)t);
	case IPK_F64:
		memcpy(&x, a, sizeof(x));
		memcpy(&y, b, sizeof(y));
		return compare_floats(x, y);
	default:
		COMPARE(u8, a, b);
	}
}

static int compare_fixed(const struct ipk_type *type, const u8 *a, const u8 *b)
{
	int r = 0;

	if (type->count) {
		struct ipk_type item = *type;

		item.count = 0;
		item.size = item.unit;
		for (u32 i = 0; i < type->count && r == 0; i++)
			r = compare_fixed(&item, a + (size_t)i * item.size,
					  b + (size_t)i * item.size);
		return r;
	}
	if (type->base == IPK_STR || type->base == IPK_BYTES)
		return memcmp(a, b, type->unit);
	if (type->base != IPK_STRUCT)
		return compare_number(type->base, a, b);
	for (u32 i = 0; i < type->nfields && r == 0; i++) {
		const struct ipk_field *f = &type->fields[i];

		r = compare_fixed(&f->type, a + f->offset, b + f->offset);
	}
	return r;
}

int ipk_value_compare(const struct ipk_type *type, const void *a, size_t alen, const void *b,
		      size_t blen)
{
	size_t n = alen < blen ? alen : blen;
	int r;

	if (type->size && alen == type->size && blen == type->size)
		return compare_fixed(type, a, b);
	r = n ? memcmp(a, b, n) : 0;
	return r ? r : (alen > blen) - (alen < blen);
}
