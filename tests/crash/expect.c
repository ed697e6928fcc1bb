/* SPDX-License-Identifier: MIT */
/* What may be found: clean runs in which nobody is killed in the middle. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash.h"

/*
 * As run_on(), by a process that dies then, or where it stops; and somebody sweeps. Before it dies u
 * is run, if any.
 */
static int run_and_die(const struct world *w, const struct trial *t, unsigned n, struct answer *ret,
		       const struct trial *u, unsigned ul, struct answer *ret_u)
{
	struct {
		int r;
		size_t len;
		char out[16384];
	} *answer = mmap(NULL, sizeof(*answer), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			 -1, 0);
	struct ipk_segment *seg;
	void *handle;
	int status, r;
	pid_t pid;

	if (answer == MAP_FAILED)
		abort();
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		if (ipk_segment_open("s", IPK_READ | IPK_WRITE, &seg, NULL) != 0 ||
		    world_attach(w, seg, &handle) != 0)
			_exit(1);
		world_run(w, t, n, seg, handle, 0, ret);
		answer->r = ret->r;
		answer->len = ret->out.len;
		if (ret->out.len > sizeof(answer->out))
			_exit(1);
		if (ret->out.len)
			memcpy(answer->out, ret->out.data, ret->out.len);
		if (u)
			raise(SIGSTOP);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, WUNTRACED) != pid)
		abort();
	if (WIFSTOPPED(status)) {
		run_on(w, u, ul, false, ret_u);
		kill(pid, SIGKILL);
		if (waitpid(pid, NULL, 0) != pid)
			abort();
		status = 0;
	}
	ret->r = answer->r;
	ipk_buf_add(&ret->out, answer->out, answer->len);
	munmap(answer, sizeof(*answer));
	if (status != 0)
		return -ECHILD;
	r = ipk_segment_open("s", IPK_READ | IPK_WRITE, &seg, NULL);
	if (r == 0) {
		ipk_segment_sweep(seg);
		ipk_segment_close(seg);
	}
	return r;
}

static int run_clean(const struct world *w, const struct trial *t, unsigned n, struct answer *ret)
{
	return t->calls || t->hold ? run_and_die(w, t, n, ret, NULL, 0, NULL)
				   : run_on(w, t, n, false, ret);
}

/*
 * The verb by which something of the kind is had for as long as a command runs, or NULL; leases: or
 * an item until it is done with.
 */
static const struct ipk_op *holder(const struct ipk_kind *kind, bool leases)
{
	for (const struct ipk_op *op = kind->ops; op->name; op++)
		if (op->flags & IPK_OP_CMD && (leases || !(op->flags & IPK_OP_OUT)) && !op->ended)
			return op;
	return NULL;
}

/*
 * Of how much that t has not done yet it may have got hold after k inputs, so that another finds it
 * gone and t's death brings it back: what has been given out is leased until it is acknowledged;
 * where commands hold something, a verb that may wait has what it took before it has done with it.
 * Returns how many, and what a process does that has them and has done nothing with them.
 */
static unsigned on_the_way(const struct world *w, const struct trial *t, unsigned k,
			   struct trial *ret)
{
	const unsigned takes = IPK_OP_WRITE | IPK_OP_BLOCK;

	*ret = *t;
	ret->stops = true;
	if (t->hold || (t->op && t->op->flags & IPK_OP_CONSUME))
		return t->inputs - k;
	*ret = (struct trial){.hold = true, .stops = true};
	ret->op = w->kind ? holder(w->kind, t->calls) : NULL;
	if (!ret->op)
		return 0;
	if (t->calls)
		return k == 0 ? t->calls->several : 0;
	return t->op && (t->op->flags & takes) == takes ? t->inputs - k : 0;
}

/* Does t take several things, all of them or none? Another may see them go one by one. */
static bool is_atomic(const struct trial *t)
{
	const unsigned takes = IPK_OP_WRITE | IPK_OP_BLOCK | IPK_OP_COUNT;

	return t->op && (t->op->flags & (takes | IPK_OP_CONSUME | IPK_OP_IN)) == takes;
}

/* What t does with its inputs from..to-1. */
static int run_rest(const struct world *w, const struct trial *t, unsigned from, unsigned to,
		    struct answer *ret)
{
	struct world rest = *w;

	for (unsigned i = 0; from + i < MAX_INPUTS; i++)
		rest.value[i] = w->value[from + i];
	return run_clean(&rest, t, to - from, ret);
}

/*
 * BESIDE: u runs while the process that ran t still lives, and has what it leased or locked.
 * BETWEEN: after one of t's inputs or two.
 */
enum order { T_FIRST, U_FIRST, BESIDE, BETWEEN };

/*
 * One clean history: up to two trials, then every operation in turn from where they left. After tk
 * inputs of t, and before it dies beside u, the process may do as many of holding. BETWEEN: u comes
 * after held of them.
 */
static void history(const struct world *w, const struct image *start, const struct trial *t,
		    unsigned tk, const struct trial *holding, unsigned held, const struct trial *u,
		    unsigned ul, enum order order, const struct trial trials[], unsigned ntrials,
		    struct expected *ret)
{
	struct outcome *o = &ret->v[ret->n];
	struct answer first = {0}, rest = {0};
	struct image outcome;
	int r = 0;

	if (ret->n == IPK_ARRAY_LEN(ret->v))
		abort();
	memset(o, 0, sizeof(*o));
	/* To hold is all that such a verb does; the others are not done with what they have. */
	o->tk = t->hold ? tk + held : tk;
	o->ul = ul;
	image_write("s", start, false);
	if (order == U_FIRST)
		r = run_clean(w, u, ul, &o->second);
	if (r == 0 && order == BESIDE)
		r = run_and_die(w, t, tk, &first, u, ul, &o->second);
	else if (r == 0)
		r = run_clean(w, t, order == BETWEEN ? held : tk, &first);
	if (r == 0 && order == BETWEEN) {
		r = run_clean(w, u, ul, &o->second);
		if (r == 0)
			r = run_rest(w, t, held, tk, &rest);
	} else if (r == 0 && held)
		r = run_and_die(w, holding, held, &rest, u, ul, &o->second);
	else if (r == 0 && u && order == T_FIRST)
		r = run_clean(w, u, ul, &o->second);
	if (r != 0) {
		fprintf(stderr, "expect: %s cannot run: %s\n", t->name, ipk_strerror(r));
		exit(1);
	}
	ipk_buf_free(&first.out);
	ipk_buf_free(&rest.out);
	o->contents = dump_text("s");
	image_read("s", &outcome);
	for (unsigned i = 0; i < ntrials; i++) {
		image_write("s", &outcome, false);
		run_on(w, &trials[i], trials[i].inputs, false, &o->next[i]);
		o->after[i] = dump_text("s");
	}
	image_free(&outcome);
	ret->n++;
}

static bool same_text(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* Does outcome k differ from that of who never came, in contents or in what anybody is answered
 * next? */
static bool differs(const struct expected *e, unsigned k, unsigned ntrials)
{
	const struct outcome *a = &e->v[0], *b = &e->v[k];

	if (!same_text(a->contents, b->contents))
		return true;
	for (unsigned i = 0; i < ntrials; i++)
		if (!same_answer(&a->next[i], &b->next[i]) || !same_text(a->after[i], b->after[i]))
			return true;
	return false;
}

/* Clean runs are made by the same library: what they must be like is said here. */
static void check_law(const struct trial *t, const struct trial trials[], unsigned ntrials,
		      struct expected *e)
{
	/* One that looks at how CMD ended has done something then, and so has a promise that is broken. */
	bool holds = t->hold && !(t->op->flags & IPK_OP_OUT) && !t->op->ended &&
		     strcmp(t->op->name, "claim") != 0;
	unsigned undone = holds ? t->inputs : t->calls ? t->calls->undone : 0;

	for (unsigned k = 1; k <= undone; k++)
		if (differs(e, k, ntrials))
			snprintf(e->why, sizeof(e->why),
				 "a death after %u of %s is not undone:\n%.400s", k, t->name,
				 e->v[k].contents ? e->v[k].contents : "(unreadable)");
	for (unsigned i = 0; t->calls && t->calls->told && i < ntrials; i++)
		/* What is done already gives nobody anything that could be lost. */
		if (trials[i].calls == t->calls && e->v[0].next[i].r != -EEXIST &&
		    e->v[1].next[i].r != t->calls->told)
			snprintf(e->why, sizeof(e->why),
				 "after a death in the middle of %s it answers %d", t->name,
				 e->v[1].next[i].r);
}

void expect(const struct world *w, const struct image *start, const struct trial *t,
	    const struct trial *u, const struct trial trials[], unsigned ntrials,
	    struct expected *ret)
{
	struct trial holding;
	static uint64_t last;

	ret->n = 0;
	ret->id = ++last;
	ret->why[0] = '\0';
	for (unsigned k = 0; k <= t->inputs; k += is_atomic(t) ? t->inputs : 1) {
		unsigned most = on_the_way(w, t, k, &holding);

		if (!u) {
			history(w, start, t, k, NULL, 0, NULL, 0, T_FIRST, trials, ntrials, ret);
			continue;
		}
		for (unsigned l = 0; l <= u->inputs; l += is_atomic(u) ? u->inputs : 1) {
			history(w, start, t, k, NULL, 0, u, l, T_FIRST, trials, ntrials, ret);
			if (k && l)
				history(w, start, t, k, NULL, 0, u, l, U_FIRST, trials, ntrials,
					ret);
			if (k && l && t->calls)
				history(w, start, t, k, NULL, 0, u, l, BESIDE, trials, ntrials,
					ret);
			for (unsigned n = 1; n < k && l && t->op; n++)
				history(w, start, t, k, NULL, n, u, l, BETWEEN, trials, ntrials,
					ret);
			for (unsigned held = l ? most : 0; held; held--)
				history(w, start, t, k, &holding, held, u, l, T_FIRST, trials,
					ntrials, ret);
		}
	}
	if (!u)
		check_law(t, trials, ntrials, ret);
}

void expected_free(struct expected *e, unsigned ntrials)
{
	for (unsigned k = 0; k < e->n; k++) {
		free(e->v[k].contents);
		ipk_buf_free(&e->v[k].second.out);
		for (unsigned i = 0; i < ntrials; i++) {
			ipk_buf_free(&e->v[k].next[i].out);
			free(e->v[k].after[i]);
		}
	}
}
