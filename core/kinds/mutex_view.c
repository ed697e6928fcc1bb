/* SPDX-License-Identifier: MIT */
/* Mutexes for tools: the descriptor, the verbs, and reading without trust. */
#include <stdlib.h>

#include "kinds/await.h"
#include "kinds/hooks.h"
#include "kinds/mutex.h"
#include "segment/view.h"

static const struct ipk_arg params[] = {
	{.name = "recursive", .type = IPK_ARG_FLAG, .help = "its holder may lock it again"},
	{.type = IPK_ARG_END},
};

static int mutex_size(const struct ipk_new *n, uint64_t *ret_size, struct ipk_error *err)
{
	if (strcmp(n->type->text, "str:16") != 0)
		return ipk_error_set(err, -EMEDIUMTYPE,
				     "a mutex has no elements: leave out --type");
	*ret_size = sizeof(struct ipk_mutex_body);
	return 0;
}

static int mutex_create(struct ipk_tx *tx, void *body, uint64_t body_off, const struct ipk_new *n)
{
	(void)tx;
	(void)body_off;
	((struct ipk_mutex_body *)body)->recursive = n->param[0].set;
	return 0;
}

IPK_ATTACH_DETACH(mutex, ipk_mutex_open(seg, name, &handle, err))

/* ---- views ---------------------------------------------------------------------------------- */

static int read_word(const struct ipk_object_view *o, u64 *ret_word)
{
	struct ipk_mutex_body body;
	int r;

	r = ipk_view_body(o, &body, sizeof(body));
	if (r < 0)
		return r;
	if (body.recursive > 1)
		return -EBADMSG;
	*ret_word = body.word;
	return 0;
}

static int mutex_inspect(const struct ipk_object_view *o, uint64_t *ret_used, uint64_t *ret_cap)
{
	u64 word;
	int r = read_word(o, &word);

	if (r < 0)
		return r;
	*ret_used = ipk_mutex_owner(word) != 0;
	*ret_cap = 1;
	return 0;
}

static const char *state_of(u64 word)
{
	if (word & IPK_MTX_LOST)
		return "lost";
	if (word & IPK_MTX_DIED)
		return "suspect";
	return ipk_mutex_owner(word) ? "held" : "free";
}

static int mutex_value(const struct ipk_object_view *o, struct ipk_buf *text)
{
	u64 word;
	int r = read_word(o, &word);

	return r < 0 ? r : ipk_buf_printf(text, "%s\n", state_of(word));
}

static const char *const stat_names[] = {"held", "suspect", "acquired", NULL};

static int mutex_stats(const struct ipk_object_view *o, struct ipk_visitor *v)
{
	u64 word;
	int r = read_word(o, &word);

	if (!r)
		r = v->boolean(v, stat_names[0], ipk_mutex_owner(word) != 0);
	if (!r)
		r = v->boolean(v, stat_names[1], (word & (IPK_MTX_DIED | IPK_MTX_LOST)) != 0);
	if (!r)
		r = v->u64(v, stat_names[2], word / IPK_MTX_SEQ_ONE);
	return r;
}

static int mutex_holders(const struct ipk_object_view *o, ipk_holder_fn *fn, void *arg)
{
	u64 word;
	int r = read_word(o, &word);

	if (r < 0 || !ipk_mutex_owner(word))
		return r;
	return fn(arg, (u32)ipk_mutex_owner(word) - 1, word & IPK_MTX_FD ? "holder" : "owner", 1);
}

int ipk_mtx_check(const struct ipk_object_view *o, u64 off, struct ipk_checker *c)
{
	u64 word = 0;
	int r = ipk_view_u64(o->view, off, &word);

	return r < 0 ? r : ipk_check_user(o, off, word, ipk_mutex_owner(word), "held by", c);
}

static int mutex_check(const struct ipk_object_view *o, struct ipk_checker *c)
{
	u64 word;
	int r = read_word(o, &word);

	if (r == -EBADMSG) {
		c->finding(c, "this is no mutex");
		return 0;
	}
	return r < 0 ? r : ipk_mtx_check(o, o->body + offsetof(struct ipk_mutex_body, word), c);
}

/* Whoever held it has died: what it protects is suspect. */
int ipk_mtx_repair(const struct ipk_object_view *o, u64 off, struct ipk_repairer *r)
{
	u64 *word = r->at(r, off, sizeof(*word));
	int gone = word ? ipk_no_user(o, ipk_mutex_owner(*word)) : -EBADMSG;

	if (gone <= 0)
		return gone;
	*word = ipk_mtx_without_owner(*word);
	r->did(r, "nobody holds it any more");
	return 0;
}

static int mutex_repair(const struct ipk_object_view *o, struct ipk_repairer *r)
{
	struct ipk_mutex_body *b = r->at(r, o->body, sizeof(*b));

	if (!b || o->body_size < sizeof(*b))
		return -EBADMSG;
	if (b->recursive > 1) {
		b->recursive = o->opts[0] == 1;
		r->did(r, "it is %s", b->recursive ? "recursive" : "not recursive");
	}
	return ipk_mtx_repair(o, o->body + offsetof(struct ipk_mutex_body, word), r);
}

/* ---- verbs ---------------------------------------------------------------------------------- */

int ipk_mtx_explain(struct ipk_call *call, int r)
{
	switch (r) {
	case -EAGAIN:
		return ipk_error_set(&call->err, r, "it is held");
	case -EOWNERDEAD:
		return ipk_error_set(
			&call->err, r,
			"its last owner died with it; when what it protects is in order, "
			"say: ipcctl reset");
	case -ENOTRECOVERABLE:
		return ipk_error_set(
			&call->err, -EOWNERDEAD,
			"an owner died with it and the next one gave it up; when what it "
			"protects is in order, say: ipcctl reset");
	case -EBUSY:
		return ipk_error_set(&call->err, r, "somebody holds it");
	default:
		return r;
	}
}

static int run_lock(struct ipk_call *call)
{
	int r = ipk_mutex_hold(call->handle, ipk_call_deadline(call), &call->hold_fd);

	call->done = !r;
	return ipk_mtx_explain(call, r);
}

static int run_reset(struct ipk_call *call)
{
	int r = ipk_mutex_reset(call->handle);

	call->done = !r;
	return ipk_mtx_explain(call, r);
}

const struct ipk_op ipk_mutex_ops[] = {
	{.name = "lock",
	 .summary = "hold the mutex while a command and what it starts run",
	 .example = "ipcctl lock S/x -- echo mine",
	 .flags = IPK_OP_WRITE | IPK_OP_BLOCK | IPK_OP_CMD,
	 .run = run_lock},
	{.name = "reset",
	 .summary = "declare what a dead owner left to be in order",
	 .example = "ipcctl reset S/x",
	 .flags = IPK_OP_WRITE,
	 .run = run_reset},
	{.name = NULL},
};

static int bench_rounds(void *handle, uint64_t n)
{
	int r = 0;

	while (n-- && !r) {
		r = ipk_mutex_lock(handle, IPK_NOWAIT);
		if (!r)
			r = ipk_mutex_unlock(handle);
	}
	return r;
}

static const struct ipk_bench bench = {.round = "lock + unlock", .rounds = bench_rounds};

static const struct ipk_next next[] = {
	{"held", "true", "who REF"},
	{"suspect", "true", "reset REF"},
	{NULL, NULL, "lock REF -- CMD"},
};

const struct ipk_kind ipk_kind_mutex = {
	.id = 5,
	.version = 1,
	.name = "mutex",
	.summary = "one holder at a time, known by name, and its death is told",
	.text = "A mutex is held by one thread, or by a command and all that inherited "
		"from it (lock REF -- CMD). When a thread dies with it, the next locker "
		"gets it together with the news, and says when what it protects is in "
		"order again; until then it is suspect. A command's lock ends with the "
		"command, whichever way that ends, as with flock(1).",
	.type = "str:16",
	.flags = IPK_KIND_VALUE,
	.params = params,
	.ops = ipk_mutex_ops,
	.stats = stat_names,
	.next = next,
	.size = mutex_size,
	.create = mutex_create,
	.attach = mutex_attach,
	.detach = mutex_detach,
	.attachable = ipk_mutex_attachable,
	.recover = ipk_mutex_recover,
	.wake = ipk_mutex_wake,
	.inspect = mutex_inspect,
	.stats_visit = mutex_stats,
	.value = mutex_value,
	.holders = mutex_holders,
	.check = mutex_check,
	.repair = mutex_repair,
	.bench = &bench,
};
