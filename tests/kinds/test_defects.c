/* SPDX-License-Identifier: MIT */
/*
 * What went wrong in other systems, each as something that must not happen here. Without a file's
 * name, here: (n) is test_defects_names.c, (p) test_defects_passing.c, (cli)
 * tests/cli/defects.bats.
 *
 *	ZeroIPC
 *	  killed users leave a queue         killed_users_do_not_leave_a_queue_unusable
 *	  or a stack unusable                kills_lose_nothing_and_repeat_nothing_unmarked
 *	                                     (test_stack_crash.c)
 *	  two creators lose names            two_creators_lose_no_name (n)
 *	  another size destroys an array     who_comes_second_changes_nothing (n)
 *	  create wipes what lives            the same, and "new never wipes ..." (cli)
 *	  mutex, semaphore never come back   what_the_dead_hold_comes_back
 *	  a time-out leaves -1 arrivals      a_time_out_leaves_no_arrival
 *	  a double free gives one to two     an_object_released_twice_goes_out_once (p)
 *	  products in 32 bits, endless loop  huge_numbers_are_computed_or_refused
 *	  published before it is complete    the step harness, tests/crash: every image is looked at
 *	  nothing of a closed source         a_closed_stream_gives_all_that_it_holds (p)
 *	  the tool guesses types             "the type is the object's, and no guess" (cli)
 *	  waiting changes a latch            "waiting for a latch does not count it down" (cli)
 *	VenomMemory
 *	  a full queue has a hole            a_full_queue_is_full_and_goes_on
 *	  more than 4,096 bytes spin         values_of_no_and_of_many_bytes_pass
 *	  a response to another client       no kind answers requests
 *	  a killed writer, spinning readers  readers_get_past_a_writer_killed_in_the_middle
 *	  a restart zeroes what lives        who_comes_second_changes_nothing (n)
 *	  sizes are believed                 sizes_that_somebody_overwrites_are_not_believed
 *	ipc_ring
 *	  an empty message hangs             values_of_no_and_of_many_bytes_pass,
 *	                                     an_empty_message_passes_a_ring (p)
 *	  the file is 48 bytes short         the_file_is_as_long_as_it_says (n)
 *	  slow is taken for stalled          who_is_slow_is_not_taken_for_dead,
 *	                                     who_reads_a_ring_slowly_keeps_it (p)
 *	  a second writer                    a_second_writer_of_a_ring_is_refused (p)
 *	  a time-out starts again            wakes_do_not_prolong_a_wait,
 *	                                     wakes_do_not_prolong_a_wait_at_a_ring (p)
 *	ipmpsc
 *	  the mutex is not robust            what_the_dead_hold_comes_back
 *	  create truncates what lives        who_comes_second_changes_nothing (n)
 *	Elgate
 *	  a full ring reads as empty         a_full_ring_is_not_empty (p)
 *	  short writes are ignored           what_a_byte_ring_does_not_take_is_told (p),
 *	                                     "a value that cannot be written out ..." (cli)
 *	iceoryx2
 *	  kills use a name up                kills_among_creators_do_not_use_a_name_up (n),
 *	                                     "a killed ipcctl leaves its name usable" (cli)
 *	  274, 1718: a lock goes by close    closing_another_descriptor_is_no_death (n)
 *	  1880: cleaning up panics           damage_does_not_end_who_cleans_up
 *	  130: the dead leak samples         dead_consumers_leak_nothing_beside_living_ones
 *	iceoryx
 *	  1546: a lost index, endless push   a_full_queue_is_full_and_goes_on
 *	  1936: a leaked loan                dead_consumers_leak_nothing_beside_living_ones
 *	  2193: a dead owner kills others    damage_does_not_end_who_cleans_up
 *	HAMi 260: killed before the wake     trace_E1_... (tests/segment/test_lock.c), tests/crash/wake.c
 *	shaq 67: mends only when alone       dead_consumers_leak_nothing_beside_living_ones
 *	Chronicle 629: a forced unlock       what_the_dead_hold_comes_back
 */
#include "kinds/queue_test.h"

#include <pthread.h>

#include "ipk/array.h"
#include "ipk/barrier.h"
#include "ipk/mutex.h"
#include "ipk/semaphore.h"
#include "kinds/array.h"

static void forever(struct ipk_queue *q)
{
	for (u64 i = 0;; i++) {
		(void)push_u64(q, i);
		(void)pop_u64(q);
	}
}

/* ZeroIPC: 300 kills of a push/pop loop left the queue unusable 126 to 132 times. */
static void killed_users_do_not_leave_a_queue_unusable(void **state)
{
	struct ipk_queue *q = make_queue("u64", 4);
	u64 seed = 3;

	(void)state;
	for (int i = 0; i < 40; i++) {
		pid_t pid = fork();

		if (pid == 0)
			forever(child_queue());
		nanosleep(&(struct timespec){.tv_nsec = seeded(&seed) % 3000000}, NULL);
		kill_child(pid);
	}
	ipk_segment_sweep(q->obj.seg);
	(void)ipk_queue_drain(q);
	for (u64 i = 0; i < 12; i++) {
		assert_int_equal(push_u64(q, i), 0);
		assert_int_equal(pop_u64(q), i);
	}
	assert_sound();
	drop_queue(q);
}

static void lock_both(void *arg)
{
	struct ipk_segment *seg = open_segment(SEG);
	struct ipk_mutex *m;
	struct ipk_semaphore *s;

	(void)arg;
	must(seg && ipk_mutex_open(seg, "m", &m, NULL) == 0);
	must(ipk_semaphore_open(seg, "s", &s, NULL) == 0);
	must(ipk_mutex_lock(m, IPK_NOWAIT) == 0 && ipk_semaphore_acquire(s, 1, IPK_NOWAIT) == 0);
	kill(getpid(), SIGKILL);
}

/* ZeroIPC: mutex and semaphore never come back; ipmpsc: the mutex is not robust. */
static void what_the_dead_hold_comes_back(void **state)
{
	struct ipk_segment *seg = make_segment(8 << 20);
	struct ipk_mutex *m;
	struct ipk_semaphore *s;

	(void)state;
	assert_int_equal(ipk_mutex_create(seg, "m", false, NULL), 0);
	assert_int_equal(ipk_semaphore_create(seg, "s", 1, 1, NULL), 0);
	assert_int_equal(ipk_mutex_open(seg, "m", &m, NULL), 0);
	assert_int_equal(ipk_semaphore_open(seg, "s", &s, NULL), 0);
	assert_true(WIFSIGNALED(join_child(spawn(lock_both, NULL))));
	assert_int_equal(ipk_semaphore_acquire(s, 1, ipk_deadline(LIMIT_NS)), 0);
	assert_int_equal(ipk_mutex_lock(m, ipk_deadline(LIMIT_NS)), -EOWNERDEAD);
	assert_int_equal(ipk_mutex_consistent(m), 0);
	/* Chronicle 629: nobody is robbed who lives. */
	assert_int_equal(ipk_mutex_reset(m), -EBUSY);
	assert_int_equal(ipk_mutex_unlock(m), 0);
	assert_int_equal(ipk_semaphore_release(s, 1), 0);
	assert_int_equal(ipk_mutex_close(m), 0);
	ipk_semaphore_close(s);
	ipk_segment_close(seg);
	assert_int_equal(ipk_segment_remove(SEG, NULL), 0);
}

/* ZeroIPC: a time-out at the barrier left -1 arrivals. */
static void a_time_out_leaves_no_arrival(void **state)
{
	struct ipk_segment *seg = make_segment(8 << 20);
	struct ipk_barrier *b;
	u64 arrived = 9;

	(void)state;
	assert_int_equal(ipk_barrier_create(seg, "b", 2, false, NULL), 0);
	assert_int_equal(ipk_barrier_open(seg, "b", &b, NULL), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ipk_barrier_wait(b, ipk_deadline(1000)), -ETIMEDOUT);
		assert_int_equal(ipk_barrier_generation(b, &arrived), 0);
		assert_int_equal(arrived, 0);
	}
	ipk_barrier_close(b);
	ipk_segment_close(seg);
	assert_int_equal(ipk_segment_remove(SEG, NULL), 0);
}

/* ZeroIPC: products in 32 bits above 4 GiB, and a queue of huge capacity that loops for ever. */
static void huge_numbers_are_computed_or_refused(void **state)
{
	struct ipk_segment *seg = make_segment(8 << 20);
	struct ipk_array_body body;
	struct ipk_error err = {0};

	(void)state;
	assert_true(ipk_array_layout(UINT64_C(1) << 30, 8, &body) > UINT64_C(8) << 30);
	assert_int_equal(ipk_array_layout(UINT64_MAX / 8 + 2, 8, &body), 0);
	assert_int_equal(ipk_array_create(seg, "a", "u64", UINT64_C(1) << 30, &err), -ENOSPC);
	assert_int_equal(ipk_array_create(seg, "a", "u64[1000000]", 4300, &err), -ENOSPC);
	assert_true(ipk_queue_create(seg, "q", "u64", UINT64_MAX, &err) < 0);
	assert_true(ipk_queue_create(seg, "q", "u64", UINT64_C(1) << 32, &err) < 0);
	assert_int_equal(info_of(SEG).used, 0);
	ipk_segment_close(seg);
	assert_int_equal(ipk_segment_remove(SEG, NULL), 0);
}

/* VenomMemory: a full queue leaves a hole that stalls; Elgate: it reads as empty and loses. */
static void a_full_queue_is_full_and_goes_on(void **state)
{
	struct ipk_queue *q = make_queue("u64", 3);

	(void)state;
	for (u64 lap = 0; lap < 5; lap++) {
		for (u64 i = 0; i < 3; i++)
			assert_int_equal(push_u64(q, 3 * lap + i), 0);
		for (int i = 0; i < 4; i++)
			assert_int_equal(push_u64(q, 99), -EAGAIN);
		assert_int_equal(ipk_queue_count(q, NULL), 3);
		for (u64 i = 0; i < 3; i++)
			assert_int_equal(pop_u64(q), 3 * lap + i);
		assert_int_equal(pop_u64(q), -EAGAIN);
	}
	drop_queue(q);
}

/* VenomMemory: more than 4,096 bytes spin for ever; ipc_ring: an empty message hangs the reader. */
static void values_of_no_and_of_many_bytes_pass(void **state)
{
	static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 100000};
	static char in[100000], out[100000];
	struct ipk_queue *q = make_queue("bytes", 2);
	struct ipk_queue_item item;

	(void)state;
	for (unsigned i = 0; i < IPK_ARRAY_LEN(sizes); i++) {
		memset(in, 'a' + (int)i, sizes[i]);
		assert_int_equal(ipk_queue_push(q, in, sizes[i], IPK_NOWAIT), 0);
		assert_int_equal(ipk_queue_pop(q, out, sizeof(out), &item, IPK_NOWAIT), 0);
		assert_int_equal(item.len, sizes[i]);
		assert_memory_equal(in, out, sizes[i]);
	}
	drop_queue(q);
}

static void stop_in_a_write(void *arg)
{
	struct ipk_segment *seg = open_segment(SEG);
	struct ipk_array *a;
	u8 *entry;
	u64 seq;

	must(seg && ipk_array_open(seg, "a", NULL, &a, NULL) == 0);
	must(ipk_lock(ipk_use(&a->obj, arg), &a->body->lock, IPK_NOWAIT) == 0);
	seq = a->body->seq;
	entry = seg->base + ipk_array_entry(&a->g, ipk_array_done(seq));
	memset(entry, 0, a->g.entry);
	memset(entry + 8, 2, a->g.size);
	ipk_st(&a->body->seq, seq + 1, release);
	memset(a->data, 2, a->g.size / 2); /* the place is half written */
	kill(getpid(), SIGKILL);
}

/* VenomMemory: readers spin for ever when the writer is killed in the middle. */
static void readers_get_past_a_writer_killed_in_the_middle(void **state)
{
	struct ipk_segment *seg = make_segment(8 << 20);
	struct ipk_array *a;
	u8 val[64], want[64];
	int *error = shared(sizeof(*error));

	(void)state;
	memset(val, 1, sizeof(val));
	memset(want, 2, sizeof(want));
	assert_int_equal(ipk_array_create(seg, "a", "bytes:64", 4, NULL), 0);
	assert_int_equal(ipk_array_open(seg, "a", NULL, &a, NULL), 0);
	assert_int_equal(ipk_array_set(a, 0, val, IPK_FOREVER), 0);
	assert_true(WIFSIGNALED(join_child(spawn(stop_in_a_write, error))));
	assert_int_equal(ipk_array_get(a, 0, val), 0);
	assert_memory_equal(val, want, sizeof(val));
	ipk_array_close(a);
	ipk_segment_close(seg);
	assert_int_equal(ipk_segment_remove(SEG, NULL), 0);
	munmap(error, sizeof(*error));
}

/* VenomMemory: sizes are taken from shared memory unchecked, each time. */
static void sizes_that_somebody_overwrites_are_not_believed(void **state)
{
	struct ipk_queue *q = make_queue("u64", 4);
	struct ipk_queue *again = NULL;

	(void)state;
	ipk_st(&q->b->cap, UINT64_C(1) << 40, relaxed);
	ipk_st(&q->b->stride, UINT64_C(1) << 33, relaxed);
	for (u64 i = 0; i < 10; i++) {
		assert_int_equal(push_u64(q, i), 0);
		assert_int_equal(pop_u64(q), i);
	}
	assert_int_equal(ipk_queue_open(q->obj.seg, "q", NULL, &again, NULL), -EBADMSG);
	drop_queue(q);
}

static void lease_and_stop(void *arg)
{
	struct ipk_queue *q = child_queue();
	struct ipk_queue_lease lease;

	(void)arg;
	must(ipk_queue_lease(q, &lease, IPK_NOWAIT) == 0);
	raise(SIGSTOP);
	must(ipk_queue_ack(q, &lease) == 0);
}

/* ipc_ring: a slow but living reader is called stalled. */
static void who_is_slow_is_not_taken_for_dead(void **state)
{
	struct ipk_queue *q = make_queue("u64", 4);
	pid_t pid;

	(void)state;
	assert_int_equal(push_u64(q, 1), 0);
	pid = spawn(lease_and_stop, NULL);
	assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
	assert_int_equal(ipk_segment_sweep(q->obj.seg), 0);
	assert_int_equal(pop_u64(q), -EAGAIN);
	assert_int_equal(kill(pid, SIGCONT), 0);
	assert_ended_well(join_child(pid));
	assert_int_equal(ipk_queue_count(q, NULL), 0);
	drop_queue(q);
}

static u32 waiter_done;

static void *wait_a_little(void *arg)
{
	void *r = (void *)(intptr_t)ipk_queue_pop(arg, &(u64){0}, 8, NULL,
						  ipk_deadline(50 * 1000000));

	ipk_st(&waiter_done, 1u, release);
	return r;
}

/* ipc_ring: a time-out starts again at each wake-up. Here the waiter is woken until it has ended.
 */
static void wakes_do_not_prolong_a_wait(void **state)
{
	struct ipk_queue *q = make_queue("u64", 4);
	i64 end = ipk_now() + LIMIT_NS;
	pthread_t thread;
	void *r;

	(void)state;
	waiter_done = 0;
	assert_int_equal(pthread_create(&thread, NULL, wait_a_little, q), 0);
	while (!ipk_ld(&waiter_done, acquire)) {
		ipk_event_notify(&q->b->items, INT32_MAX);
		if (ipk_now() > end)
			fail_msg("the wait does not end");
	}
	assert_int_equal(pthread_join(thread, &r), 0);
	assert_int_equal((intptr_t)r, -ETIMEDOUT);
	drop_queue(q);
}

static void lease_and_die(struct ipk_queue *q)
{
	struct ipk_queue_lease lease;

	must(ipk_queue_lease(q, &lease, IPK_NOWAIT) == 0);
}

/* iceoryx 1936, iceoryx2 130: what dead consumers had is lost; shaq 67: only a sole process mends.
 */
static void dead_consumers_leak_nothing_beside_living_ones(void **state)
{
	struct ipk_queue *q = make_queue("bytes", 4);
	struct ipk_queue_lease living;
	char big[3000];
	u64 used;

	(void)state;
	memset(big, 1, sizeof(big));
	for (int i = 0; i < 3; i++)
		assert_int_equal(ipk_queue_push(q, big, sizeof(big), IPK_NOWAIT), 0);
	assert_int_equal(ipk_queue_lease(q, &living, IPK_NOWAIT), 0);
	used = info_of(SEG).used;
	for (int i = 0; i < 5; i++) {
		die_in(lease_and_die);
		ipk_segment_sweep(q->obj.seg);
		assert_int_equal(ipk_queue_count(q, NULL), 3);
		assert_int_equal(info_of(SEG).used, used);
	}
	assert_int_equal(ipk_queue_ack(q, &living), 0);
	assert_int_equal(ipk_queue_drain(q), 2);
	assert_int_equal(ipk_object_remove(q->obj.seg, "q", NULL), 0);
	ipk_queue_close(q);
	assert_int_equal(info_of(SEG).used, 0);
}

/* iceoryx2 1880, iceoryx 2193: whoever cleans up after the dead dies of what it finds. */
static void damage_does_not_end_who_cleans_up(void **state)
{
	struct ipk_queue *q = make_queue("u64", 4);

	(void)state;
	assert_int_equal(push_u64(q, 1), 0);
	die_in(lease_and_die);
	ipk_st(&q->b->stride, UINT64_C(3), relaxed);
	set_word(q, 2, UINT64_MAX);
	assert_true(ipk_segment_sweep(q->obj.seg) >= 0);
	ipk_queue_close(q);
}

#define T(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(killed_users_do_not_leave_a_queue_unusable),
		T(what_the_dead_hold_comes_back),
		T(a_time_out_leaves_no_arrival),
		T(huge_numbers_are_computed_or_refused),
		T(a_full_queue_is_full_and_goes_on),
		T(values_of_no_and_of_many_bytes_pass),
		T(readers_get_past_a_writer_killed_in_the_middle),
		T(sizes_that_somebody_overwrites_are_not_believed),
		T(who_is_slow_is_not_taken_for_dead),
		T(wakes_do_not_prolong_a_wait),
		T(dead_consumers_leak_nothing_beside_living_ones),
		T(damage_does_not_end_who_cleans_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
