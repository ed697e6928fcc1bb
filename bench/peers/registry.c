/* SPDX-License-Identifier: MIT */
#include <stddef.h>

#include "peers.h"

const char *peers_only;

const struct peer *const peers[] = {&peer_line,        &peer_ipk_ring,    &peer_ipk_records,
				    &peer_ipk_queue,   &peer_plain,       &peer_vyukov,
#ifdef HAVE_BOOST
				    &peer_boost_spsc,  &peer_boost_queue,
#endif
#ifdef HAVE_CK
				    &peer_ck_spsc,     &peer_ck_mpmc,
#endif
#ifdef HAVE_DPDK
				    &peer_dpdk_single, &peer_dpdk_multi,
#endif
#ifdef HAVE_ICEORYX
				    &peer_iceoryx,
#endif
#ifdef HAVE_ZMQ
				    &peer_zmq,
#endif
#ifdef HAVE_NNG
				    &peer_nng,
#endif
				    &peer_pipe,        &peer_unix,        NULL};

const char *const peers_absent[] = {
#ifndef HAVE_BOOST
	"Boost.Lockfree (libboost-dev)",
#endif
#ifndef HAVE_CK
	"Concurrency Kit (libck-dev)",
#endif
#ifndef HAVE_DPDK
	"DPDK (libdpdk-dev)",
#endif
#ifndef HAVE_ICEORYX
	"iceoryx (libiceoryx-binding-c-dev, iceoryx)",
#endif
#ifndef HAVE_ZMQ
	"ZeroMQ (libzmq3-dev)",
#endif
#ifndef HAVE_NNG
	"nng (libnng-dev)",
#endif
	NULL};
