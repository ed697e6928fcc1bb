/* SPDX-License-Identifier: MIT */
/* Semaphores: what the functions, the verbs and the views say. */
#include "fixture_one.h"

#include "ipk/semaphore.h"
#include "kinds/semaphore.h"

static struct ipk_semaphore *open_sem(struct ipk_segment *in)
{
	struct ipk_semaphore *sem = NULL;
	struct ipk_error err = { 0 };

	if (ipk_semaphore_open(in, "x", &sem, &err) < 0)
		fail_msg("open: %s", err.text);
	return sem;
}

static struct ipk_semaphore *make(u64 cap, u64 value)
{
	struct ipk_error err = { 0 };

	if (ipk_semaphore_create(seg, "x", cap, value, &err) < 0)
		fail_msg("create: %s", err.text);
	return open_sem(seg);
}

static void a_permit_can_be_had_as_often_as_there_are(void **state)
{
	static const u64 caps[] = { 1, 2, 3, 64, 65, 1000 };

	(void)state;
	for (size_t c = 0; c < IPK_ARRAY_LEN(caps); c++) {
		struct ipk_semaphore *sem = make(caps[c], caps[c]);

		for (int round = 0; round < 3; round++) {
			for (u64 i = 0; i < caps[c]; i++) {
				assert_int_equal(ipk_semaphore_value(sem), caps[c] - i);
				assert_int_equal(ipk_semaphore_acquire(sem, 1, IPK_NOWAIT), 0);
			}
			assert_int_equal(ipk_semaphore_acquire(sem, 1, IPK_NOWAIT), -EAGAIN);
			assert_int_equal(ipk_semaphore_take(sem, 1, IPK_NOWAIT), -EAGAIN);
			assert_int_equal(ipk_semaphore_acquire(sem, 1, ipk_deadline(MS)), -ETIMEDOUT);
			assert_int_equal(ipk_semaphore_wait(sem, ipk_deadline(MS)), -ETIMEDOUT);
			assert_int_equal(ipk_semaphore_wait(sem, IPK_NOWAIT), -EAGAIN);
			for (u64 i = 0; i < caps[c]; i++)
				assert_int_equal(ipk_semaphore_release(sem, 1), 0);
			assert_int_equal(ipk_semaphore_wait(sem, IPK_NOWAIT), 0);
			assert_int_equal(ipk_semaphore_release(sem, 1), -EOVERFLOW);
			assert_int_equal(ipk_semaphore_post(sem, 1), -EOVERFLOW);
		}
		ipk_semaphore_close(sem);
		assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
	}
}

static void several_are_had_together_or_not_at_all(void **state)
{
	struct ipk_semaphore *sem = make(5, 5);

	(void)state;
	assert_int_equal(ipk_semaphore_acquire(sem, 3, IPK_NOWAIT), 0);
	assert_int_equal(ipk_semaphore_acquire(sem, 3, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_semaphore_value(sem), 2);
	assert_int_equal(ipk_semaphore_take(sem, 2, IPK_NOWAIT), 0);
	assert_int_equal(ipk_semaphore_acquire(sem, 2, ipk_deadline(MS)), -ETIMEDOUT);
	assert_int_equal(ipk_semaphore_release(sem, 6), -EOVERFLOW);
	assert_int_equal(ipk_semaphore_value(sem), 5);
	assert_int_equal(ipk_semaphore_acquire(sem, 5, IPK_FOREVER), 0);
	assert_int_equal(ipk_semaphore_acquire(sem, 6, IPK_FOREVER), -EINVAL);
	assert_int_equal(ipk_semaphore_acquire(sem, 0, IPK_FOREVER), -EINVAL);
	assert_int_equal(ipk_semaphore_acquire(sem, UINT64_MAX, IPK_FOREVER), -EINVAL);
	assert_int_equal(ipk_semaphore_release(sem, 5), 0);
	ipk_semaphore_close(sem);
}

static void a_semaphore_of_value_0_signals(void **state)
{
	struct ipk_semaphore *sem = make(3, 0);

	(void)state;
	assert_int_equal(ipk_semaphore_take(sem, 1, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_semaphore_post(sem, 2), 0);
	assert_int_equal(ipk_semaphore_take(sem, 1, IPK_NOWAIT), 0);
	assert_int_equal(ipk_semaphore_take(sem, 1, IPK_NOWAIT), 0);
	assert_int_equal(ipk_semaphore_take(sem, 1, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_semaphore_post(sem, 4), -EOVERFLOW);
	assert_int_equal(ipk_semaphore_value(sem), 3);
	ipk_semaphore_close(sem);
}

static void absurd_numbers_of_permits_are_refused(void **state)
{
	struct ipk_error err = { 0 };

	(void)state;
	assert_true(ipk_semaphore_create(seg, "x", 0, 0, &err) < 0);
	assert_true(ipk_semaphore_create(seg, "x", UINT64_MAX, 0, &err) < 0);
	assert_true(ipk_semaphore_create(seg, "x", IPK_SEM_CAP_MAX + 1, 0, &err) < 0);
	assert_int_equal(ipk_semaphore_create(seg, "x", IPK_SEM_CAP_MAX, 0, &err), -ENOSPC);
	assert_int_equal(ipk_semaphore_create(seg, "x", 3, 4, &err), -EINVAL);
	assert_non_null(strstr(err.text, "--value"));
	assert_int_equal(ipk_object_new(seg, "x", "semaphore",
					&(struct ipk_param){ "type", "f64" }, 1, &err), -EMEDIUMTYPE);
}

static void ten_thousand_permits_come_and_go_in_any_order(void **state)
{
	const u64 cap = 10000;
	struct ipk_semaphore *sem = make(cap, cap);
	u64 held = 0, seed = 3;

	(void)state;
	for (int i = 0; i < 200000; i++) {
		if (held < cap && (held == 0 || seeded(&seed) % 2)) {
			assert_int_equal(ipk_semaphore_acquire(sem, 1, IPK_NOWAIT), 0);
			held++;
		} else {
			assert_int_equal(ipk_semaphore_release(sem, 1), 0);
			held--;
		}
	}
	assert_int_equal(ipk_semaphore_value(sem), cap - held);
	assert_int_equal(ipk_semaphore_acquire(sem, cap - held, IPK_NOWAIT), 0);
	assert_int_equal(ipk_semaphore_acquire(sem, 1, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_semaphore_release(sem, cap), 0);
	ipk_semaphore_close(sem);
}

/* ---- whose a permit is ----------------------------------------------------------------------- */

static void a_handle_gives_back_at_its_end_what_was_acquired_through_it(void **state)
{
	struct ipk_semaphore *sem = make(6, 6), *other = open_sem(seg);

	(void)state;
	assert_int_equal(ipk_semaphore_acquire(sem, 2, IPK_NOWAIT), 0);
	assert_int_equal(ipk_semaphore_acquire(other, 1, IPK_NOWAIT), 0);
	assert_int_equal(ipk_semaphore_take(sem, 1, IPK_NOWAIT), 0);
	ipk_semaphore_close(sem);
	assert_int_equal(ipk_semaphore_value(other), 4);
	/* What came through one handle may go through another. */
	sem = open_sem(seg);
	assert_int_equal(ipk_semaphore_release(sem, 1), 0);
	assert_int_equal(ipk_semaphore_value(other), 5);
	ipk_semaphore_close(other);
	assert_int_equal(ipk_semaphore_value(sem), 5);
	assert_int_equal(ipk_semaphore_post(sem, 1), 0);
	ipk_semaphore_close(sem);
}

static void *acquire_one(void *arg)
{
	return (void *)(intptr_t)ipk_semaphore_acquire(arg, 1, IPK_NOWAIT);
}

static void *release_one(void *arg)
{
	return (void *)(intptr_t)ipk_semaphore_release(arg, 1);
}

static u32 attached(void)
{
	return info_of("s").attached;
}

static void a_thread_that_ends_leaves_its_permits_to_its_process(void **state)
{
	struct ipk_semaphore *sem = make(3, 3);
	u32 before = attached();

	(void)state;
	assert_int_equal(in_thread(acquire_one, sem), 0);
	assert_int_equal(in_thread(acquire_one, sem), 0);
	assert_int_equal(ipk_segment_sweep(seg), 0);
	assert_int_equal(ipk_semaphore_value(sem), 1);
	assert_int_equal(ipk_semaphore_release(sem, 1), 0);
	assert_int_equal(in_thread(release_one, sem), 0);
	assert_int_equal(ipk_semaphore_release(sem, 1), -EOVERFLOW);
	assert_int_equal(ipk_semaphore_value(sem), 3);
	/* And with its last permit it is gone. */
	assert_int_equal(attached(), before);
	assert_int_equal(in_thread(acquire_one, sem), 0);
	ipk_semaphore_close(sem);
	assert_int_equal(attached(), before);
	sem = open_sem(seg);
	assert_int_equal(ipk_semaphore_value(sem), 3);
	ipk_semaphore_close(sem);
}

static void a_segment_that_is_closed_gives_back(void **state)
{
	struct ipk_semaphore *sem = make(2, 2), *theirs;
	struct ipk_segment *again = open_segment("s");

	(void)state;
	theirs = open_sem(again);
	assert_int_equal(ipk_semaphore_acquire(theirs, 2, IPK_NOWAIT), 0);
	assert_int_equal(ipk_semaphore_value(sem), 0);
	ipk_semaphore_close(theirs);
	ipk_segment_close(again);
	assert_int_equal(ipk_semaphore_value(sem), 2);
	ipk_semaphore_close(sem);
}

static void end_as_a_child(void *arg)
{
	struct ipk_semaphore *sem = arg;

	/* Neither may it release its parent's permit, nor does its own close. */
	must(ipk_semaphore_release(sem, 1) == -EOVERFLOW);
	must(ipk_semaphore_acquire(sem, 1, IPK_NOWAIT) == 0);
	must(ipk_semaphore_acquire(sem, 1, IPK_NOWAIT) == -EAGAIN);
	must(ipk_semaphore_release(sem, 1) == 0);
	must(ipk_semaphore_acquire(sem, 1, IPK_NOWAIT) == 0);
	ipk_semaphore_close(sem);
}

static void a_child_has_none_of_its_parents_permits(void **state)
{
	struct ipk_semaphore *sem = make(3, 3);

	(void)state;
	assert_int_equal(ipk_semaphore_acquire(sem, 2, IPK_NOWAIT), 0);
	assert_ended_well(join_child(spawn(end_as_a_child, sem)));
	assert_int_equal(ipk_semaphore_value(sem), 1);
	assert_int_equal(ipk_semaphore_release(sem, 2), 0);
	assert_int_equal(ipk_semaphore_release(sem, 1), -EOVERFLOW);
	ipk_semaphore_close(sem);
}

static void what_a_descriptor_holds_comes_back_with_its_last_copy(void **state)
{
	struct ipk_semaphore *sem = make(4, 4);
	int fd = -1, copy, more = -1;

	(void)state;
	assert_int_equal(ipk_semaphore_hold(sem, 3, IPK_NOWAIT, &fd), 0);
	assert_int_equal(ipk_semaphore_hold(sem, 3, IPK_NOWAIT, &more), -EAGAIN);
	assert_int_equal(more, -1);
	assert_int_equal(ipk_semaphore_value(sem), 1);
	assert_int_equal(ipk_semaphore_release(sem, 1), -EOVERFLOW);
	copy = dup(fd);
	close(fd);
	ipk_segment_sweep(seg);
	assert_int_equal(ipk_semaphore_value(sem), 1);
	close(copy);
	/* Whoever finds none free looks for the dead. */
	assert_int_equal(ipk_semaphore_acquire(sem, 4, IPK_NOWAIT), 0);
	assert_int_equal(ipk_semaphore_release(sem, 4), 0);
	ipk_semaphore_close(sem);
}

static void who_may_only_read_waits_and_takes_nothing(void **state)
{
	struct ipk_semaphore *sem = make(1, 1), *theirs;
	struct ipk_segment *ro;
	int fd;

	(void)state;
	assert_int_equal(ipk_segment_open("s", IPK_READ, &ro, NULL), 0);
	theirs = open_sem(ro);
	assert_int_equal(ipk_semaphore_value(theirs), 1);
	assert_int_equal(ipk_semaphore_wait(theirs, IPK_FOREVER), 0);
	assert_int_equal(ipk_semaphore_acquire(theirs, 1, IPK_NOWAIT), -EACCES);
	assert_int_equal(ipk_semaphore_take(theirs, 1, IPK_NOWAIT), -EACCES);
	assert_int_equal(ipk_semaphore_hold(theirs, 1, IPK_NOWAIT, &fd), -EACCES);
	assert_int_equal(ipk_semaphore_release(theirs, 1), -EACCES);
	assert_int_equal(ipk_semaphore_post(theirs, 1), -EACCES);
	assert_int_equal(ipk_semaphore_acquire(sem, 1, IPK_NOWAIT), 0);
	assert_int_equal(ipk_semaphore_wait(theirs, IPK_NOWAIT), -EAGAIN);
	assert_int_equal(ipk_semaphore_wait(theirs, ipk_deadline(MS)), -ETIMEDOUT);
	ipk_semaphore_close(theirs);
	ipk_segment_close(ro);
	ipk_semaphore_close(sem);
}

/* ---- views ----------------------------------------------------------------------------------- */

struct roles {
	u64 owner, holder, nobody;
};

static int count_role(void *arg, uint32_t slot, const char *role, uint64_t count)
{
	struct roles *r = arg;

	if (!strcmp(role, "owner"))
		r->owner += count;
	else if (!strcmp(role, "holder"))
		r->holder += count;
	else if (!strcmp(role, "nobody") && slot == IPK_SLOT_NONE)
		r->nobody += count;
	else
		fail_msg("role %s", role);
	return 0;
}

static struct roles roles_of(const char *object)
{
	struct roles r = { 0 };
	struct look l;

	look(&l, "s", object);
	assert_int_equal(l.kind->holders(&l.o, count_role, &r), 0);
	look_end(&l);
	return r;
}

static void assert_value(const char *want)
{
	struct ipk_buf text = { 0 };
	struct look l;

	look(&l, "s", "x");
	assert_int_equal(l.kind->value(&l.o, &text), 0);
	ipk_buf_add(&text, "", 1);
	assert_string_equal(text.data, want);
	ipk_buf_free(&text);
	look_end(&l);
}

static void views_say_who_has_how_many(void **state)
{
	static const u64 caps[] = { 7, 5000 };

	(void)state;
	for (size_t c = 0; c < IPK_ARRAY_LEN(caps); c++) {
		struct ipk_semaphore *sem = make(caps[c], caps[c]);
		u64 used, cap;
		struct roles r;
		struct look l;
		int fd;

		assert_int_equal(ipk_semaphore_acquire(sem, 2, IPK_NOWAIT), 0);
		assert_int_equal(ipk_semaphore_take(sem, 1, IPK_NOWAIT), 0);
		assert_int_equal(ipk_semaphore_hold(sem, 3, IPK_NOWAIT, &fd), 0);
		r = roles_of("x");
		assert_int_equal(r.owner, 2);
		assert_int_equal(r.nobody, 1);
		assert_int_equal(r.holder, 3);
		assert_value(c ? "4994\n" : "1\n");
		look(&l, "s", "x");
		assert_int_equal(l.kind->inspect(&l.o, &used, &cap), 0);
		assert_int_equal(used, 6);
		assert_int_equal(cap, caps[c]);
		look_end(&l);
		assert_int_equal(findings_of("s", "x").n, 0);
		close(fd);
		ipk_semaphore_close(sem);
		assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
	}
}

static void a_damaged_semaphore_is_refused_and_found(void **state)
{
	struct ipk_semaphore *sem = make(100, 50), *other;
	struct ipk_semaphore_body good, *body = sem->s.body;
	u64 *cell = ipk_cell(&sem->s.cells, 99), old = *cell, n;
	struct look l;

	(void)state;
	memcpy(&good, body, sizeof(good));
	for (int i = 0; i < 5; i++) {
		switch (i) {
		case 0: body->cap = 0; break;
		case 1: body->cap = UINT64_MAX; break;
		case 2: body->cap = 1000; break;
		case 3: body->cap = 10; break;
		case 4: body->stride = 0; break;
		}
		look(&l, "s", "x");
		assert_int_equal(l.kind->inspect(&l.o, &n, &n), -EBADMSG);
		look_end(&l);
		assert_int_equal(findings_of("s", "x").n, 1);
		assert_int_equal(ipk_semaphore_open(seg, "x", &other, NULL), -EBADMSG);
		memcpy(body, &good, sizeof(good));
	}
	assert_int_equal(findings_of("s", "x").n, 0);
	*cell = 0x3ffe; /* beyond all slots */
	assert_int_equal(findings_of("s", "x").n, 1);
	*cell = 1001; /* nobody there */
	assert_int_equal(findings_of("s", "x").n, 1);
	*cell = IPK_CELL_P;
	assert_int_equal(findings_of("s", "x").n, 1);
	*cell = old;
	body->hint = UINT32_MAX;
	assert_int_equal(ipk_semaphore_acquire(sem, 50, IPK_NOWAIT), 0);
	ipk_semaphore_close(sem);
}

/* ---- verbs ----------------------------------------------------------------------------------- */

static int run(const char *verb, u64 count, bool hold, int *ret_fd, const char *out)
{
	struct verb v = { .call = { .count = count, .hold = hold } };
	int r = verb_run(&v, seg, "x", "semaphore", verb, NULL, NULL, NULL);

	if (r < 0)
		assert_true(v.call.err.text[0]);
	if (out)
		assert_string_equal(v.out.data, out);
	if (ret_fd)
		*ret_fd = v.call.hold_fd;
	verb_end(&v);
	return r;
}

static void the_verbs_take_and_give_back_what_nobody_owns(void **state)
{
	int fd;

	(void)state;
	ipk_semaphore_close(make(3, 3));
	assert_int_equal(run("get", 0, false, NULL, "3\n"), 0);
	assert_int_equal(run("release", 0, false, NULL, NULL), -EOVERFLOW);
	assert_int_equal(run("acquire", 0, false, NULL, NULL), 0);
	assert_int_equal(roles_of("x").nobody, 1);
	assert_int_equal(run("acquire", 2, false, NULL, NULL), 0);
	assert_int_equal(run("acquire", 0, false, NULL, NULL), -EAGAIN);
	assert_int_equal(run("acquire", 4, false, NULL, NULL), -EINVAL);
	assert_int_equal(run("get", 0, false, NULL, "0\n"), 0);
	assert_int_equal(run("release", 2, false, NULL, NULL), 0);
	assert_int_equal(run("wait", 0, false, NULL, NULL), 0);
	assert_int_equal(run("acquire", 2, true, &fd, NULL), 0);
	assert_true(fd >= 0);
	assert_int_equal(roles_of("x").holder, 2);
	assert_int_equal(run("release", 3, false, NULL, NULL), -EOVERFLOW);
	close(fd);
	assert_int_equal(run("acquire", 3, false, NULL, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_permit_can_be_had_as_often_as_there_are),
		TEST(several_are_had_together_or_not_at_all),
		TEST(a_semaphore_of_value_0_signals),
		TEST(absurd_numbers_of_permits_are_refused),
		TEST(ten_thousand_permits_come_and_go_in_any_order),
		TEST(a_handle_gives_back_at_its_end_what_was_acquired_through_it),
		TEST(a_thread_that_ends_leaves_its_permits_to_its_process),
		TEST(a_segment_that_is_closed_gives_back),
		TEST(a_child_has_none_of_its_parents_permits),
		TEST(what_a_descriptor_holds_comes_back_with_its_last_copy),
		TEST(who_may_only_read_waits_and_takes_nothing),
		TEST(views_say_who_has_how_many),
		TEST(a_damaged_semaphore_is_refused_and_found),
		TRACE_IN(E5, the_verbs_take_and_give_back_what_nobody_owns, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
