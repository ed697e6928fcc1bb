/* SPDX-License-Identifier: MIT */
/*
 * Directories. What is listed was collected at opendir (and again after rewinddir): offsets are
 * indices into it and stay what they are, whatever appears or disappears meanwhile.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipcfs.h"

struct entry {
	size_t name; /* offset in names */
	uint64_t ino;
	mode_t type;
};

struct listing {
	uint32_t refs; /* as those of a handle */
	pthread_mutex_t lock;
	struct node *node;
	bool begun;
	struct entry *entry;
	size_t n, cap, fixed; /* the first so many are not sorted */
	struct ipk_buf names;
};

int listing_add(struct listing *l, const char *name, uint64_t ino, mode_t type)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 64;
		struct entry *more = realloc(l->entry, cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		l->entry = more;
		l->cap = cap;
	}
	if (l->n >= l->fixed + IPCFS_LIST_MAX)
		return 1;
	l->entry[l->n] = (struct entry){l->names.len, ino, type};
	if (ipk_buf_add(&l->names, name, strlen(name) + 1) < 0)
		return -ENOMEM;
	l->n++;
	return 0;
}

static int add_files(struct listing *l, const struct place *dir, const struct file_info *f,
		     const struct ipk_kind *kind)
{
	struct place p = *dir;
	int r = 0;

	for (; f->name && r == 0; f++) {
		p.file = f->file;
		if (!f->hidden && (!f->has || f->has(kind)))
			r = listing_add(l, f->name, place_hash(&p),
					S_ISDIR(f->mode) ? S_IFDIR : S_IFREG);
	}
	return r;
}

struct collect {
	struct job *j;
	struct listing *l;
	const struct subject *s;
	struct place p;
	uint64_t *pos;
	size_t npos, cap;
};

static int add_segment(void *arg, const char *name)
{
	struct collect *c = arg;
	struct place p = {.file = F_SEG};

	if (strlen(name) >= sizeof(p.seg) || !ipk_segment_name_ok(name))
		return 0;
	strcpy(p.seg, name);
	if (!subject_exists(&p))
		return 0;
	return listing_add(c->l, name, place_hash(&p), S_IFDIR);
}

static int add_object(void *arg, const struct ipk_object_view *o)
{
	struct collect *c = arg;

	if (job_cancelled(c->j))
		return -ECANCELED;
	if (!ipk_object_name_ok(o->name))
		return 0;
	c->p.object = o->id;
	strcpy(c->p.obj, o->name);
	return listing_add(c->l, o->name, place_hash(&c->p), S_IFDIR);
}

static int add_key(void *arg, const struct ipk_item *item)
{
	struct collect *c = arg;
	char name[IPCFS_NAME_MAX + 1];
	struct ipk_buf key = {0};
	int r = job_cancelled(c->j) ? -ECANCELED : key_text(c->s, item, &key);

	if (r == 0) {
		name_encode(key.data, key.len, name);
		c->p.key = key.data;
		c->p.key_len = key.len;
		r = listing_add(c->l, name, place_hash(&c->p), S_IFREG);
	}
	ipk_buf_free(&key);
	c->p.key = NULL;
	return r;
}

static int add_position(void *arg, const struct ipk_item *item)
{
	struct collect *c = arg;

	if (job_cancelled(c->j))
		return -ECANCELED;
	if (c->npos == IPCFS_LIST_MAX)
		return 1;
	if (c->npos == c->cap) {
		size_t cap = c->cap ? 2 * c->cap : 256;
		uint64_t *more = realloc(c->pos, cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		c->pos = more;
		c->cap = cap;
	}
	c->pos[c->npos++] = item->pos;
	return 0;
}

/* The width of the last position, also when it is not listed any more. */
static int position_width(const struct collect *c)
{
	uint64_t last = 0, used = 0, cap = 0;
	char text[24];

	for (size_t i = 0; i < c->npos; i++)
		last = c->pos[i] > last ? c->pos[i] : last;
	if (c->npos == IPCFS_LIST_MAX && c->s->kind->inspect &&
	    c->s->kind->inspect(&c->s->obj, &used, &cap) == 0 && used > 0 &&
	    c->pos[0] + used - 1 > last)
		last = c->pos[0] + used - 1;
	return snprintf(text, sizeof(text), "%llu", (unsigned long long)last);
}

static int list_positions(struct collect *c)
{
	char name[32], key[24];
	int width, r;

	r = c->s->kind->items(&c->s->obj, 0, UINT64_MAX, add_position, c);
	if (r < 0)
		return r;
	r = 0;
	width = position_width(c);
	for (size_t i = 0; i < c->npos && r == 0; i++) {
		unsigned long long pos = c->pos[i];

		snprintf(name, sizeof(name), "%0*llu", width, pos);
		c->p.key = key;
		c->p.key_len = (size_t)snprintf(key, sizeof(key), "%llu", pos);
		r = listing_add(c->l, name, place_hash(&c->p), S_IFREG);
	}
	c->p.key = NULL;
	free(c->pos);
	return r;
}

static int list_items(struct collect *c, struct subject *s)
{
	c->p.file = F_ITEM;
	if (!s->kind || !s->kind->items)
		return -ENOENT;
	if (!(s->kind->flags & IPK_KIND_KEYED))
		return list_positions(c);
	if (subject_types(s) < 0)
		return -EBADMSG;
	return s->kind->items(&s->obj, 0, UINT64_MAX, add_key, c);
}

static int list_subject(struct collect *c, const struct place *dir, struct subject *s)
{
	int r;

	switch (dir->file) {
	case F_SEG:
		r = add_files(c->l, dir, segment_files, NULL);
		c->l->fixed = c->l->n;
		c->p.file = F_OBJ;
		if (r == 0 && s->view)
			r = ipk_view_objects(s->view, add_object, c);
		/* A foreign or damaged file is a directory with nothing but its info. */
		return r == -EPROTO || r == -EBADMSG ? 0 : r;
	case F_OBJ:
		return add_files(c->l, dir, object_files, s->kind);
	case F_ITEMS:
		return list_items(c, s);
	default:
		return 0; /* .wait shows nothing: what is listed never blocks */
	}
}

static int by_entry_name(const void *a, const void *b, void *names)
{
	return strcmp((char *)names + ((const struct entry *)a)->name,
		      (char *)names + ((const struct entry *)b)->name);
}

/* Sorted, each name once (a process has a participant for each of its threads). */
static void sort(struct listing *l)
{
	struct entry *e = l->entry + l->fixed;
	size_t n = l->n - l->fixed, kept = 0;

	if (n < 2)
		return;
	qsort_r(e, n, sizeof(*e), by_entry_name, l->names.data);
	for (size_t i = 1; i < n; i++)
		if (strcmp(l->names.data + e[kept].name, l->names.data + e[i].name) != 0)
			e[++kept] = e[i];
	l->n = l->fixed + kept + 1;
}

static int collect(struct job *j, struct listing *l)
{
	const struct place *dir = &l->node->place;
	struct collect c = {.j = j, .l = l};
	struct place p;
	struct subject s;
	int r;

	l->n = l->fixed = l->names.len = 0;
	r = listing_add(l, ".", place_hash(dir), S_IFDIR);
	if (r == 0)
		r = listing_add(l, "..", FUSE_ROOT_ID, S_IFDIR);
	l->fixed = l->n;
	if (r < 0 || place_copy(&p, dir) < 0)
		return -ENOMEM;
	c.s = &s;
	if (p.file == F_ROOT) {
		r = add_files(l, &p, root_files, NULL);
		l->fixed = l->n;
		if (r == 0)
			r = ipk_segment_list(add_segment, &c, NULL);
		if (r == -ENOENT) /* the segments' directory: it may be there some day */
			r = 0;
	} else if (p.file == F_BYPID || p.file == F_PID) {
		r = bypid_list(j, &p, l);
	} else {
		r = subject_open(&s, &p);
		c.p = p;
		if (r == 0 && !s.view && s.error == -EACCES)
			r = -EACCES;
		if (r == 0)
			r = list_subject(&c, &p, &s);
		subject_close(&s, &p);
	}
	place_clear(&p);
	if (r < 0)
		return r;
	sort(l);
	return 0;
}

static void listing_put(struct listing *l)
{
	if (__atomic_sub_fetch(&l->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	node_put(l->node);
	pthread_mutex_destroy(&l->lock);
	ipk_buf_free(&l->names);
	free(l->entry);
	free(l);
}

void dir_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct listing *l = calloc(1, sizeof(*l));
	struct job j;
	int r;

	job_begin(&j, req, ino, JOB_READS);
	if (!l) {
		job_error(&j, -ENOMEM);
		return;
	}
	pthread_mutex_init(&l->lock, NULL);
	l->refs = 1;
	l->node = j.node;
	node_hold(l->node);
	r = collect(&j, l);
	if (r < 0) {
		listing_put(l);
		job_error(&j, r);
		return;
	}
	fi->fh = (uintptr_t)l;
	if (!job_claim(&j) || fuse_reply_open(req, fi) < 0)
		listing_put(l);
	job_end(&j);
}

static size_t fill(fuse_req_t req, const struct listing *l, char *buf, size_t size, off_t off)
{
	size_t len = 0, n;

	for (size_t i = (size_t)off; i < l->n; i++, len += n) {
		struct stat st = {.st_ino = l->entry[i].ino, .st_mode = l->entry[i].type};

		n = fuse_add_direntry(req, buf + len, size - len, l->names.data + l->entry[i].name,
				      &st, (off_t)i + 1);
		if (n > size - len)
			break;
	}
	return len;
}

void dir_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct listing *l = (struct listing *)(uintptr_t)fi->fh;
	char *buf = malloc(size);
	struct job j;
	int r = buf ? 0 : -ENOMEM;

	__atomic_add_fetch(&l->refs, 1, __ATOMIC_RELAXED);
	job_begin(&j, req, ino, JOB_READS);
	pthread_mutex_lock(&l->lock);
	if (r == 0 && off == 0 && l->begun)
		r = collect(&j, l);
	l->begun = true;
	if (r < 0) {
		pthread_mutex_unlock(&l->lock);
		listing_put(l);
		free(buf);
		job_error(&j, r);
		return;
	}
	if (job_claim(&j))
		fuse_reply_buf(req, buf, fill(req, l, buf, size, off));
	pthread_mutex_unlock(&l->lock);
	listing_put(l);
	free(buf);
	job_end(&j);
}

void dir_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	listing_put((struct listing *)(uintptr_t)fi->fh);
	fuse_reply_err(req, 0);
}
