/* SPDX-License-Identifier: MIT */
/*
 * The list of participants. Nobody lives, so a page that is lost is replaced by an empty one: a
 * word that names its owner then names nobody, which counts as dead.
 */
#include "segment/heap.h"
#include "segment/salvage.h"

typedef unsigned long long ull;

#define FIRST_LIST 7u /* page of the first list at creation */

/* Can page be one of the segment's own that nobody has claimed yet? */
static bool own_page(const struct ipk_salvage *s, u64 page)
{
	u64 first = page;

	if (page < 2 || page >= s->npages || s->page[page].use != IPK_USE_NONE)
		return false;
	return !s->whole || ipk_pg_type(ipk_salvage_run(s, &first)) == IPK_PG_META;
}

void ipk_salvage_registry(struct ipk_salvage *s)
{
	struct ipk_header *h = s->h;

	if (h->reg[0] == 0 || h->reg[0] >= s->npages) {
		ipk_salvage_did(s, "registry", "it begins at page %u, not %llu", FIRST_LIST,
				(ull)h->reg[0]);
		h->reg[0] = FIRST_LIST;
	}
	if (h->nslots < IPK_FIRST_SLOTS || h->nslots > IPK_SLOTS_MAX) {
		ipk_salvage_did(s, "registry", "it has %u slots, not %llu", IPK_FIRST_SLOTS,
				(ull)h->nslots);
		h->nslots = IPK_FIRST_SLOTS;
	}
}

/* The page of list k, ours from now on; NULL when there is no room for a new one. */
static u64 *list_page(struct ipk_salvage *s, u64 k)
{
	u64 *reg = &s->h->reg[k], page;

	if (!own_page(s, *reg) || ipk_salvage_claim_meta(s, *reg, 1) != 0) {
		page = own_page(s, FIRST_LIST) && k == 0 &&
				       ipk_salvage_claim_meta(s, FIRST_LIST, 1) == 0
			       ? FIRST_LIST
			       : ipk_salvage_take(s, 1);
		if (!page)
			return NULL;
		ipk_salvage_did(s, "registry", "page %llu of it is at %llu, was at %llu", (ull)k,
				(ull)page, (ull)*reg);
		*reg = page;
	}
	return ipk_salvage_at(s, *reg * IPK_PAGE, IPK_PAGE, IPK_PAGE);
}

static bool slot_page(struct ipk_salvage *s, u64 slot, u64 *entry)
{
	u64 page = *entry;

	if (slot < IPK_FIRST_SLOTS) { /* claimed from the beginning */
		page = 2 + slot;
	} else if (!own_page(s, page) || ipk_salvage_claim_meta(s, page, 1) != 0) {
		page = ipk_salvage_take(s, 1);
		if (!page)
			return false;
	}
	if (page != *entry)
		ipk_salvage_did(s, "registry", "slot %llu is at page %llu, was at %llu", (ull)slot,
				(ull)page, (ull)*entry);
	*entry = page;
	return true;
}

void ipk_salvage_registry_end(struct ipk_salvage *s)
{
	struct ipk_header *h = s->h;
	u64 *list = NULL, slot;

	for (slot = 0; slot < h->nslots; slot++) {
		if (slot % IPK_REG_PER_PAGE == 0)
			list = list_page(s, slot / IPK_REG_PER_PAGE);
		if (!list || !slot_page(s, slot, &list[slot % IPK_REG_PER_PAGE]))
			break;
	}
	if (slot < h->nslots && slot >= IPK_FIRST_SLOTS) {
		ipk_salvage_did(s, "registry", "it has %llu slots, not %llu: there is no room",
				(ull)slot, (ull)h->nslots);
		h->nslots = slot;
	}
	for (u64 k = (h->nslots + IPK_REG_PER_PAGE - 1) / IPK_REG_PER_PAGE; k < IPK_REG_PAGES; k++)
		h->reg[k] = 0;
}
