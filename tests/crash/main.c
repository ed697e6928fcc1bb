/* SPDX-License-Identifier: MIT */
/*
 * crash [-lxr] [-k KIND] [-o OP] [-t TYPE] [-s STATE]: steps through every operation of every kind.
 * Prints TAP: one test for each operation in each state, with instructions, images and seconds.
 *   -l  all images, all states, all values; else a selection that ends within minutes
 *   -x  ends with the first failure
 *   -r  kills the recoverers, at each of their changes, and does nothing else
 *   TYPE is a label in shapes[] below, STATE one of fill_name[]
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "crash.h"
#include "segment/registry.h"

const char *crash_dir;
static bool whole, at_first, recoverers; /* -l -x -r */
static const char *only_kind, *only_op, *only_type, *only_state;
static unsigned tests, failures;
static uint64_t total_instructions, total_images, total_recoveries, total_pairs;

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

/* ---- victims --------------------------------------------------------------------------------- */

static int setup_attached(struct victim *v)
{
	int r = ipk_segment_open("s", IPK_READ | IPK_WRITE, &v->seg, NULL);

	return r != 0 ? r : world_attach(v->world, v->seg, &v->handle);
}

static int run_trial(struct victim *v)
{
	struct answer a = {0};

	world_run(v->world, v->trial, v->trial->inputs, v->seg, v->handle, 0, &a);
	return a.r;
}

static int setup_nothing(struct victim *v)
{
	(void)v;
	return 0;
}

/* The recoverer, to be killed in turn. */
static int run_recovery(struct victim *v)
{
	int r = ipk_segment_open("s", IPK_READ | IPK_WRITE, &v->seg, NULL);

	if (r == 0)
		ipk_segment_sweep(v->seg);
	return r;
}

/* ---- one operation in one state -------------------------------------------------------------- */

struct job {
	const struct world *w;
	enum fill fill;
	const struct trial *t;
	const struct trial *trials;
	unsigned ntrials;
	struct image start;
	struct expected e;
	unsigned bad;
	unsigned number;
	uint64_t recoveries, pairs;
	char why[1700];
};

/*
 * All of the large operations with all others would take days. The whole run takes this many images
 * of a job, evenly spread, to kill their recoverers, and of each other operation as many images as
 * make this many pairs with it: of those that change little, all.
 */
#define RECOVERED 24
#define PAIRS 40
/* Of so many images all are recovered and compared; what is tried next, of about as many as this. */
#define TRIED_NEXT 400

static void blame(struct job *j, const char *what, const char *why)
{
	if (j->bad++ == 0)
		snprintf(j->why, sizeof(j->why), "%s: %.1400s", what, why);
}

static bool enough(const struct job *j)
{
	return at_first && j->bad;
}

enum how { IN_FULL, TWICE, NOTHING_NEXT };

static void check_image(struct job *j, const struct image *image, enum how how, const char *what)
{
	struct known known = {.tk_min = image->done ? j->t->inputs : 0, .twice = how == TWICE};
	unsigned n = how == NOTHING_NEXT ? 0 : j->ntrials;
	char why[1500];

	if (survive(j->w, image, &j->e, &known, j->trials, n, why, sizeof(why)) != 0)
		blame(j, what, why);
}

/* Kills the recoverer at each of its own changes; what it left must be recovered as well. */
static void check_recovery(struct job *j, const struct image *image)
{
	struct victim v = {.setup = setup_nothing,
			   .run = run_recovery,
			   .name = "s",
			   .world = j->w,
			   .trial = j->t};
	struct images second = {0};
	size_t step;

	image_write("s", image, true);
	if (stores_all(&v, &second) == -ECHILD)
		blame(j, "a recoverer", "died by itself");
	step = whole || recoverers ? 1 : second.n / (at_first ? 4 : 2) + 1;
	for (size_t i = 0; i < second.n && !enough(j); i += step) {
		second.v[i].done = image->done;
		check_image(j, &second.v[i], TWICE, "after the recoverer's death");
		j->recoveries++;
	}
	images_free(&second);
}

/*
 * The victim stands at an image, a second process runs u beside it up to its change number i, then
 * the victim dies and the second ends its operation: its answer and what is left must be those of
 * some order of the two.
 */
static void check_pairs(struct job *j, const struct image *image, const struct trial *u,
			const struct expected *e)
{
	for (unsigned i = 0; i < 400; i = whole ? i + 1 + i / 32 : (at_first ? 3 : 7) * i + 1) {
		struct known known = {.tk_min = image->done ? j->t->inputs : 0,
				      .ul_min = u->inputs};
		struct answer second = {0};
		struct image left = {0};
		char why[1500], what[120];
		int r = pair_run(j->w, image, u, i, &second, &left, why, sizeof(why));

		/* Beside a living victim that holds something it may answer "held" and do nothing.
		 */
		if (second.r == -EAGAIN || second.r == -EBUSY)
			known.ul_min = 0;
		else
			known.second = &second;
		snprintf(what, sizeof(what), "%s paused at its change %u beside the dead", u->name,
			 i);
		if (r < 0)
			blame(j, what, why);
		else if (survive(j->w, &left, e, &known, j->trials, 0, why, sizeof(why)) != 0)
			blame(j, what, why);
		j->pairs++;
		ipk_buf_free(&second.out);
		image_free(&left);
		if (r != 0)
			break;
	}
}

/* The victim stands at some of its images, one after the other. */
static void check_pairs_at(struct job *j, const struct images *all, unsigned u)
{
	struct expected *e = calloc(1, sizeof(*e));
	uint64_t before = j->pairs;
	size_t first = all->n / 2, step;

	if (!e)
		abort();
	expect(j->w, &j->start, j->t, &j->trials[u], j->trials, 0, e);
	if (all->n)
		check_pairs(j, &all->v[first], &j->trials[u], e);
	step = all->n * (j->pairs - before) / PAIRS + 1;
	for (size_t i = u % step; whole && i < all->n && !enough(j); i += step)
		if (i != first)
			check_pairs(j, &all->v[i], &j->trials[u], e);
	expected_free(e, 0);
	free(e);
}

static double started;

static void finish(void)
{
	ipk_segment_remove("s", NULL);
	printf("1..%u\n", tests);
	printf("# total: %llu instructions, %llu images, %llu recoveries, %llu pairs, %u failures, "
	       "%.1f s\n",
	       (unsigned long long)total_instructions, (unsigned long long)total_images,
	       (unsigned long long)total_recoveries, (unsigned long long)total_pairs, failures,
	       seconds() - started);
	exit(failures || !tests);
}

static void report(struct job *j, const struct images *all, double start)
{
	tests++;
	total_instructions += all->instructions;
	total_images += all->n;
	total_recoveries += j->recoveries;
	total_pairs += j->pairs;
	printf("%sok %u - %s: %s, %s: %llu instructions, %zu images, %llu recoveries, %llu pairs, "
	       "%u failures, %.1f s\n",
	       j->bad ? "not " : "", tests, j->w->label, j->t->name, fill_name[j->fill],
	       (unsigned long long)all->instructions, all->n, (unsigned long long)j->recoveries,
	       (unsigned long long)j->pairs, j->bad, seconds() - start);
	if (j->bad) {
		failures++;
		for (char *l = strtok(j->why, "\n"); l; l = strtok(NULL, "\n"))
			printf("#  %s\n", l);
	}
	fflush(stdout);
}

static void check_images(struct job *j, const struct images *all)
{
	size_t step = whole ? 1 : all->n / (at_first ? 12 : 3) + 1;
	size_t fully = all->n / TRIED_NEXT + 1;

	for (size_t i = 0; i < all->n && !enough(j); i += step) {
		char what[80];

		snprintf(what, sizeof(what), "after the death at image %zu of %zu%s", i, all->n,
			 all->v[i].done ? ", returned" : "");
		check_image(j, &all->v[i], whole && i % fully ? NOTHING_NEXT : IN_FULL, what);
	}
	if (all->n && (step > 1 || fully > 1) && !enough(j))
		check_image(j, &all->v[all->n - 1], IN_FULL, "after the end");
}

/* What the recoverers' deaths and the pairs rest upon. */
static void check_stores(struct job *j, struct victim *v, const struct images *all)
{
	struct images again = {0};
	char why[80];

	image_write("s", &j->start, false);
	stores_all(v, &again);
	snprintf(why, sizeof(why), "%zu images by stores, %zu by instructions", again.n, all->n);
	if (again.n != all->n)
		blame(j, "when only stores are looked at", why);
	images_free(&again);
}

static void run_job(struct job *j)
{
	struct victim v = {.setup = setup_attached,
			   .run = run_trial,
			   .name = "s",
			   .world = j->w,
			   .trial = j->t};
	struct images all = {0};
	double start = seconds();
	size_t step;

	expect(j->w, &j->start, j->t, NULL, j->trials, j->ntrials, &j->e);
	if (j->e.why[0])
		blame(j, "when nobody is killed in the middle", j->e.why);
	image_write("s", &j->start, false);
	if (step_all(&v, &all) == -ECHILD) {
		j->bad++;
		snprintf(j->why, sizeof(j->why), "the operation itself died");
	}
	check_stores(j, &v, &all);
	if (!recoverers)
		check_images(j, &all);
	step = recoverers ? 1 : whole ? all.n / RECOVERED + 1 : at_first ? all.n / 2 + 1 : all.n;
	for (size_t i = step / 2; i < all.n && !enough(j); i += step)
		check_recovery(j, &all.v[i]);
	for (unsigned u = 0; u < j->ntrials && !recoverers && !enough(j); u++)
		if (whole ? !(j->w->again && j->trials[u].own) : u == (j->number + 1) % j->ntrials)
			check_pairs_at(j, &all, u);
	report(j, &all, start);
	expected_free(&j->e, j->ntrials);
	images_free(&all);
}

static enum fill quick_fill(const struct world *w, const struct trial *t, unsigned i)
{
	unsigned states = world_states(w);

	/* What holds one value has none that could be begun once it is there. */
	if (t->calls)
		return states > FILL_SOME && !(w->kind->flags & IPK_KIND_VALUE) ? FILL_SOME
										: FILL_EMPTY;
	return i % states;
}

static void run_world(const struct world *w)
{
	struct trial trials[MAX_OPS];
	unsigned n = world_trials(w, trials);

	for (enum fill fill = 0; fill < FILLS; fill++) {
		struct job j = {.w = w, .fill = fill, .trials = trials, .ntrials = n};

		if (only_state && strcmp(only_state, fill_name[fill]) != 0)
			continue;
		if (world_create(w, fill, "s") != 0)
			continue;
		image_read("s", &j.start);
		for (unsigned i = 0; i < n; i++) {
			if (only_op && strcmp(only_op, trials[i].name) != 0)
				continue;
			/* How objects come and go is not the type's affair. */
			if (!only_op && w->again && trials[i].own)
				continue;
			/* The quick run takes each operation in one of the states. */
			if (!whole && !only_op && fill != quick_fill(w, &trials[i], i))
				continue;
			j.t = &trials[i];
			j.bad = 0;
			j.recoveries = j.pairs = 0;
			j.number = i;
			run_job(&j);
			if (at_first && failures)
				finish();
		}
		image_free(&j.start);
	}
}

/* ---- the worlds of each kind ----------------------------------------------------------------- */

static char long_value[4][3200];

/* Element types that are tried for each kind that takes them. */
static const struct world shapes[] = {
	{.label = "default"},
	{.label = "str", .type = "str", .value = {"a", "bb", "ccc", ""}},
	{.label = "long str",
	 .type = "str",
	 .value = {long_value[0], long_value[1], long_value[2], long_value[3]}},
	{.label = "u64", .type = "u64", .value = {"1", "2", "3", "4"}},
	{.label = "struct",
	 .type = "{u32 id; f64 px; str:8 sym}",
	 .value = {"{\"id\":1,\"px\":1.5,\"sym\":\"A\"}", "{\"id\":2,\"px\":2.5,\"sym\":\"BB\"}",
		   "{\"id\":3,\"px\":3.5,\"sym\":\"C\"}", "{\"id\":4,\"px\":4.5,\"sym\":\"D\"}"}},
};

/* Whether the kind takes this element type at all. */
static bool takes(const struct world *w)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_segment *seg;
	int r;

	options.max = 4 << 20;
	ipk_segment_remove("t", NULL);
	if (ipk_segment_create("t", &options, &seg, NULL) != 0)
		return false;
	r = world_new_object(seg, w, "x");
	ipk_segment_close(seg);
	ipk_segment_remove("t", NULL);
	return r == 0;
}

/* Whether an object that holds cap of whatever the kind counts holds each of the values by itself.
 */
static bool holds_values(const struct world *w)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct trial push = {.op = ipk_kind_op(w->kind, "push"), .inputs = 1};
	struct ipk_segment *seg;
	bool fit = true;
	void *handle;

	if (!push.op || !world_has_param(w->kind, "cap"))
		return true;
	ipk_segment_remove("t", NULL);
	if (ipk_segment_create("t", &options, &seg, NULL) != 0)
		return true;
	if (world_new_object(seg, w, "x") == 0 && world_attach(w, seg, &handle) == 0) {
		for (unsigned i = 0; i < MAX_INPUTS; i++) {
			struct world other = *w;
			struct answer a = {0};

			other.value[0] = w->value[i];
			world_run(&other, &push, 1, seg, handle, 0, &a);
			fit = fit && a.r != -EMSGSIZE;
			ipk_buf_free(&a.out);
		}
		world_detach(w, handle);
	}
	ipk_segment_close(seg);
	ipk_segment_remove("t", NULL);
	return fit;
}

static void run_kind(const struct ipk_kind *kind)
{
	bool tried = false, another = false; /* a type; one beside the default */

	for (unsigned i = 0; i < IPK_ARRAY_LEN(shapes); i++) {
		struct world w = shapes[i];
		char label[80];

		w.kind = kind;
		w.cap = "8";
		if (!w.type) {
			/* The default type alone, with values that numbers and strings both read.
			 */
			if (!kind->type || strcmp(kind->type, "str") == 0)
				continue;
			w.type = kind->type;
			for (unsigned k = 0; k < 4; k++)
				w.value[k] = ((const char *const[]){"1", "2", "3", "4"})[k];
		} else if (!kind->type) {
			continue;
		}
		if (only_type ? strcmp(only_type, w.label) != 0
			      : !whole && i > 0 && (another || i == 1 || i == 3))
			continue;
		if (tried && strcmp(w.type, kind->type) == 0)
			continue; /* the default, under its own name */
		if (!takes(&w))
			continue;
		if (!holds_values(&w))
			w.cap = "4096"; /* bytes, then */
		w.again = tried;
		tried = true;
		another |= i > 0;
		snprintf(label, sizeof(label), "%s of %s", kind->name, w.label);
		w.label = label;
		run_world(&w);
	}
	if (!kind->type) {
		struct world w = {
			.kind = kind, .label = kind->name, .cap = "8", .value = {"1", "2", "3"}};

		run_world(&w);
	}
}

int main(int argc, char **argv)
{
	static const struct world segment = {.label = "segment", .cap = "4"};
	int c;

	started = seconds();
	while ((c = getopt(argc, argv, "lxrk:o:t:s:")) != -1) {
		switch (c) {
		case 'l':
			whole = true;
			break;
		case 'x':
			at_first = true;
			break;
		case 'r':
			recoverers = true;
			break;
		case 't':
			only_type = optarg;
			break;
		case 's':
			only_state = optarg;
			break;
		case 'k':
			only_kind = optarg;
			break;
		case 'o':
			only_op = optarg;
			break;
		default:
			return 2;
		}
	}
	step_pin();
	ipk_wait_spins = false;
	ipk_poll_interval = IPK_FOREVER;
	memo_open();
	crash_dir = getenv("IPK_DIR");
	if (!crash_dir) {
		fprintf(stderr, "crash: set IPK_DIR to a private directory\n");
		return 2;
	}
	for (unsigned i = 0; i < 4; i++)
		memset(long_value[i], 'a' + (int)i, (size_t[]){60, 300, 3100, 41}[i]);
	if (!only_kind || strcmp(only_kind, "segment") == 0)
		run_world(&segment);
	for (unsigned i = 0; ipk_kinds[i]; i++)
		if (!only_kind || strcmp(only_kind, ipk_kinds[i]->name) == 0)
			run_kind(ipk_kinds[i]);
	finish();
}
