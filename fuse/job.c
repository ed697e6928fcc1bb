/* SPDX-License-Identifier: MIT */
/*
 * One request under way. libfuse calls on_interrupt() on the thread that leads, with the request's
 * lock held and a reference to it, so that it may be answered there.
 */
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "ipcfs.h"

#define PATIENCE_NS INT64_C(200000000)

enum { OPEN, CLAIMED, INTERRUPTING, INTERRUPTED };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct job *jobs;
static bool stopping;

int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void futex_wake(uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

void futex_sleep(uint32_t *word, uint32_t val, int64_t ns)
{
	struct timespec ts = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};

	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, val, ns < 0 ? NULL : &ts, NULL, 0);
}

void job_cancel(struct job *j)
{
	/* Pairs with the acquire in job_cancelled(). */
	__atomic_store_n(&j->cancel, 1, __ATOMIC_SEQ_CST);
	futex_wake(&j->cancel);
}

bool job_cancelled(const struct job *j)
{
	return j && __atomic_load_n(&j->cancel, __ATOMIC_ACQUIRE);
}

#define BIT(sig) (1ULL << ((sig)-1))
#define ENDING (BIT(SIGINT) | BIT(SIGTERM) | BIT(SIGHUP) | BIT(SIGQUIT))

/*
 * The signals that a thread is about to take. When any of them is going to kill it, the kernel adds
 * SIGKILL. A thread that we cannot see may be dying.
 */
static unsigned long long pending(pid_t tid)
{
	unsigned long long own = 0, shared = 0, blocked = 0;
	char path[40], line[256];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	f = tid ? fopen(path, "re") : NULL;
	while (f && fgets(line, sizeof(line), f)) {
		found |= sscanf(line, "SigPnd: %llx", &own) == 1;
		sscanf(line, "ShdPnd: %llx", &shared);
		if (sscanf(line, "SigBlk: %llx", &blocked) == 1)
			break;
	}
	if (f)
		fclose(f);
	return found ? (own | shared) & ~blocked : BIT(SIGKILL);
}

static bool is_dying(pid_t tid)
{
	return pending(tid) & BIT(SIGKILL);
}

/* A request that was interrupted and is not answered yet: does it have to be now? */
static bool is_due(const struct job *j, int64_t since, int64_t now)
{
	unsigned long long signals = pending(j->tid);

	if (signals & BIT(SIGKILL))
		return true;
	if (now - since < PATIENCE_NS)
		return false;
	return j->kind == JOB_READS || (j->kind == JOB_LOOKS && signals & ENDING);
}

/* Answers j with EINTR, unless somebody else answers it. */
static void answer(struct job *j)
{
	uint32_t was = OPEN;

	if (!__atomic_compare_exchange_n(&j->state, &was, INTERRUPTING, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE))
		return;
	fuse_reply_err(j->req, EINTR);
	/* The worker may leave as soon as it sees this; the wake needs no more than an address. */
	__atomic_store_n(&j->state, INTERRUPTED, __ATOMIC_RELEASE);
	futex_wake(&j->state);
}

static void stop(struct job *j)
{
	job_cancel(j);
	if (j->kind <= JOB_WAITS)
		answer(j);
}

static void on_interrupt(fuse_req_t req, void *data)
{
	struct job *j = data;
	bool at_once = j->kind == JOB_WAITS || j->kind == JOB_WRITES;

	(void)req;
	if (pthread_equal(j->thread, pthread_self())) {
		/* Out of fuse_req_interrupt_func(): libfuse keeps no reference to req then. */
		if (at_once)
			job_cancel(j);
	} else if (at_once || is_dying(j->tid)) {
		stop(j);
		return;
	}
	/* There will not be another word from the kernel, not even when the thread is killed. */
	__atomic_store_n(&j->late, now_ns(), __ATOMIC_RELEASE);
	watch_wake();
}

bool jobs_look_after(void)
{
	int64_t since, now = now_ns();
	bool any = false;

	/* A job leaves the list before its memory goes. */
	pthread_mutex_lock(&lock);
	for (struct job *j = jobs; j; j = j->next) {
		since = __atomic_load_n(&j->late, __ATOMIC_ACQUIRE);
		if (!since || !__atomic_load_n(&j->begun, __ATOMIC_ACQUIRE))
			continue;
		if (is_due(j, since, now)) {
			__atomic_store_n(&j->late, 0, __ATOMIC_RELAXED);
			stop(j);
		}
		any = true;
	}
	pthread_mutex_unlock(&lock);
	return any;
}

void job_begin(struct job *j, fuse_req_t req, fuse_ino_t ino, enum job_kind kind)
{
	*j = (struct job){.req = req, .kind = kind, .thread = pthread_self()};
	j->tid = fuse_req_ctx(req)->pid;
	/* Before anybody can answer: the kernel keeps the node until then. */
	j->node = ino ? node_of(ino) : NULL;
	pthread_mutex_lock(&lock);
	j->next = jobs;
	if (jobs)
		jobs->prev = j;
	jobs = j;
	j->cancel = stopping;
	pthread_mutex_unlock(&lock);
	fuse_req_interrupt_func(req, on_interrupt, j);
	__atomic_store_n(&j->begun, true, __ATOMIC_RELEASE);
}

struct handle *job_begin_on(struct job *j, fuse_req_t req, fuse_ino_t ino,
			    const struct fuse_file_info *fi, enum job_kind kind)
{
	struct handle *h = (struct handle *)(uintptr_t)fi->fh;

	/* First: once interrupted it can be released at any time. */
	handle_hold(h);
	job_begin(j, req, ino, kind);
	j->handle = h;
	return h;
}

bool job_claim(struct job *j)
{
	uint32_t was = OPEN;

	if (__atomic_compare_exchange_n(&j->state, &was, CLAIMED, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE)) {
		/* Waits for a callback that is just running; it will not run after this. */
		fuse_req_interrupt_func(j->req, NULL, NULL);
		return true;
	}
	while (was == INTERRUPTING) {
		futex_sleep(&j->state, INTERRUPTING, -1);
		was = __atomic_load_n(&j->state, __ATOMIC_ACQUIRE);
	}
	return false;
}

void job_end(struct job *j)
{
	pthread_mutex_lock(&lock);
	if (j->prev)
		j->prev->next = j->next;
	else
		jobs = j->next;
	if (j->next)
		j->next->prev = j->prev;
	pthread_mutex_unlock(&lock);
	if (j->handle)
		handle_put(j->handle);
	if (j->node)
		node_put(j->node);
}

void job_error(struct job *j, int r)
{
	if (r == -ECANCELED)
		r = -EINTR;
	if (job_claim(j))
		fuse_reply_err(j->req, -r);
	job_end(j);
}

int job_sleep(struct job *j, int64_t ns)
{
	if (job_cancelled(j))
		return -EINTR;
	futex_sleep(&j->cancel, 0, ns);
	return job_cancelled(j) ? -EINTR : 0;
}

void jobs_cancel_all(void)
{
	pthread_mutex_lock(&lock);
	stopping = true;
	for (struct job *j = jobs; j; j = j->next)
		job_cancel(j);
	pthread_mutex_unlock(&lock);
}
