/* SPDX-License-Identifier: MIT */
/* Who holds and who waits, and how an object and a segment are: read through a view alone. */
#include <stdio.h>

#include "base/base.h"
#include "ipk/kind.h"
#include "segment/format.h"

typedef int holder_fn(void *arg, const struct ipk_participant_info *p, const char *role,
		      uint64_t count);

struct holders {
	const struct ipk_object_view *o;
	holder_fn *fn;
	void *arg;
};

static int pass_holder(void *arg, uint32_t slot, const char *role, uint64_t count)
{
	const struct holders *h = arg;
	struct ipk_participant_info p;
	int r;

	if (slot == IPK_SLOT_NONE) {
		/* Taken in nobody's name: no death gives it back, so it is not called dead. */
		p = (struct ipk_participant_info){
			.slot = IPK_SLOT_NONE,
			.comm = "-",
			.role = "nobody",
			.state = "nobody",
			.alive = true,
		};
		return h->fn(h->arg, &p, role, count);
	}
	r = ipk_view_participant(h->o->view, slot, &p);
	if (r == -ENOENT)
		return 0; /* gone, and swept since the kind was read */
	return r < 0 ? r : h->fn(h->arg, &p, role, count);
}

int ipk_object_holders(const struct ipk_object_view *o, holder_fn *fn, void *arg)
{
	const struct ipk_kind *kind = ipk_kind_by_id(o->kind);
	struct holders h = {.o = o, .fn = fn, .arg = arg};

	return kind && kind->holders ? kind->holders(o, pass_holder, &h) : 0;
}

struct waiters {
	const struct ipk_object_view *o;
	int (*fn)(void *arg, const struct ipk_participant_info *p);
	void *arg;
};

static int pass_waiter(void *arg, const struct ipk_participant_info *p)
{
	const struct waiters *w = arg;

	for (uint32_t i = 0; i < p->nwait && i < IPK_ARRAY_LEN(p->waits); i++) {
		uint64_t off = p->waits[i] & ~UINT64_C(3); /* bit 0 marks a lock word */

		if (off >= w->o->off && off - w->o->off < w->o->size)
			return w->fn(w->arg, p);
	}
	return 0;
}

int ipk_object_waiters(const struct ipk_object_view *o,
		       int (*fn)(void *arg, const struct ipk_participant_info *p), void *arg)
{
	struct waiters w = {.o = o, .fn = fn, .arg = arg};

	return ipk_view_participants(o->view, pass_waiter, &w);
}

/* ---- health --------------------------------------------------------------------------------- */

struct dead {
	uint32_t n;
	uint32_t pid; /* of the first */
};

static int count_dead_holder(void *arg, const struct ipk_participant_info *p, const char *role,
			     uint64_t count)
{
	struct dead *d = arg;

	(void)role;
	(void)count;
	if (!p->alive && d->n++ == 0)
		d->pid = p->pid;
	return 0;
}

static int count_dead(void *arg, const struct ipk_participant_info *p)
{
	return count_dead_holder(arg, p, NULL, 0);
}

static const char *say_dead(const struct dead *d, const char *what, char *buf, size_t size)
{
	if (d->n == 0)
		return "ok";
	if (d->n == 1)
		snprintf(buf, size, "dead %s: pid %u", what, d->pid);
	else
		snprintf(buf, size, "dead %s: pid %u and %u more", what, d->pid, d->n - 1);
	return buf;
}

const char *ipk_object_health(const struct ipk_object_view *o, char *buf, size_t size)
{
	const struct ipk_kind *kind = ipk_kind_by_id(o->kind);
	struct dead d = {0};
	uint64_t used, cap;
	int r;

	if (!kind || kind->version != o->version)
		return "unknown layout";
	r = kind->inspect(o, &used, &cap);
	if (r == 0)
		r = ipk_object_holders(o, count_dead_holder, &d);
	if (!ipk_object_view_current(o))
		return "removed";
	return r < 0 ? "corrupt" : say_dead(&d, "owner", buf, size);
}

const char *ipk_segment_health(struct ipk_view *view, char *buf, size_t size)
{
	struct ipk_segment_info info;
	struct dead d = {0};

	if (ipk_view_info(view, &info) < 0 || ipk_view_participants(view, count_dead, &d) < 0)
		return "corrupt";
	return info.removed ? "removed" : say_dead(&d, "participant", buf, size);
}
