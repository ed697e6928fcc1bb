/* SPDX-License-Identifier: MIT */
/*
 * What the tests of queues and of rings share: a segment of their own, processes that die,
 * findings.
 */
#ifndef TEST_FIXTURE_VALUES_H
#define TEST_FIXTURE_VALUES_H

#include "kinds/fixture_kind.h"

#define SEG "s"

static inline struct ipk_segment *make_segment(uint64_t max)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_segment *seg = NULL;
	struct ipk_error err = {0};

	options.max = max;
	if (ipk_segment_create(SEG, &options, &seg, &err) != 0)
		fail_msg("create: %s", err.text);
	return seg;
}

/* A process whose child part ends by kill_self(), with everything that it holds. */
static inline void assert_killed(pid_t pid)
{
	int status = join_child(pid);

	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static inline void __attribute__((noreturn)) kill_self(void)
{
	kill(getpid(), SIGKILL);
	_exit(97);
}

static inline void assert_object_sound(const char *name)
{
	struct findings f = findings_of(SEG, name);

	if (f.n)
		fail_msg("check: %s", f.last);
}

#endif
