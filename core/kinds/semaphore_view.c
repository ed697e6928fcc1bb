/* SPDX-License-Identifier: MIT */
/* Semaphores for tools: the descriptor, the verbs, and reading without trust. */
#include "kinds/await.h"
#include "kinds/hooks.h"
#include "kinds/semaphore.h"
#include "segment/view.h"

static const struct ipk_arg params[] = {
	{.name = "cap",
	 .type = IPK_ARG_U64,
	 .min = 1,
	 .max = IPK_SEM_CAP_MAX,
	 .value = "1",
	 .help = "number of permits"},
	{.name = "value",
	 .type = IPK_ARG_U64,
	 .max = IPK_SEM_CAP_MAX,
	 .help = "permits that are free at first; all by default"},
	{.type = IPK_ARG_END},
};

static int semaphore_size(const struct ipk_new *n, uint64_t *ret_size, struct ipk_error *err)
{
	const struct ipk_argval *cap = &n->param[0], *value = &n->param[1];

	if (strcmp(n->type->text, "u64") != 0)
		return ipk_error_set(err, -EMEDIUMTYPE,
				     "a semaphore has no elements: leave out --type");
	if (value->set && value->u64 > cap->u64)
		return ipk_error_set(err, -EINVAL,
				     "--value %llu is more than the %llu permits of --cap",
				     (unsigned long long)value->u64, (unsigned long long)cap->u64);
	*ret_size = ipk_sem_bytes(cap->u64);
	return *ret_size ? 0 : -EINVAL;
}

static int semaphore_create(struct ipk_tx *tx, void *body, uint64_t body_off,
			    const struct ipk_new *n)
{
	struct ipk_semaphore_body *b = body;
	struct ipk_cells cells = {(u8 *)(b + 1), n->param[0].u64, ipk_sem_shift(n->param[0].u64)};

	(void)tx;
	(void)body_off;
	b->cap = cells.cap;
	b->stride = ipk_sem_stride(b->cap);
	for (u64 i = n->param[1].set ? n->param[1].u64 : b->cap; i < b->cap; i++)
		*ipk_cell(&cells, i) = IPK_CELL_NOBODY;
	return 0;
}

IPK_ATTACH_DETACH(semaphore, ipk_semaphore_open(seg, name, &handle, err))

/* ---- views ---------------------------------------------------------------------------------- */

static int measure(const struct ipk_object_view *o, struct ipk_cells_at *ret)
{
	struct ipk_semaphore_body body;
	u64 bytes;
	int r;

	r = ipk_view_body(o, &body, sizeof(body));
	if (r < 0)
		return r;
	bytes = ipk_sem_bytes(body.cap);
	if (!bytes || bytes > o->body_size || body.stride != ipk_sem_stride(body.cap))
		return -EBADMSG;
	*ret = (struct ipk_cells_at){o->body + sizeof(body), body.cap, body.stride};
	return 0;
}

static int count(const struct ipk_object_view *o, struct ipk_cells_at *ret_at,
		 struct ipk_cells_count *ret)
{
	int r = measure(o, ret_at);

	*ret = (struct ipk_cells_count){0};
	return r < 0 ? r : ipk_cells_count(o, ret_at, ret);
}

static int semaphore_inspect(const struct ipk_object_view *o, uint64_t *ret_used, uint64_t *ret_cap)
{
	struct ipk_cells_count c;
	struct ipk_cells_at s;
	int r = count(o, &s, &c);

	if (r < 0)
		return r;
	*ret_used = s.cap - c.free;
	*ret_cap = s.cap;
	return 0;
}

static int semaphore_value(const struct ipk_object_view *o, struct ipk_buf *text)
{
	struct ipk_cells_count c;
	struct ipk_cells_at s;
	int r = count(o, &s, &c);

	return r < 0 ? r : ipk_buf_printf(text, "%llu\n", (unsigned long long)c.free);
}

static const char *const stat_names[] = {"free", "held", "held_by_nobody", "acquired", NULL};

static int semaphore_stats(const struct ipk_object_view *o, struct ipk_visitor *v)
{
	struct ipk_cells_count c;
	struct ipk_cells_at s;
	int r = count(o, &s, &c);

	if (!r)
		r = v->u64(v, stat_names[0], c.free);
	if (!r)
		r = v->u64(v, stat_names[1], s.cap - c.free);
	if (!r)
		r = v->u64(v, stat_names[2], c.nobody);
	if (!r)
		r = v->u64(v, stat_names[3], c.taken);
	return r;
}

static int semaphore_holders(const struct ipk_object_view *o, ipk_holder_fn *fn, void *arg)
{
	struct ipk_cells_at s;
	int r = measure(o, &s);

	return r < 0 ? r : ipk_cells_holders(o, &s, NULL, fn, arg);
}

static int semaphore_check(const struct ipk_object_view *o, struct ipk_checker *c)
{
	struct ipk_cells_at s;
	int r = measure(o, &s);

	if (r == -EBADMSG) {
		c->finding(c, "number of permits and size of the semaphore do not fit together");
		return 0;
	}
	return r < 0 ? r : ipk_cells_check(o, &s, "permit", c);
}

/* What nobody who exists has is free. */
static int semaphore_repair(const struct ipk_object_view *o, struct ipk_repairer *r)
{
	struct ipk_semaphore_body *b = r->at(r, o->body, sizeof(*b));
	u64 bytes = ipk_sem_bytes(o->opts[0]);
	struct ipk_cells_at s;
	int error = b ? measure(o, &s) : -EBADMSG;

	if (error == -EBADMSG && b && bytes && bytes <= o->body_size) {
		b->cap = o->opts[0];
		b->stride = ipk_sem_stride(b->cap);
		r->did(r, "it has %llu permits, as when it was made", (unsigned long long)b->cap);
		error = measure(o, &s);
	}
	return error < 0 ? error : ipk_cells_repair(o, &s, "permits", r);
}

/* ---- verbs ---------------------------------------------------------------------------------- */

static int call_number(struct ipk_call *call, u64 *ret_n)
{
	struct ipk_semaphore *sem = call->handle;

	*ret_n = call->count ? call->count : 1;
	if (*ret_n > sem->s.cells.cap)
		return ipk_error_set(&call->err, -EINVAL, "the semaphore has %llu permit%s",
				     (unsigned long long)sem->s.cells.cap,
				     sem->s.cells.cap == 1 ? "" : "s");
	return 0;
}

static int run_acquire(struct ipk_call *call)
{
	u64 n;
	int r = call_number(call, &n);

	if (r < 0)
		return r;
	if (call->hold)
		r = ipk_semaphore_hold(call->handle, n, ipk_call_deadline(call), &call->hold_fd);
	else
		r = ipk_semaphore_take(call->handle, n, ipk_call_deadline(call));
	if (!r)
		call->done = n;
	else if (r == -EAGAIN)
		ipk_error_set(&call->err, r,
			      n == 1 ? "no permit is free" : "not that many are free");
	return r;
}

static int run_release(struct ipk_call *call)
{
	u64 n;
	int r = call_number(call, &n);

	for (; !r && n; n--) {
		r = ipk_semaphore_release(call->handle, 1);
		call->done += !r;
	}
	if (r == -EOVERFLOW)
		return ipk_error_set(
			&call->err, r,
			call->done ? "%llu given back, then none was left that nobody owns"
				   : "no permit is out that nobody owns; what a process "
				     "holds comes back when it ends",
			(unsigned long long)call->done);
	return r;
}

static int run_get(struct ipk_call *call)
{
	u64 value = ipk_semaphore_value(call->handle);
	struct ipk_item item = {.data = &value, .len = sizeof(value)};
	int r = call->emit(call, &item);

	call->done = !r;
	return r < 0 ? r : call->flush(call);
}

static int run_wait(struct ipk_call *call)
{
	int r = ipk_semaphore_wait(call->handle, ipk_call_deadline(call));

	return r == -EAGAIN ? ipk_error_set(&call->err, r, "no permit is free") : r;
}

const struct ipk_op ipk_semaphore_ops[] = {
	{.name = "acquire",
	 .summary = "take a permit, for a command's life or until somebody releases it",
	 .example = "ipcctl acquire S/x -- echo mine",
	 .flags = IPK_OP_WRITE | IPK_OP_BLOCK | IPK_OP_COUNT | IPK_OP_CMD |
		  IPK_OP_CMD_OPTIONAL,
	 .run = run_acquire},
	{.name = "release",
	 .summary = "give back a permit that was acquired without a command",
	 .example = "ipcctl acquire S/x; ipcctl release S/x",
	 .flags = IPK_OP_WRITE | IPK_OP_COUNT,
	 .run = run_release},
	{.name = "get",
	 .summary = "print how many permits are free",
	 .example = "ipcctl get S/x",
	 .flags = IPK_OP_OUT,
	 .run = run_get},
	{.name = "wait",
	 .summary = "wait until a permit is free, without taking it",
	 .example = "ipcctl wait S/x",
	 .flags = IPK_OP_BLOCK,
	 .run = run_wait},
	{.name = NULL},
};

static int bench_rounds(void *handle, uint64_t n)
{
	int r = 0;

	while (n-- && !r) {
		r = ipk_semaphore_post(handle, 1);
		if (!r)
			r = ipk_semaphore_take(handle, 1, IPK_NOWAIT);
	}
	return r;
}

static int bench_send(void *handle, const void *data, size_t len, int64_t deadline)
{
	(void)data, (void)len, (void)deadline;
	return ipk_semaphore_post(handle, 1);
}

static int bench_recv(void *handle, void *buf, size_t size, int64_t deadline)
{
	(void)buf, (void)size;
	return ipk_semaphore_take(handle, 1, deadline);
}

static const struct ipk_bench bench = {
	.round = "release + acquire",
	.rounds = bench_rounds,
	.options = (const struct ipk_param[]){{"cap", "1"}, {"value", "0"}, {NULL, NULL}},
	.signal = true,
	.send = bench_send,
	.recv = bench_recv,
};

static const struct ipk_next next[] = {
	{"free", "0", "who REF"},
	{NULL, NULL, "acquire REF -- CMD"},
};

const struct ipk_kind ipk_kind_semaphore = {
	.id = 4,
	.version = 1,
	.name = "semaphore",
	.summary = "a number of permits that processes take and give back",
	.text = "A semaphore has --cap permits. Each permit says who has it: a thread, "
		"the processes that inherited a descriptor (acquire REF -- CMD), or "
		"nobody (acquire without a command). The permits of a process that dies "
		"come back by themselves and wake who waits; those that nobody owns come "
		"back by release. Giving back more than was taken is an error. With "
		"--value 0 all permits are out at first, so that each release is a signal"
		" for one acquire.",
	.type = "u64",
	.flags = IPK_KIND_VALUE,
	.params = params,
	.ops = ipk_semaphore_ops,
	.stats = stat_names,
	.next = next,
	.size = semaphore_size,
	.create = semaphore_create,
	.attach = semaphore_attach,
	.detach = semaphore_detach,
	.attachable = ipk_semaphore_attachable,
	.recover = ipk_semaphore_recover,
	.wake = ipk_semaphore_wake,
	.inspect = semaphore_inspect,
	.stats_visit = semaphore_stats,
	.value = semaphore_value,
	.holders = semaphore_holders,
	.check = semaphore_check,
	.repair = semaphore_repair,
	.bench = &bench,
};
