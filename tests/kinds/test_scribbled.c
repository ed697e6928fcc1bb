/* SPDX-License-Identifier: MIT */
/*
 * Somebody with permission to write shortens, lengthens and overwrites a segment while it is looked
 * at: whoever looks gets an error or something, and neither crashes nor hangs. Nor does a repair,
 * which he does not keep out, since he is no participant. Who is attached gets errors.
 */
#include "drive.h"
#include "ipk/queue.h"
#include "kinds/fixture_repair.h"
#include "mutate.h"
#include "walk.h"

#define WALKS 12
#define USES 8
#define ROUNDS 20000u /* of the scribbler, at least, meanwhile */

struct scribbler {
	u32 ready, stop;
	bool keep; /* the length */
	u64 rounds;
};

static void scribble(void *arg)
{
	struct scribbler *s = arg;
	char path[256];
	u64 seed = 4711, at, word;
	struct draw r = {.state = seed};
	int fd;

	file_path(path, "");
	fd = open(path, O_RDWR | O_CLOEXEC);
	must(fd >= 0);
	while (!ipk_ld(&s->stop, acquire)) {
		at = seeded(&seed) % good_len & ~UINT64_C(7);
		word = seeded(&seed) % 3 ? seeded(&seed) : UINT64_MAX;
		switch (s->keep ? 2 + seeded(&seed) % 62 : seeded(&seed) % 16) {
		case 0:
			must(ftruncate(fd, (off_t)(at & ~UINT64_C(4095))) == 0);
			break;
		case 1:
			must(ftruncate(fd, (off_t)good_len + seeded(&seed) % 65536) == 0);
			break;
		case 2: /* from time to time it is whole, so that all of it is read */
			must(pwrite(fd, good, good_len, 0) == (ssize_t)good_len);
			break;
		case 3: /* the header and the journal, where most begins */
			must(pwrite(fd, &word, 8, 24 + (off_t)(at % 1400 & ~UINT64_C(7))) == 8);
			break;
		case 4:
		case 5:
			must(pwrite(fd, &word, 8, (off_t)at) == 8);
			break;
		default: /* what means something, and something that might have been there */
			if (mutate(good, good_len, &r, &at, &word))
				must(pwrite(fd, &word, 8, (off_t)at) == 8);
			break;
		}
		ipk_st(&s->rounds, s->rounds + 1, relaxed);
		ipk_st(&s->ready, 1u, release);
	}
}

static struct scribbler *begin(pid_t *ret_pid, bool keep)
{
	struct scribbler *s = shared(sizeof(*s));

	s->keep = keep;
	file_write(good, good_len);
	*ret_pid = spawn(scribble, s);
	await(ipk_ld(&s->ready, acquire));
	return s;
}

static void end(struct scribbler *s, pid_t pid)
{
	ipk_st(&s->stop, 1u, release);
	assert_ended_well(join_child(pid));
	assert_true(s->rounds > 1);
	munmap(s, sizeof(*s));
}

static void who_looks_while_it_is_scribbled_over_comes_to_an_end(void **state)
{
	const char *names[64] = {NULL};
	struct scribbler *s;
	char path[256];
	pid_t pid;
	int fd;

	(void)state;
	for (int i = 0; ipk_kinds[i] && i < 63; i++)
		names[i] = ipk_kinds[i]->name;
	s = begin(&pid, false);
	file_path(path, "");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	for (int i = 0; i < WALKS || ipk_ld(&s->rounds, relaxed) < ROUNDS; i++)
		(void)walk_segment(fd, names);
	end(s, pid);
	close(fd);
	file_write(good, good_len);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(walk_segment(fd, names), 0);
	close(fd);
}

static void a_repair_while_it_is_scribbled_over_comes_to_an_end(void **state)
{
	struct report report;
	struct ipk_error err;
	pid_t pid;
	struct scribbler *s = begin(&pid, false);

	(void)state;
	for (int i = 0; i < WALKS || ipk_ld(&s->rounds, relaxed) < ROUNDS; i++) {
		report.len = 0;
		(void)ipk_repair(NAME, i % 2 ? IPK_REPAIR_DRY : 0, report_add, report_add, &report,
				 &err);
		(void)ipk_repair_undo(NAME, 0, &err);
	}
	end(s, pid);
	undo_forget();
	file_write(good, good_len);
	report.len = 0;
	assert_int_equal(ipk_repair(NAME, 0, report_add, report_add, &report, &err), 0);
	assert_int_equal(report.len, 0);
}

/* ---- attached ------------------------------------------------------------------------------- */

struct user {
	struct scribbler *s;
	bool guarded;
};

/* Runs every verb of every kind, in a process of its own: it may hold what it cannot give back. */
static void use_all(void *arg)
{
	struct user *u = arg;
	char path[256];
	int fd;

	if (u->guarded)
		must(ipk_segment_guard() == 0);
	file_path(path, "");
	fd = open(path, O_RDWR | O_CLOEXEC);
	must(fd >= 0);
	for (int i = 0; i < USES || ipk_ld(&u->s->rounds, relaxed) < ROUNDS / 10; i++)
		drive_segment(fd, i % 4 != 3);
}

static void attach_while_it_is_scribbled_over(bool keep)
{
	struct user u = {.guarded = !keep};
	pid_t pid;

	u.s = begin(&pid, keep);
	assert_ended_well(join_child(spawn(use_all, &u)));
	end(u.s, pid);
}

static void who_is_attached_while_it_is_scribbled_over_gets_errors(void **state)
{
	(void)state;
	attach_while_it_is_scribbled_over(true);
}

static void who_guards_his_memory_survives_that_the_file_is_shortened(void **state)
{
	(void)state;
	attach_while_it_is_scribbled_over(false);
}

/* Attached, and then nothing is left of it. */
static void use_nothing(void *arg)
{
	struct ipk_queue *queue;
	struct ipk_segment *seg;
	char path[256];

	(void)arg;
	must(ipk_segment_guard() == 0);
	must(ipk_segment_open(NAME, IPK_READ | IPK_WRITE, &seg, NULL) == 0);
	must(ipk_queue_open(seg, "queue", NULL, &queue, NULL) == 0);
	file_path(path, "");
	must(truncate(path, 0) == 0);
	must(ipk_queue_pop(queue, NULL, 0, NULL, IPK_FOREVER) == -ESTALE);
	ipk_queue_close(queue);
	ipk_segment_close(seg);
}

static void who_waits_in_a_segment_that_is_emptied_is_told(void **state)
{
	(void)state;
	file_write(good, good_len);
	assert_ended_well(join_child(spawn(use_nothing, NULL)));
}

static void on_bus(int sig)
{
	_exit(sig == SIGBUS ? 7 : 1);
}

static void touch_what_is_no_segments(void *arg)
{
	const int fd = memfd_create("other", MFD_CLOEXEC);
	volatile u8 *p = mmap(NULL, IPK_PAGE, PROT_READ, MAP_SHARED, fd, 0);

	(void)arg;
	must(signal(SIGBUS, on_bus) != SIG_ERR);
	must(ipk_segment_guard() == 0);
	must(p != MAP_FAILED && p[0] == 0);
	_exit(3);
}

static void a_bus_error_elsewhere_goes_to_the_handler_that_was_there(void **state)
{
	int status;

	(void)state;
	status = join_child(spawn(touch_what_is_no_segments, NULL));
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_looks_while_it_is_scribbled_over_comes_to_an_end),
		cmocka_unit_test(a_repair_while_it_is_scribbled_over_comes_to_an_end),
		cmocka_unit_test(who_is_attached_while_it_is_scribbled_over_gets_errors),
		cmocka_unit_test(who_guards_his_memory_survives_that_the_file_is_shortened),
		cmocka_unit_test(who_waits_in_a_segment_that_is_emptied_is_told),
		cmocka_unit_test(a_bus_error_elsewhere_goes_to_the_handler_that_was_there),
	};

	return cmocka_run_group_tests(tests, make_good, drop_good);
}
