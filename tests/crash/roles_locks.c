/* SPDX-License-Identifier: MIT */
/* Roles of the soak: who may be at it alone, or has an object to himself. */
#include "ipk/lazy.h"
#include "ipk/mutex.h"
#include "ipk/once.h"
#include "ipk/pool.h"
#include "ipk/rwlock.h"
#include "soak.h"

/* A name for one stay inside that nobody else ever uses. */
static uint64_t token(void)
{
	return __atomic_add_fetch(&ledger->tokens, 1, __ATOMIC_RELAXED);
}

/* Alone at *place: what is put there stays there. */
static void stay_alone(uint64_t *place, const char *where)
{
	uint64_t mine = token();

	__atomic_store_n(place, mine, __ATOMIC_SEQ_CST);
	soak_linger();
	for (int i = 0; i < 200; i++)
		if (__atomic_load_n(place, __ATOMIC_SEQ_CST) != mine) {
			soak_violation("two are at it at once: %s", where);
			break;
		}
}

/* ---- mutex and rwlock: alone, and what a dead one left half-done is never found without a word
 * --- */

static struct ipk_mutex *the_mutex;
static struct ipk_rwlock *the_lock;

static int locks_create(struct ipk_segment *seg)
{
	int r = ipk_mutex_create(seg, "x", false, NULL);

	return r != 0 ? r : ipk_rwlock_create(seg, "w", 8, NULL);
}

static void locks_open(struct ipk_segment *seg)
{
	if (ipk_mutex_open(seg, "x", &the_mutex, NULL) != 0 ||
	    ipk_rwlock_open(seg, "w", &the_lock, NULL) != 0) {
		soak_violation("the locks cannot be opened");
		_exit(1);
	}
}

/* Inside, to write; told: that somebody died inside. */
static void change(struct guarded *g, bool told, const char *where)
{
	if (!told && g->begun != g->ended)
		soak_violation("nobody said that somebody died inside: %s", where);
	g->begun = g->ended + 1;
	stay_alone(&g->inside, where);
	g->ended = g->begun;
}

static void lock_once(void)
{
	int r = ipk_mutex_lock(the_mutex, SOAK_WAIT);

	if (r != -EOWNERDEAD && !soak_answered("lock", r))
		return;
	change(&ledger->mutex, r == -EOWNERDEAD, "mutex");
	if (r == -EOWNERDEAD)
		soak_answered("consistent", ipk_mutex_consistent(the_mutex));
	soak_answered("unlock", ipk_mutex_unlock(the_mutex));
}

static void write_once(void)
{
	int r = ipk_rwlock_lock(the_lock, SOAK_WAIT);

	if (r != -EOWNERDEAD && !soak_answered("write lock", r))
		return;
	change(&ledger->rwlock, r == -EOWNERDEAD, "rwlock");
	if (r == -EOWNERDEAD)
		soak_answered("consistent", ipk_rwlock_consistent(the_lock));
	soak_answered("unlock", ipk_rwlock_unlock(the_lock));
}

static void read_once(void)
{
	int r = ipk_rwlock_lock_shared(the_lock, SOAK_WAIT);

	if (r == -EOWNERDEAD) {
		write_once();
		return;
	}
	if (!soak_answered("read lock", r))
		return;
	for (int i = 0; i < 100; i++)
		if (__atomic_load_n(&ledger->rwlock.begun, __ATOMIC_SEQ_CST) !=
		    __atomic_load_n(&ledger->rwlock.ended, __ATOMIC_SEQ_CST)) {
			soak_violation("a writer is in beside a reader, or died in there");
			break;
		}
	soak_answered("unlock", ipk_rwlock_unlock(the_lock));
}

static void locker(unsigned number)
{
	(void)number;
	locks_open(soak_attach());
	while (!soak_stop()) {
		lock_once();
		read_once();
		if (random() % 4 == 0)
			write_once();
	}
}

static bool locks_check(char *text, size_t size)
{
	struct ipk_segment *seg = soak_attach();

	locks_open(seg);
	lock_once();
	write_once();
	ipk_mutex_close(the_mutex);
	ipk_rwlock_close(the_lock);
	ipk_segment_close(seg);
	snprintf(text, size, "%llu times in the mutex, %llu times writing",
		 (unsigned long long)ledger->mutex.ended, (unsigned long long)ledger->rwlock.ended);
	return ledger->mutex.ended > 1 && ledger->rwlock.ended > 1;
}

static void locks_remove(struct ipk_segment *seg)
{
	ipk_object_remove(seg, "x", NULL);
	ipk_object_remove(seg, "w", NULL);
}

/* ---- once: one at a time does it, and the next hears that somebody died at it --------------- */

static int once_create(struct ipk_segment *seg)
{
	return ipk_once_create(seg, "i", NULL);
}

static void doer(unsigned number)
{
	struct ipk_once *once;

	(void)number;
	if (ipk_once_open(soak_attach(), "i", &once, NULL) != 0) {
		soak_violation("the once cannot be opened");
		_exit(1);
	}
	while (!soak_stop()) {
		int r = ipk_once_begin(once, SOAK_WAIT);

		if (!soak_answered("begin", r))
			continue;
		if (r > 0) {
			change(&ledger->once, r == 2, "once");
			soak_answered("done", ipk_once_done(once));
		} else {
			r = ipk_once_reset(once);
			if (r != -EBUSY)
				soak_answered("reset", r);
		}
	}
}

static bool once_check(char *text, size_t size)
{
	snprintf(text, size, "%llu times done", (unsigned long long)ledger->once.ended);
	return ledger->once.ended > 0;
}

static void once_remove(struct ipk_segment *seg)
{
	ipk_object_remove(seg, "i", NULL);
}

/* ---- pool: an object has one owner, and all are free at the end ----------------------------- */

static int pool_create(struct ipk_segment *seg)
{
	return ipk_pool_create(seg, "l", "u64", OBJECTS, NULL);
}

static struct ipk_pool *pool_open(struct ipk_segment *seg)
{
	struct ipk_pool *pool;

	if (ipk_pool_open(seg, "l", NULL, &pool, NULL) != 0) {
		soak_violation("the pool cannot be opened");
		_exit(1);
	}
	return pool;
}

static void borrower(unsigned number)
{
	struct ipk_pool *pool = pool_open(soak_attach());

	(void)number;
	while (!soak_stop()) {
		uint64_t index;

		if (!soak_answered("acquire", ipk_pool_acquire(pool, SOAK_WAIT, &index)))
			continue;
		if (index >= OBJECTS) {
			soak_violation("an object that there is not");
			continue;
		}
		stay_alone(&ledger->object[index], "object of the pool");
		soak_answered("release", ipk_pool_release(pool, index));
		__atomic_fetch_add(&ledger->borrowed, 1, __ATOMIC_RELAXED);
	}
}

static bool pool_check(char *text, size_t size)
{
	struct ipk_segment *seg = soak_attach();
	struct ipk_pool *pool = pool_open(seg);
	uint64_t free;

	ipk_segment_sweep(seg);
	free = ipk_pool_free(pool);
	ipk_pool_close(pool);
	ipk_segment_close(seg);
	snprintf(text, size, "%llu times acquired, %llu of %u objects are back",
		 (unsigned long long)ledger->borrowed, (unsigned long long)free, OBJECTS);
	return free == OBJECTS && ledger->borrowed > 0;
}

static void pool_remove(struct ipk_segment *seg)
{
	ipk_object_remove(seg, "l", NULL);
}

/* ---- lazy: what was computed since the last reset, and nobody waits in vain ------------------- */

static int lazy_create(struct ipk_segment *seg)
{
	return ipk_lazy_create(seg, "lazy", "u64", IPK_LAZY_CALLER, NULL, NULL);
}

static int next_number(void *arg, struct ipk_buf *out)
{
	uint64_t id = __atomic_add_fetch(&ledger->computed, 1, __ATOMIC_SEQ_CST);

	(void)arg;
	soak_linger();
	return ipk_buf_add(out, &id, sizeof(id));
}

static void forcer(unsigned number)
{
	uint64_t least = 0;
	struct ipk_lazy *l;

	if (ipk_lazy_open(soak_attach(), "lazy", NULL, &l, NULL) != 0) {
		soak_violation("the lazy value cannot be opened");
		_exit(1);
	}
	for (uint64_t turn = number; !soak_stop(); turn++) {
		uint64_t id = 0;

		if (turn % 8 == 0) {
			least = __atomic_load_n(&ledger->computed, __ATOMIC_SEQ_CST);
			if (!soak_answered("reset", ipk_lazy_reset(l)))
				continue;
		}
		if (!soak_answered("force", ipk_lazy_force(l, next_number, NULL, &id, sizeof(id),
							   NULL, SOAK_WAIT)))
			continue;
		if (id < least || id > ledger->computed)
			soak_violation("a lazy value is %llu after %llu", (unsigned long long)id,
				       (unsigned long long)least);
		least = id;
		__atomic_add_fetch(&ledger->forced, 1, __ATOMIC_RELAXED);
	}
}

static bool lazy_check(char *text, size_t size)
{
	snprintf(text, size, "%llu computed, %llu times forced",
		 (unsigned long long)ledger->computed, (unsigned long long)ledger->forced);
	return ledger->computed > 0 && ledger->forced > ledger->computed;
}

static void lazy_remove(struct ipk_segment *seg)
{
	ipk_object_remove(seg, "lazy", NULL);
}

const struct role lock_roles[] = {
	{"locker", 3, locks_create, locker, locks_check, locks_remove},
	{"doer", 2, once_create, doer, once_check, once_remove},
	{"borrower", 3, pool_create, borrower, pool_check, pool_remove},
	{"forcer", 2, lazy_create, forcer, lazy_check, lazy_remove},
	{0},
};
