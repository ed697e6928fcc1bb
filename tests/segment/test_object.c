/* SPDX-License-Identifier: MIT */
#include "seg.h"

#include <pthread.h>
#include <time.h>

static void create_open_close_remove(void **state)
{
	struct ipk_segment *seg = test_segment("a", 0, 0);
	struct ipk_error err = {0};
	struct ipk_obj *obj = NULL;
	struct test_body *b;

	(void)state;
	assert_int_equal(test_open(seg, "x", &obj, &err), -ENOENT);
	assert_int_equal(test_new(seg, "x", 1000, &err), 0);
	assert_int_equal(test_new(seg, "x", 1000, &err), -EEXIST);
	assert_non_null(strstr(err.text, "a/x"));
	assert_int_equal(test_open(seg, "x", &obj, &err), 0);
	assert_int_equal(obj->body % 128, 0);
	assert_memory_equal((char *)obj->o + obj->o->type, "u64", 4);
	b = (void *)(seg->base + obj->body);
	assert_int_equal(b->stamp, 1000);
	assert_int_equal(ipk_block_size(seg, b->block), 1024);
	assert_false(ipk_stale(obj));
	ipk_obj_close(obj);
	assert_int_equal(ipk_object_remove(seg, "x", &err), 0);
	assert_int_equal(ipk_object_remove(seg, "x", &err), -ENOENT);
	assert_int_equal(ipk_header(seg)->used, 0);
	assert_int_equal(test_check("a", true), 0);
	ipk_segment_close(seg);
}

static void an_object_with_no_good_name_or_size_is_refused(void **state)
{
	struct ipk_segment *seg = test_segment("b", 0, 0);
	struct ipk_obj_spec spec = {.name = "x", .kind = TEST_KIND};
	const char *bad[] = {"",
			     "-x",
			     ".x",
			     "a/b",
			     "a b",
			     "info",
			     "participants",
			     "x\n",
			     "0123456789012345678901234567890123456789012345678901234567890123"};
	struct ipk_error err = {0};
	char *text = calloc(1, 70000);
	size_t i;

	(void)state;
	for (i = 0; i < IPK_ARRAY_LEN(bad); i++) {
		assert_int_equal(test_new(seg, bad[i], 0, &err), -EINVAL);
		assert_int_equal(ipk_object_remove(seg, bad[i], &err), -ENOENT);
	}
	assert_int_equal(test_new(seg, bad[8] + 1, 0, &err), 0);
	spec.body_size = UINT64_MAX;
	assert_int_equal(ipk_obj_create(seg, &spec, NULL, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "--max"));
	spec.body_size = seg->max - 1024;
	assert_int_equal(ipk_obj_create(seg, &spec, NULL, &err), -ENOSPC);
	spec.body_size = 0;
	memset(text, 'x', 69999);
	spec.type = text;
	assert_int_equal(ipk_obj_create(seg, &spec, NULL, &err), -EMSGSIZE);
	free(text);
	assert_int_equal(ipk_object_remove(seg, bad[8] + 1, &err), 0);
	assert_int_equal(test_check("b", true), 0);
	ipk_segment_close(seg);
}

static int failing_create(struct ipk_tx *tx, void *body, u64 body_off, void *arg)
{
	(void)body;
	(void)body_off;
	(void)arg;
	return ipk_tx_alloc(tx, 5000, 0) ? -EMSGSIZE : tx->error;
}

static void a_creation_that_fails_half_way_leaves_nothing(void **state)
{
	struct ipk_segment *seg = test_segment("c", 0, 0);
	struct ipk_obj_spec spec = {.name = "x", .kind = TEST_KIND, .create = failing_create};

	(void)state;
	assert_int_equal(ipk_obj_create(seg, &spec, NULL, NULL), -EMSGSIZE);
	assert_int_equal(ipk_header(seg)->used, 0);
	assert_int_equal(ipk_header(seg)->objects, 0);
	assert_int_equal(test_check("c", true), 0);
	ipk_segment_close(seg);
}

static void kind_version_and_size_are_checked_on_opening(void **state)
{
	struct ipk_segment *seg = test_segment("d", 0, 0);
	struct ipk_error err = {0};
	void *p = NULL;

	(void)state;
	assert_int_equal(test_new(seg, "x", 0, &err), 0);
	assert_int_equal(ipk_obj_open(seg, "x", 2, TEST_VERSION, 16, 200, &p, &err), -EMEDIUMTYPE);
	assert_int_equal(ipk_obj_open(seg, "x", TEST_KIND, 9, 16, 200, &p, &err), -EPROTO);
	assert_int_equal(ipk_obj_open(seg, "x", TEST_KIND, TEST_VERSION, 17, 200, &p, &err),
			 -EBADMSG);
	assert_null(p);
	/* None of the failures keeps it from going. */
	assert_int_equal(ipk_object_remove(seg, "x", &err), 0);
	assert_int_equal(ipk_header(seg)->used, 0);
	ipk_segment_close(seg);
}

static void an_object_of_an_unknown_kind_is_left_alone(void **state)
{
	struct ipk_segment *seg = test_segment("e", 0, 0);
	struct ipk_obj_spec spec = {.name = "x", .kind = 777};
	struct ipk_error err = {0};

	(void)state;
	assert_int_equal(ipk_obj_create(seg, &spec, NULL, &err), 0);
	assert_int_equal(ipk_object_remove(seg, "x", &err), -EPROTO);
	assert_int_equal(ipk_header(seg)->objects, 1);
	assert_int_equal(test_check("e", true), 0);
	ipk_segment_close(seg);
}

static void a_removed_object_lives_until_the_last_handle_is_closed(void **state)
{
	struct ipk_segment *seg = test_segment("f", 0, 0), *other = NULL;
	struct ipk_obj *one = NULL, *two = NULL, *three = NULL;
	struct ipk_error err = {0};
	struct test_body *b;
	u64 used;

	(void)state;
	assert_int_equal(ipk_segment_open("f", IPK_WRITE, &other, &err), 0);
	assert_int_equal(test_new(seg, "x", 100000, &err), 0);
	used = ipk_header(seg)->used;
	assert_int_equal(test_open(seg, "x", &one, &err), 0);
	assert_int_equal(test_open(seg, "x", &two, &err), 0);
	assert_int_equal(test_open(other, "x", &three, &err), 0);
	assert_int_equal(ipk_object_remove(seg, "x", &err), 0);
	assert_true(ipk_stale(one));
	assert_true(ipk_stale(three));
	assert_int_equal(test_open(seg, "x", &one, &err), -ENOENT);
	assert_int_equal(ipk_header(seg)->used, used);
	b = (void *)(seg->base + one->body);
	assert_int_equal(ipk_block_size(seg, b->block), 25 * IPK_PAGE);
	/* The name is free at once. */
	assert_int_equal(test_new(seg, "x", 100000, &err), 0);
	assert_int_equal(test_check("f", false), 0);
	ipk_obj_close(one);
	assert_int_equal(ipk_header(seg)->used, 2 * used);
	ipk_obj_close(two);
	assert_int_equal(ipk_header(seg)->used, 2 * used);
	ipk_obj_close(three);
	assert_int_equal(ipk_header(seg)->used, used);
	assert_int_equal(ipk_header(seg)->zombies, 0);
	assert_int_equal(test_check("f", true), 0);
	ipk_segment_close(other);
	ipk_segment_close(seg);
}

struct user {
	struct ipk_obj *obj;
	pthread_barrier_t *at;
};

static void *use_it(void *arg)
{
	struct user *u = arg;
	int error = 0;
	struct ipk_self *me = ipk_use(u->obj, &error);

	pthread_barrier_wait(u->at); /* used */
	pthread_barrier_wait(u->at); /* removed */
	return me;
}

static void threads_of_one_handle_count_as_users_until_they_end(void **state)
{
	struct ipk_segment *seg = test_segment("g", 0, 0);
	struct ipk_error err = {0};
	struct ipk_obj *obj = NULL;
	pthread_barrier_t at;
	struct user u;
	pthread_t t[3];
	void *me;
	int i;

	(void)state;
	pthread_barrier_init(&at, NULL, 4);
	assert_int_equal(test_new(seg, "x", 5000, &err), 0);
	assert_int_equal(test_open(seg, "x", &obj, &err), 0);
	u = (struct user){obj, &at};
	for (i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&t[i], NULL, use_it, &u), 0);
	pthread_barrier_wait(&at);
	assert_int_equal(ipk_object_remove(seg, "x", &err), 0);
	assert_int_not_equal(ipk_header(seg)->used, 0);
	pthread_barrier_wait(&at);
	for (i = 0; i < 3; i++) {
		assert_int_equal(pthread_join(t[i], &me), 0);
		assert_non_null(me);
	}
	assert_int_not_equal(ipk_header(seg)->used, 0);
	ipk_obj_close(obj);
	assert_int_equal(ipk_header(seg)->used, 0);
	assert_int_equal(test_check("g", true), 0);
	pthread_barrier_destroy(&at);
	ipk_segment_close(seg);
}

static void what_a_killed_process_had_open_goes_with_its_removal(void **state)
{
	struct ipk_segment *seg = test_segment("h", 0, 0);
	struct ipk_error err = {0};
	int ready[2];
	char c;
	pid_t pid;

	(void)state;
	assert_int_equal(test_new(seg, "x", 5000, &err), 0);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct ipk_obj *obj = NULL;

		c = test_open(seg, "x", &obj, &err) == 0;
		if (write(ready[1], &c, 1) == 1)
			for (;;)
				pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	assert_int_equal(c, 1);
	assert_int_equal(ipk_object_remove(seg, "x", &err), 0);
	assert_int_not_equal(ipk_header(seg)->used, 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(test_wait(pid), SIGKILL);
	assert_int_equal(ipk_segment_sweep(seg), 1);
	assert_int_equal(ipk_header(seg)->used, 0);
	assert_int_equal(ipk_header(seg)->zombies, 0);
	assert_int_equal(test_check("h", true), 0);
	close(ready[0]);
	close(ready[1]);
	ipk_segment_close(seg);
}

static void who_has_very_many_open_keeps_only_those(void **state)
{
	enum { MANY = 500, FEW = 300 };
	struct ipk_segment *seg = test_segment("p", 0, 0);
	struct ipk_obj *obj[MANY];
	char name[16];
	u64 used;
	int i;

	(void)state;
	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "o%d", i);
		assert_int_equal(test_new(seg, name, 100, NULL), 0);
		assert_int_equal(test_open(seg, name, &obj[i], NULL), 0);
	}
	used = ipk_header(seg)->used;
	/* More than it can list: nothing is freed, what it uses and what it does not. */
	assert_int_equal(test_new(seg, "other", 100, NULL), 0);
	assert_int_equal(ipk_object_remove(seg, "other", NULL), 0);
	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "o%d", i);
		assert_int_equal(ipk_object_remove(seg, name, NULL), 0);
	}
	assert_true(ipk_header(seg)->used > used);
	for (i = FEW; i < MANY; i++)
		ipk_obj_close(obj[i]);
	assert_int_equal(test_check("p", true), 0);
	assert_int_equal(ipk_header(seg)->used, used / MANY * FEW);
	for (i = 0; i < FEW; i++)
		ipk_obj_close(obj[i]);
	assert_int_equal(ipk_header(seg)->used, 0);
	assert_int_equal(test_check("p", true), 0);
	ipk_segment_close(seg);
}

static void renaming_keeps_the_object_and_its_handles(void **state)
{
	struct ipk_segment *seg = test_segment("i", 0, 0);
	struct ipk_error err = {0};
	struct ipk_obj *obj = NULL, *again = NULL;

	(void)state;
	assert_int_equal(test_new(seg, "x", 100, &err), 0);
	assert_int_equal(test_new(seg, "z", 100, &err), 0);
	assert_int_equal(test_open(seg, "x", &obj, &err), 0);
	assert_int_equal(ipk_object_rename(seg, "x", "z", &err), -EEXIST);
	assert_int_equal(ipk_object_rename(seg, "nix", "q", &err), -ENOENT);
	assert_int_equal(ipk_object_rename(seg, "x", "a/b", &err), -EINVAL);
	assert_int_equal(ipk_object_rename(seg, "x", "x", &err), 0);
	assert_int_equal(ipk_object_rename(seg, "x", "y", &err), 0);
	assert_false(ipk_stale(obj));
	assert_int_equal(test_open(seg, "x", &again, &err), -ENOENT);
	assert_int_equal(test_open(seg, "y", &again, &err), 0);
	assert_int_equal(again->off, obj->off);
	assert_int_equal(test_check("i", true), 0);
	ipk_obj_close(again);
	ipk_obj_close(obj);
	assert_int_equal(ipk_object_remove(seg, "y", &err), 0);
	assert_int_equal(ipk_object_remove(seg, "z", &err), 0);
	assert_int_equal(ipk_header(seg)->used, 0);
	ipk_segment_close(seg);
}

static void a_reader_sees_objects_and_changes_nothing(void **state)
{
	struct ipk_segment *seg = test_segment("j", 0, 0), *reader = NULL;
	struct ipk_error err = {0};
	struct ipk_obj *obj = NULL;

	(void)state;
	assert_int_equal(test_new(seg, "x", 100, &err), 0);
	assert_int_equal(ipk_segment_open("j", IPK_READ, &reader, &err), 0);
	assert_int_equal(test_open(reader, "x", &obj, &err), 0);
	assert_int_equal(test_open(reader, "y", &obj, &err), -ENOENT);
	assert_int_equal(ipk_object_remove(reader, "x", &err), -EACCES);
	assert_int_equal(ipk_object_rename(reader, "x", "y", &err), -EACCES);
	assert_int_equal(test_new(reader, "y", 100, &err), -EACCES);
	assert_int_equal(ipk_segment_grow(reader, 2 << 20, &err), -EACCES);
	ipk_obj_close(obj);
	ipk_segment_close(reader);
	assert_int_equal(ipk_object_remove(seg, "x", &err), 0);
	assert_int_equal(ipk_header(seg)->used, 0);
	ipk_segment_close(seg);
}

/* ---- many ------------------------------------------------------------------------------- */

static void a_hundred_thousand_objects_are_all_found(void **state)
{
	enum { N = 100000 };
	struct ipk_segment *seg = test_segment("k", 0, 256 << 20);
	struct ipk_header *h = ipk_header(seg);
	struct ipk_error err = {0};
	struct ipk_obj *obj = NULL;
	u64 meta = h->meta_pages - (h->size / IPK_PAGE - h->table);
	char name[32];
	int i;

	(void)state;
	for (i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "o%d", i);
		assert_int_equal(test_new(seg, name, 0, &err), 0);
	}
	assert_int_equal(h->objects, N);
	assert_int_equal(test_check("k", true), 0);
	for (i = 0; i < N; i += 7) {
		snprintf(name, sizeof(name), "o%d", i);
		assert_int_equal(test_open(seg, name, &obj, &err), 0);
		assert_string_equal(obj->o->name, name);
		ipk_obj_close(obj);
	}
	for (i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "o%d", i);
		assert_int_equal(ipk_object_remove(seg, name, &err), 0);
	}
	assert_int_equal(h->used, 0);
	assert_int_equal(h->meta_pages - (h->size / IPK_PAGE - h->table), meta);
	assert_int_equal(test_check("k", true), 0);
	ipk_segment_close(seg);
}

static void a_million_rounds_of_creating_and_removing_leave_it_as_it_was(void **state)
{
	enum { LIVE = 300, ROUNDS = 1000000 };
	struct ipk_segment *seg = test_segment("o", 0, 64 << 20);
	struct ipk_header *h = ipk_header(seg);
	bool there[LIVE] = {false};
	char name[32];
	u32 x = 4242, k;
	int i;

	(void)state;
	for (i = 0; i < ROUNDS; i++) {
		k = test_random(&x) % LIVE;
		snprintf(name, sizeof(name), "o%u", k);
		if (there[k])
			assert_int_equal(ipk_object_remove(seg, name, NULL), 0);
		else
			assert_int_equal(
				test_new(seg, name, test_random(&x) % (k % 8 ? 3000 : 60000), NULL),
				0);
		there[k] = !there[k];
		if (i % 100000 == 0)
			assert_int_equal(test_check("o", true), 0);
	}
	for (k = 0; k < LIVE; k++) {
		snprintf(name, sizeof(name), "o%u", k);
		if (there[k])
			assert_int_equal(ipk_object_remove(seg, name, NULL), 0);
	}
	assert_int_equal(h->used, 0);
	assert_int_equal(h->bin_map, UINT64_C(1) << ipk_log2(h->table - IPK_FIRST_FREE));
	assert_true(h->size <=
		    8 << 20); /* 300 objects of at most 60 KB never took more than 2 MiB */
	assert_int_equal(test_check("o", true), 0);
	ipk_segment_close(seg);
}

static void a_name_that_comes_and_goes_does_not_fill_the_directory(void **state)
{
	struct ipk_segment *seg = test_segment("l", 65536, 65536);
	struct ipk_error err = {0};
	char name[32];
	int i;

	(void)state;
	for (i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "o%d", i);
		assert_int_equal(test_new(seg, name, 3000, &err), 0);
		if (i % 1000 == 0)
			assert_int_equal(test_check("l", true), 0);
		assert_int_equal(ipk_object_remove(seg, name, &err), 0);
	}
	assert_int_equal(ipk_header(seg)->used, 0);
	assert_int_equal(test_check("l", true), 0);
	ipk_segment_close(seg);
}

#define PROCESSES 4
#define EACH 10000

static int create_many(int who)
{
	struct ipk_segment *seg = NULL;
	struct ipk_error err = {0};
	char name[32];
	int i;

	if (ipk_segment_open("m", IPK_WRITE, &seg, &err) != 0)
		return 1;
	for (i = 0; i < EACH; i++) {
		snprintf(name, sizeof(name), "p%d.%d", who, i);
		if (test_new(seg, name, (u64)i % 300, &err) != 0) {
			fprintf(stderr, "%s: %s\n", name, err.text);
			return 2;
		}
	}
	ipk_segment_close(seg);
	return 0;
}

static int open_one(void *arg, const struct ipk_object_view *o)
{
	struct ipk_segment *seg = arg;
	struct ipk_obj *obj = NULL;
	struct ipk_error err = {0};
	struct test_body *b;
	int r = test_open(seg, o->name, &obj, &err);

	if (r < 0)
		return r;
	b = (void *)(seg->base + obj->body);
	r = b->stamp < 300 && (b->stamp == 0) == (b->block == 0) ? 0 : -EBADMSG;
	ipk_obj_close(obj);
	return r;
}

/* Lists and opens until all are there; torn or vanished objects are errors. */
static int list_all(void)
{
	struct ipk_segment *seg = NULL;
	struct ipk_view *view = NULL;
	struct ipk_segment_info info = {0};
	struct ipk_error err = {0};
	int r;

	if (ipk_segment_open("m", IPK_WRITE, &seg, &err) != 0 ||
	    ipk_view_open("m", &view, &err) != 0)
		return 1;
	while (info.objects < PROCESSES * EACH) {
		r = ipk_view_objects(view, open_one, seg);
		if (r < 0) {
			fprintf(stderr, "listing: %s\n", ipk_strerror(r));
			return 2;
		}
		if (ipk_view_info(view, &info) < 0)
			return 3;
	}
	ipk_view_close(view);
	ipk_segment_close(seg);
	return 0;
}

static int remove_many(int who)
{
	struct ipk_segment *seg = NULL;
	struct ipk_error err = {0};
	char name[32];
	int i;

	if (ipk_segment_open("m", IPK_WRITE, &seg, &err) != 0)
		return 1;
	for (i = 0; i < EACH; i++) {
		snprintf(name, sizeof(name), "p%d.%d", (who + 1) % PROCESSES, i);
		if (ipk_object_remove(seg, name, &err) != 0) {
			fprintf(stderr, "%s: %s\n", name, err.text);
			return 2;
		}
	}
	ipk_segment_close(seg);
	return 0;
}

static void four_processes_create_and_remove_while_a_fifth_lists(void **state)
{
	struct ipk_segment *seg = test_segment("m", 0, 256 << 20);
	pid_t pid[PROCESSES + 1];
	int i, round;

	(void)state;
	assert_int_equal(ipk_header(seg)->used, 0);
	for (round = 0; round < 2; round++) {
		for (i = 0; i <= PROCESSES - round; i++) {
			pid[i] = fork();
			assert_true(pid[i] >= 0);
			if (pid[i] == 0)
				_exit(i == PROCESSES ? list_all()
				      : round        ? remove_many(i)
						     : create_many(i));
			if (round && i == PROCESSES - 1)
				break;
		}
		for (i = 0; i < PROCESSES + 1 - round; i++)
			assert_int_equal(test_wait(pid[i]), 0);
		assert_int_equal(ipk_header(seg)->objects, round ? 0 : PROCESSES * EACH);
		assert_int_equal(test_check("m", true), 0);
	}
	assert_int_equal(ipk_header(seg)->used, 0);
	assert_int_equal(ipk_header(seg)->zombies, 0);
	ipk_segment_close(seg);
}

/* ---- threads that cross ----------------------------------------------------------------- */

#define CROSS_NAMES 3
#define CROSS_ROUNDS 4000

struct crosser {
	struct ipk_segment *seg;
	u32 x;
	int bad;
};

/* What an open handle shows stays whole until it is closed, whoever removes it. */
static bool whole(struct ipk_obj *obj)
{
	struct test_body *b = (void *)(obj->seg->base + obj->body);

	return ipk_ld(&obj->o->id, relaxed) == obj->id && b->stamp == 700 && b->block &&
	       ipk_block_size(obj->seg, b->block) == 768 &&
	       test_filled(obj->seg->base + b->block, 700);
}

static void *cross(void *arg)
{
	struct crosser *c = arg;
	struct ipk_obj *one, *two;
	char name[16];
	int i, error, r;

	for (i = 0; i < CROSS_ROUNDS && !c->bad; i++) {
		snprintf(name, sizeof(name), "c%u", test_random(&c->x) % CROSS_NAMES);
		switch (test_random(&c->x) % 4) {
		case 0:
			r = test_new(c->seg, name, 700, NULL);
			c->bad = r != 0 && r != -EEXIST;
			break;
		case 1:
			r = ipk_object_remove(c->seg, name, NULL);
			c->bad = r != 0 && r != -ENOENT;
			break;
		default:
			if (test_open(c->seg, name, &one, NULL) != 0)
				break;
			if (test_open(c->seg, name, &two, NULL) == 0) {
				c->bad |= !whole(two) || !ipk_use(two, &error);
				ipk_obj_close(two);
			}
			c->bad |= !whole(one) || !ipk_use(one, &error) || !whole(one);
			ipk_obj_close(one);
		}
	}
	return NULL;
}

static int cross_threads(struct ipk_segment *seg, u32 seed)
{
	struct crosser c[3];
	pthread_t t[3];
	int i, bad = 0;

	for (i = 0; i < 3; i++) {
		c[i] = (struct crosser){seg, seed + (u32)i * 7919, 0};
		if (pthread_create(&t[i], NULL, cross, &c[i]) != 0)
			return 1;
	}
	for (i = 0; i < 3; i++) {
		pthread_join(t[i], NULL);
		bad |= c[i].bad;
	}
	return bad;
}

static void handles_that_cross_in_threads_and_processes_keep_their_object(void **state)
{
	struct ipk_segment *seg = test_segment("x", 0, 0), *mine = NULL;
	char name[16];
	int i, bad;
	pid_t pid;

	(void)state;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (ipk_segment_open("x", IPK_WRITE, &mine, NULL) != 0)
			_exit(9);
		bad = cross_threads(mine, 1234567);
		ipk_segment_close(mine);
		_exit(bad);
	}
	assert_int_equal(cross_threads(seg, 7654321), 0);
	assert_int_equal(test_wait(pid), 0);
	for (i = 0; i < CROSS_NAMES; i++) {
		snprintf(name, sizeof(name), "c%d", i);
		(void)ipk_object_remove(seg, name, NULL);
	}
	assert_int_equal(ipk_header(seg)->zombies, 0);
	assert_int_equal(ipk_header(seg)->used, 0);
	assert_int_equal(test_check("x", true), 0);
	ipk_segment_close(seg);
}

/* ---- killed ----------------------------------------------------------------------------- */

#define NAMES 24

static void churn(const char *segment, u32 x)
{
	struct ipk_segment *seg = NULL;
	struct ipk_obj *obj = NULL;
	char name[32], to[32];

	if (ipk_segment_open(segment, IPK_WRITE, &seg, NULL) != 0)
		_exit(1);
	for (;;) {
		snprintf(name, sizeof(name), "k%u", test_random(&x) % NAMES);
		snprintf(to, sizeof(to), "k%u", test_random(&x) % NAMES);
		switch (test_random(&x) % 5) {
		case 0:
		case 1:
			(void)test_new(seg, name,
				       test_random(&x) % 4 ? test_random(&x) % 3000
							   : test_random(&x) % 600000,
				       NULL);
			break;
		case 2:
			(void)ipk_object_remove(seg, name, NULL);
			break;
		case 3:
			(void)ipk_object_rename(seg, name, to, NULL);
			break;
		default:
			if (test_open(seg, name, &obj, NULL) == 0) {
				(void)ipk_object_remove(seg, name, NULL);
				ipk_obj_close(obj);
			}
		}
	}
}

static void killed_at_any_instant_nothing_is_lost(void **state)
{
	enum { KILLS = 300, VICTIMS = 2 };
	struct ipk_segment *seg = test_segment("n", 65536, 64 << 20);
	struct ipk_error err = {0};
	pid_t pid[VICTIMS];
	char name[32];
	u32 x = 2463534242;
	int i, k;

	(void)state;
	for (i = 0; i < KILLS; i++) {
		for (k = 0; k < VICTIMS; k++) {
			u32 seed = test_random(&x);

			pid[k] = fork();
			assert_true(pid[k] >= 0);
			if (pid[k] == 0)
				churn("n", seed);
		}
		for (k = 0; k < VICTIMS; k++) {
			struct timespec ts = {.tv_nsec = test_random(&x) % 3000000};

			nanosleep(&ts, NULL);
			assert_int_equal(kill(pid[k], SIGKILL), 0);
			assert_int_equal(test_wait(pid[k]), SIGKILL);
			/* Before anybody makes anything good, and with the other one at it. */
			if (k == VICTIMS - 1 && test_check("n", false) != 0)
				fail_msg("after kill %d", i);
		}
		assert_true(ipk_segment_sweep(seg) >= 0);
		if (test_check("n", true) != 0)
			fail_msg("after the sweep that followed kill %d", i);
		assert_int_equal(ipk_header(seg)->zombies, 0);
	}
	for (i = 0; i < NAMES; i++) {
		snprintf(name, sizeof(name), "k%d", i);
		k = ipk_object_remove(seg, name, &err);
		assert_true(k == 0 || k == -ENOENT);
	}
	assert_int_equal(ipk_header(seg)->used, 0);
	assert_int_equal(ipk_header(seg)->objects, 0);
	assert_int_equal(test_check("n", true), 0);
	ipk_segment_close(seg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(create_open_close_remove),
		cmocka_unit_test(an_object_with_no_good_name_or_size_is_refused),
		cmocka_unit_test(a_creation_that_fails_half_way_leaves_nothing),
		cmocka_unit_test(kind_version_and_size_are_checked_on_opening),
		cmocka_unit_test(an_object_of_an_unknown_kind_is_left_alone),
		cmocka_unit_test(a_removed_object_lives_until_the_last_handle_is_closed),
		cmocka_unit_test(threads_of_one_handle_count_as_users_until_they_end),
		cmocka_unit_test(what_a_killed_process_had_open_goes_with_its_removal),
		cmocka_unit_test(who_has_very_many_open_keeps_only_those),
		cmocka_unit_test(renaming_keeps_the_object_and_its_handles),
		cmocka_unit_test(a_reader_sees_objects_and_changes_nothing),
		cmocka_unit_test(a_hundred_thousand_objects_are_all_found),
		cmocka_unit_test(a_million_rounds_of_creating_and_removing_leave_it_as_it_was),
		cmocka_unit_test(a_name_that_comes_and_goes_does_not_fill_the_directory),
		cmocka_unit_test(four_processes_create_and_remove_while_a_fifth_lists),
		cmocka_unit_test(handles_that_cross_in_threads_and_processes_keep_their_object),
		cmocka_unit_test(killed_at_any_instant_nothing_is_lost),
	};

	return cmocka_run_group_tests(tests, dir_setup, dir_teardown);
}
