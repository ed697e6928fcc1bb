/* SPDX-License-Identifier: MIT */
/* What the ring's tests share: a segment with one ring, victims, findings. */
#ifndef TEST_KINDS_RING_TEST_H
#define TEST_KINDS_RING_TEST_H

#include "kinds/fixture_values.h"

#include "kinds/ring.h"

static inline struct ipk_ring *open_ring(struct ipk_segment *seg, const char *name)
{
	struct ipk_ring *ring = NULL;
	struct ipk_error err = {0};
	int r = ipk_ring_open(seg, name, NULL, &ring, &err);

	if (r != 0)
		fprintf(stderr, "open %s: %s: %s\n", name, ipk_strerror(r), err.text);
	return ring;
}

/* A ring "r" in a new segment. */
static inline struct ipk_ring *make_ring(const struct ipk_ring_options *options)
{
	struct ipk_segment *seg = make_segment(UINT64_C(64) << 20);
	struct ipk_error err = {0};

	if (ipk_ring_create(seg, "r", options, &err) != 0)
		fail_msg("create r: %s", err.text);
	return open_ring(seg, "r");
}

static inline struct ipk_ring *make_plain(const char *type, uint64_t cap)
{
	return make_ring(&(struct ipk_ring_options){.type = type, .cap = cap});
}

static inline void drop_ring(struct ipk_ring *ring)
{
	struct ipk_segment *seg = ring_handle(ring)->obj.seg;

	ipk_ring_close(ring);
	ipk_segment_close(seg);
	assert_int_equal(ipk_segment_remove(SEG, NULL), 0);
}

/* In a child: the same ring by an attach of its own. */
static inline struct ipk_ring *child_ring(void)
{
	struct ipk_segment *seg = open_segment(SEG);
	struct ipk_ring *ring;

	must(seg);
	ring = open_ring(seg, "r");
	must(ring);
	return ring;
}

static inline int push_text(struct ipk_ring *ring, const char *text)
{
	return ipk_ring_push(ring, text, strlen(text), IPK_NOWAIT);
}

static inline void assert_pops(struct ipk_ring *ring, const char *text)
{
	char buf[256];
	size_t len = 0;

	assert_int_equal(ipk_ring_pop(ring, buf, sizeof(buf), &len, IPK_NOWAIT), 0);
	assert_int_equal(len, strlen(text));
	assert_memory_equal(buf, text, len);
}

static inline int push_u64(struct ipk_ring *ring, uint64_t val)
{
	return ipk_ring_push(ring, &val, sizeof(val), IPK_NOWAIT);
}

/* The value, or the error. */
static inline int64_t pop_u64(struct ipk_ring *ring)
{
	uint64_t val = 0;
	int r = ipk_ring_pop(ring, &val, sizeof(val), NULL, IPK_NOWAIT);

	return r < 0 ? r : (int64_t)val;
}

/* Runs fn in a process of its own that is then killed, with everything it holds. */
static inline void die_in(void (*fn)(struct ipk_ring *ring))
{
	pid_t pid = fork();

	if (pid == 0) {
		fn(child_ring());
		kill_self();
	}
	assert_killed(pid);
}

static inline void assert_sound(void)
{
	assert_object_sound("r");
}

/* The number of those who wait on the ring. */
static inline int one_waiter(void *arg, const struct ipk_participant_info *p)
{
	(void)p;
	++*(u32 *)arg;
	return 0;
}

static inline u32 waiters(void)
{
	struct look l;
	u32 n = 0;

	look(&l, SEG, "r");
	ipk_object_waiters(&l.o, one_waiter, &n);
	look_end(&l);
	return n;
}

#endif
