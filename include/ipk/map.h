/* SPDX-License-Identifier: MIT */
/*
 * Map: values by key, both of any length, in a hash table that grows and shrinks by itself.
 *
 *	  table                          blocks of the segment
 *	+------+------+------+------+
 *	|      |   *  |      |   *  |    one word for each entry: part of its hash, and where it is
 *	+------+---|--+------+---|--+
 *	           v             v
 *	       +--------------+ +--------------------------+
 *	       | version hash | | version hash lengths     |
 *	       | key value    | | key value                |
 *	       +--------------+ +--------------------------+
 *
 * Keys and values are bytes of the map's two types: of fixed types exactly so many, of str, bytes
 * and json any number, keys up to IPK_MAP_KEY_MAX and values up to IPK_MAP_VALUE_MAX bytes,
 * including none. Two keys are equal when their bytes are.
 *
 * WHICH MAY RUN BESIDE WHICH
 *	             get, has, count, foreach     put, cas, add, del
 *	get ...      yes                          yes, never waits
 *	put ...      yes                          one after the other, until the deadline
 * A reader never waits for a writer, be it alive, stopped or dead, nor for a new table. It looks
 * again when the very entry changed while it copied it; after some dozens of that it takes
 * the writers' lock, or, attached with IPK_READ alone, gives up with -EAGAIN. All functions may
 * be called by any thread.
 *
 * LEFT BEHIND BY A DEATH. The old value or the new one, an entry or none: never half of one, and
 * no memory that belongs to nobody. The next writer takes the lock over. A stopped writer that
 * has the lock holds up other writers until their deadlines, and no reader.
 *
 * Deadlines (see segment.h) are for the turn among writers, and for the segment's lock.
 *
 * The algorithm (one lock for writers, versioned immutable entries for readers, tables published
 * by one word) is drawn and argued in core/kinds/map.h and modelled in tests/models/map.pml.
 * Validation by version follows H. Boehm, "Can seqlocks get along with programming language
 * memory models?", MSPC 2012; the hash is XXH3 of Y. Collet.
 */
#ifndef IPK_MAP_H
#define IPK_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipk/error.h"
#include "ipk/segment.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct ipk_map;

#define IPK_MAP_KEY_MAX (UINT32_C(1) << 20)
#define IPK_MAP_VALUE_MAX (UINT32_C(1) << 30)

/*
 * Creates an empty map of values of a type by keys of a type (NULL: "str"). cap: how many entries
 * are expected (0: 1024); the table is made for so many and never gets smaller. Where strangers
 * choose the keys and might choose colliding ones, give the hash a random "seed" by
 * ipk_object_new(). -EEXIST; -EINVAL bad name or schema; -EMSGSIZE a key type above
 * IPK_MAP_KEY_MAX; -ENOSPC the table does not fit.
 */
int ipk_map_create(struct ipk_segment *seg, const char *name, const char *type, const char *key,
		   uint64_t cap, struct ipk_error *err);

/*
 * Opens for all threads of this process. type, key: claims to be checked, or NULL. -ENOENT;
 * -EMEDIUMTYPE another kind or type; -EPROTO -EBADMSG.
 */
int ipk_map_open(struct ipk_segment *seg, const char *name, const char *type, const char *key,
		 struct ipk_map **ret_map, struct ipk_error *err);
void ipk_map_close(struct ipk_map *map);

/* Entries at this moment. */
uint64_t ipk_map_count(const struct ipk_map *map);

/*
 * Copies the value of key to buf, which has size bytes. *ret_len (may be NULL) is the value's
 * length, also with -EMSGSIZE: the value does not fit and nothing was copied that counts. -ENOENT
 * no such key; -EINVAL a key of the wrong length; -EBADMSG damaged; -EAGAIN (IPK_READ only) it
 * changes all the time; -ESTALE removed (IPK_READ only).
 */
int ipk_map_get(struct ipk_map *map, const void *key, size_t klen, void *buf, size_t size,
		size_t *ret_len);

/* 1 when the key is there, 0 when not; errors as get. */
int ipk_map_has(struct ipk_map *map, const void *key, size_t klen);

/*
 * Stores a value, new or in place of another; put_if_absent only where there is none: -EEXIST.
 * -EINVAL key or value of the wrong length for its type; -EMSGSIZE longer than the maximum;
 * -ENOSPC; -EACCES attached with IPK_READ; -ESTALE removed; -EAGAIN -ETIMEDOUT -EINTR -ECANCELED.
 * On failure nothing has changed.
 */
int ipk_map_put(struct ipk_map *map, const void *key, size_t klen, const void *value, size_t vlen,
		int64_t deadline);
int ipk_map_put_if_absent(struct ipk_map *map, const void *key, size_t klen, const void *value,
			  size_t vlen, int64_t deadline);

/*
 * Stores desired if the value of key has the bytes of expected: -EEXIST where it has others,
 * -ENOENT without one. Other errors as put.
 */
int ipk_map_cas(struct ipk_map *map, const void *key, size_t klen, const void *expected,
		size_t elen, const void *desired, size_t dlen, int64_t deadline);

/*
 * Adds *delta to a value of a number type, both of the value's type; a key that is not there
 * counts as 0 and is there afterwards. Integers wrap around. ret_new, if not NULL, receives the
 * sum. -EMEDIUMTYPE not a number; other errors as put.
 */
int ipk_map_add(struct ipk_map *map, const void *key, size_t klen, const void *delta, void *ret_new,
		int64_t deadline);

/* Deletes. -ENOENT; other errors as put, without -ENOSPC. */
int ipk_map_del(struct ipk_map *map, const void *key, size_t klen, int64_t deadline);

struct ipk_map_item {
	const void *key, *value; /* valid until fn returns, aligned to 8 bytes */
	size_t klen, vlen;
};

/*
 * Calls fn for each entry, by ascending hash of the key, until it returns non-zero, which is
 * returned. Whatever changes meanwhile: a key that is there all the time is given once, none is
 * given twice, each with a value that it had during the call. fn may change the map. -EBADMSG
 * -ENOMEM -EAGAIN -ESTALE as get.
 */
int ipk_map_foreach(struct ipk_map *map, int (*fn)(void *arg, const struct ipk_map_item *item),
		    void *arg);

/*
 * Waits until the map's number of changes is not *changes, and stores the number there: begin with
 * 0, look what is in the map, wait again. To put the bytes that are there is no change. -EAGAIN
 * -ETIMEDOUT -EINTR -ECANCELED; -ESTALE removed; -EACCES attached with IPK_READ (such a reader
 * cannot announce itself: look again by ipk_map_changes()).
 */
int ipk_map_wait(struct ipk_map *map, uint64_t *changes, int64_t deadline);
uint64_t ipk_map_changes(const struct ipk_map *map);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
