/* SPDX-License-Identifier: MIT */
/*
 * The thread that looks for changes on behalf of poll(2), every 10 ms while somebody polls: a view
 * may only read, so nobody can wake it. Once a second it also drops what was kept for a moment.
 */
#include <errno.h>
#include <poll.h>
#include <time.h>

#include "ipcfs.h"

#define LOOK_NS 10000000
#define TIDY_NS 1000000000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake;
static struct handle *watched;
static pthread_t thread;
static bool running, stopping;

/* Lock held. */
static void unlink_handle(struct handle *h)
{
	if (!h->watched)
		return;
	if (h->watch_prev)
		h->watch_prev->watch_next = h->watch_next;
	else
		watched = h->watch_next;
	if (h->watch_next)
		h->watch_next->watch_prev = h->watch_prev;
	h->watched = false;
}

static void drop_poll(struct handle *h)
{
	unlink_handle(h);
	if (h->poll)
		fuse_pollhandle_destroy(h->poll);
	h->poll = NULL;
}

void watch_add(struct handle *h, struct fuse_pollhandle *ph)
{
	pthread_mutex_lock(&lock);
	drop_poll(h);
	h->poll = ph;
	h->watched = true;
	h->watch_prev = NULL;
	h->watch_next = watched;
	if (watched)
		watched->watch_prev = h;
	watched = h;
	watch_seen(h, 0);
	pthread_cond_signal(&wake);
	pthread_mutex_unlock(&lock);
}

void watch_seen(struct handle *h, unsigned events)
{
	__atomic_store_n(&h->seen, events, __ATOMIC_RELAXED);
}

/* Returns when nobody looks at h any more. */
void watch_remove(struct handle *h)
{
	pthread_mutex_lock(&lock);
	drop_poll(h);
	pthread_mutex_unlock(&lock);
}

/* Lock held. Tells once; whoever goes on polling asks again. */
static void look(struct handle *h)
{
	unsigned events = handle_events(NULL, h);
	unsigned seen = __atomic_exchange_n(&h->seen, events, __ATOMIC_RELAXED);

	if (events & ~seen) {
		fuse_lowlevel_notify_poll(h->poll);
		drop_poll(h);
	}
}

static void *watch(void *arg)
{
	struct handle *h, *next;
	struct timespec until;
	int64_t tidied = now_ns();

	(void)arg;
	pthread_mutex_lock(&lock);
	while (!stopping) {
		int64_t at = now_ns() + (watched ? LOOK_NS : TIDY_NS);

		until.tv_sec = at / 1000000000;
		until.tv_nsec = at % 1000000000;
		pthread_cond_timedwait(&wake, &lock, &until);
		for (h = watched; h && !stopping; h = next) {
			next = h->watch_next;
			look(h);
		}
		if (now_ns() - tidied >= TIDY_NS) {
			views_expire(false);
			nodes_expire();
			tidied = now_ns();
		}
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

int watch_start(void)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&wake, &attr);
	pthread_condattr_destroy(&attr);
	running = pthread_create(&thread, NULL, watch, NULL) == 0;
	return running ? 0 : -EAGAIN;
}

void watch_stop(void)
{
	if (!running)
		return;
	pthread_mutex_lock(&lock);
	stopping = true;
	pthread_cond_signal(&wake);
	pthread_mutex_unlock(&lock);
	pthread_join(thread, NULL);
	views_expire(true);
}
