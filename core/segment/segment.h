/* SPDX-License-Identifier: MIT */
/*
 * What the kinds build on: the attached segment, its lock and transactions, objects, participants,
 * death and waiting. Everything here is internal; include/ipk/segment.h is what programs see.
 *
 * Layers: map.c create/open/remove/grow - tx.c lock, journal - heap.c pages and blocks -
 * dir.c names - registry.c participants and the sweep - wait.c events - view.c reading without
 * trust.
 *
 * WHICH MAY RUN BESIDE WHICH: everything, from any thread of any process, unless a function says
 * "lock held" (the segment's lock, by the calling participant).
 */
#ifndef IPK_SEGMENT_INTERNAL_H
#define IPK_SEGMENT_INTERNAL_H

#include <pthread.h>

#include "ipk/error.h"
#include "ipk/fast.h"
#include "ipk/segment.h"
#include "segment/format.h"

#define IPK_TLS __attribute__((tls_model("initial-exec"))) _Thread_local

struct ipk_self;

/* The attached segment, private to the process. Constant after attach unless marked. */
struct ipk_segment {
	u8 *base; /* the whole of max is mapped; touch only below size */
	u64 max;
	u64 size; /* cached header.size; only grows; relaxed atomic */
	int fd;
	bool writable;
	bool robust; /* live words in use (not on huge pages, not with a foreign libc) */
	u32 flags; /* header.flags, validated copy */
	char *path;
	char name[64]; /* as the user wrote it, or the path */
	pthread_mutex_t mutex; /* protects what follows */
	struct ipk_self *selves; /* participants of this process, linked by next */
	u32 next_tix;
	void *objects; /* open object handles */
	u64 fork_gen; /* how often fork handed this handle to a child */
	struct ipk_segment *next; /* attached segments of the process, see registry.c */
	u64 own[IPK_SLOTS_MAX / 64]; /* bit slot: fd's description holds that byte; atomic */
};

/*
 * One attached thread. Found through thread-local storage; a thread has one for each segment.
 * Private memory. It ends with the thread, or when it holds something then (ipk_holds()), is left
 * behind as claim HELD and ends with the last thing it holds or with the process.
 */
struct ipk_self {
	struct ipk_segment *seg;
	struct ipk_participant *page; /* in the shared mapping */
	u32 slot;
	u32 tix; /* number among this process's participants; < 64 indexes struct ipk_obj.listed */
	u64 gen; /* generation of claim */
	u32 *live; /* second mapping, node right behind it; NULL without robust words */
	/* leases, permits, object handles: taken and put by its own thread, put by others */
	u64 own_holds, other_holds;
	bool orphan; /* its thread has ended; under seg->mutex */
	bool giving_back; /* destroys an object: what its transactions free goes to the file system */
	struct ipk_self *next;
	struct ipk_self *next_of_thread;
};

/*
 * The calling thread's participant in seg, registered now if it was not. Cost: one thread-local
 * load and compare when the thread used this segment last. NULL: *ret_error says why.
 */
struct ipk_self *ipk_self_slow(struct ipk_segment *seg, int *ret_error);
extern IPK_TLS struct ipk_self *ipk_self_cache;

static inline struct ipk_self *ipk_self(struct ipk_segment *seg, int *ret_error)
{
	struct ipk_self *me = ipk_self_cache;

	if (ipk_likely(me && me->seg == seg))
		return me;
	return ipk_self_slow(seg, ret_error);
}

/* ---- memory ------------------------------------------------------------------------------- */

/* r, unless the segment was lost (ipk_segment_lost()): then that, with err saying so. */
int ipk_unless_lost(struct ipk_segment *seg, int r, struct ipk_error *err);
int ipk_refresh_size(struct ipk_segment *seg); /* rereads header.size; bounded by fstat */

/*
 * The only way from an offset to a pointer. NULL when [off, off+len) is not inside the segment or
 * off is not a multiple of align (a power of two). The caller holds off in a local of one load.
 */
static inline void *ipk_at(struct ipk_segment *seg, u64 off, u64 len, u64 align)
{
	u64 size = ipk_ld(&seg->size, relaxed);

	if (ipk_unlikely(off > size || len > size - off || (off & (align - 1)))) {
		if ((off & (align - 1)) || ipk_refresh_size(seg) != 0)
			return NULL;
		size = ipk_ld(&seg->size, relaxed);
		if (off > size || len > size - off)
			return NULL;
	}
	return seg->base + off;
}

static inline u64 ipk_off(const struct ipk_segment *seg, const void *p)
{
	return (u64)((const u8 *)p - seg->base);
}

static inline struct ipk_header *ipk_header(struct ipk_segment *seg)
{
	return (struct ipk_header *)seg->base;
}

/* ---- robust locks -------------------------------------------------------------------------- */

/*
 * Takes the lock word w (in shared memory, format.h). deadline: absolute CLOCK_MONOTONIC ns,
 * IPK_FOREVER or IPK_NOWAIT. Returns 0; 1 when the last holder died (what it protects may be
 * half-changed: the caller finishes it); -EAGAIN, -ETIMEDOUT, -EINTR, -ECANCELED.
 * A holder's death is noticed by its live word; the lock then passes to one waiter.
 */
int ipk_lock(struct ipk_self *me, u64 *w, i64 deadline);
void ipk_unlock(struct ipk_self *me, u64 *w);

/* What me's taking of a lock makes of its word. */
static inline u64 ipk_lock_word(u64 old, const struct ipk_self *me, u64 w)
{
	u64 seq = (old >> IPK_LOCK_SEQ_SHIFT) + 1;

	return seq << IPK_LOCK_SEQ_SHIFT | (w & IPK_LOCK_W) | (u64)(me->slot + 1);
}

/* Takes it if nobody has it, the dead included; for fast paths. */
static inline bool ipk_lock_free(struct ipk_self *me, u64 *w)
{
	u64 v = ipk_ld(w, relaxed);

	/* Acquire: pairs with the release in ipk_unlock(). */
	return ipk_likely((v & IPK_LOCK_OWNER) == 0) && ipk_cas(w, &v, ipk_lock_word(v, me, v), acquire);
}

/* ---- transactions -------------------------------------------------------------------------- */

#define IPK_TX_FREES 32u /* calls of ipk_tx_free() in one transaction */
#define IPK_TX_PUNCH 8u

/*
 * The journal has 128 words. Taking a block costs at most 4 of them up to 2048 bytes, 14 above
 * or when a fresh page is needed; giving one back 6, or 18 when pages are joined.
 */
struct ipk_tx {
	struct ipk_self *me;
	struct ipk_segment *seg;
	u64 need; /* bytes that ipk_tx_alloc() lacked: the segment is grown and fn runs again */
	int error;
	u32 n;
	struct ipk_page *table; /* the page table in the mapping */
	u64 npages;
	bool direct; /* table is not yet the segment's: store to it at once */
	bool fs_full; /* error came from the file system, not from the maximum */
	u32 nfrees, npunch;
	u64 frees[IPK_TX_FREES]; /* carried out when fn has returned */
	struct {
		u64 page, len;
	} punch[IPK_TX_PUNCH]; /* given back to the file system after the commit */
	struct ipk_journal_entry e[IPK_JOURNAL_MAX];
};

/*
 * Runs fn under the segment's lock and commits what it set; all of it happens or nothing, whoever
 * dies when. fn may run several times (growth): it must not change anything but through tx and in
 * blocks that tx allocated. fn returns 0 to commit, or an error to change nothing.
 * Acquires the lock with deadline; -ENOSPC when the segment is at its maximum or the file system
 * is full (err says which).
 */
int ipk_tx_run(struct ipk_self *me, int (*fn)(struct ipk_tx *tx, void *arg), void *arg,
	       i64 deadline, struct ipk_error *err);

/* As the calling thread, again while fn returns 1: for what does not fit one transaction. */
int ipk_tx_repeat(struct ipk_segment *seg, int (*fn)(struct ipk_tx *tx, void *arg), void *arg);

/* Read and write a shared 8-byte word inside fn; get sees what set wrote. p lies in the mapping. */
u64 ipk_tx_get(struct ipk_tx *tx, const u64 *p);
void ipk_tx_set(struct ipk_tx *tx, u64 *p, u64 val);

/*
 * A block of at least size bytes, contents undefined, 64-aligned (page-aligned above 2048).
 * Returns its offset or 0 (then fn returns tx->error at once). The block may be written before
 * commit. IPK_ALLOC_META: does not count in used. IPK_ALLOC_HOLES: it may be without memory in a
 * sparse segment, where a store may then find the file system full; any other block has its memory.
 */
#define IPK_ALLOC_META 1u
#define IPK_ALLOC_HOLES 2u
u64 ipk_tx_alloc(struct ipk_tx *tx, u64 size, u32 flags);
/*
 * Frees the whole block. It stays as it is until the commit and is not handed out again before:
 * whoever dies before the commit has left its contents alone.
 */
void ipk_tx_free(struct ipk_tx *tx, u64 off);

/* Usable size of the live block at off (>= what was asked), or 0 if off names no block. */
u64 ipk_block_size(struct ipk_segment *seg, u64 off);

/* ---- objects ------------------------------------------------------------------------------- */

/* An open object: the process's handle, embedded first in each kind's own. */
struct ipk_obj {
	union {
		struct ipk_fast fast;
		u64 room[10]; /* for what inline functions of the kind read, behind fast */
	};
	struct ipk_segment *seg;
	struct ipk_object *o; /* header, in the mapping */
	u64 off; /* of the header */
	u64 id;
	u64 size; /* validated copy of o->size */
	u64 body; /* validated copy: offset of the body in the segment */
	u64 listed; /* bit tix: that thread lists it in uses[]; atomic, relaxed */
	struct ipk_self *opener; /* holds one for this handle */
	struct ipk_obj *next; /* in seg->objects */
};

/*
 * Registers the calling thread as a user of the object (once; a bit test afterwards) and returns
 * its participant. To be called first by every operation that writes. NULL: *ret_error.
 */
struct ipk_self *ipk_use_slow(struct ipk_obj *obj, int *ret_error);

static inline struct ipk_self *ipk_use(struct ipk_obj *obj, int *ret_error)
{
	struct ipk_self *me = ipk_self_cache;

	if (ipk_likely(me && me->seg == obj->seg &&
		       (!IPK_PROTECTED ||
			(me->tix < 64 && (ipk_ld(&obj->listed, relaxed) >> me->tix & 1)))))
		return me;
	return ipk_use_slow(obj, ret_error);
}

_Static_assert(IPK_FAST_LIVE == IPK_OBJ_LIVE, "ipk_fast_there()");

/* me is what ipk_use() gave: from now on the thread's inline calls may name it themselves. */
static inline void ipk_fast_note(const struct ipk_obj *obj, const struct ipk_self *me)
{
	if (me->tix < 64) /* the others list the object at each call */
		ipk_fast_3[obj->fast.way] = obj->fast.key | me->slot;
}

/* What the segment layer asks of a kind; struct ipk_kind holds the same functions. */
struct ipk_obj_hooks {
	int (*destroy)(struct ipk_obj *obj);
	int (*recover)(struct ipk_obj *obj);
	void (*wake)(struct ipk_obj *obj);
	bool (*attachable)(struct ipk_obj *obj); /* is the body what the kind expects? */
	/* Does that participant hold anything of it? Made of kind->holders; NULL: nobody ever does. */
	bool (*holds)(struct ipk_obj *obj, u32 slot);
};
/* Defined above us, in core/kind.c: the one call upward. NULL for a kind that we do not know. */
const struct ipk_obj_hooks *ipk_obj_hooks(u16 kind);

struct ipk_obj_spec {
	const char *name;
	u16 kind, version;
	const char *type, *key; /* canonical schema texts; key NULL: none */
	u64 body_size;
	u64 opts[7];
	/* fills the zeroed body; may allocate further blocks by tx; may run several times */
	int (*create)(struct ipk_tx *tx, void *body, u64 body_off, void *arg);
	void *arg;
};
/* -EEXIST -ENOSPC -EINVAL (name) -EMSGSIZE; ret_off may be NULL. */
int ipk_obj_create(struct ipk_segment *seg, const struct ipk_obj_spec *spec, u64 *ret_off,
		   struct ipk_error *err);

/*
 * Opens by name: allocates handle_size zeroed bytes (struct ipk_obj first), lists the object in the
 * caller's uses[] (not on a read-only attach), checks kind, version and that the body has at least
 * min_body bytes. -ENOENT -EMEDIUMTYPE -EPROTO -EBADMSG. The handle may be used by all threads.
 */
int ipk_obj_open(struct ipk_segment *seg, const char *name, u16 kind, u16 version, u64 min_body,
		 size_t handle_size, void **ret_handle, struct ipk_error *err);
/* Ends the handle; frees the object's memory when it was removed and nobody else uses it. */
void ipk_obj_close(struct ipk_obj *obj);

/* True when the object was removed or the segment's name is gone: answer -ESTALE on slow paths. */
bool ipk_stale(struct ipk_obj *obj);

/*
 * After reading: who attached without write permission, or has been forked and not written since,
 * keeps nobody from freeing a removed object's memory: what was read may have been anything. 0 or
 * -ESTALE.
 */
int ipk_after_read_slow(struct ipk_obj *obj);

static inline int ipk_after_read(struct ipk_obj *obj)
{
	if (ipk_likely(obj->seg->writable && ipk_ld(&obj->opener, relaxed)))
		return 0;
	return ipk_after_read_slow(obj);
}

/* ---- death --------------------------------------------------------------------------------- */

/*
 * Is participant slot dead? Cheap: its live word decides where it has one. With ask, the OFD byte
 * is queried too (0.7 us): on the way to sleep, in a sweep, at attach. Load the word that names the
 * slot BEFORE calling this.
 */
bool ipk_dead(struct ipk_segment *seg, u32 slot, bool ask);

/*
 * Finds the dead and makes good what they left: their locks' journals, each object in their uses[]
 * (kind->recover), every sleeper woken, their slot free. Any number of sweepers at once;
 * idempotent. Returns how many were swept. A lock that somebody living has is waited for until
 * deadline, and not longer than IPK_PATIENCE: what could not be mended then the next sweep mends.
 */
int ipk_sweep(struct ipk_self *me, i64 deadline);

/*
 * For who found nothing and does not wait: who only polls is woken by no death, and so has to look
 * for the dead by itself, once in an interval. True: something was made good, look again.
 */
bool ipk_poll_sweep(struct ipk_self *me);
extern i64 ipk_poll_interval; /* ns; IPK_FOREVER: never, for tests */

/* ---- events -------------------------------------------------------------------------------- */

/*
 * Waiting for a condition on shared words, woken by whoever changes them or by a death:
 *
 *	for (;;) {
 *		r = try();                              fast path, no announcement
 *		if (r != -EAGAIN || deadline == IPK_NOWAIT) return r;
 *		ipk_event_arm(me, &wait, evs, n);       W set, live words read, full fence
 *		r = try();                              must come after arm
 *		if (r == -EAGAIN) r2 = ipk_event_sleep(me, &wait, deadline);
 *		ipk_event_disarm(me, &wait);
 *		if (r != -EAGAIN) return r;
 *		if (r2 < 0) return r2;                  -ETIMEDOUT -EINTR -ECANCELED -ESTALE
 *	}
 *
 * Sleeps in futex_waitv over the events, the segment's registry event and the live words of all
 * other participants, so that the death of a waker between its change and its wake is itself a
 * wake-up. Sweeps when somebody died. More participants than fit, or participants without a live
 * word: sleeps in slices of 10 ms. No futex_waitv (old kernel, seccomp): the same, by FUTEX_WAIT on
 * the first event. A waiter that slept and then fails to take (time-out) passes its wake on.
 */
#define IPK_WAIT_EVENTS 16

struct ipk_waiter {
	u32 n;
	u32 *ev[IPK_WAIT_EVENTS];
	u32 val[IPK_WAIT_EVENTS];
	u64 reg_val; /* with live words: what arm saw */
	u32 nlive;
	bool slices; /* somebody's death would not wake us */
	bool dead; /* arm saw somebody dead: sleep sweeps first */
	struct {
		u32 *word;
		u32 val;
	} live[112];
};

void ipk_event_arm(struct ipk_self *me, struct ipk_waiter *w, u32 *const ev[], u32 n);
int ipk_event_sleep(struct ipk_self *me, struct ipk_waiter *w, i64 deadline);
void ipk_event_disarm(struct ipk_self *me, struct ipk_waiter *w);

/* Wakes n (or all, with n = INT32_MAX) of those who wait on ev: bump, then wake. No system call
 * when nobody waits. The change that the event tells of was stored before. */
void ipk_event_notify_slow(u32 *ev, int n);

static inline void ipk_event_notify(u32 *ev, int n)
{
	/*
	 * Pairs with the fence in ipk_event_arm(): either we see W, or the waiter sees the change.
	 */
	ipk_fence(seq_cst);
	if (ipk_unlikely(ipk_ld(ev, relaxed) & IPK_EV_W))
		ipk_event_notify_slow(ev, n);
}

/* As above where the change itself was a seq_cst read-modify-write of the same thread. */
static inline void ipk_event_notify_fenced(u32 *ev, int n)
{
	if (ipk_unlikely(ipk_ld(ev, seq_cst) & IPK_EV_W))
		ipk_event_notify_slow(ev, n);
}

i64 ipk_now(void); /* CLOCK_MONOTONIC, ns; also in base/futex.h */

#endif
