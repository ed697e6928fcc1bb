/* SPDX-License-Identifier: MIT */
/* Creating an object from names and texts, as the tools do. */
#include <stdio.h>
#include <stdlib.h>

#include "buf.h"
#include "ipk/kind.h"
#include "object_type.h"
#include "segment/segment.h"
#include "type.h"

static u32 count_params(const struct ipk_kind *kind)
{
	u32 n = 0;

	while (kind->params && kind->params[n].type != IPK_ARG_END)
		n++;
	return n;
}

static int unknown_option(const struct ipk_kind *kind, const char *name, struct ipk_error *err)
{
	struct ipk_buf list = {0};
	char shown[48];
	int r;

	for (u32 i = 0; i < count_params(kind); i++)
		ipk_buf_printf(&list, ", --%s", kind->params[i].name);
	ipk_buf_add(&list, "", 1);
	r = ipk_error_set(err, -EINVAL, "%s has no option --%s; it has --type%s%s", kind->name,
			  ipk_quote(name, strlen(name), shown, sizeof(shown)),
			  kind->key ? ", --key" : "", list.data ? list.data : "");
	ipk_buf_free(&list);
	return r;
}

static int parse_type(const char *option, const char *text, struct ipk_type **ret,
		      struct ipk_error *err)
{
	struct ipk_error why = {0};
	struct ipk_type *type;
	int r;

	if (!text)
		return ipk_error_set(err, -EINVAL, "--%s wants a type", option);
	r = ipk_type_parse(text, strlen(text), &type, &why);
	if (r < 0)
		return ipk_error_set(err, r, "--%s: %s", option, why.text);
	ipk_type_free(*ret);
	*ret = type;
	return 0;
}

static int take_param(struct ipk_new *n, const struct ipk_param *p, struct ipk_error *err)
{
	const struct ipk_arg *spec = n->kind->params;

	if (strcmp(p->name, "type") == 0)
		return parse_type("type", p->value, &n->type, err);
	if (strcmp(p->name, "key") == 0) {
		if (!n->kind->key)
			return ipk_error_set(err, -EINVAL, "%s has no keys, so --key means nothing",
					     n->kind->name);
		return parse_type("key", p->value, &n->key, err);
	}
	for (u32 i = 0; i < count_params(n->kind); i++) {
		if (strcmp(spec[i].name, p->name) == 0)
			return ipk_arg_parse(&spec[i], p->value, p->value ? strlen(p->value) : 0,
					     &n->param[i], err);
	}
	return unknown_option(n->kind, p->name, err);
}

/* Defaults first, then what was given: the last of two counts. */
static int take_params(struct ipk_new *n, const struct ipk_param *params, unsigned nparams,
		       struct ipk_error *err)
{
	int r;

	r = parse_type("type", n->kind->type, &n->type, err);
	if (r == 0 && n->kind->key)
		r = parse_type("key", n->kind->key, &n->key, err);
	for (u32 i = 0; r == 0 && i < count_params(n->kind); i++) {
		const struct ipk_arg *spec = &n->kind->params[i];

		if (spec->value && spec->type != IPK_ARG_FLAG)
			r = ipk_arg_parse(spec, spec->value, strlen(spec->value), &n->param[i],
					  err);
	}
	for (unsigned i = 0; r == 0 && i < nparams; i++)
		r = take_param(n, &params[i], err);
	return r;
}

static int create(struct ipk_tx *tx, void *body, u64 body_off, void *arg)
{
	const struct ipk_new *n = arg;

	return n->kind->create(tx, body, body_off, n);
}

/* The place of a word in "a|b|c". */
static u64 word_index(const char *words, const char *text, size_t len)
{
	u64 i = 0;

	for (const char *p = words; *p; i++) {
		size_t n = strcspn(p, "|");

		if (n == len && memcmp(p, text, n) == 0)
			break;
		p += n + (p[n] == '|');
	}
	return i;
}

u64 ipk_param_number(const struct ipk_arg *spec, const struct ipk_argval *val)
{
	if (!val->set)
		return 0;
	if (spec->type == IPK_ARG_I64)
		return (u64)val->i64;
	return spec->type == IPK_ARG_WORD ? word_index(spec->words, val->text, val->len) : val->u64;
}

static int create_object(struct ipk_segment *seg, const char *name, struct ipk_new *n,
			 struct ipk_error *err)
{
	struct ipk_obj_spec spec = {
		.name = name,
		.kind = n->kind->id,
		.version = n->kind->version,
		.type = n->type->text,
		.key = n->key ? n->key->text : NULL,
		.create = create,
		.arg = n,
	};
	struct ipk_error why = {0};
	u64 size;
	int r;

	for (u32 i = 0; i < IPK_ARRAY_LEN(spec.opts) && i < count_params(n->kind); i++)
		spec.opts[i] = ipk_param_number(&n->kind->params[i], &n->param[i]);
	r = n->kind->size(n, &size, &why);
	if (r < 0)
		return ipk_error_set(err, r, "%s", why.text[0] ? why.text : ipk_strerror(r));
	spec.body_size = size;
	return ipk_obj_create(seg, &spec, NULL, err);
}

int ipk_object_new(struct ipk_segment *seg, const char *name, const char *kind,
		   const struct ipk_param *params, unsigned nparams, struct ipk_error *err)
{
	struct ipk_new n = {.kind = ipk_kind_by_name(kind), .seg = seg};
	char shown[80];
	int r = -ENOMEM;

	if (!n.kind)
		return ipk_error_set(err, -EINVAL, "no kind \"%s\"",
				     ipk_quote(kind, strlen(kind), shown, sizeof(shown)));
	n.param = calloc(count_params(n.kind) + 1, sizeof(*n.param));
	if (!n.param)
		return ipk_error_set(err, r, "out of memory");
	r = take_params(&n, params, nparams, err);
	if (r == 0)
		r = ipk_unless_lost(seg, create_object(seg, name, &n, err), err);
	ipk_type_free(n.type);
	ipk_type_free(n.key);
	free(n.param);
	return r;
}
