/* SPDX-License-Identifier: MIT */
/*
 * The descriptor table: what tools need to know about each kind of structure. The command line, the
 * mount, completion, man pages, the checker and the tests walk it; a new kind is one file pair and
 * one line in core/kinds.def. C programs that know what they want do not go through it: they call
 * ipk_queue_push() directly.
 */
#ifndef IPK_KIND_H
#define IPK_KIND_H

#include "ipk/error.h"
#include "ipk/segment.h"
#include "ipk/type.h"
#include "ipk/view.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* ---- fields out: one visitor yields text and JSON ------------------------------------------- */

/* Every function returns 0 or a negative error that ends the walk. Names are stable JSON keys. */
struct ipk_visitor {
	int (*u64)(struct ipk_visitor *v, const char *name, uint64_t val);
	int (*i64)(struct ipk_visitor *v, const char *name, int64_t val);
	int (*boolean)(struct ipk_visitor *v, const char *name, bool val);
	int (*str)(struct ipk_visitor *v, const char *name, const char *val);
};

/* ---- items ----------------------------------------------------------------------------------- */

struct ipk_item {
	const void *data; /* the value's bytes */
	uint64_t len;
	const void *key; /* map: the key's bytes, of the key type; else NULL */
	uint64_t key_len;
	uint64_t pos; /* absolute position or index; KEYED kinds: order of iteration */
	uint64_t time; /* when it came in, CLOCK_REALTIME ns, where that is kept; else 0 */
	uint32_t redelivered; /* how often it was given back */
	bool leased; /* taken, not yet acknowledged */
	bool text; /* data is plain text, whatever the element type */
	const char *ref; /* MANY: the choice's ref, else NULL */
};

/* Called for each item; non-zero ends the iteration and is returned. */
typedef int ipk_item_fn(void *arg, const struct ipk_item *item);

/* ---- creation and verbs ---------------------------------------------------------------------- */

enum ipk_arg_type {
	IPK_ARG_END = 0,
	IPK_ARG_U64, /* size suffixes allowed */
	IPK_ARG_I64,
	IPK_ARG_VALUE, /* an element; parsed by the object's type */
	IPK_ARG_TYPE, /* a schema */
	IPK_ARG_WORD, /* one of words, separated by '|' */
	IPK_ARG_FLAG, /* present or not */
	IPK_ARG_TEXT, /* any text */
};

struct ipk_arg {
	const char *name; /* as an option: --name */
	enum ipk_arg_type type;
	uint64_t min, max; /* U64; max 0: none */
	const char *value; /* default as text, or NULL: must be given (positional) or absent (option) */
	const char *words; /* WORD */
	const char *help;
	bool positional;
};

/* A parsed argument; set is false when neither given nor defaulted. */
struct ipk_argval {
	bool set;
	uint64_t u64;
	int64_t i64;
	const char *text; /* VALUE: not yet parsed text; TYPE, WORD, TEXT */
	size_t len;
};

/* Parameters of a creation, in the order of kind->params. type and key are there for every kind. */
struct ipk_new {
	const struct ipk_kind *kind;
	struct ipk_type *type; /* element type */
	struct ipk_type *key; /* key type, or NULL */
	struct ipk_argval *param;
	struct ipk_segment *seg; /* in which it is to be: for size(), to look at what it refers to */
};

/* One of the objects that a MANY verb chooses from. */
struct ipk_choice {
	void *handle; /* what attach() gave; all of one attached segment */
	const char *ref; /* what the user calls it */
	bool given; /* REF=VALUE: value goes in */
	struct ipk_item value;
};

/*
 * One run of a verb. The tool fills it in; run() pulls items from next (values given as arguments
 * or lines of stdin, already parsed to bytes) and hands items to emit. Bulk goes in batches: next
 * gives what is there without waiting for more than the first. emit only buffers; flush makes sure
 * they were written, and run() acknowledges only after it: what could not be delivered goes back.
 */
struct ipk_call {
	struct ipk_segment *seg; /* attached for writing */
	void *handle; /* what attach() gave */
	const struct ipk_type *type, *key_type;
	const char *key; /* REF's KEY, or NULL */
	size_t key_len;
	const struct ipk_argval *arg; /* in the order of op->args */
	uint64_t count; /* -n; 0: not given (one); UINT64_MAX: --follow */
	int64_t timeout; /* ns each wait may last; <0: for ever; 0: --nowait */
	/* up to max items; 0: no more; <0: error (err is set). Pointers hold until the next call */
	int (*next)(struct ipk_call *call, struct ipk_item *item, int max);
	int (*emit)(struct ipk_call *call, const struct ipk_item *item);
	int (*flush)(struct ipk_call *call);
	/*
	 * Runs a command that the object holds, by sh -c as the tool's own user, and appends what
	 * it prints to out. foreign: another user may have written it. Below 0: with a reason in
	 * out, that it failed; without, that it was not run to its end (err may say why). NULL: it
	 * runs none
	 */
	int (*command)(struct ipk_call *call, const char *text, bool foreign, struct ipk_buf *out);
	uint64_t *place; /* PLACE op: in and out, where it reads on; UINT64_MAX: it begins. NULL: it does each time */
	bool hold; /* CMD op without OUT: a CMD follows that shall hold what is taken, as flock(1) does */
	int hold_fd; /* out, with hold: the holder's descriptor, which CMD inherits; closing it lets go */
	const struct ipk_choice *choice; /* MANY: all objects, handle's the first; NULL: that alone */
	unsigned nchoices;
	uint64_t hold_index; /* out, with hold: which one of INDEXED kinds; CMD finds it in $IPK_INDEX */
	bool idle; /* out, with hold: all is well, and CMD is not to be run */
	uint64_t done; /* out: how many items took effect */
	struct ipk_error err;
	void *tool; /* the tool's own */
};

#define IPK_OP_WRITE 1u /* changes the object */
#define IPK_OP_CONSUME 2u /* takes items away */
#define IPK_OP_BLOCK 4u /* may wait */
#define IPK_OP_IN 8u /* takes values: arguments, or - for stdin */
#define IPK_OP_OUT 16u /* gives values */
#define IPK_OP_KEY 32u /* needs REF's KEY */
#define IPK_OP_COUNT 64u /* honours -n and --follow */
#define IPK_OP_CMD 128u /* "-- CMD" follows: run() is not called without */
#define IPK_OP_MANY 256u /* further REFs may follow, each may be REF=VALUE */
#define IPK_OP_TRY_WRITE 512u /* attached for writing where that is allowed, else for reading */
#define IPK_OP_PLACE 1024u /* reads on from a place of its reader's own */
#define IPK_OP_CMD_OPTIONAL 2048u /* CMD: that may be left out */

struct ipk_op {
	const char *name; /* the verb */
	const char *summary; /* one line, lower case, no stop */
	const char *example; /* runs as it stands in a shell, after: ipcctl new -P S/x KIND */
	unsigned flags;
	const struct ipk_arg *args; /* ends with IPK_ARG_END; may be NULL */
	/* 0, a negative errno (err may say more), or 1 for a negative answer */
	int (*run)(struct ipk_call *call);
	/*
	 * after a run with hold: CMD has ended so (128 + n: by a signal), and is still held; or
	 * NULL
	 */
	int (*ended)(struct ipk_call *call, int status);
};

/* ---- findings of a check --------------------------------------------------------------------- */

struct ipk_checker {
	/* One finding, in words an operator understands. */
	void (*finding)(struct ipk_checker *c, const char *fmt, ...)
		__attribute__((format(printf, 2, 3)));
	/*
	 * The kind owns this block; size is what it uses of it. Reports overlaps and strays itself.
	 */
	void (*block)(struct ipk_checker *c, uint64_t off, uint64_t size);
};

/* ---- repair ---------------------------------------------------------------------------------- */

/* For a kind that repairs: a private copy of the segment, in which nobody else is at work. */
struct ipk_repairer {
	/* The bytes [off, off + len) of the copy, to be read and written; NULL outside of it. */
	void *(*at)(struct ipk_repairer *r, uint64_t off, uint64_t len);
	/*
	 * The kind owns the block at off and uses size bytes of it. 0; else it is not the kind's to
	 * use.
	 */
	int (*claim)(struct ipk_repairer *r, uint64_t off, uint64_t size);
	/* One thing that was done, in words an operator understands. */
	void (*did)(struct ipk_repairer *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
};

/* Who holds something of an object. */
typedef int ipk_holder_fn(void *arg, uint32_t slot, const char *role, uint64_t count);

struct ipk_tx;
struct ipk_obj;

/*
 * How ipcctl bench measures a kind: what a process pays that has it alone (rounds), and carrying a
 * value from one process to another (send and recv; NULL where the kind carries none). The tool
 * makes the object, with elements of the payload's size. Each returns 0 or a negative errno.
 */
struct ipk_bench {
	const char *round; /* in words: "push + pop" */
	int (*rounds)(void *handle, uint64_t n);
	const struct ipk_param *options; /* of the object; ends with name NULL; may be NULL */
	bool signal; /* send and recv carry no bytes */
	bool elements; /* --type is the payload's */
	bool capacity; /* --cap is how many values fit */
	bool single; /* one process at each end */
	int (*send)(void *handle, const void *data, size_t len, int64_t deadline);
	int (*recv)(void *handle, void *buf, size_t size, int64_t deadline);
	/* up to n values of len bytes, side by side at multiples of 8; how many. May be NULL */
	int (*send_many)(void *handle, const void *data, size_t len, unsigned n, int64_t deadline);
	int (*recv_many)(void *handle, void *buf, size_t len, unsigned n, int64_t deadline);
};

#define IPK_KIND_INDEXED 1u /* KEY is an index or a range; items/ shows positions */
#define IPK_KIND_KEYED 2u /* KEY is a key; items/ shows keys. Without a key type, items are their own keys */
#define IPK_KIND_VALUE 4u /* one value: value file, get without KEY */
#define IPK_KIND_RAW 8u /* raw file: the elements' bytes side by side */
#define IPK_KIND_PUSH 16u /* push file */
#define IPK_KIND_LOG 32u /* log file: retained records, grows */
#define IPK_KIND_WRITE_ITEM 64u /* writing items/N sets it */
#define IPK_KIND_REMOVE_ITEM 128u /* rm items/KEY deletes it */

/* What a person would do next when a stat has this value. REF stands for the object. */
struct ipk_next {
	const char *stat; /* NULL: otherwise, the last row */
	const char *value; /* as stats are printed */
	const char *command; /* "lock REF -- CMD" */
};

struct ipk_kind {
	uint16_t id;
	uint16_t version;
	const char *name;
	const char *summary;
	const char *text; /* a paragraph for man page and help: what it is, what a death leaves */
	const char *type; /* default element type */
	const char *key; /* default key type, or NULL: no keys */
	unsigned flags;
	const struct ipk_arg *params; /* creation options besides type and key; ends with IPK_ARG_END */
	const struct ipk_op *ops; /* ends with name NULL */
	const char *const *stats; /* names that stats() visits, for completion and man page */
	const struct ipk_next *next; /* rows of stats in their order; NULL: by what flags and used tell */

	/* creation: bytes of the body (-EINVAL -EMSGSIZE with err), and its first contents */
	int (*size)(const struct ipk_new *n, uint64_t *ret_size, struct ipk_error *err);
	int (*create)(struct ipk_tx *tx, void *body, uint64_t body_off, const struct ipk_new *n);
	/* private handle over an object opened for writing or reading (obj is embedded first) */
	int (*attach)(struct ipk_segment *seg, const char *name, void **ret_handle,
		      struct ipk_error *err);
	void (*detach)(void *handle);
	/*
	 * the four of struct ipk_obj_hooks (core/segment/segment.h); destroy, recover and wake may
	 * be NULL where there is nothing to do:
	 */
	bool (*attachable)(struct ipk_obj *obj);
	/*
	 * frees the blocks besides the header's, in as many transactions as it takes; re-runnable
	 */
	int (*destroy)(struct ipk_obj *obj);
	/*
	 * after a death: mends each word whose owner is dead; re-runnable by any number at once.
	 * -EAGAIN, or the -EINTR, -ECANCELED or -ETIMEDOUT of a lock: some could not be mended now; the
	 * dead one's number is kept for a later sweep
	 */
	int (*recover)(struct ipk_obj *obj);
	/* wakes all who wait on the object (removal, close) */
	void (*wake)(struct ipk_obj *obj);

	/* reading without trust; each returns 0 or -errno */
	int (*inspect)(const struct ipk_object_view *o, uint64_t *ret_used, uint64_t *ret_cap);
	int (*stats_visit)(const struct ipk_object_view *o, struct ipk_visitor *v);
	int (*items)(const struct ipk_object_view *o, uint64_t from, uint64_t to, ipk_item_fn *fn,
		     void *arg); /* positions in [from, to); KEYED: ordinals, all of them */
	int (*item)(const struct ipk_object_view *o, const char *key, size_t len, ipk_item_fn *fn,
		    void *arg); /* by KEY; -ENOENT, -ERANGE */
	/* PUSH kinds: items in the order in which they will be taken; NULL: that of items() */
	int (*peek)(const struct ipk_object_view *o, ipk_item_fn *fn, void *arg);
	int (*value)(const struct ipk_object_view *o, struct ipk_buf *text); /* VALUE kinds: one line */
	int (*raw)(const struct ipk_object_view *o, struct ipk_buf *bytes);
	int (*holders)(const struct ipk_object_view *o, ipk_holder_fn *fn, void *arg); /* or NULL */
	/*
	 * TEXT params, which opts[] does not keep: appends param i. 1; 0: it was not given. Or NULL
	 */
	int (*param)(const struct ipk_object_view *o, unsigned i, struct ipk_buf *text);
	int (*check)(const struct ipk_object_view *o, struct ipk_checker *c);
	/*
	 * Makes right what check() finds fault with, changes nothing where that is silent, and
	 * claims the object's blocks, all but the header's. What cannot be told is given up: items
	 * keep their order, what the dead held is given back. Without it (NULL) what check() finds
	 * stays. 0, or -EBADMSG: beyond repair.
	 */
	int (*repair)(const struct ipk_object_view *o, struct ipk_repairer *r);

	const struct ipk_bench *bench; /* or NULL: nothing to measure */
};

/* All kinds, in the order of their ids; ends with NULL. */
extern const struct ipk_kind *const ipk_kinds[];
const struct ipk_kind *ipk_kind_by_name(const char *name);
const struct ipk_kind *ipk_kind_by_id(uint16_t id);
const struct ipk_op *ipk_kind_op(const struct ipk_kind *kind, const char *verb);
/* op->run(), but what it did in a segment that was lost meanwhile (ipk_segment_lost()) failed. */
int ipk_op_run(const struct ipk_op *op, struct ipk_call *call);

/*
 * Creates an object. params: name/value pairs as text, checked against kind->params; "type" and,
 * where the kind has keys, "key" are always known; the last of two counts. What the first seven of
 * kind->params were given as numbers is kept in the object's opts[] (WORD: which one, from 0).
 * -EEXIST, -EINVAL (err names the option), -ENOSPC, -EMSGSIZE.
 */
struct ipk_param {
	const char *name;
	const char *value; /* NULL for a flag */
};
int ipk_object_new(struct ipk_segment *seg, const char *name, const char *kind,
		   const struct ipk_param *params, unsigned nparams, struct ipk_error *err);

/* Parses one argument of spec from text; err says what is wrong and what is allowed. */
int ipk_arg_parse(const struct ipk_arg *spec, const char *text, size_t len,
		  struct ipk_argval *ret_val, struct ipk_error *err);

/*
 * Sizes "4096" "64KiB" "64K" (the same) "10MB" (10^6) "1.5GiB"; durations "250us" "20ms" "0.5s"
 * "1m", and a bare number only when it is 0. -EINVAL, -ERANGE: never saturated. What is finer than
 * a nanosecond is rounded up; a part of a byte is refused.
 */
int ipk_parse_size(const char *text, size_t len, uint64_t *ret_size);
int ipk_parse_duration(const char *text, size_t len, int64_t *ret_ns);

/*
 * REF = SEGMENT[/OBJECT[/KEY]] split; strings are private copies. A SEGMENT that begins with "/",
 * "./" or "../" ends at the first part that ends in .ipk and is not a directory (a file yet to be
 * created is none), or is /proc/PID/fd/N. -EINVAL with err for names that break the rules.
 */
struct ipk_ref {
	char *segment; /* name or path */
	char *object; /* or NULL */
	char *key; /* or NULL; literal, key_len bytes */
	size_t key_len;
};
int ipk_ref_parse(const char *text, struct ipk_ref *ret_ref, struct ipk_error *err);
void ipk_ref_free(struct ipk_ref *ref);

/*
 * Parses a KEY of an INDEXED kind: "7", "0..10", "3..", "..5", ".."; *ret_to == UINT64_MAX: to the
 * end.
 * -EINVAL also when it runs backwards, -ERANGE beyond 64 bits.
 */
int ipk_range_parse(const char *key, size_t len, uint64_t *ret_from, uint64_t *ret_to, bool *ret_one);

/* Holders and waiters of an object, as participants. What nobody owns has pid 0, state "nobody". */
int ipk_object_holders(const struct ipk_object_view *o,
		       int (*fn)(void *arg, const struct ipk_participant_info *p, const char *role,
				 uint64_t count),
		       void *arg);
int ipk_object_waiters(const struct ipk_object_view *o,
		       int (*fn)(void *arg, const struct ipk_participant_info *p), void *arg);

/* "ok", or what is wrong in a few words ("dead owner: pid 4711", "corrupt"). Static or in buf. */
const char *ipk_object_health(const struct ipk_object_view *o, char *buf, size_t size);
const char *ipk_segment_health(struct ipk_view *view, char *buf, size_t size);

/* Checks all: header, page table, free lists, directory, registry, objects. fn gets each finding.
 * Returns the number of findings, or -EPROTO/-EBADMSG when nothing can be read. */
int ipk_fsck(struct ipk_view *view, void (*fn)(void *arg, const char *where, const char *what),
	     void *arg, struct ipk_error *err);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
