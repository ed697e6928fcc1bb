/* SPDX-License-Identifier: MIT */
/*
 * The explorer: two or three actors run operations on one segment, one at a time, and every order
 * in which their accesses to it could take place is tried, within bounds; so is every value that a
 * load may return on a machine no stronger than C11 says, and the death of one of them before each
 * of its stores. README.md says what is explored and what is not.
 *
 *	hooks.c    what a compiler's instrumentation for threads calls, before each access
 *	memory.c   loads and stores as C11 has them
 *	words.c    the stores made to each word, who has to have seen which; races
 *	sched.c    actors as coroutines, choices, death, sleep
 *	futex.c    in place of core/base/futex.c
 *	world.c    the segment, attached once for each actor; put back after each run
 *	oracle.c   what may come out: all orders of whole operations, by the same library
 *	main.c     the loops and the table
 *	cases_*.c  scenarios
 */
#ifndef EXPLORE_H
#define EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "segment/segment.h"

#define ACTORS 3u
#define OBSERVER ACTORS /* attached too: fills before and looks afterwards */
#define PROGRAM 4u      /* operations of an actor */

struct actor {
	struct ipk_segment *seg; /* attached by itself, as another process would */
	void *handle;
	u32 slot;
	u64 live; /* offset of the word that tells of its death */
	unsigned number;
	i64 last; /* for a case's own use within a run */
};

/* One operation of an actor: what it returns is compared, in whatever sense the case likes. */
struct step {
	const char *name;
	i64 (*run)(struct actor *a, u64 arg);
	u64 arg;
	/* What else a death in it may come to, besides nothing and all of it: so many ways. */
	void (*torn)(struct actor *a, u64 arg, u32 way);
	u32 ways;
	/* In place of run, where the order is that of whole operations: it is several of them. */
	i64 (*parts)(struct actor *a, u64 arg);
	/* Beside another operation it may say -EAGAIN, as if it had not been called. */
	bool may_refuse;
};

struct scenario {
	const char *kind, *name;
	int (*create)(struct ipk_segment *seg);
	int (*open)(struct actor *a);
	void (*fill)(struct actor *a); /* each actor in turn, the observer last; or NULL */
	struct step program[ACTORS][PROGRAM];
	/* What is left, by a look that may take it out; as text. */
	void (*contents)(struct actor *a, char *buf, size_t size);
	u32 preempt, stale; /* bounds: added to the usual ones */
	bool slow;          /* not in the quick selection */
	bool indirect;      /* the handle does not begin with struct ipk_obj */
};
extern const struct scenario cases_queue[], cases_ring[], cases_stack[], cases_map[], cases_sync[];
extern const struct scenario cases_array[], cases_set[], cases_lock[], cases_channel[];
extern const struct scenario cases_stream[], cases_lazy[];

/* Words that no part of the library uses, in the observer's page: for a program's own data. */
extern u64 world_spare; /* where that page is */
static inline u64 *spare_word(struct actor *a, unsigned i)
{
	return &((struct ipk_participant *)(void *)(a->seg->base + world_spare))->spare[i];
}

/* ---- bounds and choices (sched.c) ----------------------------------------------------------- */

struct bounds {
	u32 preempt; /* switches away from an actor that could go on */
	u32 stale;   /* loads that return something older than the last store */
	u32 death;
};

enum look { LOOK_LOAD, LOOK_STORE, LOOK_SYSTEM }; /* before what an actor stops to be considered */

/* Before an access of the running actor; shared: another may care. May not return: it died. */
void sched_point(enum look look, bool shared);
/* Between two parts: another may go on, or the actor dies, after torn() if that is not NULL. */
void sched_between(void (*torn)(struct actor *a, u64 arg, u32 way), u64 arg);
/* In the parts of an operation: which of n, all of which are tried. */
unsigned sched_either(unsigned n);
/* Which of n, where each but the first costs a stale load. */
unsigned sched_pick_value(unsigned n);
void sched_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool sched_active(void); /* does an actor run, and not the observer? */
unsigned sched_self(void);
void sched_tick(i64 ns);

struct sched_wait {
	u64 off;
	u32 val;
};
/* As futex_waitv: the index of the one that was woken, -EAGAIN, -ETIMEDOUT. */
int sched_sleep(const struct sched_wait *w, u32 n, i64 deadline);
int sched_wake(u64 off, int n);
i64 sched_now(void);

enum fate { FATE_NEW, FATE_READY, FATE_ASLEEP, FATE_DONE, FATE_DEAD };

/* What one run came to. */
struct outcome {
	struct {
		enum fate fate;
		u32 n;      /* operations that returned */
		bool begun; /* another had begun */
		bool torn;  /* of a reference: that one was torn */
		i64 result[PROGRAM];
		bool refused[PROGRAM];                              /* of a reference */
		u16 began[PROGRAM][ACTORS], ended[PROGRAM][ACTORS]; /* clocks; [0] in a reference */
	} actor[ACTORS];
	u32 contents; /* number of the text */
};

enum mode { MODE_WALK, MODE_RANDOM, MODE_SERIAL };

struct sched_stats {
	u64 runs, points, deaths, stale, longest;
};
extern struct sched_stats sched_stats;
extern bool sched_verbose;

/* One run from the start, as the trail says. False: it failed, and sched_why says of what. */
bool sched_run(const struct scenario *s, enum mode mode, const struct bounds *b, u64 seed,
	       struct outcome *ret);
bool sched_next(void); /* the next trail of a walk; false: there is none */
void sched_restart(void);
extern char sched_why[1024];
/* 0, or 1 + the number of the actor who had the slot and is dead: its byte is not locked. */
unsigned sched_slot_dead(u32 slot);

/* ---- memory (memory.c) ---------------------------------------------------------------------- */

struct mapping {
	u8 *base;
	u64 size;
};
extern struct mapping memory_map[ACTORS + 1];

void memory_reset_case(void); /* forgets all words */
void memory_begin(void);
/* Puts back what the run stored. */
void memory_end(void);
/* Words that turned out to be shared since they were last asked for. */
bool memory_learned(void);
u64 memory_hash(void); /* of all that differs from the beginning */
bool memory_inside(const void *p);
void memory_witness(unsigned dead);
void memory_clock(u16 ret[ACTORS]);
void memory_settle(void); /* time enough has passed for all to have seen everything */

void memory_plain(void *p, size_t len, bool store, void *pc);
u64 memory_load(void *p, unsigned size, int order, void *pc);
void memory_store(void *p, unsigned size, u64 val, int order, void *pc);
enum rmw { RMW_SET, RMW_ADD, RMW_SUB, RMW_AND, RMW_OR, RMW_XOR };
u64 memory_rmw(enum rmw op, void *p, unsigned size, u64 val, int order, void *pc);
bool memory_cas(void *p, unsigned size, u64 *expected, u64 val, int order, int failure, void *pc);
void memory_fence(int order, void *pc);
/* What the system does to a word: as seq_cst, by actor t. */
u32 memory_system_load(u64 off);
void memory_system_store(unsigned t, u64 off, u32 val);

/* Places in the program whose orders are weakened, and to which; see main.c. */
#define WEAK_MAX 64
extern void *memory_weak[WEAK_MAX];
extern int memory_weak_order;
/* Called with each place that has an order, if set. */
extern void (*memory_place)(void *pc, int order);

/* ---- the world (world.c) -------------------------------------------------------------------- */

extern struct actor world_actor[ACTORS + 1];
extern bool world_recording; /* the start has been taken down: what is stored is put back */
void world_make(const struct scenario *s);
void world_unmake(void);
void world_reset(void); /* private memory of all actors as it was */
void world_tls_save(unsigned t);
void world_tls_load(unsigned t);
const char *world_check(const struct scenario *s); /* NULL, or what the kind's check found */
void world_verify(void);
/* For a kind whose items nobody but its consumer may take: contents(). */
void world_items(struct actor *a, char *buf, size_t size);
void *real_alloc(size_t size);

/* ---- the oracle (oracle.c) ------------------------------------------------------------------ */

void oracle_reset(void);
void oracle_learn(const struct outcome *o);
/* NULL, or why the outcome is none that could be. */
const char *oracle_judge(const struct scenario *s, const struct outcome *o);
/* After a run: sweep, check, and the number of what the observer then finds. */
u32 oracle_contents(const struct scenario *s);
u32 oracle_size(void);

#endif
