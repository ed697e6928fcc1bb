/* SPDX-License-Identifier: MIT */
/* fsck: what is wrong, making it right, and taking that back. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "ipk/repair.h"

struct findings {
	struct cli *c;
	const char *object; /* only this one's, or NULL */
	uint64_t n;
};

static void print_json(struct cli *c, const char *where, const char *what, const char *done)
{
	struct ipk_buf b = {0};

	ipk_buf_str(&b, "{\"v\":1");
	cli_json_str(&b, "where", where);
	cli_json_str(&b, "what", what);
	if (done)
		cli_json_bool(&b, "repaired", !c->opt.dry_run);
	ipk_buf_str(&b, "}");
	cli_json(c, b.data, b.len);
	ipk_buf_free(&b);
}

/* done: what was done, in one word, or NULL for a finding. */
static void print_line(struct cli *c, const char *where, const char *what, const char *done)
{
	struct ipk_buf b = {0};

	if (c->opt.json) {
		print_json(c, where, what, done);
		return;
	}
	if (done)
		ipk_buf_printf(&b, "%s ", done);
	cli_escape(&b, where, strlen(where));
	ipk_buf_str(&b, ": ");
	cli_escape(&b, what, strlen(what));
	ipk_buf_str(&b, "\n");
	cli_put(c, b.data, b.len);
	cli_end_record(c);
	ipk_buf_free(&b);
}

static void print_finding(void *arg, const char *where, const char *what)
{
	struct findings *f = arg;
	size_t len = f->object ? strlen(f->object) : 0;

	if (f->object && (strncmp(where, f->object, len) || (where[len] && where[len] != '/')))
		return;
	f->n++;
	print_line(f->c, where, what, NULL);
}

static void print_done(void *arg, const char *where, const char *what)
{
	struct findings *f = arg;

	print_line(f->c, where, what, f->c->opt.dry_run ? "would repair" : "repaired");
}

/* ---- check ------------------------------------------------------------------------------ */

static int check(struct cli *c)
{
	struct findings f = {.c = c};
	struct ipk_error err = {0};
	struct cli_object ob = {0};
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
		r = cli_fail(c, CLI_ABSENT, -ENOENT, "no object \"%s\" in %s", object,
			     ob.ref.segment);
	else
		r = f.n ? CLI_NO : CLI_DONE;
	cli_close(&ob);
	return r;
}

/* ---- repair ----------------------------------------------------------------------------- */

int cli_fsck(struct cli *c)
{
	bool repair = cli_given(c, "repair"), undo = cli_given(c, "undo");
	unsigned flags = c->opt.dry_run ? IPK_REPAIR_DRY : 0;
	struct findings f = {.c = c};
	struct ipk_error err = {0};
	struct ipk_ref ref = {0};
	int r;

	if (repair && undo)
		return cli_usage(c, "--repair or --undo, not both");
	if (!repair && !undo)
		return c->opt.dry_run ? cli_usage(c, "--dry-run goes with --repair or --undo")
				      : check(c);
	r = cli_ref(c, c->word[0], CLI_REF_SEGMENT | CLI_REF_OBJECT, &ref);
	if (r)
		return r;
	if (ref.object) {
		r = cli_usage(c, "a segment is repaired as a whole: ipcctl fsck %s %s", ref.segment,
			      repair ? "--repair" : "--undo");
		ipk_ref_free(&ref);
		return r;
	}
	if (repair)
		r = ipk_repair(ref.segment, flags, print_done, print_finding, &f, &err);
	else
		r = ipk_repair_undo(ref.segment, flags, &err);
	if (r < 0)
		r = cli_fail_code(c, r, &err);
	else
		r = f.n ? CLI_NO : CLI_DONE;
	if (r == CLI_DONE && undo && c->opt.verbose)
		cli_note(c, "what the last repair changed %s",
			 c->opt.dry_run ? "would be put back" : "is put back");
	ipk_ref_free(&ref);
	return r;
}
