/* SPDX-License-Identifier: MIT */
/* Who is there, what it counts, what the dead left: who stat gc. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "ipk/repair.h"

/* ---- who -------------------------------------------------------------------------------- */

enum { PID, START, COMM, ROLE, SINCE, ALIVE, COUNT, TID, SLOT, STATE, WHO_COLUMNS };
static const struct cli_column who_columns[WHO_COLUMNS] = {
	[PID] = {"PID", CLI_COL_RIGHT},
	[START] = {"START", CLI_COL_RIGHT},
	[COMM] = {"COMM", 0},
	[ROLE] = {"ROLE", 0},
	[SINCE] = {"SINCE", 0},
	[ALIVE] = {"ALIVE", 0},
	[COUNT] = {"COUNT", CLI_COL_RIGHT | CLI_COL_LONG},
	[TID] = {"TID", CLI_COL_RIGHT | CLI_COL_LONG},
	[SLOT] = {"SLOT", CLI_COL_RIGHT | CLI_COL_LONG},
	[STATE] = {"STATE", CLI_COL_LONG},
};

static int who_row(struct cli_table *t, const struct ipk_participant_info *p, const char *role,
		   uint64_t count)
{
	char text[40];

	if (cli_table_row(t))
		return -ENOMEM;
	cli_cell_u64(t, PID, p->pid);
	cli_cell_u64(t, START, p->start);
	cli_cell_str(t, COMM, p->comm);
	cli_cell_str(t, ROLE, role);
	cli_time_text(p->since, text);
	cli_cell_str(t, SINCE, text);
	cli_cell_bool(t, ALIVE, p->alive);
	cli_cell_u64(t, COUNT, count);
	cli_cell_u64(t, TID, p->tid);
	cli_cell_u64(t, SLOT, p->slot);
	cli_cell_str(t, STATE, p->state);
	return 0;
}

static int who_participant(void *arg, const struct ipk_participant_info *p)
{
	return who_row(arg, p, p->role, 1);
}

static int who_waiter(void *arg, const struct ipk_participant_info *p)
{
	return who_row(arg, p, "waiter", 1);
}

static int who_holder(void *arg, const struct ipk_participant_info *p, const char *role,
		      uint64_t count)
{
	return who_row(arg, p, role, count);
}

int cli_who(struct cli *c)
{
	struct cli_table t = {0};
	struct cli_object ob;
	int r = cli_open(c, c->word[0], CLI_REF_SEGMENT | CLI_REF_OBJECT, &ob);

	if (r == 0)
		r = cli_table_begin(&t, c, who_columns, WHO_COLUMNS);
	if (r) {
		cli_close(&ob);
		return r;
	}
	if (!ob.found) {
		r = ipk_view_participants(ob.view, who_participant, &t);
	} else {
		r = ipk_object_holders(&ob.o, who_holder, &t);
		if (r >= 0)
			r = ipk_object_waiters(&ob.o, who_waiter, &t);
	}
	if (r < 0) {
		cli_table_free(&t);
		r = cli_fail_code(c, r, NULL);
	} else {
		cli_table_end(&t);
		r = 0;
	}
	cli_close(&ob);
	return r;
}

/* ---- stat ------------------------------------------------------------------------------- */

static int stat_once(struct cli *c, struct cli_object *ob)
{
	struct cli_record rec;
	struct ipk_visitor *v = &rec.visitor;
	uint64_t used = 0, cap = 0;
	int r = 0;

	cli_record_begin(&rec, c);
	if (!ob->found) {
		r = cli_fields(ob, v);
	} else {
		if (ob->kind->inspect)
			r = ob->kind->inspect(&ob->o, &used, &cap);
		v->u64(v, "used", used);
		v->u64(v, "cap", cap);
		if (r >= 0 && ob->kind->stats_visit)
			r = ob->kind->stats_visit(&ob->o, v);
	}
	if (r < 0) {
		cli_record_drop(&rec);
		return cli_fail_code(c, r, NULL);
	}
	return cli_record_end(&rec);
}

int cli_stat(struct cli *c)
{
	uint64_t left = c->opt.count_given ? c->opt.count : c->opt.interval ? UINT64_MAX : 1;
	struct cli_object ob;
	int r = cli_open(c, c->word[0], CLI_REF_SEGMENT | CLI_REF_OBJECT, &ob);

	if (r == 0 && ob.found)
		r = cli_known_kind(c, &ob);
	while (r == 0 && left > 0) {
		r = stat_once(c, &ob);
		left -= left != UINT64_MAX;
		if (r || !left)
			break;
		if (!c->opt.json)
			cli_puts(c, "\n");
		if (ob.found && !ipk_object_view_current(&ob.o))
			r = cli_fail(c, CLI_ABSENT, -ESTALE, "removed meanwhile");
		else if (cli_sleep(c, c->opt.interval ? c->opt.interval : 1000000000))
			r = c->out->error ? cli_flush_status(c) : CLI_INTERRUPTED;
	}
	cli_close(&ob);
	return r;
}

/* ---- gc --------------------------------------------------------------------------------- */

/* The dead of one segment. */
struct dead {
	struct ipk_participant_info *p;
	size_t n;
};

static int note_dead(void *arg, const struct ipk_participant_info *p)
{
	struct dead *d = arg;
	struct ipk_participant_info *more;

	if (p->alive)
		return 0;
	more = reallocarray(d->p, d->n + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	d->p = more;
	d->p[d->n++] = *p;
	return 0;
}

/* A lock that is needed may be a stopped process's, or an object of a kind that is not known. */
static bool is_there_still(struct ipk_view *view, const struct ipk_participant_info *p)
{
	struct ipk_participant_info now;

	return ipk_view_participant(view, p->slot, &now) == 0 && !now.alive && now.pid == p->pid &&
	       now.start == p->start && now.since == p->since;
}

static void say_dead(struct cli *c, const char *segment, const struct ipk_participant_info *p,
		     bool swept)
{
	const char *does = c->opt.dry_run ? "would clear" : swept ? "cleared" : "cannot clear yet";
	struct ipk_buf b = {0};

	if (c->opt.json) {
		ipk_buf_str(&b, "{\"v\":1");
		cli_json_str(&b, "segment", segment);
		cli_json_u64(&b, "pid", p->pid);
		cli_json_str(&b, "comm", p->comm);
		cli_json_bool(&b, "swept", swept);
		ipk_buf_str(&b, "}");
		cli_json(c, b.data, b.len);
	} else {
		ipk_buf_printf(&b, "%s: %s what %u (", segment, does, p->pid);
		cli_escape(&b, p->comm, strlen(p->comm));
		ipk_buf_str(&b, ") left\n");
		cli_put(c, b.data, b.len);
	}
	cli_end_record(c);
	ipk_buf_free(&b);
}

static int sweep(const char *name, struct ipk_error *err)
{
	struct ipk_segment *seg = NULL;
	int r = ipk_segment_open(name, IPK_READ | IPK_WRITE, &seg, err);

	if (r == 0)
		r = ipk_segment_sweep(seg);
	ipk_segment_close(seg);
	return r;
}

static int gc_segment(struct cli *c, const char *name)
{
	struct dead d = {0};
	struct ipk_view *view = NULL;
	struct ipk_error err = {0};
	bool left = false;
	int r = ipk_view_open(name, &view, &err);

	if (r == -ENOENT)
		return 0; /* it went meanwhile */
	if (r == 0)
		r = ipk_view_participants(view, note_dead, &d);
	if (r >= 0 && !c->opt.dry_run)
		r = sweep(name, &err);
	for (size_t i = 0; r >= 0 && i < d.n; i++) {
		bool swept = !c->opt.dry_run && !is_there_still(view, &d.p[i]);

		left |= !swept && !c->opt.dry_run;
		say_dead(c, name, &d.p[i], swept);
	}
	free(d.p);
	if (view)
		ipk_view_close(view);
	/* What belongs to others is not ours to clear, nor to complain about. */
	if (r == -EACCES || r == -EPERM)
		return 0;
	c->ref = name;
	r = r < 0 ? cli_fail_code(c, r, &err) : left;
	c->ref = NULL;
	return r;
}

/* What a repair had saved, of a segment that is gone. */
static void say_forgotten(void *arg, const char *path)
{
	struct cli *c = arg;
	struct ipk_buf b = {0};

	if (c->opt.json) {
		ipk_buf_str(&b, "{\"v\":1");
		cli_json_str(&b, "file", path);
		cli_json_bool(&b, "removed", !c->opt.dry_run);
		ipk_buf_str(&b, "}");
		cli_json(c, b.data, b.len);
	} else {
		ipk_buf_str(&b, c->opt.dry_run ? "would remove " : "removed ");
		cli_escape(&b, path, strlen(path));
		ipk_buf_str(&b, "\n");
		cli_put(c, b.data, b.len);
	}
	cli_end_record(c);
	ipk_buf_free(&b);
}

int cli_gc(struct cli *c)
{
	char **names = NULL;
	size_t n = 0, i;
	int r = cli_segments(c, &names, &n), first = r;

	for (i = 0; i < n; i++) {
		r = gc_segment(c, names[i]);
		if (!first)
			first = r;
	}
	cli_names_free(names, n);
	(void)ipk_repair_forget(c->opt.dry_run ? IPK_REPAIR_DRY : 0, say_forgotten, c);
	return first;
}
