/* SPDX-License-Identifier: MIT */
/* What is waited for: events, locks, permits, latches, once, futures; and the data that they guard.
 */
#include <stdio.h>

#include "cases.h"
#include "ipk/future.h"
#include "ipk/latch.h"
#include "ipk/mutex.h"
#include "ipk/once.h"
#include "ipk/semaphore.h"

/* ---- events --------------------------------------------------------------------------------- */

/* A number of tokens, and the word on which who finds none waits. */
static u64 *tokens(struct actor *a)
{
	return spare_word(a, 1);
}

static u32 *event(struct actor *a)
{
	return (u32 *)(void *)spare_word(a, 2);
}

static bool take_token(struct actor *a)
{
	u64 n = ipk_ld(tokens(a), relaxed);

	while (n)
		if (ipk_cas(tokens(a), &n, n - 1, acquire))
			return true;
	return false;
}

static i64 wait_token(struct actor *a, u64 unused)
{
	u32 *ev = event(a);
	struct ipk_waiter w;
	struct ipk_self *me;
	int r = 0;

	(void)unused;
	me = ipk_use(a->handle, &r);
	while (r == 0 && !take_token(a)) {
		ipk_event_arm(me, &w, &ev, 1);
		if (take_token(a)) {
			ipk_event_disarm(me, &w);
			break;
		}
		r = ipk_event_sleep(me, &w, IPK_FOREVER);
		ipk_event_disarm(me, &w);
	}
	return r;
}

static i64 post(struct actor *a, u64 n)
{
	ipk_add(tokens(a), n, release);
	ipk_event_notify(event(a), (int)n);
	return 0;
}

static void event_contents(struct actor *a, char *buf, size_t size)
{
	snprintf(buf, size, "%llu tokens", (unsigned long long)ipk_ld(tokens(a), relaxed));
}

/* ---- objects -------------------------------------------------------------------------------- */

static int create_latch(struct ipk_segment *seg)
{
	return ipk_latch_create(seg, "x", 2, NULL);
}

static int open_latch(struct actor *a)
{
	return ipk_latch_open(a->seg, "x", (struct ipk_latch **)&a->handle, NULL);
}

static i64 count_down(struct actor *a, u64 n)
{
	return ipk_latch_count_down(a->handle, n);
}

static i64 latch_wait(struct actor *a, u64 unused)
{
	(void)unused;
	return ipk_latch_wait(a->handle, IPK_FOREVER);
}

static void latch_contents(struct actor *a, char *buf, size_t size)
{
	size_t n = data_text(a, buf, size);

	snprintf(buf + n, size - n, "%llu", (unsigned long long)ipk_latch_value(a->handle));
}

static int create_mutex(struct ipk_segment *seg)
{
	return ipk_mutex_create(seg, "x", false, NULL);
}

static int open_mutex(struct actor *a)
{
	return ipk_mutex_open(a->seg, "x", (struct ipk_mutex **)&a->handle, NULL);
}

static i64 lock(struct actor *a, u64 unused)
{
	int r = ipk_mutex_lock(a->handle, IPK_FOREVER);

	(void)unused;
	if (r == -EOWNERDEAD)
		ipk_mutex_consistent(a->handle);
	return r;
}

static i64 unlock(struct actor *a, u64 unused)
{
	(void)unused;
	return ipk_mutex_unlock(a->handle);
}

static void mutex_contents(struct actor *a, char *buf, size_t size)
{
	size_t n = data_text(a, buf, size);
	int r = ipk_mutex_lock(a->handle, IPK_NOWAIT);

	snprintf(buf + n, size - n, "lock %d", r);
}

static int create_semaphore(struct ipk_segment *seg)
{
	return ipk_semaphore_create(seg, "x", 2, 1, NULL);
}

static int create_semaphore_none(struct ipk_segment *seg)
{
	return ipk_semaphore_create(seg, "x", 2, 0, NULL);
}

static int open_semaphore(struct actor *a)
{
	return ipk_semaphore_open(a->seg, "x", (struct ipk_semaphore **)&a->handle, NULL);
}

static i64 try_acquire(struct actor *a, u64 n)
{
	return a->last = ipk_semaphore_acquire(a->handle, n, IPK_NOWAIT);
}

static i64 acquire(struct actor *a, u64 n)
{
	return a->last = ipk_semaphore_acquire(a->handle, n, IPK_FOREVER);
}

static i64 take_permit(struct actor *a, u64 n)
{
	return ipk_semaphore_take(a->handle, n, IPK_FOREVER);
}

static i64 take_soon(struct actor *a, u64 n)
{
	return ipk_semaphore_take(a->handle, n, sched_now() + 5000000);
}

static i64 release(struct actor *a, u64 n)
{
	return a->last == 0 ? ipk_semaphore_release(a->handle, n) : 0;
}

static i64 give(struct actor *a, u64 n)
{
	return ipk_semaphore_post(a->handle, n);
}

static void semaphore_contents(struct actor *a, char *buf, size_t size)
{
	size_t n = data_text(a, buf, size);

	snprintf(buf + n, size - n, "%llu", (unsigned long long)ipk_semaphore_value(a->handle));
}

static int create_once(struct ipk_segment *seg)
{
	return ipk_once_create(seg, "x", NULL);
}

static int open_once(struct actor *a)
{
	return ipk_once_open(a->seg, "x", (struct ipk_once **)&a->handle, NULL);
}

static i64 begin(struct actor *a, u64 unused)
{
	(void)unused;
	return a->last = ipk_once_begin(a->handle, IPK_FOREVER);
}

/* What is to be done once: who has not to, reads what was. */
static i64 work(struct actor *a, u64 val)
{
	return a->last > 0 ? write_data(a, val) : read_data(a, 0);
}

static i64 done(struct actor *a, u64 unused)
{
	(void)unused;
	return a->last > 0 ? ipk_once_done(a->handle) : 0;
}

static void once_contents(struct actor *a, char *buf, size_t size)
{
	size_t n = data_text(a, buf, size);

	snprintf(buf + n, size - n, "%s", ipk_once_is_done(a->handle) ? "done" : "to do");
}

static int create_future(struct ipk_segment *seg)
{
	return ipk_future_create(seg, "x", "u64", NULL);
}

static int open_future(struct actor *a)
{
	return ipk_future_open(a->seg, "x", NULL, (struct ipk_future **)&a->handle, NULL);
}

static i64 set(struct actor *a, u64 val)
{
	return ipk_future_set(a->handle, &val, sizeof(val));
}

static i64 get_future(struct actor *a, u64 unused)
{
	u64 val = 0;
	int r = ipk_future_get(a->handle, &val, sizeof(val), NULL);

	(void)unused;
	return r < 0 ? r : (i64)val;
}

static i64 await_future(struct actor *a, u64 unused)
{
	(void)unused;
	return ipk_future_await(a->handle, IPK_FOREVER);
}

static void future_contents(struct actor *a, char *buf, size_t size)
{
	size_t n = data_text(a, buf, size);

	snprintf(buf + n, size - n, "%lld", (long long)get_future(a, 0));
}

#define EVENT                                                                                      \
	.kind = "latch", .create = create_latch, .open = open_latch, .contents = event_contents
#define LATCH                                                                                      \
	.kind = "latch", .create = create_latch, .open = open_latch, .contents = latch_contents
#define MUTEX                                                                                      \
	.kind = "mutex", .create = create_mutex, .open = open_mutex, .contents = mutex_contents
#define SEMAPHORE .kind = "semaphore", .open = open_semaphore, .contents = semaphore_contents
#define ONCE .kind = "once", .create = create_once, .open = open_once, .contents = once_contents
#define FUTURE                                                                                     \
	.kind = "future", .create = create_future, .open = open_future, .contents = future_contents

#define WAIT                                                                                       \
	{                                                                                          \
		"wait", wait_token                                                                 \
	}
#define POST(n)                                                                                    \
	{                                                                                          \
		"post", post, n                                                                    \
	}
#define LOCKED(n)                                                                                  \
	{"lock", lock}, {"add", add_data, n},                                                      \
	{                                                                                          \
		"unlock", unlock                                                                   \
	}
#define PERMIT(n)                                                                                  \
	{"acquire", acquire, 1}, {"add", add_data, n},                                             \
	{                                                                                          \
		"release", release, 1                                                              \
	}
#define DO_ONCE(v)                                                                                 \
	{"begin", begin}, {"work", work, v},                                                       \
	{                                                                                          \
		"done", done                                                                       \
	}

const struct scenario cases_sync[] = {
	{EVENT, .name = "event,wait|notify", .program = {{WAIT}, {POST(1)}}},
	{EVENT, .name = "event,wait,wait|notify,notify",
	 .program = {{WAIT, WAIT}, {POST(1), POST(1)}}},
	{EVENT, .name = "event,wait|wait|notify", .program = {{WAIT}, {WAIT}, {POST(1), POST(1)}}},
	{EVENT, .name = "event,wait|notify|notify", .slow = true,
	 .program = {{WAIT, WAIT}, {POST(1)}, {POST(1)}}},
	{LATCH, .name = "down|wait",
	 .program = {{{"write", write_data, 7}, {"down", count_down, 2}},
		     {{"wait", latch_wait}, {"read", read_data}}}},
	{LATCH, .name = "down|wait|down", .slow = true,
	 .program = {{{"write", write_data, 7}, {"down", count_down, 1}},
		     {{"wait", latch_wait}, {"read", read_data}},
		     {{"down", count_down, 1}}}},
	{MUTEX, .name = "lock|lock", .program = {{LOCKED(1)}, {LOCKED(2)}}},
	{MUTEX, .name = "lock|lock|lock", .program = {{LOCKED(1)}, {LOCKED(2)}, {LOCKED(4)}},
	 .slow = true},
	{SEMAPHORE, .name = "try|try", .create = create_semaphore,
	 .program = {{{"acquire", try_acquire, 1, .may_refuse = true}, {"release", release, 1}},
		     {{"acquire", try_acquire, 1, .may_refuse = true}, {"release", release, 1}}}},
	{SEMAPHORE, .name = "acquire|acquire", .create = create_semaphore,
	 .program = {{PERMIT(1)}, {PERMIT(2)}}},
	{SEMAPHORE, .name = "take|post", .create = create_semaphore_none,
	 .program = {{{"take", take_permit, 1}}, {{"post", give, 1}}}},
	{SEMAPHORE, .name = "take 2|post|post", .create = create_semaphore_none, .slow = true,
	 .program = {{{"take", take_permit, 2}}, {{"post", give, 1}}, {{"post", give, 1}}}},
	{SEMAPHORE, .name = "post|take,timed|take", .create = create_semaphore_none, .slow = true,
	 .program = {{{"post", give, 1}}, {{"take", take_soon, 1}}, {{"take", take_permit, 1}}}},
	{ONCE, .name = "once|once", .program = {{DO_ONCE(7)}, {DO_ONCE(8)}}},
	{FUTURE, .name = "set|await",
	 .program = {{{"write", write_data, 7}, {"set", set, 5}},
		     {{"await", await_future}, {"get", get_future}, {"read", read_data}}}},
	{FUTURE, .name = "set|set|await", .slow = true,
	 .program = {{{"set", set, 5}},
		     {{"set", set, 6}},
		     {{"await", await_future}, {"get", get_future}}}},
	{.name = NULL},
};
