/* SPDX-License-Identifier: MIT */
#include "fixture_one.h"

#include <pthread.h>

#include "ipk/barrier.h"
#include "kinds/barrier.h"

#define PARTIES 4u

static struct ipk_barrier *make(u64 parties, bool leave)
{
	struct ipk_error err = { 0 };
	struct ipk_barrier *b = NULL;

	if (ipk_barrier_create(seg, "x", parties, leave, &err) < 0 ||
	    ipk_barrier_open(seg, "x", &b, &err) < 0)
		fail_msg("%s", err.text);
	return b;
}

static u64 arrived(struct ipk_barrier *b)
{
	u64 n;

	ipk_barrier_generation(b, &n);
	return n;
}

/* It read the generation, was stopped, and the barrier opened meanwhile. */
static void a_late_arrival_takes_no_later_one_away(void **state)
{
	struct ipk_barrier *b = make(2, false);

	(void)state;
	for (u64 n = 0; n < 3; n++)
		assert_int_equal(ipk_barrier_arrive(b), 0);
	assert_int_equal(ipk_barrier_generation(b, NULL), 1);
	assert_int_equal(arrived(b), 1);
	for (u32 i = 0; i < 2; i++) {
		assert_false(ipk_bar_take(&b->s, i, IPK_PLACE_NOBODY, 0, false));
		assert_false(ipk_bar_take(&b->s, i, (u64)self_of(seg)->slot + 1, 0, false));
	}
	assert_int_equal(arrived(b), 1);
	assert_int_equal(ipk_barrier_wait(b, IPK_NOWAIT), 0);
	assert_int_equal(ipk_barrier_generation(b, NULL), 2);
	ipk_barrier_close(b);
	assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
}

static void the_last_arrival_opens_it(void **state)
{
	struct ipk_barrier *b = make(3, false);

	(void)state;
	assert_int_equal(ipk_barrier_watch(b, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_barrier_arrive(b), 0);
	assert_int_equal(ipk_barrier_arrive(b), 0);
	assert_int_equal(arrived(b), 2);
	assert_int_equal(ipk_barrier_reset(b), -EBUSY);
	assert_int_equal(ipk_barrier_generation(b, NULL), 0);
	assert_int_equal(ipk_barrier_wait(b, IPK_NOWAIT), 0);
	assert_int_equal(ipk_barrier_generation(b, NULL), 1);
	assert_int_equal(arrived(b), 0);
	/* The place is still this thread's: two are left for nobody. */
	assert_int_equal(ipk_barrier_arrive(b), 0);
	assert_int_equal(ipk_barrier_arrive(b), 0);
	assert_int_equal(ipk_barrier_arrive(b), -EDQUOT);
	assert_int_equal(ipk_barrier_leave(b), 0);
	assert_int_equal(ipk_barrier_leave(b), -ENOENT);
	assert_int_equal(ipk_barrier_arrive(b), 0);
	assert_int_equal(ipk_barrier_generation(b, NULL), 2);
	assert_int_equal(findings_of("s", "x").n, 0);
	ipk_barrier_close(b);
}

static void an_arrival_that_timed_out_does_not_count(void **state)
{
	struct ipk_barrier *b = make(2, false);

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ipk_barrier_wait(b, IPK_NOWAIT), -EAGAIN);
		assert_int_equal(ipk_barrier_wait(b, ipk_deadline(MS)), -ETIMEDOUT);
		assert_int_equal(arrived(b), 0);
	}
	assert_int_equal(ipk_barrier_arrive(b), 0);
	assert_int_equal(ipk_barrier_generation(b, NULL), 0);
	assert_int_equal(ipk_barrier_wait(b, IPK_NOWAIT), 0);
	ipk_barrier_close(b);
}

static void absurd_numbers_and_damage_are_refused(void **state)
{
	struct ipk_barrier *b, *other;

	(void)state;
	assert_true(ipk_barrier_create(seg, "x", 0, false, NULL) < 0);
	assert_true(ipk_barrier_create(seg, "x", 65536, false, NULL) < 0);
	assert_true(ipk_barrier_create(seg, "x", UINT64_MAX, false, NULL) < 0);
	b = make(65535, false);
	assert_int_equal(ipk_barrier_arrive(b), 0);
	b->s.place[9] = 0x3ffe;
	assert_int_equal(findings_of("s", "x").n, 1);
	b->s.place[9] = 0;
	b->s.body->parties = 0;
	assert_int_equal(ipk_barrier_open(seg, "x", &other, NULL), -EBADMSG);
	assert_int_equal(findings_of("s", "x").n, 1);
	ipk_barrier_close(b);
}

static void who_may_only_read_watches(void **state)
{
	struct ipk_barrier *b = make(1, false), *theirs = NULL;
	struct ipk_segment *ro;

	(void)state;
	assert_int_equal(ipk_segment_open("s", IPK_READ, &ro, NULL), 0);
	assert_int_equal(ipk_barrier_open(ro, "x", &theirs, NULL), 0);
	assert_int_equal(ipk_barrier_wait(theirs, IPK_NOWAIT), -EACCES);
	assert_int_equal(ipk_barrier_arrive(theirs), -EACCES);
	assert_int_equal(ipk_barrier_reset(theirs), -EACCES);
	assert_int_equal(ipk_barrier_watch(theirs, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_barrier_watch(theirs, ipk_deadline(MS)), -ETIMEDOUT);
	ipk_barrier_close(theirs);
	ipk_segment_close(ro);
	ipk_barrier_close(b);
}

/* ---- many ------------------------------------------------------------------------------------ */

struct stage {
	u32 there;
	u64 limit; /* generations, or 0: for ever */
	u64 phase[PARTIES]; /* how many generations each has passed */
	u64 broken[PARTIES];
	bool leave;
	u32 number;
	int r;
};

static struct ipk_barrier *open_again(void)
{
	struct ipk_segment *mine = open_segment("s");
	struct ipk_barrier *b = NULL;

	if (mine)
		ipk_barrier_open(mine, "x", &b, NULL);
	return b;
}

/* Nobody is ever more than one generation ahead of another who takes part. */
static void march(void *arg)
{
	struct stage *s = arg;
	u32 number = s->number;
	struct ipk_barrier *b = open_again();
	u64 seed = (u64)getpid();
	int r;

	must(b);
	ipk_st(&s->there, 1u, seq_cst);
	for (u64 g = 0; g < s->limit; g++) {
		do {
			r = ipk_barrier_wait(b, seeded(&seed) % 3 ? IPK_FOREVER :
								    ipk_deadline(seeded(&seed) % 20000));
		} while (r == -ETIMEDOUT);
		must(r == 0);
		ipk_st(&s->phase[number], g + 1, seq_cst);
		for (u32 i = 0; i < PARTIES; i++) {
			u64 other = ipk_ld(&s->phase[i], seq_cst);

			must(other + 1 >= g + 1 && other <= g + 2);
		}
	}
	ipk_barrier_close(b);
}

static void nobody_goes_on_before_all_have_arrived(void **state)
{
	struct stage *s = shared(sizeof(*s));
	pid_t pid[PARTIES];

	(void)state;
	ipk_barrier_close(make(PARTIES, false));
	s->limit = 2000;
	for (u32 i = 0; i < PARTIES; i++) {
		s->number = i;
		pid[i] = spawn_ready(march, s, &s->there);
	}
	for (u32 i = 0; i < PARTIES; i++)
		assert_ended_well(join_child(pid[i]));
	assert_int_equal(findings_of("s", "x").n, 0);
	munmap(s, sizeof(*s));
}

/* ---- deaths ---------------------------------------------------------------------------------- */

static void wait_once(void *arg)
{
	struct stage *s = arg;
	struct ipk_barrier *b = open_again();

	must(b);
	s->r = ipk_barrier_wait(b, IPK_FOREVER);
}

static void a_party_that_dies_breaks_it_for_all(void **state)
{
	struct stage *s = shared(sizeof(*s)), *dead = shared(sizeof(*dead));
	struct ipk_barrier *b = make(3, false);
	pid_t victim, other;

	(void)state;
	victim = spawn(wait_once, dead);
	await(arrived(b) == 1);
	other = spawn(wait_once, s);
	await(arrived(b) == 2);
	kill_child(victim);
	assert_ended_well(join_child(other));
	assert_int_equal(s->r, -EOWNERDEAD);
	assert_int_equal(ipk_barrier_wait(b, IPK_FOREVER), -EOWNERDEAD);
	assert_int_equal(ipk_barrier_arrive(b), -EOWNERDEAD);
	assert_int_equal(ipk_barrier_watch(b, IPK_FOREVER), -EOWNERDEAD);
	/* The other ended in order: that breaks nothing once the barrier is whole again. */
	await(ipk_segment_sweep(seg) >= 0 && info_of("s").dead == 0);
	assert_int_equal(ipk_barrier_reset(b), 0);
	assert_int_equal(ipk_barrier_reset(b), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ipk_barrier_arrive(b), 0);
	assert_int_equal(ipk_barrier_generation(b, NULL), 2);
	assert_int_equal(findings_of("s", "x").n, 0);
	ipk_barrier_close(b);
	munmap(s, sizeof(*s));
	munmap(dead, sizeof(*dead));
}

static void a_party_that_dies_leaves_it_if_it_was_made_so(void **state)
{
	struct stage *s = shared(sizeof(*s)), *dead = shared(sizeof(*dead));
	struct ipk_barrier *b = make(3, true);
	pid_t victim, other;

	(void)state;
	victim = spawn(wait_once, dead);
	await(arrived(b) == 1);
	other = spawn(wait_once, s);
	await(arrived(b) == 2);
	kill_child(victim);
	/* Two are left, and one of them has arrived. */
	await(ipk_segment_sweep(seg) >= 0 && info_of("s").dead == 0);
	assert_int_equal(ipk_barrier_wait(b, IPK_FOREVER), 0);
	assert_ended_well(join_child(other));
	assert_int_equal(s->r, 0);
	/* Of those that ended, the one in order too was a party until its process was gone. */
	await(ipk_segment_sweep(seg) >= 0 && info_of("s").dead == 0);
	assert_int_equal(ipk_barrier_wait(b, IPK_FOREVER), 0);
	assert_int_equal(ipk_barrier_reset(b), 0);
	assert_int_equal(ipk_barrier_wait(b, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(findings_of("s", "x").n, 0);
	ipk_barrier_close(b);
	munmap(s, sizeof(*s));
	munmap(dead, sizeof(*dead));
}

/*
 * Who found it free, and was stopped before he took it, would fill it and leave a free one empty.
 */
static void a_place_that_the_dead_left_is_not_taken_for_a_free_one(void **state)
{
	struct stage *dead = shared(sizeof(*dead));
	struct ipk_barrier *b = make(3, true);
	u64 me = (u64)self_of(seg)->slot + 1;
	pid_t victim;

	(void)state;
	victim = spawn(wait_once, dead);
	await(arrived(b) == 1);
	kill_child(victim);
	await(ipk_segment_sweep(seg) >= 0 && info_of("s").dead == 0);
	assert_true(ipk_ld(&b->s.place[0], acquire) & IPK_PLACE_LEFT);
	assert_false(ipk_bar_take(&b->s, 0, me, 0, false));
	assert_false(ipk_bar_take(&b->s, 1, me, 0, true));
	for (u64 n = 0; n < 2; n++)
		assert_int_equal(ipk_barrier_arrive(b), 0);
	assert_int_equal(ipk_barrier_generation(b, NULL), 1);
	ipk_barrier_close(b);
	assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
	munmap(dead, sizeof(*dead));
}

static void a_barrier_that_all_have_left_does_not_open(void **state)
{
	struct stage *dead[2] = {shared(sizeof(struct stage)), shared(sizeof(struct stage))};
	struct ipk_barrier *b = make(3, true);
	pid_t victim[2];

	(void)state;
	for (u32 i = 0; i < 2; i++) {
		victim[i] = spawn(wait_once, dead[i]);
		await(arrived(b) == i + 1);
	}
	assert_int_equal(ipk_barrier_leave(b), -ENOENT);
	for (u32 i = 0; i < 2; i++)
		kill_child(victim[i]);
	await(ipk_segment_sweep(seg) >= 0 && info_of("s").dead == 0);
	assert_int_equal(arrived(b), 2);
	/* All three: by one more that waits and is killed. */
	victim[0] = spawn(wait_once, dead[0]);
	await(ipk_barrier_generation(b, NULL) == 1);
	assert_ended_well(join_child(victim[0]));
	await(ipk_segment_sweep(seg) >= 0 && info_of("s").dead == 0);
	for (int i = 0; i < 3; i++)
		ipk_barrier_recover(&b->obj);
	assert_int_equal(ipk_barrier_generation(b, NULL), 1);
	assert_int_equal(ipk_barrier_wait(b, IPK_NOWAIT), 0);
	assert_int_equal(ipk_barrier_generation(b, NULL), 2);
	ipk_barrier_close(b);
	for (u32 i = 0; i < 2; i++)
		munmap(dead[i], sizeof(struct stage));
}

static void a_reset_that_is_refused_changes_nothing(void **state)
{
	struct stage *dead = shared(sizeof(*dead));
	struct ipk_barrier *b = make(3, true);
	pid_t victim = spawn(wait_once, dead);

	(void)state;
	await(arrived(b) == 1);
	kill_child(victim);
	await(ipk_segment_sweep(seg) >= 0 && info_of("s").dead == 0);
	assert_int_equal(ipk_barrier_arrive(b), 0);
	assert_int_equal(arrived(b), 2);
	assert_int_equal(ipk_barrier_reset(b), -EBUSY);
	/* The dead one's place still is LEFT: the second of two opens it. */
	assert_int_equal(ipk_barrier_arrive(b), 0);
	assert_int_equal(ipk_barrier_generation(b, NULL), 1);
	ipk_barrier_close(b);
	munmap(dead, sizeof(*dead));
}

static void take_part(void *arg)
{
	struct stage *s = arg;
	u32 number = s->number;
	struct ipk_barrier *b = open_again();
	int r;

	must(b);
	ipk_st(&s->there, 1u, seq_cst);
	for (;;) {
		r = ipk_barrier_wait(b, IPK_FOREVER);
		/* The dead may not have been noticed yet when their successor comes. */
		must(r == 0 || r == -EDQUOT || (r == -EOWNERDEAD && !s->leave));
		if (r == 0)
			ipk_add(&s->phase[number], 1, seq_cst);
		if (r == -EOWNERDEAD) {
			r = ipk_barrier_reset(b);
			must(r == 0 || r == -EBUSY);
		}
		if (r != 0)
			nap();
	}
}

static pid_t start(struct stage *s, u32 number)
{
	s->number = number;
	return spawn_ready(take_part, s, &s->there);
}

static void kill_at_random(bool leave)
{
	struct stage *s = shared(sizeof(*s));
	pid_t pid[PARTIES];
	u64 seed = 9;

	s->leave = leave;
	ipk_barrier_close(make(PARTIES, leave));
	for (u32 i = 0; i < PARTIES; i++)
		pid[i] = start(s, i);
	for (int kills = 0; kills < 100; kills++) {
		u32 i = seeded(&seed) % PARTIES;
		u64 before = ipk_ld(&s->phase[i], seq_cst);

		await(ipk_ld(&s->phase[i], seq_cst) > before);
		for (u32 spin = seeded(&seed) % 2000; spin; spin--)
			ipk_pause();
		kill_child(pid[i]);
		pid[i] = start(s, i);
	}
	for (u32 i = 0; i < PARTIES; i++) {
		u64 before = ipk_ld(&s->phase[i], seq_cst);

		await(ipk_ld(&s->phase[i], seq_cst) > before + 5);
	}
	for (u32 i = 0; i < PARTIES; i++)
		kill_child(pid[i]);
	await(ipk_segment_sweep(seg) >= 0 && info_of("s").dead == 0);
	assert_int_equal(findings_of("s", "x").n, 0);
	munmap(s, sizeof(*s));
}

static void it_goes_on_through_100_kills_that_break_it(void **state)
{
	(void)state;
	kill_at_random(false);
}

static void it_goes_on_through_100_kills_that_leave_it(void **state)
{
	(void)state;
	kill_at_random(true);
}

static void the_verbs_arrive_and_watch(void **state)
{
	(void)state;
	ipk_barrier_close(make(2, false));
	verb_does("barrier", "wait", NULL, -EAGAIN, NULL);
	for (int i = 0; i < 2; i++)
		verb_does("barrier", "arrive", NULL, 0, NULL);
	verb_does("barrier", "get", NULL, 0, "1\n");
	verb_does("barrier", "reset", NULL, 0, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_late_arrival_takes_no_later_one_away),
		TEST(the_last_arrival_opens_it),
		TEST(an_arrival_that_timed_out_does_not_count),
		TEST(absurd_numbers_and_damage_are_refused),
		TEST(who_may_only_read_watches),
		TEST(nobody_goes_on_before_all_have_arrived),
		TEST(a_party_that_dies_breaks_it_for_all),
		TEST(a_party_that_dies_leaves_it_if_it_was_made_so),
		TEST(a_place_that_the_dead_left_is_not_taken_for_a_free_one),
		TEST(a_barrier_that_all_have_left_does_not_open),
		TEST(a_reset_that_is_refused_changes_nothing),
		TEST(it_goes_on_through_100_kills_that_break_it),
		TEST(it_goes_on_through_100_kills_that_leave_it),
		TEST(the_verbs_arrive_and_watch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
