/* SPDX-License-Identifier: MIT */
/* Processes that are killed anywhere, against a ledger. */
#include "channel_test.h"

#define NUMBERS 256u /* processes, one after the other */
#define PER_PROCESS 4096u
#define AT_ONCE 4u
#define KILLS 40u

struct ledger {
	u8 tried[NUMBERS][PER_PROCESS], sent[NUMBERS][PER_PROCESS], seen[NUMBERS][PER_PROCESS];
	u32 received;
};

struct role {
	struct ledger *l;
	unsigned number;
};

static const char *const names[3] = {"x", "y", "z"};

static void note(struct ledger *l, u64 v)
{
	u64 number = v >> 32, i = v & UINT32_MAX;

	must(number < NUMBERS && i < PER_PROCESS);
	must(ipk_ld(&l->tried[number][i], seq_cst) == 1);    /* nothing that nobody sent */
	must(ipk_add(&l->seen[number][i], 1, seq_cst) == 0); /* nothing twice */
	ipk_add(&l->received, 1, seq_cst);
}

/* Sends and receives whatever can be done; x and y are rendezvous, z has a buffer. */
static void trade(void *arg)
{
	struct role *role = arg;
	struct ledger *l = role->l;
	struct ipk_segment *mine = attach_again(IPK_WRITE);
	struct ipk_channel *ch[3];
	u64 got[3], next = 0;

	for (int i = 0; i < 3; i++)
		ch[i] = open_channel(mine, names[i]);
	for (;;) {
		u64 v = (u64)role->number << 32 | next;
		struct ipk_channel_case cases[6];
		unsigned n = 0, which;

		for (int i = 0; i < 3; i++)
			cases[n++] = receives(ch[i], &got[i]);
		for (int i = 0; i < 3 && next < PER_PROCESS; i++)
			cases[n++] = sends(ch[i], &v);
		if (next < PER_PROCESS)
			ipk_st(&l->tried[role->number][next], 1, seq_cst);
		must(ipk_channel_select(cases, n, &which, IPK_FOREVER) == 0);
		if (which < 3)
			note(l, got[which]);
		else
			ipk_st(&l->sent[role->number][next++], 1, seq_cst);
	}
}

/* What a killed process had just received and not yet noted is gone with it, one value at most. */
static void settle_ledger(struct ledger *l, unsigned deaths)
{
	unsigned lost = 0, sent = 0;

	for (unsigned p = 0; p < NUMBERS; p++)
		for (unsigned i = 0; i < PER_PROCESS; i++) {
			assert_true(l->seen[p][i] <= 1);
			sent += l->sent[p][i];
			lost += l->sent[p][i] && !l->seen[p][i];
		}
	assert_true(sent > 0);
	if (lost > deaths)
		fail_msg("%u of %u values are lost, with %u deaths", lost, sent, deaths);
}

static void traders_may_be_killed_anywhere(void **state)
{
	struct ledger *l = shared(sizeof(*l));
	struct ipk_channel *ch[3];
	pid_t pid[AT_ONCE];
	unsigned number = 0;
	u64 seed = 7, v, before;

	(void)state;
	for (int i = 0; i < 3; i++)
		ch[i] = make_named(names[i], "u64", i == 2 ? 3 : 0);
	before = info_of("s").used;
	for (unsigned i = 0; i < AT_ONCE; i++)
		pid[i] = spawn(trade, &(struct role){l, number++});
	for (unsigned kills = 0; kills < KILLS; kills++) {
		unsigned i = seeded(&seed) % AT_ONCE;
		u32 received = ipk_ld(&l->received, seq_cst);

		/* Those who are left trade on. */
		await(ipk_ld(&l->received, seq_cst) > received + seeded(&seed) % 20);
		kill_child(pid[i]);
		pid[i] = spawn(trade, &(struct role){l, number++});
	}
	for (unsigned i = 0; i < AT_ONCE; i++)
		kill_child(pid[i]);
	ipk_segment_sweep(seg);
	for (int i = 0; i < 3; i++) {
		while (recv_u64(ch[i], &v, IPK_NOWAIT) == 0)
			note(l, v);
		assert_at_rest(names[i], ch[i]);
		assert_int_equal(ipk_channel_count(ch[i]), 0);
		assert_int_equal(send_u64(ch[i], 1, IPK_NOWAIT), i == 2 ? 0 : -EAGAIN);
		if (i == 2)
			assert_int_equal(recv_u64(ch[i], &v, IPK_NOWAIT), 0);
	}
	assert_int_equal(info_of("s").used, before);
	settle_ledger(l, KILLS + AT_ONCE);
	for (int i = 0; i < 3; i++)
		ipk_channel_close(ch[i]);
	munmap(l, sizeof(*l));
}

struct stage {
	u32 ready, got;
};

static void offer_on_two(void *arg)
{
	struct ipk_segment *mine = attach_again(IPK_WRITE);
	u64 v = 5;
	struct ipk_channel_case cases[2] = {sends(open_channel(mine, "x"), &v),
					    sends(open_channel(mine, "y"), &v)};

	(void)arg;
	ipk_channel_select(cases, 2, NULL, IPK_FOREVER);
}

static void receive_one(void *arg)
{
	struct stage *s = arg;
	u64 v;

	must(recv_u64(open_again("x"), &v, IPK_FOREVER) == 0);
	ipk_st(&s->got, (u32)v, seq_cst);
}

static void a_dead_ones_offers_are_withdrawn(void **state)
{
	struct stage *s = shared(sizeof(*s));
	struct ipk_channel *x = make("u64", 0), *y = make_named("y", "u64", 0);
	u64 used = info_of("s").used, v;
	pid_t pid;

	(void)state;
	pid = spawn(offer_on_two, NULL);
	await(ipk_ld(&x->b->first_offer, acquire) && ipk_ld(&y->b->first_offer, acquire));
	kill_child(pid);
	assert_int_equal(recv_u64(x, &v, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(recv_u64(y, &v, IPK_NOWAIT), -EAGAIN);
	ipk_segment_sweep(seg);
	assert_at_rest("x", x);
	assert_at_rest("y", y);
	assert_int_equal(info_of("s").used, used);

	pid = spawn(receive_one, s);
	await(ipk_ld(&x->b->first_offer, acquire));
	kill_child(pid);
	assert_int_equal(send_u64(x, 1, IPK_NOWAIT), -EAGAIN);
	/* And the next one finds who lives. */
	pid = spawn(receive_one, s);
	while (send_u64(x, 2, IPK_NOWAIT) == -EAGAIN)
		nap();
	assert_ended_well(join_child(pid));
	assert_int_equal(s->got, 2);
	ipk_segment_sweep(seg);
	assert_at_rest("x", x);
	assert_int_equal(info_of("s").used, used);
	ipk_channel_close(x);
	ipk_channel_close(y);
	munmap(s, sizeof(*s));
}

/* It was handed to somebody who never woke up: another has it. */
static void what_was_handed_to_a_dead_sleeper_is_received_by_another(void **state)
{
	struct stage *s = shared(sizeof(*s));
	struct ipk_channel *x = make("u64", 0);
	pid_t pid;
	u64 v = 0;

	(void)state;
	pid = spawn(receive_one, s);
	await(ipk_ld(&x->b->first_offer, acquire));
	await(ipk_ld(&x->b->items, acquire) & IPK_EV_W);
	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
	/* It may have been stopped on its way, with the lock: then there is nobody to give it to.
	 */
	if (send_u64(x, 9, IPK_NOWAIT) == 0) {
		kill_child(pid);
		assert_int_equal(recv_u64(x, &v, ipk_deadline(LIMIT_NS)), 0);
		assert_int_equal(v, 9);
	} else {
		kill_child(pid);
	}
	assert_int_equal(s->got, 0);
	ipk_segment_sweep(seg);
	assert_at_rest("x", x);
	assert_int_equal(recv_u64(x, &v, IPK_NOWAIT), -EAGAIN);
	ipk_channel_close(x);
	munmap(s, sizeof(*s));
}

static void receive_the_end(void *arg)
{
	u32 *there = arg;
	u64 v;

	must(recv_u64(open_again("x"), &v, IPK_FOREVER) == -EPIPE);
	ipk_st(there, 1u, seq_cst);
}

/* A sleeper is stopped with a value handed to it; what follows is not the end before it has that,
 * or is dead. */
static void the_end_comes_behind_what_a_sleeper_was_handed(void **state)
{
	struct stage *s = shared(sizeof(*s));
	u32 *ended = shared(sizeof(*ended));
	int handed = 0;

	(void)state;
	for (int round = 0; round < 20; round++) {
		struct ipk_channel *x = make("u64", 0);
		bool dies = round % 2;
		pid_t pid, other;
		u64 v = 0;
		int r;

		s->got = *ended = 0;
		pid = spawn(receive_one, s);
		await(ipk_ld(&x->b->first_offer, acquire));
		await(ipk_ld(&x->b->items, acquire) & IPK_EV_W);
		stop_child(pid);
		r = send_u64(x, 9, IPK_NOWAIT);
		if (r == 0) {
			handed++;
			assert_int_equal(ipk_channel_shutdown(x), 0);
			assert_int_equal(recv_u64(x, &v, IPK_NOWAIT), -EAGAIN);
			other = dies ? 0 : spawn(receive_the_end, ended);
			if (dies) {
				kill_child(pid);
				assert_int_equal(recv_u64(x, &v, ipk_deadline(LIMIT_NS)), 0);
				assert_int_equal(v, 9);
			} else {
				usleep(5000);
				assert_int_equal(*ended, 0);
				assert_int_equal(kill(pid, SIGCONT), 0);
				assert_ended_well(join_child(pid));
				assert_int_equal(s->got, 9);
				assert_ended_well(join_child(other));
			}
			assert_int_equal(recv_u64(x, &v, IPK_NOWAIT), -EPIPE);
		} else {
			kill_child(pid);
		}
		ipk_segment_sweep(seg);
		assert_at_rest("x", x);
		ipk_channel_close(x);
		assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
	}
	assert_true(handed > 0);
	munmap(s, sizeof(*s));
	munmap(ended, sizeof(*ended));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(traders_may_be_killed_anywhere),
		TEST(a_dead_ones_offers_are_withdrawn),
		TEST(what_was_handed_to_a_dead_sleeper_is_received_by_another),
		TEST(the_end_comes_behind_what_a_sleeper_was_handed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
