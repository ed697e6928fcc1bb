/* SPDX-License-Identifier: MIT */
/* Arrays under many processes, killed and stopped ones. */
#include "fixture_kind.h"

#include "ipk/array.h"
#include "kinds/array.h"

#define PLACES 3u /* few, so that all meet at the same elements */

static const char *type_now; /* of the array under test; children inherit it */

static void make_array(const char *type, u64 cap)
{
	struct ipk_segment *seg;
	struct ipk_error err = { 0 };

	type_now = type;
	create_segment("s");
	seg = open_segment("s");
	if (ipk_array_create(seg, "a", type, cap, &err) < 0)
		fail_msg("%s", err.text);
	ipk_segment_close(seg);
}

static struct ipk_array *open_array(unsigned mode, struct ipk_segment **ret_seg)
{
	struct ipk_array *a = NULL;
	struct ipk_error err = { 0 };

	if (ipk_segment_open("s", mode, ret_seg, &err) < 0 ||
	    ipk_array_open(*ret_seg, "a", type_now, &a, &err) < 0)
		fprintf(stderr, "open: %s\n", err.text);
	return a;
}

/* ---- nothing is ever torn -------------------------------------------------------------------- */

struct tearing {
	u32 stop; /* readers are done */
	u64 reads;
};

static void write_uniform_values(void *arg)
{
	struct tearing *t = arg;
	struct ipk_segment *seg;
	struct ipk_array *a = open_array(IPK_WRITE, &seg);
	u64 seed = (u64)getpid();
	u8 *val;

	must(a);
	val = malloc(ipk_array_size(a));
	must(val);
	while (!ipk_ld(&t->stop, relaxed)) {
		memset(val, (int)seeded(&seed), ipk_array_size(a));
		must(ipk_array_set(a, seeded(&seed) % PLACES, val, IPK_FOREVER) == 0);
	}
	free(val);
	ipk_array_close(a);
	ipk_segment_close(seg);
}

static bool uniform(const u8 *val, u64 len)
{
	for (u64 i = 1; i < len; i++)
		if (val[i] != val[0])
			return false;
	return true;
}

static void read_mapped(void *arg)
{
	struct tearing *t = arg;
	struct ipk_segment *seg;
	struct ipk_array *a = open_array(IPK_READ, &seg);
	u8 *val;

	must(a);
	val = malloc(PLACES * (u64)ipk_array_size(a));
	must(val);
	for (u64 i = 0; i < t->reads; i++) {
		must(ipk_array_get(a, i % PLACES, val) == 0);
		must(uniform(val, ipk_array_size(a)));
		must(ipk_array_slice(a, 0, PLACES, val) == 0);
		for (u64 k = 0; k < PLACES; k++)
			must(uniform(val + k * ipk_array_size(a), ipk_array_size(a)));
	}
	free(val);
	ipk_array_close(a);
	ipk_segment_close(seg);
}

static int must_be_uniform(void *arg, const struct ipk_item *item)
{
	(void)arg;
	must(uniform(item->data, item->len));
	return 0;
}

static void read_by_view(void *arg)
{
	struct tearing *t = arg;
	struct look l;

	look(&l, "s", "a");
	for (u64 i = 0; i < t->reads / 4; i++) {
		must(l.kind->items(&l.o, 0, UINT64_MAX, must_be_uniform, NULL) == 0);
		must(l.kind->item(&l.o, "1", 1, must_be_uniform, NULL) == 0);
	}
	look_end(&l);
}

static void tear(const char *type, u64 reads)
{
	struct tearing *t = shared(sizeof(*t));
	pid_t writer[2], reader[2];

	make_array(type, PLACES);
	t->reads = reads;
	for (int i = 0; i < 2; i++)
		writer[i] = spawn(write_uniform_values, t);
	reader[0] = spawn(read_mapped, t);
	reader[1] = spawn(read_by_view, t);
	for (int i = 0; i < 2; i++)
		assert_ended_well(join_child(reader[i]));
	ipk_st(&t->stop, 1, relaxed);
	for (int i = 0; i < 2; i++)
		assert_ended_well(join_child(writer[i]));
	munmap(t, sizeof(*t));
}

static void a_value_of_eight_bytes_is_never_torn(void **state)
{
	(void)state;
	tear("u64", 20000);
}

static void a_value_of_an_odd_size_is_never_torn(void **state)
{
	(void)state;
	tear("bytes:13", 20000);
}

static void a_struct_is_never_torn(void **state)
{
	(void)state;
	tear("{u64 a; f64 b; u32 c; u32 d; f64 e}", 20000);
}

static void a_value_of_pages_is_never_torn(void **state)
{
	(void)state;
	tear("bytes:9001", 2000);
}

static void a_value_of_a_mebibyte_and_more_is_never_torn(void **state)
{
	(void)state;
	tear("bytes:1100000", 20);
}

/* ---- kills ----------------------------------------------------------------------------------- */

#define WORKERS 4u
#define WIDE 5u /* u64 of an element */

struct account {
	u64 trying; /* the value whose store has begun */
	u64 acked; /* the last whose store has returned */
};

/* Own element, common element, sums: all at once. */
struct ledger {
	struct account own[WORKERS];
	u64 adds_begun, adds_done;
};

struct worker {
	struct ledger *ledger;
	u32 number;
};

static void work(void *arg)
{
	const struct worker *w = arg;
	struct account *own = &w->ledger->own[w->number];
	struct ipk_segment *seg;
	struct ipk_array *a = open_array(IPK_WRITE, &seg);
	u64 val[WIDE], got[WIDE];

	must(a);
	for (u64 n = ipk_ld(&own->trying, relaxed) + 1;; n++) {
		for (u32 i = 0; i < WIDE; i++)
			val[i] = n;
		ipk_st(&own->trying, n, seq_cst);
		must(ipk_array_set(a, w->number, val, IPK_FOREVER) == 0);
		ipk_st(&own->acked, n, seq_cst);
		must(ipk_array_set(a, WORKERS, val, IPK_FOREVER) == 0);
		must(ipk_array_get(a, n % (WORKERS + 1), got) == 0);
		for (u32 i = 1; i < WIDE; i++)
			must(got[i] == got[0]);
	}
}

static void a_killed_writer_leaves_the_old_value_or_the_new(void **state)
{
	struct ledger *ledger = shared(sizeof(*ledger));
	struct worker w[WORKERS];
	struct ipk_segment *seg;
	struct ipk_array *a;
	u64 seed = 7, got[WIDE];
	pid_t pid[WORKERS];

	(void)state;
	make_array("u64[5]", WORKERS + 1);
	a = open_array(IPK_WRITE, &seg);
	for (u32 i = 0; i < WORKERS; i++) {
		w[i] = (struct worker){ ledger, i };
		pid[i] = spawn(work, &w[i]);
	}
	for (int kills = 0; kills < 200; kills++) {
		u32 i = seeded(&seed) % WORKERS;
		u64 before = ipk_ld(&ledger->own[i].acked, seq_cst);
		struct account *own = &ledger->own[i];

		/* It has done something since it began, so kills fall anywhere in its work. */
		await(ipk_ld(&own->acked, seq_cst) > before);
		for (u32 spin = seeded(&seed) % 3000; spin; spin--)
			ipk_pause();
		kill_child(pid[i]);
		assert_int_equal(ipk_array_get(a, i, got), 0);
		for (u32 k = 1; k < WIDE; k++)
			assert_int_equal(got[k], got[0]);
		assert_in_range(got[0], own->acked, own->trying);
		pid[i] = spawn(work, &w[i]);
	}
	for (u32 i = 0; i < WORKERS; i++)
		kill_child(pid[i]);
	for (u32 i = 0; i < WORKERS; i++) {
		memset(got, 0xff, sizeof(got));
		assert_int_equal(ipk_array_set(a, i, got, IPK_FOREVER), 0);
		assert_int_equal(ipk_array_get(a, i, got), 0);
		assert_int_equal(got[WIDE - 1], UINT64_MAX);
	}
	assert_int_equal(findings_of("s", "a").n, 0);
	ipk_array_close(a);
	ipk_segment_close(seg);
	munmap(ledger, sizeof(*ledger));
}

static void add_for_ever(void *arg)
{
	struct ledger *ledger = arg;
	struct ipk_segment *seg;
	struct ipk_array *a = open_array(IPK_WRITE, &seg);
	const u32 one = 1;

	must(a);
	for (;;) {
		ipk_add(&ledger->adds_begun, 1, seq_cst);
		must(ipk_array_add(a, 0, &one, NULL) == 0);
		ipk_add(&ledger->adds_done, 1, seq_cst);
	}
}

static void no_addition_of_a_killed_process_counts_twice_or_is_lost(void **state)
{
	struct ledger *ledger = shared(sizeof(*ledger));
	struct ipk_segment *seg;
	struct ipk_array *a;
	u32 sum = 0;

	(void)state;
	make_array("u32", 1);
	a = open_array(IPK_WRITE, &seg);
	for (int kills = 0; kills < 20; kills++) {
		u64 before = ipk_ld(&ledger->adds_done, seq_cst);
		pid_t pid[2] = { spawn(add_for_ever, ledger), spawn(add_for_ever, ledger) };

		await(ipk_ld(&ledger->adds_done, seq_cst) > before + 1000);
		kill_child(pid[0]);
		kill_child(pid[1]);
	}
	assert_int_equal(ipk_array_get(a, 0, &sum), 0);
	assert_in_range(sum, ledger->adds_done, ledger->adds_begun);
	ipk_array_close(a);
	ipk_segment_close(seg);
	munmap(ledger, sizeof(*ledger));
}

/* ---- a writer in the middle of a write ------------------------------------------------------- */

/* Where the writer stops: each state that ALGORITHM in array.h names. */
enum stop { IN_ENTRY, COMMITTED, HALF_COPIED, COPIED, STOPS };

struct staged {
	enum stop stop;
	bool die;
	u32 there;
};

#define OLD 0x11
#define NEW 0x22

/* The steps of write_wide(), ended after one of them. */
static void begin_a_write(void *arg)
{
	struct staged *s = arg;
	struct ipk_segment *seg;
	struct ipk_array *a = open_array(IPK_WRITE, &seg);
	struct ipk_self *me;
	u8 *entry, val[40];
	int r;

	must(a);
	me = ipk_use(&a->obj, &r);
	must(me);
	must(ipk_lock(me, &a->body->lock, IPK_FOREVER) == 0);
	memset(val, NEW, sizeof(val));
	entry = seg->base + ipk_array_entry(&a->g, ipk_array_done(a->body->seq));
	*(u64 *)(void *)entry = 1;
	memcpy(entry + 8, val, s->stop == IN_ENTRY ? 20 : 40);
	if (s->stop >= COMMITTED)
		ipk_st(&a->body->seq, a->body->seq + 1, seq_cst);
	if (s->stop >= HALF_COPIED)
		memcpy(a->data + 40, val, s->stop == HALF_COPIED ? 23 : 40);
	if (s->stop == COPIED)
		ipk_st(&a->body->seq, a->body->seq + 1, seq_cst);
	ipk_st(&s->there, 1, seq_cst);
	raise(s->die ? SIGKILL : SIGSTOP);
}

static int expect_items(void *arg, const struct ipk_item *item)
{
	const u8 *want = arg;

	assert_int_equal(item->len, 40);
	for (int i = 0; i < 40; i++)
		assert_int_equal(((const u8 *)item->data)[i], want[item->pos]);
	return 0;
}

/* Elements 0 and 2 hold OLD, 1 what is given, for all ways of reading. */
static void expect(struct ipk_array *a, u8 middle)
{
	u8 want[3] = { OLD, middle, OLD }, got[120];
	struct look l;

	for (u64 i = 0; i < 3; i++) {
		struct ipk_item item = { .data = got, .len = 40, .pos = i };

		assert_int_equal(ipk_array_get(a, i, got), 0);
		expect_items(want, &item);
	}
	assert_int_equal(ipk_array_slice(a, 0, 3, got), 0);
	for (u64 i = 0; i < 3; i++)
		assert_int_equal(got[40 * i + 39], want[i]);
	look(&l, "s", "a");
	assert_int_equal(l.kind->items(&l.o, 0, UINT64_MAX, expect_items, want), 0);
	look_end(&l);
}

static struct ipk_array *three_old(struct ipk_segment **ret_seg)
{
	struct ipk_array *a;
	u8 old[40];

	make_array("bytes:40", 3);
	a = open_array(IPK_WRITE, ret_seg);
	memset(old, OLD, sizeof(old));
	assert_int_equal(ipk_array_fill(a, 0, 3, old, IPK_FOREVER), 0);
	return a;
}

static void end_segment(struct ipk_array *a, struct ipk_segment *seg)
{
	assert_int_equal(findings_of("s", "a").n, 0);
	ipk_array_close(a);
	ipk_segment_close(seg);
	assert_int_equal(ipk_segment_remove("s", NULL), 0);
}

static int count_writers(void *arg, uint32_t slot, const char *role, uint64_t count)
{
	(void)slot;
	assert_string_equal(role, "writer");
	*(u64 *)arg += count;
	return 0;
}

static void a_stopped_writer_holds_up_writers_and_no_reader(void **state)
{
	struct staged *s = shared(sizeof(*s));
	u8 val[40], expected[40];

	(void)state;
	memset(val, 0x33, sizeof(val));
	memset(expected, OLD, sizeof(expected));
	for (int stop = 0; stop < STOPS; stop++) {
		struct ipk_segment *seg;
		struct ipk_array *a = three_old(&seg);
		struct look l;
		u64 writers = 0;
		pid_t pid;

		*s = (struct staged){ .stop = (enum stop)stop };
		pid = spawn(begin_a_write, s);
		await(ipk_ld(&s->there, seq_cst));
		expect(a, stop == IN_ENTRY ? OLD : NEW);
		assert_int_equal(ipk_array_set(a, 0, val, IPK_NOWAIT), -EAGAIN);
		assert_int_equal(ipk_array_set(a, 0, val, ipk_deadline(1000000)), -ETIMEDOUT);
		assert_int_equal(ipk_array_cas(a, 0, expected, val, IPK_NOWAIT), -EAGAIN);
		look(&l, "s", "a");
		assert_int_equal(l.kind->holders(&l.o, count_writers, &writers), 0);
		assert_int_equal(writers, 1);
		look_end(&l);
		kill_child(pid);
		/* Waits for the death to be seen. */
		assert_int_equal(ipk_array_set(a, 0, val, IPK_FOREVER), 0);
		assert_int_equal(ipk_array_cas(a, 0, val, expected, IPK_FOREVER), 0);
		expect(a, stop == IN_ENTRY ? OLD : NEW);
		end_segment(a, seg);
	}
	munmap(s, sizeof(*s));
}

static void what_a_killed_writer_committed_is_finished_by_the_sweep(void **state)
{
	struct staged *s = shared(sizeof(*s));

	(void)state;
	for (int stop = 0; stop < STOPS; stop++) {
		struct ipk_segment *seg;
		struct ipk_array *a = three_old(&seg);
		pid_t pid;

		*s = (struct staged){ .stop = (enum stop)stop, .die = true };
		pid = spawn(begin_a_write, s);
		assert_true(WIFSIGNALED(join_child(pid)));
		expect(a, stop == IN_ENTRY ? OLD : NEW);
		await(ipk_segment_sweep(seg) >= 0 && (a->body->lock & IPK_LOCK_OWNER) == 0);
		assert_int_equal(a->body->seq % 2, 0);
		for (int i = 0; i < 40; i++)
			assert_int_equal(a->data[40 + i], stop == IN_ENTRY ? OLD : NEW);
		expect(a, stop == IN_ENTRY ? OLD : NEW);
		end_segment(a, seg);
	}
	munmap(s, sizeof(*s));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_value_of_eight_bytes_is_never_torn),
		TEST(a_value_of_an_odd_size_is_never_torn),
		TEST(a_struct_is_never_torn),
		TEST(a_value_of_pages_is_never_torn),
		TEST(a_value_of_a_mebibyte_and_more_is_never_torn),
		TEST(a_killed_writer_leaves_the_old_value_or_the_new),
		TEST(no_addition_of_a_killed_process_counts_twice_or_is_lost),
		TEST(a_stopped_writer_holds_up_writers_and_no_reader),
		TEST(what_a_killed_writer_committed_is_finished_by_the_sweep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
