/* SPDX-License-Identifier: MIT */
/* Extended attributes: user.ipk.kind and user.ipk.type of an object and of all that is in it. */
#include <errno.h>
#include <string.h>

#include "ipcfs.h"

static const char names[] = "user.ipk.kind\0user.ipk.type";

static int value_of(struct job *j, struct place *p, const char *name, struct ipk_buf *out)
{
	struct subject s;
	int r = p->obj[0] ? subject_open(&s, p) : -ENODATA;

	if (!p->obj[0])
		return r;
	if (r == 0 && strcmp(name, "user.ipk.kind") == 0)
		r = render_kind(j, &s, p, out);
	else if (r == 0)
		r = render_type(j, &s, p, out);
	subject_close(&s, p);
	if (r == 0 && out->len)
		out->len--; /* no newline */
	return r;
}

static void reply(struct job *j, const char *data, size_t len, size_t size)
{
	if (size && len > size) {
		job_error(j, -ERANGE);
		return;
	}
	if (job_claim(j)) {
		if (size)
			fuse_reply_buf(j->req, data, len);
		else
			fuse_reply_xattr(j->req, len);
	}
	job_end(j);
}

void xattr_get(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct ipk_buf out = {0};
	struct place p;
	struct job j;
	int r = -ENODATA;

	job_begin(&j, req, ino, JOB_LOOKS);
	p = j.node->place; /* the key stays the node's */
	if (strcmp(name, "user.ipk.kind") == 0 || strcmp(name, "user.ipk.type") == 0)
		r = value_of(&j, &p, name, &out);
	if (r < 0)
		job_error(&j, r);
	else
		reply(&j, out.data, out.len, size);
	ipk_buf_free(&out);
}

void xattr_list(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct job j;

	job_begin(&j, req, ino, JOB_LOOKS);
	reply(&j, names, j.node->place.obj[0] ? sizeof(names) : 0, size);
}
