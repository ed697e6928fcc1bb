/* SPDX-License-Identifier: MIT */
/*
 * The first byte picks whether $ is a list; then a schema, an expression and the bytes of an
 * element (or of items), each but the last ended by a newline. What is accepted computes something
 * of its type, or says why not.
 */
#include <stdlib.h>

#include "expr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int find(void *arg, const char *name, size_t len, u32 *ret_id,
		const struct ipk_type **ret_type, struct ipk_error *err)
{
	(void)err;
	if (len != 3 || memcmp(name, "acc", 3) != 0)
		return -ENOENT;
	*ret_id = 7;
	*ret_type = arg;
	return 0;
}

static int load(void *arg, u32 id, const void **ret_val, size_t *ret_len, struct ipk_error *err)
{
	static const i64 acc = -3;

	(void)arg, (void)err;
	if (id != 7)
		abort();
	*ret_val = &acc;
	*ret_len = sizeof(acc);
	return 0;
}

static void compute(const struct ipk_type *type, bool list, const char *text, size_t len,
		    const u8 *elem, size_t n)
{
	struct ipk_type *acc;
	struct ipk_expr_env env = {.elem = type, .list = list, .find = find};
	u64 ends[2] = {n / 2, n};
	struct ipk_expr_list items = {elem, type->size ? NULL : ends,
				      type->size ? n / type->size : 2};
	struct ipk_expr_input in = {.elem = elem, .len = n, .list = &items, .load = load};
	struct ipk_buf out = {0};
	struct ipk_expr *e;
	struct ipk_error err = {0};
	int r;

	if (ipk_type_parse("i64", 3, &acc, NULL) != 0)
		abort();
	env.arg = acc;
	r = ipk_expr_parse(text, len, &env, &e, &err);
	if (r == 0) {
		r = ipk_expr_eval(e, &in, &out, &err);
		if (r == 0 && ipk_expr_type(e)->size && out.len != ipk_expr_type(e)->size)
			abort();
		ipk_expr_free(e);
	}
	if (r < 0 && !err.text[0])
		abort();
	ipk_buf_free(&out);
	ipk_type_free(acc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = data + size,
		      *line = size > 1 ? memchr(data + 1, '\n', size - 1) : NULL, *expr;
	struct ipk_type *type;

	expr = line ? memchr(line + 1, '\n', (size_t)(end - line - 1)) : NULL;
	if (!expr ||
	    ipk_type_parse((const char *)data + 1, (size_t)(line - data - 1), &type, NULL) != 0)
		return 0;
	if (type->size <= 1u << 16)
		compute(type, data[0] & 1, (const char *)line + 1, (size_t)(expr - line - 1),
			expr + 1, (size_t)(end - expr - 1));
	ipk_type_free(type);
	return 0;
}
