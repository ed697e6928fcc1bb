/* SPDX-License-Identifier: MIT */
/*
 * Stream: a log that any number of producers append to and any number of subscribers read, each at
 * its own pace.
 *
 *	emit --> | 7 | 8 | 9 | 10 |     positions; the oldest are dropped when room is wanted
 *	           ^history    ^new
 *
 * Records keep their position for ever; what is retained is bounded by a count and by bytes. A
 * subscriber is anonymous (its cursor is this process's own) or has a name: then the cursor lies in
 * the segment, and whoever subscribes under that name next goes on behind what was acknowledged
 * last.
 *
 * When there is no room (policy): drop the oldest record; or wait for, or refuse because of, the
 * named subscriber that is furthest behind. Anonymous ones never hold anybody up: what they missed
 * is counted.
 *
 * WHICH MAY RUN BESIDE WHICH. Everything, from any thread of any process; one subscription for one
 * thread at a time. Readers take no lock and write nothing but, under a name, their cursor.
 *
 * LEFT BEHIND BY A DEATH. Of a producer: its record, or all records of one ipk_stream_commit(),
 * wholly or not at all. Of a subscriber: a name keeps its cursor, so what it had not acknowledged
 * comes again; the name is free for another at once.
 *
 * Source: a multi-reader log with a published tail and a validated read, as in Aeron's broadcast
 * buffer; producers are serialised by a robust lock.
 */
#ifndef IPK_STREAM_H
#define IPK_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "ipk/error.h"
#include "ipk/segment.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define IPK_STREAM_CAP_MAX (UINT64_C(1) << 30)
#define IPK_STREAM_SUBS_MAX 1024u
#define IPK_STREAM_BATCH 128u /* records at most that are appended at once */
#define IPK_STREAM_NAME_MAX 63u

struct ipk_stream;
struct ipk_stream_sub;

enum ipk_stream_policy { IPK_STREAM_DROP, IPK_STREAM_BLOCK, IPK_STREAM_REJECT };

/* Zero: the default. */
struct ipk_stream_options {
	const char *type; /* element type, "str" */
	uint64_t cap;     /* records retained, 1 to 2^30; 1024 */
	/*
	 * Of all retained records, each rounded up to 8; 64 for each, or what cap of the type need.
	 * Of a variable type the memory is twice that: a record may have so much.
	 */
	uint64_t bytes;
	enum ipk_stream_policy policy;
	uint64_t subs;  /* places for named subscribers, 1 to 1024; 16 */
	/* Bytes of the state that ipk_stream_commit() keeps, rounded up to 8; 0: none. */
	uint64_t state;
};

/*
 * -EEXIST; -EINVAL bad name, schema or number; -ENOSPC it does not fit the segment. options may be
 * NULL.
 */
int ipk_stream_create(struct ipk_segment *seg, const char *name,
		      const struct ipk_stream_options *options, struct ipk_error *err);

/*
 * Opens for all threads of this process. type: a claim to be checked, or NULL. -ENOENT;
 * -EMEDIUMTYPE another kind or type; -EPROTO -EBADMSG. Attached with IPK_READ: anonymous
 * subscriptions alone.
 */
int ipk_stream_open(struct ipk_segment *seg, const char *name, const char *type,
		    struct ipk_stream **ret_stream, struct ipk_error *err);
/* Ends the handle, after its subscriptions. The stream stays. */
void ipk_stream_close(struct ipk_stream *stream);

uint64_t ipk_stream_capacity(const struct ipk_stream *stream);     /* records */
uint32_t ipk_stream_element_size(const struct ipk_stream *stream); /* bytes; 0: variable */
/* The oldest retained position and the next one; as many as lie between are retained. */
void ipk_stream_range(struct ipk_stream *stream, uint64_t *ret_first, uint64_t *ret_next);

/*
 * Appends a record. -EAGAIN (IPK_NOWAIT, or policy reject) a named subscriber has not read what
 * would be dropped; -ETIMEDOUT -EINTR -ECANCELED; -EMSGSIZE not the element's size, or more than
 * the stream's bytes; -EPIPE it was shut; -EACCES; -ESTALE removed.
 */
int ipk_stream_emit(struct ipk_stream *stream, const void *data, size_t len, int64_t deadline);
/*
 * Appends up to n, as many as fit at once; waits for the first alone. Returns how many, 1..n, or
 * why not one.
 */
int ipk_stream_emit_many(struct ipk_stream *stream, const struct iovec *values, unsigned n,
			 int64_t deadline);

/*
 * Appends all n (also none) and replaces the state (NULL: it stays), in one step that happens or
 * does not, whoever dies when. Who derives one stream from another keeps its place in the source
 * there: then nothing is lost and nothing comes twice. -EMSGSIZE: more than IPK_STREAM_BATCH
 * records or than the stream's cap or bytes, or a state longer than its room; else errors as emit.
 */
int ipk_stream_commit(struct ipk_stream *stream, const struct iovec *values, unsigned n,
		      const void *state, size_t len, int64_t deadline);
/*
 * Copies the state that was committed last, of none 0 bytes. *ret_len is its length, also with
 * -EMSGSIZE. -EACCES attached with IPK_READ.
 */
int ipk_stream_state(struct ipk_stream *stream, void *buf, size_t size, size_t *ret_len);

/* Lets nothing more in. Subscribers get what is retained, and then -EPIPE. */
int ipk_stream_shutdown(struct ipk_stream *stream);
bool ipk_stream_is_shut(const struct ipk_stream *stream);

/* ---- subscriptions -------------------------------------------------------------------------- */

#define IPK_STREAM_FROM_START UINT64_MAX

/*
 * Begins behind the last record, or with the last "back" of those retained (IPK_STREAM_FROM_START:
 * all). name: 1 to 63 of A-Za-z0-9._- ; a name that is known goes on where it was, whatever back
 * is. NULL: anonymous. -EBUSY a living process has the name; -EDQUOT no place for another name;
 * -EINVAL; -EACCES.
 */
int ipk_stream_subscribe(struct ipk_stream *stream, const char *name, uint64_t back,
			 struct ipk_stream_sub **ret_sub, struct ipk_error *err);
/* Ends the subscription. A name keeps its cursor. */
void ipk_stream_unsubscribe(struct ipk_stream_sub *sub);
/* Forgets a name and its cursor. -ENOENT; -EBUSY a living process has it. */
int ipk_stream_forget(struct ipk_stream *stream, const char *name);

struct ipk_stream_item {
	uint64_t pos;
	uint64_t len;
	uint64_t time; /* of the emit, CLOCK_REALTIME ns */
	uint64_t lost; /* records between the last one and this that were dropped unread */
};

/*
 * Copies the next record to buf and moves on. -EAGAIN (IPK_NOWAIT) -ETIMEDOUT -EINTR -ECANCELED;
 * -EPIPE the stream was shut and all was read; -EMSGSIZE longer than size: ret_item has its length,
 * it stays the next;
 * -EBADMSG; -ESTALE. ret_item may be NULL. With IPK_READ: looks every 10 ms.
 */
int ipk_stream_next(struct ipk_stream_sub *sub, void *buf, size_t size,
		    struct ipk_stream_item *ret_item, int64_t deadline);
/* The position of the next record. */
uint64_t ipk_stream_position(const struct ipk_stream_sub *sub);
/* Goes there; before what is retained: to the oldest. */
void ipk_stream_seek(struct ipk_stream_sub *sub, uint64_t pos);
/*
 * Under a name: all that was read so far need not come again. Nothing for an anonymous one. -EPERM
 * in a child of fork(), which has not inherited the name.
 */
int ipk_stream_ack(struct ipk_stream_sub *sub);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
