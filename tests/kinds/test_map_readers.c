/* SPDX-License-Identifier: MIT */
/* Maps: readers beside writers and new tables, readers that are stopped, writers in a crowd. */
#include "fixture_map.h"

struct churn {
	u32 stop;
	u32 writer; /* numbers them */
	u64 rounds;
};

static void write_all_the_time(void *arg)
{
	struct churn *c = arg;
	struct ipk_segment *seg;
	struct ipk_map *m = open_map(IPK_WRITE, &seg);
	u64 id = ipk_add(&c->writer, 1, relaxed), seed = id, number = 1;
	struct value v;

	must(m);
	while (!ipk_ld(&c->stop, relaxed)) {
		/* Bursts of puts and of deletions, so that tables grow and shrink. */
		bool fill = number / 500 % 2 == 0;
		u64 key = seeded(&seed) % 4 ? KEPT + seeded(&seed) % COMING : seeded(&seed) % KEPT;

		key -= key < KEPT ? key % 2 : 0;
		key += key < KEPT ? id % 2 : 0; /* each kept key has one writer */
		number++;
		if (key < KEPT || fill) {
			size_t len = make_value(&v, key, number);

			must(ipk_map_put(m, &key, 8, &v, len, IPK_FOREVER) == 0);
		} else {
			int r = ipk_map_del(m, &key, 8, IPK_FOREVER);

			must(r == 0 || r == -ENOENT);
		}
	}
	close_map(m, seg);
}

static void must_be_there(struct ipk_map *m, u64 key, u64 *last)
{
	struct value v;
	size_t len = 0;

	must(ipk_map_get(m, &key, 8, &v, sizeof(v), &len) == 0);
	must_be_whole(&v, len, key);
	/* A later look does not find an older value. */
	must(v.number >= *last);
	*last = v.number;
}

struct seen {
	u64 kept;
	u64 last; /* hash */
};

static int see(struct seen *s, const void *key, size_t klen, const void *val, size_t vlen)
{
	u64 k, hash = ipk_map_hash(0, key, klen);

	must(klen == 8);
	memcpy(&k, key, 8);
	must_be_whole(val, vlen, k);
	must(hash > s->last || s->last == 0); /* none comes twice */
	s->last = hash;
	s->kept += k < KEPT;
	return 0;
}

static int see_mapped(void *arg, const struct ipk_map_item *item)
{
	return see(arg, item->key, item->klen, item->value, item->vlen);
}

static int see_viewed(void *arg, const struct ipk_item *item)
{
	return see(arg, item->key, item->key_len, item->data, item->len);
}

static void read_mapped(struct churn *c, unsigned mode)
{
	struct ipk_segment *seg;
	struct ipk_map *m = open_map(mode, &seg);
	u64 last[KEPT] = {0}, seed = mode;

	must(m);
	for (u64 i = 0; i < c->rounds; i++) {
		struct seen s = {0};

		for (u64 n = 0; n < 50; n++) {
			u64 key = KEPT + seeded(&seed) % COMING;
			struct value v;
			size_t len = 0;
			int r;

			must_be_there(m, n % KEPT, &last[n % KEPT]);
			r = ipk_map_get(m, &key, 8, &v, sizeof(v), &len);
			must(r == 0 || r == -ENOENT);
			if (r == 0)
				must_be_whole(&v, len, key);
		}
		must(ipk_map_foreach(m, see_mapped, &s) == 0);
		must(s.kept == KEPT);
	}
	close_map(m, seg);
}

static void read_with_write_permission(void *arg)
{
	read_mapped(arg, IPK_WRITE);
}

static void read_without_write_permission(void *arg)
{
	read_mapped(arg, IPK_READ);
}

static int take_value(void *arg, const struct ipk_item *item)
{
	(void)arg;
	must_be_whole(item->data, item->len, 3);
	return 0;
}

static void read_by_view(void *arg)
{
	struct churn *c = arg;
	struct look l;

	look(&l, "s", "m");
	for (u64 i = 0; i < c->rounds / 4; i++) {
		struct seen s = {0};

		must(l.kind->items(&l.o, 0, UINT64_MAX, see_viewed, &s) == 0);
		must(s.kept == KEPT);
		must(l.kind->item(&l.o, "3", 1, take_value, NULL) == 0);
	}
	look_end(&l);
}

static void readers_see_whole_values_beside_writers_and_new_tables(void **state)
{
	struct churn *c = shared(sizeof(*c));
	pid_t writer[2], reader[3];
	struct ipk_segment *seg;
	struct ipk_map *m;
	struct value v;
	u64 tables;

	(void)state;
	make_map("bytes", "u64", 4);
	m = open_map(IPK_WRITE, &seg);
	for (u64 key = 0; key < KEPT; key++)
		assert_int_equal(ipk_map_put(m, &key, 8, &v, make_value(&v, key, 0), IPK_FOREVER),
				 0);
	tables = ipk_ld(&m->b->tables, relaxed);
	c->rounds = 2000;
	for (int i = 0; i < 2; i++)
		writer[i] = spawn(write_all_the_time, c);
	reader[0] = spawn(read_with_write_permission, c);
	reader[1] = spawn(read_without_write_permission, c);
	reader[2] = spawn(read_by_view, c);
	for (int i = 0; i < 3; i++)
		assert_ended_well(join_child(reader[i]));
	/* Slow machines, too, have come to where tables are replaced. */
	await(ipk_ld(&m->b->tables, relaxed) > tables + 10);
	ipk_st(&c->stop, 1, relaxed);
	for (int i = 0; i < 2; i++)
		assert_ended_well(join_child(writer[i]));
	fsck_is_silent();
	close_map(m, seg);
	munmap(c, sizeof(*c));
}

/* ---- stopped readers ------------------------------------------------------------------------ */

#define LARGE (256u << 10)

struct paused {
	u32 stop;
	u64 reads;
};

/* Nearly all of its time goes into the copy, so that is where it is stopped. */
static void read_a_large_value(void *arg)
{
	struct paused *p = arg;
	struct ipk_segment *seg;
	struct ipk_map *m = open_map(IPK_WRITE, &seg);
	u8 *buf = malloc(LARGE);
	u64 key = 1;
	size_t len = 0;

	must(m && buf);
	while (!ipk_ld(&p->stop, relaxed)) {
		must(ipk_map_get(m, &key, 8, buf, LARGE, &len) == 0);
		must(len == LARGE && memcmp(buf, buf + 1, LARGE - 1) == 0);
		ipk_add(&p->reads, 1, relaxed);
	}
	free(buf);
	close_map(m, seg);
}

static void stop_reader(pid_t pid, struct paused *p)
{
	u64 reads = ipk_ld(&p->reads, relaxed);

	await(ipk_ld(&p->reads, relaxed) > reads);
	stop_child(pid);
}

static void end_reader(pid_t pid, struct paused *p)
{
	u64 reads = ipk_ld(&p->reads, relaxed);

	await(ipk_ld(&p->reads, relaxed) > reads + 1);
	ipk_st(&p->stop, 1, relaxed);
	assert_ended_well(join_child(pid));
}

/* Two puts: the value lies in the same block again, and is another. */
static void put_twice(struct ipk_map *m, u64 round)
{
	static u8 val[LARGE];
	u64 key = 1;

	for (int i = 0; i < 2; i++) {
		memset(val, (int)(2 * round + (u64)i), LARGE);
		assert_int_equal(ipk_map_put(m, &key, 8, val, LARGE, IPK_FOREVER), 0);
	}
}

static void a_reader_stopped_in_the_middle_gets_a_whole_value(void **state)
{
	struct paused *p = shared(sizeof(*p));
	struct ipk_segment *seg;
	struct ipk_map *m;
	pid_t pid;

	(void)state;
	make_map("bytes", "u64", 4);
	m = open_map(IPK_WRITE, &seg);
	put_twice(m, 0);
	pid = spawn(read_a_large_value, p);
	for (u64 i = 0; i < 50; i++) {
		stop_reader(pid, p);
		put_twice(m, i);
		assert_int_equal(kill(pid, SIGCONT), 0);
	}
	end_reader(pid, p);
	fsck_is_silent();
	close_map(m, seg);
	munmap(p, sizeof(*p));
}

#define CHAIN 1000u
#define CHAIN_LOG2 12u /* slots of the table for 3000 entries */

/* The key behind all others of one home: nearly all of a look-up goes into passing by them. */
static u64 chain[CHAIN + 1];

static void read_the_last_of_a_chain(void *arg)
{
	struct paused *p = arg;
	struct ipk_segment *seg;
	struct ipk_map *m = open_map(IPK_WRITE, &seg);
	u64 val = 0;

	must(m);
	while (!ipk_ld(&p->stop, relaxed)) {
		must(ipk_map_get(m, &chain[CHAIN], 8, &val, 8, NULL) == 0);
		must(val == chain[CHAIN]);
		ipk_add(&p->reads, 1, relaxed);
	}
	close_map(m, seg);
}

static struct ipk_map *map_with_a_chain(struct ipk_segment **ret_seg)
{
	struct ipk_map *m;
	u32 i;

	make_map("bytes", "u64", 3000);
	m = open_map(IPK_WRITE, ret_seg);
	assert_int_equal(ipk_map_log2(m->b->table), CHAIN_LOG2);
	for (i = 0; i <= CHAIN; i++)
		assert_int_equal(ipk_map_put(m, &chain[i], 8, &chain[i], 8, IPK_FOREVER), 0);
	for (i = 0; i < CHAIN; i++)
		assert_int_equal(ipk_map_del(m, &chain[i], 8, IPK_FOREVER), 0);
	assert_int_equal(ipk_ld(&m->b->tombs, relaxed), CHAIN);
	return m;
}

/* A new table; where the old one was there are zeros, which look like a table without entries. */
static void replace_the_table(struct ipk_map *m)
{
	static u8 zeros[8u << CHAIN_LOG2];
	u64 off = ipk_map_table_off(m->b->table), key = 0;

	while (ipk_map_table_off(m->b->table) == off) {
		key++;
		assert_int_equal(ipk_map_put(m, &key, 8, "", 0, IPK_FOREVER), 0);
	}
	for (u64 n = 0; n < 64 && ipk_block_size(m->obj.seg, off) == 0; n++, key++)
		assert_int_equal(ipk_map_put(m, &key, 8, zeros, sizeof(zeros) - 64, IPK_FOREVER),
				 0);
}

static void a_reader_stopped_in_the_middle_finds_what_is_there(void **state)
{
	struct paused *p = shared(sizeof(*p));
	struct ipk_segment *seg;
	struct ipk_map *m;
	u64 key = UINT64_C(1) << 32;
	pid_t pid;

	(void)state;
	for (u32 i = 0; i <= CHAIN; key++)
		if (ipk_map_home(ipk_map_hash(0, &key, 8), CHAIN_LOG2) == 77)
			chain[i++] = key;
	for (u64 round = 0; round < 10; round++) {
		m = map_with_a_chain(&seg);
		*p = (struct paused){0};
		pid = spawn(read_the_last_of_a_chain, p);
		stop_reader(pid, p);
		replace_the_table(m);
		assert_int_equal(kill(pid, SIGCONT), 0);
		end_reader(pid, p);
		fsck_is_silent();
		close_map(m, seg);
		assert_int_equal(ipk_segment_remove("s", NULL), 0);
	}
	munmap(p, sizeof(*p));
}

/* ---- four writers --------------------------------------------------------------------------- */

#define WRITERS 4u

static void add_and_put(void *arg)
{
	struct churn *c = arg;
	struct ipk_segment *seg;
	struct ipk_map *m = open_map(IPK_WRITE, &seg);
	u64 id = ipk_add(&c->writer, 1, relaxed), one = 1;

	must(m);
	for (u64 i = 0; i < c->rounds; i++) {
		u64 common = i % 3, own = 1000 + i * WRITERS + id, sum = 0;

		must(ipk_map_add(m, &common, 8, &one, &sum, IPK_FOREVER) == 0);
		must(sum > 0);
		must(ipk_map_put_if_absent(m, &own, 8, &i, 8, IPK_FOREVER) == 0);
		if (i % 2)
			must(ipk_map_del(m, &own, 8, IPK_FOREVER) == 0);
	}
	close_map(m, seg);
}

static void four_writers_lose_nothing(void **state)
{
	struct churn *c = shared(sizeof(*c));
	pid_t pid[WRITERS];
	struct ipk_segment *seg;
	struct ipk_map *m;
	u64 sum = 0, val;

	(void)state;
	make_map("u64", "u64", 4);
	c->rounds = 6000;
	for (u32 i = 0; i < WRITERS; i++)
		pid[i] = spawn(add_and_put, c);
	for (u32 i = 0; i < WRITERS; i++)
		assert_ended_well(join_child(pid[i]));
	m = open_map(IPK_WRITE, &seg);
	for (u64 key = 0; key < 3; key++) {
		assert_int_equal(ipk_map_get(m, &key, 8, &val, 8, NULL), 0);
		sum += val;
	}
	assert_int_equal(sum, WRITERS * c->rounds);
	assert_int_equal(ipk_map_count(m), 3 + WRITERS * c->rounds / 2);
	for (u64 i = 0; i < c->rounds; i++) {
		for (u64 id = 0; id < WRITERS; id++) {
			u64 key = 1000 + i * WRITERS + id;
			int r = ipk_map_get(m, &key, 8, &val, 8, NULL);

			assert_int_equal(r, i % 2 ? -ENOENT : 0);
			if (!r)
				assert_int_equal(val, i);
		}
	}
	fsck_is_silent();
	close_map(m, seg);
	munmap(c, sizeof(*c));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(readers_see_whole_values_beside_writers_and_new_tables),
		TRACE(D1, a_reader_stopped_in_the_middle_gets_a_whole_value),
		TEST(a_reader_stopped_in_the_middle_finds_what_is_there),
		TEST(four_writers_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
