/* SPDX-License-Identifier: MIT */
/* What becomes of a semaphore's permits when somebody dies, and what else the segment asks for. */
#include "kinds/hooks.h"
#include "kinds/semaphore.h"
#include "segment/registry.h"

int ipk_sem_bind(struct ipk_obj *obj, struct ipk_sem_shape *ret)
{
	u64 room, bytes, cap;
	struct ipk_semaphore_body *body = ipk_body(obj, sizeof(*body), &room);

	if (!body)
		return -EBADMSG;
	ret->body = body;
	cap = ipk_ld(&body->cap, relaxed);
	bytes = ipk_sem_bytes(cap);
	if (!bytes || bytes > room || ipk_ld(&body->stride, relaxed) != ipk_sem_stride(cap))
		return -EBADMSG;
	ret->cells = (struct ipk_cells){(u8 *)(body + 1), cap, ipk_sem_shift(cap)};
	return 0;
}

/* ---- after a death -------------------------------------------------------------------------- */

int ipk_sem_settle(const struct ipk_sem_shape *s)
{
	u64 pend = ipk_ld(&s->body->pend,
			  acquire); /* pairs with its release: then all cells were there */
	int n = 0;

	for (u64 i = 0; i < s->cells.cap; i++) {
		u64 *cell = ipk_cell(&s->cells, i);
		u64 v = ipk_ld(cell, relaxed);

		if (!(v & IPK_CELL_P) || IPK_BUG(semaphore_several_not_settled))
			continue;
		if (pend)
			ipk_cas(cell, &v, (v & ~IPK_CELL_P) | IPK_CELL_NOBODY, acq_rel);
		else
			n += ipk_cell_free(cell, v);
	}
	ipk_st(&s->body->pend, UINT64_C(0), release);
	return n;
}

/* ---- what the segment asks ------------------------------------------------------------------ */

bool ipk_semaphore_attachable(struct ipk_obj *obj)
{
	struct ipk_sem_shape shape;

	return ipk_sem_bind(obj, &shape) == 0;
}

struct mending {
	struct ipk_sem_shape s;
	int n; /* permits that became free */
};

static int mend(struct ipk_self *me, void *arg, bool died)
{
	struct mending *m = arg;

	(void)me;
	if (died)
		m->n = ipk_sem_settle(&m->s);
	return 0;
}

int ipk_semaphore_recover(struct ipk_obj *obj)
{
	struct mending m = {.n = 0};
	int r = ipk_sem_bind(obj, &m.s);

	if (r == 0)
		r = ipk_take_over(obj, &m.s.body->lock, mend, &m);
	if (r < 0)
		return r;
	m.n += ipk_cells_mend(obj->seg, &m.s.cells);
	if (m.n)
		ipk_sem_notify(m.s.body, m.n);
	return 0;
}

void ipk_semaphore_wake(struct ipk_obj *obj)
{
	struct ipk_sem_shape s;

	if (ipk_sem_bind(obj, &s) < 0)
		return;
	ipk_event_notify(&s.body->ev, INT32_MAX);
	ipk_event_notify(&s.body->ev_many, INT32_MAX);
}
