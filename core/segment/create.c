/* SPDX-License-Identifier: MIT */
/*
 * Creation: a file without a name is made complete and then linked to its name, which fails if the
 * name exists. A creator killed at any point leaves nothing (a hidden file where the file system
 * has no O_TMPFILE).
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "segment/heap.h"
#include "segment/map.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

struct plan {
	const char *name; /* for errors */
	const struct ipk_segment_options *opt;
	u64 size, max;
	u32 flags, huge_shift;
	u32 mode;
	char path[PATH_MAX]; /* where it appears */
	char temp[PATH_MAX]; /* hidden name, or "": it has none */
};

static int check_options(struct plan *p, struct ipk_error *err)
{
	const struct ipk_segment_options *o = p->opt;
	u64 unit = o->huge ? o->huge : IPK_PAGE, size = o->size ? o->size : IPK_SIZE_DEFAULT;

	if (o->huge && o->huge != UINT64_C(2) << 20 && o->huge != UINT64_C(1) << 30)
		return ipk_error_set(err, -EINVAL, "--huge takes 2M or 1G");
	if (size < IPK_SIZE_MIN || size > IPK_MAX_LIMIT)
		return ipk_error_set(err, -EINVAL, "--size %llu: a segment has %llu to %llu bytes",
				     (unsigned long long)size, (unsigned long long)IPK_SIZE_MIN,
				     (unsigned long long)IPK_MAX_LIMIT);
	p->size = ipk_align_up(size, unit);
	if (o->max && (o->max < size || o->max > IPK_MAX_LIMIT))
		return ipk_error_set(
			err, -EINVAL,
			"--max %llu: it must be at least --size (%llu) and at most %llu",
			(unsigned long long)o->max, (unsigned long long)size,
			(unsigned long long)IPK_MAX_LIMIT);
	p->max = o->max ? ipk_align_up(o->max, unit) : 0;
	if (o->huge && (p->max > p->size || o->sparse))
		return ipk_error_set(err, -EINVAL, "--huge: no %s on huge pages",
				     o->sparse ? "--sparse" : "growth (--max beyond --size)");
	if (o->huge)
		p->max = p->size;
	p->mode = o->mode ? o->mode : 0600;
	if (p->mode & ~0777u)
		return ipk_error_set(err, -EINVAL, "--mode %o: only 0 to 0777", p->mode);
	if (o->group < -1 || o->group >= UINT32_MAX)
		return ipk_error_set(err, -EINVAL, "--group %lld: no such group",
				     (long long)o->group);
	p->huge_shift = o->huge ? ipk_log2(o->huge) : 0;
	p->flags = (o->sparse ? IPK_SEG_SPARSE : 0) | (o->huge ? IPK_SEG_HUGE : 0);
	return 0;
}

/* --max where it was not given: 1 GiB or half of what is free. */
static void choose_max(struct plan *p, int fd)
{
	u64 max = IPK_MAX_DEFAULT, space;
	struct statvfs fs;

	if (!p->max && fstatvfs(fd, &fs) == 0 && fs.f_blocks) { /* tmpfs without a limit says 0 */
		space = (u64)fs.f_bavail > UINT64_MAX / fs.f_frsize ? UINT64_MAX
								    : fs.f_bavail * fs.f_frsize;
		if (max > space / 2)
			max = space / 2 & ~(u64)(IPK_PAGE - 1);
	}
	if (!p->max)
		p->max = max > p->size ? max : p->size;
	if (p->max == p->size)
		p->flags |= IPK_SEG_FIXED;
}

/* ---- the file --------------------------------------------------------------------------- */

static u64 random_word(void)
{
	static u64 fallback;
	u64 w;

	if (getrandom(&w, sizeof(w), GRND_NONBLOCK) != sizeof(w))
		w = (u64)getpid() << 32 ^ ipk_add(&fallback, 1, relaxed) ^ (u64)ipk_now();
	return w;
}

/* The directory part of a path, "." for none. */
static void directory(const char *path, char *dir)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		strcpy(dir, ".");
	else if (slash == path)
		strcpy(dir, "/");
	else
		snprintf(dir, PATH_MAX, "%.*s", (int)(slash - path), path);
}

static int open_unnamed(struct plan *p, const char *dir, int *ret_fd)
{
	const char *base = strrchr(p->path, '/');
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), n;

	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
		n = snprintf(p->temp, sizeof(p->temp), "%s/.%.160s.%016llx", dir,
			     base ? base + 1 : p->path, (unsigned long long)random_word());
		if (n < 0 || (size_t)n >= sizeof(p->temp))
			return -ENAMETOOLONG;
		fd = open(p->temp, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0)
			p->temp[0] = '\0';
	}
	if (fd < 0)
		return -errno;
	*ret_fd = fd;
	return 0;
}

static int publish(struct plan *p, int fd)
{
	char link[32];
	int r;

	if (p->temp[0]) {
		if (renameat2(AT_FDCWD, p->temp, AT_FDCWD, p->path, RENAME_NOREPLACE) == 0) {
			p->temp[0] = '\0';
			return 0;
		}
		if (errno != EINVAL && errno != ENOSYS)
			return -errno;
		return linkat(AT_FDCWD, p->temp, AT_FDCWD, p->path, 0) == 0 ? 0 : -errno;
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	r = linkat(AT_FDCWD, link, AT_FDCWD, p->path, AT_SYMLINK_FOLLOW);
	if (r != 0 && errno == ENOENT) /* no /proc; needs a capability */
		r = linkat(fd, "", AT_FDCWD, p->path, AT_EMPTY_PATH);
	return r == 0 ? 0 : -errno;
}

/* ---- its contents ----------------------------------------------------------------------- */

static int no_space(const struct plan *p, int r, struct ipk_error *err)
{
	if (p->flags & IPK_SEG_HUGE)
		return ipk_error_set(err, r == -ENOMEM ? -ENOSPC : r,
				     "segment %s: %s (see vm.nr_hugepages)", p->name,
				     r == -ENOMEM || r == -ENOSPC ? "not enough huge pages"
								  : ipk_strerror(r));
	if (r == -EFBIG)
		return ipk_error_set(
			err, -ENOSPC,
			"segment %s: the file system or ulimit -f allows no file of %llu "
			"bytes (--size)",
			p->name, (unsigned long long)p->size);
	if (r == -ENOSPC)
		return ipk_error_set(err, r,
				     "segment %s: the file system has no %llu bytes (--size)",
				     p->name, (unsigned long long)p->size);
	return ipk_error_set(err, r, "segment %s: %s", p->name, ipk_strerror(r));
}

static int reserve(const struct plan *p, int fd)
{
	u64 table = ipk_table_pages(p->size / IPK_PAGE) * IPK_PAGE;
	int r;

	if (!(p->flags & IPK_SEG_SPARSE))
		return ipk_reserve(fd, 0, p->size);
	r = ipk_reserve(fd, 0, (u64)IPK_FIRST_FREE * IPK_PAGE);
	return r < 0 ? r : ipk_reserve(fd, p->size - table, table);
}

static int touch(const struct plan *p, u8 *base, struct ipk_error *err)
{
	u64 i;

	if (p->opt->prefault && madvise(base, p->size, MADV_POPULATE_WRITE) != 0) {
		if (errno != EINVAL)
			return no_space(p, errno == EFAULT ? -ENOSPC : -errno, err);
		for (i = 0; i < p->size; i += IPK_PAGE) /* before 5.14; nobody else is there yet */
			ipk_st((u64 *)(void *)(base + i),
			       ipk_ld((u64 *)(void *)(base + i), relaxed), relaxed);
	}
	if (p->opt->lock && mlock2(base, p->max, MLOCK_ONFAULT) != 0)
		return ipk_error_set(
			err, errno == EAGAIN ? -ENOMEM : -errno,
			"segment %s: --lock of its maximum of %llu bytes: %s (see ulimit -l)",
			p->name, (unsigned long long)p->max, ipk_strerror(-errno));
	return 0;
}

/* Fills the file; *ret_base is its mapping. */
static int fill(struct plan *p, int fd, u8 **ret_base, struct ipk_error *err)
{
	struct ipk_header *h;
	u8 *base;
	int r;

	choose_max(p, fd);
	base = mmap(NULL, p->max, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (base == MAP_FAILED)
		return ipk_error_set(err, -errno,
				     "segment %s: no address space for %llu bytes (--max): %s",
				     p->name, (unsigned long long)p->max, ipk_strerror(-errno));
	if (p->opt->numa) {
		r = ipk_numa_apply(base, p->max, p->opt->numa, err);
		if (r < 0)
			goto fail;
	}
	r = reserve(p, fd);
	if (r < 0) {
		no_space(p, r, err);
		r = r == -EFBIG || (r == -ENOMEM && p->opt->huge) ? -ENOSPC : r;
		goto fail;
	}
	ipk_format_segment(base, p->size, p->max, p->flags, p->huge_shift);
	r = touch(p, base, err);
	if (r < 0)
		goto fail;
	h = (void *)base;
	ipk_st(&h->magic, IPK_MAGIC, release); /* the name that appears later orders it for all */
	*ret_base = base;
	return 0;
fail:
	munmap(base, p->max);
	return r;
}

static int set_owner(const struct plan *p, int fd, struct ipk_error *err)
{
	if (p->opt->group >= 0 && fchown(fd, (uid_t)-1, (gid_t)p->opt->group) != 0)
		return ipk_error_set(err, -errno, "segment %s: --group %lld: %s", p->name,
				     (long long)p->opt->group, ipk_strerror(-errno));
	if (fchmod(fd, p->mode) != 0)
		return ipk_error_set(err, -errno, "segment %s: --mode %o: %s", p->name, p->mode,
				     ipk_strerror(-errno));
	return 0;
}

/* ---- huge pages ------------------------------------------------------------------------- */

/* A hugetlbfs mount with pages of that size in which we may create. */
static int find_hugetlbfs(u64 huge, char *dir)
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	struct mntent m;
	char line[4 * PATH_MAX];
	struct statfs fs;
	int r = -ENODEV;

	if (!f)
		return -errno;
	while (r != 0 && getmntent_r(f, &m, line, sizeof(line))) {
		if (strcmp(m.mnt_type, "hugetlbfs") || statfs(m.mnt_dir, &fs) != 0 ||
		    fs.f_type != HUGETLBFS_MAGIC || (u64)fs.f_bsize != huge)
			continue;
		if (access(m.mnt_dir, W_OK | X_OK) != 0) {
			r = -EACCES;
			continue;
		}
		if (strlen(m.mnt_dir) < PATH_MAX - 300) {
			strcpy(dir, m.mnt_dir);
			r = 0;
		}
	}
	endmntent(f);
	return r;
}

static int create_huge(struct plan *p, int *ret_fd, u8 **ret_base, struct ipk_error *err)
{
	char dir[PATH_MAX];
	int fd, r = find_hugetlbfs(p->opt->huge, dir);

	if (r < 0)
		return ipk_error_set(err, r == -EACCES ? r : -EOPNOTSUPP,
				     "segment %s: no hugetlbfs with pages of %lluM %s", p->name,
				     (unsigned long long)p->opt->huge >> 20,
				     r == -EACCES ? "may be written to" : "is mounted");
	snprintf(p->temp, sizeof(p->temp), "%.3600s/%s.%016llx" IPK_SUFFIX, dir, p->name,
		 (unsigned long long)random_word());
	fd = open(p->temp, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		p->temp[0] = '\0';
		return ipk_error_set(err, -errno, "segment %s: %s: %s", p->name, dir,
				     ipk_strerror(-errno));
	}
	r = set_owner(p, fd, err);
	if (r == 0)
		r = fill(p, fd, ret_base, err);
	if (r == 0 && symlink(p->temp, p->path) != 0) {
		r = -errno;
		munmap(*ret_base, p->max);
		ipk_error_set(err, r, "segment %s: %s", p->name, ipk_strerror(r));
	}
	if (r < 0) {
		unlink(p->temp);
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

/* ---- together --------------------------------------------------------------------------- */

static int create_file(struct plan *p, int *ret_fd, u8 **ret_base, struct ipk_error *err)
{
	char dir[PATH_MAX];
	int fd = -1, r;

	directory(p->path, dir);
	r = open_unnamed(p, dir, &fd);
	if (r < 0)
		return ipk_error_set(err, r, "segment %s: cannot create a file in %.120s: %s",
				     p->name, dir,
				     r == -ENOENT ? "no such directory" : ipk_strerror(r));
	r = fill(p, fd, ret_base, err);
	if (r == 0) {
		r = set_owner(p, fd, err);
		if (r == 0) {
			r = publish(p, fd);
			if (r < 0)
				ipk_error_set(err, r,
					      r == -EEXIST ? "segment %s exists"
							   : "segment %s: cannot be linked: %s",
					      p->name, ipk_strerror(r));
		}
		if (r < 0)
			munmap(*ret_base, p->max);
	}
	if (p->temp[0])
		unlink(p->temp);
	if (r < 0)
		close(fd);
	else
		*ret_fd = fd;
	return r;
}

int ipk_segment_create(const char *name, const struct ipk_segment_options *options,
		       struct ipk_segment **ret_seg, struct ipk_error *err)
{
	static const struct ipk_segment_options defaults = IPK_SEGMENT_OPTIONS_INIT;
	struct plan p = {.name = name, .opt = options ? options : &defaults};
	struct stat st;
	u8 *base = NULL;
	int fd = -1, r = check_options(&p, err);

	if (r == 0)
		r = ipk_segment_path(name, p.path, sizeof(p.path), err);
	if (r < 0)
		return r;
	if (p.opt->huge && ipk_is_path(name))
		return ipk_error_set(err, -EINVAL,
				     "segment %.120s: --huge needs a name, not a path", name);
	if (lstat(p.path, &st) == 0) /* spares the work; publish decides */
		return ipk_error_set(err, -EEXIST, "segment %.120s exists", name);
	r = p.opt->huge ? create_huge(&p, &fd, &base, err) : create_file(&p, &fd, &base, err);
	if (r < 0)
		return r;
	if (ret_seg) {
		r = ipk_attach(fd, base, IPK_WRITE, name, p.path, ret_seg, err);
		if (r == 0)
			return 0;
	}
	munmap(base, p.max);
	close(fd);
	return r;
}

int ipk_segment_memfd(const char *label, const struct ipk_segment_options *options, int *ret_fd,
		      struct ipk_error *err)
{
	static const struct ipk_segment_options defaults = IPK_SEGMENT_OPTIONS_INIT;
	struct plan p = {.name = label, .opt = options ? options : &defaults};
	int seals = F_SEAL_SHRINK | F_SEAL_SEAL, fd, r = check_options(&p, err);
	u8 *base;

	if (r < 0)
		return r;
	if (p.opt->huge)
		return ipk_error_set(err, -EINVAL, "memfd %.80s: no huge pages", label);
	p.flags |= IPK_SEG_MEMFD;
	fd = memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL) /* before 6.3 */
		fd = memfd_create(label, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return ipk_error_set(err, -errno, "memfd %.80s: %s", label, ipk_strerror(-errno));
	r = fill(&p, fd, &base, err);
	if (r == 0) {
		munmap(base, p.max);
		if (p.flags & IPK_SEG_FIXED)
			seals |= F_SEAL_GROW;
		r = set_owner(&p, fd, err);
		if (r == 0 && fcntl(fd, F_ADD_SEALS, seals) != 0)
			r = ipk_error_set(err, -errno, "memfd %.80s cannot be sealed: %s", label,
					  ipk_strerror(-errno));
	}
	if (r < 0)
		close(fd);
	else
		*ret_fd = fd;
	return r;
}
