/* SPDX-License-Identifier: MIT */
/*
 * Random pipelines over whole numbers, and what they give over a plain list: every operator takes
 * the whole list and makes the next one of it, so that nothing is kept between elements and nothing
 * is shared with the library.
 */
#ifndef TEST_DERIVE_TEST_H
#define TEST_DERIVE_TEST_H

#include "fixture_one.h"

#include "ipk/derive.h"

#define LIST_MAX 4000u

struct list {
	u32 n;
	i64 val[LIST_MAX];
	u64 time[LIST_MAX];
};

static u64 rng = 88172645463325252u;

static inline u32 rnd(u32 n)
{
	rng = rng * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (u32)((rng >> 33) % n);
}

static inline void append(struct list *l, i64 val, u64 time)
{
	l->val[l->n] = val;
	l->time[l->n++] = time;
}

/* ---- operators over lists: from a to the empty b; k and m are the operator's numbers ---- */

typedef void list_fn(const struct list *a, struct list *b, u32 k, u32 m);

static inline void list_map(const struct list *a, struct list *b, u32 k, u32 m)
{
	(void)m;
	for (u32 i = 0; i < a->n; i++)
		append(b, a->val[i] % 1000 * k - 7, a->time[i]);
}

static inline void list_filter(const struct list *a, struct list *b, u32 k, u32 m)
{
	(void)m;
	for (u32 i = 0; i < a->n; i++)
		if (a->val[i] % (k + 1) != 0)
			append(b, a->val[i], a->time[i]);
}

/* Those for which the division has no value are left out. */
static inline void list_divide(const struct list *a, struct list *b, u32 k, u32 m)
{
	(void)m;
	for (u32 i = 0; i < a->n; i++)
		if (a->val[i] % k != 0)
			append(b, 1000 / (a->val[i] % k), a->time[i]);
}

static inline void list_take(const struct list *a, struct list *b, u32 k, u32 m)
{
	(void)m;
	for (u32 i = 0; i < a->n && i < k; i++)
		append(b, a->val[i], a->time[i]);
}

static inline void list_skip(const struct list *a, struct list *b, u32 k, u32 m)
{
	(void)m;
	for (u32 i = k; i < a->n; i++)
		append(b, a->val[i], a->time[i]);
}

static inline void list_scan(const struct list *a, struct list *b, u32 k, u32 m)
{
	i64 sum = k;

	(void)m;
	for (u32 i = 0; i < a->n; i++) {
		sum = sum / 2 + a->val[i];
		append(b, sum, a->time[i]);
	}
}

static inline void list_fold(const struct list *a, struct list *b, u32 k, u32 m)
{
	i64 most = k;

	(void)m;
	for (u32 i = 0; i < a->n; i++)
		most = a->val[i] > most ? a->val[i] : most;
	append(b, most, 0);
}

static inline void list_window(const struct list *a, struct list *b, u32 k, u32 m)
{
	for (u32 i = 0; i + k <= a->n; i += m) {
		i64 sum = 0;

		for (u32 j = 0; j < k; j++)
			sum += a->val[i + j];
		append(b, sum, a->time[i + k - 1]);
	}
}

static inline void list_batch(const struct list *a, struct list *b, u32 k, u32 m)
{
	(void)m;
	for (u32 i = 0; i < a->n; i += k) {
		u32 end = i + k < a->n ? i + k : a->n;
		i64 least = a->val[i];

		for (u32 j = i; j < end; j++)
			least = a->val[j] < least ? a->val[j] : least;
		append(b, least * 100 + (end - i), end == i + k ? a->time[end - 1] : 0);
	}
}

static inline void list_distinct(const struct list *a, struct list *b, u32 k, u32 m)
{
	(void)m;
	for (u32 i = 0; i < a->n; i++) {
		bool seen = false;

		for (u32 j = b->n > k ? b->n - k : 0; j < b->n; j++)
			seen |= b->val[j] == a->val[i];
		if (!seen)
			append(b, a->val[i], a->time[i]);
	}
}

/* In microseconds: those that lie in the window that the first one outside of the last window
 * began. */
static inline void list_throttle(const struct list *a, struct list *b, u32 k, u32 m)
{
	u64 length = (u64)m * 1000;

	for (u32 i = 0, j; i < a->n; i = j) {
		for (j = i; j < a->n && a->time[j] - a->time[i] < length; j++)
			if (j - i < k)
				append(b, a->val[j], a->time[j]);
	}
}

static const struct list_op {
	const char *format; /* of k and m */
	list_fn *fn;
} list_ops[] = {
	{"map($ %% 1000 * %u - 7)", list_map},
	{"filter($ %% (%u + 1) != 0)", list_filter},
	{"map(1000 / ($ %% %u))", list_divide},
	{"take(%u)", list_take},
	{"skip(%u)", list_skip},
	{"scan(%u, acc / 2 + $)", list_scan},
	{"fold(%u, max(acc, $))", list_fold},
	{"window(%u, %u) | sum", list_window},
	{"batch(%u) | map(min($) * 100 + len($))", list_batch},
	{"distinct(%u)", list_distinct},
	{"throttle(%u, %uus)", list_throttle},
};

struct random_op {
	const struct list_op *op;
	u32 k, m;
};

static inline struct random_op random_op(void)
{
	struct random_op o = {&list_ops[rnd(IPK_ARRAY_LEN(list_ops))], 1 + rnd(6), 1 + rnd(8)};

	if (o.op->fn == list_take)
		o.k *= 12;
	return o;
}

/* "op | op", NUL at the end. */
static inline void pipeline_text(const struct random_op *o, u32 n, struct ipk_buf *text)
{
	text->len = 0;
	for (u32 i = 0; i < n; i++) {
		ipk_buf_str(text, i ? " | " : "");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		ipk_buf_printf(text, o[i].op->format, o[i].k, o[i].m);
#pragma GCC diagnostic pop
	}
	ipk_buf_add(text, "", 1);
}

static inline void over_list(const struct random_op *o, u32 n, struct list *list)
{
	static struct list next;

	for (u32 i = 0; i < n; i++) {
		next.n = 0;
		o[i].op->fn(list, &next, o[i].k, o[i].m);
		*list = next;
	}
}

/* ---- streams ---------------------------------------------------------------------------- */

static inline struct ipk_stream *stream(const char *name, const struct ipk_stream_options *o)
{
	struct ipk_error err = {0};
	struct ipk_stream *st = NULL;

	if (o && ipk_stream_create(seg, name, o, &err) < 0)
		fail_msg("%s: %s", name, err.text);
	if (ipk_stream_open(seg, name, NULL, &st, &err) < 0)
		fail_msg("%s: %s", name, err.text);
	return st;
}

/* All that the stream retains. */
static inline void read_list(const char *name, struct list *ret)
{
	struct ipk_stream *st = stream(name, NULL);
	struct ipk_stream_item item;
	struct ipk_stream_sub *sub;
	i64 val;

	ret->n = 0;
	assert_int_equal(ipk_stream_subscribe(st, NULL, IPK_STREAM_FROM_START, &sub, NULL), 0);
	while (ipk_stream_next(sub, &val, sizeof(val), &item, IPK_NOWAIT) == 0)
		append(ret, val, item.time);
	ipk_stream_unsubscribe(sub);
	ipk_stream_close(st);
}

static inline void emit_val(struct ipk_stream *st, i64 val)
{
	assert_int_equal(ipk_stream_emit(st, &val, sizeof(val), IPK_NOWAIT), 0);
}

static inline struct ipk_derive *derive(const char *name)
{
	struct ipk_error err = {0};
	struct ipk_derive *d = NULL;

	if (ipk_derive_open(seg, name, NULL, 0, &d, &err) < 0)
		fail_msg("%s: %s", name, err.text);
	return d;
}

/* Runs what is there; returns how it ended. */
static inline int run_all(struct ipk_derive *d)
{
	struct ipk_error err = {0};
	u64 emitted = 0;
	int r;

	do
		r = ipk_derive_run(d, 1 + rnd(300), &emitted, IPK_NOWAIT, &err);
	while (r == 0);
	if (r != -EAGAIN && r != -EPIPE)
		fail_msg("%s", err.text);
	return r;
}

static inline void make_derived(const char *name, const char *source, const char *text)
{
	struct ipk_error err = {0};

	if (ipk_derive_create(seg, name, source, text,
			      &(struct ipk_stream_options){.cap = LIST_MAX}, &err) < 0)
		fail_msg("%s: %s", text, err.text);
}

static inline void same_list(const char *name, const struct list *want, const char *text)
{
	static struct list got;

	read_list(name, &got);
	if (got.n != want->n)
		fail_msg("%s: %u records and not %u", text, got.n, want->n);
	for (u32 i = 0; i < got.n; i++)
		if (got.val[i] != want->val[i])
			fail_msg("%s: record %u is %lld and not %lld", text, i,
				 (long long)got.val[i], (long long)want->val[i]);
}

#endif
