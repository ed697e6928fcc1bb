/* SPDX-License-Identifier: MIT */
/*
 * Threads. Each waits in read(2) for a request (the kernel wakes one for each), makes sure that
 * another one is left waiting, starting it if need be, and then works on the request however long
 * that takes. So an interruption is always received at once, and a request costs no hand-over.
 */
#include <errno.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "ipcfs.h"

#define THREADS_MAX 2048u
#define THREADS_IDLE 4u /* more end when they have nothing to do */
#define STACK (512u << 10)
#define WAKE_SIGNAL SIGUSR1
#define WAKE_NS 20000000 /* it may come just before the read that it is to end */

struct thread {
	pid_t tid;
	struct thread *next, *prev;
};

static struct {
	struct fuse_session *se;
	pthread_mutex_t lock;
	pthread_cond_t end; /* a thread ended */
	struct thread *threads;
	unsigned n, reading;
	bool stop;
	int done_fd;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .end = PTHREAD_COND_INITIALIZER};

/* These take libfuse microseconds, and an interruption must not wait for a thread to start. */
static bool is_quick(const struct fuse_buf *buf)
{
	const struct fuse_in_header *in = buf->mem;

	return in->opcode == FUSE_INTERRUPT || in->opcode == FUSE_FORGET ||
	       in->opcode == FUSE_BATCH_FORGET;
}

/* Waits for one request; false when there will be none any more. */
static bool receive(struct fuse_buf *buf)
{
	while (!__atomic_load_n(&pool.stop, __ATOMIC_RELAXED)) {
		int r = fuse_session_receive_buf(pool.se, buf);

		if (r > 0 && is_quick(buf))
			fuse_session_process_buf(pool.se, buf);
		else if (r > 0)
			return true;
		else if (r != -EINTR && r != -EAGAIN)
			return false; /* unmounted or aborted */
	}
	return false;
}

static void *work(void *arg);

/* Lock held. Without memory for a thread, the requests wait for those that work. */
static void start_thread(void)
{
	struct thread *t;
	pthread_attr_t attr;
	pthread_t id;

	if (pool.n >= THREADS_MAX || pthread_attr_init(&attr) != 0)
		return;
	t = calloc(1, sizeof(*t));
	pthread_attr_setstacksize(&attr, STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (t && pthread_create(&id, &attr, work, t) == 0) {
		t->next = pool.threads;
		if (t->next)
			t->next->prev = t;
		pool.threads = t;
		pool.n++;
		pool.reading++;
	} else {
		free(t);
	}
	pthread_attr_destroy(&attr);
}

/* Lock held. */
static void end_thread(struct thread *t)
{
	const uint64_t one = 1;

	if (t->prev)
		t->prev->next = t->next;
	else
		pool.threads = t->next;
	if (t->next)
		t->next->prev = t->prev;
	free(t);
	pool.n--;
	if (pool.stop)
		(void)!write(pool.done_fd, &one, sizeof(one));
	pthread_cond_signal(&pool.end);
}

static void *work(void *arg)
{
	struct thread *t = arg;
	struct fuse_buf buf = {0};
	bool got;

	pthread_mutex_lock(&pool.lock);
	t->tid = (pid_t)syscall(SYS_gettid);
	for (;;) {
		pthread_mutex_unlock(&pool.lock);
		got = receive(&buf);
		pthread_mutex_lock(&pool.lock);
		if (!got)
			__atomic_store_n(&pool.stop, true, __ATOMIC_RELAXED);
		if (pool.stop)
			break;
		if (--pool.reading == 0)
			start_thread();
		pthread_mutex_unlock(&pool.lock);
		fuse_session_process_buf(pool.se, &buf);
		pthread_mutex_lock(&pool.lock);
		if (pool.stop || pool.reading >= THREADS_IDLE)
			break;
		pool.reading++;
	}
	end_thread(t);
	pthread_mutex_unlock(&pool.lock);
	free(buf.mem);
	return NULL;
}

/* True when one more request may wait for somebody else's doing. */
bool session_may_block(void)
{
	bool may;

	pthread_mutex_lock(&pool.lock);
	may = pool.n < THREADS_MAX / 2;
	pthread_mutex_unlock(&pool.lock);
	return may;
}

static void on_wake(int sig)
{
	(void)sig;
}

int session_start(struct fuse_session *se, int done_fd)
{
	struct sigaction wake = {.sa_handler = on_wake}; /* without SA_RESTART */
	bool started;

	sigaction(WAKE_SIGNAL, &wake, NULL);
	pool.se = se;
	pool.done_fd = done_fd;
	pthread_mutex_lock(&pool.lock);
	start_thread();
	started = pool.n > 0;
	pthread_mutex_unlock(&pool.lock);
	return started ? 0 : -EAGAIN;
}

bool session_stop(int seconds)
{
	int64_t end = now_ns() + seconds * INT64_C(1000000000);
	struct timespec until;
	bool all;

	jobs_cancel_all();
	pthread_mutex_lock(&pool.lock);
	__atomic_store_n(&pool.stop, true, __ATOMIC_RELAXED);
	while (pool.n > 0 && now_ns() < end) {
		for (struct thread *t = pool.threads; t; t = t->next)
			if (t->tid)
				syscall(SYS_tgkill, getpid(), t->tid, WAKE_SIGNAL);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += WAKE_NS;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
		pthread_cond_timedwait(&pool.end, &pool.lock, &until);
	}
	all = pool.n == 0;
	pthread_mutex_unlock(&pool.lock);
	return all;
}
