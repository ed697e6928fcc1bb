/* SPDX-License-Identifier: MIT */
/*
 * The thread that looks for changes on behalf of poll(2), every 10 ms while somebody polls: a view
 * may only read, so nobody can wake it. It also looks after requests that were interrupted, and
 * once a second it drops what was kept for a moment.
 */
#include <errno.h>
#include <poll.h>

#include "ipcfs.h"

#define LOOK_NS INT64_C(10000000)
#define TIDY_NS INT64_C(1000000000)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint32_t wake;    /* futex: changes when there is something to do */
static uint32_t nothing; /* never changes */
static struct handle *watched;
static pthread_t thread;
static bool running, stopping;

/* Takes no lock: called where a request's lock is held. */
void watch_wake(void)
{
	__atomic_add_fetch(&wake, 1, __ATOMIC_RELEASE);
	futex_wake(&wake);
}

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
	pthread_mutex_unlock(&lock);
	watch_wake();
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

/* False: nobody polls. */
static bool look_at_all(void)
{
	struct handle *h, *next;
	bool any;

	pthread_mutex_lock(&lock);
	for (h = watched; h; h = next) {
		next = h->watch_next;
		look(h);
	}
	any = watched != NULL;
	pthread_mutex_unlock(&lock);
	return any;
}

static void *watch(void *arg)
{
	int64_t tidied = now_ns();

	(void)arg;
	while (!__atomic_load_n(&stopping, __ATOMIC_ACQUIRE)) {
		uint32_t seen = __atomic_load_n(&wake, __ATOMIC_ACQUIRE);
		bool any = look_at_all();

		any |= jobs_look_after();
		if (now_ns() - tidied >= TIDY_NS) {
			views_expire(false);
			nodes_expire();
			tidied = now_ns();
		}
		if (any)
			futex_sleep(&nothing, 0, LOOK_NS); /* whoever comes waits as long */
		else
			futex_sleep(&wake, seen, TIDY_NS);
	}
	return NULL;
}

int watch_start(void)
{
	running = pthread_create(&thread, NULL, watch, NULL) == 0;
	return running ? 0 : -EAGAIN;
}

void watch_stop(void)
{
	if (!running)
		return;
	__atomic_store_n(&stopping, true, __ATOMIC_RELEASE);
	watch_wake();
	pthread_join(thread, NULL);
	views_expire(true);
}
