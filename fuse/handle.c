/* SPDX-License-Identifier: MIT */
/*
 * Opened files. What is read is a snapshot, rendered when the file was opened and again when it is
 * read from offset 0 for the second time; the size that fstat(2) sees is the snapshot's.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipcfs.h"

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct handle *all;

int handle_new(struct node *n, pid_t pid, struct handle **ret_handle)
{
	struct handle *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return -ENOMEM;
	r = place_copy(&h->place, &n->place);
	if (r < 0) {
		free(h);
		return r;
	}
	pthread_mutex_init(&h->lock, NULL);
	h->refs = 1;
	h->pid = pid;
	h->node = n;
	node_add_handle(n, h);
	pthread_mutex_lock(&all_lock);
	h->all_next = all;
	if (all)
		all->all_prev = h;
	all = h;
	pthread_mutex_unlock(&all_lock);
	*ret_handle = h;
	return 0;
}

static void handle_free(struct handle *h)
{
	pthread_mutex_lock(&all_lock);
	if (h->all_prev)
		h->all_prev->all_next = h->all_next;
	else
		all = h->all_next;
	if (h->all_next)
		h->all_next->all_prev = h->all_prev;
	pthread_mutex_unlock(&all_lock);
	watch_remove(h);
	wait_free(h);
	attach_close(h->attach);
	node_remove_handle(h->node, h);
	place_clear(&h->place);
	ipk_buf_free(&h->buf);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

void handle_hold(struct handle *h)
{
	__atomic_add_fetch(&h->refs, 1, __ATOMIC_RELAXED);
}

void handle_put(struct handle *h)
{
	if (__atomic_sub_fetch(&h->refs, 1, __ATOMIC_ACQ_REL) == 0)
		handle_free(h);
}

/* The mount has ended: nobody will release what is still open. No other thread runs any more. */
void handles_close_all(void)
{
	while (all)
		handle_free(all);
}

/* The library's way of saying it, for whoever reads errno. */
int handle_errno(int r)
{
	switch (-r) {
	case ECANCELED:
		return -EINTR;
	case ENOENT:
		return -ESTALE;
	case EPROTO:
	case EBADMSG:
		return -EIO;
	default:
		return r;
	}
}

void handle_set_size(struct handle *h)
{
	__atomic_store_n(&h->size, h->buf.len, __ATOMIC_RELAXED);
}

int handle_render(struct job *j, struct handle *h)
{
	struct ipk_buf buf = {0};
	int r = tree_render(j, &h->place, &buf);

	if (r < 0) {
		ipk_buf_free(&buf);
		return r;
	}
	ipk_buf_free(&h->buf);
	h->buf = buf;
	handle_set_size(h);
	return 0;
}

static int open_snapshot(struct job *j, struct handle *h)
{
	/* What the look-up of the same system call has just rendered, if there was one. */
	if (node_take_fresh(h->node, h->pid, NULL, &h->buf)) {
		handle_set_size(h);
		return 0;
	}
	return handle_render(j, h);
}

static int open_any(struct job *j, struct handle *h, struct fuse_file_info *fi)
{
	bool writes = (fi->flags & O_ACCMODE) != O_RDONLY;

	if (h->place.file == F_WAIT)
		return writes ? -EACCES : wait_open(h);
	if (h->place.file == F_LOG && !writes)
		return log_open(j, h);
	if (writes)
		return write_open(j, h, fi->flags);
	return open_snapshot(j, h);
}

/* libfuse cannot say FOPEN_STREAM: reads that share an open file must not wait for each other. */
static int reply_stream(fuse_req_t req, struct handle *h)
{
	struct fuse_open_out out = {
		.fh = (uintptr_t)h,
		.open_flags = FOPEN_DIRECT_IO | FOPEN_STREAM | FOPEN_NONSEEKABLE | FOPEN_NOFLUSH,
	};

	return fuse_reply_buf(req, (const char *)&out, sizeof(out));
}

void handle_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct handle *h = NULL;
	struct job j;
	int r;

	job_begin(&j, req, ino, JOB_READS);
	r = handle_new(j.node, fuse_req_ctx(req)->pid, &h);
	if (r == 0)
		r = open_any(&j, h, fi);
	if (r < 0) {
		if (h)
			handle_put(h);
		job_error(&j, r);
		return;
	}
	fi->fh = (uintptr_t)h;
	fi->direct_io = 1;
	fi->noflush = !h->writing;
	if (!job_claim(&j))
		r = -EINTR;
	else if (h->place.file == F_WAIT)
		r = reply_stream(req, h);
	else
		r = fuse_reply_open(req, fi);
	if (r < 0)
		handle_put(h); /* nobody will release it */
	job_end(&j);
}

void handle_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct handle *h;
	struct job j;

	/* Nobody waits for the answer; what it commits is not stopped by an interruption. */
	h = job_begin_on(&j, req, ino, fi, JOB_WRITES);
	wait_shut(h);
	write_release(&j, h);
	handle_put(h);
	job_error(&j, 0);
}

static bool handle_is_wait(const struct fuse_file_info *fi)
{
	return ((struct handle *)(uintptr_t)fi->fh)->place.file == F_WAIT;
}

void handle_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct handle *h;
	size_t len = 0;
	struct job j;
	int r = 0;

	h = job_begin_on(&j, req, ino, fi, handle_is_wait(fi) ? JOB_WAITS : JOB_READS);
	if (h->place.file == F_WAIT) {
		wait_read(&j, h, size, fi->flags & O_NONBLOCK);
		job_end(&j);
		return;
	}
	if (h->place.file == F_LOG) {
		log_read(&j, h, size, (uint64_t)off);
		job_end(&j);
		return;
	}
	pthread_mutex_lock(&h->lock);
	if (off == 0 && h->read_at_0 && !h->writing && h->place.file != F_PUSH &&
	    h->place.file != F_CTL)
		r = handle_render(&j, h);
	if (r < 0) {
		pthread_mutex_unlock(&h->lock);
		job_error(&j, handle_errno(r));
		return;
	}
	if (off == 0)
		h->read_at_0 = true;
	if ((size_t)off < h->buf.len)
		len = h->buf.len - (size_t)off;
	/* Less than asked for: a reader need not come again to know that this was all. */
	watch_seen(h, 0);
	h->consumed = len < size;
	if (len > size)
		len = size;
	if (job_claim(&j))
		fuse_reply_buf(req, len ? h->buf.data + off : NULL, len);
	pthread_mutex_unlock(&h->lock);
	job_end(&j);
}

/* ---- poll ------------------------------------------------------------------------------- */

/* True when what the reader has is no longer what it would read now. */
static bool has_changed(struct job *j, struct handle *h)
{
	struct ipk_buf now = {0};
	bool changed;
	int r = tree_render(j, &h->place, &now);

	changed = r < 0 ? !job_cancelled(j)
			: now.len != h->buf.len ||
				  (now.len && memcmp(now.data, h->buf.data, now.len));
	ipk_buf_free(&now);
	return changed;
}

unsigned handle_events(struct job *j, struct handle *h)
{
	unsigned events = 0;

	if (h->place.file == F_WAIT)
		return wait_ready(j, h) ? POLLIN | POLLRDNORM : 0;
	if (h->place.file == F_PUSH || h->place.file == F_CTL)
		return POLLIN | POLLRDNORM | (push_ready(h) ? POLLOUT | POLLWRNORM : 0);
	if (h->writing || !file_info(h->place.file)->polls)
		return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;
	pthread_mutex_lock(&h->lock);
	if (has_changed(j, h))
		events = POLLIN | POLLRDNORM | POLLPRI;
	else if (!h->consumed)
		events = POLLIN | POLLRDNORM;
	pthread_mutex_unlock(&h->lock);
	return events;
}

void handle_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
		 struct fuse_pollhandle *ph)
{
	struct handle *h;
	unsigned events;
	struct job j;

	h = job_begin_on(&j, req, ino, fi, JOB_LOOKS);
	/* Watched first, looked at then: no change falls between the two. */
	if (ph)
		watch_add(h, ph);
	events = handle_events(&j, h);
	if (ph && events)
		watch_seen(h, events);
	if (job_claim(&j))
		fuse_reply_poll(req, events);
	job_end(&j);
}
