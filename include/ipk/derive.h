/* SPDX-License-Identifier: MIT */
/*
 * Derived streams: what comes out of a pipeline of operators over the records of other streams.
 *
 *	temps --> | filter | window(10) | mean | --> hot
 *
 *	cursor at temps, window's items: hot's state
 *
 * The pipeline is stored in the derived stream, and computed by whoever runs it, one process at a
 * time. What the operators keep (counts, windows, accumulators) and the places in the sources are
 * committed together with the records that come out (ipk_stream_commit()), so that a runner that is
 * killed is replaced by the next with neither loss nor repetition. When the sources are shut and
 * read, what is left is flushed and the derived stream is shut.
 *
 * At each source the runner subscribes under the derived stream's name, so a source with policy
 * block or reject drops nothing that it has not read, until the derived stream has ended; what
 * another drops is counted (missed). An
 * element for which an operator fails (a number that does not fit, a division by zero) is left out
 * and counted (failed).
 *
 * AS TEXT: op | op ..., expressions as in ipcctl-derive(1):
 *
 *	map(EXPR)  filter(EXPR)     each element; those for which it is true
 *	take(N)  skip(N)            the first N, then the end; all but the first N
 *	scan(INIT, EXPR)            EXPR of $ and acc becomes acc and comes out
 *	fold(INIT, EXPR)            the same, and the last acc comes out at the end
 *	window(N[, STEP])           a list of the last N, when there are N, and again after each
 *	                            STEP (1) more
 *	batch(N)                    lists of N; the last one may be shorter
 *	sum mean min max count      of such a list; the same as map(sum($)), count as map(len($))
 *	distinct  distinct(N)       those that differ from the one before; from the last N that
 *	                            came out
 *	throttle(DUR)               one, or N, in the DUR that begins with the first; by the
 *	throttle(N, DUR)            records' times
 *	merge(STREAM)               and those of another stream of the same type; of what is there
 *	                            the oldest first
 *	zip(STREAM)                 pairs {T a; U b} with those of another stream; ends with the
 *	                            shorter one
 *
 * A list comes out as json.
 *
 * WHICH MAY RUN BESIDE WHICH: everything; a runner is for one thread at a time.
 *
 * LEFT BEHIND BY A DEATH: the stream as it was at the last commit, and nobody who runs it.
 *
 * Source: consistent snapshots of an operator's state with its position in the input, as in Flink;
 * here in one step with the output.
 */
#ifndef IPK_DERIVE_H
#define IPK_DERIVE_H

#include "ipk/stream.h"
#include "ipk/type.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define IPK_DERIVE_OPS 16u
#define IPK_DERIVE_SOURCES 8u
#define IPK_DERIVE_ITEMS (1u << 20) /* of a window, batch or distinct */
#define IPK_DERIVE_TEXT_MAX 4000u

enum ipk_derive_kind {
	IPK_DERIVE_MAP = 1,
	IPK_DERIVE_FILTER,
	IPK_DERIVE_TAKE,
	IPK_DERIVE_SKIP,
	IPK_DERIVE_FOLD,
	IPK_DERIVE_SCAN,
	IPK_DERIVE_WINDOW,
	IPK_DERIVE_BATCH,
	IPK_DERIVE_MERGE,
	IPK_DERIVE_ZIP,
	IPK_DERIVE_THROTTLE,
	IPK_DERIVE_DISTINCT,
};

/* What an operator's function is given. */
struct ipk_derive_in {
	const void *data; /* the element; of a list: its items, side by side */
	size_t len;
	uint64_t n;           /* items of a list */
	const uint64_t *ends; /* where each ends; NULL: they are of fixed size */
	const void *acc;      /* FOLD SCAN */
	size_t acc_len;
	uint64_t time; /* of the source's record, CLOCK_REALTIME ns */
};

struct ipk_derive_op {
	enum ipk_derive_kind kind;
	uint64_t n;         /* TAKE SKIP WINDOW BATCH THROTTLE DISTINCT */
	uint64_t step;      /* WINDOW; THROTTLE: ns */
	const char *type;   /* MAP: of what comes out; FOLD SCAN: of acc */
	const char *stream; /* MERGE ZIP */
	const void *init;   /* FOLD SCAN */
	size_t init_len;
	/*
	 * MAP, FOLD, SCAN: appends what comes out, or the new acc, to out; 0. FILTER: 1 keeps, 0
	 * leaves out. <0: it fails for this element; -ENOMEM: the run ends, and when the stream is
	 * opened again goes on with this element. It depends on nothing but in.
	 */
	int (*run)(void *arg, const struct ipk_derive_in *in, struct ipk_buf *out,
		   struct ipk_error *err);
	void *arg;
};

/*
 * Makes the derived stream, in the same segment; options->type is the pipeline's and stays NULL,
 * state is made as large as it needs, or as said. With ops the stream remembers what they are
 * called alone, and is run by programs that have them. -EINVAL (err names the column or operator)
 * -ENOENT no such source -EEXIST -ENOSPC -EMSGSIZE.
 */
int ipk_derive_create(struct ipk_segment *seg, const char *name, const char *source,
		      const char *text, const struct ipk_stream_options *options,
		      struct ipk_error *err);
int ipk_derive_create_ops(struct ipk_segment *seg, const char *name, const char *source,
			  const struct ipk_derive_op *ops, unsigned n,
			  const struct ipk_stream_options *options, struct ipk_error *err);

struct ipk_derive;

/*
 * Becomes the one who runs it. ops, n: as it was made with; NULL, 0: its text. -EBUSY a living
 * process runs it; -EINVAL not derived, or by other operators, or a source was removed and
 * made anew since; -EMEDIUMTYPE a source's type is another now; -ENOENT a source is gone; -EBADMSG;
 * -EDQUOT no place for its name at a source.
 */
int ipk_derive_open(struct ipk_segment *seg, const char *name, const struct ipk_derive_op *ops,
		    unsigned n, struct ipk_derive **ret_derive, struct ipk_error *err);
/* The next one who runs it goes on where the last run() that returned has been. */
void ipk_derive_close(struct ipk_derive *derive);

/*
 * Computes some of what is there, at most max records, waiting for the first to come; how many came
 * out is added to *ret_emitted. 0: all that was computed is committed; -EPIPE: the sources have
 * ended, and the stream is shut, or somebody else has shut it; -EAGAIN (IPK_NOWAIT) nothing is
 * there; -EBUSY (IPK_NOWAIT, or policy reject) a named subscriber of the stream has not read what
 * would be dropped: to be called again later; -ETIMEDOUT -EINTR -ECANCELED; -ENOSPC what the
 * operators keep is more than the state has room for; -ESTALE a source, or the stream, was removed.
 */
int ipk_derive_run(struct ipk_derive *derive, uint64_t max, uint64_t *ret_emitted, int64_t deadline,
		   struct ipk_error *err);

struct ipk_derive_counts {
	uint64_t read;   /* records of the sources */
	uint64_t missed; /* dropped there before they were read */
	uint64_t failed; /* elements an operator failed for */
};
void ipk_derive_counts(const struct ipk_derive *derive, struct ipk_derive_counts *ret_counts);
/* Why the last element failed that did since open(); "" if none has. */
const char *ipk_derive_failure(const struct ipk_derive *derive);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
