/* SPDX-License-Identifier: MIT */
/* One change of a map, from taking its lock to giving it back. */
#ifndef IPK_KINDS_MAP_WRITE_H
#define IPK_KINDS_MAP_WRITE_H

#include "kinds/map.h"

struct ipk_map_write {
	struct ipk_segment *seg;
	struct ipk_map_body *b;
	struct ipk_self *me;
	i64 deadline;
	struct ipk_error *err;
	const void *key, *value;
	u32 klen, vlen;
	u64 hash, ver;
	/* where the key is, or could be */
	u64 table; /* offset of slots */
	u64 *slots;
	u32 log2;
	u64 at;                  /* index; UINT64_MAX: not there, and no slot is free */
	u64 slot;                /* what is there */
	struct ipk_map_entry *e; /* or NULL */
	/* under construction; named in building[] */
	u64 new_table; /* offset, or 0. With it at is an index there */
	u64 *new_slots;
	u32 new_log2;
	u64 new_entry;
	bool in_place, changed;
};

/*
 * Takes the lock and finds the key. On success the caller looks at w->e and ends with
 * ipk_map_end(), which passes r on. Errors as ipk_map_put().
 */
int ipk_map_begin(struct ipk_map_write *w, struct ipk_map *map, const void *key, size_t klen,
		  i64 deadline);
int ipk_map_end(struct ipk_map_write *w, int r);

/* Makes good what a dead owner left, its transaction first. Lock held. */
int ipk_map_mend(struct ipk_self *me, struct ipk_map_body *b, i64 deadline);

int ipk_map_find(struct ipk_map_write *w);
/* The entry that a slot names, all of it inside the segment, or NULL. */
struct ipk_map_entry *ipk_map_entry_at(struct ipk_segment *seg, u64 slot);
const void *ipk_map_value(const struct ipk_map_write *w, u32 *ret_len);

int ipk_map_store(struct ipk_map_write *w, const void *value, size_t vlen);
int ipk_map_drop(struct ipk_map_write *w);

/* Allocates a block that building[which] names until it is part of the map. */
int ipk_map_build(struct ipk_map_write *w, int which, u64 size, u64 *ret_off);

/* ---- map_table.c ---------------------------------------------------------------------------- */

/* Makes all slots of a table EMPTY. */
void ipk_map_clear(struct ipk_segment *seg, u64 off, u32 log2);
/* Before a new key: makes a table with room for it where there is none; w->at becomes its place. */
int ipk_map_make_room(struct ipk_map_write *w);
/* Before w->e is deleted: makes a smaller table without it where most of this one is empty. */
int ipk_map_give_room(struct ipk_map_write *w);

#endif
