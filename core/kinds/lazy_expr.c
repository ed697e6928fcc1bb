/* SPDX-License-Identifier: MIT */
/* Lazy values that an expression computes: EXPR, or map(NAME, EXPR). See lazy_expr.h. */
#include <stdlib.h>

#include "buf.h"
#include "kinds/lazy_expr.h"

struct thunk {
	struct ipk_lzy_names names;
	struct ipk_expr *expr;
	bool map; /* of the items of names.v[over], each in turn $ */
	u32 over;
};

static void thunk_free(struct thunk *t)
{
	if (!t)
		return;
	ipk_expr_free(t->expr);
	ipk_lzy_names_close(&t->names);
	free(t);
}

/* ---- parsing ------------------------------------------------------------------------- */

static size_t blank(const char *text, size_t len, size_t at)
{
	while (at < len && (text[at] == ' ' || text[at] == '\t' || text[at] == '\n'))
		at++;
	return at;
}

static bool is_word(char c)
{
	return c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

/* "map(NAME,": what NAME is, and *pos behind it. 0: it is none. */
static int map_of(const char *text, size_t len, const char **ret_name, size_t *ret_len, size_t *pos)
{
	size_t at = blank(text, len, 0), from;
	bool quoted;

	if (len - at < 3 || memcmp(text + at, "map", 3))
		return 0;
	at = blank(text, len, at + 3);
	if (at == len || text[at] != '(')
		return 0;
	at = blank(text, len, at + 1);
	quoted = at < len && text[at] == '`';
	from = at += quoted;
	while (at < len && (quoted ? text[at] != '`' : is_word(text[at])))
		at++;
	*ret_name = text + from;
	*ret_len = at - from;
	at = blank(text, len, at + (quoted && at < len));
	*pos = at + 1;
	return *ret_len && at < len && text[at] == ',' ? 1 : -EINVAL;
}

/* The elements' type of what is mapped. */
static int over(struct thunk *t, const char *name, size_t len, struct ipk_type **ret_type,
		struct ipk_error *err)
{
	struct ipk_lzy_name *n;
	int r = ipk_lzy_name(&t->names, name, len, &t->over, err);

	if (r < 0)
		return r;
	n = &t->names.v[t->over];
	if (n->key || !n->kind->items || n->how == IPK_LZY_VALUE)
		return ipk_error_set(err, -EMEDIUMTYPE, "\"%.*s\" has no items to map", (int)len,
				     name);
	return ipk_type_parse(n->o.type, strlen(n->o.type), ret_type, err);
}

static int parse_map(struct thunk *t, const char *text, size_t len, size_t pos,
		     struct ipk_type *elem, struct ipk_error *err)
{
	struct ipk_expr_env env = {.elem = elem, .find = ipk_lzy_find, .arg = &t->names};
	int r = ipk_expr_parse_part(text, len, &pos, &env, &t->expr, err);

	if (r < 0)
		return r;
	pos = blank(text, len, pos);
	if (pos == len || text[pos] != ')' || blank(text, len, pos + 1) != len)
		return ipk_error_set(err, -EINVAL, "column %zu: map(NAME, EXPR) ends with )",
				     pos + 1);
	return 0;
}

/* *ret_elem has to outlive the expression. */
static int parse(struct thunk *t, const char *text, size_t len, struct ipk_type **ret_elem,
		 struct ipk_error *err)
{
	struct ipk_expr_env env = {.find = ipk_lzy_find, .arg = &t->names};
	const char *name;
	size_t name_len, pos;
	int r = map_of(text, len, &name, &name_len, &pos);

	if (r < 0)
		return ipk_error_set(err, r, "map wants the name of an object: map(NAME, EXPR)");
	t->map = r;
	if (!t->map)
		return ipk_expr_parse(text, len, &env, &t->expr, err);
	r = over(t, name, name_len, ret_elem, err);
	return r < 0 ? r : parse_map(t, text, len, pos, *ret_elem, err);
}

int ipk_lazy_expr_check(struct ipk_segment *seg, const char *text, size_t len,
			struct ipk_error *err)
{
	struct thunk *t = calloc(1, sizeof(*t));
	struct ipk_type *elem = NULL;
	int r = t ? ipk_lzy_names_open(&t->names, seg, err) : -ENOMEM;

	if (!r)
		r = parse(t, text, len, &elem, err);
	if (r < 0 && t && t->names.missing)
		r = 0; /* it may come to be */
	thunk_free(t);
	ipk_type_free(elem);
	return r;
}

/* ---- computing ----------------------------------------------------------------------- */

/* The result as JSON, appended to out. */
static int eval_json(struct thunk *t, const void *elem, size_t len, struct ipk_buf *out,
		     struct ipk_error *err)
{
	struct ipk_expr_input in = {
		.elem = elem, .len = len, .load = ipk_lzy_load, .arg = &t->names};
	struct ipk_buf value = {0};
	int r = ipk_expr_eval(t->expr, &in, &value, err);

	if (!r)
		r = ipk_value_print(ipk_expr_type(t->expr), value.data ? value.data : "", value.len,
				    IPK_VALUE_JSON, out);
	ipk_buf_free(&value);
	return r;
}

struct mapping {
	struct thunk *t;
	struct ipk_buf *out;
	u64 n;
	struct ipk_error *err;
};

static int map_item(void *arg, const struct ipk_item *item)
{
	struct mapping *m = arg;
	int r = m->n++ ? ipk_buf_str(m->out, ",") : 0;

	return r < 0 ? r : eval_json(m->t, item->data, item->len, m->out, m->err);
}

static int eval_map(struct thunk *t, struct ipk_buf *out, struct ipk_error *err)
{
	struct mapping m = {.t = t, .out = out, .err = err};
	const struct ipk_lzy_name *n = &t->names.v[t->over];
	int r = ipk_buf_str(out, "[");

	if (!r)
		r = n->kind->items(&n->o, 0, UINT64_MAX, map_item, &m);
	if (!r && !ipk_object_view_current(&n->o))
		r = ipk_error_set(err, -ESTALE, "\"%s\" was removed", n->text);
	return r < 0 ? r : ipk_buf_str(out, "]");
}

/* By way of JSON, which says the same of a number of any type and of a list of any kind. */
static int compute(struct thunk *t, const struct ipk_lazy *l, struct ipk_type **ret_elem,
		   struct ipk_buf *out, struct ipk_error *err)
{
	struct ipk_buf json = {0};
	int r = parse(t, l->text, l->text_len, ret_elem, err);

	if (!r)
		r = t->map ? eval_map(t, &json, err) : eval_json(t, NULL, 0, &json, err);
	if (!r)
		r = ipk_value_parse(l->type, json.data, json.len, IPK_VALUE_JSON, out, err);
	ipk_buf_free(&json);
	return r;
}

int ipk_lazy_compute(struct ipk_lazy *l, struct ipk_lzy_nest *nest, struct ipk_buf *out,
		     bool *ret_early, struct ipk_error *err)
{
	struct thunk *t = calloc(1, sizeof(*t));
	struct ipk_type *elem = NULL;
	int r = t ? ipk_lzy_names_open(&t->names, l->obj.seg, err) : -ENOMEM;

	err->text[0] = '\0';
	if (!r) {
		t->names.nest = nest;
		r = compute(t, l, &elem, out, err);
	}
	if (r < 0 && t && t->names.missing)
		r = -ENOENT;
	/* For lack of memory nobody else has to fail. */
	*ret_early = r == -ENOENT || r == -ENOMEM || (t && t->names.early);
	if (r < 0 && !err->text[0])
		ipk_error_set(err, r, "%s", ipk_strerror(r));
	thunk_free(t);
	ipk_type_free(elem);
	return r;
}

int ipk_lazy_evaluate(void *arg, struct ipk_buf *out)
{
	struct ipk_lazy_call *c = arg;
	struct ipk_lzy_nest nest = {0};
	bool early;
	int r = ipk_lazy_compute(c->l, &nest, out, &early, &c->err);

	if (r < 0) {
		out->len = 0;
		if (!early)
			ipk_buf_str(out, c->err.text);
	}
	return r;
}
