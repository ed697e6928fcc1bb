// SPDX-License-Identifier: MIT
// Boost.Lockfree with capacities known at compile time, which is its fastest form and lies in one piece.
#include <boost/lockfree/queue.hpp>
#include <boost/lockfree/spsc_queue.hpp>
#include <new>

#include "loops.h"

namespace {

template <class T, size_t N> using spsc = boost::lockfree::spsc_queue<T, boost::lockfree::capacity<N>>;
template <class T> using many = boost::lockfree::queue<T, boost::lockfree::capacity<1024>>;

using s8 = spsc<item8, 8192>;
using s8few = spsc<item8, 256>;
using s16 = spsc<item16, 4096>;
using s64 = spsc<item64, 1024>;
using s64m = spsc<item64, 16384>;
using s64g = spsc<item64, 1048576>;
using s256m = spsc<item256, 4096>;
using s256g = spsc<item256, 262144>;
using m8 = many<item8>;
using m8few = boost::lockfree::queue<item8, boost::lockfree::capacity<256>>;

LOOPS(s8, item8, s8, q->push(*it), q->pop(*it))
LOOPS_BURST(s8, item8, s8, q->push(it, n), q->pop(it, n))
LOOPS(s8few, item8, s8few, q->push(*it), q->pop(*it))
LOOPS(s16, item16, s16, q->push(*it), q->pop(*it))
LOOPS(s64, item64, s64, q->push(*it), q->pop(*it))
LOOPS(s64m, item64, s64m, q->push(*it), q->pop(*it))
LOOPS(s64g, item64, s64g, q->push(*it), q->pop(*it))
LOOPS(s256m, item256, s256m, q->push(*it), q->pop(*it))
LOOPS(s256g, item256, s256g, q->push(*it), q->pop(*it))
LOOPS(m8, item8, m8, q->push(*it), q->pop(*it))
LOOPS(m8few, item8, m8few, q->push(*it), q->pop(*it))

template <class Q> void *placed()
{
	return new (peer_memory(sizeof(Q))) Q;
}

struct form {
	size_t bytes;
	uint64_t cap;
	loops table;
	void *(*place)();
};

bool make(queue *ret, size_t bytes, uint64_t cap, const form *f, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (f[i].bytes == bytes && f[i].cap == cap) {
			*ret = {&f[i].table, f[i].place()};
			return true;
		}
	return false;
}

bool make_spsc(queue *ret, size_t bytes, uint64_t cap)
{
	static const form forms[] = {
		{8, 8192, LOOPS_TABLE_BURST(s8), placed<s8>},
		{8, 256, LOOPS_TABLE(s8few), placed<s8few>},
		{16, 4096, LOOPS_TABLE(s16), placed<s16>},
		{64, 1024, LOOPS_TABLE(s64), placed<s64>},
		{64, 16384, LOOPS_TABLE(s64m), placed<s64m>},
		{64, 1048576, LOOPS_TABLE(s64g), placed<s64g>},
		{256, 4096, LOOPS_TABLE(s256m), placed<s256m>},
		{256, 262144, LOOPS_TABLE(s256g), placed<s256g>},
	};

	return make(ret, bytes, cap, forms, sizeof(forms) / sizeof(*forms));
}

bool make_queue(queue *ret, size_t bytes, uint64_t cap)
{
	static const form forms[] = {
		{8, 1024, LOOPS_TABLE(m8), placed<m8>},
		{8, 256, LOOPS_TABLE(m8few), placed<m8few>},
	};

	return make(ret, bytes, cap, forms, sizeof(forms) / sizeof(*forms));
}

void drop(queue *q)
{
	peer_memory_end(q->at);
}

} // namespace

extern "C" {
extern const peer peer_boost_spsc = {"Boost spsc_queue", 0,	  make_spsc, drop,   nullptr,
				     nullptr,		 nullptr, nullptr,   nullptr};
extern const peer peer_boost_queue = {"Boost queue", PEER_MANY, make_queue, drop,   nullptr,
				      nullptr,	     nullptr,	nullptr,    nullptr};
}
