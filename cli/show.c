/* SPDX-License-Identifier: MIT */
/* show: all fields of a segment, an object or an item, and what a person would do next. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

/* The kind's first verb with these flags. */
static const char *verb_with(const struct ipk_kind *kind, unsigned flags)
{
	const struct ipk_op *op = kind->ops;

	while (op->name && (op->flags & flags) != flags)
		op++;
	return op->name ? op->name : "show";
}

static bool is_now(struct cli_object *ob, const struct ipk_next *row)
{
	struct cli_field field;

	return cli_field(ob, row->stat, &field) == 0 && !strcmp(field.text, row->value);
}

/* By the first row whose stat has its value. */
static void kind_next(struct cli *c, struct cli_object *ob)
{
	const struct ipk_next *row = ob->kind->next;
	const char *ref;

	while (row->stat && !is_now(ob, row))
		row++;
	ref = strstr(row->command, "REF");
	cli_printf(c, "next ipcctl %.*s%s%s\n", (int)(ref - row->command), row->command, c->ref,
		   ref + 3);
}

/* Nothing goes in any more. */
static bool is_closed(struct cli_object *ob)
{
	struct cli_field field;

	return cli_field(ob, "closed", &field) == 0 && strcmp(field.text, "0") &&
	       strcmp(field.text, "false");
}

/* What a person would do next, from what there is. */
static void next_step(struct cli *c, struct cli_object *ob)
{
	const struct ipk_kind *kind = ob->kind;
	uint64_t used = 0, cap = 0;
	const char *health;
	char text[160];

	if (!ob->found) {
		struct ipk_segment_info in;

		health = ipk_segment_health(ob->view, text, sizeof(text));
		if (!strncmp(health, "dead", 4))
			cli_puts(c, "next ipcctl gc\n");
		else if (strcmp(health, "ok"))
			cli_printf(c, "next ipcctl fsck %s\n", c->ref);
		else if (ipk_view_info(ob->view, &in) == 0 && in.objects == 0)
			cli_printf(c, "next ipcctl new %s/jobs queue\n", c->ref);
		else
			cli_printf(c, "next ipcctl ls %s\n", c->ref);
		return;
	}
	health = ipk_object_health(&ob->o, text, sizeof(text));
	if (kind && kind->inspect)
		kind->inspect(&ob->o, &used, &cap);
	if (!kind)
		cli_printf(c, "next ipcctl hexdump %s\n", c->ref);
	else if (strcmp(health, "ok"))
		cli_printf(c, "next ipcctl %s %s\n", strcmp(health, "corrupt") ? "who" : "fsck",
			   c->ref);
	else if (kind->next)
		kind_next(c, ob);
	else if (kind->flags & IPK_KIND_PUSH && !used && is_closed(ob))
		cli_printf(c, "next ipcctl rm %s\n", c->ref);
	else if (kind->flags & IPK_KIND_PUSH)
		cli_printf(c, used ? "next ipcctl %s %s\n" : "next ipcctl %s %s VALUE\n",
			   verb_with(kind, used ? IPK_OP_BLOCK | IPK_OP_OUT : IPK_OP_IN), c->ref);
	else if (kind->flags & IPK_KIND_KEYED)
		cli_printf(c,
			   used                       ? "next ipcctl get %s\n"
			   : ipk_kind_op(kind, "add") ? "next ipcctl add %s VALUE\n"
						      : "next ipcctl set %s/KEY VALUE\n",
			   c->ref);
	else if (kind->flags & IPK_KIND_INDEXED)
		cli_printf(c, "next ipcctl get %s/0\n", c->ref);
	else
		cli_printf(c, "next ipcctl help %s\n", kind->name);
}

struct shown_item {
	struct cli_record *r;
	struct cli_object *ob;
};

static int show_item(void *arg, const struct ipk_item *item)
{
	struct shown_item *s = arg;
	struct ipk_visitor *v = &s->r->visitor;
	const void *key;
	size_t len;
	const struct ipk_type *type = cli_key_of(s->ob, item, &key, &len);

	if (type)
		cli_record_value(s->r, "key", type, key, len);
	else
		v->u64(v, "pos", item->pos);
	v->u64(v, "bytes", item->len);
	v->u64(v, "redelivered", item->redelivered);
	v->boolean(v, "leased", item->leased);
	cli_record_value(s->r, "value", s->ob->type, item->data, item->len);
	return 0;
}

int cli_show(struct cli *c)
{
	struct cli_record rec;
	struct cli_object ob;
	struct shown_item item = {&rec, &ob};
	char kind[40];
	int r = cli_open(c, c->word[0], CLI_REF_SEGMENT | CLI_REF_OBJECT | CLI_REF_KEY, &ob);

	if (r)
		return r;
	if (ob.ref.key)
		r = cli_known_kind(c, &ob);
	if (r == 0 && ob.ref.key && !ob.kind->item)
		r = cli_fail(c, CLI_WRONG, -EMEDIUMTYPE, "%s has no keys", cli_a_kind(&ob, kind));
	if (r == 0) {
		cli_record_begin(&rec, c);
		r = ob.ref.key ? ob.kind->item(&ob.o, ob.ref.key, ob.ref.key_len, show_item, &item)
			       : cli_fields(&ob, &rec.visitor);
		if (r < 0) {
			cli_record_drop(&rec);
			r = ob.ref.key ? cli_key_error(c, &ob, r) : cli_fail_code(c, r, NULL);
		} else {
			r = cli_record_end(&rec);
			if (r == 0 && !c->opt.json && !c->opt.columns && !ob.ref.key)
				next_step(c, &ob);
		}
	}
	cli_close(&ob);
	return r;
}
