/* SPDX-License-Identifier: MIT */
/* Derived streams for C programs: made and opened. They are run in stream_run.c. */
#include <stdlib.h>

#include "buf.h"
#include "kinds/stream_derive.h"
#include "object_type.h"

/* ---- types of streams ------------------------------------------------------------------- */

struct lookup {
	struct ipk_segment *seg;
	const char *name; /* the derived one, or NULL */
};

static int type_of(void *arg, const char *name, struct ipk_type **ret_type, struct ipk_error *err)
{
	const struct lookup *l = arg;
	struct ipk_stream *st;
	int r;

	if (l->name && strcmp(name, l->name) == 0)
		return ipk_error_set(err, -EINVAL, "\"%s\" cannot be derived from itself", name);
	r = ipk_stream_open(l->seg, name, NULL, &st, err);
	if (r < 0)
		return r;
	r = ipk_obj_type(&st->obj, name, IPK_TYPE_OF_VALUES, st->s.size, NULL, ret_type, err);
	ipk_stream_close(st);
	return r;
}

/* ---- making ----------------------------------------------------------------------------- */

/* At the first n sources: nobody will ever read there, and none is to keep anything for it. */
static void give_up_places(struct ipk_segment *seg, const char *name, const struct ipk_pipe *p,
			   unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct ipk_stream *st;

		if (ipk_stream_open(seg, p->source[i].place.name, NULL, &st, NULL) < 0)
			continue;
		ipk_stream_forget(st, name);
		ipk_stream_close(st);
	}
}

/* Takes a place at each source, so that one that waits for its subscribers keeps all from here on.
 */
static int reserve_places(struct ipk_segment *seg, const char *name, const struct ipk_pipe *p,
			  struct ipk_error *err)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < p->sources; i++) {
		struct ipk_stream_sub *sub;
		struct ipk_stream *st;

		r = ipk_stream_open(seg, p->source[i].place.name, NULL, &st, err);
		if (r < 0)
			break;
		/* One that was called so before, and is gone, may have left its own. */
		ipk_stream_forget(st, name);
		r = ipk_stream_subscribe(st, name, IPK_STREAM_FROM_START, &sub, err);
		if (r == 0)
			ipk_stream_unsubscribe(sub);
		ipk_stream_close(st);
		if (r < 0)
			give_up_places(seg, name, p, i);
	}
	return r;
}

static int make(struct ipk_segment *seg, const char *name, const struct ipk_pipe *p,
		const struct ipk_stream_options *options, struct ipk_error *err)
{
	struct ipk_stream_options o = options ? *options : (struct ipk_stream_options){0};
	u64 room = ipk_pipe_room(p);
	int r;

	if (o.type)
		return ipk_error_set(err, -EINVAL,
				     "the type of a derived stream is that of its pipeline, %s",
				     ipk_pipe_schema(p));
	o.type = ipk_pipe_schema(p);
	if (o.state < room)
		o.state = room;
	r = ipk_stream_create_derived(seg, name, &o, p->text, err);
	if (r < 0)
		return r;
	r = reserve_places(seg, name, p, err);
	if (r < 0)
		ipk_object_remove(seg, name, NULL);
	return r;
}

int ipk_derive_create(struct ipk_segment *seg, const char *name, const char *source,
		      const char *text, const struct ipk_stream_options *options,
		      struct ipk_error *err)
{
	struct lookup l = {seg, name};
	struct ipk_buf all = {0};
	struct ipk_pipe *p;
	int r;

	if (strlen(text) > IPK_DERIVE_TEXT_MAX)
		return ipk_error_set(err, -EMSGSIZE, "more than %u characters",
				     IPK_DERIVE_TEXT_MAX);
	r = ipk_buf_printf(&all, "%s | %s", source, text);
	if (r < 0)
		return ipk_error_set(err, r, "out of memory");
	for (size_t i = 0; i < all.len; i++)
		if (all.data[i] == '\n' || all.data[i] == '\t')
			all.data[i] = ' '; /* it is shown on one line */
	r = ipk_pipe_parse(all.data, all.len, type_of, &l, &p, err);
	ipk_buf_free(&all);
	if (r < 0)
		return r;
	r = make(seg, name, p, options, err);
	ipk_pipe_free(p);
	return r;
}

int ipk_derive_create_ops(struct ipk_segment *seg, const char *name, const char *source,
			  const struct ipk_derive_op *ops, unsigned n,
			  const struct ipk_stream_options *options, struct ipk_error *err)
{
	struct lookup l = {seg, name};
	struct ipk_pipe *p;
	int r = ipk_pipe_make(source, ops, n, type_of, &l, &p, err);

	if (r < 0)
		return r;
	r = make(seg, name, p, options, err);
	ipk_pipe_free(p);
	return r;
}

/* ---- opening ---------------------------------------------------------------------------- */

/* What was committed last. */
static int read_state(struct ipk_derive *d, struct ipk_error *err)
{
	size_t room = d->out->s.room;
	int r;

	d->state.len = 0;
	if (!ipk_buf_room(&d->state, room))
		return ipk_error_set(err, -ENOMEM, "out of memory");
	r = room ? ipk_stream_state(d->out, d->state.data, room, &d->state.len) : 0;
	return r < 0 ? ipk_error_set(err, r, "%s", ipk_strerror(r)) : 0;
}

static int damaged(struct ipk_error *err)
{
	return ipk_error_set(err, -EBADMSG, "what its operators keep is damaged");
}

static int bind_pipe(struct ipk_derive *d, const char *name, const struct ipk_derive_op *ops,
		     unsigned n, struct ipk_error *err)
{
	struct lookup l = {d->seg, name};
	struct ipk_pipe_head head;
	char source[64] = "";
	const char *text;
	int r;

	r = ipk_pipe_text(d->state.data, d->state.len, &head, &text);
	if (r == -EINVAL)
		return ipk_error_set(err, r,
				     "it is not derived: ipcctl derive makes derived streams");
	if (r < 0)
		return damaged(err);
	if (n) {
		for (unsigned i = 0; i < head.text_len && i < sizeof(source) - 1 && text[i] != ' ';
		     i++)
			source[i] = text[i];
		r = ipk_pipe_make(source, ops, n, type_of, &l, &d->pipe, err);
	} else {
		r = ipk_pipe_parse(text, head.text_len, type_of, &l, &d->pipe, err);
	}
	if (r < 0)
		return r;
	if (strlen(d->pipe->text) != head.text_len ||
	    memcmp(d->pipe->text, text, head.text_len) != 0)
		return ipk_error_set(err, -EINVAL, "it was made with other operators, %.*s",
				     head.text_len < 120 ? (int)head.text_len : 120, text);
	if (strcmp(ipk_pipe_schema(d->pipe), d->type->text) != 0)
		return ipk_error_set(err, -EMEDIUMTYPE,
				     "its type is %.60s, but its pipeline gives %.60s now",
				     d->type->text, ipk_pipe_schema(d->pipe));
	return 0;
}

static int bind_source(struct ipk_derive *d, unsigned i, const char *name, struct ipk_error *err)
{
	const struct ipk_pipe_source *from = &d->pipe->source[i];
	struct ipk_derive_source *s = &d->source[i];
	int r;

	r = ipk_stream_open(d->seg, from->place.name, from->type->text, &s->st, err);
	if (r == 0)
		r = ipk_stream_subscribe(s->st, name, IPK_STREAM_FROM_START, &s->sub, err);
	return r == -EBUSY ? ipk_error_set(err, r, "another process runs it") : r;
}

static int go_to_place(struct ipk_derive *d, unsigned i, struct ipk_error *err)
{
	struct ipk_pipe_place *place = &d->pipe->source[i].place;
	struct ipk_derive_source *s = &d->source[i];
	u64 first, next;

	if (!d->pipe->head.ran) {
		place->next = ipk_stream_position(s->sub);
		place->id = s->st->obj.id;
		return 0;
	}
	ipk_stream_range(s->st, &first, &next);
	if (place->id != s->st->obj.id || place->next > next)
		return ipk_error_set(err, -EINVAL,
				     "\"%s\" was removed and made anew: it is another stream now",
				     place->name);
	ipk_stream_seek(s->sub, place->next);
	return 0;
}

static int bind(struct ipk_derive *d, const char *name, const struct ipk_derive_op *ops, unsigned n,
		struct ipk_error *err)
{
	int r = ipk_stream_open(d->seg, name, NULL, &d->out, err);

	if (r == 0)
		r = ipk_obj_type(&d->out->obj, name, IPK_TYPE_OF_VALUES, d->out->s.size, NULL,
				 &d->type, err);
	if (r == 0)
		r = read_state(d, err);
	if (r == 0)
		r = bind_pipe(d, name, ops, n, err);
	for (unsigned i = 0; r == 0 && i < d->pipe->sources; i++)
		r = bind_source(d, i, name, err);
	/* Only now is it ours: whoever ran it before has committed its last. */
	if (r == 0)
		r = read_state(d, err);
	if (r == 0 && ipk_pipe_load(d->pipe, d->state.data, d->state.len) < 0)
		r = damaged(err);
	for (unsigned i = 0; r == 0 && i < d->pipe->sources; i++)
		r = go_to_place(d, i, err);
	return r;
}

/*
 * Records of one commit. Of a fixed type as many as surely fit: then the state is saved once, when
 * all of them are in. Of a variable type it is saved with each, in case the next does not fit.
 */
static unsigned most_at_once(const struct ipk_stream_shape *s)
{
	u64 most = s->cap < IPK_STREAM_BATCH ? s->cap : IPK_STREAM_BATCH, fit;

	if (s->size) {
		fit = (s->spare - s->size) / ipk_align_up(s->size, 8) + 1;
		most = most < fit ? most : fit;
	}
	return (unsigned)most;
}

int ipk_derive_open(struct ipk_segment *seg, const char *name, const struct ipk_derive_op *ops,
		    unsigned n, struct ipk_derive **ret_derive, struct ipk_error *err)
{
	struct ipk_derive *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return ipk_error_set(err, -ENOMEM, "out of memory");
	d->seg = seg;
	r = bind(d, name, ops, n, err);
	if (r < 0) {
		ipk_derive_close(d);
		return r;
	}
	d->batch.most = most_at_once(&d->out->s);
	d->pipe->sink = ipk_derive_add;
	d->pipe->arg = d;
	*ret_derive = d;
	return 0;
}

void ipk_derive_close(struct ipk_derive *d)
{
	if (!d)
		return;
	for (unsigned i = 0; i < IPK_DERIVE_SOURCES; i++) {
		ipk_stream_unsubscribe(d->source[i].sub);
		ipk_stream_close(d->source[i].st);
		free(d->source[i].buf);
	}
	ipk_pipe_free(d->pipe);
	ipk_type_free(d->type);
	ipk_stream_close(d->out);
	ipk_buf_free(&d->batch.bytes);
	ipk_buf_free(&d->state);
	ipk_buf_free(&d->next);
	ipk_buf_free(&d->text);
	free(d);
}

void ipk_derive_counts(const struct ipk_derive *d, struct ipk_derive_counts *ret)
{
	*ret = (struct ipk_derive_counts){.read = d->pipe->head.read,
					  .missed = d->pipe->head.missed,
					  .failed = d->pipe->head.failed};
}

const char *ipk_derive_failure(const struct ipk_derive *d)
{
	return d->pipe->failure.text;
}
