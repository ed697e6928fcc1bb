/* SPDX-License-Identifier: MIT */
/* Maps against a simple model, the memory that they use, and walks over them. */
#include "fixture_map_one.h"

/* ---- against a model ------------------------------------------------------------------------ */

#define KEYS 3000u

/* What the map should have. A key and a value follow from a number each. */
struct model {
	u32 val[KEYS]; /* 0: not there */
	u64 count;
	u32 next;
	u8 key[400], want[3000], got[3000];
};

static u32 key_of(struct model *md, u32 k)
{
	u32 len = k % 5 == 0 ? 4 + k % 300 : 4 + k % 20;

	memset(md->key, (int)(k % 251), len);
	memcpy(md->key, &k, 4);
	return len;
}

static u32 value_of(struct model *md, u32 v)
{
	u32 len = v % 16 == 0 ? v % 2900 : v % 4 == 0 ? 8 : v % 50;
	u64 seed = v;

	fill(md->want, len, seed);
	if (len >= 4)
		memcpy(md->want, &v, 4);
	return len;
}

static void check_key(struct model *md, struct ipk_map *m, u32 k)
{
	u32 klen = key_of(md, k);
	size_t len = 0;
	int r = ipk_map_get(m, md->key, klen, md->got, sizeof(md->got), &len);

	if (!md->val[k]) {
		assert_int_equal(r, -ENOENT);
		return;
	}
	assert_int_equal(r, 0);
	assert_int_equal(len, value_of(md, md->val[k]));
	assert_memory_equal(md->got, md->want, len);
}

static void one_random_op(struct model *md, struct ipk_map *m, u64 *seed, u32 keys, u32 deletions)
{
	u32 k = seeded(seed) % keys, what = seeded(seed) % 100, v = ++md->next, klen, vlen;
	int r;

	if (what < 40) {
		check_key(md, m, k);
		return;
	}
	klen = key_of(md, k);
	if (what < 40 + deletions) {
		r = ipk_map_del(m, md->key, klen, IPK_FOREVER);
		assert_int_equal(r, md->val[k] ? 0 : -ENOENT);
		md->count -= md->val[k] != 0;
		md->val[k] = 0;
	} else if (what < 95) {
		vlen = value_of(md, v);
		assert_int_equal(ipk_map_put(m, md->key, klen, md->want, vlen, IPK_FOREVER), 0);
		md->count += !md->val[k];
		md->val[k] = v;
	} else {
		vlen = value_of(md, v);
		r = ipk_map_put_if_absent(m, md->key, klen, md->want, vlen, IPK_FOREVER);
		assert_int_equal(r, md->val[k] ? -EEXIST : 0);
		md->count += !md->val[k];
		md->val[k] = md->val[k] ? md->val[k] : v;
	}
	assert_int_equal(ipk_map_count(m), md->count);
}

struct walk {
	struct model *md;
	u8 seen[KEYS];
	u64 n, last;
};

static int visit(struct walk *w, const void *key, size_t klen, const void *val, size_t vlen)
{
	u32 k;

	assert_in_range(klen, 4, 400);
	memcpy(&k, key, 4);
	assert_in_range(k, 0, KEYS - 1);
	assert_int_equal(klen, key_of(w->md, k));
	assert_memory_equal(key, w->md->key, klen);
	assert_false(w->seen[k]++);
	assert_int_not_equal(w->md->val[k], 0);
	assert_int_equal(vlen, value_of(w->md, w->md->val[k]));
	assert_memory_equal(val, w->md->want, vlen);
	assert_true(ipk_map_hash(0, key, klen) >= w->last);
	w->last = ipk_map_hash(0, key, klen);
	w->n++;
	return 0;
}

static int visit_mapped(void *arg, const struct ipk_map_item *item)
{
	assert_int_equal((uintptr_t)item->key % 8, 0);
	assert_int_equal((uintptr_t)item->value % 8, 0);
	return visit(arg, item->key, item->klen, item->value, item->vlen);
}

static int visit_viewed(void *arg, const struct ipk_item *item)
{
	struct walk *w = arg;

	assert_int_equal(item->pos, w->n);
	return visit(w, item->key, item->key_len, item->data, item->len);
}

static void check_walks(struct model *md, struct ipk_map *m)
{
	struct walk w = {.md = md};
	struct look l;
	uint64_t used, cap;

	assert_int_equal(ipk_map_foreach(m, visit_mapped, &w), 0);
	assert_int_equal(w.n, md->count);
	memset(&w, 0, sizeof(w));
	w.md = md;
	look(&l, "s", "m");
	assert_int_equal(l.kind->items(&l.o, 0, UINT64_MAX, visit_viewed, &w), 0);
	assert_int_equal(w.n, md->count);
	assert_int_equal(l.kind->inspect(&l.o, &used, &cap), 0);
	assert_int_equal(used, md->count);
	assert_true(cap >= used);
	look_end(&l);
	assert_int_equal(findings_of("s", "m").n, 0);
}

static void a_million_random_operations_do_what_a_simple_model_does(void **state)
{
	struct model *md = calloc(1, sizeof(*md));
	struct ipk_map *m = make("m", "bytes", "bytes", 4);
	u64 seed = 4711;

	(void)state;
	for (u32 round = 0; round < 40; round++) {
		/* Few keys and many, filling and emptying, so that the table grows and shrinks. */
		u32 keys = round % 4 == 3 ? 40 : KEYS, deletions = round % 2 ? 55 : 10;

		for (u32 i = 0; i < 25000; i++)
			one_random_op(md, m, &seed, keys, deletions);
		check_walks(md, m);
	}
	for (u32 k = 0; k < KEYS; k++)
		check_key(md, m, k);
	assert_true(ipk_ld(&m->b->tables, relaxed) > 30);
	free(md);
	end(m, "m");
}

/* ---- space ---------------------------------------------------------------------------------- */

static void what_was_used_is_free_again_when_all_is_deleted(void **state)
{
	u64 nothing = used(), empty;
	struct ipk_map *m = make("m", "bytes", "u32", 10);
	u8 val[5000] = {1};
	size_t len;

	(void)state;
	empty = used();
	for (u32 k = 0; k < 20000; k++)
		assert_int_equal(
			ipk_map_put(m, &k, 4, val, k % 100 ? k % 200 : k % 5000, IPK_FOREVER), 0);
	assert_true(used() > empty + 20000 * 64);
	for (u32 k = 0; k < 20000; k++) {
		assert_int_equal(ipk_map_get(m, &k, 4, val, sizeof(val), &len), 0);
		assert_int_equal(len, k % 100 ? k % 200 : k % 5000);
	}
	assert_int_equal(findings_of("s", "m").n, 0);
	for (u32 k = 0; k < 20000; k++)
		assert_int_equal(ipk_map_del(m, &k, 4, IPK_FOREVER), 0);
	assert_int_equal(used(), empty);
	for (u32 k = 0; k < 3000; k++)
		assert_int_equal(ipk_map_put(m, &k, 4, val, k % 3000, IPK_FOREVER), 0);
	end(m, "m");
	assert_int_equal(used(), nothing);
}

static void a_million_rounds_of_put_and_delete_use_no_more_memory(void **state)
{
	struct ipk_map *m = make("m", "u64", "u64", 100);
	u64 before = used(), tables = ipk_ld(&m->b->tables, relaxed);

	(void)state;
	for (u64 i = 0; i < 1000000; i++) {
		u64 key = i * UINT64_C(0x9e3779b97f4a7c15);

		assert_int_equal(ipk_map_put(m, &key, 8, &i, 8, IPK_FOREVER), 0);
		assert_int_equal(ipk_map_del(m, &key, 8, IPK_FOREVER), 0);
	}
	assert_int_equal(used(), before);
	/* A slot in front of an empty one becomes empty again: nothing to clean up. */
	assert_int_equal(ipk_ld(&m->b->tables, relaxed), tables);
	end(m, "m");
}

static void a_full_segment_refuses_and_loses_nothing(void **state)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_segment *small;
	struct ipk_map *m;
	u8 val[3000] = {7};
	u32 k = 0, last;
	int r;

	(void)state;
	options.size = options.max = 512 << 10;
	assert_int_equal(ipk_segment_create("small", &options, &small, NULL), 0);
	assert_int_equal(ipk_map_create(small, "m", "bytes", "u32", 8, NULL), 0);
	assert_int_equal(ipk_map_open(small, "m", NULL, NULL, &m, NULL), 0);
	do {
		r = ipk_map_put(m, &k, 4, val, sizeof(val), IPK_FOREVER);
	} while (r == 0 && ++k);
	assert_int_equal(r, -ENOSPC);
	last = k;
	assert_int_equal(ipk_map_count(m), last);
	/* What needs less than a page may fit still; then not even that. */
	for (r = 0; r == 0;)
		r = ipk_map_put(m, &k, 4, val, 1, IPK_FOREVER) ?: (k++, 0);
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(ipk_map_count(m), k);
	for (u32 i = 0; i < k; i++)
		assert_int_equal(ipk_map_has(m, &i, 4), 1);
	assert_int_equal(ipk_map_has(m, &k, 4), 0);
	assert_int_equal(findings_of("small", "m").n, 0);
	for (u32 i = 0; i < last; i++)
		assert_int_equal(ipk_map_del(m, &i, 4, IPK_FOREVER), 0);
	assert_int_equal(ipk_map_put(m, &last, 4, val, sizeof(val), IPK_FOREVER), 0);
	assert_int_equal(findings_of("small", "m").n, 0);
	ipk_map_close(m);
	ipk_segment_close(small);
}

static void a_table_that_cannot_grow_is_filled_further(void **state)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_segment *small;
	struct ipk_map *m;
	u64 k = 0;
	int r = 0;

	(void)state;
	options.size = options.max = 256 << 10;
	assert_int_equal(ipk_segment_create("small", &options, &small, NULL), 0);
	/* The table of 1536 entries takes 16 KiB; no second of twice the size fits beside the
	 * entries. */
	assert_int_equal(ipk_map_create(small, "m", "u64", "u64", 1536, NULL), 0);
	assert_int_equal(ipk_map_open(small, "m", NULL, NULL, &m, NULL), 0);
	while (r == 0) {
		r = ipk_map_put(m, &k, 8, &k, 8, IPK_FOREVER);
		k += r == 0;
	}
	assert_int_equal(r, -ENOSPC);
	assert_true(k > 1536);
	for (u64 i = 0; i < k; i++)
		assert_int_equal(ipk_map_has(m, &i, 8), 1);
	assert_int_equal(ipk_map_has(m, &k, 8), 0);
	assert_int_equal(findings_of("small", "m").n, 0);
	ipk_map_close(m);
	ipk_segment_close(small);
}

/* ---- walks ---------------------------------------------------------------------------------- */

static int delete_each(void *arg, const struct ipk_map_item *item)
{
	struct ipk_map *m = arg;
	u64 other;

	assert_int_equal(ipk_map_del(m, item->key, item->klen, IPK_FOREVER), 0);
	/* New keys come, too; whether they are given is open. */
	memcpy(&other, item->key, 8);
	other += UINT64_C(1) << 40;
	if (other < UINT64_C(2) << 40)
		assert_int_equal(ipk_map_put(m, &other, 8, &other, 8, IPK_FOREVER), 0);
	return 0;
}

static void a_walk_may_be_ended_and_may_change_the_map(void **state)
{
	struct ipk_map *m = make("m", "u64", "u64", 4);
	int n = 0;

	(void)state;
	assert_int_equal(ipk_map_foreach(m, stop_at_three, &n), 0);
	assert_int_equal(n, 0);
	for (u64 k = 0; k < 5000; k++)
		assert_int_equal(ipk_map_put(m, &k, 8, &k, 8, IPK_FOREVER), 0);
	assert_int_equal(ipk_map_foreach(m, stop_at_three, &n), 42);
	assert_int_equal(n, 3);
	assert_int_equal(ipk_map_foreach(m, delete_each, m), 0);
	for (u64 k = 0; k < 5000; k++)
		assert_int_equal(ipk_map_has(m, &k, 8), 0);
	end(m, "m");
}

/* Keys are numbers whose hashes are what we want: found by search, so few bits of them. */
static u64 key_with_home(u32 log2, u64 home, u64 from)
{
	while (ipk_map_home(ipk_map_hash(0, &from, 8), log2) != home)
		from++;
	return from;
}

static void entries_behind_the_last_slot_begin_again_at_the_first(void **state)
{
	struct ipk_map *m = make("m", "u64", "u64", 12); /* 16 slots */
	u64 key[8], n = 0, from = 0;
	struct look l;

	(void)state;
	for (int i = 0; i < 6; i++) { /* five of these lie in slots 0 to 4 */
		key[n] = key_with_home(4, 15, from);
		from = key[n] + 1;
		assert_int_equal(ipk_map_put(m, &key[n], 8, &n, 8, IPK_FOREVER), 0);
		n++;
	}
	key[n] = key_with_home(4, 0, 0);
	assert_int_equal(ipk_map_put(m, &key[n], 8, &n, 8, IPK_FOREVER), 0);
	n++;
	for (u64 i = 0, got; i < n; i++) {
		assert_int_equal(ipk_map_get(m, &key[i], 8, &got, 8, NULL), 0);
		assert_int_equal(got, i);
	}
	look(&l, "s", "m");
	for (int pass = 0; pass < 2; pass++) {
		int seen = 0;

		assert_int_equal(ipk_map_foreach(m, stop_at_three, &seen), 42);
		seen = 3; /* counts the rest without an end */
		assert_int_equal(ipk_map_foreach(m, stop_at_three, &seen), 0);
		assert_int_equal(seen, 3 + n);
		assert_int_equal(findings_of("s", "m").n, 0);
		/* The first of the cluster goes: a tombstone, and all others are found behind it.
		 */
		if (pass == 0) {
			assert_int_equal(ipk_map_del(m, &key[0], 8, IPK_FOREVER), 0);
			assert_int_equal(ipk_ld(&m->b->tombs, relaxed), 1);
			key[0] = key[--n];
		}
	}
	look_end(&l);
	for (u64 i = 0; i < n; i++)
		assert_int_equal(ipk_map_del(m, &key[i], 8, IPK_FOREVER), 0);
	/* The last of the cluster takes the tombstones before it along. */
	assert_int_equal(ipk_map_count(m), 0);
	end(m, "m");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_million_random_operations_do_what_a_simple_model_does),
		TEST(what_was_used_is_free_again_when_all_is_deleted),
		TEST(a_million_rounds_of_put_and_delete_use_no_more_memory),
		TEST(a_full_segment_refuses_and_loses_nothing),
		TEST(a_table_that_cannot_grow_is_filled_further),
		TEST(a_walk_may_be_ended_and_may_change_the_map),
		TEST(entries_behind_the_last_slot_begin_again_at_the_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
