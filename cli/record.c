/* SPDX-License-Identifier: MIT */
/* Fields one after the other, of which -o may name some: show, stat. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "cli.h"

static const char *after(const char *name)
{
	const char *comma = strchr(name, ',');

	return comma ? comma + 1 : NULL;
}

static bool wanted(struct cli_record *r, const char *field)
{
	const char *name = r->columns;
	size_t len = strlen(field);
	bool any = !name;
	unsigned i;

	for (i = 0; name; i++, name = after(name)) {
		if (strcspn(name, ",") != len || strncasecmp(name, field, len) != 0)
			continue;
		r->found |= UINT64_C(1) << (i % 64);
		any = true;
	}
	return any;
}

/* A field has been added behind before: err, and its name taken off for --noheadings. */
static int added(struct cli_record *r, const char *field, size_t before, int err)
{
	size_t len = strlen(field) + 1;

	if ((err < 0 && err != -EBADMSG) || r->c->opt.json || !r->c->opt.noheadings)
		return err;
	memmove(r->buf.data + before, r->buf.data + before + len, r->buf.len - before - len);
	r->buf.len -= len;
	return err;
}

static struct cli_record *record_of(struct ipk_visitor *v)
{
	return (struct cli_record *)((char *)v - offsetof(struct cli_record, visitor));
}

static int record_u64(struct ipk_visitor *v, const char *name, uint64_t val)
{
	struct cli_record *r = record_of(v);
	struct ipk_visitor *to = &r->render.visitor;
	size_t at = r->buf.len;

	return wanted(r, name) ? added(r, name, at, to->u64(to, name, val)) : 0;
}

static int record_i64(struct ipk_visitor *v, const char *name, int64_t val)
{
	struct cli_record *r = record_of(v);
	struct ipk_visitor *to = &r->render.visitor;
	size_t at = r->buf.len;

	return wanted(r, name) ? added(r, name, at, to->i64(to, name, val)) : 0;
}

static int record_boolean(struct ipk_visitor *v, const char *name, bool val)
{
	struct cli_record *r = record_of(v);
	struct ipk_visitor *to = &r->render.visitor;
	size_t at = r->buf.len;

	return wanted(r, name) ? added(r, name, at, to->boolean(to, name, val)) : 0;
}

static int record_str(struct ipk_visitor *v, const char *name, const char *val)
{
	struct cli_record *r = record_of(v);
	struct ipk_visitor *to = &r->render.visitor;
	size_t at = r->buf.len;

	return wanted(r, name) ? added(r, name, at, to->str(to, name, val)) : 0;
}

int cli_record_value(struct cli_record *r, const char *name, const struct ipk_type *type,
		     const void *data, size_t len)
{
	size_t at = r->buf.len;

	return wanted(r, name) ? added(r, name, at, ipk_render_value(&r->render, name, type, data, len))
			       : 0;
}

void cli_record_begin(struct cli_record *r, struct cli *c)
{
	*r = (struct cli_record){
		.visitor = {record_u64, record_i64, record_boolean, record_str},
		.c = c,
		.columns = c->opt.columns,
	};
	ipk_render_begin(&r->render, &r->buf, c->opt.json ? IPK_RENDER_JSON : 0);
}

int cli_record_end(struct cli_record *r)
{
	const char *name = r->columns;
	unsigned i;

	for (i = 0; name; i++, name = after(name)) {
		if (r->found >> (i % 64) & 1)
			continue;
		cli_record_drop(r);
		return cli_usage(r->c, "no field \"%.*s\"", (int)strcspn(name, ","), name);
	}
	ipk_render_end(&r->render);
	if (r->c->opt.json) {
		cli_json(r->c, r->buf.data, r->buf.len);
	} else {
		cli_put(r->c, r->buf.data, r->buf.len);
		cli_end_record(r->c);
	}
	ipk_buf_free(&r->buf);
	return 0;
}

void cli_record_drop(struct cli_record *r)
{
	ipk_buf_free(&r->buf);
}
