/* SPDX-License-Identifier: MIT */
/* Barriers for tools: the descriptor, the verbs, and reading without trust. */
#include <stdio.h>
#include <stdlib.h>

#include "kinds/await.h"
#include "kinds/barrier.h"
#include "kinds/hooks.h"
#include "segment/view.h"

static const struct ipk_arg params[] = {
	{ .name = "cap",
	  .type = IPK_ARG_U64,
	  .min = 1,
	  .max = IPK_BAR_PARTIES_MAX,
	  .value = "2",
	  .help = "parties" },
	{ .name = "dead",
	  .type = IPK_ARG_WORD,
	  .words = "break|leave",
	  .value = "break",
	  .help = "what a dead party does to it" },
	{ .type = IPK_ARG_END },
};

static int barrier_size(const struct ipk_new *n, uint64_t *ret_size, struct ipk_error *err)
{
	if (strcmp(n->type->text, "u64") != 0)
		return ipk_error_set(err, -EMEDIUMTYPE, "a barrier has no elements: leave out --type");
	*ret_size = sizeof(struct ipk_barrier_body) + n->param[0].u64 * 8;
	return 0;
}

static int barrier_create(struct ipk_tx *tx, void *body, uint64_t body_off, const struct ipk_new *n)
{
	struct ipk_barrier_body *b = body;
	const struct ipk_argval *dead = &n->param[1];

	(void)tx;
	(void)body_off;
	b->parties = n->param[0].u64;
	b->leave = dead->len == 5 && memcmp(dead->text, "leave", 5) == 0;
	return 0;
}

IPK_ATTACH_DETACH(barrier, ipk_barrier_open(seg, name, &handle, err))

/* ---- views ----------------------------------------------------------------------------------- */

struct snapshot {
	struct ipk_barrier_body body;
	u64 *place;
	u64 arrived;
};

/* The whole barrier; ret->place is to be freed. */
static int read_all(const struct ipk_object_view *o, struct snapshot *ret)
{
	u64 parties, g;
	int r;

	ret->place = NULL;
	ret->arrived = 0;
	r = ipk_view_body(o, &ret->body, sizeof(ret->body));
	if (r < 0)
		return r;
	parties = ret->body.parties;
	if (parties == 0 || parties > IPK_BAR_PARTIES_MAX || ret->body.leave > 1 ||
	    o->body_size - sizeof(ret->body) < parties * 8)
		return -EBADMSG;
	/* Begins a line on both sides, so words stay whole. */
	ret->place = aligned_alloc(IPK_LINE, ipk_align_up(parties * 8, IPK_LINE));
	if (!ret->place)
		return -ENOMEM;
	r = ipk_view_read(o->view, o->body + sizeof(ret->body), ret->place, parties * 8);
	if (r < 0) {
		free(ret->place);
		ret->place = NULL;
		return r;
	}
	g = ipk_bar_gen(ret->body.gen);
	for (u64 i = 0; i < parties; i++)
		ret->arrived += ipk_place_arrived(ret->place[i], g);
	return 0;
}

static int barrier_inspect(const struct ipk_object_view *o, uint64_t *ret_used, uint64_t *ret_cap)
{
	struct snapshot s;
	int r = read_all(o, &s);

	if (r < 0)
		return r;
	*ret_used = s.arrived;
	*ret_cap = s.body.parties;
	free(s.place);
	return 0;
}

static int barrier_value(const struct ipk_object_view *o, struct ipk_buf *text)
{
	struct snapshot s;
	int r = read_all(o, &s);

	if (r < 0)
		return r;
	free(s.place);
	return ipk_buf_printf(text, "%llu\n", (unsigned long long)ipk_bar_gen(s.body.gen));
}

static const char *const stat_names[] = { "generation", "arrived", "parties", "broken", NULL };

static int barrier_stats(const struct ipk_object_view *o, struct ipk_visitor *v)
{
	struct snapshot s;
	int r = read_all(o, &s);

	if (r < 0)
		return r;
	free(s.place);
	r = v->u64(v, stat_names[0], ipk_bar_gen(s.body.gen));
	if (!r)
		r = v->u64(v, stat_names[1], s.arrived);
	if (!r)
		r = v->u64(v, stat_names[2], s.body.parties);
	if (!r)
		r = v->boolean(v, stat_names[3], s.body.gen & IPK_BAR_BROKEN);
	return r;
}

static int barrier_holders(const struct ipk_object_view *o, ipk_holder_fn *fn, void *arg)
{
	struct snapshot s;
	int r = read_all(o, &s);

	for (u64 i = 0; !r && i < s.body.parties; i++) {
		u64 owner = ipk_place_owner(s.place[i]);

		if (owner && owner != IPK_PLACE_NOBODY && owner <= IPK_SLOTS_MAX)
			r = fn(arg, (u32)owner - 1, "party", 1);
	}
	free(s.place);
	return r;
}

static int check_place(const struct ipk_object_view *o, struct ipk_checker *c, u64 i, u64 place)
{
	u64 owner = ipk_place_owner(place);
	char what[40];

	if (owner == IPK_PLACE_NOBODY)
		return 0;
	snprintf(what, sizeof(what), "place %llu is taken by", (unsigned long long)i);
	return ipk_check_user(o, o->body + sizeof(struct ipk_barrier_body) + i * 8, place, owner,
			      what, c);
}

static int barrier_check(const struct ipk_object_view *o, struct ipk_checker *c)
{
	struct snapshot s;
	int r = read_all(o, &s);

	if (r == -EBADMSG) {
		c->finding(c, "number of parties and size of the barrier do not fit together");
		return 0;
	}
	for (u64 i = 0; !r && i < s.body.parties; i++)
		r = check_place(o, c, i, s.place[i]);
	free(s.place);
	return r;
}

static u64 *places(const struct ipk_object_view *o, struct ipk_repairer *r,
		   struct ipk_barrier_body *b)
{
	u64 parties = b->parties, leave = b->leave;

	if (parties == 0 || parties > IPK_BAR_PARTIES_MAX ||
	    parties > (o->body_size - sizeof(*b)) / 8)
		parties = o->opts[0];
	if (leave > 1)
		leave = o->opts[1] == 1;
	if (parties == 0 || parties > IPK_BAR_PARTIES_MAX ||
	    parties > (o->body_size - sizeof(*b)) / 8)
		return NULL;
	if (b->parties != parties || b->leave != leave) {
		b->parties = parties;
		b->leave = (u32)leave;
		r->did(r, "it has %llu parties, and the dead %s", (unsigned long long)parties,
		       leave ? "leave it" : "break it");
	}
	return r->at(r, o->body + sizeof(*b), parties * 8);
}

/* A party that does not exist is a dead one: as ipk_barrier_recover(). */
static int barrier_repair(const struct ipk_object_view *o, struct ipk_repairer *r)
{
	struct ipk_barrier_body *b =
		o->body_size < sizeof(*b) ? NULL : r->at(r, o->body, sizeof(*b));
	u64 *place = b ? places(o, r, b) : NULL;

	if (!place)
		return -EBADMSG;
	for (u64 i = 0; i < b->parties; i++) {
		u64 owner = ipk_place_owner(place[i]);
		int gone = owner == IPK_PLACE_NOBODY ? 0 : ipk_no_user(o, owner);

		if (gone < 0)
			return gone;
		if (!gone)
			continue;
		place[i] = ipk_place_next(place[i], ipk_bar_gen(b->gen) - 1, 0);
		if (b->leave)
			place[i] |= IPK_PLACE_LEFT;
		else
			b->gen |= IPK_BAR_BROKEN;
		r->did(r, "the party in place %llu %s", (unsigned long long)i,
		       b->leave ? "has left" : "is dead, which breaks it");
	}
	return 0;
}

/* ---- verbs ----------------------------------------------------------------------------------- */

static int explain(struct ipk_call *call, int r)
{
	switch (r) {
	case -EOWNERDEAD:
		return ipk_error_set(&call->err, r,
				     "a party died and broke it; to begin anew: ipcctl reset");
	case -EDQUOT:
		return ipk_error_set(&call->err, r, "all places are other parties'");
	case -EAGAIN:
		return ipk_error_set(&call->err, r, "not all parties have arrived");
	case -EBUSY:
		return ipk_error_set(&call->err, r, "parties have arrived and wait");
	default:
		return r;
	}
}

/*
 * A command's process is gone when the others arrive: it arrives in nobody's name, unless it waits
 * for them; then it is a party until they have come.
 */
static int run_arrive(struct ipk_call *call)
{
	int r;

	if (call->arg[0].set) {
		r = ipk_barrier_wait(call->handle, ipk_call_deadline(call));
		ipk_barrier_leave(call->handle);
	} else {
		r = ipk_barrier_arrive(call->handle);
	}
	call->done = !r;
	return explain(call, r);
}

static int run_wait(struct ipk_call *call)
{
	return explain(call, ipk_barrier_watch(call->handle, ipk_call_deadline(call)));
}

static int run_get(struct ipk_call *call)
{
	u64 g = ipk_barrier_generation(call->handle, NULL);
	struct ipk_item item = { .data = &g, .len = sizeof(g) };
	int r = call->emit(call, &item);

	return r < 0 ? r : call->flush(call);
}

static int run_reset(struct ipk_call *call)
{
	return explain(call, ipk_barrier_reset(call->handle));
}

static const struct ipk_arg arrive_args[] = {
	{ .name = "wait",
	  .type = IPK_ARG_FLAG,
	  .help = "as a party, and wait until all have arrived; who gives up has not arrived" },
	{ .type = IPK_ARG_END },
};

const struct ipk_op ipk_barrier_ops[] = {
	{ .name = "arrive",
	  .summary = "arrive: in nobody's name and without waiting, or with --wait as a party",
	  .example = "ipcctl arrive S/x & ipcctl arrive S/x --wait",
	  .flags = IPK_OP_WRITE | IPK_OP_BLOCK,
	  .args = arrive_args,
	  .run = run_arrive },
	{ .name = "wait",
	  .summary = "wait until all parties have arrived, without arriving",
	  .example = "ipcctl wait S/x --nowait || ipcctl arrive S/x",
	  .flags = IPK_OP_BLOCK,
	  .run = run_wait },
	{ .name = "get",
	  .summary = "print how often all have arrived",
	  .example = "ipcctl get S/x",
	  .flags = IPK_OP_OUT,
	  .run = run_get },
	{ .name = "reset",
	  .summary = "mend a barrier that a dead party broke or left",
	  .example = "ipcctl reset S/x",
	  .flags = IPK_OP_WRITE,
	  .run = run_reset },
	{ .name = NULL },
};

static int bench_rounds(void *handle, uint64_t n)
{
	int r = 0;

	while (n-- && !r) {
		r = ipk_barrier_arrive(handle);
		if (!r)
			r = ipk_barrier_arrive(handle);
	}
	return r;
}

static const struct ipk_bench bench = {.round = "arrive, both parties", .rounds = bench_rounds};

static const struct ipk_next next[] = {
	{"broken", "true", "reset REF"},
	{NULL, NULL, "arrive REF --wait"},
};

const struct ipk_kind ipk_kind_barrier = {
	.id = 7,
	.version = 1,
	.name = "barrier",
	.summary = "lets its parties go on when all have arrived",
	.text = "A barrier has --cap parties. Who waits in it is let through when all have arrived, and the "
		"next generation begins. It knows its parties by name: one that dies breaks it, and all "
		"are told until it is reset (--dead break), or leaves it, and the others go on without "
		"(--dead leave). Its value is the number of generations ended.",
	.type = "u64",
	.flags = IPK_KIND_VALUE,
	.params = params,
	.ops = ipk_barrier_ops,
	.stats = stat_names,
	.next = next,
	.size = barrier_size,
	.create = barrier_create,
	.attach = barrier_attach,
	.detach = barrier_detach,
	.attachable = ipk_barrier_attachable,
	.recover = ipk_barrier_recover,
	.wake = ipk_barrier_wake,
	.inspect = barrier_inspect,
	.stats_visit = barrier_stats,
	.value = barrier_value,
	.holders = barrier_holders,
	.check = barrier_check,
	.repair = barrier_repair,
	.bench = &bench,
};
