/* SPDX-License-Identifier: MIT */
#include "crash.h"
#include "ipk/barrier.h"
#include "ipk/channel.h"
#include "ipk/future.h"
#include "ipk/lazy.h"
#include "ipk/mutex.h"
#include "ipk/once.h"
#include "ipk/pool.h"
#include "ipk/queue.h"
#include "ipk/rwlock.h"
#include "ipk/semaphore.h"
#include "ipk/stack.h"
#include "ipk/stream.h"
#include "kinds/ring.h"

/* Where several calls pass something on: one process runs one trial at a time. */
static struct ipk_queue_lease lease;

static int pop(void *q, unsigned from, unsigned to)
{
	char buf[4096];

	return from == 0 && to > 0 ? ipk_queue_pop(q, buf, sizeof(buf), NULL, IPK_NOWAIT) : 0;
}

static int lease_ack(void *q, unsigned from, unsigned to)
{
	int r = 0;

	if (from == 0 && to > 0)
		r = ipk_queue_lease(q, &lease, IPK_NOWAIT);
	if (r == 0 && to > 1)
		r = ipk_queue_ack(q, &lease);
	return r;
}

static int lease_nack(void *q, unsigned from, unsigned to)
{
	int r = 0;

	if (from == 0 && to > 0)
		r = ipk_queue_lease(q, &lease, IPK_NOWAIT);
	if (r == 0 && to > 1)
		r = ipk_queue_nack(q, &lease);
	return r;
}

static struct ipk_stack_lease stack_lease;

static int stack_pop(void *s, unsigned from, unsigned to)
{
	char buf[4096];

	return from == 0 && to > 0 ? ipk_stack_pop(s, buf, sizeof(buf), NULL, IPK_NOWAIT) : 0;
}

static int stack_lease_ack(void *s, unsigned from, unsigned to)
{
	int r = 0;

	if (from == 0 && to > 0)
		r = ipk_stack_lease(s, &stack_lease, IPK_NOWAIT);
	if (r == 0 && to > 1)
		r = ipk_stack_ack(s, &stack_lease);
	return r;
}

static int stack_lease_nack(void *s, unsigned from, unsigned to)
{
	int r = 0;

	if (from == 0 && to > 0)
		r = ipk_stack_lease(s, &stack_lease, IPK_NOWAIT);
	if (r == 0 && to > 1)
		r = ipk_stack_nack(s, &stack_lease);
	return r;
}

static int acquire_release(void *sem, unsigned from, unsigned to)
{
	int r = 0;

	if (from == 0 && to > 0)
		r = ipk_semaphore_acquire(sem, 1, IPK_NOWAIT);
	if (r == 0 && to > 1)
		r = ipk_semaphore_release(sem, 1);
	return r;
}

static int acquire_release_3(void *sem, unsigned from, unsigned to)
{
	int r = 0;

	if (from == 0 && to > 0)
		r = ipk_semaphore_acquire(sem, 3, IPK_NOWAIT);
	if (r == 0 && to > 1)
		r = ipk_semaphore_release(sem, 3);
	return r;
}

static int lock_unlock(void *mutex, unsigned from, unsigned to)
{
	int r = 0;

	if (from == 0 && to > 0)
		r = ipk_mutex_lock(mutex, IPK_NOWAIT);
	if ((r == 0 || r == -EOWNERDEAD) && to > 1)
		ipk_mutex_unlock(mutex);
	return r;
}

static int read_unlock(void *lock, unsigned from, unsigned to)
{
	int r = 0;

	if (from == 0 && to > 0)
		r = ipk_rwlock_lock_shared(lock, IPK_NOWAIT);
	if (r == 0 && to > 1)
		ipk_rwlock_unlock(lock);
	return r;
}

static int write_unlock(void *lock, unsigned from, unsigned to)
{
	int r = 0;

	if (from == 0 && to > 0)
		r = ipk_rwlock_lock(lock, IPK_NOWAIT);
	if ((r == 0 || r == -EOWNERDEAD) && to > 1)
		ipk_rwlock_unlock(lock);
	return r;
}

/* The writer finds a word that says that readers may be in. */
static int read_write(void *lock, unsigned from, unsigned to)
{
	int r = read_unlock(lock, from, to);

	if (r == 0 && to > 2)
		r = write_unlock(lock, from > 2 ? from - 2 : 0, to - 2);
	return r;
}

static int begin_done(void *once, unsigned from, unsigned to)
{
	int r = from > 0;

	if (from == 0 && to > 0)
		r = ipk_once_begin(once, IPK_NOWAIT);
	if (r > 0 && to > 1)
		ipk_once_done(once);
	return r > 0 ? 1 : r;
}

static int pool_acquire_release(void *pool, unsigned from, unsigned to)
{
	static uint64_t index;
	int r = 0;

	if (from == 0 && to > 0)
		r = ipk_pool_acquire(pool, IPK_NOWAIT, &index);
	if (r == 0 && to > 1)
		r = ipk_pool_release(pool, index);
	return r;
}

/* By pointer. */
static int pool_views(void *pool, unsigned from, unsigned to)
{
	static void *object;
	int r = 0;

	if (from == 0 && to > 0)
		r = ipk_pool_acquire_view(pool, IPK_NOWAIT, &object);
	if (r == 0 && to > 1)
		r = ipk_pool_release_view(pool, object);
	return r;
}

/* Who dies with what it gave to nobody leaves it taken. */
static int pool_give_claim(void *pool, unsigned from, unsigned to)
{
	static uint64_t index;
	int r = 0;

	if (from == 0 && to > 0)
		r = ipk_pool_acquire(pool, IPK_NOWAIT, &index);
	if (r == 0 && from <= 1 && to > 1)
		r = ipk_pool_give(pool, index);
	if (r == 0 && to > 2)
		r = ipk_pool_claim(pool, index);
	return r;
}

static int wait_leave(void *barrier, unsigned from, unsigned to)
{
	int r = 0;

	if (from == 0 && to > 0)
		r = ipk_barrier_wait(barrier, IPK_NOWAIT);
	if (to > 1)
		ipk_barrier_leave(barrier);
	return r;
}

static struct ipk_ring *ring_of(void *handle)
{
	return &((struct ipk_ring_handle *)handle)->pub;
}

/* Inline, once the role has been taken by the first. */
static int push_twice(void *handle, unsigned from, unsigned to)
{
	int r = 0;

	for (; r == 0 && from < to; from++)
		r = ipk_ring_push(ring_of(handle), from ? "second" : "first", from ? 6 : 5,
				  IPK_NOWAIT);
	return r == -EMSGSIZE ? 0 : r;
}

static int pop_twice(void *handle, unsigned from, unsigned to)
{
	char buf[4096];
	int r = 0;

	for (; r == 0 && from < to; from++)
		r = ipk_ring_pop(ring_of(handle), buf, sizeof(buf), NULL, IPK_NOWAIT);
	return r;
}

static int reserve_commit(void *handle, unsigned from, unsigned to)
{
	static struct ipk_ring_room room;
	int r = 0;

	if (from == 0 && to > 0)
		r = ipk_ring_reserve(ring_of(handle), 24, &room, IPK_NOWAIT);
	if (r == 0 && to > 1 && room.data) {
		memset(room.data, 'r', room.len);
		r = ipk_ring_commit(ring_of(handle), &room, room.len);
	}
	return r == -EMSGSIZE ? 0 : r;
}

static int reserve_abort(void *handle, unsigned from, unsigned to)
{
	static struct ipk_ring_room room;
	int r = 0;

	if (from == 0 && to > 0)
		r = ipk_ring_reserve(ring_of(handle), 24, &room, IPK_NOWAIT);
	if (r == 0 && to > 1 && room.data)
		ipk_ring_abort(ring_of(handle), &room);
	return r == -EMSGSIZE ? 0 : r;
}

static int peek_release(void *handle, unsigned from, unsigned to)
{
	static struct ipk_ring_message m[2];
	static int n;

	if (from == 0 && to > 0)
		n = ipk_ring_peek_many(ring_of(handle), m, 2, IPK_NOWAIT);
	if (n > 0 && to > 1)
		ipk_ring_release(ring_of(handle), &m[n - 1]);
	return n < 0 ? n : 0;
}

static int claim_abandon(void *future, unsigned from, unsigned to)
{
	int r = 0;

	if (from == 0 && to > 0)
		r = ipk_future_claim(future);
	if (r == 0 && to > 1)
		ipk_future_abandon(future);
	return r;
}

static int claim_fail(void *future, unsigned from, unsigned to)
{
	int r = 0;

	if (from == 0 && to > 0)
		r = ipk_future_claim(future);
	if (r == 0 && to > 1)
		ipk_future_fail(future, "why", 3);
	return r;
}

static int claim_set(void *future, unsigned from, unsigned to)
{
	int r = 0;

	if (from == 0 && to > 0)
		r = ipk_future_claim(future);
	if (r == 0 && to > 1)
		ipk_future_set(future, "12345678", 8);
	return r;
}

/* Who dies between taking and dropping a continuation has not taken it. */
static int then_fail_next(void *future, unsigned from, unsigned to)
{
	struct ipk_future_next next;
	int r = 0;

	if (from == 0 && to > 0)
		r = ipk_future_then(future, "what", 4);
	if (r == 0 && from <= 1 && to > 1)
		ipk_future_fail(future, "why", 3);
	if (r == 0 && to > 2 && ipk_future_next(future, &next, IPK_NOWAIT) == 0)
		ipk_future_done(future, &next);
	return r;
}

static struct ipk_lazy_run lazy_run;

static int lazy_begin_done(void *lazy, unsigned from, unsigned to)
{
	static const char zeros[64];
	int r = 1;

	if (from == 0 && to > 0)
		r = ipk_lazy_begin(lazy, &lazy_run, IPK_NOWAIT);
	/* Of whatever type: one of these is its size. */
	for (size_t len = sizeof(zeros); r == 1 && to > 1 && lazy_run.word && len; len--)
		ipk_lazy_done(lazy, &lazy_run, zeros, len);
	return r;
}

static int lazy_begin_fail(void *lazy, unsigned from, unsigned to)
{
	int r = 1;

	if (from == 0 && to > 0)
		r = ipk_lazy_begin(lazy, &lazy_run, IPK_NOWAIT);
	if (r == 1 && to > 1)
		ipk_lazy_fail(lazy, &lazy_run, "why", 3);
	return r;
}

static int lazy_begin_abandon(void *lazy, unsigned from, unsigned to)
{
	int r = 1;

	if (from == 0 && to > 0)
		r = ipk_lazy_begin(lazy, &lazy_run, IPK_NOWAIT);
	if (r == 1 && to > 1)
		ipk_lazy_abandon(lazy, &lazy_run);
	return r;
}

static int lazy_begin_reset(void *lazy, unsigned from, unsigned to)
{
	int r = 1;

	if (from == 0 && to > 0)
		r = ipk_lazy_begin(lazy, &lazy_run, IPK_NOWAIT);
	if (r == 1 && to > 1)
		ipk_lazy_reset(lazy);
	return r;
}

static int lazy_ones(void *arg, struct ipk_buf *out)
{
	(void)arg;
	return ipk_buf_add(out, "11111111", 8);
}

/* All of it at once: a type of another size refuses what this computes, and stays empty. */
static int lazy_force(void *lazy, unsigned from, unsigned to)
{
	char buf[4096];

	return from == 0 && to > 0
		       ? ipk_lazy_force(lazy, lazy_ones, NULL, buf, sizeof(buf), NULL, IPK_NOWAIT)
		       : 0;
}

/* A place that is kept: taken, moved on, given back. */
static int next_ack(void *stream, unsigned from, unsigned to)
{
	static struct ipk_stream_sub *sub;
	char buf[4096];
	int r = 0;

	if (from == 0 && to > 0)
		r = ipk_stream_subscribe(stream, "me", IPK_STREAM_FROM_START, &sub, NULL);
	if (r == 0 && to > 1 && ipk_stream_next(sub, buf, sizeof(buf), NULL, IPK_NOWAIT) == 0)
		r = ipk_stream_ack(sub);
	if (r == 0 && to > 1)
		ipk_stream_unsubscribe(sub);
	return r;
}

/* Two records and a count of them, or neither. Answers the count. */
static int commit(void *stream, unsigned from, unsigned to)
{
	static const char text[8] = "12345678";
	const struct iovec v[2] = {{(void *)text, sizeof(text)}, {(void *)text, sizeof(text)}};
	uint64_t n = 0;
	size_t len = 0;
	int r;

	if (from != 0 || to == 0)
		return 0;
	r = ipk_stream_state(stream, &n, sizeof(n), &len);
	if (r < 0 || (len && len != sizeof(n)))
		return r < 0 ? r : -EBADMSG;
	n++;
	r = ipk_stream_commit(stream, v, 2, &n, sizeof(n), IPK_NOWAIT);
	return r < 0 ? r : (int)n;
}

static int select_recv(void *channel, unsigned from, unsigned to)
{
	char buf[4096];
	struct ipk_channel_case c = {.channel = channel, .buf = buf, .size = sizeof(buf)};
	unsigned which;

	return from == 0 && to > 0 ? ipk_channel_select(&c, 1, &which, IPK_NOWAIT) : 0;
}

/* Of a type that has another size it is refused. */
static int select_send(void *channel, unsigned from, unsigned to)
{
	struct ipk_channel_case c = {
		.channel = channel, .send = true, .value = "12345678", .len = 8};
	unsigned which;

	return from == 0 && to > 0 ? ipk_channel_select(&c, 1, &which, IPK_NOWAIT) : 0;
}

const struct calls calls[] = {
	{"queue", "pop()", 1, pop, 0, 0, 1},
	{"queue", "push_many()", 1, queue_push_many, 0, 0, 0},
	{"queue", "pop_many()", 1, queue_pop_many, 0, 0, 3},
	{"queue", "lease() ack()", 2, lease_ack, 1, 0, 0},
	{"queue", "lease() nack()", 2, lease_nack, 2, 0, 0},
	{"stack", "pop()", 1, stack_pop, 0, 0, 1},
	{"stack", "lease() ack()", 2, stack_lease_ack, 1, 0, 0},
	{"stack", "lease() nack()", 2, stack_lease_nack, 2, 0, 0},
	{"semaphore", "acquire() release()", 2, acquire_release, 2, 0, 0},
	{"semaphore", "acquire(3) release(3)", 2, acquire_release_3, 2, 0, 3},
	{"mutex", "lock() unlock()", 2, lock_unlock, 0, -EOWNERDEAD, 0},
	{"rwlock", "lock_shared() unlock()", 2, read_unlock, 2, 0, 0},
	{"rwlock", "lock() unlock()", 2, write_unlock, 0, -EOWNERDEAD, 0},
	{"rwlock", "lock_shared() unlock() lock() unlock()", 4, read_write, 2, 0, 0},
	{"once", "begin() done()", 2, begin_done, 1, 0, 0},
	{"pool", "acquire() release()", 2, pool_acquire_release, 2, 0, 0},
	{"pool", "acquire_view() release_view()", 2, pool_views, 2, 0, 0},
	{"pool", "acquire() give() claim()", 3, pool_give_claim, 1, 0, 0},
	{"barrier", "wait() leave()", 2, wait_leave, 0, -EOWNERDEAD, 0},
	{"ring", "push() push()", 2, push_twice, 0, 0, 0},
	{"ring", "pop() pop()", 2, pop_twice, 0, 0, 0},
	{"ring", "reserve() commit()", 2, reserve_commit, 1, 0, 0},
	{"ring", "reserve() abort()", 2, reserve_abort, 2, 0, 0},
	{"ring", "peek() release()", 2, peek_release, 1, 0, 0},
	{"future", "claim() abandon()", 2, claim_abandon, 0, -EOWNERDEAD, 0},
	{"future", "claim() fail()", 2, claim_fail, 0, -EOWNERDEAD, 0},
	{"future", "claim() set()", 2, claim_set, 0, -EOWNERDEAD, 0},
	{"future", "then() fail() next()", 3, then_fail_next, 0, 0, 0},
	{"lazy", "begin() done()", 2, lazy_begin_done, 1, 0, 0},
	{"lazy", "begin() fail()", 2, lazy_begin_fail, 1, 0, 0},
	{"lazy", "begin() abandon()", 2, lazy_begin_abandon, 2, 0, 0},
	{"lazy", "begin() reset()", 2, lazy_begin_reset, 1, 0, 0},
	{"lazy", "force()", 1, lazy_force, 0, 0, 0},
	{"stream", "next() ack()", 2, next_ack, 1, 0, 0},
	{"stream", "commit()", 1, commit, 0, 0, 0},
	{"channel", "select(recv)", 1, select_recv, 0, 0, 0},
	{"channel", "select(send)", 1, select_send, 0, 0, 0},
	{0},
};
