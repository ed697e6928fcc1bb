/* SPDX-License-Identifier: MIT */
/*
 * Traces that broke earlier designs of rings and of what many read, each forced: words are stored
 * as one leaves them who died at the worst instant, or a process is stepped to every instant there
 * is and stopped or killed. Which trace is which: tests/README.md.
 */
#include "kinds/ring_test.h"

#include <sys/ptrace.h>

#include "kinds/stream.h"

/* ---- a process that is stopped in the middle ------------------------------------------------- */

/* Instructions from one instant to the next: a prime, so that no loop hides any. */
static unsigned stride(void)
{
	const char *all = getenv("IPK_TEST_LONG");

	return all && strcmp(all, "1") == 0 ? 3 : 71;
}

static struct ipk_segment *vseg;
static struct ipk_ring *vring;     /* the victim's "r" */
static struct ipk_stream *vstream; /* and "t", where there is one */

static pid_t start_victim(void (*deed)(void))
{
	pid_t parent = getpid(), pid = fork();
	int status, error;

	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		must(getppid() == parent);
		ipk_wait_backstop = IPK_FOREVER / 2;
		vseg = open_segment(SEG);
		must(vseg && ipk_self(vseg, &error));
		(void)ipk_ring_open(vseg, "r", NULL, &vring, NULL);
		(void)ipk_stream_open(vseg, "t", NULL, &vstream, NULL);
		must(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
		raise(SIGSTOP);
		deed();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	return pid;
}

/* n instructions on. False: it has ended, well. */
static bool advance(pid_t pid, unsigned n)
{
	int status;

	while (n--) {
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, 0, 0), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFSTOPPED(status)) {
			assert_ended_well(status);
			return false;
		}
		assert_int_equal(WSTOPSIG(status), SIGTRAP);
	}
	return true;
}

static void let_go(pid_t pid)
{
	assert_int_equal(ptrace(PTRACE_DETACH, pid, 0, 0), 0);
	assert_ended_well(join_child(pid));
}

/* ---- C: rings -------------------------------------------------------------------------------- */

static struct ipk_ring *small_ring(const char *type, bool many)
{
	return make_ring(&(struct ipk_ring_options){.type = type, .cap = 64, .many = many});
}

static int pop_nothing(struct ipk_ring *ring)
{
	char buf[16];

	return ipk_ring_pop(ring, buf, sizeof(buf), NULL, IPK_NOWAIT);
}

/* As if the producer had died behind its message and before the tail. */
static void push_without_tail(struct ipk_ring *ring, const char *text)
{
	struct ipk_ring_handle *h = ring_handle(ring);
	u64 tail = h->b->tail, count = h->b->pushed;

	assert_int_equal(push_text(ring, text), 0);
	ipk_ring_leave(ring, IPK_RING_PRODUCER);
	ipk_st(&h->b->tail, tail, relaxed);
	ipk_st(&h->b->pushed, count, relaxed);
}

static void a_message_of_no_bytes_is_passed_by_all(void **state)
{
	(void)state;
	for (int many = 0; many < 2; many++) {
		struct ipk_ring *ring = small_ring("str", many);

		for (int i = 0; i < 20; i++) {
			push_without_tail(ring, "");
			assert_sound();
			assert_int_equal(push_text(ring, ""), 0);
			assert_int_equal(push_text(ring, "x"), 0);
			assert_pops(ring, "");
			assert_pops(ring, "");
			assert_pops(ring, "x");
			assert_int_equal(pop_nothing(ring), -EAGAIN);
		}
		drop_ring(ring);
	}
}

/* The ring stands at pos as after so many laps, with what they left in its bytes. */
static void move_to(struct ipk_ring *ring, u64 pos)
{
	struct ipk_ring_handle *h = ring_handle(ring);

	ipk_ring_leave(ring, IPK_RING_PRODUCER);
	ipk_ring_leave(ring, IPK_RING_CONSUMER);
	h->b->head = h->b->tail = h->b->shown = h->b->seen = pos;
	if (!h->g.unit)
		*(u64 *)ring_addr(h, pos) = 0;
}

static void what_lies_there_since_earlier_laps_is_no_message(void **state)
{
	static const u64 laps[] = {UINT64_C(1) << 14, UINT64_C(1) << 15, UINT64_C(1) << 16,
				   UINT64_C(1) << 26, UINT64_C(1) << 32, UINT64_C(1) << 57};
	static const char *const types[] = {"str", "bytes:8"};

	(void)state;
	for (unsigned i = 0; i < 4 * IPK_ARRAY_LEN(laps); i++) {
		struct ipk_ring *ring = small_ring(types[i % 2], i % 4 >= 2);
		struct ipk_ring_handle *h = ring_handle(ring);
		u64 lap = h->g.unit ? h->g.lap : h->g.cap;

		/* Bytes that look like short messages. */
		for (int n = 0; n < 16; n++) {
			assert_int_equal(push_text(ring, "\3\0\0\0\0\0\0"), i % 2 ? -EMSGSIZE : 0);
			assert_int_equal(ipk_ring_push(ring, "\3\0\0\0\0\0\0", 8, IPK_NOWAIT), 0);
			if (i % 2 == 0)
				assert_pops(ring, "\3");
			assert_int_equal(ipk_ring_pop(ring, (char[8]){0}, 8, NULL, IPK_NOWAIT), 0);
		}
		move_to(ring, laps[i / 4] * lap - lap);
		for (int n = 0; n < 40; n++) {
			assert_int_equal(pop_nothing(ring), -EAGAIN);
			assert_int_equal(push_text(ring, "mine too"), 0);
			assert_pops(ring, "mine too");
		}
		assert_sound();
		drop_ring(ring);
	}
}

static void pushes_late(void)
{
	must(push_text(vring, "late") == 0);
}

/* All that is there: numbers in order, and how often "late". */
static u32 take_all(struct ipk_ring *ring, u32 *next)
{
	u32 late = 0;
	char buf[32];
	size_t len;

	while (ipk_ring_pop(ring, buf, sizeof(buf) - 1, &len, IPK_NOWAIT) == 0) {
		buf[len] = 0;
		if (strcmp(buf, "late") == 0)
			late++;
		else
			assert_int_equal(strtoul(buf, NULL, 10), (*next)++);
	}
	return late;
}

/* Others go on for laps, unless it has the lock. */
static void a_producer_stopped_anywhere_overwrites_nothing(void **state)
{
	struct ipk_ring *ring = small_ring("str", true);
	bool ended = false;

	(void)state;
	for (unsigned at = 0; !ended; at += stride()) {
		u32 late = 0, next = 0, n = 0;
		pid_t pid = start_victim(pushes_late);
		int r = 0;

		ended = !advance(pid, at);
		for (int i = 0; i < 12 && r == 0; i++) {
			char text[16];

			snprintf(text, sizeof(text), "%010u", n);
			r = push_text(ring, text);
			n += r == 0;
			late += take_all(ring, &next);
		}
		assert_true(r == 0 || (r == -EAGAIN && !ended));
		if (!ended)
			let_go(pid);
		late += take_all(ring, &next);
		assert_int_equal(late, 1);
		assert_int_equal(next, n);
		assert_sound();
	}
	drop_ring(ring);
}

static u32 fill_up(struct ipk_ring *ring)
{
	u32 n = 0, next = 0;
	char text[16];

	do
		snprintf(text, sizeof(text), "%u", n);
	while (push_text(ring, text) == 0 && ++n < 100);
	assert_int_equal(take_all(ring, &next), 0);
	assert_int_equal(next, n);
	return n;
}

static void a_head_beyond_the_tail_makes_no_full_ring(void **state)
{
	(void)state;
	for (int many = 0; many < 2; many++) {
		struct ipk_ring *ring = small_ring("str", many);
		struct ipk_ring_handle *h = ring_handle(ring);
		u32 n = fill_up(ring);

		assert_true(n > 0 && n < 100);
		for (int i = 0; i < 20; i++) {
			push_without_tail(ring, "a");
			assert_pops(ring, "a");
			assert_true(h->b->head > h->b->tail);
			assert_int_equal(ipk_ring_used(ring), 0);
			assert_sound();
			assert_int_equal(fill_up(ring), n);
		}
		drop_ring(ring);
	}
}

static void pops_one(void)
{
	char buf[8];

	must(ipk_ring_pop(vring, buf, sizeof(buf), NULL, IPK_NOWAIT) == 0);
}

static void a_consumer_killed_anywhere_leaves_a_message_or_has_it(void **state)
{
	struct ipk_ring *ring = small_ring("str", false);
	bool ended = false;

	(void)state;
	for (unsigned at = 0; !ended; at += stride()) {
		char buf[8] = "";
		pid_t pid;

		assert_int_equal(push_text(ring, "one"), 0);
		assert_int_equal(push_text(ring, "two"), 0);
		pid = start_victim(pops_one);
		ended = !advance(pid, at);
		if (!ended)
			kill_child(pid);
		assert_int_equal(ipk_ring_pop(ring, buf, sizeof(buf), NULL, IPK_NOWAIT), 0);
		if (strcmp(buf, "one") == 0 && !ended)
			assert_pops(ring, "two");
		else
			assert_string_equal(buf, "two");
		assert_int_equal(pop_nothing(ring), -EAGAIN);
		fill_up(ring);
		assert_sound();
		ipk_ring_leave(ring, IPK_RING_CONSUMER);
	}
	drop_ring(ring);
}

/* ---- S4: who sleeps, and who dies ------------------------------------------------------------ */

static void waits_for_one(void *arg)
{
	struct ipk_ring *ring = child_ring();
	char buf[8];

	ipk_wait_backstop = IPK_FOREVER / 2; /* a wake that was lost stays so */
	must(ipk_ring_pop(ring, buf, sizeof(buf), NULL, IPK_FOREVER) == 0);
	ipk_st((u32 *)arg, 1u, release);
}

/* Another producer lives and does something else: it is not the one to be watched. */
static void a_producer_that_dies_before_its_wake_is_noticed_beside_living_ones(void **state)
{
	struct ipk_ring *ring = small_ring("str", true);
	struct ipk_ring_handle *h = ring_handle(ring);
	u32 *there = shared(sizeof(*there));

	(void)state;
	for (int i = 0; i < 5; i++) {
		pid_t sleeper, pid;
		u64 *word; /* of the message to come */

		/* By this process, which lives. */
		assert_int_equal(push_text(ring, "x"), 0);
		assert_pops(ring, "x");
		ipk_ring_leave(ring, IPK_RING_CONSUMER);
		ipk_st(there, 0u, release);
		sleeper = spawn(waits_for_one, there);
		await(waiters() > 0);
		pid = start_victim(pushes_late);
		word = (u64 *)ring_addr(h, ipk_ld(&h->b->head, acquire));
		while (!ipk_ld(word, acquire))
			assert_true(advance(pid, 1));
		kill_child(pid);
		await(ipk_ld(there, acquire));
		assert_ended_well(join_child(sleeper));
	}
	drop_ring(ring);
	munmap(there, sizeof(*there));
}

/* ---- F: what many read ----------------------------------------------------------------------- */

#define KEPT 4

static struct ipk_stream *full_stream(struct ipk_segment *seg)
{
	struct ipk_stream *st = NULL;

	assert_int_equal(ipk_stream_create(seg, "t",
					   &(struct ipk_stream_options){.type = "str", .cap = KEPT},
					   NULL),
			 0);
	assert_int_equal(ipk_stream_open(seg, "t", NULL, &st, NULL), 0);
	for (int i = 0; i < 2 * KEPT + 1; i++)
		assert_int_equal(ipk_stream_emit(st, "once", 4, IPK_NOWAIT), 0);
	return st;
}

/* One more goes in, and as many as there may be are there, in one piece. */
static void goes_on(struct ipk_stream *st)
{
	struct ipk_stream_sub *sub;
	u64 first, next;
	char buf[8];

	assert_int_equal(ipk_stream_emit(st, "next", 4, IPK_NOWAIT), 0);
	ipk_stream_range(st, &first, &next);
	assert_int_equal(next - first, KEPT);
	assert_int_equal(ipk_stream_subscribe(st, NULL, IPK_STREAM_FROM_START, &sub, NULL), 0);
	for (int i = 0; i < KEPT; i++)
		assert_int_equal(ipk_stream_next(sub, buf, sizeof(buf), NULL, IPK_NOWAIT), 0);
	assert_memory_equal(buf, "next", 4);
	assert_int_equal(ipk_stream_next(sub, buf, sizeof(buf), NULL, IPK_NOWAIT), -EAGAIN);
	ipk_stream_unsubscribe(sub);
	assert_object_sound("t");
}

static void drop_stream(struct ipk_segment *seg, struct ipk_stream *st)
{
	ipk_segment_sweep(seg);
	assert_int_equal(ipk_object_remove(seg, "t", NULL), 0);
	ipk_stream_close(st);
	assert_int_equal(info_of(SEG).used, 0);
	ipk_segment_close(seg);
	assert_int_equal(ipk_segment_remove(SEG, NULL), 0);
}

static void locks_and_dies(void *arg)
{
	struct ipk_segment *seg = open_segment(SEG);
	struct ipk_stream *st;
	int error;

	(void)arg;
	must(seg && ipk_stream_open(seg, "t", NULL, &st, NULL) == 0);
	must(ipk_stream_lock(st, &error));
	kill_self();
}

static void sweeps(void)
{
	ipk_segment_sweep(vseg);
}

/*
 * The publisher died behind its record and before it dropped the oldest; then who did it for him.
 */
static void a_sweeper_killed_anywhere_loses_no_room(void **state)
{
	struct ipk_segment *seg = make_segment(8 << 20);
	struct ipk_stream *st = full_stream(seg);
	bool ended = false;

	(void)state;
	for (unsigned at = 0; !ended; at += stride()) {
		pid_t pid;

		assert_killed(spawn(locks_and_dies, NULL));
		ipk_st(&st->b->head, st->b->head - 1, release);
		pid = start_victim(sweeps);
		ended = !advance(pid, at);
		if (!ended)
			kill_child(pid);
		ipk_segment_sweep(seg);
		goes_on(st);
	}
	drop_stream(seg, st);
}

static void emits(void)
{
	must(ipk_stream_emit(vstream, "late", 4, IPK_NOWAIT) == 0);
}

static void a_publisher_killed_while_it_drops_the_oldest_loses_no_room(void **state)
{
	struct ipk_segment *seg = make_segment(8 << 20);
	struct ipk_stream *st = full_stream(seg);
	bool ended = false;

	(void)state;
	for (unsigned at = 0; !ended; at += stride()) {
		pid_t pid = start_victim(emits);

		ended = !advance(pid, at);
		if (!ended)
			kill_child(pid);
		goes_on(st);
	}
	drop_stream(seg, st);
}

static void locks_and_stops(void *arg)
{
	struct ipk_segment *seg = open_segment(SEG);
	struct ipk_stream *st;
	struct ipk_self *me;
	int error;

	(void)arg;
	must(seg && ipk_stream_open(seg, "t", NULL, &st, NULL) == 0);
	me = ipk_stream_lock(st, &error);
	must(me);
	raise(SIGSTOP);
	ipk_unlock(me, &st->b->lock);
}

static void a_stopped_publisher_holds_up_others_to_their_deadline_and_no_reader(void **state)
{
	struct ipk_segment *seg = make_segment(8 << 20);
	struct ipk_stream *st = full_stream(seg);

	(void)state;
	for (int dies = 0; dies < 2; dies++) {
		struct ipk_stream_sub *sub;
		char buf[8];
		pid_t pid = spawn(locks_and_stops, NULL);
		int status;

		assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
		assert_true(WIFSTOPPED(status));
		assert_int_equal(ipk_stream_emit(st, "x", 1, ipk_deadline(2000000)), -ETIMEDOUT);
		assert_int_equal(ipk_stream_subscribe(st, NULL, KEPT, &sub, NULL), 0);
		for (int i = 0; i < KEPT; i++)
			assert_int_equal(ipk_stream_next(sub, buf, sizeof(buf), NULL, IPK_NOWAIT),
					 0);
		ipk_stream_unsubscribe(sub);
		if (dies) {
			kill_child(pid);
		} else {
			assert_int_equal(kill(pid, SIGCONT), 0);
			assert_ended_well(join_child(pid));
		}
		goes_on(st);
	}
	drop_stream(seg, st);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TRACE(C1, a_message_of_no_bytes_is_passed_by_all),
		TRACE(C2, what_lies_there_since_earlier_laps_is_no_message),
		TRACE(C3, a_producer_stopped_anywhere_overwrites_nothing),
		TRACE(C4, a_head_beyond_the_tail_makes_no_full_ring),
		TRACE(C5, a_consumer_killed_anywhere_leaves_a_message_or_has_it),
		TRACE(S4, a_producer_that_dies_before_its_wake_is_noticed_beside_living_ones),
		TRACE(F1, a_sweeper_killed_anywhere_loses_no_room),
		TRACE(F2, a_publisher_killed_while_it_drops_the_oldest_loses_no_room),
		TRACE(F3, a_stopped_publisher_holds_up_others_to_their_deadline_and_no_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
