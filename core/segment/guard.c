/* SPDX-License-Identifier: MIT */
/*
 * A file that is shortened takes its pages out of every mapping, and who touches them gets SIGBUS.
 * Here the handler puts empty private memory in the place of the whole mapping and goes on: what is
 * found then is damaged, like anything that a hostile peer may write, and it is marked removed, so
 * that who waits comes back.
 *
 * The handler may run anywhere, so the list takes no lock: its entries are never freed, and an
 * entry counts while from is not 0.
 */
#include "segment/guard.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "segment/segment.h"

struct range {
	uintptr_t from; /* 0: to be used again; 1: being filled in */
	u64 len;
	bool head;
	bool lost;          /* replaced */
	struct range *next; /* constant */
};

static struct range *ranges;
static struct sigaction before; /* what SIGBUS did */

static struct range *take_unused(void)
{
	struct range *r;

	for (r = ipk_ld(&ranges, acquire); r; r = r->next) {
		uintptr_t none = 0;

		if (ipk_cas(&r->from, &none, 1, acquire))
			return r;
	}
	r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->from = 1;
	r->next = ipk_ld(&ranges, relaxed);
	/* Release: pairs with the acquire of who walks the list. */
	while (!ipk_cas(&ranges, &r->next, r, release))
		;
	return r;
}

void ipk_guard_add(void *from, u64 len, bool head)
{
	struct range *r = take_unused();

	if (!r)
		return;
	r->len = len;
	r->head = head;
	ipk_st(&r->lost, false, relaxed);
	ipk_st(&r->from, (uintptr_t)from, release); /* pairs with the handler's acquire */
}

void ipk_guard_drop(void *from)
{
	for (struct range *r = ipk_ld(&ranges, acquire); r; r = r->next)
		if (ipk_ld(&r->from, relaxed) == (uintptr_t)from)
			ipk_st(&r->from, (uintptr_t)0, release);
}

bool ipk_guard_lost(void *from)
{
	for (struct range *r = ipk_ld(&ranges, acquire); r; r = r->next)
		if (ipk_ld(&r->from, relaxed) == (uintptr_t)from)
			return ipk_ld(&r->lost, relaxed);
	return false;
}

static bool replace(uintptr_t at)
{
	for (struct range *r = ipk_ld(&ranges, acquire); r; r = r->next) {
		uintptr_t from = ipk_ld(&r->from, acquire);

		if (from <= 1 || at < from || at - from >= r->len)
			continue;
		if (mmap((void *)from, r->len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
			 0) == MAP_FAILED)
			return false;
		/* Relaxed: read by who made the access, or who joined it. */
		ipk_st(&r->lost, true, relaxed);
		if (r->head)
			ipk_st(&((struct ipk_header *)from)->removed, 1u, release);
		return true;
	}
	return false;
}

static void on_bus(int sig, siginfo_t *info, void *context)
{
	int saved = errno;

	(void)context;
	/* The access is made again: with what SIGBUS did before us, unless it is ours. */
	if (info->si_code != BUS_ADRERR || !replace((uintptr_t)info->si_addr))
		sigaction(sig, &before, NULL);
	errno = saved;
}

int ipk_segment_guard(void)
{
	struct sigaction act = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO}, old;

	sigemptyset(&act.sa_mask);
	if (sigaction(SIGBUS, &act, &old) != 0)
		return -errno;
	if (!(old.sa_flags & SA_SIGINFO) || old.sa_sigaction != on_bus)
		before = old;
	return 0;
}
