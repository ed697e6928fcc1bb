/* SPDX-License-Identifier: MIT */
/* The queue's verbs as the command line runs them: batches, what could not be delivered, -n, -t. */
#include "kinds/queue_test.h"

static int run(struct verb *v, struct ipk_queue *q, const char *verb, uint64_t count, int64_t timeout,
	       const char *const *words)
{
	memset(v, 0, sizeof(*v));
	v->call.count = count;
	v->call.timeout = timeout;
	return verb_run(v, q->obj.seg, "q", "queue", verb, NULL, NULL, words);
}

static void push_takes_all_values_in_batches(void **state)
{
	const char *words[] = {"a", "", "c", "d", "e", "f", "g", NULL};
	struct ipk_queue *q = make_queue("str", 5);
	struct verb v;

	(void)state;
	assert_int_equal(run(&v, q, "push", 0, 0, words), -EAGAIN);
	assert_int_equal(v.call.done, 5);
	assert_string_equal(v.call.err.text, "full");
	verb_end(&v);
	assert_int_equal(run(&v, q, "pop", 3, 0, NULL), 0);
	assert_string_equal(v.out.data, "a\n\nc\n");
	assert_int_equal(v.call.done, 3);
	verb_end(&v);
	assert_int_equal(run(&v, q, "push", 0, 1000000, words + 5), 0);
	assert_int_equal(v.call.done, 2);
	verb_end(&v);
	assert_int_equal(run(&v, q, "push", 0, 1000000, words + 5), -ETIMEDOUT);
	assert_int_equal(v.call.done, 1);
	verb_end(&v);
	drop_queue(q);
}

static void pop_cut_short_says_how_many_came(void **state)
{
	const char *words[] = {"1", "2", NULL};
	struct ipk_queue *q = make_queue("u32", 4);
	struct verb v;

	(void)state;
	assert_int_equal(run(&v, q, "pop", 0, 0, NULL), -EAGAIN);
	assert_string_equal(v.call.err.text, "empty");
	verb_end(&v);
	assert_int_equal(run(&v, q, "push", 0, 0, words), 0);
	verb_end(&v);
	assert_int_equal(run(&v, q, "pop", 3, 1000000, NULL), -ETIMEDOUT);
	assert_int_equal(v.call.done, 2);
	assert_string_equal(v.out.data, "1\n2\n");
	verb_end(&v);
	assert_int_equal(run(&v, q, "push", 0, 0, words), 0);
	verb_end(&v);
	assert_int_equal(run(&v, q, "close", 0, 0, NULL), 0);
	verb_end(&v);
	assert_int_equal(run(&v, q, "push", 0, -1, words), -EPIPE);
	assert_string_equal(v.call.err.text, "closed");
	verb_end(&v);
	assert_int_equal(run(&v, q, "pop", UINT64_MAX, -1, NULL), -EPIPE);
	assert_int_equal(v.call.done, 2);
	verb_end(&v);
	drop_queue(q);
}

static int no_flush(struct ipk_call *call)
{
	(void)call;
	return -EPIPE;
}

static int no_third(struct ipk_call *call, const struct ipk_item *item)
{
	struct verb *v = call->tool;

	(void)item;
	return ++v->most == 3 ? -EIO : 0;
}

static int good_flush(struct ipk_call *call)
{
	(void)call;
	return 0;
}

static void ready(struct ipk_queue *q, struct ipk_call *call)
{
	call->seg = q->obj.seg;
	call->handle = q;
	call->err = (struct ipk_error){0};
	call->done = 0;
}

/* What could not be delivered goes back, marked, in its order. */
static void what_cannot_be_written_goes_back(void **state)
{
	const struct ipk_op *pop = ipk_kind_op(&ipk_kind_queue, "pop");
	struct ipk_queue *q = make_queue("u64", 8);
	struct verb v = {.call = {.count = 5, .flush = no_flush, .emit = verb_emit, .tool = &v}};
	struct ipk_queue_item item;
	u64 val;

	(void)state;
	assert_int_equal(ipk_type_parse("u64", 3, &v.type, NULL), 0);
	for (u64 i = 0; i < 6; i++)
		assert_int_equal(push_u64(q, i), 0);
	ready(q, &v.call);
	assert_int_equal(pop->run(&v.call), -EPIPE);
	assert_int_equal(v.call.done, 0);
	assert_int_equal(ipk_queue_count(q, NULL), 6);
	v.call.emit = no_third;
	v.call.flush = good_flush;
	ready(q, &v.call);
	assert_int_equal(pop->run(&v.call), -EIO);
	assert_int_equal(v.call.done, 0);
	for (u64 i = 0; i < 6; i++) {
		assert_int_equal(ipk_queue_pop(q, &val, 8, &item, IPK_NOWAIT), 0);
		assert_int_equal(val, i);
		assert_int_equal(item.redelivered, i < 5 ? 2 : 0);
	}
	verb_end(&v);
	drop_queue(q);
}

static int flushes;

/* The first command succeeds, the second fails. */
static int run_command(struct ipk_call *call)
{
	(void)call;
	return flushes++ == 1 ? -ECANCELED : 0;
}

static void a_leased_item_is_gone_only_when_its_command_succeeds(void **state)
{
	const struct ipk_op *lease = ipk_kind_op(&ipk_kind_queue, "lease");
	struct ipk_queue *q = make_queue("u64", 8);
	struct verb v = {.call = {.count = 3, .flush = run_command, .emit = verb_emit, .tool = &v}};
	struct ipk_queue_item item;
	u64 val;

	(void)state;
	assert_true(lease->flags & IPK_OP_CMD && lease->flags & IPK_OP_OUT);
	assert_int_equal(ipk_type_parse("u64", 3, &v.type, NULL), 0);
	for (u64 i = 0; i < 3; i++)
		assert_int_equal(push_u64(q, i), 0);
	ready(q, &v.call);
	assert_int_equal(lease->run(&v.call), -ECANCELED);
	assert_int_equal(v.call.done, 1);
	assert_int_equal(ipk_queue_pop(q, &val, 8, &item, IPK_NOWAIT), 0);
	assert_int_equal(val, 1);
	assert_int_equal(item.redelivered, 1);
	assert_int_equal(pop_u64(q), 2);
	verb_end(&v);
	drop_queue(q);
}

static void a_refused_value_is_named(void **state)
{
	struct ipk_segment *seg = make_segment(UINT64_C(4) << 20);
	char *big = calloc(1, (4 << 20) + 2);
	const char *words[] = {"small", big, big, NULL};
	struct ipk_queue *q;
	struct verb v;

	(void)state;
	assert_int_equal(ipk_queue_create(seg, "q", NULL, 4, NULL), 0);
	q = open_queue(seg, "q");
	memset(big, 'x', (4 << 20) + 1);
	assert_int_equal(run(&v, q, "push", 0, 0, words), -EMSGSIZE);
	assert_int_equal(v.call.done, 1);
	assert_non_null(strstr(v.call.err.text, "4194304"));
	verb_end(&v);
	big[5 << 19] = '\0';
	assert_int_equal(run(&v, q, "push", 0, 0, words + 1), -ENOSPC);
	assert_int_equal(v.call.done, 1);
	assert_non_null(strstr(v.call.err.text, "no room"));
	verb_end(&v);
	free(big);
	drop_queue(q);
}

static int count_up(struct ipk_call *call, struct ipk_item *item, int max)
{
	static u64 vals[4096];
	struct verb *v = call->tool;
	int n = 0;

	for (; n < max && n < 4096 && v->most < 20000; n++) {
		vals[n] = v->most++;
		item[n] = (struct ipk_item){.data = &vals[n], .len = 8};
	}
	return n;
}

static int count_emit(struct ipk_call *call, const struct ipk_item *item)
{
	struct verb *v = call->tool;
	u64 val;

	memcpy(&val, item->data, 8);
	return val == v->most++ && item->pos == val ? 0 : -EBADMSG;
}

static void push_all(void *arg)
{
	struct ipk_queue *q = child_queue();
	struct verb v = {.call = {.timeout = -1, .next = count_up, .tool = &v}};

	(void)arg;
	ready(q, &v.call);
	must(ipk_kind_op(&ipk_kind_queue, "push")->run(&v.call) == 0);
	must(v.call.done == 20000);
}

static void a_stream_goes_through_from_process_to_process(void **state)
{
	struct ipk_queue *q = make_queue("u64", 100);
	struct verb v = {.call = {.timeout = -1, .count = 20000, .emit = count_emit,
				  .flush = good_flush, .tool = &v}};
	pid_t pid = spawn(push_all, NULL);

	(void)state;
	ready(q, &v.call);
	assert_int_equal(ipk_kind_op(&ipk_kind_queue, "pop")->run(&v.call), 0);
	assert_int_equal(v.call.done, 20000);
	assert_ended_well(join_child(pid));
	drop_queue(q);
}

#define T(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(push_takes_all_values_in_batches),
		T(pop_cut_short_says_how_many_came),
		T(what_cannot_be_written_goes_back),
		T(a_leased_item_is_gone_only_when_its_command_succeeds),
		T(a_refused_value_is_named),
		T(a_stream_goes_through_from_process_to_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
