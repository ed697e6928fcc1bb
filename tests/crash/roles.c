/* SPDX-License-Identifier: MIT */
/* What the soak's workers do, and the law of each role. */
#include "ipk/map.h"
#include "ipk/queue.h"
#include "ipk/semaphore.h"
#include "ipk/set.h"
#include "ipk/stack.h"
#include "soak.h"

/* ---- queue: what was acknowledged is delivered, and twice only when marked ------------------ */

#define LONG_VALUE 200

static int queue_create(struct ipk_segment *seg)
{
	return ipk_queue_create(seg, "q", "bytes", 16, NULL);
}

static struct ipk_queue *queue_open(struct ipk_segment *seg)
{
	struct ipk_queue *q;

	if (ipk_queue_open(seg, "q", NULL, &q, NULL) != 0) {
		soak_violation("the queue cannot be opened");
		_exit(1);
	}
	return q;
}

/* A value names itself in its first 8 bytes and repeats them to its end: a torn one shows. */
static size_t make_value(uint64_t *v, unsigned pusher, uint64_t seq)
{
	size_t words = seq % 7 == 0 ? LONG_VALUE / 8 : 1 + seq % 4;

	for (size_t i = 0; i < words; i++)
		v[i] = (uint64_t)pusher << 32 | seq;
	return words * 8;
}

static void pusher(unsigned number)
{
	struct ipk_queue *q = queue_open(soak_attach());
	uint64_t value[LONG_VALUE / 8];

	while (!soak_stop()) {
		uint64_t seq = ledger->next[number]++;
		size_t len = make_value(value, number, seq);
		int r;

		if (seq >= PER_PUSHER)
			break;
		do
			r = ipk_queue_push(q, value, len, SOAK_WAIT);
		while (!soak_stop() && (r == -ETIMEDOUT || r == -EAGAIN));
		if (soak_answered("push", r))
			ledger->pushed[number][seq] = 1;
	}
}

static void take(const struct ipk_queue_lease *l)
{
	uint64_t value[LONG_VALUE / 8], number, seq;
	uint8_t *seen;

	if (l->len < 8 || l->len % 8 || l->len > sizeof(value)) {
		soak_violation("an item of %llu bytes", (unsigned long long)l->len);
		return;
	}
	memcpy(value, l->data, l->len);
	for (size_t i = 1; i < l->len / 8; i++)
		if (value[i] != value[0])
			soak_violation("a torn item");
	number = value[0] >> 32;
	seq = value[0] & 0xffffffff;
	if (number >= PUSHERS || seq >= PER_PUSHER) {
		soak_violation("an item that nobody pushed");
		return;
	}
	seen = &ledger->seen[number][seq];
	if (*seen == 2)
		soak_violation("an item is delivered again after its acknowledgement");
	if (*seen == 1 && !l->redelivered)
		soak_violation("an item is delivered again without a mark");
	*seen = 1;
	__atomic_fetch_add(l->redelivered ? &ledger->redelivered : &ledger->delivered, 1,
			   __ATOMIC_RELAXED);
}

static void popper(unsigned number)
{
	struct ipk_queue *q = queue_open(soak_attach());
	struct ipk_queue_lease l;

	(void)number;
	for (;;) {
		uint64_t id;
		int r = ipk_queue_lease(q, &l, SOAK_WAIT);

		if (r == -EAGAIN || r == -ETIMEDOUT) {
			if (soak_stop() && ipk_queue_count(q, NULL) == 0)
				return;
			continue;
		}
		if (!soak_answered("lease", r))
			return;
		take(&l);
		soak_linger();
		memcpy(&id, l.data, 8);
		if (soak_answered("ack", ipk_queue_ack(q, &l)))
			ledger->seen[id >> 32][id & 0xffffffff] = 2;
	}
}

/* What pushers put in after the last popper had gone. */
static void take_the_rest(void)
{
	struct ipk_segment *seg = soak_attach();
	struct ipk_queue *q = queue_open(seg);
	struct ipk_queue_lease l;

	ipk_segment_sweep(seg);
	while (ipk_queue_lease(q, &l, IPK_NOWAIT) == 0) {
		take(&l);
		soak_answered("ack", ipk_queue_ack(q, &l));
	}
	ipk_queue_close(q);
	ipk_segment_close(seg);
}

static bool queue_check(char *text, size_t size)
{
	uint64_t pushed = 0, lost = 0;

	take_the_rest();
	for (unsigned p = 0; p < PUSHERS; p++)
		for (uint64_t i = 0; i < PER_PUSHER && i < ledger->next[p]; i++) {
			pushed += ledger->pushed[p][i];
			lost += ledger->pushed[p][i] && !ledger->seen[p][i];
		}
	snprintf(text, size, "%llu pushed, %llu delivered, %llu again, %llu lost",
		 (unsigned long long)pushed, (unsigned long long)ledger->delivered,
		 (unsigned long long)ledger->redelivered, (unsigned long long)lost);
	return lost == 0 && pushed > 0;
}

static void queue_remove(struct ipk_segment *seg)
{
	ipk_object_remove(seg, "q", NULL);
}

/* ---- map: a key has the value that was put last, or the one that was under way -------------- */

static int map_create(struct ipk_segment *seg)
{
	return ipk_map_create(seg, "m", "u64", "u64", 8, NULL);
}

static void putter(unsigned number)
{
	struct ipk_segment *seg = soak_attach();
	struct ipk_map *m;

	if (ipk_map_open(seg, "m", NULL, NULL, &m, NULL) != 0) {
		soak_violation("the map cannot be opened");
		_exit(1);
	}
	while (!soak_stop()) {
		unsigned k = (unsigned)random() % KEYS;
		uint64_t key = (uint64_t)number << 32 | k, value, found = 0;
		size_t len = 0;
		int r = ipk_map_get(m, &key, sizeof(key), &found, sizeof(found), &len);

		if (r == -ENOENT)
			found = 0;
		else if (!soak_answered("get", r))
			continue;
		if (found != ledger->sure[number][k] && found != ledger->maybe[number][k])
			soak_violation("key %u has %llu", k, (unsigned long long)found);
		ledger->sure[number][k] = found;
		value = random() % 4 == 0 ? 0
					  : __atomic_add_fetch(&ledger->puts, 1, __ATOMIC_RELAXED);
		ledger->maybe[number][k] = value;
		r = value ? ipk_map_put(m, &key, sizeof(key), &value, sizeof(value), IPK_FOREVER)
			  : ipk_map_del(m, &key, sizeof(key), IPK_FOREVER);
		if (r != -ENOENT && !soak_answered("put", r))
			continue;
		ledger->sure[number][k] = value;
	}
}

static bool map_check(char *text, size_t size)
{
	struct ipk_segment *seg = soak_attach();
	struct ipk_map *m;
	unsigned bad = 0;

	if (ipk_map_open(seg, "m", NULL, NULL, &m, NULL) != 0)
		return false;
	for (unsigned p = 0; p < PUTTERS; p++)
		for (unsigned k = 0; k < KEYS; k++) {
			uint64_t key = (uint64_t)p << 32 | k, found = 0;
			size_t len = 0;

			ipk_map_get(m, &key, sizeof(key), &found, sizeof(found), &len);
			bad += found != ledger->sure[p][k] && found != ledger->maybe[p][k];
		}
	ipk_map_close(m);
	ipk_segment_close(seg);
	snprintf(text, size, "%llu puts, %u wrong keys", (unsigned long long)ledger->puts, bad);
	return bad == 0 && ledger->puts > 0;
}

static void map_remove(struct ipk_segment *seg)
{
	ipk_object_remove(seg, "m", NULL);
}

/* ---- set: a value is there or not, as was said last, or as was under way -------------------- */

static int set_create(struct ipk_segment *seg)
{
	return ipk_set_create(seg, "t", "u64", 8, NULL);
}

static struct ipk_set *set_open(struct ipk_segment *seg)
{
	struct ipk_set *t;

	if (ipk_set_open(seg, "t", NULL, &t, NULL) != 0) {
		soak_violation("the set cannot be opened");
		_exit(1);
	}
	return t;
}

static void adder(unsigned number)
{
	struct ipk_set *t = set_open(soak_attach());

	while (!soak_stop()) {
		unsigned k = (unsigned)random() % KEYS;
		uint64_t value = (uint64_t)number << 32 | k;
		int r = ipk_set_has(t, &value, sizeof(value));
		uint8_t there = (uint8_t)r, want = (uint8_t)(random() % 2);

		if (!soak_answered("has", r))
			continue;
		if (there != ledger->in[number][k] && there != ledger->maybe_in[number][k])
			soak_violation("value %u: %u", k, there);
		ledger->in[number][k] = there;
		ledger->maybe_in[number][k] = want;
		r = want ? ipk_set_add(t, &value, sizeof(value), IPK_FOREVER)
			 : ipk_set_remove(t, &value, sizeof(value), IPK_FOREVER);
		if (!soak_answered("add", r))
			continue;
		if (r != (want != there))
			soak_violation("adding or removing value %u answers %d", k, r);
		ledger->in[number][k] = want;
		__atomic_fetch_add(&ledger->changes, 1, __ATOMIC_RELAXED);
	}
}

static bool set_check(char *text, size_t size)
{
	struct ipk_segment *seg = soak_attach();
	struct ipk_set *t = set_open(seg);
	unsigned bad = 0;

	for (unsigned p = 0; p < PUTTERS; p++)
		for (unsigned k = 0; k < KEYS; k++) {
			uint64_t value = (uint64_t)p << 32 | k;
			int there = ipk_set_has(t, &value, sizeof(value));

			bad += there != ledger->in[p][k] && there != ledger->maybe_in[p][k];
		}
	ipk_set_close(t);
	ipk_segment_close(seg);
	snprintf(text, size, "%llu changes, %u wrong values", (unsigned long long)ledger->changes,
		 bad);
	return bad == 0 && ledger->changes > 0;
}

static void set_remove(struct ipk_segment *seg)
{
	ipk_object_remove(seg, "t", NULL);
}

/* ---- stack: what was acknowledged comes out, and twice only when marked --------------------- */

static int stack_create(struct ipk_segment *seg)
{
	return ipk_stack_create(seg, "k", "bytes", 16, NULL);
}

static struct ipk_stack *stack_open(struct ipk_segment *seg)
{
	struct ipk_stack *s;

	if (ipk_stack_open(seg, "k", NULL, &s, NULL) != 0) {
		soak_violation("the stack cannot be opened");
		_exit(1);
	}
	return s;
}

static void unstack(const struct ipk_stack_lease *l)
{
	uint64_t value[LONG_VALUE / 8] = {0};

	if (l->len < 8 || l->len % 8 || l->len > sizeof(value)) {
		soak_violation("a stacked item of %llu bytes", (unsigned long long)l->len);
		return;
	}
	memcpy(value, l->data, l->len);
	for (size_t i = 1; i < l->len / 8; i++)
		if (value[i] != value[0])
			soak_violation("a torn item on the stack");
	if (value[0] >= STACKED) {
		soak_violation("an item that nobody put on the stack");
		return;
	}
	if (ledger->off[value[0]] == 2)
		soak_violation("a stacked item comes again after its acknowledgement");
	if (ledger->off[value[0]] == 1 && !l->redelivered)
		soak_violation("a stacked item comes again without a mark");
	ledger->off[value[0]] = 1;
}

static bool take_top(struct ipk_stack *s)
{
	struct ipk_stack_lease l;
	uint64_t id;

	if (!soak_answered("lease", ipk_stack_lease(s, &l, IPK_NOWAIT)))
		return false;
	unstack(&l);
	soak_linger();
	memcpy(&id, l.data, sizeof(id));
	if (soak_answered("ack", ipk_stack_ack(s, &l))) {
		ledger->off[id % STACKED] = 2;
		__atomic_fetch_add(&ledger->unstacked, 1, __ATOMIC_RELAXED);
	}
	return true;
}

static void stacker(unsigned number)
{
	struct ipk_stack *s = stack_open(soak_attach());
	uint64_t value[LONG_VALUE / 8];

	(void)number;
	while (!soak_stop()) {
		uint64_t id = __atomic_fetch_add(&ledger->stacked, 1, __ATOMIC_RELAXED);
		size_t words = id % 7 == 0 ? LONG_VALUE / 8 : 1 + id % 4;

		if (id >= STACKED)
			break;
		for (size_t i = 0; i < words; i++)
			value[i] = id;
		if (soak_answered("push", ipk_stack_push(s, value, words * 8, SOAK_WAIT)))
			ledger->on[id] = 1;
		for (long n = random() % 3; n; n--)
			take_top(s);
	}
}

static bool stack_check(char *text, size_t size)
{
	struct ipk_segment *seg = soak_attach();
	struct ipk_stack *s = stack_open(seg);
	uint64_t on = 0, lost = 0;

	ipk_segment_sweep(seg);
	while (take_top(s))
		;
	for (uint64_t i = 0; i < STACKED && i < ledger->stacked; i++) {
		on += ledger->on[i];
		lost += ledger->on[i] && !ledger->off[i];
	}
	ipk_stack_close(s);
	ipk_segment_close(seg);
	snprintf(text, size, "%llu pushed, %llu taken, %llu lost", (unsigned long long)on,
		 (unsigned long long)ledger->unstacked, (unsigned long long)lost);
	return lost == 0 && on > 0;
}

static void stack_remove(struct ipk_segment *seg)
{
	ipk_object_remove(seg, "k", NULL);
}

/* ---- semaphore: all permits are back at the end --------------------------------------------- */

#define PERMITS 2

static int sem_create(struct ipk_segment *seg)
{
	return ipk_semaphore_create(seg, "p", PERMITS, PERMITS, NULL);
}

static void acquirer(unsigned number)
{
	struct ipk_segment *seg = soak_attach();
	struct ipk_semaphore *s;

	(void)number;
	if (ipk_semaphore_open(seg, "p", &s, NULL) != 0) {
		soak_violation("the semaphore cannot be opened");
		_exit(1);
	}
	while (!soak_stop()) {
		if (!soak_answered("acquire", ipk_semaphore_acquire(s, 1, SOAK_WAIT)))
			continue;
		__atomic_fetch_add(&ledger->acquired, 1, __ATOMIC_RELAXED);
		soak_linger();
		soak_answered("release", ipk_semaphore_release(s, 1));
	}
}

static bool sem_check(char *text, size_t size)
{
	struct ipk_segment *seg = soak_attach();
	struct ipk_semaphore *s;
	uint64_t value = 0;

	ipk_segment_sweep(seg);
	if (ipk_semaphore_open(seg, "p", &s, NULL) == 0) {
		value = ipk_semaphore_value(s);
		ipk_semaphore_close(s);
	}
	ipk_segment_close(seg);
	snprintf(text, size, "%llu times acquired, %llu of %u permits are back",
		 (unsigned long long)ledger->acquired, (unsigned long long)value, PERMITS);
	return value == PERMITS && ledger->acquired > 0;
}

static void sem_remove(struct ipk_segment *seg)
{
	ipk_object_remove(seg, "p", NULL);
}

/* ---- objects come and go -------------------------------------------------------------------- */

static void creator(unsigned number)
{
	struct ipk_segment *seg = soak_attach();

	while (!soak_stop()) {
		char name[32];
		struct ipk_queue *q;
		int r;

		/* Two creators share the names: one of them may be faster. */
		snprintf(name, sizeof(name), "o%ld", random() % 8);
		r = ipk_queue_create(seg, name, random() % 2 ? "u64" : "bytes:600",
				     1 + (uint64_t)random() % 40, NULL);
		if (r != -EEXIST && !soak_answered("create", r))
			continue;
		r = ipk_queue_open(seg, name, NULL, &q, NULL);
		if (r == 0) {
			__atomic_fetch_add(&ledger->created, 1, __ATOMIC_RELAXED);
			ipk_queue_close(q);
		} else if (r != -ENOENT && r != -ESTALE) {
			soak_answered("open", r);
		}
		r = ipk_object_remove(seg, name, NULL);
		if (r != -ENOENT)
			soak_answered("remove", r);
	}
	(void)number;
}

static bool creator_check(char *text, size_t size)
{
	snprintf(text, size, "%llu times", (unsigned long long)ledger->created);
	return ledger->created > 0;
}

static void creator_remove(struct ipk_segment *seg)
{
	char name[32];

	for (int i = 0; i < 8; i++) {
		snprintf(name, sizeof(name), "o%d", i);
		ipk_object_remove(seg, name, NULL);
	}
}

const struct role roles[] = {
	{"pusher", PUSHERS, queue_create, pusher, queue_check, queue_remove},
	{"popper", 2, NULL, popper, NULL, NULL},
	{"putter", PUTTERS, map_create, putter, map_check, map_remove},
	{"adder", PUTTERS, set_create, adder, set_check, set_remove},
	{"stacker", 2, stack_create, stacker, stack_check, stack_remove},
	{"acquirer", 3, sem_create, acquirer, sem_check, sem_remove},
	{"creator", 2, NULL, creator, creator_check, creator_remove},
	{0},
};
