/* SPDX-License-Identifier: MIT */
/*
 * Roles of the soak: bursts through a queue. All of a burst goes in, or nothing; what was acknowledged comes
 * out, and twice only when marked. A popper takes to the ledger: what lies there when it is killed may have
 * been acknowledged, and then never comes again.
 */
#include "ipk/queue.h"
#include "soak.h"

/*
 * A multiple of BURST, so that the end of the array cuts none; and so large that nobody comes around to
 * what another is still taking: a push that finds room for a part of it alone is more than one burst.
 */
#define CAP (1u << 16)

static int create(struct ipk_segment *seg)
{
	return ipk_queue_create(seg, "bursts", "u64", CAP, NULL);
}

static struct ipk_queue *open_bursts(struct ipk_segment *seg)
{
	struct ipk_queue *q;

	if (ipk_queue_open(seg, "bursts", NULL, &q, NULL) != 0) {
		soak_violation("the queue of bursts cannot be opened");
		_exit(1);
	}
	return q;
}

static void burst_pusher(unsigned number)
{
	struct ipk_queue *q = open_bursts(soak_attach());

	(void)number;
	while (!soak_stop()) {
		uint64_t burst = __atomic_fetch_add(&ledger->next_burst, 1, __ATOMIC_RELAXED);
		uint64_t val[BURST];
		struct iovec v[BURST];
		int r;

		if (burst >= BURSTS)
			break;
		while (!soak_stop() && ipk_queue_count(q, NULL) > CAP / 4)
			usleep(1000);
		for (unsigned i = 0; i < BURST; i++) {
			val[i] = 1 + burst * BURST + i;
			v[i] = (struct iovec){&val[i], sizeof(val[i])};
		}
		r = ipk_queue_push_many(q, v, BURST, SOAK_WAIT);
		if (!soak_answered("push_many", r))
			continue;
		if (r != (int)BURST)
			soak_violation("a burst of %d", r);
		ledger->burst_in[burst] = 1;
	}
}

/* redelivered: how often, or -1 where nobody knows. */
static void note(uint64_t val, int redelivered)
{
	uint64_t burst = (val - 1) / BURST;
	uint8_t bit = (uint8_t)(1u << (val - 1) % BURST), before;

	if (val == 0 || burst >= BURSTS) {
		soak_violation("an item that nobody pushed");
		return;
	}
	before = __atomic_fetch_or(&ledger->burst_out[burst], bit, __ATOMIC_RELAXED);
	if (before & bit && redelivered == 0)
		soak_violation("an item of a burst came again without a mark");
	if (redelivered > 0)
		__atomic_fetch_add(&ledger->bursts_again, 1, __ATOMIC_RELAXED);
}

/* What the one before had in its hands. */
static void inherit(uint64_t *inbox)
{
	for (unsigned i = 0; i < BURST_INBOX; i++)
		if (inbox[i])
			note(inbox[i], -1);
	memset(inbox, 0, BURST_INBOX * sizeof(*inbox));
}

static int take(struct ipk_queue *q, uint64_t *inbox, int64_t deadline)
{
	struct ipk_queue_item items[BURST_INBOX];
	int r = ipk_queue_pop_many(q, inbox, BURST_INBOX * sizeof(*inbox), items, BURST_INBOX,
				   deadline);

	for (int i = 0; i < r; i++)
		note(inbox[i], (int)items[i].redelivered);
	memset(inbox, 0, BURST_INBOX * sizeof(*inbox));
	return r;
}

static void burst_popper(unsigned number)
{
	struct ipk_queue *q = open_bursts(soak_attach());
	uint64_t *inbox = ledger->inbox[number];

	inherit(inbox);
	for (;;) {
		int r = take(q, inbox, SOAK_WAIT);

		if (r == -EAGAIN || r == -ETIMEDOUT) {
			if (soak_stop() && ipk_queue_count(q, NULL) == 0)
				return;
			continue;
		}
		if (!soak_answered("pop_many", r))
			return;
	}
}

static bool check(char *text, size_t size)
{
	struct ipk_segment *seg = soak_attach();
	struct ipk_queue *q = open_bursts(seg);
	uint64_t inbox[BURST_INBOX] = {0}, in = 0, lost = 0, cut = 0;

	ipk_segment_sweep(seg);
	for (unsigned i = 0; i < BURST_POPPERS; i++)
		inherit(ledger->inbox[i]);
	while (take(q, inbox, IPK_NOWAIT) > 0)
		;
	ipk_queue_close(q);
	ipk_segment_close(seg);
	for (uint64_t b = 0; b < ledger->next_burst && b < BURSTS; b++) {
		in += ledger->burst_in[b];
		lost += ledger->burst_in[b] && ledger->burst_out[b] != 0xff;
		cut += ledger->burst_out[b] != 0 && ledger->burst_out[b] != 0xff;
	}
	snprintf(text, size, "%llu bursts, %llu items again, %llu lost, %llu cut",
		 (unsigned long long)in, (unsigned long long)ledger->bursts_again,
		 (unsigned long long)lost, (unsigned long long)cut);
	return lost == 0 && cut == 0 && in > 0;
}

static void remove_bursts(struct ipk_segment *seg)
{
	ipk_object_remove(seg, "bursts", NULL);
}

const struct role burst_roles[] = {
	{"burst pusher", 2, create, burst_pusher, check, remove_bursts},
	{"burst popper", BURST_POPPERS, NULL, burst_popper, NULL, NULL},
	{0},
};
