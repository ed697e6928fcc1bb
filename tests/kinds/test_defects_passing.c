/* SPDX-License-Identifier: MIT */
/*
 * What went wrong in other systems with objects and messages that are passed on; see
 * test_defects.c.
 */
#include "ipk/pool.h"
#include "ipk/ring.h"
#include "ipk/stream.h"

#include "fixture_one.h"

#include "kinds/ring.h"

/* ZeroIPC: after a double free a pool gave one object to two. */
static void an_object_released_twice_goes_out_once(void **state)
{
	struct ipk_pool *pool;
	uint64_t first, second, third;

	(void)state;
	assert_int_equal(ipk_pool_create(seg, "x", "u64", 2, NULL), 0);
	assert_int_equal(ipk_pool_open(seg, "x", NULL, &pool, NULL), 0);
	assert_int_equal(ipk_pool_acquire(pool, IPK_NOWAIT, &first), 0);
	assert_int_equal(ipk_pool_release(pool, first), 0);
	assert_int_equal(ipk_pool_release(pool, first), -ENOENT);
	assert_int_equal(ipk_pool_acquire(pool, IPK_NOWAIT, &first), 0);
	assert_int_equal(ipk_pool_acquire(pool, IPK_NOWAIT, &second), 0);
	assert_int_not_equal(first, second);
	assert_int_equal(ipk_pool_acquire(pool, IPK_NOWAIT, &third), -EAGAIN);
	ipk_pool_close(pool);
}

static struct ipk_ring *new_ring(void)
{
	struct ipk_ring_options options = IPK_RING_OPTIONS_INIT;
	struct ipk_ring *ring;

	options.cap = 256;
	assert_int_equal(ipk_ring_create(seg, "x", &options, NULL), 0);
	assert_int_equal(ipk_ring_open(seg, "x", NULL, &ring, NULL), 0);
	return ring;
}

/* ipc_ring: two wrote to the ring of one writer. */
static void a_second_writer_of_a_ring_is_refused(void **state)
{
	struct ipk_ring *ring = new_ring(), *other;
	char buf[8];

	(void)state;
	assert_int_equal(ipk_ring_open(seg, "x", NULL, &other, NULL), 0);
	assert_int_equal(ipk_ring_push(ring, "one", 3, IPK_NOWAIT), 0);
	assert_int_equal(ipk_ring_push(other, "two", 3, IPK_NOWAIT), -EBUSY);
	assert_int_equal(ipk_ring_pop(other, buf, sizeof(buf), NULL, IPK_NOWAIT), 0);
	assert_memory_equal(buf, "one", 3);
	assert_int_equal(ipk_ring_pop(other, buf, sizeof(buf), NULL, IPK_NOWAIT), -EAGAIN);
	ipk_ring_close(other);
	ipk_ring_close(ring);
}

/* ipc_ring: a message of no bytes hung the reader. */
static void an_empty_message_passes_a_ring(void **state)
{
	struct ipk_ring *ring = new_ring();
	size_t len = 1;
	char buf[8];

	(void)state;
	for (int i = 0; i < 100; i++) { /* round and round */
		assert_int_equal(ipk_ring_push(ring, "", 0, IPK_NOWAIT), 0);
		assert_int_equal(ipk_ring_pop(ring, buf, sizeof(buf), &len, IPK_NOWAIT), 0);
		assert_int_equal(len, 0);
	}
	ipk_ring_close(ring);
}

/* Elgate: a full ring read as empty, and what it held was lost. */
static void a_full_ring_is_not_empty(void **state)
{
	struct ipk_ring *ring = new_ring();
	char buf[16];
	int n = 0, r;

	(void)state;
	while ((r = ipk_ring_push(ring, &(char){(char)n}, 1, IPK_NOWAIT)) == 0)
		n++;
	assert_int_equal(r, -EAGAIN);
	assert_true(n > 1);
	assert_true(ipk_ring_used(ring) > 0);
	for (int i = 0; i < n; i++) {
		assert_int_equal(ipk_ring_pop(ring, buf, sizeof(buf), NULL, IPK_NOWAIT), 0);
		assert_int_equal(buf[0], i);
	}
	assert_int_equal(ipk_ring_pop(ring, buf, sizeof(buf), NULL, IPK_NOWAIT), -EAGAIN);
	ipk_ring_close(ring);
}

static void peeks_and_stops(void *arg)
{
	struct ipk_segment *mine = open_segment("s");
	struct ipk_ring_message m;
	struct ipk_ring *ring;
	int n = *(int *)arg;
	char buf[8];

	must(mine && ipk_ring_open(mine, "x", NULL, &ring, NULL) == 0);
	must(ipk_ring_peek(ring, &m, IPK_NOWAIT) == 0 && *(const char *)m.data == 0);
	raise(SIGSTOP);
	must(ipk_ring_release(ring, &m) == 0);
	for (int i = 1; i < n; i++)
		must(ipk_ring_pop(ring, buf, sizeof(buf), NULL, IPK_NOWAIT) == 0 &&
		     buf[0] == (char)i);
	must(ipk_ring_pop(ring, buf, sizeof(buf), NULL, IPK_NOWAIT) == -EAGAIN);
}

/* ipc_ring: a reader that lives and is slow was called stalled, and its place given away. */
static void who_reads_a_ring_slowly_keeps_it(void **state)
{
	struct ipk_ring *ring = new_ring(), *other;
	struct ipk_error err = {0};
	char buf[8];
	int n = 0;
	pid_t pid;

	(void)state;
	while (ipk_ring_push(ring, &(char){(char)n}, 1, IPK_NOWAIT) == 0)
		n++;
	pid = spawn(peeks_and_stops, &n);
	assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
	assert_int_equal(ipk_segment_sweep(seg), 0);
	assert_int_equal(ipk_ring_push(ring, "x", 1, ipk_deadline(2 * MS)), -ETIMEDOUT);
	assert_int_equal(ipk_ring_open(seg, "x", NULL, &other, NULL), 0);
	assert_int_equal(ipk_ring_claim(other, IPK_RING_CONSUMER, &err), -EBUSY);
	assert_int_equal(ipk_ring_pop(other, buf, sizeof(buf), NULL, IPK_NOWAIT), -EBUSY);
	assert_int_equal(kill(pid, SIGCONT), 0);
	assert_ended_well(join_child(pid));
	ipk_ring_close(other);
	ipk_ring_close(ring);
}

static u32 waiter_done;

static void *waits_a_little(void *arg)
{
	char buf[8];
	int r = ipk_ring_pop(arg, buf, sizeof(buf), NULL, ipk_deadline(30 * MS));

	ipk_st(&waiter_done, 1u, release);
	return (void *)(intptr_t)r;
}

/*
 * ipc_ring: a time-out starts again at each wake-up. Here the waiter is woken until it has ended.
 */
static void wakes_do_not_prolong_a_wait_at_a_ring(void **state)
{
	struct ipk_ring *ring = new_ring();
	i64 end = ipk_now() + LIMIT_NS;
	pthread_t thread;
	void *r;

	(void)state;
	ipk_st(&waiter_done, 0u, relaxed);
	assert_int_equal(pthread_create(&thread, NULL, waits_a_little, ring), 0);
	while (!ipk_ld(&waiter_done, acquire)) {
		ipk_event_notify(&ring_handle(ring)->b->items, INT32_MAX);
		if (ipk_now() > end)
			fail_msg("the wait does not end");
	}
	assert_int_equal(pthread_join(thread, &r), 0);
	assert_int_equal((intptr_t)r, -ETIMEDOUT);
	ipk_ring_close(ring);
}

#define BYTES 1000

static void *reads_bytes(void *arg)
{
	struct ipk_ring *ring;
	u8 buf[7];
	int n = 0;

	(void)arg;
	assert_int_equal(ipk_ring_open(seg, "x", NULL, &ring, NULL), 0);
	while (n < BYTES) {
		i64 r = ipk_ring_read(ring, buf, sizeof(buf), IPK_FOREVER);

		for (i64 i = 0; i < r; i++, n++)
			if (buf[i] != 'a' + n % 26)
				return NULL;
		if (r <= 0)
			return NULL;
	}
	ipk_ring_close(ring);
	return arg;
}

/* Elgate: what a ring did not take all of was lost. Told by a function, gone on with by a verb. */
static void what_a_byte_ring_does_not_take_is_told(void **state)
{
	struct ipk_ring_options options = {.type = "str", .cap = 64, .stream = true};
	struct verb v = {.call.timeout = -1};
	struct ipk_ring *ring;
	char text[BYTES + 1];
	pthread_t thread;
	void *r = NULL;

	(void)state;
	for (int i = 0; i < BYTES; i++)
		text[i] = (char)('a' + i % 26);
	text[BYTES] = 0;
	assert_int_equal(ipk_ring_create(seg, "x", &options, NULL), 0);
	assert_int_equal(ipk_ring_open(seg, "x", NULL, &ring, NULL), 0);
	assert_int_equal(ipk_ring_write(ring, text, BYTES, IPK_NOWAIT), 64);
	assert_int_equal(ipk_ring_write(ring, text + 64, BYTES - 64, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_ring_reset(ring), 64);
	ipk_ring_close(ring);
	assert_int_equal(pthread_create(&thread, NULL, reads_bytes, &v), 0);
	assert_int_equal(verb_run(&v, seg, "x", "ring", "push", NULL, NULL,
				  (const char *const[]){text, NULL}),
			 0);
	verb_end(&v);
	assert_int_equal(pthread_join(thread, &r), 0);
	assert_ptr_equal(r, &v);
}

/* ZeroIPC: of five items of a closed source none was delivered. */
static void a_closed_stream_gives_all_that_it_holds(void **state)
{
	struct ipk_stream_options options = {.type = "u64", .cap = 8};
	struct ipk_stream_sub *sub;
	struct ipk_stream *s;
	uint64_t got;

	(void)state;
	assert_int_equal(ipk_stream_create(seg, "x", &options, NULL), 0);
	assert_int_equal(ipk_stream_open(seg, "x", NULL, &s, NULL), 0);
	for (uint64_t i = 0; i < 5; i++)
		assert_int_equal(ipk_stream_emit(s, &i, sizeof(i), IPK_NOWAIT), 0);
	assert_int_equal(ipk_stream_shutdown(s), 0);
	assert_int_equal(ipk_stream_subscribe(s, NULL, IPK_STREAM_FROM_START, &sub, NULL), 0);
	for (uint64_t i = 0; i < 5; i++) {
		assert_int_equal(ipk_stream_next(sub, &got, sizeof(got), NULL, IPK_FOREVER), 0);
		assert_int_equal(got, i);
	}
	assert_int_equal(ipk_stream_next(sub, &got, sizeof(got), NULL, IPK_FOREVER), -EPIPE);
	ipk_stream_unsubscribe(sub);
	ipk_stream_close(s);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_object_released_twice_goes_out_once),
		T(a_second_writer_of_a_ring_is_refused),
		T(an_empty_message_passes_a_ring),
		T(a_full_ring_is_not_empty),
		T(a_closed_stream_gives_all_that_it_holds),
		T(who_reads_a_ring_slowly_keeps_it),
		T(wakes_do_not_prolong_a_wait_at_a_ring),
		T(what_a_byte_ring_does_not_take_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
