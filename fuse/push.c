/* SPDX-License-Identifier: MIT */
/*
 * The push file: one record a line, committed in the write that completes it. A write is answered
 * with what became of it: all lines are parsed before the first one goes in, so that a bad one is
 * an error and nothing else; when the object fills up half-way, the count tells how far it came.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipcfs.h"

#define LINE_MAX_BYTES (64u << 20)

struct record {
	size_t off, len; /* in values */
	size_t end;      /* bytes of this write that were used with it */
};

struct batch {
	struct ipk_buf values;
	struct record *rec;
	size_t n, cap, given;
};

static int next_record(struct ipk_call *call, struct ipk_item *item, int max)
{
	struct batch *b = call->tool;
	int n = 0;

	for (; n < max && b->given < b->n; n++, b->given++)
		item[n] = (struct ipk_item){.data = b->values.data + b->rec[b->given].off,
					    .len = b->rec[b->given].len};
	return n;
}

static int add_line(struct batch *b, const struct ipk_type *type, const char *line, size_t len,
		    size_t end)
{
	size_t off = b->values.len;
	int r;

	if (b->n == b->cap) {
		size_t cap = b->cap ? 2 * b->cap : 64;
		struct record *more = realloc(b->rec, cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		b->rec = more;
		b->cap = cap;
	}
	r = ipk_value_parse(type, line, len, 0, &b->values, NULL);
	if (r < 0)
		return r;
	b->rec[b->n++] = (struct record){off, b->values.len - off, end};
	/* Values lie side by side at multiples of 8. */
	while (b->values.len % 8 && r == 0)
		r = ipk_buf_add(&b->values, "", 1);
	return r;
}

/* Adds all complete lines; the first one begins with what earlier writes left in tail. */
static int split(struct batch *b, const struct ipk_type *type, struct ipk_buf *tail,
		 const char *data, size_t size, size_t *ret_used)
{
	size_t at = 0;
	const char *end;
	int r = 0;

	while (r == 0 && (end = memchr(data + at, '\n', size - at))) {
		size_t len = (size_t)(end - data) - at;

		if (at == 0 && tail->len) {
			struct ipk_buf line = {0};

			r = ipk_buf_add(&line, tail->data, tail->len);
			if (r == 0)
				r = ipk_buf_add(&line, data, len);
			if (r == 0)
				r = add_line(b, type, line.data, line.len, len + 1);
			ipk_buf_free(&line);
		} else {
			r = add_line(b, type, data + at, len, at + len + 1);
		}
		at += len + 1;
	}
	*ret_used = at;
	return r;
}

/* The verb that takes values and waits for room. */
static const struct ipk_op *push_op(const struct ipk_kind *kind)
{
	const struct ipk_op *op = ipk_kind_op(kind, "push");

	for (int i = 0; !op && kind->ops[i].name; i++)
		if (kind->ops[i].flags & IPK_OP_IN && kind->ops[i].flags & IPK_OP_BLOCK &&
		    !(kind->ops[i].flags & IPK_OP_KEY))
			op = &kind->ops[i];
	return op;
}

static int run(struct job *j, struct handle *h, struct batch *b, int64_t timeout,
	       uint64_t *ret_done)
{
	struct ipk_call call = {.timeout = timeout, .next = next_record, .tool = b};
	int r = attach_run(h->attach, push_op(h->attach->kind), &call, j);

	*ret_done = call.done < b->n ? call.done : b->n;
	return r;
}

static int64_t timeout_of(const struct handle *h)
{
	return h->nonblock || !session_may_block() ? 0 : -1;
}

static int keep_tail(struct handle *h, const char *data, size_t size)
{
	if (size > LINE_MAX_BYTES - h->buf.len)
		return -EMSGSIZE;
	return ipk_buf_add(&h->buf, data, size);
}

static int push_lines(struct job *j, struct handle *h, struct batch *b, const char *data,
		      size_t size, size_t used)
{
	uint64_t done = 0;
	struct place p = h->place; /* there is no key */
	struct subject s;
	int r = subject_open(&s, &p);

	/* A removed object takes what it has room for, and nobody ever sees it. */
	subject_close(&s, &p);
	if (r == 0)
		r = run(j, h, b, timeout_of(h), &done);
	if (done == 0) {
		/* Tried again, it goes in; given up, a part of it must not. */
		h->poisoned = true;
		return r < 0 ? r : -EAGAIN;
	}
	h->buf.len = 0;
	h->poisoned = false;
	if (done < b->n)
		return (int)b->rec[done - 1].end;
	return keep_tail(h, data + used, size - used) < 0 ? (int)used : (int)size;
}

int push_write(struct job *j, struct handle *h, const char *data, size_t size)
{
	struct batch b = {0};
	size_t used;
	int r;

	if (__atomic_exchange_n(&h->torn, false, __ATOMIC_RELAXED))
		h->buf.len = 0;
	r = split(&b, h->attach->type, &h->buf, data, size, &used);

	if (r < 0) {
		/* The line that this write was to complete goes with it. */
		h->buf.len = 0;
	} else if (b.n == 0) {
		r = keep_tail(h, data, size);
		r = r < 0 ? r : (int)size;
	} else {
		r = push_lines(j, h, &b, data, size, used);
	}
	ipk_buf_free(&b.values);
	free(b.rec);
	return r;
}

/* ---- the last line, if it has no end ---------------------------------------------------- */

static int push_tail(struct job *j, struct handle *h, int64_t timeout)
{
	struct batch b = {0};
	uint64_t done = 0;
	bool torn;
	int r;

	if (h->buf.len == 0)
		return 0;
	torn = __atomic_exchange_n(&h->torn, false, __ATOMIC_RELAXED);
	r = h->poisoned || torn ? 0 : add_line(&b, h->attach->type, h->buf.data, h->buf.len, 0);
	if (r == 0 && b.n)
		r = run(j, h, &b, timeout, &done);
	h->buf.len = 0;
	ipk_buf_free(&b.values);
	free(b.rec);
	return r > 0 ? 0 : r;
}

/* True when the thread that closes has been killed: half of a line is all that it wrote. */
static bool was_killed(pid_t tid)
{
	char path[40], text[1024], *at;
	unsigned long flags = 0;
	int code = 0, field = 2;
	size_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)tid);
	f = fopen(path, "re");
	if (f) {
		n = fread(text, 1, sizeof(text) - 1, f);
		fclose(f);
	}
	text[n] = 0;
	at = strrchr(text, ')');
	while (at && (at = strchr(at, ' '))) {
		at++;
		field++;
		if (field == 9)
			flags = strtoul(at, NULL, 10);
		if (field == 52)
			code = atoi(at);
	}
	return flags & 4 /* PF_EXITING */ && code & 0x7f;
}

/* Has a process a descriptor of a file that ends in suffix, or that lies in such a directory? */
static bool process_holds(int proc, const char *pid, const char *suffix, bool directory)
{
	char path[64], target[4096], *slash;
	size_t want = strlen(suffix);
	struct dirent *e;
	bool holds = false;
	ssize_t n;
	DIR *d;
	int fd;

	snprintf(path, sizeof(path), "%.20s/fd", pid);
	fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (!holds && (e = readdir(d))) {
		n = readlinkat(fd, e->d_name, target, sizeof(target) - 1);
		if (n < 0)
			continue;
		target[n] = 0;
		/* Its directory entry was replaced by that of a later look-up. */
		if (n > 10 && strcmp(target + n - 10, " (deleted)") == 0)
			target[n -= 10] = 0;
		slash = strrchr(target, '/');
		if (directory && slash) {
			*slash = 0;
			n = slash - target;
		}
		holds = (size_t)n >= want && strcmp(target + n - want, suffix) == 0;
	}
	closedir(d);
	return holds;
}

/*
 * Whether anybody at all has the file open. The kernel tells of each closed descriptor, and of the
 * last one only when nobody waits for the answer any more: too late for an error. Who holds the
 * file by way of another open(2) counts as well; then the release decides.
 */
bool holders_exist(const struct place *p)
{
	char suffix[256];
	bool item = p->file == F_ITEM; /* under whatever name, with zeros or without */
	struct dirent *e;
	bool held = false;
	DIR *d = opendir("/proc");

	if (!d)
		return true;
	snprintf(suffix, sizeof(suffix), "/%s/%s/%s", p->seg, p->obj,
		 item ? "items" : file_info(p->file)->name);
	while (!held && (e = readdir(d)))
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9')
			held = process_holds(dirfd(d), e->d_name, suffix, item);
	closedir(d);
	return held;
}

/* A descriptor was closed by pid. Not locked: half a line of a killed writer is no record. */
void push_closed(struct handle *h, pid_t pid)
{
	if (__atomic_load_n(&h->writer, __ATOMIC_RELAXED) == pid && was_killed(pid))
		__atomic_store_n(&h->torn, true, __ATOMIC_RELAXED);
}

int push_flush(struct job *j, struct handle *h)
{
	if (h->buf.len == 0 || holders_exist(&h->place))
		return 0;
	/* It may be dying at this moment, without descriptors already, and not have come here yet.
	 */
	if (was_killed(h->writer))
		__atomic_store_n(&h->torn, true, __ATOMIC_RELAXED);
	return push_tail(j, h, timeout_of(h));
}

void push_release(struct job *j, struct handle *h)
{
	push_tail(j, h, session_may_block() ? -1 : 0);
}

/* For poll: is there room? */
bool push_ready(struct handle *h)
{
	struct place p = h->place;
	struct subject s;
	uint64_t used = 0, cap = 0;
	int r = subject_open(&s, &p);

	if (r == 0 && s.kind && s.kind->inspect)
		r = s.kind->inspect(&s.obj, &used, &cap);
	subject_close(&s, &p);
	return r < 0 || cap == 0 || used < cap;
}
