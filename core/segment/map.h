/* SPDX-License-Identifier: MIT */
/*
 * Names, files and geometry. Everything that is read of a file before it is mapped, or instead of
 * mapping it (view.c), passes through here.
 */
#ifndef IPK_MAP_H
#define IPK_MAP_H

#include <limits.h>
#include <sys/stat.h>

#include "segment/segment.h"

#define IPK_SUFFIX ".ipk"
#define IPK_SIZE_MIN UINT64_C(65536)
#define IPK_SIZE_DEFAULT (UINT64_C(1) << 20)
#define IPK_MAX_DEFAULT (UINT64_C(1) << 30)
#define IPK_MAX_LIMIT (UINT64_C(1) << 43) /* page numbers are 32 bits; address spaces have 47 */
#define IPK_FIRST_FREE 8u /* page behind header, participants, directory and registry */

/* This boot's id; zeros where the kernel does not tell. */
void ipk_boot_id(u64 ret_id[2]);

/* True for a path ("/", "./", "../" in front); else it is a name. */
bool ipk_is_path(const char *name);
bool ipk_is_proc_fd(const char *path);
/* $IPK_DIR or its default. */
const char *ipk_dir_path(void);

/*
 * Opens the file of a segment as it is, following no link but the one to huge pages that we make.
 * flags: O_RDONLY or O_RDWR. path: PATH_MAX bytes. st: filled. A regular file is all that is
 * promised.
 */
int ipk_file_open(const char *name, int flags, int *ret_fd, char *path, struct stat *st,
		  struct ipk_error *err);
/* A description of our own for the file behind fd: OFD locks and offsets are not shared. */
int ipk_file_reopen(int fd, int flags, int *ret_fd, struct ipk_error *err);

/* What the header says, copied and checked against the file's length. */
struct ipk_geometry {
	u64 size, max;
	u64 id[2];
	u32 flags;
};
/*
 * Reads and checks the header through fd. -EPROTO: no segment, or one that this library cannot read
 * (err: what to do); -EBADMSG: damaged. name is for err.
 */
int ipk_header_read(int fd, const char *name, struct ipk_geometry *ret_geo, struct ipk_error *err);
/* Is it one of ours, of whatever version? 0, -EPROTO, -errno. */
int ipk_magic_check(int fd, const char *name, struct ipk_error *err);

/* Writes the first contents of a segment into zeroed memory, all but the magic. */
void ipk_format_segment(u8 *base, u64 size, u64 max, u32 flags, u32 huge_shift);

/* Makes a handle of fd (and base, if it is mapped already), which it takes over on success. */
int ipk_attach(int fd, u8 *base, unsigned mode, const char *name, const char *path,
	       struct ipk_segment **ret_seg, struct ipk_error *err);

/* numa.c: policy for memory that is mapped and not yet touched. */
int ipk_numa_apply(void *base, u64 len, const char *policy, struct ipk_error *err);

#endif
