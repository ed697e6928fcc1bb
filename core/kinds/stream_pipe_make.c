/* SPDX-License-Identifier: MIT */
/* Making pipelines: what may follow what, and which types come of it. */
#include <stdlib.h>

#include "kinds/stream_pipe.h"
#include "type.h"

static const char *const op_names[] = {
	[IPK_DERIVE_MAP] = "map",           [IPK_DERIVE_FILTER] = "filter",
	[IPK_DERIVE_TAKE] = "take",         [IPK_DERIVE_SKIP] = "skip",
	[IPK_DERIVE_FOLD] = "fold",         [IPK_DERIVE_SCAN] = "scan",
	[IPK_DERIVE_WINDOW] = "window",     [IPK_DERIVE_BATCH] = "batch",
	[IPK_DERIVE_MERGE] = "merge",       [IPK_DERIVE_ZIP] = "zip",
	[IPK_DERIVE_THROTTLE] = "throttle", [IPK_DERIVE_DISTINCT] = "distinct",
};

const char *ipk_pipe_op_name(enum ipk_derive_kind kind)
{
	return (unsigned)kind < IPK_ARRAY_LEN(op_names) ? op_names[kind] : NULL;
}

/* ---- memory ----------------------------------------------------------------------------- */

void ipk_pipe_stage_free(struct ipk_pipe_stage *s)
{
	ipk_expr_free(s->expr);
	free(s->init);
	ipk_type_free(s->out);
	ipk_type_free(s->acc);
	ipk_values_free(&s->values);
	ipk_buf_free(&s->out_buf);
}

void ipk_pipe_free(struct ipk_pipe *p)
{
	if (!p)
		return;
	for (unsigned i = 0; i < p->n; i++)
		ipk_pipe_stage_free(&p->stage[i]);
	for (unsigned i = 0; i < p->sources; i++)
		ipk_type_free(p->source[i].type);
	free(p->text);
	free(p);
}

/* ---- types ------------------------------------------------------------------------------ */

const struct ipk_type *ipk_pipe_type(const struct ipk_pipe *p, bool *ret_list)
{
	const struct ipk_pipe_stage *s = p->n ? &p->stage[p->n - 1] : NULL;

	*ret_list = s && s->out_list;
	if (!s)
		return p->source[0].type;
	return s->out ? s->out : s->in;
}

const char *ipk_pipe_schema(const struct ipk_pipe *p)
{
	bool list;
	const struct ipk_type *type = ipk_pipe_type(p, &list);

	return list ? "json" : type->text;
}

static int add_source(struct ipk_pipe *p, const char *name, size_t len, ipk_pipe_type_fn *type_of,
		      void *arg, struct ipk_error *err)
{
	struct ipk_pipe_source *s = &p->source[p->sources];
	int r;

	if (p->sources == IPK_DERIVE_SOURCES)
		return ipk_error_set(err, -EINVAL, "more than %u streams", IPK_DERIVE_SOURCES);
	if (len == 0 || len >= sizeof(s->place.name))
		return ipk_error_set(err, -EINVAL, "wants the name of a stream");
	memcpy(s->place.name, name, len);
	for (unsigned i = 0; i < p->sources; i++)
		if (strcmp(p->source[i].place.name, s->place.name) == 0)
			return ipk_error_set(err, -EINVAL, "stream \"%s\" is a source already",
					     s->place.name);
	s->stage = p->n;
	r = type_of(arg, s->place.name, &s->type, err);
	p->sources += r == 0;
	return r;
}

int ipk_pipe_begin(const char *source, size_t len, ipk_pipe_type_fn *type_of, void *arg,
		   struct ipk_pipe **ret_pipe, struct ipk_error *err)
{
	struct ipk_pipe *p = calloc(1, sizeof(*p));
	int r = p ? add_source(p, source, len, type_of, arg, err)
		  : ipk_error_set(err, -ENOMEM, "out of memory");

	if (r < 0)
		ipk_pipe_free(p);
	else
		*ret_pipe = p;
	return r;
}

/* ---- operators -------------------------------------------------------------------------- */

static int bad(const struct ipk_pipe_stage *s, struct ipk_error *err, const char *what)
{
	return ipk_error_set(err, -EINVAL, "%s wants %s", ipk_pipe_op_name(s->op.kind), what);
}

static int out_type(struct ipk_pipe_stage *s, struct ipk_error *err)
{
	struct ipk_error why = {0};
	int r;

	if (!s->op.run)
		return bad(s, err, "a function");
	if (s->op.kind == IPK_DERIVE_FILTER)
		return 0;
	if (!s->op.type)
		return bad(s, err, "the type of what comes out");
	r = ipk_type_parse(s->op.type, strlen(s->op.type), &s->out, &why);
	return r < 0 ? ipk_error_set(err, r, "%s: %s", ipk_pipe_op_name(s->op.kind), why.text) : 0;
}

static int accumulator(struct ipk_pipe_stage *s, struct ipk_error *err)
{
	int r = out_type(s, err);

	if (r < 0)
		return r;
	if (s->out->size && s->op.init_len != s->out->size)
		return bad(s, err, "an initial value of its type");
	return ipk_values_push(&s->values, s->op.init, s->op.init_len, s->out->size);
}

static int pair_type(struct ipk_pipe_stage *s, const struct ipk_type *other, struct ipk_error *err)
{
	struct ipk_buf text = {0};
	int r;

	if (s->in_list || !s->in->size || !other->size)
		return bad(s, err, "elements of fixed size on both sides");
	r = ipk_buf_printf(&text, "{%s a; %s b}", s->in->text, other->text);
	if (r == 0)
		r = ipk_type_parse(text.data, text.len, &s->out, NULL);
	ipk_buf_free(&text);
	return r < 0 ? ipk_error_set(err, r, "zip: a pair of these cannot be an element") : 0;
}

static int join(struct ipk_pipe *p, struct ipk_pipe_stage *s, ipk_pipe_type_fn *type_of, void *arg,
		struct ipk_error *err)
{
	const struct ipk_type *other;
	int r;

	if (!s->op.stream)
		return bad(s, err, "the name of a stream");
	r = add_source(p, s->op.stream, strlen(s->op.stream), type_of, arg, err);
	if (r < 0)
		return r;
	s->source = p->sources - 1;
	other = p->source[s->source].type;
	if (s->op.kind == IPK_DERIVE_ZIP)
		return pair_type(s, other, err);
	if (s->in_list || !ipk_type_equal(s->in, other))
		return ipk_error_set(err, -EINVAL, "merge: \"%s\" has elements of %s, not %s",
				     s->op.stream, other->text, s->in_list ? "lists" : s->in->text);
	return 0;
}

static int check(struct ipk_pipe *p, struct ipk_pipe_stage *s, ipk_pipe_type_fn *type_of, void *arg,
		 struct ipk_error *err)
{
	switch (s->op.kind) {
	case IPK_DERIVE_MAP:
	case IPK_DERIVE_FILTER:
		s->out_list = s->op.kind == IPK_DERIVE_FILTER && s->in_list;
		return out_type(s, err);
	case IPK_DERIVE_FOLD:
	case IPK_DERIVE_SCAN:
		s->out_list = false;
		return accumulator(s, err);
	case IPK_DERIVE_TAKE:
		s->kept.ended = s->op.n == 0;
		return 0;
	case IPK_DERIVE_SKIP:
		return 0;
	case IPK_DERIVE_THROTTLE:
		return s->op.n && s->op.step ? 0 : bad(s, err, "a number and a duration above 0");
	case IPK_DERIVE_WINDOW:
	case IPK_DERIVE_BATCH:
	case IPK_DERIVE_DISTINCT:
		if (!s->op.n || s->op.n > IPK_DERIVE_ITEMS ||
		    (s->op.kind == IPK_DERIVE_WINDOW && !s->op.step))
			return bad(s, err, "a number from 1 to 1048576");
		if (s->in_list)
			return bad(
				s, err,
				"single elements; make one of the list first, as by map or mean");
		s->out_list = s->op.kind != IPK_DERIVE_DISTINCT;
		return 0;
	case IPK_DERIVE_MERGE:
	case IPK_DERIVE_ZIP:
		return join(p, s, type_of, arg, err);
	default:
		return ipk_error_set(err, -EINVAL, "no such operator");
	}
}

int ipk_pipe_add(struct ipk_pipe *p, struct ipk_pipe_stage *stage, ipk_pipe_type_fn *type_of,
		 void *arg, struct ipk_error *err)
{
	int r;

	if (p->n == IPK_DERIVE_OPS) {
		r = ipk_error_set(err, -EINVAL, "more than %u operators", IPK_DERIVE_OPS);
	} else {
		stage->in = ipk_pipe_type(p, &stage->in_list);
		stage->out_list = stage->in_list;
		r = check(p, stage, type_of, arg, err);
	}
	if (r < 0)
		ipk_pipe_stage_free(stage);
	else
		p->stage[p->n++] = *stage;
	return r;
}

/* ---- from a table ----------------------------------------------------------------------- */

static int add_words(struct ipk_buf *text, const struct ipk_derive_op *op)
{
	unsigned long long n = op->n, step = op->step;
	int r = ipk_buf_printf(text, " | %s", ipk_pipe_op_name(op->kind));

	if (r < 0)
		return r;
	switch (op->kind) {
	case IPK_DERIVE_TAKE:
	case IPK_DERIVE_SKIP:
	case IPK_DERIVE_BATCH:
	case IPK_DERIVE_DISTINCT:
		return ipk_buf_printf(text, "(%llu)", n);
	case IPK_DERIVE_WINDOW:
		return ipk_buf_printf(text, "(%llu, %llu)", n, step);
	case IPK_DERIVE_THROTTLE:
		return ipk_buf_printf(text, "(%llu, %lluns)", n, step);
	case IPK_DERIVE_MERGE:
	case IPK_DERIVE_ZIP:
		return ipk_buf_printf(text, "(%s)", op->stream);
	default:
		return 0;
	}
}

int ipk_pipe_make(const char *source, const struct ipk_derive_op *ops, unsigned n,
		  ipk_pipe_type_fn *type_of, void *arg, struct ipk_pipe **ret_pipe,
		  struct ipk_error *err)
{
	struct ipk_buf text = {0};
	struct ipk_pipe *p;
	int r;

	if (n == 0)
		return ipk_error_set(err, -EINVAL, "wants at least one operator");
	r = ipk_pipe_begin(source, strlen(source), type_of, arg, &p, err);
	if (r < 0)
		return r;
	r = ipk_buf_str(&text, source);
	for (unsigned i = 0; r == 0 && i < n; i++) {
		struct ipk_pipe_stage stage = {.op = ops[i]};

		if (stage.op.kind == IPK_DERIVE_WINDOW && !stage.op.step)
			stage.op.step = 1;
		r = ipk_pipe_add(p, &stage, type_of, arg, err);
		if (r == 0)
			r = add_words(&text, &stage.op);
	}
	if (r == 0)
		r = ipk_buf_add(&text, "", 1);
	if (r == 0) {
		p->text = text.data;
		*ret_pipe = p;
		return 0;
	}
	ipk_buf_free(&text);
	ipk_pipe_free(p);
	return r;
}
