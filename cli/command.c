/* SPDX-License-Identifier: MIT */
/*
 * The one table of commands, and the commands that come from the kinds' operations. Dispatch, help,
 * completion, schema and man pages all read these.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

const struct cli_command cli_commands[] = {
	{
		.name = "new",
		.args = "SEG | SEG/OBJ KIND [OPTIONS]",
		.summary = "make a segment, or an object in one",
		.example = "ipcctl new -P trading/orders queue --type '{u32 id; f64 px}' --cap 256",
		.options =
			"size max mode group huge numa sparse prefault lock if-absent parents key",
		.min = 1,
		.max = 2,
		.exec = cli_new,
	},
	{
		.name = "rm",
		.args = "REF...",
		.summary = "remove segments, objects, a map's keys or a set's values",
		.example = "ipcctl rm S/x",
		.options = "dry-run",
		.min = 1,
		.max = -1,
		.exec = cli_rm,
	},
	{
		.name = "grow",
		.args = "SEG SIZE",
		.summary = "grow a segment to at least SIZE now",
		.example = "ipcctl grow S 2MiB",
		.min = 2,
		.max = 2,
		.exec = cli_grow,
	},
	{
		.name = "ls",
		.args = "[SEG[/OBJ]]",
		.summary = "list segments, the objects of one, or the items of an object",
		.text = "BYTES is the block of the object itself, so that a listing costs the same "
			"whatever an object holds. What lies in blocks of its own (long strings, the "
			"table and the entries of a map, the values of a channel) is counted in the "
			"segment's USED.",
		.example = "ipcctl ls S -l",
		.options = "long",
		.min = 0,
		.max = 1,
		.exec = cli_ls,
	},
	{
		.name = "tree",
		.args = "[SEG[/OBJ]]",
		.summary = "draw segments and their objects",
		.example = "ipcctl tree",
		.min = 0,
		.max = 1,
		.exec = cli_tree,
	},
	{
		.name = "show",
		.args = "REF",
		.summary = "all fields of a segment, an object or an item",
		.example = "ipcctl show S/x",
		.min = 1,
		.max = 1,
		.exec = cli_show,
	},
	{
		.name = "get",
		.args = "SEG/OBJ[/KEY]",
		.summary = "print a value, a range of an array, or a whole array, map or set",
		.example = "ipcctl new -P S/a array --cap 4; ipcctl get S/a/0..2",
		.options = "meta",
		.min = 1,
		.max = 1,
		.exec = cli_get,
	},
	{
		.name = "peek",
		.args = "SEG/OBJ",
		.summary = "print what pop would give, and leave it there",
		.example = "ipcctl new -P S/q queue; ipcctl push S/q one two; ipcctl peek S/q -n 2",
		.options = "count meta",
		.min = 1,
		.max = 1,
		.exec = cli_peek,
	},
	{
		.name = "drain",
		.args = "SEG/OBJ",
		.summary = "pop all that is there now",
		.example = "ipcctl new -P S/q queue; ipcctl push S/q one two; ipcctl drain S/q",
		.options = "count meta",
		.min = 1,
		.max = 1,
		.exec = cli_drain,
	},
	{
		.name = "keys",
		.args = "SEG/OBJ",
		.summary = "print the keys of a map or the values of a set, a line each",
		.example = "ipcctl new -P S/m map; ipcctl set S/m/a 1; ipcctl keys S/m",
		.min = 1,
		.max = 1,
		.exec = cli_keys,
	},
	{
		.name = "has",
		.args = "SEG/OBJ VALUE | SEG/OBJ/KEY",
		.summary = "true and exit 0 when it is there, false and exit 1 when not",
		.example = "ipcctl new -P S/m map; ipcctl set S/m/a 1; ipcctl has S/m a",
		.min = 1,
		.max = 2,
		.exec = cli_has,
	},
	{
		.name = "dump",
		.args = "SEG/OBJ",
		.summary = "all values as JSON lines under a header with the schema",
		.example = "ipcctl new -P S/q queue; ipcctl push S/q one; ipcctl dump S/q",
		.min = 1,
		.max = 1,
		.exec = cli_dump,
	},
	{
		.name = "load",
		.args = "SEG/OBJ",
		.summary = "put in what dump wrote, from standard input; makes a missing object",
		.example = "ipcctl new -P S/q queue; ipcctl push S/q one; ipcctl dump S/q | ipcctl "
			   "load S/r",
		.min = 1,
		.max = 1,
		.exec = cli_load,
	},
	{
		.name = "mv",
		.args = "REF NAME",
		.summary = "rename a segment or an object",
		.example = "ipcctl new -P S/a array; ipcctl mv S/a b",
		.min = 2,
		.max = 2,
		.exec = cli_mv,
	},
	{
		.name = "cp",
		.args = "REF REF",
		.summary = "copy an object, or a segment, to a new name",
		.text = "Of each object its values are copied, and how it was made: not who holds, waits or "
			"subscribes, and not that it is closed or has failed.",
		.example = "ipcctl new -P S/q queue; ipcctl push S/q one; ipcctl cp S/q S/r",
		.min = 2,
		.max = 2,
		.exec = cli_cp,
	},
	{
		.name = "derive",
		.args = "SEG/OBJ SEG/STREAM 'PIPELINE' | --run SEG/OBJ",
		.summary = "make a stream from others by a pipeline, or compute it",
		.text = cli_derive_text,
		.example = "ipcctl new -P S/temps stream --type f64; ipcctl emit S/temps 29 31 32; "
			   "ipcctl derive S/hot S/temps 'filter($ > 30) | window(2) | mean'; "
			   "ipcctl derive --run S/hot --nowait; ipcctl sub S/hot --from-start -n 1",
		.options = "run count",
		.makes = "stream",
		.min = 1,
		.max = 3,
		.exec = cli_derive,
	},
	{
		.name = "wait",
		.args = "SEG[/OBJ] [--for 'FIELD<VALUE'] [--exists]",
		.summary = "wait until a field of show has a value, or until something exists",
		.text = "A condition is a field, one of < <= > >= = !=, and a value. Numbers take size "
			"suffixes; of what is true or false, true is 1. It reads alone, so that "
			"permission to read is enough, and looks again every 50 ms at the latest. "
			"Without --for and --exists it is the kind's own wait.",
		.example = "ipcctl new -P S/q queue; ipcctl wait S/q --for 'used<10' -t 1s",
		.options = "for exists",
		.min = 1,
		.max = 1,
		.exec = cli_wait,
	},
	{
		.name = "who",
		.args = "SEG[/OBJ]",
		.summary = "who is attached, or who holds and waits for an object",
		.text = "What a command holds (lock, acquire, claim) stands under the ipcctl that took it, "
			"and is alive as long as any process that inherited it, also when that ipcctl was "
			"killed. nobody is who took something without a command.",
		.example = "ipcctl who S",
		.options = "long",
		.min = 1,
		.max = 1,
		.exec = cli_who,
	},
	{
		.name = "stat",
		.args = "SEG[/OBJ]",
		.summary = "counters and positions, again each -i",
		.example = "ipcctl new -P S/q queue; ipcctl stat S/q",
		.options = "interval count",
		.min = 1,
		.max = 1,
		.exec = cli_stat,
	},
	{
		.name = "fsck",
		.args = "SEG[/OBJ] [--repair|--undo]",
		.summary = "check all structures; silent and exit 0 when all is well",
		.text = "--repair makes right what can be: a line for each thing done, then one for each "
			"finding that is left, and exit 0 when none is. It works on a private copy, "
			"saves what will change in a file beside the segment (FILE.undo, mode 0600), and "
			"only then writes; killed anywhere it can be run again. --undo puts the bytes "
			"back, unless they have been changed since (exit 4). While anybody is attached, or "
			"another repair is at work, both refuse with exit 5. Magic, version and layout are "
			"never guessed at: without them it exits 7.",
		.example = "ipcctl fsck S; ipcctl fsck S --repair --dry-run",
		.options = "repair undo dry-run",
		.min = 1,
		.max = 1,
		.exec = cli_fsck,
	},
	{
		.name = "gc",
		.args = "",
		.summary = "clear what dead processes left, in every segment",
		.example = "ipcctl gc --dry-run",
		.options = "dry-run",
		.min = 0,
		.max = 0,
		.exec = cli_gc,
	},
	{
		.name = "hexdump",
		.args = "SEG[/OBJ]",
		.summary = "the bytes of a segment or an object",
		.example = "ipcctl new -P S/a array --cap 4; ipcctl hexdump S/a --typed",
		.options = "typed",
		.min = 1,
		.max = 1,
		.exec = cli_hexdump,
	},
	{
		.name = "batch",
		.args = "FILE|-",
		.summary =
			"run commands from a file, quoted as in a shell; goes on after a failure",
		.example = "printf 'new -P S/q queue\\npush S/q one\\n' | ipcctl batch -",
		.min = 1,
		.max = 1,
		.exec = cli_batch,
	},
	{
		.name = "bench",
		.args = "[NAME]",
		.summary = "measure what this machine can do, and how close the structures come",
		.text = "-i says how long each row takes, -n how many producers there are at most.",
		.example = "ipcctl bench latency -i 10ms --json",
		.options = "interval count plot",
		.min = 0,
		.max = 1,
		.exec = cli_bench,
	},
	{
		.name = "mount",
		.args = "DIR [--rw] [--allow-other]",
		.summary = "show all segments as files in DIR; see ipcfs(1)",
		.example = "ipcctl mount ~/ipc",
		.options = "rw allow-other",
		.min = 1,
		.max = 1,
		.exec = cli_mount,
	},
	{
		.name = "umount",
		.args = "DIR",
		.summary = "end a mount",
		.example = "ipcctl umount ~/ipc",
		.min = 1,
		.max = 1,
		.exec = cli_umount,
	},
	{
		.name = "help",
		.args = "[VERB|KIND]",
		.summary = "how to use a verb, or what a kind is and does",
		.example = "ipcctl help queue",
		.min = 0,
		.max = 1,
		.exec = cli_help,
	},
	{
		.name = "schema",
		.args = "",
		.summary = "all verbs, options, kinds and exit statuses as JSON",
		.example = "ipcctl schema",
		.min = 0,
		.max = 0,
		.exec = cli_schema,
	},
	{
		.name = "completion",
		.args = "bash|zsh|fish",
		.summary = "print a completion script for a shell",
		.example = "ipcctl completion bash",
		.min = 1,
		.max = 1,
		.exec = cli_completion,
	},
	{
		.name = "complete",
		.args = "-- WORD...",
		.summary = "print what the last word may become",
		.min = 0,
		.max = -1,
		.hidden = true,
		.exec = cli_complete,
	},
	{0},
};

const struct cli_command *cli_command(const char *name)
{
	const struct cli_command *cmd;

	for (cmd = cli_commands; cmd->name; cmd++)
		if (!strcmp(cmd->name, name))
			return cmd;
	return NULL;
}

/* ---- commands of the kinds -------------------------------------------------------------- */

bool cli_op_needs_cmd(const struct ipk_op *op)
{
	return op->flags & IPK_OP_CMD && !(op->flags & IPK_OP_CMD_OPTIONAL);
}

void cli_arg_shown(const struct ipk_arg *arg, char buf[32])
{
	unsigned i;

	for (i = 0; i < 31 && arg->name[i]; i++)
		buf[i] = (char)toupper((unsigned char)arg->name[i]);
	buf[i] = '\0';
}

static void usage_of(const struct ipk_op *op, char *buf, size_t size)
{
	const struct ipk_arg *arg;
	char name[32];
	size_t at;

	at = (size_t)snprintf(buf, size, "SEG/OBJ%s",
			      op->flags & IPK_OP_KEY	? "/KEY"
			      : op->flags & IPK_OP_MANY ? "[=VALUE]..."
							: "");
	for (arg = op->args; arg && arg->type != IPK_ARG_END; arg++) {
		const char *value = arg->type == IPK_ARG_FLAG    ? ""
				    : arg->type == IPK_ARG_WORD  ? arg->words
				    : arg->type == IPK_ARG_VALUE ? "VALUE"
				    : arg->type == IPK_ARG_TEXT  ? "TEXT"
								 : "N";

		cli_arg_shown(arg, name);
		if (at >= size)
			return;
		if (arg->positional)
			at += (size_t)snprintf(buf + at, size - at, arg->value ? " [%s]" : " %s",
					       name);
		else
			at += (size_t)snprintf(buf + at, size - at, " [--%s%s%s]", arg->name,
					       *value ? " " : "", value);
	}
	if (at < size && op->flags & IPK_OP_IN)
		at += (size_t)snprintf(buf + at, size - at, " VALUE...|-");
	if (at < size && op->flags & IPK_OP_COUNT)
		at += (size_t)snprintf(buf + at, size - at, " [-n N]%s",
				       op->flags & IPK_OP_CONSUME ? " [--follow]" : "");
	if (at < size && op->flags & IPK_OP_CMD)
		snprintf(buf + at, size - at, cli_op_needs_cmd(op) ? " -- CMD" : " [-- CMD]");
}

void cli_op_usage(const struct ipk_op *op, char buf[256])
{
	usage_of(op, buf, 256);
}

/* Options that come of what an operation does. */
static const struct {
	const char *name;
	unsigned flags; /* all of them */
} op_options[] = {
	{"count", IPK_OP_COUNT},
	{"follow", IPK_OP_COUNT | IPK_OP_CONSUME},
	{"meta", IPK_OP_OUT},
	{"value-file", IPK_OP_IN},
};

bool cli_op_takes(unsigned flags, const char *name)
{
	for (unsigned i = 0; i < CLI_ARRAY_LEN(op_options); i++)
		if (!strcmp(op_options[i].name, name))
			return (flags & op_options[i].flags) == op_options[i].flags;
	return true;
}

const struct cli_command *cli_op_command(const char *verb)
{
	static struct cli_command cmd;
	static char args[256], options[128];
	const struct ipk_op *first = NULL;
	unsigned flags = 0, i;
	size_t at = 0;
	int k;

	for (k = 0; ipk_kinds[k]; k++) {
		const struct ipk_op *op = ipk_kind_op(ipk_kinds[k], verb);

		if (op && !first)
			first = op;
		if (op)
			flags |= op->flags;
	}
	if (!first)
		return NULL;
	usage_of(first, args, sizeof(args));
	options[0] = '\0';
	for (i = 0; i < CLI_ARRAY_LEN(op_options); i++)
		if (cli_op_takes(flags, op_options[i].name))
			at += (size_t)snprintf(options + at, sizeof(options) - at, "%s ",
					       op_options[i].name);
	cmd = (struct cli_command){
		.name = first->name,
		.args = args,
		.summary = first->summary,
		.example = first->example,
		.options = options,
		.min = 1,
		.max = -1,
		.tail = flags & IPK_OP_CMD,
		.many = flags & IPK_OP_MANY,
		.exec = flags & IPK_OP_MANY ? cli_op_many : cli_op,
	};
	return &cmd;
}

void cli_each_op(void (*fn)(void *arg, const char *verb), void *arg)
{
	int k, earlier;

	for (k = 0; ipk_kinds[k]; k++) {
		const struct ipk_op *op = ipk_kinds[k]->ops;

		for (; op && op->name; op++) {
			for (earlier = 0; earlier < k; earlier++)
				if (ipk_kind_op(ipk_kinds[earlier], op->name))
					break;
			if (earlier == k && !cli_command(op->name))
				fn(arg, op->name);
		}
	}
}
