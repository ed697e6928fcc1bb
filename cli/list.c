/* SPDX-License-Identifier: MIT */
/* Looking around: ls tree. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* ---- ls --------------------------------------------------------------------------------- */

enum {
	NAME,
	KIND,
	TYPE,
	USED,
	CAP,
	BYTES,
	ATTACHED,
	DEAD,
	KEY,
	MAX,
	OBJECTS,
	HEALTH,
	MODE,
	CREATED,
	COLUMNS
};
static const struct cli_column columns[COLUMNS] = {
	[NAME] = {"NAME", 0},
	[KIND] = {"KIND", 0},
	[TYPE] = {"TYPE", 0},
	[USED] = {"USED", CLI_COL_RIGHT},
	[CAP] = {"CAP", CLI_COL_RIGHT},
	[BYTES] = {"BYTES", CLI_COL_RIGHT},
	[ATTACHED] = {"ATTACHED", CLI_COL_RIGHT},
	[DEAD] = {"DEAD", CLI_COL_RIGHT},
	[KEY] = {"KEY", CLI_COL_LONG},
	[MAX] = {"MAX", CLI_COL_RIGHT | CLI_COL_LONG},
	[OBJECTS] = {"OBJECTS", CLI_COL_RIGHT | CLI_COL_LONG},
	[HEALTH] = {"HEALTH", CLI_COL_LONG},
	[MODE] = {"MODE", CLI_COL_LONG},
	[CREATED] = {"CREATED", CLI_COL_LONG},
};

static bool wants(const struct cli_table *t, unsigned col)
{
	unsigned i;

	for (i = 0; i < t->nshown; i++)
		if (t->shown[i] == col)
			return true;
	return false;
}

/* Who has opened what: gathered once, looked up for each row. */
struct use {
	uint64_t object;
	bool alive;
};

struct listing {
	struct cli_table t;
	struct use *use;
	size_t nuses, cap;
};

static int add_use(void *arg, const struct ipk_participant_info *p, uint64_t object)
{
	struct listing *l = arg;

	if (l->nuses == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 64;
		struct use *grown = reallocarray(l->use, cap, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		l->use = grown;
		l->cap = cap;
	}
	l->use[l->nuses++] = (struct use){object, p->alive};
	return 0;
}

static int by_object(const void *a, const void *b)
{
	const struct use *x = a, *y = b;

	return (x->object > y->object) - (x->object < y->object);
}

static void users(const struct listing *l, uint64_t object, uint64_t *ret_living,
		  uint64_t *ret_dead)
{
	size_t low = 0, high = l->nuses;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (l->use[mid].object < object)
			low = mid + 1;
		else
			high = mid;
	}
	*ret_living = *ret_dead = 0;
	for (; low < l->nuses && l->use[low].object == object; low++)
		++*(l->use[low].alive ? ret_living : ret_dead);
}

static int object_row(void *arg, const struct ipk_object_view *o)
{
	struct listing *l = arg;
	struct cli_table *t = &l->t;
	const struct ipk_kind *kind = ipk_kind_by_id(o->kind);
	uint64_t used = 0, cap = 0, living, dead;
	char text[160];

	if (cli_table_row(t))
		return -ENOMEM;
	cli_cell_str(t, NAME, o->name);
	cli_cell_str(t, KIND, cli_kind_name(o->kind, text));
	cli_cell_str(t, TYPE, o->type);
	if (kind && kind->version == o->version && kind->inspect &&
	    kind->inspect(o, &used, &cap) == 0) {
		cli_cell_u64(t, USED, used);
		cli_cell_u64(t, CAP, cap);
	}
	cli_cell_size(t, BYTES, o->size);
	users(l, o->off, &living, &dead);
	cli_cell_u64(t, ATTACHED, living);
	cli_cell_u64(t, DEAD, dead);
	if (o->key_type)
		cli_cell_str(t, KEY, o->key_type);
	if (wants(t, HEALTH))
		cli_cell_str(t, HEALTH, ipk_object_health(o, text, sizeof(text)));
	cli_time_text(o->created, text);
	cli_cell_str(t, CREATED, text);
	return cli_interrupted() ? -ECANCELED : 0;
}

static void segment_row(struct cli_table *t, const char *name)
{
	struct ipk_segment_info in;
	struct ipk_error err = {0};
	struct ipk_view *view;
	char text[160];
	int r = ipk_view_open(name, &view, &err);

	if (r == -ENOENT || cli_table_row(t))
		return; /* it went meanwhile */
	cli_cell_str(t, NAME, name);
	cli_cell_str(t, KIND, "segment");
	if (r == 0 && ipk_view_info(view, &in) == 0) {
		cli_cell_size(t, USED, in.used);
		cli_cell_size(t, CAP, in.max);
		cli_cell_size(t, BYTES, in.size);
		cli_cell_u64(t, ATTACHED, in.attached);
		cli_cell_u64(t, DEAD, in.dead);
		cli_cell_size(t, MAX, in.max);
		cli_cell_u64(t, OBJECTS, in.objects);
		snprintf(text, sizeof(text), "%04o", in.mode & 07777);
		cli_cell_str(t, MODE, text);
		cli_time_text(in.created, text);
		cli_cell_str(t, CREATED, text);
		if (wants(t, HEALTH))
			cli_cell_str(t, HEALTH, ipk_segment_health(view, text, sizeof(text)));
	} else {
		cli_cell_str(t, HEALTH, err.text[0] ? err.text : ipk_strerror(r));
	}
	if (r == 0)
		ipk_view_close(view);
}

static int ls_segments(struct cli *c, struct cli_table *t)
{
	char **names = NULL;
	size_t n = 0, i;
	int r = cli_segments(c, &names, &n);

	for (i = 0; i < n; i++)
		segment_row(t, names[i]);
	cli_names_free(names, n);
	return r;
}

enum { I_KEY, I_LEN, I_REDELIVERED, I_LEASED, I_VALUE, I_COLUMNS };
static const struct cli_column item_columns[I_COLUMNS] = {
	[I_KEY] = {"KEY", 0},
	[I_LEN] = {"BYTES", CLI_COL_RIGHT},
	[I_REDELIVERED] = {"REDELIVERED", CLI_COL_RIGHT},
	[I_LEASED] = {"LEASED", 0},
	[I_VALUE] = {"VALUE", 0},
};

struct items {
	struct cli_table t;
	struct cli_object *ob;
};

static int item_row(void *arg, const struct ipk_item *item)
{
	struct items *is = arg;
	struct cli_table *t = &is->t;
	const void *key;
	size_t len;
	const struct ipk_type *type = cli_key_of(is->ob, item, &key, &len);

	if (cli_table_row(t))
		return -ENOMEM;
	if (type)
		cli_cell_value(t, I_KEY, type, key, len);
	else
		cli_cell_u64(t, I_KEY, item->pos);
	cli_cell_size(t, I_LEN, item->len);
	cli_cell_u64(t, I_REDELIVERED, item->redelivered);
	cli_cell_bool(t, I_LEASED, item->leased);
	cli_cell_value(t, I_VALUE, is->ob->type, item->data, item->len);
	return cli_interrupted() ? -ECANCELED : 0;
}

static int ls_items(struct cli *c, struct cli_object *ob)
{
	struct items is = {.ob = ob};
	char kind[40];
	int r = cli_known_kind(c, ob);

	if (r == 0 && !ob->kind->items)
		r = cli_fail(c, CLI_WRONG, -EMEDIUMTYPE, "%s has no items", cli_a_kind(ob, kind));
	if (r == 0)
		r = cli_table_begin(&is.t, c, item_columns, I_COLUMNS);
	if (r)
		return r;
	r = ob->kind->items(&ob->o, 0, UINT64_MAX, item_row, &is);
	if (r < 0) {
		cli_table_free(&is.t);
		return cli_fail_code(c, r, NULL);
	}
	cli_table_end(&is.t);
	return 0;
}

static int ls_objects(struct cli *c, struct cli_object *ob, struct listing *l)
{
	int r = 0;

	if (wants(&l->t, ATTACHED) || wants(&l->t, DEAD))
		r = ipk_view_uses(ob->view, add_use, l);
	if (l->nuses)
		qsort(l->use, l->nuses, sizeof(*l->use), by_object);
	if (r >= 0)
		r = ipk_view_objects(ob->view, object_row, l);
	free(l->use);
	return r < 0 ? cli_fail_code(c, r, NULL) : 0;
}

int cli_ls(struct cli *c)
{
	struct cli_object ob = {0};
	struct listing l = {0};
	int r = 0;

	if (c->nwords)
		r = cli_open(c, c->word[0], CLI_REF_SEGMENT | CLI_REF_OBJECT, &ob);
	if (r == 0 && ob.found) {
		r = ls_items(c, &ob);
		cli_close(&ob);
		return r;
	}
	if (r == 0)
		r = cli_table_begin(&l.t, c, columns, COLUMNS);
	if (r) {
		cli_close(&ob);
		return r;
	}
	l.t.sort = true;
	r = ob.view ? ls_objects(c, &ob, &l) : ls_segments(c, &l.t);
	if (r == 0)
		cli_table_end(&l.t);
	else
		cli_table_free(&l.t);
	cli_close(&ob);
	return r;
}

/* ---- tree ------------------------------------------------------------------------------- */

struct branches {
	struct cli *c;
	const char *segment, *only; /* NULL: all objects */
	char **line;
	size_t n, cap;
};

/* One line an object, "name\0rest", sorted afterwards. */
static int add_branch(void *arg, const struct ipk_object_view *o)
{
	struct branches *bs = arg;
	const struct ipk_kind *kind = ipk_kind_by_id(o->kind);
	uint64_t used = 0, cap = 0;
	struct ipk_buf b = {0};
	char text[24];

	if (bs->only && strcmp(bs->only, o->name))
		return 0;
	if (bs->n == bs->cap) {
		size_t room = bs->cap ? 2 * bs->cap : 64;
		char **grown = reallocarray(bs->line, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		bs->line = grown;
		bs->cap = room;
	}
	if (kind && kind->version == o->version && kind->inspect)
		kind->inspect(o, &used, &cap);
	if (bs->c->opt.json) {
		ipk_buf_str(&b, o->name);
		ipk_buf_add(&b, "", 1);
		ipk_buf_str(&b, "{\"v\":1");
		cli_json_str(&b, "segment", bs->segment);
		cli_json_str(&b, "name", o->name);
		cli_json_str(&b, "kind", cli_kind_name(o->kind, text));
		cli_json_str(&b, "type", o->type);
		cli_json_u64(&b, "used", used);
		cli_json_u64(&b, "cap", cap);
		ipk_buf_str(&b, "}");
	} else {
		ipk_buf_str(&b, o->name);
		ipk_buf_add(&b, "", 1);
		ipk_buf_printf(&b, "  %s %s %llu/%llu", cli_kind_name(o->kind, text), o->type,
			       (unsigned long long)used, (unsigned long long)cap);
	}
	if (ipk_buf_add(&b, "", 1) < 0)
		return -ENOMEM;
	bs->line[bs->n++] = b.data;
	return 0;
}

static int by_line(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool utf8(void)
{
	static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
	unsigned i;

	for (i = 0; i < CLI_ARRAY_LEN(names); i++) {
		const char *val = getenv(names[i]);

		if (val && *val)
			return strcasestr(val, "utf-8") || strcasestr(val, "utf8");
	}
	return false;
}

static int tree_of(struct cli *c, struct ipk_view *view, const char *name, const char *only)
{
	const char *tee = utf8() ? "├── " : "|-- ", *end = utf8() ? "└── " : "`-- ";
	struct branches bs = {.c = c, .segment = name, .only = only};
	size_t i;
	int r = ipk_view_objects(view, add_branch, &bs);

	if (bs.n)
		qsort(bs.line, bs.n, sizeof(*bs.line), by_line);
	if (!c->opt.json) {
		cli_name(c, name);
		cli_puts(c, "\n");
	}
	for (i = 0; i < bs.n; i++) {
		const char *rest = bs.line[i] + strlen(bs.line[i]) + 1;

		if (c->opt.json) {
			cli_json(c, rest, strlen(rest));
		} else {
			cli_puts(c, i + 1 < bs.n ? tee : end);
			cli_name(c, bs.line[i]);
			cli_puts(c, rest);
			cli_puts(c, "\n");
			cli_end_record(c);
		}
		free(bs.line[i]);
	}
	free(bs.line);
	return r < 0 ? cli_fail_code(c, r, NULL) : 0;
}

int cli_tree(struct cli *c)
{
	struct cli_object ob;
	char **names = NULL;
	size_t n = 0, i;
	int r, first = 0;

	if (c->nwords) {
		r = cli_open(c, c->word[0], CLI_REF_SEGMENT | CLI_REF_OBJECT, &ob);
		if (r == 0)
			r = tree_of(c, ob.view, ob.ref.segment, ob.ref.object);
		cli_close(&ob);
		return r;
	}
	r = cli_segments(c, &names, &n);
	for (i = 0; i < n && r == 0; i++) {
		struct ipk_error err = {0};
		struct ipk_view *view;
		int bad = ipk_view_open(names[i], &view, &err);

		c->ref = names[i];
		if (bad == 0) {
			bad = tree_of(c, view, names[i], NULL);
			ipk_view_close(view);
		} else if (bad != -ENOENT) {
			bad = cli_fail_code(c, bad, &err);
		} else {
			bad = 0;
		}
		if (!first)
			first = bad;
	}
	cli_names_free(names, n);
	return r ? r : first;
}
