/* SPDX-License-Identifier: MIT */
/* Participants and totals as a view finds them. */
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <sys/stat.h>

#include "segment/map.h"
#include "segment/object.h"
#include "segment/registry.h"
#include "segment/view.h"

static const char *const states[] = {
	[IPK_CLAIM_FREE] = "free", [IPK_CLAIM_JOINING] = "joining", [IPK_CLAIM_LIVE] = "live",
	[IPK_CLAIM_HELD] = "held", [IPK_CLAIM_LEAVING] = "leaving", [IPK_CLAIM_DEAD] = "dead",
};
static const char *const roles[] = {
	[IPK_ROLE_USER] = "user",
	[IPK_ROLE_HOLDER] = "holder",
	[IPK_ROLE_REGISTRAR] = "registrar",
};

/* Where the slot's page is; 0 and -EBADMSG where the registry cannot be right. */
static int slot_off(struct ipk_view *view, const struct ipk_header *h, u32 slot, u64 *ret_off)
{
	u64 reg = h->reg[slot / IPK_REG_PER_PAGE], page;
	int r;

	if (reg == 0 || reg > UINT32_MAX)
		return -EBADMSG;
	r = ipk_view_u64(view, reg * IPK_PAGE + slot % IPK_REG_PER_PAGE * 8, &page);
	if (r < 0)
		return r;
	if (page == 0 || page > UINT32_MAX)
		return -EBADMSG;
	*ret_off = page * IPK_PAGE;
	return 0;
}

/* Does anybody own the slot's byte? A read lock is not an owner's. */
static bool byte_locked(struct ipk_view *view, u32 slot)
{
	struct flock fl = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = slot, .l_len = 1};

	return fcntl(ipk_view_fd(view), F_OFD_GETLK, &fl) != 0 || fl.l_type != F_UNLCK;
}

static bool alive(struct ipk_view *view, u32 slot, const struct ipk_participant *p)
{
	unsigned state = IPK_CLAIM_STATE(p->claim);

	if (state == IPK_CLAIM_DEAD)
		return false;
	if ((state == IPK_CLAIM_LIVE || state == IPK_CLAIM_LEAVING) && (p->live & FUTEX_OWNER_DIED))
		return false;
	return byte_locked(view, slot);
}

/* A copy of the slot's page whose claim was the same before and after. */
static int read_page(struct ipk_view *view, const struct ipk_header *h, u32 slot,
		     struct ipk_participant *p)
{
	u64 off, claim;
	int r = slot_off(view, h, slot, &off);

	for (int i = 0; r == 0 && i < 10; i++) {
		r = ipk_view_read(view, off, p, sizeof(*p));
		if (r == 0)
			r = ipk_view_u64(view, off + offsetof(struct ipk_participant, claim),
					 &claim);
		if (r == 0 && claim == p->claim)
			return IPK_CLAIM_STATE(claim) == IPK_CLAIM_FREE ? -ENOENT : 0;
	}
	return r < 0 ? r : -ENOENT; /* comes and goes: nobody to speak of */
}

static void fill(struct ipk_view *view, u32 slot, const struct ipk_participant *p,
		 struct ipk_participant_info *ret)
{
	unsigned state = IPK_CLAIM_STATE(p->claim);

	memset(ret, 0, sizeof(*ret));
	ret->slot = slot;
	ret->pid = p->pid;
	ret->tid = p->tid;
	ret->start = p->start;
	ret->since = p->since;
	ret->pidns = p->pidns;
	memcpy(ret->comm, p->comm, sizeof(p->comm));
	ret->role = p->role < IPK_ARRAY_LEN(roles) ? roles[p->role] : "unknown";
	ret->state = state < IPK_ARRAY_LEN(states) ? states[state] : "unknown";
	ret->alive = alive(view, slot, p);
	ret->nwait = p->nwait < IPK_ARRAY_LEN(p->waits) ? p->nwait : IPK_ARRAY_LEN(p->waits);
	for (u32 i = 0; i < ret->nwait; i++)
		ret->waits[i] = p->waits[i] & ~UINT64_C(3); /* without the mark of lock words */
}

int ipk_view_participant(struct ipk_view *view, uint32_t slot, struct ipk_participant_info *ret_p)
{
	struct ipk_participant p;
	struct ipk_header h;
	int r = ipk_view_header(view, &h);

	if (r < 0)
		return r;
	if (slot >= IPK_SLOTS_MAX || slot >= h.nslots)
		return -ENOENT;
	r = read_page(view, &h, slot, &p);
	if (r == 0)
		fill(view, slot, &p, ret_p);
	return r;
}

int ipk_view_uses_object(struct ipk_view *view, u32 slot, u64 off)
{
	struct ipk_participant p;
	struct ipk_header h;
	int r = ipk_view_header(view, &h);

	if (r == 0 && (slot >= IPK_SLOTS_MAX || slot >= h.nslots))
		r = -ENOENT;
	if (r == 0)
		r = read_page(view, &h, slot, &p);
	if (r < 0)
		return r;
	if (!ipk_claim_uses(p.claim))
		return 0; /* what the page lists is a former owner's */
	for (u32 i = 0; r == 0 && i < p.nuses && i < IPK_ARRAY_LEN(p.uses); i++)
		r = p.uses[i] == off;
	return r || p.overflow;
}

/* One pass: fn for each page in use, with its copy. */
static int each_participant(struct ipk_view *view,
			    int (*fn)(void *arg, const struct ipk_participant_info *info,
				      const struct ipk_participant *p),
			    void *arg)
{
	struct ipk_participant_info info;
	struct ipk_participant p;
	struct ipk_header h;
	int r = ipk_view_header(view, &h);

	for (u32 slot = 0; r == 0 && slot < h.nslots && slot < IPK_SLOTS_MAX; slot++) {
		r = read_page(view, &h, slot, &p);
		if (r == -ENOENT) {
			r = 0;
		} else if (r == 0) {
			fill(view, slot, &p, &info);
			r = fn(arg, &info, &p);
		}
	}
	return r;
}

struct visit {
	int (*participant)(void *arg, const struct ipk_participant_info *p);
	int (*use)(void *arg, const struct ipk_participant_info *p, uint64_t object);
	void *arg;
};

static int visit_participant(void *arg, const struct ipk_participant_info *info,
			     const struct ipk_participant *p)
{
	const struct visit *v = arg;

	(void)p;
	return v->participant(v->arg, info);
}

int ipk_view_participants(struct ipk_view *view,
			  int (*fn)(void *arg, const struct ipk_participant_info *p), void *arg)
{
	struct visit v = {.participant = fn, .arg = arg};

	return each_participant(view, visit_participant, &v);
}

static int visit_uses(void *arg, const struct ipk_participant_info *info,
		      const struct ipk_participant *p)
{
	const struct visit *v = arg;
	int r = 0;

	if (!ipk_claim_uses(p->claim))
		return 0; /* what the page lists is a former owner's */
	if (p->overflow)
		return v->use(v->arg, info, 0);
	for (u32 i = 0; i < p->nuses && i < IPK_ARRAY_LEN(p->uses) && r == 0; i++)
		if (p->uses[i])
			r = v->use(v->arg, info, p->uses[i]);
	return r;
}

int ipk_view_uses(struct ipk_view *view,
		  int (*fn)(void *arg, const struct ipk_participant_info *p, uint64_t object),
		  void *arg)
{
	struct visit v = {.use = fn, .arg = arg};

	return each_participant(view, visit_uses, &v);
}

static int count(void *arg, const struct ipk_participant_info *p)
{
	struct ipk_segment_info *info = arg;

	if (strcmp(p->role, "registrar") == 0)
		return 0; /* on duty for somebody who is about to attach or to leave */
	if (p->alive)
		info->attached++;
	else
		info->dead++;
	return 0;
}

int ipk_view_info(struct ipk_view *view, struct ipk_segment_info *ret_info)
{
	struct ipk_segment_info info = {0};
	struct ipk_zombie_walk walk = {0};
	struct ipk_header h;
	struct stat st;
	u64 boot[2], taken;
	int r = ipk_view_header(view, &h);

	if (r < 0)
		return r;
	if (fstat(ipk_view_fd(view), &st) != 0)
		return -EIO;
	snprintf(info.name, sizeof(info.name), "%s", ipk_view_name(view));
	snprintf(info.id, sizeof(info.id), "%016llx%016llx", (unsigned long long)h.id[0],
		 (unsigned long long)h.id[1]);
	info.size = h.size;
	info.max = h.max;
	info.used = h.used;
	taken = h.used + h.meta_pages * IPK_PAGE;
	info.free = taken < h.size ? h.size - taken : 0;
	info.objects = h.objects;
	info.version = h.version;
	info.layout = h.layout;
	info.flags = h.flags;
	info.mode = st.st_mode & 07777;
	info.uid = st.st_uid;
	info.gid = st.st_gid;
	info.dev = st.st_dev;
	info.ino = st.st_ino;
	info.created = h.created;
	info.removed = h.removed || st.st_nlink == 0;
	ipk_boot_id(boot);
	info.same_boot = boot[0] == h.boot_id[0] && boot[1] == h.boot_id[1];
	for (u64 off = h.zombies; !ipk_zombies_end(&walk, off);) {
		if (ipk_view_u64(view, off + offsetof(struct ipk_object, zombie), &off) < 0)
			break;
		info.zombies++;
	}
	r = ipk_view_participants(view, count, &info);
	if (r == 0)
		*ret_info = info;
	return r;
}
