/* SPDX-License-Identifier: MIT */
/* Rings for tools: the descriptor and the verbs. Reading without trust is in ring_view.c. */
#include "kinds/await.h"
#include "kinds/ring.h"
#include "kinds/ring_view.h"

#define BATCH 64

/* ---- creation -------------------------------------------------------------------------------- */

enum param { CAP, MAX_MESSAGE, PRODUCERS, STREAM, CHECKSUM };

static const struct ipk_arg params[] = {
	{.name = "cap",
	 .type = IPK_ARG_U64,
	 .min = 1,
	 .max = IPK_RING_CAP_MAX,
	 .value = "64KiB",
	 .help = "bytes it holds; rounded up to a power of two, or to whole elements"},
	{.name = "max-message",
	 .type = IPK_ARG_U64,
	 .max = IPK_RING_LEN_MAX,
	 .value = "0",
	 .help = "bytes of the longest message; it takes that much memory besides; 0: all that "
		 "fits"},
	{.name = "producers",
	 .type = IPK_ARG_WORD,
	 .words = "one|many",
	 .value = "one",
	 .help = "whether others may push as well"},
	{.name = "stream", .type = IPK_ARG_FLAG, .help = "bytes without message boundaries"},
	{.name = "checksum",
	 .type = IPK_ARG_WORD,
	 .words = "none|xxh3",
	 .value = "none",
	 .help = "of each message, verified when it is read"},
	{.type = IPK_ARG_END},
};

static bool word_is(const struct ipk_new *n, enum param i, const char *word)
{
	return n->param[i].set && n->param[i].len == strlen(word) &&
	       memcmp(n->param[i].text, word, n->param[i].len) == 0;
}

u64 ipk_ring_plan(const u64 *opts, u32 size, struct ipk_ring_body *ret_body)
{
	u64 cap = opts[CAP];
	u32 flags = opts[PRODUCERS] ? IPK_RING_MANY : 0;

	if (opts[STREAM])
		return ipk_ring_layout(cap, 0, 0, flags | IPK_RING_STREAM, ret_body);
	if (!opts[CHECKSUM])
		return ipk_ring_layout(cap, size, opts[MAX_MESSAGE], flags, ret_body);
	flags |= IPK_RING_SUM;
	if (!size)
		return ipk_ring_layout(cap, 0, opts[MAX_MESSAGE], flags, ret_body);
	if (cap < (u64)size + 16)
		cap = (u64)size + 16;
	return ipk_ring_layout(cap, 0, size, flags | IPK_RING_FIXED, ret_body);
}

static u64 layout(const struct ipk_new *n, struct ipk_ring_body *ret_body)
{
	const u64 opts[] = {
		[CAP] = n->param[CAP].u64,
		[MAX_MESSAGE] = n->param[MAX_MESSAGE].u64,
		[PRODUCERS] = word_is(n, PRODUCERS, "many"),
		[STREAM] = n->param[STREAM].set,
		[CHECKSUM] = word_is(n, CHECKSUM, "xxh3"),
	};

	return ipk_ring_plan(opts, n->type->size, ret_body);
}

static int ring_size(const struct ipk_new *n, uint64_t *ret_size, struct ipk_error *err)
{
	enum ipk_base base = n->type->base;
	struct ipk_ring_body body;
	u64 bytes;

	if (n->param[STREAM].set && (n->type->size || (base != IPK_STR && base != IPK_BYTES)))
		return ipk_error_set(err, -EINVAL, "--stream: of str or bytes, not of %s",
				     n->type->text);
	if (n->param[STREAM].set && word_is(n, CHECKSUM, "xxh3"))
		return ipk_error_set(err, -EINVAL, "--checksum: a stream has no messages to check");
	if ((n->param[STREAM].set || n->type->size) && n->param[MAX_MESSAGE].u64)
		return ipk_error_set(err, -EINVAL,
				     "--max-message: only where messages have different lengths");
	bytes = layout(n, &body);
	if (!bytes && n->param[MAX_MESSAGE].u64 <= n->param[CAP].u64)
		return ipk_error_set(err, -EINVAL,
				     "--max-message: 16 bytes less than the capacity at most");
	if (!bytes)
		return ipk_error_set(err, -EINVAL, "--max-message is more than --cap");
	*ret_size = bytes;
	return 0;
}

static int ring_create(struct ipk_tx *tx, void *body, uint64_t body_off, const struct ipk_new *n)
{
	(void)tx, (void)body_off;
	/* The rest is zero: nobody's, empty, and the first record's word 0. */
	layout(n, body);
	return 0;
}

static int ring_attach(struct ipk_segment *seg, const char *name, void **ret_handle,
		       struct ipk_error *err)
{
	struct ipk_ring *ring;
	int r = ipk_ring_open(seg, name, NULL, &ring, err);

	if (r == 0)
		*ret_handle = ring_handle(ring);
	return r;
}

static void ring_detach(void *handle)
{
	ipk_ring_close(&((struct ipk_ring_handle *)handle)->pub);
}

/* ---- verbs ----------------------------------------------------------------------------------- */

static int refused(struct ipk_call *call, int r, const char *state)
{
	struct ipk_ring_handle *h = call->handle;

	if (r == -EMSGSIZE)
		return ipk_error_set(&call->err, r,
				     "a value is longer than the %llu bytes that the "
				     "ring can hold",
				     (unsigned long long)h->g.most);
	return ipk_call_refused(call, r, state);
}

static int push_item(struct ipk_ring_handle *h, const struct ipk_item *item,
		     const struct ipk_call *call)
{
	const u8 *data = item->data;
	u64 left = item->len;

	if (!ring_stream(h))
		return ipk_ring_push(&h->pub, data, left, ipk_call_deadline(call));
	while (left) {
		i64 n = ipk_ring_write(&h->pub, data, left, ipk_call_deadline(call));

		if (n < 0)
			return (int)n;
		data += n;
		left -= (u64)n;
	}
	return 0;
}

static int push_all(struct ipk_call *call, struct ipk_ring_handle *h)
{
	struct ipk_item items[BATCH];
	int n, i, r;

	while ((n = call->next(call, items, BATCH)) > 0) {
		for (i = 0; i < n; i++) {
			r = push_item(h, &items[i], call);
			if (r < 0)
				return refused(call, r, "full");
			call->done++;
		}
	}
	return n;
}

/* The role is taken for as long as the verb runs. */
static int run_push(struct ipk_call *call)
{
	struct ipk_ring_handle *h = call->handle;
	int r = ipk_ring_claim(&h->pub, IPK_RING_PRODUCER, &call->err);

	if (r == 0)
		r = push_all(call, h);
	ipk_ring_leave(&h->pub, IPK_RING_PRODUCER);
	return r;
}

/* Gives the messages out; what was not delivered stays, marked. */
static int deliver(struct ipk_call *call, struct ipk_ring_handle *h, struct ipk_ring_message *m,
		   int n)
{
	int r = 0;

	for (int i = 0; i < n && r >= 0; i++) {
		struct ipk_item item = {
			.data = m[i].data,
			.len = m[i].len,
			.pos = m[i].pos,
			.redelivered = m[i].redelivered,
		};

		r = call->emit(call, &item);
	}
	if (r >= 0)
		r = call->flush(call);
	if (r < 0)
		return r;
	call->done += (u64)n;
	return ipk_ring_release(&h->pub, &m[n - 1]);
}

static int drop_corrupt(struct ipk_call *call, struct ipk_ring_handle *h,
			const struct ipk_ring_message *m)
{
	if (!m->data)
		return ipk_error_set(&call->err, -EBADMSG,
				     "it is damaged; see ipcctl fsck, and ipcctl "
				     "reset, which empties it");
	ipk_ring_release(&h->pub, m);
	return ipk_error_set(&call->err, -EBADMSG,
			     "the checksum of the message at position %llu is "
			     "wrong; it was dropped",
			     (unsigned long long)m->pos);
}

static int pop_all(struct ipk_call *call, struct ipk_ring_handle *h)
{
	u64 want = call->count ? call->count : 1;

	while (call->done < want) {
		struct ipk_ring_message m[BATCH];
		u64 left = want - call->done;
		int n;

		if (ring_stream(h)) {
			n = ipk_ring_peek(&h->pub, m, ipk_call_deadline(call));
			n = n < 0 ? n : 1;
		} else {
			n = ipk_ring_peek_many(&h->pub, m, left < BATCH ? (unsigned)left : BATCH,
					       ipk_call_deadline(call));
		}
		if (n == -EBADMSG)
			return drop_corrupt(call, h, m);
		if (n < 0)
			return refused(call, n, "empty");
		n = deliver(call, h, m, n);
		if (n < 0)
			return n;
	}
	return 0;
}

static int run_pop(struct ipk_call *call)
{
	struct ipk_ring_handle *h = call->handle;
	int r = ipk_ring_claim(&h->pub, IPK_RING_CONSUMER, &call->err);

	if (r == 0)
		r = pop_all(call, h);
	ipk_ring_leave(&h->pub, IPK_RING_CONSUMER);
	return r;
}

static int run_close(struct ipk_call *call)
{
	return ipk_ring_shutdown(&((struct ipk_ring_handle *)call->handle)->pub);
}

static int run_reset(struct ipk_call *call)
{
	struct ipk_ring_handle *h = call->handle;
	int r = ipk_ring_claim(&h->pub, IPK_RING_CONSUMER, &call->err);
	i64 n;

	if (r < 0)
		return r;
	n = ipk_ring_reset(&h->pub);
	ipk_ring_leave(&h->pub, IPK_RING_CONSUMER);
	return n < 0 ? (int)n : 0;
}

const struct ipk_op ipk_ring_ops[] = {
	{.name = "push",
	 .summary = "append messages, waiting for room",
	 .example = "ipcctl push S/x one two three",
	 .flags = IPK_OP_WRITE | IPK_OP_BLOCK | IPK_OP_IN,
	 .run = run_push},
	{.name = "pop",
	 .summary = "take the oldest messages and print them, waiting for them",
	 .example = "ipcctl push S/x one two; ipcctl pop S/x -n 2",
	 .flags = IPK_OP_WRITE | IPK_OP_CONSUME | IPK_OP_BLOCK | IPK_OP_OUT | IPK_OP_COUNT,
	 .run = run_pop},
	{.name = "close",
	 .summary = "let nothing more in; what is there can still be taken",
	 .example = "ipcctl close S/x",
	 .flags = IPK_OP_WRITE,
	 .run = run_close},
	{.name = "reset",
	 .summary = "drop what is there, damaged or not",
	 .example = "ipcctl push S/x one; ipcctl reset S/x",
	 .flags = IPK_OP_WRITE,
	 .run = run_reset},
	{.name = NULL},
};

/* ---- how it is measured ---------------------------------------------------------------------- */

static struct ipk_ring *ring_of(void *handle)
{
	return &((struct ipk_ring_handle *)handle)->pub;
}

static int bench_rounds(void *handle, uint64_t n)
{
	struct ipk_ring *ring = ring_of(handle);
	u64 val[8] = {0};
	size_t size = ((struct ipk_ring_handle *)handle)->g.unit;
	int r = 0;

	if (size > sizeof(val))
		return -EMSGSIZE;
	while (n-- && !r) {
		r = ipk_ring_push(ring, val, size, IPK_NOWAIT);
		if (!r)
			r = ipk_ring_pop(ring, val, sizeof(val), NULL, IPK_NOWAIT);
	}
	return r;
}

static int bench_send(void *handle, const void *data, size_t len, int64_t deadline)
{
	return ipk_ring_push(ring_of(handle), data, len, deadline);
}

static int bench_recv(void *handle, void *buf, size_t size, int64_t deadline)
{
	return ipk_ring_pop(ring_of(handle), buf, size, NULL, deadline);
}

static int bench_send_many(void *handle, const void *data, size_t len, unsigned n, int64_t deadline)
{
	struct iovec values[BATCH];

	if (len % 8 == 0)
		return ipk_ring_push_array(ring_of(handle), data, n, deadline);
	n = n < BATCH ? n : BATCH;
	for (unsigned i = 0; i < n; i++)
		values[i] = (struct iovec){(u8 *)data + i * ipk_align_up(len, 8), len};
	return ipk_ring_push_many(ring_of(handle), values, n, deadline);
}

static int bench_recv_many(void *handle, void *buf, size_t len, unsigned n, int64_t deadline)
{
	struct ipk_ring_message items[BATCH];

	if (len % 8 == 0)
		return ipk_ring_pop_array(ring_of(handle), buf, n, deadline);
	n = n < BATCH ? n : BATCH;
	return ipk_ring_pop_many(ring_of(handle), buf, n * ipk_align_up(len, 8), items, n,
				 deadline);
}

static const struct ipk_bench bench = {
	.round = "push + pop",
	.rounds = bench_rounds,
	.elements = true,
	.single = true,
	.send = bench_send,
	.recv = bench_recv,
	.send_many = bench_send_many,
	.recv_many = bench_recv_many,
};

/* ---- the descriptor -------------------------------------------------------------------------- */

const struct ipk_kind ipk_kind_ring = {
	.id = 14,
	.version = IPK_RING_VERSION,
	.name = "ring",
	.summary = "messages in order from one producer or many to one consumer",
	.text = "A bounded ring of messages, each of any length up to nearly the capacity, or of "
		"a fixed type side by side, or, with --stream, of bytes without boundaries (of "
		"lines their newlines too are left out, unless --raw is given). There is one "
		"consumer and, without --producers many, one producer: who pushes while another "
		"process does, or pops while another does, is refused and told who that is; the "
		"place of one that died goes to the next. A producer that dies leaves its "
		"message wholly or not at all. What a consumer had looked at and not taken for "
		"good when it died is delivered again, marked as redelivered. With --checksum a "
		"message that was changed in the memory, or in the file, is reported and "
		"dropped. cap and used count bytes; a message of a variable type takes 8 more "
		"than it has, rounded up to 8. close lets nothing more in: the consumer gets "
		"what is there, and then the end.",
	.type = "str",
	.flags = IPK_KIND_INDEXED | IPK_KIND_PUSH | IPK_KIND_LOG,
	.params = params,
	.ops = ipk_ring_ops,
	.stats = ipk_ring_stat_names,
	.size = ring_size,
	.create = ring_create,
	.attach = ring_attach,
	.detach = ring_detach,
	.attachable = ipk_ring_attachable,
	.recover = ipk_ring_recover,
	.wake = ipk_ring_wake,
	.inspect = ipk_ring_inspect,
	.stats_visit = ipk_ring_stats,
	.items = ipk_ring_items,
	.item = ipk_ring_item,
	.holders = ipk_ring_holders,
	.check = ipk_ring_check,
	.repair = ipk_ring_repair,
	.bench = &bench,
};
