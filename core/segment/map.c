/* SPDX-License-Identifier: MIT */
/* Attaching and detaching. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "segment/guard.h"
#include "segment/heap.h"
#include "segment/map.h"
#include "segment/registry.h"

static void name_it(struct ipk_segment *seg, const char *name)
{
	size_t n = strlen(name);

	/* Of a path that does not fit, the end tells more. */
	if (n >= sizeof(seg->name))
		name += n - (sizeof(seg->name) - 1);
	snprintf(seg->name, sizeof(seg->name), "%s", name);
}

static int store_boot_id(struct ipk_tx *tx, void *arg)
{
	struct ipk_header *h = ipk_header(tx->seg);
	const u64 *id = arg;

	ipk_tx_set(tx, &h->boot_id[0], id[0]);
	ipk_tx_set(tx, &h->boot_id[1], id[1]);
	return 0;
}

/* Nobody outlives a boot: what they left is made good before anything else looks at it. */
static int check_boot(struct ipk_segment *seg, struct ipk_error *err)
{
	struct ipk_header *h = ipk_header(seg);
	struct ipk_self *me;
	u64 id[2];
	int r = 0;

	ipk_boot_id(id);
	if (ipk_ld(&h->boot_id[0], relaxed) == id[0] && ipk_ld(&h->boot_id[1], relaxed) == id[1])
		return 0;
	me = ipk_self(seg, &r);
	if (!me)
		return ipk_error_set(err, r, "segment %s: %s", seg->name, ipk_strerror(r));
	ipk_sweep(me, IPK_FOREVER);
	return ipk_tx_run(me, store_boot_id, id, IPK_FOREVER, err);
}

static void drop(struct ipk_segment *seg)
{
	pthread_mutex_destroy(&seg->mutex);
	free(seg->path);
	free(seg);
}

int ipk_attach(int fd, u8 *base, unsigned mode, const char *name, const char *path,
	       struct ipk_segment **ret_seg, struct ipk_error *err)
{
	bool writable = mode & IPK_WRITE, mapped = base;
	int prot = writable ? PROT_READ | PROT_WRITE : PROT_READ, r;
	struct ipk_segment *seg;
	struct ipk_geometry geo;

	r = ipk_header_read(fd, name, &geo, err);
	if (r < 0)
		return r;
	seg = calloc(1, sizeof(*seg));
	if (!seg)
		return ipk_error_set(err, -ENOMEM, "out of memory");
	pthread_mutex_init(&seg->mutex, NULL);
	seg->path = strdup(path);
	if (!seg->path) {
		r = ipk_error_set(err, -ENOMEM, "out of memory");
		goto fail;
	}
	/* All that it may grow to, so that growth moves nothing. What lies behind size costs no
	 * memory. */
	if (!mapped)
		base = mmap(NULL, geo.max, prot, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (base == MAP_FAILED) {
		r = ipk_error_set(err, -errno,
				  "segment %s: no address space for its maximum of %llu bytes: %s",
				  name, (unsigned long long)geo.max, ipk_strerror(-errno));
		goto fail;
	}
	seg->base = base;
	seg->max = geo.max;
	seg->size = geo.size;
	seg->fd = fd;
	seg->writable = writable;
	seg->flags = geo.flags;
	seg->robust = !(geo.flags & IPK_SEG_HUGE);
	name_it(seg, name);
	ipk_guard_add(base, seg->max, true);
	if (writable) {
		ipk_registry_attach(seg);
		r = check_boot(seg, err);
		if (r < 0) {
			ipk_leave_all(seg);
			ipk_guard_drop(base);
			if (!mapped)
				munmap(base, seg->max);
			goto fail;
		}
	}
	*ret_seg = seg;
	return 0;
fail:
	drop(seg);
	return r;
}

static int mode_flags(unsigned mode, struct ipk_error *err, int *ret_flags)
{
	if (!(mode & (IPK_READ | IPK_WRITE)) || (mode & ~(IPK_READ | IPK_WRITE)))
		return ipk_error_set(err, -EINVAL, "mode %u is neither IPK_READ nor IPK_WRITE",
				     mode);
	*ret_flags = mode & IPK_WRITE ? O_RDWR : O_RDONLY;
	return 0;
}

int ipk_segment_open(const char *name, unsigned mode, struct ipk_segment **ret_seg,
		     struct ipk_error *err)
{
	char path[PATH_MAX];
	struct stat st;
	int fd, flags = 0, r = mode_flags(mode, err, &flags);

	if (r < 0)
		return r;
	r = ipk_file_open(name, flags, &fd, path, &st, err);
	if (r < 0)
		return r;
	r = ipk_attach(fd, NULL, mode, name, path, ret_seg, err);
	if (r < 0)
		close(fd);
	return r;
}

int ipk_segment_open_fd(int fd, unsigned mode, struct ipk_segment **ret_seg, struct ipk_error *err)
{
	char path[32];
	int own, flags = 0, r = mode_flags(mode, err, &flags);

	if (r < 0)
		return r;
	r = ipk_file_reopen(fd, flags, &own, err);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", own);
	r = ipk_attach(own, NULL, mode, path, path, ret_seg, err);
	if (r < 0)
		close(own);
	return r;
}

int ipk_segment_lost(struct ipk_segment *seg)
{
	struct stat st;

	if (!ipk_guard_lost(seg->base))
		return 0;
	return seg->flags & IPK_SEG_SPARSE && fstat(seg->fd, &st) == 0 &&
			       (u64)st.st_size >= ipk_ld(&seg->size, relaxed)
		       ? -ENOSPC
		       : -EBADMSG;
}

int ipk_unless_lost(struct ipk_segment *seg, int r, struct ipk_error *err)
{
	int lost = seg ? ipk_segment_lost(seg) : 0;

	/*
	 * Who was told that something is wrong already knows enough of a file that was cut short.
	 */
	if (lost == 0 || (r < 0 && lost != -ENOSPC))
		return r;
	return ipk_error_set(
		err, lost, "segment %.120s: %s", seg->name,
		lost == -ENOSPC
			? "the file system is full, and this memory is not reserved (--sparse)"
			: "its file was made shorter");
}

void ipk_segment_close(struct ipk_segment *seg)
{
	if (!seg)
		return;
	if (seg->writable)
		ipk_leave_all(seg);
	ipk_guard_drop(seg->base);
	munmap(seg->base, seg->max);
	close(seg->fd);
	drop(seg);
}
