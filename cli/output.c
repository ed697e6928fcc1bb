/* SPDX-License-Identifier: MIT */
/*
 * Standard output: one buffer, written by block, or by line on a terminal and when followed. What
 * is printed for a consuming verb is held until that verb flushes it, and acknowledged only then.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"

#define BLOCK (64u * 1024)

struct cli_out cli_stdout = {.fd = STDOUT_FILENO};

void cli_out_init(void)
{
	cli_stdout.tty = isatty(STDOUT_FILENO) == 1;
}

bool cli_colored(const struct cli *c)
{
	const char *term = getenv("TERM"), *no = getenv("NO_COLOR");

	if (c->opt.color != CLI_COLOR_AUTO)
		return c->opt.color == CLI_COLOR_ALWAYS;
	return c->out->tty && !(no && *no) && term && strcmp(term, "dumb");
}

int cli_flush(struct cli *c)
{
	struct cli_out *out = c->out;
	size_t at = 0;

	while (at < out->buf.len && !out->error) {
		ssize_t n = write(out->fd, out->buf.data + at, out->buf.len - at);
		struct pollfd p = {.fd = out->fd, .events = POLLOUT};

		if (n >= 0)
			at += (size_t)n;
		else if (errno == EAGAIN && !cli_interrupted())
			poll(&p, 1, -1); /* standard output was made non-blocking by somebody */
		else if (errno != EINTR || cli_interrupted())
			out->error = -(errno == EAGAIN ? EINTR : errno);
	}
	out->buf.len = 0;
	return out->error;
}

int cli_flush_status(struct cli *c)
{
	int r = cli_flush(c), status;

	if (r == 0)
		return 0;
	/* The reader has gone, or we were told to stop: nothing to complain about. */
	if (r == -EPIPE)
		return CLI_CLOSED;
	if (r == -EINTR)
		return CLI_INTERRUPTED;
	status = cli_exit_of(r) == CLI_SPACE ? CLI_SPACE : CLI_NO;
	if (c->out->said)
		return status;
	c->out->said = true;
	return cli_fail(c, status, r, "cannot write to standard output: %s", strerror(-r));
}

void cli_put(struct cli *c, const void *data, size_t len)
{
	struct cli_out *out = c->out;

	if (out->error || len == 0)
		return;
	if (out->buf.cap - out->buf.len >= len && out->buf.data) {
		memcpy(out->buf.data + out->buf.len, data, len);
		out->buf.len += len;
	} else if (ipk_buf_add(&out->buf, data, len) < 0) {
		out->error = -ENOMEM;
	}
}

void cli_puts(struct cli *c, const char *text)
{
	cli_put(c, text, strlen(text));
}

void cli_printf(struct cli *c, const char *fmt, ...)
{
	char small[512], *large = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	if (n < (int)sizeof(small)) {
		cli_put(c, small, n > 0 ? (size_t)n : 0);
		return;
	}
	va_start(ap, fmt);
	n = vasprintf(&large, fmt, ap);
	va_end(ap);
	if (n > 0)
		cli_put(c, large, (size_t)n);
	else
		c->out->error = -ENOMEM;
	free(large);
}

void cli_end_record(struct cli *c)
{
	struct cli_out *out = c->out;

	if (!out->hold && (out->tty || out->buf.len >= BLOCK))
		cli_flush(c);
}

void cli_name(struct cli *c, const char *name)
{
	struct ipk_buf b = {0};

	if (!c->out->tty) {
		cli_puts(c, name);
		return;
	}
	cli_escape(&b, name, strlen(name));
	cli_put(c, b.data, b.len);
	ipk_buf_free(&b);
}

/* ---- values and records ----------------------------------------------------------------- */

static void put_framed(struct cli *c, const void *data, size_t len)
{
	unsigned char head[4] = {(unsigned char)len, (unsigned char)(len >> 8),
				 (unsigned char)(len >> 16), (unsigned char)(len >> 24)};

	if (c->opt.frame)
		cli_put(c, head, sizeof(head));
	cli_put(c, data, len);
}

/* For a person's eyes: no byte of a value may drive the terminal. */
static void put_escaped(struct cli *c, const char *data, size_t len)
{
	struct ipk_buf b = {0};
	size_t i, from = 0;

	for (i = 0; i <= len; i++) {
		if (i < len && data[i] != '\n' && data[i] != '\t')
			continue;
		cli_escape(&b, data + from, i - from);
		if (i < len)
			ipk_buf_add(&b, data + i, 1);
		from = i + 1;
	}
	cli_put(c, b.data, b.len);
	ipk_buf_free(&b);
}

static void put_text(struct cli *c, const struct ipk_type *type, const void *data, size_t len)
{
	struct ipk_buf *buf = &c->out->buf;
	size_t at = buf->len;
	int r;

	if (c->out->error)
		return;
	r = ipk_value_print(type, data, len, 0, buf);
	if (r < 0 && r != -EBADMSG)
		c->out->error = r;
	if (c->out->tty && buf->len > at) {
		char *copy = malloc(buf->len - at);
		size_t n = buf->len - at;

		if (!copy) {
			c->out->error = -ENOMEM;
			return;
		}
		memcpy(copy, buf->data + at, n);
		buf->len = at;
		put_escaped(c, copy, n);
		free(copy);
	}
}

void cli_value(struct cli *c, const struct ipk_type *type, const void *data, size_t len)
{
	if (c->opt.json) {
		struct ipk_buf b = {0};

		if (!c->opt.pretty && !c->out->error) {
			ipk_value_print(type, data, len, IPK_VALUE_JSON, &c->out->buf);
			cli_put(c, c->opt.null ? "\0" : "\n", 1);
			cli_end_record(c);
			return;
		}
		ipk_value_print(type, data, len, IPK_VALUE_JSON, &b);
		cli_json(c, b.data, b.len);
		ipk_buf_free(&b);
		return;
	}
	if (c->opt.raw)
		put_framed(c, data, len);
	else if (type->base == IPK_STR && !type->size && !c->out->tty)
		cli_put(c, data, len);
	else
		put_text(c, type, data, len);
	if (!c->opt.raw)
		cli_put(c, c->opt.null ? "\0" : "\n", 1);
	cli_end_record(c);
}

/* Lays JSON out with two blanks a level; text is JSON that we made ourselves. */
static void pretty(struct ipk_buf *b, const char *text, size_t len)
{
	int depth = 0;
	bool string = false;
	size_t i;

	for (i = 0; i < len; i++) {
		char ch = text[i];
		bool open = ch == '{' || ch == '[', shut = ch == '}' || ch == ']';
		bool empty = open && i + 1 < len && (text[i + 1] == '}' || text[i + 1] == ']');

		if (string) {
			ipk_buf_add(b, &ch, 1);
			if (ch == '\\' && i + 1 < len)
				ipk_buf_add(b, &text[++i], 1);
			else if (ch == '"')
				string = false;
			continue;
		}
		if (empty) {
			ipk_buf_add(b, text + i++, 2);
			continue;
		}
		depth -= shut;
		if (shut)
			ipk_buf_printf(b, "\n%*s", 2 * depth, "");
		ipk_buf_add(b, &ch, 1);
		depth += open;
		string = ch == '"';
		if (ch == ':')
			ipk_buf_add(b, " ", 1);
		if (open || ch == ',')
			ipk_buf_printf(b, "\n%*s", 2 * depth, "");
	}
}

void cli_json(struct cli *c, const char *text, size_t len)
{
	struct ipk_buf b = {0};

	if (c->opt.pretty) {
		pretty(&b, text, len);
		text = b.data;
		len = b.len;
	}
	cli_put(c, text, len);
	cli_put(c, c->opt.null ? "\0" : "\n", 1);
	cli_end_record(c);
	ipk_buf_free(&b);
}

void cli_json_u64(struct ipk_buf *b, const char *name, uint64_t val)
{
	ipk_buf_printf(b, ",\"%s\":%llu", name, (unsigned long long)val);
}

void cli_json_bool(struct ipk_buf *b, const char *name, bool val)
{
	ipk_buf_printf(b, ",\"%s\":%s", name, val ? "true" : "false");
}

void cli_json_str(struct ipk_buf *b, const char *name, const char *val)
{
	ipk_buf_printf(b, ",\"%s\":", name);
	if (val)
		ipk_json_string(b, val, strlen(val));
	else
		ipk_buf_str(b, "null");
}

void cli_item(struct cli *c, const struct cli_object *ob, const struct ipk_item *item)
{
	bool timed = item->time && cli_given(c, "timestamps"), meta = c->opt.meta || (timed && c->opt.json);
	unsigned flags = meta ? IPK_RENDER_META : c->opt.json ? IPK_RENDER_JSON : 0;
	struct ipk_buf b = {0};
	char text[40];
	int r;

	if (timed && !flags) {
		cli_time_text(item->time, text);
		cli_printf(c, "%s\t", text);
	}
	if (!meta && !item->key && !item->text && !(item->ref && !c->opt.raw)) {
		cli_value(c, ob->type, item->data, item->len);
		return;
	}
	r = ipk_render_item(&b, item, ob->type, ob->key_type, flags);
	if (r < 0 && r != -EBADMSG) {
		c->out->error = r;
	} else if (flags) {
		cli_json(c, b.data, b.len);
	} else {
		if (c->out->tty)
			put_escaped(c, b.data, b.len);
		else
			cli_put(c, b.data, b.len);
		cli_put(c, c->opt.null ? "\0" : "\n", 1);
		cli_end_record(c);
	}
	ipk_buf_free(&b);
}

void cli_size_text(uint64_t size, bool exact, char buf[24])
{
	static const char units[] = "BKMGTPE";
	unsigned u = 0;
	double val = (double)size;

	while (val >= 1023.95 && u < 6) {
		val /= 1024;
		u++;
	}
	if (exact || u == 0)
		snprintf(buf, 24, "%llu%s", (unsigned long long)size, exact ? "" : "B");
	else if (val == (double)(uint64_t)val || val >= 99.95)
		snprintf(buf, 24, "%.0f%c", val, units[u]);
	else
		snprintf(buf, 24, "%.1f%c", val, units[u]);
}

/* UTC, to the millisecond, as RFC 3339 has it. */
void cli_time_text(uint64_t realtime_ns, char buf[40])
{
	time_t s = (time_t)(realtime_ns / 1000000000);
	struct tm tm;
	size_t len;

	if (!realtime_ns || !gmtime_r(&s, &tm)) {
		snprintf(buf, 40, "-");
		return;
	}
	len = strftime(buf, 40, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf + len, 40 - len, ".%03uZ", (unsigned)(realtime_ns % 1000000000 / 1000000));
}
