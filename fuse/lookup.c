/* SPDX-License-Identifier: MIT */
/* Names to places: what a name means below a directory. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipcfs.h"

int place_set_key(struct place *p, const char *key, size_t len)
{
	p->key = malloc(len + 1);
	if (!p->key)
		return -ENOMEM;
	memcpy(p->key, key, len);
	p->key[len] = 0;
	p->key_len = len;
	return 0;
}

/* Name in items/ to key: a position without its zeros, or the key's text. */
static int item_key(struct place *p, const struct subject *s, const char *name)
{
	char text[24];
	uint64_t pos;

	if (s->kind->flags & IPK_KIND_KEYED)
		return name_decode(name, &p->key, &p->key_len);
	if (!name_position(name, &pos))
		return -ENOENT;
	return place_set_key(p, text,
			     (size_t)snprintf(text, sizeof(text), "%llu", (unsigned long long)pos));
}

/* A cut name: the one key whose name that is. */
struct hashed {
	struct job *j;
	const char *name;
	const struct subject *s;
	struct place *p;
};

static int match_hashed(void *arg, const struct ipk_item *item)
{
	struct hashed *h = arg;
	char name[IPCFS_NAME_MAX + 1];
	struct ipk_buf key = {0};
	int r;

	if (job_cancelled(h->j))
		return -ECANCELED;
	r = key_text(h->s, item, &key);
	if (r < 0)
		return r;
	name_encode(key.data, key.len, name);
	if (strcmp(name, h->name) == 0) {
		place_clear(h->p);
		r = place_set_key(h->p, key.data, key.len);
		r = r < 0 ? r : 1;
	}
	ipk_buf_free(&key);
	return r;
}

static int find_hashed(struct job *j, struct subject *s, struct place *p, const char *name)
{
	struct hashed h = {.j = j, .name = name, .s = s, .p = p};
	int r;

	if (!(s->kind->flags & IPK_KIND_KEYED) || !name_is_hashed(name))
		return -ENOENT;
	r = subject_types(s);
	if (r == 0)
		r = s->kind->items(&s->obj, 0, UINT64_MAX, match_hashed, &h);
	return r == 1 ? 0 : r < 0 ? r : -ENOENT;
}

static const struct file_info *by_name(const struct file_info *f, const char *name)
{
	while (f->name && strcmp(f->name, name) != 0)
		f++;
	return f->name ? f : NULL;
}

/* What name means below parent, as far as it can be said without looking. */
static int child(const struct place *parent, const char *name, struct place *p)
{
	const struct file_info *f = NULL;

	*p = *parent;
	p->key = NULL;
	p->key_len = 0;
	if (strlen(name) > IPCFS_NAME_MAX)
		return -ENAMETOOLONG;
	switch (parent->file) {
	case F_ROOT:
		f = by_name(root_files, name);
		p->file = f ? f->file : F_SEG;
		if (!f && (!ipk_segment_name_ok(name) || strlen(name) >= sizeof(p->seg)))
			return -ENOENT;
		if (!f)
			strcpy(p->seg, name);
		return 0;
	case F_SEG:
		f = by_name(segment_files, name);
		p->file = f ? f->file : F_OBJ;
		if (!f && (!ipk_object_name_ok(name) || strlen(name) >= sizeof(p->obj)))
			return -ENOENT;
		if (!f)
			strcpy(p->obj, name);
		return 0;
	case F_OBJ:
		f = by_name(object_files, name);
		p->file = f ? f->file : F_OBJ;
		return f ? 0 : -ENOENT;
	case F_ITEMS:
		p->file = F_ITEM;
		return 0;
	case F_WAITDIR:
		p->file = F_WAIT;
		return place_set_key(p, name, strlen(name));
	case F_BYPID:
	case F_PID:
		return bypid_child(parent, name, p);
	default:
		return -ENOTDIR;
	}
}

/* The item that name means below parent, whether it exists or not. */
int tree_item(struct job *j, const struct place *parent, const char *name, struct place *p)
{
	struct ipk_buf none = {0};
	struct subject s;
	int r = child(parent, name, p);

	if (r < 0)
		return r;
	r = subject_open(&s, p);
	if (r == 0)
		r = s.kind && s.kind->items ? item_key(p, &s, name) : -ENOENT;
	if (r == 0 && name_is_hashed(name) && render_item(j, &s, p, &none) == -ENOENT)
		find_hashed(j, &s, p, name);
	ipk_buf_free(&none);
	subject_close(&s, p);
	return r;
}

int tree_lookup(struct job *j, const struct place *parent, const char *name, struct place *p,
		struct stat *ret_st, struct ipk_buf *out)
{
	struct subject s;
	int r = child(parent, name, p);

	if (r < 0)
		return r;
	r = subject_open(&s, p);
	if (r == 0 && p->file == F_ITEM)
		r = s.kind && s.kind->items ? item_key(p, &s, name) : -ENOENT;
	if (r == -EINVAL)
		r = -ENOENT; /* an escape that is none */
	if (r == 0)
		r = tree_look_at(j, &s, p, ret_st, out);
	if (r == -ENOENT && p->file == F_ITEM && p->key) {
		r = find_hashed(j, &s, p, name);
		if (r == 0)
			r = tree_look_at(j, &s, p, ret_st, out);
	}
	subject_close(&s, p);
	return r;
}
