/* SPDX-License-Identifier: MIT */
/*
 * The directory: a hash table of object names in pages of its own, linear probing. header.dir names
 * table and size in one word, so that who looks up sees one table or the other. Entries never move
 * within a table; a larger or cleaner one is built aside and switched to by a transaction.
 *
 * Look-ups run beside everything and wait for nobody. Changes: lock held, through a transaction.
 */
#ifndef IPK_DIR_H
#define IPK_DIR_H

#include "segment/segment.h"

#define IPK_DIR_LOG2_MIN 9u
#define IPK_DIR_LOG2_MAX 30u

static inline u64 ipk_dir_word(u64 page, u32 log2, u64 generation)
{
	return page | (u64)log2 << 40 | generation << 48;
}
static inline u64 ipk_dir_page(u64 word)
{
	return word & ((UINT64_C(1) << 40) - 1);
}
static inline u32 ipk_dir_log2(u64 word)
{
	return word >> 40 & 0xff;
}
static inline u64 ipk_dir_entry(u64 hash, u64 off)
{
	return hash >> 40 << 40 | off >> 6;
}
static inline u64 ipk_dir_off(u64 entry)
{
	return (entry & ((UINT64_C(1) << 40) - 1)) << 6;
}

u64 ipk_name_hash(const char *name, size_t len);

/* A name, padded as an object's header holds it. */
struct ipk_dir_name {
	u64 word[8];
	u64 hash;
};
void ipk_dir_name(struct ipk_dir_name *n, const char *name);

/*
 * 0 and the header's offset and where its entry stands; -ENOENT, -EBADMSG. Without the lock -ENOENT
 * may come from a change that is being carried out: *ret_flux, if not NULL, says so.
 */
int ipk_dir_find(struct ipk_segment *seg, const struct ipk_dir_name *n, u64 *ret_off,
		 u64 **ret_slot, bool *ret_flux);

/* In transactions, after the searches: each at most once. add returns -EXFULL when the table has to
 * be rebuilt first. */
int ipk_dir_add(struct ipk_tx *tx, u64 hash, u64 off);
void ipk_dir_drop(struct ipk_tx *tx, u64 *slot);

/* Replaces the table by one of the right size without tombstones. */
int ipk_dir_rebuild(struct ipk_self *me, struct ipk_error *err);
/* True when a much smaller table would do. */
bool ipk_dir_sparse(struct ipk_segment *seg);

#endif
