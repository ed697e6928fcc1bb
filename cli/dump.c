/* SPDX-License-Identifier: MIT */
/*
 * dump load: all that an object holds, as JSON lines under a header line with its schema. A
 * map's items are {"key":K,"value":V}, all others bare values.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

/* ---- dump ------------------------------------------------------------------------------- */

/* A creation parameter as text: it was kept in the object's opts as a number. */
static void param(struct ipk_buf *b, const struct ipk_arg *spec, uint64_t val)
{
	const char *word = spec->words;

	if (spec->type == IPK_ARG_FLAG ? !val : !spec->value && !val)
		return; /* was not given */
	ipk_buf_printf(b, "%s\"%s\":", b->len ? "," : "", spec->name);
	switch (spec->type) {
	case IPK_ARG_FLAG:
		ipk_buf_str(b, "true");
		break;
	case IPK_ARG_WORD:
		for (; val > 0 && word[strcspn(word, "|")]; val--)
			word += strcspn(word, "|") + 1;
		ipk_buf_printf(b, "\"%.*s\"", (int)strcspn(word, "|"), word);
		break;
	case IPK_ARG_I64:
		ipk_buf_printf(b, "\"%lld\"", (long long)val);
		break;
	default:
		ipk_buf_printf(b, "\"%llu\"", (unsigned long long)val);
	}
}

/* One that its kind keeps. */
static void text_param(struct ipk_buf *b, struct cli_object *ob, unsigned i)
{
	struct ipk_buf text = {0};

	if (ob->kind->param(&ob->o, i, &text) > 0) {
		ipk_buf_printf(b, "%s\"%s\":", b->len ? "," : "", ob->kind->params[i].name);
		ipk_json_string(b, text.data, text.len);
	}
	ipk_buf_free(&text);
}

static void header(struct cli *c, struct cli_object *ob)
{
	const struct ipk_arg *spec = ob->kind->params;
	struct ipk_buf b = {0}, params = {0};
	unsigned i;

	for (i = 0; ob->kind->param && spec[i].type != IPK_ARG_END; i++)
		if (spec[i].type == IPK_ARG_TEXT)
			text_param(&params, ob, i);
	for (i = 0; i < CLI_ARRAY_LEN(ob->o.opts) && spec && spec[i].type != IPK_ARG_END; i++)
		if (spec[i].type != IPK_ARG_TEXT && spec[i].type != IPK_ARG_VALUE &&
		    spec[i].type != IPK_ARG_TYPE)
			param(&params, &spec[i], ob->o.opts[i]);
	ipk_buf_str(&b, "{\"v\":1");
	cli_json_str(&b, "dump", ob->o.name);
	cli_json_str(&b, "kind", ob->kind->name);
	cli_json_str(&b, "type", ob->o.type);
	if (ob->o.key_type)
		cli_json_str(&b, "key", ob->o.key_type);
	ipk_buf_printf(&b, ",\"params\":{%.*s}}\n", (int)params.len, params.len ? params.data : "");
	cli_put(c, b.data, b.len);
	ipk_buf_free(&b);
	ipk_buf_free(&params);
}

struct dumper {
	struct cli *c;
	struct cli_object *ob;
};

static int dump_item(void *arg, const struct ipk_item *item)
{
	struct dumper *d = arg;

	cli_item(d->c, d->ob, item);
	return d->c->out->error || cli_interrupted() ? -ECANCELED : 0;
}

static int holds_values(struct cli *c, struct cli_object *ob)
{
	char kind[40];

	if (cli_known_kind(c, ob))
		return CLI_CORRUPT;
	if (ob->kind->items)
		return 0;
	return cli_fail(c, CLI_WRONG, -EMEDIUMTYPE, "%s holds no values", cli_a_kind(ob, kind));
}

int cli_dump_object(struct cli *c, const char *text, bool bare)
{
	struct cli_options saved = c->opt;
	struct cli_object ob;
	struct dumper d = {c, &ob};
	int r = cli_open(c, text, CLI_REF_OBJECT, &ob);

	if (r == 0)
		r = bare ? cli_known_kind(c, &ob) : holds_values(c, &ob);
	if (r == 0) {
		/* One form, whatever the options: it is to be loaded again. */
		c->opt.json = true;
		c->opt.pretty = c->opt.null = c->opt.raw = c->opt.meta = false;
		header(c, &ob);
		if (ob.kind->items)
			r = ob.kind->items(&ob.o, 0, UINT64_MAX, dump_item, &d);
		c->opt = saved;
		if (c->out->error)
			r = cli_flush_status(c);
		else
			r = r < 0 ? cli_fail_code(c, r, NULL) : 0;
	}
	cli_close(&ob);
	return r;
}

int cli_dump(struct cli *c)
{
	return cli_dump_object(c, c->word[0], false);
}

/* ---- reading a header ------------------------------------------------------------------- */

struct dumped {
	char *kind, *type, *key;
	struct ipk_param param[32];
	unsigned n;
};

static void dumped_free(struct dumped *d)
{
	unsigned i;

	for (i = 0; i < d->n; i++) {
		free((char *)d->param[i].name);
		free((char *)d->param[i].value);
	}
	free(d->kind);
	free(d->type);
	free(d->key);
}

static char *unquoted(const char *text, size_t len)
{
	struct ipk_type *type = NULL;
	struct ipk_buf b = {0};

	if (ipk_type_parse("str", 3, &type, NULL) < 0)
		return NULL;
	if (ipk_value_parse(type, text, len, IPK_VALUE_JSON, &b, NULL) < 0 ||
	    ipk_buf_add(&b, "", 1) < 0)
		ipk_buf_free(&b);
	ipk_type_free(type);
	return b.data;
}

static int header_param(void *arg, const char *key, size_t klen, const char *val, size_t vlen)
{
	struct dumped *d = arg;
	struct ipk_param *p = &d->param[d->n];

	if (d->n == CLI_ARRAY_LEN(d->param))
		return -EINVAL;
	p->name = unquoted(key, klen);
	p->value = vlen && val[0] == '"' ? unquoted(val, vlen) : NULL; /* true: a flag */
	d->n++;
	return p->name && (p->value || val[0] != '"') ? 0 : -EINVAL;
}

static int header_member(void *arg, const char *key, size_t klen, const char *val, size_t vlen)
{
	struct dumped *d = arg;
	char **place = NULL;

	if (klen == 6 && !memcmp(key, "\"kind\"", 6))
		place = &d->kind;
	else if (klen == 6 && !memcmp(key, "\"type\"", 6))
		place = &d->type;
	else if (klen == 5 && !memcmp(key, "\"key\"", 5))
		place = &d->key;
	else if (klen == 8 && !memcmp(key, "\"params\"", 8))
		return cli_members(val, vlen, header_param, d);
	if (!place)
		return 0;
	free(*place);
	*place = unquoted(val, vlen);
	return *place ? 0 : -EINVAL;
}

/* 1: the first line is no header, and is there to be read again. */
static int read_header(struct cli *c, struct cli_input *in, struct dumped *d)
{
	const char *text;
	size_t start = in->start, len;
	int r = cli_input_record(in, true, &text, &len);

	if (r < 0)
		return cli_fail(c, cli_exit_of(r), r, "standard input: %s", ipk_strerror(r));
	if (r == 0)
		return cli_fail(c, CLI_WRONG, -EINVAL,
				"line 1: a dump begins with a header line, got nothing");
	r = cli_members(text, len, header_member, d);
	if (r == 0 && d->kind && d->type)
		return 0;
	in->start = start;
	in->line = 0;
	return 1;
}

/* ---- load ------------------------------------------------------------------------------- */

/* Makes the object that d describes, unless it is there. */
static int prepare(struct cli *c, struct cli_object *ob, struct dumped *d, bool fresh)
{
	struct ipk_segment *seg = NULL;
	struct ipk_error err = {0};
	struct ipk_param param[34];
	unsigned n = 0;
	int r;

	r = ipk_segment_open(ob->ref.segment, IPK_READ | IPK_WRITE, &seg, &err);
	if (r < 0)
		return cli_fail_code(c, r, &err);
	param[n++] = (struct ipk_param){"type", d->type};
	if (d->key)
		param[n++] = (struct ipk_param){"key", d->key};
	memcpy(param + n, d->param, d->n * sizeof(*param));
	r = ipk_object_new(seg, ob->ref.object, d->kind, param, n + d->n, &err);
	ipk_segment_close(seg);
	if (r < 0 && (r != -EEXIST || fresh))
		return cli_fail(c, r == -EINVAL ? CLI_WRONG : cli_exit_of(r), r, "%s",
				err.text[0] ? err.text : ipk_strerror(r));
	return 0;
}

static int same_schema(struct cli *c, struct cli_object *ob, const struct dumped *d)
{
	const char *key = ob->o.key_type ? ob->o.key_type : "";
	char text[40];

	if (cli_known_kind(c, ob))
		return CLI_CORRUPT;
	if (strcmp(ob->kind->name, d->kind))
		return cli_fail(c, CLI_WRONG, -EMEDIUMTYPE, "it is %s, the dump is of kind %s",
				cli_a_kind(ob, text), d->kind);
	if (strcmp(ob->o.type, d->type))
		return cli_fail(c, CLI_WRONG, -EMEDIUMTYPE, "its type is %s, the dump's is %s",
				ob->o.type, d->type);
	if (strcmp(key, d->key ? d->key : ""))
		return cli_fail(c, CLI_WRONG, -EMEDIUMTYPE, "its key type is %s, the dump's is %s",
				key, d->key ? d->key : "none");
	return 0;
}

/* The operation that puts values in, by what the kind is. */
static int loading_op(struct cli *c, struct cli_object *ob, const struct ipk_op **ret_op)
{
	static const char *const verbs[] = {"load", "push", "add", "send", "set"};
	char kind[40];
	unsigned i;

	for (i = 0; i < CLI_ARRAY_LEN(verbs); i++) {
		*ret_op = ipk_kind_op(ob->kind, verbs[i]);
		if (*ret_op && (*ret_op)->flags & IPK_OP_IN)
			return 0;
	}
	return cli_fail(c, CLI_WRONG, -EMEDIUMTYPE, "nothing can be put into %s",
			cli_a_kind(ob, kind));
}

/* Values one after the other in a buffer, for operations with a KEY. */
struct one {
	struct cli_tool t; /* first */
	struct ipk_item item;
	bool given;
};

static int next_one(struct ipk_call *call, struct ipk_item *item, int max)
{
	struct one *o = call->tool;

	if (o->given || max < 1)
		return 0;
	o->given = true;
	*item = o->item;
	return 1;
}

/* What an operation would tell of each value, such as its place in a pool, is not asked for. */
static int say_nothing(struct ipk_call *call, const struct ipk_item *item)
{
	(void)call;
	(void)item;
	return 0;
}

struct loader {
	struct cli *c;
	struct cli_object *ob;
	const struct ipk_op *op;
	struct ipk_call call;
	struct one one;
	struct ipk_buf value, key;
	uint64_t n; /* how many went in */
};

static int set_one(struct loader *l, const char *key, size_t klen, const void *data, size_t len)
{
	int r;

	l->one.item = (struct ipk_item){.data = data, .len = len};
	l->one.given = false;
	l->call.key = key;
	l->call.key_len = klen;
	l->call.next = next_one;
	l->call.err.text[0] = '\0';
	r = ipk_op_run(l->op, &l->call);
	l->n += r == 0;
	return r > 0 ? -EEXIST : r;
}

/* One line of a map's dump: the key goes in as the text that a REF would have. */
static int load_pair(struct loader *l, const char *text, size_t len)
{
	const char *key, *value;
	size_t klen, vlen;
	struct ipk_buf raw = {0};
	int r = cli_split_pair(text, len, &key, &klen, &value, &vlen);

	if (r < 0)
		return ipk_error_set(&l->call.err, -EINVAL, "wants {\"key\":..,\"value\":..}");
	l->value.len = l->key.len = 0;
	r = ipk_value_parse(l->ob->key_type, key, klen, IPK_VALUE_JSON, &raw, &l->call.err);
	if (r == 0)
		r = ipk_value_print(l->ob->key_type, raw.data, raw.len, 0, &l->key);
	if (r == 0)
		r = ipk_value_parse(l->ob->type, value, vlen, IPK_VALUE_JSON, &l->value,
				    &l->call.err);
	if (r == 0)
		r = set_one(l, l->key.data ? l->key.data : "", l->key.len,
			    l->value.data ? l->value.data : "", l->value.len);
	ipk_buf_free(&raw);
	return r;
}

static int load_index(struct loader *l, const char *text, size_t len)
{
	char key[24];
	int n = snprintf(key, sizeof(key), "%llu", (unsigned long long)l->n), r;

	l->value.len = 0;
	r = ipk_value_parse(l->ob->type, text, len, IPK_VALUE_JSON, &l->value, &l->call.err);
	return r < 0 ? r
		     : set_one(l, key, (size_t)n, l->value.data ? l->value.data : "", l->value.len);
}

static int load_lines(struct loader *l, struct cli_input *in)
{
	bool keyed = l->ob->kind->flags & IPK_KIND_KEYED;
	const char *text;
	size_t len;
	int r;

	while ((r = cli_input_record(in, true, &text, &len)) > 0) {
		r = keyed ? load_pair(l, text, len) : load_index(l, text, len);
		if (r < 0)
			return r;
	}
	return r;
}

static int run_load(struct cli *c, struct cli_object *ob, struct cli_input *in)
{
	struct loader l = {.c = c, .ob = ob, .one.t = {.c = c, .ob = ob, .in = in}};
	const char *what;
	int r, used = 0, status;

	r = loading_op(c, ob, &l.op);
	if (r == 0)
		r = cli_call(&l.one.t, l.op, NULL, 0, &l.call, &used);
	if (r)
		return r;
	l.call.tool = &l.one;
	l.call.emit = say_nothing;
	l.call.timeout = c->opt.timeout < 0 ? 0 : c->opt.timeout;
	l.call.count = 0;
	if (l.op->flags & IPK_OP_KEY) {
		r = load_lines(&l, in);
	} else {
		in->type = ob->type;
		in->flags = IPK_VALUE_JSON;
		r = ipk_op_run(l.op, &l.call);
		l.n = l.call.done;
	}
	if (r < 0) {
		what = l.call.err.text[0] ? l.call.err.text : ipk_strerror(r);
		status = r == -EINVAL || in->error ? CLI_WRONG : cli_exit_of(r);
		r = l.op->flags & IPK_OP_KEY || !in->error
			    ? cli_fail(c, status, r, "line %llu: %s; %llu went in",
				       (unsigned long long)in->line, what, (unsigned long long)l.n)
			    : cli_fail(c, status, r, "%s; %llu went in", what,
				       (unsigned long long)l.n);
	} else if (c->opt.verbose) {
		cli_note(c, "load %s: %llu", c->ref, (unsigned long long)l.n);
	}
	free((void *)l.call.arg);
	ipk_buf_free(&l.value);
	ipk_buf_free(&l.key);
	return r > 0 ? r : 0;
}

int cli_load_object(struct cli *c, const char *text, int fd, bool fresh)
{
	struct cli_object ob = {0};
	struct cli_input in = {.fd = -1};
	struct dumped d = {0};
	bool bare = false; /* values alone: for what exists, and is known */
	int r = cli_ref(c, text, CLI_REF_OBJECT, &ob.ref);

	c->opt.raw = c->opt.null = false;
	if (r == 0)
		r = cli_input_stream(&in, c, NULL, fd);
	if (r == 0)
		r = read_header(c, &in, &d);
	if (r == 1) {
		struct ipk_error err = {0};

		bare = true;
		r = cli_find(&ob, &err);
		if (r == -ENOENT)
			r = cli_fail(c, CLI_WRONG, -EINVAL,
				     "line 1: a dump begins with a header line: "
				     "{\"v\":1,\"dump\":..,\"kind\":..,\"type\":..}");
		else if (r < 0)
			r = cli_fail_code(c, r, &err);
	}
	if (r == 0 && !bare)
		r = prepare(c, &ob, &d, fresh);
	cli_close(&ob);
	if (r == 0)
		r = cli_open(c, text, CLI_REF_OBJECT, &ob);
	if (r == 0 && !bare)
		r = same_schema(c, &ob, &d);
	if (r == 0 && !(fresh && !ob.kind->items)) {
		r = cli_attach(c, &ob, IPK_READ | IPK_WRITE);
		if (r == 0)
			r = run_load(c, &ob, &in);
	}
	cli_close(&ob);
	cli_input_free(&in);
	dumped_free(&d);
	return r;
}

int cli_load(struct cli *c)
{
	return cli_load_object(c, c->word[0], STDIN_FILENO, false);
}
