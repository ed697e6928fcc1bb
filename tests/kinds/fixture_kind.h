/* SPDX-License-Identifier: MIT */
/* What tests of kinds share: verbs run without a command line, findings of a check, views by name.
 */
#ifndef TEST_FIXTURE_KIND_H
#define TEST_FIXTURE_KIND_H

#include "segment/fixture.h"

#include "ipk/kind.h"

/* Runs a verb of an object's kind as the command line does, and keeps what comes out. */
struct verb {
	struct ipk_call call;
	struct ipk_type *type;
	const char *const *words; /* values in, NULL at the end */
	struct ipk_buf parsed;
	struct ipk_buf out; /* one value a line */
	unsigned most;      /* values that next() gives at once; 0: what is asked for */
};

static inline int verb_next(struct ipk_call *call, struct ipk_item *item, int max)
{
	struct verb *v = call->tool;
	size_t at[64];
	int n = 0, i, r;

	v->parsed.len = 0;
	if (v->most && (int)v->most < max)
		max = (int)v->most;
	for (; n < max && n < 64 && v->words && *v->words; n++) {
		at[n] = v->parsed.len;
		r = ipk_value_parse(v->type, *v->words, strlen(*v->words), 0, &v->parsed,
				    &call->err);
		if (r < 0)
			return r;
		v->words++;
		item[n] = (struct ipk_item){.len = v->parsed.len - at[n]};
	}
	for (i = 0; i < n; i++)
		item[i].data = v->parsed.data + at[i];
	return n;
}

static inline int verb_emit(struct ipk_call *call, const struct ipk_item *item)
{
	struct verb *v = call->tool;
	int r = item->text ? ipk_buf_add(&v->out, item->data, item->len)
			   : ipk_value_print(v->type, item->data, item->len, 0, &v->out);

	return r < 0 ? r : ipk_buf_str(&v->out, "\n");
}

static inline int verb_flush(struct ipk_call *call)
{
	(void)call;
	return 0;
}

/*
 * key, words and arg may be NULL; arg is the text of the verb's first argument, "" for a flag.
 * Returns what run() did. The result stays in *v until verb_end().
 */
static inline int verb_run(struct verb *v, struct ipk_segment *seg, const char *object,
			   const char *kind, const char *verb, const char *key, const char *arg,
			   const char *const *words)
{
	const struct ipk_kind *k = ipk_kind_by_name(kind);
	const struct ipk_op *op = ipk_kind_op(k, verb);
	struct ipk_argval val[8];
	struct ipk_object_view o;
	struct ipk_error err = {0};
	struct ipk_view *view;
	void *handle = NULL;
	unsigned i;
	int r;

	memset(val, 0, sizeof(val));
	assert_non_null(op);
	assert_int_equal(ipk_view_open(seg->name, &view, &err), 0);
	assert_int_equal(ipk_view_object(view, object, &o, &err), 0);
	assert_int_equal(ipk_type_parse(o.type, strlen(o.type), &v->type, &err), 0);
	ipk_object_view_free(&o);
	ipk_view_close(view);
	for (i = 0; op->args && op->args[i].type != IPK_ARG_END; i++) {
		const char *text = i == 0 && arg ? arg : op->args[i].value;

		if (text)
			assert_int_equal(ipk_arg_parse(&op->args[i], *text ? text : NULL,
						       strlen(text), &val[i], &err),
					 0);
	}
	v->words = words;
	assert_int_equal(k->attach(seg, object, &handle, &err), 0);
	v->call.seg = seg;
	v->call.handle = handle;
	v->call.type = v->type;
	v->call.key = key;
	v->call.key_len = key ? strlen(key) : 0;
	v->call.arg = val;
	v->call.next = verb_next;
	v->call.emit = verb_emit;
	v->call.flush = verb_flush;
	v->call.hold_fd = -1;
	v->call.tool = v;
	r = op->run(&v->call);
	k->detach(handle);
	ipk_buf_add(&v->out, "", 1);
	return r;
}

static inline void verb_end(struct verb *v)
{
	ipk_type_free(v->type);
	ipk_buf_free(&v->parsed);
	ipk_buf_free(&v->out);
	memset(v, 0, sizeof(*v));
}

/* A fresh view of an object; to be ended by look_end(). */
struct look {
	struct ipk_view *view;
	struct ipk_object_view o;
	const struct ipk_kind *kind;
};

static inline void look(struct look *l, const char *segment, const char *object)
{
	struct ipk_error err = {0};

	if (ipk_view_open(segment, &l->view, &err) < 0 ||
	    ipk_view_object(l->view, object, &l->o, &err) < 0)
		fail_msg("view of %s/%s: %s", segment, object, err.text);
	l->kind = ipk_kind_by_id(l->o.kind);
	assert_non_null(l->kind);
}

static inline void look_end(struct look *l)
{
	ipk_object_view_free(&l->o);
	ipk_view_close(l->view);
}

struct findings {
	struct ipk_checker checker;
	unsigned n;
	char last[256];
};

static inline void __attribute__((format(printf, 2, 3)))
finding(struct ipk_checker *c, const char *fmt, ...)
{
	struct findings *f = (struct findings *)(void *)c;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f->last, sizeof(f->last), fmt, ap);
	va_end(ap);
	f->n++;
}

static inline void no_block(struct ipk_checker *c, uint64_t off, uint64_t size)
{
	(void)c;
	(void)off;
	(void)size;
}

/* What the kind's own check finds in an object. */
static inline struct findings findings_of(const char *segment, const char *object)
{
	struct findings f = {.checker = {.finding = finding, .block = no_block}};
	struct look l;

	look(&l, segment, object);
	assert_true(l.kind->check(&l.o, &f.checker) >= 0);
	look_end(&l);
	return f;
}

#endif
