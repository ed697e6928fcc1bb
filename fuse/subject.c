/* SPDX-License-Identifier: MIT */
/*
 * Opens what a place names. Views are kept open for a second after their use, a few for each
 * segment (one view serves one thread at a time), and only while the name means the same file.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "ipcfs.h"

#define VIEWS 64
#define VIEW_NS INT64_C(1000000000)

static struct {
	struct ipk_view *view;
	char name[64];
	dev_t dev;
	ino_t ino;
	int64_t used;
} cache[VIEWS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct ipk_view *cached(const char *name, const struct stat *st)
{
	struct ipk_view *view = NULL;

	pthread_mutex_lock(&lock);
	for (int i = 0; i < VIEWS && !view; i++) {
		if (!cache[i].view || strcmp(cache[i].name, name) != 0 ||
		    cache[i].dev != st->st_dev || cache[i].ino != st->st_ino)
			continue;
		view = cache[i].view;
		cache[i].view = NULL;
	}
	pthread_mutex_unlock(&lock);
	return view;
}

static void keep(struct ipk_view *view, const char *name, const struct stat *st)
{
	int at = 0;

	pthread_mutex_lock(&lock);
	for (int i = 0; i < VIEWS; i++) {
		if (!cache[i].view) {
			at = i;
			break;
		}
		if (cache[i].used < cache[at].used)
			at = i;
	}
	if (cache[at].view)
		ipk_view_close(cache[at].view);
	cache[at].view = view;
	cache[at].dev = st->st_dev;
	cache[at].ino = st->st_ino;
	cache[at].used = now_ns();
	strcpy(cache[at].name, name);
	pthread_mutex_unlock(&lock);
}

void views_expire(bool all)
{
	int64_t now = now_ns();

	pthread_mutex_lock(&lock);
	for (int i = 0; i < VIEWS; i++) {
		if (!cache[i].view || (!all && now - cache[i].used < VIEW_NS))
			continue;
		ipk_view_close(cache[i].view);
		cache[i].view = NULL;
	}
	pthread_mutex_unlock(&lock);
}

/* Is the segment's file there, and the one that p means? Fills in which one where p does not say.
 */
static bool is_there(struct place *p, struct stat *st)
{
	char path[PATH_MAX];

	if (ipk_segment_path(p->seg, path, sizeof(path), NULL) < 0 || stat(path, st) != 0 ||
	    !S_ISREG(st->st_mode))
		return false;
	if (!p->ino) {
		p->dev = st->st_dev;
		p->ino = st->st_ino;
	}
	return p->dev == st->st_dev && p->ino == st->st_ino;
}

bool subject_exists(struct place *p)
{
	struct stat st;

	return is_there(p, &st);
}

static int open_view(struct subject *s, struct place *p)
{
	if (!is_there(p, &s->st))
		return -ENOENT;
	s->view = cached(p->seg, &s->st);
	if (s->view)
		return 0;
	s->error = ipk_view_open(p->seg, &s->view, &s->why);
	/* Replaced between the two calls: what was opened is another file. */
	if (s->error == 0 && fstat(ipk_view_fd(s->view), &s->st) == 0 &&
	    (p->dev != s->st.st_dev || p->ino != s->st.st_ino))
		return -ENOENT;
	return 0;
}

int subject_open(struct subject *s, struct place *p)
{
	int r;

	memset(s, 0, sizeof(*s));
	if (!p->seg[0])
		return 0;
	r = open_view(s, p);
	if (r < 0 || !p->obj[0])
		return r;
	if (!s->view)
		return s->error;
	r = ipk_view_object(s->view, p->obj, &s->obj, NULL);
	if (r < 0)
		return r;
	s->has_obj = true;
	if (!p->object)
		p->object = s->obj.id;
	else if (p->object != s->obj.id)
		return -ENOENT;
	s->kind = ipk_kind_by_id(s->obj.kind);
	if (s->kind && s->kind->version != s->obj.version)
		s->kind = NULL;
	return 0;
}

int subject_types(struct subject *s)
{
	int r = 0;

	if (!s->type)
		r = ipk_type_parse(s->obj.type, strlen(s->obj.type), &s->type, NULL);
	if (r == 0 && !s->key_type && s->obj.key_type)
		r = ipk_type_parse(s->obj.key_type, strlen(s->obj.key_type), &s->key_type, NULL);
	return r < 0 ? -EBADMSG : 0;
}

void subject_close(struct subject *s, const struct place *p)
{
	ipk_type_free(s->type);
	ipk_type_free(s->key_type);
	if (s->has_obj)
		ipk_object_view_free(&s->obj);
	if (s->view)
		keep(s->view, p->seg, &s->st);
}
