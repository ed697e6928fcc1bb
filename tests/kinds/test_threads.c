/* SPDX-License-Identifier: MIT */
/*
 * Threads of one process on the same handles: what one puts in plain memory is seen by who gets to
 * know of it through an object. Built with -Db_sanitize=thread it shows that nothing races there.
 */
#include "kinds/fixture_kind.h"

#include <pthread.h>

#include "ipk/latch.h"
#include "ipk/map.h"
#include "ipk/mutex.h"
#include "ipk/once.h"
#include "ipk/queue.h"
#include "ipk/ring.h"
#include "ipk/semaphore.h"
#include "ipk/stack.h"

#define THREADS 4u
#define ROUNDS 2000u

static struct ipk_segment *seg;
static void *handle;
static u64 plain, note[THREADS * ROUNDS]; /* plain memory, on purpose */
static u32 wrong;                         /* answers that no thread should have had */

static int segment_setup(void **state)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;

	if (dir_setup(state) != 0)
		return -1;
	options.max = UINT64_C(4) << 20;
	plain = 0;
	wrong = 0;
	memset(note, 0, sizeof(note));
	return ipk_segment_create("s", &options, &seg, NULL);
}

static int segment_teardown(void **state)
{
	ipk_segment_close(seg);
	return dir_teardown(state);
}

static void *count_wrong(bool right)
{
	if (!right)
		ipk_add(&wrong, 1u, relaxed);
	return NULL;
}

static void run(void *(*fn)(void *number))
{
	pthread_t thread[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, fn, (void *)i), 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(wrong, 0);
}

/* Even threads put, odd ones get; what is got names a place that was written before. */
static bool gives(uintptr_t number)
{
	return number % 2 == 0;
}

static u64 write_note(uintptr_t number, u64 i)
{
	u64 at = number * ROUNDS + i;

	note[at] = at + 1;
	return at;
}

static bool read_note(u64 at)
{
	return at < THREADS * ROUNDS && note[at] == at + 1;
}

static void *queue_thread(void *arg)
{
	for (u64 i = 0; i < ROUNDS; i++) {
		u64 val = gives((uintptr_t)arg) ? write_note((uintptr_t)arg, i) : 0;

		if (gives((uintptr_t)arg))
			count_wrong(ipk_queue_push(handle, &val, 8, IPK_FOREVER) == 0);
		else
			count_wrong(ipk_queue_pop(handle, &val, 8, NULL, IPK_FOREVER) == 0 &&
				    read_note(val));
	}
	return NULL;
}

static void *stack_thread(void *arg)
{
	for (u64 i = 0; i < ROUNDS; i++) {
		u64 val = gives((uintptr_t)arg) ? write_note((uintptr_t)arg, i) : 0;

		if (gives((uintptr_t)arg))
			count_wrong(ipk_stack_push(handle, &val, 8, IPK_FOREVER) == 0);
		else
			count_wrong(ipk_stack_pop(handle, &val, 8, NULL, IPK_FOREVER) == 0 &&
				    read_note(val));
	}
	return NULL;
}

/* One producer and one consumer; the others do without. */
static void *ring_thread(void *arg)
{
	uintptr_t number = (uintptr_t)arg;

	for (u64 i = 0; number < 2 && i < ROUNDS; i++) {
		u64 val = number == 0 ? write_note(number, i) : 0;

		if (number == 0)
			count_wrong(ipk_ring_push(handle, &val, 8, IPK_FOREVER) == 0);
		else
			count_wrong(ipk_ring_pop(handle, &val, 8, NULL, IPK_FOREVER) == 0 &&
				    read_note(val));
	}
	return NULL;
}

static void *map_thread(void *arg)
{
	for (u64 i = 0; i < ROUNDS; i++) {
		u32 key = (u32)(i % 8);
		u64 pair[2] = {i, i};
		int r = 0;

		if (!gives((uintptr_t)arg))
			r = ipk_map_get(handle, &key, 4, pair, 16, NULL);
		else if (i % 5 == 4)
			r = ipk_map_del(handle, &key, 4, IPK_FOREVER);
		else
			r = ipk_map_put(handle, &key, 4, pair, 16, IPK_FOREVER);
		count_wrong((r == 0 || r == -ENOENT) && pair[0] == pair[1]);
	}
	return NULL;
}

static void *mutex_thread(void *arg)
{
	(void)arg;
	for (u64 i = 0; i < ROUNDS; i++) {
		count_wrong(ipk_mutex_lock(handle, IPK_FOREVER) == 0);
		plain++;
		count_wrong(ipk_mutex_unlock(handle) == 0);
	}
	return NULL;
}

static void *semaphore_thread(void *arg)
{
	(void)arg;
	for (u64 i = 0; i < ROUNDS; i++) {
		count_wrong(ipk_semaphore_acquire(handle, 1, IPK_FOREVER) == 0);
		plain++;
		count_wrong(ipk_semaphore_release(handle, 1) == 0);
	}
	return NULL;
}

static void *once_thread(void *arg)
{
	int r = ipk_once_begin(handle, IPK_FOREVER);

	(void)arg;
	if (r == 1) {
		plain = 7;
		return count_wrong(ipk_once_done(handle) == 0);
	}
	return count_wrong(r == 0 && plain == 7);
}

static void *latch_thread(void *arg)
{
	if (gives((uintptr_t)arg)) {
		write_note((uintptr_t)arg, 0);
		return count_wrong(ipk_latch_count_down(handle, 1) == 0);
	}
	return count_wrong(ipk_latch_wait(handle, IPK_FOREVER) == 0 && read_note(0) &&
			   read_note(2 * ROUNDS));
}

static void what_goes_through_a_queue_comes_with_all_before(void **state)
{
	(void)state;
	assert_int_equal(ipk_queue_create(seg, "x", "u64", 4, NULL), 0);
	assert_int_equal(ipk_queue_open(seg, "x", NULL, (struct ipk_queue **)&handle, NULL), 0);
	run(queue_thread);
	ipk_queue_close(handle);
}

static void what_goes_through_a_stack_comes_with_all_before(void **state)
{
	(void)state;
	assert_int_equal(ipk_stack_create(seg, "x", "u64", 4, NULL), 0);
	assert_int_equal(ipk_stack_open(seg, "x", NULL, (struct ipk_stack **)&handle, NULL), 0);
	run(stack_thread);
	ipk_stack_close(handle);
}

static void what_goes_through_a_ring_comes_with_all_before(void **state)
{
	struct ipk_ring_options options = IPK_RING_OPTIONS_INIT;

	(void)state;
	options.type = "u64";
	options.cap = 256;
	assert_int_equal(ipk_ring_create(seg, "x", &options, NULL), 0);
	assert_int_equal(ipk_ring_open(seg, "x", NULL, (struct ipk_ring **)&handle, NULL), 0);
	run(ring_thread);
	ipk_ring_close(handle);
}

static void a_map_gives_no_half_of_a_value_to_any_thread(void **state)
{
	(void)state;
	assert_int_equal(ipk_map_create(seg, "x", "bytes:16", "u32", 16, NULL), 0);
	assert_int_equal(ipk_map_open(seg, "x", NULL, NULL, (struct ipk_map **)&handle, NULL), 0);
	run(map_thread);
	ipk_map_close(handle);
}

static void a_mutex_guards_plain_memory(void **state)
{
	(void)state;
	assert_int_equal(ipk_mutex_create(seg, "x", false, NULL), 0);
	assert_int_equal(ipk_mutex_open(seg, "x", (struct ipk_mutex **)&handle, NULL), 0);
	run(mutex_thread);
	assert_int_equal(plain, THREADS * ROUNDS);
	ipk_mutex_close(handle);
}

static void a_semaphore_of_one_guards_plain_memory(void **state)
{
	(void)state;
	assert_int_equal(ipk_semaphore_create(seg, "x", 1, 1, NULL), 0);
	assert_int_equal(ipk_semaphore_open(seg, "x", (struct ipk_semaphore **)&handle, NULL), 0);
	run(semaphore_thread);
	assert_int_equal(plain, THREADS * ROUNDS);
	ipk_semaphore_close(handle);
}

static void who_finds_it_done_sees_what_was_done(void **state)
{
	(void)state;
	assert_int_equal(ipk_once_create(seg, "x", NULL), 0);
	assert_int_equal(ipk_once_open(seg, "x", (struct ipk_once **)&handle, NULL), 0);
	run(once_thread);
	ipk_once_close(handle);
}

static void who_passes_a_latch_sees_what_was_done(void **state)
{
	(void)state;
	assert_int_equal(ipk_latch_create(seg, "x", THREADS / 2, NULL), 0);
	assert_int_equal(ipk_latch_open(seg, "x", (struct ipk_latch **)&handle, NULL), 0);
	run(latch_thread);
	ipk_latch_close(handle);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, segment_setup, segment_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_goes_through_a_queue_comes_with_all_before),
		TEST(what_goes_through_a_stack_comes_with_all_before),
		TEST(what_goes_through_a_ring_comes_with_all_before),
		TEST(a_map_gives_no_half_of_a_value_to_any_thread),
		TEST(a_mutex_guards_plain_memory),
		TEST(a_semaphore_of_one_guards_plain_memory),
		TEST(who_finds_it_done_sees_what_was_done),
		TEST(who_passes_a_latch_sees_what_was_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
