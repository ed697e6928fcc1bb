/* SPDX-License-Identifier: MIT */
/*
 * A private $IPK_DIR, children that die with the test, an object of a kind of our own, and waiting
 * for conditions. Limits are there to end a hang, not to measure.
 */
#ifndef TEST_SEGMENT_FIXTURE_H
#define TEST_SEGMENT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/futex.h"
#include "ipk/view.h"
#include "private_dir.h"
#include "segment/registry.h"

#define LIMIT_NS INT64_C(60000000000)
#define TEST_KIND 60000u

/* A test of a trace that broke an earlier design: named after it. All of them: tests/README.md. */
#define TRACE(id, f) TRACE_IN(id, f, dir_setup, dir_teardown)
#define TRACE_IN(id, f, setup, teardown)                                                           \
	{                                                                                          \
		"trace_" #id "_" #f, f, setup, teardown, NULL                                      \
	}

/* Naps until cond holds; fails the test after the limit. */
#define await(cond)                                                                                \
	do {                                                                                       \
		i64 end_ = ipk_now() + LIMIT_NS;                                                   \
		while (!(cond)) {                                                                  \
			if (ipk_now() > end_)                                                      \
				fail_msg("gave up waiting for: %s", #cond);                        \
			nap();                                                                     \
		}                                                                                  \
	} while (0)

/* In a child: a broken expectation ends it with a status that the parent sees. */
#define must(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: child expected: %s\n", __FILE__, __LINE__, #cond); \
			_exit(99);                                                                 \
		}                                                                                  \
	} while (0)

/* The same, with the error's name. */
#define must_be(r, cond)                                                                           \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__,                         \
				ipk_strerror((int)(r)));                                           \
			_exit(99);                                                                 \
		}                                                                                  \
	} while (0)

static inline void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

/* For a child that the test's end would not kill: it gives up when the test has. */
static inline void nap_until(u32 *flag)
{
	i64 end = ipk_now() + 2 * LIMIT_NS;

	while (!ipk_ld(flag, acquire) && ipk_now() < end)
		nap();
}

/* Memory that parent and children share, zeroed; not a segment. */
static inline void *shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	return p;
}

/* Runs fn in a child that is killed when the test ends. */
static inline pid_t spawn(void (*fn)(void *arg), void *arg)
{
	pid_t parent = getpid(), pid = fork();

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(98);
	fn(arg);
	_exit(0);
}

/* The same, once it has said that it is there. */
static inline pid_t spawn_ready(void (*fn)(void *arg), void *arg, u32 *there)
{
	pid_t pid;

	ipk_st(there, 0u, seq_cst);
	pid = spawn(fn, arg);
	await(ipk_ld(there, seq_cst));
	return pid;
}

static inline int join_child(pid_t pid)
{
	int status;

	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* It stops where it is, or has stopped by itself. */
static inline void stop_child(pid_t pid)
{
	int status;

	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	if (!WIFSTOPPED(status))
		fail_msg("a child ended instead of stopping: %x", (unsigned)status);
}

static inline void kill_child(pid_t pid)
{
	int status;

	assert_true(pid > 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	status = join_child(pid);
	/* It may have ended before, but never by a broken expectation. */
	assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0);
}

static inline void assert_ended_well(int status)
{
	if (WIFSIGNALED(status))
		fail_msg("a child was ended by signal %d", WTERMSIG(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static inline struct ipk_segment *open_segment(const char *name)
{
	struct ipk_segment *seg = NULL;
	struct ipk_error err = {0};
	int r = ipk_segment_open(name, IPK_WRITE, &seg, &err);

	if (r < 0)
		fprintf(stderr, "open %s: %s\n", name, err.text);
	return r < 0 ? NULL : seg;
}

static inline void create_segment(const char *name)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_error err = {0};

	options.max = UINT64_C(64) << 20;
	if (ipk_segment_create(name, &options, NULL, &err) < 0)
		fail_msg("create %s: %s", name, err.text);
}

static inline struct ipk_self *self_of(struct ipk_segment *seg)
{
	int error = 0;

	return ipk_self(seg, &error);
}

/* An object of our kind with a zeroed body of size bytes. */
static inline void create_object(struct ipk_segment *seg, const char *name, u64 size)
{
	struct ipk_obj_spec spec = {
		.name = name, .kind = TEST_KIND, .version = 1, .type = "u8", .body_size = size};
	struct ipk_error err = {0};

	if (ipk_obj_create(seg, &spec, NULL, &err) < 0)
		fail_msg("create %s: %s", name, err.text);
}

/* Many tests end with handles open, on purpose: kept where a leak checker can see them. */
static void *open_handles[4096];

static inline struct ipk_obj *open_object(struct ipk_segment *seg, const char *name)
{
	static unsigned n;
	struct ipk_error err = {0};
	void *handle = NULL;

	if (ipk_obj_open(seg, name, TEST_KIND, 1, 8, sizeof(struct ipk_obj), &handle, &err) < 0)
		fprintf(stderr, "open object %s: %s\n", name, err.text);
	open_handles[n++ % IPK_ARRAY_LEN(open_handles)] = handle;
	return handle;
}

static inline void *body_of(struct ipk_obj *obj)
{
	return obj->seg->base + obj->body;
}

/* Participants that live and that are dead, as anybody sees them from outside. */
static inline struct ipk_segment_info info_of(const char *name)
{
	struct ipk_segment_info info;
	struct ipk_view *view;

	memset(&info, 0, sizeof(info));
	if (ipk_view_open(name, &view, NULL) < 0)
		return info;
	if (ipk_view_info(view, &info) < 0)
		memset(&info, 0xff, sizeof(info));
	ipk_view_close(view);
	return info;
}

static inline u32 seeded(u64 *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (u32)(*seed >> 33);
}

#endif
