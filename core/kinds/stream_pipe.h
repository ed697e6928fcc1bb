/* SPDX-License-Identifier: MIT */
/*
 * A pipeline in private memory: elements go in, elements come out, and what its operators keep can
 * be saved and loaded. It knows nothing of streams but their types; stream_derive.c reads the
 * sources and commits.
 *
 * Saved, in 8-byte words, text and values padded to them:
 *
 *	struct ipk_pipe_head    as the creation wrote it, with ran 0 and nothing behind the text
 *	text                    "temps | filter($ > 30) | window(10)"
 *	struct ipk_pipe_place[sources]
 *	of each operator: struct ipk_pipe_kept, ends[n] (of values of a variable type), the values
 */
#ifndef IPK_KINDS_STREAM_PIPE_H
#define IPK_KINDS_STREAM_PIPE_H

#include "expr.h"
#include "ipk/derive.h"

#define IPK_PIPE_MAGIC 0x32707069u /* "ipp2" */

struct ipk_pipe_head {
	u32 magic, text_len;
	u32 ran, sources;
	u64 read, missed, failed;
};
_Static_assert(sizeof(struct ipk_pipe_head) == 40, "saved");

struct ipk_pipe_place {
	u64 next, ended; /* position of the next record; 1: it was shut and all is read */
	u64 id;          /* of the stream, which another one of its name does not have */
	char name[IPK_STREAM_NAME_MAX + 1]; /* of the stream */
};
_Static_assert(sizeof(struct ipk_pipe_place) == 88, "saved");

struct ipk_pipe_kept {
	u64 ended; /* nothing more comes out */
	u64 count, start;
	u64 n; /* values */
};

/* Values one behind the other. */
struct ipk_pipe_values {
	u8 *data;
	u64 *ends;                        /* of each; of a fixed type unused */
	u64 n, from, to, room, ends_room; /* the bytes are [from, to) of data */
};

/* What is on its way. */
struct ipk_pipe_item {
	const u8 *data;
	size_t len;
	u64 n, time;
	const u64 *ends;
	bool list;
};

struct ipk_pipe_stage {
	struct ipk_derive_op op;
	struct ipk_expr *expr; /* of a pipeline that was text; owned, as init is then */
	u8 *init;
	const struct ipk_type *in; /* the one before's out, not owned */
	struct ipk_type *out;      /* owned; NULL: as in */
	struct ipk_type *acc;      /* FOLD SCAN, of text: the type that expr knows acc by */
	bool in_list, out_list;
	unsigned source; /* MERGE ZIP: which */
	struct ipk_pipe_kept kept;
	struct ipk_pipe_values values;
	struct ipk_buf out_buf;
};

struct ipk_pipe_source {
	struct ipk_type *type;
	unsigned stage; /* where its records go in */
	struct ipk_pipe_place place;
};

struct ipk_pipe {
	struct ipk_pipe_stage stage[IPK_DERIVE_OPS];
	struct ipk_pipe_source source[IPK_DERIVE_SOURCES];
	unsigned n, sources;
	char *text;
	struct ipk_pipe_head head;
	struct ipk_error failure; /* why the last element failed */
	int (*sink)(void *arg, const struct ipk_pipe_item *item);
	void *arg;
};

/* The type of the elements of a stream, to be freed by ipk_type_free(). */
typedef int ipk_pipe_type_fn(void *arg, const char *stream, struct ipk_type **ret_type,
			     struct ipk_error *err);

/* text: "SOURCE | op | ..."; columns of errors count from the first operator on. */
int ipk_pipe_parse(const char *text, size_t len, ipk_pipe_type_fn *type_of, void *arg,
		   struct ipk_pipe **ret_pipe, struct ipk_error *err);
int ipk_pipe_make(const char *source, const struct ipk_derive_op *ops, unsigned n,
		  ipk_pipe_type_fn *type_of, void *arg, struct ipk_pipe **ret_pipe,
		  struct ipk_error *err);
void ipk_pipe_free(struct ipk_pipe *pipe);

/* For both: a pipeline of its source alone; one more operator, checked, which is the pipeline's
 * then or on failure is freed. err names the operator. */
int ipk_pipe_begin(const char *source, size_t len, ipk_pipe_type_fn *type_of, void *arg,
		   struct ipk_pipe **ret_pipe, struct ipk_error *err);
int ipk_pipe_add(struct ipk_pipe *pipe, struct ipk_pipe_stage *stage, ipk_pipe_type_fn *type_of,
		 void *arg, struct ipk_error *err);
void ipk_pipe_stage_free(struct ipk_pipe_stage *stage);
const char *ipk_pipe_op_name(enum ipk_derive_kind kind);

/* What comes out of the last operator so far, or goes into the first. */
const struct ipk_type *ipk_pipe_type(const struct ipk_pipe *pipe, bool *ret_list);
/* The schema of the derived stream: of lists json. */
const char *ipk_pipe_schema(const struct ipk_pipe *pipe);
/* Bytes that it will save; values of a variable type are counted as 256 each. */
u64 ipk_pipe_room(const struct ipk_pipe *pipe);

/* Does anything come of another record of the source now? */
bool ipk_pipe_wants(const struct ipk_pipe *pipe, unsigned source);
/* A record of it. 0, -ENOMEM, or what sink returned; a failure is counted and is none. */
int ipk_pipe_feed(struct ipk_pipe *pipe, unsigned source, const void *data, size_t len, u64 time);
/* Ends the first operator whose input has ended. 1: it did, -ENOMEM as above; 0: there is none. */
int ipk_pipe_flush(struct ipk_pipe *pipe);
bool ipk_pipe_done(const struct ipk_pipe *pipe);

/* Appends what is saved. -ENOMEM. */
int ipk_pipe_save(const struct ipk_pipe *pipe, struct ipk_buf *out);
/* The head and the text of what was saved; nothing is trusted. -EBADMSG, -EINVAL: nothing was
 * saved. */
int ipk_pipe_text(const void *saved, size_t len, struct ipk_pipe_head *ret_head,
		  const char **ret_text);
/* The rest of it. -EBADMSG: it is not of this pipeline. */
int ipk_pipe_load(struct ipk_pipe *pipe, const void *saved, size_t len);

/* ---- values (stream_keep.c) ------------------------------------------------------------- */

/* size: of each; 0: variable. -ENOMEM. */
int ipk_values_push(struct ipk_pipe_values *v, const void *data, size_t len, u32 size);
/* Drops the first n. */
void ipk_values_drop(struct ipk_pipe_values *v, u64 n, u32 size);
const u8 *ipk_values_at(const struct ipk_pipe_values *v, u64 i, u32 size, size_t *ret_len);
int ipk_values_save(const struct ipk_pipe_values *v, u32 size, struct ipk_buf *out);
/* n values; returns how many bytes they took, or -EBADMSG -ENOMEM. */
i64 ipk_values_load(struct ipk_pipe_values *v, u64 n, u32 size, const u8 *saved, size_t len);
void ipk_values_free(struct ipk_pipe_values *v);

#endif
