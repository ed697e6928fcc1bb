/* SPDX-License-Identifier: MIT */
/* What programs do inline: who they are there, and that it is the same queue. */
#include "kinds/queue_test.h"

#include <pthread.h>

/* The calling thread may name itself, as what its participant is. */
static bool is_noted(struct ipk_queue *q)
{
	return ipk_fast_self(&q->obj.fast) <= IPK_QUEUE_OWN;
}

#define ELEMENT(n) \
	static void there_and_back_##n(void) \
	{ \
		struct ipk_queue *q = make_queue("u8[" #n "]", 3); \
		struct { \
			u8 byte[n + 1]; \
		} in, out; \
\
		for (u32 i = 0; i < 100; i++) { \
			memset(&in, (int)i, n); \
			assert_int_equal(ipk_queue_push(q, &in, n, IPK_NOWAIT), 0); \
			memset(&in, (int)i + 1, n); \
			assert_int_equal(ipk_queue_push(q, &in, n, IPK_NOWAIT), 0); \
			assert_int_equal(ipk_queue_push(q, &in, n + 1, IPK_NOWAIT), -EMSGSIZE); \
			for (u32 k = 0; k < 2; k++) { \
				memset(&in, (int)(i + k), n); \
				memset(&out, 0xee, n); \
				assert_int_equal(ipk_queue_pop(q, &out, n - 1, NULL, IPK_NOWAIT), \
						 -EMSGSIZE); \
				assert_int_equal(ipk_queue_pop(q, &out, n, NULL, IPK_NOWAIT), 0); \
				assert_memory_equal(&in, &out, n); \
			} \
			assert_int_equal(ipk_queue_pop(q, &out, n, NULL, IPK_NOWAIT), -EAGAIN); \
			assert_memory_equal(&in, &out, n); \
		} \
		assert_true(is_noted(q)); \
		assert_sound(); \
		drop_queue(q); \
	}

ELEMENT(1)
ELEMENT(4)
ELEMENT(8)
ELEMENT(12)
ELEMENT(16)
ELEMENT(24)
ELEMENT(64)
ELEMENT(65)

static void elements_of_constant_sizes_go_in_and_out(void **state)
{
	(void)state;
	there_and_back_1();
	there_and_back_4();
	there_and_back_8();
	there_and_back_12();
	there_and_back_16();
	there_and_back_24();
	there_and_back_64();
	there_and_back_65();
}

static void a_short_value_fits_a_buffer_of_constant_size(void **state)
{
	struct ipk_queue *q = make_queue("str", 4);
	char buf[16] = "untouched";

	(void)state;
	assert_int_equal(ipk_queue_pop(q, buf, sizeof(buf), NULL, IPK_NOWAIT), -EAGAIN);
	assert_string_equal(buf, "untouched");
	assert_int_equal(push_text(q, "a"), 0);
	assert_int_equal(ipk_queue_pop(q, buf, sizeof(buf), NULL, IPK_NOWAIT), 0);
	assert_int_equal(buf[0], 'a');
	drop_queue(q);
}

static void what_is_not_inlined_is_the_librarys(void **state)
{
	int (*push)(struct ipk_queue *, const void *, size_t, int64_t) = ipk_queue_push;
	struct ipk_queue *q = make_queue("u64", 4);
	uint64_t val = 7;

	(void)state;
	assert_int_equal(push(q, &val, 8, IPK_NOWAIT), 0);
	assert_int_equal(push(q, &val, 4, IPK_NOWAIT), -EMSGSIZE);
	assert_int_equal(pop_u64(q), 7);
	drop_queue(q);
}

static void only_who_uses_the_object_may_name_himself(void **state)
{
	struct ipk_queue *q = make_queue("u64", 4);

	(void)state;
	assert_false(is_noted(q));
	assert_int_equal(push_u64(q, 1), 0);
	assert_int_equal(ipk_fast_self(&q->obj.fast), own_slot(q));
	drop_queue(q);
}

static void a_handle_does_not_inherit_what_another_was_told(void **state)
{
	struct ipk_queue *q = make_queue("u64", 4), *other;
	struct ipk_segment *seg = q->obj.seg;

	(void)state;
	assert_int_equal(push_u64(q, 1), 0);
	for (int i = 0; i < 2 * IPK_FAST_WAYS; i++) {
		other = open_queue(seg, "q");
		assert_false(is_noted(other));
		assert_int_equal(push_u64(other, 2), 0);
		assert_true(is_noted(other));
		assert_int_equal(pop_u64(q), i ? 2 : 1);
		assert_true(is_noted(q));
		ipk_queue_close(other);
	}
	drop_queue(q);
}

static void a_child_is_not_its_parent(void **state)
{
	struct ipk_queue *q = make_queue("u64", 4);
	u32 mine = own_slot(q);
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(push_u64(q, 1), 0);
	assert_true(is_noted(q));
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		must(!is_noted(q));
		must(push_u64(q, 2) == 0);
		must(is_noted(q) && ipk_fast_self(&q->obj.fast) != mine);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(ipk_fast_self(&q->obj.fast), mine);
	assert_int_equal(pop_u64(q), 1);
	assert_int_equal(pop_u64(q), 2);
	drop_queue(q);
}

/*
 * A destructor that runs after the library's: the thread has left, and comes back as a new
 * participant.
 */
static pthread_key_t last_words;

static void say(void *arg)
{
	struct ipk_queue *q = arg;

	must(!is_noted(q));
	must(push_u64(q, 2) == 0);
}

static void *say_at_the_end(void *arg)
{
	must(push_u64(arg, 1) == 0);
	must(is_noted(arg));
	must(pthread_setspecific(last_words, arg) == 0);
	return NULL;
}

static void a_thread_at_its_end_is_nobody(void **state)
{
	struct ipk_queue *q = make_queue("u64", 4);
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_key_create(&last_words, say), 0);
	assert_int_equal(pthread_create(&thread, NULL, say_at_the_end, q), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(pthread_key_delete(last_words), 0);
	assert_int_equal(pop_u64(q), 1);
	assert_int_equal(pop_u64(q), 2);
	drop_queue(q);
}

/* The slot behind the last exists in no queue; with 5 there are three such in a code. */
static void no_hint_leads_out_of_the_slots(void **state)
{
	struct ipk_queue *q = make_queue("u64", 5);

	(void)state;
	assert_int_equal(q->g.mask, 7);
	/* What follows the slots looks as a queue's does that waits for just this. */
	set_word(q, 5, word(0, IPK_QUEUE_FULL, 0, 0));
	set_word(q, 6, word(0, IPK_QUEUE_FREE, 0, 0));
	set_word(q, 7, word(0, IPK_QUEUE_FREE, 0, 0));
	for (u64 i = 5; i < 8; i++) {
		u64 words[3] = {slot_word(q, 5), slot_word(q, 6), slot_word(q, 7)};

		ipk_st(&q->b->tail, i, release);
		ipk_st(&q->b->head, i, release);
		push_u64(q, 1);
		push_u64(q, 1);
		pop_u64(q);
		pop_u64(q);
		for (u64 k = 0; k < 3; k++)
			assert_int_equal(slot_word(q, 5 + k), words[k]);
	}
	drop_queue(q);
}

#define T(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(elements_of_constant_sizes_go_in_and_out),
		T(a_short_value_fits_a_buffer_of_constant_size),
		T(what_is_not_inlined_is_the_librarys),
		T(only_who_uses_the_object_may_name_himself),
		T(a_handle_does_not_inherit_what_another_was_told),
		T(a_child_is_not_its_parent),
		T(a_thread_at_its_end_is_nobody),
		T(no_hint_leads_out_of_the_slots),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
