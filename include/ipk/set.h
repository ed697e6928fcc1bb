/* SPDX-License-Identifier: MIT */
/*
 * Set: values, each of them once, in a hash table that grows and shrinks by itself.
 *
 * It is a map (ipk/map.h) whose keys are the values of the set and whose values are empty: the same
 * table, the same algorithm, the same promises.
 *
 *	  table                          blocks of the segment
 *	+------+------+------+------+
 *	|      |   *  |      |   *  |    one word for each value: part of its hash, and where it is
 *	+------+---|--+------+---|--+
 *	           v             v
 *	       +--------------+ +--------------------+
 *	       | version hash | | version hash       |
 *	       | value        | | length value       |
 *	       +--------------+ +--------------------+
 *
 * Values are bytes of the set's type: of a fixed type exactly so many, of str, bytes and json any
 * number up to IPK_SET_VALUE_MAX, including none. Two values are equal when their bytes are.
 *
 * WHICH MAY RUN BESIDE WHICH
 *	                    has, count, foreach     add, remove
 *	has, count ...      yes                     yes, never waits
 *	add, remove         yes                     one after the other, until the deadline
 * A reader never waits for a writer, be it alive, stopped or dead, nor for a new table. All
 * functions may be called by any thread.
 *
 * LEFT BEHIND BY A DEATH. The value is in the set or it is not; no memory belongs to nobody. The
 * next writer takes the lock over. A stopped writer that has the lock holds up other writers until
 * their deadlines, and no reader.
 *
 * Deadlines (see segment.h) are for the turn among writers, and for the segment's lock.
 *
 * SOURCES: those of the map. The algorithm is in core/kinds/map.h.
 */
#ifndef IPK_SET_H
#define IPK_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipk/error.h"
#include "ipk/segment.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct ipk_set;

#define IPK_SET_VALUE_MAX (UINT32_C(1) << 20) /* bytes */

/*
 * Creates an empty set of values of a type (NULL: "str"). cap: how many are expected (0: 1024); the
 * table is made for so many and never gets smaller. Where strangers choose the values and might
 * choose colliding ones, give the hash a random "seed" by ipk_object_new(). -EEXIST; -EINVAL bad
 * name or schema; -EMSGSIZE a type above IPK_SET_VALUE_MAX; -ENOSPC the table does not fit.
 */
int ipk_set_create(struct ipk_segment *seg, const char *name, const char *type, uint64_t cap,
		   struct ipk_error *err);

/*
 * Opens for all threads of this process. type: a claim to be checked, or NULL. -ENOENT;
 * -EMEDIUMTYPE another kind or type; -EPROTO -EBADMSG.
 */
int ipk_set_open(struct ipk_segment *seg, const char *name, const char *type,
		 struct ipk_set **ret_set, struct ipk_error *err);
void ipk_set_close(struct ipk_set *set);

/* Values at this moment. */
uint64_t ipk_set_count(const struct ipk_set *set);

/*
 * 1 when the value is there, 0 when not. -EINVAL of the wrong length for the type; -EBADMSG
 * damaged; -EAGAIN (IPK_READ only) it changes all the time; -ESTALE removed (IPK_READ only).
 */
int ipk_set_has(struct ipk_set *set, const void *value, size_t len);

/*
 * Afterwards the value is there: 1 when it was added, 0 when it had been there. -EINVAL of the
 * wrong length for the type; -EMSGSIZE longer than the maximum; -ENOSPC; -EACCES attached with
 * IPK_READ; -ESTALE removed; -EAGAIN -ETIMEDOUT -EINTR -ECANCELED. On failure nothing has changed.
 */
int ipk_set_add(struct ipk_set *set, const void *value, size_t len, int64_t deadline);

/* Afterwards it is not there: 1 when it was removed, 0 when it was not there. Errors as add,
 * without -ENOSPC. */
int ipk_set_remove(struct ipk_set *set, const void *value, size_t len, int64_t deadline);

/*
 * Calls fn for each value, by ascending hash, until it returns non-zero, which is returned.
 * Whatever changes meanwhile: a value that is there all the time is given once, none is given
 * twice, each was there during the call. value is valid until fn returns, and aligned to 8 bytes.
 * fn may change the set. -EBADMSG -ENOMEM -EAGAIN -ESTALE as has.
 */
int ipk_set_foreach(struct ipk_set *set, int (*fn)(void *arg, const void *value, size_t len),
		    void *arg);

/*
 * Waits until the set's number of changes is not *changes, and stores the number there: begin with
 * 0, look what is in the set, wait again. -EAGAIN -ETIMEDOUT -EINTR -ECANCELED; -ESTALE removed;
 * -EACCES attached with IPK_READ (such a reader looks again by ipk_set_changes()).
 */
int ipk_set_wait(struct ipk_set *set, uint64_t *changes, int64_t deadline);
uint64_t ipk_set_changes(const struct ipk_set *set);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
