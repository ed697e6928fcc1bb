/* SPDX-License-Identifier: MIT */
/*
 * Objects as a view finds them. A look-up copies an object's header and believes it when the
 * directory's entry and table are afterwards what they were before; else it starts again.
 */
#include <stdlib.h>

#include "segment/dir.h"
#include "segment/view.h"

#define RETRIES 1000
#define CHUNK 64u       /* directory entries read at a time */
#define ALIKE_MAX 4096u /* names that agree in 24 bits of their hash: more is no accident */
#define BLOCK_MIN 256u  /* no object takes less */

/* Checks a header's copy against what can be read. */
static int check_header(struct ipk_view *view, const struct ipk_object *o, u64 off)
{
	u64 size = ipk_view_size(view);

	if (o->magic != IPK_OBJ_MAGIC)
		return -EBADMSG;
	if (off > size || o->size > size - off || o->body % 128 || o->body < sizeof(*o) ||
	    o->body > o->size)
		return -EBADMSG;
	if (o->type < sizeof(*o) || o->type > o->body ||
	    (u64)o->type_len + o->key_len + 2 > o->body - o->type)
		return -EBADMSG;
	if (memchr(o->name, '\0', sizeof(o->name)) == NULL || !ipk_object_name_ok(o->name))
		return -EBADMSG;
	return 0;
}

static char *read_text(struct ipk_view *view, u64 off, u64 len, int *ret_error)
{
	char *text = malloc(len + 1);

	*ret_error = text ? ipk_view_read(view, off, text, len) : -ENOMEM;
	if (*ret_error < 0) {
		free(text);
		return NULL;
	}
	text[len] = '\0';
	return text;
}

/* The object at off as it is now; whether it is the one looked for is the caller's to check. */
static int read_object(struct ipk_view *view, u64 off, struct ipk_object *o,
		       struct ipk_object_view *ret)
{
	int r = off % IPK_LINE || off == 0 ? -EBADMSG : ipk_view_read(view, off, o, sizeof(*o));

	if (r == 0)
		r = check_header(view, o, off);
	if (r < 0)
		return r;
	memset(ret, 0, sizeof(*ret));
	ret->view = view;
	memcpy(ret->name, o->name, sizeof(ret->name));
	ret->kind = o->kind;
	ret->version = o->version;
	ret->off = off;
	ret->size = o->size;
	ret->body = off + o->body;
	ret->body_size = o->size - o->body;
	ret->id = o->id;
	ret->created = o->created;
	ret->creator = o->creator;
	memcpy(ret->opts, o->opts, sizeof(ret->opts));
	ret->type = read_text(view, off + o->type, o->type_len, &r);
	if (r == 0 && o->key_len)
		ret->key_type = read_text(view, off + o->type + o->type_len + 1, o->key_len, &r);
	if (r < 0)
		ipk_object_view_free(ret);
	return r;
}

int ipk_view_object_at(struct ipk_view *view, u64 off, struct ipk_object_view *ret_object)
{
	struct ipk_object_view found;
	struct ipk_object o;
	int r = read_object(view, off, &o, &found);

	if (r == 0)
		*ret_object = found;
	return r;
}

void ipk_object_view_free(struct ipk_object_view *object)
{
	free(object->type);
	free(object->key_type);
	object->type = object->key_type = NULL;
}

bool ipk_object_view_current(const struct ipk_object_view *object)
{
	struct ipk_object o;

	return ipk_view_read(object->view, object->off, &o, sizeof(o)) == 0 &&
	       o.magic == IPK_OBJ_MAGIC && o.id == object->id && o.kind == object->kind &&
	       IPK_OBJ_STATE(o.state) == IPK_OBJ_LIVE;
}

/* ---- the directory -------------------------------------------------------------------------- */

struct table {
	u64 word; /* as header.dir */
	u64 off;
	u64 slots; /* a power of two, all of it readable */
};

static int read_table(struct ipk_view *view, struct table *t)
{
	u64 size;
	u32 log2;
	int r = ipk_view_u64(view, offsetof(struct ipk_header, dir), &t->word);

	if (r < 0)
		return r;
	log2 = ipk_dir_log2(t->word);
	if (log2 < IPK_DIR_LOG2_MIN || log2 > IPK_DIR_LOG2_MAX)
		return -EBADMSG;
	t->off = ipk_dir_page(t->word) * IPK_PAGE;
	t->slots = UINT64_C(1) << log2;
	size = ipk_view_size(view);
	return t->off > size || 8 * t->slots > size - t->off ? -EBADMSG : 0;
}

/* Has nothing changed since entry was read from that slot? */
static bool in_place(struct ipk_view *view, const struct table *t, u64 slot, u64 entry)
{
	u64 word, now;

	return ipk_view_u64(view, t->off + 8 * slot, &now) == 0 && now == entry &&
	       ipk_view_u64(view, offsetof(struct ipk_header, dir), &word) == 0 && word == t->word;
}

/* -EAGAIN: something changed under the look-up. */
static int probe(struct ipk_view *view, const struct table *t, const struct ipk_dir_name *n,
		 struct ipk_object_view *ret)
{
	const u64 mask = t->slots - 1;
	u64 chunk[CHUNK], base = UINT64_MAX, word;
	u32 alike = 0;
	struct ipk_object o;
	int r;

	for (u64 i = n->hash & mask, left = t->slots; left; i = (i + 1) & mask, left--) {
		u64 entry;

		if (base != i / CHUNK) {
			base = i / CHUNK;
			r = ipk_view_read(view, t->off + 8 * CHUNK * base, chunk, sizeof(chunk));
			if (r < 0)
				return r;
		}
		entry = chunk[i % CHUNK];
		if (entry == 0)
			break;
		if (entry == IPK_DIR_TOMB || entry >> 40 != n->hash >> 40)
			continue;
		if (++alike > ALIKE_MAX)
			return -EBADMSG;
		r = read_object(view, ipk_dir_off(entry), &o, ret);
		if (r == -ENOMEM)
			return r;
		if (!in_place(view, t, i, entry)) {
			if (r == 0)
				ipk_object_view_free(ret);
			return -EAGAIN;
		}
		if (r < 0)
			return r;
		if (memcmp(o.name, n->word, sizeof(o.name)) == 0)
			return 0;
		ipk_object_view_free(ret);
	}
	r = ipk_view_u64(view, offsetof(struct ipk_header, dir), &word);
	if (r < 0)
		return r;
	/* A rename that is half carried out: neither name is there yet. Seen through the overlay.
	 */
	return word != t->word || ipk_view_in_flux(view) ? -EAGAIN : -ENOENT;
}

int ipk_view_object(struct ipk_view *view, const char *name, struct ipk_object_view *ret_object,
		    struct ipk_error *err)
{
	struct ipk_object_view found;
	struct ipk_dir_name n;
	struct table t;
	int r = ipk_object_name_ok(name) ? -EAGAIN : -ENOENT;

	if (r == -EAGAIN)
		ipk_dir_name(&n, name);
	for (int i = 0; i < RETRIES && r == -EAGAIN; i++) {
		r = read_table(view, &t);
		if (r == 0)
			r = probe(view, &t, &n, &found);
	}
	if (r == 0) {
		*ret_object = found;
		return 0;
	}
	if (r == -ENOENT || r == -EAGAIN)
		return ipk_error_set(err, -ENOENT, "no object %s/%.63s", ipk_view_name(view), name);
	if (r == -EBADMSG)
		return ipk_error_set(err, r, "%s/%.63s is damaged; see ipcctl fsck",
				     ipk_view_name(view), name);
	return ipk_error_set(err, r, "%s/%.63s: %s", ipk_view_name(view), name, ipk_strerror(r));
}

/* A whole copy of the directory, all of it of one table. */
static int copy_table(struct ipk_view *view, struct table *t, u64 **ret_entries)
{
	u64 *entries = NULL, word;
	int r = -EAGAIN;

	for (int i = 0; i < RETRIES && r == -EAGAIN; i++) {
		u64 *more;

		r = read_table(view, t);
		if (r < 0)
			break;
		more = realloc(entries, 8 * t->slots);
		if (!more) {
			r = -ENOMEM;
			break;
		}
		entries = more;
		r = ipk_view_read(view, t->off, entries, 8 * t->slots);
		if (r == 0)
			r = ipk_view_u64(view, offsetof(struct ipk_header, dir), &word);
		if (r == 0 && (word != t->word || ipk_view_in_flux(view)))
			r = -EAGAIN;
	}
	if (r < 0) {
		free(entries);
		return r == -EAGAIN ? -EBADMSG : r;
	}
	*ret_entries = entries;
	return 0;
}

/* What the copied entry names, if it is still there. -ENOENT: gone. */
static int listed_object(struct ipk_view *view, const struct table *t, u64 slot, u64 entry,
			 struct ipk_object_view *ret)
{
	struct ipk_object_view now;
	struct ipk_object o;
	int r = read_object(view, ipk_dir_off(entry), &o, ret);

	if (in_place(view, t, slot, entry) || r == -ENOMEM)
		return r;
	if (r < 0)
		return -ENOENT;
	/* The table was replaced or the entry is gone: does its name still lead there? */
	r = ipk_view_object(view, ret->name, &now, NULL);
	if (r == 0 && (now.off != ret->off || now.id != ret->id)) {
		ipk_object_view_free(&now);
		r = -ENOENT;
	}
	ipk_object_view_free(ret);
	if (r == 0)
		*ret = now;
	return r;
}

int ipk_view_objects(struct ipk_view *view,
		     int (*fn)(void *arg, const struct ipk_object_view *object), void *arg)
{
	struct ipk_object_view object;
	struct table t;
	u64 *entries, left;
	int r = copy_table(view, &t, &entries);

	if (r < 0)
		return r;
	left = ipk_view_size(view) / BLOCK_MIN;
	for (u64 i = 0; i < t.slots && r == 0; i++) {
		if (entries[i] <= IPK_DIR_TOMB)
			continue;
		if (left-- == 0) {
			r = -EBADMSG; /* more than there is room for */
			break;
		}
		r = listed_object(view, &t, i, entries[i], &object);
		if (r == -ENOENT || r == -EBADMSG) {
			r = 0; /* gone; or damaged, which is fsck's affair */
			continue;
		}
		if (r == 0) {
			r = fn(arg, &object);
			ipk_object_view_free(&object);
		}
	}
	free(entries);
	return r;
}

int ipk_view_body(const struct ipk_object_view *o, void *dst, u64 len)
{
	return o->body_size < len ? -EBADMSG : ipk_view_read(o->view, o->body, dst, len);
}
