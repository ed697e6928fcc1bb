/* SPDX-License-Identifier: MIT */
#include "seg.h"

#include <sys/mount.h>

struct one {
	u64 size, off;
	u32 flags;
};

static int alloc_tx(struct ipk_tx *tx, void *arg)
{
	struct one *a = arg;

	a->off = ipk_tx_alloc(tx, a->size, a->flags);
	return a->off ? 0 : tx->error;
}

static int free_tx(struct ipk_tx *tx, void *arg)
{
	ipk_tx_free(tx, ((struct one *)arg)->off);
	return 0;
}

static int get(struct ipk_segment *seg, struct one *a, struct ipk_error *err)
{
	return ipk_tx_run(test_self(seg), alloc_tx, a, IPK_FOREVER, err);
}

static int give(struct ipk_segment *seg, struct one *a)
{
	return ipk_tx_run(test_self(seg), free_tx, a, IPK_FOREVER, NULL);
}

static void stamp(struct ipk_segment *seg, const struct one *a)
{
	memcpy(seg->base + a->off, &a->off, 8);
	memcpy(seg->base + a->off + (a->size - 8), &a->off, 8);
}

static bool stamped(struct ipk_segment *seg, const struct one *a)
{
	return !memcmp(seg->base + a->off, &a->off, 8) &&
	       !memcmp(seg->base + a->off + (a->size - 8), &a->off, 8);
}

static u64 random_size(u32 *x)
{
	u32 r = test_random(x);

	if (r % 64 == 0)
		return 16 + test_random(x) % 400000;
	return 16 + test_random(x) % (r % 8 ? 600 : 6000);
}

static void a_million_rounds_of_mixed_sizes_leave_everything_as_it_was(void **state)
{
	enum { LIVE = 2048, ROUNDS = 1000000 };
	struct ipk_segment *seg = test_segment("a", 0, 256 << 20);
	struct one *a = calloc(LIVE, sizeof(*a));
	struct ipk_header *h = ipk_header(seg);
	u64 used = h->used, sum = used;
	u32 x = 12345;
	int i;

	(void)state;
	assert_non_null(a);
	for (i = 0; i < ROUNDS; i++) {
		struct one *o = &a[test_random(&x) % LIVE];

		if (o->off) {
			assert_true(stamped(seg, o));
			sum -= ipk_block_size(seg, o->off);
			assert_int_equal(give(seg, o), 0);
			o->off = 0;
		} else {
			o->size = random_size(&x);
			assert_int_equal(get(seg, o, NULL), 0);
			assert_true(ipk_block_size(seg, o->off) >= o->size);
			assert_int_equal(o->off % (o->size > IPK_SLAB_MAX ? IPK_PAGE : IPK_LINE),
					 0);
			sum += ipk_block_size(seg, o->off);
			stamp(seg, o);
		}
		if (i % 100000 == 0)
			assert_int_equal(test_check("a", false), 0);
	}
	assert_int_equal(h->used, sum);
	for (i = 0; i < LIVE; i++)
		if (a[i].off)
			assert_int_equal(give(seg, &a[i]), 0);
	assert_int_equal(h->used, used);
	assert_int_equal(test_check("a", true), 0);
	/* All joined again: one free run from what is there from the beginning to the table. */
	assert_int_equal(h->bin_map, UINT64_C(1) << ipk_log2(h->table - IPK_FIRST_FREE));
	free(a);
	ipk_segment_close(seg);
}

static void blocks_of_every_size_are_aligned_and_disjoint(void **state)
{
	struct ipk_segment *seg = test_segment("b", 0, 64 << 20);
	struct one a[2600];
	size_t i;

	(void)state;
	for (i = 0; i < IPK_ARRAY_LEN(a); i++) {
		a[i] = (struct one){.size = i + 16};
		assert_int_equal(get(seg, &a[i], NULL), 0);
		assert_true(ipk_block_size(seg, a[i].off) >= a[i].size);
		assert_int_equal(a[i].off % 64, 0);
		memset(seg->base + a[i].off, (int)i, a[i].size);
		stamp(seg, &a[i]);
	}
	for (i = 0; i < IPK_ARRAY_LEN(a); i++)
		assert_true(stamped(seg, &a[i]));
	assert_int_equal(test_check("b", false), 0);
	for (i = 0; i < IPK_ARRAY_LEN(a); i++)
		assert_int_equal(give(seg, &a[(i * 7) % IPK_ARRAY_LEN(a)]), 0);
	assert_int_equal(ipk_header(seg)->used, 0);
	assert_int_equal(test_check("b", true), 0);
	ipk_segment_close(seg);
}

struct swap {
	struct one a, b;
	int result;
};

static int free_then_alloc(struct ipk_tx *tx, void *arg)
{
	struct swap *s = arg;

	ipk_tx_free(tx, s->a.off);
	s->b.off = ipk_tx_alloc(tx, s->b.size, 0);
	if (!s->b.off)
		return tx->error;
	memset(tx->seg->base + s->b.off, 0, s->b.size);
	return s->result;
}

static void what_a_transaction_frees_it_does_not_hand_out_itself(void **state)
{
	struct ipk_segment *seg = test_segment("c", 0, 0);
	u64 sizes[] = {64, 2048, 9000, 300000}, used;
	struct swap s;
	size_t i;

	(void)state;
	for (i = 0; i < IPK_ARRAY_LEN(sizes); i++) {
		memset(&s, 0, sizeof(s));
		s.a.size = s.b.size = sizes[i];
		assert_int_equal(get(seg, &s.a, NULL), 0);
		stamp(seg, &s.a);
		used = ipk_header(seg)->used;
		s.result = -ECANCELED;
		assert_int_equal(ipk_tx_run(test_self(seg), free_then_alloc, &s, IPK_FOREVER, NULL),
				 -ECANCELED);
		assert_true(stamped(seg, &s.a));
		assert_int_equal(ipk_header(seg)->used, used);
		assert_int_equal(test_check("c", false), 0);
		s.result = 0;
		assert_int_equal(ipk_tx_run(test_self(seg), free_then_alloc, &s, IPK_FOREVER, NULL),
				 0);
		assert_true(stamped(seg, &s.a));
		assert_true(s.a.off != s.b.off);
		assert_int_equal(ipk_header(seg)->used, used);
		assert_int_equal(give(seg, &s.b), 0);
	}
	assert_int_equal(test_check("c", true), 0);
	ipk_segment_close(seg);
}

static void freeing_what_is_no_block_changes_nothing(void **state)
{
	struct ipk_segment *seg = test_segment("d", 0, 0);
	struct one a = {.size = 100}, b = {.size = 20000}, bad = {0};
	u64 offs[12], i;

	(void)state;
	assert_int_equal(get(seg, &a, NULL), 0);
	assert_int_equal(get(seg, &b, NULL), 0);
	offs[0] = 0;
	offs[1] = a.off + 64;
	offs[2] = a.off + 128;
	offs[3] = b.off + IPK_PAGE;
	offs[4] = b.off + 64;
	offs[5] = b.off + 4 * IPK_PAGE;
	offs[6] = ipk_header(seg)->size;
	offs[7] = UINT64_MAX;
	offs[8] = UINT64_MAX - 4095;
	offs[9] = b.off + 5 * IPK_PAGE;
	offs[10] = ipk_header(seg)->table * IPK_PAGE + IPK_PAGE;
	offs[11] = a.off + 1;
	for (i = 0; i < IPK_ARRAY_LEN(offs); i++) {
		bad.off = offs[i];
		assert_int_equal(give(seg, &bad), -EBADMSG);
		assert_int_equal(ipk_block_size(seg, bad.off), 0);
	}
	assert_int_equal(give(seg, &a), 0);
	assert_int_equal(give(seg, &a), -EBADMSG);
	assert_int_equal(give(seg, &b), 0);
	assert_int_equal(give(seg, &b), -EBADMSG);
	assert_int_equal(test_check("d", true), 0);
	ipk_segment_close(seg);
}

static int too_many(struct ipk_tx *tx, void *arg)
{
	u64 *p = arg, i;

	for (i = 0; i <= IPK_JOURNAL_MAX; i++)
		ipk_tx_set(tx, &p[i], i + 1);
	return 0;
}

static void a_transaction_too_large_for_the_journal_changes_nothing(void **state)
{
	struct ipk_segment *seg = test_segment("e", 0, 0);
	struct one a = {.size = 4096};
	struct ipk_error err = {0};
	u64 *p;

	(void)state;
	assert_int_equal(get(seg, &a, NULL), 0);
	p = (void *)(seg->base + a.off);
	memset(p, 0, 4096);
	assert_int_equal(ipk_tx_run(test_self(seg), too_many, p, IPK_FOREVER, &err), -EOVERFLOW);
	assert_int_equal(err.code, -EOVERFLOW);
	assert_int_equal(p[0], 0);
	assert_int_equal(ipk_header(seg)->journal.n, 0);
	ipk_segment_close(seg);
}

static int sees_own_writes(struct ipk_tx *tx, void *arg)
{
	u64 *p = arg;

	ipk_tx_set(tx, p, 7);
	if (ipk_tx_get(tx, p) != 7 || *p != 0)
		return -EINVAL;
	ipk_tx_set(tx, p, 8);
	return ipk_tx_get(tx, p) == 8 && tx->n == 1 ? 0 : -EINVAL;
}

static void a_transaction_sees_its_own_writes_and_nobody_else_does(void **state)
{
	struct ipk_segment *seg = test_segment("f", 0, 0);
	struct one a = {.size = 64};
	u64 *p;

	(void)state;
	assert_int_equal(get(seg, &a, NULL), 0);
	p = (void *)(seg->base + a.off);
	*p = 0;
	assert_int_equal(ipk_tx_run(test_self(seg), sees_own_writes, p, IPK_FOREVER, NULL), 0);
	assert_int_equal(*p, 8);
	ipk_segment_close(seg);
}

static int nothing(struct ipk_tx *tx, void *arg)
{
	(void)tx;
	(void)arg;
	return 0;
}

static void a_committed_change_is_finished_by_the_next_holder(void **state)
{
	struct ipk_segment *seg = test_segment("g", 0, 0);
	struct ipk_journal *j = &ipk_header(seg)->journal;
	struct one a = {.size = 64};
	u64 *p;

	(void)state;
	assert_int_equal(get(seg, &a, NULL), 0);
	p = (void *)(seg->base + a.off);
	p[0] = p[1] = 0;
	j->e[0] = (struct ipk_journal_entry){a.off, 11};
	j->e[1] = (struct ipk_journal_entry){a.off + 8, 12};
	j->n = 2;
	assert_int_equal(ipk_tx_run(test_self(seg), nothing, NULL, IPK_FOREVER, NULL), 0);
	assert_int_equal(p[0], 11);
	assert_int_equal(p[1], 12);
	assert_int_equal(j->n, 0);
	ipk_segment_close(seg);
}

static void a_damaged_journal_is_an_error_and_not_obeyed(void **state)
{
	struct ipk_segment *seg = test_segment("h", 0, 0);
	struct ipk_header *h = ipk_header(seg);
	struct ipk_error err = {0};
	u64 bad[] = {h->size,
		     h->size - 4,
		     65,
		     0,
		     offsetof(struct ipk_header, max),
		     UINT64_MAX - 7,
		     offsetof(struct ipk_header, journal)};
	size_t i;

	(void)state;
	test_self(seg);
	for (i = 0; i < IPK_ARRAY_LEN(bad); i++) {
		h->journal.e[0] =
			(struct ipk_journal_entry){offsetof(struct ipk_header, used), 4711};
		h->journal.e[1] = (struct ipk_journal_entry){bad[i], 1};
		h->journal.n = 2;
		assert_int_equal(ipk_tx_run(test_self(seg), nothing, NULL, IPK_FOREVER, &err),
				 -EBADMSG);
		assert_int_equal(h->used, 0);
		assert_string_not_equal(err.text, "");
	}
	h->journal.n = IPK_JOURNAL_MAX + 1;
	assert_int_equal(ipk_tx_run(test_self(seg), nothing, NULL, IPK_FOREVER, &err), -EBADMSG);
	h->journal.n = 0;
	assert_int_equal(ipk_tx_run(test_self(seg), nothing, NULL, IPK_FOREVER, &err), 0);
	ipk_segment_close(seg);
}

/* ---- growth ----------------------------------------------------------------------------- */

static u64 file_size(struct ipk_segment *seg)
{
	struct stat st;

	assert_int_equal(fstat(seg->fd, &st), 0);
	return (u64)st.st_size;
}

static void a_segment_grows_to_its_maximum_and_says_so(void **state)
{
	struct ipk_segment *seg = test_segment("i", 65536, 3 << 20);
	struct ipk_error err = {0};
	struct one a[1000] = {{0}};
	int n = 0, i, r;

	(void)state;
	for (;; n++) {
		assert_true(n < 1000);
		a[n].size = 5000;
		r = get(seg, &a[n], &err);
		if (r < 0)
			break;
		memset(seg->base + a[n].off, 1, 5000);
		assert_int_equal(file_size(seg), ipk_header(seg)->size);
	}
	assert_int_equal(r, -ENOSPC);
	assert_non_null(strstr(err.text, "--max"));
	/* It used all that there is: 8 KiB blocks, nearly 3 MiB. */
	assert_true(n > 370);
	assert_int_equal(ipk_header(seg)->size, 3 << 20);
	assert_int_equal(test_check("i", false), 0);
	for (i = 0; i < n; i++)
		assert_int_equal(give(seg, &a[i]), 0);
	assert_int_equal(test_check("i", true), 0);
	ipk_segment_close(seg);
}

static void one_block_larger_than_the_segment_makes_it_grow_enough(void **state)
{
	struct ipk_segment *seg = test_segment("j", 65536, 64 << 20);
	struct one a = {.size = 40 << 20}, b = {.size = 80 << 20};
	struct ipk_error err = {0};

	(void)state;
	assert_int_equal(get(seg, &a, NULL), 0);
	memset(seg->base + a.off, 1, a.size);
	assert_int_equal(get(seg, &b, &err), -ENOSPC);
	assert_int_equal(test_check("j", false), 0);
	b.size = UINT64_MAX;
	assert_int_equal(get(seg, &b, &err), -ENOSPC);
	b.size = UINT64_MAX / 2;
	assert_int_equal(get(seg, &b, &err), -ENOSPC);
	assert_int_equal(give(seg, &a), 0);
	assert_int_equal(test_check("j", true), 0);
	ipk_segment_close(seg);
}

static void an_exact_fit_below_the_maximum_is_found(void **state)
{
	/* 256 pages: 8 from the beginning, 2 of table, 246 for one block. */
	struct ipk_segment *seg = test_segment("k", 65536, 1 << 20);
	struct one a = {.size = 246 * IPK_PAGE}, b = {.size = 1};

	(void)state;
	test_self(seg);
	assert_int_equal(get(seg, &a, NULL), 0);
	memset(seg->base + a.off, 1, a.size);
	assert_int_equal(get(seg, &b, NULL), -ENOSPC);
	assert_int_equal(test_check("k", false), 0);
	assert_int_equal(give(seg, &a), 0);
	assert_int_equal(get(seg, &b, NULL), 0);
	ipk_segment_close(seg);
}

static void growing_by_hand_reaches_that_size_and_never_shrinks(void **state)
{
	struct ipk_segment *seg = test_segment("l", 65536, 8 << 20);
	struct ipk_error err = {0};

	(void)state;
	assert_int_equal(ipk_segment_grow(seg, (1 << 20) + 1, &err), 0);
	assert_int_equal(ipk_header(seg)->size, (1 << 20) + 4096);
	assert_int_equal(file_size(seg), (1 << 20) + 4096);
	assert_int_equal(ipk_segment_grow(seg, 65536, &err), 0);
	assert_int_equal(ipk_segment_grow(seg, 0, &err), 0);
	assert_int_equal(ipk_header(seg)->size, (1 << 20) + 4096);
	assert_int_equal(ipk_segment_grow(seg, (8 << 20) + 1, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "--max"));
	assert_int_equal(ipk_segment_grow(seg, 8 << 20, &err), 0);
	assert_int_equal(ipk_header(seg)->size, 8 << 20);
	assert_int_equal(test_check("l", true), 0);
	ipk_segment_close(seg);
}

static void growing_page_by_page_moves_the_table_without_harm(void **state)
{
	struct ipk_segment *seg = test_segment("v", 65536, 4 << 20);
	struct ipk_error err = {0};
	struct one a[64] = {{0}};
	u64 before, size;
	int i, n = 0, r;

	(void)state;
	for (i = 0; i < 40; i++) {
		a[i].size = 1000;
		assert_int_equal(get(seg, &a[i], NULL), 0);
		stamp(seg, &a[i]);
	}
	for (;; n++) {
		before = ipk_header(seg)->size;
		r = ipk_segment_grow(seg, before + 1, &err);
		if (r < 0)
			break;
		size = ipk_header(seg)->size;
		/* No more than the table needs to move out of its own way. */
		assert_true(size > before);
		assert_true(size <= before + ipk_table_pages(size / IPK_PAGE) * IPK_PAGE);
		if (test_check("v", false) != 0)
			fail_msg("at %llu bytes", (unsigned long long)size);
	}
	assert_int_equal(r, -ENOSPC);
	assert_non_null(strstr(err.text, "--max"));
	assert_true(before + ipk_table_pages(1024) * IPK_PAGE > 4 << 20);
	assert_true(n > 100);
	for (i = 0; i < 40; i++)
		assert_true(stamped(seg, &a[i]));
	ipk_segment_close(seg);
}

static void what_a_dead_grower_left_behind_the_end_is_used_and_not_trusted(void **state)
{
	struct ipk_segment *seg = test_segment("m", 65536, 8 << 20);
	struct one a = {.size = 65536};
	u8 junk[4096];

	(void)state;
	memset(junk, 0xff, sizeof(junk));
	for (off_t at = 65536; at < 1 << 20; at += 4096)
		assert_int_equal(pwrite(seg->fd, junk, 4096, at), 4096);
	assert_int_equal(get(seg, &a, NULL), 0);
	assert_int_equal(ipk_header(seg)->size, 1 << 20);
	assert_int_equal(file_size(seg), 1 << 20);
	assert_int_equal(test_check("m", false), 0);
	ipk_segment_close(seg);
}

static void another_process_sees_what_lies_in_the_grown_part(void **state)
{
	struct ipk_segment *seg = test_segment("n", 65536, 8 << 20), *other = NULL;
	struct one a = {.size = 1 << 20};
	u8 *p;

	(void)state;
	assert_int_equal(ipk_segment_open("n", IPK_READ, &other, NULL), 0);
	assert_null(ipk_at(other, 1 << 20, 8, 8));
	assert_int_equal(get(seg, &a, NULL), 0);
	memset(seg->base + a.off, 0x77, a.size);
	p = ipk_at(other, a.off, a.size, 8);
	assert_non_null(p);
	assert_int_equal(p[a.size - 1], 0x77);
	assert_null(ipk_at(other, a.off + 1, 8, 8));
	assert_null(ipk_at(other, ipk_header(seg)->size, 1, 1));
	assert_null(ipk_at(other, UINT64_MAX, 2, 1));
	assert_null(ipk_at(other, 8, UINT64_MAX, 1));
	ipk_segment_close(other);
	ipk_segment_close(seg);
}

/* ---- memory that goes back -------------------------------------------------------------- */

static u64 file_blocks(struct ipk_segment *seg)
{
	struct stat st;

	assert_int_equal(fstat(seg->fd, &st), 0);
	return (u64)st.st_blocks * 512;
}

static void a_large_object_gives_its_memory_back(void **state)
{
	struct ipk_segment *seg = test_segment("o", 0, 64 << 20);
	struct ipk_error err = {0};
	u64 before;

	(void)state;
	assert_int_equal(ipk_segment_grow(seg, 32 << 20, &err), 0);
	before = file_blocks(seg);
	assert_true(before >= 32 << 20);
	assert_int_equal(test_new(seg, "big", 20 << 20, &err), 0);
	assert_int_equal(ipk_object_remove(seg, "big", &err), 0);
	assert_true(file_blocks(seg) <= before - (20 << 20));
	assert_int_equal(test_check("o", true), 0);
	/* and takes it again */
	assert_int_equal(test_new(seg, "big", 25 << 20, &err), 0);
	assert_true(file_blocks(seg) >= 25 << 20);
	assert_int_equal(test_check("o", true), 0);
	ipk_segment_close(seg);
}

static bool mount_small(const char *size)
{
	char opt[32];

	snprintf(opt, sizeof(opt), "size=%s", size);
	return geteuid() == 0 && mount("tmpfs", test_dir, "tmpfs", 0, opt) == 0;
}

static void a_full_file_system_is_an_error_and_no_signal(void **state)
{
	struct ipk_segment *seg;
	struct ipk_error err = {0};
	struct one a = {.size = 100000}, small = {.size = 64};
	char path[128];
	int n = 0, r, fd;

	(void)state;
	if (!mount_small("8m"))
		skip();
	seg = test_segment("p", 0, 64 << 20);
	test_self(seg);
	while ((r = get(seg, &a, &err)) == 0 && n++ < 1000)
		memset(seg->base + a.off, 1, a.size);
	assert_int_equal(r, -ENOSPC);
	assert_non_null(strstr(err.text, "full"));
	assert_true(n > 40);
	assert_int_equal(test_check("p", false), 0);
	assert_int_equal(ipk_segment_create("q", NULL, NULL, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "--size"));
	ipk_segment_close(seg);
	assert_int_equal(ipk_segment_remove("p", NULL), 0);

	/* What was given back and taken by somebody else. */
	seg = test_segment("r", 6 << 20, 6 << 20);
	assert_int_equal(test_new(seg, "big", 4 << 20, &err), 0);
	assert_int_equal(ipk_object_remove(seg, "big", &err), 0);
	snprintf(path, sizeof(path), "%s/filler", test_dir);
	fd = open(path, O_CREAT | O_RDWR, 0600);
	assert_true(fd >= 0);
	for (n = 4096; fallocate(fd, 0, 0, n) == 0; n += 4096)
		;
	assert_int_equal(test_new(seg, "big", 4 << 20, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "full"));
	/* There is solid memory beside the holes. */
	while ((r = get(seg, &small, &err)) == 0)
		memset(seg->base + small.off, 1, 64);
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(test_check("r", false), 0);
	close(fd);
	unlink(path);
	assert_int_equal(test_new(seg, "big", 3 << 20, &err), 0);
	assert_int_equal(test_check("r", false), 0);
	ipk_segment_close(seg);
	assert_int_equal(umount2(test_dir, MNT_DETACH), 0);
}

static int mounted_teardown(void **state)
{
	umount2(test_dir, MNT_DETACH); /* left by a failure */
	return dir_teardown(state);
}

static void a_small_file_system_gives_a_small_maximum(void **state)
{
	struct ipk_segment *seg;

	(void)state;
	if (!mount_small("8m"))
		skip();
	seg = test_segment("s", 0, 0);
	assert_int_equal(seg->max, 4 << 20);
	ipk_segment_close(seg);
	seg = test_segment("t", 5 << 20, 0);
	assert_int_equal(seg->max, 5 << 20);
	ipk_segment_close(seg);
	assert_int_equal(umount2(test_dir, MNT_DETACH), 0);
}

/* ---- hostile words ---------------------------------------------------------------------- */

static void no_damage_to_the_page_table_crashes_or_hangs(void **state)
{
	struct ipk_segment *seg = test_segment("u", 1 << 20, 1 << 20);
	struct ipk_header *h = ipk_header(seg);
	struct one a[64] = {{0}}, tmp;
	u8 *good = malloc(1 << 20);
	u32 x = 99, i, k;
	u64 *words[3] = {(u64 *)(void *)(seg->base + h->table * IPK_PAGE), h->bins, &h->size};
	u64 count[3] = {255 * 4, IPK_BINS + 16, 12};

	(void)state;
	assert_non_null(good);
	for (i = 0; i < 64; i++) {
		a[i].size = random_size(&x) % 9000 + 8;
		assert_int_equal(get(seg, &a[i], NULL), 0);
	}
	for (i = 0; i < 64; i += 3)
		assert_int_equal(give(seg, &a[i]), 0);
	memcpy(good, seg->base, 1 << 20);
	for (i = 0; i < 20000; i++) {
		u32 area = test_random(&x) % 3;
		u64 *w = &words[area][test_random(&x) % count[area]];

		switch (test_random(&x) % 4) {
		case 0:
			*w = test_random(&x);
			break;
		case 1:
			*w ^= UINT64_C(1) << test_random(&x) % 64;
			break;
		case 2:
			*w = (u64)(test_random(&x) % 300) << 32 | test_random(&x) % 300;
			break;
		default:
			*w = words[0][test_random(&x) % count[0]];
		}
		for (k = 0; k < 4; k++) {
			tmp = a[test_random(&x) % 64];
			(void)give(seg, &tmp);
			tmp.size = random_size(&x);
			(void)get(seg, &tmp, NULL);
		}
		/* All but the lock, whose sequence goes on, and what the registry keeps. */
		memcpy(seg->base + 64, good + 64, 128);
		memcpy(h->bins, good + offsetof(struct ipk_header, bins),
		       offsetof(struct ipk_header, journal) - offsetof(struct ipk_header, bins));
		memcpy(words[0], good + h->table * IPK_PAGE, 2 * IPK_PAGE);
	}
	assert_int_equal(test_check("u", false), 0);
	free(good);
	ipk_segment_close(seg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_million_rounds_of_mixed_sizes_leave_everything_as_it_was),
		cmocka_unit_test(blocks_of_every_size_are_aligned_and_disjoint),
		cmocka_unit_test(what_a_transaction_frees_it_does_not_hand_out_itself),
		cmocka_unit_test(freeing_what_is_no_block_changes_nothing),
		cmocka_unit_test(a_transaction_too_large_for_the_journal_changes_nothing),
		cmocka_unit_test(a_transaction_sees_its_own_writes_and_nobody_else_does),
		cmocka_unit_test(a_committed_change_is_finished_by_the_next_holder),
		cmocka_unit_test(a_damaged_journal_is_an_error_and_not_obeyed),
		cmocka_unit_test(a_segment_grows_to_its_maximum_and_says_so),
		cmocka_unit_test(one_block_larger_than_the_segment_makes_it_grow_enough),
		cmocka_unit_test(an_exact_fit_below_the_maximum_is_found),
		cmocka_unit_test(growing_by_hand_reaches_that_size_and_never_shrinks),
		cmocka_unit_test(growing_page_by_page_moves_the_table_without_harm),
		cmocka_unit_test(what_a_dead_grower_left_behind_the_end_is_used_and_not_trusted),
		cmocka_unit_test(another_process_sees_what_lies_in_the_grown_part),
		cmocka_unit_test(a_large_object_gives_its_memory_back),
		cmocka_unit_test(a_full_file_system_is_an_error_and_no_signal),
		cmocka_unit_test(a_small_file_system_gives_a_small_maximum),
		cmocka_unit_test(no_damage_to_the_page_table_crashes_or_hangs),
	};

	return cmocka_run_group_tests(tests, dir_setup, mounted_teardown);
}
