/* SPDX-License-Identifier: MIT */
#include "segment/layout.h"

#define PAGES_MAX UINT64_C(0xffffffff) /* page numbers are 32 bits */
#define MIN_PAGES 9u /* all that exists from creation, and one page of the table */

static u32 mix(u32 hash, u64 val)
{
	for (int i = 0; i < 64; i += 8)
		hash = (hash ^ (u32)(val >> i & 0xff)) * 16777619u; /* FNV-1a */
	return hash;
}

u32 ipk_layout_signature(void)
{
	static const u64 facts[] = {
		IPK_PAGE, IPK_SLOTS_MAX, IPK_REG_PER_PAGE, IPK_REG_PAGES, IPK_BINS, IPK_CLASSES,
		sizeof(struct ipk_header), offsetof(struct ipk_header, size),
		offsetof(struct ipk_header, dir), offsetof(struct ipk_header, zombies),
		offsetof(struct ipk_header, lock), offsetof(struct ipk_header, reg_ev),
		offsetof(struct ipk_header, bins), offsetof(struct ipk_header, partial),
		offsetof(struct ipk_header, nslots), offsetof(struct ipk_header, reg),
		offsetof(struct ipk_header, journal), sizeof(struct ipk_journal), IPK_JOURNAL_MAX,
		sizeof(struct ipk_page), offsetof(struct ipk_page, map),
		sizeof(struct ipk_participant), offsetof(struct ipk_participant, pid),
		offsetof(struct ipk_participant, comm), offsetof(struct ipk_participant, overflow),
		offsetof(struct ipk_participant, waits), offsetof(struct ipk_participant, uses),
		offsetof(struct ipk_participant, live), sizeof(struct ipk_object),
		offsetof(struct ipk_object, state), offsetof(struct ipk_object, body),
		offsetof(struct ipk_object, name), offsetof(struct ipk_object, opts),
	};
	/* The bytes of a number in memory order tell one byte order from the other. */
	const u32 order = UINT32_C(0x01020304);
	u32 hash = mix(2166136261u, *(const u8 *)&order);

	for (size_t i = 0; i < IPK_ARRAY_LEN(facts); i++)
		hash = mix(hash, facts[i]);
	return hash;
}

static int check_version(const struct ipk_header *h, const char *name, struct ipk_error *err)
{
	if (h->magic != IPK_MAGIC) {
		if (h->magic == __builtin_bswap64(IPK_MAGIC))
			return ipk_error_set(err, -EPROTO,
					     "%s was made on a machine of the other byte order: dump it "
					     "there and load the dump here", name);
		return ipk_error_set(err, -EPROTO, "%s is not a segment", name);
	}
	if (h->version != IPK_FORMAT_VERSION)
		return ipk_error_set(err, -EPROTO,
				     "%s has format version %u, this is for version %u: dump it with "
				     "the ipcctl that made it and load the dump", name, h->version,
				     IPK_FORMAT_VERSION);
	if (h->incompat & ~IPK_INCOMPAT_KNOWN)
		return ipk_error_set(err, -EPROTO,
				     "%s needs features (%#x) that this version does not know: use a "
				     "newer ipcctl", name, h->incompat & ~IPK_INCOMPAT_KNOWN);
	if (h->layout != ipk_layout_signature())
		return ipk_error_set(err, -EPROTO,
				     "%s has another layout (%08x, here %08x): dump it with the ipcctl "
				     "that made it and load the dump", name, h->layout,
				     ipk_layout_signature());
	return 0;
}

int ipk_header_check(const struct ipk_header *h, u64 file_size, const char *name,
		     struct ipk_error *err)
{
	int r = check_version(h, name, err);

	if (r < 0)
		return r;
	if (h->size % IPK_PAGE || h->max % IPK_PAGE || h->size < MIN_PAGES * IPK_PAGE ||
	    h->max < h->size || h->max / IPK_PAGE > PAGES_MAX)
		return ipk_error_set(err, -EBADMSG, "%s is damaged: it says it has %llu of %llu bytes",
				     name, (unsigned long long)h->size, (unsigned long long)h->max);
	if (h->size > file_size)
		return ipk_error_set(err, -EBADMSG,
				     "%s is cut short: %llu bytes of %llu are there", name,
				     (unsigned long long)file_size, (unsigned long long)h->size);
	if (h->nslots < IPK_FIRST_SLOTS || h->nslots > IPK_SLOTS_MAX || h->reg[0] == 0)
		return ipk_error_set(err, -EBADMSG, "%s is damaged: its registry has %llu slots", name,
				     (unsigned long long)h->nslots);
	if (h->huge_shift && h->huge_shift != 21 && h->huge_shift != 30)
		return ipk_error_set(err, -EBADMSG, "%s is damaged: pages of 2^%u bytes", name,
				     h->huge_shift);
	return 0;
}
