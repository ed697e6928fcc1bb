/* SPDX-License-Identifier: MIT */
/* What tests of reader-writer locks share. */
#ifndef TEST_FIXTURE_RWLOCK_H
#define TEST_FIXTURE_RWLOCK_H

#include "fixture_one.h"

#include "ipk/rwlock.h"
#include "kinds/rwlock.h"

static inline struct ipk_rwlock *open_lock(struct ipk_segment *in)
{
	struct ipk_rwlock *l = NULL;
	struct ipk_error err = {0};

	if (ipk_rwlock_open(in, "x", &l, &err) < 0)
		fprintf(stderr, "open: %s\n", err.text);
	return l;
}

/* A writer waits for the readers to leave. */
static inline bool is_claimed(struct ipk_rwlock *l)
{
	u64 word = ipk_ld(&l->s.body->word, seq_cst);

	return ipk_mutex_owner(word) && word & IPK_MTX_SHARED;
}

static inline struct ipk_rwlock *make(u64 cap)
{
	struct ipk_error err = {0};
	struct ipk_rwlock *l;

	if (ipk_rwlock_create(seg, "x", cap, &err) < 0)
		fail_msg("create: %s", err.text);
	l = open_lock(seg);
	assert_non_null(l);
	return l;
}

#endif
