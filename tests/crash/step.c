/* SPDX-License-Identifier: MIT */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash.h"

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void file_path(const char *name, char *path, size_t size)
{
	snprintf(path, size, "%s/%s.ipk", crash_dir, name);
}

void image_free(struct image *image)
{
	free(image->data);
	image->data = NULL;
}

void images_free(struct images *all)
{
	for (size_t i = 0; i < all->n; i++)
		munmap(all->v[i].data, all->v[i].size);
	free(all->v);
	memset(all, 0, sizeof(*all));
}

void image_read(const char *name, struct image *ret)
{
	char path[512];
	struct stat st;
	int fd;

	file_path(name, path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		die(path);
	ret->size = (size_t)st.st_size;
	ret->data = malloc(ret->size);
	if (!ret->data || pread(fd, ret->data, ret->size, 0) != (ssize_t)ret->size)
		die("image_read");
	ret->hash = XXH3_64bits(ret->data, ret->size);
	ret->done = false;
	close(fd);
}

struct ipk_participant *participant_in(uint8_t *data, size_t size, u64 slot)
{
	const struct ipk_header *h = (const struct ipk_header *)data;
	u64 list, page;

	list = h->reg[slot / IPK_REG_PER_PAGE] * IPK_PAGE;
	if (!list || list + IPK_PAGE > size)
		return NULL;
	page = ((u64 *)(data + list))[slot % IPK_REG_PER_PAGE] * IPK_PAGE;
	return page && page + IPK_PAGE <= size ? (struct ipk_participant *)(data + page) : NULL;
}

u64 slots_in(const uint8_t *data)
{
	u64 n = ((const struct ipk_header *)data)->nslots;

	return n < IPK_SLOTS_MAX ? n : IPK_SLOTS_MAX;
}

/* As the kernel does when the threads of a killed process end. */
static void mark_dead(uint8_t *data, size_t size)
{
	for (u64 slot = 0; slot < slots_in(data); slot++) {
		struct ipk_participant *p = participant_in(data, size, slot);

		if (p && p->live)
			p->live |= 0x40000000; /* FUTEX_OWNER_DIED */
	}
}

/* Nothing is decided by which process a participant was, nor by when. */
uint64_t image_key(const struct image *image)
{
	uint8_t *copy = malloc(image->size);
	uint64_t key;

	if (!copy)
		die("malloc");
	memcpy(copy, image->data, image->size);
	for (u64 slot = 0; slot < slots_in(copy); slot++) {
		struct ipk_participant *p = participant_in(copy, image->size, slot);

		if (!p)
			continue;
		p->pid = p->tid = 0;
		p->start = p->since = 0;
		p->live = p->live != 0;
	}
	key = XXH3_64bits(copy, image->size);
	free(copy);
	return key;
}

void image_write(const char *name, const struct image *image, bool dead)
{
	static const uint8_t zeros[IPK_PAGE];
	char path[512];
	uint8_t *copy = malloc(image->size);
	int fd;

	if (!copy)
		die("malloc");
	memcpy(copy, image->data, image->size);
	if (dead)
		mark_dead(copy, image->size);
	file_path(name, path, sizeof(path));
	unlink(path);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)image->size) != 0)
		die(path);
	for (size_t at = 0; at < image->size; at += IPK_PAGE)
		if (memcmp(copy + at, zeros, IPK_PAGE) != 0 &&
		    pwrite(fd, copy + at, IPK_PAGE, (off_t)at) != IPK_PAGE)
			die(path);
	close(fd);
	free(copy);
}

void images_add(struct images *all, const uint8_t *data, size_t size, bool done)
{
	uint64_t hash = XXH3_64bits(data, size);
	struct image *image;

	for (size_t i = 0; i < all->n; i++)
		if (all->v[i].hash == hash && all->v[i].size == size && all->v[i].done == done)
			return;
	if (all->n == all->cap) {
		all->cap = all->cap ? all->cap * 2 : 64;
		all->v = realloc(all->v, all->cap * sizeof(*all->v));
		if (!all->v)
			die("realloc");
	}
	image = &all->v[all->n++];
	/* There may be thousands, and thousands of children, none of whom needs them. */
	image->data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (image->data == MAP_FAILED || madvise(image->data, size, MADV_DONTFORK) != 0)
		die("mmap");
	memcpy(image->data, data, size);
	image->size = size;
	image->hash = hash;
	image->done = done;
}

/* Shared with the child: where it stands. */
struct board {
	volatile int state; /* 0 setting up, 1 running, 2 done */
	volatile int r;
};

static void child(struct victim *v, struct board *board)
{
	int r;

	if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0)
		_exit(99);
	r = v->setup(v);
	if (r != 0)
		_exit(98);
	raise(SIGSTOP);
	board->state = 1;
	board->r = v->run(v);
	board->state = 2;
	raise(SIGSTOP);
	_exit(0);
}

void follow_start(struct follow *m, const char *name)
{
	char path[512];

	memset(m, 0, sizeof(*m));
	file_path(name, path, sizeof(path));
	m->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (m->fd < 0)
		die(path);
}

void follow_end(struct follow *m)
{
	if (m->p)
		munmap(m->p, m->size);
	free(m->shadow);
	close(m->fd);
}

bool follow_size(struct follow *m)
{
	struct stat st;

	if (fstat(m->fd, &st) != 0)
		die("fstat");
	if ((size_t)st.st_size == m->size)
		return false;
	if (m->p)
		munmap(m->p, m->size);
	m->shadow = realloc(m->shadow, (size_t)st.st_size);
	if (!m->shadow)
		die("realloc");
	if ((size_t)st.st_size > m->size)
		memset(m->shadow + m->size, 0xa5, (size_t)st.st_size - m->size);
	m->size = (size_t)st.st_size;
	m->p = mmap(NULL, m->size, PROT_READ, MAP_SHARED, m->fd, 0);
	if (m->p == MAP_FAILED)
		die("mmap");
	return true;
}

static void look(struct follow *m, struct images *ret, bool done)
{
	follow_size(m);
	if (memcmp(m->p, m->shadow, m->size) == 0 && !done)
		return;
	memcpy(m->shadow, m->p, m->size);
	images_add(ret, m->shadow, m->size, done);
}

/*
 * On one processor with its victims: a step is a switch to and fro, and many times dearer across
 * two. Which one: $IPK_CRASH_CPU, counted among those that are allowed.
 */
void step_pin(void)
{
	const char *text = getenv("IPK_CRASH_CPU");
	cpu_set_t all, one;
	long n;

	if (!text || sched_getaffinity(0, sizeof(all), &all) != 0 || CPU_COUNT(&all) == 0)
		return;
	n = strtol(text, NULL, 10) % CPU_COUNT(&all);
	for (size_t i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &all) || n-- > 0)
			continue;
		CPU_ZERO(&one);
		CPU_SET(i, &one);
		sched_setaffinity(0, sizeof(one), &one);
		return;
	}
}

int step_all(struct victim *v, struct images *ret)
{
	struct follow m;
	struct board *board =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = 0, r = -ECHILD;
	pid_t pid;

	if (board == MAP_FAILED)
		die("mmap");
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		child(v, board);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		die("fork");
	if (!WIFSTOPPED(status)) {
		munmap(board, 4096);
		return -ECHILD;
	}
	follow_start(&m, v->name);
	look(&m, ret, false);
	for (;;) {
		if (ptrace(PTRACE_SINGLESTEP, pid, 0, 0) != 0 || waitpid(pid, &status, 0) != pid)
			die("ptrace");
		if (!WIFSTOPPED(status))
			break;
		ret->instructions++;
		look(&m, ret, false);
		if (board->state == 2) {
			r = board->r;
			look(&m, ret, true);
			break;
		}
		if (WSTOPSIG(status) != SIGTRAP && WSTOPSIG(status) != SIGSTOP)
			break;
	}
	if (WIFSTOPPED(status)) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	follow_end(&m);
	munmap(board, 4096);
	return r;
}
