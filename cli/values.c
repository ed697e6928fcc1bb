/* SPDX-License-Identifier: MIT */
/* Reading values: get peek keys has. Through views: with read permission alone, on copies too. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

struct reader {
	struct cli *c;
	struct cli_object *ob;
	uint64_t left;
	uint64_t seen;
};

static int print_item(void *arg, const struct ipk_item *item)
{
	struct reader *rd = arg;

	rd->seen++;
	if (rd->ob->ref.key && !rd->c->opt.meta)
		cli_value(rd->c, rd->ob->type, item->data, item->len);
	else
		cli_item(rd->c, rd->ob, item);
	return rd->c->out->error || cli_interrupted() ? -ECANCELED : 0;
}

/* Ends a walk: what it came to, or what writing came to. */
static int walked(struct cli *c, int r)
{
	struct ipk_error err = {0};

	if (c->out->error)
		return cli_flush_status(c);
	if (r < 0)
		return cli_fail_code(c, r, &err);
	return 0;
}

int cli_known_kind(struct cli *c, const struct cli_object *ob)
{
	char text[24];

	if (ob->kind)
		return 0;
	return cli_fail(c, CLI_CORRUPT, -EPROTO, "%s, layout %u: this ipcctl does not know it",
			cli_kind_name(ob->o.kind, text), ob->o.version);
}

int cli_no_key(struct cli *c, const struct cli_object *ob)
{
	struct ipk_buf key = {0};
	int r;

	cli_escape(&key, ob->ref.key, ob->ref.key_len > 64 ? 64 : ob->ref.key_len);
	r = cli_fail(c, CLI_ABSENT, -ENOENT, "no key \"%.*s\"", (int)key.len,
		     key.data ? key.data : "");
	ipk_buf_free(&key);
	return r;
}

int cli_key_error(struct cli *c, struct cli_object *ob, int r)
{
	const struct ipk_type *type = cli_key_of(ob, NULL, NULL, NULL);
	struct ipk_buf key = {0};
	uint64_t used = 0, cap = 0;
	char kind[40];

	if (c->out->error)
		return cli_flush_status(c);
	if (r == -ENOENT)
		return cli_no_key(c, ob);
	cli_escape(&key, ob->ref.key, ob->ref.key_len > 64 ? 64 : ob->ref.key_len);
	if (ob->kind->inspect)
		ob->kind->inspect(&ob->o, &used, &cap);
	if (r == -ERANGE)
		r = cli_fail(c, CLI_ABSENT, r, "%.*s is out of bounds: %s of %llu", (int)key.len,
			     key.data ? key.data : "", cli_a_kind(ob, kind),
			     (unsigned long long)cap);
	else if (r == -EINVAL)
		r = cli_fail(c, CLI_WRONG, r, "\"%.*s\" is no %s", (int)key.len,
			     key.data ? key.data : "",
			     type ? type->text : "index (7) or range (0..10, 3.., ..5)");
	else
		r = cli_fail_code(c, r, NULL);
	ipk_buf_free(&key);
	return r;
}

static int get_range(struct reader *rd)
{
	struct cli_object *ob = rd->ob;
	uint64_t from, to, used, cap;
	bool one;
	int r = ipk_range_parse(ob->ref.key, ob->ref.key_len, &from, &to, &one);

	if (r == 0 && one)
		return ob->kind->item(&ob->o, ob->ref.key, ob->ref.key_len, print_item, rd);
	if (r == 0)
		r = ob->kind->inspect(&ob->o, &used, &cap);
	if (r < 0)
		return r;
	if (to == UINT64_MAX && from <= cap)
		to = cap;
	if (from > to || to > cap)
		return -ERANGE;
	return ob->kind->items(&ob->o, from, to, print_item, rd);
}

static int get_key(struct reader *rd)
{
	struct cli_object *ob = rd->ob;
	char kind[40];
	int r;

	if (ob->kind->flags & IPK_KIND_INDEXED && ob->kind->item && ob->kind->items)
		r = get_range(rd);
	else if (ob->kind->item)
		r = ob->kind->item(&ob->o, ob->ref.key, ob->ref.key_len, print_item, rd);
	else
		return cli_fail(rd->c, CLI_WRONG, -EMEDIUMTYPE, "%s has no keys",
				cli_a_kind(ob, kind));
	return r < 0 ? cli_key_error(rd->c, ob, r) : 0;
}

/* True for text that is JSON by itself: a number, true, false, null, or something quoted. */
static bool is_json(const char *text, size_t len)
{
	if (len == 0)
		return false;
	if (strchr("\"{[", text[0]))
		return true;
	if ((len == 4 && (!memcmp(text, "true", 4) || !memcmp(text, "null", 4))) ||
	    (len == 5 && !memcmp(text, "false", 5)))
		return true;
	return strspn(text, "-0123456789.eE+") == len && text[len - 1] >= '0' &&
	       text[len - 1] <= '9';
}

static int get_value(struct cli *c, struct cli_object *ob)
{
	struct ipk_buf text = {0}, json = {0};
	int r = ob->kind->value(&ob->o, &text);

	if (r == 0 && text.len && text.data[text.len - 1] == '\n')
		text.len--;
	if (r == 0)
		r = ipk_buf_add(&text, "", 1);
	if (r < 0) {
		ipk_buf_free(&text);
		return cli_fail_code(c, r, NULL);
	}
	text.len--;
	if (c->opt.json && is_json(text.data, text.len)) {
		cli_json(c, text.data, text.len);
	} else if (c->opt.json) {
		ipk_json_string(&json, text.data, text.len);
		cli_json(c, json.data, json.len);
	} else {
		cli_put(c, text.data, text.len);
		if (!c->opt.raw)
			cli_put(c, c->opt.null ? "\0" : "\n", 1);
		cli_end_record(c);
	}
	ipk_buf_free(&text);
	ipk_buf_free(&json);
	return 0;
}

int cli_get(struct cli *c)
{
	struct cli_object ob;
	struct reader rd = {.c = c, .ob = &ob};
	char kind[40];
	bool none;
	int r = cli_open(c, c->word[0], CLI_REF_OBJECT | CLI_REF_KEY, &ob);

	if (r == 0)
		r = cli_known_kind(c, &ob);
	if (r) {
		cli_close(&ob);
		return r;
	}
	if (ob.ref.key)
		r = get_key(&rd);
	else if (ob.kind->flags & IPK_KIND_VALUE && ob.kind->items)
		r = walked(c, ob.kind->items(&ob.o, 0, UINT64_MAX, print_item, &rd));
	else if (ob.kind->flags & IPK_KIND_VALUE && ob.kind->value)
		r = get_value(c, &ob);
	else if (ob.kind->flags & (IPK_KIND_INDEXED | IPK_KIND_KEYED) && ob.kind->items &&
		 !(ob.kind->flags & IPK_KIND_PUSH))
		r = walked(c, ob.kind->items(&ob.o, 0, UINT64_MAX, print_item, &rd));
	else
		r = cli_fail(c, CLI_WRONG, -EMEDIUMTYPE,
			     "%s has no single value; see: ipcctl peek %s", cli_a_kind(&ob, kind),
			     c->ref);
	/* The kind's own get says why there is no value. */
	none = r == 0 && ob.kind->flags & IPK_KIND_VALUE && ob.kind->items && rd.seen == 0;
	cli_close(&ob);
	return none ? cli_op(c) : r;
}

static int peek_item(void *arg, const struct ipk_item *item)
{
	struct reader *rd = arg;

	if (item->leased)
		return 0;
	if (rd->left == 0)
		return 1;
	rd->left--;
	return print_item(arg, item);
}

int cli_peek(struct cli *c)
{
	struct cli_object ob;
	struct reader rd = {.c = c, .ob = &ob, .left = c->opt.count_given ? c->opt.count : 1};
	const struct ipk_op *op;
	bool none = false;
	int r = cli_open(c, c->word[0], CLI_REF_OBJECT, &ob);

	if (r == 0)
		r = cli_known_kind(c, &ob);
	if (r == 0 && !(ob.kind->flags & IPK_KIND_PUSH && ob.kind->items))
		r = cli_needs_op(c, &ob, "peek", &op);
	if (r == 0 && rd.left > 0) {
		r = ob.kind->peek ? ob.kind->peek(&ob.o, peek_item, &rd)
				  : ob.kind->items(&ob.o, 0, UINT64_MAX, peek_item, &rd);
		r = walked(c, r);
		none = r == 0 && rd.seen == 0;
		if (none && ob.kind->flags & IPK_KIND_PUSH)
			r = cli_fail(c, CLI_BLOCKED, -EAGAIN, "empty");
		/* The kind's own peek says why there is nothing. */
		none = none && !(ob.kind->flags & IPK_KIND_PUSH);
	}
	cli_close(&ob);
	return none ? cli_op(c) : r;
}

static int print_key(void *arg, const struct ipk_item *item)
{
	struct reader *rd = arg;
	const void *key;
	size_t len;
	const struct ipk_type *type = cli_key_of(rd->ob, item, &key, &len);

	if (type)
		cli_value(rd->c, type, key, len);
	else
		cli_printf(rd->c, "%llu%c", (unsigned long long)item->pos,
			   rd->c->opt.null ? 0 : '\n');
	cli_end_record(rd->c);
	return rd->c->out->error || cli_interrupted() ? -ECANCELED : 0;
}

int cli_keys(struct cli *c)
{
	struct cli_object ob;
	struct reader rd = {.c = c, .ob = &ob};
	char kind[40];
	int r = cli_open(c, c->word[0], CLI_REF_OBJECT, &ob);

	if (r == 0)
		r = cli_known_kind(c, &ob);
	if (r == 0 && (!(ob.kind->flags & (IPK_KIND_KEYED | IPK_KIND_INDEXED)) || !ob.kind->items))
		r = cli_fail(c, CLI_WRONG, -EMEDIUMTYPE, "%s has no keys", cli_a_kind(&ob, kind));
	if (r == 0)
		r = walked(c, ob.kind->items(&ob.o, 0, UINT64_MAX, print_key, &rd));
	cli_close(&ob);
	return r;
}

static int found_it(void *arg, const struct ipk_item *item)
{
	(void)item;
	((struct reader *)arg)->seen++;
	return 0;
}

int cli_has(struct cli *c)
{
	struct cli_object ob;
	struct reader rd = {.c = c, .ob = &ob};
	const char *key = c->nwords > 1 ? c->word[1] : NULL;
	size_t len = key ? strlen(key) : 0;
	const struct ipk_type *type;
	char kind[40];
	int r = cli_open(c, c->word[0], CLI_REF_OBJECT | CLI_REF_KEY, &ob);

	if (r == 0)
		r = cli_known_kind(c, &ob);
	if (r == 0 && !key == !ob.ref.key)
		r = cli_usage(c, "wants SEGMENT/OBJECT VALUE or SEGMENT/OBJECT/KEY");
	if (r == 0 && (!ob.kind->item || (key && !(ob.kind->flags & IPK_KIND_KEYED))))
		r = cli_fail(c, CLI_WRONG, -EMEDIUMTYPE, "%s has no keys", cli_a_kind(&ob, kind));
	if (r == 0) {
		if (!key) {
			key = ob.ref.key;
			len = ob.ref.key_len;
		}
		type = cli_key_of(&ob, NULL, NULL, NULL);
		r = ob.kind->item(&ob.o, key, len, found_it, &rd);
		if (r == -EINVAL)
			r = cli_fail(c, CLI_WRONG, r, "\"%s\" is no %s", key,
				     type ? type->text : "index");
		else if (r < 0 && r != -ENOENT && r != -ERANGE)
			r = cli_fail_code(c, r, NULL);
		else
			r = rd.seen ? 0 : CLI_NO;
		if (r <= CLI_NO && !c->opt.quiet)
			cli_puts(c, r == 0 ? "true\n" : "false\n");
	}
	cli_close(&ob);
	return r;
}
