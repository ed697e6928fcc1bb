/* SPDX-License-Identifier: MIT */
/* What went wrong: one line on stderr, and the exit status that says it to a script. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

const struct cli_exit_text cli_exits[] = {
	{CLI_DONE, "done"},
	{CLI_NO, "a negative answer (differs, absent, unhealthy)"},
	{CLI_USAGE, "usage"},
	{CLI_ABSENT, "no such segment, object or key"},
	{CLI_EXISTS, "exists, or a comparison failed"},
	{CLI_BLOCKED, "would block (full, empty, held)"},
	{CLI_WRONG, "wrong kind, type or value"},
	{CLI_CORRUPT, "corrupt, or a layout we cannot read"},
	{CLI_PERMISSION, "permission"},
	{CLI_OWNER_DIED, "owner died, state suspect"},
	{CLI_CLOSED, "closed, end of stream"},
	{CLI_SPACE, "no space, or a limit"},
	{CLI_BUG, "our bug"},
	{CLI_TIMEOUT, "timed out"},
	{CLI_CANNOT_RUN, "CMD cannot be run"},
	{CLI_NOT_FOUND, "CMD was not found"},
	{CLI_INTERRUPTED, "interrupted"},
	{0, NULL},
};

int cli_exit_of(int code)
{
	static const struct {
		int code, status;
	} map[] = {
		{ENOENT, CLI_ABSENT},         {ERANGE, CLI_ABSENT},     {ENOTDIR, CLI_ABSENT},
		{ESTALE, CLI_ABSENT},         {EEXIST, CLI_EXISTS},     {EAGAIN, CLI_BLOCKED},
		{EBUSY, CLI_BLOCKED},         {EMEDIUMTYPE, CLI_WRONG}, {EOPNOTSUPP, CLI_WRONG},
		{EILSEQ, CLI_WRONG},          {EBADMSG, CLI_CORRUPT},   {EPROTO, CLI_CORRUPT},
		{EIO, CLI_CORRUPT},           {EISDIR, CLI_CORRUPT},    {ELOOP, CLI_CORRUPT},
		{EACCES, CLI_PERMISSION},     {EPERM, CLI_PERMISSION},  {EROFS, CLI_PERMISSION},
		{EOWNERDEAD, CLI_OWNER_DIED}, {EPIPE, CLI_CLOSED},      {ENOSPC, CLI_SPACE},
		{EDQUOT, CLI_SPACE},          {ENOMEM, CLI_SPACE},      {EFBIG, CLI_SPACE},
		{EMSGSIZE, CLI_SPACE},        {EMFILE, CLI_SPACE},      {ENFILE, CLI_SPACE},
		{EOVERFLOW, CLI_SPACE},       {ETIMEDOUT, CLI_TIMEOUT}, {EINTR, CLI_INTERRUPTED},
		{ECANCELED, CLI_INTERRUPTED}, {EINVAL, CLI_USAGE},      {ENAMETOOLONG, CLI_USAGE},
		{E2BIG, CLI_USAGE},
		{ENODEV, CLI_SPACE},          {ENOSYS, CLI_SPACE},      {EREMOTEIO, CLI_NO},
		{ENOLCK, CLI_SPACE},
	};
	unsigned i;

	for (i = 0; i < CLI_ARRAY_LEN(map); i++)
		if (map[i].code == -code)
			return map[i].status;
	return code == 0 ? CLI_DONE : CLI_BUG;
}

/* Length of the UTF-8 sequence at p, 0 when there is none, or one that a terminal would obey. */
static size_t utf8_len(const unsigned char *p, size_t left)
{
	size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2, i;

	if (p[0] < 0xc2 || p[0] > 0xf4 || left < n)
		return 0;
	for (i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if (p[0] == 0xc2 && p[1] < 0xa0) /* C1 controls */
		return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	/* Marks that turn the direction of what follows. */
	if (p[0] == 0xe2 && ((p[1] == 0x80 && p[2] >= 0xaa && p[2] <= 0xae) ||
			     (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9)))
		return 0;
	return n;
}

int cli_escape(struct ipk_buf *buf, const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t i = 0;
	int r = 0;

	while (i < len && r == 0) {
		size_t n = p[i] < 0x80 ? p[i] >= ' ' && p[i] != 0x7f : utf8_len(p + i, len - i);

		if (n)
			r = ipk_buf_add(buf, p + i, n);
		else
			r = ipk_buf_printf(buf, "\\x%02x", p[i]);
		i += n ? n : 1;
	}
	return r;
}

static void say(struct ipk_buf *line)
{
	size_t at = 0;

	ipk_buf_add(line, "\n", 1);
	while (at < line->len) {
		ssize_t n = write(STDERR_FILENO, line->data + at, line->len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		at += (size_t)n;
	}
	ipk_buf_free(line);
}

static void say_json(struct cli *c, int status, int code, const char *what)
{
	const char *name = strerrorname_np(-code);
	struct ipk_buf b = {0};

	ipk_buf_str(&b, "{\"v\":1,\"error\":{");
	ipk_buf_printf(&b, "\"code\":\"%s\",\"exit\":%d", name ? name : "EUNKNOWN", status);
	if (c->verb)
		cli_json_str(&b, "verb", c->verb);
	if (c->ref)
		cli_json_str(&b, "ref", c->ref);
	if (c->where)
		cli_json_str(&b, "where", c->where);
	cli_json_str(&b, "what", what);
	ipk_buf_str(&b, "}}");
	say(&b);
}

int cli_fail(struct cli *c, int status, int code, const char *fmt, ...)
{
	struct ipk_buf line = {0};
	char text[1024];
	va_list ap;

	if (c->opt.quiet && (status == CLI_NO || status == CLI_BLOCKED || status == CLI_CLOSED ||
			     status == CLI_TIMEOUT))
		return status;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* What was printed before stays before it, where both go to one place. */
	if (!c->out->hold)
		cli_flush(c);
	if (c->opt.json) {
		say_json(c, status, code, text);
		return status;
	}
	ipk_buf_str(&line, "ipcctl: ");
	if (c->where)
		ipk_buf_printf(&line, "%s: ", c->where);
	if (c->verb) {
		cli_escape(&line, c->verb, strlen(c->verb));
		if (c->ref) {
			ipk_buf_str(&line, " ");
			cli_escape(&line, c->ref, strlen(c->ref));
		}
		ipk_buf_str(&line, ": ");
	}
	cli_escape(&line, text, strlen(text));
	say(&line);
	return status;
}

int cli_fail_code(struct cli *c, int code, const struct ipk_error *err)
{
	const char *text = err && err->text[0] ? err->text : ipk_strerror(code);
	const char *hint = "";

	if (code == -ENOMEM && !(err && err->text[0]))
		text = "out of memory";
	if (cli_exit_of(code) == CLI_INTERRUPTED)
		text = "interrupted";
	if (cli_exit_of(code) == CLI_BUG)
		hint = " (this should not happen: please report it)";
	return cli_fail(c, cli_exit_of(code), code, "%s%s", text, hint);
}

void cli_note(struct cli *c, const char *fmt, ...)
{
	struct ipk_buf line = {0};
	char text[1024];
	va_list ap;

	if (c->opt.quiet)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!c->out->hold)
		cli_flush(c);
	ipk_buf_str(&line, "ipcctl: ");
	cli_escape(&line, text, strlen(text));
	say(&line);
}
