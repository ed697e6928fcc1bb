/* SPDX-License-Identifier: MIT */
/*
 * Objects: created complete, removed in two steps. The first transaction takes the object from the
 * directory and puts it on the list of zombies; its memory follows when nobody lists it in uses[].
 *
 *	killed while creating            nothing exists
 *	killed behind the removal        it is a zombie; whoever sweeps, closes or removes next frees it
 *	killed while freeing a zombie    its state word names the dead one; the next reaper starts again
 */
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/futex.h"
#include "segment/dir.h"
#include "segment/heap.h"
#include "segment/object.h"
#include "segment/registry.h"

#define RETRIES 1000
#define ZERO_BY_HOLE (UINT64_C(1) << 20)

struct ipk_self *ipk_writer(struct ipk_segment *seg, int *ret_error, struct ipk_error *err)
{
	struct ipk_self *me = NULL;
	int r = -EACCES;

	if (!seg->writable) {
		*ret_error =
			ipk_error_set(err, r, "segment %s is open for reading only", seg->name);
		return NULL;
	}
	me = ipk_self(seg, &r);
	if (!me)
		*ret_error = ipk_error_set(err, r, "segment %s: %s", seg->name, ipk_strerror(r));
	return me;
}

/* ---- creation --------------------------------------------------------------------------- */

struct creation {
	const struct ipk_obj_spec *spec;
	struct ipk_dir_name name;
	u64 body, size, off, now;
	size_t type_len, key_len;
};

/* The body lies on a multiple of 128, so the block has to: two of the classes do not. */
static u64 block_size(u64 size)
{
	if (size <= 192)
		return 256;
	return size > 1024 && size <= 2048 ? 2048 : size;
}

/* Large bodies of sparse segments are zeroed by having no memory. */
static void zero(struct ipk_segment *seg, u64 off, u64 size)
{
	u64 len = size & ~(u64)(IPK_PAGE - 1);

	if (!(seg->flags & IPK_SEG_SPARSE) || size < ZERO_BY_HOLE || off % IPK_PAGE ||
	    fallocate(seg->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off,
		      (off_t)len) != 0)
		len = 0;
	memset(seg->base + off + len, 0, size - len);
}

static void write_header(struct ipk_object *o, const struct creation *c, u64 id)
{
	const struct ipk_obj_spec *s = c->spec;
	u8 *text = (u8 *)o + sizeof(*o);

	o->magic = IPK_OBJ_MAGIC;
	o->kind = s->kind;
	o->version = s->version;
	o->id = id;
	o->size = c->size;
	o->state = IPK_OBJ_LIVE;
	o->created = c->now;
	o->body = (u32)c->body;
	o->type = sizeof(*o);
	o->type_len = (u16)c->type_len;
	o->key_len = (u16)c->key_len;
	o->creator = (u32)getpid();
	memcpy(o->name, c->name.word, sizeof(o->name));
	o->hash = c->name.hash;
	memcpy(o->opts, s->opts, sizeof(o->opts));
	if (c->type_len)
		memcpy(text, s->type, c->type_len);
	if (c->key_len)
		memcpy(text + c->type_len + 1, s->key, c->key_len);
}

static int create(struct ipk_tx *tx, void *arg)
{
	struct creation *c = arg;
	struct ipk_header *h = ipk_header(tx->seg);
	u64 id = ipk_tx_get(tx, &h->next_id);
	struct ipk_object *o;
	int r = ipk_dir_find(tx->seg, &c->name, &c->off, NULL, NULL);

	if (r != -ENOENT)
		return r == 0 ? -EEXIST : r;
	c->off =
		ipk_tx_alloc(tx, block_size(c->size), c->size < ZERO_BY_HOLE ? 0 : IPK_ALLOC_HOLES);
	if (!c->off)
		return tx->error;
	o = (void *)(tx->seg->base + c->off);
	zero(tx->seg, c->off, c->size);
	write_header(o, c, id);
	if (c->spec->create) {
		r = c->spec->create(tx, (u8 *)o + c->body, c->off + c->body, c->spec->arg);
		if (r < 0)
			return r;
	}
	ipk_tx_set(tx, &h->next_id, id + 1);
	ipk_tx_set(tx, &h->objects, ipk_tx_get(tx, &h->objects) + 1);
	return ipk_dir_add(tx, c->name.hash, c->off);
}

int ipk_obj_create(struct ipk_segment *seg, const struct ipk_obj_spec *spec, u64 *ret_off,
		   struct ipk_error *err)
{
	struct creation c = {.spec = spec};
	struct ipk_self *me;
	int r = 0, i;

	if (!ipk_object_name_ok(spec->name))
		return ipk_error_set(err, -EINVAL, "\"%.80s\" is no name for an object",
				     spec->name);
	c.type_len = spec->type ? strlen(spec->type) : 0;
	c.key_len = spec->key ? strlen(spec->key) : 0;
	if (c.type_len > UINT16_MAX || c.key_len > UINT16_MAX)
		return ipk_error_set(err, -EMSGSIZE, "object %s: the type's text is too long",
				     spec->name);
	c.body = ipk_align_up(sizeof(struct ipk_object) + c.type_len + c.key_len + 2, 128);
	if (spec->body_size > seg->max - c.body)
		return ipk_error_set(
			err, -ENOSPC,
			"object %s takes %llu bytes; segment %s has at most %llu (--max)",
			spec->name, (unsigned long long)spec->body_size, seg->name,
			(unsigned long long)seg->max);
	c.size = c.body + spec->body_size;
	c.now = ipk_now_real();
	ipk_dir_name(&c.name, spec->name);
	me = ipk_writer(seg, &r, err);
	if (!me)
		return r;
	for (i = 0; i < RETRIES; i++) {
		r = ipk_tx_run(me, create, &c, IPK_FOREVER, err);
		if (r != -EXFULL)
			break;
		r = ipk_dir_rebuild(me, err);
		if (r < 0)
			return r;
		r = -EBUSY;
	}
	if (r == -EEXIST)
		return ipk_error_set(err, r, "object %s/%s exists", seg->name, spec->name);
	if (r >= 0 && ret_off)
		*ret_off = c.off;
	return r < 0 ? r : 0;
}

/* ---- renaming --------------------------------------------------------------------------- */

struct renaming {
	struct ipk_dir_name from, to;
};

static int rename_tx(struct ipk_tx *tx, void *arg)
{
	struct renaming *n = arg;
	struct ipk_object *o;
	u64 off, other, *slot;
	size_t i;
	int r = ipk_dir_find(tx->seg, &n->from, &off, &slot, NULL);

	if (r < 0)
		return r;
	if (memcmp(&n->from, &n->to, sizeof(n->from)) == 0)
		return 0;
	r = ipk_dir_find(tx->seg, &n->to, &other, NULL, NULL);
	if (r != -ENOENT)
		return r == 0 ? -EEXIST : r;
	o = ipk_at(tx->seg, off, sizeof(*o), IPK_LINE);
	if (!o)
		return -EBADMSG;
	for (i = 0; i < IPK_ARRAY_LEN(n->to.word); i++)
		ipk_tx_set(tx, &((u64 *)(void *)o->name)[i], n->to.word[i]);
	ipk_tx_set(tx, &o->hash, n->to.hash);
	ipk_dir_drop(tx, slot);
	return ipk_dir_add(tx, n->to.hash, off);
}

int ipk_object_rename(struct ipk_segment *seg, const char *from, const char *to,
		      struct ipk_error *err)
{
	struct renaming n;
	struct ipk_self *me;
	int r = 0, i;

	if (!ipk_object_name_ok(to))
		return ipk_error_set(err, -EINVAL, "\"%.80s\" is no name for an object", to);
	me = ipk_writer(seg, &r, err);
	if (!me)
		return r;
	ipk_dir_name(&n.from, from);
	ipk_dir_name(&n.to, to);
	r = ipk_object_name_ok(from) ? -EXFULL : -ENOENT;
	for (i = 0; r == -EXFULL && i < RETRIES; i++) {
		r = ipk_tx_run(me, rename_tx, &n, IPK_FOREVER, err);
		if (r == -EXFULL && ipk_dir_rebuild(me, err) < 0)
			return ipk_error_set(err, -ENOSPC, "segment %s: no space for the directory",
					     seg->name);
	}
	if (r == -ENOENT)
		return ipk_error_set(err, r, "no object %s/%.80s", seg->name, from);
	if (r == -EEXIST)
		return ipk_error_set(err, r, "object %s/%s exists", seg->name, to);
	return r;
}

/* ---- walking ---------------------------------------------------------------------------- */

/* 1: the table was replaced meanwhile. */
static int each_in(struct ipk_segment *seg, u64 word, int (*fn)(void *arg, u64 off), void *arg,
		   int *ret_fn)
{
	u64 n, i, entry, *slots;

	if (ipk_dir_log2(word) < IPK_DIR_LOG2_MIN || ipk_dir_log2(word) > IPK_DIR_LOG2_MAX ||
	    ipk_dir_page(word) > IPK_PAGES_MAX)
		return -EBADMSG;
	n = UINT64_C(1) << ipk_dir_log2(word);
	slots = ipk_at(seg, ipk_dir_page(word) * IPK_PAGE, 8 * n, IPK_PAGE);
	if (!slots)
		return -EBADMSG;
	for (i = 0; i < n; i++) {
		entry = ipk_ld(&slots[i], acquire); /* pairs with COMMIT */
		ipk_fence(acquire);                 /* the table's memory was not reused before */
		if (ipk_ld(&ipk_header(seg)->dir, relaxed) != word)
			return 1;
		if (entry > IPK_DIR_TOMB) {
			*ret_fn = fn(arg, ipk_dir_off(entry));
			if (*ret_fn != 0)
				return 0;
		}
	}
	return 0;
}

int ipk_obj_each(struct ipk_segment *seg, int (*fn)(void *arg, u64 off), void *arg)
{
	struct ipk_header *h = ipk_header(seg);
	struct ipk_object *o;
	u64 off;
	struct ipk_zombie_walk walk = {0};
	int r = 1, r_fn = 0;
	u32 i;

	/* Whoever comes twice is no harm to those who call this. */
	for (i = 0; r == 1 && i < RETRIES; i++)
		r = each_in(seg, ipk_ld(&h->dir, acquire), fn, arg, &r_fn);
	if (r != 0 || r_fn != 0)
		return r < 0 ? r : r ? -EAGAIN : r_fn;
	for (off = ipk_ld(&h->zombies, acquire); !ipk_zombies_end(&walk, off);) {
		o = ipk_at(seg, off, sizeof(*o), IPK_LINE);
		if (!o)
			return -EBADMSG;
		r = fn(arg, off);
		if (r != 0)
			return r;
		off = ipk_ld(&o->zombie, acquire);
	}
	return off ? -EAGAIN : 0; /* changed under us, or damaged */
}
