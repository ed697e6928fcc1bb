/* SPDX-License-Identifier: MIT */
/* Running derived streams: from the sources through the pipeline into commits. */
#include <stdlib.h>

#include "base/futex.h"
#include "kinds/await.h"
#include "kinds/stream_derive.h"

#define STEPS 1024 /* records read for one commit at most */

/* ---- what comes out --------------------------------------------------------------------- */

static int save(struct ipk_derive *d)
{
	d->state.len = 0;
	return ipk_pipe_save(d->pipe, &d->state);
}

static bool fits(const struct ipk_derive *d, size_t len)
{
	const struct ipk_derive_batch *b = &d->batch;

	return b->n < b->most && ipk_align_up(b->spans, 8) + len <= d->out->s.spare;
}

static int put(struct ipk_derive *d, const void *data, size_t len)
{
	struct ipk_derive_batch *b = &d->batch;
	int r = len ? ipk_buf_add(&b->bytes, data, len) : 0;

	if (r < 0)
		return r;
	b->spans = ipk_align_up(b->spans, 8) + len;
	b->end[b->n++] = b->bytes.len;
	/* Of a variable type the next one may not fit: then these are committed with the state of
	 * now. */
	return d->type->size ? 0 : save(d);
}

static int print_list(struct ipk_derive *d, const struct ipk_pipe_item *it)
{
	const struct ipk_expr_list list = {.data = it->data, .ends = it->ends, .n = it->n};
	bool is_list;

	d->text.len = 0;
	return ipk_expr_list_print(ipk_pipe_type(d->pipe, &is_list), &list, &d->text);
}

int ipk_derive_add(void *arg, const struct ipk_pipe_item *it)
{
	struct ipk_derive *d = arg;
	const void *data = it->data;
	size_t len = it->len;
	int r;

	if (it->list) {
		r = print_list(d, it);
		if (r < 0)
			return r;
		data = d->text.data;
		len = d->text.len;
	}
	if (len > d->out->s.spare) {
		d->pipe->head.failed++;
		ipk_error_set(&d->pipe->failure, -EMSGSIZE,
			      "a record of %zu bytes, and the stream holds %llu", len,
			      (unsigned long long)d->out->s.spare);
		return 0;
	}
	if (fits(d, len))
		return put(d, data, len);
	d->overflow = true;
	d->next.len = 0;
	return len ? ipk_buf_add(&d->next, data, len) : 0;
}

/* ---- what comes in ---------------------------------------------------------------------- */

/* Reads ahead by one record. -EAGAIN: none is there; 0: one is, or the source has ended. */
static int fill(struct ipk_derive *d, unsigned i)
{
	struct ipk_derive_source *s = &d->source[i];
	int r;

	if (s->have)
		return 0;
	while ((r = ipk_stream_next(s->sub, s->buf, s->room, &s->item, IPK_NOWAIT)) == -EMSGSIZE) {
		u8 *more = realloc(s->buf, s->item.len);

		if (!more)
			return -ENOMEM;
		s->buf = more;
		s->room = s->item.len;
	}
	s->have = r == 0;
	if (r == -EPIPE) {
		d->pipe->source[i].place.ended = 1;
		d->pending = true;
		r = 0;
	}
	return r;
}

static int consume(struct ipk_derive *d, unsigned i)
{
	struct ipk_derive_source *s = &d->source[i];

	s->have = false;
	d->pending = true;
	d->pipe->source[i].place.next = s->item.pos + 1;
	d->pipe->head.missed += s->item.lost;
	return ipk_pipe_feed(d->pipe, i, s->buf, s->item.len, s->item.time);
}

/* 1: something was done; 0: it is all done; -EAGAIN: nothing is there to be done. */
static int step(struct ipk_derive *d)
{
	unsigned best = IPK_DERIVE_SOURCES;
	int r = ipk_pipe_flush(d->pipe);
	bool ended = false;

	if (r) {
		d->pending = true;
		return r;
	}
	if (ipk_pipe_done(d->pipe))
		return 0;
	for (unsigned i = 0; i < d->pipe->sources; i++) {
		if (!ipk_pipe_wants(d->pipe, i))
			continue;
		r = fill(d, i);
		if (r < 0 && r != -EAGAIN)
			return r;
		ended |= d->pipe->source[i].place.ended != 0;
		if (d->source[i].have && (best == IPK_DERIVE_SOURCES ||
					  d->source[i].item.time < d->source[best].item.time))
			best = i;
	}
	if (best == IPK_DERIVE_SOURCES)
		return ended ? 1 : -EAGAIN;
	r = consume(d, best);
	return r < 0 ? r : 1;
}

/* ---- running ---------------------------------------------------------------------------- */

/* Tells the sources what need not be kept any more. */
static void acknowledge(struct ipk_derive *d)
{
	for (unsigned i = 0; i < d->pipe->sources; i++) {
		struct ipk_derive_source *s = &d->source[i];
		u64 at = ipk_stream_position(s->sub);

		ipk_stream_seek(s->sub, s->have ? s->item.pos : at);
		ipk_stream_ack(s->sub);
		ipk_stream_seek(s->sub, at);
	}
}

static int commit(struct ipk_derive *d, u64 *ret_emitted, i64 deadline, struct ipk_error *err)
{
	struct iovec values[IPK_STREAM_BATCH];
	struct ipk_derive_batch *b = &d->batch;
	int r;

	for (unsigned i = 0; i < b->n; i++) {
		size_t from = i ? b->end[i - 1] : 0;

		values[i] =
			(struct iovec){b->bytes.data ? b->bytes.data + from : "", b->end[i] - from};
	}
	if (d->state.len > d->out->s.room)
		return ipk_error_set(err, -ENOSPC,
				     "its operators keep %zu bytes, and --state has room for %llu: "
				     "derive it with more",
				     d->state.len, (unsigned long long)d->out->s.room);
	r = ipk_stream_commit(d->out, values, b->n, d->state.data, d->state.len, deadline);
	if (r == -EAGAIN)
		return ipk_error_set(err, -EBUSY,
				     "a named subscriber has not read what would be dropped");
	if (r < 0)
		return r;
	*ret_emitted += b->n;
	b->n = 0;
	b->bytes.len = 0;
	b->spans = 0;
	d->pending = false;
	return 0;
}

/* Computes until the batch is full or nothing is there. */
static int compute(struct ipk_derive *d, u64 max)
{
	int r = 1;

	for (unsigned i = 0;
	     r > 0 && i < STEPS && !d->overflow && d->batch.n < d->batch.most && d->batch.n < max;
	     i++)
		r = step(d);
	if (r < 0 && r != -EAGAIN)
		return r;
	return d->overflow || !d->pending ? r : save(d);
}

static int commit_all(struct ipk_derive *d, u64 *ret_emitted, i64 deadline, struct ipk_error *err)
{
	int r = commit(d, ret_emitted, deadline, err);

	if (r == 0 && d->overflow) {
		d->overflow = false;
		r = put(d, d->next.data, d->next.len);
		d->pending = true;
		if (r == 0 && d->type->size)
			r = save(d);
		if (r == 0)
			r = commit(d, ret_emitted, deadline, err);
	}
	if (r == 0)
		acknowledge(d);
	return r;
}

/* Something to do has come: 0. */
static int look(struct ipk_derive *d)
{
	bool stale = ipk_stale(&d->out->obj);

	if (ipk_stream_is_shut(d->out))
		return -EPIPE; /* whoever did that wants nothing more of it */
	for (unsigned i = 0; i < d->pipe->sources; i++) {
		int r = ipk_pipe_wants(d->pipe, i) ? fill(d, i) : -EAGAIN;

		if (r != -EAGAIN)
			return r;
		stale |= ipk_stale(&d->source[i].st->obj);
	}
	return stale ? -ESTALE : -EAGAIN;
}

static int wait_for_more(struct ipk_derive *d, i64 deadline)
{
	u32 *ev[IPK_DERIVE_SOURCES + 1] = {&d->out->b->ev};
	struct ipk_spin spin = {0};
	struct ipk_waiter waiter;
	struct ipk_self *me;
	int r, woken;

	me = ipk_use(&d->out->obj, &r);
	if (!me)
		return r;
	for (unsigned i = 0; i < d->pipe->sources; i++)
		ev[i + 1] = &d->source[i].st->b->ev;
	while ((r = look(d)) == -EAGAIN) {
		if (deadline == IPK_NOWAIT)
			return r;
		if (ipk_spin(&spin))
			continue;
		ipk_event_arm(me, &waiter, ev, d->pipe->sources + 1);
		r = look(d);
		woken = r == -EAGAIN ? ipk_event_sleep(me, &waiter, deadline) : 0;
		ipk_event_disarm(me, &waiter);
		if (woken < 0)
			return woken;
		if (r != -EAGAIN)
			return r;
	}
	return r;
}

/* Nothing more will be read: nothing is to be kept for it, and no producer to wait. */
static void leave_sources(struct ipk_derive *d)
{
	char name[IPK_STREAM_NAME_MAX + 1];

	d->ended = true;
	for (unsigned i = 0; i < d->pipe->sources; i++) {
		struct ipk_derive_source *s = &d->source[i];

		ipk_stream_sub_name(s->sub, name);
		ipk_stream_unsubscribe(s->sub);
		s->sub = NULL;
		ipk_stream_forget(s->st, name);
	}
}

static int run(struct ipk_derive *d, u64 max, u64 *ret_emitted, i64 deadline, struct ipk_error *err)
{
	int r = compute(d, max); /* beside what an earlier call could not commit */

	if (!d->pending && !ipk_pipe_done(d->pipe) && (r >= 0 || r == -EAGAIN)) {
		r = wait_for_more(d, deadline);
		if (r < 0)
			return r;
		r = compute(d, max);
	}
	d->broken = r == -ENOMEM;
	if (r < 0 && r != -EAGAIN)
		return r;
	if (d->pending)
		return commit_all(d, ret_emitted, deadline, err);
	if (!ipk_pipe_done(d->pipe))
		return -EAGAIN;
	/* Who dies in between is followed by a runner that does it: it is shut last. */
	leave_sources(d);
	r = ipk_stream_is_shut(d->out) ? 0 : ipk_stream_shutdown(d->out);
	return r < 0 ? r : -EPIPE;
}

int ipk_derive_run(struct ipk_derive *d, uint64_t max, uint64_t *ret_emitted, int64_t deadline,
		   struct ipk_error *err)
{
	struct ipk_error own = {0};
	int r;

	err = err ? err : &own;
	err->code = 0;
	if (d->broken || d->ended)
		r = d->broken ? -ENOMEM : -EPIPE;
	else
		r = max ? run(d, max, ret_emitted, deadline, err) : 0;
	if (r == -EPIPE && !d->ended)
		leave_sources(d);
	if (r < 0 && err->code != r)
		ipk_error_set(err, r, "%s", ipk_strerror(r));
	return r;
}
