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

/* A value of any type; long enough to need a block of its own where the type is variable. */
static inline int fill_value(const struct ipk_type *type, struct ipk_buf *out)
{
	static const char json[] = "{\"a\":[1,2,3],\"b\":\"0123456789012345678901234567890123456789"
				   "01234567890123456789012345678901234567890123456789\"}";

	if (type->size && ipk_value_parse(type, "1", 1, 0, out, NULL) == 0)
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

			snprintf(name, sizeof(name), kind->key ? "key%d" : "%d", i);
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
			op->run(&f->call);
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

static inline int fill_kind(struct ipk_segment *seg, const struct ipk_kind *kind,
			    struct ipk_error *err)
{
	const struct ipk_param small[] = {{"cap", "64"}};
	const bool has_cap = fill_has_param(kind, "cap");
	struct fill f = {
		.call = {.seg = seg, .next = fill_next, .emit = fill_emit, .flush = fill_flush}};
	struct ipk_type *type = NULL, *key = NULL;
	int r;

	r = ipk_object_new(seg, kind->name, kind->name, small, has_cap, err);
	if (r == 0)
		r = ipk_type_parse(kind->type, strlen(kind->type), &type, err);
	if (r == 0 && kind->key)
		r = ipk_type_parse(kind->key, strlen(kind->key), &key, err);
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
	return r;
}

static inline int fill_segment(struct ipk_segment *seg, struct ipk_error *err)
{
	int r = 0;

	for (const struct ipk_kind *const *k = ipk_kinds; *k && r == 0; k++)
		r = fill_kind(seg, *k, err);
	return r;
}

#endif
