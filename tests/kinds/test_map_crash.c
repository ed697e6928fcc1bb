/* SPDX-License-Identifier: MIT */
/* Maps under processes that are killed or stopped, and those who wait. */
#include "fixture_map.h"

/* ---- killed writers ------------------------------------------------------------------------- */

#define KILLS 200
#define OWN 24u /* keys of each writer */

/* What one writer has been told, outside the segment. Numbers: 0 is "not there". */
struct ledger {
	u64 acked[OWN];   /* value of the last operation that returned */
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
		r = put ? ipk_map_put(m, &key, 8, &v, make_value(&v, key, number), IPK_FOREVER)
			: ipk_map_del(m, &key, 8, IPK_FOREVER);
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
		/* Nobody waits for the dead; the survivor writes at once, and then all is in order.
		 */
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

/* ---- stopped and killed at places of our choice --------------------------------------------- */

enum stage { WITH_THE_LOCK, WITH_A_TABLE, WITH_AN_ENTRY, COMMITTED, STAGES };

struct staged {
	enum stage stage;
	bool stop; /* instead of dying */
	u32 there;
};

#define KEY UINT64_C(5)

/* The transaction of a deletion of KEY, committed and not stored: what a kill behind COMMIT leaves.
 */
static void commit_a_deletion(struct ipk_map_write *w)
{
	struct ipk_header *h = ipk_header(w->seg);
	struct ipk_journal *j = &h->journal;
	u64 *word[] = {&w->slots[w->at], &w->b->count, &w->b->tombs};
	u64 val[] = {IPK_MAP_TOMB, w->b->count - 1, w->b->tombs + 1};

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
	struct verb v = { 0 };
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
	assert_int_equal(verb_run(&v, seg, "m", "map", "del", "5", NULL, NULL), -EAGAIN);
	verb_end(&v);
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

			*s = (struct staged){.stage = (enum stage)stage};
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
 * The trap of a store in place: the map as the dead writer's journal has not changed it yet still
 * has the key, and what is stored there would go with it. The model calls it NOREPLAY.
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

/* ---- waiting -------------------------------------------------------------------------------- */

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
		TEST(two_hundred_kills_lose_nothing_that_was_acknowledged),
		TEST(kills_among_living_writers_disturb_nobody),
		TRACE(D3, a_stopped_writer_holds_up_writers_and_no_reader),
		TRACE(D2, what_a_killed_writer_had_in_the_making_is_freed),
		TRACE(D4, a_put_after_a_committed_deletion_is_not_deleted_by_it),
		TEST(a_reader_behind_a_committed_deletion_is_not_held_up),
		TEST(a_waiter_is_woken_by_each_kind_of_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
