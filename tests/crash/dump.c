/* SPDX-License-Identifier: MIT */
/* Contents of a segment as text, to be compared. */
#include <stdio.h>
#include <stdlib.h>

#include "crash.h"

const struct ipk_type *type_of(const char *text)
{
	static struct {
		char *text;
		struct ipk_type *type;
	} known[16];
	unsigned i = 0;

	while (i < IPK_ARRAY_LEN(known) && known[i].text && strcmp(known[i].text, text) != 0)
		i++;
	if (i == IPK_ARRAY_LEN(known)) {
		ipk_type_free(known[--i].type);
		free(known[i].text);
		known[i].text = NULL;
	}
	if (known[i].text)
		return known[i].type;
	if (ipk_type_parse(text, strlen(text), &known[i].type, NULL) != 0)
		return NULL;
	known[i].text = strdup(text);
	return known[i].type;
}

struct dump {
	struct ipk_buf *out;
	const struct ipk_type *type, *key;
	bool keyed;
};

static int dump_item(void *arg, const struct ipk_item *item)
{
	struct dump *d = arg;

	if (d->keyed && d->key) {
		ipk_value_print(d->key, item->key, item->key_len, IPK_VALUE_JSON, d->out);
		ipk_buf_str(d->out, "=");
	}
	if (ipk_value_print(d->type, item->data, item->len, IPK_VALUE_JSON, d->out) != 0)
		ipk_buf_str(d->out, "?");
	if (item->leased)
		ipk_buf_str(d->out, " leased");
	return ipk_buf_str(d->out, "\n");
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorts the lines of text: the order of a map's items is nobody's business. */
static void sort_lines(struct ipk_buf *out, size_t from)
{
	char *lines[512], *text = strndup(out->data + from, out->len - from), *save = NULL;
	size_t n = 0;

	for (char *l = strtok_r(text, "\n", &save); l && n < 512; l = strtok_r(NULL, "\n", &save))
		lines[n++] = l;
	qsort(lines, n, sizeof(*lines), compare_lines);
	out->len = from;
	for (size_t i = 0; i < n; i++)
		ipk_buf_printf(out, "%s\n", lines[i]);
	free(text);
}

static int dump_object(void *arg, const struct ipk_object_view *o)
{
	struct ipk_buf *out = arg;
	const struct ipk_kind *kind = ipk_kind_by_id(o->kind);
	struct dump d = {.out = out};
	uint64_t used = 0, cap = 0;
	size_t from;
	int r;

	if (!kind)
		return -EPROTO;
	r = kind->inspect(o, &used, &cap);
	ipk_buf_printf(out, "[%s %s used %llu cap %llu]\n", o->name, kind->name,
		       (unsigned long long)used, (unsigned long long)cap);
	if (r != 0)
		return ipk_buf_printf(out, "inspect: %s\n", ipk_strerror(r));
	if (kind->value)
		kind->value(o, out);
	if (kind->items && (d.type = type_of(o->type))) {
		if (o->key_type)
			d.key = type_of(o->key_type);
		d.keyed = kind->flags & IPK_KIND_KEYED;
		from = out->len;
		r = kind->items(o, 0, UINT64_MAX, dump_item, &d);
		if (r != 0)
			ipk_buf_printf(out, "items: %s\n", ipk_strerror(r));
		else if (d.keyed && out->data)
			sort_lines(out, from);
	}
	return ipk_buf_str(out, "\n");
}

struct named {
	char name[64];
	char *text;
};

struct objects {
	struct named v[32];
	unsigned n;
};

static int collect(void *arg, const struct ipk_object_view *o)
{
	struct objects *all = arg;
	struct ipk_buf one = {0};

	if (all->n == 32)
		return 0;
	dump_object(&one, o);
	ipk_buf_add(&one, "", 1);
	memcpy(all->v[all->n].name, o->name, sizeof(o->name));
	all->v[all->n++].text = one.data;
	return 0;
}

static int compare_named(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

int world_dump(const char *name, struct ipk_buf *out)
{
	struct objects all = {0};
	struct ipk_view *view;
	int r = ipk_view_open(name, &view, NULL);

	if (r != 0)
		return r;
	r = ipk_view_objects(view, collect, &all);
	qsort(all.v, all.n, sizeof(all.v[0]), compare_named);
	for (unsigned i = 0; i < all.n; i++) {
		ipk_buf_str(out, all.v[i].text);
		free(all.v[i].text);
	}
	ipk_buf_add(out, "", 1);
	ipk_view_close(view);
	return r;
}
