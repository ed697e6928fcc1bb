/* SPDX-License-Identifier: MIT */
/*
 * Fills a segment with an object of each kind, called like its kind, that holds something: through
 * the descriptor alone, so that a new kind is filled as it comes.
 */
#ifndef TEST_FILL_H
#define TEST_FILL_H

#include <stdio.h>

#include "base/base.h"
#include "ipk/kind.h"

#ifndef FILL_ROUNDS
#define FILL_ROUNDS 20
#endif

struct fill {
	struct ipk_call call;
	struct ipk_buf value;
	int left;
	bool too_long; /* the value, for the object */
};

static inline int fill_next(struct ipk_call *call, struct ipk_item *item, int max)
{
	struct fill *f = call->tool;

	if (f->left == 0 || max == 0)
		return 0;
	f->left--;
	*item = (struct ipk_item){.data = f->value.data, .len = f->value.len};
	return 1;
}

static inline int fill_emit(struct ipk_call *call, const struct ipk_item *item)
{
	(void)call;
	(void)item;
	return 0;
}

static inline int fill_flush(struct ipk_call *call)
{
	(void)call;
	return 0;
}

/* A type that fill_value() has a value for, and that no kind has by itself. */
#define FILL_STRUCT "{u32 id; f64 px; str:8 sym}"

/* A value of such a type; long enough to need a block of its own where the type is variable. */
static inline int fill_value(const struct ipk_type *type, struct ipk_buf *out)
{
	static const char parts[] = "{\"id\":1,\"px\":1.5,\"sym\":\"A\"}";
	static const char json[] = "{\"a\":[1,2,3],\"b\":\"0123456789012345678901234567890123456789"
				   "01234567890123456789012345678901234567890123456789\"}";

	if (type->size && (ipk_value_parse(type, "1", 1, 0, out, NULL) == 0 ||
			   ipk_value_parse(type, parts, sizeof(parts) - 1, 0, out, NULL) == 0))
		return 0;
	return ipk_value_parse(type, json, sizeof(json) - 1, 0, out, NULL);
}

/* Runs each writing verb that takes values a few times, with other keys each time. */
static inline void fill_run(struct fill *f, const struct ipk_kind *kind)
{
	static const struct ipk_argval none[16];

	for (const struct ipk_op *op = kind->ops; op->name; op++) {
		if (!(op->flags & IPK_OP_WRITE) || !(op->flags & IPK_OP_IN))
			continue;
		for (int i = 0; i < FILL_ROUNDS; i++) {
			char name[16];

			snprintf(name, sizeof(name),
				 f->call.key_type && !f->call.key_type->size ? "key%d" : "%d", i);
			f->call.arg = none;
			f->call.key = op->flags & IPK_OP_KEY ? name : NULL;
			f->call.key_len = strlen(name);
			f->call.err = (struct ipk_error){0};
			f->left = 1;
			/* What is its own key is another one each time. */
			if (!kind->key && kind->flags & IPK_KIND_KEYED) {
				f->value.len = 0;
				if (ipk_value_parse(f->call.type, name, strlen(name), 0, &f->value,
						    NULL) != 0)
					return;
			}
			f->too_long |= op->run(&f->call) == -EMSGSIZE;
		}
	}
}

static inline bool fill_has_param(const struct ipk_kind *kind, const char *name)
{
	const struct ipk_arg *a = kind->params;

	while (a && a->type != IPK_ARG_END && strcmp(a->name, name) != 0)
		a++;
	return a && a->type != IPK_ARG_END;
}

/* 0; 1: it does not hold the value. */
static inline int fill_object(struct ipk_segment *seg, const struct ipk_kind *kind,
			      const char *type_text, const char *key_text, const char *cap,
			      struct ipk_error *err)
{
	struct ipk_param param[3] = {{"cap", cap}};
	unsigned n = fill_has_param(kind, "cap");
	struct fill f = {
		.call = {.seg = seg, .next = fill_next, .emit = fill_emit, .flush = fill_flush}};
	struct ipk_type *type = NULL, *key = NULL;
	int r;

	if (type_text != kind->type)
		param[n++] = (struct ipk_param){"type", type_text};
	if (key_text != kind->key)
		param[n++] = (struct ipk_param){"key", key_text};
	r = ipk_object_new(seg, kind->name, kind->name, param, n, err);
	if (r == 0)
		r = ipk_type_parse(type_text, strlen(type_text), &type, err);
	if (r == 0 && key_text)
		r = ipk_type_parse(key_text, strlen(key_text), &key, err);
	if (r == 0)
		r = fill_value(type, &f.value);
	if (r == 0)
		r = kind->attach(seg, kind->name, &f.call.handle, err);
	if (r == 0) {
		f.call.type = type;
		f.call.key_type = key;
		f.call.tool = &f;
		fill_run(&f, kind);
		kind->detach(f.call.handle);
	}
	ipk_type_free(type);
	ipk_type_free(key);
	ipk_buf_free(&f.value);
	return r == 0 ? f.too_long : r;
}

static inline int fill_kind_of(struct ipk_segment *seg, const struct ipk_kind *kind,
			       const char *type, const char *key, struct ipk_error *err)
{
	int r = fill_object(seg, kind, type, key, "64", err);

	if (r <= 0)
		return r;
	/* What is counted are bytes. */
	r = ipk_object_remove(seg, kind->name, err);
	return r < 0 ? r : fill_object(seg, kind, type, key, "4096", err);
}

static inline int fill_kind(struct ipk_segment *seg, const struct ipk_kind *kind,
			    struct ipk_error *err)
{
	return fill_kind_of(seg, kind, kind->type, kind->key, err);
}

static inline int fill_segment(struct ipk_segment *seg, struct ipk_error *err)
{
	int r = 0;

	for (const struct ipk_kind *const *k = ipk_kinds; *k && r == 0; k++)
		r = fill_kind(seg, *k, err);
	return r;
}

#endif
