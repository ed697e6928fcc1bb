/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash.h"

#define LOOK_US 500
#define HANGS (60 * 1000000 / LOOK_US) /* looks */

/* Shared with the second process. */
struct board {
	volatile int state; /* 1 running, 2 done */
	volatile bool told; /* the victim is dead: sleep is nothing remarkable any more */
	volatile unsigned changes;
	int r;
	size_t len;
	char out[65536];
};

/* In the second process: it stops itself at its change number j. */
struct pace {
	struct follow f;
	struct board *board;
	unsigned j;
};

static void seen(void *arg)
{
	struct pace *pace = arg;
	struct follow *f = &pace->f;

	if (!follow_size(f) && memcmp(f->p, f->shadow, f->size) == 0)
		return;
	memcpy(f->shadow, f->p, f->size);
	if (++pace->board->changes == pace->j) {
		stores_end();
		raise(SIGSTOP);
	}
}

static void second(const struct world *w, const struct trial *u, struct pace *pace)
{
	struct board *board = pace->board;
	struct ipk_segment *seg;
	struct answer a = {0};
	void *handle;

	if (ipk_segment_open("s", IPK_READ | IPK_WRITE, &seg, NULL) != 0 ||
	    world_attach(w, seg, &handle) != 0)
		_exit(98);
	follow_start(&pace->f, "s");
	follow_size(&pace->f);
	memcpy(pace->f.shadow, pace->f.p, pace->f.size);
	board->state = 1;
	if (pace->j == 0)
		raise(SIGSTOP);
	else
		stores_begin(seen, pace);
	world_run(w, u, u->inputs, seg, handle, 0, &a);
	stores_end();
	board->r = a.r;
	board->len = a.out.len < sizeof(board->out) ? a.out.len : sizeof(board->out);
	if (board->len)
		memcpy(board->out, a.out.data, board->len);
	board->state = 2;
	_exit(0);
}

/* The stopped victim: its bytes are locked by us, on a description of our own. */
struct victim_file {
	int fd;
	uint8_t *p;
	size_t size;
};

static void victim_lives(struct victim_file *f, const struct image *image)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/s.ipk", crash_dir);
	f->size = image->size;
	f->fd = open(path, O_RDWR | O_CLOEXEC);
	f->p = mmap(NULL, f->size, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);
	if (f->fd < 0 || f->p == MAP_FAILED)
		abort();
	for (u64 slot = 0; slot < slots_in(f->p); slot++) {
		struct ipk_participant *p = participant_in(f->p, f->size, slot);
		struct flock lock = {.l_type = F_WRLCK,
				     .l_whence = SEEK_SET,
				     .l_start = (off_t)slot,
				     .l_len = 1};

		if (p && (p->claim & 0xff) != IPK_CLAIM_FREE &&
		    fcntl(f->fd, F_OFD_SETLK, &lock) != 0)
			abort();
	}
}

/* As the kernel does it: mark, wake one; then the descriptors close. */
static void victim_dies(struct victim_file *f, const struct image *image)
{
	for (u64 slot = 0; slot < slots_in(image->data); slot++) {
		struct ipk_participant *was = participant_in(image->data, image->size, slot);
		struct ipk_participant *p = participant_in(f->p, f->size, slot);

		if (!was || !p || !was->live)
			continue;
		ipk_or(&p->live, 0x40000000u, seq_cst);
		syscall(SYS_futex, &p->live, FUTEX_WAKE, 1, NULL, NULL, 0);
	}
	munmap(f->p, f->size);
	close(f->fd);
}

static void on_alarm(int sig)
{
	(void)sig;
}

static bool kernel_says_asleep(pid_t pid)
{
	char path[40], text[400] = "", *p;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	close(fd);
	p = n > 0 ? strrchr(text, ')') : NULL;
	return p && p[1] == ' ' && p[2] == 'S';
}

/*
 * Until it stops or ends (true), or sleeps and makes no change at two looks in turn: it waits for
 * the victim. (Should it have been about to wake by itself, the victim dies a little earlier.) Who
 * does not end is killed.
 */
static bool await(pid_t pid, struct board *board, int *status)
{
	struct itimerval limit = {.it_value = {.tv_usec = LOOK_US},
				  .it_interval = {.tv_usec = LOOK_US}},
			 off = {0};
	unsigned last = UINT32_MAX, looks = 0;
	bool asleep = false;

	setitimer(ITIMER_REAL, &limit, NULL);
	while (!asleep && waitpid(pid, status, WUNTRACED) != pid) {
		if (++looks == HANGS)
			kill(pid, SIGKILL);
		if (board->state != 1 || board->told || !kernel_says_asleep(pid))
			last = UINT32_MAX;
		else if (last == board->changes)
			asleep = true;
		else
			last = board->changes;
	}
	setitimer(ITIMER_REAL, &off, NULL);
	return !asleep;
}

int pair_run(const struct world *w, const struct image *first, const struct trial *u, unsigned j,
	     struct answer *ret_second, struct image *ret_left, char *why, size_t size)
{
	struct sigaction sa = {.sa_handler = on_alarm};
	struct board *board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct pace pace = {.board = board, .j = j};
	struct victim_file f;
	int status = 0, r;
	bool ended;
	pid_t pid;

	if (board == MAP_FAILED)
		abort();
	sigaction(SIGALRM, &sa, NULL);
	image_write("s", first, false);
	victim_lives(&f, first);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(f.fd);
		second(w, u, &pace);
	}
	if (pid < 0)
		abort();
	ended = await(pid, board, &status) && !WIFSTOPPED(status);
	r = !WIFSTOPPED(status); /* it comes no further while the victim stands there */
	board->told = true;
	victim_dies(&f, first);
	while (!ended) {
		kill(pid, SIGCONT); /* it may get as far as that just now */
		ended = await(pid, board, &status) && !WIFSTOPPED(status);
	}
	if (board->state != 2 || !WIFEXITED(status)) {
		snprintf(why, size, "the second process %s",
			 board->state == 0 ? "cannot attach beside a stopped one"
			 : WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? "hangs"
									      : "dies");
		r = -1;
	}
	ret_second->r = board->r;
	ret_second->out.len = 0;
	ipk_buf_add(&ret_second->out, board->out, board->len);
	image_read("s", ret_left);
	ret_left->done = true;
	munmap(board, sizeof(*board));
	return r;
}
