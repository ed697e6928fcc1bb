/* SPDX-License-Identifier: MIT */
/* A repair is refused while it is unsafe, survives being killed, and is taken back only where it
 * can be. */
#include "kinds/fixture_repair.h"

#include <elf.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>

/* Many pieces: the page table, the lists, the directory and a queue. */
static void damage(u8 *bytes)
{
	struct ipk_header *h = header_of(bytes);
	struct ipk_object *queue = object_of(bytes, "queue");

	h->used = 1;
	memset(h->bins, 0x11, sizeof(h->bins));
	queue->magic = 0;
	*dir_entry(bytes, "map") = 0;
	page_of(bytes, 0)->w = 0;
	page_of(bytes, h->table - 1)->w = 0;
}

static u8 *damaged(void)
{
	u8 *bytes = malloc(good_len);

	assert_non_null(bytes);
	memcpy(bytes, good, good_len);
	damage(bytes);
	file_write(bytes, good_len);
	undo_forget();
	return bytes;
}

static int repair(unsigned flags, struct ipk_error *err)
{
	struct report report = {.len = 0};

	memset(err, 0, sizeof(*err));
	return ipk_repair(NAME, flags, report_add, report_add, &report, err);
}

static bool is_sound(void)
{
	struct report report;

	return check_file(&report) == 0;
}

/* ---- refused -------------------------------------------------------------------------------- */

static void a_participant_that_lives_keeps_repair_and_undo_out(void **state)
{
	u8 *bytes;
	struct ipk_segment *seg;
	struct ipk_error err;

	(void)state;
	file_write(good, good_len);
	assert_int_equal(ipk_segment_open(NAME, IPK_WRITE, &seg, &err), 0);
	assert_non_null(ipk_self(seg, &(int){0}));
	/* Damaged under him. */
	ipk_header(seg)->used += 64;
	assert_int_equal(repair(0, &err), -EBUSY);
	assert_non_null(strstr(err.text, "in use by pid"));
	assert_int_equal(ipk_repair_undo(NAME, 0, &err), -EBUSY);
	assert_false(undo_exists());
	ipk_segment_close(seg);
	assert_int_equal(repair(0, &err), 0);
	assert_true(is_sound());
	bytes = damaged();
	assert_int_equal(repair(0, &err), 0);
	free(bytes);
}

static void one_repair_keeps_another_out(void **state)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = IPK_SLOTS_MAX + 1};
	u8 *bytes = damaged();
	struct ipk_error err;
	char path[256];
	int fd;

	(void)state;
	file_path(path, "");
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0 && fcntl(fd, F_OFD_SETLK, &fl) == 0);
	assert_int_equal(repair(0, &err), -EBUSY);
	assert_non_null(strstr(err.text, "another repair"));
	close(fd);
	assert_int_equal(repair(0, &err), 0);
	free(bytes);
}

static void try_attach(void *arg)
{
	u32 *state = arg;
	struct ipk_segment *seg;
	int error;

	close((int)state[2]); /* or it would keep what it waits for */
	ipk_st(&state[0], 1u, release);
	must(ipk_segment_open(NAME, IPK_WRITE, &seg, NULL) == 0);
	must(ipk_self(seg, &error) != NULL);
	ipk_st(&state[1], 1u, release);
	must(ipk_object_remove(seg, "array", NULL) == 0);
	ipk_segment_close(seg);
}

static void whoever_attaches_during_a_repair_waits_for_its_end(void **state)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = IPK_SLOTS_MAX + 1};
	u32 *flags = shared(3 * sizeof(u32));
	char path[256];
	pid_t pid;
	int fd;

	(void)state;
	file_write(good, good_len);
	file_path(path, "");
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0 && fcntl(fd, F_OFD_SETLK, &fl) == 0);
	flags[2] = (u32)fd;
	pid = spawn(try_attach, flags);
	await(ipk_ld(&flags[0], acquire));
	for (int i = 0; i < 50; i++)
		nap();
	assert_int_equal(ipk_ld(&flags[1], acquire), 0);
	close(fd);
	assert_int_equal(join_child(pid), 0);
	assert_true(is_sound());
	munmap(flags, 3 * sizeof(u32));
}

static void what_is_no_segment_is_not_guessed_at(void **state)
{
	u8 *bytes = damaged();
	struct ipk_error err;

	(void)state;
	header_of(bytes)->magic ^= 1;
	file_write(bytes, good_len);
	assert_int_equal(repair(0, &err), -EPROTO);
	header_of(bytes)->magic ^= 1;
	header_of(bytes)->version = 77;
	file_write(bytes, good_len);
	assert_int_equal(repair(0, &err), -EPROTO);
	assert_true(file_is(bytes, good_len));
	file_write(bytes, 100);
	assert_true(repair(0, &err) < 0);
	assert_false(undo_exists());
	free(bytes);
}

static void what_is_sound_is_not_touched(void **state)
{
	struct ipk_error err;

	(void)state;
	undo_forget();
	file_write(good, good_len);
	assert_int_equal(repair(0, &err), 0);
	assert_true(file_is(good, good_len));
	assert_false(undo_exists());
	assert_int_equal(ipk_repair_undo(NAME, 0, &err), -ENOENT);
}

/* ---- taking back ---------------------------------------------------------------------------- */

static void what_was_changed_since_is_not_taken_back(void **state)
{
	u8 *bytes = damaged();
	struct ipk_segment *seg;
	struct ipk_error err;

	(void)state;
	assert_int_equal(repair(0, &err), 0);
	assert_int_equal(ipk_segment_open(NAME, IPK_WRITE, &seg, &err), 0);
	assert_int_equal(ipk_object_remove(seg, "map", &err), 0);
	ipk_segment_close(seg);
	assert_int_equal(ipk_repair_undo(NAME, 0, &err), -EEXIST);
	assert_non_null(strstr(err.text, "changed since"));
	assert_true(is_sound());
	free(bytes);
}

static void saved_bytes_of_another_segment_are_not_used(void **state)
{
	u8 *bytes = damaged();
	struct ipk_error err;

	(void)state;
	assert_int_equal(repair(0, &err), 0);
	header_of(bytes)->id[0]++;
	file_write(bytes, good_len);
	assert_int_equal(ipk_repair_undo(NAME, 0, &err), -ENOENT);
	assert_true(file_is(bytes, good_len));
	free(bytes);
}

static void saved_bytes_that_are_damaged_are_not_used(void **state)
{
	u8 *bytes = damaged(), *repaired, byte = 0;
	struct ipk_error err;
	char path[256];
	u64 len;
	int fd;

	(void)state;
	assert_int_equal(repair(0, &err), 0);
	repaired = file_read(&len);
	file_path(path, ".undo");
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0 && pread(fd, &byte, 1, 200) == 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, 200), 1);
	assert_int_equal(ipk_repair_undo(NAME, 0, &err), -EBADMSG);
	assert_int_equal(ftruncate(fd, 150), 0);
	assert_int_equal(ipk_repair_undo(NAME, 0, &err), -EBADMSG);
	close(fd);
	assert_true(file_is(repaired, len));
	undo_forget();
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_true(ipk_repair_undo(NAME, 0, &err) < 0);
	undo_forget();
	free(repaired);
	free(bytes);
}

static void forget(void *arg, const char *path)
{
	(void)path;
	++*(int *)arg;
}

static void saved_bytes_go_when_their_segment_is_gone(void **state)
{
	u8 *bytes = damaged();
	struct ipk_error err;
	int n = 0;

	(void)state;
	assert_int_equal(repair(0, &err), 0);
	assert_int_equal(ipk_repair_forget(0, forget, &n), 0);
	assert_true(undo_exists());
	assert_int_equal(ipk_segment_remove(NAME, &err), 0);
	assert_int_equal(ipk_repair_forget(IPK_REPAIR_DRY, forget, &n), 1);
	assert_true(undo_exists());
	assert_int_equal(ipk_repair_forget(0, forget, &n), 1);
	assert_false(undo_exists());
	assert_int_equal(n, 2);
	free(bytes);
}

/* ---- killed --------------------------------------------------------------------------------- */

/* The number of the system call that a stopped child is at. */
static long call_of(pid_t pid)
{
	struct __ptrace_syscall_info info = {0};

	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) <= 0)
		return -1;
	return info.op == PTRACE_SYSCALL_INFO_ENTRY ? (long)info.entry.nr : -1;
}

/* Calls that change a file or a directory. */
static bool changes_something(long nr)
{
	return nr == SYS_pwrite64 || nr == SYS_rename || nr == SYS_unlink || nr == SYS_ftruncate ||
	       nr == SYS_fallocate || nr == SYS_fsync;
}

static void traced(void *arg)
{
	struct report report = {.len = 0};
	bool undo = *(bool *)arg;

	must(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
	raise(SIGSTOP);
	must((undo ? ipk_repair_undo(NAME, 0, NULL)
		   : ipk_repair(NAME, 0, report_add, report_add, &report, NULL)) == 0);
}

/* Runs it and kills it right before its nth call that changes something. False: it came to its end.
 */
static bool killed_before(int nth, bool undo)
{
	pid_t pid = spawn(traced, &undo);
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(
		ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL), 0);
	for (;;) {
		assert_int_equal(ptrace(PTRACE_SYSCALL, pid, 0, 0), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status)) {
			assert_int_equal(WEXITSTATUS(status), 0);
			return false;
		}
		assert_true(WIFSTOPPED(status));
		if (changes_something(call_of(pid)) && nth-- == 0) {
			assert_int_equal(kill(pid, SIGKILL), 0);
			assert_int_equal(waitpid(pid, &status, 0), pid);
			return true;
		}
	}
}

static void a_killed_repair_can_be_run_again_or_undone(void **state)
{
	u8 *bytes = damaged();
	struct ipk_error err;
	int n = 0, undone = 0;

	(void)state;
	while (killed_before(n, false)) {
		int r = ipk_repair_undo(NAME, 0, &err);

		/* Killed before anything was saved there is nothing to take back. */
		if (r != 0 && (r != -ENOENT || undone))
			fail_msg("killed at %d: undo: %d %s", n, r, err.text);
		undone += r == 0;
		assert_true(file_is(bytes, good_len));
		assert_true(killed_before(n, false));
		if (repair(0, &err) != 0 || !is_sound())
			fail_msg("killed at %d: %s", n, err.text);
		assert_int_equal(ipk_repair_undo(NAME, 0, &err), 0);
		assert_true(file_is(bytes, good_len));
		n++;
	}
	assert_true(undone > 2 && n > undone);
	free(bytes);
}

static void a_killed_undo_can_be_run_again(void **state)
{
	u8 *bytes = damaged();
	struct ipk_error err;
	int n = 0;

	(void)state;
	assert_int_equal(repair(0, &err), 0);
	while (killed_before(n, true)) {
		int r = ipk_repair_undo(NAME, 0, &err);

		/* Killed after the last byte was back and the saved ones were gone. */
		if (r != 0 && r != -ENOENT)
			fail_msg("killed at %d: %d %s", n, r, err.text);
		assert_true(file_is(bytes, good_len));
		assert_int_equal(repair(0, &err), 0);
		assert_true(killed_before(n, true));
		/* A repair after it begins with what was there. */
		if (repair(0, &err) != 0 || !is_sound())
			fail_msg("killed at %d: %s", n, err.text);
		n++;
	}
	assert_true(n > 4);
	free(bytes);
}

static void a_byte_written_half_is_put_back(void **state)
{
	u8 *bytes = damaged(), *repaired, word[4] = {0};
	struct ipk_error err;
	char path[256];
	u64 len, half;
	int fd;

	(void)state;
	assert_int_equal(repair(0, &err), 0);
	repaired = file_read(&len);
	/* As if killed while the pieces were written: of some only the first bytes. */
	file_path(path, ".undo");
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0 && pwrite(fd, word, 4, 12) == 4);
	close(fd);
	for (half = 0; half < len && repaired[half] == bytes[half]; half++)
		;
	memcpy(repaired + half + 1, bytes + half + 1, len - half - 1);
	file_write(repaired, len);
	assert_int_equal(repair(0, &err), 0);
	assert_true(is_sound());
	assert_int_equal(ipk_repair_undo(NAME, 0, &err), 0);
	assert_true(file_is(bytes, good_len));
	free(repaired);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_participant_that_lives_keeps_repair_and_undo_out),
		cmocka_unit_test(one_repair_keeps_another_out),
		cmocka_unit_test(whoever_attaches_during_a_repair_waits_for_its_end),
		cmocka_unit_test(what_is_no_segment_is_not_guessed_at),
		cmocka_unit_test(what_is_sound_is_not_touched),
		cmocka_unit_test(what_was_changed_since_is_not_taken_back),
		cmocka_unit_test(saved_bytes_of_another_segment_are_not_used),
		cmocka_unit_test(saved_bytes_that_are_damaged_are_not_used),
		cmocka_unit_test(a_killed_repair_can_be_run_again_or_undone),
		cmocka_unit_test(a_killed_undo_can_be_run_again),
		cmocka_unit_test(a_byte_written_half_is_put_back),
		cmocka_unit_test(saved_bytes_go_when_their_segment_is_gone),
	};

	return cmocka_run_group_tests(tests, make_good, drop_good);
}
