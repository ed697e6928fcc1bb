/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash.h"

struct board {
	volatile int state; /* 1 running, 2 done */
	int r;
	size_t len;
	char out[65536];
};

static void second(const struct world *w, const struct trial *u, struct board *board)
{
	struct ipk_segment *seg;
	struct answer a = {0};
	void *handle;

	alarm(60);
	if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0 ||
	    ipk_segment_open("s", IPK_READ | IPK_WRITE, &seg, NULL) != 0 ||
	    world_attach(w, seg, &handle) != 0)
		_exit(98);
	raise(SIGSTOP);
	board->state = 1;
	world_run(w, u, u->inputs, seg, handle, 0, &a);
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

static struct ipk_participant *page_of(const struct victim_file *f, u64 slot)
{
	struct ipk_header *h = (struct ipk_header *)f->p;
	u64 list = h->reg[slot / IPK_REG_PER_PAGE] * IPK_PAGE;
	u64 page;

	if (!list || list + IPK_PAGE > f->size)
		return NULL;
	page = ((u64 *)(f->p + list))[slot % IPK_REG_PER_PAGE] * IPK_PAGE;
	return page && page + IPK_PAGE <= f->size ? (struct ipk_participant *)(f->p + page) : NULL;
}

static void victim_lives(struct victim_file *f, const struct image *image)
{
	struct ipk_header *h;
	char path[512];

	snprintf(path, sizeof(path), "%s/s.ipk", crash_dir);
	f->size = image->size;
	f->fd = open(path, O_RDWR | O_CLOEXEC);
	f->p = mmap(NULL, f->size, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);
	if (f->fd < 0 || f->p == MAP_FAILED)
		abort();
	h = (struct ipk_header *)f->p;
	for (u64 slot = 0; slot < h->nslots; slot++) {
		struct ipk_participant *p = page_of(f, slot);
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
	struct ipk_header *h = (struct ipk_header *)image->data;

	for (u64 slot = 0; slot < h->nslots; slot++) {
		struct victim_file then = {.p = image->data, .size = image->size};
		struct ipk_participant *was = page_of(&then, slot), *p = page_of(f, slot);

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

/*
 * One instruction; false when the process is blocked in a system call. The limit is shorter than
 * any sleep of the library, which looks again by itself now and then. (A slow machine may be taken
 * for a sleeper: then the victim dies a little earlier.)
 */
static bool step(pid_t pid, int *status)
{
	struct itimerval limit = {.it_value = {.tv_usec = 100000}}, off = {0};
	pid_t r;

	if (ptrace(PTRACE_SINGLESTEP, pid, 0, 0) != 0)
		abort();
	setitimer(ITIMER_REAL, &limit, NULL);
	r = waitpid(pid, status, 0);
	setitimer(ITIMER_REAL, &off, NULL);
	return r == pid;
}

/* Steps until the j-th change of memory, the end, or a blocking call; returns the changes seen. */
static unsigned advance(pid_t pid, const struct victim_file *f, struct board *board, unsigned j,
			int *status, bool *blocked)
{
	uint8_t *shadow = malloc(f->size);
	unsigned changes = 0;

	if (!shadow)
		abort();
	memcpy(shadow, f->p, f->size);
	*blocked = false;
	while (changes < j && board->state != 2) {
		if (!step(pid, status)) {
			*blocked = true;
			break;
		}
		if (!WIFSTOPPED(*status))
			break;
		if (board->state == 1 && memcmp(shadow, f->p, f->size) != 0) {
			memcpy(shadow, f->p, f->size);
			changes++;
		}
	}
	free(shadow);
	return changes;
}

int pair_run(const struct world *w, const struct image *first, const struct trial *u, unsigned j,
	     struct answer *ret_second, struct image *ret_left, char *why, size_t size)
{
	struct sigaction sa = {.sa_handler = on_alarm};
	struct board *board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct victim_file f;
	int status, r = 0;
	bool blocked;
	pid_t pid;

	if (board == MAP_FAILED)
		abort();
	sigaction(SIGALRM, &sa, NULL);
	image_write("s", first, false);
	victim_lives(&f, first);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		signal(SIGALRM, SIG_DFL);
		close(f.fd);
		second(w, u, board);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) {
		snprintf(why, size, "the second process cannot attach beside a stopped one");
		victim_dies(&f, first);
		munmap(board, sizeof(*board));
		return -1;
	}
	if (advance(pid, &f, board, j, &status, &blocked) < j && (board->state == 2 || blocked))
		r = 1; /* it comes no further while the victim stands there */
	victim_dies(&f, first);
	if (blocked)
		waitpid(pid, &status, 0); /* its step ends now that it is woken */
	if (WIFSTOPPED(status)) {
		ptrace(PTRACE_DETACH, pid, 0, 0);
		while (waitpid(pid, &status, 0) != pid && errno == EINTR)
			;
	}
	if (board->state != 2 || !WIFEXITED(status)) {
		snprintf(why, size, "the second process %s",
			 WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? "hangs" : "dies");
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
