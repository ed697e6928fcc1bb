/* SPDX-License-Identifier: MIT */
/* Stacks under processes that are killed or stopped, and those who wait. */
#include "fixture_stack.h"

/* ---- leases of the dead --------------------------------------------------------------------- */

struct staged {
	u32 what;
	u32 there;
};

static void lease_three_and_die(void *arg)
{
	struct staged *st = arg;
	struct ipk_segment *own;
	struct ipk_stack *s = open_stack(&own);
	struct ipk_stack_lease l[3];

	must(ipk_stack_lease_many(s, l, 3, IPK_NOWAIT) == 3);
	if (st->what)
		must(ipk_stack_ack(s, &l[1]) == 0);
	ipk_st(&st->there, 1, release);
	raise(SIGKILL);
}

static void what_the_dead_had_leased_lies_as_before_and_is_marked(void **state)
{
	struct staged *st = shared(sizeof(*st));
	struct ipk_stack *s = make("u64", 8);
	u32 redelivered;

	(void)state;
	for (u64 i = 1; i <= 5; i++)
		push(s, i);
	assert_true(WIFSIGNALED(join_child(spawn(lease_three_and_die, st))));
	assert_int_equal(pop(s, &redelivered), 2); /* nobody has looked after the dead yet */
	assert_int_equal(redelivered, 0);
	ipk_segment_sweep(seg);
	for (u64 i = 5; i >= 3; i--) {
		assert_int_equal(pop(s, &redelivered), i);
		assert_int_equal(redelivered, 1);
	}
	assert_int_equal(pop(s, &redelivered), 1);
	end(s);
	munmap(st, sizeof(*st));
}

static void who_does_not_wait_finds_what_the_dead_had(void **state)
{
	struct staged *st = shared(sizeof(*st));
	struct ipk_stack *s = make("u64", 8);
	u64 val = 0;

	(void)state;
	for (u64 i = 1; i <= 3; i++)
		push(s, i);
	st->what = 1; /* the middle one is acknowledged */
	assert_true(WIFSIGNALED(join_child(spawn(lease_three_and_die, st))));
	await(ipk_stack_pop(s, &val, 8, NULL, IPK_NOWAIT) == 0);
	assert_int_equal(val, 3);
	assert_int_equal(pop(s, NULL), 1);
	assert_int_equal(ipk_stack_count(s, NULL), 0);
	end(s);
	munmap(st, sizeof(*st));
}

static void wait_for_one(void *arg)
{
	struct staged *st = arg;
	struct ipk_segment *own;
	struct ipk_stack *s = open_stack(&own);
	struct ipk_stack_item item;
	u64 val = 0;
	int r;

	ipk_st(&st->there, 1, release);
	r = ipk_stack_pop(s, &val, 8, &item, IPK_FOREVER);
	must(st->what == UINT32_MAX ? r == -EPIPE : r == 0 && val == st->what);
	ipk_stack_close(s);
	ipk_segment_close(own);
}

/* Somebody sleeps on the stack's items. */
static bool sleeps(struct ipk_stack *s, u32 *ev)
{
	(void)s;
	return ipk_ld(ev, acquire) & IPK_EV_W;
}

static void lease_one_and_stay(void *arg)
{
	struct staged *st = arg;
	struct ipk_segment *own;
	struct ipk_stack *s = open_stack(&own);
	struct ipk_stack_lease l;

	must(ipk_stack_lease(s, &l, IPK_NOWAIT) == 0);
	ipk_st(&st->there, 1, release);
	for (;;)
		pause();
}

static void a_waiter_gets_what_comes_back_from_the_dead(void **state)
{
	struct staged *st = shared(2 * sizeof(*st));
	struct ipk_stack *s = make("u64", 8);
	pid_t holder, waiter;

	(void)state;
	push(s, 7);
	holder = spawn(lease_one_and_stay, st);
	await(ipk_ld(&st->there, acquire));
	st[1].what = 7;
	waiter = spawn(wait_for_one, &st[1]);
	await(sleeps(s, &s->b->items));
	kill_child(holder);
	assert_ended_well(join_child(waiter));
	end(s);
	munmap(st, 2 * sizeof(*st));
}

static void push_into_a_full_one(void *arg)
{
	struct staged *st = arg;
	struct ipk_segment *own;
	struct ipk_stack *s = open_stack(&own);
	u64 val = 9;

	ipk_st(&st->there, 1, release);
	must(ipk_stack_push(s, &val, 8, IPK_FOREVER) == 0);
	ipk_stack_close(s);
	ipk_segment_close(own);
}

static void sleepers_are_woken_by_an_item_by_room_and_by_the_end(void **state)
{
	struct staged *st = shared(sizeof(*st));
	struct ipk_stack *s = make("u64", 1);
	struct ipk_stack_lease l;
	pid_t pid;

	(void)state;
	st->what = 3;
	pid = spawn(wait_for_one, st);
	await(sleeps(s, &s->b->items));
	push(s, 3);
	assert_ended_well(join_child(pid));
	push(s, 4);
	pid = spawn(push_into_a_full_one, st);
	await(sleeps(s, &s->b->space));
	assert_int_equal(ipk_stack_lease(s, &l, IPK_NOWAIT), 0); /* no room yet */
	assert_int_equal(ipk_stack_ack(s, &l), 0);
	assert_ended_well(join_child(pid));
	assert_int_equal(ipk_stack_lease(s, &l, ipk_deadline(LIMIT_NS)), 0);
	st->what = UINT32_MAX;
	pid = spawn(wait_for_one, st);
	await(sleeps(s, &s->b->items));
	assert_int_equal(ipk_stack_shutdown(s), 0);
	assert_int_equal(ipk_stack_ack(s, &l), 0); /* only now is it the end */
	assert_ended_well(join_child(pid));
	end(s);
	munmap(st, sizeof(*st));
}

/* ---- killed and stopped in the middle ------------------------------------------------------- */

enum { WITH_THE_LOCK, DECIDED, FILLED, STOPPED };

/* With the lock: a lease of item 3 of three that is decided on; a value filled in and not yet
 * there. */
static void come_to_a_stage(void *arg)
{
	struct staged *st = arg;
	struct ipk_segment *own;
	struct ipk_stack *s = open_stack(&own);
	int r = 0;
	struct ipk_self *me = ipk_use(&s->obj, &r);
	struct ipk_stack_change *c = &s->b->redo.change;

	must(me && ipk_stack_lock(s, me, IPK_FOREVER) == 0);
	if (st->what == DECIDED) {
		*c = (struct ipk_stack_change){.kind = IPK_STACK_LEASE,
					       .slot = s->b->order[2],
					       .w = sw_word(99, 0, me->slot + 1),
					       .top = st_top(2, 1),
					       .at = {2, 2},
					       .id = {7, 7}};
		ipk_st(&s->b->redo.todo, UINT64_C(1), release);
	}
	if (st->what == FILLED)
		memset(s_slot(s, s->b->order[3])->fixed, 0xff, 8);
	ipk_st(&st->there, 1, release);
	raise(st->what == STOPPED ? SIGSTOP : SIGKILL);
	ipk_unlock(me, &s->b->lock);
}

static void the_next_one_finishes_what_the_dead_had_decided(void **state)
{
	(void)state;
	for (u32 what = WITH_THE_LOCK; what <= FILLED; what++) {
		struct staged *st = shared(sizeof(*st));
		struct ipk_stack *s = make("u64", 8);
		u32 redelivered;

		for (u64 i = 1; i <= 3; i++)
			push(s, i);
		st->what = what;
		assert_true(WIFSIGNALED(join_child(spawn(come_to_a_stage, st))));
		fsck_is_silent(); /* nobody has looked after the dead yet */
		push(s, 4);
		assert_int_equal(pop(s, NULL), 4);
		if (what == DECIDED) {
			assert_int_equal(ipk_stack_count(s, NULL), 3);
			ipk_segment_sweep(seg);
		}
		assert_int_equal(pop(s, &redelivered), 3);
		assert_int_equal(redelivered, what == DECIDED);
		assert_int_equal(pop(s, NULL), 2);
		assert_int_equal(pop(s, NULL), 1);
		end(s);
		assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
		munmap(st, sizeof(*st));
	}
}

static void a_stopped_process_holds_up_changes_and_no_look(void **state)
{
	struct staged *st = shared(sizeof(*st));
	struct ipk_stack *s = make("u64", 8);
	struct look l;
	uint64_t used, cap;
	u64 val = 0;
	int status;
	pid_t pid;

	(void)state;
	for (u64 i = 1; i <= 3; i++)
		push(s, i);
	st->what = STOPPED;
	pid = spawn(come_to_a_stage, st);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(ipk_stack_peek(s, &val, 8, NULL), 0);
	assert_int_equal(val, 3);
	look(&l, "s", "x");
	assert_int_equal(l.kind->inspect(&l.o, &used, &cap), 0);
	assert_int_equal(used, 3);
	look_end(&l);
	assert_int_equal(ipk_stack_pop(s, &val, 8, NULL, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_stack_count(s, NULL), 3);
	kill_child(pid);
	assert_int_equal(pop(s, NULL), 3);
	end(s);
	munmap(st, sizeof(*st));
}

/* ---- readers beside writers ----------------------------------------------------------------- */

/* A value says in its first word what all its other words are. */
#define WORDS 24u

struct churn {
	u32 stop;
	u64 rounds;
};

static void churn(void *arg)
{
	struct churn *c = arg;
	struct ipk_segment *own;
	struct ipk_stack *s = open_stack(&own);
	u64 val[WORDS], seed = (u64)getpid();
	struct ipk_stack_lease l;

	while (!ipk_ld(&c->stop, relaxed)) {
		u64 word = ipk_add(&c->rounds, 1, relaxed);
		size_t n = 1 + seeded(&seed) % WORDS;

		for (size_t i = 0; i < n; i++)
			val[i] = word;
		ipk_stack_push(s, val, n * 8, IPK_NOWAIT);
		if (word % 3 == 0 && ipk_stack_lease(s, &l, IPK_NOWAIT) == 0)
			must((word % 2 ? ipk_stack_nack(s, &l) : ipk_stack_ack(s, &l)) == 0);
		if (word % 4)
			ipk_stack_pop(s, val, sizeof(val), NULL, IPK_NOWAIT);
	}
	ipk_stack_close(s);
	ipk_segment_close(own);
}

static void must_be_whole(const void *data, u64 len)
{
	u64 val[WORDS];

	assert_true(len >= 8 && len <= sizeof(val) && len % 8 == 0);
	memcpy(val, data, len);
	for (u64 i = 1; i < len / 8; i++)
		assert_int_equal(val[i], val[0]);
}

static int whole_item(void *arg, const struct ipk_item *item)
{
	++*(u64 *)arg;
	must_be_whole(item->data, item->len);
	return 0;
}

static void readers_see_whole_values(void **state)
{
	struct churn *c = shared(sizeof(*c));
	struct ipk_stack *s = make("bytes", 6), *r;
	struct ipk_segment *reader;
	struct ipk_stack_item item;
	u64 val[WORDS], seen = 0, before;
	pid_t pid[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		pid[i] = spawn(churn, c);
	assert_int_equal(ipk_segment_open("s", IPK_READ, &reader, NULL), 0);
	assert_int_equal(ipk_stack_open(reader, "x", NULL, &r, NULL), 0);
	for (int i = 0; i < 200; i++) {
		struct look l;

		before = ipk_ld(&c->rounds, relaxed);
		await(ipk_ld(&c->rounds, relaxed) > before);
		for (int k = 0; k < 50; k++)
			if (ipk_stack_peek(r, val, sizeof(val), &item) == 0)
				must_be_whole(val, item.len);
		look(&l, "s", "x");
		assert_int_equal(l.kind->items(&l.o, 0, UINT64_MAX, whole_item, &seen), 0);
		look_end(&l);
	}
	ipk_st(&c->stop, 1, relaxed);
	for (int i = 0; i < 2; i++)
		assert_ended_well(join_child(pid[i]));
	ipk_stack_close(r);
	ipk_segment_close(reader);
	end(s);
	munmap(c, sizeof(*c));
}

/* ---- a ledger ------------------------------------------------------------------------------- */

#define VALUES 200000u

struct ledger {
	u64 next;          /* the next value to be pushed */
	u8 pushed[VALUES]; /* acknowledged */
	u8 seen[VALUES];   /* 1 leased, 2 acknowledged */
	u32 stop;
};

static void lease_and_ack(void *arg)
{
	struct ledger *all = arg;
	struct ipk_segment *own;
	struct ipk_stack *s = open_stack(&own);
	struct ipk_stack_lease l;

	while (!ipk_ld(&all->stop, relaxed)) {
		u64 val = ipk_add(&all->next, 1, relaxed);

		if (val < VALUES && ipk_stack_push(s, &val, 8, IPK_NOWAIT) == 0)
			all->pushed[val] = 1;
		if (ipk_stack_lease(s, &l, IPK_NOWAIT) < 0)
			continue;
		memcpy(&val, l.data, 8);
		must(val < VALUES && all->seen[val] != 2);
		must(all->seen[val] == 0 || l.redelivered);
		all->seen[val] = 1;
		must(ipk_stack_ack(s, &l) == 0);
		all->seen[val] = 2;
	}
	ipk_stack_close(s);
	ipk_segment_close(own);
}

static void kills_lose_nothing_and_repeat_nothing_unmarked(void **state)
{
	struct ledger *all = shared(sizeof(*all));
	struct ipk_stack *s = make("u64", 32);
	u64 seed = 5, val;
	pid_t pid[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		pid[i] = spawn(lease_and_ack, all);
	for (int k = 0; k < 60; k++) {
		u64 enough = ipk_ld(&all->next, relaxed) + 1 + seeded(&seed) % 300;

		await(ipk_ld(&all->next, relaxed) >= enough || enough >= VALUES);
		kill_child(pid[k % 2]);
		pid[k % 2] = spawn(lease_and_ack, all);
	}
	ipk_st(&all->stop, 1, relaxed);
	for (int i = 0; i < 2; i++)
		assert_ended_well(join_child(pid[i]));
	ipk_segment_sweep(seg);
	while (ipk_stack_pop(s, &val, 8, NULL, IPK_NOWAIT) == 0) {
		/* Killed between the acknowledgement and its note: 1. */
		assert_true(val < VALUES && all->seen[val] != 2);
		all->seen[val] = 2;
	}
	for (u64 i = 0; i < VALUES; i++)
		if (all->pushed[i] && !all->seen[i])
			fail_msg("value %llu was acknowledged and is lost", (unsigned long long)i);
	end(s);
	munmap(all, sizeof(*all));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_the_dead_had_leased_lies_as_before_and_is_marked),
		TEST(who_does_not_wait_finds_what_the_dead_had),
		TEST(a_waiter_gets_what_comes_back_from_the_dead),
		TEST(sleepers_are_woken_by_an_item_by_room_and_by_the_end),
		TEST(the_next_one_finishes_what_the_dead_had_decided),
		TEST(a_stopped_process_holds_up_changes_and_no_look),
		TEST(readers_see_whole_values),
		TEST(kills_lose_nothing_and_repeat_nothing_unmarked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
