/* SPDX-License-Identifier: MIT */
/*
 * Values in: words of the command line, all parsed before the first is used, or records of a
 * stream, as many at once as a read() brought. A record ends in a newline, with -0 in NUL, has the
 * element's size with -r, or follows its length with --frame; the last one may lack its end.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

#define READ_SIZE (256u * 1024)
#define RECORD_MAX (UINT64_C(1) << 31)

/* ---- words ------------------------------------------------------------------------------ */

/* at: which of several it is, 0: the only one */
static int bad_word(struct cli *c, int r, const struct ipk_error *err, int at)
{
	const char *text = err->text[0] ? err->text : ipk_strerror(r);

	return at ? cli_fail(c, CLI_WRONG, r, "value %d: %s", at, text)
		  : cli_fail(c, CLI_WRONG, r, "%s", text);
}

int cli_input_words(struct cli_input *in, struct cli *c, const struct ipk_type *type, char **word,
		    int n)
{
	struct ipk_error err = {0};
	size_t at = 0;
	int i, r;

	*in = (struct cli_input){.c = c, .type = type, .fd = -1};
	in->items = calloc((size_t)n + 1, sizeof(*in->items));
	if (!in->items)
		return cli_fail_code(c, -ENOMEM, NULL);
	for (i = 0; i < n; i++) {
		at = in->values.len;
		r = ipk_value_parse(type, word[i], strlen(word[i]), in->flags, &in->values, &err);
		if (r < 0)
			return bad_word(c, r, &err, n > 1 ? i + 1 : 0);
		in->items[in->nitems++].len = in->values.len - at;
	}
	/* The buffer stands still now. */
	for (i = 0, at = 0; i < n; i++) {
		in->items[i].data = in->values.data ? in->values.data + at : "";
		at += in->items[i].len;
	}
	return 0;
}

/* ---- streams ---------------------------------------------------------------------------- */

/* What is said before anything is read, with the name of the thing, and is the caller's mistake. */
static int unreadable(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	struct stat st;

	if (flags < 0 || (flags & O_ACCMODE) == O_WRONLY || fstat(fd, &st) != 0)
		return EBADF;
	return S_ISDIR(st.st_mode) ? EISDIR : 0;
}

int cli_input_stream(struct cli_input *in, struct cli *c, const struct ipk_type *type, int fd)
{
	int error;

	*in = (struct cli_input){.c = c, .type = type, .fd = fd, .cap = READ_SIZE};
	if (fd == STDIN_FILENO && c->stdin_taken)
		return cli_usage(c, "standard input is where the batch comes from");
	error = unreadable(fd);
	if (error)
		return cli_usage(c, "cannot read %s: %s",
				 fd == STDIN_FILENO ? "standard input" : "the file",
				 strerror(error));
	if (fd == STDIN_FILENO)
		cli_guard_stdin();
	in->buf = malloc(in->cap);
	return in->buf ? 0 : cli_fail_code(c, -ENOMEM, NULL);
}

void cli_input_free(struct cli_input *in)
{
	ipk_buf_free(&in->values);
	free(in->items);
	free(in->buf);
	if (in->fd > STDIN_FILENO)
		close(in->fd);
	in->fd = -1;
}

/* Makes room behind what has not been used yet and reads once. 1, 0 at the end, <0. */
static int fill(struct cli_input *in)
{
	ssize_t n;

	if (in->start > 0 && (in->start == in->end || in->cap - in->end < in->cap / 2)) {
		memmove(in->buf, in->buf + in->start, in->end - in->start);
		in->end -= in->start;
		in->start = 0;
	}
	if (in->end == in->cap) {
		char *grown = in->cap < RECORD_MAX ? realloc(in->buf, 2 * in->cap) : NULL;

		if (!grown)
			return in->cap < RECORD_MAX ? -ENOMEM : -EMSGSIZE;
		in->buf = grown;
		in->cap *= 2;
	}
	if (cli_interrupted())
		return -EINTR;
	do
		n = read(in->fd, in->buf + in->end, in->cap - in->end);
	while (n < 0 && errno == EINTR && !cli_interrupted());
	if (n < 0)
		return -errno;
	if (n == 0 && cli_interrupted())
		return -EINTR;
	in->end += (size_t)n;
	in->eof = n == 0;
	return n > 0;
}

/* Finds one whole record in the buffer: 1 with *ret_used bytes gone, 0 when more must be read. */
static int cut(struct cli_input *in, const char **ret_text, size_t *ret_len, size_t *ret_used)
{
	const char *p = in->buf + in->start;
	size_t have = in->end - in->start, want;
	const char *end;

	if (in->c->opt.frame) {
		const unsigned char *u = (const unsigned char *)p;

		if (have < 4)
			return have && in->eof ? -EBADMSG : 0;
		want = (size_t)u[0] | (size_t)u[1] << 8 | (size_t)u[2] << 16 | (size_t)u[3] << 24;
		if (have < 4 + want)
			return in->eof ? -EBADMSG : 0;
		*ret_text = p + 4;
		*ret_len = want;
		*ret_used = 4 + want;
		return 1;
	}
	if (in->c->opt.raw) {
		want = in->type->size ? in->type->size : have;
		if (have < want || !have || (!in->type->size && !in->eof))
			return have && in->eof ? -EBADMSG : 0;
		*ret_text = p;
		*ret_len = *ret_used = want;
		return 1;
	}
	end = have ? memchr(p, in->c->opt.null ? '\0' : '\n', have) : NULL;
	if (!end && !(in->eof && have))
		return 0;
	*ret_text = p;
	*ret_len = end ? (size_t)(end - p) : have;
	*ret_used = *ret_len + (end != NULL);
	return 1;
}

int cli_input_record(struct cli_input *in, bool wait, const char **ret_text, size_t *ret_len)
{
	size_t used = 0;
	int r;

	for (;;) {
		r = cut(in, ret_text, ret_len, &used);
		if (r) {
			in->start += used;
			in->line += r > 0;
			return r;
		}
		if (in->eof || !wait)
			return 0;
		r = fill(in);
		if (r < 0)
			return r;
	}
}

/* One record's bytes; parsed ones are appended to values and named by their place there. */
static int parse(struct cli_input *in, const char *text, size_t len, struct ipk_item *item)
{
	size_t at = in->values.len;
	int r;

	memset(item, 0, sizeof(*item));
	if (in->c->opt.raw || (in->type->base == IPK_STR && !in->type->size && !in->flags &&
			       !(len && text[0] == '{'))) {
		item->data = text;
		item->len = len;
		if (in->c->opt.raw && in->type->size && len != in->type->size)
			return ipk_error_set(&in->err, -EINVAL,
					     "a record of %zu bytes, %s wants %u", len,
					     in->type->text, in->type->size);
		return 0;
	}
	r = ipk_value_parse(in->type, text, len, in->flags, &in->values, &in->err);
	item->len = in->values.len - at;
	return r;
}

int cli_input_file(struct cli_input *in, struct cli *c, const struct ipk_type *type,
		   const char *path)
{
	int r, fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;

	*in = (struct cli_input){.fd = -1};
	if (fd < 0)
		return cli_fail(c, cli_exit_of(-errno), -errno, "%s: %s", path, strerror(errno));
	r = cli_input_stream(in, c, type, fd);
	if (r)
		return r;
	do
		r = fill(in);
	while (r > 0);
	in->items = calloc(1, sizeof(*in->items));
	if (r == 0 && !in->items)
		r = -ENOMEM;
	if (r < 0)
		return cli_fail(c, cli_exit_of(r), r, "%s: %s", path, strerror(-r));
	if (!c->opt.raw && in->end > in->start && in->buf[in->end - 1] == '\n')
		in->end--;
	r = parse(in, in->buf + in->start, in->end - in->start, in->items);
	if (r < 0)
		return cli_fail(c, CLI_WRONG, r, "%s: %s", path, in->err.text);
	if (!in->items->data)
		in->items->data = in->values.data ? in->values.data : "";
	in->nitems = 1;
	if (in->fd > STDIN_FILENO)
		close(in->fd);
	in->fd = -1;
	return 0;
}

static int next_of_words(struct cli_input *in, struct ipk_item *item, int max)
{
	int n = 0;

	while (n < max && in->at < in->nitems)
		item[n++] = in->items[in->at++];
	return n;
}

static int fail_line(struct cli_input *in, int r, struct ipk_error *err)
{
	const char *what = in->err.text[0] ? in->err.text
			   : r == -EBADMSG ? "the last record is cut short"
					   : ipk_strerror(r);

	if (r == -EINTR)
		return r;
	return ipk_error_set(err, r, "%s %llu: %s",
			     in->c->opt.raw || in->c->opt.null ? "record" : "line",
			     (unsigned long long)in->line + (r == -EBADMSG), what);
}

int cli_input_next(struct cli_input *in, struct ipk_item *item, int max, struct ipk_error *err)
{
	const char *text, *base;
	size_t len, at = 0;
	int n, r = 0;

	if (in->fd < 0)
		return next_of_words(in, item, max);
	if (in->error)
		return fail_line(in, in->error, err);
	in->values.len = 0;
	for (n = 0; n < max; n++) {
		/* Reading moves what was found before: only the first may wait. */
		r = cli_input_record(in, n == 0, &text, &len);
		if (r > 0)
			r = parse(in, text, len, &item[n]);
		else if (r == 0)
			break;
		if (r < 0)
			break;
	}
	in->error = r < 0 ? r : 0;
	if (r < 0 && n == 0)
		return fail_line(in, r, err);
	base = in->values.data ? in->values.data : "";
	for (r = 0; r < n; r++)
		if (!item[r].data) {
			item[r].data = base + at;
			at += item[r].len;
		}
	return n;
}
