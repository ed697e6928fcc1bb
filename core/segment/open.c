/* SPDX-License-Identifier: MIT */
/*
 * Handles. Whoever opens an object lists it in uses[] and then looks again whether the directory
 * still names it: from then on its memory stays. See reap.c for the other side.
 */
#include <stdlib.h>

#include "segment/object.h"
#include "segment/registry.h"

#define RETRIES 1000

int ipk_obj_bind(struct ipk_segment *seg, u64 off, struct ipk_obj *ret_obj)
{
	struct ipk_object *o = ipk_at(seg, off, sizeof(*o), IPK_LINE);
	u64 size, body;

	if (!o || off == 0)
		return -EBADMSG;
	size = ipk_ld(&o->size, relaxed);
	body = ipk_ld(&o->body, relaxed);
	if (ipk_ld(&o->magic, relaxed) != IPK_OBJ_MAGIC || size > ipk_block_size(seg, off) ||
	    body % 128 || body < sizeof(*o) || body > size || !ipk_at(seg, off, size, IPK_LINE))
		return -EBADMSG;
	memset(ret_obj, 0, sizeof(*ret_obj));
	ret_obj->seg = seg;
	ret_obj->o = o;
	ret_obj->off = off;
	ret_obj->id = ipk_ld(&o->id, relaxed);
	ret_obj->size = size;
	ret_obj->body = off + body;
	return 0;
}

static int locate(struct ipk_tx *tx, void *arg)
{
	struct ipk_locate *l = arg;

	return ipk_dir_find(tx->seg, &l->name, &l->off, NULL, NULL);
}

int ipk_obj_locate(struct ipk_segment *seg, struct ipk_self *me, struct ipk_locate *l)
{
	bool flux;
	int r, i;

	for (i = 0;; i++) {
		r = ipk_dir_find(seg, &l->name, &l->off, NULL, &flux);
		if (r != -ENOENT || !flux)
			return r;
		if (me) /* the owner of the change may be dead: the lock finishes it */
			return ipk_tx_run(me, locate, l, IPK_FOREVER, NULL);
		if (i == RETRIES)
			return r;
		ipk_pause();
	}
}

/* Finds the object and lists it for me, who may be NULL. *ret_new: was not listed before. */
static int find_and_list(struct ipk_segment *seg, struct ipk_self *me, struct ipk_locate *l,
			 bool *ret_new)
{
	u64 off;
	int r, i;

	for (i = 0; i < RETRIES; i++) {
		r = ipk_obj_locate(seg, me, l);
		if (r < 0 || !me)
			return r;
		off = l->off;
		*ret_new = ipk_uses_add(me, off);
		ipk_fence(seq_cst); /* pairs with remove: it sees our entry, or we its change */
		r = ipk_obj_locate(seg, me, l);
		if (r == 0 && l->off == off)
			return 0;
		if (*ret_new) {
			ipk_uses_drop(me, off);
			ipk_obj_unlisted(me, off);
			*ret_new = false;
		}
	}
	return r < 0 ? r : -ENOENT;
}

/* What somebody wants to open. */
struct opening {
	struct ipk_self *me; /* NULL: a reader */
	const char *name;
	struct ipk_locate l;
	u16 kind, version;
	u64 min_body;
	bool fresh; /* me lists l.off and did not before */
};

static int check_kind(struct ipk_obj *obj, const struct opening *o, struct ipk_error *err)
{
	const struct ipk_obj_hooks *hooks = ipk_obj_hooks(o->kind);
	const char *segment = obj->seg->name;
	u16 kind = ipk_ld(&obj->o->kind, relaxed), version = ipk_ld(&obj->o->version, relaxed);

	if (kind != o->kind)
		return ipk_error_set(err, -EMEDIUMTYPE, "%s/%s is of another kind", segment,
				     o->name);
	if (version != o->version)
		return ipk_error_set(err, -EPROTO,
				     "%s/%s has layout version %u, this library reads %u: use the "
				     "library that made it",
				     segment, o->name, version, o->version);
	if (obj->size - (obj->body - obj->off) < o->min_body ||
	    (hooks && hooks->attachable && !hooks->attachable(obj)))
		return ipk_error_set(err, -EBADMSG, "%s/%s is damaged; see ipcctl fsck", segment,
				     o->name);
	return 0;
}

static int open_once(struct ipk_segment *seg, struct opening *o, struct ipk_obj *obj,
		     struct ipk_error *err)
{
	u64 off;
	int r = find_and_list(seg, o->me, &o->l, &o->fresh);

	if (r == -ENOENT)
		return ipk_error_set(err, r, "no object %s/%s", seg->name, o->name);
	if (r < 0)
		return ipk_error_set(err, r, "segment %s: the directory is damaged", seg->name);
	off = o->l.off;
	r = ipk_obj_bind(seg, off, obj);
	if (r == 0)
		r = check_kind(obj, o, err);
	else
		ipk_error_set(err, r, "%s/%s is damaged; see ipcctl fsck", seg->name, o->name);
	/* A reader lists nothing: what he found may have been freed under him. */
	if (!o->me && (ipk_obj_locate(seg, NULL, &o->l) != 0 || o->l.off != off))
		return -EAGAIN;
	if (r < 0 && o->fresh) {
		ipk_uses_drop(o->me, off);
		ipk_obj_unlisted(o->me, off);
	}
	return r;
}

/*
 * Makes the handle one of the process's. False: the close of another handle of the object took our
 * listing away before it could know of this one, and the object is not there any more.
 */
static bool enrol(struct opening *o, struct ipk_obj *obj)
{
	static u64 serial; /* of the process's handles */
	struct ipk_segment *seg = obj->seg;
	struct ipk_self *me = o->me;
	u64 n = ipk_add(&serial, 1, relaxed) + 1;
	bool lost = false;

	obj->fast = (struct ipk_fast){
		.key = n << IPK_FAST_SELF_BITS,
		.way = (u32)(n % IPK_FAST_WAYS),
	};
	obj->opener = me;
	if (me) {
		ipk_hold_get(me);
		obj->listed = me->tix < 64 ? UINT64_C(1) << me->tix : 0;
	}
	pthread_mutex_lock(&seg->mutex);
	obj->next = seg->objects;
	seg->objects = obj;
	if (me)
		lost = ipk_uses_add(me, obj->off) && !ipk_ld(&me->page->overflow, relaxed);
	pthread_mutex_unlock(&seg->mutex);
	if (!lost)
		return true;
	ipk_fence(seq_cst); /* as in find_and_list() */
	return ipk_obj_locate(seg, me, &o->l) == 0 && o->l.off == obj->off &&
	       ipk_ld(&obj->o->id, relaxed) == obj->id;
}

int ipk_obj_open(struct ipk_segment *seg, const char *name, u16 kind, u16 version, u64 min_body,
		 size_t handle_size, void **ret_handle, struct ipk_error *err)
{
	struct opening o = {.name = name, .kind = kind, .version = version, .min_body = min_body};
	struct ipk_obj *obj;
	int r = 0, i;

	if (!ipk_object_name_ok(name))
		return ipk_error_set(err, -ENOENT, "no object %s/%.80s", seg->name, name);
	if (seg->writable) {
		o.me = ipk_writer(seg, &r, err);
		if (!o.me)
			return r;
	}
	ipk_dir_name(&o.l.name, name);
	for (i = 0; i < RETRIES; i++) {
		obj = calloc(1, handle_size);
		if (!obj)
			return ipk_error_set(err, -ENOMEM, "out of memory");
		r = open_once(seg, &o, obj, err);
		if (r == 0 && enrol(&o, obj)) {
			*ret_handle = obj;
			return 0;
		}
		if (r == 0)
			ipk_obj_close(obj);
		else
			free(obj);
		if (r < 0 && r != -EAGAIN)
			return r;
	}
	return ipk_error_set(err, -ENOENT, "no object %s/%s", seg->name, name);
}

/* Does self use the object through another handle of this process? seg->mutex held. */
static bool used_elsewhere(struct ipk_obj *obj, const struct ipk_self *self)
{
	struct ipk_obj *other;

	for (other = obj->seg->objects; other; other = other->next) {
		if (other != obj && other->off == obj->off &&
		    (other->opener == self || self->tix >= 64 ||
		     (ipk_ld(&other->listed, relaxed) >> self->tix & 1)))
			return true;
	}
	return false;
}

static bool is_listed(struct ipk_self *self, u64 off)
{
	u32 n = ipk_ld(&self->page->nuses, relaxed), i;

	for (i = 0; i < n && i < IPK_ARRAY_LEN(self->page->uses); i++) {
		if (ipk_ld(&self->page->uses[i], relaxed) == off)
			return true;
	}
	return false;
}

/*
 * Each handle is a hold of its opener's, that of the one being closed, too; who has no other has
 * nothing. seg->mutex held.
 */
static bool holds_more(const struct ipk_obj *closing, const struct ipk_self *self)
{
	u64 handles = closing->opener == self;

	for (struct ipk_obj *obj = closing->seg->objects; obj; obj = obj->next)
		handles += obj->opener == self;
	return ipk_holds(self) > handles;
}

/*
 * A list that overflowed counts as all objects, and nothing removed is freed for it. When what we
 * use fits again it says so; who holds more than handles may use what none leads to. Only by its
 * own thread, which is not in the midst of anything else. seg->mutex held. True: others than the
 * object just closed may be freed now.
 */
static bool end_overflow(const struct ipk_obj *closing, struct ipk_self *me)
{
	struct ipk_obj *obj;
	u32 n = 0;

	if (!ipk_ld(&me->page->overflow, relaxed) || holds_more(closing, me))
		return false;
	for (obj = me->seg->objects; obj; obj = obj->next) {
		if (++n > IPK_ARRAY_LEN(me->page->uses))
			return false;
	}
	for (obj = me->seg->objects; obj; obj = obj->next) {
		ipk_uses_add(me, obj->off);
		if (!is_listed(me, obj->off))
			return false;
	}
	ipk_st(&me->page->overflow, 0u, release); /* the list comes before it */
	return true;
}

/*
 * Does self hold anything of the object, a lease for instance, that outlives the handle? Then it
 * goes on listing it, so that its death is seen there and the memory stays. seg->mutex held.
 */
static bool holds_of(struct ipk_obj *obj, struct ipk_self *self)
{
	const struct ipk_obj_hooks *hooks = ipk_obj_hooks(ipk_ld(&obj->o->kind, relaxed));

	return holds_more(obj, self) && hooks && hooks->holds && hooks->holds(obj, self->slot);
}

void ipk_obj_close(struct ipk_obj *obj)
{
	struct ipk_segment *seg = obj->seg;
	struct ipk_self *self, *me;
	bool fits = false;
	void **link;
	int r;

	pthread_mutex_lock(&seg->mutex);
	for (link = &seg->objects; *link; link = (void **)&((struct ipk_obj *)*link)->next) {
		if (*link == obj) {
			*link = obj->next;
			break;
		}
	}
	for (self = seg->selves; self; self = self->next) {
		bool listed = self == obj->opener || self->tix >= 64 ||
			      (ipk_ld(&obj->listed, relaxed) >> self->tix & 1);

		if (listed && !used_elsewhere(obj, self) && !holds_of(obj, self))
			ipk_uses_drop(self, obj->off);
	}
	if (ipk_self_cache && ipk_self_cache->seg == seg)
		fits = end_overflow(obj, ipk_self_cache);
	pthread_mutex_unlock(&seg->mutex);
	if (obj->opener)
		ipk_hold_put(obj->opener);
	if (seg->writable && ipk_ld(&ipk_header(seg)->zombies, relaxed)) {
		me = ipk_self(seg, &r);
		if (me && fits)
			ipk_reap_zombies(me);
		else if (me)
			ipk_obj_unlisted(me, obj->off);
	}
	free(obj);
}

bool ipk_stale(struct ipk_obj *obj)
{
	/* Who lists nothing may find another object in its place. */
	return ipk_ld(&obj->o->magic, relaxed) != IPK_OBJ_MAGIC ||
	       ipk_ld(&obj->o->id, relaxed) != obj->id ||
	       IPK_OBJ_STATE(ipk_ld(&obj->o->state, relaxed)) != IPK_OBJ_LIVE ||
	       ipk_ld(&ipk_header(obj->seg)->removed, relaxed);
}

int ipk_after_read_slow(struct ipk_obj *obj)
{
	ipk_fence(acquire); /* what was read of a later owner of the memory came with the removal */
	return ipk_stale(obj) ? -ESTALE : 0;
}
