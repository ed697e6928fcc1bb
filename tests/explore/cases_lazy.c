/* SPDX-License-Identifier: MIT */
/* A lazy value and the data behind it: who computes, who waits, who resets. */
#include "cases.h"
#include "ipk/lazy.h"
#include "kinds/lazy.h"

static int create_number(struct ipk_segment *seg)
{
	return ipk_lazy_create(seg, "x", "u64", IPK_LAZY_CALLER, NULL, NULL);
}

static int create_text(struct ipk_segment *seg)
{
	return ipk_lazy_create(seg, "x", "str", IPK_LAZY_CALLER, NULL, NULL);
}

static int open_lazy(struct actor *a)
{
	return ipk_lazy_open(a->seg, "x", NULL, (struct ipk_lazy **)&a->handle, NULL);
}

/* ---- operations ----------------------------------------------------------------------------- */

static struct ipk_lazy_run runs[ACTORS + 1];

static i64 begin(struct actor *a, u64 unused)
{
	(void)unused;
	return a->last = ipk_lazy_begin(a->handle, &runs[a->number], IPK_FOREVER);
}

/* Who computes it writes; who is given it reads what was written. */
static i64 work(struct actor *a, u64 val)
{
	return a->last > 0 ? write_data(a, val) : a->last == 0 ? read_data(a, 0) : -1;
}

static i64 done(struct actor *a, u64 val)
{
	if (a->last <= 0)
		return 0;
	return ipk_lazy_done(a->handle, &runs[a->number], &val, sizeof(val));
}

static i64 fail(struct actor *a, u64 unused)
{
	(void)unused;
	return a->last > 0 ? ipk_lazy_fail(a->handle, &runs[a->number], "no", 2) : 0;
}

static i64 abandon(struct actor *a, u64 unused)
{
	(void)unused;
	return a->last > 0 ? ipk_lazy_abandon(a->handle, &runs[a->number]) : 0;
}

static i64 reset(struct actor *a, u64 unused)
{
	(void)unused;
	return ipk_lazy_reset(a->handle);
}

static i64 set(struct actor *a, u64 val)
{
	return ipk_lazy_set(a->handle, &val, sizeof(val));
}

static i64 await(struct actor *a, u64 unused)
{
	(void)unused;
	return a->last = ipk_lazy_wait(a->handle, IPK_FOREVER);
}

static i64 peek(struct actor *a, u64 unused)
{
	u64 val = 0;
	int r = ipk_lazy_peek(a->handle, &val, sizeof(val), NULL);

	(void)unused;
	return r < 0 ? r : (i64)val;
}

/* ---- texts ---------------------------------------------------------------------------------- */

static const char letters[] = "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb";

static i64 set_text(struct actor *a, u64 from)
{
	return ipk_lazy_set(a->handle, letters + from, 16);
}

static i64 peek_text(struct actor *a, u64 unused)
{
	char buf[16] = "";
	size_t len = 0;
	int r = ipk_lazy_peek(a->handle, buf, sizeof(buf), &len);

	(void)unused;
	for (size_t i = 1; r == 0 && i < len; i++)
		if (buf[i] != buf[0])
			return -EBADMSG;
	return r < 0 ? r : (i64)len * 1000 + buf[0];
}

/* ---- before and after ----------------------------------------------------------------------- */

static void ready(struct actor *a)
{
	if (a->number == OBSERVER)
		set(a, 1);
}

static void with_text(struct actor *a)
{
	if (a->number == OBSERVER)
		set_text(a, 0);
}

static size_t counters(struct actor *a, char *buf, size_t size)
{
	const struct ipk_lazy *l = a->handle;
	size_t n = data_text(a, buf, size);

	return n + (size_t)snprintf(buf + n, size - n, "%llu runs %llu deaths ",
				    (unsigned long long)ipk_ld(&l->b->runs, relaxed),
				    (unsigned long long)ipk_ld(&l->b->deaths, relaxed));
}

static void contents(struct actor *a, char *buf, size_t size)
{
	size_t n = counters(a, buf, size);

	snprintf(buf + n, size - n, "state %d value %lld", (int)ipk_lazy_state(a->handle),
		 (long long)peek(a, 0));
}

static void contents_text(struct actor *a, char *buf, size_t size)
{
	size_t n = counters(a, buf, size);

	snprintf(buf + n, size - n, "value %lld", (long long)peek_text(a, 0));
}

#define LAZY .kind = "lazy", .open = open_lazy, .create = create_number, .contents = contents
#define TEXT .kind = "lazy", .open = open_lazy, .create = create_text, .contents = contents_text

const struct scenario cases_lazy[] = {
	{LAZY, .name = "begin|begin",
	 .program = {{{"begin", begin}, {"work", work, 7}, {"done", done, 5}},
		     {{"begin", begin}, {"work", work, 8}, {"done", done, 6}}}},
	{LAZY, .name = "begin,done|wait",
	 .program = {{{"begin", begin}, {"work", work, 7}, {"done", done, 5}},
		     {{"wait", await}, {"work", work, 0}, {"peek", peek}}}},
	{LAZY, .name = "begin,fail|wait",
	 .program = {{{"begin", begin}, {"fail", fail}}, {{"wait", await}, {"peek", peek}}}},
	{LAZY, .name = "begin,abandon|begin",
	 .program = {{{"begin", begin}, {"abandon", abandon}}, {{"begin", begin}}}},
	{LAZY, .name = "begin,done|reset",
	 .program = {{{"begin", begin}, {"done", done, 5}}, {{"reset", reset}}}},
	{LAZY, .name = "reset|wait", .fill = ready,
	 .program = {{{"reset", reset}, {"set", set, 2}}, {{"wait", await}, {"peek", peek}}}},
	{TEXT, .name = "reset,set|peek,text", .fill = with_text,
	 .program = {{{"reset", reset}, {"set", set_text, 16}}, {{"peek", peek_text}}}},
	{TEXT, .name = "reset|peek|set,text", .fill = with_text, .slow = true, .preempt = 1,
	 .program = {{{"reset", reset}}, {{"peek", peek_text}}, {{"set", set_text, 16}}}},
	{LAZY, .name = "begin|begin|reset", .slow = true,
	 .program = {{{"begin", begin}, {"done", done, 5}},
		     {{"begin", begin}, {"done", done, 6}},
		     {{"reset", reset}}}},
	{.name = NULL},
};
