/* SPDX-License-Identifier: MIT */
/*
 * Ring and queue keep quiet: what finds nothing, or nobody who waits, makes no system call, and who
 * waits costs nothing. Counted are system calls, processor time and sleeps, never how long a thing
 * took: a busy machine makes none of them more.
 */
#include "kinds/fixture_kind.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "ipk/queue.h"
#include "ipk/ring.h"

#define SEG "s"
#define TIMES 1000u
#define IDLE INT64_C(500000000) /* ns */
#define SLEEPS_AT_FIRST 5       /* until all have seen that somebody sleeps */

/* ---- system calls --------------------------------------------------------------------------- */

static int *forbidden_call; /* the first that was made; -1 */

/* By this one call: _exit() makes more under a sanitizer, as does what is said not to return. */
static void end(int status)
{
	syscall(SYS_exit_group, status);
}

static void note_call(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	*forbidden_call = info->si_syscall;
	end(1);
}

/* From now on this process may end and nothing else. */
static void forbid_calls(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
	};
	struct sock_fprog program = {.len = IPK_ARRAY_LEN(code), .filter = code};
	struct sigaction action = {.sa_sigaction = note_call, .sa_flags = SA_SIGINFO};

	must(sigaction(SIGSYS, &action, NULL) == 0);
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		_exit(77);
}

static struct ipk_ring *open_ring(struct ipk_segment *seg, const char *name)
{
	struct ipk_ring *ring = NULL;

	must(ipk_ring_open(seg, name, NULL, &ring, NULL) == 0);
	return ring;
}

static struct ipk_queue *open_queue(struct ipk_segment *seg, const char *name)
{
	struct ipk_queue *q = NULL;

	must(ipk_queue_open(seg, name, NULL, &q, NULL) == 0);
	return q;
}

static void use_ring(struct ipk_ring *ring)
{
	struct ipk_ring_message m;
	uint64_t val = 1;

	for (unsigned i = 0; i < TIMES; i++) {
		if (ipk_ring_pop(ring, &val, sizeof(val), NULL, IPK_NOWAIT) != -EAGAIN ||
		    ipk_ring_peek(ring, &m, IPK_NOWAIT) != -EAGAIN)
			end(2);
		for (unsigned k = 0; k < 3; k++)
			if (ipk_ring_push(ring, &val, sizeof(val), k ? IPK_FOREVER : IPK_NOWAIT))
				end(3);
		if (ipk_ring_pop(ring, &val, sizeof(val), NULL, IPK_NOWAIT) != 0 ||
		    ipk_ring_pop(ring, &val, sizeof(val), NULL, IPK_FOREVER) != 0 ||
		    ipk_ring_peek(ring, &m, IPK_FOREVER) != 0 || ipk_ring_release(ring, &m) != 0)
			end(4);
	}
}

static void use_queue(struct ipk_queue *q)
{
	uint64_t val = 1;

	for (unsigned i = 0; i < TIMES; i++) {
		if (ipk_queue_pop(q, &val, sizeof(val), NULL, IPK_NOWAIT) != -EAGAIN ||
		    ipk_queue_peek(q, &val, sizeof(val), NULL) != -EAGAIN)
			end(2);
		for (unsigned k = 0; k < 4; k++)
			if (ipk_queue_push(q, &val, sizeof(val), k ? IPK_FOREVER : IPK_NOWAIT))
				end(3);
		if (ipk_queue_push(q, &val, sizeof(val), IPK_NOWAIT) != -EAGAIN)
			end(4);
		for (unsigned k = 0; k < 4; k++)
			if (ipk_queue_pop(q, &val, sizeof(val), NULL, k ? IPK_FOREVER : IPK_NOWAIT))
				end(5);
	}
}

static void use_rings(void *arg)
{
	struct ipk_segment *seg = open_segment(SEG);
	struct ipk_ring *ring;

	must(seg);
	ring = open_ring(seg, arg);
	use_ring(ring); /* registers, takes both roles */
	forbid_calls();
	use_ring(ring);
	end(0);
}

static void use_queues(void *arg)
{
	struct ipk_segment *seg = open_segment(SEG);
	struct ipk_queue *q;

	must(seg);
	q = open_queue(seg, arg);
	use_queue(q);
	forbid_calls();
	use_queue(q);
	end(0);
}

static void makes_no_call(void (*use)(void *arg), const char *object)
{
	char name[16];
	int status;

	snprintf(name, sizeof(name), "%s", object);
	forbidden_call = shared(sizeof(*forbidden_call));
	*forbidden_call = -1;
	status = join_child(spawn(use, name));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	if (*forbidden_call != -1)
		fail_msg("%s: system call %d", object, *forbidden_call);
	assert_ended_well(status);
	munmap(forbidden_call, sizeof(*forbidden_call));
}

static void make_objects(void)
{
	static const char *const type[] = {"u64", "bytes", "bytes:8"};
	struct ipk_segment *seg;

	create_segment(SEG);
	seg = open_segment(SEG);
	assert_non_null(seg);
	for (unsigned i = 0; i < IPK_ARRAY_LEN(type); i++) {
		struct ipk_ring_options options = {.type = type[i], .cap = 4096};
		char name[8];

		snprintf(name, sizeof(name), "r%u", i);
		assert_int_equal(ipk_ring_create(seg, name, &options, NULL), 0);
		snprintf(name, sizeof(name), "q%u", i);
		assert_int_equal(ipk_queue_create(seg, name, type[i], 4, NULL), 0);
	}
	ipk_segment_close(seg);
}

static void a_ring_where_nobody_waits_makes_no_system_call(void **state)
{
	(void)state;
	make_objects();
	makes_no_call(use_rings, "r0");
	makes_no_call(use_rings, "r1");
	makes_no_call(use_rings, "r2");
}

static void a_queue_where_nobody_waits_makes_no_system_call(void **state)
{
	(void)state;
	make_objects();
	makes_no_call(use_queues, "q0");
	makes_no_call(use_queues, "q1");
	makes_no_call(use_queues, "q2");
}

/* Were the filter without effect, the tests above could not fail. */
static void calls_somewhere(void *arg)
{
	(void)arg;
	forbid_calls();
	syscall(SYS_getppid);
}

static void a_system_call_would_be_noticed(void **state)
{
	int status;

	(void)state;
	forbidden_call = shared(sizeof(*forbidden_call));
	*forbidden_call = -1;
	status = join_child(spawn(calls_somewhere, NULL));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(*forbidden_call, SYS_getppid);
	munmap(forbidden_call, sizeof(*forbidden_call));
}

/* ---- waiting -------------------------------------------------------------------------------- */

struct wait {
	const char *object;
	bool no_backstop;
	/* out: of the wait alone */
	i64 elapsed, cpu; /* ns */
	long sleeps;
};

static i64 cpu_of(const struct rusage *u)
{
	return (u->ru_utime.tv_sec + u->ru_stime.tv_sec) * INT64_C(1000000000) +
	       (u->ru_utime.tv_usec + u->ru_stime.tv_usec) * INT64_C(1000);
}

static void pop_waiting(void *arg)
{
	struct wait *w = arg;
	struct ipk_segment *seg = open_segment(SEG);
	struct rusage before, after;
	i64 start;
	uint64_t val = 0;
	int r;

	if (w->no_backstop)
		ipk_wait_backstop = IPK_FOREVER / 2;
	must(seg);
	start = ipk_now();
	if (*w->object == 'r') {
		struct ipk_ring *ring = open_ring(seg, w->object);

		must(getrusage(RUSAGE_SELF, &before) == 0);
		r = ipk_ring_pop(ring, &val, sizeof(val), NULL, IPK_FOREVER);
	} else {
		struct ipk_queue *q = open_queue(seg, w->object);

		must(getrusage(RUSAGE_SELF, &before) == 0);
		r = ipk_queue_pop(q, &val, sizeof(val), NULL, IPK_FOREVER);
	}
	must(getrusage(RUSAGE_SELF, &after) == 0);
	must(r == 0 && val == 7);
	w->elapsed = ipk_now() - start;
	w->cpu = cpu_of(&after) - cpu_of(&before);
	w->sleeps = after.ru_nvcsw - before.ru_nvcsw;
}

static int one_waiter(void *arg, const struct ipk_participant_info *p)
{
	(void)p;
	++*(u32 *)arg;
	return 0;
}

static u32 waiters(const char *object)
{
	struct look l;
	u32 n = 0;

	look(&l, SEG, object);
	ipk_object_waiters(&l.o, one_waiter, &n);
	look_end(&l);
	return n;
}

static void push_seven(const char *object)
{
	struct ipk_segment *seg = open_segment(SEG);
	uint64_t val = 7;

	assert_non_null(seg);
	if (*object == 'r') {
		struct ipk_ring *ring = open_ring(seg, object);

		assert_int_equal(ipk_ring_push(ring, &val, sizeof(val), IPK_NOWAIT), 0);
		ipk_ring_close(ring);
	} else {
		struct ipk_queue *q = open_queue(seg, object);

		assert_int_equal(ipk_queue_push(q, &val, sizeof(val), IPK_NOWAIT), 0);
		ipk_queue_close(q);
	}
	ipk_segment_close(seg);
}

/* A consumer waits while nothing happens; what it cost is in *ret. */
static void let_wait(const char *object, bool no_backstop, struct wait *ret)
{
	struct wait *w = shared(sizeof(*w));
	i64 end;
	pid_t pid;

	w->object = object;
	w->no_backstop = no_backstop;
	pid = spawn(pop_waiting, w);
	await(waiters(object) == 1);
	for (end = ipk_now() + IDLE; ipk_now() < end;)
		nap();
	push_seven(object);
	assert_ended_well(join_child(pid));
	*ret = *w;
	munmap(w, sizeof(*w));
	assert_true(ret->elapsed >= IDLE);
}

static void a_waiting_consumer_uses_no_processor(void **state)
{
	struct wait w;

	(void)state;
	make_objects();
	let_wait("r0", false, &w);
	assert_true(w.cpu < IDLE / 10);
	/* Besides the first ones, only the backstop of a quarter of a second wakes it. */
	assert_true(w.sleeps <= SLEEPS_AT_FIRST + w.elapsed / (ipk_wait_backstop / 2));
	let_wait("q0", false, &w);
	assert_true(w.cpu < IDLE / 10);
	assert_true(w.sleeps <= SLEEPS_AT_FIRST + w.elapsed / (ipk_wait_backstop / 2));
}

static void an_idle_segment_wakes_nobody(void **state)
{
	struct wait w;

	(void)state;
	make_objects();
	let_wait("r1", true, &w);
	assert_in_range(w.sleeps, 1, SLEEPS_AT_FIRST);
	let_wait("q0", true, &w);
	assert_in_range(w.sleeps, 1, SLEEPS_AT_FIRST);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_ring_where_nobody_waits_makes_no_system_call),
		TEST(a_queue_where_nobody_waits_makes_no_system_call),
		TEST(a_system_call_would_be_noticed),
		TEST(a_waiting_consumer_uses_no_processor),
		TEST(an_idle_segment_wakes_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
