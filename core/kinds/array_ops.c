/* SPDX-License-Identifier: MIT */
/* The verbs of arrays. */
#include <stdio.h>
#include <stdlib.h>

#include "kinds/array.h"
#include "kinds/await.h"
#include "kinds/hooks.h"
#include "type.h"

int ipk_array_key(const char *key, size_t len, u64 cap, u64 *ret_from, u64 *ret_to,
		  struct ipk_error *err)
{
	uint64_t from, to;
	bool one;
	int r;

	if (!key) {
		*ret_from = 0;
		*ret_to = cap;
		return 0;
	}
	r = ipk_range_parse(key, len, &from, &to, &one);
	if (r < 0)
		return ipk_error_set(err, r, "\"%.*s\" is no index; write 7, 0..10, 3.. or ..5",
				     len < 64 ? (int)len : 64, key);
	if (one)
		to = from < cap ? from + 1 : from;
	else if (to == UINT64_MAX)
		to = cap;
	if (from > cap || to > cap || (one && from == cap))
		return ipk_error_set(err, -ERANGE, "the array has %llu elements, 0 to %llu",
				     (unsigned long long)cap, (unsigned long long)cap - 1);
	if (from > to)
		return ipk_error_set(err, -EINVAL, "the range ends before it begins");
	*ret_from = from;
	*ret_to = to;
	return 0;
}

static int call_range(struct ipk_call *call, u64 *ret_from, u64 *ret_to)
{
	struct ipk_array *a = call->handle;

	return ipk_array_key(call->key, call->key_len, a->g.cap, ret_from, ret_to, &call->err);
}

/* Gives elements [from, to) in pieces of private copies. */
static int run_get(struct ipk_call *call)
{
	struct ipk_array *a = call->handle;
	u64 from, to, i, n, step = a->g.size < 4096 ? 4096 / a->g.size : 1;
	u8 *buf;
	int r = call_range(call, &from, &to);

	if (r < 0)
		return r;
	buf = malloc(step * a->g.size);
	if (!buf)
		return -ENOMEM;
	for (; !r && from < to; from += n) {
		n = to - from < step ? to - from : step;
		r = ipk_array_slice(a, from, n, buf);
		for (i = 0; !r && i < n; i++) {
			struct ipk_item item = { .data = buf + i * a->g.size,
						 .len = a->g.size,
						 .pos = from + i };

			r = call->emit(call, &item);
			call->done += !r;
		}
	}
	free(buf);
	return r < 0 ? r : call->flush(call);
}

/* ---- values in ------------------------------------------------------------------------------- */

#define BATCH 256
#define HELD_BYTES (1u << 20) /* of values that may wait for their number to be known */

/* Values on their way into [at, to). */
struct intake {
	struct ipk_call *call;
	struct ipk_array *a;
	u64 at, to;
	u64 held; /* values in buf */
	struct ipk_buf buf;
};

static int wrong_number(struct intake *in, u64 got, bool more)
{
	u64 want = in->to - (in->at - in->call->done);

	return ipk_error_set(&in->call->err, -E2BIG, "%llu element%s to set, but %s%llu value%s",
			     (unsigned long long)want, want == 1 ? "" : "s", more ? "at least " : "",
			     (unsigned long long)got, got == 1 ? "" : "s");
}

static int store_held(struct intake *in)
{
	int r;

	if (!in->held)
		return 0;
	r = ipk_array_set_slice(in->a, in->at, in->held, in->buf.data, ipk_call_deadline(in->call));
	if (r < 0)
		return r;
	in->at += in->held;
	in->call->done += in->held;
	in->held = 0;
	in->buf.len = 0;
	return 0;
}

static int hold(struct intake *in, const struct ipk_item *item)
{
	int r;

	if (item->len != in->a->g.size)
		return ipk_error_set(&in->call->err, -EINVAL, "an element has %u bytes, not %llu",
				     in->a->g.size, (unsigned long long)item->len);
	if (in->held == in->to - in->at)
		return wrong_number(in, in->call->done + in->held + 1, true);
	r = ipk_buf_add(&in->buf, item->data, item->len);
	if (r < 0)
		return r;
	in->held++;
	return in->buf.len >= HELD_BYTES ? store_held(in) : 0;
}

/*
 * Stores values to [from, to) in order. Up to a mebibyte of them is counted before the first is
 * stored; longer input is stored as it comes. exact: there must be as many as elements.
 */
static int take_values(struct ipk_call *call, u64 from, u64 to, bool exact)
{
	struct intake in = { .call = call, .a = call->handle, .at = from, .to = to };
	struct ipk_item items[BATCH];
	int n, i, r = 0;

	call->done = 0;
	do {
		n = call->next(call, items, BATCH);
		if (n < 0)
			r = n;
		for (i = 0; !r && i < n; i++)
			r = hold(&in, &items[i]);
	} while (!r && n > 0);
	if (!r && exact && in.held != in.to - in.at)
		r = wrong_number(&in, call->done + in.held, false);
	if (!r)
		r = store_held(&in);
	ipk_buf_free(&in.buf);
	return r;
}

/* The one value that a verb takes, as a private copy in ret. */
static int one_value(struct ipk_call *call, struct ipk_buf *ret)
{
	struct ipk_array *a = call->handle;
	int r = ipk_call_one_value(call, ret);

	if (r == 0)
		return ipk_error_set(&call->err, -E2BIG, "one value is wanted");
	if (r > 0 && ret->len != a->g.size)
		return ipk_error_set(&call->err, -EINVAL, "an element has %u bytes, not %llu",
				     a->g.size, (unsigned long long)ret->len);
	return r < 0 ? r : 0;
}

static int differs(struct ipk_call *call, u64 index, const void *has)
{
	struct ipk_array *a = call->handle;
	struct ipk_buf text = { 0 };
	int r = ipk_value_print(a->type, has, a->g.size, 0, &text);

	if (!r)
		r = ipk_error_set(&call->err, -EEXIST, "element %llu is %.*s, not %.*s",
				  (unsigned long long)index, text.len < 80 ? (int)text.len : 80,
				  text.data, call->arg[0].len < 80 ? (int)call->arg[0].len : 80,
				  call->arg[0].text);
	ipk_buf_free(&text);
	return r;
}

/*
 * Equal means equal as values: 0.0 and -0.0 are, bytes of padding do not count where they are zero.
 */
static int set_if_equal(struct ipk_call *call, u64 index)
{
	struct ipk_array *a = call->handle;
	struct ipk_buf want = { 0 }, val = { 0 }, has = { 0 };
	int r;

	r = ipk_value_parse(a->type, call->arg[0].text, call->arg[0].len, 0, &want, &call->err);
	if (!r)
		r = one_value(call, &val);
	if (!r)
		r = ipk_buf_add(&has, val.data, val.len); /* the room alone counts */
	if (!r)
		r = ipk_array_get(a, index, has.data);
	while (!r) {
		if (ipk_value_compare(a->type, has.data, has.len, want.data, want.len) != 0) {
			r = differs(call, index, has.data);
			break;
		}
		r = ipk_array_cas(a, index, has.data, val.data, ipk_call_deadline(call));
		if (r != -EEXIST)
			break;
		r = 0; /* it changed since: has is what it is now */
	}
	if (!r)
		call->done = 1;
	ipk_buf_free(&want);
	ipk_buf_free(&val);
	ipk_buf_free(&has);
	return r;
}

static int run_set(struct ipk_call *call)
{
	u64 from, to;
	int r = call_range(call, &from, &to);

	if (r < 0)
		return r;
	if (!call->arg[0].set)
		return take_values(call, from, to, true);
	if (to - from != 1)
		return ipk_error_set(&call->err, -EINVAL, "--if-eq compares one element");
	return set_if_equal(call, from);
}

static int run_load(struct ipk_call *call)
{
	u64 from, to;
	int r = call_range(call, &from, &to);

	return r < 0 ? r : take_values(call, from, to, false);
}

static int run_fill(struct ipk_call *call)
{
	struct ipk_buf val = { 0 };
	u64 from, to;
	int r = call_range(call, &from, &to);

	if (!r)
		r = one_value(call, &val);
	if (!r)
		r = ipk_array_fill(call->handle, from, to - from, val.data, ipk_call_deadline(call));
	if (!r)
		call->done = to - from;
	ipk_buf_free(&val);
	return r;
}

/* ---- incr ------------------------------------------------------------------------------------ */

static int run_incr(struct ipk_call *call)
{
	struct ipk_array *a = call->handle;
	u8 delta[8], sum[8];
	u64 from, to;
	int r = call_range(call, &from, &to);

	if (!r)
		r = ipk_delta_parse(a->type, call->arg[0].text, call->arg[0].len, delta, &call->err);
	for (; !r && from < to; from++) {
		struct ipk_item item = { .data = sum, .len = a->g.size, .pos = from };

		r = ipk_array_add(a, from, delta, sum);
		if (!r) {
			call->done++;
			r = call->emit(call, &item);
		}
	}
	return r < 0 ? r : call->flush(call);
}

static const struct ipk_arg set_args[] = {
	{ .name = "if-eq",
	  .type = IPK_ARG_VALUE,
	  .help = "only if the element has this value; otherwise exit 4" },
	{ .type = IPK_ARG_END },
};

static const struct ipk_arg incr_args[] = {
	{ .name = "by",
	  .type = IPK_ARG_TEXT,
	  .value = "1",
	  .help = "what to add, may be negative",
	  .positional = true },
	{ .type = IPK_ARG_END },
};

const struct ipk_op ipk_array_ops[] = {
	{ .name = "get",
	  .summary = "print one element, a range or all",
	  .example = "ipcctl get S/x/0..3",
	  .flags = IPK_OP_OUT,
	  .run = run_get },
	{ .name = "set",
	  .summary = "store one element, or as many values as a range has",
	  .example = "ipcctl set S/x/0..3 1 2 3",
	  .flags = IPK_OP_WRITE | IPK_OP_IN | IPK_OP_KEY,
	  .args = set_args,
	  .run = run_set },
	{ .name = "fill",
	  .summary = "store one value to all elements, or to a range",
	  .example = "ipcctl fill S/x 0",
	  .flags = IPK_OP_WRITE | IPK_OP_IN,
	  .run = run_fill },
	{ .name = "incr",
	  .summary = "add to an element and print the sum; integers wrap around",
	  .example = "ipcctl incr S/x/7 5",
	  .flags = IPK_OP_WRITE | IPK_OP_OUT | IPK_OP_KEY,
	  .args = incr_args,
	  .run = run_incr },
	{ .name = "load",
	  .summary = "store values from stdin to the elements from the first on",
	  .example = "seq 10 | ipcctl load S/x",
	  .flags = IPK_OP_WRITE | IPK_OP_IN,
	  .run = run_load },
	{ .name = NULL },
};
