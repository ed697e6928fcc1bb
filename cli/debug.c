/* SPDX-License-Identifier: MIT */
/* Who is there, is it well, and what do the bytes say: who stat fsck gc hexdump. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* ---- who ---------------------------------------------------------------------------------------- */

enum { PID, START, COMM, ROLE, SINCE, ALIVE, COUNT, TID, SLOT, STATE, WHO_COLUMNS };
static const struct cli_column who_columns[WHO_COLUMNS] = {
	[PID] = { "PID", CLI_COL_RIGHT },
	[START] = { "START", CLI_COL_RIGHT },
	[COMM] = { "COMM", 0 },
	[ROLE] = { "ROLE", 0 },
	[SINCE] = { "SINCE", 0 },
	[ALIVE] = { "ALIVE", 0 },
	[COUNT] = { "COUNT", CLI_COL_RIGHT | CLI_COL_LONG },
	[TID] = { "TID", CLI_COL_RIGHT | CLI_COL_LONG },
	[SLOT] = { "SLOT", CLI_COL_RIGHT | CLI_COL_LONG },
	[STATE] = { "STATE", CLI_COL_LONG },
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
	struct cli_table t = { 0 };
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

/* ---- stat --------------------------------------------------------------------------------------- */

static int stat_once(struct cli *c, struct cli_object *ob)
{
	struct cli_record rec;
	struct ipk_visitor *v = &rec.render.visitor;
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
	cli_record_end(&rec);
	return 0;
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

/* ---- fsck --------------------------------------------------------------------------------------- */

struct findings {
	struct cli *c;
	const char *object; /* only this one's, or NULL */
	uint64_t n;
};

static void print_finding(void *arg, const char *where, const char *what)
{
	struct findings *f = arg;
	struct ipk_buf b = { 0 };
	size_t len = f->object ? strlen(f->object) : 0;

	if (f->object && (strncmp(where, f->object, len) || (where[len] && where[len] != '/')))
		return;
	f->n++;
	if (f->c->opt.json) {
		ipk_buf_str(&b, "{\"v\":1");
		cli_json_str(&b, "where", where);
		cli_json_str(&b, "what", what);
		ipk_buf_str(&b, "}");
		cli_json(f->c, b.data, b.len);
	} else {
		cli_escape(&b, where, strlen(where));
		ipk_buf_str(&b, ": ");
		cli_escape(&b, what, strlen(what));
		ipk_buf_str(&b, "\n");
		cli_put(f->c, b.data, b.len);
		cli_end_record(f->c);
	}
	ipk_buf_free(&b);
}

int cli_fsck(struct cli *c)
{
	struct findings f = { .c = c };
	struct ipk_error err = { 0 };
	struct cli_object ob = { 0 };
	char *object;
	int r = cli_ref(c, c->word[0], CLI_REF_SEGMENT | CLI_REF_OBJECT, &ob.ref);

	if (r)
		return r;
	/* The object of a damaged segment may be beyond finding: only the segment is opened. */
	object = ob.ref.object;
	ob.ref.object = NULL;
	r = cli_find(&ob, &err);
	ob.ref.object = object;
	f.object = object;
	if (r == -ENOENT) {
		cli_close(&ob);
		return cli_open(c, c->word[0], CLI_REF_SEGMENT | CLI_REF_OBJECT, &ob);
	}
	if (r == 0)
		r = ipk_fsck(ob.view, print_finding, &f, &err);
	if (r < 0)
		r = cli_fail_code(c, r, &err);
	else if (object && f.n == 0 && cli_find(&ob, &err) == -ENOENT)
		r = cli_fail(c, CLI_ABSENT, -ENOENT, "no object \"%s\" in %s", object, ob.ref.segment);
	else
		r = f.n ? CLI_NO : CLI_DONE;
	cli_close(&ob);
	return r;
}

/* ---- gc ----------------------------------------------------------------------------------------- */

struct dead {
	struct cli *c;
	const char *segment;
	uint64_t n;
};

static int say_dead(void *arg, const struct ipk_participant_info *p)
{
	struct dead *d = arg;
	struct ipk_buf b = { 0 };

	if (p->alive)
		return 0;
	d->n++;
	if (d->c->opt.json) {
		ipk_buf_str(&b, "{\"v\":1");
		cli_json_str(&b, "segment", d->segment);
		cli_json_u64(&b, "pid", p->pid);
		cli_json_str(&b, "comm", p->comm);
		cli_json_bool(&b, "swept", !d->c->opt.dry_run);
		ipk_buf_str(&b, "}");
		cli_json(d->c, b.data, b.len);
	} else {
		ipk_buf_printf(&b, "%s: %s what %u (", d->segment,
			       d->c->opt.dry_run ? "would clear" : "cleared", p->pid);
		cli_escape(&b, p->comm, strlen(p->comm));
		ipk_buf_str(&b, ") left\n");
		cli_put(d->c, b.data, b.len);
	}
	cli_end_record(d->c);
	ipk_buf_free(&b);
	return 0;
}

static int gc_segment(struct cli *c, const char *name)
{
	struct dead d = { .c = c, .segment = name };
	struct ipk_segment *seg = NULL;
	struct ipk_view *view = NULL;
	struct ipk_error err = { 0 };
	int r = ipk_view_open(name, &view, &err);

	if (r == -ENOENT)
		return 0; /* it went meanwhile */
	if (r == 0)
		r = ipk_view_participants(view, say_dead, &d);
	if (r >= 0 && !c->opt.dry_run) {
		r = ipk_segment_open(name, IPK_READ | IPK_WRITE, &seg, &err);
		if (r == 0)
			r = ipk_segment_sweep(seg);
		if (seg)
			ipk_segment_close(seg);
	}
	if (view)
		ipk_view_close(view);
	/* What belongs to others is not ours to clear, nor to complain about. */
	if (r == -EACCES || r == -EPERM)
		return 0;
	c->ref = name;
	r = r < 0 ? cli_fail_code(c, r, &err) : 0;
	c->ref = NULL;
	return r;
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
	return first;
}

/* ---- hexdump ------------------------------------------------------------------------------------ */

/* As hexdump -C: rows that repeat are one star. */
static int hex_rows(struct cli *c, struct ipk_view *view, uint64_t from, uint64_t size)
{
	unsigned char row[16], last[16];
	bool star = false;
	uint64_t off;
	unsigned i, n;
	int r;

	for (off = from; off < from + size; off += n) {
		n = size - (off - from) < 16 ? (unsigned)(size - (off - from)) : 16;
		r = ipk_view_read(view, off, row, n);
		if (r < 0)
			return r;
		if (off > from && n == 16 && !memcmp(row, last, 16)) {
			if (!star)
				cli_puts(c, "*\n");
			star = true;
			continue;
		}
		star = false;
		memcpy(last, row, n);
		cli_printf(c, "%08llx ", (unsigned long long)off);
		for (i = 0; i < 16; i++) {
			if (i < n)
				cli_printf(c, "%s%02x", i == 8 ? "  " : " ", row[i]);
			else
				cli_puts(c, i == 8 ? "    " : "   ");
		}
		cli_puts(c, "  |");
		for (i = 0; i < n; i++)
			cli_printf(c, "%c", row[i] >= ' ' && row[i] < 127 ? row[i] : '.');
		cli_puts(c, "|\n");
		cli_end_record(c);
		if (c->out->error || cli_interrupted())
			return -ECANCELED;
	}
	cli_printf(c, "%08llx\n", (unsigned long long)off);
	return 0;
}

static int raw_bytes(struct cli *c, struct ipk_view *view, uint64_t from, uint64_t size)
{
	char block[4096];
	uint64_t off, n = 0;
	int r;

	for (off = from; off < from + size; off += n) {
		n = size - (off - from) < sizeof(block) ? size - (off - from) : sizeof(block);
		r = ipk_view_read(view, off, block, n);
		if (r < 0)
			return r;
		cli_put(c, block, n);
		cli_end_record(c);
		if (c->out->error || cli_interrupted())
			return -ECANCELED;
	}
	return 0;
}

/* One JSON record for 16 bytes. */
static int json_rows(struct cli *c, struct ipk_view *view, uint64_t from, uint64_t size)
{
	unsigned char row[16];
	uint64_t off, n;
	unsigned i;
	int r;

	for (off = from; off < from + size; off += n) {
		struct ipk_buf b = { 0 };

		n = size - (off - from) < 16 ? size - (off - from) : 16;
		r = ipk_view_read(view, off, row, n);
		if (r < 0)
			return r;
		ipk_buf_printf(&b, "{\"v\":1,\"offset\":%llu,\"hex\":\"", (unsigned long long)off);
		for (i = 0; i < n; i++)
			ipk_buf_printf(&b, "%02x", row[i]);
		ipk_buf_str(&b, "\"}");
		cli_json(c, b.data, b.len);
		ipk_buf_free(&b);
		if (c->out->error || cli_interrupted())
			return -ECANCELED;
	}
	return 0;
}

struct typed {
	struct cli *c;
	struct cli_object *ob;
};

static int typed_item(void *arg, const struct ipk_item *item)
{
	struct typed *t = arg;
	const unsigned char *data = item->data;
	struct ipk_buf b = { 0 };
	uint64_t i;

	if (t->c->opt.json) {
		ipk_render_item(&b, item, t->ob->type, t->ob->key_type, IPK_RENDER_META);
		b.len -= b.len > 0; /* the brace */
		ipk_buf_str(&b, ",\"hex\":\"");
		for (i = 0; i < item->len; i++)
			ipk_buf_printf(&b, "%02x", data[i]);
		ipk_buf_str(&b, "\"}");
		cli_json(t->c, b.data, b.len);
		ipk_buf_free(&b);
		return t->c->out->error || cli_interrupted() ? -ECANCELED : 0;
	}
	if (item->key && t->ob->key_type)
		ipk_value_print(t->ob->key_type, item->key, item->key_len, IPK_VALUE_JSON, &b);
	else
		ipk_buf_printf(&b, "%llu", (unsigned long long)item->pos);
	ipk_buf_printf(&b, "%s ", item->leased ? " leased" : "");
	for (i = 0; i < item->len && i < 64; i++)
		ipk_buf_printf(&b, "%02x", data[i]);
	ipk_buf_str(&b, i < item->len ? ".. " : " ");
	ipk_value_print(t->ob->type, item->data, item->len, IPK_VALUE_JSON, &b);
	ipk_buf_str(&b, "\n");
	cli_put(t->c, b.data, b.len);
	cli_end_record(t->c);
	ipk_buf_free(&b);
	return t->c->out->error || cli_interrupted() ? -ECANCELED : 0;
}

static int typed_object(void *arg, const struct ipk_object_view *o)
{
	struct cli_table *t = arg;
	char text[24];

	if (cli_table_row(t))
		return -ENOMEM;
	cli_cell_u64(t, 0, o->off);
	cli_cell_u64(t, 1, o->size);
	cli_cell_str(t, 2, cli_kind_name(o->kind, text));
	cli_cell_str(t, 3, o->name);
	cli_cell_str(t, 4, o->type);
	return 0;
}

static void typed_header(struct cli *c, const struct ipk_object_view *o)
{
	struct cli_record rec;
	struct ipk_visitor *v = &rec.render.visitor;

	cli_record_begin(&rec, c);
	v->str(v, "name", o->name);
	v->u64(v, "kind", o->kind);
	v->u64(v, "version", o->version);
	v->u64(v, "id", o->id);
	v->str(v, "type", o->type);
	v->u64(v, "offset", o->off);
	v->u64(v, "bytes", o->size);
	v->u64(v, "body", o->body);
	v->u64(v, "body_bytes", o->body_size);
	cli_record_end(&rec);
}

static int typed(struct cli *c, struct cli_object *ob)
{
	static const struct cli_column cols[] = { { "OFFSET", CLI_COL_RIGHT }, { "BYTES", CLI_COL_RIGHT },
						  { "KIND", 0 }, { "NAME", 0 }, { "TYPE", 0 } };
	struct typed arg = { c, ob };
	struct cli_table t;
	int r;

	if (!ob->found) {
		if (cli_table_begin(&t, c, cols, CLI_ARRAY_LEN(cols)))
			return -EINVAL;
		t.sort = true;
		r = ipk_view_objects(ob->view, typed_object, &t);
		cli_table_end(&t);
		return r;
	}
	typed_header(c, &ob->o);
	if (!ob->kind || !ob->kind->items)
		return c->opt.json ? json_rows(c, ob->view, ob->o.body, ob->o.body_size) :
				     hex_rows(c, ob->view, ob->o.body, ob->o.body_size);
	return ob->kind->items(&ob->o, 0, UINT64_MAX, typed_item, &arg);
}

int cli_hexdump(struct cli *c)
{
	struct cli_object ob;
	uint64_t from, size;
	int r = cli_open(c, c->word[0], CLI_REF_SEGMENT | CLI_REF_OBJECT, &ob);

	if (r)
		return r;
	from = ob.found ? ob.o.off : 0;
	size = ob.found ? ob.o.size : ipk_view_size(ob.view);
	if (cli_given(c, "typed"))
		r = typed(c, &ob);
	else if (c->opt.raw)
		r = raw_bytes(c, ob.view, from, size);
	else if (c->opt.json)
		r = json_rows(c, ob.view, from, size);
	else
		r = hex_rows(c, ob.view, from, size);
	if (c->out->error)
		r = cli_flush_status(c);
	else
		r = r < 0 ? cli_fail_code(c, r, NULL) : 0;
	cli_close(&ob);
	return r;
}
