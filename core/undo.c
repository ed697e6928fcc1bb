/* SPDX-License-Identifier: MIT */
/* Who may repair when, and what becomes of the bytes that a repair has saved. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipk/segment.h"
#include "ipk/view.h"
#include "repair.h"
#include "segment/map.h"

#define SUFFIX ".undo"

/* ---- alone ---------------------------------------------------------------------------------- */

/* The bytes of all participants, and one behind them that only repairs take. */
#define REPAIR_BYTE IPK_SLOTS_MAX

static int lock_bytes(int fd, int cmd, struct flock *fl, u32 first, u32 n)
{
	*fl = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = first, .l_len = n};
	while (fcntl(fd, cmd, fl) != 0) {
		if (errno == EINTR)
			continue;
		return errno == EACCES ? -EAGAIN : -errno;
	}
	return 0;
}

struct alive {
	u32 n, pid;
	char comm[17];
};

static int count_alive(void *arg, const struct ipk_participant_info *p)
{
	struct alive *a = arg;

	if (p->alive && a->n++ == 0) {
		a->pid = p->pid;
		memcpy(a->comm, p->comm, sizeof(a->comm));
	}
	return 0;
}

static int say_busy(struct ipk_repair *rp, struct ipk_error *err)
{
	struct alive a = {0};
	struct ipk_view *view;
	struct flock fl;

	if (lock_bytes(rp->fd, F_OFD_GETLK, &fl, REPAIR_BYTE, 1) == 0 && fl.l_type != F_UNLCK)
		return ipk_error_set(err, -EBUSY, "segment %s: another repair is at work in it",
				     rp->name);
	if (ipk_view_open_fd(rp->fd, &view, NULL) == 0) {
		(void)ipk_view_participants(view, count_alive, &a);
		ipk_view_close(view);
	}
	if (a.n > 1)
		return ipk_error_set(
			err, -EBUSY,
			"segment %s is in use by pid %u (%s) and %u more; end them first: "
			"ipcctl who",
			rp->name, a.pid, a.comm, a.n - 1);
	if (a.n == 1)
		return ipk_error_set(err, -EBUSY,
				     "segment %s is in use by pid %u (%s); end it first", rp->name,
				     a.pid, a.comm);
	return ipk_error_set(err, -EBUSY, "segment %s is in use", rp->name);
}

static int begin(struct ipk_repair *rp, const char *path, const struct stat *st,
		 struct ipk_error *err)
{
	struct stat link;
	struct flock fl;
	int n = snprintf(rp->undo, sizeof(rp->undo), "%s" SUFFIX, path), r;

	if (n < 0 || (size_t)n >= sizeof(rp->undo))
		return ipk_error_set(err, -ENAMETOOLONG, "segment %.80s: the path is too long",
				     rp->name);
	/* /proc/PID/fd/N, a link to huge pages: nothing can be saved beside them. */
	if (lstat(path, &link) != 0 || link.st_ino != st->st_ino || link.st_dev != st->st_dev)
		return ipk_error_set(err, -EOPNOTSUPP,
				     "segment %.80s has no file of its own, so what would change "
				     "cannot be saved beside it: repair a copy of it",
				     rp->name);
	r = lock_bytes(rp->fd, F_OFD_SETLK, &fl, 0, REPAIR_BYTE + 1);
	if (r == -EAGAIN)
		return say_busy(rp, err);
	if (r < 0)
		return ipk_error_set(err, r, "segment %.80s cannot be locked: %s", rp->name,
				     ipk_strerror(r));
	return 0;
}

int ipk_repair_begin(const char *name, struct ipk_repair *rp, struct ipk_error *err)
{
	char path[PATH_MAX];
	struct stat st;
	int r;

	rp->name = name;
	r = ipk_file_open(name, O_RDWR, &rp->fd, path, &st, err);
	if (r < 0)
		return r;
	r = begin(rp, path, &st, err);
	if (r < 0)
		close(rp->fd);
	return r;
}

void ipk_repair_end(struct ipk_repair *rp)
{
	close(rp->fd); /* and with it all locks */
}

/* ---- going back ----------------------------------------------------------------------------- */

static int go_back(struct ipk_repair *rp, struct ipk_undo *u, struct ipk_error *err)
{
	int r = ipk_undo_mark(u, rp->undo, IPK_UNDO_GOING_BACK, err);

	if (r < 0)
		return r;
	r = ipk_undo_write(u, rp->fd, true);
	if (r == 0)
		r = ipk_undo_remove(rp->undo);
	return r < 0 ? ipk_error_set(err, r, "segment %s: putting back what was saved: %s",
				     rp->name, ipk_strerror(r))
		     : 0;
}

int ipk_repair_resume(struct ipk_repair *rp, unsigned flags,
		      void (*did)(void *arg, const char *where, const char *what), void *arg,
		      struct ipk_error *err)
{
	struct ipk_undo u;
	int r = ipk_undo_load(rp->undo, &u, err);

	/* What is damaged or another's was not saved by a repair that changed anything of ours. */
	if (r == -ENOENT || r == -EBADMSG)
		return 0;
	if (r < 0)
		return r;
	if (ipk_undo_header(&u)->state != IPK_UNDO_APPLIED && ipk_undo_is_of(&u, rp->fd) &&
	    ipk_undo_match(&u, rp->fd) != IPK_UNDO_STRANGE) {
		did(arg, "repair", "what one that was interrupted had changed is put back first");
		if (!(flags & IPK_REPAIR_DRY))
			r = go_back(rp, &u, err);
	}
	ipk_undo_free(&u);
	return r;
}

static int undo(struct ipk_repair *rp, unsigned flags, struct ipk_undo *u, struct ipk_error *err)
{
	enum ipk_undo_match match;

	if (!ipk_undo_is_of(u, rp->fd))
		return ipk_error_set(err, -ENOENT, "%.160s was saved from another segment",
				     rp->undo);
	match = ipk_undo_match(u, rp->fd);
	if (match == IPK_UNDO_STRANGE ||
	    (match == IPK_UNDO_MIXED && ipk_undo_header(u)->state == IPK_UNDO_APPLIED))
		return ipk_error_set(
			err, -EEXIST,
			"segment %s: what the repair wrote has been changed since: nothing "
			"is taken back",
			rp->name);
	return flags & IPK_REPAIR_DRY ? 0 : go_back(rp, u, err);
}

int ipk_repair_undo(const char *name, unsigned flags, struct ipk_error *err)
{
	struct ipk_repair rp;
	struct ipk_undo u;
	int r = ipk_repair_begin(name, &rp, err);

	if (r < 0)
		return r;
	r = ipk_undo_load(rp.undo, &u, err);
	if (r == 0) {
		r = undo(&rp, flags, &u, err);
		ipk_undo_free(&u);
	} else if (r == -ENOENT) {
		ipk_error_set(err, r, "segment %s: no repair to take back (no %.160s)", name,
			      rp.undo);
	}
	ipk_repair_end(&rp);
	return r;
}

/* ---- what nobody needs any more ------------------------------------------------------------- */

/* Does path, FILE.undo or the .new of one that was killed, belong to no segment? */
static bool forgotten(const char *path, size_t len)
{
	char segment[PATH_MAX];
	struct ipk_undo u;
	bool is_of;
	int fd;

	snprintf(segment, sizeof(segment), "%.*s", (int)len, path);
	fd = open(segment, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT;
	/* A damaged one stays: somebody may want to look. */
	is_of = ipk_undo_load(path, &u, NULL) != 0;
	if (!is_of) {
		is_of = ipk_undo_is_of(&u, fd);
		ipk_undo_free(&u);
	}
	close(fd);
	return !is_of;
}

int ipk_repair_forget(unsigned flags, void (*fn)(void *arg, const char *path), void *arg)
{
	const char *end = IPK_SUFFIX SUFFIX;
	DIR *dir = opendir(ipk_dir_path());
	struct dirent *e;
	int n = 0;

	while (dir && (e = readdir(dir))) {
		const char *at = strstr(e->d_name, end);
		char path[PATH_MAX];
		size_t len;

		if (!at || at == e->d_name || (at[strlen(end)] && strcmp(at + strlen(end), ".new")))
			continue;
		len = (size_t)snprintf(path, sizeof(path), "%s/%s", ipk_dir_path(), e->d_name);
		if (len >= sizeof(path))
			continue;
		len = strlen(path) - strlen(at) + strlen(IPK_SUFFIX);
		if (!forgotten(path, len) || (!(flags & IPK_REPAIR_DRY) && unlink(path) != 0))
			continue;
		fn(arg, path);
		n++;
	}
	if (dir)
		closedir(dir);
	return n;
}
