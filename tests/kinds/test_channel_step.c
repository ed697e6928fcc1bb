/* SPDX-License-Identifier: MIT */
/*
 * A victim is single-stepped through a meeting with a partner, and killed right after one of its
 * changes: each of them with IPK_TEST_LONG=1, else some. The two have met or they have not, in the
 * eyes of everybody.
 */
#include "channel_test.h"

#include <sys/ptrace.h>

#define STEPS_MAX 200000u

/* What partner and victim say of themselves. */
struct stage {
	u32 which, value, ended; /* of the partner; value is what it received */
	u32 victim;              /* 1 + the case that the victim has done, when it knows */
	u32 met;                 /* the test was the victim's partner */
};

static struct stage *stage;
static struct ipk_channel *x, *y;

/* ---- the players --------------------------------------------------------------------- */

static void partner_receives(void *arg)
{
	u64 v;

	(void)arg;
	must(recv_u64(open_again("x"), &v, IPK_FOREVER) == 0);
	stage->value = (u32)v;
}

static void partner_sends(void *arg)
{
	(void)arg;
	must(send_u64(open_again("x"), 7, IPK_FOREVER) == 0);
}

static void partner_selects(void *arg)
{
	struct ipk_segment *mine = attach_again(IPK_WRITE);
	u64 v = 0, w = 9;
	struct ipk_channel_case cases[2] = {receives(open_channel(mine, "x"), &v),
					    sends(open_channel(mine, "y"), &w)};
	unsigned which;

	(void)arg;
	must(ipk_channel_select(cases, 2, &which, IPK_FOREVER) == 0);
	stage->which = which;
	stage->value = (u32)v;
}

/* The victim's channels, opened before it is stepped. */
static struct ipk_channel *vx, *vy;

static void victim_sends(void)
{
	if (send_u64(vx, 7, IPK_FOREVER) == 0)
		ipk_st(&stage->victim, 1, seq_cst);
}

static void victim_receives(void)
{
	u64 v;

	if (recv_u64(vx, &v, IPK_FOREVER) == 0 && v == 7)
		ipk_st(&stage->victim, 1, seq_cst);
}

static void victim_selects(void)
{
	u64 v, w = 7;
	struct ipk_channel_case cases[2] = {sends(vx, &w), receives(vy, &v)};
	unsigned which;

	if (ipk_channel_select(cases, 2, &which, IPK_FOREVER) == 0)
		ipk_st(&stage->victim, 1 + which, seq_cst);
}

static void victim_gives_up(void)
{
	u64 v, w = 7;
	struct ipk_channel_case cases[2] = {sends(vx, &w), receives(vy, &v)};

	ipk_channel_select(cases, 2, NULL, ipk_deadline(MS));
}

/* ---- what must hold afterwards ------------------------------------------------------- */

static void received_by_partner(pid_t partner)
{
	int r = send_u64(x, 8, IPK_NOWAIT);

	assert_true(r == 0 || r == -EAGAIN);
	assert_ended_well(join_child(partner));
	assert_int_equal(stage->value, r == 0 ? 8 : 7);
	assert_true(r != 0 || !stage->victim);
}

static void received_once(pid_t partner)
{
	u64 v = 0;
	int r = recv_u64(x, &v, IPK_NOWAIT);

	assert_true((r == 0 && v == 7) || r == -EAGAIN);
	assert_ended_well(join_child(partner));
	assert_true(r != 0 || !stage->victim);
}

static void met_in_one_case(pid_t partner)
{
	int r = send_u64(x, 8, IPK_NOWAIT);

	assert_true(r == 0 || r == -EAGAIN);
	assert_ended_well(join_child(partner));
	if (r == 0)
		assert_true(stage->which == 0 && stage->value == 8 && !stage->victim);
	else if (stage->which == 0)
		assert_true(stage->value == 7 && stage->victim != 2);
	else
		assert_true(stage->victim != 1);
}

static void nothing_happened(pid_t partner)
{
	(void)partner;
	assert_int_equal(stage->victim, 0);
}

static void received_or_back(pid_t partner)
{
	u64 v = 0;
	int r = recv_u64(x, &v, IPK_NOWAIT);

	(void)partner;
	assert_true((r == 0 && v == 7) || r == -EAGAIN);
	assert_true(r != 0 || (stage->met && !stage->victim));
}

struct scene {
	void (*partner)(void *arg); /* or NULL */
	void (*victim)(void);
	void (*after)(pid_t partner);
	bool met_by_test; /* that sends to the victim as soon as it offers to receive */
	unsigned some[2]; /* deaths without IPK_TEST_LONG */
};

/* ---- stepping ------------------------------------------------------------------------ */

static pid_t start_victim(const struct scene *scene)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		struct ipk_segment *mine = attach_again(IPK_WRITE);
		int error;

		ipk_wait_spins = false;
		vx = open_channel(mine, "x");
		vy = open_channel(mine, "y");
		must(vx && vy && ipk_self(mine, &error));
		must(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
		raise(SIGSTOP);
		scene->victim();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	return pid;
}

/* False: it has ended. */
static bool step(pid_t pid)
{
	int status;

	assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, 0, 0), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSTOPPED(status);
}

/* Changes of the segment's header, where every transaction passes through, and of x. */
static u64 glance(void)
{
	u64 *p = (void *)seg->base;
	u64 sum = 0;

	for (size_t i = 0; i < sizeof(struct ipk_header) / 8; i++)
		sum = (sum ^ ipk_ld(&p[i], relaxed)) * UINT64_C(0x9e3779b97f4a7c15);
	p = (void *)x->b;
	for (size_t i = 0; i < sizeof(*x->b) / 8; i++)
		sum = (sum ^ ipk_ld(&p[i], relaxed)) * UINT64_C(0x9e3779b97f4a7c15);
	return sum;
}

static void meet(void)
{
	if (!stage->met && ipk_ld(&x->b->first_offer, acquire) &&
	    !(ipk_ld(&ipk_header(seg)->lock, acquire) & IPK_LOCK_OWNER) &&
	    send_u64(x, 7, IPK_NOWAIT) == 0)
		stage->met = 1;
}

/* Kills the victim after its change number at. Returns how many there were. */
static unsigned play(const struct scene *scene, unsigned at)
{
	unsigned changes = 0, steps = 0;
	pid_t partner = 0, victim;
	u64 used, before, now;
	bool ended = false;

	memset(stage, 0, sizeof(*stage));
	x = make("u64", 0);
	y = make_named("y", "u64", 0);
	used = info_of("s").used;
	if (scene->partner) {
		partner = spawn(scene->partner, NULL);
		await(ipk_ld(&x->b->first_offer, acquire));
		if (scene->partner == partner_selects)
			await(ipk_ld(&y->b->first_offer, acquire));
		/* Asleep, or about to: nobody else steps on. */
		await(info_of("s").attached == 2);
	}
	victim = start_victim(scene);
	before = glance();
	while (changes < at && !ended) {
		ended = !step(victim);
		if (++steps > STEPS_MAX)
			fail_msg("it never ends");
		if (!ended && scene->met_by_test)
			meet();
		now = glance();
		changes += now != before;
		before = now;
	}
	if (!ended)
		kill_child(victim);
	ipk_segment_sweep(seg);
	assert_int_equal(findings_of("s", "x").n, 0);
	assert_int_equal(findings_of("s", "y").n, 0);
	scene->after(partner);
	ipk_segment_sweep(seg);
	assert_at_rest("x", x);
	assert_at_rest("y", y);
	assert_int_equal(ipk_channel_count(x), 0);
	assert_int_equal(info_of("s").used, used);
	ipk_channel_close(x);
	ipk_channel_close(y);
	assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
	assert_int_equal(ipk_object_remove(seg, "y", NULL), 0);
	return changes;
}

static void play_all(const struct scene *scene)
{
	const char *text = getenv("IPK_TEST_LONG");
	unsigned n;

	stage = shared(sizeof(*stage));
	if (text && strcmp(text, "1") == 0) {
		n = play(scene, UINT32_MAX);
		assert_true(n > 10);
		for (unsigned at = 0; at < n; at++)
			play(scene, at);
	}
	for (unsigned i = 0; i < 2; i++)
		play(scene, scene->some[i]);
	munmap(stage, sizeof(*stage));
}

static void a_sender_dies_while_it_meets_a_receiver(void **state)
{
	(void)state;
	play_all(&(struct scene){
		partner_receives, victim_sends, received_by_partner, false, {5, 16}});
}

static void a_receiver_dies_while_it_meets_a_sender(void **state)
{
	(void)state;
	play_all(&(struct scene){partner_sends, victim_receives, received_once, false, {8, 18}});
}

static void a_select_dies_while_it_meets_a_select(void **state)
{
	(void)state;
	play_all(&(struct scene){partner_selects, victim_selects, met_in_one_case, false, {6, 17}});
}

static void a_select_dies_while_it_offers_and_gives_up(void **state)
{
	(void)state;
	play_all(&(struct scene){NULL, victim_gives_up, nothing_happened, false, {30, 60}});
}

static void a_receiver_dies_with_what_was_handed_to_it(void **state)
{
	(void)state;
	play_all(&(struct scene){NULL, victim_receives, received_or_back, true, {33, 52}});
}

/* ---- nobody dies --------------------------------------------------------------------- */

static void victim_chooses(void)
{
	u64 v, w = 7;
	struct ipk_channel_case cases[2] = {sends(vx, &w), receives(vy, &v)};
	unsigned which;

	if (ipk_channel_select(cases, 2, &which, IPK_FOREVER) == 0)
		ipk_st(&stage->victim, 1 + which, seq_cst);
}

/* From the moment on at which it took something from y until it has ended, nobody gets 7 from x. */
static void a_select_that_has_decided_offers_nothing_more(void **state)
{
	const struct scene scene = {.victim = victim_chooses};
	bool given = false;
	unsigned tries = 0, steps = 0;
	pid_t victim;
	u64 v;

	(void)state;
	stage = shared(sizeof(*stage));
	x = make("u64", 0);
	y = make_named("y", "u64", 1);
	victim = start_victim(&scene);
	while (step(victim)) {
		if (ipk_ld(&ipk_header(seg)->lock, acquire) & IPK_LOCK_OWNER)
			continue;
		if (!given && ipk_ld(&x->b->first_offer, acquire)) {
			assert_int_equal(send_u64(y, 9, IPK_NOWAIT), 0);
			given = true;
		} else if (given && ipk_channel_count(y) == 0 && steps++ % 40 == 0) {
			/* Not always: it could never take the lock itself. */
			assert_int_equal(recv_u64(x, &v, IPK_NOWAIT), -EAGAIN);
			tries++;
		}
	}
	assert_true(tries > 3);
	assert_int_equal(stage->victim, 2);
	assert_at_rest("x", x);
	ipk_channel_close(x);
	ipk_channel_close(y);
	munmap(stage, sizeof(*stage));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_sender_dies_while_it_meets_a_receiver),
		TEST(a_receiver_dies_while_it_meets_a_sender),
		TEST(a_select_dies_while_it_meets_a_select),
		TEST(a_select_dies_while_it_offers_and_gives_up),
		TEST(a_receiver_dies_with_what_was_handed_to_it),
		TEST(a_select_that_has_decided_offers_nothing_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
