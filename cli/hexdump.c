/* SPDX-License-Identifier: MIT */
/* hexdump: the bytes of a segment or an object, in rows or element by element. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

/* As hexdump -C: rows that repeat are one star. */
static int hex_rows(struct cli *c, struct ipk_view *view, uint64_t from, uint64_t size)
{
	unsigned char row[16], last[16];
	bool star = false;
	uint64_t off;
	unsigned i, n;
	int r;

	for (off = from; off < from + size; off += n) {
		n = size - (off - from) < 16 ? (unsigned)(size - (off - from)) : 16;
		r = ipk_view_read(view, off, row, n);
		if (r < 0)
			return r;
		if (off > from && n == 16 && !memcmp(row, last, 16)) {
			if (!star)
				cli_puts(c, "*\n");
			star = true;
			continue;
		}
		star = false;
		memcpy(last, row, n);
		cli_printf(c, "%08llx ", (unsigned long long)off);
		for (i = 0; i < 16; i++) {
			if (i < n)
				cli_printf(c, "%s%02x", i == 8 ? "  " : " ", row[i]);
			else
				cli_puts(c, i == 8 ? "    " : "   ");
		}
		cli_puts(c, "  |");
		for (i = 0; i < n; i++)
			cli_printf(c, "%c", row[i] >= ' ' && row[i] < 127 ? row[i] : '.');
		cli_puts(c, "|\n");
		cli_end_record(c);
		if (c->out->error || cli_interrupted())
			return -ECANCELED;
	}
	cli_printf(c, "%08llx\n", (unsigned long long)off);
	return 0;
}

static int raw_bytes(struct cli *c, struct ipk_view *view, uint64_t from, uint64_t size)
{
	char block[4096];
	uint64_t off, n = 0;
	int r;

	for (off = from; off < from + size; off += n) {
		n = size - (off - from) < sizeof(block) ? size - (off - from) : sizeof(block);
		r = ipk_view_read(view, off, block, n);
		if (r < 0)
			return r;
		cli_put(c, block, n);
		cli_end_record(c);
		if (c->out->error || cli_interrupted())
			return -ECANCELED;
	}
	return 0;
}

/* One JSON record for 16 bytes. */
static int json_rows(struct cli *c, struct ipk_view *view, uint64_t from, uint64_t size)
{
	unsigned char row[16];
	uint64_t off, n;
	unsigned i;
	int r;

	for (off = from; off < from + size; off += n) {
		struct ipk_buf b = {0};

		n = size - (off - from) < 16 ? size - (off - from) : 16;
		r = ipk_view_read(view, off, row, n);
		if (r < 0)
			return r;
		ipk_buf_printf(&b, "{\"v\":1,\"offset\":%llu,\"hex\":\"", (unsigned long long)off);
		for (i = 0; i < n; i++)
			ipk_buf_printf(&b, "%02x", row[i]);
		ipk_buf_str(&b, "\"}");
		cli_json(c, b.data, b.len);
		ipk_buf_free(&b);
		if (c->out->error || cli_interrupted())
			return -ECANCELED;
	}
	return 0;
}

struct typed {
	struct cli *c;
	struct cli_object *ob;
};

static int typed_item(void *arg, const struct ipk_item *item)
{
	struct typed *t = arg;
	const unsigned char *data = item->data;
	struct ipk_buf b = {0};
	uint64_t i;

	if (t->c->opt.json) {
		ipk_render_item(&b, item, t->ob->type, t->ob->key_type, IPK_RENDER_META);
		b.len -= b.len > 0; /* the brace */
		ipk_buf_str(&b, ",\"hex\":\"");
		for (i = 0; i < item->len; i++)
			ipk_buf_printf(&b, "%02x", data[i]);
		ipk_buf_str(&b, "\"}");
		cli_json(t->c, b.data, b.len);
		ipk_buf_free(&b);
		return t->c->out->error || cli_interrupted() ? -ECANCELED : 0;
	}
	if (item->key && t->ob->key_type)
		ipk_value_print(t->ob->key_type, item->key, item->key_len, IPK_VALUE_JSON, &b);
	else
		ipk_buf_printf(&b, "%llu", (unsigned long long)item->pos);
	ipk_buf_printf(&b, "%s ", item->leased ? " leased" : "");
	for (i = 0; i < item->len && i < 64; i++)
		ipk_buf_printf(&b, "%02x", data[i]);
	ipk_buf_str(&b, i < item->len ? ".. " : " ");
	ipk_value_print(t->ob->type, item->data, item->len, IPK_VALUE_JSON, &b);
	ipk_buf_str(&b, "\n");
	cli_put(t->c, b.data, b.len);
	cli_end_record(t->c);
	ipk_buf_free(&b);
	return t->c->out->error || cli_interrupted() ? -ECANCELED : 0;
}

static int typed_object(void *arg, const struct ipk_object_view *o)
{
	struct cli_table *t = arg;
	char text[24];

	if (cli_table_row(t))
		return -ENOMEM;
	cli_cell_u64(t, 0, o->off);
	cli_cell_u64(t, 1, o->size);
	cli_cell_str(t, 2, cli_kind_name(o->kind, text));
	cli_cell_str(t, 3, o->name);
	cli_cell_str(t, 4, o->type);
	return 0;
}

static void typed_header(struct cli *c, const struct ipk_object_view *o)
{
	struct cli_record rec;
	struct ipk_visitor *v = &rec.visitor;

	cli_record_begin(&rec, c);
	rec.columns = NULL;
	v->str(v, "name", o->name);
	v->u64(v, "kind", o->kind);
	v->u64(v, "version", o->version);
	v->u64(v, "id", o->id);
	v->str(v, "type", o->type);
	v->u64(v, "offset", o->off);
	v->u64(v, "bytes", o->size);
	v->u64(v, "body", o->body);
	v->u64(v, "body_bytes", o->body_size);
	cli_record_end(&rec);
}

static int typed(struct cli *c, struct cli_object *ob)
{
	static const struct cli_column cols[] = {{"OFFSET", CLI_COL_RIGHT},
						 {"BYTES", CLI_COL_RIGHT},
						 {"KIND", 0},
						 {"NAME", 0},
						 {"TYPE", 0}};
	struct typed arg = {c, ob};
	struct cli_table t;
	int r;

	if (!ob->found) {
		if (cli_table_begin(&t, c, cols, CLI_ARRAY_LEN(cols)))
			return -EINVAL;
		t.sort = true;
		r = ipk_view_objects(ob->view, typed_object, &t);
		cli_table_end(&t);
		return r;
	}
	typed_header(c, &ob->o);
	if (!ob->kind || !ob->kind->items)
		return c->opt.json ? json_rows(c, ob->view, ob->o.body, ob->o.body_size)
				   : hex_rows(c, ob->view, ob->o.body, ob->o.body_size);
	return ob->kind->items(&ob->o, 0, UINT64_MAX, typed_item, &arg);
}

int cli_hexdump(struct cli *c)
{
	struct cli_object ob;
	uint64_t from, size;
	int r = cli_open(c, c->word[0], CLI_REF_SEGMENT | CLI_REF_OBJECT, &ob);

	if (r)
		return r;
	from = ob.found ? ob.o.off : 0;
	size = ob.found ? ob.o.size : ipk_view_size(ob.view);
	if (cli_given(c, "typed"))
		r = typed(c, &ob);
	else if (c->opt.raw)
		r = raw_bytes(c, ob.view, from, size);
	else if (c->opt.json)
		r = json_rows(c, ob.view, from, size);
	else
		r = hex_rows(c, ob.view, from, size);
	if (c->out->error)
		r = cli_flush_status(c);
	else
		r = r < 0 ? cli_fail_code(c, r, NULL) : 0;
	cli_close(&ob);
	return r;
}
