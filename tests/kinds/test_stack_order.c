/* SPDX-License-Identifier: MIT */
/*
 * Stacks: what several processes did, some of them killed, could have happened one after the other.
 */
#include "fixture_stack.h"
#include "linear.h"

/* ---- one order for all that was answered ---------------------------------------------------- */

enum { PUSH, POP, PEEK };

#define CAP 4u
#define RUNS 6u /* processes, some of them the successor of one that was killed */
#define OPS 2500u
#define PATIENCE INT64_C(1000000000) /* after which a stack says that it is held */

struct record {
	u32 n; /* operations begun */
	struct lin_op op[OPS];
};

struct records {
	struct record run[RUNS];
	u32 me; /* set before a process starts */
	u32 stop;
};

static void work(void *arg)
{
	struct records *all = arg;
	u32 who = ipk_ld(&all->me, relaxed);
	struct record *rec = &all->run[who];
	struct ipk_segment *own;
	struct ipk_stack *s = open_stack(&own);
	u64 seed = (u64)getpid() * 31;

	for (u32 i = 0; i < OPS && !ipk_ld(&all->stop, relaxed); i++) {
		struct lin_op *op = &rec->op[i];
		u64 val = (u64)who << 32 | i;
		int r;

		op->what = seeded(&seed) % 5;
		op->what = op->what < 2 ? PUSH : op->what < 4 ? POP : PEEK;
		op->value = val;
		op->end = LIN_NEVER;
		op->begin = ipk_now();
		ipk_st(&rec->n, i + 1, release);
		r = op->what == PUSH  ? ipk_stack_push(s, &val, 8, IPK_NOWAIT)
		    : op->what == POP ? ipk_stack_pop(s, &val, 8, NULL, IPK_NOWAIT)
				      : ipk_stack_peek(s, &val, 8, NULL);
		must(r == 0 || r == -EAGAIN);
		op->value = val;
		op->result = r;
		ipk_st(&op->end, ipk_now(), release);
	}
	ipk_stack_close(s);
	ipk_segment_close(own);
}

struct plain {
	u64 v[CAP], hash[CAP + 1];
	u32 n;
};

static void plain_push(struct plain *p, u64 val)
{
	p->v[p->n] = val;
	p->hash[p->n + 1] = lin_mix(p->hash[p->n], val);
	p->n++;
}

#define NONE UINT64_MAX

static bool step(void *object, struct lin_op *op)
{
	struct plain *p = object;
	bool cannot = op->what == PUSH ? p->n == CAP : p->n == 0;
	/* -EAGAIN also of a stack that nobody could change for so long. */
	bool held = op->end != LIN_NEVER && op->end - op->begin >= PATIENCE;

	op->undo = NONE;
	if (op->end == LIN_NEVER && cannot)
		return true;
	if (op->end != LIN_NEVER && op->result)
		return cannot || held;
	if (cannot)
		return false;
	if (op->what == PUSH) {
		plain_push(p, op->value);
		op->undo = 0;
		return true;
	}
	if (op->end != LIN_NEVER && p->v[p->n - 1] != op->value)
		return false;
	if (op->what == POP)
		op->undo = p->v[--p->n];
	return true;
}

static void undo(void *object, struct lin_op *op)
{
	struct plain *p = object;

	if (op->undo == NONE)
		return;
	if (op->what == PUSH)
		p->n--;
	else
		plain_push(p, op->undo);
}

static u64 hash(const void *object)
{
	const struct plain *p = object;

	return p->hash[p->n];
}

static bool has_an_order(struct records *all, struct record *last)
{
	struct plain plain = {.hash = {1}};
	struct lin_model m = {.step = step, .undo = undo, .hash = hash, .object = &plain};
	struct lin_run run[RUNS + 1];

	for (u32 i = 0; i < RUNS; i++)
		run[i] = (struct lin_run){.op = all->run[i].op, .n = all->run[i].n};
	run[RUNS] = (struct lin_run){.op = last->op, .n = last->n};
	return lin_check(run, RUNS + 1, &m);
}

static void what_killed_and_living_processes_were_told_has_an_order(void **state)
{
	struct records *all = shared(sizeof(*all));
	struct record *last = calloc(1, sizeof(*last));
	struct ipk_stack *s = make("u64", CAP);
	u64 seed = 3;
	pid_t pid[RUNS];
	int r;

	(void)state;
	for (u32 i = 0; i < 2; i++) {
		ipk_st(&all->me, i, relaxed);
		pid[i] = spawn(work, all);
		await(ipk_ld(&all->run[i].n, acquire) > 0);
	}
	for (u32 i = 2; i < RUNS; i++) {
		await(ipk_ld(&all->run[i - 1].n, acquire) > 50 + seeded(&seed) % 400);
		kill_child(pid[i - 1]);
		ipk_st(&all->me, i, relaxed);
		pid[i] = spawn(work, all);
		await(ipk_ld(&all->run[i].n, acquire) > 0);
	}
	await(ipk_ld(&all->run[RUNS - 1].n, acquire) > 400);
	ipk_st(&all->stop, 1, relaxed);
	assert_ended_well(join_child(pid[0]));
	assert_ended_well(join_child(pid[RUNS - 1]));
	fsck_is_silent();
	/* What is there at the end is the last thing to be explained. */
	do {
		struct lin_op *op = &last->op[last->n++];

		op->what = POP;
		op->begin = ipk_now();
		r = ipk_stack_pop(s, &op->value, 8, NULL, IPK_NOWAIT);
		op->result = r;
		op->end = ipk_now();
	} while (r == 0);
	if (!has_an_order(all, last))
		fail_msg("what was answered has no order");
	/* And the search is not blind: with the last answer changed there is none. */
	last->op[last->n - 1].result = 0;
	last->op[last->n - 1].value = 77;
	assert_false(has_an_order(all, last));
	free(last);
	end(s);
	munmap(all, sizeof(*all));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_killed_and_living_processes_were_told_has_an_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
