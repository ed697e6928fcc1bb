/* SPDX-License-Identifier: MIT */
/*
 * Producers and consumers of a small queue are killed and stopped at random. What they had been
 * told is noted outside of the segment: no acknowledged value may be lost or come twice without its
 * mark, none may be torn, nobody may hang.
 */
#include "kinds/queue_test.h"

#define PRODUCERS 2u
#define CONSUMERS 3u
#define WORKERS (PRODUCERS + CONSUMERS)
#define KILLS 250
#define VALUES 1000000u
#define LEN_MAX 4000u

struct value {
	u32 id, seq;
	u32 len;
	u32 sum; /* of what follows */
	u8 bytes[LEN_MAX];
};

struct record {
	u32 variable; /* lengths differ */
	u32 stop;
	u32 trying[PRODUCERS]; /* the value about to be pushed; those before it were, or are in doubt */
	struct value hand[CONSUMERS]; /* a pop's buffer: what it held when its owner was killed */
	u32 taken[CONSUMERS]; /* hand is noted in seen */
	u8 doubt[PRODUCERS][VALUES]; /* 1: killed while it was pushed; 2: while it was popped */
	u8 seen[PRODUCERS][VALUES];
};

static struct record *rec;

static u32 length_of(u32 id, u32 seq)
{
	return rec->variable ? (seq * 2654435761u + id) % LEN_MAX : 0;
}

static u32 sum_of(const struct value *v)
{
	u32 sum = v->id * 31 + v->seq;

	for (u32 i = 0; i < v->len; i++)
		sum = sum * 31 + v->bytes[i];
	return sum;
}

static size_t size_of(u32 len)
{
	return offsetof(struct value, bytes) + len;
}

static void produce(void *arg)
{
	struct ipk_queue *q = child_queue();
	u32 id = *(u32 *)arg;
	struct value v = {.id = id};
	int r;

	while (!ipk_ld(&rec->stop, relaxed)) {
		v.seq = rec->trying[id];
		if (v.seq >= VALUES - KILLS) { /* a fast machine: all that the record holds */
			nap();
			continue;
		}
		v.len = length_of(id, v.seq);
		memset(v.bytes, (int)v.seq, v.len);
		v.sum = sum_of(&v);
		r = ipk_queue_push(q, &v, size_of(v.len), ipk_deadline(50000000));
		must_be(r, r == 0 || r == -ETIMEDOUT);
		if (r == 0)
			ipk_st(&rec->trying[id], v.seq + 1, release);
	}
}

static void note(const struct value *v, u64 len, u32 redelivered)
{
	u8 *seen;

	must(len >= size_of(0));
	must(v->id < PRODUCERS && v->seq < VALUES && v->len == length_of(v->id, v->seq));
	must(len == size_of(v->len) && v->sum == sum_of(v));
	seen = &rec->seen[v->id][v->seq];
	/* Only a mark explains that somebody else had it before. */
	if (ipk_add(seen, 1, acq_rel) != 0)
		must(redelivered > 0);
}

static void consume_by_pop(struct ipk_queue *q, u32 id)
{
	struct ipk_queue_item item;
	struct value *hand = &rec->hand[id];
	int r;

	for (;;) {
		ipk_st(&rec->taken[id], 0u, release);
		r = ipk_queue_pop(q, hand, sizeof(*hand), &item, IPK_FOREVER);
		if (r == -EPIPE)
			return;
		must_be(r, r == 0);
		note(hand, item.len, item.redelivered);
		ipk_st(&rec->taken[id], 1u, release);
		hand->len = UINT32_MAX;
	}
}

static void consume_by_lease(struct ipk_queue *q)
{
	struct ipk_queue_lease lease[4];
	u64 seed = (u64)getpid();
	int r;

	for (;;) {
		r = ipk_queue_lease_many(q, lease, 1 + seeded(&seed) % 4, IPK_FOREVER);
		if (r == -EPIPE)
			return;
		must_be(r, r > 0);
		for (int i = 0; i < r; i++) {
			if (seeded(&seed) % 8 == 0) {
				must(ipk_queue_nack(q, &lease[i]) == 0);
				continue;
			}
			note(lease[i].data, lease[i].len, lease[i].redelivered);
			must(ipk_queue_ack(q, &lease[i]) == 0);
		}
	}
}

static void consume(void *arg)
{
	struct ipk_queue *q = child_queue();
	u32 id = *(u32 *)arg - PRODUCERS;

	if (id == 0)
		consume_by_lease(q);
	else
		consume_by_pop(q, id);
}

static u32 ids[WORKERS];
static pid_t pids[WORKERS];

static void start(u32 i)
{
	ids[i] = i;
	pids[i] = spawn(i < PRODUCERS ? produce : consume, &ids[i]);
}

/* What the dead one was at may have happened or not. */
static void note_death(u32 i)
{
	if (i < PRODUCERS) {
		u32 seq = rec->trying[i];

		rec->doubt[i][seq] = 1;
		rec->trying[i] = seq + 1;
	} else {
		const struct value *hand = &rec->hand[i - PRODUCERS];

		if (!rec->taken[i - PRODUCERS] && hand->len <= LEN_MAX && hand->id < PRODUCERS &&
		    hand->seq < VALUES)
			rec->doubt[hand->id][hand->seq] = 2;
	}
}

static void kill_worker(u32 i)
{
	kill_child(pids[i]);
	note_death(i);
	start(i);
}

static void stop_worker(u32 i, u64 *seed)
{
	assert_true(pids[i] > 0);
	assert_int_equal(kill(pids[i], SIGSTOP), 0);
	nanosleep(&(struct timespec){.tv_nsec = seeded(seed) % 3000000}, NULL);
	assert_int_equal(kill(pids[i], SIGCONT), 0);
}

static u32 pushed(void)
{
	u32 n = 0;

	for (u32 id = 0; id < PRODUCERS; id++)
		n += ipk_ld(&rec->trying[id], acquire);
	return n;
}

static void check_record(void)
{
	for (u32 id = 0; id < PRODUCERS; id++) {
		for (u32 seq = 0; seq < rec->trying[id]; seq++)
			if (!rec->seen[id][seq] && !rec->doubt[id][seq])
				fail_msg("value %u of producer %u is lost", seq, id);
		for (u32 seq = rec->trying[id]; seq < VALUES; seq++)
			if (rec->seen[id][seq])
				fail_msg("value %u of producer %u was never pushed", seq, id);
	}
}

static void run(const char *type, u64 cap)
{
	struct ipk_queue *q;
	u64 seed = 12345;

	rec = shared(sizeof(*rec));
	rec->variable = strcmp(type, "bytes") == 0;
	q = make_queue(type, cap);
	for (u32 i = 0; i < WORKERS; i++)
		start(i);
	for (int n = 0; n < KILLS; n++) {
		u32 i = seeded(&seed) % WORKERS, before = pushed();

		if (n % 10 == 0) /* whoever was killed where, it goes on */
			await(pushed() > before || pushed() >= PRODUCERS * (VALUES - KILLS));

		nanosleep(&(struct timespec){.tv_nsec = seeded(&seed) % 4000000}, NULL);
		if (n % 4 == 3)
			stop_worker(i, &seed);
		kill_worker(seeded(&seed) % 2 ? i : seeded(&seed) % WORKERS);
	}
	ipk_st(&rec->stop, 1u, release);
	for (u32 i = 0; i < PRODUCERS; i++)
		assert_ended_well(join_child(pids[i]));
	assert_int_equal(ipk_queue_shutdown(q), 0);
	for (u32 i = PRODUCERS; i < WORKERS; i++)
		assert_ended_well(join_child(pids[i]));
	check_record();
	assert_int_equal(ipk_queue_count(q, NULL), 0);
	assert_sound();
	drop_queue(q);
	munmap(rec, sizeof(*rec));
}

static void killed_processes_lose_no_fixed_item(void **state)
{
	(void)state;
	run("bytes:16", 8);
}

static void killed_processes_lose_no_value_of_any_length(void **state)
{
	(void)state;
	run("bytes", 12);
}

static void killed_processes_lose_nothing_with_one_slot(void **state)
{
	(void)state;
	run("bytes", 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(killed_processes_lose_no_fixed_item),
		T(killed_processes_lose_no_value_of_any_length),
		T(killed_processes_lose_nothing_with_one_slot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
