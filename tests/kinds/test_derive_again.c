/* SPDX-License-Identifier: MIT */
/* Derived streams whose runner begins again, or whose sources are not what they were. */
#include "derive_test.h"

static struct ipk_stream *numbers(const char *name, u64 cap, enum ipk_stream_policy policy)
{
	return stream(name,
		      &(struct ipk_stream_options){.type = "i64", .cap = cap, .policy = policy});
}

static struct ipk_stream_sub *subscribe(struct ipk_stream *st, const char *name)
{
	struct ipk_stream_sub *sub = NULL;

	assert_int_equal(ipk_stream_subscribe(st, name, IPK_STREAM_FROM_START, &sub, NULL), 0);
	return sub;
}

static int next_val(struct ipk_stream_sub *sub, i64 *ret)
{
	return ipk_stream_next(sub, ret, sizeof(*ret), NULL, IPK_NOWAIT);
}

/* Bytes for fewer records than are committed at once: what did not go in comes again, once. */
static void a_commit_cut_short_by_bytes_repeats_nothing(void **state)
{
	const struct ipk_stream_options small = {
		.bytes = 80, .cap = 1000, .policy = IPK_STREAM_REJECT};
	struct ipk_stream *from = numbers("from", LIST_MAX, IPK_STREAM_DROP), *to;
	struct ipk_stream_sub *slow;
	struct ipk_derive *d;
	u64 emitted = 0;
	i64 val, want = 0;
	int r;

	(void)state;
	assert_int_equal(ipk_derive_create(seg, "to", "from", "map($ + 1)", &small, NULL), 0);
	to = stream("to", NULL);
	slow = subscribe(to, "slow");
	for (i64 i = 0; i < 100; i++)
		emit_val(from, i);
	for (int life = 0; life < 40; life++) {
		d = derive("to");
		do
			r = ipk_derive_run(d, 1000, &emitted, IPK_NOWAIT, NULL);
		while (r == 0);
		assert_true(r == -EBUSY || r == -EAGAIN);
		ipk_derive_close(d);
		for (int i = 0; i < 7 && next_val(slow, &val) == 0; i++)
			assert_int_equal(val, ++want);
		assert_int_equal(ipk_stream_ack(slow), 0);
	}
	assert_int_equal(want, 100);
	ipk_stream_unsubscribe(slow);
	ipk_stream_close(to);
	ipk_stream_close(from);
}

/* Under the name of what could not be made nobody reads, so nothing is kept for it. */
static void what_could_not_be_derived_holds_nobody_up(void **state)
{
	struct ipk_stream *a = numbers("a", 4, IPK_STREAM_BLOCK), *b;
	struct ipk_stream_sub *other;
	struct ipk_error err = {0};

	(void)state;
	b = stream("b", &(struct ipk_stream_options){.type = "i64", .subs = 1});
	other = subscribe(b, "other");
	assert_int_equal(ipk_derive_create(seg, "to", "a", "merge(b)", NULL, &err), -EDQUOT);
	for (i64 i = 0; i < 10; i++)
		emit_val(a, i);
	ipk_stream_unsubscribe(other);
	ipk_stream_close(a);
	ipk_stream_close(b);
}

/* Another stream of the same name is another stream, however long it is. */
static void a_source_that_was_made_anew_is_not_read_on(void **state)
{
	struct ipk_stream *from = numbers("from", 100, IPK_STREAM_DROP);
	struct ipk_derive *d = NULL;
	struct ipk_error err = {0};

	(void)state;
	make_derived("to", "from", "map($ * 2)");
	for (i64 i = 0; i < 5; i++)
		emit_val(from, i);
	d = derive("to");
	assert_int_equal(run_all(d), -EAGAIN);
	ipk_derive_close(d);
	ipk_stream_close(from);
	assert_int_equal(ipk_object_remove(seg, "from", NULL), 0);
	from = numbers("from", 100, IPK_STREAM_DROP);
	for (i64 i = 0; i < 8; i++)
		emit_val(from, i);
	assert_int_equal(ipk_derive_open(seg, "to", NULL, 0, &d, &err), -EINVAL);
	assert_non_null(strstr(err.text, "another stream"));
	ipk_stream_close(from);
}

/* Who has taken what it wanted does not keep its source from going on. */
static void what_has_ended_holds_nobody_up(void **state)
{
	struct ipk_stream *from = numbers("from", 4, IPK_STREAM_BLOCK);
	struct ipk_derive *d;
	u64 emitted = 0;

	(void)state;
	for (int life = 0; life < 2; life++) {
		if (life == 0)
			make_derived("to", "from", "take(2)");
		for (i64 i = 0; i < 4; i++)
			emit_val(from, i);
		d = derive("to");
		assert_int_equal(run_all(d), -EPIPE);
		assert_int_equal(ipk_derive_run(d, 10, &emitted, IPK_NOWAIT, NULL), -EPIPE);
		for (i64 i = 0; i < 10; i++)
			emit_val(from, i);
		ipk_derive_close(d);
	}
	ipk_stream_close(from);
}

static void *close_soon(void *arg)
{
	usleep(30000);
	return (void *)(intptr_t)ipk_stream_shutdown(arg);
}

static void a_runner_ends_when_its_stream_is_closed(void **state)
{
	struct ipk_stream *from = numbers("from", 100, IPK_STREAM_DROP), *to;
	struct ipk_derive *d;
	pthread_t thread;
	void *ret;
	int r;

	(void)state;
	make_derived("to", "from", "map($ * 2)");
	to = stream("to", NULL);
	d = derive("to");
	assert_int_equal(pthread_create(&thread, NULL, close_soon, to), 0);
	r = ipk_derive_run(d, 10, &(u64){0}, ipk_deadline(LIMIT_NS), NULL);
	assert_int_equal(pthread_join(thread, &ret), 0);
	assert_null(ret);
	assert_int_equal(r, -EPIPE);
	ipk_derive_close(d);
	ipk_stream_close(to);
	ipk_stream_close(from);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_commit_cut_short_by_bytes_repeats_nothing),
		TEST(what_could_not_be_derived_holds_nobody_up),
		TEST(a_source_that_was_made_anew_is_not_read_on),
		TEST(what_has_ended_holds_nobody_up),
		TEST(a_runner_ends_when_its_stream_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
