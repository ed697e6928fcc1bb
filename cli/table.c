/* SPDX-License-Identifier: MIT */
/* Rows under columns, or one JSON object a row. Columns are chosen by name with -o. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static int choose(struct cli_table *t, const char *name, size_t len)
{
	struct cli_suggest s;
	char wanted[64], text[96];
	unsigned i;

	for (i = 0; i < t->ncols; i++)
		if (strlen(t->col[i].name) == len && !strncasecmp(t->col[i].name, name, len)) {
			if (t->nshown == CLI_COL_MAX)
				return cli_usage(t->c, "too many columns");
			t->shown[t->nshown++] = i;
			return 0;
		}
	snprintf(wanted, sizeof(wanted), "%.*s", len > 63 ? 63 : (int)len, name);
	for (i = 0; wanted[i]; i++)
		wanted[i] = (char)toupper((unsigned char)wanted[i]);
	cli_suggest_init(&s, wanted);
	for (i = 0; i < t->ncols; i++)
		cli_suggest_try(&s, t->col[i].name);
	return cli_usage(t->c, "no column \"%s\"%s", wanted, cli_suggest_text(&s, text));
}

int cli_table_begin(struct cli_table *t, struct cli *c, const struct cli_column *col,
		    unsigned ncols)
{
	const char *p = c->opt.columns;
	unsigned i;
	int r;

	*t = (struct cli_table){.c = c, .col = col, .ncols = ncols};
	for (i = 0; !p && i < ncols; i++)
		if (c->opt.longer || c->opt.json || !(col[i].flags & CLI_COL_LONG))
			t->shown[t->nshown++] = i;
	while (p) {
		size_t len = strcspn(p, ",");

		r = choose(t, p, len);
		if (r)
			return r;
		p = p[len] ? p + len + 1 : NULL;
	}
	return 0;
}

int cli_table_row(struct cli_table *t)
{
	if (t->nrows == t->cap) {
		size_t cap = t->cap ? 2 * t->cap : 64;
		struct cli_cell *cell = reallocarray(t->cell, cap, t->ncols * sizeof(*cell));

		if (!cell)
			return cli_fail(t->c, CLI_SPACE, -ENOMEM, "out of memory");
		t->cell = cell;
		t->cap = cap;
	}
	memset(t->cell + t->nrows++ * t->ncols, 0, t->ncols * sizeof(*t->cell));
	return 0;
}

static struct cli_cell *last(struct cli_table *t, unsigned col)
{
	return t->cell + (t->nrows - 1) * t->ncols + col;
}

void cli_cell_str(struct cli_table *t, unsigned col, const char *val)
{
	*last(t, col) = (struct cli_cell){CLI_CELL_STR, 0, strdup(val)};
}

void cli_cell_u64(struct cli_table *t, unsigned col, uint64_t val)
{
	*last(t, col) = (struct cli_cell){CLI_CELL_U64, val, NULL};
}

void cli_cell_size(struct cli_table *t, unsigned col, uint64_t val)
{
	*last(t, col) = (struct cli_cell){CLI_CELL_SIZE, val, NULL};
}

void cli_cell_bool(struct cli_table *t, unsigned col, bool val)
{
	*last(t, col) = (struct cli_cell){CLI_CELL_BOOL, val, NULL};
}

/* In text what would end the line, or the string that a cell holds, is escaped. */
void cli_cell_value(struct cli_table *t, unsigned col, const struct ipk_type *type,
		    const void *data, size_t len)
{
	bool json = t->c->opt.json;
	struct ipk_buf b = {0}, line = {0};

	if (ipk_value_print(type, data, len, json ? IPK_VALUE_JSON : 0, &b) < 0)
		b.len = 0;
	if (json && b.len)
		line = b;
	else if (b.len)
		cli_escape(&line, b.data, b.len);
	if (line.data != b.data)
		ipk_buf_free(&b);
	if (!line.len || ipk_buf_add(&line, "", 1) < 0)
		ipk_buf_free(&line);
	else
		*last(t, col) = (struct cli_cell){json ? CLI_CELL_JSON : CLI_CELL_STR, 0, line.data};
}

static void text_of(struct cli_table *t, const struct cli_cell *cell, struct ipk_buf *b)
{
	char text[24];

	switch (cell->type) {
	case CLI_CELL_NULL:
		ipk_buf_str(b, "-");
		break;
	case CLI_CELL_STR:
	case CLI_CELL_JSON:
		if (cell->str && *cell->str)
			cli_escape(b, cell->str, strlen(cell->str));
		else
			ipk_buf_str(b, "-");
		break;
	case CLI_CELL_U64:
		ipk_buf_printf(b, "%llu", (unsigned long long)cell->num);
		break;
	case CLI_CELL_SIZE:
		cli_size_text(cell->num, t->c->opt.bytes, text);
		ipk_buf_str(b, text);
		break;
	case CLI_CELL_BOOL:
		ipk_buf_str(b, cell->num ? "yes" : "no");
		break;
	}
}

static int by_first(const void *a, const void *b)
{
	const struct cli_cell *x = a, *y = b;

	if (x->type == CLI_CELL_STR && y->type == CLI_CELL_STR && x->str && y->str)
		return strcmp(x->str, y->str);
	return (x->num > y->num) - (x->num < y->num);
}

static void print_json(struct cli_table *t)
{
	size_t row;
	unsigned i;

	for (row = 0; row < t->nrows; row++) {
		struct ipk_buf b = {0};

		ipk_buf_str(&b, "{\"v\":1");
		for (i = 0; i < t->nshown; i++) {
			const struct cli_cell *cell = t->cell + row * t->ncols + t->shown[i];
			char name[32];
			unsigned k;

			snprintf(name, sizeof(name), "%s", t->col[t->shown[i]].name);
			for (k = 0; name[k]; k++)
				name[k] = (char)tolower((unsigned char)name[k]);
			if (cell->type == CLI_CELL_NULL || cell->type == CLI_CELL_STR)
				cli_json_str(&b, name, cell->str);
			else if (cell->type == CLI_CELL_JSON)
				ipk_buf_printf(&b, ",\"%s\":%s", name, cell->str);
			else if (cell->type == CLI_CELL_BOOL)
				cli_json_bool(&b, name, cell->num);
			else
				cli_json_u64(&b, name, cell->num);
		}
		ipk_buf_str(&b, "}");
		cli_json(t->c, b.data, b.len);
		ipk_buf_free(&b);
	}
}

/* Columns on a terminal: code points count, which is right for all but wide characters. */
static size_t width_of(const char *text, size_t len)
{
	size_t n = 0, i;

	for (i = 0; i < len; i++)
		n += ((unsigned char)text[i] & 0xc0) != 0x80;
	return n;
}

static void print_cell(struct cli_table *t, const char *text, size_t len, unsigned i, size_t width)
{
	bool right = t->col[t->shown[i]].flags & CLI_COL_RIGHT;
	size_t pad = width - width_of(text, len);
	bool end = i + 1 == t->nshown;

	if (right)
		cli_printf(t->c, "%*s", (int)pad, "");
	cli_put(t->c, text, len);
	if (!right && !end)
		cli_printf(t->c, "%*s", (int)pad, "");
	cli_puts(t->c, end ? "\n" : " ");
}

static void print_text(struct cli_table *t)
{
	bool head = !t->c->opt.noheadings, color = cli_colored(t->c);
	size_t width[CLI_COL_MAX] = {0}, row;
	struct ipk_buf b = {0};
	unsigned i;

	for (i = 0; i < t->nshown; i++) {
		if (head)
			width[i] = strlen(t->col[t->shown[i]].name);
		for (row = 0; row < t->nrows; row++) {
			b.len = 0;
			text_of(t, t->cell + row * t->ncols + t->shown[i], &b);
			if (width_of(b.data, b.len) > width[i])
				width[i] = width_of(b.data, b.len);
		}
	}
	if (head && color)
		cli_puts(t->c, "\033[1m");
	for (i = 0; head && i < t->nshown; i++)
		print_cell(t, t->col[t->shown[i]].name, strlen(t->col[t->shown[i]].name), i,
			   width[i]);
	if (head && color)
		cli_puts(t->c, "\033[0m");
	for (row = 0; row < t->nrows; row++) {
		for (i = 0; i < t->nshown; i++) {
			b.len = 0;
			text_of(t, t->cell + row * t->ncols + t->shown[i], &b);
			print_cell(t, b.data, b.len, i, width[i]);
		}
		cli_end_record(t->c);
	}
	ipk_buf_free(&b);
}

void cli_table_free(struct cli_table *t)
{
	size_t i;

	for (i = 0; i < t->nrows * t->ncols; i++)
		free(t->cell[i].str);
	free(t->cell);
	t->cell = NULL;
	t->nrows = 0;
}

void cli_table_end(struct cli_table *t)
{
	if (t->sort && t->nrows)
		qsort(t->cell, t->nrows, t->ncols * sizeof(*t->cell), by_first);
	if (t->c->opt.json)
		print_json(t);
	else
		print_text(t);
	cli_table_free(t);
}
