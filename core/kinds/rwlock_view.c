/* SPDX-License-Identifier: MIT */
/* Reader-writer locks for tools: the descriptor, the verbs, and reading without trust. */
#include "kinds/await.h"
#include "kinds/hooks.h"
#include "kinds/rwlock.h"
#include "segment/view.h"

static const struct ipk_arg params[] = {
	{.name = "cap",
	 .type = IPK_ARG_U64,
	 .min = 1,
	 .max = IPK_RW_CAP_MAX,
	 .value = "64",
	 .help = "readers at once; more wait"},
	{.type = IPK_ARG_END},
};

static int rwlock_size(const struct ipk_new *n, uint64_t *ret_size, struct ipk_error *err)
{
	if (strcmp(n->type->text, ipk_kind_rwlock.type) != 0)
		return ipk_error_set(err, -EMEDIUMTYPE,
				     "a rwlock has no elements: leave out --type");
	*ret_size = ipk_rw_bytes(n->param[0].u64);
	return *ret_size ? 0 : -EINVAL;
}

static int rwlock_create(struct ipk_tx *tx, void *body, uint64_t body_off, const struct ipk_new *n)
{
	(void)tx;
	(void)body_off;
	((struct ipk_rwlock_body *)body)->cap = n->param[0].u64;
	return 0;
}

IPK_ATTACH_DETACH(rwlock, ipk_rwlock_open(seg, name, &handle, err))

/* ---- views ---------------------------------------------------------------------------------- */

struct found {
	u64 word;
	u64 high;
	bool written; /* a writer is in */
	struct ipk_cells_at at;
	struct ipk_cells_count c;
};

static int measure(const struct ipk_object_view *o, struct found *ret)
{
	struct ipk_rwlock_body body;
	u64 bytes;
	int r;

	r = ipk_view_body(o, &body, sizeof(body));
	if (r < 0)
		return r;
	bytes = ipk_rw_bytes(body.cap);
	if (!bytes || bytes > o->body_size || body.high > body.cap)
		return -EBADMSG;
	ret->word = body.word;
	ret->high = body.high;
	ret->written = ipk_mutex_owner(body.word) && !(body.word & IPK_MTX_SHARED);
	ret->at = (struct ipk_cells_at){o->body + sizeof(body), body.cap, 1u << IPK_RW_SHIFT};
	return 0;
}

static int count(const struct ipk_object_view *o, struct found *ret)
{
	int r = measure(o, ret);

	return r < 0 ? r : ipk_cells_count(o, &ret->at, &ret->c);
}

static u64 readers(const struct found *f)
{
	return f->at.cap - f->c.free;
}

static int rwlock_inspect(const struct ipk_object_view *o, uint64_t *ret_used, uint64_t *ret_cap)
{
	struct found f;
	int r = count(o, &f);

	if (r < 0)
		return r;
	/* Who looks whether he may read has a place meanwhile, beside a writer too. */
	*ret_used = f.written ? 1 : readers(&f);
	*ret_cap = f.at.cap;
	return 0;
}

static const char *state_of(const struct found *f)
{
	if (f->word & IPK_MTX_LOST)
		return "lost";
	if (f->word & IPK_MTX_DIED)
		return "suspect";
	if (f->written)
		return "exclusive";
	return readers(f) ? "shared" : "free";
}

static int rwlock_value(const struct ipk_object_view *o, struct ipk_buf *text)
{
	struct found f;
	int r = count(o, &f);

	return r < 0 ? r : ipk_buf_printf(text, "%s\n", state_of(&f));
}

static const char *const stat_names[] = {"readers", "writer", "suspect", "read", "written", NULL};

static int rwlock_stats(const struct ipk_object_view *o, struct ipk_visitor *v)
{
	struct found f;
	int r = count(o, &f);

	if (!r)
		r = v->u64(v, stat_names[0], readers(&f));
	if (!r)
		r = v->boolean(v, stat_names[1], f.written);
	if (!r)
		r = v->boolean(v, stat_names[2], (f.word & (IPK_MTX_DIED | IPK_MTX_LOST)) != 0);
	if (!r)
		r = v->u64(v, stat_names[3], f.c.taken);
	if (!r)
		r = v->u64(v, stat_names[4], f.word / IPK_MTX_SEQ_ONE);
	return r;
}

static int rwlock_holders(const struct ipk_object_view *o, ipk_holder_fn *fn, void *arg)
{
	struct found f;
	int r = measure(o, &f);

	if (!r && ipk_mutex_owner(f.word))
		r = fn(arg, (u32)ipk_mutex_owner(f.word) - 1, f.written ? "writer" : "claimant", 1);
	return r ? r : ipk_cells_holders(o, &f.at, "reader", fn, arg);
}

static int last_taken(void *arg, u64 i, u64 cell)
{
	u64 *ret = arg;

	if (!ipk_cell_is_free(cell))
		*ret = i + 1;
	return 0;
}

/* high rises before a place is taken, so it is looked at afterwards. */
static int check_high(const struct ipk_object_view *o, struct ipk_checker *c)
{
	struct found f;
	u64 last = 0;
	int r = measure(o, &f);

	if (!r)
		r = ipk_cells_each(o, &f.at, last_taken, &last);
	if (!r)
		r = measure(o, &f);
	if (!r && last > f.high)
		c->finding(c, "place %llu is taken, and writers look only at those below %llu",
			   (unsigned long long)last - 1, (unsigned long long)f.high);
	return r;
}

static int rwlock_check(const struct ipk_object_view *o, struct ipk_checker *c)
{
	struct found f;
	int r = measure(o, &f);

	if (r == -EBADMSG) {
		c->finding(c, "number of places and size of the lock do not fit together");
		return 0;
	}
	if (!r)
		r = ipk_mtx_check(o, o->body + offsetof(struct ipk_rwlock_body, word), c);
	if (!r)
		r = ipk_cells_check(o, &f.at, "place", c);
	return r < 0 ? r : check_high(o, c);
}

static int rwlock_repair(const struct ipk_object_view *o, struct ipk_repairer *r)
{
	struct ipk_rwlock_body *b =
		o->body_size < sizeof(*b) ? NULL : r->at(r, o->body, sizeof(*b));
	struct ipk_cells_at at = {o->body + sizeof(*b), 0, 1u << IPK_RW_SHIFT};
	u64 bytes = b ? ipk_rw_bytes(b->cap) : 0, last = 0;
	int error;

	if (b && (!bytes || bytes > o->body_size)) {
		bytes = ipk_rw_bytes(o->opts[0]);
		if (!bytes || bytes > o->body_size)
			return -EBADMSG;
		b->cap = o->opts[0];
		r->did(r, "it has %llu places, as when it was made", (unsigned long long)b->cap);
	}
	if (!b)
		return -EBADMSG;
	at.cap = b->cap;
	error = ipk_mtx_repair(o, o->body + offsetof(struct ipk_rwlock_body, word), r);
	if (!error)
		error = ipk_cells_repair(o, &at, "places", r);
	if (!error)
		error = ipk_cells_each(o, &at, last_taken, &last);
	/* No finding: who has a place may not yet have looked. */
	if (!error && last && !(b->word & ~IPK_MTX_SEQ))
		b->word |= IPK_MTX_SHARED;
	if (!error && (b->high > b->cap || b->high < last)) {
		b->high = (u32)b->cap;
		r->did(r, "a writer looks at all places");
	}
	return error;
}

/* ---- verbs ---------------------------------------------------------------------------------- */

static int run_lock(struct ipk_call *call)
{
	int r = ipk_rwlock_hold(call->handle, call->arg[0].set, ipk_call_deadline(call),
				&call->hold_fd);

	call->done = !r;
	return ipk_mtx_explain(call, r);
}

static int run_reset(struct ipk_call *call)
{
	int r = ipk_rwlock_reset(call->handle);

	call->done = !r;
	return ipk_mtx_explain(call, r);
}

static const struct ipk_arg lock_args[] = {
	{.name = "shared", .type = IPK_ARG_FLAG, .help = "to read, beside other readers"},
	{.type = IPK_ARG_END},
};

const struct ipk_op ipk_rwlock_ops[] = {
	{.name = "lock",
	 .summary = "hold the lock, to write or to read, while a command and what it starts run",
	 .example = "ipcctl lock S/x --shared -- echo reading",
	 .flags = IPK_OP_WRITE | IPK_OP_BLOCK | IPK_OP_CMD,
	 .args = lock_args,
	 .run = run_lock},
	{.name = "reset",
	 .summary = "declare what a dead writer left to be in order",
	 .example = "ipcctl reset S/x",
	 .flags = IPK_OP_WRITE,
	 .run = run_reset},
	{.name = NULL},
};

static int bench_rounds(void *handle, uint64_t n)
{
	int r = 0;

	while (n-- && !r) {
		r = ipk_rwlock_lock_shared(handle, IPK_NOWAIT);
		if (!r)
			r = ipk_rwlock_unlock(handle);
	}
	return r;
}
static const struct ipk_bench bench = {.round = "lock_shared + unlock", .rounds = bench_rounds};

static const struct ipk_next next[] = {
	{"writer", "true", "who REF"},
	{"suspect", "true", "reset REF"},
	{NULL, NULL, "lock REF --shared -- CMD"},
};

const struct ipk_kind ipk_kind_rwlock = {
	.id = 8,
	.version = 2,
	.name = "rwlock",
	.summary =
		"many readers or one writer at a time, known by name, and a writer's death is told",
	.text = "A rwlock is held by up to --cap readers (lock REF --shared -- CMD) or by"
		" one writer (lock REF -- CMD), which are threads, or commands and all "
		"that inherited from them. A writer who waits turns new readers away, so "
		"that readers do not keep writers out. The places of dead readers are "
		"free again at once. When a writer's thread dies, the next writer gets "
		"the lock together with the news, and says when what it protects is in "
		"order again; until then it is suspect and nobody reads. A command's lock"
		" ends with the command, whichever way that ends, as with flock(1).",
	.type = "str:16",
	.flags = IPK_KIND_VALUE,
	.params = params,
	.ops = ipk_rwlock_ops,
	.stats = stat_names,
	.next = next,
	.size = rwlock_size,
	.create = rwlock_create,
	.attach = rwlock_attach,
	.detach = rwlock_detach,
	.attachable = ipk_rwlock_attachable,
	.recover = ipk_rwlock_recover,
	.wake = ipk_rwlock_wake,
	.inspect = rwlock_inspect,
	.stats_visit = rwlock_stats,
	.value = rwlock_value,
	.holders = rwlock_holders,
	.check = rwlock_check,
	.repair = rwlock_repair,
	.bench = &bench,
};
