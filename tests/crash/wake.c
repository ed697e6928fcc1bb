/* SPDX-License-Identifier: MIT */
/*
 * wake [-x] [-k KIND] [-p MS]: who sleeps is told of every change that lets it go on. Prints TAP.
 *   -x  ends with the first failure
 *   -p  how long who does not wake is waited for; a minute
 *
 * For each verb that blocks, and each operation after which it would no longer block: a process
 * sleeps in the verb, another one does the operation. By the time that returns the word that the
 * sleeper sleeps on must have another number, and the sleeper ends with the answer that it had got
 * had it come later. No time is measured: backstops are off, and the look at the word comes at
 * once. Then the same where the other process dies when it has made its change and told nobody.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash.h"
#include "segment/registry.h"

static unsigned patience = 60000; /* ms: it hangs */
static bool at_first;             /* -x */
const char *crash_dir;
static unsigned tests, failures;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* ---- processes ------------------------------------------------------------------------------- */

/* A process that attaches and does one thing when it is told to. */
struct actor {
	pid_t pid;
	int go; /* a byte is the word; -1: given */
	struct board {
		volatile int attached, done, r;
	} * board;
};

static void act(const struct world *w, const struct trial *t, i64 timeout, int go,
		struct board *board)
{
	struct ipk_segment *seg;
	struct answer a = {0};
	void *handle;
	char c;

	alarm(2 * patience / 1000);
	ipk_wait_backstop = IPK_FOREVER / 2;
	if (ipk_segment_open("s", IPK_READ | IPK_WRITE, &seg, NULL) != 0 ||
	    world_attach(w, seg, &handle) != 0) {
		board->r = -ENOENT;
		_exit(1);
	}
	board->attached = 1;
	while (read(go, &c, 1) < 0 && errno == EINTR)
		;
	world_run(w, t, t->inputs, seg, handle, timeout, &a);
	board->r = a.r;
	board->done = 1;
	_exit(0); /* a death: nothing is closed */
}

static bool gone(struct actor *a)
{
	int status;

	if (a->pid && waitpid(a->pid, &status, WNOHANG) == a->pid)
		a->pid = 0;
	return !a->pid;
}

static void actor_start(struct actor *a, const struct world *w, const struct trial *t, i64 timeout)
{
	int fd[2];

	a->board = mmap(NULL, sizeof(*a->board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	if (a->board == MAP_FAILED || pipe(fd) != 0)
		die("actor");
	fflush(NULL);
	a->pid = fork();
	if (a->pid < 0)
		die("fork");
	if (a->pid == 0) {
		close(fd[1]);
		act(w, t, timeout, fd[0], a->board);
	}
	close(fd[0]);
	a->go = fd[1];
	while (!a->board->attached && !gone(a))
		usleep(100);
}

static void actor_go(struct actor *a)
{
	/* The pipe's end alone would not do: other actors have copies of it. */
	if (write(a->go, "", 1) < 0 && errno != EPIPE) /* it could not attach, and is gone */
		die("actor");
	close(a->go);
	a->go = -1;
}

/* Its answer; -ETIME when it has to be killed. */
static int actor_end(struct actor *a, unsigned limit)
{
	int r;

	if (a->go >= 0)
		actor_go(a);
	for (unsigned ms = 0; !gone(a) && ms < limit; ms++)
		usleep(1000);
	r = a->pid ? -ETIME : a->board->r;
	if (a->pid) {
		kill(a->pid, SIGKILL);
		waitpid(a->pid, NULL, 0);
	}
	munmap(a->board, sizeof(*a->board));
	return r;
}

static int answer_now(const struct world *w, const struct trial *t)
{
	struct actor a;

	actor_start(&a, w, t, 0);
	return actor_end(&a, patience);
}

/* ---- a scene --------------------------------------------------------------------------------- */

/* In this state, after before, sleeper blocks; after change it does not. */
struct scene {
	const struct world *w;
	const struct image *start;
	const struct trial *sleeper, *before, *change;
	struct ipk_segment *seg;
	void *handle;
	char why[300];
};

static int remove_it(const struct world *w, struct ipk_segment *seg, void *handle)
{
	(void)w, (void)handle;
	return ipk_object_remove(seg, "x", NULL);
}

static const struct trial removal = {.name = "removal", .own = remove_it, .inputs = 1};

static void scene_run(struct scene *s, const struct trial *t, unsigned from, unsigned to)
{
	struct answer a = {0};

	if (t && t->calls)
		t->calls->run(s->handle, from, to);
	else if (t)
		world_run(s->w, t, t->inputs, s->seg, s->handle, 0, &a);
	ipk_buf_free(&a.out);
}

static void scene_open(struct scene *s)
{
	image_write("s", s->start, false);
	if (ipk_segment_open("s", IPK_READ | IPK_WRITE, &s->seg, NULL) != 0 ||
	    world_attach(s->w, s->seg, &s->handle) != 0)
		die("scene");
	scene_run(s, s->before, 0, 1);
}

/* Of calls in turn before is the first, change the rest. */
static void scene_change(struct scene *s)
{
	scene_run(s, s->change, 1, s->change->inputs);
}

static void scene_close(struct scene *s)
{
	world_detach(s->w, s->handle);
	ipk_segment_close(s->seg);
}

/* What lets go those who wait already, and nobody who comes later. */
static const struct pulse {
	const char *kind, *sleeper, *change, *cap;
} pulses[] = {
	{"barrier", "wait", "arrive", "1"},
	{"stream", "sub", "emit", "8"},
};

static bool is_pulse(const struct scene *s)
{
	for (unsigned i = 0; i < IPK_ARRAY_LEN(pulses); i++)
		if (strcmp(s->w->kind->name, pulses[i].kind) == 0 &&
		    strcmp(s->sleeper->name, pulses[i].sleeper) == 0 &&
		    strcmp(s->change->name, pulses[i].change) == 0)
			return !s->before && strcmp(s->w->cap, pulses[i].cap) == 0;
	return false;
}

/* Is it a scene? Then with what the sleeper will answer. */
static bool scene_is_one(struct scene *s, int *ret_answer)
{
	bool blocks;

	scene_open(s);
	blocks = answer_now(s->w, s->sleeper) == -EAGAIN;
	if (blocks) {
		scene_change(s);
		*ret_answer = answer_now(s->w, s->sleeper);
	}
	scene_close(s);
	if (blocks && is_pulse(s))
		*ret_answer = 0;
	return blocks && *ret_answer != -EAGAIN;
}

/* ---- asleep ---------------------------------------------------------------------------------- */

struct words {
	u32 *at[IPK_WAIT_EVENTS], val[IPK_WAIT_EVENTS];
	unsigned n;
};

static bool kernel_says_asleep(pid_t pid)
{
	char path[40], text[400], *p;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	if (!f)
		return false;
	p = fgets(text, sizeof(text), f) ? strrchr(text, ')') : NULL;
	fclose(f);
	return p && p[1] == ' ' && p[2] == 'S';
}

/* What pid has announced that it sleeps on. */
static bool announced(struct ipk_segment *seg, pid_t pid, struct words *ret)
{
	ret->n = 0;
	for (u32 slot = 0; slot < ipk_slot_count(seg); slot++) {
		struct ipk_participant *p = ipk_slot_page(seg, slot);

		if (!p || ipk_ld(&p->pid, relaxed) != (u32)pid)
			continue;
		for (u32 i = 0; i < ipk_ld(&p->nwait, acquire) && ret->n < IPK_WAIT_EVENTS; i++) {
			u32 *word = ipk_at(seg, ipk_ld(&p->waits[i], relaxed) & ~UINT64_C(3), 4, 4);

			if (!word || !(ipk_ld(word, acquire) & IPK_EV_W))
				return false;
			ret->at[ret->n] = word;
			ret->val[ret->n++] = ipk_ld(word, acquire);
		}
	}
	return ret->n > 0;
}

static bool falls_asleep(struct scene *s, struct actor *sleeper, struct words *ret)
{
	actor_go(sleeper);
	for (unsigned i = 0; i < 10 * patience && !gone(sleeper); i++) {
		if (announced(s->seg, sleeper->pid, ret) && kernel_says_asleep(sleeper->pid))
			return true;
		usleep(100);
	}
	snprintf(s->why, sizeof(s->why), "%s does not fall asleep", s->sleeper->name);
	return false;
}

static bool told(const struct words *words)
{
	for (unsigned i = 0; i < words->n; i++)
		if ((ipk_ld(words->at[i], acquire) ^ words->val[i]) & ~IPK_EV_W)
			return true;
	return false;
}

static void ends_with(struct scene *s, struct actor *sleeper, int answer)
{
	int r = actor_end(sleeper, s->why[0] ? 0 : patience);

	if (s->why[0])
		return;
	if (r == -ETIME)
		snprintf(s->why, sizeof(s->why), "%s sleeps on after %s", s->sleeper->name,
			 s->change->name);
	else if (s->change == &removal ? r >= 0 : r != answer)
		snprintf(s->why, sizeof(s->why), "%s answers %d after %s, and not %d",
			 s->sleeper->name, r, s->change->name, answer);
}

static void change_is_told(struct scene *s, int answer)
{
	struct actor sleeper;
	struct words words;

	scene_open(s);
	actor_start(&sleeper, s->w, s->sleeper, -1);
	if (falls_asleep(s, &sleeper, &words)) {
		scene_change(s);
		if (!told(&words))
			snprintf(s->why, sizeof(s->why), "%s does not tell %s", s->change->name,
				 s->sleeper->name);
	}
	ends_with(s, &sleeper, answer);
	scene_close(s);
}

/* Without W nobody is told. The sleeper, in the kernel by then, is none the wiser. */
static void death_is_noticed(struct scene *s, int answer)
{
	struct actor sleeper, maker;
	struct words words;

	scene_open(s);
	actor_start(&maker, s->w, s->change, 0);
	actor_start(&sleeper, s->w, s->sleeper, -1);
	if (falls_asleep(s, &sleeper, &words))
		for (unsigned i = 0; i < words.n; i++)
			ipk_and(words.at[i], ~IPK_EV_W, seq_cst);
	actor_end(&maker, patience);
	ends_with(s, &sleeper, answer);
	scene_close(s);
}

/* ---- all of them ----------------------------------------------------------------------------- */

struct tally {
	const struct world *w;
	const struct trial *trials;
	unsigned n;
	bool seen[MAX_OPS][MAX_OPS + 1]; /* [sleeper][change] */
	bool slept[MAX_OPS];
	char text[600];
};

static void finish(void)
{
	ipk_segment_remove("s", NULL);
	printf("1..%u\n", tests);
	exit(failures || !tests);
}

static void tap(const struct scene *s, const char *what)
{
	bool ok = !s->why[0];

	failures += !ok;
	printf("%sok %u - %s: %s is told of %s%s%s%s\n", ok ? "" : "not ", ++tests,
	       s->w->kind->name, s->sleeper->name, s->change->name, what, ok ? "" : ": ", s->why);
	fflush(stdout);
	if (!ok && at_first)
		finish();
}

static void try_scene(struct tally *all, struct scene *s, unsigned sleeper, unsigned change)
{
	int answer;

	if (all->seen[sleeper][change] || !scene_is_one(s, &answer))
		return;
	all->seen[sleeper][change] = true;
	change_is_told(s, answer);
	tap(s, "");
	if (all->slept[sleeper] || s->change->calls)
		return;
	all->slept[sleeper] = true;
	s->why[0] = '\0';
	death_is_noticed(s, answer);
	tap(s, " though its maker dies");
}

static bool changes(const struct trial *t)
{
	return t->op && (t->op->flags & (IPK_OP_WRITE | IPK_OP_CONSUME)) && !t->hold;
}

static void try_sleeper(struct tally *all, const struct image *start, unsigned i, bool prepare)
{
	const struct trial *t = all->trials;
	struct scene s = {.w = all->w, .start = start, .sleeper = &t[i]};

	for (unsigned p = 0; p <= (prepare ? all->n : 0); p++) {
		s.before = p < all->n && prepare ? &t[p] : NULL;
		if (s.before && s.before->calls) {
			s.change = s.before;
			try_scene(all, &s, i, p);
			s.why[0] = '\0';
			continue;
		}
		if (s.before && !changes(s.before))
			continue;
		for (unsigned u = 0; u <= all->n; u++) {
			s.change = u < all->n ? &t[u] : &removal;
			if (u < all->n && !changes(s.change))
				continue;
			s.why[0] = '\0';
			try_scene(all, &s, i, u);
		}
	}
}

static void run_world(struct tally *all)
{
	unsigned states = world_states(all->w);
	/* One that holds a value has states that its values do not tell of: claimed, running. */
	bool prepare = states == 1 || all->w->kind->flags & IPK_KIND_VALUE;

	for (enum fill fill = 0; fill < states; fill++) {
		struct image start;

		if (world_create(all->w, fill, "s") != 0)
			continue;
		image_read("s", &start);
		for (unsigned i = 0; i < all->n; i++)
			if (all->trials[i].op && (all->trials[i].op->flags & IPK_OP_BLOCK))
				try_sleeper(all, &start, i, prepare && fill == FILL_EMPTY);
		image_free(&start);
	}
}

/* Kinds without contents are brought into a state by an operation: with a few permits or parties.
 */
static void run_kind(const struct ipk_kind *kind)
{
	static const char *const few[] = {"1", "3", NULL}, *const some[] = {"8", NULL};
	struct world w = {.kind = kind, .label = kind->name, .type = kind->type};
	struct trial trials[MAX_OPS];
	struct tally all = {.w = &w, .trials = trials};

	for (unsigned k = 0; k < 3; k++)
		w.value[k] = ((const char *const[]){"1", "2", "3"})[k];
	all.n = world_trials(&w, trials);
	for (const char *const *cap = world_states(&w) == 1 ? few : some; *cap; cap++) {
		w.cap = *cap;
		run_world(&all);
	}
}

int main(int argc, char **argv)
{
	const char *only = NULL;
	int c;

	while ((c = getopt(argc, argv, "xk:p:")) != -1) {
		switch (c) {
		case 'x':
			at_first = true;
			break;
		case 'k':
			only = optarg;
			break;
		case 'p':
			patience = (unsigned)strtoul(optarg, NULL, 10);
			break;
		default:
			return 2;
		}
	}
	crash_dir = getenv("IPK_DIR");
	if (!crash_dir) {
		fprintf(stderr, "wake: set IPK_DIR to a private directory\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	for (unsigned i = 0; ipk_kinds[i]; i++)
		if (!only || strcmp(only, ipk_kinds[i]->name) == 0)
			run_kind(ipk_kinds[i]);
	finish();
}
