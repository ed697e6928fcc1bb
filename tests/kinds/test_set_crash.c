/* SPDX-License-Identifier: MIT */
/* Sets under processes that are killed or stopped: all that was answered must fit into one order.
 */
#include "fixture_kind.h"
#include "linear.h"

#include "ipk/set.h"
#include "kinds/map_write.h"
#include "kinds/set.h"

enum { ADD, REMOVE, HAS };

#define VALUES 12u
#define RUNS 6u /* processes, some of them the successor of one that was killed */
#define OPS 6000u

struct record {
	u32 n; /* operations begun */
	struct lin_op op[OPS];
};

struct records {
	struct record run[RUNS];
	u32 me; /* set before a process starts */
	u32 stop;
};

static void make_set(const char *type, u64 cap)
{
	struct ipk_segment *seg;

	create_segment("s");
	seg = open_segment("s");
	assert_int_equal(ipk_set_create(seg, "x", type, cap, NULL), 0);
	ipk_segment_close(seg);
}

static struct ipk_set *open_set(struct ipk_segment **ret_seg)
{
	struct ipk_set *set = NULL;

	*ret_seg = open_segment("s");
	if (*ret_seg)
		ipk_set_open(*ret_seg, "x", NULL, &set, NULL);
	return set;
}

static void fsck_is_silent(void)
{
	struct ipk_view *view;
	struct ipk_error err = {0};

	assert_int_equal(ipk_view_open("s", &view, &err), 0);
	assert_int_equal(ipk_fsck(view, NULL, NULL, &err), 0);
	ipk_view_close(view);
}

/* Values of up to 200 bytes; the first four say which. */
static size_t value_of(u8 *to, u32 k)
{
	size_t len = 4 + k * 17;

	memset(to, (int)(k + 1), len);
	memcpy(to, &k, 4);
	return len;
}

static void work(void *arg)
{
	struct records *all = arg;
	struct record *rec = &all->run[ipk_ld(&all->me, relaxed)];
	struct ipk_segment *seg;
	struct ipk_set *set = open_set(&seg);
	u64 seed = (u64)getpid() * 31;
	u8 value[256];

	must(set);
	for (u32 i = 0; i < OPS && !ipk_ld(&all->stop, relaxed); i++) {
		struct lin_op *op = &rec->op[i];
		u32 k = seeded(&seed) % VALUES;
		size_t len = value_of(value, k);
		int r;

		op->what = seeded(&seed) % 3;
		op->value = k;
		op->end = LIN_NEVER;
		op->begin = ipk_now();
		ipk_st(&rec->n, i + 1, release);
		r = op->what == ADD      ? ipk_set_add(set, value, len, IPK_FOREVER)
		    : op->what == REMOVE ? ipk_set_remove(set, value, len, IPK_FOREVER)
					 : ipk_set_has(set, value, len);
		must(r == 0 || r == 1);
		op->result = r;
		ipk_st(&op->end, ipk_now(), release);
	}
	ipk_set_close(set);
	ipk_segment_close(seg);
}

/* ---- the plain object: one value, there or not ---------------------------------------------- */

static bool step(void *object, struct lin_op *op)
{
	bool *there = object;
	int want = op->what == ADD ? !*there : *there;

	if (op->end != LIN_NEVER && op->result != want)
		return false;
	op->undo = *there;
	*there = op->what == ADD || (op->what == HAS && *there);
	return true;
}

static void undo(void *object, struct lin_op *op)
{
	*(bool *)object = op->undo;
}

static u64 hash(const void *object)
{
	return *(const bool *)object;
}

/* Each value is an object of its own: if each one's history has an order, all of them have one. */
static bool value_has_an_order(struct records *all, u32 k, struct lin_op *last)
{
	struct lin_run run[RUNS + 1] = {{0}};
	bool there = false, ok;
	struct lin_model m = {.step = step, .undo = undo, .hash = hash, .object = &there};

	for (u32 i = 0; i < RUNS; i++) {
		run[i].op = calloc(all->run[i].n + 1, sizeof(struct lin_op));
		for (u32 j = 0; j < all->run[i].n; j++)
			if (all->run[i].op[j].value == k)
				run[i].op[run[i].n++] = all->run[i].op[j];
	}
	run[RUNS] = (struct lin_run){.op = last, .n = 1};
	ok = lin_check(run, RUNS + 1, &m);
	for (u32 i = 0; i < RUNS; i++)
		free(run[i].op);
	return ok;
}

static void what_killed_and_living_processes_were_told_has_an_order(void **state)
{
	struct records *all = shared(sizeof(*all));
	struct ipk_segment *seg;
	struct ipk_set *set;
	pid_t pid[RUNS];
	u64 seed = 3;
	u8 value[256];

	(void)state;
	make_set("bytes", 2); /* 8 slots: the table grows and shrinks all the time */
	for (u32 i = 0; i < 2; i++) {
		ipk_st(&all->me, i, relaxed);
		pid[i] = spawn(work, all);
		await(ipk_ld(&all->run[i].n, acquire) > 0);
	}
	for (u32 i = 2; i < RUNS; i++) {
		u32 victim = i - 1;

		await(ipk_ld(&all->run[victim].n, acquire) > 50 + seeded(&seed) % 400);
		kill_child(pid[victim]);
		ipk_st(&all->me, i, relaxed);
		pid[i] = spawn(work, all);
		await(ipk_ld(&all->run[i].n, acquire) > 0);
	}
	await(ipk_ld(&all->run[RUNS - 1].n, acquire) > 400);
	ipk_st(&all->stop, 1, relaxed);
	assert_ended_well(join_child(pid[0]));
	assert_ended_well(join_child(pid[RUNS - 1]));
	set = open_set(&seg);
	ipk_segment_sweep(seg);
	fsck_is_silent();
	for (u32 k = 0; k < VALUES; k++) {
		i64 now = ipk_now();
		struct lin_op last = {.begin = now, .end = now, .what = HAS, .value = k};

		last.result = ipk_set_has(set, value, value_of(value, k));
		if (!value_has_an_order(all, k, &last))
			fail_msg("what was answered about value %u has no order", k);
	}
	ipk_set_close(set);
	ipk_segment_close(seg);
	munmap(all, sizeof(*all));
}

/* The search itself: a history that cannot be. */
static void an_answer_that_cannot_be_is_noticed(void **state)
{
	struct lin_op first[] = {{.begin = 1, .end = 4, .what = ADD, .result = 1},
				 {.begin = 6, .end = 7, .what = HAS, .result = 0}};
	struct lin_op second[] = {{.begin = 2, .end = 9, .what = REMOVE, .result = 1}};
	struct lin_run run[] = {{.op = first, .n = 2}, {.op = second, .n = 1}};
	bool there = false;
	struct lin_model m = {.step = step, .undo = undo, .hash = hash, .object = &there};

	(void)state;
	assert_true(lin_check(run, 2, &m)); /* removed before has */
	second[0].begin = 8;
	there = false;
	assert_false(lin_check(run, 2, &m)); /* nobody can have removed it before has */
	second[0].begin = 5;
	second[0].end = LIN_NEVER; /* killed in it: it may have */
	there = false;
	assert_true(lin_check(run, 2, &m));
}

/* ---- stopped and killed with the lock ------------------------------------------------------- */

struct staged {
	bool stop; /* instead of dying */
	u32 there;
};

static void take_the_lock(void *arg)
{
	struct staged *s = arg;
	struct ipk_segment *seg;
	struct ipk_set *set = open_set(&seg);
	struct ipk_map_write w;

	must(set && ipk_map_begin(&w, &set->map, "a", 1, IPK_FOREVER) == 0);
	/* A table in the making, which nothing names yet. */
	must(ipk_map_build(&w, 0, 4096, &w.new_table) == 0);
	ipk_st(&s->there, 1, release);
	raise(s->stop ? SIGSTOP : SIGKILL);
	ipk_map_end(&w, 0);
}

static void a_stopped_writer_holds_up_writers_and_no_reader(void **state)
{
	struct staged *s = shared(sizeof(*s));
	struct ipk_segment *seg;
	struct ipk_set *set;
	int status;
	pid_t pid;

	(void)state;
	make_set("str", 4);
	set = open_set(&seg);
	assert_int_equal(ipk_set_add(set, "b", 1, IPK_FOREVER), 1);
	s->stop = true;
	pid = spawn(take_the_lock, s);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(ipk_set_has(set, "b", 1), 1);
	assert_int_equal(ipk_set_has(set, "a", 1), 0);
	assert_int_equal(ipk_set_count(set), 1);
	assert_int_equal(ipk_set_add(set, "a", 1, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_set_remove(set, "b", 1, ipk_deadline(1000000)), -ETIMEDOUT);
	kill_child(pid);
	assert_int_equal(ipk_set_add(set, "a", 1, ipk_deadline(LIMIT_NS)), 1);
	ipk_set_close(set);
	ipk_segment_close(seg);
	fsck_is_silent();
	munmap(s, sizeof(*s));
}

static void what_a_killed_writer_had_in_the_making_is_freed(void **state)
{
	struct staged *s = shared(sizeof(*s));
	struct ipk_segment *seg;
	struct ipk_set *set;
	u64 used;

	(void)state;
	make_set("str", 4);
	set = open_set(&seg);
	used = info_of("s").used;
	assert_true(WIFSIGNALED(join_child(spawn(take_the_lock, s))));
	assert_true(info_of("s").used > used);
	assert_int_equal(ipk_set_remove(set, "a", 1, ipk_deadline(LIMIT_NS)), 0);
	assert_int_equal(info_of("s").used, used);
	ipk_set_close(set);
	ipk_segment_close(seg);
	fsck_is_silent();
	munmap(s, sizeof(*s));
}

#define CRASH_TEST(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CRASH_TEST(what_killed_and_living_processes_were_told_has_an_order),
		CRASH_TEST(an_answer_that_cannot_be_is_noticed),
		CRASH_TEST(a_stopped_writer_holds_up_writers_and_no_reader),
		CRASH_TEST(what_a_killed_writer_had_in_the_making_is_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
