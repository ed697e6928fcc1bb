/* SPDX-License-Identifier: MIT */
/*
 * Producers and the consumer of a small ring are killed and stopped at random, and replaced. What
 * they had been told is noted outside of the segment: no acknowledged message may be lost or come
 * twice without its mark, none may be torn, the order stays, nobody may hang.
 */
#include "kinds/ring_test.h"

#define PRODUCERS_MAX 2u
#define KILLS 80
#define LEN_MAX 1500u

struct message {
	u32 id, seq;
	u32 len;
	u32 sum; /* of what follows */
	u8 bytes[LEN_MAX];
};

struct record {
	u32 variable; /* lengths differ */
	u32 producers;
	u32 stop;
	u32 trying[PRODUCERS_MAX]; /* about to be pushed; those before it were, or are in doubt */
	u32 next[PRODUCERS_MAX]; /* of each, the number that the consumer expects */
	u8 doubt[PRODUCERS_MAX][1u << 24]; /* its producer was killed while it was pushed */
};

static struct record *rec;

static u32 length_of(u32 id, u32 seq)
{
	return rec->variable ? (seq * 2654435761u + id) % LEN_MAX : 0;
}

static u32 sum_of(const struct message *m)
{
	u32 sum = m->id * 31 + m->seq;

	for (u32 i = 0; i < m->len; i++)
		sum = sum * 31 + m->bytes[i];
	return sum;
}

static void fill(struct message *m, u32 id, u32 seq)
{
	m->id = id;
	m->seq = seq;
	m->len = length_of(id, seq);
	for (u32 i = 0; i < m->len; i++)
		m->bytes[i] = (u8)(seq + i);
	m->sum = sum_of(m);
}

static size_t size_of(u32 len)
{
	return offsetof(struct message, bytes) + len;
}

/* By copying and in place in turn. */
static int push_one(struct ipk_ring *ring, const struct message *m)
{
	size_t size = size_of(m->len);
	struct ipk_ring_room room;
	int r;

	if (m->seq % 3)
		return ipk_ring_push(ring, m, size, IPK_FOREVER);
	r = ipk_ring_reserve(ring, size, &room, IPK_FOREVER);
	if (r < 0)
		return r;
	memcpy(room.data, m, size);
	return ipk_ring_commit(ring, &room, size);
}

static void produce(void *arg)
{
	struct ipk_ring *ring = child_ring();
	u32 id = *(u32 *)arg;
	struct message m;

	while (!ipk_ld(&rec->stop, acquire)) {
		u32 seq = rec->trying[id];
		int r;

		must(seq < sizeof(rec->doubt[id]));
		fill(&m, id, seq);
		r = push_one(ring, &m);
		must_be(r, r == 0);
		ipk_st(&rec->trying[id], seq + 1, release);
	}
}

/* Everything of a producer comes in order; what is missing was in doubt, what comes again is
 * marked. */
static void note(const struct ipk_ring_message *got)
{
	const struct message *m = got->data;
	u32 next;

	must(got->len >= size_of(0) && m->id < rec->producers && got->len == size_of(m->len));
	must(m->len == length_of(m->id, m->seq) && m->sum == sum_of(m));
	next = rec->next[m->id];
	if (m->seq < next) {
		must(got->redelivered);
		return;
	}
	for (; next < m->seq; next++)
		must(rec->doubt[m->id][next]);
	ipk_st(&rec->next[m->id], next + 1, release);
}

static void consume(void *arg)
{
	struct ipk_ring *ring = child_ring();
	struct ipk_ring_message m[8];
	u64 seed = (u64)getpid();

	(void)arg;
	for (;;) {
		int r = ipk_ring_peek_many(ring, m, 1 + seeded(&seed) % 8, IPK_FOREVER);

		if (r == -EPIPE)
			return;
		must_be(r, r > 0);
		for (int i = 0; i < r; i++)
			note(&m[i]);
		must(ipk_ring_release(ring, &m[r - 1]) == 0);
	}
}

static u32 ids[PRODUCERS_MAX + 1];
static pid_t pids[PRODUCERS_MAX + 1];

static void start(u32 i)
{
	ids[i] = i;
	pids[i] = spawn(i < rec->producers ? produce : consume, &ids[i]);
}

static void kill_worker(u32 i)
{
	kill_child(pids[i]);
	if (i < rec->producers) {
		rec->doubt[i][rec->trying[i]] = 1;
		rec->trying[i]++;
	}
	start(i);
}

static void stop_worker(u32 i, u64 *seed)
{
	assert_true(pids[i] > 0);
	assert_int_equal(kill(pids[i], SIGSTOP), 0);
	nanosleep(&(struct timespec){.tv_nsec = seeded(seed) % 2000000}, NULL);
	assert_int_equal(kill(pids[i], SIGCONT), 0);
}

static u32 consumed(void)
{
	return ipk_ld(&rec->next[0], acquire) + ipk_ld(&rec->next[1], acquire);
}

static void check_the_end(struct ipk_ring *ring)
{
	for (u32 id = 0; id < rec->producers; id++)
		for (u32 seq = rec->next[id]; seq < rec->trying[id]; seq++)
			if (!rec->doubt[id][seq])
				fail_msg("message %u of producer %u is lost", seq, id);
	assert_int_equal(ipk_ring_used(ring), 0);
	assert_sound();
}

static void run(const struct ipk_ring_options *options)
{
	struct ipk_ring *ring;
	u64 seed = 4711;

	rec = shared(sizeof(*rec));
	rec->variable = strcmp(options->type, "bytes") == 0;
	rec->producers = options->many ? 2 : 1;
	ring = make_ring(options);
	for (u32 i = 0; i <= rec->producers; i++)
		start(i);
	for (int n = 0; n < KILLS; n++) {
		u32 i = seeded(&seed) % (rec->producers + 1), before = consumed();

		if (n % 10 == 0) /* whoever was killed where, it goes on */
			await(consumed() > before);
		nanosleep(&(struct timespec){.tv_nsec = seeded(&seed) % 3000000}, NULL);
		if (n % 4 == 3)
			stop_worker(i, &seed);
		kill_worker(i);
	}
	ipk_st(&rec->stop, 1u, release);
	for (u32 i = 0; i < rec->producers; i++)
		assert_ended_well(join_child(pids[i]));
	assert_int_equal(ipk_ring_shutdown(ring), 0);
	assert_ended_well(join_child(pids[rec->producers]));
	check_the_end(ring);
	drop_ring(ring);
	munmap(rec, sizeof(*rec));
}

static void killed_processes_lose_no_message_of_any_length(void **state)
{
	(void)state;
	run(&(struct ipk_ring_options){.type = "bytes", .cap = 4096});
}

static void killed_processes_lose_no_element(void **state)
{
	(void)state;
	run(&(struct ipk_ring_options){.type = "bytes:16", .cap = 128});
}

static void killed_processes_of_many_lose_nothing(void **state)
{
	(void)state;
	run(&(struct ipk_ring_options){
		.type = "bytes", .cap = 4096, .many = true, .checksum = true});
}

#define T(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(killed_processes_lose_no_message_of_any_length),
		T(killed_processes_lose_no_element),
		T(killed_processes_of_many_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
