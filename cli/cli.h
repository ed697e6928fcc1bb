/* SPDX-License-Identifier: MIT */
/*
 * What the files of the command line share. One run of a verb is one struct cli: parsed by
 * options.c into plain data, handed to the verb's exec, which answers with an exit status. Whoever
 * returns a status other than 0 has already said why (error.c). Only include/ipk is used: a new
 * kind shows up here by itself, through the descriptor table.
 */
#ifndef IPK_CLI_H
#define IPK_CLI_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipk/error.h"
#include "ipk/kind.h"
#include "ipk/render.h"
#include "ipk/segment.h"
#include "ipk/type.h"
#include "ipk/view.h"

#define CLI_ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* ---- exit statuses: the table of ipcctl(1) ---------------------------------------------- */

enum cli_exit {
	CLI_DONE = 0,
	CLI_NO = 1, /* a negative answer */
	CLI_USAGE = 2,
	CLI_ABSENT = 3,
	CLI_EXISTS = 4,
	CLI_BLOCKED = 5,
	CLI_WRONG = 6,
	CLI_CORRUPT = 7,
	CLI_PERMISSION = 8,
	CLI_OWNER_DIED = 9,
	CLI_CLOSED = 10,
	CLI_SPACE = 11,
	CLI_BUG = 70,
	CLI_TIMEOUT = 124,
	CLI_CANNOT_RUN = 126,
	CLI_NOT_FOUND = 127,
	CLI_INTERRUPTED = 130,
};

struct cli_exit_text {
	int code;
	const char *text;
};
extern const struct cli_exit_text cli_exits[]; /* ends with text NULL */

/* ---- one run ---------------------------------------------------------------------------- */

enum cli_color { CLI_COLOR_AUTO, CLI_COLOR_ALWAYS, CLI_COLOR_NEVER };

struct cli_options {
	bool json, pretty, raw, null, frame;
	bool noheadings, bytes, quiet, verbose, yes, dry_run;
	bool longer, follow, meta;
	enum cli_color color;
	const char *columns; /* -o, or NULL */
	const char *type;    /* --type, or NULL */
	bool count_given;
	uint64_t count;   /* -n */
	int64_t timeout;  /* ns; <0: for ever; 0: --nowait */
	int64_t interval; /* -i, ns; 0: not given */
};

struct cli_given {         /* an option as it was given */
	const char *name;  /* without dashes */
	const char *value; /* NULL for a flag */
};

struct cli_command;
struct cli_out;

struct cli {
	const struct cli_command *cmd;
	const char *verb;
	const char *ref; /* for messages; NULL: none yet */
	struct cli_options opt;
	struct cli_given *given; /* options that are not in opt */
	unsigned ngiven;
	char **word; /* words after the verb */
	int nwords;
	char **tail;       /* words after "--", or NULL */
	const char *where; /* batch: "FILE:LINE", else NULL */
	struct cli_out *out;
	bool stdin_taken; /* batch reads its commands from it */
	bool drain;       /* empty is the end */
};

/* Parses and runs one command line; argv[0] is skipped. base: defaults of options, or NULL. */
int cli_run(int argc, char **argv, const struct cli *parent, const char *where);

/* ---- commands (command.c) --------------------------------------------------------------- */

struct cli_command {
	const char *name;
	const char *args;    /* usage after the verb */
	const char *summary; /* one line, lower case, no stop */
	const char *text;    /* a paragraph for help and man page, or NULL */
	const char *example; /* shell, runs after: ipcctl new -P S/x KIND */
	const char *options; /* names of the options it takes besides the common ones */
	const char *makes;   /* a kind, whose options at creation it takes too */
	int min, max;        /* words after the verb; max <0: any number */
	bool tail;           /* "-- CMD" may follow */
	bool many;           /* further REFs may follow, each may be REF=VALUE */
	bool hidden;
	int (*exec)(struct cli *c);
};
extern const struct cli_command cli_commands[]; /* ends with name NULL */
const struct cli_command *cli_command(const char *name);

/* The command that runs an operation of the kinds, or NULL when none has one of that name. */
const struct cli_command *cli_op_command(const char *verb);
/* Calls fn once for each verb that only kinds have. */
void cli_each_op(void (*fn)(void *arg, const char *verb), void *arg);

void cli_op_usage(const struct ipk_op *op, char buf[256]);
/* A positional argument's name as usage has it. */
void cli_arg_shown(const struct ipk_arg *arg, char buf[32]);
bool cli_op_needs_cmd(const struct ipk_op *op);
/* False: an option of operations that one with these flags does not take. */
bool cli_op_takes(unsigned flags, const char *name);

int cli_new(struct cli *c);
int cli_rm(struct cli *c);
int cli_grow(struct cli *c);
int cli_mv(struct cli *c);
int cli_cp(struct cli *c);
int cli_ls(struct cli *c);
int cli_tree(struct cli *c);
int cli_show(struct cli *c);
int cli_get(struct cli *c);
int cli_peek(struct cli *c);
int cli_keys(struct cli *c);
int cli_has(struct cli *c);
int cli_dump(struct cli *c);
int cli_load(struct cli *c);
int cli_drain(struct cli *c);
int cli_op(struct cli *c);
int cli_op_many(struct cli *c);
int cli_wait(struct cli *c);
int cli_derive(struct cli *c);
extern const char cli_derive_text[];
int cli_who(struct cli *c);
int cli_stat(struct cli *c);
int cli_fsck(struct cli *c);
int cli_gc(struct cli *c);
int cli_hexdump(struct cli *c);
int cli_batch(struct cli *c);
int cli_bench(struct cli *c);
int cli_mount(struct cli *c);
int cli_umount(struct cli *c);
int cli_help(struct cli *c);
int cli_schema(struct cli *c);
/* What help says of a verb or a kind, as JSON. */
void cli_schema_verb(struct cli *c, const struct cli_command *cmd);
void cli_schema_kind(struct cli *c, const struct ipk_kind *kind);
int cli_completion(struct cli *c);
int cli_complete(struct cli *c);

/* ---- options (options.c) ---------------------------------------------------------------- */

struct cli_option {
	const char *name;
	char letter;     /* or 0 */
	bool common;     /* every verb takes it */
	const char *arg; /* what its value is called, NULL: a flag */
	const char *help;
};
extern const struct cli_option cli_options[]; /* ends with name NULL */

/* Splits argv into c; sets c->verb and what is in opt. 0 or an exit status. */
int cli_parse(struct cli *c, int argc, char **argv);
/* An option's value; "" for a flag; NULL when it was not given. */
const char *cli_given(const struct cli *c, const char *name);
bool cli_is_common(const char *name);
/* An option that kinds alone know, of any verb and of creation, or NULL. */
const struct ipk_arg *cli_kind_option(const char *name);
/* The name of the option whose value is the word that follows this one, or NULL. */
const char *cli_takes_value(const char *word);
/* True when list, names separated by blanks, holds name. */
bool cli_listed(const char *list, const char *name);
int cli_usage(struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- errors (error.c) ------------------------------------------------------------------- */

int cli_exit_of(int code); /* of a -errno of the library */
/* Says "ipcctl: VERB REF: text" on stderr, as JSON with -j, and returns status. */
int cli_fail(struct cli *c, int status, int code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* The library's failure: err's sentence, or that of code. err may be NULL. */
int cli_fail_code(struct cli *c, int code, const struct ipk_error *err);
void cli_note(struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Appends text with control characters and what is not UTF-8 escaped as \xNN. */
int cli_escape(struct ipk_buf *buf, const char *text, size_t len);

/* ---- suggestions (suggest.c) ------------------------------------------------------------ */

struct cli_suggest {
	const char *wanted;
	const char *prefix; /* stands before what is suggested */
	unsigned distance;
	char best[64];
};
void cli_suggest_init(struct cli_suggest *s, const char *wanted);
void cli_suggest_try(struct cli_suggest *s, const char *name);
/* "; did you mean \"push\"?" or "" */
const char *cli_suggest_text(const struct cli_suggest *s, char buf[96]);

/* ---- interruption (main.c) -------------------------------------------------------------- */

bool cli_interrupted(void);
void cli_guard_stdin(void);               /* from now on a signal ends reads of standard input */
void cli_forward_signals(int pid);        /* 0: no longer */
int cli_sleep(struct cli *c, int64_t ns); /* 0, or CLI_INTERRUPTED */

/* ---- output (output.c) ------------------------------------------------------------------ */

struct cli_out {
	struct ipk_buf buf;
	int fd;
	bool tty;
	bool hold; /* records go out by cli_flush() alone */
	bool said; /* the error was reported */
	int error; /* first -errno of writing */
};
extern struct cli_out cli_stdout;
void cli_out_init(void);
void cli_put(struct cli *c, const void *data, size_t len);
void cli_puts(struct cli *c, const char *text);
void cli_printf(struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void cli_name(struct cli *c, const char *name); /* escaped on a terminal */
void cli_end_record(
	struct cli *c);       /* a line is complete: flushed now on a terminal, else by block */
int cli_flush(struct cli *c); /* 0 or -errno */
int cli_flush_status(struct cli *c); /* 0 or an exit status, said once */
bool cli_colored(const struct cli *c);
/* One JSON record: made compact, printed as -p wants it, with a newline (or NUL). */
void cli_json(struct cli *c, const char *text, size_t len);
/* A value as -j -r -0 --frame want it, with its end. */
void cli_value(struct cli *c, const struct ipk_type *type, const void *data, size_t len);
void cli_size_text(uint64_t size, bool exact, char buf[24]);
void cli_time_text(uint64_t realtime_ns, char buf[40]);

/*
 * Fields of a record, as text lines "key value" or as a JSON object: those that -o names, or all.
 * With --noheadings text is the values alone.
 */
struct cli_record {
	struct ipk_visitor visitor; /* pass &r.visitor to whoever visits */
	struct ipk_render render;
	struct ipk_buf buf;
	struct cli *c;
	const char *columns; /* of -o; NULL: all */
	uint64_t found;      /* bit n: its nth name is a field */
};
void cli_record_begin(struct cli_record *r, struct cli *c);
/* A field that is an element. */
int cli_record_value(struct cli_record *r, const char *name, const struct ipk_type *type,
		     const void *data, size_t len);
/* Prints it. 0, or says that -o named what is no field: an exit status. */
int cli_record_end(struct cli_record *r);
void cli_record_drop(struct cli_record *r); /* instead of end: nothing is printed */

/* JSON text: appends ,"name":value to an object that began with {"v":1 */
void cli_json_u64(struct ipk_buf *b, const char *name, uint64_t val);
void cli_json_bool(struct ipk_buf *b, const char *name, bool val);
void cli_json_str(struct ipk_buf *b, const char *name, const char *val); /* NULL: null */

/* ---- tables (table.c) ------------------------------------------------------------------- */

#define CLI_COL_RIGHT 1u
#define CLI_COL_LONG 2u /* shown with -l, or by -o */
#define CLI_COL_MAX 20

struct cli_column {
	const char *name; /* heading; in lower case the JSON key */
	unsigned flags;
};

struct cli_cell {
	enum {
		CLI_CELL_NULL,
		CLI_CELL_STR,
		CLI_CELL_JSON, /* with -j alone: str as it stands */
		CLI_CELL_U64,
		CLI_CELL_SIZE,
		CLI_CELL_BOOL,
	} type;
	uint64_t num;
	char *str;
};

struct cli_table {
	struct cli *c;
	const struct cli_column *col;
	unsigned ncols;
	unsigned shown[CLI_COL_MAX], nshown;
	bool sort;             /* by the first column */
	struct cli_cell *cell; /* ncols for each row */
	size_t nrows, cap;
};
int cli_table_begin(struct cli_table *t, struct cli *c, const struct cli_column *col,
		    unsigned ncols);
int cli_table_row(struct cli_table *t); /* a new row of nulls; 0 or an exit status */
void cli_cell_str(struct cli_table *t, unsigned col, const char *val);
void cli_cell_u64(struct cli_table *t, unsigned col, uint64_t val);
void cli_cell_size(struct cli_table *t, unsigned col, uint64_t val);
void cli_cell_bool(struct cli_table *t, unsigned col, bool val);
void cli_cell_value(struct cli_table *t, unsigned col, const struct ipk_type *type,
		    const void *data, size_t len);
void cli_table_end(struct cli_table *t); /* prints and frees */
void cli_table_free(struct cli_table *t);

/* ---- what a REF names (object.c) -------------------------------------------------------- */

struct cli_object {
	struct ipk_ref ref;
	struct ipk_view *view; /* NULL: not opened */
	bool found;            /* o is filled */
	struct ipk_object_view o;
	const struct ipk_kind *kind; /* NULL: unknown to this program */
	struct ipk_type *type, *key_type;
	struct ipk_segment *seg; /* attached, with cli_attach() */
	void *handle;
};
/*
 * The key of an item and its type; NULL: it has a position. The items of a set are their own keys.
 * item NULL: the type alone.
 */
const struct ipk_type *cli_key_of(const struct cli_object *ob, const struct ipk_item *item,
				  const void **ret_key, size_t *ret_len);

#define CLI_REF_SEGMENT 1u /* SEG alone is right */
#define CLI_REF_OBJECT 2u  /* SEG/OBJ is right */
#define CLI_REF_KEY 4u     /* SEG/OBJ/KEY is right */
/* Parses text and opens what it names for reading. allowed: what shapes the verb takes. */
int cli_open(struct cli *c, const char *text, unsigned allowed, struct cli_object *ret_ob);
/* Parses only, and checks the shape. */
int cli_ref(struct cli *c, const char *text, unsigned allowed, struct ipk_ref *ret_ref);
/* Attaches to what cli_open() found; mode as for ipk_segment_open(), unless ob->seg is there. */
int cli_attach(struct cli *c, struct cli_object *ob, unsigned mode);
/* What is wrong with the key of ob.ref, by the code that looking for it gave. */
int cli_key_error(struct cli *c, struct cli_object *ob, int r);
int cli_no_key(struct cli *c, const struct cli_object *ob); /* says so; an exit status */
void cli_close(struct cli_object *ob);
/* Finds the object of ob's ref again or for the first time; -ENOENT and the like are not said. */
int cli_find(struct cli_object *ob, struct ipk_error *err);
int cli_segments(struct cli *c, char ***ret_names, size_t *ret_n); /* sorted */
void cli_names_free(char **names, size_t n);
/* "a" or "an", as a kind's name is spoken */
const char *cli_article(const char *kind);
/* "a queue", "an array" */
const char *cli_a_kind(const struct cli_object *ob, char buf[40]);
const char *cli_kind_name(uint16_t id, char buf[24]);

/* Fields of a segment or an object, in the order in which show has them. */
int cli_fields(struct cli_object *ob, struct ipk_visitor *v);

struct cli_field {
	char text[256]; /* as it is printed */
	bool number, negative;
	uint64_t num; /* its magnitude; true is 1 */
};

/* One of them. -ENOENT: there is none of that name. */
int cli_field(struct cli_object *ob, const char *name, struct cli_field *ret);

/* ---- values in (input.c) ---------------------------------------------------------------- */

struct cli_input {
	struct cli *c;
	const struct ipk_type *type;
	unsigned flags; /* IPK_VALUE_JSON */
	/* values given as words, parsed */
	struct ipk_buf values;
	struct ipk_item *items;
	size_t nitems, at;
	/* or a stream */
	int fd; /* -1: words */
	char *buf;
	size_t start, end, cap;
	bool eof;
	uint64_t line; /* records read */
	int error;     /* to be reported when the values before it are gone */
	struct ipk_error err;
};
int cli_input_words(struct cli_input *in, struct cli *c, const struct ipk_type *type, char **word,
		    int n);
/* One value: all that a file holds, in text without its last newline. */
int cli_input_file(struct cli_input *in, struct cli *c, const struct ipk_type *type,
		   const char *path);
int cli_input_stream(struct cli_input *in, struct cli *c, const struct ipk_type *type, int fd);
/* The next record's text without its end: 1, 0 at the end, <0. wait: may read. */
int cli_input_record(struct cli_input *in, bool wait, const char **ret_text, size_t *ret_len);
int cli_input_next(struct cli_input *in, struct ipk_item *item, int max, struct ipk_error *err);
void cli_input_free(struct cli_input *in);

/* ---- running an operation (op.c, run.c) ----------------------------------------------------- */

/* What the library's callbacks need: call->tool. */
struct cli_tool {
	struct cli *c;
	struct cli_object *ob; /* of a MANY verb: the first of all */
	struct cli_input *in; /* NULL: the operation takes no values */
	bool command;         /* flush runs c->tail with what was emitted as its input */
	int status;           /* CMD's */
	bool ran;
};
/* Fills call for op on the attached ob: arguments, key, callbacks. words: after REF. Free
 * call->arg. */
int cli_call(struct cli_tool *t, const struct ipk_op *op, char **word, int n, struct ipk_call *call,
	     int *ret_used);
/* Says what a run came to. asked: how many values there were to go in, 0: unknown or none. */
int cli_call_status(struct cli_tool *t, const struct ipk_op *op, struct ipk_call *call, int r,
		    uint64_t asked);
/* The operation, or why there is none. */
int cli_needs_op(struct cli *c, const struct cli_object *ob, const char *verb,
		 const struct ipk_op **ret_op);
/* As ipk_render_item() has it; without a key and --meta a value in the form that was asked for. */
void cli_item(struct cli *c, const struct cli_object *ob, const struct ipk_item *item);
/* 0, or says that this program does not know the object's kind. */
int cli_known_kind(struct cli *c, const struct cli_object *ob);
/* Runs argv with input on its standard input (NULL: ours); returns its status as env(1) does. */
int cli_run_command(struct cli *c, char **argv, const void *input, size_t len);
/* run.c: struct ipk_call's command. -y runs a foreign one. */
int cli_run_shell(struct ipk_call *call, const char *text, bool foreign, struct ipk_buf *out);

/* dump.c: to c->out, bare: an object without items too; from fd, fresh: it must not be there yet.
 */
int cli_dump_object(struct cli *c, const char *text, bool bare);
int cli_load_object(struct cli *c, const char *text, int fd, bool fresh);

/* Calls fn for each member of a JSON object, with the texts as they stand. 0, -EINVAL, or what fn
 * said. */
int cli_members(const char *text, size_t len,
		int (*fn)(void *arg, const char *key, size_t klen, const char *val, size_t vlen),
		void *arg);
/* One value of a map record: {"key":K,"value":V} cut into its two texts. */
int cli_split_pair(const char *text, size_t len, const char **ret_key, size_t *ret_klen,
		   const char **ret_value, size_t *ret_vlen);

#endif
