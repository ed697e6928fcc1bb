/* SPDX-License-Identifier: MIT */
/* Somebody has the segment's lock and is stopped, and others die: nobody else's deadline suffers. */
#include "fixture_one.h"

#include "ipk/array.h"
#include "ipk/future.h"
#include "ipk/semaphore.h"
#include "kinds/map_write.h"

static void make_all(void)
{
	assert_int_equal(ipk_future_create(seg, "f", NULL, NULL), 0);
	assert_int_equal(ipk_semaphore_create(seg, "s", 1, 1, NULL), 0);
	assert_int_equal(ipk_array_create(seg, "a", "u64", 4, NULL), 0);
}

static struct ipk_segment *attach(void)
{
	struct ipk_segment *mine = NULL;

	must(ipk_segment_open("s", IPK_WRITE, &mine, NULL) == 0);
	return mine;
}

static struct ipk_semaphore *semaphore_of(struct ipk_segment *in)
{
	struct ipk_semaphore *s = NULL;

	must(ipk_semaphore_open(in, "s", &s, NULL) == 0);
	return s;
}

/* Until it ends: what hangs is killed, and the test has failed. */
static void ends_well(pid_t pid)
{
	i64 end = ipk_now() + LIMIT_NS;
	int status = -1;

	while (waitpid(pid, &status, WNOHANG) != pid) {
		if (ipk_now() > end) {
			kill_child(pid);
			fail_msg("it hangs");
		}
		nap();
	}
	assert_ended_well(status);
}

static void claim(void *arg)
{
	struct ipk_future *f;

	must(ipk_future_open(attach(), "f", NULL, &f, NULL) == 0);
	must(ipk_future_claim(f) == 0);
	ipk_st((u32 *)arg, 1u, seq_cst);
	pause();
}

static void hold_lock(void *arg)
{
	struct ipk_segment *mine = attach();
	int r;

	must(ipk_lock(ipk_self(mine, &r), &ipk_header(mine)->lock, IPK_FOREVER) == 0);
	ipk_st((u32 *)arg, 1u, seq_cst);
	raise(SIGSTOP);
	ipk_unlock(ipk_self(mine, &r), &ipk_header(mine)->lock);
	pause();
}

/* Comes, waits for what does not come, and goes. */
static void wait_in_vain(void *arg)
{
	struct ipk_segment *mine = attach();
	struct ipk_semaphore *s = semaphore_of(mine);

	(void)arg;
	must(ipk_semaphore_acquire(s, 1, ipk_deadline(30000000)) == -ETIMEDOUT);
	ipk_semaphore_close(s);
	ipk_segment_close(mine);
}

static void wait_for_ever(void *arg)
{
	struct ipk_semaphore *s = semaphore_of(attach());

	ipk_st((u32 *)arg, 1u, seq_cst);
	must(ipk_semaphore_acquire(s, 1, IPK_FOREVER) == 0);
	ipk_st((u32 *)arg, 2u, seq_cst);
	must(ipk_semaphore_wait(s, IPK_FOREVER) == 0);
}

static void nobody_waits_longer_than_it_would_for_a_stopped_process(void **state)
{
	u32 *there = shared(4), *waits = shared(4);
	struct ipk_semaphore *s;
	pid_t claimant, holder, waiter;

	(void)state;
	make_all();
	s = semaphore_of(seg);
	assert_int_equal(ipk_semaphore_acquire(s, 1, IPK_NOWAIT), 0);
	claimant = spawn_ready(claim, there, there);
	waiter = spawn_ready(wait_for_ever, waits, waits);
	holder = spawn_ready(hold_lock, there, there);
	stop_child(holder);
	kill_child(claimant);
	/* Who comes now, who waits with a deadline, and who waits for what does come. */
	ends_well(spawn(wait_in_vain, NULL));
	assert_int_equal(info_of("s").dead, 1);
	assert_int_equal(ipk_semaphore_release(s, 1), 0);
	await(ipk_ld(waits, seq_cst) == 2);
	/* The claim was the lock's affair: it is mended by who still waits, when that can be had. */
	assert_int_equal(info_of("s").dead, 1);
	assert_int_equal(kill(holder, SIGCONT), 0);
	await(info_of("s").dead == 0);
	assert_int_equal(findings_of("s", "f").n, 0);
	kill_child(holder);
	kill_child(waiter);
	ipk_segment_sweep(seg);
	assert_int_equal(info_of("s").dead, 0);
	ipk_semaphore_close(s);
}

static struct ipk_map *map_of(struct ipk_segment *in)
{
	struct ipk_map *m = NULL;

	must(ipk_map_open(in, "m", NULL, NULL, &m, NULL) == 0);
	return m;
}

static void hold_map(void *arg)
{
	struct ipk_map *m = map_of(attach());
	int r;

	must(ipk_map_lock(ipk_use(&m->obj, &r), m->b, IPK_FOREVER) == 0);
	ipk_st((u32 *)arg, 1u, seq_cst);
	pause();
}

static void wait_for_a_change(void *arg)
{
	struct ipk_map *m = map_of(attach());
	u64 changes = ipk_ld(&m->b->changes, acquire);

	ipk_st((u32 *)arg, 1u, seq_cst);
	must(ipk_map_wait(m, &changes, IPK_FOREVER) == 0);
}

/* What the dead had stored may not have been counted: who waits is told, though not at once. */
static void a_sweep_that_could_not_mend_is_made_up_for(void **state)
{
	u32 *there = shared(4), *waits = shared(4);
	pid_t writer, holder, waiter;

	(void)state;
	assert_int_equal(ipk_map_create(seg, "m", "u64", "u64", 0, NULL), 0);
	waiter = spawn_ready(wait_for_a_change, waits, waits);
	writer = spawn_ready(hold_map, there, there);
	holder = spawn_ready(hold_lock, there, there);
	stop_child(holder);
	kill_child(writer);
	assert_int_equal(ipk_segment_sweep(seg), 0);
	assert_int_equal(info_of("s").dead, 1);
	assert_int_equal(kill(holder, SIGCONT), 0);
	ends_well(waiter);
	ipk_segment_sweep(seg);
	assert_int_equal(info_of("s").dead, 0);
	assert_int_equal(findings_of("s", "m").n, 0);
	kill_child(holder);
}

static void remove_and_close(void *arg)
{
	struct ipk_segment *mine = attach();
	struct ipk_array *a;

	must(ipk_array_open(mine, "a", NULL, &a, NULL) == 0);
	ipk_st((u32 *)arg, 1u, seq_cst);
	nap_until((u32 *)arg + 1);
	ipk_array_close(a);
	ipk_segment_close(mine);
}

static void who_closes_leaves_what_was_removed_to_the_next(void **state)
{
	u32 *there = shared(4), *user = shared(8);
	struct ipk_array *a;
	pid_t holder, child;

	(void)state;
	make_all();
	child = spawn_ready(remove_and_close, user, user);
	assert_int_equal(ipk_array_open(seg, "a", NULL, &a, NULL), 0);
	assert_int_equal(ipk_object_remove(seg, "a", NULL), 0);
	ipk_array_close(a);
	assert_int_equal(info_of("s").zombies, 1);
	holder = spawn_ready(hold_lock, there, there);
	stop_child(holder);
	ipk_st(&user[1], 1u, seq_cst);
	ends_well(child);
	assert_int_equal(info_of("s").zombies, 1);
	kill_child(holder);
	assert_int_equal(ipk_segment_sweep(seg), 1);
	assert_int_equal(info_of("s").zombies, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nobody_waits_longer_than_it_would_for_a_stopped_process),
		TEST(a_sweep_that_could_not_mend_is_made_up_for),
		TEST(who_closes_leaves_what_was_removed_to_the_next),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
