/* SPDX-License-Identifier: MIT */
#include "segment/dir.h"
#include "segment/heap.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

/* How often a look-up starts again because the table was replaced under it. */
#define RETRIES 1000

u64 ipk_name_hash(const char *name, size_t len)
{
	return XXH3_64bits(name, len);
}

void ipk_dir_name(struct ipk_dir_name *n, const char *name)
{
	size_t len = strnlen(name, sizeof(n->word) - 1);

	memset(n->word, 0, sizeof(n->word));
	memcpy(n->word, name, len);
	n->hash = ipk_name_hash(name, len);
}

static u64 *dir_slots(struct ipk_segment *seg, u64 word, u64 *ret_mask)
{
	u32 log2 = ipk_dir_log2(word);

	if (log2 < IPK_DIR_LOG2_MIN || log2 > IPK_DIR_LOG2_MAX || ipk_dir_page(word) > UINT32_MAX)
		return NULL;
	*ret_mask = (UINT64_C(1) << log2) - 1;
	return ipk_at(seg, ipk_dir_page(word) * IPK_PAGE, 8 * (*ret_mask + 1), IPK_PAGE);
}

static bool same_name(struct ipk_object *o, const struct ipk_dir_name *n)
{
	u64 *have = (void *)o->name;
	size_t i;

	if (ipk_ld(&o->hash, relaxed) != n->hash)
		return false;
	for (i = 0; i < IPK_ARRAY_LEN(n->word); i++) {
		if (ipk_ld(&have[i], relaxed) != n->word[i])
			return false;
	}
	return true;
}

/* One pass over the table that word names. -EAGAIN: it has been replaced meanwhile. */
static int probe(struct ipk_segment *seg, u64 word, const struct ipk_dir_name *n, u64 *ret_off,
		 u64 **ret_slot)
{
	struct ipk_header *h = ipk_header(seg);
	u64 mask, i, left, entry, *slots = dir_slots(seg, word, &mask);
	struct ipk_object *o;

	if (!slots)
		return ipk_ld(&h->dir, acquire) == word ? -EBADMSG : -EAGAIN;
	for (i = n->hash & mask, left = mask + 1; left; i = (i + 1) & mask, left--) {
		entry = ipk_ld(&slots[i], acquire); /* pairs with COMMIT: the header was filled */
		if (entry == 0)
			break;
		if (entry == IPK_DIR_TOMB || entry >> 40 != n->hash >> 40)
			continue;
		o = ipk_at(seg, ipk_dir_off(entry), sizeof(*o), IPK_LINE);
		if (!o || !same_name(o, n))
			continue;
		/* What was compared was whole when the entry and the table are still in place. */
		ipk_fence(acquire);
		if (ipk_ld(&slots[i], relaxed) != entry || ipk_ld(&h->dir, relaxed) != word)
			return -EAGAIN;
		*ret_off = ipk_dir_off(entry);
		*ret_slot = &slots[i];
		return 0;
	}
	ipk_fence(acquire); /* the table's memory was not reused while it was read */
	return ipk_ld(&h->dir, relaxed) == word ? -ENOENT : -EAGAIN;
}

int ipk_dir_find(struct ipk_segment *seg, const struct ipk_dir_name *n, u64 *ret_off,
		 u64 **ret_slot, bool *ret_flux)
{
	struct ipk_header *h = ipk_header(seg);
	u64 *slot;
	int r, i;

	for (i = 0; i < RETRIES; i++) {
		/* Pairs with COMMIT: the table was filled before the word named it. */
		r = probe(seg, ipk_ld(&h->dir, acquire), n, ret_off, ret_slot ? ret_slot : &slot);
		if (r != -EAGAIN)
			break;
	}
	if (ret_flux)
		*ret_flux = r == -EAGAIN || (r == -ENOENT && ipk_ld(&h->journal.n, acquire) != 0);
	return r == -EAGAIN ? -ENOENT : r;
}

int ipk_dir_add(struct ipk_tx *tx, u64 hash, u64 off)
{
	struct ipk_header *h = ipk_header(tx->seg);
	u64 live = ipk_tx_get(tx, &h->dir_live), tombs = ipk_tx_get(tx, &h->dir_tombs);
	u64 mask, i, left, entry, *slots = dir_slots(tx->seg, ipk_tx_get(tx, &h->dir), &mask);

	if (!slots)
		return -EBADMSG;
	if ((live + tombs + 1) > (mask + 1) / 4 * 3)
		return -EXFULL;
	for (i = hash & mask, left = mask + 1; left; i = (i + 1) & mask, left--) {
		entry = ipk_tx_get(tx, &slots[i]);
		if (entry > IPK_DIR_TOMB)
			continue;
		if (entry == IPK_DIR_TOMB && tombs)
			ipk_tx_set(tx, &h->dir_tombs, tombs - 1);
		ipk_tx_set(tx, &h->dir_live, live + 1);
		ipk_tx_set(tx, &slots[i], ipk_dir_entry(hash, off));
		if (IPK_BUG(dir_entry_first))
			ipk_st(&slots[i], ipk_dir_entry(hash, off), release);
		return 0;
	}
	return -EBADMSG;
}

void ipk_dir_drop(struct ipk_tx *tx, u64 *slot)
{
	struct ipk_header *h = ipk_header(tx->seg);
	u64 live = ipk_tx_get(tx, &h->dir_live);

	if (!live)
		ipk_tx_fail(tx, -EBADMSG);
	ipk_tx_set(tx, slot, IPK_DIR_TOMB);
	if (IPK_BUG(dir_drop_first))
		ipk_st(slot, IPK_DIR_TOMB, release);
	ipk_tx_set(tx, &h->dir_live, live - 1);
	ipk_tx_set(tx, &h->dir_tombs, ipk_tx_get(tx, &h->dir_tombs) + 1);
}

static u32 right_log2(u64 live)
{
	u32 log2 = IPK_DIR_LOG2_MIN;

	while (log2 < IPK_DIR_LOG2_MAX && live * 2 >= UINT64_C(1) << log2)
		log2++;
	return log2;
}

bool ipk_dir_sparse(struct ipk_segment *seg)
{
	struct ipk_header *h = ipk_header(seg);

	return right_log2(ipk_ld(&h->dir_live, relaxed)) + 3 <=
	       ipk_dir_log2(ipk_ld(&h->dir, relaxed));
}

static int rebuild(struct ipk_tx *tx, void *arg)
{
	struct ipk_header *h = ipk_header(tx->seg);
	u64 word = ipk_tx_get(tx, &h->dir), live = 0, mask, old_mask, i, k, off, entry;
	u64 *slots, *old = dir_slots(tx->seg, word, &old_mask);
	u32 log2 = right_log2(ipk_tx_get(tx, &h->dir_live));
	struct ipk_object *o;

	(void)arg;
	if (!old)
		return -EBADMSG;
	/* Somebody else has been here since the caller looked. */
	if (ipk_tx_get(tx, &h->dir_live) + ipk_tx_get(tx, &h->dir_tombs) < (old_mask + 1) / 2 &&
	    !ipk_dir_sparse(tx->seg))
		return 0;
	off = ipk_tx_alloc(tx, UINT64_C(8) << log2, IPK_ALLOC_META);
	if (!off)
		return tx->error;
	old = dir_slots(tx->seg, word, &old_mask);
	mask = (UINT64_C(1) << log2) - 1;
	slots = (u64 *)(void *)(tx->seg->base + off);
	memset(slots, 0, 8 * (mask + 1));
	for (i = 0; i <= old_mask; i++) {
		entry = ipk_ld(&old[i], relaxed);
		if (entry <= IPK_DIR_TOMB)
			continue;
		o = ipk_at(tx->seg, ipk_dir_off(entry), sizeof(*o), IPK_LINE);
		if (!o || ++live > mask)
			return -EBADMSG;
		for (k = ipk_ld(&o->hash, relaxed) & mask; slots[k]; k = (k + 1) & mask)
			;
		slots[k] = entry;
	}
	ipk_tx_set(tx, &h->dir, ipk_dir_word(off / IPK_PAGE, log2, (word >> 48) + 1));
	ipk_tx_set(tx, &h->dir_live, live);
	ipk_tx_set(tx, &h->dir_tombs, 0);
	ipk_tx_free(tx, ipk_dir_page(word) * IPK_PAGE);
	return 0;
}

int ipk_dir_rebuild(struct ipk_self *me, struct ipk_error *err)
{
	return ipk_tx_run(me, rebuild, NULL, IPK_FOREVER, err);
}
