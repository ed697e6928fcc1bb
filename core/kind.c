/* SPDX-License-Identifier: MIT */
/* The descriptor table, made of core/kinds.def, and what the segment layer asks of it. */
#include <pthread.h>

#include "ipk/kind.h"
#include "segment/segment.h"
#include "segment/view.h"

#define IPK_KIND(name, id) extern const struct ipk_kind ipk_kind_##name;
#include "kinds.def"
#undef IPK_KIND

const struct ipk_kind *const ipk_kinds[] = {
#define IPK_KIND(name, id) &ipk_kind_##name,
#include "kinds.def"
#undef IPK_KIND
	NULL,
};

const struct ipk_kind *ipk_kind_by_name(const char *name)
{
	for (const struct ipk_kind *const *k = ipk_kinds; *k; k++) {
		if (strcmp((*k)->name, name) == 0)
			return *k;
	}
	return NULL;
}

const struct ipk_kind *ipk_kind_by_id(uint16_t id)
{
	for (const struct ipk_kind *const *k = ipk_kinds; *k; k++) {
		if ((*k)->id == id)
			return *k;
	}
	return NULL;
}

const struct ipk_op *ipk_kind_op(const struct ipk_kind *kind, const char *verb)
{
	for (const struct ipk_op *op = kind->ops; op && op->name; op++) {
		if (strcmp(op->name, verb) == 0)
			return op;
	}
	return NULL;
}

int ipk_op_run(const struct ipk_op *op, struct ipk_call *call)
{
	return ipk_unless_lost(call->seg, op->run(call), &call->err);
}

static int is_slot(void *arg, u32 slot, const char *role, u64 count)
{
	(void)role;
	(void)count;
	return slot == *(u32 *)arg;
}

/* Rarely asked, so it is answered by what tools look with. What cannot be read counts. */
static bool holds(struct ipk_obj *obj, u32 slot)
{
	struct ipk_object_view o;
	struct ipk_view *view;
	int r = ipk_view_open_fd(obj->seg->fd, &view, NULL);

	if (r < 0)
		return true;
	r = ipk_view_object_at(view, obj->off, &o);
	if (r == 0) {
		const struct ipk_kind *kind = ipk_kind_by_id(o.kind);

		r = kind && kind->holders ? kind->holders(&o, is_slot, &slot) : 0;
		ipk_object_view_free(&o);
	}
	ipk_view_close(view);
	return r != 0;
}

static struct ipk_obj_hooks hooks[IPK_ARRAY_LEN(ipk_kinds)];
static pthread_once_t hooks_once = PTHREAD_ONCE_INIT;

static void fill_hooks(void)
{
	for (size_t i = 0; ipk_kinds[i]; i++) {
		hooks[i] = (struct ipk_obj_hooks){
			.destroy = ipk_kinds[i]->destroy,
			.recover = ipk_kinds[i]->recover,
			.wake = ipk_kinds[i]->wake,
			.attachable = ipk_kinds[i]->attachable,
			.holds = ipk_kinds[i]->holders ? holds : NULL,
		};
	}
}

const struct ipk_obj_hooks *ipk_obj_hooks(u16 kind)
{
	pthread_once(&hooks_once, fill_hooks);
	for (size_t i = 0; ipk_kinds[i]; i++) {
		if (ipk_kinds[i]->id == kind)
			return &hooks[i];
	}
	return NULL;
}
