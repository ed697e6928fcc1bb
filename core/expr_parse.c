/* SPDX-License-Identifier: MIT */
/* Reading expressions: the grammar is in expr.h, types are checked in expr_type.c as nodes are
 * made. */
#include <math.h>
#include <stdlib.h>

#include "expr_tree.h"
#include "number.h"

/* ---- characters ------------------------------------------------------------------------- */

static void blank(struct ipk_x_parser *ps)
{
	while (ps->pos < ps->len && strchr(" \t\r\n", ps->text[ps->pos]) && ps->text[ps->pos])
		ps->pos++;
}

static char peek(const struct ipk_x_parser *ps, size_t ahead)
{
	return ps->len - ps->pos > ahead ? ps->text[ps->pos + ahead] : '\0';
}

static bool take(struct ipk_x_parser *ps, char c)
{
	blank(ps);
	if (ps->pos == ps->len || ps->text[ps->pos] != c)
		return false;
	ps->pos++;
	return true;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name(char c)
{
	return is_digit(c) || c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static size_t name_length(const struct ipk_x_parser *ps)
{
	size_t n = 0;

	if (!is_digit(peek(ps, 0)))
		while (is_name(peek(ps, n)))
			n++;
	return n;
}

/* `wants X, got Y` at the cursor */
static int wants(struct ipk_x_parser *ps, const char *what)
{
	size_t n = name_length(ps);
	char shown[40];

	if (ps->pos == ps->len)
		return ipk_x_fail(ps, -EINVAL, ps->pos, "wants %s, got the end", what);
	return ipk_x_fail(ps, -EINVAL, ps->pos, "wants %s, got \"%s\"", what,
			  ipk_quote(ps->text + ps->pos, n ? n : 1, shown, sizeof(shown)));
}

/* ---- literals --------------------------------------------------------------------------- */

static int number(struct ipk_x_parser *ps, u16 *ret)
{
	const char *text = ps->text + ps->pos;
	struct ipk_x_node node = {.op = IPK_X_CONST, .col = (u32)ps->pos};
	size_t n = 0;
	char shown[40];
	bool neg, hex = peek(ps, 0) == '0' && (peek(ps, 1) | 32) == 'x';
	u64 mag;
	int r;

	while (is_name(peek(ps, n)) || peek(ps, n) == '.' ||
	       (n && !hex && (peek(ps, n) == '-' || peek(ps, n) == '+') &&
		(text[n - 1] | 32) == 'e'))
		n++;
	r = ipk_integer_parse(text, n, &neg, &mag);
	if (r == 0) {
		node.cls = mag > INT64_MAX ? IPK_X_UINT : IPK_X_INT;
		node.whole = mag;
	} else if (r == -EINVAL) {
		node.cls = IPK_X_FLOAT;
		r = ipk_f64_parse(text, n, &node.real);
	}
	if (r < 0)
		return ipk_x_fail(ps, -EINVAL, ps->pos, "\"%s\" is %s",
				  ipk_quote(text, n, shown, sizeof(shown)),
				  r == -ERANGE ? "too large a number" : "no number");
	ps->pos += n;
	return ipk_x_add(ps, &node, ret);
}

static int hex_digit(char c)
{
	char l = (char)(c | 32);

	return is_digit(c) ? c - '0' : l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

/* Behind a backslash. */
static int escape(struct ipk_x_parser *ps, u8 *ret)
{
	static const char from[] = "\\\"'ntr", to[] = "\\\"'\n\t\r";
	char c = peek(ps, 0);
	const char *at = c ? strchr(from, c) : NULL;
	int high, low;

	if (at) {
		*ret = (u8)to[at - from];
		ps->pos++;
		return 0;
	}
	high = hex_digit(peek(ps, 1));
	low = hex_digit(peek(ps, 2));
	if (c != 'x' || high < 0 || low < 0)
		return ipk_x_fail(ps, -EINVAL, ps->pos - 1,
				  "unknown escape; there are \\\\ \\\" \\' \\n \\t \\r \\xHH");
	*ret = (u8)(high << 4 | low);
	ps->pos += 3;
	return 0;
}

static int text(struct ipk_x_parser *ps, u16 *ret)
{
	struct ipk_expr *e = ps->e;
	struct ipk_x_node node = {
		.op = IPK_X_CONST, .cls = IPK_X_TEXT, .col = (u32)ps->pos, .at = e->pool_len};
	char quote = ps->text[ps->pos++];

	while (ps->pos < ps->len && ps->text[ps->pos] != quote) {
		u8 c = (u8)ps->text[ps->pos++];
		int r = c == '\\' ? escape(ps, &c) : 0;

		if (r < 0)
			return r;
		e->pool[e->pool_len++] = c; /* as long as the whole text: there is room */
	}
	if (ps->pos == ps->len)
		return ipk_x_fail(ps, -EINVAL, node.col, "a text without its end");
	ps->pos++;
	node.whole = e->pool_len - node.at;
	return ipk_x_add(ps, &node, ret);
}

/* ---- names and calls -------------------------------------------------------------------- */

static int expression(struct ipk_x_parser *ps, unsigned least, u16 *ret);

static int called(struct ipk_x_parser *ps, const char *name, size_t len, size_t pos, u16 *ret)
{
	struct ipk_x_node node = {.op = IPK_X_NAME, .place = true, .col = (u32)pos};
	const struct ipk_expr_env *env = ps->env;
	const struct ipk_type *type = NULL;
	char shown[80];
	int r = env->find ? env->find(env->arg, name, len, &node.at, &type, ps->err) : -ENOENT;

	if (r == -ENOENT)
		return ipk_x_fail(ps, -EINVAL, pos, "nothing is called \"%s\"%s",
				  ipk_quote(name, len, shown, sizeof(shown)),
				  env->elem ? "; the element is $" : "");
	if (r < 0)
		return r;
	node.type = *type;
	node.cls = ipk_x_class_of(type);
	return ipk_x_add(ps, &node, ret);
}

static const struct function {
	const char *name;
	enum ipk_x_op op;
	u16 least, most;
} functions[] = {
	{"abs", IPK_X_ABS, 1, 1},
	{"floor", IPK_X_FLOOR, 1, 1},
	{"ceil", IPK_X_CEIL, 1, 1},
	{"round", IPK_X_ROUND, 1, 1},
	{"sqrt", IPK_X_SQRT, 1, 1},
	{"min", IPK_X_MIN, 1, 2},
	{"max", IPK_X_MAX, 1, 2},
	{"if", IPK_X_IF, 3, 3},
	{"sum", IPK_X_SUM, 1, 1},
	{"mean", IPK_X_MEAN, 1, 1},
	{"len", IPK_X_LEN, 1, 1},
	{"contains", IPK_X_CONTAINS, 2, 2},
	{"starts_with", IPK_X_STARTS, 2, 2},
	{"ends_with", IPK_X_ENDS, 2, 2},
	{"lower", IPK_X_LOWER, 1, 1},
	{"upper", IPK_X_UPPER, 1, 1},
	{"i64", IPK_X_I64, 1, 1},
	{"u64", IPK_X_U64, 1, 1},
	{"f64", IPK_X_F64, 1, 1},
	{"str", IPK_X_STR, 1, 1},
};

/* Behind "name(". */
static int call(struct ipk_x_parser *ps, const char *name, size_t len, size_t pos, u16 *ret)
{
	const struct function *f = functions, *end = functions + IPK_ARRAY_LEN(functions);
	char shown[80];
	u16 kids[3], n = 0;

	while (f < end && (strlen(f->name) != len || memcmp(f->name, name, len) != 0))
		f++;
	if (f == end)
		return ipk_x_fail(ps, -EINVAL, pos, "there is no function \"%s\"",
				  ipk_quote(name, len, shown, sizeof(shown)));
	if (!take(ps, ')')) {
		do {
			int r = n < f->most ? expression(ps, 0, &kids[n]) : -E2BIG;

			if (r == -E2BIG)
				return ipk_x_fail(ps, -EINVAL, ps->pos, "%s takes %u value%s",
						  f->name, f->most, f->most == 1 ? "" : "s");
			if (r < 0)
				return r;
			n++;
		} while (take(ps, ','));
		if (!take(ps, ')'))
			return wants(ps, "\",\" or \")\"");
	}
	if (n < f->least)
		return ipk_x_fail(ps, -EINVAL, pos, "%s takes %u value%s, got %u", f->name,
				  f->least, f->least == 1 ? "" : "s", n);
	return ipk_x_apply(ps, f->op, f->name, pos, kids, n, ret);
}

/* A word: a constant, a call or a name. */
static int word(struct ipk_x_parser *ps, size_t len, u16 *ret)
{
	static const struct {
		const char *name;
		enum ipk_x_class cls;
		double real;
	} constants[] = {{"false", IPK_X_BOOL, 0},
			 {"true", IPK_X_BOOL, 0},
			 {"inf", IPK_X_FLOAT, INFINITY},
			 {"nan", IPK_X_FLOAT, NAN}};
	const char *name = ps->text + ps->pos;
	size_t pos = ps->pos;

	ps->pos += len;
	if (take(ps, '('))
		return call(ps, name, len, pos, ret);
	for (unsigned i = 0; i < IPK_ARRAY_LEN(constants); i++) {
		struct ipk_x_node node = {.op = IPK_X_CONST,
					  .cls = constants[i].cls,
					  .col = (u32)pos,
					  .real = constants[i].real,
					  .whole = i == 1};

		if (strlen(constants[i].name) == len && memcmp(constants[i].name, name, len) == 0)
			return ipk_x_add(ps, &node, ret);
	}
	return called(ps, name, len, pos, ret);
}

static int quoted_name(struct ipk_x_parser *ps, u16 *ret)
{
	const char *name = ps->text + ps->pos + 1, *end;
	size_t pos = ps->pos, len;

	end = memchr(name, '`', ps->len - pos - 1);
	if (!end)
		return ipk_x_fail(ps, -EINVAL, pos, "a name without its end");
	len = (size_t)(end - name);
	ps->pos += len + 2;
	return called(ps, name, len, pos, ret);
}

static int element(struct ipk_x_parser *ps, u16 *ret)
{
	const struct ipk_expr_env *env = ps->env;
	struct ipk_x_node node = {.op = IPK_X_ELEM, .col = (u32)ps->pos};

	if (!env->elem)
		return ipk_x_fail(ps, -EINVAL, ps->pos, "there is no element here that $ could be");
	ps->pos++;
	node.place = !env->list;
	node.loose = env->list;
	node.type = *env->elem;
	node.cls = env->list ? IPK_X_LIST : ipk_x_class_of(env->elem);
	return ipk_x_add(ps, &node, ret);
}

/* ---- operators -------------------------------------------------------------------------- */

static int primary(struct ipk_x_parser *ps, u16 *ret)
{
	size_t n;
	char c;
	int r;

	blank(ps);
	c = peek(ps, 0);
	if (is_digit(c) || (c == '.' && is_digit(peek(ps, 1))))
		return number(ps, ret);
	if (c == '"' || c == '\'')
		return text(ps, ret);
	if (c == '`')
		return quoted_name(ps, ret);
	if (c == '$')
		return element(ps, ret);
	if (take(ps, '(')) {
		r = expression(ps, 0, ret);
		if (r < 0)
			return r;
		return take(ps, ')') ? 0 : wants(ps, "\")\"");
	}
	n = name_length(ps);
	return n ? word(ps, n, ret) : wants(ps, "a value");
}

static int postfix(struct ipk_x_parser *ps, u16 *ret)
{
	int r = primary(ps, ret);

	while (r == 0) {
		u16 index;
		size_t n, pos;

		blank(ps);
		pos = ps->pos;
		if (take(ps, '.')) {
			blank(ps);
			n = name_length(ps);
			if (!n)
				return wants(ps, "a field's name");
			r = ipk_x_field(ps, *ret, ps->text + ps->pos, n, pos, ret);
			ps->pos += n;
		} else if (take(ps, '[')) {
			r = expression(ps, 0, &index);
			if (r == 0 && !take(ps, ']'))
				return wants(ps, "\"]\"");
			if (r == 0)
				r = ipk_x_index(ps, *ret, index, pos, ret);
		} else {
			return 0;
		}
	}
	return r;
}

static int unary(struct ipk_x_parser *ps, u16 *ret)
{
	size_t pos;
	bool neg;
	int r;

	blank(ps);
	pos = ps->pos;
	neg = peek(ps, 0) == '-';
	if (!neg && (peek(ps, 0) != '!' || peek(ps, 1) == '='))
		return postfix(ps, ret);
	if (++ps->nest > IPK_EXPR_DEPTH)
		return ipk_x_fail(ps, -EMSGSIZE, pos, "nested more than %u deep", IPK_EXPR_DEPTH);
	ps->pos++;
	r = unary(ps, ret);
	ps->nest--;
	if (r < 0)
		return r;
	return ipk_x_apply(ps, neg ? IPK_X_NEG : IPK_X_NOT, neg ? "-" : "!", pos, ret, 1, ret);
}

/* Longer ones before those they begin with. */
static const struct binary {
	const char *text;
	enum ipk_x_op op;
	unsigned prec;
} binaries[] = {
	{"||", IPK_X_OR, 1}, {"&&", IPK_X_AND, 2}, {"==", IPK_X_EQ, 3}, {"!=", IPK_X_NE, 3},
	{"<=", IPK_X_LE, 4}, {">=", IPK_X_GE, 4},  {"<", IPK_X_LT, 4},  {">", IPK_X_GT, 4},
	{"+", IPK_X_ADD, 5}, {"-", IPK_X_SUB, 5},  {"*", IPK_X_MUL, 6}, {"/", IPK_X_DIV, 6},
	{"%", IPK_X_MOD, 6},
};

static const struct binary *operator_here(struct ipk_x_parser *ps)
{
	blank(ps);
	for (unsigned i = 0; i < IPK_ARRAY_LEN(binaries); i++) {
		const char *t = binaries[i].text;

		if (peek(ps, 0) == t[0] && (!t[1] || peek(ps, 1) == t[1]))
			return &binaries[i];
	}
	return NULL;
}

/* Operators that bind at least so tightly. */
static int expression(struct ipk_x_parser *ps, unsigned least, u16 *ret)
{
	const struct binary *op;
	u16 kids[2];
	size_t pos;
	int r;

	if (++ps->nest > IPK_EXPR_DEPTH)
		return ipk_x_fail(ps, -EMSGSIZE, ps->pos, "nested more than %u deep",
				  IPK_EXPR_DEPTH);
	r = unary(ps, &kids[0]);
	while (r == 0 && (op = operator_here(ps)) && op->prec >= least) {
		pos = ps->pos;
		ps->pos += strlen(op->text);
		r = expression(ps, op->prec + 1, &kids[1]);
		if (r == 0)
			r = ipk_x_apply(ps, op->op, op->text, pos, kids, 2, &kids[0]);
	}
	if (r == 0 && peek(ps, 0) == '=' && peek(ps, 1) != '=')
		return ipk_x_fail(ps, -EINVAL, ps->pos, "\"=\" is no operator; equality is \"==\"");
	ps->nest--;
	*ret = kids[0];
	return r;
}

/* ---- the whole -------------------------------------------------------------------------- */

static int finish(struct ipk_x_parser *ps)
{
	static const char *const names[] = {
		[IPK_X_INT] = "i64",   [IPK_X_UINT] = "u64", [IPK_X_FLOAT] = "f64",
		[IPK_X_BOOL] = "bool", [IPK_X_TEXT] = "str", [IPK_X_LIST] = "json"};
	struct ipk_x_node *root = &ps->e->nodes[ps->e->n - 1];
	struct ipk_buf schema = {0};
	int r;

	if (ps->env->plain && root->cls < IPK_X_LIST)
		root->place = false;
	r = root->place ? ipk_type_print(&root->type, &schema)
			: ipk_buf_str(&schema, names[root->cls]);
	if (r == 0)
		r = ipk_type_parse(schema.data, schema.len, &ps->e->result, NULL);
	ipk_buf_free(&schema);
	return r < 0 ? ipk_x_fail(ps, r, root->col, "its type cannot be an element's") : 0;
}

int ipk_expr_parse_part(const char *text, size_t len, size_t *pos, const struct ipk_expr_env *env,
			struct ipk_expr **ret_expr, struct ipk_error *err)
{
	struct ipk_x_parser ps = {.text = text, .len = len, .pos = *pos, .env = env, .err = err};
	u16 root;
	int r;

	if (len > IPK_EXPR_TEXT_MAX)
		return ipk_error_set(err, -EMSGSIZE, "more than %u characters", IPK_EXPR_TEXT_MAX);
	ps.e = calloc(1, sizeof(*ps.e));
	if (ps.e)
		ps.e->pool = malloc(len + 1);
	if (!ps.e || !ps.e->pool) {
		free(ps.e);
		return ipk_error_set(err, -ENOMEM, "out of memory");
	}
	r = expression(&ps, 0, &root);
	if (r == 0)
		r = finish(&ps);
	if (r < 0) {
		ipk_expr_free(ps.e);
		return r;
	}
	*pos = ps.pos;
	*ret_expr = ps.e;
	return 0;
}

int ipk_expr_parse(const char *text, size_t len, const struct ipk_expr_env *env,
		   struct ipk_expr **ret_expr, struct ipk_error *err)
{
	struct ipk_x_parser ps = {.text = text, .len = len, .err = err};
	struct ipk_expr *e;
	int r = ipk_expr_parse_part(text, len, &ps.pos, env, &e, err);

	if (r < 0)
		return r;
	blank(&ps);
	if (ps.pos < len) {
		ipk_expr_free(e);
		return wants(&ps, "an operator or the end");
	}
	*ret_expr = e;
	return 0;
}

void ipk_expr_free(struct ipk_expr *e)
{
	if (!e)
		return;
	ipk_type_free(e->result);
	free(e->nodes);
	free(e->pool);
	free(e);
}

const struct ipk_type *ipk_expr_type(const struct ipk_expr *e)
{
	return e->result;
}
