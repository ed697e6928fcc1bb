/* SPDX-License-Identifier: MIT */
/*
 * /by-pid: the processes that are attached somewhere, each a directory of links to the objects that
 * it holds something of and that it waits for. Process ids of other namespaces are not shown.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ipcfs.h"

static const char *const relations[] = {"holds", "waits"};

static uint64_t own_namespace(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) == 0 ? st.st_ino : 0;
}

static bool is_ours(const struct ipk_participant_info *info, uint64_t ns)
{
	return info->pid && (!ns || !info->pidns || info->pidns == ns);
}

/* "holds:SEG:OBJ" */
static int parse(const char *name, int *ret_relation, struct place *p)
{
	const char *colon;

	memset(p, 0, sizeof(*p));
	p->file = F_OBJ;
	for (int i = 0; i < 2; i++) {
		size_t n = strlen(relations[i]);

		if (strncmp(name, relations[i], n) != 0 || name[n] != ':')
			continue;
		name += n + 1;
		colon = strchr(name, ':');
		if (!colon || colon - name >= (ptrdiff_t)sizeof(p->seg) ||
		    strlen(colon + 1) >= sizeof(p->obj))
			return -ENOENT;
		memcpy(p->seg, name, (size_t)(colon - name));
		strcpy(p->obj, colon + 1);
		*ret_relation = i;
		return ipk_segment_name_ok(p->seg) && ipk_object_name_ok(p->obj) ? 0 : -ENOENT;
	}
	return -ENOENT;
}

int bypid_child(const struct place *parent, const char *name, struct place *p)
{
	uint64_t pid;

	if (parent->file == F_BYPID) {
		if (!name_position(name, &pid) || pid == 0 || pid > INT32_MAX || name[0] == '0')
			return -ENOENT;
		p->file = F_PID;
		p->pid = (uint32_t)pid;
		return 0;
	}
	p->file = F_LINK;
	return place_set_key(p, name, strlen(name));
}

/* ---- who has to do with an object ------------------------------------------------------- */

struct seek {
	uint32_t pid;
	uint64_t ns;
	bool waits;
};

static int is_holder(void *arg, const struct ipk_participant_info *info, const char *role,
		     uint64_t count)
{
	const struct seek *k = arg;

	(void)role, (void)count;
	return is_ours(info, k->ns) && info->pid == k->pid;
}

static int is_waiter(void *arg, const struct ipk_participant_info *info)
{
	return is_holder(arg, info, NULL, 0);
}

static bool related(const struct ipk_object_view *o, int relation, struct seek *k)
{
	if (relation == 0)
		return ipk_object_holders(o, is_holder, k) == 1;
	return ipk_object_waiters(o, is_waiter, k) == 1;
}

static int is_participant(void *arg, const struct ipk_participant_info *info)
{
	struct seek *k = arg;

	if (!is_ours(info, k->ns) || info->pid != k->pid)
		return 0;
	k->waits |= info->nwait > 0;
	return 0;
}

/* ---- listing ---------------------------------------------------------------------------- */

struct walk {
	struct job *j;
	struct listing *l; /* or NULL: only find pid */
	uint32_t pid;      /* 0: all */
	uint64_t ns;
	bool found;
	struct seek seek;
	const char *seg;
};

static int add_pid(void *arg, const struct ipk_participant_info *info)
{
	struct walk *w = arg;
	struct place p = {.file = F_PID, .pid = info->pid};
	char name[16];

	if (!is_ours(info, w->ns))
		return 0;
	if (!w->l) {
		w->found |= info->pid == w->pid;
		return w->found;
	}
	snprintf(name, sizeof(name), "%u", info->pid);
	return listing_add(w->l, name, place_hash(&p), S_IFDIR);
}

static int add_links(void *arg, const struct ipk_object_view *o)
{
	struct walk *w = arg;
	struct place p = {.file = F_LINK, .pid = w->pid};
	char name[160];
	int r = 0;

	for (int i = 0; i < 2 && r == 0; i++) {
		if ((i == 1 && !w->seek.waits) || !ipk_object_name_ok(o->name) ||
		    !related(o, i, &w->seek))
			continue;
		p.key_len = (size_t)snprintf(name, sizeof(name), "%s:%s:%s", relations[i], w->seg,
					     o->name);
		p.key = name;
		r = listing_add(w->l, name, place_hash(&p), S_IFLNK);
	}
	return job_cancelled(w->j) ? -ECANCELED : r;
}

static int each_segment(void *arg, const char *name)
{
	struct walk *w = arg;
	struct place p = {.file = F_SEG};
	struct subject s;
	int r;

	if (strlen(name) >= sizeof(p.seg) || !ipk_segment_name_ok(name))
		return 0;
	strcpy(p.seg, name);
	r = subject_open(&s, &p);
	if (r < 0 || !s.view)
		goto out;
	if (!w->l || !w->pid) {
		r = ipk_view_participants(s.view, add_pid, w);
		goto out;
	}
	w->seg = name;
	w->seek = (struct seek){.pid = w->pid, .ns = w->ns};
	ipk_view_participants(s.view, is_participant, &w->seek);
	r = ipk_view_objects(s.view, add_links, w);
out:
	subject_close(&s, &p);
	/* One segment that cannot be read hides no other. */
	return job_cancelled(w->j) ? -ECANCELED : r == -ENOMEM || r > 0 ? r : 0;
}

int bypid_list(struct job *j, const struct place *p, struct listing *l)
{
	struct walk w = {.j = j, .l = l, .pid = p->pid, .ns = own_namespace()};
	int r = ipk_segment_list(each_segment, &w, NULL);

	return r < 0 && r != -ENOENT ? r : 0;
}

int bypid_check(const struct place *p)
{
	struct walk w = {.pid = p->pid, .ns = own_namespace()};
	struct seek k = {.pid = p->pid, .ns = w.ns};
	struct place target;
	struct subject s;
	int r, relation = 0;

	if (p->file == F_PID) {
		r = ipk_segment_list(each_segment, &w, NULL);
		return w.found ? 0 : r < 0 ? r : -ENOENT;
	}
	r = parse(p->key, &relation, &target);
	if (r < 0)
		return r;
	r = subject_open(&s, &target);
	if (r == 0 && !related(&s.obj, relation, &k))
		r = -ENOENT;
	subject_close(&s, &target);
	return r;
}

int render_link(struct job *j, struct subject *s, const struct place *p, struct ipk_buf *out)
{
	struct place target;
	int relation, r = parse(p->key, &relation, &target);

	(void)j, (void)s;
	return r < 0 ? r : ipk_buf_printf(out, "../../%s/%s", target.seg, target.obj);
}
