/* SPDX-License-Identifier: MIT */
#include "fixture_one.h"

#include "ipk/stream.h"
#include "kinds/stream.h"

static struct ipk_stream *make(const struct ipk_stream_options *o)
{
	struct ipk_error err = {0};
	struct ipk_stream *st = NULL;

	if (ipk_stream_create(seg, "x", o, &err) < 0 ||
	    ipk_stream_open(seg, "x", NULL, &st, &err) < 0)
		fail_msg("%s", err.text);
	return st;
}

static int emit(struct ipk_stream *st, const char *text)
{
	return ipk_stream_emit(st, text, strlen(text), IPK_NOWAIT);
}

static struct ipk_stream_sub *subscribe(struct ipk_stream *st, const char *name, u64 back)
{
	struct ipk_error err = {0};
	struct ipk_stream_sub *sub = NULL;

	if (ipk_stream_subscribe(st, name, back, &sub, &err) < 0)
		fail_msg("%s", err.text);
	return sub;
}

/* The next record is text. */
static void expect(struct ipk_stream_sub *sub, const char *text)
{
	struct ipk_stream_item item;
	char buf[256] = "";

	assert_int_equal(ipk_stream_next(sub, buf, sizeof(buf) - 1, &item, IPK_NOWAIT), 0);
	buf[item.len] = 0;
	assert_string_equal(buf, text);
}

static void expect_none(struct ipk_stream_sub *sub)
{
	char buf[8];

	assert_int_equal(ipk_stream_next(sub, buf, sizeof(buf), NULL, IPK_NOWAIT), -EAGAIN);
}

static void every_subscriber_reads_all_that_comes(void **state)
{
	struct ipk_stream *st = make(NULL);
	struct ipk_stream_sub *a, *b, *c;

	(void)state;
	assert_int_equal(emit(st, "old"), 0);
	a = subscribe(st, NULL, 0);
	b = subscribe(st, NULL, IPK_STREAM_FROM_START);
	assert_int_equal(emit(st, "one"), 0);
	assert_int_equal(emit(st, ""), 0);
	c = subscribe(st, NULL, 2);
	expect(a, "one");
	expect(a, "");
	expect_none(a);
	expect(b, "old");
	expect(b, "one");
	expect(c, "one");
	expect(c, "");
	ipk_stream_seek(c, 0);
	expect(c, "old");
	assert_int_equal(ipk_stream_shutdown(st), 0);
	assert_int_equal(emit(st, "late"), -EPIPE);
	expect(b, "");
	assert_int_equal(ipk_stream_next(b, NULL, 0, NULL, IPK_FOREVER), -EPIPE);
	assert_int_equal(ipk_stream_next(a, NULL, 0, NULL, IPK_FOREVER), -EPIPE);
	ipk_stream_unsubscribe(a);
	ipk_stream_unsubscribe(b);
	ipk_stream_unsubscribe(c);
	assert_int_equal(findings_of("s", "x").n, 0);
	ipk_stream_close(st);
}

static u32 random_below(u32 *state, u32 n)
{
	*state = *state * 1664525u + 1013904223u;
	return (*state >> 8) % n;
}

/* Records of every length against a plain list, with the bounds of count and bytes. */
static void what_is_retained_is_as_in_a_list(void **state)
{
	struct ipk_stream *st = make(&(struct ipk_stream_options){.cap = 7, .bytes = 96});
	static u8 list[3000][100], buf[100];
	static u32 len[3000];
	u32 seed = 7, n, lost = 0;

	(void)state;
	for (n = 0; n < 3000; n++) {
		struct ipk_stream_sub *sub;
		struct ipk_stream_item item;
		u64 first, next, span = 0;

		len[n] = random_below(&seed, 97);
		memset(list[n], (int)n, len[n]);
		assert_int_equal(ipk_stream_emit(st, list[n], len[n], IPK_NOWAIT), 0);
		ipk_stream_range(st, &first, &next);
		assert_int_equal(next, n + 1);
		assert_true(next - first <= 7 && next > first);
		for (u64 i = first; i < next; i++)
			span = ipk_align_up(span, 8) + len[i];
		assert_true(span <= 96);
		/* Not less than fits. */
		if (first > 0 && next - first < 7)
			assert_true(ipk_align_up(len[first - 1], 8) + span > 96);
		sub = subscribe(st, NULL, IPK_STREAM_FROM_START);
		for (u64 i = first; i < next; i++) {
			assert_int_equal(ipk_stream_next(sub, buf, sizeof(buf), &item, IPK_NOWAIT),
					 0);
			assert_int_equal(item.pos, i);
			assert_int_equal(item.len, len[i]);
			assert_memory_equal(buf, list[i], len[i]);
		}
		expect_none(sub);
		if (n % 100 == 0) {
			ipk_stream_seek(sub, 0);
			assert_int_equal(ipk_stream_next(sub, buf, sizeof(buf), &item, IPK_NOWAIT),
					 0);
			assert_int_equal(item.lost, first);
			lost += first > 0;
		}
		ipk_stream_unsubscribe(sub);
	}
	assert_true(lost > 20);
	assert_int_equal(ipk_stream_emit(st, list, 97, IPK_NOWAIT), -EMSGSIZE);
	assert_int_equal(findings_of("s", "x").n, 0);
	ipk_stream_close(st);
}

static void a_batch_is_as_large_as_fits(void **state)
{
	struct ipk_stream *st = make(&(struct ipk_stream_options){.type = "u64", .cap = 200});
	static struct iovec values[300];
	static u64 number[300];
	struct ipk_stream_sub *sub = subscribe(st, NULL, 0);
	u64 val;

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		number[i] = i;
		values[i] = (struct iovec){&number[i], 8};
	}
	assert_int_equal(ipk_stream_emit_many(st, values, 300, IPK_NOWAIT), IPK_STREAM_BATCH);
	values[3].iov_len = 4;
	assert_int_equal(ipk_stream_emit_many(st, values, 5, IPK_NOWAIT), 3);
	assert_int_equal(ipk_stream_emit_many(st, values + 3, 1, IPK_NOWAIT), -EMSGSIZE);
	for (unsigned i = 0; i < IPK_STREAM_BATCH + 3; i++) {
		assert_int_equal(ipk_stream_next(sub, &val, 8, NULL, IPK_NOWAIT), 0);
		assert_int_equal(val, i % IPK_STREAM_BATCH);
	}
	ipk_stream_unsubscribe(sub);
	ipk_stream_close(st);
}

static void a_named_subscriber_holds_producers_up_by_policy(void **state)
{
	static const int answer[] = {[IPK_STREAM_DROP] = 0,
				     [IPK_STREAM_BLOCK] = -ETIMEDOUT,
				     [IPK_STREAM_REJECT] = -EAGAIN};

	(void)state;
	for (unsigned policy = 0; policy <= IPK_STREAM_REJECT; policy++) {
		struct ipk_stream *st =
			make(&(struct ipk_stream_options){.cap = 2, .policy = policy});
		struct ipk_stream_sub *slow = subscribe(st, "slow", 0),
				      *other = subscribe(st, NULL, 0);

		assert_int_equal(emit(st, "1"), 0);
		assert_int_equal(emit(st, "2"), 0);
		expect(other, "1");
		assert_int_equal(ipk_stream_emit(st, "3", 1, ipk_deadline(2 * MS)), answer[policy]);
		if (policy != IPK_STREAM_DROP) {
			expect(slow, "1");
			assert_int_equal(ipk_stream_emit(st, "3", 1, ipk_deadline(2 * MS)),
					 answer[policy]);
			assert_int_equal(ipk_stream_ack(slow), 0);
			assert_int_equal(emit(st, "3"), 0);
		}
		assert_int_equal(ipk_stream_forget(st, "slow"), -EBUSY);
		ipk_stream_unsubscribe(slow);
		assert_int_equal(ipk_stream_forget(st, "slow"), 0);
		assert_int_equal(ipk_stream_forget(st, "slow"), -ENOENT);
		assert_int_equal(emit(st, "4"), 0);
		ipk_stream_unsubscribe(other);
		ipk_stream_close(st);
		assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
	}
}

static void names_are_checked_and_run_out(void **state)
{
	struct ipk_stream *st = make(&(struct ipk_stream_options){.subs = 2});
	struct ipk_stream_sub *a = subscribe(st, "a", 0), *b = subscribe(st, "b", 0), *c;

	(void)state;
	assert_int_equal(ipk_stream_subscribe(st, "c", 0, &c, NULL), -EDQUOT);
	assert_int_equal(ipk_stream_subscribe(st, "a", 0, &c, NULL), -EBUSY);
	assert_int_equal(ipk_stream_subscribe(st, "", 0, &c, NULL), -EINVAL);
	assert_int_equal(ipk_stream_subscribe(st, "a b", 0, &c, NULL), -EINVAL);
	assert_int_equal(findings_of("s", "x").n, 0);
	ipk_stream_unsubscribe(a);
	ipk_stream_unsubscribe(b);
	ipk_stream_close(st);
}

static void records_and_state_are_committed_together(void **state)
{
	struct ipk_stream *st = make(&(struct ipk_stream_options){.state = 16, .cap = 4});
	const struct iovec two[] = {{"a", 1}, {"b", 1}},
			   many[5] = {{"a", 1}, {"a", 1}, {"a", 1}, {"a", 1}, {"a", 1}};
	struct ipk_stream_sub *sub = subscribe(st, NULL, 0);
	char buf[16];
	size_t len;

	(void)state;
	assert_int_equal(ipk_stream_state(st, buf, sizeof(buf), &len), 0);
	assert_int_equal(len, 0);
	assert_int_equal(ipk_stream_commit(st, two, 2, "at 2", 4, IPK_NOWAIT), 0);
	assert_int_equal(ipk_stream_state(st, buf, sizeof(buf), &len), 0);
	assert_int_equal(len, 4);
	assert_memory_equal(buf, "at 2", 4);
	expect(sub, "a");
	expect(sub, "b");
	assert_int_equal(ipk_stream_commit(st, many, 5, "at 7", 4, IPK_NOWAIT), -EMSGSIZE);
	assert_int_equal(ipk_stream_commit(st, NULL, 0, "seventeen letters", 17, IPK_NOWAIT),
			 -EMSGSIZE);
	assert_int_equal(ipk_stream_commit(st, NULL, 0, "at 3", 4, IPK_NOWAIT), 0);
	assert_int_equal(ipk_stream_commit(st, NULL, 0, "at 30", 5, IPK_NOWAIT), 0);
	expect_none(sub);
	assert_int_equal(ipk_stream_state(st, buf, 3, &len), -EMSGSIZE);
	assert_int_equal(len, 5);
	assert_int_equal(ipk_stream_commit(st, two, 1, NULL, 0, IPK_NOWAIT), 0);
	expect(sub, "a");
	assert_int_equal(ipk_stream_state(st, buf, sizeof(buf), &len), 0);
	assert_int_equal(len, 5);
	ipk_stream_unsubscribe(sub);
	ipk_stream_close(st);
}

static void records_are_committed_together_without_a_state(void **state)
{
	struct ipk_stream *st = make(NULL);
	const struct iovec two[] = {{"a", 1}, {"b", 1}};
	struct ipk_stream_sub *sub = subscribe(st, NULL, 0);
	size_t len = 7;

	(void)state;
	assert_int_equal(ipk_stream_commit(st, two, 2, NULL, 0, IPK_NOWAIT), 0);
	assert_int_equal(ipk_stream_commit(st, two, 2, "", 0, IPK_NOWAIT), -EMSGSIZE);
	expect(sub, "a");
	expect(sub, "b");
	expect_none(sub);
	assert_int_equal(ipk_stream_state(st, NULL, 0, &len), 0);
	assert_int_equal(len, 0);
	ipk_stream_unsubscribe(sub);
	ipk_stream_close(st);
}

static void what_can_never_be_committed_is_not_waited_for(void **state)
{
	struct ipk_stream *st = make(
		&(struct ipk_stream_options){.cap = 2, .bytes = 64, .policy = IPK_STREAM_BLOCK});
	struct ipk_stream_sub *sub = subscribe(st, "slow", 0);
	char longest[64] = {0};
	const struct iovec many[] = {{"a", 1}, {"a", 1}, {"a", 1}}, wide[] = {{longest, 64}, {"a", 1}};

	(void)state;
	assert_int_equal(ipk_stream_commit(st, many, 2, NULL, 0, IPK_NOWAIT), 0);
	assert_int_equal(ipk_stream_commit(st, many, 3, NULL, 0, IPK_NOWAIT), -EMSGSIZE);
	assert_int_equal(ipk_stream_commit(st, wide, 2, NULL, 0, IPK_NOWAIT), -EMSGSIZE);
	assert_int_equal(ipk_stream_commit(st, wide, 1, NULL, 0, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_stream_commit(st, many, 2, NULL, 0, IPK_NOWAIT), -EAGAIN);
	expect(sub, "a");
	expect(sub, "a");
	expect_none(sub);
	ipk_stream_unsubscribe(sub);
	ipk_stream_close(st);
}

static void a_dead_subscribers_place_is_the_next_ones(void **state)
{
	struct ipk_stream *st = make(NULL);
	struct ipk_stream_sub *sub;
	pid_t pid;

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(ipk_stream_emit(st, &(char){(char)('a' + i)}, 1, IPK_NOWAIT), 0);
	pid = fork();
	if (pid == 0) {
		char c;

		if (ipk_stream_subscribe(st, "me", IPK_STREAM_FROM_START, &sub, NULL) < 0 ||
		    ipk_stream_next(sub, &c, 1, NULL, IPK_NOWAIT) < 0 || ipk_stream_ack(sub) < 0 ||
		    ipk_stream_next(sub, &c, 1, NULL, IPK_NOWAIT) < 0)
			_exit(1);
		raise(SIGKILL); /* it has "b" and did not acknowledge it */
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	sub = subscribe(st, "me", 0);
	expect(sub, "b");
	expect(sub, "c");
	assert_int_equal(ipk_stream_ack(sub), 0);
	ipk_stream_unsubscribe(sub);
	sub = subscribe(st, "me", 0);
	expect(sub, "d");
	ipk_stream_unsubscribe(sub);
	ipk_stream_close(st);
}

#define PRODUCERS 3
#define EACH 2000u

/*
 * Producers in processes of their own, subscribers in others: each sees each producer's records in
 * order.
 */
static void order_is_kept_between_processes(void **state)
{
	struct ipk_stream *st = make(&(struct ipk_stream_options){
		.type = "u64", .cap = 64, .policy = IPK_STREAM_BLOCK, .subs = 2});
	struct ipk_stream_sub *keep[2] = {subscribe(st, "r0", 0), subscribe(st, "r1", 0)};
	pid_t pid[PRODUCERS + 2];
	int status;

	(void)state;
	ipk_stream_unsubscribe(keep[0]);
	ipk_stream_unsubscribe(keep[1]);
	for (u64 p = 0; p < PRODUCERS; p++) {
		pid[p] = fork();
		if (pid[p])
			continue;
		for (u64 i = 0; i < EACH; i++) {
			u64 val = p << 32 | i;

			if (ipk_stream_emit(st, &val, 8, IPK_FOREVER) < 0)
				_exit(1);
		}
		_exit(0);
	}
	for (unsigned s = 0; s < 2; s++) {
		u64 want[PRODUCERS] = {0}, val;
		struct ipk_stream_sub *sub;

		pid[PRODUCERS + s] = fork();
		if (pid[PRODUCERS + s])
			continue;
		if (ipk_stream_subscribe(st, s ? "r1" : "r0", 0, &sub, NULL) < 0)
			_exit(1);
		for (u64 i = 0; i < PRODUCERS * EACH; i++) {
			if (ipk_stream_next(sub, &val, 8, NULL, IPK_FOREVER) < 0 ||
			    val >> 32 >= PRODUCERS || want[val >> 32]++ != (u32)val ||
			    ipk_stream_ack(sub) < 0)
				_exit(2);
		}
		_exit(0);
	}
	for (unsigned i = 0; i < PRODUCERS + 2; i++) {
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(findings_of("s", "x").n, 0);
	ipk_stream_close(st);
}

static void absurd_numbers_are_refused(void **state)
{
	static const struct ipk_stream_options bad[] = {
		{.cap = UINT64_MAX},
		{.bytes = UINT64_MAX},
		{.subs = 1025},
		{.state = UINT64_MAX},
		{.type = "u64", .bytes = 4},
		{.type = "bytes:1000000", .cap = 1u << 30},
		{.type = "nonsense"},
		{.policy = 7},
	};

	(void)state;
	for (unsigned i = 0; i < IPK_ARRAY_LEN(bad); i++)
		assert_true(ipk_stream_create(seg, "x", &bad[i], NULL) < 0);
}

static void damage_is_found_and_refused(void **state)
{
	struct ipk_stream *st = make(&(struct ipk_stream_options){.cap = 4}), *other;
	struct ipk_stream_sub *sub = subscribe(st, NULL, 0);
	char buf[16];

	(void)state;
	assert_int_equal(emit(st, "one"), 0);
	assert_int_equal(emit(st, "two"), 0);
	ipk_stream_entry_of(st, 1)->at += 8;
	assert_int_equal(findings_of("s", "x").n, 1);
	ipk_stream_entry_of(st, 1)->at -= 8;
	ipk_stream_entry_of(st, 0)->len = UINT64_C(1) << 40;
	assert_int_equal(ipk_stream_next(sub, buf, sizeof(buf), NULL, IPK_NOWAIT), -EBADMSG);
	assert_int_equal(findings_of("s", "x").n, 1);
	st->b->head = 99;
	assert_int_equal(ipk_stream_next(sub, buf, sizeof(buf), NULL, IPK_NOWAIT), -EBADMSG);
	assert_true(findings_of("s", "x").n >= 1);
	st->b->cap = UINT64_MAX;
	assert_int_equal(ipk_stream_open(seg, "x", NULL, &other, NULL), -EBADMSG);
	ipk_stream_unsubscribe(sub);
	ipk_stream_close(st);
}

/* A producer stored the tail and died before it stored the head. */
static void who_subscribes_behind_a_death_loses_nothing(void **state)
{
	struct ipk_stream *st =
		make(&(struct ipk_stream_options){.cap = 2, .policy = IPK_STREAM_REJECT});
	struct ipk_stream_item item;
	struct ipk_stream_sub *me;
	char buf[8] = "";
	int status, error;
	pid_t pid;

	(void)state;
	assert_int_equal(emit(st, "a"), 0);
	assert_int_equal(emit(st, "b"), 0);
	assert_int_equal(emit(st, "c"), 0);
	pid = fork();
	if (pid == 0) {
		struct ipk_self *self = ipk_use(&st->obj, &error);

		if (!self || ipk_lock(self, &st->b->lock, IPK_FOREVER) < 0)
			_exit(1);
		ipk_st(&st->b->head, UINT64_C(0), relaxed);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	me = subscribe(st, "me", IPK_STREAM_FROM_START);
	assert_int_equal(emit(st, "d"), -EAGAIN);
	assert_int_equal(ipk_stream_next(me, buf, sizeof(buf), &item, IPK_NOWAIT), 0);
	assert_int_equal(item.lost, 0);
	assert_string_equal(buf, "b");
	expect(me, "c");
	ipk_stream_unsubscribe(me);
	ipk_stream_close(st);
}

static struct ipk_stream_sub *subscribe_as(struct ipk_segment *in, const char *name)
{
	struct ipk_stream_sub *sub = NULL;
	struct ipk_stream *st = NULL;

	must(ipk_stream_open(in, "x", NULL, &st, NULL) == 0);
	must(ipk_stream_subscribe(st, name, IPK_STREAM_FROM_START, &sub, NULL) == 0);
	return sub;
}

static void subscribe_and_die(void *arg)
{
	(void)arg;
	subscribe_as(open_segment("s"), "me");
	raise(SIGKILL);
}

/*
 * A sweeper that was stopped with the dead one's word in hand frees the name by it when it goes on,
 * after others have finished and somebody has the slot, and the name, anew.
 */
static void an_owners_word_never_comes_twice(void **state)
{
	struct ipk_stream *st;
	u64 *owner, first = 0;
	bool again = false;

	(void)state;
	assert_int_equal(ipk_stream_create(seg, "x", NULL, NULL), 0);
	assert_int_equal(ipk_stream_open(seg, "x", NULL, &st, NULL), 0);
	owner = &ipk_stream_name_at(st->b, &st->s, 0)->owner;
	for (int i = 0; i < 3000 && !again; i++) {
		join_child(spawn(subscribe_and_die, NULL));
		if (i == 0)
			first = ipk_ld(owner, acquire);
		else
			again = (ipk_ld(owner, acquire) & IPK_STREAM_OWNER) ==
				(first & IPK_STREAM_OWNER);
		if (again)
			assert_int_not_equal(ipk_ld(owner, acquire), first);
		ipk_segment_sweep(seg);
		assert_int_equal(ipk_ld(owner, acquire) & IPK_STREAM_OWNER, 0);
	}
	assert_true(again);
	ipk_stream_close(st);
}

/* Whoever may only read keeps nobody from using the memory of what was removed. */
static void a_reader_of_what_was_removed_is_told_so(void **state)
{
	struct ipk_stream_sub *sub;
	struct ipk_segment *ro;
	struct ipk_stream *st;
	char buf[64];

	(void)state;
	for (int fill = 1; fill < 256; fill++) {
		assert_int_equal(ipk_stream_create(seg, "x", NULL, NULL), 0);
		assert_int_equal(ipk_segment_open("s", IPK_READ, &ro, NULL), 0);
		assert_int_equal(ipk_stream_open(ro, "x", NULL, &st, NULL), 0);
		assert_int_equal(ipk_stream_subscribe(st, NULL, 0, &sub, NULL), 0);
		assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
		/* Somebody else's bytes by now. */
		memset(seg->base + st->obj.body, fill, sizeof(struct ipk_stream_body));
		assert_int_equal(
			ipk_stream_next(sub, buf, sizeof(buf), NULL, ipk_deadline(100 * MS)),
			-ESTALE);
		ipk_stream_unsubscribe(sub);
		ipk_stream_close(st);
		ipk_segment_close(ro);
	}
}

static void a_child_has_not_inherited_the_name(void **state)
{
	struct ipk_stream_sub *sub, *other = NULL;
	struct ipk_stream *st;
	pid_t pid;

	(void)state;
	assert_int_equal(ipk_stream_create(seg, "x", NULL, NULL), 0);
	assert_int_equal(ipk_stream_open(seg, "x", NULL, &st, NULL), 0);
	assert_int_equal(ipk_stream_subscribe(st, "me", 0, &sub, NULL), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		must(ipk_stream_ack(sub) == -EPERM);
		ipk_stream_unsubscribe(sub);
		_exit(0);
	}
	assert_ended_well(join_child(pid));
	assert_int_equal(ipk_stream_subscribe(st, "me", 0, &other, NULL), -EBUSY);
	assert_int_equal(ipk_stream_ack(sub), 0);
	ipk_stream_unsubscribe(sub);
	assert_int_equal(ipk_stream_subscribe(st, "me", 0, &other, NULL), 0);
	ipk_stream_unsubscribe(other);
	ipk_stream_close(st);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_subscriber_reads_all_that_comes),
		TEST(what_is_retained_is_as_in_a_list),
		TEST(a_batch_is_as_large_as_fits),
		TEST(a_named_subscriber_holds_producers_up_by_policy),
		TEST(names_are_checked_and_run_out),
		TEST(records_and_state_are_committed_together),
		TEST(records_are_committed_together_without_a_state),
		TEST(what_can_never_be_committed_is_not_waited_for),
		TEST(a_dead_subscribers_place_is_the_next_ones),
		TEST(who_subscribes_behind_a_death_loses_nothing),
		TEST(order_is_kept_between_processes),
		TEST(absurd_numbers_are_refused),
		TEST(damage_is_found_and_refused),
		TEST(an_owners_word_never_comes_twice),
		TEST(a_reader_of_what_was_removed_is_told_so),
		TEST(a_child_has_not_inherited_the_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
