/* SPDX-License-Identifier: MIT */
/*
 * Joining and leaving; see registry.h for a slot's life. What a process remembers of it:
 *
 *   each thread    a list of its participants, one for each segment, ended by a pthread key
 *   each segment   its participants of this process, orphans included; which bytes it has locked
 *   the process    its segments attached for writing, for fork
 *
 * Lock order: attached_mutex, registrar_mutex (registrar.c), seg->mutex. The last is never held
 * while a thread sleeps in the segment's lock; the others may be, where a thread or a handle ends.
 */
#include "segment/registry.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/futex.h"
#include "segment/registry_own.h"
#include "segment/robust.h"

IPK_TLS struct ipk_self *ipk_self_cache;
static IPK_TLS struct ipk_self *thread_selves;
__thread uint64_t ipk_fast_3[IPK_FAST_WAYS + 1];

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_key;
static pthread_mutex_t attached_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct ipk_segment *attached;

/* ---- joining -------------------------------------------------------------------------------- */

/* Numbers below 64 index a bit in each object handle; more threads than that do without. */
static u32 free_tix(struct ipk_segment *seg)
{
	u64 taken = 0;

	for (struct ipk_self *s = seg->selves; s; s = s->next)
		if (s->tix < 64)
			taken |= UINT64_C(1) << s->tix;
	return ~taken ? (u32)__builtin_ctzll(~taken) : 64;
}

/* Under seg->mutex. *ret_first: nobody of this process had joined. */
static int join_slot(struct ipk_self *me, bool *ret_first)
{
	struct ipk_segment *seg = me->seg;
	u64 claim;
	int r = ipk_slot_claim(seg, seg->fd, &me->slot, &me->gen, &me->page);

	if (r < 0)
		return r;
	ipk_slot_fill(me->page, IPK_ROLE_USER);
	if (seg->robust && ipk_robust_usable())
		me->live = ipk_robust_map(seg->fd, (u64)((u8 *)me->page - seg->base));
	if (me->live) {
		/* Linked while 0: a word that names a thread is never in a stranger's list. */
		ipk_robust_link(me->live);
		ipk_st(me->live, (u32)syscall(SYS_gettid) | FUTEX_WAITERS, release);
	}
	claim = IPK_CLAIM(me->gen, IPK_CLAIM_JOINING);
	/* Release: whoever sees LIVE sees the page and the live word. */
	if (!ipk_cas(&me->page->claim, &claim, IPK_CLAIM(me->gen, IPK_CLAIM_LIVE), acq_rel)) {
		ipk_node_drop(me, true);
		ipk_byte_unlock(seg, me->slot);
		return -EBADMSG; /* somebody broke the protocol */
	}
	me->tix = free_tix(seg);
	*ret_first = !seg->selves;
	me->next = seg->selves;
	seg->selves = me;
	return 0;
}

/* Ends what other threads closed under this one: nodes only their own thread can unlink. */
static void drop_abandoned(void)
{
	struct ipk_self **link = &thread_selves;

	while (*link) {
		struct ipk_self *s = *link;

		if (ipk_ld(&s->seg, acquire)) {
			link = &s->next_of_thread;
			continue;
		}
		*link = s->next_of_thread;
		if (ipk_self_cache == s)
			ipk_self_cache = NULL;
		ipk_node_drop(s, true);
		free(s);
	}
}

static int join(struct ipk_segment *seg, struct ipk_self **ret_me)
{
	struct ipk_self *me;
	bool first = false;
	int r;

	if (!seg->writable)
		return -EACCES;
	drop_abandoned();
	me = calloc(1, sizeof(*me));
	if (!me || pthread_setspecific(thread_key, me) != 0) {
		free(me);
		return -ENOMEM;
	}
	me->seg = seg;
	do {
		pthread_mutex_lock(&seg->mutex);
		r = seg->fd < 0 ? -EBADF : join_slot(me, &first);
		pthread_mutex_unlock(&seg->mutex);
	} while (r == -EAGAIN && (r = ipk_registry_grow(seg)) == 0);
	if (r < 0) {
		free(me);
		return r;
	}
	me->next_of_thread = thread_selves;
	thread_selves = ipk_self_cache = me;
	/* Its fence pairs with that of ipk_wait_watch(): it finds us, or we find its W. */
	ipk_event_notify(&ipk_header(seg)->reg_ev, INT32_MAX);
	if (first)
		ipk_sweep(me, IPK_FOREVER); /* the dead of a former boot, of a copied file, or just dead */
	*ret_me = me;
	return 0;
}

struct ipk_self *ipk_self_slow(struct ipk_segment *seg, int *ret_error)
{
	struct ipk_self *me;
	int r;

	for (me = thread_selves; me; me = me->next_of_thread) {
		if (me->seg == seg) {
			ipk_self_cache = me;
			return me;
		}
	}
	r = join(seg, &me);
	if (r < 0) {
		*ret_error = r;
		return NULL;
	}
	return me;
}

/* ---- leaving -------------------------------------------------------------------------------- */

/* Takes the robust word away: the node unlinked by its own thread, else left to it. */
void ipk_node_drop(struct ipk_self *s, bool own)
{
	if (!s->live)
		return;
	if (!own) {
		ipk_robust_abandon(s->live);
		return;
	}
	ipk_robust_unlink(s->live);
	ipk_robust_unmap(s->live);
	s->live = NULL;
}

static bool set_state(struct ipk_self *s, enum ipk_claim state)
{
	u64 claim = ipk_ld(&s->page->claim, relaxed);

	while (claim >> 8 == s->gen && IPK_CLAIM_STATE(claim) != IPK_CLAIM_DEAD)
		if (ipk_cas(&s->page->claim, &claim, IPK_CLAIM(s->gen, state), acq_rel))
			return true;
	return false; /* swept under us: a bug of somebody, and the slot is not ours any more */
}

/* The number is free for the next thread: no handle may take that one for this. */
static void forget_tix(struct ipk_segment *seg, u32 tix)
{
	if (tix >= 64)
		return;
	for (struct ipk_obj *o = seg->objects; o; o = o->next)
		ipk_and(&o->listed, ~(UINT64_C(1) << tix), relaxed);
}

/* Under seg->mutex. */
static void unlist(struct ipk_self *s)
{
	struct ipk_self **link = &s->seg->selves;

	while (*link && *link != s)
		link = &(*link)->next;
	if (*link)
		*link = s->next;
	forget_tix(s->seg, s->tix);
}

static void clear_uses(struct ipk_self *s)
{
	u32 n = ipk_ld(&s->page->nuses, relaxed);

	for (u32 i = 0; i < n && i < IPK_ARRAY_LEN(s->page->uses); i++)
		ipk_st(&s->page->uses[i], UINT64_C(0), release);
	ipk_st(&s->page->overflow, 0u, release);
}

/*
 * Gives the slot back; s is in no list of the segment any more and holds nothing. own: by its own
 * thread, or by any for an orphan.
 */
static void leave(struct ipk_self *s, bool own)
{
	struct ipk_segment *seg = s->seg;
	struct ipk_self *cache = ipk_self_cache, *mate;
	u64 claim = IPK_CLAIM(s->gen, IPK_CLAIM_LEAVING);

	if (set_state(s, IPK_CLAIM_LEAVING)) {
		clear_uses(s);
		/* Pairs with the fence after an object's removal: the remover sees our list empty,
		 * or we see the zombie. */
		ipk_fence(seq_cst);
		if (ipk_ld(&ipk_header(seg)->zombies, relaxed)) {
			ipk_self_cache = s;
			ipk_reap_zombies(s);
			ipk_self_cache = cache;
		}
		ipk_st(&s->page->nwait, 0u, relaxed);
	}
	ipk_node_drop(s, own);
	/* The mutex: another thread may claim the slot as soon as it is free, and the byte with it.
	 */
	pthread_mutex_lock(&seg->mutex);
	if (ipk_ld(&s->page->claim, relaxed) == claim) {
		ipk_st(&s->page->live, 0u, release);
		/* Release: the page says nothing any more when the slot is free. */
		ipk_cas(&s->page->claim, &claim, IPK_CLAIM(s->gen + 1, IPK_CLAIM_FREE), acq_rel);
		ipk_byte_unlock(seg, s->slot);
	}
	/* Whoever took this live word for a sign of the orphans' life looks for another. */
	for (mate = seg->selves; mate && !mate->orphan; mate = mate->next)
		;
	if (mate)
		ipk_futex_wake(&s->page->live, INT32_MAX);
	pthread_mutex_unlock(&seg->mutex);
}

/* Its thread ends, what it holds stays: from now on the byte alone tells whether it lives. */
static void become_orphan(struct ipk_self *s)
{
	s->orphan = true;
	/* HELD first: whoever watches the live word afterwards also looks at the byte. */
	set_state(s, IPK_CLAIM_HELD);
	if (!s->live)
		return;
	ipk_st(&s->page->live, 0u, release);
	ipk_node_drop(s, true);
	ipk_futex_wake(&s->page->live, INT32_MAX); /* those who watched it look for another way */
}

static void thread_ends(void *unused)
{
	(void)unused;
	pthread_mutex_lock(&attached_mutex);
	drop_abandoned();
	while (thread_selves) {
		struct ipk_self *s = thread_selves;
		bool held;

		thread_selves = s->next_of_thread;
		pthread_mutex_lock(&s->seg->mutex);
		held = ipk_holds(s) != 0;
		if (held)
			become_orphan(s);
		else
			unlist(s);
		pthread_mutex_unlock(&s->seg->mutex);
		if (held)
			continue;
		leave(s, true);
		free(s);
	}
	ipk_self_cache = NULL;
	memset(ipk_fast_3, 0, sizeof(ipk_fast_3));
	pthread_mutex_unlock(&attached_mutex);
}

void ipk_hold_put_other(struct ipk_self *me)
{
	struct ipk_segment *seg = me->seg;
	bool last;

	/* The mutex: its thread's end decides by the count whether it may go. */
	pthread_mutex_lock(&seg->mutex);
	ipk_st(&me->other_holds, ipk_ld(&me->other_holds, relaxed) - 1, relaxed);
	last = me->orphan && ipk_holds(me) == 0;
	if (last)
		unlist(me);
	pthread_mutex_unlock(&seg->mutex);
	if (last) {
		leave(me, false);
		free(me);
	}
}

/* Its slot is DEAD or FREE, its memory its own thread's affair, if that is another. */
static void let_go(struct ipk_self *s, bool own)
{
	if (ipk_self_cache == s)
		ipk_self_cache = NULL;
	if (own || s->orphan)
		free(s);
	else
		ipk_st(&s->seg, NULL, release); /* pairs with drop_abandoned() */
}

static bool take_own(struct ipk_self *s)
{
	for (struct ipk_self **link = &thread_selves; *link; link = &(*link)->next_of_thread) {
		if (*link == s) {
			*link = s->next_of_thread;
			return true;
		}
	}
	return false;
}

/*
 * What is still held comes back as after a death: the slot goes from LEAVING to DEAD, so that no
 * word of it is ours any more, and the registrar sweeps. Is he somebody else's just now, the next
 * sweep of anybody finds it.
 */
static void leave_dead(struct ipk_self *s, bool own)
{
	if (set_state(s, IPK_CLAIM_LEAVING)) {
		ipk_node_drop(s, own);
		ipk_st(&s->page->live, 0u, release);
		set_state(s, IPK_CLAIM_DEAD);
	} else {
		ipk_node_drop(s, own);
	}
	ipk_byte_unlock(s->seg, s->slot);
}

static bool uses_something(struct ipk_self *s)
{
	u32 n = ipk_ld(&s->page->nuses, relaxed);
	bool uses = ipk_holds(s) || ipk_ld(&s->page->overflow, relaxed);

	for (u32 i = 0; i < n && i < IPK_ARRAY_LEN(s->page->uses); i++)
		uses |= ipk_ld(&s->page->uses[i], relaxed) != 0;
	return uses;
}

void ipk_leave_all(struct ipk_segment *seg)
{
	bool sweep = false;

	pthread_mutex_lock(&attached_mutex);
	for (struct ipk_segment **link = &attached; *link; link = &(*link)->next) {
		if (*link == seg) {
			*link = seg->next;
			break;
		}
	}
	while (seg->selves) {
		struct ipk_self *s = seg->selves;
		bool own = take_own(s);

		seg->selves = s->next;
		if (uses_something(s)) {
			leave_dead(s, own);
			sweep = true;
		} else {
			leave(s, own);
		}
		let_go(s, own);
	}
	if (sweep)
		ipk_registrar_sweep(seg);
	pthread_mutex_unlock(&attached_mutex);
}

/* ---- fork ----------------------------------------------------------------------------------- */

static void fork_prepare(void)
{
	pthread_mutex_lock(&attached_mutex);
	ipk_registrar_mutex_lock();
	for (struct ipk_segment *seg = attached; seg; seg = seg->next)
		pthread_mutex_lock(&seg->mutex);
}

static void fork_unlock(void)
{
	for (struct ipk_segment *seg = attached; seg; seg = seg->next)
		pthread_mutex_unlock(&seg->mutex);
	ipk_registrar_mutex_unlock();
	pthread_mutex_unlock(&attached_mutex);
}

/*
 * The child owns nothing of its parent's. It gives up the inherited description at once: as long as
 * it had it, the parent's byte locks would outlive the parent. The number stays the same.
 */
static void renew_fd(struct ipk_segment *seg)
{
	char path[32] = "/proc/self/fd/";
	char *p = path + 14, digits[12];
	int n = 0, v = seg->fd, fd;

	if (seg->fd < 0)
		return;
	do {
		digits[n++] = (char)('0' + v % 10);
	} while ((v /= 10) > 0);
	while (n > 0)
		*p++ = digits[--n];
	*p = '\0';
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		close(seg->fd);
		seg->fd = -1; /* it can be read, but not joined */
		return;
	}
	dup3(fd, seg->fd, O_CLOEXEC);
	close(fd);
}

static void fork_child(void)
{
	for (struct ipk_segment *seg = attached; seg; seg = seg->next) {
		/* The nodes are not mapped here (MADV_DONTFORK); the memory is private. */
		while (seg->selves) {
			struct ipk_self *s = seg->selves;

			seg->selves = s->next;
			if (!take_own(s) && !s->orphan)
				continue; /* a thread's that does not exist here */
			free(s);
		}
		for (struct ipk_obj *o = seg->objects; o; o = o->next) {
			o->listed = 0;
			o->opener = NULL;
		}
		memset(seg->own, 0, sizeof(seg->own));
		seg->fork_gen++;
		renew_fd(seg);
	}
	thread_selves = ipk_self_cache = NULL;
	memset(ipk_fast_3, 0, sizeof(ipk_fast_3));
	ipk_process_forget();
	fork_unlock(); /* this thread took the mutexes, here as there */
}

static void once_init(void)
{
	pthread_key_create(&thread_key, thread_ends);
	pthread_atfork(fork_prepare, fork_unlock, fork_child);
}

void ipk_registry_attach(struct ipk_segment *seg)
{
	pthread_once(&once, once_init);
	pthread_mutex_lock(&attached_mutex);
	seg->next = attached;
	attached = seg;
	pthread_mutex_unlock(&attached_mutex);
}
