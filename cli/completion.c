/* SPDX-License-Identifier: MIT */
/*
 * Completion. The scripts know nothing: they ask "ipcctl complete -- WORDS", which walks the tables
 * and the live segments, so they never grow old.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* Words as they are meant, without backslashes; a reply is what stands behind the last : or =. */
static const char bash[] =
	"_ipcctl() {\n"
	"	local line=${COMP_LINE:0:COMP_POINT} cur cut= reply words\n"
	"	IFS=$' \\t\\n' read -a words <<<\"$line\"\n"
	"	[[ $line != *[!\\\\][[:blank:]] ]] || words+=('')\n"
	"	cur=${words[-1]}\n"
	"	[[ $cur != *[:=]* || $COMP_WORDBREAKS != *:* ]] || cut=${cur%\"${cur##*[:=]}\"}\n"
	"	COMPREPLY=()\n"
	"	while IFS= read -r reply; do\n"
	"		printf -v reply %q \"${reply#\"$cut\"}\"\n"
	"		COMPREPLY+=(\"$reply\")\n"
	"	done < <(\"${COMP_WORDS[0]}\" complete -- \"${words[@]:1}\" 2>/dev/null)\n"
	"	[[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == */ ]] && compopt -o nospace\n"
	"	[[ ${#COMPREPLY[@]} -gt 0 ]] || compopt -o default\n"
	"}\n"
	"complete -F _ipcctl ipcctl\n";

static const char zsh[] = "#compdef ipcctl\n"
			  "_ipcctl() {\n"
			  "	local -a all dirs rest\n"
			  "	all=(\"${(@f)$(${words[1]} complete -- \"${(@Q)words[2,CURRENT]}\" "
			  "2>/dev/null)}\")\n"
			  "	dirs=(${(M)all:#*/})\n"
			  "	rest=(${all:#*/})\n"
			  "	(( $#dirs )) && compadd -S '' -a dirs\n"
			  "	(( $#rest )) && compadd -a rest\n"
			  "	(( $#dirs + $#rest )) || _files\n"
			  "}\n"
			  "if [ \"$funcstack[1]\" = _ipcctl ]; then _ipcctl \"$@\"; else compdef "
			  "_ipcctl ipcctl; fi\n";

static const char fish[] =
	"function __ipcctl_complete\n"
	"	set -l words (commandline -opc)\n"
	"	set -l word (commandline -ct | string unescape)\n"
	"	set -l all ($words[1] complete -- $words[2..-1] \"$word\" 2>/dev/null)\n"
	"	if set -q all[1]\n"
	"		printf '%s\\n' $all\n"
	"	else\n"
	"		__fish_complete_path (commandline -ct)\n"
	"	end\n"
	"end\n"
	"complete -c ipcctl -f -a '(__ipcctl_complete)'\n";

int cli_completion(struct cli *c)
{
	const char *shell = c->word[0];

	c->ref = NULL;
	if (!strcmp(shell, "bash"))
		cli_puts(c, bash);
	else if (!strcmp(shell, "zsh"))
		cli_puts(c, zsh);
	else if (!strcmp(shell, "fish"))
		cli_puts(c, fish);
	else
		return cli_usage(c, "knows bash, zsh and fish, not \"%s\"", shell);
	return 0;
}

/* ---- complete --------------------------------------------------------------------------- */

struct offer {
	struct cli *c;
	const char *word;   /* what was typed so far */
	const char *prefix; /* of every offer, "SEG/" */
	const char *end;
	const char *verb; /* NULL: objects of all kinds are meant, else of those that have it */
};

static void offer(const struct offer *o, const char *name)
{
	char full[256];
	int n = snprintf(full, sizeof(full), "%s%s", o->prefix, name);

	if (n > 0 && n < (int)sizeof(full) && !strncmp(full, o->word, strlen(o->word)))
		cli_printf(o->c, "%s%s\n", full, o->end);
}

static void offer_verb(void *arg, const char *verb)
{
	offer(arg, verb);
}

static int offer_object(void *arg, const struct ipk_object_view *ov)
{
	struct offer *o = arg;
	const struct ipk_kind *kind = ipk_kind_by_id(ov->kind);

	if (o->verb && kind && !ipk_kind_op(kind, o->verb))
		return 0;
	/* Every object has a slash behind it where its kind has keys: KEY may follow. */
	offer(o, ov->name);
	return 0;
}

struct key_offer {
	struct offer o;
	const struct cli_object *ob;
	unsigned left;
};

static int offer_key(void *arg, const struct ipk_item *item)
{
	struct key_offer *k = arg;
	struct ipk_buf b = {0};
	const void *key;
	size_t len;
	const struct ipk_type *type = cli_key_of(k->ob, item, &key, &len);

	if (!k->left--)
		return 1;
	if (type && ipk_value_print(type, key, len, 0, &b) == 0 && !memchr(b.data, '\n', b.len) &&
	    ipk_buf_add(&b, "", 1) == 0)
		offer(&k->o, b.data);
	ipk_buf_free(&b);
	return 0;
}

static void complete_keys(struct cli *c, const char *word, struct cli_object *ob)
{
	struct key_offer k = {.o = {.c = c, .word = word, .end = ""}, .ob = ob, .left = 10000};
	char prefix[4200];

	if (!ob->kind || !(ob->kind->flags & IPK_KIND_KEYED) || !ob->kind->items)
		return;
	snprintf(prefix, sizeof(prefix), "%s/%s/", ob->ref.segment, ob->ref.object);
	k.o.prefix = prefix;
	ob->kind->items(&ob->o, 0, UINT64_MAX, offer_key, &k);
}

/* verb: of kinds alone, or NULL */
static void complete_ref(struct cli *c, const char *word, const char *verb)
{
	struct offer o = {.c = c, .word = word, .prefix = "", .end = "", .verb = verb};
	const char *slash = strchr(word, '/');
	struct cli_object ob = {0};
	char segment[80], **names;
	size_t n, i;

	if (!slash) {
		if (cli_segments(c, &names, &n))
			return;
		o.end = "/";
		for (i = 0; i < n; i++)
			offer(&o, names[i]);
		cli_names_free(names, n);
		return;
	}
	if (slash == word || word[0] == '.' || slash - word > 64)
		return; /* a path: the shell completes files */
	if (strchr(slash + 1, '/')) {
		if (ipk_ref_parse(word, &ob.ref, NULL) == 0 && cli_find(&ob, NULL) == 0 && ob.found)
			complete_keys(c, word, &ob);
		cli_close(&ob);
		return;
	}
	snprintf(segment, sizeof(segment), "%.*s", (int)(slash - word), word);
	ob.ref.segment = strdup(segment);
	if (ob.ref.segment && cli_find(&ob, NULL) == 0) {
		segment[slash - word] = '/';
		segment[slash - word + 1] = '\0';
		o.prefix = segment;
		ipk_view_objects(ob.view, offer_object, &o);
	}
	cli_close(&ob);
}

static void complete_args(struct offer *o, const struct ipk_arg *arg)
{
	for (; arg && arg->type != IPK_ARG_END; arg++)
		if (!arg->positional)
			offer(o, arg->name);
}

static void complete_option(struct cli *c, const char *word, const struct cli_command *cmd)
{
	struct offer o = {.c = c, .word = word, .prefix = "--", .end = ""};
	const struct cli_option *opt;
	int k;

	for (opt = cli_options; opt->name; opt++)
		if (opt->common || (cmd && cli_listed(cmd->options, opt->name)))
			offer(&o, opt->name);
	for (k = 0; cmd && ipk_kinds[k]; k++) {
		const struct ipk_op *op = ipk_kind_op(ipk_kinds[k], cmd->name);

		if (!strcmp(cmd->name, "new"))
			complete_args(&o, ipk_kinds[k]->params);
		if (op)
			complete_args(&o, op->args);
		if (cmd->makes && !strcmp(cmd->makes, ipk_kinds[k]->name))
			complete_args(&o, ipk_kinds[k]->params);
	}
}

/* Each of list, which are separated by blanks or '|'. */
static void offer_list(const struct offer *o, const char *list)
{
	char name[64];

	while (list && *list) {
		size_t len = strcspn(list, " |");

		snprintf(name, sizeof(name), "%.*s", (int)len, list);
		offer(o, name);
		list += len + (list[len] != '\0');
	}
}

/* The value of an option, from which "--NAME=" may be in front. */
static void complete_value(struct cli *c, const char *word, const char *name, const char *prefix)
{
	static const char types[] = "bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 str bytes json";
	static const struct {
		const char *name, *list;
	} known[] = {
		{"color", "auto always never"}, {"frame", "u32"}, {"huge", "2M 1G"},
		{"type", types},                {"key", types},
	};
	struct offer o = {.c = c, .word = word, .prefix = prefix, .end = ""};
	const struct ipk_arg *arg = cli_kind_option(name);
	unsigned i;

	for (i = 0; i < CLI_ARRAY_LEN(known); i++)
		if (!strcmp(known[i].name, name))
			offer_list(&o, known[i].list);
	if (arg && arg->type == IPK_ARG_WORD)
		offer_list(&o, arg->words);
}

static void complete_verb(struct cli *c, const char *word)
{
	struct offer o = {.c = c, .word = word, .prefix = "", .end = ""};
	const struct cli_command *cmd;

	for (cmd = cli_commands; cmd->name; cmd++)
		if (!cmd->hidden)
			offer(&o, cmd->name);
	cli_each_op(offer_verb, &o);
}

static void complete_word(struct cli *c, const char *verb, int at, const char *word)
{
	struct offer o = {.c = c, .word = word, .prefix = "", .end = ""};
	const struct cli_command *cmd = cli_command(verb);
	bool help = !strcmp(verb, "help");
	int k;

	if (help && at == 1)
		complete_verb(c, word);
	if ((help && at == 1) || (!strcmp(verb, "new") && at == 2)) {
		for (k = 0; ipk_kinds[k]; k++)
			offer(&o, ipk_kinds[k]->name);
	} else if (!strcmp(verb, "completion")) {
		offer(&o, "bash");
		offer(&o, "zsh");
		offer(&o, "fish");
	} else if (cmd && (!cmd->max || !strncmp(cmd->args, "DIR", 3) ||
			   !strncmp(cmd->args, "FILE", 4) || !strcmp(verb, "bench"))) {
		return; /* the shell completes files */
	} else if (at == 1 || !strcmp(verb, "rm") || !strcmp(verb, "select") ||
		   (at == 2 && (!strcmp(verb, "cp") || !strcmp(verb, "derive")))) {
		complete_ref(c, word, cmd ? NULL : verb);
	}
}

int cli_complete(struct cli *c)
{
	const struct cli_command *cmd = NULL;
	struct offer o = {.c = c, .prefix = "", .end = ""};
	const char *verb = NULL, *word, *option = NULL, *equals;
	char name[64];
	int i, at = 0;

	c->opt.quiet = true;
	if (!c->nwords)
		return 0;
	word = c->word[c->nwords - 1];
	o.word = word;
	for (i = 0; i + 1 < c->nwords; i++) {
		/* A command's words are the shell's to complete. */
		if (!strcmp(c->word[i], "--") && cmd && cmd->tail)
			return 0;
		if (option) {
			option = NULL; /* this word is its value */
			continue;
		}
		if (c->word[i][0] == '-' && c->word[i][1]) {
			option = cli_takes_value(c->word[i]);
			continue;
		}
		if (!verb) {
			verb = c->word[i];
			cmd = cli_command(verb) ? cli_command(verb) : cli_op_command(verb);
		}
		at++;
	}
	equals = strncmp(word, "--", 2) ? NULL : strchr(word, '=');
	if (equals && equals - word < (int)sizeof(name)) {
		snprintf(name, sizeof(name), "%.*s", (int)(equals - word), word);
		option = cli_takes_value(name);
		snprintf(name, sizeof(name), "%.*s", (int)(equals - word) + 1, word);
		if (option)
			complete_value(c, word, option, name);
		return 0;
	}
	if (option) {
		complete_value(c, word, option, "");
		return 0;
	}
	if (cmd && cmd->tail && at > 1)
		offer(&o, "--");
	if (word[0] == '-')
		complete_option(c, word, cmd);
	else if (!verb)
		complete_verb(c, word);
	else
		complete_word(c, verb, at, word);
	return 0;
}
