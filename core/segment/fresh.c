/* SPDX-License-Identifier: MIT */
/* What a new segment consists of. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "segment/dir.h"
#include "segment/heap.h"
#include "segment/layout.h"
#include "segment/map.h"

static pthread_once_t boot_once = PTHREAD_ONCE_INIT;
static u64 boot_now[2];

static void read_boot_id(void)
{
	char text[40] = "";
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n;
	int digits = 0;

	if (fd < 0)
		return;
	n = read(fd, text, sizeof(text));
	close(fd);
	for (ssize_t i = 0; i < n && digits < 32; i++) {
		u64 d;

		if (text[i] >= '0' && text[i] <= '9')
			d = (u64)(text[i] - '0');
		else if (text[i] >= 'a' && text[i] <= 'f')
			d = (u64)(text[i] - 'a') + 10;
		else
			continue;
		boot_now[digits / 16] = boot_now[digits / 16] << 4 | d;
		digits++;
	}
}

void ipk_boot_id(u64 ret_id[2])
{
	pthread_once(&boot_once, read_boot_id);
	ret_id[0] = boot_now[0];
	ret_id[1] = boot_now[1];
}

static void random_id(u64 id[2], u64 now)
{
	if (getrandom(id, 16, GRND_NONBLOCK) != 16) { /* early at boot: still unlikely to repeat */
		id[0] = now;
		id[1] = (u64)getpid() << 32 ^ (u64)(uintptr_t)id;
	}
}

static void meta_run(struct ipk_page *table, u64 page, u64 len)
{
	table[page].w = ipk_pg_word(IPK_PG_META, 0, 0, len);
	if (len > 1)
		table[page + len - 1].w = ipk_pg_word(IPK_PG_TAIL, 0, 0, len);
}

void ipk_format_segment(u8 *base, u64 size, u64 max, u32 flags, u32 huge_shift)
{
	struct ipk_header *h = (void *)base;
	u64 npages = size / IPK_PAGE, table = npages - ipk_table_pages(npages);
	u64 free_len = table - IPK_FIRST_FREE, i;
	struct ipk_page *t = (void *)(base + table * IPK_PAGE);
	u64 *slots = (void *)(base + (u64)(IPK_FIRST_FREE - 1) * IPK_PAGE);
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	h->version = IPK_FORMAT_VERSION;
	h->layout = ipk_layout_signature();
	h->flags = flags;
	h->huge_shift = huge_shift;
	h->max = max;
	h->created = (u64)ts.tv_sec * 1000000000u + (u64)ts.tv_nsec;
	random_id(h->id, h->created);
	h->size = size;
	h->table = table;
	h->dir = ipk_dir_word(IPK_FIRST_FREE - 2, IPK_DIR_LOG2_MIN, 1);
	h->next_id = 1;
	h->meta_pages = IPK_FIRST_FREE + npages - table;
	ipk_boot_id(h->boot_id);
	h->nslots = IPK_FIRST_SLOTS;
	h->reg[0] = IPK_FIRST_FREE - 1;
	for (i = 0; i < IPK_FIRST_SLOTS; i++)
		slots[i] = 2 + i;

	meta_run(t, 0, 2);
	meta_run(t, 2, IPK_FIRST_SLOTS);
	meta_run(t, IPK_FIRST_FREE - 2, 1);
	meta_run(t, IPK_FIRST_FREE - 1, 1);
	meta_run(t, table, npages - table);
	t[IPK_FIRST_FREE].w = ipk_pg_word(IPK_PG_FREE, 0, 0, free_len);
	if (free_len > 1)
		t[table - 1].w = ipk_pg_word(IPK_PG_FREE_TAIL, 0, 0, free_len);
	h->bins[ipk_log2(free_len)] = IPK_FIRST_FREE;
	h->bin_map = UINT64_C(1) << ipk_log2(free_len);
}

_Static_assert(2 + IPK_FIRST_SLOTS + 2 == IPK_FIRST_FREE, "what a segment begins with");
