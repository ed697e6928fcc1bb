/* SPDX-License-Identifier: MIT */
/* Cells read without trust: how many are taken, who has them, what cannot be. */
#include <stdio.h>
#include <stdlib.h>

#include "kinds/cells.h"
#include "kinds/hooks.h"

#define CHUNK_WORDS 1024u

/* Chunks begin at multiples of a line on both sides, so words stay whole. */
int ipk_cells_each(const struct ipk_object_view *o, const struct ipk_cells_at *at,
		   int (*fn)(void *arg, u64 i, u64 cell), void *arg)
{
	u64 step = CHUNK_WORDS * 8 / at->stride, n, i, k;
	_Alignas(IPK_LINE) u64 words[CHUNK_WORDS];
	int r = 0;

	for (i = 0; !r && i < at->cap; i += n) {
		n = at->cap - i < step ? at->cap - i : step;
		r = ipk_view_read(o->view, at->off + i * at->stride, words, n * at->stride);
		for (k = 0; !r && k < n; k++)
			r = fn(arg, i + k, words[k * at->stride / 8]);
	}
	return r;
}

static int count_cell(void *arg, u64 i, u64 cell)
{
	struct ipk_cells_count *c = arg;

	(void)i;
	c->free += ipk_cell_is_free(cell);
	c->nobody += ipk_cell_owner(cell) == IPK_CELL_NOBODY;
	c->taken += ipk_cell_taken(cell);
	return 0;
}

int ipk_cells_count(const struct ipk_object_view *o, const struct ipk_cells_at *at,
		    struct ipk_cells_count *ret)
{
	*ret = (struct ipk_cells_count){0};
	return ipk_cells_each(o, at, count_cell, ret);
}

struct owners {
	u64 *held; /* by slot + 1 */
	u32 end;   /* behind the last who has any */
};

static int count_owner(void *arg, u64 i, u64 cell)
{
	struct owners *w = arg;
	u32 owner = (u32)ipk_cell_owner(cell);

	(void)i;
	w->held[owner]++;
	if (owner != IPK_CELL_NOBODY && owner >= w->end)
		w->end = owner + 1;
	return 0;
}

static const char *role_of(const struct ipk_object_view *o, u32 slot)
{
	struct ipk_participant_info p;

	if (ipk_view_participant(o->view, slot, &p) == 0 && strcmp(p.role, "holder") == 0)
		return "holder";
	return "owner";
}

int ipk_cells_holders(const struct ipk_object_view *o, const struct ipk_cells_at *at,
		      const char *role, ipk_holder_fn *fn, void *arg)
{
	struct owners w = {.held = calloc(IPK_CELL_OWNER + 1, sizeof(*w.held))};
	int r;

	if (!w.held)
		return -ENOMEM;
	r = ipk_cells_each(o, at, count_owner, &w);
	for (u32 slot = 0; !r && slot + 1 < w.end && slot < IPK_SLOTS_MAX; slot++)
		if (w.held[slot + 1])
			r = fn(arg, slot, role ? role : role_of(o, slot), w.held[slot + 1]);
	if (!r && w.held[IPK_CELL_NOBODY])
		r = fn(arg, IPK_SLOT_NONE, "nobody", w.held[IPK_CELL_NOBODY]);
	free(w.held);
	return r;
}

struct check {
	const struct ipk_object_view *o;
	const struct ipk_cells_at *at;
	const char *what;
	struct ipk_checker *c;
};

/* Whose death has to free the cell; what is on its way (P) is nobody's only by damage. */
static u64 owner_of(u64 cell)
{
	u64 owner = ipk_cell_owner(cell);

	if (!(cell & IPK_CELL_P))
		return owner == IPK_CELL_NOBODY ? 0 : owner;
	return owner ? owner : IPK_CELL_NOBODY;
}

static int check_cell(void *arg, u64 i, u64 cell)
{
	struct check *k = arg;
	char what[64];

	snprintf(what, sizeof(what), "%s %llu is taken by", k->what, (unsigned long long)i);
	return ipk_check_user(k->o, k->at->off + i * k->at->stride, cell, owner_of(cell), what,
			      k->c);
}

int ipk_cells_check(const struct ipk_object_view *o, const struct ipk_cells_at *at,
		    const char *what, struct ipk_checker *c)
{
	struct check k = {.o = o, .at = at, .what = what, .c = c};

	return ipk_cells_each(o, at, check_cell, &k);
}

int ipk_cells_repair(const struct ipk_object_view *o, const struct ipk_cells_at *at,
		     const char *what, struct ipk_repairer *r)
{
	u64 freed = 0;

	for (u64 i = 0; i < at->cap; i++) {
		u64 *cell = r->at(r, at->off + i * at->stride, 8);
		int gone = cell ? ipk_no_user(o, owner_of(*cell)) : -EBADMSG;

		if (gone < 0)
			return gone;
		if (!gone)
			continue;
		*cell &= ~(IPK_CELL_OWNER | IPK_CELL_P);
		freed++;
	}
	if (freed)
		r->did(r, "%llu %s that nobody has are free", (unsigned long long)freed, what);
	return 0;
}
