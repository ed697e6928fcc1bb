/* SPDX-License-Identifier: MIT */
/* What the tests of channels share. */
#ifndef TEST_CHANNEL_TEST_H
#define TEST_CHANNEL_TEST_H

#include "fixture_one.h"

#include "ipk/channel.h"
#include "kinds/channel.h"

static inline struct ipk_channel *open_channel(struct ipk_segment *in, const char *name)
{
	struct ipk_channel *ch = NULL;
	struct ipk_error err = {0};

	if (ipk_channel_open(in, name, NULL, &ch, &err) < 0)
		fprintf(stderr, "open %s: %s\n", name, err.text);
	return ch;
}

static inline struct ipk_channel *make_named(const char *name, const char *type, u64 cap)
{
	struct ipk_channel *ch;
	struct ipk_error err = {0};

	if (ipk_channel_create(seg, name, type, cap, &err) < 0)
		fail_msg("create: %s", err.text);
	ch = open_channel(seg, name);
	assert_non_null(ch);
	return ch;
}

static inline struct ipk_channel *make(const char *type, u64 cap)
{
	return make_named("x", type, cap);
}

/* A child's own attachment. */
static inline struct ipk_segment *attach_again(unsigned mode)
{
	struct ipk_segment *mine = NULL;

	must(ipk_segment_open("s", mode, &mine, NULL) == 0);
	ipk_wait_backstop = IPK_FOREVER / 2; /* a wake that was lost stays so */
	return mine;
}

static inline struct ipk_channel *open_again(const char *name)
{
	struct ipk_channel *ch = open_channel(attach_again(IPK_WRITE), name);

	must(ch);
	return ch;
}

static inline int send_u64(struct ipk_channel *ch, u64 v, i64 deadline)
{
	return ipk_channel_send(ch, &v, sizeof(v), deadline);
}

static inline int recv_u64(struct ipk_channel *ch, u64 *ret_v, i64 deadline)
{
	return ipk_channel_recv(ch, ret_v, sizeof(*ret_v), NULL, deadline);
}

/* One receives from the channel, the other sends to it. */
static inline struct ipk_channel_case receives(struct ipk_channel *ch, u64 *v)
{
	return (struct ipk_channel_case){.channel = ch, .buf = v, .size = sizeof(*v)};
}

static inline struct ipk_channel_case sends(struct ipk_channel *ch, const u64 *v)
{
	return (struct ipk_channel_case){
		.channel = ch, .send = true, .value = v, .len = sizeof(*v)};
}

/* Nobody waits there, and the checker finds nothing. */
static inline void assert_at_rest(const char *name, const struct ipk_channel *ch)
{
	assert_int_equal(ch->b->first_offer, 0);
	assert_int_equal(ch->b->last_offer, 0);
	assert_int_equal(findings_of("s", name).n, 0);
}

#endif
