/* SPDX-License-Identifier: MIT */
/*
 * Damaged futures, channels and streams are made right: what is sound is kept, and what processes
 * had begun goes. Each repair is taken back, byte for byte, and done again.
 */
#include "kinds/fixture_repair.h"

#include "kinds/channel.h"
#include "kinds/future.h"
#include "kinds/stream.h"

static struct ipk_segment *seg;

static void begin(void)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;

	options.max = 4 << 20;
	assert_int_equal(ipk_segment_create(NAME, &options, &seg, NULL), 0);
}

/* Nobody is attached: damage() at the file's bytes. Repaired, taken back, and repaired again. */
static void mended(void (*damage)(u8 *bytes))
{
	static struct report report;
	struct ipk_error err = {0};
	u64 len;
	u8 *bytes;

	ipk_segment_close(seg);
	bytes = file_read(&len);
	damage(bytes);
	file_write(bytes, len);
	assert_true(check_file(&report) > 0);
	for (int i = 0; i < 2; i++) {
		if (ipk_repair(NAME, 0, report_add, report_add, &report, &err) != 0)
			fail_msg("%s %s", err.text, report.text);
		if (check_file(&report) != 0)
			fail_msg("after repair: %s", report.text);
		if (i == 0)
			assert_int_equal(ipk_repair_undo(NAME, 0, &err), 0);
		assert_true(i == 1 || file_is(bytes, len));
	}
	free(bytes);
	seg = open_segment(NAME);
	assert_non_null(seg);
}

static void end(void)
{
	ipk_segment_close(seg);
	assert_int_equal(ipk_segment_remove(NAME, NULL), 0);
}

/* ---- futures --------------------------------------------------------------------------------- */

static struct ipk_future *open_f(void)
{
	struct ipk_future *f;

	assert_int_equal(ipk_future_open(seg, "f", NULL, &f, NULL), 0);
	return f;
}

static struct ipk_future_node *node_in(u8 *b, u64 nth)
{
	u64 off = ((struct ipk_future_body *)body_in(b, "f"))->first;

	while (nth--)
		off = ((struct ipk_future_node *)(void *)(b + off))->next;
	return (struct ipk_future_node *)(void *)(b + off);
}

static void second_leads_nowhere(u8 *b)
{
	node_in(b, 1)->next = UINT64_C(1) << 40;
}

static void second_leads_back(u8 *b)
{
	node_in(b, 1)->next = ((struct ipk_future_body *)body_in(b, "f"))->first;
}

static void first_is_a_strangers(u8 *b)
{
	node_in(b, 0)->own |= 99;
}

static void claimed_by_a_stranger(u8 *b)
{
	((struct ipk_future_body *)body_in(b, "f"))->v.word |= 99;
}

static void assert_next(struct ipk_future *f, const char *text)
{
	struct ipk_future_next next;

	assert_int_equal(ipk_future_next(f, &next, IPK_NOWAIT), 0);
	assert_int_equal(next.len, strlen(text));
	assert_memory_equal(next.text, text, next.len);
	assert_int_equal(ipk_future_done(f, &next), 0);
}

static void continuations_are_kept_up_to_the_damage(void **state)
{
	void (*const damage[])(u8 *) = {second_leads_nowhere, second_leads_back};

	(void)state;
	for (unsigned i = 0; i < IPK_ARRAY_LEN(damage); i++) {
		struct ipk_future *f;
		struct ipk_future_next next;

		begin();
		assert_int_equal(ipk_future_create(seg, "f", "str", NULL), 0);
		f = open_f();
		assert_int_equal(ipk_future_then(f, "one", 3), 0);
		assert_int_equal(ipk_future_then(f, "two", 3), 0);
		assert_int_equal(ipk_future_then(f, "three", 5), 0);
		ipk_future_close(f);
		mended(damage[i]);
		mended(first_is_a_strangers);
		f = open_f();
		assert_int_equal(ipk_future_set(f, "x", 1), 0);
		assert_next(f, "one");
		assert_next(f, "two");
		assert_int_equal(ipk_future_next(f, &next, IPK_NOWAIT), -EAGAIN);
		assert_int_equal(ipk_future_then(f, "four", 4), 0);
		assert_next(f, "four");
		ipk_future_close(f);
		end();
	}
}

static void a_future_that_nobody_claims_is_broken(void **state)
{
	struct ipk_future *f;
	char buf[8];

	(void)state;
	begin();
	assert_int_equal(ipk_future_create(seg, "f", "u64", NULL), 0);
	mended(claimed_by_a_stranger);
	f = open_f();
	assert_int_equal(ipk_future_get(f, buf, sizeof(buf), NULL), -EOWNERDEAD);
	ipk_future_close(f);
	end();
}

/* ---- channels -------------------------------------------------------------------------------- */

static struct ipk_channel *open_c(void)
{
	struct ipk_channel *c;

	assert_int_equal(ipk_channel_open(seg, "c", NULL, &c, NULL), 0);
	return c;
}

static void receives_and_stops(void *arg)
{
	struct ipk_segment *mine = open_segment(NAME);
	struct ipk_channel *c;
	char buf[8];

	(void)arg;
	must(mine && ipk_channel_open(mine, "c", NULL, &c, NULL) == 0);
	ipk_channel_recv(c, buf, sizeof(buf), NULL, IPK_FOREVER);
	_exit(96);
}

static void offer_in_no_state(u8 *b)
{
	u64 off = ((struct ipk_channel_body *)body_in(b, "c"))->first_offer;
	struct ipk_channel_offer *o = (void *)(b + off);

	assert_true(off);
	o->ring = 64;
}

/* Sent to who died before he received it. */
static void what_was_sent_and_not_received_comes_back(void **state)
{
	struct ipk_channel *c;
	char buf[8];
	pid_t pid;

	(void)state;
	begin();
	assert_int_equal(ipk_channel_create(seg, "c", "u64", 0, NULL), 0);
	c = open_c();
	pid = spawn(receives_and_stops, NULL);
	await(ipk_ld(&c->b->first_offer, acquire));
	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
	assert_int_equal(ipk_channel_send(c, "12345678", 8, ipk_deadline(LIMIT_NS)), 0);
	kill_child(pid);
	ipk_channel_close(c);
	mended(offer_in_no_state);
	c = open_c();
	assert_int_equal(c->b->first_offer, 0);
	assert_int_equal(ipk_channel_recv(c, buf, sizeof(buf), NULL, IPK_NOWAIT), 0);
	assert_memory_equal(buf, "12345678", 8);
	assert_int_equal(ipk_channel_recv(c, buf, sizeof(buf), NULL, IPK_NOWAIT), -EAGAIN);
	ipk_channel_close(c);
	end();
}

/* ---- streams --------------------------------------------------------------------------------- */

static struct ipk_stream *open_t(void)
{
	struct ipk_stream *t;

	assert_int_equal(ipk_stream_open(seg, "t", NULL, &t, NULL), 0);
	return t;
}

static struct ipk_stream_body *stream_in(u8 *b, struct ipk_stream_shape *ret)
{
	struct ipk_stream_body *body = body_in(b, "t");

	assert_int_equal(ipk_stream_measure(body, UINT64_MAX, ret), 0);
	return body;
}

static struct ipk_stream_name *name_in(u8 *b, u32 i)
{
	struct ipk_stream_shape s;
	struct ipk_stream_body *body = stream_in(b, &s);

	return ipk_stream_name_at(body, &s, i);
}

static void names_and_cursors(u8 *b)
{
	name_in(b, 0)->cursor = 1000;
	name_in(b, 1)->name[0] = '\n';
	name_in(b, 2)->owner = 99;
}

static void states(u8 *b)
{
	struct ipk_stream_shape s;
	u8 *body = (u8 *)stream_in(b, &s);

	*(u64 *)(void *)(body + s.states) = UINT64_MAX;
	*(u64 *)(void *)(body + s.states + 8 + s.room) = UINT64_MAX;
}

static void head_of_long_ago(u8 *b)
{
	((struct ipk_stream_body *)body_in(b, "t"))->word += UINT64_C(1) << 41;
}

static void assert_first(struct ipk_stream *t, const char *name, u64 pos, int r)
{
	struct ipk_stream_sub *sub;
	struct ipk_stream_item item = {0};
	char buf[8];

	assert_int_equal(ipk_stream_subscribe(t, name, IPK_STREAM_FROM_START, &sub, NULL), 0);
	assert_int_equal(ipk_stream_next(sub, buf, sizeof(buf), &item, IPK_NOWAIT), r);
	if (r == 0)
		assert_int_equal(item.pos, pos);
	ipk_stream_unsubscribe(sub);
}

static void subscribers_and_state_of_a_stream_are_mended(void **state)
{
	static const char *const names[] = {"far", "ill", "gone"};
	struct ipk_stream_options options = {.type = "str", .cap = 8, .state = 16};
	struct ipk_stream_sub *sub;
	struct ipk_stream *t;
	char buf[16];
	size_t len = 1;

	(void)state;
	begin();
	assert_int_equal(ipk_stream_create(seg, "t", &options, NULL), 0);
	t = open_t();
	for (int i = 0; i < 5; i++)
		assert_int_equal(ipk_stream_emit(t, "x", 1, IPK_NOWAIT), 0);
	for (unsigned i = 0; i < IPK_ARRAY_LEN(names); i++) {
		assert_int_equal(
			ipk_stream_subscribe(t, names[i], IPK_STREAM_FROM_START, &sub, NULL), 0);
		ipk_stream_unsubscribe(sub);
	}
	ipk_stream_close(t);
	mended(names_and_cursors);
	mended(states);
	mended(head_of_long_ago);
	t = open_t();
	assert_first(t, "far", 0, -EAGAIN);
	assert_first(t, "gone", 0, 0);
	assert_int_equal(ipk_stream_forget(t, "ill"), -ENOENT);
	assert_int_equal(ipk_stream_state(t, buf, sizeof(buf), &len), 0);
	assert_int_equal(len, 0);
	assert_int_equal(ipk_stream_emit(t, "y", 1, IPK_NOWAIT), 0);
	assert_first(t, "far", 5, 0);
	ipk_stream_close(t);
	end();
}

#define T(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(continuations_are_kept_up_to_the_damage),
		T(a_future_that_nobody_claims_is_broken),
		T(what_was_sent_and_not_received_comes_back),
		T(subscribers_and_state_of_a_stream_are_mended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
