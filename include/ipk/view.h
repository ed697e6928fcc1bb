/* SPDX-License-Identifier: MIT */
/*
 * Views: reading a segment without trusting it and without disturbing it.
 *
 * A view never maps what others can truncate: it reads by pread(2) from a file, a snapshot, a
 * copied segment or a memfd, so no state of the segment, corrupt, hostile or being changed, can
 * crash or hang the reader; it writes nothing and takes no lock. Read permission suffices. Every
 * read is fresh: load a word, copy what it names, load it again, and what was copied was whole.
 *
 * Lengths and offsets that come from the segment are checked at each read. Loops are bounded by
 * checked capacities. Functions return -EBADMSG for what cannot be right.
 *
 * Threads: one view for one thread at a time.
 */
#ifndef IPK_VIEW_H
#define IPK_VIEW_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ipk/error.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct ipk_view;

/* Opens by name or path as ipk_segment_open() does. -ENOENT -EACCES -EPROTO -EBADMSG. */
int ipk_view_open(const char *name, struct ipk_view **ret_view, struct ipk_error *err);
int ipk_view_open_fd(int fd, struct ipk_view **ret_view, struct ipk_error *err); /* dups fd */
void ipk_view_close(struct ipk_view *view);
int ipk_view_fd(const struct ipk_view *view);
uint64_t ipk_view_size(const struct ipk_view *view); /* bytes that can be read now */
const char *ipk_view_name(const struct ipk_view *view);

/*
 * Fresh copies of bytes and aligned words. -EBADMSG out of bounds or misaligned, -EIO. Aligned
 * words inside come whole, each for itself, from up to a page, and from more where off and dst
 * agree modulo 64.
 */
int ipk_view_read(struct ipk_view *view, uint64_t off, void *dst, uint64_t len);
int ipk_view_u64(struct ipk_view *view, uint64_t off, uint64_t *ret_val);
int ipk_view_u32(struct ipk_view *view, uint64_t off, uint32_t *ret_val);

struct ipk_segment_info {
	char name[64];
	char id[33]; /* hex */
	uint64_t size, max, used, free, objects, zombies;
	uint32_t attached; /* living participants */
	uint32_t dead; /* dead ones not yet swept */
	uint32_t version, layout, flags;
	uint32_t mode, uid, gid; /* of the file */
	uint64_t dev, ino;
	uint64_t created; /* CLOCK_REALTIME ns */
	bool removed;
	bool same_boot;
};
int ipk_view_info(struct ipk_view *view, struct ipk_segment_info *ret_info);

struct ipk_participant_info {
	uint32_t slot;
	uint32_t pid, tid;
	uint64_t start; /* clock ticks since boot */
	uint64_t since; /* CLOCK_REALTIME ns */
	uint64_t pidns;
	char comm[17];
	const char *role; /* user, holder, registrar; in lists also producer, waiter ... */
	const char *state; /* joining live held leaving dead */
	bool alive;
	uint32_t nwait;
	uint64_t waits[128]; /* offsets of the words it sleeps on */
};
/* Calls fn for each participant in use until it returns non-zero, which is returned. */
int ipk_view_participants(struct ipk_view *view,
			  int (*fn)(void *arg, const struct ipk_participant_info *p), void *arg);
/* One slot; -ENOENT when it is free. */
int ipk_view_participant(struct ipk_view *view, uint32_t slot, struct ipk_participant_info *ret_p);

/*
 * Calls fn for each object that each participant uses (has opened), with the offset of its header,
 * in one pass over the participants; object 0: it uses more than can be listed.
 */
int ipk_view_uses(struct ipk_view *view,
		  int (*fn)(void *arg, const struct ipk_participant_info *p, uint64_t object), void *arg);

/* An object as found: its header, copied and checked. */
struct ipk_object_view {
	struct ipk_view *view;
	char name[64];
	uint16_t kind; /* id; may be unknown to us */
	uint16_t version;
	uint64_t off, size, body; /* body: absolute offset; body_size bytes follow */
	uint64_t body_size;
	uint64_t id;
	uint64_t created;
	uint32_t creator;
	uint64_t opts[7];
	char *type; /* schema texts, NUL-terminated, private */
	char *key_type; /* or NULL */
};
/* Finds by name in constant time. -ENOENT, -EBADMSG. Release with ipk_object_view_free(). */
int ipk_view_object(struct ipk_view *view, const char *name, struct ipk_object_view *ret_object,
		    struct ipk_error *err);
void ipk_object_view_free(struct ipk_object_view *object);
/* Calls fn for each live object, unsorted. fn's copy is freed after it returns. */
int ipk_view_objects(struct ipk_view *view,
		     int (*fn)(void *arg, const struct ipk_object_view *object), void *arg);
/* True while the object at that place is still the same one and not removed. */
bool ipk_object_view_current(const struct ipk_object_view *object);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
