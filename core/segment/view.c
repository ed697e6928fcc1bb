/* SPDX-License-Identifier: MIT */
/*
 * Reading without trust. Each number that comes from the segment is used once, from a private copy,
 * and checked against what can be read at all.
 *
 * A change that was committed but not yet carried out lies in the journal: its owner is at it, or
 * stopped, or dead, and a reader can neither wait for it nor finish it. So while the journal holds
 * a change, what is read is read through it: the overlay. Each read checks that the change is still
 * the same one.
 */
#include "segment/view.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "segment/layout.h"
#include "segment/map.h"

#define RETRIES 1000

struct overlay {
	u64 lock; /* of the change's owner */
	u64 n;    /* 0: none */
	struct ipk_journal_entry e[IPK_JOURNAL_MAX];
};

struct ipk_view {
	int fd;
	u64 size; /* header.size as last seen, and all of it was in the file */
	char *name;
	struct overlay overlay;
};

/* ---- bytes ---------------------------------------------------------------------------------- */

static int read_all(int fd, u64 off, u8 *p, u64 len)
{
	while (len) {
		ssize_t n = pread(fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -EIO;
		if (n == 0)
			return -EBADMSG; /* cut short under us */
		p += n;
		off += (u64)n;
		len -= (u64)n;
	}
	return 0;
}

/*
 * An aligned word that changes meanwhile comes whole only where source and destination lie alike in
 * their lines: then the kernel's copy moves it at once, else in two halves (seen with 8 bytes
 * between addresses that differ by 8, once in a thousand). Small reads are made to; whoever reads
 * words in bulk has to see to it.
 */
static int read_at(int fd, u64 off, void *dst, u64 len)
{
	_Alignas(IPK_LINE) u8 copy[IPK_PAGE + IPK_LINE];
	u64 at = off % IPK_LINE;
	int r;

	if ((uintptr_t)dst % IPK_LINE == at || len > sizeof(copy) - at)
		return read_all(fd, off, dst, len);
	r = read_all(fd, off, copy + at, len);
	if (r == 0)
		memcpy(dst, copy + at, len);
	return r;
}

/* Only what a transaction may change is laid over anything: never what is constant. */
static bool changes_allowed(const struct ipk_journal *j)
{
	for (u64 i = 0; i < j->n; i++) {
		u64 off = j->e[i].off;

		if (off % 8 || off < offsetof(struct ipk_header, size) ||
		    (off >= offsetof(struct ipk_header, journal) && off < sizeof(struct ipk_header)))
			return false;
	}
	return true;
}

/* The journal's change into o, whole; o->n is 0 when there is none. */
static int read_journal(int fd, struct overlay *o)
{
	struct ipk_journal j, again;
	u64 lock;
	int r;

	o->n = 0;
	for (int i = 0; i < RETRIES; i++) {
		r = read_at(fd, offsetof(struct ipk_header, journal), &j, sizeof(j));
		if (r < 0 || j.n == 0)
			return r;
		if (j.n > IPK_JOURNAL_MAX)
			return -EBADMSG;
		r = read_at(fd, offsetof(struct ipk_header, lock), &lock, sizeof(lock));
		if (r == 0)
			r = read_at(fd, offsetof(struct ipk_header, journal), &again,
				    sizeof(again));
		if (r < 0)
			return r;
		if (memcmp(&j, &again, offsetof(struct ipk_journal, e) + j.n * sizeof(j.e[0])) != 0)
			continue;
		if (!changes_allowed(&j))
			return -EBADMSG;
		o->lock = lock;
		memcpy(o->e, j.e, j.n * sizeof(j.e[0]));
		o->n = j.n;
		return 0;
	}
	return 0; /* changes one after the other: none of them is stuck */
}

/* Is what the overlay shows still waiting in the journal? */
static bool overlay_stands(const struct ipk_view *view)
{
	u64 lock, n;

	return read_at(view->fd, offsetof(struct ipk_header, lock), &lock, 8) == 0 &&
	       read_at(view->fd, offsetof(struct ipk_header, journal.n), &n, 8) == 0 &&
	       n == view->overlay.n &&
	       ((lock ^ view->overlay.lock) & ~IPK_LOCK_W) == 0; /* W says nothing of the owner */
}

static void lay_over(const struct overlay *o, u64 off, u8 *dst, u64 len)
{
	const u64 end = off + len;

	for (u64 i = 0; i < o->n; i++) {
		u64 at = o->e[i].off, from = at > off ? at : off, to;

		if (at >= end || at + 8 <= off)
			continue;
		to = at + 8 < end ? at + 8 : end;
		memcpy(dst + (from - off), (const u8 *)&o->e[i].val + (from - at), to - from);
	}
}

/* Inside what was found readable. */
static int read_through(struct ipk_view *view, u64 off, void *dst, u64 len)
{
	int r = read_at(view->fd, off, dst, len);

	if (ipk_likely(r < 0 || view->overlay.n == 0))
		return r;
	for (int i = 0; i < RETRIES && !overlay_stands(view); i++) {
		/* It was carried out, perhaps between two halves of what we read. */
		r = read_journal(view->fd, &view->overlay);
		if (r == 0)
			r = read_at(view->fd, off, dst, len);
		if (r < 0 || view->overlay.n == 0)
			return r;
	}
	lay_over(&view->overlay, off, dst, len);
	return 0;
}

static int refresh_size(struct ipk_view *view)
{
	struct stat st;
	u64 size;
	int r = read_through(view, offsetof(struct ipk_header, size), &size, sizeof(size));

	/* The file is asked last: it grows before the header says so. */
	if (r == 0 && fstat(view->fd, &st) != 0)
		r = -EIO;
	if (r < 0)
		return r;
	view->size = size < (u64)st.st_size ? size : (u64)st.st_size;
	return 0;
}

int ipk_view_read(struct ipk_view *view, uint64_t off, void *dst, uint64_t len)
{
	int r;

	if (off > view->size || len > view->size - off) {
		r = refresh_size(view);
		if (r < 0)
			return r;
		if (off > view->size || len > view->size - off)
			return -EBADMSG;
	}
	return len ? read_through(view, off, dst, len) : 0;
}

int ipk_view_u64(struct ipk_view *view, uint64_t off, uint64_t *ret_val)
{
	u64 val;
	int r = off % 8 ? -EBADMSG : ipk_view_read(view, off, &val, 8);

	if (r == 0)
		*ret_val = val;
	return r;
}

int ipk_view_u32(struct ipk_view *view, uint64_t off, uint32_t *ret_val)
{
	u32 val;
	int r = off % 4 ? -EBADMSG : ipk_view_read(view, off, &val, 4);

	if (r == 0)
		*ret_val = val;
	return r;
}

/* ---- opening -------------------------------------------------------------------------------- */

/* Takes fd over on success. */
static int view_new(int fd, const char *name, struct ipk_view **ret_view, struct ipk_error *err)
{
	struct ipk_view *view = calloc(1, sizeof(*view));
	u8 start[IPK_PAGE]; /* header and journal in one read: most views need no more to begin */
	struct ipk_header h;
	struct stat st;
	int r;

	if (!view || !(view->name = strdup(name))) {
		free(view);
		return ipk_error_set(err, -ENOMEM, "out of memory");
	}
	view->fd = fd;
	memset(&h, 0, sizeof(h));
	r = read_at(fd, 0, start, sizeof(start));
	if (r < 0) {
		r = ipk_error_set(err, -EPROTO, "%s is not a segment", name);
		goto fail;
	}
	memcpy(&h, start, offsetof(struct ipk_header, journal.e));
	if (h.magic == IPK_MAGIC && h.version == IPK_FORMAT_VERSION && h.journal.n) {
		r = read_journal(fd, &view->overlay);
		if (r == 0)
			r = read_through(view, 0, start, sizeof(start));
		if (r < 0) {
			ipk_error_set(err, r, "segment %s: the journal is damaged", name);
			goto fail;
		}
		memcpy(&h, start, offsetof(struct ipk_header, journal.e));
	}
	if (fstat(fd, &st) != 0) {
		r = ipk_error_set(err, -errno, "%s: %s", name, ipk_strerror(-errno));
		goto fail;
	}
	r = ipk_header_check(&h, (u64)st.st_size, name, err);
	if (r < 0)
		goto fail;
	view->size = h.size;
	*ret_view = view;
	return 0;
fail:
	free(view->name);
	free(view);
	return r;
}

int ipk_view_open(const char *name, struct ipk_view **ret_view, struct ipk_error *err)
{
	char path[PATH_MAX];
	struct stat st;
	int fd, r = ipk_file_open(name, O_RDONLY, &fd, path, &st, err);

	if (r < 0)
		return r;
	r = view_new(fd, name, ret_view, err);
	if (r < 0)
		close(fd);
	return r;
}

int ipk_view_open_fd(int fd, struct ipk_view **ret_view, struct ipk_error *err)
{
	char name[32];
	/* Not a dup: a description that holds locks of participants does not see them as taken. */
	int own, r = ipk_file_reopen(fd, O_RDONLY, &own, err);

	if (r < 0)
		return r;
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	r = view_new(own, name, ret_view, err);
	if (r < 0)
		close(own);
	return r;
}

void ipk_view_close(struct ipk_view *view)
{
	if (!view)
		return;
	close(view->fd);
	free(view->name);
	free(view);
}

int ipk_view_fd(const struct ipk_view *view)
{
	return view->fd;
}

uint64_t ipk_view_size(const struct ipk_view *view)
{
	refresh_size((struct ipk_view *)view);
	return view->size;
}

const char *ipk_view_name(const struct ipk_view *view)
{
	return view->name;
}

int ipk_view_header(struct ipk_view *view, struct ipk_header *ret_h)
{
	memset(ret_h, 0, sizeof(*ret_h));
	return ipk_view_read(view, 0, ret_h, offsetof(struct ipk_header, journal));
}

bool ipk_view_in_flux(struct ipk_view *view)
{
	if (view->overlay.n && overlay_stands(view))
		return false; /* what is waiting there has been seen already */
	return read_journal(view->fd, &view->overlay) == 0 && view->overlay.n;
}
