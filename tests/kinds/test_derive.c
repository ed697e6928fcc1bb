/* SPDX-License-Identifier: MIT */
#include "derive_test.h"

#include "kinds/stream.h"
#include "kinds/stream_pipe.h"

static struct list want, source;

/* Emits random numbers, some of them close together in time, some not. */
static void fill(struct ipk_stream *st, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		emit_val(st, (i64)rnd(rnd(2) ? 20 : 2000) - 10);
		if (rnd(20) == 0)
			for (volatile u32 spin = 0; spin < 2000; spin++)
				;
	}
}

static void remove_all(void)
{
	ipk_object_remove(seg, "from", NULL);
	ipk_object_remove(seg, "to", NULL);
	ipk_object_remove(seg, "side", NULL);
}

static void random_pipelines_give_what_they_give_over_a_list(void **state)
{
	(void)state;
	for (int round = 0; round < 300; round++) {
		struct ipk_stream *from = stream(
			"from", &(struct ipk_stream_options){.type = "i64", .cap = LIST_MAX});
		struct ipk_buf text = {0};
		struct ipk_derive *d;
		u32 parts = 1 + rnd(4), n = 1 + rnd(5);
		struct random_op op[5];

		for (u32 i = 0; i < n; i++)
			op[i] = random_op();
		pipeline_text(op, n, &text);
		make_derived("to", "from", text.data);
		while (parts--) {
			fill(from, rnd(80));
			d = derive("to");
			if (rnd(2))
				run_all(d);
			else
				ipk_derive_run(d, 1 + rnd(3), &(u64){0}, IPK_NOWAIT, NULL);
			ipk_derive_close(d);
		}
		assert_int_equal(ipk_stream_shutdown(from), 0);
		d = derive("to");
		assert_int_equal(run_all(d), -EPIPE);
		ipk_derive_close(d);
		read_list("from", &want);
		over_list(op, n, &want);
		same_list("to", &want, text.data);
		assert_int_equal(findings_of("s", "to").n, 0);
		ipk_buf_free(&text);
		ipk_stream_close(from);
		remove_all();
	}
}

static void merge_and_zip_take_from_both(void **state)
{
	struct ipk_derive *d;
	struct list a, b;

	(void)state;
	for (int round = 0; round < 40; round++) {
		struct ipk_stream *from = stream(
			"from", &(struct ipk_stream_options){.type = "i64", .cap = LIST_MAX});
		struct ipk_stream *side = stream(
			"side", &(struct ipk_stream_options){.type = "i64", .cap = LIST_MAX});
		bool zip = round % 2;
		u32 n = rnd(150);

		make_derived("to", "from",
			     zip ? "filter($ % 3 != 0) | batch(2) | sum | zip(side) | map($.a * "
				   "5000 + $.b) | skip(1)"
				 : "map($ + 1) | merge(side) | filter($ % 2 == 0)");
		while (n--)
			fill(rnd(3) ? from : side, 1);
		ipk_stream_shutdown(from);
		ipk_stream_shutdown(side);
		for (int i = 0; i < 4; i++) {
			d = derive("to");
			ipk_derive_run(d, 1 + rnd(20), &(u64){0}, IPK_NOWAIT, NULL);
			ipk_derive_close(d);
		}
		d = derive("to");
		assert_int_equal(run_all(d), -EPIPE);
		ipk_derive_close(d);

		read_list("from", &source);
		a.n = b.n = want.n = 0;
		read_list("side", &b);
		if (zip) {
			for (u32 i = 0; i < source.n; i++)
				if (source.val[i] % 3 != 0)
					append(&a, source.val[i], 0);
			for (u32 i = 1; 2 * i < a.n + a.n % 2 && i < b.n; i++)
				append(&want,
				       (a.val[2 * i] + (2 * i + 1 < a.n ? a.val[2 * i + 1] : 0)) *
						       5000 +
					       b.val[i],
				       0);
		} else {
			for (u32 i = 0, j = 0; i < source.n || j < b.n;) {
				bool left =
					j == b.n || (i < source.n && source.time[i] <= b.time[j]);
				i64 val = left ? source.val[i++] + 1 : b.val[j++];

				if (val % 2 == 0)
					append(&want, val, 0);
			}
		}
		same_list("to", &want, zip ? "zip" : "merge");
		ipk_stream_close(from);
		ipk_stream_close(side);
		remove_all();
	}
}

/* A pipeline over texts, in parts so small that what comes out fills many commits. */
static void texts_and_lists_come_out_as_they_went_in(void **state)
{
	struct ipk_stream *from =
		stream("from", &(struct ipk_stream_options){.cap = LIST_MAX, .bytes = 400000});
	struct ipk_stream_sub *sub;
	struct ipk_stream_item item;
	struct ipk_stream *to;
	struct ipk_derive *d;
	char text[400], want_text[1000], got[1000];
	u64 first, next;
	struct ipk_error err = {0};

	(void)state;
	if (ipk_derive_create(
		    seg, "to", "from", "window(3, 2)",
		    &(struct ipk_stream_options){.cap = 4000, .bytes = 4000, .state = 2000},
		    &err) < 0)
		fail_msg("%s", err.text);
	d = derive("to");
	to = stream("to", NULL);
	assert_int_equal(ipk_stream_subscribe(to, NULL, 0, &sub, NULL), 0);
	for (u32 i = 0; i < 1200; i++) {
		snprintf(text, sizeof(text), "%0*u", 1 + (int)(i * 7 % 300), i);
		assert_int_equal(ipk_stream_emit(from, text, strlen(text), IPK_NOWAIT), 0);
		if (i % 6 != 5)
			continue;
		assert_int_equal(run_all(d), -EAGAIN);
		ipk_derive_close(d);
		d = derive("to");
		for (u32 j = i < 6 ? 2 : i - 5; j <= i; j += 2) {
			snprintf(want_text, sizeof(want_text), "[\"%0*u\",\"%0*u\",\"%0*u\"]",
				 1 + (int)((j - 2) * 7 % 300), j - 2, 1 + (int)((j - 1) * 7 % 300),
				 j - 1, 1 + (int)(j * 7 % 300), j);
			assert_int_equal(ipk_stream_next(sub, got, sizeof(got), &item, IPK_NOWAIT),
					 0);
			assert_int_equal(item.lost, 0);
			got[item.len] = 0;
			assert_string_equal(got, want_text);
		}
		assert_int_equal(ipk_stream_next(sub, got, sizeof(got), &item, IPK_NOWAIT),
				 -EAGAIN);
	}
	/* More than one commit takes. */
	for (u32 i = 0; i < 300; i++)
		assert_int_equal(ipk_stream_emit(from, text, 200, IPK_NOWAIT), 0);
	assert_int_equal(run_all(d), -EAGAIN);
	ipk_stream_range(to, &first, &next);
	assert_int_equal(next, 1500 / 2 - 1);
	/* What is too much to keep ends the run. */
	memset(want_text, 'x', sizeof(want_text));
	for (u32 i = 0; i < 3; i++)
		assert_int_equal(ipk_stream_emit(from, want_text, 900, IPK_NOWAIT), 0);
	assert_int_equal(ipk_derive_run(d, 9, &(u64){0}, IPK_NOWAIT, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "and --state has room for 2000"));
	ipk_derive_close(d);
	ipk_stream_unsubscribe(sub);
	ipk_stream_close(to);
	ipk_stream_close(from);
}

static void a_source_keeps_what_was_not_read_or_it_is_counted(void **state)
{
	struct ipk_stream *from = stream(
		"from",
		&(struct ipk_stream_options){.type = "i64", .cap = 4, .policy = IPK_STREAM_REJECT});
	struct ipk_stream *side =
		stream("side", &(struct ipk_stream_options){.type = "i64", .cap = 4});
	struct ipk_derive_counts counts;
	struct ipk_derive *d;
	i64 val = 9;

	(void)state;
	make_derived("to", "from", "map($ * 2)");
	for (int i = 0; i < 4; i++)
		emit_val(from, i);
	assert_int_equal(ipk_stream_emit(from, &val, 8, IPK_NOWAIT), -EAGAIN);
	d = derive("to");
	assert_int_equal(run_all(d), -EAGAIN);
	for (int i = 4; i < 8; i++)
		emit_val(from, i);
	assert_int_equal(ipk_stream_emit(from, &val, 8, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(run_all(d), -EAGAIN);
	ipk_derive_counts(d, &counts);
	assert_true(counts.read == 8 && counts.missed == 0 && counts.failed == 0);
	ipk_derive_close(d);
	read_list("to", &want);
	assert_true(want.n == 8 && want.val[7] == 14);

	ipk_object_remove(seg, "to", NULL);
	make_derived("to", "side", "map(10 / ($ - 5))");
	for (int i = 0; i < 10; i++)
		emit_val(side, i);
	d = derive("to");
	assert_int_equal(run_all(d), -EAGAIN);
	for (int i = 0; i < 7; i++)
		emit_val(side, 5);
	assert_int_equal(run_all(d), -EAGAIN);
	ipk_derive_counts(d, &counts);
	assert_true(counts.read == 8 && counts.missed == 9 && counts.failed == 4);
	assert_string_equal(ipk_derive_failure(d), "column 8: division by zero");
	ipk_derive_close(d);
	d = derive("to");
	ipk_derive_counts(d, &counts);
	assert_true(counts.read == 8 && counts.missed == 9 && counts.failed == 4);
	ipk_derive_close(d);
	ipk_stream_close(from);
	ipk_stream_close(side);
}

static void one_runs_it_and_the_next_one_goes_on(void **state)
{
	struct ipk_stream *from = stream("from", &(struct ipk_stream_options){.type = "i64"});
	struct ipk_derive *d, *second = NULL;
	struct ipk_error err = {0};

	(void)state;
	make_derived("to", "from", "scan(0, acc + $)");
	d = derive("to");
	assert_int_equal(ipk_derive_open(seg, "to", NULL, 0, &second, &err), -EBUSY);
	assert_string_equal(err.text, "another process runs it");
	emit_val(from, 3);
	emit_val(from, 4);
	assert_int_equal(run_all(d), -EAGAIN);
	ipk_derive_close(d);
	second = derive("to");
	emit_val(from, 5);
	assert_int_equal(run_all(second), -EAGAIN);
	ipk_derive_close(second);
	read_list("to", &want);
	assert_true(want.n == 3 && want.val[2] == 12);
	ipk_stream_close(from);
}

static void a_runner_waits_for_the_streams_own_subscribers(void **state)
{
	struct ipk_stream *from = stream("from", &(struct ipk_stream_options){.type = "i64"}), *to;
	struct ipk_error err = {0};
	struct ipk_stream_sub *sub;
	struct ipk_derive *d;
	i64 val, expected = 0;
	u64 emitted = 0;
	int r;

	(void)state;
	assert_int_equal(
		ipk_derive_create(
			seg, "to", "from", "map($ + 1)",
			&(struct ipk_stream_options){.cap = 2, .policy = IPK_STREAM_REJECT}, &err),
		0);
	to = stream("to", NULL);
	assert_int_equal(ipk_stream_subscribe(to, "slow", IPK_STREAM_FROM_START, &sub, NULL), 0);
	for (i64 i = 0; i < 9; i++)
		emit_val(from, i);
	d = derive("to");
	for (int i = 0; i < 20 && expected < 9; i++) {
		while ((r = ipk_derive_run(d, 100, &emitted, IPK_NOWAIT, &err)) == 0)
			;
		assert_int_equal(r, emitted < 9 ? -EBUSY : -EAGAIN);
		while (ipk_stream_next(sub, &val, sizeof(val), NULL, IPK_NOWAIT) == 0)
			assert_int_equal(val, ++expected);
		assert_int_equal(ipk_stream_ack(sub), 0);
	}
	assert_int_equal(expected, 9);
	ipk_derive_close(d);
	ipk_stream_unsubscribe(sub);
	ipk_stream_close(to);
	ipk_stream_close(from);
}

static void what_cannot_be_is_refused(void **state)
{
	static const struct {
		const char *text, *says;
	} bad[] = {
		{"", "column 1: wants an operator, got the end"},
		{"filter($ > 1) |", "column 16: wants an operator, got the end"},
		{"filter($ > 1) map($)", "column 15: wants \"|\" or the end, got \"m\""},
		{"filter($ + 1)", "column 8: filter wants a bool, and this is i64"},
		{"map($ +)", "column 8: wants a value, got \")\""},
		{"map", "column 4: wants \"(\", as in map(EXPR), got the end"},
		{"take(x)", "column 6: wants a number, got \"x\""},
		{"take(1", "column 7: wants \")\", as in take(N), got the end"},
		{"window(0)", "column 1: window wants a number from 1 to 1048576"},
		{"window(3, 0)", "column 1: window wants a number from 1 to 1048576"},
		{"window(2) | batch(2)", "column 13: batch wants single elements; make one of the "
					 "list first, as by map or mean"},
		{"mean",
		 "column 1: mean is of a list; put window(N) or batch(N) before it, or write fold"},
		{"fold(0, 'x')", "column 9: acc is i64 and would become str"},
		{"fold($, acc)", "column 6: there is no element here that $ could be"},
		{"fold(0)", "column 7: wants \",\" and what acc becomes, got \")\""},
		{"map(acc)", "column 5: nothing is called \"acc\"; the element is $"},
		{"throttle(0s)", "column 10: wants a duration, as 250ms or 1s, got \"0\""},
		{"throttle(3)", "column 10: wants a duration, as 250ms or 1s, got \"3\""},
		{"merge(words)", "column 1: merge: \"words\" has elements of str, not i64"},
		{"zip(words)", "column 1: zip wants elements of fixed size on both sides"},
		{"merge(from)", "column 1: stream \"from\" is a source already"},
		{"merge(to)", "column 1: \"to\" cannot be derived from itself"},
		{"merge()", "column 7: wants the name of a stream, got \")\""},
		{"fiter($ > 1)", "column 1: no operator \"fiter\"; there are map filter take skip "
				 "fold scan window batch "
				 "merge zip throttle distinct sum mean min max count"},
	};
	struct ipk_stream *from = stream("from", &(struct ipk_stream_options){.type = "i64"});
	struct ipk_stream *words = stream("words", &(struct ipk_stream_options){.type = "str"});
	struct ipk_error err = {0};
	struct ipk_derive *d;
	char text[5000];

	(void)state;
	for (unsigned i = 0; i < IPK_ARRAY_LEN(bad); i++) {
		assert_int_equal(ipk_derive_create(seg, "to", "from", bad[i].text, NULL, &err),
				 -EINVAL);
		if (strcmp(err.text, bad[i].says) != 0)
			fail_msg("%s: \"%s\" and not \"%s\"", bad[i].text, err.text, bad[i].says);
	}
	text[0] = 0;
	for (unsigned i = 0; i < 17; i++)
		strcat(text, i ? "|skip(1)" : "skip(1)");
	assert_int_equal(ipk_derive_create(seg, "to", "from", text, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.text, "more than 16 operators"));
	memset(text, ' ', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	assert_int_equal(ipk_derive_create(seg, "to", "from", text, NULL, &err), -EMSGSIZE);
	assert_int_equal(ipk_derive_create(seg, "to", "none", "skip(1)", NULL, &err), -ENOENT);
	assert_int_equal(ipk_derive_open(seg, "from", NULL, 0, &d, &err), -EINVAL);
	make_derived("to", "from", "skip(1)");
	assert_int_equal(ipk_derive_create(seg, "to", "from", "skip(1)", NULL, &err), -EEXIST);
	/* the source is another one now */
	ipk_stream_close(from);
	ipk_object_remove(seg, "from", NULL);
	assert_int_equal(ipk_derive_open(seg, "to", NULL, 0, &d, &err), -ENOENT);
	ipk_stream_close(stream("from", &(struct ipk_stream_options){.type = "u8"}));
	assert_int_equal(ipk_derive_open(seg, "to", NULL, 0, &d, &err), -EMEDIUMTYPE);
	ipk_stream_close(words);
}

/* ---- operators of a program ------------------------------------------------------------- */

struct reading {
	u32 sensor;
	float celsius;
};

static int is_sensor(void *arg, const struct ipk_derive_in *in, struct ipk_buf *out,
		     struct ipk_error *err)
{
	const struct reading *r = in->data;

	(void)out, (void)err;
	return r->sensor == *(u32 *)arg;
}

static int hottest(void *arg, const struct ipk_derive_in *in, struct ipk_buf *out,
		   struct ipk_error *err)
{
	const struct reading *r = in->data;
	float most = r[0].celsius;

	(void)arg;
	for (u64 i = 1; i < in->n; i++)
		most = r[i].celsius > most ? r[i].celsius : most;
	if (most > 100)
		return ipk_error_set(err, -ERANGE, "it boils");
	return ipk_buf_add(out, &most, sizeof(most));
}

static int add_up(void *arg, const struct ipk_derive_in *in, struct ipk_buf *out,
		  struct ipk_error *err)
{
	float sum = *(const float *)in->acc + *(const float *)in->data;

	(void)arg, (void)err;
	return ipk_buf_add(out, &sum, sizeof(sum));
}

static void a_programs_functions_are_operators_too(void **state)
{
	static u32 sensor = 2;
	static const float zero = 0;
	const struct ipk_derive_op ops[] = {
		{.kind = IPK_DERIVE_FILTER, .run = is_sensor, .arg = &sensor},
		{.kind = IPK_DERIVE_BATCH, .n = 3},
		{.kind = IPK_DERIVE_MAP, .type = "f32", .run = hottest},
		{.kind = IPK_DERIVE_SCAN,
		 .type = "f32",
		 .init = &zero,
		 .init_len = sizeof(zero),
		 .run = add_up},
	};
	static const float expected[] = {30, 32 + 28};
	struct ipk_stream *from = stream("from",
					 &(struct ipk_stream_options){
						 .type = "{u32 sensor; f32 celsius}"}),
			  *to;
	struct ipk_error err = {0};
	struct ipk_stream_sub *sub;
	struct ipk_derive_counts counts;
	struct ipk_derive *d;
	float got;

	(void)state;
	assert_int_equal(ipk_derive_create_ops(seg, "to", "from", ops, 4, NULL, &err), 0);
	assert_int_equal(ipk_derive_open(seg, "to", NULL, 0, &d, &err),
			 -EINVAL); /* by its text alone */
	assert_int_equal(ipk_derive_open(seg, "to", ops, 3, &d, &err), -EINVAL);
	for (u32 i = 0; i < 17; i++) {
		const struct reading r = {i % 2 + 1, i == 9 ? 101 : (float)(20 + i * 2)};

		assert_int_equal(ipk_stream_emit(from, &r, sizeof(r), IPK_NOWAIT), 0);
	}
	if (ipk_derive_open(seg, "to", ops, 4, &d, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(ipk_stream_shutdown(from), 0);
	assert_int_equal(run_all(d), -EPIPE);
	ipk_derive_counts(d, &counts);
	/* 22 26 30 | 34 101 42 | 46 50 */
	assert_int_equal(counts.failed, 1);
	assert_string_equal(ipk_derive_failure(d), "it boils");
	ipk_derive_close(d);
	to = stream("to", NULL);
	assert_int_equal(ipk_stream_subscribe(to, NULL, 100, &sub, NULL), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(ipk_stream_next(sub, &got, sizeof(got), NULL, IPK_NOWAIT), 0);
		assert_true(got == (i ? 80 : expected[0]));
	}
	assert_int_equal(ipk_stream_next(sub, &got, sizeof(got), NULL, IPK_NOWAIT), -EPIPE);
	ipk_stream_unsubscribe(sub);
	ipk_stream_close(to);
	ipk_stream_close(from);
}

/* ---- what others scribbled -------------------------------------------------------------- */

static void a_damaged_state_is_refused_or_run(void **state)
{
	struct ipk_stream *from = stream("from", &(struct ipk_stream_options){.type = "i64"});
	struct ipk_stream *words = stream("words", &(struct ipk_stream_options){.type = "str"});
	static u8 saved[4096], scribbled[4096];
	struct ipk_stream *to;
	struct ipk_derive *d;
	size_t len = 0;
	u32 opened = 0;

	(void)state;
	make_derived("to", "words",
		     "filter(len($) > 0) | distinct(3) | window(2) | map($[0] + $[1]) | "
		     "map(len($)) | batch(3) | sum | "
		     "zip(from) | map($.a + $.b) | scan(0, acc + $) | throttle(1s) | take(1000)");
	for (int i = 0; i < 9; i++)
		ipk_stream_emit(words, "abcdefgh", (size_t)(i % 5), IPK_NOWAIT);
	d = derive("to");
	assert_int_equal(run_all(d), -EAGAIN);
	ipk_derive_close(d);
	to = stream("to", NULL);
	assert_int_equal(ipk_stream_state(to, saved, sizeof(saved), &len), 0);
	for (int i = 0; i < 3000; i++) {
		size_t n = rnd(10) ? len : rnd((u32)len + 1);

		memcpy(scribbled, saved, len);
		for (u32 k = 1 + rnd(3); k--;) {
			static const u8 odd[] = {0, 1, 2, 0x7f, 0x80, 0xff};

			scribbled[rnd(3) ? rnd((u32)len) : rnd(300)] =
				rnd(2) ? odd[rnd(6)] : (u8)rnd(256);
		}
		to->b->shut = 0; /* the one before may have said that all has ended */
		assert_int_equal(ipk_stream_commit(to, NULL, 0, scribbled, n, IPK_NOWAIT), 0);
		if (ipk_derive_open(seg, "to", NULL, 0, &d, NULL) < 0)
			continue;
		opened++;
		emit_val(from, 1);
		ipk_stream_emit(words, "xyz", 3, IPK_NOWAIT);
		for (int k = 0; k < 4; k++)
			ipk_derive_run(d, 100, &(u64){0}, IPK_NOWAIT, NULL);
		ipk_derive_close(d);
		findings_of("s", "to");
	}
	assert_true(opened > 100 && opened < 2900);
	ipk_stream_close(to);
	ipk_stream_close(from);
	ipk_stream_close(words);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(random_pipelines_give_what_they_give_over_a_list),
		TEST(merge_and_zip_take_from_both),
		TEST(texts_and_lists_come_out_as_they_went_in),
		TEST(a_source_keeps_what_was_not_read_or_it_is_counted),
		TEST(one_runs_it_and_the_next_one_goes_on),
		TEST(a_runner_waits_for_the_streams_own_subscribers),
		TEST(what_cannot_be_is_refused),
		TEST(a_programs_functions_are_operators_too),
		TEST(a_damaged_state_is_refused_or_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
