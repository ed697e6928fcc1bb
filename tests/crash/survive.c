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

bool same_answer(const struct answer *a, const struct answer *b)
{
	return a->r == b->r && a->out.len == b->out.len &&
	       (a->out.len == 0 || memcmp(a->out.data, b->out.data, a->out.len) == 0);
}

char *dump_text(const char *name)
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

int run_on(const struct world *w, const struct trial *t, unsigned n, bool strangers,
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
