/* SPDX-License-Identifier: MIT */
/*
 * For tests of one kind with several processes: included behind the struct stage that they share,
 * which STAGED tests find zeroed.
 */
#ifndef TEST_FIXTURE_STAGE_H
#define TEST_FIXTURE_STAGE_H

#include "fixture_one.h"

static struct stage *stage;

static inline int stage_setup(void **state)
{
	stage = shared(sizeof(*stage));
	return setup(state);
}

static inline int stage_teardown(void **state)
{
	munmap(stage, sizeof(*stage));
	return teardown(state);
}

#define STAGED(f) cmocka_unit_test_setup_teardown(f, stage_setup, stage_teardown)

#endif
