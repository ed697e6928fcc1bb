/* SPDX-License-Identifier: MIT */
/* Maps under many processes, killed and stopped ones. */
#include "fixture_kind.h"

#include "ipk/map.h"
#include "kinds/map_write.h"

static void make_map(const char *type, const char *key, u64 cap)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_segment *seg;
	struct ipk_error err = { 0 };

	options.max = UINT64_C(128) << 20;
	if (ipk_segment_create("s", &options, &seg, &err) < 0 ||
	    ipk_map_create(seg, "m", type, key, cap, &err) < 0)
		fail_msg("%s", err.text);
	ipk_segment_close(seg);
}

static struct ipk_map *open_map(unsigned mode, struct ipk_segment **ret_seg)
{
	struct ipk_map *m = NULL;
	struct ipk_error err = { 0 };

	if (ipk_segment_open("s", mode, ret_seg, &err) < 0 ||
	    ipk_map_open(*ret_seg, "m", NULL, NULL, &m, &err) < 0)
		fprintf(stderr, "open: %s\n", err.text);
	return m;
}

static void close_map(struct ipk_map *m, struct ipk_segment *seg)
{
	ipk_map_close(m);
	ipk_segment_close(seg);
}

static void print_finding(void *arg, const char *where, const char *what)
{
	++*(int *)arg;
	print_message("fsck: %s: %s\n", where, what);
}

static void fsck_is_silent(void)
{
	struct ipk_view *view;
	struct ipk_error err = { 0 };
	int n = 0;

	assert_int_equal(ipk_view_open("s", &view, &err), 0);
	assert_int_equal(ipk_fsck(view, print_finding, &n, &err), 0);
	assert_int_equal(n, 0);
	ipk_view_close(view);
}

/* ---- readers beside writers and new tables ------------------------------------------------------- */

/*
 * A value is {key, number, length, bytes that follow from the number}: torn, mixed or another key's, it
 * would not fit. Keys below KEPT are always there, with ever larger numbers; others come and go.
 */
#define KEPT 8u
#define COMING 400u
#define VALUE_MAX 3000u

struct value {
	u64 key, number;
	u32 len, pad;
	u8 bytes[VALUE_MAX];
};

static size_t make_value(struct value *v, u64 key, u64 number)
{
	u64 seed = key * 31 + number;

	v->key = key;
	v->number = number;
	v->len = number % 3 ? (u32)(number % 40) : (u32)(seeded(&seed) % VALUE_MAX);
	v->pad = 0;
	for (u32 i = 0; i < v->len; i++)
		v->bytes[i] = (u8)(key * 7 + number * 13 + i);
	return offsetof(struct value, bytes) + v->len;
}

static void must_be_whole(const void *data, size_t len, u64 key)
{
	struct value v;

	must(len >= offsetof(struct value, bytes) && len <= sizeof(v));
	memcpy(&v, data, len);
	must(v.key == key && len == offsetof(struct value, bytes) + v.len);
	for (u32 i = 0; i < v.len; i++)
		must(v.bytes[i] == (u8)(v.key * 7 + v.number * 13 + i));
}

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
	u64 last[KEPT] = { 0 }, seed = mode;

	must(m);
	for (u64 i = 0; i < c->rounds; i++) {
		struct seen s = { 0 };

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
		struct seen s = { 0 };

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
		assert_int_equal(ipk_map_put(m, &key, 8, &v, make_value(&v, key, 0), IPK_FOREVER), 0);
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

/* ---- stopped readers ------------------------------------------------------------------------------- */

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
	int status;

	await(ipk_ld(&p->reads, relaxed) > reads);
	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
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
		assert_int_equal(ipk_map_put(m, &key, 8, zeros, sizeof(zeros) - 64, IPK_FOREVER), 0);
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
		*p = (struct paused){ 0 };
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

/* ---- four writers -------------------------------------------------------------------------------- */

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

/* ---- killed writers ------------------------------------------------------------------------------ */

#define KILLS 200
#define OWN 24u /* keys of each writer */

/* What one writer has been told, outside the segment. Numbers: 0 is "not there". */
struct ledger {
	u64 acked[OWN]; /* value of the last operation that returned */
	u64 started[OWN]; /* value of the last that was begun */
	u64 ops;
};

struct ledgers {
	struct ledger writer[2];
	u32 stop;
	u32 who;
};

static void work_until_killed(void *arg)
{
	struct ledgers *all = arg;
	u32 who = ipk_ld(&all->who, relaxed);
	struct ledger *l = &all->writer[who];
	struct ipk_segment *seg;
	struct ipk_map *m = open_map(IPK_WRITE, &seg);
	u64 seed = (u64)getpid() * 77, number = 1;
	struct value v;

	must(m);
	for (u32 i = 0; i < OWN; i++)
		number = l->started[i] >= number ? l->started[i] + 1 : number;
	while (!ipk_ld(&all->stop, relaxed)) {
		u32 i = seeded(&seed) % OWN;
		u64 key = 100 * (who + 1) + i;
		bool put = seeded(&seed) % 3;
		int r;

		number++;
		ipk_st(&l->started[i], put ? number : 0, seq_cst);
		r = put ? ipk_map_put(m, &key, 8, &v, make_value(&v, key, number), IPK_FOREVER) :
			  ipk_map_del(m, &key, 8, IPK_FOREVER);
		must(r == 0 || (r == -ENOENT && !put && !l->acked[i]));
		ipk_st(&l->acked[i], put ? number : 0, seq_cst);
		ipk_add(&l->ops, 1, relaxed);
	}
	close_map(m, seg);
}

/* Each key has what its writer was told, or what it had begun. Then that counts as told. */
static void check_ledger(struct ipk_map *m, struct ledger *l, u32 who)
{
	struct value v;
	size_t len;

	for (u32 i = 0; i < OWN; i++) {
		u64 key = 100 * (who + 1) + i, found = 0;
		int r = ipk_map_get(m, &key, 8, &v, sizeof(v), &len);

		if (r == 0) {
			must_be_whole(&v, len, key);
			found = v.number;
		} else {
			assert_int_equal(r, -ENOENT);
		}
		if (found != l->acked[i])
			assert_int_equal(found, l->started[i]);
		l->acked[i] = l->started[i] = found;
	}
}

static pid_t start_writer(struct ledgers *all, u32 who)
{
	ipk_st(&all->who, who, relaxed);
	return spawn(work_until_killed, all);
}

static void two_hundred_kills_lose_nothing_that_was_acknowledged(void **state)
{
	struct ledgers *all = shared(sizeof(*all));
	struct ipk_segment *seg;
	struct ipk_map *m;
	u64 seed = 99, used;
	pid_t pid;

	(void)state;
	make_map("bytes", "u64", 4);
	m = open_map(IPK_WRITE, &seg);
	used = info_of("s").used;
	for (int k = 0; k < KILLS; k++) {
		u32 who = (u32)k % 2;
		u64 ops = all->writer[who].ops, enough = ops + seeded(&seed) % 200, spin;
		u64 own = 7;

		pid = start_writer(all, who);
		await(ipk_ld(&all->writer[who].ops, relaxed) >= enough);
		for (spin = seeded(&seed) % 3000; spin; spin--)
			ipk_pause();
		kill_child(pid);
		/* Nobody waits for the dead; the survivor writes at once, and then all is in order. */
		assert_int_equal(ipk_map_put(m, &own, 8, &ops, 8, ipk_deadline(LIMIT_NS)), 0);
		check_ledger(m, &all->writer[who], who);
		if (k % 20 == 19)
			fsck_is_silent();
	}
	ipk_segment_sweep(seg);
	fsck_is_silent();
	for (u32 who = 0; who < 2; who++)
		check_ledger(m, &all->writer[who], who);
	for (u64 key = 0; key < 300; key++)
		(void)ipk_map_del(m, &key, 8, IPK_FOREVER);
	assert_int_equal(ipk_map_count(m), 0);
	assert_int_equal(info_of("s").used, used);
	close_map(m, seg);
	munmap(all, sizeof(*all));
}

static void kills_among_living_writers_disturb_nobody(void **state)
{
	struct ledgers *all = shared(sizeof(*all));
	struct ipk_segment *seg;
	struct ipk_map *m;
	u64 seed = 5, ops;
	pid_t pid, survivor;

	(void)state;
	make_map("bytes", "u64", 4);
	m = open_map(IPK_WRITE, &seg);
	survivor = start_writer(all, 0);
	await(ipk_ld(&all->writer[0].ops, relaxed) > 0);
	for (int k = 0; k < 60; k++) {
		ops = all->writer[1].ops + 1 + seeded(&seed) % 50;
		pid = start_writer(all, 1);
		await(ipk_ld(&all->writer[1].ops, relaxed) >= ops);
		kill_child(pid);
		ops = ipk_ld(&all->writer[0].ops, relaxed);
		await(ipk_ld(&all->writer[0].ops, relaxed) > ops + 10);
		check_ledger(m, &all->writer[1], 1);
	}
	ipk_st(&all->stop, 1, relaxed);
	assert_ended_well(join_child(survivor));
	check_ledger(m, &all->writer[0], 0);
	ipk_segment_sweep(seg);
	fsck_is_silent();
	close_map(m, seg);
	munmap(all, sizeof(*all));
}

/* ---- stopped and killed at places of our choice -------------------------------------------------- */

enum stage { WITH_THE_LOCK, WITH_A_TABLE, WITH_AN_ENTRY, COMMITTED, STAGES };

struct staged {
	enum stage stage;
	bool stop; /* instead of dying */
	u32 there;
};

#define KEY UINT64_C(5)

/* The transaction of a deletion of KEY, committed and not stored: what a kill behind COMMIT leaves. */
static void commit_a_deletion(struct ipk_map_write *w)
{
	struct ipk_header *h = ipk_header(w->seg);
	struct ipk_journal *j = &h->journal;
	u64 *word[] = { &w->slots[w->at], &w->b->count, &w->b->tombs };
	u64 val[] = { IPK_MAP_TOMB, w->b->count - 1, w->b->tombs + 1 };

	must(ipk_lock(w->me, &h->lock, IPK_FOREVER) == 0);
	for (int i = 0; i < 3; i++) {
		j->e[i].off = ipk_off(w->seg, word[i]);
		j->e[i].val = val[i];
	}
	ipk_st(&j->n, 3, release);
}

static void come_to_a_stage(void *arg)
{
	struct staged *s = arg;
	struct ipk_segment *seg;
	struct ipk_map *m = open_map(IPK_WRITE, &seg);
	struct ipk_map_write w;
	u64 key = KEY;

	must(m);
	must(ipk_map_begin(&w, m, &key, 8, IPK_FOREVER) == 0);
	must(w.e);
	if (s->stage == WITH_A_TABLE)
		must(ipk_map_build(&w, 0, 8192, &w.new_table) == 0);
	if (s->stage == WITH_AN_ENTRY)
		must(ipk_map_build(&w, 1, 100000, &w.new_entry) == 0);
	if (s->stage == COMMITTED)
		commit_a_deletion(&w);
	ipk_st(&s->there, 1, release);
	raise(s->stop ? SIGSTOP : SIGKILL);
	ipk_map_end(&w, 0);
	close_map(m, seg);
}

static struct ipk_map *map_with_a_key(struct ipk_segment **ret_seg)
{
	struct ipk_map *m;
	u64 key = KEY, val = 1;

	make_map("u64", "u64", 100);
	m = open_map(IPK_WRITE, ret_seg);
	assert_int_equal(ipk_map_put(m, &key, 8, &val, 8, IPK_FOREVER), 0);
	return m;
}

static void remove_all(struct ipk_map *m, struct ipk_segment *seg)
{
	close_map(m, seg);
	assert_int_equal(ipk_segment_remove("s", NULL), 0);
}

static void expect(struct ipk_map *m, u64 want)
{
	u64 key = KEY, val = 0;

	assert_int_equal(ipk_map_get(m, &key, 8, &val, 8, NULL), want ? 0 : -ENOENT);
	assert_int_equal(val, want);
}

static int take_nothing(void *arg, const struct ipk_item *item)
{
	(void)arg;
	return item->len == 8 ? 0 : -EBADMSG;
}

static void a_stopped_writer_holds_up_writers_and_no_reader(void **state)
{
	struct staged *s = shared(sizeof(*s));
	struct ipk_segment *seg, *rseg;
	struct ipk_map *m = map_with_a_key(&seg), *ro = open_map(IPK_READ, &rseg);
	u64 key = KEY, val = 2, other = 6;
	struct look l;
	pid_t pid;
	int status;

	(void)state;
	s->stage = WITH_THE_LOCK;
	s->stop = true;
	pid = spawn(come_to_a_stage, s);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	for (int i = 0; i < 1000; i++) {
		expect(m, 1);
		expect(ro, 1);
		assert_int_equal(ipk_map_has(ro, &other, 8), 0);
	}
	look(&l, "s", "m");
	assert_int_equal(l.kind->item(&l.o, "5", 1, take_nothing, NULL), 0);
	look_end(&l);
	assert_int_equal(ipk_map_put(m, &key, 8, &val, 8, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_map_put(m, &key, 8, &val, 8, ipk_deadline(20000000)), -ETIMEDOUT);
	expect(m, 1);
	assert_int_equal(kill(pid, SIGCONT), 0);
	assert_int_equal(ipk_map_put(m, &key, 8, &val, 8, ipk_deadline(LIMIT_NS)), 0);
	expect(ro, 2);
	assert_ended_well(join_child(pid));
	close_map(ro, rseg);
	remove_all(m, seg);
	munmap(s, sizeof(*s));
}

static void what_a_killed_writer_had_in_the_making_is_freed(void **state)
{
	struct staged *s = shared(sizeof(*s));

	(void)state;
	for (int stage = 0; stage < COMMITTED; stage++) {
		for (int how = 0; how < 2; how++) {
			struct ipk_segment *seg;
			struct ipk_map *m = map_with_a_key(&seg);
			u64 used = info_of("s").used, key = KEY, val = 2;

			*s = (struct staged){ .stage = (enum stage)stage };
			assert_true(WIFSIGNALED(join_child(spawn(come_to_a_stage, s))));
			expect(m, 1);
			if (how == 0) /* by the sweep, or by the next writer */
				await(ipk_segment_sweep(seg) >= 0 &&
				      !(ipk_ld(&m->b->lock, relaxed) & IPK_LOCK_OWNER));
			else
				assert_int_equal(ipk_map_put(m, &key, 8, &val, 8, IPK_FOREVER), 0);
			assert_int_equal(info_of("s").used, used);
			expect(m, how == 0 ? 1 : 2);
			ipk_segment_sweep(seg);
			fsck_is_silent();
			remove_all(m, seg);
		}
	}
	munmap(s, sizeof(*s));
}

/*
 * The trap of a store in place: the map as the dead writer's journal has not changed it yet still has the
 * key, and what is stored there would go with it. The model calls it NOREPLAY.
 */
static void a_put_after_a_committed_deletion_is_not_deleted_by_it(void **state)
{
	struct staged *s = shared(sizeof(*s));
	struct ipk_segment *seg;
	struct ipk_map *m = map_with_a_key(&seg);
	u64 key = KEY, val = 2, other = 6;

	(void)state;
	s->stage = COMMITTED;
	assert_true(WIFSIGNALED(join_child(spawn(come_to_a_stage, s))));
	assert_int_equal(ipk_map_put(m, &key, 8, &val, 8, IPK_FOREVER), 0);
	expect(m, 2);
	/* This one runs a transaction, which would store the journal again. */
	assert_int_equal(ipk_map_put(m, &other, 8, &val, 8, IPK_FOREVER), 0);
	expect(m, 2);
	assert_int_equal(ipk_map_count(m), 2);
	remove_all(m, seg);
	munmap(s, sizeof(*s));
}

static void a_reader_behind_a_committed_deletion_is_not_held_up(void **state)
{
	struct staged *s = shared(sizeof(*s));
	struct ipk_segment *seg;
	struct ipk_map *m = map_with_a_key(&seg);

	(void)state;
	s->stage = COMMITTED;
	assert_true(WIFSIGNALED(join_child(spawn(come_to_a_stage, s))));
	expect(m, 1); /* nobody was told that it is gone */
	await(ipk_segment_sweep(seg) >= 0 && !(ipk_ld(&m->b->lock, relaxed) & IPK_LOCK_OWNER));
	expect(m, 0);
	remove_all(m, seg);
	munmap(s, sizeof(*s));
}

/* ---- waiting -------------------------------------------------------------------------------------- */

static void wait_for_three_changes(void *arg)
{
	u32 *seen = arg;
	struct ipk_segment *seg;
	struct ipk_map *m = open_map(IPK_WRITE, &seg);
	uint64_t changes;

	must(m);
	changes = ipk_map_changes(m);
	for (int i = 0; i < 3; i++) {
		ipk_add(seen, 1, seq_cst);
		must(ipk_map_wait(m, &changes, IPK_FOREVER) == 0);
	}
	ipk_add(seen, 1, seq_cst);
	close_map(m, seg);
}

static void a_waiter_is_woken_by_each_kind_of_change(void **state)
{
	u32 *seen = shared(sizeof(*seen));
	struct ipk_segment *seg;
	struct ipk_map *m = map_with_a_key(&seg);
	uint64_t changes = ipk_map_changes(m);
	u64 key = KEY, val = 7;
	pid_t pid;

	(void)state;
	assert_int_equal(ipk_map_wait(m, &changes, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_map_wait(m, &changes, ipk_deadline(1000000)), -ETIMEDOUT);
	pid = spawn(wait_for_three_changes, seen);
	await(ipk_ld(seen, seq_cst) == 1);
	assert_int_equal(ipk_map_put(m, &key, 8, &val, 8, IPK_FOREVER), 0); /* in place */
	await(ipk_ld(seen, seq_cst) == 2);
	assert_int_equal(ipk_map_put(m, &key, 8, &val, 8, IPK_FOREVER), 0); /* no change */
	assert_int_equal(ipk_map_del(m, &key, 8, IPK_FOREVER), 0);
	await(ipk_ld(seen, seq_cst) == 3);
	assert_int_equal(ipk_map_put(m, &key, 8, &val, 8, IPK_FOREVER), 0);
	await(ipk_ld(seen, seq_cst) == 4);
	assert_ended_well(join_child(pid));
	remove_all(m, seg);
	munmap(seen, sizeof(*seen));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(readers_see_whole_values_beside_writers_and_new_tables),
		TEST(a_reader_stopped_in_the_middle_gets_a_whole_value),
		TEST(a_reader_stopped_in_the_middle_finds_what_is_there),
		TEST(four_writers_lose_nothing),
		TEST(two_hundred_kills_lose_nothing_that_was_acknowledged),
		TEST(kills_among_living_writers_disturb_nobody),
		TEST(a_stopped_writer_holds_up_writers_and_no_reader),
		TEST(what_a_killed_writer_had_in_the_making_is_freed),
		TEST(a_put_after_a_committed_deletion_is_not_deleted_by_it),
		TEST(a_reader_behind_a_committed_deletion_is_not_held_up),
		TEST(a_waiter_is_woken_by_each_kind_of_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
