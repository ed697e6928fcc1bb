/* SPDX-License-Identifier: MIT */
/* A runner of a derived stream: what its files share. The pipeline is stream_pipe.h's. */
#ifndef IPK_KINDS_STREAM_DERIVE_H
#define IPK_KINDS_STREAM_DERIVE_H

#include "kinds/stream.h"
#include "kinds/stream_pipe.h"

struct ipk_derive_source {
	struct ipk_stream *st;
	struct ipk_stream_sub *sub;
	u8 *buf;
	size_t room;
	struct ipk_stream_item item;
	bool have; /* item was read, and did not go into the pipeline yet */
};

/* Records that wait for their commit. */
struct ipk_derive_batch {
	struct ipk_buf bytes;
	size_t end[IPK_STREAM_BATCH];
	unsigned n, most;
	u64 spans; /* bytes in the stream */
};

struct ipk_derive {
	struct ipk_segment *seg;
	struct ipk_stream *out;
	struct ipk_type *type;
	struct ipk_pipe *pipe;
	struct ipk_derive_source source[IPK_DERIVE_SOURCES];
	struct ipk_derive_batch batch;
	struct ipk_buf state; /* to be committed with the batch */
	struct ipk_buf next;  /* a record that did not fit beside those of the batch */
	struct ipk_buf text;  /* a list on its way */
	bool overflow, pending, broken;
	bool ended; /* it reads nothing any more */
};

/* The pipeline's sink; arg is the runner. */
int ipk_derive_add(void *arg, const struct ipk_pipe_item *it);

#endif
