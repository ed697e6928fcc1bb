/* SPDX-License-Identifier: MIT */
/*
 * A schema, a pipeline and the bytes of elements, the first two ended by a newline. What is
 * accepted computes what it is fed; what it saves is scribbled on by the last bytes, and is
 * refused, or goes on.
 */
#include <stdlib.h>

#include "kinds/stream_pipe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct text {
	const char *schema;
	size_t len;
};

/* "other" has elements of u16, all else those of the schema. */
static int type_of(void *arg, const char *stream, struct ipk_type **ret_type, struct ipk_error *err)
{
	const struct text *t = arg;

	return strcmp(stream, "other") == 0 ? ipk_type_parse("u16", 3, ret_type, err)
					    : ipk_type_parse(t->schema, t->len, ret_type, err);
}

static int sink(void *arg, const struct ipk_pipe_item *item)
{
	static volatile u8 sum;
	const struct ipk_pipe *p = arg;
	bool list;
	const struct ipk_type *type = ipk_pipe_type(p, &list);

	for (size_t i = 0; i < item->len; i++)
		sum = (u8)(sum + item->data[i]);
	if (list != item->list || (!list && type->size && item->len != type->size))
		abort();
	return 0;
}

static void feed(struct ipk_pipe *p, const u8 *data, size_t len)
{
	for (u64 turn = 1; len && turn < 64; turn++) {
		unsigned source = data[0] % p->sources;
		size_t n =
			p->source[source].type->size ? p->source[source].type->size : data[0] / 16u;

		data++;
		len--;
		if (n > len)
			break;
		if (ipk_pipe_wants(p, source))
			ipk_pipe_feed(p, source, data, n, turn * 1000);
		data += n;
		len -= n;
	}
}

static void end(struct ipk_pipe *p)
{
	for (unsigned i = 0; i < p->sources; i++)
		p->source[i].place.ended = 1;
	for (unsigned i = 0; ipk_pipe_flush(p) > 0; i++)
		if (i > p->n)
			abort();
	if (!ipk_pipe_done(p))
		abort();
}

static void scribble(struct ipk_buf *saved, const u8 *data, size_t len)
{
	for (; len >= 3 && saved->len; data += 3, len -= 3)
		saved->data[(data[0] | data[1] << 8) % saved->len] = (char)data[2];
}

static void run(struct ipk_pipe *p, const u8 *data, size_t len)
{
	struct ipk_buf saved = {0}, again = {0};
	size_t tail = len < 12 ? len : 12;

	p->sink = sink;
	p->arg = p;
	feed(p, data, len - tail);
	if (ipk_pipe_save(p, &saved) != 0 || ipk_pipe_load(p, saved.data, saved.len) != 0)
		abort();
	if (ipk_pipe_save(p, &again) != 0 || again.len != saved.len ||
	    memcmp(again.data, saved.data, saved.len) != 0)
		abort();
	scribble(&saved, data + len - tail, tail);
	if (ipk_pipe_load(p, saved.data, saved.len) == 0) {
		feed(p, data, len - tail);
		end(p);
	}
	ipk_buf_free(&saved);
	ipk_buf_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const u8 *stop = data + size, *line = memchr(data, '\n', size), *rest;
	struct text t = {(const char *)data, (size_t)(line ? line - data : 0)};
	struct ipk_buf text = {0};
	struct ipk_error err = {0};
	struct ipk_pipe *p;
	int r;

	rest = line ? memchr(line + 1, '\n', (size_t)(stop - line - 1)) : NULL;
	if (!rest)
		return 0;
	ipk_buf_str(&text, "in | ");
	ipk_buf_add(&text, line + 1, (size_t)(rest - line - 1));
	r = ipk_pipe_parse(text.data, text.len, type_of, &t, &p, &err);
	if (r == 0) {
		if (p->source[0].type->size <= 1u << 12)
			run(p, rest + 1, (size_t)(stop - rest - 1));
		ipk_pipe_free(p);
	} else if (!err.text[0] && r != -ENOMEM) {
		abort();
	}
	ipk_buf_free(&text);
	return 0;
}
