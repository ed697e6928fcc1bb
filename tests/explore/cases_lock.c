/* SPDX-License-Identifier: MIT */
/* Reader-writer locks, pools and barriers, and the data behind them. */
#include "cases.h"
#include "ipk/barrier.h"
#include "ipk/pool.h"
#include "ipk/rwlock.h"

#define SOON (sched_now() + 5000000)

/* ---- rwlock --------------------------------------------------------------------------------- */

static int create_rwlock(struct ipk_segment *seg)
{
	return ipk_rwlock_create(seg, "x", 4, NULL);
}

static int create_rwlock_1(struct ipk_segment *seg)
{
	return ipk_rwlock_create(seg, "x", 1, NULL);
}

static int open_rwlock(struct actor *a)
{
	return ipk_rwlock_open(a->seg, "x", (struct ipk_rwlock **)&a->handle, NULL);
}

static i64 lock_shared(struct actor *a, u64 unused)
{
	(void)unused;
	return a->last = ipk_rwlock_lock_shared(a->handle, IPK_FOREVER);
}

static i64 try_shared(struct actor *a, u64 unused)
{
	(void)unused;
	return a->last = ipk_rwlock_lock_shared(a->handle, IPK_NOWAIT);
}

static i64 lock_until(struct actor *a, i64 deadline)
{
	int r = ipk_rwlock_lock(a->handle, deadline);

	a->last = r == -EOWNERDEAD ? ipk_rwlock_consistent(a->handle) : r;
	return r;
}

static i64 lock(struct actor *a, u64 unused)
{
	(void)unused;
	return lock_until(a, IPK_FOREVER);
}

static i64 try_lock(struct actor *a, u64 unused)
{
	(void)unused;
	return lock_until(a, IPK_NOWAIT);
}

static i64 lock_soon(struct actor *a, u64 unused)
{
	(void)unused;
	return lock_until(a, SOON);
}

static i64 read_locked(struct actor *a, u64 unused)
{
	return a->last == 0 ? read_data(a, unused) : -1;
}

static i64 add_locked(struct actor *a, u64 val)
{
	return a->last == 0 ? add_data(a, val) : -1;
}

static i64 unlock(struct actor *a, u64 unused)
{
	(void)unused;
	return a->last == 0 ? ipk_rwlock_unlock(a->handle) : 0;
}

/* The places have been taken before. */
static void warm(struct actor *a)
{
	lock_shared(a, 0);
	unlock(a, 0);
}

/* The place of actor 0 has, and readers may be in; that of actor 1 has not. */
static void one_warm(struct actor *a)
{
	if (a->number == 0)
		warm(a);
}

/* Actor 0 reads, all the time. */
static void one_reads(struct actor *a)
{
	warm(a);
	if (a->number == 0)
		lock_shared(a, 0);
}

static void rwlock_contents(struct actor *a, char *buf, size_t size)
{
	size_t n = data_text(a, buf, size);
	i64 shared = try_shared(a, 0);

	unlock(a, 0);
	snprintf(buf + n, size - n, "read %lld, write %lld", (long long)shared,
		 (long long)try_lock(a, 0));
	unlock(a, 0);
}

/* ---- pool ----------------------------------------------------------------------------------- */

static int create_pool_1(struct ipk_segment *seg)
{
	return ipk_pool_create(seg, "x", "u64", 1, NULL);
}

static int create_pool_2(struct ipk_segment *seg)
{
	return ipk_pool_create(seg, "x", "u64", 2, NULL);
}

static int open_pool(struct actor *a)
{
	return ipk_pool_open(a->seg, "x", NULL, (struct ipk_pool **)&a->handle, NULL);
}

static u64 *object(struct actor *a, u64 index)
{
	return ipk_pool_view(a->handle, index);
}

/* Which one it is, is not said: any that is free will do. */
static i64 acquired(struct actor *a, int r, u64 index)
{
	a->last = r < 0 ? r : (i64)index;
	return r;
}

static i64 acquire(struct actor *a, u64 unused)
{
	u64 index = 0;
	int r = ipk_pool_acquire(a->handle, IPK_FOREVER, &index);

	(void)unused;
	return acquired(a, r, index);
}

static i64 acquire_soon(struct actor *a, u64 unused)
{
	u64 index = 0;
	int r = ipk_pool_acquire(a->handle, SOON, &index);

	(void)unused;
	return acquired(a, r, index);
}

static i64 try_acquire(struct actor *a, u64 unused)
{
	u64 index = 0;
	int r = ipk_pool_acquire(a->handle, IPK_NOWAIT, &index);

	(void)unused;
	return acquired(a, r, index);
}

static i64 add_object(struct actor *a, u64 val)
{
	if (a->last >= 0)
		*object(a, (u64)a->last) += val;
	return 0;
}

static i64 release(struct actor *a, u64 unused)
{
	(void)unused;
	return a->last >= 0 ? ipk_pool_release(a->handle, (u64)a->last) : 0;
}

static i64 release_first(struct actor *a, u64 unused)
{
	(void)unused;
	return ipk_pool_release(a->handle, 0);
}

static i64 write_first(struct actor *a, u64 val)
{
	*object(a, 0) = val;
	return 0;
}

static i64 give(struct actor *a, u64 unused)
{
	(void)unused;
	return ipk_pool_give(a->handle, 0);
}

static i64 claim(struct actor *a, u64 unused)
{
	(void)unused;
	return a->last = ipk_pool_claim(a->handle, 0);
}

static i64 read_claimed(struct actor *a, u64 unused)
{
	(void)unused;
	return a->last == 0 ? (i64)*object(a, 0) : -1;
}

static void one_has(struct actor *a)
{
	if (a->number == 0)
		acquire(a, 0);
}

static void nobody_has(struct actor *a)
{
	u64 index;

	if (a->number == OBSERVER)
		ipk_pool_take(a->handle, IPK_NOWAIT, &index);
}

static void pool_contents(struct actor *a, char *buf, size_t size)
{
	u64 sum = 0, cap = ipk_pool_cap(a->handle);

	for (u64 i = 0; i < cap; i++)
		sum += *object(a, i);
	snprintf(buf, size, "%llu free, sum %llu", (unsigned long long)ipk_pool_free(a->handle),
		 (unsigned long long)sum);
}

/* ---- barrier -------------------------------------------------------------------------------- */

static int create_barrier(struct ipk_segment *seg)
{
	return ipk_barrier_create(seg, "x", 2, false, NULL);
}

static int create_barrier_leave(struct ipk_segment *seg)
{
	return ipk_barrier_create(seg, "x", 2, true, NULL);
}

static int create_barrier_leave_3(struct ipk_segment *seg)
{
	return ipk_barrier_create(seg, "x", 3, true, NULL);
}

static int open_barrier(struct actor *a)
{
	return ipk_barrier_open(a->seg, "x", (struct ipk_barrier **)&a->handle, NULL);
}

static i64 wait(struct actor *a, u64 unused)
{
	(void)unused;
	return a->last = ipk_barrier_wait(a->handle, IPK_FOREVER);
}

static i64 wait_soon(struct actor *a, u64 unused)
{
	(void)unused;
	return a->last = ipk_barrier_wait(a->handle, SOON);
}

static i64 try_wait(struct actor *a, u64 unused)
{
	(void)unused;
	return a->last = ipk_barrier_wait(a->handle, IPK_NOWAIT);
}

/* Who dies after he has arrived was a party. */
static void arrived(struct actor *a, u64 unused, u32 way)
{
	(void)way;
	try_wait(a, unused);
}

static i64 arrive(struct actor *a, u64 unused)
{
	(void)unused;
	return ipk_barrier_arrive(a->handle);
}

static i64 watch(struct actor *a, u64 unused)
{
	(void)unused;
	return a->last = ipk_barrier_watch(a->handle, IPK_FOREVER);
}

static i64 leave(struct actor *a, u64 unused)
{
	(void)unused;
	return ipk_barrier_leave(a->handle);
}

static i64 reset(struct actor *a, u64 unused)
{
	(void)unused;
	return ipk_barrier_reset(a->handle);
}

/* Actor 0 has been a party before. */
static void one_party(struct actor *a)
{
	if (a->number == 0)
		try_wait(a, 0);
}

static void parties(struct actor *a)
{
	if (a->number < 2)
		try_wait(a, 0);
}

/* Each writes its own word, and reads the others' when all have arrived, or somebody has died. */
static i64 write_own(struct actor *a, u64 val)
{
	*spare_word(a, a->number) = val;
	return 0;
}

static i64 read_others(struct actor *a, u64 unused)
{
	u64 sum = 0;

	(void)unused;
	if (a->last < 0 && a->last != -EOWNERDEAD)
		return -1;
	for (unsigned i = 0; i < ACTORS; i++)
		sum += i == a->number ? 0 : *spare_word(a, i);
	return (i64)sum;
}

static void barrier_contents(struct actor *a, char *buf, size_t size)
{
	u64 arrivals, gen = ipk_barrier_generation(a->handle, &arrivals);

	snprintf(buf, size, "generation %llu, %llu arrived, %d", (unsigned long long)gen,
		 (unsigned long long)arrivals, ipk_barrier_watch(a->handle, IPK_NOWAIT));
}

#define RWLOCK .kind = "rwlock", .open = open_rwlock, .contents = rwlock_contents
#define POOL .kind = "pool", .open = open_pool, .contents = pool_contents
#define BARRIER .kind = "barrier", .open = open_barrier, .contents = barrier_contents

/* clang-format off */
#define READ {"lock shared", lock_shared}, {"read", read_locked}, {"unlock", unlock}
#define WRITE(n) {"lock", lock}, {"add", add_locked, n}, {"unlock", unlock}
#define ACQUIRE(n) {"acquire", acquire}, {"add", add_object, n}, {"release", release}
#define TRY(n) {"acquire", try_acquire, .may_refuse = true}, {"add", add_object, n}, {"release", release}
#define WAIT {"wait", wait, .torn = arrived, .ways = 1}
#define MEET(n) {"write", write_own, n}, WAIT, {"read", read_others}
/* clang-format on */

const struct scenario cases_lock[] = {
	{RWLOCK, .name = "read|write", .create = create_rwlock, .fill = warm,
	 .program = {{READ}, {WRITE(1)}}},
	{RWLOCK, .name = "read|write,new", .create = create_rwlock,
	 .program = {{READ}, {WRITE(1)}}},
	{RWLOCK, .name = "write|read,new_place", .create = create_rwlock, .fill = one_warm,
	 .program = {{WRITE(1)}, {READ}}},
	{RWLOCK, .name = "write|write", .create = create_rwlock, .fill = warm,
	 .program = {{WRITE(1)}, {WRITE(2)}}},
	{RWLOCK, .name = "read|read,one place", .create = create_rwlock_1, .fill = warm,
	 .program = {{READ}, {READ}}},
	{RWLOCK, .name = "read,read|write", .create = create_rwlock, .fill = warm,
	 .program = {{{"lock shared", lock_shared},
		      {"again", lock_shared},
		      {"unlock", unlock},
		      {"unlock", unlock}},
		     {{"lock", lock}}}},
	{RWLOCK, .name = "try|try", .create = create_rwlock, .fill = warm,
	 .program = {{{"lock shared", try_shared, .may_refuse = true},
		      {"read", read_locked},
		      {"unlock", unlock}},
		     {{"lock", try_lock, .may_refuse = true},
		      {"add", add_locked, 1},
		      {"unlock", unlock}}}},
	/* The first only reads: the second waits in vain, and the third for the second. */
	{RWLOCK, .name = "held|write,timed|read", .create = create_rwlock, .fill = one_reads,
	 .program = {{{NULL}}, {{"lock", lock_soon}}, {{"lock shared", lock_shared}}}},
	{RWLOCK, .name = "read|read|write", .create = create_rwlock, .fill = warm, .slow = true,
	 .program = {{READ}, {READ}, {WRITE(1)}}},
	{RWLOCK, .name = "read|write|write", .create = create_rwlock, .fill = warm, .slow = true,
	 .program = {{READ}, {WRITE(1)}, {WRITE(2)}}},

	{POOL, .name = "acquire|acquire", .create = create_pool_1,
	 .program = {{ACQUIRE(1)}, {ACQUIRE(2)}}},
	{POOL, .name = "try|try", .create = create_pool_2, .program = {{TRY(1)}, {TRY(2)}}},
	{POOL, .name = "release|acquire", .create = create_pool_1, .fill = one_has,
	 .program = {{{"add", write_first, 1}, {"release", release_first}}, {ACQUIRE(2)}}},
	{POOL, .name = "release|release", .create = create_pool_1, .fill = nobody_has,
	 .program = {{{"release", release_first}}, {{"release", release_first}}}},
	{POOL, .name = "give|claim", .create = create_pool_1, .fill = one_has,
	 .program = {{{"write", write_first, 7}, {"give", give}},
		     {{"claim", claim}, {"read", read_claimed}}}},
	{POOL, .name = "claim|claim", .create = create_pool_1, .fill = nobody_has,
	 .program = {{{"claim", claim}}, {{"claim", claim}}}},
	{POOL, .name = "release|acquire,timed|acquire", .create = create_pool_1, .fill = one_has,
	 .program = {{{"release", release_first}},
		     {{"acquire", acquire_soon}},
		     {{"acquire", acquire}}}},
	{POOL, .name = "acquire|acquire|acquire", .create = create_pool_2, .slow = true,
	 .program = {{ACQUIRE(1)}, {ACQUIRE(2)}, {ACQUIRE(4)}}},

	{BARRIER, .name = "wait|wait,new", .create = create_barrier,
	 .program = {{MEET(1)}, {MEET(2)}}},
	{BARRIER, .name = "wait|wait", .create = create_barrier, .fill = parties,
	 .program = {{MEET(1)}, {MEET(2)}}},
	{BARRIER, .name = "wait|wait,leave", .create = create_barrier_leave, .fill = parties,
	 .program = {{MEET(1)}, {MEET(2)}}},
	{BARRIER, .name = "wait,wait|wait,wait", .create = create_barrier, .fill = parties,
	 .program = {{WAIT, WAIT}, {WAIT, WAIT}}},
	{BARRIER, .name = "wait|try", .create = create_barrier, .fill = parties,
	 .program = {{WAIT}, {{"try", try_wait, .torn = arrived, .ways = 1}}}},
	{BARRIER, .name = "wait|wait,timed", .create = create_barrier, .fill = parties,
	 .program = {{WAIT}, {{"wait", wait_soon, .torn = arrived, .ways = 1}}}},
	{BARRIER, .name = "wait|arrive", .create = create_barrier, .fill = one_party,
	 .program = {{WAIT, {"read", read_others}}, {{"write", write_own, 1}, {"arrive", arrive}}}},
	{BARRIER, .name = "arrive|arrive", .create = create_barrier,
	 .program = {{{"arrive", arrive}}, {{"arrive", arrive}}}},
	{BARRIER, .name = "try|arrive", .create = create_barrier, .fill = one_party,
	 .program = {{{"try", try_wait, .torn = arrived, .ways = 1}}, {{"arrive", arrive}}}},
	{BARRIER, .name = "arrive|arrive,arrive,arrive", .create = create_barrier,
	 .program = {{{"arrive", arrive}},
		     {{"arrive", arrive}, {"arrive", arrive}, {"arrive", arrive}}}},
	{BARRIER, .name = "wait,leave|wait", .create = create_barrier, .fill = parties,
	 .program = {{WAIT, {"leave", leave}}, {WAIT, WAIT}}},
	{BARRIER, .name = "arrive|arrive|watch", .create = create_barrier, .slow = true,
	 .program = {{{"arrive", arrive}}, {{"arrive", arrive}}, {{"watch", watch}}}},
	{BARRIER, .name = "wait|wait|wait,leave", .create = create_barrier_leave_3, .fill = parties,
	 .slow = true, .program = {{MEET(1)}, {MEET(2)}, {MEET(4)}}},
	{BARRIER, .name = "wait|wait|reset", .create = create_barrier, .fill = parties,
	 .slow = true, .program = {{WAIT}, {WAIT}, {{"reset", reset}}}},
	{.name = NULL},
};
