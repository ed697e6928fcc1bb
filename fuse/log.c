/* SPDX-License-Identifier: MIT */
/*
 * log: what an object retains, one record a line, and what comes while the file is open. Offsets
 * stay valid: the text belongs to the node, which is this opening's own. Of what was read long ago
 * only the length is kept.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipcfs.h"

#define KEEP (16u << 20)

struct records {
	struct job *j;
	const struct subject *s;
	struct ipk_buf *out;
	uint64_t next; /* the first position that is not in out */
};

static int add_record(void *arg, const struct ipk_item *item)
{
	struct records *t = arg;
	int r;

	if (job_cancelled(t->j))
		return -ECANCELED;
	r = ipk_value_print(t->s->type, item->data, item->len, 0, t->out);
	if (r == 0 || r == -EBADMSG)
		r = ipk_buf_add(t->out, "\n", 1);
	if (r == 0)
		t->next = item->pos + 1;
	return r;
}

static int add_since(struct job *j, struct subject *s, struct ipk_buf *out, uint64_t *next)
{
	struct records t = {.j = j, .s = s, .out = out, .next = *next};
	size_t was = out->len;
	int r = subject_types(s);

	if (r == 0)
		r = s->kind->items(&s->obj, *next, UINT64_MAX, add_record, &t);
	if (r < 0)
		out->len = was;
	else
		*next = t.next;
	return r;
}

int render_log(struct job *j, struct subject *s, const struct place *p, struct ipk_buf *out)
{
	uint64_t next = 0;

	(void)p;
	return add_since(j, s, out, &next);
}

struct log {
	pthread_mutex_t lock;
	struct ipk_buf text;
	uint64_t base; /* offset of text in the file */
	uint64_t next;
	bool begun;
};

void log_free(struct log *log)
{
	if (!log)
		return;
	pthread_mutex_destroy(&log->lock);
	ipk_buf_free(&log->text);
	free(log);
}

/* Lock held. Appends what has come. After the object was removed the text stays as it is. */
static int extend(struct job *j, struct node *n)
{
	struct place p = n->place; /* it has no key */
	struct log *log = n->log;
	struct subject s;
	int r = subject_open(&s, &p);

	if (r == 0)
		r = add_since(j, &s, &log->text, &log->next);
	if (r == 0)
		log->begun = true;
	subject_close(&s, &p);
	return log->begun && r != -ECANCELED ? 0 : r;
}

int log_open(struct job *j, struct handle *h)
{
	struct log *log = calloc(1, sizeof(*log));
	int r;

	if (!log)
		return -ENOMEM;
	pthread_mutex_init(&log->lock, NULL);
	log = node_set_log(h->node, log);
	pthread_mutex_lock(&log->lock);
	r = extend(j, h->node);
	pthread_mutex_unlock(&log->lock);
	return r;
}

int log_stat(struct job *j, struct node *n, struct stat *ret_st)
{
	struct place p = n->place;
	int r = tree_stat(j, &p, ret_st, NULL);

	if (r == -ENOENT) {
		tree_gone(&p, ret_st);
		r = 0;
	}
	pthread_mutex_lock(&n->log->lock);
	if (r == 0)
		r = extend(j, n);
	ret_st->st_size = (off_t)(n->log->base + n->log->text.len);
	pthread_mutex_unlock(&n->log->lock);
	return r;
}

/* Forgets what lies before the offset at, once that is much. */
static void trim(struct log *log, uint64_t at)
{
	size_t n = at - log->base;

	if (n < KEEP)
		return;
	memmove(log->text.data, log->text.data + n, log->text.len - n);
	log->text.len -= n;
	log->base = at;
}

void log_read(struct job *j, struct handle *h, size_t size, uint64_t off)
{
	struct log *log = h->node->log;
	const char *data = NULL;
	size_t len = 0;
	int r;

	pthread_mutex_lock(&log->lock);
	r = extend(j, h->node);
	if (r == 0 && off < log->base)
		r = -EIO; /* it is kept no more */
	if (r == 0 && off < log->base + log->text.len) {
		trim(log, off);
		data = log->text.data + (off - log->base);
		len = log->text.len - (off - log->base);
	}
	if (r == 0 && job_claim(j))
		fuse_reply_buf(j->req, data, len < size ? len : size);
	else if (r < 0 && job_claim(j))
		fuse_reply_err(j->req, -handle_errno(r));
	pthread_mutex_unlock(&log->lock);
}
