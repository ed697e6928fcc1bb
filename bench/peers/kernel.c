/* SPDX-License-Identifier: MIT */
/*
 * What the kernel and the hardware give, as measures: one cache line that goes to and fro, a value
 * beside a futex that the receiver sleeps on, a pipe, a Unix socket.
 */
#include <errno.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"
#include "loops.h"

static void drop(struct queue *q)
{
	peer_memory_end(q->at);
}

/* ---- a cache line --------------------------------------------------------------------------- */

struct line {
	_Alignas(128) _Atomic uint64_t full;
	uint64_t val;
};

static bool line_push(struct line *l, const struct item8 *it)
{
	if (atomic_load_explicit(&l->full, memory_order_acquire))
		return false;
	l->val = it->word[0];
	atomic_store_explicit(&l->full, 1, memory_order_release);
	return true;
}

static bool line_pop(struct line *l, struct item8 *it)
{
	if (!atomic_load_explicit(&l->full, memory_order_acquire))
		return false;
	it->word[0] = l->val;
	atomic_store_explicit(&l->full, 0, memory_order_release);
	return true;
}

LOOPS(line, struct item8, struct line, line_push(q, it), line_pop(q, it))

/* It is one whatever the size: what is compared with it. */
static bool make_line(struct queue *ret, size_t bytes, uint64_t cap)
{
	static const struct loops loops = LOOPS_TABLE(line);

	(void)bytes;
	(void)cap;
	*ret = (struct queue){&loops, peer_memory(sizeof(struct line))};
	return true;
}

const struct peer peer_line = {.name = "the raw cache line",
			       .flags = PEER_KERNEL | PEER_LINE,
			       .make = make_line,
			       .drop = drop};

/* ---- futex ---------------------------------------------------------------------------------- */

struct futex {
	_Alignas(128) _Atomic uint32_t seq;
	uint32_t seen; /* the receiver's own */
	uint64_t val;
};

static bool make_futex(struct queue *ret, size_t bytes, uint64_t cap)
{
	(void)cap;
	*ret = (struct queue){NULL, peer_memory(sizeof(struct futex))};
	return bytes == 8;
}

static int futex_send(void *end, uint64_t val)
{
	struct futex *f = end;

	f->val = val;
	atomic_fetch_add(&f->seq, 1);
	return syscall(SYS_futex, &f->seq, FUTEX_WAKE, 1, NULL, NULL, 0) < 0 ? -errno : 0;
}

static int futex_recv(void *end, uint64_t *ret_val)
{
	struct futex *f = end;

	while (atomic_load(&f->seq) == f->seen)
		syscall(SYS_futex, &f->seq, FUTEX_WAIT, f->seen, NULL, NULL, 0);
	f->seen++;
	*ret_val = f->val;
	return 0;
}

const struct peer peer_futex = {.name = "a raw futex",
				.flags = PEER_KERNEL | PEER_WAITS,
				.make = make_futex,
				.drop = drop,
				.send = futex_send,
				.recv = futex_recv};

/* ---- pipe, socket --------------------------------------------------------------------------- */

static bool make_pipe(struct queue *ret, size_t bytes, uint64_t cap)
{
	int *fd = peer_memory(2 * sizeof(*fd));

	(void)cap;
	*ret = (struct queue){NULL, fd};
	return bytes == 8 && pipe(fd) == 0;
}

static bool make_unix(struct queue *ret, size_t bytes, uint64_t cap)
{
	int *fd = peer_memory(2 * sizeof(*fd));

	(void)cap;
	*ret = (struct queue){NULL, fd};
	return bytes == 8 && socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fd) == 0;
}

static void drop_fds(struct queue *q)
{
	int *fd = q->at;

	close(fd[0]);
	close(fd[1]);
	drop(q);
}

static int fd_send(void *end, uint64_t val)
{
	return write(((int *)end)[1], &val, sizeof(val)) == sizeof(val) ? 0 : -EIO;
}

static int fd_recv(void *end, uint64_t *ret_val)
{
	return read(((int *)end)[0], ret_val, sizeof(*ret_val)) == sizeof(*ret_val) ? 0 : -EIO;
}

const struct peer peer_pipe = {.name = "a pipe",
			       .flags = PEER_KERNEL | PEER_WAITS,
			       .make = make_pipe,
			       .drop = drop_fds,
			       .send = fd_send,
			       .recv = fd_recv};
const struct peer peer_unix = {.name = "a Unix socket",
			       .flags = PEER_KERNEL | PEER_WAITS,
			       .make = make_unix,
			       .drop = drop_fds,
			       .send = fd_send,
			       .recv = fd_recv};
