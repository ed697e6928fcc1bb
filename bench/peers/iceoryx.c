/* SPDX-License-Identifier: MIT */
/*
 * iceoryx by its C binding: a publisher that waits for its one subscriber, 256 chunks of queue, the
 * daemon as it comes. The payload is written and read where it lies; what is counted is as with the
 * others a copy in and a copy out.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <iceoryx_binding_c/log.h>
#include <iceoryx_binding_c/publisher.h>
#include <iceoryx_binding_c/runtime.h>
#include <iceoryx_binding_c/subscriber.h>
#include <iceoryx_binding_c/wait_set.h>

#include "bench.h"
#include "loops.h"

struct end {
	iox_pub_storage_t pub_mem;
	iox_sub_storage_t sub_mem;
	iox_ws_storage_t ws_mem;
	iox_pub_t pub;
	iox_sub_t sub;
	iox_ws_t ws;
};

static bool published(struct end *e, const void *it, size_t bytes)
{
	void *chunk;

	if (iox_pub_loan_chunk(e->pub, &chunk, (uint32_t)bytes) != AllocationResult_SUCCESS)
		return false;
	memcpy(chunk, it, bytes);
	iox_pub_publish_chunk(e->pub, chunk);
	return true;
}

static bool taken(struct end *e, void *it, size_t bytes)
{
	const void *chunk;

	if (iox_sub_take_chunk(e->sub, &chunk) != ChunkReceiveResult_SUCCESS)
		return false;
	memcpy(it, chunk, bytes);
	iox_sub_release_chunk(e->sub, chunk);
	return true;
}

#define ICEORYX(bytes)                                                                             \
	LOOPS(iox##bytes, struct item##bytes, struct end, published(q, it, bytes),                 \
	      taken(q, it, bytes))
ICEORYX(8)
ICEORYX(16)
ICEORYX(64)
ICEORYX(256)

static pid_t daemon_pid, daemon_owner;

static void end_daemon(void)
{
	if (getpid() != daemon_owner || daemon_pid <= 0)
		return;
	kill(daemon_pid, SIGTERM);
	for (unsigned i = 0; i < 200 && waitpid(daemon_pid, NULL, WNOHANG) == 0; i++)
		usleep(10000);
	kill(daemon_pid, SIGKILL); /* it may hang as well */
	waitpid(daemon_pid, NULL, 0);
	daemon_pid = 0;
}

static void start_daemon(void)
{
	daemon_owner = getpid();
	daemon_pid = fork();
	if (daemon_pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* it does not always end otherwise */
		if (getppid() == daemon_owner && freopen("/dev/null", "w", stdout) &&
		    freopen("/dev/null", "w", stderr))
			execlp("iox-roudi", "iox-roudi", (char *)NULL);
		_exit(127);
	}
	usleep(500000);
	if (waitpid(daemon_pid, NULL, WNOHANG) != 0)
		daemon_pid = -1; /* there is no such program, or one runs already */
}

static bool make(struct queue *ret, size_t bytes, uint64_t cap)
{
	static const struct loops loops[] = {LOOPS_TABLE(iox8), LOOPS_TABLE(iox16),
					     LOOPS_TABLE(iox64), LOOPS_TABLE(iox256)};
	static unsigned n;
	char *name;

	(void)cap;
	if (daemon_owner == 0) {
		start_daemon();
		atexit(end_daemon);
	}
	name = peer_memory(64);
	snprintf(name, 64, "queue-%d-%u", (int)getpid(), n++);
	*ret = (struct queue){&loops[loops_index(bytes)], name};
	return true;
}

static void drop(struct queue *q)
{
	peer_memory_end(q->at);
}

static void restart(void)
{
	end_daemon();
	start_daemon();
}

/* It has a lot to say, all of it on our own output. */
static void join_once(void)
{
	static bool joined;
	char name[64];

	if (joined)
		return;
	joined = true;
	if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
		fail("/dev/null", -errno);
	snprintf(name, sizeof(name), "bench-%d", (int)getpid());
	iox_set_loglevel(Iceoryx_LogLevel_Off);
	iox_runtime_init(name);
}

static void *join(struct queue *q, enum side side)
{
	struct end *e = calloc(1, sizeof(*e));

	if (!e)
		fail("iceoryx", -ENOMEM);
	join_once();
	if (side == PRODUCER) {
		iox_pub_options_t options;

		iox_pub_options_init(&options);
		options.subscriberTooSlowPolicy = ConsumerTooSlowPolicy_WAIT_FOR_CONSUMER;
		e->pub = iox_pub_init(&e->pub_mem, "bench", q->at, "item", &options);
		while (!iox_pub_has_subscribers(e->pub))
			usleep(100);
	} else {
		iox_sub_options_t options;

		iox_sub_options_init(&options);
		options.queueCapacity = 256;
		options.queueFullPolicy = QueueFullPolicy_BLOCK_PRODUCER;
		e->sub = iox_sub_init(&e->sub_mem, "bench", q->at, "item", &options);
	}
	return e;
}

/* The process ends: the daemon is told so by it. */
static void leave(void *end, enum side side)
{
	struct end *e = end;

	if (e->ws)
		iox_ws_deinit(e->ws);
	if (side == PRODUCER)
		iox_pub_deinit(e->pub);
	else
		iox_sub_deinit(e->sub);
	free(e);
}

static int send_one(void *end, uint64_t val)
{
	while (!published(end, &val, sizeof(val)))
		;
	return 0;
}

static int recv_one(void *end, uint64_t *ret_val)
{
	struct end *e = end;
	iox_notification_info_t info[1];
	uint64_t missed;

	if (!e->ws) {
		e->ws = iox_ws_init(&e->ws_mem);
		iox_ws_attach_subscriber_state(e->ws, e->sub, SubscriberState_HAS_DATA, 1, NULL);
	}
	while (!taken(e, ret_val, sizeof(*ret_val)))
		iox_ws_wait(e->ws, info, 1, &missed);
	return 0;
}

const struct peer peer_iceoryx = {.name = "iceoryx",
				  .flags = PEER_MESSAGES,
				  .make = make,
				  .drop = drop,
				  .join = join,
				  .leave = leave,
				  .send = send_one,
				  .recv = recv_one,
				  .restart = restart};
