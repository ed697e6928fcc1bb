/* SPDX-License-Identifier: MIT */
/*
 * The registrar: participant 0, whoever locked byte 0. He acts where nobody has a slot of his own:
 * the registry is full and grows, or a process leaves while it still holds something. Killed, he
 * frees the byte; the next registrar takes the slot over as it is, and a lock that it names is then
 * his own predecessor's (lock.c). Stopped, he is waited for.
 *
 * Also here: holders, participants that are a descriptor.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/futex.h"
#include "segment/registry_own.h"

#define GROW_MIN 4u
#define GROW_MAX 64u /* each is a journal entry */
#define LEAVE_PATIENCE INT64_C(1000000000)

static pthread_mutex_t registrar_mutex = PTHREAD_MUTEX_INITIALIZER;

void ipk_registrar_mutex_lock(void)
{
	pthread_mutex_lock(&registrar_mutex);
}

void ipk_registrar_mutex_unlock(void)
{
	pthread_mutex_unlock(&registrar_mutex);
}

struct registrar {
	struct ipk_self self;
	struct ipk_self *cache;
};

/* Slot 0 becomes ours, whatever a predecessor or his sweeper made of it: we have the byte. */
static void take_slot(struct ipk_self *me)
{
	u64 claim = ipk_ld(&me->page->claim, acquire);

	do {
		me->gen = (claim >> 8) + (IPK_CLAIM_STATE(claim) != IPK_CLAIM_FREE);
	} while (
		!ipk_cas(&me->page->claim, &claim, IPK_CLAIM(me->gen, IPK_CLAIM_JOINING), acq_rel));
	ipk_slot_fill(me->page, IPK_ROLE_REGISTRAR);
	/* Only he who has the byte stores here: sweepers leave a claim with a locked byte alone. */
	ipk_st(&me->page->claim, IPK_CLAIM(me->gen, IPK_CLAIM_HELD), release);
}

/* 0, or -errno with nothing taken. patience: how long to try, or IPK_FOREVER. */
static int begin(struct ipk_segment *seg, struct registrar *reg, i64 patience)
{
	struct timespec pause = {.tv_nsec = 1000000};
	i64 deadline = ipk_deadline(patience);
	int r;

	pthread_mutex_lock(&registrar_mutex);
	memset(reg, 0, sizeof(*reg));
	reg->self.page = ipk_slot_page(seg, IPK_SLOT_REGISTRAR);
	if (!reg->self.page) {
		r = -EBADMSG;
	} else if (patience == IPK_FOREVER) {
		r = ipk_byte_lock(seg, IPK_SLOT_REGISTRAR, F_OFD_SETLKW);
	} else {
		while ((r = ipk_byte_lock(seg, IPK_SLOT_REGISTRAR, F_OFD_SETLK)) == -EAGAIN &&
		       ipk_now() < deadline)
			nanosleep(&pause, NULL);
	}
	if (r < 0) {
		pthread_mutex_unlock(&registrar_mutex);
		return r;
	}
	reg->self.seg = seg;
	reg->self.slot = IPK_SLOT_REGISTRAR;
	reg->self.tix = 64;
	take_slot(&reg->self);
	/* What the kinds do for the dead they do as the caller's participant: him. */
	reg->cache = ipk_self_cache;
	ipk_self_cache = &reg->self;
	return 0;
}

static void end(struct registrar *reg)
{
	struct ipk_self *me = &reg->self;

	ipk_self_cache = reg->cache;
	ipk_st(&me->page->claim, IPK_CLAIM(me->gen + 1, IPK_CLAIM_FREE), release);
	ipk_byte_unlock(me->seg, IPK_SLOT_REGISTRAR);
	pthread_mutex_unlock(&registrar_mutex);
}

/* ---- growth --------------------------------------------------------------------------------- */

static void *fresh(struct ipk_tx *tx, u64 size, u64 *ret_off)
{
	u64 off = ipk_tx_alloc(tx, size, IPK_ALLOC_META);
	u8 *p = off ? ipk_at(tx->seg, off, size, IPK_PAGE) : NULL;

	if (p)
		memset(p, 0, size);
	*ret_off = off;
	return p;
}

static int grow_tx(struct ipk_tx *tx, void *arg)
{
	struct ipk_header *h = ipk_header(tx->seg);
	u64 nslots = ipk_tx_get(tx, &h->nslots), seen = *(u32 *)arg;
	u64 k = nslots / IPK_REG_PER_PAGE, at = nslots % IPK_REG_PER_PAGE;
	u64 n = nslots / 2, off, reg;
	u64 *entries;

	if (nslots != seen)
		return 0; /* somebody was faster */
	if (nslots >= IPK_SLOTS_MAX)
		return -EDQUOT;
	n = n < GROW_MIN ? GROW_MIN : n > GROW_MAX ? GROW_MAX : n;
	if (n > IPK_REG_PER_PAGE - at)
		n = IPK_REG_PER_PAGE - at;
	reg = ipk_tx_get(tx, &h->reg[k]) * IPK_PAGE;
	if (reg == 0) {
		if (!fresh(tx, IPK_PAGE, &reg))
			return tx->error ? tx->error : -ENOSPC;
		ipk_tx_set(tx, &h->reg[k], reg / IPK_PAGE);
	}
	entries = ipk_at(tx->seg, reg, IPK_PAGE, IPK_PAGE);
	if (!entries)
		return -EBADMSG;
	if (!fresh(tx, n * IPK_PAGE, &off))
		return tx->error ? tx->error : -ENOSPC;
	for (u64 i = 0; i < n; i++)
		ipk_tx_set(tx, &entries[at + i], off / IPK_PAGE + i);
	ipk_tx_set(tx, &h->nslots, nslots + n);
	return 0;
}

int ipk_registry_grow(struct ipk_segment *seg)
{
	u32 seen = ipk_slot_count(seg);
	struct registrar reg;
	int r = begin(seg, &reg, IPK_FOREVER);

	if (r < 0)
		return r;
	/* The dead may have left room, and somebody else may have made some while we waited. */
	if (ipk_slot_count(seg) == seen && ipk_sweep(&reg.self, IPK_FOREVER) == 0) {
		do {
			r = ipk_tx_run(&reg.self, grow_tx, &seen, IPK_FOREVER, NULL);
		} while (r == -EINTR);
	}
	end(&reg);
	return r < 0 ? r : 0;
}

void ipk_registrar_sweep(struct ipk_segment *seg)
{
	struct registrar reg;

	if (begin(seg, &reg, LEAVE_PATIENCE) < 0)
		return;
	ipk_sweep(&reg.self, IPK_FOREVER);
	end(&reg);
}

/* ---- holders -------------------------------------------------------------------------------- */

static int holder_claim(struct ipk_segment *seg, int fd, u32 *ret_slot)
{
	struct ipk_participant *p = NULL;
	u32 slot = 0;
	u64 gen = 0;
	int r;

	while ((r = ipk_slot_claim(seg, fd, &slot, &gen, &p)) == -EAGAIN) {
		r = ipk_registry_grow(seg);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return r;
	ipk_slot_fill(p, IPK_ROLE_HOLDER);
	ipk_st(&p->claim, IPK_CLAIM(gen, IPK_CLAIM_HELD), release);
	/* Who sleeps has to know of somebody whose death no word tells. */
	ipk_event_notify(&ipk_header(seg)->reg_ev, INT32_MAX);
	*ret_slot = slot;
	return 0;
}

int ipk_holder_new(struct ipk_segment *seg, int *ret_fd, u32 *ret_slot)
{
	char path[32];
	int fd, r;

	if (!seg->writable)
		return -EACCES;
	/* A description of its own, whose locks end with the last descriptor anywhere. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", seg->fd);
	fd = open(path, O_RDWR); /* meant to be inherited */
	if (fd < 0)
		return -errno;
	r = holder_claim(seg, fd, ret_slot);
	if (r < 0) {
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

int ipk_holder_use(struct ipk_obj *obj, u32 slot)
{
	struct ipk_self holder = {.seg = obj->seg, .slot = slot};

	holder.page = ipk_slot_page(obj->seg, slot);
	if (!holder.page)
		return -EBADMSG;
	ipk_uses_add(&holder, obj->off);
	/* Listed before anything is acquired in its name: pairs with the reaper's fence. */
	ipk_fence(seq_cst);
	return 0;
}

void ipk_holder_set_pid(struct ipk_segment *seg, u32 slot, u32 pid)
{
	struct ipk_participant *p = ipk_slot_page(seg, slot);

	if (!p)
		return;
	ipk_st(&p->tid, pid, relaxed);
	ipk_process_describe(p, pid);
}
