/* SPDX-License-Identifier: MIT */
/*
 * The files that there are. Tables say their names, modes and how each is rendered; which of them
 * an object has follows from its kind's descriptor.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipcfs.h"

static bool any(const struct ipk_kind *kind)
{
	(void)kind;
	return true;
}

static bool known(const struct ipk_kind *kind)
{
	return kind != NULL;
}

static bool has_stats(const struct ipk_kind *kind)
{
	return kind && kind->stats_visit;
}

static bool has_items(const struct ipk_kind *kind)
{
	return kind && kind->items && !(kind->flags & IPK_KIND_VALUE);
}

static bool has_value(const struct ipk_kind *kind)
{
	return kind && kind->flags & IPK_KIND_VALUE && kind->value;
}

static bool has_raw(const struct ipk_kind *kind)
{
	return kind && kind->flags & IPK_KIND_RAW && kind->raw;
}

static bool has_log(const struct ipk_kind *kind)
{
	return kind && kind->flags & IPK_KIND_LOG && kind->items;
}

static bool has_push(const struct ipk_kind *kind)
{
	return kind && kind->flags & IPK_KIND_PUSH;
}

const struct file_info root_files[] = {
	{F_README, "README", 0444, .render = render_readme},
	{F_VERSION, "version", 0444, .render = render_version},
	{F_BYPID, "by-pid", S_IFDIR | 0555, .has = any},
	{.name = NULL},
};

const struct file_info segment_files[] = {
	{F_INFO, "info", 0444, .polls = true, .render = render_info},
	{F_PARTICIPANTS, "participants", 0444, .polls = true, .render = render_participants},
	{.name = NULL},
};

const struct file_info object_files[] = {
	{F_KIND, "kind", 0444, .has = any, .render = render_kind},
	{F_TYPE, "type", 0444, .has = any, .render = render_type},
	{F_CAP, "cap", 0444, .polls = true, .has = known, .render = render_cap},
	{F_USED, "used", 0444, .polls = true, .has = known, .render = render_used},
	{F_HEALTH, "health", 0444, .polls = true, .has = any, .render = render_health},
	{F_STATS, "stats", 0444, .polls = true, .has = has_stats, .render = render_stats},
	{F_HOLDERS, "holders", 0444, .polls = true, .has = any, .render = render_holders},
	{F_WAITERS, "waiters", 0444, .polls = true, .has = any, .render = render_waiters},
	{F_ITEMS, "items", S_IFDIR | 0555, .has = has_items},
	{F_VALUE, "value", 0444, .polls = true, .has = has_value, .render = render_value},
	{F_ALL, "all.json", 0444, .has = has_items, .render = render_all},
	{F_RAW, "raw", 0444, .has = has_raw, .render = render_raw},
	{F_LOG, "log", 0444, .has = has_log, .render = render_log},
	{F_PUSH, "push", 0600, .has = has_push, .render = render_nothing},
	{F_CTL, "ctl", 0600, .has = known, .render = render_nothing},
	{F_WAITDIR, ".wait", S_IFDIR | 0500, .has = known, .hidden = true},
	{.name = NULL},
};

/* Files whose names are not fixed. */
static const struct file_info others[] = {
	{.file = F_ROOT, .mode = S_IFDIR | 0555},
	{.file = F_PID, .mode = S_IFDIR | 0555},
	{F_LINK, NULL, S_IFLNK | 0777, .render = render_link},
	{.file = F_SEG, .mode = S_IFDIR | 0555},
	{.file = F_OBJ, .mode = S_IFDIR | 0555},
	{F_ITEM, NULL, 0444, .render = render_item},
	{F_WAIT, NULL, 0400, .render = render_nothing},
};

const struct file_info *file_info(enum file file)
{
	static const struct file_info *const tables[] = {root_files, segment_files, object_files};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct file_info *f = tables[i]; f->name; f++)
			if (f->file == file)
				return f;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (others[i].file == file)
			return &others[i];
	return NULL;
}

static bool gives_and_waits(const struct ipk_op *op)
{
	return op && op->flags & IPK_OP_BLOCK && op->flags & IPK_OP_OUT &&
	       !(op->flags & IPK_OP_KEY);
}

/* The verb behind .wait/NAME: one that waits and gives values. NULL: none. */
const struct ipk_op *tree_wait_op(const struct ipk_kind *kind, const char *name)
{
	const struct ipk_op *op;

	if (!kind)
		return NULL;
	op = ipk_kind_op(kind, strcmp(name, "events") == 0 ? "wait" : name);
	return gives_and_waits(op) ? op : NULL;
}

/* Does kind have members with nothing but a name? */
static bool only_names(const struct ipk_kind *kind)
{
	return !ipk_kind_op(kind, "set");
}

static bool waits_for_value(const struct ipk_kind *kind, const struct place *p)
{
	return strcmp(p->key, "value") == 0 && has_value(kind);
}

static bool writes_item(const struct ipk_kind *kind)
{
	return options.rw && kind && kind->flags & IPK_KIND_WRITE_ITEM;
}

static bool removes_item(const struct ipk_kind *kind)
{
	return kind && kind->flags & IPK_KIND_REMOVE_ITEM;
}

static bool writes_value(const struct ipk_kind *kind)
{
	const struct ipk_op *op = kind ? ipk_kind_op(kind, "set") : NULL;

	return options.rw && has_value(kind) && op && !(op->flags & IPK_OP_KEY);
}

/* The table's mode ANDed with the segment's; a directory can be entered where it can be read. */
static mode_t mode_of(const struct place *p, const struct subject *s)
{
	mode_t mode = file_info(p->file)->mode, seg = s->st.st_mode & 0777;

	if ((p->file == F_ITEM && writes_item(s->kind)) ||
	    (p->file == F_VALUE && writes_value(s->kind)))
		mode |= 0200;
	if (p->file == F_ITEMS && options.rw && removes_item(s->kind))
		mode |= 0200;
	if (p->file == F_LINK)
		return mode;
	if (!S_ISDIR(mode))
		mode |= S_IFREG;
	/* What consumes needs both permissions of the segment. */
	if (p->file == F_WAIT && !waits_for_value(s->kind, p))
		seg &= seg << 1 & 0444;
	if (S_ISDIR(mode))
		seg |= (seg & 0444) >> 2;
	return p->seg[0] ? mode & (S_IFMT | seg) : mode;
}

/*
 * Each path that anybody names is looked up anew, directories, too; this is for the questions that
 * follow in the same system call (permission, size), and for who has the directory open. 0 for
 * files: an opened one has a size of its own.
 */
double tree_timeout(const struct place *p)
{
	return S_ISDIR(file_info(p->file)->mode) ? 1 : 0;
}

static struct timespec time_of(uint64_t ns)
{
	return (struct timespec){.tv_sec = (time_t)(ns / 1000000000),
				 .tv_nsec = (long)(ns % 1000000000)};
}

static void attributes(const struct place *p, const struct subject *s, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_ino = place_hash(p);
	st->st_mode = mode_of(p, s);
	st->st_nlink = 1; /* of a directory: says nothing about its subdirectories */
	st->st_blksize = 4096;
	st->st_uid = p->seg[0] && p->file != F_LINK ? s->st.st_uid : options.uid;
	st->st_gid = p->seg[0] && p->file != F_LINK ? s->st.st_gid : options.gid;
	/* Constant while the file is the same one: tar compares ctime before and after reading. */
	if (s->has_obj)
		st->st_mtim = time_of(s->obj.created);
	else if (p->seg[0] && p->file != F_LINK)
		st->st_mtim = s->st.st_mtim;
	else
		st->st_mtim = time_of(options.mounted_at);
	st->st_ctim = st->st_mtim;
	st->st_atim = st->st_mtim;
}

/* Is there such a file on such an object? */
static int check_place(const struct place *p, const struct subject *s)
{
	const struct file_info *f = file_info(p->file);

	if (p->file == F_PID || p->file == F_LINK)
		return bypid_check(p);
	if (!p->obj[0])
		return 0;
	if (f->has && !f->has(s->kind))
		return -ENOENT;
	if (p->file == F_WAIT && !tree_wait_op(s->kind, p->key) && !waits_for_value(s->kind, p))
		return -ENOENT;
	if (p->file == F_ITEM && !has_items(s->kind))
		return -ENOENT;
	return 0;
}

static int render(struct job *j, struct subject *s, struct place *p, struct ipk_buf *out)
{
	const struct file_info *f = file_info(p->file);
	int r;

	out->len = 0;
	if (!f->render)
		return 0;
	r = f->render(j, s, p, out);
	/* Removed while it was read: what was found there need not make sense. */
	if (s->has_obj && !ipk_object_view_current(&s->obj))
		r = -ENOENT;
	return r;
}

/*
 * Attributes and, if out is not NULL, the bytes. A file that cannot be rendered has size 0: reading
 * it says why. An item that is not there is no file.
 */
int tree_look_at(struct job *j, struct subject *s, struct place *p, struct stat *st,
		 struct ipk_buf *out)
{
	int r = check_place(p, s);

	if (r == 0 && out)
		r = render(j, s, p, out);
	if (r == -EBADMSG || r == -EPROTO || r == -EIO || r == -EOVERFLOW || r == -ENOMEM) {
		if (p->file == F_ITEM)
			return r;
		if (out)
			out->len = 0;
		r = 0;
	}
	if (r < 0)
		return r;
	attributes(p, s, st);
	st->st_size = out ? (off_t)out->len : 0;
	st->st_blocks = (st->st_size + 511) / 512;
	return 0;
}

int tree_stat(struct job *j, struct place *p, struct stat *ret_st, struct ipk_buf *out)
{
	struct subject s;
	int r = subject_open(&s, p);

	if (r == 0)
		r = tree_look_at(j, &s, p, ret_st, out);
	subject_close(&s, p);
	return r;
}

int tree_render(struct job *j, struct place *p, struct ipk_buf *out)
{
	struct subject s;
	int r = subject_open(&s, p);

	if (r == 0)
		r = check_place(p, &s);
	if (r == 0 && p->seg[0] && !s.view)
		r = s.error == -EACCES ? -EACCES : 0;
	if (r == 0)
		r = render(j, &s, p, out);
	subject_close(&s, p);
	return r;
}

/* ---- for those who write ----------------------------------------------------------------- */

static int with_kind(const struct place *place, bool (*fn)(const struct ipk_kind *kind))
{
	struct place p = *place; /* the key stays the caller's */
	struct subject s;
	int r = subject_open(&s, &p);

	if (r == 0)
		r = fn(s.kind);
	subject_close(&s, &p);
	return r;
}

int tree_may_write(const struct place *p)
{
	int r = p->file == F_ITEM    ? with_kind(p, writes_item)
		: p->file == F_VALUE ? with_kind(p, writes_value)
				     : 0;

	return r == 0 ? -EACCES : r < 0 ? r : 0;
}

int tree_may_remove(const struct place *p)
{
	int r = with_kind(p, removes_item);

	return r == 0 ? -EPERM : r < 0 ? r : 0;
}

bool tree_has_only_names(const struct place *p)
{
	return with_kind(p, only_names) == 1;
}

/* Attributes of an item that is open and not, or no longer, in the object. */
void tree_gone(const struct place *place, struct stat *st)
{
	struct place p = *place;
	struct subject s;

	subject_open(&s, &p);
	attributes(&p, &s, st);
	subject_close(&s, &p);
}
