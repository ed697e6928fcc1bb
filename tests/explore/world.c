/* SPDX-License-Identifier: MIT */
/*
 * The segment that is explored. Each actor attaches it by itself, as a process of its own would, in
 * one thread: what the library keeps for each thread is exchanged when another actor goes on. What
 * it allocates comes from a place of ours, which is put back after each run with all the rest.
 */
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "explore.h"
#include "ipk/kind.h"
#include "ipk/view.h"
#include "segment/registry.h"

#define HEAP (4u << 20)
#define NAME "explored"

struct actor world_actor[ACTORS + 1];
bool world_recording;
u64 world_spare;

static u8 heap[HEAP] __attribute__((aligned(64)));
static u8 heap_start[HEAP];
static size_t heap_at, heap_kept;
static u8 *image;
static size_t image_size;

static struct {
	u8 *at;
	size_t size;
	u8 *clean;
	u8 *now[ACTORS + 1], *start[ACTORS + 1];
} tls;

static void die(const char *what, int r, const char *why)
{
	fprintf(stderr, "explore: %s: %s %s\n", what, ipk_strerror(r), why);
	exit(2);
}

/* ---- memory of its own ---------------------------------------------------------------------- */

void *real_alloc(size_t size)
{
	void *p = calloc(1, size);

	if (!p)
		abort();
	return p;
}

static bool ours(const void *p)
{
	return (const u8 *)p >= heap && (const u8 *)p < heap + HEAP;
}

void *explore_malloc(size_t size);
void *explore_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__real_realloc(void *p, size_t size);
char *explore_strdup(const char *s);
void __wrap_free(void *p);
void __real_free(void *p);
int __wrap_fcntl64(int fd, int cmd, ...); /* the linker leads all calls here */
int __real_fcntl64(int fd, int cmd, ...);
void *__wrap_mmap64(void *at, size_t size, int prot, int flags, int fd, off_t off);
void *__real_mmap64(void *at, size_t size, int prot, int flags, int fd, off_t off);
int __wrap_munmap(void *at, size_t size);
int __real_munmap(void *at, size_t size);
int explore_nanosleep(const struct timespec *t, struct timespec *ret_left);

/* Each block has its size before it; nothing is used twice. */
void *explore_malloc(size_t size)
{
	u8 *p = heap + heap_at + 64;

	if (size > HEAP / 4 || heap_at + size + 192 > HEAP)
		abort();
	memcpy(p - 8, &size, 8);
	heap_at += (64 + size + 63) & ~(size_t)63;
	return p;
}

void *explore_calloc(size_t n, size_t size)
{
	void *p = explore_malloc(n * size);

	return memset(p, 0, n * size);
}

/* What is ours may be handed to parts of the library that are not explored. */
void *__wrap_realloc(void *p, size_t size)
{
	size_t old;
	void *q;

	if (!ours(p))
		return __real_realloc(p, size);
	q = explore_malloc(size);
	memcpy(&old, (u8 *)p - 8, 8);
	return memcpy(q, p, old < size ? old : size);
}

char *explore_strdup(const char *s)
{
	size_t n = strlen(s) + 1;

	return memcpy(explore_malloc(n), s, n);
}

void __wrap_free(void *p)
{
	if (!ours(p))
		__real_free(p);
}

/* ---- the system ----------------------------------------------------------------------------- */

/* The locks are the actors' own descriptions'; those of the dead are gone. */
int __wrap_fcntl64(int fd, int cmd, ...)
{
	struct flock *fl;
	va_list ap;

	va_start(ap, cmd);
	fl = va_arg(ap, struct flock *);
	va_end(ap);
	if (world_recording && cmd == F_OFD_GETLK && sched_slot_dead((u32)fl->l_start)) {
		memory_witness(sched_slot_dead((u32)fl->l_start) - 1);
		fl->l_type = F_UNLCK;
		return 0;
	}
	return __real_fcntl64(fd, cmd, fl);
}

/* A page of a handle's own. */
void *__wrap_mmap64(void *at, size_t size, int prot, int flags, int fd, off_t off)
{
	u8 *p;

	if (size != IPK_PAGE || !(flags & MAP_ANONYMOUS) || (flags & MAP_FIXED))
		return __real_mmap64(at, size, prot, flags, fd, off);
	p = explore_calloc(2, IPK_PAGE);
	return p + (-(uintptr_t)p & (IPK_PAGE - 1));
}

int __wrap_munmap(void *at, size_t size)
{
	return ours(at) ? 0 : __real_munmap(at, size);
}

int explore_nanosleep(const struct timespec *t, struct timespec *ret_left)
{
	(void)ret_left;
	sched_tick(t->tv_nsec);
	return 0;
}

/* ---- threads' own memory -------------------------------------------------------------------- */

static int find_tls(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size, (void)arg;
	for (unsigned i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_TLS)
			tls.size = info->dlpi_phdr[i].p_memsz;
	tls.at = info->dlpi_tls_data;
	return 1; /* the program itself comes first: the library is linked into it */
}

static void tls_init(void)
{
	if (tls.at)
		return;
	dl_iterate_phdr(find_tls, NULL);
	if (!tls.at || !tls.size)
		die("thread-local memory", -ENOSYS, "not found");
	tls.clean = real_alloc(tls.size);
	memcpy(tls.clean, tls.at, tls.size);
	for (unsigned t = 0; t <= ACTORS; t++) {
		tls.now[t] = real_alloc(tls.size);
		tls.start[t] = real_alloc(tls.size);
	}
}

void world_tls_save(unsigned t)
{
	memcpy(tls.now[t], tls.at, tls.size);
}

void world_tls_load(unsigned t)
{
	memcpy(tls.at, tls.now[t], tls.size);
}

/* ---- the segment ---------------------------------------------------------------------------- */

static void attach(const struct scenario *s, unsigned t)
{
	struct actor *a = &world_actor[t];
	struct ipk_error err = {0};
	struct ipk_self *me;
	int r = ipk_segment_open(NAME, IPK_READ | IPK_WRITE, &a->seg, &err);

	a->number = t;
	if (r == 0)
		r = s->open(a);
	if (r != 0)
		die(s->name, r, err.text);
	me = s->indirect ? ipk_self(a->seg, &r) : ipk_use(a->handle, &r);
	if (!me)
		die(s->name, r, "cannot be used");
	a->slot = me->slot;
	a->live = ipk_off(a->seg, &me->page->live);
	memory_map[t] = (struct mapping){a->seg->base, a->seg->max};
}

static void take_down(void)
{
	struct stat st;

	if (fstat(world_actor[OBSERVER].seg->fd, &st) != 0)
		abort();
	image_size = (size_t)st.st_size;
	image = real_alloc(image_size);
	memcpy(image, world_actor[OBSERVER].seg->base, image_size);
	heap_kept = heap_at;
	memcpy(heap_start, heap, heap_kept);
	for (unsigned t = 0; t <= ACTORS; t++)
		memcpy(tls.start[t], tls.now[t], tls.size);
}

void world_make(const struct scenario *s)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_segment *seg;
	struct ipk_error err = {0};
	int r;

	tls_init();
	ipk_wait_backstop = INT64_MAX; /* a lost wake-up is one */
	options.size = 256 << 10;
	options.max = 1 << 20;
	ipk_segment_remove(NAME, NULL);
	r = ipk_segment_create(NAME, &options, &seg, &err);
	if (r == 0)
		r = s->create(seg);
	if (r != 0)
		die(s->name, r, err.text);
	ipk_segment_close(seg);
	for (unsigned t = 0; t <= ACTORS; t++) {
		memcpy(tls.at, tls.clean, tls.size);
		attach(s, t);
		world_tls_save(t);
	}
	world_spare = ipk_off(world_actor[OBSERVER].seg,
			      ipk_slot_page(world_actor[OBSERVER].seg, world_actor[OBSERVER].slot));
	for (unsigned t = 0; t <= ACTORS; t++) {
		world_tls_load(t);
		if (s->fill)
			s->fill(&world_actor[t]);
		world_tls_save(t);
	}
	take_down();
	world_recording = true;
}

void world_unmake(void)
{
	world_recording = false;
	for (unsigned t = 0; t <= ACTORS; t++) {
		world_tls_load(t);
		ipk_segment_close(world_actor[t].seg);
	}
	memcpy(tls.at, tls.clean, tls.size);
	ipk_segment_remove(NAME, NULL);
	free(image);
	heap_at = 0;
}

void world_reset(void)
{
	memcpy(heap, heap_start, heap_kept);
	heap_at = heap_kept;
	for (unsigned t = 0; t <= ACTORS; t++)
		memcpy(tls.now[t], tls.start[t], tls.size);
	world_tls_load(OBSERVER);
}

/* A store that nobody told us of would be left. */
void world_verify(void)
{
	if (memcmp(image, world_actor[OBSERVER].seg->base, image_size) != 0)
		die("the segment", -EBADMSG, "has changed behind the explorer's back");
}

/* ---- what the kind's check finds ------------------------------------------------------------ */

struct findings {
	struct ipk_checker checker;
	unsigned n;
	char text[256];
};

static void __attribute__((format(printf, 2, 3)))
finding(struct ipk_checker *c, const char *fmt, ...)
{
	struct findings *f = (struct findings *)(void *)c;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	f->n++;
}

static void no_block(struct ipk_checker *c, uint64_t off, uint64_t size)
{
	(void)c, (void)off, (void)size;
}

const char *world_check(const struct scenario *s)
{
	static struct findings f;
	const struct ipk_kind *kind = ipk_kind_by_name(s->kind);
	struct ipk_object_view o;
	struct ipk_view *view;

	f = (struct findings){.checker = {.finding = finding, .block = no_block}};
	if (!kind || !kind->check)
		return NULL;
	if (ipk_view_open(NAME, &view, NULL) < 0)
		return "cannot be looked at";
	if (ipk_view_object(view, "x", &o, NULL) == 0) {
		kind->check(&o, &f.checker);
		ipk_object_view_free(&o);
	} else {
		finding(&f.checker, "the object cannot be looked at");
	}
	ipk_view_close(view);
	return f.n ? f.text : NULL;
}

/* ---- contents without taking anything out --------------------------------------------------- */

struct text {
	char *buf;
	size_t size, n;
};

static int add_item(void *arg, const struct ipk_item *item)
{
	struct text *t = arg;
	u64 val = 0;

	memcpy(&val, item->data, item->len < 8 ? item->len : 8);
	if (t->n < t->size)
		t->n += (size_t)snprintf(t->buf + t->n, t->size - t->n, "%llu ",
					 (unsigned long long)val);
	return 0;
}

void world_items(struct actor *a, char *buf, size_t size)
{
	struct text text = {.buf = buf, .size = size};
	struct ipk_object_view o;
	struct ipk_view *view;

	(void)a;
	if (ipk_view_open(NAME, &view, NULL) < 0)
		return;
	if (ipk_view_object(view, "x", &o, NULL) == 0) {
		ipk_kind_by_id(o.kind)->items(&o, 0, UINT64_MAX, add_item, &text);
		ipk_object_view_free(&o);
	}
	ipk_view_close(view);
}
