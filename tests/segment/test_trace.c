/* SPDX-License-Identifier: MIT */
/*
 * Traces that broke earlier designs of the segment: its allocator and directory (A), its lock (E),
 * its sweep (S). Each is set up step by step; those of the kinds are with the kinds' tests.
 */
#include "fixture.h"

#include "segment/heap.h"
#include "segment/object.h"

static u32 recovered; /* calls of the hook, in this process */

static int recover(struct ipk_obj *obj)
{
	(void)obj;
	recovered++;
	return 0;
}

const struct ipk_obj_hooks *ipk_obj_hooks(u16 kind)
{
	static const struct ipk_obj_hooks hooks = {.recover = recover};

	return kind == TEST_KIND ? &hooks : NULL;
}

struct stage {
	u32 there, go;
	u64 slot, word;
};

static struct ipk_segment *start(void)
{
	create_segment("s");
	return open_segment("s");
}

static void end(struct ipk_segment *seg)
{
	ipk_segment_sweep(seg);
	ipk_segment_close(seg);
	assert_int_equal(ipk_segment_remove("s", NULL), 0);
}

/* Opens "x", says so, waits for the word, and then dies or leaves. */
static void use_it(void *arg)
{
	struct stage *s = arg;
	struct ipk_segment *seg = open_segment("s");
	struct ipk_obj *obj = open_object(seg, "x");

	must(obj);
	ipk_st(&s->slot, self_of(seg)->slot, relaxed);
	ipk_st(&s->there, 1u, release);
	nap_until(&s->go);
	ipk_obj_close(obj);
	ipk_segment_close(seg);
}

static pid_t user(struct stage *s)
{
	pid_t pid;

	memset(s, 0, sizeof(*s));
	pid = spawn(use_it, s);
	await(ipk_ld(&s->there, acquire));
	return pid;
}

/* ---- A: allocator and directory -------------------------------------------------------------- */

/* A1: who still has the removed object is stopped; its name is free and nobody waits for him. */
static void a_removed_name_is_absent_whoever_is_stopped(void **state)
{
	struct stage *s = shared(sizeof(*s));
	struct ipk_segment *seg = start();
	struct ipk_obj *obj;
	u64 id;
	pid_t pid;

	(void)state;
	create_object(seg, "x", 64);
	pid = user(s);
	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);
	obj = open_object(seg, "x");
	id = obj->id;
	ipk_obj_close(obj);
	assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
	assert_int_equal(ipk_object_remove(seg, "x", NULL), -ENOENT);
	create_object(seg, "x", 64);
	obj = open_object(seg, "x");
	assert_non_null(obj);
	assert_int_not_equal(obj->id, id);
	ipk_obj_close(obj);
	assert_int_equal(kill(pid, SIGCONT), 0);
	ipk_st(&s->go, 1u, release);
	assert_ended_well(join_child(pid));
	assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
	assert_int_equal(info_of("s").used, 0);
	end(seg);
	munmap(s, sizeof(*s));
}

static void remove_and_die(void *arg)
{
	(void)arg;
	must(ipk_object_remove(open_segment("s"), "x", NULL) == 0);
	kill(getpid(), SIGKILL);
}

/* A2: the remover could not free it, since somebody used it, and died: the last user frees it. */
static void a_dead_removers_object_is_freed(void **state)
{
	struct ipk_segment *seg = start();
	struct ipk_obj *obj;

	(void)state;
	create_object(seg, "x", 5000);
	obj = open_object(seg, "x");
	assert_true(WIFSIGNALED(join_child(spawn(remove_and_die, NULL))));
	assert_int_not_equal(info_of("s").used, 0);
	ipk_obj_close(obj);
	assert_int_equal(info_of("s").used, 0);
	end(seg);
}

/* A3: a grower whose idea of the size is old does not make the segment smaller. */
static void an_old_size_never_shrinks_the_file(void **state)
{
	struct ipk_segment *old = start(), *seg = open_segment("s");
	u64 size = ipk_header(seg)->size;
	struct ipk_obj *obj;
	struct stat st;

	(void)state;
	assert_non_null(self_of(old));
	assert_int_equal(ipk_segment_grow(seg, 8 * size, NULL), 0);
	create_object(seg, "x", 4 * size);
	obj = open_object(seg, "x");
	memset(body_of(obj), 7, 4 * size);
	assert_int_equal(ipk_ld(&old->size, relaxed), size);
	assert_int_equal(ipk_segment_grow(old, 2 * size, NULL), 0);
	assert_int_equal(fstat(seg->fd, &st), 0);
	assert_true((u64)st.st_size >= 8 * size);
	for (u64 i = 0; i < 4 * size; i += 512)
		assert_int_equal(((u8 *)body_of(obj))[i], 7);
	ipk_obj_close(obj);
	ipk_segment_close(old);
	end(seg);
}

/* A4: an offset beyond the size that somebody knows is looked up, and not called damage. */
static void what_lies_in_the_grown_part_is_found_with_an_old_size(void **state)
{
	struct ipk_segment *old = start(), *seg = open_segment("s");
	u64 size = ipk_header(seg)->size;
	struct ipk_obj *obj;

	(void)state;
	assert_non_null(self_of(old));
	create_object(seg, "x", 3 * size);
	assert_int_equal(ipk_ld(&old->size, relaxed), size);
	obj = open_object(old, "x");
	assert_non_null(obj);
	assert_true(obj->off + obj->size > size);
	ipk_obj_close(obj);
	assert_null(ipk_at(old, old->max - 8, 16, 8));
	ipk_segment_close(old);
	end(seg);
}

/* A5: a sweeper lists the object that it looks at: its memory is nobody else's until he lets go. */
static void what_a_sweeper_looks_at_is_not_used_again(void **state)
{
	struct ipk_segment *seg = start();
	struct ipk_self *me = self_of(seg);
	struct ipk_obj *obj, again;
	u64 off;

	(void)state;
	create_object(seg, "x", 64);
	obj = open_object(seg, "x");
	off = obj->off;
	ipk_obj_close(obj);
	assert_true(ipk_uses_add(me, off));
	assert_int_equal(ipk_object_remove(seg, "x", NULL), 0);
	for (char name[] = "a"; name[0] <= 'f'; name[0]++)
		create_object(seg, name, 64);
	assert_int_equal(ipk_obj_bind(seg, off, &again), 0);
	assert_int_equal(IPK_OBJ_STATE(again.o->state), IPK_OBJ_REMOVED);
	ipk_uses_drop(me, off);
	ipk_obj_unlisted(me, off);
	for (char name[] = "a"; name[0] <= 'f'; name[0]++)
		assert_int_equal(ipk_object_remove(seg, name, NULL), 0);
	assert_int_equal(info_of("s").used, 0);
	end(seg);
}

/* ---- E: the lock ----------------------------------------------------------------------------- */

static u64 *lock_of(struct ipk_segment *seg)
{
	struct ipk_obj *obj = open_object(seg, "x");

	return obj ? body_of(obj) : NULL;
}

static void sleep_and_hold(void *arg)
{
	struct stage *s = arg;
	struct ipk_segment *seg = open_segment("s");
	u64 *lock = lock_of(seg);

	must(lock && self_of(seg));
	ipk_st(&s->slot, self_of(seg)->slot, relaxed);
	ipk_st(&s->there, 1u, release);
	must(ipk_lock(self_of(seg), lock, IPK_FOREVER) == 0);
	ipk_st(&s->word, ipk_ld(lock, relaxed), release);
	nap_until(&s->go);
	ipk_unlock(self_of(seg), lock);
}

/* E2: a waiter that slept takes the lock with W, since others may sleep still. */
static void who_slept_takes_the_lock_with_the_mark_of_sleepers(void **state)
{
	struct stage *s = shared(sizeof(*s));
	struct ipk_segment *seg = start();
	u64 *lock;
	pid_t pid;

	(void)state;
	create_object(seg, "x", 64);
	lock = lock_of(seg);
	assert_int_equal(ipk_lock(self_of(seg), lock, IPK_FOREVER), 0);
	pid = spawn(sleep_and_hold, s);
	await(ipk_ld(&s->there, acquire) &&
	      ipk_ld(&ipk_slot_page(seg, (u32)s->slot)->nwait, acquire) && *lock & IPK_LOCK_W);
	ipk_unlock(self_of(seg), lock);
	await(ipk_ld(&s->word, acquire));
	assert_true(s->word & IPK_LOCK_W);
	ipk_st(&s->go, 1u, release);
	assert_ended_well(join_child(pid));
	end(seg);
	munmap(s, sizeof(*s));
}

/* E4: a locker stopped with the dead holder's word in hand; the same number holds the lock again.
 */
static void a_late_stealer_robs_nobody(void **state)
{
	struct ipk_segment *seg = start();
	struct ipk_self *me = self_of(seg);
	u64 *lock, seen, now;

	(void)state;
	create_object(seg, "x", 64);
	lock = lock_of(seg);
	assert_int_equal(ipk_lock(me, lock, IPK_FOREVER), 0);
	seen = *lock;
	for (int i = 0; i < 1000; i++) {
		ipk_unlock(me, lock);
		assert_int_equal(ipk_lock(me, lock, IPK_FOREVER), 0);
		now = seen;
		assert_int_equal(*lock & IPK_LOCK_OWNER, seen & IPK_LOCK_OWNER);
		assert_false(ipk_cas(lock, &now, UINT64_C(1) << IPK_LOCK_SEQ_SHIFT | 77, acquire));
	}
	ipk_unlock(me, lock);
	end(seg);
}

/* ---- S: the sweep ---------------------------------------------------------------------------- */

/* S1: a sweeper was stopped right after it had found the dead: the next one does all of it. */
static void a_stopped_sweeper_is_not_waited_for(void **state)
{
	struct stage *s = shared(sizeof(*s));
	struct ipk_segment *seg = start();
	struct ipk_participant *p;
	u64 claim;

	(void)state;
	create_object(seg, "x", 64);
	assert_non_null(self_of(seg));
	kill_child(user(s));
	p = ipk_slot_page(seg, (u32)s->slot);
	claim = ipk_ld(&p->claim, acquire);
	assert_int_equal(IPK_CLAIM_STATE(claim), IPK_CLAIM_LIVE);
	ipk_st(&p->claim, IPK_CLAIM(claim >> 8, IPK_CLAIM_DEAD), release);
	recovered = 0;
	assert_int_equal(ipk_segment_sweep(seg), 1);
	assert_int_equal(recovered, 1);
	assert_int_equal(ipk_ld(&p->claim, acquire), IPK_CLAIM((claim >> 8) + 1, IPK_CLAIM_FREE));
	/* The stopped one goes on: what it has in hand is not that word any more. */
	claim = IPK_CLAIM(claim >> 8, IPK_CLAIM_DEAD);
	assert_false(ipk_cas(&p->claim, &claim, IPK_CLAIM(1, IPK_CLAIM_FREE), acq_rel));
	end(seg);
	munmap(s, sizeof(*s));
}

/* S3: whoever announced that he waits is not forgotten by a sweep: the next change tells him. */
static void a_sweep_forgets_no_waiter(void **state)
{
	struct stage *s = shared(sizeof(*s));
	struct ipk_segment *seg = start();
	struct ipk_waiter waiter;
	struct ipk_obj *obj;
	u32 *ev, before;

	(void)state;
	create_object(seg, "x", 64);
	obj = open_object(seg, "x");
	ev = body_of(obj);
	assert_non_null(self_of(seg));
	kill_child(user(s));
	ipk_event_arm(self_of(seg), &waiter, &ev, 1);
	assert_int_equal(ipk_segment_sweep(seg), 1);
	before = ipk_ld(ev, acquire);
	assert_true(before & IPK_EV_W);
	ipk_event_notify(ev, 1);
	assert_int_not_equal(ipk_ld(ev, acquire) & ~IPK_EV_W, before & ~IPK_EV_W);
	ipk_event_disarm(self_of(seg), &waiter);
	ipk_obj_close(obj);
	end(seg);
	munmap(s, sizeof(*s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TRACE(A1, a_removed_name_is_absent_whoever_is_stopped),
		TRACE(A2, a_dead_removers_object_is_freed),
		TRACE(A3, an_old_size_never_shrinks_the_file),
		TRACE(A4, what_lies_in_the_grown_part_is_found_with_an_old_size),
		TRACE(A5, what_a_sweeper_looks_at_is_not_used_again),
		TRACE(E2, who_slept_takes_the_lock_with_the_mark_of_sleepers),
		TRACE(E4, a_late_stealer_robs_nobody),
		TRACE(S1, a_stopped_sweeper_is_not_waited_for),
		TRACE(S3, a_sweep_forgets_no_waiter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
