/* SPDX-License-Identifier: MIT */
/*
 * batch: one command a line, cut into words as a shell does ('..', "..", \), # begins a comment.
 * Goes on after a failure; ends with the first failure's status.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

#define WORDS_MAX 4096

/* Cuts line in place. The number of words, or -EINVAL with *ret_why. */
static int cut_words(char *line, char **word, const char **ret_why)
{
	char *from = line, *to = line;
	int n = 0;

	for (;;) {
		char quote = 0;

		while (*from == ' ' || *from == '\t' || *from == '\r')
			from++;
		if (!*from || *from == '#')
			return n;
		if (n == WORDS_MAX) {
			*ret_why = "too many words";
			return -EINVAL;
		}
		word[n] = to;
		for (; *from && (quote || !strchr(" \t\r", *from)); from++) {
			if (!quote && (*from == '\'' || *from == '"')) {
				quote = *from;
			} else if (quote == *from) {
				quote = 0;
			} else if (*from == '\\' && quote != '\'' &&
				   (!quote || (from[1] && strchr("\\\"$`", from[1])))) {
				if (!*++from) {
					*ret_why = "a backslash ends the line";
					return -EINVAL;
				}
				*to++ = *from;
			} else {
				*to++ = *from;
			}
		}
		if (quote) {
			*ret_why = "a quote is not closed";
			return -EINVAL;
		}
		n++;
		/* to is at most from: a word never grows. */
		if (!*from) {
			*to = '\0';
			return n;
		}
		from++;
		*to++ = '\0';
	}
}

static int run_line(struct cli *c, char *line, size_t len, const char *where)
{
	static char *word[WORDS_MAX + 3];
	char **argv;
	const char *why = NULL;
	int n, i, r;

	if (strlen(line) < len) {
		n = -EINVAL;
		why = "the line has a NUL in it";
	} else {
		n = cut_words(line, word + 1, &why);
	}
	if (n < 0) {
		c->where = where;
		r = cli_usage(c, "%s", why);
		c->where = NULL;
		return r;
	}
	if (n == 0)
		return 0;
	/* "ipcctl push ..." is taken as well as "push ...". */
	i = !strcmp(word[1], "ipcctl") ? 1 : 0;
	argv = calloc((size_t)n + 2, sizeof(*argv));
	if (!argv)
		return cli_fail_code(c, -ENOMEM, NULL);
	argv[0] = (char *)"ipcctl";
	memcpy(argv + 1, word + 1 + i, (size_t)(n - i) * sizeof(*argv));
	r = n - i > 0 ? cli_run(n - i + 1, argv, c, where) : 0;
	free(argv);
	return r;
}

int cli_batch(struct cli *c)
{
	const char *file = c->word[0];
	struct cli_input in;
	struct ipk_buf line = {0};
	const char *text;
	char *where = NULL;
	size_t len;
	int r, first = 0;
	int fd = strcmp(file, "-") ? open(file, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;

	if (fd < 0)
		return cli_fail(c, cli_exit_of(-errno), -errno, "%s", strerror(errno));
	r = cli_input_stream(&in, c, NULL, fd);
	if (fd == STDIN_FILENO)
		c->stdin_taken = true;
	c->opt.null = c->opt.raw = c->opt.frame = false;
	while (r == 0 && (r = cli_input_record(&in, true, &text, &len)) > 0) {
		line.len = 0;
		free(where);
		where = NULL;
		if (ipk_buf_add(&line, text, len) < 0 || ipk_buf_add(&line, "", 1) < 0 ||
		    asprintf(&where, "%s:%llu", file, (unsigned long long)in.line) < 0) {
			r = -ENOMEM;
			break;
		}
		r = run_line(c, line.data, len, where);
		if (first == 0)
			first = r;
		r = cli_interrupted() ? -EINTR : 0;
		if (c->out->error)
			break;
	}
	if (r < 0)
		first = cli_fail_code(c, r, NULL);
	free(where);
	ipk_buf_free(&line);
	cli_input_free(&in);
	return r > 0 ? r : first;
}
