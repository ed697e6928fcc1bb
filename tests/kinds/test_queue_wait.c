/* SPDX-License-Identifier: MIT */
/* Queues: who waits, and for what: room, items, the end, the removal. */
#include "kinds/queue_test.h"

/* ---- waiting --------------------------------------------------------------------------------- */

static void a_deadline_ends_the_wait(void **state)
{
	struct ipk_queue *q = make_queue("u64", 1);
	u64 val = 1;
	i64 start = ipk_now();

	(void)state;
	assert_int_equal(ipk_queue_pop(q, &val, 8, NULL, ipk_deadline(20000000)), -ETIMEDOUT);
	assert_true(ipk_now() - start >= 20000000);
	assert_int_equal(ipk_queue_pop(q, &val, 8, NULL, 1), -ETIMEDOUT);
	assert_int_equal(push_u64(q, 5), 0);
	start = ipk_now();
	assert_int_equal(ipk_queue_push(q, &val, 8, ipk_deadline(20000000)), -ETIMEDOUT);
	assert_true(ipk_now() - start >= 20000000);
	assert_int_equal(pop_u64(q), 5);
	assert_int_equal(pop_u64(q), -EAGAIN);
	drop_queue(q);
}

static void send_back(void *arg)
{
	struct ipk_queue *q = child_queue(), *r = open_queue(q->obj.seg, "r");
	u64 val = 0;

	(void)arg;
	must(r);
	for (int i = 0; i < 2000; i++) {
		must(ipk_queue_pop(q, &val, 8, NULL, IPK_FOREVER) == 0);
		must(ipk_queue_push(r, &val, 8, IPK_FOREVER) == 0);
	}
}

/*
 * Each step needs the other process. Every tenth time two go in before one comes out: room is
 * waited for.
 */
static void a_waiter_is_woken_by_push_and_by_pop(void **state)
{
	struct ipk_queue *q = make_queue("u64", 1), *r;
	u64 in = 0, out = 0, val;
	pid_t pid;

	(void)state;
	assert_int_equal(ipk_queue_create(q->obj.seg, "r", "u64", 1, NULL), 0);
	r = open_queue(q->obj.seg, "r");
	pid = spawn(send_back, NULL);
	while (out < 2000) {
		for (int n = in % 10 ? 1 : 2; n && in < 2000; n--, in++)
			assert_int_equal(ipk_queue_push(q, &in, 8, IPK_FOREVER), 0);
		for (; out < in; out++) {
			assert_int_equal(ipk_queue_pop(r, &val, 8, NULL, IPK_FOREVER), 0);
			assert_int_equal(val, out);
		}
	}
	assert_ended_well(join_child(pid));
	ipk_queue_close(r);
	drop_queue(q);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void a_shut_queue_gives_what_it_has_and_then_the_end(void **state)
{
	struct ipk_queue *q = make_queue("u64", 4);
	struct ipk_queue_lease lease;
	u64 val;

	(void)state;
	assert_int_equal(push_u64(q, 1), 0);
	assert_int_equal(push_u64(q, 2), 0);
	assert_int_equal(ipk_queue_lease(q, &lease, IPK_NOWAIT), 0);
	assert_false(ipk_queue_is_shut(q));
	assert_int_equal(ipk_queue_shutdown(q), 0);
	assert_int_equal(ipk_queue_shutdown(q), 0);
	assert_true(ipk_queue_is_shut(q));
	assert_int_equal(push_u64(q, 3), -EPIPE);
	assert_int_equal(ipk_queue_push(q, &val, 8, IPK_FOREVER), -EPIPE);
	assert_int_equal(pop_u64(q), 2);
	/* The leased one may still come back: not the end. */
	assert_int_equal(pop_u64(q), -EAGAIN);
	assert_int_equal(ipk_queue_nack(q, &lease), 0);
	assert_int_equal(ipk_queue_lease(q, &lease, IPK_NOWAIT), 0);
	assert_int_equal(lease.redelivered, 1);
	assert_int_equal(ipk_queue_ack(q, &lease), 0);
	assert_int_equal(pop_u64(q), -EPIPE);
	assert_int_equal(ipk_queue_pop(q, &val, 8, NULL, IPK_FOREVER), -EPIPE);
	assert_int_equal(ipk_queue_lease(q, &lease, IPK_FOREVER), -EPIPE);
	assert_int_equal(ipk_queue_peek(q, &val, 8, NULL), -EPIPE);
	assert_int_equal(push_u64(q, 3), -EPIPE);
	assert_sound();
	drop_queue(q);
}

static void wait_for_the_end(void *arg)
{
	struct ipk_queue *q = child_queue();
	u64 val;

	(void)arg;
	must(ipk_queue_pop(q, &val, 8, NULL, IPK_FOREVER) == -EPIPE);
}

static void wait_for_room(void *arg)
{
	struct ipk_queue *q = child_queue();
	u64 val = 0;

	(void)arg;
	must(ipk_queue_push(q, &val, 8, IPK_FOREVER) == -EPIPE);
}

static u32 waiters(u32 *ev)
{
	return ipk_ld(ev, acquire) & IPK_EV_W;
}

static void shutting_wakes_all_who_wait(void **state)
{
	struct ipk_queue *q = make_queue("u64", 1);
	struct ipk_queue_lease lease;
	pid_t pop[2], push[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		pop[i] = spawn(wait_for_the_end, NULL);
	await(waiters(&q->b->items));
	assert_int_equal(ipk_queue_shutdown(q), 0);
	for (int i = 0; i < 2; i++)
		assert_ended_well(join_child(pop[i]));
	drop_queue(q);

	q = make_queue("u64", 1);
	assert_int_equal(push_u64(q, 1), 0);
	for (int i = 0; i < 2; i++)
		push[i] = spawn(wait_for_room, NULL);
	await(waiters(&q->b->space));
	assert_int_equal(ipk_queue_shutdown(q), 0);
	for (int i = 0; i < 2; i++)
		assert_ended_well(join_child(push[i]));
	/* The last acknowledgement brings the end to those who wait for it. */
	assert_int_equal(ipk_queue_lease(q, &lease, IPK_NOWAIT), 0);
	for (int i = 0; i < 2; i++)
		pop[i] = spawn(wait_for_the_end, NULL);
	await(waiters(&q->b->items));
	assert_int_equal(ipk_queue_ack(q, &lease), 0);
	for (int i = 0; i < 2; i++)
		assert_ended_well(join_child(pop[i]));
	drop_queue(q);
}

struct picky {
	u64 size;
	u32 done, end;
};

/* Pops into size bytes and stays, so that it is not its end that wakes others. */
static void pop_into(void *arg)
{
	struct picky *p = arg;
	struct ipk_queue *q = child_queue();
	char buf[256];
	int r = ipk_queue_pop(q, buf, p->size, NULL, IPK_FOREVER);

	must(r == (p->size < 100 ? -EMSGSIZE : 0));
	ipk_st(&p->done, 1u, release);
	nap_until(&p->end);
}

static u32 sleepers(struct ipk_segment *seg)
{
	u32 n = 0;

	for (u32 slot = 0; slot < ipk_slot_count(seg); slot++)
		n += ipk_ld(&ipk_slot_page(seg, slot)->nwait, acquire) != 0;
	return n;
}

/* The wake came to one who cannot take the item, and whose sleep nobody ends by chance. */
static void an_item_too_long_for_one_wakes_another(void **state)
{
	struct ipk_queue *q = make_queue("str", 4);
	struct picky *p = shared(2 * sizeof(*p));
	i64 backstop = ipk_wait_backstop;
	char text[101] = "";
	pid_t pid[2];

	(void)state;
	memset(text, 'x', 100);
	ipk_wait_backstop = IPK_FOREVER / 2;
	for (u32 i = 0; i < 2; i++) {
		p[i].size = i ? 200 : 8;
		pid[i] = spawn(pop_into, &p[i]);
		await(sleepers(q->obj.seg) == i + 1);
	}
	ipk_wait_backstop = backstop;
	assert_int_equal(push_text(q, text), 0);
	await(ipk_ld(&p[1].done, acquire));
	for (u32 i = 0; i < 2; i++) {
		ipk_st(&p[i].end, 1u, release);
		kill_child(pid[i]);
	}
	munmap(p, 2 * sizeof(*p));
	drop_queue(q);
}

static void wait_for_removal(void *arg)
{
	struct ipk_queue *q = child_queue();
	u64 val;

	(void)arg;
	must(ipk_queue_pop(q, &val, 8, NULL, IPK_FOREVER) == -ESTALE);
}

static void removal_wakes_all_who_wait(void **state)
{
	struct ipk_queue *q = make_queue("u64", 1);
	pid_t pid = spawn(wait_for_removal, NULL);

	(void)state;
	await(waiters(&q->b->items));
	assert_int_equal(ipk_object_remove(q->obj.seg, "q", NULL), 0);
	assert_ended_well(join_child(pid));
	assert_int_equal(pop_u64(q), -ESTALE);
	drop_queue(q);
}

#define T(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_deadline_ends_the_wait),
		T(a_waiter_is_woken_by_push_and_by_pop),
		T(a_shut_queue_gives_what_it_has_and_then_the_end),
		T(shutting_wakes_all_who_wait),
		TRACE(S6, an_item_too_long_for_one_wakes_another),
		T(removal_wakes_all_who_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
