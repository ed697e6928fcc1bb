/* SPDX-License-Identifier: MIT */
#include "segment/undo.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define MAGIC UINT64_C(0x316f646e756b7069) /* the bytes "ipkundo1" on little-endian */
#define VERSION 1u
#define STEP (UINT64_C(1) << 20) /* bytes compared at a time */

_Static_assert(sizeof(struct ipk_undo_header) == 128, "");
_Static_assert(sizeof(struct ipk_undo_piece) == 16, "");

/* ---- bytes ---------------------------------------------------------------------------------- */

/* *ret_n: how many there were. */
static int read_all(int fd, u64 off, u8 *p, u64 len, u64 *ret_n)
{
	u64 have = 0;

	while (have < len) {
		ssize_t n = pread(fd, p + have, len - have, (off_t)(off + have));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		have += (u64)n;
	}
	*ret_n = have;
	return 0;
}

static int write_all(int fd, u64 off, const u8 *p, u64 len)
{
	while (len) {
		ssize_t n = pwrite(fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		off += (u64)n;
		len -= (u64)n;
	}
	return 0;
}

static int append(struct ipk_undo *u, const void *p, u64 len)
{
	if (len > u->cap - u->len) {
		u64 cap = u->cap ? u->cap : IPK_PAGE;
		u8 *more;

		while (len > cap - u->len)
			cap *= 2;
		more = realloc(u->data, cap);
		if (!more)
			return -ENOMEM;
		u->data = more;
		u->cap = cap;
	}
	memcpy(u->data + u->len, p, len);
	u->len += len;
	return 0;
}

void ipk_undo_free(struct ipk_undo *u)
{
	free(u->data);
	memset(u, 0, sizeof(*u));
}

/* ---- collecting ----------------------------------------------------------------------------- */

static int add_piece(struct ipk_undo *u, u64 off, const u8 *old, const u8 *new, u64 len)
{
	struct ipk_undo_piece piece = {.off = off, .len = len};
	int r = append(u, &piece, sizeof(piece));

	if (r == 0)
		r = append(u, old, len);
	if (r == 0)
		r = append(u, new, len);
	if (r == 0) {
		ipk_undo_header(u)->npieces++;
		ipk_undo_header(u)->bytes += len;
	}
	return r;
}

/* The lines of [off, off + len) that differ. */
static int compare(struct ipk_undo *u, u64 off, const u8 *old, const u8 *new, u64 len)
{
	u64 at = 0, end;
	int r = 0;

	while (at < len && r == 0) {
		if (memcmp(old + at, new + at, IPK_LINE) == 0) {
			at += IPK_LINE;
			continue;
		}
		end = at + IPK_LINE;
		while (end < len && memcmp(old + end, new + end, IPK_LINE) != 0)
			end += IPK_LINE;
		r = add_piece(u, off + at, old + at, new + at, end - at);
		at = end;
	}
	return r;
}

static int collect(int fd, const struct ipk_salvage *s, u8 *old, struct ipk_undo *u)
{
	int r = 0;

	for (u64 off = 0; off < s->size && r == 0; off += STEP) {
		u64 len = s->size - off < STEP ? s->size - off : STEP, n;

		memset(old, 0, len);
		r = read_all(fd, off, old, len, &n);
		if (r == 0 && n < len && off + n < s->file_size)
			r = -EBADMSG; /* it was cut short meanwhile */
		if (r == 0)
			r = compare(u, off, old, s->base + off, len);
	}
	return r;
}

static u64 sum(const struct ipk_undo *u)
{
	const u64 from = offsetof(struct ipk_undo_header, id);

	return XXH3_64bits(u->data + from, u->len - from);
}

int ipk_undo_collect(int fd, const struct ipk_salvage *s, struct ipk_undo *ret)
{
	struct ipk_undo_header h = {
		.magic = MAGIC,
		.version = VERSION,
		.state = IPK_UNDO_APPLYING,
		.id = {s->h->id[0], s->h->id[1]},
		.created = s->h->created,
		.old_len = s->file_size,
		.new_len = s->size > s->file_size ? s->size : s->file_size,
	};
	struct ipk_undo u = {0};
	u8 *old = malloc(STEP);
	struct stat st;
	int r = old ? 0 : -ENOMEM;

	if (r == 0 && fstat(fd, &st) != 0)
		r = -errno;
	if (r == 0) {
		h.ino = (u64)st.st_ino;
		r = append(&u, &h, sizeof(h));
	}
	if (r == 0)
		r = collect(fd, s, old, &u);
	free(old);
	if (r < 0) {
		ipk_undo_free(&u);
		return r;
	}
	ipk_undo_header(&u)->sum = sum(&u);
	*ret = u;
	return 0;
}

/* ---- the file ------------------------------------------------------------------------------- */

static int sync_directory(const char *path)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int fd, r;

	snprintf(dir, sizeof(dir), "%.*s", slash && slash > path ? (int)(slash - path) : 1,
		 slash ? path : ".");
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = fsync(fd) == 0 || errno == EINVAL ? 0 : -errno;
	close(fd);
	return r;
}

static int write_file(const struct ipk_undo *u, const char *path)
{
	int fd, r;

	/* One that was killed here left it, under the lock that is ours now. */
	if (unlink(path) != 0 && errno != ENOENT)
		return -errno;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = write_all(fd, 0, u->data, u->len);
	if (r == 0 && fsync(fd) != 0)
		r = -errno;
	close(fd);
	return r;
}

int ipk_undo_save(const struct ipk_undo *u, const char *path, struct ipk_error *err)
{
	char temp[PATH_MAX];
	int n = snprintf(temp, sizeof(temp), "%s.new", path), r;

	if (n < 0 || (size_t)n >= sizeof(temp))
		return ipk_error_set(err, -ENAMETOOLONG, "%.120s: the path is too long", path);
	r = write_file(u, temp);
	if (r == 0 && rename(temp, path) != 0)
		r = -errno;
	if (r == 0)
		r = sync_directory(path);
	if (r < 0) {
		unlink(temp);
		return ipk_error_set(err, r, "what would change cannot be saved in %.120s: %s",
				     path, ipk_strerror(r));
	}
	return 0;
}

static bool sound(const struct ipk_undo *u)
{
	const struct ipk_undo_header *h = ipk_undo_header(u);
	u64 at = sizeof(*h), n;

	if (u->len < sizeof(*h) || h->magic != MAGIC || h->version != VERSION ||
	    h->state > IPK_UNDO_GOING_BACK || h->sum != sum(u))
		return false;
	for (n = 0; n < h->npieces; n++) {
		const struct ipk_undo_piece *p = (const void *)(u->data + at);

		if (u->len - at < sizeof(*p) || p->len % IPK_LINE || p->len == 0 ||
		    p->len > (u->len - at - sizeof(*p)) / 2 || p->off > h->new_len ||
		    p->len > h->new_len - p->off)
			return false;
		at += sizeof(*p) + 2 * p->len;
	}
	return at == u->len;
}

static int load(int fd, const char *path, struct ipk_undo *u, struct ipk_error *err)
{
	struct stat st;
	u64 n;
	int r;

	if (fstat(fd, &st) != 0)
		return ipk_error_set(err, -errno, "%.120s: %s", path, ipk_strerror(-errno));
	if (!S_ISREG(st.st_mode) || (st.st_uid != geteuid() && st.st_uid != 0) ||
	    (st.st_mode & (S_IWGRP | S_IWOTH)))
		return ipk_error_set(err, -EPERM, "%.120s is not what a repair of yours saved",
				     path);
	u->data = malloc((size_t)st.st_size + 1);
	if (!u->data)
		return ipk_error_set(err, -ENOMEM, "out of memory");
	u->cap = u->len = (u64)st.st_size;
	r = read_all(fd, 0, u->data, u->len, &n);
	if (r < 0)
		return ipk_error_set(err, r, "%.120s: %s", path, ipk_strerror(r));
	if (n != u->len || !sound(u))
		return ipk_error_set(err, -EBADMSG, "%.120s is damaged: nothing is taken back",
				     path);
	return 0;
}

int ipk_undo_load(const char *path, struct ipk_undo *ret, struct ipk_error *err)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK), r;
	struct ipk_undo u = {0};

	if (fd < 0)
		return ipk_error_set(err, -errno, "%.120s: %s", path, ipk_strerror(-errno));
	r = load(fd, path, &u, err);
	close(fd);
	if (r < 0)
		ipk_undo_free(&u);
	else
		*ret = u;
	return r;
}

int ipk_undo_mark(struct ipk_undo *u, const char *path, enum ipk_undo_state state,
		  struct ipk_error *err)
{
	u32 word = state;
	int fd = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC), r = fd < 0 ? -errno : 0;

	if (r == 0)
		r = write_all(fd, offsetof(struct ipk_undo_header, state), (u8 *)&word,
			      sizeof(word));
	if (r == 0 && fsync(fd) != 0)
		r = -errno;
	if (fd >= 0)
		close(fd);
	if (r < 0)
		return ipk_error_set(err, r, "%.120s: %s", path, ipk_strerror(r));
	ipk_undo_header(u)->state = word;
	return 0;
}

int ipk_undo_remove(const char *path)
{
	return unlink(path) == 0 ? sync_directory(path) : -errno;
}

/* ---- the segment ---------------------------------------------------------------------------- */

bool ipk_undo_is_of(const struct ipk_undo *u, int fd)
{
	const struct ipk_undo_header *h = ipk_undo_header(u);
	u8 start[offsetof(struct ipk_header, size)];
	u64 id[2], created, n;
	struct stat st;

	if (fstat(fd, &st) != 0 || (u64)st.st_ino != h->ino ||
	    read_all(fd, 0, start, sizeof(start), &n) < 0 || n != sizeof(start))
		return false;
	memcpy(id, start + offsetof(struct ipk_header, id), sizeof(id));
	memcpy(&created, start + offsetof(struct ipk_header, created), sizeof(created));
	return id[0] == h->id[0] && id[1] == h->id[1] && created == h->created;
}

static const struct ipk_undo_piece *next(const struct ipk_undo *u, u64 *at)
{
	const struct ipk_undo_piece *p = (const void *)(u->data + *at);

	if (*at >= u->len)
		return NULL;
	*at += sizeof(*p) + 2 * p->len;
	return p;
}

/* What lies behind the end of the file is zeros. */
static enum ipk_undo_match match_piece(const struct ipk_undo_piece *p, int fd, u8 *now)
{
	enum ipk_undo_match match = IPK_UNDO_NEW;
	const u8 *old = p->bytes, *new = p->bytes + p->len;
	u64 n;

	memset(now, 0, p->len);
	if (read_all(fd, p->off, now, p->len, &n) < 0)
		return IPK_UNDO_STRANGE;
	for (u64 i = 0; i < p->len; i++) {
		if (now[i] != new[i] && now[i] != old[i])
			return IPK_UNDO_STRANGE;
		if (now[i] != new[i])
			match = IPK_UNDO_MIXED;
	}
	return match;
}

enum ipk_undo_match ipk_undo_match(const struct ipk_undo *u, int fd)
{
	u8 *now = malloc(u->len);
	const struct ipk_undo_piece *p;
	enum ipk_undo_match all = now ? IPK_UNDO_NEW : IPK_UNDO_STRANGE;
	u64 at = sizeof(struct ipk_undo_header);

	while (all != IPK_UNDO_STRANGE && (p = next(u, &at)) != NULL) {
		enum ipk_undo_match match = match_piece(p, fd, now);

		if (match != IPK_UNDO_NEW)
			all = match;
	}
	free(now);
	return all;
}

static int set_length(int fd, u64 len)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return -errno;
	if ((u64)st.st_size < len) {
		/* With memory behind it, so that nobody who is attached runs into a hole. */
		if (fallocate(fd, 0, st.st_size, (off_t)len - st.st_size) == 0)
			return 0;
		if (errno != EOPNOTSUPP)
			return -errno;
	}
	return (u64)st.st_size == len || ftruncate(fd, (off_t)len) == 0 ? 0 : -errno;
}

int ipk_undo_write(const struct ipk_undo *u, int fd, bool back)
{
	const struct ipk_undo_header *h = ipk_undo_header(u);
	const struct ipk_undo_piece *p;
	u64 at = sizeof(*h);
	int r = h->new_len != h->old_len && !back ? set_length(fd, h->new_len) : 0;

	while (r == 0 && (p = next(u, &at)) != NULL)
		r = write_all(fd, p->off, back ? p->bytes : p->bytes + p->len, p->len);
	if (r == 0 && back && h->new_len != h->old_len)
		r = set_length(fd, h->old_len);
	if (r == 0 && fsync(fd) != 0 && errno != EINVAL)
		r = -errno;
	return r;
}
