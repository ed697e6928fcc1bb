/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "segment/guard.h"
#include "segment/map.h"

/* Tells all who wait in it. Best effort: without write permission nobody can be told. */
static void tell(int fd)
{
	struct ipk_header *h;
	struct ipk_error err;
	struct ipk_geometry geo;
	u64 len;

	if (ipk_header_read(fd, "", &geo, &err) < 0)
		return;
	len = geo.flags & IPK_SEG_HUGE ? geo.size : sizeof(*h);
	h = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (h == MAP_FAILED)
		return;
	ipk_guard_add(h, len, true);
	ipk_st(&h->removed, 1, relaxed); /* the notification orders it */
	ipk_event_notify(&h->reg_ev, INT32_MAX);
	ipk_guard_drop(h);
	munmap(h, len);
}

/* A link that create made for huge pages and whose file is gone already: a removal was cut short.
 */
static int remove_dangling(const char *name, const char *path, struct ipk_error *err)
{
	const size_t cut = sizeof(IPK_SUFFIX) - 1;
	char target[PATH_MAX];
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	const char *base;

	if (n <= 0 || ipk_is_path(name))
		return -ENOENT;
	target[n] = '\0';
	base = strrchr(target, '/');
	if (!base || strncmp(base + 1, name, strlen(name)) || (size_t)n < cut ||
	    strcmp(target + n - cut, IPK_SUFFIX))
		return -ENOENT;
	return unlink(path) == 0 ? 0
				 : ipk_error_set(err, -errno, "segment %.120s: %s", name,
						 ipk_strerror(-errno));
}

static int remove_names(const char *path, const struct stat *st)
{
	char target[PATH_MAX] = "";
	struct stat now;
	ssize_t n;

	if (lstat(path, &now) != 0)
		return -errno;
	if (S_ISLNK(now.st_mode)) {
		n = readlink(path, target, sizeof(target) - 1);
		if (n <= 0)
			return -ESTALE;
		target[n] = '\0';
		if (lstat(target, &now) != 0)
			return -errno;
	}
	if (now.st_dev != st->st_dev || now.st_ino != st->st_ino)
		return -ESTALE;
	/* The file before the link: a link that leads nowhere can still be removed. */
	if (target[0] && unlink(target) != 0)
		return -errno;
	return unlink(path) == 0 ? 0 : -errno;
}

int ipk_segment_remove(const char *name, struct ipk_error *err)
{
	char path[PATH_MAX];
	struct ipk_error other;
	struct stat st;
	int fd, r = ipk_file_open(name, O_RDWR, &fd, path, &st, &other);

	if (r == -EACCES || r == -EROFS)
		r = ipk_file_open(name, O_RDONLY, &fd, path, &st, &other);
	if (r == -ENOENT && remove_dangling(name, path, err) == 0)
		return 0;
	if (r < 0)
		return ipk_error_set(err, r, "%s", other.text);
	if (ipk_is_proc_fd(path)) {
		close(fd);
		return ipk_error_set(err, -EINVAL,
				     "segment %.120s: a descriptor is no name; what it stands for "
				     "goes when the last one is closed",
				     name);
	}
	r = ipk_magic_check(fd, name, err);
	if (r == 0) {
		r = remove_names(path, &st);
		if (r == -ENOENT || r == -ESTALE)
			r = ipk_error_set(err, -ENOENT, "segment %.120s has just been removed",
					  name);
		else if (r < 0)
			ipk_error_set(err, r == -EACCES ? -EPERM : r, "segment %.120s: %s", name,
				      ipk_strerror(r));
		else
			tell(fd);
	}
	close(fd);
	return r == -EACCES ? -EPERM : r;
}
