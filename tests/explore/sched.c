/* SPDX-License-Identifier: MIT */
/*
 * Actors are coroutines. Whenever one of them is about to do something that another may notice, it
 * is decided who goes on; a run is the list of these decisions, its trail. A walk goes through all
 * trails within the bounds, depth first; a random one draws them.
 */
#include <errno.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>

#include "explore.h"
#include "trace.h"

#define STACK (256u << 10)
#define TRAIL 4096u
#define POINTS_MAX 6000u /* of a run: then it has no end */
#define TIMEOUTS_MAX 40u /* of a run: then nobody will come any more */
#define WAITS 128u
#define WAYS 5u

struct sched_stats sched_stats;
char sched_why[1024];
bool sched_verbose;

static struct {
	ucontext_t context;
	enum fate fate;
	bool chosen; /* serial: for the next operation */
	u32 op;
	struct sched_wait wait[WAITS];
	u32 nwait;
	i64 deadline;
	u64 since; /* ordinal of its falling asleep */
	int woken;
} co[ACTORS];

static ucontext_t main_context;
static unsigned current = OBSERVER;
static const struct scenario *scenario;
static struct outcome *outcome;
static enum mode mode;
static struct bounds left;
static bool failed;
static bool stop; /* after this operation, or when it sleeps */
static i64 now;
static u64 ordinal;
static u32 timeouts, points;
static u16 finished; /* serial: operations */
static u64 rng;
static u32
	calm; /* random: decisions between two that are drawn; some runs change often, some seldom */

static struct {
	u16 pick, n;
} trail[TRAIL];
static u32 trail_len, trail_at;

/* ---- choices -------------------------------------------------------------------------------- */

static u32 draw(u32 n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (u32)((rng >> 16) % n);
}

/*
 * In random runs the first is taken unless a draw says otherwise, which it does once in so often.
 */
static unsigned choose(unsigned n, u32 once_in)
{
	if (n < 2)
		return 0;
	if (mode == MODE_RANDOM)
		return once_in > 1 && draw(once_in) ? 0 : draw(n);
	if (trail_at == trail_len) {
		if (trail_len == TRAIL) {
			sched_fail("more than %u decisions", TRAIL);
			return 0;
		}
		trail[trail_len].pick = 0;
		trail[trail_len++].n = (u16)n;
	} else if (trail[trail_at].n != n) {
		sched_fail("the same decisions led elsewhere: %u of %u for %u", trail_at,
			   trail[trail_at].n, n);
		return 0;
	}
	return trail[trail_at++].pick;
}

bool sched_next(void)
{
	while (trail_len && trail[trail_len - 1].pick + 1 == trail[trail_len - 1].n)
		trail_len--;
	if (!trail_len)
		return false;
	trail[trail_len - 1].pick++;
	return true;
}

void sched_restart(void)
{
	trail_len = 0;
}

/* ---- switching ------------------------------------------------------------------------------ */

bool sched_active(void)
{
	return current != OBSERVER;
}

unsigned sched_self(void)
{
	return current;
}

static void switch_to(unsigned next)
{
	unsigned self = current;
	ucontext_t *from = self == OBSERVER ? &main_context : &co[self].context;

	if (next == self)
		return;
	world_tls_save(self);
	current = next;
	world_tls_load(next);
	swapcontext(from, next == OBSERVER ? &main_context : &co[next].context);
}

void sched_fail(const char *format, ...)
{
	va_list ap;

	if (!failed) {
		va_start(ap, format);
		vsnprintf(sched_why, sizeof(sched_why), format, ap);
		va_end(ap);
	}
	failed = true;
	if (sched_active())
		switch_to(OBSERVER); /* for good */
}

static unsigned ready(unsigned but, unsigned list[ACTORS])
{
	unsigned n = 0;

	for (unsigned t = 0; t < ACTORS; t++)
		if (t != but && co[t].fate == FATE_READY)
			list[n++] = t;
	return n;
}

static bool may_time_out(unsigned t)
{
	return co[t].fate == FATE_ASLEEP && co[t].deadline != INT64_MAX && timeouts < TIMEOUTS_MAX;
}

/* Adds who sleeps and may find that his time is up, to the n in the list. */
static unsigned timed(unsigned list[ACTORS], unsigned n)
{
	for (unsigned t = 0; t < ACTORS; t++)
		if (may_time_out(t))
			list[n++] = t;
	return n;
}

/* t is chosen: if it sleeps, its time is up. */
static void rouse(unsigned t)
{
	if (co[t].fate != FATE_ASLEEP)
		return;
	timeouts++;
	if (now < co[t].deadline)
		now = co[t].deadline;
	co[t].fate = FATE_READY;
	co[t].woken = -ETIMEDOUT;
}

/* Nobody can go on: time passes, if somebody waits for that. */
static bool time_passes(void)
{
	unsigned next = ACTORS;

	for (unsigned t = 0; t < ACTORS; t++)
		if (may_time_out(t) && (next == ACTORS || co[t].deadline < co[next].deadline))
			next = t;
	if (next == ACTORS)
		return false;
	rouse(next);
	memory_settle();
	return true;
}

/* The running actor cannot go on: another does, or the run is over. */
static void give_way(void)
{
	unsigned list[ACTORS], n = 0, pick;

	if (stop)
		switch_to(OBSERVER);
	do
		n = ready(ACTORS, list);
	while (n == 0 && time_passes());
	if (n == 0) {
		switch_to(OBSERVER);
		return;
	}
	pick = list[choose(mode == MODE_SERIAL || left.preempt ? timed(list, n) : n, 1)];
	if (co[pick].fate == FATE_ASLEEP && mode != MODE_SERIAL)
		left.preempt--;
	rouse(pick);
	switch_to(pick);
}

/* ---- death ---------------------------------------------------------------------------------- */

unsigned sched_slot_dead(u32 slot)
{
	for (unsigned t = 0; t < ACTORS; t++)
		if (world_actor[t].slot == slot && co[t].fate == FATE_DEAD)
			return t + 1;
	return 0;
}

/* As the kernel does: its word says so, and one who sleeps on it is woken. */
static void die(void)
{
	unsigned t = current;
	u64 off = world_actor[t].live;

	co[t].fate = FATE_DEAD;
	outcome->actor[t].n = co[t].op;
	sched_stats.deaths++;
	memory_system_store(t, off, FUTEX_WAITERS | FUTEX_OWNER_DIED);
	sched_wake(off, 1);
	give_way();
}

void sched_point(enum look look, bool shared)
{
	unsigned list[ACTORS], n = 0, others = 0, pick;
	bool may_die = left.death && look != LOOK_LOAD;

	sched_stats.points++;
	if (++points > POINTS_MAX)
		sched_fail("no end after %u accesses", POINTS_MAX);
	if (mode == MODE_SERIAL)
		return;
	if (left.preempt && (shared || look == LOOK_SYSTEM))
		others = timed(list, ready(current, list));
	pick = choose(1 + may_die + others, calm);
	if (pick == 0)
		return;
	n = pick - 1;
	if (may_die && n-- == 0) {
		left.death--;
		outcome->actor[current].begun = true;
		die();
	}
	left.preempt--;
	rouse(list[n]);
	switch_to(list[n]);
}

unsigned sched_pick_value(unsigned n)
{
	unsigned pick;

	if (!left.stale || mode == MODE_SERIAL)
		return 0;
	pick = choose(n, 2);
	if (pick) {
		left.stale--;
		sched_stats.stale++;
	}
	return pick;
}

/* ---- time and sleep ------------------------------------------------------------------------- */

i64 sched_now(void)
{
	return now += 1000;
}

void sched_tick(i64 ns)
{
	now += ns;
	if (sched_active())
		memory_settle();
}

int sched_sleep(const struct sched_wait *w, u32 n, i64 deadline)
{
	unsigned t = current;

	if (!sched_active()) {
		sched_fail("who comes afterwards would have to wait");
		return -ETIMEDOUT;
	}
	sched_point(LOOK_SYSTEM, true);
	memory_fence(__ATOMIC_SEQ_CST, NULL);
	for (u32 i = 0; i < n; i++)
		if (memory_system_load(w[i].off) != w[i].val)
			return -EAGAIN;
	if (deadline <= now)
		return -ETIMEDOUT;
	memcpy(co[t].wait, w, n * sizeof(*w));
	co[t].nwait = n;
	co[t].deadline = deadline;
	co[t].since = ++ordinal;
	co[t].fate = FATE_ASLEEP;
	trace_add(t, "sleeps", w[0].off, w[0].val, 0, 0, NULL);
	give_way();
	co[t].chosen = false;
	trace_add(t, co[t].woken < 0 ? "time is up" : "is woken", 0, 0, 0, 0, NULL);
	memory_fence(__ATOMIC_SEQ_CST, NULL);
	return co[t].woken;
}

/* Asleep on off: the index in its list, or -1. */
static int sleeps_on(unsigned t, u64 off)
{
	for (u32 i = 0; co[t].fate == FATE_ASLEEP && i < co[t].nwait; i++)
		if (co[t].wait[i].off == off)
			return (int)i;
	return -1;
}

int sched_wake(u64 off, int n)
{
	unsigned list[ACTORS], k, pick;
	int woken = 0;

	if (sched_active() && co[current].fate != FATE_DEAD) {
		sched_point(LOOK_SYSTEM, true);
		memory_fence(__ATOMIC_SEQ_CST, NULL);
		trace_add(current, "wakes", off, (u64)n, 0, 0, NULL);
	}
	for (; woken < n; woken++) {
		k = 0;
		for (unsigned t = 0; t < ACTORS; t++)
			if (sleeps_on(t, off) >= 0)
				list[k++] = t;
		if (k == 0)
			break;
		pick = sched_active() && n < (int)k ? choose(k, 1) : 0;
		co[list[pick]].woken = sleeps_on(list[pick], off);
		co[list[pick]].fate = FATE_READY;
	}
	return woken;
}

/* ---- a run ---------------------------------------------------------------------------------- */

enum variant { WHOLE, DIES, REFUSED, TORN }; /* TORN + way */

/* Serial runs: between two operations it is decided whose is next, and what becomes of it. */
static enum variant boundary(unsigned t, const struct step *step)
{
	enum variant list[3 + WAYS];
	unsigned who[ACTORS], n = 0;

	if (stop)
		give_way(); /* for good */
	if (mode != MODE_SERIAL)
		return WHOLE;
	if (!co[t].chosen) {
		n = timed(who, ready(ACTORS, who));
		n = who[choose(n, 1)];
		co[n].chosen = true;
		rouse(n);
		switch_to(n);
	}
	co[t].chosen = false;
	n = 0;
	list[n++] = WHOLE;
	if (left.death)
		list[n++] = DIES;
	if (step && step->may_refuse)
		list[n++] = REFUSED;
	for (u32 way = 0; left.death && step && way < step->ways && way < WAYS; way++)
		list[n++] = TORN + way;
	return list[choose(n, 1)];
}

void sched_between(void (*torn)(struct actor *a, u64 arg, u32 way), u64 arg)
{
	const struct step part = {.torn = torn, .ways = torn ? 1 : 0};
	enum variant v = boundary(current, &part);

	if (v == WHOLE)
		return;
	if (v == TORN)
		torn(&world_actor[current], arg, 0);
	left.death--;
	outcome->actor[current].torn = true;
	die();
}

unsigned sched_either(unsigned n)
{
	return mode == MODE_SERIAL ? choose(n, 1) : 0;
}

static i64 run_step(struct actor *a, const struct step *step)
{
	return mode == MODE_SERIAL && step->parts ? step->parts(a, step->arg)
						  : step->run(a, step->arg);
}

static void perform(unsigned t, const struct step *step, enum variant v)
{
	u32 i = co[t].op;

	if (mode != MODE_SERIAL)
		memory_clock(outcome->actor[t].began[i]);
	if (v >= TORN)
		step->torn(&world_actor[t], step->arg, v - TORN);
	if (v >= TORN || v == DIES) {
		left.death--;
		outcome->actor[t].torn = v >= TORN;
		die();
	}
	outcome->actor[t].refused[i] = v == REFUSED;
	if (v == REFUSED)
		world_actor[t].last = -EAGAIN;
	outcome->actor[t].result[i] = v == REFUSED ? -EAGAIN : run_step(&world_actor[t], step);
	if (mode == MODE_SERIAL)
		outcome->actor[t].ended[i][0] = ++finished;
	else
		memory_clock(outcome->actor[t].ended[i]);
}

static void actor_main(int number)
{
	unsigned t = (unsigned)number;
	const struct step *step = scenario->program[t];

	for (; co[t].op < PROGRAM && step[co[t].op].run; co[t].op++)
		perform(t, &step[co[t].op], boundary(t, &step[co[t].op]));
	if (boundary(t, NULL) == DIES) {
		left.death--;
		die();
	}
	outcome->actor[t].n = co[t].op;
	co[t].fate = FATE_DONE;
	give_way();
}

static void prepare(unsigned t)
{
	static u8 stack[ACTORS][STACK] __attribute__((aligned(64)));

	memset(&outcome->actor[t], 0, sizeof(outcome->actor[t]));
	world_actor[t].last = 0;
	co[t].op = 0;
	co[t].fate = scenario->program[t][0].run ? FATE_READY : FATE_DONE;
	co[t].chosen = true; /* it begins when it is chosen */
	getcontext(&co[t].context);
	co[t].context.uc_stack.ss_sp = stack[t];
	co[t].context.uc_stack.ss_size = STACK;
	co[t].context.uc_link = NULL;
	makecontext(&co[t].context, (void (*)(void))actor_main, 1, (int)t);
}

/*
 * Nobody can go on, and somebody sleeps. Woken for no reason, and with all that was stored in view,
 * he must find nothing to do: else somebody ought to have woken him.
 */
static void shake(void)
{
	for (unsigned t = 0; t < ACTORS && !failed; t++) {
		u32 op = co[t].op;

		if (co[t].fate != FATE_ASLEEP)
			continue;
		memory_settle();
		co[t].fate = FATE_READY;
		co[t].woken = 0;
		mode = MODE_SERIAL;
		timeouts = TIMEOUTS_MAX;
		stop = true;
		switch_to(t);
		if (!failed && (co[t].fate != FATE_ASLEEP || co[t].op != op))
			sched_fail("a lost wake-up: actor %u slept, and had no reason to", t);
	}
}

bool sched_run(const struct scenario *s, enum mode m, const struct bounds *b, u64 seed,
	       struct outcome *ret)
{
	unsigned list[ACTORS];

	scenario = s;
	outcome = ret;
	mode = m;
	left = *b;
	failed = stop = false;
	now = 1000000000;
	ordinal = timeouts = points = finished = 0;
	trail_at = 0;
	rng = seed * 2 + 1;
	calm = 4u << seed % 6;
	trace_begin();
	memory_begin();
	for (unsigned t = 0; t < ACTORS; t++)
		prepare(t);
	switch_to(list[choose(ready(ACTORS, list), 1)]);
	if (!failed)
		shake();
	for (unsigned t = 0; t < ACTORS; t++) {
		ret->actor[t].fate = co[t].fate;
		if (co[t].fate == FATE_ASLEEP)
			ret->actor[t].n = co[t].op;
	}
	sched_stats.runs++;
	if (points > sched_stats.longest)
		sched_stats.longest = points;
	if (!failed)
		ret->contents = oracle_contents(s);
	memory_end();
	world_reset();
	return !failed;
}
