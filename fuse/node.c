/* SPDX-License-Identifier: MIT */
/*
 * Nodes: the places that the kernel knows, each until it forgets it. The node id is the node's
 * address; the inode number is a hash of the place, the same whenever somebody comes back to it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipcfs.h"

#define BUCKETS 65536u
#define FRESH_NS INT64_C(40000000) /* longer than LOOKUP_TIMEOUT of ops.c */
#define FRESH_BYTES (64u << 20)    /* of all nodes together */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct node *table[BUCKETS];
static struct node root = {.place.file = F_ROOT, .refs = 1};
static struct node *all;
static size_t fresh_bytes;
static struct node *fresh_list;

int place_copy(struct place *dst, const struct place *src)
{
	char *key = NULL;

	if (src->key) {
		key = malloc(src->key_len + 1);
		if (!key)
			return -ENOMEM;
		memcpy(key, src->key, src->key_len);
		key[src->key_len] = 0;
	}
	*dst = *src;
	dst->key = key;
	return 0;
}

void place_clear(struct place *p)
{
	free(p->key);
	p->key = NULL;
}

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * UINT64_C(0x9fb21c651e98df25);
	return h ^ h >> 29;
}

uint64_t bytes_hash(const void *data, size_t len)
{
	const unsigned char *b = data;
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < len; i++)
		h = (h ^ b[i]) * UINT64_C(0x100000001b3);
	return mix(mix(h, len), h >> 32);
}

uint64_t place_hash(const struct place *p)
{
	uint64_t h = mix(UINT64_C(0x6970636673), p->file);

	if (p->file == F_ROOT)
		return FUSE_ROOT_ID;
	h = mix(h, p->pid);
	h = mix(h, p->dev);
	h = mix(h, p->ino);
	h = mix(h, p->object);
	if (!p->ino)
		h = mix(h, bytes_hash(p->seg, strlen(p->seg)));
	if (p->key)
		h = mix(h, bytes_hash(p->key, p->key_len));
	return h > FUSE_ROOT_ID ? h : h + 2;
}

static bool place_equal(const struct place *a, const struct place *b)
{
	return a->file == b->file && a->pid == b->pid && a->dev == b->dev && a->ino == b->ino &&
	       a->object == b->object && strcmp(a->seg, b->seg) == 0 &&
	       strcmp(a->obj, b->obj) == 0 && a->key_len == b->key_len &&
	       (!a->key_len || memcmp(a->key, b->key, a->key_len) == 0);
}

fuse_ino_t node_ino(const struct node *n)
{
	return n == &root ? FUSE_ROOT_ID : (fuse_ino_t)(uintptr_t)n;
}

struct node *node_of(fuse_ino_t ino)
{
	struct node *n = ino == FUSE_ROOT_ID ? &root : (struct node *)(uintptr_t)ino;

	pthread_mutex_lock(&lock);
	n->refs++;
	pthread_mutex_unlock(&lock);
	return n;
}

/* ---- lock held -------------------------------------------------------------------------- */

static void unhash(struct node *n)
{
	struct node **at = &table[n->hash % BUCKETS];

	if (!n->hashed)
		return;
	while (*at != n)
		at = &(*at)->hash_next;
	*at = n->hash_next;
	n->hashed = false;
}

static void drop_fresh(struct node *n)
{
	struct node **at = &fresh_list;

	if (!n->fresh_at)
		return;
	while (*at != n)
		at = &(*at)->fresh_next;
	*at = n->fresh_next;
	fresh_bytes -= n->fresh.cap;
	ipk_buf_free(&n->fresh);
	n->fresh_at = 0;
}

static void release(struct node *n)
{
	if (n->refs > 0 || n->lookups > 0 || n == &root)
		return;
	drop_fresh(n);
	unhash(n);
	if (n->all_prev)
		n->all_prev->all_next = n->all_next;
	else
		all = n->all_next;
	if (n->all_next)
		n->all_next->all_prev = n->all_prev;
	place_clear(&n->place);
	log_free(n->log);
	free(n);
}

/* ------------------------------------------------------------------------------------------ */

void node_put(struct node *n)
{
	pthread_mutex_lock(&lock);
	n->refs--;
	release(n);
	pthread_mutex_unlock(&lock);
}

void node_hold(struct node *n)
{
	pthread_mutex_lock(&lock);
	n->refs++;
	pthread_mutex_unlock(&lock);
}

void node_forget(fuse_ino_t ino, uint64_t count)
{
	struct node *n = (struct node *)(uintptr_t)ino;

	if (ino == FUSE_ROOT_ID)
		return;
	pthread_mutex_lock(&lock);
	n->lookups -= count < n->lookups ? count : n->lookups;
	release(n);
	pthread_mutex_unlock(&lock);
}

static bool is_directory(enum file file)
{
	return S_ISDIR(file_info(file)->mode);
}

/* A node that another thread was given, or that is open, is not given again: see struct node. */
static struct node *find(const struct place *p, uint64_t hash, pid_t tid)
{
	struct node *n;

	for (n = table[hash % BUCKETS]; n; n = n->hash_next)
		if (n->hash == hash && place_equal(&n->place, p))
			break;
	if (n && !is_directory(p->file) && (n->handles || n->tid != tid)) {
		unhash(n);
		n = NULL;
	}
	return n;
}

struct node *node_look_up(const struct place *p, pid_t tid)
{
	uint64_t hash = place_hash(p);
	struct node *n;

	pthread_mutex_lock(&lock);
	n = find(p, hash, tid);
	if (!n) {
		n = calloc(1, sizeof(*n));
		if (!n || place_copy(&n->place, p) != 0) {
			free(n);
			n = NULL;
			goto out;
		}
		n->hash = hash;
		n->tid = tid;
		n->hashed = true;
		n->hash_next = table[hash % BUCKETS];
		table[hash % BUCKETS] = n;
		n->all_next = all;
		if (all)
			all->all_prev = n;
		all = n;
	}
	n->lookups++;
	n->refs++;
out:
	pthread_mutex_unlock(&lock);
	return n;
}

void node_add_handle(struct node *n, struct handle *h)
{
	pthread_mutex_lock(&lock);
	n->refs++;
	h->next = n->handles;
	n->handles = h;
	pthread_mutex_unlock(&lock);
}

void node_remove_handle(struct node *n, struct handle *h)
{
	struct handle **at = &n->handles;

	pthread_mutex_lock(&lock);
	while (*at != h)
		at = &(*at)->next;
	*at = h->next;
	n->refs--;
	release(n);
	pthread_mutex_unlock(&lock);
}

/* The node's log, which is this one if it had none. */
struct log *node_set_log(struct node *n, struct log *log)
{
	struct log *unused = NULL;

	pthread_mutex_lock(&lock);
	if (n->log)
		unused = log;
	else
		n->log = log;
	log = n->log;
	pthread_mutex_unlock(&lock);
	log_free(unused);
	return log;
}

bool node_open_size(struct node *n, pid_t pid, uint64_t *ret_size)
{
	struct handle *h;

	pthread_mutex_lock(&lock);
	for (h = n->handles; h; h = h->next)
		if (h->pid == pid)
			break;
	if (!h)
		h = n->handles;
	if (h)
		*ret_size = __atomic_load_n(&h->size, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&lock);
	return h != NULL;
}

bool node_keep_fresh(struct node *n, const struct stat *st, struct ipk_buf *buf)
{
	bool whole;

	pthread_mutex_lock(&lock);
	drop_fresh(n);
	n->fresh_st = *st;
	n->fresh_at = now_ns();
	whole = n->fresh_whole = buf->cap <= FRESH_BYTES - fresh_bytes;
	if (whole) {
		n->fresh = *buf;
		fresh_bytes += buf->cap;
	} else {
		ipk_buf_free(buf);
	}
	n->fresh_next = fresh_list;
	fresh_list = n;
	pthread_mutex_unlock(&lock);
	return whole;
}

bool node_take_fresh(struct node *n, pid_t tid, struct stat *ret_st, struct ipk_buf *ret_buf)
{
	bool ok;

	pthread_mutex_lock(&lock);
	ok = n->fresh_at && n->tid == tid && now_ns() - n->fresh_at < FRESH_NS &&
	     (!ret_buf || n->fresh_whole);
	if (ok && ret_st)
		*ret_st = n->fresh_st;
	if (ok && ret_buf) {
		*ret_buf = n->fresh;
		fresh_bytes -= n->fresh.cap;
		n->fresh = (struct ipk_buf){0};
	}
	drop_fresh(n);
	pthread_mutex_unlock(&lock);
	return ok;
}

/* What nobody took within a second is not kept any longer. */
void nodes_expire(void)
{
	int64_t now = now_ns();
	struct node *n, *next;

	pthread_mutex_lock(&lock);
	for (n = fresh_list; n; n = next) {
		next = n->fresh_next;
		if (now - n->fresh_at > INT64_C(1000000000))
			drop_fresh(n);
	}
	pthread_mutex_unlock(&lock);
}

/* The mount has ended: the kernel forgets without a word. No handle and no other thread is left. */
void nodes_free_all(void)
{
	pthread_mutex_lock(&lock);
	while (all) {
		all->lookups = all->refs = 0;
		release(all);
	}
	pthread_mutex_unlock(&lock);
}
