/* SPDX-License-Identifier: MIT */
/* Subscribers of streams: their cursors, and reading without a lock. See stream.h. */
#include <stdlib.h>

#include "base/copy.h"
#include "kinds/await.h"
#include "kinds/stream.h"
#include "segment/registry.h"

struct ipk_stream_sub {
	struct ipk_stream *st;
	struct ipk_self *me; /* who holds the name; NULL: anonymous */
	struct ipk_stream_name *name;
	u64 owner; /* the word with which he does */
	u64 fork_gen;
	u64 next;
	u64 lost; /* since the last record */
};

/* ---- beginning and end ----------------------------------------------------------------------- */

static u64 begin_at(struct ipk_stream *st, u64 back)
{
	u64 first, next;

	ipk_stream_range(st, &first, &next);
	return back > next - first ? first : next - back;
}

/* Lock held. The name's place, or with free: one to put it in. NULL: none. */
static struct ipk_stream_name *find_name(struct ipk_stream *st, const char *name, bool free)
{
	struct ipk_stream_name *empty = NULL;

	for (u32 i = 0; i < st->s.subs; i++) {
		struct ipk_stream_name *n = ipk_stream_name_at(st->b, &st->s, i);

		if (!ipk_ld(&n->used, relaxed))
			empty = empty ? empty : n;
		else if (ipk_copy_same(n->name, name, strlen(name) + 1))
			return n;
	}
	return free ? empty : NULL;
}

/* Lock held. */
static bool is_owned(struct ipk_stream *st, struct ipk_stream_name *n)
{
	/* The word before the liveness of its owner. */
	u64 slot = ipk_ld(&n->owner, acquire) & IPK_STREAM_OWNER;

	return slot && !ipk_dead(st->obj.seg, (u32)slot - 1, true);
}

static int take_name(struct ipk_stream_sub *sub, const char *name, u64 back, struct ipk_error *err)
{
	struct ipk_stream *st = sub->st;
	struct ipk_stream_name *n = find_name(st, name, true);
	char text[IPK_STREAM_NAME_MAX + 1] = "";

	if (!n)
		return ipk_error_set(err, -EDQUOT, "no place for another name: all %u are taken",
				     st->s.subs);
	if (ipk_ld(&n->used, relaxed) && is_owned(st, n))
		return ipk_error_set(err, -EBUSY, "a living process is subscribed as \"%s\"", name);
	if (!ipk_ld(&n->used, relaxed)) {
		strcpy(text, name);
		ipk_copy_in(n->name, text, sizeof(text));
		ipk_st(&n->cursor, begin_at(st, back), relaxed);
	}
	sub->owner = (ipk_ld(&n->owner, relaxed) | IPK_STREAM_OWNER) + sub->me->slot + 2;
	ipk_st(&n->owner, sub->owner, relaxed);
	/* COMMIT of a new one. Release: name and cursor come before. */
	ipk_st(&n->used, UINT64_C(1), release);
	sub->name = n;
	sub->next = ipk_ld(&n->cursor, relaxed);
	return 0;
}

static int subscribe_as(struct ipk_stream_sub *sub, const char *name, u64 back,
			struct ipk_error *err)
{
	struct ipk_stream *st = sub->st;
	int r;

	if (!ipk_stream_name_ok(name))
		return ipk_error_set(err, -EINVAL,
				     "a subscriber's name has 1 to %u of A-Za-z0-9._-",
				     IPK_STREAM_NAME_MAX);
	sub->me = ipk_stream_lock(st, &r);
	if (!sub->me)
		return ipk_error_set(err, r, "%s", ipk_strerror(r));
	r = take_name(sub, name, back, err);
	if (r == 0)
		ipk_hold_get(sub->me);
	ipk_unlock(sub->me, &st->b->lock);
	return r;
}

int ipk_stream_subscribe(struct ipk_stream *st, const char *name, uint64_t back,
			 struct ipk_stream_sub **ret_sub, struct ipk_error *err)
{
	struct ipk_stream_sub *sub = calloc(1, sizeof(*sub));
	int r = 0;

	if (!sub)
		return ipk_error_set(err, -ENOMEM, "out of memory");
	sub->st = st;
	sub->fork_gen = st->obj.seg->fork_gen;
	if (name)
		r = subscribe_as(sub, name, back, err);
	else
		sub->next = begin_at(st, back);
	if (r < 0)
		free(sub);
	else
		*ret_sub = sub;
	return r;
}

/* A child of fork() has its parent's record, and not its name. */
static bool is_inherited(const struct ipk_stream_sub *sub)
{
	return sub->fork_gen != sub->st->obj.seg->fork_gen;
}

void ipk_stream_unsubscribe(struct ipk_stream_sub *sub)
{
	if (!sub)
		return;
	if (sub->name && !is_inherited(sub)) {
		ipk_cas(&sub->name->owner, &sub->owner, sub->owner & ~IPK_STREAM_OWNER, acq_rel);
		ipk_hold_put(sub->me);
	}
	free(sub);
}

void ipk_stream_sub_name(const struct ipk_stream_sub *sub, char *ret_name)
{
	ipk_copy_out(ret_name, sub->name->name, IPK_STREAM_NAME_MAX);
	ret_name[IPK_STREAM_NAME_MAX] = '\0';
}

int ipk_stream_forget(struct ipk_stream *st, const char *name)
{
	struct ipk_stream_name *n;
	struct ipk_self *me;
	int r;

	me = ipk_stream_lock(st, &r);
	if (!me)
		return r;
	n = ipk_stream_name_ok(name) ? find_name(st, name, false) : NULL;
	r = !n ? -ENOENT : is_owned(st, n) ? -EBUSY : 0;
	if (r == 0) {
		ipk_st(&n->owner, ipk_ld(&n->owner, relaxed) & ~IPK_STREAM_OWNER, relaxed);
		ipk_st(&n->used, UINT64_C(0), release);
	}
	ipk_unlock(me, &st->b->lock);
	if (r == 0)
		ipk_event_notify(&st->b->ev_room, INT32_MAX);
	return r;
}

/* ---- reading --------------------------------------------------------------------------------- */

struct reading {
	struct ipk_stream_sub *sub;
	void *buf;
	size_t size;
	struct ipk_stream_item item;
};

static void copy_data(struct ipk_stream *st, u64 at, void *buf, u64 len)
{
	u64 ring = st->s.bytes + st->s.spare, left = ring - at % ring, n = len < left ? len : left;
	const u8 *base = (const u8 *)st->b + st->s.data;

	ipk_copy_out(buf, base + at % ring, n);
	ipk_copy_out((u8 *)buf + n, base, len - n);
}

/* One try at a record that is there. -EAGAIN: it was overwritten meanwhile. */
static int copy_record(struct ipk_stream *st, struct reading *rd)
{
	struct ipk_stream_entry *e = ipk_stream_entry_of(st, rd->sub->next);
	u64 at = ipk_ld(&e->at, relaxed), len = ipk_ld(&e->len, relaxed);
	bool fits = len <= st->s.spare;

	rd->item.pos = rd->sub->next;
	rd->item.len = len;
	rd->item.time = ipk_ld(&e->time, relaxed);
	if (fits && len <= rd->size)
		copy_data(st, at, rd->buf, len);
	/* Pairs with the producer's fence: what was copied of a later record came with its head. */
	ipk_fence(acquire);
	if (ipk_ld(&st->b->head, relaxed) > rd->sub->next)
		return -EAGAIN;
	if (!fits)
		return -EBADMSG;
	return len > rd->size ? -EMSGSIZE : 0;
}

static int try_next(void *arg)
{
	struct reading *rd = arg;
	struct ipk_stream_sub *sub = rd->sub;
	struct ipk_stream *st = sub->st;
	int r;

	do {
		/* The flag first: what was let in before it is in the tail. */
		bool shut = ipk_stream_is_shut(st);
		/* Before the tail, which is never less. */
		u64 first = ipk_ld(&st->b->head, acquire);
		u64 next = ipk_ld(&st->b->word, acquire) / 2;

		if (first > next)
			return -EBADMSG;
		if (sub->next < first) {
			sub->lost += first - sub->next;
			sub->next = first;
		}
		if (sub->next >= next)
			return shut ? -EPIPE : -EAGAIN;
		r = copy_record(st, rd);
	} while (r == -EAGAIN);
	return r;
}

int ipk_stream_next(struct ipk_stream_sub *sub, void *buf, size_t size,
		    struct ipk_stream_item *ret_item, int64_t deadline)
{
	struct reading rd = {.sub = sub, .buf = buf, .size = size};
	struct ipk_stream *st = sub->st;
	struct ipk_self *me;
	int r = try_next(&rd);

	if (r == -EAGAIN && deadline != IPK_NOWAIT) {
		if (!st->obj.seg->writable) {
			r = ipk_await_poll(&st->obj, try_next, &rd, deadline);
		} else {
			me = ipk_use(&st->obj, &r);
			r = me ? ipk_await(&st->obj, me, &st->b->ev, try_next, &rd, deadline) : r;
		}
	}
	/* What was read may have been anything, and what it looked like as well. */
	if ((r == 0 || r == -EPIPE || r == -EMSGSIZE || r == -EBADMSG) &&
	    ipk_after_read(&st->obj) < 0)
		r = -ESTALE;
	rd.item.lost = sub->lost;
	if (r == 0) {
		sub->next++;
		sub->lost = 0;
	}
	if (ret_item && (r == 0 || r == -EMSGSIZE))
		*ret_item = rd.item;
	return r;
}

uint64_t ipk_stream_position(const struct ipk_stream_sub *sub)
{
	return sub->next;
}

void ipk_stream_seek(struct ipk_stream_sub *sub, uint64_t pos)
{
	sub->next = pos;
}

int ipk_stream_ack(struct ipk_stream_sub *sub)
{
	int r;

	if (!sub->name)
		return 0;
	if (is_inherited(sub))
		return -EPERM;
	if (!ipk_use(&sub->st->obj, &r))
		return r;
	/* Release: what was read of the record came before a producer may overwrite it. */
	ipk_st(&sub->name->cursor, sub->next, release);
	if (sub->st->s.policy == IPK_STREAM_BLOCK)
		ipk_event_notify(&sub->st->b->ev_room, INT32_MAX);
	return 0;
}
