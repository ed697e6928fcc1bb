/* SPDX-License-Identifier: MIT */
/* Making and unmaking: new rm grow mv. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* ---- new -------------------------------------------------------------------------------- */

static const char segment_options[] = "size max mode group huge numa sparse prefault lock";

static int size_option(struct cli *c, const char *name, uint64_t *ret)
{
	const char *text = cli_given(c, name);

	if (!text)
		return 0;
	if (ipk_parse_size(text, strlen(text), ret) < 0)
		return cli_usage(c, "--%s wants a size such as 4096, 64K or 1GiB, got \"%s\"", name,
				 text);
	return *ret ? 0 : cli_usage(c, "--%s must not be 0", name);
}

static int mode_option(struct cli *c, uint32_t *ret)
{
	const char *text = cli_given(c, "mode");
	char *end;
	long mode;

	if (!text)
		return 0;
	mode = strtol(text, &end, 8);
	if (*end || end == text || mode < 1 || mode > 0777)
		return cli_usage(c, "--mode wants an octal file mode such as 0640, got \"%s\"",
				 text);
	*ret = (uint32_t)mode;
	return 0;
}

/* By number, or by name in /etc/group; the program stays without name services otherwise. */
static int group_option(struct cli *c, int64_t *ret)
{
	const char *text = cli_given(c, "group");
	struct group *g = NULL;
	char *end;
	FILE *f;

	if (!text)
		return 0;
	*ret = strtoll(text, &end, 10);
	if (*text && !*end) {
		if (*ret >= 0 && *ret < UINT32_MAX)
			return 0;
		return cli_usage(c, "--group: no group has the number %s", text);
	}
	f = fopen("/etc/group", "re");
	while (f && (g = fgetgrent(f)) && strcmp(g->gr_name, text))
		;
	if (g)
		*ret = g->gr_gid;
	if (f)
		fclose(f);
	return g ? 0 : cli_usage(c, "--group: no group \"%s\"", text);
}

static int segment_from_options(struct cli *c, struct ipk_segment_options *o)
{
	int r = size_option(c, "size", &o->size);

	if (r == 0)
		r = size_option(c, "max", &o->max);
	if (r == 0)
		r = size_option(c, "huge", &o->huge);
	if (r == 0)
		r = mode_option(c, &o->mode);
	if (r == 0)
		r = group_option(c, &o->group);
	o->numa = cli_given(c, "numa");
	o->sparse = cli_given(c, "sparse") != NULL;
	o->prefault = cli_given(c, "prefault") != NULL;
	o->lock = cli_given(c, "lock") != NULL;
	if (r == 0 && o->size && o->max && o->max < o->size)
		return cli_usage(c, "--max is less than --size");
	return r;
}

static int new_segment(struct cli *c, const char *name, bool may_exist)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct ipk_error err = {0};
	int r = segment_from_options(c, &options);

	if (r)
		return r;
	r = ipk_segment_create(name, &options, NULL, &err);
	if (r == -EEXIST && may_exist) {
		struct ipk_view *view;

		/* What is there must be a segment. */
		r = ipk_view_open(name, &view, &err);
		if (r == 0)
			ipk_view_close(view);
	}
	if (r == 0 && c->opt.verbose)
		cli_note(c, "made %s", name);
	return r < 0 ? cli_fail_code(c, r, &err) : 0;
}

static const struct ipk_arg *kind_param(const struct ipk_kind *kind, const char *name)
{
	const struct ipk_arg *p = kind->params;

	for (; p && p->type != IPK_ARG_END; p++)
		if (!strcmp(p->name, name))
			return p;
	return NULL;
}

/* Which of the options given are the object's; the rest must be the new segment's. */
static int collect_params(struct cli *c, const struct ipk_kind *kind, struct ipk_param *param,
			  unsigned *ret_n)
{
	bool parents = cli_given(c, "parents") != NULL;
	unsigned i, n = 0;

	for (i = 0; i < c->ngiven; i++) {
		const char *name = c->given[i].name, *value = c->given[i].value;
		const struct ipk_arg *spec = kind_param(kind, name);
		struct ipk_error err = {0};
		struct ipk_argval val;

		if (spec || !strcmp(name, "type") || !strcmp(name, "key")) {
			/* Said before -P has made a segment for it. */
			if (spec && ipk_arg_parse(spec, value, value ? strlen(value) : 0, &val,
						  &err) < 0)
				return cli_usage(c, "%s", err.text);
			param[n].name = name;
			param[n++].value = value;
		} else if (cli_listed(segment_options, name)) {
			if (!parents)
				return cli_usage(c, "--%s is a segment's; with -P it is made too",
						 name);
		} else if (cli_listed(c->cmd->options, name)) {
			continue;
		} else if (!cli_is_common(name)) {
			return cli_usage(c, "--%s is nothing for %s %s", name,
					 cli_article(kind->name), kind->name);
		}
	}
	*ret_n = n;
	return 0;
}

static int unknown_kind(struct cli *c, const char *name)
{
	struct cli_suggest s;
	char list[512] = "", text[96];
	size_t at = 0;
	int k;

	cli_suggest_init(&s, name);
	for (k = 0; ipk_kinds[k]; k++) {
		cli_suggest_try(&s, ipk_kinds[k]->name);
		at += (size_t)snprintf(list + at, at < sizeof(list) ? sizeof(list) - at : 0, " %s",
				       ipk_kinds[k]->name);
	}
	if (!*cli_suggest_text(&s, text))
		return cli_fail(c, CLI_WRONG, -EMEDIUMTYPE, "no kind \"%s\"; there are:%s", name,
				list);
	return cli_fail(c, CLI_WRONG, -EMEDIUMTYPE, "no kind \"%s\"%s", name, text);
}

/* --if-absent: what is there must be what was asked for. */
static int same_object(struct cli *c, const struct ipk_kind *kind)
{
	struct cli_object ob;
	char text[40];
	int r = cli_open(c, c->word[0], CLI_REF_OBJECT, &ob); /* checks --type */

	if (r == 0 && ob.o.kind != kind->id)
		r = cli_fail(c, CLI_EXISTS, -EEXIST, "exists, as %s", cli_a_kind(&ob, text));
	cli_close(&ob);
	return r;
}

static int new_object(struct cli *c, const struct ipk_ref *ref, const struct ipk_kind *kind)
{
	struct ipk_param *param = calloc(c->ngiven + 1, sizeof(*param));
	struct ipk_segment *seg = NULL;
	struct ipk_error err = {0};
	unsigned n = 0;
	int r;

	if (!param)
		return cli_fail_code(c, -ENOMEM, NULL);
	r = collect_params(c, kind, param, &n);
	if (r == 0 && cli_given(c, "parents"))
		r = new_segment(c, ref->segment, true);
	if (r)
		goto out;
	r = ipk_segment_open(ref->segment, IPK_READ | IPK_WRITE, &seg, &err);
	if (r == -ENOENT) {
		r = cli_fail(c, CLI_ABSENT, r, "no segment \"%s\"; with -P it is made too",
			     ref->segment);
		goto out;
	}
	if (r == 0)
		r = ipk_object_new(seg, ref->object, kind->name, param, n, &err);
	if (r == -EEXIST && cli_given(c, "if-absent"))
		r = same_object(c, kind);
	else if (r == -EMEDIUMTYPE || r == -EINVAL)
		r = cli_fail(c, r == -EINVAL ? CLI_USAGE : CLI_WRONG, r, "%s",
			     err.text[0] ? err.text : ipk_strerror(r));
	else if (r < 0)
		r = cli_fail_code(c, r, &err);
	else if (c->opt.verbose)
		cli_note(c, "made %s", c->ref);
out:
	if (seg)
		ipk_segment_close(seg);
	free(param);
	return r;
}

/* A type that cannot be read is a wrong type, said before anything is made. */
static int check_type(struct cli *c, const char *option)
{
	const char *text = cli_given(c, option);
	struct ipk_error err = {0};
	struct ipk_type *type;
	int r;

	if (!text)
		return 0;
	r = ipk_type_parse(text, strlen(text), &type, &err);
	if (r < 0)
		return cli_fail(c, CLI_WRONG, r, "--%s: %s", option,
				err.text[0] ? err.text : ipk_strerror(r));
	ipk_type_free(type);
	return 0;
}

int cli_new(struct cli *c)
{
	const struct ipk_kind *kind;
	struct ipk_ref ref = {0};
	unsigned i;
	int r = cli_ref(c, c->word[0], CLI_REF_SEGMENT | CLI_REF_OBJECT, &ref);

	if (r)
		return r;
	if (!ref.object) {
		if (c->nwords > 1)
			r = cli_usage(c, "a kind goes with SEGMENT/OBJECT");
		for (i = 0; i < c->ngiven && r == 0; i++)
			if (!cli_listed(segment_options, c->given[i].name) &&
			    !cli_is_common(c->given[i].name) &&
			    !cli_listed("if-absent parents", c->given[i].name))
				r = cli_usage(c, "--%s is nothing for a segment", c->given[i].name);
		if (r == 0)
			r = new_segment(c, ref.segment, cli_given(c, "if-absent") != NULL);
	} else if (c->nwords < 2) {
		r = cli_usage(c, "wants a KIND, such as queue; see: ipcctl help");
	} else {
		kind = ipk_kind_by_name(c->word[1]);
		r = kind ? check_type(c, "type") : unknown_kind(c, c->word[1]);
		if (r == 0)
			r = check_type(c, "key");
		if (r == 0)
			r = new_object(c, &ref, kind);
	}
	ipk_ref_free(&ref);
	return r;
}

/* ---- rm --------------------------------------------------------------------------------- */

static int remove_item(struct cli *c, char *text)
{
	char **words = c->word;
	int nwords = c->nwords, r;

	c->word = &text;
	c->nwords = 1;
	r = cli_op(c);
	c->word = words;
	c->nwords = nwords;
	return r;
}

static void would_remove(struct cli *c, const char *text)
{
	struct ipk_buf b = {0};

	if (!c->opt.json) {
		cli_puts(c, "would remove ");
		cli_name(c, text);
		cli_puts(c, "\n");
		return;
	}
	ipk_buf_str(&b, "{\"v\":1");
	cli_json_str(&b, "remove", text);
	ipk_buf_str(&b, "}");
	cli_json(c, b.data, b.len);
	ipk_buf_free(&b);
}

static int remove_one(struct cli *c, char *text)
{
	struct ipk_segment *seg = NULL;
	struct ipk_error err = {0};
	struct cli_object ob;
	int r;

	/* Looking first says what is not there, with a suggestion. A damaged one can be removed
	 * too. */
	r = cli_ref(c, text, CLI_REF_SEGMENT | CLI_REF_OBJECT | CLI_REF_KEY, &ob.ref);
	if (r)
		return r;
	if (!ob.ref.object) {
		r = c->opt.dry_run ? 0 : ipk_segment_remove(ob.ref.segment, &err);
		ipk_ref_free(&ob.ref);
		if (r != -ENOENT && !c->opt.dry_run)
			return r < 0 ? cli_fail_code(c, r, &err) : 0;
	} else {
		ipk_ref_free(&ob.ref);
	}
	r = cli_open(c, text, CLI_REF_SEGMENT | CLI_REF_OBJECT | CLI_REF_KEY, &ob);
	if (r || c->opt.dry_run || ob.ref.key) {
		bool key = r == 0 && ob.ref.key && !c->opt.dry_run;

		if (r == 0 && c->opt.dry_run)
			would_remove(c, text);
		cli_close(&ob);
		return key ? remove_item(c, text) : r;
	}
	/* Gone a moment ago, and another of that name is there now. */
	if (!ob.ref.object) {
		cli_close(&ob);
		return cli_fail_code(c, -ENOENT, &err);
	}
	r = ipk_segment_open(ob.ref.segment, IPK_READ | IPK_WRITE, &seg, &err);
	if (r == 0)
		r = ipk_object_remove(seg, ob.ref.object, &err);
	if (seg)
		ipk_segment_close(seg);
	if (r < 0)
		r = cli_fail_code(c, r, &err);
	cli_close(&ob);
	return r;
}

int cli_rm(struct cli *c)
{
	int i, r, first = 0;

	for (i = 0; i < c->nwords; i++) {
		c->ref = c->word[i];
		r = remove_one(c, c->word[i]);
		if (r == 0 && c->opt.verbose && !c->opt.dry_run)
			cli_note(c, "removed %s", c->word[i]);
		if (first == 0)
			first = r;
	}
	return first;
}

/* ---- grow, mv --------------------------------------------------------------------------- */

int cli_grow(struct cli *c)
{
	struct ipk_segment *seg = NULL;
	struct ipk_error err = {0};
	struct cli_object ob;
	uint64_t size;
	int r = cli_open(c, c->word[0], CLI_REF_SEGMENT, &ob);

	if (r == 0 && ipk_parse_size(c->word[1], strlen(c->word[1]), &size) < 0)
		r = cli_usage(c, "wants a size such as 64MiB, got \"%s\"", c->word[1]);
	if (r) {
		cli_close(&ob);
		return r;
	}
	r = ipk_segment_open(ob.ref.segment, IPK_READ | IPK_WRITE, &seg, &err);
	if (r == 0)
		r = ipk_segment_grow(seg, size, &err);
	if (seg)
		ipk_segment_close(seg);
	cli_close(&ob);
	return r < 0 ? cli_fail_code(c, r, &err) : 0;
}

static int move_segment(struct cli *c, const char *from, const char *to)
{
	char old[4096], new[4096];
	struct ipk_error err = {0};
	struct ipk_ref ref = {0};
	int r = cli_ref(c, to, CLI_REF_SEGMENT, &ref);

	if (r)
		return r;
	r = ipk_segment_path(from, old, sizeof(old), &err);
	if (r == 0)
		r = ipk_segment_path(ref.segment, new, sizeof(new), &err);
	ipk_ref_free(&ref);
	if (r == 0 && renameat2(AT_FDCWD, old, AT_FDCWD, new, RENAME_NOREPLACE) < 0)
		r = errno == EEXIST ? ipk_error_set(&err, -EEXIST, "%s exists", to)
		    : errno == EXDEV
			    ? ipk_error_set(&err, -EINVAL, "%s is on another file system", to)
			    : ipk_error_set(&err, -errno, "%s", strerror(errno));
	return r < 0 ? cli_fail_code(c, r, &err) : 0;
}

/* NAME alone, or the whole new REF in the same segment. */
static int new_name(struct cli *c, const struct cli_object *ob, const char *to, char name[64])
{
	struct ipk_ref ref = {0};
	bool same;
	int r;

	if (strchr(to, '/')) {
		r = cli_ref(c, to, CLI_REF_OBJECT, &ref);
		if (r)
			return r;
		same = !strcmp(ref.segment, ob->ref.segment);
		snprintf(name, 64, "%s", ref.object);
		ipk_ref_free(&ref);
		return same ? 0 : cli_usage(c, "an object stays in its segment; see: ipcctl cp");
	}
	if (!ipk_object_name_ok(to))
		return cli_usage(
			c,
			"\"%s\" is no name, or reserved: 1 to 63 of A-Za-z0-9._- that do not begin "
			"with . or -",
			to);
	snprintf(name, 64, "%s", to);
	return 0;
}

int cli_mv(struct cli *c)
{
	struct ipk_segment *seg = NULL;
	struct ipk_error err = {0};
	struct cli_object ob;
	char name[64];
	int r = cli_open(c, c->word[0], CLI_REF_SEGMENT | CLI_REF_OBJECT, &ob);

	if (r)
		return r;
	if (!ob.ref.object) {
		r = move_segment(c, ob.ref.segment, c->word[1]);
		cli_close(&ob);
		return r;
	}
	r = new_name(c, &ob, c->word[1], name);
	if (r == 0) {
		r = ipk_segment_open(ob.ref.segment, IPK_READ | IPK_WRITE, &seg, &err);
		if (r == 0)
			r = ipk_object_rename(seg, ob.ref.object, name, &err);
		if (seg)
			ipk_segment_close(seg);
		if (r < 0)
			r = cli_fail_code(c, r, &err);
	}
	cli_close(&ob);
	return r;
}
