/* SPDX-License-Identifier: MIT */
/*
 * The command line cut into verb, words, options and CMD. Options may stand before and after the
 * verb, so how many words an option takes is known from all tables together; whether the verb takes
 * it is checked once the verb is known.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

const struct cli_option cli_options[] = {
	{"json", 'j', true, NULL, "JSON out, one record a line; errors as JSON on stderr"},
	{"pretty", 'p', true, NULL, "JSON with indentation"},
	{"raw", 'r', true, NULL, "exact bytes, no newline; in: records of the element's size"},
	{"frame", 0, true, "u32",
	 "with --raw: each record after its length as 4 bytes, little-endian"},
	{"null", '0', true, NULL, "records end in NUL, in and out"},
	{"columns", 'o', true, "COLS",
	 "columns, or fields of show and stat, by name, separated by commas"},
	{"noheadings", 0, true, NULL, "no headings"},
	{"bytes", 'b', true, NULL, "sizes in bytes"},
	{"timeout", 't', true, "DUR", "how long each wait may last: 250us 20ms 2s 1m"},
	{"nowait", 0, true, NULL, "do not wait; the same as -t 0"},
	{"quiet", 'q', true, NULL, "say nothing about an expected no: exits 1, 5, 10 and 124"},
	{"verbose", 'v', true, NULL, "say what was done, on stderr"},
	{"color", 0, true, "WHEN", "auto, always or never"},
	{"yes", 'y', true, NULL, "never ask"},
	{"type", 0, true, "TYPE", "element type: of a new object, or a claim to be checked"},
	{"help", 'h', true, NULL, "help on the verb"},
	{"version", 0, true, NULL, "the version"},
	{"count", 'n', false, "N", "how many; size suffixes are allowed"},
	{"follow", 0, false, NULL, "go on until it is closed"},
	{"meta", 0, false, NULL, "a record around each value: position, redelivered"},
	{"interval", 'i', false, "DUR", "again each DUR"},
	{"dry-run", 0, false, NULL, "say what would be done, and do nothing"},
	{"repair", 0, false, NULL, "make right what is wrong; what changes is saved before"},
	{"undo", 0, false, NULL, "take the last repair back"},
	{"value-file", 0, false, "FILE", "the value is what FILE holds"},
	{"long", 'l', false, NULL, "more columns"},
	{"parents", 'P', false, NULL, "make the missing segment too"},
	{"if-absent", 0, false, NULL, "what exists already is no error"},
	{"size", 0, false, "SIZE", "bytes at creation, 1 MiB by default"},
	{"max", 0, false, "SIZE", "bytes it may grow to, by default 1 GiB or half of what is free"},
	{"mode", 0, false, "MODE", "exact file mode, 0600 by default"},
	{"group", 0, false, "GROUP", "group of the file, by name or number"},
	{"huge", 0, false, "SIZE", "2M or 1G: on huge pages, without growth"},
	{"numa", 0, false, "POLICY", "local, bind:N or interleave:LIST"},
	{"sparse", 0, false, NULL, "do not reserve the memory"},
	{"prefault", 0, false, NULL, "touch all memory now"},
	{"lock", 0, false, NULL, "lock the memory against swapping"},
	{"key", 0, false, "TYPE", "key type of a new map"},
	{"for", 0, false, "COND", "a field of show against a value: 'used<10' 'health=ok'"},
	{"exists", 0, false, NULL, "wait until it exists"},
	{"run", 0, false, NULL, "compute what is derived"},
	{"typed", 0, false, NULL, "fields and elements instead of rows of bytes"},
	{"rw", 0, false, NULL, "allow writes"},
	{"plot", 0, false, "FILE", "draw a picture: FILE ends in .svg or .png"},
	{"allow-other", 0, false, NULL, "other users may look too"},
	{0},
};

bool cli_listed(const char *list, const char *name)
{
	size_t len = strlen(name);
	const char *at = list;

	while (at && (at = strstr(at, name))) {
		if ((at == list || at[-1] == ' ') && (at[len] == ' ' || !at[len]))
			return true;
		at += len;
	}
	return false;
}

const char *cli_given(const struct cli *c, const char *name)
{
	unsigned i;

	for (i = c->ngiven; i-- > 0;)
		if (!strcmp(c->given[i].name, name))
			return c->given[i].value ? c->given[i].value : "";
	return NULL;
}

int cli_usage(struct cli *c, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return cli_fail(c, CLI_USAGE, -EINVAL, "%s", text);
}

/* ---- what options there are ------------------------------------------------------------- */

static const struct ipk_arg *find_arg(const struct ipk_arg *arg, const char *name)
{
	for (; arg && arg->type != IPK_ARG_END; arg++)
		if (!arg->positional && !strcmp(arg->name, name))
			return arg;
	return NULL;
}

/* An option that only kinds know: of a verb, or (verb "new") of creation; any verb: NULL. */
static const struct ipk_arg *kind_option(const char *verb, const char *name)
{
	const struct ipk_arg *arg = NULL;
	int k;

	for (k = 0; ipk_kinds[k] && !arg; k++) {
		const struct ipk_op *op = ipk_kinds[k]->ops;

		if (!verb || !strcmp(verb, "new"))
			arg = find_arg(ipk_kinds[k]->params, name);
		for (; op && op->name && !arg; op++)
			if (!verb || !strcmp(verb, op->name))
				arg = find_arg(op->args, name);
	}
	return arg;
}

const struct ipk_arg *cli_kind_option(const char *name)
{
	return kind_option(NULL, name);
}

static const struct cli_option *by_name(const char *name)
{
	const struct cli_option *o;

	for (o = cli_options; o->name; o++)
		if (!strcmp(o->name, name))
			return o;
	return NULL;
}

bool cli_is_common(const char *name)
{
	const struct cli_option *o = by_name(name);

	return o && o->common;
}

static const struct cli_option *by_letter(char letter)
{
	const struct cli_option *o;

	for (o = cli_options; o->name; o++)
		if (o->letter == letter)
			return o;
	return NULL;
}

const char *cli_takes_value(const char *word)
{
	const struct cli_option *o;
	const struct ipk_arg *arg;
	const char *p;

	if (word[1] == '-') {
		o = by_name(word + 2);
		arg = o ? NULL : kind_option(NULL, word + 2);
		if (o)
			return o->arg ? o->name : NULL;
		return arg && arg->type != IPK_ARG_FLAG ? arg->name : NULL;
	}
	for (p = word + 1; *p; p++) {
		o = by_letter(*p);
		if (o && o->arg)
			return p[1] ? NULL : o->name;
	}
	return NULL;
}

static void suggest_args(struct cli_suggest *s, const struct ipk_arg *arg)
{
	for (; arg && arg->type != IPK_ARG_END; arg++)
		if (!arg->positional)
			cli_suggest_try(s, arg->name);
}

static int unknown_option(struct cli *c, const char *name)
{
	const struct cli_option *o;
	struct cli_suggest s;
	struct ipk_buf shown = {0};
	char text[96];
	int k, r;

	cli_suggest_init(&s, name);
	s.prefix = "--";
	for (o = cli_options; o->name; o++)
		if (!c->cmd || o->common || cli_listed(c->cmd->options, o->name))
			cli_suggest_try(&s, o->name);
	for (k = 0; ipk_kinds[k]; k++) {
		const struct ipk_op *op = ipk_kinds[k]->ops;

		if (!c->verb || !strcmp(c->verb, "new"))
			suggest_args(&s, ipk_kinds[k]->params);
		for (; op && op->name; op++)
			if (!c->verb || !strcmp(c->verb, op->name))
				suggest_args(&s, op->args);
	}
	cli_escape(&shown, name, strlen(name));
	r = cli_usage(c, "no option --%.*s here%s", (int)shown.len, shown.data ? shown.data : "",
		      cli_suggest_text(&s, text));
	ipk_buf_free(&shown);
	return r;
}

/* ---- splitting -------------------------------------------------------------------------- */

static int add_given(struct cli *c, const char *name, const char *value)
{
	c->given[c->ngiven].name = name;
	c->given[c->ngiven++].value = value;
	/* Already for what is wrong with the words behind it. */
	if (!strcmp(name, "json") || !strcmp(name, "pretty"))
		c->opt.json = true;
	return 0;
}

static int long_option(struct cli *c, char **argv, int *at)
{
	char *name = argv[*at] + 2;
	char *equals = strchr(name, '=');
	const struct cli_option *o;
	bool takes;

	if (equals)
		*equals = '\0';
	o = by_name(name);
	if (!o && !kind_option(NULL, name))
		return unknown_option(c, name);
	takes = o ? o->arg != NULL : kind_option(NULL, name)->type != IPK_ARG_FLAG;
	if (!takes && equals)
		return cli_usage(c, "--%s takes no value", name);
	if (takes && !equals) {
		if (!argv[*at + 1])
			return cli_usage(c, "--%s wants a value", name);
		return add_given(c, name, argv[++*at]);
	}
	return add_given(c, name, equals ? equals + 1 : NULL);
}

static int short_options(struct cli *c, char **argv, int *at)
{
	char *p = argv[*at] + 1;

	for (; *p; p++) {
		const struct cli_option *o = by_letter(*p);
		char shown[8];

		if (!o) {
			snprintf(shown, sizeof(shown), *p > ' ' && *p < 127 ? "%c" : "\\x%02x",
				 (unsigned char)*p);
			return cli_usage(c, "no option -%s", shown);
		}
		if (!o->arg) {
			add_given(c, o->name, NULL);
			continue;
		}
		if (p[1])
			return add_given(c, o->name, p + 1);
		if (!argv[*at + 1])
			return cli_usage(c, "-%c wants a value", *p);
		return add_given(c, o->name, argv[++*at]);
	}
	return 0;
}

/* After REF, "-12", "-.5" and "-inf" are values; "-0" stays an option. */
static bool is_negative_value(const char *word)
{
	if (!strcmp(word, "-0"))
		return false;
	return (word[1] >= '0' && word[1] <= '9') || word[1] == '.' || !strcasecmp(word, "-inf") ||
	       !strcasecmp(word, "-infinity");
}

static int split(struct cli *c, int argc, char **argv)
{
	int i, r = 0;

	for (i = 1; i < argc && r == 0; i++) {
		char *word = argv[i];

		if (word[0] != '-' || !word[1] || (c->nwords >= 2 && is_negative_value(word))) {
			c->word[c->nwords++] = word;
			if (c->nwords == 1) {
				c->verb = word;
				c->cmd = cli_command(word);
				if (!c->cmd)
					c->cmd = cli_op_command(word);
			} else if (c->nwords == 2) {
				c->ref = word;
			}
		} else if (!strcmp(word, "--")) {
			break;
		} else if (word[1] == '-') {
			r = long_option(c, argv, &i);
		} else {
			r = short_options(c, argv, &i);
		}
	}
	if (r || i >= argc)
		return r;
	/* What follows "--": CMD for the verbs that run one, else words. */
	if (c->cmd && c->cmd->tail && c->nwords >= 2) {
		c->tail = argv + i + 1;
		return *c->tail ? 0 : cli_usage(c, "a command is missing after --");
	}
	for (i++; i < argc; i++) {
		c->word[c->nwords++] = argv[i];
		if (c->nwords == 1) {
			c->verb = argv[i];
			c->cmd = cli_command(argv[i]) ? cli_command(argv[i])
						      : cli_op_command(argv[i]);
		} else if (c->nwords == 2) {
			c->ref = argv[i];
		}
	}
	return 0;
}

/* ---- meaning ---------------------------------------------------------------------------- */

static int set_duration(struct cli *c, const char *name, const char *value, int64_t *ret)
{
	if (ipk_parse_duration(value, strlen(value), ret) < 0 || *ret < 0)
		return cli_usage(c,
				 "--%s wants a duration such as 250us, 20ms, 2s or 1m, got \"%s\"",
				 name, value);
	return 0;
}

static int set_color(struct cli *c, const char *value)
{
	if (!strcmp(value, "auto"))
		c->opt.color = CLI_COLOR_AUTO;
	else if (!strcmp(value, "always"))
		c->opt.color = CLI_COLOR_ALWAYS;
	else if (!strcmp(value, "never"))
		c->opt.color = CLI_COLOR_NEVER;
	else
		return cli_usage(c, "--color wants auto, always or never, got \"%s\"", value);
	return 0;
}

static int set_flag(struct cli_options *o, const char *name)
{
	static const struct {
		const char *name;
		size_t offset;
	} flags[] = {
		{"json", offsetof(struct cli_options, json)},
		{"raw", offsetof(struct cli_options, raw)},
		{"null", offsetof(struct cli_options, null)},
		{"noheadings", offsetof(struct cli_options, noheadings)},
		{"bytes", offsetof(struct cli_options, bytes)},
		{"quiet", offsetof(struct cli_options, quiet)},
		{"verbose", offsetof(struct cli_options, verbose)},
		{"yes", offsetof(struct cli_options, yes)},
		{"dry-run", offsetof(struct cli_options, dry_run)},
		{"long", offsetof(struct cli_options, longer)},
		{"follow", offsetof(struct cli_options, follow)},
		{"meta", offsetof(struct cli_options, meta)},
	};
	unsigned i;

	if (!strcmp(name, "pretty"))
		o->pretty = o->json = true;
	for (i = 0; i < CLI_ARRAY_LEN(flags); i++)
		if (!strcmp(flags[i].name, name))
			*(bool *)((char *)o + flags[i].offset) = true;
	if (!strcmp(name, "nowait"))
		o->timeout = 0;
	return 0;
}

static int apply(struct cli *c, const struct cli_given *g)
{
	const char *val = g->value;

	if (!val)
		return set_flag(&c->opt, g->name);
	if (!strcmp(g->name, "timeout"))
		return set_duration(c, "timeout", val, &c->opt.timeout);
	if (!strcmp(g->name, "interval")) {
		if (set_duration(c, "interval", val, &c->opt.interval))
			return CLI_USAGE;
		return c->opt.interval ? 0 : cli_usage(c, "--interval must not be 0");
	}
	if (!strcmp(g->name, "columns"))
		c->opt.columns = val;
	if (!strcmp(g->name, "type"))
		c->opt.type = val;
	if (!strcmp(g->name, "color"))
		return set_color(c, val);
	if (!strcmp(g->name, "count")) {
		c->opt.count_given = true;
		if (ipk_parse_size(val, strlen(val), &c->opt.count) < 0 ||
		    c->opt.count == UINT64_MAX)
			return cli_usage(c, "-n wants a count, got \"%s\"", val);
	}
	if (!strcmp(g->name, "frame")) {
		c->opt.frame = true;
		if (strcmp(val, "u32"))
			return cli_usage(c, "--frame knows u32 only, got \"%s\"", val);
	}
	return 0;
}

static bool allowed(struct cli *c, const struct cli_given *g)
{
	const struct cli_option *o = by_name(g->name);

	if (o && (o->common || cli_listed(c->cmd->options, g->name)))
		return true;
	if (c->cmd->makes && find_arg(ipk_kind_by_name(c->cmd->makes)->params, g->name))
		return true;
	return kind_option(c->verb, g->name) != NULL;
}

static int mean(struct cli *c)
{
	unsigned i;
	int r;

	for (i = 0; i < c->ngiven; i++) {
		const struct cli_option *o = by_name(c->given[i].name);

		if (c->cmd && !allowed(c, &c->given[i]))
			return unknown_option(c, c->given[i].name);
		r = o ? apply(c, &c->given[i]) : 0;
		if (r)
			return r;
	}
	if (c->opt.frame && !c->opt.raw)
		return cli_usage(c, "--frame goes with --raw");
	if (c->opt.raw && c->opt.null)
		return cli_usage(c, "--raw and --null exclude each other");
	return -1;
}

/* 0 or more: an exit status, all is said and done; -1: run c->cmd. */
int cli_parse(struct cli *c, int argc, char **argv)
{
	size_t room = 1;
	bool help;
	int r, i;

	for (i = 1; i < argc; i++)
		room += argv[i][0] == '-' && argv[i][1] != '-' ? strlen(argv[i]) : 1;
	c->given = calloc(room, sizeof(*c->given));
	c->word = calloc((size_t)argc + 1, sizeof(*c->word));
	if (!c->given || !c->word)
		return cli_fail(c, CLI_SPACE, -ENOMEM, "out of memory");
	/* Errors of the command line itself are JSON too. */
	for (i = 1; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], "-j") || !strcmp(argv[i], "--json"))
			c->opt.json = true;
	r = split(c, argc, argv);
	if (r)
		return r;
	if (cli_given(c, "version")) {
		cli_printf(c, "ipcctl %s\n", IPK_VERSION);
		return 0;
	}
	help = cli_given(c, "help") != NULL;
	if (help && c->cmd) {
		c->word[1] = c->word[0];
		c->nwords = 2;
		c->cmd = cli_command("help");
	} else if (help && !c->verb) {
		c->verb = "help";
		c->cmd = cli_command("help");
		c->word[0] = (char *)"help";
		c->nwords = 1;
	}
	r = help && c->cmd ? -1 : mean(c);
	if (c->nwords > 0) {
		memmove(c->word, c->word + 1, (size_t)c->nwords * sizeof(*c->word));
		c->nwords--;
	}
	return r;
}
