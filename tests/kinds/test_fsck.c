/* SPDX-License-Identifier: MIT */
/* Damage of each sort is found and said in words; what is sound is silent, also under load. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fill.h"
#include "ipk/barrier.h"
#include "ipk/mutex.h"
#include "ipk/once.h"
#include "ipk/pool.h"
#include "ipk/ring.h"
#include "ipk/rwlock.h"
#include "ipk/semaphore.h"
#include "private_dir.h"
#include "segment/dir.h"
#include "segment/registry.h"
#include "segment/segment.h"

static struct ipk_segment *new_segment(const char *name)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_segment *seg = NULL;
	struct ipk_error err = {0};

	options.max = 64 << 20;
	if (ipk_segment_create(name, &options, &seg, &err) != 0 || fill_segment(seg, &err) != 0)
		fail_msg("%s: %s", name, err.text);
	return seg;
}

struct report {
	char text[65536];
	size_t len;
};

static void add(void *arg, const char *where, const char *what)
{
	struct report *r = arg;

	r->len += (size_t)snprintf(r->text + r->len, sizeof(r->text) - r->len, "%s: %s\n", where,
				   what);
	if (r->len >= sizeof(r->text))
		r->len = sizeof(r->text) - 1;
}

static int fsck(const char *name, struct report *report)
{
	struct ipk_view *view;
	struct ipk_error err = {0};
	int r;

	report->len = 0;
	report->text[0] = '\0';
	if (ipk_view_open(name, &view, &err) != 0)
		fail_msg("%s: %s", name, err.text);
	r = ipk_fsck(view, add, report, &err);
	ipk_view_close(view);
	if (r < 0)
		add(report, "error", err.text);
	return r;
}

static void silent(const char *name)
{
	struct report report;

	if (fsck(name, &report) != 0)
		fail_msg("%s is sound, but: %s", name, report.text);
}

static void says(const char *name, const char *what)
{
	struct report report;
	int r = fsck(name, &report);

	if (r <= 0 || !strstr(report.text, what))
		fail_msg("%d findings without \"%s\": %s", r, what, report.text);
}

static struct ipk_object *header_of(struct ipk_segment *seg, const char *name)
{
	struct ipk_dir_name n;
	u64 off;

	ipk_dir_name(&n, name);
	assert_int_equal(ipk_dir_find(seg, &n, &off, NULL, NULL), 0);
	return ipk_at(seg, off, sizeof(struct ipk_object), 64);
}

static int leak(struct ipk_tx *tx, void *arg)
{
	*(u64 *)arg = ipk_tx_alloc(tx, *(u64 *)arg, 0);
	return *(u64 *)arg ? 0 : tx->error;
}

static int give_back(struct ipk_tx *tx, void *arg)
{
	ipk_tx_free(tx, *(u64 *)arg);
	return 0;
}

static void a_block_that_belongs_to_nothing_is_found(void **state)
{
	struct ipk_segment *seg = new_segment("leak");
	struct ipk_self *me = ipk_self(seg, &(int){0});
	u64 small = 100, large = 3 * IPK_PAGE;

	(void)state;
	silent("leak");
	assert_int_equal(ipk_tx_run(me, leak, &small, IPK_FOREVER, NULL), 0);
	says("leak", "belongs to nothing");
	assert_int_equal(ipk_tx_run(me, give_back, &small, IPK_FOREVER, NULL), 0);
	silent("leak");
	assert_int_equal(ipk_tx_run(me, leak, &large, IPK_FOREVER, NULL), 0);
	says("leak", "the block of 3 pages");
	assert_int_equal(ipk_tx_run(me, give_back, &large, IPK_FOREVER, NULL), 0);
	silent("leak");
	ipk_segment_close(seg);
}

static void counters_that_are_off_by_one_are_found(void **state)
{
	struct ipk_segment *seg = new_segment("count");
	struct ipk_header *h = ipk_header(seg);
	u64 *const words[] = {&h->used, &h->objects, &h->meta_pages, &h->dir_live, &h->dir_tombs};
	struct report report;

	(void)state;
	for (size_t i = 0; i < IPK_ARRAY_LEN(words); i++) {
		++*words[i];
		assert_true(fsck("count", &report) > 0);
		--*words[i];
		silent("count");
	}
	ipk_segment_close(seg);
}

static void a_damaged_object_is_named_and_the_others_are_still_checked(void **state)
{
	struct ipk_segment *seg = new_segment("object");
	struct ipk_object *array = header_of(seg, "array"), *queue = header_of(seg, "queue");
	char *type = (char *)queue + queue->type, keep = *type;
	struct report report;

	(void)state;
	array->kind = 37;
	says("object", "array: it is of kind 37, version 1, which this program cannot check");
	*type = '?';
	says("object", "array: it is of kind 37");
	says("object", "queue: its element type is not readable: type: column 1");
	array->kind = 1;
	*type = keep;
	silent("object");
	array->version++;
	says("object", "array: it is of kind 1, version 2, which this program cannot check");
	array->version--;
	array->magic++;
	assert_true(fsck("object", &report) > 0);
	array->magic--;
	array->body += 64;
	says("object", "its header is damaged");
	array->body -= 64;
	array->name[0] = '/';
	says("object", "its name is damaged");
	array->name[0] = 'a';
	silent("object");
	ipk_segment_close(seg);
}

static void a_directory_that_names_one_object_twice_is_found(void **state)
{
	struct ipk_segment *seg = new_segment("twice");
	u64 word = ipk_header(seg)->dir, n = UINT64_C(1) << ipk_dir_log2(word), *free_slot = NULL,
	    entry = 0;
	u64 *table = ipk_at(seg, ipk_dir_page(word) * IPK_PAGE, 8 * n, 8);

	(void)state;
	assert_non_null(table);
	for (u64 i = 0; i < n; i++) {
		if (table[i] > IPK_DIR_TOMB)
			entry = table[i];
		else if (table[i] == 0)
			free_slot = &table[i];
	}
	assert_true(entry && free_slot);
	*free_slot = entry;
	says("twice", "belongs to two");
	*free_slot = 0;
	silent("twice");
	ipk_segment_close(seg);
}

static void a_list_of_removed_objects_that_runs_in_a_circle_ends(void **state)
{
	struct ipk_segment *seg = new_segment("circle");
	struct ipk_object *o = header_of(seg, "array");
	struct report report;

	(void)state;
	o->zombie = ipk_off(seg, o);
	ipk_header(seg)->zombies = ipk_off(seg, o);
	assert_true(fsck("circle", &report) > 0);
	o->zombie = 0;
	ipk_header(seg)->zombies = 0;
	silent("circle");
	ipk_segment_close(seg);
}

static void a_removed_object_in_use_is_no_finding(void **state)
{
	struct ipk_segment *seg = new_segment("zombie");

	(void)state;
	for (const struct ipk_kind *const *k = ipk_kinds; *k; k++) {
		struct ipk_error err = {0};
		void *handle = NULL;

		if ((*k)->attach(seg, (*k)->name, &handle, &err) != 0)
			fail_msg("%s: %s", (*k)->name, err.text);
		assert_int_equal(ipk_object_remove(seg, (*k)->name, &err), 0);
		silent("zombie");
		(*k)->detach(handle);
		silent("zombie");
	}
	ipk_segment_close(seg);
}

static void a_broken_page_table_is_not_believed(void **state)
{
	struct ipk_segment *seg = new_segment("table");
	struct ipk_header *h = ipk_header(seg);
	struct ipk_page *table =
		ipk_at(seg, h->table * IPK_PAGE, sizeof(*table) * (h->size / IPK_PAGE), 8);
	struct report report;
	u64 keep = table[0].w;

	(void)state;
	table[0].w = 0;
	says("table", "page 0 is no head of a run");
	table[0].w = keep;
	h->table--;
	assert_true(fsck("table", &report) != 0);
	h->table++;
	silent("table");
	ipk_segment_close(seg);
}

static const char *const sync_kinds[] = {"mutex", "rwlock", "once", "semaphore", "pool", "barrier", "ring"};

/* Something of each kind, in the thread's own name. */
struct sync_all {
	struct ipk_mutex *mutex;
	struct ipk_rwlock *rwlock;
	struct ipk_once *once;
	struct ipk_semaphore *semaphore;
	struct ipk_pool *pool;
	struct ipk_barrier *barrier;
	struct ipk_ring *ring;
	uint64_t index;
};

static int sync_open(struct ipk_segment *seg, struct sync_all *s)
{
	if (ipk_mutex_open(seg, "mutex", &s->mutex, NULL) != 0 ||
	    ipk_rwlock_open(seg, "rwlock", &s->rwlock, NULL) != 0 ||
	    ipk_once_open(seg, "once", &s->once, NULL) != 0 ||
	    ipk_semaphore_open(seg, "semaphore", &s->semaphore, NULL) != 0 ||
	    ipk_pool_open(seg, "pool", NULL, &s->pool, NULL) != 0)
		return -1;
	if (ipk_ring_open(seg, "ring", NULL, &s->ring, NULL) != 0)
		return -1;
	return ipk_barrier_open(seg, "barrier", &s->barrier, NULL);
}

/* What others have just now is not had. A party that is not joined waits in vain and stays one. */
static unsigned sync_take(struct sync_all *s)
{
	return (ipk_mutex_lock(s->mutex, IPK_NOWAIT) == 0) +
	       (ipk_rwlock_lock_shared(s->rwlock, IPK_NOWAIT) == 0) +
	       (ipk_once_begin(s->once, IPK_NOWAIT) > 0) +
	       (ipk_semaphore_acquire(s->semaphore, 1, IPK_NOWAIT) == 0) +
	       (ipk_pool_acquire(s->pool, IPK_NOWAIT, &s->index) == 0) +
	       (ipk_barrier_wait(s->barrier, ipk_deadline(1)) == -ETIMEDOUT) +
	       (ipk_ring_push(s->ring, "x", 1, IPK_NOWAIT) == 0);
}

static void sync_close(struct sync_all *s)
{
	ipk_mutex_unlock(s->mutex);
	ipk_rwlock_unlock(s->rwlock);
	ipk_once_abandon(s->once);
	ipk_mutex_close(s->mutex);
	ipk_rwlock_close(s->rwlock);
	ipk_once_close(s->once);
	ipk_semaphore_close(s->semaphore);
	ipk_pool_close(s->pool);
	ipk_barrier_close(s->barrier);
	ipk_ring_close(s->ring);
}

static void make_sync(struct ipk_segment *seg)
{
	for (unsigned i = 0; i < IPK_ARRAY_LEN(sync_kinds); i++) {
		ipk_object_remove(seg, sync_kinds[i], NULL);
		assert_int_equal(ipk_object_new(seg, sync_kinds[i], sync_kinds[i], NULL, 0, NULL), 0);
	}
}

/* No sweep would come there after his death. */
static void a_word_of_somebody_who_does_not_use_the_object_is_found(void **state)
{
	struct ipk_segment *seg = new_segment("user");
	struct ipk_self *me = ipk_self(seg, &(int){0});
	struct sync_all s;
	char text[80];

	(void)state;
	make_sync(seg);
	assert_int_equal(sync_open(seg, &s), 0);
	assert_int_equal(sync_take(&s), IPK_ARRAY_LEN(sync_kinds));
	for (unsigned i = 0; i < IPK_ARRAY_LEN(sync_kinds); i++) {
		u64 off = ipk_off(seg, header_of(seg, sync_kinds[i]));

		silent("user");
		ipk_uses_drop(me, off);
		snprintf(text, sizeof(text), "participant %u, who does not use it", me->slot);
		says("user", text);
		says("user", sync_kinds[i]);
		/* Who uses more than he can list uses all. */
		me->page->overflow = 1;
		silent("user");
		me->page->overflow = 0;
		assert_true(ipk_uses_add(me, off));
	}
	silent("user");
	sync_close(&s);
	ipk_segment_close(seg);
}

/* ---- under load ----------------------------------------------------------------------------- */

static void work(const char *prefix)
{
	struct ipk_segment *seg = NULL;
	struct ipk_error err;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (ipk_segment_open("busy", IPK_WRITE, &seg, &err) != 0)
		_exit(1);
	for (unsigned i = 0;; i++) {
		const struct ipk_kind *kind = ipk_kinds[i % 2];
		const struct ipk_param small[] = {{"cap", "8"}};
		char name[32];

		snprintf(name, sizeof(name), "%s%u", prefix, i % 64);
		if (ipk_object_new(seg, name, kind->name, small, 1, &err) == -EEXIST)
			ipk_object_remove(seg, name, &err);
	}
}

/* Begins and ends using objects all the time, with something in hand meanwhile. */
static void come_and_go(const char *name)
{
	struct ipk_segment *seg = NULL;
	struct sync_all s;

	(void)name;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (unsigned i = 0;; i++) {
		if (i % 64 == 0) {
			ipk_segment_close(seg);
			if (ipk_segment_open("busy", IPK_WRITE, &seg, NULL) != 0)
				_exit(1);
		}
		if (sync_open(seg, &s) != 0)
			_exit(1);
		sync_take(&s);
		sync_close(&s);
	}
}

static void silent_beside(void (*work_at)(const char *prefix))
{
	pid_t pid[2];

	for (int i = 0; i < 2; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			work_at(i ? "a" : "b");
			_exit(0);
		}
	}
	assert_true(pid[0] > 0 && pid[1] > 0);
	for (int i = 0; i < 60; i++)
		silent("busy");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(kill(pid[i], SIGKILL), 0);
		assert_int_equal(waitpid(pid[i], NULL, 0), pid[i]);
	}
	silent("busy");
}

static void a_sound_segment_is_silent_while_others_work_in_it(void **state)
{
	struct ipk_segment *seg = new_segment("busy");

	(void)state;
	make_sync(seg);
	ipk_segment_close(seg);
	silent_beside(work);
	silent_beside(come_and_go);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_block_that_belongs_to_nothing_is_found),
		cmocka_unit_test(counters_that_are_off_by_one_are_found),
		cmocka_unit_test(a_damaged_object_is_named_and_the_others_are_still_checked),
		cmocka_unit_test(a_directory_that_names_one_object_twice_is_found),
		cmocka_unit_test(a_list_of_removed_objects_that_runs_in_a_circle_ends),
		cmocka_unit_test(a_removed_object_in_use_is_no_finding),
		cmocka_unit_test(a_broken_page_table_is_not_believed),
		cmocka_unit_test(a_word_of_somebody_who_does_not_use_the_object_is_found),
		cmocka_unit_test(a_sound_segment_is_silent_while_others_work_in_it),
	};

	return cmocka_run_group_tests(tests, dir_setup, dir_teardown);
}
