/* SPDX-License-Identifier: MIT */
#include "crash.h"
#include "ipk/barrier.h"
#include "ipk/mutex.h"
#include "ipk/queue.h"
#include "ipk/semaphore.h"

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

static int wait_leave(void *barrier, unsigned from, unsigned to)
{
	int r = 0;

	if (from == 0 && to > 0)
		r = ipk_barrier_wait(barrier, IPK_NOWAIT);
	if (to > 1)
		ipk_barrier_leave(barrier);
	return r;
}

const struct calls calls[] = {
	{"queue", "pop()", 1, pop},
	{"queue", "lease() ack()", 2, lease_ack},
	{"queue", "lease() nack()", 2, lease_nack},
	{"semaphore", "acquire() release()", 2, acquire_release},
	{"semaphore", "acquire(3) release(3)", 2, acquire_release_3},
	{"mutex", "lock() unlock()", 2, lock_unlock},
	{"barrier", "wait() leave()", 2, wait_leave},
	{0},
};
