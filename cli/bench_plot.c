/* SPDX-License-Identifier: MIT */
/* The picture of a "bench": gnuplot draws it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

static bool ends_in(const char *file, const char *end)
{
	size_t n = strlen(file), m = strlen(end);

	return n > m && !strcmp(file + n - m, end);
}

/* In gnuplot's double quotes. */
static void put_quoted(FILE *f, const char *text)
{
	fputc('"', f);
	for (; *text; text++)
		fprintf(f, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
	fputc('"', f);
}

static bool wanted(const struct bench_row *row, enum bench_test test, bool wait)
{
	return row->measured && row->test == test && row->wait == wait && row->batch <= 1 &&
	       (test != BENCH_THROUGHPUT || row->producers == 1);
}

/* One chart: a cluster of bars for each name would hide the sizes, so each row is a bar. */
static void chart(FILE *f, const struct bench_row *rows, size_t n, enum bench_test test, bool wait,
		  const char *title)
{
	size_t bars = 0;

	fprintf(f, "set title \"%s\"\nset logscale y\nset yrange [1:*]\n$d << EOD\n", title);
	for (size_t i = 0; i < n; i++) {
		if (!wanted(&rows[i], test, wait))
			continue;
		fprintf(f, "\"%s %zu\" %.3f\n", bench_name(&rows[i]), rows[i].size,
			test == BENCH_LATENCY ? rows[i].p50 : rows[i].value);
		bars++;
	}
	fprintf(f, "EOD\n");
	if (bars)
		fprintf(f, "plot $d using 2:xtic(1) with boxes notitle\n");
}

int bench_plot_check(struct cli *c, const char *file)
{
	if (ends_in(file, ".png") || ends_in(file, ".svg"))
		return 0;
	return cli_usage(c, "--plot: a file that ends in .svg or .png, not \"%.80s\"", file);
}

int bench_plot(struct cli *c, const struct bench_row *rows, size_t n, const char *file)
{
	const char *terminal = ends_in(file, ".png") ? "pngcairo" : "svg";
	int status;
	FILE *f;

	f = popen("gnuplot 2>/dev/null", "we");
	if (!f)
		return cli_fail_code(c, -errno, NULL);
	fprintf(f, "set terminal %s size 1000,1200\nset output ", terminal);
	put_quoted(f, file);
	fprintf(f, "\nset style fill solid 0.6\nset boxwidth 0.7\nset grid y\n"
		   "set xtics rotate by -45\nset multiplot layout 3,1\n");
	chart(f, rows, n, BENCH_LATENCY, false, "One way, spinning: median, ns; name and bytes");
	chart(f, rows, n, BENCH_LATENCY, true, "One way, sleeping: median, ns; name and bytes");
	chart(f, rows, n, BENCH_THROUGHPUT, true, "Values a second, 1+1 processes; name and bytes");
	fprintf(f, "unset multiplot\n");
	status = pclose(f);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return cli_fail(c, CLI_NOT_FOUND, -ENOENT,
				"--plot wants gnuplot: apt-get install gnuplot-nox");
	if (status || access(file, R_OK) != 0)
		return cli_fail(c, CLI_PERMISSION, -EACCES, "gnuplot could not write \"%.80s\"",
				file);
	return 0;
}
