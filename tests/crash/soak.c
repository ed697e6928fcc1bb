/* SPDX-License-Identifier: MIT */
/*
 * soak [-n KILLS] [-s SEED] [-k]: processes use every kind at once while others of them are killed at
 * random instants, stopped and continued; a ledger outside the segment knows what was acknowledged.
 * Prints TAP. Each role below states its own law; all are checked when the killing is over. With -k
 * the segment stays as it is when one of them is broken.
 */
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "soak.h"

struct ledger *ledger;
unsigned soak_object;
static unsigned tests, failures;

void soak_violation(const char *fmt, ...)
{
	va_list args;

	if (__atomic_fetch_add(&ledger->violations, 1, __ATOMIC_SEQ_CST) != 0)
		return;
	va_start(args, fmt);
	vsnprintf(ledger->text, sizeof(ledger->text), fmt, args);
	va_end(args);
}

static void tap(bool ok, const char *fmt, ...)
{
	char text[400];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	tests++;
	failures += !ok;
	printf("%sok %u - %s\n", ok ? "" : "not ", tests, text);
	fflush(stdout);
}

struct ipk_segment *soak_attach(void)
{
	struct ipk_segment *seg;
	struct ipk_error err = {0};

	alarm(900);
	if (ipk_segment_open(SOAK_SEGMENT, IPK_READ | IPK_WRITE, &seg, &err) != 0) {
		soak_violation("attach: %s", err.text);
		_exit(1);
	}
	return seg;
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* The first who gets on says how long that took. */
static void note_progress(void)
{
	uint64_t *since = &ledger->since[soak_object], at, i;
	unsigned which;

	if (__atomic_load_n(since, __ATOMIC_RELAXED) == 0)
		return;
	at = __atomic_exchange_n(since, 0, __ATOMIC_RELAXED);
	if (at == 0)
		return;
	which = at & 1;
	i = __atomic_fetch_add(&ledger->lapses[which], 1, __ATOMIC_RELAXED);
	ledger->lapse[which][i % SOAK_LAPSES] = now() - at;
}

bool soak_answered(const char *what, int64_t r)
{
	if (r >= 0) {
		note_progress();
		return true;
	}
	if (r != -EAGAIN && r != -ETIMEDOUT && r != -EINTR)
		soak_violation("%s: %s", what, ipk_strerror((int)r));
	return false;
}

/* One after the other; NULL after the last. */
static const struct role *next_role(const struct role *r)
{
	static const struct role *const tables[] = {roles, lock_roles, message_roles, burst_roles};
	static size_t table;

	if (!r)
		table = 0;
	r = r ? r + 1 : tables[0];
	while (!r->name && table + 1 < sizeof(tables) / sizeof(*tables))
		r = tables[++table];
	return r->name ? r : NULL;
}

static void nap(long us)
{
	struct timespec ts = {us / 1000000, us % 1000000 * 1000};

	nanosleep(&ts, NULL);
}

void soak_linger(void)
{
	if (random() % 256 == 0)
		nap(random() % 1000);
}

struct worker {
	const struct role *role;
	unsigned object;
	unsigned number; /* among those of its role */
	pid_t pid;
};

static void start(struct worker *w)
{
	fflush(NULL);
	w->pid = fork();
	if (w->pid < 0)
		abort();
	if (w->pid == 0) {
		srandom((unsigned)(getpid() ^ (int)time(NULL)));
		soak_object = w->object;
		w->role->work(w->number);
		_exit(0);
	}
}

/* Reaps the worker; false when it does not end within a minute. */
static bool reap(struct worker *w, int *status)
{
	for (int i = 0; i < 60000; i++) {
		pid_t r = waitpid(w->pid, status, WNOHANG);

		if (r == w->pid)
			return true;
		nap(1000);
	}
	return false;
}

/* Begins to wait for progress, unless a death is waited for already. */
static void watch(const struct worker *w, uint64_t at)
{
	uint64_t *since = &ledger->since[w->object], was = 0;

	while ((was == 0 || was & 1) &&
	       !__atomic_compare_exchange_n(since, &was, at, false, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED))
		;
}

static void kill_one(const struct worker *w)
{
	uint64_t at = now() & ~UINT64_C(1);

	kill(w->pid, SIGKILL);
	watch(w, at);
}

static void kill_some(struct worker *w, unsigned n, unsigned kills)
{
	for (unsigned k = 0; k < kills; k++) {
		struct worker *victim = &w[(unsigned)random() % n];
		int status;

		nap(random() % 1500);
		watch(&w[(unsigned)random() % n], now() | 1);
		nap(random() % 1500);
		if (random() % 8 == 0) {
			kill(victim->pid, SIGSTOP);
			nap(random() % 3000);
			if (random() % 2) {
				kill(victim->pid, SIGCONT);
				continue;
			}
		}
		kill_one(victim);
		if (waitpid(victim->pid, &status, 0) != victim->pid)
			abort();
		if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
			soak_violation("a %s ended by itself with status %d", victim->role->name,
				       WEXITSTATUS(status));
		start(victim);
	}
}

/* All must come to an end once told to; who does not is blocked for ever. */
static void finish(struct worker *w, unsigned n)
{
	int status;

	__atomic_store_n(&ledger->stop, 1, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < n; i++) {
		if (!reap(&w[i], &status)) {
			soak_violation("a %s hangs", w[i].role->name);
			kill(w[i].pid, SIGKILL);
			waitpid(w[i].pid, &status, 0);
		} else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
			soak_violation("a %s ended with status 0x%x", w[i].role->name, status);
		}
	}
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t tell_lapses(unsigned which, char *text, size_t size)
{
	static const unsigned per_10000[] = {5000, 9000, 9900, 9990, 10000};
	uint64_t n = ledger->lapses[which] < SOAK_LAPSES ? ledger->lapses[which] : SOAK_LAPSES;
	size_t len = 0;

	text[0] = '\0';
	qsort(ledger->lapse[which], n, sizeof(*ledger->lapse[which]), compare);
	for (unsigned i = 0; n && i < sizeof(per_10000) / sizeof(*per_10000); i++)
		len += (size_t)snprintf(
			text + len, size - len, "%s%g%% %.2f", i ? ", " : "", per_10000[i] / 100.0,
			(double)ledger->lapse[which][(n - 1) * per_10000[i] / 10000] * 1e-6);
	return n;
}

static void check_lapses(void)
{
	char text[120];
	uint64_t n = tell_lapses(0, text, sizeof(text));

	tap(n > 0, "%llu deaths, and from each to the next success with that object: %s ms",
	    (unsigned long long)n, text);
	n = tell_lapses(1, text, sizeof(text));
	printf("# the same from %llu instants at which nobody died: %s ms\n", (unsigned long long)n,
	       text);
}

static void finding(void *arg, const char *where, const char *what)
{
	(void)arg;
	soak_violation("fsck: %s: %s", where, what);
}

static void check_segment(bool keep)
{
	struct ipk_segment_info info = {0};
	struct ipk_segment *seg;
	struct ipk_view *view;

	if (ipk_segment_open(SOAK_SEGMENT, IPK_READ | IPK_WRITE, &seg, NULL) != 0) {
		soak_violation("the segment cannot be opened any more");
		return;
	}
	ipk_segment_sweep(seg);
	if (ipk_view_open(SOAK_SEGMENT, &view, NULL) == 0) {
		ipk_fsck(view, finding, NULL, NULL);
		ipk_view_close(view);
	}
	tap(ledger->violations == 0, "the segment is in order%s%s", ledger->violations ? ": " : "",
	    ledger->violations ? ledger->text : "");
	if (keep && failures) {
		ipk_segment_close(seg);
		printf("# the segment is left in %s/" SOAK_SEGMENT ".ipk\n", getenv("IPK_DIR"));
		return;
	}
	for (const struct role *r = next_role(NULL); r; r = next_role(r))
		if (r->remove)
			r->remove(seg);
	ipk_segment_close(seg);
	if (ipk_view_open(SOAK_SEGMENT, &view, NULL) == 0) {
		ipk_view_info(view, &info);
		ipk_view_close(view);
	}
	tap(info.used == 0, "all removed, %llu bytes are in use", (unsigned long long)info.used);
	ipk_segment_remove(SOAK_SEGMENT, NULL);
}

int main(int argc, char **argv)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct worker workers[64];
	struct ipk_segment *seg;
	unsigned n = 0, kills = 300, seed = (unsigned)time(NULL);
	struct ipk_error err = {0};
	unsigned object = 0;
	bool keep = false;
	int c;

	while ((c = getopt(argc, argv, "n:s:k")) != -1) {
		if (c == 'n')
			kills = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 's')
			seed = (unsigned)strtoul(optarg, NULL, 10);
		else if (c == 'k')
			keep = true;
		else
			return 2;
	}
	srandom(seed);
	ledger = mmap(NULL, sizeof(*ledger), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ledger == MAP_FAILED)
		abort();
	options.max = 64 << 20;
	if (ipk_segment_create(SOAK_SEGMENT, &options, &seg, &err) != 0) {
		printf("not ok 1 - the segment: %s\n1..1\n", err.text);
		return 1;
	}
	for (const struct role *r = next_role(NULL); r; r = next_role(r))
		if (r->create && r->create(seg) != 0)
			soak_violation("%s cannot be created", r->name);
	ipk_segment_close(seg);
	for (const struct role *r = next_role(NULL); r; r = next_role(r)) {
		object += r->check != NULL; /* what follows without one is at the same object */
		for (unsigned i = 0; i < r->workers; i++) {
			workers[n] = (struct worker){
				.role = r, .number = i, .object = object % SOAK_OBJECTS};
			start(&workers[n++]);
		}
	}
	kill_some(workers, n, kills);
	finish(workers, n);
	tap(ledger->violations == 0, "%u kills, seed %u: nobody hangs%s%s", kills, seed,
	    ledger->violations ? ": " : "", ledger->violations ? ledger->text : "");
	for (const struct role *r = next_role(NULL); r; r = next_role(r))
		if (r->check) {
			char text[300] = "";
			bool ok = r->check(text, sizeof(text));

			tap(ok, "%s: %s", r->name, text);
		}
	check_lapses();
	check_segment(keep);
	printf("1..%u\n", tests);
	return failures ? 1 : 0;
}
