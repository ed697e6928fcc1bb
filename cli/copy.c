/* SPDX-License-Identifier: MIT */
/* cp: by way of a dump in memory. */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli.h"

static int copy_object(struct cli *c, const char *from, const char *to)
{
	struct cli_out file = {.fd = memfd_create("ipcctl-cp", MFD_CLOEXEC)}, *out = c->out;
	int r;

	if (file.fd < 0)
		return cli_fail_code(c, -errno, NULL);
	c->out = &file;
	r = cli_dump_object(c, from, true);
	if (r == 0)
		r = cli_flush_status(c);
	c->out = out;
	ipk_buf_free(&file.buf);
	if (r == 0 && lseek(file.fd, 0, SEEK_SET) < 0)
		r = cli_fail_code(c, -errno, NULL);
	if (r == 0)
		return cli_load_object(c, to, file.fd, true); /* closes it */
	close(file.fd);
	return r;
}

struct copy {
	struct cli *c;
	const char *from, *to;
	int status;
};

static int copy_each(void *arg, const struct ipk_object_view *o)
{
	struct copy *cp = arg;
	char from[4200], to[4200];

	snprintf(from, sizeof(from), "%s/%s", cp->from, o->name);
	snprintf(to, sizeof(to), "%s/%s", cp->to, o->name);
	cp->c->ref = from;
	cp->status = copy_object(cp->c, from, to);
	cp->c->ref = cp->from;
	return cp->status ? 1 : 0;
}

static int copy_segment(struct cli *c, struct cli_object *ob, const char *to)
{
	struct ipk_segment_options options = IPK_SEGMENT_OPTIONS_INIT;
	struct copy cp = {.c = c, .from = c->word[0], .to = to};
	struct ipk_segment_info in;
	struct ipk_error err = {0};
	int r = ipk_view_info(ob->view, &in);

	options.max = in.max;
	options.mode = in.mode & 0777;
	if (r == 0)
		r = ipk_segment_create(to, &options, NULL, &err);
	if (r == 0)
		r = ipk_view_objects(ob->view, copy_each, &cp);
	return r < 0 ? cli_fail_code(c, r, &err) : cp.status;
}

int cli_cp(struct cli *c)
{
	const char *to = c->word[1];
	struct ipk_ref ref = {0};
	char path[4200];
	struct cli_object ob;
	int r = cli_open(c, c->word[0], CLI_REF_SEGMENT | CLI_REF_OBJECT, &ob);

	if (r == 0)
		r = cli_ref(c, to, CLI_REF_SEGMENT | CLI_REF_OBJECT, &ref);
	if (r == 0 && ref.object && !ob.ref.object)
		r = cli_usage(c, "a segment cannot be copied into an object");
	if (r == 0 && !ob.ref.object)
		r = copy_segment(c, &ob, ref.segment);
	else if (r == 0) {
		snprintf(path, sizeof(path), "%s/%s", ref.segment,
			 ref.object ? ref.object : ob.ref.object);
		r = copy_object(c, c->word[0], path);
	}
	ipk_ref_free(&ref);
	cli_close(&ob);
	return r;
}
