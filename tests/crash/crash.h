/* SPDX-License-Identifier: MIT */
/*
 * The step harness: one process is stopped for ever at every machine instruction of an operation,
 * and a survivor must find everything in order.
 *
 *   world.c   a scenario: the operations of a kind, what they do
 *   fill.c    a segment in a known state
 *   calls.c   C functions that no verb calls
 *   dump.c    what a segment holds, as text
 *   step.c    runs one operation in a victim under ptrace and hands out each image it leaves
 *   stores.c  the same by stores and system calls, many times faster, for whoever is beside a
 *             victim
 *   memo.c    what has been found in order is not looked at again
 *   expect.c  clean runs, in which nobody is killed in the middle
 *   survive.c lets a survivor into an image: sweep, fsck, every operation, compared with those
 *   main.c    the loops and the table
 *
 * The oracle is differential and knows no kind: an operation over n inputs may have taken effect
 * for any prefix 0..n of them (n = 1: wholly or not at all). For each prefix a clean run gives the
 * expected contents, and the expected answer of every operation tried next. A recovered image must
 * equal one of these, in contents and in every answer.
 */
#ifndef CRASH_H
#define CRASH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ipk/kind.h"
#include "ipk/segment.h"
#include "ipk/type.h"
#include "ipk/view.h"
#include "segment/segment.h"

#define MAX_INPUTS 3
#define MAX_OPS 48

/* An object to be broken: kind, element type and the values that operations take. */
struct world {
	const struct ipk_kind *kind; /* NULL: the segment's own operations */
	const char *label;
	const char *type;     /* --type, or NULL */
	const char *cap;      /* --cap, or NULL */
	const char *value[4]; /* texts of the element type */
	bool again;           /* of a kind that has been looked at with another type */
};

enum fill { FILL_EMPTY, FILL_SOME, FILL_FULL, FILL_WRAPPED, FILLS };
extern const char *const fill_name[FILLS];

/*
 * C functions in turn on the kind's handle: what a verb does not do, since the thread that called
 * keeps what it got. Whoever ran some of them dies.
 */
struct calls {
	const char *kind, *name;
	unsigned n;
	/* Those from..to-1; what the first said. */
	int (*run)(void *handle, unsigned from, unsigned to);
	/* What is there when the caller dies after that many of them is as if it had never come. */
	unsigned undone;
	int told; /* what the next to call the first is told when he dies after the first; or 0 */
	/* So many the first takes, or the second gives back, one by one: others find them gone. */
	unsigned several;
};
extern const struct calls calls[]; /* ends with kind NULL */
int queue_push_many(void *q, unsigned from, unsigned to);
int queue_pop_many(void *q, unsigned from, unsigned to);

/* One operation as it is tried: a verb of the kind, one of the segment's own, or C functions. */
struct trial {
	char name[48];
	const struct ipk_op *op; /* or NULL */
	int (*own)(const struct world *w, struct ipk_segment *seg, void *handle);
	const struct calls *calls;
	const char *key; /* instead of the usual one */
	bool hold;       /* as if for a command */
	bool flags;      /* with all flags that the verb has */
	bool stops;      /* before it acknowledges what it has given out; while it holds */
	unsigned inputs; /* values it takes, items it asks for, functions; 1..MAX_INPUTS */
};

/* What one run answered and left. */
struct answer {
	int r;
	struct ipk_buf out; /* what it emitted */
};

/* Fills trials[] with what can be tried in w; returns how many. */
unsigned world_trials(const struct world *w, struct trial trials[MAX_OPS]);
/* An object of the world's kind, type and capacity. */
int world_new_object(struct ipk_segment *seg, const struct world *w, const char *name);
/* Does the kind take this option at creation? */
bool world_has_param(const struct ipk_kind *kind, const char *name);
/* How many of enum fill have a meaning. */
unsigned world_states(const struct world *w);
/*
 * Creates segment and object at $IPK_DIR/name in the given state. 0, 1 if the state has no meaning.
 */
int world_create(const struct world *w, enum fill fill, const char *name);
/*
 * Runs a trial on an attached handle with only the first n inputs; timeout as in struct ipk_call.
 */
int world_run(const struct world *w, const struct trial *t, unsigned n, struct ipk_segment *seg,
	      void *handle, i64 timeout, struct answer *ret);
/* The type that text says, or NULL. Each is parsed once, and kept. */
const struct ipk_type *type_of(const char *text);
/* Contents of the whole segment as text: every object, its items and value; positions left out. */
int world_dump(const char *name, struct ipk_buf *out);
int world_attach(const struct world *w, struct ipk_segment *seg, void **ret_handle);
void world_detach(const struct world *w, void *handle);

/* A segment file's bytes. */
struct image {
	uint8_t *data;
	size_t size;
	uint64_t hash;
	bool done; /* taken after the operation had returned */
};
void image_read(const char *name, struct image *ret);
/* Writes the image as $IPK_DIR/name.ipk; dead: marks live words as the kernel does for the dead. */
void image_write(const char *name, const struct image *image, bool dead);
void image_free(struct image *image);
/* A hash of all that can matter to whoever comes after everybody in the image has died. */
uint64_t image_key(const struct image *image);
/* The page of a slot as it lies in a segment's bytes, or NULL; how many slots there are. */
struct ipk_participant *participant_in(uint8_t *data, size_t size, u64 slot);
u64 slots_in(const uint8_t *data);

/* A segment file's bytes as others change them. */
struct follow {
	uint8_t *p, *shadow; /* what is there; what was seen last */
	size_t size;
	int fd;
};
void follow_start(struct follow *m, const char *name);
/*
 * The file may have grown: true if so, or at first, and then all of the new part is unlike shadow.
 */
bool follow_size(struct follow *m);
void follow_end(struct follow *m);

struct images {
	struct image *v;
	size_t n, cap;
	uint64_t instructions;
};
void images_free(struct images *all);
/* Copies data, unless it is there already. */
void images_add(struct images *all, const uint8_t *data, size_t size, bool done);

/*
 * Runs fn(arg) in a child on the segment called name, instruction by instruction, and collects each
 * distinct image that the file takes on. setup(arg) runs in the child before the first step.
 * Returns fn's result, or -ECHILD when the child died by itself.
 */
struct victim {
	int (*setup)(struct victim *v);
	int (*run)(struct victim *v);
	const char *name;
	const struct world *world;
	const struct trial *trial;
	struct ipk_segment *seg;
	void *handle;
};
int step_all(struct victim *v, struct images *ret);
/* Where $IPK_CRASH_CPU says: victims follow. */
void step_pin(void);

/*
 * The same images in a fraction of the time: a segment changes by stores and by system calls alone,
 * so it is looked at after each of these. The mappings are write-protected: a store faults, is let
 * through by itself (one iteration of a repeated instruction), and is over before the next.
 * instructions counts those.
 */
int stores_all(struct victim *v, struct images *ret);

/* In the process whose stores they are: seen() is called after each until stores_end(). */
void stores_begin(void (*seen)(void *arg), void *arg);
void stores_end(void);

/*
 * What may be found: the first tk inputs of trial t took effect and, with a second trial u, the
 * first ul of its own: before these, after them or between them.
 */
struct outcome {
	unsigned tk, ul;
	char *contents;
	struct answer second; /* what u answered */
	struct answer next[MAX_OPS];
	char *after[MAX_OPS];
};

struct expected {
	unsigned n;
	uint64_t id; /* no two are the same */
	struct outcome v[5 * (MAX_INPUTS + 1) * (MAX_INPUTS + 1)];
	char why[600]; /* what is wrong with them already */
};

/* From clean runs on the image start; u may be NULL. Outcomes with equal contents are kept once. */
void expect(const struct world *w, const struct image *start, const struct trial *t,
	    const struct trial *u, const struct trial trials[], unsigned ntrials,
	    struct expected *ret);
void expected_free(struct expected *e, unsigned ntrials);

/* What is known of an image: bounds on how far each trial got, and u's answer if it ended. */
struct known {
	unsigned tk_min, ul_min;
	const struct answer *second;
	/* A recoverer died as well: where the sweep leaves what an earlier one left, the operations
	 * that were tried then are not tried again. */
	bool twice;
};

bool same_answer(const struct answer *a, const struct answer *b);
/* world_dump() of name, to be freed, or NULL. */
char *dump_text(const char *name);
/* Runs trial t on segment "s" as it lies in the file, with n inputs; maybe among strangers. */
int run_on(const struct world *w, const struct trial *t, unsigned n, bool strangers,
	   struct answer *ret);

/* Keys of what was found in order. Before the first fork: memo_open(). */
void memo_open(void);
bool memo_has(uint64_t key);
void memo_put(uint64_t key);

/* Lets a survivor into the image, in a child with a deadline. 0, or 1 with the reason in why. */
int survive(const struct world *w, const struct image *image, const struct expected *e,
	    const struct known *known, const struct trial trials[], unsigned ntrials, char *why,
	    size_t size);

/*
 * A second process runs u beside a victim that stopped for ever in the state of image first, up to
 * its own change number j; then the victim dies and the second goes on to its end.
 * 0, 1 when u gets to fewer than j changes, -1 with the reason in why.
 */
int pair_run(const struct world *w, const struct image *first, const struct trial *u, unsigned j,
	     struct answer *ret_second, struct image *ret_left, char *why, size_t size);

extern const char *crash_dir; /* $IPK_DIR */

#endif
