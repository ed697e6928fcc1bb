/* SPDX-License-Identifier: MIT */
/*
 * .wait: each read waits for a record and takes it. The verb runs in the thread of the read; when
 * it flushes, the record is handed to the kernel, and only if the kernel took it does the verb
 * acknowledge. A read with too little room gets the record's beginning: the verb then stays in its
 * flush until further reads had the rest, or the file is closed and the record goes back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ipcfs.h"

#define LOOK_NS INT64_C(10000000) /* who may only read cannot be woken */

struct request {
	struct job *j;
	size_t size;
	bool served;
};

struct waiter {
	pthread_mutex_t lock;
	pthread_cond_t change;
	bool running;    /* a verb, in the thread of some read */
	bool delivering; /* it has delivered a part of its record */
	bool closing;
	struct request *next; /* wants more of that */
	/* of the thread that runs; a value's record changes under the lock, a poll looks at it */
	struct ipk_buf record;
	size_t off;
	struct request *now;
	/* of a verb that reads on: behind what was delivered; and behind what is */
	uint64_t place, end;
};

/* Takes nothing: it was not there when the file was opened. */
static int refuse(struct ipk_call *call, const struct ipk_item *item)
{
	(void)call, (void)item;
	return -EAGAIN;
}

/* What comes from the opening on is read, not from the first read on. */
static void begin_here(struct handle *h)
{
	const struct ipk_op *op = tree_wait_op(h->attach->kind, h->place.key);
	struct ipk_call call = {.count = 1, .emit = refuse, .place = &h->waiter->place};

	if (op && op->flags & IPK_OP_PLACE)
		attach_run(h->attach, op, &call, NULL);
}

int wait_open(struct handle *h)
{
	struct waiter *w;
	int r = 0;

	if (strcmp(h->place.key, "value") != 0)
		r = attach_open(&h->place, &h->attach);
	if (r < 0)
		return r;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->change, NULL);
	w->place = UINT64_MAX;
	h->waiter = w;
	if (h->attach)
		begin_here(h);
	return 0;
}

/* Lock held. Waits for a change, not for long: cancelling a job does not signal the condition. */
static void await_change(struct waiter *w)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 100000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_cond_timedwait(&w->change, &w->lock, &until);
}

void wait_shut(struct handle *h)
{
	struct waiter *w = h->waiter;

	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->closing = true;
	pthread_cond_broadcast(&w->change);
	pthread_mutex_unlock(&w->lock);
}

void wait_free(struct handle *h)
{
	struct waiter *w = h->waiter;

	if (!w)
		return;
	pthread_cond_destroy(&w->change);
	pthread_mutex_destroy(&w->lock);
	ipk_buf_free(&w->record);
	free(w);
}

/* ---- the verb's callbacks --------------------------------------------------------------- */

static int emit(struct ipk_call *call, const struct ipk_item *item)
{
	struct waiter *w = call->tool;
	int r = item->text ? ipk_buf_add(&w->record, item->data, item->len)
			   : ipk_value_print(call->type, item->data, item->len, 0, &w->record);

	w->end = item->pos + 1;

	return r < 0 && r != -EBADMSG ? r : ipk_buf_add(&w->record, "\n", 1);
}

/*
 * Lock held, for whoever got the reply may poll before this returns. As much as the request has
 * room for; true when the kernel has it.
 */
static bool deliver(struct waiter *w, struct request *q)
{
	size_t n = w->record.len - w->off;

	if (n > q->size)
		n = q->size;
	if (!job_claim(q->j))
		return false;
	q->served = true;
	if (fuse_reply_buf(q->j->req, w->record.data + w->off, n) < 0)
		return false;
	w->off += n;
	if (w->off == w->record.len && w->place != UINT64_MAX)
		w->place = w->end;
	return true;
}

static int flush(struct ipk_call *call)
{
	struct waiter *w = call->tool;
	struct job *first = w->now->j;
	int r = 0;

	if (w->record.len == 0)
		return 0;
	pthread_mutex_lock(&w->lock);
	if (!deliver(w, w->now))
		r = -EINTR;
	w->delivering = r == 0;
	while (w->off < w->record.len && r == 0) {
		if (w->next) {
			struct request *q = w->next;

			deliver(w, q);
			q->served = true;
			w->next = NULL;
			pthread_cond_broadcast(&w->change);
		} else if (w->closing || job_cancelled(first)) {
			r = -EPIPE; /* no more than a part of it has gone out: it goes back */
		} else {
			await_change(w);
		}
	}
	w->delivering = false;
	pthread_mutex_unlock(&w->lock);
	return r;
}

/* ---- reading ---------------------------------------------------------------------------- */

/* Lock held. Has the running verb serve q; false when it ended without. */
static bool hand_over(struct waiter *w, struct request *q)
{
	while (w->delivering && w->next && !job_cancelled(q->j))
		await_change(w);
	if (!w->delivering || job_cancelled(q->j))
		return false;
	w->next = q;
	pthread_cond_broadcast(&w->change);
	while (!q->served && w->next == q && w->delivering && !job_cancelled(q->j))
		await_change(w);
	if (w->next == q)
		w->next = NULL;
	return q->served;
}

/* Waits until this read may run the verb. 1: it was served, or -errno. */
static int take_turn(struct waiter *w, struct request *q, bool nonblock)
{
	int r = 0;

	pthread_mutex_lock(&w->lock);
	while (r == 0 && w->running) {
		if (w->delivering)
			r = hand_over(w, q);
		else if (nonblock)
			r = -EAGAIN;
		else
			await_change(w);
		if (r == 0 && job_cancelled(q->j))
			r = -EINTR;
	}
	if (r == 0)
		w->running = true;
	pthread_mutex_unlock(&w->lock);
	return r;
}

static void end_turn(struct waiter *w)
{
	pthread_mutex_lock(&w->lock);
	w->running = false;
	pthread_cond_broadcast(&w->change);
	pthread_mutex_unlock(&w->lock);
}

static int run_verb(struct handle *h, struct request *q, bool nonblock)
{
	struct waiter *w = h->waiter;
	const struct ipk_op *op = tree_wait_op(h->attach->kind, h->place.key);
	struct ipk_call call = {
		.count = 1,
		.timeout = nonblock ? 0 : -1,
		.emit = emit,
		.flush = flush,
		.tool = w,
	};
	uint64_t place = w->place; /* which delivering moves on */

	if (place != UINT64_MAX)
		call.place = &place;
	w->record.len = w->off = 0;
	w->now = q;
	return attach_run(h->attach, op, &call, q->j);
}

/* The object's value as a line; F_WAIT itself renders as nothing. */
static int wait_value(struct job *j, struct handle *h, struct ipk_buf *out)
{
	struct place p = h->place;

	p.file = F_VALUE;
	p.key = NULL;
	p.key_len = 0;
	return tree_render(j, &p, out);
}

static bool is_record(const struct waiter *w, const struct ipk_buf *value)
{
	return value->len == w->record.len && memcmp(value->data, w->record.data, value->len) == 0;
}

/* The value now, and after that whenever it is another one. */
static int await_value(struct handle *h, struct request *q, bool nonblock)
{
	struct waiter *w = h->waiter;
	struct ipk_buf now = {0};
	int r = 0;

	while (r == 0 && w->off == w->record.len) {
		r = wait_value(q->j, h, &now);
		if (r < 0)
			break;
		if (is_record(w, &now)) {
			r = nonblock ? -EAGAIN : job_sleep(q->j, LOOK_NS);
			continue;
		}
		pthread_mutex_lock(&w->lock);
		ipk_buf_free(&w->record);
		w->record = now;
		w->off = 0;
		pthread_mutex_unlock(&w->lock);
		now = (struct ipk_buf){0};
	}
	ipk_buf_free(&now);
	pthread_mutex_lock(&w->lock);
	if (r == 0)
		deliver(w, q);
	pthread_mutex_unlock(&w->lock);
	return r;
}

void wait_read(struct job *j, struct handle *h, size_t size, bool nonblock)
{
	struct waiter *w = h->waiter;
	struct request q = {.j = j, .size = size};
	int r = nonblock || session_may_block() ? take_turn(w, &q, nonblock) : -EAGAIN;

	if (r == 0) {
		r = h->attach ? run_verb(h, &q, nonblock) : await_value(h, &q, nonblock);
		end_turn(w);
	}
	if (q.served || !job_claim(j))
		return;
	if (r == -EPIPE)
		fuse_reply_buf(j->req, NULL, 0); /* closed: the end */
	else
		fuse_reply_err(j->req, r < 0 ? -handle_errno(r) : EAGAIN);
}

/* ---- poll ------------------------------------------------------------------------------- */

static int is_free(void *arg, const struct ipk_item *item)
{
	(void)arg;
	return !item->leased;
}

static int end_u64(struct ipk_visitor *v, const char *name, uint64_t val)
{
	(void)v;
	return val && (strcmp(name, "closed") == 0 || strcmp(name, "shut") == 0);
}

static int end_i64(struct ipk_visitor *v, const char *name, int64_t val)
{
	(void)v, (void)name, (void)val;
	return 0;
}

static int end_bool(struct ipk_visitor *v, const char *name, bool val)
{
	return end_u64(v, name, val);
}

static int end_str(struct ipk_visitor *v, const char *name, const char *val)
{
	(void)v, (void)name, (void)val;
	return 0;
}

/* from: the first position that can be read, for a reader with a place of its own. */
static bool has_record(struct handle *h, uint64_t from)
{
	struct ipk_visitor closed = {end_u64, end_i64, end_bool, end_str};
	struct place p = h->place;
	struct subject s;
	bool ready;
	int r = subject_open(&s, &p);

	/* What cannot be read any more does not wait either. */
	ready = r < 0 || !s.kind;
	if (!ready && s.kind->items)
		ready = s.kind->items(&s.obj, from, UINT64_MAX, is_free, NULL) != 0;
	if (!ready && s.kind->stats_visit)
		ready = s.kind->stats_visit(&s.obj, &closed) != 0;
	subject_close(&s, &p);
	return ready;
}

bool wait_ready(struct job *j, struct handle *h)
{
	struct waiter *w = h->waiter;
	struct ipk_buf now = {0};
	uint64_t from;
	bool ready;

	if (h->attach) {
		pthread_mutex_lock(&w->lock);
		ready = w->delivering;
		from = w->place == UINT64_MAX ? 0 : w->place;
		pthread_mutex_unlock(&w->lock);
		return ready || has_record(h, from);
	}
	ready = wait_value(j, h, &now) < 0;
	pthread_mutex_lock(&w->lock);
	ready = ready || w->off < w->record.len || !is_record(w, &now);
	pthread_mutex_unlock(&w->lock);
	ipk_buf_free(&now);
	return ready;
}
