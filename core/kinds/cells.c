/* SPDX-License-Identifier: MIT */
/* Cells that say who has something; see cells.h. */
#include "kinds/cells.h"
#include "segment/registry.h"

u64 ipk_cells_take(const struct ipk_cells *c, u64 i, u64 owner, u64 *ret_val)
{
	for (u64 left = c->cap; left; left--) {
		if (ipk_cell_take(ipk_cell(c, i), owner, ret_val))
			return i;
		i = i + 1 < c->cap ? i + 1 : 0;
	}
	return c->cap;
}

u64 ipk_cells_free(const struct ipk_cells *c)
{
	u64 n = 0;

	for (u64 i = 0; i < c->cap; i++)
		n += ipk_cell_is_free(ipk_ld(ipk_cell(c, i), relaxed));
	return n;
}

/* ---- owners --------------------------------------------------------------------------------- */

bool ipk_owner_gone(struct ipk_segment *seg, u64 owner)
{
	u32 slot = (u32)owner - 1;
	struct ipk_participant *p = ipk_slot_page(seg, slot);
	bool ask = true;

	/* A thread's live word tells of its death; who has none has only his byte. */
	if (p && IPK_CLAIM_STATE(ipk_ld(&p->claim, acquire)) == IPK_CLAIM_LIVE)
		ask = ipk_ld(&p->live, relaxed) == 0;
	return ipk_dead(seg, slot, ask);
}

/* Under seg->mutex. */
static struct ipk_self *find_self(struct ipk_segment *seg, u64 owner)
{
	struct ipk_self *self;

	for (self = seg->selves; self; self = self->next)
		if ((u64)self->slot + 1 == owner)
			break;
	return self;
}

struct ipk_self *ipk_owner_of_process(struct ipk_segment *seg, u64 owner)
{
	struct ipk_self *self;

	pthread_mutex_lock(&seg->mutex);
	self = find_self(seg, owner);
	pthread_mutex_unlock(&seg->mutex);
	return self;
}

bool ipk_cell_free_of_process(struct ipk_segment *seg, u64 *cell, u64 val,
			      struct ipk_self **ret_self)
{
	bool freed;

	/* The mutex keeps him from going meanwhile, and afterwards what he holds does. */
	pthread_mutex_lock(&seg->mutex);
	*ret_self = find_self(seg, ipk_cell_owner(val));
	freed = *ret_self && ipk_cell_free(cell, val);
	pthread_mutex_unlock(&seg->mutex);
	return freed;
}

/* ---- after a death -------------------------------------------------------------------------- */

/* Who was found alive a moment ago is not asked about again; who is dead is, for each cell. */
struct known_alive {
	u64 map[(IPK_SLOTS_MAX + 63) / 64];
};

static bool owner_gone(struct ipk_segment *seg, u64 owner, struct known_alive *known)
{
	u64 slot = owner - 1;

	if (slot < IPK_SLOTS_MAX && (known->map[slot / 64] >> slot % 64 & 1))
		return false;
	if (ipk_owner_gone(seg, owner))
		return true;
	if (slot < IPK_SLOTS_MAX)
		known->map[slot / 64] |= UINT64_C(1) << slot % 64;
	return false;
}

int ipk_cells_mend(struct ipk_segment *seg, const struct ipk_cells *c)
{
	struct known_alive known = {{0}};
	int n = 0;

	for (u64 i = 0; i < c->cap; i++) {
		u64 *cell = ipk_cell(c, i);
		u64 v = ipk_ld(cell, acquire); /* the word before the liveness of its owner */
		u64 owner = ipk_cell_owner(v);

		if (!owner || owner == IPK_CELL_NOBODY || v & IPK_CELL_P || IPK_BUG(cell_not_swept))
			continue;
		if (owner_gone(seg, owner, &known))
			n += ipk_cell_free(cell, v);
	}
	return n;
}
