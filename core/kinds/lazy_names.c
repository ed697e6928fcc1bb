/* SPDX-License-Identifier: MIT */
/* What the expression of a lazy value names: see lazy_expr.h. */
#include <stdlib.h>

#include "buf.h"
#include "kinds/lazy_expr.h"

#define DEPTH_MAX 16u
#define ASIDE_MAX 256u

int ipk_lzy_names_open(struct ipk_lzy_names *names, struct ipk_segment *seg, struct ipk_error *err)
{
	names->seg = seg;
	return ipk_view_open_fd(seg->fd, &names->view, err);
}

void ipk_lzy_names_close(struct ipk_lzy_names *names)
{
	for (u32 i = 0; i < names->n; i++) {
		struct ipk_lzy_name *n = &names->v[i];

		free(n->text);
		ipk_object_view_free(&n->o);
		ipk_type_free(n->type);
		ipk_buf_free(&n->value);
	}
	if (names->view)
		ipk_view_close(names->view);
}

/* ---- finding ------------------------------------------------------------------------- */

static int parse_type(struct ipk_lzy_name *n, const char *text, struct ipk_error *err)
{
	int r = ipk_type_parse(text, strlen(text), &n->type, err);

	return r < 0 ? ipk_error_set(err, r, "\"%s\" cannot stand in an expression: %s", n->text,
				     ipk_strerror(r))
		     : 0;
}

/* All elements of an array, which are as many as it has place for. */
static int elements(struct ipk_lzy_name *n, struct ipk_error *err)
{
	struct ipk_buf text = {0};
	uint64_t used, cap;
	int r = n->kind->inspect(&n->o, &used, &cap);

	if (!r)
		r = ipk_buf_printf(&text, "%s[%llu]", n->o.type, (unsigned long long)cap);
	if (!r)
		r = ipk_buf_add(&text, "", 1);
	if (!r)
		r = parse_type(n, text.data, err);
	ipk_buf_free(&text);
	return r;
}

static int type_of(struct ipk_lzy_name *n, struct ipk_error *err)
{
	unsigned flags = n->kind->flags;

	n->how = n->key                                             ? IPK_LZY_ITEM
		 : flags & IPK_KIND_VALUE && n->kind->items         ? IPK_LZY_VALUE
		 : flags & IPK_KIND_INDEXED && flags & IPK_KIND_RAW ? IPK_LZY_ELEMENTS
								    : IPK_LZY_COUNTS;
	if (n->key && !n->kind->item)
		return ipk_error_set(err, -EMEDIUMTYPE, "\"%s\" has no keys", n->text);
	if (n->how == IPK_LZY_ELEMENTS)
		return elements(n, err);
	return parse_type(n, n->how == IPK_LZY_COUNTS ? "{u64 used; u64 cap}" : n->o.type, err);
}

/* Splits OBJECT/KEY. */
static int take_text(struct ipk_lzy_name *n, const char *text, size_t len)
{
	char *slash;

	n->text = malloc(len + 1);
	if (!n->text)
		return -ENOMEM;
	memcpy(n->text, text, len);
	n->text[len] = '\0';
	n->len = len;
	slash = memchr(n->text, '/', len);
	if (slash) {
		*slash = '\0';
		n->key = slash + 1;
		n->key_len = len - (size_t)(n->key - n->text);
	}
	return 0;
}

static bool same(const struct ipk_lzy_name *n, const char *text, size_t len)
{
	size_t first = strlen(n->text);

	return n->len == len && memcmp(n->text, text, first) == 0 &&
	       (!n->key ||
		(text[first] == '/' && memcmp(n->key, text + first + 1, n->key_len) == 0));
}

int ipk_lzy_name(struct ipk_lzy_names *names, const char *text, size_t len, u32 *ret_id,
		 struct ipk_error *err)
{
	struct ipk_lzy_name *n = &names->v[names->n];
	int r;

	for (*ret_id = 0; *ret_id < names->n; ++*ret_id)
		if (same(&names->v[*ret_id], text, len))
			return 0;
	if (names->n == IPK_LZY_NAMES)
		return ipk_error_set(err, -EMSGSIZE, "more than %u names", IPK_LZY_NAMES);
	memset(n, 0, sizeof(*n));
	r = take_text(n, text, len);
	if (r < 0)
		return ipk_error_set(err, r, "out of memory");
	names->n++;
	r = ipk_view_object(names->view, n->text, &n->o, NULL);
	if (r == -ENOENT) {
		names->missing = true;
		return ipk_error_set(err, -EINVAL, "there is no object \"%s\"", n->text);
	}
	if (r < 0)
		return ipk_error_set(err, r, "\"%s\": %s", n->text, ipk_strerror(r));
	n->kind = ipk_kind_by_id(n->o.kind);
	if (!n->kind || n->kind->version != n->o.version)
		return ipk_error_set(err, -EPROTO, "\"%s\" is of an unknown kind", n->text);
	return type_of(n, err);
}

int ipk_lzy_find(void *arg, const char *text, size_t len, u32 *ret_id,
		 const struct ipk_type **ret_type, struct ipk_error *err)
{
	struct ipk_lzy_names *names = arg;
	int r = ipk_lzy_name(names, text, len, ret_id, err);

	if (!r)
		*ret_type = names->v[*ret_id].type;
	return r;
}

/* ---- loading ------------------------------------------------------------------------- */

static int append(void *arg, const struct ipk_item *item)
{
	struct ipk_lzy_name *n = arg;

	n->loaded = true;
	return ipk_buf_add(&n->value, item->data, item->len);
}

static int counts(struct ipk_lzy_name *n)
{
	uint64_t c[2];
	int r = n->kind->inspect(&n->o, &c[0], &c[1]);

	n->loaded = true;
	return r ? r : ipk_buf_add(&n->value, c, sizeof(c));
}

static int read_now(struct ipk_lzy_name *n)
{
	switch (n->how) {
	case IPK_LZY_COUNTS:
		return counts(n);
	case IPK_LZY_ITEM:
		return n->kind->item(&n->o, n->key, n->key_len, append, n);
	default:
		return n->kind->items(&n->o, 0, UINT64_MAX, append, n);
	}
}

struct nested {
	struct ipk_lazy *l;
	struct ipk_lzy_nest *nest;
	bool early;
	struct ipk_error *err;
};

static int compute_nested(void *arg, struct ipk_buf *out)
{
	struct nested *d = arg;
	int r = ipk_lazy_compute(d->l, d->nest, out, &d->early, d->err);

	if (r < 0 && !d->early)
		ipk_buf_str(out, d->err->text);
	return r;
}

static int failure_of(struct ipk_lazy *l, const char *name, struct ipk_error *err)
{
	char text[200];
	size_t len;

	if (ipk_lazy_error(l, text, sizeof(text), &len) < 0)
		len = 0;
	return ipk_error_set(err, -EREMOTEIO, "\"%s\" failed: %.*s", name, (int)len, text);
}

/* Without keeping it. A circle of what others compute would have no end, nor would much of it. */
static int take_aside(struct ipk_lzy_name *n, struct nested *d)
{
	if (d->nest->aside++ == ASIDE_MAX)
		return ipk_error_set(d->err, -ELOOP, "others compute too much of what it wants");
	return ipk_lazy_compute(d->l, d->nest, &n->value, &d->early, d->err);
}

/* The value that another one's expression gives, kept there, unless somebody else is at that. */
static int take_nested(struct ipk_lzy_name *n, struct nested *d)
{
	size_t len = 0;
	int r;

	/* Never waits: who computes that one may be waiting for what we compute. */
	r = ipk_lazy_force(d->l, compute_nested, d, NULL, 0, &len, IPK_NOWAIT);
	while (r == -EMSGSIZE) {
		if (ipk_buf_grow(&n->value, len))
			return -ENOMEM;
		r = ipk_lazy_peek(d->l, n->value.data, n->value.cap, &len);
	}
	if (r == 0)
		n->value.len = len;
	else if (r == -EDEADLK)
		r = ipk_error_set(d->err, r, "\"%s\" depends on itself", n->text);
	else if (r == -EREMOTEIO)
		r = failure_of(d->l, n->text, d->err);
	else if (r == -EAGAIN && !d->early)
		r = take_aside(n, d);
	return r;
}

/* What a lazy value gives that is not there yet: computed now, where the library can do that. */
static int load_lazy(struct ipk_lzy_names *names, struct ipk_lzy_name *n, struct ipk_error *err)
{
	struct nested d = {.nest = names->nest, .err = err};
	int r;

	if (d.nest->depth == DEPTH_MAX)
		return ipk_error_set(err, -ELOOP, "more than %u lazy values want each other",
				     DEPTH_MAX);
	r = ipk_lazy_open(names->seg, n->text, n->o.type, &d.l, err);

	if (r < 0)
		return r;
	if (d.l->thunk == IPK_LAZY_EXPR) {
		d.nest->depth++;
		r = take_nested(n, &d);
		d.nest->depth--;
		n->loaded = !r;
		names->early |= d.early;
	}
	ipk_lazy_close(d.l);
	return r;
}

static int why_not(struct ipk_lzy_names *names, struct ipk_lzy_name *n, int r,
		   struct ipk_error *err)
{
	if (r == -ENOENT || r == -ERANGE || (r == -EINVAL && n->key))
		return ipk_error_set(err, r, "\"%s\" has nothing at \"%s\"", n->text, n->key);
	names->early |= r == -EAGAIN || r == -ENOMEM || r == 0;
	if (r < 0)
		return err->text[0] ? r
				    : ipk_error_set(err, r, "\"%s\": %s", n->text, ipk_strerror(r));
	return ipk_error_set(err, -EAGAIN, "\"%s\" is not there yet", n->text);
}

int ipk_lzy_load(void *arg, u32 id, const void **ret_val, size_t *ret_len, struct ipk_error *err)
{
	struct ipk_lzy_names *names = arg;
	struct ipk_lzy_name *n = &names->v[id];
	int r = 0;

	if (err)
		err->text[0] = '\0';
	if (!n->loaded)
		r = read_now(n);
	if (r >= 0 && !n->loaded && n->how == IPK_LZY_VALUE && n->o.kind == ipk_kind_lazy.id)
		r = load_lazy(names, n, err);
	/* A value that was not read to its end is no value. */
	if (r < 0 || !n->loaded)
		return n->loaded = false, why_not(names, n, r, err);
	if (!ipk_object_view_current(&n->o))
		return ipk_error_set(err, -ESTALE, "\"%s\" was removed", n->text);
	*ret_val = n->value.data ? n->value.data : "";
	*ret_len = n->value.len;
	return 0;
}
