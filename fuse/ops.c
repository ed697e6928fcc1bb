/* SPDX-License-Identifier: MIT */
/* The requests of the kernel that have no file of their own, and the table of all. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipcfs.h"

#define LOOKUP_TIMEOUT 0.02 /* s; see op_lookup() */

static void op_init(void *arg, struct fuse_conn_info *conn)
{
	/* Attributes are fresh only at the moment of the answer: listing with them gains nothing.
	 */
	conn->want &= ~(unsigned)(FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
				  FUSE_CAP_AUTO_INVAL_DATA);
	if (conn->capable & FUSE_CAP_ATOMIC_O_TRUNC)
		conn->want |= FUSE_CAP_ATOMIC_O_TRUNC;
	session_is_live(arg);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e = {0};
	struct ipk_buf buf = {0};
	struct node *n = NULL;
	struct place p = {0};
	struct job j;
	int r;

	job_begin(&j, req, parent, JOB_LOOKS);
	r = tree_lookup(&j, &j.node->place, name, &p, &e.attr, &buf);
	if (r == 0) {
		n = node_look_up(&p, fuse_req_ctx(req)->pid);
		r = n ? 0 : -ENOMEM;
	}
	place_clear(&p);
	if (r < 0) {
		ipk_buf_free(&buf);
		job_error(&j, r == -ESTALE || r == -ENOTDIR ? -ENOENT : r);
		return;
	}
	e.ino = node_ino(n);
	e.attr_timeout = tree_timeout(&n->place);
	/* What the kernel takes for the size is what OPEN will find kept, if it comes as soon. */
	if (node_keep_fresh(n, &e.attr, &buf) && e.attr_timeout == 0)
		e.attr_timeout = LOOKUP_TIMEOUT;
	if (!job_claim(&j) || fuse_reply_entry(req, &e) < 0)
		node_forget(e.ino, 1);
	node_put(n);
	job_end(&j);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	node_forget(ino, count);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		node_forget(forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

/* Attributes as this thread sees them: of the opened file, or of what it has just looked up. */
int node_attributes(struct job *j, pid_t tid, struct stat *ret_st)
{
	struct ipk_buf buf = {0};
	struct node *n = j->node;
	struct place p = n->place; /* the key stays the node's */
	uint64_t size;
	int r;

	if (p.file == F_LOG && node_open_size(n, tid, &size)) {
		r = log_stat(j, n, ret_st);
	} else if (node_open_size(n, tid, &size)) {
		r = tree_stat(j, &p, ret_st, NULL);
		/* Created and not yet stored, or removed and still open. */
		if (r == -ENOENT) {
			tree_gone(&p, ret_st);
			r = 0;
		}
		ret_st->st_size = (off_t)size;
	} else if (node_take_fresh(n, tid, ret_st, NULL)) {
		r = 0;
	} else {
		r = tree_stat(j, &p, ret_st, &buf);
	}
	ipk_buf_free(&buf);
	return r;
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;
	struct job j;
	int r;

	(void)fi; /* the kernel names it for lseek(2) alone */
	job_begin(&j, req, ino, JOB_LOOKS);
	r = node_attributes(&j, fuse_req_ctx(req)->pid, &st);
	if (r < 0) {
		job_error(&j, r);
		return;
	}
	if (job_claim(&j))
		fuse_reply_attr(req, &st, tree_timeout(&j.node->place));
	job_end(&j);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct ipk_buf buf = {0};
	struct job j;
	int r;

	job_begin(&j, req, ino, JOB_LOOKS);
	r = render_link(&j, NULL, &j.node->place, &buf);
	if (r == 0)
		r = ipk_buf_add(&buf, "", 1);
	if (r < 0) {
		job_error(&j, r);
	} else {
		if (job_claim(&j))
			fuse_reply_readlink(req, buf.data);
		job_end(&j);
	}
	ipk_buf_free(&buf);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)ino, (void)datasync, (void)fi;
	fuse_reply_err(req, 0);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct statvfs st = {.f_bsize = 4096, .f_frsize = 4096, .f_namemax = IPCFS_NAME_MAX};

	(void)ino;
	fuse_reply_statfs(req, &st);
}

/* Segments and objects are made by ipcctl alone. */

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	(void)parent, (void)name, (void)mode;
	fuse_reply_err(req, EPERM);
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	(void)parent, (void)name;
	fuse_reply_err(req, EPERM);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t dev)
{
	(void)parent, (void)name, (void)mode, (void)dev;
	fuse_reply_err(req, EPERM);
}

static void op_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name)
{
	(void)link, (void)parent, (void)name;
	fuse_reply_err(req, EPERM);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	(void)ino, (void)parent, (void)name;
	fuse_reply_err(req, EPERM);
}

const struct fuse_lowlevel_ops operations = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = write_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = write_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = write_rename,
	.link = op_link,
	.open = handle_open,
	.read = handle_read,
	.write = write_data,
	.flush = write_flush,
	.release = handle_release,
	.fsync = op_fsync,
	.opendir = dir_open,
	.readdir = dir_read,
	.releasedir = dir_release,
	.statfs = op_statfs,
	.getxattr = xattr_get,
	.listxattr = xattr_list,
	.create = write_create,
	.poll = handle_poll,
};
