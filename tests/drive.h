/* SPDX-License-Identifier: MIT */
/*
 * Attaches the object of each kind, called like its kind, and runs every verb on it, as the command
 * line does. For segments that are damaged or hostile: what it returns does not matter, but it
 * comes to an end and no access leaves the segment. Nobody is waited for.
 */
#ifndef TEST_DRIVE_H
#define TEST_DRIVE_H

#include <unistd.h>

#include "fill.h"

#define DRIVE_ARGS 8
#define DRIVE_ITEMS 300

struct drive {
	struct fill fill; /* the call, and the value that goes in */
	struct ipk_type *type, *key;
	u64 items;
	u8 sum; /* of what came out: all of it is read */
};

static inline int drive_emit(struct ipk_call *call, const struct ipk_item *item)
{
	struct drive *d = call->tool;

	for (u64 i = 0; i < item->len; i++)
		d->sum ^= ((const u8 *)item->data)[i];
	for (u64 i = 0; item->key && i < item->key_len; i++)
		d->sum ^= ((const u8 *)item->key)[i];
	return ++d->items > DRIVE_ITEMS ? -EPIPE : 0;
}

static inline int drive_next(struct ipk_call *call, struct ipk_item *item, int max)
{
	return fill_next(call, item, max);
}

static inline void drive_args(const struct ipk_op *op, struct ipk_argval val[DRIVE_ARGS])
{
	memset(val, 0, DRIVE_ARGS * sizeof(*val));
	for (int i = 0; op->args && i < DRIVE_ARGS && op->args[i].type != IPK_ARG_END; i++) {
		const char *text = op->args[i].value;

		if (!text && op->args[i].positional)
			text = "1";
		if (text && op->args[i].type != IPK_ARG_FLAG)
			ipk_arg_parse(&op->args[i], text, strlen(text), &val[i], NULL);
	}
}

static inline void drive_op(struct drive *d, const struct ipk_op *op, const char *key)
{
	struct ipk_argval val[DRIVE_ARGS];
	struct ipk_call *call = &d->fill.call;

	drive_args(op, val);
	call->arg = val;
	call->key = key;
	call->key_len = key ? strlen(key) : 0;
	call->count = 3;
	call->done = 0;
	call->err = (struct ipk_error){0};
	call->hold = op->flags & IPK_OP_CMD && !(op->flags & IPK_OP_OUT);
	call->hold_fd = -1;
	call->idle = false;
	d->fill.left = 3;
	d->items = 0;
	if (op->run(call) == 0 && call->hold && !call->idle && op->ended)
		op->ended(call, 0);
	if (call->hold_fd >= 0)
		close(call->hold_fd);
	call->arg = NULL;
}

/* The types are what the object says, if that can be read, as for a tool. */
static inline int drive_types(struct drive *d, int fd, const struct ipk_kind *kind)
{
	const char *type = kind->type, *key = kind->key;
	struct ipk_object_view o;
	struct ipk_view *view;
	bool seen = false;
	int r = -1;

	if (ipk_view_open_fd(fd, &view, NULL) == 0) {
		seen = ipk_view_object(view, kind->name, &o, NULL) == 0;
		if (seen) {
			type = o.type;
			key = o.key_type;
		}
		if (ipk_type_parse(type, strlen(type), &d->type, NULL) == 0 &&
		    (!key || ipk_type_parse(key, strlen(key), &d->key, NULL) == 0) &&
		    d->type->size <= 1u << 20)
			r = fill_value(d->type, &d->fill.value);
		if (seen)
			ipk_object_view_free(&o);
		ipk_view_close(view);
	}
	d->fill.call.type = d->type;
	d->fill.call.key_type = d->key;
	return r;
}

static inline void drive_kind(struct ipk_segment *seg, int fd, bool writable,
			      const struct ipk_kind *kind)
{
	static const char *const keys[] = {NULL, "key3", "0", "1..3"};
	struct drive d = {
		.fill.call = {
			.seg = seg, .next = drive_next, .emit = drive_emit, .flush = fill_flush}};

	d.fill.call.tool = &d;
	if (drive_types(&d, fd, kind) == 0 &&
	    kind->attach(seg, kind->name, &d.fill.call.handle, NULL) == 0) {
		for (const struct ipk_op *op = kind->ops; op->name; op++) {
			if (!writable && op->flags & (IPK_OP_WRITE | IPK_OP_CONSUME))
				continue;
			for (size_t i = 0; i < IPK_ARRAY_LEN(keys); i++)
				if (!keys[i] == !(op->flags & IPK_OP_KEY))
					drive_op(&d, op, keys[i]);
		}
		kind->detach(d.fill.call.handle);
	}
	ipk_type_free(d.type);
	ipk_type_free(d.key);
	ipk_buf_free(&d.fill.value);
}

/* All kinds of the segment that fd is a descriptor of, and a new object besides. */
static inline void drive_segment(int fd, bool writable)
{
	static uint32_t cancelled = 1; /* whoever would wait comes back */
	const unsigned mode = writable ? IPK_READ | IPK_WRITE : IPK_READ;
	struct ipk_segment *seg;

	ipk_thread_cancel_word(&cancelled);
	if (ipk_segment_open_fd(fd, mode, &seg, NULL) == 0) {
		for (const struct ipk_kind *const *k = ipk_kinds; *k; k++)
			drive_kind(seg, fd, writable, *k);
		if (writable) {
			ipk_object_new(seg, "new", "queue", NULL, 0, NULL);
			ipk_object_rename(seg, "new", "newer", NULL);
			ipk_object_remove(seg, "map", NULL);
			ipk_object_remove(seg, "newer", NULL);
			ipk_segment_sweep(seg);
		}
		ipk_segment_close(seg);
	}
	ipk_thread_cancel_word(NULL);
}

#endif
