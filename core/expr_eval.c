/* SPDX-License-Identifier: MIT */
/* Computing expressions. What each operator means is in expr.h. */
#include <math.h>
#include <stdlib.h>

#include "expr_tree.h"

static int element(struct ipk_x_run *run, const struct ipk_x_node *n, struct ipk_x_val *ret)
{
	if (n->loose) {
		*ret = (struct ipk_x_val){.list = run->in->list};
		return ret->list ? 0 : ipk_x_not_of_type(run, n);
	}
	if (n->type.size && run->in->len != n->type.size)
		return ipk_x_not_of_type(run, n);
	ipk_x_read(&n->type, run->in->elem, run->in->len, ret);
	return 0;
}

static int named(struct ipk_x_run *run, const struct ipk_x_node *n, struct ipk_x_val *ret)
{
	const void *p;
	size_t len;
	int r = run->in->load(run->in->arg, n->at, &p, &len, run->err);

	if (r < 0)
		return r;
	if (n->type.size && len != n->type.size)
		return ipk_x_not_of_type(run, n);
	ipk_x_read(&n->type, p, len, ret);
	return 0;
}

/* ---- numbers ---------------------------------------------------------------------------- */

static int in_range(struct ipk_x_run *run, const struct ipk_x_node *n, ipk_wide whole)
{
	if (whole < IPK_WIDE_MIN || whole > IPK_WIDE_MAX)
		return ipk_x_fails(run, n, -ERANGE, "the number is beyond 64 bits");
	return 0;
}

static int whole_arithmetic(struct ipk_x_run *run, const struct ipk_x_node *n, ipk_wide a,
			    ipk_wide b, ipk_wide *ret)
{
	switch (n->op) {
	case IPK_X_ADD:
		*ret = a + b;
		break;
	case IPK_X_SUB:
		*ret = a - b;
		break;
	case IPK_X_MUL:
		if (__builtin_mul_overflow(a, b, ret))
			*ret = IPK_WIDE_MAX + 1;
		break;
	default:
		if (b == 0)
			return ipk_x_fails(run, n, -EDOM, "division by zero");
		*ret = n->op == IPK_X_DIV ? a / b : a % b;
	}
	return in_range(run, n, *ret);
}

static double real_arithmetic(enum ipk_x_op op, double a, double b)
{
	switch (op) {
	case IPK_X_ADD:
		return a + b;
	case IPK_X_SUB:
		return a - b;
	case IPK_X_MUL:
		return a * b;
	case IPK_X_DIV:
		return a / b;
	default:
		return fmod(a, b);
	}
}

/* ---- comparing -------------------------------------------------------------------------- */

#define UNORDERED 2 /* beside -1, 0 and 1 */

static int compare_real(double a, double b)
{
	return a < b ? -1 : a > b ? 1 : a == b ? 0 : UNORDERED;
}

static int compare_mixed(ipk_wide a, double b)
{
	ipk_wide whole;

	if (b != b)
		return UNORDERED;
	if (b >= IPK_TWO_64 || b < (double)INT64_MIN)
		return b < 0 ? 1 : -1;
	whole = (ipk_wide)b;
	if (a != whole)
		return a < whole ? -1 : 1;
	return compare_real(0, b - (double)whole);
}

static int compare(const struct ipk_x_node *x, const struct ipk_x_val *a,
		   const struct ipk_x_node *y, const struct ipk_x_val *b)
{
	u64 n = a->n < b->n ? a->n : b->n;
	int r;

	if (x->cls == IPK_X_FLOAT && y->cls == IPK_X_FLOAT)
		return compare_real(a->real, b->real);
	if (y->cls == IPK_X_FLOAT)
		return compare_mixed(a->whole, b->real);
	if (x->cls == IPK_X_FLOAT) {
		r = compare_mixed(b->whole, a->real);
		return r == UNORDERED ? r : -r;
	}
	if (x->cls < IPK_X_TEXT)
		return (a->whole > b->whole) - (a->whole < b->whole);
	if (x->cls == IPK_X_TEXT) {
		r = n ? memcmp(a->p, b->p, n) : 0;
		return r ? (r > 0) - (r < 0) : (a->n > b->n) - (a->n < b->n);
	}
	r = ipk_value_compare(&x->type, a->p, a->n, b->p, b->n);
	return (r > 0) - (r < 0);
}

static bool holds(enum ipk_x_op op, int order)
{
	switch (op) {
	case IPK_X_EQ:
		return order == 0;
	case IPK_X_NE:
		return order != 0;
	case IPK_X_LT:
		return order == -1;
	case IPK_X_LE:
		return order == -1 || order == 0;
	case IPK_X_GT:
		return order == 1;
	default:
		return order == 1 || order == 0;
	}
}

/* Which of two min or max gives: NaN, if one is. */
static bool takes_second(const struct ipk_x_node *n, const struct ipk_x_node *x,
			 const struct ipk_x_val *a, const struct ipk_x_node *y,
			 const struct ipk_x_val *b)
{
	int order = compare(x, a, y, b);

	if (order == UNORDERED)
		return !(x->cls == IPK_X_FLOAT && a->real != a->real);
	return order == (n->op == IPK_X_MIN ? 1 : -1);
}

/* A number or text of one class as one of another that it was joined to. */
static void become(enum ipk_x_class cls, const struct ipk_x_node *from, struct ipk_x_val *v)
{
	if (cls == IPK_X_FLOAT && from->cls != IPK_X_FLOAT)
		v->real = (double)v->whole;
}

/* ---- lists ------------------------------------------------------------------------------ */

static int least_or_most(struct ipk_x_run *run, const struct ipk_x_node *n,
			 const struct ipk_x_node *list, const struct ipk_x_val *v,
			 struct ipk_x_val *ret)
{
	const struct ipk_x_node item = {.cls = n->cls};
	u64 len = ipk_x_length(list, v);
	struct ipk_x_val next;
	int r = len ? ipk_x_item_at(run, list, v, 0, ret)
		    : ipk_x_fails(run, n, -ERANGE, "of an empty list");

	for (u64 i = 1; r == 0 && i < len; i++) {
		r = ipk_x_item_at(run, list, v, i, &next);
		if (r == 0 && takes_second(n, &item, ret, &item, &next))
			*ret = next;
	}
	return r;
}

static int sum_or_mean(struct ipk_x_run *run, const struct ipk_x_node *n,
		       const struct ipk_x_node *list, const struct ipk_x_val *v,
		       struct ipk_x_val *ret)
{
	const struct ipk_type type = ipk_x_item(list);
	bool real = ipk_x_class_of(&type) == IPK_X_FLOAT;
	u64 len = ipk_x_length(list, v);
	ipk_wide whole = 0; /* of fewer than 2^63 items: cannot overflow */
	double sum = 0;
	struct ipk_x_val item;
	int r = 0;

	for (u64 i = 0; r == 0 && i < len; i++) {
		r = ipk_x_item_at(run, list, v, i, &item);
		if (r == 0 && real)
			sum += item.real;
		else if (r == 0)
			whole += item.whole;
	}
	*ret = (struct ipk_x_val){.whole = whole, .real = sum};
	if (r == 0 && n->op == IPK_X_MEAN)
		ret->real = (real ? sum : (double)whole) / (double)len;
	else if (r == 0 && !real)
		r = in_range(run, n, whole);
	return r;
}

static int index_of(struct ipk_x_run *run, const struct ipk_x_node *n,
		    const struct ipk_x_node *list, const struct ipk_x_val *v, ipk_wide i,
		    struct ipk_x_val *ret)
{
	u64 len = ipk_x_length(list, v);

	if (i < 0 || i >= (ipk_wide)len)
		return ipk_x_fails(run, n, -ERANGE, "index %s%llu of a list of %llu",
				   i < 0 ? "-" : "", (unsigned long long)(i < 0 ? -i : i),
				   (unsigned long long)len);
	return ipk_x_item_at(run, list, v, (u64)i, ret);
}

/* ---- nodes ------------------------------------------------------------------------------ */

static int constant(struct ipk_x_run *run, const struct ipk_x_node *n, struct ipk_x_val *ret)
{
	*ret = (struct ipk_x_val){.whole = n->whole, .real = n->real};
	if (n->cls == IPK_X_TEXT) {
		ret->p = run->e->pool + n->at;
		ret->n = (u64)n->whole;
	}
	return 0;
}

static int of_one(struct ipk_x_run *run, const struct ipk_x_node *n, const struct ipk_x_node *x,
		  struct ipk_x_val *a, struct ipk_x_val *ret)
{
	*ret = (struct ipk_x_val){.whole = a->whole, .real = a->real};
	switch (n->op) {
	case IPK_X_FIELD:
		ipk_x_read(&n->type, a->p + n->at, n->type.size, ret);
		return 0;
	case IPK_X_NOT:
		ret->whole = !a->whole;
		return 0;
	case IPK_X_NEG:
		ret->whole = -a->whole;
		ret->real = -a->real;
		return n->cls == IPK_X_FLOAT ? 0 : in_range(run, n, ret->whole);
	case IPK_X_ABS:
		ret->whole = a->whole < 0 ? -a->whole : a->whole;
		ret->real = fabs(a->real);
		return 0;
	case IPK_X_FLOOR:
		ret->real = floor(a->real);
		return 0;
	case IPK_X_CEIL:
		ret->real = ceil(a->real);
		return 0;
	case IPK_X_ROUND:
		ret->real = round(a->real);
		return 0;
	case IPK_X_SQRT:
		ret->real = sqrt(ipk_x_real(x, a));
		return 0;
	case IPK_X_LEN:
		ret->whole = x->cls == IPK_X_TEXT ? a->n : ipk_x_length(x, a);
		return 0;
	case IPK_X_LOWER:
	case IPK_X_UPPER:
		return ipk_x_change_case(run, n, a, ret);
	case IPK_X_MIN:
	case IPK_X_MAX:
		return least_or_most(run, n, x, a, ret);
	case IPK_X_SUM:
	case IPK_X_MEAN:
		return sum_or_mean(run, n, x, a, ret);
	default:
		return ipk_x_cast(run, n, x, a, ret);
	}
}

static int of_two(struct ipk_x_run *run, const struct ipk_x_node *n, struct ipk_x_val *a,
		  struct ipk_x_val *b, struct ipk_x_val *ret)
{
	const struct ipk_x_node *x = &run->e->nodes[n->kid[0]], *y = &run->e->nodes[n->kid[1]];

	*ret = (struct ipk_x_val){0};
	switch (n->op) {
	case IPK_X_INDEX:
		return index_of(run, n, x, a, b->whole, ret);
	case IPK_X_EQ ... IPK_X_GE:
		ret->whole = holds(n->op, compare(x, a, y, b));
		return 0;
	case IPK_X_CONTAINS ... IPK_X_ENDS:
		ret->whole = ipk_x_has_part(n->op, a, b);
		return 0;
	case IPK_X_MIN:
	case IPK_X_MAX:
		if (takes_second(n, x, a, y, b)) {
			*ret = *b;
			become(n->cls, y, ret);
		} else {
			*ret = *a;
			become(n->cls, x, ret);
		}
		return 0;
	default:
		if (n->cls == IPK_X_TEXT)
			return ipk_x_append(run, n, a, b, ret);
		if (n->cls == IPK_X_FLOAT)
			ret->real = real_arithmetic(n->op, ipk_x_real(x, a), ipk_x_real(y, b));
		return n->cls == IPK_X_FLOAT
			       ? 0
			       : whole_arithmetic(run, n, a->whole, b->whole, &ret->whole);
	}
}

static int eval(struct ipk_x_run *run, u16 at, struct ipk_x_val *ret)
{
	const struct ipk_x_node *n = &run->e->nodes[at], *pick;
	struct ipk_x_val a, b;
	int r;

	switch (n->op) {
	case IPK_X_CONST:
		return constant(run, n, ret);
	case IPK_X_ELEM:
		return element(run, n, ret);
	case IPK_X_NAME:
		return named(run, n, ret);
	default:
		break;
	}
	r = eval(run, n->kid[0], &a);
	if (r < 0)
		return r;
	if (n->op == IPK_X_OR || n->op == IPK_X_AND) {
		if ((a.whole != 0) != (n->op == IPK_X_OR))
			return eval(run, n->kid[1], ret);
		*ret = (struct ipk_x_val){.whole = a.whole};
		return 0;
	}
	if (n->op == IPK_X_IF) {
		at = n->kid[a.whole ? 1 : 2];
		pick = &run->e->nodes[at];
		r = eval(run, at, ret);
		if (r == 0)
			become(n->cls, pick, ret);
		return r;
	}
	if (n->nkids == 1)
		return of_one(run, n, &run->e->nodes[n->kid[0]], &a, ret);
	r = eval(run, n->kid[1], &b);
	return r < 0 ? r : of_two(run, n, &a, &b, ret);
}

/* ---- the result ------------------------------------------------------------------------- */

static int store_place(const struct ipk_x_node *n, const struct ipk_x_val *v, struct ipk_buf *out)
{
	return ipk_buf_add(out, v->p ? (const void *)v->p : "", n->type.size ? n->type.size : v->n);
}

static int store(struct ipk_x_run *run, const struct ipk_x_node *n, const struct ipk_x_val *v,
		 struct ipk_buf *out)
{
	u64 whole = (u64)v->whole;
	u8 flag = v->whole != 0;
	int r;

	if (n->place)
		return store_place(n, v, out);
	switch (n->cls) {
	case IPK_X_INT:
	case IPK_X_UINT:
		r = ipk_x_fit(run, n, v->whole);
		return r < 0 ? r : ipk_buf_add(out, &whole, sizeof(whole));
	case IPK_X_FLOAT:
		return ipk_buf_add(out, &v->real, sizeof(v->real));
	case IPK_X_BOOL:
		return ipk_buf_add(out, &flag, 1);
	case IPK_X_TEXT:
		return ipk_buf_add(out, v->n ? (const void *)v->p : "", v->n);
	default:
		return ipk_expr_list_print(&n->type, v->list, out);
	}
}

int ipk_expr_eval(const struct ipk_expr *e, const struct ipk_expr_input *in, struct ipk_buf *out,
		  struct ipk_error *err)
{
	struct ipk_x_run run = {.e = e, .in = in, .err = err};
	size_t before = out->len;
	struct ipk_x_val v;
	int r = eval(&run, (u16)(e->n - 1), &v);

	if (r == 0) {
		r = store(&run, &e->nodes[e->n - 1], &v, out);
		if (r == -ENOMEM)
			ipk_error_set(err, r, "out of memory");
	}
	while (run.blocks) {
		struct ipk_x_block *b = run.blocks;

		run.blocks = b->next;
		free(b);
	}
	if (r < 0)
		out->len = before;
	return r;
}
