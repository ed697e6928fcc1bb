/* SPDX-License-Identifier: MIT */
/*
 * Channel: values from senders to receivers, as in Communicating Sequential Processes.
 *
 *	cap > 0  buffered      send waits while cap values are underway, recv while there is none
 *	cap = 0  rendezvous    send returns when, and only when, its value was received
 *
 *	ipk_channel_select()   one of several sends and receives, on several channels, whichever can
 *
 * Any number of senders and receivers. Values come out in the order in which they went in; those of
 * one sender in the order in which it sent them. Each is received by one receiver, once. A select
 * does one of its cases and no other, also where two selects meet; of several that can proceed it
 * takes one by chance.
 *
 * CLOSE. Nothing can be sent any more; who waits to send is told -EPIPE. What is in the buffer is
 * received, and then the end: -EPIPE. As long as what was handed to a sleeping receiver may come
 * back by his death, that is not yet the end. A case of a select on a channel that has ended can
 * proceed, with that answer: so a channel that is only ever closed tells all who select on it to
 * stop.
 *
 * WHICH MAY RUN BESIDE WHICH. Everything, from any thread of any process.
 *
 * LEFT BEHIND BY A DEATH. Each step is one transaction of the segment. A value is in the buffer or
 * it is not; what a dead process had offered and nobody had taken is withdrawn, all cases of its
 * select at once. A receiver who dies has received what he had taken, unless he was asleep and it
 * had been handed to him: that is then received by another. A value is never delivered twice, so,
 * other than with a queue's lease, what a receiver had when it died is gone with it.
 *
 * Values are blocks of the segment, taken and freed as they come and go: a channel takes the memory
 * of what is in it, whatever its cap, and send may say -ENOSPC.
 *
 * The semantics are those of Hoare (CACM 21(8), 1978), with output guards and buffers as in occam's
 * and Go's descendants of it. Two selects meet under one lock (the segment's), so that no protocol
 * for committing both is needed; nothing is taken from any implementation.
 */
#ifndef IPK_CHANNEL_H
#define IPK_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipk/error.h"
#include "ipk/segment.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Cases of one select at most. */
#define IPK_CHANNEL_CASES 16u
/* Bytes of a value at most. */
#define IPK_CHANNEL_VALUE_MAX (UINT64_C(1) << 30)
/* The largest cap. */
#define IPK_CHANNEL_CAP_MAX (UINT64_C(1) << 32)

struct ipk_channel;

/* Creates an empty channel of any type; type NULL: str. -EEXIST -EINVAL -ENOSPC. */
int ipk_channel_create(struct ipk_segment *seg, const char *name, const char *type, uint64_t cap,
		       struct ipk_error *err);

/*
 * Opens for all threads of this process; type NULL: whatever it is, else a claim to be checked.
 * -ENOENT -EMEDIUMTYPE -EPROTO -EBADMSG.
 */
int ipk_channel_open(struct ipk_segment *seg, const char *name, const char *type,
		     struct ipk_channel **ret_channel, struct ipk_error *err);
/* Ends the handle. No thread may be inside a call on it. */
void ipk_channel_close(struct ipk_channel *channel);

uint64_t ipk_channel_cap(const struct ipk_channel *channel);
/* Values in the buffer. */
uint64_t ipk_channel_count(const struct ipk_channel *channel);
bool ipk_channel_is_shut(const struct ipk_channel *channel);

/*
 * Sends len bytes, the element's size where that is fixed; value may be NULL when len is 0. -EAGAIN
 * (IPK_NOWAIT) the buffer is full, or nobody waits to receive; -ETIMEDOUT -EINTR -ECANCELED: then
 * it was not received; -EPIPE closed; -EINVAL not the element's size; -EMSGSIZE; -ENOSPC no space
 * in the segment; -ESTALE removed; -EACCES attached with IPK_READ.
 */
int ipk_channel_send(struct ipk_channel *channel, const void *value, size_t len, int64_t deadline);

/*
 * Receives into buf, size bytes long; *ret_len (may be NULL) is the value's length. -EAGAIN nothing
 * is there, nobody waits to send; -EMSGSIZE size is too small: *ret_len tells what it takes, and
 * the value is not received; -EPIPE closed and empty; others as ipk_channel_send().
 */
int ipk_channel_recv(struct ipk_channel *channel, void *buf, size_t size, size_t *ret_len,
		     int64_t deadline);

/* Lets nothing more in; once and for all. */
int ipk_channel_shutdown(struct ipk_channel *channel);

/* One case of a select. */
struct ipk_channel_case {
	struct ipk_channel *channel;
	bool send;
	const void *value; /* send: len bytes */
	size_t len;
	void *buf; /* receive: size bytes */
	size_t size;
	size_t ret_len;   /* out, when it was received, and with -EMSGSIZE */
	uint64_t ret_pos; /* out: how many values were sent before it */
};

/*
 * Does one of n cases, 1 to IPK_CHANNEL_CASES of them, all on channels of one segment. *ret_which
 * is that case: with 0; with -EPIPE, its channel is closed; and with -EMSGSIZE, its value is too
 * long for buf, or for any channel. Whatever else is returned, no case was done. -EAGAIN
 * (IPK_NOWAIT) none can be, which is the default of a select; -EXDEV the channels are of different
 * segments; others as ipk_channel_send().
 */
int ipk_channel_select(struct ipk_channel_case *cases, unsigned n, unsigned *ret_which,
		       int64_t deadline);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
