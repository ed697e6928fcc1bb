/* SPDX-License-Identifier: MIT */
/* Real processes against a ledger: nothing lost, nothing twice, the order of each sender, and
 * meeting. */
#include "channel_test.h"

#define SENDERS 3u
#define PER_SENDER 300u

struct ledger {
	u32 begun;    /* receives */
	u32 returned; /* sends */
	u32 received;
	u32 ended;
	u32 seen[SENDERS * 4][PER_SENDER];
	u32 sent[SENDERS * 4][PER_SENDER];
};

struct role {
	struct ledger *l;
	unsigned number;
};

static u64 value_of(unsigned number, u64 i)
{
	return (u64)number << 32 | i;
}

static void note(struct ledger *l, u64 v)
{
	must(v >> 32 < SENDERS * 4 && (u32)v < PER_SENDER);
	must(ipk_add(&l->seen[v >> 32][(u32)v], 1, seq_cst) == 0); /* nothing twice */
	ipk_add(&l->received, 1, seq_cst);
}

/* ---- many senders, many receivers ---------------------------------------------------- */

static void send_all(void *arg)
{
	struct role *role = arg;
	struct ipk_channel *ch = open_again("x");

	for (u64 i = 0; i < PER_SENDER; i++)
		must(send_u64(ch, value_of(role->number, i), IPK_FOREVER) == 0);
}

static void receive_all(void *arg)
{
	struct role *role = arg;
	struct ipk_channel *ch = open_again("x");
	u64 next[SENDERS] = {0}, v;
	int r;

	while ((r = recv_u64(ch, &v, IPK_FOREVER)) == 0) {
		note(role->l, v);
		must((u32)v >= next[v >> 32]); /* each sender's order */
		next[v >> 32] = (u32)v + 1;
	}
	must(r == -EPIPE);
}

static void pass_all(u64 cap)
{
	struct ledger *l = shared(sizeof(*l));
	struct ipk_channel *ch = make("u64", cap);
	pid_t sender[SENDERS], receiver[3];

	for (unsigned i = 0; i < 3; i++)
		receiver[i] = spawn(receive_all, &(struct role){l, i});
	for (unsigned i = 0; i < SENDERS; i++)
		sender[i] = spawn(send_all, &(struct role){l, i});
	for (unsigned i = 0; i < SENDERS; i++)
		assert_ended_well(join_child(sender[i]));
	assert_int_equal(ipk_channel_shutdown(ch), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_ended_well(join_child(receiver[i]));
	assert_int_equal(l->received, SENDERS * PER_SENDER);
	assert_at_rest("x", ch);
	ipk_channel_close(ch);
	assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
	munmap(l, sizeof(*l));
}

static void everything_sent_is_received_once_in_each_senders_order(void **state)
{
	(void)state;
	pass_all(5);
	pass_all(1);
	pass_all(0);
}

/* ---- meeting ------------------------------------------------------------------------- */

static void send_counted(void *arg)
{
	struct role *role = arg;
	struct ipk_channel *ch = open_again("x");

	for (u64 i = 0; i < PER_SENDER; i++) {
		must(send_u64(ch, value_of(role->number, i), IPK_FOREVER) == 0);
		/* Each send that has returned was received by a receive that had begun. */
		must(ipk_add(&role->l->returned, 1, seq_cst) < ipk_ld(&role->l->begun, seq_cst));
	}
}

static void receive_counted(void *arg)
{
	struct role *role = arg;
	struct ipk_channel *ch = open_again("x");
	u64 v;
	int r;

	for (;;) {
		ipk_add(&role->l->begun, 1, seq_cst);
		r = recv_u64(ch, &v, IPK_FOREVER);
		if (r < 0)
			break;
		note(role->l, v);
		if (v % 16 == 0)
			nap(); /* senders catch up and wait */
	}
	must(r == -EPIPE);
}

static void a_rendezvous_send_returns_only_after_its_receive(void **state)
{
	struct ledger *l = shared(sizeof(*l));
	struct ipk_channel *ch = make("u64", 0);
	pid_t sender[2], receiver[2];

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		sender[i] = spawn(send_counted, &(struct role){l, i});
	/* They wait, and none returns. */
	await(ipk_ld(&ch->b->first_offer, acquire) != ipk_ld(&ch->b->last_offer, acquire));
	assert_int_equal(ipk_ld(&l->returned, seq_cst), 0);
	for (unsigned i = 0; i < 2; i++)
		receiver[i] = spawn(receive_counted, &(struct role){l, i});
	for (unsigned i = 0; i < 2; i++)
		assert_ended_well(join_child(sender[i]));
	assert_int_equal(ipk_channel_shutdown(ch), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_ended_well(join_child(receiver[i]));
	assert_int_equal(l->received, 2 * PER_SENDER);
	assert_at_rest("x", ch);
	ipk_channel_close(ch);
	munmap(l, sizeof(*l));
}

static void send_until_closed(void *arg)
{
	struct role *role = arg;
	struct ipk_channel *ch = open_again("x");

	must(send_u64(ch, role->number, IPK_FOREVER) == -EPIPE);
	ipk_add(&role->l->ended, 1, seq_cst);
}

static void close_ends_who_waits_to_send_and_what_they_offered(void **state)
{
	struct ledger *l = shared(sizeof(*l));
	struct ipk_channel *ch = make("u64", 0);
	pid_t pid[3];
	u64 v;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		pid[i] = spawn(send_until_closed, &(struct role){l, i});
	await(ipk_ld(&ch->b->first_offer, acquire) != 0);
	assert_int_equal(ipk_channel_shutdown(ch), 0);
	assert_int_equal(recv_u64(ch, &v, IPK_NOWAIT), -EPIPE);
	for (unsigned i = 0; i < 3; i++)
		assert_ended_well(join_child(pid[i]));
	assert_int_equal(l->ended, 3);
	assert_at_rest("x", ch);
	ipk_channel_close(ch);
	munmap(l, sizeof(*l));
}

/* ---- selects that meet selects ------------------------------------------------------- */

#define MESH 4u /* processes */

static const char *const mesh_name[3] = {"x", "y", "z"};

/*
 * Each sends on each channel or receives from each, whatever can be done, until all of all have
 * been sent. x and y are rendezvous, z has a buffer of one.
 */
static void mesh(void *arg)
{
	struct role *role = arg;
	struct ledger *l = role->l;
	struct ipk_segment *mine = attach_again(IPK_WRITE);
	struct ipk_channel *ch[3];
	u64 next = 0, got[3];
	int r;

	for (int i = 0; i < 3; i++)
		ch[i] = open_channel(mine, mesh_name[i]);
	for (;;) {
		u64 v = value_of(role->number, next);
		struct ipk_channel_case cases[6];
		unsigned n = 0, which = 99;

		for (int i = 0; i < 3; i++)
			cases[n++] = receives(ch[i], &got[i]);
		for (int i = 0; i < 3 && next < PER_SENDER; i++)
			cases[n++] = sends(ch[(i + role->number) % 3], &v);
		r = ipk_channel_select(cases, n, &which, IPK_FOREVER);
		if (r < 0)
			break;
		must(which < n);
		if (which >= 3) {
			ipk_st(&l->sent[role->number][next++], 1, seq_cst);
			continue;
		}
		must(cases[which].ret_len == 8);
		/* Not from itself through a meeting; through z it may be. */
		must(which == 2 || got[which] >> 32 != role->number);
		note(l, got[which]);
	}
	must(r == -EPIPE);
}

static void selects_that_meet_do_one_thing_each(void **state)
{
	struct ledger *l = shared(sizeof(*l));
	struct ipk_channel *ch[3];
	pid_t pid[MESH];

	(void)state;
	for (int i = 0; i < 3; i++)
		ch[i] = make_named(mesh_name[i], "u64", i == 2);
	for (unsigned i = 0; i < MESH; i++)
		pid[i] = spawn(mesh, &(struct role){l, i});
	await(ipk_ld(&l->received, seq_cst) == MESH * PER_SENDER);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ipk_channel_shutdown(ch[i]), 0);
	for (unsigned i = 0; i < MESH; i++)
		assert_ended_well(join_child(pid[i]));
	for (unsigned p = 0; p < MESH; p++)
		for (unsigned i = 0; i < PER_SENDER; i++)
			assert_true(l->sent[p][i] == 1 && l->seen[p][i] == 1);
	for (int i = 0; i < 3; i++) {
		assert_at_rest(mesh_name[i], ch[i]);
		assert_int_equal(ch[i]->b->sent, ch[i]->b->received);
		ipk_channel_close(ch[i]);
	}
	munmap(l, sizeof(*l));
}

/* ---- waking -------------------------------------------------------------------------- */

static void select_of_two(void *arg)
{
	struct role *role = arg;
	struct ipk_segment *mine = attach_again(IPK_WRITE);
	u64 v;
	struct ipk_channel_case cases[2] = {receives(open_channel(mine, "x"), &v),
					    receives(open_channel(mine, "y"), &v)};

	must(ipk_channel_select(cases, 2, NULL, IPK_FOREVER) == 0);
	ipk_add(&role->l->received, 1, seq_cst);
	/* Its end would be a wake, too. */
	nap_until(&role->l->ended);
}

static int count_waiter(void *arg, const struct ipk_participant_info *p)
{
	(void)p;
	++*(unsigned *)arg;
	return 0;
}

static unsigned waiters(void)
{
	unsigned n = 0;
	struct look l;

	look(&l, "s", "x");
	assert_int_equal(ipk_object_waiters(&l.o, count_waiter, &n), 0);
	look_end(&l);
	return n;
}

/*
 * Two sleep on both channels, and each takes one value. Who was woken for both of them, before it
 * ran, takes one and passes the other's wake on.
 */
static void no_wake_is_lost_between_two_channels(void **state)
{
	struct ledger *l = shared(sizeof(*l));
	struct ipk_channel *a = make("u64", 8), *b = make_named("y", "u64", 8);
	pid_t pid[2];

	(void)state;
	for (u32 i = 0; i < 20; i++) {
		for (unsigned k = 0; k < 2; k++)
			pid[k] = spawn(select_of_two, &(struct role){l, k});
		await(waiters() == 2);
		assert_int_equal(send_u64(a, i, IPK_FOREVER), 0);
		assert_int_equal(send_u64(b, i, IPK_FOREVER), 0);
		await(ipk_ld(&l->received, seq_cst) == 2 * (i + 1));
		ipk_st(&l->ended, 1, seq_cst);
		for (unsigned k = 0; k < 2; k++)
			assert_ended_well(join_child(pid[k]));
		ipk_st(&l->ended, 0, seq_cst);
	}
	ipk_channel_close(a);
	ipk_channel_close(b);
	munmap(l, sizeof(*l));
}

static void receive_stale(void *arg)
{
	struct role *role = arg;
	struct ipk_channel *ch = open_again("x");
	u64 v;

	ipk_add(&role->l->begun, 1, seq_cst);
	must(recv_u64(ch, &v, IPK_FOREVER) == -ESTALE);
	ipk_channel_close(ch);
}

static void removal_ends_who_waits_and_leaves_no_space_behind(void **state)
{
	(void)state;
	for (u64 cap = 0; cap < 2; cap++) {
		struct ledger *l = shared(sizeof(*l));
		struct ipk_channel *ch = make("u64", cap);
		pid_t pid = spawn(receive_stale, &(struct role){l, 0});

		await(ipk_ld(&l->begun, seq_cst) == 1 &&
		      (cap || ipk_ld(&ch->b->first_offer, acquire)));
		while (cap && !(ipk_ld(&ch->b->items, acquire) & IPK_EV_W))
			nap();
		assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
		assert_ended_well(join_child(pid));
		ipk_channel_close(ch);
		assert_int_equal(info_of("s").used, 0);
		munmap(l, sizeof(*l));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(everything_sent_is_received_once_in_each_senders_order),
		TEST(a_rendezvous_send_returns_only_after_its_receive),
		TEST(close_ends_who_waits_to_send_and_what_they_offered),
		TEST(selects_that_meet_do_one_thing_each),
		TEST(no_wake_is_lost_between_two_channels),
		TEST(removal_ends_who_waits_and_leaves_no_space_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
