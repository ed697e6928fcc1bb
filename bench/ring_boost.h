/* SPDX-License-Identifier: MIT */
/* Boost.Lockfree's spsc_queue for bench/ring.c, where it is installed. */
#ifndef RING_BOOST_H
#define RING_BOOST_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef RING_BOOST
enum ring_boost { RING_BOOST_8, RING_BOOST_256_1M, RING_BOOST_256_64M };

void *ring_boost_new(enum ring_boost which); /* in shared memory */
void ring_boost_produce(void *at, uint64_t n);
void ring_boost_consume(void *at, uint64_t n);
void ring_boost_produce_bursts(void *at, uint64_t n);
void ring_boost_consume_bursts(void *at, uint64_t n);
void ring_boost_produce_256(void *at, uint64_t n);
void ring_boost_consume_256(void *at, uint64_t n);
#endif

#ifdef __cplusplus
}
#endif

/* Without it there is nothing to run. */
#ifndef RING_BOOST
#define ring_boost_new(which) NULL
#define ring_boost_produce NULL
#define ring_boost_consume NULL
#define ring_boost_produce_bursts NULL
#define ring_boost_consume_bursts NULL
#define ring_boost_produce_256 NULL
#define ring_boost_consume_256 NULL
#endif
#endif
