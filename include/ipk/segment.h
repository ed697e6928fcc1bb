/* SPDX-License-Identifier: MIT */
/*
 * Segments: named pieces of shared memory that outlive their processes and hold objects.
 *
 * A segment is one file: NAME.ipk in $IPK_DIR (default /dev/shm), or any path that begins with
 * "/", "./" or "../". Nothing else is created anywhere, but by ipk_repair().
 *
 * Threads: every function may be called from any thread; a handle may be shared by the threads of a
 * process. Each thread that uses a segment for writing registers itself as a participant at its
 * first operation (about 20 us) and leaves at its end; what it still holds then (leases, permits,
 * handles) stays with the process.
 *
 * Fork: the child's first call renews the handles; it owns nothing that its parent held. Between
 * fork and exec, or with posix_spawn, nothing is inherited (all descriptors are close-on-exec).
 *
 * Death: a process may be killed at any instruction. Survivors finish or undo what it was doing,
 * wake all who waited for it, and free what it held, within about a millisecond; see
 * ipk-crash-safety(7). A stopped process (SIGSTOP, debugger) is not dead: who needs what it holds
 * waits for it.
 */
#ifndef IPK_SEGMENT_H
#define IPK_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ipk/error.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct ipk_segment;

/* Deadlines: absolute CLOCK_MONOTONIC nanoseconds, or one of these. */
#define IPK_NOWAIT INT64_C(0)
#define IPK_FOREVER INT64_MAX

/* The absolute deadline that lies ns nanoseconds from now (saturating). */
int64_t ipk_deadline(int64_t ns);

struct ipk_segment_options {
	uint64_t size; /* bytes at creation; 0: 1 MiB; 64 KiB to 8 TiB, rounded up to pages */
	uint64_t max; /* bytes it may grow to; 0: 1 GiB or half of what is free, at least size */
	uint32_t mode; /* exact file mode, whatever the umask; 0: 0600 */
	int64_t group; /* gid, or -1 */
	uint64_t huge; /* 0, 2 MiB or 1 GiB: on hugetlbfs, without growth */
	const char *numa; /* NULL, "local", "bind:N", "interleave:LIST" */
	bool sparse; /* do not reserve the memory */
	bool prefault; /* touch all pages now */
	bool lock; /* mlock what is mapped and will be */
};
#define IPK_SEGMENT_OPTIONS_INIT { 0, 0, 0, -1, 0, NULL, false, false, false } /* C++ as well */

/* Attach modes. */
#define IPK_READ 1u /* with read permission alone; the segment is never written */
#define IPK_WRITE 2u /* read and write */

/*
 * Creates a segment, complete before its name appears; never touches what exists.
 * -EEXIST name taken; -EINVAL bad name or size; -ENOSPC file system full; -EACCES.
 * ret_seg may be NULL: then it is created and not attached.
 */
int ipk_segment_create(const char *name, const struct ipk_segment_options *options,
		       struct ipk_segment **ret_seg, struct ipk_error *err);

/*
 * Attaches. -ENOENT; -EACCES; -EPROTO not a segment, or of another format version (err says what to
 * do); -EBADMSG damaged. Follows no symbolic link in the last component.
 */
int ipk_segment_open(const char *name, unsigned mode, struct ipk_segment **ret_seg,
		     struct ipk_error *err);

/* As open, for a descriptor (a memfd, /proc/PID/fd/N); fd stays the caller's. */
int ipk_segment_open_fd(int fd, unsigned mode, struct ipk_segment **ret_seg, struct ipk_error *err);

/* An anonymous segment in a sealed memfd (no shrinking); *ret_fd is the caller's, close-on-exec. */
int ipk_segment_memfd(const char *label, const struct ipk_segment_options *options, int *ret_fd,
		      struct ipk_error *err);

/* Detaches: gives back what this process held in it. Object handles must be closed before. */
void ipk_segment_close(struct ipk_segment *seg);

/*
 * Removes the name, if it still is the segment that was looked at; the memory goes with the last
 * user. Who waits in it is woken with -ESTALE. -ENOENT, -EPERM, -EPROTO (not a segment of ours).
 */
int ipk_segment_remove(const char *name, struct ipk_error *err);

/* Grows to at least size bytes now. -ENOSPC beyond its maximum, or the file system is full. */
int ipk_segment_grow(struct ipk_segment *seg, uint64_t size, struct ipk_error *err);

/* Calls fn with the name of each segment in $IPK_DIR, unsorted, until fn returns non-zero. */
int ipk_segment_list(int (*fn)(void *arg, const char *name), void *arg, struct ipk_error *err);

/* Resolves a segment's name to its path. -ENAMETOOLONG, -EINVAL. */
int ipk_segment_path(const char *name, char *buf, size_t size, struct ipk_error *err);

/* True for a legal segment or object name: [A-Za-z0-9_][A-Za-z0-9._-]{0,62}, not reserved. */
bool ipk_segment_name_ok(const char *name);
bool ipk_object_name_ok(const char *name);

/* Removes an object; -ENOENT. Its memory is freed when nobody uses it any more. */
int ipk_object_remove(struct ipk_segment *seg, const char *name, struct ipk_error *err);

/* Renames an object: atomic for whoever looks it up. -ENOENT, -EEXIST. */
int ipk_object_rename(struct ipk_segment *seg, const char *from, const char *to,
		      struct ipk_error *err);

/*
 * While word is set for the calling thread, a wait that finds *word != 0 ends with -ECANCELED; the
 * canceller stores 1 and calls FUTEX_WAKE (private) on it. NULL switches it off.
 */
void ipk_thread_cancel_word(uint32_t *word);

/*
 * Finds the dead among the participants and makes good what they left. Returns how many. Whom it
 * cannot finish with, since a stopped process has a lock, it leaves to the next sweep.
 */
int ipk_segment_sweep(struct ipk_segment *seg);

/*
 * Somebody with write permission can shorten the file of a segment (not of a sealed memfd); who
 * then touches what is missing gets SIGBUS. After this call a handler puts empty private memory in
 * the place of the segment: this process sees it as damaged and removed (-EBADMSG, -ESTALE, or an
 * empty object), and what it still stores reaches nobody, until it closes the segment. For programs
 * that attach what they do not trust and have more to do. What is no segment's goes to the handler
 * that was there before. -errno.
 */
int ipk_segment_guard(void);

/*
 * Whether that has happened to a segment: 0; -EBADMSG: its file was made shorter; -ENOSPC: a sparse
 * segment's file system had no memory for what was stored. What was called last may have been told
 * of success, and has done nothing.
 */
int ipk_segment_lost(struct ipk_segment *seg);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
