/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a map, and why a get is never torn and never waits.
 *
 *	body  0    table tables | seed salt key_size value_size min_log2     what a get needs
 *	      64   lock count tombs version building[2] suspect changes      writers
 *	      128  puts deletes event
 *
 *	table      2^log2 slots: 0 EMPTY, 1 TOMB, else an entry:
 *	           {low 24 bits of its hash:24, offset/64 of its block:40}
 *	           linear probing from the highest log2 bits of the hash: tables of any size have
 *	           the entries in the order of their hashes, but for the order within a cluster
 *	entry      ver hash {vlen:32, klen:32} | key, NULs to a multiple of 8 | value, likewise
 *
 * WRITERS hold the map's robust lock and change all that leads from one block to another by one
 * transaction: slot, count, tombs, the block that goes and the block that comes. A larger or
 * smaller table, and a large entry, are filled before, outside the segment's lock; building[]
 * names them meanwhile, and the next owner of the map's lock frees what a dead one left there.
 * The one change that needs no transaction is a value of up to 8 bytes that gets another of the
 * same length: one store in the entry.
 *
 * WHOEVER TAKES THE LOCK FROM THE DEAD runs a transaction before it looks at the map: the dead
 * one may have committed and not stored, and its journal would undo what was done on top of the
 * older state. Until that has succeeded, suspect says so to the next owner.
 * (tests/models/map.pml, NOREPLAY)
 *
 * READERS hold nothing. A get loads tables and table, probes, and at a slot with its fingerprint:
 *
 *	slot (acquire); ver (acquire); hash, lengths, key, value
 *	fence; slot, then table and tables, then ver: all as before? then the copy is whole
 *
 * ver is salt + a counter that is raised before each put, also before one that fails, and never
 * stored twice in different entries; salt is random, so that what else may lie in that memory
 * does not look like it. So ver unchanged and slot naming the block at the end means that the
 * block was this entry from the first load of ver on. An entry never moves within a table, and a
 * slot becomes EMPTY again only in front of an EMPTY one, so a key that is there throughout is
 * found; a miss counts if table and tables are what they were. (Freed memory may hold anything:
 * every offset and length is checked.) The order of the last loads matters: slot before table,
 * for its memory must still have been the table's; slot before ver, for the entry may be the next
 * one in the same block.
 *
 * ENTRIES WITHOUT VALUES. An object without a key type (a set) has one type, that of its keys, and
 * all its values are empty.
 *
 * A WALK goes through the table by ascending hash and remembers the hash up to which all entries
 * have been given: the position in every table to come. So a new table costs one cluster, not the
 * walk.
 */
#ifndef IPK_KINDS_MAP_H
#define IPK_KINDS_MAP_H

#include "base/copy.h"
#include "ipk/kind.h"
#include "ipk/map.h"
#include "segment/segment.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define IPK_MAP_LOG2_MIN 3u
#define IPK_MAP_LOG2_MAX 34u
#define IPK_MAP_CAP_MAX (UINT64_C(3) << (IPK_MAP_LOG2_MAX - 2))

#define IPK_MAP_EMPTY UINT64_C(0)
#define IPK_MAP_TOMB UINT64_C(1)

/* How often a reader looks again at what changes under it before it says so. */
#define IPK_MAP_TRIES 1000u

struct ipk_map_body {
	/* 0: by transactions, with each new table */
	u64 table;  /* {offset/64:40, lowest bits of tables:18, log2 of its slots:6} */
	u64 tables; /* how many there have been */
	/* constant */
	u64 seed;                 /* of the hash, XXH3 64 bits */
	u64 salt;                 /* of the versions */
	u32 key_size, value_size; /* bytes; 0: variable */
	u32 min_log2;             /* the first table's; none is smaller */
	u32 spare0;
	u64 spare1[2];
	/* 64: by the lock's owner */
	u64 lock;        /* lock word */
	u64 count;       /* by tx: entries */
	u64 tombs;       /* by tx: tombstones in the table */
	u64 version;     /* the last one drawn */
	u64 building[2]; /* by tx: blocks that nothing else names yet: a table, an entry; or 0 */
	u64 suspect;     /* 1: a dead owner's transaction may wait in the journal */
	u64 changes;     /* +1 with each change; by tx where there is one */
	/* 128 */
	u64 puts, deletes; /* statistics: a death may cost one */
	u32 event;         /* event word: bumped after changes */
	u32 spare2;
	u64 spare3[5];
};

struct ipk_map_entry {
	u64 ver;
	u64 hash;
	u64 lens;   /* {value:32, key:32} */
	u64 data[]; /* key, value */
};

_Static_assert(sizeof(struct ipk_map_body) == 192, "");
_Static_assert(offsetof(struct ipk_map_body, lock) == 64, "own line");
_Static_assert(offsetof(struct ipk_map_body, puts) == 128, "own line");
_Static_assert(sizeof(struct ipk_map_entry) == 24, "");

/* The handle of each kind that has such a body. */
struct ipk_map {
	struct ipk_obj obj;
	struct ipk_map_body *b;
	u64 seed;
	u32 key_size, value_size;
	struct ipk_type *type; /* NULL: all values are empty */
	struct ipk_type *key_type;
};

extern const struct ipk_kind ipk_kind_map;
extern const struct ipk_op ipk_map_ops[];

/* ---- words --------------------------------------------------------------------------------- */

static inline u64 ipk_map_hash(u64 seed, const void *key, size_t len)
{
	return XXH3_64bits_withSeed(key, len, seed);
}

static inline u64 ipk_map_slot(u64 hash, u64 off)
{
	return hash << 40 | off >> 6;
}

/* The offset of the entry that a slot names; slot > TOMB. */
static inline u64 ipk_map_off(u64 slot)
{
	return (slot & ((UINT64_C(1) << 40) - 1)) << 6;
}

static inline bool ipk_map_alike(u64 slot, u64 hash)
{
	return slot > IPK_MAP_TOMB && slot >> 40 == (hash & 0xffffff);
}

static inline u64 ipk_map_home(u64 hash, u32 log2)
{
	return hash >> (64 - log2);
}

static inline u64 ipk_map_table(u64 off, u64 tables, u32 log2)
{
	return off >> 6 << 24 | (tables & 0x3ffff) << 6 | log2;
}

static inline u32 ipk_map_log2(u64 table)
{
	return table & 63;
}

static inline u64 ipk_map_table_off(u64 table)
{
	return table >> 24 << 6;
}

/* True when the word can be a table's as far as its size goes. */
static inline bool ipk_map_table_ok(u64 table)
{
	return ipk_map_log2(table) >= IPK_MAP_LOG2_MIN && ipk_map_log2(table) <= IPK_MAP_LOG2_MAX &&
	       ipk_map_table_off(table) != 0;
}

static inline u64 ipk_map_pad(u64 len)
{
	return ipk_align_up(len, 8);
}

static inline u64 ipk_map_entry_size(u64 klen, u64 vlen)
{
	return sizeof(struct ipk_map_entry) + ipk_map_pad(klen) + ipk_map_pad(vlen);
}

/* Entries that a table holds before it is replaced by a larger one. */
static inline u64 ipk_map_room(u32 log2)
{
	return UINT64_C(3) << (log2 - 2);
}

static inline u64 ipk_map_salt_of(struct ipk_map_body *b)
{
	return ipk_ld(&b->salt, relaxed);
}

/* ---- map.c ----------------------------------------------------------------------------------- */

/* A deadline for verbs, which wait for nothing but a lock that is held for microseconds. */
#define IPK_MAP_PATIENCE INT64_C(1000000000)

/* The body of an object, or NULL when there is no room for one. */
struct ipk_map_body *ipk_map_body(struct ipk_obj *obj);
bool ipk_map_attachable(struct ipk_obj *obj);

/* As ipk_map_open() for an object of that kind; of one without keys, type is that of the entries.
 */
int ipk_map_open_as(struct ipk_segment *seg, const char *name, const struct ipk_kind *kind,
		    const char *type, const char *key, struct ipk_map **ret_map,
		    struct ipk_error *err);

/* ---- map_change.c --------------------------------------------------------------------------- */

/* As ipk_map_put() or, with if_absent, ipk_map_put_if_absent(); err may be NULL. */
int ipk_map_set(struct ipk_map *map, const void *key, size_t klen, const void *value, size_t vlen,
		bool if_absent, i64 deadline, struct ipk_error *err);

/* ---- map_view.c: of each kind's descriptor -------------------------------------------------- */

extern const struct ipk_arg ipk_map_params[];
int ipk_map_size(const struct ipk_new *n, uint64_t *ret_size, struct ipk_error *err);
int ipk_map_make(struct ipk_tx *tx, void *body, uint64_t body_off, const struct ipk_new *n);
void ipk_map_detach(void *handle);
int ipk_map_inspect(const struct ipk_object_view *o, uint64_t *ret_used, uint64_t *ret_cap);
/* names: of the six numbers that it tells of, in its order; ends with NULL. */
int ipk_map_stats(const struct ipk_object_view *o, const char *const names[],
		  struct ipk_visitor *v);
int ipk_map_items(const struct ipk_object_view *o, uint64_t from, uint64_t to, ipk_item_fn *fn,
		  void *arg);
int ipk_map_item(const struct ipk_object_view *o, const char *text, size_t len, ipk_item_fn *fn,
		 void *arg);
int ipk_map_holders(const struct ipk_object_view *o, ipk_holder_fn *fn, void *arg);

/* ---- map_check.c ---------------------------------------------------------------------------- */

int ipk_map_check(const struct ipk_object_view *o, struct ipk_checker *c);
/* map_repair.c */
int ipk_map_repair(const struct ipk_object_view *o, struct ipk_repairer *r);

/* ---- map_write.c ---------------------------------------------------------------------------- */

/* Fills a body for cap entries; called by create in its transaction. */
int ipk_map_init(struct ipk_tx *tx, struct ipk_map_body *b, u64 cap);

/*
 * Takes the map's lock for reading alone. What a dead owner left stays for the next writer; 0 or
 * an error.
 */
int ipk_map_lock(struct ipk_self *me, struct ipk_map_body *b, i64 deadline);

int ipk_map_recover(struct ipk_obj *obj);
int ipk_map_destroy(struct ipk_obj *obj);
void ipk_map_wake(struct ipk_obj *obj);

/* ---- map_scan.c: reading through a mapping or a view ---------------------------------------- */

/* Where the bytes come from: the mapping of seg, or view where that is NULL. */
struct ipk_map_source {
	struct ipk_segment *seg;
	struct ipk_view *view;
	u64 body; /* offset of struct ipk_map_body */
	u64 size; /* of the view, when it was last asked */
};

int ipk_map_word(struct ipk_map_source *s, u64 off, u64 *ret); /* acquire */
int ipk_map_bytes(struct ipk_map_source *s, u64 off, void *dst, u64 len);

struct ipk_map_geometry {
	u64 table, tables;
	u32 log2;
	u64 off; /* of the slots, all inside the segment */
};
/* Reads which table there is. -EBADMSG when none can be; then *ret has its words all the same. */
int ipk_map_geometry(struct ipk_map_source *s, struct ipk_map_geometry *ret);
/* True while it is that one. */
bool ipk_map_current(struct ipk_map_source *s, const struct ipk_map_geometry *g);

/* One entry as it was copied; key and value are offsets in the buffer that it was appended to. */
struct ipk_map_copy {
	u64 hash, ver;
	size_t key, value;
	u32 klen, vlen;
};
/*
 * Copies the entry that the slot at slot_off names, *slot as read there, to the end of buf. 1; 0
 * when there is none any more; -EBADMSG when it cannot be one, or the table is another by now;
 * -EAGAIN.
 */
int ipk_map_read_entry(struct ipk_map_source *s, u64 slot_off, u64 slot, struct ipk_buf *buf,
		       struct ipk_map_copy *ret);

/* Appends the value of key to buf. -ENOENT -EBADMSG -EAGAIN. */
int ipk_map_lookup(struct ipk_map_source *s, u64 seed, const void *key, size_t klen,
		   struct ipk_buf *buf, struct ipk_map_copy *ret);

/* A walk over all entries; zero-initialise but for src. */
struct ipk_map_scan {
	struct ipk_map_source src;
	u64 next; /* entries with smaller hashes have been given */
	bool end;
	struct ipk_buf buf;
	struct ipk_map_copy *v; /* the batch, sorted by hash */
	u32 n, cap;
};
/* Reads the next batch: how many are in v, 0 at the end; -EAGAIN -EBADMSG -ENOMEM. */
int ipk_map_scan(struct ipk_map_scan *sc);
void ipk_map_scan_free(struct ipk_map_scan *sc);

#endif
