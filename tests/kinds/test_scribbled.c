/* SPDX-License-Identifier: MIT */
/*
 * Somebody with permission to write shortens, lengthens and overwrites a segment while it is looked
 * at: whoever looks gets an error or something, and neither crashes nor hangs. Nor does a repair,
 * which he does not keep out, since he is no participant.
 */
#include "kinds/fixture_repair.h"
#include "walk.h"

#define WALKS 12
#define ROUNDS 20000u /* of the scribbler, at least, meanwhile */

struct scribbler {
	u32 ready, stop;
	u64 rounds;
};

static void scribble(void *arg)
{
	struct scribbler *s = arg;
	char path[256];
	u64 seed = 4711, at, word;
	int fd;

	file_path(path, "");
	fd = open(path, O_RDWR | O_CLOEXEC);
	must(fd >= 0);
	while (!ipk_ld(&s->stop, acquire)) {
		at = seeded(&seed) % good_len & ~UINT64_C(7);
		word = seeded(&seed) % 3 ? seeded(&seed) : UINT64_MAX;
		switch (seeded(&seed) % 16) {
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
		default:
			must(pwrite(fd, &word, 8, (off_t)at) == 8);
			break;
		}
		ipk_st(&s->rounds, s->rounds + 1, relaxed);
		ipk_st(&s->ready, 1u, release);
	}
}

static struct scribbler *begin(pid_t *ret_pid)
{
	struct scribbler *s = shared(sizeof(*s));

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
	s = begin(&pid);
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
	struct scribbler *s = begin(&pid);

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_looks_while_it_is_scribbled_over_comes_to_an_end),
		cmocka_unit_test(a_repair_while_it_is_scribbled_over_comes_to_an_end),
	};

	return cmocka_run_group_tests(tests, make_good, drop_good);
}
