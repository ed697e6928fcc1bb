/* SPDX-License-Identifier: MIT */
/*
 * Reads everything that there is to read of a segment, through every function of every kind, as the
 * command line and the mount do. For segments that are damaged or hostile: nothing of it may crash,
 * hang or write; what it returns does not matter.
 */
#ifndef TEST_WALK_H
#define TEST_WALK_H

#include "base/base.h"
#include "ipk/kind.h"
#include "ipk/render.h"

#define WALK_ITEMS 4096 /* enough of one object */
#ifndef WALK_FSCK
#define WALK_FSCK ipk_fsck
#endif

struct walk {
	struct ipk_view *view;
	struct ipk_buf out;
	struct ipk_type *type, *key;
	u64 items;
};

static inline int walk_item(void *arg, const struct ipk_item *item)
{
	struct walk *w = arg;

	w->out.len = 0;
	if (w->type && (w->key || !item->key))
		ipk_render_item(&w->out, item, w->type, w->key, IPK_RENDER_META);
	return ++w->items > WALK_ITEMS;
}

static inline int walk_participant(void *arg, const struct ipk_participant_info *p)
{
	(void)arg;
	return memchr(p->comm, '\0', sizeof(p->comm)) ? 0 : -EBADMSG;
}

static inline int walk_holder(void *arg, const struct ipk_participant_info *p, const char *role,
			      uint64_t count)
{
	(void)role;
	(void)count;
	return walk_participant(arg, p);
}

static inline void walk_kind(struct walk *w, const struct ipk_kind *kind,
			     const struct ipk_object_view *o)
{
	static const char *const keys[] = {"0", "7", "0..3", "..",
					   "k", "",  "a/b",  "18446744073709551614"};
	struct ipk_render render;
	uint64_t used, cap;

	kind->inspect(o, &used, &cap);
	w->out.len = 0;
	ipk_render_begin(&render, &w->out, IPK_RENDER_JSON);
	kind->stats_visit(o, &render.visitor);
	ipk_render_end(&render);
	w->items = 0;
	if (kind->items)
		kind->items(o, 0, UINT64_MAX, walk_item, w);
	w->items = 0;
	if (kind->peek)
		kind->peek(o, walk_item, w);
	for (size_t i = 0; kind->item && i < IPK_ARRAY_LEN(keys); i++) {
		w->items = 0;
		kind->item(o, keys[i], strlen(keys[i]), walk_item, w);
	}
	w->out.len = 0;
	if (kind->value)
		kind->value(o, &w->out);
	w->out.len = 0;
	if (kind->raw)
		kind->raw(o, &w->out);
}

static inline int walk_object(void *arg, const struct ipk_object_view *o)
{
	const struct ipk_kind *kind = ipk_kind_by_id(o->kind);
	struct walk *w = arg;
	char health[128];

	w->type = w->key = NULL;
	ipk_type_parse(o->type, strlen(o->type), &w->type, NULL);
	if (o->key_type)
		ipk_type_parse(o->key_type, strlen(o->key_type), &w->key, NULL);
	if (kind)
		walk_kind(w, kind, o);
	ipk_object_holders(o, walk_holder, w);
	ipk_object_waiters(o, walk_participant, w);
	ipk_object_health(o, health, sizeof(health));
	ipk_type_free(w->type);
	ipk_type_free(w->key);
	return 0;
}

static inline void walk_finding(void *arg, const char *where, const char *what)
{
	(void)arg;
	(void)where;
	(void)what;
}

/* The findings of fsck, or a negative error. */
static inline int walk_segment(int fd, const char *const names[])
{
	struct ipk_segment_info info;
	struct ipk_object_view o;
	struct walk w = {0};
	char health[128];
	int r;

	r = ipk_view_open_fd(fd, &w.view, NULL);
	if (r < 0)
		return r;
	ipk_view_info(w.view, &info);
	ipk_segment_health(w.view, health, sizeof(health));
	ipk_view_participants(w.view, walk_participant, &w);
	ipk_view_objects(w.view, walk_object, &w);
	for (; names && *names; names++)
		if (ipk_view_object(w.view, *names, &o, NULL) == 0)
			ipk_object_view_free(&o);
	r = WALK_FSCK(w.view, walk_finding, NULL, NULL);
	ipk_view_close(w.view);
	ipk_buf_free(&w.out);
	return r;
}

#endif
