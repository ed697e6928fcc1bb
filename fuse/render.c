/* SPDX-License-Identifier: MIT */
/* A file's bytes, through the descriptor's view functions. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ipcfs.h"
#include "ipk/render.h"

int render_nothing(struct job *j, struct subject *s, const struct place *p, struct ipk_buf *out)
{
	(void)j, (void)s, (void)p, (void)out;
	return 0;
}

int render_version(struct job *j, struct subject *s, const struct place *p, struct ipk_buf *out)
{
	(void)j, (void)s, (void)p;
	return ipk_buf_str(out, IPK_VERSION "\n");
}

/* ---- participants ----------------------------------------------------------------------- */

static void time_text(uint64_t ns, char buf[40])
{
	time_t t = (time_t)(ns / 1000000000);
	struct tm tm;
	size_t n;

	if (!ns || !gmtime_r(&t, &tm)) {
		strcpy(buf, "-");
		return;
	}
	n = strftime(buf, 32, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + n, 40 - n, ".%03uZ", (unsigned)(ns % 1000000000 / 1000000));
}

/* A program names itself; here one word a column. */
static void one_word(const char *text, char *buf, size_t size)
{
	size_t i;

	for (i = 0; text[i] && i + 1 < size; i++)
		buf[i] = text[i] > 0x20 && text[i] != 0x7f ? text[i] : '_';
	buf[i] = 0;
	if (i == 0)
		strcpy(buf, "-");
}

static int participant_line(struct ipk_buf *out, const struct ipk_participant_info *p,
			    const char *role, const char *fmt)
{
	char since[40], comm[20];

	time_text(p->since, since);
	one_word(p->comm, comm, sizeof(comm));
	return ipk_buf_printf(out, fmt, p->pid, (unsigned long long)p->start, comm, role, since,
			      p->alive ? "yes" : "no");
}

#define TABLE "%-7u %-10llu %-16s %-9s %-24s %s\n"
#define TABLE_HEAD "PID     START      COMM             ROLE      SINCE                    ALIVE\n"
#define TABBED "%u\t%llu\t%s\t%s\t%s\t%s\n"

static int add_participant(void *arg, const struct ipk_participant_info *p)
{
	return participant_line(arg, p, p->role ? p->role : "-", TABLE);
}

int render_participants(struct job *j, struct subject *s, const struct place *p,
			struct ipk_buf *out)
{
	int r = ipk_buf_str(out, TABLE_HEAD);

	(void)j, (void)p;
	if (r < 0 || !s->view)
		return r;
	r = ipk_view_participants(s->view, add_participant, out);
	return r < 0 ? r : 0;
}

static int add_holder(void *arg, const struct ipk_participant_info *p, const char *role,
		      uint64_t count)
{
	(void)count;
	return participant_line(arg, p, role ? role : "holder", TABBED);
}

int render_holders(struct job *j, struct subject *s, const struct place *p, struct ipk_buf *out)
{
	int r = ipk_object_holders(&s->obj, add_holder, out);

	(void)j, (void)p;
	return r < 0 ? r : 0;
}

static int add_waiter(void *arg, const struct ipk_participant_info *p)
{
	return participant_line(arg, p, p->role ? p->role : "waiter", TABBED);
}

int render_waiters(struct job *j, struct subject *s, const struct place *p, struct ipk_buf *out)
{
	int r = ipk_object_waiters(&s->obj, add_waiter, out);

	(void)j, (void)p;
	return r < 0 ? r : 0;
}

/* ---- segment ---------------------------------------------------------------------------- */

static int render_unreadable(struct subject *s, struct ipk_buf *out)
{
	return ipk_buf_printf(out, "size %llu\nhealth %s\n", (unsigned long long)s->st.st_size,
			      s->why.text[0] ? s->why.text : ipk_strerror(s->error));
}

int render_info(struct job *j, struct subject *s, const struct place *p, struct ipk_buf *out)
{
	struct ipk_segment_info info;
	char health[256];
	int r;

	(void)j, (void)p;
	if (!s->view)
		return render_unreadable(s, out);
	r = ipk_view_info(s->view, &info);
	if (r < 0) {
		s->error = r;
		return render_unreadable(s, out);
	}
	return ipk_buf_printf(out,
			      "size %llu\nmax %llu\nused %llu\nfree %llu\nobjects %llu\n"
			      "attached %u\ndead %u\nhealth %s\nformat %u\n",
			      (unsigned long long)info.size, (unsigned long long)info.max,
			      (unsigned long long)info.used, (unsigned long long)info.free,
			      (unsigned long long)info.objects, info.attached, info.dead,
			      ipk_segment_health(s->view, health, sizeof(health)), info.version);
}

/* ---- object ----------------------------------------------------------------------------- */

int render_kind(struct job *j, struct subject *s, const struct place *p, struct ipk_buf *out)
{
	const struct ipk_kind *kind = ipk_kind_by_id(s->obj.kind);

	(void)j, (void)p;
	if (kind)
		return ipk_buf_printf(out, "%s\n", kind->name);
	return ipk_buf_printf(out, "%u\n", s->obj.kind);
}

int render_type(struct job *j, struct subject *s, const struct place *p, struct ipk_buf *out)
{
	(void)j, (void)p;
	return ipk_buf_printf(out, "%s\n", s->obj.type);
}

static int used_and_cap(struct subject *s, struct ipk_buf *out, bool want_cap)
{
	uint64_t used = 0, cap = 0;
	int r = s->kind->inspect ? s->kind->inspect(&s->obj, &used, &cap) : -EOPNOTSUPP;

	return r < 0 ? r
		     : ipk_buf_printf(out, "%llu\n", (unsigned long long)(want_cap ? cap : used));
}

int render_used(struct job *j, struct subject *s, const struct place *p, struct ipk_buf *out)
{
	(void)j, (void)p;
	return used_and_cap(s, out, false);
}

int render_cap(struct job *j, struct subject *s, const struct place *p, struct ipk_buf *out)
{
	(void)j, (void)p;
	return used_and_cap(s, out, true);
}

int render_health(struct job *j, struct subject *s, const struct place *p, struct ipk_buf *out)
{
	char buf[256];

	(void)j, (void)p;
	return ipk_buf_printf(out, "%s\n", ipk_object_health(&s->obj, buf, sizeof(buf)));
}

int render_stats(struct job *j, struct subject *s, const struct place *p, struct ipk_buf *out)
{
	struct ipk_render render;
	int r = ipk_render_begin(&render, out, 0);

	(void)j, (void)p;
	if (r == 0)
		r = s->kind->stats_visit(&s->obj, &render.visitor);
	return r < 0 ? r : ipk_render_end(&render);
}

int render_value(struct job *j, struct subject *s, const struct place *p, struct ipk_buf *out)
{
	int r = s->kind->value(&s->obj, out);

	(void)j, (void)p;
	/* Empty: there is no value. */
	if (r == 0 && out->len && out->data[out->len - 1] != '\n')
		r = ipk_buf_str(out, "\n");
	return r;
}

int render_raw(struct job *j, struct subject *s, const struct place *p, struct ipk_buf *out)
{
	(void)j, (void)p;
	return s->kind->raw(&s->obj, out);
}

/* ---- items ------------------------------------------------------------------------------ */

int key_text(const struct subject *s, const struct ipk_item *item, struct ipk_buf *out)
{
	int r;

	if (item->key && s->key_type)
		r = ipk_value_print(s->key_type, item->key, item->key_len, 0, out);
	else
		r = ipk_value_print(s->type, item->data, item->len, 0, out);
	return r == -EBADMSG ? 0 : r;
}

struct items {
	struct job *j;
	const struct subject *s;
	struct ipk_buf *out;
};

static int add_item(void *arg, const struct ipk_item *item)
{
	struct items *t = arg;
	int r;

	if (t->s->kind->flags & IPK_KIND_KEYED && !item->key)
		return 0; /* a set: the name is all there is */
	r = ipk_value_print(t->s->type, item->data, item->len, 0, t->out);
	return r < 0 && r != -EBADMSG ? r : ipk_buf_add(t->out, "\n", 1);
}

int render_item(struct job *j, struct subject *s, const struct place *p, struct ipk_buf *out)
{
	struct items t = {.j = j, .s = s, .out = out};
	int r = subject_types(s);

	if (r == 0)
		r = s->kind->item(&s->obj, p->key, p->key_len, add_item, &t);
	return r == -ERANGE || r == -EINVAL ? -ENOENT : r;
}

static int add_json(void *arg, const struct ipk_item *item)
{
	struct items *t = arg;
	int r;

	if (job_cancelled(t->j))
		return -ECANCELED;
	r = ipk_render_item(t->out, item, t->s->type, t->s->key_type, IPK_RENDER_JSON);
	/* Not of its type: it is shown all the same. */
	return r < 0 && r != -EBADMSG ? r : ipk_buf_add(t->out, "\n", 1);
}

int render_all(struct job *j, struct subject *s, const struct place *p, struct ipk_buf *out)
{
	struct items t = {.j = j, .s = s, .out = out};
	int r = subject_types(s);

	(void)p;
	return r < 0 ? r : s->kind->items(&s->obj, 0, UINT64_MAX, add_json, &t);
}
