/* SPDX-License-Identifier: MIT */
/* Pipelines as text: "filter($ > 30) | window(10) | mean". */
#include <stdlib.h>

#include "kinds/stream_pipe.h"
#include "number.h"
#include "type.h"
#include "ipk/kind.h"

struct parse {
	const char *text;
	size_t len, pos;
	struct ipk_pipe *pipe;
	ipk_pipe_type_fn *type_of;
	void *arg;
	struct ipk_error *err;
};

/* ---- expressions as functions ----------------------------------------------------------- */

struct acc {
	const struct ipk_type *type;
	const struct ipk_derive_in *in;
};

static int find_acc(void *arg, const char *name, size_t len, u32 *ret_id,
		    const struct ipk_type **ret_type, struct ipk_error *err)
{
	const struct acc *acc = arg;

	(void)err;
	if (!acc->type || len != 3 || memcmp(name, "acc", 3) != 0)
		return -ENOENT;
	*ret_id = 0;
	*ret_type = acc->type;
	return 0;
}

static int load_acc(void *arg, u32 id, const void **ret_val, size_t *ret_len, struct ipk_error *err)
{
	const struct acc *acc = arg;

	(void)id, (void)err;
	*ret_val = acc->in->acc;
	*ret_len = acc->in->acc_len;
	return 0;
}

static int compute(void *arg, const struct ipk_derive_in *in, struct ipk_buf *out,
		   struct ipk_error *err)
{
	const struct ipk_expr_list list = {.data = in->data, .ends = in->ends, .n = in->n};
	struct acc acc = {.in = in};
	const struct ipk_expr_input input = {
		.elem = in->data, .len = in->len, .list = &list, .load = load_acc, .arg = &acc};

	return ipk_expr_eval(arg, &input, out, err);
}

static int test(void *arg, const struct ipk_derive_in *in, struct ipk_buf *out,
		struct ipk_error *err)
{
	int r = compute(arg, in, out, err);

	return r < 0 ? r : out->data[0] != 0;
}

/* ---- words ------------------------------------------------------------------------------ */

static void blank(struct parse *ps)
{
	while (ps->pos < ps->len &&
	       (ps->text[ps->pos] == ' ' || ps->text[ps->pos] == '\t' || ps->text[ps->pos] == '\n'))
		ps->pos++;
}

static bool take(struct parse *ps, char c)
{
	blank(ps);
	if (ps->pos == ps->len || ps->text[ps->pos] != c)
		return false;
	ps->pos++;
	return true;
}

static int wants(struct parse *ps, const char *what)
{
	char shown[40];

	blank(ps);
	if (ps->pos == ps->len)
		return ipk_error_set(ps->err, -EINVAL, "column %zu: wants %s, got the end",
				     ps->pos + 1, what);
	return ipk_error_set(ps->err, -EINVAL, "column %zu: wants %s, got \"%s\"", ps->pos + 1,
			     what, ipk_quote(ps->text + ps->pos, 1, shown, sizeof(shown)));
}

/* What numbers, durations and the names of streams are made of. */
static size_t word(struct parse *ps, const char **ret)
{
	size_t n = 0;

	blank(ps);
	*ret = ps->text + ps->pos;
	while (ps->pos < ps->len) {
		char c = ps->text[ps->pos];

		if (!c ||
		    !strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", c))
			break;
		ps->pos++;
		n++;
	}
	return n;
}

static int number(struct parse *ps, u64 *ret)
{
	const char *text;
	size_t pos, n;
	bool neg;

	blank(ps);
	pos = ps->pos;
	n = word(ps, &text);
	if (n == 0 || ipk_integer_parse(text, n, &neg, ret) < 0 || neg) {
		ps->pos = pos;
		return wants(ps, "a number");
	}
	return 0;
}

static int duration(struct parse *ps, u64 *ret)
{
	const char *text;
	size_t pos, n;
	int64_t ns = 0;

	blank(ps);
	pos = ps->pos;
	n = word(ps, &text);
	if (n == 0 || ipk_parse_duration(text, n, &ns) < 0 || ns <= 0) {
		ps->pos = pos;
		return wants(ps, "a duration, as 250ms or 1s");
	}
	*ret = (u64)ns;
	return 0;
}

/* ---- arguments -------------------------------------------------------------------------- */

/* An expression up to "," or ")". acc: its type, or NULL where there is none. */
static int expression(struct parse *ps, const struct ipk_type *acc, bool constant, bool plain,
		      struct ipk_expr **ret)
{
	struct acc names = {.type = acc};
	struct ipk_expr_env env = {.plain = plain, .find = find_acc, .arg = &names};

	if (!constant)
		env.elem = ipk_pipe_type(ps->pipe, &env.list);
	return ipk_expr_parse_part(ps->text, ps->len, &ps->pos, &env, ret, ps->err);
}

static int parse_map(struct parse *ps, struct ipk_pipe_stage *s)
{
	size_t pos = ps->pos;
	int r = expression(ps, NULL, false, false, &s->expr);

	if (r < 0)
		return r;
	s->op.arg = s->expr;
	s->op.type = ipk_expr_type(s->expr)->text;
	s->op.run = s->op.kind == IPK_DERIVE_FILTER ? test : compute;
	if (s->op.kind == IPK_DERIVE_FILTER && strcmp(s->op.type, "bool") != 0)
		return ipk_error_set(ps->err, -EINVAL,
				     "column %zu: filter wants a bool, and this is %.40s", pos + 1,
				     s->op.type);
	return 0;
}

/* INIT has become a value; where acc grows into a u64 or f64, it does. */
static void widen(struct ipk_buf *init, const char *to)
{
	i64 whole;
	double real;

	memcpy(&whole, init->data, sizeof(whole));
	real = (double)whole;
	if (strcmp(to, "f64") == 0)
		memcpy(init->data, &real, sizeof(real));
}

static bool widens(const char *from, const char *to)
{
	return strcmp(from, "i64") == 0 && (strcmp(to, "f64") == 0 || strcmp(to, "u64") == 0);
}

/* EXPR with acc of one type, and if that makes it another that the first one widens to, once more.
 */
static int parse_step(struct parse *ps, struct ipk_pipe_stage *s, struct ipk_buf *init)
{
	const char *was = s->acc->text, *is;
	size_t pos;
	int r;

	blank(ps);
	pos = ps->pos;
	r = expression(ps, s->acc, false, true, &s->expr);
	if (r < 0)
		return r;
	is = ipk_expr_type(s->expr)->text;
	if (widens(was, is)) {
		struct ipk_type *wide;

		r = ipk_type_parse(is, strlen(is), &wide, NULL);
		if (r < 0)
			return ipk_error_set(ps->err, r, "out of memory");
		ipk_type_free(s->acc);
		s->acc = wide;
		widen(init, is);
		ipk_expr_free(s->expr);
		s->expr = NULL;
		ps->pos = pos;
		r = expression(ps, s->acc, false, true, &s->expr);
		if (r < 0)
			return r;
		was = s->acc->text;
		is = ipk_expr_type(s->expr)->text;
	}
	if (strcmp(was, is) != 0)
		return ipk_error_set(ps->err, -EINVAL,
				     "column %zu: acc is %.40s and would become %.40s", pos + 1,
				     was, is);
	return 0;
}

static int parse_fold(struct parse *ps, struct ipk_pipe_stage *s)
{
	const struct ipk_expr_input none = {0};
	struct ipk_buf init = {0};
	struct ipk_expr *first;
	int r = expression(ps, NULL, true, true, &first);

	if (r < 0)
		return r;
	r = ipk_expr_eval(first, &none, &init, ps->err);
	if (r == 0)
		r = ipk_type_parse(ipk_expr_type(first)->text, strlen(ipk_expr_type(first)->text),
				   &s->acc, ps->err);
	ipk_expr_free(first);
	if (r == 0)
		r = take(ps, ',') ? parse_step(ps, s, &init)
				  : wants(ps, "\",\" and what acc becomes");
	s->init = (u8 *)init.data;
	if (r < 0)
		return r;
	s->op.init = s->init ? (const void *)s->init : "";
	s->op.init_len = init.len;
	s->op.arg = s->expr;
	s->op.type = s->acc->text;
	s->op.run = compute;
	return 0;
}

static int parse_throttle(struct parse *ps, struct ipk_pipe_stage *s)
{
	struct ipk_error *err = ps->err;
	size_t pos = ps->pos;
	int r;

	ps->err = NULL; /* it may be no number but the duration */
	r = number(ps, &s->op.n);
	ps->err = err;
	if (r < 0 || !take(ps, ',')) {
		ps->pos = pos;
		s->op.n = 1;
	}
	return duration(ps, &s->op.step);
}

static int parse_window(struct parse *ps, struct ipk_pipe_stage *s)
{
	int r = number(ps, &s->op.n);

	s->op.step = 1;
	if (r == 0 && s->op.kind == IPK_DERIVE_WINDOW && take(ps, ','))
		r = number(ps, &s->op.step);
	return r;
}

static int parse_stream(struct parse *ps, struct ipk_pipe_stage *s)
{
	const char *name;
	size_t n = word(ps, &name);

	if (n == 0)
		return wants(ps, "the name of a stream");
	s->init = (u8 *)strndup(name, n);
	s->op.stream = (const char *)s->init;
	return s->init ? 0 : ipk_error_set(ps->err, -ENOMEM, "out of memory");
}

/* ---- operators -------------------------------------------------------------------------- */

static const struct word {
	const char *name;
	enum ipk_derive_kind kind;
	int (*args)(struct parse *ps,
		    struct ipk_pipe_stage *s); /* NULL: none, the function is sugar */
	const char *sugar;
	const char *usage;
} words[] = {
	{"map", IPK_DERIVE_MAP, parse_map, NULL, "map(EXPR)"},
	{"filter", IPK_DERIVE_FILTER, parse_map, NULL, "filter(EXPR)"},
	{"take", IPK_DERIVE_TAKE, parse_window, NULL, "take(N)"},
	{"skip", IPK_DERIVE_SKIP, parse_window, NULL, "skip(N)"},
	{"fold", IPK_DERIVE_FOLD, parse_fold, NULL, "fold(INIT, EXPR)"},
	{"scan", IPK_DERIVE_SCAN, parse_fold, NULL, "scan(INIT, EXPR)"},
	{"window", IPK_DERIVE_WINDOW, parse_window, NULL, "window(N[, STEP])"},
	{"batch", IPK_DERIVE_BATCH, parse_window, NULL, "batch(N)"},
	{"merge", IPK_DERIVE_MERGE, parse_stream, NULL, "merge(STREAM)"},
	{"zip", IPK_DERIVE_ZIP, parse_stream, NULL, "zip(STREAM)"},
	{"throttle", IPK_DERIVE_THROTTLE, parse_throttle, NULL, "throttle([N,] DURATION)"},
	{"distinct", IPK_DERIVE_DISTINCT, parse_window, NULL, "distinct or distinct(N)"},
	{"sum", IPK_DERIVE_MAP, NULL, "sum($)", "sum"},
	{"mean", IPK_DERIVE_MAP, NULL, "mean($)", "mean"},
	{"min", IPK_DERIVE_MAP, NULL, "min($)", "min"},
	{"max", IPK_DERIVE_MAP, NULL, "max($)", "max"},
	{"count", IPK_DERIVE_MAP, NULL, "len($)", "count"},
};

static int unknown(struct parse *ps, size_t pos, const char *name, size_t len)
{
	char shown[40];

	return ipk_error_set(ps->err, -EINVAL,
			     "column %zu: no operator \"%s\"; there are map filter take skip "
			     "fold scan window batch merge zip throttle distinct sum mean min "
			     "max count",
			     pos + 1, ipk_quote(name, len, shown, sizeof(shown)));
}

/* sum and its like are map() of a list. */
static int parse_sugar(struct parse *ps, const struct word *w, size_t pos, struct ipk_pipe_stage *s)
{
	struct parse inner = *ps;
	struct ipk_error why = {0};
	bool list;
	int r;

	ipk_pipe_type(ps->pipe, &list);
	if (!list)
		return ipk_error_set(ps->err, -EINVAL,
				     "column %zu: %s is of a list; put window(N) or batch(N) "
				     "before it, or write fold",
				     pos + 1, w->name);
	inner.text = w->sugar;
	inner.len = strlen(w->sugar);
	inner.pos = 0;
	inner.err = &why;
	r = parse_map(&inner, s);
	if (r == -EINVAL)
		return ipk_error_set(ps->err, r, "column %zu: %s wants numbers%s", pos + 1, w->name,
				     w->name[0] == 'm' && w->name[1] != 'e' ? " or texts" : "");
	return r < 0 ? ipk_error_set(ps->err, r, "%s", why.text) : r;
}

static int parse_args(struct parse *ps, const struct word *w, size_t pos, struct ipk_pipe_stage *s)
{
	char what[64] = "\"(\", as in ";
	int r;

	if (!w->args)
		return parse_sugar(ps, w, pos, s);
	if (!take(ps, '(')) {
		s->op.n = 1;
		if (w->kind == IPK_DERIVE_DISTINCT)
			return 0;
		return wants(ps, strcat(what, w->usage));
	}
	blank(ps);
	r = w->args(ps, s);
	if (r == 0 && !take(ps, ')'))
		r = wants(ps, strcat(strcpy(what, "\")\", as in "), w->usage));
	return r;
}

static int parse_op(struct parse *ps)
{
	struct ipk_pipe_stage stage = {0};
	struct ipk_error why = {0};
	const struct word *w = words, *end = words + IPK_ARRAY_LEN(words);
	const char *name;
	size_t len = word(ps, &name), pos = (size_t)(name - ps->text);
	int r;

	if (len == 0)
		return wants(ps, "an operator");
	while (w < end && (strlen(w->name) != len || memcmp(w->name, name, len) != 0))
		w++;
	if (w == end)
		return unknown(ps, pos, name, len);
	stage.op.kind = w->kind;
	r = parse_args(ps, w, pos, &stage);
	if (r < 0) {
		ipk_pipe_stage_free(&stage);
		return r;
	}
	r = ipk_pipe_add(ps->pipe, &stage, ps->type_of, ps->arg, &why);
	return r < 0 ? ipk_error_set(ps->err, r, "column %zu: %s", pos + 1, why.text) : 0;
}

int ipk_pipe_parse(const char *text, size_t len, ipk_pipe_type_fn *type_of, void *arg,
		   struct ipk_pipe **ret_pipe, struct ipk_error *err)
{
	const char *bar = memchr(text, '|', len);
	size_t n = bar ? (size_t)(bar - text) : len, from = n + (bar != NULL);
	struct parse ps = {.type_of = type_of, .arg = arg, .err = err};
	int r;

	from += from < len && text[from] == ' ';
	ps.text = text + from;
	ps.len = len - from;

	if (len > IPK_EXPR_TEXT_MAX)
		return ipk_error_set(err, -EMSGSIZE, "more than %u characters",
				     IPK_DERIVE_TEXT_MAX);
	while (n && text[n - 1] == ' ')
		n--;
	r = ipk_pipe_begin(text, n, type_of, arg, &ps.pipe, err);
	if (r < 0)
		return r;
	do
		r = parse_op(&ps);
	while (r == 0 && take(&ps, '|'));
	blank(&ps);
	if (r == 0 && ps.pos < ps.len)
		r = wants(&ps, "\"|\" or the end");
	if (r == 0) {
		ps.pipe->text = strndup(text, len);
		r = ps.pipe->text ? 0 : ipk_error_set(err, -ENOMEM, "out of memory");
	}
	if (r < 0)
		ipk_pipe_free(ps.pipe);
	else
		*ret_pipe = ps.pipe;
	return r;
}
