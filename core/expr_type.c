/* SPDX-License-Identifier: MIT */
/* Types of expressions: each operator and call is checked against its operands as it is read. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "expr_tree.h"

int ipk_x_fail(struct ipk_x_parser *ps, int code, size_t pos, const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return ipk_error_set(ps->err, code, "column %zu: %s", pos + 1, text);
}

enum ipk_x_class ipk_x_class_of(const struct ipk_type *type)
{
	if (type->count)
		return IPK_X_LIST;
	switch (type->base) {
	case IPK_F32:
	case IPK_F64:
		return IPK_X_FLOAT;
	case IPK_BOOL:
		return IPK_X_BOOL;
	case IPK_STR:
	case IPK_BYTES:
	case IPK_JSON:
		return IPK_X_TEXT;
	case IPK_STRUCT:
		return IPK_X_STRUCT;
	case IPK_U64:
		return IPK_X_UINT;
	default:
		return IPK_X_INT;
	}
}

struct ipk_type ipk_x_item(const struct ipk_x_node *list)
{
	struct ipk_type item = list->type;

	if (!list->loose) {
		item.count = 0;
		item.size = item.unit;
	}
	return item;
}

int ipk_x_add(struct ipk_x_parser *ps, const struct ipk_x_node *node, u16 *ret)
{
	struct ipk_expr *e = ps->e;
	unsigned depth = 1;

	for (unsigned i = 0; i < node->nkids; i++)
		if (e->nodes[node->kid[i]].depth >= depth)
			depth = e->nodes[node->kid[i]].depth + 1u;
	if (depth > IPK_EXPR_DEPTH)
		return ipk_x_fail(ps, -EMSGSIZE, node->col, "nested more than %u deep",
				  IPK_EXPR_DEPTH);
	if (e->n == IPK_EXPR_NODES)
		return ipk_x_fail(ps, -EMSGSIZE, node->col, "more than %u operators and values",
				  IPK_EXPR_NODES);
	if (e->n == e->room) {
		u32 room = e->room ? 2 * e->room : 16;
		struct ipk_x_node *more = realloc(e->nodes, room * sizeof(*more));

		if (!more)
			return ipk_error_set(ps->err, -ENOMEM, "out of memory");
		e->nodes = more;
		e->room = room;
	}
	e->nodes[e->n] = *node;
	e->nodes[e->n].depth = (u16)depth;
	*ret = (u16)e->n++;
	return 0;
}

/* ---- words ------------------------------------------------------------------------------ */

#define WORDS 64

/* What a node is, for messages. */
static const char *words(const struct ipk_x_node *n, char buf[WORDS])
{
	static const char *const names[] = {
		[IPK_X_INT] = "a whole number", [IPK_X_UINT] = "a whole number",
		[IPK_X_FLOAT] = "a float",      [IPK_X_BOOL] = "a bool",
		[IPK_X_TEXT] = "a text",        [IPK_X_LIST] = "a list"};

	return n->place ? ipk_type_words(&n->type, buf, WORDS) : names[n->cls];
}

static int refuse(struct ipk_x_parser *ps, const struct ipk_x_node *n, const char *name,
		  const char *what)
{
	const struct ipk_x_node *a = &ps->e->nodes[n->kid[0]];
	char first[WORDS], second[WORDS];

	if (n->nkids < 2)
		return ipk_x_fail(ps, -EINVAL, n->col, "%s wants %s, got %s", name, what,
				  words(a, first));
	return ipk_x_fail(ps, -EINVAL, n->col, "%s wants %s, got %s and %s", name, what,
			  words(a, first), words(&ps->e->nodes[n->kid[n->nkids - 1]], second));
}

/* ---- rules ------------------------------------------------------------------------------ */

static bool same_type(const struct ipk_type *a, const struct ipk_type *b)
{
	struct ipk_buf x = {0}, y = {0};
	bool same = ipk_type_print(a, &x) == 0 && ipk_type_print(b, &y) == 0 && x.len == y.len &&
		    memcmp(x.data, y.data, x.len) == 0;

	ipk_buf_free(&x);
	ipk_buf_free(&y);
	return same;
}

/* Of what a number is that is computed from both. */
static enum ipk_x_class wider(enum ipk_x_class a, enum ipk_x_class b)
{
	if (a == IPK_X_FLOAT || b == IPK_X_FLOAT)
		return IPK_X_FLOAT;
	return a == IPK_X_UINT || b == IPK_X_UINT ? IPK_X_UINT : IPK_X_INT;
}

/* Two numbers, texts or bools: of what is what may be either. */
static bool join(const struct ipk_x_node *a, const struct ipk_x_node *b, enum ipk_x_class *ret)
{
	if (ipk_x_is_number(a->cls) && ipk_x_is_number(b->cls))
		*ret = wider(a->cls, b->cls);
	else if (a->cls == b->cls && (a->cls == IPK_X_TEXT || a->cls == IPK_X_BOOL))
		*ret = a->cls;
	else
		return false;
	return true;
}

static int arithmetic(struct ipk_x_parser *ps, struct ipk_x_node *n, const char *name)
{
	const struct ipk_x_node *a = &ps->e->nodes[n->kid[0]], *b = &ps->e->nodes[n->kid[1]];

	if (!join(a, b, &n->cls) || n->cls == IPK_X_BOOL ||
	    (n->cls == IPK_X_TEXT && n->op != IPK_X_ADD))
		return refuse(ps, n, name,
			      n->op == IPK_X_ADD ? "two numbers or two texts" : "two numbers");
	return 0;
}

static int comparison(struct ipk_x_parser *ps, struct ipk_x_node *n, const char *name)
{
	const struct ipk_x_node *a = &ps->e->nodes[n->kid[0]], *b = &ps->e->nodes[n->kid[1]];
	bool equality = n->op == IPK_X_EQ || n->op == IPK_X_NE, good;
	enum ipk_x_class cls;

	if (join(a, b, &cls))
		good = equality || cls != IPK_X_BOOL;
	else
		good = equality && a->place && b->place && a->cls >= IPK_X_LIST &&
		       same_type(&a->type, &b->type);
	n->cls = IPK_X_BOOL;
	return good ? 0
		    : refuse(ps, n, name, equality ? "two of a kind" : "two numbers or two texts");
}

static int logic(struct ipk_x_parser *ps, struct ipk_x_node *n, const char *name)
{
	n->cls = IPK_X_BOOL;
	for (unsigned i = 0; i < n->nkids; i++)
		if (ps->e->nodes[n->kid[i]].cls != IPK_X_BOOL)
			return refuse(ps, n, name, n->nkids == 1 ? "a bool" : "two bools");
	return 0;
}

/* min and max of a list or of two; sum, mean. */
static int reduction(struct ipk_x_parser *ps, struct ipk_x_node *n, const char *name)
{
	const struct ipk_x_node *a = &ps->e->nodes[n->kid[0]];
	bool order = n->op == IPK_X_MIN || n->op == IPK_X_MAX;
	struct ipk_type item;

	if (n->nkids == 2) {
		if (!join(a, &ps->e->nodes[n->kid[1]], &n->cls) || n->cls == IPK_X_BOOL)
			return refuse(ps, n, name, "two numbers or two texts");
		return 0;
	}
	if (a->cls == IPK_X_LIST) {
		item = ipk_x_item(a);
		n->cls = ipk_x_class_of(&item);
		if (ipk_x_is_number(n->cls) || (order && n->cls == IPK_X_TEXT)) {
			if (n->op == IPK_X_MEAN)
				n->cls = IPK_X_FLOAT;
			return 0;
		}
	}
	return refuse(
		ps, n, name,
		order ? "two values, or a list of numbers or texts, as window and batch make it"
		      : "a list of numbers, as window and batch make it");
}

static int texts(struct ipk_x_parser *ps, struct ipk_x_node *n, const char *name,
		 enum ipk_x_class cls)
{
	for (unsigned i = 0; i < n->nkids; i++)
		if (ps->e->nodes[n->kid[i]].cls != IPK_X_TEXT)
			return refuse(ps, n, name, n->nkids == 1 ? "a text" : "two texts");
	n->cls = cls;
	return 0;
}

static int choice(struct ipk_x_parser *ps, struct ipk_x_node *n)
{
	const struct ipk_x_node *k = ps->e->nodes;

	if (k[n->kid[0]].cls != IPK_X_BOOL || !join(&k[n->kid[1]], &k[n->kid[2]], &n->cls))
		return refuse(ps, n, "if", "a bool, and two numbers, texts or bools");
	return 0;
}

static int cast(struct ipk_x_parser *ps, struct ipk_x_node *n, const char *name)
{
	static const enum ipk_x_class to[] = {IPK_X_INT, IPK_X_UINT, IPK_X_FLOAT, IPK_X_TEXT};

	if (ps->e->nodes[n->kid[0]].cls >= IPK_X_LIST)
		return refuse(ps, n, name, "a number, a bool or a text");
	n->cls = to[n->op - IPK_X_I64];
	return 0;
}

static int of_number(struct ipk_x_parser *ps, struct ipk_x_node *n, const char *name)
{
	enum ipk_x_class a = ps->e->nodes[n->kid[0]].cls;

	if (!ipk_x_is_number(a))
		return refuse(ps, n, name, "a number");
	n->cls = n->op == IPK_X_SQRT                     ? IPK_X_FLOAT
		 : n->op == IPK_X_NEG && a == IPK_X_UINT ? IPK_X_INT
							 : a;
	return 0;
}

static int check(struct ipk_x_parser *ps, struct ipk_x_node *n, const char *name)
{
	enum ipk_x_class a = ps->e->nodes[n->kid[0]].cls;

	switch (n->op) {
	case IPK_X_ADD ... IPK_X_MOD:
		return arithmetic(ps, n, name);
	case IPK_X_EQ ... IPK_X_GE:
		return comparison(ps, n, name);
	case IPK_X_NOT ... IPK_X_AND:
		return logic(ps, n, name);
	case IPK_X_MIN:
	case IPK_X_MAX:
	case IPK_X_SUM:
	case IPK_X_MEAN:
		return reduction(ps, n, name);
	case IPK_X_CONTAINS ... IPK_X_ENDS:
		return texts(ps, n, name, IPK_X_BOOL);
	case IPK_X_LOWER:
	case IPK_X_UPPER:
		return texts(ps, n, name, IPK_X_TEXT);
	case IPK_X_LEN:
		n->cls = IPK_X_INT;
		return a == IPK_X_LIST || a == IPK_X_TEXT ? 0
							  : refuse(ps, n, name, "a list or a text");
	case IPK_X_IF:
		return choice(ps, n);
	case IPK_X_I64 ... IPK_X_STR:
		return cast(ps, n, name);
	default:
		return of_number(ps, n, name);
	}
}

int ipk_x_apply(struct ipk_x_parser *ps, enum ipk_x_op op, const char *name, size_t pos,
		const u16 *kids, u16 nkids, u16 *ret)
{
	struct ipk_x_node n = {.op = op, .col = (u32)pos, .nkids = nkids};
	int r;

	memcpy(n.kid, kids, nkids * sizeof(*kids));
	r = check(ps, &n, name);
	return r < 0 ? r : ipk_x_add(ps, &n, ret);
}

/* ---- places ----------------------------------------------------------------------------- */

int ipk_x_field(struct ipk_x_parser *ps, u16 place, const char *name, size_t len, size_t pos,
		u16 *ret)
{
	const struct ipk_x_node *a = &ps->e->nodes[place];
	struct ipk_x_node n = {
		.op = IPK_X_FIELD, .place = true, .col = (u32)pos, .nkids = 1, .kid = {place}};
	char shown[80], what[WORDS];

	if (a->cls == IPK_X_STRUCT) {
		for (u32 i = 0; i < a->type.nfields; i++) {
			const struct ipk_field *f = &a->type.fields[i];

			if (strlen(f->name) != len || memcmp(f->name, name, len) != 0)
				continue;
			n.at = f->offset;
			n.type = f->type;
			n.cls = ipk_x_class_of(&f->type);
			return ipk_x_add(ps, &n, ret);
		}
	}
	ipk_quote(name, len, shown, sizeof(shown));
	if (a->cls == IPK_X_STRUCT)
		return ipk_x_fail(ps, -EINVAL, pos, "there is no field \"%s\"", shown);
	return ipk_x_fail(ps, -EINVAL, pos, "no field \"%s\": this is %s", shown, words(a, what));
}

int ipk_x_index(struct ipk_x_parser *ps, u16 place, u16 index, size_t pos, u16 *ret)
{
	const struct ipk_x_node *a = &ps->e->nodes[place], *i = &ps->e->nodes[index];
	struct ipk_x_node n = {.op = IPK_X_INDEX,
			       .place = true,
			       .col = (u32)pos,
			       .nkids = 2,
			       .kid = {place, index}};
	char what[WORDS];

	if (a->cls != IPK_X_LIST)
		return ipk_x_fail(ps, -EINVAL, pos, "[ ] wants a list, got %s", words(a, what));
	if (!ipk_x_is_whole(i->cls))
		return ipk_x_fail(ps, -EINVAL, pos, "an index is a whole number, got %s",
				  words(i, what));
	n.type = ipk_x_item(a);
	n.cls = ipk_x_class_of(&n.type);
	return ipk_x_add(ps, &n, ret);
}
