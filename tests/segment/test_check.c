/* SPDX-License-Identifier: MIT */
/* The checker: silent on what is right, finds each damage, and no damage is too much for it. */
#include "seg.h"

#define SIZE (256 << 10)

static u8 *good;
static const struct ipk_header *h;

/* More participants than the first pages are for. */
static void make_participants(void)
{
	struct ipk_segment *seg[IPK_FIRST_SLOTS + 2];
	int r;

	for (u64 i = 0; i < IPK_ARRAY_LEN(seg); i++) {
		assert_int_equal(ipk_segment_open("good", IPK_READ | IPK_WRITE, &seg[i], NULL), 0);
		assert_non_null(ipk_self(seg[i], &r));
	}
	for (u64 i = 0; i < IPK_ARRAY_LEN(seg); i++)
		ipk_segment_close(seg[i]);
}

/* A segment with some of everything. */
static void make_good(void)
{
	struct ipk_segment *seg = test_segment("good", SIZE, SIZE);
	struct ipk_obj *obj = NULL;
	char name[16];
	int i;

	for (i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "o%d", i);
		assert_int_equal(test_new(seg, name, (u64)i * i, NULL), 0);
	}
	for (i = 0; i < 60; i += 3) {
		snprintf(name, sizeof(name), "o%d", i);
		assert_int_equal(ipk_object_remove(seg, name, NULL), 0);
	}
	make_participants();
	/* and a removed object that is in use */
	assert_int_equal(test_open(seg, "o1", &obj, NULL), 0);
	assert_int_equal(ipk_object_remove(seg, "o1", NULL), 0);
	assert_int_equal(test_check("good", false), 0);
	good = malloc(SIZE);
	assert_non_null(good);
	memcpy(good, seg->base, SIZE);
	h = (const void *)good;
	ipk_obj_close(obj);
	assert_int_equal(test_check("good", true), 0);
	ipk_segment_close(seg);
}

/* Findings in a segment with those bytes; an error to open or load counts as one. */
static int findings(const u8 *bytes)
{
	struct ipk_view *view;
	struct ipk_image im;
	char path[128];
	int n, fd;

	snprintf(path, sizeof(path), "%s/bad.ipk", test_dir);
	fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, SIZE, 0), SIZE);
	close(fd);
	if (ipk_view_open("bad", &view, NULL) < 0)
		return 1;
	n = ipk_image_load(view, &im, NULL, NULL);
	if (n < 0) {
		ipk_view_close(view);
		return 1;
	}
	n = ipk_image_check(&im);
	if (n == 0) {
		test_claim_bodies(&im);
		n = ipk_image_leaks(&im);
	}
	ipk_image_free(&im);
	ipk_view_close(view);
	return n < 0 ? 1 : n;
}

static void must_find(u64 off, u64 val, const char *what)
{
	u8 *bad = malloc(SIZE);

	assert_non_null(bad);
	memcpy(bad, good, SIZE);
	memcpy(bad + off, &val, 8);
	if (findings(bad) == 0)
		fail_msg("%s at %llu, %llx instead of %llx, goes unnoticed", what,
			 (unsigned long long)off, (unsigned long long)val,
			 *(unsigned long long *)(void *)(good + off));
	free(bad);
}

static u64 word(u64 off)
{
	u64 w;

	memcpy(&w, good + off, 8);
	return w;
}

static void each_way(u64 off, const char *what)
{
	u64 w = word(off);

	must_find(off, w + 1, what);
	must_find(off, w - 1, what);
	must_find(off, w ^ UINT64_C(1) << 35, what);
	must_find(off, ~w, what);
	if (w)
		must_find(off, 0, what);
}

static void damage_to_any_word_of_the_header_is_found(void **state)
{
	const u64 single[] = {
		offsetof(struct ipk_header, table),      offsetof(struct ipk_header, dir),
		offsetof(struct ipk_header, dir_live),   offsetof(struct ipk_header, dir_tombs),
		offsetof(struct ipk_header, used),       offsetof(struct ipk_header, objects),
		offsetof(struct ipk_header, zombies),    offsetof(struct ipk_header, bin_map),
		offsetof(struct ipk_header, meta_pages), offsetof(struct ipk_header, size),
	};
	u64 i, k;

	(void)state;
	assert_int_equal(findings(good), 0);
	for (i = 0; i < IPK_ARRAY_LEN(single); i++) {
		/* The directory's generation may have any value. */
		if (single[i] == offsetof(struct ipk_header, dir)) {
			must_find(single[i], word(single[i]) + 1, "dir");
			must_find(single[i], word(single[i]) ^ UINT64_C(1) << 40, "dir");
			must_find(single[i], word(single[i]) ^ UINT64_C(1) << 41, "dir");
		} else {
			each_way(single[i], "a header word");
		}
	}
	must_find(offsetof(struct ipk_header, next_id), h->next_id - 1 - 60, "next_id");
	for (k = 0; k < IPK_BINS; k++)
		each_way(offsetof(struct ipk_header, bins) + 8 * k, "a list of free runs");
	for (k = 0; k < IPK_CLASSES; k++)
		each_way(offsetof(struct ipk_header, partial) + 8 * k, "a list of small blocks");
}

static void damage_to_any_page_is_found(void **state)
{
	const struct ipk_page *t = (const void *)(good + h->table * IPK_PAGE);
	u64 i, off;

	(void)state;
	for (i = 0; i < SIZE / IPK_PAGE; i++) {
		off = h->table * IPK_PAGE + i * sizeof(*t);
		each_way(off + offsetof(struct ipk_page, w), "a page's word");
		must_find(off + offsetof(struct ipk_page, w), t[i].w ^ 1, "a page's type");
		must_find(off + offsetof(struct ipk_page, w), t[i].w ^ 2, "a page's type");
		must_find(off + offsetof(struct ipk_page, w), t[i].w ^ 4, "a page's type");
		if (ipk_pg_type(t[i].w) == IPK_PG_FREE ||
		    (ipk_pg_type(t[i].w) == IPK_PG_SLAB && (ipk_pg_flags(t[i].w) & IPK_PGF_LISTED)))
			each_way(off + offsetof(struct ipk_page, link), "a page's links");
		if (ipk_pg_type(t[i].w) == IPK_PG_SLAB)
			each_way(off + offsetof(struct ipk_page, map), "a map of small blocks");
	}
}

/* Who attached there would have written over what it is besides. */
static void a_page_of_the_registry_that_is_something_else_as_well_is_found(void **state)
{
	const u64 list = h->reg[0] * IPK_PAGE,
		  own[] = {0, 1, h->reg[0], h->table, ipk_dir_page(h->dir)};
	u64 i, k;

	(void)state;
	assert_true(h->nslots > IPK_FIRST_SLOTS);
	for (i = 0; i < h->nslots; i++) {
		for (k = 0; k < IPK_ARRAY_LEN(own); k++)
			must_find(list + 8 * i, own[k], "a slot's page");
		must_find(list + 8 * i, word(list + 8 * ((i + 1) % h->nslots)), "a slot's page");
	}
	must_find(offsetof(struct ipk_header, reg), ipk_dir_page(h->dir), "the list of slots");
}

static void damage_to_any_name_is_found(void **state)
{
	u64 dir = ipk_dir_page(h->dir) * IPK_PAGE, i, e, off;

	(void)state;
	for (i = 0; i < IPK_PAGE; i += 8) {
		e = word(dir + i);
		must_find(dir + i, e ? 0 : IPK_DIR_TOMB, "a slot");
		must_find(dir + i, e ^ UINT64_C(1) << 63, "a slot");
		must_find(dir + i, e + 2, "a slot");
		if (e <= IPK_DIR_TOMB)
			continue;
		off = ipk_dir_off(e);
		each_way(off + offsetof(struct ipk_object, hash), "a name's hash");
		each_way(off + offsetof(struct ipk_object, name), "a name");
		must_find(off + offsetof(struct ipk_object, magic), 0, "an object");
		must_find(off + offsetof(struct ipk_object, state), IPK_OBJ_REMOVED, "a state");
		must_find(off + offsetof(struct ipk_object, size), 2049, "a size");
		must_find(off + offsetof(struct ipk_object, id), 0, "an id");
	}
}

static void two_names_for_one_object_and_circles_are_found(void **state)
{
	u64 dir = ipk_dir_page(h->dir) * IPK_PAGE, i, first = 0;

	(void)state;
	for (i = 0; i < IPK_PAGE; i += 8) {
		if (word(dir + i) <= IPK_DIR_TOMB)
			continue;
		if (first)
			must_find(dir + i, first, "a second name");
		first = word(dir + i);
	}
	assert_int_not_equal(h->zombies, 0);
	must_find(h->zombies + offsetof(struct ipk_object, zombie), h->zombies, "a circle");
	must_find(h->zombies + offsetof(struct ipk_object, zombie), ipk_dir_off(first),
		  "a living zombie");
	must_find(h->zombies + offsetof(struct ipk_object, state), IPK_OBJ_LIVE, "a living zombie");
}

static void no_damage_crashes_or_hangs_the_checker(void **state)
{
	u8 *bad = malloc(SIZE);
	u32 x = 77, i, k, n;
	u64 areas[] = {
		0, 0, h->table * IPK_PAGE, h->table * IPK_PAGE, ipk_dir_page(h->dir) * IPK_PAGE, 0};
	u64 lens[] = {2 * IPK_PAGE, 1280, 2048, 2048, IPK_PAGE, SIZE};

	(void)state;
	assert_non_null(bad);
	for (i = 0; i < 20000; i++) {
		memcpy(bad, good, SIZE);
		n = 1 + test_random(&x) % 8;
		for (k = 0; k < n; k++) {
			u32 area = test_random(&x) % IPK_ARRAY_LEN(areas);
			u64 at = areas[area] + test_random(&x) % lens[area] / 8 * 8;
			u64 from = areas[area] + test_random(&x) % lens[area] / 8 * 8, val;

			if (at < 32 && test_random(&x) % 16)
				continue; /* refused at once, so not too often */
			switch (test_random(&x) % 4) {
			case 0:
				bad[at + test_random(&x) % 8] ^= (u8)(1u << test_random(&x) % 8);
				break;
			case 1:
				memcpy(bad + at, bad + from, 8);
				break;
			case 2:
				val = (u64)(test_random(&x) % 70) << 32 | test_random(&x) % 70;
				memcpy(bad + at, &val, 8);
				break;
			default:
				val = (u64)test_random(&x) << 32 | test_random(&x);
				memcpy(bad + at, &val, 8);
			}
		}
		(void)findings(bad);
	}
	free(bad);
}

static void a_hostile_file_of_holes_costs_nothing(void **state)
{
	struct ipk_segment_options o = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_header big;
	struct ipk_view *view;
	struct ipk_image im;
	char path[128];
	int fd, n;

	(void)state;
	o.sparse = true;
	assert_int_equal(ipk_segment_create("hole", &o, NULL, NULL), 0);
	snprintf(path, sizeof(path), "%s/hole.ipk", test_dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &big, sizeof(big), 0), sizeof(big));
	big.max = big.size = UINT64_C(1) << 40;
	big.table = big.size / IPK_PAGE - ipk_table_pages(big.size / IPK_PAGE);
	big.dir = ipk_dir_word(0, 30, 0);
	assert_int_equal(pwrite(fd, &big, sizeof(big), 0), sizeof(big));
	assert_int_equal(ftruncate(fd, INT64_C(1) << 40), 0);
	assert_int_equal(ipk_view_open_fd(fd, &view, NULL), 0);
	n = ipk_image_load(view, &im, NULL, NULL);
	if (n == 0) {
		assert_true(ipk_image_check(&im) > 0);
		ipk_image_free(&im);
	}
	ipk_view_close(view);
	close(fd);
}

static int setup(void **state)
{
	int r = dir_setup(state);

	if (r == 0)
		make_good();
	return r;
}

static int teardown(void **state)
{
	free(good);
	return dir_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(damage_to_any_word_of_the_header_is_found),
		cmocka_unit_test(damage_to_any_page_is_found),
		cmocka_unit_test(a_page_of_the_registry_that_is_something_else_as_well_is_found),
		cmocka_unit_test(damage_to_any_name_is_found),
		cmocka_unit_test(two_names_for_one_object_and_circles_are_found),
		cmocka_unit_test(no_damage_crashes_or_hangs_the_checker),
		cmocka_unit_test(a_hostile_file_of_holes_costs_nothing),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
