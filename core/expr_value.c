/* SPDX-License-Identifier: MIT */
/* Values of expressions: reading places and items of lists, and what is made from and of text. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "expr_tree.h"
#include "number.h"

int ipk_x_fails(struct ipk_x_run *run, const struct ipk_x_node *n, int code, const char *fmt, ...)
{
	char text[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return ipk_error_set(run->err, code, "column %u: %s", n->col + 1, text);
}

int ipk_x_not_of_type(struct ipk_x_run *run, const struct ipk_x_node *n)
{
	return ipk_x_fails(run, n, -EBADMSG, "the value is not of its type");
}

static u8 *build(struct ipk_x_run *run, const struct ipk_x_node *n, size_t len, int *ret_error)
{
	struct ipk_x_block *b;

	if (len > IPK_EXPR_BYTES - run->built) {
		*ret_error = ipk_x_fails(run, n, -EMSGSIZE, "more than %u bytes of text",
					 IPK_EXPR_BYTES);
		return NULL;
	}
	b = malloc(sizeof(*b) + len + 1);
	if (!b) {
		*ret_error = ipk_error_set(run->err, -ENOMEM, "out of memory");
		return NULL;
	}
	run->built += len;
	b->next = run->blocks;
	run->blocks = b;
	return b->data;
}

/* ---- reading places --------------------------------------------------------------------- */

#define READ(type, field)                                                                          \
	do {                                                                                       \
		type v_;                                                                           \
		memcpy(&v_, p, sizeof(v_));                                                        \
		ret->field = v_;                                                                   \
		return;                                                                            \
	} while (0)

static void read_scalar(enum ipk_base base, const u8 *p, struct ipk_x_val *ret)
{
	switch (base) {
	case IPK_I8:
		READ(int8_t, whole);
	case IPK_I16:
		READ(int16_t, whole);
	case IPK_I32:
		READ(int32_t, whole);
	case IPK_I64:
		READ(i64, whole);
	case IPK_U8:
		READ(u8, whole);
	case IPK_U16:
		READ(uint16_t, whole);
	case IPK_U32:
		READ(u32, whole);
	case IPK_U64:
		READ(u64, whole);
	case IPK_F32:
		READ(float, real);
	case IPK_F64:
		READ(double, real);
	default:
		ret->whole = *p != 0;
	}
}

/* What lies at p, len bytes that are of the type. */
void ipk_x_read(const struct ipk_type *type, const u8 *p, u64 len, struct ipk_x_val *ret)
{
	*ret = (struct ipk_x_val){.p = p, .n = len};
	if (type->count || type->base == IPK_STRUCT)
		return;
	if (type->base < IPK_STR)
		read_scalar(type->base, p, ret);
	else if (type->size)
		while (ret->n && !p[ret->n - 1])
			ret->n--;
}

u64 ipk_x_length(const struct ipk_x_node *n, const struct ipk_x_val *v)
{
	return n->loose ? v->list->n : n->type.count;
}

int ipk_x_item_at(struct ipk_x_run *run, const struct ipk_x_node *n, const struct ipk_x_val *v,
		  u64 i, struct ipk_x_val *ret)
{
	const struct ipk_type item = ipk_x_item(n);
	const struct ipk_expr_list *l = v->list;
	u64 from, to;

	if (!n->loose || !l->ends) {
		from = i * item.size;
		to = from + item.size;
	} else {
		from = i ? l->ends[i - 1] : 0;
		to = l->ends[i];
		if (item.size ? to - from != item.size : to < from)
			return ipk_x_not_of_type(run, n);
	}
	ipk_x_read(&item, (n->loose ? l->data : v->p) + from, to - from, ret);
	return 0;
}

int ipk_x_append(struct ipk_x_run *run, const struct ipk_x_node *n, const struct ipk_x_val *a,
		 const struct ipk_x_val *b, struct ipk_x_val *ret)
{
	int r = 0;
	u8 *p = build(run, n, a->n + b->n, &r);

	if (!p)
		return r;
	if (a->n)
		memcpy(p, a->p, a->n);
	if (b->n)
		memcpy(p + a->n, b->p, b->n);
	*ret = (struct ipk_x_val){.p = p, .n = a->n + b->n};
	return 0;
}

/* ---- text ------------------------------------------------------------------------------- */

bool ipk_x_has_part(enum ipk_x_op op, const struct ipk_x_val *a, const struct ipk_x_val *b)
{
	if (b->n > a->n)
		return false;
	if (b->n == 0)
		return true;
	if (op == IPK_X_CONTAINS)
		return memmem(a->p, a->n, b->p, b->n) != NULL;
	return memcmp(op == IPK_X_STARTS ? a->p : a->p + a->n - b->n, b->p, b->n) == 0;
}

int ipk_x_change_case(struct ipk_x_run *run, const struct ipk_x_node *n, const struct ipk_x_val *a,
		      struct ipk_x_val *ret)
{
	u8 from = n->op == IPK_X_LOWER ? 'A' : 'a';
	int r = 0;
	u8 *p = build(run, n, a->n, &r);

	if (!p)
		return r;
	for (u64 i = 0; i < a->n; i++)
		p[i] = (u8)(a->p[i] >= from && a->p[i] < from + 26 ? a->p[i] ^ 32 : a->p[i]);
	*ret = (struct ipk_x_val){.p = p, .n = a->n};
	return 0;
}

static size_t print_whole(char *dst, ipk_wide whole)
{
	return whole < 0 ? ipk_i64_print(dst, (i64)whole) : ipk_u64_print(dst, (u64)whole);
}

static int to_text(struct ipk_x_run *run, const struct ipk_x_node *n, const struct ipk_x_node *from,
		   const struct ipk_x_val *a, struct ipk_x_val *ret)
{
	int r = 0;
	u8 *p;

	if (from->cls == IPK_X_TEXT) {
		*ret = *a;
		return 0;
	}
	if (from->cls == IPK_X_BOOL) {
		ret->p = (const u8 *)(a->whole ? "true" : "false");
		ret->n = a->whole ? 4 : 5;
		return 0;
	}
	p = build(run, n, IPK_NUMBER_MAX, &r);
	if (!p)
		return r;
	ret->p = p;
	ret->n = from->cls == IPK_X_FLOAT ? ipk_f64_print((char *)p, a->real)
					  : print_whole((char *)p, a->whole);
	return 0;
}

static int from_text(struct ipk_x_run *run, const struct ipk_x_node *n, const struct ipk_x_val *a,
		     struct ipk_x_val *ret)
{
	const char *text = a->p ? (const char *)a->p : "";
	char shown[60];
	bool neg;
	u64 mag;
	int r;

	if (n->op == IPK_X_F64) {
		r = ipk_f64_parse(text, a->n, &ret->real);
	} else {
		r = ipk_integer_parse(text, a->n, &neg, &mag);
		ret->whole = r < 0 ? 0 : neg ? -(ipk_wide)mag : (ipk_wide)mag;
	}
	if (r < 0)
		return ipk_x_fails(run, n, r, "\"%s\" is %s",
				   ipk_quote(text, a->n, shown, sizeof(shown)),
				   r == -ERANGE         ? "too large a number"
				   : n->op == IPK_X_F64 ? "no number"
							: "no whole number");
	return 0;
}

int ipk_x_fit(struct ipk_x_run *run, const struct ipk_x_node *n, ipk_wide whole)
{
	char text[IPK_NUMBER_MAX + 1];
	bool fits = n->cls == IPK_X_INT ? whole <= INT64_MAX : whole >= 0;

	if (fits || !ipk_x_is_whole(n->cls))
		return 0;
	text[print_whole(text, whole)] = '\0';
	return ipk_x_fails(run, n, -ERANGE, "%s does not fit %s", text,
			   n->cls == IPK_X_INT ? "i64" : "u64");
}

int ipk_x_cast(struct ipk_x_run *run, const struct ipk_x_node *n, const struct ipk_x_node *from,
	       const struct ipk_x_val *a, struct ipk_x_val *ret)
{
	int r = 0;

	*ret = (struct ipk_x_val){0};
	if (n->op == IPK_X_STR)
		return to_text(run, n, from, a, ret);
	if (from->cls == IPK_X_TEXT) {
		r = from_text(run, n, a, ret);
	} else if (n->op == IPK_X_F64) {
		ret->real = ipk_x_real(from, a);
	} else if (from->cls == IPK_X_FLOAT) {
		if (!(a->real >= (double)INT64_MIN && a->real < IPK_TWO_64))
			return ipk_x_fails(run, n, -ERANGE, "the float does not fit");
		ret->whole = (ipk_wide)a->real;
	} else {
		ret->whole = a->whole;
	}
	return r < 0 ? r : ipk_x_fit(run, n, ret->whole);
}

int ipk_expr_list_print(const struct ipk_type *item, const struct ipk_expr_list *list,
			struct ipk_buf *out)
{
	u64 from = 0, to;
	int r = ipk_buf_str(out, "[");

	for (u64 i = 0; r == 0 && i < list->n; i++, from = to) {
		to = list->ends ? list->ends[i] : from + item->size;
		r = i ? ipk_buf_str(out, ",") : 0;
		if (r == 0)
			r = ipk_value_print(item, list->data + from, to - from, IPK_VALUE_JSON,
					    out);
		if (r == -EBADMSG) /* json that is not json: it has become $hex */
			r = 0;
	}
	return r == 0 ? ipk_buf_str(out, "]") : r;
}
