/* SPDX-License-Identifier: MIT */
/* The sound segments that inputs change. */
#include "fuzz_base.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* What does not fit into the bodies is read again for each input: enough of it to be different. */
#define FILL_ROUNDS 8
#include "drive.h"

#define DEAD_MAX 64

/* In a child: says that it stands where it shall die. */
static int standing;

static void stay(void)
{
	if (write(standing, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static int stay_in_emit(struct ipk_call *call, const struct ipk_item *item)
{
	(void)call, (void)item;
	stay();
	return 0;
}

static int stay_in_command(struct ipk_call *call, int status)
{
	(void)call, (void)status;
	stay();
	return 0;
}

/* Runs the verb up to where it has given something out, or holds something. */
static void hold(int fd, const struct ipk_kind *kind, const struct ipk_op *op)
{
	static uint32_t cancelled = 1;
	struct drive d = {
		.fill.call = {.next = drive_next, .emit = stay_in_emit, .flush = fill_flush}};
	struct ipk_op mine = *op;

	mine.ended = stay_in_command;
	d.fill.call.tool = &d;
	ipk_thread_cancel_word(&cancelled);
	if (ipk_segment_open_fd(fd, IPK_READ | IPK_WRITE, &d.fill.call.seg, NULL) == 0 &&
	    drive_types(&d, fd, kind) == 0 &&
	    kind->attach(d.fill.call.seg, kind->name, &d.fill.call.handle, NULL) == 0)
		drive_op(&d, &mine, op->flags & IPK_OP_KEY ? "3" : NULL);
	stay();
}

/* A child that stands in the verb. */
static pid_t stand(int fd, const struct ipk_kind *kind, const struct ipk_op *op)
{
	int ends[2];
	pid_t pid;
	char c;

	if (pipe(ends) != 0 || (pid = fork()) < 0)
		abort();
	if (pid == 0) {
		close(ends[0]);
		standing = ends[1];
		hold(fd, kind, op);
	}
	close(ends[1]);
	if (read(ends[0], &c, 1) != 1)
		abort();
	close(ends[0]);
	return pid;
}

/* All stand there at once, and die. */
static void let_die(int fd)
{
	pid_t pid[DEAD_MAX];
	int n = 0;

	for (const struct ipk_kind *const *k = ipk_kinds; *k; k++)
		for (const struct ipk_op *op = (*k)->ops; op->name && n < DEAD_MAX; op++)
			if (op->flags & (IPK_OP_CONSUME | IPK_OP_CMD))
				pid[n++] = stand(fd, *k, op);
	for (int i = 0; i < n; i++)
		kill(pid[i], SIGKILL);
	for (int i = 0; i < n; i++)
		waitpid(pid[i], NULL, 0);
}

static u8 *read_whole(int fd, u64 *ret_len)
{
	struct stat st;
	u8 *bytes;

	if (fstat(fd, &st) != 0 || !(bytes = malloc((size_t)st.st_size)) ||
	    pread(fd, bytes, (size_t)st.st_size, 0) != st.st_size)
		abort();
	*ret_len = (u64)st.st_size;
	return bytes;
}

static int fill(struct ipk_segment *seg, bool typed, struct ipk_error *err)
{
	int r = 0;

	for (const struct ipk_kind *const *k = ipk_kinds; typed && *k && r == 0; k++) {
		if ((*k)->flags & IPK_KIND_KEYED)
			r = fill_kind_of(seg, *k, "u64", (*k)->key ? "u64" : NULL, err);
		else if (fill_kind_of(seg, *k, FILL_STRUCT, NULL, err) != 0) /* it has one alone */
			r = fill_kind(seg, *k, err);
	}
	return typed ? r : fill_segment(seg, err);
}

u8 *fuzz_base_make(enum fuzz_base which, u64 *ret_len)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_segment *seg;
	struct ipk_error err = {0};
	char path[256];
	u8 *bytes;
	int fd;

	snprintf(path, sizeof(path), "%s/base%d.ipk",
		 getenv("IPK_DIR") ? getenv("IPK_DIR") : "/dev/shm", (int)getpid());
	options.size = 64 << 10;
	options.max = 1 << 20;
	if (ipk_segment_create(path, &options, &seg, &err) != 0 ||
	    fill(seg, which & FUZZ_TYPED, &err) != 0) {
		fprintf(stderr, "the segment to begin with: %s\n", err.text);
		abort();
	}
	ipk_segment_close(seg);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || unlink(path) != 0)
		abort();
	if (which & FUZZ_DEAD)
		let_die(fd);
	bytes = read_whole(fd, ret_len);
	close(fd);
	return bytes;
}
