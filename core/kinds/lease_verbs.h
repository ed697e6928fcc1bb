/* SPDX-License-Identifier: MIT */
/*
 * The verbs push, pop, lease and close, and the measuring, of a kind whose values can be leased:
 * included once by the file of its verbs, after IPK_LEASED, the kind's name. By inclusion, because
 * such kinds have the same functions with types of their own.
 */
#include "kinds/await.h"

#define BATCH 256
#define BATCH_BYTES (UINT64_C(1) << 18)

#define PASTE(kind, name) ipk_##kind##_##name
#define OF_KIND(kind, name) PASTE(kind, name)
#define FN(name) OF_KIND(IPK_LEASED, name)
#define LEASE struct FN(lease)

/* ---- verbs ----------------------------------------------------------------------------------- */

static int run_push(struct ipk_call *call)
{
	struct ipk_item items[BATCH];
	struct iovec values[BATCH];
	int n, i, r;

	while ((n = call->next(call, items, BATCH)) > 0) {
		for (i = 0; i < n; i++)
			values[i] = (struct iovec){(void *)items[i].data, items[i].len};
		for (i = 0; i < n; i += r) {
			r = FN(push_many)(call->handle, values + i, (unsigned)(n - i),
					  ipk_call_deadline(call));
			if (r < 0)
				return ipk_call_refused(call, r, "full");
			call->done += (u64)r;
		}
	}
	return n;
}

/* Waits for one item, then takes what else is there, within reason. */
static int gather(struct ipk_call *call, LEASE *leases, unsigned max)
{
	int r = FN(lease)(call->handle, leases, ipk_call_deadline(call));
	u64 bytes;
	unsigned n;

	if (r < 0)
		return r;
	bytes = leases[0].len;
	for (n = 1; n < max && bytes < BATCH_BYTES; n++) {
		if (FN(lease)(call->handle, &leases[n], IPK_NOWAIT) < 0)
			break;
		bytes += leases[n].len;
	}
	return (int)n;
}

/* Gives the items out; what was not delivered goes back, marked, to where it was. */
static int deliver(struct ipk_call *call, LEASE *leases, unsigned n)
{
	int r = 0;

	for (unsigned i = 0; i < n && r >= 0; i++) {
		struct ipk_item item = {
			.data = leases[i].data,
			.len = leases[i].len,
			.pos = leases[i].pos,
			.redelivered = leases[i].redelivered,
		};

		r = call->emit(call, &item);
	}
	if (r >= 0)
		r = call->flush(call);
	if (r < 0) {
		put_back(call->handle, leases, n);
		return r;
	}
	r = FN(ack_many)(call->handle, leases, n);
	call->done += r > 0 ? (u64)r : 0;
	return r < 0 ? r : 0;
}

static int run_pop(struct ipk_call *call)
{
	LEASE leases[BATCH];
	u64 want = call->count ? call->count : 1, left;

	while (call->done < want) {
		int r;

		left = want - call->done;
		r = gather(call, leases, left < BATCH ? (unsigned)left : BATCH);
		if (r < 0)
			return ipk_call_refused(call, r, "empty");
		r = deliver(call, leases, (unsigned)r);
		if (r < 0)
			return r;
	}
	return 0;
}

/* One at a time: what flush does with it, running a command, decides about each. */
static int run_lease(struct ipk_call *call)
{
	u64 want = call->count ? call->count : 1;

	while (call->done < want) {
		LEASE lease;
		int r = FN(lease)(call->handle, &lease, ipk_call_deadline(call));

		if (r < 0)
			return ipk_call_refused(call, r, "empty");
		r = deliver(call, &lease, 1);
		if (r < 0)
			return r;
	}
	return 0;
}

static int run_close(struct ipk_call *call)
{
	return FN(shutdown)(call->handle);
}

/* ---- how it is measured ---------------------------------------------------------------------- */

static int bench_rounds(void *handle, uint64_t n)
{
	u64 val[8] = {0};
	size_t size = FN(element_size)(handle);
	int r = 0;

	if (size > sizeof(val))
		return -EMSGSIZE;
	while (n-- && !r) {
		r = FN(push)(handle, val, size, IPK_NOWAIT);
		if (!r)
			r = FN(pop)(handle, val, sizeof(val), NULL, IPK_NOWAIT);
	}
	return r;
}

static int bench_send(void *handle, const void *data, size_t len, int64_t deadline)
{
	return FN(push)(handle, data, len, deadline);
}

static int bench_recv(void *handle, void *buf, size_t size, int64_t deadline)
{
	return FN(pop)(handle, buf, size, NULL, deadline);
}
