/* SPDX-License-Identifier: MIT */
/* Roles of the soak: messages other than a queue's. */
#include "ipk/channel.h"
#include "ipk/future.h"
#include "ipk/ring.h"
#include "ipk/stream.h"
#include "soak.h"

static void cannot_open(const char *what)
{
	soak_violation("the %s cannot be opened", what);
	_exit(1);
}

/* Not the caller's turn. */
static void yield_turn(void)
{
	usleep(500);
}

/* ---- ring: the roles pass on; what was acknowledged comes once, in order, again only when marked
 * --- */

static int ring_create(struct ipk_segment *seg)
{
	struct ipk_ring_options options = IPK_RING_OPTIONS_INIT;

	options.cap = 1024;
	return ipk_ring_create(seg, "r", &options, NULL);
}

static struct ipk_ring *ring_open(struct ipk_segment *seg)
{
	struct ipk_ring *ring;

	if (ipk_ring_open(seg, "r", NULL, &ring, NULL) != 0)
		cannot_open("ring");
	return ring;
}

static void ring_writer(unsigned number)
{
	struct ipk_ring *ring = ring_open(soak_attach());

	(void)number;
	while (!soak_stop()) {
		uint64_t id, text[8];
		int r = ipk_ring_claim(ring, IPK_RING_PRODUCER, NULL);

		if (r == -EBUSY) {
			yield_turn();
			continue;
		}
		if (!soak_answered("claim", r))
			continue;
		id = ++ledger->ring.next;
		if (id >= MESSAGES)
			break;
		for (unsigned i = 0; i < 8; i++)
			text[i] = id;
		do
			r = ipk_ring_push(ring, text, 8 * (1 + id % 8), SOAK_WAIT);
		while (!soak_stop() && (r == -EAGAIN || r == -ETIMEDOUT));
		if (soak_answered("ring push", r))
			ledger->ring.sent[id] = 1;
	}
}

static void read_message(const struct ipk_ring_message *m)
{
	uint64_t text[8] = {0};

	if (m->len < 8 || m->len > sizeof(text)) {
		soak_violation("a message of %zu bytes in the ring", m->len);
		return;
	}
	memcpy(text, m->data, m->len);
	for (unsigned i = 1; i < m->len / 8; i++)
		if (text[i] != text[0])
			soak_violation("a torn message in the ring");
	if (text[0] == 0 || text[0] > ledger->ring.next || text[0] >= MESSAGES) {
		soak_violation("a message that nobody pushed");
		return;
	}
	if (text[0] <= ledger->ring_released || text[0] < ledger->ring_seen)
		soak_violation("a message of the ring comes late, or again");
	if (text[0] == ledger->ring_seen && !m->redelivered)
		soak_violation("a message of the ring comes again without a mark");
	ledger->ring.got[text[0]] = 1;
	ledger->ring_seen = text[0];
}

static bool ring_take(struct ipk_ring *ring, int64_t deadline)
{
	struct ipk_ring_message m;
	int r = ipk_ring_peek(ring, &m, deadline);

	if (!soak_answered("peek", r))
		return false;
	read_message(&m);
	soak_linger();
	if (soak_answered("release", ipk_ring_release(ring, &m)))
		ledger->ring_released = ledger->ring_seen;
	return true;
}

static void ring_reader(unsigned number)
{
	struct ipk_ring *ring = ring_open(soak_attach());

	(void)number;
	while (!soak_stop()) {
		int r = ipk_ring_claim(ring, IPK_RING_CONSUMER, NULL);

		if (r == -EBUSY)
			yield_turn();
		else if (soak_answered("claim", r))
			ring_take(ring, SOAK_WAIT);
	}
}

/* How many were acknowledged, and of these how many nobody got. */
static void count_post(const struct post *p, uint64_t *ret_sent, uint64_t *ret_lost)
{
	*ret_sent = *ret_lost = 0;
	for (uint64_t i = 0; i < MESSAGES && i <= p->next; i++) {
		*ret_sent += p->sent[i];
		*ret_lost += p->sent[i] && !p->got[i];
	}
}

static bool ring_check(char *text, size_t size)
{
	struct ipk_segment *seg = soak_attach();
	struct ipk_ring *ring = ring_open(seg);
	uint64_t sent, lost;

	while (ring_take(ring, IPK_NOWAIT))
		;
	ipk_ring_close(ring);
	ipk_segment_close(seg);
	count_post(&ledger->ring, &sent, &lost);
	snprintf(text, size, "%llu pushed, %llu lost", (unsigned long long)sent,
		 (unsigned long long)lost);
	return lost == 0 && sent > 0;
}

static void ring_remove(struct ipk_segment *seg)
{
	ipk_object_remove(seg, "r", NULL);
}

/* ---- stream: each name gets what was acknowledged once, all names the same, in the log's order
 * ---- */

static int stream_create(struct ipk_segment *seg)
{
	struct ipk_stream_options options = {.type = "u64", .cap = 64, .policy = IPK_STREAM_BLOCK};
	struct ipk_stream_sub *sub;
	struct ipk_stream *s;
	int r = ipk_stream_create(seg, "s", &options, NULL);

	if (r != 0 || (r = ipk_stream_open(seg, "s", NULL, &s, NULL)) != 0)
		return r;
	/* Names are there before the first record. */
	for (unsigned i = 0; r == 0 && i < READERS; i++) {
		r = ipk_stream_subscribe(s, i ? "s1" : "s0", IPK_STREAM_FROM_START, &sub, NULL);
		if (r == 0)
			ipk_stream_unsubscribe(sub);
	}
	ipk_stream_close(s);
	return r;
}

static struct ipk_stream *stream_open(struct ipk_segment *seg)
{
	struct ipk_stream *s;

	if (ipk_stream_open(seg, "s", NULL, &s, NULL) != 0)
		cannot_open("stream");
	return s;
}

static void emitter(unsigned number)
{
	struct ipk_stream *s = stream_open(soak_attach());

	(void)number;
	while (!soak_stop()) {
		uint64_t id = __atomic_add_fetch(&ledger->stream.next, 1, __ATOMIC_RELAXED);
		int r;

		if (id >= MESSAGES)
			break;
		do
			r = ipk_stream_emit(s, &id, sizeof(id), SOAK_WAIT);
		while (!soak_stop() && (r == -EAGAIN || r == -ETIMEDOUT));
		if (soak_answered("emit", r))
			ledger->stream.sent[id] = 1;
	}
}

static void read_record(unsigned number, bool first, uint64_t pos, uint64_t id)
{
	struct place *at = &ledger->place[number];
	uint64_t was;

	if (pos >= MESSAGES || id >= MESSAGES || id == 0) {
		soak_violation("a record that nobody emitted");
		return;
	}
	/* Who died may have acknowledged what it had read and not said so here. */
	if (pos != at->seen && !(first && pos == at->acked))
		soak_violation("record %llu where %llu is next", (unsigned long long)pos,
			       (unsigned long long)at->seen);
	was = __atomic_exchange_n(&ledger->record[pos], id, __ATOMIC_SEQ_CST);
	if (was && was != id)
		soak_violation("a record is not the same for all");
	if (ledger->record_at[id] && ledger->record_at[id] != pos + 1)
		soak_violation("a record is in the log twice");
	ledger->record_at[id] = pos + 1;
	__atomic_fetch_or(&ledger->stream.got[id], (uint8_t)(1u << number), __ATOMIC_SEQ_CST);
	at->seen = pos + 1;
}

static bool stream_take(struct ipk_stream_sub *sub, unsigned number, bool first, int64_t deadline)
{
	struct ipk_stream_item item;
	uint64_t id;

	if (!soak_answered("next", ipk_stream_next(sub, &id, sizeof(id), &item, deadline)))
		return false;
	if (item.lost)
		soak_violation("records were dropped that a name had not read");
	read_record(number, first, item.pos, id);
	soak_linger();
	if (soak_answered("ack", ipk_stream_ack(sub)))
		ledger->place[number].acked = item.pos + 1;
	return true;
}

static struct ipk_stream_sub *subscribe(struct ipk_stream *s, unsigned number)
{
	struct ipk_stream_sub *sub;

	if (ipk_stream_subscribe(s, number ? "s1" : "s0", 0, &sub, NULL) != 0)
		cannot_open("subscription");
	return sub;
}

static void subscriber(unsigned number)
{
	struct ipk_stream_sub *sub = subscribe(stream_open(soak_attach()), number);
	bool first = true;

	while (!soak_stop())
		first = !stream_take(sub, number, first, SOAK_WAIT) && first;
}

static bool stream_check(char *text, size_t size)
{
	struct ipk_segment *seg = soak_attach();
	struct ipk_stream *s = stream_open(seg);
	uint64_t sent = 0, lost = 0;

	for (unsigned i = 0; i < READERS; i++) {
		struct ipk_stream_sub *sub = subscribe(s, i);

		for (bool first = true; stream_take(sub, i, first, IPK_NOWAIT); first = false)
			;
		ipk_stream_unsubscribe(sub);
	}
	ipk_stream_close(s);
	ipk_segment_close(seg);
	for (uint64_t i = 1; i < MESSAGES && i <= ledger->stream.next; i++) {
		sent += ledger->stream.sent[i];
		lost += ledger->stream.sent[i] && ledger->stream.got[i] != (1 << READERS) - 1;
	}
	snprintf(text, size, "%llu emitted, %llu not read by all", (unsigned long long)sent,
		 (unsigned long long)lost);
	return lost == 0 && sent > 0;
}

static void stream_remove(struct ipk_segment *seg)
{
	ipk_object_remove(seg, "s", NULL);
}

/* ---- channel: never twice, and gone only with a receiver that died -------------------------- */

static int channel_create(struct ipk_segment *seg)
{
	int r = ipk_channel_create(seg, "c", "u64", 4, NULL);

	return r != 0 ? r : ipk_channel_create(seg, "d", "u64", 0, NULL);
}

/* A buffered one, and one of rendezvous. */
static void channels_open(struct ipk_segment *seg, struct ipk_channel *ret[2])
{
	if (ipk_channel_open(seg, "c", NULL, &ret[0], NULL) != 0 ||
	    ipk_channel_open(seg, "d", NULL, &ret[1], NULL) != 0)
		cannot_open("channel");
}

static void sender(unsigned number)
{
	struct ipk_channel *c[2];

	channels_open(soak_attach(), c);
	while (!soak_stop()) {
		uint64_t id = __atomic_add_fetch(&ledger->channel.next, 1, __ATOMIC_RELAXED);

		if (id >= MESSAGES)
			break;
		if (soak_answered("send", ipk_channel_send(c[number], &id, sizeof(id), SOAK_WAIT)))
			ledger->channel.sent[id] = 1;
	}
}

static bool channel_take(struct ipk_channel *c[2], int64_t deadline)
{
	uint64_t id[2];
	struct ipk_channel_case cases[2] = {{.channel = c[0], .buf = &id[0], .size = 8},
					    {.channel = c[1], .buf = &id[1], .size = 8}};
	unsigned which;

	if (!soak_answered("select", ipk_channel_select(cases, 2, &which, deadline)))
		return false;
	if (id[which] == 0 || id[which] >= MESSAGES)
		soak_violation("a value that nobody sent");
	else if (__atomic_fetch_add(&ledger->channel.got[id[which]], 1, __ATOMIC_SEQ_CST) != 0)
		soak_violation("a value is received twice");
	return true;
}

static void receiver(unsigned number)
{
	struct ipk_channel *c[2];

	(void)number;
	__atomic_fetch_add(&ledger->receivers, 1, __ATOMIC_SEQ_CST);
	channels_open(soak_attach(), c);
	while (!soak_stop())
		channel_take(c, SOAK_WAIT);
}

static bool channel_check(char *text, size_t size)
{
	struct ipk_segment *seg = soak_attach();
	struct ipk_channel *c[2];
	uint64_t sent, lost;

	channels_open(seg, c);
	while (channel_take(c, IPK_NOWAIT))
		;
	ipk_channel_close(c[0]);
	ipk_channel_close(c[1]);
	ipk_segment_close(seg);
	count_post(&ledger->channel, &sent, &lost);
	snprintf(text, size, "%llu sent, %llu lost with their receivers, of which %u died",
		 (unsigned long long)sent, (unsigned long long)lost, ledger->receivers - READERS);
	return lost <= ledger->receivers - READERS && sent > 0;
}

static void channel_remove(struct ipk_segment *seg)
{
	ipk_object_remove(seg, "c", NULL);
	ipk_object_remove(seg, "d", NULL);
}

/* ---- future: a value that somebody set while it was his, never an older one, and nobody waits in
 * vain */

static int future_create(struct ipk_segment *seg)
{
	return ipk_future_create(seg, "f", "u64", NULL);
}

static struct ipk_future *future_open(struct ipk_segment *seg)
{
	struct ipk_future *f;

	if (ipk_future_open(seg, "f", NULL, &f, NULL) != 0)
		cannot_open("future");
	return f;
}

/*
 * Once in a while who awaits it is to run before it is taken back (it may be dead as well): else on
 * a busy machine nobody ever sees one.
 */
static void let_it_be_seen(void)
{
	for (unsigned n = 10; n && ledger->awaited < ledger->promised && !soak_stop(); n--)
		yield_turn();
}

static void promiser(unsigned number)
{
	struct ipk_future *f = future_open(soak_attach());

	(void)number;
	while (!soak_stop()) {
		int r = ipk_future_claim(f);
		uint64_t id;

		if (r == -EEXIST || r == -EOWNERDEAD) {
			if (ledger->promised % 64 == 0)
				let_it_be_seen();
			r = ipk_future_reset(f);
			if (r != -EBUSY)
				soak_answered("reset", r);
		} else if (r == -EBUSY) {
			yield_turn();
		} else if (soak_answered("claim", r)) {
			id = ++ledger->promised;
			soak_linger();
			soak_answered("set", ipk_future_set(f, &id, sizeof(id)));
		}
	}
}

static void awaiter(unsigned number)
{
	struct ipk_future *f = future_open(soak_attach());

	(void)number;
	while (!soak_stop()) {
		uint64_t id = 0;
		int r = ipk_future_await(f, SOAK_WAIT);

		if (r == -EOWNERDEAD || !soak_answered("await", r))
			continue;
		r = ipk_future_get(f, &id, sizeof(id), NULL);
		if (r == -EOWNERDEAD || !soak_answered("get", r))
			continue;
		if (id < ledger->awaited || id > ledger->promised)
			soak_violation("a future has %llu after %llu", (unsigned long long)id,
				       (unsigned long long)ledger->awaited);
		ledger->awaited = id;
		ledger->awaits++;
	}
}

static bool future_check(char *text, size_t size)
{
	snprintf(text, size, "%llu promised, %llu times awaited",
		 (unsigned long long)ledger->promised, (unsigned long long)ledger->awaits);
	return ledger->promised > 0 && ledger->awaits > 0;
}

static void future_remove(struct ipk_segment *seg)
{
	ipk_object_remove(seg, "f", NULL);
}

const struct role message_roles[] = {
	{"ring writer", 2, ring_create, ring_writer, ring_check, ring_remove},
	{"ring reader", 2, NULL, ring_reader, NULL, NULL},
	{"emitter", 2, stream_create, emitter, stream_check, stream_remove},
	{"subscriber", READERS, NULL, subscriber, NULL, NULL},
	{"sender", 2, channel_create, sender, channel_check, channel_remove},
	{"receiver", READERS, NULL, receiver, NULL, NULL},
	{"promiser", 2, future_create, promiser, future_check, future_remove},
	{"awaiter", 1, NULL, awaiter, NULL, NULL},
	{0},
};
