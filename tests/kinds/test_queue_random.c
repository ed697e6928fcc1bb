/* SPDX-License-Identifier: MIT */
/*
 * One process at random, against a plain list: pushes, pops, leases, deaths in each state, and
 * after each step hints as old as stopped processes may store them. The order of delivery is exact.
 */
#include "kinds/queue_test.h"

#define CAP_MAX 9
#define STEPS 4000

struct oracle {
	struct ipk_queue *q;
	u64 cap, seed, next;
	u64 waiting[CAP_MAX], nwaiting; /* never taken, oldest first */
	u64 back[CAP_MAX], nback;       /* given back, each comes before those that wait */
	struct ipk_queue_lease lease[CAP_MAX];
	u64 leased[CAP_MAX], nleased;
	u64 orphan[CAP_MAX], norphan; /* a dead process has them: come back by and by */
	u64 tail[64], head[64];       /* hints as they were after the last steps */
	u32 dead;
	bool moved; /* something was leased, or a position is empty: a push may be refused early */
};

static u64 used(const struct oracle *o)
{
	return o->nwaiting + o->nback + o->nleased + o->norphan;
}

static void drop_at(u64 *v, u64 *n, u64 i)
{
	memmove(&v[i], &v[i + 1], (*n - i - 1) * sizeof(*v));
	(*n)--;
}

static bool drop_value(u64 *v, u64 *n, u64 val)
{
	for (u64 i = 0; i < *n; i++) {
		if (v[i] == val) {
			drop_at(v, n, i);
			return true;
		}
	}
	return false;
}

/* What was delivered: something given back, an orphan, or else the oldest that waits. */
static void delivered(struct oracle *o, u64 val, u32 redelivered)
{
	if (drop_value(o->back, &o->nback, val) || drop_value(o->orphan, &o->norphan, val)) {
		assert_true(redelivered > 0);
		return;
	}
	assert_int_equal(redelivered, 0);
	assert_int_equal(o->nback, 0);
	assert_true(o->nwaiting > 0);
	assert_int_equal(val, o->waiting[0]);
	drop_at(o->waiting, &o->nwaiting, 0);
}

static void do_push(struct oracle *o)
{
	bool room = ipk_queue_room(o->q);
	int r = push_u64(o->q, o->next);

	if (used(o) == o->cap) {
		assert_int_equal(r, -EAGAIN);
	} else if (r == -EAGAIN) {
		assert_true(o->moved);
		assert_true(o->nwaiting > 0); /* never stuck: there is something to pop */
	} else {
		assert_int_equal(r, 0);
		o->waiting[o->nwaiting++] = o->next++;
	}
	assert_true(!room || r == 0);
}

static void do_pop(struct oracle *o)
{
	struct ipk_queue_item item;
	u64 val;
	int r = ipk_queue_pop(o->q, &val, 8, &item, IPK_NOWAIT);

	if (r == 0) {
		delivered(o, val, item.redelivered);
		return;
	}
	assert_int_equal(r, -EAGAIN);
	assert_int_equal(o->nwaiting + o->nback, 0);
}

static void do_lease(struct oracle *o)
{
	struct ipk_queue_lease *l = &o->lease[o->nleased];
	int r = ipk_queue_lease(o->q, l, IPK_NOWAIT);

	if (r == 0) {
		u64 val = *(const u64 *)l->data;

		delivered(o, val, l->redelivered);
		o->moved = true;
		o->leased[o->nleased++] = val;
		return;
	}
	assert_int_equal(r, -EAGAIN);
	assert_int_equal(o->nwaiting + o->nback, 0);
}

static void end_lease(struct oracle *o, bool back)
{
	u64 i;

	if (!o->nleased)
		return;
	i = seeded(&o->seed) % o->nleased;
	if (back) {
		assert_int_equal(ipk_queue_nack(o->q, &o->lease[i]), 0);
		o->back[o->nback++] = o->leased[i];
	} else {
		assert_int_equal(ipk_queue_ack(o->q, &o->lease[i]), 0);
	}
	memmove(&o->lease[i], &o->lease[i + 1], (o->nleased - i - 1) * sizeof(o->lease[0]));
	drop_at(o->leased, &o->nleased, i);
}

#define MANY 5

static void do_push_many(struct oracle *o)
{
	u64 val[MANY], n = 1 + seeded(&o->seed) % MANY;
	struct iovec v[MANY];
	int r;

	for (u64 i = 0; i < n; i++) {
		val[i] = o->next + i;
		v[i] = (struct iovec){&val[i], 8};
	}
	r = ipk_queue_push_many(o->q, v, (unsigned)n, IPK_NOWAIT);
	if (r < 0) {
		assert_int_equal(r, -EAGAIN);
		assert_true(used(o) == o->cap || (o->moved && o->nwaiting > 0));
		return;
	}
	assert_true(o->moved || r == (int)(n < o->cap - used(o) ? n : o->cap - used(o)));
	while (r--)
		o->waiting[o->nwaiting++] = o->next++;
	assert_true(used(o) <= o->cap);
}

static void do_pop_many(struct oracle *o)
{
	struct ipk_queue_item item[MANY];
	u64 val[MANY], n = 1 + seeded(&o->seed) % MANY;
	int r = ipk_queue_pop_many(o->q, val, sizeof(val), item, (unsigned)n, IPK_NOWAIT);

	if (r < 0) {
		assert_int_equal(r, -EAGAIN);
		assert_int_equal(o->nwaiting + o->nback, 0);
		return;
	}
	for (int i = 0; i < r; i++) {
		assert_ptr_equal(item[i].data, &val[i]);
		delivered(o, val[i], item[i].redelivered);
	}
	assert_true(r == (int)n || o->nwaiting + o->nback == 0);
}

/*
 * What its members are when it dies before its last one, by whoever's hand: they are done from the
 * last on.
 */
static void some_members(struct oracle *o, u64 i, u32 n, u64 w)
{
	for (u64 done = seeded(&o->seed) % n; done; done--)
		set_word(o->q, i + --n, w);
}

/* A producer claims and dies: before the first item is there, or a mender after it. */
static void publish_some(struct oracle *o, u64 i, u32 n)
{
	u64 w = slot_word(o->q, i), lap = qw_lap(w);

	assert_int_equal(qw_st(w), IPK_QUEUE_WR);
	assert_int_equal(qw_span(w), n);
	if (n == 1)
		return;
	some_members(o, i, n, lap | QW_ST(IPK_QUEUE_FULL));
	if (seeded(&o->seed) % 2) {
		set_word(o->q, i, w & ~QW_ST(3));
		some_members(o, i, n, lap + QW_LAP);
	}
}

static void dead_producer(struct oracle *o)
{
	u64 code;
	u32 n = 1 + (u32)(seeded(&o->seed) % 4);
	int error = 0;
	struct ipk_self *me = ipk_use(&o->q->obj, &error), dead = *me;

	dead.slot = o->dead;
	if (ipk_queue_claim(o->q, &dead, &code, &n) != 0)
		return;
	o->moved = true;
	publish_some(o, qc_index(&o->q->g, code), n);
}

/*
 * A consumer takes, as pop or as lease, and dies: before or after it has acknowledged, or a mender
 * after it.
 */
static void acknowledge_some(struct oracle *o, u64 i, u32 n)
{
	u64 w = slot_word(o->q, i), lap = qw_lap(w);
	u32 x = seeded(&o->seed) % 3;

	if (n == 1 || x == 0)
		return;
	if (x == 1) {
		set_word(o->q, i, w & ~QW_ST(3));
		some_members(o, i, n, lap + QW_LAP);
		o->norphan -= n;
	} else {
		set_word(o->q, i, (w & ~QW_ST(3)) | QW_ST(IPK_QUEUE_FULL));
		some_members(o, i, n, ipk_queue_given_back(lap));
	}
}

static void dead_consumer(struct oracle *o)
{
	struct ipk_queue_taken t;
	u64 mark = (seeded(&o->seed) % 2 ? QW_ST(1) : 0) | o->dead, val;
	u32 n = mark & QW_ST(1) ? 1 + (u32)(seeded(&o->seed) % 4) : 1;

	if (ipk_queue_take(o->q, mark, UINT64_MAX, &t, &n) != 0)
		return;
	o->moved = true;
	for (u64 i = 0; i < n; i++) {
		memcpy(&val, q_slot(o->q, qc_index(&o->q->g, t.code) + i)->fixed, 8);
		delivered(o, val, qw_rdc(t.w));
		o->orphan[o->norphan++] = val;
	}
	acknowledge_some(o, qc_index(&o->q->g, t.code), n);
}

static void sweep(struct oracle *o)
{
	assert_int_equal(ipk_queue_recover(&o->q->obj), 0);
	while (o->norphan)
		o->back[o->nback++] = o->orphan[--o->norphan];
}

/* Hints of one of the last steps, or from the beginning of time. */
static void old_hints(struct oracle *o, unsigned step)
{
	struct ipk_queue_body *b = o->q->b;
	u32 x = seeded(&o->seed) % 16;

	o->tail[step % 64] = ipk_queue_tail(o->q);
	o->head[step % 64] = ipk_ld(&b->head, acquire);
	if (x < 4)
		ipk_st(&b->tail, o->tail[seeded(&o->seed) % 64], release);
	if (x < 3 || x > 14)
		ipk_st(&b->head, o->head[seeded(&o->seed) % 64], release);
	if (x == 5)
		ipk_st(&b->tail, UINT64_C(0), release);
	if (x == 6)
		ipk_st(&b->head, UINT64_C(0), release);
}

static void step(struct oracle *o, unsigned mix)
{
	u32 x = seeded(&o->seed) % 100;

	if (x < 25)
		do_push(o);
	else if (x < 40)
		do_push_many(o);
	else if (x < 55)
		do_pop(o);
	else if (x < 70)
		do_pop_many(o);
	else if (mix == 0)
		do_pop(o);
	else if (x < 78)
		do_lease(o);
	else if (x < 84)
		end_lease(o, false);
	else if (x < 88)
		end_lease(o, true);
	else if (mix == 1)
		do_push(o);
	else if (x < 91)
		dead_producer(o);
	else if (x < 96)
		dead_consumer(o);
	else
		sweep(o);
}

static void note_slot(struct ipk_queue *q)
{
	ipk_st(&q->b->spare5[0], own_slot(q), release);
}

static void run(u64 cap, unsigned mix, u64 seed)
{
	struct oracle o = {.q = make_queue("u64", cap), .cap = cap, .seed = seed, .next = 1};

	die_in(note_slot);
	o.dead = ipk_ld(&o.q->b->spare5[0], acquire);
	for (unsigned i = 0; i < STEPS; i++) {
		step(&o, mix);
		if (i % 64 == 63)
			assert_int_equal(ipk_queue_count(o.q, NULL), used(&o));
		if (i % 256 == 255)
			assert_sound();
		old_hints(&o, i);
	}
	sweep(&o);
	while (o.nleased)
		end_lease(&o, seeded(&o.seed) % 2);
	while (used(&o))
		do_pop(&o);
	assert_int_equal(pop_u64(o.q), -EAGAIN);
	/* Empty, so all of it is there again. */
	for (u64 i = 0; i < cap; i++)
		assert_int_equal(push_u64(o.q, i), 0);
	assert_int_equal(push_u64(o.q, 0), -EAGAIN);
	assert_sound();
	drop_queue(o.q);
}

static void all_capacities(unsigned mix)
{
	for (u64 cap = 1; cap <= CAP_MAX; cap++)
		for (u64 seed = 1; seed <= 3; seed++)
			run(cap, mix, seed * 1000 + cap);
}

static void pushes_and_pops_with_old_hints(void **state)
{
	(void)state;
	all_capacities(0);
}

static void leases_with_old_hints(void **state)
{
	(void)state;
	all_capacities(1);
}

static void leases_and_deaths_with_old_hints(void **state)
{
	(void)state;
	all_capacities(2);
}

#define T(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(pushes_and_pops_with_old_hints),
		T(leases_with_old_hints),
		T(leases_and_deaths_with_old_hints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
