/* SPDX-License-Identifier: MIT */
/* Slots: their pages, their bytes, who owns one and whether he lives, what he uses. */
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "segment/registry_own.h"

u32 ipk_slot_count(struct ipk_segment *seg)
{
	/* Acquire: pairs with the transaction that added the pages. */
	u64 n = ipk_ld(&ipk_header(seg)->nslots, acquire);

	return n > IPK_SLOTS_MAX ? IPK_SLOTS_MAX : (u32)n;
}

static u64 slot_off(struct ipk_segment *seg, u32 slot)
{
	u64 reg, page;
	u64 *entry;

	if (slot >= ipk_slot_count(seg))
		return 0;
	reg = ipk_ld(&ipk_header(seg)->reg[slot / IPK_REG_PER_PAGE], acquire);
	if (reg == 0 || reg > seg->max / IPK_PAGE)
		return 0;
	entry = ipk_at(seg, reg * IPK_PAGE + slot % IPK_REG_PER_PAGE * 8, 8, 8);
	if (!entry)
		return 0;
	page = ipk_ld(entry, acquire);
	return page > seg->max / IPK_PAGE ? 0 : page * IPK_PAGE;
}

struct ipk_participant *ipk_slot_page(struct ipk_segment *seg, u32 slot)
{
	u64 off = slot_off(seg, slot);

	return off ? ipk_at(seg, off, IPK_PAGE, IPK_PAGE) : NULL;
}

bool ipk_own_byte(struct ipk_segment *seg, u32 slot)
{
	return ipk_ld(&seg->own[slot / 64], acquire) >> slot % 64 & 1;
}

void ipk_byte_unlock(struct ipk_segment *seg, u32 slot)
{
	struct flock fl = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = slot, .l_len = 1};

	ipk_and(&seg->own[slot / 64], ~(UINT64_C(1) << slot % 64), acq_rel);
	fcntl(seg->fd, F_OFD_SETLK, &fl);
}

/* Refused by a seccomp filter, a kernel without such locks, or a file system that has none. */
static int lock_error(int error)
{
	switch (error) {
	case EACCES:
	case EAGAIN:
		return -EAGAIN;
	case EPERM:
	case EINVAL:
	case ENOSYS:
		return -ENOLCK;
	default:
		return -error;
	}
}

int ipk_byte_lock(struct ipk_segment *seg, u32 slot, int cmd)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = slot, .l_len = 1};

	while (fcntl(seg->fd, cmd, &fl) != 0) {
		if (errno == EINTR)
			continue;
		return lock_error(errno);
	}
	ipk_or(&seg->own[slot / 64], UINT64_C(1) << slot % 64, acq_rel);
	return 0;
}

/* Is the byte locked by anybody? A read lock is not an owner's, so it does not count. */
static bool byte_locked(struct ipk_segment *seg, u32 slot)
{
	struct flock fl = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = slot, .l_len = 1};

	if (ipk_own_byte(seg, slot))
		return true; /* a description never conflicts with itself */
	return fcntl(seg->fd, F_OFD_GETLK, &fl) != 0 || fl.l_type != F_UNLCK;
}

bool ipk_dead(struct ipk_segment *seg, u32 slot, bool ask)
{
	struct ipk_participant *p = ipk_slot_page(seg, slot);
	u64 claim;

	if (!p)
		return true; /* no such slot: nobody */
	claim = ipk_ld(&p->claim, acquire);
	switch (IPK_CLAIM_STATE(claim)) {
	case IPK_CLAIM_FREE:
	case IPK_CLAIM_DEAD:
		return true;
	case IPK_CLAIM_LIVE:
	case IPK_CLAIM_LEAVING:
		/* Acquire: whoever sees the death sees all that the dead wrote. */
		if (ipk_ld(&p->live, acquire) & FUTEX_OWNER_DIED)
			/* The word may be a former owner's only where the claim changed since. */
			return ipk_ld(&p->claim, acquire) == claim;
		break;
	default:
		break;
	}
	return ask && !byte_locked(seg, slot);
}

static int byte_set(int fd, u32 slot, short type)
{
	struct flock fl = {.l_type = type, .l_whence = SEEK_SET, .l_start = slot, .l_len = 1};

	if (fcntl(fd, F_OFD_SETLK, &fl) == 0)
		return 0;
	return errno == EINTR ? -EAGAIN : lock_error(errno);
}

/*
 * {g,FREE} -> {g,JOINING} with the byte locked before, and noted as ours before, so that whoever
 * sees JOINING, in this process too, finds it locked. -EAGAIN: not this one.
 */
static int claim_one(struct ipk_segment *seg, int fd, u32 slot, struct ipk_participant *p,
		     u64 *ret_gen)
{
	/* Ours and free: its thread ended by other means than returning, and was swept. */
	bool ours = fd == seg->fd, mine = ours && ipk_own_byte(seg, slot);
	u64 claim = ipk_ld(&p->claim, acquire);
	int r = 0;

	if (IPK_CLAIM_STATE(claim) != IPK_CLAIM_FREE)
		return -EAGAIN;
	if (!mine)
		r = byte_set(fd, slot, F_WRLCK);
	if (r < 0)
		return r;
	if (ours)
		ipk_or(&seg->own[slot / 64], UINT64_C(1) << slot % 64, acq_rel);
	if (ipk_cas(&p->claim, &claim, claim + IPK_CLAIM_JOINING, acq_rel)) {
		*ret_gen = claim >> 8;
		return 0;
	}
	if (ours && !mine)
		ipk_byte_unlock(seg, slot);
	else if (!mine)
		byte_set(fd, slot, F_UNLCK);
	return -EAGAIN;
}

/*
 * Takes a free slot for the description fd, under seg->mutex when that is seg->fd. A stranger's
 * read lock makes a byte look taken; then the next slot will do. -EAGAIN: none. The page is given
 * too: looked up again, a scribbler could have made it another, or none.
 */
int ipk_slot_claim(struct ipk_segment *seg, int fd, u32 *ret_slot, u64 *ret_gen,
		   struct ipk_participant **ret_page)
{
	struct ipk_header *h = ipk_header(seg);
	u32 n = ipk_slot_count(seg), start = ipk_ld(&h->next_slot, relaxed);

	for (u32 i = 0; i < n; i++) {
		u32 slot = (start % n + i) % n;
		struct ipk_participant *p =
			slot == IPK_SLOT_REGISTRAR ? NULL : ipk_slot_page(seg, slot);
		int r = p ? claim_one(seg, fd, slot, p, ret_gen) : -EAGAIN;

		if (r == -EAGAIN)
			continue;
		if (r == 0) {
			/* The longest free is the next: what a stopped process still has in hand of
			 * a slot gets old before the slot is used again. */
			ipk_st(&h->next_slot, slot + 1, relaxed);
			*ret_slot = slot;
			*ret_page = p;
		}
		return r;
	}
	return -EAGAIN;
}

/* By its claimer, while JOINING: what a former owner left in the page is gone before it is LIVE. */
void ipk_slot_fill(struct ipk_participant *p, enum ipk_role role)
{
	u32 nuses = ipk_ld(&p->nuses, relaxed);

	if (nuses > IPK_ARRAY_LEN(p->uses))
		nuses = IPK_ARRAY_LEN(p->uses);
	ipk_st(&p->live, 0u, relaxed);
	ipk_st(&p->nwait, 0u, relaxed);
	ipk_st(&p->nuses, 0u, relaxed);
	ipk_st(&p->overflow, 0u, relaxed);
	for (u32 i = 0; i < nuses; i++)
		ipk_st(&p->uses[i], UINT64_C(0), relaxed);
	ipk_st(&p->tid, (u32)syscall(SYS_gettid), relaxed);
	ipk_st(&p->role, (u32)role, relaxed);
	ipk_process_describe(p, (u32)getpid());
}

/* ---- what a participant uses ---------------------------------------------------------------- */

bool ipk_uses_add(struct ipk_self *me, u64 off)
{
	struct ipk_participant *p = me->page;
	u32 n = ipk_ld(&p->nuses, relaxed), hole;

	if (n > IPK_ARRAY_LEN(p->uses))
		n = IPK_ARRAY_LEN(p->uses);
	hole = n;
	for (u32 i = 0; i < n; i++) {
		u64 used = ipk_ld(&p->uses[i], relaxed);

		if (used == off)
			return false;
		if (used == 0 && hole == n)
			hole = i;
	}
	if (hole == IPK_ARRAY_LEN(p->uses)) {
		ipk_st(&p->overflow, 1u, release);
		return true;
	}
	ipk_st(&p->uses[hole], off, release);
	if (hole == n)
		ipk_st(&p->nuses, n + 1, release); /* the entry before the count that covers it */
	return true;
}

void ipk_uses_drop(struct ipk_self *me, u64 off)
{
	struct ipk_participant *p = me->page;
	u32 n = ipk_ld(&p->nuses, relaxed);

	for (u32 i = 0; i < n && i < IPK_ARRAY_LEN(p->uses); i++)
		/* Release: what was done with the object comes before. */
		if (ipk_ld(&p->uses[i], relaxed) == off)
			ipk_st(&p->uses[i], UINT64_C(0), release);
}

bool ipk_uses_any(struct ipk_segment *seg, u64 off, const struct ipk_self *except)
{
	u32 nslots = ipk_slot_count(seg);

	for (u32 slot = 0; slot < nslots; slot++) {
		struct ipk_participant *p = ipk_slot_page(seg, slot);
		u32 n;

		if (!p || (except && except->slot == slot) ||
		    !ipk_claim_uses(ipk_ld(&p->claim, acquire)))
			continue;
		if (ipk_ld(&p->overflow, acquire))
			return true;
		n = ipk_ld(&p->nuses, acquire);
		for (u32 i = 0; i < n && i < IPK_ARRAY_LEN(p->uses); i++)
			if (ipk_ld(&p->uses[i], acquire) == off)
				return true;
	}
	return false;
}
