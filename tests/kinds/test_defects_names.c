/* SPDX-License-Identifier: MIT */
/* What went wrong in other systems with names, files and who lives; see test_defects.c. */
#include "kinds/queue_test.h"

#include "ipk/array.h"
#include "ipk/semaphore.h"

#define NAMES 2000

static void create_names(void *arg)
{
	struct ipk_segment *seg = open_segment(SEG);
	char name[32];

	must(seg);
	for (int i = 0; i < NAMES; i++) {
		snprintf(name, sizeof(name), "%s%d", (const char *)arg, i);
		must(ipk_semaphore_create(seg, name, 1, 1, NULL) == 0);
	}
}

/* ZeroIPC: of 20,000 names that two created side by side 2,488 were lost. */
static void two_creators_lose_no_name(void **state)
{
	struct ipk_segment *seg = make_segment(64 << 20);
	pid_t a = spawn(create_names, "a"), b = spawn(create_names, "b");
	struct ipk_semaphore *sem;
	char name[32];

	(void)state;
	assert_ended_well(join_child(a));
	assert_ended_well(join_child(b));
	for (int i = 0; i < 2 * NAMES; i++) {
		snprintf(name, sizeof(name), "%c%d", i % 2 ? 'a' : 'b', i / 2);
		assert_int_equal(ipk_semaphore_open(seg, name, &sem, NULL), 0);
		ipk_semaphore_close(sem);
	}
	assert_int_equal(info_of(SEG).objects, 2 * NAMES);
	ipk_segment_close(seg);
	assert_int_equal(ipk_segment_remove(SEG, NULL), 0);
}

/* ZeroIPC: an opener with another size destroyed an array; create wiped what lived. */
static void who_comes_second_changes_nothing(void **state)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_segment *seg = make_segment(8 << 20), *again;
	struct ipk_array *a;
	u64 val = 42, got = 0;

	(void)state;
	assert_int_equal(ipk_array_create(seg, "a", "u64", 100, NULL), 0);
	assert_int_equal(ipk_array_open(seg, "a", NULL, &a, NULL), 0);
	assert_int_equal(ipk_array_set(a, 99, &val, IPK_FOREVER), 0);
	assert_int_equal(ipk_array_create(seg, "a", "u64", 3, NULL), -EEXIST);
	assert_int_equal(ipk_segment_create(SEG, &options, &again, NULL), -EEXIST);
	assert_int_equal(ipk_array_get(a, 99, &got), 0);
	assert_int_equal(got, 42);
	assert_int_equal(ipk_array_count(a), 100);
	ipk_array_close(a);
	ipk_segment_close(seg);
	assert_int_equal(ipk_segment_remove(SEG, NULL), 0);
}

/* ipc_ring: the file is 48 bytes short of what its header says. */
static void the_file_is_as_long_as_it_says(void **state)
{
	struct ipk_segment *seg = make_segment(8 << 20);
	struct stat st;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(fstat(seg->fd, &st), 0);
		assert_int_equal(st.st_size, ipk_header(seg)->size);
		assert_int_equal(ipk_segment_grow(seg, ipk_header(seg)->size + 5000, NULL), 0);
	}
	ipk_segment_close(seg);
	assert_int_equal(ipk_segment_remove(SEG, NULL), 0);
}

static void come_and_go(void *arg)
{
	struct ipk_segment *seg = open_segment(SEG);

	(void)arg;
	for (;;) {
		struct ipk_queue *q;
		int r = ipk_queue_create(seg, "service", "u64", 4, NULL);

		must(r == 0 || r == -EEXIST);
		if (ipk_queue_open(seg, "service", NULL, &q, NULL) == 0)
			ipk_queue_close(q);
		r = ipk_object_remove(seg, "service", NULL);
		must(r == 0 || r == -ENOENT);
	}
}

/* iceoryx2: a service created and dropped by 8 processes under kills was unusable after 25 to 75.
 */
static void kills_among_creators_do_not_use_a_name_up(void **state)
{
	struct ipk_segment *seg = make_segment(8 << 20);
	pid_t pid[4];
	u64 seed = 9;

	(void)state;
	for (int i = 0; i < 4; i++)
		pid[i] = spawn(come_and_go, NULL);
	for (int k = 0; k < 100; k++) {
		pid_t *p = &pid[seeded(&seed) % 4];

		nanosleep(&(struct timespec){.tv_nsec = seeded(&seed) % 2000000}, NULL);
		kill_child(*p);
		*p = spawn(come_and_go, NULL);
	}
	for (int i = 0; i < 4; i++)
		kill_child(pid[i]);
	ipk_segment_sweep(seg);
	(void)ipk_object_remove(seg, "service", NULL);
	assert_int_equal(ipk_queue_create(seg, "service", "u64", 4, NULL), 0);
	assert_int_equal(ipk_object_remove(seg, "service", NULL), 0);
	assert_int_equal(info_of(SEG).used, 0);
	ipk_segment_close(seg);
	assert_int_equal(ipk_segment_remove(SEG, NULL), 0);
}

struct alive {
	u32 there, go;
	u32 slot;
};

static void open_and_close_the_file(void *arg)
{
	struct alive *a = arg;
	struct ipk_segment *seg = open_segment(SEG);
	char path[200];
	int fd;

	must(seg && self_of(seg));
	snprintf(path, sizeof(path), "%s/" SEG ".ipk", getenv("IPK_DIR"));
	fd = open(path, O_RDWR);
	must(fd >= 0 && close(fd) == 0);
	a->slot = self_of(seg)->slot;
	ipk_st(&a->there, 1u, release);
	nap_until(&a->go);
}

/* iceoryx2 274, 1718: a POSIX lock goes when any descriptor of the file is closed in the process.
 */
static void closing_another_descriptor_is_no_death(void **state)
{
	struct alive *a = shared(sizeof(*a));
	struct ipk_segment *seg = make_segment(8 << 20);
	pid_t pid = spawn(open_and_close_the_file, a);

	(void)state;
	await(ipk_ld(&a->there, acquire));
	assert_false(ipk_dead(seg, a->slot, true));
	assert_int_equal(ipk_segment_sweep(seg), 0);
	ipk_st(&a->go, 1u, release);
	assert_ended_well(join_child(pid));
	ipk_segment_close(seg);
	assert_int_equal(ipk_segment_remove(SEG, NULL), 0);
	munmap(a, sizeof(*a));
}

#define T(f) cmocka_unit_test_setup_teardown(f, dir_setup, dir_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(two_creators_lose_no_name),
		T(who_comes_second_changes_nothing),
		T(the_file_is_as_long_as_it_says),
		T(kills_among_creators_do_not_use_a_name_up),
		T(closing_another_descriptor_is_no_death),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
