/* SPDX-License-Identifier: MIT */
/* What a stream holds, read without trust, and its descriptor. The verbs are in stream_ops.c. */
#include <stdio.h>
#include <stdlib.h>

#include "kinds/hooks.h"
#include "kinds/stream.h"
#include "kinds/stream_pipe.h"
#include "kinds/stream_view.h"
#include "object_type.h"
#include "segment/view.h"

static int read_entry(struct ipk_stream_look *l, u64 pos, struct ipk_stream_entry *ret)
{
	u64 off = l->o->body + l->s.entries + pos % (l->s.cap + IPK_STREAM_BATCH) * sizeof(*ret);
	int r = ipk_view_read(l->o->view, off, ret, sizeof(*ret));

	if (r < 0)
		return r;
	return ret->len <= l->s.spare ? 0 : -EBADMSG;
}

/* What is to be dropped is not shown. */
static int trim(struct ipk_stream_look *l)
{
	struct ipk_stream_entry last, e;
	int r = 0;

	if (l->first + 1 >= l->next)
		return 0;
	r = read_entry(l, l->next - 1, &last);
	while (r == 0 && l->first + 1 < l->next) {
		r = read_entry(l, l->first, &e);
		if (r < 0 || !ipk_stream_too_much(&l->s, l->first, l->next, e.at, last.at + last.len))
			break;
		l->first++;
	}
	return r == -EBADMSG ? 0 : r; /* whoever wants the record will say so */
}

int ipk_stream_look(const struct ipk_object_view *o, struct ipk_stream_look *l)
{
	struct ipk_stream_body body;
	u64 word;
	u32 size;
	int r;

	*l = (struct ipk_stream_look){.o = o};
	r = ipk_view_body(o, &body, sizeof(body));
	if (r == 0)
		r = ipk_stream_measure(&body, o->body_size, &l->s);
	if (r < 0)
		return r;
	r = ipk_text_size(o->type, &size);
	if (r < 0)
		return r;
	if (size != l->s.size)
		return -EBADMSG;
	l->shut = body.shut;
	/* The head first: the tail is never less. */
	r = ipk_view_u64(o->view, o->body + offsetof(struct ipk_stream_body, head), &l->first);
	if (r == 0)
		r = ipk_view_u64(o->view, o->body + offsetof(struct ipk_stream_body, word), &word);
	if (r < 0)
		return r;
	l->next = word / 2;
	if (l->next < l->first)
		return -EBADMSG;
	/* Records came between the two looks, or somebody died before he moved the head. */
	if (l->next - l->first > l->s.cap + IPK_STREAM_BATCH)
		l->first = l->next - l->s.cap;
	return trim(l);
}

static void look_free(struct ipk_stream_look *l)
{
	free(l->buf);
}

static int read_data(struct ipk_stream_look *l, u64 at, u64 len)
{
	u64 ring = l->s.bytes + l->s.spare, left = ring - at % ring, n = len < left ? len : left;
	u64 base = l->o->body + l->s.data;
	int r = n ? ipk_view_read(l->o->view, base + at % ring, l->buf, n) : 0;

	return r == 0 && len > n ? ipk_view_read(l->o->view, base, (u8 *)l->buf + n, len - n) : r;
}

/* 0; -ENOENT: it was dropped meanwhile. */
static int read_record(struct ipk_stream_look *l, u64 pos, struct ipk_stream_entry *e)
{
	int r = read_entry(l, pos, e), r2;
	u64 head;

	if (r == 0 && e->len > l->room) {
		void *more = realloc(l->buf, e->len);

		if (!more)
			return -ENOMEM;
		l->buf = more;
		l->room = e->len;
	}
	if (r == 0)
		r = read_data(l, e->at, e->len);
	r2 = ipk_view_u64(l->o->view, l->o->body + offsetof(struct ipk_stream_body, head), &head);
	if (r2 == 0 && head > pos)
		return -ENOENT;
	if (r == 0 && r2 == 0 && l->s.size && e->len != l->s.size)
		return -EBADMSG;
	return r < 0 ? r : r2;
}

static int give(struct ipk_stream_look *l, u64 pos, ipk_item_fn *fn, void *arg)
{
	struct ipk_stream_entry e;
	struct ipk_item item = {.pos = pos};
	int r = read_record(l, pos, &e);

	if (r < 0)
		return r;
	item.data = e.len ? l->buf : "";
	item.len = e.len;
	item.time = e.time;
	return fn(arg, &item);
}

static int stream_inspect(const struct ipk_object_view *o, uint64_t *ret_used, uint64_t *ret_cap)
{
	struct ipk_stream_look l;
	int r = ipk_stream_look(o, &l);

	if (r < 0)
		return r;
	*ret_used = l.next - l.first;
	*ret_cap = l.s.cap;
	return 0;
}

static int stream_items(const struct ipk_object_view *o, uint64_t from, uint64_t to, ipk_item_fn *fn, void *arg)
{
	struct ipk_stream_look l;
	int r = ipk_stream_look(o, &l);

	if (r < 0)
		return r;
	if (from < l.first)
		from = l.first;
	if (to > l.next)
		to = l.next;
	for (u64 pos = from; r == 0 && pos < to; pos++) {
		r = give(&l, pos, fn, arg);
		if (r == -ENOENT)
			r = 0;
	}
	look_free(&l);
	return r;
}

static int stream_item(const struct ipk_object_view *o, const char *key, size_t len, ipk_item_fn *fn, void *arg)
{
	u64 from, to;
	struct ipk_stream_look l;
	bool one;
	int r = ipk_range_parse(key, len, &from, &to, &one);

	if (r < 0)
		return r;
	r = ipk_stream_look(o, &l);
	if (r < 0)
		return r;
	if (!one && to == UINT64_MAX)
		to = l.next;
	if (from < l.first || to > l.next || (one && from >= l.next))
		r = -ERANGE;
	for (u64 pos = from; r == 0 && pos < to; pos++)
		r = give(&l, pos, fn, arg);
	look_free(&l);
	return r;
}

/* ---- names ----------------------------------------------------------------------------------- */

typedef int name_fn(struct ipk_stream_look *l, void *arg, u32 i, const struct ipk_stream_name *n);

static int each_name(struct ipk_stream_look *l, name_fn *fn, void *arg)
{
	int r = 0;

	for (u32 i = 0; r == 0 && i < l->s.subs; i++) {
		struct ipk_stream_name n;

		r = ipk_view_read(l->o->view, l->o->body + l->s.names + i * sizeof(n), &n, sizeof(n));
		if (r == 0 && n.used)
			r = fn(l, arg, i, &n);
	}
	return r;
}

struct lag {
	u64 names, most;
};

static int note_lag(struct ipk_stream_look *l, void *arg, u32 i, const struct ipk_stream_name *n)
{
	struct lag *lag = arg;

	(void)i;
	lag->names++;
	if (n->cursor < l->next && l->next - n->cursor > lag->most)
		lag->most = l->next - n->cursor;
	return 0;
}

static const char *const stat_names[] = {"emitted", "dropped",  "subscribers", "lag",    "closed",
					 "pipeline", "behind", "missed",      "failed", NULL};

static int stream_stats(const struct ipk_object_view *o, struct ipk_visitor *v)
{
	struct lag lag = {0};
	struct ipk_stream_look l;
	int r = ipk_stream_look(o, &l);

	if (r == 0)
		r = each_name(&l, note_lag, &lag);
	if (r == 0)
		r = v->u64(v, stat_names[0], l.next);
	if (r == 0)
		r = v->u64(v, stat_names[1], l.first);
	if (r == 0)
		r = v->u64(v, stat_names[2], lag.names);
	if (r == 0)
		r = v->u64(v, stat_names[3], lag.most);
	if (r == 0)
		r = v->boolean(v, stat_names[4], l.shut != 0);
	return r == 0 && l.s.room ? ipk_stream_show_derived(&l, v, stat_names + 5) : r;
}

struct holders {
	ipk_holder_fn *fn;
	void *arg;
};

static int give_holder(struct ipk_stream_look *l, void *arg, u32 i, const struct ipk_stream_name *n)
{
	struct holders *h = arg;

	(void)l, (void)i;
	if (!(n->owner & IPK_STREAM_OWNER))
		return 0;
	return h->fn(h->arg, (u32)(n->owner & IPK_STREAM_OWNER) - 1, "subscriber", 1);
}

static int stream_holders(const struct ipk_object_view *o, ipk_holder_fn *fn, void *arg)
{
	struct holders h = {fn, arg};
	struct ipk_stream_look l;
	int r = ipk_stream_look(o, &l);

	return r < 0 ? r : each_name(&l, give_holder, &h);
}

/* ---- checking -------------------------------------------------------------------------------- */

static int check_name(struct ipk_stream_look *l, void *arg, u32 i, const struct ipk_stream_name *n)
{
	struct ipk_checker *c = arg;
	char what[40];

	if (n->used != 1 || !memchr(n->name, 0, sizeof(n->name)) || !ipk_stream_name_ok(n->name))
		c->finding(c, "the name of subscriber %u is damaged", i);
	else if (n->cursor > l->next)
		c->finding(c, "subscriber \"%s\" is at %llu, beyond the end", n->name,
			   (unsigned long long)n->cursor);
	snprintf(what, sizeof(what), "subscriber %u is", i);
	return ipk_check_user(l->o,
			      l->o->body + l->s.names + i * sizeof(*n) +
				      offsetof(struct ipk_stream_name, owner),
			      n->owner, n->owner & IPK_STREAM_OWNER, what, c);
}

/* A head that no producer leaves behind, and states longer than their room. */
static int check_numbers(struct ipk_stream_look *l, struct ipk_checker *c)
{
	u64 head_at = l->o->body + offsetof(struct ipk_stream_body, head), before, after, word, len;
	int r = ipk_view_u64(l->o->view, head_at, &before);

	if (r == 0)
		r = ipk_view_u64(l->o->view, l->o->body + offsetof(struct ipk_stream_body, word), &word);
	if (r == 0)
		r = ipk_view_u64(l->o->view, head_at, &after);
	if (r == 0 && before == after && word / 2 > after && word / 2 - after > l->s.cap + IPK_STREAM_BATCH)
		c->finding(c, "it retains %llu records, and has room for %llu",
			   (unsigned long long)(word / 2 - after), (unsigned long long)l->s.cap);
	for (u64 i = 0; r == 0 && l->s.room && i < 2; i++) {
		r = ipk_view_u64(l->o->view, l->o->body + l->s.states + i * (8 + l->s.room), &len);
		if (r == 0 && len > l->s.room)
			c->finding(c, "state %llu is longer than its room", (unsigned long long)i);
	}
	return r;
}

static int check_records(struct ipk_stream_look *l, struct ipk_checker *c)
{
	u64 end = 0, start = 0;
	bool any = false;

	for (u64 pos = l->first; pos < l->next; pos++) {
		struct ipk_stream_entry e;
		int r = read_record(l, pos, &e);

		if (r == -ENOENT)
			continue;
		if (r == -EBADMSG ||
		    (any && (e.at != ipk_align_up(end, 8) || e.at + e.len - start > l->s.bytes))) {
			c->finding(c, "record %llu lies where it cannot be", (unsigned long long)pos);
			return 0;
		}
		if (r < 0)
			return r;
		if (!any)
			start = e.at;
		any = true;
		end = e.at + e.len;
	}
	return 0;
}

static int stream_check(const struct ipk_object_view *o, struct ipk_checker *c)
{
	struct ipk_stream_look l;
	int r = ipk_stream_look(o, &l);

	if (r == -EBADMSG) {
		c->finding(c, "its numbers, its type and the length of its memory do not agree");
		return 0;
	}
	if (r == 0)
		r = check_records(&l, c);
	if (r == 0)
		r = check_numbers(&l, c);
	if (r == 0)
		r = each_name(&l, check_name, c);
	look_free(&l);
	return r;
}

/* ---- creation -------------------------------------------------------------------------------- */

static const struct ipk_arg params[] = {
	{.name = "cap", .type = IPK_ARG_U64, .min = 1, .max = IPK_STREAM_CAP_MAX, .value = "1024",
	 .help = "records it retains"},
	{.name = "max-bytes", .type = IPK_ARG_U64, .min = 8, .max = UINT64_C(1) << 44,
	 .help = "bytes it retains; by default 64 for each record, or what they need"},
	{.name = "policy", .type = IPK_ARG_WORD, .words = "drop|block|reject", .value = "drop",
	 .help = "without room: drop the oldest, or wait for the named subscriber that is furthest behind, "
		 "or refuse"},
	{.name = "subs", .type = IPK_ARG_U64, .min = 1, .max = IPK_STREAM_SUBS_MAX, .value = "16",
	 .help = "places for named subscribers"},
	{.name = "state", .type = IPK_ARG_U64, .max = UINT64_C(1) << 30, .value = "0",
	 .help = "bytes of state that are committed together with records"},
	{.name = "derive", .type = IPK_ARG_TEXT,
	 .help = "what it is derived by, \"STREAM | OPERATOR | ...\"; ipcctl derive makes it, with type and state"},
	{.type = IPK_ARG_END},
};

int ipk_stream_plan(const u64 opts[5], u32 size, struct ipk_stream_body *ret)
{
	u64 each = size ? ipk_align_up(size, 8) : 64, cap = opts[0], bytes;

	if (opts[1])
		bytes = ipk_align_up(opts[1], 8);
	else if (__builtin_mul_overflow(cap, each, &bytes))
		return -ERANGE;
	*ret = (struct ipk_stream_body){
		.cap = cap,
		.bytes = bytes,
		.spare = bytes,
		.room = ipk_align_up(opts[4], 8),
		.policy = (u32)opts[2],
		.subs = (u32)opts[3],
		.size = size,
	};
	if (size && bytes / each > IPK_STREAM_BATCH)
		ret->spare = IPK_STREAM_BATCH * each;
	return 0;
}

static int fill_body(const struct ipk_new *n, struct ipk_stream_body *b)
{
	u64 least = n->param[5].set ? sizeof(struct ipk_pipe_head) + n->param[5].len : 0, opts[5];
	int r;

	for (unsigned i = 0; i < IPK_ARRAY_LEN(opts); i++)
		opts[i] = ipk_param_number(&params[i], &n->param[i]);
	r = ipk_stream_plan(opts, n->type->size, b);
	if (r == 0 && b->room < least)
		b->room = ipk_align_up(least, 8);
	return r;
}

static int stream_size(const struct ipk_new *n, uint64_t *ret_size, struct ipk_error *err)
{
	struct ipk_stream_shape s;
	struct ipk_stream_body b;

	if (n->param[5].set && n->param[5].len > IPK_EXPR_TEXT_MAX)
		return ipk_error_set(err, -EINVAL, "--derive: more than %u characters", IPK_EXPR_TEXT_MAX);
	if (n->param[1].set && n->type->size > n->param[1].u64)
		return ipk_error_set(err, -EINVAL, "--max-bytes: a single record has %u", n->type->size);
	if (fill_body(n, &b) < 0 || ipk_stream_measure(&b, UINT64_MAX, &s) < 0)
		return ipk_error_set(err, -ENOSPC, "so much is more than any segment can hold");
	*ret_size = s.end;
	return 0;
}

/* The body is nobody else's yet. */
static int stream_create(struct ipk_tx *tx, void *body, uint64_t body_off, const struct ipk_new *n)
{
	struct ipk_pipe_head head = {.magic = IPK_PIPE_MAGIC};
	struct ipk_stream_shape s;
	u8 *state;
	u64 len;
	int r;

	(void)tx, (void)body_off;
	r = fill_body(n, body);
	if (r == 0)
		r = ipk_stream_measure(body, UINT64_MAX, &s);
	if (r < 0 || !n->param[5].set)
		return r;
	state = (u8 *)body + s.states;
	head.text_len = (u32)n->param[5].len;
	len = sizeof(head) + head.text_len;
	memcpy(state, &len, sizeof(len));
	memcpy(state + sizeof(len), &head, sizeof(head));
	memcpy(state + sizeof(len) + sizeof(head), n->param[5].text, head.text_len);
	return 0;
}

IPK_ATTACH_DETACH(stream, ipk_stream_open(seg, name, NULL, &handle, err))

static int bench_rounds(void *handle, uint64_t n)
{
	u64 val[8] = {0};
	size_t size = ipk_stream_element_size(handle);
	struct ipk_stream_sub *sub;
	int r;

	if (size > sizeof(val))
		return -EMSGSIZE;
	r = ipk_stream_subscribe(handle, NULL, 0, &sub, NULL);
	if (r < 0)
		return r;
	while (n-- && !r) {
		r = ipk_stream_emit(handle, val, size, IPK_NOWAIT);
		if (!r)
			r = ipk_stream_next(sub, val, sizeof(val), NULL, IPK_NOWAIT);
	}
	ipk_stream_unsubscribe(sub);
	return r;
}

static const struct ipk_bench bench = {
	.round = "emit + next",
	.rounds = bench_rounds,
	.elements = true,
	.capacity = true,
};

const struct ipk_kind ipk_kind_stream = {
	.id = 17,
	.version = 1,
	.name = "stream",
	.summary = "a log that any number of subscribers read, each at its own pace",
	.text = "A stream keeps the last --cap records, in at most --max-bytes. emit appends; sub prints what comes, "
		"also from the start or from N back. A subscriber with a name (--name) has its cursor in the segment: "
		"when it dies, whoever subscribes under that name next goes on behind what was printed last. "
		"Without room the oldest record is dropped, or with --policy block or reject the producer waits for, "
		"or is refused because of, the named subscriber that is furthest behind. A producer that dies leaves "
		"its record wholly or not at all. close lets nothing more in: subscribers get what is there, and "
		"then the end.",
	.type = "str",
	.flags = IPK_KIND_INDEXED | IPK_KIND_PUSH | IPK_KIND_LOG,
	.params = params,
	.ops = ipk_stream_ops,
	.stats = stat_names,
	.size = stream_size,
	.create = stream_create,
	.attach = stream_attach,
	.detach = stream_detach,
	.attachable = ipk_stream_attachable,
	.recover = ipk_stream_recover,
	.wake = ipk_stream_wake,
	.inspect = stream_inspect,
	.stats_visit = stream_stats,
	.items = stream_items,
	.item = stream_item,
	.holders = stream_holders,
	.check = stream_check,
	.repair = ipk_stream_repair,
	.bench = &bench,
};
