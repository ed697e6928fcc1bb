/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash.h"

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

/* Runs trial t on segment "s" as it lies in the file, with n inputs. */
static int run_on(const struct world *w, const struct trial *t, unsigned n, struct answer *ret)
{
	struct ipk_segment *seg;
	void *handle;
	int r = ipk_segment_open("s", IPK_READ | IPK_WRITE, &seg, NULL);

	if (r != 0)
		return r;
	r = world_attach(w, seg, &handle);
	if (r == 0) {
		r = world_run(w, t, n, seg, handle, ret);
		world_detach(w, handle);
	}
	ipk_segment_close(seg);
	return r;
}

void expect(const struct world *w, const struct image *start, const struct trial *t,
	    const struct trial trials[], unsigned ntrials, struct expected *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->n = t->inputs + 1;
	for (unsigned k = 0; k < ret->n; k++) {
		struct answer a = {0};
		struct image outcome;

		image_write("s", start, false);
		if (run_on(w, t, k, &a) != 0) {
			fprintf(stderr, "expect: %s cannot run\n", t->name);
			exit(1);
		}
		ipk_buf_free(&a.out);
		ret->contents[k] = dump_text("s");
		image_read("s", &outcome);
		for (unsigned i = 0; i < ntrials; i++) {
			image_write("s", &outcome, false);
			run_on(w, &trials[i], trials[i].inputs, &ret->next[k][i]);
			ret->after[k][i] = dump_text("s");
		}
		image_free(&outcome);
	}
}

void expected_free(struct expected *e, unsigned ntrials)
{
	for (unsigned k = 0; k < e->n; k++) {
		free(e->contents[k]);
		for (unsigned i = 0; i < ntrials; i++) {
			ipk_buf_free(&e->next[k][i].out);
			free(e->after[k][i]);
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
static void space_returns(uint64_t used_base)
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
	if (ipk_view_info(view, &info) == 0 && info.used != used_base)
		fail("%llu bytes are lost", (unsigned long long)(info.used - used_base));
	ipk_view_close(view);
	fsck_silent("after removal");
}

static void try_each(const struct world *w, const struct image *image, const struct expected *e,
		     unsigned state, const struct trial trials[], unsigned ntrials)
{
	for (unsigned i = 0; i < ntrials && !verdict->set; i++) {
		struct answer a = {0};
		char *after;

		image_write("s", image, true);
		if (run_on(w, &trials[i], trials[i].inputs, &a) != 0)
			fail("next %s: cannot attach", trials[i].name);
		else if (!same_answer(&a, &e->next[state][i]))
			fail("next %s: answers %d \"%.*s\", without a death %d \"%.*s\"",
			     trials[i].name, a.r, (int)a.out.len, a.out.data ? a.out.data : "",
			     e->next[state][i].r, (int)e->next[state][i].out.len,
			     e->next[state][i].out.data ? e->next[state][i].out.data : "");
		after = dump_text("s");
		if (!after || !e->after[state][i] || strcmp(after, e->after[state][i]) != 0)
			fail("next %s leaves:\n%s\nwithout a death:\n%s", trials[i].name,
			     after ? after : "(unreadable)",
			     e->after[state][i] ? e->after[state][i] : "(unreadable)");
		free(after);
		ipk_buf_free(&a.out);
	}
}

static void survivor(const struct world *w, const struct image *image, const struct expected *e,
		     const struct trial trials[], unsigned ntrials, uint64_t used_base)
{
	struct ipk_segment *seg;
	struct ipk_error err = {0};
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
	fsck_silent("after the sweep");
	text = dump_text("s");
	for (k = image->done ? e->n - 1 : 0; k < e->n; k++)
		if (text && e->contents[k] && strcmp(text, e->contents[k]) == 0)
			break;
	if (k == e->n)
		fail("contents after recovery:\n%s\nexpected e.g.:\n%s", text ? text : "(unreadable)",
		     e->contents[e->n - 1]);
	free(text);
	ipk_segment_close(seg);
	if (verdict->set)
		return;
	space_returns(used_base);
	try_each(w, image, e, k, trials, ntrials);
}

int survive(const struct world *w, const struct image *image, const struct expected *e,
	    const struct trial trials[], unsigned ntrials, uint64_t used_base, char *why, size_t size)
{
	int status;
	pid_t pid;

	if (!verdict)
		verdict = mmap(NULL, sizeof(*verdict), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset(verdict, 0, sizeof(*verdict));
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		alarm(120);
		survivor(w, image, e, trials, ntrials, used_base);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		abort();
	if (WIFSIGNALED(status) && !verdict->set)
		fail(WTERMSIG(status) == SIGALRM ? "the survivor hangs" : "the survivor dies by signal %d",
		     WTERMSIG(status));
	snprintf(why, size, "%s", verdict->text);
	return verdict->set;
}
