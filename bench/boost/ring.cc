// SPDX-License-Identifier: MIT
// The loops of bench/ring.c over boost::lockfree::spsc_queue with its capacity known at compile time,
// which is its fastest form.
#define RING_BOOST
#include <boost/lockfree/spsc_queue.hpp>
#include <cstdlib>
#include <new>
#include <sys/mman.h>

#include "../ring_boost.h"

namespace {

constexpr unsigned burst = 32;

struct block {
	uint64_t word[32];
};

using eight = boost::lockfree::spsc_queue<uint64_t, boost::lockfree::capacity<8192>>;
using one_mib = boost::lockfree::spsc_queue<block, boost::lockfree::capacity<4096>>;
using many_mib = boost::lockfree::spsc_queue<block, boost::lockfree::capacity<262144>>;

template <class Q> void *make()
{
	void *p = mmap(nullptr, sizeof(Q), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return p == MAP_FAILED ? nullptr : new (p) Q;
}

// Two sizes behind one pair of functions.
struct blocks {
	one_mib *small;
	many_mib *large;
};

template <class Q> void produce(Q *q, uint64_t n)
{
	block b = {};

	for (uint64_t i = 0; i < n; i++) {
		b.word[0] = b.word[31] = i;
		while (!q->push(b))
			;
	}
}

template <class Q> void consume(Q *q, uint64_t n)
{
	block b;

	for (uint64_t i = 0; i < n; i++) {
		while (!q->pop(b))
			;
		if (b.word[0] + b.word[31] != 2 * i)
			abort();
	}
}

} // namespace

void *ring_boost_new(enum ring_boost which)
{
	if (which == RING_BOOST_8)
		return make<eight>();
	return new blocks{which == RING_BOOST_256_1M ? static_cast<one_mib *>(make<one_mib>()) : nullptr,
			  which == RING_BOOST_256_64M ? static_cast<many_mib *>(make<many_mib>()) : nullptr};
}

void ring_boost_produce(void *at, uint64_t n)
{
	auto q = static_cast<eight *>(at);

	for (uint64_t i = 0; i < n; i++)
		while (!q->push(i))
			;
}

void ring_boost_consume(void *at, uint64_t n)
{
	auto q = static_cast<eight *>(at);
	uint64_t val = 0;

	for (uint64_t i = 0; i < n; i++) {
		while (!q->pop(val))
			;
		if (val != i)
			abort();
	}
}

void ring_boost_produce_bursts(void *at, uint64_t n)
{
	auto q = static_cast<eight *>(at);
	uint64_t val[burst];

	for (uint64_t i = 0; i < n; i += burst) {
		for (unsigned k = 0; k < burst; k++)
			val[k] = i + k;
		for (unsigned k = 0; k < burst;)
			k += static_cast<unsigned>(q->push(val + k, burst - k));
	}
}

void ring_boost_consume_bursts(void *at, uint64_t n)
{
	auto q = static_cast<eight *>(at);
	uint64_t val[burst];

	for (uint64_t i = 0; i < n;) {
		auto got = q->pop(val, burst);

		if (got && val[got - 1] != i + got - 1)
			abort();
		i += got;
	}
}

void ring_boost_produce_256(void *at, uint64_t n)
{
	auto b = static_cast<blocks *>(at);

	if (b->small)
		produce(b->small, n);
	else
		produce(b->large, n);
}

void ring_boost_consume_256(void *at, uint64_t n)
{
	auto b = static_cast<blocks *>(at);

	if (b->small)
		consume(b->small, n);
	else
		consume(b->large, n);
}
