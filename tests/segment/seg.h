/* SPDX-License-Identifier: MIT */
/* What the segment layer's tests share: a private $IPK_DIR, a kind, and the checker. */
#ifndef TESTS_SEG_H
#define TESTS_SEG_H

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "private_dir.h"
#include "segment/dir.h"
#include "segment/heap.h"
#include "segment/image.h"
#include "segment/map.h"
#include "segment/registry.h"

#define TEST_KIND 1
#define TEST_VERSION 3

/* The kind: a body that names one block. */
struct test_body {
	u64 block;
	u64 stamp;
};

static int test_free_block(struct ipk_tx *tx, void *arg)
{
	struct test_body *b = arg;
	u64 off = ipk_tx_get(tx, &b->block);

	if (off) {
		ipk_tx_set(tx, &b->block, 0);
		ipk_tx_free(tx, off);
	}
	return 0;
}

static int test_destroy(struct ipk_obj *obj)
{
	int error = 0;
	struct ipk_self *me = ipk_use(obj, &error);

	if (!me)
		return error;
	return ipk_tx_run(me, test_free_block, obj->seg->base + obj->body, IPK_FOREVER, NULL);
}

static const struct ipk_obj_hooks test_hooks = {.destroy = test_destroy};

const struct ipk_obj_hooks *ipk_obj_hooks(u16 kind)
{
	return kind == TEST_KIND ? &test_hooks : NULL;
}

/* A block's ends: what lies between would only be many more steps to look at. */
static inline void test_fill(u8 *p, u64 size)
{
	u64 n = size < 64 ? size : 64;

	memset(p, 0x5a, n);
	memset(p + size - n, 0x5a, n);
}

static inline bool test_filled(const u8 *p, u64 size)
{
	u64 n = size < 64 ? size : 64, i;

	for (i = 0; i < n; i++)
		if (p[i] != 0x5a || p[size - 1 - i] != 0x5a)
			return false;
	return true;
}

static inline int test_create(struct ipk_tx *tx, void *body, u64 body_off, void *arg)
{
	struct test_body *b = body;
	u64 size = *(u64 *)arg;

	(void)body_off;
	b->stamp = size;
	b->block = 0;
	if (size) {
		b->block = ipk_tx_alloc(tx, size, 0);
		if (!b->block)
			return tx->error;
		test_fill(tx->seg->base + b->block, size);
	}
	return 0;
}

/* An object whose block has size bytes (0: none). */
static inline int test_new(struct ipk_segment *seg, const char *name, u64 size,
			   struct ipk_error *err)
{
	struct ipk_obj_spec spec = {.name = name,
				    .kind = TEST_KIND,
				    .version = TEST_VERSION,
				    .type = "u64",
				    .body_size = sizeof(struct test_body),
				    .create = test_create,
				    .arg = &size};

	return ipk_obj_create(seg, &spec, NULL, err);
}

static inline int test_open(struct ipk_segment *seg, const char *name, struct ipk_obj **ret,
			    struct ipk_error *err)
{
	void *p = NULL;
	int r = ipk_obj_open(seg, name, TEST_KIND, TEST_VERSION, sizeof(struct test_body),
			     sizeof(struct ipk_obj), &p, err);

	if (r == 0)
		*ret = p;
	return r;
}

static void test_finding(void *arg, const char *where, const char *what)
{
	(void)arg;
	print_error("%s: %s\n", where, what);
}

/* Blocks that nothing but the objects' headers and their bodies name are findings too. */
static inline int test_claim_body(void *arg, const struct ipk_object_view *o)
{
	struct ipk_image *im = arg;
	struct test_body b;

	if (o->kind != TEST_KIND)
		return 0;
	if (ipk_view_read(o->view, o->body, &b, sizeof(b)) < 0 ||
	    (b.block && ipk_image_claim(im, b.block, b.stamp) != 0))
		ipk_image_finding(im, o->name, "its block is not");
	return 0;
}

static inline void test_claim_bodies(struct ipk_image *im)
{
	u64 off = im->h.zombies, next;
	struct ipk_object_view o;

	ipk_view_objects(im->view, test_claim_body, im);
	for (int i = 0; off && i < 1000; i++, off = next) {
		if (ipk_view_object_at(im->view, off, &o) < 0)
			return;
		test_claim_body(im, &o);
		ipk_object_view_free(&o);
		if (ipk_view_u64(im->view, off + offsetof(struct ipk_object, zombie), &next) < 0)
			return;
	}
}

/* All that must hold; with leaks, also that nothing is lost. Returns the number of findings. */
static inline int test_check(const char *name, bool leaks)
{
	struct ipk_error err = {0};
	struct ipk_view *view;
	struct ipk_image im;
	int n, r = ipk_view_open(name, &view, &err);

	if (r < 0) {
		print_error("%s\n", err.text);
		return -1;
	}
	r = ipk_image_load(view, &im, test_finding, NULL);
	if (r < 0) {
		print_error("image: %s\n", ipk_strerror(r));
		ipk_view_close(view);
		return -1;
	}
	n = ipk_image_check(&im);
	if (leaks) {
		test_claim_bodies(&im);
		n = ipk_image_leaks(&im);
	}
	ipk_image_free(&im);
	ipk_view_close(view);
	return n;
}

static inline struct ipk_segment *test_segment(const char *name, u64 size, u64 max)
{
	struct ipk_segment_options o = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_segment *seg = NULL;
	struct ipk_error err = {0};

	o.size = size;
	o.max = max;
	if (ipk_segment_create(name, &o, &seg, &err) != 0)
		print_error("%s\n", err.text);
	assert_non_null(seg);
	return seg;
}

static inline struct ipk_self *test_self(struct ipk_segment *seg)
{
	int error = 0;
	struct ipk_self *me = ipk_self(seg, &error);

	assert_non_null(me);
	return me;
}

/* A child's verdict: 0 when it ended by itself with 0. */
static inline int test_wait(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static inline u32 test_random(u32 *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 17;
	return *x ^= *x << 5;
}

#endif
