/* SPDX-License-Identifier: MIT */
/* Semaphores for tools: the descriptor, the verbs, and reading without trust. */
#include <stdlib.h>

#include "kinds/semaphore.h"

static const struct ipk_arg params[] = {
	{ .name = "cap",
	  .type = IPK_ARG_U64,
	  .min = 1,
	  .max = IPK_SEM_CAP_MAX,
	  .value = "1",
	  .help = "number of permits" },
	{ .name = "value",
	  .type = IPK_ARG_U64,
	  .max = IPK_SEM_CAP_MAX,
	  .help = "permits that are free at first; all by default" },
	{ .type = IPK_ARG_END },
};

static int semaphore_size(const struct ipk_new *n, uint64_t *ret_size, struct ipk_error *err)
{
	const struct ipk_argval *cap = &n->param[0], *value = &n->param[1];

	if (strcmp(n->type->text, "u64") != 0)
		return ipk_error_set(err, -EMEDIUMTYPE, "a semaphore has no elements: leave out --type");
	if (value->set && value->u64 > cap->u64)
		return ipk_error_set(err, -EINVAL, "--value %llu is more than the %llu permits of --cap",
				     (unsigned long long)value->u64, (unsigned long long)cap->u64);
	*ret_size = ipk_sem_bytes(cap->u64);
	return *ret_size ? 0 : -EINVAL;
}

static int semaphore_create(struct ipk_tx *tx, void *body, uint64_t body_off, const struct ipk_new *n)
{
	struct ipk_semaphore_body *b = body;
	struct ipk_sem_shape s = { .body = b, .cells = (u8 *)body + sizeof(*b) };

	(void)tx;
	(void)body_off;
	b->cap = s.cap = n->param[0].u64;
	b->stride = ipk_sem_stride(b->cap);
	s.shift = ipk_sem_shift(b->cap);
	for (u64 i = n->param[1].set ? n->param[1].u64 : b->cap; i < b->cap; i++)
		*ipk_sem_cell(&s, i) = IPK_SEM_NOBODY;
	return 0;
}

static int semaphore_attach(struct ipk_segment *seg, const char *name, void **ret_handle,
			    struct ipk_error *err)
{
	struct ipk_semaphore *sem;
	int r = ipk_semaphore_open(seg, name, &sem, err);

	if (!r)
		*ret_handle = sem;
	return r;
}

static void semaphore_detach(void *handle)
{
	ipk_semaphore_close(handle);
}

/* ---- views ------------------------------------------------------------------------------------- */

struct shape {
	u64 cap;
	u32 stride;
	u64 cells; /* offset */
};

static int measure(const struct ipk_object_view *o, struct shape *ret)
{
	struct ipk_semaphore_body body;
	u64 bytes;
	int r;

	if (o->body_size < sizeof(body))
		return -EBADMSG;
	r = ipk_view_read(o->view, o->body, &body, sizeof(body));
	if (r < 0)
		return r;
	bytes = ipk_sem_bytes(body.cap);
	if (!bytes || bytes > o->body_size || body.stride != ipk_sem_stride(body.cap))
		return -EBADMSG;
	*ret = (struct shape){ body.cap, body.stride, o->body + sizeof(body) };
	return 0;
}

#define CHUNK_WORDS 1024u

/* Calls fn with each cell. Chunks begin at multiples of a line on both sides, so words stay whole. */
static int each_cell(const struct ipk_object_view *o, const struct shape *s,
		     int (*fn)(void *arg, u64 i, u64 cell), void *arg)
{
	u64 step = CHUNK_WORDS * 8 / s->stride, n, i, k;
	_Alignas(IPK_LINE) u64 words[CHUNK_WORDS];
	int r = 0;

	for (i = 0; !r && i < s->cap; i += n) {
		n = s->cap - i < step ? s->cap - i : step;
		r = ipk_view_read(o->view, s->cells + i * s->stride, words, n * s->stride);
		for (k = 0; !r && k < n; k++)
			r = fn(arg, i + k, words[k * s->stride / 8]);
	}
	return r;
}

struct counts {
	u64 free, nobody, taken; /* taken: since creation */
};

static int count_cell(void *arg, u64 i, u64 cell)
{
	struct counts *c = arg;

	(void)i;
	c->free += !(cell & (IPK_SEM_OWNER | IPK_SEM_P));
	c->nobody += ipk_sem_owner(cell) == IPK_SEM_NOBODY;
	c->taken += ipk_sem_taken(cell);
	return 0;
}

static int count(const struct ipk_object_view *o, struct shape *ret_shape, struct counts *ret)
{
	int r = measure(o, ret_shape);

	*ret = (struct counts){ 0 };
	return r < 0 ? r : each_cell(o, ret_shape, count_cell, ret);
}

static int semaphore_inspect(const struct ipk_object_view *o, uint64_t *ret_used, uint64_t *ret_cap)
{
	struct counts c;
	struct shape s;
	int r = count(o, &s, &c);

	if (r < 0)
		return r;
	*ret_used = s.cap - c.free;
	*ret_cap = s.cap;
	return 0;
}

static int semaphore_value(const struct ipk_object_view *o, struct ipk_buf *text)
{
	struct counts c;
	struct shape s;
	int r = count(o, &s, &c);

	return r < 0 ? r : ipk_buf_printf(text, "%llu\n", (unsigned long long)c.free);
}

static const char *const stat_names[] = { "free", "held", "held_by_nobody", "acquired", NULL };

static int semaphore_stats(const struct ipk_object_view *o, struct ipk_visitor *v)
{
	struct counts c;
	struct shape s;
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

static int count_owner(void *arg, u64 i, u64 cell)
{
	u64 *held = arg;

	(void)i;
	held[ipk_sem_owner(cell)]++;
	return 0;
}

static const char *role_of(const struct ipk_object_view *o, u32 slot)
{
	struct ipk_participant_info p;

	if (ipk_view_participant(o->view, slot, &p) == 0 && strcmp(p.role, "holder") == 0)
		return "holder";
	return "owner";
}

static int semaphore_holders(const struct ipk_object_view *o, ipk_holder_fn *fn, void *arg)
{
	u64 *held = calloc(IPK_SEM_OWNER + 1, sizeof(*held));
	struct shape s;
	int r = measure(o, &s);

	if (!held)
		return -ENOMEM;
	if (!r)
		r = each_cell(o, &s, count_owner, held);
	for (u32 slot = 0; !r && slot < IPK_SLOTS_MAX; slot++)
		if (held[slot + 1])
			r = fn(arg, slot, role_of(o, slot), held[slot + 1]);
	if (!r && held[IPK_SEM_NOBODY])
		r = fn(arg, IPK_SLOT_NONE, "nobody", held[IPK_SEM_NOBODY]);
	free(held);
	return r;
}

struct check {
	const struct ipk_object_view *o;
	struct ipk_checker *c;
	struct shape s;
};

/* A finding only if the cell has stayed as it was: else its owner left meanwhile, as owners do. */
static int check_cell(void *arg, u64 i, u64 cell)
{
	struct check *k = arg;
	u64 owner = ipk_sem_owner(cell), again;
	struct ipk_participant_info p;
	int r;

	if (!owner && !(cell & IPK_SEM_P))
		return 0;
	if (owner == IPK_SEM_NOBODY && !(cell & IPK_SEM_P))
		return 0;
	r = owner && owner <= IPK_SLOTS_MAX ? ipk_view_participant(k->o->view, (u32)owner - 1, &p) :
					      -ENOENT;
	if (r == 0)
		return 0;
	if (r != -ENOENT)
		return r;
	r = ipk_view_u64(k->o->view, k->s.cells + i * k->s.stride, &again);
	if (!r && again == cell)
		k->c->finding(k->c, "permit %llu is taken by participant %llu, who does not exist",
			      (unsigned long long)i, (unsigned long long)owner - 1);
	return r;
}

static int semaphore_check(const struct ipk_object_view *o, struct ipk_checker *c)
{
	struct check k = { .o = o, .c = c };
	int r = measure(o, &k.s);

	if (r == -EBADMSG) {
		c->finding(c, "number of permits and size of the semaphore do not fit together");
		return 0;
	}
	return r < 0 ? r : each_cell(o, &k.s, check_cell, &k);
}

/* ---- verbs --------------------------------------------------------------------------------------- */

static i64 call_deadline(const struct ipk_call *call)
{
	if (call->timeout < 0)
		return IPK_FOREVER;
	return call->timeout ? ipk_deadline(call->timeout) : IPK_NOWAIT;
}

static int call_number(struct ipk_call *call, u64 *ret_n)
{
	struct ipk_semaphore *sem = call->handle;

	*ret_n = call->count ? call->count : 1;
	if (*ret_n > sem->s.cap)
		return ipk_error_set(&call->err, -EINVAL, "the semaphore has %llu permit%s",
				     (unsigned long long)sem->s.cap, sem->s.cap == 1 ? "" : "s");
	return 0;
}

static int run_acquire(struct ipk_call *call)
{
	u64 n;
	int r = call_number(call, &n);

	if (r < 0)
		return r;
	if (call->hold)
		r = ipk_semaphore_hold(call->handle, n, call_deadline(call), &call->hold_fd);
	else
		r = ipk_semaphore_take(call->handle, n, call_deadline(call));
	if (!r)
		call->done = n;
	else if (r == -EAGAIN)
		ipk_error_set(&call->err, r, n == 1 ? "no permit is free" : "not that many are free");
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
		return ipk_error_set(&call->err, r,
				     call->done ? "%llu given back, then none was left that nobody owns" :
						  "no permit is out that nobody owns; what a process "
						  "holds comes back when it ends",
				     (unsigned long long)call->done);
	return r;
}

static int run_get(struct ipk_call *call)
{
	u64 value = ipk_semaphore_value(call->handle);
	struct ipk_item item = { .data = &value, .len = sizeof(value) };
	int r = call->emit(call, &item);

	call->done = !r;
	return r < 0 ? r : call->flush(call);
}

static int run_wait(struct ipk_call *call)
{
	return ipk_semaphore_wait(call->handle, call_deadline(call));
}

const struct ipk_op ipk_semaphore_ops[] = {
	{ .name = "acquire",
	  .summary = "take a permit, for a command's life or until somebody releases it",
	  .example = "ipcctl acquire S/x -- echo mine",
	  .flags = IPK_OP_WRITE | IPK_OP_BLOCK | IPK_OP_COUNT | IPK_OP_CMD,
	  .run = run_acquire },
	{ .name = "release",
	  .summary = "give back a permit that was acquired without a command",
	  .example = "ipcctl acquire S/x; ipcctl release S/x",
	  .flags = IPK_OP_WRITE | IPK_OP_COUNT,
	  .run = run_release },
	{ .name = "get",
	  .summary = "print how many permits are free",
	  .example = "ipcctl get S/x",
	  .flags = IPK_OP_OUT,
	  .run = run_get },
	{ .name = "wait",
	  .summary = "wait until a permit is free, without taking it",
	  .example = "ipcctl wait S/x",
	  .flags = IPK_OP_BLOCK,
	  .run = run_wait },
	{ .name = NULL },
};

const struct ipk_kind ipk_kind_semaphore = {
	.id = 4,
	.version = 1,
	.name = "semaphore",
	.summary = "a number of permits that processes take and give back",
	.text = "A semaphore has --cap permits. Each permit says who has it: a thread, the processes that "
		"inherited a descriptor (acquire REF -- CMD), or nobody (acquire without a command). "
		"The permits of a process that dies come back by themselves and wake who waits; those "
		"that nobody owns come back by release. Giving back more than was taken is an error. "
		"With --value 0 all permits are out at first, so that each release is a signal for one "
		"acquire.",
	.type = "u64",
	.flags = IPK_KIND_VALUE,
	.params = params,
	.ops = ipk_semaphore_ops,
	.stats = stat_names,
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
};
