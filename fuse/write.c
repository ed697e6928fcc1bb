/* SPDX-License-Identifier: MIT */
/* What is written: items and values, committed when they are closed; commands to ctl. push: push.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipcfs.h"

#define VALUE_MAX (64u << 20) /* bytes of text */

int write_open(struct job *j, struct handle *h, int flags)
{
	enum file file = h->place.file;
	int r;

	if (!options.rw)
		return -EROFS;
	if (file == F_PUSH || file == F_CTL) {
		h->writing = true;
		return attach_open(&h->place, &h->attach);
	}
	r = tree_may_write(&h->place);
	if (r < 0)
		return r;
	h->writing = true;
	if (!(flags & O_TRUNC))
		return handle_render(j, h);
	h->pending = true;
	return 0;
}

/* Lock held. Stores what was written; an error reaches whoever closes, and is not tried again. */
static int commit(struct job *j, struct handle *h)
{
	size_t len = h->buf.len;

	if (!h->pending)
		return 0;
	h->pending = false;
	h->written = false;
	if (len && h->buf.data[len - 1] == '\n')
		len--;
	return attach_set(&h->place, len ? h->buf.data : "", len, j);
}

static int write_value(struct handle *h, const char *data, size_t size, uint64_t off)
{
	static const char zeros[4096];
	int r = 0;

	if (off > VALUE_MAX || size > VALUE_MAX - off)
		return -EFBIG;
	while (r == 0 && h->buf.len < off) {
		size_t n = off - h->buf.len < sizeof(zeros) ? off - h->buf.len : sizeof(zeros);

		r = ipk_buf_add(&h->buf, zeros, n);
	}
	if (r == 0 && off + size > h->buf.len)
		r = ipk_buf_add(&h->buf, data + (h->buf.len - off), off + size - h->buf.len);
	if (r < 0)
		return r;
	if (size)
		memcpy(h->buf.data + off, data, size);
	h->pending = h->written = true;
	handle_set_size(h);
	return 0;
}

/* Is text, if it is JSON, complete: does every bracket outside of strings have its partner? */
static bool is_complete(const char *text, size_t len)
{
	bool string = false;
	int depth = 0;

	for (size_t i = 0; i < len; i++) {
		if (string && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			string = !string;
		else if (!string && strchr("[{", text[i]))
			depth++;
		else if (!string && strchr("]}", text[i]))
			depth--;
	}
	return !string && depth <= 0;
}

/*
 * The shell does not look at what close(2) says: what cannot become a value, whatever may be
 * written after it, is refused by the write. Nothing is stored then.
 */
static int refuse_early(struct handle *h)
{
	struct ipk_buf value = {0};
	size_t len = h->buf.len;
	struct place p = h->place; /* the key stays the handle's */
	struct subject s;
	bool line = len && h->buf.data[len - 1] == '\n';
	int r;

	if (!len)
		return 0;
	r = subject_open(&s, &p);
	if (r == 0)
		r = subject_types(&s);
	/* What has nothing but a name holds an empty line at most. */
	if (r == 0 && p.file == F_ITEM && len > line && tree_has_only_names(&p))
		r = -EINVAL;
	if (r == 0 && line && s.type->size && s.type->base != IPK_STR &&
	    s.type->base != IPK_BYTES && is_complete(h->buf.data, len - 1))
		r = ipk_value_parse(s.type, h->buf.data, len - 1, 0, &value, NULL);
	ipk_buf_free(&value);
	subject_close(&s, &p);
	if (r < 0) {
		h->buf.len = 0;
		h->pending = h->written = false;
	}
	return r;
}

/* ---- ctl -------------------------------------------------------------------------------- */

static int repair(struct attach *a)
{
	ipk_segment_sweep(a->seg);
	return a->kind->recover ? a->kind->recover(a->object) : 0;
}

static int command(struct job *j, struct attach *a, const char *word, size_t len)
{
	struct ipk_call call = {.timeout = -1};
	int r;

	if (len == 6 && memcmp(word, "repair", 6) == 0)
		return repair(a);
	if (len == 5 && memcmp(word, "close", 5) == 0)
		r = attach_run(a, ipk_kind_op(a->kind, "close"), &call, j);
	else if (len == 5 && memcmp(word, "reset", 5) == 0)
		r = attach_run(a, ipk_kind_op(a->kind, "reset"), &call, j);
	else
		return -EINVAL;
	return r > 0 ? 0 : r;
}

/* Words separated by blanks or newlines, carried out in order up to the first that fails. */
static int write_ctl(struct job *j, struct handle *h, const char *data, size_t size)
{
	size_t at = 0, n;
	int r = 0;

	while (at < size && r == 0) {
		for (n = 0; at + n < size && !strchr(" \t\r\n", data[at + n]); n++)
			;
		if (n)
			r = command(j, h->attach, data + at, n);
		at += n + 1;
	}
	return r < 0 ? r : (int)size;
}

/* ---- requests --------------------------------------------------------------------------- */

void write_data(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t off,
		struct fuse_file_info *fi)
{
	struct handle *h;
	struct job j;
	int r;

	/* Not answered before it is known what was done. */
	h = job_begin_on(&j, req, ino, fi, JOB_WRITES);
	pthread_mutex_lock(&h->lock);
	__atomic_store_n(&h->writer, fuse_req_ctx(req)->pid, __ATOMIC_RELAXED);
	h->nonblock = fi->flags & O_NONBLOCK;
	if (!h->writing) {
		r = -EBADF;
	} else if (h->place.file == F_PUSH) {
		r = push_write(&j, h, data, size);
	} else if (h->place.file == F_CTL) {
		r = write_ctl(&j, h, data, size);
	} else {
		r = write_value(h, data, size, fi->flags & O_APPEND ? h->buf.len : (uint64_t)off);
		if (r == 0)
			r = refuse_early(h);
		r = r < 0 ? r : (int)size;
	}
	pthread_mutex_unlock(&h->lock);
	if (r < 0) {
		job_error(&j, handle_errno(r));
		return;
	}
	if (job_claim(&j))
		fuse_reply_write(req, (size_t)r);
	job_end(&j);
}

/*
 * Each close(2) of a descriptor comes here, also those of the shell between open and the first
 * write. When it was the last descriptor, what was written is stored, so that the writer learns of
 * errors.
 */
void write_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	pid_t pid = fuse_req_ctx(req)->pid;
	struct handle *h;
	struct job j;
	int r = 0;

	h = job_begin_on(&j, req, ino, fi, JOB_WRITES);
	if (h->place.file == F_PUSH)
		push_closed(h, pid);
	/* Locked: somebody who has it open, too, is just writing, or closing. */
	if (h->writing && pthread_mutex_trylock(&h->lock) == 0) {
		if (h->place.file == F_PUSH)
			r = push_flush(&j, h);
		else if (h->pending && !holders_exist(&h->place))
			r = commit(&j, h);
		pthread_mutex_unlock(&h->lock);
	}
	job_error(&j, handle_errno(r));
}

void write_release(struct job *j, struct handle *h)
{
	if (!h->writing)
		return;
	if (h->place.file == F_PUSH)
		push_release(j, h);
	else
		commit(j, h);
}

static int set_size(struct job *j, struct handle *h, const struct place *p, uint64_t size)
{
	int r = 0;

	if (p->file == F_PUSH || p->file == F_CTL)
		return 0;
	if (!h) {
		r = tree_may_write(p);
		return r < 0 ? r : size ? -EINVAL : attach_set(p, "", 0, j);
	}
	if (!h->writing)
		return -EBADF;
	pthread_mutex_lock(&h->lock);
	if (size > h->buf.len)
		r = write_value(h, "", 0, size);
	else
		h->buf.len = size;
	h->pending = true;
	handle_set_size(h);
	pthread_mutex_unlock(&h->lock);
	return r;
}

static int set_times(struct job *j, struct handle *h)
{
	int r = 0;

	/* touch(1) of a new item: there will be no more than this. */
	if (h && h->writing && h->place.file == F_ITEM) {
		pthread_mutex_lock(&h->lock);
		if (!h->written)
			r = commit(j, h);
		pthread_mutex_unlock(&h->lock);
	}
	return r;
}

void write_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		   struct fuse_file_info *fi)
{
	struct handle *h = NULL;
	struct stat st;
	struct job j;
	int r;

	if (fi)
		h = job_begin_on(&j, req, ino, fi, JOB_STORES);
	else
		job_begin(&j, req, ino, JOB_STORES);
	r = node_attributes(&j, fuse_req_ctx(req)->pid, &st);
	if (r == 0 && !options.rw)
		r = -EROFS;
	if (r == 0 && (((to_set & FUSE_SET_ATTR_MODE) && (attr->st_mode ^ st.st_mode) & 07777) ||
		       ((to_set & FUSE_SET_ATTR_UID) && attr->st_uid != st.st_uid) ||
		       ((to_set & FUSE_SET_ATTR_GID) && attr->st_gid != st.st_gid)))
		r = -EPERM;
	if (r == 0 && (to_set & FUSE_SET_ATTR_SIZE))
		r = set_size(&j, h, &j.node->place, (uint64_t)attr->st_size);
	if (r == 0 && (to_set & (FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_MTIME_NOW)))
		r = set_times(&j, h);
	if (r == 0)
		r = node_attributes(&j, fuse_req_ctx(req)->pid, &st);
	if (r < 0) {
		job_error(&j, r);
		return;
	}
	if (job_claim(&j))
		fuse_reply_attr(req, &st, 0);
	job_end(&j);
}

/* ---- names ------------------------------------------------------------------------------ */

/* The item that name means below parent, if its items can be made and removed. */
static int item_place(struct job *j, const struct place *parent, const char *name, struct place *p)
{
	int r;

	memset(p, 0, sizeof(*p));
	if (parent->file != F_ITEMS)
		return -EPERM;
	r = tree_may_remove(parent);
	if (r < 0)
		return r;
	return options.rw ? tree_item(j, parent, name, p) : -EROFS;
}

static int create(struct job *j, const struct place *p, pid_t pid, struct node **ret_node,
		  struct handle **ret_handle)
{
	struct handle *h;
	struct node *n = node_look_up(p, pid);
	int r;

	if (!n)
		return -ENOMEM;
	r = handle_new(n, pid, &h);
	if (r < 0) {
		node_forget(node_ino(n), 1);
		node_put(n);
		return r;
	}
	h->writing = h->pending = true;
	r = tree_has_only_names(p) ? commit(j, h) : 0;
	if (r < 0) {
		handle_put(h);
		node_forget(node_ino(n), 1);
		node_put(n);
		return r;
	}
	*ret_node = n;
	*ret_handle = h;
	return 0;
}

void write_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		  struct fuse_file_info *fi)
{
	struct fuse_entry_param e = {0};
	struct handle *h = NULL;
	struct node *n = NULL;
	struct place p;
	struct job j;
	int r;

	(void)mode;
	job_begin(&j, req, parent, JOB_STORES);
	r = item_place(&j, &j.node->place, name, &p);
	if (r == 0)
		r = create(&j, &p, fuse_req_ctx(req)->pid, &n, &h);
	if (r < 0) {
		place_clear(&p);
		job_error(&j, r);
		return;
	}
	tree_gone(&p, &e.attr);
	e.ino = node_ino(n);
	fi->fh = (uintptr_t)h;
	fi->direct_io = 1;
	if (!job_claim(&j) || fuse_reply_create(req, &e, fi) < 0) {
		handle_put(h);
		node_forget(e.ino, 1);
	}
	node_put(n);
	place_clear(&p);
	job_end(&j);
}

void write_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct place p;
	struct job j;
	int r;

	job_begin(&j, req, parent, JOB_STORES);
	r = item_place(&j, &j.node->place, name, &p);
	if (r == 0)
		r = attach_delete(&p, &j);
	place_clear(&p);
	job_error(&j, r);
}

/* The value under its new key first: whoever dies between the two has lost nothing. */
static int move(struct job *j, struct place *from, struct place *to, unsigned flags)
{
	struct ipk_buf text = {0};
	size_t len;
	int r;

	if (flags & ~1u) /* RENAME_NOREPLACE alone */
		return -EINVAL;
	if (place_hash(from) == place_hash(to))
		return 0;
	if (flags && tree_render(j, to, &text) == 0) {
		ipk_buf_free(&text);
		return -EEXIST;
	}
	r = tree_render(j, from, &text);
	len = text.len && text.data[text.len - 1] == '\n' ? text.len - 1 : text.len;
	if (r == 0)
		r = attach_set(to, len ? text.data : "", len, j);
	if (r == 0)
		r = attach_delete(from, j);
	ipk_buf_free(&text);
	return r;
}

void write_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
		  const char *newname, unsigned flags)
{
	struct node *dir = node_of(newparent);
	struct place from, to = {0};
	struct job j;
	int r;

	job_begin(&j, req, parent, JOB_STORES);
	r = item_place(&j, &j.node->place, name, &from);
	if (r == 0)
		r = item_place(&j, &dir->place, newname, &to);
	if (r == 0 && (from.ino != to.ino || from.object != to.object))
		r = -EXDEV;
	if (r == 0)
		r = move(&j, &from, &to, flags);
	node_put(dir);
	place_clear(&from);
	place_clear(&to);
	job_error(&j, r);
}
