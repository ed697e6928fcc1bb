/* SPDX-License-Identifier: MIT */
/* Once for tools: the descriptor, the verbs, and reading without trust. */
#include "kinds/await.h"
#include "kinds/hooks.h"
#include "kinds/mutex.h"
#include "kinds/once.h"

static const struct ipk_arg params[] = {
	{.type = IPK_ARG_END},
};

static int once_size(const struct ipk_new *n, uint64_t *ret_size, struct ipk_error *err)
{
	if (strcmp(n->type->text, ipk_kind_once.type) != 0)
		return ipk_error_set(err, -EMEDIUMTYPE, "a once has no elements: leave out --type");
	*ret_size = sizeof(struct ipk_once_body);
	return 0;
}

static int once_create(struct ipk_tx *tx, void *body, uint64_t body_off, const struct ipk_new *n)
{
	(void)tx;
	(void)body;
	(void)body_off;
	(void)n;
	return 0; /* zeros: pending */
}

IPK_ATTACH_DETACH(once, ipk_once_open(seg, name, &handle, err))

/* ---- views ---------------------------------------------------------------------------------- */

static int read_word(const struct ipk_object_view *o, u64 *ret_word)
{
	if (o->body_size < sizeof(struct ipk_once_body))
		return -EBADMSG;
	return ipk_view_u64(o->view, o->body + offsetof(struct ipk_once_body, word), ret_word);
}

static int once_inspect(const struct ipk_object_view *o, uint64_t *ret_used, uint64_t *ret_cap)
{
	u64 word;
	int r = read_word(o, &word);

	if (r < 0)
		return r;
	*ret_used = (word & IPK_ONCE_DONE) != 0;
	*ret_cap = 1;
	return 0;
}

static const char *state_of(u64 word)
{
	if (word & IPK_ONCE_DONE)
		return "done";
	return ipk_once_owner(word) ? "running" : "pending";
}

static int once_value(const struct ipk_object_view *o, struct ipk_buf *text)
{
	u64 word;
	int r = read_word(o, &word);

	return r < 0 ? r : ipk_buf_printf(text, "%s\n", state_of(word));
}

static const char *const stat_names[] = {"done", "running", "interrupted", "begun", NULL};

static int once_stats(const struct ipk_object_view *o, struct ipk_visitor *v)
{
	u64 word;
	int r = read_word(o, &word);

	if (!r)
		r = v->boolean(v, stat_names[0], (word & IPK_ONCE_DONE) != 0);
	if (!r)
		r = v->boolean(v, stat_names[1], ipk_once_owner(word) != 0);
	if (!r)
		r = v->boolean(v, stat_names[2], (word & IPK_ONCE_DIED) != 0);
	if (!r)
		r = v->u64(v, stat_names[3], word / IPK_ONCE_SEQ_ONE);
	return r;
}

static int once_holders(const struct ipk_object_view *o, ipk_holder_fn *fn, void *arg)
{
	u64 word;
	int r = read_word(o, &word);

	if (r < 0 || !ipk_once_owner(word))
		return r;
	return fn(arg, (u32)ipk_once_owner(word) - 1, "runner", 1);
}

static int once_check(const struct ipk_object_view *o, struct ipk_checker *c)
{
	u64 word;
	int r = read_word(o, &word);

	if (r == -EBADMSG) {
		c->finding(c, "this is no once");
		return 0;
	}
	if (r < 0)
		return r;
	if (word & IPK_ONCE_DONE && word & (IPK_ONCE_OWNER | IPK_ONCE_DIED))
		c->finding(c, "it is done and is not");
	return ipk_mtx_check(o, o->body + offsetof(struct ipk_once_body, word), c);
}

static int once_repair(const struct ipk_object_view *o, struct ipk_repairer *r)
{
	struct ipk_once_body *b = o->body_size < sizeof(*b) ? NULL : r->at(r, o->body, sizeof(*b));
	int gone;

	if (!b)
		return -EBADMSG;
	if (b->word & IPK_ONCE_DONE && b->word & (IPK_ONCE_OWNER | IPK_ONCE_DIED)) {
		/* To do it twice is the lesser evil: who does it is told. */
		b->word = (b->word & IPK_ONCE_SEQ) | IPK_ONCE_DIED;
		r->did(r, "it is to be done again, since nobody can tell whether it was");
		return 0;
	}
	gone = ipk_no_user(o, ipk_once_owner(b->word));
	if (gone <= 0)
		return gone;
	b->word = (b->word & ~IPK_ONCE_OWNER) | IPK_ONCE_DIED;
	r->did(r, "nobody is at it any more");
	return 0;
}

/* ---- verbs ---------------------------------------------------------------------------------- */

static int run_lock(struct ipk_call *call)
{
	int r = ipk_once_hold(call->handle, ipk_call_deadline(call), &call->hold_fd);

	call->idle = r == 0;
	call->done = r > 0;
	if (r == -EAGAIN)
		return ipk_error_set(&call->err, r, "somebody is at it");
	return r < 0 ? r : 0;
}

/* Whoever is killed before it leaves it to the next. */
static int lock_ended(struct ipk_call *call, int status)
{
	int r = ipk_once_let_go(call->handle, status == 0);

	return r < 0 ? ipk_error_set(&call->err, r, "it is held no longer") : 0;
}

static int run_wait(struct ipk_call *call)
{
	int r = ipk_once_wait(call->handle, ipk_call_deadline(call));

	return r == -EAGAIN ? ipk_error_set(&call->err, r, "it is not done yet") : r;
}

static int run_reset(struct ipk_call *call)
{
	int r = ipk_once_reset(call->handle);

	call->done = !r;
	return r == -EBUSY ? ipk_error_set(&call->err, r, "somebody is at it") : r;
}

const struct ipk_op ipk_once_ops[] = {
	{.name = "lock",
	 .summary =
		 "run a command unless that has been done; who comes meanwhile waits for its end",
	 .example = "ipcctl lock S/x -- echo first; ipcctl lock S/x -- echo never",
	 .flags = IPK_OP_WRITE | IPK_OP_BLOCK | IPK_OP_CMD,
	 .run = run_lock,
	 .ended = lock_ended},
	{.name = "wait",
	 .summary = "wait until it is done",
	 .example = "ipcctl lock S/x -- true; ipcctl wait S/x",
	 .flags = IPK_OP_BLOCK,
	 .run = run_wait},
	{.name = "reset",
	 .summary = "make it pending again, to be done once more",
	 .example = "ipcctl reset S/x",
	 .flags = IPK_OP_WRITE,
	 .run = run_reset},
	{.name = NULL},
};

static int bench_rounds(void *handle, uint64_t n)
{
	int r = 0;

	while (n-- && !r) {
		r = ipk_once_begin(handle, IPK_NOWAIT);
		if (r >= 0)
			r = ipk_once_done(handle);
		if (!r)
			r = ipk_once_reset(handle);
	}
	return r;
}

static const struct ipk_bench bench = {.round = "begin + done + reset", .rounds = bench_rounds};

static const struct ipk_next next[] = {
	{"done", "true", "reset REF"},
	{"running", "true", "wait REF"},
	{NULL, NULL, "lock REF -- CMD"},
};

const struct ipk_kind ipk_kind_once = {
	.id = 9,
	.version = 1,
	.name = "once",
	.summary = "something that one process does while the others wait for it",
	.text = "A once is pending, running or done. The first who asks does it (lock REF"
		" -- CMD runs CMD), the others wait for its end and do nothing. It is "
		"done when CMD ends with status 0; after any other the next who asks does"
		" it again, and so where who was at it died: stat then says interrupted "
		"until it is done. A CMD whose ipcctl was killed is waited for, and run "
		"once more since nobody knows how it ended. When it is done, lock "
		"succeeds without running anything; reset makes it pending again.",
	.type = "str:16",
	.flags = IPK_KIND_VALUE,
	.params = params,
	.ops = ipk_once_ops,
	.stats = stat_names,
	.next = next,
	.size = once_size,
	.create = once_create,
	.attach = once_attach,
	.detach = once_detach,
	.attachable = ipk_once_attachable,
	.recover = ipk_once_recover,
	.wake = ipk_once_wake,
	.inspect = once_inspect,
	.stats_visit = once_stats,
	.value = once_value,
	.holders = once_holders,
	.check = once_check,
	.repair = once_repair,
	.bench = &bench,
};
