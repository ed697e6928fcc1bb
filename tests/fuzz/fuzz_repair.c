/* SPDX-License-Identifier: MIT */
/*
 * The input damages a segment (fuzz_image.h), and it is repaired: what is said to be done is done,
 * nothing is changed where that fails, and what was changed can be taken back (each fourth time).
 * What was repaired is attached and used by every verb of every kind; when all objects are removed
 * nothing is left.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drive.h"
#include "fuzz_image.h"
#include "repair.h"

#define FILE_MAX (UINT64_C(64) << 20)

static char path[256], undo[264];

static void fail(const char *what, const char *more)
{
	fprintf(stderr, "%s: %s\n", what, more);
	abort();
}

static void clear(void)
{
	unlink(path);
	unlink(undo);
}

static int begin(void)
{
	struct rlimit limit = {.rlim_cur = FILE_MAX, .rlim_max = FILE_MAX};
	const char *dir = getenv("IPK_DIR");

	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	snprintf(path, sizeof(path), "%s/fuzz%d.ipk", dir ? dir : "/dev/shm", (int)getpid());
	snprintf(undo, sizeof(undo), "%s.undo", path);
	atexit(clear);
	return open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

static void said(void *arg, const char *where, const char *what)
{
	struct ipk_buf *b = arg;

	ipk_buf_printf(b, "%s: %s; ", where, what);
}

/* How many findings, or an error; what they are into b. */
static int check(int fd, struct ipk_buf *b)
{
	struct ipk_view *view;
	int r = ipk_view_open_fd(fd, &view, NULL);

	if (r == 0) {
		r = ipk_fsck_copy(view, said, b, NULL);
		ipk_view_close(view);
	}
	return r;
}

static bool file_is(int fd, const u8 *bytes, u64 len)
{
	struct stat st;
	bool same;
	void *now;

	if (fstat(fd, &st) != 0 || (u64)st.st_size != len)
		return false;
	now = mmap(NULL, len + 1, PROT_READ, MAP_SHARED, fd, 0);
	if (now == MAP_FAILED)
		abort();
	same = memcmp(now, bytes, len) == 0;
	munmap(now, len + 1);
	return same;
}

static void use(int fd, struct ipk_buf *b)
{
	struct ipk_segment *seg;
	struct ipk_error err = {0};

	drive_segment(fd, true);
	if (ipk_segment_open(path, IPK_READ | IPK_WRITE, &seg, &err) != 0)
		fail("repaired and used, and cannot be attached", err.text);
	ipk_segment_sweep(seg);
	for (const struct ipk_kind *const *k = ipk_kinds; *k; k++)
		(void)ipk_object_remove(seg, (*k)->name, &err);
	ipk_segment_close(seg);
	b->len = 0;
	if (check(fd, b) != 0)
		fail("repaired, used and removed", b->data);
}

static void repaired(int fd, const u8 *bytes, u64 len, int r, bool again, struct ipk_buf *b)
{
	struct ipk_error err = {0};
	int left;

	if (r < 0) {
		if (access(undo, F_OK) == 0 || !file_is(fd, bytes, len))
			fail("it failed, and something was changed", ipk_strerror(r));
		return;
	}
	left = check(fd, b);
	if ((r == 0) != (left == 0))
		fail(r ? "something is left, but nothing is found" : "said to be done", b->data);
	if (again && access(undo, F_OK) == 0) {
		if (ipk_repair_undo(path, 0, &err) != 0 || !file_is(fd, bytes, len))
			fail("it cannot be taken back", err.text);
		b->len = 0;
		if (ipk_repair(path, 0, said, said, b, &err) != r)
			fail("the second time it does something else", b->data);
	}
	if (r == 0)
		use(fd, b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct ipk_error err = {0};
	struct ipk_buf b = {0};
	u64 len;
	const u8 *bytes = fuzz_image(data, size, &len);

	if (fd < 0)
		fd = begin();
	unlink(undo);
	if (fd < 0 || ftruncate(fd, 0) != 0 || pwrite(fd, bytes, len, 0) != (ssize_t)len)
		abort();
	repaired(fd, bytes, len, ipk_repair(path, 0, said, said, &b, &err),
		 fuzz_own(data, size) % 4 == 3, &b);
	ipk_buf_free(&b);
	return 0;
}
