/* SPDX-License-Identifier: MIT */
/* What "ipcctl bench" measures beside the structures: the bare cache line, a futex, and what the
 * kernel offers. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

/* ---- a line: one value, published by the word before it ------------------------------------- */

struct box {
	_Alignas(128) _Atomic uint32_t turn; /* odd: full */
	_Atomic uint32_t asleep;
	unsigned char data[];
};

static int box_make(struct bench_lane *lane, unsigned depth)
{
	(void)depth;
	lane->shared = mmap(NULL, sizeof(struct box) + lane->size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return lane->shared == MAP_FAILED ? -errno : 0;
}

static void box_drop(struct bench_lane *lane)
{
	munmap(lane->shared, sizeof(struct box) + lane->size);
}

static int no_join(struct bench_lane *lane)
{
	(void)lane;
	return 0;
}

static int line_send(struct bench_lane *lane, const void *data, bool wait)
{
	struct box *box = lane->shared;

	(void)wait;
	/* In a round trip the answer says that the box is empty. */
	memcpy(box->data, data, lane->size);
	atomic_store_explicit(&box->turn, (uint32_t)++lane->turn, memory_order_release);
	return 0;
}

static int line_recv(struct bench_lane *lane, void *buf, bool wait)
{
	struct box *box = lane->shared;

	(void)wait;
	if (atomic_load_explicit(&box->turn, memory_order_acquire) == (uint32_t)lane->turn)
		return -EAGAIN;
	lane->turn++;
	memcpy(buf, box->data, lane->size);
	return 0;
}

static int futex_send(struct bench_lane *lane, const void *data, bool wait)
{
	struct box *box = lane->shared;

	line_send(lane, data, wait);
	syscall(SYS_futex, &box->turn, FUTEX_WAKE, 1, NULL, NULL, 0);
	return 0;
}

static int futex_recv(struct bench_lane *lane, void *buf, bool wait)
{
	struct box *box = lane->shared;

	while (line_recv(lane, buf, wait) < 0)
		syscall(SYS_futex, &box->turn, FUTEX_WAIT, (uint32_t)lane->turn, NULL, NULL, 0);
	return 0;
}

/* ---- pipes and sockets ---------------------------------------------------------------------- */

static int pipe_make(struct bench_lane *lane, unsigned depth)
{
	(void)depth;
	return pipe2(lane->fd, O_CLOEXEC) == 0 ? 0 : -errno;
}

static int unix_make(struct bench_lane *lane, unsigned depth)
{
	(void)depth;
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, lane->fd) == 0 ? 0 : -errno;
}

static void fd_drop(struct bench_lane *lane)
{
	close(lane->fd[0]);
	close(lane->fd[1]);
}

static int fd_send(struct bench_lane *lane, const void *data, bool wait)
{
	const char *at = data;
	size_t left = lane->size;

	(void)wait;
	while (left) {
		ssize_t n = write(lane->fd[1], at, left);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			at += n;
			left -= (size_t)n;
		}
	}
	return 0;
}

static int fd_recv(struct bench_lane *lane, void *buf, bool wait)
{
	char *at = buf;
	size_t left = lane->size;

	(void)wait;
	while (left) {
		ssize_t n = read(lane->fd[0], at, left);

		if (n == 0)
			return -EPIPE;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			at += n;
			left -= (size_t)n;
		}
	}
	return 0;
}

/* ---- POSIX message queues ------------------------------------------------------------------- */

static int mq_make(struct bench_lane *lane, unsigned depth)
{
	static unsigned serial;
	struct mq_attr attr = {.mq_maxmsg = 10, .mq_msgsize = (long)lane->size};
	char name[64];

	(void)depth; /* 10 is what an ordinary user may have */
	snprintf(name, sizeof(name), "/ipcctl-bench.%d.%u", (int)getpid(), serial++);
	lane->fd[0] = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attr);
	if (lane->fd[0] < 0)
		return -errno;
	lane->fd[1] = -1;
	mq_unlink(name);
	return 0;
}

static void mq_drop(struct bench_lane *lane)
{
	mq_close(lane->fd[0]);
}

static int mqueue_send(struct bench_lane *lane, const void *data, bool wait)
{
	(void)wait;
	return mq_send(lane->fd[0], data, lane->size, 0) == 0 ? 0 : -errno;
}

static int mqueue_recv(struct bench_lane *lane, void *buf, bool wait)
{
	(void)wait;
	return mq_receive(lane->fd[0], buf, lane->size, NULL) >= 0 ? 0 : -errno;
}

const struct bench_transport bench_peers[] = {
	{.name = "line",
	 .max = BENCH_PAYLOAD_MAX,
	 .spin = true,
	 .make = box_make,
	 .join = no_join,
	 .send = line_send,
	 .recv = line_recv,
	 .drop = box_drop},
	{.name = "futex",
	 .max = BENCH_PAYLOAD_MAX,
	 .block = true,
	 .make = box_make,
	 .join = no_join,
	 .send = futex_send,
	 .recv = futex_recv,
	 .drop = box_drop},
	{.name = "pipe",
	 .max = BENCH_PAYLOAD_MAX,
	 .block = true,
	 .many = true,
	 .make = pipe_make,
	 .join = no_join,
	 .send = fd_send,
	 .recv = fd_recv,
	 .drop = fd_drop},
	{.name = "unix",
	 .max = BENCH_PAYLOAD_MAX,
	 .block = true,
	 .many = true,
	 .make = unix_make,
	 .join = no_join,
	 .send = fd_send,
	 .recv = fd_recv,
	 .drop = fd_drop},
	{.name = "mqueue",
	 .max = 8192,
	 .block = true,
	 .many = true,
	 .make = mq_make,
	 .join = no_join,
	 .send = mqueue_send,
	 .recv = mqueue_recv,
	 .drop = mq_drop},
	{0},
};
