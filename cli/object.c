/* SPDX-License-Identifier: MIT */
/* What a REF names: opened for reading through a view, attached for writing on demand. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* ---- segments --------------------------------------------------------------------------- */

struct names {
	char **name;
	size_t n, cap;
};

static int add_name(void *arg, const char *name)
{
	struct names *list = arg;

	if (list->n == list->cap) {
		size_t cap = list->cap ? 2 * list->cap : 32;
		char **grown = reallocarray(list->name, cap, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		list->name = grown;
		list->cap = cap;
	}
	list->name[list->n] = strdup(name);
	return list->name[list->n] ? list->n++, 0 : -ENOMEM;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void cli_names_free(char **names, size_t n)
{
	while (n > 0)
		free(names[--n]);
	free(names);
}

int cli_segments(struct cli *c, char ***ret_names, size_t *ret_n)
{
	struct ipk_error err = {0};
	struct names list = {0};
	int r = ipk_segment_list(add_name, &list, &err);

	if (r < 0) {
		cli_names_free(list.name, list.n);
		return cli_fail_code(c, r, &err);
	}
	if (list.n)
		qsort(list.name, list.n, sizeof(*list.name), by_name);
	*ret_names = list.name;
	*ret_n = list.n;
	return 0;
}

/* ---- messages --------------------------------------------------------------------------- */

static int suggest_segment(void *arg, const char *name)
{
	cli_suggest_try(arg, name);
	return 0;
}

static int suggest_object(void *arg, const struct ipk_object_view *o)
{
	cli_suggest_try(arg, o->name);
	return 0;
}

static int no_segment(struct cli *c, const char *name)
{
	struct cli_suggest s;
	char text[96];

	cli_suggest_init(&s, name);
	if (!strchr(name, '/'))
		ipk_segment_list(suggest_segment, &s, NULL);
	return cli_fail(c, CLI_ABSENT, -ENOENT, "no segment \"%s\"%s", name,
			cli_suggest_text(&s, text));
}

static int no_object(struct cli *c, struct cli_object *ob)
{
	struct cli_suggest s;
	char text[96];

	cli_suggest_init(&s, ob->ref.object);
	ipk_view_objects(ob->view, suggest_object, &s);
	return cli_fail(c, CLI_ABSENT, -ENOENT, "no object \"%s\" in %s%s", ob->ref.object,
			ob->ref.segment, cli_suggest_text(&s, text));
}

const char *cli_kind_name(uint16_t id, char buf[24])
{
	const struct ipk_kind *kind = ipk_kind_by_id(id);

	if (kind)
		return kind->name;
	snprintf(buf, 24, "kind %u", id);
	return buf;
}

const char *cli_article(const char *kind)
{
	return strchr("aeiou", kind[0]) && strcmp(kind, "once") ? "an" : "a";
}

const char *cli_a_kind(const struct cli_object *ob, char buf[40])
{
	char number[24];
	const char *name = cli_kind_name(ob->o.kind, number);

	snprintf(buf, 40, "%s %s", cli_article(name), name);
	return buf;
}

/* ---- opening ---------------------------------------------------------------------------- */

int cli_ref(struct cli *c, const char *text, unsigned allowed, struct ipk_ref *ret_ref)
{
	struct ipk_error err = {0};
	const char *wants =
		allowed & CLI_REF_KEY && !(allowed & CLI_REF_OBJECT)    ? "SEGMENT/OBJECT/KEY"
		: allowed & CLI_REF_SEGMENT && allowed & CLI_REF_OBJECT ? "SEGMENT[/OBJECT]"
		: allowed & CLI_REF_SEGMENT                             ? "SEGMENT"
									: "SEGMENT/OBJECT";
	unsigned shape;
	int r = ipk_ref_parse(text, ret_ref, &err);

	if (r < 0)
		return cli_fail(c, r == -EINVAL || r == -ENAMETOOLONG ? CLI_USAGE : cli_exit_of(r),
				r, "%s", err.text[0] ? err.text : ipk_strerror(r));
	shape = ret_ref->key ? CLI_REF_KEY : ret_ref->object ? CLI_REF_OBJECT : CLI_REF_SEGMENT;
	if (shape & allowed)
		return 0;
	ipk_ref_free(ret_ref);
	memset(ret_ref, 0, sizeof(*ret_ref));
	return cli_usage(c, "wants %s", wants);
}

int cli_find(struct cli_object *ob, struct ipk_error *err)
{
	int r;

	if (!ob->view) {
		r = ipk_view_open(ob->ref.segment, &ob->view, err);
		if (r < 0)
			return r;
	}
	if (!ob->ref.object || ob->found)
		return 0;
	r = ipk_view_object(ob->view, ob->ref.object, &ob->o, err);
	if (r < 0)
		return r;
	ob->found = true;
	ob->kind = ipk_kind_by_id(ob->o.kind);
	/* A newer layout of a kind that we know is one that we do not know. */
	if (ob->kind && ob->kind->version != ob->o.version)
		ob->kind = NULL;
	r = ipk_type_parse(ob->o.type, strlen(ob->o.type), &ob->type, err);
	if (r == 0 && ob->o.key_type)
		r = ipk_type_parse(ob->o.key_type, strlen(ob->o.key_type), &ob->key_type, err);
	return r == -EINVAL ? ipk_error_set(err, -EBADMSG, "its element type cannot be read") : r;
}

/* --type as a claim. */
static int check_claim(struct cli *c, const struct cli_object *ob)
{
	struct ipk_error err = {0};
	struct ipk_type *claim;
	bool same;
	int r;

	if (!c->opt.type || !ob->type)
		return 0;
	r = ipk_type_parse(c->opt.type, strlen(c->opt.type), &claim, &err);
	if (r < 0)
		return cli_fail(c, CLI_WRONG, r, "--type: %s", err.text);
	same = ipk_type_equal(claim, ob->type);
	ipk_type_free(claim);
	if (same)
		return 0;
	return cli_fail(c, CLI_WRONG, -EMEDIUMTYPE, "its type is %s, not %s", ob->o.type,
			c->opt.type);
}

int cli_open(struct cli *c, const char *text, unsigned allowed, struct cli_object *ob)
{
	struct ipk_error err = {0};
	int r;

	memset(ob, 0, sizeof(*ob));
	r = cli_ref(c, text, allowed, &ob->ref);
	if (r)
		return r;
	r = cli_find(ob, &err);
	if (r == -ENOENT && !ob->view)
		r = no_segment(c, ob->ref.segment);
	else if (r == -ENOENT)
		r = no_object(c, ob);
	else if (r < 0)
		r = cli_fail_code(c, r, &err);
	else
		r = check_claim(c, ob);
	if (r)
		cli_close(ob);
	return r;
}

int cli_attach(struct cli *c, struct cli_object *ob, unsigned mode)
{
	struct ipk_error err = {0};
	int r;

	if (ob->found && cli_known_kind(c, ob))
		return CLI_CORRUPT;
	r = ob->seg ? 0 : ipk_segment_open(ob->ref.segment, mode, &ob->seg, &err);
	if (r == 0 && ob->found)
		r = ob->kind->attach(ob->seg, ob->ref.object, &ob->handle, &err);
	return r < 0 ? cli_fail_code(c, r, &err) : 0;
}

void cli_close(struct cli_object *ob)
{
	if (ob->handle)
		ob->kind->detach(ob->handle);
	if (ob->seg)
		ipk_segment_close(ob->seg);
	if (ob->found)
		ipk_object_view_free(&ob->o);
	if (ob->view)
		ipk_view_close(ob->view);
	ipk_type_free(ob->type);
	ipk_type_free(ob->key_type);
	ipk_ref_free(&ob->ref);
	memset(ob, 0, sizeof(*ob));
}

/* ---- fields ----------------------------------------------------------------------------- */

struct counts {
	uint64_t holders, waiters;
};

static int count_holder(void *arg, const struct ipk_participant_info *p, const char *role,
			uint64_t count)
{
	(void)p;
	(void)role;
	(void)count;
	((struct counts *)arg)->holders++;
	return 0;
}

static int count_waiter(void *arg, const struct ipk_participant_info *p)
{
	(void)p;
	((struct counts *)arg)->waiters++;
	return 0;
}

static int segment_fields(struct cli_object *ob, struct ipk_visitor *v)
{
	struct ipk_segment_info in;
	char text[160];
	int r = ipk_view_info(ob->view, &in);

	if (r < 0)
		return r;
	v->str(v, "name", ipk_view_name(ob->view));
	v->u64(v, "size", in.size);
	v->u64(v, "max", in.max);
	v->u64(v, "used", in.used);
	v->u64(v, "free", in.free);
	v->u64(v, "objects", in.objects);
	v->u64(v, "attached", in.attached);
	v->u64(v, "dead", in.dead);
	v->str(v, "health", ipk_segment_health(ob->view, text, sizeof(text)));
	v->u64(v, "format", in.version);
	v->str(v, "id", in.id);
	snprintf(text, sizeof(text), "%04o", in.mode & 07777);
	v->str(v, "mode", text);
	v->u64(v, "uid", in.uid);
	v->u64(v, "gid", in.gid);
	cli_time_text(in.created, text);
	v->str(v, "created", text);
	v->boolean(v, "same_boot", in.same_boot);
	return v->boolean(v, "removed", in.removed);
}

int cli_fields(struct cli_object *ob, struct ipk_visitor *v)
{
	struct counts counts = {0};
	uint64_t used = 0, cap = 0;
	char text[160];
	int r = 0;

	if (!ob->found)
		return segment_fields(ob, v);
	if (ob->kind && ob->kind->inspect)
		r = ob->kind->inspect(&ob->o, &used, &cap);
	if (r < 0 && r != -EBADMSG)
		return r;
	v->str(v, "name", ob->o.name);
	v->str(v, "kind", cli_kind_name(ob->o.kind, text));
	v->str(v, "type", ob->o.type);
	if (ob->o.key_type)
		v->str(v, "key", ob->o.key_type);
	v->u64(v, "cap", cap);
	v->u64(v, "used", used);
	v->u64(v, "bytes", ob->o.size);
	v->str(v, "health", ipk_object_health(&ob->o, text, sizeof(text)));
	cli_time_text(ob->o.created, text);
	v->str(v, "created", text);
	v->u64(v, "creator", ob->o.creator);
	if (ob->kind) {
		ipk_object_holders(&ob->o, count_holder, &counts);
		ipk_object_waiters(&ob->o, count_waiter, &counts);
	}
	v->u64(v, "holders", counts.holders);
	v->u64(v, "waiters", counts.waiters);
	if (ob->kind && ob->kind->stats_visit)
		r = ob->kind->stats_visit(&ob->o, v);
	return r == -EBADMSG ? 0 : r;
}

const struct ipk_type *cli_key_of(const struct cli_object *ob, const struct ipk_item *item,
				  const void **ret_key, size_t *ret_len)
{
	bool own = !ob->key_type && ob->kind && ob->kind->flags & IPK_KIND_KEYED;

	if (!own && (!ob->key_type || (item && !item->key)))
		return NULL;
	if (item) {
		*ret_key = own ? item->data : item->key;
		*ret_len = own ? item->len : item->key_len;
	}
	return own ? ob->type : ob->key_type;
}

/* ---- one field ---------------------------------------------------------------------------- */

/* Catches one field. */
struct catcher {
	struct ipk_visitor v; /* first */
	const char *name;
	bool found;
	struct cli_field *field;
};

static int catch_str(struct ipk_visitor *v, const char *name, const char *val)
{
	struct catcher *c = (struct catcher *)v;

	if (!strcmp(name, c->name)) {
		c->found = true;
		snprintf(c->field->text, sizeof(c->field->text), "%s", val);
	}
	return 0;
}

static int catch_u64(struct ipk_visitor *v, const char *name, uint64_t val)
{
	struct catcher *c = (struct catcher *)v;

	if (!strcmp(name, c->name)) {
		c->found = c->field->number = true;
		c->field->negative = false;
		c->field->num = val;
		snprintf(c->field->text, sizeof(c->field->text), "%llu", (unsigned long long)val);
	}
	return 0;
}

static int catch_i64(struct ipk_visitor *v, const char *name, int64_t val)
{
	struct catcher *c = (struct catcher *)v;

	if (val >= 0)
		return catch_u64(v, name, (uint64_t)val);
	if (!strcmp(name, c->name)) {
		c->found = c->field->number = c->field->negative = true;
		c->field->num = 0 - (uint64_t)val;
		snprintf(c->field->text, sizeof(c->field->text), "%lld", (long long)val);
	}
	return 0;
}

static int catch_bool(struct ipk_visitor *v, const char *name, bool val)
{
	struct catcher *c = (struct catcher *)v;

	catch_u64(v, name, val);
	if (!strcmp(name, c->name))
		snprintf(c->field->text, sizeof(c->field->text), "%s", val ? "true" : "false");
	return 0;
}

int cli_field(struct cli_object *ob, const char *name, struct cli_field *ret)
{
	struct catcher c = {.v = {catch_u64, catch_i64, catch_bool, catch_str},
			    .name = name,
			    .field = ret};
	int r;

	*ret = (struct cli_field){0};
	r = cli_fields(ob, &c.v);
	return r < 0 ? r : c.found ? 0 : -ENOENT;
}
