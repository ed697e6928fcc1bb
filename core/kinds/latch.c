/* SPDX-License-Identifier: MIT */
/* Latches: functions, descriptor and verbs. See latch.h for the word. */
#include <stdio.h>

#include "kinds/await.h"
#include "kinds/hooks.h"
#include "kinds/latch.h"
#include "segment/view.h"

static bool count_ok(u64 count)
{
	return count >= 1 && count <= IPK_LATCH_LEFT;
}

static struct ipk_latch_body *body_of(struct ipk_obj *obj)
{
	struct ipk_latch_body *body = ipk_body(obj, sizeof(*body), NULL);

	return body && count_ok(ipk_ld(&body->count, relaxed)) ? body : NULL;
}

int ipk_latch_open(struct ipk_segment *seg, const char *name, struct ipk_latch **ret_latch,
		   struct ipk_error *err)
{
	struct ipk_latch *l;
	void *handle;
	int r;

	r = ipk_obj_open(seg, name, ipk_kind_latch.id, ipk_kind_latch.version,
			 sizeof(struct ipk_latch_body), sizeof(*l), &handle, err);
	if (r < 0)
		return r;
	l = handle;
	l->body = body_of(&l->obj);
	if (!l->body) {
		ipk_latch_close(l);
		return ipk_error_set(err, -EBADMSG, "latch \"%s\" is damaged", name);
	}
	l->count = ipk_ld(&l->body->count, relaxed);
	*ret_latch = l;
	return 0;
}

void ipk_latch_close(struct ipk_latch *latch)
{
	if (latch)
		ipk_obj_close(&latch->obj);
}

int ipk_latch_create(struct ipk_segment *seg, const char *name, uint64_t count,
		     struct ipk_error *err)
{
	char text[24];
	const struct ipk_param param = { "cap", text };

	snprintf(text, sizeof(text), "%llu", (unsigned long long)count);
	return ipk_object_new(seg, name, "latch", &param, 1, err);
}

uint64_t ipk_latch_value(struct ipk_latch *latch)
{
	/* Acquire: pairs with the count-downs, what was done before them is seen. */
	return ipk_ld(&latch->body->word, acquire) & IPK_LATCH_LEFT;
}

int ipk_latch_count_down(struct ipk_latch *latch, uint64_t n)
{
	u64 v;
	int r;

	if (!ipk_use(&latch->obj, &r))
		return r;
	v = ipk_ld(&latch->body->word, relaxed);
	do {
		if (n > (v & IPK_LATCH_LEFT))
			return -EOVERFLOW;
		/*
		 * seq_cst: pairs with the fence in ipk_event_arm(); release for who is let through.
		 */
	} while (!ipk_cas(&latch->body->word, &v, v - n, seq_cst));
	if (((v - n) & IPK_LATCH_LEFT) == 0 && !IPK_BUG(latch_opens_silently))
		ipk_event_notify_fenced(&latch->body->ev, INT32_MAX);
	return 0;
}

int ipk_latch_reset(struct ipk_latch *latch)
{
	u64 v, next;
	int r;

	if (!ipk_use(&latch->obj, &r))
		return r;
	v = ipk_ld(&latch->body->word, relaxed);
	do {
		next = ((v & ~(IPK_LATCH_RESET_ONE - 1)) + IPK_LATCH_RESET_ONE) | latch->count;
		if ((v & IPK_LATCH_LEFT) == 0)
			next |= IPK_LATCH_OPENED;
	} while (!ipk_cas(&latch->body->word, &v, next, seq_cst));
	/* Who was woken by the opening and slept on, looking too late, looks once more. */
	ipk_event_notify_fenced(&latch->body->ev, INT32_MAX);
	return 0;
}

struct watch {
	struct ipk_latch *latch;
	u64 run; /* word / IPK_LATCH_RESET_ONE when last looked at */
};

static int try_pass(void *arg)
{
	struct watch *w = arg;
	u64 v = ipk_ld(&w->latch->body->word, acquire); /* pairs with the count-downs */
	u64 run = v / IPK_LATCH_RESET_ONE;
	bool opened = (v & IPK_LATCH_LEFT) == 0 || (run != w->run && v & IPK_LATCH_OPENED);

	w->run = run;
	return opened ? 0 : -EAGAIN;
}

int ipk_latch_wait(struct ipk_latch *latch, int64_t deadline)
{
	struct watch w = { .latch = latch };
	struct ipk_self *me;
	int r;

	w.run = ipk_ld(&latch->body->word, acquire) / IPK_LATCH_RESET_ONE;
	if (try_pass(&w) == 0)
		return 0;
	if (!latch->obj.seg->writable)
		return ipk_await_poll(&latch->obj, try_pass, &w, deadline);
	me = ipk_use(&latch->obj, &r);
	return me ? ipk_await(&latch->obj, me, &latch->body->ev, try_pass, &w, deadline) : r;
}

/* ---- what the segment asks ------------------------------------------------------------------- */

static bool latch_attachable(struct ipk_obj *obj)
{
	return body_of(obj) != NULL;
}

static void latch_wake(struct ipk_obj *obj)
{
	struct ipk_latch_body *body = body_of(obj);

	if (body)
		ipk_event_notify(&body->ev, INT32_MAX);
}

/* ---- descriptor ------------------------------------------------------------------------------ */

static const struct ipk_arg params[] = {
	{ .name = "cap",
	  .type = IPK_ARG_U64,
	  .min = 1,
	  .max = IPK_LATCH_LEFT,
	  .value = "1",
	  .help = "count-downs that open it" },
	{ .type = IPK_ARG_END },
};

static int latch_size(const struct ipk_new *n, uint64_t *ret_size, struct ipk_error *err)
{
	if (strcmp(n->type->text, "u64") != 0)
		return ipk_error_set(err, -EMEDIUMTYPE, "a latch has no elements: leave out --type");
	*ret_size = sizeof(struct ipk_latch_body);
	return 0;
}

static int latch_create(struct ipk_tx *tx, void *body, uint64_t body_off, const struct ipk_new *n)
{
	struct ipk_latch_body *b = body;

	(void)tx;
	(void)body_off;
	b->count = b->word = n->param[0].u64;
	return 0;
}

IPK_ATTACH_DETACH(latch, ipk_latch_open(seg, name, &handle, err))

static int read_body(const struct ipk_object_view *o, struct ipk_latch_body *ret)
{
	int r;

	r = ipk_view_body(o, ret, sizeof(*ret));
	if (r < 0)
		return r;
	return count_ok(ret->count) && (ret->word & IPK_LATCH_LEFT) <= ret->count ? 0 : -EBADMSG;
}

static int latch_inspect(const struct ipk_object_view *o, uint64_t *ret_used, uint64_t *ret_cap)
{
	struct ipk_latch_body b;
	int r = read_body(o, &b);

	if (r < 0)
		return r;
	*ret_used = b.count - (b.word & IPK_LATCH_LEFT);
	*ret_cap = b.count;
	return 0;
}

static int latch_value(const struct ipk_object_view *o, struct ipk_buf *text)
{
	struct ipk_latch_body b;
	int r = read_body(o, &b);

	return r < 0 ? r : ipk_buf_printf(text, "%llu\n", (unsigned long long)(b.word & IPK_LATCH_LEFT));
}

static const char *const stat_names[] = { "left", "open", "resets", NULL };

static int latch_stats(const struct ipk_object_view *o, struct ipk_visitor *v)
{
	struct ipk_latch_body b;
	int r = read_body(o, &b);

	if (!r)
		r = v->u64(v, stat_names[0], b.word & IPK_LATCH_LEFT);
	if (!r)
		r = v->boolean(v, stat_names[1], (b.word & IPK_LATCH_LEFT) == 0);
	if (!r)
		r = v->u64(v, stat_names[2], b.word / IPK_LATCH_RESET_ONE);
	return r;
}

static int latch_check(const struct ipk_object_view *o, struct ipk_checker *c)
{
	struct ipk_latch_body b;
	int r = read_body(o, &b);

	if (r != -EBADMSG)
		return r;
	c->finding(c, "what is left to count down is more than the latch's count");
	return 0;
}

static int latch_repair(const struct ipk_object_view *o, struct ipk_repairer *r)
{
	struct ipk_latch_body *b = r->at(r, o->body, sizeof(*b)), found;
	int error = read_body(o, &found);

	if (error != -EBADMSG || !b || o->body_size < sizeof(*b))
		return error;
	if (!count_ok(b->count) && !count_ok(o->opts[0]))
		return -EBADMSG;
	if (!count_ok(b->count))
		b->count = o->opts[0];
	/*
	 * How much has been counted down nobody knows: it begins anew, which opens it too late at
	 * worst.
	 */
	if ((b->word & IPK_LATCH_LEFT) > b->count)
		b->word = (b->word & ~IPK_LATCH_LEFT) | b->count;
	r->did(r, "%llu of %llu are left to count down",
	       (unsigned long long)(b->word & IPK_LATCH_LEFT), (unsigned long long)b->count);
	return 0;
}

/* ---- verbs ----------------------------------------------------------------------------------- */

static int run_countdown(struct ipk_call *call)
{
	int r = ipk_latch_count_down(call->handle, call->arg[0].u64);

	call->done = r ? 0 : call->arg[0].u64;
	if (r == -EOVERFLOW)
		return ipk_error_set(&call->err, r, "%llu is left to count down",
				     (unsigned long long)ipk_latch_value(call->handle));
	return r;
}

static int run_await(struct ipk_call *call)
{
	int r = ipk_latch_wait(call->handle, ipk_call_deadline(call));

	return r == -EAGAIN ? ipk_error_set(&call->err, r, "it is not open yet") : r;
}

static int run_get(struct ipk_call *call)
{
	u64 left = ipk_latch_value(call->handle);
	struct ipk_item item = { .data = &left, .len = sizeof(left) };
	int r = call->emit(call, &item);

	return r < 0 ? r : call->flush(call);
}

static int run_reset(struct ipk_call *call)
{
	return ipk_latch_reset(call->handle);
}

static const struct ipk_arg countdown_args[] = {
	{ .name = "n",
	  .type = IPK_ARG_U64,
	  .min = 1,
	  .max = IPK_LATCH_LEFT,
	  .value = "1",
	  .help = "how many at once",
	  .positional = true },
	{ .type = IPK_ARG_END },
};

static const struct ipk_op ops[] = {
	{ .name = "countdown",
	  .summary = "count the latch down; at 0 it opens",
	  .example = "ipcctl countdown S/x",
	  .flags = IPK_OP_WRITE,
	  .args = countdown_args,
	  .run = run_countdown },
	{ .name = "await",
	  .summary = "wait until the latch is open",
	  .example = "ipcctl countdown S/x; ipcctl await S/x",
	  .flags = IPK_OP_BLOCK,
	  .run = run_await },
	{ .name = "wait",
	  .summary = "wait until the latch is open",
	  .example = "ipcctl countdown S/x; ipcctl wait S/x",
	  .flags = IPK_OP_BLOCK,
	  .run = run_await },
	{ .name = "get",
	  .summary = "print how much is left to count down",
	  .example = "ipcctl get S/x",
	  .flags = IPK_OP_OUT,
	  .run = run_get },
	{ .name = "reset",
	  .summary = "begin anew with the full count",
	  .example = "ipcctl reset S/x",
	  .flags = IPK_OP_WRITE,
	  .run = run_reset },
	{ .name = NULL },
};

static int bench_rounds(void *handle, uint64_t n)
{
	int r = 0;

	while (n-- && !r) {
		r = ipk_latch_count_down(handle, 1);
		if (!r)
			r = ipk_latch_reset(handle);
	}
	return r;
}

static const struct ipk_bench bench = {.round = "count down + reset", .rounds = bench_rounds};

static const struct ipk_next next[] = {
	{"open", "true", "reset REF"},
	{NULL, NULL, "countdown REF"},
};

const struct ipk_kind ipk_kind_latch = {
	.id = 6,
	.version = 1,
	.name = "latch",
	.summary = "opens for all when it has been counted down",
	.text = "A latch begins with --cap and is counted down; at 0 it lets all through who wait, and stays "
		"open until it is reset. A count-down of a process that dies afterwards counts: it says "
		"that something is done. Counting down more than is left is an error and changes nothing.",
	.type = "u64",
	.flags = IPK_KIND_VALUE,
	.params = params,
	.ops = ops,
	.stats = stat_names,
	.next = next,
	.size = latch_size,
	.create = latch_create,
	.attach = latch_attach,
	.detach = latch_detach,
	.attachable = latch_attachable,
	.wake = latch_wake,
	.inspect = latch_inspect,
	.stats_visit = latch_stats,
	.value = latch_value,
	.check = latch_check,
	.repair = latch_repair,
	.bench = &bench,
};
