/* SPDX-License-Identifier: MIT */
#include "channel_test.h"

static void a_buffer_keeps_the_order_and_its_limit(void **state)
{
	struct ipk_channel *ch = make("u64", 3);
	u64 v = 0;

	(void)state;
	assert_int_equal(ipk_channel_cap(ch), 3);
	assert_int_equal(recv_u64(ch, &v, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(recv_u64(ch, &v, ipk_deadline(MS)), -ETIMEDOUT);
	for (u64 round = 0; round < 5; round++) {
		for (u64 i = 0; i < 3; i++)
			assert_int_equal(send_u64(ch, 10 * round + i, IPK_NOWAIT), 0);
		assert_int_equal(send_u64(ch, 77, IPK_NOWAIT), -EAGAIN);
		assert_int_equal(send_u64(ch, 77, ipk_deadline(MS)), -ETIMEDOUT);
		assert_int_equal(ipk_channel_count(ch), 3);
		assert_int_equal(findings_of("s", "x").n, 0);
		for (u64 i = 0; i < 3; i++) {
			assert_int_equal(recv_u64(ch, &v, IPK_FOREVER), 0);
			assert_int_equal(v, 10 * round + i);
		}
	}
	assert_int_equal(ipk_channel_count(ch), 0);
	assert_int_equal(ipk_channel_send(ch, &v, 7, IPK_NOWAIT), -EINVAL);
	assert_at_rest("x", ch);
	ipk_channel_close(ch);
}

static void what_does_not_fit_stays(void **state)
{
	struct ipk_channel *ch = make("bytes", 4);
	char buf[8];
	size_t len = 99;

	(void)state;
	assert_int_equal(ipk_channel_send(ch, NULL, 0, IPK_NOWAIT), 0);
	assert_int_equal(ipk_channel_send(ch, "0123456789", 10, IPK_NOWAIT), 0);
	assert_int_equal(ipk_channel_send(ch, "abc", 3, IPK_NOWAIT), 0);
	assert_int_equal(ipk_channel_recv(ch, NULL, 0, &len, IPK_NOWAIT), 0);
	assert_int_equal(len, 0);
	assert_int_equal(ipk_channel_recv(ch, buf, sizeof(buf), &len, IPK_NOWAIT), -EMSGSIZE);
	assert_int_equal(len, 10);
	assert_int_equal(ipk_channel_count(ch), 2);
	{
		char more[10];

		assert_int_equal(ipk_channel_recv(ch, more, 10, &len, IPK_NOWAIT), 0);
		assert_memory_equal(more, "0123456789", 10);
	}
	assert_int_equal(ipk_channel_recv(ch, buf, sizeof(buf), &len, IPK_NOWAIT), 0);
	assert_int_equal(len, 3);
	assert_int_equal(ipk_channel_send(ch, buf, IPK_CHANNEL_VALUE_MAX + 1, IPK_NOWAIT),
			 -EMSGSIZE);
	assert_int_equal(ipk_channel_send(ch, buf, IPK_CHANNEL_VALUE_MAX, IPK_NOWAIT), -ENOSPC);
	assert_at_rest("x", ch);
	ipk_channel_close(ch);
}

static void a_closed_one_is_drained_before_it_ends(void **state)
{
	struct ipk_channel *ch = make("u64", 4), *meet = make_named("y", "u64", 0);
	u64 v;

	(void)state;
	assert_int_equal(send_u64(ch, 1, IPK_NOWAIT), 0);
	assert_int_equal(send_u64(ch, 2, IPK_NOWAIT), 0);
	assert_false(ipk_channel_is_shut(ch));
	assert_int_equal(ipk_channel_shutdown(ch), 0);
	assert_int_equal(ipk_channel_shutdown(ch), 0);
	assert_true(ipk_channel_is_shut(ch));
	assert_int_equal(send_u64(ch, 3, IPK_NOWAIT), -EPIPE);
	assert_int_equal(send_u64(ch, 3, IPK_FOREVER), -EPIPE);
	assert_int_equal(recv_u64(ch, &v, IPK_FOREVER), 0);
	assert_int_equal(v, 1);
	assert_int_equal(recv_u64(ch, &v, IPK_FOREVER), 0);
	assert_int_equal(recv_u64(ch, &v, IPK_FOREVER), -EPIPE);
	assert_int_equal(recv_u64(ch, &v, IPK_NOWAIT), -EPIPE);
	assert_int_equal(ipk_channel_shutdown(meet), 0);
	assert_int_equal(send_u64(meet, 3, IPK_FOREVER), -EPIPE);
	assert_int_equal(recv_u64(meet, &v, IPK_FOREVER), -EPIPE);
	ipk_channel_close(meet);
	ipk_channel_close(ch);
}

static void without_a_partner_nothing_is_left_behind(void **state)
{
	struct ipk_channel *ch = make("u64", 0), *other = make_named("y", "u64", 0);
	u64 before = info_of("s").used, v = 0, w = 5;
	struct ipk_channel_case cases[4] = {sends(ch, &w), receives(ch, &v), sends(other, &w),
					    receives(other, &v)};
	unsigned which = 9;

	(void)state;
	assert_int_equal(send_u64(ch, 1, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(recv_u64(ch, &v, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(send_u64(ch, 1, ipk_deadline(MS)), -ETIMEDOUT);
	assert_at_rest("x", ch);
	assert_int_equal(recv_u64(ch, &v, ipk_deadline(MS)), -ETIMEDOUT);
	assert_at_rest("x", ch);
	/* A select does not meet itself. */
	assert_int_equal(ipk_channel_select(cases, 4, &which, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_channel_select(cases, 4, &which, ipk_deadline(MS)), -ETIMEDOUT);
	assert_int_equal(which, 9);
	assert_at_rest("x", ch);
	assert_at_rest("y", other);
	assert_int_equal(info_of("s").used, before);
	ipk_channel_close(other);
	ipk_channel_close(ch);
}

/* Of many cases that can go on, none is forgotten. */
static void a_select_takes_each_ready_case_sometimes(void **state)
{
	struct ipk_channel *a = make("u64", 4), *b = make_named("y", "u64", 4);
	unsigned seen[3] = {0}, which;
	u64 v, w = 7, i;

	(void)state;
	assert_int_equal(send_u64(a, 1, IPK_NOWAIT), 0);
	assert_int_equal(send_u64(b, 2, IPK_NOWAIT), 0);
	for (i = 0; i < 100000 && !(seen[0] && seen[1] && seen[2]); i++) {
		struct ipk_channel_case cases[3] = {receives(a, &v), receives(b, &v), sends(a, &w)};

		assert_int_equal(ipk_channel_select(cases, 3, &which, IPK_NOWAIT), 0);
		seen[which]++;
		/* As it was. */
		if (which == 0)
			assert_int_equal(send_u64(a, v, IPK_NOWAIT), 0);
		else if (which == 1)
			assert_int_equal(send_u64(b, v, IPK_NOWAIT), 0);
		else
			assert_int_equal(recv_u64(a, &v, IPK_NOWAIT), 0);
	}
	assert_true(seen[0] && seen[1] && seen[2]);
	assert_int_equal(ipk_channel_count(a), 1);
	ipk_channel_close(a);
	ipk_channel_close(b);
}

static void what_cannot_be_selected_is_refused(void **state)
{
	struct ipk_channel *ch = make("u64", 1);
	struct ipk_segment *again = open_segment("s");
	struct ipk_channel *elsewhere = open_channel(again, "x"), *read_only, *other;
	struct ipk_channel_case cases[17];
	struct ipk_channel *bytes = make_named("y", "bytes", 1);
	struct ipk_segment *reader = NULL;
	unsigned which = 0;
	u64 v = 0;

	(void)state;
	for (int i = 0; i < 17; i++)
		cases[i] = receives(ch, &v);
	assert_int_equal(ipk_channel_select(cases, 0, NULL, IPK_NOWAIT), -EINVAL);
	assert_int_equal(ipk_channel_select(cases, 17, NULL, IPK_NOWAIT), -EINVAL);
	assert_int_equal(ipk_channel_select(cases, 16, NULL, ipk_deadline(MS)), -ETIMEDOUT);
	cases[1] = sends(bytes, &v);
	cases[1].len = IPK_CHANNEL_VALUE_MAX + 1;
	assert_int_equal(ipk_channel_select(cases, 2, &which, IPK_NOWAIT), -EMSGSIZE);
	assert_int_equal(which, 1);
	ipk_channel_close(bytes);
	cases[1].channel = elsewhere;
	assert_int_equal(ipk_channel_select(cases, 2, NULL, IPK_NOWAIT), -EXDEV);
	assert_int_equal(ipk_segment_open("s", IPK_READ, &reader, NULL), 0);
	read_only = open_channel(reader, "x");
	assert_int_equal(send_u64(read_only, 1, IPK_NOWAIT), -EACCES);
	assert_int_equal(recv_u64(read_only, &v, IPK_NOWAIT), -EACCES);
	assert_int_equal(ipk_channel_shutdown(read_only), -EACCES);
	ipk_channel_close(read_only);
	ipk_segment_close(reader);
	ipk_channel_close(elsewhere);
	ipk_segment_close(again);
	assert_int_equal(ipk_channel_open(seg, "x", "u32", &other, NULL), -EMEDIUMTYPE);
	assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
	assert_int_equal(send_u64(ch, 1, IPK_NOWAIT), -ESTALE);
	assert_int_equal(recv_u64(ch, &v, IPK_NOWAIT), -ESTALE);
	ipk_channel_close(ch);
}

static void damage_is_found_and_ends_nothing_else(void **state)
{
	struct ipk_channel *ch = make("u64", 4);
	u64 v, first;

	(void)state;
	assert_int_equal(send_u64(ch, 1, IPK_NOWAIT), 0);
	assert_int_equal(send_u64(ch, 2, IPK_NOWAIT), 0);
	first = ch->b->first;
	ch->b->first = 1;
	assert_int_equal(recv_u64(ch, &v, IPK_NOWAIT), -EBADMSG);
	assert_true(findings_of("s", "x").n > 0);
	ch->b->first = first;
	assert_int_equal(findings_of("s", "x").n, 0);
	/* A list that bites its tail. */
	ipk_channel_message(seg, ch->b->last)->next = first;
	ch->b->count = UINT64_MAX;
	assert_true(findings_of("s", "x").n > 0);
	ch->b->count = 2;
	ipk_channel_message(seg, ch->b->last)->next = 0;
	ch->b->first_offer = first;
	assert_true(findings_of("s", "x").n > 0);
	ch->b->first_offer = 0;
	ch->b->received++;
	assert_true(findings_of("s", "x").n > 0);
	ch->b->received--;
	ch->b->cap = UINT64_MAX;
	assert_true(findings_of("s", "x").n > 0);
	ch->b->cap = 4;
	assert_int_equal(recv_u64(ch, &v, IPK_NOWAIT), 0);
	assert_int_equal(v, 1);
	ipk_channel_close(ch);
}

static void space_comes_back(void **state)
{
	struct ipk_channel *ch = make("str", 1000);
	char value[3000];

	(void)state;
	memset(value, 'v', sizeof(value));
	for (size_t i = 0; i < 300; i++)
		assert_int_equal(ipk_channel_send(ch, value, i * 10, IPK_NOWAIT), 0);
	for (size_t i = 0; i < 50; i++)
		assert_int_equal(ipk_channel_recv(ch, value, sizeof(value), NULL, IPK_NOWAIT), 0);
	assert_at_rest("x", ch);
	ipk_channel_close(ch);
	assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
	assert_int_equal(info_of("s").used, 0);
}

/* ---- tools --------------------------------------------------------------------------- */

static int count_item(void *arg, const struct ipk_item *item)
{
	u64 *sum = arg, v;

	memcpy(&v, item->data, sizeof(v));
	*sum = *sum * 100 + item->pos * 10 + v;
	return 0;
}

static void items_are_at_their_positions(void **state)
{
	struct ipk_channel *ch = make("u64", 8);
	u64 sum = 0, v;
	struct look l;

	(void)state;
	for (u64 i = 0; i < 4; i++)
		assert_int_equal(send_u64(ch, i + 5, IPK_NOWAIT), 0);
	assert_int_equal(recv_u64(ch, &v, IPK_NOWAIT), 0);
	look(&l, "s", "x");
	assert_int_equal(l.kind->items(&l.o, 0, UINT64_MAX, count_item, &sum), 0);
	assert_int_equal(sum, 162738);
	sum = 0;
	assert_int_equal(l.kind->item(&l.o, "2", 1, count_item, &sum), 0);
	assert_int_equal(sum, 27);
	assert_int_equal(l.kind->item(&l.o, "0", 1, count_item, &sum), -ENOENT);
	assert_int_equal(l.kind->item(&l.o, "x", 1, count_item, &sum), -EINVAL);
	look_end(&l);
	/* What could not be delivered goes back to where it was. */
	assert_int_equal(recv_u64(ch, &v, IPK_NOWAIT), 0);
	assert_int_equal(recv_u64(ch, &v, IPK_NOWAIT), 0);
	v = 7;
	assert_int_equal(ipk_channel_unrecv(ch, &v, 8, 2), 0);
	v = 6;
	assert_int_equal(ipk_channel_unrecv(ch, &v, 8, 1), 0);
	for (u64 i = 6; i < 9; i++) {
		assert_int_equal(recv_u64(ch, &v, IPK_NOWAIT), 0);
		assert_int_equal(v, i);
	}
	assert_at_rest("x", ch);
	ipk_channel_close(ch);
}

static int run(const char *verb, const char *const *words, u64 count, const char *out)
{
	struct verb v = {.call = {.count = count}};
	int r = verb_run(&v, seg, "x", "channel", verb, NULL, NULL, words);

	if (out)
		assert_string_equal(v.out.data, out);
	verb_end(&v);
	return r;
}

static void the_verbs_send_and_receive(void **state)
{
	static const char *const three[] = {"a", "bb", "", NULL};
	char longer[9000];
	const char *const one[] = {longer, NULL};

	(void)state;
	memset(longer, 'z', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	ipk_channel_close(make(NULL, 4));
	assert_int_equal(run("recv", NULL, 0, ""), -EAGAIN);
	assert_int_equal(run("select", NULL, 0, ""), -EAGAIN);
	assert_int_equal(run("send", three, 0, NULL), 0);
	assert_int_equal(run("send", three, 0, NULL), -EAGAIN);
	assert_int_equal(run("recv", NULL, 2, "a\nbb\n"), 0);
	assert_int_equal(run("select", NULL, 0, "\n"), 0);
	assert_int_equal(run("recv", NULL, 9, "a\n"), -EAGAIN);
	assert_int_equal(run("send", one, 0, NULL), 0);
	assert_int_equal(run("close", NULL, 0, NULL), 0);
	assert_int_equal(run("send", three, 0, NULL), -EPIPE);
	{
		struct verb v = {0};

		assert_int_equal(verb_run(&v, seg, "x", "channel", "recv", NULL, NULL, NULL), 0);
		assert_int_equal(strlen(v.out.data), sizeof(longer));
		verb_end(&v);
	}
	assert_int_equal(run("recv", NULL, 0, ""), -EPIPE);
	assert_int_equal(run("select", NULL, 0, ""), -EPIPE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_buffer_keeps_the_order_and_its_limit),
		TEST(what_does_not_fit_stays),
		TEST(a_closed_one_is_drained_before_it_ends),
		TEST(without_a_partner_nothing_is_left_behind),
		TEST(a_select_takes_each_ready_case_sometimes),
		TEST(what_cannot_be_selected_is_refused),
		TEST(damage_is_found_and_ends_nothing_else),
		TEST(space_comes_back),
		TEST(items_are_at_their_positions),
		TEST(the_verbs_send_and_receive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
