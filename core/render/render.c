/* SPDX-License-Identifier: MIT */
#include "base/base.h"
#include "ipk/render.h"

static struct ipk_render *render_of(struct ipk_visitor *v)
{
	return (struct ipk_render *)((char *)v - offsetof(struct ipk_render, visitor));
}

/* What stands before a field's value. Names are identifiers of ours and need no quoting. */
static int open_field(struct ipk_render *r, const char *name)
{
	if (!(r->flags & IPK_RENDER_JSON))
		return ipk_buf_printf(r->out, "%s ", name);
	return ipk_buf_printf(r->out, "%s\"%s\":", r->fields++ ? "," : "", name);
}

static int close_field(struct ipk_render *r)
{
	return r->flags & IPK_RENDER_JSON ? 0 : ipk_buf_str(r->out, "\n");
}

static int visit_u64(struct ipk_visitor *v, const char *name, uint64_t val)
{
	struct ipk_render *r = render_of(v);
	int err = open_field(r, name);

	if (err == 0)
		err = ipk_buf_printf(r->out, "%llu", (unsigned long long)val);
	return err < 0 ? err : close_field(r);
}

static int visit_i64(struct ipk_visitor *v, const char *name, int64_t val)
{
	struct ipk_render *r = render_of(v);
	int err = open_field(r, name);

	if (err == 0)
		err = ipk_buf_printf(r->out, "%lld", (long long)val);
	return err < 0 ? err : close_field(r);
}

static int visit_boolean(struct ipk_visitor *v, const char *name, bool val)
{
	struct ipk_render *r = render_of(v);
	int err = open_field(r, name);

	if (err == 0)
		err = ipk_buf_str(r->out, val ? "true" : "false");
	return err < 0 ? err : close_field(r);
}

/* A line stays a line, and a terminal is not spoken to, whatever a process called itself. */
static int add_line(struct ipk_buf *out, const char *str, size_t len)
{
	int err = 0;

	for (; len > 0 && err == 0; str++, len--) {
		unsigned char c = (unsigned char)*str;

		if (c < 0x20 || c == 0x7f)
			err = ipk_buf_printf(out, "\\x%02x", c);
		else
			err = ipk_buf_add(out, str, 1);
	}
	return err;
}

static int visit_str(struct ipk_visitor *v, const char *name, const char *val)
{
	struct ipk_render *r = render_of(v);
	int err = open_field(r, name);

	if (err == 0 && (r->flags & IPK_RENDER_JSON))
		err = ipk_json_string(r->out, val, strlen(val));
	else if (err == 0)
		err = add_line(r->out, val, strlen(val));
	return err < 0 ? err : close_field(r);
}

int ipk_render_begin(struct ipk_render *r, struct ipk_buf *out, unsigned flags)
{
	*r = (struct ipk_render){
		.visitor = {.u64 = visit_u64,
			    .i64 = visit_i64,
			    .boolean = visit_boolean,
			    .str = visit_str},
		.out = out,
		.flags = flags,
	};
	if (!(flags & IPK_RENDER_JSON))
		return 0;
	if (flags & IPK_RENDER_BARE)
		return ipk_buf_str(out, "{");
	r->fields = 1;
	return ipk_buf_str(out, "{\"v\":1");
}

int ipk_render_end(struct ipk_render *r)
{
	return r->flags & IPK_RENDER_JSON ? ipk_buf_str(r->out, "}") : 0;
}

/* Prints, and where the bytes are not of their type shows them all the same. */
static int print(struct ipk_buf *out, const struct ipk_type *type, const void *data, size_t len,
		 bool json)
{
	static const struct ipk_type bytes = {.base = IPK_BYTES, .align = 1};
	size_t before = out->len;
	int r, shown;

	r = ipk_value_print(type, data, len, json ? IPK_VALUE_JSON : 0, out);
	if (r != -EBADMSG || out->len > before)
		return r;
	shown = ipk_value_print(&bytes, data, len, IPK_VALUE_JSON, out);
	return shown < 0 ? shown : r;
}

/* The first error that matters: no memory ends all, a bad value is told and shown. */
static int worse(int a, int b)
{
	return a < 0 && a != -EBADMSG ? a : b < 0 ? b : a;
}

int ipk_render_value(struct ipk_render *r, const char *name, const struct ipk_type *type,
		     const void *data, size_t len)
{
	int err = open_field(r, name);
	struct ipk_buf text = {0};

	if (err == 0 && r->flags & IPK_RENDER_JSON)
		return worse(print(r->out, type, data, len, true), close_field(r));
	if (err == 0)
		err = print(&text, type, data, len, false);
	if (err == 0 || err == -EBADMSG)
		err = worse(err, add_line(r->out, text.data, text.len));
	ipk_buf_free(&text);
	return worse(err, close_field(r));
}

static int item_record(struct ipk_buf *out, const struct ipk_item *item,
		       const struct ipk_type *type, const struct ipk_type *key_type, bool meta)
{
	struct ipk_render r;
	int err, bad = 0;

	err = ipk_render_begin(&r, out, IPK_RENDER_JSON | (meta ? 0 : IPK_RENDER_BARE));
	if (err == 0 && meta)
		err = visit_u64(&r.visitor, "pos", item->pos);
	if (err == 0 && item->ref)
		err = visit_str(&r.visitor, "ref", item->ref);
	if (err == 0 && item->key)
		bad = ipk_render_value(&r, "key", key_type, item->key, item->key_len);
	if (err == 0)
		bad = worse(bad, ipk_render_value(&r, "value", type, item->data, item->len));
	if (err == 0 && meta && item->time)
		err = r.visitor.u64(&r.visitor, "time_ns", item->time);
	if (err == 0 && meta && item->redelivered)
		err = visit_boolean(&r.visitor, "redelivered", true);
	if (err == 0 && meta && item->leased)
		err = visit_boolean(&r.visitor, "leased", true);
	if (err == 0)
		err = ipk_render_end(&r);
	return worse(bad, err);
}

int ipk_render_item(struct ipk_buf *out, const struct ipk_item *item, const struct ipk_type *type,
		    const struct ipk_type *key_type, unsigned flags)
{
	static const struct ipk_type text = {.base = IPK_STR, .align = 1};
	bool json = flags & IPK_RENDER_JSON, meta = flags & IPK_RENDER_META;
	int r = 0;

	if (item->text)
		type = &text;
	if (meta || (json && (item->key || item->ref)))
		return item_record(out, item, type, key_type, meta);
	if (item->ref) {
		r = ipk_buf_str(out, item->ref);
		r = worse(r, ipk_buf_str(out, "\t"));
	}
	if (item->key) {
		r = worse(r, print(out, key_type, item->key, item->key_len, false));
		r = worse(r, ipk_buf_str(out, "\t"));
	}
	return worse(r, print(out, type, item->data, item->len, json));
}
