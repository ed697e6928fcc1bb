/* SPDX-License-Identifier: MIT */
/* help: the overview, a verb, a kind. All from the tables; nothing wider than 80 columns. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

#define WIDTH 79

/* Words of text from column at on, continued below column indent. */
static void wrap(struct cli *c, const char *text, size_t at, size_t indent)
{
	const char *p = text;
	bool fresh = true; /* no word on this line yet */

	while (*p) {
		size_t len = strcspn(p, " \n");

		if (!fresh && at + 1 + len > WIDTH) {
			cli_printf(c, "\n%*s", (int)indent, "");
			at = indent;
		} else if (!fresh) {
			cli_puts(c, " ");
			at++;
		}
		fresh = false;
		cli_put(c, p, len);
		at += len;
		p += len;
		while (*p == ' ' || *p == '\n')
			p++;
	}
	cli_puts(c, "\n");
}

static void entry(struct cli *c, const char *name, const char *text, size_t column)
{
	size_t len = strlen(name);

	cli_printf(c, "  %s", name);
	if (len + 4 > column) {
		cli_printf(c, "\n%*s", (int)column, "");
	} else {
		cli_printf(c, "%*s", (int)(column - len - 2), "");
	}
	wrap(c, text, column, column);
}

static void title(struct cli *c, const char *text)
{
	if (cli_colored(c))
		cli_printf(c, "\n\033[1m%s\033[0m\n", text);
	else
		cli_printf(c, "\n%s\n", text);
}

/* ---- options ---------------------------------------------------------------------------- */

static void option(struct cli *c, const struct cli_option *o)
{
	char name[64];

	if (o->letter)
		snprintf(name, sizeof(name), "-%c, --%s%s%s", o->letter, o->name, o->arg ? " " : "",
			 o->arg ? o->arg : "");
	else
		snprintf(name, sizeof(name), "    --%s%s%s", o->name, o->arg ? " " : "",
			 o->arg ? o->arg : "");
	entry(c, name, o->help, 26);
}

static void argument(struct cli *c, const struct ipk_arg *arg)
{
	struct ipk_buf help = {0};
	char name[96];

	if (arg->positional)
		snprintf(name, sizeof(name), "%s", arg->name);
	else
		snprintf(name, sizeof(name), "    --%s%s%s", arg->name,
			 arg->type == IPK_ARG_FLAG ? "" : " ",
			 arg->type == IPK_ARG_FLAG                              ? ""
			 : arg->type == IPK_ARG_WORD                            ? arg->words
			 : arg->type == IPK_ARG_U64 || arg->type == IPK_ARG_I64 ? "N"
			 : arg->type == IPK_ARG_TYPE                            ? "TYPE"
			 : arg->type == IPK_ARG_VALUE                           ? "VALUE"
										: "TEXT");
	ipk_buf_str(&help, arg->help ? arg->help : "");
	if (arg->value)
		ipk_buf_printf(&help, " (default %s)", arg->value);
	ipk_buf_add(&help, "", 1);
	entry(c, name, help.data, 26);
	ipk_buf_free(&help);
}

/* ---- a verb ----------------------------------------------------------------------------- */

static bool known_example(const char *const *seen, unsigned n, const char *example)
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (!strcmp(seen[i], example))
			return true;
	return false;
}

static void verb_of_kinds(struct cli *c, const char *verb)
{
	const char *seen[64];
	unsigned n = 0;
	int k;

	for (k = 0; ipk_kinds[k]; k++) {
		const struct ipk_op *op = ipk_kind_op(ipk_kinds[k], verb);
		const struct ipk_arg *arg;
		char usage[256], line[320];

		if (!op)
			continue;
		cli_op_usage(op, usage);
		snprintf(line, sizeof(line), "On %s %s", cli_article(ipk_kinds[k]->name),
			 ipk_kinds[k]->name);
		title(c, line);
		cli_puts(c, "  ");
		wrap(c, op->summary, 2, 2);
		snprintf(line, sizeof(line), "ipcctl %s %s", verb, usage);
		cli_puts(c, "    ");
		wrap(c, line, 4, 8);
		for (arg = op->args; arg && arg->type != IPK_ARG_END; arg++)
			argument(c, arg);
		if (op->example && n < CLI_ARRAY_LEN(seen) &&
		    !known_example(seen, n, op->example)) {
			cli_printf(c, "  Example: ipcctl new -P S/x %s\n", ipk_kinds[k]->name);
			cli_puts(c, "           ");
			wrap(c, op->example, 11, 13);
			seen[n++] = op->example;
		}
	}
}

static void help_verb(struct cli *c, const char *verb)
{
	const struct cli_command *cmd = cli_command(verb);
	const struct cli_option *o;
	char line[512];

	if (cmd) {
		snprintf(line, sizeof(line), "ipcctl %s %s", cmd->name, cmd->args);
		wrap(c, line, 0, 8);
		cli_puts(c, "  ");
		wrap(c, cmd->summary, 2, 2);
		if (cmd->text) {
			cli_puts(c, "\n  ");
			wrap(c, cmd->text, 2, 2);
		}
	} else {
		cmd = cli_op_command(verb);
		cli_printf(c, "ipcctl %s REF ...\n", cmd->name);
	}
	if (!strcmp(verb, "new")) {
		int k;

		title(c, "Kinds (ipcctl help KIND shows the options of each)");
		for (k = 0; ipk_kinds[k]; k++)
			entry(c, ipk_kinds[k]->name, ipk_kinds[k]->summary, 14);
	}
	if (cmd->options && *cmd->options) {
		title(c, "Options");
		for (o = cli_options; o->name; o++)
			if (cli_listed(cmd->options, o->name))
				option(c, o);
	}
	verb_of_kinds(c, verb);
	if (cli_command(verb)) {
		title(c, "Example");
		cli_puts(c, "  ");
		wrap(c, cmd->example, 2, 6);
	}
}

/* ---- a kind ----------------------------------------------------------------------------- */

static void help_kind(struct cli *c, const struct ipk_kind *kind)
{
	const struct ipk_arg *arg;
	const struct ipk_op *op;
	char usage[256], line[320];

	snprintf(line, sizeof(line), "%s: %s", kind->name, kind->summary);
	wrap(c, line, 0, 2);
	if (kind->text) {
		cli_puts(c, "\n  ");
		wrap(c, kind->text, 2, 2);
	}
	title(c, "Making one");
	cli_printf(c, "  ipcctl new SEG/OBJ %s [OPTIONS]\n", kind->name);
	snprintf(line, sizeof(line), "element type (default %s)", kind->type);
	entry(c, "    --type TYPE", line, 26);
	if (kind->key) {
		snprintf(line, sizeof(line), "key type (default %s)", kind->key);
		entry(c, "    --key TYPE", line, 26);
	}
	for (arg = kind->params; arg && arg->type != IPK_ARG_END; arg++)
		argument(c, arg);
	title(c, "Verbs");
	for (op = kind->ops; op && op->name; op++) {
		cli_op_usage(op, usage);
		snprintf(line, sizeof(line), "%s %s", op->name, usage);
		cli_puts(c, "  ");
		wrap(c, line, 2, 6);
		cli_puts(c, "      ");
		wrap(c, op->summary, 6, 6);
	}
	title(c, "Examples");
	cli_printf(c, "  ipcctl new -P S/x %s\n", kind->name);
	for (op = kind->ops; op && op->name; op++)
		if (op->example) {
			cli_puts(c, "  ");
			wrap(c, op->example, 2, 6);
		}
}

/* ---- all -------------------------------------------------------------------------------- */

static void op_entry(void *arg, const char *verb)
{
	entry(arg, verb, cli_op_command(verb)->summary, 14);
}

static int overview(struct cli *c)
{
	const struct cli_command *cmd;
	const struct cli_option *o;
	const struct cli_exit_text *e;
	char code[8];
	int k;

	cli_puts(c, "ipcctl [OPTIONS] VERB REF [ARGS]\n"
		    "  structures in shared memory: make, use and look into them\n"
		    "\n"
		    "  REF is SEGMENT[/OBJECT[/KEY]]; a segment is a name in $IPK_DIR (default\n"
		    "  /dev/shm) or a path. See also: ipcctl help VERB, ipcctl help KIND.\n");
	title(c, "Verbs");
	for (cmd = cli_commands; cmd->name; cmd++)
		if (!cmd->hidden)
			entry(c, cmd->name, cmd->summary, 14);
	title(c, "Verbs of the kinds");
	cli_each_op(op_entry, c);
	title(c, "Kinds");
	for (k = 0; ipk_kinds[k]; k++)
		entry(c, ipk_kinds[k]->name, ipk_kinds[k]->summary, 14);
	title(c, "Options of every verb");
	for (o = cli_options; o->name; o++)
		if (o->common)
			option(c, o);
	title(c, "Exit status");
	for (e = cli_exits; e->text; e++) {
		snprintf(code, sizeof(code), "%d", e->code);
		entry(c, code, e->text, 8);
	}
	return 0;
}

/* Of a name that a verb and a kind share (set) both are told, the verb first. */
static bool help_name(struct cli *c, const char *what)
{
	const struct cli_command *cmd = cli_command(what) ? cli_command(what) : cli_op_command(what);
	const struct ipk_kind *kind = ipk_kind_by_name(what);

	if (cmd && cmd->hidden)
		cmd = NULL;
	if (c->opt.json) {
		if (cmd)
			cli_schema_verb(c, cmd);
		if (kind)
			cli_schema_kind(c, kind);
		return cmd || kind;
	}
	if (cmd)
		help_verb(c, what);
	if (cmd && kind)
		cli_puts(c, "\nAlso a kind:\n\n");
	if (kind)
		help_kind(c, kind);
	return cmd || kind;
}

int cli_help(struct cli *c)
{
	const struct cli_command *cmd;
	const char *what = c->nwords ? c->word[0] : NULL;
	struct cli_suggest s;
	char text[96];
	int k;

	c->ref = NULL;
	if (!what)
		return c->opt.json ? cli_schema(c) : overview(c);
	if (help_name(c, what))
		return 0;
	cli_suggest_init(&s, what);
	for (cmd = cli_commands; cmd->name; cmd++)
		if (!cmd->hidden)
			cli_suggest_try(&s, cmd->name);
	for (k = 0; ipk_kinds[k]; k++) {
		const struct ipk_op *op = ipk_kinds[k]->ops;

		cli_suggest_try(&s, ipk_kinds[k]->name);
		for (; op && op->name; op++)
			cli_suggest_try(&s, op->name);
	}
	return cli_usage(c, "neither a verb nor a kind: \"%s\"%s", what,
			 cli_suggest_text(&s, text));
}
