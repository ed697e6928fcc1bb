/* SPDX-License-Identifier: MIT */
/* What went wrong in other systems with objects and messages that are passed on; see test_defects.c. */
#include "ipk/pool.h"
#include "ipk/ring.h"
#include "ipk/stream.h"

#include "fixture_one.h"

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
		T(an_object_released_twice_goes_out_once),  T(a_second_writer_of_a_ring_is_refused),
		T(an_empty_message_passes_a_ring),          T(a_full_ring_is_not_empty),
		T(a_closed_stream_gives_all_that_it_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
