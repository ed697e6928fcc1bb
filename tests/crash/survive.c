/* SPDX-License-Identifier: MIT */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash.h"
#include "segment/registry.h"

/* An operation may be answered by its waiting state; both sides mean the same then. */
static bool same_answer(const struct answer *a, const struct answer *b)
{
	return a->r == b->r && a->out.len == b->out.len &&
	       (a->out.len == 0 || memcmp(a->out.data, b->out.data, a->out.len) == 0);
}

static char *dump_text(const char *name)
{
	struct ipk_buf out = {0};

	if (world_dump(name, &out) != 0) {
		ipk_buf_free(&out);
		return NULL;
	}
	return out.data;
}

/*
 * Living participants take every number that a sweep has freed: a word that still named a dead one
 * now names one of them. They live as long as this process.
 */
static void strangers_come(struct ipk_segment *seg)
{
	u32 n = ipk_slot_count(seg), slot;
	unsigned free = 0;
	int fd;

	for (slot = 1; slot < n; slot++) {
		struct ipk_participant *p = ipk_slot_page(seg, slot);

		free += p && (p->claim & 0xff) == IPK_CLAIM_FREE;
	}
	while (free--)
		ipk_holder_new(seg, &fd, &slot);
}

/* Runs trial t on segment "s" as it lies in the file, with n inputs; maybe among strangers. */
static int run_on(const struct world *w, const struct trial *t, unsigned n, bool strangers,
		  struct answer *ret)
{
	struct ipk_segment *seg;
	void *handle;
	int r = ipk_segment_open("s", IPK_READ | IPK_WRITE, &seg, NULL);

	if (r != 0)
		return r;
	r = world_attach(w, seg, &handle);
	if (r == 0 && strangers) {
		ipk_segment_sweep(seg);
		strangers_come(seg);
	}
	if (r == 0) {
		r = world_run(w, t, n, seg, handle, 0, ret);
		world_detach(w, handle);
	}
	ipk_segment_close(seg);
	return r;
}

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

/* BESIDE: u runs while the process that ran t still lives, and has what it leased or locked. */
enum order { T_FIRST, U_FIRST, BESIDE };

/*
 * One clean history: up to two trials, then every operation in turn from where they left. After tk
 * inputs t may take that many more, and die beside u with these in its hands.
 */
static void history(const struct world *w, const struct image *start, const struct trial *t,
		    unsigned tk, unsigned held, const struct trial *u, unsigned ul,
		    enum order order, const struct trial trials[], unsigned ntrials,
		    struct expected *ret)
{
	struct outcome *o = &ret->v[ret->n];
	struct answer first = {0}, rest = {0};
	struct trial holding = *t;
	struct image outcome;
	int r = 0;

	memset(o, 0, sizeof(*o));
	o->tk = tk;
	o->ul = ul;
	image_write("s", start, false);
	if (order == U_FIRST)
		r = run_clean(w, u, ul, &o->second);
	if (r == 0 && order == BESIDE)
		r = run_and_die(w, t, tk, &first, u, ul, &o->second);
	else if (r == 0)
		r = run_clean(w, t, tk, &first);
	holding.stops = true;
	if (r == 0 && held)
		r = run_and_die(w, &holding, held, &rest, u, ul, &o->second);
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
	bool consumes = t->op && t->op->flags & IPK_OP_CONSUME;
	static uint64_t last;

	ret->n = 0;
	ret->id = ++last;
	ret->why[0] = '\0';
	for (unsigned k = 0; k <= t->inputs; k++) {
		if (!u) {
			history(w, start, t, k, 0, NULL, 0, T_FIRST, trials, ntrials, ret);
			continue;
		}
		for (unsigned l = 0; l <= u->inputs; l++) {
			history(w, start, t, k, 0, u, l, T_FIRST, trials, ntrials, ret);
			if (k && l)
				history(w, start, t, k, 0, u, l, U_FIRST, trials, ntrials, ret);
			if (k && l && (t->calls || t->hold))
				history(w, start, t, k, 0, u, l, BESIDE, trials, ntrials, ret);
			/* What has been given out is leased until it is acknowledged. */
			for (unsigned held = consumes && l ? t->inputs - k : 0; held; held--)
				history(w, start, t, k, held, u, l, T_FIRST, trials, ntrials, ret);
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

struct verdict {
	volatile int set;
	char text[1500];
};

static struct verdict *verdict;

static void fail(const char *fmt, ...)
{
	va_list args;

	if (verdict->set)
		return;
	verdict->set = 1;
	va_start(args, fmt);
	vsnprintf(verdict->text, sizeof(verdict->text), fmt, args);
	va_end(args);
}

static void finding(void *arg, const char *where, const char *what)
{
	(void)arg;
	fail("fsck: %s: %s", where, what);
}

static void fsck_silent(const char *when)
{
	struct ipk_view *view;
	struct ipk_error err = {0};

	if (ipk_view_open("s", &view, &err) != 0) {
		fail("%s: cannot be opened: %s", when, err.text);
		return;
	}
	if (ipk_fsck(view, finding, NULL, &err) != 0)
		fail("%s: fsck: %s", when, err.text);
	ipk_view_close(view);
}

/* Everything removed: the space must be what it was before there was anything. */
static void space_returns(void)
{
	static const char *const names[] = {"x", "y", "z", "zz"};
	struct ipk_segment_info info;
	struct ipk_segment *seg;
	struct ipk_view *view;

	if (ipk_segment_open("s", IPK_READ | IPK_WRITE, &seg, NULL) != 0)
		return;
	for (unsigned i = 0; i < IPK_ARRAY_LEN(names); i++)
		ipk_object_remove(seg, names[i], NULL);
	ipk_segment_close(seg);
	if (ipk_view_open("s", &view, NULL) != 0)
		return;
	if (ipk_view_info(view, &info) == 0 && info.used != 0)
		fail("%llu bytes are lost", (unsigned long long)info.used);
	ipk_view_close(view);
	fsck_silent("after removal");
}

/* Is this outcome what is known of the image and found in it? */
static bool fits(const struct outcome *o, const struct known *known, const char *text)
{
	return o->tk >= known->tk_min && o->ul >= known->ul_min && o->contents && text &&
	       strcmp(text, o->contents) == 0 &&
	       (!known->second || same_answer(known->second, &o->second));
}

/* One operation on the recovered image answers and leaves what it does when nobody has died. */
static void try_next(const struct world *w, const struct image *image, const struct expected *e,
		     const struct known *known, const char *text, const struct trial *t, unsigned i)
{
	const struct outcome *last = NULL;
	struct answer a = {0};
	char *after;

	image_write("s", image, true);
	if (run_on(w, t, t->inputs, true, &a) != 0) {
		fail("next %s: cannot attach", t->name);
		return;
	}
	after = dump_text("s");
	for (unsigned k = 0; k < e->n; k++) {
		if (!fits(&e->v[k], known, text))
			continue;
		last = &e->v[k];
		if (same_answer(&a, &last->next[i]) && after && last->after[i] &&
		    strcmp(after, last->after[i]) == 0) {
			last = NULL;
			break;
		}
	}
	if (last)
		fail("next %s: answers %d \"%.*s\" and leaves\n%s\nwithout a death %d \"%.*s\" "
		     "and\n%s",
		     t->name, a.r, (int)a.out.len, a.out.data ? a.out.data : "",
		     after ? after : "(unreadable)", last->next[i].r, (int)last->next[i].out.len,
		     last->next[i].out.data ? last->next[i].out.data : "",
		     last->after[i] ? last->after[i] : "(unreadable)");
	free(after);
	ipk_buf_free(&a.out);
}

/* Of an image under what is expected and known of it; what goes on from there starts with salt. */
static uint64_t memo_key(const struct image *image, const struct expected *e,
			 const struct known *known, uint64_t salt)
{
	const uint64_t v[] = {
		salt,
		e->id,
		known->tk_min,
		known->ul_min,
		image_key(image),
		known->second ? (uint64_t)known->second->r : 0,
		known->second ? XXH3_64bits(known->second->out.data, known->second->out.len) : 1,
	};

	return XXH3_64bits(v, sizeof(v)) | 1;
}

static uint64_t recovered_key(const struct expected *e, const struct known *known, unsigned ntrials)
{
	struct image recovered;
	uint64_t key;

	image_read("s", &recovered);
	key = memo_key(&recovered, e, known, 1 + 2 * ntrials);
	image_free(&recovered);
	return key;
}

static void survivor(const struct world *w, const struct image *image, const struct expected *e,
		     const struct known *known, const struct trial trials[], unsigned ntrials)
{
	struct ipk_segment *seg;
	struct ipk_error err = {0};
	uint64_t key;
	char *text;
	unsigned k;

	/* A reader without permission to repair must get through as well. */
	image_write("s", image, true);
	text = dump_text("s");
	if (!text)
		fail("a mere reader cannot read it");
	free(text);

	if (ipk_segment_open("s", IPK_READ | IPK_WRITE, &seg, &err) != 0) {
		fail("cannot be attached: %s", err.text);
		return;
	}
	ipk_segment_sweep(seg);
	key = recovered_key(e, known, ntrials);
	strangers_come(seg);
	fsck_silent("after the sweep");
	text = dump_text("s");
	for (k = 0; k < e->n; k++)
		if (fits(&e->v[k], known, text))
			break;
	if (k == e->n && known->second)
		fail("the second answered %d \"%.*s\"; contents after recovery:\n%s",
		     known->second->r, (int)known->second->out.len,
		     known->second->out.data ? known->second->out.data : "",
		     text ? text : "(unreadable)");
	else if (k == e->n)
		fail("contents after recovery:\n%s\nexpected e.g.:\n%s",
		     text ? text : "(unreadable)", e->v[e->n - 1].contents);
	ipk_segment_close(seg);
	if (!verdict->set)
		space_returns();
	if (known->twice && memo_has(key))
		ntrials = 0;
	for (unsigned i = 0; i < ntrials && !verdict->set; i++)
		try_next(w, image, e, known, text, &trials[i], i);
	if (!verdict->set)
		memo_put(key);
	free(text);
}

int survive(const struct world *w, const struct image *image, const struct expected *e,
	    const struct known *known, const struct trial trials[], unsigned ntrials, char *why,
	    size_t size)
{
	uint64_t key = memo_key(image, e, known, 2 * ntrials);
	struct image mine;
	int status;
	pid_t pid;

	why[0] = '\0';
	if (memo_has(key))
		return 0;
	if (!verdict)
		verdict = mmap(NULL, sizeof(*verdict), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (verdict == MAP_FAILED)
		abort();
	memset(verdict, 0, sizeof(*verdict));
	/* The survivor does not inherit what the images lie in. */
	mine = *image;
	mine.data = malloc(image->size);
	if (!mine.data)
		abort();
	memcpy(mine.data, image->data, image->size);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		alarm(120);
		survivor(w, &mine, e, known, trials, ntrials);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		abort();
	image_free(&mine);
	if (WIFSIGNALED(status) && !verdict->set)
		fail(WTERMSIG(status) == SIGALRM ? "the survivor hangs"
						 : "the survivor dies by signal %d",
		     WTERMSIG(status));
	snprintf(why, size, "%s", verdict->text);
	if (!verdict->set)
		memo_put(key);
	return verdict->set;
}
