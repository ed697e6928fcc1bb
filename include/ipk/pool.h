/* SPDX-License-Identifier: MIT */
/*
 * Pool: a fixed number of objects of one size, each of which says who has it.
 *
 *	owner    0        1        2        3     cap-1
 *	      +--------+--------+--------+--------+
 *	      |  4711  |  free  | nobody |  free  |
 *	      +--------+--------+--------+--------+
 *	object 0        1        2        3          side by side, as an array of the element type
 *
 * An object is acquired, written and read in place through its pointer, and released, by index or
 * by pointer. Its contents are what the last owner left, and zeros at first. To pass one to another
 * process: give it to nobody, send its index, and claim it there.
 *
 * WHICH MAY RUN BESIDE WHICH. Everything, from any thread of any process. What is inside an object
 * is its owner's affair: who looks from outside may see a value half written.
 *
 * LEFT BEHIND BY A DEATH. An object is acquired and its owner recorded by one compare-exchange, and
 * given back by another: a thread killed anywhere has it or has it not. What the dead had is free
 * again, at once where somebody waits, else when somebody finds no other. What nobody owns stays
 * taken. The stopped keep what they have. A thread that merely ends leaves its objects to its
 * process.
 */
#ifndef IPK_POOL_H
#define IPK_POOL_H

#include <stdint.h>

#include "ipk/error.h"
#include "ipk/segment.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct ipk_pool;

/*
 * Creates a pool of cap objects (1 to 2^24; 0: 1024) of an element type of fixed size (NULL:
 * "str:64"). -EEXIST -EINVAL -EMEDIUMTYPE -ENOSPC.
 */
int ipk_pool_create(struct ipk_segment *seg, const char *name, const char *type, uint64_t cap,
		    struct ipk_error *err);

/* Opens for all threads of this process; type is what the caller takes the elements for, NULL:
 * whatever they are. -ENOENT -EMEDIUMTYPE -EPROTO -EBADMSG -ENOMEM. */
int ipk_pool_open(struct ipk_segment *seg, const char *name, const char *type,
		  struct ipk_pool **ret_pool, struct ipk_error *err);
/* Releases what threads of this process acquired through this handle, and ends it. */
void ipk_pool_close(struct ipk_pool *pool);

/*
 * Acquires any object for the calling thread. 0; -EAGAIN none is free (IPK_NOWAIT); -ETIMEDOUT
 * -EINTR -ECANCELED; -ESTALE removed while waiting; -EACCES attached with IPK_READ.
 */
int ipk_pool_acquire(struct ipk_pool *pool, int64_t deadline, uint64_t *ret_index);
/* The same for nobody, and always the first that is free. */
int ipk_pool_take(struct ipk_pool *pool, int64_t deadline, uint64_t *ret_index);
/* The same for a descriptor, as flock(1) does: *ret_fd is inherited by children, and the object
 * comes back when its last copy is closed. */
int ipk_pool_hold(struct ipk_pool *pool, int64_t deadline, uint64_t *ret_index, int *ret_fd);

/*
 * Releases an object that a thread of this process has, or nobody. -ENOENT it is free: released
 * twice; -EBUSY another process has it; -ERANGE.
 */
int ipk_pool_release(struct ipk_pool *pool, uint64_t index);

/* From this process to nobody; from nobody to the calling thread. Errors as release; -EPERM it is
 * not his from whom it should go. */
int ipk_pool_give(struct ipk_pool *pool, uint64_t index);
int ipk_pool_claim(struct ipk_pool *pool, uint64_t index);

/* Where the object lies, for as long as the pool is open; NULL: no such index. */
void *ipk_pool_view(struct ipk_pool *pool, uint64_t index);
/* The object that begins at p. -EINVAL: none does. */
int ipk_pool_index(struct ipk_pool *pool, const void *p, uint64_t *ret_index);
/* acquire and release by pointer. */
int ipk_pool_acquire_view(struct ipk_pool *pool, int64_t deadline, void **ret_object);
int ipk_pool_release_view(struct ipk_pool *pool, void *object);

/* Objects that are free, at some moment during the call; objects; bytes of each. */
uint64_t ipk_pool_free(struct ipk_pool *pool);
uint64_t ipk_pool_cap(const struct ipk_pool *pool);
uint32_t ipk_pool_size(const struct ipk_pool *pool);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
