/* SPDX-License-Identifier: MIT */
/* From names to open files, and what is read of a file before anything trusts it. */
#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "segment/heap.h"
#include "segment/layout.h"
#include "segment/map.h"

static bool legal(const char *name)
{
	size_t n;

	if (!name)
		return false;
	for (n = 0; name[n]; n++) {
		char c = name[n];
		bool word = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
			    (c >= '0' && c <= '9') || c == '_';

		if (n == 63 || !(word || (n > 0 && (c == '.' || c == '-'))))
			return false;
	}
	return n > 0;
}

bool ipk_segment_name_ok(const char *name)
{
	return legal(name) && strcmp(name, "README") && strcmp(name, "version") &&
	       strcmp(name, "by-pid");
}

bool ipk_object_name_ok(const char *name)
{
	return legal(name) && strcmp(name, "info") && strcmp(name, "participants");
}

bool ipk_is_path(const char *name)
{
	return name[0] == '/' || !strncmp(name, "./", 2) || !strncmp(name, "../", 3);
}

const char *ipk_dir_path(void)
{
	const char *dir = getenv("IPK_DIR");

	return dir && *dir ? dir : "/dev/shm";
}

int ipk_segment_path(const char *name, char *buf, size_t size, struct ipk_error *err)
{
	int n;

	if (!name || !*name)
		return ipk_error_set(err, -EINVAL, "a segment needs a name");
	if (ipk_is_path(name))
		n = snprintf(buf, size, "%s", name);
	else if (ipk_segment_name_ok(name))
		n = snprintf(buf, size, "%s/%s" IPK_SUFFIX, ipk_dir_path(), name);
	else
		return ipk_error_set(
			err, -EINVAL,
			"\"%.80s\" is no name for a segment (letters, digits, _ . -, at "
			"most 63, or a path with a slash in front)",
			name);
	if (n < 0 || (size_t)n >= size)
		return ipk_error_set(err, -ENAMETOOLONG, "segment %.80s: the path is too long",
				     name);
	return 0;
}

/* /proc/PID/fd/N is a link by nature, and the one to open a memfd by. */
bool ipk_is_proc_fd(const char *path)
{
	const char *p;

	if (strncmp(path, "/proc/", 6))
		return false;
	p = strstr(path, "/fd/");
	return p && p[4] && !strchr(p + 4, '/');
}

/* A link in $IPK_DIR to a file of its owner on hugetlbfs: what create makes for --huge. */
static int open_huge(const char *path, int flags, int *ret_fd)
{
	char target[PATH_MAX];
	struct stat link, st;
	struct statfs fs;
	ssize_t n;
	int fd;

	if (lstat(path, &link) != 0)
		return -errno;
	if (!S_ISLNK(link.st_mode))
		return -ELOOP;
	n = readlink(path, target, sizeof(target) - 1);
	if (n <= 0 || target[0] != '/')
		return -ELOOP;
	target[n] = '\0';
	fd = open(target, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? -ENOENT : -ELOOP;
	if (fstatfs(fd, &fs) != 0 || fs.f_type != HUGETLBFS_MAGIC || fstat(fd, &st) != 0 ||
	    st.st_uid != link.st_uid) {
		close(fd);
		return -ELOOP;
	}
	*ret_fd = fd;
	return 0;
}

int ipk_file_open(const char *name, int flags, int *ret_fd, char *path, struct stat *st,
		  struct ipk_error *err)
{
	int r = ipk_segment_path(name, path, PATH_MAX, err), fd;

	if (r < 0)
		return r;
	/* O_NONBLOCK: a fifo of that name must not hold us up. It means nothing for files. */
	flags |= O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	fd = open(path, ipk_is_proc_fd(path) ? flags : flags | O_NOFOLLOW);
	r = fd < 0 ? -errno : 0;
	if (r == -ELOOP && !ipk_is_path(name))
		r = open_huge(path, flags, &fd);
	if (r == 0 && fstat(fd, st) != 0)
		r = -errno;
	if (r == 0 && !S_ISREG(st->st_mode)) {
		close(fd);
		return ipk_error_set(err, -EPROTO, "%s is not a segment of ours", path);
	}
	if (r == 0) {
		*ret_fd = fd;
		return 0;
	}
	if (r == -ENOENT || r == -ENOTDIR)
		return ipk_error_set(err, -ENOENT, "no segment %.120s", name);
	if (r == -ELOOP)
		return ipk_error_set(err, -EPROTO, "%s is a symbolic link, which is not followed",
				     path);
	if (r == -EISDIR || r == -ENXIO || r == -ENODEV)
		return ipk_error_set(err, -EPROTO, "%s is not a segment of ours", path);
	if (r == -EPERM)
		r = -EACCES;
	return ipk_error_set(err, r, "segment %.120s: %s", name, ipk_strerror(r));
}

int ipk_file_reopen(int fd, int flags, int *ret_fd, struct ipk_error *err)
{
	char link[32];
	struct stat st;
	int own;

	if (fstat(fd, &st) != 0)
		return ipk_error_set(err, -errno, "descriptor %d: %s", fd, ipk_strerror(-errno));
	if (!S_ISREG(st.st_mode))
		return ipk_error_set(err, -EPROTO, "descriptor %d is not a segment of ours", fd);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	own = open(link, flags | O_CLOEXEC | O_NOCTTY);
	if (own < 0)
		return ipk_error_set(err, -errno, "descriptor %d cannot be opened anew (%s): %s",
				     fd, link, ipk_strerror(-errno));
	*ret_fd = own;
	return 0;
}

/* Up to want bytes from the start of the file: how many, or -errno. */
static ssize_t read_start(int fd, void *buf, size_t want)
{
	size_t have = 0;
	ssize_t n;

	do {
		n = pread(fd, (char *)buf + have, want - have, (off_t)have);
		if (n > 0)
			have += (size_t)n;
	} while (have < want && (n > 0 || (n < 0 && errno == EINTR)));
	return n < 0 ? -errno : (ssize_t)have;
}

/* n: bytes that could be read at magic. */
static int check_magic(ssize_t n, u64 magic, const char *name, struct ipk_error *err)
{
	if (n < 0)
		return ipk_error_set(err, (int)n, "segment %s: %s", name, ipk_strerror((int)n));
	if (n >= (ssize_t)sizeof(magic) && magic == __builtin_bswap64(IPK_MAGIC))
		return ipk_error_set(err, -EPROTO,
				     "%s is a segment of a machine with the other byte order",
				     name);
	if (n < (ssize_t)sizeof(magic) || magic != IPK_MAGIC)
		return ipk_error_set(err, -EPROTO, "%s is not a segment of ours", name);
	return 0;
}

int ipk_magic_check(int fd, const char *name, struct ipk_error *err)
{
	u64 magic = 0;
	ssize_t n = read_start(fd, &magic, sizeof(magic));

	return check_magic(n, magic, name, err);
}

int ipk_header_read(int fd, const char *name, struct ipk_geometry *ret_geo, struct ipk_error *err)
{
	union {
		struct ipk_header h;
		u8 bytes[offsetof(struct ipk_header, journal)];
	} u;
	struct stat st;
	ssize_t n = read_start(fd, u.bytes, sizeof(u.bytes));
	int r = check_magic(n, u.h.magic, name, err);

	if (r < 0)
		return r;
	if (n < (ssize_t)sizeof(u.bytes) || fstat(fd, &st) != 0)
		return ipk_error_set(err, -EBADMSG, "segment %s is cut short", name);
	r = ipk_header_check(&u.h, (u64)st.st_size, name, err);
	if (r < 0)
		return r;
	if (u.h.max > IPK_MAX_LIMIT)
		return ipk_error_set(err, -EBADMSG,
				     "segment %s: its maximum of %llu bytes is absurd", name,
				     (unsigned long long)u.h.max);
	*ret_geo = (struct ipk_geometry){
		.size = u.h.size, .max = u.h.max, .flags = u.h.flags, .id = {u.h.id[0], u.h.id[1]}};
	return 0;
}

int ipk_segment_list(int (*fn)(void *arg, const char *name), void *arg, struct ipk_error *err)
{
	const size_t cut = sizeof(IPK_SUFFIX) - 1;
	DIR *dir = opendir(ipk_dir_path());
	struct dirent *e;
	int r = 0;

	if (!dir)
		return ipk_error_set(err, -errno, "%s: %s", ipk_dir_path(),
				     errno == ENOENT ? "no such directory" : ipk_strerror(-errno));
	while (r == 0 && (e = readdir(dir))) {
		size_t n = strlen(e->d_name);
		char name[256];

		if (n <= cut || strcmp(e->d_name + n - cut, IPK_SUFFIX) ||
		    (e->d_type != DT_REG && e->d_type != DT_LNK && e->d_type != DT_UNKNOWN))
			continue;
		memcpy(name, e->d_name, n - cut);
		name[n - cut] = '\0';
		if (ipk_segment_name_ok(name))
			r = fn(arg, name);
	}
	closedir(dir);
	return r;
}
