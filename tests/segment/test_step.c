/* SPDX-License-Identifier: MIT */
/*
 * A victim is single-stepped through an operation. Each state of the segment's file that it passes
 * through is what a death there leaves: a copy of it is looked at as it is, then made good by a
 * survivor, and must be as before the operation or as after it, with nothing lost. Of some of them
 * the survivor is single-stepped in turn, and what it passes through is made good by a third.
 */
#include "seg.h"

#include <linux/futex.h>
#include <sys/ptrace.h>

#define START "s"
#define COPY "c"

struct op {
	const char *name;
	u64 size, max; /* of the segment */
	void (*prepare)(struct ipk_segment *seg);
	int (*run)(struct ipk_segment *seg);
	/* 0: as before, 1: as after, -1: neither */
	int (*state)(struct ipk_segment *seg);
};

/* ---- operations ------------------------------------------------------------------------- */

static int exists(struct ipk_segment *seg, const char *name, u64 size)
{
	struct ipk_obj *obj = NULL;
	struct test_body *b;
	int r = test_open(seg, name, &obj, NULL);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return -1;
	b = (void *)(seg->base + obj->body);
	r = b->stamp == size && (size == 0 || ipk_block_size(seg, b->block) >= size) ? 1 : -1;
	if (r == 1 && size && !test_filled(seg->base + b->block, size))
		r = -1;
	ipk_obj_close(obj);
	return r;
}

static void some(struct ipk_segment *seg)
{
	assert_int_equal(test_new(seg, "a", 100, NULL), 0);
	assert_int_equal(test_new(seg, "b", 3000, NULL), 0);
	assert_int_equal(test_new(seg, "d", 100, NULL), 0);
	assert_int_equal(ipk_object_remove(seg, "a", NULL), 0);
}

static int create_small(struct ipk_segment *seg)
{
	return test_new(seg, "x", 100, NULL);
}

static int has_small(struct ipk_segment *seg)
{
	return exists(seg, "x", 100);
}

static int create_pages(struct ipk_segment *seg)
{
	return test_new(seg, "x", 5000, NULL);
}

static int has_pages(struct ipk_segment *seg)
{
	return exists(seg, "x", 5000);
}

static int create_and_grow(struct ipk_segment *seg)
{
	return test_new(seg, "x", 40000, NULL);
}

static int has_grown(struct ipk_segment *seg)
{
	return exists(seg, "x", 40000);
}

static void with_pages(struct ipk_segment *seg)
{
	some(seg);
	assert_int_equal(test_new(seg, "x", 5000, NULL), 0);
	assert_int_equal(test_new(seg, "e", 5000, NULL), 0);
}

static void with_many_pages(struct ipk_segment *seg)
{
	some(seg);
	assert_int_equal(test_new(seg, "x", 300000, NULL), 0);
}

static int remove_it(struct ipk_segment *seg)
{
	return ipk_object_remove(seg, "x", NULL);
}

static int not_pages(struct ipk_segment *seg)
{
	int r = exists(seg, "x", 5000);

	return r < 0 ? r : !r;
}

static int not_many_pages(struct ipk_segment *seg)
{
	int r = exists(seg, "x", 300000);

	return r < 0 ? r : !r;
}

static int rename_it(struct ipk_segment *seg)
{
	return ipk_object_rename(seg, "x", "y", NULL);
}

static int renamed(struct ipk_segment *seg)
{
	int x = exists(seg, "x", 5000), y = exists(seg, "y", 5000);

	return x < 0 || y < 0 || x == y ? -1 : y;
}

static int grow_it(struct ipk_segment *seg)
{
	return ipk_segment_grow(seg, 131072, NULL);
}

static int grow_by_a_page(struct ipk_segment *seg)
{
	return ipk_segment_grow(seg, ipk_header(seg)->size + 1, NULL);
}

static int has_grown_by_little(struct ipk_segment *seg)
{
	u64 size = ipk_header(seg)->size;

	return size == 540672 ? 0 : size == 540672 + 2 * IPK_PAGE ? 1 : -1;
}

static int has_size(struct ipk_segment *seg)
{
	u64 size = ipk_header(seg)->size;

	return size == 65536 ? 0 : size == 131072 ? 1 : -1;
}

static void full_directory(struct ipk_segment *seg)
{
	char name[16];
	int i;

	for (i = 0; i < 384; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		assert_int_equal(test_new(seg, name, 0, NULL), 0);
	}
}

static int close_removed(struct ipk_segment *seg)
{
	struct ipk_obj *obj = NULL;
	int r = test_open(seg, "x", &obj, NULL);

	if (r == 0)
		r = ipk_object_remove(seg, "x", NULL);
	if (r == 0)
		ipk_obj_close(obj);
	return r;
}

static const struct op ops[] = {
	{"create", 65536, 65536, some, create_small, has_small},
	{"create with pages", 65536, 65536, some, create_pages, has_pages},
	{"create and grow", 65536, 1 << 20, some, create_and_grow, has_grown},
	{"remove", 65536, 65536, with_pages, remove_it, not_pages},
	{"remove and give back", 1 << 19, 1 << 19, with_many_pages, remove_it, not_many_pages},
	{"rename", 65536, 65536, with_pages, rename_it, renamed},
	{"grow", 65536, 1 << 20, some, grow_it, has_size},
	{"grow by a page", 540672, 1 << 20, some, grow_by_a_page, has_grown_by_little},
	{"create in a full directory", 1 << 18, 1 << 18, full_directory, create_small, has_small},
	{"open, remove, close", 65536, 65536, with_pages, close_removed, not_pages},
};

/* Instrumented code takes twenty times the steps and passes through the same images. */
#ifdef __SANITIZE_ADDRESS__
#define OPS 2
#else
#define OPS IPK_ARRAY_LEN(ops)
#endif

/* ---- images ----------------------------------------------------------------------------- */

struct image {
	u8 *data;
	u64 size;
};

#define MAP_SIZE (1 << 20)

/* Writes the image as $IPK_DIR/name with its participants dead, as the kernel marks them. */
static void write_image(const char *name, const struct image *im)
{
	char path[128];
	u32 slot, live;
	int fd;

	snprintf(path, sizeof(path), "%s/%s.ipk", test_dir, name);
	fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, im->data, im->size, 0), (ssize_t)im->size);
	for (slot = 0; slot < IPK_FIRST_SLOTS; slot++) {
		u64 at = (2 + slot) * IPK_PAGE + offsetof(struct ipk_participant, live);

		memcpy(&live, im->data + at, 4);
		live |= live ? FUTEX_OWNER_DIED : 0;
		assert_int_equal(pwrite(fd, &live, 4, (off_t)at), 4);
	}
	close(fd);
}

static int count_names(void *arg, u64 off)
{
	(void)off;
	++*(int *)arg;
	return 0;
}

static int remove_named(void *arg, const struct ipk_object_view *o)
{
	return ipk_object_remove(arg, o->name, NULL);
}

/* Lets a survivor into the copy. Returns the state that it finds. */
static int survive(const struct op *op)
{
	struct ipk_segment *seg = NULL;
	struct ipk_error err = {0};
	struct ipk_view *view;
	int state, n = 0;

	/* As it is, before anybody made anything good: it reads well. */
	assert_int_equal(test_check(COPY, false), 0);
	if (ipk_segment_open(COPY, IPK_WRITE, &seg, &err) != 0)
		fail_msg("%s", err.text);
	test_self(seg);
	assert_int_equal(test_check(COPY, true), 0);
	assert_int_equal(ipk_header(seg)->zombies, 0);
	state = op->state(seg);
	assert_int_equal(ipk_view_open(COPY, &view, NULL), 0);
	assert_int_equal(ipk_view_objects(view, remove_named, seg), 0);
	ipk_view_close(view);
	assert_int_equal(ipk_obj_each(seg, count_names, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(ipk_header(seg)->used, 0);
	assert_int_equal(test_check(COPY, true), 0);
	ipk_segment_close(seg);
	return state;
}

/* ---- the victim ------------------------------------------------------------------------- */

struct victim {
	const char *name;                    /* of the segment */
	bool attached;                       /* before the first step */
	int (*run)(struct ipk_segment *seg); /* NULL: attaching alone, which sweeps */
	/* what to do with each image: it is written to COPY already */
	void (*image)(struct victim *v, const struct image *im);
	const struct op *op;
	int before; /* the last state found */
	int images;
	long steps;
};

static void be_victim(const struct victim *v)
{
	struct ipk_segment *seg = NULL;
	int error = 0, r = 0;

	if (v->attached &&
	    (ipk_segment_open(v->name, IPK_WRITE, &seg, NULL) != 0 || !ipk_self(seg, &error)))
		_exit(1);
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
		_exit(77);
	raise(SIGSTOP);
	if (v->run)
		r = v->run(seg);
	else if (ipk_segment_open(v->name, IPK_WRITE, &seg, NULL) != 0 || !ipk_self(seg, &error))
		r = -1;
	if (r < 0)
		_exit(2);
	raise(SIGSTOP);
	_exit(0);
}

static u8 *map_file(const char *name, int *ret_fd)
{
	char path[128];
	u8 *map;

	snprintf(path, sizeof(path), "%s/%s.ipk", test_dir, name);
	*ret_fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(*ret_fd >= 0);
	map = mmap(NULL, MAP_SIZE, PROT_READ, MAP_SHARED, *ret_fd, 0);
	assert_true(map != MAP_FAILED);
	return map;
}

/* True when the file is not what last says; which it then does. */
static bool new_image(int fd, const u8 *map, struct image *last)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	if ((u64)st.st_size == last->size && memcmp(map, last->data, last->size) == 0)
		return false;
	last->size = (u64)st.st_size;
	memcpy(last->data, map, last->size);
	return true;
}

static void step_through(struct victim *v)
{
	struct image last = {.data = calloc(1, MAP_SIZE)};
	int status, fd;
	u8 *map = map_file(v->name, &fd);
	pid_t pid = fork();

	assert_non_null(last.data);
	assert_true(pid >= 0);
	if (pid == 0)
		be_victim(v);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip(); /* no ptrace here */
	assert_true(WIFSTOPPED(status));
	for (v->steps = 0;; v->steps++) {
		if (new_image(fd, map, &last)) {
			v->image(v, &last);
			v->images++;
		}
		if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) != 0 ||
		    waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
			fail_msg("%s: the victim ended: %x", v->op->name, (unsigned)status);
		if (v->steps > 0 && WSTOPSIG(status) == SIGSTOP)
			break;
	}
	assert_int_equal(kill(pid, SIGKILL), 0);
	while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status))
		;
	free(last.data);
	munmap(map, MAP_SIZE);
	close(fd);
}

static void judge(struct victim *v, const struct image *im)
{
	int state;

	write_image(COPY, im);
	state = survive(v->op);
	if (state < v->before)
		fail_msg("%s: step %ld, image %d: state %d", v->op->name, v->steps, v->images,
			 state);
	v->before = state;
}

/* ---- tests ------------------------------------------------------------------------------ */

static void make_start(const struct op *op)
{
	struct ipk_segment *seg = test_segment(START, op->size, op->max);

	op->prepare(seg);
	ipk_segment_close(seg);
}

static void a_death_at_any_instruction_loses_nothing(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < OPS; i++) {
		struct victim v = {.name = START,
				   .attached = true,
				   .run = ops[i].run,
				   .image = judge,
				   .op = &ops[i]};

		make_start(&ops[i]);
		step_through(&v);
		assert_int_equal(v.before, 1);
		print_message("%s: %ld instructions, %d images\n", ops[i].name, v.steps, v.images);
		assert_int_equal(ipk_segment_remove(START, NULL), 0);
	}
}

#define SECOND "second"

/* scripts/test --long */
static bool test_long(void)
{
	const char *text = getenv("IPK_TEST_LONG");

	return text && strcmp(text, "1") == 0;
}

/* Steps through the survivor of an image: one of a kind, and some of the rest. */
static void judge_survivor(struct victim *v, const struct image *im)
{
	const struct ipk_header *h = (const void *)im->data;
	struct victim next = {.name = SECOND, .image = judge, .op = v->op};

	int rare = test_long() ? 23 : 67, often = test_long() ? 7 : 23;

	if (v->images % rare != 0 && !(h->journal.n && v->images % often == 0))
		return;
	write_image(SECOND, im);
	step_through(&next);
	v->before += next.images;
}

static void the_death_of_who_makes_good_a_death_loses_nothing(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < OPS; i++) {
		struct victim v = {.name = START,
				   .attached = true,
				   .run = ops[i].run,
				   .image = judge_survivor,
				   .op = &ops[i]};

		if (ops[i].prepare !=
		    with_pages) /* the others differ in nothing that is made good */
			continue;
		make_start(&ops[i]);
		step_through(&v);
		assert_true(v.before > 0);
		print_message("%s: %d images of survivors\n", ops[i].name, v.before);
		assert_int_equal(ipk_segment_remove(START, NULL), 0);
	}
}

/* Journal and directory as a writer leaves them that is killed behind his COMMIT. */
static bool in_change(const u8 *map)
{
	return ((const struct ipk_header *)(const void *)map)->journal.n != 0;
}

static void a_look_up_finishes_what_a_dead_writer_committed(void **state)
{
	const struct op *op = &ops[5]; /* rename */
	struct victim v = {.name = START, .attached = true, .run = op->run, .op = op};
	struct ipk_segment *seg;
	int status, fd, i;
	pid_t pid;
	u8 *map;

	(void)state;
	assert_string_equal(op->name, "rename");
	for (i = 0; i < 16; i++) {
		make_start(op);
		assert_int_equal(ipk_segment_open(START, IPK_WRITE, &seg, NULL), 0);
		test_self(seg);
		map = map_file(START, &fd);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			be_victim(&v);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
			skip();
		/* To the COMMIT, and i words further: 4 instructions each, or about that. */
		for (int more = 4 * i; !in_change(map) || more-- > 0;) {
			assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
			assert_int_equal(waitpid(pid, &status, 0), pid);
			assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
		}
		assert_int_equal(kill(pid, SIGKILL), 0);
		while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status))
			;
		/* Nobody swept. The old name may be found as long as nobody missed the new one. */
		if (i % 2 == 0)
			assert_true(exists(seg, "x", 5000) >= 0);
		assert_int_equal(exists(seg, "y", 5000), 1);
		assert_int_equal(exists(seg, "x", 5000), 0);
		assert_true(ipk_segment_sweep(seg) >= 0);
		munmap(map, MAP_SIZE);
		close(fd);
		ipk_segment_close(seg);
		assert_int_equal(test_check(START, true), 0);
		assert_int_equal(ipk_segment_remove(START, NULL), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_death_at_any_instruction_loses_nothing),
		cmocka_unit_test(a_look_up_finishes_what_a_dead_writer_committed),
		cmocka_unit_test(the_death_of_who_makes_good_a_death_loses_nothing),
	};

	return cmocka_run_group_tests(tests, dir_setup, dir_teardown);
}
