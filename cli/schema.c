/* SPDX-License-Identifier: MIT */
/* schema: the tables as one JSON object. Man pages are generated from it; tools can be too. */
#include <stdio.h>
#include <string.h>

#include "cli.h"

static void text(struct ipk_buf *b, const char *name, const char *val)
{
	if (val)
		cli_json_str(b, name, val);
}

/* Drops the comma in front of the first member. */
static void first(struct ipk_buf *b, size_t at)
{
	if (at < b->len && b->data[at] == ',') {
		memmove(b->data + at, b->data + at + 1, b->len - at - 1);
		b->len--;
	}
}

static void args(struct ipk_buf *b, const char *name, const struct ipk_arg *arg)
{
	static const char *const types[] = {
		[IPK_ARG_U64] = "u64",   [IPK_ARG_I64] = "i64",   [IPK_ARG_VALUE] = "value",
		[IPK_ARG_TYPE] = "type", [IPK_ARG_WORD] = "word", [IPK_ARG_FLAG] = "flag",
		[IPK_ARG_TEXT] = "text"};
	const char *sep = "";

	ipk_buf_printf(b, ",\"%s\":[", name);
	for (; arg && arg->type != IPK_ARG_END; arg++) {
		size_t at;

		ipk_buf_printf(b, "%s{", sep);
		at = b->len;
		text(b, "name", arg->name);
		text(b, "type", types[arg->type]);
		cli_json_bool(b, "positional", arg->positional);
		if (arg->type == IPK_ARG_U64) {
			cli_json_u64(b, "min", arg->min);
			if (arg->max)
				cli_json_u64(b, "max", arg->max);
		}
		text(b, "default", arg->value);
		text(b, "words", arg->words);
		text(b, "help", arg->help);
		first(b, at);
		ipk_buf_str(b, "}");
		sep = ",";
	}
	ipk_buf_str(b, "]");
}

static void flags(struct ipk_buf *b, unsigned set, const char *const *names)
{
	const char *sep = "";
	unsigned i;

	ipk_buf_str(b, ",\"flags\":[");
	for (i = 0; names[i]; i++)
		if (set >> i & 1) {
			ipk_buf_printf(b, "%s\"%s\"", sep, names[i]);
			sep = ",";
		}
	ipk_buf_str(b, "]");
}

static void op(struct ipk_buf *b, const struct ipk_op *o)
{
	static const char *const names[] = {"write", "consume", "block", "in", "out",
					    "key",   "count",   "cmd",   "many", "try_write",
					    "place", "cmd_optional", NULL};
	char usage[256];
	size_t at;

	cli_op_usage(o, usage);
	ipk_buf_str(b, "{");
	at = b->len;
	text(b, "name", o->name);
	text(b, "usage", usage);
	text(b, "summary", o->summary);
	text(b, "example", o->example);
	flags(b, o->flags, names);
	args(b, "args", o->args);
	first(b, at);
	ipk_buf_str(b, "}");
}

static void kind(struct ipk_buf *b, const struct ipk_kind *k)
{
	static const char *const names[] = {"indexed", "keyed",      "value",       "raw", "push",
					    "log",     "write_item", "remove_item", NULL};
	const struct ipk_op *o;
	const char *const *stat;
	size_t at;

	ipk_buf_str(b, "{");
	at = b->len;
	text(b, "name", k->name);
	cli_json_u64(b, "id", k->id);
	cli_json_u64(b, "version", k->version);
	text(b, "summary", k->summary);
	text(b, "text", k->text);
	text(b, "bench", k->bench ? k->bench->round : NULL);
	text(b, "type", k->type);
	text(b, "key", k->key);
	flags(b, k->flags, names);
	args(b, "params", k->params);
	ipk_buf_str(b, ",\"ops\":[");
	for (o = k->ops; o && o->name; o++) {
		if (o > k->ops)
			ipk_buf_str(b, ",");
		op(b, o);
	}
	ipk_buf_str(b, "],\"stats\":[");
	for (stat = k->stats; stat && *stat; stat++)
		ipk_buf_printf(b, "%s\"%s\"", stat > k->stats ? "," : "", *stat);
	ipk_buf_str(b, "]");
	first(b, at);
	ipk_buf_str(b, "}");
}

/* The names in list, and which kinds have the verb. */
static void verb(struct ipk_buf *b, const struct cli_command *cmd, bool builtin)
{
	const char *p = cmd->options ? cmd->options : "", *sep = "";
	size_t at, len;
	int k;

	ipk_buf_str(b, "{");
	at = b->len;
	text(b, "name", cmd->name);
	text(b, "args", cmd->args);
	text(b, "summary", cmd->summary);
	if (cmd->text)
		text(b, "text", cmd->text);
	text(b, "example", cmd->example);
	cli_json_bool(b, "builtin", builtin);
	ipk_buf_str(b, ",\"options\":[");
	for (p += strspn(p, " "); *p; p += len + strspn(p + len, " ")) {
		len = strcspn(p, " ");
		ipk_buf_printf(b, "%s\"%.*s\"", sep, (int)len, p);
		sep = ",";
	}
	ipk_buf_str(b, "],\"kinds\":[");
	sep = "";
	for (k = 0; ipk_kinds[k]; k++)
		if (ipk_kind_op(ipk_kinds[k], cmd->name)) {
			ipk_buf_printf(b, "%s\"%s\"", sep, ipk_kinds[k]->name);
			sep = ",";
		}
	ipk_buf_str(b, "]");
	first(b, at);
	ipk_buf_str(b, "}");
}

static void op_verb(void *arg, const char *name)
{
	ipk_buf_str(arg, ",");
	verb(arg, cli_op_command(name), false);
}

static void options(struct ipk_buf *b)
{
	const struct cli_option *o;
	size_t at;

	ipk_buf_str(b, ",\"options\":[");
	for (o = cli_options; o->name; o++) {
		char letter[2] = {o->letter, '\0'};

		ipk_buf_str(b, o > cli_options ? ",{" : "{");
		at = b->len;
		text(b, "name", o->name);
		if (o->letter)
			text(b, "letter", letter);
		text(b, "arg", o->arg);
		cli_json_bool(b, "common", o->common);
		text(b, "help", o->help);
		first(b, at);
		ipk_buf_str(b, "}");
	}
	ipk_buf_str(b, "]");
}

static void exits(struct ipk_buf *b)
{
	const struct cli_exit_text *e;

	ipk_buf_str(b, ",\"exits\":[");
	for (e = cli_exits; e->text; e++) {
		ipk_buf_printf(b, "%s{\"code\":%d", e > cli_exits ? "," : "", e->code);
		text(b, "meaning", e->text);
		ipk_buf_str(b, "}");
	}
	ipk_buf_str(b, "]");
}

static void environment(struct ipk_buf *b)
{
	ipk_buf_str(b,
		    ",\"environment\":["
		    "{\"name\":\"IPK_DIR\",\"help\":\"where segments live; default /dev/shm\"},"
		    "{\"name\":\"NO_COLOR\",\"help\":\"switches colour off when not empty\"},"
		    "{\"name\":\"TERM\",\"help\":\"dumb switches colour off\"},"
		    "{\"name\":\"IPK_FAULT\",\"help\":\"a test aid: internal makes every command "
		    "end with exit 70, the name of an error (EOWNERDEAD) with that error's\"}]");
}

void cli_schema_kind(struct cli *c, const struct ipk_kind *k)
{
	struct ipk_buf b = {0};

	ipk_buf_str(&b, "{\"v\":1,\"kind\":");
	kind(&b, k);
	ipk_buf_str(&b, "}");
	cli_json(c, b.data, b.len);
	ipk_buf_free(&b);
}

void cli_schema_verb(struct cli *c, const struct cli_command *cmd)
{
	struct ipk_buf b = {0};
	const char *sep = "";
	int i;

	ipk_buf_str(&b, "{\"v\":1,\"verb\":");
	verb(&b, cmd, cli_command(cmd->name) != NULL);
	ipk_buf_str(&b, ",\"ops\":[");
	for (i = 0; ipk_kinds[i]; i++) {
		const struct ipk_op *o = ipk_kind_op(ipk_kinds[i], cmd->name);

		if (!o)
			continue;
		ipk_buf_printf(&b, "%s{\"kind\":\"%s\",\"op\":", sep, ipk_kinds[i]->name);
		op(&b, o);
		ipk_buf_str(&b, "}");
		sep = ",";
	}
	ipk_buf_str(&b, "]}");
	cli_json(c, b.data, b.len);
	ipk_buf_free(&b);
}

int cli_schema(struct cli *c)
{
	const struct cli_command *cmd;
	struct ipk_buf b = {0};
	const char *sep = "";
	int k;

	ipk_buf_str(&b, "{\"v\":1");
	text(&b, "version", IPK_VERSION);
	options(&b);
	ipk_buf_str(&b, ",\"verbs\":[");
	for (cmd = cli_commands; cmd->name; cmd++) {
		if (cmd->hidden)
			continue;
		ipk_buf_str(&b, sep);
		verb(&b, cmd, true);
		sep = ",";
	}
	cli_each_op(op_verb, &b);
	ipk_buf_str(&b, "],\"kinds\":[");
	for (k = 0; ipk_kinds[k]; k++) {
		ipk_buf_str(&b, k ? "," : "");
		kind(&b, ipk_kinds[k]);
	}
	ipk_buf_str(&b, "]");
	exits(&b);
	environment(&b);
	ipk_buf_str(&b, "}");
	cli_json(c, b.data, b.len);
	ipk_buf_free(&b);
	return 0;
}
