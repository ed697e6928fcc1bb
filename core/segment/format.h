/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a segment: what lies where, who may change each word, and what a death leaves in it.
 * ipk-format(7) says the same for writers of other implementations. All integers are in the
 * machine's byte order (the layout signature differs between byte orders).
 *
 *   0        struct ipk_header                        2 pages
 *   8192     participant pages 0..3                   4 pages, one participant each
 *   24576    the first directory                      1 page, 512 slots
 *   28672    page numbers of participant pages        1 page, header.reg[0]
 *   32768    free pages, objects, further meta runs   ...
 *   size-T   the page table, 32 bytes a page          always the last pages of the segment
 *
 * ONE LOCK, ONE JOURNAL. The header's lock protects the page table, the free lists, the directory,
 * the registry's list of pages and every pointer from an object to a block of its own. Whoever
 * holds it changes these words by a transaction: it collects {offset, value} pairs in private
 * memory, copies them to the journal, stores journal.n (COMMIT, one release store), stores the
 * values, and sets journal.n to 0. A holder killed before COMMIT has changed nothing; killed after
 * it, the next holder stores the values again (idempotent) before it does anything else. So no
 * block is ever lost or named twice, and no intermediate state exists that anyone must understand.
 * The lock passes from a dead holder to the next locker by one compare-exchange from the exact word
 * (48-bit sequence inside). A stopped holder is not dead: others wait for it, up to their deadline.
 *
 * Free memory may be written at any time by the holder of the lock (new blocks are filled before
 * COMMIT). Readers hold no lock: they load one word that names a block, copy, and load it again.
 *
 * LIVENESS. One participant page for each attached thread. Its last words are a robust futex in the
 * owning thread's own list (the kernel stores FUTEX_OWNER_DIED when the thread ends by any cause),
 * mapped once more by that process with a private page behind it, where the list node lies. Byte i
 * of the segment file is OFD-locked by the process that owns participant i. See registry.c.
 */
#ifndef IPK_FORMAT_H
#define IPK_FORMAT_H

#include "base/base.h"

#define IPK_MAGIC UINT64_C(0x0a316765736b7069) /* the bytes "ipkseg1\n" on little-endian */
#define IPK_FORMAT_VERSION 1u

/* Flag words: an unknown compat flag is ignored, an unknown incompat flag refuses the segment. */
#define IPK_INCOMPAT_KNOWN 0u

/* header.flags, constant after creation */
#define IPK_SEG_SPARSE (1u << 0) /* memory is not reserved */
#define IPK_SEG_FIXED (1u << 1) /* max == size */
#define IPK_SEG_HUGE (1u << 2) /* hugetlbfs: no robust words, the OFD locks alone tell who lives */
#define IPK_SEG_MEMFD (1u << 3) /* an anonymous sealed memfd */

#define IPK_SLOTS_MAX 15872u /* participants: 31 pages of 512; ids are 14 bits */
#define IPK_SLOT_REGISTRAR 0u /* held, by its OFD byte, only while the registry grows */
#define IPK_SLOT_NONE 0x3fffu
#define IPK_REG_PER_PAGE 512u
#define IPK_REG_PAGES 31u
#define IPK_FIRST_SLOTS 4u

#define IPK_BINS 40u /* free runs by floor(log2(pages)) */
#define IPK_CLASSES 10u
#define IPK_JOURNAL_MAX 128u

/*
 * Lock word, 64 bits: futex half first so that its 32 bits change with every hand-over.
 *   bits 0..13 owner slot + 1 (0: free)   bit 14 W: somebody sleeps   bit 15 reserved, 0
 *   bits 16..63 sequence, +1 by each acquisition
 */
#define IPK_LOCK_OWNER UINT64_C(0x3fff)
#define IPK_LOCK_W UINT64_C(0x4000)
#define IPK_LOCK_SEQ_SHIFT 16

/* Event word, 32 bits: bit 31 W: somebody sleeps or is about to; bits 0..30 sequence. */
#define IPK_EV_W UINT32_C(0x80000000)

struct ipk_journal {
	u64 n; /* 0: nothing to do. Else the number of entries, COMMITted */
	u64 reserved;
	struct ipk_journal_entry {
		u64 off; /* 8-aligned, inside the segment */
		u64 val;
	} e[IPK_JOURNAL_MAX];
};

struct ipk_header {
	/* 0: constant; magic is stored before the name appears */
	u64 magic;
	u32 version;
	u32 layout; /* ipk_layout_signature(): sizes and offsets of all format structs */
	u32 compat;
	u32 incompat;
	u32 flags;
	u32 huge_shift; /* log2 of the huge page, or 0 */
	u64 max; /* bytes the segment may grow to; what everybody maps */
	u64 id[2]; /* random, tells two segments of one name apart */
	u64 created; /* CLOCK_REALTIME, ns */

	/* 64: changed under the lock, by transactions */
	u64 size; /* bytes, a multiple of the page; only grows */
	u64 table; /* page number of the page table's first page */
	u64 dir; /* {page:40, log2 slots:8, generation:16}: one word, so that readers switch at once */
	u64 dir_live;
	u64 dir_tombs;
	u64 used; /* bytes in objects' blocks; exact. Meta pages do not count */
	u64 objects; /* live objects */
	u64 next_id; /* the next object's id */
	u64 zombies; /* first removed object that somebody still uses, or 0 */
	u64 bin_map; /* bit b: bins[b] is not empty */
	u64 meta_pages; /* pages of header, registry, directory and table */
	u64 boot_id[2]; /* of the last boot in which it was attached for writing */
	u64 spare0[3];

	/* 192 */
	u64 lock; /* lock word */
	u64 spare1[7];

	/* 256: changed without the lock */
	u32 reg_ev; /* event word: somebody attached, or the segment was removed */
	u32 removed; /* 1 once the name was removed; never cleared */
	u32 next_slot; /* hint: where the next attach looks first (FIFO reuse) */
	u32 spare_word;
	u64 spare2[6];

	/* 320 */
	u64 bins[IPK_BINS]; /* first page of the free list, or 0; by transactions */
	u64 partial[16]; /* per class: first slab page with a free block, or 0; by transactions */
	u64 spare3[7];
	u64 nslots; /* participant pages that exist, at least 4; by transactions, only grows */
	u64 reg[IPK_REG_PAGES]; /* page number of a page of 512 u64 page numbers; 0: none; by tx */

	u64 spare4[25];

	/* 1280 */
	struct ipk_journal journal;
};

/*
 * One page of the page table. A run is described at its first and last page; w is 0 for what lies
 * between, so that no offset into the middle of a run passes for a block.
 */
enum ipk_page_type {
	IPK_PG_NONE = 0,
	IPK_PG_FREE = 1, /* head of a free run: len; next, prev in its bin */
	IPK_PG_FREE_TAIL = 2, /* its last page, when len > 1: len */
	IPK_PG_RUN = 3, /* head of a block of whole pages: len */
	IPK_PG_SLAB = 4, /* one page of equal blocks: cls, map; next, prev in partial[cls] */
	IPK_PG_META = 5, /* head of a run of the segment's own */
	IPK_PG_TAIL = 6, /* last page of RUN or META, when len > 1: len */
};

#define IPK_PGF_HOLE 1u /* FREE: some of it may have been given back to the file system */
#define IPK_PGF_LISTED 2u /* SLAB: is in partial[cls] */

struct ipk_page {
	u64 w; /* type:8, class:8, flags:16, len:32 */
	u64 link; /* next:32, prev:32 (page numbers, 0 none) */
	u64 map; /* SLAB: bit i set: block i is in use */
	u64 spare;
};

struct ipk_participant {
	/* 0 */
	u64 claim; /* {generation:56, state:8}, see enum ipk_claim */
	u32 pid; /* in the pid namespace below */
	u32 tid;
	u64 start; /* start time of the process, clock ticks since boot (/proc/PID/stat field 22) */
	u64 pidns; /* inode of its pid namespace */
	u64 since; /* CLOCK_REALTIME, ns */
	char comm[16];
	u32 role; /* enum ipk_role */
	u32 nwait; /* entries of waits[] that count */
	/* 64 */
	u32 overflow; /* 1: uses more objects than uses[] holds; counts as using all */
	u32 nuses; /* high-water mark of uses[] */
	u64 spare[7];
	/*
	 * 128: offsets of the words it sleeps on; bit 0 set: a lock word, to be woken and not
	 * bumped
	 */
	u64 waits[128];
	/*
	 * 1152: objects it uses: header offsets, 0 empty. Their memory is not freed while listed by
	 * a claim that is LIVE, HELD, LEAVING or DEAD; what FREE and JOINING list is stale.
	 */
	u64 uses[365];
	/* 4072: the robust futex word; node in the private page behind the second mapping */
	u32 live; /* 0, or tid|FUTEX_WAITERS, |FUTEX_OWNER_DIED once the thread has ended */
	u32 live_spare[5];
};

enum ipk_claim {
	IPK_CLAIM_FREE = 0,
	IPK_CLAIM_JOINING = 1, /* byte locked, live not yet set: lives while its byte is locked */
	/*
	 * lives while live has no OWNER_DIED and its byte is locked; live == 0: its byte alone
	 * tells
	 */
	IPK_CLAIM_LIVE = 2,
	IPK_CLAIM_HELD = 3, /* no thread: a process or inherited descriptor; its byte alone tells */
	IPK_CLAIM_LEAVING = 4, /* gives back what it held; its byte alone tells */
	IPK_CLAIM_DEAD = 5, /* seen dead, being swept by any number of sweepers */
};

enum ipk_role {
	IPK_ROLE_USER = 0, /* an attached thread */
	IPK_ROLE_HOLDER = 1, /* a descriptor that a child inherits (acquire -- CMD) */
	IPK_ROLE_REGISTRAR = 2,
};

/*
 * Object header. body, schema and everything up to size lie in one block; further blocks belong to
 * the kind. Written before the directory names it; state, name and zombie change by transactions.
 */
#define IPK_OBJ_MAGIC UINT32_C(0x6a626f69) /* "iobj" */

/*
 * object.state: {generation:42, slot + 1:14, state:8}; the upper two name who is freeing it, or 0
 */
enum ipk_obj_state {
	IPK_OBJ_LIVE = 1,
	IPK_OBJ_REMOVED = 2, /* no longer in the directory; freed when nobody uses it */
};
#define IPK_OBJ_STATE(word) ((word) & 0xff)

struct ipk_object {
	u32 magic;
	u16 kind; /* id in kinds.def */
	u16 version; /* layout version of that kind */
	u64 id; /* unique in the segment, never reused */
	u64 size; /* bytes of this block in use, header included */
	u64 state;
	u64 zombie; /* next in header.zombies */
	u64 created; /* CLOCK_REALTIME, ns */
	u32 body; /* offset of the kind's own header from this one; a multiple of 128 */
	u32 type; /* offset of the element schema's text from this one */
	u16 type_len; /* without NUL */
	u16 key_len; /* the key's schema follows the element's; 0: none */
	u32 creator; /* pid */
	char name[64]; /* NUL-padded */
	u64 hash; /* of the name */
	u64 opts[7]; /* creation parameters that inspect shows again; the kind's own */
};

/* Directory slot: 0 never used, 1 tombstone, else {hash:24, offset/64:40}. Linear probing. */
#define IPK_DIR_TOMB UINT64_C(1)

_Static_assert(sizeof(struct ipk_page) == 32, "page table entry");
_Static_assert(sizeof(struct ipk_participant) == IPK_PAGE, "one page");
_Static_assert(offsetof(struct ipk_participant, live) == IPK_PAGE - 24, "node right behind the page");
_Static_assert(offsetof(struct ipk_participant, waits) == 128, "");
_Static_assert(offsetof(struct ipk_participant, uses) == 1152, "");
_Static_assert(offsetof(struct ipk_header, size) == 64, "");
_Static_assert(offsetof(struct ipk_header, lock) == 192, "own line");
_Static_assert(offsetof(struct ipk_header, reg_ev) == 256, "own line");
_Static_assert(offsetof(struct ipk_header, journal) == 1280, "");
_Static_assert(sizeof(struct ipk_header) <= 2 * IPK_PAGE, "two pages");
_Static_assert(sizeof(struct ipk_object) == 192, "");

#endif
